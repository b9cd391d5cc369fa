# %% [markdown]
# # 01 · What LLMs can do
#
# You often hear that large models can do anything, that they learn from examples in the prompt, and that abilities
# appear in them all of a sudden. In this lesson you measure each of these claims on models that you can hold in your
# hand, and you see how much depends on the way of measuring.
#
# **You will be able to**
#
# - count the parameters of a model by part, from the numbers of its configuration;
# - place a model among others on a logarithmic axis;
# - test a model on tasks, and say which answers can be checked;
# - measure in-context learning with error bars, and say what the examples taught;
# - show how a metric can turn a smooth climb into a jump, and give both sides of the debate on emergent abilities.
#
# **Time**: 40 minutes. **Read before**: [00 · Start here](00_start_here.ipynb).

# %% [markdown]
# ## 1 · Scale
#
# A **parameter** is a number that the model has learned. People name models by how many they have: the *135M* in
# SmolLM2-135M stands for 135 million. Where are they? These seven numbers of its configuration are all you need.

# %% tags=["nbval-check-output"]
from course_utils.models import load_causal_lm

smollm = load_causal_lm()
model, tokenizer, config = smollm.model, smollm.tokenizer, smollm.model.config
names = ["vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim"]
{name: getattr(config, name) for name in [*names, "intermediate_size"]}

# %% [markdown]
# The model has four kinds of parts; lessons 05 and 08 open them. The **embedding** is a table with one row for every
# token. Then come 30 layers. Each has an **attention** part, in which tokens read from each other, and an **MLP**
# (multi-layer perceptron), which works on each token alone. The **norms** keep the numbers in a good range. Which part
# has the most parameters?

# %%
from course_utils.learner import predict

largest_part = predict(
    "01-largest-part", "Where are most parameters of SmolLM2?", ["embedding", "attention", "MLP", "norms"]
)
largest_part

# %% [markdown]
# Count. A map from *n* numbers to *m* numbers is a matrix with *n* · *m* parameters. Attention has four: for queries
# and for the output with all 9 heads, for keys and values with 3. The MLP has three, between 576 and 1,536 numbers.
# There are two norms a layer, and one more at the end.

# %% tags=["nbval-check-output"]
layers, width, inner = config.num_hidden_layers, config.hidden_size, config.intermediate_size
heads, kv_heads, head = config.num_attention_heads, config.num_key_value_heads, config.head_dim
by_hand = {
    "embedding": config.vocab_size * width,
    "attention": layers * (2 * width * heads * head + 2 * width * kv_heads * head),
    "MLP": layers * 3 * width * inner,
    "norms": (2 * layers + 1) * width,
}
assert sum(by_hand.values()) == model.num_parameters()
{part: f"{count:,}" for part, count in by_hand.items()}

# %% tags=["nbval-check-output"]
largest_part.compare(max(by_hand, key=by_hand.get))

# %% [markdown]
# The sum is exact: 134,515,008. But something seems to be missing. At the end the model turns 576 numbers into 49,152
# logits, and that takes another matrix as large as the embedding. Look for it.

# %% tags=["nbval-check-output"]
print("the output's matrix is the embedding:", model.lm_head.weight is model.model.embed_tokens.weight)
untied = model.num_parameters() + by_hand["embedding"]
f"with a matrix of its own: {untied:,} parameters, {untied / model.num_parameters() - 1:.0%} more"

# %% [markdown]
# The output uses the same table, read the other way round: the embedding is **tied**. Small models do that, because
# the table is a large share of them. Large models mostly don't.
#
# `parameters_by_part` counts the real tensors. The models of the course first; then two large ones from the numbers in
# Grattafiori et al. (2024), *The Llama 3 Herd of Models*, by the same formula as above.

# %% tags=["nbval-check-output"]
from course_utils.measuring.parameters import MIXTURES, llama_parameters, parameters_by_part
from course_utils.models import load_encoder
from course_utils.models.phone_book import phone_book_models

assert parameters_by_part(model) == by_hand
here = {"phone book, width 32": parameters_by_part(phone_book_models()[32])}
here |= {"MiniLM": parameters_by_part(load_encoder().model), "SmolLM2-135M": by_hand}
large = {
    "Llama 3.1 8B": llama_parameters(32, 4096, 32, 8, 128, mlp_size=14_336, vocab_size=128_256),
    "Llama 3.1 405B": llama_parameters(126, 16_384, 128, 8, 128, mlp_size=53_248, vocab_size=128_256),
}
for name, parts in (here | large).items():
    print(f"{name:20} {sum(parts.values()):15,}")

