"""What every sampling filter did to the most likely tokens, one column per stage."""

from collections.abc import Sequence

import numpy as np
from matplotlib.patches import Rectangle

from course_utils.figures.base import PALETTE, CourseFigure, cut, drawable, quoted


def sampling_stages(
    stages: Sequence[tuple[str, np.ndarray]], labels: Sequence[str], top: int = 12, drawn: np.ndarray | None = None
) -> CourseFigure:
    """Draw one column per stage: the probabilities after it, removed tokens struck out with the filter's name.

    All columns share one scale, so a bar that grows from one column to the next is a probability that grows. Over each
    column is how many tokens are left, and as a strip, what those in the picture share of the whole probability.

    Args:
        stages: Name and probabilities `(vocab,)` of the start and of every filter, in their order. A removed
            token has probability 0.
        labels: The visible text of every token, `(vocab,)`.
        top: How many tokens to show, by their probability at the start.
        drawn: How often each token was drawn, `(vocab,)`; shown as diamonds over the last column.

    Lesson: 11 · Sampling

    >>> start, kept = np.array([0.6, 0.3, 0.1]), np.array([2 / 3, 1 / 3, 0])
    >>> sampling_stages([("start", start), ("top_p 0.9", kept)], ["a", "b", "c"])
    Sampling in 1 step: start keeps 3 tokens, top_p 0.9 keeps 2. Most likely at the end: “a” 66.7 %, “b” 33.3 %.
    """
    rows = np.argsort(-stages[0][1], kind="stable")[:top]
    figure = CourseFigure(figsize=(1.4 + 1.5 * len(stages), 1.6 + 0.26 * len(rows)))
    columns = figure.subplots(1, len(stages), sharey=True, squeeze=False)[0]
    shares = drawn[rows] / drawn.sum() if drawn is not None and drawn.sum() else np.zeros(len(rows))
    longest = max(*(probabilities[rows].max() for _, probabilities in stages), 1e-9)  # never a scale of width 0
    width = max(longest * 1.6, shares.max() * 1.1)  # room at the right for the numbers
    for column, axes in enumerate(columns):
        _column(axes, stages, column, rows, width)
    seen = shares.nonzero()[0]
    columns[-1].plot(shares[seen], seen, "D", markersize=4, color=PALETTE["orange"], markeredgecolor="black")
    columns[0].set_yticks(range(len(rows)), [drawable(cut(labels[token], 14)) for token in rows])
    columns[0].invert_yaxis()
    figure.colors = 64
    figure.headline(f"What each filter leaves of the {len(labels):,} tokens, and what these {len(rows)} share")
    figure.alt = _alt(stages, labels, drawn)
    return figure


def _column(axes, stages, column, rows, width) -> None:
    name, probabilities = stages[column]
    axes.barh(range(len(rows)), probabilities[rows], color=PALETTE["sky"], edgecolor=PALETTE["blue"])
    for row, token in enumerate(rows):
        if probabilities[token] > 0:
            axes.text(probabilities[token] + width * 0.02, row, _share(probabilities[token]), va="center", fontsize=9)
        elif column and stages[column - 1][1][token] > 0:
            axes.axhline(row, color=PALETTE["vermilion"], linewidth=1)
            filter_name = name.split()[0]
            axes.text(
                width * 0.3, row, f"✗ {filter_name}", va="center", fontsize=9, color=PALETTE["vermilion"],
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
            )  # fmt: skip
    axes.set_xlim(0, width)
    shown = min(probabilities[rows].sum(), 1)
    whole = {"transform": axes.transAxes, "clip_on": False, "edgecolor": "black", "linewidth": 0.6}
    axes.add_patch(Rectangle((0, 1.02), 1, 0.035, facecolor="white", **whole))
    axes.add_patch(Rectangle((0, 1.02), shown, 0.035, facecolor=PALETTE["blue"], **whole))
    words = f"{name}\n{np.count_nonzero(probabilities):,} kept\nthey share {shown * 100:.1f} %"
    axes.set_title(words, fontsize=9, pad=17, loc="left")
    axes.locator_params(axis="x", nbins=2)
    axes.tick_params(labelsize=9)


def _share(probability: float) -> str:
    return f"{probability:.3f}" if probability >= 0.0005 else f"{max(probability, 1e-6):.6f}".rstrip("0")


def _alt(stages, labels, drawn) -> str:
    kept = ", ".join(
        f"{name} keeps {np.count_nonzero(probabilities):,}" + (" tokens" if number == 0 else "")
        for number, (name, probabilities) in enumerate(stages)
    )
    last = stages[-1][1]
    best = [token for token in np.argsort(-last, kind="stable")[:3] if last[token] > 0]
    ranking = ", ".join(f"{quoted(labels[token])} {last[token] * 100:.1f} %" for token in best)
    steps = f"{len(stages) - 1} step" + "s" * (len(stages) != 2)
    draws = f" Diamonds: shares of {drawn.sum():,} draws." if drawn is not None and drawn.sum() else ""
    return f"Sampling in {steps}: {kept}. Most likely at the end: {ranking}.{draws}"
