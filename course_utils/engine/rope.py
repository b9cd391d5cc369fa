"""Rotary position embedding (RoPE): position as a rotation of queries and keys.

Lesson: 05 · From text to vectors; inside attention: 08 · Attention
"""

import torch


def rope_rotation(positions: torch.Tensor, head_dim: int, base: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the cosines and sines that turn a vector at each position, `(seq, head_dim)` both.

    Pair number i of a vector's numbers turns by position · base^(−2i / head_dim) radians: the first pairs turn
    fast, the last ones hardly at all.

    Args:
        positions: `(seq,)` whole numbers, the first token is 0.
        head_dim: Size of one head; even.
        base: 10,000 in the paper; 100,000 in SmolLM2. Larger means slower.

    Raises:
        ValueError: `head_dim` is odd.

    Source: Su et al. (2021), RoFormer. Equals `LlamaRotaryEmbedding` of `transformers`.

    >>> cosines, sines = rope_rotation(torch.arange(3), head_dim=4, base=10_000.0)
    >>> cosines[:, 0]
    tensor([ 1.0000,  0.5403, -0.4161])
    """
    if head_dim % 2:
        raise ValueError(f"head_dim must be even, got {head_dim}")
    turns_per_token = 1 / base ** (
        torch.arange(0, head_dim, 2, dtype=torch.float32, device=positions.device) / head_dim
    )
    angles = positions[:, None] * turns_per_token
    angles = torch.cat([angles, angles], dim=-1)
    return angles.cos(), angles.sin()


def rotate(states: torch.Tensor, cosines: torch.Tensor, sines: torch.Tensor) -> torch.Tensor:
    """Turn queries or keys `(batch, head, seq, head_dim)` by their positions; lengths stay the same.

    Number i is paired with number i + head_dim/2, as in `transformers`; the paper pairs neighbours, which is the
    same up to the order of the weights' rows.

    Source: Su et al. (2021), RoFormer. Equals `apply_rotary_pos_emb` of `transformers`' Llama.

    >>> quarter_turn = torch.tensor([0.0, 0.0]), torch.tensor([1.0, 1.0])
    >>> rotate(torch.tensor([1.0, 0.0]), *quarter_turn)
    tensor([0., 1.])
    """
    first, second = states.chunk(2, dim=-1)
    return states * cosines + torch.cat([-second, first], dim=-1) * sines
