"""LoRA: leave a trained matrix alone and learn a small correction beside it.

A linear layer has out × in weights. LoRA adds `scale · b @ a` to them, with `a` of rank × in and `b` of out × rank
numbers: for 384 × 384 weights and rank 16, 12,288 numbers to train instead of 147,456. `b` starts at zero, so
training starts from exactly the model that was there. Afterwards the product can be added to the weights for good.

Source: Hu et al. (2021), LoRA: Low-Rank Adaptation of Large Language Models.
Lesson: 06 · Pre-training and fine-tuning
"""

import math

import torch
from torch import nn


class LoraLinear(nn.Module):
    """A frozen linear layer plus a trainable correction of low rank.

    Args:
        base: The layer as it was trained; it is frozen here.
        rank: How many directions the correction has.
        alpha: The correction is multiplied by `alpha / rank`.

    >>> layer = LoraLinear(nn.Linear(384, 384), rank=16, alpha=32)
    >>> layer(torch.zeros(2, 384)).shape
    torch.Size([2, 384])
    >>> layer.lora_a.numel() + layer.lora_b.numel()
    12288
    """

    def __init__(self, base: nn.Linear, rank: int, alpha: float) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.scale = alpha / rank
        self.lora_a = nn.Parameter(torch.empty(rank, base.in_features))
        self.lora_b = nn.Parameter(torch.zeros(base.out_features, rank))
        nn.init.kaiming_uniform_(self.lora_a, a=math.sqrt(5))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the layer's output for inputs `(..., in)`: `(..., out)`."""
        return self.base(inputs) + (inputs @ self.lora_a.T) @ self.lora_b.T * self.scale

    @torch.no_grad()
    def merged(self) -> nn.Linear:
        """Add the correction to the weights; return the plain layer that now does the same."""
        self.base.weight += self.scale * self.lora_b @ self.lora_a
        return self.base


def attach_lora(model: nn.Module, rank: int, alpha: float) -> list[str]:
    """Freeze `model` and put a `LoraLinear` around every linear layer in it; return the layers' names.

    >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> attach_lora(model, rank=2, alpha=4)
    ['0', '2']
    """
    model.requires_grad_(False)
    names = [name for name, layer in model.named_modules() if isinstance(layer, nn.Linear)]
    for name in names:
        _replace(model, name, LoraLinear(model.get_submodule(name), rank, alpha))
    return names


def merge_lora(model: nn.Module) -> None:
    """Turn every `LoraLinear` in `model` back into a plain linear layer that gives the same output.

    >>> model = nn.Sequential(nn.Linear(4, 8))
    >>> _ = attach_lora(model, rank=2, alpha=4)
    >>> merge_lora(model)
    >>> model
    Sequential( (0): Linear(in_features=4, out_features=8, bias=True) )
    """
    for name, layer in list(model.named_modules()):
        if isinstance(layer, LoraLinear):
            _replace(model, name, layer.merged())


def _replace(model: nn.Module, name: str, layer: nn.Module) -> None:
    """Put `layer` where `model` has the submodule `name`."""
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, layer)
