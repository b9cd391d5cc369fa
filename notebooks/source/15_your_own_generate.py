# %% [markdown]
# # 15 · Capstone: your own `generate()`
#
# You've taken text generation apart. Now you put it together: one function of yours has to write what `transformers`
# writes, token for token, on prompts and settings it has never seen.
#
# ![The parts of a generate function in the order in which they work, each with the number of its lesson: the prompt
# becomes tokens (05); the model reads them with a KV cache (10); penalties (12) and filters (11) change the logits; a
# token is drawn (11) or beams choose it (13); a stop rule (12) ends the text or sends the token around
# again.](images/15_your_own_generate.svg)
#
# **You will be able to**
#
# - build a `generate()` from four steps: read, change, choose, end;
# - say which mistakes a test can see, before you trust it;
# - stream text from the same loop, and search with your own beams;
# - compare two implementations token by token, and time them.
#
# **Time**: 35 minutes to read and run, and about an hour to write the seven functions. **Read before**:
# [10](10_prefill_and_decode.ipynb), [11](11_sampling.ipynb), [12](12_repetition_length_and_stopping.ipynb) and
# [13](13_beam_search.ipynb).

# %% [markdown]
# ## 1 · A wrong function that passes
#
# Suppose you write a repetition penalty and forget its sign rule ([lesson
# 12](12_repetition_length_and_stopping.ipynb), section 2): you divide *every* logit of a used token, even a negative
# one. You test it against `transformers`: both continue the openings of 24 published stories by six tokens, drawn with
# the same seed. (`shift` adds a number to all logits, for later.)


# %%
import torch
from transformers import RepetitionPenaltyLogitsProcessor

from course_utils.experiments.drawn_texts import opening_tokens
from course_utils.models import load_causal_lm


def always_divides(ids, logits):
    return logits.scatter(1, ids, logits.gather(1, ids) / 1.3)


def write(loaded, ids, penalty, shift=0, length=6):
    torch.manual_seed(0)  # sampling without filters
    settings = {"do_sample": True, "top_k": 0, "top_p": 1.0, "temperature": 1.0, "max_new_tokens": length}
    processors = [lambda ids, logits: logits + shift, penalty]
    return loaded.model.generate(ids, **settings, eos_token_id=None, logits_processor=processors)


# %% tags=["nbval-check-output"]
from course_utils.experiments.intervals import wilson_interval

right = RepetitionPenaltyLogitsProcessor(1.3)
smollm = load_causal_lm()
openings = opening_tokens(smollm)[0][:, :8]


def how_many_differ(loaded, ids, **more):
    """In how many of the texts the mistake shows."""
    differ = (write(loaded, ids, right, **more) != write(loaded, ids, always_divides, **more)).any(1).sum().item()
    low, high = wilson_interval(differ, len(ids))
    print(f"{differ} of {len(ids)} texts differ, 95 % interval of the share: {low:.0%} to {high:.0%}")
    return differ


[smollm.tokenizer.decode(opening) for opening in openings[:3]]

# %%
from course_utils.learner import predict

noticed = predict(
    "15-sign-rule",
    "In how many of the 24 texts does the mistake show?",
    {"none": (0, 1), "1 to 12": (1, 13), "more than 12": (13, None)},
)
noticed

# %% tags=["nbval-check-output"]
noticed.compare(how_many_differ(smollm, openings))

# %% [markdown]
# Not one of the 24 differs, and the function is wrong. Here's a suspicion: nearly every token with a chance to be drawn
# has a *positive* logit, so half of the rule hardly matters. To test that, subtract 30 from all logits. No probability
# changes, but a repetition penalty feels it (lesson 12, section 3).

# %% tags=["nbval-check-output"]
shifted = how_many_differ(smollm, openings, shift=-30)

# %% [markdown]
# Same model, prompts and seed, and now nearly all differ. So it was the sign: a test sees only the mistakes that it can
# reach.
#
# That's why most checks below use another model. The **practice model** is a tiny random Llama whose tokens are letters
# and pairs of letters. It knows nothing, but tokens with negative logits have a real chance. And it's fast, so its
# texts can be longer. Here are 24 random prompts, without any shift, continued by 6 tokens and by 24.

