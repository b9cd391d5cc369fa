"""What the operating system says about this process: all its memory, and the part that it has for itself.

Lesson: 02 · Where LLMs fail
"""

from typing import NamedTuple

import psutil


class ProcessMemory(NamedTuple):
    """The memory of this process, in bytes.

    Args:
        resident: All that is in RAM for it (RSS), also pages of files that other processes may share.
        private: What would be free if it ended (USS).

    >>> before, after = ProcessMemory(360_000_000, 300_000_000), ProcessMemory(900_000_000, 300_000_000)
    >>> after.since(before)
    resident +540 MB, private +0 MB
    """

    resident: int
    private: int

    def since(self, before: "ProcessMemory") -> "ProcessMemory":
        """Return how much was added since `before`."""
        return ProcessMemory(self.resident - before.resident, self.private - before.private)

    def __repr__(self) -> str:
        resident, private = (round(number / 1e6) for number in self)
        return f"resident {resident:+,} MB, private {private:+,} MB"


def process_memory() -> ProcessMemory:
    """Ask the operating system for the memory of this process.

    >>> process_memory().resident > 1e6
    True
    """
    memory = psutil.Process().memory_full_info()
    return ProcessMemory(memory.rss, memory.uss)
