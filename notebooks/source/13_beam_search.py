# %% [markdown]
# # 13 · Beam search
#
# Greedy search takes the best next token and never looks back. Beam search keeps several texts alive, so a token that
# looks worse now can still win later. Here you find out when that makes better texts, and when it doesn't.
#
# ![A tree of weather diaries, three days long, with three beams. Day 1 keeps sun 0.50, rain 0.30 and fog 0.20. On each
# later day the three best of nine continuations are kept, the others pruned, such as sun, sun with 0.175. At the end
# fog, fog, fog is best with 0.162, although fog was the least likely first day; greedy search, which follows sun, rain,
# rain, gets 0.140.](images/13_beam_search.svg)
#
# **You will be able to**
#
# - do the five steps of beam search by hand, and say why greedy search can lose;
# - read a beam tree: what was kept, what was pruned, and why;
# - explain what the length penalty changes, and what it doesn't;
# - predict what beams cost in memory and time;
# - choose between beam search and sampling for a task.
#
# **Time**: 40 minutes. **Read before**: [00 · Start here](00_start_here.ipynb). Section 6 uses the KV cache of
# [10 · Prefill and decode](10_prefill_and_decode.ipynb).

# %% [markdown]
# ## 1 · A weather diary where greedy loses
#
# Start with a model you can hold in your head. It writes a diary of the weather with three words, and tomorrow depends
# only on today. So the whole model is one table. Fog is rare on the first day, but once it's there, it stays.

# %% tags=["nbval-check-output"]
import torch

words, START = ["sun", "rain", "fog"], 3
table = torch.tensor([[0.35, 0.40, 0.25], [0.20, 0.70, 0.10], [0.05, 0.05, 0.90], [0.50, 0.30, 0.20]])
for day, row in zip([*words, "start"], table.tolist(), strict=True):
    print(f"after {day:6}", "  ".join(f"{word} {p:.2f}" for word, p in zip(words, row, strict=True)))

# %% [markdown]
# How likely is a diary? Multiply the probabilities of its days. Greedy search writes *sun* (0.50), then *rain* (0.40),
# then *rain* again (0.70). Is that the most likely diary of three days? There are only 27, so let's score them all:
# that's **exhaustive search**.

# %% tags=["nbval-check-output"]
from itertools import product


def probability(diary):
    return table[[START, *diary[:-1]], list(diary)].prod().item()


every = sorted(product(range(3), repeat=3), key=probability, reverse=True)
for place, diary in enumerate(every[:4], start=1):
    print(place, " ".join(words[day] for day in diary), f"{probability(diary):.3f}")

# %% [markdown]
# Greedy's diary is only third. The best one begins with the *least* likely first word: after *sun* anything can come,
# and after *fog* the rest is nearly certain.
#
# With the 49,152 tokens of SmolLM2, three tokens make 10¹⁴ texts. Nobody scores them all. Beam search is a compromise.
#
# ## 2 · Five steps
#
# Beam search keeps the best *k* unfinished texts. They're called **beams**.
#
# 1. **Start** with the prompt.
# 2. **Extend** every beam by every token.
# 3. **Add** the log-probability of the new token to the sum of its beam.
# 4. **Keep** the best *k* of all these candidates, and **prune** the others.
# 5. **Repeat**, and at the end take the best.
#
# Why logarithms? A product of many probabilities gets too small for the computer's numbers. The sum of their logarithms
# doesn't, and it ranks texts in the same order.
#
# Now with two beams. We start with one text and a sum of 0. `totals` has a row for each beam and a column for each
# word, and `topk` finds the best two places in the flattened table. A place says which beam was extended (its row) and
# by which word (its column).

# %% tags=["nbval-check-output"]
texts, sums = torch.tensor([[START]]), torch.zeros(1)
totals = sums[:, None] + table[texts[:, -1]].log()
totals

