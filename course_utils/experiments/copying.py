"""Can a model copy? Random tokens, said twice: nothing but the repetition predicts the second half.

Lesson: 08 · Attention
"""

import json
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import torch
from transformers import LlamaForCausalLM

from course_utils.engine.arguments import check_whole
from course_utils.engine.llama import layer_outputs, rms_norm
from course_utils.experiments.ablation import without_heads
from course_utils.experiments.head_measures import induction_score
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


class CopyingRun(NamedTuple):
    """How well a model copied, and where its heads looked for what to copy.

    Args:
        first: The mean loss on the first half of each text, `(texts,)`, in nats.
        second: That on the second half.
        induction: How much attention went to what followed the same token earlier, `(texts, layer, head)`.

    The first token of either half is left out of the losses: nothing predicts the very first, and nothing says that the
    second half begins.
    """

    first: torch.Tensor
    second: torch.Tensor
    induction: torch.Tensor


@takes(model=LlamaForCausalLM)
@torch.inference_mode()
def copying_without(
    model: LlamaForCausalLM,
    choices: Iterable[Iterable[tuple[int, int]]],
    ids: torch.Tensor,
    outputs: Sequence[tuple[torch.Tensor, torch.Tensor]] = (),
) -> list[CopyingRun]:
    """Let the model read the texts once for each choice of heads that are switched off.

    Layers before the first of these heads work as in the whole model, so they are run once for all choices.

    Args:
        model: SmolLM2, or another Llama.
        choices: Which heads to switch off together, pairs `(layer, head)`; one such list after the other. An empty one
            is the whole model.
        ids: `(texts, 2 · length)`, such as from `repeated_tokens`.
        outputs: All that `layer_outputs` yields when the whole model reads `ids`, if you have it.

    Raises:
        ValueError: The texts have no two halves of at least two tokens, the model is no Llama or has no such head.

    >>> from course_utils.models import load_causal_lm
    >>> whole, ablated = copying_without(load_causal_lm().model, [[], [(18, 6)]], repeated_tokens(texts=2))
    >>> bool((whole.second < whole.first).all()), bool((ablated.second - whole.second > 0.5).all())
    (True, True)
    """
    if ids.ndim != 2 or ids.shape[1] % 2 or ids.shape[1] < 4:
        raise ValueError(f"ids must have shape (texts, 2 · length) with a length of at least 2, got {tuple(ids.shape)}")
    outputs, runs = list(layer_outputs(model, ids, known=outputs)), []
    for heads in map(list, choices):
        with without_heads(model, heads):
            known = outputs[: min((layer for layer, _ in heads), default=len(outputs))]
            runs.append(_copying_run(model, list(layer_outputs(model, ids, known=known)), ids))
    return runs


def _copying_run(
    model: LlamaForCausalLM, outputs: Sequence[tuple[torch.Tensor, torch.Tensor]], ids: torch.Tensor
) -> CopyingRun:
    logits, following = model.lm_head(rms_norm(outputs[-1][0][:, :-1], model.model.norm)), ids[:, 1:]
    # In rows, which is faster than along a middle dimension.
    losses = torch.nn.functional.cross_entropy(logits.flatten(0, 1), following.flatten(), reduction="none")
    losses, length = losses.view_as(following), ids.shape[1] // 2
    weights = torch.stack([weights for _, weights in outputs], dim=1)
    induction = torch.stack([induction_score(*each) for each in zip(weights, ids, strict=True)])
    return CopyingRun(losses[:, : length - 1].mean(1), losses[:, length:].mean(1), induction)


@takes(model=LlamaForCausalLM)
def rises_without(
    model: LlamaForCausalLM, choices: Iterable[Iterable[tuple[int, int]]], ids: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return how much the losses of both halves rise when heads are switched off, `(choices, texts)` both.

    Arguments and errors as `copying_without`.

    >>> from course_utils.models import load_causal_lm
    >>> first, second = rises_without(load_causal_lm().model, [[], [(18, 6)]], repeated_tokens(texts=2))
    >>> second[0].tolist(), bool((second[1] > 0.5).all())
    ([0.0, 0.0], True)
    """
    whole, *after = copying_without(model, [[], *choices], ids)
    first, second, _ = zip(*after, strict=True)
    return torch.stack(first) - whole.first, torch.stack(second) - whole.second


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
