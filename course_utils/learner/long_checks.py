"""A check that takes long: it says so while it runs, and a call that the grader would end is ended here, too."""

import _thread
import contextvars
import html
import signal
import sys
import threading
import time
from types import TracebackType

from course_utils.exercises.calling import CALL_SECONDS

NOTE_SECONDS = 5
LOOK_SECONDS = 0.5
_STOP = "To stop it, press ■ at the top (Kernel → Interrupt). If that doesn't help, restart the kernel."
_LIMIT = f"{CALL_SECONDS} seconds"


class LongCheck:
    """Watches a check from a thread of its own: `with LongCheck("q1 · Temperature") as watch: …`.

    After `NOTE_SECONDS` a note below the cell says what is running, how to stop it and when it's stopped by itself.
    A call that takes longer than `CALL_SECONDS` is interrupted; `is_over` tells that afterwards.

    One long step of Python's own, such as `sum(range(10**12))`, can neither be watched nor interrupted: only a restart
    of the kernel helps.

    Lesson: none (every exercise uses it).
    """

    def __init__(self, title: str) -> None:
        self.title, self.is_over = title, False
        # Only the main thread handles signals; and someone who debugs a function takes their time.
        self._may_interrupt = threading.current_thread() is threading.main_thread() and not _is_debugged()
        self._call, self._lock, self._done = "", threading.Lock(), threading.Event()
        self._note, self._out, self._is_seen = None, sys.stdout, _is_someone_there()
        self._cell = _cell()
        self._began = self._called = self._worked = 0.0
        context = contextvars.copy_context()  # where ipykernel keeps which cell an output belongs to
        self._thread = threading.Thread(target=context.run, args=(self._watch,), daemon=True)

    def __enter__(self) -> "LongCheck":
        self._began = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._done.set()
        self._thread.join()
        if took := self.took():
            self._show(f"{self.title}: {took}")

    def took(self) -> str:
        """Say how long it took, if there was a note; else ""."""
        if self._note is None:
            return ""
        limit = f" The grader gives one call of your function {_LIMIT}." if self._called else ""
        return f"This took {time.monotonic() - self._began:.0f} seconds.{limit}"

    def replace_note(self, data: dict[str, str]) -> bool:
        """Put something in the place of the note, if that is below the cell that runs now; say whether it was."""
        if self._note is None or self._cell != _cell() or isinstance(self._note, str):
            return False
        self._note.update(data, raw=True)
        return True

    def begin(self, call: str) -> None:
        """Say that the learner's function is called, and may be interrupted from now on."""
        with self._lock:
            self._call, self._called, self._worked = call, time.monotonic(), time.process_time()

    def end(self) -> None:
        """Say that it has answered: from now on it isn't interrupted."""
        with self._lock:
            self._call = ""

    def _watch(self) -> None:
        while not self._done.wait(LOOK_SECONDS):
            if self._is_seen and self._note is None and time.monotonic() - self._began >= NOTE_SECONDS:
                self._show(self._still_running())
            with self._lock:
                if self._may_interrupt and self._call and self._seconds() > CALL_SECONDS:
                    self.is_over = True
                    _interrupt()
                    return

    def _seconds(self) -> float:
        """Return the seconds of this call that count, as the grader counts them: less while others have the processor.

        But at least a third: a function may only be waiting.
        """
        passed = time.monotonic() - self._called
        return min(passed, max(time.process_time() - self._worked, passed / 3))

    def _still_running(self) -> str:
        what = f" The call is {self._call}. The grader gives one call {_LIMIT}" if self._call else ""
        what += (", and so does this notebook." if self._may_interrupt else ".") if what else ""
        return f"{self.title} is still running.{what} {_STOP}"

    def _show(self, text: str) -> None:
        """Show a note, or put this one in its place."""
        if self._out.isatty():  # not `print(text)`: that would count as the learner's
            print(text, file=self._out, flush=True)
            self._note = text
            return
        from IPython.display import display

        data = {"text/plain": text, "text/html": f'<p role="status">{html.escape(text)}</p>'}
        if self._note is None:
            self._note = display(data, raw=True, display_id=True)
        else:
            self._note.update(data, raw=True)


def _is_someone_there() -> bool:
    """Say whether a person can read a note now: a notebook that is executed as a whole must get the same outputs."""
    return sys.stdout.isatty() or bool(_request().get("content", {}).get("allow_stdin"))


def _cell() -> str:
    """Return which execution of a cell this is; "" without a kernel."""
    return _request().get("header", {}).get("msg_id", "")


def _request() -> dict:
    """Return what the page asked of the kernel."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return shell.get_parent() if hasattr(shell, "get_parent") else {}


def _is_debugged() -> bool:
    monitoring = getattr(sys, "monitoring", None)  # Python 3.12 and newer
    tool = monitoring.get_tool(monitoring.DEBUGGER_ID) if monitoring else None
    return sys.gettrace() is not None or tool is not None


def _interrupt() -> None:
    """Do what the stop button does."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)  # this ends a nap, too
    else:
        _thread.interrupt_main()
