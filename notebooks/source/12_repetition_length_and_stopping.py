# %% [markdown]
# # 12 · Repetition, length and stopping
#
# A model that always takes the likeliest token can say the same sentence for ever. In this lesson you watch it
# happen, put it to an end in four ways, and decide when and why a text stops.
#
# **You will be able to**
#
# - find a loop in a generated text and measure how it feeds itself;
# - write the presence, frequency and repetition penalties, and say what each does to a logit as the text grows;
# - say what a ban on repeated n-grams destroys;
# - end a text by EOS, by a length or by a stop string, and tell which of them it was;
# - stop at a string that is split between two tokens, without showing a part of it.
#
# **Time**: 40 minutes. **Read before**: [00 · Start here](00_start_here.ipynb). [10 · Prefill and
# decode](10_prefill_and_decode.ipynb) and [11 · Sampling](11_sampling.ipynb) help.

# %% [markdown]
# ## 1 · A loop of its own making
#
# *Greedy* generation takes the token with the largest logit at every step. There is no chance in it. Give SmolLM2 a
# harmless beginning, let it write 100 tokens, and read what comes after the fries.

# %% tags=["nbval-check-output"]
from course_utils.models import load_causal_lm
from course_utils.traces import record_generation

smollm = load_causal_lm()
prompt = "I like to eat"
greedy = record_generation(smollm, prompt, max_new_tokens=100)
print(prompt + smollm.tokenizer.decode(greedy.ids))


# %% [markdown]
# How long is the loop? Call it a loop if the last three rounds are the same. Try every length, the shortest first.


