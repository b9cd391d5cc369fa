"""The prefill/decode stepper: one generation, step by step, with the KV cache that fills up and what it saves."""

from collections.abc import Callable
from typing import ClassVar

import numpy as np
import traitlets

from course_utils.figures.base import CourseFigure, quoted
from course_utils.figures.prefill_decode import cache_steps
from course_utils.models import CausalLM
from course_utils.models.doorway import takes
from course_utils.traces.cache import CacheTrace, record_cache
from course_utils.widgets.base import AskingWidget, page_module, page_style

MOST_ROWS = 24  # of the table, in words
REASONS = {
    "eos": "the model chose its end-of-sequence token",
    "max_new_tokens": "as many tokens as were asked for",
    "context_length": "the context length is full",
    "stop_string": "a stop string came",
}


class CacheStepper(AskingWidget):
    """Step through one generation, and see what is read, what is kept, what it weighs and how long it takes.

    A column is a token, a row is one KV head of one layer. Both ways of running are recorded, so switching the
    cache off shows the other run and calls no model.

    Args:
        trace: The recorded run; `record_cache` makes one.
        run: Records another prompt with this many new tokens; without it, the text box is not there.
        step: Which step to show; None shows the last. Step 0 is prefill.
        use_cache: Which of the two runs to show.
        key_lengths: Whether the cells show how long each key in the cache is.

    Raises:
        ValueError: `step` is not one of the run; the widget keeps its last good state.

    Lesson: 10 · Prefill and decode

    >>> names = ("milliseconds", "milliseconds_without", "cache_tokens", "cache_bytes", "differences", "same_choice")
    >>> step = {name: np.ones(1) for name in names}
    >>> toy = CacheTrace("toy", "a", ("a",), ("b",), **step, key_lengths=np.ones((2, 1, 1)), head_dim=4, reason="eos")
    >>> CacheStepper(toy).step
    0
    """

    _esm = page_module("cache_stepper")
    _css = page_style("cache_stepper")

    step = traitlets.Int(0).tag(sync=True)
    use_cache = traitlets.Bool(True).tag(sync=True)
    key_lengths = traitlets.Bool(False).tag(sync=True)
    recorded = traitlets.Dict().tag(sync=True)
    _keys = traitlets.Bytes().tag(sync=True)  # uint8 (layer, KV head, position): length of the key, 255 is the longest
    called: ClassVar[dict[str, str]] = {"max_new_tokens": "new tokens"}

    @takes(trace=CacheTrace)
    def __init__(
        self,
        trace: CacheTrace,
        run: Callable[[str, int], CacheTrace] | None = None,
        step: int | None = None,
        use_cache: bool = True,
        key_lengths: bool = False,
    ) -> None:
        super().__init__(can_run=run is not None, use_cache=use_cache, key_lengths=key_lengths)
        self._run = run
        self._show(trace, step)

    @traitlets.validate("step")
    def _check_step(self, proposal: dict) -> int:
        last = len(self.trace.new_tokens) - 1
        if not 0 <= proposal["value"] <= last:
            raise ValueError(f"step must be in 0 … {last}, got {proposal['value']}")
        return proposal["value"]

    def _show(self, trace: CacheTrace, step: int | None = None) -> None:
        last = len(trace.new_tokens) - 1
        recorded = {
            "model": trace.model,
            "prompt": trace.prompt,
            "promptTokens": list(trace.prompt_tokens),
            "newTokens": list(trace.new_tokens),
            "with": trace.milliseconds.round(2).tolist(),
            "without": trace.milliseconds_without.round(2).tolist(),
            "bytes": trace.cache_bytes.tolist(),
            "difference": float(trace.differences.max()),
            "same": bool(trace.same_choice.all()),
            "shape": [trace.layers, trace.key_value_heads, trace.head_dim],
            "ended": REASONS[trace.reason],
        }
        keys = np.round(shares(trace.key_lengths) * 255).astype(np.uint8).tobytes()
        self.trace = trace  # all that can fail has succeeded
        self.step = last if step is None else step
        self.recorded, self._keys = recorded, keys

    def answer(self, prompt: str, new_tokens: int) -> None:
        """Run another prompt."""
        self._show(self._run(prompt, new_tokens))

    def describe(self) -> str:
        """Say in words what was read, kept and chosen in every step. Times are not in it: they differ every time."""
        trace, step = self.trace, self.step
        reads = {cached: trace.tokens_read(cached) for cached in (True, False)}
        kept = int(trace.cache_tokens[step]) - reads[True][step] if self.use_cache else 0
        lines = [
            f"Prefill/decode stepper: {quoted(trace.prompt)} ({trace.model})".replace("\n", "⏎"),
            f"{len(trace.prompt_tokens)} prompt tokens, {len(trace.new_tokens)} new; end: {REASONS[trace.reason]}",
            f"cache: {bytes_in_words(trace)}",
            f"now: step {step}, {'decode' if step else 'prefill'}, KV cache {'on' if self.use_cache else 'off'}: "
            f"reads {reads[self.use_cache][step]}, has {kept} in the cache, chooses {quoted(trace.new_tokens[step])}",
            "step  phase    reads  without cache  cache bytes  chooses",
        ]
        for row, token in enumerate(trace.new_tokens[:MOST_ROWS]):
            counts = f"{reads[True][row]:7,}{reads[False][row]:15,}{trace.cache_bytes[row]:13,.0f}"
            lines.append(f"{row:4}  {'decode ' if row else 'prefill'}{counts}  {token}")
        if len(trace.new_tokens) > MOST_ROWS:
            lines.append(f"   … {len(trace.new_tokens) - MOST_ROWS} more steps")
        lines.append(f"tokens read in all: {sum(reads[True]):,} with the cache, {sum(reads[False]):,} without")
        return "\n".join([*lines, proof(trace)])

    def figure(self) -> CourseFigure:
        """Draw the cache at this step, and the time of every step both ways."""
        trace = self.trace
        return cache_steps(
            trace.prompt_tokens,
            trace.new_tokens,
            shares(trace.key_lengths),
            (trace.milliseconds, trace.milliseconds_without),
            self.step,
            self.use_cache,
            self.key_lengths,
        )


