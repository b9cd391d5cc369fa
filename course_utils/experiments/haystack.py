"""Needle in a haystack: a fact is read, then more and more other text, and then the fact is asked for.

Lesson: 02 · Where LLMs fail
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from course_utils.engine.arguments import check_whole
from course_utils.engine.prefill_decode import AnyCache, copy_cache, decode_step, new_cache, next_logits


class Reply(NamedTuple):
    """What came back when the fact was asked for.

    Args:
        probability: Of the right answer, token by token, after the question.
        said: What the model says, greedily.
    """

    probability: float
    said: str


def ask(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    cache: AnyCache,
    ending: str,
    right: str,
    max_new_tokens: int = 4,
) -> Reply:
    """Ask after what is in `cache`, which stays as it is.

    Args:
        model: A causal LM of `transformers` with a KV cache.
        cache: The text, read.
        ending: What comes after it and asks for the fact.
        right: The right answer, with the space before it.
        max_new_tokens: What the model says is cut here, or at the end of a line or a sentence.

    Raises:
        ValueError: `ending` or `right` has no token, or `max_new_tokens` is not a whole number of at least 1.

    >>> from course_utils.models import load_causal_lm
    >>> smollm = load_causal_lm()
    >>> cache = new_cache(smollm.model)
    >>> ask(smollm.model, smollm.tokenizer, cache, "The capital of France is", " Paris").said
    'Paris'
    """
    max_new_tokens = check_whole("max_new_tokens", max_new_tokens, 1)
    question, answer = (tokenizer(text).input_ids for text in (ending, right))
    for name, tokens in (("ending", question), ("right", answer)):
        if not tokens:
            raise ValueError(f"{name} must have at least one token, got none")
    own = copy_cache(cache)
    logits = next_logits(model, torch.tensor([question]), own)
    return Reply(
        _probability(model, logits, copy_cache(own), answer), _said(model, tokenizer, logits, own, max_new_tokens)
    )


def _probability(model: PreTrainedModel, logits: torch.Tensor, cache: AnyCache, answer: Sequence[int]) -> float:
    total = 1.0
    for place, token in enumerate(answer):
        if place:
            logits = decode_step(model, torch.tensor([answer[place - 1]]), cache)
        total *= logits.softmax(-1)[0, token].item()
    return total


def _said(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, logits: torch.Tensor, cache: AnyCache, most: int
) -> str:
    tokens: list[int] = []
    while True:
        token = logits.argmax(-1)
        if token.item() == tokenizer.eos_token_id or set(tokenizer.decode(token)) & {".", ",", "\n"}:
            break
        tokens.append(token.item())
        if len(tokens) == most:
            break
        logits = decode_step(model, token, cache)
    return tokenizer.decode(tokens).strip()


def ask_at_lengths(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    needle: str,
    hay: torch.Tensor,
    endings: Mapping[str, str],
    right: str,
    lengths: Sequence[int],
) -> tuple[dict[str, list[Reply]], list[AnyCache]]:
    """Read the needle, then the hay; at each length ask in several ways. No token is read twice.

    Args:
        model: A causal LM of `transformers` with a KV cache.
        needle: The text that holds the fact; it comes first.
        hay: Other text as token ids, `(1, seq)`.
        endings: Ways to ask: a name, and what comes after the text.
        right: The right answer, with the space before it.
        lengths: Tokens of hay between the needle and the question, rising.

    Returns:
        For every ending one reply per length, and for every length the cache of what was read.

    Raises:
        ValueError: `lengths` do not rise from at least 0 to at most the hay's length.

    Source: after Kamradt (2023), Needle In A Haystack: Pressure Testing LLMs.

    >>> from course_utils.models import load_causal_lm
    >>> smollm = load_causal_lm()
    >>> hay = smollm.encode(" The sea was flat and grey.")
    >>> replies, caches = ask_at_lengths(smollm.model, smollm.tokenizer, "The dog is called Pepper.", hay,
    ...     {"go on": " The dog is called"}, " Pepper", [0, 7])
    >>> [reply.said for reply in replies["go on"]], [cache.length for cache in caches]
    (['Pepper', 'Pepper'], [6, 13])
    """
    if not lengths or list(lengths) != sorted({*lengths}) or lengths[0] < 0 or lengths[-1] > hay.shape[1]:
        raise ValueError(f"lengths must rise from at least 0 to at most {hay.shape[1]}, got {list(lengths)}")
    cache, read = new_cache(model), 0
    next_logits(model, tokenizer(needle, return_tensors="pt").input_ids, cache)
    replies: dict[str, list[Reply]] = {name: [] for name in endings}
    caches = []
    for length in lengths:
        if length > read:
            next_logits(model, hay[:, read:length], cache)
            read = length
        for name, ending in endings.items():
            replies[name].append(ask(model, tokenizer, cache, ending, right))
        caches.append(copy_cache(cache))
    return replies, caches
