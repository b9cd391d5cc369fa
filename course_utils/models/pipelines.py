"""The pipeline of every task of the course, on models that are on this machine.

Lesson: 03 · The pipeline, opened; 04 · The pipeline tasks
"""

import hashlib
import os
from copy import deepcopy
from functools import cache
from pathlib import Path

import torch
from filelock import FileLock
from platformdirs import user_cache_path
from safetensors import SafetensorError
from transformers import (
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    Pipeline,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    pipelines,
)
from transformers.pipelines import PIPELINE_REGISTRY

from course_utils.files import whole_folder
from course_utils.models.catalogue import CATALOGUE
from course_utils.models.checked_pipelines import mark_as_courses_own
from course_utils.models.checked_tasks import checked
from course_utils.models.hub import HUB_MODELS, PROFILES, fetch_from_hub, profile
from course_utils.models.loading import LoadedModel, load_causal_lm, load_encoder
from course_utils.models.own_models import own_model
from course_utils.models.pipeline_settings import checked_device, checked_dtype
from course_utils.models.restored_tasks import RESTORED_TASKS, is_direction
from course_utils.models.store import ModelStore, ModelStoreError, models_folder
from course_utils.models.task_heads import HEADS, load_head

# What `transformers.pipeline` takes to fetch a model; ours are here, each in one version.
_FOR_DOWNLOADS = ("revision", "token", "use_fast", "trust_remote_code", "local_files_only", "code_revision")
# What is for `transformers.pipeline` to load; `load_pipeline` has loaded it.
_FOR_LOADING = ("config", "model_kwargs", "device_map", "pipeline_class", "feature_extractor", "processor")
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
# The tasks that a model of the catalogue does as it is.
CATALOGUE_TASKS = {
    "text-generation": "SmolLM2-135M-Instruct",
    "summarization": "SmolLM2-135M-Instruct",
    "feature-extraction": "all-MiniLM-L6-v2",
}


def pipeline_tasks() -> list[str]:
    """Return the tasks that `load_pipeline` can load here.

    Lesson: 04 · The pipeline tasks

    >>> "sentiment-analysis" in pipeline_tasks()
    True
    """
    return _tasks(profile())


def load_pipeline(
    task: str,
    models: str | None = None,
    *,
    model: str | Path | PreTrainedModel | LoadedModel | None = None,
    tokenizer: str | Path | PreTrainedTokenizerBase | None = None,
    device: int | str | torch.device | None = "cpu",
    dtype: str | torch.dtype | None = None,
    **settings: object,
) -> Pipeline:
    """Load the pipeline of a task; the model is loaded once in a process.

    Args:
        task: One of `pipeline_tasks()`; a translation may name its direction, as in "translation_en_to_fr".
        models: "embedded" or "hub"; None: as the profile says. A lesson that opens the course's own model names it.
        model: A model of your own in place of the course's: its folder, or a loaded one.
        tokenizer: The tokenizer of `model`, or its folder; None: the one that belongs to the model.
        device: Where to compute: "cpu" or -1, or a GPU as in `transformers.pipeline`; None: a GPU if there is one.
        dtype: The format of the numbers, such as "bfloat16"; None: as the weights are stored.
        settings: Passed on to the pipeline's class, such as `aggregation_strategy="simple"`. What
            `transformers.pipeline` takes for a download (`revision`, `token`, …) has no effect.

    Raises:
        TypeError: A setting has a name that the task doesn't know.
        ValueError: The task is not one of `pipeline_tasks()`, there are no such models, or an argument can't be had.
        ModelStoreError: The weights cannot be had.

    Equals `transformers.pipeline(task, model=path(task))`, and says in one sentence what is wrong with an input.
    Lesson: 03 · The pipeline, opened

    >>> load_pipeline("sentiment-analysis")("I hate this so much!")[0]["label"]
    'NEGATIVE'
    """
    if models not in (None, *PROFILES):
        raise ValueError(f"models must be None or one of {PROFILES}, got {models!r}")
    models = models or profile()
    name = _checked_name(task, models)
    for one in settings.keys() & _FOR_LOADING:
        if settings.pop(one):
            advice = f"transformers.pipeline(task, model=path(task), {one}=…) takes it"
            raise TypeError(f"{one} isn't a setting of load_pipeline, whose models are loaded already; {advice}")
    settings = {name: value for name, value in settings.items() if name not in _FOR_DOWNLOADS}
    dtype = checked_dtype(settings.pop("torch_dtype", None) if dtype is None else dtype)
    if device is None and model is None:
        device = 0 if torch.accelerator.is_available() else -1
    device = checked_device(device)
    if model is not None:
        loaded = own_model(registered(task)["pt"], model, tokenizer)
    elif tokenizer is not None:
        raise ValueError(f"tokenizer must come with a model of its own, as model=…, got {tokenizer!r} alone")
    else:
        loaded = _placed(name, models, device, dtype or _model(name, models)[0].dtype)
    pipeline_class = checked_class(registered(task))
    return pipeline_class(task=task, model=loaded[0], tokenizer=loaded[1], device=device, **settings)


