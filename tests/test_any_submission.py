"""Whatever one learner hands in, the others are graded: names, texts, folders, formats, and a grader that is killed."""

import csv
import json
import os
import signal
import subprocess
import sys
import unicodedata
import warnings

import nbformat
import pytest

from course_utils.exercises.calling import call
from course_utils.exercises.task import load_tasks
from course_utils.grading import command
from course_utils.grading.command import grade_all
from course_utils.grading.grade import GRADED, LOOK, MISSING, UNREADABLE, Assignment, error_message, grade
from course_utils.grading.results import feedback_page, read_report, report_file
from course_utils.grading.session import Session, WorkerError
from course_utils.grading.submission import Submission, find_submissions, read_roster, read_submission
from course_utils.machine import ROOT
from tests.deadly_assignment import Deadly
from tests.submissions import DOUBLE, TOTAL, Here, graded, hand_in

CHECKS = ROOT / "tests" / "grading_checks.py"
ASSIGNMENT = Assignment(CHECKS, seed=5)


@pytest.fixture
def without_workers(monkeypatch):
    """Grade in this process and run no cell: what can be read has full points, and its answer is in the report."""

    def only_read(submission, assignment):
        handed = read_submission(submission, ["q3"])
        answer = [{"name": "q3", "title": "Why", "of": 2, "answer": handed.prose.get("q3", "")}]
        missing = submission.path is None and not submission.problem
        return {
            "key": assignment.key(handed), "learner": submission.learner, "of": 4, "tasks": [], "prose": answer,
            "status": MISSING if missing else UNREADABLE if handed.problem else GRADED,
            "points": None if handed.problem else 4, "reasons": [*filter(None, [submission.note, handed.problem])],
        }  # fmt: skip

    monkeypatch.setattr(command, "ProcessPoolExecutor", Here)
    monkeypatch.setattr(command, "grade", only_read)
    monkeypatch.setattr(command, "try_sandbox", lambda: "")
    return only_read


def found(folder, *roster, exercise="00_x", **options):
    return {one.learner: one for one in find_submissions([folder], exercise, roster, **options)}


def rows(file):
    with file.open(encoding="utf-8", newline="") as opened:
        return {row["learner"]: row for row in csv.DictReader(opened)}


# ------------------------------------------------------------------------------------------------ names


@pytest.mark.parametrize(
    "name",
    [
        "ada.ipynb", "ada.IPYNB", "ADA.ipynb", "ada (1).ipynb", "ada(2).ipynb", "ada-Copy1.ipynb", "ada copy.ipynb",
        "ada - Copy.ipynb", "ada - Copy (2).ipynb", "ada.ipynb.txt", "ada.ipynb.json", "ada.ipynb.txt.txt",
        "ada.ipynb (1).txt", "ada.Ipynb.TXT", "ada/00_x.ipynb", "ada/00_x.IPYNB", "ada/00_x (3).ipynb",
        "ada/00_x.ipynb.txt", "ada/deep/er/mine.ipynb", "ada/mine.json", "ada/mine",
        "ada/mine.ipynb.download", "ada/00_x.ipynb.html", "ada/00_x-Copy2.ipynb.json",
        "ada.ipynb/00_x.ipynb", "Ada (1)/x.ipynb", "ada /x.ipynb",
    ],
)  # fmt: skip
def test_a_notebook_is_adas_however_it_is_called(tmp_path, name):
    hand_in(tmp_path / name, DOUBLE)
    (only,) = found(tmp_path, "ada").values()
    assert (only.learner, only.problem, only.note) == ("ada", "", "")
    assert read_submission(only).cells == [DOUBLE]


@pytest.mark.parametrize("name", ["ada 2", "ada-1", "ada_3", "ada - Kopie", "ada - Copie (2)", "ada - копия"])
def test_what_other_systems_add_counts_only_with_a_roster(tmp_path, name):
    hand_in(tmp_path / f"{name}.ipynb", DOUBLE)
    assert [*found(tmp_path, "ada")] == ["ada"]
    assert [*found(tmp_path, name, "ada")] == ["ada", name]
    assert [*found(tmp_path)] == [name.removesuffix(" (2)")]


