# %% [markdown]
# # 01 · What LLMs can do
#
# You'll hear that one model can do any task, that it learns from a few examples, and that its abilities appear all of a
# sudden. Test each claim on models small enough to take apart, and see how much depends on how you measure.
#
# ![One of the 30 layers of SmolLM2, its matrices drawn to scale. Attention has four: Q and O, 576 by 576, for 9 query
# heads, and the narrow K and V, 576 by 192, for 3 heads each. The MLP has three: gate and up, 576 by 1,536, and down,
# 1,536 by 576. Below, all 134.5 million parameters as one bar: embedding 28.3 million, attention 26.5 million, MLP 79.6
# million.](images/01_what_llms_can_do.svg)
#
# **You will be able to**
#
# - count the parameters of a model by part, and place it among others on a logarithmic axis;
# - test a model on tasks, and tell an answer that was checked from one that only sounds right;
# - measure in-context learning with intervals, and say what the examples taught;
# - show how a metric can turn a smooth climb into a jump, and give both sides of the debate on emergent abilities.
#
# **Time**: 39 minutes. **Read before**: [00 · Start here](00_start_here.ipynb).

# %% [markdown]
# ## 1 · Scale
#
# A **parameter** is a number that the model has learned; the *135M* in SmolLM2-135M stands for 135 million of them.
# Where are they? The drawing shows one of 30 equal **layers**, the steps in which the model works. In each, *attention*
# (lesson 08) lets tokens read from each other, and an **MLP** (multi-layer perceptron) works on each token alone.
# Before them, the **embedding** turns every token into 576 numbers: it's a table with one row per token.
#
# Count them. A matrix from *n* numbers to *m* has *n* · *m* parameters, so each line below can be read off the drawing.
# **Norms** keep numbers in a good range: two per layer and one at the end, with one parameter for each of 576 places.

# %% tags=["nbval-check-output"]
from course_utils.models import load_causal_lm

smollm = load_causal_lm()
model, tokenizer, config = smollm.model, smollm.tokenizer, smollm.model.config
layers, width, inner = config.num_hidden_layers, config.hidden_size, config.intermediate_size
queries = config.num_attention_heads * config.head_dim  # 9 heads of 64 numbers
keys = config.num_key_value_heads * config.head_dim  # 3 heads; as many for the values
by_hand = {
    "embedding": config.vocab_size * width,
    "attention": layers * (2 * width * queries + 2 * width * keys),  # Q and O, K and V
    "MLP": layers * 3 * width * inner,
    "norms": (2 * layers + 1) * width,
}
assert sum(by_hand.values()) == model.num_parameters()
print(f"{layers} layers of width {width}:", {part: f"{count:,}" for part, count in by_hand.items()})

# %% [markdown]
# The sum is exact, yet something seems missing. At the end, 576 numbers must become 49,152 logits, which takes a matrix
# as large as the embedding. It *is* the embedding, read the other way round. The two are **tied**.

# %% tags=["nbval-check-output"]
print("one and the same matrix:", model.lm_head.weight is model.model.embed_tokens.weight)
untied = model.num_parameters() + by_hand["embedding"]
f"with a matrix of its own: {untied:,} parameters, {untied / model.num_parameters() - 1:.0%} more"

# %% [markdown]
# The embedding is a fifth of SmolLM2. The same formula works for other models of this kind, such as Llama 3.1 405B; its
# sizes are from Grattafiori et al. (2024).

# %%
from course_utils.learner import predict

embedding_share = predict(
    "01-embedding-share",
    "Llama 3.1 405B has 2.6 times as many tokens and 28 times the width. How much of it is its embedding?",
    {"over a third": (0.33, None), "about a fifth, too": (0.1, 0.33), "below a tenth": (0, 0.1)},
)
embedding_share

# %% [markdown]
# Beside it, three that run here. (The phone book comes in section 4.)

# %% tags=["nbval-check-output"]
from course_utils import figures
from course_utils.measuring.parameters import MIXTURES, llama_parameters, parameters_by_part
from course_utils.models import load_encoder
from course_utils.models.phone_book import phone_book_models

