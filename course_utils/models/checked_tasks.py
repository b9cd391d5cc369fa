"""The pipelines of transformers with checks in front, task by task.

What transformers' pipeline of a task takes, these take, and some more: a tuple, a numpy array, a column of a table.
What transformers 5 dropped from them works again: `grouped_entities=True`, `return_all_scores=True`.

Lesson: 03 · The pipeline, opened; 04 · The pipeline tasks
"""

import inspect
from collections.abc import Iterable, Mapping
from functools import cache

from transformers import pipelines
from transformers.utils import logging
from transformers.utils.chat_template_utils import Chat, is_valid_message

from course_utils.models import pipeline_settings as rules
from course_utils.models.checked_pipelines import CheckedPipeline, check_length, check_text

logger = logging.get_logger(__name__)
# How the models that people know spell the gap; each model reads only its own.
GAPS = ("[MASK]", "<mask>")


class PipelineException(pipelines.PipelineException, ValueError):
    """The error of transformers for a text without a gap, which is a bad value as well."""


@cache
def checked(pipeline_class: type) -> type:
    """Return the pipeline class with checks in front of it, under the same name."""
    if issubclass(pipeline_class, CheckedPipeline):
        return pipeline_class
    checks = _CHECKS.get(pipeline_class.__name__, CheckedPipeline)
    parameters = inspect.signature(pipeline_class._sanitize_parameters).parameters.values()
    own = [one.name for one in parameters if one.name != "self" and one.kind is not one.VAR_KEYWORD]
    extra = {
        "__doc__": pipeline_class.__doc__,
        "_names": (*checks._names, *own),
        # A class that is made here has no place from which pickle could import it.
        "__reduce__": lambda self: (_rebuilt, (pipeline_class, self.__dict__)),
    }
    return type(pipeline_class.__name__, (checks, pipeline_class), extra)


class _CheckedClassification(CheckedPipeline):
    _names = ("top_k", "function_to_apply", *rules.READING, "return_all_scores")
    _rules = rules.READING_RULES | {
        "top_k": rules.whole(1),
        "function_to_apply": rules.one_of("default", "sigmoid", "softmax", "none"),
    }
    _passes_on = True

    def _sanitize_parameters(self, return_all_scores: bool | None = None, **settings: object) -> tuple:
        if settings.get("function_to_apply") == "default":  # in the documentation of transformers, not in its code
            settings["function_to_apply"] = None
        reading, running, choosing = super()._sanitize_parameters(**settings)
        if return_all_scores is not None:
            logger.warning_once(
                f"return_all_scores={return_all_scores} is now called top_k={None if return_all_scores else 1}."
            )
            choosing.setdefault("top_k", None if return_all_scores else 1)
        return reading, running, choosing

    def _check_kind(self, text: object, settings: dict) -> None:
        for one in _pair(text):
            super()._check_kind(one, settings)

    def check(self, text: object, **reading: object) -> None:
        """Check a text, or a pair of them."""
        first, *second = _pair(text)
        for one in second:
            CheckedPipeline._check_kind(self, one, reading)
        if second:
            reading["text_pair"] = second[0]
        check_text(first, self.tokenizer, **reading)


def _pair(text: object) -> list:
    """Return the one text, or the two of a pair in one of the two forms in which transformers takes them."""
    if isinstance(text, Mapping) and {"text"} <= text.keys() <= {"text", "text_pair"}:
        return [text[name] for name in ("text", "text_pair") if name in text]
    if isinstance(text, list) and len(text) == 1 and isinstance(text[0], list) and len(text[0]) == 2:
        return text[0]
    if isinstance(text, Mapping | list | tuple):
        pair = '{"text": …, "text_pair": …}'
        raise ValueError(f"texts must be texts or pairs of them, as {pair}, got {rules.short(text)}")
    return [text]


