# %% [markdown]
# # 11 · Sampling
#
# A model gives every possible next token a probability, and then something has to choose. That choice can make the same
# model dull, lively or incoherent. In this lesson you write all of it yourself.
#
# ![Five words, tea, coffee, water, milk, paint, with the logits 3, 2, 1, 0 and −2, on their way through four filters.
# Temperature 0.7 makes the distribution steeper: tea has 76 %. Top-k 4 removes paint, top-p 0.98 removes milk, min-p
# 0.1 removes water. Tea keeps 81 %, coffee 19 %. Then one word is drawn: coffee.](images/11_sampling.svg)
#
# **You will be able to**
#
# - turn logits into a drawn token with four functions of your own, each equal to the one in `transformers`;
# - say what a temperature of 0, 0.7, 1 and 2 does to a distribution, and what no temperature can do;
# - explain which tokens top-k, top-p and min-p keep, and why their order matters;
# - find out what a program filters without being asked.
#
# **Time**: 45 minutes. **Read before**: [00 · Start here](00_start_here.ipynb). Section 10 uses the KV cache of
# [10 · Prefill and decode](10_prefill_and_decode.ipynb).

# %% [markdown]
# ## 1 · One number, four texts
#
# Same model, same prompt, same seed. Only one number changes: the temperature.

# %%
from course_utils.engine.generate import generate
from course_utils.models import load_causal_lm

smollm = load_causal_lm()
prompt = "Once upon a time there was a"
for temperature in (0, 0.7, 1, 2):
    settings = {"do_sample": True, "filters": [("temperature", temperature)], "seed": 1, "max_new_tokens": 25}
    text = generate(smollm.model, smollm.encode(prompt), smollm.tokenizer, **settings)[0].text
    print(f"{temperature}: {text!r}\n")

# %% [markdown]
# At 0 the text is smooth, if not exciting. At 2 it's a wreck within a few words. And yet the model's logits after the
# prompt are the same all four times. What changed is how a token is chosen from them.
#
# ## 2 · A wheel with five fields
#
# Start with a vocabulary you can hold in your head. After “I would like some”, a toy model gives five words these
# logits.

# %% tags=["nbval-check-output"]
import torch
from course_utils import figures

words = ["tea", "coffee", "water", "milk", "paint"]
toy = torch.tensor([3.0, 2.0, 1.0, 0.0, -2.0])
figures.next_token_bars(toy.softmax(-1), words, top=5)

# %% [markdown]
# To **sample** is to draw one word at random, each with its own probability: spin a wheel whose fields have these
# sizes. In torch, `multinomial` spins the wheel. The **seed** fixes the random numbers, so you get the same draws as
# we did.

# %% tags=["nbval-check-output"]
generator = torch.Generator().manual_seed(0)
drawn = torch.multinomial(toy.softmax(-1), 1000, replacement=True, generator=generator)
for word, share, times in zip(words, toy.softmax(-1), drawn.bincount(minlength=5), strict=True):
    print(f"{word:6} {share:.3f}   drawn {times} times in 1,000")

# %% [markdown]
# **Temperature** divides every logit by the same number before the softmax. The name comes from physics, and was used
# in neural networks early on (Ackley, Hinton and Sejnowski 1985, *A Learning Algorithm for Boltzmann Machines*).
#
# **Entropy** measures how undecided a distribution is, in bits. Zero bits means certain. One bit is a fair coin toss;
# every extra bit is one more toss. Five equal words would have log₂ 5 = 2.32 bits.


# %% tags=["nbval-check-output"]
from course_utils.engine.sampling import entropy_bits


def my_temperature(logits, temperature):
    return logits / temperature


for temperature in (0.5, 1, 2, 10):
    hot = my_temperature(toy, temperature)
    print(temperature, [round(share, 2) for share in hot.softmax(-1).tolist()], f"{entropy_bits(hot):.2f} bits")

