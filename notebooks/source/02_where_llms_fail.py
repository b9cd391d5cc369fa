# %% [markdown]
# # 02 · Where LLMs fail
#
# A language model writes what is likely, and likely is not the same as true, fair, or understood. You cannot work
# around a failure that you have never seen. In this lesson you produce each of the well-known ones yourself, measure
# how bad it is, and find out which part of the popular story holds.
#
# **You will be able to**
#
# - measure how often a model invents an answer, and what its probabilities say about that;
# - show three things that look like understanding and are not: sums, reversed facts, letters;
# - measure the pronouns that two models expect after an occupation, and say what such a number does not show;
# - hide a fact in a long text, and find out what decides whether a model finds it;
# - predict the memory and the arithmetic of a model from its number of parameters, and check both.
#
# **Time**: 45 minutes. **Read before**: [00 · Start here](00_start_here.ipynb) and
# [01 · What LLMs can do](01_what_llms_can_do.ipynb).

# %% [markdown]
# ## 1 · It always has an answer
#
# Three questions for SmolLM2. The first is about a real person. The second person and the paper do not exist; they
# were made up for this course. Read the answers. Could you tell from the *tone* which is which?

# %% tags=["nbval-check-output"]
from course_utils.experiments.greedy_answers import greedy_answers
from course_utils.models import load_causal_lm

smollm = load_causal_lm()
model, tokenizer = smollm.model, smollm.tokenizer


def chat(question, begun="", system=None):
    """A question in the chat format of the model, and the beginning of its answer."""
    messages = [{"role": "system", "content": system}] if system is not None else []
    messages.append({"role": "user", "content": question})
    return tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True) + begun


questions = ["Who was Charles Darwin?", "Who was the painter Edwin Marlowe Tarrant?"]
questions.append("What is the paper “Recursive Attention Gardens” (2014) about?")
for answer in greedy_answers(model, tokenizer, map(chat, questions), max_new_tokens=22, ends="\n"):
    print("-", answer.text, "…")

# %% [markdown]
# An answer that is fluent, specific and not true is called a **hallucination**. One example proves little, so count.
# Here are twenty real countries and twelve invented ones. Each gets the same question, and the answer is begun for the
# model, so that the next token is the name of the capital (lesson 09 compares ways to ask). First the invented ones.

# %%
from course_utils.learner import predict

refused = predict(
    "02-invented",
    "What is the capital of Veltria, of Qualestan, …? How many of the 12 answers say that there is no such country?",
    {"none": (0, 1), "1 to 6": (1, 7), "more than 6": (7, None)},
)
refused

# %% tags=["nbval-check-output"]
from course_utils.experiments.failure_cases import CAPITALS, INVENTED_COUNTRIES

countries = [*CAPITALS, *INVENTED_COUNTRIES]
prompts = [chat(f"What is the capital of {country}?", f"The capital of {country} is") for country in countries]
answers = dict(zip(countries, greedy_answers(model, tokenizer, prompts, max_new_tokens=6), strict=True))
for country in INVENTED_COUNTRIES:
    print(f"The capital of {country} is {answers[country].text}")

# %% tags=["nbval-check-output"]
honest = ("no such", "not exist", "not know", "fictional")
refused.compare(sum(any(words in answers[country].text for words in honest) for country in INVENTED_COUNTRIES))

# %% [markdown]
# Twelve countries that do not exist, twelve capitals. Nothing went wrong inside the model. It was trained to give
# likely continuations, and after “The capital of Veltria is” a name is likely. Kalai et al. (2025), *Why Language
# Models Hallucinate*, add a second reason: most tests give a point for a right answer and nothing for “I don't know”,
# so whoever is trained for such tests learns to guess.
#
# And the real countries? ✓ means that the right name is in the answer.

# %% tags=["nbval-check-output"]
right = {country: capital in answers[country].text for country, capital in CAPITALS.items()}
print(f"{sum(right.values())} of {len(right)} real ones are right")
for country, capital in CAPITALS.items():
    if not right[country]:
        print(f"✗ {country}: {answers[country].text}, and not {capital}")

# %% [markdown]
# Some mistakes are cities that people name, too: Istanbul is larger than Ankara, and Yangon was the capital of Myanmar
# for decades. The answer for Kazakhstan is no name at all.

# %% [markdown]
# ## 2 · How sure is it?
#
# The text does not say how sure the model is. The probabilities do, in part. The **probability of an answer** is the
# product of the probabilities of its tokens. A longer answer has more factors, so compare short ones.

# %% tags=["nbval-check-output"]
for country in ("France", "Kenya", "Turkey", "Brazil", "Kelvania", "Ostrovia"):
    answer = answers[country]
    print(f"{country:9} {answer.text:17} tokens: {answer.tokens}, p = {answer.probability:.3f}")

# %%
surest = predict(
    "02-confidence",
    "Of the 12 invented capitals, the most probable one has a probability of …",
    {"less than 0.1": (0, 0.1), "0.1 to 0.5": (0.1, 0.5), "more than 0.5": (0.5, None)},
)
surest

# %% [markdown]
# Every answer is one mark in the next picture; marks that would cover each other are stacked. Compare the rows: which
# two can be told apart by probability, and which two cannot?

# %% tags=["nbval-check-output"]
from course_utils import figures

groups = {"real, right": {}, "real, wrong": {}, "invented": {}}
for country, answer in answers.items():
    group = "invented" if country not in CAPITALS else "real, right" if right[country] else "real, wrong"
    groups[group][f"{country}: {answer.text}"] = answer.probability
figures.confidence_against_truth(groups, level=0.1)

