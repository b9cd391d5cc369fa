"""What a teacher and a learner get: reports, a table of grades, pages of feedback, and a sheet for what a person marks.

Every file is written whole or not at all. Marks that a person gave are never lost.
"""

import hashlib
import html
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import quote

from course_utils.exercises.task import Prose
from course_utils.files import write_whole
from course_utils.grading.grade import GRADED, MISSING
from course_utils.grading.moderation import SHEET, Answer, Marked, take_marks
from course_utils.grading.spreadsheet import readable, table_text

_LONGEST = 30_000  # characters of an answer; a spreadsheet's cell takes 32,767
_PASTED = re.compile(r"data:[\w.+-]+/[\w.+;=-]+,[\w+/=%-]{200,}")
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


def write_results(folder: Path, reports: Sequence[dict], prose: Sequence[Prose]) -> Marked:
    """Write the moderation sheet, `grades.csv` and the pages of feedback; return what came of the sheet.

    Args:
        folder: Where they go.
        reports: One for each learner.
        prose: The questions that a person marks.

    Raises:
        SheetError: The sheet can't be read or written; it is as it was, and so is everything else.
        OSError: A file can't be written; it is as it was, and the other pages are there.
    """
    learners = {report["learner"] for report in reports}
    answers = [answer for report in reports for answer in _answers(report, prose)]
    questions = {question.name for question in prose}
    marked = take_marks(folder / SHEET, answers, learners, questions) if prose else Marked()
    write_whole(folder / "grades.csv", table_text(_grades(reports, prose, marked.marks)))
    problems = []
    for report in reports:
        if report["status"] != MISSING:
            marks = {name: mark for (learner, name), mark in marked.marks.items() if learner == report["learner"]}
            try:
                write_whole(folder / "feedback" / f"{_as_file(report['learner'])}.html", feedback_page(report, marks))
            except OSError as problem:  # the others get their pages all the same
                problems.append(problem)
    if problems:
        raise problems[0]
    return marked


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
        answer = _shown(question["answer"]) or "No answer."
        parts.append(f"<h2>{html.escape(head)}</h2><blockquote>{html.escape(answer)}</blockquote>")
        parts += [f"<p>{html.escape(comment)}</p>"] if comment else []
    return html_page(f"Feedback for {report['learner']}", "".join(parts))


def html_page(title: str, body: str, style: str = "") -> str:
    """Return an HTML page that loads nothing; `body` and `style` are escaped already, `title` isn't."""
    head = f'<meta charset="utf-8"><title>{html.escape(title)}</title><style>{_STYLE}{style}</style>'
    return readable(f'<!doctype html>\n<html lang="en"><head>{head}</head><body>{body}</body></html>\n')


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


def _answers(report: dict, prose: Sequence[Prose]) -> Iterable[Answer]:
    look_for = {question.name: question.look_for for question in prose}
    for one in report["prose"]:
        shown = _shown(one["answer"])
        yield Answer(
            report["learner"], one["name"], one["title"], one["of"], look_for.get(one["name"], ""), one["answer"], shown
        )


def _shown(answer: str) -> str:
    """Return an answer without pasted pictures, as far as a cell of a spreadsheet takes it."""
    text = _PASTED.sub(lambda found: f"[pasted data, {len(found[0]) // 1024} KB: see the notebook]", answer)
    if len(text) <= _LONGEST:
        return text
    return f"{text[:_LONGEST]} … [{len(text) - _LONGEST} more characters: see the notebook]"


def _summary(report: dict) -> str:
    if report["points"] is None:
        return f"Not graded: {report['status']}."
    looked = "" if report["status"] == GRADED else " A person will look at it."
    return f"{report['points']} of {report['of']} points for the tasks that a program checks.{looked}"


def _as_file(learner: str) -> str:
    name = quote(learner, safe=" ", errors="surrogatepass").replace(".", "%2E") or "%00"
    # A file system takes 255 bytes.
    return name if len(name) <= 180 else f"{name[:160]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
