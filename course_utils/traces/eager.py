"""Attention computed step by step, so that its scores and weights can be read.

Lesson: 08 · Attention
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from transformers import PreTrainedModel
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-5, torch.float16: 1e-2, torch.bfloat16: 1e-2}


@contextmanager
def eager_attention(model: PreTrainedModel) -> Iterator[None]:
    """Let `model` compute attention in the one way in which it returns its weights, and set it back after.

    The fast implementations never hold the weights in memory: with them `outputs.attentions` is empty.

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

    What is kept is found under the `id` of the weights that the model returns. A model leaves nothing if it does not
    take its attention from `ALL_ATTENTION_FUNCTIONS`, or if its weights are not the softmax of its scores.

    >>> from course_utils.models import load_causal_lm
    >>> smollm = load_causal_lm()
    >>> with recording(smollm.model) as kept:
    ...     weights = smollm.model(smollm.encode("Hi"), output_attentions=True).attentions[0]
    >>> [part.shape for part in kept[id(weights)]]
    [torch.Size([1, 9, 1, 1]), torch.Size([1, 9, 1, 1]), torch.Size([1, 3, 1])]
    """
    kept = {}

    def attend(layer, query, key, value, attention_mask, **settings):
        # The architecture's own function: some cap their scores, or add a place to look at that is no token.
        own = sys.modules[type(layer).__module__].eager_attention_forward
        output, weights = own(layer, query, key, value, attention_mask, **settings)
        scores = _scores(query, key, **settings)
        masked = scores if attention_mask is None else scores + attention_mask
        if masked.softmax(-1).allclose(weights, atol=TOLERANCE[weights.dtype]):
            kept[id(weights)] = weights, scores, value.norm(dim=-1)
        return output, weights

    with eager_attention(model):
        ALL_ATTENTION_FUNCTIONS["eager"] = attend  # models look here before they use their own
        try:
            yield kept
        finally:
            del ALL_ATTENTION_FUNCTIONS["eager"]


def _scores(query, key, scaling=None, position_bias=None, softcap=None, **_) -> torch.Tensor:
    """QKᵀ/√d before the mask, with what T5 adds, as it has no RoPE, and the cap of Gemma 2."""
    group = query.shape[1] // key.shape[1]
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    scores = query @ key.repeat_interleave(group, dim=1).transpose(2, 3) * scaling
    scores = scores if softcap is None else (scores / softcap).tanh() * softcap
    return scores if position_bias is None else scores + position_bias


def check_attentions(model: PreTrainedModel, attentions: tuple | None, queries: int, keys: int) -> None:
    """Raise a ValueError in one sentence unless every layer of `model` returned weights `(1, head, query, key)`."""
    kind, found = type(model).__name__, [weights for weights in attentions or () if weights is not None]
    if not found:
        raise ValueError(f"model must return its weights of attention, got {kind}, which returns none")
    layers = getattr(model.config.get_text_config(decoder=True), "num_hidden_layers", len(found))
    if len(found) < len(attentions) or len(found) < layers:
        raise ValueError(f"model must have attention in every layer, got {kind}, which has it in {len(found)} only")
    shapes = {tuple(weights.shape) for weights in found}
    if len(shapes) > 1 or found[0].shape[0] != 1 or found[0].shape[2:] != (queries, keys):
        raise ValueError(
            f"model must return weights (1, head, {queries}, {keys}) in every layer, got {kind} with {sorted(shapes)}"
        )
