# %% [markdown]
# # 04 · The pipeline tasks
#
# In lesson 03 you opened one pipeline. Here you meet six more. They do very different things, and inside each of them
# are the same three steps.
#
# **You will be able to**
#
# - sort texts into classes that you make up, without training anything;
# - complete a prompt, fill in a missing word, and find names in a text;
# - ask a question about a text and get the place of the answer;
# - translate a sentence, and see where the model looked;
# - write a pipeline class of your own and register it.
#
# **Time**: 45 minutes. **Read before**: [03 · The pipeline, opened](03_the_pipeline_opened.ipynb).

# %% [markdown]
# ## 1 · Zero-shot classification: labels of your own
#
# The sentiment model knows two labels, because it was trained on two. A **zero-shot** classifier takes labels that it
# has never seen. You hand them over with the text.

# %%
from course_utils.learner import predict

topic = predict(
    "04-topic",
    "“This is a course about the Transformers library on huggingface” — which label gets the highest score?",
    ["education", "politics", "sports"],
)
topic

# %% tags=["nbval-check-output"]
from course_utils.models.pipelines import load_pipeline

sorter = load_pipeline("zero-shot-classification")
sentence = "This is a course about the Transformers library on huggingface"
found = sorter(sentence, candidate_labels=["education", "politics", "sports"])
found["labels"]

# %% tags=["nbval-check-output"]
topic.compare(found["labels"][0])

# %% [markdown]
# How can it know a label that nobody trained it on? It was trained for another question: *does the first sentence say
# that the second one is true?* The pipeline turns each of your labels into such a second sentence. Look at step 1: one
# table for each label, and the sentence that was made of it after the first `[SEP]`.

# %% tags=["nbval-check-output"]
from course_utils.widgets import pipeline_xray

pipeline_xray(sorter, "The team won in the last minute.", candidate_labels=["sports", "politics"])

# %% [markdown]
# ## 2 · Text generation: go on from here
#
# `text-generation` completes a prompt. `max_new_tokens` says how far. `do_sample=False` takes the most likely token
# every time, so you get the same text as everybody else.

# %% tags=["nbval-check-output"]
generator = load_pipeline("text-generation")
prompt = "In this course, we will teach you how to"
generator(prompt, max_new_tokens=12, do_sample=False)[0]["generated_text"]

# %% [markdown]
# With `do_sample=True` the tokens are drawn, and `num_return_sequences` asks for several texts. `torch.manual_seed`
# makes the draw repeatable.

# %%
import torch

torch.manual_seed(0)
for text in generator(prompt, max_new_tokens=12, do_sample=True, num_return_sequences=2):
    print("-", text["generated_text"].removeprefix(prompt))

# %% [markdown]
# ## 3 · Fill-mask: the missing word
#
# A **masked language model** reads the whole sentence, also what comes after the gap. The gap has a token of its own.

# %% tags=["nbval-check-output"]
filler = load_pipeline("fill-mask")
gap = filler.tokenizer.mask_token
gap

# %%
capital = predict(
    "04-mask",
    "“Paris is the capital of …” — which word does the model put first?",
    ["france", "another word"],
)
capital

# %% tags=["nbval-check-output"]
guesses = filler(f"Paris is the capital of {gap}.", top_k=3)
[guess["token_str"] for guess in guesses]

# %% tags=["nbval-check-output"]
capital.compare("france" if guesses[0]["token_str"] == "france" else "another word")

# %% [markdown]
# The model writes in small letters, because its vocabulary has no capitals. Open it: step 2 has one logit for *every*
# token of the vocabulary at *every* place. Look at the shape. The x-ray shows the ten best at the gap.

# %% tags=["nbval-check-output"]
pipeline_xray(filler, f"The cat sat on the {gap}.")

# %% [markdown]
# A text without a gap is refused, and the sentence says what is missing.

# %% tags=["nbval-check-output"]
from transformers.pipelines import PipelineException

try:
    filler("The cat sat on the mat.")
except PipelineException as error:
    print(error)

# %% [markdown]
# ## 4 · Named entities: who, where, what
#
# **Named-entity recognition** (ner) gives every token a label: `PER` for a person, `ORG` for an organisation, `LOC`
# for a place, `MISC` for other names, `O` for no name. `B-` begins a name, `I-` continues it.

# %% tags=["nbval-check-output"]
tagger = load_pipeline("ner")
about_me = "My name is Sylvain and I work at Hugging Face in Brooklyn."
[(found["word"], found["entity"]) for found in tagger(about_me)]

