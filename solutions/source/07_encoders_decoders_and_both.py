# %% [markdown]
# # Exercise 07 · Encoders, decoders and both
#
# | time | difficulty | needs |
# |---|---|---|
# | 45 minutes | ●●●○○ | lesson [07](../notebooks/07_encoders_decoders_and_both.ipynb), sections 2 to 7 |
#
# The lesson drew its masks for one whole text. A program has more to think about: texts of different lengths in a
# batch, padding on either side, and a cache with what was read before. You'll write the three masks for that. Then
# you'll work out, from a mask alone, how far a change reaches.
#
# A mask is boolean: one row for each token that looks, one column for each that's looked at, and True where it may. You
# get the tokenizer's **attention mask** `(batch, seq)`: 1 for a real token, 0 for padding. Write everything in plain
# torch, without the course's own masks.
#
# Run the first cell, then take the tasks in order. `check("q1")` says what is right so far, as often as you like.

# %%
import torch
from course_utils.learner import checker

check = checker("07", globals())

# %% [markdown]
# ## q1 · The encoder's mask
#
# 8 minutes, ●●○○○, 2 points.
#
# In an encoder, every position may look at every real token, and at no padding. Return one square mask for each text of
# the batch. The rows of the padding are like the others: nobody reads them, but each needs something to look at.
# For the attention mask `[[1, 1, 0]]` you return three times the row True, True, False: shape (1, 3, 3).
#
# <details><summary>Hint 1</summary>All rows of one text are equal. What is in such a row?</details>
# <details><summary>Hint 2</summary><code>[:, None, :]</code> puts a new dimension in the middle, and
# <code>expand(-1, seq, -1)</code> repeats along it.</details>


