"""Question answering as a pipeline: find the answer to a question inside a text.

transformers 5 no longer has this task. Here it is again, with the same inputs and outputs.

Lesson: 04 · The pipeline tasks
"""

import math
from collections.abc import Iterator

import torch
from tokenizers import Encoding
from transformers.pipelines.base import ChunkPipeline

from course_utils.models import pipeline_settings as rules
from course_utils.models.checked_pipelines import CheckedPipeline, several

_READING = ("max_seq_len", "doc_stride", "max_question_len")
_CHOOSING = ("top_k", "max_answer_len", "handle_impossible_answer", "align_to_words")
_RULES = {name: rules.whole(1) for name in ("top_k", "max_answer_len", "max_seq_len", "max_question_len")}
_RULES["doc_stride"] = rules.whole(0)


class QuestionAnsweringPipeline(CheckedPipeline, ChunkPipeline):
    """Answer a question with a span of a context.

    `pipeline("question-answering", model=...)(question="…", context="…")` returns a dict with `score`, `start`,
    `end` and `answer`, where `answer` is `context[start:end]`. Several questions are a list of dicts, or two lists.

    - `top_k` (1): how many answers; more than one comes as a list, best first.
    - `max_answer_len` (30): the most tokens of an answer.
    - `max_seq_len` (256), `doc_stride` (64): a longer context is read in windows of that many tokens, which overlap
      by that many, so that no answer is cut in two.
    - `max_question_len` (half a window): with it, a longer question is cut instead of refused.
    - `handle_impossible_answer` (False): whether "" may be the answer.
    - `align_to_words` (True): whether an answer is made of whole words.

    The score is the probability of the answer's start times that of its end, over all windows.
    Source: Devlin et al. (2019), BERT, section 4.2.
    Lesson: 04 · The pipeline tasks
    """

    _load_tokenizer = True

    _names = (*_READING, *_CHOOSING, "padding")  # a window needs no padding: `padding` changes nothing
    _rules = _RULES
    _is_checked = True

    def __call__(self, *inputs: dict | list[dict] | str, question=None, context=None, data=None, X=None, **settings):
        """Answer one question, or several; see the class. `data` and `X` are other names of the first argument."""
        given = next((named for named in (data, X) if named is not None), None)
        if len(inputs) > 1:  # two texts, or as many dicts as there are questions
            inputs = _pairs(*inputs) if len(inputs) == 2 and not isinstance(inputs[0], dict) else list(inputs)
        else:
            inputs = inputs[0] if inputs else _pairs(question, context) if given is None else given
        if isinstance(inputs, list) and not inputs:
            raise ValueError("question and context must be given for at least one question, got none")
        return super().__call__(inputs, **settings)

    def _check_kind(self, pair: object, settings: dict) -> None:
        for name in ("question", "context"):
            text = pair.get(name) if isinstance(pair, dict) else None
            if not isinstance(text, str) or not text.strip():
                raise ValueError(f"{name} must be a text that is not empty, got {rules.short(text)}")

    def check(self, text: dict, **_: object) -> None:
        """Check a question and its context."""
        self._check_kind(text, {})

    def _sanitize_parameters(self, **settings: object) -> tuple[dict, dict, dict]:
        settings = {name: value for name, value in self._checked_settings(settings).items() if value is not None}
        given = ({name: settings[name] for name in names if name in settings} for names in (_READING, _CHOOSING))
        return next(given), {}, next(given)

    def preprocess(
        self, pair: dict, max_seq_len: int = 256, doc_stride: int = 64, max_question_len: int | None = None
    ) -> Iterator[dict]:
        """Cut a context into windows; yield each with the question in front of it."""
        self.check(pair)
        longest = min(max_seq_len, self.tokenizer.model_max_length)
        question = self.tokenizer(pair["question"], add_special_tokens=False, verbose=False).encodings[0]
        if max_question_len and len(question) > max_question_len:
            end = question.offsets[max_question_len - 1][1]
            pair = pair | {"question": pair["question"][:end]}
            question = self.tokenizer(pair["question"], add_special_tokens=False).encodings[0]
        if len(question) > longest // 2:
            raise ValueError(f"question must have at most {longest // 2} tokens, got {len(question)}")
        if not self.tokenizer(pair["context"], add_special_tokens=False, verbose=False).input_ids:
            raise ValueError(f"context must have at least one token, got {pair['context']!r}")
        cut = {"truncation": "only_second", "return_overflowing_tokens": True, "max_length": longest}
        stride = min(doc_stride, (longest - len(question)) // 4)
        windows = self.tokenizer(pair["question"], pair["context"], stride=stride, **cut).encodings
        sources = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}
        for window in windows:
            names = [name for name in sources if name in self.tokenizer.model_input_names]
            tensors = {name: torch.tensor([getattr(window, sources[name])]) for name in names}
            yield {"is_last": window is windows[-1], "window": window, "context": pair["context"]} | tensors

    def _forward(self, inputs: dict) -> dict:
        kept = {name: inputs[name] for name in ("is_last", "window", "context")}
        outputs = self.model(**{name: value for name, value in inputs.items() if name not in kept})
        return kept | {"starts": outputs.start_logits, "ends": outputs.end_logits}

    def postprocess(
        self, outputs: list[dict], top_k=1, max_answer_len=30, handle_impossible_answer=False, align_to_words=True
    ):
        """Choose the best spans of all windows."""
        windows = [output["window"] for output in outputs]
        allowed = [_may_answer(window, handle_impossible_answer) for window in windows]
        starts, ends = (
            _log_probabilities([output[name][0, : len(output["window"])] for output in outputs], allowed)
            for name in ("starts", "ends")
        )
        answers: dict[tuple[int, int], float] = {}
        for window, start, end in zip(windows, starts, ends, strict=True):
            for score, first, last in _best_spans(start[1:], end[1:], top_k, max_answer_len):
                span = _characters(window, first + 1, last + 1, align_to_words)
                answers[span] = max(answers.get(span, -torch.inf), score)
        if handle_impossible_answer:  # the first token stands for "no answer"; one window that has an answer is enough
            answers[0, 0] = min((start[0] + end[0]).item() for start, end in zip(starts, ends, strict=True))
        context = outputs[0]["context"]
        ranked = sorted(answers.items(), key=lambda answer: -answer[1])[:top_k]
        results = [
            {"score": math.exp(score), "start": start, "end": end, "answer": context[start:end]}
            for (start, end), score in ranked
        ]
        return results[0] if top_k == 1 else results


