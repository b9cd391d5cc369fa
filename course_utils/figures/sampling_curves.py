"""What sampling settings do to a whole distribution, and to many texts: three curves for lesson 11."""

from collections.abc import Mapping, Sequence

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


def diversity_and_surprisal(
    families: Mapping[str, tuple[np.ndarray, np.ndarray]], people: Sequence[float]
) -> CourseFigure:
    """Draw each family of settings as a curve: how surprising its draws are, and how undecided its distributions.

    Args:
        families: By name: surprisal and entropy in bits, each `(setting, 3)` with the mean and the ends of its
            interval. At most five.
        people: Mean and ends of the interval for what people wrote, in bits, drawn as a grey band.

    Raises:
        ValueError: There is no family or more than five.

    Lesson: 11 · Sampling

    >>> bits = np.array([[1.5, 1.0, 2.0], [4.5, 4.0, 5.0]])
    >>> diversity_and_surprisal({"temperature": (bits, bits)}, people=[4.0, 3.0, 5.0])
    Entropy over surprisal, in bits. temperature: 1.5 at 1.5 to 4.5 at 4.5. People: 4.0 (3.0 to 5.0).
    """
    if not 1 <= len(families) <= len(_LINES):
        raise ValueError(f"families must hold 1 … {len(_LINES)} curves, got {len(families)}")
    figure = CourseFigure(figsize=(7, 4))
    axes = figure.subplots()
    said = []
    for (name, (x, y)), (colour, line, marker) in zip(families.items(), _LINES, strict=False):
        bars = [[ends[:, 0] - ends[:, 1], ends[:, 2] - ends[:, 0]] for ends in (y, x)]
        look = {"color": PALETTE[colour], "linestyle": line, "marker": marker, "markersize": 5, "elinewidth": 1}
        axes.errorbar(x[:, 0], y[:, 0], *bars, label=drawable(name), **look)
        said.append(f"{spoken(name)}: {y[0, 0]:.1f} at {x[0, 0]:.1f} to {y[-1, 0]:.1f} at {x[-1, 0]:.1f}.")
    mean, low, high = people
    axes.axvspan(low, high, color=PALETTE["grey"], alpha=0.25, linewidth=0)
    axes.axvline(mean, color=PALETTE["grey"], linestyle="--", label="people")
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    axes.set(xlabel="surprisal of a draw for the unfiltered model (bits)", ylabel="entropy of the draw (bits)")
    figure.alt = f"Entropy over surprisal, in bits. {' '.join(said)} People: {mean:.1f} ({low:.1f} to {high:.1f})."
    return figure
