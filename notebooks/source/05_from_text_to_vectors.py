# %% [markdown]
# # 05 · From text to vectors
#
# A model computes with numbers, and you write text. Between the two lie three small steps: cut the text into tokens,
# give each token its number, and look up a vector for each number. In this lesson you do all three by hand. Then you
# know why a model cannot spell, why some languages cost seven times as much, and why a space at the end of a prompt
# ruins it.
#
# **You will be able to**
#
# - train a small byte-pair tokenizer, and apply the merges of a real one;
# - tell byte pairs from word pieces, and say what each of them loses;
# - predict which texts need many tokens, and what these cost;
# - look up, compare and map the vectors of tokens;
# - show how RoPE tells the model where a token stands.
#
# **Time**: 45 minutes. **Read before**: [00 · Start here](00_start_here.ipynb).

# %% [markdown]
# ## 1 · Why not words?
#
# The obvious way is to cut a text at its spaces and to number the words. Try it on a tiny text. Look at the
# numbers: they are the ids.

# %% tags=["nbval-check-output"]
training_text = "the newest way was the widest and the lowest way was the newest"
vocabulary = {word: number for number, word in enumerate(sorted(set(training_text.split())))}
vocabulary

# %% [markdown]
# Now a text that somebody else wrote. `None` stands for a word that the vocabulary does not have.

# %% tags=["nbval-check-output"]
new_text = "the slowest was the newest, Anna said"
{word: vocabulary.get(word) for word in new_text.split()}

# %% [markdown]
# Two new words, a name, and even a comma are too much. Whatever you do about `None`, the text is lost. The other
# extreme is to number single letters. Nothing is unknown then, but a page has 3,000 letters, and a model pays for
# each of them.
#
# Tokenizers go between: frequent words get one token, and rare ones are built from pieces.

# %% [markdown]
# ## 2 · Merge pairs by hand
#
# **Byte-pair encoding** (BPE) finds these pieces by counting. It begins with letters. Then it looks for the pair of
# neighbours that occurs most often and makes a new symbol of it. Then it does the same again. (Sennrich, Haddow and
# Birch, 2016, *Neural Machine Translation of Rare Words with Subword Units*; the words below are their example.)
#
# The text has *low* five times, *lower* twice, *newest* six times and *widest* three times. Which pair is merged
# first?

# %%
from course_utils.learner import predict

first_merge = predict("05-first-merge", "Which pair of letters is merged first?", ["l + o", "w + e", "e + s"])
first_merge

# %% tags=["nbval-check-output"]
from collections import Counter
from itertools import pairwise

words = [list(word) for word in ["low"] * 5 + ["lower"] * 2 + ["newest"] * 6 + ["widest"] * 3]
counts = Counter(pair for word in words for pair in pairwise(word))
counts.most_common(4)

# %% tags=["nbval-check-output"]
first_merge.compare(" + ".join(max(counts, key=counts.get)))

# %% [markdown]
# `s + t` comes just as often; of equals, the one that was seen first wins.
#
# Merging is a short loop: where the last symbol and this one are the pair, glue them together.


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
# Training is: count, merge, again. Watch *newest* in the third column. It becomes one symbol, because it is
# frequent.

# %% tags=["nbval-check-output"]
merges = []
for step in range(1, 9):
    counts = Counter(pair for word in words for pair in pairwise(word))
    best = max(counts, key=counts.get)
    merges.append(best)
    words = [merge(word, best) for word in words]
    print(f"{step}  {'+'.join(best):9}{'·'.join(words[7]):13}{'·'.join(words[5]):11}{'·'.join(words[13])}")

# %% [markdown]
# The eight merges, in their order, are all that the tokenizer has learned. To tokenize a word, apply them in the same
# order. Here is one that was never in the text:

# %% tags=["nbval-check-output"]
symbols = list("slowest")
for pair in merges:
    symbols = merge(symbols, pair)
symbols

# %% [markdown]
# Nothing is unknown: a new word falls into pieces, at worst into letters. Go back, change the words or the number of
# steps, and run it again.

# %% [markdown]
# ## 3 · The merges of a real model
#
# SmolLM2's tokenizer is made the same way, from much more text. Its merges lie in a file next to its weights. Look
# at the first ones: which pairs are the most frequent in English text and code?

# %% tags=["nbval-check-output"]
import json

from course_utils.models import load_causal_lm

