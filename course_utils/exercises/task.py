"""A task of an exercise: what is asked, what is right, and the usual mistakes with the sentence for each."""

import builtins
import functools
import inspect
import linecache
import textwrap
import types
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from course_utils.exercises.calling import NOT_STARTED, UNTOUCHED, Answer, call, unwrapped
from course_utils.exercises.comparing import Tolerance, difference, kind_of_difference
from course_utils.exercises.plain_data import ModelName, Settings, plain, written
from course_utils.exercises.showing import BREAK, as_code, beside, count, short

Cases = Callable[[np.random.Generator], Sequence[Sequence]]
LONGEST_CALL = 84  # characters of a call, and of an answer, that are shown
MOST_IN_CODE = 100  # values in a call and its right answer that are shown to the last digit
LONGEST_CODE = 1_500  # characters
WIDEST_CODE = 92  # where a line of it can be broken
MOST_KEPT = 2_000  # answers of a task's own functions


@dataclass(frozen=True)
class Check:
    """One line of a task: some calls whose answers must all be right.

    Args:
        says: What is right when they are, such as "keeps the token that crosses p".
        cases: `random → [(argument, …), …]`. Tensors may be among the arguments, `ModelName` stands for a model, and
            `Settings` as the last are keyword arguments.

    >>> Check("adds", lambda random: [(1, 2)]).arguments(np.random.default_rng(0))
    [[1, 2]]
    """

    says: str
    cases: Cases

    def arguments(self, random: np.random.Generator) -> list[list]:
        """Return the arguments of each call as plain data."""
        return [[_argument(value) for value in case] for case in self.cases(random)]


@dataclass(frozen=True)
class Mistake:
    """A usual mistake: the sentence for it, and a function that makes it.

    An answer is taken for this mistake when it equals what `function` returns in every call.
    """

    says: str
    function: Callable


@dataclass(eq=False)  # compared by identity: its mistakes are added after it is made
class Task:
    """One function to write, such as q1 of lesson 11.

    Args:
        name: "q1".
        title: As in the heading of the notebook.
        function: The name that the learner's function must have.
        right: A function that is right.
        checks: The lines of the card, the easy ones first. The answers to at least one depend on the seed.
        hint: One sentence; the card shows it after the second try.
        mistakes: The more special ones first, because the first that explains every answer is named. `mistake` and
            `patch` add one at the end.
        points: What it is worth.
        tolerance: How far numbers may be off.
        given: The modules of the course that the exercise imports. The grader's sandbox has no others, so that nobody
            imports what the task asks for. What a `ModelName` needs is there by itself.
        ready_made: Pieces of code that do by themselves what is asked, such as "TopKLogitsWarper". The grader lets a
            person look at a right answer in whose notebook one of them is.
        explain: Says what is wrong with an answer, in a sentence, given the answer, the right one and the arguments. It
            is for kinds of mistakes that no one function makes; "" leaves it to `difference`.
    """

    name: str
    title: str
    function: str
    right: Callable
    checks: tuple[Check, ...]
    hint: str
    mistakes: tuple[Mistake, ...] = ()
    points: int = 2
    tolerance: Tolerance = field(default_factory=Tolerance)
    given: tuple[str, ...] = ()
    ready_made: tuple[str, ...] = ()
    explain: Callable[[Answer, Answer, list], str] = lambda own, right, case: ""
    _kept: dict[tuple[Callable, str], Answer] = field(default_factory=dict, init=False, repr=False)

    def arguments(self, seed: int) -> list[list[list]]:
        """Return the arguments of each call of each check; the same for the same seed."""
        random = np.random.default_rng([seed, zlib.crc32(self.name.encode())])
        return [check.arguments(random) for check in self.checks]

    def mistake(self, says: str) -> Callable[[Callable], Callable]:
        """Add a usual mistake: the decorator of a function that makes it, which stays what it is.

        Args:
            says: The sentence for it.

        >>> double = Task("q1", "Double", "double", lambda x: 2 * x, (), "Add it to itself.")
        >>> @double.mistake("You square it.")
        ... def squared(x):
        ...     return x * x
        >>> double.mistake("You halve it.")(lambda x: x / 2)(6), [mistake.says for mistake in double.mistakes]
        (3.0, ['You square it.', 'You halve it.'])
        """

        def add(function: Callable) -> Callable:
            self.mistakes = (*self.mistakes, Mistake(says, function))
            return function

        return add

    def patch(self, says: str, *pieces: str) -> Callable:
        """Add a usual mistake that is the right answer with pieces of its text replaced; return its function.

        Args:
            says: The sentence for it.
            pieces: A piece of the text of `right` and what replaces it; then, if need be, another two, and so on.

        Raises:
            ValueError: A piece isn't there exactly once or has no other, or `right` isn't a `def` outside of any other.

        >>> text = Task("q1", "Text", "call_text", call_text, (), "Join the arguments by commas.")
        >>> without_comma = text.patch("The comma is missing.", "', '.join", "' '.join")
        >>> without_comma("top_k", [3, 4]), call_text("top_k", [3, 4])
        ('top_k(3 4)', 'top_k(3, 4)')
        """
        return self.mistake(says)(_patched(self, pieces))