# %% [markdown]
# Look at how the share of the embedding changes from the small models to the large ones. (The phone book's
# vocabulary is tiny: its tokens are single characters. You meet it in section 4.)

# %% tags=["nbval-check-output"]
from course_utils import figures

figures.parameter_parts(here | large)

# %% [markdown]
# Half of MiniLM is its vocabulary, and a fifth of SmolLM2. In the largest Llama it is hardly visible: four fifths are
# in the MLPs. *Other* is a small layer at the end of MiniLM that this course does not use.
#
# Now the whole range. How much larger is the largest model with a published size than SmolLM2?

# %%
times = predict(
    "01-times-larger",
    "The largest model in the next picture is … times as large as SmolLM2-135M.",
    {"about 100": (0, 300), "about 1,000": (300, 3_000), "about 10,000": (3_000, 30_000), "more": (30_000, None)},
)
times

# %% tags=["nbval-check-output"]
from course_utils.measuring.model_shapes import PUBLISHED

sizes = {name: sum(parts.values()) for name, parts in here.items()}
for name in ("GPT-2", "GPT-2 XL", "GPT-3", "SmolLM2-1.7B", "Mistral 7B", "Llama 3.1 70B", "Llama 3.1 405B"):
    sizes[name] = PUBLISHED[name].parameters
sizes |= {name: mixture.parameters for name, mixture in MIXTURES.items()}
figures.model_sizes(sizes, here=list(here), active={name: mixture.active for name, mixture in MIXTURES.items()})

# %% tags=["nbval-check-output"]
for name, mixture in MIXTURES.items():
    print(f"{name}: {mixture.active / mixture.parameters:.0%} of the parameters work on a token. {mixture.source}")
times.compare(max(sizes.values()) / model.num_parameters(), show="{:,.0f} times")

# %% [markdown]
# The axis is logarithmic: every line is ten times the one before. Between the model in your memory and the largest are
# four of them. The last three are **mixtures of experts**: they have many MLPs in a layer, and every token goes through
# a few of them only (DeepSeek-AI 2024, DeepSeek-AI 2026, Kimi Team 2025).
#
# The sizes and their sources stand in `measuring/model_shapes.py` and `measuring/parameters.py`. The largest models of
# some companies are not in the picture, because nobody outside knows: the report on GPT-4 says that it contains no
# details on the model size (OpenAI 2023, *GPT-4 Technical Report*).
#
# What does size buy? Kaplan et al. (2020), *Scaling Laws for Neural Language Models*, found that the loss of
# pre-training, which is how badly a model predicts the next token (lesson 06), falls smoothly with the number of
# parameters, over many powers of ten, as long as data and computing time grow with it. Loss is not the same as ability.
# That is what the rest of this lesson is about.

# %% [markdown]
# ## 2 · General capabilities
#
# Before language models, every task had a model of its own. A language model gets the task as text. Here are six tasks,
# two questions each. The third entry is a pattern that a right answer contains; where it is None, no pattern can say
# what is right.

# %%
bakery = "The bakery on the corner closed in May, because its oven was too old and nobody wanted to pay for a new one."
ferry = "The ferry did not run on Monday, because of a storm. On Tuesday the sea was calm again, and all who had "
ferry += "waited came on board."
questions = [
    ("translate", "What is the French word for “bread”?", "pain"),
    ("translate", "How do you say “good morning” in French?", "bonjour"),
    ("summarise", f"Summarise in one short sentence: {bakery}", None),
    ("summarise", f"Summarise in one short sentence: {ferry}", None),
    ("classify", "Is this review positive or negative? The food was cold and the waiter was rude.", "negative"),
    ("classify", "Is this review positive or negative? We laughed the whole evening.", "positive"),
    ("extract", "Which phone number is in this sentence? Call Peter at 555 0134 after six.", "555.?0134"),
    ("extract", "What is the date of the meeting? The meeting with Dr. Ito is on 4 March at noon.", "4 March"),
    ("arithmetic", "What is 7 + 5?", "12"),
    ("arithmetic", "What is 23 + 48?", "71"),
    ("rhyme", "Name three words that rhyme with “cat”.", "bat|fat|flat|hat|mat|rat|sat"),
    ("rhyme", "Write two lines that rhyme about the sea.", None),
]
able = predict(
    "01-six-tasks",
    "Nine of the twelve answers can be checked. How many will be right?",
    {"0 to 3": (0, 4), "4 to 6": (4, 7), "7 to 9": (7, None)},
)
able

