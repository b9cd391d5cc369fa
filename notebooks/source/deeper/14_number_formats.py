# %% [markdown]
# # Deeper 14 · Number formats
#
# A weight in fp32 has 32 bits. Does it need them? Fewer bits always save memory. What they do to quality and to speed
# are two other questions, and you can only measure them.
#
# **You will be able to**
#
# - quantise weights to 8 and to 4 bits, and count their bytes;
# - measure what a format does to an encoder's vectors, with intervals;
# - explain why a model that was rounded before is no subject for such a test;
# - time a format, and find out what its speed costs.
#
# **Time**: 15 minutes. **Read before**: [14 · Speed and memory in practice](../14_speed_and_memory_in_practice.ipynb).

# %% [markdown]
# ## 1 · Fewer bits by hand
#
# **bf16** keeps 16 bits: the range of fp32, with fewer digits. **int8** keeps a whole number from −127 to 127, and one
# scale for a whole row of a matrix. Here are six weights of MiniLM, the course's encoder, on their way there and back:

# %% tags=["nbval-check-output"]
from course_utils.measuring.number_formats import quantise_4bit, quantise_absmax
from course_utils.models import load_encoder

minilm = load_encoder()
weights = minilm.model.encoder.layer[0].intermediate.dense.weight.data
small = quantise_absmax(weights, bits=8)
print("fp32", [round(number, 4) for number in weights[0, :6].tolist()])
print("bf16", [round(number, 4) for number in weights[0, :6].bfloat16().tolist()])
print("int8", small.numbers[0, :6].tolist(), f"× {small.scales[0].item():.5f}")
print("back", [round(number, 4) for number in small.dequantise()[0, :6].tolist()])

# %% [markdown]
# With 4 bits there are only 16 numbers, so one scale for a whole row would be too coarse. Let 32 neighbours share a
# scale and a minimum, and put two numbers into a byte. This is the format Q4_1 of llama.cpp.

# %% tags=["nbval-check-output"]
tiny = quantise_4bit(weights, group=32)
for name, kept in (("int8", small), ("4 bits", tiny)):
    moved = (kept.dequantise() - weights).abs().mean() / weights.abs().mean()
    print(f"{name:6} {kept.nbytes * 8 / weights.numel():5.2f} bits per weight; the mean weight moves by {moved:.1%}")

# %% [markdown]
# Scales and minima count, too: “4 bits” are 5.
#
# ## 2 · What the model makes of it
#
# Nobody reads weights. MiniLM turns a text into a vector, and people search with such vectors. So: 120 short reviews,
# and for each the review that is nearest to it. In how many cases does the nearest one stay the same when every linear
# layer is rounded?

# %%
from course_utils.learner import predict

same_nearest = predict(
    "14-nearest",
    "MiniLM in 4 bits, with a scale and a minimum per 32 weights. The nearest review stays the same for …",
    {"less than 70 %": (0, 0.7), "70 to 95 %": (0.7, 0.95), "more than 95 %": (0.95, None)},
)
same_nearest

# %% [markdown]
# Every format gets the same texts. The last two have 4 bits as well, but without a minimum, and with a coarser scale.

# %% tags=["nbval-check-output"]
import torch
from course_utils.experiments.intervals import bootstrap_interval, wilson_interval
from course_utils.experiments.small_reviews import small_reviews
from course_utils.measuring.number_formats import rounded_weights

texts = small_reviews("test").texts
formats = {
    "fp32": lambda weights: weights,
    "bf16": lambda weights: weights.bfloat16().float(),
    "int8": lambda weights: quantise_absmax(weights).dequantise(),
    "4 bits, scale and minimum per 32": lambda weights: quantise_4bit(weights).dequantise(),
    "4 bits, scale per 32": lambda weights: quantise_absmax(weights, bits=4, group=32).dequantise(),
    "4 bits, scale per row": lambda weights: quantise_absmax(weights, bits=4).dequantise(),
}
vectors = {}
for name, round_trip in formats.items():
    with rounded_weights(minilm.model, round_trip):
        vectors[name] = minilm.embed(texts)


# %% tags=["nbval-check-output"]
def nearest(vectors):
    """For each text, which other text is nearest."""
    return (vectors @ vectors.T).fill_diagonal_(-1).argmax(-1)


stays = {}
for name, rounded in vectors.items():
    cosines = (rounded * vectors["fp32"]).sum(-1)
    stays[name] = (nearest(rounded) == nearest(vectors["fp32"])).sum().item()
    low, high = bootstrap_interval(cosines.tolist())
    least, most = wilson_interval(stays[name], len(texts))
    print(f"{name:33} cosine {cosines.mean():.3f} ({low:.3f}–{high:.3f}),", end=" ")
    print(f"same nearest {stays[name] / len(texts):.0%} ({least:.0%}–{most:.0%})")
assert stays["fp32"] == len(texts)

# %% tags=["nbval-check-output"]
same_nearest.compare(stays["4 bits, scale and minimum per 32"] / len(texts), show="{:.0%}")

# %% [markdown]
# The brackets are 95 % intervals over the 120 texts. bf16 changes nothing here, and int8 little. In 4 bits about a
# fifth of the reviews get another neighbour, and with one scale per row about four in ten: as many bits for each
# number, and a coarser grid. So “it's a 4-bit model” says how large a model is, and not how good.
#
# One small encoder and one kind of text: larger models are often less sensitive, and methods that look at data while
# they round lose less (Frantar et al. 2022, *GPTQ*).
#
# ## 3 · A model that was rounded before
#
# Why not try this on SmolLM2? Watch what our 4-bit format does to its weights.

