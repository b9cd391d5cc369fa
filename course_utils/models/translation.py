"""Translation and summarization as pipelines: an encoder–decoder reads one text and writes another.

transformers 5 no longer has these tasks. Here they are again, with the same inputs and outputs.

Lesson: 04 · The pipeline tasks
"""

from transformers import AutoModelForSeq2SeqLM
from transformers.pipelines.base import Pipeline

from course_utils.models.restored_tasks import restore_task


class TranslationPipeline(Pipeline):
    """Translate a text, or a list of texts.

    `pipeline("translation", model=...)("Hello!")` returns `[{"translation_text": "…"}]`. Settings of `generate`, such
    as `max_new_tokens` or `num_beams`, are passed on.

    Lesson: 04 · The pipeline tasks
    """

    answer_name = "translation_text"
    _load_tokenizer = True

    def __call__(self, texts: str | list[str], **settings):
        """Write the answer to one text, or to several.

        Raises:
            ValueError: There is no text, or one is not a str or empty.
        """
        for text in texts if isinstance(texts, list) else [texts]:
            if not isinstance(text, str) or not text.strip():
                raise ValueError(f"texts must be texts that are not empty, got {text!r}")
        if not texts:
            raise ValueError("texts must hold at least one text, got an empty list")
        return super().__call__(texts, **settings)

    def _sanitize_parameters(self, **settings: object) -> tuple[dict, dict, dict]:
        return {}, settings, {}

    def preprocess(self, text: str) -> dict:
        """Turn a text into token ids; models of the T5 family want to be told the task in words."""
        tasks = getattr(self.model.config, "task_specific_params", None) or {}
        prefix = (tasks.get(self.task) or tasks.get("translation_en_to_fr", {})).get("prefix", "")
        inputs = self.tokenizer(prefix + text, return_tensors="pt")
        longest = self.tokenizer.model_max_length
        if inputs.input_ids.shape[1] > longest:
            raise ValueError(f"texts must have at most {longest} tokens, got {inputs.input_ids.shape[1]}")
        return {"input_ids": inputs.input_ids, "attention_mask": inputs.attention_mask}

    def _forward(self, inputs: dict, **settings: object) -> dict:
        return {"output_ids": self.model.generate(**inputs, **settings)}

    def postprocess(self, outputs: dict) -> list[dict[str, str]]:
        """Turn token ids into texts: one, or as many as `num_return_sequences` says."""
        texts = self.tokenizer.batch_decode(outputs["output_ids"], skip_special_tokens=True)
        return [{self.answer_name: text.strip()} for text in texts]


class SummarizationPipeline(TranslationPipeline):
    """Summarise a text, or a list of texts: `[{"summary_text": "…"}]`.

    Lesson: 04 · The pipeline tasks
    """

    answer_name = "summary_text"


restore_task("translation", TranslationPipeline, AutoModelForSeq2SeqLM)
restore_task("summarization", SummarizationPipeline, AutoModelForSeq2SeqLM)
