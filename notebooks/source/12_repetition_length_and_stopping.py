# %% [markdown]
# # 12 · Repetition, length and stopping
#
# A model that always takes the likeliest token may say the same sentence forever. In this lesson you watch that happen,
# stop it in several ways, see what each way costs, and decide when and why a text ends.
#
# ![The text so far is: the cat sat the. Three penalties lower the logits of its words. Presence takes 1 from each word
# that was used: the falls from 2 to 1. Frequency takes 1 for each time: the falls to 0. Repetition divides positive
# logits by 2 and multiplies negative ones: sat falls from −1 to −2. The unused words on and mat stay. Beside it what
# stops a text: the EOS token, the maximum length, a stop string.](images/12_repetition_length_and_stopping.svg)
#
# **You will be able to**
#
# - find a loop in a text, and show what feeds it;
# - write three penalties, and say how each grows with the text and what it costs;
# - say what a ban on repeated n-grams destroys;
# - end a text by EOS, by a length or by a stop string, and tell which of them it was;
# - stop at a string that is split between two tokens, without showing a part of it.
#
# **Time**: 45 minutes. **Read before**: [00 · Start here](00_start_here.ipynb). [11 · Sampling](11_sampling.ipynb)
# helps.

# %% [markdown]
# ## 1 · A loop of its own making
#
# *Greedy* generation takes the token with the largest logit at every step. Nothing is random. Let SmolLM2 write 48
# tokens after a harmless beginning, and see what follows the fries.

# %% tags=["nbval-check-output"]
from course_utils.models import load_causal_lm
from course_utils.traces import record_generation, record_repetition

smollm, prompt = load_causal_lm(), "I like to eat"
greedy = record_generation(smollm, prompt, max_new_tokens=48)
print(prompt + smollm.tokenizer.decode(greedy.ids))

# %% [markdown]
# `loop_period` looks for the shortest run of tokens with which a text ends three times in a row.

# %% tags=["nbval-check-output"]
from course_utils.experiments.repetition import loop_period

ids = greedy.ids.tolist()
period = loop_period(ids)
period, greedy.new_tokens[8 : 8 + period]

# %% [markdown]
# Ten tokens, four times. Before each new round, the model has read all the rounds so far. What does that do to the
# next one?

# %%
from course_utils.learner import predict

rounds = predict(
    "12-rounds",
    "In the first round, the ten tokens have a mean probability of about 0.3. And in the fourth?",
    {"lower: it has said that already": (0, 0.25), "about the same": (0.25, 0.4), "higher": (0.4, None)},
)
rounds

# %% tags=["nbval-check-output"]
import torch

logits = torch.from_numpy(greedy.logits)  # (step, vocab)
chosen = logits.softmax(-1).gather(1, torch.tensor(ids)[:, None])[:, 0]
rounds.compare(chosen[38:48].mean().item(), show="{:.2f}")

# %% tags=["nbval-check-output"]
from course_utils import figures

figures.loop_rounds(chosen.numpy(), greedy.new_tokens, start=8, period=period)

# %% [markdown]
# The thick lines are the means. Round by round, the model gets surer of itself.
#
# But that's one text, and greedy chose every token of it. Does repetition do this to any sentence? Or does a model
# simply get surer as a text gets longer? Take the first eight tokens of 24 published stories. The model reads each
# three times in a row, after those of two *other* stories. **Surprisal** says how unexpected a token is, in bits: fewer
# is likelier.

# %% tags=["nbval-check-output"]
from course_utils.experiments.drawn_texts import opening_tokens
from course_utils.experiments.intervals import bootstrap_interval
from course_utils.experiments.repetition import bits_of_parts

openings = opening_tokens(smollm)[0][:, :8]  # (24, 8)
texts = torch.cat([openings.roll(2, 0), openings.roll(1, 0), openings, openings, openings], dim=1)
before = ["nothing", "one other opening", "two others", "two others, itself", "two others, itself twice"]
for name, bits in zip(before, bits_of_parts(smollm.model, texts, 8).T, strict=True):
    low, high = bootstrap_interval(bits.tolist())
    print(f"after {name:24} {bits.mean():.2f} bits per token, 95 % interval {low:.2f} to {high:.2f}")

