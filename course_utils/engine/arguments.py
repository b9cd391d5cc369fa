"""Bad settings give a one-line error: the argument, what is allowed and what came.

Lesson: 15 · Capstone: your own generate()
"""

import math
from collections.abc import Callable, Iterable


def check_number(name: str, value: float, allowed: str, is_allowed: Callable[[float], bool]) -> float:
    """Return `value` as a number of Python; raise a ValueError in one sentence unless `is_allowed` holds for it.

    >>> check_number("top_p", 1.3, "in (0, 1]", lambda value: 0 < value <= 1)
    Traceback (most recent call last):
    ValueError: top_p must be in (0, 1], got 1.3
    """
    number = plain(value)
    # True and False are numbers to Python, but no one means them as a setting.
    if isinstance(number, bool) or not isinstance(number, int | float) or not is_allowed(number):
        raise ValueError(f"{name} must be {allowed}, got {number!r}")
    return number


def plain(value: object) -> object:
    """Turn a number of numpy, or a tensor without dimensions, into Python's own; return anything else as it is.

    Numbers of numpy have a fixed size: 134,515,008 parameters of 32 bits times 4 bytes would overflow.

    >>> import numpy as np
    >>> plain(np.int32(3)), plain("three")
    (3, 'three')
    """
    return value.item() if getattr(value, "ndim", None) == 0 and hasattr(value, "item") else value


def check_whole(name: str, value: int, least: int) -> int:
    """Return `value` as an int; raise a ValueError in one sentence unless it is a whole number of at least `least`."""
    allowed = f"a whole number of at least {least}"
    return check_number(name, value, allowed, lambda number: isinstance(number, int) and number >= least)


def token_ids(name: str, ids: object) -> list[int]:
    """Return one token id, or several in a list, an array or a tensor, as a list.

    Raises:
        ValueError: They are not whole numbers. (−1 stands for no token: it never comes.)

    >>> token_ids("eos_token_id", 2), token_ids("eos_token_id", (2, 0))
    ([2], [2, 0])
    """
    listed = plain(ids.tolist() if hasattr(ids, "tolist") else ids)
    listed = list(listed) if isinstance(listed, Iterable) and not isinstance(listed, str | bytes) else [listed]
    return [check_whole(name, one, -1) for one in listed]


def check_finite(name: str, value: float) -> float:
    """Return `value`; raise a ValueError in one sentence unless it is a finite number."""
    return check_number(name, value, "a finite number", math.isfinite)


def check_flag(name: str, value: bool) -> bool:
    """Return `value` as a bool; raise a ValueError in one sentence unless it is True or False."""
    flag = plain(value)
    if not isinstance(flag, bool):
        raise ValueError(f"{name} must be True or False, got {flag!r}")
    return flag


def check_temperature(temperature: float) -> float:
    """Return `temperature`; raise a ValueError in one sentence unless it is a finite number of at least 0."""
    allowed = "a finite number of at least 0"
    return check_number("temperature", temperature, allowed, lambda value: 0 <= value < math.inf)


def check_top_k(top_k: int) -> int:
    """Return `top_k`; raise a ValueError in one sentence unless it is a whole number of at least 1."""
    return check_whole("top_k", top_k, 1)


def check_top_p(top_p: float) -> float:
    """Return `top_p`; raise a ValueError in one sentence unless it is in (0, 1]."""
    return check_number("top_p", top_p, "in (0, 1]", lambda value: 0 < value <= 1)


def check_min_p(min_p: float) -> float:
    """Return `min_p`; raise a ValueError in one sentence unless it is in [0, 1]."""
    return check_number("min_p", min_p, "in [0, 1]", lambda value: 0 <= value <= 1)
