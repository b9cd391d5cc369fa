"""The embedding map: words in their texts on a map, layer by layer."""

from collections.abc import Callable, Iterable
from typing import ClassVar

import numpy as np
import traitlets

from course_utils.figures.base import CourseFigure, quoted
from course_utils.figures.vectors import word_map
from course_utils.models import CausalLM, Encoder
from course_utils.models.doorway import takes
from course_utils.traces.embeddings import EmbeddingTrace, Item, record_embeddings
from course_utils.widgets.base import AskingWidget, page_module, page_style

MOST_NEIGHBOURS = 10
MOST_NAMED = 60  # on the map
MOST_SENSES = 5  # with a colour of their own
MOST_PAIRED = 50  # words whose cosines with each other all travel to the page


class EmbeddingMap(AskingWidget):
    """Move through the layers of a model and watch where words go.

    The two axes of the map have the same direction at every layer, so a point that moves has moved; how far they reach
    fits the layer, or with `fixed` all of them. The mean of all words is in the middle at every layer. Neither moving
    through the layers nor pinning another word calls the kernel; of more than 50 words, pinning does, for the cosines.

    Args:
        trace: The recorded vectors; `record_embeddings` makes them.
        run: Records one more text; without it, the text boxes are not there.
        settings: `layer`: 0 is the embedding; `pinned` and `compared`: numbers of two words; `neighbours`: how many
            of the nearest are marked; `path`: draw where the pinned word was at the layers before; `senses`: what each
            word means in its text, such as "river" and "money", each in a colour of its own; `fixed`: the axes reach
            equally far at every layer.

    Raises:
        ValueError: A setting is out of its range; the widget keeps its last good state.

    Lesson: 05 · From text to vectors; 08 · Attention

    >>> states = np.array([[[1, 0], [1, 0]], [[1, 0], [0, 1]]], dtype=np.float32)
    >>> trace = EmbeddingTrace("toy", ("river bank", "money bank"), ("bank", "bank"), ("bank", "bank"), states)
    >>> print(EmbeddingMap(trace))
    Embedding map: 2 words of toy at layer 1 of 1; the map shows 100 % of their differences
    pinned: “bank 1” in “river bank”
      “bank 2”  0.00  in “money bank”
    “bank 1” and “bank 2” through the layers: 1.00 at 0, 0.00 at 1
    """

    called: ClassVar[dict[str, str]] = {"prompt": "the text"}

    _esm = page_module("embedding_map")
    _css = page_style("embedding_map")

    layer = traitlets.Int(0).tag(sync=True)
    pinned = traitlets.Int(0).tag(sync=True)
    compared = traitlets.Int(0).tag(sync=True)
    neighbours = traitlets.Int(3).tag(sync=True)
    path = traitlets.Bool(True).tag(sync=True)
    senses = traitlets.List(traitlets.Unicode()).tag(sync=True)  # one a word, or none at all
    fixed = traitlets.Bool(False).tag(sync=True)

    source = traitlets.Unicode().tag(sync=True)
    words = traitlets.List(traitlets.Unicode()).tag(sync=True)
    texts = traitlets.List(traitlets.Unicode()).tag(sync=True)
    explained = traitlets.List(traitlets.Float()).tag(sync=True)
    _points = traitlets.Bytes().tag(sync=True)  # float32 (layer, word, 2)
    _cosines = traitlets.Bytes().tag(sync=True)  # float32 (word, layer, word); of many words (layer, word) of `_of`
    _of = traitlets.Int(0).tag(sync=True)

    @takes(trace=EmbeddingTrace)
    def __init__(
        self, trace: EmbeddingTrace, run: Callable[[Item], EmbeddingTrace] | None = None, **settings: object
    ) -> None:
        super().__init__(can_run=run is not None)
        self._run = run
        self._show(trace)
        self.layer, self.compared = len(trace.states) - 1, len(trace.words) - 1
        self.set_all(settings)

    @traitlets.validate("layer", "pinned", "compared", "neighbours")
    def _check(self, proposal: dict) -> int:
        name, value = proposal["trait"].name, proposal["value"]
        words = len(self.trace.words) - 1
        most = {"layer": len(self.trace.states) - 1, "neighbours": MOST_NEIGHBOURS}.get(name, words)
        if not 0 <= value <= most:
            raise ValueError(f"{name} must be in 0 … {most}, got {value}")
        return value

    @traitlets.validate("senses")
    def _check_senses(self, proposal: dict) -> list[str]:
        value, words = proposal["value"], len(self.trace.words)
        if value and len(value) != words:
            raise ValueError(f"senses must hold one text per word, {words} in all, got {len(value)}")
        if len(set(value) - {""}) > MOST_SENSES:
            raise ValueError(f"senses must be at most {MOST_SENSES}, got {len(set(value) - {''})}")
        return value

    @traitlets.observe("pinned")
    def _send_cosines(self, change: dict | None = None) -> None:
        trace = self.trace
        words = [self.pinned] if len(trace.words) > MOST_PAIRED else range(len(trace.words))
        cosines = np.stack([trace.cosines(word) for word in words])
        with self.hold_sync():
            self._cosines, self._of = cosines.astype("<f4").tobytes(), self.pinned

    def _show(self, trace: EmbeddingTrace, senses: list[str] | None = None) -> None:
        points, explained = trace.map()
        with self.hold_sync():  # one message, so that the page draws once
            self.trace, self._map = trace, points
            self.source, self.words, self.texts = trace.model, list(trace.labels), list(trace.texts)
            self.explained = [round(share, 4) for share in explained]
            self._points = points.astype("<f4").tobytes()
            self.senses = senses or []
            self._send_cosines()

    def answer(self, action: str, *wanted: object) -> None:
        """Do what the page asks for.

        Args:
            action: "pin" pins another word; "add" adds a text.
            wanted: The number of the word; or the text, and the word in it (empty for the whole text).
        """
        if action == "pin":
            (self.pinned,) = wanted
        else:
            text, word = wanted
            added = self._run((text, word or text))
            self._show(self.trace.joined(added), self.senses and [*self.senses, *[""] * len(added.words)])

    def ranking(self) -> list[tuple[int, float]]:
        """Return every other word with its cosine to the pinned one at this layer, the most alike first."""
        cosines = self.trace.cosines(self.pinned)[self.layer]
        order = np.argsort(-cosines.round(4), kind="stable")
        return [(int(word), float(cosines[word])) for word in order if word != self.pinned]

    def describe(self) -> str:
        """Say in words who is near the pinned word, and how two words moved apart through the layers."""
        last, share = len(self.trace.states) - 1, self.explained[self.layer]
        pinned, compared = quoted(self.words[self.pinned]), quoted(self.words[self.compared])
        shown = f"the map shows {100 * share:.0f} % of their differences" if share else "they don't differ here"
        lines = [
            f"Embedding map: {len(self.words)} words of {self.source} at layer {self.layer} of {last}; {shown}",
            f"pinned: {pinned} in {quoted(self.texts[self.pinned])}",
        ]
        for word, cosine in self.ranking()[:MOST_NEIGHBOURS]:
            lines.append(f"  {quoted(self.words[word])}  {_two_decimals(cosine)}  in {quoted(self.texts[word])}")
        curve = self.trace.cosines(self.pinned)[:, self.compared]
        there = sorted({0, last // 2, last})
        said = ", ".join(f"{_two_decimals(curve[layer])} at {layer}" for layer in there)
        lines.append(f"{pinned} and {compared} through the layers: {said}")
        return "\n".join(lines)

    def _reach(self) -> float:
        """Return how far the axes go, as the page has it: `reachOf`."""
        everywhere = float(np.abs(self._map).max()) * 1.1 or 1.0
        return everywhere if self.fixed else max(float(np.abs(self._map[self.layer]).max()) * 1.15, everywhere / 20)

    def figure(self) -> CourseFigure:
        """Draw the map at this layer."""
        near = [word for word, _ in self.ranking()[: self.neighbours]]
        groups, labels = ["others"] * len(self.words), list(self.words)
        for word in near:
            groups[word] = "nearest"
        groups[self.pinned] = "pinned"
        if self.senses:
            groups = [sense or "added" for sense in self.senses]
            labels[self.pinned] += " (pinned)"
        return word_map(
            self._map[self.layer],
            labels,
            self.explained[self.layer],
            f"{self.source}, layer {self.layer}: near is alike",
            groups=groups,
            path=self._map[: self.layer + 1, self.pinned] if self.path else None,
            reach=self._reach(),
            named=None if len(self.words) <= MOST_NAMED else [self.pinned, *near],
        )


@takes(model=(CausalLM, Encoder))
def embedding_map(model: CausalLM | Encoder, items: Iterable[Item], **settings: object) -> EmbeddingMap:
    """Open the vectors of words in their texts; more texts can be added on the page.

    Args:
        model: A causal LM or an encoder of the course.
        items: Texts, or pairs of a text and a word in it, such as `("the bank of the river", "bank")`.
        settings: As `EmbeddingMap` takes them.

    Raises:
        TypeError, ValueError: As `record_embeddings`.

    Lesson: 05 · From text to vectors; 08 · Attention

    >>> from course_utils.models import load_encoder
    >>> embedding_map(load_encoder(), ["a cat", "a kitten", "a bridge"], pinned=1).ranking()[0][0]
    0
    """

    def run(item: Item) -> EmbeddingTrace:
        return record_embeddings(model, [item])

    return EmbeddingMap(record_embeddings(model, items), run, **settings)


def _two_decimals(number: float) -> str:
    return f"{abs(number):.2f}" if abs(number) < 0.005 else f"{number:.2f}"  # no minus zero
