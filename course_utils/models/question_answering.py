"""Question answering as a pipeline: find the answer to a question inside a text.

transformers 5 no longer has this task. Here it is again, with the same inputs and outputs.

Lesson: 04 · The pipeline tasks
"""

import math
from collections.abc import Iterator

import torch
from tokenizers import Encoding
from transformers.pipelines.base import ChunkPipeline


class QuestionAnsweringPipeline(ChunkPipeline):
    """Answer a question with a span of a context.

    `pipeline("question-answering", model=...)(question="…", context="…")` returns a dict with `score`, `start`,
    `end` and `answer`, where `answer` is `context[start:end]`. Several questions are a list of dicts, or two lists.

    - `top_k` (1): how many answers; more than one comes as a list, best first.
    - `max_answer_len` (30): the most tokens of an answer.
    - `max_seq_len` (256), `doc_stride` (64): a longer context is read in windows of so many tokens, which overlap
      by so many, so that no answer is cut in two.
    - `handle_impossible_answer` (False): whether "" may be the answer.

    The score is the probability of the answer's start times that of its end, over all windows.
    Source: Devlin et al. (2019), BERT, section 4.2.
    Lesson: 04 · The pipeline tasks
    """

    _load_tokenizer = True

    def __call__(self, *inputs: dict | list[dict], question=None, context=None, **settings):
        """Answer one question, or several; see the class."""
        inputs = inputs or (_pairs(question, context),)
        if inputs[0] == []:
            raise ValueError("question and context must be given for at least one question, got none")
        for pair in inputs[0] if isinstance(inputs[0], list) else inputs:
            _check(pair)
        return super().__call__(inputs[0], **settings)

    def _sanitize_parameters(self, **settings: object) -> tuple[dict, dict, dict]:
        reading, choosing = ("max_seq_len", "doc_stride"), ("top_k", "max_answer_len", "handle_impossible_answer")
        for name, value in settings.items():
            if name not in reading + choosing:
                raise TypeError(f"{name} must be one of {reading + choosing}")
            if name != "handle_impossible_answer" and (not isinstance(value, int) or value < 1):
                raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")
        given = ({name: settings[name] for name in names if name in settings} for names in (reading, choosing))
        return next(given), {}, next(given)

    def preprocess(self, pair: dict, max_seq_len: int = 256, doc_stride: int = 64) -> Iterator[dict]:
        """Cut a context into windows; yield each with the question in front of it."""
        longest = min(max_seq_len, self.tokenizer.model_max_length)
        question = self.tokenizer(pair["question"], add_special_tokens=False).encodings[0]
        if len(question) > longest // 2:
            raise ValueError(f"question must have at most {longest // 2} tokens, got {len(question)}")
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

    def postprocess(self, outputs: list[dict], top_k=1, max_answer_len=30, handle_impossible_answer=False):
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
                span = _characters(window, first + 1, last + 1)
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


def _pairs(question: str | list[str], context: str | list[str]) -> dict | list[dict]:
    if not isinstance(question, list):
        return {"question": question, "context": context}
    contexts = context if isinstance(context, list) else [context] * len(question)
    if len(contexts) != len(question):
        raise ValueError(f"context must hold one text a question ({len(question)}), got {len(contexts)}")
    return [{"question": one, "context": other} for one, other in zip(question, contexts, strict=True)]


def _check(pair: dict) -> None:
    for name in ("question", "context"):
        text = pair.get(name) if isinstance(pair, dict) else None
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"{name} must be a text that is not empty, got {text!r}")


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


def _characters(window: Encoding, first: int, last: int) -> tuple[int, int]:
    """Return where in the context the whole words from token `first` to token `last` are."""
    words = window.token_to_word(first), window.token_to_word(last)
    return window.word_to_chars(words[0], 1)[0], window.word_to_chars(words[1], 1)[1]
