"""What a person marked is taken over, however the sheet was saved, or it is said which mark was not, and why."""

import codecs
import csv
import errno
import io
import random
import time

import pytest

from course_utils.exercises.task import Prose
from course_utils.grading import moderation
from course_utils.grading.grade import GRADED, UNREADABLE, Assignment
from course_utils.grading.moderation import COLUMNS, SheetError
from course_utils.grading.results import write_results
from course_utils.grading.spreadsheet import alike, number, quoted, table_text, unquoted
from course_utils.machine import ROOT
from tests.killing import killed_at_every_call, needs_fork, raised_at_every_call

PROSE = (
    Prose("q3", "Warum größer?", 2, "names a reason → and an example"),
    Prose("q4", "How many", 5, "a number, and how it was found"),
)
# What spreadsheets like to change: numbers, dates, formulas; and what breaks tables: quotes, separators, lines.
ANSWERS = {
    "00417": "1/2",
    "1e5": "=1+1",
    "41712345678901234567": "'=already quoted",
    "2026-01-02": "-3",
    "Zoë": 'He said "no"; she,\tsaid:\n\nline 1\r\nline 2',
    "bob": "größer – viel größer",
    "=cmd|' /C calc'!A0": "００１２",
    "max": "",
}
POINTS = ["2", "1,5", "0", "2.0", " 1 ", "0.5", "1", "2,00"]
TAKEN = ["2", "1.5", "0", "2", "1", "0.5", "1", "2"]


def report(learner, *answers, status=GRADED):
    prose = [
        {"name": question.name, "title": question.title, "of": question.points, "answer": answer}
        for question, answer in zip(PROSE, answers, strict=False)
    ]
    return {
        "learner": learner, "status": status, "reasons": [], "tasks": [], "points": 0, "of": 0, "prose": prose,
    }  # fmt: skip


CLASS = [report(learner, answer, f"{number} apples") for number, (learner, answer) in enumerate(ANSWERS.items())]
EXPECTED = dict(zip(ANSWERS, TAKEN, strict=True))


def read(file, separator=","):
    with file.open(encoding="utf-8-sig", newline="") as opened:
        return list(csv.reader(opened, delimiter=separator))


def saved(rows, encoding="utf-8", **settings):
    text = io.StringIO()
    csv.writer(text, **settings).writerows(rows)
    return text.getvalue().encode(encoding, "replace" if encoding.startswith("cp") else "strict")


def grades(folder, question="q3"):
    """The marks in grades.csv, by the learner as they are called."""
    rows = read(folder / "grades.csv")
    return {unquoted(row[0]): row[rows[0].index(f"{question} (marked)")] for row in rows[1:]}


@pytest.fixture(scope="module")
def as_written(tmp_path_factory):
    """The sheet as `course grade` writes it, with marks and comments typed into it: rows of cells."""
    folder = tmp_path_factory.mktemp("class")
    marked = write_results(folder, CLASS, PROSE)
    assert (marked.problems, marked.remarks) == ([], [])
    rows = read(folder / "moderation.csv")
    points = {quoted(learner): mark for learner, mark in zip(ANSWERS, POINTS, strict=True)}
    for row in rows[1:]:
        if row[1] == "q3":
            row[6:8] = points[row[0]], f"Größe: gut, {row[0][-1]}"
    return rows


@pytest.fixture
def rows(as_written):
    return [list(row) for row in as_written]


def spoiled(rows):
    """What Excel and LibreOffice make of the cells, when they are opened with a double click."""
    becomes = {
        "00417": "417", "1e5": "1,00E+05", "41712345678901234567": "4,17E+19", "2026-01-02": "02.01.2026",
        "1/2": "01. Feb", "'=1+1": "2", "'-3": "-3", "００１２": "12", "'=cmd|' /C calc'!A0": "#NAME?",
    }  # fmt: skip
    return [[becomes.get(cell, cell) if at in (0, 5) else cell for at, cell in enumerate(row)] for row in rows]


def moved(rows):
    order = random.Random(3).sample(range(len(rows[0])), len(rows[0]))
    return [[row[at] for at in order] for row in rows]


def with_own_column(rows, heading="checked"):
    return [[*row[:4], "yes" if at else heading, *row[4:]] for at, row in enumerate(rows)]