def test_a_name_on_the_roster_is_taken_as_it_is(tmp_path):
    for name in ("Team (1)", "Team (2)"):
        hand_in(tmp_path / f"{name}.ipynb", DOUBLE)
    assert [*found(tmp_path, "Team (1)", "Team (2)")] == ["Team (1)", "Team (2)"]
    assert [*found(tmp_path)] == ["Team", "Team (2)"]


CLUTTER = (
    "__MACOSX/._ada.ipynb",
    "__MACOSX (2)/ada.ipynb", "._ada.ipynb", ".DS_Store", "Thumbs.db", "ehthumbs.db", "desktop.ini", "Desktop.ini",
    "Icon\r", "~$notes.docx", "$RECYCLE.BIN/x.ipynb", "System Volume Information/x", "@eaDir/ada.ipynb",
    ".ipynb_checkpoints/ada-checkpoint.ipynb", ".git/config", "__pycache__/x.pyc",
)  # fmt: skip


def test_what_systems_leave_behind_is_nobodys(tmp_path):
    hand_in(tmp_path / "ada" / "mine.ipynb", DOUBLE)
    for place in (tmp_path, tmp_path / "ada", tmp_path / "bob"):
        for name in CLUTTER:
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(b"\x00\x05\x16\x07")
    one = found(tmp_path, "bob")
    assert [*one] == ["ada", "bob"]
    assert not one["ada"].problem
    assert one["bob"].path is None
    everything = sorted(place for place in tmp_path.iterdir() if place.name != "bob")
    assert [only.learner for only in find_submissions([*everything, tmp_path / "ada"], "mine")] == ["ada"]


def test_one_name_in_several_spellings_is_one_learner(tmp_path):
    typed, packed = (unicodedata.normalize(form, "Zoë Ångström") for form in ("NFC", "NFD"))
    hand_in(tmp_path / packed.upper() / "00_x.ipynb", DOUBLE)
    one = find_submissions([tmp_path], "00_x", [typed, f"  {packed} ", "zoë  ångström"])
    assert [(only.learner, only.problem) for only in one] == [(typed, "")]


def test_names_that_differ_only_in_capitals_never_share_a_file(tmp_path):
    for name in ("eve.ipynb", "EVE.ipynb", "Eve/x.ipynb", unicodedata.normalize("NFD", "é") + ".ipynb", "é/y.ipynb"):
        hand_in(tmp_path / name, DOUBLE)
    one = found(tmp_path)
    assert len(one) == 5
    assert len({report_file(tmp_path, learner).name.casefold() for learner in one}) == 5
    assert sum("more than one submission" in only.note for only in one.values()) == 3


@pytest.mark.skipif(sys.platform != "linux", reason="other systems take only UTF-8")
def test_names_without_utf_8_and_with_commands_for_a_terminal(tmp_path, without_workers, capsys):
    for name in (
        "Ren\udce9e.ipynb",
        "\udcff\udcfe.ipynb",
        "x\x1b]0;y\x07\n  bob: graded.ipynb",
        "a\u202eb.ipynb",
        "محمد\u200cی.ipynb",
    ):
        hand_in(tmp_path / "in" / name, DOUBLE)
    (tmp_path / "in" / "odd\x1b[2J").mkdir()
    (tmp_path / "in" / "odd\x1b[2J" / "\nno \udce9.zip").write_text("x")
    assert grade_all([tmp_path / "in"], ASSIGNMENT, tmp_path / "out", "00_x", ["Renée"]) == 1
    table = rows(tmp_path / "out" / "grades.csv")
    assert table["Renée"]["status"] == GRADED
    assert "محمد\u200cی" in table
    assert table["odd\\x1b[2J"]["what happened"].startswith("has no notebook, only \\nno é.zip")
    shown = capsys.readouterr().out + (tmp_path / "out" / "grades.csv").read_text()
    assert not {*shown} & {*"\x1b\x07\u202e\x9b"}
    assert not any(line.lstrip().startswith("bob") for line in shown.splitlines())
    assert len({*(tmp_path / "out" / "feedback").iterdir()}) == len(table) == 6


