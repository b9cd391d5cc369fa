"""A model of one's own for a pipeline: a folder, or a model that is loaded already.

Lesson: 04 · The pipeline tasks
"""

from pathlib import Path

from transformers import AutoConfig, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from course_utils.models.loading import LoadedModel


def own_model(
    kinds: tuple[type, ...],
    model: str | Path | PreTrainedModel | LoadedModel,
    tokenizer: str | Path | PreTrainedTokenizerBase | None = None,
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Return a model and its tokenizer, loaded from a folder where they aren't yet.

    Args:
        kinds: The classes of transformers that can load a model for the task, such as `AutoModelForCausalLM`.
        model: A folder, a model of transformers, or one of `load_causal_lm` and `load_encoder`.
        tokenizer: A tokenizer, or its folder; None: the one beside the model.

    Raises:
        ValueError: There is no such folder, or it holds no model of these kinds; or a loaded model is of another kind.

    Lesson: 04 · The pipeline tasks

    >>> own_model((), "gpt2")
    Traceback (most recent call last):
    ValueError: model must be a loaded model or its folder, got 'gpt2'; for the hub there is transformers.pipeline
    """
    if isinstance(model, LoadedModel):
        model, tokenizer = model.model, tokenizer or model.tokenizer
    if isinstance(model, str | Path):
        place = _folder(model, "model")
        model = _loaded(kinds, place)
    elif isinstance(model, PreTrainedModel):
        _check_kind(kinds, model)
        place = Path(model.name_or_path)
    else:
        raise ValueError(f"model must be a loaded model or its folder, got {type(model).__name__}: {model!r:.100}")
    if isinstance(tokenizer, PreTrainedTokenizerBase):
        return model, tokenizer
    if tokenizer is None and not any(place.glob("token*")):
        raise ValueError(f"tokenizer must be given, because there is none beside the model, in {str(place)!r}")
    place = place if tokenizer is None else _folder(tokenizer, "tokenizer")
    return model, AutoTokenizer.from_pretrained(place, local_files_only=True)


def _folder(place: object, name: str) -> Path:
    if not isinstance(place, str | Path):
        raise ValueError(f"{name} must be loaded, or a folder, got {type(place).__name__}: {place!r:.100}")
    if not Path(place).expanduser().is_dir():
        hub = "for the hub there is transformers.pipeline"
        raise ValueError(f"{name} must be a loaded {name} or its folder, got {str(place)!r}; {hub}")
    return Path(place).expanduser()


def _check_kind(kinds: tuple[type, ...], model: PreTrainedModel) -> None:
    """Raise in one sentence if `model` is one of `transformers`' own, but not of these kinds: its head is missing."""
    if not kinds or not type(model).__module__.startswith("transformers."):
        return
    config = type(model.config)
    for kind in kinds:
        if config in kind._model_mapping:
            made = kind._model_mapping[config]
            if isinstance(model, made):
                return
    names = " or ".join(kind.__name__ for kind in kinds)
    raise ValueError(f"model must be one for this task, as {names} loads it, got {type(model).__name__}")


def _loaded(kinds: tuple[type, ...], folder: Path) -> PreTrainedModel:
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        kind = next((kind for kind in kinds if type(config) in kind._model_mapping), None)
        if kind is None:
            names = " or ".join(kind.__name__ for kind in kinds)
            raise ValueError(f"{names} can't load a {config.model_type}")
        return kind.from_pretrained(folder, config=config, local_files_only=True).eval()
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ValueError(
            f"model must be the folder of a model for this task, got {str(folder)!r} ({reason})"
        ) from error
