"""Texts that repeat themselves: the loop at an end, what a repetition makes likely, and what penalties cost a text.

Lesson: 12 · Repetition, length and stopping
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from transformers import PreTrainedModel

from course_utils.engine.arguments import check_whole
from course_utils.experiments.surprisal import READ_AT_ONCE, surprisal_bits
from course_utils.models.loading import CausalLM


def loop_period(ids: Sequence[int]) -> int | None:
    """Return the length of the run of tokens with which `ids` ends three times in a row, the shortest first; or None.

    >>> loop_period([5, 1, 2, 1, 2, 1, 2]), loop_period([1, 2, 1, 2])
    (2, None)
    """
    ids = list(ids)
    for period in range(1, len(ids) // 3 + 1):
        if ids[-period:] == ids[-2 * period : -period] == ids[-3 * period : -2 * period]:
            return period
    return None


@torch.inference_mode()
def bits_of_parts(model: PreTrainedModel, ids: torch.Tensor, size: int) -> torch.Tensor:
    """Return how much each part of a text surprises the model, in bits per token: `(text, part)`.

    The first token of a part doesn't count: what comes before it is the end of another part, or nothing.

    Args:
        model: A causal LM of `transformers`.
        ids: `(text, seq)`, each text of parts of `size` tokens.
        size: At least 2.

    Raises:
        ValueError: `size` is not a whole number of at least 2, or the texts aren't a multiple of it long.

    >>> from course_utils.models import load_causal_lm
    >>> smollm = load_causal_lm()
    >>> ids = smollm.encode("The cat sat on the mat.").repeat(1, 2)
    >>> first, second = bits_of_parts(smollm.model, ids, 7)[0]
    >>> bool(second < first)
    True
    """
    size = check_whole("size", size, 2)
    if ids.ndim != 2 or not ids.shape[1] or ids.shape[1] % size:
        raise ValueError(f"ids must have shape (text, seq) with seq a multiple of {size}, got {tuple(ids.shape)}")
    bits = []
    for texts in ids.split(max(1, READ_AT_ONCE // ids.shape[1])):
        surprisals = surprisal_bits(model(texts).logits[:, :-1], texts[:, 1:])
        parts = torch.nn.functional.pad(surprisals, (1, 0)).unflatten(1, (-1, size))
        bits.append(parts[:, :, 1:].mean(-1))
    return torch.cat(bits)


@torch.inference_mode()
def penalty_costs(
    smollm: CausalLM,
    passages: Sequence[str],
    rules: Mapping[str, tuple[Callable[[torch.Tensor, torch.Tensor, float], torch.Tensor], float]],
) -> dict[str, torch.Tensor]:
    """Return how many bits more the tokens of a text surprise the model under each penalty, per passage `(passage,)`.

    The text is one, passage after passage, and all of it counts as written by the model.

    Args:
        smollm: The model that reads.
        passages: Together they must fit into the context.
        rules: For each name a penalty `(logits (1, vocab), ids (1, seq), setting)` and its setting.

    Raises:
        ValueError: A passage is empty.

    >>> from course_utils.engine.penalties import apply_presence_penalty
    >>> from course_utils.models import load_causal_lm
    >>> presence = {"presence 1": (apply_presence_penalty, 1.0)}
    >>> costs = penalty_costs(load_causal_lm(), ["The cat sat.", " The cat sat."], presence)["presence 1"]
    >>> bool(costs[1] > costs[0])
    True
    """
    encoded = [smollm.encode(passage) for passage in passages]
    ids, cache, read = torch.cat(encoded, dim=1), None, 0
    extra = {name: [0.0] for name in rules}  # nothing predicts the first token
    for piece in ids[:, :-1].split(READ_AT_ONCE, dim=1):
        output = smollm.model(piece, past_key_values=cache, use_cache=True)
        cache = output.past_key_values
        for logits in output.logits[0]:
            read += 1
            plain = surprisal_bits(logits[None], ids[:, read])
            for name, (rule, setting) in rules.items():
                penalised = rule(logits[None], ids[:, :read], setting)
                extra[name].append((surprisal_bits(penalised, ids[:, read]) - plain).item())
    lengths = [passage.shape[1] for passage in encoded]
    return {
        name: torch.stack([part.mean() for part in torch.tensor(bits).split(lengths)]) for name, bits in extra.items()
    }
