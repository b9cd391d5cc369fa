# %% [markdown]
# # 14 · Speed and memory in practice
#
# Will it fit, and will it be fast enough? Everyone who runs a language model asks these two questions. Paper answers
# the first to the byte. For the second it gives a limit, and only a clock can tell you how far away from it you are.
#
# ![Above, the timeline of a request: a long silence, the prefill, ends with the first token; its length is TTFT. Then
# the tokens come one by one, TPOT apart. The total is TTFT plus n minus 1 times TPOT. Below, the memory of SmolLM2 in
# fp32: weights 538 MB, always the same; the KV cache, which grows with every token to 377 MB at 8,192 tokens;
# activations.](images/14_speed_and_memory_in_practice.svg)
#
# **You will be able to**
#
# - measure TTFT, TPOT and throughput, and say what a batch does to each;
# - predict the memory of a running model, and check it byte by byte;
# - say what grows with the length of a text, in memory and in time, and in which way of computing;
# - divide a graphics card's memory between weights, users and context;
# - turn throughput into a price per million tokens.
#
# **Time**: 45 minutes. **Read before**: [10 · Prefill and decode](10_prefill_and_decode.ipynb). Section 4 opens the
# attention of [08 · Attention](08_attention.ipynb).

# %% [markdown]
# ## 1 · Eight texts at once
#
# Eight people send a prompt at the same moment. You could write their texts one after the other, which takes eight
# times as long as one. Or write all eight together, one token of each in every step: a **batch**.

# %%
from course_utils.learner import predict
from course_utils.models import load_causal_lm

smollm = load_causal_lm()
model = smollm.model
crowd = predict(
    "14-batch",
    "Eight texts in one batch. Compared with a single text, the whole run takes …",
    {"about as long": (0, 1.3), "1.3 to 4 times as long": (1.3, 4), "4 times as long or more": (4, None)},
)
crowd

# %% [markdown]
# Here's what is timed: prefill, then greedy decode steps. `mark()` notes when a token has come. (All texts are copies
# of one prompt; what's in them doesn't change the time.)


# %%
from importlib.resources import files

from course_utils.engine.prefill_decode import decode_step, prefill

story = (files("course_utils.experiments.texts") / "the_last_ferry.txt").read_text(encoding="utf-8")
ids = smollm.encode(story)


def writing(batch, new_tokens=6):
    def run(mark):
        logits, cache = prefill(model, ids[:, :16].repeat(batch, 1))
        mark()
        for _ in range(new_tokens - 1):
            logits = decode_step(model, logits.argmax(-1), cache)
            mark()

    return run


# %% tags=["recorded"]
from course_utils.measuring.timing import time_generations_in_turn

timings = time_generations_in_turn({batch: writing(batch) for batch in (1, 2, 4, 8)}, repeats=3)
for batch, timing in timings.items():
    print(f"batch of {batch}: TTFT {timing.ttft}, TPOT {timing.tpot}")

# %% tags=["recorded"]
crowd.compare(timings[8].total.median / timings[1].total.median, show="{:.1f} times as long")

# %% [markdown]
# Three numbers describe such a run:
#
# | number | whose is it? | how it's counted |
# |---|---|---|
# | **TTFT**, time to first token | one user's | from the request to the first token |
# | **TPOT**, time per output token | one user's | (last token − first token) / (*n* − 1), for *n* new tokens |
# | **throughput** | the owner's | new tokens of all texts together, per second |
#
# Each time is a median, with the least and the most of three runs in brackets. The batches were timed in turns, so that
# a busy moment meets them all.

# %% tags=["recorded"]
from course_utils import figures
from course_utils.measuring.measurements import spread

throughput = [spread([batch * 6 / run[-1] for run in timing.seconds]) for batch, timing in timings.items()]
assert throughput[-1].median > throughput[0].median
figures.batch_tradeoff(list(timings), [timing.tpot for timing in timings.values()], throughput)

# %% [markdown]
# On the right: the larger the batch, the more tokens per second in all. The weights come from memory once per step, and
# then serve every text ([lesson 10](10_prefill_and_decode.ipynb)). On the left: what one user pays. Throughput is
# bought with **latency**, the time that one user waits.
#
# ## 2 · One answer, any length
#
# An answer of *n* tokens takes **TTFT + (*n* − 1) · TPOT**. We timed answers of 6 tokens. Does that predict one of 32?

# %% tags=["recorded"]
from course_utils.measuring.timing import time_generation

alone = timings[1]
predicted = alone.ttft.median + 31 * alone.tpot.median
long = time_generation(writing(1, new_tokens=32), repeats=3, warm_up=0).total
print(f"predicted {predicted * 1000:,.0f} ms, measured {long}, ratio {predicted / long.median:.2f}")

