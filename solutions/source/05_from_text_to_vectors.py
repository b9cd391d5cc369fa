# %% [markdown]
# # Exercise 05 · From text to vectors
#
# | time | difficulty | needs |
# |---|---|---|
# | 45 minutes | ●●●○○ | [lesson 05](../notebooks/05_from_text_to_vectors.ipynb), sections 2 to 6 |
#
# The lesson merged letters. Real tokenizers merge ids: they begin with the bytes of the text, 0 to 255, and the first
# merge makes id 256, the second id 257, and so on. You write the two halves of one training step on ids, and the way
# back to text. Then you find the neighbours of a vector.
#
# Run the first cell, then take the tasks in order. `check("q1")` says what is right so far, as often as you like.

# %%
import torch
from course_utils.learner import checker

check = checker("05", globals())

# %% [markdown]
# ## q1 · Count the pairs
#
# 8 minutes, ●●○○○, 2 points.
#
# `words` is a list of words, each a list of ids; `times` says how often each word occurs in the text. Find the pair of
# neighbours that occurs most often, and return `(first, second, count)`. Of equals, take the one that you see first.
#
# With the words `[1, 2, 3]` five times and `[2, 3, 4]` twice, the pair 2, 3 occurs seven times: you return `(2, 3,
# 7)`.
#
# <details><summary>Hint 1</summary>Which neighbours does one word have? How often does each of them count?</details>
# <details><summary>Hint 2</summary><code>pairwise(word)</code> from <code>itertools</code> gives the neighbours. A
# dict or <code>Counter</code> keeps its keys in the order in which they came, and <code>max(counts,
# key=counts.get)</code> takes the first of equals.</details>


# %% nbgrader={"grade": false, "grade_id": "q1", "locked": false, "schema_version": 3, "solution": true, "task": false}
def most_frequent_pair(words, times):
    """Return (first, second, count) of the pair that occurs most often; `words[i]` occurs `times[i]` times."""
    ### BEGIN SOLUTION
    counts = {}
    for word, often in zip(words, times, strict=True):
        for pair in zip(word, word[1:]):
            counts[pair] = counts.get(pair, 0) + often
    best = max(counts, key=counts.get)
    return *best, counts[best]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q1-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["nbval-check-output"]
### BEGIN HIDDEN TESTS
assert check("q1").is_right
### END HIDDEN TESTS
check("q1")

# %% [markdown]
# ## q2 · Merge one pair
#
# 8 minutes, ●●○○○, 2 points.
#
# Write the id `new` in place of every pair of neighbours `first`, `second`, from left to right, and return the new
# list. With the ids `1, 2, 3, 1, 2`, the pair 1, 2 and the new id 4 you return `[4, 3, 4]`. With `7, 7, 7`, the pair
# 7, 7 and the new id 8 you return `[8, 7]`: an id that is merged is gone.
#
# <details><summary>Hint 1</summary>After a pair you step on by two places, otherwise by one. What about the last
# id?</details>
# <details><summary>Hint 2</summary><code>ids[place : place + 2] == [first, second]</code> is also right at the last
# place, where the slice has one id only.</details>


# %% nbgrader={"grade": false, "grade_id": "q2", "locked": false, "schema_version": 3, "solution": true, "task": false}
def merge(ids, first, second, new):
    """Return the list `ids` with `new` for every pair of neighbours `first`, `second`."""
    ### BEGIN SOLUTION
    merged, place = [], 0
    while place < len(ids):
        is_pair = ids[place : place + 2] == [first, second]
        merged.append(new if is_pair else ids[place])
        place += 2 if is_pair else 1
    return merged
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q2-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["nbval-check-output"]
### BEGIN HIDDEN TESTS
assert check("q2").is_right
### END HIDDEN TESTS
check("q2")

# %% [markdown]
# ## q3 · Back to text
#
# 12 minutes, ●●●○○, 3 points.
#
# Turn ids into a text. An id below 256 is a byte. Id 256 is the first of `merges`, a list of `[first, second]`; its
# parts are ids again. A text in UTF-8 may have been cut off within a character, because a model writes tokens and not
# characters: then a � takes its place.
#
# With the merges `[[104, 105], [256, 33]]` the id 257 is *hi!*: 104 and 105 are the bytes of *hi*, and 33 is *!*. The
# character é is the two bytes 195 and 169, and these may be in two tokens.
#
# <details><summary>Hint 1</summary>First all bytes, then the text. How do you get the bytes of a merge whose parts are
# merges?</details>
# <details><summary>Hint 2</summary>Go through the merges in order and keep the bytes of every id in a dict: the parts
# of a merge are older than the merge. <code>bytes([104])</code> is one byte, <code>+</code> puts two together, and
# <code>decode("utf-8", errors="replace")</code> writes � where bytes make no character.</details>


# %% nbgrader={"grade": false, "grade_id": "q3", "locked": false, "schema_version": 3, "solution": true, "task": false}
def text_of(ids, merges):
    """Return the text of a list of ids; id 256 + i is `merges[i]`, and lower ids are bytes."""
    ### BEGIN SOLUTION
    pieces = [bytes([byte]) for byte in range(256)]
    for first, second in merges:
        pieces.append(pieces[first] + pieces[second])
    return b"".join(pieces[one] for one in ids).decode("utf-8", errors="replace")
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q3-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["nbval-check-output"]
### BEGIN HIDDEN TESTS
assert check("q3").is_right
### END HIDDEN TESTS
check("q3")

