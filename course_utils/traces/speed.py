"""How long generation takes on one machine: by prompt length, by batch, by threads and number format.

Lesson: 14 · Speed and memory in practice
"""

import json
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Self

import numpy as np

from course_utils.measuring.measurements import Spread, spread
from course_utils.measuring.model_shapes import ModelShape
from course_utils.measuring.roofline import Rates, predicted_seconds
from course_utils.measuring.timing import Machine
from course_utils.traces.base import Trace

BYTES = {"fp32": 4, "bf16": 2}
COLUMNS = ("prompt_tokens", "new_tokens", "batches", "threads", "flops", "bandwidths", "ttft", "tpot")


@dataclass(frozen=True)
class SpeedTrace(Trace):
    """Measured generations, one per row ("point"), all of one model on one machine. Times are in seconds.

    Args:
        model: Name of the model.
        shape: Its numbers, the fields of a `ModelShape`.
        machine: Where it ran, the fields of a `Machine`.
        dtypes: Of every point, the number format of weights and cache: "fp32" or "bf16".
        prompt_tokens: Tokens of each prompt, int64 `(point,)`.
        new_tokens: Tokens generated after each, int64 `(point,)`.
        batches: How many texts grew at once, int64 `(point,)`.
        threads: Threads of torch, int64 `(point,)`.
        flops: FLOPs per second of a large matrix product with these threads in this format, float64 `(point,)`.
        bandwidths: Bytes per second that these threads read, float64 `(point,)`.
        ttft: Time to first token of every run, float64 `(point, run)`; NaN where a point has fewer runs.
        tpot: Time per output token of every run, float64 `(point, run)`.

    Raises:
        ValueError: The columns do not have one row per point.

    >>> recorded_speed().model
    'SmolLM2-135M-Instruct'
    """

    model: str
    shape: tuple
    machine: tuple
    dtypes: tuple[str, ...]
    prompt_tokens: np.ndarray
    new_tokens: np.ndarray
    batches: np.ndarray
    threads: np.ndarray
    flops: np.ndarray
    bandwidths: np.ndarray
    ttft: np.ndarray
    tpot: np.ndarray

    def __post_init__(self) -> None:
        self.check_rows("point", len(self.dtypes), COLUMNS)

    @property
    def model_shape(self) -> ModelShape:
        """The shape of the model."""
        return ModelShape(*self.shape)

    @property
    def where(self) -> Machine:
        """The machine it ran on."""
        return Machine(*self.machine)

    def __len__(self) -> int:
        return len(self.dtypes)

    def runs(self, point: int, new_tokens: int | None = None) -> dict[str, np.ndarray]:
        """Return "ttft", "tpot", "total" (seconds) and "throughput" (tokens/s) of every run of `point`, `(run,)` each.

        Args:
            point: Which row.
            new_tokens: For this many new tokens, at the measured time per output token; None: as many as measured.
        """
        there = np.isfinite(self.ttft[point])
        ttft, tpot = self.ttft[point, there], self.tpot[point, there]
        count = int(self.new_tokens[point]) if new_tokens is None else new_tokens
        total = ttft + (count - 1) * tpot
        return {"ttft": ttft, "tpot": tpot, "total": total, "throughput": self.batches[point] * count / total}

    def measured(self, point: int, what: str, new_tokens: int | None = None) -> Spread:
        """Return median, least and most of `what` over the runs of `point`; arguments as `runs`."""
        return spread(self.runs(point, new_tokens)[what].tolist())

    def predicted(self, point: int, what: str, new_tokens: int | None = None) -> float:
        """Return `what` at `point` as the machine's rates alone predict it; arguments as `runs`."""
        count = int(self.new_tokens[point]) if new_tokens is None else new_tokens
        prompt, batch = int(self.prompt_tokens[point]), int(self.batches[point])
        rates = Rates(float(self.flops[point]), float(self.bandwidths[point]))
        return predicted_speed(self.model_shape, rates, prompt, count, batch, self.dtypes[point])[what]

    def joined(self, other: Self) -> Self:
        """Return the points of both, of the same model and machine; where both have a point, the one of `other`."""
        again = {other.key(point) for point in range(len(other))}
        stay = [point for point in range(len(self)) if self.key(point) not in again]
        columns = {name: _stacked(getattr(self, name)[stay], getattr(other, name)) for name in COLUMNS}
        return replace(self, dtypes=(*(self.dtypes[point] for point in stay), *other.dtypes), **columns)

    def key(self, point: int) -> tuple:
        """Return what tells a point apart: prompt, batch, threads and format."""
        return (
            int(self.prompt_tokens[point]),
            int(self.batches[point]),
            int(self.threads[point]),
            self.dtypes[point],
        )

    def to_json(self) -> str:
        """Write the trace as JSON, one line per point, that `from_json` reads."""
        rows = []
        for point, dtype in enumerate(self.dtypes):
            row = {name: getattr(self, name)[point].tolist() for name in COLUMNS[:-2]}
            runs = {name: np.round(self.runs(point)[name], 6).tolist() for name in ("ttft", "tpot")}
            rows.append(json.dumps({"dtype": dtype, **row, **runs}))
        head = {name: getattr(self, name) for name in ("model", "shape", "machine")}
        texts = json.dumps(head)[:-1] + ', "points": [\n'
        return texts + ",\n".join(rows) + "\n]}\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote."""
        values = json.loads(text)
        points = values.pop("points")
        runs = max(len(point["ttft"]) for point in points)
        for point in points:
            for name in ("ttft", "tpot"):
                point[name] += [np.nan] * (runs - len(point[name]))
        columns = {name: np.array([point[name] for point in points]) for name in COLUMNS}
        texts = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        return cls(**texts, dtypes=tuple(point["dtype"] for point in points), **columns)