here = {"phone book, width 32": parameters_by_part(phone_book_models()[32])}
here |= {"MiniLM": parameters_by_part(load_encoder().model), "SmolLM2-135M": by_hand}
llama = llama_parameters(126, 16_384, 128, 8, 128, mlp_size=53_248, vocab_size=128_256)
print(embedding_share.compare(llama["embedding"] / sum(llama.values()), show="{:.1%} of its parameters"))
figures.parameter_parts(here | {"Llama 3.1 405B": llama})

# %% [markdown]
# Half of MiniLM is its embedding. In the Llama it hardly shows: that table grows with the width, the matrices of every
# layer with its square. Four fifths are MLP. Now the sizes. Each vertical line is ten times the one before.

# %% tags=["nbval-check-output"]
from course_utils.measuring.model_shapes import PUBLISHED

sizes = {name: sum(parts.values()) for name, parts in here.items()}
for name in ("GPT-2", "GPT-2 XL", "GPT-3", "SmolLM2-1.7B", "Mistral 7B", "Llama 3.1 70B", "Llama 3.1 405B"):
    sizes[name] = PUBLISHED[name].parameters
sizes |= {name: mixture.parameters for name, mixture in MIXTURES.items()}
times = max(sizes.values()) / model.num_parameters()
print(f"the largest in the picture has {times:,.0f} times the parameters of SmolLM2-135M")
figures.model_sizes(sizes, here=list(here), active={name: mixture.active for name, mixture in MIXTURES.items()})

# %% [markdown]
# The last three are **mixtures of experts**: a layer has many MLPs, and each token goes through a few of them
# (DeepSeek-AI 2024, DeepSeek-AI 2026, Kimi Team 2025). Models whose size isn't published, such as GPT-4 (OpenAI 2023,
# *GPT-4 Technical Report*), aren't in the picture.

# %% [markdown]
# ## 2 · One model, many tasks
#
# Most tasks used to have a model of their own. A language model gets the task as text. Here are six tasks, two
# questions each. The third entry is a pattern that a right answer contains. With None, a reader has to judge.

# %% tags=["nbval-check-output"]
bakery = "The bakery on the corner closed in May, because its oven was too old and nobody wanted to pay for a new one."
ferry = "The ferry did not run on Monday, because of a storm. On Tuesday the sea was calm again."
questions = [
    ("translate", "What is the French word for “bread”?", "pain"),
    ("translate", "How do you say “good morning” in French?", "bonjour"),
    ("summarise", f"Summarise in one short sentence: {bakery}", None),
    ("summarise", f"Summarise in one short sentence: {ferry}", None),
    ("classify", "Is this review positive or negative? The food was cold and the waiter was rude.", "is negative"),
    ("classify", "Is this review positive or negative? We laughed the whole evening.", "is positive"),
    ("extract", "Which phone number is in this sentence? Call Peter at 555 0134 after six.", "555.?0134"),
    ("extract", "What is the date of the meeting? The meeting with Dr. Ito is on 4 March at noon.", "4 March"),
    ("arithmetic", "What is 7 + 5?", "12"),
    ("arithmetic", "What is 23 + 48?", "71"),
    ("rhyme", "Name three words that rhyme with “cat”.", "bat|fat|flat|hat|mat|rat|sat"),
    ("rhyme", "Write two lines that rhyme about the sea.", None),
]
f"{len(questions)} questions"

# %% [markdown]
# All twelve go through the model as one batch (lesson 03), in the chat format it was trained on. Always taking the
# likeliest token is called **greedy**: it gives the same answers every time.


# %% tags=["nbval-check-output"]
import re
from course_utils.experiments.greedy_answers import greedy_answers


def ask(texts):
    """Return the greedy answer to each text."""
    chats = [[{"role": "user", "content": text}] for text in texts]
    prompts = tokenizer.apply_chat_template(chats, tokenize=False, add_generation_prompt=True)
    return [answer.text for answer in greedy_answers(model, tokenizer, prompts, max_new_tokens=32, ends="")]


