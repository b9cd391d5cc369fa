"""A clock around each step of a run, and around modules of its model: nothing is counted twice or by accident."""

from types import SimpleNamespace

import pytest
import torch

from course_utils.measuring import phases


@pytest.fixture
def wait(monkeypatch):
    """Lets time pass on a clock of our own: what a busy machine adds is not in it."""
    now = [0.0]
    monkeypatch.setattr(phases, "time", SimpleNamespace(perf_counter=lambda: now[0]))

    def wait(seconds):
        now[0] += seconds

    return wait


def test_a_phase_clock_notes_what_ran_when(wait):
    clock = phases.PhaseClock()
    wait(9)
    for phase, what, seconds in (("prefill", "read", 2), ("decode", "attend", 1), ("decode", "select", 0.5)):
        with clock(phase, what):
            wait(seconds)
        wait(0.25)  # between two blocks: nobody's
    assert clock.events[1] == ("decode", "attend", 11.25, 12.25)
    assert clock.seconds == {"prefill": 2, "decode": 1.5}
    assert clock.ends("select") == [4.0]
    with pytest.raises(ZeroDivisionError), clock("decode", "broken"):
        wait(1 / 0)
    assert len(clock.events) == 3


def test_module_seconds_are_those_inside_the_modules_and_the_hooks_go(wait):
    class Waits(torch.nn.Module):
        def forward(self, seconds):
            wait(seconds)

    one, other, unnamed = Waits(), Waits(), Waits()
    with phases.module_seconds({"a": [one, other], "b": [Waits()]}) as spent:
        one(1)
        other(2)
        unnamed(4)
        wait(8)
    assert spent == {"a": 3, "b": 0}
    one(16)
    assert spent["a"] == 3
    with pytest.raises(ZeroDivisionError), phases.module_seconds({"a": [one]}):
        wait(1 / 0)
    assert not one._forward_hooks
    assert not one._forward_pre_hooks
