"""What penalties do to logits while a text grows, and the loop that they are for."""

from collections.abc import Mapping, Sequence
from textwrap import fill

import numpy as np

from course_utils.figures.base import PALETTE, CourseFigure, cut, drawable, quoted, spoken

# Of every line: colour, style of the line, mark.
STYLES = [("blue", "-", "o"), ("vermilion", "--", "s"), ("green", "-.", "^"), ("purple", ":", "D")]


def loop_rounds(probabilities: np.ndarray, labels: Sequence[str], start: int, period: int) -> CourseFigure:
    """Draw the probability of every chosen token; rounds of the loop are shaded and get their mean as a line.

    Args:
        probabilities: Of the chosen token at each step, `(step,)`.
        labels: The chosen tokens as visible text, `(step,)`.
        start: First step of the first round.
        period: How many tokens a round has.

    Raises:
        ValueError: There is no whole round.

    Lesson: 12 · Repetition, length and stopping

    >>> loop_rounds(np.array([0.1, 0.2, 0.4, 0.6, 0.8]), list("xabab"), start=1, period=2)
    Probability of each chosen token over 5 steps. From step 2 on, 2 tokens repeat in 2 rounds: “a b”. Mean \
probability of a token in round 1: 0.30, in round 2: 0.70.
    """
    rounds = (len(probabilities) - start) // max(period, 1)
    if period < 1 or rounds < 1:
        raise ValueError(f"period must be in 1 … {len(probabilities) - start} to have a round, got {period}")
    means = probabilities[start : start + rounds * period].reshape(rounds, period).mean(1)
    figure = CourseFigure(figsize=(9, 3))
    axes = figure.subplots()
    steps = np.arange(1, len(probabilities) + 1)
    axes.plot(steps, probabilities, "o-", color=PALETTE["blue"], markersize=3, linewidth=0.8, label="chosen token")
    for number, mean in enumerate(means):
        left = start + 0.5 + number * period
        if number % 2 == 0:
            axes.axvspan(left, left + period, color=PALETTE["sky"], alpha=0.25, linewidth=0)
        axes.plot([left, left + period], [mean, mean], color=PALETTE["vermilion"], linewidth=2.5)
        axes.text(left + period / 2, 1.03, str(number + 1), ha="center", fontsize=8)
    axes.plot([], [], color=PALETTE["vermilion"], linewidth=2.5, label="mean of the round (numbered above)")
    axes.set(ylim=(0, 1.12), xlabel="step", ylabel="probability")
    axes.legend(loc="lower right", fontsize=8)
    said = ", ".join(f"in round {number}: {mean:.2f}" for number, mean in enumerate(means, start=1))
    loop = quoted(" ".join(spoken(label) for label in labels[start : start + period]))
    figure.alt = (
        f"Probability of each chosen token over {len(probabilities)} steps. From step {start + 1} on, {period} tokens "
        f"repeat in {rounds} rounds: {loop}. Mean probability of a token {said}."
    )
    return figure


def logit_changes(changes: Mapping[str, np.ndarray], token: str, written: np.ndarray) -> CourseFigure:
    """Draw what each penalty adds to the logit of one token while the text grows.

    Args:
        changes: Name of each penalty and the change of the logit at each step, `(step,)`; at most four.
        token: The token as visible text.
        written: Whether the token was chosen in each step, bool `(step,)`; marked with triangles.

    Raises:
        ValueError: There are more than four penalties, or the arrays differ in length.

    Lesson: 12 · Repetition, length and stopping

    >>> logit_changes({"presence 1": np.array([0, -1, -1])}, "␣I", np.array([True, False, False]))
    Change of the logit of “␣I” over 3 steps; it is written 1 times, first in step 1. presence 1: 0.00 at the start, \
-1.00 at the end, -1.00 at its lowest.
    """
    if len(changes) > len(STYLES) or {len(values) for values in changes.values()} - {len(written)}:
        raise ValueError(f"changes must hold at most {len(STYLES)} rows of {len(written)} steps, got other ones")
    figure = CourseFigure(figsize=(9, 3.4))
    axes = figure.subplots()
    steps = np.arange(1, len(written) + 1)
    for (name, values), (colour, line, mark) in zip(changes.items(), STYLES, strict=False):
        axes.step(
            steps, values, where="mid", color=PALETTE[colour], linestyle=line, marker=mark, markevery=5, markersize=4,
            label=name,
        )  # fmt: skip
    axes.plot(steps[written], np.full(written.sum(), 0.25), "v", color="black", markersize=5, label="written here")
    axes.set(xlabel="step", ylabel=f"change of the logit of {drawable(token)}")
    axes.legend(fontsize=8, loc="lower left")
    lines = " ".join(
        f"{spoken(name)}: {values[0]:.2f} at the start, {values[-1]:.2f} at the end, {values.min():.2f} at its lowest."
        for name, values in changes.items()
    )
    first = f", first in step {written.argmax() + 1}" if written.any() else ""
    figure.alt = (
        f"Change of the logit of {quoted(spoken(token))} over {len(written)} steps; it is written {written.sum()} times"
        f"{first}. {lines}"
    )
    return figure


