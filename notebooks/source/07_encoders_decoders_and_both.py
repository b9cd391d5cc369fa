# %% [markdown]
# # 07 · Encoders, decoders and both
#
# There are three kinds of language model: those that read, those that write, and those that read one text and write
# another. They are made of the same parts. What tells them apart is one small table: who may look at whom. In this
# lesson you build that table, change one word, and measure how far the change reaches.
#
# **You will be able to**
#
# - build the three masks by hand, and name the architecture that each belongs to;
# - predict which positions change when a later word changes, and measure it in three models;
# - turn an encoder into a decoder by nothing but a mask;
# - say why a decoder can keep what it has read, and what it pays for that;
# - choose an architecture for a task, and give the reason.
#
# **Time**: 40 minutes. **Read before**: [04 · The pipeline tasks](04_the_pipeline_tasks.ipynb) and
# [05 · From text to vectors](05_from_text_to_vectors.ipynb).

# %% [markdown]
# ## 1 · One sentence, three models
#
# An **encoder** reads a text and returns a vector for each of its tokens. What a task needs is made from these vectors
# by a small **head**: a class, a tag for each token, the place of an answer (lesson 04). Look at the shape: one text,
# eight tokens, 384 numbers each.

# %% tags=["nbval-check-output"]
import torch

from course_utils.models import load_encoder

minilm = load_encoder()
text = "I have a small car."
minilm.model(minilm.encode(text)).last_hidden_state.shape

# %% [markdown]
# A **decoder** goes on with a text, one token after the other. Its last vector is turned into a probability for every
# token of the vocabulary.

# %% tags=["nbval-check-output"]
from course_utils.models import load_causal_lm

smollm = load_causal_lm()
ids = smollm.encode(text)
more = smollm.model.generate(
    ids, attention_mask=torch.ones_like(ids), max_new_tokens=9, do_sample=False, pad_token_id=0
)
smollm.tokenizer.decode(more[0])

# %% [markdown]
# An **encoder–decoder** has two halves. The first reads your text, the second writes another one and looks at the
# first while it writes. This is the small translator of lesson 04. *Embedded* means the course's own model, because you
# are going to open it.

# %% tags=["nbval-check-output"]
from course_utils.models.pipelines import load_pipeline

translator = load_pipeline("translation", models="embedded")
translator(text, num_beams=1)[0]["translation_text"]

# %% [markdown]
# How large are they? In millions of parameters:

# %% tags=["nbval-check-output"]
models = {"encoder": minilm.model, "decoder": smollm.model, "encoder–decoder": translator.model}
{kind: round(model.num_parameters() / 1e6, 1) for kind, model in models.items()}

# %% [markdown]
# ## 2 · Three masks
#
# Attention is the only step of a model in which tokens read each other (lesson 08 computes it). The **mask** says which
# token may read which: a row is a token that looks, a column a token that is looked at. There are three. Four English
# tokens and three French ones are enough to see them.

# %% tags=["nbval-check-output"]
english, french = ["I", "have", "a", "car"], ["<start>", "J'ai", "une"]

bidirectional = torch.ones(4, 4, dtype=torch.bool)  # everyone looks at everyone
causal = torch.ones(3, 3, dtype=torch.bool).tril()  # at oneself and at what came before
cross = torch.ones(3, 4, dtype=torch.bool)  # French looks at all of the English
causal.int()

# %% tags=["nbval-check-output"]
from course_utils import figures

figures.mask_grids(
    [
        ("bidirectional", bidirectional, english, english),
        ("causal", causal, french, french),
        ("cross", cross, french, english),
    ]
)

# %% [markdown]
# - An encoder has the **bidirectional mask**: nothing is forbidden (Devlin et al. 2019, *BERT*).
# - A decoder has the **causal mask**: nobody looks ahead (Radford et al. 2018, *Improving Language Understanding by
#   Generative Pre-Training*).
# - An encoder–decoder has all three. Its encoder is bidirectional, its decoder causal, and through the **cross mask**
#   the decoder looks at the encoder (Vaswani et al. 2017, *Attention Is All You Need*, which was a translator).
#
# Why must a writer not look ahead? Because it is trained to say the next token, at every position at once (lesson 06).
# If it could see that token, it would only have to copy it.