smollm = load_causal_lm()
rules = json.loads(smollm.tokenizer.backend_tokenizer.to_str())["model"]
print(f"{len(rules['merges']):,} merges for {len(rules['vocab']):,} tokens")
print(*["+".join(pair) for pair in rules["merges"][:12]])

# %% [markdown]
# The letter Ġ is a space. This tokenizer does not begin with letters but with the **bytes** of the text, and every
# byte is written as a printable letter (Radford et al., 2019, GPT-2). English letters are one byte, é is two,
# Chinese characters are three, most emoji are four.

# %% tags=["nbval-check-output"]
from course_utils.tokenizers.byte_pairs import byte_letters

{text: "".join(byte_letters()[byte] for byte in text.encode()) for text in (" a", "é", "你", "🙂")}

# %% [markdown]
# With 48,900 merges it would be slow to try them all on every word. So look at the pairs that are there, and take the
# one that was merged earliest in training. The number in front says how early that was.

# %% tags=["nbval-check-output"]
rank = {tuple(pair): number for number, pair in enumerate(rules["merges"], start=1)}
word = " tokenization"
symbols = [byte_letters()[byte] for byte in word.encode()]
while known := [pair for pair in pairwise(symbols) if pair in rank]:
    symbols = merge(symbols, min(known, key=rank.get))
    print(f"{rank[min(known, key=rank.get)]:6}  {' '.join(symbols)}")

# %% tags=["nbval-check-output"]
assert symbols == smollm.tokenizer.tokenize(word)
symbols

# %% [markdown]
# Two tokens, and the same ones as the tokenizer of `transformers` finds. As a tree, from the bytes at the bottom to
# the tokens at the top:

# %% tags=["nbval-check-output"]
from course_utils import figures
from course_utils.traces import record_tokenization

trace = record_tokenization(smollm, " tokenization")
pieces = [(first, end, step, label) for (first, end, step, *_), label in zip(trace.pieces, trace.labels, strict=True)]
figures.merge_tree(pieces, "␣tokenization in the tokenizer of SmolLM2")

# %% [markdown]
# You often read that a tokenizer on bytes can write *every* text, because it has all 256 bytes. Count them:

# %% tags=["nbval-check-output"]
missing = [byte for byte, letter in byte_letters().items() if letter not in rules["vocab"]]
print(f"{len(missing)} bytes have no token. Byte 4 is one of them: {4 in missing}")
smollm.tokenizer.decode(smollm.tokenizer("a\x04b").input_ids)

# %% [markdown]
# This one lost a few: bytes that were not in its training text never became tokens. Thirteen of them occur in no
# text at all, six are control signs for machines, and two begin characters that do not exist yet. They vanish without
# a word, so check what matters to you.

# %% [markdown]
# ## 4 · Word pieces: the longest match
#
# BERT and its family, such as the encoder MiniLM, use another scheme, **WordPiece**. It does not merge. From the
# left, take the longest piece that is in the vocabulary; then go on with the rest. A piece that continues a word is
# written with `##`. (Devlin et al., 2019, *BERT*.)


# %% tags=["nbval-check-output"]
def longest_match(word, vocabulary):
    """Take the longest known piece from the left, again and again."""
    pieces = []
    while word:
        mark = "##" if pieces else ""
        ends = [end for end in range(len(word), 0, -1) if mark + word[:end] in vocabulary]
        if not ends:
            return ["[UNK]"]
        pieces.append(mark + word[: ends[0]])
        word = word[ends[0] :]
    return pieces


longest_match("unwanted", {"un", "want", "wan", "##want", "##wan", "##ted", "##ed", "##t"})

# %% [markdown]
# The same function on MiniLM's vocabulary. The last word is an emoji; look at what becomes of it.

# %% tags=["nbval-check-output"]
from course_utils.models import load_encoder

minilm = load_encoder()
known = minilm.tokenizer.get_vocab()
for word in ("tokenization", "hippopotamus", "🙂"):
    assert longest_match(word, known) == minilm.tokenizer.tokenize(word)
    print(word, longest_match(word, known))

# %% [markdown]
# A word with a piece that is not in the vocabulary is `[UNK]`, unknown, all of it. Which of the two tokenizers can
# give you back your text?

# %%
round_trip = predict(
    "05-round-trip",
    "Text → ids → text, for “Café,  你好 🙂”. Which tokenizer gives the same text back?",
    ["both", "only SmolLM2's", "only MiniLM's", "none"],
)
round_trip

