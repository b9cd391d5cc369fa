"""What goes into a gradebook: each system's own export in, the file that it imports out, and nobody else's points."""

import codecs
import csv
import io
import re

import pytest

from course_utils.cli import main
from course_utils.errors import CourseError
from course_utils.exercises.task import Prose
from course_utils.grading import command
from course_utils.grading.command import grade_all
from course_utils.grading.grade import GRADED, MISSING, Assignment
from course_utils.grading.gradebook import SYSTEMS, read_gradebook, write_gradebook
from course_utils.grading.submission import find_submissions
from course_utils.machine import ROOT
from tests.submissions import DOUBLE, Here, hand_in

PROSE = (Prose("q3", "Why", 2, "a reason"),)

# As Moodle's "Plain text file" has it: grade/export/txt/grade_export_txt.php
MOODLE = (
    '"First name","Last name","ID number",Institution,Department,"Email address","Assignment: Sampling (Real)",'
    '"Last downloaded from this course"\n'
    'Zoë,"Müller, ""Zo""",00417,,,Zoe.Mueller@uni.edu,-,1796000000\n'
    "Ada,Lovelace,1815,,,ada@uni.edu,-,1796000000\n"
    "Bob,Stone,2000,,,bob@uni.edu,-,1796000000\n"
)
# As Canvas exports it: lib/gradebook_exporter.rb
CANVAS = (
    "Student,ID,SIS User ID,SIS Login ID,Section,Notes,Sampling (9001),Current Score,Final Score\n"
    ",,,,,,Manual Posting,,\n"
    "    Points Possible,,,,,,10.00,(read only),(read only)\n"
    '"Müller, Zoë",17,00417,zoe,Monday and Tuesday,,,,\n'
    '"Lovelace, Ada",18,1815,ada@uni.edu,Monday,late,3.00,30.00,30.00\n'
    '"Stone, Bob",19,,bob,Monday,,,,\n'
)
# As Blackboard downloads it, with tabs: in UTF-16, as .xls
BLACKBOARD = (
    '"Last Name"\t"First Name"\t"Username"\t"Student ID"\t"Last Access"\t"Availability"\t'
    '"Sampling [Total Pts: 10 Score] |664617"\n'
    '"Müller"\t"Zoë"\t"zoe"\t"00417"\t"2026-11-30 12:00:00"\t"Yes"\t""\n'
    '"Lovelace"\t"Ada"\t"ada"\t"1815"\t""\t"Yes"\t"3.00"\n'
    '"Stone"\t"Bob"\t"bob"\t"2000"\t""\t"Yes"\t""\n'
)
EXPORTS = {
    "moodle": MOODLE.encode(),
    "canvas": codecs.BOM_UTF8 + CANVAS.encode(),
    "blackboard": BLACKBOARD.encode("utf-16"),
}
every_system = pytest.mark.parametrize("lms", EXPORTS)


def export(tmp_path, lms, content=None):
    file = tmp_path / f"{lms}_export.csv"
    file.write_bytes(EXPORTS[lms] if content is None else content if isinstance(content, bytes) else content.encode())
    return file


def report(learner, points=3, answer="", status=GRADED):
    prose = [{"name": "q3", "title": "Why", "of": 2, "answer": answer}]
    return {"learner": learner, "points": points, "of": 8, "status": status, "prose": prose}


def imported(tmp_path, lms):
    return list(csv.reader(io.StringIO((tmp_path / f"{lms}_import.csv").read_bytes().decode(), newline="")))


def written(tmp_path, lms, reports, marks=None, prose=PROSE, content=None, column=""):
    gradebook = read_gradebook(export(tmp_path, lms, content), lms, "11_sampling", column)
    there = {one["learner"] for one in reports}
    others = [one for one in dict.fromkeys(gradebook.aliases.values()) if one not in there]
    reports = [*reports, *(report(one, None, "", MISSING) for one in others)]
    said = write_gradebook(tmp_path, gradebook, reports, prose, marks or {})
    return imported(tmp_path, lms), said


# The documented formats


def test_moodle_imports_columns_with_the_mail_or_the_id(tmp_path):
    """Comma-separated UTF-8 whose first row names the columns: https://docs.moodle.org/en/Grade_import."""
    rows, _ = written(tmp_path, "moodle", [report("Zoe.Mueller@uni.edu"), report("ada@uni.edu", 2.5)])
    assert rows == [
        ["First name", "Last name", "ID number", "Email address", "11_sampling"],
        ["Zoë", 'Müller, "Zo"', "00417", "Zoe.Mueller@uni.edu", "3"],  # Moodle's mails have capitals that count
        ["Ada", "Lovelace", "1815", "ada@uni.edu", "2.5"],
    ]
    assert not (tmp_path / "moodle_import.csv").read_bytes().startswith(codecs.BOM_UTF8)


