"""Reading the training data: gzipped JSON lines, a folder a data set."""

import gzip
import json
import re
from collections.abc import Iterable
from pathlib import Path

WORDS: dict[str, list[str]] = json.loads(Path(__file__).with_name("words.json").read_text(encoding="utf-8"))


def read_rows(data: Path, *names: str) -> list[dict]:
    """Read the rows of the files `names` (`"sst2/train"`) under `data`, one after the other.

    Raises:
        FileNotFoundError: One of them is not there.
    """
    rows = []
    for name in names:
        file = data / f"{name}.jsonl.gz"
        if not file.is_file():
            raise FileNotFoundError(f"{file} is missing: --data must be a folder laid out as training/README.md says")
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            rows.extend(json.loads(line) for line in lines)
    return rows


def plain_words(text: str) -> list[str]:
    """Return the words of `text` without case and punctuation, to compare texts that were tokenized differently.

    >>> plain_words("It 's a charm !")
    ['it', 's', 'a', 'charm']
    """
    return re.findall(r"[a-z0-9]+", text.lower())


class Overlap:
    """Finds texts that share a long run of words with texts that must stay unseen.

    Args:
        texts: The texts of a test set.
        run: How many words in a row count as a copy; a shorter text counts only as a whole.

    >>> "Quite a GOOD film." in Overlap(["quite a good film"])
    True
    """

    def __init__(self, texts: Iterable[str], run: int = 7) -> None:
        self.run = run
        self.seen = {piece for text in texts for piece in self._pieces(text)}

    def __contains__(self, text: str) -> bool:
        return any(piece in self.seen for piece in self._pieces(text))

    def _pieces(self, text: str) -> list[tuple[str, ...]]:
        words = plain_words(text)
        return [tuple(words[i : i + self.run]) for i in range(max(1, len(words) - self.run + 1))]