for (task, _, wanted), answer in zip(questions, ask([one for _, one, _ in questions]), strict=True):
    found = wanted and re.search(rf"\b({wanted})\b", answer, re.IGNORECASE)
    print("?" if wanted is None else "✓" if found else "✗", f"{task:11}", answer[:110])

# %% [markdown]
# ✓ means that the pattern was found, ? that there is none. One model, nothing changed between tasks, and the answers
# look like answers. Read closer.
#
# - *Extract* copies from the text, and copying works. Yet the date comes with “2 PM”, and the text says noon. The
#   pattern didn't notice.
# - *Good morning* is right; what follows isn't French. Bread is *pain*; a *boule* is a round loaf.
# - *Classify* says “positive” twice. With two questions you can't tell that from ability.
# - The first *summary* is nearly the whole text; the second leaves out half of it.
# - *Rhyme* fails: cat, cafe and catcher begin alike.
#
# Twelve questions illustrate; they don't measure. Ask some of your own:

# %% tags=["nbval-check-output"]
my_question = "Name three animals that live in the sea."
ask([my_question])[0]

# %% [markdown]
# ### What size buys
#
# SmolLM2 has two larger siblings. We know of no published answers of theirs to these twelve. The model cards of the
# three base models (lesson 06) give other scores, recorded here. Guessing gets 25 % of HellaSwag (choose the ending
# that fits), 50 % of Winogrande (who is *it*?), and nothing of TriviaQA (facts) and GSM8K (school word problems).

# %% tags=["nbval-check-output"]
# Model cards of HuggingFaceTB/SmolLM2-135M, -360M and -1.7B, read on 2026-11-30
millions = [135, 362, 1711]
cards = {"HellaSwag": [42.1, 54.5, 68.7], "Winogrande": [51.3, 52.5, 59.4]}
cards |= {"TriviaQA": [4.1, 16.9, 36.7], "GSM8K": [1.4, 3.2, 31.0]}
figures.curves(cards, millions, "million parameters", "score in %", logarithmic=True)

# %% [markdown]
# Everything rises, but not together. Facts come early, word problems late, and Winogrande is near guessing until the
# last step. But the larger models also read more text, 2, 4 and 11 trillion tokens according to the cards (Ben Allal et
# al. 2025). The curves show what size *and* text buy.
#
# One task can be set beside a really large model. Brown et al. (2020), *Language Models are Few-Shot Learners*, asked
# for sums of two-digit numbers in this form. Here are 40 of them, after four examples.

# %% tags=["nbval-check-output"]
import random
from course_utils.experiments.intervals import means_and_intervals, wilson_interval

chance = random.Random(0)
sums = [(chance.randrange(100), chance.randrange(100)) for _ in range(44)]
asked = [f"Q: What is {a} plus {b}?\nA:" for a, b in sums]
examples = "".join(f"{text} {a + b}\n\n" for text, (a, b) in zip(asked[:4], sums, strict=False))
print(examples[:31])

# %% tags=["nbval-check-output"]
written = greedy_answers(model, tokenizer, [examples + text for text in asked[4:]], max_new_tokens=6, ends="\n")
right = sum(answer.text.strip() == str(a + b) for answer, (a, b) in zip(written, sums[4:], strict=True))
low, high = wilson_interval(right, 40)
print(sum(answer.text.strip().isdecimal() for answer in written), "of 40 answers are a number")
f"{right} of 40 are right; 95 % interval {low:.0%} to {high:.0%}"

# %% [markdown]
# GPT-3 with 175 billion parameters got 100 %, with 50 examples (their table 3.9); the one with 13 billion about half
# (their section 3.9.1). Size isn't all that differs. But the form isn't what our model lacks: it writes numbers, and
# they're wrong.