def test_canvas_imports_its_own_first_columns_and_points_possible(tmp_path):
    """The heading and the second row that lib/gradebook_importer.rb asks for, and no column that it calculates."""
    rows, said = written(tmp_path, "canvas", [report("zoe"), report("ada@uni.edu", 8)], column="Sampling")
    assert rows == [
        ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "Sampling (9001)"],
        ["    Points Possible", "", "", "", "", "10.00"],
        ["Müller, Zoë", "17", "00417", "zoe", "Monday and Tuesday", "3"],
        ["Lovelace, Ada", "18", "1815", "ada@uni.edu", "Monday", "8"],
    ]
    heading = rows[0]
    assert "Student" in heading[0]
    assert "ID" in heading[1]
    assert re.search(r"SIS\s+User\s+ID", heading[2])
    assert re.search(r"SIS\s+Login\s+ID", heading[3])
    assert "Section" in heading[4]
    assert "Points Possible" in rows[1][0]
    assert not said.problems


def test_canvas_makes_a_new_assignment_with_our_points(tmp_path):
    rows, _ = written(tmp_path, "canvas", [report("zoe")])
    assert rows[0][-1] == "11_sampling"
    assert rows[1][-1] == "10"


def test_canvas_with_names_in_two_columns(tmp_path):
    content = (
        "LastName,FirstName,ID,SIS User ID,SIS Login ID,Integration ID,Root Account,Section,Sampling (9001)\n"
        "    Points Possible,,,,,,,,10\nMüller,Zoë,17,00417,zoe,i1,school.instructure.com,Monday,\n"
    )
    rows, _ = written(tmp_path, "canvas", [report("zoe")], content=content)
    assert rows[0][:8] == content.partition("\n")[0].split(",")[:8]
    assert rows[2][:8] == ["Müller", "Zoë", "17", "00417", "zoe", "i1", "school.instructure.com", "Monday"]


def test_blackboard_imports_by_user_name_and_column_id(tmp_path):
    """A .csv in which each cell is in quotes; the number in the heading says which column it is."""
    rows, _ = written(tmp_path, "blackboard", [report("zoe"), report("ada", 2)], column="Sampling")
    assert rows == [
        ["Last Name", "First Name", "Username", "Student ID", "Sampling [Total Pts: 10 Score] |664617"],
        ["Müller", "Zoë", "zoe", "00417", "3"],
        ["Lovelace", "Ada", "ada", "1815", "2"],
    ]
    assert (tmp_path / "blackboard_import.csv").read_text().splitlines()[1] == '"Müller","Zoë","zoe","00417","3"'


@every_system
def test_an_export_is_read_however_a_spreadsheet_saved_it(tmp_path, lms):
    text = {"moodle": MOODLE, "canvas": CANVAS, "blackboard": BLACKBOARD}[lms]
    separator = "\t" if lms == "blackboard" else ","
    rows = list(csv.reader(io.StringIO(text), delimiter=separator))
    expected = read_gradebook(export(tmp_path, lms), lms, "x")
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "cp1252"):
        for delimiter in ",;\t":
            saved = io.StringIO()
            csv.writer(saved, delimiter=delimiter, lineterminator="\r\n").writerows(rows)
            read = read_gradebook(export(tmp_path, lms, saved.getvalue().encode(encoding)), lms, "x")
            assert (read.entries, read.aliases) == (expected.entries, expected.aliases), (encoding, delimiter)
            assert bool(read.remarks) == (encoding == "cp1252")


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_moodle_in_another_language_is_known_by_its_mails(tmp_path, separator):
    content = "Vorname,Nachname,ID-Nummer,E-Mail-Adresse\nZoë,Müller,417,zoe@uni.edu\nAda,Lovelace,1815,ada@uni.edu\n"
    rows, _ = written(tmp_path, "moodle", [report("zoe@uni.edu")], content=content.replace(",", separator))
    assert rows == [["E-Mail-Adresse", "11_sampling"], ["zoe@uni.edu", "3"]]


# Who is who