# %% tags=["nbval-check-output"]
surest.compare(max(groups["invented"].values()), show="{:.2f}")

# %% [markdown]
# So the model “knows” more than it says. All invented capitals are improbable, and nobody sees it, because greedy text
# looks the same at 0.05 and at 0.95. But look at the middle row. *Istanbul* is wrong, and more probable than five of
# the thirteen right answers. A probability says how surely a text goes on like this, and many texts can be wrong in
# the same way.
#
# What if a program keeps quiet below a **threshold**?

# %% tags=["nbval-check-output"]
for threshold in (0, 0.1, 0.5):
    given = [country for country in countries if answers[country].probability >= threshold]
    good = sum(right.get(country, False) for country in given)
    print(f"threshold {threshold}: {len(given)} answers, {good} right, {len(given) - good} wrong or invented")

# %% [markdown]
# At 0.1 all invented capitals are gone and no right answer is lost. At 0.5 nearly everything that is left is right,
# but three right answers are lost. There is no threshold that leaves only truth. And be careful with the 0.1: it was
# chosen *after* looking at these 32 answers. On new questions it will be worse.
#
# Kadavath et al. (2022), *Language Models (Mostly) Know What They Know*, found that the probabilities of large models,
# up to 52 billion parameters, are a good guide if the question is put in the right format. For your own model and
# format you have to measure it.
#
# Touch it: France on the left, Veltria on the right. Compare the first bars and the *entropy* at the bottom. Then
# write a country of your own, real or not, and press Enter.

# %% tags=["nbval-check-output"]
from functools import partial
from course_utils.traces import record_surprisals
from course_utils.widgets import next_token_explorer

run = partial(record_surprisals, smollm)
next_token_explorer(run, "The capital of France is the city of", "The capital of Veltria is the city of")

# %% [markdown]
# ## 3 · “I do not know”
#
# Can it be told to say so? A **system prompt** is an instruction before the question. Six of the invented countries
# again, this time without a begun answer, and with the system prompt “If you do not know the answer, say: I do not
# know.”

# %%
told = predict(
    "02-told",
    "With this system prompt, how many of the 6 answers are “I do not know”?",
    {"none": (0, 1), "1 to 3": (1, 4), "4 or more": (4, None)},
)
told

# %% tags=["nbval-check-output"]
rule = "If you do not know the answer, say: I do not know."
asked = [chat(f"What is the capital of {country}?", system=rule) for country in INVENTED_COUNTRIES[:6]]
said = [answer.text for answer in greedy_answers(model, tokenizer, asked, max_new_tokens=8)]
print(*said, sep="\n")
told.compare(sum("not know" in text for text in said))

# %% [markdown]
# The instruction does not bring a single “I do not know”. For a small model, examples are stronger than instructions.
# So put four turns before the question: two countries with their capitals, and two invented countries with “I do not
# know.” Look at both halves of the result.


# %%
def after_examples(country, examples):
    """The question after some answered ones."""
    messages = []
    for name, reply in [*examples, (country, None)]:
        messages += [{"role": "user", "content": f"What is the capital of {name}?"}]
        messages += [{"role": "assistant", "content": reply}] if reply else []
    return tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)


refusals = [("Italy", "Rome."), ("Blorvia", "I do not know."), ("Sweden", "Stockholm.")]
refusals += [("Trelgania", "I do not know.")]
print(after_examples("Veltria", refusals)[-210:])

# %% tags=["nbval-check-output"]
from course_utils.experiments.failure_cases import RARE_COUNTRIES

everybody = countries + RARE_COUNTRIES
prompts = [after_examples(country, refusals) for country in everybody]
replies = greedy_answers(model, tokenizer, prompts, max_new_tokens=4)
replies = {country: reply.text for country, reply in zip(everybody, replies, strict=True)}
for name, group in [("invented", INVENTED_COUNTRIES), ("real", CAPITALS), ("real, but rare", RARE_COUNTRIES)]:
    print(f"{name}: {sum('not know' in replies[country] for country in group)} of {len(group)} “I do not know”")

# %% [markdown]
# All invented countries are recognised, and no well-known one is refused. A triumph? The third line says no:
# *Kiribati* and *Vanuatu* are real. The model cannot look up what exists. It can tell words that it has often read
# from words that it has not. And what became of the answers?

# %% tags=["nbval-check-output"]
kept = sum(capital in replies[country] for country, capital in CAPITALS.items())
print(f"right before: {sum(right.values())} of {len(CAPITALS)}, right with the examples: {kept}")
print({country: replies[country] for country in ("Kenya", "Egypt", "Canada", "Australia", "Nepal")})

# %% [markdown]
# Most of the knowledge is gone. “Honesty costs knowledge” would be a good story now. Is it true? Something else has
# changed as well: four turns with short answers stand before the question. So run a **control**: four turns of the
# same form, and no refusal among them.

# %%
control = predict(
    "02-control",
    "The two invented countries in the examples are replaced by Spain and Poland, with their capitals. How many of the "
    "20 real countries are right?",
    {"at most 7: the form is to blame": (0, 8), "8 to 11": (8, 12), "12 or more: the refusals are": (12, None)},
)
control

# %% tags=["nbval-check-output"]
capitals = [("Italy", "Rome."), ("Spain", "Madrid."), ("Sweden", "Stockholm."), ("Poland", "Warsaw.")]
prompts = [after_examples(country, capitals) for country in CAPITALS]
plain = greedy_answers(model, tokenizer, prompts, max_new_tokens=4)
control.compare(sum(name in reply.text for name, reply in zip(CAPITALS.values(), plain, strict=True)))

