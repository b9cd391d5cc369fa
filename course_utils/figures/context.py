"""What context is worth, how far back heads look, and how prompts compare: means with their intervals."""

from collections.abc import Mapping, Sequence

import numpy as np

from course_utils.experiments.intervals import bootstrap_interval
from course_utils.figures.base import PALETTE, CourseFigure, drawable, spoken


def means_with_intervals(
    rows: Mapping[str, Sequence[float]], xlabel: str, level: tuple[str, float] | None = None
) -> CourseFigure:
    """Draw the mean of every row as a point with its 95 % bootstrap interval, top to bottom.

    Args:
        rows: By name: one number per item that was measured; torch tensors will do.
        xlabel: What the numbers are.
        level: Name and place of a dashed line to compare with.

    Raises:
        ValueError: There are no rows, or a row has fewer than two numbers.

    Lesson: 09 · Context length and prompting

    >>> means_with_intervals({"alone": [5.0, 4.0], "after": [4.0, 3.0]}, "bits", ("all", 3.25)).alt
    'bits, with 95 % intervals. alone: 4.50 (4.00 to 5.00); after: 3.50 (3.00 to 4.00). A dashed line at 3.25: all.'
    """
    if not rows:
        raise ValueError("rows must hold at least one row, got none")
    figure = CourseFigure(figsize=(7.4, 1.0 + 0.46 * len(rows)))
    axes = figure.subplots()
    said = []
    for place, (name, values) in enumerate(rows.items()):
        values = np.asarray(values, dtype=float)
        mean, (low, high) = values.mean(), bootstrap_interval(values)
        ends = [[mean - low], [high - mean]]
        axes.errorbar(mean, place, xerr=ends, fmt="o", color=PALETTE["blue"], capsize=5, linewidth=2, markersize=7)
        above = {"xytext": (0, 8), "textcoords": "offset points", "ha": "center", "fontsize": 9}
        axes.annotate(f"{mean:.2f}", (mean, place), **above)
        said.append(f"{spoken(name)}: {mean:.2f} ({low:.2f} to {high:.2f})")
    if level:
        axes.axvline(level[1], color=PALETTE["vermilion"], linestyle="--")
        beside = {"xytext": (4, -2), "textcoords": "offset points", "va": "top", "fontsize": 8}
        axes.annotate(level[0], (level[1], 1), xycoords=("data", "axes fraction"), color=PALETTE["vermilion"], **beside)
    axes.set_yticks(range(len(rows)), [drawable(name) for name in rows])
    axes.set(xlabel=f"{xlabel} (95 % interval)", ylim=(len(rows) - 0.5, -0.8))
    line = f" A dashed line at {level[1]:.2f}: {level[0]}." if level else ""
    figure.alt = f"{xlabel}, with 95 % intervals. {'; '.join(said)}.{line}"
    return figure


def head_spans(spans: Sequence[tuple[str, np.ndarray]]) -> CourseFigure:
    """Draw how far back every head looks: one dot per head, one column per layer, one panel per way of measuring.

    Args:
        spans: Pairs of a title and mean distances in tokens, `(layer, head)`; torch tensors will do.

    Raises:
        ValueError: There are no spans, or they have different shapes.

    Lesson: 09 · Context length and prompting

    >>> head_spans([("all", np.array([[1.0, 3.0], [2.0, 8.0]]))]).alt
    'How far back 4 heads look, in tokens. all: median 2.5, nearest 1.0 (layer 0), farthest 8.0 (layer 1).'
    """
    arrays = [(title, np.asarray(values, dtype=float)) for title, values in spans]
    if not arrays or len({values.shape for _, values in arrays}) != 1:
        raise ValueError(f"spans must be arrays of one shape, got {[values.shape for _, values in arrays]}")
    figure = CourseFigure(figsize=(8, 3.2))
    most = max(values.max() for _, values in arrays) * 1.08
    said = []
    for axes, (title, values) in zip(
        figure.subplots(1, len(arrays), sharey=True, squeeze=False)[0], arrays, strict=True
    ):
        layers = np.repeat(np.arange(values.shape[0]), values.shape[1])
        axes.plot(layers, values.ravel(), "o", markersize=3.5, color=PALETTE["blue"], alpha=0.7)
        median = np.median(values)
        axes.axhline(median, color=PALETTE["vermilion"], linestyle="--")
        axes.set(title=f"{title}\nmedian {median:.0f} tokens", xlabel="layer", ylim=(0, most))
        near, far = (np.unravel_index(find(values), values.shape)[0] for find in (np.argmin, np.argmax))
        said.append(
            f"{title}: median {median:.1f}, nearest {values.min():.1f} (layer {near}), "
            f"farthest {values.max():.1f} (layer {far})"
        )
    figure.axes[0].set_ylabel("mean distance (tokens)")
    figure.alt = f"How far back {arrays[0][1].size} heads look, in tokens. {'; '.join(said)}."
    return figure


def dots_by_group(
    groups: Sequence[tuple[str, Sequence[float]]], xlabel: str, chance: float | None = None
) -> CourseFigure:
    """Draw every measured value of every group as a dot, its mean as a bar across, and the mean's 95 % interval.

    Args:
        groups: Pairs of a name and its values, top to bottom; values are shares, 0 to 1.
        xlabel: What the values are.
        chance: Where guessing would be, as a dotted line.

    Raises:
        ValueError: A group has fewer than two values.

    Lesson: 09 · Context length and prompting

    >>> dots_by_group([("list", [0.0, 0.5])], "probability", chance=0.5).alt
    'probability, each value as a dot: list, mean 0.25 (95 % interval 0.00 to 0.50).'
    """
    if not groups or not all(len(values) > 1 for _, values in groups):
        raise ValueError("groups must each have at least two values")
    figure = CourseFigure(figsize=(7.5, 0.9 + 0.42 * len(groups)))
    axes = figure.subplots()
    said = []
    for row, (name, values) in enumerate(groups):
        values = np.asarray(values, dtype=float)
        # Equal values would hide each other: they are spread a little, in their order.
        heights = row + (np.arange(len(values)) - (len(values) - 1) / 2) * min(0.08, 0.6 / len(values))
        axes.plot(values, heights, "o", color=PALETTE["blue"], markersize=5, alpha=0.75)
        low, high = bootstrap_interval(values)
        axes.plot([values.mean()] * 2, [row - 0.4, row + 0.4], color=PALETTE["vermilion"], linewidth=3)
        axes.plot([low, high], [row, row], color=PALETTE["vermilion"], linewidth=1.5)
        said.append(f"{spoken(name)}, mean {values.mean():.2f} (95 % interval {low:.2f} to {high:.2f})")
    if chance is not None:
        axes.axvline(chance, color=PALETTE["grey"], linestyle=":")
    axes.set_yticks(range(len(groups)), [drawable(name) for name, _ in groups])
    axes.set(xlabel=xlabel, xlim=(-0.02, 1.02), ylim=(len(groups) - 0.5, -0.5))
    figure.alt = f"{xlabel}, each value as a dot: {'; '.join(said)}."
    return figure