@pytest.mark.parametrize(
    ("lms", "names", "learner"),
    [
        ("moodle", ["ZOE.mueller@uni.edu.ipynb", "00417/x.ipynb", "00417 (1).ipynb"], "Zoe.Mueller@uni.edu"),
        ("canvas", ["17.ipynb", "00417.ipynb", "zoe/x.ipynb", "mllerzo_LATE_17_815_11_sampling.ipynb"], "zoe"),
        ("blackboard", ["00417.ipynb", "Zoe.ipynb", "Lab 3_zoe_attempt_2026-11-30-12-00-00_11_sampling.ipynb"], "zoe"),
    ],
)
def test_a_submission_is_found_by_id_and_mail_and_as_the_system_names_its_downloads(tmp_path, lms, names, learner):
    aliases = read_gradebook(export(tmp_path, lms), lms, "11_sampling").aliases
    for at, name in enumerate(names):
        hand_in(tmp_path / str(at) / name, DOUBLE)
        found = find_submissions([tmp_path / str(at)], "11_sampling", aliases)
        assert [one.learner for one in found if one.path] == [learner], name
        assert len(found) == 3


def test_moodle_s_grading_worksheet_knows_the_folders_of_its_zip(tmp_path):
    sheet = "Identifier,Full name,Email address,Status,Grade\nParticipant 4711,Zoë Müller,zoe@uni.edu,Submitted,\n"
    gradebook = read_gradebook(export(tmp_path, "moodle", sheet), "moodle", "11_sampling")
    hand_in(tmp_path / "in" / "Zoë Müller_4711_assignsubmission_file" / "11_sampling.ipynb", DOUBLE)
    assert [one.learner for one in find_submissions([tmp_path / "in"], "11_sampling", gradebook.aliases)] == [
        "zoe@uni.edu"
    ]
    assert gradebook.heading == ("Full name", "Email address", "11_sampling")


def test_the_receipt_that_blackboard_adds_is_no_second_submission(tmp_path):
    aliases = read_gradebook(export(tmp_path, "blackboard"), "blackboard", "11_sampling").aliases
    hand_in(tmp_path / "in" / "Lab_zoe_attempt_2026-11-30-12-00-00_11_sampling.ipynb", DOUBLE)
    (tmp_path / "in" / "Lab_zoe_attempt_2026-11-30-12-00-00.txt").write_text("Name: Zoë Müller (zoe)")
    found = find_submissions([tmp_path / "in"], "11_sampling", aliases)
    assert [one.learner for one in found] == ["ada", "bob", "zoe"]


def test_a_learner_under_two_names_has_two_submissions(tmp_path):
    aliases = read_gradebook(export(tmp_path, "canvas"), "canvas", "11_sampling").aliases
    hand_in(tmp_path / "in" / "17.ipynb", DOUBLE)
    hand_in(tmp_path / "in" / "zoe.ipynb", DOUBLE)
    found = {one.learner: one.note for one in find_submissions([tmp_path / "in"], "11_sampling", aliases)}
    assert found["zoe (2)"].startswith("zoe has more than one submission")


def test_which_of_two_submissions_counts_is_left_to_a_person(tmp_path):
    rows, said = written(
        tmp_path, "canvas", [report("zoe"), report("zoe (2)", 8), report("bob"), report("mallory (2)")]
    )
    assert [row[1] for row in rows] == ["ID", "", "19"]
    assert said.problems == [
        "Not in canvas_export.csv, so without points in Canvas: mallory (2).",
        "Not in canvas_import.csv, and in canvas_left_out.csv is why: zoe.",
    ]
    assert '"zoe","has more than one submission' in (tmp_path / "canvas_left_out.csv").read_text()


def test_a_learner_without_an_id_is_said(tmp_path):
    content = CANVAS.replace(",19,,bob,", ",17,,,").replace(",17,00417,zoe,", ",20,17,,")
    rows, said = written(tmp_path, "canvas", [], content=content)
    assert len(rows) == 2
    assert said.problems == ["Not in canvas_import.csv, and in canvas_left_out.csv is why: row 6."]


def test_an_id_that_is_another_learner_s_number_says_nothing(tmp_path):
    content = CANVAS.replace(",19,,bob,", ",19,,17,")
    gradebook = read_gradebook(export(tmp_path, "canvas", content), "canvas", "x")
    assert "17" not in gradebook.aliases
    assert gradebook.aliases["19"] == "19"
    assert gradebook.entries["zoe"].cells[1] == "17"


