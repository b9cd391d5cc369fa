"""Translation, summarization and text to text as pipelines: read one text, write another.

transformers 5 no longer has these tasks. Here they are again, with the same inputs and outputs.

Lesson: 04 · The pipeline tasks
"""

import torch
from transformers.pipelines.base import Pipeline

from course_utils.models import pipeline_settings as rules
from course_utils.models.checked_pipelines import CheckedPipeline, check_length

MOST_NEW_TOKENS = 128
# What becomes of the token ids that were written.
_WRITING = ("return_tensors", "return_text", "clean_up_tokenization_spaces")
# In a summarizer's settings, max_length is the summary's; a chat model would count the prompt as well.
_LENGTHS_OF_THE_SUMMARY = {"max_length": "max_new_tokens", "min_length": "min_new_tokens"}


class Text2TextGenerationPipeline(CheckedPipeline, Pipeline):
    """Read a text, or each of a list of texts, and write another: `[{"generated_text": "…"}]`.

    A list of texts gets a flat list, one dict per text, unless each text is answered several times
    (`num_return_sequences`): then it's a list of lists.

    Settings of `generate`, such as `max_new_tokens` or `num_beams`, are passed on. With `truncation=True` a text that
    is too long is cut instead of refused. With `return_tensors=True` the answer is a dict of token ids, named like
    "generated_token_ids".

    Lesson: 04 · The pipeline tasks
    """

    answer_name = "generated"
    _load_tokenizer = True
    _names = (*rules.GENERATING, "truncation", *_WRITING, "return_type", "stop_sequence")
    _rules = rules.GENERATING_RULES
    _is_checked = True

    def __call__(self, *texts: str | list[str], **settings):
        """Write the answer to one text, or to several.

        Raises:
            ValueError: There is no text, or one is not a str, empty or too long.
        """
        written = super().__call__(*texts, **settings)
        several_each = isinstance(written, list) and any(len(answers) != 1 for answers in written)
        is_nested = isinstance(written, list) and written and isinstance(written[0], list)
        return [answer for (answer,) in written] if is_nested and not several_each else written

    def _sanitize_parameters(self, truncation=None, stop_sequence=None, return_type=None, **settings: object) -> tuple:
        given = {"truncation": truncation, "stop_sequence": stop_sequence} | settings
        settings = self._checked_settings({name: value for name, value in given.items() if value is not None})
        reading = {name: settings.pop(name) for name in ("truncation",) if name in settings}
        choosing = {name: settings.pop(name) for name in _WRITING if name in settings}
        if "stop_sequence" in settings:
            settings["stop_strings"] = settings.pop("stop_sequence")
        if "stop_strings" in settings:
            settings.setdefault("tokenizer", self.tokenizer)  # `generate` looks for them in the text
        return reading, settings, choosing

    def preprocess(self, text: str, truncation: bool = False, add_special_tokens: bool = True) -> dict:
        """Turn a text into token ids; models of the T5 family need the task in words."""
        self.check(text)
        text = self.task_settings().get("prefix", "") + text
        reading = {"truncation": truncation, "add_special_tokens": add_special_tokens}
        inputs = self.tokenizer(text, return_tensors="pt", verbose=False, **reading)
        check_length(inputs.input_ids.shape[1], self.tokenizer)
        return {"input_ids": inputs.input_ids, "attention_mask": inputs.attention_mask}

    def check(self, text: object, **_: object) -> None:
        """Check what kind of thing a text is; `preprocess` knows its length."""
        self._check_kind(text, {})

    def task_settings(self) -> dict:
        """Return what the model's own config says of this task: a prefix, and settings of `generate`."""
        return (getattr(self.model.config, "task_specific_params", None) or {}).get(self.task, {})

    def _forward(self, inputs: dict, **settings: object) -> dict:
        told = {name: value for name, value in self.task_settings().items() if name != "prefix"}
        if "max_new_tokens" in settings:
            told.pop("max_length", None)
        elif "max_length" in settings:  # or the model's own max_new_tokens would win
            told["max_new_tokens"] = None
        return {"output_ids": _per_text(self.model.generate(**inputs, **told | settings), inputs)}

    def postprocess(
        self, outputs: dict, return_tensors=False, return_text=True, clean_up_tokenization_spaces=None
    ) -> list[dict]:
        """Turn token ids into texts: one, or as many as `num_return_sequences` says."""
        if return_tensors:
            return [{f"{self.answer_name}_token_ids": ids} for ids in outputs["output_ids"][0]]
        cleaning = {"clean_up_tokenization_spaces": clean_up_tokenization_spaces}
        texts = self.tokenizer.batch_decode(outputs["output_ids"][0], skip_special_tokens=True, **cleaning)
        return [{f"{self.answer_name}_text": text.strip()} for text in texts]


