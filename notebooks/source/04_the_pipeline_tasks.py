# %% [markdown]
# # 04 · The pipeline tasks
#
# One line runs a model on a task. Most answers come with a score, and scores are easy to misread. Here you run six
# tasks, and see where their scores come from.
#
# ![Which model serves which pipeline task. One encoder, MiniLM, has a head for each of five tasks: sentiment-analysis
# gives one of two labels, zero-shot-classification one of your labels, fill-mask a word for the mask, ner the names and
# what they name, question-answering the words that answer. A decoder, SmolLM2, serves text-generation. An
# encoder–decoder serves translation: it reads one text and writes another.](images/04_the_pipeline_tasks.svg)
#
# **You will be able to**
#
# - sort texts into labels that you make up, and say what their scores compare;
# - continue a prompt, fill a gap, find names, point at an answer, translate;
# - move a notebook written for transformers 4 to transformers 5;
# - register a pipeline of your own.
#
# **Time**: 30 minutes. **Read before**: [03 · The pipeline, opened](03_the_pipeline_opened.ipynb).

# %% [markdown]
# ## 1 · Zero-shot classification: labels of your own
#
# Five of the tasks in the picture share one model, MiniLM. Each adds its own **task head**, a last part that turns the
# model's vectors into logits for that task. (Ours also change the model below a little; lesson 06 shows how.)
#
# A sentiment model knows two labels, because it was trained on two. A **zero-shot** classifier takes labels that it has
# never seen. As in lesson 03, the right column is what the famous default model answered. (`set_verbosity_error()`
# silences the warning about defaults, which you know.)

# %% tags=["nbval-check-output"]
from course_utils.learner import beside_recorded
from course_utils.models import use_course_models
from transformers import logging, pipeline

use_course_models()
logging.set_verbosity_error()
sorter = pipeline("zero-shot-classification")
sentence = "This is a course about the Transformers library on huggingface"
found = sorter(sentence, candidate_labels=["education", "sports", "politics"])
beside_recorded("zero-shot", found)

# %% [markdown]
# Now a typo: `educion`. Nobody reading it would be in doubt. What about the model?

# %%
from course_utils.learner import predict

typo = predict(
    "04-educion",
    "The labels are educion, sports and politics. What score does educion get?",
    {"below 0.1": (0, 0.1), "0.1 to 0.5": (0.1, 0.5), "0.5 to 0.9": (0.5, 0.9), "above 0.9": (0.9, None)},
)
typo

# %% tags=["nbval-check-output"]
misspelt = sorter(sentence, candidate_labels=["educion", "sports", "politics"])
beside_recorded("misspelt", misspelt)

# %% tags=["nbval-check-output"]
typo.compare(misspelt["scores"][0], show="{:.3f}")

# %% [markdown]
# The typo still comes first. In the recorded column it even got *more* than the right word, which had 0.944. Is
# `educion` a better label than `education`, then? Give it a correctly spelt rival: `educations`, as in the recorded
# run.

# %% tags=["nbval-check-output"]
beside = sorter(sentence, candidate_labels=["educion", "educations", "sports", "politics"])
beside_recorded("misspelt beside", beside)

# %% [markdown]
# Next to this rival our model all but drops the typo; in the recorded run the typo stayed in front. In both, its score
# fell, although the text is the same. A score doesn't say how well a label fits. It says how well it fits *compared
# with the other labels*, so it changes when they do.
#
# To see why, open a call. The model was trained to judge whether a second sentence follows from a first one, and the
# pipeline turns every label into such a sentence. Look for it in step 1, where the `token_type_ids` are 1.

# %% tags=["nbval-check-output"]
from course_utils.widgets import pipeline_xray

pipeline_xray(sorter, "The team won.", candidate_labels=["sports", "politics"])

# %% [markdown]
# Now by hand, for the first sentence again: one pair per label, and three logits for each.

# %% tags=["nbval-check-output"]
import torch
from course_utils.learner import Table

labels = ["education", "sports", "politics"]
pairs = [[sentence, f"This example is {label}."] for label in labels]
with torch.inference_mode():
    logits = sorter.model(**sorter.tokenizer(pairs, padding=True, return_tensors="pt")).logits
judged = [[f"{number:.2f}" for number in row] for row in logits.tolist()]
Table(
    ["label", *sorter.model.config.id2label.values()],
    [[label, *row] for label, row in zip(labels, judged, strict=True)],
)

# %% [markdown]
# *Entailment* means that the second sentence follows, *contradiction* that it can't be true, *neutral* neither. The
# scores come from one softmax down the first column, over the labels.