@pytest.mark.parametrize(
    ("lms", "old", "new", "sentence"),
    [
        ("moodle", "bob@uni.edu", "ADA@uni.edu", "have the Email address ADA@uni.edu (Ada Lovelace and Bob Stone)"),
        ("moodle", "2000", "1815", "have the ID number 1815"),
        ("canvas", "19,,bob", "18,,bob", "have the ID 18"),
        ("canvas", "19,,bob", "19,,zoe", "have the SIS Login ID zoe"),
        ("blackboard", '"bob"', '"ada"', "have the Username ada"),
    ],
)
def test_two_learners_with_one_id_are_refused(tmp_path, lms, old, new, sentence):
    text = {"moodle": MOODLE, "canvas": CANVAS, "blackboard": BLACKBOARD}[lms].replace(old, new)
    with pytest.raises(CourseError, match=re.escape(sentence)):
        read_gradebook(export(tmp_path, lms, text), lms, "x")


# Who is left out, and that it is said


@every_system
def test_everyone_who_is_left_out_is_named_in_a_sentence_and_in_a_file(tmp_path, lms):
    ada = {"moodle": "ada@uni.edu", "canvas": "ada@uni.edu", "blackboard": "ada"}[lms]
    others = [learner for learner in read_gradebook(export(tmp_path, lms), lms, "x").entries if learner != ada]
    rows, said = written(tmp_path, lms, [report(ada), report("mallory")])
    assert len(rows) == 2 + (lms == "canvas"), "an empty cell would delete a grade"
    assert said.problems == [f"Not in {lms}_export.csv, so without points in {SYSTEMS[lms].title}: mallory."]
    assert said.remarks[1:] == [f"In {lms}_export.csv, but without points here: {', '.join(others)}."]
    left_out = list(csv.reader((tmp_path / f"{lms}_left_out.csv").open(newline="")))
    assert left_out[0] == ["learner", "why"]
    assert left_out[1] == ["mallory", f"isn't in {lms}_export.csv"]
    assert left_out[2:] == [[one, MISSING] for one in others]


def test_marks_count_and_answers_without_a_mark_are_said(tmp_path):
    marks = {("zoe", "q3"): ("1.5", "Good.")}
    rows, said = written(tmp_path, "canvas", [report("zoe", 3, "So."), report("bob", 4, "So.")], marks)
    assert [row[-1] for row in rows[2:]] == ["4.5", "4"]
    assert said.remarks[-1] == "Not all answers in words are marked yet: bob."


def test_another_number_of_points_there_is_said(tmp_path):
    _, said = written(tmp_path, "canvas", [report("zoe")], prose=(), column="Sampling (9001)")
    assert "In Canvas this column is worth 10.00 points, here 8." in said.remarks


@every_system
def test_a_column_that_is_not_there_is_refused_and_the_others_named(tmp_path, lms):
    with pytest.raises(CourseError, match=r"no column called Beams; --column must be one of .*“.*Sampling"):
        read_gradebook(export(tmp_path, lms), lms, "11_sampling", "Beams")


@every_system
@pytest.mark.parametrize(
    "content", [b"", b"\0\0", b"ada\nbob\n", b"PK\x03\x04", b"name,points\nada,3\n", b"\xff\xfe\xff"]
)
def test_what_is_no_gradebook_gets_one_sentence(tmp_path, lms, content):
    with pytest.raises(CourseError, match=r"isn't the gradebook as .* exports it in English") as raised:
        read_gradebook(export(tmp_path, lms, content), lms, "x")
    assert "\n" not in str(raised.value)


# Attacks


@pytest.mark.parametrize("name", ["=HYPERLINK(1)", "+1", "-1", "@SUM(1)", "\t=1", "＝1"])
def test_a_name_is_no_formula(tmp_path, name):
    content = CANVAS.replace('"Lovelace, Ada"', f'"{name}"')
    rows, _ = written(tmp_path, "canvas", [report("ada@uni.edu")], content=content)
    assert rows[2][0] == f"'{name.strip()}"


@pytest.mark.parametrize("mail", ["=1@uni.edu", "+ada@uni.edu", "-ada@uni.edu", "@ada@uni.edu"])
def test_an_id_that_is_a_formula_is_left_to_a_person(tmp_path, mail):
    rows, said = written(tmp_path, "moodle", [report(mail)], content=MOODLE.replace("ada@uni.edu", mail))
    assert rows == [["First name", "Last name", "ID number", "Email address", "11_sampling"]]
    assert said.problems == [f"Not in moodle_import.csv, and in moodle_left_out.csv is why: {mail}."]
    assert f'"\'{mail}","has a formula as Email address' in (tmp_path / "moodle_left_out.csv").read_text()


