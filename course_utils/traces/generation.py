"""A generation, step by step: what came out, how long it took, what the cache weighed.

Lesson: 10 · Prefill and decode
"""

import time
from dataclasses import dataclass

import numpy as np
import torch

from course_utils.engine.generation_steps import GrowingText, generation_steps, stop_rules
from course_utils.engine.running import RunningModel
from course_utils.engine.settings import GenerationSettings
from course_utils.measuring.memory import measured_cache_bytes
from course_utils.models import CausalLM
from course_utils.traces.base import Trace


@dataclass(frozen=True)
class GenerationTrace(Trace):
    """One generated text. Step 0 is prefill and its token; every other step is a decode step.

    Args:
        model: Name of the model that ran.
        prompt_tokens: The prompt's tokens as visible text.
        new_tokens: The generated tokens as visible text, one per step.
        ids: Their ids, int64 `(step,)`.
        milliseconds: Time of the model in each step, float64 `(step,)`.
        cache_tokens: Tokens in the cache after each step, int64 `(step,)`; 0 without a cache.
        cache_bytes: Bytes of the cache after each step, int64 `(step,)`; a state (of Mamba) stays as it is.
        logits: What the model said in each step, before penalties and filters, float32 `(step, vocab)`.
        use_cache: Whether there was a cache.
        reason: Why the text ended.

    Raises:
        ValueError: The arrays do not have one row per step.

    >>> steps = {name: np.zeros(1) for name in ("ids", "milliseconds", "cache_tokens", "cache_bytes", "logits")}
    >>> GenerationTrace("toy", "a", ("a",), ("b",), **steps, use_cache=True, reason="eos").new_tokens
    ('b',)
    """

    model: str
    prompt: str
    prompt_tokens: tuple[str, ...]
    new_tokens: tuple[str, ...]
    ids: np.ndarray
    milliseconds: np.ndarray
    cache_tokens: np.ndarray
    cache_bytes: np.ndarray
    logits: np.ndarray
    use_cache: bool
    reason: str

    def __post_init__(self) -> None:
        names = ("ids", "milliseconds", "cache_tokens", "cache_bytes", "logits")
        self.check_rows("step", len(self.new_tokens), names)


class _RecordingModel(RunningModel):
    """A running model that notes, at every step, its logits, its time and the size of its cache."""

    def __init__(self, *arguments, **settings) -> None:
        super().__init__(*arguments, **settings)
        self.steps: list[tuple[float, int, int, np.ndarray]] = []

    def next_logits(self, ids: torch.Tensor) -> torch.Tensor:
        start = time.perf_counter()
        logits = super().next_logits(ids)
        said = logits[0].cpu().numpy()  # a graphics card is done only when its numbers are here
        milliseconds = (time.perf_counter() - start) * 1000
        size = 0 if self.cache is None else measured_cache_bytes(self.cache)
        self.steps.append((milliseconds, self.read, size, said))
        return logits


def record_generation(model: CausalLM, prompt: str, **settings) -> GenerationTrace:
    """Generate after `prompt` and record every step.

    Args:
        settings: As `GenerationSettings`; without beams, and one text.

    Raises:
        TypeError: `prompt` is not a str.
        ValueError: `prompt` is empty or too long, or a setting is out of its range.

    >>> from course_utils.models import load_causal_lm
    >>> trace = record_generation(load_causal_lm(), "The capital of France is", max_new_tokens=3)
    >>> trace.new_tokens, trace.cache_tokens
    (('␣Paris', '.', '⏎'), array([5, 6, 7]))
    """
    chosen = GenerationSettings(**settings)
    if chosen.num_beams > 1 or chosen.num_return_sequences > 1:
        raise ValueError("num_beams and num_return_sequences must be 1 to record a generation, got more")
    ids = model.encode(prompt)
    running = _RecordingModel(model.model, ids, use_cache=chosen.use_cache)
    rules = stop_rules(running, chosen, model.tokenizer)
    text = GrowingText(rules)
    for _ in generation_steps(running, rules, chosen, [text]):
        pass  # the running model notes every step
    milliseconds, tokens, sizes, logits = zip(*running.steps, strict=True)
    return GenerationTrace(
        model=model.name,
        prompt=prompt,
        prompt_tokens=tuple(model.labels[token] for token in ids[0].tolist()),
        new_tokens=tuple(model.labels[token] for token in text.ids),
        ids=np.array(text.ids),
        milliseconds=np.array(milliseconds),
        cache_tokens=np.array(tokens),
        cache_bytes=np.array(sizes),
        logits=np.stack(logits),
        use_cache=chosen.use_cache,
        reason=str(text.reason),
    )