# %% [markdown]
# ### See them at work
#
# Your three functions train a tokenizer on the words of the lesson, and show each merge as text. Are these the merges
# that you know? Write words of your own, also some with é or in another script.

# %% tags=["raises-exception"]
times = {"low": 5, "lower": 2, "newest": 6, "widest": 3}
words, merges = [list(word.encode()) for word in times], []
for new in range(256, 264):
    first, second, count = most_frequent_pair(words, list(times.values()))
    words = [merge(word, first, second, new) for word in words]
    merges.append([first, second])
    print(f"{new}  {text_of([first], merges)}+{text_of([second], merges)}, {count} times")
[[text_of([one], merges) for one in word] for word in words]

# %% [markdown]
# ## q4 · Neighbours by cosine
#
# 8 minutes, ●●○○○, 2 points.
#
# `vectors` has a row for each token. Find the `count` rows that have the largest cosines with the row number `row`,
# best first, without that row itself. Return their numbers and the cosines. The lengths of the rows must not matter.
#
# With the rows (1, 0), (8, 6), (0, 1) and (0.6, −0.1), the two nearest to row 0 are rows 3 and 1, with cosines of 0.99
# and 0.8.
#
# <details><summary>Hint 1</summary>A cosine is a dot product of two vectors of length 1. How do you make every row one
# of length 1?</details>
# <details><summary>Hint 2</summary><code>vectors.norm(dim=-1, keepdim=True)</code> is one length for each row. The
# largest cosine is always that of the row with itself.</details>


# %% nbgrader={"grade": false, "grade_id": "q4", "locked": false, "schema_version": 3, "solution": true, "task": false}
def neighbours(vectors, row, count):
    """Return the numbers `(count,)` of the rows of `vectors` (vocab, hidden) nearest to `row`, and their cosines."""
    ### BEGIN SOLUTION
    units = vectors / vectors.norm(dim=-1, keepdim=True)
    best = (units @ units[row]).topk(count + 1)
    return best.indices[1:], best.values[1:]  # the nearest is the row itself
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q4-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["nbval-check-output"]
### BEGIN HIDDEN TESTS
assert check("q4").is_right
### END HIDDEN TESTS
check("q4")

# %% [markdown]
# ### See it at work
#
# Your function on SmolLM2's table of 49,152 rows. Try words of your own; most of them need the ␣ in front.

# %% tags=["raises-exception"]
from course_utils.models import load_causal_lm

smollm = load_causal_lm()
embedding = smollm.model.get_input_embeddings().weight.detach()
for token in ("␣green", "␣Berlin", "␣twelve", "␣sister"):
    rows, cosines = neighbours(embedding, smollm.labels.index(token), 4)
    print(f"{token:9}", *[f"{smollm.labels[near]} {cosine:.2f}" for near, cosine in zip(rows, cosines, strict=True)])

# %% [markdown]
# ## q5 · Whose merges?
#
# 5 minutes, ●●○○○, 2 points. A person reads your answer.
#
# You train two tokenizers, both with 30,000 merges. One reads English only, the other reads as much Hindi as English.
# Which of them needs fewer tokens for a Hindi text, and which for an English one? Say why, and what it means for the
# people who use a model with the first tokenizer in Hindi. Two or three sentences.

# %% [markdown] nbgrader={"grade": true, "grade_id": "q5", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# A merge goes to a pair that is frequent in the training text. The first tokenizer spends all 30,000 on English, so
# Hindi stays in single bytes, three for most letters; the second needs far fewer tokens for Hindi and a few more for
# English, whose rarer words get no merge any more. With the first one, the same text in Hindi takes more time and
# memory, costs more where tokens are paid for, and fills the context length sooner.

# %% [markdown]
# ## Stretch · Take the common direction away
#
# 10 minutes, ●●●●○, no points.
#
# In SmolLM2's table, two rows at random have a cosine of about 0.44: all rows share a direction. Write
# `without_common_direction(vectors)`: give every row the length 1, and subtract the mean of all rows. What is the mean
# cosine of random pairs then? Do the neighbours of ␣Berlin change?


# %% nbgrader={"grade": false, "grade_id": "stretch", "locked": false, "schema_version": 3, "solution": true, "task": false} tags=["raises-exception"]
def without_common_direction(vectors):
    """Return the rows of `vectors` (vocab, hidden) with length 1, less their mean."""
    ### BEGIN SOLUTION
    units = vectors / vectors.norm(dim=-1, keepdim=True)
    return units - units.mean(0)
    ### END SOLUTION


left = without_common_direction(embedding)
pairs = torch.randint(17, len(left), (2, 2_000), generator=torch.Generator().manual_seed(0))
for name, table in {"as it is": embedding, "less the mean": left}.items():
    rows, _ = neighbours(table, smollm.labels.index("␣Berlin"), 5)
    cosine = torch.cosine_similarity(table[pairs[0]], table[pairs[1]], dim=-1).mean()
    print(f"{name:14} mean cosine {abs(cosine):.2f}, near ␣Berlin:", *[smollm.labels[near] for near in rows])

# %% [markdown]
# **Lesson**: [05 · From text to vectors](../notebooks/05_from_text_to_vectors.ipynb). **This exercise**: [to
# solve](../exercises/05_from_text_to_vectors.ipynb), [solved](../solutions/05_from_text_to_vectors.ipynb). **Next
# exercise**: [06 · Pre-training and fine-tuning](06_pretraining_and_finetuning.ipynb). **All lessons**: [the
# index](../notebooks/index.ipynb).
