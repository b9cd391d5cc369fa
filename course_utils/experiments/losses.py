"""The two losses of pre-training, with labels that come from the text itself.

A causal LM is asked for the next token everywhere, a masked LM for the tokens that were hidden from it. In both the
loss is the mean cross-entropy of the labels, in nats; a label of −100 is not asked for.

Lesson: 06 · Pre-training and fine-tuning
"""

from typing import NamedTuple

import torch

from course_utils.engine.arguments import check_number

IGNORED = -100  # the label of a position that the loss leaves out; torch and transformers use the same number
_TO_MASK = 0.8  # of the hidden tokens: shown as the mask token
_TO_RANDOM = 0.1  # of the hidden tokens: shown as a random token; the rest are shown as they are


def cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the mean of −ln p over all labels that are not −100: one number, in nats.

    Args:
        logits: `(..., vocab)`.
        labels: The right token at every position, `(...)`; −100 where none is asked for.

    Raises:
        ValueError: The shapes do not fit, a label is no token, or all labels are −100.

    Equals `torch.nn.functional.cross_entropy`, which returns nan when all labels are −100.

    >>> cross_entropy(torch.zeros(3, 8), torch.tensor([5, IGNORED, 0]))  # ln 8
    tensor(2.0794)
    """
    if logits.shape[:-1] != labels.shape:
        raise ValueError(
            f"labels must have shape {tuple(logits.shape[:-1])} like the logits, got {tuple(labels.shape)}"
        )
    asked = labels != IGNORED
    if not asked.any():
        raise ValueError(f"labels must hold at least one token that is not {IGNORED}, got none")
    wanted = labels[asked]
    if wanted.min() < 0 or wanted.max() >= logits.shape[-1]:
        wrong = wanted[(wanted < 0) | (wanted >= logits.shape[-1])][0].item()
        raise ValueError(f"labels must be {IGNORED} or in 0 … {logits.shape[-1] - 1}, got {wrong}")
    return -logits[asked].log_softmax(-1).gather(-1, wanted.unsqueeze(-1)).mean()


def causal_lm_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the loss of a causal LM: each position is asked for the token that comes after it.

    Args:
        logits: `(batch, seq, vocab)`.
        labels: `(batch, seq)`, usually the token ids themselves; they are shifted in here, by one to the left.

    Raises:
        ValueError: As `cross_entropy`.

    Equals the loss of `LlamaForCausalLM(ids, labels=labels)` and of every other causal LM of `transformers`.
    Source: Radford et al. (2018), Improving Language Understanding by Generative Pre-Training, equation 1.

    >>> sure = 5.0 * torch.eye(4)[[1, 2, 3, 0]]  # after 0 comes 1, after 1 comes 2, …
    >>> causal_lm_loss(sure[None], torch.tensor([[0, 1, 2, 3]]))
    tensor(0.0200)
    """
    return cross_entropy(logits[:, :-1], labels[:, 1:])


class HiddenTokens(NamedTuple):
    """A text as a masked LM gets it, and what it is asked for.

    Args:
        ids: `(batch, seq)`, some tokens replaced.
        labels: `(batch, seq)`, the original token where one was chosen, −100 elsewhere.
    """

    ids: torch.Tensor
    labels: torch.Tensor


def hide_tokens(
    ids: torch.Tensor,
    special: torch.Tensor,
    mask_token: int,
    vocabulary: int,
    share: float = 0.15,
    generator: torch.Generator | None = None,
) -> HiddenTokens:
    """Choose `share` of the tokens at random; show 80 % of them as the mask, 10 % as a random token, 10 % unchanged.

    Args:
        ids: `(batch, seq)`; not changed.
        special: Bool `(batch, seq)`, True for tokens that are never chosen, such as `[CLS]` and padding.
        mask_token: The id of `[MASK]`.
        vocabulary: How many tokens there are; a random token is one of them.
        share: How many of the tokens are chosen, on average.
        generator: Where the random numbers come from.

    Raises:
        ValueError: `share` is not in (0, 1], or `special` has another shape than `ids`.

    Source: Devlin et al. (2019), section 3.1. Equals `DataCollatorForLanguageModeling` with the same generator.

    >>> ids, nothing = torch.arange(10_000)[None], torch.zeros(1, 10_000, dtype=torch.bool)
    >>> hidden = hide_tokens(ids, nothing, mask_token=-1, vocabulary=10_000, generator=torch.Generator().manual_seed(0))
    >>> 0.14 < (hidden.labels != IGNORED).float().mean() < 0.16
    tensor(True)
    """
    share = check_number("share", share, "in (0, 1]", lambda value: 0 < value <= 1)
    if special.shape != ids.shape:
        raise ValueError(f"special must have shape {tuple(ids.shape)} like ids, got {tuple(special.shape)}")

    def coins(heads: float) -> torch.Tensor:
        return torch.bernoulli(
            torch.full(ids.shape, heads, device=ids.device).masked_fill(special, 0), generator=generator
        ).bool()

    chosen = coins(share)
    masked = coins(_TO_MASK) & chosen
    # Of what is left of the chosen ones, so many are random.
    random = coins(_TO_RANDOM / (1 - _TO_MASK)) & chosen & ~masked
    words = torch.randint(vocabulary, ids.shape, generator=generator, device=ids.device)
    shown = torch.where(random, words, ids.masked_fill(masked, mask_token))
    return HiddenTokens(shown, ids.masked_fill(~chosen, IGNORED))
