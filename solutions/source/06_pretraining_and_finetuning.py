# %% [markdown]
# # Exercise 06 · Pre-training and fine-tuning
#
# | time | difficulty | needs |
# |---|---|---|
# | 50 minutes | ●●●○○ | [lesson 06](../notebooks/06_pretraining_and_finetuning.ipynb), all of it |
#
# You make the labels of both kinds of pre-training, write the loss that they share, and train a small model with them.
# Then you write a layer with LoRA. Use plain torch, without `cross_entropy`.
#
# Run the first cell, then take the tasks in order. `check("q1")` says what is right so far, as often as you like.

# %%
import torch
from course_utils.learner import checker

check = checker("06", globals())

# %% [markdown]
# ## q1 · Labels for the next token
#
# 8 minutes, ●●○○○, 2 points.
#
# `transformers` shifts the labels inside the model. Here you do it yourself: the label at each position is the token
# *after* it. `counts` is True for the tokens that the model should learn to write, and False for the question before an
# answer and for padding. The label is −100 where the next token does not count, and at the last position. The labels
# have the shape of `ids`.
#
# With the ids 5, 8, 2, 9, where only 2 and 9 count, you return −100, 2, 9, −100.
#
# <details><summary>Hint 1</summary>Begin with −100 everywhere. Which part of it do you fill, and with which part of
# <code>ids</code>?</details>
# <details><summary>Hint 2</summary><code>labels[:, :-1]</code> belongs to <code>ids[:, 1:]</code>. What you shift is a
# token together with its place in <code>counts</code>.</details>


# %% nbgrader={"grade": false, "grade_id": "q1", "locked": false, "schema_version": 3, "solution": true, "task": false}
def next_token_labels(ids, counts):
    """Return labels `(batch, seq)` for ids `(batch, seq)` and a bool mask of the tokens to be learned."""
    ### BEGIN SOLUTION
    labels = torch.full_like(ids, -100)
    labels[:, :-1] = ids[:, 1:].masked_fill(~counts[:, 1:], -100)
    return labels
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q1-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["nbval-check-output"]
### BEGIN HIDDEN TESTS
assert check("q1").is_right
### END HIDDEN TESTS
check("q1")

# %% [markdown]
# ## q2 · Hide tokens
#
# 12 minutes, ●●●○○, 3 points.
#
# A masked language model is asked for 15 % of the tokens. One random number for each token, `draws`, decides
# everything:
#
# | draw | shown | label |
# |---|---|---|
# | below 0.12 | the mask | the original token |
# | 0.12 to 0.135 | the token of `random_ids` | the original token |
# | 0.135 to 0.15 | the original token | the original token |
# | 0.15 and above | the original token | −100 |
#
# So of the chosen ones 80 % are masked, 10 % random and 10 % unchanged. A token that is `special` is never chosen.
# Return two tensors: what is shown, and the labels.
#
# With the ids 201, 202, 203, the draws 0.05, 0.14, 0.60 and the mask 103 you show 103, 202, 203, and the labels are
# 201, 202, −100.
#
# <details><summary>Hint 1</summary>First a mask of the chosen places. It is all that the labels need.</details>
# <details><summary>Hint 2</summary><code>torch.where(condition, one, other)</code> takes from one tensor or the other;
# <code>masked_fill(condition, number)</code> writes one number. Each kind has its own condition:
# <code>chosen &amp; (draws &lt; …)</code>.</details>


# %% nbgrader={"grade": false, "grade_id": "q2", "locked": false, "schema_version": 3, "solution": true, "task": false}
def hide(ids, special, draws, random_ids, mask_id):
    """Return what is shown and the labels, both `(batch, seq)`, as are `ids`, `special`, `draws`, `random_ids`."""
    ### BEGIN SOLUTION
    chosen = (draws < 0.15) & ~special
    shown = torch.where(chosen & (draws < 0.135), random_ids, ids)
    shown = shown.masked_fill(chosen & (draws < 0.12), mask_id)
    return shown, ids.masked_fill(~chosen, -100)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q2-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["nbval-check-output"]
### BEGIN HIDDEN TESTS
assert check("q2").is_right
### END HIDDEN TESTS
check("q2")

# %% [markdown]
# ## q3 · The loss
#
# 10 minutes, ●●●○○, 3 points.
#
# Return the mean of −ln *p* over all labels of the batch that are not −100, where *p* is the probability of the label
# at its position. The labels of q1 and q2 are already where they're asked for, so nothing is shifted here. With logits
# that are all 0 and a vocabulary of 8, every label costs ln 8 ≈ 2.08, and so that is the mean, however many are −100.
#
# The loss must be finite when the model is sure and wrong.
#
# <details><summary>Hint 1</summary>Take the positions without a label out first. A bool mask is an index for both
# tensors.</details>
# <details><summary>Hint 2</summary><code>log_softmax(-1)</code> is safe where the log of a softmax is not. For logits
# <code>(n, vocab)</code> and labels <code>(n,)</code>, <code>log_p[torch.arange(n), labels]</code> picks one number
# from each row.</details>


