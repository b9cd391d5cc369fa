# %% [markdown]
# # 03 · The pipeline, opened
#
# `pipeline("sentiment-analysis")` is the line most people meet first, and it hides everything. Here you open it: three
# steps, each of which you do by hand, down to the same score.
#
# ![Above, the loop of lesson 00, from text to the choice of a token, all six boxes lit. Below, one call in three boxes.
# Preprocess: a text becomes input ids and an attention mask. Forward: the model turns them into two logits.
# Postprocess: the softmax turns the logits into 0.983 for POSITIVE, which is the
# label.](images/03_the_pipeline_opened.svg)
#
# **You will be able to**
#
# - run a pipeline, and say which model it took and why you should name one yourself;
# - do its three steps by hand, with the same score;
# - read the arrays that a model reads: token ids, token type ids, attention mask;
# - show what goes wrong without the attention mask, and on which side to pad.
#
# **Time**: 30 minutes. **Read before**: [00 · Start here](00_start_here.ipynb).

# %% [markdown]
# ## 1 · The line everyone knows
#
# *Sentiment analysis* asks whether a text sounds positive or negative. The call below is plain `transformers`. Before
# it, `use_course_models()` makes sure that no network is needed. Read the warning that appears.

# %% tags=["warns"]
from course_utils.models import use_course_models
from transformers import pipeline

use_course_models()
classifier = pipeline("sentiment-analysis")

# %%
classifier("I've been waiting for a HuggingFace course my whole life.")

# %% [markdown]
# A label and a score. Now a text with *hate* in it, and a *not*. Commit to an answer first.

# %%
from course_utils.learner import predict

dont_hate = predict(
    "03-dont-hate", "What does the pipeline say about “I don't hate this so much!”?", ["POSITIVE", "NEGATIVE"]
)
dont_hate

# %% [markdown]
# A list of texts gives a list of answers, in the same order.

# %%
texts = [
    "I've been waiting for a HuggingFace course my whole life.",
    "I don't hate this so much!",
    "I hate this so much!",
]
answers = classifier(texts)
answers

# %% tags=["nbval-check-output"]
dont_hate.compare(answers[1]["label"])

# %% [markdown]
# One *n't* turns the answer around, so this model does more here than look for the word *hate*. It's less sure of this
# text than of the other two.
#
# If you know these texts from elsewhere, you may remember other scores.

# %% tags=["nbval-check-output"]
from course_utils.learner import beside_recorded

beside_recorded("sentiment", answers)

# %% [markdown]
# The right column isn't computed here. It's what the default model of `transformers` said when someone ran the same
# lines and wrote the scores down. Ours is another model: a small head, trained for this course, on a model called
# MiniLM. Same task, same lines, other weights, so other scores.
#
# That's what the warning was about. You named a task and no model, so `transformers` took a **default**, and told you
# which one, in which **revision** (the exact version of its files). Without `use_course_models()` the default would be
# this one:

# %% tags=["nbval-check-output"]
from course_utils.models.hub import HUB_MODELS

HUB_MODELS["sentiment-analysis"]

# %% [markdown]
# It would be fetched from the Hugging Face hub once, and kept in a **cache** on your disk (`~/.cache/huggingface`). If
# you're online and want the famous models in this course, start Jupyter with `COURSE_MODELS=hub`; every lesson runs
# unchanged.
#
# In real work, name both. A default can change with the next release of the library, and the owner of a model can
# change its files. A model with a revision stays what you tested:
#
# ```python
# pipeline("sentiment-analysis", model="distilbert/distilbert-base-uncased-finetuned-sst-2-english", revision="714eb0f")
# ```

# %% [markdown]
# ## 2 · Three steps
#
# Every pipeline does the same three things:
#
# | step | goes in | comes out |
# |---|---|---|
# | **preprocess** | a text | token ids and masks |
# | **forward** | token ids and masks | logits |
# | **postprocess** | logits | an answer that people can read |
#
# Try it: choose a step and read what it hands on. Then type a text of your own and press **Run**. In step 1, look for
# two tokens you didn't write.

# %% tags=["nbval-check-output"]
from course_utils.widgets import pipeline_xray

pipeline_xray(classifier, "I don't hate this so much!")

# %% [markdown]
# ## 3 · Preprocess by hand
#
# The first step belongs to the **tokenizer**. It cuts the text into tokens and looks up the number of each.
# `return_tensors="pt"` asks for PyTorch tensors.

# %% tags=["nbval-check-output"]
tokenizer, model = classifier.tokenizer, classifier.model

inputs = tokenizer("I don't hate this so much!", return_tensors="pt")
inputs

# %% tags=["nbval-check-output"]
tokenizer.convert_ids_to_tokens(inputs.input_ids[0].tolist())

