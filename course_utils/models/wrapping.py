"""A model of your own: what it must be, and one sentence for everything else."""

from collections.abc import Callable
from pathlib import Path

import torch
from transformers import BatchEncoding, PreTrainedModel, PreTrainedTokenizerBase

from course_utils.models.architectures import generation_inputs, parameter_names, vocabulary_size


def check_causal_lm(model: PreTrainedModel) -> None:
    """Raise in one sentence unless `model` is a causal LM of `transformers`; put it into evaluation mode."""
    _check_is_model(model, "AutoModelForCausalLM")
    kind = type(model).__name__
    if "decoder_input_ids" in parameter_names(model):
        raise ValueError(
            f"model must be a causal LM, got {kind}, an encoder–decoder: give it to generate() or "
            "record_cross_attention() as it is"
        )
    if not model.can_generate():
        raise ValueError(
            f"model must be a causal LM, got {kind}, which has no head that predicts the next token: load it with "
            "AutoModelForCausalLM, or use Encoder.wrap for an encoder"
        )
    if model.main_input_name != "input_ids":
        raise ValueError(f"model must read token ids, got {kind}, which reads {model.main_input_name}")
    if _looks_ahead(model, lambda outputs: outputs.logits):
        raise ValueError(
            f"model must be a causal LM, got {kind}, in which a token sees those after it: use Encoder.wrap, or load "
            "it with is_decoder=True"
        )
    generation_inputs(model, torch.zeros(1, 2, dtype=torch.long, device=model.device))


def check_encoder(model: PreTrainedModel) -> PreTrainedModel:
    """Return `model` without its head, in evaluation mode; raise in one sentence unless it is an encoder."""
    _check_is_model(model, "AutoModel")
    kind = type(model).__name__
    if "decoder_input_ids" in parameter_names(model):
        raise ValueError(
            f"model must be an encoder, got {kind}, an encoder–decoder: give its encoder, model.get_encoder()"
        )
    encoder = model.base_model
    if encoder.main_input_name != "input_ids":
        raise ValueError(f"model must read token ids, got {kind}, which reads {encoder.main_input_name}")
    if _looks_ahead(encoder, lambda outputs: outputs.last_hidden_state) is False:
        raise ValueError(
            f"model must be an encoder, got {kind}, in which a token sees only those before it: use CausalLM.wrap"
        )
    return encoder


def check_tokenizer(tokenizer: PreTrainedTokenizerBase) -> None:
    """Raise a TypeError in one sentence unless `tokenizer` is a tokenizer of `transformers`."""
    if isinstance(tokenizer, PreTrainedTokenizerBase):
        return
    kind, advice = type(tokenizer).__name__, ""
    if isinstance(tokenizer, str | Path):
        advice = f": load it with transformers first, AutoTokenizer.from_pretrained({str(tokenizer)!r})"
    elif isinstance(getattr(tokenizer, "tokenizer", None), PreTrainedTokenizerBase):
        advice = ": give the tokenizer inside it, .tokenizer"
    elif hasattr(tokenizer, "get_vocab"):
        advice = ": put it into PreTrainedTokenizerFast(tokenizer_object=…) first"
    raise TypeError(f"tokenizer must be a tokenizer of transformers, got {kind}{advice}")


def model_name(model: PreTrainedModel) -> str:
    """Return what to call `model`: the last part of where it was loaded from, or else its class."""
    return Path(model.name_or_path or "").name or type(model).__name__


def check_padded(tokenizer: PreTrainedTokenizerBase, batch: BatchEncoding) -> None:
    """Raise a ValueError in one sentence if the texts of `batch` have different lengths: they can't be one tensor."""
    if len(set(map(len, batch["input_ids"]))) > 1:
        raise ValueError(
            f"tokenizer must have a padding token for texts of different lengths, got {tokenizer.pad_token}: set "
            "tokenizer.pad_token"
        )


def _check_is_model(model: object, loader: str) -> None:
    if isinstance(model, PreTrainedModel):
        if model.device.type == "meta":
            raise ValueError("model must have its weights in memory, got one on the meta device")
        model.eval()  # dropout would give another answer each time
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


@torch.inference_mode()
def _looks_ahead(model: PreTrainedModel, states: Callable[[object], torch.Tensor]) -> bool | None:
    """Tell whether another last token changes what `model` makes of the first one.

    None: it can't be told, because quantised layers round each number by the largest of the whole text.
    """
    config = model.config.get_text_config(decoder=True)
    special = {getattr(config, f"{name}_token_id", None) for name in ("pad", "eos", "bos")}
    ids = [token for token in range(vocabulary_size(model)) if token not in special][:4]
    try:
        texts = (torch.tensor([[*ids[:2], last]], device=model.device) for last in ids[2:])
        first, other = (states(model(text))[0, 0] for text in texts)
    except Exception as error:  # what an architecture needs besides, it says in its own way
        said = str(error).strip().split("\n")[0][:160]
        raise ValueError(
            f"model must run on token ids alone, got {type(model).__name__}, which stops with {type(error).__name__}: "
            f"{said}"
        ) from error
    # In a mixture of experts, another token changes the order of some sums.
    rounding = max(1e-5, torch.finfo(first.dtype).eps)
    if hasattr(model, "hf_quantizer") or any("quantized" in type(module).__module__ for module in model.modules()):
        return None
    return bool((first - other).abs().max() > rounding * first.abs().max())
