"""A quick look at every shipped head, on sentences that the course's authors wrote and no model was trained on.

`python -m training.own` measures and compares with `own_results.json`; `--record` writes it. Unlike the test sets of
`training.report`, these sentences are in the repository, so every test run can do it.
"""

import argparse
import json
from pathlib import Path

from transformers import Pipeline

from course_utils.models.pipelines import load_pipeline, pipeline_tasks

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "own_results.json"
MARGIN = 0.05  # of a score: another processor rounds differently, and the sets are small


def sentences(name: str) -> dict:
    """Read `NAME_test.json`: kinds of sentences, each with what is right for it."""
    return json.loads((FOLDER / f"{name}_test.json").read_text(encoding="utf-8"))


def sentiment(classify: Pipeline | None = None) -> float:
    """The share of texts with the right label."""
    rows = [row for texts in sentences("sentiment").values() for row in texts]
    found = (classify or load_pipeline("sentiment-analysis"))([text for text, _ in rows])
    return sum(answer["label"] == label for answer, (_, label) in zip(found, rows, strict=True)) / len(rows)


def topics() -> float:
    """The share of texts whose topic, of twelve, comes first."""
    rows = sentences("topic")
    sorter = load_pipeline("zero-shot-classification")
    pairs = [(text, topic) for topic, texts in rows.items() for text in texts]
    settings = {"candidate_labels": list(rows), "hypothesis_template": "This text is about {}."}
    found = sorter([text for text, _ in pairs], **settings)
    return sum(answer["labels"][0] == topic for answer, (_, topic) in zip(found, pairs, strict=True)) / len(pairs)


def names() -> float:
    """F1 of entities: the right words with the right kind."""
    rows = sentences("own")["ner"]
    tagger = load_pipeline("ner", aggregation_strategy="simple")
    right = found = wanted = 0
    for text, entities in rows:
        spans = [f"{one['entity_group']} {text[one['start'] : one['end']]}" for one in tagger(text)]
        right += sum(span in entities for span in spans)
        found, wanted = found + len(spans), wanted + len(entities)
    return 2 * right / (found + wanted)


def answers() -> float:
    """The share of questions with exactly the right answer."""
    rows = sentences("own")["qa"]
    found = load_pipeline("question-answering")([{"question": q, "context": context} for q, context, _ in rows])
    return sum(one["answer"].strip(".") == answer for one, (_, _, answer) in zip(found, rows, strict=True)) / len(rows)


def masked_words(fill: Pipeline | None = None) -> float:
    """The share of gaps with a fitting word among the first five."""
    rows = [row for texts in sentences("cloze").values() for row in texts]
    found = (fill or load_pipeline("fill-mask"))([text for text, _ in rows], top_k=5)
    fits = [any(one["token_str"] in words for one in five) for five, (_, words) in zip(found, rows, strict=True)]
    return sum(fits) / len(rows)


def gaps_filled_by(same: list[str]) -> float:
    """The share of gaps into which one of the `same` words fits: what guessing without looking reaches."""
    rows = [words for texts in sentences("cloze").values() for _, words in texts]
    return sum(any(word in words for word in same) for words in rows) / len(rows)


def translations() -> float:
    """The share of sentences translated exactly as one of the translations written down."""
    rows = sentences("own")["translation"]
    found = load_pipeline("translation")([text for text, _ in rows])
    return sum(one["translation_text"] in wanted for one, (_, wanted) in zip(found, rows, strict=True)) / len(rows)


MEASURES = {
    "sentiment-analysis": sentiment,
    "zero-shot-classification": topics,
    "ner": names,
    "question-answering": answers,
    "fill-mask": masked_words,
    "translation": translations,
}


def measure() -> dict[str, float]:
    """Measure every head that is shipped."""
    return {task: round(MEASURES[task](), 4) for task in MEASURES if task in pipeline_tasks()}


def main() -> None:
    """Print what was measured beside what was recorded."""
    parser = argparse.ArgumentParser(prog="python -m training.own", description=__doc__.splitlines()[0])
    parser.add_argument("--record", action="store_true", help=f"write {RESULTS.name}")
    wanted = parser.parse_args()
    before = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    found = measure()
    for task, score in found.items():
        print(f"{task:26}{score:.3f}   recorded {before.get(task, '—')}")
    if wanted.record:
        RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
