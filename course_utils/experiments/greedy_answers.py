"""Greedy answers to many prompts at once, and the probability that the model gave to each.

Lesson: 02 · Where LLMs fail
"""

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from course_utils.engine.arguments import check_whole
from course_utils.engine.llama import is_llama
from course_utils.experiments.prompt_trees import prompt_tree, read_tree, tree_inputs
from course_utils.models.architectures import generation_inputs, keeps_states, transformers_cache
from course_utils.models.doorway import takes

_LARGEST_TREE = 2048  # tokens; its mask has the square of this, and most of a larger one is hidden


class Answer(NamedTuple):
    """What a model wrote, and how probable it was.

    Args:
        text: The answer, without the token that ended it.
        probability: The product of the probabilities of its tokens: how often the model would write exactly this if
            each token were drawn. An empty answer has 1.
        tokens: How many tokens it has; a longer answer has more factors.
        first: The probability of the first token that the model wrote, even where that one ended the answer.
    """

    text: str
    probability: float
    tokens: int
    first: float


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

    def is_end(token: int) -> bool:
        return token == tokenizer.eos_token_id or any(character in tokenizer.decode([token]) for character in ends)

    return [
        _answer(tokenizer, row, chances, is_end)
        for batch in _batches(model, tokenizer, prompts)
        for row, chances in zip(*_greedy(model, batch, max_new_tokens, is_end), strict=True)
    ]


@torch.inference_mode()
def next_probabilities(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: Iterable[str]
) -> torch.Tensor:
    """Return the next-token distribution after every prompt, `(prompt, vocab)`.

    A Llama reads what some prompts share from their start once.

    Raises:
        ValueError: There are no prompts, or one has no token.

    >>> from course_utils.models import load_causal_lm
    >>> smollm = load_causal_lm()
    >>> found = next_probabilities(smollm.model, smollm.tokenizer, ["The capital of France is", "Once upon a"])
    >>> [smollm.labels[token] for token in found.argmax(-1)]
    ['␣Paris', '␣time']
    """
    batches = _batches(model, tokenizer, prompts)
    if is_llama(model) and len((tree := prompt_tree(batches[0])).tokens) <= _LARGEST_TREE:
        return model(**tree_inputs(tree, model.device)).logits[0].float().softmax(-1)
    return torch.cat([_Batch(model, rows).read(model).softmax(-1) for rows in batches])


def _batches(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: Iterable[str]) -> list[list]:
    prompts = list(prompts)
    rows = [tokenizer(prompt).input_ids for prompt in prompts]
    if not rows or not all(rows):
        raise ValueError(f"prompts must be at least one text with at least one token each, got {prompts}")
    # A state can't leave out the padding of a shorter prompt: it goes through all the same.
    return [[row] for row in rows] if keeps_states(model) else [rows]


class _Batch:
    """Prompts that are read together: what all share from their start is read once, the rest is padded.

    Where much would be padding, a Llama reads a tree of the prompts instead.
    """

    def __init__(self, model: PreTrainedModel, rows: list[list[int]]) -> None:
        self.cache, self.seen, self.first = transformers_cache(model), 0, None
        # Padding in the middle of a text is not seen by rotations; sliding windows and others count it.
        if is_llama(model) and len(rows) > 1:
            self.seen, tree = _shared_start(rows), prompt_tree(rows)
            padded = self.seen + len(rows) * (max(map(len, rows)) - self.seen)
            if len(tree.tokens) <= min(_LARGEST_TREE, 0.75 * padded):
                self.seen, self.first = 0, read_tree(model, tree, self.cache)
        self.ids, self.mask = _padded_left([row[self.seen :] for row in rows], rows[0][: self.seen], model.device)
        if self.seen:
            model(**generation_inputs(model, self.ids[:1, : self.seen], self.cache))
            self.cache.reorder_cache(torch.zeros(len(rows), dtype=torch.long, device=model.device))

    def read(self, model: PreTrainedModel) -> torch.Tensor:
        """Read what is new, and return the next logits `(row, vocab)`."""
        if self.first is None:
            inputs = generation_inputs(model, self.ids, self.cache, self.seen, self.mask)
            logits = model(**inputs).logits[:, -1].float()
        else:
            logits, self.first = self.first, None
        self.seen = 0 if self.cache is None else self.ids.shape[1]
        return logits

    def append(self, tokens: torch.Tensor) -> None:
        self.ids = torch.cat([self.ids, tokens[:, None]], dim=1)
        self.mask = torch.nn.functional.pad(self.mask, (0, 1), value=1)

    def keep(self, places: list[int]) -> None:
        """Go on with these rows only."""
        chosen = torch.tensor(places, device=self.ids.device)
        self.ids, self.mask = self.ids[chosen], self.mask[chosen]
        if self.cache is not None:
            self.cache.reorder_cache(chosen)


@torch.inference_mode()
def _greedy(
    model: PreTrainedModel, rows: list[list[int]], steps: int, is_end: Callable[[int], bool]
) -> tuple[list[list[int]], list[list[float]]]:
    """Return the likeliest tokens of every prompt up to its end, and their probabilities."""
    batch, running = _Batch(model, rows), list(range(len(rows)))
    tokens, probabilities = [[] for _ in rows], [[] for _ in rows]
    for _ in range(steps):
        best = batch.read(model).softmax(-1).max(-1)
        for row, token, probability in zip(running, best.indices.tolist(), best.values.tolist(), strict=True):
            tokens[row].append(token)
            probabilities[row].append(probability)
        going = [place for place, row in enumerate(running) if not any(map(is_end, tokens[row]))]
        if not going:
            break
        batch.append(best.indices)
        # A smaller batch is faster, and making it smaller costs a copy of the cache.
        if len(going) <= 0.75 * len(running):
            batch.keep(going)
            running = [running[place] for place in going]
    return tokens, probabilities


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


def _answer(
    tokenizer: PreTrainedTokenizerBase, tokens: list[int], chances: list[float], is_end: Callable[[int], bool]
) -> Answer:
    count = next((place for place, token in enumerate(tokens) if is_end(token)), len(tokens))
    return Answer(tokenizer.decode(tokens[:count]).strip(), math.prod(chances[:count]), count, chances[0])