# %% nbgrader={"grade": false, "grade_id": "q3", "locked": false, "schema_version": 3, "solution": true, "task": false}
def mean_loss(logits, labels):
    """Return the loss for logits `(batch, seq, vocab)` and labels `(batch, seq)`."""
    ### BEGIN SOLUTION
    asked = labels != -100
    log_p = logits[asked].log_softmax(-1)  # (asked, vocab)
    return -log_p[torch.arange(len(log_p)), labels[asked]].mean()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q3-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["nbval-check-output"]
### BEGIN HIDDEN TESTS
assert check("q3").is_right
### END HIDDEN TESTS
check("q3")

# %% [markdown]
# ### See them at work
#
# Your labels and your loss train the lesson's tiny model on its story. Does the loss begin at ln 50 ≈ 3.9, and does it
# fall?

# %% tags=["raises-exception"]
from importlib.resources import files
from itertools import islice

from course_utils.experiments.characters import Characters, write_on
from course_utils.experiments.tiny_training import new_tiny_model, random_windows

story = (files("course_utils.experiments.texts") / "the_last_ferry.txt").read_text(encoding="utf-8")
characters = Characters(story)
story_ids = characters.encode(story)


def trained(labels_of, steps):
    """Train a tiny model with labels made by `labels_of(ids, counts)`; return it and its losses."""
    model, losses = new_tiny_model(len(characters)), []
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for ids in islice(random_windows(story_ids, windows=12, seed=0), steps):
        loss = mean_loss(model(ids).logits, labels_of(ids, torch.ones_like(ids, dtype=torch.bool)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return model, losses


tiny, losses = trained(next_token_labels, steps=40)
[round(loss, 1) for loss in losses[::10]], write_on(tiny, characters, "The captain ", characters=40, seed=1)

# %% [markdown]
# ## q4 · A layer with LoRA
#
# 8 minutes, ●●○○○, 2 points.
#
# A linear layer turns inputs `(…, in)` into `(…, out)`: every input is multiplied by the transposed `weight`. LoRA
# leaves `weight` alone and adds a correction: the same with `b @ a` in place of `weight`, times alpha / rank. `a` is
# `(rank, in)`, `b` is `(out, rank)`. Return the sum of both.
#
# With one input 2, `weight` 3, `a` 1, `b` 0.5, a rank of 1 and alpha 4 you return 2 · 3 + 2 · 0.5 · 4 = 10.
#
# <details><summary>Hint 1</summary>Where do you find the rank in the shapes?</details>
# <details><summary>Hint 2</summary><code>inputs @ weight.T</code> is the layer. <code>b @ a</code> has the shape of
# <code>weight</code>; the rank is <code>a.shape[0]</code>.</details>


# %% nbgrader={"grade": false, "grade_id": "q4", "locked": false, "schema_version": 3, "solution": true, "task": false}
def with_lora(inputs, weight, a, b, alpha):
    """Return `(..., out)` for inputs `(..., in)`, weight `(out, in)`, a `(rank, in)` and b `(out, rank)`."""
    ### BEGIN SOLUTION
    rank = a.shape[0]
    return inputs @ weight.T + inputs @ (b @ a).T * (alpha / rank)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q4-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["nbval-check-output"]
### BEGIN HIDDEN TESTS
assert check("q4").is_right
### END HIDDEN TESTS
check("q4")

# %% [markdown]
# ## q5 · Two losses side by side
#
# 5 minutes, ●●○○○, 2 points. A person reads your answer.
#
# Two causal language models are tested on the same text. The first has single characters for tokens and a loss of 1.5
# nats. The second has tokens of four characters on average and a loss of 3.0 nats. A colleague says that the first is
# twice as good. Is that right? What would you compute, and which one is better? Two or three sentences.

# %% [markdown] nbgrader={"grade": true, "grade_id": "q5", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# No. A loss is the mean per token, and the two have different tokens: a token of four characters is harder to predict
# than one character, but there are four times fewer of them. Per character the second model needs 3.0 / 4 = 0.75 nats
# and the first 1.5, so the second is better on this text.

# %% [markdown]
# ## Stretch · Forget the shift
#
# 10 minutes, ●●●●○, no points.
#
# What happens in training when the shift is forgotten? Write `unshifted_labels(ids, counts)`, where the label at each
# position is the token that's there. Train both ways with `trained` above. Compare the losses, and then what the models
# write. Which number would have warned you?


# %% nbgrader={"grade": false, "grade_id": "stretch", "locked": false, "schema_version": 3, "solution": true, "task": false} tags=["raises-exception"]
def unshifted_labels(ids, counts):
    """Return the ids as labels, −100 where they do not count."""
    ### BEGIN SOLUTION
    return ids.masked_fill(~counts, -100)
    ### END SOLUTION


for name, labels_of in {"next token": next_token_labels, "own token": unshifted_labels}.items():
    model, losses = trained(labels_of, steps=40)
    written = write_on(model, characters, "The ", characters=40, seed=1)
    print(f"{name:10} {losses[0]:.1f} → {losses[-1]:.2f}  {written!r}")

# %% [markdown]
# **Lesson**: [06 · Pre-training and fine-tuning](../notebooks/06_pretraining_and_finetuning.ipynb). **This exercise**:
# [to solve](../exercises/06_pretraining_and_finetuning.ipynb),
# [solved](../solutions/06_pretraining_and_finetuning.ipynb). **Next exercise**: [07 · Encoders, decoders and
# both](07_encoders_decoders_and_both.ipynb). **All lessons**: [the index](../notebooks/index.ipynb).
