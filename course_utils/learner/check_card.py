"""`check("q1")` in an exercise notebook: what passes, what does not and why, kept in the progress file."""

import html
import os
import re
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FunctionType, ModuleType

from course_utils.exercises.calling import CALL_SECONDS, Answer, call, is_stub, unwrapped
from course_utils.exercises.plain_data import ModelName
from course_utils.exercises.sources import module_file, source_files
from course_utils.exercises.task import NOT_STARTED, Prose, Seen, Task, TaskResult, call_text, judge, load_tasks
from course_utils.learner.long_checks import LongCheck
from course_utils.learner.markup import html_link
from course_utils.learner.not_written import explain_stubs
from course_utils.learner.progress import Progress, reason
from course_utils.learner.room import share
from course_utils.learner.stop_button import insistent_stop

ROOT = Path(__file__).resolve().parents[2]
CHECKS = ROOT / "course_utils" / "exercises" / "lessons"
HINT_AFTER = 2  # tries that failed
PRINTED_LINES = 12
_SIGNS = {"right": "✅", "wrong": "❌", "not started": "⬜", "stopped": "⬜"}
# On a page: the same three, by letters that every font has. Without a font for emoji all three would be an empty box.
_BADGES = {"✅": ("✓", "#007a58"), "❌": ("✗", "#c04a00"), "⬜": ("○", "#6b6b6b")}
_TRY = "To try it yourself, in a cell of your own:"
_A_NOTEBOOK = re.compile(r"(?:notebooks|exercises|solutions)/[\w.]+\.ipynb")
_LABEL = 11  # characters
_BLOCK = "margin: 0.3em 0 0.6em 1.6em; white-space: pre-wrap; overflow-wrap: anywhere"


class CheckCard:
    """What a check found: ✅, ❌ or ⬜ (not started), one line per check, where it showed, and what comes next.

    Made by `check("q1")`. Lesson: 01 · What LLMs can do
    """

    def __init__(
        self,
        title: str,
        status: str,
        lines: list[tuple[bool, str, str, Seen | None]],
        notes: list[str],
        printed: tuple[str, str] = ("", ""),
        watch: LongCheck | None = None,
    ) -> None:
        self.title, self.status, self.lines, self.notes, self._watch = title, status, lines, notes, watch
        self.notes += [watch.took()] if watch and watch.took() else []
        self.printed = (printed[0], _first_lines(printed[1]))

    @property
    def is_right(self) -> bool:
        """Whether every check passed."""
        return self.status == "right"

    @property
    def right(self) -> int:
        """How many checks passed."""
        return sum(is_right for is_right, *_ in self.lines)

    @property
    def message(self) -> str:
        """The first sentence about what is wrong; "" if nothing is."""
        return next((message for _, _, message, _ in self.lines if message), "")

    def _head(self) -> str:
        counted = f"{self.right} of {len(self.lines)} checks pass" if self.status in ("right", "wrong") else self.status
        return f"{_SIGNS[self.status]} {self.title}: {counted}."

    def _line(self, is_right: bool, says: str, message: str) -> str:
        sign = "✅" if is_right else "❌" if self.status == "wrong" else "⬜"
        message = message or "The same cause." * (sign == "❌")
        return f"{sign} {says}{f': {message}' if message else ''}"

    def _code(self) -> str:
        """Return code for the first call that shows a mistake and isn't too long."""
        return next((seen.code for *_, seen in self.lines if seen and seen.code), "")

    def __repr__(self) -> str:
        shown = [self._head()]
        for *line, seen in self.lines:
            shown += _wrapped(self._line(*line)) + textwrap.indent(_block(seen), "     ").splitlines()
        shown += [line for note in self.notes for line in _wrapped(note)]
        if code := self._code():
            shown += [f"  {_TRY}", *textwrap.indent(code, "     ").splitlines()]
        if self.printed[1]:
            shown += [f"  Printed by {self.printed[0]}:", *textwrap.indent(self.printed[1], "     ").splitlines()]
        return _encodable("\n".join(shown))

    def _ipython_display_(self) -> None:
        """Take the place of the note that a long check showed; else IPython shows the card as anything else."""
        data = {"text/plain": repr(self), "text/html": self._repr_html_()}
        if self._watch is None or not self._watch.replace_note(data):
            raise NotImplementedError

    def _repr_html_(self) -> str:
        items = "".join(f"<li>{_on_page(self._line(*line))}{_pre(_block(seen))}</li>" for *line, seen in self.lines)
        items = f'<ul style="list-style: none; padding-left: 1em">{items}</ul>' if items else ""
        code = f'<pre style="white-space: pre; overflow-x: auto">{html.escape(self._code())}</pre>'
        code = f"<details><summary>{_TRY}</summary>{code}</details>"
        printed = f"<p>Printed by <code>{html.escape(self.printed[0])}</code>:</p>{_pre(self.printed[1])}"
        notes = "".join(f"<p>{_linked(note)}</p>" for note in self.notes) + code * bool(self._code())
        page = f"<div><p><strong>{_on_page(self._head())}</strong></p>{items}{notes}{printed * bool(self.printed[1])}"
        return _encodable(f"{page}</div>")


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
        tasks, prose = load_tasks(CHECKS / f"lesson_{self.lesson}.py")
        task = next((task for task in tasks if task.name == name), None)
        if task is None:
            return CheckCard(str(name), "not started", [], [_not_a_task(name, tasks, prose)])
        function = self.namespace.get(task.function)

        def notes(result: TaskResult) -> list[str]:
            said = []
            if result.status != "not started":
                borrowed = _borrowed(function, task)
                said = [*self._remember(result), *borrowed]
                said += self._passed(task, tasks, prose) if result.is_right and not borrowed else []
            return said + [f"There is no function {task.function}: run the cell above."] * (function is None)

        return judged(task, function, f"{task.name} · {task.title}", notes)

    def _remember(self, result: TaskResult) -> list[str]:
        """Keep what came of it; return what else to say."""
        progress, task = self.progress or Progress(), result.task
        try:
            kept = progress.update("exercises", f"{self.lesson}-{task.name}", lambda before: _entry(before, result))
        except OSError as error:
            return [f"This couldn't be saved: {reason(error)} ({progress.path})."]
        # The room gets the sentence that holds no value and no word of the learner's own.
        told = next((line.told for line in result.lines if line.told), "")
        shared = share(progress, f"{self.lesson}-{task.name}", result.status, told)
        hint = [f"Hint: {task.hint}"] if not result.is_right and kept["tries"] >= HINT_AFTER else []
        return hint + [shared] * bool(shared)

    def _passed(self, task: Task, tasks: tuple[Task, ...], prose: tuple[Prose, ...]) -> list[str]:
        """Say what a full pass is worth, what comes next, and where a solution is."""
        later = [*tasks[tasks.index(task) + 1 :], *prose]
        after = f"Next: {later[0].name} · {later[0].title}." if later else "That was the last task."
        notes = [f"{task.points} of {task.points} points. {after}"]
        if solution := _notebook("solutions", self.lesson):
            notes.append(f"A solution to compare yours with: {solution}")
        if task is tasks[-1] and (lesson := _notebook("notebooks", f"{int(self.lesson) + 1:02}")):
            notes.append(f"After this exercise: {lesson}")
        return notes


