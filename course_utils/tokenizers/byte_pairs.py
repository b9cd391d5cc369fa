"""Byte-pair encoding: bytes become tokens by merging the pair that was merged earliest in training.

Source: Sennrich et al. (2016), Neural Machine Translation of Rare Words with Subword Units; on bytes: Radford et
al. (2019), Language Models are Unsupervised Multitask Learners (GPT-2).
Lesson: 05 · From text to vectors
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Self

import regex
from transformers import PreTrainedTokenizerBase

Pair = tuple[str, str]

# GPT-2's rule: no merge crosses from one of these words into the next.
_WORDS = regex.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")
_ONE_DIGIT = regex.compile(r"(\p{N})")


@cache
def byte_letters() -> dict[int, str]:
    """Return the printable letter that stands for each of the 256 bytes in GPT-2's and SmolLM2's vocabulary.

    A byte that is printable in Latin-1 stands for itself; the others get the letters from U+0100 on. So a space,
    byte 32, is written Ġ.

    Source: Radford et al. (2019), GPT-2. Equals `bytes_to_unicode` of `transformers`.

    >>> "".join(byte_letters()[byte] for byte in " né".encode())
    'ĠnÃ©'
    """
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + i) for i, byte in enumerate(others)}


def merge_pair(symbols: Sequence[str], pair: Pair) -> list[str]:
    """Write every `pair` of neighbours as one symbol, from left to right.

    Source: Sennrich et al. (2016), algorithm 1.

    >>> merge_pair(["b", "a", "n", "a", "n", "a"], ("a", "n"))
    ['b', 'an', 'an', 'a']
    """
    merged = []
    for symbol in symbols:
        if merged and (merged[-1], symbol) == pair:
            merged[-1] += symbol
        else:
            merged.append(symbol)
    return merged


def next_pair(symbols: Sequence[str], ranks: Mapping[Pair, int]) -> Pair | None:
    """Return the pair of neighbours that was merged earliest in training; None when no pair can be merged.

    >>> next_pair(["t", "h", "e"], {("h", "e"): 3, ("t", "h"): 27})
    ('h', 'e')
    """
    best = min(pairwise(symbols), key=lambda pair: ranks.get(pair, len(ranks)), default=None)
    return best if best in ranks else None


@dataclass(frozen=True)
class BytePairs:
    """What a byte-level BPE tokenizer has learned, and the tokens that follow from it.

    Args:
        ids: The id of every token, in the letters of `byte_letters`.
        ranks: The place of every merge in the order of training; 0 was merged first.
        special: Tokens that are looked for in the text before everything else.
        single_digits: Every digit is a word of its own, as in SmolLM2.

    >>> from course_utils.models import load_causal_lm
    >>> rules = BytePairs.of(load_causal_lm().tokenizer)
    >>> rules.encode("Hello world"), len(rules.ranks)
    ([19556, 905], 48900)
    """

    ids: dict[str, int]
    ranks: dict[Pair, int]
    special: dict[str, int]
    single_digits: bool

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase) -> Self:
        """Read the rules of a tokenizer of `transformers` out of its own `tokenizer.json`.

        Raises:
            ValueError: The tokenizer is not byte-level BPE.
        """
        rules = json.loads(tokenizer.backend_tokenizer.to_str())
        before = rules["pre_tokenizer"] or {}
        steps = {step["type"]: step for step in before.get("pretokenizers", [before]) if step}
        plain = rules["normalizer"] is None and steps.get("ByteLevel", {}).get("add_prefix_space") is False
        if rules["model"]["type"] != "BPE" or not plain or not steps.keys() <= {"ByteLevel", "Digits"}:
            raise ValueError(f"tokenizer must be byte-level BPE, got {rules['model']['type']} with {list(steps)}")
        return cls(
            rules["model"]["vocab"],
            {tuple(pair): rank for rank, pair in enumerate(rules["model"]["merges"])},
            {token["content"]: token["id"] for token in rules["added_tokens"]},
            "Digits" in steps,
        )

    def words(self, text: str) -> Iterator[str]:
        """Cut `text` where no merge may cross: at special tokens, digits, words with the space before them.

        >>> rules = BytePairs({}, {}, {"<end>": 0}, single_digits=True)
        >>> list(rules.words("It's 42 now.<end>"))
        ['It', "'s", ' ', '4', '2', ' now', '.', '<end>']
        """
        for part in special_parts(text, self.special):
            if part in self.special:
                yield part
                continue
            for piece in _ONE_DIGIT.split(part) if self.single_digits else [part]:
                yield from _WORDS.findall(piece)

    def symbols(self, word: str) -> list[str]:
        """Write `word` as one symbol per byte; a byte that the vocabulary does not have is dropped.

        >>> BytePairs({"Ġ": 0, "a": 1}, {}, {}, False).symbols(" ab")
        ['Ġ', 'a']
        """
        return [letter for letter in map(byte_letters().get, word.encode()) if letter in self.ids]

    def encode_word(self, word: str) -> list[int]:
        """Turn one of `words` into token ids: merge until no pair is left that was merged in training."""
        if word in self.special:
            return [self.special[word]]
        symbols = self.symbols(word)
        while pair := next_pair(symbols, self.ranks):
            symbols = merge_pair(symbols, pair)
        return [self.ids[symbol] for symbol in symbols]

    def encode(self, text: str) -> list[int]:
        """Turn `text` into token ids; equals the tokenizer without its template of special tokens."""
        return [token for word in self.words(text) for token in self.encode_word(word)]


def special_parts(text: str, special: Mapping[str, int]) -> list[str]:
    """Cut `text` at special tokens; where two begin at the same place, the longer one counts.

    >>> special_parts("Hi<end>you", {"<end>": 0})
    ['Hi', '<end>', 'you']
    """
    if not special:
        return [text]
    longest_first = sorted(special, key=len, reverse=True)
    return [part for part in regex.split("(" + "|".join(map(regex.escape, longest_first)) + ")", text) if part]
