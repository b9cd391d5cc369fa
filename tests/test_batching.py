"""Schedules: nobody is lost, no slot is used twice, continuous is never later; the engine does what was planned."""

import itertools
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers.generation.continuous_batching import requests

from course_utils.measuring import batching, request_run
from tests.tiny_models import tiny_model

lengths_and_slots = st.tuples(st.lists(st.integers(1, 30), min_size=1, max_size=20), st.integers(1, 6))
WAYS = (batching.static_schedule, batching.continuous_schedule)


@pytest.mark.parametrize("schedule", WAYS)
@given(lengths_and_slots)
def test_every_request_gets_its_steps_in_one_slot(schedule, case):
    lengths, slots = case
    turns = schedule(lengths, slots)
    assert [turn.request for turn in turns] == list(range(len(lengths)))
    assert [turn.end - turn.start for turn in turns] == lengths
    assert all(0 <= turn.slot < slots and turn.freed >= turn.end for turn in turns)
    for slot in range(slots):
        there = sorted((turn for turn in turns if turn.slot == slot), key=lambda turn: turn.start)
        assert all(later.start >= turn.freed for turn, later in itertools.pairwise(there))
    assert [turn.start for turn in turns] == sorted(turn.start for turn in turns)  # first come, first served


@given(lengths_and_slots)
def test_continuous_is_never_later_for_anybody(case):
    pairs = list(zip(*(schedule(*case) for schedule in WAYS), strict=True))
    assert all(continuous.end <= static.end for static, continuous in pairs)
    lengths, slots = case
    last = max(continuous.end for _, continuous in pairs)
    assert last >= max(max(lengths), -(-sum(lengths) // slots))


@given(lengths_and_slots)
def test_continuous_leaves_no_slot_empty_while_somebody_waits(case):
    lengths, slots = case
    turns = batching.continuous_schedule(lengths, slots)
    for waiting in turns:
        for step in range(waiting.start):
            assert sum(turn.start <= step < turn.end for turn in turns) == slots


@given(st.integers(1, 30), st.integers(1, 20), st.integers(1, 6))
def test_equal_lengths_gain_nothing(length, requests, slots):
    assert batching.static_schedule([length] * requests, slots) == batching.continuous_schedule(
        [length] * requests, slots
    )


@pytest.fixture
def model(monkeypatch):
    """A tiny model whose clock counts its steps, so that no pause between two tokens of one step looks like a step."""
    model, steps = tiny_model("llama"), itertools.count(1)
    now = [0]
    hook = model.register_forward_hook(lambda *_: now.__setitem__(0, next(steps)))
    for module in (request_run, requests):
        monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    yield model
    hook.remove()


@pytest.mark.parametrize("static", [True, False])
def test_the_engine_of_transformers_follows_the_plan(static, model):
    lengths, slots = [9, 2, 3, 5, 2, 1], 2
    prompts = [[5 + request, 6, 7] for request in range(len(lengths))]
    before = model.config._attn_implementation
    times = batching.token_times(model, prompts, lengths, slots, static)
    assert model.config._attn_implementation == before
    assert [len(request) for request in times] == lengths
    assert all(request == sorted(request) and request[0] > 0 for request in times)
    planned = (batching.static_schedule if static else batching.continuous_schedule)(lengths, slots)
    measured = batching.turns_of(times, planned)
    assert [turn.end for turn in measured] == [request[-1] for request in times]
    assert all(turn.start < turn.end <= turn.freed for turn in measured)
    assert [(request[0], request[-1]) for request in times] == [(turn.start + 1, turn.end) for turn in planned]


def moments(arrivals, times):
    """When each request had its first and its last token, from the start of all."""
    return [(came + request[0], came + request[-1]) for came, request in zip(arrivals, times, strict=True)]


def test_with_one_slot_a_request_waits_for_the_one_before():
    model, arrivals = tiny_model("llama"), [0.0, 0.02, 0.02, 0.3]
    prompts = [[5 + request, 6, 7] for request in range(4)]
    times = batching.waiting_times(model, prompts, [6, 3, 3, 2], 1, arrivals)
    assert [len(request) for request in times] == [6, 3, 3, 2]
    assert all(request[0] > 0 for request in times)
    turns = moments(arrivals, times)
    assert all(later[0] > earlier[1] for earlier, later in itertools.pairwise(turns))


def test_with_many_slots_requests_run_together():
    model, arrivals = tiny_model("llama"), [0.0, 0.0, 0.0]
    turns = moments(arrivals, batching.waiting_times(model, [[5, 6], [6, 7], [7, 8]], [30] * 3, 4, arrivals))
    assert max(first for first, _ in turns) < min(last for _, last in turns)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: batching.waiting_times(None, [[5]], [1], 1, []), "arrivals must be 1 numbers, one per prompt, got 0"),
        (lambda: batching.waiting_times(None, [[5]], [1], 1, [-1]), r"arrivals must rise, from 0 or later, got \[-1\]"),
        (lambda: batching.static_schedule([1], 0), "slots must be a whole number of at least 1, got 0"),
        (lambda: batching.continuous_schedule([1, 0], 2), "lengths must be a whole number of at least 1, got 0"),
        (lambda: batching.token_times(None, [[5]], [1, 2], 2), "lengths must be 1 numbers, one per prompt, got 2"),
    ],
)
def test_bad_input_gets_one_sentence(call, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        call()
