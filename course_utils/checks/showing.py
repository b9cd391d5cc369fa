"""Write values in little room: alone, or two beside each other so that one sees where they differ."""

import math
from collections.abc import Sequence

import numpy as np

LONGEST = 60  # characters
_BESIDE = 8  # numbers of two lists that are shown beside each other


def short(value: object, longest: int = LONGEST) -> str:
    """Return a value in so many characters at most.

    >>> short(0.123456789), short(49151.0), short("a" * 80, 10)
    ('0.1235', '49151', "'aaaaaaaa…")
    """
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, int) and abs(value) >= 10**18:
        return "a number of more than 18 digits"
    if isinstance(value, np.ndarray):
        return _cut(f"tensor({np.array2string(value, precision=3, separator=', ', threshold=8)})", longest)
    return _cut(repr(value), longest)


def beside(own: object, right: object, longest: int = LONGEST) -> tuple[str, str]:
    """Return two values, each in so many characters at most, from a little before the place where they differ.

    >>> beside("a" * 99 + "b", "a" * 99 + "c")
    ("'…aaaaaaaaaab'", "'…aaaaaaaaaac'")
    >>> print(*beside(np.array([1.5, 20, 3]), np.array([1.5, -2, 3])), sep="\\n")
    tensor([1.5, 20, 3])
    tensor([1.5, -2, 3])
    """
    if isinstance(own, str) and isinstance(right, str):
        start = _start(own, right, 40, 10)
        own, right = (f"…{text[start:]}" if start else text for text in (own, right))
    elif _is_row(own) and _is_row(right):
        return _rows(own, right, longest)
    elif isinstance(own, np.ndarray | list) and type(own) is type(right):
        start = _start(own, right, 1, 0)
        if start:
            return tuple(_cut(f"…from place {start}: {short(value[start:], longest)}", longest) for value in (own, right))
    shown = short(own, longest), short(right, longest)
    if shown[0] == shown[1] and isinstance(own, int | float) and isinstance(right, int | float):
        digits = repr(own), repr(right)
        start = _start(*digits, 20, 3)
        shown = tuple(_cut(f"…{text[start:]}" if start else text, longest) for text in digits)
    return shown


def _number(value: float) -> str:
    if value.is_integer() and abs(value) < 1e15:
        return f"{value:.0f}"
    return f"{value:.4g}".replace("-inf", "−∞")


def _cut(text: str, longest: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _is_row(value: object) -> bool:
    """Tell whether a value is one row of numbers."""
    if isinstance(value, np.ndarray):
        return value.ndim == 1
    return isinstance(value, list) and bool(value) and all(type(item) in (int, float) for item in value)


def _rows(own: Sequence, right: Sequence, longest: int) -> tuple[str, str]:
    """Return two rows of numbers in columns, from one place before the first that differs."""
    start = _start(own, right, _BESIDE - 1, 1)
    cells = [[_in_row(number) for number in row[start : start + _BESIDE]] for row in (own, right)]
    widths = [max(map(len, pair)) for pair in zip(*cells, strict=False)] + [0] * _BESIDE
    shown = []
    for row, texts in zip((own, right), cells, strict=True):
        inside = ", ".join(text.rjust(width) for text, width in zip(texts, widths, strict=False))
        inside = ("…, " if start else "") + inside + (", …" if start + _BESIDE < len(row) else "")
        inside = f"tensor([{inside}])" if isinstance(row, np.ndarray) else f"[{inside}]"
        shown.append(inside if len(inside) <= longest else f"{inside[: longest - 1]}…")
    return tuple(shown)


def _in_row(number: float) -> str:
    return short(number.item() if isinstance(number, np.generic) else number)


def _start(own: Sequence, right: Sequence, free: int, before: int) -> int:
    """Return where to begin: 0 if two sequences differ in their first `free` places, else a little before they do."""
    pairs = zip(own, right, strict=False)
    first = next((place for place, pair in enumerate(pairs) if not _alike(*pair)), min(len(own), len(right)))
    return 0 if first < free else max(first - before, 0)


def _alike(own: object, right: object) -> bool:
    if isinstance(own, float | np.floating) and isinstance(right, float | np.floating):
        return math.isclose(own, right, rel_tol=1e-4, abs_tol=1e-5) or (math.isnan(own) and math.isnan(right))
    if isinstance(own, np.ndarray) and isinstance(right, np.ndarray):
        return own.shape == right.shape and bool(np.isclose(own, right, 1e-4, 1e-5, equal_nan=True).all())
    return bool(np.array_equal(own, right)) if isinstance(own, np.ndarray | list) else own == right
