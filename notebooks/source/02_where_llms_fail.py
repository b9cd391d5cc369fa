# %% [markdown]
# # 02 · Where LLMs fail
#
# A language model writes what's likely, and likely isn't the same as true, fair or understood. Here you produce its
# famous failures yourself, and measure how bad they are.
#
# ![The loop of lesson 00: text, tokens, vectors, layers, logits, choice. Below each part, its failure. Text: whatever
# is cut off doesn't exist. Tokens: it reads st, raw, berry, not letters. Layers: “she” after nurse, “he” after farmer;
# and every token takes all the weights. Choice: it writes what is likely, true or not.](images/02_where_llms_fail.svg)
#
# **You will be able to**
#
# - measure how often a model makes up an answer, and what its probabilities say about that;
# - show with sums and letters that a right answer isn't yet a rule;
# - measure which pronouns a model expects, and say what such a number doesn't show;
# - find out which facts of a text a model mixes up;
# - predict the memory and the arithmetic of a model.
#
# **Time**: 40 minutes. **Read before**: [00 · Start here](00_start_here.ipynb) and [01 · What LLMs can
# do](01_what_llms_can_do.ipynb).

# %% [markdown]
# ## 1 · It always has an answer
#
# Three questions for SmolLM2, which always takes the likeliest token here (it's *greedy*). Charles Darwin is real. We
# made up the painter and the paper. Does the *tone* of the answers tell you so?

# %% tags=["nbval-check-output"]
from course_utils.experiments.greedy_answers import greedy_answers
from course_utils.learner import predict
from course_utils.models import load_causal_lm

smollm = load_causal_lm()
model, tokenizer = smollm.model, smollm.tokenizer


def chat(question, begun="", system=None):
    """A question in the model's chat format, and the beginning of its answer."""
    messages = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": question})
    return tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True) + begun


questions = ["Who was Charles Darwin?", "Who was the painter Edwin Marlowe Tarrant?"]
questions.append("What is the paper “Recursive Attention Gardens” (2014) about?")
for answer in greedy_answers(model, tokenizer, map(chat, questions), max_new_tokens=22, ends="\n"):
    print("-", answer.text, "…")

# %% [markdown]
# A fluent, specific answer that isn't true is called a **hallucination**. Three examples prove little, so ask for the
# capitals of 24 countries that don't exist. To give the model a fair chance, the system prompt (the instruction before
# the question, lesson 09) is “If you do not know the answer, say: I do not know.”

# %%
told = predict(
    "02-told",
    "With this instruction, how many of the 24 answers say “I do not know”?",
    {"none": (0, 1), "1 to 12": (1, 13), "more than 12": (13, None)},
)
told

# %% tags=["nbval-check-output"]
from course_utils.experiments.failure_cases import INVENTED_COUNTRIES

rule = "If you do not know the answer, say: I do not know."
prompts = [chat(f"What is the capital of {country}?", system=rule) for country in INVENTED_COUNTRIES]
replies = greedy_answers(model, tokenizer, prompts, max_new_tokens=20, ends=".\n")
print(*(f"{country}: {reply.text}" for country, reply in zip(INVENTED_COUNTRIES, replies, strict=True)), sep="\n")

# %% tags=["nbval-check-output"]
told.compare(sum("not know" in reply.text for reply in replies))

# %% [markdown]
# Not one. Four answers call the name *fictional* or *not a place*, and then make something up all the same. Most of the
# others name a capital.
#
# Nothing went wrong inside the model. It was trained to continue text in a likely way, and after “The capital of
# Veltria is” a name is likely. Kalai et al. (2025), *Why Language Models Hallucinate*, add a second reason: most tests
# give a point for a right answer and nothing for “I don't know”, so models tuned for such tests learn to guess.
#
# This is one small model and one instruction. Answered examples in the prompt work far better, at a price, which
# [Confidence and refusals](deeper/02_confidence_and_refusals.ipynb) measures.

# %% [markdown]
# ## 2 · How sure is it?
#
# The text doesn't say how sure the model is. Its probabilities do, in part. The **probability of an answer** is the
# product of the probabilities of its tokens. Begin each answer for the model, “The capital of … is”, so that the
# capital comes next: for 20 real countries and the invented ones.

