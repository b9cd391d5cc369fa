# %% [markdown]
# # 15 · Capstone: your own `generate()`
#
# You have written every piece of text generation by now: the cache, the filters, the penalties, the stops, the beams.
# In this lesson you put them together, and then your function meets prompts and settings that it has never seen.
#
# **You will be able to**
#
# - build one `generate()` out of a read, a change, a choice and an end;
# - test a piece of it so that the usual mistakes show, and say why a test on a few good texts is not enough;
# - stream text from the same loop that `generate()` runs;
# - compare your function with `transformers`, token by token, on cases drawn by chance;
# - measure its TTFT and TPOT beside `transformers`, and keep the score.
#
# **Time**: 60 minutes. **Read before**: lessons [10](10_prefill_and_decode.ipynb), [11](11_sampling.ipynb),
# [12](12_repetition_length_and_stopping.ipynb) and [13](13_beam_search.ipynb).

# %% [markdown]
# ## 1 · What you build
#
# One function: `my_generate(model, ids, tokenizer, **settings)`. It returns the ids of the prompt and of the new tokens
# after it as one tensor, `(1, seq)`, as `model.generate` does. The exercise asks for the same. Every piece of it comes
# from a lesson that you know:
#
# | part | settings | where it was taught |
# |---|---|---|
# | 1 loop | `max_new_tokens` | lesson 10, section 2 |
# | 2 cache | | lesson 10, section 3 |
# | 3 filters | `do_sample`, `filters`, `seed` | lesson 11 |
# | 4 penalties | `penalties` | lesson 12, sections 2 to 6 |
# | 5 stopping | `eos_ids`, `stop_strings`, `min_new_tokens` | lesson 12, sections 7 and 8 |
# | 6 streaming | all of these | lesson 12, section 8 |
# | 7 beams | `num_beams`, `length_penalty` | lesson 13 |
#
# `filters` and `penalties` are lists of pairs, as `[("temperature", 0.7), ("top_p", 0.9)]`, and apply in that order.
# Without `eos_ids` only the length ends a text.
#
# Each part has a cell that works, in its shortest form. Read it, run it, change it. Better: empty it, and write your
# own. After each part `check_part` says what is right and what isn't, as `check` does in the exercises. Here is a
# function that does nothing yet. What does the check say about it?

# %% tags=["nbval-check-output"]
import torch

from course_utils.learner.capstone import check_part


def my_generate(model, ids, tokenizer, **settings):
    return ids


check_part("loop", my_generate)

# %% [markdown]
# Next to *seen with* you find the model, the prompt and the settings of the first text that went wrong. A check
# survives your function: it may raise, return nonsense, or call the model for ever. Stop it with ■ whenever you like;
# after 20 seconds in one call it stops by itself.
#
# Some texts of a check are written by SmolLM2. Most are written by the **practice model**, a tiny random Llama whose
# tokens are letters and pairs of letters. It knows nothing, but it answers in milliseconds, and mistakes show in it
# that SmolLM2 hides. Section 5 has an example.

# %% tags=["nbval-check-output"]
from course_utils.models import load_causal_lm
from course_utils.models.practice import practice_model

smollm, practice = load_causal_lm(), practice_model()
[(loaded.name, f"{loaded.model.num_parameters():,}", len(loaded.labels)) for loaded in (smollm, practice)]

# %% [markdown]
# ## 2 · Part 1: a loop
#
# The simplest loop reads everything again for every token. Start here even if you know better: a slow function that is
# right is what you compare a fast one with.


# %%
@torch.inference_mode()
def my_generate(model, ids, tokenizer, max_new_tokens=20):
    for _ in range(max_new_tokens):
        logits = model(ids).logits[:, -1]
        ids = torch.cat([ids, logits.argmax(-1, keepdim=True)], dim=1)
    return ids


# %% tags=["nbval-check-output"]
check_part("loop", my_generate)

