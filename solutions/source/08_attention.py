# %% [markdown]
# # Exercise 08 · Attention
#
# | time | difficulty | needs |
# |---|---|---|
# | 45 minutes | ●●●○○ | lesson [08](../notebooks/08_attention.ipynb), sections 2 to 8 |
#
# You write attention: one head, then heads that share keys and values. After that you write two measures of what a head
# does, and use them on SmolLM2. Write them yourself, in plain torch; torch's own `scaled_dot_product_attention` would
# spoil the first two.
#
# Run the first cell, then take the tasks in order. `check("q1")` says what is right so far, as often as you like.

# %%
import torch
from course_utils.learner import checker

check = checker("08", globals())

# %% [markdown]
# ## q1 · One head
#
# 10 minutes, ●●○○○, 3 points.
#
# Compute softmax(QKᵀ/√d + mask) · V. The mask is boolean, and False forbids to look: that score becomes −∞. d is how
# many numbers a query has. There may be more keys than queries, and values may have another size than keys.
#
# One query `[2, 0, 0, 0]` meets the keys `[1, 0, 0, 0]` and `[0, 0, 0, 0]`. The products are 2 and 0, the scores 1
# and 0, the weights 0.73 and 0.27. If the values are `[10]` and `[0]`, you return `[[7.31]]`. Without √d it would be
# 8.81.
#
# Write it so that it also works with several heads at once: then there are more dimensions in front, `(heads, seq, d)`,
# and the mask is the same for all.
#
# <details><summary>Hint 1</summary>Section 2 of the lesson does it in three cells. What does <code>key.T</code> do to
# three dimensions?</details>
# <details><summary>Hint 2</summary><code>key.transpose(-2, -1)</code> turns the last two dimensions only.
# <code>masked_fill</code> takes a condition and a value, <code>softmax(-1)</code> works along the keys.</details>


# %% nbgrader={"grade": false, "grade_id": "q1", "locked": false, "schema_version": 3, "solution": true, "task": false}
def attention(query, key, value, mask):
    """query (..., query, d), key (..., key, d), value (..., key, size), mask (query, key) → (..., query, size)."""
    ### BEGIN SOLUTION
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    return scores.masked_fill(~mask, -torch.inf).softmax(-1) @ value
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q1-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["nbval-check-output"]
### BEGIN HIDDEN TESTS
assert check("q1").is_right
### END HIDDEN TESTS
check("q1")

# %% [markdown]
# ## q2 · Grouped-query attention
#
# 8 minutes, ●●○○○, 2 points.
#
# Now there are more query heads than KV heads, and neighbours share: with 6 query heads and 2 KV heads, the heads 0, 1
# and 2 use KV head 0, and the heads 3, 4 and 5 use KV head 1. Return the mix of every query head. Your `attention` may
# do the work.
#
# <details><summary>Hint 1</summary>How many query heads share one KV head? Which KV head belongs to head
# number 4?</details>
# <details><summary>Hint 2</summary><code>x.repeat_interleave(3, dim=0)</code> makes three of each head, and keeps them
# together.</details>


# %% nbgrader={"grade": false, "grade_id": "q2", "locked": false, "schema_version": 3, "solution": true, "task": false}
def grouped_attention(query, key, value, mask):
    """query (heads, seq, d), key and value (kv_heads, seq, d), mask (seq, seq) → (heads, seq, d)."""
    ### BEGIN SOLUTION
    group = len(query) // len(key)
    return attention(query, key.repeat_interleave(group, dim=0), value.repeat_interleave(group, dim=0), mask)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q2-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["nbval-check-output"]
### BEGIN HIDDEN TESTS
assert check("q2").is_right
### END HIDDEN TESTS
check("q2")

# %% [markdown]
# ### See it at work
#
# SmolLM2's own queries, keys and values, caught in layer 18: your function must return what the model passes on to the
# last matrix of that layer.

# %% tags=["raises-exception"]
from course_utils.models import load_causal_lm
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

