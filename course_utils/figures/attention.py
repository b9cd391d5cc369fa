"""Who looks at whom, as a map: one row per token that looks, one column per token that is looked at."""

from collections.abc import Sequence

import numpy as np
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from course_utils.figures.base import PALETTE, CourseFigure, drawable, quoted, spoken

_MOST_NAMED = 20  # tokens at the sides that can be read


def attention_map(
    weights: np.ndarray, query_tokens: Sequence[str], key_tokens: Sequence[str], title: str = ""
) -> CourseFigure:
    """Draw weights of attention; the largest of each row has its number in it, so that colour is not needed.

    In a small map, of up to 16 weights, each has its number.

    Args:
        weights: `(query, key)`.
        query_tokens: The tokens that look, top to bottom.
        key_tokens: The tokens that are looked at, left to right.
        title: Above the map.

    Raises:
        ValueError: The weights do not fit the tokens.

    Lesson: 04 · The pipeline tasks; 08 · Attention

    >>> attention_map(np.array([[0.9, 0.1], [0.2, 0.8]]), ["le", "chat"], ["the", "cat"]).alt
    'A map of attention, 2 rows, 2 columns. “le” looks most at “the” (0.90); “chat” looks most at “cat” (0.80).'
    """
    shape = len(query_tokens), len(key_tokens)
    if weights.shape != shape:
        raise ValueError(f"weights must have shape {shape} like the tokens, got {weights.shape}")
    figure = CourseFigure(figsize=(1.6 + 0.62 * shape[1], 1.2 + 0.36 * shape[0]), shows_frame=True)
    axes = figure.subplots()
    axes.imshow(weights, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(shape[1]), [drawable(token) for token in key_tokens], rotation=40, ha="right")
    axes.set_yticks(range(shape[0]), [drawable(token) for token in query_tokens])
    axes.set(xlabel="is looked at", ylabel="looks")
    axes.set_title(drawable(title), loc="left", fontsize=10)
    best = weights.argmax(-1)
    numbered = np.ndindex(shape) if weights.size <= 16 else enumerate(best)
    for row, column in numbered:
        value = weights[row, column]
        axes.text(column, row, f"{value:.2f}", ha="center", va="center", color="white" if value > 0.71 else "black")
    looks = "; ".join(
        f"{_named(token)} looks most at {_named(key_tokens[column])} ({weights[row, column]:.2f})"
        for row, (token, column) in enumerate(zip(query_tokens, best, strict=True))
    )
    figure.alt = f"A map of attention, {shape[0]} rows, {shape[1]} columns. {looks}."
    return figure


def head_explorer(
    values: np.ndarray,
    measure: str,
    matrix: np.ndarray,
    query_tokens: Sequence[str],
    key_tokens: Sequence[str],
    focus: tuple[int, int],
    title: str = "",
    key_value_heads: int | None = None,
) -> CourseFigure:
    """Draw one number for every head, and one head in full; cells that a mask hides (−∞) are hatched.

    Args:
        values: `(layer, head)`.
        measure: What `values` say.
        matrix: `(query, key)` of the head in full; −∞ where it is masked.
        query_tokens: The tokens that look, top to bottom.
        key_tokens: The tokens that are looked at, left to right.
        focus: Layer and head of `matrix`.
        title: What `matrix` is.
        key_value_heads: A line parts heads that read from different ones; None draws no lines.

    Raises:
        ValueError: The matrix does not fit the tokens.

    Lesson: 08 · Attention

    >>> values, tokens = np.array([[0.1, 0.2], [0.3, 0.9]]), ["a", "b"]
    >>> head_explorer(values, "entropy", np.array([[1, 0], [0.3, 0.7]]), tokens, tokens, (1, 0), "softmax").alt[54:]
    'Head 1.0, softmax: “a” looks at “a” (1.00), “b” at “b” (0.70).'
    """
    shape = len(query_tokens), len(key_tokens)
    if matrix.shape != shape:
        raise ValueError(f"matrix must have shape {shape} like the tokens, got {matrix.shape}")
    figure = CourseFigure(figsize=(7.9, 4.4), shows_frame=True)
    every, full = figure.subplots(1, 2, width_ratios=(1.2, 1))
    layers, heads = values.shape
    best = _every(figure, every, values, measure, key_value_heads)
    every.add_patch(Rectangle((focus[0] - 0.5, focus[1] - 0.5), 1, 1, fill=False, color=PALETTE["orange"], linewidth=2))
    figure.colorbar(_full(full, matrix, query_tokens, key_tokens), ax=full, shrink=0.8)
    marks = ", ○ largest of its row" if max(shape) <= _MOST_NAMED else ""
    full.set_title(f"head {focus[0]}.{focus[1]}, {title}{marks}", loc="left", fontsize=10)
    figure.headline("All heads by one number, and one head in full: who looks at whom")
    looking = _looking(matrix)
    looks = ", ".join(
        f"{_named(query_tokens[row])}{' looks' * (row == 0)} at "
        + (f"{_named(key_tokens[key])} ({matrix[row, key]:.2f})" if looking[row] else "nothing")
        for row, key in enumerate(matrix.argmax(-1)[:8])
    )
    more = f", and {shape[0] - 8} more rows" if shape[0] > 8 else ""
    figure.alt = (
        f"“{measure}” of {layers} × {heads} heads, largest in head {best[0]}.{best[1]} ({values[best]:.2f}). "
        f"Head {focus[0]}.{focus[1]}, {title}: {looks}{more}."
    )
    return figure


