# %% [markdown]
# # Deeper 14 · Batching and serving
#
# A server has to please two people: the user, who waits, and the owner, who pays. How both of them fare depends on who
# gets a place in the batch, and when.
#
# **You will be able to**
#
# - say what continuous batching gains in a real engine, and why the plan promises more;
# - measure how waiting times grow with the number of requests, by their median and their 95th percentile;
# - say what pages are good for;
# - measure any OpenAI-compatible server with one client.
#
# **Time**: 15 minutes. **Read before**: [14 · Speed and memory in practice](../14_speed_and_memory_in_practice.ipynb).

# %% [markdown]
# ## 1 · A plan, and an engine
#
# Eight requests want 12, 3, 4, 3, 8, 3, 4 and 3 tokens, and four fit into the batch. In the lesson you've seen two
# plans for them: **static batching** waits for the longest of four and takes 20 steps, **continuous batching** gives a
# free slot away at once and takes 12. It can't be fewer, because one request alone needs 12. And request 4 begins after
# 3 steps and not after 12 (Yu et al. 2022, *Orca*, call this iteration-level scheduling).
#
# These plans count decode steps, each as long as any other, and forget that every request has a prompt to be read
# first. `transformers` has an engine that does all of it, also on a processor. Hand it the eight requests: four and
# then four, or all at once. (The time to set the engine up again between the two static batches is left out.)

# %%
from course_utils.learner import predict

gain = predict(
    "14-engine",
    "By the plans, static batching takes 1.67 times as long as continuous batching. On the clock it takes …",
    {"less than 1.5 times": (0, 1.5), "1.5 to 1.8 times": (1.5, 1.8), "more than 1.8 times": (1.8, None)},
)
gain

# %%
from importlib.resources import files

from course_utils.models import load_causal_lm

smollm = load_causal_lm()
story = (files("course_utils.experiments.texts") / "the_last_ferry.txt").read_text(encoding="utf-8")
ids = smollm.encode(story)[0].tolist()
prompts, lengths = [ids[start : start + 6] for start in range(0, 48, 6)], [12, 3, 4, 3, 8, 3, 4, 3]

# %% tags=["recorded"]
from course_utils import figures
from course_utils.measuring.batching import continuous_schedule, static_schedule, token_times, turns_of

plans = {"static": static_schedule(lengths, slots=4), "continuous": continuous_schedule(lengths, slots=4)}
rounds = []
for _ in range(4):  # the first is a warm-up
    rounds.append({way: token_times(smollm.model, prompts, lengths, 4, static=way == "static") for way in plans})
figures.slot_schedules({way: turns_of(rounds[-1][way], plans[way]) for way in plans}, unit="seconds")

# %% [markdown]
# That's the last of four rounds, and its bars have the shape of the plans. Is the gain as large? Here's the median of
# three rounds:

# %% tags=["recorded"]
from course_utils.measuring.measurements import spread

done = {way: spread([max(request[-1] for request in times[way]) for times in rounds[1:]]) for way in plans}
gain.compare(done["static"].median / done["continuous"].median, show="{:.2f} times as long")

# %% tags=["recorded"]
for way in plans:
    for place, what in ((0, "mean TTFT"), (-1, "mean time to the last token")):
        means = [sum(request[place] for request in times[way]) / 8 for times in rounds[1:]]
        print(f"{way:11} {what}: {spread(means)}")

# %% [markdown]
# A step with four requests takes longer than a step with one. So the slots that static batching leaves empty aren't all
# lost, and the plan promises too much. What the users feel most is the TTFT: nobody waits any more for the end of a
# stranger's long text. In practice TTFT is *waiting plus prefill*.
#
# ## 2 · When more people come
#
# So far all requests were there from the start. On a real server they come when they like. Here 20 requests arrive at
# random moments, and the engine has either one slot, so that everyone waits for the whole answer of the one before, or
# eight. Only that changes. How many requests one slot can serve per second is its **capacity**.
#
# The median hides the unlucky. Servers are judged by a high **percentile**: of the waits, 95 % are at most the 95th
# percentile, **p95**. (With 20 requests that's the second longest, so read it with care; a p99 would need at least
# 100.)

# %%
queue = predict(
    "14-queue",
    "Requests come at 1.5 times the capacity of one slot. With eight slots, the median TTFT is … of that with one",
    {"two thirds or more": (0.67, None), "a third to two thirds": (0.33, 0.67), "less than a third": (0, 0.33)},
)
queue


# %% tags=["recorded"]
import numpy as np
from course_utils.measuring.batching import waiting_times
from course_utils.measuring.measurements import percentile

wanted = [3] * 20
prompts = [ids[start : start + 6] for start in range(0, 120, 6)]
one_by_one = token_times(smollm.model, prompts[:6], wanted[:6], slots=1)
capacity = 5 / (one_by_one[-1][-1] - one_by_one[0][-1])
print(f"capacity: {capacity:.1f} requests per second, one after the other")


# %% tags=["recorded"]
gaps = np.random.default_rng(14).exponential(size=20)
ttft = {}


