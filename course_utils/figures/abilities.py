"""How large models are, where their parameters are, and what shots in the prompt do."""

from collections.abc import Mapping, Sequence

import numpy as np

from course_utils.figures.base import PALETTE, CourseFigure, drawable, spoken

_FILLS = [("sky", ""), ("orange", "//"), ("green", ".."), ("black", ""), ("purple", "xx"), ("grey", "\\\\")]
_LINES = [("blue", "-", "o"), ("vermilion", "--", "s"), ("green", "-.", "^"), ("purple", ":", "D")]


def short_number(number: float) -> str:
    """Write a large number with a unit: three digits and K, M, B or T.

    Lesson: 01 · What LLMs can do

    >>> short_number(134_515_008), short_number(1.6e12), short_number(676)
    ('135 M', '1.6 T', '676')
    """
    for size, unit in ((1e12, " T"), (1e9, " B"), (1e6, " M"), (1e3, " K")):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:g}"


def parameter_parts(models: Mapping[str, Mapping[str, int]]) -> CourseFigure:
    """Draw where the parameters of several models are: one bar per model, the share of every part of it.

    Args:
        models: For each model its parts and their numbers of parameters.

    Raises:
        ValueError: There are no models, or more different parts than fills that can be told apart (6).

    Lesson: 01 · What LLMs can do

    >>> parameter_parts({"toy": {"embedding": 30, "MLP": 70}})
    Where the parameters are. toy, 100 in all: embedding 30 %, MLP 70 %.
    """
    parts = list(dict.fromkeys(part for counts in models.values() for part in counts))
    if not 1 <= len(parts) <= len(_FILLS):
        raise ValueError(f"models must have 1 to {len(_FILLS)} different parts, got {parts}")
    figure = CourseFigure(figsize=(8, 1.1 + 0.42 * len(models)))
    axes, said = figure.subplots(), []
    for row, (name, counts) in enumerate(models.items()):
        total, left = sum(counts.values()), 0.0
        for part, (colour, hatch) in zip(parts, _FILLS, strict=False):
            share = counts.get(part, 0) / total
            label = part if row == 0 else None
            axes.barh(row, share, left=left, color=PALETTE[colour], hatch=hatch, edgecolor="white", label=label)
            left += share
        axes.annotate(short_number(total), (1.01, row), va="center", fontsize=9)
        shares = ", ".join(f"{part} {count / total * 100:.0f} %" for part, count in counts.items())
        said.append(f"{spoken(name)}, {short_number(total)} in all: {shares}")
    axes.set_yticks(range(len(models)), map(drawable, models))
    axes.set(xlim=(0, 1.09), ylim=(len(models) - 0.5, -0.5), xlabel="share of all parameters")
    axes.set_xticks(np.arange(0, 1.01, 0.2), [f"{share:.0%}" for share in np.arange(0, 1.01, 0.2)])
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=len(parts), frameon=False)
    figure.alt = f"Where the parameters are. {'. '.join(said)}."
    return figure


def model_sizes(
    sizes: Mapping[str, float], here: Sequence[str] = (), active: Mapping[str, float] | None = None
) -> CourseFigure:
    """Draw the sizes of models on a logarithmic axis, the smallest at the top.

    Args:
        sizes: Number of parameters of each model.
        here: Names of the models on this machine; they get a square.
        active: Of a mixture of experts, how many parameters work on one token; they get a diamond.

    Raises:
        ValueError: There are no sizes, or a name is in none of them.

    Lesson: 01 · What LLMs can do

    >>> model_sizes({"large": 6e9, "small": 2e6}, here=["small"], active={"large": 1e9})
    Sizes on a logarithmic axis: small (on this machine) 2 M; large 6 B, of which 1 B work on a token.
    """
    active = active or {}
    unknown = [name for name in [*here, *active] if name not in sizes]
    if unknown or not sizes:
        raise ValueError(f"sizes must name every model of here and active, got none for {unknown}")
    figure = CourseFigure(figsize=(8, 1 + 0.27 * len(sizes)))
    axes, said = figure.subplots(), []
    ranked = sorted(sizes, key=sizes.__getitem__)
    for row, name in enumerate(ranked):
        size, own = sizes[name], name in here
        if name in active:
            axes.plot([active[name], size], [row, row], color=PALETTE["grey"], linestyle=":")
            axes.plot(active[name], row, "D", markerfacecolor="white", color=PALETTE["purple"])
        axes.plot(size, row, "s" if own else "o", color=PALETTE["orange" if own else "blue"], markeredgecolor="black")
        axes.annotate(short_number(size), (size, row), (8, 0), textcoords="offset points", va="center", fontsize=8)
        work = f", of which {short_number(active[name])} work on a token" if name in active else ""
        said.append(f"{spoken(name)}{' (on this machine)' * own} {short_number(size)}{work}")
    axes.set_yticks(range(len(ranked)), map(drawable, ranked), fontsize=8)
    axes.set(xscale="log", ylim=(len(ranked) - 0.5, -0.5), xlabel="parameters (logarithmic axis)")
    axes.margins(x=0.1)
    _size_legend(axes, bool(here), bool(active))
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    figure.alt = f"Sizes on a logarithmic axis: {'; '.join(said)}."
    return figure


