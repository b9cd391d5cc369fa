# %% [markdown]
# # Deeper 10 · The roofline
#
# “Prefill is compute-bound, decode is memory-bound.” You read it everywhere. Here you measure how much of it is true on
# the machine in front of you.
#
# **You will be able to**
#
# - calculate the arithmetic intensity of a step, and draw it under a machine's roofline;
# - say how far below the roof a real step stays, and name one reason;
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
from course_utils.measuring.roofline import measured_rates

rates = measured_rates()
print(f"{rates.flops / 1e9:.0f} GFLOP/s, {rates.bandwidth / 1e9:.0f} GB/s, ridge {rates.balance:.1f} FLOPs per byte")

# %% [markdown]
# A decode step of SmolLM2 has 0.5 FLOPs per byte, below the ridge. If it ran as fast as memory delivers, what share of
# the arithmetic would it use? Guess what it really uses.

# %%
from course_utils.learner import predict

share = predict(
    "10-decode-share",
    "What share of this machine's GFLOP/s does a decode step reach?",
    {"over half": (0.5, None), "a fifth to a half": (0.2, 0.5), "less than a fifth": (0, 0.2)},
)
share

# %% tags=["recorded"]
from importlib.resources import files

from course_utils.engine.prefill_decode import next_logits
from course_utils.measuring.model_shapes import PUBLISHED
from course_utils.measuring.roofline import step_bytes, step_flops
from course_utils.measuring.timing import time_generation
from course_utils.models import load_causal_lm

smollm, shape = load_causal_lm(), PUBLISHED["SmolLM2-135M"]
model = smollm.model
ids = smollm.encode((files("course_utils.experiments.texts") / "the_last_ferry.txt").read_text(encoding="utf-8"))
times, points = {}, {}
for name, tokens in {"1 token": 1, "16": 16, "256": 256}.items():
    times[name] = time_generation(lambda mark, n=tokens: (next_logits(model, ids[:, :n], None), mark())).ttft
    flops, read = step_flops(shape, tokens), step_bytes(shape, context=tokens)
    points[name] = flops / read, flops / times[name].median / 1e9
    print(f"{name:7} {points[name][0]:5.1f} FLOPs per byte, {points[name][1]:4.0f} GFLOP/s,", end=" ")
    print(f"{read / times[name].median / 1e9:4.1f} GB/s; {times[name]}")
assert points["1 token"][1] < points["16"][1] < points["256"][1]

# %% tags=["recorded"]
share.compare(points["1 token"][1] / (rates.flops / 1e9), show="{:.1%}")

# %% [markdown]
# ## 2 · The roof
#
# The same numbers in one picture. The line is the roof: its slope is memory, its flat part is arithmetic (Williams,
# Waterman and Patterson 2009, *Roofline*).

# %% tags=["recorded"]
from course_utils import figures

figures.roofline(points, gigaflops=rates.flops / 1e9, gigabytes=rates.bandwidth / 1e9)

# %% [markdown]
# The step with one token is under the slope, where memory is the limit, and the one with 256 under the flat part. But
# neither touches the roof. The roof is what *can't* be passed; nothing says that a program gets there.
#
# Why does the decode step stay below the slope? A sum reads memory in the easiest way. A step multiplies 211 matrices
# by one vector each, one after the other, with small operations in between. Time those products alone, on the model's
# own matrices:

# %% tags=["recorded"]
matrices = [weight for layer in model.model.layers for weight in layer.parameters() if weight.dim() == 2]
matrices.append(model.lm_head.weight)
vectors = {width: torch.ones(width) for width in {matrix.shape[1] for matrix in matrices}}


@torch.inference_mode()
def products(mark):
    for matrix in matrices:
        matrix @ vectors[matrix.shape[1]]
    mark()


alone = time_generation(products).ttft
read = sum(matrix.nbytes for matrix in matrices)
print(f"{len(matrices)} products read {read / 1e6:.0f} MB in {alone}, {read / alone.median / 1e9:.1f} GB/s")
print(f"a sum would take {read / rates.bandwidth * 1000:.1f} ms, the whole step takes {times['1 token']}")

# %% [markdown]
# Compare the three times. What lies between the sum and the products is what a product of a matrix and one vector loses
# against a plain read. What lies between the products and the whole step is everything else: norms, rotation,
# attention, Python.
#
# ## 3 · Attention and the length of the text
#
# In the lesson's timeline, the step called *attend* ran whole layers: attention, and then an MLP that works on each
# token alone. Time the two apart. The MLPs do the same work whatever came before. For attention, the new token is
# compared with all of it. The cache is filled with random numbers: their values don't change the time.

# %% tags=["recorded"]
from course_utils.measuring.phases import module_seconds
from transformers import DynamicCache

layers = model.model.layers
halves = {"attention": [layer.self_attn for layer in layers], "MLPs": [layer.mlp for layer in layers]}


@torch.inference_mode()
def parts_of_a_step(context, repeats=5):
    """The median seconds of attention and MLPs in one decode step after so many tokens."""
    cache = DynamicCache(config=model.config)
    for number in range(len(layers)):
        cache.update(torch.randn(1, 3, context, 64), torch.randn(1, 3, context, 64), number)
    spent = []
    for _ in range(repeats + 1):
        with module_seconds(halves) as parts:
            model.model(ids[:, :1], past_key_values=cache)
        spent.append(list(parts.values()))
    return torch.tensor(spent[1:]).median(dim=0).values.tolist()


for context in (128, 1024, 4096):
    attention, mlps = parts_of_a_step(context)
    print(f"after {context:5,} tokens: attention {attention * 1000:5.1f} ms, MLPs {mlps * 1000:5.1f} ms")

# %% [markdown]
# The MLPs do the same work in all three rows, so their times tell you how steady the machine was. Attention grows, for
# two reasons that this measurement doesn't separate: the new token reads all keys and values, and this simple cache
# makes a longer copy of itself in every step. Servers avoid the copy by keeping the cache in pages (Kwon et al. 2023,
# *Efficient Memory Management for Large Language Model Serving with PagedAttention*).
#
# ## 4 · Many texts at once
#
# If a step must read all the weights anyway, let it serve many texts. Count the intensity of a decode step for more and
# more texts, in 16 bits, each with 100 or 4,000 tokens behind it:

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
# - A decode step stays below the slope. One reason: multiplying a matrix by one vector reads more slowly than a sum.
# - Attention's part of a decode step grows with the text; the MLPs' part doesn't.
# - A batch shares the weights, and never the caches.
#
# **Back to** [10 · Prefill and decode](../10_prefill_and_decode.ipynb). **All lessons**: [the index](../index.ipynb).