# %% tags=["nbval-check-output"]
scores = logits[:, sorter.model.config.label2id["entailment"]].softmax(0)
by_call = dict(zip(found["labels"], found["scores"], strict=True))
assert all(abs(by_call[label] - score) < 1e-5 for label, score in zip(labels, scores.tolist(), strict=True))
[f"{score:.3f}" for score in scores.tolist()]

# %% [markdown]
# One more label takes its share from all the others, and the *ratio* of any two stays what it was. Compare `educion` to
# *sports*, without `educations` and with it. For the recorded run only the sum of *sports* and *politics* is known:
# what the other scores leave of 1.


# %% tags=["nbval-check-output"]
def ratio(found):
    score = dict(zip(found["labels"], found["scores"], strict=True))
    return round(score["educion"] / score["sports"], 2)


print("here, educion to sports:", ratio(misspelt), "and", ratio(beside))
before, rest = 0.969 / (1 - 0.969), 1 - 0.743 - 0.234
print(f"recorded, educion to sports and politics together: {before:.0f} and {0.743 / rest:.0f}", end=" ")
print(f"(were 0.234 its score, {0.234 / rest:.0f})")

# %% [markdown]
# Ours doesn't change, and the recorded one by no more than rounding explains. That's how we know which of its two
# scores was whose.
#
# And if a label has no rivals at all? Then the pipeline compares its entailment with its contradiction, as it does for
# every label with `multi_label=True`.

# %% tags=["nbval-check-output"]
for label in ("education", "educion", "sports"):
    print(f"{label:10}{sorter(sentence, candidate_labels=[label])['scores'][0]:.3f}")

# %% [markdown]
# Asked alone, our model says that *education* follows from the sentence, and that `educion` doesn't. The typo's 0.670
# above came from weak rivals.

# %% [markdown]
# ## 2 · Text generation: continue a prompt
#
# By default this pipeline draws its tokens at random (lesson 11), up to 256 of them. `do_sample=False` takes the most
# likely token every time, so you get the same text as everyone else. After that, two drawn texts with
# `num_return_sequences=2`.

# %% tags=["nbval-check-output"]
generator = pipeline("text-generation")
prompt = "In this course, we will teach you how to"
generator(prompt, max_new_tokens=12, do_sample=False)

# %%
torch.manual_seed(0)
generator(prompt, max_new_tokens=12, do_sample=True, num_return_sequences=2)

# %% [markdown]
# Two settings limit the length, and they're easy to mix up: `max_new_tokens`, and `max_length` in old notebooks.

# %%
tokens_of = predict(
    "04-max-length",
    "The prompt has 10 tokens. How many tokens does the text have with max_length=40?",
    {"at most 40": (0, 41), "50": (50, 51)},
)
tokens_of


# %% tags=["nbval-check-output"]
def length(found):
    return len(generator.tokenizer(found[0]["generated_text"]).input_ids)


old = length(generator(prompt, max_length=40, do_sample=False))
new = length(generator(prompt, max_new_tokens=40, do_sample=False))
{"max_length=40": old, "max_new_tokens=40": new}

# %% tags=["nbval-check-output"]
tokens_of.compare(old)

# %% [markdown]
# `max_length` counts the prompt, `max_new_tokens` doesn't. A long prompt leaves no room within `max_length`, so use
# `max_new_tokens`.
#
# To take another model, name it. With `COURSE_MODELS=hub` and a network that's a name on the hub, such as
# `pipeline("text-generation", model="HuggingFaceTB/SmolLM2-360M")`. It can also be a folder on your disk; `path`
# returns that of the course's own model.

# %% tags=["nbval-check-output"]
from course_utils.models.pipelines import path

named = pipeline("text-generation", model=path("text-generation"))
named.model.config.architectures, f"{named.model.num_parameters():,} parameters"

# %% [markdown]
# ## 3 · Fill-mask: the missing word
#
# A **masked language model** reads the whole sentence, including what comes after the gap. The gap is a token of its
# own, `[MASK]` for this model. Others call it `<mask>`, so ask the tokenizer. `top_k` says how many guesses you want.

# %%
filler = pipeline("fill-mask")
gap = filler.tokenizer.mask_token
guesses = filler(f"This course will teach you all about {gap} models.", top_k=2)
beside_recorded("fill-mask", guesses)

# %% [markdown]
# The recorded model is larger, and it was trained to guess words. MiniLM was made to compare sentences; our head gives
# it back part of a skill that it had lost. Two guesses for one sentence say little about either. The head's card,
# `course_utils/models/heads/mlm/README.md`, has its scores on text that it never saw.
#
# Try it: look at the shape in step 2. There's one logit for *every* token of the vocabulary at *every* place. What you
# see are the best ten at the gap.

