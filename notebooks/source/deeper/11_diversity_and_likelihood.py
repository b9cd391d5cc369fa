# %% [markdown]
# # Deeper 11 · Diversity and likelihood
#
# Texts should differ from one another, and they should still make sense. Which setting gives most of the one for how
# much of the other? Here you compare the filters on equal terms, with texts by people beside them, and find out what
# such a chart can't tell.
#
# **You will be able to**
#
# - compare sampling filters at the same likelihood, with intervals;
# - say why plain temperature wins every such comparison, and why that settles little;
# - measure whether a text that a hot start has wrecked can recover.
#
# **Time**: 25 minutes. **Read before**: [11 · Sampling](../11_sampling.ipynb).

# %% [markdown]
# ## 1 · What people write
#
# Here are the openings of 24 stories for children, published from 1863 to 1922. The model reads the first 16 tokens of
# each. The next 24 are what their authors wrote. (The model may have met the famous ones in training. That would make
# people's texts look likelier to it than they are.)

# %%
from course_utils.experiments.drawn_texts import opening_tokens, story_openings
from course_utils.models import load_causal_lm

smollm = load_causal_lm()
prompts, people = opening_tokens(smollm)

# %% tags=["nbval-check-output"]
for opening, prompt, rest in list(zip(story_openings(), prompts, people, strict=True))[::8]:
    print(f"{opening['author']} {opening['year']}, {opening['title']}")
    print(f"   {smollm.tokenizer.decode(prompt)!r}\n   → {smollm.tokenizer.decode(rest)!r}\n")

# %% [markdown]
# How likely are these texts to the model? As in [09 · Context length and
# prompting](../09_context_length_and_prompting.ipynb), we count **surprisal**: −log₂ of a token's probability, in bits.
# High likelihood is low surprisal. The interval comes from a bootstrap over the 24 texts.

# %% tags=["nbval-check-output"]
from course_utils.experiments.compared_settings import position_logits
from course_utils.experiments.intervals import means_and_intervals

logits, bits = position_logits(smollm)
people_bits = bits.mean(1).double().numpy()
mean, low, high = means_and_intervals(people_bits)
print(f"people: {mean:.1f} bits per token (95 % interval {low:.1f} to {high:.1f}), {bits.numel()} tokens")

# %% [markdown]
# ## 2 · What a setting would draw, without drawing
#
# At each of these 576 places the model has a distribution. A filter changes it, and we can say exactly what would come
# of a draw: how surprising it would be on average *to the unfiltered model*, and how undecided the draw is (its
# entropy, in bits). No dice, no sampling error, and all settings are compared at the very same places. Where do draws
# without a filter lie, at a temperature of 0.7 and at 1?

# %% tags=["nbval-check-output"]
from course_utils.experiments.compared_settings import expected_bits

for temperature in (0.7, 1.0):
    surprising, undecided = (
        means_and_intervals(value) for value in expected_bits(logits, [("temperature", temperature)])
    )
    print(f"T = {temperature}: surprisal {surprising[0]:.1f} ({surprising[1]:.1f} to {surprising[2]:.1f}), ", end="")
    print(f"entropy {undecided[0]:.1f} ({undecided[1]:.1f} to {undecided[2]:.1f})")

# %% [markdown]
# At 0.7, a popular setting, the draws are far likelier than what people wrote. Even at 1 they're likelier. Holtzman et
# al. (2020, *The Curious Case of Neural Text Degeneration*) let a larger model write whole texts. With cautious
# settings, these too were likelier than people's; with no filter at all, they were less likely.
#
# ## 3 · Four families
#
# For a fair comparison, each filter gets several settings, from strict to loose, after the same high temperature of 2,
# where filters are most needed. The fourth family is temperature alone, with no filter.

# %%
from course_utils.learner import predict

winner = predict(
    "11-deeper-winner",
    "At the surprisal of people's texts, whose draws are the most diverse?",
    ["top-k after T = 2", "top-p after T = 2", "min-p after T = 2", "temperature alone"],
)
winner

# %%
import numpy as np

settings = {
    "temperature alone": [[("temperature", t)] for t in (0.5, 0.7, 0.85, 1.0, 1.1, 1.2, 1.35)],
    "min-p after T = 2": [[("temperature", 2.0), ("min_p", p)] for p in (0.5, 0.3, 0.2, 0.1, 0.05, 0.03)],
    "top-p after T = 2": [[("temperature", 2.0), ("top_p", p)] for p in (0.05, 0.1, 0.15, 0.2, 0.3)],
    "top-k after T = 2": [[("temperature", 2.0), ("top_k", k)] for k in (3, 5, 10, 20, 50, 100)],
}