# %% tags=["nbval-check-output"]
text = "Café,  你好 🙂"
back = [m.tokenizer.decode(m.tokenizer(text).input_ids, skip_special_tokens=False) for m in (smollm, minilm)]
back

# %% tags=["nbval-check-output"]
assert back[0] == text != back[1]
round_trip.compare("only SmolLM2's")

# %% [markdown]
# MiniLM's tokenizer drops capital letters, accents and double spaces, and it does not know these characters. That is
# fine for comparing English texts, and useless for writing any.

# %% [markdown]
# ## 5 · Touch
#
# Both tokenizers on one text. Each chip is a piece with its id and its bytes; a dashed chip is no token yet.
#
# - Drag **step** to the left end, then press → and read which pair is merged. Of SmolLM2, the earliest merge of the
#   training comes first. MiniLM goes from left to right.
# - Click a word, or move **tree of**, to see how it grew. Look at an emoji.
# - Switch on the special tokens. For SmolLM2 that is the **chat template**: what a chat program puts around your words.
#   Special tokens are hatched. How many tokens does your text cost then?
# - Write a text of your own.

# %% tags=["nbval-check-output"]
from course_utils.widgets import tokenizer_stepper

tokenizer_stepper([smollm, minilm], "Tokenization isn't obvious: 2,048 naïve 🙂 你好")

# %% [markdown]
# The line under each name says what the tokens cost: their share of the context length, the most that the model can
# read, and their place in the KV cache, the memory of a model that writes (lesson 10).

# %% [markdown]
# ## 6 · Surprises
#
# **The space belongs to the word.** In the middle of a text a word has a space in front of it, and the space is in
# the token. Look at the four lists.


# %% tags=["nbval-check-output"]
def tokens(text):
    """The tokens of SmolLM2 as visible text."""
    return [smollm.labels[token] for token in smollm.encode(text)[0]]


[tokens(text) for text in (" Paris", "Paris", "paris", "PARIS")]

# %% [markdown]
# Four spellings, four different lists of ids, and of vectors. This has a consequence that costs people hours. “The
# capital of France is” continues with ␣Paris. Now somebody types one space more, at the end of the prompt.

# %%
trailing = predict(
    "05-trailing-space",
    "“The capital of France is ” with a space at the end: how likely is ␣Paris or Paris as the next token?",
    {"below 5 %": (0, 0.05), "5 % to 60 %": (0.05, 0.6), "over 60 %, as without the space": (0.6, None)},
)
trailing

# %% tags=["nbval-check-output"]
probabilities = smollm.next_logits("The capital of France is ").softmax(-1)
figures.next_token_bars(probabilities, smollm.labels, top=6)

# %% tags=["nbval-check-output"]
paris = [smollm.labels.index(token) for token in ("␣Paris", "Paris")]
trailing.compare(probabilities[paris].sum().item(), show="{:.1%}")

# %% [markdown]
# The space became a token of its own. In the training text, what follows such a token is almost never a word, since
# a word would have taken the space with it. It is a digit, because this tokenizer never merges a digit with the space
# before it. So do not end a prompt with a space.
#
# **Numbers are cut into digits**, and every tokenizer does it in its own way. **Spaces** of code are merged.

# %% tags=["nbval-check-output"]
for text in ("1234567", "3.14159", "    return x", "hippopotamus", "👩‍👩‍👧"):
    print(f"{tokens(text)}   {minilm.tokenizer.tokenize(text)}")

# %% [markdown]
# A model that reads `h·ipp·opotam·us` never sees the letters. Ask it how many p's there are, and it has to know,
# it cannot look (lesson 02). The emoji of a family is one picture to you and 13 tokens to the model.
#
# **Counting words is no way to count tokens.** Here is the first sentence of the Universal Declaration of Human
# Rights in eight languages (United Nations, 1948). How many times as many tokens as the English one does the Hindi
# one need?

# %%
hindi = predict(
    "05-hindi",
    "Tokens of the Hindi sentence, divided by tokens of the English one",
    {"about 1": (0, 1.5), "2 to 5": (1.5, 5), "more than 5": (5, None)},
)
hindi

