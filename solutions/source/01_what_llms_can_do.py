# %% [markdown]
# # Exercise 01 · What LLMs can do
#
# | time | difficulty | needs |
# |---|---|---|
# | 45 minutes | ●●○○○ | lesson [01 · What LLMs can do](../notebooks/01_what_llms_can_do.ipynb), sections 1, 3 and 4 |
#
# You write the instruments of the lesson: a prompt with shots, a counter of parameters, a calibration, and two scores
# whose curves look so different. Each function takes and returns plain data: texts, numbers, lists, dicts, tensors.
#
# Run the first cell, then take the tasks in order. `check("q1")` says what is right so far, as often as you like.

# %%
import torch
from course_utils.learner import checker

check = checker("01", globals())

# %% [markdown]
# ## q1 · A prompt with shots
#
# 7 minutes, ●○○○○, 2 points.
#
# Write a few-shot prompt as one text: the instruction, the first `count` of the shots, and last the sentence that is
# asked for, without a topic. A blank line separates these parts. `shots` is a list of pairs, a sentence and its
# topic. With the instruction `Topics.`, the only shot `["The soup needs salt.", "food"]`, `count = 1` and the sentence
# `She won the set.` you return
#
#     Topics.
#
#     Sentence: The soup needs salt.
#     Topic: food
#
#     Sentence: She won the set.
#     Topic:
#
# Nothing comes after the last `Topic:`, neither a space nor a new line. With `count = 0` only the instruction comes
# before the sentence that is asked for.
#
# <details><summary>Hint 1</summary>A new line is <code>"\n"</code>, so a blank line between two parts is
# <code>"\n\n"</code>.</details>
# <details><summary>Hint 2</summary>Collect the parts in a list, which begins as <code>[instruction]</code>.
# <code>"\n\n".join(parts)</code> makes one text of it. <code>shots[:count]</code> are the first shots.</details>


# %% nbgrader={"grade": false, "grade_id": "q1", "locked": false, "schema_version": 3, "solution": true, "task": false}
def shots_prompt(instruction, shots, count, text):
    """Return the instruction, the first `count` shots and the sentence `text` as one prompt."""
    ### BEGIN SOLUTION
    parts = [instruction]
    parts += [f"Sentence: {sentence}\nTopic: {topic}" for sentence, topic in shots[:count]]
    parts += [f"Sentence: {text}\nTopic:"]
    return "\n\n".join(parts)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q1-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["nbval-check-output"]
### BEGIN HIDDEN TESTS
assert check("q1").is_right
### END HIDDEN TESTS
check("q1")

# %% [markdown]
# ## q2 · Count the parameters
#
# 12 minutes, ●●●○○, 3 points.
#
# Count the parameters of a Llama from its configuration, part by part. The lesson did it for SmolLM2. Your function
# must work for every configuration: the embedding may be tied or not, and the heads together may be wider or narrower
# than `hidden_size`. The parts of the result are `embedding`, `attention`, `MLP`, `norms` and `output`. A tied output
# has 0 parameters of its own.
#
# The configuration is a dict:
#
# | key | toy | |
# |---|---|---|
# | `vocab_size` | 10 | tokens in the vocabulary |
# | `hidden_size` | 4 | numbers that go from layer to layer |
# | `num_hidden_layers` | 1 | layers |
# | `num_attention_heads` | 2 | heads of the queries, and of the output map |
# | `num_key_value_heads` | 1 | heads of the keys, and of the values |
# | `head_dim` | 3 | numbers in a head |
# | `intermediate_size` | 5 | inner numbers of the MLP, which has three matrices |
# | `tie_word_embeddings` | False | whether the output uses the embedding's table |
#
# The toy has 40 parameters in the embedding, 72 in attention, 60 in the MLP, 12 in the norms and 40 in the output.
#
# <details><summary>Hint 1</summary>The toy's 72 are 24 for the queries, 12 for the keys, 12 for the values and 24 for
# the output map. Where does each 24 come from?</details>
# <details><summary>Hint 2</summary>All matrices have <code>hidden_size</code> on one side. On the other: heads times
# <code>head_dim</code>, or <code>intermediate_size</code>, or <code>vocab_size</code>. A norm has
# <code>hidden_size</code> numbers, and there are 2 · layers + 1 of them.</details>


