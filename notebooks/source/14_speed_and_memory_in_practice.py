# %% [markdown]
# # 14 · Speed and memory in practice
#
# Will it fit, and will it be fast enough? Everybody who runs a language model asks these two questions. Both can be
# answered on paper before anything runs. In this lesson you predict four numbers, measure them on your own machine, and
# look honestly at how far apart they are. Then you do what servers do: many users at once, smaller number formats, and
# one client for every server.
#
# **You will be able to**
#
# - predict the memory of a model that runs, check it byte by byte, and show what grows with the square of the text;
# - predict times from a count of FLOPs and bytes, and say how wrong that is;
# - explain what a batch costs one user, and what continuous batching changes;
# - quantise weights to 8 and 4 bits, and measure what that does to size, quality and speed;
# - measure any OpenAI-compatible server.
#
# **Time**: 45 minutes. **Read before**: [10 · Prefill and decode](10_prefill_and_decode.ipynb).

# %% [markdown]
# ## 1 · Four numbers
#
# | number | what it says | how it is counted |
# |---|---|---|
# | **TTFT**, time to first token | how long the silence is | from the request to the first token |
# | **TPOT**, time per output token | how fast the words come then | (last token − first token) / (tokens − 1) |
# | **throughput** | how much the machine does for everybody | all tokens of all requests / seconds |
# | **memory** | what has to be there | weights + KV cache + activations |
#
# The first two are one user's. The third is the owner's. Lesson 10 took one run apart to see where TTFT and TPOT come
# from; here you use them. First the model, and a text: the start of a story that comes with the course.

# %% tags=["nbval-check-output"]
from importlib.resources import files

from course_utils.models import load_causal_lm

smollm = load_causal_lm()
model = smollm.model
story = (files("course_utils.experiments.texts") / "the_last_ferry.txt").read_text(encoding="utf-8")
ids = smollm.encode(story)
f"{model.num_parameters():,} parameters, {ids.shape[1]:,} tokens of story"

# %% [markdown]
# The stopwatch notes when each token comes. Three runs are counted, after one that is not. Look at the brackets: they
# show the least and the most, because one number alone would claim to know more than it does.


# %% tags=["machine-dependent"]
from course_utils.engine.generate import stream
from course_utils.measuring.timing import time_generation, this_machine


def write(mark, new_tokens=8):
    """Go on after 64 tokens, and mark every new token."""
    for _ in stream(model, ids[:, :64], smollm.tokenizer, max_new_tokens=new_tokens, eos_ids=[]):
        mark()


timing = time_generation(write, repeats=3)
print("TTFT", timing.ttft, "\nTPOT", timing.tpot)
print(f"throughput {timing.throughput:.1f} tokens/s\n{this_machine()}")

# %% [markdown]
# Two numbers describe a run of any length: **total ≈ TTFT + (*n* − 1) · TPOT**. For the runs that you measured, this is
# only another way to write down the same times (the first `assert` below). For a run that you have *not* measured it is
# a prediction. You timed answers of 8 tokens. How well does that predict an answer of 24?

# %%
from course_utils.learner import predict

longer = predict(
    "14-longer",
    "TTFT + 23 · TPOT, against a real run of 24 tokens: how far off is it?",
    {"less than 10 %": (0, 0.1), "10 to 30 %": (0.1, 0.3), "more than 30 %": (0.3, None)},
)
longer

# %% tags=["machine-dependent"]
least, most = (timing.ttft[i] + 7 * timing.tpot[i] for i in (1, 2))  # of a Spread: median, least, most, runs
assert least - 1e-9 < timing.total.median < most + 1e-9
predicted = timing.ttft.median + 23 * timing.tpot.median
measured = time_generation(lambda mark: write(mark, 24), repeats=1, warm_up=0).total.median
assert 1 / 3 < predicted / measured < 3
longer.compare(abs(predicted / measured - 1), show="{:.0%}")

# %% [markdown]
# On a quiet machine it is close, because a decode step costs nearly the same at the start of the answer and at its end.
# It would not hold for ever: the cache grows, and reading it takes time, too.
#
# Why medians, and no "p99"? The slowest 1 % of three runs is nothing at all. The course's `percentile` refuses that
# (section 9).

# %% [markdown]
# ## 2 · Memory, predicted and then measured
#
# Weights: parameters × bytes of a number. KV cache: 2 × layers × KV heads × head size × tokens × bytes (lesson 10).
# Both on paper, for a text of 256 tokens:

# %% tags=["nbval-check-output"]
from course_utils.measuring.memory import kv_cache_bytes, logits_bytes, weight_bytes
from course_utils.measuring.model_shapes import PUBLISHED, ModelShape

shape = ModelShape.of("SmolLM2-135M", model)
predicted = {"weights": weight_bytes(shape.parameters), "cache": kv_cache_bytes(shape, tokens=256)}
predicted

# %% [markdown]
# And now the bytes of the tensors that are really there. The `assert` is the promise of this lesson: within 5 %.

# %% tags=["nbval-check-output"]
from transformers import DynamicCache
from course_utils.measuring.memory import measured_cache_bytes, measured_weight_bytes
from course_utils.engine.prefill_decode import prefill

