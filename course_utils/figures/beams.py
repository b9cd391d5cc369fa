"""Pictures of beam search: the tree, the ranking under a length penalty, how much a text repeats itself."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.colors import to_rgb

from course_utils.figures.base import PALETTE, CourseFigure, cut, drawable, quoted

_MOST_DETAILED = 70  # nodes; of a larger tree only what was not pruned is drawn, or a notebook grows heavy
_BOX = 0.8  # of a column


def tree_rows(steps: Sequence[int], parents: Sequence[int], drawn: Sequence[int]) -> dict[int, int]:
    """Return the row of every node of a tree that is `drawn`, such that no two branches cross.

    Args:
        steps: Column of every node, from 1, in rising order.
        parents: Index of the node before, −1 for the prompt.
        drawn: The nodes that get a row; with a node comes the one before it.

    Lesson: 13 · Beam search

    >>> tree_rows([1, 1, 2, 2, 2], [-1, -1, 1, 0, 1], drawn=range(5))
    {0: 0, 1: 1, 3: 0, 2: 1, 4: 2}
    """
    rows = {-1: 0}
    for step in sorted(set(steps)):
        column = [node for node in drawn if steps[node] == step]
        column.sort(key=lambda node: rows[parents[node]])  # stable: children of one node stay in their order
        rows.update({node: row for row, node in enumerate(column)})
    del rows[-1]
    return rows


def beam_tree(
    tokens: Sequence[str],
    steps: Sequence[int],
    parents: Sequence[int],
    scores: Sequence[float],
    fates: Sequence[str],
    winner: Sequence[int] = (),
    greedy: Sequence[int] = (),
    last_step: int | None = None,
    title: str = "",
) -> CourseFigure:
    """Draw a beam search: kept tokens solid, pruned ones dashed, finished ones with a wall at their end.

    In a small tree, a token's shade is its probability after the text before it.

    Args:
        tokens: Visible text of every node, `(node,)`; the other sequences have one entry per node, too.
        steps: From 1, in rising order.
        parents: Index of the node before, −1 for the prompt.
        scores: Sums of log-probabilities.
        fates: "kept", "finished" or "pruned".
        winner: The nodes of the best text; drawn with thick branches and a star.
        greedy: The nodes on greedy's path; drawn with an orange frame.
        last_step: Where the search stops; what comes after is drawn faintly.
        title: Above the tree.

    Raises:
        ValueError: There are no nodes, or the sequences differ in length.

    Lesson: 13 · Beam search

    >>> beam_tree(["x", "y"], [1, 1], [-1, -1], [-0.5, -1.2], ["finished", "pruned"], winner=[0]).alt
    'A beam search of 1 step: 2 tokens considered, 0 kept, 1 finished, 1 pruned. The best text is “x”, sum −0.50.'
    """
    columns = {"steps": steps, "parents": parents, "scores": scores, "fates": fates}
    if not tokens:
        raise ValueError("tokens must hold at least one node, got none")
    for name, column in columns.items():
        if len(column) != len(tokens):
            raise ValueError(f"{name} must have {len(tokens)} entries, one per node, got {len(column)}")
    last, detailed = last_step or max(steps), len(tokens) <= _MOST_DETAILED
    drawn = [node for node, fate in enumerate(fates) if detailed or fate != "pruned"]
    rows = tree_rows(steps, parents, drawn)
    height = max(rows.values()) + 1
    column, most = (1.02, 11) if detailed else (0.84, 7)
    figure = CourseFigure(figsize=(0.5 + column * max(steps), 0.95 + 0.24 * height), layout=None)
    figure.colors = 32 if detailed else 8
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0.55, max(steps) + 1.0), ylim=(height + 0.7, -2.2 if title else -1.4))
    axes.axis("off")
    axes.text(0.6, -1.6, drawable(title), fontsize=10, fontweight="bold")
    for step in range(1, max(steps) + 1):
        axes.text(step + _BOX / 2, -0.75, f"step {step}", ha="center", fontsize=9, color=PALETTE["grey"])
    for node in drawn:
        faint = 0.35 if steps[node] > last else 1.0
        _branch(axes, steps, rows, parents, node, node in winner, fates[node], faint)
        before = scores[parents[node]] if parents[node] >= 0 else 0
        chance = np.exp(scores[node] - before) if detailed else 0.25
        word = cut(drawable(cut(tokens[node], most)), most)
        _box(axes, steps[node], rows[node], word, chance, fates[node], faint)
        if node in greedy:
            axes.add_patch(_rectangle(steps[node], rows[node], 0.045, 0.13, PALETTE["orange"], 1.6))
    if winner:
        axes.text(steps[winner[-1]] + _BOX + 0.07, rows[winner[-1]], "★", va="center", fontsize=9)
    if not detailed:
        axes.text(0.6, height - 0.3, f"{fates.count('pruned')} pruned tokens are not drawn", fontsize=9)
    key = "★ best text   orange: greedy's path   wall: text ends" + "   dashed: pruned" * detailed
    axes.text(0.6, height + 0.4, key + "   shade: probability" * detailed, fontsize=9)
    if last < max(steps):
        axes.axvline(last + _BOX + 0.12, color=PALETTE["black"], linewidth=1, linestyle=":")
    figure.alt = _tree_alt(tokens, steps, scores, fates, winner, last)
    return figure


def _branch(axes, steps, rows, parents, node, wins, fate, faint) -> None:
    parent = parents[node]
    start = (steps[parent] + _BOX, rows[parent]) if parent >= 0 else (0.6, max(rows.values()) / 2)
    style = {"linestyle": "--" if fate == "pruned" else "-", "linewidth": 2.4 if wins else 0.8, "alpha": faint}
    color = PALETTE["blue"] if wins else PALETTE["grey"]
    axes.plot([start[0], steps[node]], [start[1], rows[node]], color=color, zorder=1, **style)


def _rectangle(step, row, margin_x, margin_y, color, width, **style):
    from matplotlib.patches import Rectangle  # 0.1 s, and only a tree needs it

    corner = (step - margin_x, row - 0.36 - margin_y)
    size = (_BOX + 2 * margin_x, 0.72 + 2 * margin_y)
    return Rectangle(corner, *size, fill=False, edgecolor=color, linewidth=width, zorder=3, **style)


def _box(axes, step, row, word, chance, fate, faint) -> None:
    pruned = fate == "pruned"
    box = _rectangle(step, row, 0, 0, PALETTE["grey" if pruned else "blue"], 0.8, linestyle="--" if pruned else "-")
    shade = np.ceil(chance * 4) / 4  # few shades keep the stored picture small
    box.set(fill=True, facecolor=1 - shade * (1 - np.array(to_rgb(PALETTE["sky"]))), alpha=faint, zorder=2)
    axes.add_patch(box)
    if fate == "finished":
        ends = [step + _BOX, step + _BOX]
        axes.plot(ends, [row - 0.4, row + 0.4], color=PALETTE["black"], linewidth=3, zorder=3, alpha=faint)
    axes.text(step + 0.04, row, word, va="center", fontsize=9, zorder=4, alpha=faint)


def _minus(number: str) -> str:
    return number.replace("-", "−")


def _tree_alt(tokens, steps, scores, fates, winner, last) -> str:
    reached = [fate for fate, step in zip(fates, steps, strict=True) if step <= last]
    counts = ", ".join(f"{reached.count(fate)} {fate}" for fate in ("kept", "finished", "pruned"))
    said = (
        f"A beam search of {last} step{'s' * (last != 1)}: {len(reached)} token{'s' * (len(reached) != 1)} considered, "
        f"{counts}."
    )
    if winner:
        text = "".join(tokens[node] for node in winner).replace("␣", " ").strip()
        said += f" The best text is {quoted(_quiet(text))}, sum {_minus(f'{scores[winner[-1]]:.2f}')}."
    return said


def _quiet(text: str) -> str:
    """Without angle brackets, which a page may take for a tag."""
    return text.replace("<", "(").replace(">", ")").replace("{", "(").replace("}", ")")


def length_penalty_lines(penalties: Sequence[float], scores: Mapping[str, Sequence[float]]) -> CourseFigure:
    """Draw the place of every finished text in the ranking, while the length penalty rises.

    Args:
        penalties: The length penalties, rising.
        scores: For every text its score under each of them.

    Raises:
        ValueError: There are no texts, or a text has not one score per penalty.

    Lesson: 13 · Beam search

    >>> length_penalty_lines([0, 1], {"short": [-1, -1], "long": [-3, -0.3]}).alt
    'The ranking of 2 texts under length penalties from 0 to 1. At 0 the best is “short”, at 1 it is “long”.'
    """
    if not scores:
        raise ValueError("scores must hold at least one text, got none")
    for text, row in scores.items():
        if len(row) != len(penalties):
            raise ValueError(f"scores of {text!r} must have {len(penalties)} entries, one per penalty, got {len(row)}")
    table = np.array(list(scores.values()), dtype=float)
    places = 1 + (-table).argsort(0, kind="stable").argsort(0, kind="stable")
    figure = CourseFigure(figsize=(8.6, 0.9 + 0.42 * len(scores)))
    axes = figure.subplots()
    marks, lines = "osD^vP*X", ("-", "--", "-.", ":")
    colors = [PALETTE[name] for name in ("blue", "vermilion", "green", "purple", "orange", "sky", "black", "grey")]
    for number, (text, row) in enumerate(zip(scores, places, strict=True)):
        style = {"color": colors[number % 8], "marker": marks[number % 8], "linestyle": lines[number % 4]}
        axes.plot(penalties, row, linewidth=2, markersize=6, clip_on=False, **style)
        name = drawable(cut(text, 58))
        axes.text(penalties[-1], row[-1], f"  {name}", va="center", fontsize=9)
    axes.set(xlabel="length penalty", ylabel="place", yticks=range(1, len(scores) + 1))
    axes.invert_yaxis()
    axes.set_xlim(penalties[0], penalties[-1])
    best = [list(scores)[table[:, column].argmax()] for column in (0, -1)]
    figure.alt = (
        f"The ranking of {len(scores)} texts under length penalties from {penalties[0]:g} to {penalties[-1]:g}. "
        f"At {penalties[0]:g} the best is {quoted(_quiet(best[0]))}, "
        f"at {penalties[-1]:g} it is {quoted(_quiet(best[1]))}."
    )
    return figure


def shares_by_method(
    shares: Mapping[str, Sequence[float]], intervals: Mapping[str, tuple[float, float]], what: str
) -> CourseFigure:
    """Draw a share for every text and method as a small mark, and the mean of each method with its interval.

    Args:
        shares: For every method one number per text, 0 to 1.
        intervals: For every method the lower and upper end of the interval of its mean.
        what: What the share is of, for the axis.

    Raises:
        ValueError: There are no methods, a method has no text, or its mean doesn't lie in its interval.

    Lesson: 13 · Beam search

    >>> intervals = {"greedy": (0.3, 0.5), "people": (0, 0.1)}
    >>> shares_by_method({"greedy": [0.5, 0.3], "people": [0, 0.1]}, intervals, "repeated").alt
    'repeated, mean over 2 texts with its 95 % interval: greedy 40 % (30 to 50), people 5 % (0 to 10).'
    """
    if not shares or not all(len(row) for row in shares.values()):
        raise ValueError("shares must hold at least one number for each method, got none")
    means = {name: float(np.mean(row)) for name, row in shares.items()}
    for name, mean in means.items():
        low, high = intervals[name]
        if not low <= mean <= high:
            raise ValueError(f"intervals of {name!r} must hold its mean, got {mean} outside {low} … {high}")
    figure = CourseFigure(figsize=(7.4, 1.0 + 0.6 * len(shares)))
    axes = figure.subplots()
    said = []
    for place, (name, row) in enumerate(shares.items()):
        mean, (low, high) = means[name], intervals[name]
        below = place + 0.12 + np.linspace(0, 0.24, len(row))  # equal shares would hide each other
        axes.plot(row, below, "D", markersize=3.5, color=PALETTE["orange"], markeredgecolor="black",
                  markeredgewidth=0.4, clip_on=False)  # fmt: skip
        axes.errorbar(mean, place - 0.15, xerr=[[mean - low], [high - mean]], fmt="o", color=PALETTE["blue"],
                      markersize=8, capsize=5, linewidth=2)  # fmt: skip
        axes.text(1.02, place - 0.15, f"mean {mean * 100:.0f} %", va="center", fontsize=9)
        said.append(f"{name} {mean * 100:.0f} % ({low * 100:.0f} to {high * 100:.0f})")
    axes.set_yticks(range(len(shares)), [drawable(name) for name in shares])
    axes.set(xlim=(0, 1), xlabel=f"{what} (● mean, 95 % interval; ◆ one text)", ylim=(len(shares) - 0.45, -0.5))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    texts = len(next(iter(shares.values())))
    figure.alt = f"{what}, mean over {texts} texts with its 95 % interval: {', '.join(said)}."
    return figure
