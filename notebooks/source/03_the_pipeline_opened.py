# %% [markdown]
# # 03 · The pipeline, opened
#
# `pipeline("sentiment-analysis")` is the line most people meet first, and it hides everything. Here you open it: three
# steps, each of which you do by hand, down to the same score.
#
# ![A sentiment pipeline on “I've been waiting for a HuggingFace course my whole life.” Step 1, preprocess, turns the
# text into input_ids, 101, 1045, 1005 and so on, and an attention_mask of ones. Step 2, forward, runs the model and
# returns two logits, −2.12 and 1.94. Step 3, postprocess, applies the softmax and returns the label POSITIVE with the
# score 0.983.](images/03_the_pipeline_opened.svg)
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
# *Sentiment analysis* asks whether a text sounds positive or negative. The call below is plain `transformers`.
# `use_course_models()` lets it find the models that came with the course, so no network is needed. Read the warning
# that appears.

# %% tags=["warns"]
from course_utils.models import use_course_models
from transformers import pipeline

use_course_models()
classifier = pipeline("sentiment-analysis")

# %%
classifier("I've been waiting for a HuggingFace course my whole life.")

# %% [markdown]
# A label and a score. The next text has *hate* in it, with *don't* before it. Commit to an answer first.

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
# The second and third texts differ by one *don't*, and it turns the answer around. So here the model does more than
# look for the word *hate*. It's less sure of this text than of the other two.
#
# If you've met these texts in another course, you may remember other scores.

# %% tags=["nbval-check-output"]
from course_utils.learner import beside_recorded

beside_recorded("sentiment", answers)

# %% [markdown]
# The right column isn't computed here. It's what the default model of `transformers` said when someone ran the same
# lines and wrote the scores down. Ours is another model: MiniLM, which is small enough to come with the course, plus
# some weights that were trained for this task. The lines are the same; the weights differ, and so do the scores.
#
# That's what the warning was about. You named a task but no model, so `transformers` took a **default**. It told you
# which one, and in which **revision** (the exact version of its files). Without `use_course_models()` the default would
# be this one:

# %% tags=["nbval-check-output"]
from course_utils.models.hub import HUB_MODELS

HUB_MODELS["sentiment-analysis"]

# %% [markdown]
# It would be fetched from the Hugging Face hub once, and kept in a **cache** on your disk (`~/.cache/huggingface`). If
# you're online and want the famous models in this course, start Jupyter with `COURSE_MODELS=hub`. The code of every
# lesson runs on them unchanged; what the text says about scores is then about ours, not yours.
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
# Every pipeline has the same three steps. In ours, this is what goes into each of them and what comes out:
#
# | step | goes in | comes out |
# |---|---|---|
# | **preprocess** | a text | token ids and masks |
# | **forward** | token ids and masks | logits |
# | **postprocess** | logits | an answer that people can read |
#
# Try it on the text of the picture above: choose a step, and read what it hands on. In step 1, look for two tokens you
# didn't write, and for a piece that continues a word (it begins with `##`). Then type a text of your own and press
# **Run**.

# %% tags=["nbval-check-output"]
from course_utils.widgets import pipeline_xray

pipeline_xray(classifier, texts[0])

# %% [markdown]
# ## 3 · Preprocess by hand
#
# Now without the pipeline, on the second text. The first step belongs to the **tokenizer**. It cuts the text into
# tokens and looks up the number of each. `return_tensors="pt"` asks for PyTorch tensors.

# %% tags=["nbval-check-output"]
tokenizer, model = classifier.tokenizer, classifier.model

inputs = tokenizer("I don't hate this so much!", return_tensors="pt")
inputs

# %% tags=["nbval-check-output"]
tokenizer.convert_ids_to_tokens(inputs.input_ids[0].tolist())

# %% [markdown]
# Everything is in small letters, because this vocabulary has no capitals. The tokenizer added `[CLS]`, from whose
# vector the model will work out the label, and `[SEP]`, which marks the end.
#
# Three arrays came back. The `input_ids` are the tokens. The `token_type_ids` say which of *two* texts a token belongs
# to. With one text they're all zeros, so hand over two.

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
# The second step is the **model**: arrays in, logits out. Look at how many come out for this one text.

# %% tags=["nbval-check-output"]
import torch

with torch.inference_mode():
    logits = model(**inputs).logits
logits.shape

# %% [markdown]
# Two: one logit per label, however long the text is. (The language model of lesson 00 has one per token of its
# vocabulary.) Logits aren't probabilities: they can be negative, and they don't add up to 1.

# %% tags=["nbval-check-output"]
model.config.id2label, [round(number, 3) for number in logits[0].tolist()]