# %% [markdown]
# All twelve go through the same model together, as one batch (lesson 03; lesson 09 says why it is padded on the left).
# The model always takes the likeliest token, which is called greedy (lesson 11). So the answers are the same every
# time.


# %%
def ask(texts):
    """Return the greedy answer to each text, in the chat format that the model was trained on."""
    chats = [[{"role": "user", "content": text}] for text in texts]
    prompts = tokenizer.apply_chat_template(chats, tokenize=False, add_generation_prompt=True)
    batch = tokenizer(prompts, padding=True, padding_side="left", return_tensors="pt")
    ids = model.generate(**batch, max_new_tokens=30, do_sample=False)
    return tokenizer.batch_decode(ids[:, batch.input_ids.shape[1] :], skip_special_tokens=True)


answers = ask([question for _, question, _ in questions])
len(answers)

# %% [markdown]
# Read them one by one. ✓ means that the pattern was found, ? that there is none.

# %% tags=["nbval-check-output"]
import re

verdicts = []
for (task, _, wanted), answer in zip(questions, answers, strict=True):
    found = wanted and re.search(rf"\b({wanted})\b", answer, re.IGNORECASE)
    verdicts.append("?" if wanted is None else "✓" if found else "✗")
    print(verdicts[-1], f"{task:10}", answer.splitlines()[0][:95])

# %% tags=["nbval-check-output"]
able.compare(verdicts.count("✓"), show="{} of 9")

# %% [markdown]
# One model, nothing changed between the tasks, and the answers look like answers. (It was fine-tuned to follow
# instructions in general; lesson 06 explains fine-tuning.) That is new, and it is real. Now read closer:
#
# - *Extract* works best. The answer stands in the text, and copying is what a small model does well. But the second one
#   adds a time that nobody said. The pattern did not notice.
# - *Good morning* is right, and what follows it is not French. The word for bread is invented.
# - *Classify* says “positive” twice. One of two is what you get when you always say the same. Two questions cannot tell
#   this from ability; section 3 takes sixty.
# - *Arithmetic* ends where the sum is no longer a common one. Lesson 02 measures this by the number of digits.
# - *Rhyme* fails: cat, cafe and catcher begin alike. A token is not a sound, and this model knows how words are spoken
#   only from text about it.
# - The *summaries* need a reader: are they shorter, and are they true? Only the length can be counted.

# %% tags=["nbval-check-output"]
for text, answer in zip((bakery, ferry), answers[2:4], strict=True):
    words = answer.lower().split()
    copied = sum(word in text.lower().split() for word in words)
    print(f"{len(text.split())} words became {len(words)}, and {copied} of them are copied")

# %% [markdown]
# So the first “summary” is nearly the text itself, and the second is its first sentence. Ask a question of your own.
# Then ask it in other words: lesson 09 shows how much hangs on them.

# %%
my_question = "Name three animals that live in the sea."
ask([my_question])[0]

# %% [markdown]
# ## 3 · In-context learning
#
# You can give a model examples of a task in the prompt. Each is a **shot**. No parameter changes, and still the answers
# get better: **in-context learning** (Brown et al. 2020, *Language Models are Few-Shot Learners*). How much better, and
# what is learned? Here are sixty short sentences that were written for this course. Each has one of two topics.

# %% tags=["nbval-check-output"]
from course_utils.experiments.shots import draw_shots, shot_text, topic_sentences, true_classes

sentences = topic_sentences()
topics = list(sentences)
for topic, texts in sentences.items():
    print(f"{len(texts)} sentences on {topic}:", *texts[:4], "…")

# %% [markdown]
# One result from one set of shots would be an anecdote. So the sentences are cut into five parts of 12. Each part is
# labelled after shots that are drawn from the other parts. Both topics are equally frequent, everywhere. This is the
# first part with two shots:

# %% tags=["nbval-check-output"]
draws = draw_shots(sentences, draws=5, shots=8, seed=0)
instruction = "Sentences, each with its topic, food or sport:\n"
two_shots = instruction + "".join(shot_text(text, topics[label]) for text, label in draws[0].shots[:2])
asked = shot_text(draws[0].tests[0][0])
print(two_shots + asked)

