"""The tokenizer stepper: how a text becomes tokens, step by step, with two tokenizers, one below the other."""

from collections.abc import Callable, Iterable, Sequence

import traitlets

from course_utils.figures.base import CourseFigure, cut, quoted
from course_utils.figures.tokens import token_chips
from course_utils.models.doorway import takes
from course_utils.models.loading import LoadedModel
from course_utils.traces.tokenization import TokenizationTrace, record_tokenization
from course_utils.widgets.base import AskingWidget, page_module, page_style

MOST_SAID = 40  # tokens, in words

# Of one tokenizer: the text alone, and the text with the model's special tokens around it.
Traces = Sequence[tuple[TokenizationTrace, TokenizationTrace]]


class TokenizerStepper(AskingWidget):
    """Step through the merges of one tokenizer, and through the longest matches of another.

    The text is above the steps, in the colours of its finished tokens. The steps begin with nothing joined.

    Args:
        traces: For each tokenizer the recorded steps, without and with special tokens.
        run: Records another text; without it, the text box is not there.
        settings: `special`: with the special tokens; `step`, `word`: for each tokenizer how many steps are done, and
            which word's tree is drawn.

    Raises:
        ValueError: A setting is out of its range; the widget keeps its last good state.

    Lesson: 05 · From text to vectors

    >>> from course_utils.models import load_causal_lm
    >>> print(tokenizer_stepper([load_causal_lm()], "The cat", step=[2]))
    Tokenizer stepper: “The cat”
    SmolLM2-135M-Instruct: byte pairs, 7 characters → 2 tokens: The | ␣cat
      Step 2 of 5: “a” + “t” → “at” (merge 10 of the training)
      T 68 | he 255 | ␣ 216 | c 83 | at 261
      2 tokens · 0.02 % of the context length of 8,192 · 92,160 bytes of KV cache
    """

    _esm = page_module("tokenizer_stepper")
    _css = page_style("tokenizer_stepper")

    text = traitlets.Unicode().tag(sync=True)
    special = traitlets.Bool(False).tag(sync=True)
    step = traitlets.List(traitlets.Int()).tag(sync=True)
    word = traitlets.List(traitlets.Int()).tag(sync=True)
    panes = traitlets.List().tag(sync=True)

    @takes(traces=Sequence)
    def __init__(self, traces: Traces, run: Callable[[str], Traces] | None = None, **settings: object) -> None:
        if not traces:
            raise ValueError("traces must hold at least one tokenizer, got none")
        self.traces = traces
        super().__init__(can_run=run is not None, special=settings.pop("special", False))
        self._run, self._done = run, [False] * len(traces)
        self._show(traces)
        self.observe(self._begin, "special")
        self.set_all(settings)

    @property
    def shown(self) -> list[TokenizationTrace]:
        """The trace of each tokenizer that the page shows now."""
        return [pair[self.special] for pair in self.traces]

    @traitlets.validate("step", "word")
    def _check(self, proposal: dict) -> list[int]:
        name, value = proposal["trait"].name, proposal["value"]
        most = [len(trace.steps) if name == "step" else len(trace.words) - 1 for trace in self.shown]
        allowed = ", ".join(f"0 … {end}" for end in most)
        if len(value) != len(most) or not all(0 <= v <= end for v, end in zip(value, most, strict=True)):
            raise ValueError(f"{name} must hold one number per tokenizer, in {allowed}, got {value}")
        return value

    @traitlets.observe("step")
    def _note(self, change: dict) -> None:
        self._done = [step == len(trace.steps) for trace, step in zip(self.shown, self.step, strict=True)]

    def _begin(self, change: dict | None = None) -> None:
        """Begin with nothing joined, or at the end where all steps were done before; and the tree of the longest word.

        Who looks at the finished tokens goes on to see them while typing.
        """
        self.step = [len(trace.steps) * done for trace, done in zip(self.shown, self._done, strict=True)]
        self.word = [_longest_word(trace) for trace in self.shown]

    def _show(self, traces: Traces) -> None:
        panes = [_pane(pair) for pair in traces]
        with self.hold_sync():  # one message, so that the page draws once
            self.traces, self.text, self.panes = traces, traces[0][0].text, panes
            self._begin()

    def answer(self, text: str) -> None:
        """Tokenize another text."""
        self._show(self._run(text))

    def describe(self) -> str:
        """Say in words which tokens are there now, what the last step did, and what they cost."""
        special = ", with special tokens" if self.special else ""
        lines = [f"Tokenizer stepper: {quoted(cut(self.text, 100))}{special}"]
        for trace, step in zip(self.shown, self.step, strict=True):
            seen = trace.seen_at(step)
            tokens = [_named(trace, piece) for piece in seen[:MOST_SAID]]
            more = f" | … {len(seen) - MOST_SAID} more" if len(seen) > MOST_SAID else ""
            whole = " | ".join(trace.labels[piece] for piece in trace.seen_at(len(trace.steps))[:MOST_SAID])
            lines += [f"{trace.model}: {trace.kind}, {headline(trace)}: {whole}", f"  {step_said(trace, step)}"]
            lines += ["  " + " | ".join(tokens) + more, f"  {readout(trace)}"]
        return "\n".join(lines)

    def figure(self) -> CourseFigure:
        """Draw the finished tokens as chips, in the colours of the page."""
        rows = []
        for trace in self.shown:
            begins = {first for first, _, is_special in trace.words.tolist() if is_special}
            chips = [
                (trace.labels[piece], str(row[4]), row[0] in begins)
                for piece in trace.seen_at(len(trace.steps))
                for row in [trace.pieces[piece].tolist()]
            ]
            rows.append((f"{trace.model}: {headline(trace)}", chips))
        return token_chips(rows)


