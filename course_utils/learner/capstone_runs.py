"""Run a function of the capstone so that its answer can be judged: the new tokens as texts, or the pieces of a stream.

Each wrapper turns the learner's function into one of a loaded model, a text and settings, which a card can show.

Lesson: 15 · Capstone: your own generate()
"""

import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import wraps

import torch

from course_utils.engine.generate import stream
from course_utils.exercises.calling import unwrapped
from course_utils.exercises.lessons.lesson_15 import once
from course_utils.exercises.plain_data import NotPlainError
from course_utils.measuring.reading import ReadingMeter
from course_utils.models import CausalLM


def new_texts(function: Callable, with_positions: bool = False) -> Callable:
    """Let a `my_generate` return its new tokens as texts, and with them, if asked, how many positions were read."""

    @wraps(function)
    def asked(loaded: CausalLM, prompt: str, **settings: object) -> list[str] | dict:
        ids = loaded.encode(prompt)
        before = ids[0].tolist()
        with _watched(function, loaded, settings) as meter:
            result = function(loaded.model, ids, loaded.tokenizer, **settings)
        if ids[0].tolist() != before:
            raise NotPlainError("must not change the ids that it gets: make new ones with torch.cat.")
        if problem := _result_problem(result, before, len(loaded.labels)):
            raise NotPlainError(problem)
        if settings.get("do_sample"):
            torch.manual_seed(1)  # `call` began with another one: torch's own numbers must not matter
            with _watched(function, loaded, settings):
                again = function(loaded.model, ids, loaded.tokenizer, **settings)
            if not (isinstance(again, torch.Tensor) and torch.equal(again, result)):
                raise NotPlainError(
                    "gives two texts for one seed: draw with a torch.Generator() that has it, made once."
                )
        new = [loaded.labels[token] for token in result[0, len(before) :].tolist()]
        return {"positions read": meter.positions, "new tokens": new} if with_positions else new

    return asked


@once
def right_pieces(model, ids, tokenizer, **settings) -> list[str]:
    """Return the pieces that the course's `stream` yields."""
    return [token.text for token in stream(model, ids, tokenizer, **({"eos_ids": []} | settings))]


def pieces(function: Callable) -> Callable:
    """Let a `my_stream` return its pieces, and how often the model was called before the first one came."""

    @wraps(function)
    def asked(loaded: CausalLM, prompt: str, **settings: object) -> dict:
        ids, shown, calls = loaded.encode(prompt), [], 0
        with _watched(function, loaded, settings) as meter:
            result = function(loaded.model, ids, loaded.tokenizer, **settings)
            if not isinstance(result, Iterable) or isinstance(result, str | torch.Tensor):
                raise NotPlainError(f"must yield pieces of text, got {_kind(result)}.")
            for piece in result:
                calls = calls or meter.calls
                if not isinstance(piece, str):
                    raise NotPlainError(f"must yield pieces of text, got {_kind(piece)} {piece!r}.")
                shown.append(piece)
                if len(shown) > meter.most_calls:
                    raise NotPlainError(f"yields more than {meter.most_calls} pieces: does it end?")
        if not shown:
            raise NotPlainError("yields nothing.")
        if len(shown) == len(right_pieces(loaded.model, loaded.encode(prompt), loaded.tokenizer, **settings)) + 1:
            shown[-2:] = ["".join(shown[-2:])]  # what was held back may come as one piece more
        return {"calls before the first piece": max(calls, 1), "pieces": shown}

    return asked


@contextmanager
def _watched(function: Callable, loaded: CausalLM, settings: dict) -> Iterator[ReadingMeter]:
    """Count what is read; say of an exception in which line of `function` it came up."""
    most_calls = 10 + 2 * settings.get("max_new_tokens", 20) * settings.get("num_beams", 1)
    with ReadingMeter(loaded.model, most_calls) as meter:
        try:
            yield meter
        except Exception as error:
            code = getattr(unwrapped(function), "__code__", None)
            lines = [line for frame, line in traceback.walk_tb(error.__traceback__) if frame.f_code is code]
            if lines:
                error.add_note(f"(line {lines[-1] - code.co_firstlineno + 1} of your function)")
            raise
        finally:
            loaded.model.eval()


def _result_problem(result: object, prompt: list[int], vocabulary: int) -> str:
    """Say why `result` is not the ids of prompt and new tokens, after "your function "; "" if it is."""
    if not isinstance(result, torch.Tensor):
        missing = " (is a return missing?)" if result is None else ""
        return f"must return prompt and new tokens as a tensor, (1, seq), got {_kind(result)}{missing}."
    if result.is_floating_point() or result.dtype == torch.bool:
        return f"must return token ids, which are whole numbers, got {result.dtype}."
    if result.ndim != 2 or len(result) != 1:
        return f"must return ids of shape (1, seq), got {tuple(result.shape)}."
    if result[0, : len(prompt)].tolist() != prompt:
        return "must return the prompt and the new tokens after it, as `model.generate` does; the prompt is missing."
    unknown = [token for token in result[0].tolist() if not 0 <= token < vocabulary]
    if unknown:
        return f"must return ids of the model's {vocabulary:,} tokens, got {unknown[0]}."
    return "" if result.shape[1] > len(prompt) else "returns the prompt without a new token."


def _kind(value: object) -> str:
    return "None" if value is None else type(value).__name__
