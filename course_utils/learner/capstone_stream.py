"""Check a stream: a piece of text for every token, as soon as it is chosen, and nothing that must not be shown.

Lesson: 15 · Capstone: your own generate()
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache

import torch

from course_utils.engine.generate import stream
from course_utils.engine.own_filter import exception_line
from course_utils.learner.capstone_cases import Case
from course_utils.learner.capstone_runs import ReadingMeter, most_calls, sentence_end

_LEFT = "\ufffd"  # what a half character decodes to
STREAMS = (
    Case("abc", {"max_new_tokens": 10}),
    Case("hello", {"max_new_tokens": 12, "stop_strings": ["ebnbq", "wdb"]}),
    Case("quick", {"max_new_tokens": 12, "stop_strings": ["bvb"]}),
    Case("zzzz", {"max_new_tokens": 5, "stop_strings": ["bcz"]}),
    Case("lazy", {"max_new_tokens": 8, "eos_ids": [21]}),
    Case("I love parrots 🦜🦜🦜", {"max_new_tokens": 4}, is_real=True),
)


@dataclass(frozen=True)
class StreamAnswer:
    """What a learner's stream yielded in one case.

    Args:
        pieces: The pieces of text.
        calls_before: How often the model was called before the first piece came.
        problem: Why there is nothing to judge, as the end of a sentence that begins with “your function”.

    Lesson: 15 · Capstone: your own generate()

    >>> "".join(StreamAnswer((" Par", "is"), calls_before=1).pieces)
    ' Paris'
    """

    pieces: tuple[str, ...] = ()
    calls_before: int = 0
    problem: str = ""


def ask_stream(function: Callable, case: Case) -> StreamAnswer:
    """Run `function(model, ids, tokenizer, **settings)` on `case`, and take its pieces one by one.

    Nothing it raises comes through.
    Lesson: 15 · Capstone: your own generate()

    >>> ask_stream(lambda model, ids, tokenizer, **settings: None, Case("cab")).problem
    'must yield pieces of text, got None'
    """
    loaded, pieces, calls_before = case.loaded, [], 0
    with torch.random.fork_rng(), ReadingMeter(loaded.model, most_calls(case)) as meter:
        try:
            result = function(loaded.model, loaded.encode(case.prompt), loaded.tokenizer, **case.settings)
            if not isinstance(result, Iterable) or isinstance(result, str | torch.Tensor):
                name = "None" if result is None else type(result).__name__
                return StreamAnswer(problem=f"must yield pieces of text, got {name}")
            for piece in result:
                calls_before = calls_before or meter.calls
                if not isinstance(piece, str):
                    return StreamAnswer(problem=f"must yield pieces of text, got {type(piece).__name__} {piece!r}")
                pieces.append(piece)
                if len(pieces) > most_calls(case):
                    return StreamAnswer(problem=f"yielded more than {most_calls(case)} pieces: does it end?")
        except (Exception, SystemExit) as error:  # noqa: BLE001 (it is for the learner to see)
            return StreamAnswer(problem=exception_line(error, function))
    return StreamAnswer(tuple(pieces), calls_before) if pieces else StreamAnswer(problem="yields nothing")


def judge_stream(case: Case, answer: StreamAnswer) -> str:
    """Say in one sentence what is wrong with a stream; "" if nothing is.

    Lesson: 15 · Capstone: your own generate()

    >>> judge_stream(STREAMS[0], StreamAnswer(expected_pieces(STREAMS[0]), calls_before=1))
    ''
    """
    if answer.problem:
        return f"Your function {sentence_end(answer.problem)}"
    wanted, pieces = expected_pieces(case), answer.pieces
    if len(pieces) == len(wanted) + 1:  # what was held back may come as one piece more
        pieces = (*pieces[:-2], pieces[-2] + pieces[-1])
    own, right = "".join(pieces), "".join(wanted)
    if answer.calls_before > 1 and len(wanted) > 1:
        return f"The model was called {answer.calls_before} times before the first piece: yield inside the loop."
    if own != right:
        return _wrong_text(case, answer.pieces, own, right)
    if len(pieces) != len(wanted):
        return "A piece for every token, please: an empty one where nothing may be shown yet."
    return "" if pieces == wanted else "The text is right, and some of it could have been shown earlier."


def _wrong_text(case: Case, pieces: tuple[str, ...], own: str, right: str) -> str:
    if _LEFT in own and _LEFT not in right[: own.index(_LEFT) + 1]:
        return "Half a character was shown: decode all new tokens together, not each alone."
    if pieces[-1] == right and len(pieces) > 1:
        return "Every piece is the whole text so far: yield only what is new."
    if any(stop.startswith(own[len(right) :]) for stop in case.settings.get("stop_strings", ())) and len(own) > len(
        right
    ):
        return "A part of the stop string was shown: what could become one must wait."
    if right.startswith(own):
        return "Something is missing at the end: what was held back must be shown when the text ends."
    return "The pieces together are not the text."


@cache
def _pieces(index: int) -> tuple[str, ...]:
    case = STREAMS[index]
    ids, settings = case.loaded.encode(case.prompt), {"eos_ids": []} | dict(case.settings)
    return tuple(token.text for token in stream(case.loaded.model, ids, case.loaded.tokenizer, **settings))


def expected_pieces(case: Case) -> tuple[str, ...]:
    """Return the pieces that the course's `stream` yields for one of `STREAMS`; the last may be shown only at the end.

    Lesson: 15 · Capstone: your own generate()

    >>> len(expected_pieces(STREAMS[0]))
    10
    """
    return _pieces(STREAMS.index(case))
