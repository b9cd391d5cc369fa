"""The stop button of a notebook, made to work on functions that swallow the interrupt."""

import _thread
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, FrameType

from course_utils.answers.calling import unwrapped


@contextmanager
def insistent_stop(function: Callable, caller: Callable) -> Iterator[None]:
    """Let an interrupt (the stop button, Ctrl+C) end `function`, which is called by `caller`, also in a bare `except:`.

    One KeyboardInterrupt is lost in `while True:` with `try: … except: pass`. So another is raised at the very next
    line, which is inside the `except:`, and so on until the function has ended.

    >>> with insistent_stop(len, print):
    ...     1 + 1
    2
    """
    if threading.current_thread() is not threading.main_thread():  # only there can signals be handled
        yield
        return
    namespace, stopped = getattr(unwrapped(function), "__globals__", None), threading.Event()

    def stop(signum: int, frame: FrameType | None) -> None:
        own = [one for one in _frames(frame, caller.__code__) if one.f_globals is namespace]
        if stopped.is_set() and not own:
            return  # it has ended
        stopped.set()
        for one in own:
            one.f_trace = once_more
        if own:
            sys.settrace(lambda *_: None)  # Python asks the frames above only while there is one for all
        raise KeyboardInterrupt

    def once_more(frame: FrameType, event: str, argument: object) -> Callable:
        if event == "line":
            _thread.interrupt_main()  # raising here ends the tracing: `stop` is to begin it again
            raise KeyboardInterrupt
        return once_more

    before = signal.signal(signal.SIGINT, stop), sys.gettrace()
    try:
        yield
    finally:
        if stopped.is_set():
            sys.settrace(before[1])
        signal.signal(signal.SIGINT, signal.default_int_handler if before[0] is None else before[0])


def _frames(frame: FrameType | None, outermost: CodeType) -> Iterator[FrameType]:
    """Yield the frames from `frame` up to the one that runs `outermost`, without that; none if it isn't among them."""
    found = []
    while frame is not None and frame.f_code is not outermost:
        found.append(frame)
        frame = frame.f_back
    if frame is not None:
        yield from found
