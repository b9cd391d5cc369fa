"""Vectors of words: a map in two dimensions, likeness through the layers, scores over a distance."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from course_utils.figures.base import PALETTE, CourseFigure, drawable, quoted, spoken

_MARKS = "osD^vPX*"
_COLOURS = ("blue", "vermilion", "green", "purple", "orange", "black", "sky", "grey")
_STYLES = ("-", "--", "-.", ":")
# Where the name of a point may go, the best first: (right, up) of the point.
_SIDES = ((1, 1), (1, -1), (-1, 1), (-1, -1), (1, 0), (-1, 0), (0, 1), (0, -1))
_ACROSS = {1: "left", 0: "center", -1: "right"}
_UP = {1: "bottom", 0: "center_baseline", -1: "top"}


def word_map(
    points: np.ndarray,
    labels: Sequence[str],
    explained: float,
    title: str = "",
    groups: Sequence[str] | None = None,
    path: np.ndarray | None = None,
    reach: float | None = None,
    named: Collection[int] | None = None,
) -> CourseFigure:
    """Draw words as points, and say how much of their differences the two dimensions show.

    Args:
        points: `(word, 2)`.
        labels: The words.
        explained: The share of the variance that the map shows, 0 to 1.
        title: Above the map.
        groups: A name for each word; words of a group share a mark and a colour.
        path: `(step, 2)`: where one word came from, drawn as a line.
        reach: The map goes from −reach to +reach; as far as the points if None.
        named: Which words have their names on the map; all if None.

    Raises:
        ValueError: The points do not fit the labels.

    Lesson: 05 · From text to vectors; 08 · Attention

    >>> word_map(np.array([[0.0, 1.0], [0.5, 0.0]]), ["cat", "dog"], 0.41)
    A map of 2 words that shows 41 % of their differences: “cat” at (0.00, 1.00), “dog” at (0.50, 0.00).
    """
    if points.shape != (len(labels), 2):
        raise ValueError(f"points must have shape ({len(labels)}, 2) like labels, got {points.shape}")
    figure = CourseFigure(figsize=(6.5, 5))
    axes = figure.subplots()
    names = list(dict.fromkeys(groups)) if groups else [""]
    for number, name in enumerate(names):
        chosen = [i for i in range(len(labels)) if not groups or groups[i] == name]
        style = {"color": PALETTE[_COLOURS[number % 8]], "marker": _MARKS[number % 8]}
        axes.scatter(*points[chosen].T, label=drawable(name), s=28, zorder=2, **style)
    if path is not None:
        axes.plot(*path.T, "-", color=PALETTE["grey"], linewidth=1.2, zorder=1)
        axes.plot(*path[0], "x", color=PALETTE["black"])
    if reach:
        axes.set(xlim=(-reach, reach), ylim=(-reach, reach))
    axes.set(xlabel="first principal axis", ylabel="second principal axis")
    axes.set_title(f"{drawable(title)}  ({explained:.0%} of the differences)", loc="left", fontsize=10)
    if groups:
        axes.legend(fontsize=8)
    written = range(len(labels)) if named is None else named
    _write_names(axes, points, {word: drawable(labels[word]) for word in written}, [] if path is None else path)
    said = ", ".join(
        f"{quoted(spoken(label))} at ({x:.2f}, {y:.2f})" for label, (x, y) in zip(labels[:12], points[:12], strict=True)
    )
    more = f", and {len(labels) - 12} more" if len(labels) > 12 else ""
    figure.alt = f"A map of {len(labels)} words that shows {explained * 100:.0f} % of their differences: {said}{more}."
    return figure


def _write_names(axes: Axes, points: np.ndarray, names: Mapping[int, str], path: Sequence[np.ndarray]) -> None:
    """Write each name beside its point, on the side where it covers the least of points, path and other names."""
    axes.figure.draw_without_rendering()  # the layout decides where the points are
    pixels = axes.transData.transform([*points, *path])
    taken = [Bbox.from_extents(x - 5, y - 5, x + 5, y + 5) for x, y in pixels]
    if axes.get_legend():
        taken.append(axes.get_legend().get_window_extent())

    def covered(box: Bbox) -> float:
        shared = [Bbox.intersection(box, other) for other in taken]
        inside = Bbox.intersection(box, axes.bbox)
        outside = box.width * box.height - (inside.width * inside.height if inside else 0)
        return outside + sum(part.width * part.height for part in shared if part)

    for word, name in names.items():
        text = axes.annotate(name, points[word], xytext=(0, 0), textcoords="offset points", fontsize=8)
        text.set_in_layout(False)

        def box_at(side: tuple[int, int], text: Annotation = text) -> Bbox:
            text.set(position=(6 * side[0], 5 * side[1]), ha=_ACROSS[side[0]], va=_UP[side[1]])
            return text.get_window_extent()

        best = min(_SIDES, key=lambda side: covered(box_at(side)))
        taken.append(box_at(best))


def curves(
    lines: Mapping[str, np.ndarray], places: Sequence[float], across: str, up: str, logarithmic: bool = False
) -> CourseFigure:
    """Draw one curve per name over the same places; each has its own dashes and mark.

    Args:
        lines: For each name its values, `(place,)`.
        places: Where they were measured.
        across: What the places are.
        up: What the values are.
        logarithmic: Space the places by their ratio; 0 still has a place.

    Raises:
        ValueError: A curve has not one value per place.

    Lesson: 05 · From text to vectors

    >>> curves({"head 0": np.array([1.0, 2.5])}, [1, 2], "distance", "score")
    score over distance, from 1 to 2. head 0: 1.00 at the start, 2.50 at the end, highest 2.50 at 2.
    """
    for name, values in lines.items():
        if len(values) != len(places):
            raise ValueError(f"lines of {name} must hold {len(places)} values, got {len(values)}")
    figure = CourseFigure(figsize=(7, 3.6))
    axes = figure.subplots()
    for number, (name, values) in enumerate(lines.items()):
        style = {"color": PALETTE[_COLOURS[number % 8]], "linestyle": _STYLES[number % 4], "marker": _MARKS[number % 8]}
        axes.plot(places, values, label=drawable(name), markersize=4, markevery=max(1, len(places) // 12), **style)
    if logarithmic:
        axes.set_xscale("symlog", base=2, linthresh=1)
        axes.xaxis.set_major_formatter("{x:.0f}")
    axes.set(xlabel=across, ylabel=up)
    axes.legend(fontsize=8)
    said = "; ".join(
        f"{spoken(name)}: {values[0]:.2f} at the start, {values[-1]:.2f} at the end, "
        f"highest {max(values):.2f} at {places[int(np.argmax(values))]:g}"
        for name, values in lines.items()
    )
    figure.alt = f"{up} over {across}, from {places[0]:g} to {places[-1]:g}. {said}."
    return figure