_, cache = prefill(model, ids[:, :256], DynamicCache(config=model.config))
measured = {"weights": measured_weight_bytes(model), "cache": measured_cache_bytes(cache)}
ratio = sum(measured.values()) / sum(predicted.values())
assert abs(ratio - 1) < 0.05
measured, f"measured / predicted = {ratio:.3f}"

# %% [markdown]
# Not 5 % off: nothing at all. These two parts are exact, because they are shapes. Now one text more, and one more: when
# do the caches weigh more than the model?

# %%
outweigh = predict(
    "14-outweigh",
    "Texts of 2,048 tokens each, all in fp32. From how many texts on do their caches take more than the weights?",
    {"2 or 3": (2, 4), "4 to 8": (4, 9), "more than 8": (9, None)},
)
outweigh

# %% tags=["nbval-check-output"]
texts = next(n for n in range(1, 999) if kv_cache_bytes(shape, 2048, batch=n) > weight_bytes(shape.parameters))
outweigh.compare(texts, show="{} texts")

# %% [markdown]
# A server has far more users than that. So what limits how many it can serve is often the cache, not the model. This is
# why models share KV heads. Look at two models of nearly the same size, for 16 texts of 4,096 tokens in bf16:

# %% tags=["nbval-check-output"]
for name in ("Llama 2 7B", "Llama 3.1 8B"):
    other = PUBLISHED[name]
    weights, caches = weight_bytes(other.parameters, 2) / 1e9, kv_cache_bytes(other, 4096, 16, 2) / 1e9
    print(f"{name:12} {other.key_value_heads:2} KV heads: weights {weights:.1f} GB, caches {caches:.1f} GB")

# %% [markdown]
# ### The third part: activations
#
# While a layer runs, its results have to be somewhere. They are gone when the next layer has read them, so they are
# easily forgotten. `peak_bytes` asks torch's own bookkeeping for the worst moment of a call. Watch two ways to read the
# same 256 tokens: one computes logits for the last token only, the other for all of them, which is what plain
# `model(ids)` does.

# %% tags=["machine-dependent"]
import torch
from course_utils.measuring.peak_memory import peak_bytes

with torch.inference_mode():
    last = peak_bytes(lambda: model(ids[:, :256], logits_to_keep=1))
    every = peak_bytes(lambda: model(ids[:, :256]))
print(f"logits of the last token: {last / 1e6:.1f} MB at most, of which the cache {measured['cache'] / 1e6:.1f} MB")
print(f"logits of every token:    {every / 1e6:.1f} MB at most")
assert every - last > 0.5 * logits_bytes(shape, positions=255)

# %% tags=["nbval-check-output"]
for name, tokens in (("SmolLM2-135M", 256), ("Llama 3.1 8B", 8192)):
    vocabulary, size = PUBLISHED[name].vocab_size, logits_bytes(PUBLISHED[name], tokens)
    print(f"{name}: {tokens:,} × {vocabulary:,} logits in fp32 are {size / 1e6:,.1f} MB")

# %% [markdown]
# The logits of tokens that nobody asked for take more than four times as much as the whole cache. With a large
# vocabulary and a long prompt they take gigabytes. If a long prompt runs out of memory, look there first.

# %% [markdown]
# ### Touch it
#
# The calculator adds it all up. The last line compares its formulas with what you have just measured.
#
# 1. Set the context to 8,192. Which part is the largest now? (Section 3 takes it apart.) Take away the tick at
#    *attention scores of a layer written in full*.
# 2. Take **Llama 3.1 8B** in bf16 with a context of 8,192. On which cards does it fit? With a batch of 16?
# 3. Which number format brings **Llama 3.1 70B** onto a card of 80 GB?
# 4. Look at the bar with other KV heads: what would the cache take without grouped-query attention?

# %% tags=["nbval-check-output"]
from course_utils.widgets import MemoryCalculator

MemoryCalculator(model="SmolLM2-135M", dtype="fp32", context=2048, batch=1, measured=measured | {"tokens": 256})

# %% [markdown]
# Real servers take more than that: they reserve space for caches before anybody asks, in pages that are not always
# full. The formulas say what is needed, not what is taken.

# %% [markdown]
# ## 3 · “Memory grows quadratically with the context”
#
# You find this sentence in many articles. Is it true? Take it apart: what grows, and with what?
#
# - The **KV cache** has a key and a value for each token: linear.
# - The **attention scores** are a number for every pair of tokens, in every head: quadratic, if somebody writes all of
#   them down at once.
#
# Count both for one layer of SmolLM2, and double the text:

# %% tags=["nbval-check-output"]
from course_utils.measuring.memory import attention_score_bytes

sizes = (256, 512, 1024, 2048)
for tokens in sizes:
    scores, layer_cache = attention_score_bytes(shape, tokens, tokens), kv_cache_bytes(shape, tokens) / 30
    print(f"{tokens:5,} tokens: cache {layer_cache / 1e6:4.1f} MB, scores {scores / 1e6:5.1f} MB")

# %% [markdown]
# So far on paper. Now run one attention layer of the model in two ways. `eager` is written as in lesson 08: all scores,
# then softmax, then the values. `sdpa` is torch's fused kernel, which `transformers` takes unless you say otherwise.