# %% tags=["nbval-check-output"]
sums, places = totals.flatten().topk(2)
rows, tokens = places // 3, places % 3
texts = torch.cat([texts[rows], tokens[:, None]], dim=1)
[(words[token], round(total, 2)) for token, total in zip(tokens.tolist(), sums.tolist(), strict=True)]

# %% [markdown]
# *Fog* is pruned. Now the same again, with two rows. Of six candidates, the two with the highest sums will stay.

# %% tags=["nbval-check-output"]
totals = sums[:, None] + table[texts[:, -1]].log()
for beam, row in zip(texts[:, 1:].tolist(), totals.tolist(), strict=True):
    print(words[beam[0]], "→", "   ".join(f"{word} {total:.2f}" for word, total in zip(words, row, strict=True)))

# %% [markdown]
# *Rain rain* (−1.56) and *sun rain* (−1.61) stay. That's the whole algorithm, so make it a function. It asks a model
# for log-probabilities, and doesn't care which model.


# %%
def beam_search(next_log_probabilities, texts, beams, steps):
    """The best texts that are `steps` tokens longer, and their sums."""
    sums = torch.zeros(1)
    for _ in range(steps):
        totals = sums[:, None] + next_log_probabilities(texts)  # (beams, vocab)
        sums, places = totals.flatten().topk(min(beams, totals.numel()))
        rows, tokens = places // totals.shape[1], places % totals.shape[1]
        texts = torch.cat([texts[rows], tokens[:, None]], dim=1)
    return texts, sums


# %%
from course_utils.learner import predict

two_beams = predict(
    "13-two-beams",
    "Three beams find the best diary: the picture at the top shows it. Which one do two beams find?",
    ["sun rain rain", "rain rain rain", "fog fog fog"],
)
two_beams

# %% tags=["nbval-check-output"]
found = {}
for beams in (1, 2, 3):
    texts, sums = beam_search(lambda texts: table[texts[:, -1]].log(), torch.tensor([[START]]), beams, steps=3)
    best = tuple(texts[0, 1:].tolist())
    found[beams] = " ".join(words[day] for day in best)
    print(beams, found[beams], f"{sums[0].exp():.3f}, number {every.index(best) + 1} of {len(every)}")
two_beams.compare(found[2])

# %% [markdown]
# One beam is greedy search. Two beams do better, and still miss the best diary: they pruned *fog* on the first day. So
# beam search is **not exact**.
#
# It's often compared to a chess player who thinks several moves ahead. That isn't quite right. A chess program tries
# moves out, its opponent's replies included, before it chooses one. Beam search looks no further ahead than greedy
# search: one token. (If it did, two beams would have kept the fog.) It only **delays the decision**, so that later
# tokens have a say in it.

# %% [markdown]
# ## 3 · The same function on SmolLM2
#
# Only the model changes. It reads all beams at once, as a batch. Look at the sums, and at the texts: would you write
# the first?

# %%
from course_utils.models import load_causal_lm

smollm = load_causal_lm()


@torch.inference_mode()
def next_log_probabilities(texts):
    return smollm.model(texts, logits_to_keep=1).logits[:, -1].log_softmax(-1)


prompt = "I have never seen"

# %% tags=["nbval-check-output"]
for beams in (1, 2, 4):
    texts, sums = beam_search(next_log_probabilities, smollm.encode(prompt), beams, steps=4)
    print(f"{beams}  sum {sums[0]:.2f}  {smollm.tokenizer.decode(texts[0])}")

# %% [markdown]
# Four beams find a text that is e^(7.57 − 3.45) ≈ 60 times as likely as greedy's. It's also what people say.
#
# **Try it.** Every column is a step, every box a token that was considered, with the sum up to it. Here a text ends at
# its full stop.
#
# - Find the place where greedy's path (orange frame) was pruned.
# - Press **Play** and watch the tree grow, or move **step** with the arrow keys.
# - Search again with a prompt of your own. Does greedy's path survive?

