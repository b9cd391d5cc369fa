# %% [markdown]
# # Exercise 15 · Your own generate()
#
# | time | difficulty | needs |
# |---|---|---|
# | 60 minutes | ●●●●○ | lesson [15 · Capstone](../notebooks/15_your_own_generate.ipynb), sections 1 to 9 |
#
# The functions of the lesson, with the same names and arguments. **q1** and **q2** are its parts 1 to 5, so what you
# wrote there fits here, and brings 4 of the 16 points. (Didn't you write it yourself there? Then do it here, without
# the lesson's solutions beside you. Allow 30 minutes more.) The rest is new: your beams get a cache, the model checks
# several guesses in one read, and you say what a test leaves open. Where `transformers` has the setting, its `generate`
# is the judge. All checks run on the **practice model**.
#
# Run the first two cells, then take the tasks in order. `check("q1")` says what is right so far, as often as you like.

# %%
import torch
from course_utils.engine.prefill_decode import decode_step, prefill
from course_utils.engine.sampling import FILTERS
from course_utils.learner import checker

check = checker("15", globals())

# %%
DEFAULTS = {
    "max_new_tokens": 20,
    "min_new_tokens": 0,
    "penalties": [],
    "eos_ids": [],
    "stop_strings": [],
    "do_sample": False,
    "filters": [],
    "seed": 0,
    "num_beams": 1,
    "length_penalty": 1.0,
}
[*FILTERS]

# %% [markdown]
# ## q1 · The change
#
# 8 minutes, ●●●○○, 2 points.
#
# Part 4 of the lesson. In the middle of a text the model has returned `logits`, `(vocab,)`. `prompt` and `new` are
# lists of token ids, and `settings` is a dict. Return the logits as they are after two things:
#
# 1. `settings["penalties"]`, a list of pairs (name, setting), in its order. `"repetition_penalty"` divides a positive
#    logit and multiplies a negative one, for each token of prompt and new text, once. `"presence_penalty"` subtracts
#    its setting from each token of the new text, once. `"frequency_penalty"` subtracts it once for each time the token
#    is in the new text.
# 2. As long as there are fewer than `settings["min_new_tokens"]` new tokens, all tokens of `settings["eos_ids"]` get
#    −∞. There may be none.
#
# With the logits 2, −1, 3, the prompt `[0]`, the new tokens `[1, 1]` and
# `[("repetition_penalty", 2.0), ("frequency_penalty", 0.5)]` you return 1, −3, 3.
#
# <details><summary>Hint 1</summary>Take the penalties one by one in a loop. Each changes what the one before it
# returned.</details>
# <details><summary>Hint 2</summary><code>set(prompt + new)</code> has each token once, and
# <code>new.count(token)</code> says how often one is there. Begin with <code>logits = logits.clone()</code>.</details>


# %% nbgrader={"grade": false, "grade_id": "q1", "locked": false, "schema_version": 3, "solution": true, "task": false}
def changed(logits, prompt, new, settings):
    """Return logits `(vocab,)` after the penalties and, while the text is too short, without its ends."""
    ### BEGIN SOLUTION
    counts = torch.bincount(torch.tensor(new, dtype=torch.long), minlength=len(logits))
    for name, setting in settings["penalties"]:
        if name == "repetition_penalty":
            ids = [*set(prompt + new)]
            logits = logits.clone()
            logits[ids] = torch.where(logits[ids] > 0, logits[ids] / setting, logits[ids] * setting)
        elif name == "presence_penalty":
            logits = logits - setting * (counts > 0)
        elif name == "frequency_penalty":
            logits = logits - setting * counts
    if len(new) < settings["min_new_tokens"]:
        logits = logits.clone()
        logits[settings["eos_ids"]] = -torch.inf
    return logits
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q1-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["nbval-check-output"]
### BEGIN HIDDEN TESTS
assert check("q1").is_right
### END HIDDEN TESTS
check("q1")

