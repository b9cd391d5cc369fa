"""Question answering: where in a text does the answer stand?"""

import random
import re
import string
from collections import Counter
from typing import ClassVar

import torch
from transformers import PreTrainedModel

from training.task import Recipe, Row, Task

WINDOW, OVERLAP, LONGEST_ANSWER = 256, 96, 30  # in tokens
HELD_OUT = 3000  # questions of qamr's test part


class Qa(Task):
    """Finds the answer to a question as a span of a text, or says that there is none."""

    name = "qa"
    title = "Question answering"
    architecture = "BertForQuestionAnswering"
    recipe = Recipe(epochs=4)
    goals: ClassVar[dict[str, float]] = {"squad5k test F1": 62.0}
    data_sets = (
        "a part of SQuAD 1.1 (Rajpurkar et al. 2016): 4,000 questions, twice, CC BY-SA 4.0",
        "QAMR (Michael et al. 2018): the dev part and the sentences of the test part not held out, MIT over CC BY(-SA)",
        "questions of both put to another text, which has no answer",
    )
    notes = (
        "It often points at more words than were asked for: “at hugging face in brooklyn” for “where do i work?”.",
        "Asked for what is not in the context, it points all the same unless `handle_impossible_answer=True`.",
        "It finds what is said in one sentence; what must be put together from two it does not.",
    )

    def train_rows(self) -> list[Row]:
        """Return questions with their texts, and some with a text that does not answer them."""
        chance = random.Random(self.recipe.seed)
        rows = self.read("squad5k/train") * 2 + self.read("qamr/dev") + self._qamr()[1]
        triples = [(row["question"], row["context"], most_common(row)) for row in rows]
        contexts = sorted({row["context"] for row in rows}, key=len)
        position = {context: index for index, context in enumerate(contexts)}
        for row in chance.sample(rows, len(rows) // 12):  # texts of about the same length, so that length tells nothing
            index = position[row["context"]] + chance.choice([-1, 1]) * chance.randint(1, 50)
            other = contexts[min(max(index, 0), len(contexts) - 1)]
            if row["answers"][0] not in other:
                triples.append((row["question"], other, None))
        chance.shuffle(triples)
        return [row for row in self._windows(triples)[0] if row.pop("keep")]

    def loss(self, model: PreTrainedModel, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return the mean of the losses of the first and the last token."""
        first, last = batch.pop("first"), batch.pop("last")
        output = model(**batch)
        losses = []
        for logits, target in ((output.start_logits, first), (output.end_logits, last)):
            scores = logits.float().masked_fill(batch["attention_mask"] == 0, -1e4)
            losses.append(torch.nn.functional.cross_entropy(scores, target))
        return sum(losses) / 2

    def evaluate(self, model: PreTrainedModel, quick: bool = False) -> dict[str, float]:
        """F1 of words and exact matches in per cent, and how often a text without the answer is recognised."""
        scores = {}
        test = self.read("squad5k/test")
        sets = {"squad5k dev": self.read("squad5k/valid"), "squad5k test": test, "qamr held-out": self._qamr()[0]}
        for name, rows in sets.items():
            rows = random.Random(0).sample(rows, 100) if quick else rows
            answers = self.answers(model, [(row["question"], row["context"]) for row in rows])
            pairs = list(zip(answers, rows, strict=True))
            scores[f"{name} F1"] = 100 * sum(f1(text, row["answers"]) for (text, _), row in pairs) / len(pairs)
            exact = sum(normal(text) in [normal(answer) for answer in row["answers"]] for (text, _), row in pairs)
            scores[f"{name} exact match"] = 100 * exact / len(pairs)
            if name == "squad5k test":
                half = len(rows) // 2
                moved = [(row["question"], rows[index - half]["context"]) for index, row in enumerate(rows)]
                none = sum(margin < 0 for _, margin in self.answers(model, moved))
                answered = sum(margin >= 0 for _, margin in answers)
                scores["no answer said, text of another question"] = 100 * none / len(rows)
                scores["an answer given, right text"] = 100 * answered / len(rows)
        return scores

    def answers(self, model: PreTrainedModel, pairs: list[tuple[str, str]]) -> list[tuple[str, float]]:
        """Return for (question, text) the best span, and by how much it beats "no answer" in its window."""
        rows, encoded = self._windows([(question, context, None) for question, context in pairs])
        outputs = self.predict(model, rows)
        best: list[tuple[float, str, float]] = [(-torch.inf, "", -torch.inf)] * len(pairs)
        for window, output in enumerate(outputs):
            inside = torch.tensor([part == 1 for part in encoded.sequence_ids(window)])
            start = output["start_logits"][: len(inside)]
            end = output["end_logits"][: len(inside)]
            none = (start[0] + end[0]).item()
            spans = start[:, None] + end[None, :]
            allowed = torch.ones_like(spans).triu() - torch.ones_like(spans).triu(LONGEST_ANSWER)
            spans = spans.masked_fill((allowed == 0) | ~inside[:, None] | ~inside[None, :], -torch.inf)
            score, place = spans.flatten().max(0)
            first, last = divmod(place.item(), len(inside))
            sample = encoded["overflow_to_sample_mapping"][window]
            if score > best[sample][0]:
                offsets = encoded["offset_mapping"][window]
                text = pairs[sample][1][offsets[first][0] : offsets[last][1]]
                best[sample] = (score.item(), text, score.item() - none)
        return [(text, margin) for _, text, margin in best]

    def _qamr(self) -> tuple[list[dict], list[dict]]:
        """Split qamr's test part by sentence: questions held out, questions to learn from."""
        rows = self.read("qamr/test")
        sentences = sorted({row["id"] for row in rows})
        random.Random(0).shuffle(sentences)
        count = Counter(row["id"] for row in rows)
        held, total = set(), 0
        for sentence in sentences:
            if total < HELD_OUT:
                held.add(sentence)
                total += count[sentence]
        return [row for row in rows if row["id"] in held], [row for row in rows if row["id"] not in held]

    def _windows(self, triples: list[tuple[str, str, tuple[str, int] | None]]) -> tuple[list[Row], dict]:
        """Cut texts into overlapping windows; mark the tokens of the answer, [CLS] where it is not in the window."""
        encoded = self.tokenizer(
            [question for question, _, _ in triples],
            [context for _, context, _ in triples],
            truncation="only_second",
            max_length=WINDOW,
            stride=OVERLAP,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
        )
        rows = []
        for window, sample in enumerate(encoded["overflow_to_sample_mapping"]):
            answer = triples[sample][2]
            first = last = 0
            if answer:
                begin, end = answer[1], answer[1] + len(answer[0])
                pieces = zip(encoded["offset_mapping"][window], encoded.sequence_ids(window), strict=True)
                places = [i for i, ((a, b), part) in enumerate(pieces) if part == 1 and a < end and b > begin]
                whole = places and encoded["offset_mapping"][window][places[0]][0] <= begin
                if whole and encoded["offset_mapping"][window][places[-1]][1] >= end:
                    first, last = places[0], places[-1]
            ids, types = encoded["input_ids"][window], encoded["token_type_ids"][window]
            # Of a long text, windows without the answer would outnumber the others.
            keep = first > 0 or answer is None or sample % 4 == 0
            rows.append({"input_ids": ids, "token_type_ids": types, "first": first, "last": last, "keep": keep})
        return rows, encoded


def most_common(row: dict) -> tuple[str, int]:
    """Return the answer that most people gave, and where it starts.

    >>> most_common({"answers": ["a big cat", "cat", "cat"], "starts": [0, 6, 6]})
    ('cat', 6)
    """
    return Counter(zip(row["answers"], row["starts"], strict=True)).most_common(1)[0][0]


def normal(text: str) -> str:
    """Return `text` without case, punctuation and articles, as SQuAD compares answers.

    >>> normal("The  U.S. Senate!")
    'us senate'
    """
    text = "".join(letter for letter in text.lower() if letter not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def f1(guess: str, answers: list[str]) -> float:
    """Return the harmonic mean of precision and recall of the words of `guess`, against the nearest answer.

    >>> f1("the big cat", ["cat", "a dog"])
    0.6666666666666666
    """
    best = 0.0
    for answer in answers:
        ours, theirs = normal(guess).split(), normal(answer).split()
        common = sum((Counter(ours) & Counter(theirs)).values())
        if common:
            best = max(best, 2 * common / (len(ours) + len(theirs)))
    return best