# %% [markdown]
# A ratio of 1 would be perfect. It's near 1 as long as all steps take about the same time; section 5 shows when they
# don't.
#
# How fast could it be at best? A step can't be faster than its arithmetic, nor than its reading from memory. In the
# picture below that limit is dashed, and what was measured on one machine is solid.
#
# 1. Look at **TTFT by prompt length**. For which prompt is the limit furthest from the measured time, in proportion?
# 2. Change to **throughput by batch size**. Does it rise as the dashed line does?
# 3. Press **Measure here**. Is your machine nearer to its limit?

# %% tags=["nbval-check-output"]
from course_utils.widgets import speed_lab

speed_lab(smollm)

# %% [markdown]
# On the recorded machine, the shortest prompt is furthest away: a step has costs that don't grow with the prompt. So
# use these limits as *bounds*, and not as predictions.
#
# ## 3 · Memory, predicted to the byte
#
# What has to be in memory? The **weights**: parameters × bytes per number. The **KV cache**: 2 × layers × KV heads ×
# head size × tokens × bytes. Both on paper first, for a text of 256 tokens, and then from the tensors themselves:

# %% tags=["nbval-check-output"]
from course_utils.measuring import memory
from course_utils.measuring.model_shapes import PUBLISHED, ModelShape

shape = ModelShape.of("SmolLM2-135M", model)
_, cache = prefill(model, ids[:, :256])
paper = {"weights": memory.weight_bytes(shape.parameters), "cache": memory.kv_cache_bytes(shape, tokens=256)}
measured = {"weights": memory.measured_weight_bytes(model), "cache": memory.measured_cache_bytes(cache)}
assert paper == measured
measured

# %% [markdown]
# Equal, byte for byte: these two are shapes, so there's nothing to estimate. Now give the model more texts.

# %%
outweigh = predict(
    "14-outweigh",
    "Texts of 2,048 tokens each, all in fp32. How many does it take before their caches outweigh the model?",
    {"2 or 3": (2, 4), "4 to 8": (4, 9), "more than 8": (9, None)},
)
outweigh

# %% tags=["nbval-check-output"]
texts = next(n for n in range(1, 99) if memory.kv_cache_bytes(shape, 2048, batch=n) > paper["weights"])
outweigh.compare(texts, show="{} texts")

# %% [markdown]
# A server has more users than that. It's why newer models let several query heads share a KV head. Here are two models
# of similar size, with 16 texts of 4,096 tokens in 16 bits:

# %% tags=["nbval-check-output"]
for name in ("Llama 2 7B", "Llama 3.1 8B"):
    other = PUBLISHED[name]
    weights, caches = memory.weight_bytes(other.parameters, 2), memory.kv_cache_bytes(other, 4096, 16, 2)
    print(f"{name:12} {other.key_value_heads:2} KV heads: weights {weights / 1e9:.1f} GB, caches {caches / 1e9:.1f} GB")

# %% [markdown]
# The third part is **activations**, results that exist only while a layer runs. `peak_bytes` asks torch's own
# bookkeeping for the worst moment of a call. Read the same 256 tokens in two ways: with logits for the last token only,
# and with logits for all of them, as plain `model(ids)` does it.

# %% tags=["recorded"]
import torch
from course_utils.measuring.peak_memory import peak_bytes

with torch.inference_mode():
    last = peak_bytes(lambda: model(ids[:, :256], logits_to_keep=1))
    every = peak_bytes(lambda: model(ids[:, :256]))
print(f"logits of the last token: {last / 1e6:.1f} MB at most, and {measured['cache'] / 1e6:.1f} MB of that are cache")
print(f"logits of every token: {every / 1e6:.1f} MB at most")
assert every - last > 0.5 * memory.logits_bytes(shape, positions=255)

# %% [markdown]
# Logits that nobody asked for can take more than the whole cache. If a long prompt runs out of memory, look there
# first.
#
# The calculator adds the parts up. It leaves out the wide vectors inside the MLPs, which live for a moment, and what a
# program takes for itself.
#
# 1. Set the context to 8,192. Which part is now the largest? The next section takes it apart. Then take away the tick
#    at *attention scores of a layer written in full*.
# 2. Which number format brings **Llama 3.1 70B** onto a card of 80 GB? How much room is left for caches?

# %% tags=["nbval-check-output"]
from course_utils.widgets import MemoryCalculator

MemoryCalculator(model="SmolLM2-135M", dtype="fp32", context=2048, batch=1, measured=measured | {"tokens": 256})

