"""Serving in pictures: who has which slot when, what a batch costs, what grows with the text and how fast."""

import math
from collections.abc import Mapping, Sequence

from course_utils.figures.base import PALETTE, CourseFigure, drawable

_Runs = tuple[float, float, float, int]  # median, least, most, how many: a `Spread`
_LINES = (("blue", "o", "-"), ("vermilion", "s", "--"), ("green", "^", ":"), ("purple", "D", "-."))
_BARS = ("sky", "orange", "green", "yellow", "blue", "vermilion", "purple", "grey")


def slot_schedules(
    schedules: Mapping[str, Sequence[tuple[int, int, float, float, float]]], unit: str = "steps"
) -> CourseFigure:
    """Draw who has which slot when: one panel per way of batching, one row per slot, one numbered bar per request.

    Args:
        schedules: Name of the way, and its turns: request, slot, start, end, and when the slot was free again. What
            lies between end and free is hatched: the slot waits.
        unit: What the times are in.

    Raises:
        ValueError: There is no schedule, or one without turns.

    Lesson: 14 · Speed and memory in practice

    >>> print(slot_schedules({"static": [(0, 0, 0, 1, 3), (1, 1, 0, 3, 3)]}).alt)
    Who has which slot when. static: 2 requests in 2 slots, done after 3 steps, the slots are at work 67 % of the time;
    the requests end after 1, 3.
    """
    if not schedules or not all(schedules.values()):
        raise ValueError("schedules must each have at least one turn, got none")
    slots = max(slot for turns in schedules.values() for _, slot, *_ in turns) + 1
    longest = max(turn[4] for turns in schedules.values() for turn in turns)
    figure = CourseFigure(figsize=(8, 0.9 + len(schedules) * (0.55 + 0.3 * slots)))
    said = []
    panels = figure.subplots(len(schedules), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (name, turns) in zip(panels, schedules.items(), strict=True):
        _bars(axes, turns, longest)
        end, busy = max(turn[4] for turn in turns), sum(turn[3] - turn[2] for turn in turns)
        axes.set_title(f"{drawable(name)}: done after {end:.3g} {unit}", loc="left", fontsize=10)
        axes.set(yticks=range(slots), yticklabels=[f"slot {slot}" for slot in range(slots)], xlim=(0, longest * 1.02))
        axes.invert_yaxis()
        ends = ", ".join(f"{turn[3]:.3g}" for turn in turns)
        said.append(
            f"{name}: {len(turns)} requests in {slots} slots, done after {end:.3g} {unit}, "
            f"the slots are at work {busy / slots / end:.0%} of the time; the requests end after {ends}".replace(
                "%", " %"
            )
        )
    panels[-1].set_xlabel(f"{unit} (hatched: the slot waits)")
    panels[-1].locator_params(axis="x", integer=True)
    figure.alt = f"Who has which slot when. {'. '.join(said)}."
    return figure


def _bars(axes, turns, longest) -> None:
    for request, slot, start, end, freed in turns:
        colour = PALETTE[_BARS[request % len(_BARS)]]
        axes.barh(slot, end - start, left=start, height=0.8, color=colour, edgecolor="black")
        if freed - end > 0.001 * longest:
            axes.barh(slot, freed - end, left=end, height=0.8, color="white", edgecolor=PALETTE["grey"], hatch="////")
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
        axes.text((start + end) / 2, slot, str(request), ha="center", va="center", fontsize=9, bbox=box)


def growth_lines(
    sizes: Sequence[int], lines: Mapping[str, Sequence[float]], xlabel: str, ylabel: str, unit: float = 1.0
) -> CourseFigure:
    """Draw up to four quantities over a size that doubles, both axes logarithmic: the steeper, the higher the power.

    Args:
        sizes: The sizes, left to right.
        lines: Name and values of each quantity, one per size.
        xlabel: What the sizes are.
        ylabel: What the quantities are, in units of `unit`.
        unit: What the values are divided by.

    Raises:
        ValueError: There are no lines or more than four, or one has not one value per size.

    Lesson: 14 · Speed and memory in practice

    >>> growth_lines([2, 4], {"scores": [4.0, 16.0]}, "tokens", "bytes").alt
    'bytes by tokens, both axes logarithmic. scores: from 4 at 2 to 16 at 4, 4.0 times at the last step.'
    """
    if not 1 <= len(lines) <= len(_LINES) or any(len(values) != len(sizes) for values in lines.values()):
        raise ValueError(f"lines must be 1 to {len(_LINES)} of {len(sizes)} values each, got {len(lines)}")
    figure = CourseFigure(figsize=(7, 3.4))
    axes = figure.subplots()
    said = []
    for (name, values), (colour, marker, line) in zip(lines.items(), _LINES, strict=False):
        values = [value / unit for value in values]
        axes.plot(sizes, values, line, color=PALETTE[colour], marker=marker)
        step = f"× {values[-1] / values[-2]:.1f} at the last step"
        axes.annotate(
            f"{drawable(name)}\n{step}", (sizes[-1], values[-1]), (8, 0), textcoords="offset points", va="center",
            color=PALETTE[colour], fontsize=9,
        )  # fmt: skip
        said.append(
            f"{name}: from {values[0]:,.3g} at {sizes[0]:,} to {values[-1]:,.3g} at {sizes[-1]:,}, "
            f"{values[-1] / values[-2]:.1f} times at the last step"
        )
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=10)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,g}")
    axes.margins(y=0.12)
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.set_xlim(sizes[0] * 0.9, sizes[-1] * (sizes[-1] / sizes[0]) ** 0.55)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    figure.alt = f"{ylabel} by {xlabel}, both axes logarithmic. {'; '.join(said)}."
    return figure


