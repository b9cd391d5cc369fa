# %% [markdown]
# # 07 · Encoders, decoders and both
#
# There are three kinds of language model, built from the same parts. What tells them apart is which tokens may look at
# which, and that decides what each kind is good for.
#
# ![Three grids of who may look at whom: a row looks, a filled cell is seen. Encoder: every token of I love you sees all
# three. Decoder: each sees itself and those before it, a staircase. Encoder–decoder: Je, t’, aime see all of I love
# you, and of their own text only what is written already.](images/07_encoders_decoders_and_both.svg)
#
# **You will be able to**
#
# - draw three masks, and name the architecture of each;
# - predict which vectors change when a later word changes;
# - turn an encoder into a decoder with nothing but a mask;
# - say what the causal mask costs, and what it saves;
# - choose an architecture for a task, and give the reason.
#
# **Time**: 40 minutes. **Read before**: [04 · The pipeline tasks](04_the_pipeline_tasks.ipynb) and [05 · From text to
# vectors](05_from_text_to_vectors.ipynb).

# %% [markdown]
# ## 1 · One text, three models
#
# Give the same sentence to an encoder, a decoder, and the translator of lesson 04.

# %% tags=["nbval-check-output"]
import torch

from course_utils.models import load_causal_lm, load_encoder
from course_utils.models.pipelines import load_pipeline

text = "I have a small car."
minilm, smollm = load_encoder(), load_causal_lm()
minilm.model(minilm.encode(text)).last_hidden_state.shape

# %% tags=["nbval-check-output"]
ids = smollm.encode(text)
settings = {"max_new_tokens": 9, "do_sample": False, "pad_token_id": 0}
more = smollm.model.generate(ids, attention_mask=torch.ones_like(ids), **settings)
translator = load_pipeline("translation", models="embedded")  # the course's own model: we'll open it
smollm.tokenizer.decode(more[0]), translator(text, num_beams=1)[0]["translation_text"]

# %% [markdown]
# - An **encoder** turns a text into vectors, here 384 numbers for each of 8 tokens. A **task head** turns these into a
#   label, or a tag per word (lesson 04).
# - A **decoder** continues a text, token by token.
# - An **encoder–decoder** has two halves. One reads your text; the other writes a new one, and looks at the first while
#   it writes.
#
# French *une* agrees with *voiture*; a dog is *un petit chien*. But *une* is the second French word, and *car* the last
# English one! Has the translator read that far when it writes *une*? For 24 nouns, half of them feminine in French,
# give the decoder *J'ai*, and see which article it prefers.


# %%
nouns = {
    "une": "car house table chair window door letter flower question idea picture box",
    "un": "dog book garden hat cake tree problem glass coat boat bed bird",
}
tokenizer = translator.tokenizer
begun = torch.tensor([[2, *tokenizer("J'ai").input_ids[:-1]]])  # 2 starts every text


@torch.inference_mode()
def article(english):
    """Which article the translator prefers after “J'ai”."""
    source = tokenizer(english, return_tensors="pt").input_ids
    logits = translator.model(source, decoder_input_ids=begun).logits[0, -1]
    return max(nouns, key=lambda word: logits[tokenizer.convert_tokens_to_ids(f"Ġ{word}")])


# %% tags=["nbval-check-output"]
from course_utils.experiments.intervals import wilson_interval

hits = sum(article(f"I have a small {noun}.") == right for right, group in nouns.items() for noun in group.split())
low, high = wilson_interval(hits, 24)
print(f"{hits} of 24 right ({low:.0%} to {high:.0%})")

# %% [markdown]
# Nearly all are right (guessing gets 12), and only the noun differs. So the translator had read the English to its end
# before it wrote the second French word.
#
# ## 2 · Three masks
#
# Attention is the only step in which tokens read each other (lesson 08 computes it). The **mask** says who may look at
# whom: one row for each token that looks, one column for each that's looked at (hatched: not allowed).

# %% tags=["nbval-check-output"]
english, french = ["I", "have", "a", "car"], ["<start>", "J'ai", "une"]
bidirectional = torch.ones(4, 4, dtype=torch.bool)  # everyone looks at everyone
causal = torch.ones(3, 3, dtype=torch.bool).tril()  # at itself and at what came before
cross = torch.ones(3, 4, dtype=torch.bool)  # the French looks at all of the English
causal.int()

# %% tags=["nbval-check-output"]
from course_utils import figures

