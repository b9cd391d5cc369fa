"""Grade one submission: a worker for each task, a verdict for each check, one report."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from course_utils.answers.not_given import NOT_GIVEN
from course_utils.checks.task import Line, Prose, Task, judge, load_tasks
from course_utils.grading.limits import Clock, Limits
from course_utils.grading.session import Session
from course_utils.grading.submission import Handed, Submission, read_submission
from course_utils.grading.visible import digest_of_judges, needed_modules

VERSION = 2
GRADED, LOOK, UNREADABLE, MISSING = "graded", "needs a look", "unreadable", "not submitted"


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
    handed = read_submission(submission)
    tasks, prose = assignment.tasks()
    report = {
        "version": VERSION,
        "key": assignment.key(handed),
        "learner": submission.learner,
        "file": str(submission.path or ""),
        "status": GRADED,
        "reasons": [submission.note] if submission.note else [],
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
        graded, stuck = _graded(task, handed, assignment, stuck, clock)
        report["tasks"].append(graded)
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
    return report | {"status": LOOK if report["reasons"] else GRADED}


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
        "lines": [[line.says, line.is_right, line.told] for line in result.lines],  # for the learner
        "details": [_detail(line) for line in result.lines if line.seen],  # for the teacher
    }
    if not session.found and session.stage == "calls":
        graded["status"] = "not there"
        graded["failures"] = session.failures
    return graded, session.incident if session.stage != "calls" else ""


def _detail(line: Line) -> dict:
    """Return all that is known about a check that failed, with the input that is hidden from the learner."""
    return {"says": line.says, "message": line.message, **asdict(line.seen)}


def _ready_made(tasks: Sequence[Task], graded: list[dict], cells: Sequence[str]) -> list[str]:
    """Say where a library seems to do the work. If someone hides it, this doesn't find it."""
    told = []
    for task, result in zip(tasks, graded, strict=True):
        used = next((code for code in task.ready_made if any(code in cell for cell in cells)), "")
        if used and result["status"] == "right":
            told.append(f"{task.name} is right, and the notebook uses {used}, which does by itself what is asked.")
    return told


def _reasons(tasks: list[dict], stuck: str) -> list[str]:
    if stuck:
        return [f"The notebook {stuck}"]
    told = [f"The function of {task['name']} {task['incident']}" for task in tasks if task["incident"]]
    borrow = [task["name"] for task in tasks if any(NOT_GIVEN in detail["yours"] for detail in task["details"])]
    if borrow:
        told.append(f"What {', '.join(borrow)} needs of the course isn't there for submissions.")
    if all(task["status"] == "not there" for task in tasks):
        return ["None of the functions is there."]
    gone = [task for task in tasks if task["status"] == "not there"]
    if gone:
        failed = ", ".join(f"cell {cell} raises {name}" for cell, name in gone[0]["failures"].items())
        names = ", ".join(task["name"] for task in gone)
        told.append(f"There is no function for {names}{f' ({failed})' if failed else ''}.")
    return told