# %% [markdown]
# All rows measure the same openings. After two others, one is still hard to predict. The second time it's cheap, the
# third time nearly free. So it's the repetition, not the length. Heads that look up what followed last time have a part
# in it: the *induction heads* of [lesson 08](08_attention.ipynb) (Olsson et al. 2022). Larger models feed their loops,
# too (Holtzman et al. 2020; Xu et al. 2022). But GPT-2 small also has a head that *lowers* tokens which are about to be
# copied (McDougall et al. 2023, *Copy Suppression*). Here, copying wins.
#
# ## 2 · Three penalties by hand
#
# All penalties **lower the logits of the tokens that are already in the text**. The **presence penalty** is fixed: a
# token that is there loses α, however often it's there. The **frequency penalty** counts: it takes α for each time.
# OpenAI's documentation has one formula for both, *logit − count · α_frequency − (count > 0) · α_presence*. `generate`
# of `transformers` has neither.
#
# Take a vocabulary of five tokens: the, cat, sat, on, mat. The text so far is *the cat sat the*.


# %% tags=["nbval-check-output"]
toy_logits = torch.tensor([[2.0, 1.0, -1.0, 0.5, 1.5]])
toy_text = torch.tensor([[0, 1, 2, 0]])  # the cat sat the


def my_presence(logits, ids, penalty):
    """logits (1, vocab), ids (1, seq)"""
    counts = torch.bincount(ids[0], minlength=logits.shape[-1])
    return logits - penalty * (counts > 0)


def my_frequency(logits, ids, penalty):
    counts = torch.bincount(ids[0], minlength=logits.shape[-1])
    return logits - penalty * counts


print("before   ", toy_logits.tolist())
print("presence ", my_presence(toy_logits, toy_text, 1.0).tolist())
print("frequency", my_frequency(toy_logits, toy_text, 1.0).tolist())

# %% [markdown]
# The **repetition penalty** divides the logit by θ instead, often by 1.1 or 1.3 (Keskar et al. 2019, *CTRL*). Look at
# the third number, the logit of `sat`.

# %%
wrong_way = predict(
    "12-sign",
    "The logit of “sat” is −1. You divide it by 2 because “sat” is in the text. What happens to its probability?",
    ["it falls", "it rises", "it stays"],
)
wrong_way

# %% tags=["nbval-check-output"]
divided = toy_logits / torch.tensor([2, 2, 2, 1, 1])
before, after = toy_logits.softmax(-1)[0, 2], divided.softmax(-1)[0, 2]
print(divided.tolist())
print(f"probability of “sat”: {before:.3f} → {after:.3f}")
wrong_way.compare("it rises" if after > before else "it falls")

# %% [markdown]
# −1 divided by 2 is −0.5, which is *more*. The penalty became a reward. `transformers` had this bug, too, until [a
# report](https://github.com/huggingface/transformers/issues/2302) of *dog dog dog* in 2019. Hence the sign rule:
# **divide positive logits, multiply negative ones**.


# %% tags=["nbval-check-output"]
def my_repetition(logits, ids, penalty):
    counts = torch.bincount(ids[0], minlength=logits.shape[-1])
    penalised = torch.where(logits > 0, logits / penalty, logits * penalty)
    return torch.where(counts > 0, penalised, logits)


my_repetition(toy_logits, toy_text, 2.0).tolist()

# %% [markdown]
# Now real logits, from the middle of the loop. Does your penalty equal the one in `transformers`? And does any token of
# this text have a negative logit?

# %% tags=["nbval-check-output"]
from transformers import RepetitionPenaltyLogitsProcessor

prompt_ids = smollm.encode(prompt)
text = torch.cat([prompt_ids, torch.tensor([ids])], dim=1)
real, so_far = logits[42:43], text[:, : 4 + 42]
assert torch.equal(my_repetition(real, so_far, 1.3), RepetitionPenaltyLogitsProcessor(1.3)(so_far, real))
negative = [token for token in so_far[0].unique().tolist() if real[0, token] < 0]
[(smollm.labels[token], round(real[0, token].item(), 1)) for token in negative]

# %% [markdown]
# One does: the second half of *burger*.
#
# ## 3 · How penalties grow
#
# Follow the token `␣not` through the loop. What would each penalty add to its logit at every step?

# %% tags=["nbval-check-output"]
token = smollm.labels.index("␣not")
rules = {"presence 1": (my_presence, 1.0), "frequency 0.5": (my_frequency, 0.5), "repetition 1.2": (my_repetition, 1.2)}
changes = {name: [] for name in rules}
for step in range(48):
    for name, (rule, setting) in rules.items():
        new = rule(logits[step : step + 1], text[:, 4 : 4 + step], setting)
        changes[name].append((new[0, token] - logits[step, token]).item())