# %% [markdown]
# Break it to see a ❌. Below, the loop looks at the logits of the *first* position.


# %%
@torch.inference_mode()
def broken(model, ids, tokenizer, max_new_tokens=20):
    for _ in range(max_new_tokens):
        logits = model(ids).logits[:, 0]
        ids = torch.cat([ids, logits.argmax(-1, keepdim=True)], dim=1)
    return ids


# %% tags=["nbval-check-output"]
check_part("loop", broken)

# %% [markdown]
# The check knows what the usual mistakes write, because it makes them itself and compares: those of this lesson, and
# those of exercises 11 and 15. If your texts are wrong in a way of their own, it shows the first token that differs and
# leaves the search to you.

# %% [markdown]
# ## 3 · Part 2: the cache
#
# How much does the loop of part 1 read? The prompt of the next check has 11 tokens, and 8 new ones are asked for.

# %%
from course_utils.learner import predict

positions = predict(
    "15-positions",
    "11 tokens of prompt, 8 new ones, no cache. How many positions does the model read in all?",
    {"18 or 19": (0, 20), "20 to 100": (20, 100), "101 to 130": (101, 130), "over 130": (130, None)},
)
positions

# %% tags=["nbval-check-output"]
from course_utils.measuring.reading import ReadingMeter

ids = smollm.encode("Once upon a time, there was a little girl who")
with ReadingMeter(smollm.model) as meter:
    my_generate(smollm.model, ids, smollm.tokenizer, max_new_tokens=8)
positions.compare(meter.positions)

# %% [markdown]
# 11 + 12 + … + 18. With a cache it should be 11 + 8 − 1 = 18: each token once, and the last one never. That is what
# the check counts, besides the tokens.
#
# Now write the loop so that it can stay as it is to the end. It has four places: **read**, **change**, **choose**,
# **end**. Three of them do next to nothing yet. `GenerationSettings` holds the settings and refuses bad ones.


# %%
def my_read(model, unread, cache):
    """Read what is new; return the next logits, (1, vocab), and the cache."""
    output = model(unread, past_key_values=cache, use_cache=True, logits_to_keep=1)
    return output.logits[:, -1], output.past_key_values


# %%
def my_changes(logits, ids, start, settings):
    return logits  # parts 4 and 5


# %%
def my_choice(logits, settings, generator):
    return logits.argmax(-1, keepdim=True)  # part 3


# %%
def my_end(new, settings, tokenizer):
    return False  # part 5


# %% [markdown]
# The loop looks these names up while it runs. So when you define `my_choice` again in a later cell, this loop uses the
# new one. It *yields* each token as soon as it is chosen; part 6 will need that.


# %%
@torch.inference_mode()
def my_tokens(model, ids, tokenizer, settings):
    """Yield one new token after the other."""
    start, unread, cache = ids.shape[1], ids, None
    generator = None if settings.seed is None else torch.Generator().manual_seed(settings.seed)
    for _ in range(settings.max_new_tokens):
        logits, cache = my_read(model, unread, cache)
        logits = my_changes(logits, ids, start, settings)
        unread = my_choice(logits, settings, generator)
        ids = torch.cat([ids, unread], dim=1)
        yield unread.item()
        if my_end(ids[0, start:], settings, tokenizer):
            return


# %% tags=["nbval-check-output"]
from course_utils.engine.settings import GenerationSettings


def my_settings(settings):
    return GenerationSettings(**{"eos_ids": [], **settings})


chosen = my_settings({"max_new_tokens": 8})
chosen.max_new_tokens, chosen.do_sample, chosen.eos_ids


# %% tags=["nbval-check-output"]
def my_generate(model, ids, tokenizer, **settings):
    new = list(my_tokens(model, ids, tokenizer, my_settings(settings)))
    return torch.cat([ids, torch.tensor([new])], dim=1)


check_part("cache", my_generate)