# %% [markdown]
# ## 3 · In-context learning
#
# You can give a model examples in the prompt. Each is a **shot**. No parameter changes, and still the answers get
# better: **in-context learning** (Brown et al. 2020). What do the examples teach? We wrote sixty short sentences,
# thirty about food and thirty about sport. Here are three of each, then a prompt with two shots.

# %% tags=["nbval-check-output"]
from course_utils.experiments.shots import draw_shots, shot_text, topic_sentences, true_classes

sentences = topic_sentences()
topics = list(sentences)
{topic: own[:3] for topic, own in sentences.items()}

# %% tags=["nbval-check-output"]
draws = draw_shots(sentences, draws=15, shots=8, seed=0)
instruction = "Sentences, each with its topic, food or sport:\n"
two_shots = instruction + "".join(shot_text(text, topics[label]) for text, label in draws[0].shots[:2])
sentence = shot_text(draws[0].tests[0][0])
print(two_shots + sentence)

# %% [markdown]
# The model's answer is the topic with the higher probability at the end. Try it, without shots on the left and with two
# on the right. What does the model expect? Then change a topic on the right to the wrong one, press Enter, and see
# whether the model minds.

# %% tags=["nbval-check-output"]
from functools import partial
from course_utils.traces import record_surprisals
from course_utils.widgets import next_token_explorer

next_token_explorer(partial(record_surprisals, smollm), instruction + sentence, two_shots + sentence, 6, bits=False)

# %% [markdown]
# Now all sixty. One set of shots would be an anecdote, so we draw fifteen. Each sentence is asked once, after shots
# from among the others. Guessing gets one half.

# %%
choices = {"about half": (0.4, 0.6), "60 to 80 %": (0.6, 0.8), "over 80 %": (0.8, None)}
one_shot = predict("01-one-shot", "After a single shot, of only one topic: what share is right?", choices)
one_shot

# %% [markdown]
# Do the *labels* in the shots matter? Toss a coin for each of them, and leave all else as it is; what's right is still
# the true topic. And if the model merely knows the words *food* and *sport* already? Call them *vor* and *blem*, which
# mean nothing. In every second draw they swap places, in case the model likes one of them better for food.

# %%
invented = predict("01-invented", "Labels vor and blem, eight shots, all labelled right: what share is right?", choices)
invented

# %% [markdown]
# The next cell takes a while. Each small mark is one of fifteen draws, the line is their mean, and the bar its 95 %
# **bootstrap interval**: how far the mean would move with other draws (Efron 1979).

# %% tags=["nbval-check-output"]
import torch
from course_utils.experiments.few_shot import score_after_shots, share_right

counts, truth, coin = (0, 1, 8), true_classes(draws), random.Random(0)
tossed = [draw._replace(shots=[(text, coin.randrange(2)) for text, _ in draw.shots]) for draw in draws]
odd_names, odd_instruction = ["vor", "blem"], "Sentences, each with its label, vor or blem:\n"

both = score_after_shots(model, tokenizer, draws + tossed, [topics], instruction, counts)  # shared starts are read once
turns = [odd_names, odd_names[::-1]]  # the names take turns
odd = score_after_shots(model, tokenizer, draws, turns, odd_instruction, counts)
scores = {"true labels": both[: len(draws)], "coin-toss labels": both[len(draws) :], "vor and blem": odd}
shares = {name: share_right(values, truth) for name, values in scores.items()}
figures.shots_curves(shares, {name: means_and_intervals(rows.T) for name, rows in shares.items()}, counts, chance=0.5)

# %% tags=["nbval-check-output"]
print(one_shot.compare(shares["true labels"][:, 1].mean().item(), show="{:.2f} after one shot"))
print(invented.compare(shares["vor and blem"][:, -1].mean().item(), show="{:.2f} after eight shots"))
lost = shares["true labels"] - shares["coin-toss labels"]
for count, (mean, low, high) in zip(counts, means_and_intervals(lost.T), strict=True):
    print(f"shots: {count}, the coin costs {mean:.2f}, 95 % interval {low:.2f} to {high:.2f}")

