# %% [markdown]
# # Exercise 04 · The pipeline tasks
#
# | time | difficulty | needs |
# |---|---|---|
# | 45 minutes | ●●●○○ | [lesson 04](../notebooks/04_the_pipeline_tasks.ipynb), sections 1, 4, 5 and 8 |
#
# You write the third step, `postprocess`, of three pipelines: what the model says comes in, and what a person can use
# goes out. No model is needed for it. At the end your functions work on three real ones.
#
# Run the first cell, then take the tasks in order. `check("q1")` says what is right so far, as often as you like.

# %%
import torch
from course_utils.learner import checker

check = checker("04", globals())

# %% [markdown]
# ## q1 · From tags to entities
#
# 12 minutes, ●●●○○, 3 points.
#
# Every token has a tag, such as `B-PER`, and an offset: where it starts and ends in the text. Put the tokens of one
# name together, and return a list of `(kind, start, end)`. The rules:
#
# - `B-PER` begins an entity, always.
# - `I-PER` continues the entity of the token *right before*, if that one is of the same kind. If not, it begins one.
# - `O` is no name.
#
# With the tags `B-PER, I-PER, O, I-LOC, B-LOC` and the offsets `[0, 3], [3, 6], [7, 9], [10, 14], [15, 19]` you return
# `[("PER", 0, 6), ("LOC", 10, 14), ("LOC", 15, 19)]`.
#
# <details><summary>Hint 1</summary>Go through the tokens once, and remember the tag before. What does a tag do that is
# no <code>O</code>: begin or continue?</details>
# <details><summary>Hint 2</summary><code>tag[0]</code> is B, I or O, and <code>tag[2:]</code> the kind; that of an
# <code>O</code> is empty, so it equals no other. To continue means to change the end of the last entity in your
# list.</details>


# %% nbgrader={"grade": false, "grade_id": "q1", "locked": false, "schema_version": 3, "solution": true, "task": false}
def entities(tags, offsets):
    """Return [(kind, start, end), …] for the tags of all tokens and their [start, end]."""
    ### BEGIN SOLUTION
    found, before = [], "O"
    for tag, (start, end) in zip(tags, offsets, strict=True):
        if tag[0] == "I" and tag[2:] == before[2:]:
            found[-1] = (*found[-1][:2], end)
        elif tag != "O":
            found.append((tag[2:], start, end))
        before = tag
    return found
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q1-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["nbval-check-output"]
### BEGIN HIDDEN TESTS
assert check("q1").is_right
### END HIDDEN TESTS
check("q1")

# %% [markdown]
# ## q2 · The best span
#
# 12 minutes, ●●●○○, 3 points.
#
# Each token has two logits: how well an answer would start here, and how well it would end here. `in_context` is True
# for the tokens of the context, and False for the question and the special tokens. Return `(first, last, score)` of
# the best span that lies in the context, does not end before it starts, and has at most `longest` tokens.
#
# The score of a span is the probability of its start times the probability of its end. Both are probabilities among
# the tokens of the context only. With start logits 0, 2, 2 and end logits 0, 1, 1, where the first token is the
# question, all probabilities are 0.5, and every valid span has a score of 0.25.
#
# <details><summary>Hint 1</summary>Mask, softmax, then a table with the score of every pair. Which part of the table
# is valid?</details>
# <details><summary>Hint 2</summary><code>start[:, None] * end[None, :]</code> is the table, a row for each first
# token. <code>triu()</code> keeps what is on or above the diagonal; <code>tril(longest - 1)</code> cuts off what is
# too far above it. <code>divmod(table.argmax().item(), len(end))</code> gives row and column.</details>


# %% nbgrader={"grade": false, "grade_id": "q2", "locked": false, "schema_version": 3, "solution": true, "task": false}
def best_span(start_logits, end_logits, in_context, longest):
    """Return (first, last, score) for logits `(seq,)` and a bool mask `(seq,)`; at most `longest` tokens."""
    ### BEGIN SOLUTION
    start = start_logits.masked_fill(~in_context, -torch.inf).softmax(-1)
    end = end_logits.masked_fill(~in_context, -torch.inf).softmax(-1)
    spans = (start[:, None] * end[None, :]).triu().tril(longest - 1)
    first, last = divmod(spans.argmax().item(), len(end))
    return first, last, spans.max().item()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q2-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["nbval-check-output"]
### BEGIN HIDDEN TESTS
assert check("q2").is_right
### END HIDDEN TESTS
check("q2")

# %% [markdown]
# ## q3 · Scores for labels of your own
#
# 8 minutes, ●●○○○, 2 points.
#
# A zero-shot classifier asks, once for each label, whether the text says that “This example is …” is true. Each time
# it gets three logits: entailment (yes), neutral, contradiction (no). `names` says which column is which, because
# models differ in it. `logits` has one row for each label. Return one score for each label, in the same order:
#
# - without `multi_label` the labels compete: one softmax over the labels, of their logits of entailment;
# - with `multi_label` each label is judged alone: a softmax over its contradiction and its entailment, and the score is
#   the share of entailment. Neutral is left out.
#
# Take two labels with the logits 2, 0, 1 and 1, 0, 3 in the columns entailment, neutral, contradiction. Together they
# get 0.73 and 0.27. Alone they get 0.73 and 0.12.
#
# <details><summary>Hint 1</summary>Find the two columns first. Along which dimension does each softmax go?</details>
# <details><summary>Hint 2</summary><code>logits[:, names.index("entailment")]</code> is one number for each label.
# <code>logits[:, [no, yes]]</code> has two columns.</details>


