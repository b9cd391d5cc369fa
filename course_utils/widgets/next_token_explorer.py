"""The next-token explorer: what comes next after one or two prompts, and what the model did not expect in them."""

import inspect
import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import traitlets

from course_utils.engine.arguments import check_number
from course_utils.figures.base import CourseFigure, quoted
from course_utils.figures.prompts import explored_prompts
from course_utils.models.doorway import takes
from course_utils.traces import NextTokenTrace
from course_utils.widgets.base import AskingWidget, page_module, page_style

MOST_BARS = 30
MOST_CHIPS = 200  # tokens of a prompt that the page shows
CHANGES = 8  # tokens that gained, and tokens that lost

Run = Callable[[str | Sequence[int]], NextTokenTrace]


class NextTokenExplorer(AskingWidget):
    """Read one or two prompts: the surprisal of every token, and the distribution of the next one.

    With two prompts it also shows the shift: which tokens gained from the first to the second, and which lost.
    A click on a bar appends its token, or puts the longer prompt beside the shorter one. A click on a token of the
    prompt puts the text before it beside the prompt: what else could have stood there?

    Args:
        traces: One or two recorded runs; `record_surprisals` makes them.
        run: Records a prompt, a text or token ids; without it, nothing can be typed or clicked. If it takes `progress`,
            it is given a function for it, and the page says how far it is.
        bars: How many tokens get a bar, 1 to 30.
        bits: Whether surprisal and entropy are shown; a first look goes without.

    Raises:
        ValueError: There are not one or two traces, their vocabularies differ, or `bars` is out of its range.

    Lesson: 00 · Start here; 09 · Context length and prompting

    >>> toy = NextTokenTrace("toy", "a", ("a",), np.array([2, 1, 0], np.float32), ("x", "y", "z"))
    >>> print(NextTokenExplorer([toy], bars=2))
    Next-token explorer (toy, 3 tokens)
    1: “a”
       surprisal in bits: not recorded
       next: “x” 66.5 %, “y” 24.5 %; the other 1 tokens share 9.0 %; entropy 1.20 bits
    """

    _esm = page_module("next_token_explorer")
    _css = page_style("next_token_explorer")

    sides = traitlets.List().tag(sync=True)  # one dict a prompt
    changes = traitlets.Dict().tag(sync=True)  # empty for one prompt
    bars = traitlets.Int(10).tag(sync=True)
    bits = traitlets.Bool(True).tag(sync=True)

    @takes(traces=Sequence)
    def __init__(
        self, traces: Sequence[NextTokenTrace], run: Run | None = None, bars: int = 10, bits: bool = True
    ) -> None:
        super().__init__(can_run=run is not None, bars=bars, bits=bits)
        self._run = run
        self._show(list(traces))

    @traitlets.validate("bars")
    def _check_bars(self, proposal: dict) -> int:
        check_number("bars", proposal["value"], f"in 1 … {MOST_BARS}", lambda value: 1 <= value <= MOST_BARS)
        return proposal["value"]

    def _show(self, traces: list[NextTokenTrace]) -> None:
        if len(traces) not in (1, 2):
            raise ValueError(f"traces must be one or two, got {len(traces)}")
        if len({len(trace.labels) for trace in traces}) > 1:
            raise ValueError("traces must have the same vocabulary, got two")
        sides, changes = [_side(trace) for trace in traces], _changes(*traces) if len(traces) == 2 else {}
        with self.hold_sync():
            self.traces, self.sides, self.changes = traces, sides, changes

    def answer(self, side: int, action: str, value: object) -> None:
        """Run another prompt.

        Args:
            side: The prompt that was changed: 0 or 1.
            action: "text" replaces it, "append" adds a token, "branch" puts the prompt with one more token beside it,
                "cut" its beginning; "second" adds a second prompt, and "close" removes it.
            value: The text, the token's id, or how many tokens of the prompt are kept.
        """
        self._show(self._after(side, action, value))

    def _read(self, prompt: str | list[int]) -> NextTokenTrace:
        run = self._run
        if "progress" in inspect.signature(run).parameters:
            run = partial(run, progress=partial(self._tell_tokens, time.monotonic()))
        return run(prompt)

    def _tell_tokens(self, start: float, done: int, tokens: int) -> None:
        left = (time.monotonic() - start) * (tokens - done) / done
        self.tell(f"{done:,} of {tokens:,} tokens, about {left:.0f} s more")

    def _after(self, side: int, action: str, value: object) -> list[NextTokenTrace]:
        """Return the traces after a press."""
        if action == "close":
            return self.traces[:1]
        if action == "second":
            return [self.traces[0], self._read(value)]
        trace = self.traces[side]
        ids = list(trace.prompt_ids)
        if action not in ("text", "append", "branch", "cut"):
            raise ValueError(f"action must be one of text, append, branch, cut, second and close, got {action!r}")
        if action != "text" and not ids:
            raise ValueError("prompt_ids must be recorded to continue a prompt: use record_surprisals")
        made = self._read(value if action == "text" else ids[:value] if action == "cut" else [*ids, value])
        if action in ("branch", "cut"):
            return [trace, made]
        return [made if place == side else kept for place, kept in enumerate(self.traces)]

    def describe(self) -> str:
        """Say in words what the widget shows."""
        first = self.traces[0]
        lines = [f"Next-token explorer ({first.model}, {len(first.labels):,} tokens)"]
        for number, (trace, side) in enumerate(zip(self.traces, self.sides, strict=True), start=1):
            lines.append(f"{number}: {quoted(trace.prompt)}")
            if self.bits:
                lines.append(f"   surprisal in bits: {_bits_in_words(side)}")
            best = side["best"][: self.bars]
            named = ", ".join(f"{quoted(label)} {p * 100:.1f} %" for _, label, p in best)
            others = side["vocabulary"] - len(best)
            tail = max(1 - sum(p for _, _, p in best), 0)
            rest = f"; the other {others:,} tokens share {tail * 100:.1f} %" if others else ""
            entropy = f"; entropy {side['entropy']:.2f} bits" if self.bits else ""
            lines.append(f"   next: {named}{rest}{entropy}")
        if self.changes:
            lines.append(f"from 1 to 2, {self.changes['moved'] * 100:.1f} % of the probability moved")
            for name in ("gained", "lost"):
                rows = [f"{quoted(label)} {a * 100:.1f} → {b * 100:.1f} %" for label, a, b in self.changes[name][:4]]
                lines.append(f"   {name}: {', '.join(rows) or 'no token'}")
        return "\n".join(lines)

    def figure(self) -> CourseFigure:
        """Draw the prompts side by side."""
        return explored_prompts(self.sides, self.bars, self.changes or None, self.bits)


