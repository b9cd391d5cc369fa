"""Who is computed when: requests of different lengths share the slots of a batch, in two ways.

Lesson: 14 · Speed and memory in practice
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from transformers import PreTrainedModel

from course_utils.engine.arguments import check_whole
from course_utils.measuring.request_run import run_requests


class Turn(NamedTuple):
    """When a request had a slot, in steps or seconds from the start of all.

    Args:
        request: Which request; 0 is the first.
        slot: Its place in the batch.
        start: When its first step began.
        end: When it had its last token.
        freed: When its slot could be used again.
    """

    request: int
    slot: int
    start: float
    end: float
    freed: float


def static_schedule(lengths: Sequence[int], slots: int) -> list[Turn]:
    """Plan static batching: a batch begins when the longest request of the one before it has ended.

    Args:
        lengths: The tokens that each request will generate; every step gives each running request a token.
        slots: The most requests in a batch.

    Raises:
        ValueError: `slots` or a length is not a whole number of at least 1.

    >>> [turn.end for turn in static_schedule([2, 5, 1], slots=2)]
    [2, 5, 6]
    """
    lengths, slots = _checked(lengths, slots)
    turns, start = [], 0
    for first in range(0, len(lengths), slots):
        batch = lengths[first : first + slots]
        freed = start + max(batch)
        turns += [Turn(first + slot, slot, start, start + length, freed) for slot, length in enumerate(batch)]
        start = freed
    return turns


def continuous_schedule(lengths: Sequence[int], slots: int) -> list[Turn]:
    """Plan continuous batching: whenever a request has ended, the next one gets its slot in the very next step.

    Arguments and errors as `static_schedule`.

    Source: Yu et al. (2022), Orca ("iteration-level scheduling").

    >>> [turn.end for turn in continuous_schedule([2, 5, 1], slots=2)]
    [2, 5, 3]
    """
    lengths, slots = _checked(lengths, slots)
    turns, free_from = [], [0] * slots
    for request, length in enumerate(lengths):
        start = min(free_from)
        slot = free_from.index(start)
        free_from[slot] = start + length
        turns.append(Turn(request, slot, start, start + length, start + length))
    return turns


def token_times(
    model: PreTrainedModel, prompts: Sequence[Sequence[int]], lengths: Sequence[int], slots: int, static: bool = False
) -> list[list[float]]:
    """Generate after several prompts with the continuous batching of `transformers`; return when each token came.

    Args:
        model: A causal LM of `transformers`.
        prompts: Token ids of each request.
        lengths: How many tokens each request generates; end-of-sequence tokens do not end it.
        slots: The most requests in a batch.
        static: Hand in the next batch only when the one before it is done.

    Returns:
        Seconds from the start to every token, one list per request.

    Raises:
        ValueError: `slots` or a length is not a whole number of at least 1, or there are not as many lengths as
            prompts.

    Its keys and values lie in pages (Kwon et al. 2023, PagedAttention), so that a request can come and go.

    >>> from course_utils.models import load_causal_lm
    >>> model = load_causal_lm().model
    >>> [len(times) for times in token_times(model, [[5, 6, 7], [8, 9]], lengths=[2, 1], slots=2)]
    [2, 1]
    """
    lengths, slots = _checked(lengths, slots)
    if len(lengths) != len(prompts):
        raise ValueError(f"lengths must be {len(prompts)} numbers, one per prompt, got {len(lengths)}")
    size = slots if static else max(len(prompts), 1)
    times: list[list[float]] = []
    for first in range(0, len(prompts), size):
        batch = slice(first, first + size)
        # The engine is set up again for each batch; the time between two batches does not count.
        start = max((request[-1] for request in times), default=0.0)
        served = run_requests(model, prompts[batch], lengths[batch], slots)
        times += [[start + moment for moment in request] for request in served]
    return times


def waiting_times(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    lengths: Sequence[int],
    slots: int,
    arrivals: Sequence[float],
) -> list[list[float]]:
    """Serve requests that come one after the other, with continuous batching; return how long each token took.

    Args:
        model: A causal LM of `transformers`.
        prompts: Token ids of each request.
        lengths: How many tokens each request generates; end-of-sequence tokens do not end it.
        slots: The most requests in a batch; with 1, each waits for the whole answer of the one before.
        arrivals: When each request comes, in seconds from the start, in rising order.

    Returns:
        Seconds from a request's arrival to every token, one list per request: its first number is its TTFT.

    Raises:
        ValueError: `slots` or a length is not a whole number of at least 1; there are not as many lengths and arrivals
            as prompts; or the arrivals do not rise from 0 or later.

    >>> from course_utils.models import load_causal_lm
    >>> model = load_causal_lm().model
    >>> [len(times) for times in waiting_times(model, [[5, 6, 7], [8, 9]], [2, 1], slots=2, arrivals=[0, 0.01])]
    [2, 1]
    """
    lengths, slots = _checked(lengths, slots)
    for name, values in (("lengths", lengths), ("arrivals", arrivals)):
        if len(values) != len(prompts):
            raise ValueError(f"{name} must be {len(prompts)} numbers, one per prompt, got {len(values)}")
    if any(late < early for early, late in pairwise([0.0, *arrivals])):
        raise ValueError(f"arrivals must rise, from 0 or later, got {list(arrivals)}")
    times = run_requests(model, prompts, lengths, slots, arrivals)
    return [[moment - came for moment in request] for request, came in zip(times, arrivals, strict=True)]


def turns_of(times: Sequence[Sequence[float]], schedule: Sequence[Turn]) -> list[Turn]:
    """Give the turns of a schedule the times that were measured: of the same requests, in the same slots.

    A slot is free again when the last request that the schedule gave its batch has ended.

    Args:
        times: When every token of every request came, as `token_times` returns them.
        schedule: What was planned for them, in steps.

    >>> turns_of([[0.5, 0.9], [0.5]], static_schedule([2, 1], slots=2))[1]
    Turn(request=1, slot=1, start=0.0, end=0.5, freed=0.9)
    """
    ends = {0: 0.0}
    for turn in schedule:
        ends[turn.end] = max(times[turn.request][-1], ends.get(turn.end, 0.0))
    return [
        Turn(turn.request, turn.slot, ends[turn.start], times[turn.request][-1], ends[turn.freed]) for turn in schedule
    ]


def _checked(lengths: Sequence[int], slots: int) -> tuple[list[int], int]:
    slots = check_whole("slots", slots, 1)
    return [check_whole("lengths", length, 1) for length in lengths], slots