# %% [markdown]
# The answer of the model is the label with the higher probability at the end. In the first line of the output there are
# no shots: only the instruction, then the sentence. Look at how small its numbers are.

# %% tags=["nbval-check-output"]
label_ids = [tokenizer(f" {topic}").input_ids for topic in topics]
for prompt in (instruction + asked, two_shots + asked):
    probabilities = smollm.next_logits(prompt).softmax(-1)
    print({topic: f"{probabilities[ids[0]]:.4f}" for topic, ids in zip(topics, label_ids, strict=True)})

# %% [markdown]
# Two shots make both labels likely. The wrong one is ahead here, so likely is not right.
#
# Touch it. The same two prompts stand side by side. Every token of a prompt carries its surprisal in bits: the higher,
# the less the model expected it (lesson 09).
#
# 1. Below the first prompt: what does the model expect in place of a topic?
# 2. Compare with the bars of the second one. What did two lines change?
# 3. In the second prompt, compare the bits of the first label with those of the second one.
# 4. Put a wrong label into the second prompt, or another sentence at its end, and press Enter.

# %% tags=["nbval-check-output"]
from functools import partial
from course_utils.traces import record_surprisals
from course_utils.widgets import next_token_explorer

next_token_explorer(partial(record_surprisals, smollm), instruction + asked, two_shots + asked, bars=6)

# %% [markdown]
# Now all sixty. Reading the shots again for every sentence would be a waste. They are read once, and their **KV
# cache**, which is what later tokens need of them, is kept for all sentences (lesson 10 opens it). A prompt of eight
# shots begins with the prompt of four, so one cache grows through the whole run.

# %% tags=["nbval-check-output"]
from course_utils.experiments.few_shot import calibrated, label_log_probabilities, mean_and_error, score_after_shots
from course_utils.experiments.few_shot import share_right
from course_utils.engine.prefill_decode import prefill

_, cache = prefill(model, smollm.encode(two_shots))
queries = [tokenizer(shot_text(text)).input_ids for text, _ in draws[0].tests]
label_scores = label_log_probabilities(model, cache, queries, label_ids)
print(f"read once: {cache.length} tokens; then {len(queries)} times {len(queries[0])}")
print([topics[label] for label in label_scores.argmax(-1)])

# %% [markdown]
# There are two labels, so guessing gets one half. What do you expect from the instruction alone, and after one shot?

# %%
choices = {"about half": (0.4, 0.6), "60 to 90 %": (0.6, 0.9), "over 90 %": (0.9, None)}
no_shot = predict("01-no-shot", "What share of the labels is right with no shot, only the instruction?", choices)
no_shot

# %%
one_shot = predict("01-one-shot", "And after a single shot, which shows only one of the two labels?", choices)
one_shot

# %% [markdown]
# The next cell takes some seconds: five draws, five numbers of shots, twelve sentences each. Every small dot is one
# draw. The line is their mean, and a bar is one **standard error** up and down: how far another five draws would
# typically move the mean. It holds the luck of the shots as well as that of the sentences.

# %% tags=["nbval-check-output"]
import torch

counts, truth = (0, 1, 2, 4, 8), true_classes(draws)


def run_draws(draws, names, instruction, counts=counts):
    """Log-probabilities of the labels: (draw, count, test, label)."""
    return torch.stack([score_after_shots(model, tokenizer, draw, names, instruction, counts) for draw in draws])


scores = run_draws(draws, topics, instruction)
figures.shots_curves({"real names": share_right(scores, truth)}, counts, chance=0.5)

# %% tags=["nbval-check-output"]
mean, _ = mean_and_error(share_right(scores, truth))
print(no_shot.compare(mean[0].item(), show="{:.2f} with no shot"))
one_shot.compare(mean[1].item(), show="{:.2f} after one shot")

# %% [markdown]
# One shot changes everything, and more shots do not simply help more. Look at the spread: with eight shots, one draw is
# no better than guessing. Whether eight are worse than one, five draws cannot tell. (Lesson 09 shows that the order of
# the shots alone can do this.)
#
# But how can one example, of one topic, teach two topics? Test it with **invented** names. *vor* and *blem* mean
# nothing, so whoever gets them right must have it from the shots.

# %%
invented = predict(
    "01-invented", "The same sentences and shots, labels vor and blem. What share is right after eight shots?", choices
)
invented