def test_a_terminal_without_our_letters(tmp_path):
    (tmp_path / "in" / "Šárka 🦜").mkdir(parents=True)
    (tmp_path / "in" / "Šárka 🦜" / "notes.zip").write_text("x")
    run = [sys.executable, "-P", "-m", "course_utils.cli", "grade", str(tmp_path / "in"), "--checks", str(CHECKS)]
    run += ["--seed", "1", "--out", str(tmp_path / "out"), "--without-sandbox"]
    done = subprocess.run(run, capture_output=True, env={**os.environ, "PYTHONIOENCODING": "latin-1"})
    assert b"\\u0160\xe1rka \\U0001f99c: unreadable" in done.stdout
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_a_roster_from_any_editor(tmp_path, encoding):
    (tmp_path / "class.txt").write_bytes("Zoë Müller\r\n\r\n  bob \rcid".encode(encoding))
    assert read_roster(tmp_path / "class.txt") == ["Zoë Müller", "bob", "cid"]


# ------------------------------------------------------------------------------------------------ places


def test_a_place_that_is_found_twice_counts_once(tmp_path, monkeypatch):
    file = hand_in(tmp_path / "in" / "ada.ipynb", DOUBLE)
    (tmp_path / "same").symlink_to(tmp_path / "in")
    monkeypatch.chdir(tmp_path)
    places = [tmp_path / "in", file, "in/ada.ipynb", tmp_path / "in" / ".." / "in", tmp_path / "same" / "ada.ipynb"]
    assert [one.learner for one in find_submissions(places, "00_x", ["ada", "ada"])] == ["ada"]


@pytest.mark.parametrize("out", ["in", "in/results", "in/results/11", "in/ada/results"])
def test_results_among_the_submissions_are_nobodys(tmp_path, without_workers, out):
    for name in ("ada/00_x.ipynb", "bob.ipynb"):
        hand_in(tmp_path / "in" / name, DOUBLE)
    for _ in range(2):
        assert grade_all([tmp_path / "in"], ASSIGNMENT, tmp_path / out, "00_x") == 0
    assert [*rows(tmp_path / out / "grades.csv")] == ["ada", "bob"]


def deep(folder, count, name):
    """Make `count` folders in each other, also where the whole path is too long for the system."""
    folder.mkdir(parents=True)
    before = os.open(".", os.O_RDONLY)
    try:
        os.chdir(folder)
        for _ in range(count):
            os.mkdir(name)
            os.chdir(name)
    finally:
        os.fchdir(before)
        os.close(before)