smollm, caught = load_causal_lm(), {}
layer = smollm.model.model.layers[18].self_attn
hooks = [layer.register_forward_pre_hook(lambda _, __, given: caught.update(given), with_kwargs=True)]
hooks.append(layer.o_proj.register_forward_pre_hook(lambda _, given: caught.update(mix=given[0])))
with torch.inference_mode():
    smollm.model(smollm.encode("The dog sat on the mat because it was tired."))
    for hook in hooks:
        hook.remove()
    maps = (layer.q_proj, layer.k_proj, layer.v_proj)
    q, k, v = (project(caught["hidden_states"]).unflatten(-1, (-1, 64)).transpose(1, 2) for project in maps)
    q, k = apply_rotary_pos_emb(q, k, *caught["position_embeddings"])
    seq = q.shape[2]
    mine = grouped_attention(q[0], k[0], v[0], torch.ones(seq, seq, dtype=torch.bool).tril())
q.shape, k.shape, torch.allclose(mine.transpose(0, 1).flatten(1), caught["mix"][0], atol=1e-4)

# %% [markdown]
# ## q3 · An induction score
#
# 12 minutes, ●●●○○, 3 points.
#
# You get the weights of one head on a text, and the text's token ids. Take every token that has come before. What share
# of its attention goes to the tokens that **followed** the same token earlier? Return the mean of these shares over the
# tokens that have come before, or 0 if there are none.
#
# The ids are `[7, 8, 7, 8]`. The third token, 7, was at place 0 before, so place 1 followed; its row has 0.8 there. The
# fourth token, 8, was at place 1 before, so place 2 followed; its row has 0.6 there. You return 0.7. If a token has come
# twice before, it has two such places, and both shares count for it. In the ids `[5, 5]` the second 5 itself followed.
#
# <details><summary>Hint 1</summary>A loop over the tokens is fine. For each: at which earlier places is the same
# id?</details>
# <details><summary>Hint 2</summary><code>weights[now, [1, 4]].sum()</code> adds up what the row of <code>now</code>
# has in two columns. Collect one number for each token that has such places.</details>


# %% nbgrader={"grade": false, "grade_id": "q3", "locked": false, "schema_version": 3, "solution": true, "task": false}
def induction(weights, ids):
    """weights (seq, seq) of one head, ids (seq,) → one number from 0 to 1."""
    ### BEGIN SOLUTION
    shares = []
    for now in range(len(ids)):
        followed = [past + 1 for past in range(now) if ids[past] == ids[now]]
        if followed:
            shares.append(weights[now, followed].sum())
    return sum(shares) / len(shares) if shares else 0.0
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q3-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["nbval-check-output"]
### BEGIN HIDDEN TESTS
assert check("q3").is_right
### END HIDDEN TESTS
check("q3")

# %% [markdown]
# The lesson looked for induction heads on random tokens. Here is a sentence that begins again. Which heads of layer 18
# does your score find?

# %% tags=["raises-exception"]
from course_utils.engine.llama import layer_outputs

twice = smollm.encode("The grey parrot Coco eats only nuts. The grey parrot Coco eats only nuts.")
with torch.inference_mode():
    weights_18 = [weights[0] for _, weights in layer_outputs(smollm.model, twice)][18]
{f"18.{head}": round(float(induction(weights_18[head], twice[0])), 2) for head in range(9)}

# %% [markdown]
# ## q4 · What a head takes
#
# 10 minutes, ●●●○○, 2 points.
#
# In section 8, the first token got more than half of all attention, and less of what was taken in: there, each weight was
# multiplied by the length of its value. Return these products for every token that looks, as shares of its row: each
# row adds up to 1.
#
# A row of weights is 0.8 and 0.2. The values are `[0.6, 0.8]`, of length 1, and `[0, -4]`, of length 4. Both products
# are 0.8, so you return 0.5 and 0.5. As in q1, there may be a dimension of heads in front.
#
# <details><summary>Hint 1</summary>The length of a vector is the root of the sum of its squares. Does a length belong
# to a row of the weights, or to a column?</details>
# <details><summary>Hint 2</summary><code>value.norm(dim=-1)</code> has the shape (..., key).
# <code>[..., None, :]</code> puts it above the columns.</details>