@takes(run=Callable)
def next_token_explorer(
    run: Run, prompt: str, second: str | None = None, bars: int = 10, bits: bool = True
) -> NextTokenExplorer:
    """Open the explorer on one or two prompts, which can then be changed on the page.

    Args:
        run: Records a prompt: `functools.partial(record_surprisals, model)`.
        prompt: The first prompt.
        second: The second prompt, if there is one.
        bars: How many tokens get a bar.
        bits: Whether surprisal and entropy are shown.

    Raises:
        TypeError, ValueError: As `record_surprisals` and `NextTokenExplorer`.

    Lesson: 09 · Context length and prompting

    >>> from functools import partial
    >>> from course_utils.models import load_causal_lm
    >>> from course_utils.traces import record_surprisals
    >>> run = partial(record_surprisals, load_causal_lm())
    >>> next_token_explorer(run, "The capital of France is").sides[0]["best"][0]
    [7042, '␣Paris', 0.77...]
    """
    prompts = [prompt] if second is None else [prompt, second]
    return NextTokenExplorer([run(text) for text in prompts], run, bars, bits)


def _probabilities(trace: NextTokenTrace) -> np.ndarray:
    """The softmax over the full vocabulary, in float64."""
    shifted = np.exp(trace.logits.astype(np.float64) - trace.logits.max())
    return shifted / shifted.sum()


def _side(trace: NextTokenTrace) -> dict:
    """What the page needs of one prompt; only the likeliest tokens travel, but all of them are counted."""
    probabilities = _probabilities(trace)
    best = np.argsort(-probabilities, kind="stable")[:MOST_BARS]
    positive = probabilities[probabilities > 0]
    bits = [None] * len(trace.prompt_tokens)
    if trace.surprisals is not None:
        bits = [None, *(None if np.isnan(value) else round(float(value), 5) for value in trace.surprisals)]
    return {
        "prompt": trace.prompt,
        "tokens": list(trace.prompt_tokens[-MOST_CHIPS:]),
        "bits": bits[-MOST_CHIPS:],
        "measured": trace.surprisals is not None,
        "hidden": max(len(bits) - MOST_CHIPS, 0),
        "best": [[int(token), trace.labels[token], float(f"{probabilities[token]:.6g}")] for token in best],
        "entropy": round(float(abs((positive * np.log2(positive)).sum())), 6),
        "vocabulary": len(trace.labels),
    }


def _changes(first: NextTokenTrace, second: NextTokenTrace) -> dict:
    """Which tokens gained and lost most, and the share of the probability that moved (total variation distance)."""
    before, after = _probabilities(first), _probabilities(second)
    difference = after - before

    def rows(sign: int) -> list:
        tokens = np.argsort(-sign * difference, kind="stable")[:CHANGES]
        return [
            [first.labels[token], float(f"{before[token]:.6g}"), float(f"{after[token]:.6g}")]
            for token in tokens
            if sign * difference[token] > 0
        ]

    return {"gained": rows(1), "lost": rows(-1), "moved": round(float(abs(difference).sum() / 2), 6)}


def _bits_in_words(side: dict) -> str:
    if not side["measured"]:
        return "not recorded"
    pairs = list(zip(side["tokens"], side["bits"], strict=True))
    said = ", ".join(quoted(token) + ("" if value is None else f" {value:.1f}") for token, value in pairs[:24])
    more = len(pairs) + side["hidden"] - 24
    return said + (f" … {more} more tokens" if more > 0 else "")
