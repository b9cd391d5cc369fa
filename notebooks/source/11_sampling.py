# %% [markdown]
# # 11 · Sampling
#
# A model gives every possible next token a probability, and then something has to choose. This choice makes a text
# dull, lively or nonsense. In this lesson you write all of it yourself.
#
# **You will be able to**
#
# - turn logits into a drawn token with four functions of your own, each equal to the one of `transformers`;
# - say in bits what a temperature of 0, 0.7, 1 and 2 does to a distribution;
# - explain which tokens top-k, top-p and min-p keep, and why their order matters;
# - measure diversity against likelihood, and choose settings by what you measured;
# - repeat a sampled text token by token, and say when the same seed gives another text.
#
# **Time**: 45 minutes. **Read before**: [00 · Start here](00_start_here.ipynb).

# %% [markdown]
# ## 1 · Five words
#
# First a vocabulary that you can hold in your head. After “I would like some” a toy model gives five words these
# logits. Look at the longest bar.

# %% tags=["nbval-check-output"]
import torch
from course_utils import figures

words = ["tea", "coffee", "water", "milk", "paint"]
toy = torch.tensor([3.0, 2.0, 1.0, 0.0, -2.0])
figures.next_token_bars(toy.softmax(-1), words, top=5)

# %% [markdown]
# To **sample** means to draw a word at random, by its probability. Picture a wheel of fortune with five fields of
# these sizes. `torch.multinomial` spins it. Compare the two numbers in each line.

# %% tags=["nbval-check-output"]
generator = torch.Generator().manual_seed(0)
drawn = torch.multinomial(toy.softmax(-1), 1000, replacement=True, generator=generator)
for word, share, times in zip(words, toy.softmax(-1), drawn.bincount(minlength=5), strict=True):
    print(f"{word:6} {share:.3f}   drawn {times} times in 1,000")

# %% [markdown]
# The generator is where the chance comes from. Started with the same **seed**, it gives the same numbers again, so
# your 1,000 draws are these, too. Section 10 comes back to that.
#
# Always taking the best token is called **greedy**. Why not do that? Because texts then get dull and repeat
# themselves, as lesson 12 shows. Why not draw from the distribution as it is? That is what you find out now.

# %% [markdown]
# ## 2 · Temperature
#
# **Temperature** divides every logit by the same number before the softmax. The word comes from physics: Ackley,
# Hinton and Sejnowski (1985, *A Learning Algorithm for Boltzmann Machines*) draw the states of a network in this way.
# The function has one line.


# %% tags=["nbval-check-output"]
def my_temperature(logits, temperature):
    return logits / temperature


for temperature in (0.5, 1, 2, 10):
    print(temperature, [round(share, 2) for share in my_temperature(toy, temperature).softmax(-1).tolist()])

# %% [markdown]
# Below 1 the best word gets more. Above 1 everything moves towards one fifth each. The order of the words never
# changes. How undecided a distribution is has a measure, **entropy** in bits: 0 bits is certainty, and each further
# bit is as much as one toss of a coin.


# %% tags=["nbval-check-output"]
def bits(logits):
    p = logits.softmax(-1)
    return (p * -p.log2()).nansum().item()  # nansum: a probability of 0 adds nothing


{temperature: round(bits(my_temperature(toy, temperature)), 2) for temperature in (0.5, 1, 2, 10)}

# %% [markdown]
# Five equal words would have log₂ 5 = 2.32 bits. And a temperature of 0? Look at what the division makes of it.

# %% tags=["nbval-check-output"]
my_temperature(toy, 0), my_temperature(toy, 0).softmax(-1)

# %% [markdown]
# `nan` is “not a number”, and nobody can draw from it. Still, many programs accept 0. They mean the limit: watch
# the probability of the best word as the temperature falls.

# %% tags=["nbval-check-output"]
[(temperature, round(my_temperature(toy, temperature).softmax(-1)[0].item(), 4)) for temperature in (1, 0.5, 0.2, 0.1)]

# %% [markdown]
# So 0 stands for greedy: keep the best word only. `transformers` refuses 0 and has `do_sample=False` instead. Your
# function gets a case for it. A removed token gets a logit of −∞, because the softmax makes exactly 0 of that.


