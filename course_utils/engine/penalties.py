"""Penalties: lower the logits of what the text already holds.

Every penalty takes logits `(batch, vocab)` and the token ids that count, `(batch, seq)`. Which tokens count is up to
the caller: `Penalty` offers both choices, as a processor for `model.generate(logits_processor=[...])`.

Lesson: 12 · Repetition, length and stopping
"""

import math

import torch
from transformers import LogitsProcessor

from course_utils.engine.arguments import check_number, check_whole


def token_counts(ids: torch.Tensor, vocabulary: int) -> torch.Tensor:
    """Count how often each token of the vocabulary occurs in `ids` `(batch, seq)`; `(batch, vocab)`.

    >>> token_counts(torch.tensor([[2, 0, 2]]), vocabulary=4)
    tensor([[1, 0, 2, 0]])
    """
    return ids.new_zeros(ids.shape[0], vocabulary).scatter_add(1, ids, torch.ones_like(ids))


def apply_presence_penalty(logits: torch.Tensor, ids: torch.Tensor, penalty: float) -> torch.Tensor:
    """Subtract `penalty` from the logit of every token that occurs in `ids`, however often; `(batch, vocab)`.

    Args:
        penalty: −2 to 2; 0 changes nothing, below 0 invites repetition.

    Raises:
        ValueError: `penalty` is not in [−2, 2].

    Source: OpenAI API reference, `presence_penalty`; `transformers` has none.

    >>> apply_presence_penalty(torch.zeros(1, 3), torch.tensor([[0, 2, 2]]), 0.5)
    tensor([[-0.5000,  0.0000, -0.5000]])
    """
    penalty = check_additive("presence_penalty", penalty)
    return logits - penalty * (token_counts(ids, logits.shape[-1]) > 0)


def apply_frequency_penalty(logits: torch.Tensor, ids: torch.Tensor, penalty: float) -> torch.Tensor:
    """Subtract `penalty` from a token's logit once for every time it occurs in `ids`; `(batch, vocab)`.

    Args:
        penalty: −2 to 2; 0 changes nothing, below 0 invites repetition.

    Raises:
        ValueError: `penalty` is not in [−2, 2].

    Source: OpenAI API reference, `frequency_penalty`; `transformers` has none.

    >>> apply_frequency_penalty(torch.zeros(1, 3), torch.tensor([[0, 2, 2]]), 0.5)
    tensor([[-0.5000,  0.0000, -1.0000]])
    """
    penalty = check_additive("frequency_penalty", penalty)
    return logits - penalty * token_counts(ids, logits.shape[-1])


def apply_repetition_penalty(logits: torch.Tensor, ids: torch.Tensor, penalty: float) -> torch.Tensor:
    """Divide the logit of every token in `ids` by `penalty` if positive, multiply if negative; `(batch, vocab)`.

    The sign rule is needed because dividing a negative logit by 1.2 would make the token more likely.

    Args:
        penalty: Above 0; 1 changes nothing, below 1 invites repetition.

    Raises:
        ValueError: `penalty` is not a finite number above 0.

    Source: Keskar et al. (2019), CTRL. Equals `RepetitionPenaltyLogitsProcessor`.

    >>> apply_repetition_penalty(torch.tensor([[2.0, 2.0, -2.0]]), torch.tensor([[0, 2]]), 2.0)
    tensor([[ 1.,  2., -4.]])
    """
    penalty = check_repetition("repetition_penalty", penalty)
    penalised = torch.where(logits > 0, logits / penalty, logits * penalty)
    return torch.where(token_counts(ids, logits.shape[-1]) > 0, penalised, logits)


