"""A batch of prompts of different lengths, run under every mask: what padding on the wrong side does.

Lesson: 07 · Encoders, decoders and both; 09 · Context length and prompting
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from transformers import PreTrainedModel

from course_utils.engine.arguments import check_whole, listed
from course_utils.models import CausalLM
from course_utils.models.architectures import parameter_names
from course_utils.models.doorway import takes
from course_utils.traces.base import Trace
from course_utils.traces.masked_runs import KINDS, PADDINGS, Run, batch_mask, check_batch, every_mask, padded_mask


@dataclass(frozen=True)
class MaskTrace(Trace):
    """Next-token logits of a batch under every kind of mask, with padding left and right, masked and not.

    Args:
        model: Name of the model that ran.
        tokens: Every prompt's tokens as visible text.
        window: How many tokens the sliding window lets a token see, itself included.
        alone: float32 `(prompt, vocab)`: each prompt alone, without any padding.
        logits: float32 `(kind, padding, off or on, prompt, vocab)`, in the order of `KINDS` and `PADDINGS`; the
            third axis is the padding's mask, off and on.
        labels: Every token of the vocabulary as visible text, `(vocab,)`.
        blanks: For each prompt which of its tokens is read, from 0, where that is a blank in it; None: what is read
            says what comes next.

    Raises:
        ValueError: The arrays do not fit the prompts.

    >>> zeros = np.zeros((4, 3, 2, 2, 5), np.float32)
    >>> trace = MaskTrace("toy", ("a", "a b"), (("a",), ("a", "b")), 2, zeros[0, 0, 0], zeros, tuple("abcde"))
    >>> trace.width, trace.reads_at("right", 0), trace.reads_at("left", 0)
    (2, 1, 1)
    """

    model: str
    prompts: tuple[str, ...]
    tokens: tuple[tuple[str, ...], ...]
    window: int
    alone: np.ndarray
    logits: np.ndarray
    labels: tuple[str, ...]
    blanks: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        self.check_rows("prompt", len(self.prompts), ("tokens", "alone") + (("blanks",) if self.blanks else ()))
        shape = len(KINDS), len(self.paddings), 2, len(self.prompts), len(self.labels)
        if self.logits.shape != shape:
            raise ValueError(f"logits must have shape {shape}, got {self.logits.shape}")

    @property
    def width(self) -> int:
        """How many columns the batch has: the tokens of the longest prompt."""
        return max(map(len, self.tokens))

    @property
    def paddings(self) -> tuple[str, ...]:
        """The ways of padding that were run; a blank is read where it is, so the third makes no difference to it."""
        return PADDINGS if self.blanks is None else PADDINGS[:2]

    def reads_at(self, padding: str, prompt: int) -> int:
        """Return the column whose logits are read for `prompt`."""
        if self.blanks is not None:
            return self.blanks[prompt] + (self.width - len(self.tokens[prompt]) if padding == "left" else 0)
        return len(self.tokens[prompt]) - 1 if padding == PADDINGS[2] else self.width - 1

    def mask(self, kind: str, padding: str, masked: bool) -> np.ndarray:
        """Return who may look at whom in every prompt of the batch, bool `(prompt, query, key)`."""
        attention_mask = padded_mask([len(tokens) for tokens in self.tokens], padding)
        return batch_mask(kind, attention_mask if masked else torch.ones_like(attention_mask), self.window)[
            :, 0
        ].numpy()


@takes(model=CausalLM)
def record_masks(model: CausalLM, prompts: list[str], window: int = 4) -> MaskTrace:
    """Run a batch of prompts under every mask, padded left and right, and each prompt alone.

    Args:
        model: The model; its tokenizer's padding token fills up the short prompts.
        prompts: 2 to 4 prompts.
        window: How many tokens the sliding window lets a token see, itself included.

    Raises:
        TypeError: A prompt is not a str.
        ValueError: There are not 2 to 4 prompts; one is empty or has over 200 tokens; `window` is not a whole
            number of at least 1; the tokenizer has no padding token, or the model doesn't take such masks.

    >>> from course_utils.models import load_causal_lm
    >>> record_masks(load_causal_lm(), ["The sky is", "Two plus two is"]).tokens[0]
    ('The', '␣sky', '␣is')
    """
    prompts = listed("prompts", prompts)
    ids = [model.encode(prompt)[0] for prompt in prompts]
    check_batch(ids)
    check_whole("window", window, 1)
    padding_token = model.tokenizer.pad_token_id
    if padding_token is None:
        raise ValueError("tokenizer must have a padding token to fill up the short prompts, got none")
    last_tokens = [len(row) - 1 for row in ids]
    # Only what is read becomes logits: that takes half the time.
    columns = sorted({*last_tokens, max(last_tokens)})
    read, rows = [columns.index(column) for column in last_tokens], range(len(ids))
    logits = torch.empty(len(KINDS), len(PADDINGS), 2, len(ids), len(model.labels))
    runs = every_mask(model.model, _logits_at(model.model, columns), ids, padding_token, window)
    for side, made in _obeying(model, runs):
        logits[:, side] = made[..., -1, :]
        if side:
            logits[:, 2] = made[:, :, rows, read]
    alone = torch.stack([model.next_logits(prompt).cpu() for prompt in prompts])
    _check_obeys(model, alone, logits, any_can_look=max(last_tokens) > 0)
    tokens = tuple(tuple(model.labels[token] for token in row.tolist()) for row in ids)
    return MaskTrace(model.name, tuple(prompts), tokens, window, alone.numpy(), logits.numpy(), tuple(model.labels))


def _logits_at(model: PreTrainedModel, columns: list[int]) -> Run:
    """Make a function that returns the logits at some columns of a batch, `(batch, column, vocab)`."""
    kept = torch.tensor(columns, device=model.device)

    def run(batch: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        if "logits_to_keep" in parameter_names(model):
            return model(batch, attention_mask=mask, logits_to_keep=kept).logits
        return model(batch, attention_mask=mask).logits[:, kept]

    return run


def _obeying(model: CausalLM, runs: Iterator[tuple[int, torch.Tensor]]) -> Iterator[tuple[int, torch.Tensor]]:
    try:
        yield from runs
    except Exception as error:  # whatever an architecture does with a mask that it doesn't know
        raise ValueError(_needs_masks(model)) from error


def _check_obeys(model: CausalLM, alone: torch.Tensor, logits: torch.Tensor, any_can_look: bool) -> None:
    """Raise a ValueError unless `model` did what the masks said: an architecture may put its own over them."""
    right = logits[0, 2, 1]  # causal, padded right, padding masked, read at the last token
    rounding = 1e-3 if model.model.dtype == torch.float32 else 5e-2
    # A single token can't look ahead, so nothing can be told from texts of one.
    ignored = logits[0].equal(logits[1]) and any_can_look
    if (right - alone).abs().max() > rounding * alone.abs().max() or ignored:
        raise ValueError(_needs_masks(model))


def _needs_masks(model: CausalLM) -> str:
    return f"model must take a mask of its own for every query and key, got {model.name}, which uses another"
