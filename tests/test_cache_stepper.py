"""Prefill and decode, recorded and drawn: numbers against transformers, golden words, budgets, one-sentence errors."""

import json
import os
import subprocess
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import DynamicCache

from course_utils import figures
from course_utils.engine.prefill_decode import prefill
from course_utils.models import CausalLM, load_causal_lm
from course_utils.traces import CacheTrace, record_cache
from course_utils.traces.cache import MOST_TOKENS
from course_utils.widgets import CacheStepper, cache_stepper
from course_utils.widgets.base import page_module
from tests.budgets import MOST_ESM_BYTES
from tests.tiny_models import tiny_model

PROMPT = "The capital of France is"
GOLDEN = """\
Prefill/decode stepper: “a⏎b” (toy)
3 prompt tokens, 3 new; end: the model chose its end-of-sequence token
cache: 2 (keys, values) × 2 layers × 2 KV heads × 4 numbers × 4 bytes = 128 bytes per token
now: step 1, decode, KV cache on: reads 1, has 3 in the cache, chooses “d”
step  phase    reads  without cache  cache bytes  chooses
   0  prefill      3              3          384  c
   1  decode       1              4          512  d
   2  decode       1              5          640  <eos>
tokens read in all: 5 with the cache, 12 without
proof: both ways choose the same token, and their logits differ by less than 0.001"""


def toy_trace(prompt=3, new=3, layers=2, heads=2, head_dim=4):
    """A run without a model; its numbers are those of a real one."""
    generator = np.random.default_rng(0)
    tokens = prompt + np.arange(new)
    return CacheTrace(
        model="toy",
        prompt="a\nb",
        prompt_tokens=tuple(f"p{i}" for i in range(prompt)),
        new_tokens=("c", "d", "<eos>")[:new] if new <= 3 else tuple(f"n{i}" for i in range(new)),
        milliseconds=30 + generator.random(new) * 10,
        milliseconds_without=40.0 + 2 * tokens,
        cache_tokens=tokens,
        cache_bytes=tokens * 2 * layers * heads * head_dim * 4,
        differences=np.full(new, 2e-5),
        same_choice=np.ones(new, dtype=bool),
        key_lengths=generator.random((layers, heads, prompt + new - 1)).astype(np.float32) + 1,
        head_dim=head_dim,
        reason="eos",
    )


def as_large_as_smollm2(tokens):
    """A run whose cache holds `tokens` tokens of 30 layers with 3 KV heads."""
    return toy_trace(prompt=10, new=tokens - 9, layers=30, heads=3, head_dim=64)


@pytest.fixture(scope="module")
def trace():
    return record_cache(load_causal_lm(), PROMPT, max_new_tokens=6)


def test_tokens_are_those_of_transformers(trace):
    smollm = load_causal_lm()
    ids = smollm.encode(PROMPT)
    mask = torch.ones_like(ids)
    expected = smollm.model.generate(ids, attention_mask=mask, max_new_tokens=6, do_sample=False, pad_token_id=0)
    assert trace.new_tokens == tuple(smollm.labels[token] for token in expected[0, 5:])
    assert trace.same_choice.all()
    assert 0 < trace.differences.max() < 1e-3, "not computed twice, or not the same"


def test_bytes_and_keys_are_those_of_a_real_cache(trace):
    smollm = load_causal_lm()
    assert trace.cache_bytes.tolist() == [46_080 * tokens for tokens in range(5, 11)]
    theirs = DynamicCache(config=smollm.model.config)
    prefill(smollm.model, smollm.encode(PROMPT), theirs)
    keys = torch.cat([layer.keys for layer in theirs.layers]).norm(dim=-1).numpy()
    assert np.allclose(trace.key_lengths[:, :, :5], keys, atol=1e-2)
    assert (trace.layers, trace.key_value_heads, trace.head_dim) == (30, 3, 64)


def test_reason_is_the_models_own_end():
    trace = record_cache(load_causal_lm(), "The first month of the year is", max_new_tokens=40)
    assert trace.reason == "eos"
    assert trace.new_tokens[-1] == "<|im_end|>"
    assert len(trace.new_tokens) < 40


def test_a_model_that_is_no_llama_is_recorded_too():
    class Tiny(CausalLM):
        labels = tuple(f"t{i}" for i in range(1000))

        def encode(self, prompt):
            return torch.tensor([[5, 6, 7]])

    trace = record_cache(Tiny("gpt2", tiny_model("gpt2"), None), "x", max_new_tokens=3)
    assert trace.key_lengths.shape[2] == trace.cache_tokens[-1] == 5
    assert trace.same_choice.all()


def test_trace_survives_a_file(tmp_path):
    trace = toy_trace()
    trace.save(tmp_path / "run.npz")
    loaded = CacheTrace.load(tmp_path / "run.npz")
    assert np.array_equal(loaded.key_lengths, trace.key_lengths)
    assert CacheStepper(loaded, step=1).describe() == GOLDEN