def path(task: str) -> str:
    """Return a folder with the task's model, complete and plain: `transformers.pipeline(task, model=path(task))`.

    A head is shipped as a small file beside the encoder. The folder is made from both on first use, in the folder
    of the models or, where that's read-only, in your own cache, and takes 90 MB. In the hub profile it is the model's
    folder in the hub's cache.

    Raises:
        ValueError: The task is not one of `pipeline_tasks()`.
        ModelStoreError: The weights cannot be had, or no folder for them can be written.

    Lesson: 03 · The pipeline, opened

    >>> from transformers import pipeline
    >>> pipeline("sentiment-analysis", model=path("sentiment-analysis"))("This is not bad at all.")[0]["label"]
    'POSITIVE'
    """
    return mark_as_courses_own(_path(_checked_name(task, profile())))


def default_model(task: str) -> tuple[str, str]:
    """Return the folder and the revision of a task's model, as transformers' registry names its default models.

    Raises:
        ModelStoreError: The course has no model for it in this profile, or as `path`.

    Lesson: 04 · The pipeline tasks

    >>> default_model("text-generation")[1]
    'b179c9523d0e'
    """
    if task not in pipeline_tasks():
        raise ModelStoreError(
            f"The course comes with no model for {task}; set COURSE_MODELS=hub and call use_course_models() again to "
            f"load {HUB_MODELS[task].repository} from the Hugging Face hub."
        )
    if profile() == "hub":
        return path(task), HUB_MODELS[task].revision
    if task in CATALOGUE_TASKS:
        return path(task), CATALOGUE[CATALOGUE_TASKS[task]].weights_sha256[:12]
    return path(task), _version(TASK_HEADS[task])


def registered(task: str) -> dict:
    """Return what transformers' registry says of a task: its class and its models; a dropped task has ours.

    Raises:
        KeyError: There is no such task.

    Lesson: 04 · The pipeline tasks

    >>> registered("translation_en_to_fr")["impl"].__name__
    'TranslationPipeline'
    """
    name = "translation" if is_direction(task) else PIPELINE_REGISTRY.task_aliases.get(task, task)
    return RESTORED_TASKS.get(name) or PIPELINE_REGISTRY.supported_tasks[name]


def checked_class(entry: dict) -> type:
    """Return the class of a task's pipeline with its checks; our own classes come with theirs.

    Lesson: 04 · The pipeline tasks

    >>> checked_class(registered("ner")).__name__
    'TokenClassificationPipeline'
    """
    implementation = entry["impl"]
    if isinstance(implementation, str):  # transformers names its own classes by their import path
        implementation = getattr(pipelines, implementation.rpartition(".")[2])
    return checked(implementation)