# %% tags=["nbval-check-output"]
from course_utils import figures
from course_utils.experiments.failure_cases import CAPITALS

countries = [*CAPITALS, *INVENTED_COUNTRIES]
prompts = [chat(f"What is the capital of {country}?", f"The capital of {country} is") for country in countries]
answers = dict(zip(countries, greedy_answers(model, tokenizer, prompts, max_new_tokens=6), strict=True))
groups = {"real, right": {}, "real, wrong": {}, "invented": {}}
for country, answer in answers.items():
    right = CAPITALS.get(country, "\n") in answer.text
    group = "real, right" if right else "real, wrong" if country in CAPITALS else "invented"
    groups[group][f"{country}: {answer.text}"] = answer.probability
figures.confidence_against_truth(groups)

# %% tags=["nbval-check-output"]
for group, found in groups.items():
    likeliest = max(found, key=found.get)
    print(f"{group}: {len(found)} answers, the most probable is {likeliest} with {found[likeliest]:.2f}")

# %% tags=["nbval-check-output"]
from statistics import median

real = median(answers[country].first for country in CAPITALS)
invented = median(answers[country].first for country in INVENTED_COUNTRIES)
print(f"the first token alone, median: {real:.2f} for the real countries, {invented:.2f} for the invented ones")

# %% [markdown]
# Every mark is an answer. The invented capitals are all improbable, though you'd never guess it from the text: an
# answer of 0.05 reads like one of 0.95. Longer answers have more factors, but the first token alone shows it, too. The
# probabilities hold a warning that the text doesn't.
#
# But look at the middle row. *Istanbul* is wrong, and more probable than several of the right answers. A probability
# says how likely a text is to continue like this, and many texts can be wrong in the same way. Could a program keep
# quiet below some **threshold**? On these answers, one just above *Istanbul* would leave only right ones, and lose five
# of the thirteen. But it was chosen by looking at them. *Confidence and refusals* tests one on other questions, where
# it costs more right answers.
#
# Try it: France on the left, Veltria on the right. Compare the longest blue bars, and the *entropy* above them. Then
# type a country of your own and press Enter.

# %% tags=["nbval-check-output"]
from functools import partial
from course_utils.traces import record_surprisals
from course_utils.widgets import next_token_explorer

run = partial(record_surprisals, smollm)
next_token_explorer(run, "The capital of France is the city of", "The capital of Veltria is the city of")

# %% [markdown]
# ## 3 · Sums: right isn't a rule
#
# Someone who can add can add *any* two numbers. Give the model four solved sums and ask for a fifth: twenty questions
# each for numbers of one digit and of two.

# %% tags=["nbval-check-output"]
from course_utils.experiments.failure_cases import draw_sums, sum_prompt

print(sum_prompt(draw_sums(digits=2, count=4), 17, 25))

# %%
sums = predict(
    "02-sums",
    "Of 20 sums of two numbers with two digits each, how many are right?",
    {"at least 15": (15, None), "6 to 14": (6, 15), "at most 5": (0, 6)},
)
sums


# %% tags=["nbval-check-output"]
def add(digits, swapped=False):
    """Twenty sums, and what the model says they are."""
    drawn = draw_sums(digits, count=24)
    prompts = [sum_prompt(drawn[:4], *(pair[::-1] if swapped else pair)) for pair in drawn[4:]]
    said = greedy_answers(model, tokenizer, prompts, max_new_tokens=digits + 2, ends="\n")
    return {pair: answer.text for pair, answer in zip(drawn[4:], said, strict=True)}


written = {digits: add(digits) for digits in (1, 2)}
correct = {digits: sum(text == str(sum(pair)) for pair, text in found.items()) for digits, found in written.items()}
sums.compare(correct[2])

# %% tags=["nbval-check-output"]
from collections import Counter
from course_utils.experiments.intervals import wilson_interval

rows = {str(digits): (count, 20, *wilson_interval(count, 20)) for digits, count in correct.items()}
commonest = [max(Counter(map(sum, found)).values()) for found in written.values()]
print("always saying the commonest of the 20 sums is right this often:", commonest)
figures.counted_shares(rows, "digits of each number", "right sums", guesser=[count / 20 for count in commonest])