# %% [markdown]
# ## 3 · One function, two masks
#
# A toy: four tokens with two numbers each, and one attention function without any weights. Then the last token is
# replaced. What a token gets from attention is its **output**, one row for each token.

# %%
from course_utils.learner import predict

toy_rows = predict(
    "07-toy",
    "The last of four tokens is replaced. Under the causal mask, how many of the four outputs change?",
    {"none": (0, 1), "one": (1, 2), "two or three": (2, 4), "all four": (4, None)},
)
toy_rows

# %% tags=["nbval-check-output"]
from course_utils.engine.attention import scaled_dot_product_attention
from course_utils.engine.masks import bidirectional_mask, causal_mask

toy = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [2.0, 0.0]])
other = torch.cat([toy[:3], torch.tensor([[0.0, 2.0]])])
moved = {}
for name, mask in [("bidirectional", bidirectional_mask(4, 4)), ("causal", causal_mask(4, 4))]:
    before, after = (scaled_dot_product_attention(tokens, tokens, tokens, mask)[0] for tokens in (toy, other))
    moved[name] = (after - before).abs().amax(-1)
    print(f"{name:14}", [round(number, 2) for number in moved[name].tolist()])

# %% tags=["nbval-check-output"]
toy_rows.compare((moved["causal"] > 0).sum().item())

# %% [markdown]
# The function is the same, the tokens are the same. Only the mask decided whether the first three could notice. And
# they are not *nearly* unchanged under the causal mask, they are exactly unchanged: a score of −∞ becomes a weight of
# 0.

# %% [markdown]
# ## 4 · Change a later word
#
# Now the real models. *I have a small car* becomes *I have a small dog*. Both sentences have the same number of tokens,
# and differ in one. Compare the vectors of every token after every layer. The encoder first.

# %%
first_layer = predict(
    "07-encoder",
    "MiniLM reads 8 tokens, and one of them, the sixth, is replaced. How many of the 8 vectors differ after the first "
    "layer?",
    {"1": (1, 2), "3, from the sixth on": (3, 4), "all 8": (8, None)},
)
first_layer

# %% tags=["nbval-check-output"]
from course_utils.experiments.reach import hidden_states, position_differences

with_dog = "I have a small dog."
encoder_moved = position_differences(
    hidden_states(minilm.model, minilm.encode(text)), hidden_states(minilm.model, minilm.encode(with_dog))
)
first_layer.compare((encoder_moved[1] > 0).sum().item())

# %%
last_layer = predict(
    "07-decoder",
    "SmolLM2 reads 6 tokens, and the fifth is replaced. How many of the 6 vectors differ after all 30 layers?",
    {"1": (1, 2), "2": (2, 3), "all 6": (6, None)},
)
last_layer

# %% tags=["nbval-check-output"]
decoder_moved = position_differences(
    hidden_states(smollm.model, smollm.encode(text)), hidden_states(smollm.model, smollm.encode(with_dog))
)
last_layer.compare((decoder_moved[30] > 0).sum().item())

# %% [markdown]
# All layers in one picture. A row is a layer, a column a token, ▼ the replaced one. Hatched is where both runs are
# equal to the last bit; elsewhere the colour says how far apart they are. Look at the first row: before any layer, a
# vector knows only its own token and its place.


# %% tags=["nbval-check-output"]
def names(model, text):
    """The tokens of a text, as they can be shown."""
    return [model.labels[token] for token in model.encode(text)[0]]


figures.changed_positions_map(
    [
        ("encoder (MiniLM)", encoder_moved, names(minilm, text), 5),
        ("decoder (SmolLM2)", decoder_moved, names(smollm, text), 4),
    ]
)

# %% [markdown]
# In the encoder one layer is enough: everyone has looked at everyone. In the decoder thirty layers change nothing to
# the left. Each layer reads what the one before it wrote, and none looks ahead, so there is no way round.
#
# Now look at the attention itself. In the encoder:
#
# 1. Head 2.8 is open, at the row of *small*. Which token does it look at most? Does it come before or
#    after *small*?
# 2. Take the stage **+ mask**. Is anything hatched?
# 3. Find other heads in which an early row looks at a later column.

