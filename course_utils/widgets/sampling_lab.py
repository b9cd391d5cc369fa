"""The sampling lab: what temperature, top-k, top-p and min-p do to one real next-token distribution."""

import gzip
from collections.abc import Callable, Mapping

import numpy as np
import torch
import traitlets

from course_utils.engine import sampling
from course_utils.engine.arguments import check_whole
from course_utils.engine.own_filter import Filter, FilterComparison, compare_filter
from course_utils.figures.base import CourseFigure, quoted
from course_utils.figures.sampling import sampling_stages
from course_utils.models import CausalLM
from course_utils.models.doorway import takes
from course_utils.traces import NextTokenTrace, record_next_token
from course_utils.widgets.base import AskingWidget, page_module, page_style
from course_utils.widgets.sampling_rows import seen_of_stage

MOST_DRAWS = 1000
SETTINGS = (*sampling.FILTERS, "order", "seed", "draws", "_first")
OFF = {"top_k": None, "top_p": 1.0, "min_p": 0.0}


class SamplingLab(AskingWidget):
    """Move the filters of sampling over the full vocabulary of one recorded run.

    Each filter gets a column, in the order of `order`: probabilities, tokens kept, entropy. A removed token is
    struck out in the column of the filter that removed it. Moving a control does not call the model, and not
    even the kernel: the page has all logits.

    With functions of the learner's own, the kernel runs them at every move, and the page shows what they return. If
    one is stopped, the settings go back to what the page shows. A line above the picture says at which token each
    differs from the library's filter, and ≠ marks these tokens. A function that fails is named in such a line, and its
    column shows the library's filter.

    Args:
        trace: The recorded run; `record_next_token` makes one.
        own: Functions of the learner's own by the filter they replace, as `{"top_p": my_top_p}`. Each takes
            logits `(vocab,)` and the setting, and returns logits `(vocab,)`. It is not called while its filter is
            off.
        run: Records what comes after another prompt, or after this one and the token with an id; without it, the
            box for a prompt is not there.
        temperature: At least 0; 1 changes nothing, 0 keeps the best token only.
        top_k: At least 1; None switches the filter off.
        top_p: In (0, 1]; 1 switches the filter off.
        min_p: In [0, 1]; 0 switches the filter off.
        order: The four filters' names in their order of application.
        seed: Seed of the draws.
        draws: How many tokens to draw, 0 to 1,000.

    Raises:
        ValueError: A setting is out of its range (the widget keeps its last good state), or `own` has a key that is
            no filter's name.
        TypeError: `own` does not hold functions by name.

    Lesson: 11 · Sampling

    >>> toy = NextTokenTrace("toy", "a", ("a",), np.array([2, 1, 0], np.float32), ("x", "y", "z"))
    >>> print(SamplingLab(toy, top_k=2))
    Sampling lab: what comes after “a” (toy, 3 tokens)
    start              3 kept  entropy 1.20 bits
    temperature 1      3 kept  entropy 1.20 bits
    top_k 2            2 kept  entropy 0.84 bits
    top_p off          2 kept  entropy 0.84 bits
    min_p off          2 kept  entropy 0.84 bits
    most likely now: “x” 0.731, “y” 0.269
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

    _first = traitlets.Int(0).tag(sync=True)  # rank of the first token on the page, from 0
    # What the page shows when the kernel runs the filters; None: the page runs them.
    _answer = traitlets.Dict(default_value=None, allow_none=True).tag(sync=True)

    prompt = traitlets.Unicode().tag(sync=True)  # "": there's no box for another one
    prompt_tokens = traitlets.List(traitlets.Unicode()).tag(sync=True)
    _logits = traitlets.Bytes().tag(sync=True)  # float32, in the order of the vocabulary
    _labels = traitlets.Bytes().tag(sync=True)  # gzip of the labels, one per line

    @takes(trace=NextTokenTrace)
    def __init__(
        self,
        trace: NextTokenTrace,
        own: Mapping[str, Filter] | None = None,
        run: Callable[[str, int | None], NextTokenTrace] | None = None,
        **settings: object,
    ) -> None:
        self.own, self._read = checked_own(own or {}), run
        self._take(trace)
        self._is_from_page = False
        self._appended = 0
        # The moment of compression would be stored too, and no two states would be equal.
        labels = gzip.compress("\n".join(trace.labels).encode(), mtime=0)
        super().__init__(
            _labels=labels,
            can_run=True,
            **self._page_state(),
            **settings,
        )
        if self.own:
            self._send_answer()
            self.observe(self._follow, SETTINGS)

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

    def _take(self, trace: NextTokenTrace) -> None:
        self.trace, self._start = trace, torch.from_numpy(trace.logits)
        self._ranking = self._start.argsort(descending=True, stable=True)  # as the page ranks the tokens
        self._ranks = self._ranking.argsort()  # of every token, from 0
        self._run: tuple | None = None  # the settings of the last run, its stages and its comparisons

    def _page_state(self) -> dict:
        return {
            "prompt": self.trace.prompt if self._read else "",
            "prompt_tokens": list(self.trace.prompt_tokens),
            "_logits": self.trace.logits.astype("<f4").tobytes(),
        }

    def filters(self) -> list[tuple[str, float]]:
        """Return the settings as `filter_stages` takes them, filters that are off left out."""
        return [(name, getattr(self, name)) for name in self.order if getattr(self, name) != OFF.get(name, "")]

    def stages(self) -> list[tuple[str, torch.Tensor]]:
        """Return title and logits `(vocab,)` of the start and of all four filters, in their order."""
        return self._run_filters()[0]

    def comparisons(self) -> list[FilterComparison]:
        """Return what each of the learner's own functions did, in their order; those that are off are left out."""
        return self._run_filters()[1]

    def _run_filters(self) -> tuple[list[tuple[str, torch.Tensor]], list[FilterComparison]]:
        """Run all filters, once for the same settings: a learner's function may take its time."""
        switched_on = dict(self.filters())
        settings = tuple((name, switched_on.get(name)) for name in self.order)
        if self._run is None or self._run[0] != settings:
            stages, comparisons = [("start", self._start)], []
            for name, setting in settings:
                title, logits = f"{name} off", stages[-1][1]
                if name in switched_on and name in self.own:
                    comparisons.append(compare_filter(name, self.own[name], logits, setting))
                    title, logits = f"{name} {setting:g} (yours)", comparisons[-1].logits
                elif name in switched_on:
                    title, logits = f"{name} {setting:g}", sampling.FILTERS[name](logits, setting)
                stages.append((title, logits))
            self._run = settings, stages, comparisons
        return self._run[1:]

    def said(self) -> list[str]:
        """Return one line for each of the learner's own functions: where it differs from the library's filter."""
        ran = {run.name: run.sentence(self.trace.labels, self._ranks + 1) for run in self.comparisons()}
        return [ran.get(name, f"– your {name} is off.") for name in self.order if name in self.own]

    def set_state(self, sync_data: dict) -> None:
        """Take what the page sends. What it has set is computed when it asks, where an interrupt becomes a sentence."""
        self._is_from_page = True
        try:
            super().set_state(sync_data)
        finally:
            self._is_from_page = False

    def answer(self, action: str = "", prompt: str = "") -> None:
        """Do what the page asks for.

        Args:
            action: "run" reads another prompt, "append" draws a token and reads the prompt with it; "" runs the
                learner's functions with the page's settings.
            prompt: The other prompt.

        Raises:
            ValueError: There's no such action.
        """
        if action not in ("", "run", "append"):
            raise ValueError(f"action must be run or append, got {action!r}")
        before, number = self.trace, self._appended
        try:
            if action == "run":
                self._take(self._read(prompt, None))
                number = 0
            elif action == "append":
                # One number of the seed after the other, as if the text were drawn in one go.
                token = int(sampling.draw(self.probabilities(), number % MOST_DRAWS + 1, self.seed)[-1])
                self._take(self._read(self.trace.prompt, token))
                number += 1
            if self.own:
                self._send_answer()
        except BaseException:  # an interrupt, too
            self._take(before)
            if self.own:
                for name, value in self._shown.items():
                    setattr(self, name, value)
            raise
        if self.trace is not before:
            self._appended = number
            self.set_all(self._page_state())

    def _follow(self, change: dict) -> None:
        if not self._is_from_page:
            self._send_answer()

    def _send_answer(self) -> None:
        differing = {run.name: run.differing for run in self.comparisons()}
        stages = []
        for name, (_, logits) in zip(["start", *self.order], self.stages(), strict=True):
            seen = seen_of_stage(logits, self._ranking, self._ranks, self._first, differing.get(name, ()))
            stages.append({"name": name, "value": getattr(self, name, None), "own": name in self.own, **seen})
        drawn = self.drawn()
        counts = [[int(self._ranks[token]), int(drawn[token])] for token in drawn.nonzero()[0]]
        self._answer = {"stages": stages, "counts": counts, "first": self._first, "said": self.said()}
        self._shown = {name: getattr(self, name) for name in SETTINGS}

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
            f"Sampling lab: what comes after {quoted(self.trace.prompt)} "
            f"({self.trace.model}, {len(self.trace.labels):,} tokens)"
        ]
        width = 25 if self.own else 16
        for title, logits in self.stages():
            kept = int(logits.isfinite().sum())
            lines.append(
                f"{title:{width}}{kept:>8,} kept  entropy {abs(sampling.entropy_bits(logits).item()):.2f} bits"
            )
        lines += self.said()
        best = self.probabilities().topk(min(5, len(self.trace.labels)))
        ranking = zip(best.values.tolist(), best.indices.tolist(), strict=True)
        named = [f"{quoted(self.trace.labels[token])} {value:.3f}" for value, token in ranking if value]
        lines.append("most likely now: " + ", ".join(named))
        if self.draws:
            drawn = self.drawn()
            often = [token for token in np.argsort(-drawn, kind="stable")[:5] if drawn[token]]
            shares = ", ".join(f"{quoted(self.trace.labels[token])} {drawn[token]:,}" for token in often)
            lines.append(f"{self.draws:,} draws with seed {self.seed}: {shares}")
        return "\n".join(lines)

    def figure(self) -> CourseFigure:
        """Draw the columns."""
        stages = [(title, logits.softmax(-1).numpy()) for title, logits in self.stages()]
        return sampling_stages(stages, self.trace.labels, drawn=self.drawn())


