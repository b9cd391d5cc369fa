"""Tokens as chips, the tree of merges that made one, and how many tokens texts need."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.patches import Rectangle

from course_utils.figures.base import PALETTE, CourseFigure, drawable, quoted, spoken

_WIDTH, _LETTER, _LINE = 9.0, 0.078, 0.5  # inches
_MOST_CHIPS = 40
_COLOURS = ("blue", "orange", "green")
_HATCHES = ("", "///", "...")
Chip = tuple[str, str, bool]


def token_chips(rows: Sequence[tuple[str, Sequence[Chip]]]) -> CourseFigure:
    """Draw texts cut into tokens, each token a chip with its id; special tokens are hatched.

    Args:
        rows: Pairs of a title and chips `(token, id, is special)`. From the 41st on, chips are only counted.

    Raises:
        ValueError: There are no rows, or a row has no chips.

    Lesson: 05 · From text to vectors

    >>> token_chips([("SmolLM2", [("Hello", "19556", False), ("␣world", "905", False)])])
    Tokens as chips. SmolLM2, 2 tokens: “Hello”, “␣world”.
    """
    if not rows or not all(chips for _, chips in rows):
        raise ValueError("rows must hold chips for every title, got none")
    lines = [_wrapped(chips) for _, chips in rows]
    height = sum(0.42 + _LINE * (max(line for line, *_ in placed) + 1) for placed in lines)
    figure = CourseFigure(figsize=(_WIDTH, height), layout=None)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, _WIDTH), ylim=(height, 0))
    axes.set_axis_off()
    top = 0.0
    for (title, chips), placed in zip(rows, lines, strict=True):
        axes.text(0.1, top + 0.25, drawable(title), fontsize=9, fontweight="bold", va="center")
        for (line, left, width), chip in zip(placed, chips, strict=False):
            _chip(axes, left, top + 0.37 + line * _LINE, width, chip)
        if len(chips) > len(placed):
            axes.text(_WIDTH - 0.1, top + 0.25, f"… {len(chips) - len(placed)} more", fontsize=8, ha="right")
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


def _chip(axes, left: float, top: float, width: float, chip: Chip) -> None:
    label, under, special = chip
    face, hatch = ("#F5D9C8", "////") if special else ("#E3F1FA", "")
    edge = PALETTE["vermilion" if special else "blue"]
    axes.add_patch(Rectangle((left, top), width, 0.42, facecolor=face, edgecolor=edge, hatch=hatch, linewidth=0.8))
    clear = {"facecolor": face, "edgecolor": "none", "pad": 0.8}
    middle = left + width / 2
    axes.text(middle, top + 0.14, drawable(label), fontsize=8, family="monospace", ha="center", va="center", bbox=clear)
    axes.text(middle, top + 0.32, under, fontsize=6, ha="center", va="center", color="#444444", bbox=clear)


def _row_alt(row: tuple[str, Sequence[Chip]]) -> str:
    title, chips = row
    names = ", ".join(quoted(spoken(label)) for label, *_ in chips[:12]) + (" …" if len(chips) > 12 else "")
    specials = sum(special for *_, special in chips)
    return f"{title}, {_count(len(chips))}" + (f", {specials} of them special" if specials else "") + f": {names}."


def _count(tokens: int) -> str:
    return f"{tokens:,} token" + "s" * (tokens != 1)


def merge_tree(pieces: Sequence[tuple[int, int, int, str]], title: str = "") -> CourseFigure:
    """Draw which pieces of a word became which: what it began with at the bottom, its tokens at the top.

    Args:
        pieces: `(first, end, step, label)` of every piece that existed; places from `first` up to `end`, without it.
        title: Above the tree.

    Raises:
        ValueError: There are no pieces.

    Lesson: 05 · From text to vectors

    >>> merge_tree([(0, 1, 0, "a"), (1, 2, 0, "n"), (0, 2, 1, "an")])
    A tree of 1 merge. Step 1: “a” and “n” become “an”.
    """
    if not pieces:
        raise ValueError("pieces must hold at least one piece, got none")
    places = {piece: _children(piece, pieces) for piece in sorted(pieces, key=lambda piece: piece[1] - piece[0])}
    level = {}
    for piece, children in places.items():
        level[piece] = 1 + max((level[child] for child in children), default=-1)
    leaves, tallest = max(end for _, end, *_ in pieces), max(level.values())
    figure = CourseFigure(figsize=(max(4.0, 0.62 * leaves + 0.4), 0.62 * (tallest + 1) + 0.5))
    axes = figure.subplots()
    axes.set(xlim=(-0.2, leaves + 0.2), ylim=(-0.5, tallest + 0.5))
    axes.set_axis_off()
    axes.set_title(drawable(title), loc="left", fontsize=9)
    for piece, children in places.items():
        first, end, step, label = piece
        for child in children:
            middle = (child[0] + child[1]) / 2, (first + end) / 2
            axes.plot(middle, (level[child], level[piece]), color=PALETTE["grey"], linewidth=1, zorder=1)
        box = {"boxstyle": "round", "facecolor": "#E3F1FA" if children else "white", "edgecolor": PALETTE["blue"]}
        text = drawable(label) + (f"\nstep {step}" if children else "")
        axes.text((first + end) / 2, level[piece], text, fontsize=8, ha="center", va="center", bbox=box)
    merges = sorted((piece for piece, children in places.items() if children), key=lambda piece: piece[2])

    def said_of(label: str) -> str:
        return quoted(spoken(label))

    said = "; ".join(
        f"step {step}: {' and '.join(said_of(child[3]) for child in places[piece])} become {said_of(label)}"
        for piece in merges
        for _, _, step, label in [piece]
    )
    figure.alt = f"A tree of {len(merges)} merge{'s' * (len(merges) != 1)}. {said[:1].upper()}{said[1:]}."
    return figure


def _children(piece, pieces) -> list:
    """The largest pieces inside `piece` that were there before it."""
    first, end, step, _ = piece
    inside = [other for other in pieces if other[2] < step and first <= other[0] and other[1] <= end]
    largest = [a for a in inside if not any(b != a and b[0] <= a[0] and a[1] <= b[1] and a[2] < b[2] for b in inside)]
    return sorted(largest)


def token_counts(counts: Mapping[str, Sequence[float]], texts: Sequence[str], unit: str) -> CourseFigure:
    """Draw how many tokens each text needs, a bar for every tokenizer.

    Args:
        counts: For each tokenizer's name its numbers, one per text; at most three tokenizers.
        texts: What the bars are called.
        unit: What the numbers are.

    Raises:
        ValueError: A tokenizer has not one number per text.

    Lesson: 05 · From text to vectors

    >>> token_counts({"SmolLM2": [0.2, 1.5]}, ["English", "Chinese"], "tokens per character")
    Tokens per character. SmolLM2: English 0.20, Chinese 1.50.
    """
    for name, numbers in counts.items():
        if len(numbers) != len(texts):
            raise ValueError(f"counts of {name} must hold {len(texts)} numbers, got {len(numbers)}")
    figure = CourseFigure(figsize=(7.5, 0.7 + 0.26 * len(texts) * max(len(counts), 2)))
    axes = figure.subplots()
    thick = 0.8 / len(counts)
    for number, (name, values) in enumerate(counts.items()):
        rows = np.arange(len(texts)) + (number - (len(counts) - 1) / 2) * thick
        style = {"color": PALETTE[_COLOURS[number]], "hatch": _HATCHES[number], "edgecolor": "black"}
        bars = axes.barh(rows, values, thick * 0.92, label=name, linewidth=0.5, **style)
        axes.bar_label(bars, [f"{value:.2f}" for value in values], padding=3, fontsize=8)
    axes.set_yticks(range(len(texts)), [drawable(text) for text in texts])
    axes.invert_yaxis()
    axes.set_xlim(0, max(max(values) for values in counts.values()) * 1.12)
    axes.set_xlabel(unit)
    if len(counts) > 1:
        axes.legend(fontsize=8)
    said = (
        f"{name}: " + ", ".join(f"{text} {value:.2f}" for text, value in zip(texts, values, strict=True))
        for name, values in counts.items()
    )
    figure.alt = f"{unit[:1].upper()}{unit[1:]}. " + "; ".join(said) + "."
    return figure
