# %% [markdown]
# # Deeper 10 · The roofline
#
# “Prefill is compute-bound, decode is memory-bound.” You read it everywhere. Here you measure how much of it is true on
# the machine in front of you.
#
# **You will be able to**
#
# - calculate the arithmetic intensity of a step, and draw it under a machine's roofline;
# - say how far below the roof a real step stays, and find out where the time goes;
# - measure how attention's share of a decode step grows with the text.
#
# **Time**: 15 minutes. **Read before**: [10 · Prefill and decode](../10_prefill_and_decode.ipynb).

# %% [markdown]
# ## 1 · Two speeds of a machine
#
# How many FLOPs can this machine do in a second, and how many bytes can it read? Measure both: a large matrix product,
# and a sum over a large array.

# %% tags=["recorded"]
import torch
from course_utils.learner import predict
from course_utils.measuring.roofline import measured_rates

rates = measured_rates()
print(f"{rates.flops / 1e9:.0f} GFLOP/s, {rates.bandwidth / 1e9:.0f} GB/s, ridge {rates.balance:.1f} FLOPs per byte")

# %% [markdown]
# A decode step of SmolLM2 does 0.5 FLOPs per byte, below the ridge, so it waits for memory. How much of the machine's
# arithmetic does it use all the same?

# %%
share = predict(
    "10-decode-share",
    "What share of this machine's GFLOP/s does a decode step reach?",
    {"over half": (0.5, None), "a fifth to a half": (0.2, 0.5), "less than a fifth": (0, 0.2)},
)
share

# %%
from importlib.resources import files

from course_utils.engine.prefill_decode import next_logits
from course_utils.measuring.model_shapes import PUBLISHED
from course_utils.measuring.roofline import step_bytes, step_flops
from course_utils.measuring.timing import time_in_turn
from course_utils.models import load_causal_lm

smollm, shape = load_causal_lm(), PUBLISHED["SmolLM2-135M"]
model = smollm.model
ids = smollm.encode((files("course_utils.experiments.texts") / "the_last_ferry.txt").read_text(encoding="utf-8"))

# %%
counts = {"1 token": 1, "16 tokens": 16, "256 tokens": 256}
times = time_in_turn({name: lambda n=tokens: next_logits(model, ids[:, :n], None) for name, tokens in counts.items()})

# %% tags=["recorded"]
points = {}
for name, tokens in counts.items():
    flops, read = step_flops(shape, tokens), step_bytes(shape, context=tokens)
    points[name] = flops / read, flops / times[name].median / 1e9
    print(f"{name:10} {points[name][0]:5.1f} FLOPs per byte, {points[name][1]:4.0f} GFLOP/s,", end=" ")
    print(f"{read / times[name].median / 1e9:4.1f} GB/s; {times[name]}")
assert points["1 token"][1] < points["16 tokens"][1] < points["256 tokens"][1]

# %% tags=["recorded"]
print(f"the most that memory allows: {points['1 token'][0] / rates.balance:.1%}")
share.compare(points["1 token"][1] / (rates.flops / 1e9), show="{:.1%}")

# %% [markdown]
# ## 2 · The roof
#
# The same numbers in one picture, each point with its GFLOP/s. The line is the roof: its slope is memory, its flat part
# is arithmetic, and they meet at the ridge (Williams, Waterman and Patterson 2009, *Roofline*).

# %% tags=["recorded"]
from course_utils import figures

figures.roofline(points, gigaflops=rates.flops / 1e9, gigabytes=rates.bandwidth / 1e9)

# %% [markdown]
# The step with one token is under the slope, where memory is the limit. See how close to the roof each one comes. The
# roof says what a program *can't* pass, as far as our two measurements found the machine's limits. It doesn't say that
# a program gets there.
#
# What does a decode step lose? It multiplies 211 matrices by one vector each, one after the other, with small
# operations in between. Time three things that read the same number of bytes: a sum, those products alone, and the
# whole step.

# %%
matrices = [weight for layer in model.model.layers for weight in layer.parameters() if weight.dim() == 2]
matrices.append(model.lm_head.weight)
vectors = {width: torch.ones(width) for width in {matrix.shape[1] for matrix in matrices}}
numbers = torch.ones(sum(matrix.numel() for matrix in matrices))