# %% [markdown]
# Everything is in small letters, because this vocabulary has no capitals. `[CLS]` was added at the front: the label is
# read off at its place. `[SEP]` marks the end.
#
# Three arrays came back. The `input_ids` are the tokens. The `token_type_ids` say which of *two* texts a token belongs
# to. One text is all zeros; hand over two, and you see the point.

# %% tags=["nbval-check-output"]
pair = tokenizer("The team won.", "This is about sports.", return_token_type_ids=True)
print(*tokenizer.convert_ids_to_tokens(pair.input_ids))
print(*pair.token_type_ids)

# %% [markdown]
# Lesson 04 needs that: there a model judges a text and a statement about it. The third array, `attention_mask`, is all
# ones so far. Section 6 is about its zeros.

# %% [markdown]
# ## 4 · Forward by hand
#
# The second step is the **model**: arrays in, logits out. How many numbers come out for this one text?

# %%
how_many = predict(
    "03-logits",
    "One text of 11 tokens goes in. How many logits come out?",
    {"1": (1, 2), "2": (2, 3), "11": (11, 12), "over 30,000": (30_000, None)},
)
how_many

# %% tags=["nbval-check-output"]
import torch

with torch.inference_mode():
    logits = model(**inputs).logits
logits.shape

# %% tags=["nbval-check-output"]
how_many.compare(logits.numel())

# %% [markdown]
# One logit per label, and this model has two labels. (The language model of lesson 00 has one logit per token of its
# vocabulary.) Logits aren't probabilities: they can be negative, and they don't add up to 1.

# %% tags=["nbval-check-output"]
model.config.id2label, [round(number, 3) for number in logits[0].tolist()]

# %% [markdown]
# ## 5 · Postprocess by hand
#
# The third step turns them into an answer. The softmax turns logits into probabilities, the largest one wins, and the
# model's configuration knows its name.

# %% tags=["nbval-check-output"]
probabilities = logits.softmax(-1)[0]
best = probabilities.argmax().item()
model.config.id2label[best], round(probabilities[best].item(), 4)

# %% [markdown]
# Is that the pipeline's score? The `assert` stops with an error if they differ by more than one millionth.

# %% tags=["nbval-check-output"]
(answer,) = classifier("I don't hate this so much!")
assert abs(answer["score"] - probabilities[best].item()) < 1e-6
round(answer["score"], 4)

# %% [markdown]
# That's all there is to a pipeline.

# %% [markdown]
# ## 6 · Many texts at once: padding and its mask
#
# A model works faster on a **batch**: several texts in one array. But an array is a rectangle, and texts have different
# lengths. So the tokenizer fills the short ones up with `[PAD]`, whose id is 0. Here are our three texts again.

# %% tags=["nbval-check-output"]
batch = tokenizer(texts, padding=True, return_tensors="pt")
batch.input_ids

# %% tags=["nbval-check-output"]
batch.attention_mask

# %% [markdown]
# The **attention mask** is 1 for a token and 0 for padding. With it, no token looks at the padding. If you forget it,
# the model reads every `[PAD]` as if someone had written it there, and no error tells you. Does that matter? One batch
# of three can't say. Take 60 short reviews, each padded to 64 places, as programs do when every batch must have the
# same shape.

# %%
flips = predict(
    "03-no-mask",
    "Without the mask, how many of the 60 reviews get another label than they get alone?",
    {"none": (0, 1), "1 to 5": (1, 6), "6 to 12": (6, 13), "more than 12": (13, None)},
)
flips


# %%
def labels(texts, mask=True, **padding):
    """The number of each text's label, with the attention mask or with ones in its place."""
    arrays = tokenizer(texts, return_tensors="pt", **padding)
    if not mask:
        arrays["attention_mask"] = torch.ones_like(arrays["attention_mask"])
    with torch.inference_mode():
        return model(**arrays).logits.argmax(-1)


# %% tags=["nbval-check-output"]
from course_utils.experiments.small_reviews import small_reviews

reviews = small_reviews("test").texts[::2]
alone = torch.cat([labels(review) for review in reviews])
len(reviews), reviews[:3]

# %% tags=["nbval-check-output"]
from course_utils.experiments.intervals import wilson_interval

for width in (20, 32, 64):
    padding = {"padding": "max_length", "truncation": True, "max_length": width}
    masked, unmasked = (labels(reviews, mask, **padding) for mask in (True, False))
    flipped = unmasked != alone
    low, high = wilson_interval(flipped.sum().item(), len(reviews))
    print(f"{width} places: {(masked != alone).sum()} flips with the mask, {flipped.sum()} without", end=" ")
    print(f"(95 % interval {low:.0%} to {high:.0%}), {unmasked[flipped].sum()} of them to POSITIVE")

