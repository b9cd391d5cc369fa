"""Measure generation by prompt length, batch, threads and number format, for a `SpeedTrace`.

Lesson: 14 · Speed and memory in practice
"""

import copy
import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple
from functools import reduce

import numpy as np
import torch
from transformers import PreTrainedModel

from course_utils.engine.arguments import check_whole
from course_utils.engine.prefill_decode import decode_step, prefill
from course_utils.measuring.model_shapes import ModelShape
from course_utils.measuring.roofline import measured_rates
from course_utils.measuring.timing import GenerationTiming, Mark, Progress, this_machine, time_generation
from course_utils.models import CausalLM
from course_utils.traces.speed import BYTES, SpeedTrace

MOST_AT_ONCE = 8_192  # tokens of all prompts: more would fill a small machine's memory
TEXT = "The river ran past the old mill, and the children of the village came to watch the wheel turn. "
FORMATS = {"fp32": torch.float32, "bf16": torch.bfloat16}


def record_speed(
    model: CausalLM,
    prompt_lengths: Sequence[int] = (16, 64, 256),
    new_tokens: int = 8,
    batches: Sequence[int] = (1, 2, 4),
    threads: int | Sequence[int] | None = None,
    dtypes: Sequence[str] = ("fp32",),
    repeats: int = 3,
    progress: Progress | None = None,
) -> SpeedTrace:
    """Time generation: every prompt length with the first batch size, and every batch size with the first length.

    Every run reads and generates exactly these numbers of tokens, greedily; an end-of-sequence token does not
    stop it. One more run before the others is not counted.

    Args:
        prompt_lengths: Tokens of a prompt, each at least 1.
        new_tokens: Tokens to generate after it, at least 2: the first has no time per output token.
        batches: How many copies of the prompt grow at once.
        threads: Threads of torch, one number or several; None: as it is set now. Afterwards it is set as before.
        dtypes: Number formats of weights and cache: "fp32" and "bf16".
        repeats: How many runs of every point are counted.
        progress: Called before each run with its number, from 1, and how many there are; the runs that aren't counted
            are among them.

    Raises:
        ValueError: A setting is out of its range, or a prompt does not fit into the context length; or the model isn't
            on the processor, or has another kind of cache than `ModelShape` describes.

    >>> from course_utils.models import load_causal_lm
    >>> trace = record_speed(load_causal_lm(), [4], new_tokens=2, batches=[1, 2], repeats=1)
    >>> len(trace), trace.batches, bool((trace.ttft > 0).all())
    (2, array([1, 2]), True)
    """
    new_tokens, repeats = check_whole("new_tokens", new_tokens, 2), check_whole("repeats", repeats, 1)
    prompt_lengths = [check_whole("prompt_lengths", length, 1) for length in prompt_lengths]
    batches = [check_whole("batches", batch, 1) for batch in batches]
    _check(model, prompt_lengths, new_tokens, batches, dtypes)
    if model.model.device.type != "cpu":
        raise ValueError(f"model must be on the processor, whose rates it is compared with, got {model.model.device}")
    shape = ModelShape.of(model.name, model.model)
    counts = [torch.get_num_threads()] if threads is None else np.atleast_1d(threads).tolist()
    for count in counts:
        check_whole("threads", count, 1)
    sizes = dict.fromkeys(
        [*((length, batches[0]) for length in prompt_lengths), *((prompt_lengths[0], batch) for batch in batches)]
    )
    traces, points = [], len(dtypes) * len(counts) * len(sizes)

    def tell(run: int, runs: int) -> None:
        if progress is not None:
            progress(len(traces) * runs + run, points * runs)

    for dtype in dtypes:
        weights = in_format(model.model, dtype)
        for count, (length, batch) in itertools.product(counts, sizes):
            with _threads(count):
                traces.append(_point(model, shape, weights, dtype, length, batch, new_tokens, repeats, traces, tell))
    return reduce(SpeedTrace.joined, traces)


def measure_generation(
    model: CausalLM,
    weights: PreTrainedModel,
    length: int,
    batch: int,
    new_tokens: int,
    repeats: int,
    progress: Progress | None = None,
) -> GenerationTiming:
    """Time prefill of `batch` prompts of exactly `length` tokens and greedy decode steps, with the weights given.

    `progress` is as for `time_generation`.

    Raises:
        ValueError: `repeats` is not a whole number of at least 1.

    >>> from course_utils.models import load_causal_lm
    >>> smollm = load_causal_lm()
    >>> measure_generation(smollm, smollm.model, length=4, batch=2, new_tokens=3, repeats=1).batch
    2
    """
    text = model.tokenizer(TEXT, add_special_tokens=False).input_ids
    ids = torch.tensor([(text * (length // len(text) + 1))[:length]]).repeat(batch, 1)

    def run(mark: Mark) -> None:
        logits, cache = prefill(weights, ids)
        mark()
        for _ in range(new_tokens - 1):
            logits = decode_step(weights, logits.argmax(-1), cache)
            mark()

    return time_generation(run, repeats, warm_up=1, batch=batch, progress=progress)


def in_format(model: PreTrainedModel, dtype: str) -> PreTrainedModel:
    """Return `model` with its weights in another number format: a copy, unless it has that format.

    >>> from course_utils.models import load_causal_lm
    >>> in_format(load_causal_lm().model, "bf16").dtype
    torch.bfloat16
    """
    return model if model.dtype == FORMATS[dtype] else copy.deepcopy(model).to(FORMATS[dtype])


def _point(model, shape, weights, dtype, length, batch, new_tokens, repeats, before, progress) -> SpeedTrace:
    """Measure one point; the machine's rates are those of an earlier point with the same threads and format."""
    count = torch.get_num_threads()
    known = [trace for trace in before if trace.dtypes == (dtype,) and trace.threads[0] == count]
    rates = (known[0].flops[0], known[0].bandwidths[0]) if known else measured_rates(FORMATS[dtype])
    timing = measure_generation(model, weights, length, batch, new_tokens, repeats, progress)
    seconds = np.array(timing.seconds)
    whole = {"prompt_tokens": length, "new_tokens": new_tokens, "batches": batch, "threads": count}
    return SpeedTrace(
        model=model.name,
        shape=astuple(shape),
        machine=tuple(this_machine()),
        dtypes=(dtype,),
        **{name: np.array([value]) for name, value in whole.items()},
        flops=np.array([rates[0]]),
        bandwidths=np.array([rates[1]]),
        ttft=seconds[:, :1].T,
        tpot=((seconds[:, -1:] - seconds[:, :1]) / (new_tokens - 1)).T,
    )


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _check(model, prompt_lengths, new_tokens, batches, dtypes) -> None:
    for name, values in (("prompt_lengths", prompt_lengths), ("batches", batches), ("dtypes", dtypes)):
        if not len(values):
            raise ValueError(f"{name} must hold at least one, got none")
    for dtype in dtypes:
        if dtype not in BYTES:
            raise ValueError(f"dtypes must be of {list(BYTES)}, got {dtype!r}")
    for length in prompt_lengths:
        if model.context_length is not None and length + new_tokens > model.context_length:
            raise ValueError(
                f"prompt_lengths and new_tokens must be at most {model.context_length:,} tokens together (the context "
                f"length), got {length:,} + {new_tokens:,}"
            )
    most = max(max(prompt_lengths) * batches[0], prompt_lengths[0] * max(batches))
    if most > MOST_AT_ONCE:
        raise ValueError(f"batch × prompt must be at most {MOST_AT_ONCE:,} tokens, got {most:,}")