SAVED = {
    "as it was": lambda rows: saved(rows, quoting=csv.QUOTE_ALL),
    "without quotes": saved,
    "semicolons": lambda rows: saved(rows, delimiter=";"),
    "tabs": lambda rows: saved(rows, delimiter="\t"),
    "bars": lambda rows: saved(rows, delimiter="|"),
    "apostrophes for quotes": lambda rows: saved(rows, quotechar="'", quoting=csv.QUOTE_ALL),
    "a line that names the separator": lambda rows: b"sep=;\r\n" + saved(rows, delimiter=";"),
    "lines of a Mac": lambda rows: saved(rows, lineterminator="\r"),
    "lines of Unix": lambda rows: saved(rows, lineterminator="\n"),
    "UTF-8 with its mark": lambda rows: saved(rows, "utf-8-sig"),
    "Unicode text of Excel": lambda rows: saved(rows, "utf-16", delimiter="\t"),
    "UTF-16, the other end first": lambda rows: codecs.BOM_UTF16_BE + saved(rows, "utf-16-be"),
    "UTF-16 without a mark": lambda rows: saved(rows, "utf-16-le", delimiter=";"),
    "UTF-16 without a mark, the other end first": lambda rows: saved(rows, "utf-16-be"),
    "UTF-32": lambda rows: saved(rows, "utf-32"),
    "Windows-1252": lambda rows: saved(rows, "cp1252", delimiter=";"),
    "DOS": lambda rows: saved(rows, "cp850", delimiter=";"),
    "numbers, dates and formulas": lambda rows: saved(spoiled(rows), delimiter=";"),
    "numbers and dates in Windows-1252": lambda rows: saved(spoiled(rows), "cp1252", delimiter=";"),
    "columns moved": lambda rows: saved(moved(rows)),
    "columns moved and cells spoiled": lambda rows: saved(moved(spoiled(rows)), delimiter=";"),
    "a column between": lambda rows: saved(with_own_column(rows)),
    "a column without a name": lambda rows: saved(with_own_column(rows, "")),
    "only what is needed": lambda rows: saved([[row[0], *row[6:]] for row in rows]),
    "columns renamed": lambda rows: saved([["Name", "Frage", *rows[0][2:6], "Punkte", "Kommentar", "row"], *rows[1:]]),
    "headings in capitals": lambda rows: saved([[f" {cell.upper()} " for cell in rows[0]], *rows[1:]]),
    "the id's heading is gone": lambda rows: saved([[*rows[0][:8], ""], *rows[1:]]),
    "the heading is gone": lambda rows: saved(rows[1:], delimiter=";"),
    "sorted, with the heading among the rows": lambda rows: saved(sorted(rows, key=lambda row: row[5])),
    "sorted by points, backwards": lambda rows: saved([rows[0], *sorted(rows[1:], key=lambda row: row[6])[::-1]]),
    "every row twice": lambda rows: saved([rows[0], *rows[1:], *rows[1:]]),
    "a title above": lambda rows: saved([["Marked by Dr. Smith"], [], *rows]),
    "empty rows and columns at the end": lambda rows: saved(
        [[*row, "", "", ""] for row in rows] + [[""] * 12] * 2000, delimiter=";"
    ),
    "cells at the end cut off": lambda rows: saved([rows[0], *[[*row[:9]] for row in rows[1:]], ["", ""]]),
    "ids in capitals": lambda rows: saved([rows[0], *[[*row[:8], f" {row[8].upper()}"] for row in rows[1:]]]),
}


@pytest.mark.parametrize("how", SAVED)
def test_marks_are_taken_over_however_a_spreadsheet_saved_them(tmp_path, rows, how):
    sheet = tmp_path / "moderation.csv"
    sheet.write_bytes(SAVED[how](rows))
    before = sheet.read_bytes()
    marked = write_results(tmp_path, CLASS, PROSE)
    assert marked.problems == []
    assert grades(tmp_path) == EXPECTED
    assert marked.marks["bob", "q3"] == ("0.5", "Größe: gut, b")
    assert "<p>Größe: gut, b</p>" in (tmp_path / "feedback" / "bob.html").read_text(encoding="utf-8")
    # The sheet can be used again, and what was typed is in it as it was typed.
    again = write_results(tmp_path, CLASS, PROSE)
    assert (again.problems, again.marks) == ([], marked.marks)
    content = sheet.read_bytes().decode("utf-8-sig") if sheet.read_bytes() != before else None
    assert content is None or all(mark.strip() in content for mark in POINTS)
    if content is not None and "checked" in how:
        assert "checked" in content


