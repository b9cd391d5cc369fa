# %% [markdown]
# # Exercise 03 · The pipeline, opened
#
# | time | difficulty | needs |
# |---|---|---|
# | 45 minutes | ●●○○○ | lesson [03 · The pipeline, opened](../notebooks/03_the_pipeline_opened.ipynb), sections 2–6 |
#
# You write a whole pipeline: preprocess, padding, forward and postprocess. The arrays are so small that you can check
# every number by hand. At the end your four functions run together, and three of them work on the lesson's real model.
#
# Run the first cell, then take the tasks in order. `check("q1")` says what is right so far, as often as you like.

# %%
import torch
from course_utils.learner import checker

check = checker("03", globals())

# %% [markdown]
# ## q1 · Preprocess
#
# 10 minutes, ●●○○○, 2 points.
#
# Turn each text into a list of ids. `vocabulary` is a dict from token to id. Write the text in small letters, and cut
# it into words at its spaces. A word that is not in the vocabulary gets the id of `[UNK]`. `[CLS]` comes first, `[SEP]`
# last. No list may be longer than `longest`: if it would be, its last words are left out, and `[SEP]` still comes last.
#
# With the vocabulary `{"[CLS]": 1, "[SEP]": 2, "[UNK]": 3, "a": 4, "great": 5, "film": 6}` the texts `A great film` and
# `great music` become `[[1, 4, 5, 6, 2], [1, 5, 3, 2]]`. With `longest = 4` the first list would be `[1, 4, 5, 2]`.
#
# <details><summary>Hint 1</summary>How many words fit, if the list has at most <code>longest</code> ids?</details>
# <details><summary>Hint 2</summary><code>text.lower().split()</code> are the words.
# <code>vocabulary.get(word, other)</code> returns <code>other</code> if the word is not there. Cut the words with
# <code>[: longest - 2]</code>.</details>


# %% nbgrader={"grade": false, "grade_id": "q1", "locked": false, "schema_version": 3, "solution": true, "task": false}
def preprocess(texts, vocabulary, longest):
    """Return a list of ids for each text, with at most `longest` ids."""
    ### BEGIN SOLUTION
    rows = []
    for text in texts:
        words = text.lower().split()[: longest - 2]
        ids = [vocabulary.get(word, vocabulary["[UNK]"]) for word in words]
        rows.append([vocabulary["[CLS]"], *ids, vocabulary["[SEP]"]])
    return rows
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q1-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["nbval-check-output"]
### BEGIN HIDDEN TESTS
assert check("q1").is_right
### END HIDDEN TESTS
check("q1")

# %% [markdown]
# ## q2 · Padding and its mask
#
# 8 minutes, ●●○○○, 2 points.
#
# `rows` are lists of ids, of different lengths. Fill the short ones up with `pad_id` on the right, to the length of the
# longest. Return a dict with `input_ids` and `attention_mask`, both `(batch, seq)`, as tensors or as lists. The mask is
# 1 for a token and 0 for padding. `pad_id` may also be the id of a token: many models have no padding of their own and
# take the end-of-text token.
#
# With `pad_id = 0` the rows `[[1, 4, 2], [1, 2]]` become the ids `[[1, 4, 2], [1, 2, 0]]` and the mask
# `[[1, 1, 1], [1, 1, 0]]`. Leave `rows` itself as it is.
#
# <details><summary>Hint 1</summary>You know the length of each row before you pad. What more does the
# mask need?</details>
# <details><summary>Hint 2</summary><code>max(len(row) for row in rows)</code> is the longest.
# <code>row + [pad_id] * missing</code> is a new list.</details>


# %% nbgrader={"grade": false, "grade_id": "q2", "locked": false, "schema_version": 3, "solution": true, "task": false}
def pad(rows, pad_id):
    """Return `input_ids` and `attention_mask` of lists of ids, both `(batch, seq)`."""
    ### BEGIN SOLUTION
    longest = max(len(row) for row in rows)
    ids = [row + [pad_id] * (longest - len(row)) for row in rows]
    mask = [[1] * len(row) + [0] * (longest - len(row)) for row in rows]
    return {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask)}
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q2-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["nbval-check-output"]
### BEGIN HIDDEN TESTS
assert check("q2").is_right
### END HIDDEN TESTS
check("q2")