def predicted_speed(
    shape: ModelShape, rates: Rates, prompt: int, new_tokens: int, batch: int, dtype: str
) -> dict[str, float]:
    """Predict "ttft", "tpot" and "total" (seconds) and "throughput" (tokens/s) from the machine's rates alone.

    TTFT is a step that reads the prompt, TPOT one that reads a token with the cache half grown.

    Raises:
        ValueError: A number is out of its range.

    >>> from course_utils.measuring.model_shapes import PUBLISHED
    >>> speed = predicted_speed(PUBLISHED["SmolLM2-135M"], Rates(100e9, 25e9), 100, 10, batch=1, dtype="fp32")
    >>> {name: round(value, 4) for name, value in speed.items()}
    {'ttft': 0.213, 'tpot': 0.0217, 'total': 0.4084, 'throughput': 24.4848}
    """
    size = BYTES[dtype]
    ttft = predicted_seconds(shape, rates, prompt, prompt, batch, size)
    tpot = predicted_seconds(shape, rates, 1, prompt + new_tokens // 2, batch, size)
    total = ttft + (new_tokens - 1) * tpot
    return {"ttft": ttft, "tpot": tpot, "total": total, "throughput": batch * new_tokens / total}


def recorded_speed() -> SpeedTrace:
    """Return the run that comes with the course: SmolLM2 on the machine on which the course was made.

    >>> sorted(set(recorded_speed().dtypes))
    ['bf16', 'fp32']
    """
    return SpeedTrace.from_json((files("course_utils.traces") / "recorded_speed.json").read_text(encoding="utf-8"))


def _stacked(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """One below the other; rows of runs are filled up with NaN to the longer one."""
    if first.ndim == 1:
        return np.concatenate([first, second])
    width = max(first.shape[1], second.shape[1])
    padded = [np.pad(rows, ((0, 0), (0, width - rows.shape[1])), constant_values=np.nan) for rows in (first, second)]
    return np.concatenate(padded)