# %% nbgrader={"grade": false, "grade_id": "q2", "locked": false, "schema_version": 3, "solution": true, "task": false}
def count_parameters(config):
    """Return the number of parameters of each part of a Llama."""
    ### BEGIN SOLUTION
    width, layers = config["hidden_size"], config["num_hidden_layers"]
    queries = config["num_attention_heads"] * config["head_dim"]
    keys = config["num_key_value_heads"] * config["head_dim"]
    table = config["vocab_size"] * width
    return {
        "embedding": table,
        "attention": layers * width * (2 * queries + 2 * keys),
        "MLP": layers * 3 * width * config["intermediate_size"],
        "norms": (2 * layers + 1) * width,
        "output": 0 if config["tie_word_embeddings"] else table,
    }
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q2-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["nbval-check-output"]
### BEGIN HIDDEN TESTS
assert check("q2").is_right
### END HIDDEN TESTS
check("q2")

# %% [markdown]
# ## q3 · Calibrate
#
# 8 minutes, ●●○○○, 2 points.
#
# `scores` are the log-probabilities of the labels, `(text, label)`: one row per text, one column per label. A model that
# prefers one label gives it to every text. Subtract this preference: from each column its mean over the texts. Then
# return the best label of each text, by its name. (This is **calibration**; [What the shots
# teach](../notebooks/deeper/01_in_context_learning.ipynb) shows what it does to SmolLM2. You don't need it here.)
#
# With the labels `food` and `sport` and the rows −1, −4 and −3, −4.5 the model says *food* twice. The columns have the
# means −2 and −4.25. Subtracted, they leave 1, 0.25 and −1, −0.25, and you return `["food", "sport"]`.
#
# <details><summary>Hint 1</summary>How many means are there: as many as texts, or as many as labels?</details>
# <details><summary>Hint 2</summary><code>scores.mean(0)</code> runs over the texts, <code>argmax(-1)</code> over the
# labels. <code>.tolist()</code> makes numbers of its result, and <code>names[number]</code> is a name.</details>


# %% nbgrader={"grade": false, "grade_id": "q3", "locked": false, "schema_version": 3, "solution": true, "task": false}
def calibrated_labels(scores, names):
    """Return the name of each text's best label, after calibration of the scores `(text, label)`."""
    ### BEGIN SOLUTION
    best = (scores - scores.mean(0)).argmax(-1)
    return [names[label] for label in best.tolist()]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q3-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["nbval-check-output"]
### BEGIN HIDDEN TESTS
assert check("q3").is_right
### END HIDDEN TESTS
check("q3")

# %% [markdown]
# ## q4 · Two ways to count
#
# 10 minutes, ●●○○○, 3 points.
#
# A model wrote phone numbers. Score them in three ways, all of them shares between 0 and 1:
#
# - `digits`: the share of digits that are right, each compared in its place, whatever comes before it;
# - `numbers`: the share of numbers that are right as a whole (exact match);
# - `independent`: what `numbers` would be if each digit were right with the probability `digits`, independent of the
#   others.
#
# All right numbers of a call have the same length. A written number may be too short; a digit that is missing is a
# wrong one. For the written numbers `1234` and `5670` and the right ones `1234` and `5678` you return 7/8 for
# `digits`, 1/2 for `numbers` and (7/8)⁴ for `independent`.
#
# <details><summary>Hint 1</summary>Divide by how many digits there should be, not by how many were written.</details>
# <details><summary>Hint 2</summary><code>zip(own, number)</code> gives the digits in pairs and stops at the shorter
# number. <code>sum(a == b for a, b in …)</code> counts equal ones.</details>


# %% nbgrader={"grade": false, "grade_id": "q4", "locked": false, "schema_version": 3, "solution": true, "task": false}
def two_scores(written, right):
    """Return the shares `digits`, `numbers` and `independent` of written numbers."""
    ### BEGIN SOLUTION
    length = len(right[0])
    pairs = list(zip(written, right, strict=True))
    equal = sum(a == b for own, number in pairs for a, b in zip(own, number, strict=False))
    digits = equal / (length * len(right))
    numbers = sum(own == number for own, number in pairs) / len(right)
    return {"digits": digits, "numbers": numbers, "independent": digits**length}
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q4-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["nbval-check-output"]
### BEGIN HIDDEN TESTS
assert check("q4").is_right
### END HIDDEN TESTS
check("q4")

# %% [markdown]
# ### See them at work
#
# Your counter on SmolLM2, against the model itself:

# %% tags=["raises-exception"]
from course_utils.models import load_causal_lm