def _size_legend(axes, here: bool, active: bool) -> None:
    if here:
        axes.plot([], [], "s", color=PALETTE["orange"], markeredgecolor="black", label="on this machine")
    axes.plot([], [], "o", color=PALETTE["blue"], markeredgecolor="black", label="published")
    if active:
        axes.plot([], [], "D", markerfacecolor="white", color=PALETTE["purple"], label="at work on one token")
    axes.legend(loc="lower left", fontsize=8, framealpha=1)


def shots_curves(
    curves: Mapping[str, np.ndarray],
    means: Mapping[str, np.ndarray],
    counts: Sequence[int],
    chance: float,
    ylabel: str = "share of right labels",
) -> CourseFigure:
    """Draw what shots do: every draw as a small mark, the mean as a line, its interval as a bar.

    Args:
        curves: For each name one number per draw and count, `(draw, count)`; torch tensors will do.
        means: For each name the mean and both ends of its 95 % interval, `(count, 3)`.
        counts: Numbers of shots, `(count,)`.
        chance: What always saying the same label would reach, as a dotted line.
        ylabel: What the numbers are.

    Raises:
        ValueError: There are not 1 to 4 curves, one has not at least two draws of `counts` numbers, or it
            has no interval for each count.

    Lesson: 01 · What LLMs can do

    >>> means = np.array([[0.5, 0.5, 0.5], [0.9, 0.8, 1.0]])
    >>> shots_curves({"real": np.array([[0.5, 0.8], [0.5, 1.0]])}, {"real": means}, [0, 1], chance=0.5)
    share of right labels by number of shots, mean and 95 % interval. real: 0 shots 0.50 (0.50 to 0.50), 1 0.90 \
(0.80 to 1.00). Always the same label: 0.50.
    """
    arrays = {name: np.asarray(values, dtype=float) for name, values in curves.items()}
    for name, values in arrays.items():
        if values.ndim != 2 or values.shape[1] != len(counts) or len(values) < 2:
            raise ValueError(f"curves of {name} must have shape (2 or more, {len(counts)}), got {values.shape}")
        if np.shape(means.get(name)) != (len(counts), 3):
            raise ValueError(f"means of {name} must have shape ({len(counts)}, 3), got {np.shape(means.get(name))}")
    if not 1 <= len(arrays) <= len(_LINES):
        raise ValueError(f"curves must be 1 to {len(_LINES)}, got {len(arrays)}")
    figure = CourseFigure(figsize=(7.5, 3.6))
    axes, said = figure.subplots(), []
    for number, (name, values) in enumerate(arrays.items()):
        places = np.arange(len(counts)) + 0.14 * (number - (len(arrays) - 1) / 2)
        mean, low, high = np.asarray(means[name], dtype=float).T
        colour, line, mark = _LINES[number]
        for draw in values:
            axes.plot(places, draw, mark, color=PALETTE[colour], markersize=3, alpha=0.35)
        style = {"color": PALETTE[colour], "linestyle": line, "marker": mark, "capsize": 4}
        bars = np.abs([mean - low, high - mean])  # where all draws agree, rounding could leave −0.0000001
        axes.errorbar(places, mean, bars, label=drawable(name), **style)
        rows = zip(counts, mean, low, high, strict=True)
        words = [f"{count} {middle:.2f} ({least:.2f} to {most:.2f})" for count, middle, least, most in rows]
        said.append(f"{spoken(name)}: {', '.join(words).replace(' ', ' shots ', 1)}")
    axes.axhline(chance, color=PALETTE["grey"], linestyle=":")
    axes.annotate("always the same label", (len(counts) - 0.6, chance), (0, -11), textcoords="offset points",
                  ha="right", fontsize=8, color=PALETTE["grey"])  # fmt: skip
    axes.set_xticks(range(len(counts)), counts)
    axes.set(xlabel="shots in the prompt", ylabel=ylabel, ylim=(-0.02, 1.05), xlim=(-0.4, len(counts) - 0.6))
    axes.legend(fontsize=8, loc="lower right")
    same = f"Always the same label: {chance:.2f}."
    figure.alt = f"{ylabel} by number of shots, mean and 95 % interval. {'. '.join(said)}. {same}"
    return figure
