# %% [markdown]
# # Deeper 09 · The order of the examples
#
# Four examples in a prompt can be put in 24 orders. The words stay the same, and so does what they say. Does the order
# matter?
#
# **You will be able to**
#
# - test whether a few-shot result depends on the order of the examples;
# - choose an order on some cases, and judge it on others;
# - take away what the order adds to a label.
#
# **Time**: 15 minutes. **Read before**: [09 · Context length and prompting](../09_context_length_and_prompting.ipynb).

# %% [markdown]
# ## 1 · Twenty-four orders
#
# Examples in a prompt are called **shots**. Take four short reviews with their labels, two positive and two negative,
# and let the model label forty other reviews, twenty of each kind: whichever of ␣positive and ␣negative is more likely
# wins. All 24 orders have equally many tokens, so they fit into one batch, and each is read only once for all forty
# reviews.

# %%
import random
from itertools import permutations

import torch

from course_utils.experiments.small_reviews import FEELINGS, small_reviews
from course_utils.models import load_causal_lm

# %%
smollm = load_causal_lm()
tokenizer = smollm.tokenizer
labels = tokenizer.convert_tokens_to_ids(["Ġpositive", "Ġnegative"])


# %%
@torch.inference_mode()
def lean(shots, reviews):
    """How much more likely ␣positive is than ␣negative, as a difference of logits: (review, order of the shots)."""
    orders = ["".join(f"{text} Sentiment: {label}\n" for text, label in order) for order in permutations(shots)]
    read = smollm.model(tokenizer(orders, return_tensors="pt").input_ids, logits_to_keep=1).past_key_values
    rows = []
    for review in reviews:
        ids = tokenizer(f"{review} Sentiment:", return_tensors="pt").input_ids.expand(len(orders), -1)
        logits = smollm.model(ids, past_key_values=read, logits_to_keep=1).logits[:, -1, labels]
        rows.append(logits[:, 0] - logits[:, 1])
        read.crop(-ids.shape[1])
    return torch.stack(rows)


# %% tags=["nbval-check-output"]
texts, _, feelings = small_reviews("test")
by_feeling = [[text for text, one in zip(texts, feelings, strict=True) if one == n] for n in range(len(FEELINGS))]
drawn = [random.Random(0).sample(own, 20) for own in by_feeling]
reviews = [text for pair in zip(*drawn, strict=True) for text in pair]  # bad, good, bad, good …
truth = torch.tensor([False, True] * 20)
reviews[:4]

# %%
from course_utils.learner import predict

spread = predict(
    "09-order",
    "Same four shots, 24 orders. The best order gets 85 % of the reviews right. And the worst one?",
    {"75 % or more": (0.75, None), "60 % to 75 %": (0.6, 0.75), "less than 60 %": (None, 0.6)},
)
spread

# %%
shots = [("I loved it.", "positive"), ("What a waste of time.", "negative")]
shots += [("A wonderful surprise!", "positive"), ("The worst meal ever.", "negative")]

# %% tags=["nbval-check-output"]
leans = lean(shots, reviews)
right = ((leans > 0) == truth[:, None]).float()
share = right.mean(0)
print(f"worst order {share.min():.0%}, best order {share.max():.0%}, mean {share.mean():.0%}")
spread.compare(share.min().item(), show="{:.0%}")

# %% [markdown]
# From guessing to quite good, and not a word of the shots has changed. Lu et al. (2022), *Fantastically Ordered Prompts
# and Where to Find Them*, found this in models of all sizes that they tried, and an order that was good for one wasn't
# for another.
#
# ## 2 · Is the best order the best?
#
# Out of 24 orders, one is bound to look good by luck. So choose on one half of the reviews, and judge on the other.

# %% tags=["nbval-check-output"]
from course_utils.experiments.intervals import wilson_interval

halves = torch.arange(len(reviews)) // 2 % 2 == 0  # pairs of a bad and a good one
chosen = right[halves].mean(0).argmax()
print(f"the best of 24: {right[halves, chosen].mean():.0%} on the half where it was chosen")
low, high = wilson_interval(int(right[~halves, chosen].sum()), 20)
print(f"on the other half: {right[~halves, chosen].mean():.0%} ({low:.0%} to {high:.0%})")
print(f"the mean of all orders on these others: {right[~halves].mean():.0%}")