# %% [markdown]
# Below 1, the favourite gains. Above 1, everything drifts towards one fifth each. The *ranking* never changes.
#
# And a temperature of 0? Dividing by zero gives no number at all. Still, many programs accept 0, and mean the limit of
# ever lower temperatures: the best word gets everything. That's called **greedy**. (`transformers` refuses 0 and has
# `do_sample=False` for it.) Give your function a case of its own. A removed token gets a logit of −∞, because the
# softmax turns that into exactly 0.


# %% tags=["nbval-check-output"]
def my_temperature(logits, temperature):
    if temperature == 0:
        return logits.masked_fill(logits < logits.max(), -torch.inf)
    return logits / temperature


my_temperature(toy, 0).softmax(-1)

# %% [markdown]
# ## 3 · Temperature on 49,152 tokens
#
# Now the real thing. Is your function the same as the library's? The `assert` stops with an error if one of the 49,152
# numbers differs. (`[None]` adds the batch dimension that `transformers` expects; `[0]` takes it off again.)

# %% tags=["nbval-check-output"]
from transformers import TemperatureLogitsWarper

logits = smollm.next_logits(prompt)
for temperature in (0.7, 1.0, 2.0):
    theirs = TemperatureLogitsWarper(temperature)(None, logits[None])[0]
    assert torch.equal(my_temperature(logits, temperature), theirs)
logits.shape

# %%
from course_utils.learner import predict

ten_best = predict(
    "11-ten-best",
    "At a temperature of 1 the ten best tokens share 42 % of the probability. And at 2?",
    {"below 10 %": (0, 0.1), "10 % to 20 %": (0.1, 0.2), "20 % to 42 %": (0.2, 0.42)},
)
ten_best

# %% tags=["nbval-check-output"]
share_at_2 = my_temperature(logits, 2).softmax(-1).topk(10).values.sum().item()
ten_best.compare(share_at_2, show="{:.1%}")

# %% [markdown]
# Where did the rest go? Each curve below adds up the probabilities, the best token's first. The marks say how many
# tokens it takes to reach 90 %.

# %% tags=["nbval-check-output"]
figures.probability_mass({f"temperature {t}": my_temperature(logits, t).softmax(-1) for t in (0.7, 1, 2)})

# %% [markdown]
# One unlikely token hardly matters, but there are tens of thousands of them: the **long tail**. At 2, the ten best
# tokens get fewer than one draw in twenty. In the widget, compare the first two columns. All columns share one scale,
# and over each it says what the twelve tokens in view share. The diamonds in the last column are 1,000 draws.
#
# Try it: move **temperature** with the arrow keys until the twelve share half of the probability. Then let a text grow
# with **Draw 1 and append**, at 2 and at 0.5.

# %% tags=["nbval-check-output"]
from course_utils.traces import record_next_token
from course_utils.widgets import SamplingLab, sampling_lab

trace = record_next_token(smollm, prompt)
sampling_lab(smollm, prompt, temperature=2, draws=1000)

# %% [markdown]
# Is a wrecked text beyond saving, now that the model reads its own nonsense? Wreck three, then let the model continue
# each at 0.7.

# %%
from course_utils.experiments.drawn_texts import continue_texts

start = smollm.encode(prompt).repeat(3, 1)
wreck, _ = continue_texts(smollm.model, start, [("temperature", 2)], length=10)
after, _ = continue_texts(smollm.model, torch.cat([start, wreck], dim=1), [("temperature", 0.7)], length=20)
for before, text in zip(smollm.tokenizer.batch_decode(wreck), smollm.tokenizer.batch_decode(after), strict=True):
    print(f"{before!r}\n    → {text!r}\n")

# %% [markdown]
# In these three the English comes back, and the story doesn't: the model makes what sense it can of the nonsense. Three
# texts are only an illustration. [Diversity and likelihood](deeper/11_diversity_and_likelihood.ipynb) wrecks 24 and
# measures them.
#
# ## 4 · Top-k
#
# If the long tail is the problem, cut it off. **Top-k** keeps the *k* most likely tokens and drops the rest (Fan, Lewis
# and Dauphin 2018, *Hierarchical Neural Story Generation*). On the toy with k = 2, *tea* and *coffee* survive and split
# the whole probability between them.