masks = [("bidirectional", bidirectional, english, english), ("causal", causal, french, french)]
figures.mask_grids([*masks, ("cross", cross, french, english)])

# %% [markdown]
# - An encoder has the **bidirectional mask**, which forbids nothing (BERT: Devlin et al., 2019).
# - A decoder has the **causal mask**: no token looks ahead (GPT: Radford et al., 2018).
# - An encoder–decoder has all three. Its encoder is bidirectional, its decoder causal, and in **cross-attention** (the
#   cross mask) the decoder looks at the encoder (the Transformer: Vaswani et al., 2017).
#
# Why mustn't a writer look ahead? It's trained to predict the next token at every position (lesson 06). If it saw that
# token, it would only learn to copy.
#
# ## 3 · Change a later word
#
# *I have a small car* becomes *I have a small dog*. Compare the vectors of each token, layer by layer. First in the
# encoder.

# %%
from course_utils.learner import predict

first_layer = predict(
    "07-encoder",
    "MiniLM reads 8 tokens, and the sixth is replaced. How many of the 8 vectors differ after the first layer?",
    {"1": (1, 2), "3, from the sixth on": (3, 4), "all 8": (8, None)},
)
first_layer

# %% tags=["nbval-check-output"]
from course_utils.experiments.reach import hidden_states, position_differences

with_dog, moved = "I have a small dog.", {}
for model in (minilm, smollm):
    one, other = (hidden_states(model.model, model.encode(sentence)) for sentence in (text, with_dog))
    moved[model.name] = position_differences(one, other)  # (layer, token)
first_layer.compare((moved[minilm.name][1] > 0).sum().item())

# %%
last_layer = predict(
    "07-decoder",
    "SmolLM2 reads 6 tokens, and the fifth is replaced. How many of the 6 vectors differ after all 30 layers?",
    {"1": (1, 2), "2": (2, 3), "all 6": (6, None)},
)
last_layer

# %% tags=["nbval-check-output"]
last_layer.compare((moved[smollm.name][30] > 0).sum().item())

# %% [markdown]
# All layers, with ▼ over the replaced token. Hatched means equal to the last bit; elsewhere, darker means further
# apart, on a scale per model.

# %% tags=["nbval-check-output"]
panels = []
for kind, model, place in (("encoder", minilm, 5), ("decoder", smollm, 4)):
    tokens = [model.labels[token] for token in model.encode(text)[0]]
    panels.append((kind, moved[model.name], tokens, place))
figures.changed_positions_map(panels)

# %% [markdown]
# Row 0 is before any layer. In the encoder, one layer is enough: everyone has looked at everyone. In the decoder,
# thirty layers change nothing to the left. Each reads what the last one wrote, and none looks ahead: there's no way
# round.
#
# And in the translator? Replace *car* in the English, then *voiture* in the French, and count the vectors that differ
# in any layer.

# %% tags=["nbval-check-output"]
car, dog = (tokenizer(sentence, return_tensors="pt").input_ids for sentence in (text, with_dog))
voiture, chien = (translator.model.generate(ids, do_sample=False, num_beams=1)[:, :-1] for ids in (car, dog))
mixed = voiture.clone()
mixed[0, 6] = chien[0, 6]
tokenizer.decode(mixed[0, 1:])

# %% tags=["nbval-check-output"]
from course_utils.experiments.reach import encoder_decoder_states

before = encoder_decoder_states(translator.model, car, voiture)
for change, source, target in (("car → dog", dog, voiture), ("voiture → chien", car, mixed)):
    after = encoder_decoder_states(translator.model, source, target)
    in_english, in_french = ((position_differences(*pair) > 0).any(0) for pair in zip(before, after, strict=True))
    print(f"{change:16} {in_english.sum()} of {len(in_english)} English, {in_french.sum()} of {len(in_french)} French")

# %% [markdown]
# A change in the English reaches everything; one in the French leaves the English alone. So the encoder runs **once**
# per text, and every step of the decoder uses what it returned.
#
# **Try it.** A layer has several **attention heads** (nothing to do with task heads), each with its own pattern; 2.3 is
# head 3 of layer 2, counted from 0. You see all heads, and one of them in full: its row *une* is the step
# that writes *une*.
#
# 1. Where do *une* and *petite* look?
# 2. Write *I have a small dog.* and press **Run**. Does *un* look at its noun?
# 3. Find a head that follows the words in their order.

