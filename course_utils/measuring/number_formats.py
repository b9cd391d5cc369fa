"""Weights in fewer bits: one scale per row or group, and small whole numbers.

Written to be read: numbers are made small and turned back into fp32. A fast engine multiplies with the small numbers.

Lesson: 14 · Speed and memory in practice
"""

import copy
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch.ao.nn.quantized.dynamic import Linear as Int8Linear

from course_utils.engine.arguments import check_number, check_whole
from course_utils.measuring.four_bits import pack_4bit, unpack_4bit
from course_utils.models.doorway import takes


class Quantised(NamedTuple):
    """Weights as small whole numbers, one scale per group, and a minimum where the format has one.

    Args:
        numbers: Whole numbers, `(groups, group)` int8, or two of 4 bits in a byte, `(groups, group / 2)` uint8.
        scales: What one step is worth in each group, `(groups, 1)`.
        minima: What 0 is worth in each group, `(groups, 1)`; None: 0 is worth 0.
        shape: The shape of the weights.

    >>> Quantised(torch.zeros(2, 32, dtype=torch.int8), torch.ones(2, 1), None, (2, 32)).nbytes
    72
    """

    numbers: torch.Tensor
    scales: torch.Tensor
    minima: torch.Tensor | None
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """The bytes of everything that has to be kept."""
        return sum(tensor.nbytes for tensor in (self.numbers, self.scales, self.minima) if tensor is not None)

    def dequantise(self) -> torch.Tensor:
        """Return the weights in fp32, `shape`, as near to the original ones as the format allows."""
        numbers = unpack_4bit(self.numbers) if self.numbers.dtype == torch.uint8 else self.numbers
        weights = numbers.float() * self.scales.float()
        return (weights if self.minima is None else weights + self.minima.float()).reshape(self.shape)


def quantise_absmax(weights: torch.Tensor, bits: int = 8, group: int | None = None) -> Quantised:
    """Quantise around 0: in each group, the largest absolute value becomes the largest whole number.

    Args:
        weights: `(rows, columns)`.
        bits: 2 to 8; 8 has the numbers −127 … 127.
        group: How many neighbours of a row share a scale; None: a whole row.

    Every weight moves by at most half a scale. One large weight makes the scale of its whole group coarse.

    Raises:
        ValueError: `weights` are not finite or have other than two dimensions; `bits` or `group` is out of its range.

    Source: Dettmers et al. (2022), LLM.int8(), section 2.1, for the weights' side.

    >>> small = quantise_absmax(torch.tensor([[1.0, -0.5, 0.25, 0.0]]))
    >>> small.numbers, small.nbytes
    (tensor([[127, -64,  32,   0]], dtype=torch.int8), 8)
    """
    bits = check_number("bits", bits, "a whole number in 2 … 8", lambda b: isinstance(b, int) and 2 <= b <= 8)
    groups = _groups(weights, weights.shape[-1] if group is None else group)
    largest = 2 ** (bits - 1) - 1
    scales = groups.abs().amax(-1, keepdim=True) / largest
    # A group of zeros has a scale of 0.
    numbers = torch.where(scales == 0, 0.0, groups / scales).round().clamp(-largest, largest)
    return Quantised(numbers.to(torch.int8), scales, None, tuple(weights.shape))


def quantise_4bit(weights: torch.Tensor, group: int = 32) -> Quantised:
    """Quantise between the least and the largest weight of each group, in 16 steps, two numbers in a byte.

    Args:
        weights: `(rows, columns)`.
        group: How many neighbours of a row share a scale and a minimum, both in fp16.

    With groups of 32 that is 20 bytes for 32 weights, 5 bits each.

    Raises:
        ValueError: As `quantise_absmax`; or a weight is larger than fp16 allows.

    Equals Q4_1 of llama.cpp (`gguf.quants`), number for number.

    >>> small = quantise_4bit(torch.arange(32.0)[None])
    >>> small.scales.item(), small.minima.item(), small.nbytes
    (2.06640625, 0.0, 20)
    """
    groups = _groups(weights, group)
    largest_half = torch.finfo(torch.float16).max
    if weights.numel() and weights.abs().max() > largest_half:
        raise ValueError(f"weights must be at most {largest_half:,.0f}, got {weights.abs().max():,.0f}")
    minima = groups.amin(-1, keepdim=True)
    scales = (groups.amax(-1, keepdim=True) - minima) / 15
    # Where all numbers of a group are the same, or nearly, one minimum says it all.
    inverse = (1 / scales).nan_to_num(posinf=0.0)
    numbers = ((groups - minima) * inverse + 0.5).floor().clamp(0, 15).to(torch.uint8)
    return Quantised(pack_4bit(numbers), scales.half(), minima.half(), tuple(weights.shape))