class _CheckedLabels(CheckedPipeline):
    # transformers reads these from its `**kwargs`, and passes over those of the tokenizer: it always cuts long texts.
    _names = ("candidate_labels", "hypothesis_template", "multi_label", "multi_class", *rules.READING)
    _rules = rules.READING_RULES

    def _most_inputs(self, settings: dict) -> int:
        return 1 if "candidate_labels" in settings else 2

    def _sanitize_parameters(self, multi_class: bool | None = None, **settings: object) -> tuple[dict, dict, dict]:
        if multi_class is not None:
            logger.warning_once("multi_class is now called multi_label.")
            settings.setdefault("multi_label", multi_class)
        if self._is_checked and "candidate_labels" in settings:
            settings["candidate_labels"] = _labels(settings["candidate_labels"])
        if "hypothesis_template" in settings:
            _check_template(settings["hypothesis_template"])
        return super()._sanitize_parameters(**settings)

    def __call__(self, *inputs: object, **settings: object):
        labels = inputs[1] if len(inputs) > 1 else (self._preprocess_params | settings).get("candidate_labels")
        if self._is_checked and labels is None:
            _labels(labels)
        return super().__call__(*inputs, **settings)

    def check(self, text: object, candidate_labels: object = (), hypothesis_template: str | None = None, **_: object):
        """Check a text, whose end transformers cuts off if need be, and the labels, which it doesn't cut."""
        check_text(text, self.tokenizer, truncation=True)
        longest = self.tokenizer.model_max_length // 2
        for label in candidate_labels:
            length = len(self.tokenizer(label, verbose=False).input_ids)
            if length > longest:
                raise ValueError(f"candidate_labels must have at most {longest} tokens each, got one of {length:,}")


def _labels(labels: object) -> list[str]:
    given = labels
    if isinstance(labels, str):
        given = [label.strip() for label in labels.split(",") if label.strip()]
    elif isinstance(labels, Iterable) and not isinstance(labels, Mapping | bytes):
        given = list(labels)
    if not isinstance(given, list) or not given or not all(isinstance(one, str) and one.strip() for one in given):
        raise ValueError(f"candidate_labels must hold at least one label that is not empty, got {rules.short(labels)}")
    return [str(label) for label in given]


def _check_template(template: object) -> None:
    try:
        fits = template.format("one") != template.format("other")
    except (AttributeError, IndexError, KeyError, ValueError):
        fits = False
    if not fits:
        example = "This example is {}."
        raise ValueError(f"hypothesis_template must have one {{}} for the label, as in {example!r}, got {template!r}")


class _CheckedGap(CheckedPipeline):
    _advice = "give it to the tokenizer, as tokenizer_kwargs={{{name!r}: {value!r}}}"

    @property
    def _rules(self) -> dict[str, rules.Rule]:
        return {
            "top_k": rules.whole(1, self.model.config.vocab_size),
            "targets": rules.names("a word, or a list of words that are not empty", 1),
            "tokenizer_kwargs": rules.TOKENIZERS,
        }

    def check(self, text: object, tokenizer_kwargs: dict | None = None, **_: object) -> None:
        """Check a text, and that the model will see a gap in it.

        Raises:
            ValueError: The text isn't one, or is too long.
            PipelineException: It has no gap.
        """
        mask = self.tokenizer.mask_token
        others = [gap for gap in GAPS if isinstance(text, str) and mask not in text and gap in text]
        said = f"texts must call the gap {mask}, as this model does, got {others[0]} in {text!r}" if others else ""
        if not said:
            check_text(text, self.tokenizer, **tokenizer_kwargs or {})
            ids = self.tokenizer(text, **{"verbose": False} | (tokenizer_kwargs or {})).input_ids
            if self.tokenizer.mask_token_id not in ids:
                where = " in the part that is read" if mask in text else ""
                said = f"texts must have a gap called {mask}{where}, got {rules.short(text)}"
        if said:
            raise PipelineException(self.task, self.model.base_model_prefix, said)


class _CheckedEntities(CheckedPipeline):
    _names = ("aggregation_strategy", "stride", "ignore_labels", "grouped_entities", "ignore_subwords")
    _advice = 'stride=… with aggregation_strategy="simple" reads a long text piece by piece'

    @property
    def _rules(self) -> dict[str, rules.Rule]:
        longest = self.tokenizer.model_max_length - self.tokenizer.num_special_tokens_to_add()
        return {
            "aggregation_strategy": rules.one_of("none", "simple", "first", "average", "max"),
            "ignore_labels": rules.names("a list of labels"),
            "stride": rules.whole(0, longest - 1),
            "delimiter": rules.of_kind(str, "a text"),
            "offset_mapping": rules.of_kind(list, "a list with the start and the end of every token"),
        }

    def _sanitize_parameters(
        self, grouped_entities: bool | None = None, ignore_subwords: bool | None = None, **settings: object
    ) -> tuple[dict, dict, dict]:
        if grouped_entities is not None or ignore_subwords is not None:
            strategy = "none" if not grouped_entities else "first" if ignore_subwords else "simple"
            old = f"grouped_entities={grouped_entities}"
            old += "" if ignore_subwords is None else f" with ignore_subwords={ignore_subwords}"
            logger.warning_once(f'{old} is now called aggregation_strategy="{strategy}".')
            settings.setdefault("aggregation_strategy", strategy)
        settings = self._checked_settings(settings)
        if settings.get("stride") is not None and settings.get("aggregation_strategy") == "none":
            raise ValueError(f'stride needs an aggregation_strategy other than "none", got stride={settings["stride"]}')
        return super()._sanitize_parameters(**settings)

    def _check_kinds(self, texts: object, settings: dict) -> None:
        # Words are a list already: a list of lists is several texts.
        is_one = settings.get("is_split_into_words") and not (isinstance(texts, list) and isinstance(texts[0], list))
        super()._check_kinds([texts] if is_one else texts, settings)

    def _check_kind(self, text: object, settings: dict) -> None:
        if not settings.get("is_split_into_words"):
            super()._check_kind(text, settings)
        elif not isinstance(text, list) or not text or not all(isinstance(word, str) for word in text):
            raise ValueError(f"texts must be lists of words with is_split_into_words=True, got {rules.short(text)}")

    def check(self, text: object, tokenizer_params: dict | None = None, **settings: object) -> None:
        """Check a text, or a list of words; with a stride it's read in pieces and may be long."""
        self._check_kind(text, settings)
        words = bool(settings.get("is_split_into_words"))
        if tokenizer_params is None or "stride" not in tokenizer_params:
            check_length(len(self.tokenizer(text, is_split_into_words=words, verbose=False).input_ids), self.tokenizer)


