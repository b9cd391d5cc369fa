# %% [markdown]
# # Exercise 11 · Sampling
#
# | time | difficulty | needs |
# |---|---|---|
# | 45 minutes | ●●●○○ | lesson [11 · Sampling](../notebooks/11_sampling.ipynb), sections 2 to 9 |
#
# You write the four functions that stand between the logits and a drawn token. Each takes logits of any shape whose
# last dimension is the vocabulary, `(vocab,)` or `(batch, vocab)`, and returns logits of the same shape. A token that is
# removed gets a logit of −∞. Write them yourself, in plain torch.
#
# Run the first cell, then take the tasks in order. `check("q1")` says what is right so far, as often as you like.

# %%
import torch
from course_utils.learner import checker

check = checker("11", globals())

# %% [markdown]
# ## q1 · Temperature
#
# 5 minutes, ●○○○○, 2 points.
#
# Divide the logits by `temperature`. A temperature of 0 stands for greedy: the best token of each row keeps its logit,
# and all others are removed. With logits 2 and 1 and a temperature of 0.5 you return 4 and 2; with a temperature of 0
# you return 2 and −∞.
#
# <details><summary>Hint 1</summary>Which comparison is true for the best token only?</details>
# <details><summary>Hint 2</summary><code>logits.amax(-1, keepdim=True)</code> is the largest logit of each row;
# <code>masked_fill</code> takes a condition and a value.</details>


# %% nbgrader={"grade": false, "grade_id": "q1", "locked": false, "schema_version": 3, "solution": true, "task": false}
def with_temperature(logits, temperature):
    """Return logits divided by `temperature`; at 0 only the best token of each row stays."""
    ### BEGIN SOLUTION
    if temperature == 0:
        return logits.masked_fill(logits < logits.amax(-1, keepdim=True), -torch.inf)
    return logits / temperature
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q1-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["nbval-check-output"]
### BEGIN HIDDEN TESTS
assert check("q1").is_right
### END HIDDEN TESTS
check("q1")

# %% [markdown]
# ## q2 · Top-k
#
# 8 minutes, ●●○○○, 2 points.
#
# Keep the `k` largest logits of each row. If the vocabulary has fewer than `k` tokens, keep all. With logits 3, 1, 2 and
# `k = 2` you return 3, −∞, 2.
#
# <details><summary>Hint 1</summary>You need one number for each row: the smallest logit that stays.</details>
# <details><summary>Hint 2</summary><code>logits.topk(k).values</code> is sorted, the largest first. Its last column, with
# <code>[..., -1:]</code>, keeps the dimension that you compare along.</details>


# %% nbgrader={"grade": false, "grade_id": "q2", "locked": false, "schema_version": 3, "solution": true, "task": false}
def top_k(logits, k):
    """Return logits where only the `k` largest of each row stay."""
    ### BEGIN SOLUTION
    smallest_kept = logits.topk(min(k, logits.shape[-1])).values[..., -1:]
    return logits.masked_fill(logits < smallest_kept, -torch.inf)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q2-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["nbval-check-output"]
### BEGIN HIDDEN TESTS
assert check("q2").is_right
### END HIDDEN TESTS
check("q2")

# %% [markdown]
# ## q3 · Top-p
#
# 15 minutes, ●●●○○, 3 points.
#
# Keep the smallest set of tokens whose probabilities add up to at least `p`, the most likely first. The token with which
# the sum crosses `p` stays. With probabilities 0.5, 0.3, 0.15, 0.05 and `p = 0.7` the first two stay: 0.5 alone is less
# than 0.7. The tokens stay in their places.
#
# <details><summary>Hint 1</summary>A token is needed as long as the sum of those before it is less than p.</details>
# <details><summary>Hint 2</summary><code>sort(descending=True)</code> gives values and indices. What you decide in sorted
# order goes back to its place with <code>scatter(-1, indices, decision)</code>.</details>


# %% nbgrader={"grade": false, "grade_id": "q3", "locked": false, "schema_version": 3, "solution": true, "task": false}
def top_p(logits, p):
    """Return logits where only the most likely tokens stay that are needed to reach `p`."""
    ### BEGIN SOLUTION
    probabilities, indices = logits.softmax(-1).sort(descending=True)
    unneeded = probabilities.cumsum(-1) - probabilities >= p
    return logits.masked_fill(unneeded.scatter(-1, indices, unneeded), -torch.inf)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q3-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["nbval-check-output"]
