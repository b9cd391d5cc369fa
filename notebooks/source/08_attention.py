# %% [markdown]
# # 08 · Attention
#
# What a word means depends on the words around it, so a token has to read the others. Attention is how.
#
# ![Attention on three words: the, river, bank. Each has a vector of three numbers, for article, water and money, and
# from it a query, a key and a value of two. The query of bank is (2, 1), the keys are (0, 0), (2, 0) and (1, 1). Query
# times key, divided by √2, gives the scores 0, 2.8 and 2.1. The softmax turns them into weights of 4 %, 64 % and 32 %.
# They mix the values (0, 0), (10, 0) and (5, 5) into (8, 1.6).](images/08_attention.svg)
#
# **You will be able to**
#
# - compute attention by hand, from vectors to queries, keys, values and their mix;
# - say what a wrong mask breaks, and what 1/√d is for;
# - read the picture of a head;
# - find heads that copy, and confirm them by switching them off;
# - write a function that equals each attention layer of SmolLM2.
#
# **Time**: 40 minutes. **Read before**: [05 · From text to vectors](05_from_text_to_vectors.ipynb) and
# [07 · Encoders, decoders and both](07_encoders_decoders_and_both.ipynb).

# %% [markdown]
# ## 1 · Why tokens must read each other
#
# “The fisherman is at the bank.” “The accountant is at the bank.” You picture two different places, yet only the second
# word differs. How alike are the two vectors of *bank* in SmolLM2, before the first layer and after some of the 30?

# %% tags=["nbval-check-output"]
import torch

from course_utils.experiments.reach import hidden_states
from course_utils.models import load_causal_lm

smollm = load_causal_lm()
pair = "The fisherman is at the bank", "The accountant is at the bank"
one, other = (hidden_states(smollm.model, smollm.encode(text))[:, -1] for text in pair)  # each (layer, 576)
cosines = torch.cosine_similarity(one, other, dim=-1)
{layer: round(cosines[layer].item(), 3) for layer in (0, 1, 5, 8, 30)}

# %% [markdown]
# At first both are the same row of the embedding table. Then they part: something about the fisherman has reached
# *bank*. Now no later token may look at the second word. All else stays, the 30 MLPs included.

# %%
from course_utils.learner import predict

blocked = predict(
    "08-blocked",
    "No token may look at “fisherman” or “accountant”. What's the cosine of the two banks after 30 layers?",
    {"as before": (None, 0.9), "higher, but below 1": (0.9, 0.9999), "exactly 1": (0.9999, None)},
)
blocked

# %% tags=["nbval-check-output"]
mask = torch.ones(6, 6, dtype=torch.bool).tril()  # a row looks, a column is looked at
mask[2:, 1] = False
one, other = (hidden_states(smollm.model, smollm.encode(text), mask)[:, -1] for text in pair)
blocked.compare(torch.cosine_similarity(one[-1], other[-1], dim=0).item(), show="{:.4f}")

# %% tags=["nbval-check-output"]
torch.equal(one, other)

# %% [markdown]
# They're equal to the last digit, in every layer: norms and MLPs work on one token at a time. **Attention is the only
# step in which tokens read each other.**
#
# Does what *bank* takes in depend on the *meaning*? Take ten frames such as “The … is at the bank”, each once with a
# word of the river (*swimmer*, *duck*), once with one of money (*clerk*, *trader*). Compare only sentences of different
# frames. The **gap**: how much higher is the cosine of two *bank*s that mean the same?

# %%
apart = predict(
    "08-bank",
    "After how many of the 30 layers is the gap between “same meaning” and “other meaning” widest?",
    {"1 to 5": (1, 6), "6 to 14": (6, 15), "15 to 30": (15, 31)},
)
apart

# %% tags=["nbval-check-output"]
from course_utils.experiments.reach import last_states
from course_utils.experiments.word_senses import bank_sentences, meaning_gaps

endings = ("bank", "door", "house", "station")
texts = [text.replace("bank", word) for word in endings for text in bank_sentences("before")]
states = last_states(smollm.model, smollm.tokenizer, texts).unflatten(1, (4, 20))  # (layer, word, sentence, 576)
gaps = dict(zip(endings, meaning_gaps(states).unbind(-1), strict=True))  # each (labelling, layer), the true one first
apart.compare(gaps["bank"][0].argmax().item())

