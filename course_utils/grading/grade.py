"""Grade one submission: a worker for each task, a verdict for each check, one report."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from course_utils.exercises.not_given import NOT_GIVEN
from course_utils.exercises.task import Line, Prose, Task, judge, load_tasks
from course_utils.grading.limits import Clock, Limits
from course_utils.grading.session import Session, WorkerError
from course_utils.grading.submission import Handed, Submission, read_submission
from course_utils.grading.texts import printable
from course_utils.grading.visible import digest_of_judges, needed_modules

VERSION = 2
GRADED, LOOK, UNREADABLE, MISSING = "graded", "needs a look", "unreadable", "not submitted"
NOT_JUDGED = "not judged"
MOST_NAMED = 3  # cells that raised, in one sentence
LONGEST_MESSAGE = 500
_FOLDERS = re.compile(r"(?:/[^/\s'\"]+)+/")


@dataclass(frozen=True)
class Assignment:
    """What is graded, and how.

    Args:
        checks: The file of checks.
        seed: Where the inputs come from.
        limits: What a submission may use.
        is_sandboxed: Whether its code runs in the sandbox.
    """

    checks: Path
    seed: int
    limits: Limits = field(default_factory=Limits)
    is_sandboxed: bool = True

    def tasks(self) -> tuple[tuple[Task, ...], tuple[Prose, ...]]:
        """Return the tasks and the questions for a person. Errors as `load_tasks`."""
        return load_tasks(self.checks)

    def key(self, handed: Handed) -> str:
        """Return what a report depends on: the submission, seed and limits, and all that judges it."""
        judges = digest_of_judges(self.checks.read_bytes())
        parts = (VERSION, handed.digest, handed.problem, self.seed, self.limits, self.is_sandboxed, judges)
        return hashlib.sha256(repr(parts).encode()).hexdigest()


def grade(submission: Submission, assignment: Assignment) -> dict:
    """Return the report of one submission, as plain data.

    Raises:
        WorkerError: A worker could not be started; that is not the submission's fault.
    """
    tasks, prose = assignment.tasks()
    handed = read_submission(submission, [question.name for question in prose])
    report = {
        "version": VERSION,
        "key": assignment.key(handed),
        "learner": submission.learner,
        "file": printable(str(submission.path or "")),
        "status": GRADED,
        "reasons": [*filter(None, [submission.note]), *handed.notes],
        "tasks": [],
        "prose": [],
        "of": sum(task.points for task in tasks),
        "points": None,
    }
    if submission.path is None and not submission.problem:
        return report | {"status": MISSING, "reasons": ["Nothing was handed in."]}
    if handed.problem:
        return report | {"status": UNREADABLE, "reasons": [f"The submission {handed.problem}"]}
    stuck, clock = "", Clock(assignment.limits.submission_seconds)
    for task in tasks:
        graded, stuck = _guarded(task, handed, assignment, stuck, clock)
        report["tasks"].append(graded)
    if any(task["status"] == NOT_JUDGED for task in report["tasks"]):
        report["key"] = ""  # the next run tries it again
    report["points"] = sum(task["points"] for task in report["tasks"])
    report["reasons"] += _reasons(report["tasks"], stuck)
    report["reasons"] += _ready_made(tasks, report["tasks"], handed.cells)
    for question in prose:
        answer = handed.prose.get(question.name)
        if answer is None:
            report["reasons"].append(f"The cell for {question.name} is not there.")
        report["prose"].append(
            {"name": question.name, "title": question.title, "of": question.points, "answer": answer or ""}
        )
    status = LOOK if report["reasons"] else GRADED
    return report | {"status": status, "reasons": [*report["reasons"], *_remarks(report["tasks"])]}


def error_message(error: Exception) -> str:
    """Return an error in one line that a learner may read, too: without the folders of this machine.

    >>> error_message(OSError(13, "Permission denied", "/srv/exam/ada.ipynb"))
    "PermissionError: [Errno 13] Permission denied: 'ada.ipynb'"
    """
    message = _in_one_line(" ".join(_FOLDERS.sub("", str(error)).split()))
    return f"{type(error).__name__}{': ' * bool(message)}{message}"


def _guarded(task: Task, handed: Handed, *about: object) -> tuple[dict, str]:
    """Return what came of a task; where the grader itself fails at it, the other tasks keep their points."""
    try:
        return _graded(task, handed, *about)
    except WorkerError:
        raise
    except Exception as error:  # noqa: BLE001 - an answer may be anything
        return {
            "name": task.name, "title": task.title, "of": task.points, "points": 0, "status": NOT_JUDGED,
            # The learner reads this: the message may hold a right value, so only the teacher's report has it.
            "incident": f"could not be judged ({type(error).__name__}).",
            "error": error_message(error),
            "lines": [[check.says, False, ""] for check in task.checks],
        }, ""  # fmt: skip


def _graded(task: Task, handed: Handed, assignment: Assignment, stuck: str, clock: Clock) -> tuple[dict, str]:
    """Return what came of a task, and why no further one can be graded, if its cells or its time never ended."""
    graded = {
        "name": task.name,
        "title": task.title,
        "of": task.points,
        "points": 0,
        "status": "wrong",
        "incident": stuck,
    }
    if stuck:
        return graded | {"lines": [[check.says, False, ""] for check in task.checks]}, stuck
    given = needed_modules(task, assignment.seed)
    with Session(handed.cells, task.function, assignment.limits, assignment.is_sandboxed, given, clock) as session:
        result = judge(task, session.ask, assignment.seed)
    graded |= {"status": result.status, "points": task.points if result.is_right and not session.incident else 0}
    graded |= {
        "incident": session.incident,
        "lines": [[line.says, line.is_right, _in_one_line(line.told)] for line in result.lines],  # for the learner
        "details": [_detail(line) for line in result.lines if line.seen],  # for the teacher
        "left_out": session.left_out,
    }
    if not session.found and session.stage == "calls":
        graded["status"] = "not there"
        graded["failures"] = session.failures
    return graded, session.incident if session.stage != "calls" else ""


def _detail(line: Line) -> dict:
    """Return all that is known about a check that failed, with the input that is hidden from the learner."""
    told = asdict(line.seen)
    del told["code"]  # a report needs no code to run
    return {"says": line.says, "message": line.message, **told}


def _ready_made(tasks: Sequence[Task], graded: list[dict], cells: Sequence[str]) -> list[str]:
    """Say where a library seems to do the work. If someone hides it, this doesn't find it."""
    sentences = []
    for task, result in zip(tasks, graded, strict=True):
        used = next((code for code in task.ready_made if any(code in cell for cell in cells)), "")
        if used and result["status"] == "right":
            sentences.append(f"{task.name} is right, and the notebook uses {used}, which does by itself what is asked.")
    return sentences


