"""Does it fit? Every part of a running model's memory in bytes, beside the memory of real machines.

Lesson: 14 · Speed and memory in practice
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

from course_utils.engine.arguments import check_whole
from course_utils.measuring.memory import (
    BYTES_PER_NUMBER,
    attention_score_bytes,
    kv_cache_bytes,
    logits_bytes,
    weight_bytes,
)
from course_utils.measuring.model_shapes import ModelShape

WEIGHT_FORMATS = ("fp32", "bf16", "int8", "int4")
CACHE_FORMATS = ("fp32", "bf16", "int8")  # what common engines can keep a cache in
PARTS = ("weights", "KV cache", "attention scores", "hidden states and logits")
UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB")
MEASURED = {"weights", "cache", "tokens", "batch"}


class Device(NamedTuple):
    """A machine with memory of its own.

    >>> Device("GeForce RTX 4060", 8, "NVIDIA (2023)").bytes
    8589934592
    """

    name: str
    gibibytes: int
    source: str

    @property
    def bytes(self) -> int:
        """Its memory; what is sold as 1 GB of memory chips is 2³⁰ bytes."""
        return self.gibibytes * 2**30


DEVICES = (
    Device("GeForce RTX 4060", 8, "NVIDIA (2023), GeForce RTX 4060 specifications"),
    Device("GeForce RTX 4080", 16, "NVIDIA (2022), GeForce RTX 4080 specifications"),
    Device("GeForce RTX 4090", 24, "NVIDIA (2022), GeForce RTX 4090 specifications"),
    Device("A100 80GB", 80, "NVIDIA (2021), A100 Tensor Core GPU data sheet"),
)


def memory_parts(
    shape: ModelShape,
    weights: str = "fp32",
    cache: str = "fp32",
    context: int = 2048,
    batch: int = 1,
    naive: bool = True,
    all_logits: bool = False,
) -> dict[str, float]:
    """Return the bytes of each of `PARTS` while `batch` texts of `context` tokens are read.

    Args:
        weights: Number format of the weights, one of `WEIGHT_FORMATS`.
        cache: Number format of the KV cache, one of `CACHE_FORMATS`. The other two parts have it, too, but never
            less than 16 bits.
        naive: Whether the attention scores of one layer are written down in full, as over a whole prompt; kernels
            such as FlashAttention never write them down.
        all_logits: Whether logits are computed at every position; generation needs the last one only.

    The hidden states are those of one layer, the others are gone when it runs. The wider vectors inside a feed-forward
    layer are left out: they live for a moment, and their size is not in a `ModelShape`.

    Raises:
        ValueError: A format is unknown, or a number is out of its range.

    Source: Dao et al. (2022), FlashAttention; Pope et al. (2022), Efficiently Scaling Transformer Inference.

    >>> from course_utils.measuring.model_shapes import PUBLISHED
    >>> memory_parts(PUBLISHED["SmolLM2-135M"], context=1000)["KV cache"]
    46080000.0
    """
    check_format("weights", weights, WEIGHT_FORMATS)
    check_format("cache", cache, CACHE_FORMATS)
    context = check_whole("context", context, 1)
    active = active_bytes(cache)
    scores = attention_score_bytes(shape, context, context, batch, active) if naive else 0.0
    hidden = shape.hidden_size * context * batch * active
    sizes = (
        weight_bytes(shape.parameters, BYTES_PER_NUMBER[weights]),
        kv_cache_bytes(shape, context, batch, BYTES_PER_NUMBER[cache]),
        scores,
        hidden + logits_bytes(shape, context if all_logits else 1, batch, active),
    )
    return dict(zip(PARTS, sizes, strict=True))


def active_bytes(cache: str) -> float:
    """Return the bytes of a number that is being computed with: as in the cache, but at least 16 bits.

    >>> active_bytes("fp32"), active_bytes("int8")
    (4.0, 2.0)
    """
    return max(BYTES_PER_NUMBER[cache], 2.0)


def size_text(size: float) -> str:
    """Write bytes with three digits, in units of 1,000.

    >>> size_text(538_060_032), size_text(46_080), size_text(7)
    ('538 MB', '46.1 kB', '7 B')
    """
    unit = 0
    while size >= 999.5 and unit < len(UNITS) - 1:
        size, unit = size / 1000, unit + 1
    digits = 0 if size >= 99.95 or not unit else 1 if size >= 9.995 else 2
    # Rounded by hand: the page must cut in the same way, and languages do not agree on halves.
    return f"{math.floor(size * 10**digits + 0.5) / 10**digits:.{digits}f} {UNITS[unit]}"


def checked_against(shape: ModelShape, weights: str, cache: str, measured: Mapping[str, int]) -> str:
    """Say in two lines whether the formulas give the bytes of a real run.

    Args:
        shape: The model that ran.
        weights: Number format of its weights.
        cache: Number format of its cache.
        measured: The bytes of its "weights" and of its "cache", and the "tokens" in that; "batch", if not 1.

    Raises:
        ValueError: `measured` has not these keys, or a number is out of its range.

    >>> from course_utils.measuring.model_shapes import PUBLISHED
    >>> run = {"weights": 538_060_032, "cache": 4_608_000, "tokens": 100}
    >>> print(checked_against(PUBLISHED["SmolLM2-135M"], "fp32", "fp32", run))
    checked against a real run of SmolLM2-135M, 100 tokens:
    weights 538,060,032 bytes = formula; KV cache 4,608,000 bytes = formula
    """
    if not {"weights", "cache", "tokens"} <= set(measured) <= MEASURED:
        raise ValueError(f"measured must have the keys weights, cache and tokens, got {list(measured)}")
    batch = measured.get("batch", 1)
    expected = {
        "weights": weight_bytes(shape.parameters, BYTES_PER_NUMBER[weights]),
        "cache": kv_cache_bytes(shape, measured["tokens"], batch, BYTES_PER_NUMBER[cache]),
    }
    words = []
    for name, bytes_ in expected.items():
        same = "= formula" if measured[name] == bytes_ else f"≠ formula ({bytes_:,.0f})"
        words.append(f"{'KV cache' if name == 'cache' else name} {measured[name]:,} bytes {same}")
    texts = "" if batch == 1 else f"{batch:,} texts of "
    said = f"checked against a real run of {shape.name}, {texts}{measured['tokens']:,} tokens:"
    return f"{said}\n{'; '.join(words)}"


def check_format(name: str, value: str, allowed: tuple[str, ...]) -> None:
    """Raise a ValueError in one sentence unless `value` is one of the `allowed` number formats."""
    if value not in allowed:
        raise ValueError(f"{name} must be one of {list(allowed)}, got {value!r}")
