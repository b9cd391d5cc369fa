"""The KV cache: the keys and values of every token read so far, so that no token is read twice.

Lesson: 10 · Prefill and decode
"""

from collections.abc import Sequence

import torch

from course_utils.engine.arguments import check_whole


class KeyValueCache:
    """Keys and values of every layer, `(batch, key_value_heads, seq, head_dim)` each; it grows with the text.

    Equals `DynamicCache` of `transformers`.

    >>> cache = KeyValueCache(layers=1)
    >>> keys, values = cache.append(0, torch.zeros(1, 3, 5, 64), torch.zeros(1, 3, 5, 64))
    >>> cache.length, cache.bytes
    (5, 7680)
    """

    def __init__(self, layers: int) -> None:
        layers = check_whole("layers", layers, 1)
        self.keys: list[torch.Tensor | None] = [None] * layers
        self.values: list[torch.Tensor | None] = [None] * layers

    @property
    def length(self) -> int:
        """How many tokens are in the cache."""
        return 0 if self.keys[-1] is None else self.keys[-1].shape[2]

    @property
    def bytes(self) -> int:
        """Memory of all keys and values, in bytes."""
        return sum(tensor.nbytes for tensor in [*self.keys, *self.values] if tensor is not None)

    def append(self, layer: int, keys: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Add the keys and values of new tokens to one layer; return all of that layer, old and new."""
        if self.keys[layer] is not None:
            keys = torch.cat([self.keys[layer], keys], dim=2)
            values = torch.cat([self.values[layer], values], dim=2)
        self.keys[layer], self.values[layer] = keys, values
        return keys, values

    def crop(self, length: int) -> None:
        """Forget every token after the first `length`.

        Raises:
            ValueError: `length` is not a whole number between 0 and the cache's length.
        """
        check_crop(length, self.length)
        if length < self.length:
            # A copy, because a view would keep the memory of what is forgotten.
            self._change(lambda tensor: tensor[:, :, :length].clone() if length else None)

    def select(self, rows: Sequence[int] | torch.Tensor) -> None:
        """Keep these rows of the batch, in this order; a row may come more than once (beam search needs it)."""
        rows = torch.as_tensor(rows)
        self._change(lambda tensor: tensor.index_select(0, rows.to(tensor.device)))

    def copy(self) -> "KeyValueCache":
        """Return a second cache with the same contents: two texts can continue one prompt."""
        twin = KeyValueCache(len(self.keys))
        # Nothing is written into a tensor after it is stored, so both can hold the same ones.
        twin.keys, twin.values = list(self.keys), list(self.values)
        return twin

    def _change(self, change) -> None:
        self.keys = [None if tensor is None else change(tensor) for tensor in self.keys]
        self.values = [None if tensor is None else change(tensor) for tensor in self.values]


def check_crop(length: int, cached: int) -> None:
    """Raise a ValueError in one sentence unless a cache of `cached` tokens can be cropped to `length`."""
    length = check_whole("length", length, 0)
    if length > cached:
        raise ValueError(f"length must be at most the cache's {cached} tokens, got {length}")


def shared_prefix(first: Sequence[int], second: Sequence[int]) -> int:
    """Return how many tokens two texts have in common from their start.

    >>> shared_prefix([5, 6, 7], [5, 6, 9, 7])
    2
    """
    for index, (one, other) in enumerate(zip(first, second, strict=False)):
        if one != other:
            return index
    return min(len(first), len(second))
