# %% [markdown]
# # Exercise 13 · Beam search
#
# | time | difficulty | needs |
# |---|---|---|
# | 60 minutes | ●●●○○ | lesson [13 · Beam search](../notebooks/13_beam_search.ipynb), sections 1 to 5 |
#
# You score texts, find the length penalty at which a long text overtakes a short one, do one step of beam search, and
# write the whole search with texts that end. No language model is needed: as in the lesson's weather diary, the model
# is a **table**. `table[last, next]` is the log-probability that `next` comes after `last`, so a table is `(vocab,
# vocab)` and a text is a list of token ids.
#
# Run the first cell, then take the tasks in order. `check("q1")` says what is right so far, as often as you like.

# %%
import math
import torch
from course_utils.learner import checker

check = checker("13", globals())

# %% [markdown]
# ## q1 · The score of a text
#
# 8 minutes, ●●○○○, 2 points.
#
# `text` is a list of ids, and its first id is the prompt. Add up the log-probabilities of the new tokens, and divide by
# the number of new tokens to the power `length_penalty`. Return the score as a number. If the table says −1 for the
# token after the prompt and −3 for the one after that, the score is −4 with a penalty of 0, −2 with 1, and
# −4 / √2 = −2.83 with 0.5.
#
# <details><summary>Hint 1</summary>Three ids are two new tokens. Which two places of the table do they need?</details>
# <details><summary>Hint 2</summary><code>zip(text, text[1:])</code> goes through all pairs of neighbours. What is taken
# to the power needs brackets: <code>(len(text) - 1) ** length_penalty</code>.</details>


# %% nbgrader={"grade": false, "grade_id": "q1", "locked": false, "schema_version": 3, "solution": true, "task": false}
def score(table, text, length_penalty):
    """Return the sum of log-probabilities of all tokens but the first, divided by their number ** length_penalty."""
    ### BEGIN SOLUTION
    total = sum(table[text[place - 1], text[place]].item() for place in range(1, len(text)))
    return total / (len(text) - 1) ** length_penalty
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q1-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["nbval-check-output"]
### BEGIN HIDDEN TESTS
assert check("q1").is_right
### END HIDDEN TESTS
check("q1")

# %% [markdown]
# ## q2 · Where the long text wins
#
# 8 minutes, ●●●○○, 2 points.
#
# Without a length penalty a short text has the better sum. The larger the penalty, the better for the long one. Return
# the penalty at which both have the same score. A text of 2 tokens with the sum −2 and one of 8 tokens with the sum −4
# are equal at 0.5: there −2 / √2 and −4 / √8 are both −1.41.
#
# <details><summary>Hint 1</summary>Write both scores down as an equation. Bring the sums to one side and the lengths to
# the other: how many times lower is the long sum, how many times longer is the long text?</details>
# <details><summary>Hint 2</summary>If <code>a ** p == b</code>, then
# <code>p == math.log(b) / math.log(a)</code>.</details>


# %% nbgrader={"grade": false, "grade_id": "q2", "locked": false, "schema_version": 3, "solution": true, "task": false}
def turning_point(short_sum, short_tokens, long_sum, long_tokens):
    """Return the length penalty at which a short and a long text (sum, number of tokens) have equal scores."""
    ### BEGIN SOLUTION
    return math.log(long_sum / short_sum) / math.log(long_tokens / short_tokens)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q2-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["nbval-check-output"]
### BEGIN HIDDEN TESTS
assert check("q2").is_right
### END HIDDEN TESTS
check("q2")

# %% [markdown]
# ## q3 · One step
#
# 12 minutes, ●●●○○, 3 points.
#
# `texts` holds the beams, `(rows, seq)`, and `sums` their sums of log-probabilities, `(rows,)`. Extend every beam by
# every token, add, and keep the best `beams` of all candidates. Return the new texts, `(beams, seq + 1)`, and their
# sums, `(beams,)`, best first. If there are fewer candidates than beams, keep all. A beam may continue twice, and another
# not at all: from `[[3, 0], [3, 1]]` the best two can be `[[3, 1, 1], [3, 1, 0]]`.
#
# <details><summary>Hint 1</summary>One tensor holds the sums of all candidates: a row for each beam, a column for each
# token.</details>
# <details><summary>Hint 2</summary><code>totals.flatten().topk(…)</code> gives places in the flat list. Divided by the
# number of columns, the whole part is the row and the remainder the token.</details>


