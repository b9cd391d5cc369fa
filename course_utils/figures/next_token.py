"""The next-token distribution as bars."""

import numpy as np

from course_utils.figures.base import PALETTE, CourseFigure, drawable


def next_token_bars(probabilities: np.ndarray, labels: list[str], top: int = 10) -> CourseFigure:
    """Draw the `top` most likely tokens as bars, and what all other tokens share as one hatched bar.

    Args:
        probabilities: `(vocab,)`, adding up to 1; a torch tensor will do.
        labels: The visible text of every token, `(vocab,)`.
        top: How many tokens get a bar of their own.

    Raises:
        ValueError: `probabilities` and `labels` differ in length, or `top` is not in 1 … 30.

    Lesson: 00 · Start here

    >>> next_token_bars(np.array([0.7, 0.2, 0.1]), ["␣Paris", "␣Rome", "!"], top=2)
    Next-token distribution: ␣Paris 70.0 %, ␣Rome 20.0 %; the other 1 tokens share 10.0 %.
    """
    probabilities = np.asarray(probabilities, dtype=float)
    if probabilities.shape != (len(labels),):
        raise ValueError(f"probabilities must have shape ({len(labels)},) like labels, got {probabilities.shape}")
    if not 1 <= top <= 30:
        raise ValueError(f"top must be in 1 … 30, got {top}")
    best = np.argsort(-probabilities, kind="stable")[:top]
    others = len(labels) - len(best)
    names = [labels[token] for token in best] + [f"{others:,} others"] * (others > 0)
    values = [*probabilities[best], *[1 - probabilities[best].sum()] * (others > 0)]

    figure = CourseFigure(figsize=(7, 0.6 + 0.3 * len(names)))
    axes = figure.subplots()
    bars = axes.barh(range(len(names)), values, color=PALETTE["blue"])
    if others:
        bars[-1].set(facecolor="white", edgecolor=PALETTE["grey"], hatch="///")
    axes.bar_label(bars, [f"{value:.1%}" for value in values], padding=3)
    axes.set_yticks(range(len(names)), [drawable(name) for name in names])
    axes.invert_yaxis()
    axes.set_xlim(0, max(values) * 1.15)
    axes.set_xlabel("probability of being the next token")

    shown = ", ".join(f"{labels[token]} {probabilities[token] * 100:.1f} %" for token in best)
    rest = f"; the other {others:,} tokens share {max(values[-1], 0) * 100:.1f} %" if others else ""
    figure.alt = f"Next-token distribution: {shown}{rest}."
    return figure
