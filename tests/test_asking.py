"""What the page asks always gets an answer: an interrupt stops it, and any error is one sentence."""

import _thread
import signal
import threading
import time

import pytest
import traitlets

from course_utils.widgets.base import STOPPED, AskingWidget, in_one_sentence


class Sleeper(AskingWidget):
    """Sleeps as many seconds as the page asks for, or raises what is there."""

    done = traitlets.Int(0)

    def answer(self, wanted):
        if isinstance(wanted, Exception):
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


@pytest.mark.parametrize(
    "error", [RuntimeError("no\nmemory"), KeyError("weights"), OSError(28, "disk full"), MemoryError()]
)
def test_an_unforeseen_error_is_one_sentence(error):
    sleeper = Sleeper()
    sleeper.asked = [1, error]
    assert sleeper.problem == in_one_sentence(error)
    assert "\n" not in sleeper.problem
    assert sleeper.answered == 1
