"""Translation, summarization and text to text as pipelines: read one text, write another.

transformers 5 no longer has these tasks. Here they are again, with the same inputs and outputs.

Lesson: 04 · The pipeline tasks
"""

from transformers.pipelines.base import Pipeline

from course_utils.models.checked_pipelines import check_texts

MOST_NEW_TOKENS = 128
# In a summarizer's settings, max_length is the summary's; a chat model would count the prompt as well.
_LENGTHS_OF_THE_SUMMARY = {"max_length": "max_new_tokens", "min_length": "min_new_tokens"}


class Text2TextGenerationPipeline(Pipeline):
    """Read a text, or each of a list of texts, and write another: `[{"generated_text": "…"}]`.

    Settings of `generate`, such as `max_new_tokens` or `num_beams`, are passed on. With `truncation=True` a text that
    is too long is cut instead of refused.

    Lesson: 04 · The pipeline tasks
    """

    answer_name = "generated_text"
    _load_tokenizer = True

    def __call__(self, texts: str | list[str], **settings):
        """Write the answer to one text, or to several.

        Raises:
            ValueError: There is no text, or one is not a str or empty.
        """
        check_texts(texts, self.tokenizer, may_be_long=True)  # `preprocess` knows its length
        return super().__call__(texts, **settings)

    def _sanitize_parameters(self, truncation: bool | None = None, **settings: object) -> tuple[dict, dict, dict]:
        return {} if truncation is None else {"truncation": truncation}, settings, {}

    def preprocess(self, text: str, truncation: bool = False, add_special_tokens: bool = True) -> dict:
        """Turn a text into token ids; models of the T5 family want to be told the task in words."""
        text = self.task_settings().get("prefix", "") + text
        reading = {"truncation": truncation, "add_special_tokens": add_special_tokens}
        inputs = self.tokenizer(text, return_tensors="pt", verbose=False, **reading)
        longest = self.tokenizer.model_max_length
        if inputs.input_ids.shape[1] > longest:
            raise ValueError(f"texts must have at most {longest} tokens, got {inputs.input_ids.shape[1]}")
        return {"input_ids": inputs.input_ids, "attention_mask": inputs.attention_mask}

    def task_settings(self) -> dict:
        """Return what the model's own config says of this task: a prefix, and settings of `generate`."""
        return (getattr(self.model.config, "task_specific_params", None) or {}).get(self.task, {})

    def _forward(self, inputs: dict, **settings: object) -> dict:
        told = {name: value for name, value in self.task_settings().items() if name != "prefix"}
        if "max_new_tokens" in settings:
            told.pop("max_length", None)
        return {"output_ids": self.model.generate(**inputs, **told | settings)}

    def postprocess(self, outputs: dict) -> list[dict[str, str]]:
        """Turn token ids into texts: one, or as many as `num_return_sequences` says."""
        texts = self.tokenizer.batch_decode(outputs["output_ids"], skip_special_tokens=True)
        return [{self.answer_name: text.strip()} for text in texts]


class TranslationPipeline(Text2TextGenerationPipeline):
    """Translate a text, or a list of texts: `pipeline("translation")("Hello!")` returns `[{"translation_text": "…"}]`.

    The task may name the direction, as in "translation_en_to_fr".

    Raises:
        ValueError: The model says which directions it translates, and the task's is not among them.

    Lesson: 04 · The pipeline tasks
    """

    answer_name = "translation_text"

    def __init__(self, *args, **settings):
        super().__init__(*args, **settings)
        known = getattr(self.model.config, "task_specific_params", None) or {}
        directions = [name for name in known if name.startswith("translation_")]
        if self.task != "translation" and directions and self.task not in directions:
            raise ValueError(f"task must be one of {directions} for this model, got {self.task!r}")

    def task_settings(self) -> dict:
        """Return what the model's own config says of this direction; without one, of English to French."""
        known = getattr(self.model.config, "task_specific_params", None) or {}
        return known.get(self.task) or known.get("translation_en_to_fr", {})


class SummarizationPipeline(Text2TextGenerationPipeline):
    """Summarize a text, or a list of texts: `[{"summary_text": "…"}]`.

    An encoder–decoder that was trained for it reads the text as it is. A chat model is asked for a summary.

    Lesson: 04 · The pipeline tasks
    """

    answer_name = "summary_text"

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
        messages = [{"role": "user", "content": f"Summarize the following text in one sentence:\n\n{text}"}]
        chat = self.tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        return super().preprocess(chat, truncation, add_special_tokens=False)  # the template has them already

    def _forward(self, inputs: dict, **settings: object) -> dict:
        if not self._is_chat:
            return super()._forward(inputs, **settings)
        settings = {_LENGTHS_OF_THE_SUMMARY.get(name, name): value for name, value in settings.items()}
        defaults = {"max_new_tokens": MOST_NEW_TOKENS, "do_sample": False, "pad_token_id": self.tokenizer.pad_token_id}
        written = self.model.generate(**inputs, **defaults | settings)
        return {"output_ids": written[:, inputs["input_ids"].shape[1] :]}