# %% tags=["nbval-check-output"]
def find_period(ids):
    """The length of the run of tokens with which `ids` ends three times; None if there is none."""
    for period in range(1, len(ids) // 3 + 1):
        if ids[-period:] == ids[-2 * period : -period] == ids[-3 * period : -2 * period]:
            return period
    return None


ids = greedy.ids.tolist()
period = find_period(ids)
period, greedy.new_tokens[8 : 8 + period]

# %% [markdown]
# Ten tokens, again and again. Each of them was chosen because it had the largest probability at its step. The model
# reads its own sentence before it writes it once more. What does that do to the probability of the tokens?

# %%
from course_utils.learner import predict

rounds = predict(
    "12-rounds",
    "In the first round, a token of the loop has a mean probability of about 0.3. And in the ninth?",
    {"lower: it has said that already": (0, 0.25), "about the same": (0.25, 0.4), "higher": (0.4, None)},
)
rounds

# %% tags=["nbval-check-output"]
import torch

logits = torch.from_numpy(greedy.logits)  # (step, vocab)
chosen = logits.softmax(-1).gather(1, torch.tensor(ids)[:, None])[:, 0]
means = chosen[8:98].reshape(9, period).mean(1)
rounds.compare(means[8].item(), show="{:.2f}")

# %% [markdown]
# Look at the thick lines in the picture: one for each round.

# %% tags=["nbval-check-output"]
from course_utils import figures

assert (means.diff() > 0).all()
figures.loop_rounds(chosen.numpy(), greedy.new_tokens, start=8, period=period)

# %% [markdown]
# Every round makes the next one surer. Nothing inside the model works against it: the text so far is the best
# evidence for what comes next, and the text so far says that this sentence comes next. Holtzman et al. (2020), *The
# Curious Case of Neural Text Degeneration*, found the same in a larger model.
#
# Now a beginning of your own. Many end in a loop, some do not. Change the text and run the cell.

# %% tags=["nbval-check-output"]
my_prompt = "The cat sat on the mat. The cat"
mine = record_generation(smollm, my_prompt, max_new_tokens=30)
print(f"period {find_period(mine.ids.tolist())}, ended by {mine.reason}")
print(my_prompt + smollm.tokenizer.decode(mine.ids))

# %% [markdown]
# ## 2 · Three penalties by hand
#
# All penalties have one idea: before the next token is chosen, **lower the logits of tokens that the text already
# holds**. They differ in *how much*. Here is a vocabulary of five tokens, and a text in which `the` stands twice.

# %% tags=["nbval-check-output"]
vocabulary = ["the", "cat", "sat", "on", "mat"]
toy_logits = torch.tensor([[2.0, 1.0, -1.0, 0.5, 1.5]])
toy_text = torch.tensor([[0, 1, 2, 0]])  # the cat sat the
counts = torch.bincount(toy_text[0], minlength=5)
dict(zip(vocabulary, counts.tolist(), strict=True))

# %% [markdown]
# The **presence penalty** is fixed: a token that is there loses α, however often it is there. The **frequency
# penalty** is scaled by the count: every time costs α again. This is how the documentation of OpenAI's API defines
# them: *logit − count · α_frequency − (count > 0) · α_presence*. `generate` of `transformers` has neither of them.


# %% tags=["nbval-check-output"]
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
# The **repetition penalty** of Keskar et al. (2019), *CTRL*, does not subtract. It divides the logit by θ, often
# 1.1 or 1.3. Here is what many write at first; the code that was published with the paper does it, too. Look at the
# third number, the logit of `sat`.

# %%
wrong_way = predict(
    "12-sign",
    "The logit of “sat” is −1. You divide it by 2 because “sat” is in the text. What happens to its probability?",
    ["it falls", "it rises", "it stays"],
)
wrong_way


# %% tags=["nbval-check-output"]
def always_divide(logits, ids, penalty):
    """The wrong way."""
    counts = torch.bincount(ids[0], minlength=logits.shape[-1])
    return torch.where(counts > 0, logits / penalty, logits)


before, after = toy_logits.softmax(-1)[0, 2], always_divide(toy_logits, toy_text, 2.0).softmax(-1)[0, 2]
print(always_divide(toy_logits, toy_text, 2.0).tolist())
print(f"probability of “sat”: {before:.3f} → {after:.3f}")

# %% tags=["nbval-check-output"]
wrong_way.compare("it rises" if after > before else "it falls")

# %% [markdown]
# −1 divided by 2 is −0.5, which is *more*. The penalty became a reward. So there is a sign rule: **divide positive
# logits, multiply negative ones**. Then both go down. (A few others also get likelier in the toy: when some tokens
# lose, the rest share what is left.)


# %% tags=["nbval-check-output"]
def my_repetition(logits, ids, penalty):
    counts = torch.bincount(ids[0], minlength=logits.shape[-1])
    penalised = torch.where(logits > 0, logits / penalty, logits * penalty)
    return torch.where(counts > 0, penalised, logits)


my_repetition(toy_logits, toy_text, 2.0).tolist()

# %% [markdown]
# Is yours the one of `transformers`? The toy is easy; take real logits from the middle of the loop. And is a negative
# logit among the tokens of the text there at all?

# %% tags=["nbval-check-output"]
from transformers import RepetitionPenaltyLogitsProcessor

prompt_ids = smollm.encode(prompt)
text = torch.cat([prompt_ids, torch.tensor([ids])], dim=1)
real, so_far = logits[42:43], text[:, : 4 + 42]
assert torch.equal(my_repetition(real, so_far, 1.3), RepetitionPenaltyLogitsProcessor(1.3)(so_far, real))
negative = [token for token in so_far[0].unique().tolist() if real[0, token] < 0]
[(smollm.labels[token], round(real[0, token].item(), 1)) for token in negative]

# %% [markdown]
# One token of the text has a negative logit at this step. It is the second half of the word *burger*, without its
# first half: an unlikely start. A program that always divides would help it.
#
# ## 3 · How penalties grow
#
# The three differ most in what they do *over time*. Take the text of the loop as it is, follow the token `␣not`, and
# ask at each step what every penalty would add to its logit. Look at the shapes: a shelf, stairs, and something else.

# %% tags=["nbval-check-output"]
token = smollm.labels.index("␣not")
rules = {"presence 1": (my_presence, 1.0), "frequency 0.5": (my_frequency, 0.5), "repetition 1.2": (my_repetition, 1.2)}
changes = {name: [] for name in rules}
for step in range(100):
    for name, (rule, setting) in rules.items():
        new = rule(logits[step : step + 1], text[:, 4 : 4 + step], setting)
        changes[name].append((new[0, token] - logits[step, token]).item())
lines = {name: torch.tensor(values).numpy() for name, values in changes.items()}
figures.logit_changes(lines, "␣not", greedy.ids == token)

# %% [markdown]
# - **Presence** is a shelf. It falls once and stays. Once every token of the loop has paid it, nothing changes any
#   more.
# - **Frequency** is stairs: down a step each time the token is written. It grows until the loop breaks.
# - **Repetition** does not count at all. It follows the logit itself: where the token fits well, its logit is large
#   and it loses much; where it does not fit, it loses little. Three to four logits are a lot: a token that is three
#   logits behind has a twentieth of the probability.
#
# The first two are counted over the *new* text here, as in OpenAI's API. The repetition penalty of CTRL and
# `transformers` counts the prompt, too: it punishes words that you asked about. Ask what a setting does before you
# trust its name: `transformers serve`, a server for OpenAI's API, takes a frequency penalty of α and sets a repetition
# penalty of 1 + α.

# %% [markdown]
# ## 4 · On the real model
#
# Now inside of `generate`. The library has the penalties as a logits processor, for `transformers`' own `generate`.
# The first one is a frequency penalty of 0.5. Where does the text leave the loop?


# %% tags=["nbval-check-output"]
from course_utils.engine.penalties import Penalty


def write(*penalties, after=prompt, **settings):
    """Greedy text of transformers' own generate with these penalties; the prompt is left out."""
    start = smollm.encode(after)
    processors = [Penalty(name, value, prompt_length=start.shape[1]) for name, value in penalties]
    output = smollm.model.generate(start, do_sample=False, logits_processor=processors, **settings)
    return smollm.tokenizer.decode(output[0, start.shape[1] :], skip_special_tokens=True)


write(("frequency_penalty", 0.5), max_new_tokens=24)

# %% [markdown]
# One round, and it takes another turn. Now a small one: 0.2. Which of the two ends the loop?

# %%
small = predict(
    "12-small",
    "Penalty 0.2, 100 tokens, the same prompt. Which of the two breaks the loop?",
    ["presence 0.2", "frequency 0.2", "both", "neither"],
)
small

# %% tags=["nbval-check-output"]
texts = {name: write((f"{name}_penalty", 0.2), max_new_tokens=100) for name in ("presence", "frequency")}
ended = [name for name, text in texts.items() if find_period(smollm.encode(text)[0].tolist()) is None]
small.compare({0: "neither", 1: f"{ended[0]} 0.2" if ended else "", 2: "both"}[len(ended)])

# %% [markdown]
# Presence 0.2 has spent itself after one round. Frequency 0.2 needs seven rounds to get deep enough.
#
# **Touch it.** The lab below ran the frequency penalty, and it ran *your* `my_frequency` for it: it would say where
# yours differs from the library's. Each row is a token. The bars hang as deep as its logit is lowered; a dot is a
# step in which it was chosen. Underlined tokens repeat a run that came before. Then:
#
# 1. Move **step** along the loop. Watch the stairs get deeper, and the numbers on the right: logit before → after.
#    At which step does another token win?
# 2. Set `presence_penalty` to 0.3 and `frequency_penalty` to 0, and press Enter. Which loop do you get now?
# 3. Set `no_repeat_ngram` to 4, all else off. Crosses are bans. Read the words that begin with *burg*.
# 4. Set `presence_penalty` to −2: an *invitation* to repeat. And to 3: what does the lab say?
# 5. Write a prompt of your own.

# %% tags=["nbval-check-output"]
from course_utils.widgets import repetition_lab

repetition_lab(smollm, prompt, own={"frequency_penalty": my_frequency}, frequency_penalty=0.2, max_new_tokens=100)

# %% [markdown]
# Does a strong frequency penalty cost nothing, then? Count the tokens of a text that nobody would call repetitive:
# the beginning of Lincoln's address at Gettysburg.

# %% tags=["nbval-check-output"]
from collections import Counter

gettysburg = (
    "Four score and seven years ago our fathers brought forth, upon this continent, a new nation, conceived in "
    "liberty, and dedicated to the proposition that all men are created equal. Now we are engaged in a great civil "
    "war, testing whether that nation, or any nation so conceived and so dedicated, can long endure."
)
Counter(smollm.labels[token] for token in smollm.encode(gettysburg)[0]).most_common(4)

# %% [markdown]
# The comma comes first. A frequency penalty of 1 has lowered it by 7 after only two sentences of this kind, and
# English cannot do without it. The longer the text, the more harm is done to exactly the tokens that every text
# needs. Small values for long texts.

# %% [markdown]
# ## 5 · What does the repetition penalty multiply?
#
# Here is something that is seldom said. The softmax sees only *differences* between logits: add the same number to
# all of them, and not one probability changes. Now look at the toy again, plain and with 10 added to every logit.

# %% tags=["nbval-check-output"]
for shift in (0.0, 10.0):
    shifted = toy_logits + shift
    plain, penalised = shifted.softmax(-1)[0, 0], my_repetition(shifted, toy_text, 1.2).softmax(-1)[0, 0]
    print(f"all logits + {shift:2.0f}: probability of “the” {plain:.2f}, with repetition penalty 1.2 {penalised:.2f}")

# %% [markdown]
# The same distribution, the same penalty, another result. The repetition penalty depends on where the zero of the
# logits lies, and that means nothing to the model. Does it matter for a real text?

# %%
shifted_text = predict(
    "12-shift",
    "Take 20 from every logit of SmolLM2 at every step; repetition penalty 1.1. Is the greedy text the same?",
    ["the same text", "another text"],
)
shifted_text

# %% tags=["nbval-check-output"]
penalty, outputs = Penalty("repetition_penalty", 1.1, prompt_length=4), []
for processors in ([penalty], [lambda ids, scores: scores - 20, penalty]):
    output = smollm.model.generate(prompt_ids, max_new_tokens=40, do_sample=False, logits_processor=processors)
    outputs.append(smollm.tokenizer.decode(output[0, 4:]))
print(*outputs, sep="\n\n---\n\n")

# %% tags=["nbval-check-output"]
shifted_text.compare("the same text" if outputs[0] == outputs[1] else "another text")

# %% [markdown]
# From a logit of 25, a penalty of 1.1 takes more than 2. From a logit of 5 it takes less than 0.5, and the text ends
# in a loop again. So a value that is right for one model may be far too strong for the next. Presence and
# frequency penalties do not have this problem.

# %% [markdown]
# ## 6 · No n-gram twice
#
# The hardest rule: a run of *n* tokens (an **n-gram**) may not come a second time. Paulus, Xiong and Socher (2017)
# used it for summaries. If the last n − 1 tokens stood in the text before, whatever followed them then is banned now:
# its logit becomes −∞.


# %% tags=["nbval-check-output"]
def my_ban(logits, ids, n):
    logits, text = logits.clone(), ids[0].tolist()
    for start in range(len(text) - n + 1):
        *beginning, last = text[start : start + n]
        if beginning == text[len(text) - n + 1 :]:
            logits[0, last] = float("-inf")
    return logits


my_ban(toy_logits, toy_text, 2).tolist()  # the cat sat the …

# %% tags=["nbval-check-output"]
from transformers import NoRepeatNGramLogitsProcessor

for n in (2, 3, 4):
    assert torch.equal(my_ban(real, so_far, n), NoRepeatNGramLogitsProcessor(n)(so_far, real))
[smollm.labels[token] for token in my_ban(real, so_far, 4)[0].isneginf().nonzero()[:, 0]]

# %% [markdown]
# No loop can go on for ever now. But some things *must* come back. A name, for example. Compare the
# first words of the two texts: without a ban, and with *n* = 2.

# %% tags=["nbval-check-output"]
about_harry = "The friends of Harry Potter call him Harry"
[write(*bans, after=about_harry, max_new_tokens=10) for bans in ([], [("no_repeat_ngram", 2)])]

# %% [markdown]
# The name stood in the prompt, so it may not come again. It can get worse. What is wrong with the next text?

# %% tags=["nbval-check-output"]
about_wizards = "Harry Potter is a wizard. The friends of Harry Potter call him Harry"
print(write(("no_repeat_ngram", 2), after=about_wizards, max_new_tokens=24))
print([smollm.labels[token] for token in smollm.encode(" wizard")[0]])

# %% [markdown]
# The model cannot write *wizard* any more: that word is two tokens, so the word itself is an n-gram. You read its ways
# around the ban. A longer *n* does less harm, and lets longer repeats through. Less harm is not none:

# %% tags=["nbval-check-output"]
print(write(("no_repeat_ngram", 4), max_new_tokens=44))

# %% [markdown]
# *Burgabag* is in no dictionary. The four tokens `␣have` `␣a` `␣bur` `ger` were there, so after the second `have a
# bur` the token `ger` was banned.

# %% [markdown]
# ## 7 · How a text ends: EOS and lengths
#
# A model can end its text by itself. One token of the vocabulary means *here it ends*: the end-of-sequence token,
# **EOS**. It has a logit and a probability like every other token. Ask a question in the form that SmolLM2 was
# trained on, and look where the end gets likely. `stop_at_eos` is off, so generation goes on behind it.

# %% tags=["nbval-check-output"]
from course_utils.traces import record_repetition

question = smollm.tokenizer.apply_chat_template(
    [{"role": "user", "content": "What is the capital of France?"}], tokenize=False, add_generation_prompt=True
)
past_the_end = record_repetition(smollm, question, stop_at_eos=False, max_new_tokens=24)
figures.end_of_text(past_the_end.eos_before, past_the_end.eos_after, past_the_end.new_tokens)

# %% [markdown]
# The answer takes seven tokens, then EOS has most of the probability, and it is chosen. A program that does not stop
# there gets the following. Who is speaking in the last line?

# %% tags=["nbval-check-output"]
print(past_the_end.shown[-1])

# %% [markdown]
# The model goes on with what came next in its training: another conversation, and it writes *your* part in it. That
# is why the answers of badly configured programs end in words like `user`.
#
# **At least**: with `min_new_tokens=20` the text must not end earlier. That is done by masking: the logit of EOS
# becomes −∞ until there are 20 tokens. Everything else stays. What will the model write after *Paris.*?

# %%
longer = predict(
    "12-minimum",
    "EOS had most of the probability after “Paris.” Now it is masked. What comes next?",
    ["nothing: the text ends all the same", "the answer goes on", "the same sentence again"],
)
longer

# %% tags=["nbval-check-output"]
minimum = record_repetition(smollm, question, min_new_tokens=20, max_new_tokens=30)
print(minimum.shown[-1])
figures.end_of_text(minimum.eos_before, minimum.eos_after, minimum.new_tokens)

# %% tags=["nbval-check-output"]
answer, text_after = minimum.shown[-1].split(" Paris.", maxsplit=1)
outcomes = {"": "nothing: the text ends all the same", f" {answer} Paris.": "the same sentence again"}
longer.compare(outcomes.get(text_after, "the answer goes on"))

# %% [markdown]
# The second-best token after the full stop wins, and a sentence that began has to be finished. Note the end: it stops
# in the middle, because **at most** was reached. `max_new_tokens` is a pair of scissors. The model does not know of
# it, and does not hurry.
#
# The mask is one line, and `transformers` has the same one:

# %% tags=["nbval-check-output"]
from transformers import MinNewTokensLengthLogitsProcessor

eos = smollm.model.generation_config.eos_token_id
masked = real.clone()
masked[:, eos] = float("-inf")
assert torch.equal(masked, MinNewTokensLengthLogitsProcessor(4, 60, eos)(so_far, real))
smollm.labels[eos], int(masked.isneginf().sum())

# %% [markdown]
# ## 8 · Stop strings
#
# EOS belongs to the model. A **stop string** is yours: end the text at `\n\n`, at `User:`, at `###`. It sounds easy:
# cut the stop string into tokens, and stop when they come. Say that nobody may read the word *burger*.

# %% tags=["nbval-check-output"]
stop = "burger"
stop_ids = smollm.tokenizer(stop).input_ids
[(smollm.labels[token], token) for token in stop_ids], [(smollm.labels[token], token) for token in ids[:4]]

# %%
finds = predict(
    "12-stop-ids",
    "The text holds the word burger. Does a search for the ids of the tokenized stop string find it?",
    ["yes", "no"],
)
finds

# %% tags=["nbval-check-output"]
found = any(ids[start : start + 2] == stop_ids for start in range(len(ids)))
finds.compare("yes" if found else "no")

# %% [markdown]
# In the text the first half is `␣bur`, with its space. That is another token. The same string can be cut in many ways,
# depending on what stands around it. So **compare text, not tokens**: decode what is there, and look for the string.

# %% tags=["nbval-check-output"]
for count in range(1, len(ids)):
    if stop in smollm.tokenizer.decode(ids[:count]):
        break
count, smollm.tokenizer.decode(ids[:count])

# %% [markdown]
# Found, after three tokens. But a program that shows each token at once has shown ` bur` by then, and shown is shown.
# Whatever could *become* a stop string has to wait: in a buffer. It lets go as soon as the text takes another turn.


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
for piece in [" a", " bur", "den", ",", " a b", "urge", " and a bur", "ger", " too"]:
    shown, held, done = split_buffer(held + piece, stop)
    print(f"{piece!r:12} shown {shown!r:14} waits {held!r:8}", "stop!" * done)
    if done:
        break

# %% [markdown]
# `bur` waits, and `den` sets it free. The library's `StopStringBuffer` does the same for many stop strings, and its
# `TextStream` also holds back half characters: the parrot below is three tokens.

# %% tags=["nbval-check-output"]
from course_utils.engine.stopping import TextStream

stream = TextStream(smollm.tokenizer, ["burger"])
pieces = [stream.push(token) for token in smollm.encode("A parrot 🦜 and a burger, please")[0].tolist()]
pieces, stream.buffer.found

# %% [markdown]
# Now SmolLM2 with the stop string. Every generation ends for one reason, and a program should be able to say which:
# `eos`, `stop_string`, `max_new_tokens` or `context_length`. Look at what is withheld.

# %% tags=["nbval-check-output"]
stopped = record_repetition(smollm, prompt, stop_strings=["burger"])
print([*zip(stopped.new_tokens, stopped.shown, stopped.withheld, strict=True)])
stopped.reason

# %% [markdown]
# Go back to the lab, write `burger` into `stop_strings`, and move the step: the part that is held back has a dashed
# frame. Then try `burgers`. And what would these do?

# %% tags=["nbval-check-output"]
wrong_settings = [
    {"presence_penalty": 3},
    {"repetition_penalty": 0},
    {"min_new_tokens": 80},
    {"stop_strings": [""]},
]
for wrong in wrong_settings:
    try:
        record_repetition(smollm, prompt, **wrong)
    except ValueError as error:
        print(error)

# %% tags=["nbval-check-output"]
for wrong in ("", "burger " * 5000):
    try:
        record_repetition(smollm, wrong)
    except ValueError as error:
        print(error)

# %% [markdown]
# ## 9 · The whole thing in one cell
#
# A greedy loop with a KV cache, all three penalties, a minimum, a maximum and stop strings, in plain `torch`. It says
# why it stopped. A last line tries it on the question: 8 tokens, ended by EOS, the id 2.


# %% tags=["nbval-check-output"]
@torch.inference_mode()
def my_generate(prompt, presence=0, frequency=0, repetition=1, minimum=0, maximum=30, stops=()):
    start = ids = unread = smollm.encode(prompt)
    cache = None
    while True:
        output = smollm.model(unread, past_key_values=cache, logits_to_keep=1)
        logits, cache = output.logits[:, -1], output.past_key_values
        new = ids[:, start.shape[1] :]
        logits = my_repetition(logits, ids, repetition)  # the prompt counts
        logits = my_presence(logits, new, presence)  # it does not
        logits = my_frequency(logits, new, frequency)
        if new.shape[1] < minimum:
            logits[:, eos] = float("-inf")
        token = unread = logits.argmax(-1, keepdim=True)
        ids, new = torch.cat([ids, token], dim=1), torch.cat([new, token], dim=1)
        text = smollm.tokenizer.decode(new[0], skip_special_tokens=True)
        if token == eos:
            return new, "eos"
        if any(stop in text for stop in stops):
            return new, "stop_string"
        if new.shape[1] == maximum:
            return new, "max_new_tokens"


my_generate(question)

# %% [markdown]
# And the same four times with `model.generate`. `transformers` brings the repetition penalty, the minimum and the
# stop strings; the library's `Penalty` brings the other two. The assert compares token by token.


# %% tags=["nbval-check-output"]
def theirs(prompt, presence=0, frequency=0, repetition=1.0, minimum=0, maximum=30, stops=()):
    start = smollm.encode(prompt)
    named = {"presence_penalty": presence, "frequency_penalty": frequency}
    stopping = {"stop_strings": list(stops), "tokenizer": smollm.tokenizer} if stops else {}
    output = smollm.model.generate(
        start, do_sample=False, repetition_penalty=float(repetition), min_new_tokens=minimum, max_new_tokens=maximum,
        logits_processor=[Penalty(name, value, start.shape[1]) for name, value in named.items()], **stopping,
    )  # fmt: skip
    return output[:, start.shape[1] :]


for settings in (
    {"prompt": prompt, "presence": 0.3, "frequency": 0.2, "repetition": 1.05},
    {"prompt": prompt, "frequency": 0.5, "stops": ["happy to", "###"]},
    {"prompt": question, "minimum": 12, "stops": ["\n"]},
    {"prompt": question},
):
    new, reason = my_generate(**settings)
    assert torch.equal(new, theirs(**settings))
    print(f"{reason:15} {new.shape[1]:3} tokens  {smollm.tokenizer.decode(new[0])[-42:]!r}")

# %% [markdown]
# ## 10 · Quiz
#
# Every option has an explanation, also the wrong ones. Try them all.

# %% tags=["nbval-check-output"]
from course_utils.learner import quiz_question

quiz_question(
    "12-quiz-loop",
    "Why does a greedy loop not end by itself?",
    [
        ("The model forgets what it wrote", False, "It reads all of it at every step. That is what feeds the loop."),
        ("Every round makes the next one likelier", True, "Yes: you measured it, round by round."),
        (
            "The probabilities in the loop are all 1",
            False,
            "The first round's were about 0.3. The largest one is enough.",
        ),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "12-quiz-growth",
    "A token is in the text for the tenth time. Which penalty has lowered its logit ten times as much as at first?",
    [
        ("presence", False, "It is fixed: there or not there. The tenth time costs nothing more."),
        ("frequency", True, "Yes: it is scaled by the count. That breaks loops, and it hurts commas in long texts."),
        ("repetition", False, "It does not count. It follows the logit: divide if positive, multiply if negative."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "12-quiz-sign",
    "A token of the text has the logit −4. What does a repetition penalty of 2 make of it?",
    [
        ("−2", False, "That is the wrong way: dividing a negative logit makes the token likelier."),
        ("−8", True, "Yes: negative logits are multiplied, so that they fall, too."),
        ("−6", False, "Subtracting a fixed number is what the presence penalty does."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "12-quiz-minimum",
    "You set min_new_tokens to 200 because answers are too short. What do you get?",
    [
        (
            "More careful answers",
            False,
            "The model is only kept from ending. Nothing makes it think of something useful.",
        ),
        ("The same answer and more text behind it", True, "Yes: up to the first EOS nothing changes at all."),
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
        ("The tokenizer is broken", False, "A tokenizer cuts strings by what stands around them. That is its job."),
    ],
)

# %% [markdown]
# ## Take-aways
#
# - Greedy text feeds on itself: each round of a loop is likelier than the one before.
# - Presence is a shelf, frequency is stairs, and the repetition penalty scales the logit itself, whatever its zero is.
# - Always dividing rewards negative logits. Banning n-grams forbids names and words that must come back.
# - EOS is a token: it can be masked until a minimum. The maximum cuts, and the model does not know of it.
# - Look for stop strings in text, never in ids, and withhold what could still become one.
#
# **Next**: [13 · Beam search](13_beam_search.ipynb) keeps several texts alive at once and lets them compete: beam
# search.
#
# **Exercise**: [12 · Repetition, length and stopping](../exercises/12_repetition_length_and_stopping.ipynb). **All
# lessons**: [the index](index.ipynb).