# %% [markdown]
# ## 5 · Postprocess by hand
#
# The third step makes the answer. The softmax turns logits into probabilities, the largest one wins, and the model's
# configuration says which label that is.

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
# Programs give a model several texts at once, a **batch**, because that takes less time per text (lesson 14 measures
# it). A batch is one array, and an array is a rectangle, but texts have different lengths. So the tokenizer fills the
# short ones up with `[PAD]`, whose id is 0. Here are our three texts again.

# %% tags=["nbval-check-output"]
batch = tokenizer(texts, padding=True, return_tensors="pt")
batch.input_ids

# %% tags=["nbval-check-output"]
batch.attention_mask

# %% [markdown]
# The **attention mask** is 1 for a token and 0 for padding. It keeps the model from reading the padding. If you forget
# to hand it over, the model reads every `[PAD]` as if someone had written it there. Does that matter? Three texts can't
# say, so take 60 short reviews, each padded to 64 places, as programs do when every batch must have the same shape.

# %%
flips = predict(
    "03-no-mask",
    "Without the mask, how many of the 60 reviews get another label than they get alone?",
    {"none": (0, 1), "1 to 5": (1, 6), "6 to 12": (6, 13), "more than 12": (13, None)},
)
flips


# %%
def labels(texts, mask=True, **padding):
    """The number of each text's label, with the attention mask or without one."""
    arrays = tokenizer(texts, return_tensors="pt", **padding)
    if not mask:
        del arrays["attention_mask"]
    with torch.inference_mode():
        return model(**arrays).logits.argmax(-1)


# %% tags=["nbval-check-output"]
from course_utils.experiments.small_reviews import small_reviews

reviews = small_reviews("test").texts[::2]
alone = torch.cat([labels(review) for review in reviews])
print(f"{len(reviews)} reviews, such as {reviews[0]!r}")
print(f"each read alone: {(alone == 0).sum()} NEGATIVE, {(alone == 1).sum()} POSITIVE")

# %% tags=["nbval-check-output"]
from course_utils.experiments.intervals import wilson_interval

for width in (20, 32, 64):
    padding = {"padding": "max_length", "max_length": width}
    masked, unmasked = (labels(reviews, mask, **padding) for mask in (True, False))
    flipped = unmasked != alone
    low, high = wilson_interval(flipped.sum().item(), len(reviews))
    print(f"{width} places: {(masked != alone).sum()} flips with the mask, {flipped.sum()} without", end=" ")
    print(f"(95 % interval {low:.0%} to {high:.0%}), {unmasked[flipped].sum()} of them to POSITIVE")

# %% tags=["nbval-check-output"]
flips.compare(flipped.sum().item())

# %% [markdown]
# With the mask, no label changes at any width. Without it, 5, 8 and 15 of these 60 reviews flip. At 64 places all 15 go
# from NEGATIVE to POSITIVE, and that's about half of the 31 that were NEGATIVE. Another model, or other reviews, would
# give other numbers. What's worse than the flips: nothing warned you. No error, no strange shape, a label as always.
# `pipeline` doesn't make this mistake, because its preprocess hands the mask on.

# %% [markdown]
# ## 7 · Which side?
#
# So far the padding was on the right, and the label came from the left, from `[CLS]`. With a language model like lesson
# 00's you read the other end: the *last* place predicts the next token. We'll ask it for the next token of two prompts
# in one batch, padded first on the right and then on the left, with the mask both times.

# %%
side_matters = predict(
    "03-side",
    "“The capital of France is” is padded on the right, and the mask hides the padding. What's the next token?",
    ["␣Paris, as without padding", "another token"],
)
side_matters

# %% tags=["nbval-check-output"]
from course_utils.models import load_causal_lm

smollm = load_causal_lm()
prompts = ["The capital of France is", "In this course, we will teach you how to"]
found = {}
for side in ("right", "left"):
    padded = smollm.tokenizer(prompts, padding=True, padding_side=side, return_tensors="pt")
    with torch.inference_mode():
        last = smollm.model(**padded).logits[:, -1]
    found[side] = smollm.tokenizer.batch_decode(last.argmax(-1)[:, None])
    print(f"padded on the {side}: {found[side]}")

# %% tags=["nbval-check-output"]
side_matters.compare("␣Paris, as without padding" if found["right"][0] == " Paris" else "another token")

# %% [markdown]
# The longer prompt needs no padding, so its next token stays *create*. Padded on the right, the shorter one ends in
# padding, and what you read there is what the model would put after padding: a line break. Padded on the left it ends
# in *is*, and *Paris* comes out. The mask can't help here. It decides what the model reads, not where you look for the
# answer. So when a language model writes, pad on the **left**.

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