@takes(model=CausalLM)
def cache_stepper(model: CausalLM, prompt: str, max_new_tokens: int | None = None, **settings: object) -> CacheStepper:
    """Run `prompt` with a cache and without, and open the run; the prompt can then be changed on the page.

    Args:
        model: A `CausalLM`, as `load_causal_lm` returns it.
        prompt: What it reads.
        max_new_tokens: The most tokens to generate; None: 20.
        settings: `step`, `use_cache` and `key_lengths` as `CacheStepper` takes them, the others as `record_cache`.

    Raises:
        TypeError, ValueError: As `record_cache`.

    Lesson: 10 · Prefill and decode

    >>> from course_utils.models import load_causal_lm
    >>> cache_stepper(load_causal_lm(), "The capital of France is", max_new_tokens=2).trace.new_tokens
    ('␣Paris', '.')
    """
    state = {name: settings.pop(name) for name in ("step", "use_cache", "key_lengths") if name in settings}

    def run(other: str, new_tokens: int) -> CacheTrace:
        return record_cache(model, other, new_tokens, **settings)

    return CacheStepper(run(prompt, max_new_tokens), run, **state)


def shares(key_lengths: np.ndarray) -> np.ndarray:
    """Return each key's length as a share of the longest of its head, `(layer, key_value_head, position)`.

    >>> shares(np.array([[[1.0, 2.0]]])).tolist()
    [[[0.5, 1.0]]]
    """
    return key_lengths / np.maximum(key_lengths.max(-1, keepdims=True), 1e-9)


def bytes_in_words(trace: CacheTrace) -> str:
    """Write the bytes of one token in the cache as a product; the bytes are those of the cache object."""
    size = trace.cache_bytes[-1] / trace.cache_tokens[-1]
    numbers = 2 * trace.layers * trace.key_value_heads * trace.head_dim
    return (
        f"2 (keys, values) × {trace.layers} layers × {trace.key_value_heads} KV heads × {trace.head_dim} numbers "
        f"× {size / numbers:g} bytes = {size:,.0f} bytes per token"
    )


def proof(trace: CacheTrace) -> str:
    """Say whether both ways agree, so roughly that every machine says the same."""
    same = "the same token" if trace.same_choice.all() else "not always the same token"
    most = trace.differences.max()
    by = "less than 0.001" if most < 0.001 else f"up to {most:.3f}"
    return f"proof: both ways choose {same}, and their logits differ by {by}"
