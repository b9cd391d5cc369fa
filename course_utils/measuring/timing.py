"""How long generation takes: time to first token, time per output token, throughput, with their spread.

Times are in seconds. The first token belongs to prefill: TTFT ends with it, TPOT begins after it.

Lesson: 14 · Speed and memory in practice; 10 · Prefill and decode
"""

import os
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import NamedTuple, TypeVar

import psutil
import torch

from course_utils.engine.arguments import check_whole
from course_utils.machine import processor_name
from course_utils.measuring.measurements import Spread, spread

Mark = Callable[[], None]
Progress = Callable[[int, int], None]
Name = TypeVar("Name", bound=Hashable)


class Machine(NamedTuple):
    """Where a measurement was made: without it, a number of milliseconds says nothing."""

    processor: str
    cores: int
    threads: int
    memory_gigabytes: float
    torch: str
    transformers: str


def this_machine() -> Machine:
    """Describe the machine that this runs on.

    >>> this_machine().threads == torch.get_num_threads()
    True
    """
    gigabytes = round(psutil.virtual_memory().total / 2**30, 1)
    versions = version("torch"), version("transformers")
    return Machine(processor_name(), os.cpu_count() or 1, torch.get_num_threads(), gigabytes, *versions)


@dataclass(frozen=True)
class GenerationTiming:
    """When each token came, in several runs of the same generation.

    Args:
        seconds: For every run, the time from the start to each token, `(runs, tokens)`.
        machine: Where it ran.
        batch: How many texts grew at once; one mark is one token of each.

    Raises:
        ValueError: A run has no token, or the runs have different numbers of tokens.

    >>> timing = GenerationTiming([[0.3, 0.4, 0.5], [0.2, 0.3, 0.4]], this_machine())
    >>> timing.ttft, timing.tpot
    (250.0 ms (200.0–300.0 in 2 runs), 100.0 ms (100.0–100.0 in 2 runs))
    """

    seconds: list[list[float]]
    machine: Machine
    batch: int = 1

    def __post_init__(self) -> None:
        lengths = {len(run) for run in self.seconds}
        if len(lengths) != 1 or lengths == {0}:
            raise ValueError(f"seconds must hold the same number of tokens in every run, got {sorted(lengths)}")

    @property
    def ttft(self) -> Spread:
        """Time to first token."""
        return spread([run[0] for run in self.seconds])

    @property
    def tpot(self) -> Spread:
        """Time per output token: of a run, the mean time between tokens after the first."""
        if len(self.seconds[0]) < 2:
            raise ValueError("seconds must hold at least two tokens per run for a time per output token, got one")
        return spread([(run[-1] - run[0]) / (len(run) - 1) for run in self.seconds])

    @property
    def total(self) -> Spread:
        """Time to the last token: TTFT + (tokens − 1) · TPOT."""
        return spread([run[-1] for run in self.seconds])

    @property
    def throughput(self) -> float:
        """Tokens per second over all texts of the batch, in the median run."""
        return self.batch * len(self.seconds[0]) / self.total.median


def time_generation(
    run: Callable[[Mark], None], repeats: int = 5, warm_up: int = 1, batch: int = 1, progress: Progress | None = None
) -> GenerationTiming:
    """Run a generation several times and note when each token comes.

    Args:
        run: Generates once, and calls its argument after every token.
        repeats: How many runs are counted.
        warm_up: How many runs come before them and are not.
        batch: How many texts `run` grows at once.
        progress: Called before each run, outside the measured time, with its number from 1 and how many there are.

    Raises:
        ValueError: `repeats` is not a whole number of at least 1, or `warm_up` of at least 0.

    >>> def two_tokens(mark):
    ...     mark()
    ...     mark()
    >>> time_generation(two_tokens, repeats=3).tpot.runs
    3
    """
    repeats = check_whole("repeats", repeats, 1)
    warm_up = check_whole("warm_up", warm_up, 0)
    runs = []
    for number in range(warm_up + repeats):
        if progress is not None:
            progress(number + 1, warm_up + repeats)
        marks: list[float] = []
        start = time.perf_counter()
        run(lambda marks=marks, start=start: marks.append(time.perf_counter() - start))
        runs.append(marks)
    return GenerationTiming(runs[warm_up:], this_machine(), batch)


def time_in_turn(calls: Mapping[Name, Callable[[], object]], repeats: int = 5, warm_up: int = 1) -> dict[Name, Spread]:
    """Time several things that are to be compared, in turn, so that a slow moment of the machine meets all of them.

    Args:
        calls: What to time, by its name.
        repeats: How many runs of each are counted.
        warm_up: How many runs of each come before them and are not.

    Raises:
        ValueError: `repeats` is not a whole number of at least 1, or `warm_up` of at least 0.

    >>> times = time_in_turn({"short": lambda: sum(range(10)), "long": lambda: sum(range(100_000))}, repeats=3)
    >>> times["short"].median < times["long"].median, times["long"].runs
    (True, 3)
    """
    repeats = check_whole("repeats", repeats, 1)
    warm_up = check_whole("warm_up", warm_up, 0)
    seconds: dict[Name, list[float]] = {name: [] for name in calls}
    for _ in range(warm_up + repeats):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - start)
    return {name: spread(each[warm_up:]) for name, each in seconds.items()}


def time_generations_in_turn(
    runs: Mapping[Name, Callable[[Mark], None]], repeats: int = 5
) -> dict[Name, GenerationTiming]:
    """Time several generations as `time_generation` does, but in turn, as `time_in_turn` does.

    Args:
        runs: What to time, by its name; each as for `time_generation`.
        repeats: How many runs of each are counted. One of each comes before them and is not.

    Raises:
        ValueError: `repeats` is not a whole number of at least 1.

    >>> runs = {"one": lambda mark: mark(), "two": lambda mark: (mark(), mark())}
    >>> timings = time_generations_in_turn(runs, repeats=3)
    >>> [(name, timing.total.runs) for name, timing in timings.items()]
    [('one', 3), ('two', 3)]
    """
    repeats = check_whole("repeats", repeats, 1)
    seconds: dict[Name, list[list[float]]] = {name: [] for name in runs}
    for _ in range(repeats + 1):
        for name, run in runs.items():
            seconds[name] += time_generation(run, repeats=1, warm_up=0).seconds
    return {name: GenerationTiming(marks[1:], this_machine()) for name, marks in seconds.items()}
