"""One generation run both ways, with a KV cache and without: the same tokens, other times, other bytes.

Lesson: 10 · Prefill and decode
"""

import time
from dataclasses import dataclass

import numpy as np
import torch

from course_utils.engine.cache import KeyValueCache
from course_utils.engine.generation_steps import GrowingText, stop_rules
from course_utils.engine.progress import report
from course_utils.engine.running import RunningModel
from course_utils.engine.settings import GenerationSettings
from course_utils.measuring.memory import measured_cache_bytes
from course_utils.models import CausalLM
from course_utils.models.architectures import keeps_states
from course_utils.traces.base import Trace

MOST_TOKENS = 400  # of prompt and new text: without a cache, every step reads all of them


@dataclass(frozen=True)
class CacheTrace(Trace):
    """One generated text, each step of it run with a KV cache and without. Step 0 is prefill, the others are decode.

    Args:
        model: Name of the model that ran.
        prompt_tokens: The prompt's tokens as visible text.
        new_tokens: The generated tokens as visible text, one per step.
        milliseconds: Time of the model in each step with the cache, float64 `(step,)`.
        milliseconds_without: The same without a cache, float64 `(step,)`.
        cache_tokens: Tokens in the cache after each step, int64 `(step,)`.
        cache_bytes: Bytes of the cache object after each step, int64 `(step,)`.
        differences: Of each step's two sets of logits, the largest difference over the vocabulary, float64 `(step,)`.
        same_choice: Whether both choose the same token, bool `(step,)`.
        key_lengths: Length (2-norm) of every key in the cache after the last step, float32
            `(layer, key_value_head, position)`.
        head_dim: Numbers in one key.
        reason: Why the text ended.

    Raises:
        ValueError: The arrays do not have one row per step, or the keys do not fit the last step's cache.

    >>> names = ("milliseconds", "milliseconds_without", "cache_tokens", "cache_bytes", "differences", "same_choice")
    >>> step = {name: np.ones(1) for name in names}
    >>> CacheTrace("toy", "a", ("a",), ("b",), **step, key_lengths=np.ones((2, 1, 1)), head_dim=4, reason="eos").layers
    2
    """

    model: str
    prompt: str
    prompt_tokens: tuple[str, ...]
    new_tokens: tuple[str, ...]
    milliseconds: np.ndarray
    milliseconds_without: np.ndarray
    cache_tokens: np.ndarray
    cache_bytes: np.ndarray
    differences: np.ndarray
    same_choice: np.ndarray
    key_lengths: np.ndarray
    head_dim: int
    reason: str

    def __post_init__(self) -> None:
        names = ("milliseconds", "milliseconds_without", "cache_tokens", "cache_bytes", "differences", "same_choice")
        self.check_rows("step", len(self.new_tokens), names)
        if self.key_lengths.ndim != 3 or self.key_lengths.shape[2] != self.cache_tokens[-1]:
            raise ValueError(
                f"key_lengths must have shape (layer, key_value_head, {self.cache_tokens[-1]:.0f}), "
                f"got {self.key_lengths.shape}"
            )

    @property
    def layers(self) -> int:
        """How many layers the cache has."""
        return self.key_lengths.shape[0]

    @property
    def key_value_heads(self) -> int:
        """How many KV heads a layer of the cache has."""
        return self.key_lengths.shape[1]

    def tokens_read(self, use_cache: bool) -> list[int]:
        """Return how many tokens the model reads in each step, counted by arithmetic."""
        prompt = len(self.prompt_tokens)
        if use_cache:
            return [prompt] + [1] * (len(self.new_tokens) - 1)
        return [prompt + step for step in range(len(self.new_tokens))]


def record_cache(model: CausalLM, prompt: str, max_new_tokens: int = 20) -> CacheTrace:
    """Generate after `prompt`, greedily, and run every step twice: with a KV cache, and on the whole text without.

    The two take turns, so that a moment in which the machine is busy does not favour one of them.

    Raises:
        TypeError: `prompt` is not a str.
        ValueError: `prompt` is empty, or too long to be read again at every step; `max_new_tokens` is below 1; or the
            model does not keep keys and values of one size of all tokens in every layer, as one with a state or a
            sliding window.

    >>> from course_utils.models import load_causal_lm
    >>> trace = record_cache(load_causal_lm(), "The capital of France is", max_new_tokens=3)
    >>> trace.new_tokens, trace.cache_tokens, trace.tokens_read(use_cache=False)
    (('␣Paris', '.', '⏎'), array([5, 6, 7]), [5, 6, 7])
    """
    settings = GenerationSettings(max_new_tokens=max_new_tokens)
    ids = model.encode(prompt)
    if ids.shape[1] + max_new_tokens > MOST_TOKENS:
        raise ValueError(
            f"prompt and max_new_tokens must be at most {MOST_TOKENS} tokens together, because without a cache "
            f"every step reads them all, got {ids.shape[1]:,} + {max_new_tokens:,}"
        )
    if keeps_states(model.model):
        raise ValueError(_needs_keys(model))
    running, without = RunningModel(model.model, ids), RunningModel(model.model, ids, use_cache=False)
    text = GrowingText(stop_rules(running, settings, model.tokenizer))
    without.next_logits(ids)  # the first run of all is slow, and is not counted
    steps = []
    while text.reason is None:
        report("token", len(steps) + 1, max_new_tokens)
        cached, milliseconds = _timed(running, ids)
        plain, milliseconds_without = _timed(without, ids)
        difference, same = (cached - plain).abs().max().item(), bool(cached.argmax() == plain.argmax())
        size = running.read, measured_cache_bytes(running.cache)
        steps.append((milliseconds, milliseconds_without, *size, difference, same))
        text.add(cached.argmax().item())
        ids = torch.cat([ids, cached.argmax(-1, keepdim=True).to(ids.device)], dim=1)
    return _trace(model, prompt, ids, len(text.ids), steps, running.cache, str(text.reason))


def _timed(running: RunningModel, ids: torch.Tensor) -> tuple[torch.Tensor, float]:
    start = time.perf_counter()
    logits = running.next_logits(ids).cpu()  # a graphics card is done only when its numbers are here
    return logits, (time.perf_counter() - start) * 1000


def _needs_keys(model: CausalLM) -> str:
    return (
        f"model must keep keys and values of one size of all tokens, in every layer, for this picture: got {model.name}"
    )


def _trace(model, prompt, ids, new, steps, cache, reason) -> CacheTrace:
    tokens = [model.labels[token] for token in ids[0].tolist()]
    names = ("milliseconds", "milliseconds_without", "cache_tokens", "cache_bytes", "differences", "same_choice")
    own = isinstance(cache, KeyValueCache)
    keys = cache.keys if own else [layer.keys for layer in cache.layers]
    values = cache.values if own else [layer.values for layer in cache.layers]
    shapes = {getattr(kept, "shape", None) for kept in (*keys, *values)}
    if len(shapes) > 1 or keys[0].shape[2] != len(tokens) - 1:  # a sliding window has forgotten some
        raise ValueError(_needs_keys(model))
    return CacheTrace(
        model=model.name,
        prompt=prompt,
        prompt_tokens=tuple(tokens[:-new]),
        new_tokens=tuple(tokens[-new:]),
        **{name: np.array(values) for name, values in zip(names, zip(*steps, strict=True), strict=True)},
        key_lengths=torch.cat([layer.float().norm(dim=-1).cpu() for layer in keys]).numpy(),
        head_dim=keys[0].shape[-1],
        reason=reason,
    )