# %% tags=["nbval-check-output"]
new_names, new_instruction = ["vor", "blem"], "Sentences, each with its label, vor or blem:\n"
new_scores = run_draws(draws, new_names, new_instruction)
both = {"real names": share_right(scores, truth), "invented names": share_right(new_scores, truth)}
figures.shots_curves(both, counts, chance=0.5)

# %% tags=["nbval-check-output"]
invented.compare(both["invented names"][:, -1].mean().item(), show="{:.2f} after eight shots")

# %% [markdown]
# Nothing: the curve of the invented names stays at guessing. Is the model blind to these shots? Two more numbers say
# no. The first: how much probability do both labels have together? The second: how often does the model choose the
# first one? Half of the time would be right.

# %% tags=["nbval-check-output"]
for kind, values in (("real names", scores), ("invented names", new_scores)):
    together = values.exp().sum(-1).mean((0, 2))
    first = (values.argmax(-1) == 0).float().mean((0, 2))
    print(f"{kind:14} both labels together:", *(f"{value:.2f}" for value in together))
    print(f"{kind:14} share of the first: ", *(f"{value:.2f}" for value in first))

# %% [markdown]
# So the shots do teach something at once: that one of two words comes here. The invented ones rise from nothing to
# about half of all probability. And the answers are lopsided. With no shot, the model says *food* every time. With
# invented names and shots, it mostly says *blem*.
#
# A model that likes one word better may still know which sentences deserve it *more than others*. So take the liking
# away: subtract from each label's log-probability its mean over the twelve sentences. This is **calibration** (after
# Zhao et al. 2021, *Calibrate Before Use*, and Zhou et al. 2023, *Batch Calibration*). It uses no true label; it
# assumes that both are equally frequent, which we know here.

# %%
liking = predict("01-calibrated", "Calibrated, with real names and no shot at all: what share is right?", choices)
liking

# %% tags=["nbval-check-output"]
fair = {"real names": share_right(calibrated(scores), truth)}
fair["invented names"] = share_right(calibrated(new_scores), truth)
figures.shots_curves(fair, counts, chance=0.5)

# %% tags=["nbval-check-output"]
liking.compare(fair["real names"][:, 0].mean().item(), show="{:.2f} with no shot")

# %% [markdown]
# Compare with the picture before. Both curves come from the same runs.
#
# - **Real names.** The model could tell food from sport before the first shot. It lacked the form of an answer and a
#   balance between the two words, and one shot gave it that. Min et al. (2022), *Rethinking the Role of
#   Demonstrations*, found the same in larger models: random labels in the examples hardly did any harm.
# - **Invented names.** Up to four shots there is nothing to see. At eight, the mean is about three standard errors
#   above guessing. Has the model begun to connect names and topics, from the prompt alone?
#
# Careful. You looked at ten points and noticed the one that stood out. Such a point deserves fresh draws: other shots,
# the same sixty sentences.

# %%
fresh = predict(
    "01-fresh-draws",
    "Ten fresh draws with eight shots, invented names, calibrated. The share of right labels will be …",
    {"nearer to guessing: below 0.65": (0, 0.65), "about the same: 0.65 to 0.8": (0.65, 0.8), "higher": (0.8, None)},
)
fresh

# %% tags=["nbval-check-output"]
sets = {"these draws": fair["invented names"][:, -1]}
for seed in (1, 2):
    again = draw_shots(sentences, draws=5, shots=8, seed=seed)
    new = run_draws(again, new_names, new_instruction, counts=[8])
    sets[f"seed {seed}"] = share_right(calibrated(new), true_classes(again))[:, 0]
sets["both seeds"] = torch.cat([sets["seed 1"], sets["seed 2"]])
for title, values in sets.items():
    print(f"{title:11} {mean_and_error(values).mean:.2f} ± {mean_and_error(values).error:.2f}")
fresh.compare(sets["both seeds"].mean().item(), show="{:.2f} in ten fresh draws")

# %% [markdown]
# The first five draws were lucky. The fresh ones are above guessing, but by little more than their standard error. So
# perhaps there is something, and it is small. Wei et al. (2023), *Larger language models do in-context learning
# differently*, found that small models hardly learn new meanings from shots, and that this is what grows with size.
# Nothing here speaks against it.
#
# One model and sixty sentences cannot say whether other tasks behave like this. Two warnings hold anywhere. “It cannot
# do it” and “this score does not show it” look the same. And a point that stands out is a reason to measure again.

