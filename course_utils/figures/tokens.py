"""Tokens as chips, and how many tokens texts need."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.patches import Rectangle

from course_utils.figures.base import PALETTE, CourseFigure, drawable, quoted, spoken

_WIDTH, _LETTER, _LINE = 7.6, 0.084, 0.54  # inches
_FACES = ("#CFE6F5", "#F7E1B5", "#C9EADF", "#F0D6E4")  # light sky, orange, green and purple: neighbours differ
_MOST_CHIPS = 40
_COLOURS = ("blue", "orange", "green")
_HATCHES = ("", "///", "...")
Chip = tuple[str, str, bool]


def token_chips(rows: Sequence[tuple[str, Sequence[Chip]]]) -> CourseFigure:
    """Draw texts cut into tokens, each token a chip with its id, in four colours in turn; special tokens are hatched.

    Args:
        rows: Pairs of a title and chips `(token, id, is special)`. From the 41st on, chips are only counted.

    Raises:
        ValueError: There are no rows, or a row has no chips.

    Lesson: 05 · From text to vectors

    >>> token_chips([("SmolLM2", [("Hello", "19556", False), ("␣world", "905", False)])])
    Tokens as chips. SmolLM2: “Hello”, “␣world”.
    """
    if not rows or not all(chips for _, chips in rows):
        raise ValueError("rows must hold chips for every title, got none")
    lines = [_wrapped(chips) for _, chips in rows]
    height = sum(0.42 + _LINE * (max(line for line, *_ in placed) + 1) for placed in lines)
    figure = CourseFigure(figsize=(_WIDTH, height), layout=None)
    figure.colors = 48
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, _WIDTH), ylim=(height, 0))
    axes.set_axis_off()
    top = 0.0
    for (title, chips), placed in zip(rows, lines, strict=True):
        axes.text(0.1, top + 0.2, drawable(title), fontsize=10, fontweight="bold", va="center")
        for number, ((line, left, width), chip) in enumerate(zip(placed, chips, strict=False)):
            _chip(axes, left, top + 0.37 + line * _LINE, width, chip, _FACES[number % len(_FACES)])
        if len(chips) > len(placed):
            axes.text(_WIDTH - 0.1, top + 0.25, f"… {len(chips) - len(placed)} more", fontsize=9, ha="right")
        top += 0.42 + _LINE * (placed[-1][0] + 1)
    figure.alt = "Tokens as chips. " + " ".join(map(_row_alt, rows))
    return figure


def _wrapped(chips: Sequence[Chip]) -> list[tuple[int, float, float]]:
    """Line, left edge and width of each chip that is drawn."""
    placed, line, left = [], 0, 0.1
    for label, under, _ in chips[:_MOST_CHIPS]:
        width = min(max(len(drawable(label)), len(under) * 0.8) * _LETTER + 0.12, _WIDTH - 0.2)
        if left + width > _WIDTH - 0.1:
            line, left = line + 1, 0.1
        placed.append((line, left, width))
        left += width + 0.05
    return placed


def _chip(axes, left: float, top: float, width: float, chip: Chip, face: str) -> None:
    label, under, special = chip
    face, hatch = ("#F5D9C8", "////") if special else (face, "")
    edge = PALETTE["vermilion" if special else "grey"]
    axes.add_patch(Rectangle((left, top), width, 0.47, facecolor=face, edgecolor=edge, hatch=hatch, linewidth=0.8))
    clear = {"facecolor": face, "edgecolor": "none", "pad": 0.8}
    middle = left + width / 2
    axes.text(middle, top + 0.15, drawable(label), fontsize=9, family="monospace", ha="center", va="center", bbox=clear)
    axes.text(middle, top + 0.35, under, fontsize=9, ha="center", va="center", color="#444444", bbox=clear)


def _row_alt(row: tuple[str, Sequence[Chip]]) -> str:
    title, chips = row
    names = ", ".join(quoted(spoken(label)) for label, *_ in chips[:12]) + (" …" if len(chips) > 12 else "")
    specials = sum(special for *_, special in chips)
    return title + (f", {specials} of them special" if specials else "") + f": {names}."


def token_counts(
    counts: Mapping[str, Sequence[float]],
    texts: Sequence[str],
    unit: str,
    ends: Mapping[str, Sequence[tuple[float, float]]] | None = None,
) -> CourseFigure:
    """Draw how many tokens each text needs, one bar per tokenizer.

    Args:
        counts: For each tokenizer's name its numbers, one per text; at most three tokenizers.
        texts: What the bars are called.
        unit: What the numbers are.
        ends: For each tokenizer's name the two ends of the interval of each number, drawn as a line across the bar.

    Raises:
        ValueError: A tokenizer doesn't have one number, or one interval, per text.

    Lesson: 05 · From text to vectors

    >>> token_counts({"SmolLM2": [0.2, 1.5]}, ["English", "Chinese"], "tokens per character")
    Tokens per character. SmolLM2: English 0.20, Chinese 1.50.
    """
    for name, numbers in counts.items():
        if len(numbers) != len(texts):
            raise ValueError(f"counts of {name} must hold {len(texts)} numbers, got {len(numbers)}")
        if ends and len(ends[name]) != len(texts):
            raise ValueError(f"ends of {name} must hold {len(texts)} intervals, got {len(ends[name])}")
    figure = CourseFigure(figsize=(7.5, 0.7 + 0.26 * len(texts) * max(len(counts), 2)))
    axes = figure.subplots()
    thick = 0.8 / len(counts)
    for number, (name, values) in enumerate(counts.items()):
        rows = np.arange(len(texts)) + (number - (len(counts) - 1) / 2) * thick
        style = {"color": PALETTE[_COLOURS[number]], "hatch": _HATCHES[number], "edgecolor": "black"}
        axes.barh(rows, values, thick * 0.92, label=name, linewidth=0.5, **style)
        if ends:
            around = np.abs(np.array(ends[name]).T - np.array(values))
            axes.errorbar(values, rows, xerr=around, fmt="none", ecolor="black", capsize=2, linewidth=1)
        after = [high for _, high in ends[name]] if ends else values
        for row, value, place in zip(rows, values, after, strict=True):
            axes.annotate(f"{value:.2f}", (place, row), (4, 0), textcoords="offset points", fontsize=8, va="center")
    axes.set_yticks(range(len(texts)), [drawable(text) for text in texts])
    axes.invert_yaxis()
    axes.set_xlim(0, max(max(values) for values in counts.values()) * 1.12)
    axes.set_xlabel(unit)
    if len(counts) > 1:
        axes.legend(fontsize=8)
    said = (
        f"{name}: "
        + ", ".join(
            f"{text} {value:.2f}" + ("" if not ends else " ({:.2f} to {:.2f})".format(*ends[name][i]))
            for i, (text, value) in enumerate(zip(texts, values, strict=True))
        )
        for name, values in counts.items()
    )
    figure.alt = f"{unit[:1].upper()}{unit[1:]}. " + "; ".join(said) + "."
    return figure
