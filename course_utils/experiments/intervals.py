"""How far a number can be trusted: the interval of a share, and of a mean, that was measured on few examples.

Lesson: 01 · What LLMs can do; 05 · From text to vectors; 06 · Pre-training and fine-tuning; 07 · Encoders, decoders and
both; 08 · Attention; deeper: All 270 heads, Diversity and likelihood
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from course_utils.engine.arguments import check_number, check_whole

_Z = 1.959964  # 95 % of a normal distribution lies this many standard deviations around its mean


def wilson_interval(right: int, total: int) -> tuple[float, float]:
    """Return the 95 % interval of a share: what the true share may be when `right` of `total` were right.

    Returns:
        Its lower and its upper end, both in 0 … 1.

    Raises:
        ValueError: `total` is not a whole number of at least 1, or `right` is not in 0 … `total`.

    Source: Wilson (1927), Probable Inference, the Law of Succession, and Statistical Inference.

    >>> [round(end, 2) for end in wilson_interval(60, 120)]
    [0.41, 0.59]
    >>> [round(end, 2) for end in wilson_interval(10, 10)]
    [0.72, 1.0]
    """
    total = check_whole("total", total, 1)
    allowed = f"a whole number in 0 … {total}"
    right = check_number("right", right, allowed, lambda v: isinstance(v, int) and 0 <= v <= total)
    share, z2 = right / total, _Z**2
    middle = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = _Z / (1 + z2 / total) * math.sqrt(share * (1 - share) / total + z2 / (4 * total**2))
    # With none or all right, an end is 0 or 1; rounding would leave it a hair beside.
    return (middle - half if right else 0.0), (middle + half if right < total else 1.0)


def bootstrap_interval(values: Sequence[float], draws: int = 2000, seed: int = 0) -> tuple[float, float]:
    """Return the 95 % interval of the mean of `values`: how far it moves when other items might have been measured.

    Args:
        values: One measurement per item; as many are drawn again and again, each of them perhaps several times.
        draws: How often.
        seed: Of the drawing.

    Returns:
        The lower and the upper end.

    Raises:
        ValueError: There are fewer than two values, or `draws` is not a whole number of at least 1.

    Source: Efron (1979), Bootstrap Methods: Another Look at the Jackknife.

    >>> [round(end, 1) for end in bootstrap_interval([1, 2, 3, 4, 5] * 8)]
    [2.6, 3.5]
    """
    draws = check_whole("draws", draws, 1)
    numbers = np.asarray(values, dtype=float)
    if len(numbers) < 2:
        raise ValueError(f"values must hold at least two numbers, got {len(numbers)}")
    chosen = np.random.default_rng(seed).integers(len(numbers), size=(draws, len(numbers)))
    low, high = np.quantile(numbers[chosen].mean(1), (0.025, 0.975))
    return float(low), float(high)


def means_and_intervals(values: ArrayLike) -> np.ndarray:
    """Return the mean of each row of `values` `(…, item)` with the ends of its 95 % interval, `(…, 3)`.

    The interval is the bootstrap's over the items of the row.

    Args:
        values: Numbers; torch tensors will do.

    Raises:
        ValueError: There are fewer than two items.

    >>> means_and_intervals([[0.5, 0.5], [0.75, 1.0]]).tolist()
    [[0.5, 0.5, 0.5], [0.875, 0.75, 1.0]]
    """
    return np.apply_along_axis(lambda row: (row.mean(), *bootstrap_interval(row)), -1, np.asarray(values, dtype=float))