@pytest.mark.parametrize("how", SAVED)
def test_grading_one_learner_keeps_the_marks_of_all_others(tmp_path, rows, how):
    sheet = tmp_path / "moderation.csv"
    sheet.write_bytes(SAVED[how](rows))
    marked = write_results(tmp_path, [one for one in CLASS if one["learner"] == "bob"], PROSE)
    assert marked.problems == []
    assert grades(tmp_path) == {"bob": "0.5"}
    assert "not in this run" in " ".join(marked.remarks)
    assert write_results(tmp_path, [], PROSE).problems == []
    marked = write_results(tmp_path, CLASS, PROSE)
    assert marked.problems == []
    assert grades(tmp_path) == EXPECTED


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_the_sheet_of_an_earlier_version_is_read(tmp_path, rows, separator):
    """It had no ids: a row is found by learner, question and answer, also where zeros are gone."""
    rows = [row[:8] for row in rows]
    for row in rows:
        row[0] = {"00417": "417", "1e5": "100000"}.get(row[0], row[0])
    (tmp_path / "moderation.csv").write_bytes(saved(rows, delimiter=separator))
    marked = write_results(tmp_path, CLASS, PROSE)
    assert marked.problems == []
    assert grades(tmp_path) == EXPECTED
    assert read(tmp_path / "moderation.csv", separator)[0] == list(COLUMNS)


def test_a_mark_of_an_earlier_version_for_another_answer_is_said_and_kept(tmp_path, rows):
    rows = [[*row[:5], row[5].replace("1/2", "01. Feb"), *row[6:8]] for row in rows]
    (tmp_path / "moderation.csv").write_bytes(saved(rows))
    marked = write_results(tmp_path, CLASS, PROSE)
    (said,) = marked.problems
    assert said.startswith("00417, q3: 2, Größe: gut, 7 was given for another answer and not taken over")
    assert said.endswith("moderation.csv as it was is now moderation.before-1.csv.")
    assert (tmp_path / "moderation.before-1.csv").read_bytes() == saved(rows)
    assert grades(tmp_path) == EXPECTED | {"00417": ""}


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("zwei", "zwei is not a number"),
        ("01. Feb", "01. Feb is not a number"),
        ("2026-01-02", "2026-01-02 is not a number"),
        ("2/2", "2/2 is not a number"),
        ("100%", "100% is not a number"),
        ("nan", "nan is not a number"),
        ("1_0", "1_0 is not a number"),
        ("20", "20 is not between 0 and 2"),
        ("2,5", "2,5 is not between 0 and 2"),
        ("-1", "'-1 is not between 0 and 2"),
        ("1e999", "1e999 is not between 0 and 2"),
        ("2\x1b[31m", "2[31m is not a number"),
    ],
)
def test_points_that_make_no_sense_are_said_and_stay_in_the_sheet(tmp_path, rows, cell, said):
    row = next(row for row in rows if row[:2] == ["bob", "q3"])
    row[6] = quoted(cell)
    (tmp_path / "moderation.csv").write_bytes(saved(rows))
    for _ in range(2):  # it is said until it is put right
        marked = write_results(tmp_path, CLASS, PROSE)
        assert marked.problems == [f"bob, q3: {said}. No points were taken over."]
        assert grades(tmp_path) == EXPECTED | {"bob": ""}
        assert "not marked yet" in (tmp_path / "feedback" / "bob.html").read_text(encoding="utf-8")
        assert "Größe: gut, b" in (tmp_path / "feedback" / "bob.html").read_text(encoding="utf-8")
        kept = [row[6] for row in read(tmp_path / "moderation.csv") if row[:2] == ["bob", "q3"]]
        assert kept == [quoted(cell).replace("\x1b", "")]


def test_an_answer_that_changed_loses_no_mark(tmp_path, rows):
    (tmp_path / "moderation.csv").write_bytes(saved(rows))
    changed = [report(one["learner"], "a better answer" if one["learner"] in ("bob", "00417") else
                      ANSWERS[one["learner"]], one["prose"][1]["answer"]) for one in CLASS]  # fmt: skip
    marked = write_results(tmp_path, changed, PROSE)
    assert [said.split(" was ")[0] for said in marked.problems] == [
        "00417, q3: 2, Größe: gut, 7",
        "bob, q3: 0.5, Größe: gut, b",
    ]
    assert (tmp_path / "moderation.before-1.csv").read_bytes() == saved(rows)
    assert grades(tmp_path) == EXPECTED | {"bob": "", "00417": ""}
    assert write_results(tmp_path, changed, PROSE).problems == []
    assert [file.name for file in tmp_path.glob("moderation.before*")] == ["moderation.before-1.csv"]


