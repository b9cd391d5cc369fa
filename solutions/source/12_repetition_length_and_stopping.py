# %% [markdown]
# # Exercise 12 · Repetition, length and stopping
#
# | time | difficulty | needs |
# |---|---|---|
# | 45 minutes | ●●●○○ | lesson [12](../notebooks/12_repetition_length_and_stopping.ipynb), sections 2 to 8 |
#
# You write what a program needs so that its texts don't repeat themselves, and end in the right place: three penalties, a
# search for stop strings, and the rules of EOS and lengths. The lesson's functions took a batch of one text. Yours take
# as many texts as they get.
#
# Run the first cell, then take the tasks in order. `check("q1")` says what is right so far, as often as you like.

# %%
import torch
from course_utils.learner import checker

check = checker("12", globals())

# %% [markdown]
# ## q1 · Presence and frequency
#
# 10 minutes, ●●○○○, 3 points.
#
# Write both penalties in one function. From the logit of every token that is in the text, subtract `presence` once, and
# `frequency` for each time it is there. Only the **new** text counts, as in OpenAI's API: the first `prompt_length`
# tokens of every row of `ids` are the prompt.
#
# With logits 3, 2, 1, a text of `[0, 1, 0, 0]`, a prompt of one token, `presence` 0.5 and `frequency` 0.1, the new text
# is `[1, 0, 0]`. You return 3 − 0.5 − 0.2 = 2.3, 2 − 0.5 − 0.1 = 1.4, and 1.
#
# <details><summary>Hint 1</summary>Make a table of counts first: one row for each text, one column for each token of
# the vocabulary. The rest is one line.</details>
# <details><summary>Hint 2</summary><code>torch.bincount(row, minlength=vocab)</code> counts one row;
# <code>torch.stack</code> puts several together. <code>counts &gt; 0</code> is 1 where a token is there.</details>


# %% nbgrader={"grade": false, "grade_id": "q1", "locked": false, "schema_version": 3, "solution": true, "task": false}
def presence_and_frequency(logits, ids, prompt_length, presence, frequency):
    """Return logits (batch, vocab), lowered for the new tokens of ids (batch, seq)."""
    ### BEGIN SOLUTION
    new = ids[:, prompt_length:]
    counts = torch.stack([torch.bincount(row, minlength=logits.shape[-1]) for row in new])
    return logits - presence * (counts > 0) - frequency * counts
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q1-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["nbval-check-output"]
### BEGIN HIDDEN TESTS
assert check("q1").is_right
### END HIDDEN TESTS
check("q1")

# %% [markdown]
# ## q2 · The sign rule
#
# 8 minutes, ●●○○○, 2 points.
#
# Write the repetition penalty. `texts` is a list with one list of token ids for each row of `logits`; they may have
# different lengths. The logit of every token of the text is divided by `penalty` if it is positive, and multiplied if
# it is negative. All other logits stay. It doesn't matter how often a token is there.
#
# With logits 4, −1, 3, the text `[0, 1, 0]` and a penalty of 2 you return 2, −2, 3.
#
# <details><summary>Hint 1</summary>Work on a copy: <code>logits.clone()</code>. Two loops are fine: over the texts, and
# over the tokens of a text. What happens in your loop to a token that is there twice?</details>
# <details><summary>Hint 2</summary><code>set(text)</code> holds every token once. Or without the inner loop:
# <code>logits[row, text]</code> are the logits of all tokens of a text, to read and to write.</details>


# %% nbgrader={"grade": false, "grade_id": "q2", "locked": false, "schema_version": 3, "solution": true, "task": false}
def repetition_penalty(logits, texts, penalty):
    """Return logits (batch, vocab); row i is penalised for the token ids in the list texts[i]."""
    ### BEGIN SOLUTION
    logits = logits.clone()
    for row, text in enumerate(texts):
        for token in set(text):
            if logits[row, token] > 0:
                logits[row, token] /= penalty
            else:
                logits[row, token] *= penalty
    return logits
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q2-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["nbval-check-output"]
### BEGIN HIDDEN TESTS
assert check("q2").is_right
### END HIDDEN TESTS
check("q2")

# %% [markdown]
# ## q3 · Stop strings
#
# 12 minutes, ●●●○○, 3 points.
#
# A model writes token after token. `pieces` are the texts of these tokens, and the model stops with the first token
# that completes one of the strings in `stops`. Return two things: the text before the stop string, and how many tokens
# the model wrote, the one that completes it included. If no stop string is ever complete, return all of the text and
# the number of all tokens. If a token completes two stop strings, the text ends before the one that begins first.
#
# With the pieces `" a"`, `" bur"`, `"ger"`, `" too"` and the stop string `"burger"` you return `" a "` and 3.
#
# <details><summary>Hint 1</summary>Be the model: after each token, look at all of the text so far. What comes after
# that token doesn't exist yet.</details>
# <details><summary>Hint 2</summary><code>text.find(stop)</code> is the place where a stop string begins, and −1 if it
# isn't there. Collect the places of all stop strings; the first one is where you cut.</details>


# %% nbgrader={"grade": false, "grade_id": "q3", "locked": false, "schema_version": 3, "solution": true, "task": false}
def text_before_stop(pieces, stops):
    """Return the text before the first complete stop string, and the number of tokens written."""
    ### BEGIN SOLUTION
    text = ""
    for count, piece in enumerate(pieces, start=1):
        text += piece
        places = [text.find(stop) for stop in stops if stop in text]
        if places:
            return text[: min(places)], count
    return text, len(pieces)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q3-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["nbval-check-output"]
