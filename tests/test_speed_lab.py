"""Speed, measured, predicted and drawn: what is timed, golden words, the page's numbers, one-sentence errors."""

import functools
import json
import os
import subprocess
from dataclasses import astuple, replace
from importlib.resources import files
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from benchmarks import speed as benchmark
from course_utils.figures.speed_curves import speed_curves
from course_utils.measuring import roofline
from course_utils.measuring.model_shapes import PUBLISHED
from course_utils.measuring.roofline import Rates, predicted_seconds
from course_utils.measuring.timing import Machine, this_machine
from course_utils.models import CausalLM, load_causal_lm
from course_utils.traces import SpeedTrace, record_speed, recorded_speed
from course_utils.traces.speed import predicted_speed
from course_utils.traces.speed_run import MOST_AT_ONCE
from course_utils.widgets import SpeedLab, speed_lab
from course_utils.widgets.base import STOPPED, page_module
from course_utils.widgets.speed_lab import REPEATS
from tests.budgets import MOST_ESM_BYTES
from tests.tiny_models import tiny_model

MACHINE = Machine("a laptop", cores=4, threads=2, memory_gigabytes=16.0, torch="2.13.0", transformers="5.23.0")
GOLDEN = """\
Speed lab: TTFT by prompt length, toy, fp32
recorded: a laptop, 2 threads, batch 1
  prompt    median   least – most, at best
      16      58.0 ms (48.0 – 68.0), 34.6
      64     154.0 ms (144.0 – 164.0), 136.5
     256     538.0 ms (528.0 – 548.0), 544.3
recorded: TTFT 154 ms + 7 × TPOT 33 ms = 384 ms; 20.8 tokens/s"""
GOLDEN_THROUGHPUT = """\
Speed lab: throughput by batch size, toy, bf16
recorded: a laptop, 2 threads, prompt 16
   batch    median   least – most, at best
       1      31.6 tokens/s (29.3 – 34.3), 59.8
       4      66.9 tokens/s (64.2 – 69.8), 93.7
recorded: TTFT 58 ms + 3 × TPOT 23 ms = 127 ms; 31.6 tokens/s"""


def toy_points(sizes, dtype="fp32", threads=2, runs=3):
    """Points of a made-up machine: two milliseconds for every token that is read, 26 or 36 for every step."""
    prompt, batch = (np.array(column) for column in zip(*sizes, strict=True))
    around = np.linspace(-0.01, 0.01, runs)[None]
    step = {"fp32": 0.031, "bf16": 0.021}[dtype]
    return SpeedTrace(
        model="toy",
        shape=astuple(PUBLISHED["SmolLM2-135M"]),
        machine=tuple(MACHINE),
        dtypes=(dtype,) * len(sizes),
        prompt_tokens=prompt,
        new_tokens=np.full(len(sizes), 8),
        batches=batch,
        threads=np.full(len(sizes), threads),
        flops=np.full(len(sizes), 1e11),
        bandwidths=np.full(len(sizes), 25e9),
        ttft=0.026 + 0.002 * (prompt * batch)[:, None] + around,
        tpot=step + 0.00185 * batch[:, None] + 0.0 * around,
    )


SIZES = [(16, 1), (64, 1), (256, 1), (16, 4)]


@pytest.fixture(scope="module")
def toy():
    return toy_points(SIZES).joined(toy_points([(16, 1), (16, 4)], "bf16")).joined(toy_points([(16, 1)], threads=1))


class Tiny(CausalLM):
    """A tiny GPT-2 with a tokenizer of words."""

    def encode(self, prompt):
        return torch.arange(len(prompt.split()))[None] % 1000

    @property
    def context_length(self):
        return 64


@pytest.fixture(scope="module")
def tiny():
    return Tiny("gpt2", tiny_model("gpt2"), lambda text, **_: SimpleNamespace(input_ids=[7] * len(text.split())))