def come(load):
    """20 requests at so many times the capacity, with one slot and with eight."""
    arrivals = (gaps.cumsum() / gaps.sum() * 20 / (load * capacity)).tolist()
    for slots in (1, 8):
        served = waiting_times(smollm.model, prompts, wanted, slots, arrivals)
        ttft[load, slots] = [request[0] for request in served]
        p50, p95 = (percentile(ttft[load, slots], percent) for percent in (50, 95))
        pace = np.mean([(request[-1] - request[0]) / 2 for request in served]) * 1000
        print(f"load {load}, slots: {slots}: TTFT p50 {p50:.2f} s, p95 {p95:.2f} s; mean TPOT {pace:.0f} ms")


come(0.7)

# %% tags=["recorded"]
come(1.0)
come(1.5)

# %% tags=["recorded"]
queue.compare(percentile(ttft[1.5, 8], 50) / percentile(ttft[1.5, 1], 50), show="{:.2f} times")

# %% [markdown]
# Read the rows in pairs. With one slot, the unlucky wait much longer than the median, even when the server has time
# left. Above its capacity the queue grows as long as requests come, so with 200 of them the last row for one slot would
# be far worse. With more slots a request starts sooner, and in a full batch its tokens come more slowly: the bargain of
# the lesson, with a queue in it. A server that's measured with a single user shows nothing of this.
#
# ## 3 · Pages
#
# A cache grows with its text, and nobody knows how long the text will be. Early servers reserved room for the longest
# possible answer. Say 64 answers have random lengths, and the longest that's allowed is 512 tokens:

# %% tags=["nbval-check-output"]
answers = np.random.default_rng(14).geometric(1 / 60, size=64).clip(max=512)
used, reserved, paged = answers.sum(), 512 * 64, (np.ceil(answers / 16) * 16).sum()
print(f"{used:,} tokens are used: {used / reserved:.0%} of what is reserved, {used / paged:.0%} of pages of 16 tokens")

# %% [markdown]
# These lengths are made up. Measured on real systems before paging, 20 to 38 % of the reserved memory held keys and
# values (Kwon et al. 2023, *Efficient Memory Management for Large Language Model Serving with PagedAttention*; the
# system is vLLM). With **pages**, blocks of a fixed number of tokens, a request takes one when it needs one, wherever
# it lies. Only its last page has empty places, and texts that begin alike can share pages.
#
# ## 4 · One client for every server
#
# A model is usually behind a server. Most speak the same language: a question goes to `/v1/chat/completions`, and the
# answer comes back as a **stream** of lines, one for every piece of text. So one client measures them all.
#
# First a server of about fifty lines, made from the course's own `stream()`; you can read it in
# `course_utils/serving/local_servers.py`. It runs on this machine, and only inside the `with` block.

# %% tags=["nbval-check-output"]
from course_utils.serving.client import ask
from course_utils.serving.local_servers import own_server

with own_server(smollm.model, smollm.tokenizer) as url:
    answer = ask(url, "What is the capital of France?", model="SmolLM2", max_tokens=20)
answer.text, answer.tokens, len(answer.seconds)

# %% [markdown]
# Eight tokens, but seven pieces: the last token ends the text and has no text of its own. A client that counts pieces
# counts wrong, so this one takes the count that the server sends at the end.

# %% tags=["recorded"]
print(f"TTFT {answer.ttft * 1000:.0f} ms, TPOT {answer.tpot * 1000:.0f} ms")

# %% [markdown]
# Real servers batch. `transformers serve` has the engine of section 1; it needs a few more packages (`pip install -e
# '.[serving]'`). Where they are, the next cell starts it and asks.

# %% tags=["recorded"]
from course_utils.serving.local_servers import model_folder, serving_installed, transformers_server

if serving_installed():
    options = ("--continuous-batching", "--cb-num-blocks", "16", "--cb-max-batch-tokens", "256")
    with transformers_server(model_folder(smollm.model), options) as url:
        answer = ask(url, "What is the capital of France?", model_folder(smollm.model))
    print(f"{answer.text!r}: TTFT {answer.ttft * 1000:.0f} ms, {answer.tokens} tokens")
else:
    print("transformers serve isn't installed here: pip install -e '.[serving]'")

# %% [markdown]
# And any other server? Give its address in `COURSE_SERVER_URL` and the model's name there in `COURSE_SERVER_MODEL`, for
# example of a vLLM on a cluster, and run the cell. It sends one short question there, and nothing else.

# %% tags=["recorded"]
import os

elsewhere, name = os.environ.get("COURSE_SERVER_URL"), os.environ.get("COURSE_SERVER_MODEL", "default")
if elsewhere:
    answer = ask(elsewhere, "What is the capital of France?", name, key=os.environ.get("COURSE_SERVER_KEY"))
    print(f"{answer.text!r}: TTFT {answer.ttft * 1000:.0f} ms, {answer.tokens} tokens")
else:
    print("COURSE_SERVER_URL isn't set")

# %% [markdown]
# ## Take-aways
#
# - Continuous batching gives a free slot away at once, so nobody waits for a stranger's long text.
# - TTFT is waiting plus prefill. Measure it under load, by its median and a high percentile.
# - Above its capacity a server's queue only grows. More slots raise the capacity, and slow every token down.
# - Pages keep the memory of caches nearly full, without anyone knowing how long a text will be.
#
# **Back to** [14 · Speed and memory in practice](../14_speed_and_memory_in_practice.ipynb). **Also deeper**: [number
# formats](14_number_formats.ipynb), [faster and constrained decoding](14_faster_and_constrained_decoding.ipynb). **All
# lessons**: [the index](../index.ipynb).
