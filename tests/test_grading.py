"""The grader around its workers: what a teacher gets, what is kept, and that a killed run goes on where it stopped."""

import csv
import json
import random
import signal
import subprocess
import sys
import time

import pytest

from course_utils import files
from course_utils.cli import main
from course_utils.errors import CourseError
from course_utils.files import write_whole
from course_utils.grading import command
from course_utils.grading.command import checks_file, grade_all
from course_utils.grading.grade import GRADED, LOOK, MISSING, Assignment
from course_utils.grading.results import feedback_page, report_file, write_results
from course_utils.grading.sandbox import NoSandboxError, try_sandbox
from course_utils.grading.session import Session, WorkerError
from course_utils.grading.submission import find_submissions, read_submission
from course_utils.machine import ROOT
from tests.conftest import need
from tests.submissions import DOUBLE, TOTAL, Here, hand_in

CHECKS = ROOT / "tests" / "grading_checks.py"
ASSIGNMENT = Assignment(CHECKS, seed=3)
WRONG = "def double(values):\n    return values ** 2"


@pytest.fixture(scope="module")
def needs_a_sandbox():
    try:
        try_sandbox()
    except NoSandboxError:
        need("bubblewrap", False)


def rows(file):
    with file.open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))


@pytest.fixture(scope="module")
def graded(tmp_path_factory, needs_a_sandbox):
    """A small class, graded once: the folder it handed in, and the folder of the results."""
    folder = tmp_path_factory.mktemp("class")
    hand_in(folder / "in" / "ada" / "00_x.ipynb", DOUBLE, TOTAL, prose="=SUM(A1:A9)")
    hand_in(folder / "in" / "bob.ipynb", WRONG, TOTAL, prose="<script>alert(1)</script>")
    (folder / "in" / "cut.ipynb").write_text('{"cells": [')
    (folder / "in" / "dan").mkdir()
    assert grade_all([folder / "in"], ASSIGNMENT, folder / "out", "00_x", ["eve", "ada"], jobs=2) == 1
    return folder


def test_the_table_of_grades(graded):
    table = {row["learner"]: row for row in rows(graded / "out" / "grades.csv")}
    assert [*table] == ["ada", "bob", "cut", "dan", "eve"]
    assert [row["status"] for row in table.values()] == [GRADED, GRADED, "unreadable", MISSING, MISSING]
    assert [row["points"] for row in table.values()] == ["4", "2", "", "", ""]
    assert (table["bob"]["q1"], table["bob"]["q2"]) == ("0 wrong", "2 right")
    assert table["cut"]["what happened"].startswith("The submission is a notebook that was cut off")
    text = (graded / "out" / "grades.csv").read_text()
    assert all(line.startswith('"') for line in text.splitlines())


def test_the_page_for_the_learner_has_the_sentence_and_no_input(graded):
    page = (graded / "out" / "feedback" / "bob.html").read_text()
    assert "✗ doubles: You square." in page
    assert "q2 · Total: 2 of 2 points" in page
    assert "tensor" not in page
    assert "Seen with" not in page
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert not (graded / "out" / "feedback" / "eve.html").exists()


def test_the_report_has_every_check(graded):
    report = json.loads((graded / "out" / "reports" / "bob.json").read_text())
    assert report["tasks"][0]["lines"] == [["doubles", False, "You square."]]
    (detail,) = report["tasks"][0]["details"]
    assert detail["call"].startswith("double(tensor([")
    assert detail["yours"] != detail["expected"]
    assert (report["points"], report["of"], report["status"]) == (2, 4, GRADED)


def test_the_moderation_sheet(graded):
    sheet = rows(graded / "out" / "moderation.csv")
    assert [row["learner"] for row in sheet] == ["ada", "bob"]
    assert sheet[0]["answer"] == "'=SUM(A1:A9)"  # no formula for a spreadsheet
    assert {row["look for"] for row in sheet} == {"a reason"}