def head_map(values: np.ndarray, measure: str, key_value_heads: int | None = None) -> CourseFigure:
    """Draw one number for every head, and name the five largest in the alt text.

    Args:
        values: `(layer, head)`; a torch tensor will do.
        measure: What the values say.
        key_value_heads: A line parts heads that read from different ones; None draws no lines.

    Raises:
        ValueError: The values aren't `(layer, head)`.

    Lesson: 08 · Attention

    >>> head_map(np.array([[0.1, 0.2], [0.3, 0.9]]), "rise").alt
    'rise, of 2 × 2 heads. Largest: 1.1 (0.90), 1.0 (0.30), 0.1 (0.20), 0.0 (0.10).'
    """
    values = np.asarray(values)
    if values.ndim != 2:
        raise ValueError(f"values must have shape (layer, head), got {values.shape}")
    figure = CourseFigure(figsize=(7.9, 3.2), shows_frame=True)
    _every(figure, figure.subplots(), values, measure, key_value_heads)
    layers, heads = values.shape
    largest = [divmod(int(place), heads) for place in values.argsort(axis=None)[::-1][:5]]
    said = ", ".join(f"{layer}.{head} ({values[layer, head]:.2f})" for layer, head in largest)
    figure.alt = f"{measure}, of {layers} × {heads} heads. Largest: {said}."
    return figure


def _every(
    figure: CourseFigure, axes, values: np.ndarray, measure: str, key_value_heads: int | None
) -> tuple[int, int]:
    """One number for every head, one column per layer, and a star on the largest; return where it is."""
    heads = values.shape[1]
    group = heads // (key_value_heads or heads)
    best = tuple(map(int, np.unravel_index(values.argmax(), values.shape)))
    scale = axes.imshow(values.T, cmap="Blues", aspect="auto")
    figure.colorbar(scale, ax=axes, shrink=0.8)
    for edge in range(group, heads, group) if group > 1 else ():
        axes.axhline(edge - 0.5, color=PALETTE["grey"], linewidth=1.5)
    axes.plot(*best, "*", color=PALETTE["vermilion"], markersize=11, markeredgecolor="white")
    axes.set(xlabel="layer", ylabel="head" + f", {group} on one KV head" * (group > 1), yticks=range(heads))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_title(f"{measure}: ★ {best[0]}.{best[1]} ({values[best]:.2f})", loc="left", fontsize=10)
    return best


def _named(token: str) -> str:
    return quoted(spoken(token))


def _looking(matrix: np.ndarray) -> np.ndarray:
    """Whether a row has a largest value: not if all that it might look at is hidden."""
    return (np.isfinite(matrix) & (matrix != 0)).any(-1)


def _full(axes, matrix: np.ndarray, query_tokens: Sequence[str], key_tokens: Sequence[str]) -> AxesImage:
    """One head: colours, a hatch over what is masked, and the tokens at the sides while they can be read."""
    hidden = np.isneginf(matrix)
    colours = np.ma.masked_array(matrix, hidden)
    if max(matrix.shape) > 64:  # the largest of each patch: more could not be seen, and the picture stays small
        for axis in (0, 1):
            colours = np.maximum.reduceat(colours, np.arange(64) * matrix.shape[axis] // 64, axis=axis)
    axes.set_facecolor("white")
    axes.patch.set(hatch="////", edgecolor=PALETTE["grey"])
    image = axes.imshow(
        colours, cmap="Blues", aspect="auto", extent=(-0.5, matrix.shape[1] - 0.5, matrix.shape[0] - 0.5, -0.5)
    )
    axes.set(xlabel="looked at", ylabel="looks")
    if max(matrix.shape) > _MOST_NAMED:
        return image
    look = {"rotation": 60, "ha": "right", "rotation_mode": "anchor", "fontsize": 9}
    axes.set_xticks(range(matrix.shape[1]), map(drawable, key_tokens), **look)
    axes.set_yticks(range(matrix.shape[0]), map(drawable, query_tokens), fontsize=9)
    rows = np.flatnonzero(_looking(matrix))
    axes.plot(matrix[rows].argmax(-1), rows, "o", fillstyle="none", markersize=4, color=PALETTE["vermilion"])
    return image
