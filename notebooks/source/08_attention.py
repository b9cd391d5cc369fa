# %% [markdown]
# # 08 · Attention
#
# What a word means depends on the words around it. Attention is the one step of a language model in which tokens read
# each other. In this lesson you compute it by hand, watch all 270 heads of a real model, find two of them that work
# together, and prove it by switching them off.
#
# **You will be able to**
#
# - compute attention by hand: scores, mask, softmax, mix;
# - say what goes wrong without 1/√d, and with a mask in the wrong place;
# - read the picture of a head, with its layer and its group;
# - find a previous-token head and an induction head by measurement, and confirm them by ablation;
# - write a function that equals an attention layer of SmolLM2.
#
# **Time**: 45 minutes. **Read before**: [05 · From text to vectors](05_from_text_to_vectors.ipynb) (vectors) and
# [07 · Encoders, decoders and both](07_encoders_decoders_and_both.ipynb) (masks).

# %% [markdown]
# ## 1 · Why context
#
# A *bank* holds money, or a river. Six sentences end in that word: three by a river, three about money. Before the
# first layer, every *bank* has the same vector: that of the vocabulary.

# %% tags=["nbval-check-output"]
from course_utils.models import load_causal_lm

smollm = load_causal_lm()
river = ["He sat down on the river bank", "The boat was tied to the muddy bank", "We had a picnic on the grassy bank"]
money = ["She took her savings to the bank", "They asked for a loan at the bank", "He works as a cashier in the bank"]
[smollm.labels[smollm.encode(sentence)[0, -1]] for sentence in river + money]

# %% [markdown]
# Every layer changes the vector. Compare two sentences of the same meaning, and two of different meanings. The gap
# between the two results says how well the model tells the meanings apart. Commit to an answer: when is it widest?

# %%
from course_utils.learner import predict

apart = predict(
    "08-bank",
    "SmolLM2 has 30 layers. After how many is the gap between “same meaning” and “other meaning” widest?",
    {"1 to 5": (1, 6), "6 to 14": (6, 15), "15 to 30": (15, 31)},
)
apart

# %% [markdown]
# The cell takes the vector of the last token after 0, 1, 2 … 30 layers, and compares each sentence with each other
# one: the cosine is 1 for the same direction, 0 for directions that have nothing in common.

# %% tags=["nbval-check-output"]
import torch

from course_utils.engine.llama import layer_outputs


@torch.inference_mode()
def vectors_of_bank(sentence):
    """The last token's vector after 0 to 30 layers, all of length 1: (layer, hidden)."""
    ids = smollm.encode(sentence)
    states = [smollm.model.get_input_embeddings()(ids), *(after for after, _ in layer_outputs(smollm.model, ids))]
    return torch.nn.functional.normalize(torch.cat(states)[:, -1], dim=-1)


vectors = torch.stack([vectors_of_bank(sentence) for sentence in river + money])
alike = torch.einsum("ilh,jlh->lij", vectors, vectors)
alike.shape

# %% tags=["nbval-check-output"]
from course_utils import figures

pairs = ~torch.eye(3, dtype=torch.bool)
same = (alike[:, :3, :3][:, pairs].mean(-1) + alike[:, 3:, 3:][:, pairs].mean(-1)) / 2
other = alike[:, :3, 3:].mean((-2, -1))
figures.layer_curves({"same meaning": same, "other meaning": other}, "mean cosine", "bank in six sentences")

# %% tags=["nbval-check-output"]
apart.compare((same - other).argmax().item())

# %% [markdown]
# The curves begin together at 1 and come apart. So the meaning that you read from the sentence gets into the vector
# of the word itself. It does not go on from layer to layer: the gap is widest after a third of the model. (All cosines
# stay high, because vectors deep in a model share large parts that say nothing about the word: Ethayarajh 2019. At the
# end both curves fall, that of the same meaning, too. So only the gap counts.)
#
# What moved the vectors apart? Only one step of a layer looks at other tokens at all. Here it is.

# %% [markdown]
# ## 2 · Attention by hand
#
# Take three tokens with vectors of two numbers. Each token has three of them:
#
# | | what it is for |
# |---|---|
# | **query** | what this token looks for |
# | **key** | what this token offers to be found by |
# | **value** | what this token gives to those who find it |
#
# In a model all three are made from the token's vector by three learned matrices. Here you choose them.