# %% [markdown]
# Is that wide? A null: exchange the labels “river” and “money” in some frames. There are 512 ways; 95 % of their gaps
# stay below “by chance”. And a control: *door* instead of *bank*, after the same clues.

# %% tags=["nbval-check-output"]
from course_utils import figures

labellings = gaps["bank"]
true, by_chance = labellings[0], labellings.quantile(0.95, dim=0)
print(f"after 8 layers: {true[8]:.3f}, by chance {by_chance[8]:.3f}")
as_wide = (labellings.amax(1) >= true[8]).sum()
print(f"as wide in any layer: {as_wide} of {len(labellings)} labellings, the true one included")
print("other words after 8 layers:", {word: round(gaps[word][0, 8].item(), 3) for word in endings[1:]})
curves = {"bank": true, "door instead": gaps["door"][0], "bank, by chance (95 % below)": by_chance}
figures.layer_curves(curves, "gap of mean cosines")

# %% [markdown]
# The gap is small, since it's still the same word. But no other labelling has one as wide, and words with one meaning
# have a far smaller one after 8 layers. So here the clue does change *bank*, which needs it, and early. (The last point
# includes the final norm.)

# %% [markdown]
# ## 2 · Attention by hand
#
# Attention was made for translation. Before, one network squeezed a sentence into one vector, and another wrote the
# translation from it (Sutskever et al., 2014). Bahdanau et al. (2015) let the second look back at all words of the
# sentence, with new weights for each word it wrote. Vaswani et al. (2017) built a model from little else: the
# Transformer.
#
# Take the words of the picture above, *the river bank*. Three numbers say how much each is an article, about water,
# about money. Three matrices turn them into three vectors. A model learns its matrices; we chose ours:
#
# | | what it says |
# |---|---|
# | **query** | what this token looks for |
# | **key** | what this token offers, to be found by |
# | **value** | what this token passes on to whoever looks at it |

# %% tags=["nbval-check-output"]
words = ["the", "river", "bank"]
vectors = torch.tensor([[1.0, 0, 0], [0, 2, 0], [0, 1, 1]])  # article, water, money
to_query = torch.tensor([[1.0, 1], [1, 0], [1, 1]])
to_key = torch.tensor([[0.0, 0], [1, 0], [0, 1]])
to_value = torch.tensor([[0.0, 0], [5, 0], [0, 5]])

query, key, value = vectors @ to_query, vectors @ to_key, vectors @ to_value
for number, word in enumerate(words):
    print(f"{word:6} query {query[number].tolist()}   key {key[number].tolist()}   value {value[number].tolist()}")

# %% [markdown]
# *Bank* could mean either, so its query asks for both, water (2) and money (1). *River* offers water, *the* neither.
# For the **score**, multiply query and key number by number, add up, and divide by √d. A query has d numbers, here 2.

# %% tags=["nbval-check-output"]
scores = query @ key.T / 2**0.5
scores.round(decimals=1)

# %% [markdown]
# The last row is *bank*'s: *river* fits best. In the first row, *the* has scores for later words, and a decoder mustn't
# look ahead. The **mask** sets those to −∞. The **softmax** then turns each row into shares that add up to 1, and −∞
# into exactly 0.

# %% tags=["nbval-check-output"]
causal = torch.ones(3, 3, dtype=torch.bool).tril()
weights = scores.masked_fill(~causal, -torch.inf).softmax(-1)
figures.attention_map(weights.numpy(), words, words, "weights of attention")

# %% [markdown]
# These weights say how much of each value a token takes in.

# %% tags=["nbval-check-output"]
(weights @ value).round(decimals=1)

# %% [markdown]
# Next to *river*, *bank* takes in 8 of water and 1.6 of money. That's all: softmax(QKᵀ/√d + mask) · V (Vaswani et al.,
# 2017). In a model one more matrix follows, and the result is *added* to the token's vector.
#
# ## 3 · Two wrong masks
#
# Neither raises an error. **Wrong: 0 instead of −∞.** Where does *the* look?

