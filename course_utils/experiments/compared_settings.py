"""Sampling settings on equal terms: what each would draw where people wrote, and who is ahead at the same surprisal.

Lesson: 11 · Sampling; deeper: Diversity and likelihood
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from course_utils.engine.arguments import check_whole
from course_utils.engine.sampling import entropy_bits, filter_stages
from course_utils.experiments.drawn_texts import PROMPT, opening_tokens
from course_utils.experiments.surprisal import surprisal_bits
from course_utils.models.loading import CausalLM


@torch.inference_mode()
def position_logits(smollm: CausalLM) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the logits where the openings' authors wrote each of their tokens, and how many bits that token surprises.

    Returns:
        `(24, 24, vocab)` and `(24, 24)`: texts, then places in the text.

    >>> from course_utils.models import load_causal_lm
    >>> logits, bits = position_logits(load_causal_lm())
    >>> logits.shape, bits.shape
    (torch.Size([24, 24, 49152]), torch.Size([24, 24]))
    """
    prompts, people = opening_tokens(smollm)
    logits = smollm.model(torch.cat([prompts, people], dim=1)).logits[:, PROMPT - 1 : -1]
    return logits, surprisal_bits(logits, people)


def expected_bits(logits: torch.Tensor, filters: Sequence[tuple[str, float]]) -> tuple[np.ndarray, np.ndarray]:
    """Return how surprising a draw after `filters` is on average, and how undecided it is: no dice, all tokens counted.

    Args:
        logits: `(text, place, vocab)`.
        filters: As `filter_stages` takes them.

    Returns:
        Means over the places of each text, in bits, `(text,)` both: the cross-entropy of the filtered distribution with
        the unfiltered one, and the entropy of the filtered one.

    >>> half = torch.tensor([[[0.5, 0.25, 0.25]]]).log()
    >>> expected_bits(half, []), expected_bits(half, [("top_k", 1)])
    ((array([1.5]), array([1.5])), (array([1.]), array([0.])))
    """
    surprising, undecided = [], []
    for text in logits:  # all at once would take gigabytes
        filtered = filter_stages(text, filters)[-1]
        bits = -text.log_softmax(-1) / math.log(2)
        surprising.append((filtered.softmax(-1) * bits).sum(-1).mean().item())
        undecided.append(entropy_bits(filtered).mean().item())
    return np.array(surprising), np.array(undecided)


def at_surprisal(target: float, surprising: np.ndarray, diverse: np.ndarray, texts: np.ndarray | None = None) -> float:
    """Return how diverse a family of settings is where its draws are as surprising as `target`.

    Between two settings the value lies on the straight line.

    Args:
        target: In bits.
        surprising: Bits of each setting on each text, `(setting, text)`.
        diverse: The diversity of each, `(setting, text)`.
        texts: Which texts count, `(any,)`; None is all.

    Raises:
        ValueError: The family has no settings on both sides of `target`.

    >>> at_surprisal(2.5, np.array([[2.0], [3.0]]), np.array([[4.0], [6.0]]))
    5.0
    """
    texts = np.arange(surprising.shape[1]) if texts is None else texts
    x, y = surprising[:, texts].mean(1), diverse[:, texts].mean(1)
    if not x.min() <= target <= x.max():
        raise ValueError(f"target must be in {x.min():.2f} … {x.max():.2f} bits for this family, got {target:.2f}")
    order = x.argsort(kind="stable")
    return float(np.interp(target, x[order], y[order]))


def compared_at_surprisal(
    families: Mapping[str, tuple[np.ndarray, np.ndarray]], base: str, people: np.ndarray, draws: int = 1000
) -> dict[str, tuple[float, float, float]]:
    """Return how much more diverse each family is than `base`, where both are as surprising as people.

    Args:
        families: By name: `surprising` and `diverse` of `at_surprisal`, of the same texts all.
        base: The name of the family that the others are compared with.
        people: Bits of what people wrote, `(text,)`.
        draws: Of the bootstrap over texts.

    Returns:
        By name: the difference, and the ends of its 95 % interval.

    Raises:
        KeyError: `base` is no family.
        ValueError: As `at_surprisal`.

    >>> bits = np.array([[1.0, 1.0], [3.0, 3.0]])
    >>> compared_at_surprisal({"a": (bits, bits), "b": (bits, bits + 0.5)}, "a", np.array([2.0, 2.0]), draws=10)
    {'b': (0.5, 0.5, 0.5)}
    """

    def difference(name, texts):
        target = people[texts].mean()
        return at_surprisal(target, *families[name], texts) - at_surprisal(target, *families[base], texts)

    chosen = np.random.default_rng(0).integers(len(people), size=(check_whole("draws", draws, 1), len(people)))
    found = {}
    for name in families:
        if name != base:
            ends = np.quantile([difference(name, texts) for texts in chosen], (0.025, 0.975))
            numbers = difference(name, np.arange(len(people))), *ends
            found[name] = tuple(float(number) for number in numbers)
    return found