lines = {name: torch.tensor(values).numpy() for name, values in changes.items()}
figures.logit_changes(lines, "␣not", greedy.ids == token)

# %% [markdown]
# - **Presence** is a shelf. It drops once and stays.
# - **Frequency** is stairs: one step down each time the token is written.
# - **Repetition** doesn't count. It follows the logit itself, and takes *x* · (1 − 1/θ) from a positive logit *x*, (θ −
#   1) · |*x*| from a negative one: the farther from zero, the more.
#
# How much is much? Lower a logit by 3, and the token's odds fall to a twentieth.
#
# So the repetition penalty depends on where zero is. The softmax doesn't: add the same number to all logits, and no
# probability changes:

# %% tags=["nbval-check-output"]
for shift in (0.0, 10.0):
    shifted = toy_logits + shift
    plain, penalised = shifted.softmax(-1)[0, 0], my_repetition(shifted, toy_text, 1.2).softmax(-1)[0, 0]
    print(f"all logits + {shift:2.0f}: probability of “the” {plain:.2f}, with repetition penalty 1.2 {penalised:.2f}")

# %% [markdown]
# The same distribution, the same penalty, another result. A θ that is mild for one model may be harsh for the next, if
# its logits are higher. Presence and frequency penalties don't have this problem.
#
# ## 4 · On the real model
#
# Is a small penalty enough? SmolLM2 starts over, once with presence 0.3, once with frequency 0.3.

# %%
small = predict(
    "12-small",
    "Which of the two keeps the text out of a loop?",
    ["presence 0.3", "frequency 0.3", "both", "neither"],
)
small

# %% [markdown]
# Frequency first, in a lab. Each row is a token. Its bar hangs as deep as its logit is lowered, and a dot is a step in
# which it was chosen. The lab runs *your* `my_frequency`, and would say where yours differs from the library's.

# %% tags=["nbval-check-output"]
from course_utils.widgets import repetition_lab

lab = repetition_lab(smollm, prompt, own={"frequency_penalty": my_frequency}, frequency_penalty=0.3)
frequency = lab.trace
lab

# %% tags=["nbval-check-output"]
presence = record_repetition(smollm, prompt, presence_penalty=0.3, max_new_tokens=45)
print(presence.shown[-1])
runs = {"presence 0.3": presence, "frequency 0.3": frequency}
free = [name for name, run in runs.items() if loop_period(run.ids.tolist()) is None]
small.compare({0: "neither", 1: free[0] if free else "", 2: "both"}[len(free)])

# %% [markdown]
# Presence left one loop for another. Once each token of the new loop has paid its 0.3, presence changes nothing.
# Frequency keeps charging until something else wins; here, the end of the text.
#
# **Try it** in the lab:
#
# 1. Move **step** to 19, where the comma wins. On the right you read each logit before → after.
# 2. Set `frequency_penalty` to 0.22 and `max_new_tokens` to 100, and press Enter. Is that a way out?
# 3. Set `no_repeat_ngram` to 4, all else off. Crosses are bans. Read the words that begin with *burg*.
# 4. Set `presence_penalty` to −2, an *invitation* to repeat.
# 5. Switch all penalties off and write prompts of your own. Which ones loop?
#
# ## 5 · What a penalty costs
#
# What does a penalty do to a text that *should* repeat? Let SmolLM2 list the months after February in two rows, the
# second with a frequency penalty of 1. `Penalty` is a logits processor of ours, for the `generate` of `transformers`.


# %% tags=["nbval-check-output"]
import warnings

from course_utils.engine.penalties import Penalty


def chat(question):
    """The prompt as SmolLM2 was trained on it: the question in its chat template."""
    messages = [{"role": "user", "content": question}]
    return smollm.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)


months = chat("List the twelve months of the year, one per line.")
months += "The twelve months of the year are: January, February,"
twice = smollm.encode(months).repeat(2, 1)
penalty = Penalty("frequency_penalty", 1.0, prompt_length=twice.shape[1])


def second_row(ids, logits):
    return torch.cat([logits[:1], penalty(ids[1:], logits[1:])])


