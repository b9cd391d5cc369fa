# %% [markdown]
# # 13 · Beam search
#
# Greedy search takes the best next token and never looks back. Beam search keeps a few texts alive at once, so a
# token that looks worse now can still win later. In this lesson you do it by hand, see what it prunes, and measure
# what it costs and when it writes worse texts.
#
# **You will be able to**
#
# - do the five steps of beam search by hand, and say why greedy search can lose;
# - read a beam tree: what was kept, what was pruned, and why the better first token lost;
# - explain what the length penalty and early stopping change, and what they do not;
# - predict what beams cost in memory and time;
# - say when not to use beam search.
#
# **Time**: 40 minutes. **Read before**: [00 · Start here](00_start_here.ipynb). [10 · Prefill and
# decode](10_prefill_and_decode.ipynb) (the KV cache) and [11 · Sampling](11_sampling.ipynb) help.

# %% [markdown]
# ## 1 · A weather diary where greedy loses
#
# First a model that you can hold in your head. It writes a weather diary with three words: *sun*, *rain*, *fog*. The
# next day depends on the day before only, so the whole model is one table. Read a row as: after this day, what comes
# next? Fog is rare on the first day, but it stays.

# %% tags=["nbval-check-output"]
import torch

words = ["sun", "rain", "fog"]
START = 3
table = torch.tensor([[0.35, 0.40, 0.25], [0.20, 0.70, 0.10], [0.05, 0.05, 0.90], [0.50, 0.30, 0.20]])
for day, row in zip([*words, "start"], table.tolist(), strict=True):
    print(f"after {day:6}", "  ".join(f"{word} {p:.2f}" for word, p in zip(words, row, strict=True)))

# %% [markdown]
# The probability of a diary is the product of its days. Greedy search takes the best day every time: *sun* (0.50),
# then *rain* (0.40), then *rain* (0.70), then *rain* (0.70).

# %%
from course_utils.learner import predict

days = predict(
    "13-diary",
    "Which diary of four days has the highest probability of all 81?",
    ["sun rain rain rain", "rain rain rain rain", "fog fog fog fog", "sun sun sun sun"],
)
days

# %% [markdown]
# There are only 3 × 3 × 3 × 3 = 81 diaries. So nobody has to believe anything: we score them all. This is
# **exhaustive search**.

# %% tags=["nbval-check-output"]
from itertools import product


def probability(diary):
    """The product of the probabilities of its days."""
    return table[[START, *diary[:-1]], list(diary)].prod().item()


every = sorted(product(range(3), repeat=4), key=probability, reverse=True)
for place, diary in enumerate(every[:5], start=1):
    print(place, " ".join(words[day] for day in diary), f"{probability(diary):.3f}")
len(every)

# %% tags=["nbval-check-output"]
days.compare(" ".join(words[day] for day in every[0]))

# %% [markdown]
# Greedy's diary is number 4. It lost on the first day: after *sun* anything can come, and every day costs. *Fog* is
# the least likely first word, and the best diary of all begins with it.
#
# With the 49,152 tokens of SmolLM2, four tokens make 49,152⁴ ≈ 6 · 10¹⁸ texts. Nobody scores them all. Beam search is
# the compromise.

# %% [markdown]
# ## 2 · The five steps by hand
#
# Beam search keeps the best `k` texts of every length. They are the **beams**. Its steps are:
#
# 1. **start** with the prompt;
# 2. **extend** every beam by every token;
# 3. **add** the log-probability of the new token to the sum of its beam;
# 4. **keep** the best `k` of all these candidates, and prune the others;
# 5. **repeat** until the texts end, then take the best.
#
# Why logarithms? A product of many probabilities is soon too small for the numbers of a computer. The sum of their
# logarithms is not, and it puts the texts in the same order.

# %% tags=["nbval-check-output"]
print(torch.tensor(0.3) ** 100)
print(torch.tensor(0.3).log() * 100)

# %% [markdown]
# **Step 1, start.** One beam, empty but for the start, with a sum of 0.

# %% tags=["nbval-check-output"]
texts, sums = torch.tensor([[START]]), torch.zeros(1)
texts.shape, sums