def test_folders_that_cannot_be_looked_through(tmp_path, monkeypatch):
    deep(tmp_path / "in" / "deep", 1500, "d")
    deep(tmp_path / "in" / "long", 30, "x" * 250)
    deep(tmp_path / "in" / "both", 40, "d")
    hand_in(tmp_path / "in" / "both" / "00_x.ipynb", DOUBLE)
    (tmp_path / "in" / "loop").mkdir()
    (tmp_path / "in" / "loop" / "loop").symlink_to(tmp_path / "in" / "loop")
    (tmp_path / "in" / "gone.ipynb").symlink_to(tmp_path / "nowhere")
    hand_in(tmp_path / "in" / "locked" / "00_x.ipynb", DOUBLE)
    hand_in(tmp_path / "in" / "odd" / "00_x.ipynb", DOUBLE)
    look = os.scandir

    def looked(place="."):
        if str(place).endswith("/locked"):
            raise PermissionError(13, "Permission denied")
        if str(place).endswith("/odd"):
            raise RuntimeError("nobody thought of this")
        return look(place)

    monkeypatch.setattr(os, "scandir", looked)
    (tmp_path / "in" / "fine.ipynb" / "inside").mkdir(parents=True)
    one = found(tmp_path / "in")
    assert one["deep"].problem == "has folders more than 32 deep."
    assert one["long"].problem == "has a folder that cannot be looked into (File name too long)."
    assert (one["both"].path.name, one["both"].problem) == ("00_x.ipynb", "")
    assert "more than 32 deep" in one["both"].note
    assert one["loop"].problem == "has no notebook, only loop."
    assert one["gone"].problem.startswith("is a link")
    assert one["locked"].problem == "has a folder that cannot be looked into (Permission denied)."
    assert one["odd"].problem == "cannot be looked into (RuntimeError)."
    assert one["fine"].path is None
    subprocess.run(["rm", "-rf", tmp_path / "in"], check=True)  # pytest's own way ends at 1,000 folders


def test_two_notebooks_with_the_right_name(tmp_path):
    hand_in(tmp_path / "ada" / "00_x.ipynb", DOUBLE)
    hand_in(tmp_path / "ada" / "00_x (1).ipynb", TOTAL)
    hand_in(tmp_path / "bob" / "a" / "00_x.ipynb", DOUBLE)
    hand_in(tmp_path / "bob" / "b" / "00_x.ipynb", DOUBLE)
    one = found(tmp_path)
    assert (one["ada"].path.name, one["ada"].note) == ("00_x.ipynb", "There is also 00_x (1).ipynb.")
    assert one["bob"].problem == "has 2 notebooks, and which one counts is not said."


# ------------------------------------------------------------------------------------------------ files


def cells(*made, **more):
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [*made], **more}


