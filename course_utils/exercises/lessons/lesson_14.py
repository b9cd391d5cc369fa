"""Exercise 14 · Speed and memory in practice: times, the KV cache, what fits, and two ways of batching."""

import math
from itertools import pairwise

from course_utils.exercises.task import Check, Prose, Task
from course_utils.measuring.batching import continuous_schedule, static_schedule

# q1 · TTFT and TPOT


def ttft_and_tpot(sent, times):
    """Tell the wait before the first token from the steps after it."""
    ttft = times[0] - sent
    tpot = (times[-1] - times[0]) / (len(times) - 1) if len(times) > 1 else None
    return ttft, tpot


def tpot_mistake(says, tpot):
    """Add a mistake in TPOT, once with a case for a single token and once without."""
    mean = "(times[-1] - times[0]) / (len(times) - 1)"
    q1.patch(says, mean, tpot)
    q1.patch(says, f"{mean} if len(times) > 1 else None", tpot)


def median_gap(times):
    """The middle one of the times between two tokens."""
    gaps = sorted(later - earlier for earlier, later in pairwise(times))
    return (gaps[(len(gaps) - 1) // 2] + gaps[len(gaps) // 2]) / 2


def requests(random, *counts):
    """A request for each number of tokens: when it was sent, and when each token came. No two gaps are the same."""
    cases = []
    for count in counts:
        sent, gaps = random.uniform(5, 40), random.uniform(0.02, 0.2, size=count)
        gaps[0] += random.uniform(0.3, 1.5)
        cases.append((float(sent), (sent + gaps.cumsum()).tolist()))
    return cases


q1 = Task(
    name="q1",
    title="TTFT and TPOT",
    function="ttft_and_tpot",
    right=ttft_and_tpot,
    checks=(
        Check(
            "tells the silence from the steps after it",
            lambda random: [(10.0, [12.0, 12.5, 13.0]), *requests(random, 4, 9)],
        ),
        Check("divides by the steps, also when there is only one", lambda random: requests(random, 2, 2)),
        Check("knows that one token has no TPOT", lambda random: requests(random, 1)),
    ),
    hint="Two differences: first token − sent, last token − first token. By how many steps is the second divided?",
)
q1.patch(
    "Your TTFT is a time of day: it counts from the moment when the request was sent.", "times[0] - sent", "times[0]"
)
q1.patch("Your TTFT is the time to the *last* token: it ends with the first.", "times[0] - sent", "times[-1] - sent")
tpot_mistake(
    "Your TPOT counts prefill as well: the first token belongs to TTFT. Count from it, and without it.",
    "(times[-1] - sent) / len(times)",
)
tpot_mistake(
    "Your TPOT starts when the request was sent: the silence before the first token belongs to TTFT.",
    "(times[-1] - sent) / (len(times) - 1)",
)
tpot_mistake(
    "You divide by all tokens: between n tokens there are n − 1 steps, because the first belongs to prefill.",
    "(times[-1] - times[0]) / len(times)",
)
tpot_mistake(
    "You return steps per second: TPOT is seconds per step, the other way round.",
    "(len(times) - 1) / (times[-1] - times[0])",
)
tpot_mistake(
    "You take the middle one of the gaps: TPOT is their mean, so that TTFT + (n − 1) · TPOT is the total.",
    "median_gap(times)",
)
tpot_mistake("You take one gap only: TPOT is the mean of all.", "times[1] - times[0]")
q1.patch(
    "With one token you divide by 0: there is no TPOT then, so return None for it.", " if len(times) > 1 else None", ""
)
q1.patch(
    "With one token you return a TPOT of 0, which would be infinitely fast: it can't be known, so return None.",
    "else None",
    "else 0.0",
)
q1.patch("The two are in the wrong order: TTFT first.", "return ttft, tpot", "return tpot, ttft")
q1.mistake("You return milliseconds: leave the seconds as they are.")(
    lambda sent, times: [value and 1000 * value for value in ttft_and_tpot(sent, times)]
)


# q2 · The KV cache

LAYERS, HIDDEN, HEADS, KV_HEADS, HEAD_SIZE = (
    "num_hidden_layers",
    "hidden_size",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
)
SMOLLM2 = {LAYERS: 30, HIDDEN: 576, HEADS: 9, KV_HEADS: 3, HEAD_SIZE: 64}


def cache_bytes(config, tokens, batch, number_bytes):
    """Fill in what a configuration leaves out, and multiply."""
    config = {KV_HEADS: config[HEADS], HEAD_SIZE: config[HIDDEN] // config[HEADS]} | config
    return 2 * config[LAYERS] * config[KV_HEADS] * config[HEAD_SIZE] * tokens * batch * number_bytes


def cache_mistake(says, *pieces):
    """Add a mistake in the product: for learners who fill in what a configuration leaves out, and for others."""
    q2.patch(says, *pieces)
    q2.patch(says, *pieces, "config = {", "filled = {")


def configuration(random, leave_out=(), grouped=True):
    """The numbers of a made-up model; hidden_size is heads × head_dim only where head_dim is left out."""
    kv_heads = int(random.integers(2, 9))
    heads = kv_heads * int(random.integers(2, 6)) if grouped else kv_heads
    size = int(random.choice([32, 64, 80, 96, 128]))
    hidden = heads * (size + (0 if HEAD_SIZE in leave_out else int(random.integers(4, 20))))
    sizes = {LAYERS: int(random.integers(8, 80)), HIDDEN: hidden, HEADS: heads, KV_HEADS: kv_heads, HEAD_SIZE: size}
    return {name: value for name, value in sizes.items() if name not in leave_out}


def caches(random, *numbers, **how):
    """A case for each (tokens, batch, bytes of a number)."""
    return [(configuration(random, **how), *three) for three in numbers]


q2 = Task(
    name="q2",
    title="The bytes of a KV cache",
    function="cache_bytes",
    right=cache_bytes,
    checks=(
        Check(
            "counts keys and values in every layer",
            lambda random: [(SMOLLM2, 1, 1, 4), *caches(random, (100, 1, 4), grouped=False)],
        ),
        Check("counts KV heads, not query heads", lambda random: caches(random, (256, 1, 2), (1000, 1, 4))),
        Check(
            "takes tokens, texts and the bytes of a number",
            lambda random: caches(random, (7, 3, 1), (512, 16, 0.5)),
        ),
        Check(
            "knows what is meant when KV heads are left out",
            lambda random: caches(random, (300, 2, 2), leave_out=(KV_HEADS,)),
        ),
        Check(
            "knows what is meant when the head size is left out",
            lambda random: caches(random, (64, 1, 2), leave_out=(HEAD_SIZE,)),
        ),
    ),
    hint="2 × layers × KV heads × head size × tokens × texts × bytes; `dict.get` fills in what is left out.",
)
cache_mistake("You count keys or values: both are kept, so the product begins with 2.", "2 * ", "")
cache_mistake(
    "You count query heads: the cache holds keys and values, and several query heads share a KV head.",
    "* config[KV_HEADS]",
    "* config[HEADS]",
)
cache_mistake(
    "You take `hidden_size` for all heads together: here it is KV heads × head size.",
    "config[KV_HEADS] * config[HEAD_SIZE]",
    "config[HIDDEN]",
)
cache_mistake(
    "You take `hidden_size` for every head: a head has `head_dim` numbers.", "config[HEAD_SIZE]", "config[HIDDEN]"
)
cache_mistake(
    "You work out the head size even where `head_dim` says it: they need not agree, and `head_dim` is right.",
    "config[HEAD_SIZE]",
    "(config[HIDDEN] // config[HEADS])",
)
cache_mistake("You count one layer: every layer has a cache of its own.", " * config[LAYERS]", "")
cache_mistake("You forget `batch`: every text has keys and values of its own.", " * batch", "")
cache_mistake("You count numbers: multiply by the bytes of one.", " * number_bytes", "")
cache_mistake("You divide by 8: `number_bytes` are bytes already, not bits.", " * number_bytes", " * number_bytes / 8")
cache_mistake(
    "Your cache grows with the square of the tokens: each token adds the same bytes.", "* tokens", "* tokens * tokens"
)
q2.patch(
    "A configuration can leave out `num_key_value_heads` and `head_dim`, and then your function stops with a "
    "KeyError: ask with `config.get(name, otherwise)`.",
    "config = {",
    "filled = {",
)
q2.patch(
    "A configuration can leave out `num_key_value_heads`: then there are as many as query heads "
    "(`config.get(name, otherwise)`).",
    "KV_HEADS: config[HEADS], ",
    "",
)
q2.patch(
    "A configuration can leave out `head_dim`: then it is hidden size / query heads (`config.get(name, otherwise)`).",
    ", HEAD_SIZE: config[HIDDEN] // config[HEADS]",
    "",
)
q2.patch(
    "Where `head_dim` is left out you divide `hidden_size` by the KV heads: divide it by the query heads.",
    "// config[HEADS]",
    "// config.get(KV_HEADS, config[HEADS])",
)
q2.patch(
    "Where `num_key_value_heads` is left out you take one KV head: there are as many as query heads.",
    "config[HEADS],",
    "1,",
)


# q3 · How many fit


def requests_that_fit(queue, memory, weights, token_bytes, page):
    """Admit requests in the order of the queue; each takes whole pages."""
    free = memory - weights
    for count, tokens in enumerate(queue):
        free -= math.ceil(tokens / page) * page * token_bytes
        if free < 0:
            return count
    return len(queue)


def queue_and_memory(random, whole=False, full=False, fit=None):
    """A queue of nine of which `fit` can be served, and behind them a short one that could overtake.

    With `whole` every request fills its pages; with `full` those that fit leave no byte.
    """
    page, token_bytes = int(random.choice([8, 16, 32])), int(random.integers(200, 5000))
    fit = int(random.integers(3, 6)) if fit is None else fit
    pages = [*random.integers(3, 9, size=8).tolist(), 1]
    queue = [count * page - (0 if whole else int(random.integers(1, page))) for count in pages]
    left = 0 if full or fit == len(queue) else 1 if whole else pages[fit] - 1
    weights = int(random.integers(10**7, 10**8))
    more = 0 if full else int(random.integers(1, page * token_bytes))
    return queue, weights + (sum(pages[:fit]) + left) * page * token_bytes + more, weights, token_bytes, page


def short_requests(random):
    """Requests that are all shorter than a page."""
    page, token_bytes, weights = 16, int(random.integers(200, 5000)), int(random.integers(10**7, 10**8))
    queue = random.integers(8, 13, size=20).tolist()
    return queue, weights + int(random.integers(5, 9)) * page * token_bytes, weights, token_bytes, page


q3 = Task(
    name="q3",
    title="How many fit",
    function="requests_that_fit",
    right=requests_that_fit,
    checks=(
        Check(
            "serves the queue as long as there are pages",
            lambda random: [
                ([50, 20, 100, 10], 1000, 600, 2, 16),
                *(queue_and_memory(random) for _ in range(3)),
                short_requests(random),
            ],
        ),
        Check(
            "gives a request no page that it does not need",
            lambda random: [queue_and_memory(random, whole=True) for _ in range(2)],
        ),
        Check(
            "fills the memory to the last byte",
            lambda random: [queue_and_memory(random, full=True) for _ in range(2)],
        ),
        Check("knows when all fit", lambda random: [queue_and_memory(random, fit=9)]),
        Check(
            "knows when no request fits",
            lambda random: [
                queue_and_memory(random, fit=0),
                ([100, 20], 1000, int(random.integers(1100, 2000)), 2, 16),
            ],
        ),
    ),
    hint="Free pages = (memory − weights) // (page × token_bytes). Then go through the queue and take them away.",
    points=3,
)
q3.patch("You forget the weights: only what they leave free is cut into pages.", " - weights", "")
q3.patch(
    "You count tokens one by one: a request takes whole pages, and no other can use the rest of its last one.",
    "math.ceil(tokens / page) * page",
    "tokens",
)
q3.patch(
    "You round the pages down: a page that has begun is a whole one (`math.ceil`).",
    "math.ceil(tokens / page)",
    "tokens // page",
)
q3.patch(
    "A request that fills its pages gets one too many in your count: take `math.ceil`, not `// page + 1`.",
    "math.ceil(tokens / page)",
    "(tokens // page + 1)",
)
q3.patch("Compare bytes with bytes: a page takes page × token_bytes.", " * page", "")


@q3.mistake("You let short requests overtake: the first one that does not fit ends the count.")
def overtaking(queue, memory, weights, token_bytes, page):
    free, count = memory - weights, 0
    for tokens in queue:
        need = math.ceil(tokens / page) * page * token_bytes
        if need <= free:
            free, count = free - need, count + 1
    return count


q3.patch(
    "You reserve room for the longest request every time: each one takes its own pages.",
    "tokens / page",
    "max(queue) / page",
)
q3.patch("You count the request that did not fit, too.", "return count", "return count + 1")
q3.patch("You refuse a request that fits exactly: memory may be full (`<=`, not `<`).", "free < 0", "free <= 0")
q3.patch(
    "You refuse a request that fits exactly: memory may be full (`<=`, not `<`).",
    "memory - weights",
    "(memory - weights) // (page * token_bytes)",
    " * page * token_bytes",
    "",
    "free < 0",
    "free <= 0",
)
q3.patch("Compare bytes with bytes: a page takes page × token_bytes.", " * token_bytes", "")


# q4 · Static and continuous


def steps_needed(lengths, slots, continuous):
    """Ask the library's plans when the last slot is free."""
    plan = continuous_schedule if continuous else static_schedule
    return max(turn.freed for turn in plan(lengths, slots))


def static(lengths, slots):
    """Steps of static batching."""
    return steps_needed(lengths, slots, False)


def in_turns(lengths, slots):
    """Steps of continuous batching."""
    return steps_needed(lengths, slots, True)


def planned(static=static, in_turns=in_turns):
    """A mistake in one of the two ways, or in both."""
    return lambda lengths, slots, continuous: (in_turns if continuous else static)(lengths, slots)


def batches(lengths, slots):
    """The requests in batches."""
    return [lengths[first : first + slots] for first in range(0, len(lengths), slots)]


def first_free_at_the_end(lengths, slots):
    """When the first slot has nothing more to do."""
    free = [0] * slots
    for length in lengths:
        free[free.index(min(free))] += length
    return min(free)


def plans(random, ways, *sizes):
    """A case for each way of batching and each (requests, slots)."""
    return [
        (random.integers(1, 30, size=size).tolist(), slots, continuous) for size, slots in sizes for continuous in ways
    ]


q4 = Task(
    name="q4",
    title="Static and continuous",
    function="steps_needed",
    right=steps_needed,
    checks=(
        Check(
            "static: waits for the longest of each batch",
            lambda random: [([5, 2, 2], 2, False), *plans(random, [False], (8, 4), (9, 3))],
        ),
        Check("static: runs a last batch that is not full", lambda random: plans(random, [False], (7, 3), (9, 4))),
        Check(
            "continuous: gives a free slot away at once",
            lambda random: [([5, 2, 2], 2, True), *plans(random, [True], (9, 3), (12, 4), (10, 2))],
        ),
        Check(
            "needs as many steps as the longest when all have a slot",
            lambda random: plans(random, [False, True], (4, 6)),
        ),
        Check("runs one after the other in one slot", lambda random: plans(random, [False, True], (5, 1))),
    ),
    hint="Static: add up maxima. Continuous: a list with one number for each slot, when it is free; take its least.",
    points=3,
)
q4.mistake("You exchange the two ways.")(planned(in_turns, static))
q4.mistake("`continuous` changes nothing: you always wait for the longest of a batch.")(planned(in_turns=static))
q4.mistake("`continuous` changes nothing: without it, no request gets a slot before the whole batch is done.")(
    planned(in_turns)
)
q4.mistake("Static: a batch is done when its *longest* request is, not its shortest.")(
    planned(lambda lengths, slots: sum(map(min, batches(lengths, slots))))
)
q4.mistake("Static: every batch has its own longest request; you take the longest of all every time.")(
    planned(lambda lengths, slots: len(batches(lengths, slots)) * max(lengths))
)
q4.mistake("Static: you leave out the last batch when it is not full.")(
    planned(lambda lengths, slots: sum(max(batch) for batch in batches(lengths, slots) if len(batch) == slots))
)
q4.mistake("Static: you add up all lengths, and in a step each of the running requests gets a token.")(
    planned(lambda lengths, slots: sum(lengths))
)
q4.mistake("You sort the requests by length: they are served in the order in which they came.")(
    lambda lengths, slots, continuous: steps_needed(sorted(lengths), slots, continuous)
)
q4.mistake("You sort the requests by length: they are served in the order in which they came.")(
    lambda lengths, slots, continuous: steps_needed(sorted(lengths, reverse=True), slots, continuous)
)
q4.mistake("Continuous: you divide all tokens by the slots, and a request cannot be spread over several of them.")(
    planned(in_turns=lambda lengths, slots: math.ceil(sum(lengths) / slots))
)
q4.mistake("Continuous: you deal the requests out in turn; the next one gets the slot that is free *first*.")(
    planned(in_turns=lambda lengths, slots: max(sum(lengths[slot::slots]) for slot in range(slots)))
)
q4.mistake("Continuous: the plan is over when the *last* slot is done, not the first.")(
    planned(in_turns=first_free_at_the_end)
)
q4.mistake("Continuous: the longest request is not all: others wait for a slot before they begin.")(
    planned(in_turns=lambda lengths, slots: max(lengths))
)


TASKS = (q1, q2, q3, q4)
PROSE = (
    Prose(
        name="q5",
        title="Half the bytes, twice the users?",
        points=2,
        look_for="Only the weights get smaller, the caches stay: 8 GB instead of 16 GB. On 24 GB the room for caches grows from "
        "8 to 16 GB, twice as many texts; on 80 GB it grows from 64 to 72 GB, an eighth more. Speed: not by the format alone. "
        "A decode step has fewer bytes to read, but it gets faster only if the kernel reads int8 itself; one has to measure.",
    ),
)
