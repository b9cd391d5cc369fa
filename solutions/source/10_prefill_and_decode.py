# %% [markdown]
# # Exercise 10 · Prefill and decode
#
# | time | difficulty | needs |
# |---|---|---|
# | 55 minutes | ●●●○○ | lesson [10 · Prefill and decode](../notebooks/10_prefill_and_decode.ipynb) |
#
# You work out what a KV cache takes, write a loop that reads no token twice, and answer one prompt after the other with
# a single cache. Most checks run on the **practice model**, a tiny random Llama whose tokens are letters and pairs of
# letters: it knows nothing, and it answers in milliseconds. A model comes to you as `loaded`, with `loaded.model` and
# `loaded.encode(text)`.
#
# Run the first cell, then take the tasks in order. `check("q1")` says what is right so far, as often as you like.

# %%
import torch
from course_utils.engine.prefill_decode import decode_step, prefill
from course_utils.learner import checker
from course_utils.models.practice import practice_model

check = checker("10", globals())
practice = practice_model()

# %% [markdown]
# ## q1 · How many tokens fit
#
# 8 minutes, ●●○○○, 2 points.
#
# A server has `memory` bytes for KV caches, and works on `texts` texts of the same length. How many tokens of each text
# fit? Return a whole number. `shape` is a dict. That of SmolLM2 is
# `{"layers": 30, "query_heads": 9, "kv_heads": 3, "hidden_size": 576, "bytes_per_number": 4}`. The query heads of a
# layer share the `hidden_size` numbers of a hidden state equally, and a KV head is as wide as a query head. With
# SmolLM2 and 1,000,000 bytes you return 21 for one text and 10 for two.
#
# <details><summary>Hint 1</summary>What does one token of one text take? Lesson 10 had 46,080 bytes.</details>
# <details><summary>Hint 2</summary>A key and a value, in every layer, for every KV head, each of
# <code>hidden_size // query_heads</code> numbers. Then <code>//</code> rounds down.</details>


# %% nbgrader={"grade": false, "grade_id": "q1", "locked": false, "schema_version": 3, "solution": true, "task": false}
def tokens_that_fit(shape, memory, texts):
    """Return how many whole tokens of each of `texts` texts fit into `memory` bytes of KV cache."""
    ### BEGIN SOLUTION
    head_size = shape["hidden_size"] // shape["query_heads"]
    bytes_per_token = 2 * shape["layers"] * shape["kv_heads"] * head_size * shape["bytes_per_number"]
    return memory // (texts * bytes_per_token)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q1-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["nbval-check-output"]
### BEGIN HIDDEN TESTS
assert check("q1").is_right
### END HIDDEN TESTS
check("q1")

# %% [markdown]
# ## q2 · A loop with a cache
#
# 15 minutes, ●●●○○, 3 points.
#
# Write greedy generation with the cache of `transformers`, without `prefill` and `decode_step`. This reads tokens
# `unread`, of shape `(1, seq)`, after what the cache holds (`None` is an empty cache):
#
# `output = loaded.model(unread, past_key_values=cache, use_cache=True)`
#
# Then `output.logits` is `(1, seq, vocab)`, `output.past_key_values` is the cache with the new tokens in it, and its
# `get_seq_length()` says how many it holds. Return a dict of three lists: `"tokens"`, the new token ids; `"read"`, how
# many tokens each step read; `"kept"`, how many the cache held after each step. The prompt `"cab"` has 3 tokens, so
# with 4 new ones `read` is `[3, 1, 1, 1]` and `kept` is `[3, 4, 5, 6]`. The last token is never read.
#
# <details><summary>Hint 1</summary>There are as many steps as new tokens: prefill, and one decode step less. What is
# unread before the first step, and what is unread after it?</details>
# <details><summary>Hint 2</summary>At the end of a step, <code>unread = output.logits[:, -1:].argmax(-1)</code> is the
# new token with the shape <code>(1, 1)</code>.</details>