# %% tags=["nbval-check-output"]
from course_utils.models.practice import practice_model

practice = practice_model()
letters = torch.randint(0, 26, (24, 16), generator=torch.Generator().manual_seed(0))
practised = [how_many_differ(practice, letters, length=length) for length in (6, 24)]
for loaded, ids in ((smollm, openings), (practice, letters)):
    logits = loaded.model(ids, logits_to_keep=1).logits[:, -1]
    chance = (logits.softmax(-1) * (logits < 0)).sum(-1).mean()
    print(f"{loaded.name}: tokens with a negative logit have {chance:.0%} of the probability")

# %% [markdown]
# Six tokens find the mistake in 4 texts, 24 tokens in 21.
#
# How do you know that a test is any good? Make the mistake on purpose, and see whether it fails. That's **mutation
# testing** (DeMillo, Lipton and Sayward 1978, *Hints on Test Data Selection*). It's no guarantee: in one study tests
# that caught made-up bugs would have caught most real ones, not all (Just et al. 2014, *Are Mutants a Valid Substitute
# for Real Faults in Software Testing?*). The checks below were made that way: each usual mistake changes at least one
# of their texts.
#
# ## 2 · What you build
#
# `my_generate(model, ids, tokenizer, **settings)` returns prompt and new tokens as one tensor, `(1, seq)`. You write it
# in seven parts:
#
# | part | you write | settings | from lesson |
# |---|---|---|---|
# | 1 loop | `my_generate` | `max_new_tokens` | 10, section 2 |
# | 2 cache | `my_read` | | 10, section 3 |
# | 3 filters | `chosen` | `do_sample`, `filters`, `seed` | 11 |
# | 4 penalties | `changed` | `penalties`, `min_new_tokens` | 12, sections 2 and 7 |
# | 5 stopping | `has_ended` | `eos_ids`, `stop_strings` | 12, sections 7 and 8 |
# | 6 streaming | `my_stream` | all those above | 12, section 8 |
# | 7 beams | `my_beams` | `num_beams`, `length_penalty` | 13, and its exercise |
#
# Exercise 15 asks for functions with the same names and arguments: what you write here fits there. `filters` and
# `penalties` are lists of pairs, such as `[("top_p", 0.9), ("temperature", 0.7)]`, and apply in that order.

# %%
DEFAULTS = {
    "max_new_tokens": 20,
    "min_new_tokens": 0,
    "penalties": [],
    "eos_ids": [],  # the tokens that end a text
    "stop_strings": [],
    "do_sample": False,
    "filters": [],
    "seed": 0,
    "num_beams": 1,
    "length_penalty": 1.0,
}

# %% [markdown]
# Every part is a *stub*: replace its `raise NotImplementedError`. The check below it says what's right so far, and
# which usual mistake your texts look like. ⬜ means not written yet. Under each check is a folded solution, for when
# you're stuck.
#
# ## 3 · Part 1: a loop
#
# Begin with the slowest loop: read everything, take the likeliest token, append it, start over.


# %%
@torch.inference_mode()
def my_generate(model, ids, tokenizer, max_new_tokens=20):
    """Return the ids of the prompt and of the new tokens after it, (1, seq)."""
    raise NotImplementedError


# %% tags=["nbval-check-output"]
from course_utils.learner.capstone import check_part

check_part("loop", my_generate)

# %% [markdown]
# <details><summary>A solution</summary>
#
# ```python
# @torch.inference_mode()
# def my_generate(model, ids, tokenizer, max_new_tokens=20):
#     for _ in range(max_new_tokens):
#         logits = model(ids).logits[:, -1]
#         ids = torch.cat([ids, logits.argmax(-1, keepdim=True)], dim=1)
#     return ids
# ```
#
# </details>
#
# ## 4 · Part 2: the cache
#
# How much does such a loop read? `generate` can do without a cache, too, and a meter counts.

# %%
positions = predict(
    "15-positions",
    "11 tokens of prompt, 8 new ones, no cache. How many positions does the model read in all?",
    {"18 or 19": (0, 20), "20 to 100": (20, 100), "101 to 130": (101, 131), "over 130": (131, None)},
)
positions

