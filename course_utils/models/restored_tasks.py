"""The pipeline tasks that transformers 5 removed, as its registry would describe them.

Lesson: 04 · The pipeline tasks
"""

import re

from transformers import AutoModelForCausalLM, AutoModelForQuestionAnswering, AutoModelForSeq2SeqLM

from course_utils.models.question_answering import QuestionAnsweringPipeline
from course_utils.models.text_to_text import SummarizationPipeline, Text2TextGenerationPipeline, TranslationPipeline

_CLASSES = {
    "question-answering": (QuestionAnsweringPipeline, (AutoModelForQuestionAnswering,)),
    "translation": (TranslationPipeline, (AutoModelForSeq2SeqLM,)),
    "summarization": (SummarizationPipeline, (AutoModelForSeq2SeqLM, AutoModelForCausalLM)),
    "text2text-generation": (Text2TextGenerationPipeline, (AutoModelForSeq2SeqLM,)),
}
RESTORED_TASKS = {
    task: {"impl": pipeline_class, "pt": models, "default": {}, "type": "text"}
    for task, (pipeline_class, models) in _CLASSES.items()
}


def is_direction(task: str) -> bool:
    """Tell whether a task names the direction of a translation.

    Lesson: 04 · The pipeline tasks

    >>> is_direction("translation_en_to_fr")
    True
    """
    return bool(re.fullmatch(r"translation_\w+_to_\w+", task))


class TaskAliases(dict):
    """Task names that mean another task, where every direction means "translation".

    Lesson: 04 · The pipeline tasks

    >>> TaskAliases(ner="token-classification")["translation_en_to_fr"]
    'translation'
    """

    def __contains__(self, task: object) -> bool:
        return super().__contains__(task) or is_direction(str(task))

    def __missing__(self, task: str) -> str:
        if is_direction(task):
            return "translation"
        raise KeyError(task)
