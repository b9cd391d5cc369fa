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
# - explain why a model that was rounded before can't be used for such a test;
# - time a format, and find out what its speed costs, and why.
#
# **Time**: 15 minutes. **Read before**: [14 · Speed and memory in practice](../14_speed_and_memory_in_practice.ipynb).

# %% [markdown]
# ## 1 · Fewer bits by hand
#
# **bf16** keeps 16 bits: the range of fp32, with fewer digits. **int8** keeps a whole number from −127 to 127, and one
# scale for a whole row of a matrix. Here are six weights of MiniLM, the course's encoder, on their way there and back:

# %%
from course_utils.models import load_encoder

minilm = load_encoder()
weights = minilm.model.encoder.layer[0].intermediate.dense.weight.data

# %% tags=["nbval-check-output"]
from course_utils.measuring.number_formats import quantise_4bit, quantise_absmax

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
# ## 2 · What it does to a model
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
# All formats get the same texts. In the last four, compare those of equal bits: only one thing differs between them,
# how many weights share a scale.

# %%
formats = {
    "bf16": lambda weights: weights.bfloat16().float(),
    "4 bits, scale and minimum per 32": lambda weights: quantise_4bit(weights).dequantise(),
    "4 bits, scale per 32": lambda weights: quantise_absmax(weights, bits=4, group=32).dequantise(),
    "4 bits, scale per row": lambda weights: quantise_absmax(weights, bits=4).dequantise(),
    "int8, scale per row": lambda weights: quantise_absmax(weights).dequantise(),
    "int8, scale per matrix": lambda weights: quantise_absmax(weights.view(1, -1)).dequantise().view_as(weights),
}

# %%
from course_utils.experiments.small_reviews import small_reviews
from course_utils.measuring.number_formats import rounded_weights

texts = small_reviews("test").texts
vectors = {"fp32": minilm.embed(texts)}
for name, round_trip in formats.items():
    with rounded_weights(minilm.model, round_trip):
        vectors[name] = minilm.embed(texts)


# %%
def nearest(vectors):
    """For each text, which other text is nearest."""
    return (vectors @ vectors.T).fill_diagonal_(-1).argmax(-1)


# %% tags=["nbval-check-output"]
from course_utils.experiments.intervals import bootstrap_interval, wilson_interval

stays = {name: (nearest(rounded) == nearest(vectors["fp32"])).sum().item() for name, rounded in vectors.items()}
for name, rounded in vectors.items():
    cosines = (rounded * vectors["fp32"]).sum(-1)
    (low, high), (least, most) = bootstrap_interval(cosines.tolist()), wilson_interval(stays[name], len(texts))
    print(f"{name:33} cosine {cosines.mean():.3f} ({low:.3f}–{high:.3f}),", end=" ")
    print(f"same nearest {stays[name] / len(texts):.0%} ({least:.0%}–{most:.0%})")

# %% tags=["nbval-check-output"]
same_nearest.compare(stays["4 bits, scale and minimum per 32"] / len(texts), show="{:.0%}")

# %% [markdown]
# The brackets are 95 % intervals over the 120 texts. bf16 changes nothing here, and int8 with a scale per row little.
# In 4 bits and groups of 32, about a fifth of the reviews get another neighbour. But look at the scales. With one for a
# whole row, 4 bits lose twice as many neighbours. With one for a whole matrix, even *8* bits do no better than 4 bits
# in groups: one large weight makes the scale coarse for all that share it. So “it's a 4-bit model” says how large a
# model is, and not how good.
#
# One small encoder and one kind of text: larger models are often less sensitive, and methods that look at data while
# they round lose less (Frantar et al. 2022, *GPTQ*).
#
# ## 3 · A model that was rounded before
#
# Why not try this on SmolLM2? Watch what our 4-bit format does to its weights.

# %% tags=["nbval-check-output"]
import torch
from course_utils.measuring.number_formats import linear_weights
from course_utils.models import load_causal_lm

smollm = load_causal_lm()
matrices = [weight.data for weight in linear_weights(smollm.model).values()]
unchanged = sum(torch.equal(quantise_4bit(matrix).dequantise(), matrix) for matrix in matrices)
print(f"unchanged by our 4 bits: {unchanged} of {len(matrices)} matrices of SmolLM2")

# %% tags=["nbval-check-output"]
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
# `torch.ao`. For *speed*, SmolLM2 will do: a clock doesn't care where weights have been.

# %%
int8 = predict(
    "14-int8",
    "int8 has a quarter of the bytes of fp32. A decode step in int8 takes … of the time",
    {"a third or less": (0, 0.34), "a third to two thirds": (0.34, 0.67), "more than two thirds": (0.67, None)},
)
int8

# %%
from course_utils.measuring.number_formats import in_int8, linear_bytes
from course_utils.traces.speed_run import in_format