# %% tags=["nbval-check-output"]
from course_utils.measuring.reading import ReadingMeter

ids, read = smollm.encode("Once upon a time, there was a little girl who"), {}
for use_cache in (False, True):
    with ReadingMeter(smollm.model) as meter:
        smollm.model.generate(ids, use_cache=use_cache, max_new_tokens=8, do_sample=False, eos_token_id=None)
    read[use_cache] = meter.positions
print(f"without a cache {read[False]}, with one {read[True]}")
positions.compare(read[False])

# %% [markdown]
# 11 + 12 + … + 18, against 11 + 8 − 1: with a cache each token is read once, and the last one never. The check counts
# that as well.
#
# Here's the loop that stays. It does four things: **read, change, choose, end**, and it *yields* each token as soon as
# it's chosen. You write `my_read`. The other three are placeholders. (If you run this cell again later, run your own
# after it.)


# %%
def changed(logits, prompt, new, settings):  # part 4
    return logits


def chosen(logits, settings, generator):  # part 3
    return logits.argmax().item()


def has_ended(new, settings, tokenizer):  # part 5
    return False


@torch.inference_mode()
def my_tokens(model, ids, tokenizer, settings):
    """Yield one new token after the other."""
    prompt, new, unread, cache = ids[0].tolist(), [], ids, None
    generator = torch.Generator().manual_seed(settings["seed"])
    while len(new) < settings["max_new_tokens"]:
        logits, cache = my_read(model, unread, cache)
        logits = changed(logits, prompt, new, settings)
        new.append(chosen(logits, settings, generator))
        yield new[-1]
        if has_ended(new, settings, tokenizer):
            return
        unread = torch.tensor([new[-1:]])


# %%
def my_read(model, unread, cache):
    """Read `unread`, (1, seq); return the logits for the next token, (vocab,), and the cache."""
    raise NotImplementedError


# %% tags=["nbval-check-output"]
def my_generate(model, ids, tokenizer, **settings):
    new = list(my_tokens(model, ids, tokenizer, DEFAULTS | settings))
    return torch.cat([ids, torch.tensor([new])], dim=1)


check_part("cache", my_generate)

# %% [markdown]
# <details><summary>A solution</summary>
#
# ```python
# def my_read(model, unread, cache):
#     output = model(unread, past_key_values=cache, use_cache=True, logits_to_keep=1)
#     return output.logits[0, -1], output.past_key_values
# ```
#
# </details>
#
# ## 5 · Part 3: filters
#
# Use your filters of lesson 11 or the library's `FILTERS`, a function for each name. Mind two things: the order is that
# of the list, and the random numbers come from `generator`.


# %%
from course_utils.engine.sampling import FILTERS


def chosen(logits, settings, generator):
    """Return the next token: without do_sample the likeliest, else one drawn from what the filters leave."""
    raise NotImplementedError


# %% tags=["nbval-check-output"]
check_part("filters", my_generate)

# %% [markdown]
# <details><summary>A solution</summary>
#
# ```python
# def chosen(logits, settings, generator):
#     if not settings["do_sample"]:
#         return logits.argmax().item()
#     for name, setting in settings["filters"]:
#         logits = FILTERS[name](logits, setting)
#     return torch.multinomial(logits.softmax(-1), 1, generator=generator).item()
# ```
#
# </details>
#
# ## 6 · Part 4: penalties
#
# `prompt` and `new` are lists of ids. Both count for the repetition penalty, only the new text for presence and
# frequency. And while there are fewer than `min_new_tokens` new tokens, every token of `eos_ids` gets −∞.


# %%
def changed(logits, prompt, new, settings):
    """Return the logits, (vocab,), after the penalties and, if the text is too short, without its ends."""
    raise NotImplementedError


# %% tags=["nbval-check-output"]
check_part("penalties", my_generate)