# %% [markdown]
# - One shot of one topic lifts the *true labels* from one half to nine tenths. More shots don't visibly add to that.
# - With *coin-toss labels* the model is still well above guessing, so a good part of what shots do here isn't teaching
#   which sentence gets which word. But right labels count: the cost of the coin is above zero.
# - With *vor* and *blem*, one shot does nothing you could see. With eight, the interval begins at one half.
#
# Shots can also teach the form of an answer. How much probability do both labels have together after 0, 1 and
# 8 shots?

# %% tags=["nbval-check-output"]
for name, values in scores.items():
    together, first = values.exp().sum(-1).mean((0, 2)), (values.argmax(-1) == 0).float().mean((0, 2))
    print(f"{name:17} both labels:", *(f"{value:.2f}" for value in together), end="   ")
    print("says the label of food:", *(f"{value:.0%}" for value in first))

# %% [markdown]
# Without shots, the labels have next to no probability, and *food* wins every time. One shot makes real labels likely,
# eight make invented ones likely, too. What *kind* of word comes next is learned fast.
#
# Min et al. (2022) report that random labels hardly hurt; Yoo et al. (2022), that it depends on task, prompt and model.
# Here, they do hurt. One small model and sixty sentences can't decide between them.
#
# Could the model tell food from sport *before* the first shot? And is 0.58 for invented labels more than luck? [What
# the shots teach](deeper/01_in_context_learning.ipynb) finds out.

# %% [markdown]
# ## 4 · Emergent abilities
#
# An **emergent ability** is “not present in smaller models but is present in larger models” (Wei et al. 2022, *Emergent
# Abilities of Large Language Models*): a score stays near guessing over several sizes, then jumps without warning.
#
# Try it on thirteen models of rising size, all trained to memorise the same **phone book**: a thousand invented names
# with random numbers.


# %% tags=["nbval-check-output"]
from course_utils.models.phone_book import CHARACTERS, phone_book, recall

book, family = phone_book(), phone_book_models()


@torch.inference_mode()
def write_number(member, name):
    """Write the number of `name` greedily, one digit after the other."""
    ids = [CHARACTERS.index(letter) for letter in name]
    while len(ids) < 9:
        ids.append(member(torch.tensor([ids])).logits[0, -1].argmax().item())
    return "".join(CHARACTERS[token] for token in ids[3:])


print("in the book", *list(book.values())[:6])
for size in (4, 12, 18, 24):
    print(f"width {size:5}", *(write_number(family[size], name) for name in list(book)[:6]))

# %% [markdown]
# Count in two ways. **Digits**: what share of digits is right, each after the right ones before it? **Exact match**:
# what share of numbers has no mistake at all? Both are counted over the whole book. The model of width 12 gets half of
# the digits; guessing gets a tenth.

# %%
matched = predict(
    "01-exact-match",
    "Width 12 gets half of the digits right. And of 100 whole numbers?",
    {"about 50": (0.4, 0.6), "10 to 40": (0.1, 0.4), "fewer than 10": (0, 0.1)},
)
matched

# %% tags=["nbval-check-output"]
known = {size: recall(member) for size, member in family.items()}
parameters = [member.num_parameters() for member in family.values()]
lines = {"digits": [one.digits for one in known.values()], "exact match": [one.numbers for one in known.values()]}
print(matched.compare(known[12].numbers, show="{:.0%} of the numbers"))
figures.curves(lines, parameters, "parameters", "share that is right", logarithmic=True)

# %% [markdown]
# The dashed curve hardly leaves the floor for five sizes, then climbs steeply. If it were all you saw, you'd call this
# emergent. The digits of the *same* models climb from the first size on.
#
# That's the counter-claim of Schaeffer et al. (2023), *Are Emergent Abilities of Large Language Models a Mirage?* The
# models change smoothly; the metric makes the jump. Six digits must all be right. If each is right with probability
# *p*, and mistakes are independent, the number is right with *p*⁶. Does that predict the dashed curve?

