"""The gradebook of a learning management system: who is in it, from its own export, and the file that it imports.

What each system documents, with the addresses, is in `grading/gradebooks.md` of the course.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

from course_utils.errors import CourseError
from course_utils.exercises.task import Prose
from course_utils.files import write_whole
from course_utils.grading.spreadsheet import number, quoted, read_table, readable, table_text
from course_utils.grading.texts import printable, same_name

_MOST_NAMED = 10  # learners in one sentence
_BRACKETS = re.compile(r"\s*(?:\(\d+\)|\[Total Pts:.*)$")  # after a column's name: Canvas' number, Blackboard's points
_AGAIN = re.compile(r" \(\d+\)$")  # after the name of a learner whose second submission it is
_MAIL = re.compile(r"[^\s,;|@]+@[^\s,;|@]+")
_POINTS_POSSIBLE = "Points Possible"  # the row of an export by Canvas that is no learner's


@dataclass(frozen=True)
class System:
    """What a learning management system calls its columns.

    Args:
        title: Its name.
        ids: The columns by which it knows a learner; the first one that a learner has is their name here.
        names: The other columns that it reads with the grades.
        needed: The columns without which it can't import; of `ids`, at least one is needed anyway.
        only_here: Columns by which a submission is recognised, and which its gradebook doesn't read.
        finds_mails: Whether the first of `ids` is that of the mails, whatever it's called.
    """

    title: str
    ids: tuple[str, ...]
    names: tuple[str, ...]
    needed: tuple[str, ...] = ()
    only_here: tuple[str, ...] = ()
    finds_mails: bool = False


SYSTEMS = {
    # https://docs.moodle.org/en/Grade_import: any columns; the teacher says there which one is the mail or the id.
    # "Identifier" is the number of a submission, in the assignment's own grading worksheet.
    "moodle": System(
        "Moodle",
        ids=("Email address", "ID number", "Username"),
        names=("First name", "Last name", "Surname", "Full name"),
        only_here=("Identifier",),
        finds_mails=True,
    ),
    # https://community.canvaslms.com/t5/Instructor-Guide/How-do-I-import-grades-in-the-Gradebook/ta-p/807, and what its
    # importer asks of the heading: https://github.com/instructure/canvas-lms/blob/master/lib/gradebook_importer.rb
    "canvas": System(
        "Canvas",
        ids=("SIS Login ID", "SIS User ID", "ID"),
        names=("Student", "LastName", "FirstName", "Integration ID", "Root Account", "Section"),
        needed=("ID", "Section"),
    ),
    # https://help.blackboard.com/Learn/Instructor/Original/Grade/Grading_Tasks/Work_Offline_With_Grade_Data: the user
    # name says who, the number after a column's name says which column; each cell of a .csv is in quotes.
    "blackboard": System(
        "Blackboard", ids=("Username", "Student ID"), names=("Last Name", "First Name"), needed=("Username",)
    ),
}


@dataclass(frozen=True)
class Entry:
    """A learner in the gradebook.

    Args:
        cells: The row's cells, in the columns that are imported.
        why_not: Why no grade can be imported for them; "" if one can.
    """

    cells: tuple[str, ...]
    why_not: str = ""


@dataclass(frozen=True)
class Gradebook:
    """A gradebook, as its system exported it.

    Args:
        lms: The system's key in `SYSTEMS`.
        file: The name of the export.
        heading: The names of the columns that are imported, the one for the points last.
        entries: The learners, by their name here.
        aliases: The learner for each id and mail.
        points_possible: What the export says about the column, in Canvas; "" otherwise.
        remarks: What a person should know about the export.
    """

    lms: str
    file: str
    heading: tuple[str, ...]
    entries: dict[str, Entry]
    aliases: dict[str, str]
    points_possible: str = ""
    remarks: tuple[str, ...] = ()

    @property
    def system(self) -> System:
        """The system that exported it."""
        return SYSTEMS[self.lms]


@dataclass
class Imported:
    """What came of a file for the gradebook.

    Args:
        problems: What a person must look at: submissions of people who aren't in the gradebook.
        remarks: What else a person should know.
    """

    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def read_gradebook(file: Path, lms: str, exercise: str, column: str = "") -> Gradebook:
    """Read what a learning management system exported of its gradebook, however a spreadsheet saved it since.

    Args:
        file: The export.
        lms: "moodle", "canvas" or "blackboard".
        exercise: The name of a new column for the points, where the export has none of that name.
        column: The name of the column for the points, as the export has it; "" to look for `exercise`.

    Raises:
        CourseError: It isn't such an export, has no such column, or two learners have one id.
        OSError: It can't be read.
    """
    system = SYSTEMS[lms]
    columns = (*system.ids, *system.names, *system.only_here)

    def likeness(rows: list[list[str]]) -> int:
        known = {_plain(cell) for cell in _first(rows)} & {_plain(name) for name in columns}
        return len(known) or int(system.finds_mails and _mails(rows[1:]) is not None)

    try:
        table = read_table(file.read_bytes(), likeness, ())
    except ValueError:
        raise _not_this(file, system) from None
    heading, *rows = _of_one_width(table.rows)
    named = {}
    for at, cell in enumerate(heading):
        named.setdefault(_plain(cell), at)
    place = {name: named[_plain(name)] for name in columns if _plain(name) in named}
    mails = _mails(rows)
    if system.finds_mails and mails is not None:
        place.setdefault(system.ids[0], mails)
    ids = [name for name in (*system.ids, *system.only_here) if name in place]
    if not set(ids) & set(system.ids) or not set(system.needed) <= set(place):
        raise _not_this(file, system)
    at, points = _column(file, heading, place, exercise, column)
    possible = next((row for row in rows if _POINTS_POSSIBLE in row[0]), None)
    learners = [row for row in rows if row is not possible and any(row[place[name]] for name in ids)]
    aliases, names = _aliases(file, learners, ids, place)
    copied = sorted({place[name] for name in (*system.ids, *system.names) if name in place})
    entries = {
        name or f"row {rows.index(row) + 2}": Entry(tuple(row[at] for at in copied), _why_not(row, name, system, place))
        for row, name in zip(learners, names, strict=True)
    }
    return Gradebook(
        lms,
        file.name,
        (*(heading[at] for at in copied), points),
        entries,
        aliases,
        possible[at] if possible and at is not None else "",
        (f"{file.name} isn't UTF-8 and was read as {table.guessed}: look at its names.",) * bool(table.guessed),
    )


def write_gradebook(
    folder: Path, gradebook: Gradebook, reports: Sequence[dict], prose: Sequence[Prose], marks: dict
) -> Imported:
    """Write `<lms>_import.csv` for the gradebook, and `<lms>_left_out.csv` with everyone who isn't in it and why.

    Only learners with points have a row: an empty cell would delete a grade that is there already.

    Args:
        folder: Where they go.
        gradebook: What `read_gradebook` read.
        reports: One for each learner.
        prose: The questions that a person marks.
        marks: Points and comment, by learner and question.

    Raises:
        OSError: A file can't be written; it is as it was.
    """
    lms, title = gradebook.lms, gradebook.system.title
    file = f"{lms}_import.csv"
    rows, strangers, without, unmarked, refused = [], [], [], [], []
    learners = {report["learner"] for report in reports}
    again = {
        learner: base for learner in learners - {*gradebook.entries} if (base := _AGAIN.sub("", learner)) != learner
    }
    for report in reports:
        learner, entry = report["learner"], gradebook.entries.get(report["learner"])
        if entry is None:
            if again.get(learner) not in gradebook.entries:
                strangers.append((learner, f"isn't in {gradebook.file}"))
        elif learner in again.values():
            refused.append((learner, "has more than one submission: enter the points of the one that counts"))
        elif report["points"] is None:
            without.append((learner, report["status"]))
        elif entry.why_not:
            refused.append((learner, entry.why_not))
        else:
            points, is_complete = _points(report, marks)
            rows.append((*entry.cells, f"{points:g}"))
            if not is_complete:
                unmarked.append((learner, "has an answer in words without a mark: the points are those of the tasks"))
    for learner, entry in gradebook.entries.items():
        if learner not in learners:  # nobody's submission is theirs: they have no id of their own
            refused.append((learner, entry.why_not))
    total = max((report["of"] for report in reports), default=0) + sum(question.points for question in prose)
    heading = [gradebook.heading]
    if lms == "canvas":
        blank = [""] * (len(gradebook.heading) - 2)
        heading.append((f"    {_POINTS_POSSIBLE}", *blank, gradebook.points_possible or f"{total:g}"))
    write_whole(folder / file, table_text([*heading, *rows]))
    left_out = [("learner", "why"), *strangers, *refused, *without, *unmarked]
    write_whole(folder / f"{lms}_left_out.csv", table_text(left_out))
    said = f"{file} is for {title}: the points of {len(rows)} learners, at most {total:g}."
    imported = Imported(remarks=[said, *gradebook.remarks])
    if gradebook.points_possible and number(gradebook.points_possible) != total:
        imported.remarks.append(f"In {title} this column is worth {gradebook.points_possible} points, here {total:g}.")
    if strangers:
        imported.problems.append(f"Not in {gradebook.file}, so without points in {title}: {_named(strangers)}.")
    if refused:
        imported.problems.append(f"Not in {file}, and in {lms}_left_out.csv is why: {_named(refused)}.")
    if without:
        imported.remarks.append(f"In {gradebook.file}, but without points here: {_named(without)}.")
    if unmarked:
        imported.remarks.append(f"Not all answers in words are marked yet: {_named(unmarked)}.")
    return imported


def _points(report: dict, marks: dict) -> tuple[float, bool]:
    """Return the points for the tasks and the answers in words, and whether each answer has its mark."""
    given = [marks.get((report["learner"], one["name"]), ("", ""))[0] for one in report["prose"]]
    is_complete = all(mark or not one["answer"] for one, mark in zip(report["prose"], given, strict=True))
    return report["points"] + sum(number(mark) or 0 for mark in given), is_complete


def _of_one_width(rows: list[list[str]]) -> list[list[str]]:
    """Return rows of one length without empty ones; a cell is one line, whatever is in it."""
    rows = [[" ".join(readable(cell).split()) for cell in row] for row in rows if any(map(str.strip, row))]
    width = max(map(len, rows))
    return [[*row, *[""] * (width - len(row))] for row in rows]


def _first(rows: list[list[str]]) -> list[str]:
    return next((row for row in rows if any(cell.strip() for cell in row)), [])


def _plain(cell: str) -> str:
    return same_name(readable(cell))


def _not_this(file: Path, system: System) -> CourseError:
    ids = " and ".join(system.needed) or f"one of {', '.join(system.ids)}"
    return CourseError(
        f"{file} isn't the gradebook as {system.title} exports it in English: its first row must name the columns, "
        f"{ids} among them."
    )


def _mails(rows: list[list[str]]) -> int | None:
    """Return which column has the mail addresses, whatever it's called: the only one in which each cell is one."""
    columns = zip_longest(*rows, fillvalue="")
    filled = [[cell.strip() for cell in column if cell.strip()] for column in columns]
    found = [at for at, cells in enumerate(filled) if cells and all(map(_MAIL.fullmatch, cells))]
    return found[0] if len(found) == 1 else None


