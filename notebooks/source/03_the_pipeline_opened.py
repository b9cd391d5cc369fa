# %% [markdown]
# # 03 · The pipeline, opened
#
# A pipeline is one line of Python that goes from a text to an answer. In this lesson you use one, then take it apart
# into its three steps, and see what goes wrong when one small array of zeros and ones is forgotten.
#
# **You will be able to**
#
# - call a pipeline on one text and on a list of texts;
# - name its three steps, and do each of them by hand;
# - turn logits into probabilities and a label;
# - explain what the attention mask does, because you have seen an answer flip without it.
#
# **Time**: 35 minutes. **Read before**: [00 · Start here](00_start_here.ipynb).

# %% [markdown]
# ## 1 · One line
#
# *Sentiment analysis* asks whether a text says something good or something bad. The course loads a pipeline for a
# task with `load_pipeline`. Look at the two things that come back: a label and a score.

# %% tags=["nbval-check-output"]
from course_utils.models.pipelines import load_pipeline

classifier = load_pipeline("sentiment-analysis")
(answer,) = classifier("I've been waiting for a HuggingFace course my whole life.")
answer["label"], round(answer["score"], 2)

# %% [markdown]
# A list of texts gives a list of answers, in the same order.

# %% tags=["nbval-check-output"]
texts = ["What a lovely morning.", "I hate this so much!"]
[(text, found["label"]) for text, found in zip(texts, classifier(texts), strict=True)]

# %% [markdown]
# Those were easy. The next text has two words that sound bad, *not* and *bad*. Commit to an answer first.

# %%
from course_utils.learning import predict

not_bad = predict("03-not-bad", "What does the pipeline say about “This is not bad at all.”?", ["POSITIVE", "NEGATIVE"])
not_bad

# %% tags=["nbval-check-output"]
not_bad.compare(classifier("This is not bad at all.")[0]["label"])

# %% [markdown]
# The model does not count words. It reads them together: every token looks at every other one. Lesson 08 shows how.

# %% [markdown]
# ## 2 · The three steps
#
# Every pipeline does the same three things:
#
# | step | goes in | comes out |
# |---|---|---|
# | **preprocess** | a text | token ids, and masks |
# | **forward** | token ids and masks | logits |
# | **postprocess** | logits | an answer that people can read |
#
# Touch it: choose a step, and read the values that come out of it, with their shapes. Then write a text of your own
# and press **Run**. In step 1, look for `[CLS]` and `[SEP]`, which you did not write.

# %% tags=["nbval-check-output"]
from course_utils.widgets import pipeline_xray

pipeline_xray(classifier, "This course is not bad at all.")

# %% [markdown]
# ## 3 · Preprocess by hand
#
# Now the same without the pipeline. Its first part is the **tokenizer**. It cuts the text into tokens and gives
# every token its number in the vocabulary. `return_tensors="pt"` asks for arrays of torch.

# %% tags=["nbval-check-output"]
tokenizer, model = classifier.tokenizer, classifier.model

inputs = tokenizer("This course is not bad at all.", return_tensors="pt")
inputs.input_ids

# %% tags=["nbval-check-output"]
tokenizer.convert_ids_to_tokens(inputs.input_ids[0].tolist())

# %% [markdown]
# The tokenizer put `[CLS]` in front and `[SEP]` behind. This model was trained that way: what it says about the
# whole text, it says at the place of `[CLS]`. It also wrote everything in small letters, so *Bad* and *bad* are the
# same to this model.
#
# Longer words are cut into pieces. A piece that continues a word begins with `##`.

# %% tags=["nbval-check-output"]
tokenizer.tokenize("Unbelievably tokenized")

# %% [markdown]
# ## 4 · Forward by hand
#
# The second part is the **model**. It takes the arrays and returns logits. Before you run it: how many numbers come
# out for this one text?

