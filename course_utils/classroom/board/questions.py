"""The predictions, quiz questions and exercise tasks of the course, read from its notebooks without running them.

Lesson: none (this is for teachers).
"""

import ast
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_ASKS = ("predict", "quiz_question")
_MEASURED = re.compile(r"Measured: (.+?)\. You (?:didn't|predicted)")
_NUMBER = re.compile(r"[+-]?\d[\d,]*(?:\.(\d+))?")
_TASK = re.compile(r"^## (q\d+) · (.+)$", re.M)


@dataclass(frozen=True)
class Question:
    """A prediction or a quiz question.

    Args:
        name: As in the notebook, such as "11-ten-best".
        lesson: The title of its notebook, such as "11 · Sampling".
        text: What is asked.
        options: What can be chosen.
        right: The places of the right options; () where the stored run of the notebook doesn't decide it.
        measured: What the stored run of the notebook measured, such as "77.3%"; "" for a quiz question.
    """

    name: str
    lesson: str
    text: str
    options: tuple[str, ...]
    right: tuple[int, ...] = ()
    measured: str = ""


def course_questions(root: Path) -> dict[str, Question]:
    """Return the questions of all lessons and deeper notebooks by their names, in the order of the lessons.

    Args:
        root: The folder of the course.
    """
    files = sorted((root / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    deeper = sorted((root / "notebooks" / "deeper").glob("[0-9][0-9]_*.ipynb"))
    in_order = sorted([*files, *deeper], key=lambda file: (file.name[:2], file in deeper, file.name))
    return {question.name: question for file in in_order for question in _questions_of(file)}


def course_tasks(root: Path) -> dict[str, str]:
    """Return the titles of all tasks of the exercises by their names, such as "11-q1"."""
    tasks = {}
    for file in sorted((root / "exercises").glob("[0-9][0-9]_*.ipynb")):
        cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
        text = "\n".join("".join(cell["source"]) + "\n" for cell in cells if cell["cell_type"] == "markdown")
        tasks |= {f"{file.name[:2]}-{task}": f"{task} · {title}" for task, title in _TASK.findall(text)}
    return tasks


def _questions_of(file: Path) -> Iterator[Question]:
    cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
    lesson = re.search(r"^# (.+)$", "".join(cells[0]["source"]), re.M)[1]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    trees = [ast.parse("".join(cell["source"])) for cell in code]
    measured = dict(
        pair for cell, tree in zip(code, trees, strict=True) for pair in zip(_compared(tree), _said(cell), strict=False)
    )
    known: dict[str, object] = {}  # variables that hold plain data
    for statement in (statement for tree in trees for statement in tree.body):
        variable = statement.targets[0].id if _is_assignment(statement) else ""
        call = getattr(statement, "value", None)
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") in _ASKS:
            name, text, options = (_plain(argument, known) for argument in call.args)
            if call.func.id == "quiz_question":
                right = tuple(place for place, (_, is_right, _) in enumerate(options) if is_right)
                yield Question(name, lesson, text, tuple(label for label, _, _ in options), right)
            else:
                found = measured.get(variable, "")
                yield Question(name, lesson, text, tuple(options), place_of(found, options), found)
        elif variable:
            try:
                known[variable] = _plain(statement.value, known)
            except ValueError:
                known.pop(variable, None)  # the result of a call: no question needs it


def _is_assignment(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name)


def _compared(tree: ast.Module) -> list[str]:
    """Return the variables whose `compare` a cell calls, in order."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    named = [call.func for call in calls if call.func.attr == "compare" and isinstance(call.func.value, ast.Name)]
    return [one.value.id for one in sorted(named, key=lambda one: one.lineno)]


def _said(cell: dict) -> list[str]:
    """Return what the stored run of a cell measured."""
    texts = (output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell["outputs"])
    return _MEASURED.findall("\n".join("".join(text) for text in texts))


def _plain(node: ast.expr, known: dict[str, object]) -> object:
    """Return the plain data that an expression of a notebook is.

    Raises:
        ValueError: It isn't plain data.
    """
    if isinstance(node, ast.Name) and node.id in known:
        return known[node.id]
    if isinstance(node, ast.JoinedStr):
        return "".join(str(_plain(getattr(part, "value", part), known)) for part in _parts(node))
    return ast.literal_eval(node)


def _parts(node: ast.JoinedStr) -> list[ast.expr]:
    return [part if isinstance(part, ast.FormattedValue) else ast.FormattedValue(value=part) for part in node.values]


def place_of(measured: str, options: dict[str, Sequence[float | None]] | Sequence[str]) -> tuple[int, ...]:
    """Return the place of the option that fits what was measured, or () if the digits that are shown don't decide it.

    Args:
        measured: A text such as "77.3%" or "3 tokens".
        options: Labels, or labels with their ranges: low is in, high is out, None is an open end.

    >>> place_of("77.3%", {"below 50 %": (0, 0.5), "over 50 %": (0.5, None)})
    (1,)
    >>> place_of("50%", {"below 50 %": (0, 0.5), "over 50 %": (0.5, None)})
    ()
    """
    labels = list(options)
    if measured in labels:
        return (labels.index(measured),)
    number = _NUMBER.search(measured)
    if number is None or not isinstance(options, dict):
        return ()
    unit = 0.01 if "%" in measured else 1
    value = float(number[0].replace(",", "")) * unit
    # What was rounded may be half a digit away; a whole number without a unit of its own is a count, and exact.
    off = 0.0 if number[1] is None and unit == 1 else 0.5 * 10.0 ** -len(number[1] or "") * unit
    near = [
        [place for place, label in enumerate(labels) if _within(value + by, options[label])] for by in (-off, 0, off)
    ]
    fitting = [places for places in near if places]  # below the lowest there may be nothing, such as −0.05 tokens
    return tuple(fitting[0]) if fitting and all(places == fitting[0] for places in fitting) else ()


def _within(value: float, wanted: Sequence[float | None]) -> bool:
    low, high = wanted
    return (low is None or value >= low) and (high is None or value < high)