### BEGIN HIDDEN TESTS
assert check("q3").is_right
### END HIDDEN TESTS
check("q3")

# %% [markdown]
# ## q4 · How a text ends
#
# 8 minutes, ●●●○○, 2 points.
#
# Row *i* of `logits` belongs to the *i*-th new token, and there are always enough rows. Take the best token of each
# row, and stop after EOS or when there are `maximum` tokens. As long as there are fewer than `minimum` tokens, EOS is
# masked. Return the list of ids, with EOS if it was written, and the reason: `"eos"` or `"max_new_tokens"`.
#
# Say that token 2 is EOS, and that it is the best token of every row. With `minimum` 3 and `maximum` 10 you return
# three other tokens, then 2, and `"eos"`.
#
# <details><summary>Hint 1</summary>A loop over the rows. How many tokens are there <em>before</em> this one?</details>
# <details><summary>Hint 2</summary>Give EOS a logit of −∞ in a copy of the row, then <code>argmax</code>. If EOS is the
# last token that fits, the model has ended the text, and not the maximum: ask for EOS first.</details>


# %% nbgrader={"grade": false, "grade_id": "q4", "locked": false, "schema_version": 3, "solution": true, "task": false}
def tokens_until_end(logits, eos, minimum, maximum):
    """Return the greedy token ids from logits (step, vocab), and why they end."""
    ### BEGIN SOLUTION
    ids = []
    for row in logits[:maximum].clone():
        if len(ids) < minimum:
            row[eos] = -torch.inf
        ids.append(row.argmax().item())
        if ids[-1] == eos:
            return ids, "eos"
    return ids, "max_new_tokens"
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q4-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["nbval-check-output"]
### BEGIN HIDDEN TESTS
assert check("q4").is_right
### END HIDDEN TESTS
check("q4")

# %% [markdown]
# ### See them at work
#
# The repetition lab runs your three penalties on SmolLM2, and says where they differ from the library's. The lesson's
# loop is gone. Switch the penalties off one by one (0, and 1 for the repetition penalty). Which of them do you need?

# %% tags=["raises-exception"]
from course_utils.models import load_causal_lm
from course_utils.widgets import repetition_lab

own = {
    "presence_penalty": lambda logits, ids, penalty: presence_and_frequency(logits, ids, 0, penalty, 0),
    "frequency_penalty": lambda logits, ids, penalty: presence_and_frequency(logits, ids, 0, 0, penalty),
    "repetition_penalty": lambda logits, ids, penalty: repetition_penalty(logits, ids.tolist(), penalty),
}
settings = {"presence_penalty": 0.3, "frequency_penalty": 0.2, "repetition_penalty": 1.05, "max_new_tokens": 40}
repetition_lab(load_causal_lm(), "I like to eat", own=own, **settings)

# %% [markdown]
# ## q5 · Penalties for a program
#
# 5 minutes, ●●○○○, 2 points. A person reads your answer.
#
# A model writes long programs. Its answers loop now and then, so someone sets the frequency penalty to 1. Now the first
# lines are fine, and the later ones are broken. Why? And what would a presence penalty of 1 do instead: to the program,
# and to a loop? Two or three sentences.

# %% [markdown] nbgrader={"grade": true, "grade_id": "q5", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# Every line of a program needs the same tokens: the line break, the indentation, brackets. Frequency takes 1 from them
# for each time they were used, so after some dozens of lines they can't win, and wrong tokens take their place. Presence
# takes at most 1, however long the program is, so it stays readable. But it doesn't grow either, and a loop that is sure
# of itself continues once all its tokens have paid.

# %% [markdown]
# ## Stretch · Show each token at once
#
# 10 minutes, ●●●●○, no points.
#
# Your function of q3 knows the text when it's over. A chat program shows it while it grows. Write
# `shown_at_once(pieces, stops)`: for each token, the text that may be shown when it comes. What could still become a
# stop string has to wait. What waits at the end is shown with the last token. Compare with the library's buffer.


# %% nbgrader={"grade": false, "grade_id": "stretch", "locked": false, "schema_version": 3, "solution": true, "task": false} tags=["raises-exception"]
def shown_at_once(pieces, stops):
    """Return one text for each piece; nothing of a stop string is ever shown."""
    ### BEGIN SOLUTION
    shown, held = [], ""
    for number, piece in enumerate(pieces):
        held += piece
        places = [held.find(stop) for stop in stops if stop in held]
        if places:
            return [*shown, held[: min(places)], *[""] * (len(pieces) - number - 1)]
        waits = [n for n in range(1, len(held) + 1) if any(stop.startswith(held[-n:]) for stop in stops)]
        free = len(held) - max(waits, default=0)
        shown.append(held[:free])
        held = held[free:]
    return [*shown[:-1], shown[-1] + held]
    ### END SOLUTION


from course_utils.engine.stopping import StopStringBuffer

pieces, stops = [" a", " bur", "den", ",", " b", "urge", " and a bur", "ger", " too"], ["burger", "###"]
buffer = StopStringBuffer(stops)
shown_at_once(pieces, stops), [buffer.push(piece) for piece in pieces]

# %% [markdown]
# **Lesson**: [12 · Repetition, length and stopping](../notebooks/12_repetition_length_and_stopping.ipynb). **This
# exercise**: [to solve](../exercises/12_repetition_length_and_stopping.ipynb),
# [solved](../solutions/12_repetition_length_and_stopping.ipynb). **Next exercise**: [13 · Beam
# search](13_beam_search.ipynb). **All lessons**: [the index](../notebooks/index.ipynb).
