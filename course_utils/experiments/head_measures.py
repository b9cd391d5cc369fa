"""What a head does, as one number: from its weights alone.

Every measure takes weights `(..., query, key)` of causal attention whose rows sum to 1, and returns `(...)`.

Lesson: 08 · Attention
"""

import math

import torch


def previous_token_score(weights: torch.Tensor) -> torch.Tensor:
    """Return the share of attention that goes to the token just before, averaged over queries; 0 to 1.

    The first token has no token before it and is left out.

    Raises:
        ValueError: There are fewer than two tokens, or the weights are not square.

    Source: Clark et al. (2019), What Does BERT Look At?

    >>> previous_token_score(torch.tensor([[1.0, 0.0], [0.25, 0.75]])).item()
    0.25
    """
    _check_square(weights)
    return weights.diagonal(offset=-1, dim1=-2, dim2=-1).mean(-1)


def first_token_score(weights: torch.Tensor) -> torch.Tensor:
    """Return the share of attention that goes to the first token (the "attention sink"), 0 to 1.

    The first token itself can look nowhere else and is left out.

    Raises:
        ValueError: There are fewer than two tokens, or the weights are not square.

    Source: Xiao et al. (2023), Efficient Streaming Language Models with Attention Sinks.

    >>> first_token_score(torch.tensor([[1.0, 0.0], [0.25, 0.75]])).item()
    0.25
    """
    _check_square(weights)
    return weights[..., 1:, 0].mean(-1)


def induction_score(weights: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """Return the share of attention that goes to what followed the same token earlier, 0 to 1.

    At the second "Mr" of "Mr Dursley … Mr", an induction head looks at "Dursley". Only queries whose token has
    come before are counted; without any, the score is 0.

    Args:
        weights: `(..., query, key)`.
        ids: Token ids of the text, `(seq,)`.

    Raises:
        ValueError: `ids` is not as long as the weights, or the weights are not square.

    Source: Olsson et al. (2022), In-context Learning and Induction Heads.

    >>> weights = torch.zeros(4, 4)
    >>> weights[2, 1] = 0.5
    >>> weights[3, 2] = 1.0
    >>> induction_score(weights, torch.tensor([7, 8, 7, 8])).item()
    0.75
    """
    _check_square(weights)
    if ids.shape != weights.shape[-1:]:
        raise ValueError(f"ids must have shape ({weights.shape[-1]},) like the weights, got {tuple(ids.shape)}")
    # Key k is a target of query q if the token before k is q's token, and k is not later than q.
    follows = torch.zeros(weights.shape[-2:], dtype=torch.bool, device=weights.device)
    ids = ids.to(weights.device)
    follows[:, 1:] = ids[:, None] == ids[None, :-1]
    follows = follows.tril()
    asked = follows.any(-1)
    if not asked.any():
        return weights.new_zeros(weights.shape[:-2])
    return (weights * follows).sum(-1)[..., asked].mean(-1)


def attention_entropy(weights: torch.Tensor) -> torch.Tensor:
    """Return how spread out the attention is, in bits, averaged over queries; 0 is all on one key.

    Source: Shannon (1948), A Mathematical Theory of Communication.

    >>> round(attention_entropy(torch.full((1, 4), 0.25)).item(), 3)
    2.0
    """
    return torch.special.entr(weights).sum(-1).mean(-1) / math.log(2)


def attention_distance(weights: torch.Tensor) -> torch.Tensor:
    """Return how far back the head looks, in tokens, averaged over queries by weight.

    Raises:
        ValueError: There are fewer than two tokens, or the weights are not square.

    Source: Vig and Belinkov (2019), Analyzing the Structure of Attention in a Transformer Language Model.

    >>> attention_distance(torch.tensor([[1.0, 0.0], [0.5, 0.5]])).item()
    0.25
    """
    _check_square(weights)
    positions = torch.arange(weights.shape[-1], dtype=weights.dtype, device=weights.device)
    return (weights * (positions[:, None] - positions).abs()).sum(-1).mean(-1)


def _check_square(weights: torch.Tensor) -> None:
    if weights.ndim < 2 or weights.shape[-1] != weights.shape[-2] or weights.shape[-1] < 2:
        raise ValueError(
            f"weights must have shape (..., query, key) with as many keys as queries and at least two tokens, "
            f"got {tuple(weights.shape)}"
        )