def batch_tradeoff(batches: Sequence[int], tpot: Sequence[_Runs], throughput: Sequence[_Runs]) -> CourseFigure:
    """Draw what a larger batch does: on the left to the one who waits, on the right to all together.

    Args:
        batches: How many texts grow at once, one number per measurement.
        tpot: Seconds between two tokens of one text: the median, the least, the most and the number of runs.
        throughput: Tokens per second over all texts, in the same four numbers.

    Raises:
        ValueError: The three differ in length.

    Lesson: 14 · Speed and memory in practice

    >>> tpot = [(0.05, 0.04, 0.06, 3), (0.06, 0.06, 0.07, 3)]
    >>> print(batch_tradeoff([1, 2], tpot, [(20.0, 17.0, 25.0, 3), (33.3, 28.6, 33.4, 3)]).alt)
    By batch size 1, 2: milliseconds per token and text 50 (40–60), 60 (60–70); tokens per second over all texts
    20.0 (17.0–25.0), 33.3 (28.6–33.4).
    """
    if not len(batches) == len(tpot) == len(throughput):
        raise ValueError(f"batches, tpot and throughput must have one length, got {len(batches)}, {len(tpot)}, "
                         f"{len(throughput)}")  # fmt: skip
    figure = CourseFigure(figsize=(8, 3))
    milliseconds = [[seconds * 1000 for seconds in runs[:3]] for runs in tpot]
    titles = ("milliseconds per token, for one user", "tokens per second, all texts together")
    looks = (("vermilion", "s", ".0f"), ("blue", "o", ".3g"))
    for axes, rows, title, (colour, marker, number) in zip(
        figure.subplots(1, 2), (milliseconds, throughput), titles, looks, strict=True
    ):
        middle, least, most = ([row[column] for row in rows] for column in range(3))
        ranges = [[m - low for m, low in zip(middle, least, strict=True)],
                  [high - m for m, high in zip(middle, most, strict=True)]]  # fmt: skip
        axes.errorbar(range(len(batches)), middle, ranges, color=PALETTE[colour], marker=marker, capsize=4)
        for place, (value, high) in enumerate(zip(middle, most, strict=True)):
            axes.annotate(
                f"{value:{number}}", (place, high), (0, 5), textcoords="offset points", ha="center", fontsize=9
            )
        axes.set_xticks(range(len(batches)), batches)
        axes.set(xlabel="texts in the batch", ylim=(0, math.ceil(max(most) * 1.25)))
        axes.set_title(title, loc="left", fontsize=10)
    slow, fast = (
        ", ".join(f"{middle:{number}} ({least:{number}}–{most:{number}})" for middle, least, most, *_ in rows)
        for rows, number in ((milliseconds, ".0f"), (throughput, ".1f"))
    )
    figure.alt = (
        f"By batch size {', '.join(map(str, batches))}: milliseconds per token and text {slow}; "
        f"tokens per second over all texts {fast}."
    )
    return figure