CODE = {"cell_type": "code", "source": DOUBLE, "metadata": {}}
V3 = nbformat.v3.new_notebook(
    metadata=nbformat.v3.new_metadata(name="homework"),
    worksheets=[
        nbformat.v3.new_worksheet(cells=[nbformat.v3.new_code_cell(input=DOUBLE)]),
        nbformat.v3.new_worksheet(
            cells=[nbformat.v3.new_heading_cell("q3 · Why", level=2), nbformat.v3.new_text_cell("markdown", "Because.")]
        ),
    ],
)
FILES = {
    "a byte order mark": b"\xef\xbb\xbf" + json.dumps(cells(CODE)).encode(),
    "UTF-16": json.dumps(cells(CODE), ensure_ascii=False).encode("utf-16"),
    "format 3": nbformat.v3.writes_json(V3).encode(),
    "format 4.0 without ids": json.dumps(cells(CODE, nbformat_minor=0)).encode(),
    "format 4 of later days": json.dumps(cells({**CODE, "new": 1}, nbformat_minor=99)).encode(),
    "lines": json.dumps(cells({**CODE, "source": DOUBLE.splitlines(keepends=True)})).encode(),
    "Colab": json.dumps(
        cells({**CODE, "metadata": {"id": "Xy", "colab": {"base_uri": "https://x"}, "outputId": 5}, "outputs": [{}]},
              metadata={"colab": {"provenance": [], "toc_visible": True}, "accelerator": "GPU"})
    ).encode(),
    "VS Code": json.dumps(
        cells({**CODE, "metadata": {"vscode": {"languageId": "python"}}, "execution_count": "x"},
              metadata={"vscode": {"interpreter": {"hash": "0" * 64}}, "orig_nbformat": 4})
    ).encode(),
    "a lot of metadata": json.dumps(cells({**CODE, "metadata": {"history": ["x" * 99] * 50_000}})).encode(),
    "metadata of all kinds": json.dumps(
        cells({**CODE, "metadata": None, "id": 7}, {**CODE, "source": "", "metadata": {"tags": "x", "nbgrader": []}})
    ).encode(),
    "outputs with half an emoji": json.dumps(cells({**CODE, "outputs": [{"text": "\ud83d"}]})).encode(),
    "old line ends": json.dumps(cells(CODE), indent=1).replace("\n", "\r\n").encode(),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_notebook_of_any_program(tmp_path, name):
    (tmp_path / "ada.ipynb").write_bytes(FILES[name])
    handed = read_submission(Submission("ada", tmp_path / "ada.ipynb"), ["q3"])
    assert (handed.problem, handed.notes) == ("", ())
    assert [cell.rstrip() for cell in handed.cells if cell] == [DOUBLE]
    assert handed.prose.get("q3", "") == ("Because." if name == "format 3" else "")


def test_a_broken_notebook_of_an_old_format_says_nothing_on_the_terminal(tmp_path, capsys):
    old = json.loads(nbformat.v3.writes_json(V3))
    old["worksheets"][0]["cells"][0]["input"] = [1, "secret"]
    (tmp_path / "ada.ipynb").write_text(json.dumps(old))
    assert "no notebook of format 4" in read_submission(Submission("ada", tmp_path / "ada.ipynb")).problem
    assert capsys.readouterr() == ("", "")


def test_letters_without_utf_8_are_read_and_a_person_looks(tmp_path):
    text = json.dumps(cells({**CODE, "source": "# Größe\nx = 'é'"}), ensure_ascii=False)
    (tmp_path / "ada.ipynb").write_bytes(text.encode("cp1252"))
    handed = read_submission(Submission("ada", tmp_path / "ada.ipynb"))
    assert handed.cells == ["# Größe\nx = 'é'"]
    assert handed.notes == ("The file isn't in UTF-8: letters with accents may be wrong.",)
    (tmp_path / "ada.ipynb").write_bytes(text.encode().replace(b"\xc3\xb6", b"\xed\xa0\xbd"))  # one damaged letter
    assert read_submission(Submission("ada", tmp_path / "ada.ipynb")).cells[0].endswith("x = 'é'")


def test_halves_of_an_emoji_are_in_no_file(tmp_path, without_workers):
    for number, half in enumerate(("\ud83d", "\ude00\ud83d", "\udcff")):
        hand_in(tmp_path / "in" / f"ada{number}.ipynb", f"x = '{number}'", prose="because")
        text = (tmp_path / "in" / f"ada{number}.ipynb").read_text()
        text = text.replace("because", f"because {json.dumps(half)[1:-1]}").replace(
            f"'{number}'", json.dumps(half)[1:-1]
        )
        (tmp_path / "in" / f"ada{number}.ipynb").write_text(text)
    assert grade_all([tmp_path / "in"], ASSIGNMENT, tmp_path / "out", roster=["\ud83d"]) == 0
    for number in range(3):
        assert (
            "because �" in json.loads(report_file(tmp_path / "out", f"ada{number}").read_text())["prose"][0]["answer"]
        )
    assert rows(tmp_path / "out" / "grades.csv")["\\ud83d"]["status"] == MISSING


def test_an_answer_holds_no_commands_for_a_terminal(tmp_path):
    file = hand_in(tmp_path / "ada.ipynb", prose="one\n\x1b[2Jtwo\ttab\x9b3\x00")
    assert read_submission(Submission("ada", file)).prose["q3"] == "one\n[2Jtwo\ttab3"


def test_nothing_that_was_handed_in_is_compiled_outside(tmp_path, monkeypatch):
    file = hand_in(tmp_path / "ada.ipynb", "if 0:\n" + " 1 is 1\n" * 20_000, "x;" * 400_000, "(" * 9000)

    def refused(source, *about, **settings):
        raise AssertionError(f"compiled outside: {source[:40]!r}")

    with warnings.catch_warnings(), monkeypatch.context() as patch:
        warnings.simplefilter("error")
        patch.setattr("builtins.compile", refused)
        assert len(read_submission(Submission("ada", file), ["q3"]).cells) == 3


def test_code_that_is_too_long_is_not_run_and_the_rest_is(tmp_path):
    file = hand_in(tmp_path / "ada.ipynb", DOUBLE, "x;" * 600_000, TOTAL)
    handed = read_submission(Submission("ada", file))
    assert handed.cells == [DOUBLE, "", TOTAL]
    assert handed.notes == ("Cell 2 was not run: it has more than 1 million letters.",)


# ------------------------------------------------------------------------------------------- answers in words

ANSWER = "Temperature first: the curve is flatter."
HEADING = nbformat.v4.new_markdown_cell("## q3 · Why\n\nSay why.")
NEXT = [
    nbformat.v4.new_markdown_cell("## Stretch · More\n\nIf you like."),
    nbformat.v4.new_markdown_cell("not an answer"),
]


def answer(kind, source, metadata=True, **more):
    made = getattr(nbformat.v4, f"new_{kind}_cell")(source, **more)
    made.metadata = nbformat.from_dict({"nbgrader": graded("q3")} if metadata else {})
    return made


ANSWERS = {
    "as it was": [HEADING, answer("markdown", ANSWER)],
    "below a heading of its own": [HEADING, answer("markdown", f"# Mine\n\n{ANSWER}")],
    "below a heading like a task's": [HEADING, answer("markdown", f"## q4 · Mine\n\n{ANSWER}")],
    "without the question": [answer("markdown", ANSWER)],
    "far from the question": [HEADING, *NEXT, answer("markdown", ANSWER)],
    "a raw cell": [HEADING, answer("raw", f"### {ANSWER}")],
    "a code cell": [answer("code", f'"""{ANSWER}"""')],
    "a cell without metadata, found by its id": [answer("code", f"# {ANSWER}", metadata=False, id="q3")],
    "a cell that was copied": [HEADING, answer("markdown", "*Write your answer here.*"), answer("markdown", ANSWER)],
    "a cell added below": [
        HEADING, answer("markdown", "*Write your answer here.*"), nbformat.v4.new_markdown_cell(ANSWER),
    ],
    "an added heading and an added cell": [
        HEADING, nbformat.v4.new_markdown_cell("### My answer"), nbformat.v4.new_raw_cell(ANSWER), *NEXT,
    ],
    "no metadata and other ids": [HEADING, answer("markdown", f"## Answer\n\n{ANSWER}", metadata=False), *NEXT],
}  # fmt: skip


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_in_words_is_found(tmp_path, name):
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(DOUBLE), *ANSWERS[name]])
    (tmp_path / "ada.ipynb").write_text(json.dumps(made))
    handed = read_submission(Submission("ada", tmp_path / "ada.ipynb"), ["q3"])
    assert ANSWER in handed.prose["q3"]
    assert "not an answer" not in handed.prose["q3"]
    assert "Write your answer" not in handed.prose["q3"]
    assert handed.cells == [DOUBLE]