def test_marks_of_a_person_are_kept(graded, monkeypatch):
    sheet = graded / "out" / "moderation.csv"
    before = sheet.read_text()
    sheet.write_text(before.replace('"\'=SUM(A1:A9)","",""', '"\'=SUM(A1:A9)","2","Good."'))
    monkeypatch.setattr(command, "ProcessPoolExecutor", Here)
    monkeypatch.setattr(command, "grade", None)  # nothing is graded again
    grade_all([graded / "in"], ASSIGNMENT, graded / "out", "00_x", ["eve", "ada"])
    assert [(row["points"], row["comment"]) for row in rows(sheet)] == [("2", "Good."), ("", "")]
    assert rows(graded / "out" / "grades.csv")[0]["q3 (marked)"] == "2"
    page = (graded / "out" / "feedback" / "ada.html").read_text()
    assert "q3 · Why: 2 of 2 points" in page
    assert "<p>Good.</p>" in page


def test_marks_for_an_answer_that_changed_are_not_lost(tmp_path):
    report = {
        "learner": "ada", "status": GRADED, "reasons": [], "tasks": [], "points": 0, "of": 0,
        "prose": [{"name": "q3", "title": "Why", "of": 2, "answer": "one"}],
    }  # fmt: skip
    prose = ASSIGNMENT.tasks()[1]
    write_results(tmp_path, [report], prose)
    sheet = tmp_path / "moderation.csv"
    sheet.write_text(sheet.read_text().replace('"one",""', '"one","1"'))
    marked = sheet.read_text()
    report["prose"][0]["answer"] = "two"
    write_results(tmp_path, [report], prose)
    assert rows(sheet)[0]["points"] == ""
    assert (tmp_path / "moderation.before-1.csv").read_text() == marked


def test_a_changed_submission_is_graded_again_and_an_old_score_never_stays(tmp_path, monkeypatch, needs_a_sandbox):
    file = hand_in(tmp_path / "in" / "ada.ipynb", DOUBLE, TOTAL)
    assert grade_all([tmp_path / "in"], ASSIGNMENT, tmp_path / "out") == 0
    report = report_file(tmp_path / "out", "ada")
    first = report.read_text()
    assert grade_all([tmp_path / "in"], ASSIGNMENT, tmp_path / "out") == 0
    assert report.read_text() == first
    hand_in(file, WRONG, TOTAL)

    def broken(self):
        raise WorkerError("no worker today")

    with monkeypatch.context() as patch:
        patch.setattr(Session, "__enter__", broken)
        patch.setattr(command, "ProcessPoolExecutor", Here)
        assert grade_all([tmp_path / "in"], ASSIGNMENT, tmp_path / "out") == 1
    row = rows(tmp_path / "out" / "grades.csv")[0]
    assert (row["points"], row["status"]) == ("", LOOK)
    assert row["what happened"] == "The grader could not do its work (WorkerError: no worker today)."
    assert not report.exists()
    assert grade_all([tmp_path / "in"], ASSIGNMENT, tmp_path / "out") == 0
    assert rows(tmp_path / "out" / "grades.csv")[0]["points"] == "2"


def test_two_submissions_of_one_learner_are_for_a_person(tmp_path):
    hand_in(tmp_path / "a" / "ada.ipynb", DOUBLE)
    hand_in(tmp_path / "b" / "ada.ipynb", DOUBLE)
    first, second = find_submissions([tmp_path / "a", tmp_path / "b"], "00_x")
    assert (first.learner, second.learner) == ("ada", "ada (2)")
    assert second.note == "ada has more than one submission; this is b/ada.ipynb."


def test_whose_a_notebook_is(tmp_path):
    for name in (
        "ada/00_x.ipynb",
        "bob/00_x/00_x.ipynb",
        "cid/mine.ipynb",
        "dan.ipynb",
        "eve/00_x.ipynb",
        "eve/draft.ipynb",
    ):
        hand_in(tmp_path / name, DOUBLE)
    (tmp_path / "ada" / ".ipynb_checkpoints").mkdir()
    hand_in(tmp_path / "ada" / ".ipynb_checkpoints" / "00_x-checkpoint.ipynb", DOUBLE)
    (tmp_path / "fay").mkdir()
    for name in ("a.ipynb", "b.ipynb"):
        hand_in(tmp_path / "gus" / name, DOUBLE)
    found = {one.learner: one for one in find_submissions([tmp_path], "00_x", ["zoe"])}
    assert [*found] == ["ada", "bob", "cid", "dan", "eve", "fay", "gus", "zoe"]
    assert found["eve"].path.name == "00_x.ipynb"
    assert found["fay"].path is found["zoe"].path is None
    assert found["gus"].problem == "has 2 notebooks, and which one counts is not said."
    assert find_submissions([tmp_path / "ada" / "00_x.ipynb"], "00_x")[0].learner == "ada"
    with pytest.raises(CourseError, match="There is no submission at"):
        find_submissions([tmp_path / "nobody"], "00_x")