# %% [markdown]
# ## q3 · Forward, with the mask
#
# 12 minutes, ●●●○○, 3 points.
#
# The smallest model that can classify a text has two arrays. `table`, `(vocab, width)`, has a vector for each token id.
# `weights`, `(width, labels)`, turns a vector into logits. The model looks up the vectors of a text, takes the mean
# over its tokens, which is called **mean pooling**, and multiplies it by the weights. Padding has a vector, too, and
# must not be read. Return the logits, `(batch, labels)`.
#
#     table = [[9, 9], [2, 0], [0, 6]]     weights = [[1, -1], [0, 1]]
#     input_ids = [[1, 2], [1, 0]]         attention_mask = [[1, 1], [1, 0]]
#
# The first text has the vectors 2, 0 and 0, 6. Their mean is 1, 3, and its logits are 1 and 2. The second text has one
# token, so the mean is 2, 0, and the logits are 2 and −2.
#
# <details><summary>Hint 1</summary>A mean is a sum and a division. What must the mask do to the sum, and what to the
# number that you divide by?</details>
# <details><summary>Hint 2</summary><code>table[input_ids]</code> is <code>(batch, seq, width)</code>, and
# <code>attention_mask[..., None]</code> is <code>(batch, seq, 1)</code>. Their product has zeros where there is
# padding. <code>sum(1)</code> runs over the places, <code>@</code> multiplies by a matrix.</details>


# %% nbgrader={"grade": false, "grade_id": "q3", "locked": false, "schema_version": 3, "solution": true, "task": false}
def forward(table, weights, input_ids, attention_mask):
    """Return logits `(batch, labels)`: the mean vector of each text's tokens, times the weights."""
    ### BEGIN SOLUTION
    mask = attention_mask[..., None]
    means = (table[input_ids] * mask).sum(1) / mask.sum(1)
    return means @ weights
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q3-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["nbval-check-output"]
### BEGIN HIDDEN TESTS
assert check("q3").is_right
### END HIDDEN TESTS
check("q3")

# %% [markdown]
# ## q4 · Postprocess
#
# 8 minutes, ●●○○○, 2 points.
#
# Turn logits `(batch, labels)` into answers. `names` are the names of the labels. For each text return a list of its
# `count` most probable labels, the most probable first, each as a dict with `label` and `score`. The score is the
# probability of the label among *all* labels.
#
# For the logits `[[0.0, 1.0]]`, the names `["NEGATIVE", "POSITIVE"]` and `count = 1` you return
# `[[{"label": "POSITIVE", "score": 0.731}]]`.
#
# <details><summary>Hint 1</summary>Which comes first, the softmax or the cut? With three labels and
# <code>count = 2</code>, should the two scores add up to 1?</details>
# <details><summary>Hint 2</summary><code>logits.softmax(-1).topk(count)</code> returns values and indices, sorted. Go
# through the rows of both with <code>zip</code>; <code>.tolist()</code> makes plain numbers of them.</details>


# %% nbgrader={"grade": false, "grade_id": "q4", "locked": false, "schema_version": 3, "solution": true, "task": false}
def postprocess(logits, names, count):
    """Return the `count` most probable labels of each text, with their scores."""
    ### BEGIN SOLUTION
    scores, places = logits.softmax(-1).topk(count)
    answers = []
    for row in zip(scores.tolist(), places.tolist(), strict=True):
        answers.append([{"label": names[place], "score": score} for score, place in zip(*row, strict=True)])
    return answers
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q4-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["nbval-check-output"]
### BEGIN HIDDEN TESTS
assert check("q4").is_right
### END HIDDEN TESTS
check("q4")

# %% [markdown]
# ### See them at work
#
# A pipeline of your four functions. Its table was not trained but written by hand: the first number of a word says how
# good it sounds, the second how much it is about food. `[PAD]` has the vector 9, 9, so you see at once when it is read.
# Write texts of your own.

