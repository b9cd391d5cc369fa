"""Inference: does the second text follow from the first? That is enough to sort texts into labels never seen."""

import json
import random
from pathlib import Path
from typing import ClassVar

import torch
from transformers import PreTrainedModel

from course_utils.models.loading import load_encoder
from training.data import WORDS, Overlap
from training.task import Recipe, Row, Task

ENTAILMENT, NEUTRAL, CONTRADICTION = "entailment", "neutral", "contradiction"
TEMPLATES = ("This example is {}.", "This text is about {}.", "The topic is {}.", "It is about {}.")


class Nli(Task):
    """Does a hypothesis follow from a premise (three classes); the model behind zero-shot classification."""

    name = "nli"
    title = "Natural-language inference"
    architecture = "BertForSequenceClassification"
    labels = (ENTAILMENT, NEUTRAL, CONTRADICTION)
    recipe = Recipe(epochs=5)
    goals: ClassVar[dict[str, float]] = {"snli test accuracy": 0.80}
    data_sets = (
        "SNLI (Bowman et al. 2015): 20,000 training pairs and all but 2,000 of the dev pairs, CC BY-SA 4.0",
        "counterfactually augmented SNLI (Kaushik et al. 2020), Apache-2.0 over CC BY-SA 4.0",
        "CLINC150 (Larson et al. 2019), intents and domains turned into 'This text is about …', CC BY 3.0",
        "sentences of Wikipedia and of editorials, with the topic word that the encoder itself finds nearest "
        "(CC BY-SA, MIT)",
    )
    notes = (
        "Two thirds of the rewritten twins of SNLI are right, against four fifths of SNLI itself: it leans on words.",
        "As a topic sorter it knows everyday topics; labels that are names or long phrases are guesses.",
        "Captions of pictures are what it knows best; long texts it does not.",
    )

    def train_rows(self) -> list[Row]:
        """Return pairs of captions, pairs of a request and its intent, pairs of a sentence and a topic."""
        test = self.read("snli/test")
        unseen = Overlap((row["premise"] for row in test), run=100)  # captions share runs; whole ones must not recur
        rows = self.read("snli/train20k", "cad_nli/train") + self.read("snli/dev")[2000:]
        triples = [(row["premise"], row["hypothesis"], row["label"]) for row in rows if row["premise"] not in unseen]
        return self._rows(triples + self._intents() + self._topics())

    def evaluate(self, model: PreTrainedModel, quick: bool = False) -> dict[str, float]:
        """Accuracy on SNLI and on its rewritten twins, and on choosing one of several topics."""
        sets = {
            "snli dev": self.read("snli/dev")[:2000],
            "snli test": self.read("snli/test"),
            "cad_nli test": self.read("cad_nli/test"),
        }
        scores = {}
        for name, rows in sets.items():
            chosen = random.Random(0).sample(rows, 300) if quick else rows
            encoded = self._rows([(row["premise"], row["hypothesis"], row["label"]) for row in chosen])
            guesses = [output["logits"].argmax().item() for output in self.predict(model, encoded)]
            right = [guess == row["labels"] for guess, row in zip(guesses, encoded, strict=True)]
            scores[f"{name} accuracy"] = sum(right) / len(right)
        topics = json.loads(Path(__file__).with_name("topic_test.json").read_text(encoding="utf-8"))
        pairs = [(text, topic) for topic, texts in topics.items() for text in texts]
        scores["own topic test accuracy (12 topics)"] = self._choose(model, pairs, list(topics))
        rows = random.Random(0).sample(self.read("clinc150/test"), 50 if quick else 300)
        pairs = [(row["text"], row["domain"].replace("_", " ")) for row in rows]
        scores["clinc150 test accuracy (10 domains)"] = self._choose(model, pairs, sorted({row[1] for row in pairs}))
        return scores

    def _choose(self, model: PreTrainedModel, pairs: list[tuple[str, str]], labels: list[str]) -> float:
        """Return how often the right one of `labels` is the one most entailed, as zero-shot classification does it."""
        rows = self._rows([(text, f"This example is {label}.", ENTAILMENT) for text, _ in pairs for label in labels])
        entailed = torch.stack([output["logits"][0] for output in self.predict(model, rows)]).view(-1, len(labels))
        best = [labels[index] for index in entailed.argmax(-1).tolist()]
        return sum(guess == label for guess, (_, label) in zip(best, pairs, strict=True)) / len(pairs)

    def _intents(self) -> list[tuple[str, str, str]]:
        """Pair every request with its intent or domain, and with one that it has not."""
        chance = random.Random(self.recipe.seed)
        rows = self.read("clinc150/train")
        intents = {row["intent"].replace("_", " "): row["domain"] for row in rows}
        domains = sorted(set(intents.values()))
        triples = []
        for row in rows:
            if chance.random() < 0.25:
                right = row["domain"]
                wrong = chance.choice([domain for domain in domains if domain != right])
            else:
                right = row["intent"].replace("_", " ")
                wrong = chance.choice([intent for intent in intents if intent != right])
            template = chance.choice(TEMPLATES)
            triples.append((row["text"], template.format(right.replace("_", " ")), ENTAILMENT))
            triples.append((row["text"], template.format(wrong.replace("_", " ")), CONTRADICTION))
        chance.shuffle(triples)
        return triples[:16000]

    def _topics(self) -> list[tuple[str, str, str]]:
        """Pair sentences with the topic the encoder finds nearest, and with one it finds far away.

        Similarities are compared with the topic's and the sentence's usual ones: some are near to everything.
        """
        chance = random.Random(self.recipe.seed)
        texts = [row["text"] for row in self.read("qamr/wiki_sentences", "vader/nytEditorialSnippets")]
        texts += [row["text"] for row in self.read("clinc150/wiki_sents")[:3000]]
        texts = sorted({text for text in texts if 6 <= len(text.split()) <= 40})
        chance.shuffle(texts)
        texts = sorted(texts[:7000], key=len)
        topics = WORDS["topics"]
        encoder = load_encoder()
        vectors = torch.cat([encoder.embed(texts[start : start + 32]) for start in range(0, len(texts), 32)])
        near = vectors @ encoder.embed(topics).T
        near = (near - near.mean(0)) / near.std(0)
        near = near - near.mean(1, keepdim=True)
        triples = []
        for text, row in zip(texts, near, strict=True):
            best, second = row.topk(2).values.tolist()
            if best < 2 or best - second < 0.15:
                continue
            far = [index for index in range(len(topics)) if row[index] < 0.5]
            template = chance.choice(TEMPLATES)
            triples.append((text, template.format(topics[row.argmax()]), ENTAILMENT))
            triples += [(text, template.format(topics[index]), CONTRADICTION) for index in chance.sample(far, 2)]
        return triples

    def _rows(self, triples: list[tuple[str, str, str]]) -> list[Row]:
        encoded = self.encode([triple[0] for triple in triples], [triple[1] for triple in triples])
        labels = [self.labels.index(triple[2]) for triple in triples]
        return [row | {"labels": label} for row, label in zip(encoded, labels, strict=True)]