# %% [markdown]
# <details><summary>A solution</summary>
#
# ```python
# def changed(logits, prompt, new, settings):
#     counts = torch.bincount(torch.tensor(new, dtype=torch.long), minlength=len(logits))
#     logits, used = logits.clone(), list(set(prompt + new))
#     for name, setting in settings["penalties"]:
#         if name == "presence_penalty":
#             logits -= setting * (counts > 0)
#         elif name == "frequency_penalty":
#             logits -= setting * counts
#         else:
#             logits[used] = torch.where(logits[used] > 0, logits[used] / setting, logits[used] * setting)
#     if len(new) < settings["min_new_tokens"]:
#         logits[settings["eos_ids"]] = -torch.inf
#     return logits
# ```
#
# </details>
#
# ## 7 · Part 5: stopping
#
# A text ends with a token of `eos_ids`, or as soon as the *text* of the new tokens holds a stop string. Here
# `transformers` has to stop at “of Fra”. What does it return?

# %% tags=["nbval-check-output"]
chat = [{"role": "user", "content": "What is the capital of France?"}]
question = smollm.encode(smollm.tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True))
stop = {"stop_strings": ["of Fra"], "tokenizer": smollm.tokenizer}
stopped = smollm.model.generate(question, do_sample=False, max_new_tokens=12, **stop)[0, question.shape[1] :]
smollm.tokenizer.decode(stopped), [smollm.labels[token] for token in stopped]

# %% [markdown]
# “of France”: more than you asked for. The stop string begins in one token and ends *inside* the next, and a token
# can't be cut. So `generate` returns whole tokens, and the text must be cut where it's shown. Yours returns tokens,
# too; the cut comes in part 6.


# %%
def has_ended(new, settings, tokenizer):
    """Whether the text ends after the new tokens, a list of ids."""
    raise NotImplementedError


# %% tags=["nbval-check-output"]
check_part("stopping", my_generate)

# %% [markdown]
# <details><summary>A solution</summary>
#
# ```python
# def has_ended(new, settings, tokenizer):
#     text = tokenizer.decode(new, skip_special_tokens=True)
#     return new[-1] in settings["eos_ids"] or any(stop in text for stop in settings["stop_strings"])
# ```
#
# </details>
#
# ## 8 · Part 6: streaming
#
# A reader wants text as it comes, piece by piece. Why not decode each token on its own? Try it on parrots.

# %%
parrots = predict(
    "15-parrots",
    "After “I love parrots 🦜🦜🦜” SmolLM2 writes six more tokens. Each is decoded alone. What do you see?",
    ["six parrots", "two parrots", "no parrot"],
)
parrots

# %% tags=["nbval-check-output"]
ids = smollm.encode("I love parrots 🦜🦜🦜")
new = smollm.model.generate(ids, do_sample=False, max_new_tokens=6, eos_token_id=None)[0, ids.shape[1] :].tolist()
alone = "".join(smollm.tokenizer.decode([token]) for token in new)
print(alone, smollm.tokenizer.decode(new))
parrots.compare({6: "six parrots", 2: "two parrots", 0: "no parrot"}[alone.count("🦜")])

# %% [markdown]
# Each parrot is three tokens here, and a part of a character decodes to �. So a stream has to wait for the rest, just
# as it waits for what may become a stop string (lesson 12, section 8). The library's `TextStream` does both:

# %% tags=["nbval-check-output"]
from course_utils.engine.stopping import TextStream

for tokens, stops in ((new, []), (stopped.tolist(), ["of Fra"])):
    text = TextStream(smollm.tokenizer, stops)
    print([text.push(token) for token in tokens], "and at the end", repr(text.finish()))

# %% [markdown]
# A parrot is shown when it's whole, and *of France* never: the text is cut where the stop string begins. Now stream
# your own loop: one piece for every token as soon as it's chosen, and at the end what was held back.


# %%
def my_stream(model, ids, tokenizer, **settings):
    """Yield pieces of text."""
    raise NotImplementedError


# %% tags=["nbval-check-output"]
check_part("streaming", my_stream)