# %% [markdown]
# ## 4 · Emergent abilities
#
# An **emergent ability** is one that is “not present in smaller models but is present in larger models”. So Wei et al.
# (2022), *Emergent Abilities of Large Language Models*, define it. They collected many: a score stays near guessing
# over several sizes, and then it jumps. The claim: it cannot be foreseen from the small models.
#
# Such a jump needs a family of models. Here is one: thirteen models of rising size that learned the same **phone book**
# by heart. It has a thousand invented names and random numbers, so there is nothing to understand, only to remember.

# %% tags=["nbval-check-output"]
from course_utils.models.phone_book import CHARACTERS, phone_book, phone_book_ids, recall

book, family = phone_book(), phone_book_models()
print(dict(list(book.items())[:4]))
print("parameters:", [member.num_parameters() for member in family.values()])

# %% [markdown]
# Call somebody. Each model gets the name and writes six digits, greedily. Compare each line with the first one, digit
# by digit.


# %% tags=["nbval-check-output"]
@torch.inference_mode()
def write_number(member, name):
    """Write the number of `name`, one digit after the other."""
    ids = [CHARACTERS.index(letter) for letter in name]
    while len(ids) < 9:
        ids.append(member(torch.tensor([ids])).logits[0, -1].argmax().item())
    return "".join(CHARACTERS[token] for token in ids[3:])


print("in the book", *list(book.values())[:6])
for size in (4, 12, 18, 24):
    print(f"width {size:5}", *(write_number(family[size], name) for name in list(book)[:6]))

# %% [markdown]
# Now count, in two ways. **Digits**: which share of digits is right, each after the right ones before it? **Numbers**:
# which share of numbers is right from the first digit to the last? This is **exact match**. Half of the digits of the
# model of width 12 are right. And how many of its numbers?

# %%
matched = predict(
    "01-exact-match",
    "Width 12 gets half of the digits right. And of 100 numbers?",
    {"about 50": (0.4, 0.6), "10 to 40": (0.1, 0.4), "fewer than 10": (0, 0.1)},
)
matched


# %% tags=["nbval-check-output"]
@torch.inference_mode()
def digits_right(member):
    """Which digits are right after the right digits before them: (name, digit)."""
    ids = phone_book_ids()
    return member(ids[:, :-1]).logits[:, 2:].argmax(-1) == ids[:, 3:]


right = {size: digits_right(member) for size, member in family.items()}
numbers = {size: table.all(1).float().mean().item() for size, table in right.items()}
assert abs(numbers[12] - recall(family[12]).numbers) < 0.002  # writing the number gives the same
matched.compare(numbers[12], show="{:.0%} of the numbers")

# %% [markdown]
# A greedy number is right exactly when each of its digits is right after right ones; so one run gives both counts. Look
# at both columns from top to bottom. Where would you say that the ability appears?

# %% tags=["nbval-check-output"]
digits = {size: table.float().mean().item() for size, table in right.items()}
for size, member in family.items():
    print(f"{member.num_parameters():6,} parameters: {digits[size]:4.0%} of digits, {numbers[size]:4.0%} of numbers")

# %% tags=["nbval-check-output"]
parameters = [member.num_parameters() for member in family.values()]
lines = {"digits": list(digits.values()), "numbers (exact match)": list(numbers.values())}
figures.curves(lines, parameters, "parameters", "share that is right", logarithmic=True)

# %% [markdown]
# Five sizes with next to nothing, and then exact match shoots up. If this were all you saw, you would call it emergent.
# The digits of the same models, in the same run, climb from the first size on.
#
# This is the counter-claim: Schaeffer et al. (2023), *Are Emergent Abilities of Large Language Models a Mirage?* The
# models change smoothly, and the metric makes the jump. Six digits must all be right. If each is right with probability
# *p*, and mistakes are independent, the number is right with *p*⁶. So try to predict exact match from the digits alone.

# %%
sixth = predict(
    "01-sixth-power",
    "Compared with the measured exact match in the middle of the climb, p⁶ will be …",
    ["too low", "about right", "too high"],
)
sixth

# %% tags=["nbval-check-output"]
lines["digits to the power of 6"] = [share**6 for share in digits.values()]
figures.curves(lines, parameters, "parameters", "share that is right", logarithmic=True)

