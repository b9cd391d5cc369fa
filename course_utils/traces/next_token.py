"""What a model said about the next token of one prompt."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from course_utils.models import CausalLM


@dataclass(frozen=True)
class NextTokenTrace:
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

    def save(self, path: str | Path) -> None:
        """Write the trace to `path` (.npz, no pickle inside)."""
        texts = json.dumps([self.model, self.prompt, self.prompt_tokens, self.labels])
        np.savez_compressed(path, logits=self.logits, texts=np.frombuffer(texts.encode(), np.uint8))

    @classmethod
    def load(cls, path: str | Path) -> "NextTokenTrace":
        """Read a trace that `save` wrote."""
        with np.load(path, allow_pickle=False) as arrays:
            model, prompt, prompt_tokens, labels = json.loads(arrays["texts"].tobytes())
            return cls(model, prompt, tuple(prompt_tokens), arrays["logits"], tuple(labels))


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
