"""What the page asks always gets an answer: an interrupt stops it, and any error is one sentence."""

import _thread
import asyncio
import signal
import threading
import time

import anywidget
import pytest
import traitlets

from course_utils.widgets.base import STOPPED, AskingWidget, in_one_sentence


class Sleeper(AskingWidget):
    """Sleeps as many seconds as the page asks for, or raises what is there."""

    done = traitlets.Int(0)

    def answer(self, wanted):
        if isinstance(wanted, BaseException):
            raise wanted
        end = time.monotonic() + wanted
        while time.monotonic() < end:
            time.sleep(0.01)
        self.done += 1


@pytest.fixture
def heard():
    """Interrupts are heard, also where the tests run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heard")
def test_an_interrupt_stops_the_work_and_the_next_press_works():
    sleeper = Sleeper()
    for press in (1, 3):
        threading.Timer(0.2, _thread.interrupt_main).start()
        sleeper.asked = [press, 60]
        assert (sleeper.problem, sleeper.answered) == (STOPPED, press)
        sleeper.asked = [press + 1, 0]
        assert (sleeper.problem, sleeper.answered) == ("", press + 1)
    assert sleeper.done == 2


class OfOnesOwn(BaseException):
    """Not an Exception, and it can't even be printed."""

    def __str__(self):
        raise SystemExit


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("no\nmemory"), KeyError("weights"), OSError(28, "disk full"), MemoryError(),
        SystemExit("bye"), SystemExit(), asyncio.CancelledError(), GeneratorExit(), OfOnesOwn("x"),
    ],
)  # fmt: skip
def test_an_unforeseen_error_is_one_sentence(error):
    sleeper = Sleeper()
    sleeper.asked = [1, error]
    assert sleeper.problem == in_one_sentence(error)
    assert "\n" not in sleeper.problem
    assert sleeper.answered == 1


@pytest.mark.parametrize("error", [SystemExit("bye"), asyncio.CancelledError(), KeyboardInterrupt(), ValueError("no")])
def test_what_is_raised_while_a_message_is_taken_is_answered_too(error, monkeypatch):
    """Before `answer` is called: an interrupt comes when it likes, and an observer may call a learner's function."""

    def fails(widget, state):
        raise error

    sleeper = Sleeper()
    monkeypatch.setattr(anywidget.AnyWidget, "set_state", fails)
    sleeper.set_state({"asked": [4, 0]})
    assert (sleeper.answered, sleeper.done) == (4, 0)
    assert sleeper.problem == (STOPPED if isinstance(error, KeyboardInterrupt) else in_one_sentence(error))