# %% nbgrader={"grade": false, "grade_id": "q4", "locked": false, "schema_version": 3, "solution": true, "task": false}
def taken(weights, value):
    """weights (..., query, key), value (..., key, d) → shares of the mix (..., query, key)."""
    ### BEGIN SOLUTION
    amounts = weights * value.norm(dim=-1)[..., None, :]
    return amounts / amounts.sum(-1, keepdim=True)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q4-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["nbval-check-output"]
### BEGIN HIDDEN TESTS
assert check("q4").is_right
### END HIDDEN TESTS
check("q4")

# %% [markdown]
# The sentence of q2 once more, in layer 18. The first number of a head is the share of its *attention* that goes to the
# first token, the second the share of what it *takes*. (The first row is left out: it can look nowhere else.)

# %% tags=["raises-exception"]
with torch.inference_mode():
    back = torch.ones(seq, seq, dtype=torch.bool).tril()
    seen = grouped_attention(q[0], k[0], torch.eye(seq).expand(3, -1, -1), back)  # values of 1 and 0: the weights
    parts = taken(seen, v[0].repeat_interleave(3, dim=0))
{f"18.{head}": [round(x[head, 1:, 0].mean().item(), 2) for x in (seen, parts)] for head in range(9)}

# %% [markdown]
# ## q5 · A late mask, repaired
#
# 5 minutes, ●●●○○, 2 points. A person reads your answer.
#
# Section 3 of the lesson called a mask after the softmax a leak. A colleague repairs it: weights of forbidden keys to
# 0 after the softmax, then each row divided by its sum. On paper, is that the same as −∞ before the softmax, or does
# the future still leak? And what can go wrong on a computer if a forbidden score is 200 larger than the others? Two
# or three sentences.

# %% [markdown] nbgrader={"grade": true, "grade_id": "q5", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# On paper it is the same. A weight is e^score divided by the sum over all keys; when a row is divided by the sum of
# its allowed weights, the sum over all keys cancels, and with it everything that the forbidden keys have added. On a
# computer the allowed weights are then about e^−200, which float32 rounds to 0, so the row is 0/0 and no number.

# %% [markdown]
# ## Stretch · Piece by piece
#
# 15 minutes, ●●●●●, no points.
#
# Must all scores of a row be there at once? Fast kernels say no (Dao et al. 2022, *FlashAttention*). Read the keys in
# blocks of `size`, and keep three things for each query: the largest score so far, the sum of e^(score − largest), and
# the mix so far. When a larger score comes, what you have must shrink by e^(old largest − new largest). Write
# `attention_in_blocks(query, key, value, size)`, without a mask, and compare it with your `attention`.


# %% nbgrader={"grade": false, "grade_id": "stretch", "locked": false, "schema_version": 3, "solution": true, "task": false} tags=["raises-exception"]
def attention_in_blocks(query, key, value, size):
    """query (query, d), key (key, d), value (key, d) → (query, d), with never more than `size` scores in a row."""
    ### BEGIN SOLUTION
    largest = torch.full((len(query), 1), -torch.inf)
    total, mix = torch.zeros(len(query), 1), torch.zeros(len(query), value.shape[-1])
    for keys, values in zip(key.split(size), value.split(size)):
        scores = query @ keys.T / query.shape[-1] ** 0.5
        new = torch.maximum(largest, scores.amax(-1, keepdim=True))
        shrink, powers = (largest - new).exp(), (scores - new).exp()
        total, mix = total * shrink + powers.sum(-1, keepdim=True), mix * shrink + powers @ values
        largest = new
    return mix / total
    ### END SOLUTION


queries, keys, values = torch.randn(3, 50, 16, generator=torch.Generator().manual_seed(0))
all_keys = torch.ones(50, 50, dtype=torch.bool)
torch.allclose(attention_in_blocks(queries, keys, values, 8), attention(queries, keys, values, all_keys), atol=1e-5)

# %% [markdown]
# **Lesson**: [08 · Attention](../notebooks/08_attention.ipynb). **This exercise**: [to
# solve](../exercises/08_attention.ipynb), [solved](../solutions/08_attention.ipynb). **Next exercise**: [09 · Context
# length and prompting](09_context_length_and_prompting.ipynb). **All lessons**: [the index](../notebooks/index.ipynb).
