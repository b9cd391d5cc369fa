"""How alike submissions are: a page for the teacher, whatever is in the submissions, and never a grade."""

import html
import inspect
import random
import re
import shutil
import time
import zlib

import nbformat
import pytest

from course_utils.grading import command
from course_utils.grading.command import grade_all
from course_utils.grading.grade import Assignment
from course_utils.grading.similarity import write_similarity
from course_utils.grading.submission import find_submissions
from course_utils.machine import ROOT
from tests.exercise_answers.lesson_11 import RIGHT
from tests.submissions import DOUBLE, TOTAL, Here, hand_in

GIVEN = ROOT / "exercises" / "11_sampling.ipynb"
RENAMED = {"logits": "scores", "rows": "lines", "row": "line", "value": "v", "values": "found", "places": "where"}


def solved(file, which, rename=None):
    """Hand in exercise 11 with the right answers number `which`, in the cells of the exercise."""
    notebook = nbformat.read(GIVEN, 4)
    for cell in notebook.cells:
        name = cell.metadata.get("nbgrader", {}).get("grade_id")
        if name in RIGHT and cell.metadata.nbgrader.solution:
            body = inspect.getsource(RIGHT[name][which]).partition("\n")[2].rstrip()
            for old, new in (rename or {}).items():
                body = re.sub(rf"\b{old}\b", f"{new}", body)
            comment = "    # my own idea\n" if rename else ""
            cell.source = cell.source.replace("    raise NotImplementedError", comment + body)
    file.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, file)


def page_of(folder, given=GIVEN, prose=("q5",)):
    said = write_similarity(folder / "out", find_submissions([folder / "in"], "11_sampling"), given, prose)
    return (folder / "out" / "similarity.html").read_text(encoding="utf-8"), said


def table(page):
    rows = re.findall(r'<td class="n">(?:<a [^>]*>)?\d+(?:</a>)?</td><td>(.*?)</td><td>(.*?)</td>(.*?)</tr>', page)
    return {(one, other): [int(share) for share in re.findall(r"(\d+)%", shares)] for one, other, shares in rows}


@pytest.fixture(scope="module")
def class_page(tmp_path_factory):
    """Three learners with their own answers, one who renamed another's, and one who did nothing."""
    folder = tmp_path_factory.mktemp("class")
    for which, name in enumerate(["ada", "bob", "cid"]):
        solved(folder / "in" / f"{name}.ipynb", which)
    solved(folder / "in" / "copycat.ipynb", 1, RENAMED)
    nbformat.write(nbformat.read(GIVEN, 4), folder / "in" / "untouched.ipynb")
    return page_of(folder)


def test_a_renamed_copy_is_the_most_alike_and_own_answers_are_not(class_page):
    page, said = class_page
    first, *others = table(page).items()
    assert first == (("bob", "copycat"), [100, 100])
    assert all(max(shares) < 40 for _, shares in others)
    assert said == "similarity.html compares 4 submissions; it is for you, and changes no points."


def test_both_are_shown_with_what_they_share_marked(class_page):
    pair = class_page[0].partition('id="pair1"')[2].partition("<h2")[0]
    one, other = pair.split("<h3>")[1:]
    assert one.startswith("bob</h3>")
    assert other.startswith("copycat</h3>")
    for code, words in ((one, "rows = logits.clone()"), (other, "lines = scores.clone()")):
        assert "<mark>" in code
        assert words in re.sub("</?mark>", "", code)


def test_what_was_given_does_not_count(class_page, tmp_path):
    """Without the exercise, its imports, signatures and explanations are alike in all."""
    for which, name in enumerate(["ada", "bob"]):
        solved(tmp_path / "in" / f"{name}.ipynb", which)
    without = table(page_of(tmp_path, None)[0])["ada", "bob"]
    within = table(class_page[0]).get(("ada", "bob"), [0, 0])
    assert max(within) < min(without) - 15
    assert "what everyone was given counts as alike" in page_of(tmp_path, None)[0]


def test_the_page_loads_nothing_and_says_what_it_cannot_know(class_page):
    page, _ = class_page
    assert not re.search(r"https?:|//\w|<script|<link|<img|<iframe|src=|@import|url\(", page)
    for words in ("isn't proof of copying", "isn't proof of own work", "ask before you judge", "never changes points"):
        assert words in page
    assert "4 submissions make 6 pairs" in page


@pytest.mark.parametrize("name", ["<script>alert(1)<", "\x1b[2J", "a&b"])
def test_names_and_code_are_never_markup(tmp_path, name):
    code = (
        'x = "</pre><script>alert(1)</script>"\n'
        + DOUBLE * 3
        + "\nclass A:\n    pass\n# <img src=x onerror=y>\n"
        + TOTAL
    )
    for learner in (name, "other"):
        hand_in(tmp_path / "in" / learner / "11_sampling.ipynb", code)
    page, _ = page_of(tmp_path, None)
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "\x1b" not in page