def test_an_answer_in_fifty_thousand_cells(tmp_path):
    cell = {"cell_type": "markdown", "source": "x" * 200, "metadata": {}}
    text = json.dumps(cells(dict(HEADING), *[cell] * 50_000))
    (tmp_path / "ada.ipynb").write_text(text)
    assert read_submission(Submission("ada", tmp_path / "ada.ipynb"), ["q3"]).prose["q3"].count("x" * 200) == 50_000


def test_an_answer_in_the_question_s_own_cell_is_shown_and_a_person_looks(tmp_path):
    merged = nbformat.v4.new_markdown_cell(f"{HEADING.source}\n\n{ANSWER}")
    (tmp_path / "ada.ipynb").write_text(json.dumps(nbformat.v4.new_notebook(cells=[merged, *NEXT])))
    handed = read_submission(Submission("ada", tmp_path / "ada.ipynb"), ["q3"])
    assert ANSWER in handed.prose["q3"]
    assert handed.notes == ("The cell for q3 is gone: the one with its heading is taken for the answer.",)


def test_an_answer_that_cannot_be_found_is_said_to_be_missing(tmp_path, monkeypatch):
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(ANSWER)])
    (tmp_path / "ada.ipynb").write_text(json.dumps(made))
    _, prose = load_tasks(CHECKS)
    monkeypatch.setattr(Assignment, "tasks", lambda self: ((), prose))
    report = grade(Submission("ada", tmp_path / "ada.ipynb"), ASSIGNMENT)
    assert report["status"] == LOOK
    assert report["reasons"] == ["The cell for q3 is not there."]