# %% tags=["nbval-check-output"]
scores.masked_fill(~causal, 0).softmax(-1)[0].round(decimals=2)

# %% [markdown]
# Two thirds go to words that it mustn't see: 0 is a score like any other.
#
# **Wrong: the mask after the softmax.** Later words do get 0. But replace the key of *bank*, the last word. Does *the*,
# the first, notice?

# %% tags=["nbval-check-output"]
for last_key in ([1.0, 1.0], [0.0, 4.0]):
    keys = torch.stack([*key[:2], torch.tensor(last_key)])
    fits = query @ keys.T / 2**0.5
    late, right = fits.softmax(-1) * causal, fits.masked_fill(~causal, -torch.inf).softmax(-1)
    print(f"key of bank {last_key}: “the” looks at itself with {late[0, 0]:.2f}, with the right mask {right[0, 0]:.2f}")

# %% [markdown]
# It does: later words took part in the sum that each row was divided by. A model trained this way could learn to read
# the future.
#
# ## 4 · Why 1/√d
#
# A score adds up d products. If the numbers are random, with a spread (standard deviation) of 1, the score has a spread
# of √d. SmolLM2's heads have d = 64, so that's 8. Take 1,000 random queries and 100 random keys.

# %%
saturated = predict(
    "08-root-d",
    "d = 64, 100 keys, no division by √d: how much does the best key of a query get, on average?",
    {"less than 5 %": (0, 0.05), "5 % to 50 %": (0.05, 0.5), "over 50 %": (0.5, None)},
)
saturated

# %% tags=["nbval-check-output"]
random, largest = torch.Generator().manual_seed(0), {}
for d in (4, 16, 64, 256):
    raw = torch.randn(1000, d, generator=random) @ torch.randn(100, d, generator=random).T
    largest[d], divided = (each.softmax(-1).amax(-1) for each in (raw, raw / d**0.5))
    print(f"d = {d:3}   spread {raw.std():4.1f}   best key {largest[d].mean():.0%}, divided by √d {divided.mean():.0%}")

# %% tags=["nbval-check-output"]
saturated.compare(largest[64].mean().item(), show="{:.0%}")

# %% [markdown]
# Without the division, the best key takes more the larger d is. Where it takes nearly everything, the softmax is
# **saturated**: it hardly changes when a score does, so there's little to learn from. With the division, d doesn't
# matter.
#
# Does a trained model depend on it? `transformers` keeps the factor 1/√64 in each layer. Set it to 1, and ask for
# twenty capitals:

# %% tags=["nbval-check-output"]
from course_utils.experiments.failure_cases import CAPITALS
from course_utils.experiments.greedy_answers import next_probabilities
from course_utils.experiments.intervals import wilson_interval

asked = [f"The capital of {country} is" for country in CAPITALS]
for factor in (1.0, 64**-0.5):
    for layer in smollm.model.model.layers:
        layer.self_attn.scaling = factor
    best = next_probabilities(smollm.model, smollm.tokenizer, asked).argmax(-1)
    right = sum(smollm.encode(f" {city}")[0, 0] == token for city, token in zip(CAPITALS.values(), best, strict=True))
    low, high = wilson_interval(int(right), 20)
    print(f"factor {factor}: {right} of 20 right ({low:.0%} to {high:.0%})")

# %% [markdown]
# With the wrong factor, it names none. It was trained with the right one, though: another model might do without.
#
# ## 5 · Many heads
#
# A token may need several things at once. So a layer has several **heads**, each with its own queries. SmolLM2 has 30
# layers of 9, 270 in all; 18.6 is head 6 of layer 18. Three query heads share one set of keys and values:
# **grouped-query attention** (Ainslie et al., 2023). Find the 9 and the 3:

# %% tags=["nbval-check-output"]
layer = smollm.model.model.layers[18].self_attn
for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
    rows, columns = getattr(layer, name).weight.shape
    print(f"{name}: {columns} numbers in, {rows} out = {rows // 64} heads of 64")