def checked_own(own: Mapping[str, Filter]) -> dict[str, Filter]:
    """Return `own` as a dict; raise in one sentence unless it holds functions by the names of filters."""
    if not isinstance(own, Mapping):
        raise TypeError(f"own must hold functions by name, as {{'top_p': my_top_p}}, got {type(own).__name__}")
    for name, function in own.items():
        if name not in sampling.FILTERS:
            raise ValueError(f"own must name filters of {list(sampling.FILTERS)}, got {name!r}")
        if not callable(function):
            raise TypeError(f"own must hold functions, got {type(function).__name__} for {name!r}")
    return dict(own)


@takes(model=CausalLM)
def sampling_lab(
    model: CausalLM, prompt: str, own: Mapping[str, Filter] | None = None, **settings: object
) -> SamplingLab:
    """Open the sampling lab after a prompt; on the page, the prompt can be changed, and what is drawn be appended.

    Args:
        model: A `CausalLM`, as `load_causal_lm` returns it.
        prompt: What the model reads.
        own: As `SamplingLab` takes it.
        settings: As `SamplingLab` takes them.

    Raises:
        TypeError, ValueError: As `record_next_token` and `SamplingLab`.

    Lesson: 11 · Sampling

    >>> from course_utils.models import load_causal_lm
    >>> sampling_lab(load_causal_lm(), "The capital of France is", top_k=1).describe().splitlines()[-1]
    'most likely now: “␣Paris” 1.000'
    """

    def run(text: str, token: int | None = None) -> NextTokenTrace:
        if token is None:
            return record_next_token(model, text)
        drawn = model.tokenizer.decode([token])
        if "\N{REPLACEMENT CHARACTER}" in drawn:
            raise ValueError(f"{quoted(model.labels[token])} is only a part of a character: draw again")
        return record_next_token(model, text + drawn)

    return SamplingLab(run(prompt), own, run, **settings)
