"""How long a step must take: its arithmetic and its bytes, over what the machine can do in a second.

Lesson: 10 · Prefill and decode; 14 · Speed and memory in practice
"""

import statistics
import time
from typing import NamedTuple

import torch

from course_utils.engine.arguments import check_whole
from course_utils.measuring.memory import kv_cache_bytes, weight_bytes
from course_utils.measuring.model_shapes import ModelShape


class Rates(NamedTuple):
    """What a machine does in a second at most, both measured.

    Args:
        flops: Floating-point operations per second, in a large matrix product.
        bandwidth: Bytes per second that it reads from memory.

    >>> Rates(flops=90e9, bandwidth=30e9).balance
    3.0
    """

    flops: float
    bandwidth: float

    @property
    def balance(self) -> float:
        """FLOPs per byte from which on arithmetic is the limit, and no longer memory."""
        return self.flops / self.bandwidth


def matmul_rate(dtype: torch.dtype = torch.float32, size: int = 1024, repeats: int = 7) -> float:
    """Measure the FLOPs per second of a large matrix product, with all threads of torch.

    Raises:
        ValueError: `size` or `repeats` is not a whole number of at least 1.

    >>> matmul_rate(size=64, repeats=3) > 1e6
    True
    """
    size = check_whole("size", size, 1)
    repeats = check_whole("repeats", repeats, 1)
    square, seconds = torch.ones(size, size, dtype=dtype), []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        square @ square
        seconds.append(time.perf_counter() - start)
    return 2 * size**3 / statistics.median(seconds[1:])


def read_bandwidth(megabytes: int = 400, repeats: int = 7) -> float:
    """Measure how many bytes per second this machine reads from memory, with all threads of torch.

    A decode step reads every weight once, so it cannot take less than weight bytes / this.

    >>> read_bandwidth(megabytes=10) > 1e8
    True
    """
    numbers = torch.ones(megabytes * 1_000_000 // 4)
    seconds = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        numbers.sum()
        seconds.append(time.perf_counter() - start)
    return numbers.nbytes / statistics.median(seconds[1:])


def measured_rates(dtype: torch.dtype = torch.float32) -> Rates:
    """Measure what this machine does in a second, in this number format, with all threads of torch.

    >>> measured_rates().balance > 0
    True
    """
    return Rates(matmul_rate(dtype), read_bandwidth(megabytes=200, repeats=5))


def step_flops(shape: ModelShape, tokens: int, batch: int = 1) -> float:
    """Return the FLOPs of a step that reads `tokens` of each text: two for every weight and token.

    Only the last token of a text gets logits, so the vocabulary's table counts once a text. Attention's own share,
    small in short texts, is left out. The table is taken to be one for input and output, as in SmolLM2.

    Raises:
        ValueError: `tokens` or `batch` is not a whole number of at least 1.

    >>> from course_utils.measuring.model_shapes import PUBLISHED
    >>> step_flops(PUBLISHED["SmolLM2-135M"], tokens=1) / 1e9
    0.269030016
    """
    tokens = check_whole("tokens", tokens, 1)
    batch = check_whole("batch", batch, 1)
    table = shape.vocab_size * shape.hidden_size
    return 2 * batch * (tokens * (shape.parameters - table) + table)


def step_bytes(shape: ModelShape, context: int, batch: int = 1, bytes_per_number: float = 4) -> float:
    """Return the bytes that a step must read: every weight once, and the KV cache of every text.

    Raises:
        ValueError: A number is out of its range.

    >>> from course_utils.measuring.model_shapes import PUBLISHED
    >>> step_bytes(PUBLISHED["SmolLM2-135M"], context=100) / 1e6
    542.668032
    """
    cache = kv_cache_bytes(shape, context, batch, bytes_per_number)
    return weight_bytes(shape.parameters, bytes_per_number) + cache


def predicted_seconds(
    shape: ModelShape, rates: Rates, tokens: int, context: int, batch: int = 1, bytes_per_number: float = 4
) -> float:
    """Predict the seconds of a step: the longer of its arithmetic and its reading.

    What else a step does is left out, so a real one takes longer.

    Args:
        tokens: Tokens of each text that are read in the step; 1 in a decode step.
        context: Tokens of each text in the KV cache.
        bytes_per_number: Of weights and cache.

    Raises:
        ValueError: A number is out of its range.

    Source: Williams, Waterman and Patterson (2009), Roofline.

    >>> from course_utils.measuring.model_shapes import PUBLISHED
    >>> smollm2, machine = PUBLISHED["SmolLM2-135M"], Rates(flops=100e9, bandwidth=25e9)
    >>> round(predicted_seconds(smollm2, machine, tokens=1, context=100), 4)
    0.0217
    >>> round(predicted_seconds(smollm2, machine, tokens=100, context=100), 4)
    0.213
    """
    arithmetic = step_flops(shape, tokens, batch) / rates.flops
    return max(arithmetic, step_bytes(shape, context, batch, bytes_per_number) / rates.bandwidth)