def test_every_length_and_every_batch_is_timed_once(tiny):
    before = torch.get_num_threads()
    trace = record_speed(tiny, [4, 8], new_tokens=3, batches=[1, 2], threads=[1, 2], repeats=2)
    assert [trace.key(point)[:3] for point in range(len(trace))] == [
        (4, 1, 1), (8, 1, 1), (4, 2, 1), (4, 1, 2), (8, 1, 2), (4, 2, 2),
    ]  # fmt: skip
    assert trace.ttft.shape == trace.tpot.shape == (6, 2)
    assert (trace.ttft > 0).all()
    assert (trace.tpot > 0).all()
    assert (trace.flops > 1e6).all()
    assert torch.get_num_threads() == before
    assert trace.where._replace(threads=0) == this_machine()._replace(threads=0)
    assert trace.model_shape.parameters == tiny.model.num_parameters()


def test_the_model_reads_and_writes_exactly_what_was_asked(tiny, monkeypatch):
    seen = []
    forward = tiny.model.forward

    @functools.wraps(forward)  # the model is asked what its forward pass takes
    def watched(*positional, **named):
        seen.append(tuple((named["input_ids"] if "input_ids" in named else positional[0]).shape))
        return forward(*positional, **named)

    monkeypatch.setattr(tiny.model, "forward", watched)
    record_speed(tiny, [5], new_tokens=4, batches=[3], repeats=1)
    assert seen[-8:] == [(3, 5), (3, 1), (3, 1), (3, 1)] * 2  # one run to warm up, and one


def test_smollm2_is_timed_in_both_formats():
    trace = record_speed(load_causal_lm(), [6], new_tokens=2, batches=[1], dtypes=("fp32", "bf16"), repeats=1)
    assert trace.dtypes == ("fp32", "bf16")
    assert load_causal_lm().model.dtype == torch.float32
    shape = {"source": "its configuration", "name": "SmolLM2-135M-Instruct"}
    assert trace.model_shape == replace(PUBLISHED["SmolLM2-135M"], **shape)


def test_the_total_is_ttft_and_the_other_tokens(toy):
    runs = toy.runs(1)
    assert np.allclose(runs["total"], runs["ttft"] + 7 * runs["tpot"])
    assert np.allclose(runs["throughput"], 8 / runs["total"])
    assert toy.measured(1, "total", new_tokens=100).median == pytest.approx(0.154 + 99 * 0.03285)


def test_prediction_is_work_over_rate():
    shape, rates = PUBLISHED["SmolLM2-135M"], Rates(1e11, 25e9)
    table = 49_152 * 576
    assert predicted_seconds(shape, rates, 256, 256) == pytest.approx(2 * (256 * (134_515_008 - table) + table) / 1e11)
    assert predicted_seconds(shape, rates, 1, 100) == pytest.approx((134_515_008 * 4 + 100 * 46_080) / 25e9)
    halved = (
        predicted_speed(shape, rates, 100, 8, 1, "bf16")["tpot"]
        / predicted_speed(shape, rates, 100, 8, 1, "fp32")["tpot"]
    )
    assert halved == 0.5
    assert roofline.measured_rates().bandwidth > 1e8


def test_joining_replaces_what_was_measured_again(toy):
    again = toy_points([(64, 1), (512, 1)], runs=5)
    both = toy.joined(again)
    assert len(both) == len(toy) + 1
    assert both.ttft.shape[1] == 5
    row = [both.key(point) for point in range(len(both))].index((64, 1, 2, "fp32"))
    assert both.measured(row, "ttft").runs == 5
    assert both.measured(0, "ttft").runs == 3


def test_trace_survives_a_file_and_json(toy, tmp_path):
    uneven = toy.joined(toy_points([(512, 1)], runs=5))
    uneven.save(tmp_path / "speed.npz")
    loaded = SpeedTrace.load(tmp_path / "speed.npz")
    for other in (loaded, SpeedTrace.from_json(uneven.to_json())):
        assert other.where == MACHINE
        assert other.model_shape == uneven.model_shape
        assert other.dtypes == uneven.dtypes
        assert np.allclose(other.ttft, uneven.ttft, atol=1e-6, equal_nan=True)
        assert np.array_equal(other.prompt_tokens, uneven.prompt_tokens)


def test_words_are_the_golden_ones(toy):
    assert SpeedLab(recorded=toy).describe() == GOLDEN
    lab = SpeedLab(recorded=toy, curve="throughput", prompt=16, new_tokens=4, dtype="bf16")
    assert lab.describe() == GOLDEN_THROUGHPUT


