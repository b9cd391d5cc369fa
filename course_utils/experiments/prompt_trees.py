"""Prompts read as a tree: whatever some of them share from their start is read once, in one forward pass.

Lesson: 02 · Where LLMs fail
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch


class PromptTree(NamedTuple):
    """The different starts of some prompts.

    Args:
        tokens: The last token of each start.
        before: For each, the place of the start that is one token shorter; −1 where there is none.
        ends: For each prompt, the place of the whole.
    """

    tokens: list[int]
    before: list[int]
    ends: list[int]


def prompt_tree(rows: Sequence[Sequence[int]]) -> PromptTree:
    """Find what the prompts `rows`, token ids each, share from their starts.

    >>> prompt_tree([[5, 6], [5, 7]])
    PromptTree(tokens=[5, 6, 7], before=[-1, 0, 0], ends=[1, 2])
    """
    places: dict[tuple[int, int], int] = {}  # by the place before and the token
    ends = []
    for row in rows:
        place = -1
        for token in row:
            place = places.setdefault((place, token), len(places))
        ends.append(place)
    return PromptTree([token for _, token in places], [before for before, _ in places], ends)


def tree_inputs(tree: PromptTree, device: torch.device | str = "cpu") -> dict:
    """Return what the forward pass of a Llama takes to give the next logits of each prompt, `(1, prompt, vocab)`.

    Each token sees its own prompt's tokens before it, and itself.

    Source: Miao et al. (2023), SpecInfer.

    >>> tree_inputs(prompt_tree([[5, 6], [5, 7]]))["attention_mask"][0, 0]
    tensor([[0., -inf, -inf],
            [0., 0., -inf],
            [0., -inf, 0.]])
    """
    seen = torch.eye(len(tree.tokens), dtype=torch.bool)
    for place, before in enumerate(tree.before):
        if before >= 0:
            seen[place] |= seen[before]
    mask = torch.zeros(seen.shape).masked_fill(~seen, -math.inf)
    inputs = {"input_ids": torch.tensor([tree.tokens]), "position_ids": seen.sum(-1)[None] - 1}
    inputs |= {"attention_mask": mask[None, None], "logits_to_keep": torch.tensor(tree.ends)}
    return {name: value.to(device) for name, value in inputs.items()} | {"use_cache": False}
