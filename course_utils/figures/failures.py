"""Where models fail: confidence against truth, and shares that lean to one side or the other."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from course_utils.figures.base import PALETTE, CourseFigure, drawable, spoken

_MARKS = (("o", "blue"), ("X", "vermilion"), ("^", "purple"), ("s", "green"))
_STACKED = 0.02  # values closer than this would hide each other


def confidence_against_truth(groups: Mapping[str, Mapping[str, float]], level: float | None = None) -> CourseFigure:
    """Draw the probability of every answer, one row per group; the outermost answers of each row have their name.

    Args:
        groups: For each group, top to bottom, its answers: a name and a probability, 0 to 1.
        level: A probability to mark with a dashed line.

    Raises:
        ValueError: There are no groups or more than four, one is empty, or a probability is not in [0, 1].

    Lesson: 02 · Where LLMs fail

    >>> confidence_against_truth({"right": {"Paris": 0.9, "Lima": 0.3}, "invented": {"Nova": 0.1}}).alt
    'Probability of the answer. right: 2 answers, from 0.30 (Lima) to 0.90 (Paris), median 0.60; invented: 1 answer,
    0.10 (Nova).'
    """
    if not 1 <= len(groups) <= len(_MARKS) or not all(groups.values()):
        raise ValueError(f"groups must be 1 to {len(_MARKS)} with at least one answer each, got {groups}")
    for answers in groups.values():
        for name, value in answers.items():
            if not 0 <= value <= 1:
                raise ValueError(f"groups must hold probabilities in [0, 1], got {value} for {name!r}")
    figure = CourseFigure(figsize=(8, 0.8 + 1.05 * len(groups)))
    axes = figure.subplots()
    for row, ((marker, colour), answers) in enumerate(zip(_MARKS, groups.values(), strict=False)):
        _answer_row(axes, row, answers, marker, PALETTE[colour])
    if level is not None:
        axes.axvline(level, color=PALETTE["grey"], linestyle="--")
    axes.set_yticks(range(len(groups)), [f"{drawable(name)} ({len(groups[name])})" for name in groups])
    axes.set(xlabel="probability of the answer", xlim=(-0.02, 1.02), ylim=(len(groups) - 0.5, -0.6))
    figure.alt = f"Probability of the answer. {'; '.join(_said(name, groups[name]) for name in groups)}."
    if level is not None:
        figure.alt += f" A dashed line at {level:g}."
    return figure


def _answer_row(axes, row: int, answers: Mapping[str, float], marker: str, colour: str) -> None:
    ranked = sorted(answers.items(), key=lambda pair: pair[1])
    values = [value for _, value in ranked]
    heights = np.array(_stacks(values))
    step = min(0.1, 0.6 / max(1, heights.max()))
    axes.plot(values, row - step * heights, marker, color=colour, markersize=7)
    for place in {0, len(ranked) - 1}:
        name, value = ranked[place]
        if place == 0 and len(ranked) > 1 and value < 0.1:
            continue  # where most of a row is zero, no single name says anything
        side = "left" if value < 0.3 else "right"
        axes.annotate(drawable(name), (value, row + 0.12), (0, -9), textcoords="offset points", ha=side, fontsize=8,
                      bbox={"facecolor": "white", "edgecolor": "none", "pad": 1})  # fmt: skip


def _stacks(values: Sequence[float]) -> list[int]:
    """Return how high (0, 1, 2 …) to draw each of the rising values, so that near ones lie on top of each other."""
    heights: list[int] = []
    start = 0
    for place, value in enumerate(values):
        if value - values[start] >= _STACKED:
            start = place
        heights.append(place - start)
    return heights


def _said(name: str, answers: Mapping[str, float]) -> str:
    ranked = sorted(answers.items(), key=lambda pair: pair[1])
    (first, low), (last, high) = ranked[0], ranked[-1]
    if len(ranked) == 1:
        return f"{spoken(name)}: 1 answer, {low:.2f} ({first})"
    middle = np.median([value for _, value in ranked])
    ends = f"from {low:.2f} ({first}) to {high:.2f} ({last})"
    return f"{spoken(name)}: {len(ranked)} answers, {ends}, median {middle:.2f}"


def counted_shares(
    rows: Mapping[str, tuple[int, int, float, float]],
    xlabel: str,
    ylabel: str,
    guesser: Sequence[float] | None = None,
) -> CourseFigure:
    """Draw counted shares, each with its interval and the two numbers that it was counted from.

    Where the settings are numbers, a line joins them.

    Args:
        rows: By setting, left to right: how many were right, of how many, lower and upper end of the interval.
        xlabel: What the settings are.
        ylabel: What the shares are.
        guesser: The share that a guesser gets in each setting, drawn as a dash.

    Raises:
        ValueError: There are no rows, a share does not lie in its interval, or `guesser` has not one share per row.

    Lesson: 02 · Where LLMs fail

    >>> counted_shares({"1": (10, 20, 0.3, 0.7), "2": (2, 20, 0.03, 0.3)}, "digits", "right sums").alt
    'right sums by digits, with 95 % intervals. 1: 10 of 20 (30 to 70 %); 2: 2 of 20 (3 to 30 %).'
    """
    if not rows:
        raise ValueError("rows must hold at least one count, got none")
    for name, (right, total, low, high) in rows.items():
        if not low <= right / total <= high:
            raise ValueError(f"rows of {name!r} must be a share in its interval, got {right}/{total}, {low} … {high}")
    if guesser is not None and len(guesser) != len(rows):
        raise ValueError(f"guesser must hold a share for each of {len(rows)} rows, got {len(guesser)}")
    counts = np.array(list(rows.values()), dtype=float)
    shares = counts[:, 0] / counts[:, 1]
    line = "-" if all(name.replace(",", "").isdigit() for name in rows) else "none"
    figure = CourseFigure(figsize=(7, 3))
    axes = figure.subplots()
    axes.errorbar(range(len(rows)), shares, yerr=[shares - counts[:, 2], counts[:, 3] - shares], color=PALETTE["blue"],
                  marker="o", capsize=4, linestyle=line)  # fmt: skip
    for place, (right, total, _, _) in enumerate(rows.values()):
        axes.annotate(f"{right} of {total}", (place, shares[place]), (7, 6), textcoords="offset points", fontsize=9)
    axes.set_xticks(range(len(rows)), map(drawable, rows))
    axes.margins(x=0.12)
    axes.set(xlabel=xlabel, ylabel=ylabel, ylim=(-0.03, 1.12), yticks=np.linspace(0, 1, 6))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    said = "; ".join(
        f"{spoken(name)}: {right} of {total} ({low * 100:.0f} to {high * 100:.0f} %)"
        for name, (right, total, low, high) in rows.items()
    )
    figure.alt = f"{ylabel} by {xlabel}, with 95 % intervals. {said}."
    if guesser is not None:
        axes.plot(range(len(rows)), guesser, "_", color=PALETTE["vermilion"], markersize=28, markeredgewidth=2)
        axes.annotate("guesser", (0, guesser[0]), (18, -3), textcoords="offset points", fontsize=9)
        figure.alt += f" A guesser gets {', '.join(f'{share * 100:.0f} %' for share in guesser)}."
    return figure


def diverging_bars(
    names: Sequence[str], panels: Mapping[str, ArrayLike], left: str, right: str, middle: float = 0.5
) -> CourseFigure:
    """Draw shares as bars that start in the middle and go to one side or the other, one panel per model.

    The rows are sorted by the first panel. Bars to the left are hatched, so colour alone never tells the sides apart.

    Args:
        names: What each row is.
        panels: For each panel a share for each name, 0 to 1, `(name,)`, or several, `(sentence, name)`: then the bar is
            their mean, and a thin line goes from the smallest to the largest.
        left: What a share below the middle leans to.
        right: What a share above it leans to.
        middle: Where bars start.

    Raises:
        ValueError: There are no panels, or one has not one share for each name.

    Lesson: 02 · Where LLMs fail

    >>> diverging_bars(["nurse", "farmer"], {"causal": [0.8, 0.25]}, "he", "she").alt
    'Share of “she” against “he”, 2 rows. causal: 1 lean to “she”, most of all nurse (80 %); 1 to “he”, most of all
    farmer (25 %).'
    """
    arrays = {name: np.atleast_2d(np.asarray(shares, dtype=float)) for name, shares in panels.items()}
    wrong = [name for name, shares in arrays.items() if shares.shape[-1] != len(names)]
    if not panels or not len(names) or wrong:
        raise ValueError(f"panels must hold a share for each of {len(names)} names, got wrong lengths in {wrong}")
    order = np.argsort(-next(iter(arrays.values())).mean(0), kind="stable")
    rows = [names[place] for place in order]
    figure = CourseFigure(figsize=(4 * len(panels) + 0.6, 1.0 + 0.24 * len(names)))
    grid = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, (title, shares) in zip(grid, arrays.items(), strict=True):
        _diverging_panel(axes, shares[:, order], middle)
        axes.set_title(f"{drawable(title)}\n← {drawable(left)}    {drawable(right)} →", fontsize=9)
        axes.set_xlabel(f"share of “{drawable(right)}”", fontsize=9)
    grid[0].set_yticks(range(len(rows)), map(drawable, rows), fontsize=8)
    grid[0].set_ylim(len(rows) - 0.5, -0.5)
    said = "; ".join(_leaning(title, shares.mean(0), names, left, right, middle) for title, shares in arrays.items())
    figure.alt = f"Share of “{spoken(right)}” against “{spoken(left)}”, {len(names)} rows. {said}."
    sentences = max(len(shares) for shares in arrays.values())
    if sentences > 1:
        figure.alt += f" Means of {sentences}, each with a line from the smallest to the largest."
    return figure


def _diverging_panel(axes, shares: np.ndarray, middle: float) -> None:
    ends = np.stack([shares.min(0), shares.max(0)], axis=-1)
    for row, (share, (low, high)) in enumerate(zip(shares.mean(0), ends, strict=True)):
        to_left = share < middle
        style = {"color": PALETTE["sky"], "hatch": "////"} if to_left else {"color": PALETTE["orange"]}
        axes.barh(row, share - middle, left=middle, height=0.75, edgecolor="black", linewidth=0.6, **style)
        if high > low:
            axes.hlines(row, low, high, color="black", linewidth=1)
        side, place, end = ("right", -3, low) if to_left else ("left", 3, high)
        axes.annotate(f"{share:.0%}", (end, row), (place, 0), textcoords="offset points", ha=side,
                      va="center", fontsize=7)  # fmt: skip
    axes.axvline(middle, color="black", linewidth=1)
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.tick_params(axis="x", labelsize=8)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def _leaning(title: str, shares: np.ndarray, names: Sequence[str], left: str, right: str, middle: float) -> str:
    to_right, to_left = int((shares > middle).sum()), int((shares < middle).sum())
    most, least = int(shares.argmax()), int(shares.argmin())
    more = f", most of all {names[most]} ({shares[most] * 100:.0f} %)" if to_right else ""
    less = f", most of all {names[least]} ({shares[least] * 100:.0f} %)" if to_left else ""
    return f"{spoken(title)}: {to_right} lean to “{spoken(right)}”{more}; {to_left} to “{spoken(left)}”{less}"