# %% tags=["nbval-check-output"]
from course_utils.widgets import attention_explorer

attention_explorer(minilm, text, layer=2, head=8, token=4)

# %% [markdown]
# The same sentence in the decoder. Take the stages **QKᵀ/√d** and **+ mask** in turn: the scores of later tokens are
# computed, and then thrown away. What is left for the row of the first token?

# %% tags=["nbval-check-output"]
attention_explorer(smollm, text, layer=5, stage="masked", token=3)

# %% [markdown]
# ## 5 · Turn an encoder into a decoder
#
# If the mask is all there is to it, it must be possible to make a decoder out of MiniLM. Here are its six layers in a
# loop. The same weights run twice, once without a mask, and once with the causal one.

# %% tags=["nbval-check-output"]
from course_utils.engine.bert import encoder_layer


@torch.inference_mode()
def six_layers(text, mask):
    """What MiniLM makes of a text under a mask: (layer + 1, seq, hidden)."""
    states = [minilm.model.embeddings(minilm.encode(text))]
    for layer in minilm.model.encoder.layer:
        hidden, _ = encoder_layer(states[-1], layer, heads=12, mask=mask)
        states.append(hidden)
    return torch.cat(states)


for name, mask in [("bidirectional", None), ("causal", causal_mask(8, 8))]:
    difference = position_differences(six_layers(text, mask), six_layers(with_dog, mask))
    print(f"{name:14} unchanged after 6 layers: {(difference[6] == 0).sum()} of 8")

# %% [markdown]
# With the causal mask the five tokens before the replaced one stay what they are. `transformers` does the same: give a
# BERT the setting `is_decoder`, and the causal mask is what changes.

# %% tags=["nbval-check-output"]
from transformers import BertConfig, BertModel

settings = minilm.model.config.to_dict() | {"is_decoder": True}
bert_decoder = BertModel(BertConfig(**settings)).eval()
bert_decoder.load_state_dict(minilm.model.state_dict())
theirs = hidden_states(bert_decoder, minilm.encode(text))
assert torch.allclose(six_layers(text, causal_mask(8, 8)), theirs, rtol=0, atol=1e-4)
assert torch.allclose(six_layers(text, None), hidden_states(minilm.model, minilm.encode(text)), rtol=0, atol=1e-4)
"both masks: equal to transformers in every layer"

# %% [markdown]
# So is a mask a switch that you may flip? Try it the other way round. SmolLM2 gives *Paris* after *The capital of
# France is* a probability of 77 %. Let every token see all others: now each of them knows more than before.

# %%
all_see_all = predict(
    "07-flip",
    "SmolLM2 with the bidirectional mask: the probability of ␣Paris …",
    {"rises": (0.78, None), "stays about as it is (70 to 78 %)": (0.7, 0.78), "falls, to under 70 %": (None, 0.7)},
)
all_see_all

# %% tags=["nbval-check-output"]
prompt = smollm.encode("The capital of France is")
paris = smollm.labels.index("␣Paris")
for name, mask in [("causal", causal_mask(5, 5)), ("bidirectional", bidirectional_mask(5, 5))]:
    with torch.inference_mode():
        probabilities = smollm.model(prompt, attention_mask=mask[None, None]).logits[0, -1].softmax(-1)
    print(f"{name:14} ␣Paris {probabilities[paris]:.0%}")
all_see_all.compare(probabilities[paris].item(), show="{:.1%}")

# %% [markdown]
# The mask makes the architecture, but training makes the weights fit their mask. These have never met a token that had
# looked ahead. With more training it can be done: Wang et al. (2022; section 10) adapted trained causal decoders to see
# their input in both directions, and the other way round.

# %% [markdown]
# ## 6 · Both in one
#
# The translator writes *J'ai une petite voiture*. Change a word on either side, and follow it. First the English side:
# *car* becomes *dog*, and the decoder reads the same French as before.

# %% tags=["nbval-check-output"]
from course_utils.experiments.reach import encoder_decoder_states