# %%
pipeline_xray(filler, f"The children played in the {gap} until it got dark.")

# %% [markdown]
# ## 4 · Named entities: who, where, what
#
# **Named-entity recognition** (ner) labels every token: `PER` for a person, `ORG` for an organisation, `LOC` for a
# place, `MISC` for other names. `B-` begins a name, `I-` continues it. Tokens that aren't part of a name are left out.

# %% tags=["nbval-check-output"]
tagger = pipeline("ner")
about_me = "My name is Sylvain and I work at Hugging Face in Brooklyn."
[(one["word"], one["entity"], f"{one['score']:.3f}") for one in tagger(about_me)]

# %% [markdown]
# *Sylvain* is in pieces. With `aggregation_strategy="simple"` the pipeline joins the tokens of one name and takes the
# mean of their scores. `start` and `end` are places in your text, so you can cut the name out as you wrote it.

# %% tags=["nbval-check-output"]
grouped = tagger(about_me, aggregation_strategy="simple")
print([about_me[one["start"] : one["end"]] for one in grouped])
beside_recorded("ner", grouped)

# %% [markdown]
# ## 5 · Question answering: point at the answer
#
# This model doesn't write. It gives every token of a text two logits: how well an answer could *start* here, and how
# well it could *end* here. A softmax over the starts and one over the ends turn them into probabilities. The answer is
# the pair with the largest product, and that product is the score.

# %% tags=["nbval-check-output"]
reader = pipeline("question-answering")
context = "my name is sylvain and i work at hugging face in brooklyn"
found = reader(question="where do i work?", context=context)
print(found["answer"])
beside_recorded("question-answering", found)

# %% [markdown]
# Our small model points at more words than the question asks for. Don't compare the two scores: they may belong to
# different words.
#
# Pointing is all it can do. Ask for something that the text doesn't say, and it still points, unless you let it refuse.

# %% tags=["nbval-check-output"]
for question in ("where do i work?", "what is the capital of france?"):
    for may_refuse in (False, True):
        found = reader(question=question, context=context, handle_impossible_answer=may_refuse)
        print(f"{question:32} may refuse: {may_refuse!s:6} {found['score']:.3f} {found['answer']!r}")

# %% [markdown]
# The score alone wouldn't have warned you: 0.371 for nonsense isn't far from 0.512 for a fair answer. Allowed to
# refuse, the model gives an empty answer to the second question only. That's two questions on one text; try others
# before you rely on it.

# %% [markdown]
# ## 6 · Translation: read one text, write another
#
# A translator has two halves. The **encoder** reads your sentence, all of it at once. The **decoder** writes the
# translation token by token, as in lesson 00, and looks at the encoder's vectors while it writes: an
# **encoder–decoder**. The course's own was trained from scratch on short sentences, so keep yours short.

# %% tags=["nbval-check-output"]
translator = pipeline("translation")
for english in ("I love you.", "Where is my book?", "I have a red car."):
    print(english, "→", translator(english)[0]["translation_text"])

# %% [markdown]
# ## 7 · Your old notebook on transformers 5
#
# Version 5 removed an old setting and several tasks, three of which are below. Each line is as people wrote it for
# version 4. It's run twice: on transformers 5 alone, with our model named so that nothing is downloaded, and after
# `use_course_models()`, which puts back what was removed.

# %% tags=["nbval-check-output"]
from course_utils.experiments.old_lines import in_both

today = {
    'pipeline("ner", grouped_entities=True)(about_me)': 'aggregation_strategy="simple"',
    'length(pipeline("text-generation")(prompt, max_length=40, do_sample=False))': "max_new_tokens=30",
    'pipeline("question-answering")': "a chat model, or a class of your own",
    'pipeline("summarization")': "a chat model",
    'pipeline("translation_en_to_fr")': "a chat model, or AutoModelForSeq2SeqLM",
    'pipeline("fill-mask")("All about <mask> models.")': "filler.tokenizer.mask_token",
}
ran = in_both(today, about_me=about_me, length=length, prompt=prompt)
Table(
    ["line for version 4", "write today", "version 5 alone", "after use_course_models()"],
    [(line, new, *both) for (line, *both), new in zip(ran, today.values(), strict=True)],
)

# %% [markdown]
# The three errors about tasks are cut off here; they go on to recommend a chat model. `max_length` still works. The
# last line fails in both columns, and version 5 isn't to blame: `<mask>` is how another model spells its gap.