def _column(
    file: Path, heading: list[str], place: dict[str, int], exercise: str, column: str
) -> tuple[int | None, str]:
    """Return where in the export the column for the points is, if it's there, and what it's called.

    Raises:
        CourseError: It must be there and isn't, or there are two.
    """
    free = {at: cell for at, cell in enumerate(heading) if at not in place.values() and cell}
    wanted = _plain(column or exercise)
    found = [at for at, cell in free.items() if wanted in (_plain(cell), _plain(_BRACKETS.sub("", cell)))]
    if len(found) == 1:
        return found[0], heading[found[0]]
    if column:
        some = ", ".join(f"“{cell}”" for cell in [*free.values()][:_MOST_NAMED]) or "none"
        many = "two columns" if found else "no column"
        raise CourseError(f"{file} has {many} called {column}; --column must be one of {some}.")
    return None, exercise


def _aliases(
    file: Path, learners: list[list[str]], ids: list[str], place: dict[str, int]
) -> tuple[dict[str, str], list[str]]:
    """Return the learner for each id, and the learners' names in their order; "" for one without an id of their own.

    Raises:
        CourseError: Two learners have the same id.
    """
    owners = defaultdict(set)
    for name in ids:
        seen = {}
        for at, row in enumerate(learners):
            cell = _id(name, row[place[name]])
            if not cell:
                continue
            first = seen.setdefault(same_name(cell), at)
            if first != at:
                who = f"{printable(' '.join(learners[first][:2]))} and {printable(' '.join(row[:2]))}"
                raise CourseError(
                    f"Two learners in {file} have the {name} {printable(cell)} ({who}): put it right there, or export "
                    "the gradebook again."
                )
            owners[same_name(cell)].add(at)
    aliases, names = {}, []
    for at, row in enumerate(learners):
        # One learner's number may be another one's login: then it says nothing about who handed in.
        own = [cell for name in ids if (cell := _id(name, row[place[name]])) and owners[same_name(cell)] == {at}]
        names.append(printable(own[0]).strip() if own else "")
        aliases |= {cell: names[-1] for cell in own}
    return aliases, names


def _id(name: str, cell: str) -> str:
    """Return an id; of Moodle's identifier (Participant 4711, in every language) the number."""
    return (re.findall(r"\d+$", cell) or [""])[0] if name == "Identifier" else cell


def _why_not(row: list[str], name: str, system: System, place: dict[str, int]) -> str:
    needed = [one for one in system.needed if one in system.ids]
    missing = [one for one in needed if not row[place[one]]]
    if not name:
        return "has no id that isn't another learner's, too"
    if missing or not any(row[place[one]] for one in system.ids if one in place):
        return f"has no {missing[0] if missing else system.ids[0]}"
    for one in system.ids:  # with a sign before it that stops the formula, the system wouldn't know the learner
        if one in place and quoted(row[place[one]]) != row[place[one]]:
            return f"has a formula as {one}: enter the points by hand"
    return ""


def _named(learners: Iterable[tuple[str, str]]) -> str:
    names = [name for name, _ in learners]
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