# %%
kernel = predict(
    "14-kernel",
    "One attention layer with sdpa. From 1,024 to 2,048 tokens, the peak of its memory grows …",
    {"hardly": (0, 1.5), "2 times": (1.5, 3), "4 times": (3, 6)},
)
kernel


# %%
@torch.inference_mode()
def attention_peak(tokens, how):
    """The most bytes of one attention layer over so many tokens."""
    model.set_attn_implementation(how)
    hidden = torch.ones(1, tokens, shape.hidden_size)
    rotation = model.model.rotary_emb(hidden, torch.arange(tokens)[None])
    mask = torch.full((1, 1, tokens, tokens), -torch.inf).triu(1) if how == "eager" else None
    layer = model.model.layers[0].self_attn
    return peak_bytes(lambda: layer(hidden, position_embeddings=rotation, attention_mask=mask))


peaks = {how: [attention_peak(tokens, how) for tokens in sizes] for how in ("eager", "sdpa")}
model.config._attn_implementation

# %% [markdown]
# Both axes of the picture are logarithmic. A straight line that is twice as steep is a square.

# %% tags=["machine-dependent"]
from course_utils import figures

layer_cache = [kv_cache_bytes(shape, tokens) / 30 for tokens in sizes]
lines = {"eager": peaks["eager"], "sdpa": peaks["sdpa"], "its KV cache": layer_cache}
figures.growth_lines(sizes, lines, "tokens", "megabytes, one layer", unit=1e6)

# %% tags=["machine-dependent"]
growth = {how: values[-1] / values[-2] for how, values in peaks.items()}
assert growth["eager"] > 3
assert growth["sdpa"] < 3
kernel.compare(growth["sdpa"], show="{:.1f} times")

# %% [markdown]
# So the sentence is true for a way of computing, and not for the model. (`eager` takes even more than the scores on
# paper: the scores and their softmax are there at the same time.) What does the kernel do? It never holds all scores.
# It takes a block of keys and values, and keeps three things for each query: the largest score so far, the sum of the
# exponentials, and the mixture of values. When a larger score comes, what it has so far is made smaller by the right
# factor. A dozen lines:


# %%
def attention_in_blocks(query, key, value, block=64):
    """Attention over all keys, a block at a time: all scores are never there at once."""
    largest = torch.full_like(query[..., :1], -torch.inf)
    total, mixed = torch.zeros_like(largest), torch.zeros_like(query)
    for keys, values in zip(key.split(block, dim=-2), value.split(block, dim=-2), strict=True):
        scores = query @ keys.transpose(-1, -2) / query.shape[-1] ** 0.5
        new_largest = torch.maximum(largest, scores.amax(-1, keepdim=True))
        weights, shrink = (scores - new_largest).exp(), (largest - new_largest).exp()
        total = total * shrink + weights.sum(-1, keepdim=True)
        mixed = mixed * shrink + weights @ values
        largest = new_largest
    return mixed / total


# %% tags=["nbval-check-output"]
torch.manual_seed(0)
query, key, value = torch.randn(3, 9, 1024, 64)
plain = (query @ key.transpose(-1, -2) / 8).softmax(-1) @ value
assert torch.allclose(attention_in_blocks(query, key, value), plain, atol=1e-5)
in_blocks = peak_bytes(lambda: attention_in_blocks(query, key, value))
at_once = peak_bytes(lambda: (query @ key.transpose(-1, -2) / 8).softmax(-1) @ value)
assert in_blocks < at_once / 3
"the same result, with less than a third of the memory"

# %% [markdown]
# The result is exact, not an approximation. Dao et al. (2022), *FlashAttention*, do this inside a GPU's small fast
# memory; there it is faster, too, because the scores never travel to the large slow memory and back.
#
# What stays quadratic is the **work**: each query still meets each key. Watch the clock while the text doubles. A
# straight line would double the time.

# %% tags=["machine-dependent"]
from torch.nn.functional import scaled_dot_product_attention as fused

for tokens in (512, 1024, 2048):
    long = torch.randn(1, 9, tokens, 64)
    seconds = time_generation(lambda mark, x=long: (fused(x, x, x, is_causal=True), mark()), repeats=3).total.median
    print(f"{tokens:5,} tokens: {seconds * 1000:6.1f} ms")

# %% [markdown]
# And in a decode step there is one query only, so even the naive scores are linear. Ask of every such sentence: memory
# or time? Of what? In which way of computing?

# %% [markdown]
# ## 4 · Time, predicted and then measured
#
# A rule of thumb: a token takes **2 × parameters** FLOPs, a multiplication and an addition for each weight. Lesson 10
# found a second price: in every step, all weights have to come from memory. Both turn into seconds if you know what
# your machine does in a second at most.

# %% tags=["machine-dependent"]
from course_utils.measuring.roofline import measured_rates, step_flops

rates = measured_rates()
by_flops = 2 * shape.parameters / rates.flops
by_bytes = measured["weights"] / rates.bandwidth
print(f"{rates.flops / 1e9:.0f} GFLOP/s, {rates.bandwidth / 1e9:.0f} GB/s")
print(f"a decode step: {by_flops * 1000:.1f} ms for its FLOPs, {by_bytes * 1000:.1f} ms for its bytes")

