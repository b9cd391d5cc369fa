"""Measured speed with its spread, beside what the machine's rates alone predict."""

from collections.abc import Mapping, Sequence

from course_utils.figures.base import PALETTE, CourseFigure, drawable

_LOOKS = (("blue", "o"), ("vermilion", "s"), ("green", "D"), ("purple", "^"))


def speed_curves(
    series: Mapping[str, Mapping[str, Sequence[float]]],
    x_label: str,
    y_label: str,
    chosen: float | None = None,
    linear: bool = False,
) -> CourseFigure:
    """Draw the median of each series with bars from its least to its most, and dashed the limit.

    Args:
        series: For every name: "x", "median", "least", "most" and "predicted", one number per point each.
        x_label: What x is.
        y_label: What y is, with its unit.
        chosen: An x to mark.
        linear: Whether x has equal steps; else it doubles.

    Raises:
        ValueError: There is no series, or one has columns of different lengths.

    Lesson: 14 · Speed and memory in practice; 10 · Prefill and decode

    >>> points = {"x": [16, 64], "median": [54, 110], "least": [53, 108], "most": [57, 115], "predicted": [40, 100]}
    >>> speed_curves({"a laptop": points}, "prompt tokens", "TTFT (ms)").alt
    'TTFT (ms) by prompt tokens. a laptop: 54 at 16 (at best 40), 110 at 64 (at best 100).'
    """
    if not series or any(len({len(column) for column in points.values()}) != 1 for points in series.values()):
        raise ValueError("series must hold at least one, and each as many numbers in every column")
    figure = CourseFigure(figsize=(7.5, 3.8))
    figure.colors = 64
    axes = figure.subplots()
    for (name, points), (colour, marker) in zip(series.items(), _LOOKS * len(series), strict=False):
        x, middle, look = points["x"], points["median"], {"color": PALETTE[colour]}
        below = [m - least for m, least in zip(middle, points["least"], strict=True)]
        above = [most - m for m, most in zip(middle, points["most"], strict=True)]
        axes.errorbar(x, middle, (below, above), marker=marker, capsize=4, label=drawable(name), **look)
        axes.plot(x, points["predicted"], "--", marker=marker, markersize=4, fillstyle="none", **look)
    axes.plot([], [], "--", color="black", label="at best (dashed)")
    if chosen is not None:
        axes.axvline(chosen, color=PALETTE["grey"], linestyle=":")
    places = sorted({place for points in series.values() for place in points["x"]})
    if not linear:
        axes.set_xscale("log", base=2)
    axes.set_xticks(places, [f"{place:,g}" for place in places])
    axes.set_xticks([], minor=True)
    axes.set_ylim(bottom=0)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.legend(fontsize=9, frameon=False)
    figure.headline(f"{y_label}: measured, and dashed what the machine's rates alone predict")
    figure.alt = f"{y_label} by {x_label}. {' '.join(_words(name, points) for name, points in series.items())}"
    return figure


def _words(name, points) -> str:
    rows = zip(points["x"], points["median"], points["predicted"], strict=True)
    return (
        f"{name}: "
        + ", ".join(f"{middle:.3g} at {x:,g} (at best {predicted:.3g})" for x, middle, predicted in rows)
        + "."
    )
