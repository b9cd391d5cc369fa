# %% [markdown]
# # 05 · From text to vectors
#
# A language model never sees your text, only numbers. How the text is cut into them decides what it costs, hides its
# letters from the model, and lets one space too many ruin a prompt.
#
# ![The loop text, tokens, vectors, layers, logits, choice, and back to text, with the first three lit. Below,
# “Tokenization helps” is cut at its space, merges build Token, ization and ␣helps, and each of these has an id and a
# vector of 576 numbers.](images/05_from_text_to_vectors.svg)
#
# **You will be able to**
#
# - see where a tokenizer cuts a text before it merges anything;
# - merge byte pairs by hand, and get the tokens of a real model;
# - predict which texts need many tokens, and say why;
# - compare vectors of tokens with the right baseline;
# - say what a vector of a word can know about its sentence.
#
# **Time**: 45 minutes. **Read before**: [00 · Start here](00_start_here.ipynb).

# %% [markdown]
# ## 1 · One space too many
#
# After “The capital of France is”, SmolLM2 writes ␣Paris (the ␣ is a space). Now leave a space at the end of the
# prompt, which nobody can see.

# %%
from course_utils.learner import predict

trailing = predict(
    "05-trailing-space",
    "“The capital of France is ” with a space at the end: how likely is ␣Paris or Paris as the next token?",
    {"below 5 %": (0, 0.05), "5 % to 60 %": (0.05, 0.6), "over 60 %, as without the space": (0.6, None)},
)
trailing

# %% tags=["nbval-check-output"]
from course_utils import figures
from course_utils.models import load_causal_lm

smollm = load_causal_lm()
probabilities = smollm.next_logits("The capital of France is ").softmax(-1)
figures.next_token_bars(probabilities, smollm.labels, top=6)

# %% tags=["nbval-check-output"]
paris = [smollm.labels.index(token) for token in ("␣Paris", "Paris")]
trailing.compare(probabilities[paris].sum().item(), show="{:.1%}")

# %% [markdown]
# Digits! Is that only France? Take twenty countries, and look at the most likely token of each.

# %% tags=["nbval-check-output"]
from course_utils.experiments.failure_cases import CAPITALS

for end in ("", " "):
    prompts = [f"The capital of {country} is{end}" for country in CAPITALS]
    best = [smollm.labels[smollm.next_logits(prompt).argmax()] for prompt in prompts]
    print(f"{sum(map(str.isdigit, best))} digits of 20: {' '.join(best)}")

# %% [markdown]
# With the space, all twenty get a digit. To see why, look at what the model reads:


# %% tags=["nbval-check-output"]
def tokens(text):
    """The tokens of SmolLM2 as visible text."""
    return [smollm.labels[token] for token in smollm.encode(text)[0]]


[tokens("The capital of France is Paris"), tokens("The capital of France is ")]

# %% [markdown]
# A space usually begins the next token, as in ␣Paris. Yours had no word to join, so it became a token of its own.
#
# ## 2 · Before merging: the pre-tokenizer
#
# A tokenizer works in two steps. First a fixed rule cuts the text into parts: that's **pre-tokenization**. Then tokens
# are built inside each part, and none crosses a cut. Here is the first step alone; Ġ is a space.

# %% tags=["nbval-check-output"]
pre_tokenizer = smollm.tokenizer.backend_tokenizer.pre_tokenizer
[part for part, place in pre_tokenizer.pre_tokenize_str("It's 42 now, née 🙂")]

# %% [markdown]
# A word keeps the space in front of it (*Ġnow*). Digits don't: SmolLM2 cuts around every one of them, so the space
# before 42 is left alone. That explains the digits: to the model, a lone space looks like the start of a number. Don't
# end a prompt with one.
#
# The parts are written in **bytes**, each with a printable sign of its own (Radford et al., 2019, GPT-2). An English
# letter is one byte, é is two (*Ã©*), the emoji is four.