def test_what_was_not_measured_so_shows_the_nearest_and_says_which(toy):
    lab = SpeedLab(recorded=toy, threads=64, batch=3)
    assert list(lab.series()) == ["recorded: a laptop, 2 threads, batch 1"]
    lab.batch = 4
    assert [f"recorded: a laptop, 2 threads, batch {batch}" for batch in (1, 4)] == list(lab.series())
    lab.threads = 1
    assert list(lab.series()) == ["recorded: a laptop, 1 thread, batch 1"]
    assert lab.totals() == []  # 64 tokens at batch 4 were not measured
    lab = SpeedLab(recorded=toy_points(SIZES), dtype="bf16")
    assert lab.describe().endswith("nothing was measured in bf16")
    assert lab.figure().alt.startswith("TTFT (ms) by tokens of the prompt. nothing in bf16:")


def test_recorded_run_is_real_and_whole():
    trace = recorded_speed()
    assert trace.model == "SmolLM2-135M-Instruct"
    assert set(trace.dtypes) == {"fp32", "bf16"}
    assert len(set(trace.prompt_tokens.tolist())) >= 3
    assert len(set(trace.batches.tolist())) >= 3
    assert trace.where.torch
    for what in ("ttft", "tpot"):
        assert all(0 < trace.measured(point, what).least < 60 for point in range(len(trace)))
    keys = [trace.key(point) for point in range(len(trace))]
    assert len(set(keys)) == len(keys)
    # What the lesson says about it: a longer prompt takes longer, and a batch makes more tokens per second.
    lab = SpeedLab(recorded=trace)
    (ttft,) = lab.series().values()
    assert ttft["median"][-1] > 2 * ttft["median"][0]
    lab.curve = "throughput"
    speed = next(iter(lab.series().values()))
    assert max(speed["median"]) > 1.5 * speed["median"][0]


