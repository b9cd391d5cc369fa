# %% [markdown]
# # 00 · Start here
#
# A language model does one thing: it reads a text and gives every possible next token a probability. In this
# lesson you look at these probabilities for a sentence of your own, and you move them by hand.
#
# **You will be able to**
#
# - run a lesson: predict, run, touch, answer;
# - check that this machine is ready for the course;
# - read the next-token distribution of a real model;
# - say what *temperature* and *top-p* do to it, because you did it.
#
# **Time**: 30 minutes. **Read before**: nothing. You need some Python, and no graphics card and no network.

# %% [markdown]
# ## 1 · Is this machine ready?
#
# Click into the cell below and press **Shift + Enter**. That runs the cell and moves on to the next one. Look for
# the word in the first column of the table: every line should say *fine*. Where one says *look*, the last column
# says what to do.

# %% tags=["machine-dependent"]
from course_utils.learner import machine_check

machine_check()

# %% [markdown]
# ## 2 · Meet the model
#
# The course runs on real models. The first one is **SmolLM2-135M-Instruct**: small enough for every laptop, and
# built like the large ones. Loading it takes a few seconds the first time in each lesson, because Python has to
# import its libraries.

# %% tags=["nbval-check-output"]
from course_utils.models import load_causal_lm

smollm = load_causal_lm()
f"{smollm.name}: {smollm.model.num_parameters():,} parameters"

# %% [markdown]
# The model does not read letters. It reads **tokens**: pieces of text from a fixed list, its vocabulary. The sign
# ␣ stands for a space, so `␣capital` is the word with the space in front of it.

# %% tags=["nbval-check-output"]
prompt = "The capital of France is"
token_ids = smollm.encode(prompt)[0].tolist()
[(smollm.labels[token], token) for token in token_ids]

# %% [markdown]
# A text that you give to a model is a **prompt**. For the next place in the text the model gives every token of
# its vocabulary one number, a **logit**. The larger the logit, the likelier the token. How many numbers is that?

# %% tags=["nbval-check-output"]
logits = smollm.next_logits(prompt)
logits.shape

# %% [markdown]
# The **softmax** turns logits into probabilities: it raises *e* to every logit and divides by the sum. The result
# is the **next-token distribution**. All its numbers together make 1.

# %% tags=["nbval-check-output"]
probabilities = logits.softmax(-1)
round(probabilities.sum().item(), 3)

# %% [markdown]
# ## 3 · Predict, then run
#
# Before an important run, the course asks what you expect. Choose, press the button, and only then go on. Your
# first choice is kept and set beside the result. Being wrong is fine: a surprise is what you remember.

# %%
from course_utils.learner import predict

paris = predict(
    "00-paris",
    f"The prompt is “{prompt}”. How likely is it that the next token is ␣Paris?",
    {
        "below 10 %": (0, 0.1),
        "10 % to 50 %": (0.1, 0.5),
        "over 50 %": (0.5, None),
    },
)
paris

# %% [markdown]
# Now run it. Look at the first bar, and at the hatched one at the bottom: it is what all other tokens of the
# vocabulary share.

# %% tags=["nbval-check-output"]
from course_utils import figures

figures.next_token_bars(probabilities, smollm.labels, top=10)

# %% tags=["nbval-check-output"]
paris_id = smollm.labels.index("␣Paris")
paris.compare(probabilities[paris_id].item(), show="{:.1%}")

# %% [markdown]
# The model has learned this from text, and nobody wrote a rule for it. Look also at what is *not* there: no line
# that says "I am sure". Two guesses that are far from each other can have nearly the same probability.
#
# How many of all these tokens matter at all?

# %%
counted = predict(
    "00-over-one-percent",
    "How many tokens of the vocabulary have a probability over 1 %?",
    {
        "fewer than 10": (0, 10),
        "10 to 1,000": (10, 1001),
        "more than 1,000": (1001, None),
    },
)
counted

# %% tags=["nbval-check-output"]
over_one_percent = (probabilities > 0.01).sum().item()
counted.compare(over_one_percent, show="{} tokens")

# %% [markdown]
# A handful of tokens holds most of the probability, and tens of thousands share the rest. This long tail is why
# the next section exists.

# %% [markdown]
# ## 4 · Your own sentence
#
# Change the text between the quotation marks to the beginning of a sentence of yours, and run the cell. Try one
# with an obvious end and one that could go anywhere. The model knows English best.

# %% tags=["nbval-check-output"]
my_prompt = "My favourite food is"
figures.next_token_bars(smollm.next_logits(my_prompt).softmax(-1), smollm.labels)

# %% [markdown]
# A prompt that the model cannot read gets one sentence that says why. Here is an empty one:

# %% tags=["nbval-check-output"]
try:
    smollm.next_logits("")
except ValueError as error:
    print(error)

# %% [markdown]
# ## 5 · Touch
#
# To write text, a program has to *choose* one token from the distribution, again and again. **Sampling** means to
# draw it at random, by its probability. Four settings change the odds before the draw:
#
# | setting | what it does | off |
# |---|---|---|
# | `temperature` | below 1 sharpens the distribution, above 1 flattens it, 0 always takes the best token | 1 |
# | `top_k` | keeps the *k* likeliest tokens | off |
# | `top_p` | keeps the likeliest tokens until their probabilities add up to *p* | 1 |
# | `min_p` | keeps tokens at least *min_p* times as likely as the best one | 0 |
#
# Every setting has its column in the picture below, from left to right. A token that a setting removes is struck
# out there, with the name of what removed it.
#
# Try this, with the mouse or with Tab and the arrow keys:
#
# 1. Move **temperature** to 0.3, then to 2. Watch the entropy at the top of the columns: it says in bits how
#    undecided the distribution is.
# 2. Set temperature back to 1 and **top_p** to 0.9. How many tokens are kept? *Where it cuts* shows the last ones.
# 3. Press **Draw 1000**. The diamonds are the shares of the tokens that were drawn; the bars are what theory says.
#    Now move temperature again.
# 4. Set temperature to 2. Then press **◀ earlier** at top_p twice, so that it comes before temperature. The order
#    changes which tokens are kept.