# %% [markdown]
# With one digit the model gets half of the sums right. With two it does no better than a guesser that always says the
# commonest sum (the dash). The bars are 95 % intervals, wide because twenty sums are few. Dziri et al. (2023), *Faith
# and Fate: Limits of Transformers on Compositionality*, found limits of far larger models, too: GPT-4 got 59 % of the
# products of two three-digit numbers right.
#
# A second test needs no solutions. If you add by a rule, 8 + 3 and 3 + 8 come out the same, right or wrong.

# %% tags=["nbval-check-output"]
turned = add(1, swapped=True)
same = sum(written[1][pair] == turned[pair] for pair in turned)
print(f"{same} of 20 sums get the same answer with their numbers swapped")
print([f"{a} + {b} = {written[1][a, b]}, {b} + {a} = {turned[a, b]}" for a, b in list(turned)[:4]])

# %% [markdown]
# Most answers change when only the order does, and no rule for adding can do that.
#
# What people do: the model writes the calculation, and a program runs it (Gao et al. 2022, *PAL: Program-aided Language
# Models*). Facts, too, can run in one direction: a model that learned “A is B” may not know “B is A”. [A is B, so B
# is A](deeper/02_a_is_b.ipynb) trains one to find out.

# %% [markdown]
# ## 4 · Letters: it reads tokens
#
# How many r are in *strawberry*? Here's the question as the model reads it, with the word and with its letters apart:

# %% tags=["nbval-check-output"]
from course_utils.experiments.failure_cases import LETTERS


def question(word, letter):
    return f'How many times is the letter {letter} in "{word}"?'


def apart(word):
    return "".join(f" {letter}" for letter in word)


for sent in (question("strawberry", "r"), question(apart("strawberry"), "r")):
    print([smollm.labels[token] for token in tokenizer(sent).input_ids])

# %% [markdown]
# In the first question the word is three tokens, and to the model each is just a number, with no letters inside. In the
# second, every letter is a token, and the r in the word is the very token that was asked for. So the model could count.
# Of 24 words, eight have the letter once, eight twice, eight three times. Three solved examples come first, one of
# each.

# %%
letters = predict(
    "02-letters",
    "How many of the 24 counts are right when every letter is a token of its own?",
    {"at most 8, like a guesser": (0, 9), "9 to 18": (9, 19), "19 or more": (19, None)},
)
letters


# %% tags=["nbval-check-output"]
def count_letters(write):
    """Ask for all words, written by `write`; return what the model says."""
    solved = [("apple", "p"), ("dog", "o"), ("cheese", "e")]
    shots = "".join(f"{question(write(word), letter)} {word.count(letter)}\n" for word, letter in solved)
    prompts = [shots + question(write(word), letter) for word, letter in LETTERS]
    return [answer.text for answer in greedy_answers(model, tokenizer, prompts, max_new_tokens=2)]


truth = [str(word.count(letter)) for word, letter in LETTERS]
counted = {"as words": count_letters(str), "letters apart": count_letters(apart), "always 2": ["2"] * len(LETTERS)}
print(f"{'true':14}", *truth)
for name, found in counted.items():
    hits = sum(map(str.__eq__, found, truth))
    low, high = wilson_interval(hits, len(truth))
    print(f"{name:14}", *found, f"  {hits} right ({low:.0%} to {high:.0%})")

# %% tags=["nbval-check-output"]
letters.compare(sum(map(str.__eq__, counted["letters apart"], truth)))

# %% [markdown]
# The last line is a program that always says 2. With every letter in view, the model *is* that program. With whole
# words it varies, and does no better. So “it can't see the letters” is true of the first question, but it isn't the
# whole story. Edman et al. (2024), *CUTE: Measuring LLMs' Understanding of Their Tokens*, report of far larger models
# that most know how their tokens are spelled, and fail to use it.
#
# A typing mistake changes tokens, too: [lesson 04](04_the_pipeline_tasks.ipynb) shows what a classifier makes of
# `educion`.

