"""The stop button of a notebook, made to work on functions that swallow the interrupt."""

import _thread
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, FrameType

from course_utils.exercises.calling import unwrapped

EVERY = 0.001  # seconds between two interrupts, after the first


@contextmanager
def insistent_stop(function: Callable, caller: Callable) -> Iterator[threading.Event]:
    """Let an interrupt (the stop button, Ctrl+C) end `function`, which is called by `caller`, also in a bare `except:`.

    One KeyboardInterrupt is lost in `while True:` with `try: … except: pass`. So another is raised at the very next
    line, which is inside the `except:`, and both are raised again every millisecond until the function has ended.
    The event that this gives is set when there was an interrupt, whatever the function made of it.

    >>> with insistent_stop(len, print):
    ...     1 + 1
    2
    """
    pressed, ended = threading.Event(), threading.Event()
    if threading.current_thread() is not threading.main_thread():  # only there can signals be handled
        yield pressed
        return
    namespace = getattr(unwrapped(function), "__globals__", None)
    helper = threading.Thread(target=_interrupt, args=(ended,), daemon=True)

    def stop(signum: int, frame: FrameType | None) -> None:
        own = [one for one in _frames(frame, caller.__code__) if one.f_globals is namespace]
        if pressed.is_set() and not own:
            return  # it has ended
        for one in own:
            one.f_trace = once_more
        if own:
            sys.settrace(lambda *_: None)  # Python asks the frames above only while there is one for all
        if not pressed.is_set():
            pressed.set()
            helper.start()
        raise KeyboardInterrupt

    def once_more(frame: FrameType, event: str, argument: object) -> Callable:
        if event == "line":
            raise KeyboardInterrupt  # and with that, Python takes the tracing away
        return once_more

    before = signal.signal(signal.SIGINT, stop), sys.gettrace()
    try:
        yield pressed
    finally:
        ended.set()
        if pressed.is_set():
            helper.join()
            sys.settrace(before[1])
        signal.signal(signal.SIGINT, signal.default_int_handler if before[0] is None else before[0])


def _interrupt(ended: threading.Event) -> None:
    while not ended.wait(EVERY):
        _thread.interrupt_main()


def _frames(frame: FrameType | None, outermost: CodeType) -> Iterator[FrameType]:
    """Yield the frames from `frame` up to the one that runs `outermost`, without that; none if it isn't among them."""
    found = []
    while frame is not None and frame.f_code is not outermost:
        found.append(frame)
        frame = frame.f_back
    if frame is not None:
        yield from found