# %% tags=["nbval-check-output"]
for size in (12, 14, 16, 18, 20, 22):
    print(f"width {size}: p = {digits[size]:.2f}, p⁶ = {digits[size] ** 6:.2f}, measured {numbers[size]:.2f}")
gap = max(numbers[size] - digits[size] ** 6 for size in numbers)
sixth.compare("too low" if gap > 0.05 else "about right")

# %% [markdown]
# The shape is right: flat, then steep, at nearly the same place. So most of the jump is arithmetic. But *p*⁶ is too low
# in the middle. Are mistakes not independent? Take the model of width 14, and count the numbers with 0, 1, … 6 right
# digits. Look at both ends.

# %% tags=["nbval-check-output"]
from math import comb

p = digits[14]
print("right digits:       ", *(f"{count:4}" for count in range(7)))
print("numbers, measured:  ", *(f"{count:4}" for count in right[14].sum(1).bincount(minlength=7).tolist()))
print("if independent:     ", *(f"{len(book) * comb(6, k) * p**k * (1 - p) ** (6 - k):4.0f}" for k in range(7)))

# %% [markdown]
# Some names the model knows well, others hardly at all. Right digits come together, so more numbers are complete than
# independent mistakes would leave.
#
# Schaeffer et al. have a second argument: statistics. The two smallest models have no number right out of a thousand.
# Does that mean that they cannot do it?

# %% tags=["nbval-check-output"]
for size in (4, 6):
    expected = len(book) * digits[size] ** 6
    print(f"width {size}: {right[size].all(1).sum()} right, p⁶ expects {expected:.2f} of {len(book):,}")

# %% [markdown]
# With a thousand questions you cannot see a share far below 1 in 1,000. “None” may mean “too rare for this test”.
#
# **Both sides.** Wei et al. (2022) discuss this objection themselves: exact match can hide progress, and the loss falls
# long before a score moves. But they also list tasks with a single choice as the answer, where no chain of steps has to
# hold. Schaeffer et al. (2023) reply that such scores are steps, too, and show smooth curves for the tasks that they
# could score again. Du et al. (2024), *Understanding Emergent Abilities of Language Models from the Loss Perspective*,
# sort models by loss in place of size. They report tasks that stay at guessing until the loss is below a threshold,
# also under continuous metrics.
#
# **What was measured here.** For these thirteen models and this task, the jump is nearly all metric: the digits rise
# smoothly, and they foretell it roughly. That says nothing about reasoning in a model many million times as large. And
# the jump is no illusion for a user: a phone number with one wrong digit reaches nobody. So ask of every jump: what
# exactly is counted, would a finer count move earlier, and how small a share could this test have seen?

# %% [markdown]
# ## 5 · What is refused
#
# Sentences that cannot be cut into equal parts, more shots than there are, an empty label, a layer too few: one
# sentence each.

# %% tags=["nbval-check-output"]
for wrong in (
    lambda: draw_shots(sentences, draws=7, shots=8),
    lambda: score_after_shots(model, tokenizer, draws[0], topics, instruction, counts=[8, 16]),
    lambda: label_log_probabilities(model, cache, [[5, 6]], [[7], []]),
    lambda: llama_parameters(0, 576, 9, 3, 64, mlp_size=1536, vocab_size=49_152),
):
    try:
        wrong()
    except ValueError as error:
        print(error)

# %% [markdown]
# ## 6 · The whole thing in one cell
#
# Few-shot labels in plain `transformers`: the shots are read once, each question is read after them, and the cache is
# cropped back. Labels may have several tokens, such as *wug* and *dax*; their log-probabilities add up.


# %%
@torch.inference_mode()
def my_label_scores(prompt, texts, names, reuse=True):
    shots_ids = tokenizer(prompt).input_ids
    kept = model(torch.tensor([shots_ids])).past_key_values if reuse else None
    table = torch.empty(len(texts), len(names))
    for row, text in enumerate(texts):
        for column, name in enumerate(names):
            question, label = tokenizer(f"{text}:").input_ids, tokenizer(f" {name}").input_ids
            ids = question + label if reuse else shots_ids + question + label
            logits = model(torch.tensor([ids]), past_key_values=kept).logits[0]
            if reuse:
                kept.crop(-len(ids))
            # The logits before a token predict it.
            before = logits[-len(label) - 1 : -1].log_softmax(-1)
            table[row, column] = before[range(len(label)), label].sum()
    return table


# %% [markdown]
# It must equal reading everything again for each label, and the course's function.