settings = {"attention_mask": torch.ones_like(twice), "do_sample": False, "logits_processor": [second_row]}
with warnings.catch_warnings(action="ignore"):  # without a length, generate warns: section 7
    lists = smollm.model.generate(twice, **settings)[:, twice.shape[1] :]
print(*smollm.tokenizer.batch_decode(lists), sep="\n")

# %% [markdown]
# After October, the comma has paid too much, and November is lost. That's one text. To measure the cost, take 21
# articles of the Universal Declaration of Human Rights and let the model read them in one go, as if it had written
# them. How many bits *more* does a token cost under a penalty? The columns are the first, the next and the last seven
# articles, with 95 % intervals.

# %% tags=["nbval-check-output"]
from course_utils.experiments.human_rights import human_rights
from course_utils.experiments.repetition import penalty_costs

articles = [f"{article}\n\n" for article in human_rights()["English"][:21]]
rules = {"presence 1": (my_presence, 1.0), "frequency 0.1": (my_frequency, 0.1), "frequency 1": (my_frequency, 1.0),
         "repetition 1.2": (my_repetition, 1.2)}  # fmt: skip
print(sum(smollm.encode(article).shape[1] for article in articles), "tokens")
for name, costs in penalty_costs(smollm, articles, rules).items():
    means = [(part.mean(), *bootstrap_interval(part.tolist())) for part in costs.split(7)]
    print(f"{name:15}", "   ".join(f"{mean:+6.2f} ({low:.2f} to {high:.2f})" for mean, low, high in means))

# %% [markdown]
# In this text, presence costs little, and no more at the end than at the beginning. The repetition penalty costs about
# a bit throughout. A frequency penalty of 1 makes the last third all but impossible to write, and even at 0.1 the cost
# grows. OpenAI's documentation calls 0.1 to 1 reasonable. For long texts, stay at the low end.
#
# Which text counts depends on the program (documentation and code, read in 2026):
#
# | | presence and frequency | repetition |
# |---|---|---|
# | OpenAI's API | new text | has none |
# | vLLM (Kwon et al. 2023) | new text | prompt and new text |
# | `transformers` | has none | prompt and new text |
#
# If the prompt counts, the words that you ask about are penalised from the start. And names mislead: `transformers
# serve` turns a frequency penalty of α into a repetition penalty of 1 + α.
#
# ## 6 · No n-gram twice
#
# The hardest rule: a run of *n* tokens (an **n-gram**) must not come twice (Paulus, Xiong and Socher 2017). If the last
# n − 1 tokens were in the text before, whatever followed them then is banned: its logit becomes −∞. In `transformers`
# the prompt counts here, too.


# %% tags=["nbval-check-output"]
from transformers import NoRepeatNGramLogitsProcessor


def my_ban(logits, ids, n):
    logits, text = logits.clone(), ids[0].tolist()
    for start in range(len(text) - n + 1):
        *beginning, last = text[start : start + n]
        if beginning == text[len(text) - n + 1 :]:
            logits[0, last] = -torch.inf
    return logits


for n in (2, 3, 4):
    assert torch.equal(my_ban(real, so_far, n), NoRepeatNGramLogitsProcessor(n)(so_far, real))
my_ban(toy_logits, toy_text, 2).tolist()  # the cat sat the …

# %% [markdown]
# No loop survives that. But some things *must* come back. What's wrong with this text?

# %% tags=["nbval-check-output"]
about_wizards = "Harry Potter is a wizard. The friends of Harry Potter call him Harry"
start = smollm.encode(about_wizards)
ban = Penalty("no_repeat_ngram", 2, prompt_length=start.shape[1])
output = smollm.model.generate(start, do_sample=False, logits_processor=[ban], max_new_tokens=11)
print(smollm.tokenizer.decode(output[0, start.shape[1] :]))
print([smollm.labels[token] for token in smollm.encode(" wizard")[0]])

# %% [markdown]
# The model can't write *wizard* any more: two tokens, so the word is an n-gram itself. A longer *n* does less harm, and
# lets longer repeats through.
#
# ## 7 · How a text ends: EOS and lengths
#
# One token of the vocabulary means *here it ends*: the end-of-sequence token, **EOS**. It has a probability like any
# other. Ask a question, and don't stop at EOS. Where is the end likely, and what comes after it?