@pytest.mark.parametrize(
    "code",
    ["", "#", "\n\n", "'''", "(" * 3000, "def f(:\n\tx = ", "%pip install x\n!ls", "x = 1\\", "é" * 5000,
     "\x00\x0c\x1b", "a\r\nb\r\rc", "x=1;" * 3000, "class " * 500, "# " + "y" * 9000, "\u2028\u2029x"],
)  # fmt: skip
def test_any_code_can_be_compared(tmp_path, code):
    for name in ("ada", "bob"):
        hand_in(tmp_path / "in" / f"{name}.ipynb", code, DOUBLE + "\n" + code)
    hand_in(tmp_path / "in" / "cid.ipynb", TOTAL)
    (tmp_path / "in" / "cut.ipynb").write_text('{"cells": [')
    page, _ = page_of(tmp_path, None)
    assert page.endswith("</html>\n")


def test_marking_what_is_shared_loses_and_doubles_no_letter(tmp_path):
    pieces = [DOUBLE, TOTAL, "class A:\n    def __init__(self, x):\n        self.x = x * 2", "class B(A): pass"]
    pieces += ["s = '''a\nb'''", "# ü\n" * 3, "x = f'{a!r:>{w}} {b}'", "%time x\n!ls", "@dec\nasync def g(): await h()"]
    compared = 0
    for trial in range(20):
        chance = random.Random(trial)
        code = {name: "\n".join(chance.choices(pieces, k=8)) for name in ("ada", "bob")}
        for name, text in code.items():
            hand_in(tmp_path / str(trial) / "in" / f"{name}.ipynb", text)
        page, _ = page_of(tmp_path / str(trial), None)
        for name, text in re.findall(r"<h3>(.*?)</h3><pre tabindex=0>(.*?)</pre>", page, re.DOTALL):
            assert html.unescape(re.sub("</?mark>", "", text)) == code[name].strip("\n") + "\n"
            compared += 1
    assert compared > 20


def test_no_submission_and_one_submission_are_a_page_too(tmp_path):
    (tmp_path / "in").mkdir()
    assert "nothing to compare" in page_of(tmp_path)[0]
    hand_in(tmp_path / "in" / "ada.ipynb", DOUBLE)
    assert "nothing to compare" in page_of(tmp_path)[0]


def test_of_a_huge_cell_the_beginning_is_compared_and_the_page_says_so(tmp_path):
    for name in ("ada", "bob"):
        hand_in(tmp_path / "in" / f"{name}.ipynb", "\n".join(f"x{at} = {at} * y" for at in range(40_000)))
    started = time.process_time()
    page, _ = page_of(tmp_path, None)
    assert time.process_time() - started < 20
    assert "Only the first 50,000 letters were compared of: ada, bob." in page


def test_every_run_says_the_same(tmp_path, monkeypatch):
    """copydetect's fingerprints are Python's hashes of texts, which differ from process to process."""
    for which, name in enumerate(["ada", "bob", "cid"]):
        solved(tmp_path / "in" / f"{name}.ipynb", which)
    first = page_of(tmp_path)
    monkeypatch.setattr("copydetect.utils.hash", lambda text: zlib.crc32(text.encode()), raising=False)
    assert page_of(tmp_path) == first


def test_a_large_class_takes_seconds(tmp_path):
    answers = [inspect.getsource(answer) for task in RIGHT.values() for answer in task]
    made = [hand_in(tmp_path / "made" / f"{at}.ipynb", answers[at], answers[at - 1]) for at in range(12)]
    (tmp_path / "in").mkdir()
    for at in range(100):
        shutil.copy(made[at % 12], tmp_path / "in" / f"{at:03}.ipynb")
    started = time.process_time()
    page, _ = page_of(tmp_path, None)
    assert time.process_time() - started < 30
    assert "100 submissions make 4950 pairs" in page
    assert "100 pairs of" in page


def test_the_command_makes_the_page_and_changes_no_points(tmp_path, monkeypatch, capsys):
    assignment = Assignment(ROOT / "tests" / "grading_checks.py", seed=3, is_sandboxed=False)
    for name in ("ada", "bob"):
        hand_in(tmp_path / "in" / f"{name}.ipynb", DOUBLE, TOTAL)

    def report(submission, assignment):
        return {"learner": submission.learner, "key": "", "status": "graded", "reasons": [], "tasks": [], "prose": [],
                "of": 4, "points": 4}  # fmt: skip

    monkeypatch.setattr(command, "grade", report)
    monkeypatch.setattr(command, "ProcessPoolExecutor", Here)
    monkeypatch.setattr(command, "as_completed", list)
    out = tmp_path / "in" / "out"  # among the submissions, as people do
    assert grade_all([tmp_path / "in"], assignment, out, "00_x") == 0
    grades = (out / "grades.csv").read_text()
    assert not (out / "similarity.html").exists()
    assert grade_all([tmp_path / "in"], assignment, out, "00_x", is_compared=True) == 0
    assert (out / "grades.csv").read_text() == grades
    assert "similarity.html compares 2 submissions; it is for you" in capsys.readouterr().out
    assert [one.learner for one in find_submissions([tmp_path / "in", out], "00_x", out=out)] == ["ada", "bob"]
