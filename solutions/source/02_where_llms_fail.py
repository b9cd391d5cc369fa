# %% [markdown]
# # Exercise 02 · Where LLMs fail
#
# | time | difficulty | needs |
# |---|---|---|
# | 50 minutes | ●●●○○ | lesson [02 · Where LLMs fail](../notebooks/02_where_llms_fail.ipynb), sections 1, 2 and 5 |
#
# Once a failure has a number, you can compare it and watch it. You write four such numbers: how much is invented, how
# probable an answer is, how far confidence is from truth, and how far pronouns are from no preference.
#
# Run the first cell, then take the tasks in order. `check("q1")` says what is right so far, as often as you like.

# %%
import torch
from course_utils.learner import checker

check = checker("02", globals())

# %% [markdown]
# ## q1 · Right, refused, invented
#
# 8 minutes, ●●○○○, 2 points.
#
# `answers` are a model's answers, `truths` the right ones. Where the question was about something that does not exist,
# the truth is None. An answer is *right* if it contains the truth. It is a *refusal* if it contains `not know` or
# `no such`. Return three shares between 0 and 1:
#
# - `right`: of the real things, the share with a right answer;
# - `refused`: of the real things, the share with a refusal;
# - `invented`: of the things that do not exist, the share with an answer that is no refusal.
#
# | answer | truth |
# |---|---|
# | `Paris` | `Paris` |
# | `Istanbul` | `Ankara` |
# | `I do not know` | `Nairobi` |
# | `Velt City` | None |
# | `There is no such country` | None |
#
# Here `right` is 1/3, `refused` is 1/3 and `invented` is 1/2.
#
# <details><summary>Hint 1</summary>The three shares have two different denominators. Which?</details>
# <details><summary>Hint 2</summary><code>zip(answers, truths)</code> gives pairs. Make a list of the pairs whose truth
# is not None, and one of the answers whose truth is None.</details>


# %% nbgrader={"grade": false, "grade_id": "q1", "locked": false, "schema_version": 3, "solution": true, "task": false}
def answer_shares(answers, truths):
    """Return the shares `right` and `refused` of the real things, and `invented` of those that do not exist."""
    ### BEGIN SOLUTION
    pairs = list(zip(answers, truths, strict=True))
    real = [(answer, truth) for answer, truth in pairs if truth is not None]
    nothing = [answer for answer, truth in pairs if truth is None]

    def refuses(answer):
        return "not know" in answer or "no such" in answer

    return {
        "right": sum(truth in answer for answer, truth in real) / len(real),
        "refused": sum(refuses(answer) for answer, _ in real) / len(real),
        "invented": sum(not refuses(answer) for answer in nothing) / len(nothing),
    }
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q1-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["nbval-check-output"]
### BEGIN HIDDEN TESTS
assert check("q1").is_right
### END HIDDEN TESTS
check("q1")

# %% [markdown]
# ## q2 · The probability of an answer
#
# 12 minutes, ●●●○○, 3 points.
#
# The lesson had the probability of what the model *wrote*. You want it for any answer, also the true one that the model
# did not write. It is the product of the probabilities of the answer's tokens, each after the prompt and the tokens
# before it. If the first token has 0.5 and the second one, after the first, 0.4, the answer has 0.2.
#
# `model` is a `CausalLM`, as `load_causal_lm()` returns it. `model.encode(text)` gives the ids `(1, tokens)`, and
# `model.model(ids).logits` the logits `(1, tokens, vocab)`. Encode the prompt and the answer one by one, and join their
# ids with `torch.cat([…, …], 1)`. One run of the model is enough.
#
# <details><summary>Hint 1</summary>The logits at a place predict the <em>next</em> token. Which logits predict the
# first token of the answer?</details>
# <details><summary>Hint 2</summary>With n tokens in the prompt, <code>logits[0, n - 1 : -1]</code> has a row for each
# token of the answer. <code>.softmax(-1)</code> turns them into probabilities, and
# <code>rows[range(len(ids)), ids]</code> picks one from each row.</details>


# %% nbgrader={"grade": false, "grade_id": "q2", "locked": false, "schema_version": 3, "solution": true, "task": false}
@torch.inference_mode()
def answer_probability(model, prompt, answer):
    """Return the probability that `model` continues `prompt` with `answer`."""
    ### BEGIN SOLUTION
    asked, answered = model.encode(prompt), model.encode(answer)
    logits = model.model(torch.cat([asked, answered], 1)).logits[0, asked.shape[1] - 1 : -1]
    probabilities = logits.softmax(-1)[range(answered.shape[1]), answered[0]]
    return probabilities.prod()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q2-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["nbval-check-output"]
### BEGIN HIDDEN TESTS
assert check("q2").is_right
### END HIDDEN TESTS
check("q2")