# %% [markdown]
# ## 3 · Merge pairs by hand
#
# If each word had a number, new words would have none. If each letter had one, texts would get long, and a model pays
# for every token. **Byte-pair encoding** (BPE) is in between. It starts with letters or bytes, makes the most frequent
# pair of neighbours one symbol, and does that again, thousands of times (Sennrich, Haddow and Birch, 2016).
#
# Their example, here without its end-of-word mark, has *low* five times, *lower* twice, *newest* six times and *widest*
# three times.

# %%
first_merge = predict("05-first-merge", "Which pair of letters is merged first?", ["l + o", "w + e", "e + s"])
first_merge

# %% tags=["nbval-check-output"]
from collections import Counter
from itertools import pairwise

words = [list(word) for word in ["low"] * 5 + ["lower"] * 2 + ["newest"] * 6 + ["widest"] * 3]
counts = Counter(pair for word in words for pair in pairwise(word))
print(counts.most_common(4))
first_merge.compare(" + ".join(max(counts, key=counts.get)))

# %% [markdown]
# *newest* and *widest* share e + s, which makes nine. (s + t has nine, too; this code takes the one it saw first.) A
# merge goes through a word from the left and glues the pair together wherever it is:


# %% tags=["nbval-check-output"]
def merge(symbols, pair):
    """Write every `pair` of neighbours as one symbol, from left to right."""
    merged = []
    for symbol in symbols:
        if merged and (merged[-1], symbol) == pair:
            merged[-1] += symbol
        else:
            merged.append(symbol)
    return merged


merge(list("newest"), ("e", "s"))

# %% [markdown]
# Training is count, merge, repeat. Watch *newest* grow into one symbol. At the end, the eight merges are applied in
# order to a new word.

# %% tags=["nbval-check-output"]
merges = []
for step in range(1, 9):
    counts = Counter(pair for word in words for pair in pairwise(word))
    merges.append(max(counts, key=counts.get))
    words = [merge(word, merges[-1]) for word in words]
    print(f"{step}  {'+'.join(merges[-1]):9}{'·'.join(words[7]):13}{'·'.join(words[5]):11}{'·'.join(words[13])}")

symbols = list("slowest")
for pair in merges:
    symbols = merge(symbols, pair)
symbols

# %% [markdown]
# So *slowest* isn't unknown. At worst, a new word falls apart into its letters or bytes.
#
# ## 4 · The merges of a real model
#
# SmolLM2's merges were learned the same way from far more text. In a word, always merge the pair that was learned
# earliest; the number in front says how early.

# %% tags=["nbval-check-output"]
import json

rules = json.loads(smollm.tokenizer.backend_tokenizer.to_str())["model"]
rank = {tuple(pair): number for number, pair in enumerate(rules["merges"], start=1)}
print(f"{len(rank):,} merges for {len(rules['vocab']):,} tokens")

symbols = list("Ġtokenization")
while known := [pair for pair in pairwise(symbols) if pair in rank]:
    earliest = min(known, key=rank.get)
    symbols = merge(symbols, earliest)
    print(f"{rank[earliest]:6}  {' '.join(symbols)}")
assert symbols == smollm.tokenizer.tokenize(" tokenization")

# %% [markdown]
# Two tokens, the same as in `transformers`.
#
# **Try it** on any text. The second tokenizer belongs to MiniLM, a small model that compares texts.
#
# - Press **Play**, then → and ← on **step**, and read which pair is merged.
# - Click a word to see the tree of its merges. Look at the emoji.
# - Switch on the **special tokens** (hatched). For SmolLM2 that is the **chat template**, which a chat program puts
#   around your words. How many tokens does your text cost then?
# - Type your name, a line of code, a sentence in your own language.

# %% tags=["nbval-check-output"]
from course_utils.models import load_encoder
from course_utils.widgets import tokenizer_stepper

minilm = load_encoder()
tokenizer_stepper([smollm, minilm], "Tokenization isn't obvious: 2,048 naïve 🙂 你好")

# %% [markdown]
# MiniLM, like BERT, uses **WordPiece** (Devlin et al., 2019). It drops capitals and accents first.
# Then it doesn't merge: it takes the longest piece it knows from the left, again and again, and `##` marks a piece that
# continues a word. A word it can't build becomes `[UNK]`, unknown. Send a text there and back:

# %% tags=["nbval-check-output"]
text = "Café,  你好 🙂"
[model.tokenizer.decode(model.tokenizer(text).input_ids, skip_special_tokens=False) for model in (smollm, minilm)]

# %% [markdown]
# SmolLM2 returns this text unchanged; MiniLM doesn't. That's often fine for comparing English texts, and useless for
# writing.
#
# ## 5 · What costs tokens
#
# SmolLM2's tokens on the left, MiniLM's on the right:

# %% tags=["nbval-check-output"]
for text in (" Paris", "Paris", " paris", " PARIS", "12345", "3.14159", "    return x", " hippopotamus"):
    print(f"{text!r:17}{'·'.join(tokens(text)):24}{'·'.join(minilm.tokenizer.tokenize(text))}")

# %% [markdown]
# - To SmolLM2, four spellings of Paris are four different lists of tokens. To MiniLM they're all the same.
# - SmolLM2 has one token per digit. MiniLM cuts 12345 into 123 and ##45.
# - Three of the four spaces before the code are one token, and the fourth belongs to ␣return. MiniLM drops them.
# - ␣hipp·opotam·us reaches the model as three ids. None of them shows a letter: [lesson
#   02](02_where_llms_fail.ipynb) has it count them.
#
# Languages differ most. Take the first paragraph of each of the thirty articles of the Universal Declaration of Human
# Rights (United Nations, 1948). Article 1 begins “All human beings are born free and equal in dignity and rights.”

# %%
hindi = predict(
    "05-hindi",
    "SmolLM2's tokens of a Hindi passage, divided by those of the same passage in English, on average",
    {"about 1": (0, 1.5), "2 to 5": (1.5, 5), "more than 5": (5, None)},
)
hindi

# %% tags=["nbval-check-output"]
from course_utils.experiments.human_rights import human_rights, recorded_tokens
from course_utils.experiments.intervals import bootstrap_interval


def times_english(counts):
    """For each language, tokens divided by the English ones: the mean and its interval."""
    ratios = {name: [a / b for a, b in zip(c, counts["English"], strict=True)] for name, c in counts.items()}
    return {name: (sum(r) / len(r), *bootstrap_interval(r)) for name, r in ratios.items()}


passages = human_rights()
needed = {language: [len(tokens(text)) for text in texts] for language, texts in passages.items()}
print("Article 1:", *[f"{language} {counts[0]}" for language, counts in needed.items()])
hindi.compare(times_english(needed)["Hindi"][0], show="{:.1f} times")

# %% [markdown]
# Each bar is the mean of thirty such ratios; the black line is its 95 % **bootstrap interval** (Efron, 1979): how far
# the mean moves when thirty passages are drawn from these, with repeats, again and again. GPT-4o's counts were recorded
# on 2026-11-30 with the package `gpt-tokenizer`.

# %% tags=["nbval-check-output"]
measured = {"SmolLM2": times_english(needed), "GPT-4o (recorded)": times_english(recorded_tokens("GPT-4o"))}
means = {name: [mean for mean, *_ in rows.values()] for name, rows in measured.items()}
intervals = {name: [ends for _, *ends in rows.values()] for name, rows in measured.items()}
figures.token_counts(means, list(passages), "tokens, divided by those of the English passage", intervals)

# %% [markdown]
# SmolLM2 reads at most 8,192 tokens, and Hindi fills them six times as fast as English. With GPT-4o's tokenizer, it
# needs less than twice as many. Petrov et al. (2023) found differences of up to 15 times, and some even in tokenizers
# made for many languages.
#
# Is Hindi harder, or did SmolLM2's tokenizer see too little of it? GPT-4o's has a larger vocabulary *and* another
# training text, so the picture can't tell. Change one thing only: train two tokenizers of the same size with SmolLM2's
# recipe, on the first fifteen articles in English or in Hindi. Test both on the other fifteen.

