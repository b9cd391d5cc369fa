"""What a person marks: their points and comments are taken from the sheet, and none is lost or left out in silence.

A row is known by its last cell, letters that a spreadsheet leaves as they are: the first ten are for learner and
question, the next ten for the answer. Rows that fit no answer of this run stay in the sheet.
"""

import codecs
import hashlib
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from pathlib import Path

from course_utils.files import write_whole
from course_utils.grading.sheet import COLUMNS, ROW, Row, Sheet, read_sheet
from course_utils.grading.spreadsheet import alike, number, quoted, readable, table_text, unquoted

SHEET = "moderation.csv"
_LETTERS = "bcdfghjklmnpqrstvwxz"  # no vowels: no word, no month
_OTHER_FORMATS = (".csv", ".ods", ".numbers", ".tsv", ".txt", ".xls", ".xlsx")


class SheetError(ValueError):
    """The sheet can't be read or written, and is as it was; the message is one sentence that says what to do."""


@dataclass(frozen=True)
class Answer:
    """An answer in words that a person marks.

    Args:
        learner: Whose it is.
        question: The name of the question.
        title: The question's title.
        of: The most points.
        look_for: What a full answer says.
        text: The whole answer.
        shown: The answer as the sheet shows it.
    """

    learner: str
    question: str
    title: str
    of: int
    look_for: str
    text: str
    shown: str

    @cached_property
    def cells(self) -> list[str]:
        """What of its row a person doesn't write."""
        texts = (self.learner, self.question, self.title, self.of, self.look_for, self.shown)
        return [quoted(readable(text)) for text in texts]

    @cached_property
    def row(self) -> str:
        """What its row is known by; white space in the answer doesn't matter."""
        learner = unicodedata.normalize("NFC", self.learner)  # one name, whichever system wrote it
        return f"row-{_letters(learner, self.question)}-{_letters(' '.join(readable(self.text).split()))}"

    @property
    def name(self) -> tuple[str, str]:
        """Its learner and question, as they are in the sheet."""
        return readable(self.learner).strip(), readable(self.question).strip()


@dataclass
class Marked:
    """What came of the sheet.

    Args:
        marks: Points and comment, by learner and question. Points that were not taken over are "".
        problems: A sentence for each mark that was not taken over.
        remarks: What else a person should know.
    """

    marks: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def take_marks(sheet: Path, answers: Sequence[Answer], learners: Collection[str], questions: Collection[str]) -> Marked:
    """Take over what a person wrote into the sheet, and give it a row for each answer.

    Rows of learners who aren't in this run stay as they are. A mark for an answer that has changed since isn't taken
    over; then the sheet as it was is kept under another name.

    Args:
        sheet: The file.
        answers: All answers of this run.
        learners: All learners of this run, also those without an answer.
        questions: The names of all questions.

    Raises:
        SheetError: The sheet can't be read for certain, or not be written.
        OSError: The sheet can't be opened.
    """
    known = {cell for answer in answers for cell in answer.cells}
    while True:
        content = _content(sheet)
        try:
            read = read_sheet(content, questions, known)
        except ValueError as error:
            raise SheetError(
                f"{sheet} is left as it is, because {error}: save it as CSV with its columns as they were, or move it "
                "away, and run the same command again."
            ) from error
        update = _Update(read, answers, learners)
        try:
            if update.write(sheet, content):
                return update.marked
        except OSError as error:
            raise SheetError(
                f"{sheet} cannot be written ({error.strerror}), and is as it was: close it in the spreadsheet, or make "
                "room on the disk, and run the same command again."
            ) from error


