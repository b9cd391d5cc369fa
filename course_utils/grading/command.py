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
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, get_context, parent_process
from pathlib import Path

from tqdm import tqdm

from course_utils.errors import CourseError
from course_utils.files import full_path, write_whole
from course_utils.grading.grade import GRADED, LOOK, MISSING, UNREADABLE, Assignment, error_message, grade
from course_utils.grading.gradebook import Gradebook, write_gradebook
from course_utils.grading.results import read_report, report_file, write_results
from course_utils.grading.sandbox import PACKAGE, hide_checks, try_sandbox
from course_utils.grading.similarity import write_similarity
from course_utils.grading.submission import Submission, find_submissions, read_submission
from course_utils.machine import ROOT, say

CHECKS = PACKAGE / "exercises" / "lessons"


def checks_file(named: str) -> Path:
    """Return the file of checks that is named by its path, or by the number of a lesson.

    Raises:
        CourseError: There is no such file.

    >>> checks_file("11").name
    'lesson_11.py'
    """
    file = CHECKS / f"lesson_{named}.py" if named.isdecimal() else full_path(named).resolve()
    if not file.is_file():
        raise CourseError(f"--checks must be a file of checks or the number of a lesson, got {named}")
    return file


def grade_all(
    paths: Sequence[Path],
    assignment: Assignment,
    folder: Path,
    exercise: str = "",
    roster: Sequence[str] = (),
    jobs: int = 1,
    gradebook: Gradebook | None = None,
    is_compared: bool = False,
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
        gradebook: Where the points go, besides; its learners are the roster then.
        is_compared: Whether a page says how alike the submissions are.

    Returns:
        0, or 1 if a person must look at something.

    Raises:
        NoSandboxError: There is no sandbox, and one is wanted.
        CourseError: The checks cannot be used, or there is nothing at one of the paths.
    """
    if assignment.is_sandboxed:
        open_doors = try_sandbox()
        if open_doors:
            print(open_doors, file=sys.stderr)
        hide_checks(assignment.checks)
    try:
        tasks, prose = assignment.tasks()
    except ValueError as error:
        raise CourseError(str(error)) from error
    submissions = find_submissions(paths, exercise, gradebook.aliases if gradebook else roster, folder)
    reports = {}
    with (
        contextlib.closing(_reports(submissions, assignment, folder, jobs)) as made,
        tqdm(total=len(submissions), unit="submission", disable=None) as bar,
    ):
        # A report is written as soon as it is there: whenever this is killed, the next run continues from it.
        for report in made:
            reports[report["learner"]] = {"of": sum(task.points for task in tasks)} | report
            bar.update()
    ordered = [reports[one.learner] for one in submissions]
    marked = write_results(folder, ordered, prose)
    problems, remarks = [*marked.problems], [*marked.remarks]
    if gradebook:
        imported = write_gradebook(folder, gradebook, ordered, prose, marked.marks)
        problems += imported.problems
        remarks += imported.remarks
    if is_compared:
        given = ROOT / "exercises" / f"{exercise}.ipynb"
        names = [question.name for question in prose]
        remarks.append(write_similarity(folder, submissions, given if given.is_file() else None, names))
    say("\n".join([_summary(ordered, folder), *(f"  {said}" for said in (*problems, *remarks))]))
    return int(bool(problems) or any(report["status"] in (LOOK, UNREADABLE) for report in ordered))


def _reports(submissions: list[Submission], assignment: Assignment, folder: Path, jobs: int) -> Iterator[dict]:
    """Yield a report for each submission, also for one at which the system ends the process that grades it."""
    left, alone = submissions, False
    while left:
        # After such an end nobody knows at which it was. It was one of the first, and they are tried one by one.
        batch = left[:jobs] if alone else left
        finished = set()
        with contextlib.suppress(BrokenProcessPool), _pool(1 if alone else jobs) as pool:
            for done in as_completed([pool.submit(_report, one, assignment, folder) for one in batch]):
                with contextlib.suppress(BrokenProcessPool):
                    report = done.result()
                    finished.add(report["learner"])
                    yield report
        unfinished = [one for one in batch if one.learner not in finished]
        if alone and unfinished:
            learner = unfinished.pop(0).learner
            yield _failed(learner, "The system ended the grader's process at this submission, twice.")
        left = [*unfinished, *left[len(batch) :]]
        alone = bool(unfinished) and not alone


def _report(submission: Submission, assignment: Assignment, folder: Path) -> dict:
    """Return a submission's report: the one that is there if it still holds, or a new one."""
    try:
        kept = _kept(submission, assignment, folder)
    except Exception as error:  # noqa: BLE001 - one submission never stops the others; the next run tries it again
        return _failed(submission.learner, f"The grader could not do its work ({error_message(error)}).")
    return kept or _grade_and_write(submission, assignment, folder)


def _kept(submission: Submission, assignment: Assignment, folder: Path) -> dict | None:
    """Return the report that is there and still holds; one that does not is deleted, so that no old score stays."""
    file = report_file(folder, submission.learner)
    report = read_report(file, assignment.key(read_submission(submission)))
    if report is None or report.get("learner") != submission.learner:
        file.unlink(missing_ok=True)
        return None
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
        write_whole(report_file(folder, submission.learner), json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    except Exception as error:  # noqa: BLE001 - as above
        return _failed(submission.learner, f"The grader could not do its work ({error_message(error)}).")
    return report


def _failed(learner: str, reason: str) -> dict:
    """Return what the table says of a submission without a report."""
    return {"learner": learner, "status": LOOK, "reasons": [reason], "tasks": [], "prose": [], "points": None}


def _summary(reports: list[dict], folder: Path) -> str:
    counted = Counter(report["status"] for report in reports)
    parts = [f"{counted[status]} {status}" for status in (GRADED, LOOK, UNREADABLE, MISSING) if counted[status]]
    looked = [
        f"  {report['learner']}: {report['status']}. {' '.join(report['reasons'])}"
        for report in reports
        if report["status"] in (LOOK, UNREADABLE)
    ]
    return "\n".join([f"{', '.join(parts) or 'No submission'}. Results: {folder.resolve()}", *looked])
