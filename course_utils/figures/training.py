"""How a training run went, and what it was good for: loss curves, and accuracies with their intervals."""

from collections.abc import Mapping, Sequence

import numpy as np

from course_utils.figures.base import PALETTE, CourseFigure, drawable, spoken


def loss_curves(
    train: Sequence[float],
    held_out: Mapping[int, float],
    levels: Mapping[str, float] | None = None,
    title: str = "",
) -> CourseFigure:
    """Draw the loss of every step, the loss on held-out text at some of them, and levels to compare both with.

    Args:
        train: The loss of the batch of each step, before the step: place 0 is step 1.
        held_out: The loss on held-out text by the number of steps done.
        levels: Names and heights of dotted lines.
        title: Above the picture.

    Raises:
        ValueError: There is no step, or no measurement of held-out text.

    Lesson: 06 · Pre-training and fine-tuning

    >>> loss_curves([3.9, 2.0], {0: 3.9, 2: 2.5}, {"guessing": 3.9}).alt
    'Loss over 2 steps of training. On the training text from 3.90 to 2.00; on held-out text from 3.90 to 2.50, lowest
    2.50 after step 2. Dotted line: guessing 3.90.'
    """
    if not len(train) or not held_out:
        raise ValueError(f"train and held_out must hold at least one loss, got {len(train)} and {len(held_out)}")
    figure = CourseFigure(figsize=(7, 3.6))
    axes = figure.subplots()
    steps = np.arange(1, len(train) + 1)
    axes.plot(steps, train, color=PALETTE["sky"], linewidth=1.2, label="training text, each batch")
    style = {"color": PALETTE["vermilion"], "marker": "o", "markersize": 5}
    axes.plot(list(held_out), list(held_out.values()), label="held-out text", **style)
    for name, height in (levels or {}).items():
        axes.axhline(height, color=PALETTE["grey"], linestyle=":")
        axes.annotate(
            f"{drawable(name)} {height:.2f}", (1, height), xycoords=("axes fraction", "data"), xytext=(0, 3),
            textcoords="offset points", ha="right", fontsize=8,
        )  # fmt: skip
    axes.set(xlabel="steps of training", ylabel="loss (nats per token)", ylim=(0, None))
    axes.set_title(drawable(title), loc="left", fontsize=10)
    axes.legend(frameon=False, fontsize=8, loc="lower left")
    best = min(held_out, key=held_out.get)
    ends = list(held_out.values())
    lines = ", ".join(f"{spoken(name)} {height:.2f}" for name, height in (levels or {}).items())
    count = len(levels or {})
    said = f" Dotted line{'s' if count > 1 else ''}: {lines}." if count else ""
    figure.alt = (
        f"Loss over {len(train)} steps of training. On the training text from {train[0]:.2f} to {train[-1]:.2f}; "
        f"on held-out text from {ends[0]:.2f} to {ends[-1]:.2f}, lowest {held_out[best]:.2f} after step {best}.{said}"
    )
    return figure


def accuracy_intervals(
    rows: Mapping[str, tuple[float, float, float]], chance: float, xlabel: str = "accuracy", title: str = ""
) -> CourseFigure:
    """Draw accuracies as points with their intervals, top to bottom, and where guessing would be.

    Args:
        rows: By name: accuracy, lower and upper end of its interval; all in 0 … 1.
        chance: The accuracy of guessing, as a dotted line; an interval that reaches it is grey, its point open.
        xlabel: What is measured.
        title: Above the picture.

    Raises:
        ValueError: There are no rows, or an accuracy does not lie in its interval.

    Lesson: 06 · Pre-training and fine-tuning

    >>> accuracy_intervals({"LoRA": (0.8, 0.72, 0.86), "none": (0.54, 0.45, 0.63)}, chance=0.5).alt
    'accuracy, with 95 % intervals; guessing would be 50 %. LoRA: 80 % (72 to 86); none: 54 % (45 to 63).'
    """
    if not rows:
        raise ValueError("rows must hold at least one accuracy, got none")
    for name, (share, low, high) in rows.items():
        if not 0 <= low <= share <= high <= 1:
            raise ValueError(f"rows of {name!r} must be an accuracy inside its interval, got {share}, {low} … {high}")
    figure = CourseFigure(figsize=(7.4, 1.0 + 0.5 * len(rows)))
    axes = figure.subplots()
    said = []
    for place, (name, (share, low, high)) in enumerate(rows.items()):
        guessing = low <= chance <= high
        colour = PALETTE["grey" if guessing else "blue"]
        axes.errorbar(
            share, place, xerr=[[share - low], [high - share]], fmt="o", color=colour, capsize=5, linewidth=2,
            markerfacecolor="white" if guessing else colour, markersize=8,
        )  # fmt: skip
        clear = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}  # the dotted line may run through the number
        place_of_number = {"xytext": (0, 9), "textcoords": "offset points", "ha": "center"}
        axes.annotate(f"{share:.0%}", (share, place), fontsize=9, bbox=clear, **place_of_number)
        said.append(f"{spoken(name)}: {share * 100:.0f} % ({low * 100:.0f} to {high * 100:.0f})")
    axes.axvline(chance, color="black", linestyle=":")
    axes.annotate("guessing", (chance, 1), xycoords=("data", "axes fraction"), xytext=(-4, -10),
                  textcoords="offset points", ha="right", fontsize=8)  # fmt: skip
    axes.set_yticks(range(len(rows)), [drawable(name) for name in rows])
    axes.set(xlabel=f"{xlabel} (95 % interval)", xlim=(min(0.3, chance - 0.1), 1), ylim=(len(rows) - 0.5, -0.7))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.set_title(drawable(title), loc="left", fontsize=10)
    figure.alt = f"{xlabel}, with 95 % intervals; guessing would be {chance * 100:.0f} %. {'; '.join(said)}."
    return figure