# %% tags=["nbval-check-output"]
from course_utils.measuring.number_formats import linear_weights
from course_utils.models import load_causal_lm

smollm = load_causal_lm()
matrices = [weight.data for weight in linear_weights(smollm.model).values()]
unchanged = sum(torch.equal(quantise_4bit(matrix).dequantise(), matrix) for matrix in matrices)
print(f"unchanged by our 4 bits: {unchanged} of {len(matrices)} matrices of SmolLM2")
for name, matrix in (("SmolLM2", matrices[0]), ("MiniLM", weights)):
    groups = matrix[:48].reshape(-1, 32)
    print(f"{name:7}: at most {max(len(group.unique()) for group in groups)} different values in a group of 32")

# %% [markdown]
# Nothing moves, not by a single bit. That's not a miracle of the format. The course's SmolLM2 comes from a file in
# Q4_1, and it was unpacked to fp32 on your machine. The rounding happened before you got it, and what it cost can't be
# seen in these weights any more. A second rounding to the same grid is free, and one to another grid adds a loss of its
# own. So don't test formats on a model unless you know where its weights have been.
#
# ## 4 · And the speed?
#
# `rounded_weights` makes nothing faster: it turns the weights back into fp32 before anything is multiplied. To be
# faster, a program must multiply with the small numbers themselves. torch can do that in bf16, and in int8 with
# `torch.ao`, which rounds the hidden states as well. For *speed*, SmolLM2 will do: a clock doesn't care where weights
# have been.

# %%
int8 = predict(
    "14-int8",
    "int8 has a quarter of the bytes of fp32. A decode step in int8 takes … of the time",
    {"a third or less": (0, 0.34), "a third to two thirds": (0.34, 0.67), "more than two thirds": (0.67, None)},
)
int8

# %% [markdown]
# All three run the same code, the forward pass of `transformers`. The bytes are those of the linear layers, which a
# step has to read.


# %% tags=["recorded"]
from course_utils.engine.prefill_decode import decode_step, prefill
from course_utils.experiments.drawn_texts import opening_tokens
from course_utils.measuring.number_formats import in_int8, linear_bytes
from course_utils.measuring.timing import time_generations_in_turn
from course_utils.traces.speed_run import in_format
from transformers import DynamicCache

openings = torch.cat(opening_tokens(smollm), dim=1)
models = {"fp32": smollm.model, "bf16": in_format(smollm.model, "bf16"), "int8": in_int8(smollm.model)}


def decoding(model, new_tokens=8):
    def run(mark):
        logits, cache = prefill(model, openings[:1], DynamicCache(config=model.config))
        mark()
        for _ in range(new_tokens - 1):
            logits = decode_step(model, logits.argmax(-1), cache)
            mark()

    return run


timings = time_generations_in_turn({name: decoding(model) for name, model in models.items()}, repeats=5)
for name, timing in timings.items():
    share = timing.tpot.median / timings["fp32"].tpot.median
    print(f"{name}: {linear_bytes(models[name]) / 1e6:3.0f} MB, TPOT {timing.tpot}, {share:.2f} of fp32's")

# %% tags=["recorded"]
int8.compare(timings["int8"].tpot.median / timings["fp32"].tpot.median, show="{:.2f}")

# %% [markdown]
# The bytes are the same everywhere. The times are those of one machine: a processor with instructions for bf16 and for
# 8-bit products gains, one without them can even lose. So ask the clock.
#
# And what does the speed cost? Let each model read the openings of 24 stories, 40 tokens each, one text at a time. At
# every place, note how many bits the next token surprises it, and which token it would have chosen.


# %% tags=["recorded"]
from course_utils.experiments.surprisal import surprisal_bits


@torch.inference_mode()
def reading(model):
    logits = torch.cat([model(text[None]).logits[:, :-1] for text in openings]).float()
    return surprisal_bits(logits, openings[:, 1:]).mean(1), logits.argmax(-1)


bits, chosen = reading(models["fp32"])
for name in ("bf16", "int8"):
    its_bits, its_choice = reading(models[name])
    more, same = its_bits - bits, (its_choice == chosen).float().mean(1)
    ends = [bootstrap_interval(values.tolist()) for values in (more, same)]
    print(f"{name}: {more.mean():+.3f} bits per token ({ends[0][0]:+.3f} to {ends[0][1]:+.3f}),", end=" ")
    print(f"the same choice at {same.mean():.0%} of the places ({ends[1][0]:.0%}–{ends[1][1]:.0%})")

# %% [markdown]
# The intervals are over the 24 texts, each compared with itself in fp32. A different choice need not be a worse one,
# but from there on a greedy text is another text. The mean surprisal hides this, so look at both before you call a
# format “lossless”.
#
# Why does int8 change more here than in section 2? There only weights were rounded, here the hidden states are as well.
# In models of billions of parameters, a few of their features are so large that they spoil the scale of all others.
# LLM.int8() keeps these few in 16 bits, and multiplies the rest in 8 (Dettmers et al. 2022).
#
# ## Take-aways
#
# - Fewer bits save memory for certain. Scales count, too: 4 bits are 5.
# - What a format costs depends on its grid, not on its bits alone. Measure it on weights that were never rounded.
# - Speed comes from programs that multiply with the small numbers, and it has a price that a mean can hide.
#
# **Back to** [14 · Speed and memory in practice](../14_speed_and_memory_in_practice.ipynb). **Also deeper**: [batching
# and serving](14_batching_and_serving.ipynb). **All lessons**: [the index](../index.ipynb).