# %% [markdown]
# **Steps 2 and 3, extend and add.** Every beam gets a row, every token a column.

# %% tags=["nbval-check-output"]
totals = sums[:, None] + table[texts[:, -1]].log()
totals

# %% [markdown]
# **Step 4, keep the best two.** `topk` gives their places in the flat list. The row says which beam was extended,
# the column which token was added. *Fog* has the lowest sum and is pruned.

# %% tags=["nbval-check-output"]
sums, places = totals.flatten().topk(2)
rows, tokens = places // 3, places % 3
texts = torch.cat([texts[rows], tokens[:, None]], dim=1)
[(words[token], round(total, 2)) for token, total in zip(tokens.tolist(), sums.tolist(), strict=True)]

# %% [markdown]
# **Step 5, repeat.** The same three lines again, now with two rows. Six candidates, two places: which two stay?

# %% tags=["nbval-check-output"]
totals = sums[:, None] + table[texts[:, -1]].log()
for beam, row in zip(texts[:, 1:].tolist(), totals.tolist(), strict=True):
    print(words[beam[0]], "→", "   ".join(f"{word} {total:.2f}" for word, total in zip(words, row, strict=True)))

# %% [markdown]
# *Rain rain* (−1.56) and *sun rain* (−1.61) stay. That is the whole algorithm, so here it is as a function. It asks
# a model for log-probabilities and does not care which model that is.


# %% tags=["nbval-check-output"]
def beam_search(next_log_probabilities, texts, beams, steps):
    """The best texts of `steps` more tokens that `beams` beams find, and their sums."""
    sums = torch.zeros(1)
    for _ in range(steps):
        totals = sums[:, None] + next_log_probabilities(texts)  # (beams, vocab)
        sums, places = totals.flatten().topk(min(beams, totals.numel()))
        rows, tokens = places // totals.shape[1], places % totals.shape[1]
        texts = torch.cat([texts[rows], tokens[:, None]], dim=1)
    return texts, sums


for beams in (1, 2, 3):
    texts, sums = beam_search(lambda texts: table[texts[:, -1]].log(), torch.tensor([[START]]), beams, steps=4)
    best = tuple(texts[0, 1:].tolist())
    print(beams, " ".join(words[day] for day in best), f"{sums[0].exp():.3f}, number {every.index(best) + 1} of 81")

# %% [markdown]
# The first number is the number of beams. One beam is greedy search. Two beams do better, and still miss the best
# diary: they prune *fog* on the first day and cannot know that it would have stayed. Three beams find the best one, and
# exhaustive search agrees.
#
# So beam search is **not exact**. It is greedy search that changes its mind a little later.

# %% tags=["nbval-check-output"]
assert best == every[0]
" ".join(words[day] for day in best)

# %% [markdown]
# ## 3 · The same function on SmolLM2
#
# Nothing changes but the model. It reads all beams at once, as a batch.

# %% tags=["nbval-check-output"]
from course_utils.models import load_causal_lm

smollm = load_causal_lm()


@torch.inference_mode()
def next_log_probabilities(texts):
    return smollm.model(texts, logits_to_keep=1).logits[:, -1].log_softmax(-1)


next_log_probabilities(smollm.encode("The capital of France is")).shape

# %% [markdown]
# One row for one text, one column for each token. Look at the sums, and at the texts: would you write the first?

# %% tags=["nbval-check-output"]
prompt = "I have never seen"
ids = smollm.encode(prompt)
for beams in (1, 2, 4):
    texts, sums = beam_search(next_log_probabilities, ids, beams, steps=4)
    print(f"{beams}  sum {sums[0]:.2f}  {smollm.tokenizer.decode(texts[0])}")

# %% [markdown]
# The text of four beams is e^(7.57 − 3.45) ≈ 60 times as likely as greedy's. It is also what people say.
#
# **Touch it.** Every column is a step; every box is a token that was considered, with the sum up to it. Solid boxes
# were kept, dashed ones pruned, and a wall behind a box means that the text ends there (here a text ends at its full
# stop). Greedy's path has a double outline. **Look for the place where it was pruned.** Then move *step* to 1 and grow
# the tree yourself, walk through it with the arrow keys, and search again with a prompt of your own.