@given(st.integers(1, 50), st.integers(1, 50))
def test_total_work_is_the_formula(prompt, new):
    trace = toy_trace(prompt, new)
    assert sum(trace.tokens_read(use_cache=True)) == prompt + new - 1
    assert sum(trace.tokens_read(use_cache=False)) == new * prompt + new * (new - 1) // 2


def test_describe_is_golden():
    assert CacheStepper(toy_trace(), step=1).describe() == GOLDEN


def test_switching_the_cache_off_keeps_nothing():
    stepper = CacheStepper(toy_trace(), step=1, use_cache=False)
    assert "now: step 1, decode, KV cache off: reads 4, has 0 in the cache, chooses “d”" in stepper.describe()
    assert stepper.figure().alt.startswith("Step 1, decode without the KV cache: 0 tokens are kept, 4 are read")


def test_a_proof_that_fails_says_so():
    wrong = replace(toy_trace(), differences=np.full(3, 0.25), same_choice=np.array([True, False, True]))
    said = CacheStepper(wrong).describe().splitlines()[-1]
    assert said == "proof: both ways choose not always the same token, and their logits differ by up to 0.250"


def test_times_are_not_in_the_words():
    trace = toy_trace()
    slower = replace(trace, milliseconds=trace.milliseconds * 7, milliseconds_without=trace.milliseconds_without * 3)
    assert CacheStepper(slower, step=1).describe() == GOLDEN


@pytest.mark.parametrize("tokens", [20, 60, 200])
def test_budgets(tokens, record):
    stepper = CacheStepper(as_large_as_smollm2(tokens))
    state = len(json.dumps({name: value for name, value in stepper.get_state().items() if name[0] != "_"}))
    state += sum(len(value) for value in stepper.get_state().values() if isinstance(value, bytes))
    state += len(stepper._esm) + len(stepper._css)
    data, metadata = stepper._repr_mimebundle_()
    module, picture = len(CacheStepper._esm.encode()), len(data["image/png"])
    record("CacheStepper", {"esm_bytes": module, f"state_bytes_{tokens}": state, f"png_bytes_{tokens}": picture})
    assert set(data) == {"application/vnd.jupyter.widget-view+json", "image/png", "text/plain"}
    assert len(metadata["image/png"]["alt"]) > 40
    assert module <= MOST_ESM_BYTES
    assert state <= 500_000
    assert picture <= 40_000


def test_more_than_fits_is_cut_with_a_notice():
    figure = CacheStepper(as_large_as_smollm2(260)).figure()
    assert figure.axes[0].get_xlim() == (59.5, 259.5)
    assert "the last 200 of 260" in figure.axes[0].get_xlabel()


def test_another_prompt_is_run_and_a_wrong_one_leaves_the_old():
    def run(prompt, new_tokens):
        if not prompt:
            raise ValueError("prompt must have at least one character, got an empty text")
        return toy_trace(prompt=2, new=new_tokens)

    stepper = CacheStepper(toy_trace(), run)
    stepper.asked = [1, "hello", 2]
    assert (stepper.problem, stepper.answered, stepper.step) == ("", 1, 1)
    assert stepper.recorded["promptTokens"] == ["p0", "p1"]
    stepper.asked = [2, "", 2]
    assert stepper.problem == "prompt must have at least one character, got an empty text"
    assert (stepper.answered, stepper.recorded["promptTokens"]) == (2, ["p0", "p1"])


@pytest.mark.parametrize(
    ("prompt", "new_tokens", "sentence"),
    [
        ("", 5, "prompt must have at least one character, got an empty text"),
        ("Hi", 0, "new tokens must be a whole number of at least 1, got 0"),
        ("Hi", "ten", "new tokens must be a whole number of at least 1, got 'ten'"),
        ("Hi", "", "new tokens must be a whole number of at least 1, got nothing"),
        (
            "word " * 3000,
            20,
            f"prompt and new tokens must be at most {MOST_TOKENS} tokens together, because without a cache every "
            "step reads them all, got 3,001 + 20",
        ),
    ],
)
def test_a_bad_prompt_is_one_sentence_beside_it(prompt, new_tokens, sentence):
    stepper = CacheStepper(toy_trace(), lambda text, tokens: record_cache(load_causal_lm(), text, tokens))
    stepper.asked = [1, prompt, new_tokens]
    assert (stepper.problem, stepper.answered) == (sentence, 1)
    stepper.step = 1
    assert stepper.describe() == GOLDEN


@pytest.mark.parametrize(("step", "got"), [(3, "3"), (-1, "-1")])
def test_a_bad_step_is_one_sentence_and_the_widget_lives(step, got):
    stepper = CacheStepper(toy_trace(), step=1)
    with pytest.raises(ValueError) as caught:
        stepper.step = step
    assert str(caught.value) == f"step must be in 0 … 2, got {got}"
    assert stepper.describe() == GOLDEN