def repetition_steps(
    changes: np.ndarray, labels: Sequence[str], written: np.ndarray, chances: np.ndarray, why: str
) -> CourseFigure:
    """Draw one row per token, in which bars hang as deep as its logit is lowered; below, the probabilities.

    Args:
        changes: What the penalties added to the logits, `(step, row)`; −∞ where a token was banned.
        labels: The tokens as visible text, `(row,)`.
        written: Whether the token was chosen, bool `(step, row)`; marked with dots.
        chances: Probability of the chosen token, and of the end of the text before and after, `(3, step)`.
        why: Why the text ended, one sentence.

    Lesson: 12 · Repetition, length and stopping

    >>> zero = np.zeros((1, 1), np.float32)
    >>> repetition_steps(zero, ["a"], zero > 0, np.ones((3, 1)), "Stopped: eos.")
    Logit changes of 1 token over 1 step. No logit is changed. End of text: probability 1.00 at most, in step 1. \
Stopped: eos.
    """
    steps = np.arange(1, len(changes) + 1)
    finite = np.where(np.isfinite(changes), changes, 0)
    most = max(np.abs(finite).max(), 1e-9)
    rows = changes.shape[1]
    figure = CourseFigure(figsize=(7.6, 2.3 + 0.31 * rows))
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[0.33 * rows, 1.2])
    for row in range(rows):
        banned = np.isneginf(changes[:, row])
        sizes = finite[:, row] / most * 0.85
        lowered, raised = np.minimum(sizes, 0), np.maximum(sizes, 0)
        top.bar(steps, -lowered, bottom=row - 0.42, width=1, color=PALETTE["vermilion"])
        top.bar(steps, -raised, bottom=row + 0.42, width=1, color=PALETTE["blue"], hatch="//")
        top.plot(steps[banned], np.full(banned.sum(), row), "x", color="black", markersize=5)
        seen = steps[written[:, row]]
        top.plot(seen, np.full(len(seen), row - 0.42), "o", color="black", markersize=3)
    # A name is where the bar begins, beside the dots of its token.
    top.set_yticks(np.arange(rows) - 0.42, [drawable(cut(label, 14)) for label in labels], fontsize=9)
    top.set_ylim(rows - 0.4, -0.7)
    figure.suptitle(fill(drawable(why), 90), fontsize=10)
    top.set_title(
        f"● chosen: from then on its bar hangs, the logit is lower, by up to {-finite.min():.2f}   × banned (−∞)"
        if finite.min() < 0 else "● chosen   × banned (−∞)", fontsize=9, loc="left",
    )  # fmt: skip
    bottom.plot(steps, chances[0], color=PALETTE["blue"], linewidth=1, label="chosen token")
    bottom.plot(steps, chances[1], "--", color=PALETTE["vermilion"], label="end of text")
    bottom.plot(steps, chances[2], ":", color="black", label="the same after penalties and mask")
    bottom.set(ylim=(-0.03, 1.05))
    bottom.set_xlabel("step", fontsize=9)
    bottom.set_ylabel("probability", fontsize=9)
    bottom.tick_params(labelsize=9)
    bottom.set_xlim(0, len(changes) + 1)
    figure.legend(*bottom.get_legend_handles_labels(), fontsize=9, ncols=3, loc="outside lower center", frameon=False)
    figure.alt = _alt(changes, finite, labels, chances, why)
    return figure


def _count(number, what) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _alt(changes, finite, labels, chances, why) -> str:
    step, row = np.unravel_index(finite.argmin(), finite.shape)
    banned = int(np.isneginf(changes).sum())
    said = f"The largest is {finite[step, row]:.2f}, for {quoted(spoken(labels[row]))} in step {step + 1}."
    if not finite.min() < 0:
        said = "No logit is changed." if not finite.any() and not banned else ""
    bans = f" A token is banned {_count(banned, 'time')}." * bool(banned)
    end = chances[1].argmax()
    return (
        f"Logit changes of {_count(changes.shape[1], 'token')} over {_count(len(changes), 'step')}. {said}{bans} "
        "End of text: probability "
        f"{chances[1][end]:.2f} at most, in step {end + 1}. {why.replace('<', 'less-than')}"
    )


def end_of_text(before: np.ndarray, after: np.ndarray, labels: Sequence[str]) -> CourseFigure:
    """Draw, at every step, the probability that the text ends; where it was masked, there is a cross above the bar.

    Args:
        before: Probability of the end as the model said it, `(step,)`.
        after: The same after penalties and mask, `(step,)`.
        labels: The token that was chosen at each step, as visible text, `(step,)`; at most 60.

    Raises:
        ValueError: The arrays differ in length, or there are more than 60 steps.

    Lesson: 12 · Repetition, length and stopping

    >>> end_of_text(np.array([0.1, 0.8]), np.array([0.1, 0.0]), ["a", "b"])
    Probability of the end of the text over 2 steps: 0.80 at most, in step 2, where “b” was chosen. Masked in 1 step.
    """
    if not len(before) == len(after) == len(labels) <= 60:
        raise ValueError(
            f"before, after and labels must have the same number of steps, at most 60, got {len(before)}, {len(after)} "
            f"and {len(labels)}"
        )
    steps = np.arange(len(before))
    masked = (after == 0) & (before > 0)
    figure = CourseFigure(figsize=(9, 3))
    axes = figure.subplots()
    axes.bar(steps, before, color=PALETTE["sky"], edgecolor=PALETTE["blue"], label="as the model says")
    crosses = {"color": PALETTE["vermilion"], "markeredgewidth": 2, "label": "masked: cannot end"}
    if masked.any():
        axes.plot(steps[masked], before[masked] + 0.04, "x", **crosses)
    axes.set_xticks(steps, [drawable(cut(label, 12)) for label in labels], rotation=60, ha="right", fontsize=7)
    axes.set(ylim=(0, 1.05), ylabel="probability of the end", xlabel="chosen token")
    axes.legend(fontsize=8)
    most, count = int(before.argmax()), int(masked.sum())
    chosen = labels[most].replace("<", "‹").replace(">", "›")  # the end's own name has brackets; a page would eat them
    figure.alt = (
        f"Probability of the end of the text over {len(before)} steps: {before[most]:.2f} at most, in step {most + 1}, "
        f"where {quoted(chosen)} was chosen. Masked in {count} step{'s' * (count != 1)}."
    )
    return figure