def _pairs(question: object, context: object) -> dict | list[dict]:
    question, context = several(question), several(context)
    if not isinstance(question, list):
        return {"question": question, "context": context}
    contexts = context if isinstance(context, list) else [context] * len(question)
    if len(contexts) != len(question):
        raise ValueError(f"context must hold one text per question ({len(question)}), got {len(contexts)}")
    return [{"question": one, "context": other} for one, other in zip(question, contexts, strict=True)]


def _may_answer(window: Encoding, may_be_impossible: bool) -> torch.Tensor:
    """Mark the tokens of the context, and the first token if it may be the answer."""
    allowed = torch.tensor([sequence == 1 for sequence in window.sequence_ids])
    allowed[0] = may_be_impossible
    return allowed


def _log_probabilities(logits: list[torch.Tensor], allowed: list[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    """Softmax over the allowed tokens of all windows together, so that windows can be compared."""
    masked = [numbers.masked_fill(~may, -torch.inf) for numbers, may in zip(logits, allowed, strict=True)]
    return torch.cat(masked).log_softmax(-1).split([len(numbers) for numbers in logits])


def _best_spans(start: torch.Tensor, end: torch.Tensor, top_k: int, longest: int) -> Iterator[tuple[float, int, int]]:
    """Yield the best spans as (log-probability, first token, last token): no end before its start, none too long."""
    spans = start[:, None] + end[None, :]
    fits = torch.ones_like(spans, dtype=torch.bool).triu().tril(longest - 1)
    spans = spans.masked_fill(~fits, -torch.inf)
    # Several spans of tokens can be the same words; so look at more than are asked for.
    best = spans.flatten().topk(min(10 * top_k, spans.numel()))
    for score, place in zip(best.values.tolist(), best.indices.tolist(), strict=True):
        if score > -torch.inf:
            yield score, *divmod(place, len(start))


def _characters(window: Encoding, first: int, last: int, align_to_words: bool) -> tuple[int, int]:
    """Return where in the context the tokens from `first` to `last` are, with the rest of their words if asked for."""
    words = window.token_to_word(first), window.token_to_word(last)
    if not align_to_words or None in words:  # a typed special token belongs to no word
        return window.offsets[first][0], window.offsets[last][1]
    return window.word_to_chars(words[0], 1)[0], window.word_to_chars(words[1], 1)[1]