# %% [markdown]
# ## 4 · “Memory grows quadratically with the context”
#
# You'll find this sentence in many articles. It can't mean the cache, which has a key and a value per token and grows
# in a straight line. It could mean the attention **scores**: there's one for every pair of tokens, in every head. Count
# both for one layer, and double the text:

# %% tags=["nbval-check-output"]
sizes = (256, 512, 1024, 2048)
layer_cache = [memory.kv_cache_bytes(shape, tokens) / 30 for tokens in sizes]
for tokens, kept in zip(sizes, layer_cache, strict=True):
    scores = memory.attention_score_bytes(shape, tokens, tokens)
    print(f"{tokens:5,} tokens: cache {kept / 1e6:4.1f} MB, scores {scores / 1e6:5.1f} MB")

# %% [markdown]
# Now run one attention layer in two ways. `eager` is written as in lesson 08: all scores, then softmax, then the
# values. `sdpa`, the default of `transformers`, lets torch choose; here it takes a **fused kernel**, one program for
# all three.

# %%
kernel = predict(
    "14-kernel",
    "One attention layer with sdpa. From 1,024 to 2,048 tokens, its peak of memory grows …",
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


# %% tags=["recorded"]
peaks = {how: [attention_peak(tokens, how) for tokens in sizes] for how in ("eager", "sdpa")}
figures.growth_lines(sizes, peaks | {"its KV cache": layer_cache}, "tokens", "megabytes, one layer", unit=1e6)

# %% tags=["recorded"]
growth = {how: values[-1] / values[-2] for how, values in peaks.items()}
assert growth["eager"] > 3 > growth["sdpa"]
kernel.compare(growth["sdpa"], show="{:.1f} times")

# %% [markdown]
# Twice the text needs nearly four times the memory with `eager`, and about twice with `sdpa`. So the sentence is true
# of one way of computing, and not of the model. How can a kernel do without the scores? It takes keys and values in
# blocks, and remembers three things per query: the largest score so far, the sum of the exponentials, and the mixture
# of values. When a larger score comes along, it shrinks what it has by the right factor. This is the *online softmax*
# (Milakov and Gimelshein 2018, *Online normalizer calculation for softmax*):


# %%
def attention_in_blocks(query, key, value, block=64):
    """Attention over all keys, one block at a time: all scores never exist at once."""
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
# Not an approximation: the same sums in another order. FlashAttention (Dao et al. 2022) does this inside a GPU's small
# fast memory, where it's faster, too. What stays quadratic in prefill is the *work*: every query still meets every key
# before it. So ask of such a sentence: memory or time? Of which part? Computed how?
#
# ## 5 · Does it get slower as the text grows?
#
# A decode step has only one query. It reads the weights and the whole cache. Count the bytes:

# %% tags=["nbval-check-output"]
from course_utils.measuring.roofline import step_bytes

contexts = (64, 1024, 4096, 8000)
for context in contexts:
    read = step_bytes(shape, context)
    print(f"after {context:5,} tokens: {read / 1e6:3.0f} MB, {read / step_bytes(shape, 64):.2f} times the first")

# %%
slower = predict(
    "14-context",
    "And on the clock? After 8,000 tokens, a decode step takes … as after 64",
    {"about as long": (0, 1.2), "1.2 to 2 times as long": (1.2, 2), "more than 2 times as long": (2, None)},
)
slower


# %% tags=["recorded"]
from course_utils.measuring.timing import time_in_turn
from transformers import DynamicCache


def after(context):
    """One decode step after so many tokens."""
    cache = DynamicCache(config=model.config)
    for layer in range(shape.layers):
        cache.update(torch.randn(1, 3, context, 64), torch.randn(1, 3, context, 64), layer)
    return lambda: decode_step(model, ids[:, 0], cache)


steps = time_in_turn({context: after(context) for context in contexts}, repeats=5)
for context, step in steps.items():
    print(f"after {context:5,} tokens: {step}")
with_copy = step_bytes(shape, 8000) + 2 * memory.kv_cache_bytes(shape, 8000)
print(f"bytes after 8,000 tokens, with the copy: {with_copy / step_bytes(shape, 64):.2f} times those after 64")
assert steps[8000].least > steps[64].median
slower.compare(steps[8000].median / steps[64].median, show="{:.1f} times as long")

# %% [markdown]
# So yes: speed falls with the context. (The cache was filled with random numbers; their values don't change the time.)
# In the recorded run it falls faster than our count of bytes says. The count left something out: this simple cache
# makes a longer *copy* of itself in every step, so it's read, written, and read again. The last line counts that, too.
# Servers avoid the copy. They keep the cache in **pages**, blocks of a fixed number of tokens (Kwon et al. 2023,
# *PagedAttention*).
#
# ## 6 · Dividing a card
#
# A GPU's own memory is called **VRAM**. Weights, users and context all want a part of it:
#
# texts × context ≤ (VRAM − weights) / (bytes of the cache per token)
#
# Take a card of 16 GB and Llama 3.1 8B, with a cache in 16 bits. Its weights can be in **bf16** (16 bits each), in
# **int8** (8 bits), or in 4 bits. A 4-bit format also stores a scale for every few weights, so count 5.

# %% tags=["nbval-check-output"]
llama, card = PUBLISHED["Llama 3.1 8B"], 16 * 2**30
for name, size in {"bf16": 2, "int8": 1, "4 bits": 5 / 8}.items():
    room = card - memory.weight_bytes(llama.parameters, size)
    fit = {n: int(room // memory.kv_cache_bytes(llama, n, bytes_per_number=2)) for n in (1024, 8192, 65536)}
    print(f"{name:6} leaves {room / 1e9:4.1f} GB. Texts that fit:", end=" ")
    print(", ".join(f"{count} of {tokens:,} tokens" for tokens, count in fit.items()))

# %% [markdown]
# In bf16 the model fits, and leaves room for one text of 8,192 tokens. (Just: we've left activations out, and what the
# program takes for itself.) In int8 it's eight. So “does it fit?” is half of the question; the other half is how many
# users have to. Going on to 4 bits gains less. And whatever the format, eight times the context leaves an eighth of the
# users, at most.
#
# Fewer bits always save memory. What they do to speed and quality has to be measured: [Deeper: number
# formats](deeper/14_number_formats.ipynb).
#
# ## 7 · How many at once, and what does a token cost?
#
# If a batch is such a bargain, why not a larger one still? Take an H100 with 80 GB (989 TFLOP/s in bf16, 3.35 TB/s:
# NVIDIA 2023, *H100 Tensor Core GPU: data sheet*) and the same model, each text with 4,096 tokens in its cache. The
# last row is as many as fit.

# %% tags=["nbval-check-output"]
from course_utils.measuring.roofline import Rates, predicted_seconds

h100 = Rates(flops=989e12, bandwidth=3.35e12)
most = int((80 * 2**30 - memory.weight_bytes(llama.parameters, 2)) // memory.kv_cache_bytes(llama, 4096, 1, 2))
limit = {}
for texts in (1, 16, most):
    caches = memory.kv_cache_bytes(llama, 4096, texts, 2) / 1e9
    step = predicted_seconds(llama, h100, tokens=1, context=4096, batch=texts, bytes_per_number=2)
    limit[texts] = texts / step
    bound = f"a step {step * 1000:4.1f} ms at best, {limit[texts]:5,.0f} tokens/s"
    print(f"batch of {texts:3}: caches {caches:4.1f} GB, {bound}")

# %% [markdown]
# These are bounds, calculated and not measured. The weights, 16 GB, are read once for all; but every text brings its
# own cache, and in the last row the caches are most of what a step reads.
#
# Throughput decides what a token costs. The prices per hour are examples: put in what you pay.

# %% tags=["recorded"]
dollars_per_hour = {"this machine": 0.10, "the H100": 3.00}
rates = {"this machine": {1: throughput[0].median, 8: throughput[-1].median}, "the H100": limit}
for machine, tokens_per_second in rates.items():
    for texts, rate in tokens_per_second.items():
        dollars = dollars_per_hour[machine] / 3600 / rate * 1_000_000
        print(f"{machine:12} with a batch of {texts:3}: {dollars:5.2f} dollars per million tokens")

# %% [markdown]
# The first two rows come from the throughput measured in section 1, the others from the bounds. The hour costs the same
# in all rows of a machine; on the H100, a full batch makes a token about 25 times as cheap. So a server wants its batch
# full at every moment. But requests have different lengths. Here eight of them share four slots. **Static batching**
# waits for the longest of each batch. **Continuous batching** gives a free slot to the next request at once (Yu et al.
# 2022, *Orca*). Hatched slots wait.

# %% tags=["nbval-check-output"]
from course_utils.measuring.batching import continuous_schedule, static_schedule

lengths = [12, 3, 4, 3, 8, 3, 4, 3]
ways = {"static": static_schedule, "continuous": continuous_schedule}
figures.slot_schedules({name: way(lengths, slots=4) for name, way in ways.items()})

# %% [markdown]
# 20 steps become 12. That's a plan: it counts decode steps and leaves prefill out. [Deeper: batching and
# serving](deeper/14_batching_and_serving.ipynb) runs it, and measures how long people wait when more of them come.

# %% [markdown]
# ## 8 · The whole thing in one cell
#
# A benchmark in plain torch for models built like SmolLM2 and Llama. (Not for GPT-2, whose configuration has other
# names, nor for models with sliding windows, whose caches drop old tokens.) The bytes agree, and the tokens are those
# of `generate`.


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
    size, read = model.dtype.itemsize, ids.shape[0] * (ids.shape[1] + new_tokens - 1)
    in_cache = 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * read * size
    tensors = [*model.parameters(), *(tensor for layer in cache.layers for tensor in (layer.keys, layer.values))]
    return torch.cat([ids, *tokens], dim=1), {
        "bytes by formula": model.num_parameters() * size + in_cache,
        "bytes of tensors": sum(tensor.nbytes for tensor in tensors),
        "TTFT": marks[0],
        "TPOT": (marks[-1] - marks[0]) / (new_tokens - 1),
        "throughput": ids.shape[0] * new_tokens / marks[-1],
    }


# %% tags=["nbval-check-output"]
two = ids[0, :64].reshape(2, 32)
text, numbers = benchmark(model, two, new_tokens=8)
greedy = {"max_new_tokens": 8, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
assert torch.equal(text, model.generate(two, attention_mask=torch.ones_like(two), **greedy))
assert numbers["bytes by formula"] == numbers["bytes of tensors"]
f"{numbers['bytes of tensors']:,} bytes, as predicted"

# %% tags=["recorded"]
ttft, tpot = numbers["TTFT"] * 1000, numbers["TPOT"] * 1000
f"TTFT {ttft:.0f} ms, TPOT {tpot:.0f} ms, {numbers['throughput']:.1f} tokens/s for two texts"

# %% [markdown]
# ## 9 · Quiz
#
# Every option, right or wrong, has an explanation.

# %% tags=["nbval-check-output"]
from course_utils.learner import quiz_question

quiz_question(
    "14-quiz-total",
    "TTFT is 400 ms, TPOT is 50 ms. How long does an answer of 21 tokens take?",
    [
        ("1,050 ms", False, "That's 21 · TPOT. The first token comes with the prefill, not with a decode step."),
        ("1,400 ms", True, "Yes: 400 + 20 · 50. The first of the 21 tokens is in TTFT."),
        ("1,450 ms", False, "Nearly: that counts the first token twice, in TTFT and in 21 · TPOT."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "14-quiz-quadratic",
    "You double the prompt. With a fused kernel, what happens to the memory and to the work of attention in prefill?",
    [
        ("Both double", False, "Memory does. But each query still meets each key: four times the pairs."),
        ("Memory doubles, the work becomes four times as much", True, "Yes: the scores are computed, but not kept."),
        ("Both become four times as much", False, "That's the naive way, where all scores are written down."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "14-quiz-batch",
    "A server's owner doubles the largest batch. Throughput rises by half. What do its users notice?",
    [
        ("Nothing", False, "A step gives a token to twice as many texts, but takes longer: 2 / 1.5 times as long."),
        ("Words come more slowly, but perhaps the wait before them is shorter", True, "Yes: TPOT rises by a third. "
         "TTFT can fall if people had to queue before."),
        ("Everything is faster", False, "Throughput counts everyone's tokens. One user's come more slowly."),
    ],
)  # fmt: skip

# %% [markdown]
# ## Take-aways
#
# - TTFT and TPOT are one user's numbers, throughput is the owner's, and total = TTFT + (*n* − 1) · TPOT.
# - Weights and KV cache can be predicted to the byte. The cache grows in a straight line; only naive scores grow with
#   the square, and fused kernels never write them down.
# - A batch shares the weights, and never the caches. It buys throughput, and so cheaper tokens, with latency.
# - A decode step slows down as the text grows, because the cache has to be read.
# - VRAM is divided between weights, users and context. FLOPs and bytes give bounds: measure how far you are from them.
#
# **Exercise**: [14 · Speed and memory in practice](../exercises/14_speed_and_memory_in_practice.ipynb). **Deeper**:
# [batching and serving](deeper/14_batching_and_serving.ipynb), [number formats](deeper/14_number_formats.ipynb),
# [faster and constrained decoding](deeper/14_faster_and_constrained_decoding.ipynb). **All lessons**: [the
# index](index.ipynb).
#
# **Next**: [15 · Capstone: your own `generate()`](15_your_own_generate.ipynb) lets you put everything together in a
# `generate()` of your own, and scores it on these numbers.
