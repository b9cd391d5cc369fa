"""Greedy answers to many prompts at once, and the probability that the model gave to each.

Lesson: 02 · Where LLMs fail
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from course_utils.engine.arguments import check_whole
from course_utils.engine.llama import is_llama
from course_utils.models.architectures import generation_inputs, keeps_states, transformers_cache
from course_utils.models.doorway import takes


class Answer(NamedTuple):
    """What a model wrote, and how probable it was.

    Args:
        text: The answer, without the token that ended it.
        probability: The product of the probabilities of its tokens: how often the model would write exactly this if
            each token were drawn. An empty answer has 1.
        tokens: How many tokens it has; a longer answer has more factors.
    """

    text: str
    probability: float
    tokens: int


@takes(model=PreTrainedModel)
def greedy_answers(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Iterable[str],
    max_new_tokens: int = 8,
    ends: str = ".,\n",
) -> list[Answer]:
    r"""Complete every prompt greedily, all in one batch, until a token with one of the characters of `ends` comes.

    What all prompts share from their start is read once. The rest is padded on the left (lesson 03).

    Args:
        model: A causal LM of `transformers`.
        prompts: Texts; a chat prompt is one text that the chat template wrote.
        max_new_tokens: A longer answer is cut here.
        ends: Characters that end an answer, besides the end-of-sequence token.

    Raises:
        ValueError: There are no prompts, one has no token, or `max_new_tokens` is not a whole number of at least 1.

    Equals `model.generate(do_sample=False)` of each prompt alone, up to rounding.

    >>> from course_utils.models import load_causal_lm
    >>> smollm = load_causal_lm()
    >>> prompts = [f"Italy: Rome\n{country}:" for country in ("France", "Japan")]
    >>> [answer.text for answer in greedy_answers(smollm.model, smollm.tokenizer, prompts)]
    ['Paris', 'Tokyo']
    """
    max_new_tokens = check_whole("max_new_tokens", max_new_tokens, 1)
    prompts = list(prompts)
    rows = [tokenizer(prompt).input_ids for prompt in prompts]
    if not rows or not all(rows):
        raise ValueError(f"prompts must be at least one text with at least one token each, got {prompts}")
    # A state can't leave out the padding of a shorter prompt: it goes through all the same.
    batches = [[row] for row in rows] if keeps_states(model) else [rows]
    return [
        _answer(tokenizer, row, chances, ends)
        for batch in batches
        for row, chances in zip(*_greedy(model, batch, max_new_tokens), strict=True)
    ]


@torch.inference_mode()
def _greedy(model: PreTrainedModel, rows: list[list[int]], steps: int) -> tuple[list[list[int]], list[list[float]]]:
    """Return the likeliest tokens and their probabilities, a list per prompt."""
    cache = transformers_cache(model)
    # Padding in the middle of a text is not seen by rotations; sliding windows and others count it.
    shared = _shared_start(rows) if is_llama(model) and len(rows) > 1 else 0
    ids, mask = _padded_left([row[shared:] for row in rows], rows[0][:shared], model.device)
    if shared:
        model(**generation_inputs(model, ids[:1, :shared], cache))
        cache.reorder_cache(torch.zeros(len(rows), dtype=torch.long, device=model.device))
    read, tokens, probabilities = shared, [], []
    for _ in range(steps):
        logits = model(**generation_inputs(model, ids, cache, read, mask)).logits[:, -1]
        best = logits.float().softmax(-1).max(-1)
        tokens.append(best.indices)
        probabilities.append(best.values)
        read = 0 if cache is None else ids.shape[1]
        ids, mask = torch.cat([ids, best.indices[:, None]], dim=1), torch.nn.functional.pad(mask, (0, 1), value=1)
    return torch.stack(tokens, 1).tolist(), torch.stack(probabilities, 1).tolist()


def _shared_start(rows: list[list[int]]) -> int:
    """How many tokens all rows share from their start; each keeps at least one of its own to read."""
    most = min(map(len, rows)) - 1
    differ = (place for place in range(most) if len({row[place] for row in rows}) > 1)
    return next(differ, most)


def _padded_left(rows: list[list[int]], shared: list[int], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids: what all rows share, 0 as padding, the rows; and their mask, both `(row, shared + longest)`."""
    longest = max(map(len, rows))
    ids = torch.tensor([shared + [0] * (longest - len(row)) + row for row in rows], device=device)
    mask = [[1] * len(shared) + [0] * (longest - len(row)) + [1] * len(row) for row in rows]
    return ids, torch.tensor(mask, device=device)


def _answer(tokenizer: PreTrainedTokenizerBase, tokens: list[int], chances: list[float], ends: str) -> Answer:
    count = 0
    while count < len(tokens) and not _is_end(tokenizer, tokens[count], ends):
        count += 1
    return Answer(tokenizer.decode(tokens[:count]).strip(), math.prod(chances[:count]), count)


def _is_end(tokenizer: PreTrainedTokenizerBase, token: int, ends: str) -> bool:
    return token == tokenizer.eos_token_id or any(character in tokenizer.decode([token]) for character in ends)
