"""How a text became tokens: every piece that existed on the way, and the step that made it.

Lesson: 05 · From text to vectors
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from transformers import PreTrainedTokenizerBase

from course_utils.measuring.memory import kv_cache_bytes
from course_utils.measuring.model_shapes import ModelShape
from course_utils.models import CausalLM, Encoder
from course_utils.tokenizers.byte_pairs import BytePairs
from course_utils.tokenizers.word_pieces import WordPieces
from course_utils.traces.base import Trace
from course_utils.traces.token_pieces import Rules, TokenPieces

MOST_TOKENS = 200
MOST_CHARACTERS = 20_000
LONGEST_WORD = 1_000  # bytes


@dataclass(frozen=True)
class TokenizationTrace(Trace):
    """The steps from a text to its tokens. A piece is seen from the step that makes it to the one that uses it up.

    Args:
        model: Name of the model.
        kind: "byte pairs" or "word pieces".
        text: What was tokenized.
        atoms: The bytes of what the first step begins with, as hexadecimal numbers: one byte each, or one character.
        words: `(word, 3)`: first atom, atom after the last, 1 for a special token. No token crosses words.
        pieces: `(piece, 5)`: first atom, atom after the last, step that makes it, step that uses it up, token id
            (−1: it is no token yet).
        labels: Every piece as visible text.
        steps: Of each step: what it made, from what, and where that is: the number of the merge, or how many
            candidates were looked up.
        tokens: How many tokens the whole text has; the pieces are those of the first 200.
        context_length: The most tokens the model reads at once; 0: it knows no limit.
        cache_bytes_per_token: What one token takes in the KV cache; 0 for an encoder, which keeps none, and −1 where it
            isn't the same for every token, as with a sliding window or a state.

    Raises:
        ValueError: A piece has no label.

    >>> words, pieces = np.array([[0, 1, 0]]), np.array([[0, 1, 0, 1, 5]])
    >>> toy = TokenizationTrace("toy", "byte pairs", "a", ("61",), words, pieces, ("a",), (), 1, 8, 4)
    >>> [toy.labels[piece] for piece in toy.seen_at(0)]
    ['a']
    """

    model: str
    kind: str
    text: str
    atoms: tuple[str, ...]
    words: np.ndarray
    pieces: np.ndarray
    labels: tuple[str, ...]
    steps: tuple[tuple[str, tuple[str, ...], int], ...]
    tokens: int
    context_length: int
    cache_bytes_per_token: int

    def __post_init__(self) -> None:
        self.check_rows("piece", len(self.pieces), ("labels",))

    def seen_at(self, step: int) -> list[int]:
        """Return the pieces that are there after `step` steps, from left to right."""
        seen = np.flatnonzero((self.pieces[:, 2] <= step) & (self.pieces[:, 3] > step))
        return sorted(seen.tolist(), key=lambda piece: self.pieces[piece, 0])


def record_tokenization(model: CausalLM | Encoder, text: str, special: bool = False) -> TokenizationTrace:
    """Tokenize `text` step by step, with the rules of the model's own tokenizer.

    Args:
        model: A model whose tokenizer is byte-level BPE, or WordPiece as in BERT.
        text: Any text, also one that is too long for the model.
        special: Put the special tokens around it: the chat template, or `[CLS]` and `[SEP]`.

    Raises:
        TypeError: `text` is not a str.
        ValueError: `text` has no token or over 20,000 characters, or one of its words over 1,000 bytes, or the
            tokenizer is of another kind.

    >>> from course_utils.models import load_causal_lm
    >>> trace = record_tokenization(load_causal_lm(), " the")
    >>> trace.steps
    (('␣t', ('␣', 't'), 1), ('he', ('h', 'e'), 4), ('␣the', ('␣t', 'he'), 9))
    """
    _check_text(text)
    rules = _rules(model.tokenizer)
    words, tokens = _first_words(rules, _words(model, rules, text, special))
    if not tokens:
        raise ValueError(f"text must have at least one token for {model.name}, got {text!r}")
    made = TokenPieces(rules, words, model.labels)
    return TokenizationTrace(
        model.name,
        "byte pairs" if isinstance(rules, BytePairs) else "word pieces",
        text,
        tuple(made.atoms),
        made.words,
        made.pieces,
        tuple(made.labels),
        tuple(made.steps),
        tokens,
        model.context_length or 0,
        _cache_bytes_per_token(model) if isinstance(model, CausalLM) else 0,
    )


def _cache_bytes_per_token(model: CausalLM) -> int:
    try:
        shape = ModelShape.of(model.name, model.model)
    except ValueError:
        return -1
    return int(kv_cache_bytes(shape, 1, bytes_per_number=model.model.dtype.itemsize))


def _check_text(text: str) -> None:
    if not isinstance(text, str):
        raise TypeError(f"text must be a str, got {type(text).__name__}: {text!r}")
    if not 0 < len(text) <= MOST_CHARACTERS:
        raise ValueError(f"text must have 1 … {MOST_CHARACTERS:,} characters, got {len(text):,}")


@cache
def _rules(tokenizer: PreTrainedTokenizerBase) -> Rules:
    if not tokenizer.is_fast:
        raise ValueError("tokenizer must be a fast one, whose rules can be read, got " + type(tokenizer).__name__)
    kind = type(tokenizer.backend_tokenizer.model).__name__
    return WordPieces.of(tokenizer) if kind == "WordPiece" else BytePairs.of(tokenizer)


def _words(model: CausalLM | Encoder, rules: Rules, text: str, special: bool) -> list[str]:
    tokenizer = model.tokenizer
    if not special:
        return list(rules.words(text))
    if tokenizer.chat_template:
        chat = [{"role": "user", "content": text}]
        return list(rules.words(tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)))
    around = [[token] if token else [] for token in (tokenizer.cls_token, tokenizer.sep_token)]
    return [*around[0], *rules.words(text), *around[1]]


def _first_words(rules: Rules, words: list[str]) -> tuple[list[str], int]:
    """The words that hold the first 200 tokens, and how many tokens there are in all."""
    longest = max((len(word.encode()) for word in words), default=0)
    if longest > LONGEST_WORD:
        raise ValueError(f"text must have words of at most {LONGEST_WORD:,} bytes, got one of {longest:,}")
    shown, tokens = [], 0
    for word in words:
        if tokens < MOST_TOKENS:
            shown.append(word)
        tokens += len(rules.encode_word(word))
    return shown, tokens
