"""What a submission may use; grading/README.md has the table with what holds each limit."""

import os
from dataclasses import dataclass

from course_utils.exercises.calling import CALL_SECONDS
from course_utils.grading.family import Usage

GIGABYTE = 2**30


@dataclass(frozen=True)
class Limits:
    """What a submission may use for one task.

    Args:
        start_seconds: Until Python and torch are there; nothing of the learner's has run by then.
        cells_seconds: For all cells together.
        call_seconds: For one call of the learner's function.
        submission_seconds: For the cells and calls of all tasks together.
        memory: Bytes that all its processes hold.
        processes: How many; each may have eight threads on average.
        answer_bytes: Of one answer.
        file_bytes: Of one file.
    """

    start_seconds: float = 180
    cells_seconds: float = 60
    call_seconds: float = CALL_SECONDS
    submission_seconds: float = 300
    memory: int = 4 * GIGABYTE
    processes: int = 32
    answer_bytes: int = 8 * 2**20
    file_bytes: int = 64 * 2**20

    @property
    def threads(self) -> int:
        """How many threads all its processes may have together."""
        return 8 * self.processes

    def of_the_system(self) -> dict[str, int]:
        """Return the limits that the worker sets for itself before anything of the learner's runs."""
        limits = {
            "RLIMIT_AS": 3 * self.memory,  # address space, of which models on disk and libraries take some
            "RLIMIT_DATA": self.memory,  # what one process can write to: it gets an error before the watch ends it
            "RLIMIT_FSIZE": self.file_bytes,
            "RLIMIT_NOFILE": 256,
            "RLIMIT_CORE": 1,  # at 0, the system's collector of crashes would still get all its memory; at 1 it doesn't
            "RLIMIT_CPU": int(4 * self.submission_seconds),
        }
        # Root is exempt from it; if you aren't root, it's a real bound between two looks of the watch.
        return limits | ({"RLIMIT_NPROC": self.threads} if hasattr(os, "geteuid") and os.geteuid() else {})

    def excess(self, usage: Usage) -> str:
        """Return in a sentence without its subject what is taken and may not be; "" if nothing.

        >>> Limits().excess(Usage(memory=5 * GIGABYTE))
        'needs more than 4 GB of memory.'
        """
        if usage.processes > self.processes:
            return f"starts more than {self.processes} processes."
        if usage.threads > self.threads:
            return f"starts more than {self.threads} threads."
        if usage.memory > self.memory:
            return f"needs more than {_size(self.memory)} of memory."
        return ""


@dataclass
class Clock:
    """The seconds that are left to a submission for the cells and calls of all its tasks."""

    left: float


def _size(count: int) -> str:
    return f"{count / GIGABYTE:g} GB" if count >= GIGABYTE else f"{count // 2**20} MB"
