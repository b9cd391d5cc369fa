# %% [markdown]
# # Deeper 01 · What the shots teach
#
# In lesson 01, one shot took SmolLM2 from guessing to nine tenths. Had it learned the task from one example, or could it
# do the task all along? And were invented labels a little better than guessing, or was that luck?
#
# **You will be able to**
#
# - calibrate a model's labels, and name the assumption behind it;
# - separate what true, tossed and swapped labels teach;
# - test a result that stood out with fresh draws and a null.
#
# **Time**: 20 minutes. **Read before**: [01 · What LLMs can do](../01_what_llms_can_do.ipynb), section 3.

# %% [markdown]
# ## 1 · Before the first shot
#
# The same sixty sentences, and no shot at all: only the instruction. For each sentence, take how much likelier *sport*
# is than *food*, as a difference of log-probabilities. Above zero the model says *sport*. Read the two lines, and don't
# look at zero only.

# %% tags=["nbval-check-output"]
import random

import torch
from course_utils.experiments.few_shot import calibrated, mean_intervals, score_after_shots, share_right
from course_utils.experiments.shots import draw_shots, topic_sentences, true_classes
from course_utils.models import load_causal_lm

smollm = load_causal_lm()
sentences = topic_sentences()
topics, counts = list(sentences), (0, 1, 2, 4, 8)
instruction = "Sentences, each with its topic, food or sport:\n"
draws = draw_shots(sentences, draws=15, shots=8, seed=0)
truth = true_classes(draws)


def run_draws(draws, names=topics, instruction=instruction, counts=counts):
    """Log-probabilities of the labels: (draw, count, test, label)."""
    return torch.stack(
        [score_after_shots(smollm.model, smollm.tokenizer, draw, names, instruction, counts) for draw in draws]
    )


scores = {"true": run_draws(draws)}
leaning = scores["true"][:, 0, :, 1] - scores["true"][:, 0, :, 0]  # before the first shot: (draw, test)
for label, topic in enumerate(topics):
    own = leaning[truth == label].sort().values
    print(f"{topic:6}", *(f"{value:5.1f}" for value in own[::3]))

# %% [markdown]
# Every number is below zero: the model always says *food*. But the sentences on sport are nearly all higher than those
# on food. It knows more than it says; it just likes one word better.
#
# **Calibration** takes that preference away: subtract from each label's log-probability its mean over the sentences
# (after Zhao et al. 2021, *Calibrate Before Use*, and Zhou et al. 2023, *Batch Calibration*).

# %%
from course_utils.learner import predict

ranges = {"about half": (0.4, 0.6), "60 to 80 %": (0.6, 0.8), "over 80 %": (0.8, None)}
before = predict("01-calibrated", "Calibrated, with no shot at all: what share of topics is right?", ranges)
before

# %% tags=["nbval-check-output"]
no_shot = share_right(calibrated(scores["true"]), truth)[:, :1]
low, high = mean_intervals(no_shot)[0]
print(f"95 % interval {low:.2f} to {high:.2f}")
before.compare(no_shot.mean().item(), show="{:.2f}")

# %% [markdown]
# So the one shot taught no topics. The model could tell them apart; it lacked the form of the answer and a balance
# between two words.
#
# Calibration uses no true label, but it isn't free. It assumes that the classes are equally frequent among the
# sentences it averages over. Break the assumption, and give it the thirty sentences on food alone:

# %% tags=["nbval-check-output"]
only_food = scores["true"][:, 0][truth == 0]  # (30 sentences, label)
f"{(calibrated(only_food).argmax(-1) == 0).float().mean():.2f} of the sentences on food are called food"

# %% [markdown]
# By construction about half of them must now be called *sport*. Before you calibrate, know your classes.
#
# ## 2 · True, tossed, swapped
#
# Three kinds of labels in the shots, and nothing else changes: the true ones, coin tosses, and each label swapped for
# the other one. First as the model answers, then calibrated.

# %% tags=["nbval-check-output"]
from course_utils import figures

coin = random.Random(0)
tossed = [draw._replace(shots=[(text, coin.randrange(2)) for text, _ in draw.shots]) for draw in draws]
swapped = [draw._replace(shots=[(text, 1 - label) for text, label in draw.shots]) for draw in draws]
scores |= {"tossed": run_draws(tossed), "swapped": run_draws(swapped)}
shares = {name: share_right(values, truth) for name, values in scores.items()}
figures.shots_curves(shares, {name: mean_intervals(rows) for name, rows in shares.items()}, counts, chance=0.5)

# %% tags=["nbval-check-output"]
fair = {name: share_right(calibrated(values), truth) for name, values in scores.items()}
figures.shots_curves(fair, {name: mean_intervals(rows) for name, rows in fair.items()}, counts, chance=0.5)

# %% tags=["nbval-check-output"]
for name in ("tossed", "swapped"):
    lost = fair["true"] - fair[name]
    ends = [f"{low:.2f} to {high:.2f}" for low, high in mean_intervals(lost)[1:]]
    print(f"{name:8} costs, calibrated, after 1, 2, 4, 8 shots:", *(f"{value:.2f}" for value in lost.mean(0)[1:]))
    print(f"{'':8} 95 % intervals:", "; ".join(ends))

# %% [markdown]
# Most of what wrong labels cost without calibration is a lost balance. Calibrated, tossed labels cost little. Swapped
# labels cost more with every doubling of the shots: after eight, the model is between its own knowledge and what it has
# been shown. So it does read the labels, slowly. Min et al. (2022), *Rethinking the Role of Demonstrations*, and Yoo et
# al. (2022), *Ground-Truth Labels Matter*, differ on how much labels matter; here the answer depends on the scoring.

# %% [markdown]
# ## 3 · New meanings for words
#
# In lesson 01, the labels *vor* and *blem* were near guessing up to four shots and highest at eight. You looked at
# several points and noticed the best of them. Such a point deserves fresh draws and a null.
#
# - **Fresh draws**: fifteen other sets of shots, eight each. Every set is asked twice, once with *vor* for food and once
#   with *blem*, so that a preference for a word cancels out.
# - **Null**: the same sets with tossed labels, twice. There is nothing to learn in them.

# %%
fresh = predict(
    "01-fresh-draws",
    "Fresh draws with true labels against the null: what does the 95 % interval of the difference do?",
    ["it holds zero", "it's above zero", "it's below zero"],
)
fresh

# %% tags=["nbval-check-output"]
again = draw_shots(sentences, draws=15, shots=8, seed=1)
odd = {"instruction": "Sentences, each with its label, vor or blem:\n", "counts": [8]}


def odd_share(draws, names=("vor", "blem")):
    """Share of right labels after eight shots, (draw, 1)."""
    return share_right(run_draws(draws, names, **odd), true_classes(draws))


def toss(draws):
    return [draw._replace(shots=[(text, coin.randrange(2)) for text, _ in draw.shots]) for draw in draws]


arms = {"vor is food": odd_share(again), "blem is food": odd_share(again, ("blem", "vor"))}
arms["both"] = (arms["vor is food"] + arms["blem is food"]) / 2
arms["null"] = (odd_share(toss(again)) + odd_share(toss(again))) / 2
arms["both, less the null"] = arms["both"] - arms["null"]
for name, right in arms.items():
    low, high = mean_intervals(right)[0].tolist()
    print(f"{name:20} {right.mean():.2f}, 95 % interval {low:.2f} to {high:.2f}")
fresh.compare("it's above zero" if low > 0 else "it's below zero" if high < 0 else "it holds zero")
