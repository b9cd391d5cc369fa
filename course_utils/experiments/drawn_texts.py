"""Texts drawn after the openings of 24 stories: how surprising their tokens are, and how many of them are different.

What people wrote next can be measured at the same places.

Lesson: 11 · Sampling; deeper: Diversity and likelihood; 13 · Beam search
"""

import json
from collections.abc import Sequence
from importlib.resources import files

import torch
from transformers import PreTrainedModel

from course_utils.engine.arguments import check_whole
from course_utils.engine.running import RunningModel
from course_utils.engine.sampling import draw_next
from course_utils.experiments.surprisal import surprisal_bits
from course_utils.models.loading import CausalLM

PROMPT, PEOPLE = 16, 24  # tokens of an opening: what a model reads, and what its author wrote next


def story_openings() -> list[dict[str, str | int]]:
    """Return the openings of 24 stories for children, each with `title`, `author`, `year` and `text`.

    They were published in English from 1863 to 1922 and are in the public domain in the United States.

    >>> story_openings()[0]["text"][:47]
    'Once upon a time there were four little Rabbits'
    """
    path = files("course_utils.experiments.texts") / "story_openings.json"
    return json.loads(path.read_text(encoding="utf-8"))


def opening_tokens(smollm: CausalLM) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the first 16 tokens of each opening `(24, 16)`, and the 24 that its author wrote next `(24, 24)`.

    >>> from course_utils.models import load_causal_lm
    >>> prompts, people = opening_tokens(load_causal_lm())
    >>> prompts.shape, people.shape
    (torch.Size([24, 16]), torch.Size([24, 24]))
    """
    rows = [smollm.encode(opening["text"])[:, : PROMPT + PEOPLE] for opening in story_openings()]
    tokens = torch.cat(rows)
    return tokens[:, :PROMPT], tokens[:, PROMPT:]


def continue_texts(
    model: PreTrainedModel, ids: torch.Tensor, filters: Sequence[tuple[str, float]], length: int, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw `length` more tokens for each prompt; return them with their surprisal.

    An end-of-sequence token doesn't end a text here: all texts have the same length.

    Args:
        model: A causal LM of `transformers`.
        ids: Prompts of the same length, `(text, seq)`.
        filters: As `filter_stages` takes them.
        length: At least 1.
        seed: Of the draws.

    Returns:
        The new tokens `(text, length)`, and how many bits each surprises the model *without* filters `(text, length)`.

    Raises:
        ValueError: `length` is not a whole number of at least 1; or as `RunningModel` and `draw_next`.

    >>> from course_utils.models import load_causal_lm
    >>> smollm = load_causal_lm()
    >>> new, bits = continue_texts(smollm.model, smollm.encode("The capital of France is"), [("temperature", 0)], 2)
    >>> smollm.tokenizer.decode(new[0]), bits.shape
    (' Paris.', torch.Size([1, 2]))
    """
    length = check_whole("length", length, 1)
    running, generator = RunningModel(model, ids), torch.Generator().manual_seed(seed)
    text, bits = ids, []
    for _ in range(length):
        logits = running.next_logits(text)
        drawn = draw_next(logits, filters, generator)
        bits.append(surprisal_bits(logits, drawn))
        text = torch.cat([text, drawn[:, None]], dim=1)
    return text[:, ids.shape[1] :], torch.stack(bits, dim=1)


def different_share(tokens: torch.Tensor) -> float:
    """Return how many of `tokens` (of any shape) are different ones, from above 0 to 1.

    Source: distinct-1 of Li et al. (2016), A Diversity-Promoting Objective Function for Neural Conversation Models.

    >>> different_share(torch.tensor([[5, 6, 5], [6, 5, 7]]))
    0.5
    """
    return len(tokens.unique()) / tokens.numel()


def repeated_share(tokens: Sequence[int], n: int = 3) -> float:
    """Return how many of the groups of `n` neighbours in a text were there before, from 0 to below 1.

    A text of fewer than `n` tokens repeats nothing.

    Source: one minus the distinct-n of Li et al. (2016), within one text.

    >>> repeated_share([5, 6, 7, 5, 6, 7])
    0.25
    """
    groups = [tuple(tokens[start : start + n]) for start in range(len(tokens) - n + 1)]
    return 1 - len(set(groups)) / len(groups) if groups else 0.0
