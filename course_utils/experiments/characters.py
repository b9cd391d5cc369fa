"""Text as single characters: a vocabulary, a model that only counts, and text written by a model that learned.

Lesson: 06 · Pre-training and fine-tuning
"""

import math
from collections import Counter

import torch
from transformers import PreTrainedModel

from course_utils.engine.arguments import check_whole


class Characters:
    """A vocabulary of single characters: all that occur in a text, in order.

    Raises:
        ValueError: A text to be encoded has a character that is not in the vocabulary.

    >>> letters = Characters("banana")
    >>> len(letters), letters.encode("nab"), letters.decode(torch.tensor([1, 0]))
    (3, tensor([2, 0, 1]), 'ba')
    """

    def __init__(self, text: str) -> None:
        self.labels = sorted(set(text))
        self._ids = {character: number for number, character in enumerate(self.labels)}

    def __len__(self) -> int:
        return len(self.labels)

    def encode(self, text: str) -> torch.Tensor:
        """Turn `text` into ids, `(seq,)`."""
        unknown = sorted(set(text) - set(self.labels))
        if unknown:
            raise ValueError(f"text must have only characters of the vocabulary, got {unknown[0]!r}")
        return torch.tensor([self._ids[character] for character in text], dtype=torch.long)

    def decode(self, ids: torch.Tensor) -> str:
        """Turn ids `(seq,)` into text."""
        return "".join(self.labels[number] for number in ids.tolist())


def counted_loss(ids: torch.Tensor, windows: torch.Tensor, vocabulary: int, context: int) -> float:
    """Return the loss of a table of counts: how often did each token come after the same `context` tokens?

    Every count is one more than it was, so that nothing is impossible. With a context of 0 it is how often a token
    occurs (unigrams), with 1 how often it follows another (bigrams).

    Args:
        ids: The text in which is counted, `(seq,)`.
        windows: The text that is predicted, `(window, length)`; of each window, all tokens but the first `context`
            and the very first.
        vocabulary: How many tokens there are.
        context: How many tokens the table looks back.

    Returns:
        Mean of −ln p, in nats.

    Raises:
        ValueError: `context` is not a whole number of at least 0, or leaves nothing of a window to predict.

    Source: Shannon (1951), Prediction and Entropy of Printed English; adding one is Laplace's rule of succession.

    >>> text = torch.tensor([0, 1] * 50)
    >>> [round(counted_loss(text, text.view(10, 10), vocabulary=2, context=n), 2) for n in (0, 1)]
    [0.69, 0.02]
    """
    context = check_whole("context", context, 0)
    if windows.shape[1] <= max(context, 1):
        raise ValueError(f"context must be less than the {windows.shape[1]} tokens of a window, got {context}")
    text = ids.tolist()
    together = Counter(tuple(text[place - context : place + 1]) for place in range(context, len(text)))
    alone = Counter(tuple(text[place - context : place]) for place in range(context, len(text)))
    total, count = 0.0, 0
    for window in windows.tolist():
        for place in range(max(context, 1), len(window)):
            seen = tuple(window[place - context : place + 1])
            total -= math.log((together[seen] + 1) / (alone[seen[:-1]] + vocabulary))
            count += 1
    return total / count


@torch.inference_mode()
def write_on(model: PreTrainedModel, vocabulary: Characters, start: str, characters: int, seed: int) -> str:
    """Let a causal LM of characters continue after `start`; every character is drawn from the whole distribution.

    The model reads at most as many of the last characters as its context length.

    Args:
        model: A causal LM of `transformers` with one token per character.
        vocabulary: What its tokens are.
        start: A text of at least one character.
        seed: What decides the draws.

    Raises:
        ValueError: `start` is empty, or has a character that is not in the vocabulary.

    >>> from course_utils.experiments.tiny_training import new_tiny_model
    >>> len(write_on(new_tiny_model(3), Characters("abc"), "cab", characters=10, seed=0))
    13
    """
    if not start:
        raise ValueError("start must have at least one character, got none")
    ids, chance = vocabulary.encode(start).to(model.device), torch.Generator(model.device).manual_seed(seed)
    for _ in range(characters):
        logits = model(ids[None, -model.config.max_position_embeddings :]).logits[0, -1]
        ids = torch.cat([ids, torch.multinomial(logits.softmax(-1), 1, generator=chance)])
    return vocabulary.decode(ids)