# %% [markdown]
# From 116 positions to 18. Change `my_read` so that it hands back no cache, and the check says what it read instead.
#
# **Look inside.** The stepper of lesson 10 shows what a cache like yours holds, and what each step takes. It runs the
# course's loop. Go to a step and switch the cache off: how many tokens does that step read now?

# %% tags=["nbval-check-output"]
from course_utils.widgets import cache_stepper

cache_stepper(smollm, "Once upon a time, there was a little girl who", max_new_tokens=6)

# %% [markdown]
# ## 4 · Part 3: filters
#
# A filter takes logits and returns logits, with −∞ for what it removes. Here are the four of lesson 11, in a form that
# also takes several rows.


# %% tags=["nbval-check-output"]
def my_temperature(logits, temperature):
    if temperature == 0:
        return logits.masked_fill(logits < logits.amax(-1, keepdim=True), -torch.inf)
    return logits / temperature


toy = torch.tensor([[3.0, 2.0, 1.0, -1.0]])
my_temperature(toy, 0.5), my_temperature(toy, 0)


# %% tags=["nbval-check-output"]
def my_top_k(logits, top_k):
    smallest_kept = logits.topk(min(top_k, logits.shape[-1])).values[..., -1:]
    return logits.masked_fill(logits < smallest_kept, -torch.inf)


my_top_k(toy, 2)


# %% tags=["nbval-check-output"]
def my_top_p(logits, top_p):
    ranked = logits.softmax(-1).sort(descending=True)
    goes = ranked.values.cumsum(-1) - ranked.values >= top_p
    return logits.masked_fill(goes.scatter(-1, ranked.indices, goes), -torch.inf)


my_top_p(toy, 0.9)


# %% tags=["nbval-check-output"]
def my_min_p(logits, min_p):
    chances = logits.softmax(-1)
    return logits.masked_fill(chances < min_p * chances.amax(-1, keepdim=True), -torch.inf)


my_min_p(toy, 0.2)

# %% [markdown]
# The order is data: a list says it, and the function goes through the list. For the same seed to give the same text,
# the chance must come from one generator, made once for each text. (`my_tokens` does that.)


# %% tags=["nbval-check-output"]
my_filters = {"temperature": my_temperature, "top_k": my_top_k, "top_p": my_top_p, "min_p": my_min_p}
[round(logit, 1) for logit in my_filters["top_k"](my_filters["temperature"](toy, 0.5), 2)[0].tolist()]


# %%
def my_choice(logits, settings, generator):
    if not settings.do_sample:
        return logits.argmax(-1, keepdim=True)
    for name, setting in settings.filters:
        logits = my_filters[name](logits, setting)
    return torch.multinomial(logits.softmax(-1), 1, generator=generator)


# %% tags=["nbval-check-output"]
check_part("filters", my_generate)

# %% [markdown]
# Now two plausible slips, one after the other: multiply by the temperature, and stop before the token that crosses *p*.
# Read the sentences, and what the second function did (beside *yours*): why does it raise an error?


# %%
def stops_too_early(logits, top_p):
    ranked = logits.softmax(-1).sort(descending=True)
    goes = ranked.values.cumsum(-1) > top_p
    return logits.masked_fill(goes.scatter(-1, ranked.indices, goes), -torch.inf)


# %% tags=["nbval-check-output"]
slips = {"temperature": lambda logits, temperature: logits * temperature, "top_p": stops_too_early}
right = dict(my_filters)
for name, slip in slips.items():
    my_filters[name] = slip
    print(check_part("filters", my_generate))
    my_filters[name] = right[name]

# %% [markdown]
# When the best token alone is over *p*, nothing is left, and nobody can draw from nothing.
#
# **Touch.** Your four functions in the lab of lesson 11. Move every control; above the picture the lab says where
# yours differ from the library's.

# %% tags=["nbval-check-output"]
from course_utils.traces import record_next_token
from course_utils.widgets import SamplingLab

