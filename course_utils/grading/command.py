"""`course grade`: all submissions of one exercise, several at a time, and on from where a killed run stopped."""

import contextlib
import json
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import active_children, get_context, parent_process
from pathlib import Path

from tqdm import tqdm

from course_utils.grading.grade import GRADED, LOOK, MISSING, UNREADABLE, Assignment, grade
from course_utils.grading.results import read_report, report_file, write_results
from course_utils.grading.sandbox import PACKAGE, hide_checks, try_sandbox
from course_utils.grading.submission import Submission, find_submissions, read_submission
from course_utils.whole_files import write_whole

CHECKS = PACKAGE / "checks"


def checks_file(named: str) -> Path:
    """Return the file of checks that is named by its path, or by the number of a lesson.

    Raises:
        ValueError: There is no such file.

    >>> checks_file("11").name
    'lesson_11.py'
    """
    file = CHECKS / f"lesson_{named}.py" if named.isdecimal() else Path(named).resolve()
    if not file.is_file():
        raise ValueError(f"--checks must be a file of checks or the number of a lesson, got {named}")
    return file


def grade_all(
    paths: Sequence[Path],
    assignment: Assignment,
    folder: Path,
    exercise: str = "",
    roster: Sequence[str] = (),
    jobs: int = 1,
) -> int:
    """Grade every submission, write all results to `folder`, and say how it went.

    A submission with a report from the same file, checks and seed is not graded again.

    Args:
        paths: Notebooks, and folders of them.
        assignment: What is graded, and how.
        folder: Where reports, grades, feedback and the moderation sheet go.
        exercise: The name of a notebook that was not renamed, such as "11_sampling".
        roster: The learners who should hand in.
        jobs: How many submissions are graded at the same time.

    Returns:
        0, or 1 if a person must look at something.

    Raises:
        NoSandboxError: There is no sandbox, and one is wanted.
        ValueError: The checks cannot be used.
        FileNotFoundError: There is nothing at one of the paths.
    """
    if assignment.is_sandboxed:
        open_doors = try_sandbox()
        if open_doors:
            print(open_doors, file=sys.stderr)
        hide_checks(assignment.checks)
    _, prose = assignment.tasks()
    submissions = find_submissions(paths, exercise, roster)
    reports = {one.learner: _kept(one, assignment, folder) for one in submissions}
    left = [one for one in submissions if reports[one.learner] is None]
    with (
        _pool(jobs) as pool,
        tqdm(total=len(submissions), initial=len(submissions) - len(left), unit="submission", disable=None) as bar,
    ):
        # A report is written as soon as it is there: whenever this is killed, the next run goes on from it.
        for done in as_completed([pool.submit(_grade_and_write, one, assignment, folder) for one in left]):
            report = done.result()
            reports[report["learner"]] = report
            bar.update()
    ordered = [reports[one.learner] for one in submissions]
    marked = write_results(folder, ordered, prose)
    print("\n".join([_told(ordered, folder), *(f"  {said}" for said in (*marked.problems, *marked.remarks))]))
    return int(bool(marked.problems) or any(report["status"] in (LOOK, UNREADABLE) for report in ordered))


def _kept(submission: Submission, assignment: Assignment, folder: Path) -> dict | None:
    """Return the report that is there and still holds; one that does not is deleted, so that no old score stays."""
    file = report_file(folder, submission.learner)
    report = read_report(file, assignment.key(read_submission(submission)))
    if report is None:
        file.unlink(missing_ok=True)
    return report


@contextlib.contextmanager
def _pool(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """Give a pool that ends when the grader is killed or interrupted; by itself it would first finish all its work."""
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_end_with_parent) as pool:
        try:
            yield pool
        except (KeyboardInterrupt, GeneratorExit):
            pool.shutdown(wait=False, cancel_futures=True)
            for process in active_children():  # a sandbox dies with the process that started it
                process.kill()
            raise


def _end_with_parent() -> None:
    """Let this process of the pool end when the grader is killed; it would wait for its next submission forever."""
    signal.signal(signal.SIGINT, lambda *_: None)  # a terminal sends Ctrl+C to us, too: the grader answers it

    def wait() -> None:
        parent_process().join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _grade_and_write(submission: Submission, assignment: Assignment, folder: Path) -> dict:
    try:
        report = grade(submission, assignment)
    except Exception as error:  # noqa: BLE001 - one submission never stops the others; the next run tries it again
        reason = " ".join(f"The grader could not do its work ({type(error).__name__}: {error}).".split())
        return {
            "learner": submission.learner, "status": LOOK, "reasons": [reason], "tasks": [], "prose": [],
            "of": sum(task.points for task in assignment.tasks()[0]), "points": None,
        }  # fmt: skip
    write_whole(report_file(folder, submission.learner), json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    return report


def _told(reports: list[dict], folder: Path) -> str:
    counted = Counter(report["status"] for report in reports)
    parts = [f"{counted[status]} {status}" for status in (GRADED, LOOK, UNREADABLE, MISSING) if counted[status]]
    looked = [
        f"  {report['learner']}: {report['status']}. {' '.join(report['reasons'])}"
        for report in reports
        if report["status"] in (LOOK, UNREADABLE)
    ]
    return "\n".join([f"{', '.join(parts) or 'No submission'}. Results: {folder.resolve()}", *looked])
