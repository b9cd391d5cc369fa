"""How far a long run is: the code that runs reports it, and the widget that waits for it shows it.

Lesson: 10 · Prefill and decode (its stepper says how far a run is).
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Listener = Callable[[str, int, int], None]
_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def heard_by(listener: Listener) -> Iterator[None]:
    """Within this block, `listener` is called with everything that is reported.

    >>> with heard_by(print):
    ...     report("step", 2, 12)
    step 2 12
    """
    before = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(before)


def report(what: str, number: int, total: int) -> None:
    """Say that number `number` of `total` begins; `what` names one of them, such as "step". Usually no one listens.

    >>> report("step", 1, 12)
    """
    listener = _listener.get()
    if listener:
        listener(what, number, total)


def in_words(tell: Callable[[str], None], clock: Callable[[], float] = time.perf_counter) -> Listener:
    """Return a listener that calls `tell` with a sentence: what runs, and how long the rest takes at this pace.

    >>> times = iter([0.0, 0.0, 6.0])
    >>> listener = in_words(print, clock=lambda: next(times))
    >>> listener("step", 1, 4), listener("step", 3, 4)
    step 1 of 4
    step 3 of 4, about 6 s left
    (None, None)
    """
    start = clock()

    def listener(what: str, number: int, total: int) -> None:
        left = (clock() - start) / max(number - 1, 1) * (total - number + 1)
        tell(f"{what} {number} of {total}" + (f", about {left:.0f} s left" if left >= 1 and number > 1 else ""))

    return listener
