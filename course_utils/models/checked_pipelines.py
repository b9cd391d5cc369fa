"""The pipelines of transformers with checks in front: a bad input gets one clear sentence.

What transformers 5 dropped from them works again: `grouped_entities=True`.

Lesson: 03 · The pipeline, opened; 04 · The pipeline tasks
"""

from functools import cache

from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.pipelines import PipelineException
from transformers.utils import logging

logger = logging.get_logger(__name__)
# How the models that people know spell the gap; each model reads only its own.
GAPS = ("[MASK]", "<mask>")
_courses_own: set[str] = set()


def mark_as_courses_own(folder: str) -> str:
    """Remember that the model in `folder` is one of the course's, and return `folder`."""
    _courses_own.add(folder)
    return folder


def is_courses_own(model: PreTrainedModel) -> bool:
    """Tell whether a model is one of the course's; a model that you brought yourself is not checked."""
    return model.name_or_path in _courses_own


@cache
def checked(pipeline_class: type) -> type:
    """Return the pipeline class with checks in front of it, under the same name."""
    if issubclass(pipeline_class, _Checked):
        return pipeline_class
    checks = _CHECKS.get(pipeline_class.__name__, _Checked)
    return type(pipeline_class.__name__, (checks, pipeline_class), {"__doc__": pipeline_class.__doc__})


def check_texts(texts: str | list[str], tokenizer: PreTrainedTokenizerBase, may_be_long: bool = False) -> None:
    """Raise a ValueError in one sentence unless `texts` is a text or a list of texts that the model can read.

    Args:
        texts: What a pipeline is called with.
        tokenizer: The model's tokenizer, which knows the model's longest input.
        may_be_long: Whether a long text is fine because it's cut later.

    Raises:
        ValueError: There is no text, or one isn't a str, is empty, or has too many tokens.

    Lesson: 03 · The pipeline, opened

    >>> from course_utils.models import load_encoder
    >>> check_texts([], load_encoder().tokenizer)
    Traceback (most recent call last):
    ValueError: texts must hold at least one text, got an empty list
    """
    given = texts if isinstance(texts, list) else [texts]
    if not given:
        raise ValueError("texts must hold at least one text, got an empty list")
    for text in given:
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"texts must be texts that are not empty, got {text!r}")
        length = 0 if may_be_long else len(tokenizer(text, verbose=False).input_ids)
        if length > tokenizer.model_max_length:
            raise ValueError(f"texts must have at most {tokenizer.model_max_length} tokens, got {length:,}")


class _Checked:
    """Check the texts, then do what the pipeline does."""

    def __call__(self, *inputs, **settings):
        if inputs:
            self._check(*inputs, **settings)
        return super().__call__(*inputs, **settings)

    def _check(self, texts: object, *_: object, **settings: object) -> None:
        given = list(texts) if isinstance(texts, list | tuple) else [texts]
        # Chats, pairs of texts, generators and data sets are inputs, too: transformers knows what to do with them.
        plain = all(text is None or isinstance(text, str | bytes | int | float) for text in given)
        if plain and is_courses_own(self.model):
            check_texts(texts, self.tokenizer, may_be_long=_cuts(self._preprocess_params | settings))


class _CheckedLabels(_Checked):
    def _check(self, texts: object, labels: object = None, **settings: object) -> None:
        super()._check(texts, **settings)
        if is_courses_own(self.model):
            _check_labels(({"candidate_labels": labels} | self._preprocess_params | settings)["candidate_labels"])


class _CheckedGap(_Checked):
    def _check(self, texts: object, *_: object, **settings: object) -> None:
        super()._check(texts, **settings)
        mask = self.tokenizer.mask_token
        for text in texts if isinstance(texts, list | tuple) else [texts]:
            others = [gap for gap in GAPS if isinstance(text, str) and mask not in text and gap in text]
            if others:
                said = f"texts must call the gap {mask}, as this model does, got {others[0]} in {text!r}"
                raise PipelineException(self.task, self.model.base_model_prefix, said)


class _GroupedEntities(_Checked):
    def _sanitize_parameters(self, grouped_entities: bool | None = None, **settings: object) -> tuple[dict, dict, dict]:
        if grouped_entities is not None:
            strategy = "simple" if grouped_entities else "none"
            logger.warning_once(f'grouped_entities={grouped_entities} is now called aggregation_strategy="{strategy}".')
            settings.setdefault("aggregation_strategy", strategy)
        return super()._sanitize_parameters(**settings)


_CHECKS = {
    "ZeroShotClassificationPipeline": _CheckedLabels,
    "FillMaskPipeline": _CheckedGap,
    "TokenClassificationPipeline": _GroupedEntities,
}


def _check_labels(labels: object) -> None:
    given = labels.split(",") if isinstance(labels, str) else labels
    is_list = isinstance(given, list | tuple) and len(given) > 0
    if not is_list or not all(isinstance(label, str) and label.strip() for label in given):
        raise ValueError(f"candidate_labels must hold at least one label that is not empty, got {labels!r}")


def _cuts(settings: dict) -> bool:
    """Tell whether the settings make transformers cut long texts, wherever in them that's written."""
    if any(settings.get(name) for name in ("truncation", "stride", "handle_long_generation")):
        return True
    return any(_cuts(value) for value in settings.values() if isinstance(value, dict))
