"""Two whole numbers of 4 bits in a byte.

Lesson: 14 · Speed and memory in practice
"""

import torch


def pack_4bit(numbers: torch.Tensor) -> torch.Tensor:
    """Put two numbers of 0 … 15 into a byte: `(groups, group)` becomes `(groups, group / 2)`, uint8.

    >>> pack_4bit(torch.tensor([[1, 2, 3, 4]], dtype=torch.uint8))
    tensor([[49, 66]], dtype=torch.uint8)
    """
    low, high = numbers.chunk(2, dim=-1)  # the first half of a group in the low bits, as in Q4_1
    return low | high << 4


def unpack_4bit(packed: torch.Tensor) -> torch.Tensor:
    """Take the two numbers of every byte apart again: the inverse of `pack_4bit`.

    >>> unpack_4bit(torch.tensor([[49, 66]], dtype=torch.uint8))
    tensor([[1, 2, 3, 4]], dtype=torch.uint8)
    """
    return torch.cat([packed & 15, packed >> 4], dim=-1)
