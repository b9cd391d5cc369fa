"""The engine of `transformers` for many requests at once, run to the end of all.

Lesson: 14 · Speed and memory in practice
"""

import time
from collections.abc import Sequence

from transformers import ContinuousBatchingConfig, GenerationConfig, PreTrainedModel


def run_requests(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    lengths: Sequence[int],
    slots: int,
    arrivals: Sequence[float] | None = None,
) -> list[list[float]]:
    """Run these requests to their end; return the seconds from the start to every token, one list per request.

    Args:
        model: A causal LM of `transformers`.
        prompts: Token ids of each request.
        lengths: How many tokens each request generates.
        slots: The most requests in a batch.
        arrivals: When each request comes, in rising order; None: all are there before the first step.

    Raises:
        RuntimeError: The engine stopped before every request was done.

    >>> from course_utils.models import load_causal_lm
    >>> [len(times) for times in run_requests(load_causal_lm().model, [[5, 6, 7], [8, 9]], lengths=[2, 1], slots=2)]
    [2, 1]
    """
    manager = _manager(model, sum(map(len, prompts)) + sum(lengths), len(prompts), slots)

    def add(requests) -> None:
        for request in requests:
            length = lengths[request]
            manager.add_request(list(prompts[request]), str(request), max_new_tokens=length, record_timestamps=True)

    if arrivals is None:
        # All wait in the queue before the first step, so that no request is late by chance.
        add(range(len(prompts)))
    start = time.perf_counter()
    manager.start()
    try:
        for request, moment in enumerate(arrivals or []):
            time.sleep(max(0.0, start + moment - time.perf_counter()))
            add([request])
        done = _results(manager, len(prompts))
    finally:
        manager.stop(block=True)
        manager.destroy()
    return [[moment - start for moment in done[str(request)]] for request in range(len(prompts))]


def _manager(model, tokens: int, requests: int, slots: int):
    pages = ContinuousBatchingConfig(
        page_size=32, num_blocks=2 * (tokens // 32 + requests + 1), max_batch_tokens=256,
        max_requests_per_batch=slots, allow_block_sharing=False,
    )  # fmt: skip
    greedy = GenerationConfig(do_sample=False, eos_token_id=-1, pad_token_id=0)
    return model.init_continuous_batching(greedy, continuous_batching_config=pages)


def _results(manager, requests: int) -> dict[str, list[float]]:
    done = {}
    while len(done) < requests:
        result = manager.get_result(timeout=1)
        if result is None and not manager.is_running():
            raise RuntimeError("the engine of transformers stopped before every request was done")
        if result is not None and result.is_finished():
            done[result.request_id] = result.timestamps
    return done
