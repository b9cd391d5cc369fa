"""`check("q1")` in an exercise notebook: what passes, what does not and why, kept in the progress file."""

import html
import os
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path

from course_utils.answers.calling import Answer, call
from course_utils.checks.task import NOT_STARTED, TaskResult, judge, load_tasks
from course_utils.learning.progress import Progress, reason

CHECKS = Path(__file__).resolve().parents[1] / "checks"
HINT_AFTER = 2  # tries that failed
_SIGNS = {"right": "✅", "wrong": "❌", "not started": "⬜"}
# On a page: the same three, by letters that every font has. Without a font for emoji all three would be an empty box.
_BADGES = {"✅": ("✓", "#007a58"), "❌": ("✗", "#c04a00"), "⬜": ("○", "#6b6b6b")}


class CheckCard:
    """What a check found: ✅, ❌ or ⬜ (not started), a line a check, and a hint after the second try.

    Made by `check("q1")`. Lesson: 01 · What LLMs can do
    """

    def __init__(self, title: str, status: str, lines: list[tuple[bool | None, str, str]], notes: list[str]) -> None:
        self.title, self.status, self.lines, self.notes = title, status, lines, notes

    @property
    def is_right(self) -> bool:
        """Whether every check passed."""
        return self.status == "right"

    def _head(self) -> str:
        right = sum(is_right is True for is_right, _, _ in self.lines)
        counted = f"{right} of {len(self.lines)} checks pass" if self.status != "not started" else "not started"
        return f"{_SIGNS[self.status]} {self.title}: {counted}."

    def _line(self, is_right: bool | None, says: str, message: str) -> str:
        sign = "✅" if is_right else "⬜" if self.status == "not started" else "❌"
        return f"{sign} {says}{f': {message}' if message else ''}"

    def __repr__(self) -> str:
        texts = [*(self._line(*line) for line in self.lines), *self.notes]
        wrapped = (textwrap.wrap(text, 100, subsequent_indent="   ", break_on_hyphens=False) for text in texts)
        return "\n".join([self._head(), *(f"  {line}" for lines in wrapped for line in lines)])

    def _repr_html_(self) -> str:
        items = "".join(f"<li>{_on_page(self._line(*line))}</li>" for line in self.lines)
        notes = "".join(f"<p>{html.escape(note)}</p>" for note in self.notes)
        items = f'<ul style="list-style: none; padding-left: 1em">{items}</ul>' if items else ""
        return f"<div><p><strong>{_on_page(self._head())}</strong></p>{items}{notes}</div>"


class Checker:
    """`check` of an exercise notebook: made by `checker`, called with the name of a task.

    Lesson: 01 · What LLMs can do
    """

    def __init__(self, lesson: str, namespace: Mapping, progress: Progress | None = None) -> None:
        self.lesson, self.namespace, self.progress = lesson, namespace, progress

    def __call__(self, name: str) -> CheckCard:
        """Check the task `name`, such as "q1"; nothing that the learner's function does comes through."""
        if os.environ.get("COURSE_GRADING"):  # the grader checks from outside; here there is nothing to see
            return CheckCard(name, "not started", [], ["It is checked by the grader."])
        tasks = {task.name: task for task in load_tasks(CHECKS / f"lesson_{self.lesson}.py")[0]}
        if name not in tasks:
            return CheckCard(str(name), "not started", [], [f"There is no task {name!r}: use one of {list(tasks)}."])
        task = tasks[name]
        function = self.namespace.get(task.function)
        result = judge(task, _asker(function, task.function))
        notes = self._remember(result) if result.status != "not started" else []
        if function is None:
            notes.append(f"There is no function {task.function}: run the cell above.")
        lines = [(line.is_right, line.says, _with_case(line.message, line.seen_with)) for line in result.lines]
        return CheckCard(f"{task.name} · {task.title}", result.status, lines, notes)

    def _remember(self, result: TaskResult) -> list[str]:
        """Keep what came of it; return what else to say."""
        progress = self.progress or Progress()
        try:
            kept = progress.update(
                "exercises", f"{self.lesson}-{result.task.name}", lambda before: _entry(before, result)
            )
        except OSError as error:
            return [f"This could not be kept: {reason(error)} ({progress.path})."]
        return [f"Hint: {result.task.hint}"] if not result.is_right and kept["tries"] >= HINT_AFTER else []


def checker(lesson: str, namespace: Mapping, progress: Progress | None = None) -> Checker:
    """Return the `check` of an exercise notebook.

    Args:
        lesson: The number of the lesson, such as "11".
        namespace: Where the learner's functions are: `globals()`.
        progress: Where it is kept; by default the learner's own file.

    Raises:
        ValueError: There is no exercise of that number.

    Lesson: 01 · What LLMs can do

    >>> checker("11", {})("q99")
    ⬜ q99: not started.
      There is no task 'q99': use one of [...].
    """
    if not os.environ.get("COURSE_GRADING") and not (CHECKS / f"lesson_{lesson}.py").is_file():
        raise ValueError(f"lesson must be the number of a lesson with an exercise, such as '11', got {lesson!r}")
    return Checker(lesson, namespace, progress)


def _on_page(line: str) -> str:
    """Return a line that begins with a sign as HTML."""
    letter, colour = _BADGES[line[0]]
    style = f"background: {colour}; color: white; padding: 0 0.35em; border-radius: 0.25em"
    return f'<span style="{style}">{letter}</span>{html.escape(line[1:])}'


def _asker(function: object, name: str) -> Callable[[list], Answer]:
    if function is None:
        return lambda arguments: Answer(raised=NOT_STARTED)
    if not callable(function):
        return lambda arguments: Answer(problem=f"is no function: {name} is of type {type(function).__name__}.")
    stopped = []

    def ask(arguments: list) -> Answer:
        """Call it, until the learner presses stop: then the other cases are not tried."""
        if stopped:
            return stopped[0]
        answer = call(function, arguments)
        if answer.raised == "KeyboardInterrupt":
            stopped.append(answer)
        return answer

    return ask


def _entry(before: dict | None, result: TaskResult) -> dict:
    before = before or {}
    tries = before.get("tries", 0)
    # What was once solved stays solved, and the tries count until then.
    solved = bool(before.get("solved"))
    return {"solved": solved or result.is_right, "tries": tries if solved else tries + 1}


def _with_case(message: str, seen_with: str) -> str:
    return f"{message} (Seen with: {seen_with})" if message else ""