# %% tags=["nbval-check-output"]
from course_utils.widgets import beam_tree

FULL_STOP = smollm.tokenizer.convert_tokens_to_ids(".")
beam_tree(smollm, prompt, num_beams=4, steps=8, eos_ids=[FULL_STOP])

# %% [markdown]
# ␣a was the best first token, with −0.95 against −2.48 for ␣anything. One step later it was gone: no word is likely
# after ␣a, and ␣anything is usually followed by ␣like. That's the fog again.
#
# Do more beams find a likelier text every time? Here's one prompt with three beams and with four.

# %% tags=["nbval-check-output"]
from course_utils.engine.generate import search_beams

for beams in (3, 4):
    moon = search_beams(smollm.model, smollm.encode("The moon is"), num_beams=beams, max_new_tokens=6, eos_ids=[])
    best = moon.finished[0].node
    print(f"{beams}  sum {moon.score(best):.2f}  The moon is{smollm.tokenizer.decode(moon.path(best))}")

# %% [markdown]
# No. With four, another rival stays for a while, and its continuations push out the text that would have won. More
# beams guarantee nothing.
#
# ## 4 · Where it helps: translation
#
# Take a task with right and wrong answers. The course's small translator from English to French gets 400 short
# sentences from Tatoeba (tatoeba.org) that it never saw in training. A translation counts as right if it's word for
# word one that people gave. That's strict, but equally strict for every search.

# %%
from course_utils.experiments.short_sentences import short_sentences
from course_utils.models.pipelines import load_pipeline

translator, sentences = load_pipeline("translation", models="embedded"), short_sentences()
by_length = sorted(sentences, key=len)  # fifty of a length in one batch: less padding, and short ones end early
fifties = [by_length[start : start + 50] for start in range(0, 400, 50)]
batches = [translator.tokenizer(fifty, return_tensors="pt", padding=True) for fifty in fifties]


# %%
def translate(beams):
    ids = [row for batch in batches for row in translator.model.generate(**batch, do_sample=False, num_beams=beams)]
    french = translator.tokenizer.batch_decode(ids, skip_special_tokens=True)
    texts = dict(zip(by_length, french, strict=True))
    return [texts[english].strip() for english in sentences]


# %%
five_beams = predict(
    "13-translation",
    "Greedy search gets 147 of the 400 exactly right. How many do five beams get?",
    {"147 or fewer": (0, 148), "148 to 180": (148, 181), "more than 180": (181, None)},
)
five_beams

# %% tags=["nbval-check-output"]
texts = {beams: translate(beams) for beams in (1, 5)}
right = {beams: [t in people for t, people in zip(texts[beams], sentences.values(), strict=True)] for beams in texts}
print({beams: sum(row) for beams, row in right.items()})
five_beams.compare(sum(right[5]))

# %% [markdown]
# A few more. Is that luck? Both searches translate the same sentences, so compare them in pairs: where is exactly one
# of the two right? The interval comes from a bootstrap over the sentences, as in lesson 05. Then look at some of the
# pairs.

# %% tags=["nbval-check-output"]
from course_utils.experiments.intervals import bootstrap_interval

gains = [int(five) - int(greedy) for greedy, five in zip(right[1], right[5], strict=True)]
low, high = bootstrap_interval(gains)
print(f"only five beams right: {gains.count(1)}, only greedy: {gains.count(-1)}")
print(f"difference {sum(gains) / len(gains):+.1%}, 95 % interval {low:+.1%} to {high:+.1%}")

# %% tags=["nbval-check-output"]
for english, greedy, five, gain in zip(sentences, texts[1], texts[5], gains, strict=True):
    if gain and english < "I":  # from A to H, to keep the list short
        print(f"{english:25} greedy: {greedy:30} five beams: {five}")

