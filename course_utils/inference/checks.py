"""Bad settings get one sentence that names the argument, what is allowed and what came."""

import math
from collections.abc import Callable


def check_number(name: str, value: float, allowed: str, is_allowed: Callable[[float], bool]) -> None:
    """Raise a ValueError in one sentence unless `value` is a number for which `is_allowed` holds.

    >>> check_number("top_p", 1.3, "in (0, 1]", lambda value: 0 < value <= 1)
    Traceback (most recent call last):
    ValueError: top_p must be in (0, 1], got 1.3
    """
    # True and False are numbers to Python, but nobody means them as a setting.
    if isinstance(value, bool) or not isinstance(value, int | float) or not is_allowed(value):
        raise ValueError(f"{name} must be {allowed}, got {value!r}")


def check_whole(name: str, value: int, least: int) -> None:
    """Raise a ValueError in one sentence unless `value` is a whole number of at least `least`."""
    check_number(name, value, f"a whole number of at least {least}", lambda v: isinstance(v, int) and v >= least)


def check_finite(name: str, value: float) -> None:
    """Raise a ValueError in one sentence unless `value` is a finite number."""
    check_number(name, value, "a finite number", math.isfinite)


def check_temperature(temperature: float) -> None:
    """Raise a ValueError in one sentence unless `temperature` is a finite number of at least 0."""
    check_number("temperature", temperature, "a finite number of at least 0", lambda value: 0 <= value < math.inf)


def check_top_k(top_k: int) -> None:
    """Raise a ValueError in one sentence unless `top_k` is a whole number of at least 1."""
    check_whole("top_k", top_k, 1)


def check_top_p(top_p: float) -> None:
    """Raise a ValueError in one sentence unless `top_p` is in (0, 1]."""
    check_number("top_p", top_p, "in (0, 1]", lambda value: 0 < value <= 1)


def check_min_p(min_p: float) -> None:
    """Raise a ValueError in one sentence unless `min_p` is in [0, 1]."""
    check_number("min_p", min_p, "in [0, 1]", lambda value: 0 <= value <= 1)
