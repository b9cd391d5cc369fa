"""Every piece that exists on the way from a text to its tokens, and the step that makes it.

Lesson: 05 · From text to vectors
"""

from collections.abc import Sequence

import numpy as np

from course_utils.tokenizers.byte_pairs import BytePairs, byte_letters, next_pair
from course_utils.tokenizers.word_pieces import UNKNOWN, WordPieces, longest_matches

NO_ID, NEVER = -1, 2**31 - 1
Rules = BytePairs | WordPieces


class TokenPieces:
    """Tokenize words step by step and keep every piece.

    Args:
        rules: What the tokenizer has learned.
        words: What `rules.words` cut the text into; no token crosses them.
        names: Every token of the vocabulary as visible text.

    >>> rules = BytePairs({"a": 0, "n": 1, "an": 2}, {("a", "n"): 0}, {}, False)
    >>> TokenPieces(rules, ["ana"], ["a", "n", "an"]).pieces.tolist()
    [[0, 1, 0, 1, 0], [1, 2, 0, 1, 1], [2, 3, 0, 2147483647, 0], [0, 2, 1, 2147483647, 2]]
    """

    def __init__(self, rules: Rules, words: Sequence[str], names: Sequence[str]) -> None:
        self.rules, self.names = rules, names
        self.atoms: list[str] = []
        self.labels: list[str] = []
        self.steps: list[tuple[str, tuple[str, ...], int]] = []
        self._rows: list[list[int]] = []
        spans = [self._begin(word) for word in words]
        self._words = [span for span in spans if span[0] < span[1]]  # a word may be lost: see BytePairs.symbols
        if isinstance(rules, BytePairs):
            self._merge()
        else:
            self._match(words)

    @property
    def words(self) -> np.ndarray:
        """First atom, atom after the last, 1 for a special token: `(word, 3)`."""
        return np.array(self._words, dtype=np.int64).reshape(-1, 3)

    @property
    def pieces(self) -> np.ndarray:
        """First atom, atom after the last, step that makes it, step that uses it up, token id: `(piece, 5)`."""
        return np.array(self._rows, dtype=np.int64).reshape(-1, 5)

    def _begin(self, word: str) -> tuple[int, int, int]:
        """Lay down the atoms of `word`: bytes or characters; a special token is one atom."""
        first = len(self.atoms)
        if word in self.rules.special:
            atoms = [(word.encode(), self.rules.special[word])]
        elif isinstance(self.rules, BytePairs):
            codes = {letter: byte for byte, letter in byte_letters().items()}
            atoms = [(bytes([codes[symbol]]), self.rules.ids[symbol]) for symbol in self.rules.symbols(word)]
        else:
            atoms = [(character.encode(), NO_ID) for character in word]
        for place, (code, token) in enumerate(atoms, start=first):
            self.atoms.append(code.hex(" ").upper())
            self._add(place, place + 1, 0, token, code.decode() if token == NO_ID else self.names[token])
        return first, len(self.atoms), int(word in self.rules.special)

    def _add(self, first: int, end: int, step: int, token: int, label: str) -> int:
        self._rows.append([first, end, step, NEVER, token])
        self.labels.append(label)
        return len(self._rows) - 1

    def _join(self, parts: Sequence[int], token: int) -> int:
        """Use pieces up for a new one that is as long as they are, in the step that was noted last."""
        for part in parts:
            self._rows[part][3] = len(self.steps)
        return self._add(self._rows[parts[0]][0], self._rows[parts[-1]][1], len(self.steps), token, self.names[token])

    def _merge(self) -> None:
        """Merge byte pairs in the order of training, each one everywhere in the text."""
        tokens = {token: symbol for symbol, token in self.rules.ids.items()}
        symbols, places = [], []
        for first, end, is_special in self._words:
            inside = range(first, first if is_special else end)
            symbols += [*(tokens[self._rows[atom][4]] for atom in inside), None]  # words do not merge with each other
            places += [*inside, NO_ID]
        while pair := next_pair(symbols, self.rules.ranks):
            made = "".join(pair)
            label, *parts = (self.names[self.rules.ids[symbol]] for symbol in (made, *pair))
            self.steps.append((label, tuple(parts), self.rules.ranks[pair] + 1))
            for place in range(len(symbols)):
                if tuple(symbols[place : place + 2]) == pair:
                    places[place : place + 2] = [self._join(places[place : place + 2], self.rules.ids[made])]
                    symbols[place : place + 2] = [made]

    def _match(self, words: Sequence[str]) -> None:
        """Take the longest piece of the vocabulary from the left, word after word."""
        for word, (first, end, is_special) in zip(words, self._words, strict=True):
            for piece, tries in [] if is_special else longest_matches(word, self.rules.ids, self.rules.longest_word):
                until = end if piece == UNKNOWN else first + len(piece.removeprefix("##"))
                self.steps.append((piece, ("".join(self.labels[first:end]),), tries))
                self._join(range(first, until), self.rules.ids[piece])
                first = until