# %%
families = {
    name: tuple(
        np.stack(values) for values in zip(*(expected_bits(logits, filters) for filters in family), strict=True)
    )
    for name, family in settings.items()
}

# %% tags=["nbval-check-output"]
from course_utils import figures

curves = {name: tuple(means_and_intervals(values) for values in family) for name, family in families.items()}
figures.diversity_and_surprisal(curves, (mean, low, high))

# %% [markdown]
# The dashed line is people, the grey band its interval. Higher is more diverse. Now the numbers on that line, as
# differences from temperature alone and then from top-p. The bootstrap draws texts, and each draw compares all families
# on the same ones.

# %% tags=["nbval-check-output"]
from course_utils.experiments.compared_settings import at_surprisal, compared_at_surprisal

entropies = {name: at_surprisal(people_bits.mean(), *family) for name, family in families.items()}
print({name: round(value, 2) for name, value in entropies.items()})

# %% tags=["nbval-check-output"]
filtered = {name: family for name, family in families.items() if name != "temperature alone"}
for some, base in ((families, "temperature alone"), (filtered, "top-p after T = 2")):
    for name, ends in compared_at_surprisal(some, base, people_bits).items():
        print(f"{name} minus {base}: {ends[0]:+.2f} bits ({ends[1]:+.2f} to {ends[2]:+.2f})")

# %% tags=["nbval-check-output"]
winner.compare(max(entropies, key=entropies.get))

# %% [markdown]
# Temperature alone has the most entropy. Of the three filters, min-p is ahead of top-p by a small fraction of a bit,
# and top-k is last: in these texts, and after a temperature of 2.
#
# ## 4 · Why temperature had to win
#
# It isn't luck. Among *all* distributions whose mean surprisal is the same, the one with the most entropy is
# proportional to exp(−surprisal / T), and that's the softmax at temperature T. (It's a classic result of statistical
# physics; Lagrange multipliers prove it in three lines.) So on a chart of entropy over the model's own surprisal no
# filter can ever beat temperature, whatever it does for the texts. Try to: here are 200 random filters, each of which
# keeps a random part of the tokens.

# %%
import torch

one, random = logits[:1, :1], torch.Generator().manual_seed(0)
grid = [expected_bits(one, [("temperature", t)]) for t in np.linspace(0.1, 6, 120).tolist()]
xs, ys = (np.concatenate(values) for values in zip(*grid, strict=True))

# %% tags=["nbval-check-output"]
above = 0
for _ in range(200):
    gone = torch.rand(one.shape, generator=random) > torch.rand(1, generator=random) ** 4
    kept = one.masked_fill(gone & (one < one.max()), -torch.inf)
    p, nats = kept.softmax(-1), -one.log_softmax(-1)
    surprising, undecided = (p * nats).sum() / np.log(2), torch.special.entr(p).sum() / np.log(2)
    above += bool(undecided > np.interp(surprising, xs, ys) + 1e-2)
print(f"{above} of 200 random filters lie above the curve of temperature")

# %% [markdown]
# Why filter at all, then? Because the chart asks *the model itself* what is likely, and the reason for filters is that
# the model's tail can't be trusted: Holtzman et al. cut it because it's unreliable, not because it's improbable.
# Whether a text is good, likelihood doesn't say. That takes readers, and readers disagree as well:
#
# - Zhang et al. (2021, *Trading Off Diversity and Quality in Natural Language Generation*) had people judge texts, at
#   equal diversity. Where diversity came first, the methods did about equally well; where quality came first, top-p
#   won.
# - The authors of min-p report better and more diverse texts (Nguyen et al. 2024, *Turning Up the Heat: Min-p Sampling
#   for Creative and Coherent LLM Outputs*).
# - Schaeffer et al. (2025, *Turning Down the Heat: A Critical Analysis of Min-p Sampling in Language Models*) went
#   through the same evidence again. They found no advantage in the human ratings, and none on the benchmarks once each
#   filter had been tuned with the same care.
#
# ## 5 · Whole texts
#
# So far each place was judged after a person's words. A drawn text must live with its own. Take each family's setting
# where it met people in the first twelve texts, and draw from the openings of the *other* twelve, two texts each, with
# two usual settings beside them. What's measured: surprisal, and how many of a text's 24 tokens are different ones.

# %%
first = np.arange(12)
met = {}
for name, family in settings.items():
    values = [filters[-1][1] for filters in family]
    order = families[name][0][:, first].mean(1)
    met[name] = float(np.interp(people_bits[first].mean(), order, values))

# %% tags=["nbval-check-output"]
met = {name: round(value) if "top-k" in name else round(value, 3) for name, value in met.items()}
met, round(float(people_bits[first].mean()), 2)

# %%
from course_utils.experiments.drawn_texts import continue_texts, different_share

