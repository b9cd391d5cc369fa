"""The reversal curse in miniature: a small model learns that A is B, and is asked what B is.

Lesson: 02 · Where LLMs fail
"""

from typing import NamedTuple

import torch
from transformers import PreTrainedModel

from course_utils.engine.arguments import check_whole


class Facts(NamedTuple):
    """Sentences of three tokens, "name is description", as token ids.

    Args:
        trained: What the model is trained on, `(sentence, 3)`: some facts in both directions, the others in one.
        reversed: The others in the direction that is not trained, `(sentence, 3)`.
        vocabulary: How many tokens there are: names, descriptions, and "is".

    >>> draw_facts(both_ways=2, one_way=1).vocabulary
    7
    """

    trained: torch.Tensor
    reversed: torch.Tensor
    vocabulary: int


def draw_facts(both_ways: int, one_way: int, seed: int = 0) -> Facts:
    """Pair names with descriptions at random; each name has one description, and each description one name.

    Raises:
        ValueError: A number is not a whole number of at least 1.

    Source: after Berglund et al. (2023), The Reversal Curse, experiment 1.

    >>> facts = draw_facts(both_ways=40, one_way=20)
    >>> facts.trained.shape, facts.reversed.shape
    (torch.Size([100, 3]), torch.Size([20, 3]))
    """
    both_ways = check_whole("both_ways", both_ways, 1)
    one_way = check_whole("one_way", one_way, 1)
    count = both_ways + one_way
    names = torch.arange(count)
    descriptions = count + torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    verb = torch.full_like(names, 2 * count)
    forward = torch.stack([names, verb, descriptions], dim=1)
    backward = forward.flip(1)
    return Facts(torch.cat([forward, backward[:both_ways]]), backward[both_ways:], 2 * count + 1)


@torch.inference_mode()
def recalled(model: PreTrainedModel, sentences: torch.Tensor) -> int:
    """Count the sentences `(sentence, seq)` whose last token is the model's first choice after the others.

    >>> from course_utils.experiments.tiny_training import new_tiny_model
    >>> facts = draw_facts(both_ways=2, one_way=1)
    >>> 0 <= recalled(new_tiny_model(facts.vocabulary), facts.reversed) <= 1
    True
    """
    best = model(sentences[:, :-1]).logits[:, -1].argmax(-1)
    return int((best == sentences[:, -1]).sum())