def test_demonstrations_are_not_run(tmp_path):
    file = hand_in(tmp_path / "ada.ipynb", DOUBLE, "1 / 0")
    notebook = json.loads(file.read_text())
    notebook["cells"][1]["metadata"]["tags"] = ["raises-exception"]
    file.write_text(json.dumps(notebook))
    assert read_submission(find_submissions([file], "00_x")[0]).cells == [DOUBLE]


@pytest.mark.parametrize("learner", ["ada", "../../etc/passwd", "a/b", "", ".", "x" * 300, "ä ö", "CON", "a\x00b"])
def test_every_name_becomes_a_file_in_its_folder(tmp_path, learner):
    file = report_file(tmp_path, learner)
    write_whole(file, "text")
    assert file.parent == tmp_path / "reports"
    assert file.read_text() == "text"


def test_two_names_never_share_a_file(tmp_path):
    names = ["a b", "a_b", "a%20b", "A", "x" * 300, "x" * 301, "ada (2)", "ada"]
    assert len({report_file(tmp_path, name).name for name in names}) == len(names)


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    file = tmp_path / "grades.csv"
    write_whole(file, "old")

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(file, "new")
    assert file.read_text() == "old"


def test_the_page_of_a_submission_that_cannot_be_read():
    report = {
        "learner": "a<b",
        "status": "unreadable",
        "reasons": ["It is empty."],
        "tasks": [],
        "prose": [],
        "points": None,
    }
    page = feedback_page(report, {})
    assert "Not graded: unreadable." in page
    assert "a&lt;b" in page


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--checks", "99", "--seed", "1"], "--checks must be a file of checks or the number of a lesson, got 99"),
        (["--checks", "README.md", "--seed", "1"], "checks must be a Python file with TASKS"),
        (["--checks", "11", "--seed", "x"], "must be a whole number, got x"),
        (["--checks", "11"], "--seed"),
    ],
)
def test_bad_options_get_one_sentence(tmp_path, capsys, monkeypatch, arguments, sentence, needs_a_sandbox):
    monkeypatch.chdir(ROOT)
    assert main(["grade", str(tmp_path), "--out", str(tmp_path / "out"), *arguments]) == 1
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1


def test_checks_by_path_and_by_number():
    assert checks_file("11") == ROOT / "course_utils" / "exercises" / "lessons" / "lesson_11.py"
    assert checks_file(str(CHECKS)) == CHECKS


def test_killed_at_ten_random_moments_it_goes_on_to_the_same_grades(tmp_path, needs_a_sandbox):
    answers = [DOUBLE, WRONG, "def double(values):\n    raise NotImplementedError", "import os\nos._exit(0)"]
    for number, answer in enumerate(answers):
        hand_in(tmp_path / "in" / f"learner{number}.ipynb", answer, TOTAL, prose=f"answer {number}")
    (tmp_path / "in" / "cut.ipynb").write_text("{")
    arguments = [sys.executable, "-P", "-m", "course_utils.cli", "grade", str(tmp_path / "in"), "--checks", str(CHECKS)]
    arguments += ["--seed", "3", "--jobs", "2", "--out"]

    def run(out):
        return subprocess.Popen([*arguments, str(out)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    start = time.monotonic()
    assert run(tmp_path / "whole").wait() == 1
    whole = time.monotonic() - start
    chance = random.Random(0)
    for _ in range(10):
        grader = run(tmp_path / "killed")
        try:
            grader.wait(chance.uniform(0.2, 0.7) * whole)
        except subprocess.TimeoutExpired:
            grader.send_signal(signal.SIGKILL)
            grader.wait()
    assert run(tmp_path / "killed").wait() == 1
    for name in ("grades.csv", "moderation.csv"):
        assert (tmp_path / "killed" / name).read_text() == (tmp_path / "whole" / name).read_text()
    reports = [
        {file.name: file.read_text() for file in (tmp_path / out / "reports").glob("[!.]*")}
        for out in ("whole", "killed")
    ]
    assert reports[0] == reports[1]
    assert LOOK in (tmp_path / "whole" / "grades.csv").read_text()
