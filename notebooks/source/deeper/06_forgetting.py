# %% [markdown]
# # Deeper 06 · Forgetting
#
# Fine-tuning changes the weights that hold what a model already knows. Nothing in its loss asks for that to be kept.
# How much is lost, and what helps?
#
# **You will be able to**
#
# - measure what a second training costs, on text that was held out from the first;
# - say what the measured loss has to be compared with;
# - try the simplest cure, and measure what it costs.
#
# **Time**: 12 minutes. **Read before**: [06 · Pre-training and fine-tuning](../06_pretraining_and_finetuning.ipynb).

# %% [markdown]
# ## 1 · Two texts, one after the other
#
# Take the tiny model of lesson 06 and its story. Train it for 200 steps. Then train the same model for 200 steps on
# something else: the Universal Declaration of Human Rights in English. What becomes of its loss on the story?

# %%
import copy
from importlib.resources import files

import torch

from course_utils import figures
from course_utils.experiments.characters import Characters, write_on
from course_utils.experiments.human_rights import human_rights
from course_utils.experiments.intervals import bootstrap_interval
from course_utils.experiments.tiny_training import (
    cut_windows,
    mean_loss,
    new_tiny_model,
    random_windows,
    train_tiny_model,
)
from course_utils.learner import predict

# %% tags=["nbval-check-output"]
story = (files("course_utils.experiments.texts") / "the_last_ferry.txt").read_text(encoding="utf-8")
rights = " ".join(human_rights()["English"])
characters = Characters(story + rights)
print(f"{len(characters)} different characters")

# %% tags=["nbval-check-output"]
train, held_out = {}, {}
for name, text in (("story", story), ("rights", rights)):
    ids = characters.encode(text)
    border = round(0.7 * len(ids))
    train[name], held_out[name] = ids[:border], cut_windows(ids[border:])
    print(f"{name:7} {len(train[name]):,} characters to train on, {len(held_out[name])} held-out pieces")

# %%
model = new_tiny_model(len(characters))
first = train_tiny_model(model, random_windows(train["story"], windows=12, seed=0), held_out["story"], steps=200)
before = copy.deepcopy(model)
print(f"loss on the story after training on it: {first.held_out[200]:.1f}")
print(write_on(model, characters, "The captain ", characters=120, seed=1))

# %%
lost = predict(
    "06-forgetting",
    "200 steps on another English text: the loss on the story …",
    ["falls further, it's the same language", "stays within 0.2", "rises by more than 0.2"],
)
lost

# %%
batches = random_windows(train["rights"], windows=12, seed=1)
forgetful = train_tiny_model(model, batches, held_out["story"], steps=200).held_out
rise = forgetful[200] - forgetful[0]
lost.compare(lost.options[2] if rise > 0.2 else lost.options[1] if rise > -0.2 else lost.options[0])

# %%
print(write_on(model, characters, "The captain ", characters=120, seed=1))

# %% [markdown]
# The captain now speaks of rights. To lose an old skill while a new one is trained is called **catastrophic
# forgetting**; McCloskey and Cohen (1989) described it in networks that learned sums.
#
# ## 2 · Compared with what?
#
# Alone, this loss says little. Compare it with that of two other models: the same one before it was trained again, and
# one that was trained on the rights only, and has never seen the story.

# %%
stranger = new_tiny_model(len(characters))
batches = random_windows(train["rights"], windows=12, seed=1)
never = train_tiny_model(stranger, batches, held_out["story"], steps=200).held_out

# %% [markdown]
# And a cure, the simplest there is: **replay**. Each step gets the same 12 pieces of the new text, and four pieces of
# the old one beside them.

# %%
replaying = copy.deepcopy(before)
new_pieces, old_pieces = random_windows(train["rights"], 12, seed=1), random_windows(train["story"], 4, seed=2)
both = (torch.cat(pair) for pair in zip(new_pieces, old_pieces, strict=True))
replayed = train_tiny_model(replaying, both, held_out["story"], steps=200).held_out

# %%
losses = {"after the story": forgetful, "after the story, with replay": replayed, "never saw the story": never}
curves = {name: list(measured.values()) for name, measured in losses.items()}
figures.curves(curves, list(never), "steps on the other text", "loss on the held-out story")

# %% [markdown]
# Now piece by piece, with intervals: how much more does a held-out piece of the story cost than before? And what is the
# loss on held-out text of the rights?


# %%
def losses_by_piece(model, name):
    """The loss of each held-out piece of a text."""
    return torch.tensor([mean_loss(model, piece[None]) for piece in held_out[name]])


# %%
start, rises = losses_by_piece(before, "story"), {}
for name, one in (("after the story", model), ("with replay", replaying), ("never saw it", stranger)):
    rises[name] = losses_by_piece(one, "story") - start
    low, high = bootstrap_interval(rises[name].tolist())
    new = losses_by_piece(one, "rights").mean()
    print(f"{name:16} story {rises[name].mean():+.1f} nats ({low:+.1f} to {high:+.1f}), rights {new:.1f}")
assert rises["after the story"].mean() > rises["with replay"].mean() + 0.5

# %% [markdown]
# In this run, 200 steps on the rights take the model almost back to guessing, which would be ln 55 ≈ 4.0. It even ends
# up *worse* on the story than the one that never saw it. But that isn't forgetting alone: its loss on the rights is the
# higher one, too, so it has also overfitted more. With four old pieces in each step, most of the damage doesn't happen.
#
# The cure isn't free: you need the old text, and each step reads a third more. If you don't have the old text, change
# less: with LoRA the old weights stay where they are. In a comparison at 7 billion parameters, LoRA forgot less than
# training all weights, and also learned less (Biderman et al., 2024).
#
# **Try it**: one old piece per step in place of four; other seeds; 50 steps in place of 200.

# %% [markdown]
# ## Take-aways
#
# - What a second training costs is measured on the *first* task, on text that was held out.
# - Nothing in the new loss protects the old skill. Old examples among the new ones did, here.
# - A loss needs something to compare it with: the model before, and one that never had the first training.
#
# **Back to** [06 · Pre-training and fine-tuning](../06_pretraining_and_finetuning.ipynb). **Also deeper**: [LoRA
# inside](06_lora_inside.ipynb). **All lessons**: [the index](../index.ipynb).