def judged(
    task: Task, function: object, title: str, notes: Callable[[TaskResult], list[str]] = lambda result: []
) -> CheckCard:
    """Judge a learner's function, which may be stopped meanwhile, and return the card.

    Args:
        task: What it is judged by.
        function: What the learner wrote; None if there is nothing.
        title: What the card begins with.
        notes: What else the card says, given what came of it; not asked when the function was stopped.

    Lesson: none (every exercise uses it).
    """
    with LongCheck(title) as watch:
        asker = _Asker(function, task.function, watch)
        try:
            result = judge(task, asker)
        except KeyboardInterrupt:
            return CheckCard(title, "stopped", [], [asker.stopped(), _NOTHING_LOST], asker.printed, watch)
    said = notes(result)
    lines = [(line.is_right, line.says, line.message, line.seen if line.message else None) for line in result.lines]
    is_shown = any(seen and seen.printed for *_, seen in lines)
    return CheckCard(title, result.status, lines, said, ("", "") if is_shown else asker.printed, watch)


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
    if not os.environ.get("COURSE_GRADING"):
        if not (CHECKS / f"lesson_{lesson}.py").is_file():
            raise ValueError(f"lesson must be the number of a lesson with an exercise, such as '11', got {lesson!r}")
        explain_stubs({task.function: task.name for task in load_tasks(CHECKS / f"lesson_{lesson}.py")[0]})
    return Checker(lesson, namespace, progress)