# %% tags=["nbval-check-output"]
article_1 = {
    "English": "All human beings are born free and equal in dignity and rights.",
    "Spanish": "Todos los seres humanos nacen libres e iguales en dignidad y derechos.",
    "German": "Alle Menschen sind frei und gleich an Würde und Rechten geboren.",
    "Russian": "Все люди рождаются свободными и равными в своем достоинстве и правах.",
    "Arabic": "يولد جميع الناس أحرارا متساوين في الكرامة والحقوق.",
    "Hindi": "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है।",
    "Chinese": "人人生而自由，在尊严和权利上一律平等。",
    "Japanese": "すべての人間は、生れながらにして自由であり、かつ、尊厳と権利とについて平等である。",
}
print("            words  characters  bytes  tokens")
for language, text in article_1.items():
    print(f"{language:10}{len(text.split()):7}{len(text):12}{len(text.encode()):7}{len(tokens(text)):8}")

# %% tags=["nbval-check-output"]
hindi.compare(len(tokens(article_1["Hindi"])) / len(tokens(article_1["English"])), show="{:.1f} times")

# %% [markdown]
# One Chinese “word” of 29 tokens, because Chinese has no spaces; 15 Hindi words of 92 tokens. The same thought costs
# seven times the memory and the time, and fills the context seven times as fast. It depends on what the tokenizer was
# trained on: this one has read mostly English. Look at the bars for a second tokenizer, and keep in mind that many of
# MiniLM's Chinese tokens are `[UNK]`.

# %% tags=["nbval-check-output"]
per_character = {
    model.name: [len(model.tokenizer.tokenize(text)) / len(text) for text in article_1.values()]
    for model in (smollm, minilm)
}
figures.token_counts(per_character, list(article_1), "tokens per character")

# %% [markdown]
# Petrov et al. (2023, *Language Model Tokenizers Introduce Unfairness Between Languages*) measured this for many
# tokenizers and languages.
#
# Now a text of your own. Change it and run the cell; try your name, your language, a line of code.

# %% tags=["nbval-check-output"]
my_text = "My name is Nasreddin and I live in Llanfairpwllgwyngyll."
chips = [(smollm.labels[token], str(token), False) for token in smollm.encode(my_text)[0].tolist()]
figures.token_chips([(my_text, chips)])

# %% [markdown]
# A text that the model cannot read gets one sentence.

# %% tags=["nbval-check-output"]
for wrong in ("", "word " * 9_000):
    try:
        smollm.encode(wrong)
    except ValueError as error:
        print(error)

# %% [markdown]
# ## 7 · From ids to vectors
#
# An id is a name, not a quantity: token 7,042 is not more than token 7,041. So the model has a table with one row of
# numbers for each token, its **embedding**. The rows are learned in training like all other weights.

# %% tags=["nbval-check-output"]
embedding = smollm.model.get_input_embeddings().weight
embedding.shape

# %% [markdown]
# “To embed” a token is to take its row. Some texts call it a multiplication with a *one-hot* vector, that is, zeros
# with a single 1. It is the same, and nobody computes it that way:

# %% tags=["nbval-check-output"]
import torch

ids = smollm.encode("The capital of France")[0]
one_hot = torch.nn.functional.one_hot(ids, num_classes=len(embedding)).float()
assert torch.equal(one_hot @ embedding, embedding[ids])
embedding[ids].shape

# %% [markdown]
# Rows of tokens that are used alike end up alike. The usual measure is the **cosine** of the angle between two
# vectors: 1 is the same direction. Which token is nearest to ␣Paris?

# %%
near_paris = predict(
    "05-near-paris", "Which token's vector has the largest cosine with ␣Paris?", ["␣London", "␣France", "Paris"]
)
near_paris


# %% tags=["nbval-check-output"]
def neighbours(token, count=6):
    """The tokens whose vectors have the largest cosine with that of `token`."""
    units = embedding / embedding.norm(dim=-1, keepdim=True)
    cosines = units @ units[smollm.labels.index(token)]
    best = cosines.topk(count + 1).indices[1:]  # the nearest is the token itself
    return [(smollm.labels[i], round(cosines[i].item(), 2)) for i in best]


neighbours("␣Paris")

# %% tags=["nbval-check-output"]
near_paris.compare(neighbours("␣Paris")[0][0])

# %% [markdown]
# The word without its space: two tokens with two rows of their own, and the model had to learn that they belong
# together. Then come other cities, and the country. Try more:

