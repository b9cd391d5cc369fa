"""The memory calculator: what fills the memory of a model that runs, and on which machine it fits."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from types import NoneType

import psutil
import traitlets

from course_utils.engine.arguments import check_whole
from course_utils.figures.base import CourseFigure
from course_utils.figures.memory_bars import memory_bars
from course_utils.measuring.memory import BYTES_PER_NUMBER
from course_utils.measuring.memory_budget import (
    CACHE_FORMATS,
    DEVICES,
    WEIGHT_FORMATS,
    Device,
    active_bytes,
    check_format,
    checked_against,
    memory_parts,
    size_text,
)
from course_utils.measuring.model_shapes import PUBLISHED, ModelShape
from course_utils.models.doorway import takes
from course_utils.widgets.base import CourseWidget, page_module, page_style

MOST_TOKENS = 2**24


class MemoryCalculator(CourseWidget):
    """Weights, KV cache, attention scores, hidden states and logits as one bar, and what would make it longer.

    The first bar is the present setting. The others change one thing: twice the context, twice the texts, one KV head
    for every query head (or, where it is so already, one for all of them). Dashed lines are the memory of this machine
    and of common cards. The page computes everything itself.

    Args:
        shapes: The models to choose from by their names; None: `PUBLISHED`.
        model: The name of the model to begin with.
        dtype: Number format of the weights: "fp32", "bf16", "int8" or "int4".
        context: Tokens of each text. More than the model's context length is computed, and said.
        batch: How many texts.
        key_value_heads: KV heads of a layer, a divisor of the query heads; None: as published. The weights stay as
            published.
        cache_dtype: Number format of the KV cache: "fp32", "bf16" or "int8"; None: "fp32" beside fp32 weights,
            "bf16" otherwise.
        naive: Whether the scores of one layer are written down in full; kernels such as FlashAttention do not.
        all_logits: Whether every position gets logits; generation needs the last only.
        card: The name of a card in `devices`, which then frames the first bar; "" shows all that are near.
        measured: Bytes of a real run of the model to begin with, in its formats: `{"weights": bytes, "cache": bytes,
            "tokens": n}`, and "batch" if it is not 1. A line says whether the formulas give the same.

    Raises:
        ValueError: A setting is out of its range; the widget keeps its last good state.

    Lesson: 14 · Speed and memory in practice

    >>> print(MemoryCalculator(model="SmolLM2-135M", context=1024).describe().splitlines()[3])
    KV cache                    47.2 MB = 2 × 30 layers × 3 KV heads × 64 × 1,024 tokens × 1 text × 4 bytes
    """

    _esm = page_module("memory_calculator")
    _css = page_style("memory_calculator")

    model = traitlets.Unicode("SmolLM2-135M").tag(sync=True)
    dtype = traitlets.Unicode("fp32").tag(sync=True)
    cache_dtype = traitlets.Unicode("fp32").tag(sync=True)
    context = traitlets.Int(2048).tag(sync=True)
    batch = traitlets.Int(1).tag(sync=True)
    key_value_heads = traitlets.Int(None, allow_none=True).tag(sync=True)
    naive = traitlets.Bool(True).tag(sync=True)
    all_logits = traitlets.Bool(False).tag(sync=True)
    card = traitlets.Unicode("").tag(sync=True)

    shapes = traitlets.Dict().tag(sync=True)
    formats = traitlets.Dict().tag(sync=True)  # bytes of a number by the format's name
    devices = traitlets.List().tag(sync=True)  # [name, bytes], this machine last
    checked = traitlets.Unicode().tag(sync=True)

    @takes(shapes=(Mapping, NoneType))
    def __init__(
        self,
        shapes: Mapping[str, ModelShape] | None = None,
        model: str = "SmolLM2-135M",
        dtype: str = "fp32",
        context: int = 2048,
        batch: int = 1,
        key_value_heads: int | None = None,
        cache_dtype: str | None = None,
        naive: bool = True,
        all_logits: bool = False,
        card: str = "",
        measured: Mapping[str, int] | None = None,
    ) -> None:
        self._shapes = dict(PUBLISHED if shapes is None else shapes)
        if cache_dtype is None:
            cache_dtype = "fp32" if dtype == "fp32" else "bf16"
        limits = [[_name(device), device.bytes] for device in DEVICES]
        super().__init__(
            shapes={name: asdict(shape) for name, shape in self._shapes.items()},
            formats={name: BYTES_PER_NUMBER[name] for name in WEIGHT_FORMATS},
            devices=[*limits, ["this machine's RAM", psutil.virtual_memory().total]],
            naive=naive,
            all_logits=all_logits,
        )
        self.card = card
        # One after the other: whether the KV heads fit is known when the model is.
        self.model, self.dtype, self.cache_dtype = model, dtype, cache_dtype
        self.context, self.batch, self.key_value_heads = context, batch, key_value_heads
        if measured is not None:
            self.checked = checked_against(self.shape, dtype, cache_dtype, measured)

    @traitlets.validate("model", "dtype", "cache_dtype", "context", "batch", "key_value_heads", "card")
    def _check_setting(self, proposal: dict) -> object:
        name, value = proposal["trait"].name, proposal["value"]
        if name == "model" and value not in self._shapes:
            raise ValueError(f"model must be one of {list(self._shapes)}, got {value!r}")
        names = ["", *(device for device, _ in self.devices)]
        if name == "card" and value not in names:
            raise ValueError(f"card must be one of {names}, got {value!r}")
        if name == "dtype":
            check_format(name, value, WEIGHT_FORMATS)
        elif name == "cache_dtype":
            check_format(name, value, CACHE_FORMATS)
        elif name in ("context", "batch"):
            check_whole(name, value, 1)
            if value > MOST_TOKENS:
                raise ValueError(f"{name} must be at most {MOST_TOKENS:,}, got {value:,}")
        elif name == "key_value_heads" and value is not None:
            self._check_heads(value)
        return value

    def _check_heads(self, value: int) -> None:
        heads = self._shapes[self.model].query_heads
        if value < 1 or heads % value:
            allowed = [count for count in range(1, heads + 1) if not heads % count]
            raise ValueError(f"key_value_heads must divide the {heads} query heads ({allowed}), got {value}")

    @traitlets.observe("model")
    def _forget_heads(self, change: dict) -> None:
        self.key_value_heads = None  # another model has other heads

    @property
    def shape(self) -> ModelShape:
        """The model as set, with the KV heads that are chosen."""
        shape = self._shapes[self.model]
        return replace(shape, key_value_heads=self.key_value_heads or shape.key_value_heads)

    def parts(self, shape: ModelShape | None = None, context: int | None = None, batch: int | None = None) -> dict:
        """Return the bytes of every part, as set or with one thing changed."""
        return memory_parts(
            shape or self.shape,
            self.dtype,
            self.cache_dtype,
            context or self.context,
            batch or self.batch,
            self.naive,
            self.all_logits,
        )

    @property
    def total(self) -> float:
        """Bytes of all parts."""
        return sum(self.parts().values())

    def rows(self) -> dict[str, dict[str, float]]:
        """Return the bars: as set, and with one thing changed in each."""
        heads = self.other_heads
        return {
            "as set": self.parts(),
            "context × 2": self.parts(context=2 * self.context),
            "batch × 2": self.parts(batch=2 * self.batch),
            f"{heads} KV head{'s' if heads > 1 else ''}": self.parts(replace(self.shape, key_value_heads=heads)),
        }

    @property
    def other_heads(self) -> int:
        """The KV heads to compare with: one for every query head, and where it is so already, one for all."""
        heads = self.shape.query_heads
        return 1 if self.shape.key_value_heads == heads else heads

    def formulas(self) -> dict[str, str]:
        """Return every part's formula with the numbers of now."""
        shape, texts = self.shape, f"{self.batch:,} text{'s' if self.batch > 1 else ''}"
        each, active = BYTES_PER_NUMBER[self.cache_dtype], active_bytes(self.cache_dtype)
        tokens = f"{self.context:,}"
        positions = tokens if self.all_logits else "1"
        scores = f"{shape.query_heads} heads × {tokens} × {tokens} tokens × {texts} × {active:g} bytes, of one layer"
        return {
            "weights": f"{shape.parameters:,} parameters × {BYTES_PER_NUMBER[self.dtype]:g} {_bytes(self.dtype)}",
            "KV cache": f"2 × {shape.layers} layers × {shape.key_value_heads} KV head"
            f"{'s' if shape.key_value_heads > 1 else ''} × {shape.head_dim} × {tokens} tokens × {texts} × "
            f"{each:g} {_bytes(self.cache_dtype)}",
            "attention scores": scores if self.naive else "not written down",
            "hidden states and logits": f"({shape.hidden_size:,} × {tokens} tokens + {shape.vocab_size:,} × "
            f"{positions}) × {texts} × {active:g} bytes",
        }

    def warning(self) -> str:
        """Say that the context is longer than the model can read, or return an empty text."""
        longest = self.shape.context_length
        if self.context <= longest:
            return ""
        return f"⚠ {self.context:,} tokens are more than the context length of {self.model} ({longest:,})."

    def recorded_state(self) -> dict[str, object]:
        """Return the traits with a common laptop for this machine, which is not the reader's of a website."""
        return {**super().recorded_state(), "devices": [*self.devices[:-1], ["RAM of a 16 GB laptop", 16 * 2**30]]}

    def describe(self) -> str:
        """Say in words what every part takes, and on which cards it fits. This machine is not in it: it differs."""
        parts, total = self.parts(), self.total
        lines = [
            f"Memory calculator: {self.model}, weights {self.dtype}, KV cache {self.cache_dtype}, "
            f"{self.batch:,} × {self.context:,} tokens",
            *filter(None, [self.warning()]),
            f"{'in all':26}{size_text(total):>9}",
        ]
        for name, formula in self.formulas().items():
            lines.append(f"{name:26}{size_text(parts[name]):>9} = {formula}")
        for name, row in list(self.rows().items())[1:]:
            lines.append(f"with {name:21}{size_text(sum(row.values())):>9}")
        for device in DEVICES:
            share = total / device.bytes * 100
            lines.append(f"{_name(device)}: {'fits' if share <= 100 else 'too small'}, {share:,.0f} %")
            if self.card == _name(device):
                lines[-1] += f" ({room_text(total, device.bytes)})"
        return "\n".join([*lines, *filter(None, [self.checked])])

    def figure(self) -> CourseFigure:
        """Draw the bars with the limits of the cards; the page shows this machine's memory as well."""
        rows = self.rows()
        longest = max(sum(row.values()) for row in rows.values())
        unit = 1e9 if longest >= 1e9 else 1e6
        limits = {f"{device.gibibytes} GB card": device.bytes for device in DEVICES}
        title = f"{size_text(self.total)}: {self.describe().splitlines()[0].partition(': ')[2]}"
        for device in DEVICES:
            if self.card == _name(device):
                name = f"{device.gibibytes} GB card"
                title = f"{self.model}, {size_text(self.total)}, on a card of {device.gibibytes} GB: "
                return memory_bars(rows, limits, unit, title + room_text(self.total, device.bytes), name)
        return memory_bars(rows, limits, unit, title)


def room_text(total: float, size: float) -> str:
    """Say how much memory is left, or missing.

    Lesson: 14 · Speed and memory in practice

    >>> room_text(6e9, 8e9), room_text(9e9, 8e9)
    ('fits, 2.00 GB left', '1.00 GB over')
    """
    return f"fits, {size_text(size - total)} left" if total <= size else f"{size_text(total - size)} over"


def _name(device: Device) -> str:
    return f"{device.gibibytes} GB, {device.name}"


def _bytes(name: str) -> str:
    return "byte" if BYTES_PER_NUMBER[name] == 1 else "bytes"