# %% [markdown]
# Tokens are not what you want: *Sylvain* is in pieces. With `aggregation_strategy="simple"` the pipeline puts tokens
# that belong together into one entity.

# %%
groups = predict(
    "04-groups",
    "How many entities are there when the tokens are grouped?",
    {"fewer than 3": (0, 3), "3": (3, 4), "4": (4, 5), "more than 4": (5, None)},
)
groups

# %% tags=["nbval-check-output"]
grouped = tagger(about_me, aggregation_strategy="simple")
[(found["word"], found["entity_group"], found["start"], found["end"]) for found in grouped]

# %% tags=["nbval-check-output"]
groups.compare(len(grouped))

# %% [markdown]
# `start` and `end` are places in your text, so you can cut the entity out as you wrote it, capitals included.

# %% tags=["nbval-check-output"]
[about_me[found["start"] : found["end"]] for found in grouped]

# %% [markdown]
# ## 5 · Question answering: point at the answer
#
# An extractive question-answering model does not write. It gives every token of a context two logits: how well an
# answer would *start* here, and how well it would *end* here.
#
# transformers 5 has dropped this pipeline. That is a good reason to build it: a pipeline is a class with the three
# steps as methods. This one is short, and good enough for one question about one short text.

# %%
from transformers import Pipeline


class ShortAnswerPipeline(Pipeline):
    def _sanitize_parameters(self, **settings):
        return {}, {}, {}

    def preprocess(self, asked):
        arrays = self.tokenizer(asked["question"], asked["context"], return_tensors="pt", return_offsets_mapping=True)
        places = arrays.pop("offset_mapping")[0].tolist()
        in_context = [part == 1 for part in arrays.encodings[0].sequence_ids]
        return {"arrays": dict(arrays), "places": places, "in_context": in_context, "context": asked["context"]}

    def _forward(self, inputs):
        return inputs | {"outputs": self.model(**inputs["arrays"])}

    def postprocess(self, made):
        outside = ~torch.tensor(made["in_context"])
        start = made["outputs"].start_logits[0].masked_fill(outside, -torch.inf).softmax(-1)
        end = made["outputs"].end_logits[0].masked_fill(outside, -torch.inf).softmax(-1)
        spans = (start[:, None] * end[None, :]).triu()  # an answer ends where it starts, or later
        first, last = divmod(spans.argmax().item(), len(end))
        begin, stop = made["places"][first][0], made["places"][last][1]
        return {"score": spans.max().item(), "start": begin, "end": stop, "answer": made["context"][begin:stop]}


# %% [markdown]
# Register it, and `pipeline` knows the task by its name. `path` gives the folder of a model on this machine.

# %% tags=["nbval-check-output"]
from course_utils.models.pipelines import path
from transformers import AutoModelForQuestionAnswering, pipeline
from transformers.pipelines import PIPELINE_REGISTRY

PIPELINE_REGISTRY.register_pipeline("short-answer", ShortAnswerPipeline, pt_model=AutoModelForQuestionAnswering)

asked = {"question": "where do i work?", "context": "my name is sylvain and i work at hugging face in brooklyn"}
my_reader = pipeline("short-answer", model=path("question-answering"), device="cpu")
mine = my_reader(asked)
mine["answer"], mine["start"], mine["end"]

# %% [markdown]
# The course's own class does more: long contexts, several answers, several questions at once, "no answer". On a short
# text both must agree.

# %% tags=["nbval-check-output"]
reader = load_pipeline("question-answering")
theirs = reader(**asked)
assert abs(mine["score"] - theirs["score"]) < 1e-4
assert theirs["start"] <= mine["start"] < mine["end"] <= theirs["end"]
[(found["answer"], round(found["score"], 2)) for found in reader(**asked, top_k=2)]

# %% [markdown]
# Is that what you would have answered? This small model points at more words than the question asks for, and the
# shorter answer comes second. A larger model is better at where to stop.
#
# It can only point. Ask for something that is not in the text, and it points all the same. Look at the score.

# %% tags=["nbval-check-output"]
lost = reader(question="what is the capital of france?", context=asked["context"])
lost["answer"], lost["score"] < theirs["score"]

# %% [markdown]
# ## 6 · Translation: read one text, write another
#
# A translator has two halves. The **encoder** reads your sentence, all of it at once. The **decoder** writes the
# translation token by token, and looks at the encoder's vectors while it writes. This one was trained from nothing on
# short English sentences and their French translations, so keep yours short.

