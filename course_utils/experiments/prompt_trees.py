"""Prompts read as a tree: whatever some of them share from their start is read once, in one forward pass.

Lesson: 02 · Where LLMs fail
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from transformers import DynamicCache, LlamaForCausalLM


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

    def path(self, place: int) -> list[int]:
        """Return the places of all starts of the start at `place`, shortest first, itself included.

        >>> prompt_tree([[5, 6], [5, 7]]).path(2)
        [0, 2]
        """
        path = []
        while place >= 0:
            path.append(place)
            place = self.before[place]
        return path[::-1]


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


def read_tree(model: LlamaForCausalLM, tree: PromptTree, cache: DynamicCache) -> torch.Tensor:
    """Read a tree, and return the next logits of each prompt, `(prompt, vocab)`.

    Afterwards `cache` has one row per prompt, as if the prompts had been read as a batch with padding on the left.

    Args:
        model: A Llama.
        tree: Of the prompts.
        cache: An empty one.

    >>> from course_utils.models import load_causal_lm
    >>> model, cache = load_causal_lm().model, DynamicCache()
    >>> read_tree(model, prompt_tree([[5, 6, 8], [5, 7]]), cache).shape, cache.layers[0].keys.shape
    (torch.Size([2, 49152]), torch.Size([2, 3, 3, 64]))
    """
    inputs = tree_inputs(tree, model.device) | {"use_cache": True, "past_key_values": cache}
    with torch.inference_mode():
        logits = model(**inputs).logits[0].float()
    paths = [tree.path(end) for end in tree.ends]
    longest = max(map(len, paths))
    places = torch.tensor([[0] * (longest - len(path)) + path for path in paths], device=model.device)
    for layer in cache.layers:
        layer.keys, layer.values = (kept[0][:, places].transpose(0, 1) for kept in (layer.keys, layer.values))
    return logits