# %% tags=["nbval-check-output"]
query = torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 1.0]])
key = torch.tensor([[2.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
value = torch.tensor([[10.0, 0.0], [0.0, 10.0], [5.0, 5.0]])

scores = query @ key.T / 2**0.5
scores.round(decimals=2)

# %% [markdown]
# A row is a token that looks, a column a token that is looked at. The largest score of the last row is the first:
# that key fits that query best. The divisor is √d, the root of how many numbers a vector has.
#
# A decoder may not look at what comes later. The **mask** sets those scores to −∞. Then the **softmax** turns every
# row into shares: none is negative, and they add up to 1. e^−∞ is exactly 0.

# %% tags=["nbval-check-output"]
mask = torch.tensor([[True, False, False], [True, True, False], [True, True, True]])
weights = scores.masked_fill(~mask, -torch.inf).softmax(-1)
print(weights.round(decimals=2))
print("sums of the rows:", weights.sum(-1))

# %% [markdown]
# The weights say how much of each **value** a token takes. The first token can only take its own.

# %% tags=["nbval-check-output"]
(weights @ value).round(decimals=2)

# %% [markdown]
# That is all: softmax(QKᵀ/√d + mask) · V (Vaswani et al. 2017, *Attention Is All You Need*).
#
# ## 3 · Two wrong masks
#
# Both run without an error. **Wrong: 0 instead of −∞.** A score of 0 is no ban, it is a score like another one. Which
# part of its attention does a token of the toy then give to tokens that it must not see? Look above the diagonal.

# %% tags=["nbval-check-output"]
zero = scores.masked_fill(~mask, 0).softmax(-1)
print(zero.round(decimals=2))
print("to later tokens:", (zero * ~mask).sum(-1).round(decimals=2))

# %% [markdown]
# The first token gives away a third of its attention. It should keep all of it.
#
# **Wrong: the mask after the softmax.** Now the later tokens get 0. What else changes?

# %% tags=["nbval-check-output"]
late = scores.softmax(-1) * mask
print(late.round(decimals=2))
print("sums of the rows:", late.sum(-1).round(decimals=2))

# %% [markdown]
# The rows no longer add up to 1: later tokens have taken their share before they were removed. That is a leak, too.
# The next cell changes the key of the *last* token only. Nothing about the first token may change.

# %% tags=["nbval-check-output"]
changed = key.clone()
changed[2] = torch.tensor([5.0, 0.0])
other_scores = query @ changed.T / 2**0.5
right = other_scores.masked_fill(~mask, -torch.inf).softmax(-1)
wrong = other_scores.softmax(-1) * mask
assert torch.equal(right[0], weights[0])
{"first row, right": right[0, 0].item(), "before": round(late[0, 0].item(), 2), "after": round(wrong[0, 0].item(), 2)}

# %% [markdown]
# With the right mask the first row stays. With the late mask the first token can tell that the future has changed. A
# model trained that way would learn to look at the answer.
#
# ## 4 · Why 1/√d
#
# A score adds up d products. If the numbers are random with spread 1, the score has a spread of √d. SmolLM2's heads
# have d = 64, so a spread of 8. And e⁸ is 3,000. Predict: 100 random keys, one random query, no division. How much of
# the attention goes to the single best key?

# %%
saturated = predict(
    "08-root-d",
    "d = 64, 100 keys, no division by √d: the largest weight of a row is on average …",
    {"about 1 %": (0, 0.05), "5 % to 50 %": (0.05, 0.5), "over 50 %": (0.5, None)},
)
saturated

# %% tags=["nbval-check-output"]
random = torch.Generator().manual_seed(0)
for d in (4, 16, 64, 256):
    q, k = torch.randn(100, d, generator=random), torch.randn(100, d, generator=random)
    raw = q @ k.T
    largest = [x.softmax(-1).amax(-1).mean().item() for x in (raw, raw / d**0.5)]
    print(f"d = {d:3}   spread {raw.std():5.1f}   largest weight {largest[0]:.2f}, divided by √d {largest[1]:.2f}")
    if d == 64:
        measured = largest[0]

# %% tags=["nbval-check-output"]
saturated.compare(measured, show="{:.0%}")

# %% [markdown]
# Without the division the softmax **saturates**: one key takes nearly all, and it gets worse with larger d. Training
# suffers, too, because where a weight is close to 0 or 1, the softmax has almost no slope. With the division, d does
# not matter.
#
# And in a trained model? `transformers` keeps the factor 1/√64 in each layer. Set it to 1 and ask how surprised the
# model is by a text: that is the **loss**, and 0 means not at all.

# %% tags=["nbval-check-output"]
from course_utils.experiments.ablation import next_token_losses

ids = smollm.encode("The history of the railway began long before the first engine ran on iron.")
for factor in (64**-0.5, 1.0, 64**-0.5):
    for layer in smollm.model.model.layers:
        layer.self_attn.scaling = factor
    print(f"factor {factor:5}: loss {next_token_losses(smollm.model, ids).mean():.2f}")

# %% [markdown]
# The same weights, the same text, one wrong factor, and the loss is 2 higher. e² is 7: each right next token has become
# seven times less likely, on average.
#
# ## 5 · Many heads
#
# One softmax can look for one thing. So a layer has several **heads**, each with queries, keys and values of its own.
# SmolLM2 has 30 layers with 9 heads: 270 patterns. Three query heads share one set of keys and values:
# **grouped-query attention** (Ainslie et al. 2023, *GQA*). Look for the 9 and the 3 in the shapes of the weights.

# %% tags=["nbval-check-output"]
layer = smollm.model.model.layers[18].self_attn
for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
    rows, columns = getattr(layer, name).weight.shape
    print(f"{name}: {columns} numbers in, {rows} out = {rows // 64} heads of 64")

# %% [markdown]
# Sharing keys and values does not make the model smarter. It makes the KV cache three times smaller (lesson 10).
#
# Now look at all of them. The explorer shows a real run: above a small picture of every head, a column a layer, with
# brackets around the heads that share a KV head. Below it one head in full: rows look, columns are looked at.
#
# 1. Go through the stages **QKᵀ/√d → + mask → softmax → · V** and see section 2 happen.
# 2. Move over a row: the strip shows where that token looks. A click keeps the row.
# 3. Click on small pictures. Which patterns come back? Diagonals, first columns, anything else?
# 4. Write a text of your own and press **Run**.

# %% tags=["nbval-check-output"]
from course_utils.widgets import attention_explorer

text = "The cat sat on the mat because it was tired. The dog sat on the"
attention_explorer(smollm, text, layer=5)

# %% [markdown]
# A text has its limits, and each gets one sentence: an empty one, and one of more than 200 tokens (what is recorded
# grows with the square of the length).

# %% tags=["nbval-check-output"]
for wrong_text in ("", "word " * 3000):
    try:
        attention_explorer(smollm, wrong_text)
    except ValueError as error:
        print(error)

# %% [markdown]
# ## 6 · Where is the position?
#
# Apart from the mask, nothing in section 2 knows the order of the tokens. SmolLM2 turns every query and every key by an
# angle that grows with its position: **RoPE** (Su et al. 2021, *RoFormer*; [Deeper:
# positions](deeper/05_positions.ipynb)). Then a score depends on how far apart two tokens are, not on where they stand.
# Here is one query and one key, 3 tokens apart, at three places.

# %% tags=["nbval-check-output"]
from course_utils.engine.rope import rope_rotation, rotate

q, k = torch.randn(2, 64, generator=random)


def score(query_at, key_at):
    """The score of q and k at two positions."""
    cosines, sines = rope_rotation(torch.tensor([query_at, key_at]), 64, base=100_000.0)
    return (rotate(q, cosines[0], sines[0]) @ rotate(k, cosines[1], sines[1]) / 64**0.5).item()


print("3 apart:            ", [round(score(at, at - 3), 2) for at in (3, 50, 500)])
print("0, 1, 10, 100 apart:", [round(score(500, 500 - distance), 2) for distance in (0, 1, 10, 100)])

# %% [markdown]
# The first line is three times the same number; other distances have other scores. That is what lets a head learn
# “the token before me”, wherever it is.
#
# ## 7 · Find heads by measurement
#
# 270 pictures are too many to look at. So give every head a number. Two questions, after Olsson et al. (2022,
# *In-context Learning and Induction Heads*):
#
# - **previous token**: which share of its attention goes to the token just before?
# - **induction**: the token has come before. Which share goes to what *followed* it then? In “Mr Dursley … Mr” that is
#   “Dursley”: a head that looks there can copy.
#
# The text is 25 random tokens, then the same 25 again. It means nothing, so no head can know it. Only the repetition
# helps.

# %% tags=["nbval-check-output"]
from course_utils.experiments import head_measures


def repeated(seed, length=25):
    """Random tokens, said twice: (1, 2 · length)."""
    half = torch.randint(1000, 40_000, (length,), generator=torch.Generator().manual_seed(seed))
    return torch.cat([half, half])[None]


def head_weights(ids):
    """The weights of attention of all heads: (layer, head, query, key)."""
    return torch.cat([weights for _, weights in layer_outputs(smollm.model, ids)])


ids = repeated(seed=0)
found = head_weights(ids)
found.shape

# %%
how_many = predict(
    "08-induction",
    "How many of the 270 heads give more than half of their attention to what followed the same token?",
    {"none": (0, 1), "1 to 10": (1, 11), "over 10": (11, None)},
)
how_many

# %% tags=["nbval-check-output"]
induction = head_measures.induction_score(found, ids[0])
previous = head_measures.previous_token_score(found)
how_many.compare((induction > 0.5).sum().item())


# %% tags=["nbval-check-output"]
def best(scores, count=5):
    """The heads with the largest scores, as layer.head."""
    top = scores.flatten().topk(count)
    return [f"{i // 9}.{i % 9} {score:.2f}" for score, i in zip(top.values, top.indices.tolist(), strict=True)]


print("previous token:", best(previous))
print("induction:     ", best(induction))

# %% [markdown]
# Head 16.0 looks at the token before. Head 18.6, two layers later, looks at what followed. Is that chance? Ask again
# with other random tokens, and for the first measure also with the text of the explorer.

# %% tags=["nbval-check-output"]
again = repeated(seed=1)
print("induction, other tokens:   ", best(head_measures.induction_score(head_weights(again), again[0])))
print("previous token, real text: ", best(head_measures.previous_token_score(head_weights(smollm.encode(text)))))

# %% [markdown]
# The same two heads lead. See the second one at work on a sentence that begins again. The last token is *Mr*, for the
# second time. Where does it look? The name after the first *Mr* begins with the token *D*. Then go on with **next
# head**: the small pictures are in the order of their induction.

# %% tags=["nbval-check-output"]
twice = "My neighbour Mr Dursley was proud to say that he was perfectly normal. Yesterday my neighbour Mr"
attention_explorer(smollm, twice, layer=18, head=6, order="induction")

# %% [markdown]
# ## 8 · Confirm it: switch heads off
#
# A picture shows where a head looks. It does not show that anybody uses it. So set the output of one head to 0, and
# leave the other 269 as they are (an **ablation**; Michel et al. 2019). How surprised is the model by the *second* 25
# tokens then?

# %%
off = predict(
    "08-ablation",
    "One head of 270 is switched off, the induction head 18.6. The loss on the repeated half …",
    {"hardly changes (less than 0.2)": (None, 0.2), "grows by 0.2 to 1": (0.2, 1), "grows by more than 1": (1, None)},
)
off

# %% tags=["nbval-check-output"]
from course_utils.experiments.ablation import without_heads


def second_half(*heads):
    """The mean loss on the repeated tokens, with some heads switched off."""
    with without_heads(smollm.model, heads):
        return next_token_losses(smollm.model, ids)[25:].mean().item()


whole = second_half()
off.compare(second_half((18, 6)) - whole, show="{:+.2f}")

# %% [markdown]
# Is that much? Compare with heads that were chosen blindly.

# %% tags=["nbval-check-output"]
blind = torch.randint(270, (5,), generator=torch.Generator().manual_seed(4)).tolist()
bars = {"nothing switched off": whole, "without 18.6 (induction)": second_half((18, 6))}
bars["without 16.0 (previous token)"] = second_half((16, 0))
for head in [divmod(place, 9) for place in blind]:
    bars[f"without {head[0]}.{head[1]} (chosen blindly)"] = second_half(head)
figures.bars_against_first(bars, "loss on the repeated half", "one head of 270 switched off")

# %% [markdown]
# Five heads that were chosen blindly change little. The two that were found by measurement change a lot, and the one
# that does no copying itself changes most. Why? An induction head must know, for every token, which token stood
# *before* it. The previous-token head writes that down, two layers earlier. If this is right, then without 16.0 head
# 18.6 no longer knows where to look.

# %% tags=["nbval-check-output"]
with without_heads(smollm.model, [(16, 0)]):
    blinded = head_measures.induction_score(head_weights(ids), ids[0])
with without_heads(smollm.model, [divmod(blind[0], 9)]):
    control = head_measures.induction_score(head_weights(ids), ids[0])
print("induction of head 18.6:", round(induction[18, 6].item(), 2))
print(
    "without 16.0:          ",
    round(blinded[18, 6].item(), 2),
    "and the best of all heads",
    round(blinded.max().item(), 2),
)
print("without a blind choice:", round(control[18, 6].item(), 2))

# %% [markdown]
# It is right, and not only for 18.6: no head of the model gives even a third of its attention to what followed. Heads
# in different layers work as one **circuit**: one writes, others read.
#
# The names say what a head does *here*. What do the five best induction heads do on a text in which nothing is
# repeated? Look at the share that goes to the very first token.

# %% tags=["nbval-check-output"]
from course_utils.traces import record_attention

plain = record_attention(smollm, "A quiet morning in late autumn, with fog over every field.")
first = torch.from_numpy(plain.measures()["first token"])
for place in induction.flatten().topk(5).indices.tolist():
    print(f"head {place // 9}.{place % 9} looks at the first token with {first[place // 9, place % 9]:.2f}")
print("heads with more than half on it:", (first > 0.5).sum().item(), "of 270")

# %% [markdown]
# They rest there. A softmax must add up to 1, so a head that finds nothing has to look *somewhere*. Many models park
# that attention on the first token, an **attention sink** (Xiao et al. 2023, *Efficient Streaming Language Models
# with Attention Sinks*). How much does a head take from it? Compare the lengths of the value vectors, and what
# reaches the mix.

# %% tags=["nbval-check-output"]
lengths = torch.from_numpy(plain.value_lengths)
taken = torch.from_numpy(plain.weights)[..., 1:, :] * lengths.repeat_interleave(3, dim=1)[:, :, None]
share = (taken[..., 0].sum(-1) / taken.sum((-2, -1))).mean()
print(f"median length of a value: first token {lengths[..., 0].median():.1f}, others {lengths[..., 1:].median():.1f}")
print(f"first token: {first.mean():.0%} of the attention, {share:.0%} of the mix")

# %% [markdown]
# The first token gets two thirds of all attention, but its values are four times shorter, so less than half of the
# mix comes from it. A bright column in a picture of weights can mean “nothing to do here”. The stage **· V** of the
# explorer shows what is really taken (Kobayashi et al. 2020, *Attention is Not Only a Weight*).
#
# ## 9 · Cross-attention: who comes from whom
#
# In an encoder–decoder there is a second kind: the decoder's queries meet the *encoder's* keys and values. No causal
# mask is needed, as the whole English text is there, and the matrix is not square. The explorer reads it, too. A row
# is a token that is being written.

# %% tags=["nbval-check-output"]
from course_utils.models.pipelines import load_pipeline

translator = load_pipeline("translation")
attention_explorer(translator, "She is reading a letter.", layer=1, head=3, token=5)

# %% [markdown]
# Lesson 04 drew the mean of all heads of the last layer. Head 1.3, in the middle, is clearer than that mean. The number
# in each row stands at the English token that the French one comes from, if you ask this head.

# %% tags=["nbval-check-output"]
from course_utils.traces import record_translation

aligned = record_translation(translator, "She is reading a letter.")
figures.attention_map(aligned.weights[1, 3], aligned.query_tokens, aligned.key_tokens, "cross-attention, head 1.3")

# %% [markdown]
# *Est en train de lire* are five tokens, and they come from one: *reading*. No one has told the model which words
# belong together. Before you call every map an explanation, look at the other eleven heads: most are not that clear,
# and they translate just as much.
#
# ## 10 · The whole thing in one cell
#
# Heads, groups, RoPE, mask, softmax, mix: an attention layer in plain `torch`. It must equal the layer of
# `transformers`.


# %%
def my_attention(hidden, layer, base=100_000.0):
    """hidden (seq, 576), normalised, and a layer's weights → (seq, 576)."""
    seq = len(hidden)
    q = (hidden @ layer.q_proj.weight.T).view(seq, 9, 64).transpose(0, 1)
    k = (hidden @ layer.k_proj.weight.T).view(seq, 3, 64).transpose(0, 1)
    v = (hidden @ layer.v_proj.weight.T).view(seq, 3, 64).transpose(0, 1)

    angles = torch.arange(seq)[:, None] / base ** (torch.arange(0, 64, 2) / 64)
    cos, sin = angles.cos().repeat(1, 2), angles.sin().repeat(1, 2)
    q, k = (x * cos + torch.cat([-x[..., 32:], x[..., :32]], -1) * sin for x in (q, k))

    k, v = (x.repeat_interleave(3, dim=0) for x in (k, v))  # three heads share one
    scores = q @ k.transpose(1, 2) / 64**0.5
    later = torch.ones(seq, seq, dtype=torch.bool).triu(1)
    mix = scores.masked_fill(later, -torch.inf).softmax(-1) @ v
    return mix.transpose(0, 1).reshape(seq, 576) @ layer.o_proj.weight.T


# %% [markdown]
# The next cell runs the model and catches what goes into each of its 30 attention layers, and what comes out.

# %% tags=["nbval-check-output"]
caught = []
hooks = [
    layer.self_attn.register_forward_hook(lambda _, __, given, made: caught.append((given, made[0])), with_kwargs=True)
    for layer in smollm.model.model.layers
]
with torch.inference_mode():
    smollm.model(smollm.encode(text))
    for layer, hook, (given, made) in zip(smollm.model.model.layers, hooks, caught, strict=True):
        hook.remove()
        assert torch.allclose(my_attention(given["hidden_states"][0], layer.self_attn), made[0], rtol=0, atol=1e-4)
f"{len(caught)} layers, all equal to 1e-4"

# %% [markdown]
# You have written the attention of a model that people use. Change one thing in it, 64**0.5 or the base, and see the
# assertion stop you.
#
# ## 11 · Quiz
#
# Every option has an explanation, also the wrong ones. Try them all.

# %% tags=["nbval-check-output"]
from course_utils.learner import quiz_question

quiz_question(
    "08-quiz-mask",
    "Why must the mask come before the softmax?",
    [
        ("It is faster", False, "It costs the same. The results differ."),
        ("Or later tokens change the weights of earlier ones", True, "Yes: they take part in the sum below the line."),
        (
            "The softmax cannot handle zeros",
            False,
            "It can. A 0 after it is fine, a 0 before it is a score like others.",
        ),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "08-quiz-root",
    "A head of size 128 is built instead of 64, with the same division by √64. What happens to its scores?",
    [
        ("Their spread grows by √2", True, "Yes: it is √128 / √64. The softmax gets sharper than it was meant to be."),
        ("Nothing", False, "The division fits d = 64. With more products in the sum, the scores spread further."),
        ("They halve", False, "More products make the sums larger, not smaller."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "08-quiz-gqa",
    "SmolLM2 has 9 query heads on 3 KV heads. How many different patterns of attention can a layer have?",
    [
        ("3", False, "Three sets of keys, but each of the nine queries asks them something else."),
        ("9", True, "Yes: a pattern needs a query and a key. Nine queries make nine patterns."),
        ("27", False, "Each query head meets the keys of its own group only, not all three."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "08-quiz-sink",
    "A head gives 95 % of its attention to the first token. What follows?",
    [
        ("The first token is important for the meaning", False, "Perhaps, but the first token gets it in any text."),
        ("The head is useless", False, "Head 18.6 rests there, too, until something is repeated."),
        ("Nothing yet: see what it takes, and switch it off", True, "Yes: weight × value, and an ablation, can tell."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "08-quiz-circuit",
    "Switching off the previous-token head harms copying more than switching off the induction head. Why?",
    [
        ("It is in an earlier layer, and those always matter more", False, "Blindly chosen early heads change little."),
        ("Several induction heads read what it writes", True, "Yes: five heads do induction, and they depend on it."),
        ("It copies the tokens itself", False, "It looks one token back. What comes next is not there."),
    ],
)

# %% [markdown]
# ## Take-aways
#
# - Attention is softmax(QKᵀ/√d + mask) · V. It is the only step in which tokens read each other.
# - −∞ before the softmax, or the future leaks. 1/√d, or one key takes everything.
# - A layer has many heads; in SmolLM2 three of them share keys and values. RoPE makes scores depend on distance.
# - A head is found by measuring and confirmed by switching it off. Head 16.0 and head 18.6 copy together.
# - Bright columns on the first token are mostly rest, not reading.
#
# **Next**: [09 · Context length and prompting](09_context_length_and_prompting.ipynb) asks how much text a model can
# look back on, and how a prompt steers it.
#
# **Exercise**: [08 · Attention](../exercises/08_attention.ipynb). **All lessons**: [the index](index.ipynb).