# %% tags=["nbval-check-output"]
print("bytes:", {name: len("".join(passages[name][15:]).encode()) for name in ("English", "Hindi")})
for trained_on in ("English", "Hindi"):
    mine = smollm.tokenizer.train_new_from_iterator(passages[trained_on][:15], 490, show_progress=False)
    length = {name: sum(len(mine(text).input_ids) for text in passages[name][15:]) for name in ("English", "Hindi")}
    print(f"{len(mine)} tokens, trained on {trained_on}: {length}")

# %% [markdown]
# It turns around. The tokenizer that read Hindi needs fewer tokens for Hindi, and one token per byte for English.
# Merges go to what the training text has most of. But even with a tokenizer of its own, Hindi needs 2,216 tokens where
# English needs 1,277. One reason: it starts from more bytes.
#
# ## 6 · From ids to vectors
#
# An id is a name, not a quantity. So the model keeps a table, its **embedding**, with one row of numbers for each
# token, learned in training. To embed a token is to take its row.
#
# How alike two rows are is usually measured by the **cosine** of the angle between them: 1 is the same direction. What
# is a high cosine? As a baseline, take 2,000 random pairs of tokens.

# %% tags=["nbval-check-output"]
import torch

from course_utils.experiments.vectors import cosine_similarity, unit_vectors

embedding = smollm.model.get_input_embeddings().weight.detach()
print("the table:", tuple(embedding.shape))

pairs = torch.randint(17, len(embedding), (2, 2_000), generator=torch.Generator().manual_seed(0))  # 0–16 are special
of_pairs = torch.cosine_similarity(embedding[pairs[0]], embedding[pairs[1]], dim=-1)
low, high = of_pairs.quantile(torch.tensor([0.05, 0.95]))
print(f"random pairs: mean {of_pairs.mean():.2f}, nine of ten {low:.2f} … {high:.2f}")

# %% [markdown]
# So two random tokens can have 0.6. Now the five nearest neighbours of some tokens. The last column is that token's own
# baseline: nine of ten tokens of the whole vocabulary have a cosine in this range with it.

# %% tags=["nbval-check-output"]
for token in ("␣Paris", "␣seven", "␣Monday", "␣king", "ing"):
    row = smollm.labels.index(token)
    cosines = cosine_similarity(embedding[[row]], embedding)[0]
    near = [f"{smollm.labels[i]} {cosines[i]:.2f}" for i in cosines.topk(6).indices if i != row]
    print(f"{token:8}{'  '.join(near):82}" + f"{cosines.quantile(0.05):.2f} … {cosines.quantile(0.95):.2f}")

# %% [markdown]
# The nearest to ␣Paris is Paris without its space. Then comes ␣London with 0.61. That's inside the range of random
# pairs, and far outside the range of ␣Paris itself: some tokens are near to almost everything, others to little.
# *ings*, at 0.42, is even below the mean of random pairs, and still far above what *ing* usually has. **Compare a
# cosine with others of the same token.**
#
# ### A map, and what it hides
#
# Is nearness about meaning? Here are four groups of six words. By chance, only about five would have their nearest in
# their own group. And to draw rows of 576 numbers, keep the two directions in which they differ most: a **principal
# component analysis** (PCA). The title says how much of the differences the map still shows.

# %% tags=["nbval-check-output"]
from course_utils.experiments.vectors import explained_variance, principal_axes
from course_utils.experiments.word_senses import with_nearest_alike

groups = {
    "animals": "cat dog horse cow bird fish",
    "cities": "Paris London Rome Berlin Madrid Tokyo",
    "numbers": "one two three four five six",
    "colours": "red blue green yellow white black",
}
names = [f"␣{word}" for group in groups.values() for word in group.split()]
of_group = [group for group, members in groups.items() for _ in members.split()]
rows = embedding[[smollm.labels.index(name) for name in names]]
print(f"{with_nearest_alike(rows, of_group)} of 24 words have their nearest in their own group")

centred, everything = (unit_vectors(table) - unit_vectors(table).mean(0) for table in (rows, embedding))
axes = principal_axes(centred)
share = explained_variance(centred, axes)
print(f"a map of the whole vocabulary would show {explained_variance(everything, principal_axes(everything)):.0%}")
figures.word_map((centred @ axes.T).numpy(), names, share, "24 rows of SmolLM2's embedding", groups=of_group)