tried = {name: [*settings[name][0][:-1], (settings[name][0][-1][0], value)] for name, value in met.items()}
tried |= {"T = 0.7": [("temperature", 0.7)], "top-p 0.9": [("top_p", 0.9)]}
examples = {}


# %%
def line(name, surprisals, shares):
    """One row of the table: means over texts, with their intervals."""
    numbers = (means_and_intervals(np.array(values)) for values in (surprisals, shares))
    return f"{name:18}" + "".join(f"{mean:8.2f} ({low:.2f} to {high:.2f})" for mean, low, high in numbers)


# %% tags=["recorded"]
print(f"{'':18}  bits per token        share of different tokens")
print(line("people", people_bits[12:], [different_share(text) for text in people[12:]]))
for name, filters in tried.items():
    new, surprisal = continue_texts(smollm.model, prompts[12:].repeat_interleave(2, 0), filters, 24)
    shares = [np.mean([different_share(text) for text in both]) for both in new.split(2)]
    examples[name] = smollm.tokenizer.decode(new[0])
    print(line(name, surprisal.view(12, -1).mean(1).double().numpy(), shares))

# %% tags=["recorded"]
examples

# %% [markdown]
# The four families were aimed at the 5.5 bits of the first twelve authors. Their texts come out near that, those of
# temperature alone somewhat above. The shares of different tokens are too close to rank them: the intervals meet. The
# two usual settings surprise far less. Now read the examples. Would you have guessed from the numbers which text you'd
# rather read on?
#
# ## 6 · Can a wrecked text recover?
#
# Lesson 11 wrecked three texts with a temperature of 2 and let the model continue at 0.7. Now all 24, beside the same
# openings written at 0.7 from the start. If the nonsense keeps the model astray, its own tokens should go on surprising
# it more.

# %%
hot, calm = [("temperature", 2.0)], [("temperature", 0.7)]
starts = {"after a wreck": hot, "after calm text": calm}
eight = {name: continue_texts(smollm.model, prompts, filters, 8)[0] for name, filters in starts.items()}
after = {name: continue_texts(smollm.model, torch.cat([prompts, new], 1), calm, 24) for name, new in eight.items()}

# %% tags=["recorded"]
for place in (slice(0, 8), slice(8, 16), slice(16, 24)):
    means = {name: surprisal[:, place].mean(1).double().numpy() for name, (_, surprisal) in after.items()}
    wrecked, calmed = means.values()
    mean, low, high = means_and_intervals(wrecked - calmed)
    print(f"tokens {place.start + 1} to {place.stop}: {wrecked.mean():.1f} and {calmed.mean():.1f} bits, ", end="")
    print(f"difference {mean:+.1f} ({low:+.1f} to {high:+.1f})")

# %% [markdown]
# One thing could fool us: copying. A text that repeats its own nonsense isn't surprised by it any more. So count how
# many of the 24 repeat three tokens in a row from the eight before.

# %%
from course_utils.experiments.intervals import wilson_interval


def copies(before, text):
    """Whether three tokens in a row of `before` come back in `text`."""
    runs = {tuple(before[i : i + 3].tolist()) for i in range(len(before) - 2)}
    return any(tuple(text[i : i + 3].tolist()) in runs for i in range(len(text) - 2))


# %% tags=["recorded"]
for name, (new, _) in after.items():
    count = sum(copies(*pair) for pair in zip(eight[name], new, strict=True))
    low, high = wilson_interval(count, len(new))
    print(f"{name}: {count} of {len(new)} copy ({low:.0%} to {high:.0%})")

# %% tags=["recorded"]
for wreck, text in list(zip(eight["after a wreck"], after["after a wreck"][0], strict=True))[::6]:
    print(f"{smollm.tokenizer.decode(wreck)!r}\n   → {smollm.tokenizer.decode(text)!r}")

# %% [markdown]
# In the first eight tokens after a wreck, the model is clearly less sure than after calm text. Later the difference is
# smaller, and its interval includes zero: with 24 texts, that may be chance. Copying may be part of this fall, though 6
# of 24 copy after calm text too, and the two intervals overlap. In the last three examples English comes back, in the
# first it doesn't. So “it can't recover” is too strong, and “it recovers” is as well.
#
# ## Take-aways
#
# - Compare filters where they are equally strict. At one setting each, you compare the settings.
# - On a chart of entropy over the model's own surprisal, temperature wins by mathematics. It can't judge filters.
# - In these openings, what people wrote is less likely than what this model draws at 0.7.
# - One small model, 24 openings of one kind, 24 tokens each: enough to see what settings do, not to name the best.
#
# **Back to** [11 · Sampling](../11_sampling.ipynb). **Also deeper**: [seeds and batches](11_seeds_and_batches.ipynb).
# **All lessons**: [the index](../index.ipynb).
