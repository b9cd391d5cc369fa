"""A conversation with one worker: it gets cells and calls, and may do whatever it likes with them."""

import contextlib
import json
import os
import select
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

from course_utils.exercises.calling import LONGEST_MESSAGE, Answer
from course_utils.exercises.plain_data import NotPlainError, read, written
from course_utils.exercises.task import NOT_STARTED
from course_utils.grading.family import Family
from course_utils.grading.limits import Clock, Limits
from course_utils.grading.sandbox import worker_command, worker_environment

WATCH_SECONDS = 0.1  # between two looks at one process, which the system bounds as well
WATCH_MANY_SECONDS = 0.02  # at several, which it doesn't
ALONE = 2  # processes: bubblewrap's and the worker


class WorkerError(RuntimeError):
    """The worker could not be started: no submission is to blame."""


@dataclass
class Session:
    """One worker with the cells of a submission, for one task.

    Args:
        cells: The code cells.
        function: The name of the function that is called.
        limits: What it may use.
        is_sandboxed: Whether it runs in the sandbox.
        given: The modules of the course that are there.
        clock: What is left of the time for all tasks of the submission.

    `incident` says in one sentence what ended it before its time; "" if nothing did. `stage` is "cells" until all of
    them have run, then "calls"; "over" when the submission's time is up. `left_out` names the magics and shell commands
    that can't work in a sandbox.
    """

    cells: list[str]
    function: str
    limits: Limits = field(default_factory=Limits)
    is_sandboxed: bool = True
    given: tuple[str, ...] = ()
    clock: Clock | None = None
    incident: str = ""
    stage: str = "cells"
    failures: dict[str, str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    found: bool = False
    _buffer: bytes = b""

    def __post_init__(self) -> None:
        self.clock = self.clock or Clock(self.limits.submission_seconds)

    def __enter__(self) -> "Session":
        """Start the worker and run the cells."""
        self._family = Family(
            worker_command(self.is_sandboxed, self.given), worker_environment(), self.is_sandboxed,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0,
        )  # fmt: skip
        self._ended, self._watch = threading.Event(), threading.Thread(target=self._look, daemon=True)
        try:
            self._process = self._family.process
            os.set_blocking(self._process.stdin.fileno(), False)
            os.set_blocking(self._process.stdout.fileno(), False)
            self._wait_for_start()
            self._watch.start()
            self._run_cells()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        """End the worker, and with it every process that it started."""
        self._end()

    def ask(self, arguments: list) -> Answer:
        """Return what the function answers; a worker that is gone has one answer for everything."""
        if self.incident:
            return Answer(problem=self.incident)
        if not self.found:
            return Answer(raised=NOT_STARTED)
        line = self._line(self.limits.call_seconds, written(arguments).encode() + b"\n")
        if line is None:
            return Answer(problem=self.incident)
        try:
            return _answer(read(line))
        except NotPlainError as error:
            return Answer(problem=str(error))

    def _wait_for_start(self) -> None:
        try:
            line = self._next_line(self.limits.start_seconds, self._stopwatch())
            if line is not None:
                return self._family.look_inside()
        except TimeoutError:
            self.incident = f"did not start within {self.limits.start_seconds:g} seconds."
        except OSError as error:
            self.incident = f"cannot be watched ({error})."
        raise WorkerError(f"The worker did not start: it {self.incident}")

    def _run_cells(self) -> None:
        request = {"cells": self.cells, "function": self.function, "limits": self.limits.of_the_system()}
        line = self._line(self.limits.cells_seconds, json.dumps(request).encode() + b"\n")
        if line is None:
            return
        try:
            told = json.loads(line)
            self.failures = {str(int(cell)): _text(name, 60) for cell, name in told["failures"].items()}
            self.left_out = [_text(name, 40) for name in told["left out"][:20]]
            self.found = bool(told["callable"])
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            self._stop("sends something else than answers.")
            return
        self.stage = "calls"

    def _line(self, seconds: float, question: bytes) -> bytes | None:
        """Send `question`, and return the worker's next line; None when none comes, and then `incident` says why."""
        spent = self._stopwatch()
        try:
            return self._next_line(min(seconds, self.clock.left), spent, question)
        except TimeoutError:
            if self.clock.left < seconds:
                self.stage = "over"
                why = f"needs more than {self.limits.submission_seconds:g} seconds for all its tasks together."
            else:
                what = "run through its cells" if self.stage == "cells" else "answer"
                why = f"did not {what} within {seconds:g} seconds."
            return self._stop(why)
        finally:
            self.clock.left -= spent()

    def _stopwatch(self) -> Callable[[], float]:
        """Return what tells the seconds since now that count: a worker that waits for a processor loses none."""
        began, waited = time.monotonic(), self._family.waited()

        def spent() -> float:
            passed = time.monotonic() - began
            # At least a third: a worker can keep itself waiting, with processes of its own.
            return min(passed, max(passed - (self._family.waited() - waited), passed / 3))

        return spent

    def _next_line(self, seconds: float, spent: Callable[[], float], question: bytes = b"") -> bytes | None:
        """As `_line`, but raise TimeoutError when none comes in time."""
        into, out = self._process.stdin.fileno(), self._process.stdout.fileno()
        parts, size = [self._buffer], len(self._buffer)  # one long text would be copied at every piece
        while b"\n" not in parts[-1]:
            left = seconds - spent()
            if left <= 0:
                raise TimeoutError
            readable, writable, _ = select.select([out], [into] if question else [], [], min(left, 0.5))
            try:
                if writable:
                    question = question[os.write(into, question) :]
                data = os.read(out, 1 << 16) if readable else None
            except BlockingIOError:
                continue
            except OSError:
                data = b""
            if data == b"":
                return self._stop("ended its own process.")
            parts.append(data or b"")
            size += len(parts[-1])
            if size > self.limits.answer_bytes:
                return self._stop(f"sends more than {self.limits.answer_bytes // 2**20} MB.")
        line, _, self._buffer = b"".join(parts).partition(b"\n")
        if self._buffer:  # an honest worker waits to be asked
            return self._stop("sends answers that weren't asked for.")
        return line

    def _stop(self, why: str) -> None:
        self.incident = self.incident or why  # what the watch saw comes first
        self._family.kill()

    def _look(self) -> None:
        """Watch memory and processes, which the system does not bound for a whole family."""
        pause = WATCH_SECONDS
        while not self._ended.wait(pause):
            with contextlib.suppress(OSError):  # it ended just now
                usage = self._family.usage()
                pause = WATCH_SECONDS if usage.processes <= ALONE else WATCH_MANY_SECONDS
                why = self.limits.excess(usage)
                if why:
                    return self._stop(why)
        return None

    def _end(self) -> None:
        self._ended.set()
        self._family.kill()
        if self._watch.ident is not None:
            self._watch.join()
        self._family.end()


def _answer(told: object) -> Answer:
    """Return what a worker told as an `Answer`; anything else is no plain answer."""
    if not isinstance(told, dict) or told.keys() != asdict(Answer()).keys():
        raise NotPlainError("sends something else than answers.")
    return Answer(
        told["value"],
        _text(told["raised"], 60),
        _text(told["problem"], LONGEST_MESSAGE + 60),
        told["is_changed"] is True,
    )


def _text(value: object, longest: int) -> str:
    """Return a text of the worker in one line, and not longer than it may be."""
    if not isinstance(value, str):
        raise NotPlainError("sends something else than answers.")
    return "".join(letter if letter.isprintable() else " " for letter in value[:longest])