# %% tags=["nbval-check-output"]
for token in ("␣seven", "7", "␣Monday", "␣king", "ing"):
    print(f"{token:9}", *[f"{near} {cosine:.2f}" for near, cosine in neighbours(token, 5)])

# %% [markdown]
# A warning about these numbers. People read a cosine of 0.4 as “somewhat alike”. Take 2,000 pairs of tokens at
# random and look at their mean:

# %% tags=["nbval-check-output"]
pairs = torch.randint(17, len(embedding), (2, 2_000), generator=torch.Generator().manual_seed(0))
cosines = torch.cosine_similarity(embedding[pairs[0]], embedding[pairs[1]], dim=-1)
f"mean {cosines.mean():.2f}, nine of ten between {cosines.quantile(0.05):.2f} and {cosines.quantile(0.95):.2f}"

# %% [markdown]
# In this model two tokens that have nothing to do with each other have a cosine of about 0.44: all rows share a
# common direction. A cosine means something only next to others of the same model.
#
# ### A map, and what it hides
#
# A row has 576 numbers. For a picture, take the two directions in which the rows differ most: that is a **principal
# component analysis** (PCA). Always ask how much of the differences is left.

# %% tags=["nbval-check-output"]
from course_utils.experiments.vectors import explained_variance, principal_axes, unit_vectors

groups = {
    "animals": "cat dog horse cow bird fish",
    "cities": "Paris London Rome Berlin Madrid Tokyo",
    "numbers": "one two three four five six",
    "colours": "red blue green yellow white black",
}
names = [f"␣{word}" for group in groups.values() for word in group.split()]
rows = unit_vectors(embedding[[smollm.labels.index(name) for name in names]])
rows = rows - rows.mean(0)
axes = principal_axes(rows)
share = explained_variance(rows, axes)
f"{share:.0%} of the differences between {len(names)} words fit on the map"

# %% tags=["nbval-check-output"]
of_group = [group for group, members in groups.items() for _ in members.split()]
figures.word_map((rows @ axes.T).numpy(), names, share, "24 rows of SmolLM2's embedding", groups=of_group)

# %% [markdown]
# Nobody told the model what a colour is. Now the same for the whole vocabulary. What share do two directions keep?

# %% tags=["nbval-check-output"]
every_row = unit_vectors(embedding)
every_row = every_row - every_row.mean(0)
f"{explained_variance(every_row, principal_axes(every_row)):.0%}"

# %% [markdown]
# A flat map of a whole vocabulary hides nine tenths of what there is. Two points that are near on it may be far from
# each other. When you see such a map without its number, ask for it.

# %% [markdown]
# ## 8 · Touch
#
# The embedding is only the beginning. Each of the 30 layers adds to the vector of every token what it has read
# around it. Below is one word, *bank*, six times: by a river in the first three sentences, with money in the others.
# At layer 0 all six are the same row of the table.
#
# - Move **layer** to 0, then to the right. When do the two meanings part?
# - Read the list of cosines, and the curve of *bank 1* and *bank 6* through the layers. Pin another word.
# - The axes are the same for all layers, so a point that moves has moved. The line above the map says how much of the
#   differences it shows.
# - Add a sentence of your own, such as “We sat on the grass of the bank”, with the word *bank*.

# %% tags=["nbval-check-output"]
from course_utils.widgets import embedding_map

banks = [
    "She sat on the bank of the river",
    "They fished from the muddy bank",
    "The boat lay at the bank",
    "He put his money in the bank",
    "The loan came from the bank",
    "She opened an account at the bank",
]
embedding_map(smollm, [(text, "bank") for text in banks], layer=15)

# %% [markdown]
# A word has no vector of its own, then. It has a starting point, and its text moves it. Lesson 08 shows the machine
# that moves it.

# %% [markdown]
# ## 9 · Position
#
# The table of embeddings does not know where a token stands:

# %% tags=["nbval-check-output"]
ids = smollm.encode("the cat and the cat")[0]
first_cat, second_cat = embedding[ids[1]], embedding[ids[4]]
torch.equal(first_cat, second_cat)

# %% [markdown]
# As rows of the table, “The dog bit the man” and “The man bit the dog” are the same five vectors. The first
# Transformers *added* a vector for the place to that of the token (Vaswani et al., 2017), and MiniLM still does. Its
# two cats differ from the start:

