# %% [markdown]
# # 00 · Start here
#
# A language model writes one token at a time, and each token is a choice. Watch a real one write, then make the choices
# yourself. Everything in this course runs on your own machine, without a network.
#
# ![The loop of a language model. The text “The capital of France is” becomes five tokens; each token becomes a vector
# of 576 numbers; 30 layers of attention and MLP change the vectors; the last one gives a logit for each of 49,152
# tokens; a choice is made, here “Paris” with 77 %; it is appended to the text, and the loop starts
# again.](images/00_start_here.svg)
#
# **You will be able to**
#
# - explain how a language model writes a text, one token after the other;
# - choose the next token by hand, and let chance choose it;
# - read a next-token distribution, and say how it comes from logits;
# - work with a lesson: predict, run, explain, try.
#
# **Time**: 22 minutes. **Read before**: nothing. You need some Python.
#
# Click into the next cell and press **Shift + Enter**. That runs it. The first time, loading takes a few seconds.

# %% tags=["nbval-check-output"]
import torch
from course_utils import figures
from course_utils.models import load_causal_lm
from course_utils.traces import record_generation

smollm = load_causal_lm()
run = record_generation(smollm, "Once upon a time, there was a little", max_new_tokens=11)
figures.written_tokens(run.prompt, torch.tensor(run.logits).softmax(-1), run.ids, smollm.labels)

# %% [markdown]
# Read the top row from left to right: that's the sentence the model wrote. Each column is one step of the loop above. A
# **token** is a piece of text, and ␣ is the space in front of it. The model gave *every* token it knows a probability;
# you see the best four. In the frame is the one that was appended to the text, which is here always the likeliest.
#
# Now you choose. **Click a bar** and its token joins the text; the model reads the longer text and answers again. Where
# does the story go with *town* instead of *girl*? Can you make it about a fish?

# %% tags=["nbval-check-output"]
from functools import partial
from course_utils.traces import record_surprisals
from course_utils.widgets import next_token_explorer

next_token_explorer(partial(record_surprisals, smollm), run.prompt, bars=8, bits=False)

# %% [markdown]
# You can also let chance choose. To **sample** is to draw a token at random, by its probability: a token with 23 % is
# drawn in about 23 of 100 draws. Run the next cell once, and the one after it again and again: each time, one more
# token. (Press **Ctrl + Enter** to stay in the cell.)

# %%
from course_utils.engine.sampling import draw

story, turn = run.prompt, 34  # with another number, chance draws other tokens

# %% tags=["nbval-check-output"]
turn += 1
probabilities = smollm.next_logits(story).softmax(-1)
token = draw(probabilities, count=1, seed=turn).item()
story += smollm.tokenizer.decode(token)
print(f"{smollm.labels[token]} had {probabilities[token]:.1%}: {story} …")

# %% [markdown]
# That's how chatbots write, too: the whole text so far goes in, one token comes out, and the loop starts again.
#
# ## 1 · Is this machine ready?
#
# Every line of the table should say *fine*. Where one says *look*, the last column says what to do.

# %% tags=["recorded"]
from course_utils.learner import machine_check

machine_check()

# %% [markdown]
# The model is **SmolLM2-135M-Instruct** (Ben Allal et al. 2025), small enough for every laptop and built like the large
# ones. It came in a file with 4 bits for each of its numbers, so its probabilities differ slightly from those of the
# published model. (Lesson 14 shows what that saves.)
#
# ## 2 · Predict, then run
#
# Before some runs, the course asks what you expect. Choose an option, press the button, and run the next cell. Your
# first choice is saved. Being wrong is fine: a surprise is what you remember.
#
# The text you give to a model is its **prompt**. Here it's “The capital of France is”.

# %%
from course_utils.learner import predict

prompt = "The capital of France is"
paris = predict(
    "00-paris",
    f"The prompt is “{prompt}”. How likely is it that the next token is ␣Paris?",
    {"below 10 %": (0, 0.1), "10 % to 50 %": (0.1, 0.5), "over 50 %": (0.5, None)},
)
paris

# %% tags=["nbval-check-output"]
probabilities = smollm.next_logits(prompt).softmax(-1)
paris_id = smollm.labels.index("␣Paris")
paris.compare(probabilities[paris_id].item(), show="{:.1%}")

# %% [markdown]
# You've just seen one number of many. How many tokens have a real chance here?

# %%
counted = predict(
    "00-over-one-percent",
    "How many tokens have a probability of more than 1 % after this prompt?",
    {"fewer than 10": (0, 10), "10 to 1,000": (10, 1001), "more than 1,000": (1001, None)},
)
counted

# %% tags=["nbval-check-output"]
counted.compare((probabilities > 0.01).sum().item(), show="{} tokens")

# %% [markdown]
# All of these probabilities together are the **next-token distribution**. Look at the hatched bar at the bottom: the
# rest of the **vocabulary**, as the list of all tokens is called.

# %% tags=["nbval-check-output"]
figures.next_token_bars(probabilities, smollm.labels, top=6)