def test_white_space_and_another_encoding_of_a_name_make_no_other_answer(tmp_path):
    write_results(tmp_path, [report("Renée", "one  two\n")], PROSE)
    sheet = tmp_path / "moderation.csv"
    rows = read(sheet)
    rows[1][6] = "2"
    sheet.write_bytes(saved(rows))
    marked = write_results(tmp_path, [report("Rene\u0301e", "one two")], PROSE)
    assert (marked.problems, [*marked.marks.values()]) == ([], [("2", "")])


@pytest.mark.parametrize("status", [UNREADABLE, GRADED])
def test_a_mark_waits_for_an_answer_that_is_gone_for_now(tmp_path, rows, status):
    """A grader that could not do its work, or a file that is cut off today, has no answers."""
    (tmp_path / "moderation.csv").write_bytes(saved(rows))
    now = [report("bob", status=status) if one["learner"] == "bob" else one for one in CLASS]
    marked = write_results(tmp_path, now, PROSE)
    (said,) = marked.problems
    assert said.startswith("bob, q3 (row ")
    assert said.endswith("was not taken over, because it fits no answer of this run. The row stays.")
    assert write_results(tmp_path, CLASS, PROSE).problems == []
    assert grades(tmp_path) == EXPECTED


def test_two_marks_for_one_answer_are_for_a_person(tmp_path, rows):
    twice = next(row for row in rows if row[:2] == ["bob", "q3"])
    rows.append([*twice[:6], "2", *twice[7:]])
    (tmp_path / "moderation.csv").write_bytes(saved(rows))
    for _ in range(2):
        (said,) = write_results(tmp_path, CLASS, PROSE).problems
        assert said.startswith("bob, q3: rows ")
        assert said.endswith(" of moderation.csv differ, and none was taken over. Delete all but one.")
        assert grades(tmp_path) == EXPECTED | {"bob": ""}
        kept = read(tmp_path / "moderation.csv")
        assert [row[6] for row in kept if row[:2] == ["bob", "q3"]] == ["0.5", "2"]
    kept.remove(next(row for row in kept if row[:2] == ["bob", "q3"]))
    (tmp_path / "moderation.csv").write_bytes(saved(kept))
    assert write_results(tmp_path, CLASS, PROSE).problems == []
    assert grades(tmp_path) == EXPECTED | {"bob": "2"}


def test_names_that_were_sorted_alone_are_noticed(tmp_path, rows):
    names = sorted(row[0] for row in rows[1:])
    shuffled = [rows[0], *[[name, *row[1:]] for name, row in zip(names, rows[1:], strict=True)]]
    moved_rows = [row for before, row in zip(rows, shuffled, strict=True) if before[0] != row[0] and row[6]]
    (tmp_path / "moderation.csv").write_bytes(saved(shuffled))
    marked = write_results(tmp_path, CLASS, PROSE)
    assert len(marked.problems) == len(moved_rows) > 0
    assert all("its last cell is that of" in said for said in marked.problems)
    kept = read(tmp_path / "moderation.csv")
    assert all(row in kept for row in moved_rows)


def test_what_a_person_adds_stays(tmp_path, rows):
    rows = with_own_column(rows, "second marker")
    rows.append(["Average", "", "", "", "", "", "", "1.25"])
    rows.append(["", "", "", "", "", "", "", "", "ask Dr. Smith"])
    next(row for row in rows if row[0] == "max")[6] = "My own note in the answer's cell"
    (tmp_path / "moderation.csv").write_bytes(saved(rows))
    marked = write_results(tmp_path, CLASS, PROSE)
    assert [said.partition(",")[0] for said in marked.problems] == [
        f"Row {len(rows)} of moderation.csv: ask Dr. Smith was not taken over"
    ]
    assert "Average" in marked.remarks[0]
    assert "Cells that were changed under answer are put right" in marked.remarks[1]
    kept = read(tmp_path / "moderation.csv")
    assert kept[0] == [*COLUMNS, "second marker"]
    assert sum(row[-1] == "yes" for row in kept) >= 2 * len(ANSWERS)
    assert [row[6] for row in kept if row[0] == "Average"] == ["1.25"]
    assert [row[7] for row in kept if row[0] == ""] == ["ask Dr. Smith"]
    assert "My own note" in (tmp_path / "moderation.before-1.csv").read_text()
    assert grades(tmp_path) == EXPECTED


