"""A conversation with one worker: it gets cells and calls, and may do whatever it likes with them."""

import json
import os
import select
import signal
import subprocess
import threading
import time
from dataclasses import asdict, dataclass, field

from course_utils.answers.calling import LONGEST_MESSAGE, Answer
from course_utils.answers.plain_data import NotPlainError, read, written
from course_utils.checks.task import NOT_STARTED
from course_utils.grading.sandbox import family_of, resident, worker_command, worker_environment

GIGABYTE = 2**30


@dataclass(frozen=True)
class Limits:
    """What a submission may use for one task.

    Args:
        start_seconds: Until Python and torch are there; nothing of the learner's has run by then.
        cells_seconds: For all cells together.
        call_seconds: For one call of the learner's function.
        memory: Bytes that all its processes hold.
        processes: How many, threads not counted.
        answer_bytes: Of one answer.
        file_bytes: Of one file.
    """

    start_seconds: float = 180
    cells_seconds: float = 60
    call_seconds: float = 20
    memory: int = 4 * GIGABYTE
    processes: int = 32
    answer_bytes: int = 8 * 2**20
    file_bytes: int = 64 * 2**20

    def of_the_system(self) -> dict[str, int]:
        """Return the limits that the worker sets for itself before anything of the learner's runs."""
        limits = {
            "RLIMIT_AS": 3 * self.memory,  # address space, of which models on disk and libraries take some
            "RLIMIT_FSIZE": self.file_bytes,
            "RLIMIT_NOFILE": 256,
            "RLIMIT_CORE": 0,
            "RLIMIT_CPU": int(self.cells_seconds + 60 * self.call_seconds),
        }
        # Root is exempt from it; whoever is not root gets a real bound between two looks of the watch.
        return limits | ({"RLIMIT_NPROC": 8 * self.processes} if hasattr(os, "geteuid") and os.geteuid() else {})


class WorkerError(RuntimeError):
    """The worker could not be started: that is nobody's submission's fault."""


@dataclass
class Session:
    """One worker with the cells of a submission, for one task.

    Args:
        cells: The code cells.
        function: The name of the function that is called.
        limits: What it may use.
        is_sandboxed: Whether it runs in the sandbox.

    `incident` says in one sentence what ended it before its time; "" if nothing did. `stage` is "cells" until all of
    them have run, then "calls". `left_out` names the magics and shell commands that can't work in a sandbox.
    """

    cells: list[str]
    function: str
    limits: Limits = field(default_factory=Limits)
    is_sandboxed: bool = True
    incident: str = ""
    stage: str = "cells"
    failures: dict[str, str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    found: bool = False
    _buffer: bytes = b""

    def __enter__(self) -> "Session":
        """Start the worker and run the cells."""
        self._process = subprocess.Popen(
            worker_command(self.is_sandboxed), env=worker_environment(), stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0, start_new_session=True,
        )  # fmt: skip
        os.set_blocking(self._process.stdin.fileno(), False)
        os.set_blocking(self._process.stdout.fileno(), False)
        try:
            if self._line(self.limits.start_seconds) is None:
                raise WorkerError(f"The worker did not start: {self.incident}")
            self._watch = threading.Thread(target=self._look, daemon=True)
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

    def _line(self, seconds: float, question: bytes = b"") -> bytes | None:
        """Send `question`, and return the worker's next line; None when none comes, and then `incident` says why."""
        end = time.monotonic() + seconds
        into, out = self._process.stdin.fileno(), self._process.stdout.fileno()
        parts, size = [self._buffer], len(self._buffer)  # one long text would be copied at every piece
        while b"\n" not in parts[-1]:
            left = end - time.monotonic()
            if left <= 0:
                what = "run through its cells" if self.stage == "cells" else "answer"
                return self._stop(f"did not {what} within {seconds:g} seconds.")
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
            return self._stop("sends answers that nobody asked for.")
        return line

    def _stop(self, why: str) -> None:
        self.incident = self.incident or why  # what the watch saw comes first
        self._kill()

    def _look(self) -> None:
        """Watch memory and processes, which the system does not bound for a whole group."""
        while self._process.poll() is None:
            family = family_of(self._process)
            if len(family) > self.limits.processes:
                return self._stop(f"starts more than {self.limits.processes} processes.")
            if sum(map(resident, family)) > self.limits.memory:
                return self._stop(f"needs more than {self.limits.memory // GIGABYTE} GB of memory.")
            time.sleep(0.1)
        return None

    def _kill(self) -> None:
        # The sandbox is one process namespace: when its first process dies, all of them do.
        if self._process.poll() is None:
            if self.is_sandboxed:
                self._process.kill()
            else:
                os.killpg(self._process.pid, signal.SIGKILL)

    def _end(self) -> None:
        self._kill()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()


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
