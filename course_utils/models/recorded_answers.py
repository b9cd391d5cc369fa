"""What the famous default models answered to the texts of lessons 03 and 04: recorded, not computed here.

Lesson: 03 · The pipeline, opened; 04 · The pipeline tasks
"""

from typing import NamedTuple

from course_utils.models.hub import HUB_MODELS, HubModel

SOURCE = "from the notes this course grew out of, whose date wasn't kept"


class RecordedAnswers(NamedTuple):
    """The answers of one run of a famous model.

    Args:
        task: The task whose default model ran, as transformers calls it.
        rows: One per answer: what was asked (a text, a label, a rank), what was answered ("" if that is all in the
            score, or wasn't kept), and the score, with as many digits as were kept.
        note: What else is known of the run.

    Lesson: 04 · The pipeline tasks

    >>> RECORDED["zero-shot"].rows[0]
    ('education', '', 0.944)
    """

    task: str
    rows: tuple[tuple[str, str, float], ...]
    note: str = ""

    @property
    def model(self) -> HubModel:
        """The task's default model, with the revision that transformers 5 pins."""
        return HUB_MODELS[self.task]


RECORDED = {
    "sentiment": RecordedAnswers(
        "sentiment-analysis",
        (
            ("I've been waiting for a HuggingFace course my whole life.", "POSITIVE", 0.9598),
            ("I don't hate this so much!", "", 0.9961),
            ("I hate this so much!", "NEGATIVE", 0.9995),
        ),
        "The label of the second text wasn't kept.",
    ),
    "zero-shot": RecordedAnswers(
        "zero-shot-classification", (("education", "", 0.944), ("sports", "", 0.032), ("politics", "", 0.023))
    ),
    "misspelt": RecordedAnswers("zero-shot-classification", (("educion", "", 0.969),)),
    # The notes name two scores, not their labels. One softmax runs over all labels, so the odds of `educion` against
    # sports and politics stay what they are without `educations`: 0.969 : 0.031 is 31, as 0.743 : 0.023 is (32, with
    # rounding); 0.234 : 0.023 would be 10.
    "misspelt beside": RecordedAnswers(
        "zero-shot-classification",
        (("educion", "", 0.743), ("educations", "", 0.234)),
        "The notes don't say which of the two scores is whose; the ratio to the other labels does.",
    ),
    "fill-mask": RecordedAnswers(
        "fill-mask",
        (("first", "mathematical", 0.196), ("second", "building", 0.044)),
        "The Hugging Face course prints another second word for the same line: computational, 0.041.",
    ),
    "ner": RecordedAnswers(
        "ner",
        (("Sylvain", "PER", 0.998), ("Hugging Face", "ORG", 0.991), ("Brooklyn", "LOC", 0.992)),
        "The notes' sentence wasn't kept word for word; the Hugging Face course prints 0.980 for ORG.",
    ),
    "question-answering": RecordedAnswers(
        "question-answering", (("where do i work?", "", 0.534),), "The words of the answer weren't kept."
    ),
}
