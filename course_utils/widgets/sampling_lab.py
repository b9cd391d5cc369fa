"""The sampling lab: what temperature, top-k, top-p and min-p do to one real next-token distribution."""

import gzip
from functools import cached_property

import numpy as np
import torch
import traitlets

from course_utils.figures.base import CourseFigure
from course_utils.figures.sampling import sampling_stages
from course_utils.inference import sampling
from course_utils.inference.checks import check_whole
from course_utils.traces import NextTokenTrace
from course_utils.widgets.base import CourseWidget, page_module, page_style

MOST_DRAWS = 1000


class SamplingLab(CourseWidget):
    """Move the filters of sampling over the full vocabulary of one recorded run.

    Each filter gets a column, in the order of `order`: probabilities, tokens kept, entropy. A removed token is
    struck out in the column of the filter that removed it. Moving a control does not call the model, and not
    even the kernel: the page has all logits.

    Args:
        trace: The recorded run; `record_next_token` makes one.
        temperature: At least 0; 1 changes nothing, 0 keeps the best token only.
        top_k: At least 1; None switches the filter off.
        top_p: In (0, 1]; 1 switches the filter off.
        min_p: In [0, 1]; 0 switches the filter off.
        order: The four filters' names in their order of application.
        seed: Seed of the draws.
        draws: How many tokens to draw, 0 to 1,000.

    Raises:
        ValueError: A setting is out of its range; the widget keeps its last good state.

    Lesson: 11 · Sampling

    >>> toy = NextTokenTrace("toy", "a", ("a",), np.array([2, 1, 0], np.float32), ("x", "y", "z"))
    >>> print(SamplingLab(toy, top_k=2))
    Sampling lab: what comes after “a” (toy, 3 tokens)
    start              3 kept  entropy 1.20 bits
    temperature 1      3 kept  entropy 1.20 bits
    top_k 2            2 kept  entropy 0.84 bits
    top_p off          2 kept  entropy 0.84 bits
    min_p off          2 kept  entropy 0.84 bits
    most likely now: x 0.731, y 0.269
    """

    _esm = page_module("sampling_lab")
    _css = page_style("sampling_lab")

    temperature = traitlets.Float(1.0).tag(sync=True)
    top_k = traitlets.Int(None, allow_none=True).tag(sync=True)
    top_p = traitlets.Float(1.0).tag(sync=True)
    min_p = traitlets.Float(0.0).tag(sync=True)
    order = traitlets.List(traitlets.Unicode(), list(sampling.FILTERS)).tag(sync=True)
    seed = traitlets.Int(0).tag(sync=True)
    draws = traitlets.Int(0).tag(sync=True)

    prompt_tokens = traitlets.List(traitlets.Unicode()).tag(sync=True)
    _logits = traitlets.Bytes().tag(sync=True)  # float32, in the order of the vocabulary
    _labels = traitlets.Bytes().tag(sync=True)  # gzip of the labels, one a line
    _uniforms = traitlets.Bytes().tag(sync=True)  # float64, one number a draw

    def __init__(self, trace: NextTokenTrace, **settings: object) -> None:
        self.trace = trace
        # The moment of compression would be stored too, and no two states would be equal.
        labels = gzip.compress("\n".join(trace.labels).encode(), mtime=0)
        super().__init__(
            prompt_tokens=list(trace.prompt_tokens),
            _logits=trace.logits.astype("<f4").tobytes(),
            _labels=labels,
            _uniforms=_uniform_bytes(0),
            **settings,
        )

    @traitlets.validate("temperature", "top_p", "min_p", "top_k", "seed", "draws", "order")
    def _check_setting(self, proposal: dict) -> object:
        name, value = proposal["trait"].name, proposal["value"]
        if name == "order":
            if sorted(value) != sorted(sampling.FILTERS):
                raise ValueError(f"order must name each of {list(sampling.FILTERS)} once, got {value}")
        elif name == "draws":
            if not 0 <= value <= MOST_DRAWS:
                raise ValueError(f"draws must be in 0 … {MOST_DRAWS}, got {value}")
        elif name == "seed":
            check_whole("seed", value, 0)
        elif value is not None:
            sampling.check_filter(name, value)
        return value

    @traitlets.observe("seed")
    def _send_uniforms(self, change: dict) -> None:
        self._uniforms = _uniform_bytes(change["new"])

    @cached_property
    def _start(self) -> torch.Tensor:
        return torch.from_numpy(self.trace.logits)

    def filters(self) -> list[tuple[str, float]]:
        """Return the settings as `filter_stages` takes them, filters that are off left out."""
        off = {"top_k": None, "top_p": 1.0, "min_p": 0.0}
        return [(name, getattr(self, name)) for name in self.order if getattr(self, name) != off.get(name, "")]

    def stages(self) -> list[tuple[str, torch.Tensor]]:
        """Return title and logits `(vocab,)` of the start and of all four filters, in their order."""
        stages = [("start", self._start)]
        switched_on = dict(self.filters())
        for name in self.order:
            title = f"{name} {switched_on[name]:g}" if name in switched_on else f"{name} off"
            step = [(name, switched_on[name])] if name in switched_on else []
            stages.append((title, sampling.filter_stages(stages[-1][1], step)[-1]))
        return stages

    def probabilities(self) -> torch.Tensor:
        """Return the probabilities after the last filter, `(vocab,)`."""
        return self.stages()[-1][1].softmax(-1)

    def drawn(self) -> np.ndarray:
        """Return how often each token was drawn, `(vocab,)`."""
        vocabulary = len(self.trace.labels)
        if not self.draws:
            return np.zeros(vocabulary, dtype=int)
        tokens = sampling.draw(self.probabilities(), MOST_DRAWS, self.seed)[: self.draws]
        return tokens.bincount(minlength=vocabulary).numpy()

    def describe(self) -> str:
        """Say in words what the columns show."""
        lines = [
            f"Sampling lab: what comes after “{self.trace.prompt}” "
            f"({self.trace.model}, {len(self.trace.labels):,} tokens)"
        ]
        for title, logits in self.stages():
            kept = int(logits.isfinite().sum())
            lines.append(f"{title:16}{kept:>8,} kept  entropy {abs(sampling.entropy_bits(logits).item()):.2f} bits")
        best = self.probabilities().topk(min(5, len(self.trace.labels)))
        ranking = zip(best.values.tolist(), best.indices.tolist(), strict=True)
        named = [f"{self.trace.labels[token]} {value:.3f}" for value, token in ranking if value]
        lines.append("most likely now: " + ", ".join(named))
        if self.draws:
            drawn = self.drawn()
            often = [token for token in np.argsort(-drawn, kind="stable")[:5] if drawn[token]]
            shares = ", ".join(f"{self.trace.labels[token]} {drawn[token]:,}" for token in often)
            lines.append(f"{self.draws:,} draws with seed {self.seed}: {shares}")
        return "\n".join(lines)

    def figure(self) -> CourseFigure:
        """Draw the columns."""
        stages = [(title, logits.softmax(-1).numpy()) for title, logits in self.stages()]
        return sampling_stages(stages, self.trace.labels, drawn=self.drawn())


def _uniform_bytes(seed: int) -> bytes:
    return sampling.uniform_numbers(MOST_DRAWS, seed).numpy().astype("<f8").tobytes()
