# %% [markdown]
# # Exercise 14 · Speed and memory in practice
#
# | time | difficulty | needs |
# |---|---|---|
# | 45 minutes | ●●●○○ | lesson [14](../notebooks/14_speed_and_memory_in_practice.ipynb), sections 1, 3, 5 and 7 |
#
# Will it fit, and will it be fast enough? You write the four small functions that answer this for a server: what one
# user feels, what one user's cache takes, how many users fit, and how many steps they take together. The tasks are
# plain Python and need no model.
#
# Run the first cell, then take the tasks in order. `check("q1")` says what is right so far, as often as you like.

# %%
from course_utils.learner import checker

check = checker("14", globals())

# %% [markdown]
# ## q1 · TTFT and TPOT
#
# 6 minutes, ●○○○○, 2 points.
#
# A request was sent at `sent`, and its tokens came at `times`, all of the same clock, in seconds. Return TTFT and TPOT.
# If there is one token only, nobody knows TPOT: return None in its place.
#
# Sent at 10.0, with tokens at 12.0, 12.5 and 13.0, TTFT is 2.0 and TPOT is 0.5.
#
# <details><summary>Hint 1</summary>The first token belongs to prefill: where TTFT ends, TPOT begins.</details>
# <details><summary>Hint 2</summary>The lesson's table has the formula: (last token − first token) / (tokens − 1). What
# is that with one token?</details>


# %% nbgrader={"grade": false, "grade_id": "q1", "locked": false, "schema_version": 3, "solution": true, "task": false}
def ttft_and_tpot(sent, times):
    """Return TTFT and TPOT in seconds; TPOT is None when there is one token."""
    ### BEGIN SOLUTION
    steps = len(times) - 1
    tpot = (times[-1] - times[0]) / steps if steps else None
    return times[0] - sent, tpot
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q1-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["nbval-check-output"]
### BEGIN HIDDEN TESTS
assert check("q1").is_right
### END HIDDEN TESTS
check("q1")

# %% [markdown]
# ## q2 · The bytes of a KV cache
#
# 8 minutes, ●●○○○, 2 points.
#
# Every model comes with a file `config.json`. You get what it says as a dict, with these keys:
#
# | key | what it is | may be left out? |
# |---|---|---|
# | `num_hidden_layers` | layers | no |
# | `hidden_size` | length of a hidden state | no |
# | `num_attention_heads` | query heads of a layer | no |
# | `num_key_value_heads` | KV heads of a layer | yes: as many as query heads |
# | `head_dim` | size of one head | yes: hidden size divided by query heads |
#
# Return the bytes of the KV cache for `batch` texts of `tokens` tokens, where a number takes `number_bytes` bytes.
#
# With 2 layers, 4 query heads, 2 KV heads and a head size of 8, a token has 2 · 2 · 2 · 8 = 64 numbers. In bf16 (2
# bytes) that's 128 bytes, and three texts of 10 tokens take 3,840.
#
# <details><summary>Hint 1</summary>A product of seven numbers, and one of them is 2. Which heads are in the cache?
# </details>
# <details><summary>Hint 2</summary><code>config.get("head_dim", otherwise)</code> is the value of the key, or
# <code>otherwise</code> if there is no such key.</details>


