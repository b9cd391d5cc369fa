# %% [markdown]
# # Deeper 06 · LoRA inside
#
# LoRA trains a small correction to a model's matrices, and the rest stays as it was. What is in that correction, and
# where does it go when you're done?
#
# **You will be able to**
#
# - write a layer with LoRA, and say why it starts without any effect;
# - count the directions of a correction, and those of a full fine-tuning, and test how many matter;
# - switch a correction off, or add it to the weights for good.
#
# **Time**: 12 minutes. **Read before**: [06 · Pre-training and fine-tuning](../06_pretraining_and_finetuning.ipynb).

# %% [markdown]
# ## 1 · Two thin matrices
#
# A linear layer multiplies by a matrix; in MiniLM, many have 384 × 384 numbers. LoRA leaves the matrix alone and adds
# the product of two thin ones, *b* (384 × 8) and *a* (8 × 384), times a constant (Hu et al., 2021).

# %%
import copy

import torch

from course_utils.experiments.fine_tuning import SentenceClassifier
from course_utils.experiments.four_ways import recorded_rates, task_texts, text_inputs, tuned
from course_utils.experiments.intervals import wilson_interval
from course_utils.learner import predict
from course_utils.models import load_encoder
from course_utils.models.lora import LoraLinear, merge_lora

# %%
torch.manual_seed(0)
layer = LoraLinear(torch.nn.Linear(384, 384), rank=8, alpha=16)
inputs = torch.randn(5, 384)
by_hand = inputs @ layer.base.weight.T + layer.base.bias + inputs @ (layer.lora_b @ layer.lora_a).T * (16 / 8)
assert torch.allclose(by_hand, layer(inputs), atol=1e-5)

# %% tags=["nbval-check-output"]
print(f"matrix {layer.base.weight.numel():,} numbers, correction {layer.lora_a.numel() + layer.lora_b.numel():,}")
print("before training, the layer's output is unchanged:", torch.equal(layer(inputs), layer.base(inputs)))

# %% [markdown]
# *b* starts at 0, so the product is 0, too: training begins at exactly the model that was there. The constant is alpha
# / rank, here 2.
#
# ## 2 · How many directions?
#
# Train on word order, as in lesson 06: once with LoRA, once with all weights. (One run of each, an illustration.)

# %%
encoder = load_encoder()
texts, classes = task_texts("order", "train")
text_ids, rates = text_inputs(encoder, texts), recorded_rates("order")
lora, full = (tuned(way, encoder, text_ids, classes, rates[way], seed=0) for way in ("LoRA", "all weights"))
print({way: rates[way] for way in ("LoRA", "all weights")})

# %% [markdown]
# What did each add to a matrix? A **singular value decomposition** takes the change apart into directions, the largest
# first. For each matrix, count how many of its 384 directions it takes to hold 99 % of the change.

# %%
directions = predict(
    "06-directions",
    "All weights were trained. How many of 384 directions hold 99 % of the change, in the median matrix?",
    {"8 or fewer, as with LoRA": (0, 9), "9 to 100": (9, 101), "more than 100": (101, 385)},
)
directions


# %%
def needed_directions(sizes):
    """How many singular values, largest first, hold 99 % of the sum of their squares."""
    share = sizes.square().cumsum(0) / sizes.square().sum()
    return int((share < 0.99).sum()) + 1


# %%
names = [name for name, part in lora.encoder.named_modules() if isinstance(part, LoraLinear)]
counts, taken_apart = {"LoRA": [], "all weights": []}, {}
with torch.no_grad():
    for name in names:
        part = lora.encoder.get_submodule(name)
        counts["LoRA"].append(needed_directions(torch.linalg.svdvals(part.scale * part.lora_b @ part.lora_a)))
        change = full.encoder.get_submodule(name).weight - encoder.model.get_submodule(name).weight
        taken_apart[name] = torch.linalg.svd(change, full_matrices=False)
        counts["all weights"].append(needed_directions(taken_apart[name].S))

# %%
for way, found in counts.items():
    print(f"{way:12} {len(names)} matrices: from {min(found)} to {max(found)} directions")