# %% nbgrader={"grade": false, "grade_id": "q3", "locked": false, "schema_version": 3, "solution": true, "task": false}
def beam_step(texts, sums, table, beams):
    """Return the best `beams` texts that are one token longer, `(beams, seq + 1)`, and their sums, `(beams,)`."""
    ### BEGIN SOLUTION
    totals = sums[:, None] + table[texts[:, -1]]  # (rows, vocab)
    sums, places = totals.flatten().topk(min(beams, totals.numel()))
    rows, tokens = places // totals.shape[1], places % totals.shape[1]
    return torch.cat([texts[rows], tokens[:, None]], dim=1), sums
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q3-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["nbval-check-output"]
### BEGIN HIDDEN TESTS
assert check("q3").is_right
### END HIDDEN TESTS
check("q3")

# %% [markdown]
# ## q4 · The whole search
#
# 20 minutes, ●●●●○, 4 points.
#
# Now texts end: the last token of the vocabulary, `len(table) - 1`, ends a text. Begin with the token `start`. In each
# of at most `steps` steps:
#
# 1. extend every text by every token, and sort all candidates by their sums;
# 2. look at the best `beams` candidates: those that end are set aside as finished, and don't grow any more;
# 3. of all candidates that don't end, the best `beams` continue.
#
# After the last step, the texts that are still alive are finished, too. There is no early stopping. Return the best
# `beams` finished texts as a list of pairs `[score, tokens]`, best first. The tokens are without `start` and with the
# token that ends the text; the length counts these.
#
# An example with two tokens, 0 and the end, 1. After 0 their probabilities are 0.6 and 0.4. Two beams, two steps: `[1]`
# ends in the first step, `[0, 1]` ends in the second, and `[0, 0]` is alive after it. With a penalty of 0 you return
# `[[-0.92, [1]], [-1.02, [0, 0]]]`, with a penalty of 1 `[[-0.51, [0, 0]], [-0.71, [0, 1]]]`.
#
# <details><summary>Hint 1</summary>Lists are simpler here than tensors: a beam is a pair <code>(sum, tokens)</code>,
# and <code>sorted(candidates, reverse=True)</code> puts the best first.</details>
# <details><summary>Hint 2</summary>Steps 2 and 3 are two list comprehensions over the sorted candidates: one over
# <code>candidates[:beams]</code>, one over all, cut to <code>[:beams]</code> afterwards. Score at the very
# end.</details>


# %% nbgrader={"grade": false, "grade_id": "q4", "locked": false, "schema_version": 3, "solution": true, "task": false}
def search(table, start, beams, steps, length_penalty):
    """Return the best `beams` finished texts as [[score, tokens], …], best first."""
    ### BEGIN SOLUTION
    end, alive, finished = len(table) - 1, [(0.0, [])], []
    for _ in range(steps):
        candidates = [
            (total + table[tokens[-1] if tokens else start, token].item(), [*tokens, token])
            for total, tokens in alive
            for token in range(len(table))
        ]
        candidates.sort(reverse=True)
        finished += [(total, tokens) for total, tokens in candidates[:beams] if tokens[-1] == end]
        alive = [(total, tokens) for total, tokens in candidates if tokens[-1] != end][:beams]
    scored = [[total / len(tokens) ** length_penalty, tokens] for total, tokens in finished + alive]
    return sorted(scored, reverse=True)[:beams]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q4-check", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false} tags=["nbval-check-output"]
### BEGIN HIDDEN TESTS
assert check("q4").is_right
### END HIDDEN TESTS
check("q4")

# %% [markdown]
# ### See them at work
#
# The weather diary of the lesson, with one more token: ■, the diarist stops writing. That happens seldom after a day of
# rain, and usually after fog. Look at the best diary while the penalty rises.

