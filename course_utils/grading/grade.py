"""Grade one submission: a worker for each task, a verdict for each check, one report."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from course_utils.checks.task import Prose, Task, judge, load_tasks
from course_utils.grading.limits import Clock, Limits
from course_utils.grading.session import Session
from course_utils.grading.submission import Handed, Submission, read_submission

VERSION = 1
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
        """Return what a report depends on: it is the same as long as submission, checks, seed and limits are."""
        parts = (VERSION, handed.digest, handed.problem, self.seed, self.limits, self.is_sandboxed)
        return hashlib.sha256(repr(parts).encode() + self.checks.read_bytes()).hexdigest()


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
    report["reasons"] += _reasons(report["tasks"], stuck)
    report["points"] = sum(task["points"] for task in report["tasks"])
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
    with Session(handed.cells, task.function, assignment.limits, assignment.is_sandboxed, clock) as session:
        result = judge(task, session.ask, assignment.seed)
    graded |= {"status": result.status, "points": task.points if result.is_right and not session.incident else 0}
    graded |= {
        "incident": session.incident,
        "lines": [[line.says, line.is_right, line.message] for line in result.lines],
    }
    if not session.found and session.stage == "calls":
        graded["status"] = "not there"
        graded["failures"] = session.failures
    return graded, session.incident if session.stage != "calls" else ""


def _reasons(tasks: list[dict], stuck: str) -> list[str]:
    if stuck:
        return [f"The notebook {stuck}"]
    told = [f"The function of {task['name']} {task['incident']}" for task in tasks if task["incident"]]
    if all(task["status"] == "not there" for task in tasks):
        return ["None of the functions is there."]
    gone = [task for task in tasks if task["status"] == "not there"]
    if gone:
        failed = ", ".join(f"cell {cell} raises {name}" for cell, name in gone[0]["failures"].items())
        names = ", ".join(task["name"] for task in gone)
        told.append(f"There is no function for {names}{f' ({failed})' if failed else ''}.")
    return told
