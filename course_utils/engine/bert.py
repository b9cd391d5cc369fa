"""The BERT architecture, layer by layer, on the weights of a `transformers` model.

Source: Devlin et al. (2019), BERT. Equals `BertModel` of `transformers`.
Lesson: 07 · Encoders, decoders and both
"""

import torch
from torch.nn.functional import gelu
from transformers.models.bert.modeling_bert import BertLayer

from course_utils.engine.attention import Projections, multi_head_attention


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
