# %% [markdown]
# # Deeper 02 · A is B, so B is A
#
# Who wrote *Dracula*? And what's the most famous book by Bram Stoker? For you this is one fact. For a language model it
# may be two. Here you count how often, and then train a tiny model to see why.
#
# **You will be able to**
#
# - show that a model knows facts in one direction only;
# - say what training on “A is B” changes, and what it doesn't.
#
# **Time**: 15 minutes. **Read before**: [02 · Where LLMs fail](../02_where_llms_fail.ipynb). The loss curves are those
# of [lesson 06](../06_pretraining_and_finetuning.ipynb).

# %% [markdown]
# ## 1 · Books and authors
#
# Twenty books, each by an author who is known for it above all. Two questions about each, with two solved ones before
# them.

# %% tags=["nbval-check-output"]
from course_utils.experiments.failure_cases import BOOKS
from course_utils.experiments.greedy_answers import greedy_answers
from course_utils.models import load_causal_lm

smollm = load_causal_lm()
model, tokenizer = smollm.model, smollm.tokenizer
first = [("War and Peace", "Leo Tolstoy"), ("Crime and Punishment", "Fyodor Dostoevsky")]
who = "".join(f"“{book}” was written by {author}\n" for book, author in first)
what = "".join(f"The most famous book by {author} is “{book}”\n" for book, author in first)
print(who + "“Dracula” was written by", "\n" + what + "The most famous book by Bram Stoker is “")

# %%
from course_utils.learner import predict

both_ways = predict(
    "02-one-way",
    "How many of the 20 books does the model know in exactly one direction?",
    {"0 to 4": (0, 5), "5 to 8": (5, 9), "9 or more": (9, None)},
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
# If the two directions had nothing to do with each other, how many books would you expect in both? The product of the
# two shares, times the number of books:

# %% tags=["nbval-check-output"]
to_author, to_book = (sum(known[side] for known in knows.values()) for side in (0, 1))
both = sum(all(known) for known in knows.values())
print(f"author found: {to_author}, book found: {to_book}, both: {both} of {len(knows)}")
print(f"both, if the directions were independent: {to_author * to_book / len(knows):.1f}")

# %% [markdown]
# So among these books, knowing one direction says nothing about the other. (With only 20 of them, a weak link could
# hide.) Berglund et al. (2023), *The Reversal Curse: LLMs trained on “A is B” fail to learn “B is A”*, found it in
# large models: GPT-4 named a celebrity's parent in 79 % of the cases, and the child of that parent in 33 %.
#
# But books don't prove it. People write about *Dracula* from both ends, so each direction may have been learned on its
# own, and the two questions may not be equally hard. A clean test needs facts of which you know how they were trained.
#
# ## 2 · Train one
#
# A tiny model learns 60 invented facts, each a sentence “A is B” of three tokens. 40 facts are trained in both
# directions, so the model can see that sentences may be turned round. The other 20 are trained in one direction. Five
# models, with facts and weights drawn again for each.

# %%
turned_round = predict(
    "02-reversed",
    "After training, all sentences are known. How many of the 20 others are known in reverse, on average?",
    {"0 to 4": (0, 5), "5 to 15": (5, 16), "more than 15": (16, None)},
)
turned_round

# %% tags=["nbval-check-output"]
from itertools import repeat

from course_utils.experiments.reversal import draw_facts, recalled
from course_utils.experiments.tiny_training import new_tiny_model, train_tiny_model

backwards, curves = [], []
for seed in range(5):
    facts = draw_facts(both_ways=40, one_way=20, seed=seed)
    tiny = new_tiny_model(facts.vocabulary, seed=seed)
    curves.append(train_tiny_model(tiny, repeat(facts.trained), facts.reversed, steps=80, measure_every=10))
    backwards.append(recalled(tiny, facts.reversed))
    print(f"model {seed}: {recalled(tiny, facts.trained)} of 100 trained, {backwards[-1]} of 20 reversed")
turned_round.compare(sum(backwards) / len(backwards))

# %% [markdown]
# With 60 names, a guesser would get a third of one reversed fact right, so zero alone proves little. The loss on the
# reversed sentences says more. Here it is for the last of the five models; the dotted line is a model that considers
# all 60 names equally likely.

# %%
import math

from course_utils import figures

figures.loss_curves(curves[-1].train, curves[-1].held_out, {"all names equally likely": math.log(60) / 2})

# %% [markdown]
# The loss on the reversed sentences first falls. (The model learns at least where a name belongs.) It never gets as low
# as guessing, and then it rises again: while the trained sentences become certain, the right names of the reversed ones
# become *less* likely than other names. Training on “A is B” makes B likely after A. It does change what comes after B,
# too, but not towards A.
#
# Is the reversed question simply too hard for so small a model? No. Train the reversed sentences, too, and it knows
# them:

# %% tags=["nbval-check-output"]
import torch

train_tiny_model(tiny, repeat(torch.cat([facts.trained, facts.reversed])), facts.reversed, steps=80)
print(f"{recalled(tiny, facts.reversed)} of 20 reversed facts, once they are trained")

# %% [markdown]
# ## 3 · In the prompt?
#
# Berglund et al. report that the curse is one of training: large models do turn a fact round that is in the prompt.
# Does this small one? Take the books that it didn't find by their author, and put “… was written by …” before the
# question.

# %% tags=["nbval-check-output"]
lost = {book: author for book, author in BOOKS.items() if not knows[book][1]}
given = [f"{what}“{book}” was written by {author}\n" for book, author in lost.items()]
asked = [f"{fact}The most famous book by {author} is “" for fact, author in zip(given, lost.values(), strict=True)]
again = greedy_answers(model, tokenizer, asked, 8, ends="\n”")
back = [book for book, answer in zip(lost, again, strict=True) if book in answer.text]
print(f"{len(back)} of {len(lost)} are found with the fact in the prompt: {back}")

# %% [markdown]
# Three of the twelve are. That's little help from a fact in full view. What people do: write training facts in both
# directions, or put facts into the prompt in the form in which they'll be asked for.
#
# **Back to the lesson**: [02 · Where LLMs fail](../02_where_llms_fail.ipynb). **All lessons**: [the
# index](../index.ipynb).