# %% [markdown]
# As many as with the refusals. They cost nothing; the form does. The begun sentence of section 1 helped the model far
# more than any example. Two habits to keep: count what is refused *and* what is still right, and change one thing at a
# time.

# %% [markdown]
# ## 4 · A label that is not a word
#
# A zero-shot classifier gets labels of your choice (lesson 04 opens it). Give it the right label, then the same label
# with a typing mistake, then both. The model is another one, an encoder with a head, and the question is the same:
# does its score say that something is wrong?

# %%
misspelt = predict(
    "02-educion",
    "“This is a course about the Transformers library”, with the labels educion, politics and sports. "
    "Which gets the highest score?",
    ["educion", "politics", "sports"],
)
misspelt

# %%
from course_utils.models.pipelines import load_pipeline

sorter = load_pipeline("zero-shot-classification", models="embedded")
course = "This is a course about the Transformers library"


def scores(*labels, **settings):
    """The score of every label, the highest first."""
    found = sorter(course, candidate_labels=list(labels), **settings)
    return {label: round(score, 2) for label, score in zip(found["labels"], found["scores"], strict=True)}


alone, together = {**scores("education"), **scores("educion")}, scores("education", "educion")
assert alone["education"] > alone["educion"]
assert next(iter(together)) == "education"
print("each alone:", alone, "\ntogether:  ", together)

# %% [markdown]
# Two letters are missing, and the score falls. Nobody who reads `educion` would be in doubt. The model never sees the
# letters. It sees tokens, and these have nothing in common:

# %% tags=["nbval-check-output"]
sorter.tokenizer.tokenize("education"), sorter.tokenizer.tokenize("educion")

# %% [markdown]
# Now the misspelt label among others. Look at the two lines: the first is the default, in the second each label is
# judged on its own (`multi_label=True`).

# %%
among_others = scores("educion", "politics", "sports")
print(among_others, "\n", scores("educion", "politics", "sports", multi_label=True), sep="")
misspelt.compare(next(iter(among_others)))

# %% [markdown]
# By default the scores add up to 1 over the labels that you offered, whether one of them fits or not. A high score may
# only mean that the others fit even less. Whoever wants to know *whether* a label fits has to judge each alone, and
# has to test what a typing mistake does.

# %% [markdown]
# ## 5 · Adding
#
# Adding is a rule. Whoever has understood it can add numbers of any length. So ask for sums of one digit, two digits,
# and so on. Four solved sums stand before each question, so the model knows what is wanted.

# %% tags=["nbval-check-output"]
from course_utils.experiments.failure_cases import draw_sums, sum_prompt

print(sum_prompt(draw_sums(digits=2, count=4), 17, 25))

# %%
sums = predict(
    "02-digits",
    "Of 20 sums of two numbers with two digits each, how many are right?",
    {"at least 15": (15, None), "6 to 14": (6, 15), "at most 5": (0, 6)},
)
sums


# %% tags=["nbval-check-output"]
def add(digits, swapped=False):
    """Twenty sums: what was asked, and what the model says."""
    shots, asked = draw_sums(digits, 24)[:4], draw_sums(digits, 24)[4:]
    prompts = [sum_prompt(shots, *(pair[::-1] if swapped else pair)) for pair in asked]
    found = greedy_answers(model, tokenizer, prompts, max_new_tokens=digits + 2, ends="\n")
    return {pair: answer.text for pair, answer in zip(asked, found, strict=True)}


written = {digits: add(digits) for digits in (1, 2, 3)}
exact = {digits: sum(text == str(sum(pair)) for pair, text in found.items()) for digits, found in written.items()}
for digits, count in exact.items():
    print(f"{digits} digit{'s' * (digits > 1)}: {count} of 20 right")

# %% tags=["nbval-check-output"]
from course_utils.experiments.intervals import wilson_interval

rows = {str(digits): (count, 20, *wilson_interval(count, 20)) for digits, count in exact.items()}
figures.counted_shares(rows, "digits of each number", "right sums")

# %% tags=["nbval-check-output"]
sums.compare(exact[2])

# %% [markdown]
# A rule does not fall off like this. Twenty sums are few (for 10 of 20, the true share may be anything from 30 to 70
# %), but the direction is clear. Dziri et al. (2023), *Faith and Fate: Limits of Transformers on Compositionality*,
# found the same kind of curve for multiplication: GPT-4 had 59 % of products of two three-digit numbers right.
#
# There is a test that needs no solutions. Whoever adds by a rule gives the same answer for 8 + 3 and for 3 + 8, right
# or wrong.

# %% tags=["nbval-check-output"]
turned = add(1, swapped=True)
same = sum(written[1][pair] == turned[pair] for pair in turned)
print(f"{same} of 20 sums get the same answer with their numbers swapped")
print([f"{a} + {b} = {written[1][a, b]}, {b} + {a} = {turned[a, b]}" for a, b in list(turned)[:4]])

# %% [markdown]
# What people do about it: let the model write the calculation, and let a program do it (Gao et al. 2022, *PAL:
# Program-aided Language Models*).

# %% [markdown]
# ## 6 · A is B, so B is A
#
# Who wrote *Dracula*? And what is the most famous book by Bram Stoker? For a person this is one fact. Sixteen books,
# each by an author who is known for it above all, and two questions about each.

# %% tags=["nbval-check-output"]
from course_utils.experiments.failure_cases import BOOKS

first = [("War and Peace", "Leo Tolstoy"), ("Crime and Punishment", "Fyodor Dostoevsky")]
who = "".join(f"“{book}” was written by {author}\n" for book, author in first)
what = "".join(f"The most famous book by {author} is “{book}”\n" for book, author in first)
print(who + "“Dracula” was written by", "\n" + what + "The most famous book by Bram Stoker is “")