# %% tags=["nbval-check-output"]
from course_utils.widgets import beam_tree

FULL_STOP = smollm.tokenizer.convert_tokens_to_ids(".")
beam_tree(smollm, prompt, num_beams=4, steps=8, eos_ids=[FULL_STOP])

# %% [markdown]
# Read the last lines. The best first token was *a*, with 39 % against 8 % for *anything*. One step later it was
# gone: after *a* thousands of words are possible and none is likely, after *anything* comes *like*, nearly always.
# That is the fog of the toy.
#
# What cannot be searched gets one sentence, beside the form or here:

# %% tags=["nbval-check-output"]
for wrong, beams in (("", 4), ("word " * 3000, 4), ("I have", 11)):
    try:
        beam_tree(smollm, wrong, num_beams=beams)
    except ValueError as error:
        print(error)

# %% [markdown]
# ## 4 · More beams, better texts?
#
# With every candidate kept, beam search would be exhaustive. So more beams should find better texts. Do they, each
# time?

# %%
moon = predict(
    "13-more-beams",
    "From 1 to 10 beams, the sum of the best text of eight tokens after “The moon is” …",
    ["never falls", "falls at least once"],
)
moon

# %% tags=["nbval-check-output"]
from course_utils.engine.generate import search_beams

best_sums = []
for beams in range(1, 11):
    tree = search_beams(smollm.model, smollm.encode("The moon is"), num_beams=beams, max_new_tokens=8, eos_ids=[])
    best = tree.finished[0].node
    best_sums.append(round(tree.nodes[best].score, 2))
    print(f"{beams:2}  {best_sums[-1]:7.2f} ", smollm.tokenizer.decode(tree.path(best)))

# %% tags=["nbval-check-output"]
moon.compare("never falls" if best_sums == sorted(best_sums) else "falls at least once")

# %% [markdown]
# Four beams find a worse text than three. With four, one more rival stays for a while, and its continuations push out
# the text that would have won. More beams help on average. They promise nothing.

# %% [markdown]
# ## 5 · The length penalty
#
# Texts do not all have the same length. Every token adds a log-probability, and no log-probability is above 0. So a
# sum can only fall, and **the sum alone prefers short texts**. What does it like best after *The most important thing
# in life is*? We record a search with ten beams once, and rank its texts by their sums.

# %% tags=["nbval-check-output"]
from course_utils.traces import record_beams

settings = {"num_beams": 10, "max_new_tokens": 12, "eos_ids": [FULL_STOP]}
life = record_beams(smollm, "The most important thing in life is", to_the_end=True, **settings)
for text in life.replay(length_penalty=0, early_stopping="never").finished[:4]:
    print(f"{text.score:6.2f} {life.text(text.node)}")

# %% [markdown]
# One word and a full stop. Nobody said that short is good: the sum did. The usual cure divides it by the length to some
# power, the **length penalty**:
#
# `score = sum / tokens ** length_penalty`
#
# 0 leaves the sum as it is. 1 makes it the mean log-probability of a token. The name misleads: sums are negative, so a
# *larger* penalty favours *longer* texts.

# %% tags=["nbval-check-output"]
for length_penalty in (0, 0.5, 1, 2):
    best = life.replay(length_penalty, "never").finished[0]
    print(
        f"penalty {length_penalty:<4} score {best.score:6.2f}, {life.steps[best.node]:2} tokens:{life.text(best.node)}"
    )

# %% [markdown]
# Look at the place of five texts while the penalty rises: short ones sink, long ones climb.

# %% tags=["nbval-check-output"]
from course_utils import figures

penalties = [0, 0.25, 0.5, 0.75, 1, 1.5, 2]
nodes = sorted({text.node for penalty in penalties for text in life.replay(penalty, "never").finished[:2]})
scores = {life.text(n).strip(): [life.scores[n] / life.steps[n] ** p for p in penalties] for n in nodes}
figures.length_penalty_lines(penalties, scores)