# %% tags=["nbval-check-output"]
translator = load_pipeline("translation")
for sentence in ("I love you.", "Where is my book?", "She is reading a letter."):
    print(sentence, "→", translator(sentence)[0]["translation_text"])

# %% [markdown]
# Where did the decoder look while it wrote? In **cross-attention** every row is a place in the French text, every
# column a token of the English one, and every row adds up to 1. Row by row: to write the *next* token, the model
# looked there. Find the word that each French word comes from.

# %% tags=["nbval-check-output"]
from course_utils import figures
from course_utils.traces import record_cross_attention

source = translator.tokenizer("I have a red car.", return_tensors="pt").input_ids
target = translator.model.generate(source, do_sample=False)
words = [[translator.tokenizer.decode([token]) for token in ids[0]] for ids in (source, target)]
trace = record_cross_attention("translation", translator.model, source, target[:, :-1], words[0], words[1][:-1])
figures.attention_map(trace.weights[-1].mean(0), words[1][1:], words[0], "last layer, mean of its heads")

# %% [markdown]
# French puts *rouge* after *voiture*, English puts *red* before *car*. The map crosses there: nobody told the model
# about word order, it has learned where to look. Its rows for small words are less clear, and many of them look at the
# end of the sentence, where nothing stands. Lesson 08 comes back to that.

# %% [markdown]
# ## 7 · The whole thing in one cell
#
# Four tasks, one loop: whatever the task, the three steps by hand give what the call gives.

# %% tags=["nbval-check-output"]
from transformers.pipelines.base import ChunkPipeline

calls = {
    "sentiment-analysis": "What a lovely morning.",
    "fill-mask": f"The cat sat on the {gap}.",
    "question-answering": asked,
    "translation": "Where is my book?",
}
for task, text in calls.items():
    pipe = load_pipeline(task)
    read = pipe.preprocess(text)
    if isinstance(pipe, ChunkPipeline):  # a text may be read in several pieces
        answer = pipe.postprocess([pipe.forward(piece) for piece in read])
    else:
        answer = pipe.postprocess(pipe.forward(read))
    assert str(answer) in str(pipe(text)), task  # a call may put the answer into a list
    print(f"{task:20}by hand the same as by call")

# %% [markdown]
# ## 8 · Quiz
#
# Every option has an explanation, also the wrong ones. Try them all.

# %% tags=["nbval-check-output"]
from course_utils.learner import quiz_question

quiz_question(
    "04-quiz-zero-shot",
    "Zero-shot classification with 20 labels: how often does the model run for one text?",
    [
        ("once", False, "It reads the text together with one label at a time."),
        ("20 times", True, "Yes: once for each label. Twice as many labels take twice as long."),
        ("never, the labels are looked up", False, "There is no list. The labels are texts, and they must be read."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "04-quiz-mask",
    "Which task can use the words after the gap?",
    [
        ("text generation", False, "A causal model reads from left to right. What comes later does not exist for it."),
        ("fill-mask", True, "Yes: an encoder reads both sides, so it can use the words on both sides."),
        ("neither", False, "An encoder sees the whole sentence at once."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "04-quiz-qa",
    "The answer to your question is not in the context. What does the question-answering model do by default?",
    [
        ("It says that it does not know", False, "It has no words. It can only point, and by default it must."),
        ("It points at something", True, "Yes, and often with a low score. Look at the score before you believe it."),
        ("It answers from what it has learned", False, "It can only return a part of the context that you gave it."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "04-quiz-ner",
    'What does aggregation_strategy="simple" change?',
    [
        ("The model runs with another head", False, "The logits are the same. Only the last step differs."),
        ("Tokens that belong together become one entity", True, "Yes: that is postprocess, and nothing else."),
        ("It finds more names", False, "It finds the same tokens and writes them down in fewer pieces."),
    ],
)

# %% [markdown]
# ## Take-aways
#
# - The tasks differ in what goes in and what comes out. Inside, there are always the same three steps.
# - Zero-shot classification asks, once for each label, whether a sentence about it is true.
# - An encoder fills gaps, tags tokens and points at answers; a decoder goes on; an encoder–decoder reads one text and
#   writes another.
# - A pipeline is a class with three methods. You can write one, and register it under a name.
#
# **Next**: [05 · From text to vectors](05_from_text_to_vectors.ipynb) looks at how a text becomes numbers.
#
# **Exercise**: [04 · The pipeline tasks](../exercises/04_the_pipeline_tasks.ipynb). **All lessons**: [the
# index](index.ipynb).
