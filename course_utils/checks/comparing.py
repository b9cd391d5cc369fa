"""Compare two pieces of plain data, and say in words where they differ."""

import math
from dataclasses import dataclass

import numpy as np

_WORDS = {list: "a list", dict: "a dict", str: "a text", bool: "True or False", int: "a number", float: "a number"}


@dataclass(frozen=True)
class Tolerance:
    """How far two numbers may be apart: `absolute + relative · |right|`.

    >>> Tolerance().allows(1.0, 1.00001)
    True
    """

    relative: float = 1e-4
    absolute: float = 1e-5

    def allows(self, own: float, right: float) -> bool:
        """Say whether `own` is near enough; infinite and missing numbers must be the same."""
        if math.isnan(right) or math.isnan(own):
            return math.isnan(right) and math.isnan(own)
        if math.isinf(right) or math.isinf(own):
            return right == own
        return abs(own - right) <= self.absolute + self.relative * abs(right)


def difference(own: object, right: object, tolerance: Tolerance = Tolerance()) -> str:
    """Return where plain data `own` is not what is `right`, after "your function "; "" if they agree.

    Numbers may differ by the tolerance. A list of numbers and an array with the same numbers agree.

    >>> difference([1, 2], [1, 3])
    'returns 2 at place 1, and 3 is right.'
    >>> difference(None, 3)
    'returns nothing: it needs a `return`.'
    """
    if own is None and right is not None:
        return "returns nothing: it needs a `return`."
    return _difference(own, right, tolerance, "")


def _difference(own: object, right: object, tolerance: Tolerance, place: str) -> str:
    if isinstance(right, np.ndarray) or isinstance(own, np.ndarray):
        return _of_arrays(own, right, tolerance, place)
    if _is_number(own) and _is_number(right):
        return "" if _agree(own, right, tolerance) else f"returns {short(own)}{place}, and {short(right)} is right."
    if type(own) is not type(right):
        return f"returns {_kind(own)}{place}, and {_kind(right)} is right."
    if isinstance(right, list):
        if len(own) != len(right):
            return f"returns {len(own)} values{place}, and {len(right)} are right."
        pairs = (
            _difference(a, b, tolerance, _inside(place, i)) for i, (a, b) in enumerate(zip(own, right, strict=True))
        )
        return next(filter(None, pairs), "")
    if isinstance(right, dict):
        if own.keys() != right.keys():
            return f"returns the keys {sorted(own)[:8]}{place}, and {sorted(right)[:8]} are right."
        return next(
            filter(None, (_difference(own[k], right[k], tolerance, _inside(place, repr(k))) for k in right)), ""
        )
    if own == right:
        return ""
    own, right = (from_difference(text, other) for text, other in ((own, right), (right, own)))
    return f"returns {short(own)}{place}, and {short(right)} is right."


def from_difference(text: object, other: object) -> object:
    """Return the end of `text` that begins a little before it differs from `other`; anything but long texts as it is.

    >>> from_difference("a" * 99 + "b", "a" * 99 + "c")
    '…aaaaaaaaaab'
    """
    if not isinstance(text, str) or not isinstance(other, str):
        return text
    first = next((place for place, (a, b) in enumerate(zip(text, other, strict=False)) if a != b), 0)
    first = first or min(len(text), len(other))
    return text if first < 40 else f"…{text[first - 10 :]}"


def _of_arrays(own: object, right: object, tolerance: Tolerance, place: str) -> str:
    own_value, right_value = own, right
    own, right = _as_array(own), _as_array(right)
    if own is None or right is None:
        return f"returns {_kind(own_value)}{place}, and {_kind(right_value)} is right."
    if own.shape != right.shape:
        return f"returns the shape {own.shape}{place}, and {right.shape} is right."
    with np.errstate(invalid="ignore", over="ignore"):
        near = np.abs(own - right) <= tolerance.absolute + tolerance.relative * np.abs(right)
        near = np.where(np.isfinite(own) & np.isfinite(right), near, (own == right) | (np.isnan(own) & np.isnan(right)))
    if near.all():
        return ""
    first = tuple(int(index) for index in np.argwhere(~near)[0])
    where = str(first[0]) if len(first) == 1 else str(first)
    return f"returns {short(float(own[first]))}{_inside(place, where)}, and {short(float(right[first]))} is right."


def _as_array(value: object) -> np.ndarray | None:
    """Return numbers as an array of float64; None if they are none."""
    try:
        array = np.asarray(value)
    except (ValueError, TypeError, OverflowError):
        return None
    return array.astype(np.float64) if array.dtype.kind in "biuf" else None


def _agree(own: float, right: float, tolerance: Tolerance) -> bool:
    if isinstance(own, bool) != isinstance(right, bool):
        return False
    if isinstance(own, int) and isinstance(right, int):
        return own == right
    try:
        return tolerance.allows(float(own), float(right))
    except OverflowError:  # a whole number of thousands of digits
        return False


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)


def _kind(value: object) -> str:
    if value is None:
        return "None"
    return "an array" if isinstance(value, np.ndarray) else _WORDS[type(value)]


def _inside(place: str, index: object) -> str:
    return f"{place} at place {index}" if not place else f"{place}, {index}"


def short(value: object, longest: int = 60) -> str:
    """Return a value in so many characters at most.

    >>> short(0.123456789), short("a" * 80, 10)
    ('0.1235', "'aaaaaaaa…")
    """
    if isinstance(value, float):
        return f"{value:.4g}".replace("-inf", "−∞")
    if isinstance(value, int) and abs(value) >= 10**18:
        return "a number of more than 18 digits"
    if isinstance(value, np.ndarray):
        value = f"tensor{np.array2string(value, precision=3, separator=', ', threshold=8)}".replace("\n", "")
        return value if len(value) <= longest else f"{value[: longest - 1]}…"
    shown = repr(value)
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"
