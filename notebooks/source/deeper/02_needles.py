# %% [markdown]
# # Deeper 02 · Needles: length and depth
#
# In [lesson 02](../02_where_llms_fail.ipynb), four facts about doors were mixed up after 75 tokens of story, and four
# different facts weren't. Does the length of the story matter? Does the place of the facts? And what does the model say
# of a door that isn't in the text at all?
#
# **You will be able to**
#
# - vary one thing of a needle test at a time, with an interval beside each point;
# - add the null that tells “found” from “guessed”.
#
# **Time**: 10 minutes. **Read before**: [02 · Where LLMs fail](../02_where_llms_fail.ipynb), section 6.

# %% [markdown]
# ## 1 · Length
#
# As in the lesson: six texts with four facts each, the facts first, then the story. A fact is found if its word is the
# most probable of the four. The null is a text without the facts, asked the same questions.

# %%
import torch
from course_utils import figures
from course_utils.experiments.haystack import answer_probabilities, draw_needles, filler_text, stated
from course_utils.experiments.intervals import wilson_interval
from course_utils.models import load_causal_lm

smollm = load_causal_lm()
model, tokenizer = smollm.model, smollm.tokenizer

# %%
TEXTS, FACTS, guess = 6, 4, [0.25] * 3


def probabilities(similar, after, before=0, hidden=True):
    """P of the four words after eight questions, `(text, question, word)`; only the first four are in the text."""
    found = []
    for number in range(TEXTS):
        facts = draw_needles(similar, seed=number)
        first, last = (filler_text(tokenizer, *story) for story in ((before, 2 * number + 1), (after, 2 * number)))
        text = "\n\n".join(part for part in (first, stated(facts) if hidden else "", last) if part)
        asked = draw_needles(similar, seed=number, count=2 * FACTS)
        found.append(answer_probabilities(model, tokenizer, text, asked, list(facts.values())))
    return torch.stack(found)


# %%
def row(found):
    """Facts found, of how many, and the interval."""
    hits = int((found[:, :FACTS].argmax(-1) == torch.arange(FACTS)).sum())
    return hits, TEXTS * FACTS, *wilson_interval(hits, TEXTS * FACTS)


# %% tags=["nbval-check-output"]
lengths = [25, 75, 300]
doors = {length: probabilities(True, length) for length in lengths}
figures.counted_shares(
    {str(length): row(found) for length, found in doors.items()}, "tokens of story", "doors found", guess
)

# %% tags=["nbval-check-output"]
different = {str(length): row(probabilities(False, length)) for length in lengths}
figures.counted_shares(different, "tokens of story", "different facts found", guess)

# %% tags=["nbval-check-output"]
for similar, name in ((False, "different facts"), (True, "doors")):
    hits, total, low, high = row(probabilities(similar, after=75, hidden=False))
    print(f"not hidden, {name}: {hits} of {total} ({low:.0%} to {high:.0%}); a guesser has 25%")

# %% [markdown]
# Within each figure the intervals overlap: in these texts, up to 300 tokens, length decides nothing that 24 questions
# could show. Between the two figures they don't. What makes a needle hard here is another needle like it.
#
# ## 2 · Depth
#
# Now the text always has 200 tokens of story, and the facts move: at the start, in the middle, at the end.

# %% tags=["nbval-check-output"]
depths = {"start": (0, 200), "middle": (100, 100), "end": (200, 0)}
rows = {name: row(probabilities(True, after, before)) for name, (before, after) in depths.items()}
figures.counted_shares(rows, "where the facts are", "doors found", guess)

# %% [markdown]
# Liu et al. (2023), *Lost in the Middle: How Language Models Use Long Contexts*, found the middle of long texts worst
# in larger models with many more tokens. Here the three intervals overlap, so 24 questions and 200 tokens don't show
# it. (The story isn't quite the same in all three, because its parts move, too.)
#
# ## 3 · A door that isn't there
#
# Ask for four doors that the text doesn't mention. How probable are its four passwords, all together, after such a
# question, and how probable after a question about a door that is there?

# %% tags=["nbval-check-output"]
for length, found in doors.items():
    there, absent = (questions.sum(-1).flatten() for questions in (found[:, :FACTS], found[:, FACTS:]))
    spread = [f"{values.mean():.2f} ± {1.96 * values.std() / len(values) ** 0.5:.2f}" for values in (there, absent)]
    print(f"{length:3} tokens: in the text {spread[0]}, not in the text {spread[1]}")

# %% [markdown]
# The ± is a 95 % interval of the mean over 24 questions. The model tells the two apart at every length. But after 300
# tokens of story, doors that were never mentioned get passwords, too, as if it remembered *that* there were passwords
# better than which door had one. A needle test that only asks for what is there can't see that.
#
# **Back to the lesson**: [02 · Where LLMs fail](../02_where_llms_fail.ipynb). **All lessons**: [the
# index](../index.ipynb).
