"""Sentiment: is a text positive or negative?"""

import json
import random
from pathlib import Path
from typing import ClassVar

from transformers import PreTrainedModel, pipeline

from training import own
from training.data import Overlap
from training.task import Recipe, Row, Task

PAIRS = Path(__file__).with_name("contrast_pairs.json")
TESTS = ("sst2/test", "uci_sentences/test", "cad_sentiment/test")
TWEET_LABELS = {"negative": 0, "positive": 1}
CLEAR = 0.8  # of a mean rating from −4 to +4: below it people did not agree, or the text says nothing


class Sentiment(Task):
    """Reviews of films, shops and restaurants, tweets, and everyday sentences in pairs that feel the opposite."""

    name = "sentiment"
    title = "Sentiment"
    architecture = "BertForSequenceClassification"
    labels = ("NEGATIVE", "POSITIVE")
    recipe = Recipe(epochs=5)
    goals: ClassVar[dict[str, float]] = {
        "sst2 test accuracy": 0.89,
        "uci_sentences test accuracy": 0.92,
        "tweeteval_sentiment held-out half accuracy": 0.88,
        "sentences of our own accuracy": 0.85,
    }
    data_sets = (
        "SST-2 (Socher et al. 2013), training part of GLUE: research data, no licence stated",
        "ratings of film and product reviews, editorials and tweets (Hutto & Gilbert 2014), MIT",
        "counterfactually augmented IMDb reviews (Kaushik et al. 2020), Apache-2.0",
        "labelled sentences of Amazon, IMDb and Yelp (Kotzias et al. 2015), CC BY 4.0",
        "tweets of SemEval 2017 (Rosenthal et al. 2017), as in TweetEval, those with a feeling, CC BY 3.0",
        "contrast pairs: two sentences in almost the same words, one positive, one negative; written for this course",
    )
    notes = (
        "Two labels only: a text that is neither good nor bad gets one of them, often with a high score.",
        "Trained on reviews, tweets and everyday sentences; irony, questions and news are guesses.",
        "What is said about one thing in a text with several counts for the whole text.",
    )

    def train_rows(self) -> list[Row]:
        """Return the rows of every set; the small ones, which bring variety, several times."""
        unseen = Overlap(row["text"] for row in [*self.read(*TESTS), *self.tweets(held_out=True)])
        ours = Overlap((text for texts in own.sentences("sentiment").values() for text, _ in texts), run=5)
        pairs = [(row["text"], row["label"]) for row in self.read("sst2/train")]
        others = [(row["text"], row["label"]) for row in self.read("uci_sentences/train", "uci_sentences/dev")] * 3
        others += [(row["text"], row["label"]) for row in self.tweets(held_out=False)]
        for part in ("amazonReviewSnippets", "movieReviewSnippets", "nytEditorialSnippets", "tweets"):
            clear = [row for row in self.read(f"vader/{part}") if abs(row["score"]) >= CLEAR]
            others += [(row["text"], int(row["score"] > 0)) for row in clear]
        reviews = [(row["text"].replace("<br />", " "), row["label"]) for row in self.read("cad_sentiment/train")]
        others += [pair for pair in reviews if len(pair[0].split()) <= 120]
        for positive, negative in json.loads(PAIRS.read_text(encoding="utf-8")):
            if positive not in ours and negative not in ours:
                others += [(positive, 1), (negative, 0)] * 8
        return self._rows(pairs + [pair for pair in others if pair[0] not in unseen])

    def tweets(self, held_out: bool) -> list[dict]:
        """Return tweets with a feeling: every second of the test part is held out, the others train with the rest."""
        rows = self.read("tweeteval_sentiment/test")
        chosen = rows[1::2] if held_out else [*rows[::2], *self.read("tweeteval_sentiment/val")]
        return [
            {"text": row["text"].strip(), "label": TWEET_LABELS[row["label"]]}
            for row in chosen
            if row["label"] in TWEET_LABELS
        ]

    def evaluate(self, model: PreTrainedModel, quick: bool = False) -> dict[str, float]:
        """Accuracy on a test set of each kind."""
        scores = {}
        tests = (
            "sst2/dev",
            "sst2/test",
            "uci_sentences/test",
            "tweeteval_sentiment/held-out half",
            "cad_sentiment/test",
        )
        for name in tests:
            rows = self.tweets(held_out=True) if "held-out" in name else self.read(name)
            if quick or name == "sst2/dev":
                rows = random.Random(0).sample(rows, min(len(rows), 200 if quick else 2000))
            encoded = self._rows([(row["text"].replace("<br />", " "), row["label"]) for row in rows], longest=256)
            guesses = [output["logits"].argmax().item() for output in self.predict(model, encoded)]
            right = [guess == row["labels"] for guess, row in zip(guesses, encoded, strict=True)]
            scores[f"{name.replace('/', ' ')} accuracy"] = sum(right) / len(right)
        classify = pipeline("sentiment-analysis", model=model, tokenizer=self.tokenizer)
        return scores | {"sentences of our own accuracy": own.sentiment(classify)}

    def _rows(self, pairs: list[tuple[str, int]], longest: int = 160) -> list[Row]:
        encoded = self.encode([text for text, _ in pairs], longest=longest)
        return [row | {"labels": label} for row, (_, label) in zip(encoded, pairs, strict=True)]