trace = record_next_token(smollm, "The old map showed a path to")
SamplingLab(trace, own=my_filters, temperature=1.5, top_k=200, top_p=0.9, min_p=0.02)

# %% [markdown]
# ## 5 · Part 4: penalties
#
# Three formulas of lesson 12, and the library's ban of n-grams. For presence and frequency only the new text counts,
# as in the API of OpenAI. For the other two the prompt counts as well, as in `transformers`.


# %% tags=["nbval-check-output"]
def my_counts(ids, logits):
    """How often each token of the vocabulary is in the text, (batch, vocab)."""
    return torch.nn.functional.one_hot(ids, logits.shape[-1]).sum(1)


toy_text = torch.tensor([[0, 3, 3]])
my_counts(toy_text, toy)


# %% tags=["nbval-check-output"]
def my_presence(logits, ids, penalty):
    return logits - penalty * (my_counts(ids, logits) > 0)


my_presence(toy, toy_text, 0.5)


# %% tags=["nbval-check-output"]
def my_frequency(logits, ids, penalty):
    return logits - penalty * my_counts(ids, logits)


my_frequency(toy, toy_text, 0.5)


# %% tags=["nbval-check-output"]
def my_repetition(logits, ids, penalty):
    penalised = torch.where(logits > 0, logits / penalty, logits * penalty)
    return torch.where(my_counts(ids, logits) > 0, penalised, logits)


my_repetition(toy, toy_text, 2.0)

# %% tags=["nbval-check-output"]
from course_utils.engine.penalties import ban_repeated_ngrams

my_penalties = {"presence_penalty": my_presence, "frequency_penalty": my_frequency}
prompt_counts = {"repetition_penalty": my_repetition, "no_repeat_ngram": ban_repeated_ngrams}
[*my_penalties, *prompt_counts]


# %%
def my_penalised(logits, ids, start, settings):
    for name, setting in settings.penalties:
        if name in prompt_counts:
            logits = prompt_counts[name](logits, ids, setting)
        else:
            logits = my_penalties[name](logits, ids[:, start:], setting)
    return logits


def my_changes(logits, ids, start, settings):
    return my_penalised(logits, ids, start, settings)  # part 5 adds to it


# %% tags=["nbval-check-output"]
check_part("penalties", my_generate)

# %% [markdown]
# ### Would your own test have seen it?
#
# Suppose you forget the sign rule of the repetition penalty: you always divide. You test with three prompts, greedy,
# six tokens each, and compare with `transformers`.


# %%
def always_divides(logits, ids, penalty):
    return torch.where(my_counts(ids, logits) > 0, logits / penalty, logits)


noticed = predict(
    "15-sign-rule",
    "In how many of the three texts does the mistake show?",
    ["in none", "in one or two", "in all three"],
)
noticed

# %% tags=["nbval-check-output"]
prompts = ("The capital of France is", "Once upon a time", "I like to eat")
prompt_counts["repetition_penalty"] = always_divides
wrong = 0
for prompt in prompts:
    ids = smollm.encode(prompt)
    mine = my_generate(smollm.model, ids, smollm.tokenizer, max_new_tokens=6, penalties=[("repetition_penalty", 1.3)])
    theirs = smollm.model.generate(ids, max_new_tokens=6, repetition_penalty=1.3, do_sample=False, eos_token_id=None)
    wrong += not torch.equal(mine, theirs)
noticed.compare(["in none", "in one or two", "in one or two", "in all three"][wrong])

# %% tags=["nbval-check-output"]
found = check_part("penalties", my_generate)
prompt_counts["repetition_penalty"] = my_repetition
found

# %% [markdown]
# Why? Look at the best logits of SmolLM2, and at those of the practice model.

# %% tags=["nbval-check-output"]
for loaded, prompt in ((smollm, prompts[0]), (practice, "thequickbrownfox")):
    best = loaded.next_logits(prompt).topk(5).values
    print(f"{loaded.name:22}", [round(value) for value in best.tolist()])