# %% [markdown]
# ## 5 · Bias: she or he?
#
# A model learns how people write, and some of that is unfair. “The nurse said that …”: will *she* or *he* come next?
# For 20 occupations and six beginnings of a sentence, look at the share of *she* among the two. Six neutral words, such
# as *visitor*, show the model's level without an occupation.

# %% tags=["nbval-check-output"]
from course_utils.experiments.failure_cases import NEUTRAL_WORDS, OCCUPATIONS, PRONOUN_FRAMES
from course_utils.experiments.pronouns import pronoun_probabilities, share_of_first

names = OCCUPATIONS + NEUTRAL_WORDS
texts = [before.format(name) for before, _ in PRONOUN_FRAMES for name in names]
causal = pronoun_probabilities(model, tokenizer, texts).view(len(PRONOUN_FRAMES), len(names), 2)
shares = share_of_first(causal)
print(f"neutral words: {shares[:, len(OCCUPATIONS) :].mean():.0%} she")
print(f"she and he together: {causal.sum(-1).mean():.0%} of the probability, the rest goes to other words")
for name in ("nurse", "farmer"):
    she, he = causal[0, names.index(name)]
    print(f"“The {name} said that”: she is {she / he:.1f} times as likely as he")

# %% [markdown]
# The second model is **masked**: it reads both sides of a gap, as in “The nurse said that [MASK] was tired.” It's an
# encoder (MiniLM) with a small fill-mask head, trained for this course. Its numbers tell you about that head, not about
# the models in the papers.

# %%
from course_utils.models.pipelines import load_pipeline

filler = load_pipeline("fill-mask", models="embedded")
labels = OCCUPATIONS + [f"({word})" for word in NEUTRAL_WORDS]
gaps = [f"{before.format(name)} [MASK] {after}" for before, after in PRONOUN_FRAMES for name in names]
masked = share_of_first(pronoun_probabilities(filler.model, filler.tokenizer, gaps).view_as(causal))
figures.diverging_bars(labels, {"causal (SmolLM2)": shares, "masked (the course's head)": masked}, "he", "she")

# %% tags=["nbval-check-output"]
above = (shares.mean(0)[: len(OCCUPATIONS)] > 0.5).sum()
every = (shares.amin(0) > 0.5)[: len(OCCUPATIONS)].sum(), (shares.amax(0) < 0.5)[: len(OCCUPATIONS)].sum()
print(f"on average she: {above} of {len(OCCUPATIONS)}; she in every sentence: {every[0]}; he in every one: {every[1]}")
for (before, _), share in zip(PRONOUN_FRAMES, shares[:, names.index("doctor")], strict=True):
    print(f"{before.format('doctor'):30} {share:.0%} she")

# %% [markdown]
# A bar is the mean of six sentences; its thin line runs from the lowest to the highest. In SmolLM2, on the left, the
# neutral words (in brackets) are near the middle. *Nurse*, *nanny* and *librarian* are far to one side, *soldier*,
# *farmer* and *carpenter* far to the other: a familiar order, but not the whole stereotype. *Scientist* leans to
# “she” as much as *dancer* does, and with *engineer*, *doctor* and *lawyer* the beginning of the sentence decides. Is
# the right side's level or order the same? A number for “bias” belongs to one model, its texts and these sentences.
#
# Bolukbasi et al. (2016), *Man is to Computer Programmer as Woman is to Homemaker?*, found such an order in word
# vectors. Rudinger et al. (2018), *Gender Bias in Coreference Resolution*, found that programs that decide whom a
# pronoun means follow employment statistics. No such number shows who is harmed, and by which use: Blodgett et al.
# (2020), *Language (Technology) is Power*, read 146 papers about “bias” and found their motivation often vague or
# inconsistent. And two pronouns aren't all people.

# %% [markdown]
# ## 6 · The context window: what fits isn't yet found
#
# A model reads at most so many tokens, its **context length**. Is a fact that fits also *found*? The usual test hides
# one sentence in a long text and asks for it: a **needle in a haystack** (Kamradt 2023). Our text is short, but it
# hides four facts, in two ways: each about something else, or all four passwords of doors. The words to find and the
# story are the same.

# %% tags=["nbval-check-output"]
from course_utils.experiments.haystack import answer_probabilities, draw_needles, filler_text, stated