# %%
wrong = predict(
    "14-flops",
    "You predict TPOT from 2 × parameters FLOPs alone. The measured one is …",
    {"less than twice as long": (0, 2), "2 to 5 times as long": (2, 5), "more than 5 times as long": (5, None)},
)
wrong

# %% [markdown]
# Look at the last column, measured / predicted. That is the honest part.

# %% tags=["machine-dependent"]
rows = {
    "TTFT, 2 × parameters × tokens": (2 * shape.parameters * 64 / rates.flops, timing.ttft.median),
    "TTFT, logits counted once": (step_flops(shape, tokens=64) / rates.flops, timing.ttft.median),
    "TPOT by FLOPs": (by_flops, timing.tpot.median),
    "TPOT by bytes": (by_bytes, timing.tpot.median),
}
for name, (paper, clock) in rows.items():
    print(f"{name:30} predicted {paper * 1000:6.1f} ms, measured {clock * 1000:6.1f} ms, ratio {clock / paper:4.1f}")
wrong.compare(timing.tpot.median / by_flops, show="{:.1f} times")

# %% [markdown]
# For prefill the rule of thumb is fair. The second line counts better: only the last token gets logits, and the table
# for that is a fifth of this small model. With the better count the ratio is *larger*, so a part of the good fit was
# luck. For decode the FLOPs alone are far too optimistic, and the bytes are nearer. Neither limit is reached. Lesson 10
# says why not: the product of a matrix and one vector does not read as fast as a plain sum does.
#
# A limit by bytes needs no run. So you can say something about models that do not fit here. One user, bf16 weights, a
# memory of 50 GB/s (think of a laptop) or of 3,350 GB/s (NVIDIA 2023, *H100 Tensor Core GPU Datasheet*):

# %% tags=["nbval-check-output"]
for name in ("SmolLM2-135M", "Llama 3.1 8B", "Llama 3.1 70B"):
    size = weight_bytes(PUBLISHED[name].parameters, 2)
    slow, fast = size / 50e9 * 1000, size / 3350e9 * 1000
    print(f"{name:13} at best {slow:7.1f} ms a token at 50 GB/s, {fast:5.2f} ms at 3,350 GB/s")

# %% [markdown]
# ## 5 · Many at once: what a batch costs
#
# If a decode step waits for the weights, then several texts can share the wait: the weights come once, and are used for
# all. Eight texts grow together, a token of each in every step. What does it cost the one who waits for her text?

# %%
crowd = predict(
    "14-batch",
    "Eight texts at once. Between two tokens of one text it takes … as long as alone",
    {"about as": (0, 1.3), "1.3 to 4 times": (1.3, 4), "4 to 8 times": (4, 8), "8 times and more": (8, None)},
)
crowd

# %% tags=["machine-dependent"]
from course_utils.traces.speed_run import measure_generation

batches = (1, 2, 4, 8)
runs = [measure_generation(smollm, model, length=16, batch=b, new_tokens=5, repeats=1) for b in batches]
tpot = [run.tpot.median for run in runs]
throughput = [batch / seconds for batch, seconds in zip(batches, tpot, strict=True)]
figures.batch_tradeoff(batches, tpot, throughput)

# %% tags=["machine-dependent"]
assert throughput[-1] > throughput[0]
crowd.compare(tpot[-1] / tpot[0], show="{:.1f} times")

# %% [markdown]
# Both curves rise. One user waits longer for each token, and all together get more tokens in a second. That is the
# bargain of every server: **throughput is bought with latency**.
#
# How far does it go? A text needs 2 FLOPs for each weight, and a weight in fp32 has 4 bytes. So memory is what a step
# waits for until there are about 2 × (FLOPs a byte) texts. In bf16 a weight has 2 bytes, so there it is 1 ×. An H100
# does 989 TFLOP/s in bf16 (same source, without sparsity):

# %% tags=["machine-dependent"]
print(f"this machine: {rates.balance:.1f} FLOPs a byte, so up to about {2 * rates.balance:.0f} texts")
print(f"an H100: {989 / 3.35:.0f} FLOPs a byte, so up to about {989 / 3.35:.0f} texts")

# %% [markdown]
# That is why a GPU is for many users. One alone leaves nearly all of its arithmetic idle.
#
# ### Touch it
#
# Solid: measured. Dashed: what the machine's FLOPs and bytes allow at best. One machine is recorded, and the button
# measures yours.
#
# 1. Look at **TTFT by prompt length**. For which prompt is the measured time nearest to the dashed line, compared with
#    its length? Why there?
# 2. Change to **throughput by batch size**. Does it rise as the dashed line does?
# 3. Choose bf16: half the bytes. Is it twice as fast? (Section 7 measures that here.)
# 4. Press **Measure here**, with settings of your own.

# %% tags=["nbval-check-output"]
from course_utils.widgets import speed_lab

speed_lab(smollm)

# %% [markdown]
# ## 6 · Static and continuous batching
#
# Requests do not have the same length. Eight requests want 12, 3, 4, 3, 8, 3, 4 and 3 tokens, and four fit into the
# batch. **Static batching** fills the four slots, waits until the last one is done, and fills them again. In every step
# each running request gets a token. Look at what is hatched: slots that wait.

# %% tags=["nbval-check-output"]
from course_utils.measuring.batching import continuous_schedule, static_schedule

