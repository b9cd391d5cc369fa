"""What context is worth, how far back heads look, and how prompts compare: means with their intervals."""

from collections.abc import Mapping, Sequence

import numpy as np

from course_utils.figures.base import PALETTE, CourseFigure, drawable, spoken


def means_with_intervals(
    rows: Mapping[str, tuple[float, float, float]], xlabel: str, level: tuple[str, float] | None = None
) -> CourseFigure:
    """Draw means as points with their 95 % intervals, top to bottom.

    Args:
        rows: By name: a mean, the lower and the upper end of its interval.
        xlabel: What the numbers are.
        level: Name and place of a dashed line to compare with.

    Raises:
        ValueError: There are no rows, or a mean does not lie in its interval.

    Lesson: 09 · Context length and prompting

    >>> means_with_intervals({"alone": (4.5, 4.0, 5.0)}, "bits", ("all", 3.25)).alt
    'bits, with 95 % intervals. alone: 4.50 (4.00 to 5.00). A dashed line at 3.25: all.'
    """
    if not rows:
        raise ValueError("rows must hold at least one mean, got none")
    for name, (mean, low, high) in rows.items():
        if not low <= mean <= high:
            raise ValueError(f"rows of {name!r} must be a mean inside its interval, got {mean}, {low} … {high}")
    figure = CourseFigure(figsize=(7.4, 1.0 + 0.46 * len(rows)))
    axes = figure.subplots()
    said = []
    for place, (name, (mean, low, high)) in enumerate(rows.items()):
        ends = [[mean - low], [high - mean]]
        axes.errorbar(mean, place, xerr=ends, fmt="o", color=PALETTE["blue"], capsize=5, linewidth=2, markersize=7)
        above = {"xytext": (0, 9), "textcoords": "offset points", "ha": "center", "fontsize": 9}
        above["bbox"] = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}  # over a line that may be there
        axes.annotate(f"{mean:.2f}".replace("-", "−"), (mean, place), **above)
        said.append(f"{spoken(name)}: {mean:.2f} ({low:.2f} to {high:.2f})")
    if level:
        axes.axvline(level[1], color=PALETTE["vermilion"], linestyle="--", zorder=0)
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
    groups: Sequence[tuple[str, Sequence[float]]],
    xlabel: str,
    chance: float | None = None,
    intervals: Sequence[tuple[float, float]] | None = None,
) -> CourseFigure:
    """Draw every measured value of every group as a dot, and the group's mean as a bar across.

    Args:
        groups: Pairs of a name and its values, top to bottom; values are shares, 0 to 1.
        xlabel: What the values are.
        chance: Where guessing would be, as a dotted line.
        intervals: The ends of each mean's interval, as a thin line.

    Raises:
        ValueError: A group has no values, or there aren't as many intervals as groups.

    Lesson: 09 · Context length and prompting

    >>> dots_by_group([("a list", [0.0, 0.5])], "probability", intervals=[(0.1, 0.4)]).alt
    'probability, each value as a dot: a list, mean 0.25 (95 % interval 0.10 to 0.40).'
    >>> dots_by_group([("a list", [0.0, 0.5])], "probability").alt
    'probability, each value as a dot: a list, mean 0.25 (0.00 to 0.50).'
    """
    if not groups or not all(len(values) for _, values in groups):
        raise ValueError("groups must each have at least one value, got none")
    if intervals is not None and len(intervals) != len(groups):
        raise ValueError(f"intervals must be {len(groups)}, one per group, got {len(intervals)}")
    figure = CourseFigure(figsize=(7.5, 0.9 + 0.42 * len(groups)))
    axes = figure.subplots()
    said = []
    for row, (name, values) in enumerate(groups):
        values = np.asarray(values, dtype=float)
        # Equal values would hide each other: they are spread a little, in their order.
        heights = row + (np.arange(len(values)) - (len(values) - 1) / 2) * min(0.08, 0.6 / len(values))
        axes.plot(values, heights, "o", color=PALETTE["blue"], markersize=5, alpha=0.75)
        axes.plot([values.mean()] * 2, [row - 0.4, row + 0.4], color=PALETTE["vermilion"], linewidth=3)
        low, high = (values.min(), values.max()) if intervals is None else intervals[row]
        if intervals is not None:
            axes.plot([low, high], [row, row], color=PALETTE["vermilion"], linewidth=1.5)
        what = "" if intervals is None else "95 % interval "
        said.append(f"{spoken(name)}, mean {values.mean():.2f} ({what}{low:.2f} to {high:.2f})")
    if chance is not None:
        axes.axvline(chance, color=PALETTE["grey"], linestyle=":")
    axes.set_yticks(range(len(groups)), [drawable(name) for name, _ in groups])
    axes.set(xlabel=xlabel, xlim=(-0.02, 1.02), ylim=(len(groups) - 0.5, -0.5))
    figure.alt = f"{xlabel}, each value as a dot: {'; '.join(said)}."
    return figure