# %% [markdown]
# One token leads clearly, two more pass 1 %, and a long tail of tens of thousands shares the rest. The second bar isn't
# a doubt about Paris: “The capital of France is the …” can go on well, too. A distribution says what comes *next*, not
# what is true.
#
# ## 3 · From logits to probabilities
#
# What the model itself computes is one number per token, its **logit**; the larger, the likelier. The **softmax** makes
# probabilities out of logits: it raises *e* to each of them and divides by the sum.

# %% tags=["nbval-check-output"]
logits = smollm.next_logits(prompt)
by_hand = logits.exp() / logits.exp().sum()
for token in logits.topk(3).indices:
    print(f"{smollm.labels[token]:8} logit {logits[token]:5.1f}, probability {by_hand[token]:.3f}")
f"{len(logits):,} logits; the probabilities add up to {by_hand.sum():.3f}"

# %% [markdown]
# ## 4 · Your own sentence
#
# Write the beginning of a sentence between the quotation marks and run the cell. Try one with an obvious end and one
# that could go anywhere. Above the picture, you'll see the **entropy** of the first step, which measures in bits how
# undecided the model is. Zero bits means it's certain; one bit is a fair coin toss, and every further bit is one more
# toss.

# %% tags=["nbval-check-output"]
from course_utils.engine.sampling import entropy_bits

my_prompt = "My favourite food is"
mine = record_generation(smollm, my_prompt, max_new_tokens=10)
print(f"after “{my_prompt}”: {entropy_bits(torch.tensor(mine.logits[0])):.1f} bits")
print(f"after “{prompt}”: {entropy_bits(logits):.1f} bits")
figures.written_tokens(my_prompt, torch.tensor(mine.logits).softmax(-1), mine.ids, smollm.labels)

# %% [markdown]
# ## 5 · The whole thing in one cell
#
# Here is the loop without the course's library, in plain `torch` and `transformers`. The `assert` stops with an error
# unless it writes exactly what `generate` of `transformers` writes.

# %% tags=["nbval-check-output"]
ids = smollm.tokenizer(run.prompt, return_tensors="pt").input_ids
prompt_length = ids.shape[1]
for _ in range(11):
    with torch.inference_mode():
        next_logits = smollm.model(ids).logits[0, -1]  # a logit for every token of the vocabulary
    ids = torch.cat([ids, next_logits.argmax().view(1, 1)], dim=1)  # choose the best one, and append it

start = {"input_ids": ids[:, :prompt_length], "attention_mask": torch.ones(1, prompt_length)}
assert torch.equal(ids, smollm.model.generate(**start, max_new_tokens=11, do_sample=False))
smollm.tokenizer.decode(ids[0])

# %% [markdown]
# ## 6 · Quiz
#
# Every option, right or wrong, has an explanation. Try them all. The code of these cells is folded away, because it
# holds the answers.

# %% tags=["nbval-check-output"]
from course_utils.learner import quiz_question

quiz_question(
    "00-quiz-output",
    "What does the model compute when it has read a prompt?",
    [
        ("The next word", False, "The choice comes later, and isn't the model's. What the model gives is numbers."),
        ("One logit for every token of its vocabulary", True, "Yes, and the softmax turns them into probabilities."),
        ("The probability that the prompt is true", False, "It computes what may come next, true or not."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "00-quiz-draw",
    "␣girl has 38 % and ␣town has 23 %. You draw 1,000 times. How often do you get ␣town?",
    [
        ("Never, because ␣girl is likelier", False, "That's how it goes if the likeliest token is always taken."),
        ("About 230 times", True, "Yes: sampling follows the probabilities, give or take some luck."),
        ("About 500 times", False, "That would be a fair coin between two tokens. Here each has its own probability."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "00-quiz-again",
    "You give the model the same prompt twice. Are the probabilities the same?",
    [
        ("No, a model answers differently each time", False, "The draw differs. The numbers before it don't."),
        ("No, it has learned from the first time", False, "Nothing in the model changes when it reads or writes."),
        ("Yes", True, "Yes: same text, same model, same numbers. Chance comes in only when a token is drawn."),
    ],
)

# %% [markdown]
# ## 7 · What is saved
#
# Your predictions and answers are in one file on this machine and are sent nowhere. Come back to this cell whenever you
# like: it has a line for every lesson. `reset_progress()` starts over and keeps the old file under another name;
# `export_progress("mine.csv")` writes a table for a spreadsheet. Import both from `course_utils.learner`.

# %% tags=["recorded"]
from course_utils.learner import progress_report

progress_report()

# %% [markdown]
# ## Take-aways
#
# - A language model turns a text into one probability for every token of its vocabulary.
# - To write, a program chooses one token, appends it, and asks again. Taking the likeliest one always gives the same
#   text; drawing can give another each time.
# - The probabilities say what may come next, not what is true.
#
# The [index](index.ipynb) lists all lessons, the [glossary](glossary.ipynb) explains the words, and the
# [references](references.ipynb) name the works behind the claims. How the odds of a draw are changed, with temperature,
# top-k and top-p, is the subject of [lesson 11](11_sampling.ipynb).
#
# **Next**: [01 · What LLMs can do](01_what_llms_can_do.ipynb).
