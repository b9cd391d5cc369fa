"""The shapes of published models: the few numbers that decide how much memory they need.

Lesson: 14 · Speed and memory in practice
"""

from dataclasses import dataclass
from typing import Self

import torch
from transformers import PreTrainedModel

from course_utils.engine.arguments import check_whole
from course_utils.models.architectures import context_length, keeps_states, transformers_cache, vocabulary_size
from course_utils.models.doorway import takes

NO_LIMIT = 2**53  # the context length of a model that knows none; JavaScript still counts so far


@dataclass(frozen=True)
class ModelShape:
    """The numbers of a model that decide how much memory it needs.

    Args:
        parameters: How many numbers it has learned.
        hidden_size: Length of a hidden state.
        query_heads: Query heads of a layer.
        key_value_heads: KV heads of a layer; as many as query heads without grouped-query attention.
        head_dim: Size of one head.
        context_length: The most tokens it was made to read at once.
        source: Where the numbers are published.

    Raises:
        ValueError: A number is not a whole number of at least 1.
    """

    name: str
    parameters: int
    layers: int
    hidden_size: int
    query_heads: int
    key_value_heads: int
    head_dim: int
    vocab_size: int
    context_length: int
    source: str

    def __post_init__(self) -> None:
        for name, value in list(vars(self).items()):
            if name not in ("name", "source"):
                object.__setattr__(self, name, check_whole(name, value, 1))

    @classmethod
    @takes(model=PreTrainedModel)
    def of(cls, name: str, model: PreTrainedModel) -> Self:
        """Read the shape of a causal LM of `transformers`: from its configuration, and from the cache of one token.

        Raises:
            ValueError: Its layers don't all keep keys and values of one size for each token, so that no formula with
                these numbers is right.

        >>> from course_utils.models import load_causal_lm
        >>> ModelShape.of("SmolLM2", load_causal_lm().model).key_value_heads
        3
        """
        config = model.config.get_text_config(decoder=True)
        heads, size = _cache_of_one_token(name, model)
        return cls(
            name,
            model.num_parameters(),
            config.num_hidden_layers,
            config.hidden_size,
            config.num_attention_heads,
            heads,
            size,
            vocabulary_size(model),
            context_length(model) or NO_LIMIT,
            "its configuration",
        )


@torch.inference_mode()
def _cache_of_one_token(name: str, model: PreTrainedModel) -> tuple[int, int]:
    """KV heads of a layer, and the size of one: what was kept says more than any configuration."""
    cache, ids = transformers_cache(model), torch.zeros(1, 1, dtype=torch.long, device=model.device)
    if cache is not None and not keeps_states(model):
        model(ids, past_key_values=cache, use_cache=True)
        layers = [(layer.keys, layer.values) for layer in cache.layers]
        shapes = {getattr(kept, "shape", None) for layer in layers for kept in layer}
        if len(shapes) == 1 and None not in shapes and layers[0][0].shape[2] == 1:
            return layers[0][0].shape[1], layers[0][0].shape[-1]
    raise ValueError(f"model must keep keys and values of one size per token in every layer, got {name}")


def _read(table: str) -> dict[str, ModelShape]:
    """Read a table: one model per line, its fields in the order of `ModelShape`."""
    rows = ([field.strip() for field in line.split("|")] for line in table.strip().splitlines())
    return {
        name: ModelShape(name, *(int(number.replace(",", "")) for number in numbers), source)
        for name, *numbers, source in rows
    }


# Parameters, layers, hidden size, query heads, KV heads, head size, vocabulary, context length, source. The tests
# build each architecture without memory and count its parameters; GPT-3's are the paper's, in round numbers.
PUBLISHED = _read("""
GPT-2         |     124,439,808 | 12 |    768 | 12 | 12 |  64 |  50,257 |   1,024 | Radford et al. (2019)
GPT-2 XL      |   1,557,611,200 | 48 |  1,600 | 25 | 25 |  64 |  50,257 |   1,024 | Radford et al. (2019)
GPT-3         | 175,000,000,000 | 96 | 12,288 | 96 | 96 | 128 |  50,257 |   2,048 | Brown et al. (2020), table 2.1
SmolLM2-135M  |     134,515,008 | 30 |    576 |  9 |  3 |  64 |  49,152 |   8,192 | Ben Allal et al. (2025); config.json
SmolLM2-360M  |     361,821,120 | 32 |    960 | 15 |  5 |  64 |  49,152 |   8,192 | Ben Allal et al. (2025); config.json
SmolLM2-1.7B  |   1,711,376,384 | 24 |  2,048 | 32 | 32 |  64 |  49,152 |   8,192 | Ben Allal et al. (2025); config.json
Llama 2 7B    |   6,738,415,616 | 32 |  4,096 | 32 | 32 | 128 |  32,000 |   4,096 | Touvron et al. (2023); config.json
Llama 3.1 8B  |   8,030,261,248 | 32 |  4,096 | 32 |  8 | 128 | 128,256 | 131,072 | Grattafiori et al. (2024), table 3
Llama 3.1 70B |  70,553,706,496 | 80 |  8,192 | 64 |  8 | 128 | 128,256 | 131,072 | Grattafiori et al. (2024), table 3
Llama 3.1 405B| 405,853,388,800 |126 | 16,384 |128 |  8 | 128 | 128,256 | 131,072 | Grattafiori et al. (2024), table 3
Mistral 7B    |   7,241,732,096 | 32 |  4,096 | 32 |  8 | 128 |  32,000 |  32,768 | Jiang et al. (2023); config.json
Qwen2.5-0.5B  |     494,032,768 | 24 |    896 | 14 |  2 |  64 | 151,936 |  32,768 | Yang et al. (2024); config.json
Qwen2.5-7B    |   7,615,616,512 | 28 |  3,584 | 28 |  4 | 128 | 152,064 | 131,072 | Yang et al. (2024); config.json
Gemma 2 2B    |   2,614,341,888 | 26 |  2,304 |  8 |  4 | 256 | 256,000 |   8,192 | Gemma Team (2024); config.json
""")
