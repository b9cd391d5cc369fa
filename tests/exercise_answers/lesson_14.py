"""Answers to exercise 14 as learners write them: right ones in several ways, and wrong ones with what they are told."""

import math
from collections import deque
from heapq import heapify, heapreplace

import numpy as np
import torch

from course_utils.measuring.memory import kv_cache_bytes
from course_utils.measuring.model_shapes import ModelShape


def latency_by_gaps(sent, times):
    gaps = [times[place + 1] - times[place] for place in range(len(times) - 1)]
    return [times[0] - sent, sum(gaps) / len(gaps) if gaps else None]


def latency_in_numpy(sent, times):
    marks = np.array(times) - sent
    if len(marks) == 1:
        return marks[0], None
    return marks[0], np.diff(marks).mean()


def latency_in_tensors(sent, times):
    marks = torch.tensor(times, dtype=torch.double)
    try:
        tpot = ((marks[-1] - marks[0]).item()) / (marks.numel() - 1)
    except ZeroDivisionError:
        tpot = None
    return (marks[0] - sent).item(), tpot


def latency_unguarded(sent, times):
    return times[0] - sent, (times[-1] - times[0]) / (len(times) - 1)


def latency_with(ttft=lambda sent, times: times[0] - sent, tpot=None):
    def function(sent, times):
        first = ttft(sent, times)
        if len(times) == 1:
            return first, None
        return first, (tpot or (lambda sent, times: (times[-1] - times[0]) / (len(times) - 1)))(sent, times)

    return function


def latency_zero(sent, times):
    return times[0] - sent, (times[-1] - times[0]) / max(len(times) - 1, 1)


def latency_of_all_tokens(sent, times):
    return times[0] - sent, (times[-1] - times[0]) / len(times)


def latency_with_prefill(sent, times):
    return times[0] - sent, (times[-1] - sent) / len(times)


def latency_of_the_median(sent, times):
    return times[0] - sent, float(np.median(np.diff(times))) if len(times) > 1 else None


def latency_of_the_total(sent, times):
    if len(times) < 2:
        return times[0] - sent, None
    return times[0] - sent, (times[-1] - sent) / (len(times) - 1)


def cache_in_steps(config, tokens, batch, number_bytes):
    heads = config["num_attention_heads"]
    if "num_key_value_heads" in config:
        heads = config["num_key_value_heads"]
    try:
        size = config["head_dim"]
    except KeyError:
        size = config["hidden_size"] / config["num_attention_heads"]
    total = 0
    for _ in range(config["num_hidden_layers"]):
        keys = heads * size * tokens
        total += 2 * keys * batch
    return total * number_bytes


def cache_of_a_tensor(config, tokens, batch, number_bytes):
    kv = config.get("num_key_value_heads") or config["num_attention_heads"]
    size = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    keys = torch.empty(2, config["num_hidden_layers"], batch, kv, tokens, size, device="meta")
    return keys.numel() * number_bytes


def cache_by_prod(config, tokens, batch, number_bytes):
    full = {"num_key_value_heads": config["num_attention_heads"]}
    full["head_dim"] = config["hidden_size"] // config["num_attention_heads"]
    full.update(config)
    sizes = [2, full["num_hidden_layers"], full["num_key_value_heads"], full["head_dim"], tokens, batch, number_bytes]
    return math.prod(map(float, sizes))


