"""The next-token distribution: as bars, and as a column for every token of a text while it's written."""

from collections.abc import Sequence

import numpy as np
from matplotlib.patches import Rectangle

from course_utils.figures.base import PALETTE, CourseFigure, cut, drawable, quoted, spoken


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


def written_tokens(
    prompt: str, probabilities: np.ndarray, chosen: Sequence[int], labels: Sequence[str], top: int = 4
) -> CourseFigure:
    """Draw how a text was written: one column per step with the likeliest tokens, the chosen one in a frame.

    Args:
        prompt: The text before the first step.
        probabilities: Of every token at each step, `(step, vocab)`; a torch tensor will do.
        chosen: The id of the token that was appended in each step, `(step,)`.
        labels: The visible text of every token, `(vocab,)`.
        top: How many tokens a column has, 1 to 6; a chosen one that isn't among them gets a row at the bottom.

    Raises:
        ValueError: There are not 1 to 16 steps, their number isn't the one of `chosen`, or `top` is out of its range.

    Lesson: 00 · Start here

    >>> written_tokens("I", np.array([[0.7, 0.3], [0.1, 0.9]]), [1, 1], ["␣am", "␣see"], top=2)
    After “I”, 2 tokens were written: “␣see” 30 %, where “␣am” was likelier with 70 %; “␣see” 90 %.
    """
    values = np.asarray(probabilities, dtype=float)
    if values.shape != (len(chosen), len(labels)) or not 1 <= len(chosen) <= 16:
        raise ValueError(
            f"probabilities must have shape (1 to 16 steps, {len(labels)}) with {len(chosen)} steps, got {values.shape}"
        )
    if not 1 <= top <= 6:
        raise ValueError(f"top must be in 1 … 6, got {top}")
    best = np.argsort(-values, axis=1, kind="stable")[:, :top]
    rows = top + any(token not in column for token, column in zip(chosen, best, strict=True))
    figure = CourseFigure(figsize=(0.86 * len(chosen) + 0.2, 0.52 * rows + 0.6))
    axes, said = figure.subplots(), []
    for step, (token, column) in enumerate(zip(map(int, chosen), best.tolist(), strict=True)):
        shown = column if token in column else [*column, token]
        for row, one in enumerate(shown):
            _written_cell(axes, step, row if row < top else rows - 1, labels[one], values[step, one], one == token)
        said.append(_written_step(labels, values[step], token, column[0]))
    axes.set(xlim=(-0.52, len(chosen) - 0.48), ylim=(rows - 0.48, -0.52), xticks=range(len(chosen)), yticks=[])
    axes.set_xticklabels(range(1, len(chosen) + 1), fontsize=8)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title(drawable(f"{cut(prompt, 60)} …"), loc="left", fontsize=11)
    axes.set_xlabel("step", fontsize=9)
    figure.alt = f"After {quoted(prompt)}, {len(chosen)} tokens were written: {'; '.join(said)}."
    return figure


def _written_cell(axes, step: int, row: int, label: str, probability: float, is_chosen: bool) -> None:
    """Draw one token of one step: the likelier, the darker; in a frame if it was chosen."""
    strength = probability**0.6  # or a token of 10 % would look like none
    axes.add_patch(Rectangle((step - 0.47, row - 0.45), 0.94, 0.9, color=PALETTE["sky"], alpha=strength, linewidth=0))
    if is_chosen:
        frame = {"edgecolor": PALETTE["vermilion"], "linewidth": 2.2}
        axes.add_patch(Rectangle((step - 0.46, row - 0.44), 0.92, 0.88, fill=False, **frame))
    weight = "bold" if is_chosen else "normal"
    axes.text(step, row - 0.13, drawable(cut(label, 9)), ha="center", va="center", fontsize=8.5, weight=weight)
    axes.text(step, row + 0.24, _percent(probability), ha="center", va="center", fontsize=7.5)


def _written_step(labels: Sequence[str], values: np.ndarray, token: int, best: int) -> str:
    said = f"{quoted(spoken(labels[token]))} {_percent(values[token])}"
    if values[best] > values[token]:
        said += f", where {quoted(spoken(labels[best]))} was likelier with {_percent(values[best])}"
    return said


def _percent(probability: float) -> str:
    """Write a probability without digits after the point; what is not 0 is never written as 0."""
    return "< 1 %" if 0 < probability < 0.005 else f"{probability * 100:.0f} %"