# %% tags=["nbval-check-output"]
from course_utils.traces import record_next_token
from course_utils.widgets import SamplingLab

lab = SamplingLab(record_next_token(smollm, my_prompt), top_p=0.9)
lab

# %% [markdown]
# What you see in the picture is also there in Python. The next cell asks for the number of tokens that the
# settings keep at a temperature of 2, with top-p after and before it. Predict which one is larger.

# %%
order = predict(
    "00-order",
    "Temperature 2 and top-p 0.9: which order keeps more tokens?",
    ["temperature first", "top-p first", "both the same"],
)
order

# %% tags=["nbval-check-output"]
from course_utils.engine.sampling import filter_stages

my_logits = smollm.next_logits(my_prompt)
hot, nucleus = ("temperature", 2.0), ("top_p", 0.9)
temperature_first = filter_stages(my_logits, [hot, nucleus])[-1].isfinite().sum().item()
top_p_first = filter_stages(my_logits, [nucleus, hot])[-1].isfinite().sum().item()
temperature_first, top_p_first

# %% tags=["nbval-check-output"]
larger = "temperature first" if temperature_first > top_p_first else "top-p first"
order.compare(larger if temperature_first != top_p_first else "both the same")

# %% [markdown]
# A high temperature lifts the tail. If top-p comes after it, it needs many more tokens to reach 90 %. Tools
# disagree on the order, so the same two numbers mean different things in different programs. Lesson 11 comes back
# to this.

# %% [markdown]
# ## 6 · The whole thing in one cell
#
# Here is all of it for your sentence without the course's library, in plain `torch`. The `assert` stops with an
# error if it does not keep exactly as many tokens as the library does. Look at how many are kept, and which lead.

# %% tags=["nbval-check-output"]
import torch

inputs = smollm.tokenizer(my_prompt, return_tensors="pt")
with torch.inference_mode():
    last_logits = smollm.model(**inputs).logits[0, -1]

scaled = last_logits / 0.7
ranked = scaled.softmax(-1).sort(descending=True)
needed = (ranked.values.cumsum(-1) < 0.9).sum() + 1
kept = [smollm.tokenizer.decode(token) for token in ranked.indices[:needed]]

library = filter_stages(last_logits, [("temperature", 0.7), ("top_p", 0.9)])[-1]
assert library.isfinite().sum() == needed
len(kept), kept[:8]

# %% [markdown]
# ## 7 · Quiz
#
# Every option has an explanation, also the wrong ones. Try them all. The code of these cells is folded away, because
# the answers stand in it.

# %% tags=["nbval-check-output"]
from course_utils.learner import quiz_question

quiz_question(
    "00-quiz-output",
    "What does the model compute when it has read a prompt?",
    [
        ("The next word", False, "A word is chosen later, by a rule outside the model. The model gives numbers."),
        ("One logit for every token of its vocabulary", True, "Yes, and the softmax makes them probabilities."),
        ("The probability that the prompt is true", False, "Nothing in it stands for truth, only for what follows."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "00-quiz-temperature",
    "You set the temperature from 1 to 0.3. What happens to the likeliest token?",
    [
        ("It gets likelier", True, "Dividing by 0.3 stretches the gaps between logits, and the best one gains most."),
        ("It gets less likely", False, "That is what a temperature above 1 does: it flattens the distribution."),
        ("Another token becomes the likeliest", False, "Temperature never changes the ranking, only the distances."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "00-quiz-top-p",
    "Why does top-p 0.9 keep few tokens for one prompt and hundreds for another?",
    [
        ("It counts tokens", False, "That is top-k: it keeps the same number whatever the distribution looks like."),
        ("It adds up probability", True, "Yes: a sure model reaches 90 % with one token, an unsure one needs many."),
        ("It is random", False, "The set is the same every time. Chance comes in only when a token is drawn."),
    ],
)

# %% [markdown]
# ## 8 · What is kept
#
# Your predictions and answers are kept on this machine, in one file, and sent nowhere. Come back to this cell when you
# like: it has a line for every lesson. Look for what you predicted, and how much of it came out right.

# %% tags=["machine-dependent"]
from course_utils.learner import progress_report

progress_report()

# %% [markdown]
# To begin anew there is `reset_progress()`. It asks first, and it keeps the old file under another name. To take your
# progress along as a table for a spreadsheet, import `export_progress` from the same place and call
# `export_progress("my_progress.csv")`.

# %% tags=["machine-dependent"]
from course_utils.learner import reset_progress

reset_progress()

# %% [markdown]
# ## Take-aways
#
# - A language model turns a prompt into one probability for every token of its vocabulary.
# - Temperature sharpens or flattens this distribution and never changes its ranking.
# - Top-k, top-p and min-p remove tokens; what is left shares the probability anew.
# - The order of the settings matters.
#
# [The index](index.ipynb) lists all lessons, [the glossary](glossary.ipynb) says what the words mean, and
# [the references](references.ipynb) name the works behind the numbers.
#
# **Next**: [01 · What LLMs can do](01_what_llms_can_do.ipynb). First press *Restart kernel and run all*, with another
# prompt of yours in section 4.