# %% tags=["nbval-check-output"]
flips.compare(flipped.sum().item())

# %% [markdown]
# With the mask, no label changes at any width. Without it, 5, 8 and 15 of these 60 reviews flip, and at 64 places all
# 15 flips are from NEGATIVE to POSITIVE. Another model, or other reviews, would give other numbers. What won't differ
# is that nothing warns you: no error, no strange shape, a label and a score as always. `pipeline` never makes this
# mistake, because its preprocess hands the mask on.

# %% [markdown]
# ## 7 · Which side?
#
# So far the padding was on the right, and the label was read at the left, at `[CLS]`. A language model like lesson 00's
# is read at the other end: the *last* place predicts the next token. Ask it for the next token of two prompts in one
# batch, padded on either side, with the mask both times.

# %% tags=["nbval-check-output"]
from course_utils.models import load_causal_lm

smollm = load_causal_lm()
prompts = ["The capital of France is", "In this course, we will teach you how to"]
for side in ("right", "left"):
    padded = smollm.tokenizer(prompts, padding=True, padding_side=side, return_tensors="pt")
    with torch.inference_mode():
        last = smollm.model(**padded).logits[:, -1]
    print(f"padded on the {side}:", smollm.tokenizer.batch_decode(last.argmax(-1)[:, None]))

# %% [markdown]
# The longer prompt needs no padding, so its next token stays *create*. The shorter one, padded on the right, ends in
# padding, and what you read there is what follows padding: a line break. Padded on the left it ends in *is*, and
# *Paris* comes out. The mask can't help here. It decides what is looked at, not where you read. So a language model
# that writes is padded on the **left**.

# %% [markdown]
# ## 8 · The whole thing in one cell
#
# A sentiment pipeline in plain `torch` and `transformers`, checked against the real one text by text.


# %% tags=["nbval-check-output"]
def my_pipeline(texts):
    """preprocess → forward → postprocess"""
    arrays = tokenizer(texts, padding=True, return_tensors="pt")
    with torch.inference_mode():
        logits = model(**arrays).logits
    scores, places = logits.softmax(-1).max(-1)
    names = [model.config.id2label[place] for place in places.tolist()]
    return [{"label": name, "score": score} for name, score in zip(names, scores.tolist(), strict=True)]


mine = my_pipeline(texts)
for by_hand, by_call in zip(mine, classifier(texts), strict=True):
    assert by_hand["label"] == by_call["label"]
    assert abs(by_hand["score"] - by_call["score"]) < 1e-5  # a batch rounds a little differently
[(one["label"], round(one["score"], 4)) for one in mine]

# %% [markdown]
# ## 9 · Quiz
#
# Every option, right or wrong, has an explanation. Try them all.

# %% tags=["nbval-check-output"]
from course_utils.learner import quiz_question

quiz_question(
    "03-quiz-logits",
    "The logits for NEGATIVE and POSITIVE are 3 and 1. You add 10 to both. What happens to the answer?",
    [
        ("Nothing", True, "Yes: the softmax depends only on the difference of the two, and that's still 2."),
        ("The score gets closer to 1", False, "That would take a larger difference. Here it stays 2."),
        ("The label changes", False, "The larger logit is still the larger one, so the label stays."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "03-quiz-mask",
    "You forget the attention mask in a batch of texts that all have the same number of tokens. What happens?",
    [
        ("The answers are wrong", False, "They'd be wrong if padding were read. This batch has no padding."),
        ("Nothing", True, "Yes: its mask would be all ones anyway. That's how the mistake survives a test."),
        ("An error", False, "All shapes fit, so nothing can complain, here or in a batch with padding."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "03-quiz-score",
    "The pipeline says POSITIVE with a score of 0.98. What does that tell you?",
    [
        ("The text is positive", False, "A model can be sure and wrong. The score is the model's own number."),
        ("98 of 100 readers would agree", False, "No reader was asked. Whether scores match shares must be measured."),
        ("How far apart the two logits are", True, "Yes: with two labels, the score is a function of their distance."),
    ],
)

# %% [markdown]
# ## Take-aways
#
# - A pipeline is preprocess, forward, postprocess. By hand they give the same score.
# - A task without a model means a default model. In real work, name the model and its revision.
# - Texts in a batch are padded. The attention mask keeps the padding unread, and without it answers change silently.
# - Pad a language model that writes on the left: its next token is read at the last place.
#
# **Exercise**: [03 · The pipeline, opened](../exercises/03_the_pipeline_opened.ipynb). **Next**: [04 · The pipeline
# tasks](04_the_pipeline_tasks.ipynb) runs the same three steps on six other tasks. **All lessons**: [the
# index](index.ipynb).
