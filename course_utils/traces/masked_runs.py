"""A batch of prompts of different lengths under every kind of mask, padded left and right.

Lesson: 09 · Context length and prompting
"""

from collections.abc import Callable, Iterator
from contextlib import nullcontext

import torch
from transformers import PreTrainedModel

from course_utils.engine.masks import bidirectional_mask, causal_mask, padding_mask, sliding_window_mask
from course_utils.engine.progress import report
from course_utils.traces.eager import eager_attention

KINDS = ("causal", "none", "window", "window + first token")
PADDINGS = ("left", "right", "right, read at the last token")
MOST_PROMPTS, MOST_TOKENS = 4, 200
_TOKENS_AT_ONCE = 1000  # about a second of a laptop

Run = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def batch_mask(kind: str, attention_mask: torch.Tensor, window: int) -> torch.Tensor:
    """Combine a kind of mask with a tokenizer's `attention_mask` `(batch, seq)`: bool `(batch, 1, query, key)`.

    A padding token on the left has nothing before it that it may look at. It looks at itself, because the softmax
    over nothing is not a number; it's never used.

    Args:
        kind: One of `KINDS`; "none" lets every token look at every other one.
        attention_mask: 1 for a token, 0 for padding.
        window: For the sliding windows.

    Raises:
        ValueError: The kind is unknown.

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


@torch.inference_mode()
def every_mask(
    model: PreTrainedModel, run: Run, ids: list[torch.Tensor], padding_token: int, window: int
) -> Iterator[tuple[int, torch.Tensor]]:
    """Run a batch under every mask, padded left (0) and right (1); yield the side and what the model made.

    Args:
        model: Any model of `transformers`.
        run: Runs it on ids `(batch, seq)` and a mask `(batch, 1, seq, seq)`; returns a tensor with a row for each text.
        ids: The prompts, `(seq,)` each.
        padding_token: What fills up the short ones.
        window: For the sliding windows.

    What is yielded is `(kind, off or on, prompt, ...)`, on the processor.

    >>> from course_utils.models import load_encoder
    >>> model = load_encoder().model
    >>> def run(batch, mask):
    ...     return model(batch, attention_mask=mask).last_hidden_state
    >>> ids = [torch.tensor([101, 102]), torch.tensor([101, 7592, 102])]
    >>> side, hidden = next(every_mask(model, run, ids, padding_token=0, window=4))
    >>> side, hidden.shape
    (0, torch.Size([4, 2, 2, 3, 384]))
    """
    # Fused kernels take a mask as True and False; computed step by step, it is added to the scores.
    fused = model.config._attn_implementation == "sdpa"
    for side in (0, 1):
        real = padded_mask([len(row) for row in ids], PADDINGS[side])
        batch = torch.full(real.shape, padding_token)
        batch[real.bool()] = torch.cat(ids).cpu()
        # All eight masks of a small batch run at once; a large one tells in between how far it is.
        both = torch.ones_like(real), real
        masks = [batch_mask(kind, padding, window) for kind in KINDS for padding in both]
        size = max(1, _TOKENS_AT_ONCE // batch.numel())
        starts, made = range(0, len(masks), size), []
        for round_, start in enumerate(starts, start=1):
            report("part", side * len(starts) + round_, 2 * len(starts))
            mask = torch.cat(masks[start : start + size])
            if not fused:
                mask = torch.zeros(mask.shape, dtype=model.dtype).masked_fill(~mask, torch.finfo(model.dtype).min)
            repeated = batch.repeat(len(mask) // len(ids), 1)
            with nullcontext() if fused else eager_attention(model):
                made.append(run(repeated.to(model.device), mask.to(model.device)).cpu())
        yield side, torch.cat(made).unflatten(0, (len(KINDS), 2, len(ids)))


def check_batch(ids: list[torch.Tensor]) -> None:
    """Raise a ValueError in one sentence unless there are 2 to 4 prompts of at most 200 tokens."""
    if not 2 <= len(ids) <= MOST_PROMPTS:
        raise ValueError(f"prompts must be 2 to {MOST_PROMPTS} texts, got {len(ids)}")
    for row in ids:
        if len(row) > MOST_TOKENS:
            raise ValueError(f"prompts must have at most {MOST_TOKENS} tokens here, got {len(row)}")


def padded_mask(lengths: list[int], padding: str) -> torch.Tensor:
    """Return 1 for each token and 0 for padding, `(batch, longest)`, of texts of these lengths.

    >>> padded_mask([1, 3], "left")
    tensor([[0, 0, 1],
            [1, 1, 1]])
    """
    columns = torch.arange(max(lengths))
    counts = torch.tensor(lengths)[:, None]
    return (columns >= max(lengths) - counts if padding == "left" else columns < counts).long()