# ---------------------------------------------------------------------------------------------- the grader itself


@pytest.mark.parametrize(
    "error", [MemoryError(), RecursionError("too deep"), OSError(28, "No space", "/srv/x/y"), KeyError("k")]
)
def test_an_error_at_one_submission_is_that_learners_row(tmp_path, monkeypatch, without_workers, error, capsys):
    for learner in ("ada", "bob", "cid"):
        hand_in(tmp_path / "in" / f"{learner}.ipynb", DOUBLE)

    def sometimes(submission, assignment):
        if submission.learner == "bob":
            raise error
        return without_workers(submission, assignment)

    monkeypatch.setattr(command, "grade", sometimes)
    assert grade_all([tmp_path / "in"], ASSIGNMENT, tmp_path / "out") == 1
    table = rows(tmp_path / "out" / "grades.csv")
    assert [row["status"] for row in table.values()] == [GRADED, LOOK, GRADED]
    assert table["bob"]["points"] == ""
    assert table["bob"]["of"] == "4"
    assert f"The grader could not do its work ({type(error).__name__}" in table["bob"]["what happened"]
    assert "/srv" not in capsys.readouterr().out
    assert not report_file(tmp_path / "out", "bob").exists()


@pytest.mark.parametrize("step", ["read_report", "read_submission", "write_whole"])
def test_an_error_while_reading_or_writing_is_that_learners_row(tmp_path, monkeypatch, without_workers, step):
    for learner in ("ada", "bob"):
        hand_in(tmp_path / "in" / f"{learner}.ipynb", DOUBLE)
    real = getattr(command, step)

    def broken(first, *others):
        if "ada" in str(first):
            raise UnicodeError("no such letter")
        return real(first, *others)

    monkeypatch.setattr(command, step, broken)
    assert grade_all([tmp_path / "in"], ASSIGNMENT, tmp_path / "out") == 1
    assert [row["status"] for row in rows(tmp_path / "out" / "grades.csv").values()] == [LOOK, GRADED]


def test_a_page_that_cannot_be_written_does_not_stop_the_others(tmp_path, without_workers):
    for learner in ("ada", "bob"):
        hand_in(tmp_path / "in" / f"{learner}.ipynb", DOUBLE)
    (tmp_path / "out" / "feedback" / "ada.html").mkdir(parents=True)
    with pytest.raises(OSError, match=r"ada\.html"):
        grade_all([tmp_path / "in"], ASSIGNMENT, tmp_path / "out")
    assert "bob" in (tmp_path / "out" / "feedback" / "bob.html").read_text()
    assert [*rows(tmp_path / "out" / "grades.csv")] == ["ada", "bob"]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows kills in another way")
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_process_that_is_killed_costs_one_learner_the_report(tmp_path, jobs):
    deadly = (3, 4) if jobs == 1 else (2, 7)
    (tmp_path / "in").mkdir()
    for number in range(8):
        text = json.dumps(cells({**CODE, "source": "kill"})) if number in deadly else ""
        (tmp_path / "in" / f"learner{number}.ipynb").write_text(text)
    assert grade_all([tmp_path / "in"], Deadly(CHECKS, 1, is_sandboxed=False), tmp_path / "out", jobs=jobs) == 1
    said = {
        learner: (row["status"], row["what happened"]) for learner, row in rows(tmp_path / "out" / "grades.csv").items()
    }
    assert said == {
        f"learner{number}": (LOOK, "The system ended the grader's process at this submission, twice.")
        if number in deadly
        else (UNREADABLE, "The submission is an empty file.")
        for number in range(8)
    }