# %%
words, START = ["sun", "rain", "fog", "start", "■"], 3
after_sun, after_rain = [0.30, 0.30, 0.25, 0, 0.15], [0.15, 0.60, 0.10, 0, 0.15]
after_fog, after_start = [0.05, 0.05, 0.30, 0, 0.60], [0.35, 0.30, 0.20, 0, 0.15]
diary = torch.tensor([after_sun, after_rain, after_fog, after_start, after_start]).log()

# %% tags=["raises-exception"]
penalties = [0, 0.25, 0.5, 0.75, 1, 1.5, 2]
for penalty in penalties:
    value, tokens = search(diary, START, 4, 6, penalty)[0]
    print(f"penalty {penalty:<4} score {value:5.2f}  {' '.join(words[token] for token in tokens)}")

# %% [markdown]
# Your `score` draws the picture of the lesson.

# %% tags=["raises-exception"]
from course_utils import figures

found = sorted({tuple(tokens) for penalty in penalties for _, tokens in search(diary, START, 4, 6, penalty)[:2]})
names = [" ".join(words[token] for token in tokens) for tokens in found]
lines = [[score(diary, [START, *tokens], penalty) for penalty in penalties] for tokens in found]
figures.length_penalty_lines(penalties, dict(zip(names, lines, strict=True)))

# %% [markdown]
# And your `turning_point` says where *fog ■* overtakes *■*, and where six days of rain overtake *fog ■*.

# %% tags=["raises-exception"]
rivals = ([4], [2, 4], [1] * 6)
ends = [(score(diary, [START, *tokens], 0), len(tokens)) for tokens in rivals]
turning_point(*ends[0], *ends[1]), turning_point(*ends[1], *ends[2])

# %% [markdown]
# ## q5 · More beams, shorter texts
#
# 5 minutes, ●●●○○, 2 points. A person reads your answer.
#
# You translate with beam search and a length penalty of 0. With 2 beams the sentences are complete. With 10 beams many
# end after two words, and the scores are better than before. How can a better search write worse sentences, and what
# would you change? Two or three sentences.

# %% [markdown] nbgrader={"grade": true, "grade_id": "q5", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# Every token makes the sum lower, so of all finished texts a short one has the best sum. To end after two words is
# unlikely in that step, and two beams prune it; ten beams have room for it, and once it is finished nothing beats it.
# The search does what the score asks for, so I would change the score: a length penalty of about 1.

# %% [markdown]
# ## Stretch · A search that is exact
#
# 15 minutes, ●●●●○, no points.
#
# A sum can only fall. So always extend the text with the best sum of **all** texts so far, whatever their length: the
# first text of `steps` tokens that comes up is the most likely of all, for certain. Write
# `best_of_all(table, start, steps)`; `heapq` keeps the best on top (of the smallest numbers, so store minus the sum).
# Return the sum, the tokens, and how many texts you extended. Why does nobody do this with a language model?

# %% nbgrader={"grade": false, "grade_id": "stretch", "locked": false, "schema_version": 3, "solution": true, "task": false} tags=["raises-exception"]
import heapq


def best_of_all(table, start, steps):
    """Return the best sum of a text of `steps` tokens, its tokens, and how many texts were extended."""
    ### BEGIN SOLUTION
    heap, extended = [(0.0, [])], 0
    while len(heap[0][1]) < steps:
        loss, tokens = heapq.heappop(heap)
        extended += 1
        for token, value in enumerate(table[tokens[-1] if tokens else start].tolist()):
            heapq.heappush(heap, (loss - value, [*tokens, token]))
    return -heap[0][0], heap[0][1], extended
    ### END SOLUTION


table = (3 * torch.randn(12, 12, generator=torch.Generator().manual_seed(0))).log_softmax(-1)
for steps in (3, 6, 9):
    total, tokens, extended = best_of_all(table, 0, steps)
    print(f"{steps} tokens: {total:.2f} {tokens}, {extended:,} texts extended of {sum(12**n for n in range(steps)):,}")

# %% [markdown]
# **Lesson**: [13 · Beam search](../notebooks/13_beam_search.ipynb). **This exercise**: [to
# solve](../exercises/13_beam_search.ipynb), [solved](../solutions/13_beam_search.ipynb). **Next exercise**: [14 · Speed
# and memory in practice](14_speed_and_memory_in_practice.ipynb). **All lessons**: [the
# index](../notebooks/index.ipynb).
