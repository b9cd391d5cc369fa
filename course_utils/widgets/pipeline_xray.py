"""The pipeline x-ray: the three steps of a pipeline, with every value that passes between them."""

from collections.abc import Callable
from typing import ClassVar

import traitlets
from transformers import Pipeline

from course_utils.figures.base import CourseFigure
from course_utils.figures.pipeline import pipeline_steps
from course_utils.models.doorway import takes
from course_utils.traces.pipeline import PipelineTrace, record_pipeline
from course_utils.widgets.base import AskingWidget, page_module, page_style

MOST_ROWS = 16  # of a table, in words


class PipelineXray(AskingWidget):
    """Step through preprocess, forward and postprocess, and read every value with its shape.

    Args:
        trace: The recorded run; `record_pipeline` makes one.
        run: Records another text; without it, the text box is not there.

    Lesson: 03 · The pipeline, opened; 04 · The pipeline tasks

    >>> table = ("ids", (1, 1), ("token", "id"), (("hi", 7),))
    >>> PipelineXray(PipelineTrace("toy", "hi", (table,), (table,), (table,))).step
    0
    """

    called: ClassVar[dict[str, str]] = {"texts": "the text"}

    _esm = page_module("pipeline_xray")
    _css = page_style("pipeline_xray")

    task = traitlets.Unicode().tag(sync=True)
    text = traitlets.Unicode().tag(sync=True)  # what was run last
    steps = traitlets.List().tag(sync=True)
    step = traitlets.Int(0).tag(sync=True)

    @takes(trace=PipelineTrace)
    def __init__(self, trace: PipelineTrace, run: Callable[[str], PipelineTrace] | None = None) -> None:
        super().__init__(can_run=run is not None)
        self._run = run
        self._show(trace)

    @traitlets.validate("step")
    def _check_step(self, proposal: dict) -> int:
        if proposal["value"] not in (0, 1, 2):
            raise ValueError(f"step must be 0, 1 or 2, got {proposal['value']}")
        return proposal["value"]

    def _show(self, trace: PipelineTrace) -> None:
        steps = [{"name": name, "tables": [list(table) for table in tables]} for name, tables in trace.steps]
        self.trace, self.task, self.text, self.steps = trace, trace.task, trace.text, steps

    def answer(self, text: str) -> None:
        """Run the pipeline on another text."""
        self._show(self._run(text))

    def describe(self) -> str:
        """Say in words what every step made."""
        lines = [f"Pipeline x-ray: {self.trace.task} on “{self.trace.text}”"]
        for number, (name, tables) in enumerate(self.trace.steps, start=1):
            lines.append(f"{number} {name}")
            for title, shape, columns, rows in tables:
                lines.append(f"  {title}, shape {shape}: {', '.join(columns)}")
                lines += ["    " + "  ".join(map(str, row)) for row in rows[:MOST_ROWS]]
                if len(rows) > MOST_ROWS:
                    lines.append(f"    … {len(rows) - MOST_ROWS} more rows")
        return "\n".join(lines)

    def figure(self) -> CourseFigure:
        """Draw the three steps side by side."""
        return pipeline_steps(self.trace.steps, self.trace.text)


@takes(pipe=Pipeline)
def pipeline_xray(pipe: Pipeline, text: str | dict, **settings: object) -> PipelineXray:
    """Open a pipeline on a text; the text can then be changed on the page.

    Args:
        pipe: A pipeline for text.
        text: What it is called with: a text, or for question answering a dict with `question` and `context`, which
            are written with " · " between them on the page.
        settings: What else it is called with, such as `candidate_labels`.

    Raises:
        ValueError: As `record_pipeline`.

    Lesson: 03 · The pipeline, opened; 04 · The pipeline tasks

    >>> from course_utils.models.pipelines import load_pipeline
    >>> pipeline_xray(load_pipeline("sentiment-analysis"), "Good!").trace.task
    'sentiment-analysis'
    """

    def run(other: str) -> PipelineTrace:
        if not other.strip():
            raise ValueError(f"text must have at least one word, got {other!r}")
        given = other if isinstance(text, str) else _parted(other, list(text))
        return record_pipeline(pipe, given, **settings)

    return PipelineXray(record_pipeline(pipe, text, **settings), run)


def _parted(text: str, names: list[str]) -> dict[str, str]:
    parts = [part.strip() for part in text.split("·", len(names) - 1)]
    if len(parts) != len(names) or not all(parts):
        raise ValueError(f"text must have {' and '.join(names)} with “·” between them, got {text!r}")
    return dict(zip(names, parts, strict=True))
