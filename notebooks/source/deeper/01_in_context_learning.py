# %% [markdown]
# # Deeper 01 · What the shots teach
#
# In lesson 01, one shot took SmolLM2 from guessing to nine tenths. Had it learned the task from one example, or could
# it do the task all along? And were invented labels a little better than guessing, or was that luck?
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
# is than *food*, as a difference of log-probabilities. Above zero the model says *sport*. The cell prints every third
# sentence, sorted. Compare the two lines with each other, not only with zero.

# %%
import random

from course_utils.experiments.few_shot import calibrated, score_after_shots, share_right
from course_utils.experiments.intervals import means_and_intervals
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
    return score_after_shots(smollm.model, smollm.tokenizer, draws, [names], instruction, counts)


# %% tags=["nbval-check-output"]
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
mean, low, high = means_and_intervals(no_shot[:, 0])
print(f"95 % interval {low:.2f} to {high:.2f}")
before.compare(mean, show="{:.2f}")

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
figures.shots_curves(shares, {name: means_and_intervals(rows.T) for name, rows in shares.items()}, counts, chance=0.5)

# %% tags=["nbval-check-output"]
fair = {name: share_right(calibrated(values), truth) for name, values in scores.items()}
figures.shots_curves(fair, {name: means_and_intervals(rows.T) for name, rows in fair.items()}, counts, chance=0.5)

# %% tags=["nbval-check-output"]
for name in ("tossed", "swapped"):
    lost = means_and_intervals((fair["true"] - fair[name]).T)[1:]
    print(f"{name:8} costs, calibrated, after 1, 2, 4, 8 shots:", *(f"{mean:.2f}" for mean, _, _ in lost))
    print(f"{'':8} 95 % intervals:", "; ".join(f"{low:.2f} to {high:.2f}" for _, low, high in lost))

# %% [markdown]
# Calibrated, tossed labels cost little: most of the harm in the first picture was a lost balance between two words.
# Swapped labels cost more and more as shots are added. After eight of them, the model is somewhere between what it
# knew and what it was shown. So it does read the labels, slowly.
#
# Min et al. (2022), *Rethinking the Role of Demonstrations*, and Yoo et al. (2022), *Ground-Truth Labels Matter*,
# differ on how much labels matter. Here, the answer depends on how you score.

# %% [markdown]
# ## 3 · New meanings for words
#
# In lesson 01, the labels *vor* and *blem* were at guessing with no shot and with one, and a little higher with eight.
# You looked at several points and noticed the best of them. Such a point deserves fresh draws: thirty other sets of
# shots, eight in each, judged once.
#
# Every set is asked twice, once with *vor* for food and once with *blem*. A model that took no notice of which label
# belongs to which sentences would answer the same both times, be right in one of the two, and get exactly one half. So
# a preference for one word can't help.

# %%
fresh = predict(
    "01-fresh-draws",
    "Thirty fresh sets, each asked both ways: where is the 95 % interval of the mean?",
    ["it holds one half", "it's above one half", "it's below one half"],
)
fresh

# %% tags=["nbval-check-output"]
again = [draw for seed in (1, 2) for draw in draw_shots(sentences, draws=15, shots=8, seed=seed)]
odd = "Sentences, each with its label, vor or blem:\n"
right = {
    f"{names[0]} is food": share_right(run_draws(again, names, odd, counts=[8]), true_classes(again))
    for names in (["vor", "blem"], ["blem", "vor"])
}
right["both"] = sum(right.values()) / 2
for name, values in right.items():
    mean, low, high = means_and_intervals(values[:, 0])
    print(f"{name:12} {mean:.2f}, 95 % interval {low:.2f} to {high:.2f}")
where = "above" if low > 0.5 else "below" if high < 0.5 else None
fresh.compare(f"it's {where} one half" if where else "it holds one half")

# %% [markdown]
# It wasn't luck. Over both assignments, eight shots lift new meanings to 0.65 for this model and these sentences: above
# guessing, and far below the 0.88 of the real names. Either assignment alone would have misled: 0.57 or 0.72. That's
# what swapping is for.
#
# Wei et al. (2023), *Larger language models do in-context learning differently*, find that learning such labels grows
# with size. A result near guessing is a reason for more draws, not for the word “nothing”.
#
# ## Take-aways
#
# - A score at guessing can hide what a model knows. Calibrate, and say what the calibration assumes.
# - To learn what examples teach, change one thing in them: the labels, their names, their order.
# - A point that stands out deserves fresh draws, and a design in which a preference can't pass for knowledge.
#
# **Back**: [01 · What LLMs can do](../01_what_llms_can_do.ipynb). **All lessons**: [the index](../index.ipynb).