lengths = [12, 3, 4, 3, 8, 3, 4, 3]
static = static_schedule(lengths, slots=4)
figures.slot_schedules({"static": static})

# %% [markdown]
# Half of the slots' time is lost. **Continuous batching** looks after every step: whoever is done leaves, and the
# next one gets the slot at once (Yu et al. 2022, *Orca*, call it iteration-level scheduling).

# %%
steps = predict(
    "14-continuous",
    "The same eight requests, four slots, but a free slot is given away at once. How many steps?",
    {"17 to 20": (17, 21), "13 to 16": (13, 17), "12 or fewer": (0, 13)},
)
steps

# %% tags=["nbval-check-output"]
continuous = continuous_schedule(lengths, slots=4)
figures.slot_schedules({"static": static, "continuous": continuous})

# %% tags=["nbval-check-output"]
steps.compare(max(turn.freed for turn in continuous), show="{} steps")

# %% [markdown]
# 12 steps: it cannot be less, because one request alone needs 12. And look at request 4: it begins after 3 steps and
# not after 12.
#
# That was a plan. `transformers` has an engine that does it, also on a CPU: `model.generate_batch` stands on it. We
# hand it the eight requests twice: four and then four, and all at once. Does reality look like the plan?

# %% tags=["machine-dependent"]
from course_utils.measuring.batching import token_times, turns_of

prompts = [ids[0, start : start + 6].tolist() for start in range(0, 48, 6)]
times = {
    "static": token_times(model, prompts, lengths, slots=4, static=True),
    "continuous": token_times(model, prompts, lengths, slots=4),
}
plans = {"static": static, "continuous": continuous}
real = {name: turns_of(times[name], plans[name]) for name in plans}
figures.slot_schedules(real, unit="seconds")

# %% [markdown]
# The bars have the shape of the plan, in seconds. But the gain is smaller: a step with four requests takes longer than
# a step with one, so the empty slots of static batching were not all lost. (This engine does not compute for a request
# that is done. A padded batch in `generate` does, until the last one ends.) Now ask what the users feel:

# %% tags=["machine-dependent"]
for name, requests in times.items():
    first = sum(request[0] for request in requests) / 8
    last = sum(request[-1] for request in requests) / 8
    print(f"{name:11} mean TTFT {first:.1f} s, mean time to the last token {last:.1f} s")

# %% [markdown]
# Nobody waits for the end of a stranger's long text any more. That was most of the TTFT of the second four: in
# practice, TTFT is **waiting plus prefill**. The time to the last token gains less, because the slots are now full in
# more steps, and a full step takes longer.
#
# One problem remains: whoever comes and goes leaves holes in memory. The engine keeps its KV cache in **pages** of a
# fixed number of tokens, and a request takes pages wherever there are some (Kwon et al. 2023, *Efficient Memory
# Management for Large Language Model Serving with PagedAttention*; the system is vLLM).

# %% [markdown]
# ## 7 · Number formats
#
# A weight in fp32 has 32 bits. Does it need them? **bf16** keeps 16: the same range, fewer digits. **int8** keeps a
# whole number from −127 to 127, and one scale for a whole row. Look at six weights on their way:

# %% tags=["nbval-check-output"]
from course_utils.measuring.number_formats import quantise_4bit, quantise_absmax

weights = model.model.layers[0].mlp.up_proj.weight.data
small = quantise_absmax(weights, bits=8)
print("fp32", [round(number, 4) for number in weights[0, :6].tolist()])
print("int8", small.numbers[0, :6].tolist(), f"× {small.scales[0].item():.5f}")
print("back", [round(number, 4) for number in small.dequantise()[0, :6].tolist()])

# %% [markdown]
# A **4-bit** format has 16 numbers only, so a scale for a whole row would be too coarse. 32 neighbours share a scale
# and a minimum. Two numbers fit into a byte:

# %% tags=["nbval-check-output"]
tiny = quantise_4bit(weights, group=32)
for name, size in (("fp32", weights.nbytes), ("int8", small.nbytes), ("4 bits", tiny.nbytes)):
    print(f"{name:6} {size:9,} bytes, {size * 8 / weights.numel():5.2f} bits a weight")

# %% [markdown]
# Scales and minima count, too: "4 bits" are 5. Now the loss. How far has the worst weight of this matrix moved?

# %%
loss = predict(
    "14-loss",
    "int8 has 255 steps, our 4-bit format 16. Which one moves the weights of SmolLM2 more?",
    ["int8", "4 bits", "about the same"],
)
loss

# %% tags=["nbval-check-output"]
moved = {"int8": small, "4 bits": tiny}
moved = {name: (format.dequantise() - weights).abs().max().item() for name, format in moved.items()}
print({name: round(distance, 3) for name, distance in moved.items()})
loss.compare(max(moved, key=moved.get))

# %% [markdown]
# The 4-bit format moves **nothing**, not by a single bit. That looks like magic, and you should not believe it at once.
# How many different values are there among 32 neighbours? Compare with MiniLM, the course's other model:

# %% tags=["nbval-check-output"]
from course_utils.models import load_encoder

minilm_weights = load_encoder().model.encoder.layer[0].intermediate.dense.weight.data
for name, matrix in (("SmolLM2", weights), ("MiniLM", minilm_weights)):
    counts = [len(group.unique()) for group in matrix[:48].reshape(-1, 32)]
    print(f"{name:7} at most {max(counts)} different values in a group of 32")