def test_rows_that_were_deleted_come_back_unmarked(tmp_path, rows):
    (tmp_path / "moderation.csv").write_bytes(saved([row for row in rows if row[0] != "bob"]))
    assert write_results(tmp_path, CLASS, PROSE).problems == []
    assert grades(tmp_path) == EXPECTED | {"bob": ""}
    assert len(read(tmp_path / "moderation.csv")) == len(rows)


def cut(rows):
    """Saved without quotes: the answers with line ends and separators come apart."""
    return "\n".join(",".join(row) for row in rows).encode()


LEFT_ALONE = {
    "an Excel workbook": lambda rows: b"PK\x03\x04" + bytes(range(256)) * 20,
    "an older Excel workbook": lambda rows: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(range(256)) * 20,
    "a web page": lambda rows: b"<html><table><tr><td>bob</td><td>2</td></tr></table></html>",
    "a text": lambda rows: "bob has 2 points, and Zoë 1.".encode(),
    "pieces of rows": cut,
    "a quote that never ends": lambda rows: saved(rows, quoting=csv.QUOTE_ALL)[:-300],
    "the points' column is gone": lambda rows: saved([[*row[:6], *row[7:]] for row in rows]),
    "two columns of points": lambda rows: saved([[*row, row[6]] for row in rows]),
    "moved, and the heading is gone": lambda rows: saved(moved(rows)[1:]),
    "no names and no ids": lambda rows: saved([row[2:8] for row in rows]),
}


@pytest.mark.parametrize("what", LEFT_ALONE)
def test_a_sheet_that_cannot_be_read_for_certain_is_left_as_it_is(tmp_path, rows, what):
    sheet = tmp_path / "moderation.csv"
    sheet.write_bytes(LEFT_ALONE[what](rows))
    before = sheet.read_bytes()
    with pytest.raises(SheetError) as raised:
        write_results(tmp_path, CLASS, PROSE)
    said = str(raised.value)
    assert said.startswith(f"{sheet} is left as it is, because ")
    assert said.endswith("or move it away, and run the same command again.")
    assert "\n" not in said
    assert sheet.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["moderation.csv"], "nothing else was written, either"


@pytest.mark.parametrize("content", [b"", b"\n", b"\xef\xbb\xbf", b";;;;\r\n;;;;\r\n", b"\xff\xfe\r\0\n\0"])
def test_an_empty_sheet_is_a_new_one(tmp_path, content):
    (tmp_path / "moderation.csv").write_bytes(content)
    assert write_results(tmp_path, CLASS, PROSE).problems == []
    assert len(read(tmp_path / "moderation.csv")) == 1 + 2 * len(CLASS)


def test_a_learner_cannot_make_the_sheet_unreadable(tmp_path):
    """Names and answers that look like ids, headings, separators and marks of an encoding."""
    write_results(tmp_path, CLASS, PROSE)
    an_id = read(tmp_path / "moderation.csv")[1][8]
    twice = f"{an_id}\n{an_id}"
    texts = [an_id, twice, "points", "row", ",".join(COLUMNS), "\n".join(COLUMNS), "sep=;", '"', "'" * 99, ";" * 99]
    texts += ["=HYPERLINK(1)", "\t=1", "＝1", "\ufeff", "a\0b", "\x1b[2J", "\ud83d", "x" * 10**6]
    mean = [report(text[:200] or "x", text, text) for text in texts]
    marked = write_results(tmp_path, [*CLASS, *mean], PROSE)
    assert marked.problems == []
    sheet = tmp_path / "moderation.csv"
    rows = read(sheet)
    for row in rows[1:]:
        row[6], row[7] = "1", "fine"
    for content in (saved(rows), saved(rows, delimiter=";"), saved(rows, "utf-16", delimiter="\t")):
        sheet.write_bytes(content)
        marked = write_results(tmp_path, [*CLASS, *mean], PROSE)
        assert marked.problems == []
        assert len(marked.marks) == 2 * (len(CLASS) + len(mean))
        assert set(marked.marks.values()) == {("1", "fine")}
    assert not any(cell.startswith(("=", "\t", "+", "-", "@")) for row in read(tmp_path / "grades.csv") for cell in row)
    assert b"\x1b" not in sheet.read_bytes() + (tmp_path / "grades.csv").read_bytes()