# %% [markdown]
# All 24 do. The groups come apart on the map, too; we chose words that would. It shows 41 % of their differences, and a
# map of the whole vocabulary would show 8 %. When you see one without that number, ask for it.
#
# ## 7 · A word in its sentence
#
# So far each token has one vector, whatever is around it. Then each of the 30 layers adds what it has read in the text.
# Does that set *bank* by a river apart from *bank* with money?

# %%
bank = predict(
    "05-bank",
    "“They walked to the bank of the river”, “… to open an account”: the cosine of “bank” in SmolLM2's last layer?",
    {"below 0.8": (None, 0.8), "0.8 to 0.99": (0.8, 0.99), "1.00, they are the same": (0.99, None)},
)
bank

# %% tags=["nbval-check-output"]
from course_utils.traces import record_embeddings

items = [(f"They walked to the bank {rest}", "bank") for rest in ("of the river", "to open an account")]
last = {model.name: record_embeddings(model, items).cosines(0)[-1, 1].item() for model in (smollm, minilm)}
print({name: round(cosine, 2) for name, cosine in last.items()})
bank.compare(last[smollm.name], show="{:.2f}")

# %% [markdown]
# SmolLM2 is a causal model: a token sees what came before it, and nothing after. Up to *bank* the two sentences are the
# same, so the two vectors are, too. MiniLM is an **encoder**: it reads in both directions, and its two vectors differ.
#
# Now twice twenty sentences, in pairs that differ in the clue only. It comes before the bank (“The fisherman is at the
# bank”, “The accountant …”) or after it (“The woman is at the bank of the river”, “… of England”). How often does the
# nearest other *bank*, in the middle layer, mean the same? By chance, a little less than half of the time.

# %% tags=["nbval-check-output"]
from course_utils.experiments.intervals import wilson_interval
from course_utils.experiments.word_senses import SENSES, bank_sentences

for model, middle in ((smollm, 15), (minilm, 3)):
    for clue in ("before", "after"):
        states = record_embeddings(model, [(text, "bank") for text in bank_sentences(clue)]).states
        right = with_nearest_alike(torch.from_numpy(states[middle]), SENSES)
        low, high = wilson_interval(right, 20)
        print(f"{model.name:24}clue {clue:7}{right:3} of 20, interval {low:.0%} to {high:.0%}")

# %% [markdown]
# In the middle layer, MiniLM is right nearly always, wherever the clue is. SmolLM2 is right 15 times of 20 when the
# clue comes first; the interval begins just above chance. When the clue comes after, the nearest is always the twin
# with the other meaning: it's the same vector.
#
# **Try it.** Below is one word six times, by a river in the first three sentences, with money in the others.
#
# - Move **layer** to 0, where all six are the same row of the table. Then to the right. When do they part?
# - Add “She opened an account at the bank of the river” with the word *bank*. Where does it land?

# %% tags=["nbval-check-output"]
from course_utils.widgets import embedding_map

banks = [
    "The river rose over the bank",
    "They fished from the muddy bank",
    "The boat lay at the bank",
    "He put his money in the bank",
    "The loan came from the bank",
    "She opened an account at the bank",
]
senses = ["river"] * 3 + ["money"] * 3
embedding_map(smollm, [(text, "bank") for text in banks], layer=15, senses=senses)

# %% [markdown]
# One trap is left. Take twenty words, each as the very first token, then each after “The word is”. How long are their
# vectors in layer 15, and how alike?

# %% tags=["nbval-check-output"]
twenty = "Paris dog seven red king bank ocean book run happy slow music table money green water doctor sleep north old"
for start in ("", "The word is"):
    items = [(f"{start} {word}", f" {word}") for word in twenty.split()]
    states = torch.from_numpy(record_embeddings(smollm, items).states[15])
    alike = cosine_similarity(states, states)[~torch.eye(20, dtype=torch.bool)]
    print(f"{start or 'first':12} length {states.norm(dim=1).mean():.0f}, cosine {alike.min():.2f} … {alike.max():.2f}")