def test_the_benchmark_measures_writes_and_prints(tiny, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(benchmark, "load_causal_lm", lambda: tiny)
    monkeypatch.setattr(benchmark, "PROMPT_LENGTHS", (4, 8))
    monkeypatch.setattr(benchmark, "BATCHES", (1, 2))
    monkeypatch.setattr(benchmark, "NEW_TOKENS", 2)
    monkeypatch.setattr(benchmark.os, "cpu_count", lambda: 1)
    assert json.loads(benchmark.RECORD.read_text(encoding="utf-8"))["model"] == recorded_speed().model
    monkeypatch.setattr(benchmark, "RECORD", tmp_path / "speed.json")
    monkeypatch.setattr("sys.argv", ["speed", "--record", "--repeats", "1"])
    benchmark.main()
    written = SpeedTrace.from_json((tmp_path / "speed.json").read_text(encoding="utf-8"))
    assert [written.key(point) for point in range(3)] == [(4, 1, 1, "fp32"), (8, 1, 1, "fp32"), (4, 2, 1, "fp32")]
    assert len(capsys.readouterr().out.splitlines()) == 2 + len(written) == 8


def test_the_button_measures_here_and_keeps_what_it_measured(tiny):
    lab = speed_lab(tiny, recorded=toy_points(SIZES), threads=1)
    assert lab.here is None
    lab.asked = [1, [4], 3, [2], 1, "fp32"]
    assert (lab.problem, lab.answered, len(lab.machines)) == ("", 1, 2)
    lab.asked = [2, [8], 3, [2], 1, "fp32"]
    assert [point["prompt"] for point in lab.machines[1]["points"]] == [4, 8]
    assert len(lab.here) == 2
    assert "here: " in SpeedLab(lab.here, lab.recorded, batch=2, threads=1).describe()


def test_every_run_is_told_before_it_begins(tiny):
    told = []
    record_speed(
        tiny, [4], new_tokens=2, batches=[1, 2], threads=1, repeats=2, progress=lambda *which: told.append(which)
    )
    assert told == [(run, 6) for run in range(1, 7)], "of each of the two points, one to warm up, and two"
    lab = speed_lab(tiny, recorded=toy_points(SIZES), threads=1)
    lab.send = lambda content, buffers=None: told.append(content)
    told.clear()
    lab.asked = [1, [4], 3, [2], 1, "fp32"]
    assert [said["progress"] for said in told if "progress" in said] == [
        "2 × 4 prompt tokens + 3 new: getting ready",
        *(f"2 × 4 prompt tokens + 3 new: run {run} of 4" for run in (1, 2, 3, 4)),
    ]


def test_a_curve_is_measured_point_by_point(tiny):
    lab, told = speed_lab(tiny, recorded=toy_points(SIZES), threads=1), []
    lab.send = lambda content, buffers=None: told.append(content.get("progress", ""))
    lab.asked = [1, [4, 8], 3, [1], 1, "fp32"]
    assert (lab.problem, [point["prompt"] for point in lab.machines[1]["points"]]) == ("", [4, 8])
    assert "point 2 of 2, 1 × 8 prompt tokens + 3 new: run 4 of 4" in told

    def stop(content, buffers=None):
        if "point 2" in content.get("progress", ""):
            raise KeyboardInterrupt

    lab.send, before = stop, lab.machines
    lab.asked = [2, [4], 3, [1, 2], 1, "fp32"]
    assert (lab.problem, lab.machines) == (STOPPED, before)


def test_a_measurement_that_is_stopped_changes_nothing(tiny):
    lab = speed_lab(tiny, recorded=toy_points(SIZES), threads=1)
    lab.asked = [1, [4], 3, [1], 1, "fp32"]
    before, here, threads = lab.machines, lab.here, torch.get_num_threads()

    def stop(content, buffers=None):
        if "run 3" in content.get("progress", ""):
            raise KeyboardInterrupt

    lab.send = stop
    lab.asked = [2, [8], 3, [1], 2, "fp32"]
    assert (lab.problem, lab.answered) == (STOPPED, 2)
    assert (lab.machines, lab.here, torch.get_num_threads()) == (before, here, threads)
    lab.send = lambda content, buffers=None: None
    lab.asked = [3, [8], 3, [1], 1, "fp32"]
    assert (lab.problem, len(lab.here)) == ("", 2)


def test_the_page_estimates_with_the_numbers_of_python():
    page = (files("course_utils.widgets") / "speed_lab.js").read_text(encoding="utf-8")
    assert f"RUNS = {1 + REPEATS}, MOST_AT_ONCE = {MOST_AT_ONCE};" in page


def test_what_cannot_be_measured_is_one_sentence_and_the_widget_lives_on(tiny):
    lab = speed_lab(tiny, recorded=toy_points(SIZES), threads=1)
    lab.asked = [1, [100], 3, [1], 1, "fp32"]
    assert lab.problem == (
        "prompt tokens and new tokens must be at most 64 tokens together (the context length), got 100 + 3"
    )
    lab.asked = [2, [4], 3, [1], 1, "fp64"]
    assert lab.problem == "format must be of ['fp32', 'bf16'], got 'fp64'"
    lab.asked = [3, [4], 3, [1], 1, "fp32"]
    assert (lab.problem, lab.answered, len(lab.here)) == ("", 3, 1)


def no_memory(*_):
    raise RuntimeError("[enforce fail] not enough memory: you tried to allocate 9 bytes.\nat frame 0")


def test_no_memory_left_is_one_line(toy):
    lab = SpeedLab(recorded=toy, measure=no_memory)
    lab.asked = [1, [4], 3, [2], 1, "fp32"]
    assert lab.problem == "RuntimeError: [enforce fail] not enough memory: you tried to allocate 9 bytes."


def test_a_trace_can_stand_in_for_the_model(toy):
    lab = speed_lab(toy)
    assert (lab.can_run, lab.here, lab.recorded.model) == (False, toy, "SmolLM2-135M-Instruct")
    assert [machine["name"] for machine in lab.machines] == ["recorded", "here"]


def test_static_picture_and_page_are_small(toy, record):
    lab = SpeedLab(toy, toy, curve="tpot")
    data, metadata = lab._repr_mimebundle_()
    assert data["text/plain"] == lab.describe()
    assert metadata["image/png"]["alt"].startswith("TPOT (ms) by tokens of the prompt. recorded: a laptop")
    state = {name: value for name, value in speed_lab(toy).get_state().items() if name not in ("_esm", "_css")}
    sizes = {
        "esm_bytes": len(page_module("speed_lab").encode()),
        "png_bytes": len(data["image/png"]),
        "state_bytes": len(json.dumps(state)),
    }
    record("SpeedLab", sizes)
    assert sizes["esm_bytes"] <= MOST_ESM_BYTES
    assert sizes["png_bytes"] <= 40_000
    assert sizes["state_bytes"] <= 60_000


PARITY = """
const page = await import(process.env.WIDGET_MODULES + "/speed_lab.mjs");
const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const { machines, cases } = JSON.parse(Buffer.concat(chunks));
const drawn = (set) => ({ series: page.series(machines, set), totals: page.totals(machines, set) });
console.log(JSON.stringify(cases.map(drawn)));
"""


def test_page_and_python_draw_the_same(node, tmp_path, toy):
    (tmp_path / "speed_lab.mjs").write_text(page_module("speed_lab"), encoding="utf-8")
    labs = [
        SpeedLab(
            toy_points([(32, 1), (16, 2)]), toy, curve=curve, prompt=prompt, new_tokens=new, batch=batch, dtype=dtype
        )
        for curve, prompt, new, batch, dtype in [
            ("ttft", 64, 8, 1, "fp32"),
            ("ttft", 16, 8, 3, "fp32"),
            ("tpot", 300, 100, 1, "fp32"),
            ("throughput", 20, 5, 4, "fp32"),
            ("throughput", 16, 2, 1, "bf16"),
        ]
    ]
    names = ("curve", "prompt", "batch", "threads", "dtype")
    cases = [{name: getattr(lab, name) for name in names} | {"count": lab.new_tokens} for lab in labs]
    message = json.dumps({"machines": labs[0].machines, "cases": cases})
    command = [node, "--input-type=module", "-e", PARITY]
    environment = {**os.environ, "WIDGET_MODULES": str(tmp_path)}
    done = subprocess.run(command, input=message, env=environment, capture_output=True, text=True, check=True)
    for lab, page in zip(labs, json.loads(done.stdout), strict=True):
        ours = lab.series()
        assert [line["title"] for line in page["series"]] == list(ours)
        for line, columns in zip(page["series"], ours.values(), strict=True):
            for name, values in columns.items():
                assert [point[name] for point in line["points"]] == pytest.approx(values, rel=1e-4)
        assert page["totals"] == lab.totals()


@pytest.mark.parametrize(("linear", "scale"), [(False, "log"), (True, "linear")])
def test_the_places_on_a_speed_curve_double_or_have_equal_steps(linear, scale):
    points = {"x": [1, 64], "median": [1, 2], "least": [1, 2], "most": [1, 2], "predicted": [1, 2]}
    (axes,) = speed_curves({"a": points}, "tokens", "ms", linear=linear).axes
    assert axes.get_xscale() == scale
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "64"]


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: SpeedLab(), "here or recorded must be a SpeedTrace, got neither"),
        (
            lambda: SpeedLab(recorded=toy_points(SIZES), curve="speed"),
            "curve must be one of ['ttft', 'tpot', 'throughput'], got 'speed'",
        ),
        (lambda: SpeedLab(recorded=toy_points(SIZES), batch=0), "batch must be a whole number of at least 1, got 0"),
        (
            lambda: SpeedLab(recorded=toy_points(SIZES), new_tokens=1),
            "new_tokens must be a whole number of at least 2, got 1",
        ),
        (
            lambda: record_speed(load_causal_lm(), [16], batches=[]),
            "batches must hold at least one, got none",
        ),
        (
            lambda: record_speed(load_causal_lm(), [4096], batches=[1, 4]),
            "batch × prompt must be at most 8,192 tokens, got 16,384",
        ),
        (
            lambda: record_speed(load_causal_lm(), [16], threads=0),
            "threads must be a whole number of at least 1, got 0",
        ),
        (
            lambda: replace(toy_points(SIZES), flops=np.ones(2)),
            "flops must have 4 rows, one per point, got 2",
        ),
        (lambda: speed_curves({}, "x", "y"), "series must hold at least one, and each as many numbers in every column"),
    ],
)
def test_bad_input_is_one_sentence(make, sentence):
    with pytest.raises(ValueError) as caught:
        make()
    assert str(caught.value) == sentence
