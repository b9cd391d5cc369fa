"""Run a function that a learner wrote, whatever it does: plain data comes back, or one sentence.

Lesson: 15 · Capstone: your own generate()
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from course_utils.engine.own_filter import exception_line
from course_utils.learner.capstone_cases import Case

_FRESH = 1_000_003  # keeps the chance of a run apart from every seed that a case asks for


@dataclass(frozen=True)
class Answer:
    """What a learner's function made of one case.

    Args:
        tokens: The new token ids.
        positions: How many positions the model read on the way.
        problem: Why there are no tokens, as the end of a sentence that begins with “your function”.

    Lesson: 15 · Capstone: your own generate()

    >>> Answer((5, 6), positions=4).problem
    ''
    """

    tokens: tuple[int, ...] = ()
    positions: int = 0
    problem: str = ""


class TooMuchReading(Exception):
    """The model was called far more often than the text has tokens."""


class ReadingMeter:
    """Count what a model reads while a learner's function runs, and stop a loop that does not end.

    Args:
        model: Any model of `transformers`.
        most_calls: After so many calls comes `TooMuchReading`.

    Lesson: 15 · Capstone: your own generate()

    >>> from course_utils.models.practice import practice_model
    >>> practice = practice_model()
    >>> with ReadingMeter(practice.model, most_calls=9) as meter:
    ...     logits = practice.next_logits("cab")
    >>> meter.positions, meter.calls
    (3, 1)
    """

    def __init__(self, model: torch.nn.Module, most_calls: int) -> None:
        self.model, self.most_calls = model, most_calls
        self.positions = self.calls = 0

    def __enter__(self) -> "ReadingMeter":
        # Every way of reading begins with the embeddings: `model(...)`, and the course's own layers, too.
        self._handle = self.model.get_input_embeddings().register_forward_pre_hook(self._count)
        return self

    def __exit__(self, *_: object) -> None:
        self._handle.remove()

    def _count(self, module: torch.nn.Module, arguments: tuple) -> None:
        self.positions += arguments[0].numel()
        self.calls += 1
        if self.calls > self.most_calls:
            raise TooMuchReading(f"the model was called more than {self.most_calls} times: does the loop end?")


def ask(function: Callable, case: Case, attempt: int = 0) -> Answer:
    """Run `function(model, ids, tokenizer, **settings)` on `case`; it must return prompt and new tokens, `(1, seq)`.

    Nothing it raises comes through, and neither its random numbers nor the model are left changed.

    Args:
        function: The learner's.
        case: What it is asked.
        attempt: Another number is another state of torch's own random numbers.

    Lesson: 15 · Capstone: your own generate()

    >>> ask(lambda model, ids, tokenizer, **settings: ids.tolist(), Case("cab")).problem
    'must return ids as a tensor, (1, seq), got list'
    """
    loaded = case.loaded
    ids = loaded.encode(case.prompt)
    with torch.random.fork_rng(), ReadingMeter(loaded.model, most_calls(case)) as meter:
        torch.manual_seed(_FRESH + attempt)
        try:
            result = function(loaded.model, ids, loaded.tokenizer, **case.settings)
        except (Exception, SystemExit) as error:  # noqa: BLE001 (it is for the learner to see)
            return Answer(problem=exception_line(error, function))
        finally:
            loaded.model.eval()
    prompt = loaded.encode(case.prompt)[0].tolist()
    if ids[0].tolist() != prompt:
        return Answer(problem="must not change the ids that it gets: make new ones with torch.cat")
    problem = result_problem(result, prompt)
    return Answer(problem=problem) if problem else Answer(tuple(result[0, len(prompt) :].tolist()), meter.positions)


def sentence_end(words: str) -> str:
    """Return `words` with a full stop, unless they end in a mark of their own.

    >>> sentence_end("does it end?"), sentence_end("got None")
    ('does it end?', 'got None.')
    """
    return words if words.endswith(("?", ".", "!")) else f"{words}."


def most_calls(case: Case) -> int:
    """Return how often a model may be called for `case` before something must be wrong.

    Lesson: 15 · Capstone: your own generate()

    >>> most_calls(Case("cab", {"max_new_tokens": 10}))
    30
    """
    return 10 + 2 * case.settings.get("max_new_tokens", 20) * case.settings.get("num_beams", 1)


def result_problem(result: object, prompt: list[int]) -> str:
    """Say why `result` is not the ids of prompt and new tokens; "" if it is.

    Lesson: 15 · Capstone: your own generate()

    >>> result_problem(torch.tensor([7, 8, 9]), [7, 8])
    'must return ids of shape (1, seq), got (3,)'
    >>> result_problem(torch.tensor([[9]]), [7, 8])
    'must return the prompt and the new tokens behind it; the prompt is missing'
    """
    if not isinstance(result, torch.Tensor):
        missing = " (is a return missing?)" if result is None else ""
        return (
            f"must return ids as a tensor, (1, seq), got {'None' if result is None else type(result).__name__}{missing}"
        )
    if result.is_floating_point() or result.dtype == torch.bool:
        return f"must return token ids, which are whole numbers, got {result.dtype}"
    if result.ndim != 2 or len(result) != 1:
        return f"must return ids of shape (1, seq), got {tuple(result.shape)}"
    if result[0, : len(prompt)].tolist() != prompt:
        return "must return the prompt and the new tokens behind it; the prompt is missing"
    return "" if result.shape[1] > len(prompt) else "returned the prompt without a new token"