# %%
both_ways = predict(
    "02-one-way",
    "How many of the 16 books does the model know in exactly one direction?",
    {"0 to 3": (0, 4), "4 to 7": (4, 8), "8 or more": (8, None)},
)
both_ways

# %% tags=["nbval-check-output"]
authors = greedy_answers(model, tokenizer, [f"{who}“{book}” was written by" for book in BOOKS], 6, ends="\n")
books = [f"{what}The most famous book by {author} is “" for author in BOOKS.values()]
books = greedy_answers(model, tokenizer, books, 8, ends="\n”")
rows = zip(BOOKS.items(), authors, books, strict=True)
knows = {book: (author.split()[-1] in found.text, book in back.text) for (book, author), found, back in rows}
kinds = {"both ways": (True, True), "only the author": (True, False), "only the book": (False, True)}
for name, kind in {**kinds, "neither": (False, False)}.items():
    print(f"{name}: {[book for book, known in knows.items() if known == kind]}")

# %% tags=["nbval-check-output"]
both_ways.compare(sum(known[0] != known[1] for known in knows.values()))

# %% [markdown]
# Knowing one direction says little about the other. Berglund et al. (2023), *The Reversal Curse: LLMs trained on “A is
# B” fail to learn “B is A”*, found it in large models: GPT-4 named a celebrity's parent in 79 % of the cases, and the
# child of that parent in 33 %.
#
# But books do not prove it. People write about *Dracula* from both ends, so both directions may have been learned,
# each on its own. A clean test needs facts of which you know how they were trained. So train one: a tiny model with 60
# invented facts, each a sentence “A is B” of three tokens. 40 facts are trained in both directions, so it can see that
# sentences may be turned round. The other 20 are trained in one direction.

# %%
turned_round = predict(
    "02-reversed",
    "After training, all 100 sentences are known. How many of the 20 others are known in reverse?",
    {"0 to 4": (0, 5), "5 to 15": (5, 16), "more than 15": (16, None)},
)
turned_round

# %% tags=["nbval-check-output"]
from itertools import repeat
from course_utils.experiments.reversal import draw_facts, recalled
from course_utils.experiments.tiny_training import new_tiny_model, train_tiny_model

facts = draw_facts(both_ways=40, one_way=20)
tiny = new_tiny_model(facts.vocabulary)
curve = train_tiny_model(tiny, repeat(facts.trained), facts.reversed, steps=80, measure_every=10)
print(f"trained sentences: {recalled(tiny, facts.trained)} of {len(facts.trained)}")
turned_round.compare(recalled(tiny, facts.reversed))

# %% [markdown]
# Every trained sentence, and no reversed one, after 40 examples of how to reverse. The picture shows more: the loss
# (lesson 06) on the reversed sentences does not even stay at guessing. The dotted line is a model that holds all 60
# names for equally likely.

# %%
import math

figures.loss_curves(curve.train, curve.held_out, {"all names equally likely": math.log(60) / 2})

# %% [markdown]
# Training makes the *next* token likely. The sentence “A is B” teaches what comes after A, and nothing in it changes
# what comes after B.
#
# Berglund et al. report that the curse is one of training: large models do turn a fact round that stands in the
# prompt. Does this small one? Take the eight books that it did not find by their author, and put “… was written by …”
# before the question.

# %% tags=["nbval-check-output"]
lost = {book: author for book, author in BOOKS.items() if not knows[book][1]}
given = [f"{what}“{book}” was written by {author}\n" for book, author in lost.items()]
asked = [f"{fact}The most famous book by {author} is “" for fact, author in zip(given, lost.values(), strict=True)]
again = greedy_answers(model, tokenizer, asked, 8, ends="\n”")
back = [book for book, answer in zip(lost, again, strict=True) if book in answer.text]
print(f"{len(back)} of {len(lost)} are found with the fact in the prompt: {back}")

# %% [markdown]
# A few, and not all: this model is too small to turn round even what it has just read. People put facts into the
# prompt in the form in which they will be asked for, or write training facts in both directions.

# %% [markdown]
# ## 7 · Counting letters
#
# How many r are in *strawberry*? Look at what the model reads:

# %% tags=["nbval-check-output"]
from course_utils.experiments.failure_cases import LETTERS

for word, _ in LETTERS[:6]:
    print(word, {smollm.labels[token]: token for token in tokenizer(f" {word}").input_ids})

# %% [markdown]
# Most words are one token. For the model a token is its number, and there are no letters in a number. So try it twice:
# with the word as it is, and with its letters apart, so that each of them is a token. Three solved examples come
# first.

# %%
letters = predict(
    "02-letters",
    "12 words. How many counts are right when every letter is a token of its own?",
    {"at most 4": (0, 5), "5 to 9": (5, 10), "10 or more": (10, None)},
)
letters


# %% tags=["nbval-check-output"]
def count_letters(write):
    """Ask for all words, written by `write`; return what the model says, as text."""
    solved = [("apple", "p"), ("dog", "o"), ("cheese", "e")]
    lines = [f'How many times is the letter "{letter}" in "{write(word)}"?' for word, letter in solved + LETTERS]
    shots = "".join(f"{line} {word.count(letter)}\n" for line, (word, letter) in zip(lines, solved, strict=False))
    asked = [shots + line for line in lines[len(solved) :]]
    return [answer.text for answer in greedy_answers(model, tokenizer, asked, max_new_tokens=2)]