tokenizer = translator.tokenizer
car, dog = (tokenizer(sentence, return_tensors="pt").input_ids for sentence in (text, with_dog))
french_car, french_dog = (translator.model.generate(ids, do_sample=False, num_beams=1)[:, :-1] for ids in (car, dog))
words = [[tokenizer.decode([token]).replace(" ", "␣") for token in ids[0]] for ids in (car, french_car)]
encoder_before, decoder_before = encoder_decoder_states(translator.model, car, french_car)
words[1]

# %% tags=["nbval-check-output"]
encoder_after, decoder_after = encoder_decoder_states(translator.model, dog, french_car)
figures.changed_positions_map(
    [
        ("encoder: English", position_differences(encoder_before, encoder_after), words[0], 4),
        ("decoder: French", position_differences(decoder_before, decoder_after), words[1], None),
    ]
)

# %% [markdown]
# Everything changes, on both sides. In the decoder it begins with the first layer: through cross-attention every French
# position looks at the English text.
#
# Now the French side. The English stays, and in the French text *voiture* becomes *chien*.

# %%
french_side = predict(
    "07-target",
    "A French token is replaced, the last but one of 8. How many of the 7 English vectors change, in any layer?",
    {"none": (0, 1), "some": (1, 7), "all 7": (7, None)},
)
french_side

# %% tags=["nbval-check-output"]
mixed = french_car.clone()
mixed[0, 6] = french_dog[0, 6]
encoder_mixed, decoder_mixed = encoder_decoder_states(translator.model, car, mixed)
english_moved = position_differences(encoder_before, encoder_mixed)
french_moved = position_differences(decoder_before, decoder_mixed)
french_side.compare((english_moved > 0).any(0).sum().item())

# %% tags=["nbval-check-output"]
figures.changed_positions_map(
    [("encoder: English", english_moved, words[0], None), ("decoder: French", french_moved, words[1], 6)]
)

# %% [markdown]
# The encoder does not know what is being written. So it runs **once** for a text, and all steps of the decoder use what
# it returned.
#
# What is a reader good for that has read to the end? French needs *un* or *une* before the noun. The noun comes two
# words later, in both languages. Give the decoder *J'ai*, and ask for its next token, after three English texts. In the
# first the noun is missing.

# %% tags=["nbval-check-output"]
un, une = tokenizer.convert_tokens_to_ids(["Ġun", "Ġune"])
for sentence in ("I have a small", text, with_dog):
    source = tokenizer(sentence, return_tensors="pt").input_ids
    with torch.inference_mode():
        logits = translator.model(source, decoder_input_ids=french_car[:, :4]).logits[0, -1]
    likely = logits.softmax(-1)
    print(f"{sentence:20} un {likely[un]:.0%}, une {likely[une]:.0%}")

# %% [markdown]
# Without the noun the model guesses *un*. With it, it is nearly certain, and the word that decides is the last one of
# the sentence. Can you see the decoder look there? Open head 2.3 at the row of *une*, the token that is written.
#
# 1. Where does *une* look? And *petite*?
# 2. Write *I have a small dog.* and press **Run**. Does *un* look at its noun, too?
# 3. Look for a head that follows the words one by one. Lesson 08 goes on from there.

# %% tags=["nbval-check-output"]
attention_explorer(translator, text, layer=2, head=3, token=3)

# %% [markdown]
# ## 7 · What the causal mask costs
#
# *The bank was muddy after the heavy rain.* *The bank raised the interest on my savings.* You know which bank is meant
# as soon as you have read on. A decoder's *bank* has read two tokens: *The bank*. What can its vector say?
#
# Six sentences, three of each meaning. For the vector of *bank* after the last layer, take the mean cosine of two
# sentences with the same meaning, minus that of two with different meanings. A **gap** of 0 says that the vector knows
# nothing of the meaning.

# %%
gap_of_bank = predict(
    "07-bank",
    "The gap of SmolLM2, the decoder, for a “bank” at the beginning of the sentence is …",
    {"0.00": (None, 0.005), "0.01 to 0.05": (0.005, 0.05), "more": (0.05, None)},
)
gap_of_bank

