"""Two hundred and forty short reviews, written for this course, and three questions to ask about them.

Lesson: 06 · Pre-training and fine-tuning
"""

import json
import random
from collections.abc import Sequence
from importlib.resources import files
from typing import NamedTuple

import torch

TOPICS = ("meal", "journey", "film")
FEELINGS = ("bad", "good")


class Reviews(NamedTuple):
    """Short reviews with two labels each.

    Args:
        texts: The reviews.
        topics: `(review,)`, the number of its topic in `TOPICS`.
        feelings: `(review,)`, the number of its feeling in `FEELINGS`.
    """

    texts: list[str]
    topics: torch.Tensor
    feelings: torch.Tensor


def small_reviews(part: str) -> Reviews:
    """Return the 120 reviews of a part, written for this course: 20 of each topic and feeling.

    More than half of the training reviews are made from a few patterns ("The soup was awful."); none of the test
    reviews is.

    Args:
        part: "train" or "test".

    Raises:
        ValueError: There is no such part.

    >>> reviews = small_reviews("test")
    >>> reviews.texts[0], TOPICS[reviews.topics[0]], FEELINGS[reviews.feelings[0]]
    ('The dumplings melted on my tongue.', 'meal', 'good')
    """
    if part not in ("train", "test"):
        raise ValueError(f'part must be "train" or "test", got {part!r}')
    rows = json.loads((files("course_utils.experiments.texts") / "small_reviews.json").read_text(encoding="utf-8"))
    own = [row for row in rows if row["part"] == part]
    return Reviews(
        [row["text"] for row in own],
        torch.tensor([TOPICS.index(row["topic"]) for row in own]),
        torch.tensor([FEELINGS.index(row["feeling"]) for row in own]),
    )


ORDERS = ("shuffled", "as written")


def with_shuffled(texts: Sequence[str], seed: int = 0) -> tuple[list[str], torch.Tensor]:
    """Return every text twice, as it was written and with its words in another order, and which is which.

    Capitals and the sign at the end would give the order away: all letters become small, every text ends in a full
    stop.

    Args:
        texts: Texts of at least two different words.
        seed: What decides the order of the words.

    Returns:
        Twice as many texts, and for each the number of its order in `ORDERS`, `(text,)`.

    Raises:
        ValueError: A text has no two different words, so it has no other order.

    >>> with_shuffled(["Avoid the mussels!"])
    (['avoid the mussels.', 'the mussels avoid.'], tensor([1, 0]))
    """
    chance, shown = random.Random(seed), []
    for text in texts:
        words = text.lower().rstrip(".!?").split()
        if len(set(words)) < 2:
            raise ValueError(f"texts must each have at least two different words, got {text!r}")
        mixed = words
        while mixed == words:
            mixed = chance.sample(words, len(words))
        shown += [f"{' '.join(order)}." for order in (words, mixed)]
    return shown, torch.tensor([1, 0] * len(texts))