# %% [markdown]
# The choice holds up: on reviews that played no part in it, this order is above the mean of all orders, which lies
# outside its interval. So the differences aren't only luck. What makes an order good?
#
# ## 3 · What the order does
#
# Each pattern of labels, first shot to last, belongs to four orders. Each dot is one order, the bar is their mean, the
# dotted line is guessing.

# %% tags=["nbval-check-output"]
from course_utils import figures

patterns = [" ".join("+" if label == "positive" else "−" for _, label in order) for order in permutations(shots)]
groups = {name: [s for s, own in zip(share.tolist(), patterns, strict=True) if own == name] for name in set(patterns)}
rows = sorted(groups.items(), key=lambda row: (-sum(row[1]), row[0]))
figures.dots_by_group(rows, "share of right labels", chance=0.5)

# %% tags=["nbval-check-output"]
from course_utils.experiments.intervals import bootstrap_interval

says_positive = (leans > 0).float().mean(0)
for last in "+−":
    own = says_positive[[name.endswith(last) for name in patterns]]
    print("last shot {}: says positive {:.0%} ({:.0%} to {:.0%})".format(last, own.mean(), *bootstrap_interval(own)))

# %% [markdown]
# Half of the reviews are positive, so the model should say *positive* about half of the time. After a positive last
# shot it says so far too often, after a negative one too rarely. Zhao et al. (2021), *Calibrate Before Use*, call that
# **recency bias**. It's not all: patterns with the same last label differ, too.
#
# If the order only makes the model lean to one label, you can take that away: subtract each order's mean lean. (Zhao et
# al. measure the lean on an input without content, such as “N/A”. Here it's the mean over the forty reviews.) You don't
# need the right labels for that, but you assume that both are equally frequent, which is so here.

# %% tags=["nbval-check-output"]
calibrated = ((leans > leans.mean(0)) == truth[:, None]).float().mean(0)
print(f"as it is:   worst {share.min():.0%}, best {share.max():.0%}, mean {share.mean():.0%}")
print(f"calibrated: worst {calibrated.min():.0%}, best {calibrated.max():.0%}, mean {calibrated.mean():.0%}")
gain = calibrated - share
points = [100 * value for value in (gain.mean(), *bootstrap_interval(gain))]
print("gain: {:.0f} points ({:.0f} to {:.0f}, over the 24 orders)".format(*points))

# %% [markdown]
# Most of the difference between the orders is gone, and the mean is much better. The model could tell most reviews
# apart all along; the order pushed its answers to one side.
#
# ## 4 · Other shots
#
# That was one set of four shots. Here's another, on half of the reviews.

# %%
others = [("The view was beautiful.", "positive"), ("My soup was cold.", "negative")]
others += [("We laughed all evening.", "positive"), ("The train never came.", "negative")]
leans_2, truth_2 = lean(others, reviews[:20]), truth[:20, None]

# %% tags=["nbval-check-output"]
share_2 = ((leans_2 > 0) == truth_2).float().mean(0)
calibrated_2 = ((leans_2 > leans_2.mean(0)) == truth_2).float().mean(0)
print(f"as it is:   worst {share_2.min():.0%}, best {share_2.max():.0%}, mean {share_2.mean():.0%}")
print(f"calibrated: worst {calibrated_2.min():.0%}, best {calibrated_2.max():.0%}, mean {calibrated_2.mean():.0%}")

# %% [markdown]
# The same picture with other shots: the order matters, and calibration takes most of that away and raises the mean. So
# try several orders, or calibrate. On one small model, this is no proof for others, but Lu and Zhao found both effects
# in much larger ones.
#
# ## Take-aways
#
# - The same shots in another order gave anything from guessing to 85 %. If you report a few-shot result, say how many
#   orders you tried.
# - Choose an order on some cases, and judge it on others.
# - Here, the order mostly pushed the answers to the label of the last shot. Calibration took most of that away.
#
# **Back to** [09 · Context length and prompting](../09_context_length_and_prompting.ipynb). Examples with and without
# the right labels are in [01 · What LLMs can do](../01_what_llms_can_do.ipynb). **All lessons**: [the
# index](../index.ipynb).
