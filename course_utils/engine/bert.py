"""The BERT architecture, layer by layer, on the weights of a `transformers` model.

Source: Devlin et al. (2019), BERT. Equals `BertModel` of `transformers`.
Lesson: 07 · Encoders, decoders and both
"""

from collections.abc import Iterator

import torch
from torch.nn.functional import gelu
from transformers import BertModel
from transformers.models.bert.modeling_bert import BertLayer

from course_utils.engine.attention import Projections, multi_head_attention
from course_utils.engine.masks import padding_mask


def encoder_layer(
    hidden: torch.Tensor, layer: BertLayer, heads: int, mask: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Run one layer on `(batch, seq, hidden)`; return the new hidden states and the weights of attention.

    Attention, then feed-forward; each is added to what came in, and the sum is normalised.

    Args:
        hidden: `(batch, seq, hidden)`.
        mask: Boolean, broadcasts to `(batch, heads, seq, seq)`; None lets everyone look at everyone.

    The weights are `(batch, heads, seq, seq)`. Equals `BertLayer`.

    >>> from course_utils.models import load_encoder
    >>> layer = load_encoder().model.encoder.layer[0]
    >>> hidden, weights = encoder_layer(torch.zeros(1, 3, 384), layer, heads=12)
    >>> hidden.shape, weights.shape
    (torch.Size([1, 3, 384]), torch.Size([1, 12, 3, 3]))
    """
    attention, after = layer.attention.self, layer.attention.output
    projections = Projections(attention.query, attention.key, attention.value, after.dense)
    attended, weights = multi_head_attention(hidden, hidden, projections, heads, mask)
    hidden = after.LayerNorm(hidden + attended)
    worked = layer.output.dense(gelu(layer.intermediate.dense(hidden)))
    return layer.output.LayerNorm(hidden + worked), weights


@torch.inference_mode()
def encoder_layer_outputs(
    model: BertModel, ids: torch.Tensor, attention_mask: torch.Tensor | None = None
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Read token ids `(batch, seq)`; after each layer, yield the hidden states and the attention weights.

    Args:
        model: A `BertModel` of `transformers`.
        attention_mask: `(batch, seq)`, 0 where `ids` is padding. None: there is no padding.

    Raises:
        ValueError: `model` is not a `BertModel` with the GELU activation.

    >>> from course_utils.models import load_encoder
    >>> minilm = load_encoder()
    >>> ids = minilm.tokenizer("hello world", return_tensors="pt").input_ids
    >>> hidden, weights = next(encoder_layer_outputs(minilm.model, ids))
    >>> hidden.shape, weights.shape
    (torch.Size([1, 4, 384]), torch.Size([1, 12, 4, 4]))
    """
    if not isinstance(model, BertModel) or model.config.hidden_act != "gelu":
        raise ValueError(f"model must be a BertModel with GELU, got {type(model).__name__}")
    mask = None if attention_mask is None else padding_mask(attention_mask)
    hidden = model.embeddings(ids)
    for layer in model.encoder.layer:
        hidden, weights = encoder_layer(hidden, layer, model.config.num_attention_heads, mask)
        yield hidden, weights
