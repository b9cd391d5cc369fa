"""What the page of the sampling lab gets when the kernel runs the filters: its own rows, not the full vocabulary."""

from collections.abc import Sequence

import torch

from course_utils.engine.sampling import entropy_bits

ROWS = 12  # tokens on the page; ROWS of sampling_lab.js


def seen_of_stage(
    logits: torch.Tensor, ranking: torch.Tensor, ranks: torch.Tensor, first: int, differing: Sequence[int]
) -> dict:
    """Return what the page shows of one stage, as its own filters would compute it; positions count from 0.

    Args:
        logits: After the stage, `(vocab,)`.
        ranking: Tokens in the order of the page's rows, `(vocab,)`.
        ranks: The row of every token, `(vocab,)`.
        first: The first row on the page.
        differing: Tokens at which the learner's function differs from the reference.

    Lesson: 11 · Sampling

    >>> order = torch.arange(3)
    >>> seen_of_stage(torch.tensor([0.0, 0.0, -torch.inf]), order, order, first=0, differing=[2])
    {'kept': 2, 'entropy': 1.0, 'best': 0, 'p': {'0': 0.5, '1': 0.5}, 'differs': [2]}
    """
    probabilities, best = logits.softmax(-1), int(ranks[logits.argmax()])
    rows = range(first, min(first + ROWS, len(logits)))
    shown = {row: probabilities[ranking[row]].item() for row in [*rows, best] if logits[ranking[row]].isfinite()}
    unequal = {int(ranks[token]) for token in differing}
    return {
        "kept": int(logits.isfinite().sum()),
        "entropy": abs(entropy_bits(logits).item()),  # never −0.0
        "best": best,
        "p": {str(row): value for row, value in shown.items()},
        "differs": [row for row in rows if row in unequal],
    }
