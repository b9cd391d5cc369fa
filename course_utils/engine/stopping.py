"""When a text ends, and why: end-of-sequence tokens, the longest and shortest length, stop strings.

Lesson: 12 · Repetition, length and stopping
"""

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import torch
from transformers import PreTrainedTokenizerBase

from course_utils.engine.special_tokens import SearchedText

HALF_CHARACTER = "\ufffd"  # what the first bytes of a character decode to, until the rest of them come


class StopReason(StrEnum):
    """Why a generation ended.

    >>> StopReason.EOS == "eos"
    True
    """

    EOS = "eos"
    STOP_STRING = "stop_string"
    MAX_NEW_TOKENS = "max_new_tokens"
    CONTEXT_LENGTH = "context_length"


def mask_eos(logits: torch.Tensor, eos_ids: Collection[int]) -> torch.Tensor:
    """Remove (−∞) the end-of-sequence tokens from logits `(batch, vocab)`: the text cannot end here.

    Equals `MinNewTokensLengthLogitsProcessor` as long as the text is too short.

    >>> mask_eos(torch.zeros(1, 3), eos_ids=[2])
    tensor([[0., 0., -inf]])
    """
    ends = torch.tensor(list(eos_ids), dtype=torch.long, device=logits.device)
    return logits.masked_fill(torch.isin(torch.arange(logits.shape[-1], device=logits.device), ends), -math.inf)


class StopStringBuffer:
    """Let text through, but hold back whatever could still become a stop string.

    Args:
        stop_strings: None of them is ever shown; the first to be complete ends the text.

    Raises:
        ValueError: A stop string is empty or not a str.

    >>> buffer = StopStringBuffer(["###"])
    >>> [buffer.push(text) for text in ["Yes", " #", "1 ", "##", "# no"]]
    ['Yes', ' ', '#1 ', '', '']
    >>> buffer.found
    '###'
    """

    def __init__(self, stop_strings: Sequence[str]) -> None:
        check_stop_strings(stop_strings)
        self.stop_strings = stop_strings
        self.held = ""
        self.found: str | None = None

    def push(self, text: str) -> str:
        """Take new text; return what may be shown now. After a stop string nothing more may."""
        if self.found is not None:
            return ""
        self.held += text
        starts = {self.held.find(stop): stop for stop in self.stop_strings if stop in self.held}
        if starts:
            shown, self.found = self.held[: min(starts)], starts[min(starts)]
            self.held = ""
            return shown
        return self._let_through(len(self.held) - self._longest_possible_start())

    def finish(self) -> str:
        """Return what was held back: no more text will come."""
        return self._let_through(len(self.held))

    def _longest_possible_start(self) -> int:
        """Return how many characters at the end of the text are the beginning of a stop string."""
        longest = max(map(len, self.stop_strings), default=1) - 1
        for length in range(min(longest, len(self.held)), 0, -1):
            if any(stop.startswith(self.held[-length:]) for stop in self.stop_strings):
                return length
        return 0

    def _let_through(self, length: int) -> str:
        shown, self.held = self.held[:length], self.held[length:]
        return shown


class TextStream:
    r"""Turn tokens into text one by one, without half characters and without stop strings.

    >>> from course_utils.models import load_causal_lm
    >>> tokenizer = load_causal_lm().tokenizer
    >>> stream = TextStream(tokenizer, ["\n"])
    >>> [stream.push(token) for token in tokenizer("Hi 🦜\nthere").input_ids]
    ['Hi', ' ', '', '🦜', '', '']
    >>> stream.text
    'Hi 🦜'
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, stop_strings: Sequence[str] = ()) -> None:
        self.searched = SearchedText(tokenizer, stop_strings)
        self.buffer = StopStringBuffer(stop_strings)
        self.ids: list[int] = []
        self.decoded = ""
        self.text = ""
        self._passed = 0
        self._special_places: set[int] = set()

    def push(self, token: int) -> str:
        """Take one token; return the text that may be shown now."""
        self.ids.append(token)
        whole_characters = self.searched.of(self.ids).rstrip(HALF_CHARACTER)
        self._mark_special_words(token, end=len(whole_characters))
        return self._show(self.buffer.push(self._new_part_of(whole_characters)))

    def finish(self) -> str:
        """Return what was held back: no more tokens will come."""
        rest = self._new_part_of(self.searched.of(self.ids))
        return self._show(self.buffer.push(rest) + self.buffer.finish())

    def _mark_special_words(self, token: int, end: int) -> None:
        special_words = self.searched.spelled.get(token, "")
        self._special_places.update(range(end - len(special_words), end))

    def _new_part_of(self, decoded: str) -> str:
        new = decoded[len(self.decoded) :]
        self.decoded += new
        return new

    def _show(self, passed: str) -> str:
        shown = "".join(char for place, char in enumerate(passed, self._passed) if place not in self._special_places)
        self._passed += len(passed)
        self.text += shown
        return shown


@dataclass(frozen=True)
class StopRules:
    """What ends a text.

    Args:
        reason_at_limit: What to say at that limit.
        tokenizer: Turns tokens into text; stop strings need it.

    Raises:
        ValueError: There are stop strings without a tokenizer.

    >>> rules = StopRules(eos_ids=(2,), max_new_tokens=3)
    >>> [rules.reason(tokens) for tokens in ([5], [5, 2], [5, 6, 7])]
    [None, <StopReason.EOS: 'eos'>, <StopReason.MAX_NEW_TOKENS: 'max_new_tokens'>]
    """

    eos_ids: Collection[int]
    max_new_tokens: int
    reason_at_limit: StopReason = StopReason.MAX_NEW_TOKENS
    stop_strings: Sequence[str] = ()
    tokenizer: PreTrainedTokenizerBase | None = None

    def __post_init__(self) -> None:
        if self.stop_strings and self.tokenizer is None:
            raise ValueError(f"tokenizer must be given with stop_strings, got None with {self.stop_strings!r}")

    @cached_property
    def _searched(self) -> SearchedText:
        return SearchedText(self.tokenizer, self.stop_strings)

    def reason(self, tokens: Sequence[int]) -> StopReason | None:
        """Tell why a text ends with the last of its new `tokens`; None: it continues."""
        if tokens[-1] in self.eos_ids:
            return StopReason.EOS
        if self.stop_strings:
            text = self._searched.of(tokens)
            if any(stop in text for stop in self.stop_strings):
                return StopReason.STOP_STRING
        return self.reason_at_limit if len(tokens) >= self.max_new_tokens else None


def check_stop_strings(stop_strings: Sequence[str]) -> None:
    """Raise a ValueError in one sentence unless `stop_strings` is a list of texts, none of them empty."""
    is_list = isinstance(stop_strings, Iterable) and not isinstance(stop_strings, str)
    if not is_list or not all(isinstance(stop, str) and stop for stop in stop_strings):
        raise ValueError(f"stop_strings must be a list of str, none of them empty, got {stop_strings!r}")