def _reasons(tasks: list[dict], stuck: str) -> list[str]:
    if stuck:
        return [f"The notebook {stuck}"]
    sentences = [f"The function of {task['name']} {task['incident']}" for task in tasks if task["incident"]]
    borrow = [task["name"] for task in tasks if any(NOT_GIVEN in one["message"] for one in task.get("details", ()))]
    if borrow:
        sentences.append(f"What {', '.join(borrow)} needs of the course isn't there for submissions.")
    gone = [task for task in tasks if task["status"] == "not there"]
    if not gone:
        return sentences
    cells = [f"cell {cell} raises {name}" for cell, name in gone[0]["failures"].items()]
    if len(cells) > MOST_NAMED:
        cells[MOST_NAMED:] = ["and others"]
    failed = f" ({', '.join(cells)})" if cells else ""
    if len(gone) == len(tasks):
        return [f"None of the functions is there{failed}."]
    return [*sentences, f"There is no function for {', '.join(task['name'] for task in gone)}{failed}."]


def _remarks(tasks: list[dict]) -> list[str]:
    """Return what a person may want to know about a submission that is graded all the same."""
    names = dict.fromkeys(name for task in tasks for name in task.get("left_out", ()))
    return [f"Left out, because it can't work in the sandbox: {', '.join(names)}."] if names else []


def _in_one_line(message: str) -> str:
    line = printable(message)
    return line if len(line) <= LONGEST_MESSAGE else f"{line[:LONGEST_MESSAGE]} …"