# %% nbgrader={"grade": false, "grade_id": "q2", "locked": false, "schema_version": 3, "solution": true, "task": false}
@torch.inference_mode()
def greedy(loaded, prompt, new_tokens):
    """Return {"tokens": […], "read": […], "kept": […]}, one number in each for every new token after `prompt`."""
    ### BEGIN SOLUTION
    unread, cache = loaded.encode(prompt), None
    tokens, read, kept = [], [], []
    for _ in range(new_tokens):
        output = loaded.model(unread, past_key_values=cache, use_cache=True)
        cache = output.past_key_values
        read.append(unread.shape[1])
        kept.append(cache.get_seq_length())
        unread = output.logits[:, -1:].argmax(-1)
        tokens.append(unread.item())
    return {"tokens": tokens, "read": read, "kept": kept}
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q2-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["nbval-check-output"]
### BEGIN HIDDEN TESTS
assert check("q2").is_right
### END HIDDEN TESTS
check("q2")

# %% [markdown]
# ### See it at work
#
# The same function on SmolLM2. Below it, the stepper of the lesson with the same prompt. Go through its steps: are as
# many columns framed as your `read` says, and are there as many in all as your `kept` says? Then switch the cache off:
# what would `read` be now?

# %% tags=["raises-exception"]
from course_utils.models import load_causal_lm
from course_utils.widgets import cache_stepper

smollm = load_causal_lm()
prompt = "The capital of Norway is"
found = greedy(smollm, prompt, 6)
smollm.tokenizer.decode(found["tokens"]), found["read"], found["kept"]

# %%
cache_stepper(smollm, prompt, max_new_tokens=6)

# %% [markdown]
# ## q3 · What has to be read
#
# 7 minutes, ●●○○○, 2 points.
#
# A cache holds the keys and values of the tokens `kept`, and a new `prompt` comes. Both are lists of token ids. Return
# the tokens of the prompt that must be read, as a list. If the cache holds `[5, 6, 7, 8]` and the prompt is
# `[5, 6, 9, 8, 1]`, you return `[9, 8, 1]`: the 8 is at the same place in both, but after a 9 its key and value are
# different ones. At least one token must always be read, or there are no logits to continue with.
#
# <details><summary>Hint 1</summary>Count the tokens that are equal from the start, and stop at the first that is
# not.</details>
# <details><summary>Hint 2</summary>How far may the count go at most? To <code>len(prompt) - 1</code>.</details>


# %% nbgrader={"grade": false, "grade_id": "q3", "locked": false, "schema_version": 3, "solution": true, "task": false}
def unread(kept, prompt):
    """Return the tokens of `prompt` that are not in a cache of the tokens `kept`, at least the last one."""
    ### BEGIN SOLUTION
    shared = 0
    while shared < min(len(kept), len(prompt) - 1) and kept[shared] == prompt[shared]:
        shared += 1
    return prompt[shared:]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q3-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["nbval-check-output"]
### BEGIN HIDDEN TESTS
assert check("q3").is_right
### END HIDDEN TESTS
check("q3")

# %% [markdown]
# ## q4 · One cache for many prompts
#
# 15 minutes, ●●●●○, 3 points.
#
# Prompts come one after the other; each is a list of token ids. Answer each of them with `new_tokens` greedy tokens,
# and use **one** cache for all: forget what the next prompt does not share with what the cache holds, and read the
# rest. Return a list with a dict for each prompt: `"tokens"`, the new ids, and `"read"`, how many tokens of the prompt
# you read. The prompts `[1, 2, 3, 4]` and `[1, 2, 9]` have `read` 4 and 1. The answers must be those that come from
# scratch.
#
# Take `prefill` and `decode_step` of the lesson. Here is what they do, once more:
#
# - `logits, cache = prefill(loaded.model, ids, cache)` reads what the cache does not hold of `ids`, `(1, seq)`. It does
#   not compare: it skips as many tokens as there are in the cache. Without a cache it makes one.
# - `logits = decode_step(loaded.model, token, cache)` reads one token, `(1,)`.
# - `cache.length` says how many tokens it holds, and `cache.crop(count)` keeps the first `count`.
#
# In a chat, the next prompt holds the last one, its answer, and something new. So remember which tokens the cache
# holds.
#
# <details><summary>Hint 1</summary>Beside the cache keep a list of the tokens in it. After an answer, which of its
# tokens have been read?</details>
# <details><summary>Hint 2</summary>All but the last one: <code>held = prompt + tokens[:-1]</code>. Your
# <code>unread(held, prompt)</code> says what remains, so crop to
# <code>len(prompt) - len(unread(held, prompt))</code>.</details>