# %% [markdown]
# Sharing makes the KV cache, which lesson 10 explains, three times smaller.
#
# Apart from the mask, nothing so far knows the order of the tokens. SmolLM2 turns each query and key by an angle that
# grows with its position: **RoPE**, rotary position embedding ([Positions](deeper/05_positions.ipynb)).
#
# **Try it.** All 270 heads on one text. Rows look, columns are looked at; head 16.0 is open.
#
# 1. Move over its rows. What does this head do?
# 2. Go through **QKᵀ/√d → + mask → softmax → · V**. At which stage do rows begin to add up to 1?
# 3. Click on layer 18, head 6. Most rows look at the first token. What happens from the second *sat* on?
# 4. Write a text of your own, and press **Run**.

# %% tags=["nbval-check-output"]
from course_utils.widgets import attention_explorer

attention_explorer(smollm, "The cat sat on the mat because it was tired. The dog sat on the", layer=16, head=0)

# %% [markdown]
# <details><summary>Answers</summary>
#
# 1. Each row looks mostly at the token just before.
# 2. At softmax. (· V shows each weight times the length of its value.)
# 3. The second *sat* looks at *on*, which followed the first *sat*. The last *the* looks at *mat*.
#
# </details>
#
# ## 6 · Find heads by measurement
#
# 270 pictures are too many to judge by eye, so measure, as Olsson et al. (2022) did:
#
# - **previous token**: how much of its attention goes to the token just before?
# - **induction**: if the token has come before, how much goes to what *followed* it then?
#
# Each text is 20 random tokens, said twice: only the repetition helps to predict it. Choose heads on 20 such texts,
# test them on 20 others.


# %% tags=["nbval-check-output"]
from course_utils.engine.llama import layer_outputs
from course_utils.experiments import head_measures
from course_utils.experiments.copying import repeated_tokens
from course_utils.experiments.intervals import means_and_intervals


def head_scores(outputs, ids):
    """Measure all heads on each text of `ids`: previous token and induction, each (text, layer, head)."""
    weights = torch.stack([weights for _, weights in outputs], dim=1)
    induction = [head_measures.induction_score(of_one, text) for of_one, text in zip(weights, ids, strict=True)]
    return {"previous token": head_measures.previous_token_score(weights), "induction": torch.stack(induction)}


choosing, testing = repeated_tokens(texts=20, seed=0), repeated_tokens(texts=20, seed=1)
outputs = list(layer_outputs(smollm.model, testing))  # hidden states and weights of each layer, for section 7, too
chosen, tested = head_scores(layer_outputs(smollm.model, choosing), choosing), head_scores(outputs, testing)
chosen["induction"].shape

# %% tags=["nbval-check-output"]
for measure, scores_of_heads in chosen.items():
    print(f"{measure}: half of all heads have less than {tested[measure].mean(0).median():.2f}")
    for place in scores_of_heads.mean(0).flatten().topk(5).indices.tolist():
        mean, low, high = means_and_intervals(tested[measure].flatten(1)[:, place])
        print(f"   head {place // 9}.{place % 9}: {mean:.2f} ({low:.2f} to {high:.2f})")

# %% [markdown]
# They score high on the new texts, too. 16.0 is a **previous-token head**. 18.6, two layers later, looks at what
# followed last time: an **induction head**. So it could copy.
#
# ## 7 · Confirm it: switch heads off
#
# Where a head looks doesn't say that anything depends on it. How much attention weights explain is disputed (Jain and
# Wallace, 2019; Wiegreffe and Pinter, 2019). So set the output of one head to 0 and keep the other 269: an **ablation**
# (Michel et al., 2019). How much does the loss on the second half of the new texts grow? (The first token of each half
# is left out: nothing predicts it.)

# %%
off = predict(
    "08-ablation",
    "One head of 270 is switched off, the induction head 18.6. The loss on the second half …",
    {"hardly changes (less than 0.2)": (None, 0.2), "grows by 0.2 to 1": (0.2, 1), "grows by more than 1": (1, None)},
)
off

# %% tags=["nbval-check-output"]
from course_utils.experiments.copying import copying_without

