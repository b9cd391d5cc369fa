"""A program and everything that it starts: what they take together, and an end that none of them outlives."""

import contextlib
import functools
import json
import os
import select
import signal
import subprocess
from dataclasses import dataclass

import psutil

from course_utils.grading.system_calls import system_call_filter

END_SECONDS = 30  # taking back 4 GB is a matter of one, unless the machine is very busy
_PER_THREAD = 32 * 2**10  # its stack in the kernel, and what else the kernel keeps of it
_PER_FILE = 2 * 2**10  # of an empty one: a million of them take more than the folder's own size
_PER_TERMINAL = 2**20  # what may wait in it unread
_SCRATCH = ("tmp", "dev/shm")  # the folders for files in memory
_COUNTED = ("RssAnon", "VmSwap", "VmPTE", "HugetlbPages")  # the rest is in files, and those are counted as files


@dataclass(frozen=True)
class Usage:
    """What a family takes: processes, all their threads, and bytes of memory."""

    processes: int = 0
    threads: int = 0
    memory: int = 0


class Family:
    """A program and everything that it starts.

    Args:
        command: The program with its arguments; in the sandbox, what `sandbox()` returns goes before it.
        environment: All that it finds in `os.environ`.
        is_sandboxed: Whether bubblewrap starts it.
        pipes: `stdin`, `stdout`, `stderr` and `bufsize`, as for `subprocess.Popen`.
    """

    def __init__(self, command: list[str], environment: dict[str, str], is_sandboxed: bool = True, **pipes: object):
        self._first: int | None = None  # the first process in the sandbox: all others die with it
        self._inside: dict[str, int] = {}  # folders of the sandbox
        self._is_sandboxed = is_sandboxed
        options = {"env": environment, "start_new_session": True, **pipes}
        if is_sandboxed:
            self._start_sandboxed(command, options)
        else:
            self.process = subprocess.Popen(command, **options)

    def look_inside(self) -> None:
        """Open what `usage` and `waited` read. The program must have said something: then its sandbox is complete.

        Raises:
            OSError: It is gone already, or this machine does not let us look into it.
        """
        if self._is_sandboxed and self._first is None:
            raise ProcessLookupError("the sandbox has no first process")
        for name in ("proc", "dev/pts", *_SCRATCH) if self._is_sandboxed else ():
            place = f"/proc/{self._number}/root/{name}"
            self._inside[name] = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def usage(self) -> Usage:
        """Return what all of them take now, after `look_inside`.

        Raises:
            OSError: The sandbox is gone.
        """
        if not self._is_sandboxed:
            return _usage_outside(self.process)
        processes = [_status(name, self._inside["proc"]) for name in os.listdir(self._inside["proc"])]
        processes = [status for status in processes if status]
        threads = sum(status["Threads"] for status in processes)
        held = sum(1024 * status.get(kind, 0) for status in processes for kind in _COUNTED)
        held += threads * _PER_THREAD + len(os.listdir(self._inside["dev/pts"])) * _PER_TERMINAL
        for name in _SCRATCH:
            place = os.statvfs(self._inside[name])
            held += (place.f_blocks - place.f_bfree) * place.f_frsize + (place.f_files - place.f_ffree) * _PER_FILE
        sockets = _read("1/net/unix", self._inside["proc"]).count("\n") - 1  # those that no process has open, too
        return Usage(len(processes), threads, held + sockets * _per_socket())

    def waited(self) -> float:
        """Return the seconds that the program has waited for a processor so far, after `look_inside`."""
        try:
            if self._is_sandboxed:
                numbers = _read("2/schedstat", self._inside["proc"])  # 1 is bubblewrap's
            else:
                numbers = _read(f"/proc/{self.process.pid}/schedstat")
            return int(numbers.split()[1]) / 1e9
        except (OSError, LookupError, ValueError):  # it is not there yet or no more, or the kernel does not count this
            return 0.0

    def kill(self) -> None:
        """Begin the end of all of them, and return at once."""
        # Not through bubblewrap alone: a program that gets hold of the first process can undo the tie between the two.
        if self._first is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._first, signal.SIGKILL)
        if self.process.poll() is None:
            if self._is_sandboxed:
                self.process.kill()
            else:
                os.killpg(self.process.pid, signal.SIGKILL)

    def end(self) -> None:
        """End all of them, and return when the last one is gone. No other method may be called after it."""
        self.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()
        if self._first is not None:
            select.select([self._first], [], [], END_SECONDS)  # readable once the process is gone
            os.close(self._first)
        for folder in self._inside.values():
            os.close(folder)
        self._first, self._inside = None, {}

    def _start_sandboxed(self, command: list[str], options: dict) -> None:
        told, tells = os.pipe()
        given = {"--info-fd": tells}
        try:
            with contextlib.suppress(OSError):  # `try_sandbox` says aloud when there is no filter
                rules = system_call_filter()
                given["--seccomp"] = os.memfd_create("filter")
                os.write(given["--seccomp"], rules)
                os.lseek(given["--seccomp"], 0, os.SEEK_SET)
            told_to = [text for option, descriptor in given.items() for text in (option, str(descriptor))]
            command = [command[0], *told_to, *command[1:]]
            self.process = subprocess.Popen(command, pass_fds=tuple(given.values()), **options)
        finally:
            for descriptor in given.values():
                os.close(descriptor)
        with os.fdopen(told) as file, contextlib.suppress(ValueError, ProcessLookupError):  # it did not start
            self._number = json.loads(file.read())["child-pid"]
            self._first = os.pidfd_open(self._number)  # the number may become another process's, this may not


def _usage_outside(process: subprocess.Popen) -> Usage:
    """Return what a process takes with all its children, where there is no sandbox to look into."""
    threads, held = [], 0
    with contextlib.suppress(psutil.Error):
        first = psutil.Process(process.pid)
        for one in (first, *first.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                memory = one.memory_info()
                threads.append(one.num_threads())
                held += memory.rss - getattr(memory, "shared", 0)  # macOS has no word for what is shared
    return Usage(len(threads), sum(threads), held)


def _status(name: str, folder: int) -> dict[str, int]:
    """Return the numbers in a process's `status`; none if this is no process, or one that ended just now."""
    try:
        lines = _read(f"{name}/status", folder).splitlines() if name.isdecimal() else []
    except OSError:
        return {}
    fields = (line.partition(":") for line in lines)
    return {kind: int(value.split()[0]) for kind, _, value in fields if kind in (*_COUNTED, "Threads")}


@functools.cache
def _per_socket() -> int:
    """Return the bytes that a socket may hold: what waits in it unread, and a filter of its own."""
    with contextlib.suppress(OSError, ValueError):  # hidden in some containers
        return 3 * int(_read("/proc/sys/net/core/wmem_max"))
    return 3 * 212_992


def _read(path: str, folder: int | None = None) -> str:
    with open(path, opener=lambda name, flags: os.open(name, flags, dir_fd=folder), encoding="utf-8") as file:
        return file.read()