# %% [markdown]
# ## q3 · Confidence against truth
#
# 12 minutes, ●●●○○, 3 points.
#
# Are answers with a probability of 0.9 right nine times in ten? Cut the range from 0 to 1 into `bins` equal parts, and
# put every answer into the bin of its probability. In each bin that has answers compare two numbers: the mean
# probability of its answers, and the share of them that is right. The absolute value of the difference is the gap of
# the bin. Return the mean of the gaps, where each bin counts by its share of all answers.
#
# Four answers in two bins. In the bin from 0.5 to 1 are 0.9 and 0.7, both right: mean 0.8, share 1, gap 0.2. Below are
# 0.2 and 0.4, both wrong: mean 0.3, share 0, gap 0.3. Each bin has half of the answers, so you return 0.25. No
# probability lies on the border of two bins, but it may be 1: that belongs to the last bin.
#
# <details><summary>Hint 1</summary>How do you get the number of the bin, 0, 1, 2 …, from a probability? Try it with
# 0.9, 0.2 and 1 and two bins.</details>
# <details><summary>Hint 2</summary><code>min(int(probability * bins), bins - 1)</code> is the number of the bin.
# <code>right</code> is a list of True and False, which <code>sum</code> counts as 1 and 0. Leave a bin without answers
# out before you divide.</details>


# %% nbgrader={"grade": false, "grade_id": "q3", "locked": false, "schema_version": 3, "solution": true, "task": false}
def confidence_gap(probabilities, right, bins):
    """Return how far the probabilities are from the share of right answers, as a mean over the bins."""
    ### BEGIN SOLUTION
    gap, pairs = 0, list(zip(probabilities, right, strict=True))
    for number in range(bins):
        inside = [(p, is_right) for p, is_right in pairs if min(int(p * bins), bins - 1) == number]
        if inside:
            mean = sum(p for p, _ in inside) / len(inside)
            share = sum(is_right for _, is_right in inside) / len(inside)
            gap += abs(mean - share) * len(inside) / len(right)
    return gap
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q3-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["nbval-check-output"]
### BEGIN HIDDEN TESTS
assert check("q3").is_right
### END HIDDEN TESTS
check("q3")

# %% [markdown]
# ## q4 · A level and a bias
#
# 8 minutes, ●●○○○, 2 points.
#
# `probabilities` has the shape `(sentence, occupation, 2)`: P(she) and P(he) for each occupation in each beginning of a
# sentence. Take the share of *she* among the two, then the mean over the sentences. Now each occupation has one number,
# and 0.5 is no preference. Return two numbers:
#
# - `level`: the mean of these numbers over the occupations;
# - `bias`: the mean distance of these numbers from 0.5, doubled, so that it goes from 0 (no preference) to 1 (one
#   pronoun only).
#
# Two sentences, two occupations. In the first sentence P(she) and P(he) are 0.3, 0.1 and 0.05, 0.15: shares 0.75 and
# 0.25. In the second one they are 0.1, 0.3 and 0, 0.4: shares 0.25 and 0. The means are 0.5 and 0.125, the distances
# from 0.5 are 0 and 0.375. You return a `level` of 0.3125 and a `bias` of 0.375.
#
# <details><summary>Hint 1</summary>Could a model that prefers “she” after one occupation and “he” after another get a
# bias of 0 from your function? It should not.</details>
# <details><summary>Hint 2</summary><code>probabilities[..., 0]</code> is P(she), <code>probabilities.sum(-1)</code> the
# sum of both. <code>mean(0)</code> runs over the sentences, <code>abs()</code> comes after it.</details>


# %% nbgrader={"grade": false, "grade_id": "q4", "locked": false, "schema_version": 3, "solution": true, "task": false}
def pronoun_bias(probabilities):
    """Return `level` and `bias` of P(she) and P(he), `(sentence, occupation, 2)`."""
    ### BEGIN SOLUTION
    shares = (probabilities[..., 0] / probabilities.sum(-1)).mean(0)
    return {"level": shares.mean(), "bias": 2 * (shares - 0.5).abs().mean()}
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q4-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["nbval-check-output"]
### BEGIN HIDDEN TESTS
assert check("q4").is_right
### END HIDDEN TESTS
check("q4")

# %% [markdown]
# ### See them at work
#
# The lesson's model said Istanbul. How probable was the truth, and how probable is it in other words?

# %% tags=["raises-exception"]
from course_utils.experiments.greedy_answers import greedy_answers
from course_utils.experiments.failure_cases import CAPITALS, INVENTED_COUNTRIES
from course_utils.models import load_causal_lm

smollm = load_causal_lm()


def prompt_for(country):
    """Return the lesson's question, with the beginning of the answer."""
    chat = [{"role": "user", "content": f"What is the capital of {country}?"}]
    prompt = smollm.tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    return f"{prompt}The capital of {country} is"


