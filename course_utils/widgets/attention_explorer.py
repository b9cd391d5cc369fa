"""The attention explorer: who looks at whom, in every layer and head of one recorded run."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np
import traitlets
from matplotlib import colormaps
from transformers import Pipeline

from course_utils.figures.attention import head_explorer
from course_utils.figures.base import CourseFigure, quoted
from course_utils.models import CausalLM, Encoder
from course_utils.models.doorway import takes
from course_utils.traces import AttentionTrace, record_attention, record_translation
from course_utils.widgets.base import AskingWidget, page_module, page_style

MOST_TOKENS = 200  # of a text that is typed in
MOST_CELLS = 360_000  # of one layer on the page
THUMBNAIL = 14
STAGES = {"scores": "QKᵀ/√d", "masked": "+ mask", "weights": "softmax", "values": "· V"}
SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
SETTINGS = ("layer", "head", "stage", "token", "order")
MEASURES = ("previous token", "induction", "first token", "entropy")
KINDS = {
    "causal": "each token looks at itself and back",
    "bidirectional": "each token looks at all tokens",
    "cross": "each token that is written looks at the text that was read",
}
RAMP = colormaps["Blues"](np.arange(256), bytes=True)[:, :3]  # the colour of every byte, as in the figure


class AttentionExplorer(AskingWidget):
    """Look at every head of one run: small pictures of all of them, one in full, and the row of one token.

    The stages are those of the formula: `scores` (QKᵀ/√d), `masked` (what may not be seen becomes −∞), `weights`
    (softmax), and `values` (weight × length of the value vector: how much of each token goes into the mix).

    Args:
        trace: The recorded run; `record_attention` or `record_translation` makes one.
        run: Records another text; without it, the text box is not there.
        layer: Of the head in full, from 0.
        head: Of the head in full, from 0.
        stage: One of `scores`, `masked`, `weights`, `values`; the others want a trace that has scores.
        token: The row that is read out, from 0; by default the last.
        order: How the small pictures are sorted: `place`, or one of the trace's measures.
        hide_first: Leave the first token out, which most heads look at when they have nothing to say.

    Raises:
        ValueError: A setting is out of its range; the widget keeps its last good state.

    Source: Kobayashi et al. (2020), Attention is Not Only a Weight, for the last stage.
    Lesson: 08 · Attention

    >>> weights = np.array([[[[1, 0], [0.25, 0.75]]]], np.float32)
    >>> print(AttentionExplorer(AttentionTrace("toy", "causal", ("a", "b"), ("a", "b"), weights, 1)))
    Attention explorer: toy, causal, 1 layer × 1 head, 2 tokens
    head 0.0, softmax: every row adds up to 1
    previous token 0.25, induction 0.00, first token 0.25, entropy 0.41 bits
    “b” looks at “b” 0.75, “a” 0.25
    """

    _esm = page_module("attention_explorer")
    _css = page_style("attention_explorer")

    layer = traitlets.Int(0).tag(sync=True)
    head = traitlets.Int(0).tag(sync=True)
    stage = traitlets.Unicode("weights").tag(sync=True)
    token = traitlets.Int(0).tag(sync=True)
    order = traitlets.Unicode("place").tag(sync=True)
    hide_first = traitlets.Bool(False).tag(sync=True)

    text = traitlets.Unicode().tag(sync=True)  # what was run last
    called: ClassVar[dict[str, str]] = {"prompt": "text", "texts": "text"}

    about = traitlets.Dict().tag(sync=True)  # everything about the trace that is small
    _thumbnails = traitlets.Bytes().tag(sync=True)  # uint8 (layer, head, rows, columns)
    _ramp = traitlets.Bytes(RAMP.tobytes()).tag(sync=True)
    _packet = traitlets.Dict().tag(sync=True)  # the first layer that is shown; others come when the page asks

    @takes(trace=AttentionTrace)
    def __init__(
        self, trace: AttentionTrace, run: Callable[[str], AttentionTrace] | None = None, text: str = "", **settings
    ) -> None:
        self.trace, self._run = None, run
        self.can_run, self.text = run is not None, text
        self._show(trace)
        self.set_all(settings)
        self._packet = self._pack(self.layer, self._kind())
        super().__init__()  # the page gets everything with the first message, and only the layer that is shown
        self.on_msg(self._send_layers)

    @traitlets.validate(*SETTINGS)
    def _check_setting(self, proposal: dict) -> object:
        name, value = proposal["trait"].name, proposal["value"]
        if self.trace is None:
            return value
        layers, heads, queries, _ = self.trace.weights.shape
        if name in ("stage", "order"):
            allowed = list(self.about["stages" if name == "stage" else "orders"])
            if value not in allowed:
                raise ValueError(f"{name} must be one of {allowed}, got {value!r}")
        else:
            last = {"layer": layers, "head": heads, "token": min(queries, self._shown()[0])}[name] - 1
            if not 0 <= value <= last:
                raise ValueError(f"{name} must be in 0 … {last}, got {value}")
        return value

    def _show(self, trace: AttentionTrace) -> None:
        """Take another trace; settings that it does not have go back to where they can be."""
        self.trace = None
        layers, heads, _, _ = trace.weights.shape
        found = trace.measures()
        measures = {name: found[name] for name in MEASURES if name in found}
        stages = list(STAGES) if trace.scores is not None else ["weights"]
        with self.hold_sync():
            self.layer, self.head = min(self.layer, layers - 1), min(self.head, heads - 1)
            self.stage = self.stage if self.stage in stages else "weights"
            self.order = self.order if self.order in measures else "place"
            self.trace, self._measures = trace, measures
            queries, keys = self._shown()
            self.token = queries - 1
            self.row_error = float(np.abs(trace.weights.sum(-1, dtype=np.float64) - 1).max())
            self.about = {
                "title": self._title(),
                "kind": trace.kind,
                "layers": layers,
                "heads": heads,
                "key_value_heads": trace.key_value_heads,
                "queries": numbered(trace.query_tokens)[:queries],
                "keys": numbered(trace.key_tokens)[:keys],
                "stages": {stage: [STAGES[stage], words] for stage, words in self._words().items() if stage in stages},
                "orders": {name: self._sorted(name) for name in ("place", *measures)},
                "measures": {
                    # The page rounds to two digits: from three, it wouldn't always be what Python says.
                    name: np.round(values.astype(float), 6).ravel().tolist()
                    for name, values in measures.items()
                },
                "version": self.about.get("version", 0) + 1,
            }
            self._thumbnails = thumbnails(trace.weights).tobytes()
            self._packet = self._pack(self.layer, self._kind())

    def _shown(self) -> tuple[int, int]:
        """How many queries and keys the picture has."""
        _, heads, queries, keys = self.trace.weights.shape
        most = int((MOST_CELLS / heads) ** 0.5)
        return min(queries, most), min(keys, most)

    def _title(self) -> str:
        layers, heads, *tokens = self.trace.weights.shape
        group = heads // self.trace.key_value_heads
        shared = f", {group} heads on one KV head" if group > 1 else ""
        cut = "" if self._shown() == tuple(tokens) else (
            f" The picture shows the first {max(self._shown())} of {max(tokens)} tokens."
        )  # fmt: skip
        names = self.trace.query_tokens, self.trace.key_tokens
        if any(len(set(tokens)) < len(tokens) for tokens in names):
            cut += " ₁ and ₂ are the same token at two places."
        sizes = f"{_count(layers, 'layer')} × {_count(heads, 'head')}"
        return f"{self.trace.model}: {KINDS[self.trace.kind]}. {sizes}{shared}.{cut}"

    def _words(self) -> dict[str, str]:
        """What each stage is, for the page."""
        causal = self.trace.kind == "causal"
        exact, error = "✓" if self.row_error < 1e-4 else "✗", f"{self.row_error:.0e}" if self.row_error else "0"
        later = " Later tokens have scores, too." if causal else ""
        hidden = (
            "what comes later becomes −∞ (hatched)" if causal else "every token may be seen here, so nothing becomes −∞"
        )
        return {
            "scores": f"QKᵀ/√d: how well each query fits each key.{later}",
            "masked": f"+ mask: {hidden}.",
            "weights": f"softmax: every row adds up to 1 {exact} (largest error: {error}).",
            "values": "· V: weight × length of the value vector, how much of each token goes into the mix.",
        }

    def _kind(self) -> str:
        """The array of a stage: the scores, or the weights."""
        return "scores" if self.stage in ("scores", "masked") else "weights"

    def _pack(self, layer: int, kind: str) -> dict:
        """One layer for the page: one byte per cell, and for each head the values of byte 0 and byte 255."""
        queries, keys = self._shown()
        numbers = getattr(self.trace, kind)[layer, :, :queries, :keys]
        low, high = (0.0, 1.0) if kind == "weights" else (numbers.min((1, 2)), numbers.max((1, 2)))
        low, high = (np.broadcast_to(np.float32(edge), len(numbers)) for edge in (low, high))
        width = np.maximum(high - low, 1e-9)[:, None, None]
        cells = np.rint((numbers - low[:, None, None]) / width * 255).astype(np.uint8)
        lengths, mixed = np.zeros((self.trace.key_value_heads, keys)), numbers
        if self.trace.value_lengths is not None:
            lengths = np.round(self.trace.value_lengths[layer, :, :keys].astype(float), 3)
            mixed = numbers * lengths.repeat(len(numbers) // len(lengths), axis=0)[:, None]
        return {
            "layer": layer,
            "kind": kind,
            "version": self.about["version"],
            "low": low.tolist(),
            "high": high.tolist(),
            "lengths": lengths.tolist(),
            "most": mixed.max((1, 2)).tolist(),
            "cells": cells.tobytes(),
        }

    def _send_layers(self, _widget: object, content: dict, _buffers: list) -> None:
        """Answer the page, which asks for pairs of a layer and "scores" or "weights"."""
        if content.get("version") != self.about["version"]:
            return  # it asks about a text that is gone
        packets = [self._pack(layer, kind) for layer, kind in content["ask"]]
        self.send({"packets": packets}, [packet.pop("cells") for packet in packets])

    def recorded_answers(self) -> dict[str, dict]:
        """Return every layer, by what the page asks for."""
        layers = range(self.about["layers"])
        kinds = {"scores" if stage in ("scores", "masked") else "weights" for stage in self.about["stages"]}
        return {f'[{layer},"{kind}"]': self._pack(layer, kind) for kind in sorted(kinds) for layer in layers}

    def answer(self, text: str) -> None:
        """Run another text."""
        trace = self._run(text)
        before, settings = self.trace, {name: getattr(self, name) for name in SETTINGS}
        try:
            self._show(trace)
        except BaseException:  # an interrupt or too little memory: the former state, whole
            self._show(before)
            for name, value in settings.items():
                setattr(self, name, value)
            raise
        self.text = text

    def matrix(self) -> np.ndarray:
        """Return what the picture of the chosen head shows at the chosen stage, `(query, key)`; −∞ where hidden."""
        queries, keys = self._shown()
        place = self.layer, self.head, slice(queries), slice(keys)
        numbers = getattr(self.trace, self._kind())[place]
        if self.stage == "masked" and self.trace.kind == "causal":
            numbers = np.where(np.tri(queries, keys, dtype=bool), numbers, -np.inf)
        elif self.stage == "values":
            numbers = numbers * self.trace.value_lengths[self.layer, self.key_value_head(), :keys]
        return np.where(np.arange(keys) == 0, -np.inf, numbers) if self.hide_first else numbers

    def key_value_head(self) -> int:
        """Return which KV head the chosen head reads from."""
        return self.head * self.trace.key_value_heads // self.trace.weights.shape[1]

    def ranking(self) -> list[tuple[int, int]]:
        """Return all heads `(layer, head)` in the chosen order: largest first, of the entropy the smallest first."""
        heads = self.trace.weights.shape[1]
        return [divmod(place, heads) for place in self.about["orders"][self.order]]

    def _sorted(self, order: str) -> list[int]:
        """All heads as layer · heads + head."""
        layers, heads, _, _ = self.trace.weights.shape
        if order == "place":
            return list(range(layers * heads))
        values = self._measures[order].ravel()
        return np.argsort(values if order == "entropy" else -values, kind="stable").tolist()

    def describe(self) -> str:
        """Say in words what is shown."""
        trace, (layers, heads, queries, keys) = self.trace, self.trace.weights.shape
        sizes = f"{queries:,} tokens" if trace.kind != "cross" else f"{queries} tokens look at {keys}"
        lines = [
            f"Attention explorer: {trace.model}, {trace.kind}, {_count(layers, 'layer')} × {_count(heads, 'head')}"
        ]
        lines[0] += f", {sizes}"
        shared = f", on KV head {self.key_value_head()}" if trace.key_value_heads < heads else ""
        sums = ": every row adds up to 1" if self.stage == "weights" and self.row_error < 1e-4 else ""
        lines.append(f"head {self.layer}.{self.head}{shared}, {STAGES[self.stage]}{sums}")
        said = [f"{name} {values[self.layer, self.head]:.2f}" for name, values in self._measures.items()]
        lines.append(", ".join(said) + " bits")
        row = self.matrix()[self.token].copy()
        if trace.kind == "causal" and self.stage != "scores":
            row[self.token + 1 :] = -np.inf  # what the mask hides is not named
        best = [key for key in np.argsort(-row, kind="stable")[:4] if row[key] > -np.inf]
        looks = ", ".join(f"{quoted(self.about['keys'][key])} {row[key]:.2f}" for key in best) or "nothing"
        lines.append(f"{quoted(self.about['queries'][self.token])} {'looks at' if sums else 'has'} {looks}")
        if self.order != "place":
            first = ", ".join(
                f"{layer}.{head} {self._measures[self.order][layer, head]:.2f}" for layer, head in self.ranking()[:5]
            )
            lines.append(f"first by {self.order}: {first}")
        if self._shown() != (queries, keys):
            lines.append(f"The picture shows the first {max(self._shown())} tokens.")
        return "\n".join(lines)

    def figure(self) -> CourseFigure:
        """Draw one measure of every head, and the chosen head in full."""
        measure = self.order if self.order != "place" else next(iter(self._measures))
        return head_explorer(
            self._measures[measure], measure, self.matrix(), self.about["queries"], self.about["keys"],
            (self.layer, self.head), STAGES[self.stage], self.trace.key_value_heads,
        )  # fmt: skip


def thumbnails(weights: np.ndarray) -> np.ndarray:
    """Make each head's weights `(layer, head, query, key)` small: uint8 of at most 14 × 14, the largest of each patch.

    Lesson: 08 · Attention

    >>> thumbnails(np.eye(32, dtype=np.float32)[None, None]).shape
    (1, 1, 14, 14)
    """
    for axis in (2, 3):
        length = weights.shape[axis]
        size = min(length, THUMBNAIL)
        weights = np.maximum.reduceat(weights, np.arange(size) * length // size, axis=axis)
    return np.rint(weights * 255).astype(np.uint8)


def numbered(tokens: Sequence[str]) -> list[str]:
    """Return the tokens, those that are there more than once with their number.

    Lesson: 08 · Attention

    >>> numbered(["on", "the", "on"])
    ['on₁', 'the', 'on₂']
    """
    counts, seen = Counter(tokens), Counter()
    names = []
    for token in tokens:
        seen[token] += 1
        names.append(token + str(seen[token]).translate(SUBSCRIPTS) if counts[token] > 1 else token)
    return names


@takes(model=(CausalLM, Encoder, Pipeline))
def attention_explorer(model: object, text: str, **settings: object) -> AttentionExplorer:
    """Open the attention of a model on a text; the text can then be changed on the page.

    Args:
        model: A `CausalLM`, an `Encoder`, or a pipeline for translation (its cross-attention is shown).
        text: At most 200 tokens: what is recorded grows with their square.
        settings: As for `AttentionExplorer`.

    Raises:
        ValueError: The text is empty or too long; or a setting is out of its range.

    Lesson: 08 · Attention

    >>> from course_utils.models import load_encoder
    >>> attention_explorer(load_encoder(), "the river bank").trace.kind
    'bidirectional'
    """

    def run(other: str) -> AttentionTrace:
        if isinstance(model, Pipeline):
            return record_translation(model, other)
        tokens = model.encode(other).shape[1]
        if tokens > MOST_TOKENS:
            raise ValueError(f"text must have at most {MOST_TOKENS} tokens, got {tokens:,}")
        return record_attention(model, other)

    return AttentionExplorer(run(text), run, text, **settings)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number != 1 else ''}"
