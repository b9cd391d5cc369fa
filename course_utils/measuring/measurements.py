"""Several measurements of the same thing, summed up without saying more than they know.

Lesson: 14 · Speed and memory in practice
"""

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

from course_utils.engine.arguments import check_number


class Spread(NamedTuple):
    """The middle of several measurements, the least and the most of them, and how many there were.

    >>> Spread(0.02, 0.018, 0.03, 5)
    20.0 ms (18.0–30.0 in 5 runs)
    """

    median: float
    least: float
    most: float
    runs: int

    def __repr__(self) -> str:
        milliseconds = [f"{seconds * 1000:,.1f}" for seconds in (self.median, self.least, self.most)]
        return f"{milliseconds[0]} ms ({milliseconds[1]}–{milliseconds[2]} in {self.runs} runs)"


def spread(seconds: Sequence[float]) -> Spread:
    """Sum up measurements by their median, least and most.

    Raises:
        ValueError: There are none.

    >>> spread([0.03, 0.01, 0.02]).median
    0.02
    """
    if not len(seconds):
        raise ValueError("seconds must hold at least one measurement, got none")
    return Spread(statistics.median(seconds), min(seconds), max(seconds), len(seconds))


def percentile(seconds: Sequence[float], percent: float) -> float:
    """Return the value that `percent` % of the measurements stay below or reach.

    Raises:
        ValueError: `percent` is not between 0 and 100, or there are too few measurements to know: the slowest
            1 % of 10 runs is a tenth of a run.

    >>> percentile([1.0] * 19 + [9.0], 95)
    1.0
    >>> percentile([1.0] * 10, 99)
    Traceback (most recent call last):
    ValueError: percent must have at least 100 measurements to be 99, got 10
    """
    percent = check_number("percent", percent, "between 0 and 100", lambda value: 0 < value < 100)
    # Of so many runs, at least one lies in the smaller tail.
    needed = math.ceil(round(100 / min(percent, 100 - percent), 6))
    if len(seconds) < needed:
        raise ValueError(f"percent must have at least {needed} measurements to be {percent}, got {len(seconds)}")
    return sorted(seconds)[math.ceil(round(percent / 100 * len(seconds), 6)) - 1]