truth = [str(word.count(letter)) for word, letter in LETTERS]
counted = {"as words": count_letters(str), "letters apart": count_letters(" ".join), "always 2": ["2"] * len(LETTERS)}
print(f"{'true':14}", *truth)
for name, found in counted.items():
    print(f"{name:14}", *found, f"  {sum(map(str.__eq__, found, truth))} of {len(truth)} right")

# %% tags=["nbval-check-output"]
letters.compare(sum(map(str.__eq__, counted["letters apart"], truth)))

# %% [markdown]
# Look at the last line. A program that says 2 whatever you ask gets six of twelve. The model is not better than that,
# in either form. “It cannot see the letters” is true, and it is not the whole story: with every letter in view, it
# still does not count. Edman et al. (2024), *CUTE: Measuring LLMs' Understanding of Their Tokens*, report of much
# larger models that most know the spelling of their tokens and fail to use it. Always measure the simplest program,
# too.

# %% [markdown]
# ## 8 · Bias: she or he?
#
# A model learns how people write, also where the writing is unfair. “The nurse said that …”: will *she* or *he* come
# next? Nothing in the sentence decides it. Twenty occupations, three beginnings of a sentence, and the share of *she*
# among the two. 50 % is no preference.

# %% tags=["nbval-check-output"]
import torch
from course_utils.experiments.failure_cases import OCCUPATIONS, PRONOUN_FRAMES
from course_utils.experiments.pronouns import pronoun_probabilities, share_of_first

causal = torch.stack(
    [
        pronoun_probabilities(model, tokenizer, [before.format(name) for name in OCCUPATIONS])
        for before, _ in PRONOUN_FRAMES
    ]
)
causal_shares = share_of_first(causal)  # (frame, occupation)
for name in ("nurse", "dancer", "engineer", "soldier"):
    print(f"{name:9} {causal_shares.mean(0)[OCCUPATIONS.index(name)]:.0%} she")

# %% [markdown]
# Now a model of another kind, a **masked** one. It reads both sides of a gap: “The nurse said that [MASK] was tired.”
# It was trained on other texts.

# %%
agree = predict(
    "02-two-models",
    "Take the occupations for which the causal model prefers “she”. For how many of them does the masked model, too?",
    {"nearly all": (0.8, None), "about half": (0.3, 0.8), "few or none": (0, 0.3)},
)
agree

# %%
filler = load_pipeline("fill-mask", models="embedded")
masked = torch.stack(
    [
        pronoun_probabilities(
            filler.model, filler.tokenizer, [f"{before.format(name)} [MASK] {after}" for name in OCCUPATIONS]
        )
        for before, after in PRONOUN_FRAMES
    ]
)
masked_shares = share_of_first(masked)
panels = {"causal (SmolLM2)": causal_shares.mean(0), "masked (course's head)": masked_shares.mean(0)}
figures.diverging_bars(OCCUPATIONS, panels, "he", "she")

# %%
prefers = causal_shares.mean(0) > 0.5
both = torch.stack([causal_shares.mean(0), masked_shares.mean(0)])
print(f"correlation of the two models over {len(OCCUPATIONS)} occupations: {torch.corrcoef(both)[0, 1]:.2f}")
agree.compare((masked_shares.mean(0)[prefers] > 0.5).float().mean().item(), show="{:.0%}")

# %% [markdown]
# Read the picture in two steps. The *level* differs: one model leans to “he” far more often, and for the same word the
# two can point to opposite sides. The *order* is partly the same: *nurse* and *nanny* stand near one end in both,
# *soldier* and *engineer* nearer the other. Which of the two is “the bias of language models”? Neither: each is a
# number of one model, one training text and one sentence. How much does the sentence do? One occupation, three
# beginnings:

# %% tags=["nbval-check-output"]
for (before, _), share in zip(PRONOUN_FRAMES, causal_shares[:, OCCUPATIONS.index("doctor")], strict=True):
    print(f"{before.format('doctor'):28} {share:.0%} she")
print(f"she and he together: {causal.sum(-1).mean():.0%} of the probability, on average")

# %% [markdown]
# The same doctor is a “she” or a “he”, depending on what happens next. And two thirds of the probability go to other
# words (*the*, *a*, *they*, …), which the share leaves out.
#
# What such a measurement can say: in these sentences, this model is not neutral, and its order of occupations is a
# stereotype that we know. Bolukbasi et al. (2016), *Man is to Computer Programmer as Woman is to Homemaker?*, found
# such an order in word vectors. Zhao et al. (2018), *Gender Bias in Coreference Resolution: Evaluation and Debiasing
# Methods*, and Rudinger et al. (2018), *Gender Bias in Coreference Resolution*, found it in programs that decide whom
# a pronoun means; Rudinger et al. compared it with employment statistics, and the two go together. What it cannot say:
# who is harmed, by which use of the model. Blodgett et al. (2020), *Language (Technology) is Power*, read 146 papers
# about “bias” and found their motivation often vague or inconsistent. And two pronouns are not all people.
#
# Touch it. Which words besides the pronouns move, when you exchange the occupation? Try your own.

# %% tags=["nbval-check-output"]
next_token_explorer(run, "The engineer was late because", "The nurse was late because", bars=8)

# %% [markdown]
# ## 9 · The context window
#
# The context length is a limit on what *fits*. Lesson 09 measures what a longer context is worth, and what happens
# beyond the limit. Here the question is another one: is a fact that fits also *found*? The test is called **needle in
# a haystack** (Kamradt 2023). A sentence is hidden in a long text, and then you ask for it.
#
# The needle is a password. The hay is the story *The Last Ferry*, which lesson 09 uses, too. All of it is one message
# to the model, and you ask in three ways: as a chat question; as a line of questions and answers; or by beginning the
# sentence again, so that the model only goes on.

