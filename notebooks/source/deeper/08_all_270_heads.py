# %% [markdown]
# # Deeper 08 · All 270 heads
#
# Lesson 08 switched off five heads of SmolLM2: two that were chosen by what they look at, three that were drawn
# blindly. What about the others? And is a head useless if the model can do without it?
#
# **You will be able to**
#
# - read a map of what each head is worth for one task;
# - say why looking at the right place isn't enough;
# - test heads as a team, and against teams that were drawn blindly.
#
# **Time**: 15 minutes. **Read before**: [08 · Attention](../08_attention.ipynb).

# %% [markdown]
# ## 1 · One at a time
#
# The task is that of the lesson: 20 random tokens, said twice, and the loss on the second half. Each of the 270 heads
# was switched off alone, on 24 texts that the lesson hasn't used.

# %%
from course_utils.learner import predict

needed = predict(
    "08-needed",
    "How many of the 270 heads make the loss on the second half grow by more than 1 when they're switched off?",
    {"1 to 5": (1, 6), "6 to 30": (6, 31), "more than 30": (31, None)},
)
needed

# %% tags=["nbval-check-output"]
from course_utils import figures
from course_utils.experiments.copying import recorded_rises

rises = recorded_rises("second")  # (layer, head): mean, lower and upper end of its interval, recorded on 2026-11-30
needed.compare((rises[..., 0] > 1).sum().item())

# %% tags=["nbval-check-output"]
figures.head_map(rises[..., 0], "rise of the loss on the second half", key_value_heads=3)

# %% [markdown]
# Nine of 270. The largest rise is that of 16.0, the previous-token head that the lesson found by what it looks at. Here
# are the first ten, with both measures of the lesson.

# %% tags=["nbval-check-output"]
import torch

from course_utils.engine.llama import layer_outputs
from course_utils.experiments import head_measures
from course_utils.experiments.copying import repeated_tokens
from course_utils.models import load_causal_lm

smollm = load_causal_lm()
ids = repeated_tokens(texts=24, seed=2)
weights = torch.stack([weights for _, weights in layer_outputs(smollm.model, ids)], dim=1)
previous = head_measures.previous_token_score(weights).mean(0)
induction = torch.stack([head_measures.induction_score(*each) for each in zip(weights, ids, strict=True)]).mean(0)

on_first = recorded_rises("first")
for place in rises[..., 0].flatten().topk(10).indices.tolist():
    head = divmod(place, 9)
    print(f"{head[0]:2}.{head[1]}  second half " + "{:5.2f} ({:.2f} to {:.2f})".format(*rises[head]), end="  ")
    print("first half {:5.2f} ({:5.2f} to {:.2f})".format(*on_first[head]), end="  ")
    print(f"previous token {previous[head]:.2f}  induction {induction[head]:.2f}")

# %% [markdown]
# Whether 16.0 or 1.4 comes first is open, since their intervals overlap, and 17.3 is the ninth only just.
#
# Three of the ten score high on one of the measures: 16.0, 18.6 and 17.3. Six are in layers 0 to 2 and score low on
# both. What they do isn't only copying: without 1.3, say, the loss rises on the *first* half as well. An ablation shows
# that a head is needed. It doesn't show what for.
#
# Now the other way round: the heads that look most at what followed.

# %% tags=["nbval-check-output"]
for place in induction.flatten().topk(8).indices.tolist():
    head = divmod(place, 9)
    rise = "{:5.2f} ({:5.2f} to {:5.2f})".format(*rises[head])
    print(f"{head[0]}.{head[1]}  induction {induction[head]:.2f}  rise {rise}")

# %% [markdown]
# 17.4 and 17.5 give most of their attention to the right place. But the model can do without either: the loss even
# falls a little. **Where a head looks doesn't tell you whether it's needed.**
#
# ## 2 · As a team
#
# Are those two useless? Take the five best at induction as a team.

# %% tags=["nbval-check-output"]
five = [divmod(place, 9) for place in induction.flatten().topk(5).indices.tolist()]
f"rises of the five, each alone, added up: {sum(rises[head][0] for head in five):.2f}"

# %%
teams = predict(
    "08-teams",
    "All five switched off at once, on 24 new texts: the loss on the second half grows by …",
    {"less than 3": (None, 3), "3 to 4, the sum": (3, 4), "more than 4": (4, None)},
)
teams

# %% tags=["nbval-check-output"]
from course_utils.experiments.copying import rises_without
from course_utils.experiments.intervals import means_and_intervals

others = [place for place in range(270) if divmod(place, 9) not in five]
order = torch.randperm(len(others), generator=torch.Generator().manual_seed(0)).tolist()
blind = [[divmod(others[place], 9) for place in order[start : start + 5]] for start in (0, 5, 10)]
testing = repeated_tokens(texts=24, seed=3)
first, second = rises_without(smollm.model, [five, *blind], testing)
teams.compare(second[0].mean().item(), show="{:+.2f}")

# %% tags=["nbval-check-output"]
named = ["the five best at induction", *(f"five drawn blindly, team {number}" for number in (1, 2, 3))]
halves = {"first half": first, "second half": second}
changes = {name: means_and_intervals(values) for name, values in halves.items()}
figures.changes_with_intervals(changes, named, "rise of the loss without these five heads")

# %% [markdown]
# Together they cost twice the sum of what each costs alone, and ten times as much as any of the three blind teams.
# That's what you'd see if some of them were spare, and only worked once the others were gone. McGrath et al. (2023)
# describe something similar: a layer makes up for another that was switched off, which they call the Hydra effect. One
# head at a time, you'd miss it.
#
# ## 3 · On texts that don't repeat
#
# What does the same cost on ordinary text? Take the thirty passages of the Declaration of Human Rights once more.

# %% tags=["nbval-check-output"]
from course_utils.experiments.ablation import next_token_losses, without_heads
from course_utils.experiments.human_rights import human_rights


def passage_losses(heads):
    """The mean loss on each of thirty passages, with some heads switched off."""
    with without_heads(smollm.model, heads):
        passages = human_rights()["English"]
        return torch.stack([next_token_losses(smollm.model, smollm.encode(text)).mean() for text in passages])


whole = passage_losses([])
print(f"whole model: loss {whole.mean():.2f}")
for name, heads in (("16.0", [(16, 0)]), ("five best at induction", five), *zip(named[1:], blind, strict=True)):
    rise = means_and_intervals(passage_losses(heads) - whole)
    print(f"without {name:32}" + "{:+.2f} ({:+.2f} to {:+.2f})".format(*rise))

# %% [markdown]
# Next to nothing: the intervals of 16.0 and of the five contain 0. One of the blind teams costs more here, though it
# did little to the copying.
#
# Two cautions. These passages are short and say few things twice; a text full of names might be another matter. And the
# model never met an output of 0 in training, which may do harm of its own.
#
# ## Take-aways
#
# - Few heads matter much for this task when switched off alone, and our two measures of where a head looks find only
#   three of the first ten.
# - A head can look at the right place without being needed. Switch off a team to see whether it was spare.
# - An ablation needs its controls: other heads, other teams, other texts.
#
# **Back to** [08 · Attention](../08_attention.ipynb). **All lessons**: [the index](../index.ipynb).
