"""Lines that were written for transformers 4, run on transformers 5: alone, and with the course's models.

Lesson: 04 · The pipeline tasks
"""

import logging
import re
from collections.abc import Iterable
from contextlib import contextmanager

from transformers import Pipeline, pipeline
from transformers.utils.logging import disable_progress_bar, warning_once

from course_utils.models.course_models import use_course_models
from course_utils.models.pipelines import path


def in_both(lines: Iterable[str], **names: object) -> list[tuple[str, str, str]]:
    """Run each line on transformers alone and after `use_course_models()`, and say in a few words what came of it.

    Alone, `pipeline(task)` gets the course's model for the task by name, so nothing is downloaded. Afterwards the
    course's models are in use.

    Args:
        lines: Expressions that call `pipeline`.
        names: What else the lines name.

    Returns:
        One tuple per line: the line, what came of it alone, and with the course's models.

    >>> in_both(['pipeline("summarization")'])[0][1:]
    ('KeyError: The task summarization has been removed from transformers.', 'a SummarizationPipeline')
    """

    def named(task: str, **settings: object) -> Pipeline:
        return pipeline(task, model=path(task), **settings)

    lines = list(lines)
    use_course_models().undo()
    disable_progress_bar()  # each model is on this disk
    alone = [_run(line, {**names, "pipeline": named}) for line in lines]
    use_course_models()
    return [
        (line, before, _run(line, {**names, "pipeline": pipeline})) for line, before in zip(lines, alone, strict=True)
    ]


def _run(line: str, names: dict) -> str:
    with _said() as messages:
        try:
            outcome = _in_words(eval(line, dict(names)))
        except Exception as error:  # noqa: BLE001 - whatever a line raises is what came of it
            text = str(error.args[0]) if isinstance(error, KeyError) else str(error)
            outcome = f"{type(error).__name__}: {_first_sentence(text)}"
    return "; ".join([outcome, *messages])


def _in_words(found: object) -> str:
    if isinstance(found, Pipeline):
        return f"a {type(found).__name__}"
    if isinstance(found, list) and found and "entity_group" in found[0]:
        return ", ".join(f"{one['word']} {one['entity_group']}" for one in found)
    return str(found)


def _first_sentence(text: str) -> str:
    return re.split(r"(?<=\.)\s", text.strip(), maxsplit=1)[0]


@contextmanager
def _said():
    """Collect what the course's checks write to the log; they say it once in a process, and here once more."""
    messages: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: messages.append(record.getMessage())
    log = logging.getLogger("course_utils")
    warning_once.cache_clear()
    log.addHandler(handler)
    try:
        yield messages
    finally:
        log.removeHandler(handler)
