"""What fills the memory, as stacked bars beside the memory of real machines."""

from collections.abc import Mapping

from matplotlib.patches import Rectangle

from course_utils.figures.base import PALETTE, CourseFigure, drawable

# Fill and hatch by the order of the parts: the hatch says what the colour says.
_LOOKS = (("blue", ""), ("orange", "///"), ("sky", "..."), ("green", "xxx"))


def memory_bars(
    rows: Mapping[str, Mapping[str, float]],
    limits: Mapping[str, float],
    unit: float = 1e9,
    title: str = "",
    card: str | None = None,
) -> CourseFigure:
    """Draw one stacked bar per row, and a dashed line at every limit that isn't far to the right.

    Args:
        rows: For every bar's name, the bytes of its parts; all rows have the same parts.
        limits: For every limit's name, its bytes.
        unit: Bytes of one unit of the axis: 1e9 for GB, 1e6 for MB.
        title: The heading.
        card: The limit that frames the first bar; the others aren't drawn.

    Raises:
        ValueError: There are no rows, or they have different parts.

    Lesson: 14 · Speed and memory in practice

    >>> memory_bars({"now": {"weights": 6e9, "KV cache": 1e9}}, {"8 GB": 8 * 2**30}).alt
    'Stacked bars of memory. now: weights 6.00 GB, KV cache 1.00 GB, in all 7.00 GB. Limits drawn: 8 GB.'
    """
    parts = list(next(iter(rows.values()), ()))
    if not parts or any(list(row) != parts for row in rows.values()):
        raise ValueError("rows must hold at least one bar, and all bars the same parts")
    longest = max(sum(row.values()) for row in rows.values())
    near = {card: limits[card]} if card else _near(limits, longest)
    figure = CourseFigure(figsize=(8.5, 2 + 0.42 * len(rows)))
    figure.colors = 64
    axes = figure.subplots()
    for place, row in enumerate(rows.values()):
        left = 0.0
        for part, (colour, hatch) in zip(parts, _LOOKS * len(parts), strict=False):
            look = {"color": PALETTE[colour], "hatch": hatch, "edgecolor": "black", "linewidth": 0.6}
            axes.barh(place, row[part] / unit, left=left / unit, height=0.62, label=None if place else part, **look)
            left += row[part]
        axes.annotate(f"{left / unit:,.3g}", (left / unit, place), (4, 0), textcoords="offset points", va="center")
    if card:
        frame = {"fill": False, "linewidth": 2.5, "edgecolor": "black", "clip_on": False, "zorder": 3}
        axes.add_patch(Rectangle((0, -0.45), limits[card] / unit, 0.9, **frame))
    for size in () if card else near.values():
        axes.axvline(size / unit, color="black", linestyle="--", linewidth=1.2)
    end = 1.1 * max([longest, *near.values()])
    for name, size in _labels(near, end):
        place = {"xycoords": ("data", "axes fraction"), "xytext": (0, 3), "textcoords": "offset points", "ha": "center"}
        axes.annotate(drawable(name), (size / unit, 1.0), fontsize=9, **place)
    axes.set_yticks(range(len(rows)), [drawable(name) for name in rows])
    axes.invert_yaxis()
    axes.set_xlim(0, end / unit)
    word = {1e9: "GB", 1e6: "MB", 1e3: "kB"}.get(unit, f"{unit:g} bytes")
    axes.set_xlabel(word)
    handles = axes.get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower left", ncols=len(parts), fontsize=9, frameon=False)
    if title:
        figure.headline(title)
    figure.alt = _alt(rows, near, unit, word)
    return figure


def _near(limits, longest) -> dict[str, float]:
    """The limits that can be drawn: not far past the longest bar."""
    return {name: size for name, size in sorted(limits.items(), key=lambda limit: limit[1]) if size <= 1.6 * longest}


def _labels(near, end) -> list[tuple[str, float]]:
    """What is written above the lines, and where. Lines closer than 8 % of the axis share a label: "8, 16 GB"."""
    groups: list[list[tuple[str, float]]] = []
    for name, size in near.items():
        if groups and size - groups[-1][-1][1] < 0.08 * end:
            groups[-1].append((name, size))
        else:
            groups.append([(name, size)])
    return [(_together([name for name, _ in group]), (group[0][1] + group[-1][1]) / 2) for group in groups]


def _together(names) -> str:
    numbers, words = zip(*(name.partition(" ")[::2] for name in names), strict=True)
    return f"{', '.join(numbers)} {words[0]}" if len(set(words)) == 1 else ", ".join(names)


def _alt(rows, near, unit, word) -> str:
    sentences = ["Stacked bars of memory."]
    for name, row in rows.items():
        sizes = ", ".join(f"{part} {size / unit:,.2f} {word}" for part, size in row.items())
        sentences.append(f"{name}: {sizes}, in all {sum(row.values()) / unit:,.2f} {word}.")
    return " ".join([*sentences, f"Limits drawn: {', '.join(near) or 'none, they are far to the right'}."])