# %% nbgrader={"grade": false, "grade_id": "q4", "locked": false, "schema_version": 3, "solution": true, "task": false}
def answers(loaded, prompts, new_tokens):
    """Return [{"tokens": […], "read": number}, …], one dict for each prompt, with one cache for all prompts."""
    ### BEGIN SOLUTION
    cache, held, found = None, [], []
    for prompt in prompts:
        read = len(unread(held, prompt))
        if cache is not None:
            cache.crop(len(prompt) - read)
        logits, cache = prefill(loaded.model, torch.tensor([prompt]), cache)
        tokens = [logits.argmax().item()]
        while len(tokens) < new_tokens:
            logits = decode_step(loaded.model, torch.tensor(tokens[-1:]), cache)
            tokens.append(logits.argmax().item())
        held = prompt + tokens[:-1]
        found.append({"tokens": tokens, "read": read})
    return found
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q4-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["nbval-check-output"]
### BEGIN HIDDEN TESTS
assert check("q4").is_right
### END HIDDEN TESTS
check("q4")

# %% [markdown]
# ### See it at work
#
# A text and three questions about it, on SmolLM2. How many tokens does each question cost, once the text has been read?

# %% tags=["raises-exception"]
text = "The lighthouse of Norrholm was built in 1871 from grey granite. Its keeper had two cats and a goat."
questions = (" The lighthouse was built in", " It was made of grey", " The keeper had two cats and")
prompts = [smollm.encode(text + question)[0].tolist() for question in questions]
for question, prompt, answer in zip(questions, prompts, answers(smollm, prompts, 5), strict=True):
    words = smollm.tokenizer.decode(answer["tokens"])
    print(f"{answer['read']:2} of {len(prompt)} tokens read:{question} …{words}")

# %% [markdown]
# ## q5 · Eight at once
#
# 5 minutes, ●●○○○, 2 points. A person reads your answer.
#
# A server writes for one user, 30 tokens a second. Then it writes for eight users, with all eight new tokens in one
# decode step, and makes 200 tokens a second in all. Why so many more? And would it gain as much if it read eight long
# prompts in one prefill in place of eight, one after the other? Two or three sentences.

# %% [markdown] nbgrader={"grade": true, "grade_id": "q5", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# A decode step is memory-bound: all weights come from memory, and each is used for one token. With eight texts they
# come once as well and are used eight times, so the step takes little longer. A prefill of a long prompt uses each
# weight for all of its tokens already and is compute-bound: eight prompts are eight times the arithmetic, so reading
# them together gains little.

# %% [markdown]
# ## Stretch · A prompt in pieces
#
# 10 minutes, ●●●○○, no points.
#
# While a server reads a very long prompt, nobody else gets a token. So many servers read it in pieces and do decode
# steps in between (*chunked prefill*). Write `in_pieces(loaded, ids, size)`: read `ids`, `(1, seq)`, `size` tokens at a
# time, and return the logits after the last one and the lengths of the cache. Are the logits those of one prefill? How
# small may the pieces be?


# %% nbgrader={"grade": false, "grade_id": "stretch", "locked": false, "schema_version": 3, "solution": true, "task": false} tags=["raises-exception"]
def in_pieces(loaded, ids, size):
    """Return the logits after `ids` `(1, seq)`, and the length of the cache after every piece."""
    ### BEGIN SOLUTION
    cache, lengths = None, []
    for end in range(size, ids.shape[1] + size, size):
        logits, cache = prefill(loaded.model, ids[:, :end], cache)
        lengths.append(cache.length)
    return logits, lengths
    ### END SOLUTION


ids = practice.encode("thequickbrownfoxjumpsoverthelazydog")
whole, _ = prefill(practice.model, ids)
for size in (1, 4, 10, 50):
    logits, lengths = in_pieces(practice, ids, size)
    is_same = torch.allclose(logits, whole, atol=1e-4)
    print(f"{size:2} at a time: the cache grows from {lengths[0]:2} to {lengths[-1]}, the same logits: {is_same}")

# %% [markdown]
# **Lesson**: [10 · Prefill and decode](../notebooks/10_prefill_and_decode.ipynb). **This exercise**: [to
# solve](../exercises/10_prefill_and_decode.ipynb), [solved](../solutions/10_prefill_and_decode.ipynb). **Next
# exercise**: [11 · Sampling](11_sampling.ipynb). **All lessons**: [the index](../notebooks/index.ipynb).