# %% tags=["nbval-check-output"]
def my_temperature(logits, temperature):
    if temperature == 0:
        return logits.masked_fill(logits < logits.max(), -torch.inf)
    return logits / temperature


my_temperature(toy, 0).softmax(-1)

# %% [markdown]
# ## 3 · Temperature on 49,152 tokens
#
# Now the real thing. SmolLM2 reads a prompt and gives every token of its vocabulary a logit.

# %% tags=["nbval-check-output"]
from course_utils.models import load_causal_lm

smollm = load_causal_lm()
prompt = "Once upon a time there was a"
logits = smollm.next_logits(prompt)
logits.shape

# %% [markdown]
# Is your function the one of `transformers`? The `assert` stops with an error if one of the 49,152 numbers differs.
# (`[None]` and `[0]` put on and take off the batch, which their function wants.)

# %% tags=["nbval-check-output"]
from transformers import TemperatureLogitsWarper

for temperature in (0.7, 1.0, 2.0):
    theirs = TemperatureLogitsWarper(temperature)(None, logits[None])[0]
    assert torch.equal(my_temperature(logits, temperature), theirs)
{temperature: round(bits(my_temperature(logits, temperature)), 2) for temperature in (0, 0.7, 1, 2)}

# %% [markdown]
# If all tokens were equal, there would be log₂ 49,152 = 15.58 bits. At a temperature of 2 not much is missing. What
# does that mean for the best tokens?

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
# The next picture shows where the rest went. Read it from the left: each curve adds up the tokens, the best first.
# The marks say how many it takes to reach 90 %.

# %% tags=["nbval-check-output"]
figures.probability_mass({f"temperature {t}": my_temperature(logits, t).softmax(-1) for t in (0.7, 1, 2)})

# %% [markdown]
# One unlikely token hardly matters. Tens of thousands of them do: at 2, nearly every draw comes from the tail. Now
# let the model write at each temperature. A drawn token joins the text, the model reads on, and so forth.

# %%
from course_utils.engine.generate import generate

for temperature in (0, 0.7, 1, 2):
    settings = {"do_sample": True, "filters": [("temperature", temperature)], "seed": 1, "max_new_tokens": 25}
    text = generate(smollm.model, smollm.encode(prompt), smollm.tokenizer, **settings)[0].text
    print(f"{temperature}: {text!r}\n")

# %% [markdown]
# At 0 the text is smooth and the same every time. At 2 it falls apart after a few tokens, and it cannot recover,
# because the model then reads its own nonsense. Change the seed and run the cell again.
#
# Touch it. Move **temperature** with the arrow keys and watch the entropy. Then set it to 2, press **Draw 1000**
# and read under the picture which tokens came most often.

# %% tags=["nbval-check-output"]
from course_utils.traces import record_next_token
from course_utils.widgets import SamplingLab

trace = record_next_token(smollm, prompt)
SamplingLab(trace, temperature=2)

# %% [markdown]
# ## 4 · Top-k
#
# If the tail is the trouble, cut it off. **Top-k** keeps the *k* best tokens (Fan, Lewis and Dauphin 2018,
# *Hierarchical Neural Story Generation*). First on the toy: two words stay, and share the probability anew.


# %% tags=["nbval-check-output"]
def my_top_k(logits, top_k):
    smallest_kept = logits.topk(top_k).values[-1]
    return logits.masked_fill(logits < smallest_kept, -torch.inf)


my_top_k(toy, 2), my_top_k(toy, 2).softmax(-1)

# %% tags=["nbval-check-output"]
from transformers import TopKLogitsWarper

assert torch.equal(my_top_k(logits, 50), TopKLogitsWarper(50)(None, logits[None])[0])
my_top_k(logits, 50).isfinite().sum()

# %% [markdown]
# The number is the same for every prompt. Is that good? Here is a second prompt, with an obvious answer. The best 50
# tokens hold 66 % of the probability after “Once upon a time there was a”. How much do they hold here?

# %%
capital = smollm.next_logits("The capital of France is")
best_50 = predict(
    "11-best-50",
    "How much of the probability do the best 50 tokens hold after “The capital of France is”?",
    {"below 66 %": (0, 0.66), "66 % to 90 %": (0.66, 0.9), "over 90 %": (0.9, None)},
)
best_50

