"""Sentiment: is a text positive or negative?"""

import math
import random

import torch
from transformers import PreTrainedModel

from training.data import Overlap
from training.task import Recipe, Row, Task

SURE = 0.98  # nobody is surer than that of a label that one person gave
STEEPNESS = 1.6  # turns a mean rating from −4 to +4 into a probability: ±0.5 becomes 69 %, ±2 becomes 96 %


class Sentiment(Task):
    """Short film reviews, rated snippets of four kinds, and reviews rewritten by people to mean the opposite."""

    name = "sentiment"
    title = "Sentiment"
    architecture = "BertForSequenceClassification"
    labels = ("NEGATIVE", "POSITIVE")
    recipe = Recipe(epochs=5)
    main_score = ("sst2 test accuracy", 0.90)
    data_sets = (
        "SST-2 (Socher et al. 2013), training part of GLUE: research data, no licence stated",
        "ratings of film and product reviews, editorials and tweets (Hutto & Gilbert 2014), MIT",
        "counterfactually augmented IMDb reviews (Kaushik et al. 2020), Apache-2.0",
    )

    def train_rows(self) -> list[Row]:
        """Return SST-2, the rated snippets, and the shorter of the reviews with their twins.

        A row's label is the probability of "positive": a snippet that people found neutral gets about a half.
        """
        unseen = Overlap(row["text"] for row in self.read("sst2/test"))
        pairs = [(row["text"], SURE if row["label"] else 1 - SURE) for row in self.read("sst2/train")]
        for part in ("amazonReviewSnippets", "movieReviewSnippets", "nytEditorialSnippets", "tweets"):
            rated = [(row["text"], 1 / (1 + math.exp(-STEEPNESS * row["score"]))) for row in self.read(f"vader/{part}")]
            # The film snippets and SST-2 come from the same site.
            pairs += [pair for pair in rated if pair[0] not in unseen] * (2 if part == "movieReviewSnippets" else 1)
        for row in self.read("cad_sentiment/train"):
            if len(row["text"].split()) <= 120:
                pairs.append((row["text"].replace("<br />", " "), SURE if row["label"] else 1 - SURE))
        return self._rows(pairs)

    def loss(self, model: PreTrainedModel, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return the cross-entropy with the probabilities, as a mean."""
        positive = batch.pop("labels")
        wanted = torch.stack([1 - positive, positive], -1)
        return torch.nn.functional.cross_entropy(model(**batch).logits.float(), wanted)

    def evaluate(self, model: PreTrainedModel, quick: bool = False) -> dict[str, float]:
        """Accuracy on SST-2 and on the rewritten reviews."""
        scores = {}
        for name in ("sst2/dev", "sst2/test", "cad_sentiment/test"):
            rows = self.read(name)
            if quick or name == "sst2/dev":
                rows = random.Random(0).sample(rows, min(len(rows), 200 if quick else 2000))
            encoded = self._rows([(row["text"].replace("<br />", " "), row["label"]) for row in rows], longest=256)
            guesses = [output["logits"].argmax().item() for output in self.predict(model, encoded)]
            right = [guess == row["labels"] for guess, row in zip(guesses, encoded, strict=True)]
            scores[f"{name.replace('/', ' ')} accuracy"] = sum(right) / len(right)
        return scores

    def _rows(self, pairs: list[tuple[str, float]], longest: int = 160) -> list[Row]:
        encoded = self.encode([text for text, _ in pairs], longest=longest)
        return [row | {"labels": label} for row, (_, label) in zip(encoded, pairs, strict=True)]