class _CheckedFeatures(CheckedPipeline):
    _names = rules.READING  # transformers passes over these, as over every other name
    _passes_on = True
    _rules = rules.READING_RULES | {"tokenize_kwargs": rules.TOKENIZERS}

    def _check_kind(self, text: object, settings: dict) -> None:
        for one in text if isinstance(text, list) and text else [text]:
            super()._check_kind(one, settings)

    def check(self, text: object, **reading: object) -> None:
        """Check a text, or a list of texts that are read as one batch."""
        for one in text if isinstance(text, list) else [text]:
            check_text(one, self.tokenizer, **reading)
        batch = self.tokenizer(text if isinstance(text, list) else [text], **{"verbose": False} | reading)
        lengths = {len(ids) for ids in batch.input_ids}
        if len(lengths) > 1:
            pad = 'give tokenize_kwargs={"padding": True}'
            raise ValueError(f"texts in a list of their own must have equally many tokens, or {pad}, got {lengths}")


class _CheckedGeneration(CheckedPipeline):
    _names = (*rules.GENERATING, "add_special_tokens", "padding", "prefix_length")
    _rules = rules.GENERATING_RULES
    _passes_on = True

    def _sanitize_parameters(self, **settings: object) -> tuple[dict, dict, dict]:
        if "stop_strings" in getattr(self, "_generate_kwargs", {}) | settings:
            settings.setdefault("tokenizer", self.tokenizer)  # `generate` looks for them in the text
        return super()._sanitize_parameters(**settings)

    def _check_kinds(self, texts: object, settings: dict) -> None:
        is_chat = isinstance(texts, list) and all(map(is_valid_message, texts))
        super()._check_kinds([texts] if is_chat else texts, settings)

    def _check_kind(self, text: object, settings: dict) -> None:
        messages = text.messages if isinstance(text, Chat) else text
        if isinstance(messages, list | tuple) and messages and all(map(is_valid_message, messages)):
            for message in messages:
                if not isinstance(message["content"], str):
                    raise ValueError(f"content must be a text in every message, got {rules.short(message)}")
        elif not isinstance(text, str):  # an empty prompt is fine: the model begins by itself
            chats = '{"role": "user", "content": …}'
            raise ValueError(f"texts must be texts, or chats as lists of {chats}, got {rules.short(text)}")

    def preprocess(self, text: object, *args: object, **settings: object) -> dict:
        """Check the text or the chat, then turn it into what the model reads."""
        inputs = super().preprocess(text, *args, **settings)
        if self._is_checked:
            check_length(inputs["input_ids"].shape[-1], self.tokenizer)
        return inputs

    def check(self, text: object, **reading: object) -> None:
        """Check the kind of a text or chat; `preprocess` knows its length."""
        self._check_kind(text, reading)


def _rebuilt(pipeline_class: type, state: dict) -> CheckedPipeline:
    pipe = object.__new__(checked(pipeline_class))
    pipe.__dict__.update(state)
    return pipe


_CHECKS = {
    "TextClassificationPipeline": _CheckedClassification,
    "ZeroShotClassificationPipeline": _CheckedLabels,
    "FillMaskPipeline": _CheckedGap,
    "TokenClassificationPipeline": _CheckedEntities,
    "FeatureExtractionPipeline": _CheckedFeatures,
    "TextGenerationPipeline": _CheckedGeneration,
}
