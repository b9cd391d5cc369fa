"""Ours against `transformers` against no cache: `python -m benchmarks.generate`.

Every number printed is measured in this run. Nothing else should run on the machine meanwhile. Before anything is
timed, all three must choose the same tokens.
"""

import argparse
import copy
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from transformers import DynamicCache, PreTrainedModel, StaticCache

from course_utils.engine.generate import generate, stream
from course_utils.engine.prefill_decode import new_cache, next_logits, prefill
from course_utils.measuring.marking_streamer import MarkingStreamer
from course_utils.measuring.memory import measured_cache_bytes, measured_weight_bytes
from course_utils.measuring.number_formats import in_int8, linear_bytes
from course_utils.measuring.roofline import read_bandwidth
from course_utils.measuring.timing import (
    Mark,
    this_machine,
    time_generations_in_turn,
)
from course_utils.models import CausalLM, load_causal_lm

PROMPT_TOKENS = (16, 128, 512)
NEW_TOKENS = 24
RECORD = Path(__file__).parent / "generate.json"


def main() -> None:
    """Measure, print, and with --record write `benchmarks/generate.json`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5, help="runs of each kind (default 5)")
    parser.add_argument("--record", action="store_true", help=f"write {RECORD.name}")
    arguments = parser.parse_args()
    smollm, machine, bandwidth = load_causal_lm(), this_machine(), read_bandwidth()
    print(f"{machine.processor}, {machine.cores} cores, {machine.threads} threads, torch {machine.torch}, ", end="")
    print(f"transformers {machine.transformers}, {smollm.name} in float32\n")
    results = {
        "machine": machine._asdict(),
        "three ways": compare_three_ways(smollm, arguments.repeats),
        "without a cache": fit_the_cost_without_cache(smollm, arguments.repeats),
        "where a decode step goes": find_where_the_time_goes(smollm, bandwidth),
        "options": measure_options(smollm, bandwidth),
    }
    if arguments.record:
        RECORD.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    slower = [row for row in results["three ways"] if row["ours over transformers"] < 1]
    if slower:
        sys.exit(f"\nSlower than transformers: {slower}")


def compare_three_ways(smollm: CausalLM, repeats: int) -> list[dict]:
    """TTFT and tokens a second of ours, of transformers and without a cache, in turns."""
    print("Greedy, the same tokens from all three. Medians; tokens/s after the first token.")
    print(f"{'prompt':>7} | {'ours':^22} | {'transformers':^22} | {'without cache':^22} | ours / transformers")
    print(f"{'tokens':>7} | {'TTFT ms':>11}{'tokens/s':>11} " * 1 + f"| {'TTFT ms':>11}{'tokens/s':>11} " * 2 + "|")
    rows = []
    for length in PROMPT_TOKENS:
        ids = prompt_ids(smollm, length)
        assert_same_tokens(smollm, ids)
        timings = time_generations_in_turn(
            {"ours": ours(smollm, ids), "transformers": theirs(smollm, ids), "without cache": uncached(smollm, ids)},
            repeats,
        )
        speed = {name: 1 / timing.tpot.median for name, timing in timings.items()}
        ratio = speed["ours"] / speed["transformers"]
        cells = [f"{timing.ttft.median * 1000:11.1f}{speed[name]:11.1f} " for name, timing in timings.items()]
        print(f"{length:>7} | {'| '.join(cells)}| {ratio:.2f}×", flush=True)
        rows.append(
            {"prompt tokens": length, "ours over transformers": round(ratio, 3)}
            | {f"{name}, TTFT ms": round(timing.ttft.median * 1000, 1) for name, timing in timings.items()}
            | {f"{name}, tokens/s": round(speed[name], 2) for name in timings}
        )
    return rows


def prompt_ids(smollm: CausalLM, length: int) -> torch.Tensor:
    """A prompt of exactly `length` tokens of plain English, `(1, length)`."""
    text = "The river ran past the old mill, and the children of the village came to watch the wheel turn. "
    return smollm.encode(text * (length // 16 + 1))[:, :length]


def ours(smollm: CausalLM, ids: torch.Tensor) -> Callable[[Mark], None]:
    """Our generate, streaming."""

    def run(mark: Mark) -> None:
        for _ in stream(smollm.model, ids, smollm.tokenizer, max_new_tokens=NEW_TOKENS, eos_ids=[]):
            mark()

    return run


def theirs(smollm: CausalLM, ids: torch.Tensor) -> Callable[[Mark], None]:
    """The generate of transformers, with its default cache and attention."""

    def run(mark: Mark) -> None:
        streamer = MarkingStreamer(mark)
        smollm.model.generate(ids, streamer=streamer, **their_arguments(ids))

    return run


def their_arguments(ids: torch.Tensor) -> dict:
    """Greedy, and exactly `NEW_TOKENS` tokens."""
    return {
        "attention_mask": torch.ones_like(ids),
        "max_new_tokens": NEW_TOKENS,
        "eos_token_id": None,
        "pad_token_id": 0,
        "do_sample": False,
    }


def uncached(smollm: CausalLM, ids: torch.Tensor) -> Callable[[Mark], None]:
    """The same loop, which reads the whole text again for every token; fewer tokens, because it takes long."""

    def run(mark: Mark) -> None:
        for _ in stream(smollm.model, ids, smollm.tokenizer, max_new_tokens=4, eos_ids=[], use_cache=False):
            mark()

    return run


def assert_same_tokens(smollm: CausalLM, ids: torch.Tensor) -> None:
    """Stop the benchmark if the three do not choose the same tokens."""
    expected = smollm.model.generate(ids, **their_arguments(ids))[0, ids.shape[1] :].tolist()
    cached = generate(smollm.model, ids, max_new_tokens=NEW_TOKENS, eos_ids=[])[0].ids
    without = generate(smollm.model, ids, max_new_tokens=4, eos_ids=[], use_cache=False)[0].ids
    if list(cached) != expected or list(without) != expected[:4]:
        sys.exit(f"The tokens differ at a prompt of {ids.shape[1]} tokens: {cached}, {without}, {expected}")


def fit_the_cost_without_cache(smollm: CausalLM, repeats: int) -> dict:
    """Without a cache a step reads all tokens: its time grows linearly, the work of a whole text quadratically."""
    lengths = [32, 64, 128, 256, 512]
    milliseconds = []
    for length in lengths:
        ids = prompt_ids(smollm, length)
        milliseconds.append(median_milliseconds(lambda ids=ids: next_logits(smollm.model, ids, None), repeats))
    slope, start = np.polyfit(lengths, milliseconds, 1)
    predicted = np.polyval((slope, start), lengths)
    total = np.sum((np.array(milliseconds) - np.mean(milliseconds)) ** 2)
    explained = 1 - np.sum((np.array(milliseconds) - predicted) ** 2) / total
    print("\nA step without a cache, by the length of the text:")
    for length, measured, fitted in zip(lengths, milliseconds, predicted, strict=True):
        print(f"{length:>7} tokens: {measured:8.1f} ms, the line says {fitted:8.1f} ms")
    print(f"Fit: {start:.1f} ms + {slope:.2f} ms a token (R² = {explained:.4f}). So n new tokens after p cost")
    print(f"n · ({start:.1f} + {slope:.2f} p) + {slope / 2:.2f} n² ms: quadratic in n, where a cache makes it linear.")
    return {"ms": dict(zip(lengths, np.round(milliseconds, 1), strict=True)), "ms a token": round(slope, 3)} | {
        "ms at the start": round(start, 1),
        "R2": round(float(explained), 5),
    }


def find_where_the_time_goes(smollm: CausalLM, bandwidth: float) -> dict:
    """A decode step must read every weight once: how long must that take, and how long does it?"""
    model = smollm.model
    _, cache = prefill(model, prompt_ids(smollm, 128))
    size = measured_weight_bytes(model) + measured_cache_bytes(cache)
    limit = size / bandwidth * 1000
    token = torch.tensor([[100]])
    step = median_milliseconds(lambda: next_logits(model, token, cache.copy()), 15)
    layers = [module for module in model.modules() if isinstance(module, torch.nn.Linear)]
    inputs = [torch.randn(1, layer.in_features) for layer in layers]

    def products() -> None:
        for layer, numbers in zip(layers, inputs, strict=True):
            layer(numbers)

    with torch.inference_mode():
        product = median_milliseconds(products, 15)
    rate = sum(layer.weight.nbytes for layer in layers) / product * 1000
    print(f"\nA decode step at 128 tokens reads {size / 1e6:.0f} MB of weights and cache.")
    print(f"  memory limit: {limit:6.1f} ms, at the {bandwidth / 1e9:.1f} GB/s that this machine reads (measured)")
    print(f"  measured:     {step:6.1f} ms, {step / limit:.2f} times the limit")
    print(f"  of which the {len(layers)} matrix–vector products alone: {product:.1f} ms ({product / step:.0%}),")
    print(f"  reading {rate / 1e9:.1f} GB/s: torch's float32 product, not the memory, sets the pace.")
    return {
        "MB": round(size / 1e6),
        "read GB/s": round(bandwidth / 1e9, 1),
        "limit ms": round(limit, 1),
        "measured ms": round(step, 1),
        "measured over limit": round(step / limit, 2),
        "products ms": round(product, 1),
        "products GB/s": round(rate / 1e9, 1),
    }


def measure_options(smollm: CausalLM, bandwidth: float) -> list[dict]:
    """What transformers and torch offer to get closer to the limit, one by one."""
    print("\nA decode step at 128 tokens, by option (median of 15):")
    print(f"{'':34}{'MB':>6}{'ms':>8}{'× limit':>9}   tokens of 24 as in float32")
    model = smollm.model
    ids = prompt_ids(smollm, 128)
    rows = []
    reference = [token for _, token in decode(model, ids, new_cache(model))]
    options: dict[str, Callable[[], tuple[PreTrainedModel, object]]] = {
        "ours, float32": lambda: (model, new_cache(model)),
        "transformers, float32": lambda: (model, DynamicCache(config=model.config)),
        "static cache": lambda: (model, static_cache(model)),
        "static cache + torch.compile": lambda: (compiled(model), static_cache(model)),
        "bfloat16": lambda: with_dynamic_cache(copy.deepcopy(model).to(torch.bfloat16)),
        "int8 weights (torch.ao)": lambda: with_dynamic_cache(in_int8(model)),
    }
    for name, make in options.items():
        try:
            changed, cache = make()
            steps = decode(changed, ids, cache)
        except (RuntimeError, NotImplementedError, ImportError) as error:  # not every processor has every format
            print(f"{name:34}not here: {str(error).splitlines()[0][:80]}")
            continue
        milliseconds = statistics.median(seconds for seconds, _ in steps[-15:]) * 1000
        size = linear_bytes(changed)
        ratio = milliseconds / 1000 * bandwidth / size
        same = sum(one == other for one, (_, other) in zip(reference, steps, strict=True))
        print(f"{name:34}{size / 1e6:6.0f}{milliseconds:8.1f}{ratio:9.2f}   {same}", flush=True)
        rows.append(
            {"option": name, "MB": round(size / 1e6), "ms": round(milliseconds, 1), "× limit": round(ratio, 2)}
            | {"same tokens of 24": same}
        )
    return rows


def decode(model: PreTrainedModel, ids: torch.Tensor, cache: object) -> list[tuple[float, int]]:
    """Prefill, then 24 greedy decode steps: the seconds and the token of each."""
    logits, cache = prefill(model, ids, cache)
    steps = []
    for _ in range(24):
        start = time.perf_counter()
        logits = next_logits(model, logits.argmax(-1)[:, None], cache)
        steps.append((time.perf_counter() - start, logits.argmax().item()))
    return steps


def static_cache(model: PreTrainedModel) -> StaticCache:
    """A cache of fixed size, which is filled in place."""
    return StaticCache(config=model.config, max_cache_len=256)


def with_dynamic_cache(model: PreTrainedModel) -> tuple[PreTrainedModel, DynamicCache]:
    """The model with the default cache of transformers."""
    return model, DynamicCache(config=model.config)


def compiled(model: PreTrainedModel) -> PreTrainedModel:
    """A copy whose decode steps are compiled; it shares the weights."""
    twin = copy.copy(model)
    forward = torch.compile(model.forward, dynamic=False)

    def choose(*positional, **named):  # prefill has another shape: compiling it too would only take longer
        is_decode = named["input_ids"].shape[1] == 1
        return (forward if is_decode else model.forward)(*positional, **named)

    twin.forward = choose
    return twin


def median_milliseconds(call: Callable[[], object], repeats: int) -> float:
    """The median time of a call, after one that is not counted."""
    seconds = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:]) * 1000


if __name__ == "__main__":
    main()
