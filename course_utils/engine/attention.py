"""Attention, from one head to many: scores, mask, softmax, weighted sum.

Shapes: hidden states are `(batch, seq, hidden)`; queries, keys and values are `(batch, head, seq, head_dim)`;
scores and weights are `(batch, head, query, key)`.

Lesson: 08 · Attention; cross-attention: 07 · Encoders, decoders and both; fused: 14 · Speed and memory in practice
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch

Projection = Callable[[torch.Tensor], torch.Tensor]


def attention_scores(query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
    """Return QKᵀ/√head_dim: how well each query fits each key, `(..., query, key)`.

    Without the division the scores grow with √head_dim, and the softmax puts nearly all weight on one key.

    Source: Vaswani et al. (2017), Attention Is All You Need, section 3.2.1.

    >>> attention_scores(torch.ones(1, 4), torch.ones(2, 4))
    tensor([[2., 2.]])
    """
    return query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])


def attention_weights(scores: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
    """Turn scores `(..., query, key)` into weights of the same shape: each row ≥ 0, summing to 1.

    Args:
        mask: Boolean, broadcasts to the scores; False removes a key. None removes nothing.

    A query that may look at no key at all gets a row of zeros, as in `torch`'s own function.

    >>> attention_weights(torch.zeros(1, 3), torch.tensor([[True, True, False]]))
    tensor([[0.5000, 0.5000, 0.0000]])
    """
    if mask is None:
        return scores.softmax(-1)
    weights = scores.masked_fill(~mask, -math.inf).softmax(-1)
    return weights.masked_fill(~mask.any(-1, keepdim=True), 0)


def scaled_dot_product_attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mix the values by how well the queries fit the keys; return the mix `(..., query, head_dim)` and the weights.

    Args:
        query: `(..., query, head_dim)`.
        key: `(..., key, head_dim)`.
        value: `(..., key, head_dim)`.
        mask: Boolean, broadcasts to `(..., query, key)`; False removes a key.

    Equals `torch.nn.functional.scaled_dot_product_attention`, which does not return the weights.
    Source: Vaswani et al. (2017), Attention Is All You Need.

    >>> output, weights = scaled_dot_product_attention(torch.zeros(1, 2), torch.ones(2, 2), torch.eye(2))
    >>> output
    tensor([[0.5000, 0.5000]])
    """
    weights = attention_weights(attention_scores(query, key), mask)
    return weights @ value, weights


def grouped_query_attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention where several query heads share one KV head; return the mix and the weights of every query head.

    Args:
        query: `(batch, query_heads, query, head_dim)`.
        key: `(batch, key_value_heads, key, head_dim)`.
        value: As `key`.
        mask: Boolean, broadcasts to `(batch, 1, query, key)`; False removes a key.

    Raises:
        ValueError: `query_heads` is not a multiple of `key_value_heads`.

    Source: Ainslie et al. (2023), GQA. Equals `eager_attention_forward` of `transformers`' Llama.

    >>> query, key = torch.ones(1, 6, 4, 8), torch.ones(1, 2, 5, 8)
    >>> output, weights = grouped_query_attention(query, key, value=key)
    >>> output.shape, weights.shape
    (torch.Size([1, 6, 4, 8]), torch.Size([1, 6, 4, 5]))
    """
    group, rest = divmod(query.shape[1], key.shape[1])
    if rest:
        raise ValueError(f"query_heads must be a multiple of key_value_heads ({key.shape[1]}), got {query.shape[1]}")
    # The heads of a group line up as if they were more queries, so no key or value needs to be copied.
    in_line = query.reshape(query.shape[0], key.shape[1], -1, query.shape[-1])
    mask = None if mask is None else torch.cat([mask] * group, dim=-2)
    output, weights = scaled_dot_product_attention(in_line, key, value, mask)
    return output.reshape(query.shape), weights.reshape(*query.shape[:3], -1)


def fused_attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None = None
) -> tuple[torch.Tensor, None]:
    """As `grouped_query_attention`, in one kernel of torch that never writes the weights down: None in their place.

    Source: Dao et al. (2022), FlashAttention.

    >>> query, key = torch.ones(1, 6, 4, 8), torch.ones(1, 2, 5, 8)
    >>> output, weights = fused_attention(query, key, value=key)
    >>> output.shape, weights
    (torch.Size([1, 6, 4, 8]), None)
    """
    output = torch.nn.functional.scaled_dot_product_attention(query, key, value, mask, enable_gqa=True)
    return output, None


def split_heads(hidden: torch.Tensor, heads: int) -> torch.Tensor:
    """Cut hidden states `(batch, seq, heads · head_dim)` into heads, `(batch, heads, seq, head_dim)`.

    >>> split_heads(torch.zeros(1, 5, 12), heads=3).shape
    torch.Size([1, 3, 5, 4])
    """
    return hidden.unflatten(-1, (heads, -1)).transpose(1, 2)


def merge_heads(states: torch.Tensor) -> torch.Tensor:
    """Lay heads `(batch, heads, seq, head_dim)` side by side again, `(batch, seq, heads · head_dim)`.

    >>> merge_heads(torch.zeros(1, 3, 5, 4)).shape
    torch.Size([1, 5, 12])
    """
    return states.transpose(1, 2).flatten(2)


class Projections(NamedTuple):
    """The four linear maps of an attention layer; `torch.nn.Linear` modules fit.

    >>> Projections(*[torch.nn.Linear(8, 8)] * 4).output(torch.zeros(3, 8)).shape
    torch.Size([3, 8])
    """

    query: Projection
    key: Projection
    value: Projection
    output: Projection


def multi_head_attention(
    hidden: torch.Tensor,
    source: torch.Tensor,
    projections: Projections,
    heads: int,
    mask: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Let every position of `hidden` read from `source`, in several heads; return the output and the weights.

    With `source` equal to `hidden` this is self-attention. With `source` from an encoder it is cross-attention.

    Args:
        hidden: `(batch, query, hidden)`: where the queries come from.
        source: `(batch, key, hidden)`: where the keys and values come from.
        mask: Boolean, broadcasts to `(batch, heads, query, key)`; False removes a key.

    Equals `BertSelfAttention` and `BartAttention` of `transformers`.
    Source: Vaswani et al. (2017), Attention Is All You Need, section 3.2.2.

    >>> same = Projections(*[torch.nn.Identity()] * 4)
    >>> output, weights = multi_head_attention(torch.ones(1, 2, 6), torch.ones(1, 3, 6), same, heads=3)
    >>> output.shape, weights.shape
    (torch.Size([1, 2, 6]), torch.Size([1, 3, 2, 3]))
    """
    query = split_heads(projections.query(hidden), heads)
    key = split_heads(projections.key(source), heads)
    value = split_heads(projections.value(source), heads)
    output, weights = scaled_dot_product_attention(query, key, value, mask)
    return projections.output(merge_heads(output)), weights
