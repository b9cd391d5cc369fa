"""Sentiment: is a text positive or negative?"""

import random

from transformers import PreTrainedModel

from training.data import Overlap
from training.task import Recipe, Row, Task

CLEAR = 0.8  # of a mean rating from −4 to +4: below it people did not agree, or the text says nothing


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
    notes = (
        "Two labels only: a text that is neither good nor bad gets one of them, often with a high score.",
        "Trained on reviews; irony, questions and news are guesses.",
        "What is said about one thing in a text with several counts for the whole text.",
    )

    def train_rows(self) -> list[Row]:
        """Return SST-2, the clear ones of the rated snippets, and the shorter of the reviews with their twins."""
        unseen = Overlap(row["text"] for row in self.read("sst2/test"))
        pairs = [(row["text"], row["label"]) for row in self.read("sst2/train")]
        for part in ("amazonReviewSnippets", "movieReviewSnippets", "nytEditorialSnippets", "tweets"):
            clear = [row for row in self.read(f"vader/{part}") if abs(row["score"]) >= CLEAR]
            # The film snippets and SST-2 come from the same site.
            pairs += [(row["text"], int(row["score"] > 0)) for row in clear if row["text"] not in unseen]
        reviews = [(row["text"].replace("<br />", " "), row["label"]) for row in self.read("cad_sentiment/train")]
        pairs += [pair for pair in reviews if len(pair[0].split()) <= 120]
        return self._rows(pairs)

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

    def _rows(self, pairs: list[tuple[str, int]], longest: int = 160) -> list[Row]:
        encoded = self.encode([text for text, _ in pairs], longest=longest)
        return [row | {"labels": label} for row, (_, label) in zip(encoded, pairs, strict=True)]
