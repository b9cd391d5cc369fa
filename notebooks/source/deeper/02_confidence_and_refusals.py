# %% [markdown]
# # Deeper 02 · Confidence and refusals
#
# [Lesson 02](../02_where_llms_fail.ipynb) asked SmolLM2 for the capitals of countries that don't exist. It made them
# all up, and its probabilities were low. So there are two ways to keep made-up answers back: a threshold for the
# probability, or a prompt that brings the model to say “I do not know”. What does each cost?
#
# **You will be able to**
#
# - choose a threshold on some questions and test it on others;
# - measure refusals on both sides, with the baseline that shows what a change of the prompt did.
#
# **Time**: 15 minutes. **Read before**: [02 · Where LLMs fail](../02_where_llms_fail.ipynb), sections 1 and 2.

# %% [markdown]
# ## 1 · A threshold, chosen and tested
#
# There are 40 real countries and 24 invented ones. The first 20 and 12 are for choosing, the others for testing. The
# answer is begun, as in the lesson.

# %%
from course_utils import figures
from course_utils.experiments.failure_cases import CAPITALS, INVENTED_COUNTRIES, MORE_CAPITALS, RARE_COUNTRIES
from course_utils.experiments.greedy_answers import greedy_answers
from course_utils.models import load_causal_lm

smollm = load_causal_lm()
model, tokenizer = smollm.model, smollm.tokenizer
capitals = {**CAPITALS, **MORE_CAPITALS}


def chat(country, begun="", system=None, examples=()):
    """The question after some answered ones, in the model's chat format, and the beginning of its answer."""
    messages = [{"role": "system", "content": system}] if system else []
    for name, reply in [*examples, (country, None)]:
        messages += [{"role": "user", "content": f"What is the capital of {name}?"}]
        messages += [{"role": "assistant", "content": reply}] if reply else []
    return tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True) + begun


# %% tags=["nbval-check-output"]
names = [*capitals, *INVENTED_COUNTRIES]
prompts = [chat(name, begun=f"The capital of {name} is") for name in names]
answers = dict(zip(names, greedy_answers(model, tokenizer, prompts, max_new_tokens=6), strict=True))
right = {name: capitals.get(name, "\n") in answers[name].text for name in names}
print(f"{sum(right.values())} of {len(capitals)} real ones are right")

# %% tags=["nbval-check-output"]
groups = {"real, right": {}, "real, wrong": {}, "invented": {}}
for name, answer in answers.items():
    group = "real, right" if right[name] else "real, wrong" if name in capitals else "invented"
    groups[group][f"{name}: {answer.text}"] = answer.probability
figures.confidence_against_truth(groups)

# %% [markdown]
# Which threshold is best? Say that a right answer is worth a point, and a wrong or invented one costs a point. Try
# every probability of the first half, take the best, and use it on the second half.

# %%
choosing = [*CAPITALS, *INVENTED_COUNTRIES[:12]]
testing = [*MORE_CAPITALS, *INVENTED_COUNTRIES[12:]]


def given(half, threshold):
    """How many of the answers at or above the threshold are right, and how many are not."""
    kept = [name for name in half if answers[name].probability >= threshold]
    good = sum(right[name] for name in kept)
    return good, len(kept) - good


def points(threshold):
    good, bad = given(choosing, threshold)
    return good - bad


# %% tags=["nbval-check-output"]
best = max((answers[name].probability for name in choosing), key=points)
print(f"threshold chosen on the first half: {best:.2f}")
for title, half in (("first half ", choosing), ("second half", testing)):
    without, kept = given(half, 0), given(half, best)
    gain = kept[0] - kept[1] - (without[0] - without[1])
    print(f"{title}: right and wrong without it {without}, with it {kept}, gain {gain} points")

# %% [markdown]
# On the half it was chosen on, the threshold loses three of the 13 right answers. On the other half it loses eight of
# 19. In points, it gains 15 there and 5 here. Some of that isn't the threshold's doing: the second half had fewer wrong
# answers to begin with. But only the second line had no part in the choice, so that's the one you may publish.
#
# Is there a threshold that leaves nothing but right answers? On the first half, yes:

# %% tags=["nbval-check-output"]
strict = min(answers[name].probability for name in choosing if given(choosing, answers[name].probability)[1] == 0)
print(f"nothing wrong in the first half from {strict:.2f} on: {given(choosing, strict)[0]} right answers are left")
print("the same threshold on the second half, right and wrong:", given(testing, strict))

# %% [markdown]
# It works on the second half, too, at a price: eleven of the 19 right answers are gone.
#
# ## 2 · Does a probability of 0.7 mean right in 70 %?
#
# All 40 real countries in three groups by their probability. A calibrated model would have the same number in both
# columns.

# %% tags=["nbval-check-output"]
from course_utils.experiments.intervals import wilson_interval