# %% tags=["nbval-check-output"]
best_50.compare(capital.softmax(-1).topk(50).values.sum().item(), show="{:.0%}")

# %% tags=["nbval-check-output"]
figures.next_token_bars(my_top_k(capital, 50).softmax(-1), smollm.labels, top=8)

# %% [markdown]
# For the first prompt, 50 is strict: a third of the probability is lost, and with it hundreds of words that fit. For
# the second it is generous: one token is right, and 49 come along. No *k* suits both.

# %% [markdown]
# ## 5 · Top-p
#
# **Top-p** counts probability, not tokens: it keeps the smallest set of best tokens that reaches *p* together. The
# set is called the **nucleus** (Holtzman et al. 2020, *The Curious Case of Neural Text Degeneration*).
#
# The obvious code removes every token whose running sum is over *p*. Try it on the toy with two values of *p*. The
# running sums are 0.64, 0.88, 0.96 and so on.


# %% tags=["nbval-check-output"]
def first_try(logits, top_p):
    ranked = logits.softmax(-1).sort(descending=True)
    removed = ranked.indices[ranked.values.cumsum(-1) > top_p]
    return logits.index_fill(0, removed, -torch.inf)


first_try(toy, 0.8), first_try(toy, 0.5)

# %% [markdown]
# At 0.8 it keeps *tea* alone, which is only 0.64. At 0.5 it removes everything. The mistake: the token that
# *crosses* the line belongs to the nucleus. A token stays as long as the tokens **before** it have not reached *p*.


# %% tags=["nbval-check-output"]
def my_top_p(logits, top_p):
    ranked = logits.softmax(-1).sort(descending=True)
    sum_before = ranked.values.cumsum(-1) - ranked.values
    removed = ranked.indices[sum_before >= top_p]
    return logits.index_fill(0, removed, -torch.inf)


my_top_p(toy, 0.8), my_top_p(toy, 0.5)

# %% tags=["nbval-check-output"]
from transformers import TopPLogitsWarper

for some in (logits, capital):
    assert torch.equal(my_top_p(some, 0.9), TopPLogitsWarper(0.9)(None, some[None])[0])
my_top_p(logits, 0.9).isfinite().sum(), my_top_p(capital, 0.9).isfinite().sum()

# %% [markdown]
# The same setting keeps hundreds of tokens where the model is unsure, and a handful where it is sure.
#
# A well-known page that explains sampling keeps only the best 50 logits, as many as its screen can show. It applies
# the softmax to these 50 and shows a nucleus. What does that change?

# %%
shortcut = predict(
    "11-shortcut",
    "Only the best 50 logits go into the softmax. How many tokens are then in the nucleus of 0.9?",
    {"fewer than 50": (0, 50), "50 to 545": (50, 546), "546, as before": (546, 547)},
)
shortcut

# %% tags=["nbval-check-output"]
cut_first = my_top_p(my_top_k(logits, 50), 0.9).isfinite().sum().item()
shortcut.compare(cut_first, show="{} tokens")

# %% tags=["nbval-check-output"]
figures.probability_mass({"all tokens": logits.softmax(-1), "best 50 only": my_top_k(logits, 50).softmax(-1)})

# %% [markdown]
# The 50 share the probability of all the others, so they reach 90 % far too early. The picture on such a page is
# wrong by a factor of 17, and nothing on it tells you. The widget of this course has the full vocabulary for that
# reason.
#
# ## 6 · Min-p
#
# **Min-p** asks for quality, not for quantity: it keeps what is at least *min-p* times as likely as the best token
# (Nguyen et al. 2024, *Turning Up the Heat: Min-p Sampling*). On the toy, 0.1 means a tenth of what *tea* has.


# %% tags=["nbval-check-output"]
def my_min_p(logits, min_p):
    probabilities = logits.softmax(-1)
    return logits.masked_fill(probabilities < min_p * probabilities.max(), -torch.inf)


my_min_p(toy, 0.1)

# %% tags=["nbval-check-output"]
from transformers import MinPLogitsWarper