# %% tags=["nbval-check-output"]
money = ["The bank was open until four for new loans.", "The bank raised the interest on my savings."]
money += ["The bank gave her the money for the house."]
river = ["The bank was muddy after the heavy rain.", "The bank was covered with reeds and wet grass."]
river += ["The bank of the river was steep and green."]


def gap(model, sentences, word="bank"):
    """How much closer the last `word` of a sentence is to those of its own meaning; the first three share one."""
    places = [max(i for i, name in enumerate(names(model, text)) if name.endswith(word)) for text in sentences]
    states = [hidden_states(model.model, model.encode(text))[-1] for text in sentences]
    vectors = torch.stack([state[place] for state, place in zip(states, places, strict=True)])
    cosines = torch.nn.functional.cosine_similarity(vectors[:, None], vectors[None], dim=-1)
    same = (cosines[:3, :3].sum() + cosines[3:, 3:].sum() - 6) / 12
    return (same - cosines[:3, 3:].mean()).item()


gaps = {"encoder": gap(minilm, money + river), "decoder": gap(smollm, money + river)}
{name: round(value, 2) + 0.0 for name, value in gaps.items()}

# %% tags=["nbval-check-output"]
gap_of_bank.compare(gaps["decoder"], show="{:.2f}")

# %% [markdown]
# The decoder has one and the same vector for all six. That is why in lesson 08 every sentence about the bank *ends*
# with it. The knowledge is not lost: later tokens look back. Here is the gap of the full stop. (Only compare a gap
# with 0. Two models have different vectors, so their gaps have different sizes.)

# %% tags=["nbval-check-output"]
round(gap(smollm, money + river, word="."), 2)

# %% [markdown]
# So a decoder is fine if the end of the text is what counts, as in writing. If you want a vector for each *word*, as
# for tagging, an encoder has it at once. For a decoder there is a trick: say the sentence twice. The second *bank* may
# look back at all of the first sentence.

# %% tags=["nbval-check-output"]
said_twice = gap(smollm, [f"{sentence} {sentence}" for sentence in money + river])
round(said_twice, 2)

# %% [markdown]
# Now it knows. Springer et al. (2024), *Repetition Improves Language Model Embeddings*, make vectors for search that
# way. It costs twice as many tokens.

# %% [markdown]
# ## 8 · What the causal mask saves
#
# A text of 200 tokens comes in, 20 at a time, and after each piece the model shall be up to date. The decoder reads
# each token once: the old ones stay what they are, so their keys and values are kept (the **KV cache**, lesson 10;
# Shazeer 2019, *Fast Transformer Decoding*). The encoder must read everything from the start again each time. How much
# is that?

# %%
read_in_all = predict(
    "07-tokens-read",
    "200 tokens in 10 pieces of 20. How many tokens does the encoder read in all?",
    {"200": (200, 201), "about 400": (300, 500), "about 1,100": (1000, 1200), "2,000": (2000, None)},
)
read_in_all

# %% tags=["nbval-check-output"]
from importlib.resources import files

from course_utils.engine.prefill_decode import new_cache, prefill

story = (files("course_utils.experiments.texts") / "the_last_ferry.txt").read_text(encoding="utf-8")
read, cache = {"decoder": 0, "encoder": 0}, new_cache(smollm.model)
decoder_ids, encoder_ids = smollm.encode(story)[:, :200], minilm.encode(story[:1500])[:, :200]
for end in range(20, 201, 20):
    read["decoder"] += end - cache.length
    logits, _ = prefill(smollm.model, decoder_ids[:, :end], cache)
    encoded = hidden_states(minilm.model, encoder_ids[:, :end])
    read["encoder"] += encoded.shape[1]
read

# %% tags=["nbval-check-output"]
assert torch.allclose(logits, prefill(smollm.model, decoder_ids)[0], atol=1e-3)
read_in_all.compare(read["encoder"], show="{:,} tokens")

# %% [markdown]
# The decoder's answer is the same as if it had read everything at once. Must the encoder really read again? Perhaps the
# first 100 tokens hardly care about the second 100. Compare their vectors before and after.

