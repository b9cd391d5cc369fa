"""Who looked at whom: the weights of attention of every layer and head, in one run."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from transformers import PreTrainedModel

from course_utils.models import CausalLM, Encoder
from course_utils.traces.base import Trace


@dataclass(frozen=True)
class AttentionTrace(Trace):
    """The weights of attention of one run.

    Args:
        model: Name of the model that ran.
        kind: "causal", "bidirectional" or "cross".
        query_tokens: The tokens that look, as visible text.
        key_tokens: The tokens that are looked at, as visible text.
        weights: float32 `(layer, head, query, key)`; every row sums to 1.
        key_value_heads: How many KV heads a layer has; query heads share them in order.

    Raises:
        ValueError: The weights do not fit the tokens.

    Lesson: 08 · Attention

    >>> AttentionTrace("toy", "cross", ("a",), ("b", "c"), np.full((1, 4, 1, 2), 0.5, np.float32), 4).weights.shape
    (1, 4, 1, 2)
    """

    model: str
    kind: str
    query_tokens: tuple[str, ...]
    key_tokens: tuple[str, ...]
    weights: np.ndarray
    key_value_heads: int

    def __post_init__(self) -> None:
        tokens = len(self.query_tokens), len(self.key_tokens)
        if self.weights.ndim != 4 or self.weights.shape[2:] != tokens:
            raise ValueError(
                f"weights must have shape (layer, head, {tokens[0]}, {tokens[1]}), got {self.weights.shape}"
            )


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


def record_attention(model: CausalLM | Encoder, text: str) -> AttentionTrace:
    """Run `model` once on `text` and record the weights of every layer and head.

    Raises:
        TypeError: `text` is not a str.
        ValueError: `text` is empty, or longer than the context length.

    Lesson: 08 · Attention

    >>> from course_utils.models import load_causal_lm
    >>> record_attention(load_causal_lm(), "The cat sat").weights.shape
    (30, 9, 3, 3)
    """
    ids = model.encode(text)
    tokens = tuple(model.labels[token] for token in ids[0])
    with eager_attention(model.model), torch.inference_mode():
        attentions = model.model(ids, output_attentions=True).attentions
    config = model.model.config
    return AttentionTrace(
        model.name,
        "causal" if isinstance(model, CausalLM) else "bidirectional",
        tokens,
        tokens,
        torch.cat(attentions).float().numpy(),
        getattr(config, "num_key_value_heads", config.num_attention_heads),
    )


def record_cross_attention(
    name: str,
    model: PreTrainedModel,
    source_ids: torch.Tensor,
    target_ids: torch.Tensor,
    source_tokens: tuple[str, ...],
    target_tokens: tuple[str, ...],
) -> AttentionTrace:
    """Run an encoder–decoder once and record where each position of the decoder looked in the source.

    Position i reads target token i and predicts token i + 1, so its row says where the model looked to write that
    next token. The rows are those that `generate` computes step by step.

    Args:
        name: What the model is called.
        model: An encoder–decoder of `transformers`.
        source_ids: What the encoder reads, `(1, source)`.
        target_ids: What the decoder reads, beginning with its start token, `(1, target)`.
        source_tokens: The source as visible text.
        target_tokens: The target as visible text.

    Raises:
        ValueError: The tokens do not fit the ids, or there is more than one text.

    Lesson: 08 · Attention

    >>> from transformers import BartConfig, BartForConditionalGeneration
    >>> size = {"d_model": 16, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16, "vocab_size": 9}
    >>> bart = BartForConditionalGeneration(BartConfig(**size, encoder_layers=1, decoder_layers=1)).eval()
    >>> source, target = torch.tensor([[3, 4, 5]]), torch.tensor([[2, 6]])
    >>> record_cross_attention("tiny", bart, source, target, ("a", "b", "c"), ("<s>", "d")).weights.shape
    (1, 16, 2, 3)
    """
    with eager_attention(model), torch.inference_mode():
        outputs = model(source_ids, decoder_input_ids=target_ids, output_attentions=True)
    weights = torch.cat(outputs.cross_attentions).float().numpy()
    if len(weights) != len(outputs.cross_attentions):
        raise ValueError(f"source_ids must hold one text, got {source_ids.shape[0]}")
    return AttentionTrace(name, "cross", target_tokens, source_tokens, weights, weights.shape[1])
