"""What the pipelines of all tasks check before they run: a bad call gets one clear sentence.

Lesson: 03 · The pipeline, opened; 04 · The pipeline tasks
"""

from collections.abc import Iterable, Iterator, Mapping, Sized
from types import GeneratorType
from typing import ClassVar

import numpy as np
from torch.utils.data import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils.chat_template_utils import Chat

from course_utils.models import pipeline_settings as rules

# What transformers calls the texts, one name per task.
_INPUT_NAMES = ("inputs", "sequences", "text_inputs")
_courses_own: set[str] = set()


def mark_as_courses_own(folder: str) -> str:
    """Remember that the model in `folder` is one of the course's, and return `folder`."""
    _courses_own.add(folder)
    return folder


def is_courses_own(model: PreTrainedModel) -> bool:
    """Tell whether a model is one of the course's; a model that you brought yourself is not checked."""
    return model.name_or_path in _courses_own


def several(texts: object) -> object:
    """Return several texts in a form that transformers' pipelines take: a list, a data set or a generator.

    A single text, or what isn't a text at all, is returned as it is.

    >>> several(("one", "two"))
    ['one', 'two']
    """
    if isinstance(texts, np.ndarray):
        return texts.tolist()
    if isinstance(texts, str | bytes | Mapping | set | frozenset | list | GeneratorType | Dataset | Chat):
        return texts
    if isinstance(texts, Iterator):
        return (text for text in texts)
    is_table = hasattr(texts, "columns") or hasattr(texts, "column_names")  # would give the columns' names
    return list(texts) if isinstance(texts, Iterable) and isinstance(texts, Sized) and not is_table else texts


def check_text(text: object, tokenizer: PreTrainedTokenizerBase, **reading: object) -> None:
    """Raise a ValueError in one sentence unless `text` is a text that the model can read.

    Args:
        text: What a pipeline is called with.
        tokenizer: The model's tokenizer, which knows the model's longest input.
        reading: What else the tokenizer is called with; with `truncation=True` no text is too long.

    Raises:
        ValueError: It isn't a str, is empty, or has too many tokens.

    Lesson: 03 · The pipeline, opened

    >>> from course_utils.models import load_encoder
    >>> check_text("", load_encoder().tokenizer)
    Traceback (most recent call last):
    ValueError: texts must be texts that are not empty, got ''
    """
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"texts must be texts that are not empty, got {rules.short(text)}")
    check_length(len(tokenizer(text, **{"verbose": False} | reading).input_ids), tokenizer)


def check_length(length: int, tokenizer: PreTrainedTokenizerBase) -> None:
    """Raise a ValueError if the model can't read that many tokens at once.

    Raises:
        ValueError: There are too many.

    Lesson: 03 · The pipeline, opened
    """
    if length > tokenizer.model_max_length:
        raise ValueError(f"texts must have at most {tokenizer.model_max_length} tokens, got {length:,}")


class CheckedPipeline:
    """Check names and values of the settings, and every text; then do what the pipeline does.

    It's the first base of a class, and a pipeline of transformers is the second: `checked` makes such classes.
    """

    _names: tuple[str, ...] = ()
    _rules: ClassVar[dict[str, rules.Rule]] = {}
    # transformers passes on what this pipeline doesn't know itself: to the tokenizer, or to the model.
    _passes_on = False
    _advice = ""

    def __init__(self, *args: object, device: object = None, framework: str | None = None, **settings: object):
        rules.checked_values({"framework": framework}, {"framework": rules.one_of("pt")})  # the only one left in 5
        settings = rules.checked_values(settings, rules.EVERYWHERE_RULES)
        super().__init__(*args, device=rules.checked_device(device), **settings)
        if hasattr(self, "_generate_kwargs"):
            self._generate_kwargs = rules.checked_values(self._generate_kwargs, self._rules)

    def __call__(self, *inputs: object, **settings: object):
        """Check what the call is given, then do what transformers' pipeline does.

        Raises:
            TypeError: There is no text, there are several outside a list, or a setting isn't known.
            ValueError: A text or the value of a setting can't be used.
        """
        named = tuple(settings.pop(name) for name in _INPUT_NAMES if name in settings)
        most = self._most_inputs(settings) if inputs and not named else 1
        inputs += named
        if not inputs:
            raise TypeError(f"{self.task} needs a text, or a list of texts, got none")
        if len(inputs) > most:
            more = f"got {len(inputs)} arguments, the last one {rules.short(inputs[-1])}"
            raise TypeError(f"{self.task} takes one text, or several in a list, before the settings by name; {more}")
        texts = several(inputs[0])
        settings = rules.checked_values(settings, rules.EVERYWHERE_RULES | (self._rules if self._is_checked else {}))
        if self._is_checked:
            if isinstance(texts, list) and not texts:
                raise ValueError("texts must hold at least one text, got an empty list")
            if not isinstance(texts, GeneratorType | Dataset):
                self._check_kinds(texts, self._preprocess_params | settings)
        return super().__call__(texts, *inputs[1:], **settings)

    @property
    def _is_checked(self) -> bool:
        return is_courses_own(self.model)

    def _most_inputs(self, settings: dict) -> int:
        return 1

    def _checked_settings(self, settings: dict) -> dict:
        if not self._is_checked and self._passes_on:
            return settings
        rules.check_names(settings, self._names, self.task, self._advice)
        return rules.checked_values(settings, self._rules)

    def _sanitize_parameters(self, **settings: object) -> tuple[dict, dict, dict]:
        return super()._sanitize_parameters(**self._checked_settings(settings))

    def get_iterator(self, inputs: object, num_workers: int, batch_size: int, preprocess_params: dict, *others: dict):
        """Check all of a list's texts before the first is read; those of a stream are checked one by one."""
        if self._is_checked and isinstance(inputs, list) and len(inputs) > 1:
            for text in inputs:
                self.check(text, **preprocess_params)
        return super().get_iterator(inputs, num_workers, batch_size, preprocess_params, *others)

    def preprocess(self, text: object, *args: object, **settings: object):
        """Check the text, then turn it into what the model reads."""
        if self._is_checked:
            self.check(text, **settings)
        return super().preprocess(text, *args, **settings)

    def check(self, text: object, **reading: object) -> None:
        """Raise an error in one sentence unless `text` is one that the model can read.

        Raises:
            ValueError: It isn't.
        """
        check_text(text, self.tokenizer, **reading)

    def _check_kinds(self, texts: object, settings: dict) -> None:
        """Look at what kind of things the texts are, before transformers sorts them by kind."""
        for text in texts if isinstance(texts, list) else [texts]:
            self._check_kind(text, settings)

    def _check_kind(self, text: object, settings: dict) -> None:
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"texts must be texts that are not empty, got {rules.short(text)}")