blind = [divmod(place, 9) for place in torch.randint(270, (3,), generator=torch.Generator().manual_seed(0)).tolist()]
heads = [(18, 6), (16, 0), *blind, (11, 1)]  # 11.1 is for later
whole, *without = copying_without(smollm.model, [[], *([head] for head in heads)], testing, outputs)
even = torch.tensor(smollm.model.config.vocab_size).log()
print(f"loss of the whole model: first half {whole.first.mean():.2f}, second half {whole.second.mean():.2f};", end=" ")
print(f"of an even guess {even:.2f}")
off.compare((without[0].second - whole.second).mean().item(), show="{:+.2f}")

# %% tags=["nbval-check-output"]
names = [f"{layer}.{head}{' (drawn blindly)' if (layer, head) in blind else ''}" for layer, head in heads[:5]]
changes = {
    "first half of the text": [means_and_intervals(run.first - whole.first) for run in without[:5]],
    "second half of the text": [means_and_intervals(run.second - whole.second) for run in without[:5]],
}
figures.changes_with_intervals(changes, names, "rise of the loss without this head")

# %% [markdown]
# In the first half, where there's nothing to copy, little changes. In the second, the two chosen heads matter far more
# than the three drawn blindly. And 16.0, which only looks one token back, matters most. Why?
#
# To find what followed an earlier *sat*, a head must know which token came right after it. Perhaps 16.0 writes that
# down, two layers earlier. Then 18.6 should fail without it, but not without 11.1, which looks one token back, too.

# %% tags=["nbval-check-output"]
print(f"nothing off: induction of 18.6 {whole.induction[:, 18, 6].mean():.2f}")
for head in ((16, 0), (11, 1), *blind[:2]):
    induction = without[heads.index(head)].induction
    of_186 = "{:.2f} ({:.2f} to {:.2f})".format(*means_and_intervals(induction[:, 18, 6]))
    print(f"{head[0]}.{head[1]} off: induction of 18.6 {of_186}, of the best head {induction.mean(0).max():.2f}")

# %% [markdown]
# Its induction falls from 0.88 to 0.32, and no other head steps in. So 18.6 depends on 16.0; together they're a
# **circuit**. [All 270 heads](deeper/08_all_270_heads.ipynb) has the rest, one at a time and as teams.
#
# ## 8 · What do they do the rest of the time?
#
# Most texts repeat little. In thirty passages of the Universal Declaration of Human Rights, how much attention goes to
# the first token? How much does the second get if we cut the first off? And how much of what's *taken in* is from the
# first, each weight times the length of its value (as in · V; Kobayashi et al., 2020, include one more matrix)?

# %%
from course_utils.experiments.human_rights import human_rights
from course_utils.traces import record_attention

rows = []
for passage in human_rights()["English"]:
    run = record_attention(smollm, passage)
    seen, lengths = torch.from_numpy(run.weights), torch.from_numpy(run.value_lengths)
    parts = seen[:, :, 1:] * lengths.repeat_interleave(3, dim=1)[:, :, None]  # three query heads on one set of values
    cut = torch.cat([each for _, each in layer_outputs(smollm.model, smollm.encode(passage)[:, 1:])])
    evenly = 1 / torch.arange(2, seen.shape[-1] + 1)
    to_first, to_second, when_first = seen[:, :, 1:, 0], seen[:, :, 2:, 1], cut[:, :, 1:, 0]
    taken = parts[..., 0].sum() / parts.sum()
    rows.append([each.mean() for each in (to_first, evenly, taken, to_second, when_first, to_first[18, 6])])

# %% tags=["nbval-check-output"]
shares, by_length = torch.tensor(rows), torch.tensor([len(text) for text in human_rights()["English"]]).argsort()
for name, values in {
    "first token": shares[:, 0],
    "  spread evenly it would be": shares[:, 1],
    "  of what is taken in": shares[:, 2],
    "  ten shortest passages": shares[by_length[:10], 0],
    "  ten longest passages": shares[by_length[-10:], 0],
    "  only head 18.6": shares[:, 5],
    "second token": shares[:, 3],
    "  without the first": shares[:, 4],
}.items():
    print("{:30}{:.0%} ({:.0%} to {:.0%})".format(name, *means_and_intervals(values)))