# %% [markdown]
# Every token that has a chance with SmolLM2 has a positive logit, so the other half of the rule is never asked. The
# practice model was made with its best logits around 0. A test that cannot fail tells you nothing: ask of each test
# which mistake it would see.
#
# **Touch.** The lab of lesson 12 with your penalties. Set `frequency_penalty` to 0 and `repetition_penalty` to 1.3.

# %% tags=["nbval-check-output"]
from course_utils.widgets import repetition_lab

own = {"frequency_penalty": my_frequency, "repetition_penalty": my_repetition}
repetition_lab(smollm, "I like to eat", own=own, frequency_penalty=0.5, max_new_tokens=16)

# %% [markdown]
# ## 6 · Part 5: stopping
#
# A text ends with a token of `eos_ids`, or when the **text** holds a stop string: not the newest token, because a
# string can lie across two. Before `min_new_tokens` the tokens of `eos_ids` are masked.


# %%
def my_end(new, settings, tokenizer):
    if new[-1].item() in settings.eos_ids:
        return True
    return any(stop in tokenizer.decode(new, skip_special_tokens=True) for stop in settings.stop_strings)


# %%
def my_changes(logits, ids, start, settings):
    logits = my_penalised(logits, ids, start, settings)
    if ids.shape[1] - start < settings.min_new_tokens:
        logits = logits.index_fill(-1, torch.tensor(list(settings.eos_ids)), -torch.inf)
    return logits


# %% tags=["nbval-check-output"]
check_part("stopping", my_generate)

# %% [markdown]
# Now real texts, after a chat prompt. The first ends with SmolLM2's own end-of-sequence token, the second at a stop
# string that lies across two tokens, the third must not end before it has ten.

# %% tags=["nbval-check-output"]
chat = [{"role": "user", "content": "What is the capital of France?"}]
question = smollm.encode(smollm.tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True))
for how in ({}, {"stop_strings": ["of Fra"]}, {"min_new_tokens": 10}):
    ids = my_generate(smollm.model, question, smollm.tokenizer, max_new_tokens=12, eos_ids=[2], **how)
    print(how, repr(smollm.tokenizer.decode(ids[0, question.shape[1] :])))

# %% [markdown]
# ## 7 · Part 6: streaming
#
# `my_tokens` yields tokens. A reader wants text: a piece for every token, without half characters, and without the
# beginning of a stop string. `TextStream` of lesson 12 holds back what may not be shown yet.


# %%
from course_utils.engine.stopping import TextStream


def my_stream(model, ids, tokenizer, **settings):
    settings = my_settings(settings)
    text = TextStream(tokenizer, settings.stop_strings)
    for token in my_tokens(model, ids, tokenizer, settings):
        yield text.push(token)
    yield text.finish()


# %% tags=["nbval-check-output"]
check_part("streaming", my_stream)

# %% [markdown]
# What comes if you leave the `TextStream` out and decode each token alone? Predict it for parrots: the prompt is
# *I love parrots 🦜🦜🦜*, and each parrot is three tokens.

# %%
parrots = predict(
    "15-parrots",
    "Each token decoded alone, six tokens of parrots. What is shown?",
    ["two parrots", "� six times or more", "nothing"],
)
parrots

# %% tags=["nbval-check-output"]
ids = smollm.encode("I love parrots 🦜🦜🦜")
tokens = list(my_tokens(smollm.model, ids, smollm.tokenizer, my_settings({"max_new_tokens": 6})))
alone = "".join(smollm.tokenizer.decode([token]) for token in tokens)
print(alone, "".join(my_stream(smollm.model, ids, smollm.tokenizer, max_new_tokens=6)))
parrots.compare("� six times or more" if alone.count("\ufffd") >= 6 else "two parrots")

