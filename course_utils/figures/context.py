"""What context is worth: surprisal by position, by what is left of the text, and how far back heads look."""

from collections.abc import Sequence

import numpy as np

from course_utils.figures.base import PALETTE, CourseFigure, drawable, spoken


def surprisal_by_position(bits: np.ndarray, bin_size: int = 128) -> CourseFigure:
    """Draw the mean surprisal of every `bin_size` tokens of one text, with one standard error up and down.

    Args:
        bits: One number per token, `(seq,)`; a torch tensor will do.
        bin_size: How many tokens share one point; a last bin that is less than half full is left out.

    Raises:
        ValueError: There are fewer than two tokens in a bin, or no full bin.

    Lesson: 09 · Context length and prompting

    >>> surprisal_by_position(np.array([6.0, 4.0, 3.0, 1.0]), bin_size=2).alt
    'Mean surprisal by position in the text, in bits: tokens 1 to 2: 5.0; tokens 3 to 4: 2.0.'
    """
    bits = np.asarray(bits, dtype=float)
    if bin_size < 2 or len(bits) < bin_size:
        raise ValueError(f"bin_size must be in 2 … {len(bits)}, got {bin_size}")
    starts = [start for start in range(0, len(bits), bin_size) if len(bits) - start >= bin_size / 2]
    bins = [bits[start : start + bin_size] for start in starts]
    means = [part.mean() for part in bins]
    errors = [part.std(ddof=1) / np.sqrt(len(part)) for part in bins]
    figure = CourseFigure(figsize=(7, 3))
    axes = figure.subplots()
    middles = [start + len(part) / 2 for start, part in zip(starts, bins, strict=True)]
    axes.errorbar(middles, means, yerr=errors, color=PALETTE["blue"], marker="o", capsize=3)
    axes.set(
        xlabel=f"position in the text (tokens, {bin_size} a point)", ylabel="mean surprisal (bits)", ylim=(0, None)
    )
    said = "; ".join(
        f"tokens {start + 1} to {start + len(part)}: {mean:.1f}"
        for start, part, mean in zip(starts, bins, means, strict=True)
    )
    figure.alt = f"Mean surprisal by position in the text, in bits: {said}."
    return figure


def line_of_values(
    names: Sequence[str], values: Sequence[float], xlabel: str, ylabel: str, level: tuple[str, float] | None = None
) -> CourseFigure:
    """Draw one number per setting as points on a line, each with its value, and one level to compare them with.

    Args:
        names: The settings, left to right.
        values: A number each.
        xlabel: What the settings are.
        ylabel: What the numbers are.
        level: Name and height of a dashed line.

    Raises:
        ValueError: There are not as many names as values.

    Lesson: 09 · Context length and prompting

    >>> line_of_values(["0", "64"], [5.0, 4.25], "tokens before", "bits", ("all", 4.0)).alt
    'bits by tokens before: 0: 5.00, 64: 4.25. A dashed line at 4.00: all.'
    """
    if len(names) != len(values):
        raise ValueError(f"values must be {len(names)} numbers, one per name, got {len(values)}")
    figure = CourseFigure(figsize=(7, 2.8))
    axes = figure.subplots()
    axes.plot(range(len(values)), values, color=PALETTE["blue"], marker="o")
    for place, value in enumerate(values):
        axes.annotate(f"{value:.2f}", (place, value), xytext=(0, 7), textcoords="offset points", ha="center")
    if level:
        axes.axhline(level[1], color=PALETTE["vermilion"], linestyle="--")
        axes.annotate(
            level[0], (len(values) - 1, level[1]), xytext=(0, -12), textcoords="offset points", ha="right",
            color=PALETTE["vermilion"],
        )  # fmt: skip
    axes.set_xticks(range(len(names)), names)
    axes.margins(x=0.08, y=0.25)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    said = ", ".join(f"{name}: {value:.2f}" for name, value in zip(names, values, strict=True))
    line = f" A dashed line at {level[1]:.2f}: {level[0]}." if level else ""
    figure.alt = f"{ylabel} by {xlabel}: {said}.{line}"
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
    """Draw every measured value of every group as a dot, and the group's mean as a bar across.

    Args:
        groups: Pairs of a name and its values, top to bottom; values are shares, 0 to 1.
        xlabel: What the values are.
        chance: Where guessing would be, as a dotted line.

    Raises:
        ValueError: A group has no values.

    Lesson: 09 · Context length and prompting

    >>> dots_by_group([("a question", [0.0, 0.5]), ("a list", [1.0])], "probability").alt
    'probability, each value as a dot: a question, mean 0.25 (0.00 to 0.50); a list, mean 1.00 (1.00 to 1.00).'
    """
    if not groups or not all(len(values) for _, values in groups):
        raise ValueError("groups must each have at least one value, got none")
    figure = CourseFigure(figsize=(7.5, 0.9 + 0.42 * len(groups)))
    axes = figure.subplots()
    said = []
    for row, (name, values) in enumerate(groups):
        values = np.asarray(values, dtype=float)
        # Equal values would hide each other: they are spread a little, in their order.
        heights = row + (np.arange(len(values)) - (len(values) - 1) / 2) * min(0.08, 0.6 / len(values))
        axes.plot(values, heights, "o", color=PALETTE["blue"], markersize=5, alpha=0.75)
        axes.plot([values.mean()] * 2, [row - 0.4, row + 0.4], color=PALETTE["vermilion"], linewidth=3)
        said.append(f"{spoken(name)}, mean {values.mean():.2f} ({values.min():.2f} to {values.max():.2f})")
    if chance is not None:
        axes.axvline(chance, color=PALETTE["grey"], linestyle=":")
    axes.set_yticks(range(len(groups)), [drawable(name) for name, _ in groups])
    axes.set(xlabel=xlabel, xlim=(-0.02, 1.02), ylim=(len(groups) - 0.5, -0.5))
    figure.alt = f"{xlabel}, each value as a dot: {'; '.join(said)}."
    return figure
