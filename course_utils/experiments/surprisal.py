"""How much a text surprises a model: −log2 of the probability of every token, in bits.

Lesson: 09 · Context length and prompting
"""

import math
from collections.abc import Callable

import torch
from transformers import Cache, PreTrainedModel

from course_utils.engine.arguments import check_whole
from course_utils.models.architectures import check_generates, generation_inputs, keeps_states, transformers_cache

READ_AT_ONCE = 256  # logits of a long text would fill the memory: 1.6 GB for 8,192 tokens of SmolLM2


def surprisal_bits(logits: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """Return −log2 p of each token under the logits that predict it: 0 is certain, 1 is a fair coin.

    The mean in bits, times ln 2, is the loss that `transformers` computes.

    Args:
        logits: `(..., vocab)`.
        ids: The tokens that came, `(...)`.

    Raises:
        ValueError: The shapes do not fit.

    Source: Shannon (1948), A Mathematical Theory of Communication.

    >>> surprisal_bits(torch.zeros(1, 8), torch.tensor([5]))
    tensor([3.])
    """
    if logits.shape[:-1] != ids.shape:
        raise ValueError(f"ids must have shape {tuple(logits.shape[:-1])} like the logits, got {tuple(ids.shape)}")
    log_probabilities = logits.float().log_softmax(-1).gather(-1, ids.unsqueeze(-1)).squeeze(-1)
    return -log_probabilities / math.log(2)


@torch.inference_mode()
def read_text(
    model: PreTrainedModel, ids: torch.Tensor, progress: Callable[[int, int], object] | None = None
) -> tuple[torch.Tensor, torch.Tensor, Cache | None]:
    """Read a text piece by piece; return the surprisal of its tokens, the next logits and the KV cache.

    The first token has no surprisal: nothing predicts it.

    Args:
        model: A causal LM of `transformers`. One that takes no cache of `transformers` reads the text at once.
        ids: One text, `(1, seq)`.
        progress: Called after each piece but the last with how many tokens are read, and how many there are.

    Returns:
        Bits `(seq - 1,)`, the logits after the last token `(vocab,)`, the cache of all tokens if there is one.

    Raises:
        TypeError: `model` isn't one of `transformers`, but a `CausalLM`.
        ValueError: `model` can't generate, or `ids` is not one text of at least one token.

    Equals one run over the whole text, up to rounding.

    >>> from course_utils.models import load_causal_lm
    >>> smollm = load_causal_lm()
    >>> bits, next_logits, cache = read_text(smollm.model, smollm.encode("The capital of France is Paris"))
    >>> bits.shape, next_logits.shape, cache.get_seq_length()
    (torch.Size([5]), torch.Size([49152]), 6)
    """
    check_generates(model)
    if ids.ndim != 2 or ids.shape[0] != 1 or not ids.shape[1]:
        raise ValueError(f"ids must have shape (1, seq) with at least one token, got {tuple(ids.shape)}")
    ids, cache, bits, last = ids.to(model.device), transformers_cache(model), [], None
    read, length = 0, ids.shape[1]
    # A state reads on by one token at a time only.
    for piece in ids.split(length if keeps_states(model) else READ_AT_ONCE, dim=1):
        inputs = generation_inputs(model, ids[:, : read + piece.shape[1]], cache, read)
        if "logits_to_keep" in inputs:
            inputs["logits_to_keep"] = 0  # of every position
        logits, read = model(**inputs).logits[0], read + piece.shape[1]
        before = logits[:-1] if last is None else torch.cat([last[None], logits[:-1]])
        bits.append(surprisal_bits(before, piece[0, -len(before) :] if len(before) else piece[0, :0]))
        last = logits[-1]
        if progress and read < length:
            progress(read, length)
    return torch.cat(bits), last, cache


@torch.inference_mode()
def surprisal_after(
    model: PreTrainedModel, pieces: torch.Tensor, skipped: int, before: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the surprisal of every piece but its first `skipped` tokens, each piece read after the same text.

    Args:
        model: A causal LM of `transformers` with a KV cache.
        pieces: Token ids of several pieces of equal length, `(piece, seq)`.
        skipped: How many tokens of each piece are context only.
        before: A text that comes before every piece, `(1, n)`. It is read once, and its cache serves all pieces.

    Returns:
        Bits, `(piece, seq - skipped)`.

    Raises:
        ValueError: `skipped` leaves no token to predict, or nothing to predict the first of them from.

    >>> from course_utils.models import load_causal_lm
    >>> smollm = load_causal_lm()
    >>> pieces = smollm.encode(" dog is called Pepper.")
    >>> for before in (None, smollm.encode("Pepper is my")):
    ...     round(surprisal_after(smollm.model, pieces, 3, before)[0, 0].item(), 1)
    17.0
    4.7
    """
    skipped = check_whole("skipped", skipped, 1)
    if skipped >= pieces.shape[1]:
        raise ValueError(f"skipped must be less than the {pieces.shape[1]} tokens of a piece, got {skipped}")
    cache = None
    if before is not None:
        cache = model(before, use_cache=True, logits_to_keep=1).past_key_values
        cache.batch_repeat_interleave(len(pieces))
    logits = model(pieces, past_key_values=cache, logits_to_keep=pieces.shape[1] - skipped + 1).logits
    return surprisal_bits(logits[:, :-1], pieces[:, skipped:])
