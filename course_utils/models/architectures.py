"""What `transformers` models differ in: where a size is written down, and what their forward pass takes.

Everything that runs a model asks here, so that a model of your own needs no name in a list.
"""

import inspect
from contextlib import suppress
from pathlib import Path

import torch
from transformers import Cache, DynamicCache, EncoderDecoderCache, PreTrainedModel
from transformers.utils import ModelOutput

# Some architectures have names of their own (MPT, Whisper); -1 and None stand for no limit.
_LENGTHS = ("max_position_embeddings", "max_seq_len", "max_target_positions")


def check_is_model(model: object, loader: str = "AutoModelForCausalLM") -> None:
    """Raise a TypeError in one sentence unless `model` is a model of `transformers`; `loader` is what makes one."""
    if isinstance(model, PreTrainedModel):
        return
    kind, advice = type(model).__name__, ""
    if isinstance(model, str | Path):
        advice = f": load it with transformers first, {loader}.from_pretrained({str(model)!r})"
    elif isinstance(model, type):
        kind, advice = f"the class {model.__name__}", ": make or load a model of it first"
    elif isinstance(getattr(model, "model", None), PreTrainedModel):
        advice = ": give the model inside it, .model"
    elif hasattr(model, "_orig_mod"):
        advice = ": give the model as it was before torch.compile"
    elif hasattr(model, "merge_and_unload"):
        advice = ": merge its adapter first, model.merge_and_unload()"
    raise TypeError(f"model must be a model of transformers, got {kind}{advice}")


def check_generates(model: PreTrainedModel) -> None:
    """Raise in one sentence unless `model` is one of `transformers` that can generate: a TypeError or a ValueError."""
    check_is_model(model)
    if not model.can_generate():
        raise ValueError(
            f"model must be a causal LM or an encoder–decoder, got {type(model).__name__}, which has no head that "
            "predicts the next token"
        )


def parameter_names(model: PreTrainedModel) -> set[str]:
    """Return the names of what the forward pass of `model` takes."""
    return set(inspect.signature(model.forward).parameters)


def vocabulary_size(model: PreTrainedModel) -> int:
    """Return how many tokens `model` has logits for; of an encoder, how many it can read.

    Raises:
        ValueError: It reads characters, or anything else that has no table.
    """
    with suppress(NotImplementedError):
        head, table = model.get_output_embeddings(), model.get_input_embeddings()
        sizes = getattr(head, "out_features", None), getattr(table, "num_embeddings", None)
        if known := next(filter(None, sizes), None):
            return known
    known = getattr(model.config.get_text_config(decoder=True), "vocab_size", None)
    if known is None:
        raise ValueError(f"model must have a table of tokens, got {type(model).__name__}, which has none")
    return known


def context_length(model: PreTrainedModel) -> int | None:
    """Return the most tokens that `model` was made to read at once; None: its configuration knows no limit."""
    config = model.config.get_text_config(decoder=True)
    found = next((length for name in _LENGTHS if (length := getattr(config, name, None))), None)
    if found is None or found < 1:
        return None
    # RoBERTa and its family begin to count after the padding token: a table of 514 rows is for 512 tokens.
    tables = (module for name, module in model.named_modules() if name.endswith("position_embeddings"))
    unused = [table.padding_idx + 1 for table in tables if getattr(table, "padding_idx", None) is not None]
    return found - max(unused, default=0)


def key_value_heads(model: PreTrainedModel) -> int | None:
    """Return how many KV heads a layer of `model` has, as its configuration says; None: it has no attention heads."""
    config = model.config.get_text_config(decoder=True)
    heads = getattr(config, "num_attention_heads", None)
    if getattr(config, "multi_query", False) and not getattr(config, "new_decoder_architecture", False):
        return 1  # Falcon, StarCoder
    return getattr(config, "num_key_value_heads", None) or getattr(config, "num_kv_heads", None) or heads


