"""The repetition lab: penalties, lengths and stop strings on a real greedy text, step by step."""

import time
from collections.abc import Callable

import numpy as np
import traitlets

from course_utils.engine.arguments import check_whole, plain
from course_utils.figures.base import CourseFigure, png_bytes, quoted
from course_utils.figures.repetition import repetition_steps
from course_utils.models import CausalLM
from course_utils.models.doorway import takes
from course_utils.traces.repetition import PENALTIES_OFF, PenaltyFunction, RepetitionTrace, record_repetition
from course_utils.widgets.base import AskingWidget, page_module, page_style

# On the page, so that an answer takes seconds; Python may ask for more.
MOST_NEW_TOKENS = 200
MOST_PROMPT_TOKENS = 1024
# What a run calls the settings that may come under another name, too.
USUAL_NAMES = {
    "no_repeat_ngram_size": "no_repeat_ngram",
    "stop": "stop_strings",
    "max_length": "max_new_tokens",
    "min_length": "min_new_tokens",
}
MOST_ROWS = 64  # tokens that are sent to the page, the most changed first
MOST_PNG_BYTES = 40_000  # in a stored notebook
BANNED = -32768  # −∞ in the 16-bit numbers of the page
WHY = {
    "eos": "Stopped: the model chose the end-of-sequence token (probability {probability:.2f}) as token {count}.",
    "stop_string": "Stopped: the stop string {stop} is complete after {count} tokens; it is not shown.",
    "max_new_tokens": "Stopped: max_new_tokens is reached ({count} tokens); the model had not finished.",
    "context_length": "Stopped: the context length is reached after {count} tokens.",
}


class RepetitionLab(AskingWidget):
    """Step through a generation: logit changes of the penalised tokens, EOS, what is held back, why it ended.

    Moving the step only reads what was recorded. A new setting runs the model.

    Args:
        trace: The recorded run; `record_repetition` makes one.
        run: Records another one, `run(prompt, progress=function, **settings)`; without it, the settings can't be
            changed.

    Raises:
        ValueError: A setting is out of its range; the widget keeps its last good state.

    Lesson: 12 · Repetition, length and stopping

    >>> row, table = np.zeros(1, np.float32), np.zeros((1, 1), np.float32)
    >>> trace = RepetitionTrace("toy", "a", ("a",), ("b",), np.array([1]), (), ("a",), np.array([0]), table, table, row,
    ...     row, row, ("b",), ("",), "eos")
    >>> RepetitionLab(trace).step
    0
    """

    _esm = page_module("repetition_lab")
    _css = page_style("repetition_lab")

    prompt = traitlets.Unicode().tag(sync=True)
    settings = traitlets.Dict().tag(sync=True)
    tokens = traitlets.List(traitlets.Unicode()).tag(sync=True)
    ids = traitlets.List(traitlets.Int()).tag(sync=True)
    rows = traitlets.List().tag(sync=True)  # (token, id), the most changed first
    held = traitlets.Int().tag(sync=True)  # of how many tokens these are the most changed
    _logits = traitlets.Bytes().tag(sync=True)  # int16 (2, step, row): before and after, in hundredths
    _chances = traitlets.Bytes().tag(sync=True)  # float32 (3, step): of the chosen token, of EOS before and after
    text = traitlets.Unicode().tag(sync=True)  # what a reader sees at the end
    shown = traitlets.List(traitlets.Int()).tag(sync=True)  # characters of it that are there after each step
    withheld = traitlets.List(traitlets.Unicode()).tag(sync=True)
    why = traitlets.Unicode().tag(sync=True)
    differs = traitlets.Unicode().tag(sync=True)
    step = traitlets.Int(0).tag(sync=True)
    run_length = traitlets.Int(4).tag(sync=True)
    model_milliseconds = traitlets.Float(0).tag(sync=True)

    @takes(trace=RepetitionTrace)
    def __init__(self, trace: RepetitionTrace, run: Callable[..., RepetitionTrace] | None = None) -> None:
        super().__init__(can_run=run is not None)
        self._run = run
        self._show(trace)

    @traitlets.validate("step", "run_length")
    def _check_setting(self, proposal: dict) -> int:
        name, value = proposal["trait"].name, proposal["value"]
        if name == "run_length":
            check_whole(name, value, 1)
        elif not 0 <= value < len(self.tokens):
            raise ValueError(f"step must be in 0 … {len(self.tokens) - 1}, got {value}")
        return value

    def ask(self, prompt: str | None = None, **changes: object) -> None:
        """Run the model again with another prompt or other settings; the rest stays.

        Raises:
            TypeError: There is no such setting.
            ValueError: A setting is out of its range, or there is nothing to run.
        """
        if self._run is None:
            raise ValueError("run must be given to change a setting, got None")
        # What is changed by another name takes the place of what there is.
        replaced = {USUAL_NAMES[name] for name in changes.keys() & USUAL_NAMES.keys()}
        wanted = {name: value for name, value in self.trace.settings if name not in replaced} | changes
        start = time.perf_counter()
        longest = plain(wanted.get("max_new_tokens"))
        if isinstance(longest, int) and longest > MOST_NEW_TOKENS:
            raise ValueError(f"max_new_tokens must be at most {MOST_NEW_TOKENS} in this lab, got {longest}")
        trace = self._run(self.prompt if prompt is None else prompt, progress=self._tell_step, **wanted)
        self._show(trace, (time.perf_counter() - start) * 1000)

    def answer(self, prompt: str, settings: dict) -> None:
        """Run the model with what is in the boxes."""
        self.ask(prompt, **settings)

    def _tell_step(self, step: int, most: int) -> None:
        self.tell(f"token {step} of at most {most}" if step > 1 else "reading the prompt")

    def _show(self, trace: RepetitionTrace, milliseconds: float = 0) -> None:
        self.trace = trace
        chosen = ranked(trace)[:MOST_ROWS]
        labels = [trace.held_tokens[row] for row in chosen]
        with self.hold_sync():
            self.prompt, self.settings = trace.prompt, dict(trace.settings)
            self.tokens, self.ids = list(trace.new_tokens), trace.ids.tolist()
            self.rows = [list(row) for row in zip(labels, trace.held_ids[chosen].tolist(), strict=True)]
            self.held = len(trace.held_tokens)
            self._logits = packed(trace.before[:, chosen]) + packed(trace.after[:, chosen])
            self._chances = np.stack([trace.probability, trace.eos_before, trace.eos_after]).astype("<f4").tobytes()
            self.text, self.shown = trace.shown[-1], [len(text) for text in trace.shown]
            self.withheld, self.why, self.differs = list(trace.withheld), why_it_ended(trace), trace.differs
            self.model_milliseconds, self.step = milliseconds, len(trace.ids) - 1

    def describe(self) -> str:
        """Say in words what the settings did, and why the text ended."""
        trace, settings = self.trace, dict(self.trace.settings)
        on = [f"{name} {settings[name]:g}" for name, off in PENALTIES_OFF.items() if settings.get(name, off) != off]
        lines = [
            f"Repetition lab: {', '.join(on) or 'no penalty'} after {quoted(trace.prompt)} ({trace.model})",
            f"{len(trace.ids)} tokens: {quoted(trace.shown[-1])}",
            f"in a run of {self.run_length} tokens that came before: {trace.repeated(self.run_length).sum()} tokens",
        ]
        if on:
            lines.append("changed most, in the last step: " + "; ".join(map(self._change, ranked(trace)[:5])))
        lines.append(why_it_ended(trace))
        return "\n".join(lines + [trace.differs] * bool(trace.differs))

    def _change(self, row: int) -> str:
        trace = self.trace
        before, after = trace.before[-1, row], trace.after[-1, row]
        written = "banned" if np.isneginf(after) else "as it was" if before == after else f"{after - before:+.2f}"
        return f"{quoted(trace.held_tokens[row])} {written.replace('-', '−')}"

    def figure(self) -> CourseFigure:
        """Draw all steps."""
        trace, chosen = self.trace, ranked(self.trace)[:10]
        written = np.stack([trace.ids == trace.held_ids[row] for row in chosen], axis=1)
        return repetition_steps(
            trace.changes[:, chosen], [trace.held_tokens[row] for row in chosen], written,
            np.stack([trace.probability, trace.eos_before, trace.eos_after]), why_it_ended(trace),
        )  # fmt: skip

    def static_bundle(self) -> tuple[dict, dict]:
        """Return the picture with its alt text; a long text that changes at every step gets fewer dots."""
        data, metadata = super().static_bundle()
        if len(data["image/png"]) > MOST_PNG_BYTES:
            data["image/png"] = png_bytes(self.figure(), dots_per_inch=70)
        return data, metadata