def test_where_the_grader_fails_at_one_task_the_others_keep_their_points(tmp_path, monkeypatch):
    class Worker:
        """A worker that answers with what is right, except that the grader stumbles over q1."""

        def __init__(self, cells, function, limits, *others):
            self.function, self.incident, self.failures, self.left_out = function, "", {}, ["%pip"]
            self.found, self.stage = True, "calls"

        def __enter__(self):
            return self

        def __exit__(self, *error):
            return None

        def ask(self, arguments):
            if self.function == "double":
                raise ZeroDivisionError("at /srv/teacher/exam/checks.py")
            return call(sum, arguments)

    monkeypatch.setattr("course_utils.grading.grade.Session", Worker)
    file = hand_in(tmp_path / "ada.ipynb", DOUBLE, TOTAL)
    report = grade(Submission("ada", file), ASSIGNMENT)
    assert [(task["points"], task["status"]) for task in report["tasks"]] == [(0, "not judged"), (2, "right")]
    assert (report["status"], report["points"]) == (LOOK, 2)
    assert report["reasons"][0] == "The function of q1 could not be judged (ZeroDivisionError)."
    assert report["tasks"][0]["error"] == "ZeroDivisionError: at checks.py"
    assert "at checks.py" not in feedback_page(report, {}), "the message may hold a right value"
    assert report["reasons"][1] == "Left out, because it can't work in the sandbox: %pip."
    (tmp_path / "report.json").write_text(json.dumps(report))
    assert read_report(tmp_path / "report.json", ASSIGNMENT.key(read_submission(Submission("ada", file)))) is None


def test_a_worker_that_does_not_start_is_nobodys_fault(tmp_path, monkeypatch):
    def broken(self):
        raise WorkerError("no worker today")

    monkeypatch.setattr(Session, "__enter__", broken)
    file = hand_in(tmp_path / "ada.ipynb", DOUBLE, TOTAL)
    with pytest.raises(WorkerError):
        grade(Submission("ada", file), ASSIGNMENT)


def test_a_page_does_not_tell_where_the_teachers_folders_are(tmp_path, without_workers, monkeypatch):
    for place in ("early", "late"):
        hand_in(tmp_path / "secret" / place / "ada.ipynb", DOUBLE)
    monkeypatch.setattr(command, "read_report", lambda file, key: None if "2" in file.name else 1 / 0)
    grade_all([tmp_path / "secret" / "early", tmp_path / "secret" / "late"], ASSIGNMENT, tmp_path / "out")
    pages = [page.read_text() for page in (tmp_path / "out" / "feedback").iterdir()]
    assert len(pages) == 2
    assert not any("secret" in page or str(tmp_path) in page for page in pages)
    assert any("this is late/ada.ipynb" in page for page in pages)
    assert error_message(OSError(13, "Permission denied", str(tmp_path / "x.ipynb"))).endswith("denied: 'x.ipynb'")


def test_a_kept_report_of_another_learner_is_not_taken(tmp_path, without_workers):
    hand_in(tmp_path / "in" / "ada.ipynb", DOUBLE)
    grade_all([tmp_path / "in"], ASSIGNMENT, tmp_path / "out")
    file = report_file(tmp_path / "out", "ada")
    file.write_text(json.dumps(json.loads(file.read_text()) | {"learner": "Ada", "points": 99}))
    grade_all([tmp_path / "in"], ASSIGNMENT, tmp_path / "out")
    assert rows(tmp_path / "out" / "grades.csv")["ada"]["points"] == "4"