class _Asker:
    """Calls the learner's function, and remembers what it was asked last and what it printed first."""

    def __init__(self, function: object, name: str, watch: LongCheck) -> None:
        self.function, self.name, self.watch, self.running, self.printed = function, name, watch, "", ("", "")

    def __call__(self, arguments: list) -> Answer:
        if self.function is None:
            return Answer(raised=NOT_STARTED)
        if not callable(self.function):
            return Answer(problem=f"is no function: {self.name} is of type {type(self.function).__name__}.")
        if not is_stub(self.function):
            for argument in arguments:
                if isinstance(argument, ModelName):
                    argument.load()  # once; the time that it takes isn't the function's
        self.running = call_text(self.name, arguments)
        with insistent_stop(self.function, call) as pressed:
            self.watch.begin(self.running)
            try:
                answer = call(self.function, arguments)
            finally:
                self.watch.end()
        is_stopped = pressed.is_set() or answer.raised == "KeyboardInterrupt"
        if answer.printed and (is_stopped or not self.printed[1]):
            self.printed = (self.running, answer.printed)
        if is_stopped:  # the learner pressed stop: the other cases are not tried
            raise KeyboardInterrupt
        self.running = ""
        return answer

    def stopped(self) -> str:
        if not self.running:
            return "The check was stopped."
        if self.watch.is_over:
            limit = f"more than the {CALL_SECONDS} seconds that the grader gives it"
            return f"Your function was stopped: it took {limit}. Does its loop end? The call was {self.running}."
        return f"Your function was stopped before it answered. The call was {self.running}."


_NOTHING_LOST = "Nothing is lost: what you solved stays solved, and this does not count as a try."


def _not_a_task(name: object, tasks: tuple[Task, ...], prose: tuple[Prose, ...]) -> str:
    if any(question.name == name for question in prose):
        return "This one is answered in words: a person reads it."
    return f"There is no task {name!r}: use one of {[task.name for task in tasks]}."


def _notebook(folder: str, lesson: str) -> str:
    """Return the name of a lesson's notebook in the course; "" if it has none."""
    file = next((ROOT / folder).glob(f"{lesson}_*.ipynb"), None)
    return file.relative_to(ROOT).as_posix() if file else ""


def _linked(note: str) -> str:
    """Return a note as HTML, with a link to each notebook that is there, as seen from this one."""

    def link(found: re.Match) -> str:
        return html_link(found[0], f"../{found[0]}") if Path("..", found[0]).is_file() else found[0]

    return _A_NOTEBOOK.sub(link, html.escape(note))


def _borrowed(function: object, task: Task) -> list[str]:
    """Say so if the work is done by a function of the course: in the grader's sandbox there is none."""
    own = unwrapped(function)
    if own is None:
        return []
    names = own.__code__.co_names
    used = [own, *(own.__globals__.get(name) for name in names)]
    homes = [f"{one.__module__}.{one.__name__}" for one in used if type(one) in (FunctionType, type)]
    homes += [one.__name__ for one in used if isinstance(one, ModuleType)] + [*names]
    for home in (home for home in homes if home.startswith("course_utils.") and ".models" not in home):
        module = home if module_file(home) else home.rpartition(".")[0]
        if module_file(module) not in source_files(task.given):
            return [f"This uses {home}, which the grader does not have: there it gives no points. Write it yourself."]
    return []


def _wrapped(text: str) -> list[str]:
    return [f"  {line}" for line in textwrap.wrap(text, 100, subsequent_indent="   ", break_on_hyphens=False)]


def _block(seen: Seen | None) -> str:
    """Return the call, the learner's answer, the right one and what was printed, below each other."""
    if seen is None:
        return ""
    rows = [("seen with", seen.call), ("yours", seen.yours), ("expected", seen.expected)]
    rows += [("printed", _first_lines(seen.printed))] * bool(seen.printed)
    return "\n".join(name.ljust(_LABEL) + text.replace("\n", "\n" + " " * _LABEL) for name, text in rows)


def _pre(text: str) -> str:
    """Return lines as they are; where one is too long for the page, it continues below its own text."""
    style = f"display: block; padding-left: {_LABEL}ch; text-indent: -{_LABEL}ch"
    lines = "".join(f'<span style="{style}">{html.escape(line)}</span>' for line in text.splitlines())
    return f'<pre style="{_BLOCK}">{lines}</pre>' if text else ""


def _first_lines(text: str) -> str:
    lines = text.rstrip().splitlines()
    return "\n".join([*lines[:PRINTED_LINES], *(["…"] if len(lines) > PRINTED_LINES else [])])


def _encodable(text: str) -> str:
    """Return a text without half surrogates: a page cannot hold them."""
    return text.encode("utf-8", "replace").decode()


def _on_page(line: str) -> str:
    """Return a line that begins with a sign as HTML."""
    letter, colour = _BADGES[line[0]]
    style = f"background: {colour}; color: white; padding: 0 0.35em; border-radius: 0.25em"
    return f'<span style="{style}">{letter}</span>{html.escape(line[1:])}'


def _entry(before: dict | None, result: TaskResult) -> dict:
    before = before or {}
    tries = before.get("tries", 0)
    # What was once solved stays solved, and the tries count until then.
    solved = bool(before.get("solved"))
    return {"solved": solved or result.is_right, "tries": tries if solved else tries + 1}