# %% tags=["nbval-check-output"]
question = chat("What is the capital of France?")
past_the_end = record_repetition(smollm, question, stop_at_eos=False, max_new_tokens=20)
print(past_the_end.shown[-1])
figures.end_of_text(past_the_end.eos_before, past_the_end.eos_after, past_the_end.new_tokens)

# %% [markdown]
# After seven tokens, EOS has most of the probability. Because nothing stopped it there, the model began another
# conversation, in which it writes *your* part, too.
#
# **At least.** With `min_new_tokens=10`, EOS is masked: its logit is −∞ until there are ten tokens.

# %% tags=["nbval-check-output"]
print(record_repetition(smollm, question, min_new_tokens=10, max_new_tokens=14).shown[-1])

# %% [markdown]
# The second-best token after the full stop won, and its sentence has to go somewhere.
#
# **At most.** That answer stops in mid-sentence. `max_new_tokens` is a pair of scissors: the model doesn't know of it,
# and doesn't hurry. `transformers` also has `max_length`. How many new tokens do you get after a prompt of four? And in
# the lists of months, with nothing set?

# %% tags=["nbval-check-output"]
output = smollm.model.generate(prompt_ids, do_sample=False, max_length=8)
print(f"max_length 8: {output.shape[1] - prompt_ids.shape[1]} new tokens")
print(f"nothing set: {lists.shape[1]} new tokens")

# %% [markdown]
# `max_length` counts the prompt. And with no length at all, `generate` stops after 20 new tokens (vLLM's
# `SamplingParams`: 16). The lists of section 5 just fitted. If your answers are cut short, look there first.
#
# ## 8 · Stop strings
#
# EOS belongs to the model. A **stop string** is yours: end the text at `\n\n`, at `User:`, at `###`. It sounds easy:
# tokenize the stop string, and stop when these tokens come. Say that nobody may read the word *burger*.

# %%
finds = predict(
    "12-stop-ids",
    "The text holds the word burger. Does a search for the ids of the tokenized stop string find it?",
    ["yes", "no"],
)
finds

# %% tags=["nbval-check-output"]
stop = "burger"
stop_ids = smollm.tokenizer(stop).input_ids
found = any(ids[start : start + len(stop_ids)] == stop_ids for start in range(len(ids)))
print([smollm.labels[token] for token in stop_ids], [smollm.labels[token] for token in ids[:4]])
finds.compare("yes" if found else "no")

# %% [markdown]
# In the text, the first half is `␣bur`, with its space: another token. So **compare text, not tokens**.
#
# But a program that shows each token at once has shown ` bur` before `ger` comes. Whatever could *become* a stop string
# has to wait in a buffer, until the text takes another turn.


# %% tags=["nbval-check-output"]
def split_buffer(text, stop):
    """What may be shown, what must wait, and whether the stop string is complete."""
    if stop in text:
        return text[: text.index(stop)], "", True
    for length in range(min(len(stop) - 1, len(text)), 0, -1):
        if text.endswith(stop[:length]):
            return text[:-length], text[-length:], False
    return text, "", False


held, done = "", False
for piece in [" a", " bur", "den", " a b", "urge", " and a bur", "ger", " too"]:
    shown, held, done = split_buffer(held + piece, stop)
    print(f"{piece!r:12} shown {shown!r:14} waits {held!r:8}", "stop!" * done)
    if done:
        break

# %% [markdown]
# `bur` waits, and `den` sets it free. Write `burger` into the lab's `stop_strings`: what is held back has a dashed
# frame. The lab also says why the text ended. Every program should.
#
# ## 9 · The whole thing in one cell
#
# A loop with a KV cache, three penalties, a temperature, a minimum, a maximum and stop strings. As in `transformers`,
# penalties come *before* the temperature: at 0.5, a penalty of 1 is worth 2.


# %%
@torch.inference_mode()
def my_generate(prompt, presence=0, frequency=0, repetition=1, temperature=0, minimum=0, maximum=20, stops=()):
    start = ids = unread = smollm.encode(prompt)
    cache, eos = None, smollm.model.generation_config.eos_token_id
    while True:
        output = smollm.model(unread, past_key_values=cache, logits_to_keep=1)
        logits, cache = output.logits[:, -1], output.past_key_values
        new = ids[:, start.shape[1] :]
        logits = my_repetition(logits, ids, repetition)  # the prompt counts
        logits = my_frequency(my_presence(logits, new, presence), new, frequency)  # it doesn't
        if new.shape[1] < minimum:
            logits[:, eos] = -torch.inf
        token = logits.argmax(-1, keepdim=True)
        if temperature:
            token = torch.multinomial((logits / temperature).softmax(-1), 1)
        unread, ids, new = token, torch.cat([ids, token], dim=1), torch.cat([new, token], dim=1)
        text = smollm.tokenizer.decode(new[0], skip_special_tokens=True)
        if token == eos:
            return new, "eos"
        if any(stop in text for stop in stops):
            return new, "stop_string"
        if new.shape[1] == maximum:
            return new, "max_new_tokens"