# %% tags=["nbval-check-output"]
from course_utils.widgets import attention_explorer

attention_explorer(translator, text, layer=2, head=3, token=3)

# %% [markdown]
# <details><summary>Answers</summary>
#
# 1. Mostly at *car*: both have to agree with it.
# 2. Yes, at *dog*.
# 3. 2.0, from *une* on.
#
# (An illustration: one sentence, one picked head.)
#
# </details>
#
# ## 4 · Flip the mask
#
# If the mask is all there is to it, MiniLM with the causal mask is a decoder. Compare it with one that `transformers`
# builds from the same weights.

# %% tags=["nbval-check-output"]
from transformers import BertConfig, BertModel

from course_utils.engine.masks import bidirectional_mask, causal_mask

bert_decoder = BertModel(BertConfig(**minilm.model.config.to_dict() | {"is_decoder": True})).eval()
bert_decoder.load_state_dict(minilm.model.state_dict())

# %% tags=["nbval-check-output"]
flipped = [hidden_states(minilm.model, minilm.encode(each), causal_mask(8, 8)) for each in (text, with_dog)]
assert torch.allclose(flipped[0], hidden_states(bert_decoder, minilm.encode(text)), rtol=0, atol=1e-4)
print(f"unchanged after 6 layers: {(position_differences(*flipped)[6] == 0).sum()} of 8")

# %% [markdown]
# The two agree, and the five tokens before the replaced one no longer notice. Now the other way. After *The
# capital of France is*, SmolLM2 gives *Paris* 77 %. Let all five tokens see all five.

# %%
all_see_all = predict(
    "07-flip",
    "SmolLM2 with the bidirectional mask: the probability of ␣Paris …",
    {"rises": (0.78, None), "stays about the same (70 to 78 %)": (0.7, 0.78), "falls below 70 %": (None, 0.7)},
)
all_see_all


# %% tags=["nbval-check-output"]
@torch.inference_mode()
def after_is(country, make_mask):
    """The probability of each token after “The capital of … is”, under a mask."""
    prompt = smollm.encode(f"The capital of {country} is")
    mask = make_mask(prompt.shape[1], prompt.shape[1])[None, None]
    return smollm.model(prompt, attention_mask=mask).logits[0, -1].softmax(-1)


paris = smollm.labels.index("␣Paris")
all_see_all.compare(after_is("France", bidirectional_mask)[paris].item(), show="{:.1%}")

# %% tags=["nbval-check-output"]
from course_utils.experiments.failure_cases import CAPITALS

for name, make_mask in {"causal": causal_mask, "bidirectional": bidirectional_mask}.items():
    best = [after_is(country, make_mask).argmax() for country in CAPITALS]
    right = sum(smollm.encode(f" {city}")[0, 0] == token for city, token in zip(CAPITALS.values(), best, strict=True))
    low, high = wilson_interval(int(right), 20)
    likely = after_is("France", make_mask)[paris]
    print(f"{name:13} ␣Paris {likely:.0%}; {right} of 20 capitals right ({low:.0%} to {high:.0%})")

# %% [markdown]
# Not one capital is left. The last token saw all five before, too. But the four others have new vectors now, and these
# weights never met a token that had looked ahead. The mask makes the architecture; training fits the weights to it.
#
# More training can refit them: BehnamGhader et al. (2024) turned decoders into encoders, and T5Gemma 2 is an
# encoder–decoder made from a decoder (B. Zhang et al., 2025). There's also a **prefix mask**: the prompt's tokens see
# each other, and only what's written is causal (Raffel et al., 2020).
#
# ## 5 · What the causal mask costs
#
# Lesson 05 had ten pairs like *The woman is at the bank of the river*, *… of England*, with the clue after *bank*. Are
# two *bank*s from different pairs more alike if they mean the same? The **gap** is the mean cosine of those that do,
# minus that of those that don't. For chance, exchange the meanings in some pairs: of 512 ways, 95 % stay below the
# second number.


# %% tags=["nbval-check-output"]
from course_utils.experiments.word_senses import bank_sentences, meaning_gaps


def gap_of_bank(model, times=1):
    """The gap at the last “bank” in the last layer, each sentence said once or twice; and by chance."""
    vectors = []
    for sentence in bank_sentences("after"):
        ids = model.encode(" ".join([f"{sentence}."] * times))
        place = max(i for i, token in enumerate(ids[0]) if model.labels[token].endswith("bank"))
        vectors.append(hidden_states(model.model, ids)[-1, place])
    gaps = meaning_gaps(torch.stack(vectors))
    return f"{gaps[0]:.3f}, by chance below {gaps.quantile(0.95):.3f}"