# %% nbgrader={"grade": false, "grade_id": "q2", "locked": false, "schema_version": 3, "solution": true, "task": false}
def cache_bytes(config, tokens, batch, number_bytes):
    """Return the bytes of the KV cache of `batch` texts of `tokens` tokens each."""
    ### BEGIN SOLUTION
    heads = config["num_attention_heads"]
    kv_heads = config.get("num_key_value_heads", heads)
    size = config.get("head_dim", config["hidden_size"] // heads)
    return 2 * config["num_hidden_layers"] * kv_heads * size * tokens * batch * number_bytes
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q2-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["nbval-check-output"]
### BEGIN HIDDEN TESTS
assert check("q2").is_right
### END HIDDEN TESTS
check("q2")

# %% [markdown]
# ## q3 · How many fit
#
# 10 minutes, ●●●○○, 3 points.
#
# A server has `memory` bytes. The weights take `weights` of them, and the rest is cut into pages for KV caches, `page`
# tokens each. A token takes `token_bytes` bytes. `queue` says how many tokens the cache of each request will hold. A
# request takes whole pages; what's left of its last page can't be used by anyone else. The requests are served in
# order: the first one that doesn't fit has to wait, and so do all that come after it. How many are served at once?
#
# Say you have 1,000 bytes, weights of 600, 2 bytes per token and pages of 16 tokens. A page has 32 bytes, so there are
# 12 pages. The queue `[50, 20, 100, 10]` needs 4, 2, 7 and 1 of them. After two requests 6 pages are free, and the third
# needs 7: you return 2. The last one would fit, but it may not overtake.
#
# <details><summary>Hint 1</summary>Work out the number of free pages first. The rest is counting.</details>
# <details><summary>Hint 2</summary><code>math.ceil(tokens / page)</code> pages for a request (with <code>import
# math</code>). In a loop: if it needs more than what is free, return how many came before it.</details>


# %% nbgrader={"grade": false, "grade_id": "q3", "locked": false, "schema_version": 3, "solution": true, "task": false}
def requests_that_fit(queue, memory, weights, token_bytes, page):
    """Return how many requests of the queue, from its beginning, are in memory at the same time."""
    ### BEGIN SOLUTION
    free = (memory - weights) // (page * token_bytes)
    for served, tokens in enumerate(queue):
        free -= -(-tokens // page)  # rounded up
        if free < 0:
            return served
    return len(queue)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q3-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["nbval-check-output"]
### BEGIN HIDDEN TESTS
assert check("q3").is_right
### END HIDDEN TESTS
check("q3")

# %% [markdown]
# ## q4 · Static and continuous
#
# 10 minutes, ●●●○○, 3 points.
#
# `lengths` says how many tokens each request will get, in the order in which they are served. There are `slots` slots,
# and in every step each running request gets one token. How many steps does it take until all are done? If `continuous`
# is False, a batch takes the next `slots` requests and waits for all of them. If it is True, a free slot is given to
# the next request at once.
#
# With lengths 5, 2, 2 and two slots, static batching takes 5 + 2 = 7 steps. Continuous batching takes 5: the third
# request gets its slot after two steps.
#
# <details><summary>Hint 1</summary>Static: which length counts in each batch? Continuous: keep one number for each
# slot, the step after which it is free.</details>
# <details><summary>Hint 2</summary>Static: <code>range(0, len(lengths), slots)</code> are the beginnings of the
# batches. Continuous: the next request goes to the slot with the least number, and adds its length to that.</details>


# %% nbgrader={"grade": false, "grade_id": "q4", "locked": false, "schema_version": 3, "solution": true, "task": false}
def steps_needed(lengths, slots, continuous):
    """Return the number of steps until every request has all of its tokens."""
    ### BEGIN SOLUTION
    if not continuous:
        return sum(max(lengths[first : first + slots]) for first in range(0, len(lengths), slots))
    free_after = [0] * slots
    for length in lengths:
        slot = free_after.index(min(free_after))
        free_after[slot] += length
    return max(free_after)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q4-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["nbval-check-output"]
### BEGIN HIDDEN TESTS
assert check("q4").is_right
### END HIDDEN TESTS
check("q4")

# %% [markdown]
# ### See them at work
#
# Your stopwatch, on SmolLM2 and on this machine:

# %% tags=["raises-exception", "machine-dependent"]
from time import perf_counter
from course_utils.engine.generate import stream
from course_utils.models import load_causal_lm

smollm = load_causal_lm()
ids, times = smollm.encode("It was a dark and stormy night, and the ferry"), []
sent = perf_counter()
for _ in stream(smollm.model, ids, smollm.tokenizer, max_new_tokens=8, eos_ids=[]):
    times.append(perf_counter())
ttft, tpot = ttft_and_tpot(sent, times)
f"TTFT {ttft * 1000:.0f} ms, TPOT {tpot * 1000:.0f} ms"

# %% [markdown]
# Your formula, and the bytes of a real cache:

# %% tags=["nbval-check-output", "raises-exception"]
from course_utils.measuring.memory import measured_cache_bytes

real = smollm.model(ids).past_key_values
cache_bytes(smollm.model.config.to_dict(), ids.shape[1], 1, 4), measured_cache_bytes(real)

# %% [markdown]
# And your plans for 64 requests. A few of them are long, as on a real server. The dotted line is what no plan can beat:
# all tokens divided by the slots. Where does continuous batching leave it, and why there?

# %% tags=["nbval-check-output", "raises-exception"]
import numpy as np
from course_utils import figures

lengths = np.random.default_rng(14).geometric(1 / 60, size=64).tolist()
sizes = (1, 2, 4, 8, 16, 32)
lines = {
    "static": [steps_needed(lengths, slots, False) for slots in sizes],
    "continuous": [steps_needed(lengths, slots, True) for slots in sizes],
    "no slot ever waits": [sum(lengths) / slots for slots in sizes],
}
figures.growth_lines(sizes, lines, "slots", "steps")

# %% [markdown]
# ## q5 · Half the bytes, twice the users?
#
# 6 minutes, ●●○○○, 2 points. A person reads your answer.
#
# A model of 8 billion parameters runs in bf16 on a card with 24 GB. Its owner changes the weights to int8 and leaves
# the rest as it is. She says: “Half the bytes, so twice as many texts fit.” Is that right? Is it right on a card with
# 80 GB? And will each user's words come faster now? Leave out the activations. Three sentences.

# %% [markdown] nbgrader={"grade": true, "grade_id": "q5", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# The weights go from 16 GB to 8 GB, and the caches stay as they are, so on 24 GB the room for caches grows from 8 to 16
# GB: here it is right, but by luck. On 80 GB it grows from 64 to 72 GB, only an eighth more. A decode step may get
# faster, because it has fewer bytes to read, but only with a kernel that reads int8 itself: a small format promises
# memory, and the clock has to say the rest.

# %% [markdown]
# ## Stretch · How few bits?
#
# 10 minutes, ●●●○○, no points.
#
# Write `round_trip(weights, bits)`: in each row, one scale makes the largest absolute weight the largest whole number,
# 2^(bits − 1) − 1. Round, and turn the numbers back. How far does the mean weight move with 8, 6, 4, 3 and 2 bits? What
# does one bit less cost? ([Deeper: number formats](../notebooks/deeper/14_number_formats.ipynb) does this to a model.)

# %% nbgrader={"grade": false, "grade_id": "stretch", "locked": false, "schema_version": 3, "solution": true, "task": false} tags=["raises-exception"]
import torch


def round_trip(weights, bits):
    """Return weights (rows, columns) as a format of so many bits gives them back."""
    ### BEGIN SOLUTION
    scale = weights.abs().amax(-1, keepdim=True) / (2 ** (bits - 1) - 1)
    return (weights / scale).round() * scale
    ### END SOLUTION


weights = torch.randn(64, 512, generator=torch.Generator().manual_seed(0))
moved = {bits: (round_trip(weights, bits) - weights).abs().mean() / weights.abs().mean() for bits in (8, 6, 4, 3, 2)}
{bits: f"{share:.1%}" for bits, share in moved.items()}

# %% [markdown]
# **Lesson**: [14 · Speed and memory in practice](../notebooks/14_speed_and_memory_in_practice.ipynb). **This
# exercise**: [to solve](../exercises/14_speed_and_memory_in_practice.ipynb),
# [solved](../solutions/14_speed_and_memory_in_practice.ipynb). **Next exercise**: [15 · Capstone: your own
# `generate()`](15_your_own_generate.ipynb). **All lessons**: [the index](../notebooks/index.ipynb).