# %% tags=["raises-exception"]
meanings = {"[PAD]": (9, 9), "[CLS]": (0, 0), "[SEP]": (0, 0), "[UNK]": (0, 0), "great": (3, 0), "soup": (0, 3)}
meanings |= {"awful": (-3, 0), "tasty": (2, 3), "stale": (-2, 3), "film": (0, -3), "boring": (-3, -1)}
vocabulary = {word: number for number, word in enumerate(meanings)}
table = torch.tensor([*meanings.values()], dtype=torch.float32)
weights, names = torch.tensor([[1.0, -1.0], [0.0, 0.0]]), ["GOOD", "BAD"]

texts = ["A tasty soup", "Stale", "The film was boring but the soup was great and tasty"]
batch = pad(preprocess(texts, vocabulary, longest=16), pad_id=0)
answers = postprocess(forward(table, weights, **batch), names, count=1)
for text, (answer,) in zip(texts, answers, strict=True):
    print(f"{text}: {answer['label']} {answer['score']:.2f}")

# %% [markdown]
# The same padding and the same postprocess around the lesson's model, which has its own tokenizer and its own forward.
# The scores must be those of its pipeline.

# %% tags=["raises-exception"]
from course_utils.models.pipelines import load_pipeline

classifier = load_pipeline("sentiment-analysis", models="embedded")
tokenizer, model = classifier.tokenizer, classifier.model
texts = ["What a lovely morning this is, and how long I have waited for it.", "Hardly a masterpiece."]
batch = pad([tokenizer(text).input_ids for text in texts], tokenizer.pad_token_id)
with torch.inference_mode():
    logits = model(**batch).logits
own = postprocess(logits, [model.config.id2label[number] for number in (0, 1)], count=1)
for (answer,), theirs in zip(own, classifier(texts), strict=True):
    print(answer["label"], theirs["label"], abs(answer["score"] - theirs["score"]) < 1e-4)

# %% [markdown]
# ## q5 · It depends on its neighbours
#
# 5 minutes, ●●○○○, 2 points. A person reads your answer.
#
# A colleague has written a pipeline by hand. The score of a short text changes with the *other* texts in its batch.
# With one text at a time all scores are right, and with her test batch, four copies of one text, too. In which step
# would you look, and for what? Why did her two tests not show it? Suggest one that does. Three sentences are enough.

# %% [markdown] nbgrader={"grade": true, "grade_id": "q5", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# I would look between preprocess and forward: the attention mask is probably not handed on, or is all ones, so the
# model reads the padding, and how much of it there is depends on the longest text of the batch. A text alone and four
# equally long texts need no padding, so nothing was wrong in her tests. A test that shows it: the same short text once
# alone and once beside a much longer one must get the same score, up to rounding.

# %% [markdown]
# ## Stretch · Sort before you pad
#
# 10 minutes, ●●●○○, no points.
#
# Padding is computed and thrown away. `lengths` are the lengths of many texts, which are put into batches of
# `batch_size` in their order. What share of all places is padding? Predict what changes when you sort the texts by
# length first, and what larger batches do. (Nearly all answers then come in another order: what must a program do
# about that?)


# %% nbgrader={"grade": false, "grade_id": "stretch", "locked": false, "schema_version": 3, "solution": true, "task": false} tags=["raises-exception"]
def padding_share(lengths, batch_size):
    """Return the share of places that are padding, when texts of these lengths go into batches one after another."""
    ### BEGIN SOLUTION
    batches = [lengths[start : start + batch_size] for start in range(0, len(lengths), batch_size)]
    places = sum(len(batch) * max(batch) for batch in batches)
    return 1 - sum(lengths) / places
    ### END SOLUTION


lengths = torch.randint(3, 128, (1000,), generator=torch.Generator().manual_seed(0)).tolist()
for batch_size in (2, 8, 32):
    as_they_come, ordered = padding_share(lengths, batch_size), padding_share(sorted(lengths), batch_size)
    print(f"batches of {batch_size:2}: {as_they_come:.0%} padding, sorted {ordered:.1%}")

# %% [markdown]
# **Lesson**: [03 · The pipeline, opened](../notebooks/03_the_pipeline_opened.ipynb). **This exercise**: [to
# solve](../exercises/03_the_pipeline_opened.ipynb), [solved](../solutions/03_the_pipeline_opened.ipynb). **Next
# exercise**: [04 · The pipeline tasks](04_the_pipeline_tasks.ipynb). **All lessons**: [the
# index](../notebooks/index.ipynb).
