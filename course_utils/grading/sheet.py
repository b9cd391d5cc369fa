"""The rows of the moderation sheet, as a person and a spreadsheet left them: what is in which column is found out."""

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial

from course_utils.grading.spreadsheet import Table, number, read_table, readable, unquoted

COLUMNS = ("learner", "question", "title", "of", "look for", "answer", "points", "comment", "row")
ROW = re.compile(r"row-([a-z]{10})-([a-z]{10})")  # what is in the last column
_HEADING = 4  # names of columns make a heading; a learner can put two of them into a row
_BLANK = b'\0\t\r\n ;,"\xef\xbb\xbf\xfe\xff'


@dataclass(frozen=True)
class Row:
    """A row of the sheet.

    Args:
        number: Its number, as a spreadsheet counts.
        cells: Its cells by column, in the order of `COLUMNS`; "" where the column isn't there.
        own: What is in columns that a person added.
    """

    number: int
    cells: dict[str, str]
    own: tuple[str, ...]

    @property
    def row(self) -> str:
        """The cell by which it is known; "" if there is none."""
        cell = self.cells["row"].strip().lower()
        return cell if ROW.fullmatch(cell) else ""

    @property
    def name(self) -> tuple[str, str]:
        """Its learner and question, as they are in the sheet."""
        return readable(unquoted(self.cells["learner"])).strip(), readable(unquoted(self.cells["question"])).strip()

    @property
    def written(self) -> tuple[str, ...]:
        """What a person wrote: points, comment, and what is in columns of their own."""
        return tuple(cell.strip() for cell in (self.cells["points"], self.cells["comment"], *self.own))

    @property
    def is_marked(self) -> bool:
        """Whether a person wrote something."""
        return any(self.written)

    @property
    def all_cells(self) -> list[str]:
        """Its cells in the order in which they are written."""
        return [*self.cells.values(), *self.own]


@dataclass(frozen=True)
class Sheet:
    """The whole sheet.

    Args:
        table: As it was read.
        rows: Its rows, without the heading and empty ones.
        own_columns: The names of columns that a person added.
    """

    table: Table
    rows: tuple[Row, ...] = ()
    own_columns: tuple[str, ...] = ()


def read_sheet(content: bytes, questions: Collection[str], known: Collection[str]) -> Sheet:
    """Return what is in the sheet, however a spreadsheet saved it.

    Args:
        content: The file.
        questions: The names of the questions.
        known: Texts that should be in it, by which a code page is recognised.

    Raises:
        ValueError: It isn't certain what is in which column.
    """
    if not content.strip(_BLANK):
        return Sheet(Table([]))
    table = read_table(content, partial(_likeness, questions=questions), known)
    rows = {at: row for at, row in enumerate(table.rows, start=1) if any(cell.strip() for cell in row)}
    width = max(map(len, rows.values()))
    rows = {at: [*row, *[""] * (width - len(row))] for at, row in rows.items()}
    heading = rows.pop(_heading(rows, questions), [""] * width)
    place = _places([cell.strip().lower() for cell in heading], rows)
    own = [at for at in range(width) if at not in place.values() and any(row[at] for row in (heading, *rows.values()))]
    found = []
    for at, row in rows.items():
        cells = {name: row[place[name]] if name in place else "" for name in COLUMNS}
        found.append(Row(at, cells, tuple(row[column] for column in own)))
        others = [cell for column, cell in enumerate(row) if column not in (place.get("row"), place.get("answer"))]
        if not found[-1].row and any(map(_is_row_id, others)):
            raise ValueError(f"its row {at} is in pieces: not all cells are in their columns")
    return Sheet(table, tuple(found), tuple(heading[column] for column in own))


def _heading(rows: dict[int, list[str]], questions: Collection[str]) -> int:
    """Return where the heading is, wherever sorting took it; 0 if it is gone, and the columns are as they were.

    Raises:
        ValueError: They may not be.
    """
    at = max(rows, key=lambda at: len(_named(rows[at])))
    if len(_named(rows[at])) >= _HEADING:
        return at
    if not any(_is_as_written(row, questions) for row in rows.values()):
        raise ValueError("it has no line with the names of its columns")
    return 0


def _places(heading: Sequence[str], rows: dict[int, list[str]]) -> dict[str, int]:
    """Return what is in which column.

    Raises:
        ValueError: That isn't certain.
    """
    twice = [name for name in COLUMNS if heading.count(name) > 1]
    if twice:
        raise ValueError(f"two of its columns are called {twice[0]}")
    place = {name: heading.index(name) for name in COLUMNS if name in heading}
    if all(COLUMNS.index(name) == at for name, at in place.items()):  # nothing moved: what is missing was renamed
        place = {name: at for at, name in enumerate(COLUMNS[:8]) if at < len(heading)} | place
    if "row" not in place:
        columns = Counter(at for row in rows.values() for at, cell in enumerate(row) if _is_row_id(cell))
        free = [at for at, _ in columns.most_common() if at not in place.values()]
        place |= {"row": free[0]} if free else {}
    needed = ("points",) if "row" in place else ("points", "learner", "question")
    for name in needed:
        if name not in place:
            raise ValueError(f"it has no column called {name}")
    return place


def _likeness(rows: list[list[str]], questions: Collection[str]) -> int:
    """Return how much rows look like the sheet: by the names of its columns, and by what only its rows have."""
    names = max((len(_named(row)) for row in rows), default=0)
    known = sum(any(map(_is_row_id, row)) or _is_as_written(row, questions) for row in rows)
    return known + (names if names >= _HEADING else 0)


def _named(row: Sequence[str]) -> set[str]:
    return {cell.strip().lower() for cell in row} & set(COLUMNS)


def _is_row_id(cell: str) -> bool:
    return ROW.fullmatch(cell.strip().lower()) is not None


def _is_as_written(row: Sequence[str], questions: Collection[str]) -> bool:
    """Say whether a row has its cells where `course grade` puts them."""
    return len(row) >= 8 and row[1].strip() in questions and number(row[3]) is not None
