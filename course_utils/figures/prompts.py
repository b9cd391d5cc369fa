"""Next-token distributions side by side: of two prompts, and of a batch under a mask."""

from collections.abc import Sequence

import numpy as np

from course_utils.figures.base import PALETTE, CourseFigure, cut, drawable, quoted, spoken

_NAMED, _ROW = 16, 0.16  # tokens of a grid that have room for their names, and the inches of one


def explored_prompts(sides: Sequence[dict], bars: int, changes: dict | None, bits: bool = True) -> CourseFigure:
    """Draw one or two prompts: surprisal of their last tokens above, the next-token distribution below.

    Args:
        sides: One or two dicts as the next-token explorer makes them: `tokens`, `bits`, `best`, `entropy`.
        bars: How many tokens get a bar; the picture has room for 12.
        changes: `moved`, the share of probability that two distributions do not have in common; None for one prompt.
        bits: Whether surprisal and entropy are shown, or the end of the prompt instead.

    Lesson: 09 · Context length and prompting

    >>> side = {"tokens": ["a", "b"], "bits": [None, 2.0], "best": [[0, "x", 0.5], [1, "y", 0.3]], "entropy": 2}
    >>> print(explored_prompts([side], 1, None).alt)
    Next-token explorer. After “ab”: “x” 50.0 %, entropy 2.00 bits; most surprising token of the prompt: “b”, 2.0 bits.
    >>> print(explored_prompts([side], 2, None, bits=False).alt)
    Next-token explorer. After “ab”: “x” 50.0 %, “y” 30.0 %.
    """
    bars = min(bars, 12)
    figure = CourseFigure(figsize=(3.3 * len(sides) + 1, (2.9 if bits else 1.2) + 0.24 * bars))
    heights = [1.1, 0.24 * bars + 0.6] if bits else [1]
    grid = figure.subplots(len(heights), len(sides), squeeze=False, height_ratios=heights)
    most = max((value for side in sides for value in side["bits"][-14:] if value is not None), default=1) if bits else 1
    for column, side in enumerate(sides):
        below = grid[-1, column]
        _next_bars(below, side["best"][:bars])
        after = f"After “{_end_of_text(side['tokens'], 36)}”"
        if bits:
            _surprisal_bars(grid[0, column], side["tokens"][-14:], side["bits"][-14:], most)
            grid[0, column].set_title(drawable(after), fontsize=10, loc="left")
            below.set_title(f"what comes next? entropy {side['entropy']:.2f} bits", fontsize=9, loc="left")
        else:
            below.set_title(drawable(f"{after}: what comes next?"), fontsize=10, loc="left")
        below.set_xlabel("probability", fontsize=9)
    if bits:
        grid[0, 0].set_ylabel("surprisal (bits)", fontsize=9)
    said = " ".join(_explored(side, bars, bits) for side in sides)
    moved = f" {changes['moved'] * 100:.0f} % of the probability moved from the first to the second." if changes else ""
    figure.alt = f"Next-token explorer. {said}{moved}"
    return figure


def _end_of_text(tokens: Sequence[str], most: int) -> str:
    """Return the last tokens that fit into a title, as a text."""
    text = ""
    for token in reversed(tokens):
        if len(token) + len(text) > most:
            return f"… {text.replace('␣', ' ').strip()}"
        text = token + text
    return text.replace("␣", " ")


def _next_bars(axes, best: Sequence) -> None:
    """The likeliest tokens, and below them all others together, on a scale from 0 to 1."""
    chances = [*(p for _, _, p in best), max(1 - sum(p for _, _, p in best), 0)]
    drawn = axes.barh(range(len(chances)), chances, color=PALETTE["blue"])
    drawn[-1].set(facecolor="white", edgecolor=PALETTE["grey"], hatch="////")
    axes.bar_label(drawn, [f"{p:.1%}" for p in chances], padding=3, fontsize=9)
    names = [*(drawable(cut(label, 14)) for _, label, _ in best), "all others"]
    axes.set_yticks(range(len(chances)), names, fontsize=9)
    axes.set(xlim=(0, 1.19), ylim=(len(chances) - 0.5, -0.5))
    axes.set_xticks([0, 0.5, 1])
    axes.tick_params(labelsize=9)


def _surprisal_bars(axes, tokens: Sequence[str], bits: Sequence[float | None], most: float) -> None:
    axes.bar(range(len(bits)), [value or 0 for value in bits], color=PALETTE["orange"], edgecolor="black")
    names = [drawable(cut(token, 10)) for token in tokens]
    axes.set_xticks(range(len(tokens)), names, rotation=50, ha="right")
    axes.set_ylim(0, most * 1.05)
    axes.tick_params(labelsize=9)