# %% [markdown]
# In these 400 sentences, five beams win: a small gain, and a real one. (Not every miss is bad French. *Êtes-vous
# sérieuses ?* is what you'd ask several women; *Les fantômes existe* is wrong.)
#
# How many beams are usual? When translators became neural, most kept up to five; many saw quality fall beyond 5 or 10
# (Yang, Huang and Ma 2018, *Breaking the Beam Search Curse*). Elsewhere the best width lay between 4 and about 30,
# depending on the languages (Koehn and Knowles 2017, *Six Challenges for Neural Machine Translation*). Why would a
# better search translate worse?

# %% [markdown]
# ## 5 · The length penalty
#
# Every further token adds a log-probability, and none is above 0. So a sum can only fall, and **the sum alone prefers
# short texts**. Ten beams look for the likeliest way to end *The most important thing in life is …* Here are the best
# four.

# %% tags=["nbval-check-output"]
from course_utils.traces import record_beams

settings = {"num_beams": 10, "max_new_tokens": 12, "eos_ids": [FULL_STOP]}
life = record_beams(smollm, "The most important thing in life is", to_the_end=True, **settings)
for text in life.replay(length_penalty=0, early_stopping="never").finished[:4]:
    print(f"{text.score:6.2f} {life.text(text.node)}")

# %% [markdown]
# The best is one word and a full stop. It can get worse: when a translator was searched exactly, its likeliest
# translation of more than half of the sentences was *nothing at all* (Stahlberg and Byrne 2019, *On NMT Search Errors
# and Model Errors: Cat Got Your Tongue?*). Narrow beams hide this, because they prune the early end. That's how a
# better search can write worse texts.
#
# The usual cure divides the sum by the length to some power, the **length penalty** (simplified from Wu et al. 2016,
# *Google's Neural Machine Translation System*):
#
# `score = sum / tokens ** length_penalty`
#
# At 0 the sum stays as it is, at 1 the score is the mean per token. The name misleads. Sums are negative, so dividing
# by more lifts long texts: a *larger* penalty favours *longer* texts. The picture has every text that comes first or
# second under one of seven penalties.

# %% tags=["nbval-check-output"]
from course_utils import figures

penalties = [0, 0.25, 0.5, 0.75, 1, 1.5, 2]
nodes = sorted({text.node for penalty in penalties for text in life.replay(penalty, "never").finished[:2]})
scores = {life.text(n).strip(): [life.scores[n] / life.steps[n] ** p for p in penalties] for n in nodes}
figures.length_penalty_lines(penalties, scores)

# %% [markdown]
# At 0 *happiness.* is first, and from 0.5 on it's last of these five. All of this came from **one** search. Beams are
# kept by their sums, so the penalty prunes nothing on the way. It ranks texts that have ended, and has a say in when to
# stop. Go back to the tree of section 3, move its **length penalty**, and watch the table below it.
#
# And when may a search stop? Once enough texts have ended, a better one may still be growing. Whether it pays to wait
# is the subject of [Early stopping and wide beams](deeper/13_early_stopping.ipynb).

# %% [markdown]
# ## 6 · What it costs
#
# **Memory.** Each beam needs keys and values for its own text. For a prompt of 4 tokens and 4 new ones (the last is
# never read), predict the bytes of the KV cache, then read them off the real one.

# %% tags=["nbval-check-output"]
from course_utils.measuring.memory import kv_cache_bytes, measured_cache_bytes
from course_utils.measuring.model_shapes import PUBLISHED

ids, caches = smollm.encode(prompt), {}
for beams in (1, 8):
    predicted = kv_cache_bytes(PUBLISHED["SmolLM2-135M"], tokens=4 + 4 - 1, batch=beams)
    out = smollm.model.generate(
        ids, do_sample=False, num_beams=beams, max_new_tokens=4, eos_token_id=None, return_dict_in_generate=True
    )
    caches[beams] = out.past_key_values
    print(f"num_beams={beams}: predicted {predicted:,}, measured {measured_cache_bytes(caches[beams]):,} bytes")