def test_a_long_answer_stops_nothing_and_can_be_looked_at(tmp_path):
    picture = "<img src='data:image/png;base64," + "iVBORw0K" * 17_500 + "'>"
    long = [report("ada", f"See {picture} here", "word " * 40_000), report("bob", "So.", "3")]
    for _ in range(3):
        marked = write_results(tmp_path, long, PROSE)
        assert marked.problems == []
        sheet = tmp_path / "moderation.csv"
        rows = read(sheet)
        assert max(len(cell) for row in rows for cell in row) < 32_767, "Excel would spread it over two cells"
        assert rows[1][5] == "See <img src='[pasted data, 136 KB: see the notebook]'> here"
        assert rows[2][5].endswith(" … [170000 more characters: see the notebook]")
        for row in rows[1:]:
            row[6] = "2"
        sheet.write_bytes(saved(rows, delimiter=";"))
        sheet.write_bytes(saved(read(sheet, ";")))
    assert len(marked.marks) == 4
    assert (tmp_path / "feedback" / "ada.html").stat().st_size < 50_000
    assert csv.field_size_limit() == 131_072, "the limit is as it was for everybody else"


def test_the_long_answer_of_an_earlier_sheet_is_recognised(tmp_path):
    long = "data:image/png;base64," + "iVBORw0K" * 17_500
    (tmp_path / "moderation.csv").write_bytes(saved([COLUMNS[:8], ["ada", "q3", "t", "2", "", long, "1", "see"]]))
    assert write_results(tmp_path, [report("ada", long)], PROSE).marks == {("ada", "q3"): ("1", "see")}


def test_a_large_class_takes_seconds(tmp_path):
    large = [report(f"{number:05}", f"answer {number} " * 300, str(number)) for number in range(300)]
    write_results(tmp_path, large, PROSE)
    sheet = tmp_path / "moderation.csv"
    rows = [[row[0].lstrip("0") or "0", *row[1:6], "1", *row[7:]] if at else row for at, row in enumerate(read(sheet))]
    sheet.write_bytes(saved(rows, "cp1252", delimiter=";"))
    started = time.process_time()
    marked = write_results(tmp_path, large, PROSE)
    assert (marked.problems, len(marked.marks)) == ([], 600)
    assert time.process_time() - started < 20


@pytest.mark.parametrize("page", ["cp1252", "mac_roman", "cp850", "cp1250"])
def test_the_code_page_is_found_by_the_texts_that_must_be_there(tmp_path, page):
    class_ = [report("Jürgen", "größer, weil …" if page in ("cp1252", "mac_roman") else "größer", "1")]
    write_results(tmp_path, class_, PROSE)
    rows = read(tmp_path / "moderation.csv")
    rows[1][6:8] = "2", "schön"
    rows[1][4] = ""
    (tmp_path / "moderation.csv").write_bytes(saved(rows, page))
    marked = write_results(tmp_path, class_, PROSE)
    assert marked.problems == []
    assert marked.marks["Jürgen", "q3"] == ("2", "schön")
    assert "look at its comments" in marked.remarks[0]
    assert (tmp_path / "moderation.before-1.csv").read_bytes() == saved(rows, page)


def test_excel_that_takes_utf_8_for_windows_1252(tmp_path, rows):
    """What was there is UTF-8, what was typed is not."""
    content = saved(rows).replace("Größe: gut, b".encode(), "Größe: gut, b".encode("cp1252"))
    (tmp_path / "moderation.csv").write_bytes(content)
    marked = write_results(tmp_path, CLASS, PROSE)
    assert marked.marks["bob", "q3"] == ("0.5", "Größe: gut, b")
    assert marked.marks["Zoë", "q3"] == ("1", "Größe: gut, ë")
    assert marked.problems == []


