"""Can a model copy? Random tokens, said twice: nothing but the repetition predicts the second half.

Lesson: 08 · Attention
"""

import json
from collections.abc import Iterable
from functools import cache
from importlib.resources import files

import torch
from transformers import LlamaForCausalLM, PreTrainedModel

from course_utils.engine.arguments import check_whole
from course_utils.experiments.ablation import without_heads
from course_utils.experiments.intervals import bootstrap_interval
from course_utils.models.doorway import takes

_IDS = 1000, 40_000  # ordinary tokens of SmolLM2: neither special ones nor the rarest


def repeated_tokens(texts: int, length: int = 20, seed: int = 0) -> torch.Tensor:
    """Draw `texts` rows of `length` random tokens and say each row twice, `(texts, 2 · length)`.

    Raises:
        ValueError: `texts` is not a whole number of at least 1, or `length` not one of at least 2.

    Source: Olsson et al. (2022), In-context Learning and Induction Heads.

    >>> ids = repeated_tokens(texts=3, length=5)
    >>> ids.shape, torch.equal(ids[:, :5], ids[:, 5:])
    (torch.Size([3, 10]), True)
    """
    texts, length = check_whole("texts", texts, 1), check_whole("length", length, 2)
    once = torch.randint(*_IDS, (texts, length), generator=torch.Generator().manual_seed(seed))
    return torch.cat([once, once], dim=1)


@takes(model=PreTrainedModel)
@torch.inference_mode()
def losses_of_halves(model: PreTrainedModel, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the mean loss of a causal LM on the first and on the second half of each text, `(texts,)` both, in nats.

    The first token of either half is left out: nothing predicts the very first, and nothing says that the second half
    begins.

    Args:
        model: A causal LM of `transformers`.
        ids: `(texts, 2 · length)`, such as from `repeated_tokens`.

    Raises:
        ValueError: The texts have no two halves of at least two tokens.

    >>> from course_utils.models import load_causal_lm
    >>> first, second = losses_of_halves(load_causal_lm().model, repeated_tokens(texts=2))
    >>> bool((second < first).all())
    True
    """
    if ids.ndim != 2 or ids.shape[1] % 2 or ids.shape[1] < 4:
        raise ValueError(f"ids must have shape (texts, 2 · length) with a length of at least 2, got {tuple(ids.shape)}")
    logits, following = model(ids).logits[:, :-1], ids[:, 1:]
    # In rows, which is faster than along a middle dimension.
    losses = torch.nn.functional.cross_entropy(logits.flatten(0, 1), following.flatten(), reduction="none")
    losses = losses.view_as(following)
    length = ids.shape[1] // 2
    return losses[:, : length - 1].mean(1), losses[:, length:].mean(1)


@takes(model=LlamaForCausalLM)
def rises_without(
    model: LlamaForCausalLM, choices: Iterable[Iterable[tuple[int, int]]], ids: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return how much the losses of both halves rise when heads are switched off, `(choices, texts)` both.

    Args:
        model: SmolLM2, or another Llama.
        choices: Which heads to switch off together, pairs `(layer, head)`; one such list after the other.
        ids: As for `losses_of_halves`.

    Errors as `losses_of_halves` and `ablation.without_heads`.

    >>> from course_utils.models import load_causal_lm
    >>> first, second = rises_without(load_causal_lm().model, [[], [(18, 6)]], repeated_tokens(texts=2))
    >>> second[0].tolist(), bool((second[1] > 0.5).all())
    ([0.0, 0.0], True)
    """
    before, after = losses_of_halves(model, ids), []
    for heads in choices:
        with without_heads(model, heads):
            after.append(losses_of_halves(model, ids))
    first, second = zip(*after, strict=True)
    return torch.stack(first) - before[0], torch.stack(second) - before[1]


def mean_and_interval(values: torch.Tensor) -> tuple[float, float, float]:
    """Return the mean of `(texts,)` values and the two ends of its 95 % bootstrap interval.

    Raises:
        ValueError: There are fewer than two values.

    >>> [round(number, 1) for number in mean_and_interval(torch.arange(41.0))]
    [20.0, 16.3, 23.6]
    """
    return values.mean().item(), *bootstrap_interval(values.tolist())


def recorded_rises(half: str) -> torch.Tensor:
    """Return what `rises_without` found for each head of SmolLM2 alone: `(layer, head, 3)`, mean, lower, upper end.

    The 270 runs take some minutes, so they were recorded; the file says with what and when.

    Args:
        half: "first" or "second".

    Raises:
        ValueError: `half` is something else.

    >>> recorded_rises("second").shape
    torch.Size([30, 9, 3])
    """
    if half not in ("first", "second"):
        raise ValueError(f"half must be 'first' or 'second', got {half!r}")
    return torch.tensor(_recorded()[half])


@cache
def _recorded() -> dict:
    return json.loads(files("course_utils.experiments").joinpath("texts/head_rises.json").read_text(encoding="utf-8"))