for min_p in (0.02, 0.05, 0.1):
    assert torch.equal(my_min_p(logits, min_p), MinPLogitsWarper(min_p)(None, logits[None])[0])
my_min_p(logits, 0.05).isfinite().sum(), my_min_p(capital, 0.05).isfinite().sum()

# %% [markdown]
# The difference shows when it gets hot. At a temperature of 2 the best token is small, so a nucleus needs the tail
# to reach 90 %. How many tokens does each of the three keep then?

# %% tags=["nbval-check-output"]
hot = my_temperature(logits, 2)
kept = {"top-k 50": my_top_k(hot, 50), "top-p 0.9": my_top_p(hot, 0.9), "min-p 0.05": my_min_p(hot, 0.05)}
{name: filtered.isfinite().sum().item() for name, filtered in kept.items()}

# %% [markdown]
# ## 7 · Your functions in the lab
#
# The lab can run **your** functions in place of the library's. Hand them over by name. It says above the picture
# at which token yours differ from the reference, and marks these tokens with ≠. First the wrong one from section 5.

# %% tags=["nbval-check-output"]
SamplingLab(trace, own={"top_p": first_try}, top_p=0.9)

# %% [markdown]
# One token of 546: a test that looks at the best ten tokens would not find it. Press **Where it cuts** to see it.
# Then move **top_p** down, below the probability of the best token.
#
# Now the four right ones. Move every control. Then break one: go back to its cell, leave out the `return`, run it
# and run this cell again.

# %% tags=["nbval-check-output"]
mine = {"temperature": my_temperature, "top_k": my_top_k, "top_p": my_top_p, "min_p": my_min_p}
SamplingLab(trace, own=mine, temperature=0.7, top_k=50, top_p=0.9, min_p=0.05)

# %% [markdown]
# You add the probabilities up from the best token, the library from the worst, and 32-bit numbers round on the
# way. Where only this rounding decides about a token, the lab calls neither side wrong.
#
# Your own prompt, please. Change the text. A prompt that the model cannot read gets one sentence, as below.

# %% tags=["nbval-check-output"]
my_prompt = "The best thing about Mondays is"
SamplingLab(record_next_token(smollm, my_prompt), own=mine, temperature=1.2, min_p=0.05)

# %% tags=["nbval-check-output"]
for wrong in ("", "word " * 10_000):
    try:
        record_next_token(smollm, wrong)
    except ValueError as error:
        print(error)

# %% [markdown]
# ## 8 · The order matters
#
# `transformers` applies temperature, then top-k, then top-p, then min-p. llama.cpp, another widely used program,
# applies temperature **last** unless told otherwise. So what do a temperature of 2 and a top-p of 0.9 keep if top-p
# comes first?

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

# %% [markdown]
# The settings are the same, and so is the model. One program draws from twenty times as many tokens as the other.
# Below a temperature of 1 it is the other way round: look at the left of the picture.

# %% tags=["nbval-check-output"]
temperatures = [0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2]
first = [my_top_p(my_temperature(logits, t), 0.9).isfinite().sum().item() for t in temperatures]
last = [my_temperature(my_top_p(logits, 0.9), t).isfinite().sum().item() for t in temperatures]
figures.kept_by_order(temperatures, {"temperature first": first, "temperature last": last})

# %% [markdown]
# With four filters there are 24 orders. How many different results do they have? The next cell tries them all:
# `(100, 6)` says that 100 tokens are left in 6 of the orders.

# %% tags=["nbval-check-output"]
from collections import Counter
from itertools import permutations
from course_utils.engine.sampling import filter_stages

filters = [("temperature", 2.0), ("top_k", 100), ("top_p", 0.9), ("min_p", 0.05)]
Counter(filter_stages(logits, order)[-1].isfinite().sum().item() for order in permutations(filters)).most_common()

# %% [markdown]
# Six results, from 24 tokens to 100. And in the orders of the two programs?

# %% tags=["nbval-check-output"]
orders = {"transformers": filters, "llama.cpp": filters[1:] + filters[:1]}
{name: filter_stages(logits, order)[-1].isfinite().sum().item() for name, order in orders.items()}