assert max(counts["LoRA"]) <= 8
directions.compare(sorted(counts["all weights"])[len(names) // 2])

# %% [markdown]
# LoRA can't have more than 8 directions: a product of two matrices that meet in 8 numbers has no more. Nothing limits
# the other way. In Biderman et al. (2024) the changes of a full fine-tuning needed 10 to 100 times as many directions
# as LoRA usually has.
#
# But does the model use them all? From every change, keep only the largest directions, and test again.


# %%
def right_with(kept):
    """Count the right test texts if every change keeps only its largest directions."""
    cut = copy.deepcopy(full)
    with torch.no_grad():
        for name, (left, sizes, right) in taken_apart.items():
            change = (left[:, :kept] * sizes[:kept]) @ right[:kept]
            cut.encoder.get_submodule(name).weight.copy_(encoder.model.get_submodule(name).weight + change)
        return int((cut(**text_inputs(encoder, test_texts)).argmax(-1) == test_classes).sum())


# %%
(test_texts, test_classes), found = task_texts("order", "test"), {}
for kept in (384, 8, 1, 0):
    found[kept] = right_with(kept)
    low, high = wilson_interval(found[kept], 240)
    print(f"largest {kept:3} kept: {found[kept]} of 240 texts right, interval {low:.0%} to {high:.0%}")
assert found[1] > found[0] + 40

# %% [markdown]
# It doesn't, in this run: the one largest direction of each matrix does as well as all of them. With none, what's left
# of the training (head, biases, embeddings) is close to guessing. So a change may need many directions to be described,
# and few to do its work. Hu et al. (2021) saw something like it with GPT-3: on two datasets, a rank of 1 did nearly as
# well as larger ones, if two matrices of each attention ([lesson 08](../08_attention.ipynb)) had a correction. Our task
# is small. A harder one may need more.
#
# ## 3 · Switch it off, or add it in
#
# The old encoder is untouched underneath. Set the scale of every correction to 0, and its vectors are back.

# %%
few = {name: rows[:20] for name, rows in text_ids.items()}
corrections = [part for part in lora.modules() if isinstance(part, LoraLinear)]
with torch.no_grad():
    before, after = SentenceClassifier(encoder.model, classes=2).vectors(**few), lora.vectors(**few)


# %% tags=["nbval-check-output"]
@torch.no_grad()
def vectors_with(scale):
    """The encoder's vectors if every correction counts this much."""
    for part in corrections:
        part.scale = scale
    return lora.vectors(**few)


print(f"{len(corrections)} corrections")
print("off: the old vectors:", torch.allclose(vectors_with(0), before, atol=1e-5))
print("on again: the new ones:", torch.allclose(vectors_with(16 / 8), after, atol=1e-5))

# %% [markdown]
# So one encoder in memory can serve many tasks, each with its own small file. That's how this course ships its heads
# for names, feelings, questions and masked words. The last one has the highest rank, 64. Part of the text it learned
# from was written by SmolLM2: training a small model on what a larger one writes is a kind of *distillation* (Kim and
# Rush, 2016). Its card, `course_utils/models/heads/mlm/README.md`, lists all it read, and what it still gets wrong.
#
# If there's only one task, add the product
# to the matrix for good: `weight + scale · b · a`. The result is a plain model that's as fast as the first one.

# %% tags=["nbval-check-output"]
merge_lora(lora)
with torch.no_grad():
    merged = lora.vectors(**few)
print("layers with a correction:", sum(isinstance(part, LoraLinear) for part in lora.modules()))
print("the same vectors:", torch.allclose(merged, after, atol=1e-4))

# %% [markdown]
# ## Take-aways
#
# - A correction starts at 0, so training starts from the old model.
# - It has at most as many directions as its rank. On our small task, one direction per matrix did the work.
# - It can be switched off, exchanged, or merged into the weights.
#
# **Back to** [06 · Pre-training and fine-tuning](../06_pretraining_and_finetuning.ipynb). **Also deeper**:
# [forgetting](06_forgetting.ipynb). **All lessons**: [the index](../index.ipynb).