# %% [markdown]
# All of this came from **one** search. Beams are kept by their sums, and the length penalty does not touch these: it
# ranks texts that have ended, and it takes part in the decision to stop. So a tree that was recorded to its end holds
# what the search finds under *every* penalty. That is why the slider in the widget needs no model. Is it true? Search
# again with a penalty of 0, and compare.

# %% tags=["nbval-check-output"]
from course_utils.engine.generate import generate

(again,) = generate(
    smollm.model, smollm.encode(life.prompt), smollm.tokenizer, length_penalty=0.0, early_stopping="never", **settings
)
replayed = life.replay(0.0, "never").finished[0]
assert again.ids == tuple(life.ids[life.path(replayed.node)])
assert abs(again.score - replayed.score) < 1e-4
again.text

# %% [markdown]
# Another number of beams is another tree, and does need the model.
#
# **A knob that does nothing.** A popular visualiser of beam search divides by `step + 1 ** length_penalty`. Python
# takes the power first, and 1 to any power is 1. Look at the two columns:

# %% tags=["nbval-check-output"]
step = 3
for length_penalty in (0, 0.5, 1, 2):
    print(f"penalty {length_penalty:<4} wrong: {step + 1**length_penalty:.2f}   right: {step**length_penalty:.2f}")

# %% [markdown]
# ## 6 · When to stop: early stopping
#
# A text that has ended leaves its beam and waits with its score. When as many texts wait as there are beams, may the
# search stop? `early_stopping` has three answers:
#
# - `True`: yes, at once.
# - `False`: stop when no beam would beat the worst waiting text **if it ended now**. That is a guess: a longer text can
#   still get a better score.
# - `"never"`: stop only when no beam **can** beat it any more, whatever comes.

# %%
hasty = predict(
    "13-early",
    "With a length penalty of 1, which one finds the text with the worst score?",
    ["True", "False", "never", "all find the same text"],
)
hasty

# %% tags=["nbval-check-output"]
tired = record_beams(smollm, "He was so tired that", to_the_end=True, **settings | {"num_beams": 4})
for length_penalty in (0.5, 1):
    for early_stopping in (True, False, "never"):
        found, last_step = tired.replay(length_penalty, early_stopping)
        best = f"score {found[0].score:5.2f}:{tired.text(found[0].node)}"
        print(f"penalty {length_penalty:<4} {early_stopping!s:6} stops after step {last_step:2}, {best}")

# %% tags=["nbval-check-output"]
bests = {answer: round(tired.replay(1, answer).finished[0].score, 3) for answer in (True, False, "never")}
hasty.compare(str(min(bests, key=bests.get)) if len(set(bests.values())) > 1 else "all find the same text")

# %% [markdown]
# With a penalty of 0.5 all three find the same text, and the careful ones only search longer. With 1 the long text that
# `True` did not wait for is better. Early stopping never changes what is kept or pruned on the way, so in the widget
# it moves the line behind which the tree is faint.

# %% [markdown]
# ## 7 · Is this what transformers does?
#
# `model.generate(num_beams=…)` does the same search. `num_return_sequences` asks for more than the best text, and
# `sequences_scores` are sums divided by length to the length penalty. The `assert` stops with an error if a token
# differs, or a score by more than 0.0001.

# %% tags=["nbval-check-output"]
shared = {"num_beams": 4, "max_new_tokens": 8, "length_penalty": 0.8, "num_return_sequences": 3}
ours = generate(smollm.model, ids, smollm.tokenizer, eos_ids=[FULL_STOP], **shared)
theirs = smollm.model.generate(
    ids, attention_mask=torch.ones_like(ids), do_sample=False, eos_token_id=FULL_STOP, pad_token_id=0,
    return_dict_in_generate=True, output_scores=True, **shared,
)  # fmt: skip
for text, row, score in zip(ours, theirs.sequences[:, ids.shape[1] :].tolist(), theirs.sequences_scores, strict=True):
    assert list(text.ids) == row[: len(text.ids)]
    assert abs(text.score - score) < 1e-4
    print(f"{text.score:.2f}{text.text}")

# %% [markdown]
# Look at the three texts. They are one idea, turned a little. That is typical: beams share most of their past, so many
# texts are not many ideas. Sampling gives those (lesson 11).