# %% [markdown]
# The same four numbers leave more than twice as many tokens in one program as in the other. A setting without its order
# is half a setting. If texts get worse after you move to another program, look at the order first.
#
# ## 9 · What is a good setting?
#
# Two things are wanted: texts that differ, and texts that fit. Both can be measured over many draws.
#
# - **Diversity**: how many of all drawn tokens are different ones.
# - **Likelihood**: the mean log-probability that the model, without any filter, gives to what was drawn.
#
# The function below writes 24 texts of 12 tokens at once. All of them share the KV cache of the prompt.

# %%
from course_utils.engine.running import RunningModel
from course_utils.engine.sampling import draw_next


def continuations(filters, texts=24, length=12):
    ids = smollm.encode(prompt)
    running, generator = RunningModel(smollm.model, ids), torch.Generator().manual_seed(0)
    logits, grown, likelihood = running.next_logits(ids).repeat(texts, 1), ids.repeat(texts, 1), []
    running.select([0] * texts)  # one prefill, then a row for every text
    for _ in range(length):
        drawn = draw_next(logits, filters, generator)[:, None]
        likelihood.append(logits.log_softmax(-1).gather(-1, drawn))
        grown = torch.cat([grown, drawn], dim=1)
        logits = running.next_logits(grown)
    return grown[:, ids.shape[1] :], torch.cat(likelihood, dim=1)


# %% [markdown]
# Seven settings, which take some seconds. The texts are split into four groups, so that there are four measurements of
# each setting and not one.

# %%
hot, nucleus, tenth = ("temperature", 2.0), ("top_p", 0.9), ("min_p", 0.1)
settings = {"0": [("temperature", 0)], "0.7": [("temperature", 0.7)], "1": [], "1, top-p 0.9": [nucleus]}
settings |= {"2": [hot], "2, top-p 0.9": [hot, nucleus], "2, min-p 0.1": [hot, tenth]}
measured, examples = {}, {}
for name, filters in settings.items():
    new, likelihood = continuations(filters)
    different = [len(group.unique()) / group.numel() for group in new.split(6)]
    measured[name] = [group.mean().item() for group in likelihood.split(6)], different
    examples[name] = smollm.tokenizer.decode(new[0])
examples

# %% [markdown]
# How likely is a text that a person wrote? Here is the beginning of *Tom Tit Tot* (Jacobs 1890, *English Fairy
# Tales*). Its first words are your prompt.


# %% tags=["nbval-check-output"]
tale = prompt + " woman, and she baked five pies. And when they came out of the oven, they were that overbaked"
tale_ids, start = smollm.encode(tale), smollm.encode(prompt).shape[1]
with torch.inference_mode():
    scores = smollm.model(tale_ids).logits[0, :-1].log_softmax(-1).gather(-1, tale_ids[0, 1:, None])
people = scores[start - 1 :].mean().item()
round(people, 1)

# %% [markdown]
# Where do you expect it: at the likely end, at the unlikely end, or in between? Each point below is a setting, named
# by its temperature. The dashed line is the person. Each bar is one standard error to each side.

# %%
figures.diversity_and_likelihood(measured, people)

# %%
for name in ("2", "2, top-p 0.9", "2, min-p 0.1"):
    print(name, [round(value, 1) for value in measured[name][0]])
assert max(measured["2, top-p 0.9"][0]) < min(measured["2, min-p 0.1"][0])

# %% [markdown]
# - Likelihood is not quality. People write *less* likely words than a temperature of 0.7 does. That was the point of
#   Holtzman et al.: the most likely text is not what anybody writes.
# - At 2, top-p after temperature changes little: its nucleus has 11,638 tokens. Min-p brings the texts back to where
#   people are, and they stay diverse.
# - One prompt, one small model, 24 short texts and a person's: enough to see what the settings do, not enough to name
#   the best one.
#
# ## 10 · The same text again
#
# A sampled text can be repeated: same model, same prompt, same settings, same seed. Watch the second line. It asks
# for three texts at once and shows the first of them.

# %%
settings = {"do_sample": True, "filters": [("temperature", 0.8)], "seed": 5, "max_new_tokens": 12}
alone = generate(smollm.model, smollm.encode(prompt), smollm.tokenizer, **settings)[0].text
again = generate(smollm.model, smollm.encode(prompt), smollm.tokenizer, **settings)[0].text
in_batch = generate(smollm.model, smollm.encode(prompt), smollm.tokenizer, num_return_sequences=3, **settings)[0].text
assert alone == again != in_batch
print(alone, in_batch, sep="\n")

