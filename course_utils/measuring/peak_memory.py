"""How much memory a computation takes at its worst moment, on top of what was there before.

Lesson: 14 · Speed and memory in practice
"""

import os
from collections.abc import Callable

from torch.profiler import ProfilerActivity, profile


def peak_bytes(call: Callable[[], object]) -> int:
    """Return the most bytes of tensors that existed at one moment of `call`, of those that it made itself.

    Everything that torch takes from this machine's memory counts, also what a kernel needs for itself. What was there
    before, such as weights, does not count, and what `call` returns counts while it runs.

    >>> import torch
    >>> def two_then_one():
    ...     first = torch.zeros(1000)
    ...     second = first.clone()
    ...     del first
    ...     return torch.ones(10)
    >>> peak_bytes(two_then_one)
    8000
    """
    # The profiler announces itself on the terminal, unless it is told otherwise before its first use.
    os.environ.setdefault("KINETO_LOG_LEVEL", "9")
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        call()
    taken = [event for event in record.profiler.kineto_results.events() if event.name() == "[memory]"]
    now = most = 0
    for event in sorted(taken, key=lambda event: event.start_ns()):
        now += event.nbytes()  # less than 0 where memory is given back
        most = max(most, now)
    return most
