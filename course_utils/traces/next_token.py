"""What a model said about the next token of one prompt, and what the filters of sampling make of it.

Lesson: 00 · Start here; 09 · Context length and prompting; 11 · Sampling
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from course_utils.experiments.surprisal import read_text
from course_utils.models import CausalLM
from course_utils.models.doorway import takes
from course_utils.traces.base import Trace


@dataclass(frozen=True)
class NextTokenTrace(Trace):
    """The next-token logits of one prompt, over the full vocabulary.

    Args:
        model: Name of the model that ran.
        prompt_tokens: The prompt's tokens as visible text.
        logits: float32 `(vocab,)`.
        labels: Every token of the vocabulary as visible text, `(vocab,)`.
        prompt_ids: The prompt's token ids, `(seq,)`; empty if they were not recorded.
        surprisals: float32 `(seq - 1,)`, bits of every token of the prompt but the first, NaN where they say nothing
            about the token; None if not recorded.

    Raises:
        ValueError: `logits` and `labels` do not have the same length, or `surprisals` does not fit the tokens.

    >>> toy = NextTokenTrace("toy", "a", ("a",), np.zeros(2, np.float32), ("x", "y"))
    >>> len(toy.labels)
    2
    """

    model: str
    prompt: str
    prompt_tokens: tuple[str, ...]
    logits: np.ndarray
    labels: tuple[str, ...]
    prompt_ids: tuple[int, ...] = ()
    surprisals: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.logits.shape != (len(self.labels),):
            raise ValueError(f"logits must have shape ({len(self.labels)},) like labels, got {self.logits.shape}")
        predicted = len(self.prompt_tokens) - 1
        if self.surprisals is not None and self.surprisals.shape != (predicted,):
            raise ValueError(f"surprisals must have shape ({predicted},), got {self.surprisals.shape}")


@takes(model=CausalLM)
def record_next_token(model: CausalLM, prompt: str) -> NextTokenTrace:
    """Run `model` once on `prompt` and record its next-token logits.

    Raises:
        TypeError: `prompt` is not a str.
        ValueError: `prompt` is empty, or longer than the context length.

    >>> from course_utils.models import load_causal_lm
    >>> record_next_token(load_causal_lm(), "The capital of France is").prompt_tokens
    ('The', '␣capital', '␣of', '␣France', '␣is')
    """
    tokens = tuple(model.labels[token] for token in model.encode(prompt)[0].tolist())
    return NextTokenTrace(model.name, prompt, tokens, model.next_logits(prompt).cpu().numpy(), tuple(model.labels))


@takes(model=CausalLM)
def record_surprisals(
    model: CausalLM, prompt: str | Sequence[int], progress: Callable[[int, int], object] | None = None
) -> NextTokenTrace:
    """Run `model` once on `prompt` and record its next-token logits and the surprisal of every token.

    The second token has NaN: a first token alone has nearly the same vector whatever it is (lesson 05), so what the
    model predicts after it can be worse than a guess and says nothing about the text.

    Args:
        prompt: A text, or token ids: two tokens in a row need not be what the tokenizer makes of their text.
        progress: As `read_text` takes it.

    Raises:
        TypeError: `prompt` is neither a str nor a sequence of whole numbers.
        ValueError: `prompt` is empty, longer than the context length, or has an id that the vocabulary has not.

    >>> from course_utils.models import load_causal_lm
    >>> trace = record_surprisals(load_causal_lm(), "The capital of France is Paris")
    >>> trace.prompt_tokens[-1], round(float(trace.surprisals[-1]), 1)
    ('␣Paris', 0.4)
    """
    ids = model.encode(prompt)[0].tolist() if isinstance(prompt, str) else _checked_ids(model, prompt)
    bits, logits, _ = read_text(model.model, torch.tensor([ids]), progress)
    surprisals = bits.cpu().numpy().copy()
    surprisals[:1] = np.nan
    text = prompt if isinstance(prompt, str) else model.tokenizer.decode(ids)
    tokens = tuple(model.labels[token] for token in ids)
    return NextTokenTrace(
        model.name, text, tokens, logits.float().cpu().numpy(), tuple(model.labels), tuple(ids), surprisals
    )


def _checked_ids(model: CausalLM, ids: Sequence[int]) -> list[int]:
    if not isinstance(ids, Sequence) or not all(type(token) is int for token in ids):
        raise TypeError(f"prompt must be a str or a sequence of token ids, got {type(ids).__name__}: {ids!r}")
    vocabulary = len(model.labels)
    if not all(0 <= token < vocabulary for token in ids):
        raise ValueError(f"prompt must have token ids in 0 … {vocabulary - 1}, got {list(ids)}")
    if not ids or (model.context_length is not None and len(ids) > model.context_length):
        most = "any number of" if model.context_length is None else f"{model.context_length:,}"
        raise ValueError(f"prompt must have 1 to {most} tokens, got {len(ids):,}")
    return list(ids)