# %% [markdown]
# Eight beams, eight times the cache, even for the prompt they share. (`eos_token_id=None` means that no token ends a
# text, so that both runs are equally long.)
#
# **Time.** Eight beams read eight tokens in every step instead of one.

# %%
slower = predict(
    "13-time",
    "SmolLM2 reads one new token for each of eight beams. How much longer does it take than for one text?",
    {"about the same": (0, 1.3), "1.3 to 6 times": (1.3, 6), "6 times or more": (6, None)},
)
slower

# %% tags=["recorded"]
from statistics import median
from time import perf_counter


@torch.inference_mode()
def seconds(beams):
    before = perf_counter()
    smollm.model(ids[:, -1:].repeat(beams, 1), past_key_values=caches[beams])
    return perf_counter() - before


one, eight = ([seconds(beams) for _ in range(6)] for beams in (1, 8))
slower.compare(median(eight[1:]) / median(one[1:]), show="{:.1f} times")  # each first one warms up

# %% [markdown]
# In the stored run it's far below eight times. A decode step moves all weights from memory once, whether for one text
# or for eight, and with one text that's much of what you wait for (lesson 10). On a busy server, eight beams take the
# place of eight users.
#
# ## 7 · When not to use it
#
# **Nothing can be streamed.** A chat shows each token as it comes. Beam search may take every token back. Here's the
# best text after one step, and after two:

# %% tags=["nbval-check-output"]
for steps in (1, 2):
    print(steps, smollm.tokenizer.decode(beam_search(next_log_probabilities, ids, 4, steps)[0][0]))

# %% [markdown]
# If you show *a*, you have to take it back one step later.
#
# **Likely isn't good.** Let four beams continue the openings of 20 published stories by 20 tokens, and compare their
# texts with what the authors wrote.

# %%
authors = predict(
    "13-people",
    "To SmolLM2, how likely is a token that people wrote, compared with one that four beams found?",
    {"likelier": (1.1, None), "about as likely": (0.9, 1.1), "less likely": (0, 0.9)},
)
authors

# %%
from course_utils.experiments.drawn_texts import opening_tokens, repeated_share

prompts, people = (tokens[:20, :20] for tokens in opening_tokens(smollm))
settings = {"num_beams": 4, "max_new_tokens": 20, "return_dict_in_generate": True, "output_scores": True}
with torch.inference_mode():  # where people wrote their 20 tokens
    read = smollm.model(torch.cat([prompts, people], dim=1)[:, :-1], logits_to_keep=20)
cache = read.past_key_values
cache.crop(-20)  # the beams of a story begin with the same prompt, so it's read only once
cache.batch_repeat_interleave(4)
mask = torch.ones_like(prompts)
four = smollm.model.generate(prompts, attention_mask=mask, past_key_values=cache, do_sample=False, **settings)

# %% tags=["nbval-check-output"]
log_p = read.logits.log_softmax(-1)
likely = {
    "four beams": four.sequences_scores,
    "drawn": (log_p.exp() * log_p).sum(-1).mean(1),  # the average over all draws
    "people": log_p.gather(-1, people[..., None]).mean((1, 2)),
}
for name, row in likely.items():
    low, high = bootstrap_interval(row.tolist())
    print(f"{name:11} mean log-probability {row.mean():.2f}, 95 % interval {low:.2f} to {high:.2f}")
authors.compare((likely["people"] - likely["four beams"]).mean().exp().item(), show="{:.2f} times as likely")

# %% [markdown]
# What people wrote is far *less* likely than what the search found. It's closer to *drawn*, the alternative of lesson
# 11: what a token has on average when it's drawn at the same places, at temperature 1 and without filters.
#
# So is the search a better writer? Here's the first story.

# %% tags=["nbval-check-output"]
written = {"people": people, "four beams": four.sequences[:, prompts.shape[1] :]}
print("opening:", smollm.tokenizer.decode(prompts[0]))
for name, rows in written.items():
    print(f"{name:11}", repr(smollm.tokenizer.decode(rows[0])))

