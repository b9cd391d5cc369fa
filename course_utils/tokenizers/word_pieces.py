"""WordPiece: from the left, take the longest piece of a word that the vocabulary has.

Source: Schuster and Nakajima (2012), Japanese and Korean Voice Search; in BERT: Devlin et al. (2019).
Lesson: 05 · From text to vectors
"""

import json
import unicodedata
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Self

from transformers import PreTrainedTokenizerBase

from course_utils.tokenizers.byte_pairs import special_parts

UNKNOWN = "[UNK]"
_CHINESE = (
    (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F), (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF), (0x2F800, 0x2FA1F),
)  # fmt: skip


def longest_matches(word: str, vocabulary: Collection[str], longest_word: int = 100) -> list[tuple[str, int]]:
    """Cut `word` into pieces, longest first; return each piece and how many candidates were looked up for it.

    A piece that continues the word is written with ## in front. A word with a rest that is not in the vocabulary is
    unknown as a whole.

    Args:
        word: Characters without spaces.
        longest_word: A longer word is unknown without a look.

    Source: Devlin et al. (2019), BERT. Equals the WordPiece model of `tokenizers`.

    >>> longest_matches("tokens", {"token", "to", "##s", "##ken"})
    [('token', 2), ('##s', 1)]
    >>> longest_matches("tokyo", {"to", "##k"})
    [('[UNK]', 9)]
    """
    if len(word) > longest_word:
        return [(UNKNOWN, 0)]
    pieces, start, tries_in_all = [], 0, 0
    while start < len(word):
        candidates = [("##" if start else "") + word[start:end] for end in range(len(word), start, -1)]
        tries = next((number for number, piece in enumerate(candidates, 1) if piece in vocabulary), None)
        tries_in_all += tries or len(candidates)
        if tries is None:
            return [(UNKNOWN, tries_in_all)]
        pieces.append((candidates[tries - 1], tries))
        start += len(candidates[tries - 1]) - (2 if start else 0)
    return pieces


@dataclass(frozen=True)
class WordPieces:
    """What a WordPiece tokenizer of the BERT family has learned, and the tokens that follow from it.

    Args:
        ids: The id of every piece.
        special: Tokens that are looked for in the text before everything else.
        lowercase: Small letters only, without accents.
        longest_word: A longer word is unknown.

    >>> from course_utils.models import load_encoder
    >>> rules = WordPieces.of(load_encoder().tokenizer)
    >>> [piece for word in rules.words("Tokenized!") for piece, _ in longest_matches(word, rules.ids)]
    ['token', '##ized', '!']
    """

    ids: dict[str, int]
    special: dict[str, int]
    lowercase: bool
    longest_word: int = 100

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase) -> Self:
        """Read the rules of a tokenizer of `transformers` out of its own `tokenizer.json`.

        Raises:
            ValueError: The tokenizer is not WordPiece of the BERT family.
        """
        rules = json.loads(tokenizer.backend_tokenizer.to_str())
        model, normalizer = rules["model"], rules["normalizer"] or {}
        if model["type"] != "WordPiece" or normalizer.get("type") != "BertNormalizer":
            raise ValueError(f"tokenizer must be WordPiece as in BERT, got {model['type']}")
        special = {token["content"]: token["id"] for token in rules["added_tokens"]}
        return cls(model["vocab"], special, normalizer["lowercase"], model["max_input_chars_per_word"])

    def words(self, text: str) -> Iterator[str]:
        """Cut `text` into words: small letters, no accents, cut at spaces, punctuation and Chinese characters.

        >>> list(WordPieces({}, {"[MASK]": 0}, lowercase=True).words("Café, 你好 [MASK]"))
        ['cafe', ',', '你', '好', '[MASK]']
        """
        for part in special_parts(text, self.special):
            if part in self.special:
                yield part
            else:
                spaced = "".join(f" {c} " if _is_punctuation(c) else c for c in self._normalised(part))
                yield from spaced.split()

    def encode_word(self, word: str) -> list[int]:
        """Turn one of `words` into token ids."""
        if word in self.special:
            return [self.special[word]]
        return [self.ids[piece] for piece, _ in longest_matches(word, self.ids, self.longest_word)]

    def encode(self, text: str) -> list[int]:
        """Turn `text` into token ids; equals the tokenizer with `add_special_tokens=False`.

        What counts as punctuation is Python's table of Unicode; `tokenizers` has an older one, without the marks of
        the last years.
        """
        return [token for word in self.words(text) for token in self.encode_word(word)]

    def _normalised(self, text: str) -> str:
        text = "".join(map(_cleaned, text))
        if not self.lowercase:
            return text
        without_accents = (c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c) != "Mn")
        return "".join(c.lower() for c in without_accents)


def _cleaned(character: str) -> str:
    """Every kind of space as a space, no control characters, and spaces around Chinese characters."""
    if character in "\t\n\r":
        return " "
    if character == "\ufffd" or unicodedata.category(character) in ("Cc", "Cf", "Co", "Cs"):
        return ""
    if character.isspace():
        return " "
    return f" {character} " if any(low <= ord(character) <= high for low, high in _CHINESE) else character


def _is_punctuation(character: str) -> bool:
    """All printable ASCII that is no letter, digit or space counts, such as $ and ^, which Unicode calls symbols."""
    if character.isascii():
        return character.isprintable() and not character.isalnum() and character != " "
    return unicodedata.category(character).startswith("P")