# %% tags=["nbval-check-output"]
for name, model, ids in [("encoder", minilm, encoder_ids), ("decoder", smollm, decoder_ids)]:
    half, whole = hidden_states(model.model, ids[:, :100]), hidden_states(model.model, ids)[:, :100]
    difference = position_differences(half, whole)[-1]
    print(f"{name}: {(difference > 0.01).sum()} of 100 moved by more than 0.01")

# %% [markdown]
# Every one of them moved. Whoever keeps old vectors of an encoder keeps vectors of another text.
#
# An encoder–decoder stands between. Its decoder keeps a cache like any other, and what comes from the encoder is made
# once. But if the *input* grows, as in a chat, the encoder begins again.

# %% [markdown]
# ## 9 · Fill in the blank
#
# Eight sentences with a blank. Within each group of four, the left side is the same, and only the right side says which
# word fits. Three ways to choose between four words:
#
# - **both sides**: MiniLM with its head for masked words sees the whole sentence (lesson 04);
# - **left side**: SmolLM2 has read up to the blank, and says which of the four is likeliest;
# - **try each**: SmolLM2 reads the sentence four times, once with each word, and says which sentence is likeliest.

# %%
left_side = predict(
    "07-blank",
    "How many of the eight can the left side get right at most, whatever the model?",
    {"2": (2, 3), "4": (4, 5), "8": (8, 9)},
)
left_side

# %% tags=["nbval-check-output"]
jobs = ["doctor", "teacher", "pilot", "farmer"]
job_blanks = ["The … treated her patients.", "The … gave her pupils a test.", "The … landed the plane."]
job_blanks += ["The … milked the cows."]
things = ["book", "car", "song", "game"]
thing_blanks = ["He liked the … and read it twice.", "He liked the … and drove it home."]
thing_blanks += ["He liked the … and sang it twice.", "He liked the … and played it twice."]
left_sides = sorted({sentence.split(" …")[0] for sentence in job_blanks + thing_blanks})
print(left_sides)
left_side.compare(len(left_sides))

# %% [markdown]
# There are only two left sides. A model that sees nothing else gives the same answer to all four sentences of a group,
# so it gets at most one of them right. No training can change that. The cell below runs all three ways.


# %%
from course_utils.experiments.ablation import next_token_losses

filler = load_pipeline("fill-mask", models="embedded")


@torch.inference_mode()
def three_ways(sentence, words):
    """The probability of each word, between these words: (way, word)."""
    gaps = filler.tokenizer(sentence.replace("…", "[MASK]"), return_tensors="pt")
    at_gap = filler.model(**gaps).logits[gaps.input_ids == filler.tokenizer.mask_token_id][0]
    both_sides = at_gap[filler.tokenizer.convert_tokens_to_ids(words)]
    left = smollm.next_logits(sentence.split(" …")[0])[[smollm.labels.index(f"␣{word}") for word in words]]
    tried = [smollm.encode(sentence.replace("…", word)) for word in words]
    each = torch.stack([-next_token_losses(smollm.model, ids).sum() for ids in tried])
    return torch.stack([both_sides, left, each]).softmax(-1)


# %% [markdown]
# A frame is the word that fits. Compare the columns of *left side* with each other.

# %%
ways = ["both sides (MiniLM)", "left side (SmolLM2)", "try each (SmolLM2)"]
found_jobs = torch.stack([three_ways(sentence, jobs) for sentence in job_blanks], dim=1)
figures.choice_grids(list(zip(ways, found_jobs, strict=True)), job_blanks, jobs, right=range(4))

# %%
found_things = torch.stack([three_ways(sentence, things) for sentence in thing_blanks], dim=1)
figures.choice_grids(list(zip(ways, found_things, strict=True)), thing_blanks, things, right=range(4))

# %% tags=["nbval-check-output"]
right = [(found.argmax(-1) == torch.arange(4)).sum(-1) for found in (found_jobs, found_things)]
both, left, each = (right[0] + right[1]).tolist()
assert both > left
print(f"left side {left} of 8, try each {each} of 8, both sides more than the left side: {both > left}")

