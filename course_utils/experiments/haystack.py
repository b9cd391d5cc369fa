"""Needles in a haystack: facts that are hidden in a long text, and asked for.

Lesson: 02 · Where LLMs fail
"""

import random
from collections.abc import Iterable, Sequence
from importlib.resources import files

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from course_utils.engine.arguments import check_whole
from course_utils.experiments.greedy_answers import next_probabilities

# None of the doors, the answers and the last words here is in the filler text. SmolLM2 has one token for each answer
# after a space.
DOORS = ["oak", "brass", "marble", "granite", "glass", "bronze", "steel", "copper"]
SUBJECTS = [
    "The password of the oak door", "The nickname of the old judge", "The favourite food of the twins",
    "The secret word of the baker", "The name of the doctor’s horse", "The title of the last song",
    "The first prize of the fair", "The code name of the spy",
]  # fmt: skip
ANSWERS = [
    "walnut", "cobalt", "thunder", "velvet", "orchid", "falcon", "ginger", "saffron", "meadow", "maple", "dragon",
    "violin", "banana", "pencil", "rocket", "turtle", "honey", "cotton", "diamond", "lemon", "mirror", "anchor",
    "ocean", "tiger", "basket", "cherry", "hammer",
]  # fmt: skip


def draw_needles(similar: bool, seed: int, count: int = 4) -> dict[str, str]:
    """Draw facts to hide: what each is about, and a word. The words of a seed are the same for both kinds.

    Args:
        similar: Whether all are passwords of doors, or each is about something else.
        seed: What decides the draw.
        count: How many; at most 8.

    Raises:
        ValueError: `count` is not a whole number in 1 … 8.

    >>> draw_needles(similar=True, seed=0, count=2)
    {'The password of the steel door': 'banana', 'The password of the copper door': 'basket'}
    >>> draw_needles(similar=False, seed=0, count=1)
    {'The first prize of the fair': 'banana'}
    """
    count = check_whole("count", count, 1)
    if count > len(DOORS):
        raise ValueError(f"count must be at most {len(DOORS)}, got {count}")
    kinds = [f"The password of the {door} door" for door in DOORS] if similar else SUBJECTS
    words = random.Random(seed).sample(ANSWERS, len(DOORS))  # all, so that a smaller count is the start of a larger
    return dict(zip(random.Random(seed).sample(kinds, len(kinds))[:count], words[:count], strict=True))


def filler_text(tokenizer: PreTrainedTokenizerBase, tokens: int, number: int = 0) -> str:
    """Return a part of the story *The Last Ferry* of `tokens` tokens; each number begins at another paragraph.

    Raises:
        ValueError: `tokens` is not a whole number of at least 0, or `number` has fewer tokens after it.

    >>> from course_utils.models import load_causal_lm
    >>> filler_text(load_causal_lm().tokenizer, tokens=8, number=1)
    'The captain was a tall man named Os'
    """
    tokens, number = check_whole("tokens", tokens, 0), check_whole("number", number, 0)
    story = (files("course_utils.experiments.texts") / "the_last_ferry.txt").read_text(encoding="utf-8")
    ids = tokenizer("\n\n".join(story.split("\n\n")[number:])).input_ids
    if len(ids) < tokens:
        raise ValueError(f"tokens must be at most {len(ids)} for number {number}, got {tokens}")
    return tokenizer.decode(ids[:tokens])


def answer_probabilities(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    text: str,
    subjects: Iterable[str],
    answers: Sequence[str],
) -> torch.Tensor:
    """Ask for each subject after the text; return the probability of every answer, `(subject, answer)`.

    The question is the beginning of the line that states the fact. The text is read once for all of them.

    Raises:
        ValueError: There are no subjects, or an answer is not one token after a space.

    Source: after Kamradt (2023), Needle In A Haystack: Pressure Testing LLMs.

    >>> from course_utils.models import load_causal_lm
    >>> smollm = load_causal_lm()
    >>> text = "The name of the dog: pepper. The name of the cat: lemon. They slept all day."
    >>> found = answer_probabilities(smollm.model, smollm.tokenizer, text, ["The name of the cat"], ["pepper", "lemon"])
    >>> found.argmax(-1)
    tensor([1])
    """
    ids = [tokenizer(f" {answer}", add_special_tokens=False).input_ids for answer in answers]
    for answer, tokens in zip(answers, ids, strict=True):
        if len(tokens) != 1:
            raise ValueError(f"answers must be one token each, got {answer!r} with {len(tokens)}")
    prompts = [f"{text}\n\n{subject}:" for subject in subjects]
    return next_probabilities(model, tokenizer, prompts)[:, [tokens[0] for tokens in ids]]


def stated(facts: dict[str, str]) -> str:
    """Write facts as sentences.

    >>> stated({"The name of the dog": "pepper"})
    'The name of the dog: pepper.'
    """
    return " ".join(f"{subject}: {answer}." for subject, answer in facts.items())