print("encoder:", gap_of_bank(minilm))

# %% tags=["nbval-check-output"]
print("decoder:", gap_of_bank(smollm))
print("decoder, said twice:", gap_of_bank(smollm, times=2))

# %% [markdown]
# The encoder's gap is above chance: its *bank* depends on which is meant. The decoder's has the same vector in both
# sentences of a pair, as they're equal up to there. The clue isn't lost, since later tokens look back at both. But if
# you need a vector per word, as in tagging, an encoder has it at once. (Don't compare gaps across models.)
#
# A trick: say it twice. The second *bank* looks back at the whole first sentence, and its gap is above chance. Springer
# et al. (2024) make text vectors that way, at twice the tokens.
#
# ## 6 · Fill in the blank
#
# In *The … milked the cows*, only the right side tells you the word. Take six groups of four such sentences. The four
# begin alike.

# %%
left_side = predict(
    "07-blank",
    "Each of a group's four words fits one of its sentences. A model sees only the left side. How many of the 24 "
    "sentences can it get right at most, however good it is?",
    {"6": (6, 7), "12": (12, 13), "24": (24, 25)},
)
left_side

# %% tags=["nbval-check-output"]
from course_utils.experiments.word_blanks import BLANKS

for words, sentences in BLANKS:
    print(f"{', '.join(words):30} {sentences[0]}")
left_side.compare(len({sentences[0].split("…")[0] for _, sentences in BLANKS}))

# %% [markdown]
# It gives all four of a group the same answer, which fits one of them: 6 of 24 is guessing. Three ways to choose:
#
# - **both sides**: MiniLM, with its task head for masked words, sees the whole sentence;
# - **left side**: SmolLM2 reads up to the blank;
# - **try each**: SmolLM2 reads the sentence four times, once with each word, and the likeliest sentence wins.


# %%
filler = load_pipeline("fill-mask", models="embedded")


@torch.inference_mode()
def three_ways(sentence, words):
    """The probability of each word, between these words: (way, word)."""
    gap = filler.tokenizer(sentence.replace("…", "[MASK]"), return_tensors="pt")
    at_gap = filler.model(**gap).logits[gap.input_ids == filler.tokenizer.mask_token_id][0]
    both_sides = at_gap[filler.tokenizer.convert_tokens_to_ids(words)]
    tried = torch.cat([smollm.encode(sentence.replace("…", word)) for word in words])
    likely = smollm.model(tried).logits[:, :-1].log_softmax(-1).gather(2, tried[:, 1:, None])[..., 0]
    before = smollm.encode(sentence.split(" …")[0]).shape[1]  # so many tokens come before the word
    return torch.stack([both_sides, likely[:, before - 1], likely.sum(1)]).softmax(-1)


# %% tags=["nbval-check-output"]
ways = ["both sides (MiniLM)", "left side (SmolLM2)", "try each (SmolLM2)"]
chosen = [torch.stack([three_ways(each, words) for each in sentences], dim=1) for words, sentences in BLANKS]
for way, hits in zip(ways, sum((found.argmax(-1) == torch.arange(4)).sum(-1) for found in chosen), strict=True):
    low, high = wilson_interval(int(hits), 24)
    interval = "always" if way.startswith("left") else f"{low:.0%} to {high:.0%}"
    print(f"{way:20} {hits} of 24 right ({interval})")

# %% [markdown]
# The first group; a frame marks the word that fits.

# %% tags=["nbval-check-output"]
words, sentences = BLANKS[0]
figures.choice_grids(list(zip(ways, chosen[0], strict=True)), sentences, words, right=range(4))

# %% [markdown]
# *Try each* is the same model as *left side*; it also scores what comes after the blank, and gets far more right. So
# the decoder isn't helpless, but it needs candidates, and reads the sentence once for each. (Don't rank the two models:
# size and training differ, too.)
#
# **Try it.** The masked model with the causal mask. Bars: words for `[MASK]`, outlined under the model's own mask, blue
# under this one.
#
# 1. Compare the blue bars of prompts 1 and 2. Then switch the mask to **none**.
# 2. Write your own, and press **Run**.

# %%
from functools import partial