@takes(model=torch.nn.Module)
def linear_weights(model: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    """Return the weights of all linear layers by name; one that is also the embedding table is left out.

    >>> from course_utils.models import load_causal_lm
    >>> len(linear_weights(load_causal_lm().model))
    210
    """
    modules = list(model.named_modules())
    tables = {id(module.weight) for _, module in modules if isinstance(module, torch.nn.Embedding)}
    linear = {name: module.weight for name, module in modules if isinstance(module, torch.nn.Linear)}
    return {name: weight for name, weight in linear.items() if id(weight) not in tables}


@takes(model=torch.nn.Module)
def in_int8(model: torch.nn.Module) -> torch.nn.Module:
    """Return a copy whose linear layers hold 8-bit weights and multiply in 8 bits, on the processor.

    What comes into such a layer is rounded as well, with a scale for all of it (`torch.ao`, dynamic quantisation).

    >>> layer = in_int8(torch.nn.Sequential(torch.nn.Linear(4, 2)))[0]
    >>> layer.weight().dtype
    torch.qint8
    """
    with warnings.catch_warnings():  # torch announces that this is to move to a package of its own
        warnings.simplefilter("ignore")
        return torch.ao.quantization.quantize_dynamic(copy.deepcopy(model), {torch.nn.Linear}, dtype=torch.qint8)


@takes(model=torch.nn.Module)
def int8_weights_only(model: torch.nn.Module) -> torch.nn.Module:
    """Return a copy that has the weights of `in_int8` and multiplies in fp32: what comes into a layer isn't rounded.

    >>> layer = int8_weights_only(torch.nn.Sequential(torch.nn.Linear(4, 2)))[0]
    >>> layer.weight.dtype
    torch.float32
    """
    twin = copy.deepcopy(model)
    for name, layer in in_int8(model).named_modules():
        if isinstance(layer, Int8Linear):  # a new parameter, so that a table which shares the old one keeps it
            twin.get_submodule(name).weight = torch.nn.Parameter(layer.weight().dequantize(), requires_grad=False)
    return twin


@takes(model=torch.nn.Module)
def linear_bytes(model: torch.nn.Module) -> int:
    """Return the bytes of the weights of all linear layers, those of `in_int8` too: a decode step reads each once.

    >>> layer = torch.nn.Sequential(torch.nn.Linear(4, 2))
    >>> linear_bytes(layer), linear_bytes(in_int8(layer))
    (32, 8)
    """
    plain = [module.weight for module in model.modules() if isinstance(module, torch.nn.Linear)]
    packed = [module.weight() for module in model.modules() if isinstance(module, Int8Linear)]
    return sum(weight.numel() * weight.element_size() for weight in (*plain, *packed))


@contextmanager
def rounded_weights(
    model: torch.nn.Module, round_trip: Callable[[torch.Tensor], torch.Tensor]
) -> Iterator[torch.nn.Module]:
    """Let every linear layer of `model` run with `round_trip` of its weights, and give the old ones back at the end.

    Args:
        round_trip: Takes weights `(rows, columns)`, returns what a format leaves of them.

    >>> layer = torch.nn.Linear(4, 2)
    >>> with rounded_weights(layer, torch.zeros_like):
    ...     layer.weight.abs().sum().item()
    0.0
    >>> bool(layer.weight.abs().sum() > 0)
    True
    """
    weights = linear_weights(model).values()
    before = [weight.data for weight in weights]
    try:
        for weight in weights:
            weight.data = round_trip(weight.data)
        yield model
    finally:
        for weight, data in zip(weights, before, strict=True):
            weight.data = data


def _groups(weights: torch.Tensor, group: int) -> torch.Tensor:
    group = check_whole("group", group, 1)
    if weights.ndim != 2 or weights.shape[1] % group:
        raise ValueError(f"weights must have shape (rows, a multiple of {group}), got {tuple(weights.shape)}")
    if not weights.isfinite().all():
        raise ValueError("weights must be finite, got infinite ones or NaN")
    return weights.float().reshape(-1, group)