def _checked_name(task: str, models: str) -> str:
    """Return the name of a task without the direction of a translation.

    Raises:
        ValueError: There is no such task.
    """
    name = "translation" if is_direction(str(task)) else task
    if name not in _tasks(models):
        raise ValueError(f"task must be one of {_tasks(models)}, got {task!r}")
    return name


def _tasks(models: str) -> list[str]:
    if models == "hub":
        return sorted(HUB_MODELS)
    heads = [task for task, head in TASK_HEADS.items() if (HEADS / head / "config.json").is_file()]
    return sorted([*heads, *CATALOGUE_TASKS])


def _path(task: str) -> str:
    if profile() == "hub":
        return str(fetch_from_hub(HUB_MODELS[task]))
    if task in CATALOGUE_TASKS:
        return str(ModelStore().ensure(CATALOGUE[CATALOGUE_TASKS[task]]))
    head = TASK_HEADS[task]
    if _is_whole(head):
        return str(HEADS / head)
    made = [folder / "heads" / f"{head}-{_version(head)}" for folder in (models_folder(), _own_cache())]
    ready = next((folder for folder in made if folder.exists()), None)
    return str(ready or _make(made[0] if _can_be_written(models_folder()) else made[1], head))


def _own_cache() -> Path:
    return user_cache_path("llms-by-hand", appauthor=False) / "models"


def _can_be_written(folder: Path) -> bool:
    """Tell whether files can be made in `folder`, or in the nearest one above it that exists."""
    while not folder.exists():
        folder = folder.parent
    return os.access(folder, os.W_OK)


def _make(folder: Path, head: str) -> Path:
    """Write a head together with its encoder, whole or not at all."""
    model, tokenizer = _head(head)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            if not folder.exists():  # another process may have made it in the meantime
                with whole_folder(folder) as unfinished:
                    model.save_pretrained(unfinished)
                    tokenizer.save_pretrained(unfinished)
    except (OSError, SafetensorError) as error:
        raise ModelStoreError(
            f"The {head} model could not be written to {folder.parent} ({getattr(error, 'strerror', None) or error}); "
            "free 100 MB there, or set COURSE_MODELS_DIR to a folder that can be written."
        ) from error
    return folder


@cache
def _version(head: str) -> str:
    """Return the first characters of a head's checksum: another head gets another folder."""
    weights = HEADS / head / ("model.safetensors" if _is_whole(head) else "head.safetensors")
    return hashlib.sha256(weights.read_bytes()).hexdigest()[:12]


@cache
def _model(task: str, models: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    if models == "hub":
        folder = fetch_from_hub(HUB_MODELS[task])
        loaded = _load(folder, registered(task)["pt"][0])
    elif task in CATALOGUE_TASKS:
        entry = load_encoder() if task == "feature-extraction" else load_causal_lm()
        loaded = entry.model, entry.tokenizer
    else:
        loaded = _head(TASK_HEADS[task])
    mark_as_courses_own(loaded[0].name_or_path)
    return loaded


@cache
def _placed(
    task: str, models: str, device: torch.device, dtype: torch.dtype
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Return a task's model on a device: a copy, for other pipelines and lessons use the one on the CPU."""
    model, tokenizer = _model(task, models)
    if (model.device, model.dtype) != (device, dtype):
        model = deepcopy(model).to(device, dtype)
    return model, tokenizer


@cache
def _head(name: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    if _is_whole(name):
        return _load(HEADS / name, AutoModelForSeq2SeqLM)
    model, tokenizer = load_head(name)
    model.name_or_path = str(HEADS / name)
    return model, tokenizer


def _load(folder: Path, kind: type) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    model = kind.from_pretrained(folder, local_files_only=True).eval().requires_grad_(False)
    return model, AutoTokenizer.from_pretrained(folder, local_files_only=True)


def _is_whole(name: str) -> bool:
    """Tell whether a model is shipped whole, and not as a head on the encoder."""
    return (HEADS / name / "model.safetensors").is_file()