def test_a_name_of_two_lines_is_one_row(tmp_path):
    content = CANVAS.replace('"Lovelace, Ada"', '"Lovelace,\n""Ada""\x1b[2J\r\n=1"')
    rows, _ = written(tmp_path, "canvas", [report("ada@uni.edu")], content=content)
    assert rows[2][0] == 'Lovelace, "Ada"[2J =1'
    assert len((tmp_path / "canvas_import.csv").read_text().splitlines()) == 3


def test_a_file_that_cannot_be_written_stays(tmp_path, monkeypatch):
    written(tmp_path, "canvas", [report("zoe")])
    before = (tmp_path / "canvas_import.csv").read_bytes()

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("course_utils.files.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        written(tmp_path, "canvas", [report("zoe", 7)])
    assert (tmp_path / "canvas_import.csv").read_bytes() == before


@every_system
def test_a_class_of_300(tmp_path, lms):
    text = {"moodle": MOODLE, "canvas": CANVAS, "blackboard": BLACKBOARD}[lms]
    head, *_ = lines = text.splitlines()
    last = lines[-1]
    number = {"moodle": "2000", "canvas": "19", "blackboard": "2000"}[lms]
    made = [last.replace(number, f"9{at:04}").replace("bob", f"b{at}") for at in range(300)]
    reports = [report({"moodle": f"b{at}@uni.edu"}.get(lms, f"b{at}"), at % 8) for at in range(0, 300, 2)]
    rows, said = written(tmp_path, lms, reports, content="\n".join([head, *made]))
    assert len(rows) - 1 - (lms == "canvas") == 150
    assert [row[-1] for row in rows[-150:]] == [str(at % 8) for at in range(0, 300, 2)]
    assert said.remarks[1].endswith(" and 140 more.")
    assert len((tmp_path / f"{lms}_left_out.csv").read_text().splitlines()) == 151


# The command


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--lms", "canvas"], "--lms needs --roster FILE"),
        (["--column", "Sampling"], "--column needs --lms"),
        (["--lms", "ilias"], "invalid choice: 'ilias'"),
    ],
)
def test_options_that_make_no_sense_get_one_sentence(tmp_path, capsys, options, sentence):
    assert main(["grade", str(tmp_path), "--checks", "11", "--seed", "1", *options]) == 1
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1


def test_the_command_says_who_is_left_out_and_ends_with_1_for_a_stranger(tmp_path, monkeypatch, capsys):
    for name in ("17", "ada@uni.edu"):
        hand_in(tmp_path / "in" / f"{name}.ipynb", DOUBLE)

    def graded(one, assignment):
        made = report(one.learner) if one.path else report(one.learner, None, "", MISSING)
        return made | {"key": "", "reasons": [], "tasks": []}

    monkeypatch.setattr(command, "grade", graded)
    monkeypatch.setattr(command, "ProcessPoolExecutor", Here)
    monkeypatch.setattr(command, "as_completed", list)
    assignment = Assignment(ROOT / "tests" / "grading_checks.py", seed=3, is_sandboxed=False)
    gradebook = read_gradebook(export(tmp_path, "canvas"), "canvas", "00_x", "Sampling")

    def grade_them():
        return grade_all([tmp_path / "in"], assignment, tmp_path / "out", "00_x", gradebook=gradebook)

    assert grade_them() == 0
    said = capsys.readouterr().out
    assert "2 graded, 1 not submitted." in said
    assert "  In canvas_export.csv, but without points here: bob.\n" in said
    assert [row[1] for row in imported(tmp_path / "out", "canvas")] == ["ID", "", "18", "17"]
    hand_in(tmp_path / "in" / "mallory.ipynb", DOUBLE)
    assert grade_them() == 1
    assert "  Not in canvas_export.csv, so without points in Canvas: mallory.\n" in capsys.readouterr().out


def test_the_documents_are_named_in_the_code_and_in_the_page():
    page = (ROOT / "grading" / "gradebooks.md").read_text(encoding="utf-8")
    code = (ROOT / "course_utils" / "grading" / "gradebook.py").read_text(encoding="utf-8")
    cited = re.findall(r"https://[^\s,)]+", code)
    assert len(cited) >= 4
    assert [address for address in cited if address.rstrip(":") not in page] == []
    assert SYSTEMS.keys() == EXPORTS.keys()