@pytest.mark.parametrize(
    "error",
    [
        PermissionError(errno.EACCES, "Permission denied"),
        OSError(errno.EROFS, "Read-only file system"),
        OSError(errno.ENOSPC, "No space left on device"),
    ],
)
def test_a_sheet_that_cannot_be_written_is_one_sentence_and_stays(tmp_path, rows, monkeypatch, error):
    """Windows refuses to replace a file that Excel has open."""
    sheet = tmp_path / "moderation.csv"
    sheet.write_bytes(saved(rows))

    def refused(*arguments):
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(moderation, "write_whole", refused)
        with pytest.raises(SheetError, match=f"moderation.csv cannot be written .{error.strerror}., and is as it was"):
            write_results(tmp_path, [*CLASS, report("new", "1", "2")], PROSE)
    assert sheet.read_bytes() == saved(rows)
    assert not (tmp_path / "grades.csv").exists()


def test_a_sheet_that_libreoffice_has_open_is_left_alone(tmp_path, rows):
    sheet = tmp_path / "moderation.csv"
    sheet.write_bytes(saved(rows))
    (tmp_path / ".~lock.moderation.csv#").write_text(",teacher,laptop,04.05.2026 10:00,file:///home/teacher;")
    with pytest.raises(SheetError, match="is open in LibreOffice, and is left as it is: save and close it"):
        write_results(tmp_path, [*CLASS, report("new", "1", "2")], PROSE)
    assert sheet.read_bytes() == saved(rows)


def test_marks_that_were_saved_under_another_name_are_pointed_at(tmp_path, rows):
    write_results(tmp_path, CLASS, PROSE)
    (tmp_path / "moderation (1).csv").write_bytes(saved(rows))
    (tmp_path / "moderation.xlsx").write_bytes(b"PK")
    said = write_results(tmp_path, CLASS, PROSE).problems
    assert [one.partition(" is ")[0] for one in said] == ["moderation (1).csv", "moderation.xlsx"]
    assert said[0].endswith("is not read: if your marks are in it, save it as moderation.csv.")


def test_a_sheet_that_needs_no_change_is_not_written(tmp_path, rows):
    """So a person whose spreadsheet saves semicolons finds semicolons, and one who has it open is not disturbed."""
    sheet = tmp_path / "moderation.csv"
    rows = [[cell.strip() if at == 6 else cell for at, cell in enumerate(row)] for row in rows]
    rows = [rows[0], *sorted(rows[1:], key=lambda row: unquoted(row[0]))]
    content = saved([[cell.replace("\r\n", "\n") for cell in row] for row in rows], "utf-8-sig", delimiter=";")
    sheet.write_bytes(content)
    write_results(tmp_path, CLASS, PROSE)
    assert sheet.read_bytes() == content
    write_results(tmp_path, [*CLASS, report("new", "1", "2")], PROSE)
    assert sheet.read_bytes().startswith(codecs.BOM_UTF8)
    assert ["new", "q3"] in [row[:2] for row in read(sheet, ";")]


def test_a_person_who_saves_at_that_very_moment_wins(tmp_path, rows, monkeypatch):
    sheet = tmp_path / "moderation.csv"
    write_results(tmp_path, CLASS[:1], PROSE)
    real, times = moderation.table_text, []

    def slow(*arguments):
        if not times:
            sheet.write_bytes(saved(rows))
        times.append(1)
        return real(*arguments)

    monkeypatch.setattr(moderation, "table_text", slow)
    assert write_results(tmp_path, CLASS, PROSE).problems == []
    assert len(times) == 2
    assert grades(tmp_path) == EXPECTED


# Stopped at any moment


@pytest.fixture
def marked_sheet(tmp_path, rows):
    """Make folders with a marked sheet in which the answer of one learner changed; another learner is new."""
    made = iter(range(10_000))

    def prepare():
        folder = tmp_path / str(next(made))
        folder.mkdir()
        (folder / "moderation.csv").write_bytes(saved(rows))
        return folder

    return prepare


NEW = [report("bob", "another answer"), report("1e5", ANSWERS["1e5"]), report("new", "1")]


def all_comments(folder):
    return {row[7] for file in folder.glob("moderation*.csv") for row in read(file)[1:]}


def stopped_sheets_are_whole(folder, rows):
    assert {row[7] for row in rows[1:]} <= all_comments(folder)
    marked = write_results(folder, NEW, PROSE)
    assert marked.marks == {("1e5", "q3"): ("1.5", "Größe: gut, 5")}
    assert {row[7] for row in rows[1:]} <= all_comments(folder)
    assert grades(folder) == {"1e5": "1.5", "bob": "", "new": ""}
    names = {file.name for file in folder.iterdir()}
    assert names == {"moderation.csv", "moderation.before-1.csv", "grades.csv", "feedback"}