from course_utils.traces import record_blanks
from course_utils.widgets import mask_lab

liked = [f"He liked the [MASK] and {verb} it twice." for verb in ("read", "sang")]
mask_lab(partial(record_blanks, filler), [*liked, "The [MASK] barked at the stranger."], kind="causal", padding="right")

# %% [markdown]
# Prompts 1 and 2 have the same blue bars: left of both blanks is *He liked the*.
#
# ## 7 · What the causal mask saves
#
# A chat grows at its end. Say 200 tokens arrive, 20 at a time. A decoder's old vectors stay as they are (section 3), so
# it keeps its work (the **KV cache** of lesson 10) and reads only the new ones. An encoder has to start over. Or are
# its old vectors good enough? Let MiniLM read half of each of thirty passages, then the whole.

# %% tags=["nbval-check-output"]
from course_utils.experiments.human_rights import human_rights

print(f"read in all: decoder {10 * 20} tokens, encoder {sum(range(20, 201, 20)):,}")
same, different = [], []
for passage in human_rights()["English"]:
    ids = minilm.encode(passage)[:, :-1]  # without [SEP], so that the whole is the half and more
    half = ids.shape[1] // 2
    old, new = hidden_states(minilm.model, ids[:, :half])[-1], hidden_states(minilm.model, ids)[-1, :half]
    cosines = torch.cosine_similarity(old[:, None], new[None], dim=-1)
    same.append(cosines.diagonal())
    different.append(cosines[~torch.eye(half, dtype=torch.bool)])

# %% tags=["nbval-check-output"]
from course_utils.experiments.intervals import means_and_intervals

for name, values in {"before and after": same, "two different tokens": different}.items():
    means = torch.stack([each.mean() for each in values])
    print("{:21} mean cosine {:.2f} ({:.2f} to {:.2f})".format(name, *means_and_intervals(means)))
print(f"before and after, lowest {torch.cat(same).min():.2f}, highest {torch.cat(same).max():.3f}")

# %% [markdown]
# On average the old vector is close to the new one. But none is the same, and the worst is hardly closer than two
# different tokens.
#
# ## 8 · Which one for which task
#
# Which architectures are behind the pipelines of lesson 04?

# %% tags=["nbval-check-output"]
for task in ("sentiment-analysis", "ner", "fill-mask", "translation", "summarization", "text-generation"):
    print(f"{task:20} {type(load_pipeline(task, models='embedded').model).__name__}")

# %% [markdown]
# Bert is an encoder, Llama a decoder, Bart an encoder–decoder. In general:
#
# | task | what comes out | usually | models of today |
# |---|---|---|---|
# | classification | a label | encoder | ModernBERT (Warner 2024), Ettin (Weller 2025) |
# | named entities (NER) | a tag for each word | encoder | GLiNER (Zaratiana 2023) |
# | search | a vector | encoder, decoder | MiniLM; Qwen3 Embedding (Y. Zhang 2025) |
# | translation | another text | encoder–decoder, decoder | NLLB (NLLB Team 2022); TranslateGemma (Finkelstein 2026) |
# | summarization | a shorter text | encoder–decoder, decoder | BART (M. Lewis 2020), T5Gemma 2; all of the next row |
# | writing, chat, code | more text | decoder | Llama 3 (Grattafiori 2024), DeepSeek-V4 (DeepSeek-AI 2026) |
#
# (After a semicolon: decoders.) Why are nearly all of the largest models decoders? No single experiment answers that,
# but:
#
# - **One interface.** What can be put into words can be asked in a prompt (Radford et al., 2019). An encoder usually
#   needs a head and labelled data for each task.
# - **Every token teaches.** A decoder learns from each token; BERT hides 15 % and learns from these.
# - **The cache.** A chat grows at its end.
#
# They don't simply understand better. Weller et al. (2025) trained pairs (up to a billion parameters) that differ only
# in mask and objective: encoders won at classification and retrieval, decoders at generation, and refitting didn't
# close the distance. Wang et al. (2022) found decoders best straight after pre-training, and models that see their
# input in both directions best after further training on many tasks. Then again, the decoders that BehnamGhader et al.
# (2024) turned into encoders beat smaller encoders at tagging words.
#
# ## 9 · The whole thing in one cell
#
# An encoder–decoder in plain `torch`; only embeddings, linear maps and norms are the model's. One function, `run`, is
# both halves: they differ in the mask, and in whether they look across.


