"""The two phases of generation: prefill reads the whole prompt at once, decode reads one new token per step.

Lesson: 10 · Prefill and decode; copying a cache: 01 · What LLMs can do
"""

import copy
from collections.abc import Sequence

import torch
from transformers import Cache, PreTrainedModel

from course_utils.engine.cache import KeyValueCache, check_crop
from course_utils.engine.llama import is_llama, llama_next_logits
from course_utils.models.architectures import (
    cache_name,
    check_generates,
    check_keeps_keys_and_values,
    last_position,
    parameter_names,
    transformers_cache,
)

AnyCache = KeyValueCache | Cache


def new_cache(model: PreTrainedModel) -> AnyCache:
    """Return an empty cache for `model`: the course's own for a Llama, a `DynamicCache` for any other causal LM.

    Raises:
        TypeError: `model` isn't one of `transformers`, but a `CausalLM`.
        ValueError: `model` can't generate, or keeps no keys and values, as Mamba.

    >>> from course_utils.models import load_causal_lm
    >>> type(new_cache(load_causal_lm().model)).__name__
    'KeyValueCache'
    """
    check_generates(model)
    if is_llama(model):
        return KeyValueCache(model.config.num_hidden_layers)
    check_keeps_keys_and_values(model)
    return transformers_cache(model)


def prefill(model: PreTrainedModel, ids: torch.Tensor, cache: AnyCache | None = None) -> tuple[torch.Tensor, AnyCache]:
    """Read a whole prompt `(batch, seq)`; return the logits of the first new token `(batch, vocab)` and the cache.

    Args:
        model: A causal LM of `transformers`.
        cache: A cache that holds the start of `ids` already: only the rest is read. A cache of `transformers`
            makes this run `transformers`' own forward pass. None: a new cache.

    Raises:
        TypeError, ValueError: As `new_cache`; or `ids` holds no token that is not in the cache.

    >>> from course_utils.models import load_causal_lm
    >>> smollm = load_causal_lm()
    >>> logits, cache = prefill(smollm.model, smollm.encode("The capital of France is"))
    >>> smollm.labels[logits[0].argmax()], cache.length
    ('␣Paris', 5)
    """
    cache = new_cache(model) if cache is None else cache
    unread = ids[:, cache_length(cache) :]
    if not unread.shape[1]:
        raise ValueError(f"ids must hold more tokens than the cache ({cache_length(cache)}), got {ids.shape[1]}")
    return next_logits(model, unread, cache), cache


def decode_step(model: PreTrainedModel, token: torch.Tensor, cache: AnyCache) -> torch.Tensor:
    """Read one new token per row, `(batch,)`; return the logits of the token after it, `(batch, vocab)`.

    The cache must hold everything before `token`, and grows by one token.

    Raises:
        ValueError: The cache is empty: a decode step needs a prefill before it.

    >>> from course_utils.models import load_causal_lm
    >>> smollm = load_causal_lm()
    >>> logits, cache = prefill(smollm.model, smollm.encode("The capital of France is"))
    >>> logits = decode_step(smollm.model, logits.argmax(-1), cache)
    >>> smollm.labels[logits[0].argmax()], cache.length
    ('.', 6)
    """
    if not cache_length(cache):
        raise ValueError("cache must hold the prompt before a decode step, got an empty cache")
    return next_logits(model, token[:, None], cache)


def next_logits(model: PreTrainedModel, ids: torch.Tensor, cache: AnyCache | None, **inputs) -> torch.Tensor:
    """Read `ids` `(batch, seq)`, the tokens after those in the cache; return the next logits `(batch, vocab)`.

    Args:
        model: A causal LM or an encoder–decoder of `transformers`.
        cache: The course's own, one of `transformers`, or None for none at all.
        inputs: What else `model` needs, such as `attention_mask`.

    Prefill and decode are the same computation; what differs is how many tokens come in.

    Raises:
        TypeError: `model` isn't one of `transformers`, but a `CausalLM`.
        ValueError: `model` can't generate.

    >>> from course_utils.models import load_causal_lm
    >>> smollm = load_causal_lm()
    >>> next_logits(smollm.model, smollm.encode("Hello world"), cache=None).shape
    torch.Size([1, 49152])
    """
    check_generates(model)
    if isinstance(cache, KeyValueCache):
        return llama_next_logits(model, ids.to(model.device), cache)
    taken = parameter_names(model)
    if "logits_to_keep" in taken:
        inputs["logits_to_keep"] = last_position(ids)
    if "use_cache" in taken:
        inputs["use_cache"] = cache is not None
    if cache is not None:
        inputs[cache_name(model)] = cache
    name = "decoder_input_ids" if model.config.is_encoder_decoder else "input_ids"
    with torch.inference_mode():
        outputs = model(**{name: ids.to(model.device)}, **inputs)
    return outputs.logits[:, -1].float()


def cache_length(cache: AnyCache) -> int:
    """Return how many tokens a cache holds, the course's own or one of `transformers`.

    >>> cache_length(KeyValueCache(layers=1))
    0
    """
    return cache.length if isinstance(cache, KeyValueCache) else cache.get_seq_length()


def crop_cache(cache: AnyCache, length: int) -> None:
    """Forget every token after the first `length`: the start that two prompts share need not be read twice.

    Raises:
        ValueError: `length` is not a whole number between 0 and the cache's length; or the cache has forgotten what it
            would need, as one of a sliding window or of states has.

    >>> cache = KeyValueCache(layers=1)
    >>> kept = cache.append(0, torch.zeros(1, 1, 5, 2), torch.zeros(1, 1, 5, 2))
    >>> crop_cache(cache, 3)
    >>> cache.length
    3
    """
    if isinstance(cache, KeyValueCache):
        return cache.crop(length)
    cached = cache.get_seq_length()
    check_crop(length, cached)
    try:
        return cache.crop(length - cached)
    except RuntimeError as error:
        raise ValueError(f"cache must still hold every token to be cropped, got {type(cache).__name__}") from error


def copy_cache(cache: AnyCache, rows: Sequence[int] | None = None) -> AnyCache:
    """Return a second cache with the same contents; with `rows`, these of its texts, and one may come more than once.

    >>> cache = KeyValueCache(layers=1)
    >>> kept = cache.append(0, torch.zeros(1, 1, 5, 2), torch.zeros(1, 1, 5, 2))
    >>> copy_cache(cache, rows=[0, 0, 0]).keys[0].shape
    torch.Size([3, 1, 5, 2])
    """
    own = isinstance(cache, KeyValueCache)
    twin = cache.copy() if own else copy.deepcopy(cache)
    if rows is not None and cache_length(twin):
        twin.select(rows) if own else twin.reorder_cache(torch.tensor(rows))
    return twin
