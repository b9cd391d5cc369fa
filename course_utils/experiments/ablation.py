"""Switch heads off and see what a model can no longer do: the way from "it looks like" to "it does".

Lesson: 08 · Attention; 09 · Context length and prompting
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from transformers import LlamaForCausalLM

from course_utils.engine.llama import check_is_llama
from course_utils.models.doorway import takes


@contextmanager
def without_heads(model: LlamaForCausalLM, heads: Iterable[tuple[int, int]]) -> Iterator[None]:
    """Let `model` run as if each of `heads`, pairs `(layer, head)`, had nothing to say: its output is set to 0.

    The output is cut where it is still one head's own: after the weighted sum of the values, before the layer's
    output projection adds the heads up. Afterwards the model is as before.

    Raises:
        ValueError: The model is not a Llama, or has no such head.

    Source: Michel et al. (2019), Are Sixteen Heads Really Better than One?

    >>> from course_utils.models import load_causal_lm
    >>> smollm = load_causal_lm()
    >>> with without_heads(smollm.model, [(0, head) for head in range(9)]):
    ...     changed = smollm.next_logits("The capital of France is")
    >>> torch.equal(changed, smollm.next_logits("The capital of France is"))
    False
    """
    check_is_llama(model)
    size, layers = model.model.layers[0].self_attn.head_dim, model.config.num_hidden_layers
    silent = {}
    for layer, head in heads:
        if not (0 <= layer < layers and 0 <= head < model.config.num_attention_heads):
            raise ValueError(f"heads must be pairs of a layer and a head of the model, got {(layer, head)}")
        silent.setdefault(layer, []).append(head)
    hooks = [
        model.model.layers[layer].self_attn.o_proj.register_forward_pre_hook(_silence(silent[layer], size))
        for layer in silent
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _silence(heads: list[int], size: int):
    """Make a hook that sets the numbers of some heads to 0 in `(batch, seq, heads · head_dim)`."""

    def hook(_module: torch.nn.Module, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        merged = inputs[0].clone().unflatten(-1, (-1, size))
        merged[..., heads, :] = 0
        return (merged.flatten(-2),)

    return hook


@takes(model=torch.nn.Module)
@torch.inference_mode()
def next_token_losses(model: torch.nn.Module, ids: torch.Tensor) -> torch.Tensor:
    """Return how surprised a causal LM is at each token of `ids` `(1, seq)` but the first, `(seq - 1,)`, in nats.

    Equals `CrossEntropyLoss` of the logits with the tokens that follow, before the mean is taken.

    Raises:
        ValueError: There is more than one text, or it has fewer than two tokens.

    >>> from course_utils.models import load_causal_lm
    >>> smollm = load_causal_lm()
    >>> next_token_losses(smollm.model, smollm.encode("a b c a b c")).shape
    torch.Size([5])
    """
    if ids.ndim != 2 or ids.shape[0] != 1 or ids.shape[1] < 2:
        raise ValueError(f"ids must have shape (1, seq) with at least two tokens, got {tuple(ids.shape)}")
    logits = model(ids).logits[0, :-1]
    return torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="none")