def ranked(trace: RepetitionTrace) -> np.ndarray:
    """Return the columns of `trace.before`: the most changed token first, then the most frequent."""
    total = np.abs(np.clip(trace.changes, -100, 100)).sum(0)
    counts = (trace.ids[:, None] == trace.held_ids).sum(0)
    return np.lexsort((np.arange(len(counts)), -counts, -total.round(3)))


def packed(logits: np.ndarray) -> bytes:
    """Write logits in hundredths as 16-bit numbers; NaN (not in the text yet) becomes 32767."""
    hundredths = np.clip(np.round(logits * 100), BANNED, 32766)
    return np.nan_to_num(hundredths, nan=32767).astype("<i2").tobytes()


def why_it_ended(trace: RepetitionTrace) -> str:
    """Say in a sentence why the text ended."""
    settings = dict(trace.settings)
    cut = next((stop for stop in settings.get("stop_strings", ()) if trace.withheld[-1].startswith(stop)), "")
    return WHY[trace.reason].format(
        stop=quoted(cut.replace("\n", "⏎")), count=len(trace.ids), probability=float(trace.eos_after[-1])
    )


@takes(model=CausalLM)
def repetition_lab(
    model: CausalLM, prompt: str, own: dict[str, PenaltyFunction] | None = None, **settings: object
) -> RepetitionLab:
    """Open the lab on `prompt`; prompt and settings can then be changed on the page.

    Args:
        model: A causal LM, as `load_causal_lm` returns it.
        prompt: What it reads.
        own: The learner's functions `(logits, ids, setting)` by the name of the penalty that they replace; the lab
            says where they differ from the library's.
        settings: As `record_repetition`.

    Lesson: 12 · Repetition, length and stopping

    >>> from course_utils.models import load_causal_lm
    >>> repetition_lab(load_causal_lm(), "I like to eat", stop_strings=["burger"]).why
    'Stopped: the stop string “burger” is complete after 3 tokens; it is not shown.'
    """
    trace = record_repetition(model, prompt, own=own, **settings)
    most = max(MOST_PROMPT_TOKENS, len(trace.prompt_tokens))

    def run(other: str, **changed: object) -> RepetitionTrace:
        tokens = model.encode(other).shape[1]
        if tokens > most:
            raise ValueError(f"prompt must have at most {most:,} tokens in this lab, got {tokens:,}")
        return record_repetition(model, other, own=own, **changed)

    return RepetitionLab(trace, run)
