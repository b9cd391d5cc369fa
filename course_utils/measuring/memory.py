"""What fills the memory of a model that runs: weights, KV cache, scores of attention, logits. All in bytes.

Lesson: 14 · Speed and memory in practice; the KV cache: 10 · Prefill and decode; 02 · Where LLMs fail
"""

import math
from collections.abc import Iterator

import torch
from transformers import Cache, EncoderDecoderCache

from course_utils.engine.arguments import check_number, check_whole
from course_utils.engine.cache import KeyValueCache
from course_utils.measuring.model_shapes import ModelShape
from course_utils.models.doorway import takes

# 4-bit formats also store a scale for every few numbers; that is left out here.
BYTES_PER_NUMBER = {"fp32": 4.0, "fp16": 2.0, "bf16": 2.0, "int8": 1.0, "int4": 0.5}


def weight_bytes(parameters: int, bytes_per_number: float = 4) -> float:
    """Return the memory of a model's weights: parameters × bytes per number.

    Raises:
        ValueError: A number is out of its range.

    >>> weight_bytes(8_030_261_248, BYTES_PER_NUMBER["bf16"]) / 1e9
    16.060522496
    """
    parameters = check_whole("parameters", parameters, 0)
    return parameters * check_bytes(bytes_per_number)


def kv_cache_bytes(shape: ModelShape, tokens: int, batch: int = 1, bytes_per_number: float = 4) -> float:
    """Return the memory of the KV cache: 2 × layers × KV heads × head_dim numbers for every token of every text.

    It grows linearly with the tokens.

    Raises:
        ValueError: A number is out of its range.

    Source: Pope et al. (2022), Efficiently Scaling Transformer Inference.

    >>> from course_utils.measuring.model_shapes import PUBLISHED
    >>> smollm2 = PUBLISHED["SmolLM2-135M"]
    >>> kv_cache_bytes(smollm2, tokens=1)
    46080
    """
    each = _checked_product(bytes_per_number, tokens=tokens, batch=batch)
    return 2 * shape.layers * shape.key_value_heads * shape.head_dim * each


def attention_score_bytes(
    shape: ModelShape, queries: int, keys: int, batch: int = 1, bytes_per_number: float = 4
) -> float:
    """Return the memory of the scores of one layer, written down in full: one number per head, query and key.

    Over a prompt it grows with the square of the tokens. Kernels such as FlashAttention never write it down.

    Raises:
        ValueError: A number is out of its range.

    Source: Dao et al. (2022), FlashAttention.

    >>> from course_utils.measuring.model_shapes import PUBLISHED
    >>> smollm2 = PUBLISHED["SmolLM2-135M"]
    >>> attention_score_bytes(smollm2, queries=1000, keys=1000)
    36000000
    """
    return shape.query_heads * _checked_product(bytes_per_number, queries=queries, keys=keys, batch=batch)


def logits_bytes(shape: ModelShape, positions: int, batch: int = 1, bytes_per_number: float = 4) -> float:
    """Return the memory of logits: the whole vocabulary for every position; generation needs one position.

    Raises:
        ValueError: A number is out of its range.

    >>> from course_utils.measuring.model_shapes import PUBLISHED
    >>> smollm2 = PUBLISHED["SmolLM2-135M"]
    >>> logits_bytes(smollm2, positions=1)
    196608
    """
    return shape.vocab_size * _checked_product(bytes_per_number, positions=positions, batch=batch)


@takes(model=torch.nn.Module)
def measured_weight_bytes(model: torch.nn.Module) -> int:
    """Return the bytes that the weights of `model` really take; a weight used twice is counted once.

    >>> measured_weight_bytes(torch.nn.Linear(3, 2))
    32
    """
    return sum(parameter.nbytes for parameter in model.parameters())


def measured_cache_bytes(cache: KeyValueCache | Cache) -> int:
    """Return the bytes that the keys and values of `cache` really take, the course's own or one of `transformers`.

    >>> measured_cache_bytes(KeyValueCache(layers=2))
    0
    """
    return cache.bytes if isinstance(cache, KeyValueCache) else sum(tensor.nbytes for tensor in _tensors(cache))


def check_bytes(bytes_per_number: float) -> float:
    """Return `bytes_per_number`; raise a ValueError in one sentence unless it is above 0 and at most 8."""
    return check_number("bytes_per_number", bytes_per_number, "above 0 and at most 8", lambda value: 0 < value <= 8)


def _checked_product(bytes_per_number: float, **sizes: int) -> float:
    numbers = [check_whole(name, value, 1 if name == "batch" else 0) for name, value in sizes.items()]
    return math.prod(numbers) * check_bytes(bytes_per_number)


def _tensors(cache: Cache) -> Iterator[torch.Tensor]:
    if isinstance(cache, EncoderDecoderCache):
        yield from _tensors(cache.self_attention_cache)
        yield from _tensors(cache.cross_attention_cache)
        return
    for layer in cache.layers:
        kept = vars(layer)
        states = [kept.get("keys"), kept.get("values")]
        for name in ("conv_states", "recurrent_states"):  # of Mamba and its like
            states += kept.get(name, {}).values()
        yield from (state for state in states if state is not None)