for similar in (False, True):
    print(stated(draw_needles(similar, seed=0)))
print("…", filler_text(tokenizer, tokens=75)[-48:], "…")

# %% [markdown]
# The facts come first, then 75 tokens of story, then a question: the beginning of a fact, “The password of the oak
# door:”. The fact is found if its word is the most probable *of the four*, so a guesser finds a quarter. Six texts make
# 24 questions of each kind.

# %%
similar_found = predict(
    "02-similar",
    "How many of the 24 passwords are found when all four facts are about doors?",
    {"6 or fewer, like a guesser": (0, 7), "7 to 18": (7, 19), "19 or more": (19, None)},
)
similar_found

# %% tags=["nbval-check-output"]
import torch


def find_facts(similar, texts=6):
    """For each hidden fact, whether the model picks its word among the four of its text."""
    hits = []
    for number in range(texts):
        facts = draw_needles(similar, seed=number)
        text = f"{stated(facts)}\n\n{filler_text(tokenizer, tokens=75, number=2 * number)}"
        picked = answer_probabilities(model, tokenizer, text, facts, list(facts.values())).argmax(-1)
        hits += (picked == torch.arange(len(facts))).tolist()
    return hits


hits = {"four different facts": sum(find_facts(similar=False)), "four doors": sum(find_facts(similar=True))}
rows = {name: (count, 24, *wilson_interval(count, 24)) for name, count in hits.items()}
figures.counted_shares(rows, "what was hidden", "facts found", guesser=[0.25, 0.25])

# %% tags=["nbval-check-output"]
similar_found.compare(hits["four doors"])

# %% [markdown]
# What changed is how alike the facts are, and the intervals are far apart. Hsieh et al. (2024), *RULER: What's the Real
# Context Size of Your Long-Context Language Models?*, tested large models with long texts: nearly perfect with one
# needle, much worse on harder tasks. [Needles: length and depth](deeper/02_needles.ipynb) varies the length of the
# story and the place of the facts.
#
# What *doesn't* fit is cut off, often silently. MiniLM's `embed` turns a text into one vector, and reads only the first
# 256 tokens, as sentence-transformers does. The second of these texts has one more sentence at its end:

# %% tags=["nbval-check-output"]
from course_utils.models import load_encoder

story = filler_text(tokenizer, tokens=400)
one, other = load_encoder().embed([story, story + " And then they robbed the bank of Torvik."])
assert torch.allclose(one, other, atol=1e-5)
f"similarity of the two texts: {one @ other:.4f}"

# %% [markdown]
# ## 7 · Bytes and FLOPs
#
# The most ordinary failure: the model doesn't fit, or it takes too long. Both follow from its number of parameters.
# **Bytes** = parameters × bytes per parameter: 4 in this lesson, usually 2 for large models.

# %% tags=["nbval-check-output"]
from course_utils.measuring.memory import measured_weight_bytes, weight_bytes
from course_utils.measuring.model_shapes import PUBLISHED

print(f"predicted {weight_bytes(model.num_parameters(), 4):,} bytes, all tensors {measured_weight_bytes(model):,}")
sizes = {name: shape.parameters for name, shape in PUBLISHED.items() if name.startswith("Llama 3.1")}
print({name: f"{weight_bytes(parameters, 2) / 1e9:.0f} GB" for name, parameters in sizes.items()})

# %% [markdown]
# **FLOPs per token ≈ 2 × parameters**: every weight takes part in one multiplication and one addition (Kaplan et al.
# 2020, *Scaling Laws for Neural Language Models*). `torch` can count them. On the device `meta`, tensors have no
# numbers, so even a long text costs nothing:

# %% tags=["nbval-check-output"]
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForCausalLM

with torch.device("meta"):
    empty = AutoModelForCausalLM.from_config(model.config, attn_implementation="eager")
    for tokens in (100, 8192):
        with FlopCounterMode(display=False) as counter:
            empty(torch.ones(1, tokens, dtype=torch.long), attention_mask=torch.zeros(1, 1, tokens, tokens))
        per_token = counter.get_total_flops() / tokens
        print(f"{tokens:5,} tokens: {per_token / (2 * model.num_parameters()):.2f} × (2 × parameters) per token")

