"""Where a model's parameters are: counted by part from its tensors, and from the numbers of its configuration.

Lesson: 01 · What LLMs can do
"""

import re
from typing import NamedTuple

import torch

from course_utils.engine.arguments import check_whole
from course_utils.models.doorway import takes

# The first pattern that fits a tensor's name decides. They cover Llama, BERT, GPT-2, BART and T5 of `transformers`.
_PARTS = [
    ("norms", re.compile(r"norm|\.ln_", re.I)),
    ("attention", re.compile(r"attention|attn", re.I)),
    ("MLP", re.compile(r"mlp|\.fc\d|intermediate|\.output\.dense|DenseReluDense|feed_forward", re.I)),
    ("embedding", re.compile(r"embed|wte|wpe|shared", re.I)),
    ("output", re.compile(r"lm_head", re.I)),
]


@takes(model=torch.nn.Module)
def parameters_by_part(model: torch.nn.Module) -> dict[str, int]:
    """Count the parameters of `model` by part; a tensor that two parts share is counted where it comes first.

    Args:
        model: A model of `transformers`, also one without memory (`torch.device("meta")`).

    Returns:
        Number of parameters of "embedding", "attention", "MLP", "norms", and of "output" and "other" if there are
        any. They add up to `model.num_parameters()`.

    >>> from course_utils.models import load_encoder
    >>> parameters_by_part(load_encoder().model)
    {'embedding': 11917824, 'attention': 3548160, 'MLP': 7089408, 'norms': 9984, 'other': 147840}
    """
    counts = dict.fromkeys(("embedding", "attention", "MLP", "norms", "output", "other"), 0)
    for name, tensor in model.named_parameters():  # names a shared tensor once
        counts[next((part for part, pattern in _PARTS if pattern.search(name)), "other")] += tensor.numel()
    return {part: count for part, count in counts.items() if count or part not in ("output", "other")}


def llama_parameters(
    layers: int,
    hidden_size: int,
    query_heads: int,
    key_value_heads: int,
    head_dim: int,
    mlp_size: int,
    vocab_size: int,
    tied: bool = False,
) -> dict[str, int]:
    """Calculate the parameters of a Llama by part, from the numbers of its configuration alone.

    Args:
        mlp_size: Width of the MLP's inner layer (`intermediate_size`).
        tied: The output layer is the embedding table itself, and takes no parameters of its own.

    Raises:
        ValueError: A number is not a whole number of at least 1.

    Source: Touvron et al. (2023), LLaMA. Equals `LlamaForCausalLM` of `transformers`.

    >>> llama_parameters(30, 576, 9, 3, 64, 1536, 49_152, tied=True)
    {'embedding': 28311552, 'attention': 26542080, 'MLP': 79626240, 'norms': 35136}
    """
    layers, hidden_size = check_whole("layers", layers, 1), check_whole("hidden_size", hidden_size, 1)
    query_heads, mlp_size = check_whole("query_heads", query_heads, 1), check_whole("mlp_size", mlp_size, 1)
    key_value_heads = check_whole("key_value_heads", key_value_heads, 1)
    head_dim, vocab_size = check_whole("head_dim", head_dim, 1), check_whole("vocab_size", vocab_size, 1)
    counts = {
        "embedding": vocab_size * hidden_size,
        # Queries and the output map have a matrix of all query heads each, keys and values one of all KV heads.
        "attention": layers * hidden_size * head_dim * 2 * (query_heads + key_value_heads),
        "MLP": layers * 3 * hidden_size * mlp_size,  # gate, up and down
        "norms": (2 * layers + 1) * hidden_size,  # two a layer, and one at the end
    }
    return counts if tied else counts | {"output": vocab_size * hidden_size}


class MixtureSize(NamedTuple):
    """The size of a mixture of experts: every token goes through a few of the MLPs only.

    Args:
        parameters: All parameters.
        active: How many of them work on one token.
        source: Where the numbers are published.

    >>> round(MIXTURES["DeepSeek-V3"].active / MIXTURES["DeepSeek-V3"].parameters, 3)
    0.055
    """

    parameters: float
    active: float
    source: str


# Round numbers, as their reports give them.
MIXTURES = {
    "DeepSeek-V3": MixtureSize(671e9, 37e9, "DeepSeek-AI (2024), DeepSeek-V3 Technical Report"),
    "Kimi K2": MixtureSize(1.0e12, 32e9, "Kimi Team (2025), Kimi K2: Open Agentic Intelligence"),
    "DeepSeek-V4-Pro": MixtureSize(
        1.6e12, 49e9, "DeepSeek-AI (2026), DeepSeek-V4: Towards Highly Efficient Million-Token Context Intelligence"
    ),
}
