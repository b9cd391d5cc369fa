"""Write values in little room: alone, or two beside each other so that one sees where they differ."""

import math
import re
from collections.abc import Sequence

import numpy as np

LONGEST = 60  # characters
BREAK = "\0"  # in code, after a comma
_TORCHS_OWN = ("float32", "int64", "bool")  # what torch.tensor makes of numbers by itself
_SHORTER = (8, 5, 3, 2, 1)  # how many values of each list are tried, until the text fits


def short(value: object, longest: int = LONGEST) -> str:
    """Return a value in a limited number of characters.

    >>> short(0.123456789), short(49151.0), short("a" * 80, 10), short(np.arange(100), 30)
    ('0.1235', '49151', "'aaaaaaaa…", 'tensor([0, 1, 2, 3, 4, …])')
    """
    for most in _SHORTER:
        text = _text(value, most, longest)
        if len(text) <= longest:
            return text
    return f"{text[: longest - 1]}…"


def beside(own: object, right: object, longest: int = LONGEST) -> tuple[str, str]:
    r"""Return two values, each in a limited number of characters, so that the place where they differ is shown.

    >>> beside("a" * 99 + "b", "a" * 99 + "c")
    ("'…aaaaaaaaaab'", "'…aaaaaaaaaac'")
    >>> print(*beside(np.array([1.5, 20, 3]), np.array([1.5, -2, 3])), sep="\n")
    tensor([1.5, 20, 3])
    tensor([1.5, -2, 3])
    >>> beside({"kept": [1] * 99, "read": 3}, {"kept": [1] * 99, "read": 4}, 30)
    ("at ['read']: 3", "at ['read']: 4")
    """
    path = ""
    while not _both_fit(own, right, longest - len(path)) and (key := _first_inside(own, right)) is not None:
        own, right, path = own[key], right[key], f"{path}[{short(key, 20)}]"
    if isinstance(own, str) and isinstance(right, str):
        start = _start(own, right, 40, 10)
        own, right = (f"…{text[start:]}" if start else text for text in (own, right))
    room = max(longest - len(path) - 5, 12)
    shown = _rows(own, right, room) if _is_row(own) and _is_row(right) else (short(own, room), short(right, room))
    if shown[0] == shown[1] and isinstance(own, int | float) and isinstance(right, int | float):
        digits = repr(own), repr(right)
        start = _start(*digits, 20, 3)
        shown = tuple(f"…{text[start:]}" if start else text for text in digits)
    return tuple(f"at {path}: {text}" if path else text for text in shown)


def as_code(value: object) -> str:
    """Return plain data as Python that makes it again, to the last digit; a line may be broken at each `BREAK`.

    >>> print(as_code([np.array([0.5, -np.inf], np.float32), "a, b", 3]).replace(BREAK, " "))
    [torch.tensor([0.5, -torch.inf]), 'a, b', 3]
    """
    if isinstance(value, np.ndarray):
        kind = f", dtype=torch.{value.dtype}" if value.dtype not in _TORCHS_OWN or not value.size else ""
        if not value.size:
            return f"torch.empty({value.shape}{kind})"
        numbers = value
        if value.dtype == np.float32:  # Python's own float would have more digits than it takes
            numbers = np.array([float(str(number)) for number in value.ravel()]).reshape(value.shape)
        listed = re.sub(r'float\("(-?)(inf|nan)"\)', r"\1torch.\2", as_code(numbers.tolist()))
        return f"torch.tensor({listed}{kind})"
    if isinstance(value, list):
        return f"[{f',{BREAK}'.join(map(as_code, value))}]"
    if isinstance(value, dict):
        return f"{{{f',{BREAK}'.join(f'{key!r}: {as_code(item)}' for key, item in value.items())}}}"
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    return repr(value)


