"""A batch of prompts of different lengths, run under every mask: what padding on the wrong side does."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from transformers import PreTrainedModel

from course_utils.inference.masks import bidirectional_mask, causal_mask, padding_mask, sliding_window_mask
from course_utils.inference.progress import report
from course_utils.models import CausalLM
from course_utils.traces.base import Trace

KINDS = ("causal", "none", "window", "window + first token")
PADDINGS = ("left", "right", "right, read at the last token")
MOST_PROMPTS, MOST_TOKENS = 4, 200
_TOKENS_AT_ONCE = 1000  # about a second of a laptop


@dataclass(frozen=True)
class MaskTrace(Trace):
    """Next-token logits of a batch under every kind of mask, with padding left and right, masked and not.

    Args:
        model: Name of the model that ran.
        prompts: What it read.
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

    Lesson: 07 · Encoders, decoders and both; 09 · Context length and prompting

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
        attention_mask = _attention_mask([len(tokens) for tokens in self.tokens], padding)
        return batch_mask(kind, attention_mask if masked else torch.ones_like(attention_mask), self.window)[
            :, 0
        ].numpy()


def batch_mask(kind: str, attention_mask: torch.Tensor, window: int) -> torch.Tensor:
    """Combine a kind of mask with a tokenizer's `attention_mask` `(batch, seq)`: bool `(batch, 1, query, key)`.

    A padding token on the left has nothing before it that it may look at. It looks at itself, because the softmax
    over nothing is not a number; nobody looks at it.

    Args:
        kind: One of `KINDS`; "none" lets every token look at every other one.
        attention_mask: 1 for a token, 0 for padding.
        window: For the sliding windows.

    Raises:
        ValueError: The kind is unknown.

    Lesson: 09 · Context length and prompting

    >>> batch_mask("causal", torch.tensor([[0, 1, 1]]), window=2)[0, 0].int()
    tensor([[1, 0, 0],
            [0, 1, 0],
            [0, 1, 1]], dtype=torch.int32)
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {list(KINDS)}, got {kind!r}")
    length = attention_mask.shape[1]
    square = bidirectional_mask(length, length) if kind == "none" else causal_mask(length, length)
    if kind.startswith("window"):
        square = sliding_window_mask(length, length, window)
    mask = square & padding_mask(attention_mask)
    if kind == KINDS[3]:
        first = attention_mask.argmax(-1)[:, None, None, None] == torch.arange(length)
        mask = mask | first & causal_mask(length, length) & padding_mask(attention_mask)
    nothing = ~mask.any(-1, keepdim=True)
    return mask | nothing & torch.eye(length, dtype=torch.bool)


def record_masks(model: CausalLM, prompts: list[str], window: int = 4) -> MaskTrace:
    """Run a batch of prompts under every mask, padded left and right, and each prompt alone.

    Args:
        model: The model; its tokenizer's padding token fills up the short prompts.
        prompts: 2 to 4 prompts.
        window: How many tokens the sliding window lets a token see, itself included.

    Raises:
        TypeError: A prompt is not a str.
        ValueError: There are not 2 to 4 prompts; one is empty or has over 200 tokens; `window` is not a whole
            number of at least 1.

    Lesson: 09 · Context length and prompting

    >>> from course_utils.models import load_causal_lm
    >>> record_masks(load_causal_lm(), ["The sky is", "Two plus two is"]).tokens[0]
    ('The', '␣sky', '␣is')
    """
    ids = [model.encode(prompt)[0] for prompt in prompts]
    check_batch(ids)
    last_tokens = torch.tensor([len(row) - 1 for row in ids])
    logits = torch.empty(len(KINDS), len(PADDINGS), 2, len(ids), model.model.config.vocab_size)
    for side, hidden in every_mask(model.model.model, ids, model.tokenizer.pad_token_id, window):
        # Only what is read becomes logits: that takes half the time.
        logits[:, side] = model.model.lm_head(hidden[..., -1, :])
        if side:
            logits[:, 2] = model.model.lm_head(hidden[:, :, torch.arange(len(ids)), last_tokens])
    alone = torch.stack([model.next_logits(prompt) for prompt in prompts])
    tokens = tuple(tuple(model.labels[token] for token in row) for row in ids)
    return MaskTrace(model.name, tuple(prompts), tokens, window, alone.numpy(), logits.numpy(), tuple(model.labels))


@torch.inference_mode()
def every_mask(
    model: PreTrainedModel, ids: list[torch.Tensor], padding_token: int, window: int
) -> Iterator[tuple[int, torch.Tensor]]:
    """Run a batch under every mask, padded left (0) and right (1); yield the side and the last layer's hidden states.

    The states are `(kind, off or on, prompt, seq, hidden)`.
    Lesson: 09 · Context length and prompting

    >>> from course_utils.models import load_encoder
    >>> model = load_encoder().model
    >>> side, hidden = next(every_mask(model, [torch.tensor([101, 102]), torch.tensor([101, 7592, 102])], 0, window=4))
    >>> side, hidden.shape
    (0, torch.Size([4, 2, 2, 3, 384]))
    """
    for side in (0, 1):
        real = _attention_mask([len(row) for row in ids], PADDINGS[side])
        batch = torch.full(real.shape, padding_token)
        batch[real.bool()] = torch.cat(ids)
        # All eight masks of a small batch run at once; a large one tells in between how far it is.
        both = torch.ones_like(real), real
        masks = [batch_mask(kind, padding, window) for kind in KINDS for padding in both]
        size = max(1, _TOKENS_AT_ONCE // batch.numel())
        starts, hidden = range(0, len(masks), size), []
        for round_, start in enumerate(starts, start=1):
            report("part", side * len(starts) + round_, 2 * len(starts))
            some = masks[start : start + size]
            hidden.append(model(batch.repeat(len(some), 1), attention_mask=torch.cat(some)).last_hidden_state)
        yield side, torch.cat(hidden).unflatten(0, (len(KINDS), 2, len(ids)))


def check_batch(ids: list[torch.Tensor]) -> None:
    """Raise a ValueError in one sentence unless there are 2 to 4 prompts of at most 200 tokens."""
    if not 2 <= len(ids) <= MOST_PROMPTS:
        raise ValueError(f"prompts must be 2 to {MOST_PROMPTS} texts, got {len(ids)}")
    for row in ids:
        if len(row) > MOST_TOKENS:
            raise ValueError(f"prompts must have at most {MOST_TOKENS} tokens here, got {len(row)}")


def _attention_mask(lengths: list[int], padding: str) -> torch.Tensor:
    """1 for a token, 0 for padding: `(batch, longest)`."""
    columns = torch.arange(max(lengths))
    counts = torch.tensor(lengths)[:, None]
    return (columns >= max(lengths) - counts if padding == "left" else columns < counts).long()