# %%
def attend(hidden, source, part, mask):
    projections = ((part.q_proj, hidden), (part.k_proj, source), (part.v_proj, source))
    q, k, v = (project(x).unflatten(-1, (4, 48)).transpose(1, 2) for project, x in projections)
    scores = (q @ k.transpose(2, 3) / 48**0.5).masked_fill(~mask, -torch.inf)
    return part.out_proj((scores.softmax(-1) @ v).transpose(1, 2).flatten(2))


def run(half, ids, mask, encoded=None):
    hidden = half.layernorm_embedding(half.embed_tokens(ids) + half.embed_positions(ids))
    for layer in half.layers:
        hidden = layer.self_attn_layer_norm(hidden + attend(hidden, hidden, layer.self_attn, mask))
        if encoded is not None:  # cross-attention: every row sees the whole source
            across = attend(hidden, encoded, layer.encoder_attn, torch.ones(1, 1, dtype=torch.bool))
            hidden = layer.encoder_attn_layer_norm(hidden + across)
        hidden = layer.final_layer_norm(hidden + layer.fc2(torch.nn.functional.gelu(layer.fc1(hidden))))
    return hidden


def translate(source):
    bart, target = translator.model.model, torch.tensor([[2]])  # 2 starts, 1 ends
    encoded = run(bart.encoder, source, torch.ones(1, 1, dtype=torch.bool))  # once
    while target[0, -1] != 1 and target.shape[1] < 30:
        hidden = run(bart.decoder, target, torch.ones([target.shape[1]] * 2, dtype=torch.bool).tril(), encoded)
        target = torch.cat([target, translator.model.lm_head(hidden[:, -1:]).argmax(-1)], dim=1)
    return target


# %% tags=["nbval-check-output"]
for sentence in (text, with_dog, "It is a good idea."):
    source = tokenizer(sentence, return_tensors="pt").input_ids
    with torch.inference_mode():
        mine = translate(source)
    assert torch.equal(mine, translator.model.generate(source, do_sample=False, num_beams=1))
    print(sentence, "→", tokenizer.decode(mine[0], skip_special_tokens=True).strip())

# %% [markdown]
# A wrong mask can hide here. Take `.tril()` away and run both cells: the assertion still passes! Only the last row
# writes, and it's full anyway; the other rows changed too little to tip a word. Add *My car is white.*, and it fails:
# *blanche* becomes *blanc*.
#
# ## 10 · Quiz

# %% tags=["nbval-check-output"]
from course_utils.learner import quiz_question

quiz_question(
    "07-quiz-middle",
    "In a text of 10 tokens, the 7th is replaced. How many final vectors of a decoder stay exactly the same?",
    [
        ("6", True, "Yes: those before it. The 7th and the three after it may change."),
        ("9", False, "The three after it look back at it, so they change, too."),
        ("None, there are many layers", False, "That's an encoder. No number of layers lets a decoder look ahead."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "07-quiz-translator",
    "A translator writes 20 French tokens. How often does its encoder run?",
    [
        ("20 times", False, "What's written doesn't change the English vectors: section 3 counted none."),
        ("Once", True, "Yes, and all 20 steps of the decoder look at the same vectors."),
        ("21 times", False, "There's no reason to run it again: its input is the English alone."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "07-quiz-task",
    "Ten million product reviews have to be sorted into five classes every night. What do you try first?",
    [
        ("A small encoder with a task head", True, "Yes: one run per text, in both directions, and nothing to write."),
        ("The largest decoder there is", False, "It can, with a prompt. For five fixed classes it's an expensive way."),
        ("An encoder–decoder", False, "It can, too. But a class isn't a text, so its second half has little to do."),
    ],
)

# %% [markdown]
# ## Take-aways
#
# - The mask tells the architectures apart: bidirectional, causal, cross.
# - Change a later word: in an encoder every vector changes, in a decoder none before it. So a decoder can keep what it
#   has read. An encoder can't, but its vectors know both sides.
# - An encoder–decoder reads once, in both directions, and writes causally while it looks across.
# - A mask is flipped in one line, but weights are trained for theirs.
#
# **Exercise**: [07 · Encoders, decoders and both](../exercises/07_encoders_decoders_and_both.ipynb). **All lessons**:
# [the index](index.ipynb).
#
# **Next**: [08 · Attention](08_attention.ipynb) opens the function that this lesson only masked.