# %% [markdown]
# The beams have found a pattern, and stay in it. Does that happen in other stories? Of all groups of three tokens in a
# text, count those that came up before in the same text.

# %% tags=["nbval-check-output"]
special = set(smollm.tokenizer.all_special_ids)  # they fill up a text that has ended
shares = {
    name: [repeated_share([token for token in row if token not in special]) for row in rows.tolist()]
    for name, rows in written.items()
}
intervals = {name: bootstrap_interval(row) for name, row in shares.items()}
figures.shares_by_method(shares, intervals, "repeated groups of three tokens")

# %% [markdown]
# In these 20 texts, four beams repeat themselves more than people do. SmolLM2 is small, and loops easily. But a larger
# model did the same for Holtzman et al. (2020, *The Curious Case of Neural Text Degeneration*): beams looped, greedy
# search looped more, and people's texts were less likely than either's.
#
# So search where the input leaves little room, as in translation. For chat and stories, sample (lesson 11).

# %% [markdown]
# ## 8 · The whole thing in one cell
#
# Beam search in plain torch, with texts that end, a length penalty and `early_stopping=False`. It's short because it
# has no cache. Is it the same as `model.generate`, text by text and score by score?


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


# %% tags=["nbval-check-output"]
settings = {"num_beams": 4, "num_return_sequences": 4, "max_new_tokens": 6, "length_penalty": 0.8}
settings |= {"do_sample": False, "eos_token_id": FULL_STOP, "return_dict_in_generate": True, "output_scores": True}
out = smollm.model.generate(ids, **settings)
mine = my_beam_search(ids, beams=4, steps=6, end=FULL_STOP, length_penalty=0.8)
for (score, tokens), row, theirs in zip(mine, out.sequences[:, ids.shape[1] :], out.sequences_scores, strict=True):
    assert tokens == row[: len(tokens)].tolist()
    assert abs(score - theirs) < 1e-4
    print(f"{score:6.2f}  {prompt}{smollm.tokenizer.decode(tokens)}")

# %% [markdown]
# ## 9 · Quiz
#
# Every option, right or wrong, has an explanation.

# %% tags=["nbval-check-output"]
from course_utils.learner import quiz_question

quiz_question(
    "13-quiz-exact",
    "Ten beams found a text. Is it the most likely text of that length?",
    [
        ("Yes, ten is enough", False, "In every step, ten beams keep ten of 491,520 candidates."),
        ("Not necessarily", True, "Yes: a text whose beginning was number 11 is gone, however well it would continue."),
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
    "13-quiz-use",
    "For which task would you try beam search first?",
    [
        ("A chat that shows words as they come", False, "Any word may be taken back, so nothing can be shown."),
        (
            "Ten different story ideas",
            False,
            "Beams share most of their text: one idea with ten endings.",
        ),
        ("Translating a sentence", True, "Yes: the input leaves little room, and the whole sentence counts."),
    ],
)

# %% [markdown]
# ## Take-aways
#
# - Extend, add, keep the best *k*, repeat. One beam is greedy search; no number of beams is exact.
# - Beams don't look ahead. They delay the decision, so a weak start can still win.
# - Sums prefer short texts. The length penalty ranks texts that have ended; it prunes nothing.
# - *k* beams need *k* times the KV cache, but less than *k* times the time when the machine serves one user.
# - Search where the input leaves little room. Where it's open, the likeliest text isn't the one you want: sample.
#
# **Exercise**: [13 · Beam search](../exercises/13_beam_search.ipynb). **Deeper**: [early stopping
# and wide beams](deeper/13_early_stopping.ipynb). **All lessons**: [the index](index.ipynb).
#
# **Next**: [14 · Speed and memory in practice](14_speed_and_memory_in_practice.ipynb) puts a stopwatch on all of this:
# time to first token, throughput, memory.