# %% [markdown]
# ## q2 · The loop
#
# 12 minutes, ●●●●○, 2 points.
#
# Parts 1 to 5 of the lesson in one function, `my_generate(model, ids, tokenizer, **settings)`: return the ids of the
# prompt and of the new tokens after it as one tensor, `(1, seq)`, as `model.generate` does. Settings come as keyword
# arguments, and one that doesn't come has its value in `DEFAULTS`: begin with `settings = DEFAULTS | settings`.
#
# | setting | what it does |
# |---|---|
# | `max_new_tokens` | at most so many new tokens |
# | `penalties`, `min_new_tokens`, `eos_ids` | your `changed` needs them |
# | `eos_ids` | a text ends with any of these tokens; that token is part of the result |
# | `stop_strings` | a text ends when what the new tokens say holds one of these texts |
# | `do_sample`, `filters`, `seed` | if `do_sample` is `False`, take the likeliest token, else draw |
#
# To draw, apply `FILTERS[name](logits, setting)` for each pair (name, setting) in the order of the list `filters`. Then
# take `torch.multinomial(logits.softmax(-1), 1, generator=generator)`. The generator is
# `torch.Generator().manual_seed(settings["seed"])`, made once for a text. With the ids of `"cab"`, which are 2, 0 and 1,
# and `max_new_tokens=2` you return `tensor([[2, 0, 1, 36, 73]])`.
#
# A loop that reads everything in each step is right. With a cache it is faster, too. If yours needs other functions,
# such as the lesson's `my_tokens`, put them into the same cell.
#
# <details><summary>Hint 1</summary>Write it for greedy first, and let <code>check</code> say what is missing. Keep
# <code>prompt</code> and <code>new</code> as lists: <code>changed</code> wants them. At the end,
# <code>torch.tensor([prompt + new])</code> has the right shape.</details>
# <details><summary>Hint 2</summary><code>prefill(model, ids)</code> returns the logits <code>(1, vocab)</code> and a
# cache; <code>decode_step(model, torch.tensor([token]), cache)</code> returns the next logits. A stop string can lie
# across two tokens: look for it in <code>tokenizer.decode(new)</code>.</details>


# %% nbgrader={"grade": false, "grade_id": "q2", "locked": false, "schema_version": 3, "solution": true, "task": false}
@torch.inference_mode()
def my_generate(model, ids, tokenizer, **settings):
    """Return the ids of the prompt `ids` and of the new tokens after it, `(1, seq)`."""
    ### BEGIN SOLUTION
    settings = DEFAULTS | settings
    prompt, new = ids[0].tolist(), []
    generator = torch.Generator().manual_seed(settings["seed"])
    logits, cache = prefill(model, ids)
    while True:
        logits = changed(logits[0], prompt, new, settings)
        if settings["do_sample"]:
            for name, setting in settings["filters"]:
                logits = FILTERS[name](logits, setting)
            new.append(torch.multinomial(logits.softmax(-1), 1, generator=generator).item())
        else:
            new.append(logits.argmax().item())
        text = tokenizer.decode(new)
        has_ended = new[-1] in settings["eos_ids"] or any(stop in text for stop in settings["stop_strings"])
        if has_ended or len(new) == settings["max_new_tokens"]:
            return torch.tensor([prompt + new])
        logits = decode_step(model, torch.tensor(new[-1:]), cache)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q2-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["nbval-check-output"]
### BEGIN HIDDEN TESTS
assert check("q2").is_right
### END HIDDEN TESTS
check("q2")

# %% [markdown]
# ### See it at work
#
# The checks of the lesson take your function as it is. They have other texts and other settings.

# %% tags=["raises-exception"]
from course_utils.learner.capstone import check_part

for part in ("loop", "filters", "penalties", "stopping"):
    print(check_part(part, my_generate))