# %% [markdown]
# ## 8 · A task of your own
#
# A pipeline is a class, and each of its steps is a method. Change one step, and you have a new pipeline. This one turns
# the sentiment logits into one to five stars.


# %%
from transformers import AutoModelForSequenceClassification, TextClassificationPipeline


class StarsPipeline(TextClassificationPipeline):
    def postprocess(self, outputs, **settings):
        positive = outputs["logits"].softmax(-1)[0, 1].item()
        return {"stars": round(1 + 4 * positive), "positive": round(positive, 2)}


# %% [markdown]
# Register it under a name, and `pipeline` knows the task.

# %% tags=["nbval-check-output"]
from transformers.pipelines import PIPELINE_REGISTRY

PIPELINE_REGISTRY.register_pipeline("stars", StarsPipeline, pt_model=AutoModelForSequenceClassification)
critic = pipeline("stars", model=path("sentiment-analysis"))
critic(["A joy from the first page to the last.", "Slow, and then suddenly over.", "I want my evening back."])

# %% [markdown]
# In the exercise you write `postprocess` for three tasks of this lesson.

# %% [markdown]
# ## 9 · The whole thing in one cell
#
# Six tasks, one function: the three steps by hand give exactly what the call gives. `_sanitize_parameters` is the
# pipeline's own helper; it tells each step which settings are meant for it. A `ChunkPipeline` runs its model several
# times for one text, as for several labels.


# %% tags=["nbval-check-output"]
from transformers.pipelines.base import ChunkPipeline


def three_steps(pipe, given, **settings):
    reading, running, choosing = pipe._sanitize_parameters(**settings)
    read = pipe.preprocess(given, **reading)
    if isinstance(pipe, ChunkPipeline):
        return pipe.postprocess([pipe.forward(piece, **running) for piece in read], **choosing)
    return pipe.postprocess(pipe.forward(read, **running), **choosing)


for pipe, given, settings in [
    (sorter, sentence, {"candidate_labels": labels}),
    (generator, prompt, {"max_new_tokens": 8, "do_sample": False}),
    (filler, f"All about {gap} models.", {}),
    (tagger, about_me, {"aggregation_strategy": "simple"}),
    (reader, {"question": "where do i work?", "context": context}, {}),
    (translator, "Where is my book?", {}),
]:
    by_hand, by_call = three_steps(pipe, given, **settings), pipe(given, **settings)
    assert by_call in (by_hand, [by_hand]), pipe.task  # some calls put their one answer into a list
    print(f"{pipe.task:25}the same by hand and by call")

# %% [markdown]
# ## 10 · Quiz
#
# Every option, right or wrong, has an explanation. Try them all.

# %% tags=["nbval-check-output"]
from course_utils.learner import quiz_question

quiz_question(
    "04-quiz-zero-shot",
    "A text fits none of your three labels. What does zero-shot classification return?",
    [
        (
            "Three low scores",
            False,
            "The three share one softmax and add up to 1, so one of them has at least a third.",
        ),
        (
            "Three scores that add up to 1",
            True,
            "Yes: the least bad label wins. With multi_label=True all three could be low.",
        ),
        (
            "No label",
            False,
            "It always ranks all labels. Refusing is up to you, with multi_label=True.",
        ),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "04-quiz-mask",
    "Which task can use the words after the gap?",
    [
        ("text-generation", False, "A decoder reads from left to right. What comes later isn't there yet."),
        ("fill-mask", True, "Yes: an encoder reads the whole sentence, so both sides help."),
        ("neither", False, "An encoder sees the whole sentence at once, and fill-mask is an encoder's task."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "04-quiz-qa",
    "The answer to your question isn't in the context. What does the question-answering pipeline do by default?",
    [
        ("It says that it doesn't know", False, "Only if you allow it with handle_impossible_answer=True."),
        ("It points at something", True, "Yes: by default it must point at some words of the context."),
        ("It answers from what it has learned", False, "It can only return words of the context that you gave it."),
    ],
)

# %% [markdown]
# ## Take-aways
#
# - A score compares: with the other labels, the other tokens, the other spans. Change the rivals, and it changes.
# - Zero-shot classification asks, once per label, whether a sentence about it follows from the text.
# - An encoder labels, fills gaps and points; a decoder continues; an encoder–decoder reads one text and writes another.
# - Transformers 5 dropped three tasks and some settings. The three steps stayed the same.
#
# **Exercise**: [04 · The pipeline tasks](../exercises/04_the_pipeline_tasks.ipynb). **Next**: [05 · From text to
# vectors](05_from_text_to_vectors.ipynb) looks at how a text becomes numbers. **All lessons**: [the
# index](index.ipynb).