# %% tags=["nbval-check-output"]
with torch.inference_mode():
    vectors = minilm.model.embeddings(minilm.tokenizer("the cat and the cat", return_tensors="pt").input_ids)[0]
f"cosine of the two cats: {torch.cosine_similarity(vectors[2], vectors[5], dim=0):.2f}"

# %% [markdown]
# You still read that position is added to the embedding. In SmolLM2, and in most models of today, it is not. They use
# **RoPE** (Su et al., 2021, *RoFormer*). Nothing is added; the vectors that attention (lesson 08) compares are
# *turned*, by an angle that grows with the place. Here is the toy: the same arrow at the places 0 to 3, turned by one
# radian a place.

# %% tags=["nbval-check-output"]
from course_utils.engine.rope import rope_rotation, rotate

arrow = torch.tensor([1.0, 0.0])
turned = rotate(arrow.expand(4, 2), *rope_rotation(torch.arange(4), head_dim=2, base=100_000.0))
[[round(number, 2) for number in row] for row in turned.tolist()]

# %% [markdown]
# Attention compares two vectors by their dot product: multiply number by number, and add. The dot product of two
# arrows depends on the angle *between* them. Look at the diagonals of this table of all pairs:

# %% tags=["nbval-check-output"]
[[f"{number:5.2f}" for number in row] for row in (turned @ turned.T).tolist()]

# %% [markdown]
# Each diagonal holds one number. Places 0 and 1 have the same dot product as 2 and 3: **only the distance counts.**
#
# A head of SmolLM2 has 64 numbers, so 32 such arrows, each turning at its own speed, from one radian a place to one
# in about 70,000 places. Take a real pair from layer 0: what ␣sat looks for (its *query*) and what ␣cat offers (its
# *key*).

# %% tags=["nbval-check-output"]
layer = smollm.model.model.layers[0]
with torch.inference_mode():
    states = layer.input_layernorm(embedding[smollm.encode(" cat sat")[0]])
    key = layer.self_attn.k_proj(states)[0].view(3, 64)  # of ␣cat, for each KV head
    query = layer.self_attn.q_proj(states)[1].view(9, 64)  # of ␣sat, for each query head
query.shape, key.shape

# %% [markdown]
# The query at place 5 and the key at place 0 have some dot product. What happens to it at the places 1005 and 1000?

# %%
far_away = predict(
    "05-rope",
    "Both vectors move 1,000 places on. Their dot product …",
    {"stays the same": (0, 0.01), "changes a little": (0.01, 1), "changes a lot": (1, None)},
)
far_away


# %% tags=["nbval-check-output"]
def at(vector, places):
    """The vector `(64,)` as it is at each of the places, `(place, 64)`."""
    places = torch.as_tensor(places)
    return rotate(vector.expand(len(places), 64), *rope_rotation(places, head_dim=64, base=100_000.0))


places = torch.tensor([0, 1, 10, 100, 1_000, 8_000])
for distance in (0, 1, 5, 20):
    dots = (at(query[0], places + distance) * at(key[0], places)).sum(-1)
    print(f"distance {distance:2}:", *[f"{dot:7.2f}" for dot in dots.tolist()])

# %% tags=["nbval-check-output"]
dots = (at(query[0], [5, 1005]) * at(key[0], [0, 1000])).sum(-1)
far_away.compare(abs(dots[0] - dots[1]).item(), show="a change of {:.2f}")

# %% [markdown]
# The vectors differ from place to place; what attention sees of two of them depends on their distance only. One
# more popular sentence to check: “with RoPE, far tokens count less”. Three heads, the same two tokens, distances up to
# 4,096:

# %% tags=["nbval-check-output"]
distances = torch.tensor([0, *(2**power for power in range(13))])
lines = {f"head {head}": ((at(query[head], distances) @ key[head // 3]) / 64**0.5).numpy() for head in (0, 3, 8)}
figures.curves(lines, distances.tolist(), "distance between the two tokens", "score", logarithmic=True)

# %% [markdown]
# Far out the scores do fall. But not evenly, and not from the start: for head 8, these two words fit best 64 places
# apart. RoPE makes the distance *visible*; what a head does with it is learned.

# %% [markdown]
# ## 10 · The whole thing in one cell
#
# From a text to the vectors that the model computes with, by hand, with one thing you have not seen: before it merges,
# SmolLM2 cuts the text at digits and in front of words, so that no token reaches across. Then it is compared with
# `transformers`, on texts that are hard.

# %% tags=["nbval-check-output"]
import regex

WORDS = regex.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\p{N}|\s+(?!\S)|\s+")


def my_vectors(text):
    """text → words → bytes → tokens → ids → vectors"""
    ids = []
    for part in regex.split(r"(\p{N})", text):
        for word in WORDS.findall(part):
            symbols = [letter for letter in map(byte_letters().get, word.encode()) if letter in rules["vocab"]]
            while known := [pair for pair in pairwise(symbols) if pair in rank]:
                symbols = merge(symbols, min(known, key=rank.get))
            ids += [rules["vocab"][symbol] for symbol in symbols]
    return ids, embedding[ids]


for text in (*article_1.values(), "It's 3.14  or\n\n  so 🙂👩‍👩‍👧", "def f(x):\n    return x²"):
    ids, vectors = my_vectors(text)
    theirs = smollm.tokenizer(text, return_tensors="pt").input_ids
    assert ids == theirs[0].tolist()
    with torch.inference_mode():
        assert torch.equal(vectors, smollm.model(theirs, output_hidden_states=True).hidden_states[0][0])
len(ids), vectors.shape

# %% [markdown]
# ## 11 · Quiz
#
# Every option has an explanation, also the wrong ones. Try them all.

# %% tags=["nbval-check-output"]
from course_utils.learner import quiz_question

quiz_question(
    "05-quiz-order",
    "Why must the merges be applied in the order of training?",
    [
        ("It is faster", False, "The order changes the result, not only the time."),
        (
            "Another order can give other tokens",
            True,
            "Yes: merge h + e first, and t + h is gone. The model has only ever seen the one result.",
        ),
        ("The ids would be in the wrong order", False, "Ids come from a table. Their order in the text is the text's."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "05-quiz-space",
    "You compare the answer of a model with “Paris” and look up the token “Paris”. The model says ␣Paris. What now?",
    [
        ("They are the same token", False, "They have two ids and two rows in the table of embeddings."),
        (
            "Look up the token with the space",
            True,
            "Yes: after other words, the space is part of the token. Almost everybody forgets this once.",
        ),
        ("The model made a mistake", False, "It continued the text as it should, with a space before the word."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "05-quiz-cost",
    "A text of 1,000 words shall fit into a context length of 2,048 tokens. Does it?",
    [
        ("Yes, easily", False, "In plain English perhaps. Names, numbers, code and other languages need more."),
        ("No", False, "In plain English it is about 1,300 tokens, which would fit."),
        (
            "Count its tokens",
            True,
            "Yes: a “word” had from 1 token (English) to 70 (Japanese) above. Only the tokenizer knows.",
        ),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "05-quiz-cosine",
    "Two tokens of SmolLM2 have a cosine of 0.45. What does that say?",
    [
        ("They are related", False, "Two tokens at random have 0.44 on average in this model."),
        ("They are not related", False, "Closer, but one number alone cannot say that."),
        (
            "Little: compare it with other pairs of this model",
            True,
            "Yes: it is what any two tokens have. In MiniLM the same number would be high.",
        ),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "05-quiz-rope",
    "Where does SmolLM2 put the position of a token?",
    [
        ("It adds a vector to the embedding", False, "BERT and MiniLM do that. Here the two cats were equal."),
        ("Into the id", False, "The same token has the same id everywhere."),
        (
            "Into the queries and keys of every layer, as a rotation",
            True,
            "Yes: and their dot product then depends on the distance, not on the place.",
        ),
    ],
)

# %% [markdown]
# ## Take-aways
#
# - Byte pairs are merged in the order of training, from bytes up; word pieces are the longest match from the left.
# - A token has its space in front of it. ␣Paris and Paris are two tokens, and a prompt should not end with a space.
# - Count tokens, not words: the same sentence needs 13 tokens in English and 92 in Hindi.
# - An embedding is a row of a table. A cosine, or a map in two dimensions, means little without its comparison.
# - SmolLM2 turns queries and keys by their place, so that attention sees distances.
#
# **Next**: [06 · Pre-training and fine-tuning](06_pretraining_and_finetuning.ipynb) shows where the numbers in these
# tables come from: pre-training and fine-tuning.
#
# **Exercise**: [05 · From text to vectors](../exercises/05_from_text_to_vectors.ipynb). **All lessons**: [the
# index](index.ipynb).
