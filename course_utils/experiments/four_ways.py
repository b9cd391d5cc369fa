"""Four ways to teach an encoder a new task, compared fairly, and the recorded runs of all four.

What differs is the way alone. The texts, the steps and the loop are the same; each way has the learning rate that did
best on reviews which were kept apart from the test.

Lesson: 06 · Pre-training and fine-tuning
"""

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files

import numpy as np
import torch

from course_utils.experiments.fine_tuning import SentenceClassifier, fine_tune
from course_utils.experiments.small_reviews import small_reviews, with_shuffled
from course_utils.models.loading import Encoder
from course_utils.models.lora import attach_lora

RATES = {
    "head only": (0.003, 0.01, 0.03, 0.1),
    "LoRA": (1e-3, 2e-3, 4e-3, 8e-3),
    "all weights": (1e-4, 2e-4, 4e-4, 8e-4),
    "no pre-training": (2e-4, 5e-4, 1e-3, 2e-3),
}  # by way: the learning rates that are tried
TASKS = ("order", "feeling")


def task_texts(task: str, part: str) -> tuple[list[str], torch.Tensor]:
    """Return the texts of a part of the small reviews, and the right classes of a task.

    Args:
        task: "order": is a text as it was written, or shuffled? Two texts per review. "feeling": bad or good?
        part: "train" or "test".

    Raises:
        ValueError: There is no such task or part.

    >>> texts, classes = task_texts("order", "test")
    >>> texts[:2], classes.tolist()[:2]
    (['the dumplings melted on my tongue.', 'on tongue the dumplings melted my.'], [1, 0])
    """
    _check_task(task)
    reviews = small_reviews(part)
    return with_shuffled(reviews.texts) if task == "order" else (reviews.texts, reviews.feelings)


def text_inputs(encoder: Encoder, texts: Sequence[str]) -> dict[str, torch.Tensor]:
    """Return ids and mask of all texts, `(text, seq)`, padded to the longest.

    >>> from course_utils.models import load_encoder
    >>> text_inputs(load_encoder(), ["Good.", "Not good at all."])["attention_mask"].sum(1)
    tensor([4, 7])
    """
    batch = encoder.tokenizer(list(texts), padding=True, return_tensors="pt")
    return {name: batch[name] for name in ("input_ids", "attention_mask")}


def new_classifier(way: str, encoder: Encoder, seed: int) -> SentenceClassifier:
    """Return a classifier of two classes in which just what the way trains asks for gradients.

    Args:
        way: "head only" (the encoder is frozen), "LoRA" (a correction of rank 8 beside each matrix, and the head),
            "all weights", or "no pre-training" (all weights, and they begin at random).
        encoder: Where the weights come from.
        seed: What decides everything that is random.

    Raises:
        ValueError: There is no such way.

    >>> from course_utils.models import load_encoder
    >>> head_only = new_classifier("head only", load_encoder(), seed=0)
    >>> sum(parameter.numel() for parameter in head_only.parameters() if parameter.requires_grad)
    770
    """
    if way not in RATES:
        raise ValueError(f"way must be one of {', '.join(RATES)}, got {way!r}")
    classifier = SentenceClassifier(encoder.model, 2, pretrained=way != "no pre-training", seed=seed)
    if way == "head only":
        classifier.encoder.requires_grad_(False)
    if way == "LoRA":
        with torch.random.fork_rng():  # the learner's own random numbers stay as they are
            torch.manual_seed(seed)
            attach_lora(classifier.encoder, rank=8, alpha=16)
    return classifier


def tuned(
    way: str, encoder: Encoder, inputs: Mapping[str, torch.Tensor], classes: torch.Tensor, rate: float, seed: int,
    steps: int = 30,
) -> SentenceClassifier:  # fmt: skip
    """Return a classifier that was trained in one of the ways: its arguments are those of the two functions above.

    >>> from course_utils.models import load_encoder
    >>> encoder = load_encoder()
    >>> inputs = text_inputs(encoder, ["Good.", "Bad."])
    >>> classifier = tuned("head only", encoder, inputs, torch.tensor([1, 0]), rate=0.1, seed=0)
    >>> classifier(**inputs).argmax(-1)
    tensor([1, 0])
    """
    classifier = new_classifier(way, encoder, seed)
    if way == "head only":  # the vectors never change, so they are computed once
        with torch.no_grad():
            inputs = {"input": classifier.vectors(**inputs)}
        fine_tune(classifier.head, inputs, classes, steps, rate, seed=seed)
    else:
        fine_tune(classifier, inputs, classes, steps, rate, seed=seed)
    return classifier


def recorded_ways(task: str, place: int = 0) -> dict[str, np.ndarray]:
    """Return how often each test review was classified rightly, by way: recorded runs.

    Args:
        task: "order" or "feeling".
        place: 0 for the learning rate that was chosen for each way, 1 for the second best.

    Returns:
        Arrays `(review,)`, in 0 … 1: the mean over the seeds, and for "order" over the two texts of the review.

    Raises:
        ValueError: There is no such task.

    Source: `python -m benchmarks.fine_tuning --record`, whose machine and day the file says.

    >>> {way: shares.shape for way, shares in recorded_ways("order").items()}["LoRA"]
    (120,)
    """
    return {way: _right(runs[place]["right"]).mean(0).reshape(120, -1).mean(1) for way, runs in _stored(task).items()}


def recorded_rates(task: str, place: int = 0) -> dict[str, float]:
    """Return the learning rate of each way: the best of four on reviews kept apart from the test, or the second best.

    Raises:
        ValueError: There is no such task.

    >>> list(recorded_rates("order"))
    ['head only', 'LoRA', 'all weights', 'no pre-training']
    """
    return {way: runs[place]["rate"] for way, runs in _stored(task).items()}


def _right(rows: list[str]) -> np.ndarray:
    """Turn one row of 0 and 1 per seed into `(seed, text)`."""
    return np.array([[int(mark) for mark in row] for row in rows], dtype=float)


def _stored(task: str) -> dict[str, list[dict]]:
    _check_task(task)
    path = files("course_utils.experiments") / "texts" / "recorded_ways.json"
    return json.loads(path.read_text(encoding="utf-8"))["tasks"][task]


def _check_task(task: str) -> None:
    if task not in TASKS:
        raise ValueError(f"task must be one of {', '.join(TASKS)}, got {task!r}")
