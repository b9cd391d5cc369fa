"""Labelled texts for a few-shot prompt: which are shown, and which are asked for.

Lesson: 01 · What LLMs can do
"""

import json
import random
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import NamedTuple

import torch

from course_utils.engine.arguments import check_whole

Example = tuple[str, int]  # a text and the number of its class


def topic_sentences() -> dict[str, list[str]]:
    """Return sixty short sentences by topic, thirty about food and thirty about sport, written for this course.

    >>> {topic: len(sentences) for topic, sentences in topic_sentences().items()}
    {'food': 30, 'sport': 30}
    """
    file = files("course_utils.experiments.texts") / "food_or_sport.json"
    return json.loads(file.read_text(encoding="utf-8"))


class Draw(NamedTuple):
    """Some texts to be labelled, and the shots that come before them; no text is both.

    Args:
        shots: Examples for the prompt, in their order.
        tests: Examples to be labelled.

    >>> Draw(shots=[("A goal!", 1)], tests=[("More salt", 0)]).tests
    [('More salt', 0)]
    """

    shots: list[Example]
    tests: list[Example]


def draw_shots(texts: Mapping[str, Sequence[str]], draws: int, shots: int, seed: int = 0) -> list[Draw]:
    """Cut all texts into `draws` parts to be labelled, and draw shots for each part from the other parts.

    Classes are balanced, in every part and in every round of shots: one of each class, in random order.

    Args:
        texts: The texts of each class, equally many.
        shots: How many shots a part gets: a multiple of the number of classes.
        seed: What decides the parts, the shots and their order.

    Raises:
        ValueError: The texts cannot be cut into equal parts, or there are not enough of them for the shots.

    >>> draw_shots({"food": ["soup", "cake"], "sport": ["goal", "race"]}, draws=2, shots=2)[0].tests
    [('cake', 0), ('goal', 1)]
    """
    draws, shots = check_whole("draws", draws, 1), check_whole("shots", shots, 1)
    classes, sizes = len(texts), {len(own) for own in texts.values()}
    part = min(sizes, default=0) // draws
    if len(sizes) != 1 or part * draws not in sizes:
        raise ValueError(f"texts must be equally many a class and a multiple of draws ({draws}), got {sorted(sizes)}")
    rounds, left = divmod(shots, classes)
    if left or rounds > part * (draws - 1):
        raise ValueError(f"shots must be a multiple of {classes} up to {part * (draws - 1) * classes}, got {shots}")
    chance = random.Random(seed)
    order = [chance.sample(list(own), len(own)) for own in texts.values()]
    return [_one_draw(order, range(number * part, (number + 1) * part), rounds, chance) for number in range(draws)]


def _one_draw(order: list[list[str]], places: range, rounds: int, chance: random.Random) -> Draw:
    tests = [(own[place], label) for label, own in enumerate(order) for place in places]
    others = [chance.sample(own[: places.start] + own[places.stop :], rounds) for own in order]
    shots: list[Example] = []
    for number in range(rounds):
        one_each = [(own[number], label) for label, own in enumerate(others)]
        shots += chance.sample(one_each, len(one_each))
    return Draw(shots, tests)


def shot_text(text: str, label: str = "") -> str:
    r"""Write one line of a few-shot prompt; without a label it ends where the label is asked for.

    >>> shot_text("The cake was too sweet", "food")
    'The cake was too sweet: food\n'
    >>> shot_text("The cake was too sweet")
    'The cake was too sweet:'
    """
    return f"{text}: {label}\n" if label else f"{text}:"


def true_classes(draws: Sequence[Draw]) -> torch.Tensor:
    """Return the class of every text to be labelled, `(draw, test)`.

    >>> true_classes([Draw(shots=[], tests=[("More salt", 0), ("A goal", 1)])])
    tensor([[0, 1]])
    """
    return torch.tensor([[label for _, label in draw.tests] for draw in draws])