# %% [markdown]
# ## 8 · What it costs
#
# **Memory.** Every beam needs the keys and values of its own text. Lesson 10 found 46,080 bytes a token for SmolLM2. So
# predict before you measure: a prompt of 4 tokens, 8 new ones of which the last is never read, `k` beams.

# %% tags=["nbval-check-output"]
from course_utils.measuring.memory import kv_cache_bytes, measured_cache_bytes
from course_utils.measuring.model_shapes import PUBLISHED

shape = PUBLISHED["SmolLM2-135M"]
predicted = {beams: kv_cache_bytes(shape, tokens=4 + 8 - 1, batch=beams) for beams in (1, 2, 4, 8)}
predicted

# %% [markdown]
# Now the bytes of the real cache, after a real search, read from the tensors themselves.

# %% tags=["nbval-check-output"]
from course_utils.engine.beam_search import beam_search as search
from course_utils.engine.running import RunningModel
from course_utils.engine.settings import GenerationSettings
from course_utils.engine.stopping import StopRules

measured = {}
for beams in predicted:
    running, rules = RunningModel(smollm.model, ids), StopRules(eos_ids=(), max_new_tokens=8)
    search(running, rules, GenerationSettings(num_beams=beams), lambda log_probabilities, texts: log_probabilities)
    measured[beams] = measured_cache_bytes(running.cache)
assert measured == predicted
measured

# %% [markdown]
# Eight beams, eight times the cache, also for the prompt that all beams share. After a prompt of 1,000 tokens that is
# 369 MB instead of 46 MB.
#
# **Time.** Eight beams read eight tokens in every step instead of one. How much longer does a step take?

# %%
slower = predict(
    "13-time",
    "Eight beams against greedy search, six tokens each. The time is …",
    {"about the same": (0, 1.3), "1.3 to 6 times": (1.3, 6), "6 to 10 times": (6, 10), "more than that": (10, None)},
)
slower

# %% tags=["machine-dependent"]
from course_utils.measuring.timing import time_generation


def seconds(beams):
    """The median of three runs, after one to warm up."""

    def run(mark):
        generate(smollm.model, ids, max_new_tokens=6, eos_ids=[], num_beams=beams)
        mark()

    return time_generation(run, repeats=3).total.median


ratio = seconds(8) / seconds(1)
assert 0.8 < ratio < 20
slower.compare(ratio, show="{:.1f} times")

# %% [markdown]
# On most machines it is well below eight times. A decode step reads all weights once, for one text or for eight, and
# with few texts that reading is most of the work (lesson 10). A server that is busy with many users has no such gift
# to make: there, eight beams take the room of eight users.

# %% [markdown]
# ## 9 · When not to use it
#
# **Nothing can be streamed.** Greedy search and sampling show each token as it comes. Beam search can take every token
# back. Look at the best text after each step:

# %% tags=["nbval-check-output"]
seen = record_beams(smollm, prompt, num_beams=4, max_new_tokens=5)
for step in range(1, 6):
    best = seen.steps.tolist().index(step)  # candidates are recorded best first
    print(step, prompt + seen.text(best))

# %% [markdown]
# If you show *a* after the first step, you have to take it back after the second. So the course's `stream` refuses
# beams, and so does `generate(streamer=…)` of transformers.

# %% tags=["nbval-check-output"]
from course_utils.engine.generate import stream

try:
    next(stream(smollm.model, ids, smollm.tokenizer, num_beams=4))
except ValueError as error:
    print(error)

# %% [markdown]
# **Likely is not good.** For open-ended text, the most likely continuation is often dull, or repeats itself (Holtzman
# et al., 2020, *The Curious Case of Neural Text Degeneration*). Is that so here? We write 40 tokens after four prompts
# in three ways. Look at how the fourth text goes on with four beams.

# %% tags=["nbval-check-output"]
prompts = "Once upon a time|My favourite place in the world is|Dear diary, today|She opened the letter and read:"
batch = smollm.tokenizer(prompts.split("|"), padding=True, padding_side="left", return_tensors="pt")


