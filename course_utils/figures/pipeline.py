"""The three steps of a pipeline side by side, each with the first rows of what it made."""

from collections.abc import Sequence

from course_utils.figures.base import PALETTE, CourseFigure, cut, drawable, quoted, spoken

_ROWS, _COLUMNS, _WIDTH, _GAP = 16, 4, 13, 2
_FEWEST = 30  # characters of the narrowest table, so that its title has room


def pipeline_steps(steps: Sequence[tuple[str, Sequence]], text: str) -> CourseFigure:
    """Draw text → preprocess → forward → postprocess, and under each step the table that it made.

    Args:
        steps: Pairs of a step's name and its tables, as `PipelineTrace.steps`.
        text: What went in.

    Raises:
        ValueError: There are no steps.

    Lesson: 03 · The pipeline, opened

    >>> table = ("logits", (1, 2), ("label", "logit"), (("NEGATIVE", -1.5), ("POSITIVE", 1.5)))
    >>> pipeline_steps([("forward", [table])], "Good!").alt
    'A pipeline in 1 step on “Good!”. forward makes logits of shape (1, 2), with the columns label, logit: NEGATIVE
    -1.5; POSITIVE 1.5.'
    """
    if not steps:
        raise ValueError("steps must hold at least one step, got none")
    drawn = [_cells(*tables[0][2:]) for _, tables in steps]
    height = max(map(len, drawn)) + 3.6  # in rows: the tables, a title above and a remark below
    figure = CourseFigure(figsize=(10, 0.6 + 0.21 * height), shows_frame=True)
    widths = [max(_FEWEST, sum(map(_width, zip(*cells, strict=True)))) for cells in drawn]
    panels = figure.subplots(1, len(steps), squeeze=False, width_ratios=widths)[0]
    for number, (axes, (name, tables), cells, width) in enumerate(zip(panels, steps, drawn, widths, strict=True), 1):
        title, shape, _, rows = tables[0]
        more = f"  (1 of {len(tables)})" if len(tables) > 1 else ""
        axes.set_title(f"{number} · {name}", fontweight="bold", loc="left")
        axes.set(xticks=[], yticks=[], xlim=(-1, width), ylim=(height, 0))
        for side in axes.spines.values():
            side.set_color(PALETTE["grey"])
        axes.text(0, 0.9, drawable(f"{title} {shape}{more}"), color=PALETTE["blue"], fontsize=8)
        _draw(axes, cells)
        if len(rows) > _ROWS:
            axes.text(0, 3.2 + len(cells), f"… {len(rows) - _ROWS} more rows", fontsize=8, color=PALETTE["grey"])
    figure.alt = _alt(steps, text)
    return figure


def _cells(columns: Sequence[str], rows: Sequence[Sequence]) -> list[list[str]]:
    """Return the texts of the cells, the titles first; a long title has two lines, parted after its first `_`."""
    titles = [title.replace("_", "\n_", 1) if len(title) > 9 else title for title in columns[:_COLUMNS]]
    return [titles, *([drawable(cut(str(cell), _WIDTH)) for cell in row[:_COLUMNS]] for row in rows[:_ROWS])]


def _width(column: Sequence[str]) -> int:
    return _GAP + max(len(line) for cell in column for line in cell.split("\n"))


def _draw(axes, cells: list[list[str]]) -> None:
    place = 0
    for column in zip(*cells, strict=True):
        for line, cell in enumerate(column):
            weight = "bold" if line == 0 else "normal"
            axes.text(place, 2.8 + line, cell, fontsize=8, family="monospace", weight=weight, va="bottom")
        place += _width(column)


def _alt(steps: Sequence[tuple[str, Sequence]], text: str) -> str:
    sentences = [f"A pipeline in {len(steps)} step{'s' if len(steps) > 1 else ''} on {quoted(cut(text, 60))}."]
    for name, tables in steps:
        title, shape, columns, rows = tables[0]
        first = "; ".join(" ".join(map(_said, row[:_COLUMNS], columns)) for row in rows[:4])
        which = f"with the column{'s' if len(columns) > 1 else ''} {', '.join(columns[:_COLUMNS])}"
        sentences.append(f"{name} makes {title} of shape {shape}, {which}: {first}.")
    return " ".join(sentences)


def _said(cell: object, column: str) -> str:
    return quoted(spoken(cell)) if column == "token" and isinstance(cell, str) else cut(str(cell), _WIDTH)
