"""What a learner did so far, lesson by lesson: shown, exported, and reset."""

import csv
import html
import io
import json
import re
from pathlib import Path

from course_utils.files import write_whole
from course_utils.learner.markup import html_table, text_table
from course_utils.learner.progress import Progress, reason

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
# What asks a question in a lesson, by the kind under which the answer is kept.
_ASKED = {
    "predictions": re.compile(r'\bpredict\(\s*"([^"]+)"'),
    "quizzes": re.compile(r'\bquiz_question\(\s*"([^"]+)"'),
}
_COLUMNS = ("lesson", "predicted", "came out right", "answered", "right at once", "solved")
_CSV = ("lesson", "kind", "name", "answer", "right", "tries")


class ProgressReport:
    """What was predicted, answered and solved so far: one line per lesson.

    Made by `progress_report`. Lesson: 00 · Start here
    """

    def __init__(self, progress: Progress, notebooks: Path = NOTEBOOKS) -> None:
        self.rows, self.path = [], progress.path
        try:
            entries = progress.everything()
        except OSError as error:
            self.summary = [f"Your progress couldn't be read: {reason(error)} ({progress.path})."]
            return
        asked = _asked(notebooks)
        names = {name for kind in entries.values() for name in kind}
        lessons = sorted({*asked, *(name[:2] for name in names if re.match(r"\d\d-", name))})
        self.rows = [_row(lesson, entries, asked.get(lesson, {})) for lesson in lessons]
        self.summary = [
            _all(entries["predictions"], "Predictions made", "right", "came out right"),
            _all(entries["quizzes"], "Quiz questions answered", "first_right", "right at the first try"),
            _all(entries["exercises"], "Exercises tried", "solved", "solved"),
            f"Saved in {progress.path}",
        ]

    def __repr__(self) -> str:
        return "\n".join([*([text_table(_COLUMNS, self.rows)] if self.rows else []), *self.summary])

    def _repr_html_(self) -> str:
        table = html_table(_COLUMNS, self.rows) if self.rows else ""
        return table + "".join(f"<p>{html.escape(line)}</p>" for line in self.summary)


def progress_report(progress: Progress | None = None) -> ProgressReport:
    """Say what was predicted, answered and solved in every lesson, and in which file it is kept.

    Lesson: 00 · Start here

    >>> progress_report(Progress(Path("/nowhere/progress.json"))).summary[0]
    'Predictions made: 0, of which 0 came out right.'
    """
    return ProgressReport(progress or Progress())


def export_progress(file: str | Path, progress: Progress | None = None) -> str:
    """Write all that is kept as a table that spreadsheets open (CSV); return a sentence that says where.

    Args:
        file: The file to write, such as "my_progress.csv". It is written whole or not at all.
        progress: What is exported; by default the learner's own.

    Raises:
        ValueError: `file` does not end in .csv.
        OSError: The file cannot be written, or the progress not be read.

    Lesson: 00 · Start here

    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> progress = Progress(Path(folder.name) / "progress.json")
    >>> progress.record("predictions", "00-paris", {"choice": "over 50 %", "right": True})
    >>> export_progress(Path(folder.name) / "mine.csv", progress).partition(" in ")[0]
    '1 line is'
    >>> (Path(folder.name) / "mine.csv").read_text().splitlines()[1]
    '"00","predictions","00-paris","over 50 %","True",""'
    """
    file = Path(file)
    if file.suffix != ".csv":
        raise ValueError(f"file must end in .csv, got {str(file)!r}")
    rows = [
        _spreadsheet_row(kind, name, entry)
        for kind, entries in (progress or Progress()).everything().items()
        for name, entry in entries.items()
    ]
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    writer.writerows([_CSV, *sorted(rows)])
    write_whole(file, text.getvalue())
    return f"{len(rows)} {'line is' if len(rows) == 1 else 'lines are'} in {file.resolve()}."


def reset_progress(sure: bool = False, progress: Progress | None = None) -> str:
    """Ask whether to start over; with `sure=True`, do it. The old file is kept under another name.

    Args:
        sure: The answer to the question.
        progress: What is reset; by default the learner's own.

    Raises:
        OSError: The file cannot be read or renamed.

    Lesson: 00 · Start here

    >>> reset_progress(progress=Progress(Path("/nowhere/progress.json")))
    'There are no answers yet, so there is nothing to reset.'
    """
    progress = progress or Progress()
    kept = sum(map(len, progress.everything().values()))
    if not kept:
        return "There are no answers yet, so there is nothing to reset."
    if sure is not True:
        return f"Start over? Answers so far: {kept}. If you're sure, run reset_progress(sure=True)."
    return f"You're starting over. Your earlier answers are now in {progress.set_aside()}."


def _asked(notebooks: Path) -> dict[str, dict[str, set[str]]]:
    """Return the names of the questions in every lesson, by lesson and kind."""
    asked = {}
    for file in notebooks.glob("[0-9][0-9]_*.ipynb"):
        cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
        code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
        asked[file.name[:2]] = {kind: set(pattern.findall(code)) for kind, pattern in _ASKED.items()}
    return asked


def _row(lesson: str, entries: dict, asked: dict[str, set[str]]) -> tuple[str, ...]:
    mine = {
        kind: {name: entry for name, entry in kept.items() if name.startswith(f"{lesson}-")}
        for kind, kept in entries.items()
    }
    predicted, answered = (
        f"{len(mine[kind])} of {len(asked[kind] | mine[kind].keys())}" if asked else str(len(mine[kind]))
        for kind in ("predictions", "quizzes")
    )
    right = _count(mine["predictions"], "right")
    at_once, solved = _count(mine["quizzes"], "first_right"), _count(mine["exercises"], "solved")
    return lesson, predicted, str(right), answered, str(at_once), str(solved)


def _count(entries: dict[str, dict], key: str) -> int:
    return sum(entry.get(key) is True for entry in entries.values())


def _all(entries: dict[str, dict], what: str, key: str, words: str) -> str:
    return f"{what}: {len(entries)}, of which {_count(entries, key)} {words}."


def _spreadsheet_row(kind: str, name: str, entry: dict) -> tuple[str, ...]:
    right = entry.get("right", entry.get("solved", ""))
    answer = str(entry.get("choice", entry.get("first", "")))
    # A spreadsheet would run a text that begins like a formula.
    answer = f"'{answer}" if answer[:1] in tuple("=+-@") else answer
    return name[:2], kind, name, answer, str(right), str(entry.get("tries", ""))