# %% [markdown]
# SmolLM2 came to you in 4 bits. The course takes it from a GGUF file in the format Q4_1 of llama.cpp, which has exactly
# this shape: 32 weights, a scale and a minimum. It was unpacked to fp32 on your machine, so there are 16 values in a
# group and no more. The loss happened before, and nobody can see it in these weights any more. int8 puts its steps
# elsewhere, so it moves them again. A library for GGUF files knows the format; it says weights and bytes of a group:

# %% tags=["nbval-check-output"]
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
from course_utils.measuring.number_formats import linear_weights

same = [torch.equal(quantise_4bit(weight.data).dequantise(), weight) for weight in linear_weights(model).values()]
print(f"unchanged: {sum(same)} of {len(same)} matrices")
GGML_QUANT_SIZES[GGMLQuantizationType.Q4_1]

# %% [markdown]
# In weights that were never quantised, fewer bits do cost more. MiniLM's:

# %% tags=["nbval-check-output"]
for name, format in (("int8", quantise_absmax(minilm_weights)), ("4 bits", quantise_4bit(minilm_weights))):
    error = (format.dequantise() - minilm_weights).abs().mean() / minilm_weights.abs().mean()
    print(f"{name:6} the mean weight moves by {error:.1%}")

# %% [markdown]
# ### What the model makes of it
#
# Weights are not the goal. The goal is text. So read 136 tokens of the story with every format, and measure the mean
# surprisal in bits (lesson 09). The last two have 4 bits as well, but steps around 0 without a minimum: another grid
# than the one that the weights came on.

# %% tags=["nbval-check-output"]
from course_utils.measuring.number_formats import rounded_weights
from course_utils.experiments.surprisal import read_text

formats = {
    "fp32": lambda weights: weights,
    "bf16": lambda weights: weights.bfloat16().float(),
    "int8, a scale a row": lambda weights: quantise_absmax(weights).dequantise(),
    "4 bits, scale and minimum": lambda weights: quantise_4bit(weights).dequantise(),
    "4 bits, scale only": lambda weights: quantise_absmax(weights, bits=4, group=32).dequantise(),
    "4 bits, a scale a row": lambda weights: quantise_absmax(weights, bits=4).dequantise(),
}
bits = {}
for name, round_trip in formats.items():
    with rounded_weights(model, round_trip):
        bits[name] = read_text(model, ids[:, :136])[0].mean().item()
figures.bars_against_first(bits, "mean surprisal (bits a token)")

# %% [markdown]
# bf16 and int8 cost next to nothing. 4 bits are a question of *how*: on another grid the same number of bits costs a
# lot, and with one scale for a whole row even more. Bits alone do not say how good a format is.
#
# Our int8 touches weights only. To multiply in 8 bits, the *hidden states* have to be rounded as well, and in models of
# billions of parameters a few of their features are so large that they spoil the scale of all the others. Dettmers et
# al. (2022), *LLM.int8()*, keep these few in 16 bits and multiply all the rest in 8.
#
# ### And the speed?
#
# A warning first: `rounded_weights` makes nothing faster. The weights are turned back into fp32 before anything is
# multiplied. To be faster, a kernel has to read the small numbers themselves. torch has that for bf16, so here it can
# be measured:

# %%
half = predict(
    "14-half",
    "bf16 has half the bytes. A decode step on this machine takes …",
    {"half as long or less": (0, 0.55), "between that and the same": (0.55, 0.95), "as long or longer": (0.95, None)},
)
half

# %% tags=["machine-dependent"]
from course_utils.traces.speed_run import in_format

halved = in_format(model, "bf16")
seconds = {
    name: measure_generation(smollm, weights, length=16, batch=1, new_tokens=6, repeats=2).tpot.median
    for name, weights in (("fp32", model), ("bf16", halved))
}
print({name: f"{value * 1000:.0f} ms" for name, value in seconds.items()})
half.compare(seconds["bf16"] / seconds["fp32"], show="{:.2f} times as long")

# %% tags=["nbval-check-output"]
f"{measured_weight_bytes(model) / 1e6:.0f} MB in fp32, {measured_weight_bytes(halved) / 1e6:.0f} MB in bf16"

# %% [markdown]
# The size is halved everywhere. The time is another matter. On a processor that has instructions for bf16 it may fall a
# little; on one without, it can even rise. A small format is always a promise about memory. About speed, ask the clock.

# %% [markdown]
# ## 8 · One client for every server
#
# A model is usually behind a server. Most servers speak the same language: a question goes to `/v1/chat/completions`,
# and the answer comes back as a **stream** of lines, one for every piece of text. So one client measures them all.
#
# First a server of about fifty lines, made of the course's own `stream()`; you can read it in
# `course_utils/serving/local_servers.py`. It runs on this machine, inside the `with` block only. A special token that
# a user types stays plain text here, as in lesson 09; not every server takes that care.

# %% tags=["nbval-check-output"]
from course_utils.serving.local_servers import own_server
from course_utils.serving.client import ask

with own_server(model, smollm.tokenizer) as url:
    answer = ask(url, "What is the capital of France?", model="SmolLM2", max_tokens=20)