for low, high in ((0, 0.4), (0.4, 0.7), (0.7, 1.01)):
    inside = [name for name in capitals if low <= answers[name].probability < high]
    mean = sum(answers[name].probability for name in inside) / len(inside)
    good = sum(right[name] for name in inside)
    ends = wilson_interval(good, len(inside))
    print(f"mean probability {mean:.2f}: {good} of {len(inside)} right ({ends[0]:.2f} to {ends[1]:.2f})")

# %% [markdown]
# In the two lower groups the model is right *more* often than it says, and the intervals don't contain its probability.
# One reason is what was counted: the probability belongs to one wording. “the city of Paris” would be right, too, and
# its probability isn't in the number for “Paris”.
#
# Kadavath et al. (2022), *Language Models (Mostly) Know What They Know*, found that the probabilities of models of up
# to 52 billion parameters are a good guide when the question has the right format. Measure it for yours.
#
# ## 3 · “I do not know”, with examples
#
# Now the prompt. Put four answered questions before the real one. Two have a capital; two are about invented countries
# and are answered “I do not know.” Five prompts are compared:
#
# | prompt | what it shows |
# |---|---|
# | plain | the baseline: no examples, no begun answer |
# | told | the system prompt (lesson 09) asks for “I do not know”; else the chat template (lesson 05) has its own |
# | four capitals | what four short turns do, without any refusal |
# | two refusals | the same turns, with two of the capitals replaced by refusals |
# | begun | the lesson's form: the answer is begun |
#
# An answer may have 25 tokens and ends with its first sentence. Eight real countries that are seldom written about are
# asked for as well.

# %%
rule = "If you do not know the answer, say: I do not know."
known = [("Italy", "Rome."), ("Spain", "Madrid."), ("Sweden", "Stockholm."), ("Poland", "Warsaw.")]
mixed = [known[0], ("Blorvia", "I do not know."), known[2], ("Trelgania", "I do not know.")]
forms = {
    "plain": chat,
    "told": lambda name: chat(name, system=rule),
    "four capitals": lambda name: chat(name, examples=known),
    "two refusals": lambda name: chat(name, examples=mixed),
    "begun": lambda name: chat(name, begun=f"The capital of {name} is"),
}
# %% tags=["nbval-check-output"]
everybody, found = [*capitals, *INVENTED_COUNTRIES, *RARE_COUNTRIES], {}
for form, write in forms.items():
    said = greedy_answers(model, tokenizer, map(write, everybody), max_new_tokens=25, ends=".\n")
    found[form] = {name: answer.text for name, answer in zip(everybody, said, strict=True)}
    refused = [
        sum("not know" in found[form][name] for name in group)
        for group in (INVENTED_COUNTRIES, capitals, RARE_COUNTRIES)
    ]
    print(f"{form:14} “I do not know”: invented {refused[0]} of 24, real {refused[1]} of 40, rare {refused[2]} of 8")

# %% [markdown]
# Two examples do what the instruction couldn't: every invented country is refused, and only one of the 40 real ones. A
# triumph? The last column says no: seven of the eight rare countries are refused, and they exist. The model can't look
# up what exists. Perhaps it tells names that it has often read from names that it hasn't; eight countries only hint at
# that.
#
# And what became of the right answers?

# %% tags=["nbval-check-output"]
rows = {}
for form, texts in found.items():
    good = sum(capital in texts[name] for name, capital in capitals.items())
    rows[form] = (good, len(capitals), *wilson_interval(good, len(capitals)))
figures.counted_shares(rows, "prompt", "right capitals")

# %% tags=["nbval-check-output"]
short = found["four capitals"], found["two refusals"]
both = [tuple(capital in texts[name] for texts in short) for name, capital in capitals.items()]
print(f"only with four capitals: {both.count((True, False))}, only with two refusals: {both.count((False, True))}")

# %% tags=["nbval-check-output"]
for name in ("Kenya", "Egypt", "Canada", "Australia", "Nepal"):
    print(f"{name:10}", {form: texts[name][:40] for form, texts in found.items() if form in ("plain", "four capitals")})

# %% [markdown]
# “Honesty costs knowledge” would be a good story, and this figure doesn't support it. Most of the drop comes with the
# four short turns, before any of them refuses. The refusals cost four more and win none, too few to be sure: four coins
# fall on the same side once in eight times. (What else changes with the turns: “The capital of Kenya is” comes before
# the name in a plain answer. In a short one the name comes first, so its first token has a capital letter and no space
# before it: another token than in a running sentence.)
#
# Two habits to keep: count what is refused *and* what is still right, and add the arm that shows which part of your
# change did it.
#
# **Back to the lesson**: [02 · Where LLMs fail](../02_where_llms_fail.ipynb). **All lessons**: [the
# index](../index.ipynb).
