"""Call a learner's function: whatever it does, an `Answer` comes of it."""

import contextlib
import inspect
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import FunctionType, TracebackType

import numpy as np

from course_utils.exercises.plain_data import NotPlainError, Settings, for_function, plain

LONGEST_MESSAGE = 200  # characters of an exception that are kept
LONGEST_PRINT = 2_000  # characters that are kept of what one call prints
CALL_SECONDS = 20  # that one call may take in the grader
UNTOUCHED = "is not written yet."
NOT_STARTED = "not started"  # takes the place of an exception's name: no exception of Python or torch is called so


@dataclass(frozen=True)
class Answer:
    """What came of one call.

    Args:
        value: What the function returned, as plain data.
        raised: The name of the exception it raised; "" if none, and `NOT_STARTED` for an untouched stub.
        problem: What went wrong, after "your function "; "" if nothing did.
        is_changed: Whether the function changed a tensor or list that it was given.
        printed: What it printed, at most `LONGEST_PRINT` characters of it.

    >>> Answer(3)
    Answer(value=3, raised='', problem='', is_changed=False, printed='')
    """

    value: object = None
    raised: str = ""
    problem: str = ""
    is_changed: bool = False
    printed: str = ""


def call(function: Callable, arguments: Sequence) -> Answer:
    """Call `function` with new copies of `arguments`, and the same random numbers each time.

    A function that is still the untouched stub of an exercise is not called: its answer is `NOT_STARTED`. So is that
    of a function which needs such a stub.

    Args:
        function: What the learner wrote.
        arguments: Plain data; arrays arrive as tensors, model names as models, `Settings` as keyword arguments.

    >>> call(lambda logits, temperature: logits / temperature, [np.array([1.0, 2.0]), 2]).value
    array([0.5, 1. ])
    >>> call(lambda number: 1 / number, [0]).problem
    'raises ZeroDivisionError: division by zero.'
    """
    import torch

    if is_stub(function):
        return Answer(raised=NOT_STARTED, problem=UNTOUCHED)
    printed = _Printed()
    given = [for_function(argument) for argument in arguments]
    has_settings = bool(arguments) and isinstance(arguments[-1], Settings)
    places, named = (given[:-1], given[-1]) if has_settings else (given, {})
    with torch.random.fork_rng(), contextlib.redirect_stdout(printed):
        torch.manual_seed(0)
        try:
            answer = Answer(plain(function(*places, **named)))
        except NotPlainError as error:
            answer = Answer(problem=str(error))
        except KeyboardInterrupt:
            answer = Answer(raised="KeyboardInterrupt", problem="was stopped before it answered.")
        except SystemExit:
            answer = Answer(raised="SystemExit", problem="ends the program: take out exit() and quit().")
        except BaseException as error:  # noqa: BLE001 - a learner's function may raise anything
            answer = _needs_a_stub(error) or Answer(raised=type(error).__name__, problem=_raises(error))
    return replace(answer, is_changed=_is_changed(given, arguments), printed=printed.text)


def is_stub(function: object) -> bool:
    """Say whether a function is an untouched stub: all it does is `raise NotImplementedError`.

    What it raises wouldn't tell: torch raises the same exception where it can't do something.

    >>> is_stub(_stub), is_stub(lambda values: values.long().softmax(-1))
    (True, False)
    """
    own = unwrapped(function)
    return own is not None and _does(own) == _does(_stub)


def stub_in(trace: TracebackType | None) -> str:
    """Return the name of the untouched stub in which a traceback ends; "" if it ends in something else.

    >>> def top_k(logits, k):
    ...     raise NotImplementedError
    >>> try:
    ...     top_k([1, 2], 1)
    ... except NotImplementedError as error:
    ...     stub_in(error.__traceback__)
    'top_k'
    """
    if trace is None:
        return ""
    while trace.tb_next is not None:
        trace = trace.tb_next
    code = trace.tb_frame.f_code
    return code.co_name if not code.co_freevars and is_stub(FunctionType(code, {})) else ""


def _needs_a_stub(error: BaseException) -> Answer | None:
    name = stub_in(error.__traceback__) if type(error) is NotImplementedError else ""
    return Answer(raised=NOT_STARTED, problem=f"needs {name}, which isn't written yet.") if name else None


def unwrapped(function: object) -> FunctionType | None:
    """Return the `def` inside decorators such as `@torch.inference_mode()`; None if there is none."""
    try:
        own = inspect.unwrap(function)
    except (Exception, SystemExit):  # noqa: BLE001 - a learner's object may do anything when it is asked
        return None
    return own if type(own) is FunctionType else None


def _does(function: FunctionType) -> tuple:
    return function.__code__.co_code, function.__code__.co_names


def _stub() -> None:
    raise NotImplementedError


class _Printed(io.TextIOBase):
    """Takes what is printed, and keeps only the beginning: an endless loop of prints needs no memory."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        room = LONGEST_PRINT - len(self.text)
        self.text += text[:room]
        if 0 < room < len(text):
            self.text = f"{self.text[:-1]}…"
        return len(text)


def _raises(error: BaseException) -> str:
    try:
        notes = getattr(error, "__notes__", [])  # such as the line in which it was raised
        message = " ".join(" ".join([str(error), *notes]).split())[:LONGEST_MESSAGE]
    except BaseException:  # noqa: BLE001 - the exception is the learner's, too
        message = ""
    if type(error) is NotImplementedError and not message:
        message = "take that line out when your answer is there"
    return f"raises {type(error).__name__}{': ' * bool(message)}{message}".rstrip(".") + "."


def _is_changed(given: list, arguments: Sequence) -> bool:
    try:
        return any(
            _differ(plain(own), before) for own, before in zip(given, arguments, strict=True) if _is_data(before)
        )
    except NotPlainError:
        return True


def _is_data(value: object) -> bool:
    return isinstance(value, list | dict | np.ndarray)


def _differ(own: object, before: object) -> bool:
    if isinstance(before, np.ndarray):
        return not isinstance(own, np.ndarray) or not np.array_equal(own, before, equal_nan=before.dtype.kind == "f")
    if isinstance(before, list):
        return not isinstance(own, list) or len(own) != len(before) or any(map(_differ, own, before))
    if isinstance(before, dict):
        return not isinstance(own, dict) or own.keys() != before.keys() or any(_differ(own[k], before[k]) for k in own)
    return type(before) in (bool, int, float, str) and (own != before and before == before)
