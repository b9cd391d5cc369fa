"""The three steps of a pipeline side by side, each with the first rows of what it made."""

from collections.abc import Sequence

from course_utils.figures.base import PALETTE, CourseFigure, cut, drawable, quoted, spoken

_ROWS, _COLUMNS, _WIDTH, _GAP = 16, 4, 12, 1
_FEWEST = 24  # characters of the narrowest table, so that its heading has room
_SIZE, _LETTER = 9, 0.0755  # points, and the inches that a character of that size needs


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
    height = max(map(len, drawn)) + 4.9  # in rows: the tables, a title above and a remark below
    widths = [max(_FEWEST, sum(map(_width, zip(*cells, strict=True)))) + 2 for cells in drawn]
    figure = CourseFigure(figsize=(sum(widths) * _LETTER + 0.1 * len(steps), 0.7 + 0.19 * height), shows_frame=True)
    figure.suptitle(drawable(f"What each step makes of {quoted(cut(text, 60))}"), fontsize=11)
    panels = figure.subplots(1, len(steps), squeeze=False, width_ratios=widths)[0]
    for number, (axes, (name, tables), cells, width) in enumerate(zip(panels, steps, drawn, widths, strict=True), 1):
        title, shape, _, rows = tables[0]
        more = f"  (1 of {len(tables)})" if len(tables) > 1 else ""
        axes.set_title(f"{'→ ' * (number > 1)}{number} · {name}", fontweight="bold", loc="left", fontsize=11)
        axes.set(xticks=[], yticks=[], xlim=(-1, width - 1), ylim=(height, 0))
        for side in axes.spines.values():
            side.set_color(PALETTE["grey"])
        for line, said in enumerate((title, f"shape {shape}{more}")):
            axes.text(0, 1 + line, drawable(said), color=PALETTE["blue"], fontsize=_SIZE, in_layout=False)
        _draw(axes, cells)
        if len(rows) > _ROWS:
            axes.text(0, 4.5 + len(cells), f"… {len(rows) - _ROWS} more rows", fontsize=_SIZE, color=PALETTE["grey"])
    figure.alt = _alt(steps, text)
    return figure


def _cells(columns: Sequence[str], rows: Sequence[Sequence]) -> list[list[str]]:
    """Return the texts of the cells, the titles first; a long title has two lines, parted after its first `_`."""
    titles = [title.replace("_", "\n_", 1) if len(title) > 8 else title for title in columns[:_COLUMNS]]
    return [titles, *([drawable(cut(str(cell), _WIDTH)) for cell in row[:_COLUMNS]] for row in rows[:_ROWS])]


def _width(column: Sequence[str]) -> int:
    return _GAP + max(len(line) for cell in column for line in cell.split("\n"))


def _draw(axes, cells: list[list[str]]) -> None:
    place = 0
    for column in zip(*cells, strict=True):
        for line, cell in enumerate(column):
            weight = "bold" if line == 0 else "normal"
            axes.text(place, 4.1 + line, cell, fontsize=_SIZE, family="monospace", weight=weight, va="bottom")
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
