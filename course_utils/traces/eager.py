"""Attention computed step by step, so that its scores and weights can be read."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from transformers import PreTrainedModel
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS


@contextmanager
def eager_attention(model: PreTrainedModel) -> Iterator[None]:
    """Let `model` compute attention in the one way in which it returns its weights, and set it back after.

    The fast implementations never hold the weights in memory: with them `outputs.attentions` is empty.

    Lesson: 08 · Attention

    >>> from course_utils.models import load_causal_lm
    >>> smollm = load_causal_lm()
    >>> with eager_attention(smollm.model):
    ...     len(smollm.model(smollm.encode("Hi"), output_attentions=True).attentions)
    30
    """
    before = model.config._attn_implementation
    model.set_attn_implementation("eager")
    try:
        yield
    finally:
        model.set_attn_implementation(before)


@contextmanager
def recording(model: PreTrainedModel) -> Iterator[dict[int, tuple[torch.Tensor, ...]]]:
    """Let `model` keep, for all attention it computes, the weights, the scores before the mask, and the value lengths.

    What is kept is found under the `id` of the weights that the model returns. A model that does not take its
    attention from `ALL_ATTENTION_FUNCTIONS` leaves nothing.

    Lesson: 08 · Attention

    >>> from course_utils.models import load_causal_lm
    >>> smollm = load_causal_lm()
    >>> with recording(smollm.model) as kept:
    ...     weights = smollm.model(smollm.encode("Hi"), output_attentions=True).attentions[0]
    >>> [part.shape for part in kept[id(weights)]]
    [torch.Size([1, 9, 1, 1]), torch.Size([1, 9, 1, 1]), torch.Size([1, 3, 1])]
    """
    kept = {}

    def attend(layer, query, key, value, attention_mask, scaling=None, position_bias=None, **_):
        group = query.shape[1] // key.shape[1]
        scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
        scores = query @ key.repeat_interleave(group, dim=1).transpose(2, 3) * scaling
        scores = scores if position_bias is None else scores + position_bias  # of T5, which has no RoPE
        weights = (scores if attention_mask is None else scores + attention_mask).softmax(-1)
        kept[id(weights)] = weights, scores, value.norm(dim=-1)
        output = weights @ value.repeat_interleave(group, dim=1)
        return output.transpose(1, 2).contiguous(), weights

    with eager_attention(model):
        ALL_ATTENTION_FUNCTIONS["eager"] = attend  # models look here before they use their own
        try:
            yield kept
        finally:
            del ALL_ATTENTION_FUNCTIONS["eager"]