def write(**how):
    """The new tokens after each prompt."""
    torch.manual_seed(0)
    out = smollm.model.generate(**batch, max_new_tokens=40, eos_token_id=None, pad_token_id=0, **how)
    return out[:, batch.input_ids.shape[1] :].tolist()


texts = {"greedy": write(do_sample=False), "4 beams": write(do_sample=False, num_beams=4)}
texts["sampling"] = write(do_sample=True, top_p=0.95, top_k=0)
print(smollm.tokenizer.decode(texts["4 beams"][3]))

# %% [markdown]
# Now a number: of all groups of three tokens in a text, what share was there before in the same text?

# %%
loops = predict(
    "13-repeats",
    "Beams look further ahead than greedy search. Their share of repeated groups, on average over the four texts, is …",
    {"below half of greedy's": (0, 0.5), "half to twice of greedy's": (0.5, 2), "over twice of greedy's": (2, None)},
)
loops


# %% tags=["nbval-check-output"]
def repeated_share(tokens, n=3):
    """Share of the groups of `n` tokens that were there before."""
    groups = [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]
    return 1 - len(set(groups)) / len(groups)


shares = {how: [repeated_share(tokens) for tokens in rows] for how, rows in texts.items()}
figures.shares_by_method(shares, "share of repeated groups of three tokens")

# %% tags=["nbval-check-output"]
loops.compare(sum(shares["4 beams"]) / sum(shares["greedy"]), show="{:.1f} times greedy's")

# %% [markdown]
# Look at the diamonds, one for each text. The two means are about the same, and the texts are not. With beams, three
# of the four repeat nothing at all, less than greedy's. The fourth is one sentence, again and again. So “beam search
# repeats itself more than greedy search” is too simple: it depends on the text. Sampling does not repeat itself here.
# (It wanders instead: this model is small. Print a text of `texts["sampling"]` and read it.)
#
# Why does a search for likely texts choose a loop? Ask the model: what is the mean log-probability of a token of the
# fourth text, for each of the three ways?

# %% tags=["nbval-check-output"]
letter = smollm.encode(prompts.split("|")[3])
for how, rows in texts.items():
    text = torch.cat([letter, torch.tensor([rows[3]])], dim=1)
    with torch.inference_mode():
        log_probabilities = smollm.model(text).logits[0, letter.shape[1] - 1 : -1].log_softmax(-1)
    mean = log_probabilities.gather(1, text[0, letter.shape[1] :, None]).mean()
    print(f"{how:9} {mean:6.2f}")

# %% [markdown]
# The loop is the most likely text of the three. Every round of a loop makes the next one likelier
# (lesson 12). The search did its work. What it searches for is not what we want.
#
# Where does beam search help? Where there is one right answer and the model should not wander: translation, speech
# recognition, summaries with a fixed form. For chat and stories, sample.

# %% [markdown]
# ## 10 · The whole thing in one cell
#
# Beam search in plain torch: with texts that end, a length penalty, early stopping (`False`), and without a cache.


# %%
@torch.inference_mode()
def my_beam_search(texts, beams, steps, end, length_penalty):
    """Finished texts with their scores, best first."""
    start, sums, finished = texts.shape[1], torch.zeros(1), []
    for step in range(1, steps + 1):
        log_probabilities = smollm.model(texts, logits_to_keep=1).logits[:, -1].log_softmax(-1)
        totals, places = (sums[:, None] + log_probabilities).flatten().topk(2 * beams)
        rows, tokens = places // log_probabilities.shape[1], places % log_probabilities.shape[1]
        candidates = torch.cat([texts[rows], tokens[:, None]], dim=1)
        ends = (tokens == end) | (step == steps)
        for place in ends[:beams].nonzero()[:, 0]:  # a text ends only from the best `beams`
            finished.append((totals[place].item() / step**length_penalty, candidates[place, start:].tolist()))
        finished = sorted(finished, reverse=True)[:beams]
        texts, sums = candidates[~ends][:beams], totals[~ends][:beams]
        if len(finished) == beams and (step == steps or sums[0] / step**length_penalty <= finished[-1][0]):
            break
    return finished


# %% [markdown]
# Is it the same as transformers, text by text and score by score, with three prompts and three penalties?