def headline(trace: TokenizationTrace) -> str:
    """Say how many tokens the text became.

    Lesson: 05 · From text to vectors
    """
    return f"{_counted(len(trace.text), 'character')} → {_counted(trace.tokens, 'token')}"


def step_said(trace: TokenizationTrace, step: int) -> str:
    """Say what step number `step` did.

    Lesson: 05 · From text to vectors
    """
    start, unit = f"Step {step} of {len(trace.steps)}: ", "byte" if trace.kind == "byte pairs" else "character"
    if not step:
        return f"{start}{_counted(len(trace.atoms), unit)}, nothing joined yet"
    made, parts, number = trace.steps[step - 1]
    if unit == "byte":
        return f"{start}{quoted(parts[0])} + {quoted(parts[1])} → {quoted(made)} (merge {number:,} of the training)"
    if made == "[UNK]":
        return f"{start}{quoted(parts[0])} can't be built from known pieces: {made}"
    return f"{start}{quoted(parts[0])} begins with {quoted(made)} ({_counted(number, 'candidate')} looked up)"


def readout(trace: TokenizationTrace) -> str:
    """Say what the tokens of a text cost: share of the context length, and bytes of KV cache.

    Lesson: 05 · From text to vectors
    """
    fits = ": too long for this model" if trace.tokens > trace.context_length else ""
    size = trace.tokens * trace.cache_bytes_per_token
    cache = "no KV cache that grows by the same with every token" if size < 0 else f"{size:,} bytes of KV cache"
    cache = cache if size else "an encoder keeps no KV cache"
    share = "no limit to the context length"
    if trace.context_length:
        part = 100 * trace.tokens / trace.context_length
        share = f"{part:.2f} % of the context length of {trace.context_length:,}{fits}"
    return f"{_counted(trace.tokens, 'token')} · {share} · {cache}"


def tokenizer_stepper(models: LoadedModel | Iterable[LoadedModel], text: str, **settings: object) -> TokenizerStepper:
    """Open the tokenizers of `models` on a text; the text can then be changed on the page.

    Args:
        models: One model or several, with a byte-level BPE tokenizer, or with WordPiece as in BERT.
        text: What is tokenized first.
        settings: As `TokenizerStepper` takes them.

    Raises:
        TypeError, ValueError: As `record_tokenization`.

    Lesson: 05 · From text to vectors

    >>> from course_utils.models import load_encoder
    >>> tokenizer_stepper([load_encoder()], "Tokenized").step
    [0]
    """
    several = list(models) if isinstance(models, Iterable) else [models]

    def run(other: str) -> Traces:
        return [tuple(record_tokenization(model, other, special) for special in (False, True)) for model in several]

    return TokenizerStepper(run(text), run, **settings)


def _pane(pair: tuple[TokenizationTrace, TokenizationTrace]) -> dict:
    plain = pair[0]
    about = {"model": plain.model, "kind": plain.kind, "context": plain.context_length}
    return about | {"bytes": plain.cache_bytes_per_token, "views": [_view(trace) for trace in pair]}


def _view(trace: TokenizationTrace) -> dict:
    pieces = trace.pieces.clip(max=[[2**31, 2**31, 2**31, len(trace.steps) + 1, 2**31]])
    return {
        "atoms": list(trace.atoms),
        "words": trace.words.tolist(),
        "pieces": pieces.tolist(),
        "labels": list(trace.labels),
        "steps": [[made, list(parts), number] for made, parts, number in trace.steps],
        "tokens": trace.tokens,
        "start": _longest_word(trace),
    }


def _longest_word(trace: TokenizationTrace) -> int:
    return int((trace.words[:, 1] - trace.words[:, 0]).argmax())


def _named(trace: TokenizationTrace, piece: int) -> str:
    token = int(trace.pieces[piece, 4])
    return trace.labels[piece] if token < 0 else f"{trace.labels[piece]} {token}"


def _counted(number: int, unit: str) -> str:
    return f"{number:,} {unit}{'' if number == 1 else 's'}"
