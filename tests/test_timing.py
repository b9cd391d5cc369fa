"""Timings add up, percentiles are refused where the runs cannot support them, transformers' tokens are marked."""

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_utils.engine.generate import stream
from course_utils.measuring import measurements, timing
from course_utils.measuring.marking_streamer import MarkingStreamer
from tests.tiny_models import tiny_model, tiny_tokenizer

seconds = st.lists(st.floats(1e-6, 10), min_size=1, max_size=200)


@given(seconds)
def test_spread_by_its_definition(values):
    summary = measurements.spread(values)
    ordered = sorted(values)
    assert (summary.least, summary.most, summary.runs) == (ordered[0], ordered[-1], len(values))
    middle = (ordered[(len(values) - 1) // 2] + ordered[len(values) // 2]) / 2
    assert summary.median == pytest.approx(middle)


@given(seconds, st.sampled_from([1, 5, 25, 50, 90, 95, 99, 99.9]))
def test_a_percentile_needs_enough_runs(values, percent):
    needed = {1: 100, 5: 20, 25: 4, 50: 2, 90: 10, 95: 20, 99: 100, 99.9: 1000}[percent]
    if len(values) < needed:
        with pytest.raises(
            ValueError, match=f"^percent must have at least {needed} measurements to be {percent}, got "
        ):
            measurements.percentile(values, percent)
    else:
        found = measurements.percentile(values, percent)
        assert sum(value <= found for value in values) >= percent / 100 * len(values) - 1e-9
        assert sum(value < found for value in values) <= percent / 100 * len(values)


@pytest.mark.parametrize("percent", [0, 100, -1, float("nan"), "most"])
def test_percent_is_between_0_and_100(percent):
    with pytest.raises(ValueError, match=r"^percent must be between 0 and 100, got "):
        measurements.percentile([1.0] * 500, percent)


@pytest.fixture
def wait(monkeypatch):
    """Lets time pass on a clock of our own: what a busy machine adds is not in it."""
    now = [0.0]
    monkeypatch.setattr(timing, "time", SimpleNamespace(perf_counter=lambda: now[0]))

    def wait(seconds):
        now[0] += seconds

    return wait


def test_total_is_ttft_and_the_other_tokens(wait):
    def run(mark):
        wait(0.03)
        mark()
        for _ in range(4):
            wait(0.01)
            mark()

    measured = timing.time_generation(run, repeats=3)
    assert measured.seconds == [pytest.approx([0.03, 0.04, 0.05, 0.06, 0.07])] * 3
    assert measured.ttft == pytest.approx((0.03, 0.03, 0.03, 3))
    assert measured.tpot == pytest.approx((0.01, 0.01, 0.01, 3))
    assert measured.total == pytest.approx((0.07, 0.07, 0.07, 3))
    assert measured.throughput == pytest.approx(5 / measured.total.median)
    assert measured.machine.threads == torch.get_num_threads()


def test_in_turns_the_first_round_is_not_counted(wait):
    order, first, second = [], iter([9, 1, 2]), iter([9, 3, 4])

    def taking(name, seconds):
        def run(mark):
            order.append(name)
            wait(next(seconds))
            mark()

        return run

    timings = timing.time_generations_in_turn({"a": taking("a", first), "b": taking("b", second)}, repeats=2)
    assert order == ["a", "b"] * 3
    assert [timings[name].seconds for name in "ab"] == [[[1], [2]], [[3], [4]]]


def test_warm_up_runs_are_not_counted(wait):
    seconds = iter([4, 1, 2, 3])

    def run(mark):
        wait(next(seconds))
        mark()

    assert timing.time_generation(run, repeats=3, warm_up=1).seconds == [[1], [2], [3]]


def test_what_is_compared_is_timed_in_turn(wait):
    ran = []

    def call(name, seconds):
        ran.append(name)
        wait(next(seconds))

    waits = {"a": iter([9, 1, 2, 3]), "b": iter([9, 4, 6, 5])}
    times = timing.time_in_turn({name: lambda n=name: call(n, waits[n]) for name in waits}, repeats=3)
    assert ran == ["a", "b"] * 4
    assert times["a"] == pytest.approx((2, 1, 3, 3))
    assert times["b"] == pytest.approx((5, 4, 6, 3))


def test_ours_and_transformers_mark_the_same_tokens():
    model, ids = tiny_model("llama"), torch.tensor([[5, 6, 7]])
    arguments = {"max_new_tokens": 7, "eos_ids": []}

    def ours(mark):
        for _ in stream(model, ids, tiny_tokenizer(), **arguments):
            mark()

    def theirs(mark):
        streamer = MarkingStreamer(mark)
        model.generate(ids, streamer=streamer, max_new_tokens=7, min_new_tokens=7, do_sample=False)

    for run in (ours, theirs):
        assert len(timing.time_generation(run, repeats=1).seconds[0]) == 7


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: measurements.spread([]), "seconds must hold at least one measurement, got none"),
        (lambda: timing.time_generation(print, repeats=0), "repeats must be a whole number of at least 1, got 0"),
        (lambda: timing.time_generation(print, warm_up=-1), "warm_up must be a whole number of at least 0, got -1"),
        (
            lambda: timing.time_generation(lambda mark: None),
            r"seconds must hold the same number of tokens in every run, got \[0\]",
        ),
        (
            lambda: timing.time_generation(lambda mark: mark()).tpot,
            "seconds must hold at least two tokens per run for a time per output token, got one",
        ),
    ],
)
def test_bad_input_gets_one_sentence(call, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        call()
