"""What sampling settings do to a whole distribution, and to many texts: three curves for lesson 11."""

from collections.abc import Mapping, Sequence
from itertools import cycle

import numpy as np
from matplotlib.ticker import StrMethodFormatter

from course_utils.figures.base import PALETTE, CourseFigure, drawable, spoken

# Curves differ in colour, line and marker, so that no two differ by colour alone.
_LINES = [
    ("blue", "-", "o"),
    ("vermilion", "--", "s"),
    ("green", "-.", "^"),
    ("purple", ":", "D"),
    ("orange", "-", "v"),
]
_POINTS = [*((colour, marker) for colour, _, marker in _LINES), ("sky", "P"), ("yellow", "X")]


def probability_mass(curves: Mapping[str, np.ndarray], share: float = 0.9) -> CourseFigure:
    """Draw what the best tokens of each distribution share together, and where they reach `share`.

    Args:
        curves: Probabilities `(vocab,)` by name; a torch tensor will do. At most five.
        share: Between 0 and 1; a mark on each curve says how many tokens it takes to get there.

    Raises:
        ValueError: There is no curve or more than five.

    Lesson: 11 · Sampling

    >>> probability_mass({"sure": np.array([0.95, 0.05]), "unsure": np.array([0.5, 0.5])})
    Probability shared by the best tokens. To reach 90 %: sure needs 1 token, unsure needs 2 tokens.
    """
    if not 1 <= len(curves) <= len(_LINES):
        raise ValueError(f"curves must hold 1 … {len(_LINES)} distributions, got {len(curves)}")
    figure = CourseFigure(figsize=(7, 3.4))
    axes = figure.subplots()
    needed = {}
    for (name, probabilities), (colour, line, marker) in zip(curves.items(), _LINES, strict=False):
        sums = np.cumsum(np.sort(np.asarray(probabilities, dtype=float))[::-1])
        needed[name] = count = int((sums < share * sums[-1]).sum()) + 1
        axes.plot(range(1, len(sums) + 1), sums, line, color=PALETTE[colour], label=f"{name}: {count:,}")
        axes.plot(count, sums[count - 1], marker, color=PALETTE[colour], markeredgecolor="black", markersize=7)
    axes.axhline(share, color=PALETTE["grey"], linewidth=1)
    axes.set(xscale="log", ylim=(0, 1.04), xlabel="the best … tokens (log scale)", ylabel="probability they share")
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.legend(title=f"tokens up to {share:.0%}", loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    counts = ", ".join(f"{spoken(name)} needs {count:,} token{'s' * (count > 1)}" for name, count in needed.items())
    figure.alt = f"Probability shared by the best tokens. To reach {share * 100:.0f} %: {counts}."
    return figure


def kept_by_order(temperatures: Sequence[float], kept: Mapping[str, Sequence[int]]) -> CourseFigure:
    """Draw how many tokens each order of the filters keeps, over the temperature.

    Args:
        temperatures: One for every point of a curve.
        kept: Numbers of tokens by the name of the order, as many as temperatures. At most five.

    Raises:
        ValueError: A curve has not one number per temperature, or there are none or more than five curves.

    Lesson: 11 · Sampling

    >>> kept_by_order([1, 2], {"temperature first": [5, 900], "top-p first": [5, 5]})
    Tokens kept over the temperature. temperature first: 5 at 1 and 900 at 2. top-p first: 5 at 1 and 5 at 2.
    """
    if not 1 <= len(kept) <= len(_LINES) or any(len(counts) != len(temperatures) for counts in kept.values()):
        lengths = [len(counts) for counts in kept.values()]
        raise ValueError(f"kept must hold 1 … {len(_LINES)} curves of {len(temperatures)} numbers, got {lengths}")
    figure = CourseFigure(figsize=(7, 3.2))
    axes = figure.subplots()
    for (name, counts), (colour, line, marker) in zip(kept.items(), _LINES, strict=False):
        axes.plot(temperatures, counts, line, marker=marker, color=PALETTE[colour], label=name, markersize=5)
    axes.set(yscale="log", xlabel="temperature", ylabel="tokens kept (log scale)")
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.legend(frameon=False)
    ends = [
        f"{spoken(name)}: {counts[0]:,} at {temperatures[0]:g} and {counts[-1]:,} at {temperatures[-1]:g}."
        for name, counts in kept.items()
    ]
    figure.alt = "Tokens kept over the temperature. " + " ".join(ends)
    return figure


def diversity_and_likelihood(
    settings: Mapping[str, tuple[Sequence[float], Sequence[float]]], people: float | None = None
) -> CourseFigure:
    """Draw each setting as a point: how likely its tokens are to the model, and how many of them are different.

    A bar is one standard error of the mean over the groups, to each side.

    Args:
        settings: By name: for every group of texts the mean log-probability of its tokens, and the share of its
            tokens that are different ones.
        people: Mean log-probability of a text that a person wrote, as a line.

    Raises:
        ValueError: A setting has fewer than two groups, or not as many of the one as of the other.

    Lesson: 11 · Sampling

    >>> diversity_and_likelihood({"hot": ([-9, -11], [0.9, 1.0])}, people=-3.5)
    Diversity against likelihood. hot: 95 % different tokens, mean log-probability -10.0. A human text: -3.5.
    """
    figure = CourseFigure(figsize=(7, 4))
    axes = figure.subplots()
    for name, groups in settings.items():
        if len({len(values) for values in groups}) != 1 or len(groups[0]) < 2:
            raise ValueError(f"settings must have two groups or more for {name!r}, got {[len(v) for v in groups]}")
    points = {name: [_mean_and_error(values) for values in groups] for name, groups in settings.items()}
    said = []
    for (name, ((x, x_error), (y, y_error))), (colour, marker) in zip(points.items(), cycle(_POINTS), strict=False):
        look = {"color": PALETTE[colour], "markeredgecolor": "black", "markersize": 7, "capsize": 3}
        axes.errorbar(x, y, y_error, x_error, marker, label=drawable(name), **look)
        said.append(f"{spoken(name)}: {y * 100:.0f} % different tokens, mean log-probability {x:.1f}.")
    if people is not None:
        axes.axvline(people, color=PALETTE["grey"], linestyle="--")
        axes.annotate(
            "a human text", (people, 0.02), xycoords=("data", "axes fraction"), xytext=(4, 0),
            textcoords="offset points", fontsize=9,
        )  # fmt: skip
        said.append(f"A human text: {people:.1f}.")
    # Names are beside the picture: settings may lie so close that names next to the points would mix.
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    axes.margins(x=0.15, y=0.15)
    axes.set(xlabel="mean log-probability of a token, for the unfiltered model", ylabel="share of different tokens")
    figure.alt = "Diversity against likelihood. " + " ".join(said)
    return figure


def _mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    values = np.asarray(values, dtype=float)
    return values.mean(), values.std(ddof=1) / np.sqrt(len(values))