# %% [markdown]
# The encoder is the smaller model by far (section 1), and still it does better than the left side can: it may look at
# the words that decide.
#
# And the decoder is not helpless. *Try each* uses the right side, too: a wrong word makes the words after it unlikely.
# But it needs a list of candidates, and one run for each. Models that write code often use another way. In training the
# middle of a text is moved to its end, so that both sides stand before it (Bavarian et al. 2022, *Efficient Training of
# Language Models to Fill in the Middle*).
#
# In the lab the masked model runs under every mask; *none* is the bidirectional one. Each row of a grid is a token that
# looks. The row of `[MASK]` is read, and the bars are its likeliest words.
#
# 1. Switch the mask to **causal**. Compare the bars of prompts 1 and 2: what do they have in common now, and why?
# 2. **window** lets a token see itself and the three before it. For which prompts is that the same as *causal*?
# 3. Back to **none**, and set the padding to **left**. The mask hides the padding, and still the bars of the padded
#    prompts move: this model has a table of positions, and their tokens now stand elsewhere. Pad an encoder on the
#    right (lesson 03). Lesson 09 shows why a decoder wants it on the left.
# 4. Write sentences of your own, with one `[MASK]` each, and press **Run**.

# %%
from functools import partial

from course_utils.traces import record_blanks
from course_utils.widgets import mask_lab

blanks = ["The [MASK] landed the plane.", "The [MASK] milked the cows.", "He liked the [MASK] and sang it twice."]
lab = mask_lab(partial(record_blanks, filler), blanks, kind="none", padding="right")
lab

# %% [markdown]
# What the lab draws you can also prove: under the causal mask the first two blanks have the same logits, although one
# is in a cockpit and one in a stable.

# %% tags=["nbval-check-output"]
for place, kind in enumerate(["causal", "none"]):
    plane, cows = torch.from_numpy(lab.trace.logits[place, 1, 1, :2])  # padded right, the padding masked
    print(f"{kind:7} the same logits: {torch.allclose(plane, cows, atol=1e-3)}")

# %% [markdown]
# ## 10 · Which one for which task
#
# | | encoder | decoder | encoder–decoder |
# |---|---|---|---|
# | mask | bidirectional | causal | both, and cross |
# | trained on | masked tokens | the next token | a damaged text, or pairs of texts |
# | made for | classes, tags, search, gaps | writing, and any task put into words | one text into another |
# | when text is appended | reads all again | reads only the new | input: again; output: only the new |
# | published | BERT | GPT, GPT-2 | T5, BART |
#
# Why are most large models today decoders? No single experiment says so. These reasons you have now seen or can check:
#
# - **One task for everything.** GPT-2 showed that a model that only goes on with texts can be asked in words (Radford
#   et al. 2019, *Language Models are Unsupervised Multitask Learners*). An encoder needs a head for each task.
# - **Every token is a lesson.** A decoder learns from each token of a text. BERT hides 15 % of them and learns from
#   these (Devlin et al. 2019).
# - **The cache.** In a chat the text grows at its end only (section 8).
#
# It is not that decoders understand better:
#
# - Raffel et al. (2020), *Exploring the Limits of Transfer Learning* (T5), compared the kinds at the same amount of
#   computation, each trained further for a task. The encoder–decoder did best; it has twice the parameters then.
# - Lewis et al. (2020), *BART*, put a BERT-like encoder before a GPT-like decoder. It was as good as a comparable
#   encoder at understanding, and it can write.
# - Wang et al. (2022), *What Language Model Architecture and Pretraining Objective Work Best for Zero-Shot
#   Generalization?*, found the causal decoder best after plain pre-training. After further training on many tasks in
#   words, models that see their input in both directions were best.
# - For search and classes, small encoders are still built and used: Warner et al. (2024), *Smarter, Better, Faster,
#   Longer* (ModernBERT).
#
# There is also a mask between the two. The prompt is there from the start, so why should its tokens not see each
# other? That is a **prefix mask**; Raffel et al. and Wang et al. tested it, too (*prefix LM*, *non-causal decoder*).
# Here the first three of five tokens are the prompt.

# %% tags=["nbval-check-output"]
prefix = causal_mask(5, 5) | (torch.arange(5) < 3)
prefix.int()