def cache_name(model: PreTrainedModel) -> str | None:
    """Return what the forward pass of `model` calls its cache; None: it can't take one of `transformers`' own kind.

    Mamba keeps a state in place of keys and values, in the same kind of object, under another name. RWKV, xLSTM and a
    few old models keep theirs in objects that can't be reordered, and RecurrentGemma inside its layers.
    """
    taken = parameter_names(model)
    inside = any(hasattr(module, "recurrent_states") for module in model.modules())
    if inside or not model._supports_default_dynamic_cache():
        return None
    return next((name for name in ("past_key_values", "cache_params") if name in taken), None)


def transformers_cache(model: PreTrainedModel) -> Cache | None:
    """Return an empty cache of `transformers` for `model`; None where it takes none: it reads the whole text again."""
    if cache_name(model) is None:
        return None
    if model.config.is_encoder_decoder:
        return EncoderDecoderCache(DynamicCache(), DynamicCache())
    return DynamicCache(config=model.config)


def keeps_keys_and_values(model: PreTrainedModel) -> bool:
    """Tell whether `model` has a KV cache, in some of its layers at least."""
    cache = transformers_cache(model)
    layers = [] if cache is None or model.config.is_encoder_decoder else cache.layers
    return cache is not None and (not layers or any(hasattr(layer, "get_seq_length") for layer in layers))


def keeps_states(model: PreTrainedModel) -> bool:
    """Tell whether `model` keeps a state in some of its layers, in place of keys and values or beside them."""
    cache = transformers_cache(model)
    layers = [] if cache is None or model.config.is_encoder_decoder else cache.layers
    return cache is None or any(hasattr(layer, "conv_states") for layer in layers)


def check_keeps_keys_and_values(model: PreTrainedModel) -> None:
    """Raise a ValueError in one sentence unless `model` has a KV cache."""
    if not keeps_keys_and_values(model):
        kind = model.config.model_type
        raise ValueError(f"model must keep keys and values of the tokens it has read, got {kind}, which keeps none")


def last_position(ids: torch.Tensor) -> torch.Tensor:
    """Return the `logits_to_keep` of a forward pass on `ids` `(batch, seq)` that wants the last logits alone.

    The number 1 means the same, but cuts a view out of the batch, which torch multiplies row by row: the matrix of the
    logits, a fifth of SmolLM2, would be read once per row.
    """
    return torch.tensor([-1], device=ids.device)


def generation_inputs(
    model: PreTrainedModel,
    ids: torch.Tensor,
    cache: Cache | None = None,
    read: int = 0,
    mask: torch.Tensor | None = None,
    encoded: ModelOutput | None = None,
) -> dict:
    """Return what the forward pass of `model` takes for one step of generation, as its own `generate` prepares it.

    Args:
        model: A causal LM or an encoder–decoder of `transformers`.
        ids: The whole text so far, `(batch, seq)`.
        cache: What was read before, from `transformers_cache`; None: nothing is kept.
        read: How many tokens that is.
        mask: `(batch, seq)`, 0 for padding; of an encoder–decoder, for what the encoder reads.
        encoded: What the encoder of an encoder–decoder made, of its own kind of output.

    Raises:
        ValueError: The model doesn't read the text as it is, but with a token added to it.
    """
    taken, inputs = parameter_names(model), {"use_cache": cache is not None}
    if cache is not None:
        inputs |= {cache_name(model): cache, "next_sequence_length": ids.shape[1] - read}
    if "logits_to_keep" in taken:
        inputs["logits_to_keep"] = last_position(ids)
    if mask is not None and (encoded is not None or "attention_mask" in taken):
        inputs["attention_mask"] = mask
    if encoded is not None:
        inputs["encoder_outputs"] = encoded
    elif "position_ids" in taken:
        # A row that begins with padding begins to count its positions after it; pictures would count in two directions.
        ones = torch.ones_like(ids) if mask is None else mask
        inputs["position_ids"] = model._prepare_position_ids_for_generation(ids, {"attention_mask": ones})
    prepared = model.prepare_inputs_for_generation(ids, is_first_iteration=not read, **inputs)
    if encoded is None and prepared["input_ids"].shape[1] > ids.shape[1]:
        raise ValueError(
            f"model must predict the next token at the last one of the text, got {type(model).__name__}, which adds a "
            "token to it and predicts there"
        )
    return prepared