# %% [markdown]
# ## q3 · Beams with a cache
#
# 20 minutes, ●●●●●, 6 points.
#
# Your `my_beams` of the lesson, with a cache. `settings` is a dict that has all keys. In each of `max_new_tokens` steps,
# extend every beam by every token. Of the best `num_beams` candidates, those that end in one of `eos_ids` are finished;
# of all candidates that don't end, the best `num_beams` continue. What is alive after the last step is finished, too (in
# `transformers` that's `early_stopping="never"`). Return the best `num_beams` as `[[score, tokens], …]`, best first: the
# sum divided by the number of new tokens to the power `length_penalty`.
#
# As in the lesson, `changed` gets **log-probabilities**, one row at a time, with the new tokens of that beam: first
# `log_softmax`, then `changed`.
#
# New is the cache, which has a row for each beam. A beam that continues twice needs its keys and values twice, and a
# pruned one needs none. `cache.select(rows)` gives the new beams the rows that they came from: if beams 0 and 1 both
# come from row 1, it's `cache.select([1, 1])`. `decode_step` reads one new token for each row, `(rows,)`. The prompts
# of the check have four tokens, and its model refuses to read more than four at once: no search gets far without a
# cache.
#
# <details><summary>Hint 1</summary>After prefill there is one beam, without new tokens and with a sum of 0. So the
# first step is like all others.</details>
# <details><summary>Hint 2</summary>Let a candidate be <code>(total, tokens, row)</code>. Sort all of them; after the
# choice, <code>[row for total, tokens, row in alive]</code> is what <code>select</code> wants.</details>


# %% nbgrader={"grade": false, "grade_id": "q3", "locked": false, "schema_version": 3, "solution": true, "task": false}
@torch.inference_mode()
def my_beams(model, ids, settings):
    """Return the best `num_beams` texts after `ids` `(1, seq)` as [[score, tokens], …], best first."""
    ### BEGIN SOLUTION
    prompt, beams, eos_ids = ids[0].tolist(), settings["num_beams"], settings["eos_ids"]
    logits, cache = prefill(model, ids)
    alive, finished = [(0.0, [], 0)], []
    for step in range(settings["max_new_tokens"]):
        if step:
            cache.select([row for _, _, row in alive])
            logits = decode_step(model, torch.tensor([tokens[-1] for _, tokens, _ in alive]), cache)
        candidates = []
        for row, (total, tokens, _) in enumerate(alive):
            log_probabilities = changed(logits[row].log_softmax(-1), prompt, tokens, settings)
            candidates += [(total + one, [*tokens, token], row) for token, one in enumerate(log_probabilities.tolist())]
        candidates.sort(reverse=True)
        finished += [candidate for candidate in candidates[:beams] if candidate[1][-1] in eos_ids]
        alive = [candidate for candidate in candidates if candidate[1][-1] not in eos_ids][:beams]
    scored = [[total / len(tokens) ** settings["length_penalty"], tokens] for total, tokens, _ in finished + alive]
    return sorted(scored, reverse=True)[:beams]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q3-check", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false} tags=["nbval-check-output"]
### BEGIN HIDDEN TESTS
assert check("q3").is_right
### END HIDDEN TESTS
check("q3")

# %% [markdown]
# ## q4 · Guesses, checked in one read
#
# 10 minutes, ●●●●○, 4 points.
#
# A decode step waits for memory (lesson 10), so a step that reads five tokens takes little longer than one that reads
# one. *Speculative decoding* makes use of it: someone guesses the next tokens, and the model checks all guesses in one
# read. `guesses` is a list of token ids that may follow `ids`, `(1, seq)`. Read both at once, and return a list: the
# guesses that are what the model itself would choose (greedy), up to the first wrong one; then one token more, which
# the model chooses in the place of the wrong guess, or after the last if all are right.
#
# If the model would write 4 7 1 9, then the guesses `[4, 7, 2]` give `[4, 7, 1]`, and `[4, 7, 1]` give `[4, 7, 1, 9]`.
#
# <details><summary>Hint 1</summary><code>model(everything).logits</code> is <code>(1, seq, vocab)</code>. The
# logits at a position choose the token <em>after</em> it. Which position chooses the first guess?</details>
# <details><summary>Hint 2</summary><code>logits[0, ids.shape[1] - 1 :].argmax(-1)</code> has one token more than there
# are guesses. Compare from the left and stop at the first that differs.</details>