# %% [markdown]
# It's the place, not the word: the second token gets next to nothing, until it comes first. Xiao et al. (2023) call the
# first an **attention sink**: rows have to add up to 1 even if there's nothing to find. It's less of what's taken in,
# and less in longer passages. [Lesson 09](09_context_length_and_prompting.ipynb) hides it, and the model suffers.
# Barbero et al. (2025) argue that it keeps tokens from mixing too much.
#
# ## 9 · Cross-attention
#
# Back to translation. In the course's little translator, the decoder's queries meet the *encoder's* keys and values. A
# row is a French token that is being written, a column an English one. **Try it:** where do the words of *est en train
# de lire* look?

# %% tags=["nbval-check-output"]
from course_utils.models.pipelines import load_pipeline

attention_explorer(load_pipeline("translation"), "She is reading a letter.", layer=1, head=3, token=5)

# %% [markdown]
# All five look mostly at *reading*. (One sentence, and a head that we picked: an illustration.)
#
# ## 10 · The whole thing in one cell
#
# Heads, groups, RoPE, mask, softmax, mix: an attention layer in plain torch.


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
# Catch what goes into each attention layer of `transformers` and what comes out. Our function must agree.

# %% tags=["nbval-check-output"]
caught = []
hooks = [
    layer.self_attn.register_forward_hook(lambda _, __, given, made: caught.append((given, made[0])), with_kwargs=True)
    for layer in smollm.model.model.layers
]
with torch.inference_mode():
    smollm.model(smollm.encode(passage))
    for layer, hook, (given, made) in zip(smollm.model.model.layers, hooks, caught, strict=True):
        hook.remove()
        assert torch.allclose(my_attention(given["hidden_states"][0], layer.self_attn), made[0], rtol=0, atol=1e-4)
f"{len(caught)} layers, all equal to 1e-4"

# %% [markdown]
# Change 64**0.5 or the base, and run both cells again: the assertion stops you.
#
# ## 11 · Quiz
#
# Every option, right or wrong, has an explanation.

# %% tags=["nbval-check-output"]
from course_utils.learner import quiz_question

quiz_question(
    "08-quiz-mask",
    "Why must the mask come before the softmax?",
    [
        ("It's faster", False, "It costs the same. The results differ."),
        (
            "Because otherwise later tokens change the weights of earlier ones",
            True,
            "Yes: they take part in the sum that each row is divided by.",
        ),
        ("The softmax can't handle zeros", False, "It can: a score of 0 is a score like any other."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "08-quiz-circuit",
    "Switching off 16.0 harms copying more than switching off 18.6. Which explanation fits what you saw?",
    [
        ("It's in an earlier layer, and those always matter more", False, "1.0 is earlier still, and hardly mattered."),
        (
            "Several heads depend on what it writes",
            True,
            "Yes: without it, the best induction of all heads falls, too.",
        ),
        ("It copies the tokens itself", False, "It looks one token back. What comes next isn't there."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "08-quiz-sink",
    "A head gives 95 % of its attention to the first token of your text. What follows?",
    [
        ("The first token is important for the meaning", False, "Heads look at it whatever it says: it's a sink."),
        ("The head is useless", False, "18.6 looks there, too, until something is repeated."),
        ("Not much yet: see what it takes in, and switch it off", True, "Yes: weight × value, then an ablation."),
    ],
)

# %% [markdown]
# ## Take-aways
#
# - Attention is softmax(QKᵀ/√d + mask) · V, and the only step in which tokens read each other.
# - −∞ before the softmax, or the future leaks in. 1/√d, or one key takes everything.
# - A layer has many heads. In SmolLM2, three share keys and values.
# - Find a head by measuring, test it on other texts, and confirm it by switching it off.
# - A strong first column is an attention sink, and says little about the meaning of the first word.
#
# **Exercise**: [08 · Attention](../exercises/08_attention.ipynb). **Deeper**: [all 270
# heads](deeper/08_all_270_heads.ipynb), [positions](deeper/05_positions.ipynb). **All lessons**: [the
# index](index.ipynb).
#
# **Next**: [09 · Context length and prompting](09_context_length_and_prompting.ipynb) asks how far back a model can
# look, and how a prompt steers it.