@dataclass(frozen=True)
class Prose:
    """A question that a person marks.

    Args:
        name: The `grade_id` of its cell.
        title: As in the heading of the notebook.
        points: What it is worth.
        look_for: What a full answer says; the moderation sheet shows it.
    """

    name: str
    title: str
    points: int
    look_for: str


@dataclass(frozen=True)
class Seen:
    """The first call with which a check showed that something is wrong, as texts.

    Args:
        call: The call.
        yours: What came of it.
        expected: What should have.
        printed: What the function printed meanwhile.
        code: The call and the right answer as Python, to the last digit; "" where that would be too long.
    """

    call: str
    yours: str
    expected: str
    printed: str = ""
    code: str = ""


@dataclass(frozen=True)
class Line:
    """What came of one check.

    Args:
        says: The check's own words.
        is_right: Whether all its answers are.
        message: What is wrong, in a sentence; "" when nothing is, or when the line before said it.
        told: The same for anyone who must not know the inputs: it holds no value, and no word of the learner's own.
            Otherwise a function could send the inputs out, in an exception, and get the right answers back.
        seen: Where it showed; None when nothing is wrong.
    """

    says: str
    is_right: bool
    message: str = ""
    told: str = ""
    seen: Seen | None = None


@dataclass(frozen=True)
class TaskResult:
    """What came of all checks of a task: its status is "right", "wrong" or "not started"."""

    task: Task
    status: str
    lines: tuple[Line, ...]

    @property
    def is_right(self) -> bool:
        """Whether every check passed."""
        return self.status == "right"


def judge(task: Task, ask: Callable[[list], Answer], seed: int = 0) -> TaskResult:
    """Ask a function for its answers in every case of `task`, and judge them.

    Args:
        task: The task.
        ask: `arguments → Answer`; it calls the learner's function, here or elsewhere.
        seed: Where the inputs come from.

    >>> double = Task("q1", "Double", "double", lambda x: 2 * x, (Check("doubles", lambda random: [(3,)]),),
    ...               "Add it to itself.", (Mistake("You square it.", lambda x: x * x),))
    >>> judge(double, lambda arguments: call(lambda x: x * x, arguments)).lines[0].message
    'You square it.'
    """
    arguments = _drawn(task, seed)
    answers = [[ask(list(case)) for case in cases] for cases in arguments]
    if all(answer.raised == NOT_STARTED for group in answers for answer in group):
        needs = next((one.problem for group in answers for one in group if one.problem != UNTOUCHED), "")
        first, *others = [Line(check.says, False) for check in task.checks]
        if needs:  # the name of a stub is the learner's own word, so it isn't told
            first = Line(first.says, False, f"Your function {needs}", "Your function needs one that isn't written yet.")
        return TaskResult(task, "not started", (first, *others))
    right = [[_own(task, task.right, case) for case in cases] for cases in arguments]
    wrong = [
        [_wrong(task, *called) for called in zip(*groups, strict=True)]
        for groups in zip(arguments, answers, right, strict=True)
    ]
    if not any(filter(None, (sentence for group in wrong for sentence in group))):
        return TaskResult(task, "right", tuple(Line(check.says, True) for check in task.checks))
    named = _mistake(task, arguments, answers)
    lines, said = [], set()
    for check, cases, owns, wanted, sentences in zip(task.checks, arguments, answers, right, wrong, strict=True):
        first = next((index for index, sentence in enumerate(sentences) if sentence), None)
        if first is None:
            lines.append(Line(check.says, True))
            continue
        message = named or sentences[first]
        told = named or f"Your function {_without_values(owns[first], wanted[first])}"
        messages = [text if text not in said else "" for text in (message, told)]
        lines.append(Line(check.says, False, *messages, _seen(task, cases[first], owns[first], wanted[first])))
        said |= {message, told}
    return TaskResult(task, "wrong", tuple(lines))