def cache_with(two=2, batched=True, sized=True, layers=True, heads=None, size=None):
    def function(config, tokens, batch, number_bytes):
        kv = heads(config) if heads else config.get("num_key_value_heads", config["num_attention_heads"])
        length = (
            size(config) if size else config.get("head_dim", config["hidden_size"] // config["num_attention_heads"])
        )
        total = two * kv * length * tokens
        total *= config["num_hidden_layers"] if layers else 1
        total *= batch if batched else 1
        return total * number_bytes if sized else total

    return function


def cache_unguarded(config, tokens, batch, number_bytes):
    heads, size = config["num_key_value_heads"], config["head_dim"]
    return 2 * config["num_hidden_layers"] * heads * size * tokens * batch * number_bytes


def cache_of_query_heads(config, tokens, batch, number_bytes):
    size = config["head_dim"]
    return 2 * config["num_hidden_layers"] * config["num_attention_heads"] * size * tokens * batch * number_bytes


def cache_squared(config, tokens, batch, number_bytes):
    return cache_by_prod(config, tokens**2, batch, number_bytes)


def fit_in_bytes(queue, memory, weights, token_bytes, page):
    used, served = weights, 0
    for tokens in queue:
        used += math.ceil(tokens / page) * page * token_bytes
        if used > memory:
            break
        served += 1
    return served


def fit_by_cumsum(queue, memory, weights, token_bytes, page):
    pages = np.cumsum(-(-np.array(queue) // page))
    return (pages * page * token_bytes <= memory - weights).sum()


def fit_with_a_deque(queue, memory, weights, token_bytes, page):
    waiting, free = deque(queue), max(memory - weights, 0) // (token_bytes * page)
    while waiting and (waiting[0] + page - 1) // page <= free:
        free -= (waiting.popleft() + page - 1) // page
    return len(queue) - len(waiting)


def fit_with(need):
    def function(queue, memory, weights, token_bytes, page):
        used = weights
        for served, tokens in enumerate(queue):
            used += need(tokens, page) * token_bytes
            if used > memory:
                return served
        return len(queue)

    return function


def fit_without_weights(queue, memory, weights, token_bytes, page):
    return fit_in_bytes(queue, memory, 0, token_bytes, page)


def fit_overtaking(queue, memory, weights, token_bytes, page):
    free, served = (memory - weights) // (page * token_bytes), 0
    for tokens in queue:
        if math.ceil(tokens / page) <= free:
            free -= math.ceil(tokens / page)
            served += 1
    return served


def fit_never_full(queue, memory, weights, token_bytes, page):
    used, served = weights, 0
    for tokens in queue:
        used += math.ceil(tokens / page) * page * token_bytes
        if not used < memory:
            break
        served += 1
    return served


def fit_keeps_a_page(queue, memory, weights, token_bytes, page):
    free, served = (memory - weights) // (page * token_bytes), 0
    for tokens in queue:
        if -(-tokens // page) < free:
            free -= -(-tokens // page)
            served += 1
        else:
            break
    return served


def fit_for_the_longest(queue, memory, weights, token_bytes, page):
    each = math.ceil(max(queue) / page) * page * token_bytes
    return max(0, min(len(queue), (memory - weights) // each))


def fit_counts_one_more(queue, memory, weights, token_bytes, page):
    free, served = (memory - weights) // (page * token_bytes), 0
    for tokens in queue:
        served += 1
        free -= math.ceil(tokens / page)
        if free < 0:
            break
    return served


def fit_compares_pages_with_bytes(queue, memory, weights, token_bytes, page):
    free = memory - weights
    for served, tokens in enumerate(queue):
        free -= math.ceil(tokens / page) * page
        if free < 0:
            return served
    return len(queue)


def steps_by_simulation(lengths, slots, continuous):
    waiting, running, steps = list(lengths), [], 0
    while waiting or running:
        if continuous or not running:
            while waiting and len(running) < slots:
                running.append(waiting.pop(0))
        steps += 1
        running = [left - 1 for left in running if left > 1]
    return steps


def steps_with_a_heap(lengths, slots, continuous):
    if not continuous:
        padded = lengths + [0] * (-len(lengths) % slots)
        return int(np.array(padded).reshape(-1, slots).max(1).sum())
    free = [0] * slots
    heapify(free)
    for length in lengths:
        heapreplace(free, free[0] + length)
    return max(free)


def steps_in_tensors(lengths, slots, continuous):
    values = torch.tensor(lengths)
    if not continuous:
        return sum(batch.max() for batch in values.split(slots))
    free = torch.zeros(slots, dtype=torch.long)
    for length in values:
        free[free.argmin()] += length
    return free.max()


def steps_with(static=None, turns=None):
    def function(lengths, slots, continuous):
        if continuous:
            return turns(lengths, slots) if turns else steps_by_simulation(lengths, slots, True)
        return static(lengths, slots) if static else steps_with_a_heap(lengths, slots, False)

    return function


def shortest_of_each(lengths, slots):
    return sum(min(lengths[first : first + slots]) for first in range(0, len(lengths), slots))


def full_batches_only(lengths, slots):
    return sum(max(lengths[n * slots : (n + 1) * slots]) for n in range(len(lengths) // slots))


def dealt_out(lengths, slots):
    ends = [0] * slots
    for number, length in enumerate(lengths):
        ends[number % slots] += length
    return max(ends)


def ends_with_the_first(lengths, slots):
    ends = [0] * slots
    for length in lengths:
        ends.sort()
        ends[0] += length
    return sorted(ends)[0]


def longest_first(lengths, slots, continuous):
    return steps_in_tensors(sorted(lengths, reverse=True), slots, continuous)


def nothing(*arguments):
    list(arguments)


def cache_by_the_course(config, tokens, batch, number_bytes):
    layers, hidden, heads = config["num_hidden_layers"], config["hidden_size"], config["num_attention_heads"]
    kv_heads, size = config.get("num_key_value_heads", heads), config.get("head_dim", hidden // heads)
    shape = ModelShape("made up", 1, layers, hidden, heads, kv_heads, size, 1, 1, "nowhere")
    return kv_cache_bytes(shape, tokens, batch, number_bytes)


RIGHT = {
    "q1": [latency_by_gaps, latency_in_numpy, latency_in_tensors],
    "q2": [cache_in_steps, cache_of_a_tensor, cache_by_prod, cache_by_the_course],
    "q3": [fit_in_bytes, fit_by_cumsum, fit_with_a_deque],
    "q4": [steps_by_simulation, steps_with_a_heap, steps_in_tensors],
}
WRONG = {
    "q1": [
        ("Your TTFT is a time of day", latency_with(ttft=lambda sent, times: times[0])),
        ("Your TTFT is the time to the *last* token", latency_with(ttft=lambda sent, times: times[-1] - sent)),
        ("Your TPOT counts prefill as well", latency_with_prefill),
        ("Your TPOT starts when the request was sent", latency_of_the_total),
        ("You divide by all tokens", latency_of_all_tokens),
        (
            "You return steps per second",
            latency_with(tpot=lambda sent, times: (len(times) - 1) / (times[-1] - times[0])),
        ),
        ("You take the middle one of the gaps", latency_of_the_median),
        ("With one token you divide by 0", latency_unguarded),
        ("With one token you return a TPOT of 0", latency_zero),
        ("The two are in the wrong order", lambda sent, times: list(reversed(latency_by_gaps(sent, times)))),
        (
            "You return milliseconds",
            lambda sent, times: [x if x is None else x * 1e3 for x in latency_by_gaps(sent, times)],
        ),
        ("returns nothing", nothing),
    ],
    "q2": [
        ("You count keys or values", cache_with(two=1)),
        ("You count query heads", cache_with(heads=lambda config: config["num_attention_heads"])),
        ("You count query heads", cache_of_query_heads),
        (
            "You take `hidden_size` for all heads together",
            cache_with(heads=lambda c: 1, size=lambda c: c["hidden_size"]),
        ),
        ("You take `hidden_size` for every head", cache_with(size=lambda config: config["hidden_size"])),
        ("even where `head_dim` says it", cache_with(size=lambda c: c["hidden_size"] // c["num_attention_heads"])),
        ("You count one layer", cache_with(layers=False)),
        ("You forget `batch`", cache_with(batched=False)),
        ("You count numbers", cache_with(sized=False)),
        ("Your cache grows with the square", cache_squared),
        ("stops with a KeyError", cache_unguarded),
        ("leave out `head_dim`: then it is", cache_with(size=lambda config: config["head_dim"])),
        ("you take one KV head", cache_with(heads=lambda config: config.get("num_key_value_heads", 1))),
    ],
    "q3": [
        ("You forget the weights", fit_without_weights),
        ("You count tokens one by one", fit_with(lambda tokens, page: tokens)),
        ("You round the pages down", fit_with(lambda tokens, page: int(tokens / page) * page)),
        ("gets one too many in your count", fit_with(lambda tokens, page: page * (1 + tokens // page))),
        ("You let short requests overtake", fit_overtaking),
        ("You refuse a request that fits exactly", fit_never_full),
        ("You refuse a request that fits exactly", fit_keeps_a_page),
        ("You reserve room for the longest", fit_for_the_longest),
        ("You count the request that did not fit", fit_counts_one_more),
        ("Compare bytes with bytes", fit_compares_pages_with_bytes),
    ],
    "q4": [
        ("You exchange the two ways", lambda lengths, slots, way: steps_by_simulation(lengths, slots, not way)),
        ("you always wait for the longest", lambda lengths, slots, way: steps_with_a_heap(lengths, slots, False)),
        (
            "no request gets a slot before the whole batch is done",
            lambda lengths, slots, way: steps_with_a_heap(lengths, slots, 1),
        ),
        ("not its shortest", steps_with(static=shortest_of_each)),
        ("you take the longest of all every time", steps_with(static=lambda x, slots: -(-len(x) // slots) * max(x))),
        ("you leave out the last batch", steps_with(static=full_batches_only)),
        ("you add up all lengths", steps_with(static=lambda lengths, slots: sum(lengths))),
        ("You sort the requests by length", longest_first),
        ("you divide all tokens by the slots", steps_with(turns=lambda x, slots: math.ceil(sum(x) / slots))),
        ("you deal the requests out in turn", steps_with(turns=dealt_out)),
        ("when the *last* slot is done", steps_with(turns=ends_with_the_first)),
        ("the longest request is not all", steps_with(turns=lambda lengths, slots: max(lengths))),
    ],
}
