"""The speed lab: time to first token, time per output token and throughput, here and on the recorded machine."""

from collections.abc import Callable
from dataclasses import asdict
from itertools import chain, product
from types import NoneType
from typing import ClassVar

import torch
import traitlets

from course_utils.engine.arguments import check_whole
from course_utils.figures.base import CourseFigure
from course_utils.figures.speed_curves import speed_curves
from course_utils.measuring.memory_budget import check_format
from course_utils.measuring.timing import Progress
from course_utils.models import CausalLM
from course_utils.models.doorway import takes
from course_utils.traces.speed import BYTES, SpeedTrace, recorded_speed
from course_utils.traces.speed_run import record_speed
from course_utils.widgets.base import AskingWidget, page_module, page_style

Measure = Callable[[int, int, int, int, str, Progress], SpeedTrace]

# Of every curve: its title, its unit, and what one of that unit is in seconds or tokens per second.
CURVES = {
    "ttft": ("TTFT by prompt length", "ms", 1000),
    "tpot": ("TPOT by prompt length", "ms", 1000),
    "throughput": ("throughput by batch size", "tokens/s", 1),
}
REPEATS = 3


class SpeedLab(AskingWidget):
    """Measured speed with its spread, here and on a recorded machine; dashed, what each machine's rates alone predict.

    TTFT and TPOT are drawn over the prompt's length, tokens per second over the batch. The rest is as set; a machine
    that wasn't measured so shows the nearest batch, prompt and threads that it has, and says which.

    Args:
        here: What was measured on this machine so far; None: nothing yet.
        recorded: What is drawn beside it; None: nothing.
        measure: Measures prompt tokens, new tokens, batch, threads and format, and calls its last argument before each
            run; without it, the button is grey.
        curve: "ttft", "tpot" or "throughput".
        prompt: Tokens of a prompt.
        new_tokens: Tokens after it, at least 2; the totals and the throughput are computed for this many.
        batch: How many texts grow at once.
        threads: Threads of torch; None: the most that `here` has, and without it, the most that `recorded` has.
        dtype: Number format of weights and cache: "fp32" or "bf16".

    Raises:
        ValueError: A setting is out of its range, or there is nothing to show; the widget keeps its last good state.

    Lesson: 14 · Speed and memory in practice

    >>> print(SpeedLab(recorded=recorded_speed()).describe().splitlines()[0])
    Speed lab: TTFT by prompt length, SmolLM2-135M-Instruct, fp32
    """

    _esm = page_module("speed_lab")
    _css = page_style("speed_lab")
    called: ClassVar = {"prompt_lengths": "prompt tokens", "new_tokens": "new tokens", "dtypes": "format"}

    curve = traitlets.Unicode("ttft").tag(sync=True)
    prompt = traitlets.Int(64).tag(sync=True)
    new_tokens = traitlets.Int(8).tag(sync=True)
    batch = traitlets.Int(1).tag(sync=True)
    threads = traitlets.Int(1).tag(sync=True)
    dtype = traitlets.Unicode("fp32").tag(sync=True)

    machines = traitlets.List().tag(sync=True)  # what was measured: recorded first, then here
    own_threads = traitlets.Int(1).tag(sync=True)  # as many as torch uses here

    @takes(here=(SpeedTrace, NoneType), recorded=(SpeedTrace, NoneType))
    def __init__(
        self,
        here: SpeedTrace | None = None,
        recorded: SpeedTrace | None = None,
        measure: Measure | None = None,
        threads: int | None = None,
        **settings: object,
    ) -> None:
        if here is None and recorded is None:
            raise ValueError("here or recorded must be a SpeedTrace, got neither")
        self.here, self.recorded, self._measure = here, recorded, measure
        if threads is None:
            # Not this machine's number: the words of a recorded run must be the same everywhere.
            threads = int((recorded if here is None else here).threads.max())
        own = torch.get_num_threads()
        super().__init__(can_run=measure is not None, threads=threads, own_threads=own, **settings)
        self._show()

    @traitlets.validate("curve", "prompt", "new_tokens", "batch", "threads", "dtype")
    def _check_setting(self, proposal: dict) -> object:
        name, value = proposal["trait"].name, proposal["value"]
        if name in ("curve", "dtype"):
            check_format(name, value, tuple(CURVES if name == "curve" else BYTES))
        else:
            check_whole(name, value, 2 if name == "new_tokens" else 1)
        return value

    def _traces(self) -> dict[str, SpeedTrace]:
        both = {"recorded": self.recorded, "here": self.here}
        return {name: trace for name, trace in both.items() if trace is not None}

    def _show(self) -> None:
        self.machines = [machine_state(name, trace) for name, trace in self._traces().items()]

    def answer(self, prompts: list[int], new_tokens: int, batches: list[int], threads: int, dtype: str) -> None:
        """Measure every prompt with every batch here, and draw them with what was measured before."""
        here, points = self.here, list(product(prompts, batches))
        for number, (prompt, batch) in enumerate(points, start=1):
            place = f"point {number} of {len(points)}, " * (len(points) > 1)
            point = f"{place}{batch} × {prompt:,} prompt tokens + {new_tokens} new"
            self.tell(f"{point}: getting ready")

            def tell_run(run: int, runs: int, point: str = point) -> None:
                self.tell(f"{point}: run {run} of {runs}")

            measured = self._measure(prompt, new_tokens, batch, threads, dtype, tell_run)
            here = measured if here is None else here.joined(measured)
        self.here = here
        self._show()

    def groups(self, trace: SpeedTrace) -> list[list[int]]:
        """Return the rows of `trace` that are drawn, one list per curve, each from left to right."""
        return chosen_groups(trace, self.curve, self.prompt, self.batch, self.threads, self.dtype)

    def series(self) -> dict[str, dict[str, list[float]]]:
        """Return what is drawn, by name: "x", "median", "least", "most" and "predicted" of every point."""
        scale, found = CURVES[self.curve][2], {}
        for name, trace in self._traces().items():
            x = trace.batches if self.curve == "throughput" else trace.prompt_tokens
            for rows in self.groups(trace):
                measured = [trace.measured(row, self.curve, self.new_tokens) for row in rows]
                found[self.title(name, trace, rows[0])] = {
                    "x": [int(x[row]) for row in rows],
                    **{part: [getattr(one, part) * scale for one in measured] for part in ("median", "least", "most")},
                    "predicted": [trace.predicted(row, self.curve, self.new_tokens) * scale for row in rows],
                }
        return found

    def title(self, name: str, trace: SpeedTrace, row: int) -> str:
        """Say of which machine, with how many threads, and what stays the same."""
        fixed = f"prompt {trace.prompt_tokens[row]:,}" if self.curve == "throughput" else f"batch {trace.batches[row]}"
        count = trace.threads[row]
        return f"{name}: {trace.where.processor}, {count} thread{'s' if count > 1 else ''}, {fixed}"

    def totals(self) -> list[str]:
        """Say for every machine that has this very point how TTFT and TPOT make up the total."""
        said = []
        for name, trace in self._traces().items():
            for row in chain.from_iterable(self.groups(trace)):
                if (trace.prompt_tokens[row], trace.batches[row]) == (self.prompt, self.batch):
                    ttft, tpot, total, speed = (
                        trace.measured(row, what, self.new_tokens).median
                        for what in ("ttft", "tpot", "total", "throughput")
                    )
                    said.append(
                        f"{name}: TTFT {ttft * 1000:,.0f} ms + {self.new_tokens - 1} × TPOT {tpot * 1000:,.0f} ms "
                        f"= {total * 1000:,.0f} ms; {speed:,.1f} tokens/s"
                    )
        return said

    def describe(self) -> str:
        """Say in words what is drawn. With a recorded run alone, the words are always the same."""
        what, unit, _ = CURVES[self.curve]
        model = next(iter(self._traces().values())).model
        lines = [f"Speed lab: {what}, {model}, {self.dtype}"]
        for name, columns in self.series().items():
            lines += [
                name,
                f"{'batch' if self.curve == 'throughput' else 'prompt':>8}{'median':>10}   least – most, at best",
            ]
            for x, median, least, most, predicted in zip(*columns.values(), strict=True):
                lines.append(f"{x:8,}{median:10,.1f} {unit} ({least:,.1f} – {most:,.1f}), {predicted:,.1f}")
        if len(lines) == 1:
            lines.append(f"nothing was measured in {self.dtype}")
        return "\n".join([*lines, *self.totals()])

    def figure(self) -> CourseFigure:
        """Draw the curves."""
        what, unit, _ = CURVES[self.curve]
        x_label = "texts at once (batch)" if self.curve == "throughput" else "tokens of the prompt"
        chosen = self.batch if self.curve == "throughput" else self.prompt
        series = self.series() or {
            f"nothing in {self.dtype}": {part: [] for part in ("x", "median", "least", "most", "predicted")}
        }
        return speed_curves(series, x_label, f"{what.split()[0]} ({unit})", chosen)


