"""Numbers side by side: curves over the layers of a model, bars against a first one, changes with their intervals."""

from collections.abc import Mapping, Sequence

from course_utils.figures.base import PALETTE, CourseFigure, drawable

_STYLES = (("o", "-", "blue"), ("s", "--", "vermilion"), ("^", ":", "green"), ("D", "-.", "purple"))


def layer_curves(curves: Mapping[str, Sequence[float]], ylabel: str, title: str = "") -> CourseFigure:
    """Draw up to four curves, one number per layer; each has a mark and a line of its own besides its colour.

    Args:
        curves: Name and values of each curve; value 0 is before the first layer.
        ylabel: What the values are.
        title: Above the picture.

    Raises:
        ValueError: There are no curves or more than four, or they differ in length.

    Lesson: 08 · Attention

    >>> layer_curves({"same": [1, 0.9], "other": [1, 0.6]}, "cosine").alt
    'cosine after 0 to 1 layers. same: from 1.00 to 0.90; other: from 1.00 to 0.60. Farthest apart after layer 1: 0.30.'
    """
    lengths = {len(values) for values in curves.values()}
    if not 1 <= len(curves) <= len(_STYLES) or len(lengths) != 1:
        raise ValueError(f"curves must be 1 to {len(_STYLES)} of one length, got lengths {sorted(lengths)}")
    figure = CourseFigure(figsize=(7, 3))
    axes = figure.subplots()
    for (name, values), (marker, line, colour) in zip(curves.items(), _STYLES, strict=False):
        axes.plot(values, marker=marker, linestyle=line, color=PALETTE[colour], markersize=5, label=drawable(name))
    axes.set(xlabel="after how many layers", ylabel=ylabel)
    axes.set_title(drawable(title), loc="left", fontsize=10)
    axes.legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 1), ncols=2)  # beside no curve
    ends = "; ".join(f"{name}: from {values[0]:.2f} to {values[-1]:.2f}" for name, values in curves.items())
    apart = [max(values) - min(values) for values in zip(*curves.values(), strict=True)]
    widest = max(range(len(apart)), key=apart.__getitem__)
    most = f" Farthest apart after layer {widest}: {apart[widest]:.2f}." if len(curves) > 1 else ""
    figure.alt = f"{ylabel} after 0 to {len(apart) - 1} layers. {ends}.{most}"
    return figure


def bars_against_first(values: Mapping[str, float], xlabel: str, title: str = "") -> CourseFigure:
    """Draw bars; a line marks where the first one ends, and bars that go beyond it by a tenth are hatched.

    Args:
        values: Name and value of each bar, top to bottom; the first is what the others are compared with.
        xlabel: What the values are.
        title: Above the picture.

    Raises:
        ValueError: There are fewer than two bars.

    Lesson: 14 · Speed and memory in practice

    >>> bars_against_first({"whole": 4.0, "without": 6.0}, "loss").alt
    'loss: whole 4.00; without 6.00 (+2.00).'
    """
    if len(values) < 2:
        raise ValueError(f"values must hold at least two bars, got {len(values)}")
    (first_name, first), *others = values.items()
    figure = CourseFigure(figsize=(7, 0.9 + 0.34 * len(values)))
    axes = figure.subplots()
    bars = axes.barh(range(len(values)), list(values.values()), color=PALETTE["sky"], edgecolor=PALETTE["blue"])
    for bar in bars[1:]:
        if bar.get_width() > 1.1 * first:
            bar.set(facecolor=PALETTE["orange"], hatch="//", edgecolor="black")
    axes.bar_label(bars, [f"{value:.2f}" for value in values.values()], padding=3)
    axes.axvline(first, color="black", linestyle=":")
    axes.set_yticks(range(len(values)), map(drawable, values))
    axes.invert_yaxis()
    axes.set_xlim(0, max(values.values()) * 1.12)
    axes.set_xlabel(xlabel)
    axes.set_title(drawable(title), loc="left", fontsize=10)
    said = "; ".join(f"{name} {value:.2f} ({round(value - first, 2) + 0.0:+.2f})" for name, value in others)
    figure.alt = f"{xlabel}: {first_name} {first:.2f}; {said}."
    return figure


def changes_with_intervals(
    changes: Mapping[str, Sequence[tuple[float, float, float]]], names: Sequence[str], xlabel: str, title: str = ""
) -> CourseFigure:
    """Draw what each of several changes did, as points with intervals around a line at 0.

    Args:
        changes: For each of up to four measures, one `(mean, lower end, upper end)` per name.
        names: What was changed, top to bottom.
        xlabel: What the numbers are.
        title: Above the picture.

    Raises:
        ValueError: There are no measures or more than four, or one has not as many numbers as there are names.

    Lesson: 08 · Attention

    >>> changes_with_intervals({"copies": [(1.6, 1.5, 1.8)]}, ["without 18.6"], "rise of the loss").alt
    'rise of the loss, with 95 % intervals. copies: without 18.6 +1.60 (1.50 to 1.80).'
    """
    if not 1 <= len(changes) <= len(_STYLES):
        raise ValueError(f"changes must have 1 to {len(_STYLES)} measures, got {len(changes)}")
    if wrong := [name for name, values in changes.items() if len(values) != len(names)]:
        raise ValueError(f"changes must have {len(names)} numbers each, as many as names; not so: {', '.join(wrong)}")
    figure = CourseFigure(figsize=(7.5, 0.9 + 0.2 * len(names) * max(len(changes), 2)))
    axes, said = figure.subplots(), []
    for number, (measure, values) in enumerate(changes.items()):
        marker, _, colour = _STYLES[number]
        means, ends = [mean for mean, *_ in values], [(low, high) for _, low, high in values]
        rows = [row + 0.3 * (number - (len(changes) - 1) / 2) for row in range(len(names))]
        around = [[abs(end[side] - mean) for mean, end in zip(means, ends, strict=True)] for side in (0, 1)]
        axes.errorbar(means, rows, xerr=around, fmt=marker, color=PALETTE[colour], capsize=3, label=drawable(measure))
        beside = {"xytext": (6, 0), "textcoords": "offset points", "fontsize": 8, "va": "center_baseline"}
        for row, mean, (_, high) in zip(rows, means, ends, strict=True):
            axes.annotate(f"{mean:+.2f}".replace("-", "−"), (max(high, 0), row), **beside)
        each = zip(names, values, strict=True)
        said.append(f"{measure}: " + ", ".join(f"{n} {m:+.2f} ({low:.2f} to {high:.2f})" for n, (m, low, high) in each))
    axes.axvline(0, color="black", linestyle=":")
    axes.set_yticks(range(len(names)), [drawable(name) for name in names])
    axes.invert_yaxis()
    axes.margins(x=0.1)
    axes.set_xlabel(xlabel)
    axes.set_title(drawable(title), loc="left", fontsize=10)
    if len(changes) > 1:
        axes.legend(fontsize=8)
    figure.alt = f"{xlabel}, with 95 % intervals. {'; '.join(said)}."
    return figure