answer.text, answer.tokens, len(answer.seconds)

# %% [markdown]
# Eight tokens, but seven pieces: the last token ends the text and has no text of its own. A client that counts pieces
# counts wrong, so this one takes the count that the server sends at the end.

# %% tags=["machine-dependent"]
alone = timing.tpot.median * 1000
f"TTFT {answer.ttft * 1000:.0f} ms, TPOT {answer.tpot * 1000:.0f} ms; without a server {alone:.0f} ms"

# %% [markdown]
# Next to the model, the server costs little. Now two users at the same moment. This server answers one after the other.

# %%
queue = predict(
    "14-queue",
    "Two users ask at once, one server without batching. The TTFT of the second is … that of the first",
    {"about": (0, 1.5), "1.5 to 3 times": (1.5, 3), "more than 3 times": (3, None)},
)
queue

# %% tags=["machine-dependent"]
from concurrent.futures import ThreadPoolExecutor


def ask_both(url, name):
    """Two users at once; their answers, the faster one first."""
    questions = ("What is the capital of France?", "What is the capital of Japan?")
    with ThreadPoolExecutor() as users:
        answers = list(users.map(lambda question: ask(url, question, name, max_tokens=8), questions))
    return sorted(answers, key=lambda answer: answer.ttft)


with own_server(model, smollm.tokenizer) as url:
    first, second = ask_both(url, "SmolLM2")
print(f"TTFT {first.ttft:.2f} s and {second.ttft:.2f} s, TPOT {first.tpot:.2f} s and {second.tpot:.2f} s")
queue.compare(second.ttft / first.ttft, show="{:.1f} times")

# %% [markdown]
# The second one waits for the whole first answer. Her TPOT is as good as the other's, and only TTFT shows that she
# stood in a queue. Measure a server with one user, and you will never see it.
#
# Now a real one: `transformers serve`, with continuous batching. It needs a few more packages (`pip install -e
# '.[serving]'`). Where they are, the next cell starts it, asks the same two questions, and stops it again; where they
# are not, it says so.

# %% tags=["machine-dependent"]
from course_utils.serving.local_servers import model_folder, serving_installed, transformers_server

if serving_installed():
    options = ("--continuous-batching", "--cb-num-blocks", "16", "--cb-max-batch-tokens", "256")
    with transformers_server(model_folder(model), options) as url:
        first, second = ask_both(url, model_folder(model))
    print(f"TTFT {first.ttft:.2f} s and {second.ttft:.2f} s, TPOT {first.tpot:.2f} s and {second.tpot:.2f} s")
else:
    print("skipped: transformers serve is not installed here (pip install -e '.[serving]')")

# %% [markdown]
# If it ran on your machine: both users get their first tokens at nearly the same moment, and nobody waits for the
# other's whole answer. The price is that they share every step, as in section 5.
#
# And any other server? Give its address in `COURSE_SERVER_URL` and the model's name there in `COURSE_SERVER_MODEL`, for
# example of a vLLM on a cluster, and run the cell. It sends one short question there, and nothing else.

# %% tags=["machine-dependent"]
import os

elsewhere, name = os.environ.get("COURSE_SERVER_URL"), os.environ.get("COURSE_SERVER_MODEL", "default")
if elsewhere:
    answer = ask(elsewhere, "What is the capital of France?", name, key=os.environ.get("COURSE_SERVER_KEY"))
    print(f"{answer.text!r}: TTFT {answer.ttft * 1000:.0f} ms, {answer.tokens} tokens")
else:
    print("skipped: COURSE_SERVER_URL is not set")

# %% [markdown]
# ## 9 · What is refused
#
# A percentile that three runs cannot know, a context of less than nothing, weights that are not numbers, a batch
# without slots, an address that is none, and a server that is not there: one sentence each.

# %% tags=["nbval-check-output"]
from course_utils.measuring.measurements import percentile

for wrong in (
    lambda: percentile([0.2, 0.3, 0.2], 99),
    lambda: kv_cache_bytes(shape, tokens=-1),
    lambda: quantise_4bit(torch.full((1, 32), torch.nan)),
    lambda: static_schedule(lengths, slots=0),
    lambda: ask("127.0.0.1:8000", "Hello?", model="SmolLM2"),
    lambda: ask("http://127.0.0.1:9", "Hello?", model="SmolLM2"),
):
    try:
        wrong()
    except (ValueError, RuntimeError) as error:
        print(error)

# %% [markdown]
# ## 10 · The whole thing in one cell
#
# A benchmark for any causal LM of `transformers`, in plain torch: memory by formula and by tensor, TTFT, TPOT and
# throughput. The `assert`s make it honest: the bytes agree, and the tokens are those of `generate`.


# %%
from time import perf_counter