# %% nbgrader={"grade": false, "grade_id": "q3", "locked": false, "schema_version": 3, "solution": true, "task": false}
def label_scores(logits, names, multi_label):
    """Return the scores `(labels,)` for NLI logits `(labels, 3)`, whose columns are called `names`."""
    ### BEGIN SOLUTION
    yes, no = names.index("entailment"), names.index("contradiction")
    if multi_label:
        return logits[:, [no, yes]].softmax(-1)[:, 1]
    return logits[:, yes].softmax(0)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q3-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["nbval-check-output"]
### BEGIN HIDDEN TESTS
assert check("q3").is_right
### END HIDDEN TESTS
check("q3")

# %% [markdown]
# ### See them at work
#
# Three real models, and your functions as their last step. First the names. Tokens come in, tags go into your
# function, and the entities are cut out of the text.

# %% tags=["raises-exception"]
from course_utils.models.pipelines import load_pipeline

tagger = load_pipeline("ner", models="embedded")
text = "In 1998 Larry Page and Sergey Brin founded Google in California."
arrays = tagger.tokenizer(text, return_tensors="pt", return_offsets_mapping=True)
offsets = arrays.pop("offset_mapping")[0, 1:-1].tolist()  # without [CLS] and [SEP]
best = tagger.model(**arrays).logits[0, 1:-1].argmax(-1).tolist()
[(text[start:end], kind) for kind, start, end in entities([tagger.model.config.id2label[tag] for tag in best], offsets)]

# %% [markdown]
# Then an answer. Change the question, and `longest`.

# %% tags=["raises-exception"]
reader = load_pipeline("question-answering", models="embedded")
question, context = "Where did she discover it?", "Marie Curie discovered radium in Paris in 1898."
arrays = reader.tokenizer(question, context, return_tensors="pt", return_offsets_mapping=True)
offsets = arrays.pop("offset_mapping")[0].tolist()
in_context = torch.tensor([part == 1 for part in arrays.encodings[0].sequence_ids])
outputs = reader.model(**arrays)
first, last, score = best_span(outputs.start_logits[0], outputs.end_logits[0], in_context, longest=15)
context[offsets[first][0] : offsets[last][1]], round(score, 2)

# %% [markdown]
# And labels of your own, once together and once alone. Neither of them fits this sentence.

# %% tags=["raises-exception"]
sorter = load_pipeline("zero-shot-classification", models="embedded")
sentence, labels = "First fry the onions in butter.", ["sports", "politics"]
pairs = [[sentence, f"This example is {label}."] for label in labels]
logits = sorter.model(**sorter.tokenizer(pairs, padding=True, return_tensors="pt")).logits
names = [sorter.model.config.id2label[column] for column in range(3)]
{f"multi_label={alone}": label_scores(logits, names, alone) for alone in (False, True)}

# %% [markdown]
# ## q4 · No label fits
#
# 5 minutes, ●●○○○, 2 points. A person reads your answer.
#
# “First fry the onions in butter.” gets the labels *sports* and *politics*. Without `multi_label` one of them has a
# score above 0.5, with `multi_label` both are near 0. Where does the difference come from? Which of the two would you
# use for texts that may fit none of your labels? Two or three sentences.

# %% [markdown] nbgrader={"grade": true, "grade_id": "q4", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# Without `multi_label` the labels share one softmax, so their scores add up to 1, and the less wrong of two wrong
# labels gets more than half. With `multi_label` each label is compared with its own contradiction, so all of them may
# be low. For texts that may fit no label I would use `multi_label`, and refuse to answer when the best score is low.

# %% [markdown]
# ## Stretch · The next best answers
#
# 12 minutes, ●●●●○, no points.
#
# Write `best_spans(start_logits, end_logits, in_context, longest, count)`: the `count` best spans that share no token,
# best first. Take the best one, take its tokens out of the context, and search again; the scores shall stay those of
# the whole context. What are the second and the third answer of the reader above?


# %% nbgrader={"grade": false, "grade_id": "stretch", "locked": false, "schema_version": 3, "solution": true, "task": false} tags=["raises-exception"]
def best_spans(start_logits, end_logits, in_context, longest, count):
    """Return the `count` best spans (first, last, score) that share no token."""
    ### BEGIN SOLUTION
    start = start_logits.masked_fill(~in_context, -torch.inf).softmax(-1)
    end = end_logits.masked_fill(~in_context, -torch.inf).softmax(-1)
    spans = (start[:, None] * end[None, :]).triu().tril(longest - 1)
    found = []
    for _ in range(count):
        first, last = divmod(spans.argmax().item(), len(end))
        found.append((first, last, spans[first, last].item()))
        spans[: last + 1, first:] = 0  # every span that starts before this one ends, and ends after it starts
    return found
    ### END SOLUTION


spans = best_spans(outputs.start_logits[0], outputs.end_logits[0], in_context, longest=15, count=3)
[(context[offsets[first][0] : offsets[last][1]], round(score, 4)) for first, last, score in spans]

# %% [markdown]
# **Lesson**: [04 · The pipeline tasks](../notebooks/04_the_pipeline_tasks.ipynb). **This exercise**: [to
# solve](../exercises/04_the_pipeline_tasks.ipynb), [solved](../solutions/04_the_pipeline_tasks.ipynb). **Next
# exercise**: [05 · From text to vectors](05_from_text_to_vectors.ipynb). **All lessons**: [the
# index](../notebooks/index.ipynb).
