"""Compare two pieces of plain data, and say in words where they differ."""

import math
from dataclasses import dataclass

import numpy as np

from course_utils.exercises.showing import beside, short

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
        """Say whether `own` is near enough; infinite and missing numbers must be the same.

        A whole number may be off by a rounding error only, however large it is: 49,151 is another token than 49,152.
        """
        if math.isnan(right) or math.isnan(own):
            return math.isnan(right) and math.isnan(own)
        if math.isinf(right) or math.isinf(own):
            return right == own
        if isinstance(right, int) and abs(right) > 2**53:  # float64 holds no such number exactly
            return own == right
        scale = min(abs(right), 1) if isinstance(right, int) else abs(right)
        return abs(own - right) <= self.absolute + self.relative * scale


def difference(own: object, right: object, tolerance: Tolerance = Tolerance()) -> str:
    """Return where plain data `own` is not what is `right`, after "your function "; "" if they agree.

    Numbers may differ by the tolerance, but only where the right one has a fraction: ids, counts and masks are whole
    numbers, and those must be equal. A list of numbers and an array with the same numbers agree.

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
        return "" if _agree(own, right, tolerance) else _differ(own, right, place)
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
            return f"returns the keys {short(sorted(own))}{place}, and {short(sorted(right))} are right."
        return next(
            filter(None, (_difference(own[k], right[k], tolerance, _inside(place, short(k, 20))) for k in right)), ""
        )
    return "" if own == right else _differ(own, right, place)


def kind_of_difference(own: object, right: object) -> str:
    """Return what kind of thing is wrong, as `difference` does, but without any value of the two.

    >>> kind_of_difference([787], [3]), kind_of_difference("787", 3)
    ('returns a list, but not the right one.', 'returns a text, and a number is right.')
    """
    if own is None and right is not None:
        return "returns nothing: it needs a `return`."
    if _kind(own) == _kind(right):
        return f"returns {_kind(own)}, but not the right one."
    return f"returns {_kind(own)}, and {_kind(right)} is right."


def _differ(own: object, right: object, place: str) -> str:
    own, right = beside(own, right)
    return f"returns {own}{place}, and {right} is right."


def _of_arrays(own: object, right: object, tolerance: Tolerance, place: str) -> str:
    numbers = _as_array(own), _as_array(right)
    if numbers[0] is None or numbers[1] is None:
        return f"returns {_kind(own)}{place}, and {_kind(right)} is right."
    if numbers[0].shape != numbers[1].shape:
        return f"returns the shape {numbers[0].shape}{place}, and {numbers[1].shape} is right."
    near = _near(*numbers, tolerance)
    if numbers[1].dtype.kind in "biu" or isinstance(right, list):  # a list may hold an id beside a score
        # Python's own numbers are exact: as float64, 2**53 and 2**53 + 1 would be the same.
        exact = [_exact(value).reshape(near.shape) for value in (own, right)]
        near = np.where(_are_whole(exact[1]), exact[0] == exact[1], near).astype(bool)
    if near.all():
        return ""
    first = tuple(int(index) for index in np.argwhere(~near)[0])
    where = str(first[0]) if len(first) == 1 else str(first)
    return _differ(*(array[first].item() for array in numbers), _inside(place, where))


def _near(own: np.ndarray, right: np.ndarray, tolerance: Tolerance) -> np.ndarray:
    own, right = own.astype(np.float64), right.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        near = np.abs(own - right) <= tolerance.absolute + tolerance.relative * np.abs(right)
    return np.where(np.isfinite(own) & np.isfinite(right), near, (own == right) | (np.isnan(own) & np.isnan(right)))


def _exact(value: object) -> np.ndarray:
    """Return an array of Python's own numbers, as large as they are."""
    return np.array(value.tolist() if isinstance(value, np.ndarray) else value, object)


_are_whole = np.frompyfunc(lambda number: isinstance(number, int), 1, 1)


def _as_array(value: object) -> np.ndarray | None:
    """Return numbers as an array; None if they are none."""
    try:
        array = np.asarray(value)
    except (ValueError, TypeError, OverflowError):
        return None
    return array if array.dtype.kind in "biuf" else None


def _agree(own: float, right: float, tolerance: Tolerance) -> bool:
    if isinstance(own, bool) != isinstance(right, bool):
        return False
    if isinstance(own, int) and isinstance(right, int):
        return own == right
    try:
        return tolerance.allows(own, right)
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
