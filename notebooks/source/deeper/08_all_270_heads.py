# %% [markdown]
# # Deeper 08 · All 270 heads
#
# Lesson 08 switched off seven heads of SmolLM2: two that were chosen by what they look at, five that were drawn blindly.
# What about the others? And is a head that can be missed alone useless?
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
# TEXT

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

for place in rises[..., 0].flatten().topk(10).indices.tolist():
    head = divmod(place, 9)
    mean, low, high = rises[head].tolist()
    print(f"{head[0]:2}.{head[1]}  rise {mean:5.2f} ({low:5.2f} to {high:5.2f})  ", end="")
    print(f"previous token {previous[head]:.2f}  induction {induction[head]:.2f}")

# %% [markdown]
# TEXT

# %% tags=["nbval-check-output"]
for place in induction.flatten().topk(8).indices.tolist():
    head = divmod(place, 9)
    print(
        f"{head[0]:2}.{head[1]}  induction {induction[head]:.2f}  rise "
        + "{:5.2f} ({:5.2f} to {:5.2f})".format(*rises[head])
    )

# %% [markdown]
# TEXT
#
# ## 2 · As a team

# %%
teams = predict(
    "08-teams",
    "The five best induction heads, switched off together: the loss on the second half grows by …",
    {"less than the sum of the five": (0, 3), "about the sum": (3, 4), "more": (4, None)},
)
teams

# %% tags=["nbval-check-output"]
from course_utils.experiments.copying import mean_and_interval, rises_without

five = [divmod(place, 9) for place in induction.flatten().topk(5).indices.tolist()]
others = [place for place in range(270) if divmod(place, 9) not in five]
order = torch.randperm(len(others), generator=torch.Generator().manual_seed(0)).tolist()
blind = [[divmod(others[place], 9) for place in order[start : start + 5]] for start in (0, 5, 10)]
testing = repeated_tokens(texts=24, seed=3)
first, second = rises_without(smollm.model, [five, *blind], testing)
print(f"sum of the five alone: {sum(rises[head][0] for head in five):.2f}")
teams.compare(second[0].mean().item(), show="{:+.2f}")

# %% tags=["nbval-check-output"]
named = ["the five best at induction", *(f"five drawn blindly, team {number}" for number in (1, 2, 3))]
changes = {
    f"{half} half": list(map(mean_and_interval, values)) for half, values in (("first", first), ("second", second))
}
figures.changes_with_intervals(changes, named, "rise of the loss without these five heads")

# %% [markdown]
# TEXT
#
# ## 3 · On texts that don't repeat

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
    print(
        f"without {name:32}" + "{:+.2f} ({:+.2f} to {:+.2f})".format(*mean_and_interval(passage_losses(heads) - whole))
    )

# %% [markdown]
# McGrath et al. (2023).