# %% [markdown]
# ## 11 · What is refused
#
# A mask that does not fit the text, two texts that differ in more than one token, the wrong kind of model, a blank that
# is missing: one sentence each.

# %% tags=["nbval-check-output"]
from course_utils.experiments.reach import replaced_position

for wrong in (
    lambda: hidden_states(minilm.model, minilm.encode(text), causal_mask(4, 4)),
    lambda: hidden_states(translator.model, car),
    lambda: encoder_decoder_states(smollm.model, ids, ids),
    lambda: replaced_position([5, 6, 7], [5, 8, 9]),
    lambda: record_blanks(filler, ["The pilot landed the plane.", blanks[1]]),
):
    try:
        wrong()
    except ValueError as error:
        print(error)

# %% [markdown]
# ## 12 · The whole thing in one cell
#
# An encoder–decoder in plain `torch`, from the English ids to the French ones. Only embeddings, linear maps and norms
# are taken from the model. Both halves are one function, `run`. What makes the difference is its mask, and whether
# there is something to look across to.


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
# A wrong mask can hide here. Take the `.tril()` away and run both cells again: is the `assert` still content? The token
# that is written next is always the last row, and the last row of a causal mask is full anyway. Only the rows before it
# have changed. Then add the sentence *My car is white.* to the list.
#
# ## 13 · Quiz
#
# Every option has an explanation, also the wrong ones. Try them all.

# %% tags=["nbval-check-output"]
from course_utils.learner import quiz_question

quiz_question(
    "07-quiz-difference",
    "What turns an encoder layer into a decoder layer?",
    [
        (
            "Other weights",
            False,
            "In section 5 the weights of MiniLM stayed. Training makes them fit the mask, though.",
        ),
        ("The causal mask", True, "Yes: the same function with the same weights, and nobody looks ahead."),
        ("Cross-attention", False, "Only the decoder of an encoder–decoder has it. SmolLM2 has none."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "07-quiz-middle",
    "A text of 10 tokens, the 7th is replaced. How many final vectors of a decoder stay exactly the same?",
    [
        ("6", True, "Yes: those before it. The 7th itself and the three after it may change."),
        ("9", False, "The three after it look back at it, so they change, too."),
        ("None, there are many layers", False, "That is the encoder. No number of layers can look ahead."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "07-quiz-cache",
    "Why is there no KV cache for an encoder to which text is appended?",
    [
        ("Encoders have no keys and values", False, "They have: attention is the same function."),
        ("Old keys and values would be wrong", True, "Yes: after the first layer every old vector is another one."),
        ("Encoders are small enough without", False, "Also a large encoder would have to read everything again."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "07-quiz-translator",
    "A translator writes 20 French tokens. How often does its encoder run?",
    [
        ("20 times", False, "What is written does not change the English vectors. Section 6 found 0 of 7 changed."),
        ("Once", True, "Yes: and all 20 steps of the decoder look at the same vectors."),
        ("21 times", False, "There is no reason to run it again: its input is the English text alone."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "07-quiz-task",
    "Ten million product reviews shall be sorted into five classes, every night. What do you try first?",
    [
        ("A small encoder with a head", True, "Yes: one run a text, both directions, and no text has to be written."),
        ("The largest decoder there is", False, "It can, with a prompt. For five fixed classes it is a costly way."),
        ("An encoder–decoder", False, "It can, too. But a class is not a text, so its second half has little to do."),
    ],
)

# %% [markdown]
# ## Take-aways
#
# - The architectures share their parts. The mask tells them apart: bidirectional, causal, and cross between two halves.
# - Change a later word: in an encoder every position changes after one layer, in a decoder none before the word, ever.
# - So a decoder can keep what it has read, and an encoder cannot. In return an encoder's vectors know both sides.
# - An encoder–decoder reads once, in both directions, and writes causally while it looks across.
# - A mask can be flipped in one line, but the weights are trained for theirs.
#
# **Next**: [08 · Attention](08_attention.ipynb) opens the function that this lesson only masked.
#
# **Exercise**: [07 · Encoders, decoders and both](../exercises/07_encoders_decoders_and_both.ipynb). **All lessons**:
# [the index](index.ipynb).
