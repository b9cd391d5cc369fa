"""Tables that a lesson shows: of anything, and of computed answers beside recorded ones.

Lesson: 03 · The pipeline, opened; 04 · The pipeline tasks
"""

import html
from collections.abc import Iterable, Mapping, Sequence

from course_utils.learner.markup import html_table, text_table
from course_utils.models.recorded_answers import RECORDED, SOURCE

# What a pipeline calls its answer, apart from the score.
_ANSWERS = ("label", "entity_group", "token_str", "answer")


class Table:
    """Titles, rows, and perhaps a sentence below; a page shows it as a table.

    Args:
        titles: One per column.
        rows: Each with one cell per column; what isn't a text is written as one.
        below: A sentence under the table.

    Raises:
        ValueError: A row doesn't have one cell per column.

    Lesson: 04 · The pipeline tasks

    >>> Table(["label", "score"], [("sports", 0.5)], "As computed.")
    label   score
    sports  0.5
    As computed.
    """

    def __init__(self, titles: Sequence[str], rows: Iterable[Sequence[object]], below: str = "") -> None:
        self.titles, self.below = list(titles), below
        self.rows = [[str(cell) for cell in row] for row in rows]
        for row in self.rows:
            if len(row) != len(self.titles):
                raise ValueError(f"rows must have {len(self.titles)} cells each, got {row}")

    def __repr__(self) -> str:
        return "\n".join([text_table(self.titles, self.rows), *([self.below] if self.below else [])])

    def _repr_html_(self) -> str:
        below = f"<p>{html.escape(self.below)}</p>" if self.below else ""
        return html_table(self.titles, self.rows) + below


def beside_recorded(name: str, found: Mapping | Sequence[Mapping]) -> Table:
    """Set what a pipeline answered here beside what the famous model of the task once answered.

    Args:
        name: A run in `RECORDED`, such as "sentiment".
        found: What the pipeline returned: one dict per text, rank or question, in the order of the recorded rows; or
            labels and entities, which are looked up by their names.

    Raises:
        ValueError: There is no such run, or `found` has another number of texts, ranks or questions.

    Lesson: 04 · The pipeline tasks

    >>> beside_recorded("misspelt", {"labels": ["educion", "sports"], "scores": [0.7, 0.3]}).rows
    [['educion', '0.700', '0.969'], ['sports', '0.300', '–']]
    """
    if name not in RECORDED:
        raise ValueError(f"name must be one of {[*RECORDED]}, got {name!r}")
    run = RECORDED[name]
    digits = max(len(f"{score}".partition(".")[2]) for *_, score in run.rows)
    then = {asked: f"{said} {score:.{digits}f}".strip() for asked, said, score in run.rows}
    now = _by_name(run.task, found, then, digits)
    model = f"{run.model.repository}, the task's default (transformers 5 pins revision {run.model.revision[:7]}"
    return Table(
        [run.task, "here, computed now", "recorded"],
        [(asked, now.get(asked, "–"), then.get(asked, "–")) for asked in {**now, **then}],
        f"Recorded: {model}; which one ran wasn't kept), {SOURCE}. {run.note}".strip(),
    )


def _by_name(task: str, found: Mapping | Sequence[Mapping], asked: Mapping, digits: int) -> dict[str, str]:
    """Return the answers in words, each under the name of its row."""
    if task == "zero-shot-classification":
        return {label: f"{score:.{digits}f}" for label, score in zip(found["labels"], found["scores"], strict=True)}
    answers = [found] if isinstance(found, Mapping) else list(found)
    if task == "ner":
        names = {name.casefold(): name for name in asked}  # a model may know small letters only
        return {names.get(one["word"].casefold(), one["word"]): _in_words(one, digits) for one in answers}
    if len(answers) != len(asked):
        raise ValueError(f"found must have {len(asked)} answers for {task}, got {len(answers)}")
    return {name: _in_words(answer, digits) for name, answer in zip(asked, answers, strict=True)}


def _in_words(answer: Mapping, digits: int) -> str:
    said = next((str(answer[key]) for key in _ANSWERS if key in answer), "")
    return f"{said} {answer['score']:.{digits}f}".strip()