# %% tags=["nbval-check-output"]
from importlib.resources import files

hay = smollm.encode(" " + (files("course_utils.experiments.texts") / "the_last_ferry.txt").read_text(encoding="utf-8"))
before, after = chat("TEXT").split("TEXT")
needle = before + "The password of the blue door is walnut."


def ways(door):
    """Three ways to ask for the password of a door."""
    begun = f"The password of the {door} is"
    return {
        "chat": f"\n\nWhat is the password of the {door}?{after}{begun}",
        "Q and A": f"\n\nQuestion: What is the password of the {door}?\nAnswer: {begun}",
        "go on": f"\n\n{begun}",
    }


print(ways("blue door")["Q and A"].strip())

# %%
found_by = predict(
    "02-needle",
    "400 tokens of story lie between password and question. Which way to ask gives the right answer the highest "
    "probability?",
    ["chat", "Q and A", "go on"],
)
found_by

# %% tags=["nbval-check-output"]
from course_utils.experiments.haystack import ask, ask_at_lengths

lengths = [0, 50, 200, 400]
found, caches = ask_at_lengths(model, tokenizer, needle, hay, ways("blue door"), " walnut", lengths)
probabilities = {name: [reply.probability for reply in replies] for name, replies in found.items()}
figures.curves(probabilities, lengths, "tokens between fact and question", "probability of the password")

# %% tags=["nbval-check-output"]
for name, replies in found.items():
    print(f"{name:8}", [reply.said for reply in replies])
found_by.compare(max(probabilities, key=lambda name: probabilities[name][-1]))

# %% [markdown]
# You would expect that the fact gets lost as the text grows. Two of the three ways find it at every length, and going
# on becomes *surer*. The chat question loses it after 50 tokens. All three ways end in the same words, and the story
# before them is the same; only the turn in between differs. So the fact is in reach each time. What decides is which
# continuation the form makes likely: in running text the model copies what stood after the same words (lesson 08 finds
# heads that do this), and as an assistant it invents.
#
# So has the model found the password of the *blue door*, or just a password? Ask for a door that the text does not
# have, by going on, at the same four lengths.

# %%
red = predict(
    "02-red-door",
    "After 400 tokens: “The password of the red door is” …. There is no red door in the text. P(walnut) is …",
    {"under 0.1": (0, 0.1), "0.1 to 0.5": (0.1, 0.5), "over 0.5": (0.5, None)},
)
red

# %% tags=["nbval-check-output"]
begun = ways("red door")["go on"]
wrong_door = [ask(model, tokenizer, cache, begun, " walnut", max_new_tokens=1).probability for cache in caches]
doors = {"blue door": probabilities["go on"], "red door (not in the text)": wrong_door}
figures.curves(doors, lengths, "tokens between fact and question", "probability of walnut")

# %% tags=["nbval-check-output"]
red.compare(wrong_door[-1], show="{:.2f}")

# %% [markdown]
# *This* is what the longer text takes away. With the fact close by, the model tells the doors apart. After 400 tokens
# it still has a password, and hardly knows any more for which door. The usual test, one needle and the right question,
# does not show it.
#
# A second needle does. Put “The password of the red door is marzipan.” between the story and the question, and ask for
# the *blue* door again.

# %% tags=["nbval-check-output"]
from course_utils.engine.prefill_decode import next_logits

second = smollm.encode(" The password of the red door is marzipan.")
fuller = [cache.copy() for cache in caches]
for cache in fuller:
    next_logits(model, second, cache)
for name, ending in ways("blue door").items():
    now = [ask(model, tokenizer, cache, ending, " walnut", max_new_tokens=1) for cache in fuller]
    count = sum(reply.said == "walnut" for reply in found[name])
    print(f"{name:8} right at {count} of 4 lengths before, at {sum(reply.said == 'walnut' for reply in now)} now")

# %% [markdown]
# Fewer in every row, from one more sentence. Hsieh et al. (2024), *RULER: What's the Real Context Size of Your
# Long-Context Language Models?*, say this of large models as well: nearly perfect with one needle, and much worse when
# the test gets harder and the text longer. Liu et al. (2023), *Lost in the Middle*, show that the place of the fact
# matters, too.
#
# ### What is cut off
#
# A text that does not fit is cut. Chat programs usually cut the *start*. Keep only the last 100 tokens before the
# question:

# %% tags=["nbval-check-output"]
from course_utils.engine.prefill_decode import prefill

_, last = prefill(model, hay[:, 300:400])
cut = ask(model, tokenizer, last, ways("blue door")["Q and A"], " walnut")
print(f"P(walnut) is below 1 in 100,000: {cut.probability < 1e-5}. The model says: {cut.said}")

# %% [markdown]
# Gone, of course, and the model answers all the same: section 1 again. Other programs cut the *end*, and do not say
# so. `embed`, like the library it follows, reads the first 256 tokens of a text. Here are two texts that differ in
# their last sentence:

# %% tags=["nbval-check-output"]
from course_utils.models import load_encoder

story = tokenizer.decode(hay[0, :700])
one, other = load_encoder().embed([story, story + " And then they robbed the bank of Torvik."])
assert torch.allclose(one, other, atol=1e-5)
f"similarity of the two texts: {one @ other:.4f}"

# %% [markdown]
# ## 10 · Bytes and FLOPs
#
# The last failure is the most ordinary one: it does not fit, or it takes too long. Both can be predicted from one
# number. **Bytes** = parameters × bytes per parameter. SmolLM2 has 134,515,008 parameters, and here each takes 4
# bytes.