# %% tags=["nbval-check-output"]
from transformers import TopKLogitsWarper


def my_top_k(logits, top_k):
    smallest_kept = logits.topk(top_k).values[-1]
    return logits.masked_fill(logits < smallest_kept, -torch.inf)


assert torch.equal(my_top_k(logits, 50), TopKLogitsWarper(50)(None, logits[None])[0])
my_top_k(toy, 2), my_top_k(toy, 2).softmax(-1), logits.softmax(-1).topk(50).values.sum()

# %% [markdown]
# The last number is for the real model: after “Once upon a time there was a”, the best 50 tokens hold 66 % of the
# probability. Here's a prompt with a more obvious answer.

# %%
best_50 = predict(
    "11-best-50",
    "How much of the probability do the best 50 tokens hold after “The capital of France is”?",
    {"below 66 %": (0, 0.66), "66 % to 90 %": (0.66, 0.9), "over 90 %": (0.9, None)},
)
best_50

# %% tags=["nbval-check-output"]
capital = smollm.next_logits("The capital of France is")
best_50.compare(capital.softmax(-1).topk(50).values.sum().item(), show="{:.0%}")

# %% tags=["nbval-check-output"]
figures.next_token_bars(capital.softmax(-1), smollm.labels, top=8)

# %% [markdown]
# For the first prompt, 50 is strict: it removes a third of the probability. For the second it's generous: *Paris* has
# most of the probability, and 49 others come along. These two prompts want different *k*.

# %% [markdown]
# ## 5 · Top-p
#
# **Top-p** counts probability, not tokens: it keeps the smallest set of most likely tokens that together reach *p*. The
# set is called the **nucleus** (Holtzman et al. 2020, *The Curious Case of Neural Text Degeneration*).
#
# The obvious code adds up from the top and removes every token whose running sum is over *p*. On the toy the running
# sums are 0.64, 0.88, 0.96 and so on.


# %% tags=["nbval-check-output"]
def first_try(logits, top_p):
    ranked = logits.softmax(-1).sort(descending=True)
    removed = ranked.indices[ranked.values.cumsum(-1) > top_p]
    return logits.index_fill(0, removed, -torch.inf)


first_try(toy, 0.8), first_try(toy, 0.5)

# %% [markdown]
# With 0.8 it keeps *tea* alone, which is only 0.64. With 0.5 it removes everything. The token that *crosses* the line
# belongs to the nucleus: a token stays as long as those **before** it haven't reached *p*.


# %% tags=["nbval-check-output"]
from transformers import TopPLogitsWarper


def my_top_p(logits, top_p):
    ranked = logits.softmax(-1).sort(descending=True)
    sum_before = ranked.values.cumsum(-1) - ranked.values
    removed = ranked.indices[sum_before >= top_p]
    return logits.index_fill(0, removed, -torch.inf)


for some in (logits, capital):
    assert torch.equal(my_top_p(some, 0.9), TopPLogitsWarper(0.9)(None, some[None])[0])
my_top_p(toy, 0.8), my_top_p(logits, 0.9).isfinite().sum(), my_top_p(capital, 0.9).isfinite().sum()

# %% [markdown]
# The toy keeps *tea* and *coffee* now. And one setting does for both prompts: top-p keeps 546 tokens where the model is
# unsure, and 10 where it's sure.
#
# ## 6 · What `generate` filters without being asked
#
# You call `model.generate` with `do_sample=True, top_p=0.9`, and nothing else. From how many tokens is the first one
# drawn?

# %%
default = predict(
    "11-default",
    "The nucleus of 0.9 has 546 tokens here. From how many does generate(do_sample=True, top_p=0.9) draw?",
    {"fewer than 50": (0, 50), "50": (50, 51), "546": (546, 547)},
)
default