smollm = load_causal_lm()
parts = count_parameters(smollm.model.config.to_dict())
print(f"counted {sum(parts.values()):,}, the model says {smollm.model.num_parameters():,}")

# %% [markdown]
# Your prompt without a shot and with two of them, side by side. What do the shots make likely?

# %% tags=["raises-exception"]
from functools import partial
from course_utils.traces import record_surprisals
from course_utils.widgets import next_token_explorer

shots = [["The soup needs salt.", "food"], ["He ran a mile.", "sport"]]
prompts = [shots_prompt("Sentences, each with its topic, food or sport.", shots, n, "She won the set.") for n in (0, 2)]
next_token_explorer(partial(record_surprisals, smollm), *prompts, bars=6)

# %% [markdown]
# Your three scores for the lesson's family of models. The models write whole numbers here, each digit after their own
# digits. Which curve jumps?

# %% tags=["raises-exception"]
from course_utils import figures
from course_utils.models.phone_book import CHARACTERS, phone_book, phone_book_ids, phone_book_models


@torch.inference_mode()
def write_numbers(member):
    """Return the number that the model writes after each name."""
    ids = phone_book_ids()[:, :3]
    while ids.shape[1] < 9:
        ids = torch.cat([ids, member(ids).logits[:, -1:].argmax(-1)], 1)
    return ["".join(CHARACTERS[token] for token in row[3:]) for row in ids.tolist()]


family, true_numbers = phone_book_models(), list(phone_book().values())
scores = [two_scores(write_numbers(member), true_numbers) for member in family.values()]
curves = {name: [score[name] for score in scores] for name in scores[0]}
sizes = [member.num_parameters() for member in family.values()]
figures.curves(curves, sizes, "parameters", "share that is right", logarithmic=True)

# %% [markdown]
# ## q5 · A jump in a paper
#
# 5 minutes, ●●○○○, 2 points. A person reads your answer.
#
# A paper tests models on 50 arithmetic problems of eight steps each. An answer counts if all steps are right. Models up
# to 10 billion parameters score 0 %, a model with 60 billion 40 %. The paper calls this an emergent ability. Name two
# things that you would ask for before you believe in a jump, and say for each what its result would show. Three
# sentences are enough.

# %% [markdown] nbgrader={"grade": true, "grade_id": "q5", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# I would ask for the share of single steps that are right. Eight steps must all be right, so even with 60 % of them
# right exact match is below 2 %: if the steps climb smoothly, the metric makes the jump, and if they jump as well, it
# does not. I would also ask for more problems, because with 50 of them a true share of 1 % mostly shows as 0, so “0 %”
# may mean “too rare for this test”.

# %% [markdown]
# ## Stretch · A mixture of experts
#
# 10 minutes, ●●●○○, no points.
#
# In a mixture of experts every layer has several MLPs, the *experts*, and a small matrix from `hidden_size` to one
# number for each expert, the *router*. A token goes through `active` of the experts, and through everything else. Build
# on `count_parameters`: how many parameters are there, and how many work on one token? Jiang et al. (2024), *Mixtral of
# Experts*, say 47 billion and 13 billion for the configuration below.


# %% nbgrader={"grade": false, "grade_id": "stretch", "locked": false, "schema_version": 3, "solution": true, "task": false} tags=["raises-exception"]
def mixture_parameters(config, experts, active):
    """Return the number of all parameters, and of those that work on one token."""
    ### BEGIN SOLUTION
    parts = count_parameters(config)
    router = config["num_hidden_layers"] * config["hidden_size"] * experts
    others = sum(parts.values()) - parts["MLP"] + router
    return others + experts * parts["MLP"], others + active * parts["MLP"]
    ### END SOLUTION


mixtral = {"vocab_size": 32_000, "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32}
mixtral |= {"num_key_value_heads": 8, "head_dim": 128, "intermediate_size": 14_336, "tie_word_embeddings": False}
[f"{count / 1e9:.1f} billion" for count in mixture_parameters(mixtral, experts=8, active=2)]

# %% [markdown]
# **Lesson**: [01 · What LLMs can do](../notebooks/01_what_llms_can_do.ipynb). **This exercise**: [to
# solve](../exercises/01_what_llms_can_do.ipynb), [solved](../solutions/01_what_llms_can_do.ipynb). **Next exercise**:
# [02 · Where LLMs fail](02_where_llms_fail.ipynb). **All lessons**: [the index](../notebooks/index.ipynb).
