"""The benchmarks run, and what is recorded holds the course's promises."""

import json
import time
from types import SimpleNamespace

import pytest
import torch

from benchmarks import generate as benchmark
from benchmarks.grading import measure
from course_utils.measuring import timing
from course_utils.models import load_causal_lm

RECORDED = json.loads(benchmark.RECORD.read_text(encoding="utf-8"))


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(benchmark, "PROMPT_TOKENS", (16,))
    monkeypatch.setattr(benchmark, "NEW_TOKENS", 6)


def test_three_ways_choose_the_same_tokens_and_are_timed(quick, monkeypatch):
    monkeypatch.setattr(timing, "time", SimpleNamespace(perf_counter=time.process_time))  # nobody else's work counts
    (row,) = benchmark.compare_three_ways(load_causal_lm(), repeats=1)
    # A single short run says little about the ratio; a third would be a mistake in our code.
    assert row["ours over transformers"] > 1 / 3
    assert row["ours, tokens/s"] > row["without cache, tokens/s"] / 3


def test_different_tokens_stop_the_benchmark(quick, monkeypatch):
    smollm = load_causal_lm()
    ids = benchmark.prompt_ids(smollm, 16)
    assert ids.shape == (1, 16)
    wrong = torch.zeros(1, 22, dtype=torch.long)
    monkeypatch.setattr(smollm.model, "generate", lambda *_, **__: wrong)
    with pytest.raises(SystemExit, match="The tokens differ at a prompt of 16 tokens"):
        benchmark.assert_same_tokens(smollm, ids)


def test_recorded_ours_is_not_slower_than_transformers():
    rows = RECORDED["three ways"]
    assert [row["prompt tokens"] for row in rows] == [16, 128, 512]
    assert all(row["ours over transformers"] >= 1 for row in rows)


def test_recorded_cost_without_cache_is_a_line():
    assert RECORDED["without a cache"]["R2"] > 0.99


def test_recorded_options_get_closer_to_the_limit():
    milliseconds = {row["option"]: row["ms"] for row in RECORDED["options"]}
    assert milliseconds["int8 weights (torch.ao)"] < milliseconds["bfloat16"] < milliseconds["ours, float32"]
    assert RECORDED["where a decode step goes"]["measured over limit"] > 1


def test_grading_a_small_class_is_timed():
    found = measure(count=3, jobs=2)
    assert found["points"] == {"6": 1, "7": 1, "9": 1}  # one that is right, and two with a mistake each
    assert found["seconds per submission"] > 0


def test_recorded_grading():
    recorded = json.loads((benchmark.RECORD.parent / "grading.json").read_text(encoding="utf-8"))
    assert recorded["submissions"] == 100
    assert sum(recorded["points"].values()) == 100
    assert recorded["points"]["9"] == 25