@torch.inference_mode()
def benchmark(model, ids, new_tokens):
    config, cache, unread, tokens, marks = model.config, DynamicCache(config=model.config), ids, [], []
    start = perf_counter()
    for _ in range(new_tokens):
        logits = model(unread, past_key_values=cache, logits_to_keep=1).logits[:, -1]
        unread = logits.argmax(-1, keepdim=True)
        tokens.append(unread)
        marks.append(perf_counter() - start)
    size = model.dtype.itemsize
    by_formula = model.num_parameters() * size
    read = ids.shape[0] * (ids.shape[1] + new_tokens - 1)
    by_formula += 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * read * size
    tensors = [*model.parameters(), *(t for layer in cache.layers for t in (layer.keys, layer.values))]
    ttft, tpot = marks[0], (marks[-1] - marks[0]) / (new_tokens - 1)
    return torch.cat([ids, *tokens], dim=1), {
        "bytes by formula": by_formula,
        "bytes of tensors": sum(tensor.nbytes for tensor in tensors),
        "seconds": (ttft, tpot, ttft + (new_tokens - 1) * tpot, marks[-1]),
        "tokens a second": ids.shape[0] * new_tokens / marks[-1],
    }


# %% tags=["nbval-check-output"]
two = ids[0, :64].reshape(2, 32)
text, numbers = benchmark(model, two, new_tokens=8)
theirs = model.generate(
    two, attention_mask=torch.ones_like(two), max_new_tokens=8, do_sample=False, eos_token_id=None, pad_token_id=0
)
assert torch.equal(text, theirs)
assert numbers["bytes by formula"] == numbers["bytes of tensors"]
assert abs(numbers["seconds"][2] - numbers["seconds"][3]) < 1e-9
f"{numbers['bytes of tensors']:,} bytes, as predicted"

# %% tags=["machine-dependent"]
ttft, tpot, *_ = numbers["seconds"]
f"TTFT {ttft * 1000:.0f} ms, TPOT {tpot * 1000:.0f} ms, {numbers['tokens a second']:.1f} tokens/s for two texts"

# %% [markdown]
# ## 11 · Quiz
#
# Every option has an explanation, also the wrong ones. Try them all.

# %% tags=["nbval-check-output"]
from course_utils.learner import quiz_question

quiz_question(
    "14-quiz-total",
    "TTFT is 400 ms, TPOT is 50 ms. How long does an answer of 21 tokens take?",
    [
        ("1,050 ms", False, "That is 21 · TPOT. The first token comes with the silence, not with a decode step."),
        ("1,400 ms", True, "Yes: 400 + 20 · 50. The first of the 21 tokens is in TTFT."),
        ("1,450 ms", False, "Nearly: that counts the first token twice, in TTFT and in 21 · TPOT."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "14-quiz-quadratic",
    "You double the context. With a modern kernel, what happens to memory and to the work of attention in prefill?",
    [
        ("Both double", False, "Memory does. But each query still meets each key: four times the pairs."),
        ("Memory doubles, the work becomes four times as much", True, "Yes: the scores are computed, but not kept."),
        ("Both become four times as much", False, "That is the naive way, where all scores are written down."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "14-quiz-batch",
    "A server's owner doubles the largest batch. Throughput rises by half. What do its users notice?",
    [
        ("Nothing", False, "A step gives a token to twice as many texts, but takes longer: 2 / 1.5 times as long."),
        ("Words come more slowly, but perhaps the wait before them is shorter", True, "Yes: TPOT rises by a third. "
         "TTFT can fall if people stood in a queue before."),
        ("Everything is faster", False, "Throughput counts the tokens of all. One user's tokens come more slowly."),
    ],
)  # fmt: skip

# %% tags=["nbval-check-output"]
quiz_question(
    "14-quiz-continuous",
    "All requests have exactly the same length, and all are there from the start. What does continuous batching gain?",
    [
        ("As much as always", False, "What it fills are slots that became free early. Here none does."),
        ("Nothing", True, "Yes: all end in the same step, so the plan is the static one. Different lengths make it."),
        ("It is slower", False, "The schedule is the same. Only the looking after every step costs a little."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "14-quiz-lossless",
    "Our 4-bit format changed no weight of SmolLM2. Is 4-bit quantisation lossless?",
    [
        ("Yes, with groups of 32", False, "MiniLM's weights moved. And SmolLM2's moved once, before you got them."),
        ("No, these weights were 4-bit numbers already", True, "Yes: the same grid, the same numbers. A second copy "
         "of a copy loses nothing."),
        ("Yes, for small models", False, "Size has nothing to do with it. On another grid the surprisal rose a lot."),
    ],
)  # fmt: skip

# %% [markdown]
# ## Take-aways
#
# - TTFT and TPOT are one user's numbers, throughput is everybody's, and total ≈ TTFT + (*n* − 1) · TPOT.
# - Weights and KV cache can be predicted to the byte. The cache grows in a straight line; only naive scores grow with
#   the square, and modern kernels never write them down. The work stays quadratic.
# - FLOPs predict prefill, bytes predict decode, and both are limits: print the ratio to what you measured.
# - A batch buys throughput with latency. Continuous batching gives a free slot away at once, so nobody waits for a
#   stranger's long text.
# - Fewer bits always save memory. What they cost in quality depends on the grid, and what they gain in speed on the
#   kernel. Measure both.
#
# **Next**: [15 · Capstone: your own `generate()`](15_your_own_generate.ipynb) lets you put everything together in a
# `generate()` of your own, and scores it on these numbers.
#
# **Exercise**: [14 · Speed and memory in practice](../exercises/14_speed_and_memory_in_practice.ipynb). **All
# lessons**: [the index](index.ipynb).