def load_tasks(file: Path) -> tuple[tuple[Task, ...], tuple[Prose, ...]]:
    """Return the `TASKS` and the `PROSE` of a file of checks: the same ones until the file changes.

    Raises:
        ValueError: The file cannot be run, or has no tasks.
    """
    if file.suffix != ".py" or not file.is_file():
        raise ValueError(f"checks must be a Python file with TASKS, got {str(file)!r}")
    return _tasks_in(file, file.read_bytes())


@functools.lru_cache(maxsize=32)
def _tasks_in(file: Path, text: bytes) -> tuple[tuple[Task, ...], tuple[Prose, ...]]:
    module = types.ModuleType(f"checks_of_{file.stem}")
    module.__file__ = str(file)
    try:
        exec(compile(text, str(file), "exec", dont_inherit=True), vars(module))
    except Exception as error:
        raise ValueError(f"checks must be a Python file that runs, got {str(file)!r}: {error}") from error
    tasks = tuple(getattr(module, "TASKS", ()))
    if not tasks or not all(isinstance(task, Task) for task in tasks):
        raise ValueError(f"checks must be a Python file with TASKS, got {str(file)!r}")
    return tasks, tuple(getattr(module, "PROSE", ()))


def _patched(task: Task, pieces: Sequence[str]) -> Callable:
    """Return the right answer of a task with pieces of its text replaced."""
    right = unwrapped(task.right)
    if right is None or right.__name__ == "<lambda>" or right.__closure__:
        raise ValueError(f"right must be a `def` outside of any other to be patched, got {task.right!r} in {task.name}")
    if not pieces or len(pieces) % 2:
        raise ValueError(f"pieces must come in pairs, what is replaced and by what, got {pieces!r} in {task.name}")
    text = textwrap.dedent(inspect.getsource(right))
    for old, new in zip(pieces[::2], pieces[1::2], strict=True):
        if text.count(old) != 1:
            raise ValueError(
                f"a piece to patch must be in the right answer of {task.name} once, got {old!r}: "
                f"it's there {text.count(old)} times"
            )
        text = text.replace(old, new)
    name = f"<mistake {len(task.mistakes) + 1} of {task.name}, {right.__code__.co_filename}>"
    linecache.cache[name] = len(text), None, text.splitlines(keepends=True), name  # for tracebacks
    namespace = dict(right.__globals__)  # a copy: the right answer keeps its own name
    exec(compile(text, name, "exec", dont_inherit=True), namespace)
    return namespace[right.__name__]


@functools.lru_cache(maxsize=100)
def _drawn(task: Task, seed: int) -> list[list[list]]:
    # Nothing can change them: each function gets copies, and a worker gets them as text.
    return task.arguments(seed)


def _argument(value: object) -> object:
    """Return an argument as plain data; a model stays a name."""
    if isinstance(value, ModelName):
        return value
    if isinstance(value, Settings):
        return Settings(plain(dict(value)))
    if isinstance(value, list | tuple):
        return [_argument(item) for item in value]
    return plain(value)


def _own(task: Task, function: Callable, case: list) -> Answer:
    """Call a function of the checks, once for the same arguments.

    A learner who presses stop meanwhile stops everything.
    """
    key = function, written(case)
    if key in task._kept:
        return task._kept[key]
    answer = call(function, case)
    if answer.raised == "KeyboardInterrupt":
        raise KeyboardInterrupt
    if not answer.raised:  # an exception may be the machine's fault, and be gone the next time
        if len(task._kept) >= MOST_KEPT:
            task._kept.clear()
        task._kept[key] = answer
    return answer


def _wrong(task: Task, case: list, own: Answer, right: Answer) -> str:
    """Return what is wrong with an answer, in a sentence; "" if nothing is."""
    problem = _problem(own, right, task)
    return problem and (task.explain(own, right, case) or f"Your function {problem}")


def _problem(own: Answer, right: Answer, task: Task) -> str:
    """Return what is wrong with an answer, after "Your function "; "" if nothing is."""
    if right.raised:
        if own.raised == right.raised:
            return ""
        asked = f"must raise {right.raised} here"
        return f"{asked}, and {own.problem}" if own.problem else f"{asked}, and returns {short(own.value)}."
    if own.problem:
        return own.problem
    if own.is_changed and not right.is_changed:
        return "changes what it is given: work on a copy (`tensor.clone()`, `list(values)`)."
    return difference(own.value, right.value, task.tolerance)