def ban_repeated_ngrams(logits: torch.Tensor, ids: torch.Tensor, size: int) -> torch.Tensor:
    """Remove (−∞) every token that would complete a run of `size` tokens already in `ids`; `(batch, vocab)`.

    Args:
        size: At least 1; 1 forbids every token to come twice.

    Raises:
        ValueError: `size` is not a whole number of at least 1.

    Source: Paulus, Xiong and Socher (2017). Equals `NoRepeatNGramLogitsProcessor`.

    >>> ban_repeated_ngrams(torch.zeros(1, 4), torch.tensor([[1, 2, 3, 1]]), size=2)
    tensor([[0., 0., -inf, 0.]])
    """
    size = check_ngram("no_repeat_ngram", size)
    logits = logits.clone()
    for row, text in enumerate(ids.tolist()):
        start = len(text) - size + 1
        ending = text[start:] if size > 1 else []
        for position in range(max(start, 0)):
            if text[position : position + size - 1] == ending:
                logits[row, text[position + size - 1]] = -math.inf
    return logits


def check_additive(name: str, value: float) -> float:
    """Return `value`; raise a ValueError in one sentence unless it is in [−2, 2], the range of the OpenAI API."""
    return check_number(name, value, "in [-2, 2]", lambda v: -2 <= v <= 2)


def check_repetition(name: str, value: float) -> float:
    """Return `value`; raise a ValueError in one sentence unless it is a finite number above 0."""
    return check_number(name, value, "a finite number above 0", lambda v: 0 < v < math.inf)


def check_ngram(name: str, value: int) -> int:
    """Return `value`; raise a ValueError in one sentence unless it is a whole number of at least 1."""
    return check_whole(name, value, 1)


# Of each: what it does, what settings it allows, and whether the prompt counts. For presence and frequency OpenAI
# counts what was sampled; CTRL and transformers penalise the prompt's tokens too.
PENALTIES = {
    "repetition_penalty": (apply_repetition_penalty, check_repetition, True),
    "no_repeat_ngram": (ban_repeated_ngrams, check_ngram, True),
    "presence_penalty": (apply_presence_penalty, check_additive, False),
    "frequency_penalty": (apply_frequency_penalty, check_additive, False),
}


class Penalty(LogitsProcessor):
    """One penalty with its setting, for `model.generate(logits_processor=[...])` and for the course's `generate`.

    Args:
        name: One of `PENALTIES`.
        setting: Its strength (for `no_repeat_ngram` the size of the run).
        count_prompt: Whether the prompt's tokens count as text. None: yes for `repetition_penalty` and
            `no_repeat_ngram`, as in `transformers`; no for the other two, as in the OpenAI API.

    Raises:
        ValueError: The name is unknown; when it's called: the setting is out of its range.

    >>> from course_utils.models import load_causal_lm
    >>> smollm = load_causal_lm()
    >>> ids = smollm.encode("la la la la la")
    >>> ban = Penalty("no_repeat_ngram", 1, prompt_length=5)
    >>> after = smollm.model.generate(ids, max_new_tokens=3, do_sample=False, logits_processor=[ban])
    >>> "la" in smollm.tokenizer.decode(after[0, 5:]).split()
    False
    """

    def __init__(self, name: str, setting: float, prompt_length: int, count_prompt: bool | None = None) -> None:
        check_penalty_name(name)  # each penalty checks its own setting
        self.apply, _, counts_by_default = PENALTIES[name]
        self.setting = setting
        counts = counts_by_default if count_prompt is None else count_prompt
        self.first_counted = 0 if counts else prompt_length

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return `scores` `(batch, vocab)` after the penalty, given the text so far `(batch, seq)`."""
        return self.apply(scores, input_ids[:, self.first_counted :], self.setting)


def check_penalty_name(name: str) -> None:
    """Raise a ValueError in one sentence unless `PENALTIES` has `name`."""
    if name not in PENALTIES:
        raise ValueError(f"penalties must be named one of {list(PENALTIES)}, got {name!r}")


def check_penalty(name: str, setting: float) -> float:
    """Return `setting`; raise a ValueError in one sentence unless `PENALTIES` has `name` and it allows `setting`."""
    check_penalty_name(name)
    return PENALTIES[name][1](name, setting)