# %% nbgrader={"grade": false, "grade_id": "q4", "locked": false, "schema_version": 3, "solution": true, "task": false}
@torch.inference_mode()
def checked(model, ids, guesses):
    """Return the right guesses after `ids` `(1, seq)` and one token of the model's own, as a list of ids."""
    ### BEGIN SOLUTION
    logits = model(torch.cat([ids, ids.new_tensor([guesses])], dim=1)).logits
    own = logits[0, ids.shape[1] - 1 :].argmax(-1).tolist()
    right = 0
    while right < len(guesses) and guesses[right] == own[right]:
        right += 1
    return own[: right + 1]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q4-check", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false} tags=["nbval-check-output"]
### BEGIN HIDDEN TESTS
assert check("q4").is_right
### END HIDDEN TESTS
check("q4")

# %% [markdown]
# ### See it at work
#
# SmolLM2 counts on. Three guesses: all right, wrong in the middle, and wrong at once.

# %% tags=["raises-exception"]
from course_utils.models import load_causal_lm

smollm = load_causal_lm()
ids = smollm.encode("One, two, three, four,")
[smollm.labels[token] for token in ids[0]]

# %% tags=["raises-exception"]
for guess in (" five, six, seven", " five, nine, seven", " ten"):
    guesses = smollm.encode(guess)[0].tolist()
    print(f"{guess:18} {len(guesses)} guessed →{smollm.tokenizer.decode(checked(smollm.model, ids, guesses))}")

# %% [markdown]
# ## q5 · What fifty equal texts say
#
# 5 minutes, ●●●○○, 2 points. A person reads your answer.
#
# A friend's `generate()` has all settings of this exercise. She compared 50 greedy texts of SmolLM2, without any other
# setting, with `transformers`, and all are equal. Name two mistakes that her function may still have, and for each of
# them a test that would show it. Two to four sentences.

# %% [markdown] nbgrader={"grade": true, "grade_id": "q5", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# Her repetition penalty may lack the sign rule. With SmolLM2 even a test with a penalty would seldom show it, because
# its best logits are positive: test it on the practice model, or on logits with both signs. Her filters may come in an
# order of their own: draw with a seed, with top-p in front of a high temperature, and compare the tokens. (Or: she may
# have no cache at all, which only counting the positions would show.)

# %% [markdown]
# ## Stretch · Let the text guess for itself
#
# 20 minutes, ●●●●○, no points.
#
# Put your `checked` to use, without a second model. If the last two tokens have come before in the text, guess that what
# followed them then follows now, too, `most` tokens at most. Write `with_guesses(model, ids, new_tokens, most)`: return the new
# tokens and the number of reads. The tokens must be those of greedy search. When does it save reads, and when does it
# not?


# %% nbgrader={"grade": false, "grade_id": "stretch", "locked": false, "schema_version": 3, "solution": true, "task": false} tags=["raises-exception"]
def with_guesses(model, ids, new_tokens, most=5):
    """Return `new_tokens` greedy tokens after `ids`, and how often the model was read."""
    ### BEGIN SOLUTION
    text, start, reads = ids[0].tolist(), ids.shape[1], 0
    while len(text) < start + new_tokens:
        guesses = []
        for place in range(len(text) - 3, -1, -1):  # the latest place comes first
            if text[place : place + 2] == text[-2:]:
                guesses = text[place + 2 : place + 2 + most]
                break
        text += checked(model, torch.tensor([text]), guesses)
        reads += 1
    return text[start : start + new_tokens], reads
    ### END SOLUTION


for prompt in ("The cat sat. The dog sat. The cat sat. The dog", "My favourite place in the world is"):
    ids = smollm.encode(prompt)
    tokens, reads = with_guesses(smollm.model, ids, 16)
    greedy = my_generate(smollm.model, ids, smollm.tokenizer, max_new_tokens=16)
    assert tokens == greedy[0, ids.shape[1] :].tolist()
    print(f"{reads} reads for 16 tokens:{smollm.tokenizer.decode(tokens)!r}")

# %% [markdown]
# **Lesson**: [15 · Capstone: your own `generate()`](../notebooks/15_your_own_generate.ipynb). **This exercise**: [to
# solve](../exercises/15_your_own_generate.ipynb), [solved](../solutions/15_your_own_generate.ipynb). **All lessons**:
# [the index](../notebooks/index.ipynb).