# %% [markdown]
# As the first token, all twenty words have practically the same, huge vector. Its cosines say nothing about the words.
# Other models have such outliers, too (Sun et al., 2024). So put something in front of a word before you compare its
# vector.
#
# ## 8 · The whole thing in one cell
#
# From a text to the vectors that the layers get, by hand, and equal to `transformers` on 27 passages and two nasty
# texts.


# %% tags=["nbval-check-output"]
def my_vectors(text):
    """text → parts → bytes → tokens → ids → vectors"""
    ids = []
    for part, _ in pre_tokenizer.pre_tokenize_str(text):
        symbols = list(part)
        while known := [pair for pair in pairwise(symbols) if pair in rank]:
            symbols = merge(symbols, min(known, key=rank.get))
        ids += [rules["vocab"][symbol] for symbol in symbols]
    return ids, embedding[ids]


texts = [text for several in passages.values() for text in several[:3]]
for text in (*texts, "It's 3.14  or\n\n  so 🙂👩‍👩‍👧", "def f(x):\n    return x²"):
    assert my_vectors(text)[0] == smollm.tokenizer(text).input_ids
ids, vectors = my_vectors(text)
with torch.inference_mode():
    theirs = smollm.model(torch.tensor([ids]), output_hidden_states=True).hidden_states[0][0]
assert torch.equal(vectors, theirs)
len(texts), vectors.shape

# %% [markdown]
# A row of the table doesn't say where in the text its token is. How a model knows is in [Deeper:
# positions](deeper/05_positions.ipynb).
#
# ## 9 · Quiz
#
# Try the wrong options, too.

# %% tags=["nbval-check-output"]
from course_utils.learner import quiz_question

quiz_question(
    "05-quiz-order",
    "Why must the merges be applied in the order of training?",
    [
        ("It's faster", False, "The order changes the result, not only the time."),
        (
            "Another order can give other tokens",
            True,
            "Yes: merge h + e first, and the t + h of “the” is gone. The model has only seen one of the two results.",
        ),
        ("The ids would be in the wrong order", False, "Ids come from a table. Their order in the text is the text's."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "05-quiz-space",
    "You check whether the model answers “Paris”, and look up the probability of the token “Paris”. It's tiny. Why?",
    [
        ("The model doesn't know it", False, "Perhaps it does: look at ␣Paris, with the space, before you judge."),
        (
            "After a word, the token is ␣Paris",
            True,
            "Yes: the space is part of the token. Almost everyone forgets this once.",
        ),
        ("Your prompt needs a space at the end", False, "That makes it worse: then a digit is likely."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "05-quiz-cosine",
    "Two tokens of SmolLM2 have a cosine of 0.6. Are they related?",
    [
        ("Yes, 0.6 is high", False, "Among random pairs, more than one in twenty has as much."),
        (
            "No, random pairs have that, too",
            False,
            "␣London has 0.61 with ␣Paris, and hardly any other token comes near.",
        ),
        (
            "Look at what else these two are near to",
            True,
            "Yes: for ␣Paris, 95 % of all tokens are below 0.40, so 0.6 is a lot. For another token it may be nothing.",
        ),
    ],
)

# %% [markdown]
# ## Take-aways
#
# - Pre-tokenization cuts first; byte pairs are then merged inside each part, in the order in which they were learned.
# - The space belongs to the token after it. Don't end a prompt with a space.
# - What a text costs depends on what the tokenizer was trained on. Count tokens, not words.
# - A cosine needs a baseline, and a map needs its share of the differences.
# - A causal model's vector of a word knows what came before it, never what comes after.
#
# **Exercise**: [05 · From text to vectors](../exercises/05_from_text_to_vectors.ipynb). **Deeper**:
# [positions](deeper/05_positions.ipynb). **All lessons**: [the index](index.ipynb).
#
# **Next**: [06 · Pre-training and fine-tuning](06_pretraining_and_finetuning.ipynb) shows where the numbers in these
# tables come from.