### BEGIN HIDDEN TESTS
assert check("q3").is_right
### END HIDDEN TESTS
check("q3")

# %% [markdown]
# ## q4 · Min-p
#
# 7 minutes, ●●○○○, 2 points.
#
# Keep every token that is at least `p` times as likely as the most likely one of its row. With probabilities 0.6, 0.3,
# 0.1 and `p = 0.4` the bar is at 0.24, and the first two stay.
#
# <details><summary>Hint 1</summary>The bar is another one in each row. Work it out before you compare.</details>
# <details><summary>Hint 2</summary><code>probabilities.amax(-1, keepdim=True)</code> has one number for each
# row.</details>


# %% nbgrader={"grade": false, "grade_id": "q4", "locked": false, "schema_version": 3, "solution": true, "task": false}
def min_p(logits, p):
    """Return logits where only tokens at least `p` times as likely as the most likely one stay."""
    ### BEGIN SOLUTION
    probabilities = logits.softmax(-1)
    return logits.masked_fill(probabilities < p * probabilities.amax(-1, keepdim=True), -torch.inf)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q4-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["nbval-check-output"]
### BEGIN HIDDEN TESTS
assert check("q4").is_right
### END HIDDEN TESTS
check("q4")

# %% [markdown]
# ### See them at work
#
# The sampling lab runs your functions on SmolLM2's 49,152 logits, and says where they differ from the library's. Move
# top-p and watch your function.

# %% tags=["raises-exception"]
from course_utils.models import load_causal_lm
from course_utils.traces import record_next_token
from course_utils.widgets import SamplingLab

own = {"temperature": with_temperature, "top_k": top_k, "top_p": top_p, "min_p": min_p}
SamplingLab(
    record_next_token(load_causal_lm(), "Once upon a time there was a"), own=own, temperature=1.5, top_k=50, top_p=0.9
)

# %% [markdown]
# ## q5 · Why the order matters
#
# 5 minutes, ●●○○○, 2 points. A person reads your answer.
#
# You apply a temperature of 1.5 and top-p with 0.9. Once the temperature comes first, once it comes last. In which order
# are more tokens kept, and why? Would it be the same with top-k in place of top-p? Two or three sentences.

# %% [markdown] nbgrader={"grade": true, "grade_id": "q5", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# More are kept when the temperature comes first: it flattens the distribution, so more tokens are needed to reach 0.9.
# When it comes last, top-p has already chosen among the sharper probabilities. Top-k keeps the same tokens in both
# orders, because it only looks at which logits are the largest, and dividing all of them by the same number changes no
# order.

# %% [markdown]
# ## Stretch · Draw without a softmax
#
# 10 minutes, ●●●●○, no points.
#
# Add to every logit a random number −log(−log(u)), with `u` uniform between 0 and 1, and take the largest sum. Does
# this *Gumbel trick* draw from the softmax? Write `gumbel_draws(logits, count)` and compare the shares of 20,000 draws
# with the probabilities.


# %% nbgrader={"grade": false, "grade_id": "stretch", "locked": false, "schema_version": 3, "solution": true, "task": false} tags=["raises-exception"]
def gumbel_draws(logits, count):
    """Return `count` drawn token ids for logits `(vocab,)`."""
    ### BEGIN SOLUTION
    uniform = torch.rand(count, len(logits), generator=torch.Generator().manual_seed(0))
    return (logits - (-uniform.log()).log()).argmax(-1)
    ### END SOLUTION


toy = torch.tensor([3.0, 2.0, 1.0, 0.0])
gumbel_draws(toy, 20_000).bincount(minlength=4) / 20_000, toy.softmax(-1)

# %% [markdown]
# **Lesson**: [11 · Sampling](../notebooks/11_sampling.ipynb). **This exercise**: [to
# solve](../exercises/11_sampling.ipynb), [solved](../solutions/11_sampling.ipynb). **Next exercise**: [12 · Repetition,
# length and stopping](12_repetition_length_and_stopping.ipynb). **All lessons**: [the index](../notebooks/index.ipynb).
