"""What a teacher and a learner get: reports, a table of grades, pages of feedback, and a sheet for what a person marks.

Every file is written whole or not at all. Marks that a person gave are never lost.
"""

import csv
import hashlib
import html
import io
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import quote

from course_utils.checks.task import Prose
from course_utils.grading.grade import GRADED, MISSING
from course_utils.whole_files import write_whole

SHEET = "moderation.csv"
_SHEET_COLUMNS = ("learner", "question", "title", "of", "look for", "answer", "points", "comment")
_SIGNS = {True: "✓", False: "✗"}
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:46em;margin:2em auto;padding:0 1em;"
    "color:#1a1a1a;background:#fff}"
    "ul{list-style:none;padding-left:1em}"
    "blockquote{border-left:3px solid #767676;margin-left:0;padding-left:1em;white-space:pre-wrap}"
    "@media(prefers-color-scheme:dark){body{color:#eee;background:#1a1a1a}}"
)


def report_file(folder: Path, learner: str) -> Path:
    """Return where a learner's report is; any name becomes the name of a file, and two names never the same.

    >>> report_file(Path("out"), "../ada").name
    '%2E%2E%2Fada.json'
    """
    return folder / "reports" / f"{_as_file(learner)}.json"


def read_report(file: Path, key: str) -> dict | None:
    """Return a report that was made from the same submission, checks and seed; None if there is none."""
    try:
        report = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return report if isinstance(report, dict) and report.get("key") == key else None


def write_results(folder: Path, reports: Sequence[dict], prose: Sequence[Prose]) -> None:
    """Write `grades.csv`, the pages of feedback and the moderation sheet.

    Args:
        folder: Where they go.
        reports: One for each learner.
        prose: The questions that a person marks.

    Raises:
        OSError: A file cannot be written.
    """
    given = _given(folder / SHEET)
    rows = [row for report in reports for row in _sheet_rows(report, prose, given)]
    if prose:
        _keep_other_marks(folder / SHEET, rows)
        write_whole(folder / SHEET, _table([_SHEET_COLUMNS, *rows]))
    marks = {(row[0], row[1]): (row[6], row[7]) for row in rows}
    write_whole(folder / "grades.csv", _table(_grades(reports, prose, marks)))
    problems = []
    for report in reports:
        if report["status"] != MISSING:
            page = feedback_page(
                report, {name: mark for (learner, name), mark in marks.items() if learner == report["learner"]}
            )
            try:
                write_whole(folder / "feedback" / f"{_as_file(report['learner'])}.html", page)
            except OSError as problem:  # the others get their pages all the same
                problems.append(problem)
    if problems:
        raise problems[0]


def feedback_page(report: dict, marks: dict[str, tuple[str, str]]) -> str:
    """Return what a learner may see, as one HTML page: every check and its sentence, and no hidden input.

    Args:
        report: The report.
        marks: For each question that a person marked, the points and the comment.
    """
    parts = [f"<h1>{html.escape(report['learner'])}</h1>", f"<p>{html.escape(_summary(report))}</p>"]
    parts += [f"<p>{html.escape(reason)}</p>" for reason in report["reasons"]]
    for task in report["tasks"]:
        head = f"{task['name']} · {task['title']}: {task['points']} of {task['of']} points"
        head += "" if task["status"] in ("right", "wrong") else f" ({task['status']})"
        lines = [
            f"{_SIGNS[is_right]} {says}{f': {message}' if message else ''}" for says, is_right, message in task["lines"]
        ]
        lines = lines if task["status"] in ("right", "wrong") else []
        parts.append(
            f"<h2>{html.escape(head)}</h2><ul>{''.join(f'<li>{html.escape(line)}</li>' for line in lines)}</ul>"
        )
    for question in report["prose"]:
        points, comment = marks.get(question["name"], ("", ""))
        head = f"{question['name']} · {question['title']}: {points or 'not marked yet, '} of {question['of']} points"
        parts.append(
            f"<h2>{html.escape(head)}</h2><blockquote>{html.escape(question['answer'] or 'No answer.')}</blockquote>"
        )
        parts += [f"<p>{html.escape(comment)}</p>"] if comment else []
    title = html.escape(f"Feedback for {report['learner']}")
    head = f'<meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>\n'


def _grades(reports: Sequence[dict], prose: Sequence[Prose], marks: dict) -> Iterable[Sequence]:
    names = next(([task["name"] for task in report["tasks"]] for report in reports if report["tasks"]), [])
    questions = [question.name for question in prose]
    yield ("learner", "status", "points", "of", *names, *(f"{name} (marked)" for name in questions), "what happened")
    for report in reports:
        tasks = {task["name"]: task for task in report["tasks"]}
        cells = [f"{tasks[name]['points']} {tasks[name]['status']}" if name in tasks else "" for name in names]
        marked = [marks.get((report["learner"], name), ("", ""))[0] for name in questions]
        points = "" if report["points"] is None else report["points"]
        yield (report["learner"], report["status"], points, report["of"], *cells, *marked, " ".join(report["reasons"]))


def _sheet_rows(report: dict, prose: Sequence[Prose], given: dict) -> Iterable[list]:
    look_for = {question.name: question.look_for for question in prose}
    for answer in report["prose"]:
        row = [
            report["learner"],
            answer["name"],
            answer["title"],
            answer["of"],
            look_for[answer["name"]],
            answer["answer"],
        ]
        yield [*row, *given.get(_same_answer(row), ("", ""))]


def _given(sheet: Path) -> dict[tuple, tuple[str, str]]:
    """Return the points and comments that a person has written into the sheet, by learner, question and answer."""
    try:
        with sheet.open(encoding="utf-8-sig", newline="") as file:
            rows = [row for row in csv.reader(file) if len(row) == len(_SHEET_COLUMNS)][1:]
    except FileNotFoundError:
        return {}
    return {
        _same_answer([_unquoted(cell) for cell in row]): (row[6], _unquoted(row[7])) for row in rows if row[6] or row[7]
    }


def _keep_other_marks(sheet: Path, rows: list[list]) -> None:
    """Keep a sheet whose marks are not all taken over, because answers changed, under another name."""
    lost = _given(sheet).keys() - {_same_answer(row) for row in rows}
    if lost:
        number = 1
        while (kept := sheet.with_name(f"{sheet.stem}.before-{number}.csv")).exists():
            number += 1
        os.replace(sheet, kept)


def _same_answer(row: Sequence) -> tuple:
    return str(row[0]), str(row[1]), " ".join(str(row[5]).split())


def _summary(report: dict) -> str:
    if report["points"] is None:
        return f"Not graded: {report['status']}."
    looked = "" if report["status"] == GRADED else " A person will look at it."
    return f"{report['points']} of {report['of']} points for the tasks that a program checks.{looked}"


def _table(rows: Iterable[Sequence]) -> str:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([[_quoted(cell) for cell in row] for row in rows])
    return text.getvalue()


def _quoted(cell: object) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    text = str(cell).replace("\x00", "")
    return f"'{text}" if text.lstrip()[:1] in ("=", "+", "-", "@") or text[:1] in ("\t", "\r") else text


def _unquoted(cell: str) -> str:
    return cell[1:] if cell[:1] == "'" and _quoted(cell[1:]) == cell else cell


def _as_file(learner: str) -> str:
    name = quote(learner, safe=" ", errors="surrogatepass").replace(".", "%2E") or "%00"
    # A file system takes 255 bytes.
    return name if len(name) <= 180 else f"{name[:160]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
