"""What is in a notebook file, whichever program wrote it: cells of code, and answers in words."""

import json
import logging
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from course_utils.exercises.assignments import PROSE_STUB
from course_utils.grading.spreadsheet import readable
from course_utils.grading.texts import writable

DEMONSTRATION = "raises-exception"  # the tag of cells that only show the learner's functions at work
_OLD_FORMATS = (1, 2, 3)
_HEADING = re.compile(r"\s*## (\S+) · ")  # of a task


@dataclass(frozen=True)
class Cell:
    """One cell.

    Args:
        kind: "code", "markdown" or "raw".
        source: Its text.
        name: Its `grade_id`; "" if it has none.
        identity: Its id; the exercises' graded cells have their `grade_id` there, too.
        is_shown_only: Whether it only shows the learner's functions at work.
    """

    kind: str
    source: str
    name: str = ""
    identity: str = ""
    is_shown_only: bool = False


def cells_of(text: str) -> list[Cell]:
    """Return the cells of the notebook in `text`; one of an old format is brought up to date first.

    Raises:
        ValueError: The text is no JSON.
        RecursionError: It is too deep.
        KeyError: It is JSON, but no notebook.
        TypeError: It is JSON, but no notebook.
        AttributeError: It is JSON, but no notebook.

    >>> cells_of('{"cells": [{"cell_type": "code", "source": ["x = ", "1"]}]}')
    [Cell(kind='code', source='x = 1', name='', identity='', is_shown_only=False)]
    """
    notebook = json.loads(text)
    if isinstance(notebook, dict) and notebook.get("nbformat") in _OLD_FORMATS:
        notebook = _brought_up_to_date(notebook)
    return [_cell(cell) for cell in notebook["cells"]]


def answers_in_words(cells: Iterable[Cell], questions: Sequence[str] = ()) -> tuple[dict[str, str], list[str]]:
    """Return the texts that a person marks, by `grade_id`, and what that person should know about them.

    An answer is in the cell with its `grade_id`, whatever kind of cell that is now and whatever it begins with. Where
    the metadata was lost, the cell's id or the task's heading above it says whose it is. What was added below it
    belongs to it, too. Someone may have merged it with the question's own cell; then that one is the answer.

    Args:
        cells: The notebook's.
        questions: The `grade_id` of each question that is answered in words.
    """
    texts, headings, task = defaultdict(list), {}, ""
    for cell in cells:
        named = cell.name or (cell.identity if cell.identity in questions else "")
        heading = None if named else _HEADING.match(cell.source)
        if heading:
            task = heading[1]
            headings[task] = cell.source
            continue
        task = named or task
        if named or task in questions or (task and cell.kind == "markdown"):
            texts[task].append(readable(cell.source.replace(PROSE_STUB, "")).strip())
    found = {name: "\n\n".join(filter(None, parts)) for name, parts in texts.items()}
    merged = [question for question in questions if question in headings and question not in found]
    found |= {question: readable(headings[question]) for question in merged}
    return found, [f"The cell for {name} is gone: the one with its heading is taken for the answer." for name in merged]


def _cell(cell: dict) -> Cell:
    source, metadata = cell.get("source", ""), cell.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    told, tags = metadata.get("nbgrader"), metadata.get("tags")
    name = told.get("grade_id") if isinstance(told, dict) else None
    return Cell(
        str(cell["cell_type"]),
        source if isinstance(source, str) else "".join(source),
        writable(name) if isinstance(name, str) else "",
        writable(str(cell.get("id") or metadata.get("id") or "")),  # Colab keeps it in the metadata
        isinstance(tags, list) and DEMONSTRATION in tags,
    )


def _brought_up_to_date(notebook: dict) -> dict:
    import nbformat  # takes a second, and hardly a notebook is that old

    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)  # nbformat would print whatever it finds odd, with the learner's text in it
    try:
        return nbformat.convert(nbformat.reader.reads(json.dumps(notebook)), 4)
    except Exception as error:
        raise KeyError("cells") from error
    finally:
        logging.disable(before)