for answer in (" Istanbul", " Ankara", " the city of Ankara", " Paris"):
    print(f"{answer:20} {answer_probability(smollm, prompt_for('Turkey'), answer):.4f}")

# %% [markdown]
# The same truth has many probabilities, one for each wording. Now a few of the lesson's countries, and what your
# functions say about the answers. The picture shows the probabilities that the gap compares with the truth.

# %% tags=["raises-exception"]
from course_utils import figures

countries = ["France", "Kenya", "Peru", "Turkey", "Myanmar", "Nepal", *INVENTED_COUNTRIES[:4]]
answers = greedy_answers(smollm.model, smollm.tokenizer, map(prompt_for, countries), max_new_tokens=4)
truths = [CAPITALS.get(country) for country in countries]
is_right = [truth is not None and truth in answer.text for answer, truth in zip(answers, truths, strict=True)]
shares = answer_shares([answer.text for answer in answers], truths)
print(*(f"{name}: {share:.2f}" for name, share in shares.items()))
print(f"gap: {confidence_gap([answer.probability for answer in answers], is_right, bins=4):.2f}")
groups = {"right": {}, "wrong or invented": {}}
for country, answer, good in zip(countries, answers, is_right, strict=True):
    groups["right" if good else "wrong or invented"][f"{country}: {answer.text}"] = answer.probability
figures.confidence_against_truth(groups)

# %% [markdown]
# And the pronouns of the causal model after eight occupations:

# %% tags=["raises-exception"]
from course_utils.experiments.failure_cases import PRONOUN_FRAMES
from course_utils.experiments.pronouns import pronoun_probabilities

names = ["nurse", "nanny", "teacher", "dancer", "doctor", "engineer", "driver", "soldier"]
sentences = [[before.format(name) for name in names] for before, _ in PRONOUN_FRAMES]
measured = torch.stack([pronoun_probabilities(smollm.model, smollm.tokenizer, row) for row in sentences])
{name: round(float(value), 2) for name, value in pronoun_bias(measured).items()}

# %% [markdown]
# ## q5 · A threshold that was chosen afterwards
#
# 5 minutes, ●●○○○, 2 points. A person reads your answer.
#
# In the lesson's figure, a threshold of 0.1 keeps all 24 invented capitals back and loses no right answer. Someone builds
# it into a product and writes: “never invents a capital”. On 100 new invented countries, 6 capitals come through. Why was
# that to be expected? And how do you choose a threshold so that you may publish a number for it? Three sentences are
# enough.

# %% [markdown] nbgrader={"grade": true, "grade_id": "q5", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# The threshold was put just above the most probable invented capital of the 24 that had been seen, so it fits these
# answers; among a hundred new ones some are more probable than that. Choose it on one set of questions, and then
# measure it on another set that had no part in the choice. Publish both sides of that measurement: how many invented
# answers come through, and how many right ones are lost.

# %% [markdown]
# ## Stretch · When does guessing pay?
#
# 10 minutes, ●●●○○, no points.
#
# A test gives one point for a right answer, takes away `cost` points for a wrong one, and gives nothing for “I do not
# know”. A model answers when its probability is at least the threshold. Find the threshold, from 0 to 1 in steps of
# 0.05, with the most points. The model below is perfectly calibrated: of its answers with a probability of 0.7, 70 %
# are right. Predict the best threshold for a cost of 0, 1 and 3 first. What does the first one say about tests that
# take no points away (Kalai et al. 2025, *Why Language Models Hallucinate*)?


# %% nbgrader={"grade": false, "grade_id": "stretch", "locked": false, "schema_version": 3, "solution": true, "task": false} tags=["raises-exception"]
def best_threshold(probabilities, right, cost):
    """Return the threshold with the most points for probabilities and truths `(answer,)`."""
    ### BEGIN SOLUTION
    points = right.float() - cost * (~right).float()
    thresholds = [step / 20 for step in range(21)]
    return max(thresholds, key=lambda threshold: points[probabilities >= threshold].sum().item())
    ### END SOLUTION


chance = torch.Generator().manual_seed(0)
sure = torch.rand(200_000, generator=chance)
is_right = torch.rand(200_000, generator=chance) < sure
{cost: best_threshold(sure, is_right, cost) for cost in (0, 1, 3)}

# %% [markdown]
# **Lesson**: [02 · Where LLMs fail](../notebooks/02_where_llms_fail.ipynb). **This exercise**: [to
# solve](../exercises/02_where_llms_fail.ipynb), [solved](../solutions/02_where_llms_fail.ipynb). **Next exercise**: [03
# · The pipeline, opened](03_the_pipeline_opened.ipynb). **All lessons**: [the index](../notebooks/index.ipynb).