def _explored(side: dict, bars: int, bits: bool) -> str:
    text = quoted("".join(spoken(token) for token in side["tokens"][-14:]))
    best = [f"{quoted(spoken(label))} {p * 100:.1f} %" for _, label, p in side["best"]]
    if not bits:
        return f"After {text}: {', '.join(best[: min(bars, 3)])}."
    said = f"After {text}: {best[0]}, entropy {side['entropy']:.2f} bits"
    known = [(value, token) for value, token in zip(side["bits"], side["tokens"], strict=True) if value is not None]
    if not known:
        return f"{said}."
    value, token = max(known)
    return f"{said}; most surprising token of the prompt: {quoted(spoken(token))}, {value:.1f} bits."


def masked_batch(rows: Sequence[dict], title: str) -> CourseFigure:
    """Draw a batch under a mask: for every prompt who may look at whom, and its distribution beside that of it alone.

    Args:
        rows: One dict per prompt: `mask` bool `(query, key)`; `tokens`, one per column, None for padding; `reads_at`,
            the column whose logits are read; `best`, rows of label, probability alone, probability now; `moved`.
        title: What is drawn.

    Lesson: 09 · Context length and prompting

    >>> row = {"mask": np.eye(2, dtype=bool), "tokens": [None, "a"], "reads_at": 1, "best": [["x", 0.9, 0.2]]}
    >>> masked_batch([row | {"moved": 0.7}], "causal, padded left").alt
    'causal, padded left. “a”, 1 of 2 columns padding, reads at “a”: “x” 90.0 % alone, 20.0 % now; 70 % moved.'
    """
    names = [len(row["tokens"]) if len(row["tokens"]) <= _NAMED else 0 for row in rows]
    tall = [max(_ROW * named, _ROW * len(row["best"]), 1.2) for named, row in zip(names, rows, strict=True)]
    figure = CourseFigure(figsize=(7.6, sum(tall) + 0.7 * len(rows) + 0.8))
    figure.colors = 64
    said = []
    grid = figure.subplots(len(rows), 2, squeeze=False, width_ratios=[1, 1.4], height_ratios=tall)
    for (left, right), row in zip(grid, rows, strict=True):
        _mask_grid(left, row)
        _two_bars(right, row["best"], row["moved"])
        pads = row["tokens"].count(None)
        read = row["tokens"][row["reads_at"]]
        label, alone, now = row["best"][0]
        text = "".join(spoken(token) for token in row["tokens"] if token is not None)
        said.append(
            f"{quoted(text)}, {pads} of {len(row['tokens'])} columns padding, reads at "
            f"{'padding' if read is None else quoted(spoken(read))}: "
            f"{quoted(spoken(label))} {alone * 100:.1f} % alone, "
            f"{now * 100:.1f} % now; {row['moved'] * 100:.0f} % moved"
        )
    wrong = [str(number) for number, row in enumerate(rows, 1) if _leader(row["best"]) != row["best"][0][0]]
    verdict = "every prompt says what it says alone"
    if wrong:
        verdict = f"prompts {' and '.join(wrong)} are wrong now" if wrong[1:] else f"prompt {wrong[0]} is wrong now"
    figure.suptitle(f"{drawable(title)}:\n{verdict}", fontsize=11)
    # Inside a panel it would hide a bar.
    figure.legend(
        *grid[0][1].get_legend_handles_labels(), loc="outside lower right", ncols=2, fontsize=9, frameon=False
    )
    figure.alt = f"{title}. {'. '.join(said)}."
    return figure


def _leader(best: Sequence) -> str:
    return max(best, key=lambda row: row[2])[0]


def _mask_grid(axes, row: dict) -> None:
    mask, tokens = row["mask"], row["tokens"]
    axes.imshow(~mask, cmap="gray", vmin=-1.2, vmax=1, aspect="auto")
    axes.spines[:].set_visible(True)
    for place, token in enumerate(tokens):
        if token is None:
            axes.axvspan(place - 0.5, place + 0.5, facecolor="none", edgecolor=PALETTE["vermilion"], hatch="////")
    axes.axhspan(row["reads_at"] - 0.5, row["reads_at"] + 0.5, facecolor="none", edgecolor=PALETTE["orange"], lw=2.5)
    names = ["padding" if token is None else drawable(cut(token, 10)) for token in tokens]
    if len(tokens) <= _NAMED:
        axes.set_yticks(range(len(tokens)), names, fontsize=9)
    else:
        axes.set_yticks([])
    axes.set_xticks([])
    axes.set_title("who looks at whom", fontsize=9, loc="left")


def _two_bars(axes, best: Sequence, moved: float) -> None:
    places = np.arange(len(best))
    axes.barh(places - 0.2, [alone for _, alone, _ in best], 0.36, color="white", edgecolor="black", label="alone")
    axes.barh(places + 0.2, [now for _, _, now in best], 0.36, color=PALETTE["blue"], label="in this batch")
    axes.set_yticks(places, [drawable(cut(label, 14)) for label, _, _ in best], fontsize=9)
    axes.set(xlim=(0, 1), ylim=(len(best) - 0.5, -0.5))
    axes.set_title(f"what comes next: {moved:.0%} of the probability moved", fontsize=9, loc="left")
    axes.tick_params(axis="x", labelsize=9)
