"""Where the time of one run goes: by the steps of its phases, and by the modules of its model.

Lesson: 10 · Prefill and decode
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch


class PhaseClock:
    """Notes when each step of a run began and ended; `figures.run_timeline` draws the `events`.

    >>> clock = PhaseClock()
    >>> with clock("decode", "3 select"):
    ...     token = torch.tensor([0.1, 0.9]).argmax()
    >>> [event[:2] for event in clock.events]
    [('decode', '3 select')]
    """

    def __init__(self) -> None:
        self.events: list[tuple[str, str, float, float]] = []

    @contextmanager
    def __call__(self, phase: str, what: str) -> Iterator[None]:
        """Note the block that follows as `what` of this phase; one that ends in an error isn't noted."""
        start = time.perf_counter()
        yield
        self.events.append((phase, what, start, time.perf_counter()))

    @property
    def seconds(self) -> dict[str, float]:
        """How long each phase took, the sum of its events."""
        spent: dict[str, float] = {}
        for phase, _, start, end in self.events:
            spent[phase] = spent.get(phase, 0.0) + end - start
        return spent

    def ends(self, what: str) -> list[float]:
        """Return when each `what` was done, in seconds after the first event began."""
        return [end - self.events[0][2] for _, other, _, end in self.events if other == what]


@contextmanager
def module_seconds(groups: Mapping[str, Iterable[torch.nn.Module]]) -> Iterator[dict[str, float]]:
    """Add up the seconds inside some modules of a model while the block that follows runs.

    Args:
        groups: For every name, modules that don't contain one another.

    >>> layer = torch.nn.Linear(2, 2)
    >>> with module_seconds({"linear": [layer], "none": []}) as spent:
    ...     out = layer(torch.ones(2))
    >>> spent["linear"] > 0, spent["none"]
    (True, 0.0)
    """
    spent = dict.fromkeys(groups, 0.0)
    hooks = []

    def add(name: str, seconds: float) -> None:
        spent[name] += seconds

    try:
        for name, modules in groups.items():
            for module in modules:
                hooks.append(module.register_forward_pre_hook(lambda *_, name=name: add(name, -time.perf_counter())))
                hooks.append(module.register_forward_hook(lambda *_, name=name: add(name, time.perf_counter())))
        yield spent
    finally:
        for hook in hooks:
            hook.remove()