# %% tags=["nbval-check-output"]
for other, penalty in (("I have never seen", 1.0), ("He was so tired that", 0.5), ("The moon is", 0.0)):
    new = smollm.encode(other)
    how = {"num_beams": 4, "num_return_sequences": 4, "max_new_tokens": 10, "length_penalty": penalty}
    out = smollm.model.generate(
        new, attention_mask=torch.ones_like(new), do_sample=False, eos_token_id=FULL_STOP, pad_token_id=0,
        return_dict_in_generate=True, output_scores=True, **how,
    )  # fmt: skip
    mine = my_beam_search(new, 4, 10, FULL_STOP, penalty)
    for (score, tokens), row, theirs in zip(mine, out.sequences[:, new.shape[1] :], out.sequences_scores, strict=True):
        assert tokens == row[: len(tokens)].tolist()
        assert abs(score - theirs) < 1e-4
    print(f"{mine[0][0]:6.2f}  {other}{smollm.tokenizer.decode(mine[0][1])}")

# %% [markdown]
# ## 11 · Quiz
#
# Every option has an explanation, also the wrong ones. Try them all.

# %% tags=["nbval-check-output"]
from course_utils.learner import quiz_question

quiz_question(
    "13-quiz-exact",
    "Ten beams found a text. Is it the most likely text of that length?",
    [
        ("Yes, ten is enough", False, "Ten beams keep ten texts of each length, of 49,152 times as many candidates."),
        ("Not necessarily", True, "Yes: a text whose beginning was number 11 is gone, however well it would go on."),
        ("Yes, if its score is high", False, "A score says how likely this text is, not what was pruned on the way."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "13-quiz-penalty",
    "You raise length_penalty from 0.5 to 2. What happens?",
    [
        ("Long texts lose", False, "The name suggests it. But sums are negative, and a larger divisor brings them up."),
        ("Long texts win more often", True, "Yes: dividing a negative sum by more brings it closer to 0."),
        ("Other beams are kept on the way", False, "Beams are kept by their sums. The penalty ranks texts that end."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "13-quiz-memory",
    "A server has room for the KV cache of 32 chats. How many fit if each uses 4 beams?",
    [
        ("32", False, "The beams of one chat have different tokens, so each needs keys and values of its own."),
        ("8", True, "Yes: four beams, four caches. (Sharing the prompt's part is possible, with more work.)"),
        ("128", False, "That would be a quarter of the memory a chat. Beams need more, not less."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "13-quiz-early",
    "early_stopping=True, 4 beams, and 4 texts have ended. A beam that still grows looks good. What happens?",
    [
        (
            "It may finish first",
            False,
            "True does not wait. “False” asks whether it looks better, “never” whether it can.",
        ),
        (
            "The search stops",
            True,
            "Yes: four texts wait, four beams, done. A better text may have been one step away.",
        ),
        ("It replaces the worst text", False, "Only a text that has ended has a place in the ranking."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "13-quiz-use",
    "For which task would you try beam search first?",
    [
        (
            "A chat that shows words as they come",
            False,
            "Beam search can take back every token, so nothing can be shown.",
        ),
        (
            "Ten different story ideas",
            False,
            "Beams share most of their text: ten beams are one idea with ten endings.",
        ),
        ("Translating a sentence", True, "Yes: there is little room for invention, and the whole sentence counts."),
    ],
)

# %% [markdown]
# ## Take-aways
#
# - Beam search extends, adds, keeps the best `k`, and repeats. One beam is greedy search; no number of beams is exact.
# - A token that is likely now can have only unlikely tokens after it. That is how the better first token loses.
# - Sums prefer short texts. The length penalty ranks texts that have ended; it prunes nothing.
# - `k` beams need `k` times the KV cache, but less than `k` times the time when one user has the machine.
# - A likely text is not always a good one, and it cannot be streamed. Sample where there is no single right answer.
#
# **Next**: [14 · Speed and memory in practice](14_speed_and_memory_in_practice.ipynb) puts a stopwatch on all of this:
# time to first token, throughput, memory.
#
# **Exercise**: [13 · Beam search](../exercises/13_beam_search.ipynb). **All lessons**: [the index](index.ipynb).