# %% tags=["nbval-check-output"]
asked = {"do_sample": True, "top_p": 0.9, "max_new_tokens": 1, "output_scores": True, "return_dict_in_generate": True}
scores = smollm.model.generate(smollm.encode(prompt), **asked).scores[0]
default.compare(scores.isfinite().sum().item(), show="{} tokens")

# %% tags=["nbval-check-output"]
from transformers import GenerationConfig

without = smollm.model.generate(smollm.encode(prompt), **asked, top_k=0).scores[0]
GenerationConfig().top_k, without.isfinite().sum(), my_top_p(my_top_k(logits, 50), 0.9).isfinite().sum()

# %% [markdown]
# If neither you nor the model's own configuration sets it, `generate` takes **top_k=50**, before top-p. The
# configuration object doesn't tell you: it says `None`. Top-k cuts to 50 tokens, these share the whole probability, and
# then the first 32 of them reach 90 %. With `top_k=0` all 546 are back. Here's every fiftieth of those that top-k had
# removed.

# %% tags=["nbval-check-output"]
[smollm.labels[token] for token in logits.argsort(descending=True)[50:546:50]]

# %% [markdown]
# *Fairy* or *hunter* would have fitted. Still, the default isn't a mistake: it guards against the tail. But how often
# does it change what you asked for? Here are the openings of 24 published stories, cut after 16 tokens. Each pair is
# the size of the nucleus alone, and after top-k.

# %% tags=["nbval-check-output"]
from course_utils.experiments.drawn_texts import opening_tokens
from course_utils.experiments.intervals import wilson_interval

with torch.inference_mode():
    many = smollm.model(opening_tokens(smollm)[0]).logits[:, -1]
both = [[my_top_p(kept, 0.9).isfinite().sum().item() for kept in (one, my_top_k(one, 50))] for one in many]
print(sorted(both))
fewer = sum(after_top_k < alone for alone, after_top_k in both)
low, high = wilson_interval(fewer, len(both))
print(f"fewer tokens: {fewer} of {len(both)}, 95 % interval of the share: {low:.0%} to {high:.0%}")

# %% [markdown]
# In most of these places the default leaves fewer tokens; where the model is least sure, nearly a thousand become about
# thirty. Other programs have other defaults: llama.cpp's are temperature 0.8, top-k 40, top-p 0.95 and min-p 0.05 (its
# `common/common.h`, read in 2026), and the authors of a model may ship their own in `generation_config.json`. So pass
# every filter yourself, also those that you want off.

# %% [markdown]
# ## 7 · Min-p
#
# **Min-p** compares with the favourite: it keeps every token at least *min-p* times as likely as the best one (Nguyen
# et al. 2024, *Turning Up the Heat: Min-p Sampling for Creative and Coherent LLM Outputs*). On the toy, 0.1 asks for a
# tenth of what *tea* has.


# %% tags=["nbval-check-output"]
from transformers import MinPLogitsWarper


def my_min_p(logits, min_p):
    probabilities = logits.softmax(-1)
    return logits.masked_fill(probabilities < min_p * probabilities.max(), -torch.inf)


assert torch.equal(my_min_p(logits, 0.05), MinPLogitsWarper(0.05)(None, logits[None])[0])
hot = my_temperature(logits, 2)
kept = {"top-k 50": my_top_k(hot, 50), "top-p 0.9": my_top_p(hot, 0.9), "min-p 0.05": my_min_p(hot, 0.05)}
my_min_p(toy, 0.1), {name: filtered.isfinite().sum().item() for name, filtered in kept.items()}

# %% [markdown]
# On the toy, *milk* and *paint* go. At a temperature of 2, the nucleus of the real model needs over eleven thousand
# tokens to reach 90 %; min-p gets by with a few hundred. Does that make it better? Its authors measured so. A
# re-analysis of their data disagrees (Schaeffer et al. 2025, *Turning Down the Heat: A Critical Analysis of Min-p
# Sampling in Language Models*). And the other two can cut harder as well, if you set them so: [Diversity and
# likelihood](deeper/11_diversity_and_likelihood.ipynb) compares them on equal terms.
#
# ## 8 · Your functions in the lab
#
# The lab can run **your** functions. Above the picture it says at which token they differ from the reference, and marks
# these tokens with ≠. First the wrong top-p of section 5.