# %% [markdown]
# <details><summary>A solution</summary>
#
# ```python
# def my_stream(model, ids, tokenizer, **settings):
#     settings = DEFAULTS | settings
#     text = TextStream(tokenizer, settings["stop_strings"])
#     for token in my_tokens(model, ids, tokenizer, settings):
#         yield text.push(token)
#     yield text.finish()
# ```
#
# </details>
#
# ## 9 · Part 7: your beam search
#
# A search can't be a stream: it may still take back what it has written. Bring your own `search` of exercise
# [13](../exercises/13_beam_search.ipynb), and change three things:
#
# - The log-probabilities come from the model, one row for each beam. Reading all texts again in
#   every step is fine; exercise 15 adds the cache.
# - `changed` gets each row *after* `log_softmax`, with the new tokens of its beam, as in `transformers`.
# - Don't sort 49,152 candidates per beam. The best `num_beams + len(eos_ids)` of each row are enough: even if every end
#   is among them, `num_beams` remain that continue.
#
# As there, the search doesn't stop early (`early_stopping="never"` in `transformers`).


# %%
@torch.inference_mode()
def my_beams(model, ids, settings):
    """Return the best `num_beams` texts after `ids`, (1, seq), as [[score, tokens], …], best first."""
    raise NotImplementedError


# %% tags=["nbval-check-output"]
def my_generate(model, ids, tokenizer, **settings):
    settings = DEFAULTS | settings
    searches = settings["num_beams"] > 1
    new = my_beams(model, ids, settings)[0][1] if searches else list(my_tokens(model, ids, tokenizer, settings))
    return torch.cat([ids, torch.tensor([new])], dim=1)


check_part("beams", my_generate)

# %% [markdown]
# <details><summary>A solution</summary>
#
# ```python
# @torch.inference_mode()
# def my_beams(model, ids, settings):
#     prompt, beams, eos_ids = ids[0].tolist(), settings["num_beams"], settings["eos_ids"]
#     alive, finished = [(0.0, [])], []
#     for _ in range(settings["max_new_tokens"]):
#         texts, candidates = torch.tensor([prompt + new for _, new in alive]), []
#         rows = model(texts).logits[:, -1].log_softmax(-1)
#         for row, (total, new) in zip(rows, alive, strict=True):
#             best = changed(row, prompt, new, settings).topk(beams + len(eos_ids))
#             pairs = zip(best.values.tolist(), best.indices.tolist(), strict=True)
#             candidates += [(total + value, [*new, token]) for value, token in pairs]
#         candidates.sort(reverse=True)
#         finished += [one for one in candidates[:beams] if one[1][-1] in eos_ids]
#         alive = [one for one in candidates if one[1][-1] not in eos_ids][:beams]
#     scored = [[total / len(new) ** settings["length_penalty"], new] for total, new in finished + alive]
#     return sorted(scored, reverse=True)[:beams]
# ```
#
# </details>
#
# ## 10 · The final comparison
#
# Twelve kinds of settings, each once with SmolLM2 and once with the practice model; prompts and numbers are drawn from
# a seed. SmolLM2 writes 16 to 20 tokens (5 to 8 with beams) unless something ends the text. The judge is
# `transformers`; for the two penalties that it lacks it's the course's own `generate`. It may take a few minutes.

# %% tags=["nbval-check-output"]
from course_utils.learner.final_comparison import final_comparison

comparison = final_comparison(my_generate, seed=15)
comparison

# %% [markdown]
# All ✅? Then leave `seed` out: it draws a new one and says which. A ❌ you can run alone: `hidden_cases(15)[3]` of the
# same module is the fourth case. Rarely, a right function gets one: two ways of adding up the same numbers differ in
# the last digits (lesson 10, section 3), and two tokens can be that close.
#
# ## 11 · The scoreboard
#
# Right first, then fast. `keep_score` runs your stream and `transformers` in turns: a warm-up, then three runs each, 12
# tokens after a short text. Here's how the course's own engine does:

# %% tags=["recorded"]
from course_utils.engine.generate import stream
from course_utils.learner.scoreboard import keep_score, time_in_turns

for name, timed in zip(("the course's", "transformers"), time_in_turns(stream, repeats=3), strict=True):
    print(f"{name:12} TTFT {timed.ttft.median * 1000:4.0f} ms, TPOT {timed.tpot.median * 1000:3.0f} ms")

# %% tags=["nbval-check-output"]
keep_score(my_stream, comparison, name="my first one")

# %% [markdown]
# Don't make much of a few milliseconds. A tidier loop can only save what happens around the model: every step still
# reads all the weights (lesson 10, section 6).
#
# ## 12 · The whole thing in one cell
#
# All but streaming and beams, with the library's penalties. Read it when yours is done.