class TranslationPipeline(Text2TextGenerationPipeline):
    """Translate a text, or a list of texts: `pipeline("translation")("Hello!")` returns `[{"translation_text": "…"}]`.

    The task may name the direction, as in "translation_en_to_fr".

    Raises:
        ValueError: The model says which directions it translates, and the task's is not among them.

    Lesson: 04 · The pipeline tasks
    """

    answer_name = "translation"
    _names = (*Text2TextGenerationPipeline._names, "src_lang", "tgt_lang")

    def __init__(self, *args, **settings):
        super().__init__(*args, **settings)
        directions = self._directions()
        if self.task != "translation" and directions and self.task not in directions:
            raise ValueError(f"task must be one of {directions} for this model, got {self.task!r}")

    def _directions(self) -> list[str]:
        known = getattr(self.model.config, "task_specific_params", None) or {}
        return [name for name in known if name.startswith("translation_")]

    def _sanitize_parameters(self, src_lang: str | None = None, tgt_lang: str | None = None, **settings) -> tuple:
        direction = "translation_en_to_fr" if self.task == "translation" else self.task
        source, _, target = direction.removeprefix("translation_").partition("_to_")
        if src_lang not in (None, source) or tgt_lang not in (None, target):
            asked = f"src_lang={src_lang!r} and tgt_lang={tgt_lang!r}"
            raise ValueError(f"src_lang must be {source!r} and tgt_lang {target!r} for {direction}, got {asked}")
        return super()._sanitize_parameters(**settings)

    def task_settings(self) -> dict:
        """Return what the model's own config says of this direction; without one, of English to French."""
        known = getattr(self.model.config, "task_specific_params", None) or {}
        return known.get(self.task) or known.get("translation_en_to_fr", {})


class SummarizationPipeline(Text2TextGenerationPipeline):
    """Summarize a text, or a list of texts: `[{"summary_text": "…"}]`.

    An encoder–decoder that was trained for it reads the text as it is. A chat model is asked for a summary.

    Lesson: 04 · The pipeline tasks
    """

    answer_name = "summary"

    def __init__(self, *args, **settings):
        super().__init__(*args, **settings)
        if self._is_chat:
            self.tokenizer.padding_side = "left"  # it continues at the right end

    @property
    def _is_chat(self) -> bool:
        return not self.model.config.is_encoder_decoder

    def preprocess(self, text: str, truncation: bool = False) -> dict:
        """Turn a text into token ids; for a chat model, into a message that asks for a summary."""
        if not self._is_chat:
            return super().preprocess(text, truncation)
        self.check(text)
        messages = [{"role": "user", "content": f"Summarize the following text in one sentence:\n\n{text}"}]
        chat = self.tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        return super().preprocess(chat, truncation, add_special_tokens=False)  # the template has them already

    def _forward(self, inputs: dict, **settings: object) -> dict:
        if not self._is_chat:
            return super()._forward(inputs, **settings)
        settings = {_LENGTHS_OF_THE_SUMMARY.get(name, name): value for name, value in settings.items()}
        defaults = {"max_new_tokens": MOST_NEW_TOKENS, "do_sample": False, "pad_token_id": self.tokenizer.pad_token_id}
        written = self.model.generate(**inputs, **defaults | settings)
        return {"output_ids": _per_text(written[:, inputs["input_ids"].shape[1] :], inputs)}


def _per_text(written: torch.Tensor, inputs: dict) -> torch.Tensor:
    """Sort sequences by the text they belong to: `(texts · answers, seq)` → `(texts, answers, seq)`."""
    return written.reshape(len(inputs["input_ids"]), -1, written.shape[-1])