# %% [markdown]
# For short texts the rule is nearly exact. In long ones attention (lesson 08) compares every token with all the others,
# which takes products without weights. At SmolLM2's full context length they're most of the work. (`eager` also
# computes the pairs that the causal mask of lesson 07 then hides.)
#
# And the largest of the three models, on the machine that made this page?

# %% tags=["recorded"]
from course_utils.measuring.roofline import matmul_rate, step_flops

rate = matmul_rate()
hours = step_flops(PUBLISHED["Llama 3.1 405B"], tokens=1000) / rate / 3600
print(f"{rate / 1e9:.0f} GFLOP/s: Llama 3.1 405B needs {hours:.1f} hours to read 1,000 tokens, if it fitted")

# %% [markdown]
# That is *reading*, where arithmetic is the limit. *Writing* waits for memory ([lesson
# 10](10_prefill_and_decode.ipynb)). Do the stopwatch and the operating system agree? [Bytes and FLOPs,
# measured](deeper/02_bytes_and_flops.ipynb) asks them.

# %% [markdown]
# ## 8 · The whole thing in one cell
#
# An answer and its probability, from the model's logits alone: equal to what `transformers` generates, and to
# `greedy_answers`. (It isn't Brazil's capital.)


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


tokens, probability = my_answer(chat("What is the capital of Brazil?", "The capital of Brazil is"))
tokenizer.decode(tokens), round(probability, 2)

# %% tags=["nbval-check-output"]
ids = smollm.encode(chat("What is the capital of Brazil?", "The capital of Brazil is"))
settings = {"max_new_tokens": len(tokens), "do_sample": False, "return_dict_in_generate": True, "output_scores": True}
theirs = model.generate(ids, attention_mask=torch.ones_like(ids), pad_token_id=0, **settings)
logs = model.compute_transition_scores(theirs.sequences, theirs.scores, normalize_logits=True)
assert theirs.sequences[0, ids.shape[1] :].tolist() == tokens
assert abs(logs.sum().exp().item() - probability) < 1e-4
assert abs(answers["Brazil"].probability - probability) < 1e-4
print("equal")

# %% [markdown]
# ## 9 · Quiz
#
# Every option, right or wrong, has an explanation.

# %% tags=["nbval-check-output"]
from course_utils.learner import quiz_question

quiz_question(
    "02-quiz-confidence",
    "A model gives its answer a probability of 0.9. What do you know?",
    [
        ("It's right in 90 % of cases", False, "Only if you measured that for this model and this kind of question."),
        (
            "Sampling at temperature 1, it would write this answer nine times in ten",
            True,
            "Yes, and at another temperature more or less often. Whether it's true is a different question: Istanbul "
            "was wrong at 0.6.",
        ),
        ("Nothing at all", False, "It does say something: here all invented capitals were improbable."),
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
            "Here 75 tokens of story were enough to lose many passwords.",
        ),
        (
            "A test with several similar needles",
            True,
            "Yes. Here similar facts were mixed up, and different ones hardly ever.",
        ),
        ("Nothing, 100 % is 100 %", False, "Of one needle, which takes no more than noticing the odd sentence out."),
    ],
)

# %% [markdown]
# ## Take-aways
#
# - **Hallucination**: there's always an answer, in the same tone. Probabilities know more than the text. What people
#   do: put facts into the prompt (Lewis et al. 2020, *Retrieval-Augmented Generation for Knowledge-Intensive NLP
#   Tasks*), and measure what is refused *and* what is still right.
# - **Understanding**: longer sums fail, letters aren't counted. Always run the simplest program beside the model.
# - **Bias**: say which model, which sentences, which use.
# - **Context**: what fits isn't yet found, and similar facts are the hard ones ([lesson
#   09](09_context_length_and_prompting.ipynb)).
# - **Resources**: bytes = parameters × bytes each; FLOPs per token ≈ 2 × parameters, in short texts.
#
# **Next**: [03 · The pipeline, opened](03_the_pipeline_opened.ipynb) takes the first of the models apart.
#
# **Exercise**: [02 · Where LLMs fail](../exercises/02_where_llms_fail.ipynb). **All lessons**: [the
# index](index.ipynb).