# %%
from course_utils.engine.penalties import PENALTIES


@torch.inference_mode()
def in_one_cell(model, ids, tokenizer, **settings):
    settings = DEFAULTS | settings
    start, unread, cache, generator = ids.shape[1], ids, None, torch.Generator().manual_seed(settings["seed"])
    for step in range(settings["max_new_tokens"]):
        output = model(unread, past_key_values=cache, use_cache=True, logits_to_keep=1)  # read
        logits, cache = output.logits[:, -1], output.past_key_values
        for name, setting in settings["penalties"]:  # change
            apply, _, prompt_counts = PENALTIES[name]
            logits = apply(logits, ids if prompt_counts else ids[:, start:], setting)
        if step < settings["min_new_tokens"]:
            logits[:, settings["eos_ids"]] = -torch.inf
        unread = logits.argmax(-1, keepdim=True)  # choose
        if settings["do_sample"]:
            for name, setting in settings["filters"]:
                logits = FILTERS[name](logits, setting)
            unread = torch.multinomial(logits.softmax(-1), 1, generator=generator)
        ids = torch.cat([ids, unread], dim=1)
        text = tokenizer.decode(ids[0, start:], skip_special_tokens=True)  # end
        if unread.item() in settings["eos_ids"] or any(stop in text for stop in settings["stop_strings"]):
            break
    return ids


# %% tags=["nbval-check-output"]
cards = {part: check_part(part, in_one_cell) for part in ("loop", "cache", "filters", "penalties", "stopping")}
assert all(card.is_right for card in cards.values())
cards["filters"]

# %% [markdown]
# ## 13 · Quiz
#
# Every option, right or wrong, has an explanation.

# %% tags=["nbval-check-output"]
from course_utils.learner import quiz_question

quiz_question(
    "15-quiz-test",
    "Fifty texts of yours equal those of transformers. What do you know about your repetition penalty?",
    [
        ("It's right", False, "In section 1, 24 texts were equal, and the penalty was wrong."),
        ("Little, until you know which mistakes these texts would show", True, "Yes: make the mistake, and look."),
        (
            "Fifty are too few; a thousand would do",
            False,
            "More texts of the same kind reach the same half of the rule.",
        ),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "15-quiz-count",
    "A prompt of 100 tokens, 50 new ones. Your function reads 198 positions, and all tokens are right. What's wrong?",
    [
        ("Nothing", False, "100 + 50 − 1 = 149 are enough."),
        ("There's no cache", False, "Then it would be 100 + 101 + … + 149, which is 6,225."),
        ("Each decode step reads one token too many", True, "Yes: there are 49 decode steps, and 198 − 149 = 49."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "15-quiz-stream",
    "One loop serves generate() and the stream. Why can't it serve beams?",
    [
        ("It yields each token for good, and a search may take tokens back", True, "Yes: a beam is final at the end."),
        ("Beams have no cache", False, "They have one, with a row for each beam: exercise 15 builds it."),
        ("A stream cannot sample", False, "It can: the choice of a token is another piece of the loop."),
    ],
)

# %% [markdown]
# ## Take-aways
#
# - Generation is read, change, choose, end. Every setting belongs to one of the four.
# - Write the slow version first. It's what the fast one must equal.
# - A test is worth the mistakes that would make it fail. Make them on purpose.
# - Tokens are the contract, text is for showing: only text can be cut at a stop string.
#
# **Exercise**: [15 · Capstone: your own `generate()`](../exercises/15_your_own_generate.ipynb). **All lessons**: [the
# index](index.ipynb).
#
# **Where to go from here.** A small model can guess and the large one check (Leviathan, Kalman and Matias 2023, *Fast
# Inference from Transformers via Speculative Decoding*): [faster and constrained
# decoding](deeper/14_faster_and_constrained_decoding.ipynb). Requests can join a batch at any step (Yu et al. 2022,
# *Orca: A Distributed Serving System for Transformer-Based Generative Models*), and prompts share the pages of a KV
# cache (Kwon et al. 2023, *Efficient Memory Management for Large Language Model Serving with PagedAttention*):
# [batching and serving](deeper/14_batching_and_serving.ipynb).