def _without_values(own: Answer, right: Answer) -> str:
    """Return what is wrong with a wrong answer, as `_wrong` does, for anyone who must not know the inputs."""
    if own.raised in ("SystemExit", "KeyboardInterrupt"):
        return "ends the program: take out exit() and quit()."
    if own.raised and own.raised != NOT_STARTED:
        return f"raises {own.raised}." if _is_pythons_own(own.raised) else "raises an exception."
    if own.problem:
        return "gives no answer that can be checked."
    if right.raised:
        return "returns something where an exception is asked for."
    if own.is_changed and not right.is_changed:
        return "changes what it is given: work on a copy (`tensor.clone()`, `list(values)`)."
    return kind_of_difference(own.value, right.value)


def _is_pythons_own(exception: str) -> bool:
    # The name of any other class is the learner's own word: it could spell an input.
    kind = getattr(builtins, exception, None)
    return isinstance(kind, type) and issubclass(kind, BaseException)


def _mistake(task: Task, arguments: list, answers: list) -> str:
    """Return the sentence of the mistake that explains every answer; "" if none does."""
    calls = [
        (case, own)
        for cases, group in zip(arguments, answers, strict=True)
        for case, own in zip(cases, group, strict=True)
    ]
    for mistake in task.mistakes:
        if all(_same(own, _own(task, mistake.function, case), task) for case, own in calls):
            return mistake.says
    return ""


def _same(own: Answer, other: Answer, task: Task) -> bool:
    if own.problem or other.problem:
        return own.raised == other.raised and (bool(own.raised) or own.problem == other.problem)
    return own.is_changed == other.is_changed and not _either(own.value, other.value, task)


def _either(own: object, other: object, task: Task) -> str:
    # A mistake may return nothing, too, and then nothing is what agrees.
    return "" if own is None and other is None else difference(own, other, task.tolerance)


def _seen(task: Task, case: list, own: Answer, right: Answer) -> Seen:
    shown = call_text(task.function, case)
    if own.problem or right.problem:
        yours, expected = (_problem_text(answer) or short(answer.value, LONGEST_CALL) for answer in (own, right))
    else:
        yours, expected = beside(own.value, right.value, LONGEST_CALL)
    return Seen(shown, yours, expected, own.printed, _code(task, case, right))


def _code(task: Task, case: list, right: Answer) -> str:
    values = [*case, right.value]
    if any(isinstance(value, ModelName) for value in case) or sum(map(count, values)) > MOST_IN_CODE:
        return ""
    call = f"{task.function}({f',{BREAK}'.join(map(as_code, case))})"
    lines = [call] if right.problem else [f"expected = {as_code(right.value)}", call]
    code = "\n".join(line for text in lines for line in _lines(text))
    return code if len(code) <= LONGEST_CODE else ""


def _lines(code: str) -> list[str]:
    """Fill lines with code, broken only where it may be."""
    lines = [""]
    for piece in code.split(BREAK):
        if lines[-1] and len(lines[-1]) + 1 + len(piece) > WIDEST_CODE:
            lines.append(f"    {piece}")
        else:
            lines[-1] += f" {piece}" if lines[-1] else piece
    return lines


def _problem_text(answer: Answer) -> str:
    text = answer.problem.rstrip(".")
    return text if len(text) <= LONGEST_CALL else f"{text[: LONGEST_CALL - 1]}…"


def call_text(function: str, case: list) -> str:
    """Return a call as a learner would write it, in one line: long arguments are shortened until it fits.

    With settings it may take more lines: which ones there are is what the learner must see.

    >>> call_text("top_k", [np.zeros(2), 3])
    'top_k(tensor([0, 0]), 3)'
    >>> call_text("generate", [ModelName("practice.model"), Settings(seed=3, filters=[["top_k", 5]])])
    "generate(<model>, seed=3, filters=[['top_k', 5]])"
    """
    if case and isinstance(case[-1], Settings):
        texts = [_argument_text(value, 30) for value in case[:-1]]
        texts += [f"{name}={short(setting)}" for name, setting in case[-1].items()]
        return "\n".join(_lines(f"{function}({f',{BREAK}'.join(texts)})"))
    for longest in range(LONGEST_CALL, 10, -6):
        text = f"{function}({', '.join(_argument_text(value, longest) for value in case)})"
        if len(text) <= LONGEST_CALL:
            break
    return text


def _argument_text(value: object, longest: int) -> str:
    return f"<{value.name.rpartition('.')[2]}>" if isinstance(value, ModelName) else short(value, longest)