# %% tags=["nbval-check-output"]
SamplingLab(trace, own={"top_p": first_try}, top_p=0.9)

# %% [markdown]
# One token of 546: a test of the best ten tokens wouldn't find it. Press **Where it cuts** to see it. Then move
# **top_p** below the probability of the best token.
#
# Now the four right ones, and a prompt of your own: change the text. Then break a function: leave out its `return`, and
# run its cell and this one again.

# %% tags=["nbval-check-output"]
my_prompt = "Once upon a time there was a"
mine = {"temperature": my_temperature, "top_k": my_top_k, "top_p": my_top_p, "min_p": my_min_p}
SamplingLab(record_next_token(smollm, my_prompt), own=mine, temperature=0.7, top_k=50, top_p=0.9, min_p=0.05)

# %% [markdown]
# ## 9 · The order matters
#
# `transformers` applies temperature first, then top-k, top-p and min-p. llama.cpp applies temperature **last**, unless
# told otherwise. Take a temperature of 2 and a top-p of 0.9: what if top-p comes first?

# %%
top_p_first = predict(
    "11-order",
    "With temperature first, 11,638 tokens are kept. How many with top-p first?",
    {"fewer": (0, 11_638), "as many": (11_638, 11_639), "more": (11_639, None)},
)
top_p_first

# %% tags=["nbval-check-output"]
temperature_last = my_temperature(my_top_p(logits, 0.9), 2)
top_p_first.compare(temperature_last.isfinite().sum().item(), show="{} tokens")

# %% tags=["nbval-check-output"]
temperatures = [0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2]
first = [my_top_p(my_temperature(logits, t), 0.9).isfinite().sum().item() for t in temperatures]
last = [my_temperature(my_top_p(logits, 0.9), t).isfinite().sum().item() for t in temperatures]
figures.kept_by_order(temperatures, {"temperature first": first, "temperature last": last})

# %% [markdown]
# With temperature last, top-p sees the model's own distribution, whatever the temperature. With temperature first, heat
# widens the nucleus, and cold narrows it. What do the same four settings keep in the orders of the two programs?

# %% tags=["nbval-check-output"]
in_transformers = my_min_p(my_top_p(my_top_k(my_temperature(logits, 2), 100), 0.9), 0.05)
in_llama_cpp = my_temperature(my_min_p(my_top_p(my_top_k(logits, 100), 0.9), 0.05), 2)
in_transformers.isfinite().sum(), in_llama_cpp.isfinite().sum()

# %% [markdown]
# The same four numbers keep 80 tokens in one order and 36 in the other. So if texts change when you move to another
# program, check the order of the filters, but only after the chat template ([09 · Context length and
# prompting](09_context_length_and_prompting.ipynb)) and the defaults (section 6).
#
# ### Is temperature a “creativity dial”?
#
# It's often called one. Creative usually means new *and* fitting (Runco and Jaeger 2012, *The Standard Definition of
# Creativity*). Temperature can't put a better idea at the top: you saw that it never changes the ranking. It only makes
# the lower ranks come up more often, the brilliant and the broken alike.
#
# That fits what studies find. In stories by LLaMA 2-Chat 70B, a higher temperature went with slightly more novelty, and
# more clearly with incoherence (Peeperkorn et al. 2024, *Is Temperature the Creativity Parameter of Large Language
# Models?*). Asked for unrelated words, most models in another study scored higher when sampled hotter, though GPT-4
# did not, and stability suffered (Chen and Ding 2023, *Probing the “Creativity” of Large Language Models*). So call it
# a dial for *variety*. For ideas, draw several texts and choose.
#
# ## 10 · The whole thing in one cell
#
# A sampling loop with a KV cache, built from your four functions. Under the same seed, `model.generate` must draw the
# same tokens.