# %% [markdown]
# A seed fixes the stream of random numbers, not the text. In a batch, the other texts take numbers from the same
# stream. A server that puts your request into a batch with others can do the same to you, unless every request has a
# generator of its own.
#
# ## 11 · The whole thing in one cell
#
# A sampling loop with a KV cache, made of your four functions. The `assert` compares it with `model.generate`, token
# by token, under the same seed.


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
for seed in range(3):
    torch.manual_seed(seed)
    theirs = smollm.model.generate(smollm.encode(prompt), do_sample=True, max_new_tokens=20, **chosen)
    torch.manual_seed(seed)
    assert torch.equal(my_generate(prompt, length=20, **chosen), theirs)
    print(smollm.tokenizer.decode(theirs[0]))

# %% [markdown]
# ## 12 · Quiz
#
# Every option has an explanation, also the wrong ones. Try them all.

# %% tags=["nbval-check-output"]
from course_utils.learner import quiz_question

quiz_question(
    "11-quiz-zero",
    "A program accepts a temperature of 0. What does it do?",
    [
        ("It divides the logits by 0", False, "That gives “not a number”, and nothing can be drawn from it."),
        (
            "It takes the best token",
            True,
            "Yes: the limit of ever smaller temperatures. Every run gives the same text.",
        ),
        ("It draws all tokens with equal odds", False, "That is the other end, a very high temperature."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "11-quiz-nucleus",
    "Tokens have the probabilities 0.5, 0.3, 0.15 and 0.05. What does a top-p of 0.7 keep?",
    [
        ("One token", False, "It has only 0.5. The token that crosses the line belongs to the nucleus."),
        ("Two tokens", True, "Yes: 0.5 is not enough, and 0.5 + 0.3 reaches 0.7."),
        ("Three tokens", False, "Two reach 0.8 already, which is more than 0.7. The smallest such set is kept."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "11-quiz-order",
    "Which pair of filters can change places without changing which tokens are kept?",
    [
        ("Temperature and top-k", True, "Yes: temperature never changes the ranking, and top-k looks only at it."),
        ("Temperature and top-p", False, "Temperature moves probability, and top-p counts it. Section 8 measured it."),
        (
            "Temperature and min-p",
            False,
            "Min-p compares probabilities with the best one's, and temperature moves both.",
        ),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "11-quiz-likelihood",
    "Setting A gives texts that the model finds far more likely than those of setting B. What follows?",
    [
        (
            "A gives better texts",
            False,
            "Greedy texts are the likeliest of all, and they are dull and repeat themselves.",
        ),
        ("B's texts are nonsense", False, "Perhaps. A person's text is less likely than one drawn at 0.7, too."),
        (
            "A draws closer to the best tokens",
            True,
            "Yes, and no more than that. Whether it is good, somebody must read.",
        ),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "11-quiz-seed",
    "The same prompt, settings and seed give you another text than yesterday. What could be the reason?",
    [
        ("The model forgot the seed", False, "The seed is not in the model. It starts the generator, at every run."),
        ("Your prompt ran in a batch with others", True, "Yes: the others may take numbers from the same stream."),
        ("Sampling can never be repeated", False, "It can, as section 10 shows, if everything is the same."),
    ],
)

# %% [markdown]
# ## Take-aways
#
# - Temperature divides logits: it changes how undecided a distribution is, never the ranking. 0 means greedy.
# - Top-k counts tokens, top-p counts probability, min-p compares with the best token. Each is at most five lines.
# - Filters must see the full vocabulary. A softmax over the best 50 shows a wrong nucleus.
# - The order of the filters is part of the setting, and programs disagree on it.
# - Likely is not good: a person's text lies between greedy and hot.
#
# **Next**: [12 · Repetition, length and stopping](12_repetition_length_and_stopping.ipynb) asks why texts repeat
# themselves, what penalties do about it, and when a text ends.
#
# **Exercise**: [11 · Sampling](../exercises/11_sampling.ipynb). **All lessons**: [the index](index.ipynb).
