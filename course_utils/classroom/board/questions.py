"""What a room can be asked: the questions and tasks of the course, and questions of a teacher's own notebooks.

Lesson: none (this is for teachers).
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from course_utils.classroom.board.reading import Question, read_questions
from course_utils.errors import CourseError

_TASK = re.compile(r"^## (q\d+) · (.+)$", re.M)


def course_questions(root: Path) -> dict[str, Question]:
    """Return the questions of all lessons and deeper notebooks by their names, in the order of the lessons.

    Args:
        root: The folder of the course.
    """
    files = sorted((root / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    deeper = sorted((root / "notebooks" / "deeper").glob("[0-9][0-9]_*.ipynb"))
    in_order = sorted([*files, *deeper], key=lambda file: (file.name[:2], file in deeper, file.name))
    questions = (question for file in in_order for _, question in read_questions(file))
    return {question.name: question for question in questions if isinstance(question, Question)}


def own_questions(
    paths: Iterable[Path], course: Mapping[str, Question], tasks: Collection[str]
) -> tuple[dict[str, Question], list[str]]:
    """Return the questions that notebooks add to the course or change, and a sentence for each that's left out.

    Args:
        paths: Notebooks, and folders that have some.
        course: The questions of the course by their names.
        tasks: The names of its tasks, which no question can have.

    Raises:
        CourseError: There's nothing at a path.
    """
    own: dict[str, Question] = {}
    problems: list[str] = []
    seen: dict[str, tuple[str, Question]] = {}
    for file in _notebooks(paths):
        for where, question in read_questions(file):
            if isinstance(question, str):
                problems.append(f"{where}: {question}")
                continue
            name = question.name
            first, same = seen.setdefault(name, (where, question))
            if name in tasks:
                problems.append(f"{where}: {name!r} is the name of a task: choose another name.")
            elif same is not question:
                if not _asks_the_same(question, same):
                    problems.append(f"{where}: {first} asks {name!r} already: choose another name.")
            elif not _is_unrun(question, course.get(name)) and question != course.get(name):
                own[name] = question
    return own, problems


def course_tasks(root: Path) -> dict[str, str]:
    """Return the titles of all tasks of the exercises by their names, such as "11-q1"."""
    tasks = {}
    for file in sorted((root / "exercises").glob("[0-9][0-9]_*.ipynb")):
        cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
        text = "\n".join("".join(cell["source"]) + "\n" for cell in cells if cell["cell_type"] == "markdown")
        tasks |= {f"{file.name[:2]}-{task}": f"{task} · {title}" for task, title in _TASK.findall(text)}
    return tasks


def _notebooks(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield the notebooks at these paths, each once; of a folder all below it, without JupyterLab's checkpoints."""
    given = set()
    for path in paths:
        if not path.exists():
            raise CourseError(f"There is no notebook or folder {path}: give --notebooks another path.")
        inside = [path]
        if path.is_dir():
            inside = [file for file in path.rglob("*.ipynb") if file.is_file()]
            inside = [file for file in inside if not any(part[0] == "." for part in file.relative_to(path).parts)]
            # By the stem, a changed lesson comes before the newer one that `course copy` has put beside it.
            inside.sort(key=lambda file: (file.parent, file.stem))
        for file in inside:
            if file.resolve() not in given:
                given.add(file.resolve())
                yield file


def _asks_the_same(one: Question, other: Question) -> bool:
    return (one.kind, one.text, one.options) == (other.kind, other.text, other.options)


def _is_unrun(question: Question, of_course: Question | None) -> bool:
    """Say whether it's a prediction of the course in a copy without outputs: the course knows what is right."""
    is_known = of_course is not None and _asks_the_same(question, of_course)
    return is_known and question.kind == "prediction" and not question.measured