@needs_fork
def test_a_grader_that_is_killed_at_any_call_loses_no_mark(marked_sheet, rows):
    for folder in killed_at_every_call(marked_sheet, lambda folder: write_results(folder, NEW, PROSE)):
        stopped_sheets_are_whole(folder, rows)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")])
def test_a_grader_that_is_stopped_at_any_call_loses_no_mark(marked_sheet, rows, error):
    only_writing = isinstance(error, OSError)

    def work(folder):
        write_results(folder, NEW, PROSE)

    for folder, raised in raised_at_every_call(marked_sheet, work, error, only_writing):
        assert isinstance(raised, type(error) | SheetError | None)
        assert not [file for file in folder.rglob("*") if "unfinished" in file.name]
        stopped_sheets_are_whole(folder, rows)


# The whole command


def test_the_command_says_it_and_ends_with_1(tmp_path, rows, capsys, monkeypatch):
    from course_utils.grading import command
    from tests.submissions import DOUBLE, TOTAL, hand_in
    from tests.test_grading import Here

    assignment = Assignment(ROOT / "tests" / "grading_checks.py", seed=3, is_sandboxed=False)
    hand_in(tmp_path / "in" / "ada.ipynb", DOUBLE, TOTAL, prose="Because.")
    monkeypatch.setattr(command, "grade", lambda submission, assignment: report("ada", "Because."))
    monkeypatch.setattr(command, "ProcessPoolExecutor", Here)
    monkeypatch.setattr(command, "as_completed", list)
    assert command.grade_all([tmp_path / "in"], assignment, tmp_path / "out", "00_x") == 0
    sheet = tmp_path / "out" / "moderation.csv"
    sheet.write_bytes(sheet.read_bytes().replace(b'"Because.",""', b'"Because.","three"'))
    capsys.readouterr()
    assert command.grade_all([tmp_path / "in"], assignment, tmp_path / "out", "00_x") == 1
    assert "  ada, q3: three is not a number. No points were taken over.\n" in capsys.readouterr().out


# Cells


@pytest.mark.parametrize(
    "text", ["=1", "+1", "-1", "@x", "\tx", "\rx", " =1", "\n=1", "＝1", "＋1", "－1", "＠x", "\u00a0=1"]
)
def test_no_cell_is_a_formula_and_quoting_twice_is_quoting_once(text):
    assert quoted(text) == f"'{text}" == quoted(quoted(text))
    assert unquoted(quoted(text)) == text


@pytest.mark.parametrize("text", ["", "x", "'x", "'", "1/2", "x=1", "row-a"])
def test_an_ordinary_cell_stays_as_it_is(text):
    assert quoted(text) == text == unquoted(text)


@pytest.mark.parametrize(
    ("cell", "wanted"),
    [("2", 2), (" 2 ", 2), ("2.0", 2), ("1,5", 1.5), ("\u00a02", 2), ("+2", 2), ("'-1", -1), ("２", 2), (".5", 0.5),
     ("2.", 2), ("2E0", 2), ("", None), ("two", None), ("1.000,5", None), ("1/2", None), ("inf", None), ("0x2", None)],
)  # fmt: skip
def test_numbers_in_cells(cell, wanted):
    assert number(cell) == wanted


@pytest.mark.parametrize(
    ("cell", "text", "wanted"),
    [("417", "00417", True), ("1,00E+05", "1e5", True), ("4.17E+19", "41712345678901234567", True),
     ("4.18E+19", "41712345678901234567", False), ("1001", "1002", False), ("a  b", "a b", True),
     ("'=1", "=1", True), ("=1", "=1", True), ("Ada", "ada", False), ("12", "12 apples", False)],
)  # fmt: skip
def test_what_a_spreadsheet_makes_of_a_text(cell, text, wanted):
    assert alike(cell, text) == wanted


def test_an_id_is_no_word_no_number_and_no_date(as_written):
    ids = [row[8] for row in as_written[1:]]
    assert len(set(ids)) == len(ids)
    assert all(set(one[4:]) <= set("bcdfghjklmnpqrstvwxz-") for one in ids)


def test_a_table_survives_its_own_reading():
    rows = [["=1", 'a"b', "c,d;e\tf", "g\nh", "", "ü → 😀"]]
    written = list(csv.reader(io.StringIO(table_text(rows), newline="")))
    assert table_text(written) == table_text(rows)
    assert [[unquoted(cell) for cell in row] for row in written] == rows
