"""Prompts as people hand them over, turned into token ids `(batch, seq)` and a mask.

Lesson: 15 · Capstone: your own generate()
"""

import warnings
from collections.abc import Mapping

import torch
from transformers import PreTrainedModel

from course_utils.engine.arguments import token_ids
from course_utils.engine.running import check_prompts
from course_utils.engine.settings import GenerationSettings
from course_utils.models.architectures import check_generates


def prepared(
    model: PreTrainedModel, ids: object, attention_mask: object, given: dict
) -> tuple[GenerationSettings, torch.Tensor, torch.Tensor | None]:
    """Return the settings in `given`, and the prompts as a tensor `(batch, seq)` with its mask.

    Prompts may also be a list, an array, or what a tokenizer returns, whole (`BatchEncoding`) or as `**batch`. A mask
    without padding becomes None. Without a mask, the padding of a causal LM is read off the ids, as `transformers`
    does it.

    Raises:
        TypeError: `model` isn't one of `transformers`; the ids or the mask aren't a tensor, and can't be made one.
        ValueError: The model can't generate; a setting is out of its range; the prompts are empty or leave no room in
            the context length; the ids aren't whole numbers, differ in length, or aren't in the vocabulary; padding is
            on the right.

    >>> from course_utils.models import load_causal_lm
    >>> smollm = load_causal_lm()
    >>> prepared(smollm.model, smollm.tokenizer(["Hi"]), None, {})[1:]
    (tensor([[26843]]), None)
    """
    check_generates(model)
    given = {name: value for name, value in given.items() if name != "token_type_ids"}
    for name in ("input_ids", "inputs"):
        if name in given:
            if ids is not None:
                raise ValueError(f"ids and {name} must not be given together: they are the same prompt")
            ids = given.pop(name)
    settings = GenerationSettings(**given)
    if isinstance(ids, Mapping):
        attention_mask = ids.get("attention_mask") if attention_mask is None else attention_mask
        ids = ids.get("input_ids")
    ids, mask = _matrix("ids", ids), _matrix("attention_mask", attention_mask)
    check_prompts(model, ids, mask)
    ids = _checked_vocabulary(model, ids)
    mask = _read_mask(model, ids, settings) if mask is None else mask
    return settings, ids, None if mask is None or mask.all() else mask


def end_tokens(model: PreTrainedModel, settings: GenerationSettings) -> tuple[int, ...]:
    """Return the tokens that end a text: those of the settings, or else the model's own.

    >>> from course_utils.models import load_causal_lm
    >>> end_tokens(load_causal_lm().model, GenerationSettings())
    (2,)
    """
    if settings.eos_ids is not None:
        return tuple(settings.eos_ids)
    own = model.generation_config.eos_token_id
    return () if own is None else tuple(token_ids("eos_token_id", own))


def _matrix(name: str, values: object) -> object:
    """Turn a list or an array into a tensor, and one prompt into a batch of one; leave anything else as it is."""
    if isinstance(values, list | tuple):
        rows = [row.tolist() if hasattr(row, "tolist") else row for row in values]
        lengths = {len(row) if isinstance(row, list | tuple) else 0 for row in rows}
        if len(lengths) > 1:
            raise ValueError(
                f"{name} must be rows of one length (a tokenizer pads them with padding=True), got {sorted(lengths)}"
            )
        try:
            values = torch.tensor(rows)
        except (TypeError, ValueError, RuntimeError):
            return values
    elif hasattr(values, "__array__") and not isinstance(values, torch.Tensor):
        values = torch.as_tensor(values.tolist())
    return values[None] if isinstance(values, torch.Tensor) and values.ndim == 1 else values


def _checked_vocabulary(model: PreTrainedModel, ids: torch.Tensor) -> torch.Tensor:
    if ids.is_floating_point() or ids.is_complex() or ids.dtype == torch.bool:
        raise ValueError(f"ids must be whole numbers, got {ids.dtype}")
    most = getattr(model.config.get_text_config(), "vocab_size", 2**63) - 1
    wrong = ids[(ids < 0) | (ids > most)]
    if len(wrong):
        raise ValueError(f"ids must be tokens of the model's vocabulary, 0 … {most:,}, got {wrong[0].item():,}")
    return ids.long().to(model.device)


def _read_mask(model: PreTrainedModel, ids: torch.Tensor, settings: GenerationSettings) -> torch.Tensor | None:
    """Return the mask that the padding in `ids` asks for, as `transformers` reads it; None: there is none."""
    ends = end_tokens(model, settings)
    padding = model.generation_config.pad_token_id if settings.pad_token_id is None else settings.pad_token_id
    padding = ends[0] if padding is None and ends else padding
    if padding is None or not (ids == padding).any():
        return None
    # Also where the model's own end doesn't end this text: a chat is full of ends, and they are no padding.
    is_end = padding in ends or padding in end_tokens(model, GenerationSettings())
    writes_apart = model.config.is_encoder_decoder
    if not is_end and not writes_apart:
        if (ids[:, -1] == padding).any():
            raise ValueError(
                f"ids must have their padding (token {padding}) on the left for a causal LM, got it on the right"
            )
        return (ids != padding).long()
    edge = ids[:, -1] if writes_apart else ids[:, 0]
    if len(ids) > 1 and (edge == padding).any():
        why = "which an encoder–decoder reads as text" if writes_apart else "which also ends a text"
        warnings.warn(f"ids hold the padding token {padding}, {why}: give attention_mask, too", stacklevel=4)
    return None
