"""The vectors of words in their texts, at every layer of a model.

Lesson: 05 · From text to vectors; 08 · Attention
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch

from course_utils.engine.arguments import listed
from course_utils.experiments.vectors import cosine_similarity, explained_variance, principal_axes, unit_vectors
from course_utils.models import CausalLM, Encoder
from course_utils.models.architectures import generation_inputs
from course_utils.models.doorway import takes
from course_utils.traces.base import Trace

MOST_WORDS = 200
Item = str | tuple[str, str]


@dataclass(frozen=True)
class EmbeddingTrace(Trace):
    """The vectors of words in their texts, at every layer.

    Args:
        model: Name of the model that ran.
        texts: What the model read for each word.
        words: Which word of the text each vector is of.
        tokens: The tokens that the vector was read from, as visible text.
        states: float32 `(layer + 1, word, hidden)`: 0 is the embedding, the last is after the final norm.

    Raises:
        ValueError: The states do not fit the words.

    >>> trace = EmbeddingTrace("toy", ("a", "b"), ("a", "b"), ("a", "b"), np.eye(2, dtype=np.float32)[None])
    >>> points, explained = trace.map()
    >>> points.shape, [round(share, 2) for share in explained]
    ((1, 2, 2), [1.0])
    """

    model: str
    texts: tuple[str, ...]
    words: tuple[str, ...]
    tokens: tuple[str, ...]
    states: np.ndarray

    def __post_init__(self) -> None:
        if self.states.ndim != 3 or self.states.shape[1] != len(self.words) or not self.words:
            raise ValueError(f"states must have shape (layer, {len(self.words)}, hidden), got {self.states.shape}")
        self.check_rows("word", len(self.words), ("texts", "tokens"))

    @property
    def labels(self) -> tuple[str, ...]:
        """The words, numbered where a word comes more than once: bank 1, bank 2."""
        seen = [f"{word} {self.words[:i].count(word) + 1}" for i, word in enumerate(self.words)]
        return tuple(name if self.words.count(word) > 1 else word for name, word in zip(seen, self.words, strict=True))

    def joined(self, other: Self) -> Self:
        """Return the words of both traces, first these, then those of `other`.

        Raises:
            ValueError: Another model ran, or there are more than 200 words.
        """
        if other.model != self.model:
            raise ValueError(f"other must be of {self.model}, got {other.model}")
        if len(self.words) + len(other.words) > MOST_WORDS:
            raise ValueError(f"words must be at most {MOST_WORDS}, got {len(self.words) + len(other.words)}")
        texts, words, tokens = (getattr(self, name) + getattr(other, name) for name in ("texts", "words", "tokens"))
        return type(self)(self.model, texts, words, tokens, np.concatenate([self.states, other.states], axis=1))

    def cosines(self, word: int) -> np.ndarray:
        """Return the cosine of `word` with every word at every layer, `(layer + 1, word)`."""
        states = torch.from_numpy(self.states)
        return torch.stack([cosine_similarity(layer[word : word + 1], layer)[0] for layer in states]).numpy()

    def map(self) -> tuple[np.ndarray, list[float]]:
        """Return points `(layer + 1, word, 2)` on two axes that are the same for all layers, and what they show.

        Vectors are divided by their length, and the mean of the words is in the middle of the map at every layer.
        The second value is the share of the differences between the words that the map shows at each layer, 0 to 1.
        """
        unit = unit_vectors(torch.from_numpy(self.states))
        centred = unit - unit.mean(1, keepdim=True)
        axes = principal_axes(centred.flatten(0, 1))
        return (centred @ axes.T).numpy(), [explained_variance(layer, axes) for layer in centred]


@takes(model=(CausalLM, Encoder))
@torch.inference_mode()
def record_embeddings(model: CausalLM | Encoder, items: Iterable[Item]) -> EmbeddingTrace:
    """Run `model` once on every text and record the vector of one word, or of the whole text, at every layer.

    Args:
        model: A causal LM, of which the vector is read at the last token: it has seen all before it. Or an encoder,
            of which it is the mean over the tokens.
        items: Texts, or pairs of a text and a word in it, such as `("the bank of the river", "bank")`. Where a word
            comes more than once, its last place counts.

    Raises:
        TypeError: `items` is one text, or an item is neither a text nor a pair of texts.
        ValueError: There is no item or more than 200, or a text is empty or too long, or a word isn't in its text;
            or the tokenizer is not a fast one.

    >>> from course_utils.models import load_causal_lm
    >>> trace = record_embeddings(load_causal_lm(), [("the river bank", "bank"), ("the savings bank", "bank")])
    >>> trace.states.shape, trace.labels
    ((31, 2, 576), ('bank 1', 'bank 2'))
    >>> [round(trace.cosines(0)[layer, 1].item(), 1) for layer in (0, 15)]
    [1.0, 0.8]
    """
    items = listed("items", items)
    if not 1 <= len(items) <= MOST_WORDS:
        raise ValueError(f"items must hold 1 … {MOST_WORDS} texts, got {len(items)}")
    texts, words, tokens, states = [], [], [], []
    for item in items:
        text, word = _pair(item)
        ids, places = model.encode(text)[0], _places(model, text, word)
        hidden = _hidden_states(model, ids)
        texts.append(text)
        words.append(word.strip())
        tokens.append("".join(model.labels[token] for token in ids.cpu()[places].tolist()))
        states.append(hidden.float().cpu()[:, places].mean(1))
    return EmbeddingTrace(model.name, tuple(texts), tuple(words), tuple(tokens), torch.stack(states, 1).numpy())


def _pair(item: Item) -> tuple[str, str]:
    text, word = (item, item) if isinstance(item, str) else tuple(item)
    if not isinstance(text, str) or not isinstance(word, str):
        raise TypeError(f"items must be texts or pairs of a text and a word, got {item!r}")
    if not text.strip():
        raise ValueError(f"text must have at least one character, got {'spaces' if text else 'an empty text'}")
    if not word.strip() or word not in text:
        raise ValueError(f"word must be a part of the text {text!r}, got {word!r}")
    return text, word


def _places(model: CausalLM | Encoder, text: str, word: str) -> list[int]:
    """The tokens of `word` at its last place in `text`; of a causal LM only the last of them."""
    if not model.tokenizer.is_fast:
        raise ValueError(
            "tokenizer must be a fast one, which says where each token is in the text, got "
            f"{type(model.tokenizer).__name__}"
        )
    begin = text.rindex(word)
    offsets = model.tokenizer(text, return_offsets_mapping=True, verbose=False)["offset_mapping"]
    places = [i for i, (first, end) in enumerate(offsets) if first < begin + len(word) and end > begin]
    if not places:
        raise ValueError(f"text must have a token for its word {word!r} in {model.name}, got {text!r}")
    return places[-1:] if isinstance(model, CausalLM) else places


def _hidden_states(model: CausalLM | Encoder, ids: torch.Tensor) -> torch.Tensor:
    """What every layer made of one text, `(layer + 1, seq, hidden)`."""
    inputs = generation_inputs(model.model, ids[None]) if isinstance(model, CausalLM) else {"input_ids": ids[None]}
    found = getattr(model.model(**inputs, output_hidden_states=True), "hidden_states", None)
    shapes = {tuple(layer.shape) for layer in found or ()}
    if len(shapes) != 1 or len(found[0].shape) != 3 or found[0].shape[:2] != (1, len(ids)):
        raise ValueError(
            f"model must return a vector per token from every layer, got {model.name} with {shapes or None}"
        )
    return torch.cat(found)
