"""Who may look at whom: boolean masks, True where a query may look at a key.

A mask is `(query, key)`, or any shape that broadcasts to `(batch, head, query, key)`. Attention turns every False
into −∞ before the softmax, so that its weight is exactly 0. Masks combine with `&`.

Lesson: 07 · Encoders, decoders and both; causal: 08 · Attention; padding: 03 · The pipeline, opened
"""

import torch

from course_utils.engine.arguments import check_whole


def bidirectional_mask(query_length: int, key_length: int) -> torch.Tensor:
    """Let every query look at every key: the mask of an encoder, `(query, key)`.

    Raises:
        ValueError: A length is not a whole number of at least 1.

    Source: Devlin et al. (2019), BERT.

    >>> bidirectional_mask(1, 3).int()
    tensor([[1, 1, 1]], dtype=torch.int32)
    """
    query_length = check_whole("query_length", query_length, 1)
    key_length = check_whole("key_length", key_length, 1)
    return torch.ones(query_length, key_length, dtype=torch.bool)


def causal_mask(query_length: int, key_length: int) -> torch.Tensor:
    """Let every query look at itself and at what came before: the mask of a decoder, `(query, key)`.

    With a KV cache there are more keys than queries; the queries are then the last of the sequence.

    Raises:
        ValueError: There are fewer keys than queries, or a length is not a whole number of at least 1.

    Source: Vaswani et al. (2017), Attention Is All You Need.

    >>> causal_mask(2, 3).int()
    tensor([[1, 1, 0],
            [1, 1, 1]], dtype=torch.int32)
    """
    everything = bidirectional_mask(query_length, key_length)
    if key_length < query_length:
        raise ValueError(f"key_length must be at least query_length ({query_length}), got {key_length}")
    return everything.tril(diagonal=key_length - query_length)


def sliding_window_mask(query_length: int, key_length: int, window: int) -> torch.Tensor:
    """Let every query look at itself and at the `window` − 1 tokens before it, `(query, key)`.

    Raises:
        ValueError: As `causal_mask`; or `window` is not a whole number of at least 1.

    Source: Beltagy et al. (2020), Longformer; Jiang et al. (2023), Mistral 7B.

    >>> sliding_window_mask(3, 3, window=2).int()
    tensor([[1, 0, 0],
            [1, 1, 0],
            [0, 1, 1]], dtype=torch.int32)
    """
    window = check_whole("window", window, 1)
    return causal_mask(query_length, key_length).triu(diagonal=key_length - query_length - window + 1)


def padding_mask(attention_mask: torch.Tensor) -> torch.Tensor:
    """Turn a tokenizer's `attention_mask` `(batch, key)`, 0 for padding, into a mask `(batch, 1, 1, key)`.

    Raises:
        ValueError: `attention_mask` does not have two dimensions.

    >>> padding_mask(torch.tensor([[1, 1, 0]]))
    tensor([[[[ True,  True, False]]]])
    """
    if attention_mask.ndim != 2:
        raise ValueError(f"attention_mask must have shape (batch, key), got {tuple(attention_mask.shape)}")
    return attention_mask.bool()[:, None, None, :]