# %%
def my_generate(prompt, temperature, top_k, top_p, min_p, length):
    ids = new = smollm.encode(prompt)
    cache = None
    for _ in range(length):
        with torch.inference_mode():
            output = smollm.model(new, past_key_values=cache, use_cache=True)
        cache, logits = output.past_key_values, output.logits[0, -1]
        logits = my_top_k(my_temperature(logits, temperature), top_k)
        logits = my_min_p(my_top_p(logits, top_p), min_p)
        new = torch.multinomial(logits.softmax(-1), 1)[None]
        ids = torch.cat([ids, new], dim=1)
        if new.item() == smollm.tokenizer.eos_token_id:
            break
    return ids


chosen = {"temperature": 0.9, "top_k": 50, "top_p": 0.95, "min_p": 0.02}
for seed in (0, 1):
    torch.manual_seed(seed)
    theirs = smollm.model.generate(smollm.encode(prompt), do_sample=True, max_new_tokens=20, **chosen)
    torch.manual_seed(seed)
    assert torch.equal(my_generate(prompt, length=20, **chosen), theirs)
    print(smollm.tokenizer.decode(theirs[0]))

# %% [markdown]
# Same model, prompt, settings and seed: the same text, here. In a batch with other requests it can still come out
# differently, and for two reasons: see [Seeds and batches](deeper/11_seeds_and_batches.ipynb).
#
# ## 11 · Quiz
#
# Every option, right or wrong, has an explanation.

# %% tags=["nbval-check-output"]
from course_utils.learner import quiz_question

quiz_question(
    "11-quiz-nucleus",
    "Tokens have the probabilities 0.5, 0.3, 0.15 and 0.05. What does a top-p of 0.7 keep?",
    [
        ("One token", False, "It has only 0.5. The token that crosses the line belongs to the nucleus."),
        ("Two tokens", True, "Yes: 0.5 isn't enough, and 0.5 + 0.3 reaches 0.7."),
        ("Three tokens", False, "Two reach 0.8 already, which is more than 0.7. The smallest such set is kept."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "11-quiz-default",
    "You pass do_sample=True and top_p=1.0 to generate and set nothing else. What is drawn from?",
    [
        ("The whole vocabulary", False, "Top-p is off, but top-k isn't: unless someone sets it, it is 50."),
        ("The 50 best tokens", True, "Yes, unless the model's own generation_config.json says otherwise."),
        ("The best token only", False, "That is do_sample=False, or a top_k of 1."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "11-quiz-order",
    "Which pair of filters can change places without changing which tokens are kept?",
    [
        ("Temperature and top-k", True, "Yes: temperature never changes the ranking, and top-k looks at nothing else."),
        ("Temperature and top-p", False, "Temperature moves probability, and top-p counts it. Section 9 measured it."),
        (
            "Temperature and min-p",
            False,
            "Min-p compares probabilities with the best one's, and temperature moves both.",
        ),
    ],
)

# %% [markdown]
# ## Take-aways
#
# - Temperature divides logits. It changes how undecided a distribution is, never the ranking. 0 means greedy.
# - Top-k counts tokens, top-p counts probability, min-p compares with the best token.
# - A program filters by defaults that you don't see: `generate` has top_k=50. Pass every filter yourself.
# - The order of the filters is part of the setting, and programs disagree on it.
# - Temperature is a dial for variety. What's worth keeping, someone has to judge.
#
# **Exercise**: [11 · Sampling](../exercises/11_sampling.ipynb). **Deeper**: [diversity and
# likelihood](deeper/11_diversity_and_likelihood.ipynb), [seeds and batches](deeper/11_seeds_and_batches.ipynb). **All
# lessons**: [the index](index.ipynb).
#
# **Next**: [12 · Repetition, length and stopping](12_repetition_length_and_stopping.ipynb) asks why texts repeat
# themselves, what penalties do about it, and when a text ends.
