"""The pipeline of every task of the course, on models that are on this machine.

Lesson: 03 · The pipeline, opened; 04 · The pipeline tasks
"""

import hashlib
from functools import cache
from pathlib import Path

from filelock import FileLock
from transformers import (
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    Pipeline,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    pipeline,
)
from transformers.pipelines import PIPELINE_REGISTRY

# Importing them registers question answering, translation and summarization with transformers.
from course_utils.models import question_answering, translation  # noqa: F401
from course_utils.models.hub import HUB_MODELS, PROFILES, fetch_from_hub, profile
from course_utils.models.loading import load_causal_lm
from course_utils.models.store import models_folder
from course_utils.models.task_heads import HEADS, load_head
from course_utils.whole_files import whole_folder

# The task as transformers calls it, and the shipped head that does it.
TASK_HEADS = {
    "sentiment-analysis": "sentiment",
    "text-classification": "sentiment",
    "zero-shot-classification": "nli",
    "ner": "ner",
    "token-classification": "ner",
    "question-answering": "qa",
    "fill-mask": "mlm",
    "translation": "translation",
}
CAUSAL_LM_TASK = "text-generation"


def pipeline_tasks() -> list[str]:
    """Return the tasks that `load_pipeline` can load here.

    Lesson: 04 · The pipeline tasks

    >>> "sentiment-analysis" in pipeline_tasks()
    True
    """
    if profile() == "hub":
        return sorted(HUB_MODELS)
    heads = [task for task, head in TASK_HEADS.items() if (HEADS / head / "config.json").is_file()]
    return sorted([*heads, CAUSAL_LM_TASK])


def load_pipeline(task: str, models: str | None = None, **settings: object) -> Pipeline:
    """Load the pipeline of a task; the model is loaded once in a process.

    Args:
        task: One of `pipeline_tasks()`.
        models: "embedded" or "hub"; None: as the profile says. A lesson that opens the course's own model names it.
        settings: Passed on to `transformers.pipeline`, such as `aggregation_strategy="simple"`.

    Raises:
        ValueError: The task is not one of `pipeline_tasks()`, or there are no such models.
        ModelStoreError: The weights cannot be had.

    Equals `transformers.pipeline(task, model=path(task))`, and says in one sentence what is wrong with an input.
    Lesson: 03 · The pipeline, opened

    >>> load_pipeline("sentiment-analysis")("I hate this so much!")[0]["label"]
    'NEGATIVE'
    """
    if models not in (None, *PROFILES):
        raise ValueError(f"models must be None or one of {PROFILES}, got {models!r}")
    model, tokenizer = _model(task, models or profile())
    if task == CAUSAL_LM_TASK:
        return pipeline(task, model=model, tokenizer=tokenizer, device="cpu", **settings)
    _, implementation, _ = PIPELINE_REGISTRY.check_task(task)
    settings = {"pipeline_class": _checked(_class_of(implementation["impl"]))} | settings
    return pipeline(task, model=model, tokenizer=tokenizer, device="cpu", **settings)


def path(task: str) -> str:
    """Return a folder with the task's model, complete and plain: `transformers.pipeline(task, model=path(task))`.

    A head is shipped as a small file beside the encoder. The folder is made from both on first use, in the folder
    of the models, and takes 90 MB. In the hub profile it is the model's folder in the hub's cache.

    Raises:
        ValueError: The task is not one of `pipeline_tasks()`.
        ModelStoreError: The weights cannot be had.
        OSError: The folder of the models cannot be written.

    Lesson: 03 · The pipeline, opened

    >>> pipeline("sentiment-analysis", model=path("sentiment-analysis"))("This is not bad at all.")[0]["label"]
    'POSITIVE'
    """
    _check_task(task)
    if profile() == "hub":
        return str(fetch_from_hub(HUB_MODELS[task]))
    if task == CAUSAL_LM_TASK:
        return load_causal_lm().model.name_or_path
    head = TASK_HEADS[task]
    if _is_whole(head):
        return str(HEADS / head)
    version = hashlib.sha256((HEADS / head / "head.safetensors").read_bytes()).hexdigest()[:12]
    folder = models_folder() / "heads" / f"{head}-{version}"
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            if not folder.exists():  # another process may have made it meanwhile
                _write(folder, *_model(task, "embedded"))
    return str(folder)


def _write(folder: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Write a model whole or not at all."""
    with whole_folder(folder) as unfinished:
        model.save_pretrained(unfinished)
        tokenizer.save_pretrained(unfinished)


@cache
def _model(task: str, models: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    _check_task(task)
    if models == "hub":
        loaded = pipeline(task, model=str(fetch_from_hub(HUB_MODELS[task])), device="cpu")
        return loaded.model, loaded.tokenizer
    if task == CAUSAL_LM_TASK:
        return load_causal_lm().model, load_causal_lm().tokenizer
    return _head(TASK_HEADS[task])


@cache
def _head(name: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    if not _is_whole(name):
        return load_head(name)
    model = AutoModelForSeq2SeqLM.from_pretrained(HEADS / name, local_files_only=True)
    return model.eval().requires_grad_(False), AutoTokenizer.from_pretrained(HEADS / name, local_files_only=True)


def _is_whole(name: str) -> bool:
    """Tell whether a model is shipped whole, and not as a head on the encoder."""
    return (HEADS / name / "model.safetensors").is_file()


def _check_task(task: str) -> None:
    if task not in pipeline_tasks():
        raise ValueError(f"task must be one of {pipeline_tasks()}, got {task!r}")


def _class_of(implementation: type | str) -> type:
    """transformers names its own classes by their import path."""
    if isinstance(implementation, type):
        return implementation
    from transformers import pipelines

    return getattr(pipelines, implementation.rpartition(".")[2])


@cache
def _checked(pipeline_class: type) -> type:
    """Return the pipeline with a look at its texts before anything else."""
    if pipeline_class is question_answering.QuestionAnsweringPipeline:
        return pipeline_class  # it looks itself

    class Checked(pipeline_class):
        def __call__(self, inputs, *args, **settings):
            check_texts(inputs, self.tokenizer)
            if self.task == "zero-shot-classification":
                _check_labels(settings.get("candidate_labels", args[0] if args else None))
            return super().__call__(inputs, *args, **settings)

    Checked.__name__ = Checked.__qualname__ = pipeline_class.__name__
    return Checked


def _check_labels(labels: object) -> None:
    given = labels.split(",") if isinstance(labels, str) else labels
    if not isinstance(given, list) or not given or not all(isinstance(label, str) and label.strip() for label in given):
        raise ValueError(f"candidate_labels must hold at least one label that is not empty, got {labels!r}")


def check_texts(texts: str | list[str], tokenizer: PreTrainedTokenizerBase) -> None:
    """Raise a ValueError in one sentence unless `texts` is a text or a list of texts that the model can read.

    Lesson: 03 · The pipeline, opened

    >>> check_texts([], load_pipeline("sentiment-analysis").tokenizer)
    Traceback (most recent call last):
    ValueError: texts must hold at least one text, got an empty list
    """
    given = texts if isinstance(texts, list) else [texts]
    if not given:
        raise ValueError("texts must hold at least one text, got an empty list")
    for text in given:
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"texts must be texts that are not empty, got {text!r}")
        length = len(tokenizer(text, verbose=False).input_ids)
        if length > tokenizer.model_max_length:
            raise ValueError(f"texts must have at most {tokenizer.model_max_length} tokens, got {length:,}")
