"""How much a text surprises a model: −log2 of the probability of every token, in bits.

Lesson: 09 · Context length and prompting
"""

from collections.abc import Callable

import torch
from transformers import DynamicCache, PreTrainedModel

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
    Lesson: 09 · Context length and prompting

    >>> surprisal_bits(torch.zeros(1, 8), torch.tensor([5]))
    tensor([3.])
    """
    if logits.shape[:-1] != ids.shape:
        raise ValueError(f"ids must have shape {tuple(logits.shape[:-1])} like the logits, got {tuple(ids.shape)}")
    log_probabilities = logits.float().log_softmax(-1).gather(-1, ids.unsqueeze(-1)).squeeze(-1)
    return -log_probabilities / torch.log(torch.tensor(2.0))


@torch.inference_mode()
def read_text(
    model: PreTrainedModel, ids: torch.Tensor, progress: Callable[[int, int], object] | None = None
) -> tuple[torch.Tensor, torch.Tensor, DynamicCache]:
    """Read a text piece by piece; return the surprisal of its tokens, the next logits and the KV cache.

    The first token has no surprisal: nothing predicts it.

    Args:
        model: A causal LM of `transformers`.
        ids: One text, `(1, seq)`.
        progress: Called after each piece but the last with how many tokens are read, and how many there are.

    Returns:
        Bits `(seq - 1,)`, the logits after the last token `(vocab,)`, the cache of all tokens.

    Raises:
        ValueError: `ids` is not one text of at least one token.

    Equals one run over the whole text, up to rounding.
    Lesson: 09 · Context length and prompting

    >>> from course_utils.models import load_causal_lm
    >>> smollm = load_causal_lm()
    >>> bits, next_logits, cache = read_text(smollm.model, smollm.encode("The capital of France is Paris"))
    >>> bits.shape, next_logits.shape, cache.get_seq_length()
    (torch.Size([5]), torch.Size([49152]), 6)
    """
    if ids.ndim != 2 or ids.shape[0] != 1 or not ids.shape[1]:
        raise ValueError(f"ids must have shape (1, seq) with at least one token, got {tuple(ids.shape)}")
    cache, bits, last, done = DynamicCache(config=model.config), [], None, 0
    for piece in ids.split(READ_AT_ONCE, dim=1):
        logits = model(piece, past_key_values=cache, use_cache=True).logits[0]
        before = logits[:-1] if last is None else torch.cat([last[None], logits[:-1]])
        bits.append(surprisal_bits(before, piece[0, -len(before) :] if len(before) else piece[0, :0]))
        last = logits[-1]
        done += piece.shape[1]
        if progress and done < ids.shape[1]:
            progress(done, ids.shape[1])
    return torch.cat(bits), last, cache
