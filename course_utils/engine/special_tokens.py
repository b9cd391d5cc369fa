"""Special tokens in the search for stop strings: a reader never sees them, but a stop string may name one.

Lesson: 12 · Repetition, length and stopping
"""

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase


class SearchedText:
    """What tokens say to a search for stop strings.

    Special tokens are left out, as in the text for the reader, unless a stop string could meet them. `<|im_end|>` is
    spelled out if one of the stop strings is `<|im_end|>`, or begins or ends inside it.

    >>> from course_utils.models import load_causal_lm
    >>> tokenizer = load_causal_lm().tokenizer
    >>> ids = tokenizer("Hi<|im_end|>").input_ids
    >>> [SearchedText(tokenizer, stop_strings).of(ids) for stop_strings in (["###"], ["<|im_end|>"])]
    ['Hi', 'Hi<|im_end|>']
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, stop_strings: Sequence[str]) -> None:
        self.tokenizer = tokenizer
        added = getattr(tokenizer, "added_tokens_decoder", {})
        special = {id: token.content for id, token in added.items() if token.special}
        # Of the special tokens that a stop string could meet: their words.
        self.spelled = {id: words for id, words in special.items() if any(_meet(words, stop) for stop in stop_strings)}
        self.silent = special.keys() - self.spelled.keys()

    def of(self, ids: Sequence[int]) -> str:
        """Return what `ids` say."""
        if not self.spelled:
            return self.tokenizer.decode(ids, skip_special_tokens=True)
        return self.tokenizer.decode([id for id in ids if id not in self.silent], skip_special_tokens=False)


def _meet(words: str, stop: str) -> bool:
    """Whether a text can hold both so that they overlap."""
    if not words or stop in words or words in stop:
        return bool(words)
    overlaps = range(1, min(len(words), len(stop)))
    return any(words.endswith(stop[:size]) or stop.endswith(words[:size]) for size in overlaps)
