"""A batch of sentences with a blank, filled by a masked language model under every mask.

Lesson: 07 · Encoders, decoders and both
"""

import numpy as np
import torch
from transformers import Pipeline

from course_utils.engine.arguments import listed
from course_utils.models.doorway import takes
from course_utils.traces.masked_runs import KINDS, check_batch, every_mask
from course_utils.traces.masks import MaskTrace


@takes(pipe=Pipeline)
def record_blanks(pipe: Pipeline, prompts: list[str], window: int = 4) -> MaskTrace:
    """Fill the blank of every prompt under every mask, padded left and right, and of each prompt alone.

    Args:
        pipe: A pipeline for fill-mask on a BERT.
        prompts: 2 to 4 texts with one blank each: the tokenizer's mask token, such as `[MASK]`.
        window: How many tokens the sliding window lets a token see, itself included.

    Positions are counted from the first column, as BERT does by default, also where that is padding.

    Raises:
        ValueError: There are not 2 to 4 prompts; one has not one blank, or over 200 tokens; `window` is not a whole
            number of at least 1; the model is not a BERT.

    >>> from course_utils.models.pipelines import load_pipeline
    >>> trace = record_blanks(load_pipeline("fill-mask"), ["The [MASK] sat.", "[MASK] sat on the mat."])
    >>> trace.tokens[0], trace.blanks, trace.reads_at("left", 0)
    (('[CLS]', 'the', '[MASK]', 'sat', '.', '[SEP]'), (2, 1), 4)
    """
    model, tokenizer, prompts = pipe.model, pipe.tokenizer, listed("prompts", prompts)
    if model.config.model_type != "bert":
        raise ValueError(f"pipe must have a BERT for masked language modelling, got {model.config.model_type}")
    ids = [tokenizer(prompt, return_tensors="pt", verbose=False).input_ids[0] for prompt in prompts]
    check_batch(ids)
    blanks = torch.tensor([_blank(row, tokenizer.mask_token_id, tokenizer.mask_token) for row in ids])
    rows, logits = torch.arange(len(ids)), torch.empty(len(KINDS), 2, 2, len(ids), model.config.vocab_size)
    shifts = torch.tensor([max(map(len, ids)) - len(row) for row in ids]), torch.zeros(len(ids), dtype=torch.long)

    def run(batch: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return model.bert(batch, attention_mask=mask).last_hidden_state

    with torch.inference_mode():
        for side, hidden in every_mask(model, run, ids, tokenizer.pad_token_id, window):
            logits[:, side] = model.cls(hidden[:, :, rows, blanks + shifts[side]].to(model.device)).cpu()
        alone = [model(row[None].to(model.device)).logits[0, blank] for row, blank in zip(ids, blanks, strict=True)]
    labels = tuple(tokenizer.convert_ids_to_tokens(range(model.config.vocab_size)))
    tokens = tuple(tuple(labels[token] for token in row) for row in ids)
    numbers = torch.stack(alone).cpu().numpy().astype(np.float32), logits.numpy()
    return MaskTrace("fill-mask", tuple(prompts), tokens, window, *numbers, labels, tuple(blanks.tolist()))


def _blank(ids: torch.Tensor, mask_id: int, mask_token: str) -> int:
    places = (ids == mask_id).nonzero()[:, 0].tolist()
    if len(places) != 1:
        raise ValueError(f"prompts must have one {mask_token} each, got {len(places)}")
    return places[0]