# %% tags=["nbval-check-output"]
from course_utils.measuring.memory import measured_weight_bytes, weight_bytes
from course_utils.measuring.model_shapes import PUBLISHED, ModelShape

predicted = weight_bytes(model.num_parameters(), bytes_per_number=4)
assert predicted == measured_weight_bytes(model)
print(f"predicted {predicted / 1e6:.0f} MB, all tensors together {measured_weight_bytes(model) / 1e6:.0f} MB")
for name in ("Llama 3.1 8B", "Llama 3.1 70B", "Llama 3.1 405B"):
    print(f"{name}: {weight_bytes(PUBLISHED[name].parameters, 2) / 1e9:.0f} GB with 2 bytes each")

# %% [markdown]
# That is what the tensors say of themselves. What does the operating system say? It knows two numbers. **Resident** is
# what lies in RAM for this process, also if others share it. **Private** is what would be free if the process ended.
# Load the model a second time, and watch both.

# %%
growth = predict(
    "02-resident",
    "The model is loaded a second time: 538 MB of weights. By how much does the *private* memory grow?",
    {"under 100 MB": (None, 100), "100 to 400 MB": (100, 400), "over 400 MB": (400, None)},
)
growth

# %% tags=["machine-dependent"]
from copy import deepcopy
from course_utils.measuring.process_memory import process_memory
from transformers import AutoModelForCausalLM

start = process_memory()
twin = AutoModelForCausalLM.from_pretrained(model.name_or_path, local_files_only=True)
print("loaded:     ", process_memory().since(start))
twin(torch.tensor([[1]]))
after_run = process_memory()
print("ran once:   ", after_run.since(start))
own = deepcopy(twin)
copied = process_memory().since(after_run)
print("then copied:", copied)
growth.compare(after_run.since(start).private / 1e6, show="{:.0f} MB")

# %% tags=["machine-dependent"]
ratio = copied.private / predicted
assert 0.5 < ratio < 2
del twin, own
f"the copy's private memory is {ratio:.2f} × the prediction"

# %% [markdown]
# Loading costs nearly nothing: the file is *mapped*, and its pages come into RAM when they are first read. After one
# run they are resident, and still not private, because every process that maps the same file shares them. That is why
# thirty learners can work on one machine. Only a copy, which could be changed, has memory of its own, and it has what
# the formula says, up to what Python had free. So before you believe “this model takes 500 MB”, ask which memory was
# meant.
#
# The second formula: **FLOPs per token ≈ 2 × parameters**. Every weight is used in one multiplication and one addition
# (Kaplan et al. 2020, *Scaling Laws for Neural Language Models*). `torch` can count what a run really does.

# %% tags=["nbval-check-output"]
from torch.utils.flop_counter import FlopCounterMode

with FlopCounterMode(display=False) as counter, torch.inference_mode():
    model(torch.tensor([[1]]))
print(f"2 × parameters = {2 * model.num_parameters():,}")
print(f"counted        = {counter.get_total_flops():,}")

# %% [markdown]
# Equal to three digits. (The rest are the weights of the norms, which `torch` does not count.) Now time. This
# machine's FLOPs per second come from a large product of two matrices. Divide, and you have a prediction. How far will
# it be off for a single token?

# %%
off = predict(
    "02-flops",
    "Reading one token takes longer than its FLOPs alone would. How many times longer?",
    {"less than 1.5 times": (0, 1.5), "1.5 to 5 times": (1.5, 5), "more than 5 times": (5, None)},
)
off

# %% tags=["machine-dependent"]
import statistics
from itertools import pairwise
from time import perf_counter
from course_utils.measuring.roofline import matmul_rate, step_flops

shape, rate, times_longer = ModelShape.of("SmolLM2", model), matmul_rate(), {}
for tokens in (1, 64):
    marks = [perf_counter()]
    for _ in range(3):
        next_logits(model, hay[:, :tokens], None)
        marks.append(perf_counter())
    seconds = statistics.median(end - begin for begin, end in pairwise(marks))
    ideal = step_flops(shape, tokens) / rate
    times_longer[tokens] = seconds / ideal
    print(f"{tokens:2} tokens: predicted {ideal * 1000:5.1f} ms, measured {seconds * 1000:5.1f} ms")

# %% tags=["machine-dependent"]
assert times_longer[1] > times_longer[64]
print(f"{rate / 1e9:.0f} GFLOP/s. Measured over predicted: 64 tokens {times_longer[64]:.1f}")
off.compare(times_longer[1], show="{:.1f} times")

# %% [markdown]
# For many tokens at once the formula is not far off. For one token it is far too hopeful. The 0.27 GFLOP are done in
# no time, but 538 MB of weights have to come from memory first (lesson 10). So FLOPs predict the price of *reading* a
# text, and bytes that of *writing* one. A model with 405 billion parameters needs 811 GFLOP for a token:

# %% tags=["machine-dependent"]
giant = PUBLISHED["Llama 3.1 405B"]
days = step_flops(giant, 1_000) / rate / 3600 / 24
print(f"to read 1,000 tokens with {giant.name} on this machine: {days:.2f} days, if its 812 GB fitted")

# %% [markdown]
# ## 11 · What is refused
#
# No prompts, no masked word, a haystack that is too short, a probability that is none: one sentence each.

# %% tags=["nbval-check-output"]
for wrong in (
    lambda: greedy_answers(model, tokenizer, []),
    lambda: pronoun_probabilities(filler.model, filler.tokenizer, ["The nurse said that she was tired."]),
    lambda: ask_at_lengths(model, tokenizer, needle, hay[:, :100], ways("blue door"), " walnut", [0, 200]),
    lambda: figures.confidence_against_truth({"right": {"Paris": 1.2}}),
    lambda: draw_sums(digits=1, count=100),
):
    try:
        wrong()
    except ValueError as error:
        print(error)