# %% [markdown]
# ## 8 · Part 7: beams
#
# The last part is a search. You wrote it in lesson 13; here the course's `beam_search` does it, and you hand **your**
# `my_changes` in. It gets the log-probabilities of all beams, one row each, so your penalties have to work on rows.


# %%
from course_utils.engine.beam_search import beam_search
from course_utils.engine.running import RunningModel
from course_utils.engine.stopping import StopRules


def my_beams(model, ids, tokenizer, settings):
    stops = {"stop_strings": settings.stop_strings, "tokenizer": tokenizer}
    rules = StopRules(settings.eos_ids, settings.max_new_tokens, **stops)
    tree = beam_search(
        RunningModel(model, ids), rules, settings, lambda rows, texts: my_changes(rows, texts, ids.shape[1], settings)
    )
    return tree.path(tree.finished[0].node)  # the best text comes first


# %%
def my_generate(model, ids, tokenizer, **settings):
    settings = my_settings(settings)
    way = my_beams if settings.num_beams > 1 else my_tokens
    new = list(way(model, ids, tokenizer, settings))
    return torch.cat([ids, torch.tensor([new])], dim=1)


# %% tags=["nbval-check-output"]
check_part("beams", my_generate)

# %% [markdown]
# The usual slip is in the score: a sum that nothing divides prefers short texts. Here it is.


# %% tags=["nbval-check-output"]
def without_length(model, ids, tokenizer, **settings):
    return my_generate(model, ids, tokenizer, **(settings | {"length_penalty": 0.0}))


check_part("beams", without_length)

# %% [markdown]
# ## 9 · The final comparison
#
# Twelve texts by SmolLM2, one of each kind, and twelve longer ones by the practice model. Prompts and settings are
# drawn from a seed, and neither you nor your function has seen them. The judge is `generate` of `transformers`. It has
# no presence and no frequency penalty: there the course's own `generate` is the judge, and the line says so.

# %%
equal = predict(
    "15-equal",
    "How many of the 24 texts will be equal, token by token?",
    {"all": (24, None), "20 to 23": (20, 24), "fewer": (0, 20)},
)
equal

# %% tags=["nbval-check-output"]
from course_utils.learner.final_comparison import final_comparison

comparison = final_comparison(my_generate, seed=15)
comparison

# %% tags=["nbval-check-output"]
equal.compare(comparison.right)

# %% [markdown]
# Run it again with another seed, or with none: `final_comparison(my_generate)` draws a new one and says which. Every
# line that isn't ✅ can be run alone: with seed 15, `hidden_cases(15)[3]` of the same module has the model, the prompt
# and the settings of the fourth.
#
# Can a right function get a ❌? Yes, seldom. Lesson 10 showed that two ways of adding up the same numbers differ in the
# last digits. If two tokens are that close together, one of them wins here and the other there.

# %% [markdown]
# ## 10 · The scoreboard
#
# Right comes first, then fast. `keep_score` runs your `my_stream` and `transformers` in turns: a warm-up each, then
# three runs each, 12 tokens after a short text. TTFT and TPOT are medians. What do you expect of your TPOT?

# %%
pace = predict(
    "15-pace",
    "Your loop against generate() of transformers. While it writes one token, yours writes …",
    {"less than 0.8": (0, 0.8), "0.8 to 1.25": (0.8, 1.25), "more than 1.25": (1.25, None)},
)
pace

# %% tags=["machine-dependent"]
from course_utils.learner.scoreboard import keep_score

board = keep_score(my_stream, comparison, name="my first one")
assert 0.2 < board.new.speed < 5
board

# %% tags=["machine-dependent"]
pace.compare(board.new.speed, show="{:.2f} tokens")

# %% [markdown]
# Both run the same model, and most of the time is in it. A tidier loop can save what lies around the model, and no
# more. Large savings come from reading the weights less often or from reading fewer bytes (lesson 14).
#
# The scores stay on this machine, in a file beside your progress. The table puts those first that are equal
# everywhere. Make yours faster, and keep the next score under another name. Two ideas: let `my_read` call the course's
# `prefill` and `decode_step`, which skip much of what `transformers` does around the layers; keep the cache of a prompt
# and reuse it when the next one begins the same. Run `final_comparison` again after every change.

