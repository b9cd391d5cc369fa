"""The three steps of a pipeline side by side, each with the first rows of what it made."""

from collections.abc import Sequence

from course_utils.figures.base import PALETTE, CourseFigure, cut, drawable, quoted, spoken

_ROWS, _COLUMNS, _WIDTH = 12, 3, 13


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
    'A pipeline in 1 step on “Good!”. forward makes logits of shape (1, 2): NEGATIVE -1.5; POSITIVE 1.5.'
    """
    if not steps:
        raise ValueError("steps must hold at least one step, got none")
    figure = CourseFigure(figsize=(9, 3.6), shows_frame=True)
    columns_of_figure = figure.subplots(1, len(steps), squeeze=False)[0]
    for number, (axes, (name, tables)) in enumerate(zip(columns_of_figure, steps, strict=True)):
        title, shape, columns, rows = tables[0]
        more = f"  (1 of {len(tables)})" if len(tables) > 1 else ""
        axes.set_title(f"{number + 1} · {name}", fontweight="bold", loc="left")
        axes.set(xticks=[], yticks=[], xlim=(0, 1), ylim=(_ROWS + 3, 0))
        for side in axes.spines.values():
            side.set_color(PALETTE["grey"])
        axes.text(0.03, 0.9, drawable(f"{title} {shape}{more}"), color=PALETTE["blue"], fontsize=8)
        shown = [columns, *rows[:_ROWS]]
        for line, row in enumerate(shown):
            for column, cell in enumerate(row[:_COLUMNS]):
                weight = "bold" if line == 0 else "normal"
                place = 0.03 + column * 0.97 / min(_COLUMNS, len(columns))
                shown_cell = drawable(cut(str(cell), _WIDTH))
                axes.text(place, 1.9 + line, shown_cell, fontsize=8, family="monospace", weight=weight)
        if len(rows) > _ROWS:
            axes.text(0.03, 1.9 + len(shown), f"… {len(rows) - _ROWS} more rows", fontsize=8, color=PALETTE["grey"])
    figure.alt = _alt(steps, text)
    return figure


def _alt(steps: Sequence[tuple[str, Sequence]], text: str) -> str:
    sentences = [f"A pipeline in {len(steps)} step{'s' if len(steps) > 1 else ''} on {quoted(cut(text, 60))}."]
    for name, tables in steps:
        title, shape, columns, rows = tables[0]
        first = "; ".join(" ".join(map(_said, row[:2], columns)) for row in rows[:4])
        sentences.append(f"{name} makes {title} of shape {shape}: {first}.")
    return " ".join(sentences)


def _said(cell: object, column: str) -> str:
    return quoted(spoken(cell)) if column == "token" and isinstance(cell, str) else str(cell)