# %% tags=["recorded"]
kinds = {
    "a sum": numbers.sum,
    f"{len(matrices)} products": lambda: [matrix @ vectors[matrix.shape[1]] for matrix in matrices],
    "a whole step": lambda: next_logits(model, ids[:, :1], None),
}
with torch.inference_mode():
    spent = time_in_turn(kinds, repeats=7)
for name, seconds in spent.items():
    print(f"{name:12} reads {numbers.nbytes / 1e6:.0f} MB in {seconds}")

# %% [markdown]
# The time between the products and the whole step goes into everything else: norms, rotation, attention, Python. And do
# the products read as fast as the sum? That depends on the machine and its threads, so compare the first two lines.
#
# ## 3 · Attention and the length of the text
#
# In the lesson's timeline, the step called *attend* ran whole layers: attention, and then an MLP that works on each
# token alone. Time the two apart. The MLPs do the same work whatever came before. Attention compares the new token with
# all of it. Here the cache is filled with random numbers, which take as much time as real ones.

# %%
from course_utils.measuring.measurements import spread
from course_utils.measuring.phases import module_seconds
from transformers import DynamicCache

layers = model.model.layers
halves = {"attention": [layer.self_attn for layer in layers], "MLPs": [layer.mlp for layer in layers]}


# %%
def filled_cache(context):
    """A cache as it is after so many tokens."""
    cache = DynamicCache(config=model.config)
    for number in range(len(layers)):
        cache.update(torch.randn(1, 3, context, 64), torch.randn(1, 3, context, 64), number)
    return cache


# %%
caches = {context: filled_cache(context) for context in (128, 1024, 4096)}
spent = {context: [] for context in caches}
for _ in range(8):
    for context, cache in caches.items():  # in turn, as before
        with module_seconds(halves) as parts, torch.inference_mode():
            model.model(ids[:, :1], past_key_values=cache)
        spent[context].append(parts.values())

# %% tags=["recorded"]
found = {context: [spread(seconds) for seconds in zip(*runs[1:], strict=True)] for context, runs in spent.items()}
for context, (attention, mlps) in found.items():
    print(f"after {context:5,} tokens: attention {attention}, MLPs {mlps}")
assert found[128][0].median < found[4096][0].median

# %% [markdown]
# The MLPs do the same work in all three rows, so their times tell you how steady the machine was. Attention grows, for
# two reasons that this measurement doesn't separate: the new token reads all keys and values, and this simple cache
# makes a longer copy of itself in every step. Servers write each new key and value into memory set aside for it, page
# by page (Kwon et al. 2023, *Efficient Memory Management for Large Language Model Serving with PagedAttention*).
#
# ## 4 · Many texts at once
#
# If a step must read all the weights anyway, let it serve many texts. Count the intensity of a decode step for more and
# more texts, in 16 bits, each with 100 or 4,000 tokens so far:

# %% tags=["nbval-check-output"]
for texts in (1, 16, 256):
    each = [step_flops(shape, 1, texts) / step_bytes(shape, context, texts, 2) for context in (100, 4000)]
    print(f"batch of {texts:3}: {each[0]:5.1f} FLOPs per byte after 100 tokens, {each[1]:4.1f} after 4,000")
print(f"the ridge of an H100 (NVIDIA 2023): {989 / 3.35:.0f} FLOPs per byte")

# %% [markdown]
# With short texts, a batch climbs towards the ridge of a GPU. With long ones it doesn't get far, however many there
# are: every text brings its own cache, and no other text uses it. That's counted for a small model and without
# attention's own FLOPs. Measured on GPUs, large batches of several smaller models stayed memory-bound for this reason
# (Recasens et al. 2025, *Mind the Memory Gap*). [Lesson 14](../14_speed_and_memory_in_practice.ipynb) measures what a
# batch gains here.
#
# ## Take-aways
#
# - Arithmetic intensity says which limit applies, memory or arithmetic. It doesn't say how close a program comes.
# - To see what a decode step loses, time its matrix products alone, and a plain sum over as many bytes.
# - Attention's time in a decode step grows with the text; the MLPs' work doesn't.
# - A batch shares the weights, and never the caches.
#
# **Back to** [10 · Prefill and decode](../10_prefill_and_decode.ipynb). **All lessons**: [the index](../index.ipynb).