# %% nbgrader={"grade": false, "grade_id": "q1", "locked": false, "schema_version": 3, "solution": true, "task": false}
def encoder_mask(attention_mask):
    """attention_mask (batch, seq) of 0 and 1 → boolean mask (batch, seq, seq)."""
    ### BEGIN SOLUTION
    return attention_mask.bool()[:, None, :].expand(-1, attention_mask.shape[1], -1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q1-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["nbval-check-output"]
### BEGIN HIDDEN TESTS
assert check("q1").is_right
### END HIDDEN TESTS
check("q1")

# %% [markdown]
# ## q2 · The decoder's mask
#
# 12 minutes, ●●●○○, 3 points.
#
# In a decoder a token may look at itself and at what came before, and again at no padding. With a KV cache (section 7)
# only the last `new` tokens are read; the keys of the others are kept. So there are as many columns as the attention
# mask has, and `new` rows: those of the **last** `new` tokens.
#
# For the attention mask `[[0, 1, 1, 1]]` and `new = 2` you return two rows, for the third and the fourth token:
#
#     False  True  True  False
#     False  True  True  True
#
# Padding on the left may leave rows without any True. Leave them so.
#
# <details><summary>Hint 1</summary>Two conditions must be true at once: the column is not later than the row, and it is
# no padding. Make one mask for each.</details>
# <details><summary>Hint 2</summary><code>torch.ones(new, keys).tril(d)</code> is the triangle for the last tokens, if
# <code>d</code> is the number of old keys. <code>&amp;</code> joins boolean masks.</details>


# %% nbgrader={"grade": false, "grade_id": "q2", "locked": false, "schema_version": 3, "solution": true, "task": false}
def decoder_mask(attention_mask, new):
    """attention_mask (batch, keys) of 0 and 1 → boolean mask (batch, new, keys) for the last `new` tokens."""
    ### BEGIN SOLUTION
    keys = attention_mask.shape[1]
    back = torch.ones(new, keys, dtype=torch.bool).tril(keys - new)
    return back & attention_mask.bool()[:, None, :]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q2-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["nbval-check-output"]
### BEGIN HIDDEN TESTS
assert check("q2").is_right
### END HIDDEN TESTS
check("q2")

# %% [markdown]
# ## q3 · The cross mask
#
# 5 minutes, ●●○○○, 2 points.
#
# The decoder of a translator looks at the encoder: every target position may look at every real token of the source.
# Both come in a batch, and both may be padded. The rows of a padded target position are like the other rows. For the
# source mask `[[1, 1, 0]]` and the target mask `[[1, 0]]` you return two equal rows True, True, False: shape (1, 2, 3).
#
# <details><summary>Hint 1</summary>What do you need to know of the target?</details>
# <details><summary>Hint 2</summary>Only how many positions it has. The rest is the encoder's mask.</details>


# %% nbgrader={"grade": false, "grade_id": "q3", "locked": false, "schema_version": 3, "solution": true, "task": false}
def cross_mask(source_mask, target_mask):
    """source_mask (batch, source), target_mask (batch, target) → boolean mask (batch, target, source)."""
    ### BEGIN SOLUTION
    return source_mask.bool()[:, None, :].expand(-1, target_mask.shape[1], -1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q3-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["nbval-check-output"]
### BEGIN HIDDEN TESTS
assert check("q3").is_right
### END HIDDEN TESTS
check("q3")

# %% [markdown]
# ### See them at work
#
# A blue cell may be looked at. Where is the padding, and which rows of the second mask are empty?

# %% tags=["raises-exception"]
from course_utils import figures

english, french = ["I", "sleep", ".", "<pad>"], ["<pad>", "Je", "dors", "."]
real_english, real_french = torch.tensor([[1, 1, 1, 0]]), torch.tensor([[0, 1, 1, 1]])
figures.mask_grids(
    [
        ("your encoder_mask", encoder_mask(real_english)[0], english, english),
        ("your decoder_mask", decoder_mask(real_french, 4)[0], french, french),
        ("your cross_mask", cross_mask(real_english, real_french)[0], french, english),
    ]
)

# %% [markdown]
# Now MiniLM reads two texts in one batch, under your mask. The short one must get the same vectors as alone.

# %% tags=["raises-exception"]
from course_utils.models import load_encoder

minilm = load_encoder()
batch = minilm.tokenizer(["I sleep.", "The river carried the boat away."], padding=True, return_tensors="pt")
alone = minilm.encode("I sleep.")
with torch.inference_mode():
    together = minilm.model(batch.input_ids, attention_mask=encoder_mask(batch.attention_mask)[:, None])
    single = minilm.model(alone).last_hidden_state[0]
together.last_hidden_state.shape, torch.allclose(together.last_hidden_state[0, : len(single)], single, atol=1e-4)

# %% [markdown]
# ## q4 · How far a change reaches
#
# 15 minutes, ●●●○○, 3 points.
#
# Lesson 07 ran models to see which vectors differ after one token is replaced. You can tell from the mask alone. Before
# the first layer only the replaced position differs. In each layer a vector may change if it looks at one that had
# changed **before this layer**. And it keeps what it was: what has changed stays changed.
#
# Return the positions, in order, that differ after `layers` layers, the replaced one included. Under a mask where every
# token sees itself and one token before it, the second of five tokens is replaced (position 1). After one layer you
# return `[1, 2]`, after two `[1, 2, 3]`.
#
# <details><summary>Hint 1</summary>Keep one truth value for each position, and compute all new ones from the old
# ones.</details>
# <details><summary>Hint 2</summary><code>mask &amp; changed</code> leaves of every row what it sees and what has
# changed. <code>.any(-1)</code> asks whether anything is left.</details>


# %% nbgrader={"grade": false, "grade_id": "q4", "locked": false, "schema_version": 3, "solution": true, "task": false}
def changed_positions(mask, replaced, layers):
    """Boolean mask (seq, seq), the replaced position, a number of layers → list of the positions that differ."""
    ### BEGIN SOLUTION
    changed = torch.arange(len(mask)) == replaced
    for _ in range(layers):
        changed = changed | (mask & changed).any(-1)
    return changed.nonzero().flatten().tolist()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q4-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["nbval-check-output"]
### BEGIN HIDDEN TESTS
assert check("q4").is_right
### END HIDDEN TESTS
check("q4")

# %% [markdown]
# Some models let a token see only a **window** of the tokens before it (Beltagy et al. 2020, *Longformer*). How many
# layers does it take until the last of 64 tokens can know of the first, if each sees itself and seven before it?

# %% tags=["raises-exception"]
window = torch.ones(64, 64, dtype=torch.bool).tril().triu(-7)
next(layers for layers in range(64) if 63 in changed_positions(window, 0, layers))

# %% [markdown]
# ## q5 · Too good to be true
#
# 5 minutes, ●●○○○, 2 points. A person reads your answer.
#
# A colleague trains a decoder to predict the next token, at every position at once, and forgets the causal mask. The
# training loss falls to nearly 0. Is it the best model ever? Say how it got there, and what happens when it has to
# write a text. Two or three sentences.

# %% [markdown] nbgrader={"grade": true, "grade_id": "q5", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# Every position could look at the token that it was asked for, so the model learned to copy the token to its right
# and not to predict it; the loss measures copying. When it writes, there is nothing to its right yet, and it has
# learned nothing about what to do then, so the text is bad. With the causal mask the same run is a fair question at
# every position.

# %% [markdown]
# ## Stretch · Several texts in one row
#
# 10 minutes, ●●●●○, no points.
#
# Padding wastes work, so training often **packs** several texts into one row instead. Then the mask must keep them
# apart. Write `packed_mask(text_of)`: `text_of` says for each token of the row which text it belongs to, such as
# `[0, 0, 0, 1, 1]`. A token sees itself and what came before it in its own text. The cell below tests it on the
# practice model, a tiny decoder with random weights that reads letters. It counts positions through the whole row. So
# why does the last text get the same logits as alone? ([Positions](../notebooks/deeper/05_positions.ipynb) has the
# answer, and lesson 09 comes back to it.)


# %% nbgrader={"grade": false, "grade_id": "stretch", "locked": false, "schema_version": 3, "solution": true, "task": false} tags=["raises-exception"]
def packed_mask(text_of):
    """The number of the text that each token belongs to, (seq,) → boolean mask (seq, seq)."""
    ### BEGIN SOLUTION
    # With RoPE only the distance between two tokens counts, and within a text that's the same wherever it begins.
    same = text_of[:, None] == text_of[None, :]
    return same.tril()
    ### END SOLUTION


from course_utils.models.practice import practice_model

practice = practice_model()
row, second = practice.encode("theriverboat"), practice.encode("boat")
mask = packed_mask(torch.tensor([0] * 3 + [1] * 5 + [2] * 4))
packed = practice.model(row, attention_mask=mask[None, None]).logits[0, -4:]
torch.allclose(packed, practice.model(second).logits[0], atol=1e-4)

# %% [markdown]
# **Lesson**: [07 · Encoders, decoders and both](../notebooks/07_encoders_decoders_and_both.ipynb). **This exercise**:
# [to solve](../exercises/07_encoders_decoders_and_both.ipynb),
# [solved](../solutions/07_encoders_decoders_and_both.ipynb). **Next exercise**: [08 · Attention](08_attention.ipynb).
# **All lessons**: [the index](../notebooks/index.ipynb).