# %% tags=["nbval-check-output"]
lines["digits to the power of 6"] = [one.digits**6 for one in known.values()]
for size in (12, 14, 16, 18, 20, 22):
    p = known[size].digits
    print(f"width {size}: p = {p:.2f}, p⁶ = {p**6:.2f}, measured {known[size].numbers:.2f}")
figures.curves(lines, parameters, "parameters", "share that is right", logarithmic=True)

# %% [markdown]
# Roughly. It's flat and steep in the same places, so much of this jump is arithmetic. But in the middle it's too low:
# more numbers are complete than independent mistakes would allow.
#
# **Both sides.** Wei et al. (2022) discuss this objection themselves: exact match can hide progress, but some of their
# tasks ask for a single choice, where no chain of steps has to hold. Schaeffer et al. (2023) answer that such scores
# are steps as well, and show smooth curves for tasks that they could score again. Du et al. (2024) sort models by their
# loss (lesson 06), not their size, and report tasks that stay at guessing until the loss is low enough, under
# continuous metrics, too.
#
# What you saw holds for thirteen tiny models and one task of memory. For a user the jump is real: a phone number
# with one wrong digit is useless. Ask of every jump what was counted, and whether a finer count moves earlier.

# %% [markdown]
# ## 5 · The whole thing in one cell
#
# Few-shot labels in plain `transformers`: read the prompt with each label after it, and add up the log-probabilities of
# the label's tokens. It must equal the course's function, which reads the shots only once.


# %% tags=["nbval-check-output"]
@torch.inference_mode()
def my_label_scores(prompt, texts, names):
    """Log-probability of each label after each text: (text, label)."""
    table = torch.empty(len(texts), len(names))
    for row, text in enumerate(texts):
        for column, name in enumerate(names):
            before, label = tokenizer(f"{prompt}{text}:").input_ids, tokenizer(f" {name}").input_ids
            # The logits before a token predict it: those of the label's tokens begin one place before the label.
            logits = model(torch.tensor([before + label]), logits_to_keep=len(label) + 1).logits[0]
            table[row, column] = logits.log_softmax(-1)[range(len(label)), label].sum()
    return table


texts = [text for text, _ in draws[0].tests[:2]]
shots = "".join(shot_text(text, odd_names[label]) for text, label in draws[0].shots)
mine = my_label_scores(odd_instruction + shots, texts, odd_names)
assert torch.allclose(mine, scores["vor and blem"][0, -1, :2], atol=1e-3)
[[round(value, 1) for value in row] for row in mine.tolist()]

# %% [markdown]
# ## 6 · Quiz
#
# Every option, right or wrong, has an explanation.

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
    "01-quiz-coin",
    "You replace the labels in the shots by coin tosses, and accuracy hardly falls. What follows?",
    [
        ("The model ignores the shots", False, "Take them away and see: here, accuracy without shots was at guessing."),
        ("Shots don't work", False, "They worked, only not through their labels."),
        (
            "Most of what the shots gave didn't come from their labels",
            True,
            "Yes. What's left is the form of the answer, which words are in question, and what the model knew before.",
        ),
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
        ("From 0 % to 53 %", False, "0.8⁶ is small, but it isn't nothing: more than a quarter."),
    ],
)

# %% [markdown]
# ## Take-aways
#
# - You can count a model's parameters from a few sizes. The vocabulary weighs heavily in a small model and hardly at
#   all in a large one, where most parameters are in the MLPs.
# - One model does many tasks from the prompt alone. Whether an answer is right is another question; a matching pattern
#   doesn't settle it.
# - Shots change no parameter. Here they taught the form of an answer at once, and new meanings of words hardly.
# - Exact match turns a smooth climb into a jump. Before you call something emergent, count it in a finer way.
#
# **Exercise**: [01 · What LLMs can do](../exercises/01_what_llms_can_do.ipynb). **Deeper**: [What the shots
# teach](deeper/01_in_context_learning.ipynb). **Next**: [02 · Where LLMs fail](02_where_llms_fail.ipynb) takes the same
# model to its limits. **All lessons**: [the index](index.ipynb).
