"""Who looks at whom, as a map: a row a token that looks, a column a token that is looked at."""

from collections.abc import Sequence

import numpy as np

from course_utils.figures.base import CourseFigure, drawable, spoken


def attention_map(
    weights: np.ndarray, query_tokens: Sequence[str], key_tokens: Sequence[str], title: str = ""
) -> CourseFigure:
    """Draw weights of attention; the largest of each row has its number in it, so that colour is not needed.

    Args:
        weights: `(query, key)`.
        query_tokens: The tokens that look, top to bottom.
        key_tokens: The tokens that are looked at, left to right.
        title: Above the map.

    Raises:
        ValueError: The weights do not fit the tokens.

    Lesson: 04 · The pipeline tasks; 08 · Attention

    >>> attention_map(np.array([[0.9, 0.1], [0.2, 0.8]]), ["le", "chat"], ["the", "cat"]).alt
    'A map of attention, 2 rows, 2 columns. le looks most at the (0.90); chat looks most at cat (0.80).'
    """
    shape = len(query_tokens), len(key_tokens)
    if weights.shape != shape:
        raise ValueError(f"weights must have shape {shape} like the tokens, got {weights.shape}")
    figure = CourseFigure(figsize=(1.6 + 0.62 * shape[1], 1.2 + 0.36 * shape[0]), layout="constrained")
    axes = figure.subplots()
    axes.imshow(weights, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(shape[1]), [drawable(token) for token in key_tokens], rotation=40, ha="right")
    axes.set_yticks(range(shape[0]), [drawable(token) for token in query_tokens])
    axes.set_title(drawable(title), loc="left", fontsize=10)
    best = weights.argmax(-1)
    for row, column in enumerate(best):
        value = weights[row, column]
        axes.text(column, row, f"{value:.2f}", ha="center", va="center", color="black" if value > 0.6 else "white")
    looks = "; ".join(
        f"{spoken(token)} looks most at {spoken(key_tokens[column])} ({weights[row, column]:.2f})"
        for row, (token, column) in enumerate(zip(query_tokens, best, strict=True))
    )
    figure.alt = f"A map of attention, {shape[0]} rows, {shape[1]} columns. {looks}."
    return figure