# %% [markdown]
# ## 12 · The whole thing in one cell
#
# An answer and its probability, with nothing but the model's logits. It must be what `transformers` generates, with
# the probability that follows from its scores, and what `greedy_answers` gave for the same question.


# %% tags=["nbval-check-output"]
@torch.inference_mode()
def my_answer(prompt, most=8):
    unread, cache, tokens, probability = smollm.encode(prompt), None, [], 1.0
    while len(tokens) < most:
        output = model(unread, past_key_values=cache, use_cache=True)
        chances = output.logits[0, -1].softmax(-1)
        token = chances.argmax().item()
        if token == tokenizer.eos_token_id or set(tokenizer.decode(token)) & set(".,\n"):
            break
        tokens.append(token)
        probability *= chances[token].item()
        unread, cache = torch.tensor([[token]]), output.past_key_values
    return tokens, probability


prompt = chat("What is the capital of Brazil?", "The capital of Brazil is")
tokens, probability = my_answer(prompt)
ids = smollm.encode(prompt)
settings = {"max_new_tokens": len(tokens), "do_sample": False, "return_dict_in_generate": True, "output_scores": True}
theirs = model.generate(ids, attention_mask=torch.ones_like(ids), pad_token_id=0, **settings)
logs = model.compute_transition_scores(theirs.sequences, theirs.scores, normalize_logits=True)
assert theirs.sequences[0, ids.shape[1] :].tolist() == tokens
assert abs(logs.sum().exp().item() - probability) < 1e-4 > abs(answers["Brazil"].probability - probability)
tokenizer.decode(tokens), round(probability, 2)

# %% [markdown]
# ## 13 · Quiz
#
# Every option has an explanation, also the wrong ones. Try them all.

# %% tags=["nbval-check-output"]
from course_utils.learner import quiz_question

quiz_question(
    "02-quiz-confidence",
    "A model gives its answer a probability of 0.9. What do you know?",
    [
        ("The answer is right with 90 %", False, "Only if you measured that for this model and this kind of question."),
        (
            "The model would write this answer nine times in ten",
            True,
            "Yes. Whether it is true is another question; here Istanbul was wrong at 0.6.",
        ),
        ("Nothing at all", False, "It does say something: here all invented capitals were below 0.1."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "02-quiz-refuse",
    "A change makes a model say “I do not know” for every invented country. What do you measure next?",
    [
        ("Nothing, the goal is reached", False, "A model that always says it would reach this goal as well."),
        ("How many right answers are left", True, "Yes: and then a control, to see which part of the change did it."),
        ("Whether it says so in a polite way", False, "A polite refusal of a real country is no better."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "02-quiz-reversal",
    "Why did the tiny model not know a single reversed fact?",
    [
        ("It was too small to learn 60 facts", False, "It learned all 100 sentences, among them 40 facts both ways."),
        (
            "“A is B” trains what comes after A, and nothing after B",
            True,
            "Yes: the loss is about next tokens, and no trained sentence went on after these descriptions.",
        ),
        ("It was never shown that sentences can be turned round", False, "It was, 40 times, and did not carry over."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "02-quiz-bias",
    "A model has 80 % “she” after “The nurse said that”. Which sentence is justified?",
    [
        ("80 % of nurses are women", False, "It was trained on texts, not on nurses."),
        ("The model is unfair to nurses", False, "Nobody was treated in any way yet. It depends on the use."),
        (
            "After this beginning, this model prefers “she” to “he”",
            True,
            "Yes. Other beginnings and another model gave other numbers, so say which you used.",
        ),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "02-quiz-needle",
    "A vendor shows a needle test with 100 % up to 128,000 tokens. What would you ask for?",
    [
        (
            "A test with more tokens",
            False,
            "Here one needle was found at every length, and the test did not see what was lost.",
        ),
        ("A test with several similar needles", True, "Yes: a second password cost right answers at once."),
        ("Nothing, 100 % is 100 %", False, "Of a test with one needle, which needs no more than finding any password."),
    ],
)

# %% [markdown]
# ## Take-aways
#
# - **Hallucination**: a model always has an answer, and its tone does not change. Probabilities help, thresholds cost
#   right answers. What people do: give it the facts in the prompt (Lewis et al. 2020, *Retrieval-Augmented Generation
#   for Knowledge-Intensive NLP Tasks*), let it refuse, and measure both sides.
# - **Understanding**: sums fall off with their digits, facts run one way, letters are not seen and not counted. What
#   people do: programs for arithmetic, facts in the context, and a comparison with the simplest program.
# - **Bias**: two models, three sentences, many different numbers, one familiar order. Say what was measured, and for
#   which use.
# - **Context**: what fits is not yet found. The form of the question and a second needle decide as much as the length,
#   and what is cut off is lost silently ([lesson 09](09_context_length_and_prompting.ipynb)).
# - **Resources**: bytes = parameters × bytes each, FLOPs per token ≈ 2 × parameters. What people do: fewer bytes
#   (lesson 14), a KV cache and larger batches ([lesson 10](10_prefill_and_decode.ipynb)).
#
# **Next**: [03 · The pipeline, opened](03_the_pipeline_opened.ipynb) takes the first of the models apart.
#
# **Exercise**: [02 · Where LLMs fail](../exercises/02_where_llms_fail.ipynb). **All lessons**: [the
# index](index.ipynb).