models = {"fp32": smollm.model, "bf16": in_format(smollm.model, "bf16"), "int8": in_int8(smollm.model)}

# %%
from course_utils.engine.prefill_decode import decode_step, prefill
from course_utils.experiments.drawn_texts import opening_tokens
from transformers import DynamicCache

openings = torch.cat(opening_tokens(smollm), dim=1)[:, :20]


def decoding(model, new_tokens=8):
    def run(mark):
        logits, cache = prefill(model, openings[:1], DynamicCache(config=model.config))
        mark()
        for _ in range(new_tokens - 1):
            logits = decode_step(model, logits.argmax(-1), cache)
            mark()

    return run


# %% [markdown]
# All three run the same code, the forward pass of `transformers`. The bytes are those of the linear layers, which a
# step has to read.

# %% tags=["recorded"]
from course_utils.measuring.timing import time_generations_in_turn

timings = time_generations_in_turn({name: decoding(model) for name, model in models.items()}, repeats=5)
for name, timing in timings.items():
    share = timing.tpot.median / timings["fp32"].tpot.median
    print(f"{name}: {linear_bytes(models[name]) / 1e6:3.0f} MB, TPOT {timing.tpot}, {share:.2f} of fp32's")

# %% tags=["recorded"]
int8.compare(timings["int8"].tpot.median / timings["fp32"].tpot.median, show="{:.2f}")

# %% [markdown]
# The bytes are the same everywhere. The times are those of one machine: a processor with instructions for bf16 and for
# 8-bit products gains, and one without them can even lose. So ask the clock.
#
# ## 5 · The price of speed
#
# What does this fast int8 cost? Let it read the openings of 24 stories, 20 tokens each. At every place, note how many
# bits the next token surprises it, and which token it would have chosen.
#
# It rounds two things: the weights, with one scale per matrix, and the hidden states, with one scale for all tokens of
# a step. To tell them apart, one more model has the weights of int8, but multiplies in fp32. And int8 itself reads each
# text twice: token by token, as in decode, and all at once, as in prefill.

# %%
from course_utils.experiments.surprisal import surprisal_bits


@torch.inference_mode()
def reading(model, per_step):
    """The mean surprisal of each text, and the choice at every place, with so many tokens read per step."""
    logits = []
    for text in openings:
        cache = DynamicCache(config=smollm.model.config)
        steps = text[None, :-1].split(per_step, dim=1)
        logits.append(torch.cat([model(step, past_key_values=cache).logits for step in steps], dim=1))
    logits = torch.cat(logits).float()
    return surprisal_bits(logits, openings[:, 1:]).mean(1), logits.argmax(-1)


bits, chosen = reading(smollm.model, per_step=20)


# %%
def price(name, model, per_step=20):
    """Print what this model loses against fp32, text by text."""
    its_bits, its_choice = reading(model, per_step)
    columns = its_bits - bits, (its_choice == chosen).float().mean(1)
    (low, high), (least, most) = (bootstrap_interval(column.tolist()) for column in columns)
    print(f"{name:18} {columns[0].mean():+.2f} bits per token ({low:+.2f} to {high:+.2f}),", end=" ")
    print(f"the same choice at {columns[1].mean():.0%} of the places ({least:.0%}–{most:.0%})")


# %% tags=["recorded"]
price("bf16", models["bf16"])

# %% tags=["recorded"]
from course_utils.measuring.number_formats import int8_weights_only

price("int8, weights only", int8_weights_only(smollm.model))

# %% tags=["recorded"]
price("int8, one by one", models["int8"], per_step=1)
price("int8, all at once", models["int8"])

# %% [markdown]
# The intervals are over the 24 texts, each compared with itself in fp32. bf16 leaves the mean where it was, and still
# changes some choices. A different choice need not be a worse one, but from there on a greedy text is another text; so
# look at both columns before you call a format “lossless”.
#
# Now the last two rows. The same model and the same texts: read all at once, it loses more than a bit per token, and
# most of its choices are others. Read token by token, most of that loss is gone. Only one thing has changed, the number
# of tokens whose hidden states share a scale. It's section 2 once more. (The row above is harder to read, because these
# weights had been rounded before.)
#
# Much larger models have this trouble, too. A few features of their hidden states are so large that they spoil the
# scale of all others; LLM.int8() keeps these few in 16 bits, and multiplies the rest in 8, with a scale for each token
# (Dettmers et al. 2022).
#
# ## Take-aways
#
# - Fewer bits save memory for certain. Scales count, too: 4 bits are 5.
# - What a format costs depends on its scales, not on its bits alone. Measure it on weights that were never rounded.
# - Speed comes from programs that multiply with the small numbers. What that costs, measure on the same program.
#
# **Back to** [14 · Speed and memory in practice](../14_speed_and_memory_in_practice.ipynb). **Also deeper**: [batching
# and serving](14_batching_and_serving.ipynb). **All lessons**: [the index](../index.ipynb).