# %% tags=["machine-dependent"]
from course_utils.learner.scoreboard import Scoreboard

Scoreboard()

# %% [markdown]
# ## 11 · What is refused
#
# `GenerationSettings` looks at all settings before any time is spent. One sentence each.

# %% tags=["nbval-check-output"]
ids = smollm.encode("The capital of France is")
for wrong in (
    {"max_new_tokens": 0},
    {"do_sample": True, "filters": [("top_q", 0.9)]},
    {"filters": [("top_p", 0.9)]},
    {"num_beams": 2, "do_sample": True},
    {"stop_strings": [""]},
):
    try:
        my_generate(smollm.model, ids, smollm.tokenizer, **wrong)
    except ValueError as error:
        print(error)

# %% [markdown]
# And your function, when it is wrong? A check turns whatever happens into a sentence.


# %% tags=["nbval-check-output"]
def forgets_the_prompt(model, ids, tokenizer, **settings):
    return my_generate(model, ids, tokenizer, **settings)[:, ids.shape[1] :]


def runs_for_ever(model, ids, tokenizer, **settings):
    while True:
        model(ids[:, :1])


for wrong in (forgets_the_prompt, runs_for_ever, lambda *everything, **settings: everything[9]):
    print(check_part("stopping", wrong).message)

# %% [markdown]
# ## 12 · The whole thing in one cell
#
# All but beams and streaming, on one page, with the library's filters and penalties in place of yours. The course's
# `generate` is this, for batches and for every kind of model.

# %%
from course_utils.engine.penalties import PENALTIES
from course_utils.engine.sampling import draw_next
from course_utils.engine.stopping import mask_eos


@torch.inference_mode()
def in_one_cell(model, ids, tokenizer, max_new_tokens=20, min_new_tokens=0, do_sample=False, filters=(), seed=None,
                penalties=(), eos_ids=(), stop_strings=()):  # fmt: skip
    start, unread, cache = ids.shape[1], ids, None
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    for step in range(max_new_tokens):
        output = model(unread, past_key_values=cache, use_cache=True, logits_to_keep=1)
        logits, cache = output.logits[:, -1], output.past_key_values
        for name, setting in penalties:
            apply, _, prompt_counts = PENALTIES[name]
            logits = apply(logits, ids if prompt_counts else ids[:, start:], setting)
        logits = mask_eos(logits, eos_ids) if step < min_new_tokens else logits
        unread = (draw_next(logits, filters, generator) if do_sample else logits.argmax(-1))[:, None]
        ids = torch.cat([ids, unread], dim=1)
        text = tokenizer.decode(ids[0, start:], skip_special_tokens=True)
        if unread.item() in eos_ids or any(stop in text for stop in stop_strings):
            break
    return ids


# %% tags=["nbval-check-output"]
for part in ("loop", "cache", "filters", "penalties", "stopping"):
    print(check_part(part, in_one_cell))

# %% [markdown]
# ## 13 · Quiz
#
# Every option has an explanation, also the wrong ones. Try them all.

# %% tags=["nbval-check-output"]
from course_utils.learner import quiz_question