@pytest.mark.parametrize("text", ["🦜🙂", "你好，世界", "x", "$x^2$ <b>"])
def test_any_text_is_recorded_and_drawn(text):
    stepper = cache_stepper(load_causal_lm(), text, max_new_tokens=2)
    assert len(stepper.trace.new_tokens) == 2
    assert len(stepper._repr_mimebundle_()[0]["image/png"]) <= 40_000


PARITY = """
const page = await import(process.env.WIDGET_MODULES + "/cache_stepper.mjs");
const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const { run, cases } = JSON.parse(Buffer.concat(chunks));
const prompt = run.promptTokens.length;
console.log(JSON.stringify(cases.map(([step, useCache]) => ({
  read: page.tokensRead(prompt, step, useCache), total: page.totalRead(prompt, step, useCache),
  ms: page.total(run[useCache ? "with" : "without"], step), weight: page.weight(run, step),
}))));
"""


def test_page_and_python_count_the_same(node, tmp_path):
    (tmp_path / "cache_stepper.mjs").write_text(page_module("cache_stepper"), encoding="utf-8")
    stepper = CacheStepper(as_large_as_smollm2(60))
    cases = [(step, use_cache) for step in (0, 1, 17, 50) for use_cache in (True, False)]
    command = [node, "--input-type=module", "-e", PARITY]
    environment = {**os.environ, "WIDGET_MODULES": str(tmp_path)}
    message = json.dumps({"run": stepper.recorded, "cases": cases})
    done = subprocess.run(command, input=message, env=environment, capture_output=True, text=True, check=True)
    trace = stepper.trace
    for (step, use_cache), page in zip(cases, json.loads(done.stdout), strict=True):
        reads = trace.tokens_read(use_cache)
        times = trace.milliseconds if use_cache else trace.milliseconds_without
        assert (page["read"], page["total"]) == (reads[step], sum(reads[: step + 1]))
        assert page["ms"] == pytest.approx(times[: step + 1].sum(), abs=0.5)
        assert page["weight"].endswith(f" = {trace.cache_bytes[step]:,} bytes.")


def test_timeline_says_what_took_how_long():
    events = [
        ("prefill", "tokenize", 1.0, 1.002),
        ("prefill", "30 layers", 1.002, 1.1),
        ("decode", "30 layers", 1.1, 1.13),
        ("decode", "30 layers", 1.13, 1.16),
    ]
    assert figures.run_timeline(events).alt == (
        "A timeline of 160 ms. prefill takes 100 ms: tokenize 2.0 ms, 30 layers 98.0 ms. "
        "decode takes 60 ms: 30 layers 60.0 ms."
    )


def test_timeline_has_its_lanes_in_the_order_asked_for_each_with_its_sum():
    events = [("prefill", "process", 0.0, 0.1), ("decode", "select", 0.1, 0.11), ("decode", "attend", 0.11, 0.14)]
    events.append(("decode", "select", 0.14, 0.16))
    (axes,) = figures.run_timeline(events, lanes=["process", "attend", "select"]).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["process", "attend", "select"]
    assert [text.get_text() for text in axes.texts] == ["100.0 ms", "30.0 ms", "30.0 ms"]
    with pytest.raises(ValueError, match=r"^lanes must name all that was done, got no 'select'$"):
        figures.run_timeline(events, lanes=["process", "attend"])


def test_total_work_says_the_ratio():
    counted = {"with cache": [32] + [1] * 23, "without cache": [32 + step for step in range(24)]}
    seconds = {name: np.array(numbers) / 100 for name, numbers in counted.items()}
    alt = figures.total_work(counted, seconds).alt
    assert "Tokens read: 55 with cache, 1,044 without cache, 19.0 times as much." in alt


def test_roofline_says_where_the_limits_cross():
    alt = figures.roofline({"decode step": (0.5, 8), "prefill": (101, 92)}, gigaflops=100, gigabytes=32).alt
    assert alt.startswith("A roofline: memory sets the limit below 3.1 FLOPs per byte")


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: figures.run_timeline([]), "events must hold at least one, each of the phase 'prefill' or 'decode'"),
        (
            lambda: figures.cache_steps(["a"], ["b"], np.ones((1, 1, 5)), (np.ones(1), np.ones(1)), 0, True),
            "shares must have shape (layer, key_value_head, 1), got (1, 1, 5)",
        ),
        (
            lambda: replace(toy_trace(), key_lengths=np.ones((2, 2, 9))),
            "key_lengths must have shape (layer, key_value_head, 5), got (2, 2, 9)",
        ),
        (lambda: replace(toy_trace(), differences=np.ones(2)), "differences must have 3 rows, one per step, got 2"),
    ],
)
def test_bad_input_is_one_sentence(make, sentence):
    with pytest.raises(ValueError) as caught:
        make()
    assert str(caught.value) == sentence