class _Update:
    """The sheet that was read, and what it becomes."""

    def __init__(self, sheet: Sheet, answers: Sequence[Answer], learners: Collection[str]) -> None:
        self.sheet, self.marked = sheet, Marked()
        self._learners = {readable(learner).strip() for learner in learners}
        self._answers = answers
        self._by_row = {answer.row: answer for answer in answers}
        self._by_person = {_person(answer.row): answer for answer in answers}
        self._by_name = {answer.name: answer for answer in answers}
        self._changed: list[tuple[Answer, Row]] = []  # marked, and the answer is another one now
        self._edited: set[str] = set()  # columns of ours that hold something else
        staying, given = self._assigned()
        rows = [row for answer in answers for row in self._rows(answer, given.get(answer.row, []))]
        rows += [row.all_cells for row in staying]
        rows.sort(key=lambda row: (not row[0].strip(), unquoted(row[0])))
        heading = [*COLUMNS, *sheet.own_columns]
        self.rows = [[quoted(readable(cell)) for cell in row] for row in (heading, *rows)]

    def write(self, sheet: Path, content: bytes) -> bool:
        """Write the sheet, if it changes; return False if someone else wrote it after `content` was read."""
        problems, remarks, table = self.marked.problems, self.marked.remarks, self.sheet.table
        problems += _other_files(sheet)
        if _trimmed(table.rows) == _trimmed(self.rows):
            return True
        lock = sheet.with_name(f".~lock.{sheet.name}#")
        if lock.exists():
            raise SheetError(
                f"{sheet} is open in LibreOffice, and is left as it is: save and close it, and run the same command "
                f"again. (If it isn't open, delete {lock.name}.)"
            )
        if self._changed or self._edited or table.guessed:
            kept = _keep(sheet, content)
            was = f"{SHEET} as it was is now {kept.name}."
            for answer, row in self._changed:
                why = f"{_told(row)} was given for another answer and not taken over; mark the new answer."
                problems.append(f"{_named(answer)}: {why} {was}")
            if self._edited:
                remarks.append(f"Cells that were changed under {', '.join(sorted(self._edited))} are put right. {was}")
            if table.guessed:
                remarks.append(f"{SHEET} is not UTF-8 and was read as {table.guessed}: look at its comments. {was}")
        text = table_text(self.rows, table.separator).encode()
        if _content(sheet) != content:
            return False
        mark = codecs.BOM_UTF8 if table.has_mark or table.guessed else b""  # without it, Excel reads another code page
        write_whole(sheet, mark + text)
        return True

    def _assigned(self) -> tuple[list[Row], dict[str, list[Row]]]:
        """Return the rows that stay as they are, and the others by the answer that they are for."""
        staying, given, absent = [], {}, set()
        for row in self.sheet.rows:
            answer, is_same = self._answer(row)
            other = self._by_name.get(row.name)
            if answer is None:
                staying.append(row)
                if row.is_marked and row.name[0] and row.name[0] not in self._learners:
                    absent.add(_short(row.name[0]))
                elif row.is_marked:
                    self._not_taken(row, "it fits no answer of this run. The row stays")
            elif row.is_marked and other not in (None, answer) and not _is_named(row, answer):
                staying.append(row)
                self._not_taken(row, f"its last cell is that of {_named(answer)}. Put the row right")
            elif is_same:
                given.setdefault(answer.row, []).append(row)
            elif row.is_marked:
                self._changed.append((answer, row))
        if absent:
            some = ", ".join(sorted(absent)[:5]) + (", …" if len(absent) > 5 else "")
            self.marked.remarks.append(f"{SHEET} keeps the marks of learners who are not in this run: {some}.")
        return staying, given

    def _answer(self, row: Row) -> tuple[Answer | None, bool]:
        """Return the answer of a row's learner to its question, and whether it is still the one in the row."""
        if row.row:
            same = self._by_row.get(row.row)
            return same or self._by_person.get(_person(row.row)), same is not None
        found = self._by_name.get(row.name)
        if found is None and number(row.name[0]) is not None:  # 417, which was 00417
            like = [one for one in self._answers if _is_named(row, one)]
            found = like[0] if len(like) == 1 else None
        return found, found is not None and any(alike(row.cells["answer"], text) for text in (found.shown, found.text))

    def _rows(self, answer: Answer, rows: list[Row]) -> Iterator[list[str]]:
        """Yield the row of an answer; rows that contradict each other are left to a person."""
        given = {row.written: row for row in rows if row.is_marked}
        if len(given) > 1:
            numbers = " and ".join(str(row.number) for row in given.values())
            why = f"rows {numbers} of {SHEET} differ, and none was taken over. Delete all but one."
            self.marked.problems.append(f"{_named(answer)}: {why}")
            yield from (row.all_cells for row in rows)
            return
        for row in rows:
            ours = zip(COLUMNS, answer.cells, strict=False)
            self._edited |= {
                name for name, cell in ours if row.cells[name] and not alike(row.cells[name], unquoted(cell))
            }
        points, comment, *own = next(iter(given), ("", "", *[""] * len(self.sheet.own_columns)))
        if given:
            self.marked.marks[answer.learner, answer.question] = (self._points(answer, points), unquoted(comment))
        yield [*answer.cells, points, comment, answer.row, *own]

    def _points(self, answer: Answer, cell: str) -> str:
        value = number(cell)
        if value is not None and 0 <= value <= answer.of:
            return f"{value:g}"
        if cell:
            why = "is not a number" if value is None else f"is not between 0 and {answer.of}"
            self.marked.problems.append(f"{_named(answer)}: {_short(cell)} {why}. No points were taken over.")
        return ""

    def _not_taken(self, row: Row, why: str) -> None:
        name = ", ".join(_short(cell) for cell in row.name if cell)
        where = f"row {row.number} of {SHEET}"
        where = f"{name} ({where})" if name else where.capitalize()
        self.marked.problems.append(f"{where}: {_told(row)} was not taken over, because {why}.")