def _text(value: object, most: int, longest: int) -> str:
    if isinstance(value, np.ndarray):
        return f"tensor({_text(value.tolist(), most, longest)})"
    if isinstance(value, list):
        inside = [_text(item, most, longest) for item in value[:most]] + ["…"] * (len(value) > most)
        return f"[{', '.join(inside)}]"
    if isinstance(value, dict):
        inside = [f"{key!r}: {_text(item, most, longest)}" for key, item in [*value.items()][:most]]
        return f"{{{', '.join(inside + ['…'] * (len(value) > most))}}}"
    if isinstance(value, float):
        if value.is_integer() and abs(value) < 1e15:
            return f"{value + 0:.0f}"  # not -0
        return f"{value:.4g}".replace("-inf", "−∞").replace("inf", "∞")
    if isinstance(value, int) and abs(value) >= 10**18:
        return "a number of more than 18 digits"
    text = repr(value)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _both_fit(own: object, right: object, longest: int) -> bool:
    """Tell whether two values can be shown whole, and look different then."""
    texts = [_text(value, 10**6 if count(value) <= longest else 0, longest + 1) for value in (own, right)]
    return max(map(len, texts)) <= longest and texts[0] != texts[1]


def count(value: object) -> int:
    """Return how many values are in plain data.

    >>> count([1, np.zeros((2, 3))])
    8
    """
    if isinstance(value, np.ndarray):
        return value.size
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(count, items))


def _first_inside(own: object, right: object) -> object:
    """Return where two lists of lists, or two dicts, differ first; None where there is nothing to go into."""
    if isinstance(own, dict) and isinstance(right, dict) and own.keys() == right.keys():
        return next((key for key in right if not _alike(own[key], right[key])), None)
    if type(own) is not type(right) or not isinstance(own, list | np.ndarray) or _is_row(own) or _is_row(right):
        return None
    if len(own) != len(right):
        return None
    return next((place for place, pair in enumerate(zip(own, right, strict=True)) if not _alike(*pair)), None)


def _is_row(value: object) -> bool:
    """Tell whether a value is one row of numbers."""
    if isinstance(value, np.ndarray):
        return value.ndim == 1
    return isinstance(value, list) and bool(value) and all(type(item) in (int, float) for item in value)


def _rows(own: Sequence, right: Sequence, longest: int) -> tuple[str, str]:
    """Return two rows of numbers in columns, from one place before the first that differs, or from the start."""
    for most in _SHORTER:
        start = _start(own, right, most - 1, 1)
        cells = [[short(number) for number in np.asarray(row)[start : start + most].tolist()] for row in (own, right)]
        widths = [max(map(len, pair)) for pair in zip(*cells, strict=False)] + [0] * most
        shown = []
        for row, texts in zip((own, right), cells, strict=True):
            inside = ", ".join(text.rjust(width) for text, width in zip(texts, widths, strict=False))
            inside = ("…, " if start else "") + inside + (", …" if start + most < len(row) else "")
            shown.append(f"tensor([{inside}])" if isinstance(row, np.ndarray) else f"[{inside}]")
        if max(map(len, shown)) <= longest:
            break
    return tuple(shown)


def _start(own: Sequence, right: Sequence, free: int, before: int) -> int:
    """Return where to begin: 0 if two sequences differ in their first `free` places, else a little before they do."""
    pairs = zip(own, right, strict=False)
    first = next((place for place, pair in enumerate(pairs) if not _alike(*pair)), min(len(own), len(right)))
    return 0 if first < free else max(first - before, 0)


def _alike(own: object, right: object) -> bool:
    if isinstance(own, np.ndarray) and isinstance(right, np.ndarray):
        if own.shape != right.shape or "f" not in (own.dtype.kind, right.dtype.kind):
            return np.array_equal(own, right)
        return bool(np.isclose(own, right, 1e-4, 1e-5, equal_nan=True).all())
    if isinstance(own, list) and isinstance(right, list):
        return len(own) == len(right) and all(map(_alike, own, right))
    if isinstance(own, dict) and isinstance(right, dict):
        return own.keys() == right.keys() and all(_alike(own[key], right[key]) for key in right)
    if any(isinstance(value, np.ndarray | list | dict) for value in (own, right)):
        return False
    if isinstance(own, float) and isinstance(right, float):
        return math.isclose(own, right, rel_tol=1e-4, abs_tol=1e-5) or (math.isnan(own) and math.isnan(right))
    return bool(own == right)