# %%
how_many = predict(
    "03-logits",
    "One text of 10 tokens goes in. How many logits come out?",
    {"1": (1, 2), "2": (2, 3), "10": (10, 11), "over 30,000": (30_000, None)},
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
# One logit for each label: this model was trained to choose between two. (A language model like the one of lesson 00
# has one for every token of its vocabulary.) Logits are no probabilities: they may be negative, and they do not add
# up to 1.

# %% tags=["nbval-check-output"]
model.config.id2label, [round(number, 1) for number in logits[0].tolist()]

# %% [markdown]
# ## 5 · Postprocess by hand
#
# The third part makes an answer of them. The softmax turns logits into probabilities; the largest one wins; the
# configuration of the model knows its name.

# %% tags=["nbval-check-output"]
probabilities = logits.softmax(-1)[0]
best = probabilities.argmax().item()
model.config.id2label[best], round(probabilities[best].item(), 2)

# %% [markdown]
# Is that what the pipeline says, too? The `assert` stops with an error if the two scores differ by more than one
# millionth.

# %% tags=["nbval-check-output"]
(answer,) = classifier("This course is not bad at all.")
assert abs(answer["score"] - probabilities[best].item()) < 1e-6
answer["label"]

# %% [markdown]
# That is the whole secret of a pipeline: three steps, none of them magic.

# %% [markdown]
# ## 6 · Many texts at once
#
# A model is faster on a **batch**: several texts in one array. But an array has straight edges, and texts have
# different lengths. So the tokenizer fills the short ones up with `[PAD]`. Look at the zeros in the second row.

# %% tags=["nbval-check-output"]
pair = [
    "I laughed, I cried, and I forgot the time in this small and quiet film about two old friends.",
    "Hardly a masterpiece.",
]
batch = tokenizer(pair, padding=True, return_tensors="pt")
print(batch.input_ids.shape)
print(*batch.input_ids[1].tolist())

# %% [markdown]
# `[PAD]` has the id 0. It says nothing about the text, and the model must not look at it. That is the job of the
# **attention mask**: 1 for a token, 0 for padding.

# %% tags=["nbval-check-output"]
print(*batch.attention_mask[1].tolist())

# %% [markdown]
# With the mask, the second text should get the same answer as alone. Without it, the model reads all those `[PAD]`
# as if somebody had written them. What do you expect to happen to the probability of POSITIVE for “Hardly a
# masterpiece.”?

# %%
without = predict(
    "03-no-mask",
    "Without the attention mask, the probability of POSITIVE for the second text …",
    {"changes by less than 1 %": (0, 0.01), "changes by 1 % to 20 %": (0.01, 0.2), "changes by more": (0.2, None)},
)
without


# %% tags=["nbval-check-output"]
def positive(arrays):
    """The probability of POSITIVE for every text of a batch."""
    with torch.inference_mode():
        return model(**arrays).logits.softmax(-1)[:, 1].tolist()


alone = positive(tokenizer(pair[1], return_tensors="pt"))[0]
masked = positive(batch)[1]
unmasked = positive(dict(batch) | {"attention_mask": torch.ones_like(batch.attention_mask)})[1]
{"alone": round(alone, 2), "batch with mask": round(masked, 2), "batch without mask": round(unmasked, 2)}

# %% tags=["nbval-check-output"]
assert abs(alone - masked) < 1e-4
without.compare(abs(alone - unmasked), show="a change of {:.0%}")

# %% [markdown]
# With the mask nothing changes. Without it the answer flips from bad to good, and nothing warns you: no error, no
# strange shape. This mistake is made in real programs. The pipeline never makes it, because preprocess always hands
# the mask on.
#
# Now longer padding. Does more of it do more harm? Look at the last column.

# %% tags=["nbval-check-output"]
for length in (8, 16, 32, 64, 128):
    padded = tokenizer(pair[1], padding="max_length", max_length=length, return_tensors="pt")
    no_mask = dict(padded) | {"attention_mask": torch.ones_like(padded.attention_mask)}
    print(f"{length:4} places   with mask {positive(padded)[0]:.2f}   without {positive(no_mask)[0]:.2f}")

# %% [markdown]
# A few places of padding already do most of the harm. With the mask, the text may be padded as far as you like.
#
# ## 7 · What a pipeline refuses
#
# This model was trained on up to 512 tokens, and it has no place for more. A text that it cannot read gets one
# sentence. So do an empty list and a value that is no text.

# %% tags=["nbval-check-output"]
for wrong in ("word " * 10_000, [], None):
    try:
        classifier(wrong)
    except ValueError as error:
        print(error)

# %% [markdown]
# ## 8 · The whole thing in one cell
#
# A sentiment pipeline in plain `torch` and `transformers`, for a list of texts. The loop at the end compares it with
# the library's, text by text.


# %% tags=["nbval-check-output"]
def my_pipeline(texts):
    """preprocess → forward → postprocess"""
    arrays = tokenizer(texts, padding=True, return_tensors="pt")
    with torch.inference_mode():
        logits = model(**arrays).logits
    scores, places = logits.softmax(-1).max(-1)
    labels = [model.config.id2label[place] for place in places.tolist()]
    return list(zip(labels, scores.tolist(), strict=True))


texts = ["A joy.", "I want my evening back.", "Slow, long and strangely beautiful.", "Nothing new here."]
for (label, score), theirs in zip(my_pipeline(texts), classifier(texts), strict=True):
    assert label == theirs["label"]
    assert abs(score - theirs["score"]) < 1e-4
[label for label, score in my_pipeline(texts)]

# %% [markdown]
# ## 9 · Quiz
#
# Every option has an explanation, also the wrong ones. Try them all.

# %% tags=["nbval-check-output"]
from course_utils.learning import quiz_question

quiz_question(
    "03-quiz-steps",
    "Which step needs the most computing?",
    [
        ("preprocess", False, "The tokenizer only looks pieces of text up in a list. That takes microseconds."),
        ("forward", True, "Yes: all the millions of weights are used here, for every text."),
        ("postprocess", False, "A softmax over two numbers and a look into a table: hardly anything."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "03-quiz-logits",
    "The logits for NEGATIVE and POSITIVE are 3 and 1. You add 10 to both. What happens to the answer?",
    [
        ("Nothing", True, "Yes: the softmax looks at differences only, and the difference is the same."),
        ("The score gets closer to 1", False, "That would need a larger difference. Here it stays 2."),
        ("The label changes", False, "The order stays the same, and the label is the largest one's."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "03-quiz-mask",
    "You forget the attention mask for a batch in which all texts have the same number of tokens. What happens?",
    [
        ("The answers are wrong", False, "Wrong answers come from padding that is read. Here there is no padding."),
        ("Nothing", True, "Yes: the mask would be all ones. That is why this mistake can hide for a long time."),
        ("An error", False, "The arrays have the right shapes, so nothing can complain. That is what makes it bad."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "03-quiz-score",
    "The pipeline says POSITIVE with a score of 0.98. What does that tell you?",
    [
        ("The text is positive", False, "The model can be sure and wrong. Its score says how sure it is, no more."),
        ("98 of 100 readers would agree", False, "Nobody asked readers here. The score comes out of a softmax."),
        ("How far apart its logits are", True, "Yes: for two labels the score says exactly that, and nothing else."),
    ],
)

# %% [markdown]
# ## Take-aways
#
# - A pipeline is preprocess, forward and postprocess. You can do each by hand and get the same score.
# - A model reads ids and says logits. The softmax makes probabilities of them.
# - Texts in a batch are padded, and the attention mask keeps the model from reading the padding.
# - Without the mask an answer can flip, and nothing warns you.
#
# **Next**: [04 · The pipeline tasks](04_the_pipeline_tasks.ipynb) puts the same three steps to work on other tasks.
#
# **Exercise**: [03 · The pipeline, opened](../exercises/03_the_pipeline_opened.ipynb). **All lessons**: [the
# index](index.ipynb).