def _content(sheet: Path) -> bytes:
    return sheet.read_bytes() if sheet.exists() else b""


def _keep(sheet: Path, content: bytes) -> Path:
    """Keep a sheet under another name, once; return that name."""
    names = (sheet.with_name(f"{sheet.stem}.before-{number}.csv") for number in count(1))
    kept = next(name for name in names if not name.exists() or name.read_bytes() == content)
    if not kept.exists():
        write_whole(kept, content)
    return kept


def _other_files(sheet: Path) -> list[str]:
    """Say which newer files look like the sheet saved under another name: there may be marks in them."""
    saved = sheet.stat().st_mtime if sheet.exists() else 0
    return [
        f"{file.name} is newer than {SHEET}, and is not read: if your marks are in it, save it as {SHEET}."
        for file in sorted(sheet.parent.glob(f"*{sheet.stem}*"))
        if file.suffix.lower() in _OTHER_FORMATS
        and file != sheet
        and not file.name.startswith((f"{sheet.stem}.before-", "."))
        and file.stat().st_mtime > saved
    ]


def _trimmed(rows: list[list[str]]) -> list[list[str]]:
    """Return rows without empty ones, and without empty cells at the end."""
    trimmed = [row[: max((at for at, cell in enumerate(row, start=1) if cell), default=0)] for row in rows]
    return [row for row in trimmed if row]


def _person(row: str) -> str:
    return ROW.fullmatch(row)[1]


def _letters(*texts: str) -> str:
    digest = hashlib.sha256("\0".join(texts).encode(errors="surrogatepass")).digest()
    return "".join(_LETTERS[byte % len(_LETTERS)] for byte in digest[:10])


def _is_named(row: Row, answer: Answer) -> bool:
    return row.name[1] == answer.name[1] and alike(row.name[0], answer.learner)


def _named(answer: Answer) -> str:
    return ", ".join(map(_short, answer.name))


def _told(row: Row) -> str:
    return ", ".join(_short(cell) for cell in row.written if cell)


def _short(text: str) -> str:
    line = " ".join(readable(text).split())
    return line if len(line) <= 40 else f"{line[:39]}…"