quiz_question(
    "15-quiz-test",
    "Three greedy texts of yours equal those of transformers. What do you know about your repetition penalty?",
    [
        ("It is right", False, "Section 5 had three equal texts and a wrong penalty."),
        (
            "Little, until you know which mistakes these texts could show",
            True,
            "Yes: with positive logits only, half of the rule was never run.",
        ),
        ("It is fast enough", False, "Equal tokens say nothing about time. The scoreboard does."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "15-quiz-count",
    "A prompt of 100 tokens, 50 new ones. Your function reads 198 positions and all tokens are right. What is wrong?",
    [
        ("Nothing", False, "100 + 50 − 1 = 149 are enough."),
        ("There is no cache", False, "Then it would be 100 + 101 + … + 149, which is 6,225."),
        (
            "Each decode step reads one token too many",
            True,
            "Yes: 49 decode steps, and 198 − 149 = 49. Look at what goes in at a step.",
        ),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "15-quiz-stream",
    "Why can the same loop serve generate() and a stream, but not beams?",
    [
        (
            "It yields each token when it is chosen, and a beam search may take tokens back",
            True,
            "Yes: generate() collects what the stream shows. A beam is final only at the end.",
        ),
        ("Beams have no cache", False, "They have one, with a row for every beam."),
        ("A stream cannot sample", False, "It can: the choice of a token is another piece of the loop."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "15-quiz-order",
    "Two programs: the same model, prompt, seed and settings, other sampled texts. Where do you look?",
    [
        ("At the weights", False, "They are the same: that was given."),
        ("At the order of the filters, and at the generator", True, "Yes: lesson 11 measured both."),
        ("At the KV cache", False, "It could round differently in the last digits, which seldom changes a token."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "15-quiz-faster",
    "Your TPOT is that of transformers. What would make it clearly smaller on the same machine?",
    [
        ("A tidier loop in Python", False, "It saves what lies around the model, and most of the time is inside."),
        ("A stronger filter", False, "Filters take the same few operations whatever they keep."),
        (
            "Weights of fewer bytes",
            True,
            "Yes: every decode step reads all weights, and it waits for memory (lessons 10 and 14).",
        ),
    ],
)

# %% [markdown]
# ## Take-aways
#
# Of this lesson:
#
# - Generation is a read, a change, a choice and an end. Everything else is one of these four.
# - Write the slow version first. It is what the fast one must equal.
# - A test is worth the mistakes that it would see. Make the mistake on purpose, and look.
# - Right first, then fast, and both measured beside a reference in the same minutes.
#
# Of the whole course:
#
# - A language model gives each token of its vocabulary a probability to come next. The rest is choosing.
# - Text becomes tokens, tokens become vectors, and attention lets vectors read each other (lessons 05 to 08).
# - What a model knows came from its training. A prompt changes no weight, it changes what is likely next (lessons 06
#   and 09).
# - A fluent answer is not yet a true one (lesson 02).
# - Prefill computes, decode waits for memory, and the KV cache is the price of not reading twice (lessons 10, 14).
#
# ## Where to go from here
#
# Your function serves one text at a time. These four papers start where it ends, and you can now read them:
#
# - Leviathan, Kalman and Matias (2023), *Fast Inference from Transformers via Speculative Decoding*: a small model
#   guesses several tokens, the large one checks them in one read. What is written still follows the distribution of
#   the large model.
# - Yu et al. (2022), *Orca: A Distributed Serving System for Transformer-Based Generative Models*: a request joins and
#   leaves the batch at any step, as your `my_end` decides.
# - Kwon et al. (2023), *Efficient Memory Management for Large Language Model Serving with PagedAttention*: the KV cache
#   in pages, so that prompts which begin the same can share them. It is the paper behind vLLM.
# - Dao et al. (2022), *FlashAttention: Fast and Memory-Efficient Exact Attention with IO-Awareness*: the attention of
#   lesson 08, without ever writing the whole matrix of scores to the GPU's main memory.
#
# A good first project: speculative decoding without a second model. Let the text guess for itself: when its last two
# tokens stood there before, guess that what followed them comes again. One read of the model checks all guesses, and
# `crop_cache` of lesson 10 forgets the wrong ones. `check_part` says whether it is still right, and the scoreboard how
# much faster it got.
#
# **Exercise**: [15 · Capstone: your own `generate()`](../exercises/15_your_own_generate.ipynb). **All lessons**: [the
# index](index.ipynb).