# %% tags=["nbval-check-output"]
texts, odd_names = ["We baked fresh bread.", "He scored a goal."], ["wug", "dax"]
odd_shots = "Each sentence has a label.\nThe soup needs salt.: wug\nShe won the set.: dax\n"
mine = my_label_scores(odd_shots, texts, odd_names)
assert torch.allclose(mine, my_label_scores(odd_shots, texts, odd_names, reuse=False), atol=1e-3)
_, odd_cache = prefill(model, smollm.encode(odd_shots))
odd_queries, odd_labels = ([tokenizer(text).input_ids for text in row] for row in (
    [f"{text}:" for text in texts], [f" {name}" for name in odd_names]))  # fmt: skip
assert torch.allclose(mine, label_log_probabilities(model, odd_cache, odd_queries, odd_labels), atol=1e-3)
[[round(value, 1) for value in row] for row in mine.tolist()]

# %% [markdown]
# ## 7 · Quiz
#
# Every option has an explanation, also the wrong ones. Try them all.

# %% tags=["nbval-check-output"]
from course_utils.learner import quiz_question

quiz_question(
    "01-quiz-tied",
    "A model ties its output to its embedding. You make its vocabulary twice as large. What grows?",
    [
        ("The embedding only", True, "Yes: one table does both jobs. Attention, MLPs and norms know no vocabulary."),
        ("The embedding and the output, two tables", False, "Tied means that there is one table, counted once."),
        ("Everything, by the same factor", False, "Only the table has a row for each token of the vocabulary."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "01-quiz-one-shot",
    "One shot took the real names from guessing to nearly all right. What had the model learned from it?",
    [
        ("What food and sport are", False, "It could tell them apart before: calibrated, it was right with no shot."),
        (
            "The form of the answer, and a better balance of the labels",
            True,
            "Yes: both labels together became likely, and the model no longer said the same one every time.",
        ),
        ("New parameters", False, "No parameter changes in a prompt. What changes is what the tokens look at."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "01-quiz-bars",
    "Prompt A: 0.83 ± 0.09. Prompt B: 0.93 ± 0.03, standard errors over five draws. Is B better?",
    [
        ("Yes, its mean is higher", False, "Another five draws could turn this round: the means are one error apart."),
        ("These draws cannot tell", True, "Yes: the difference, 0.10, is about as large as its own error. Take more."),
        ("No, the bars overlap, so they are equal", False, "Not telling them apart does not show that they are equal."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "01-quiz-power",
    "A larger model raises the share of right digits from 80 % to 90 %. And exact match of six digits, if mistakes are "
    "independent?",
    [
        ("From 80 % to 90 %", False, "That would be so if one digit decided. Six must be right together."),
        ("From 26 % to 53 %", True, "Yes: 0.8⁶ and 0.9⁶. Half as many mistakes, twice as many numbers."),
        ("From 0 % to 53 %", False, "0.8⁶ is small, but it is not nothing: more than a quarter."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "01-quiz-emergent",
    "Which finding would speak against “the jump is only the metric”?",
    [
        ("Exact match jumps on one more task", False, "That is what both sides expect. It does not tell them apart."),
        (
            "A continuous metric, too, stays at guessing and then rises at a threshold",
            True,
            "Yes: this is what Du et al. (2024) report, with the loss in place of the size.",
        ),
        (
            "A larger test finds a few right answers of the small models",
            False,
            "That speaks for it: the ability was there, and too rare for the smaller test.",
        ),
    ],
)

# %% [markdown]
# ## Take-aways
#
# - Parameters can be counted from seven numbers. In small models the vocabulary takes a large share, in large ones the
#   MLPs take nearly everything.
# - One model does many tasks from the prompt alone. Which of its answers are right is another question, and some
#   answers no pattern can check.
# - In-context learning changes no parameter. Here shots taught the form of the answer at once, and a new meaning of
#   words hardly. Report several draws, with error bars and with guessing as a line.
# - A score at guessing can hide ability: look at what the model prefers anyway, and calibrate.
# - Exact match turns a smooth climb into a jump. Before you call something emergent, count it in a finer way.
#
# **Next**: [02 · Where LLMs fail](02_where_llms_fail.ipynb) takes the same model to its limits.
#
# **Exercise**: [01 · What LLMs can do](../exercises/01_what_llms_can_do.ipynb). **All lessons**: [the
# index](index.ipynb).