@takes(source=(CausalLM, SpeedTrace))
def speed_lab(
    source: object, here: SpeedTrace | None = None, recorded: SpeedTrace | None = None, **settings: object
) -> SpeedLab:
    """Open the speed lab beside the run that comes with the course.

    Args:
        source: A `CausalLM`, which a button on the page measures here; or a `SpeedTrace` that was measured here.
        here: With a `CausalLM`: what `record_speed` measured before.
        recorded: What is drawn beside it; None: `recorded_speed()`.
        settings: As `SpeedLab` takes them.

    Raises:
        ValueError: As `SpeedLab`.

    Lesson: 14 · Speed and memory in practice

    >>> from course_utils.models import load_causal_lm
    >>> speed_lab(load_causal_lm(), prompt=16).can_run
    True
    """
    recorded = recorded_speed() if recorded is None else recorded
    if isinstance(source, SpeedTrace):
        return SpeedLab(source, recorded, **settings)

    def measure(prompt: int, new_tokens: int, batch: int, threads: int, dtype: str, progress: Progress) -> SpeedTrace:
        return record_speed(source, [prompt], new_tokens, [batch], threads, [dtype], REPEATS, progress)

    return SpeedLab(here, recorded, measure, **settings)


def chosen_groups(trace: SpeedTrace, curve: str, prompt: int, batch: int, threads: int, dtype: str) -> list[list[int]]:
    """Return the rows of `trace` to draw, one list per curve, by x: in this format, with the nearest threads.

    The first curve has the nearest batch (or prompt, for the throughput) that was measured at more than one x. What was
    measured with just the batch that is set is a curve, too. "Nearest" is by ratio; of two, the smaller one.
    """
    rows = [row for row in range(len(trace)) if trace.dtypes[row] == dtype]
    near = nearest([int(trace.threads[row]) for row in rows], threads)
    rows = [row for row in rows if trace.threads[row] == near]
    fixed, wanted, x = trace.batches, batch, trace.prompt_tokens
    if curve == "throughput":
        fixed, wanted, x = trace.prompt_tokens, prompt, trace.batches
    groups = {int(fixed[row]): [] for row in rows}
    for row in sorted(rows, key=lambda row: x[row]):
        groups[int(fixed[row])].append(row)
    curves = [value for value, group in groups.items() if len(group) > 1] or list(groups)
    drawn = dict.fromkeys([nearest(curves, wanted), wanted])
    return [groups[value] for value in drawn if value in groups]


def nearest(values: list[int], wanted: int) -> int | None:
    """Return the value with the smallest ratio to `wanted`, None of none.

    >>> nearest([1, 2, 8], 4)
    2
    """
    return min(values, key=lambda value: (max(value / wanted, wanted / value), value), default=None)


def machine_state(name: str, trace: SpeedTrace) -> dict:
    """Return what the page needs of a trace: its machine, its model's numbers, its points."""
    points = [
        {
            **dict(zip(("prompt", "batch", "threads", "dtype"), trace.key(row), strict=True)),
            "flops": float(trace.flops[row]),
            "bandwidth": float(trace.bandwidths[row]),
            **{what: trace.runs(row)[what].round(6).tolist() for what in ("ttft", "tpot")},
        }
        for row in range(len(trace))
    ]
    shape = {key: value for key, value in asdict(trace.model_shape).items() if key not in ("name", "source")}
    return {"name": name, "processor": trace.where.processor, "shape": shape, "points": points}
