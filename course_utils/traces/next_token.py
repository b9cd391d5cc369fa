"""What a model said about the next token of one prompt, and what the filters of sampling make of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from course_utils.inference.sampling import filter_stages
from course_utils.models import CausalLM
from course_utils.traces.base import Trace


@dataclass(frozen=True)
class NextTokenTrace(Trace):
    """The next-token logits of one prompt, over the full vocabulary.

    Args:
        model: Name of the model that ran.
        prompt: What it read.
        prompt_tokens: The prompt's tokens as visible text.
        logits: float32 `(vocab,)`.
        labels: Every token of the vocabulary as visible text, `(vocab,)`.

    Raises:
        ValueError: `logits` and `labels` do not have the same length.

    Lesson: 00 · Start here

    >>> toy = NextTokenTrace("toy", "a", ("a",), np.zeros(2, np.float32), ("x", "y"))
    >>> len(toy.labels)
    2
    """

    model: str
    prompt: str
    prompt_tokens: tuple[str, ...]
    logits: np.ndarray
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.logits.shape != (len(self.labels),):
            raise ValueError(f"logits must have shape ({len(self.labels)},) like labels, got {self.logits.shape}")


@dataclass(frozen=True)
class FilterTrace(Trace):
    """The logits of one prompt before the first filter of sampling and after each.

    Args:
        prompt: What the model read.
        filters: Pairs of a filter's name and its setting, in the order of application.
        stages: float32 `(filters + 1, vocab)`; −∞ where a token is removed.

    Raises:
        ValueError: There is not one stage more than filters.

    Lesson: 11 · Sampling

    >>> FilterTrace("a", (("top_k", 1),), np.zeros((2, 3), np.float32)).removed_by(2) is None
    True
    """

    prompt: str
    filters: tuple[tuple[str, float], ...]
    stages: np.ndarray

    def __post_init__(self) -> None:
        if self.stages.ndim != 2 or len(self.stages) != len(self.filters) + 1:
            raise ValueError(f"stages must have shape ({len(self.filters) + 1}, vocab), got {self.stages.shape}")

    def removed_by(self, token: int) -> str | None:
        """Return the name of the filter that removed `token`; None if it is still there."""
        for (name, _), after in zip(self.filters, self.stages[1:, token], strict=True):
            if np.isneginf(after):
                return name
        return None


def record_next_token(model: CausalLM, prompt: str) -> NextTokenTrace:
    """Run `model` once on `prompt` and record its next-token logits.

    Raises:
        TypeError: `prompt` is not a str.
        ValueError: `prompt` is empty, or longer than the context length.

    Lesson: 00 · Start here

    >>> from course_utils.models import load_causal_lm
    >>> record_next_token(load_causal_lm(), "The capital of France is").prompt_tokens
    ('The', '␣capital', '␣of', '␣France', '␣is')
    """
    tokens = tuple(model.labels[token] for token in model.encode(prompt)[0])
    return NextTokenTrace(model.name, prompt, tokens, model.next_logits(prompt).numpy(), tuple(model.labels))


def record_filters(trace: NextTokenTrace, filters: Sequence[tuple[str, float]]) -> FilterTrace:
    """Apply `filters` to the logits of `trace`, one after the other, and record every stage.

    Raises:
        ValueError: A filter is unknown, or its setting is out of its range.

    Lesson: 11 · Sampling

    >>> toy = NextTokenTrace("toy", "a", ("a",), np.array([2, 1, 0], np.float32), ("x", "y", "z"))
    >>> record_filters(toy, [("temperature", 0.5), ("top_k", 2)]).removed_by(2)
    'top_k'
    """
    stages = torch.stack(filter_stages(torch.from_numpy(trace.logits), filters))
    return FilterTrace(trace.prompt, tuple((name, setting) for name, setting in filters), stages.numpy())