# %% [markdown]
# And `transformers`, with our `Penalty` for the two that it lacks. The first run samples, with all three penalties and
# a minimum. The assert compares every token.


# %% tags=["nbval-check-output"]
def theirs(prompt, presence=0, frequency=0, repetition=1.0, temperature=0, minimum=0, maximum=20, stops=()):
    start = smollm.encode(prompt)
    named = {"presence_penalty": presence, "frequency_penalty": frequency}
    added = [Penalty(name, value, start.shape[1]) for name, value in named.items()]
    choice = {"do_sample": True, "temperature": temperature, "top_k": 0} if temperature else {"do_sample": False}
    stopping = {"stop_strings": list(stops), "tokenizer": smollm.tokenizer} if stops else {}
    limits = {"min_new_tokens": minimum, "max_new_tokens": maximum, "repetition_penalty": float(repetition)}
    output = smollm.model.generate(start, logits_processor=added, **choice, **stopping, **limits)
    return output[:, start.shape[1] :]


penalties = {"presence": 0.3, "frequency": 0.2, "repetition": 1.05}
for settings in (
    {"prompt": question, **penalties, "temperature": 0.7, "minimum": 9, "maximum": 10},
    {"prompt": prompt, "frequency": 0.5, "stops": [" burger", "###"]},
    {"prompt": question},
):
    torch.manual_seed(0)
    new, reason = my_generate(**settings)
    torch.manual_seed(0)
    assert torch.equal(new, theirs(**settings))
    print(f"{reason:15} {new.shape[1]:3} tokens  {smollm.tokenizer.decode(new[0])[-42:]!r}")

# %% [markdown]
# ## 10 · Quiz
#
# Every option, right or wrong, has an explanation.

# %% tags=["nbval-check-output"]
from course_utils.learner import quiz_question

quiz_question(
    "12-quiz-growth",
    "A token is in the text for the tenth time. Which penalty now lowers its logit ten times as much as at first?",
    [
        ("presence", False, "It's fixed: there or not there. The tenth time costs nothing more."),
        ("frequency", True, "Yes: it counts. That breaks loops, and it takes the commas from long texts."),
        ("repetition", False, "It doesn't count. It follows the logit: divide if positive, multiply if negative."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "12-quiz-minimum",
    "You set min_new_tokens to 200 because answers are too short. What do you get?",
    [
        ("More careful answers", False, "The model is only kept from ending. Nothing makes it think of more to say."),
        ("The same answer, and more text after it", True, "Yes: in greedy text, nothing changes up to the first EOS."),
        ("An error if the model wants to end", False, "EOS is masked quietly, and the next-best token is taken."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "12-quiz-stop",
    "A chat program shows every token at once and stops at “User:”. Sometimes people see “Us” at the end. Why?",
    [
        ("The stop string was never found", False, "Then the text would go on. It was found, only too late."),
        ("“Us” came as a token of its own and was shown", True, "Yes: what could become the stop string must wait."),
        ("The tokenizer is broken", False, "Cutting a string by what is around it is a tokenizer's job."),
    ],
)

# %% [markdown]
# ## Take-aways
#
# - What a text has said twice is nearly free the third time. That feeds a loop.
# - Presence is a shelf, frequency is stairs, and the repetition penalty scales the logit itself, wherever its zero is.
# - Penalties also hit what must come back: commas, names, lists. A frequency penalty hurts more as the text grows.
# - EOS is a token: mask it until a minimum is reached. The maximum cuts, and the model doesn't know of it.
# - Look for stop strings in text, never in ids, and hold back what could still become one.
#
# **Exercise**: [12 · Repetition, length and stopping](../exercises/12_repetition_length_and_stopping.ipynb). **All
# lessons**: [the index](index.ipynb).
#
# **Next**: [13 · Beam search](13_beam_search.ipynb) keeps several texts alive at once and lets them compete.
