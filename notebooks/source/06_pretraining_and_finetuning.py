# %% [markdown]
# # 06 · Pre-training and fine-tuning
#
# Nobody told a language model what a noun is. It was given text, and the same question about it, again and again. In
# this lesson you compute the loss of that question by hand, for the two ways of asking it. Then you train a small model
# of your own, and after that you teach a trained one something new, in three ways.
#
# **You will be able to**
#
# - make the labels of a causal and of a masked language model out of nothing but text;
# - compute both losses by hand, and show that they equal the model's own;
# - train a small language model, say what its loss is before the first step, and see when it begins to overfit;
# - fine-tune an encoder with a frozen body, with LoRA and without pre-training, and compare the three fairly;
# - read an accuracy together with its interval.
#
# **Time**: 45 minutes. **Read before**: [05 · From text to vectors](05_from_text_to_vectors.ipynb). Two cells train for
# about ten seconds each; the second one trains two models.

# %% [markdown]
# ## 1 · The text is its own label
#
# A model that classifies pictures needs somebody who says what is in each picture. A language model needs a text. Take
# one sentence, and write under every token the token that comes after it. Look at the two rows: the second is the
# first, one place to the left.

# %% tags=["nbval-check-output"]
from course_utils.models import load_causal_lm

smollm = load_causal_lm()
ids = smollm.encode("She put the letter into her pocket and closed the door.")
tokens = [smollm.labels[token] for token in ids[0]]
print("input:", *tokens[:-1])
print("label:", *tokens[1:])

# %% [markdown]
# Each column is a **training example**: *here is the text up to this token, what comes next?* How many are there?

# %%
from course_utils.learner import predict

examples = predict(
    "06-examples",
    "A text has 12 tokens. How many examples does it give, each with its answer?",
    {"1, the last token": (0, 2), "11": (2, 12), "12": (12, 13)},
)
examples

# %% tags=["nbval-check-output"]
for place in (1, 2, 11):
    print("".join(tokens[:place]), "→", tokens[place])
examples.compare(len(tokens) - 1)

# %% [markdown]
# The first token has nothing before it, so nothing predicts it. All the others are answers. And because a token never
# looks ahead (lesson 07), one run of the model does all 11 examples at once.
#
# Labels that come from the data itself: that is **self-supervision**. A model that is asked for the next token is a
# **causal language model**, and this training, on as much text as one can get, is **pre-training** (Radford et al.
# 2018, *Improving Language Understanding by Generative Pre-Training*).

# %% [markdown]
# ## 2 · The causal loss by hand
#
# The model gives every token of the vocabulary a probability. The loss of one example is −ln of the probability that it
# gave the right token: 0 if it was certain and right, and large if it was surprised. Three steps: logits, log of the
# softmax, and pick the label's entry.

# %% tags=["nbval-check-output"]
import torch

with torch.inference_mode():
    logits = smollm.model(ids).logits  # (batch, seq, vocab)
predicting, labels = logits[0, :-1], ids[0, 1:]
log_probabilities = predicting.log_softmax(-1)
losses = -log_probabilities[torch.arange(11), labels]
[tuple(each.shape) for each in (logits, predicting, labels, losses)]

# %% [markdown]
# In bits (divided by ln 2) it is the **surprisal** of each token (lesson 09 uses it all the time). Which of these
# three nouns will surprise the model most?

# %%
surprise = predict("06-surprise", "Which of these costs most bits?", ["␣letter", "␣pocket", "␣door"])
surprise

# %% tags=["nbval-check-output"]
from math import log

bits = losses / log(2)
for token, value in zip(tokens[1:], bits.tolist(), strict=True):
    print(f"{token:9} {value:3.0f} {'█' * round(value)}")
surprise.compare(max(["␣letter", "␣pocket", "␣door"], key=lambda noun: bits[tokens.index(noun) - 1]))

# %% [markdown]
# After one word nearly anything may come, so *put* costs most. With more text behind it, the model knows more: a
# *letter* is one of many things, a *pocket* less so, and *door* after *closed the* costs about one bit, a coin flip.
#
# The loss of a text is the mean over its examples. Now compare with what `transformers` says when it gets the ids as
# `labels`. It shifts them itself, so you hand over the same ids twice.

# %% tags=["nbval-check-output"]
by_hand = losses.mean()
with torch.inference_mode():
    theirs = smollm.model(ids, labels=ids).loss
assert torch.allclose(by_hand, theirs, atol=1e-4)
print(f"loss {by_hand:.2f} nats = {bits.mean():.1f} bits a token; perplexity {by_hand.exp():.0f}")

# %% [markdown]
# **Perplexity** is *e* to the power of the loss: the model was as unsure as if it had chosen among so many equally
# likely tokens at every place. The vocabulary has 49,152.
#
# ### The wrong way: forget the shift
#
# A popular mistake is to compare each position with its own token, which the model has just read. Nothing complains.

# %%
unshifted = predict(
    "06-unshifted",
    "Without the shift, the loss of a good model is …",
    {"near 0: it can see the answer": (0, 1), "about the same": (1, 8), "much higher": (8, None)},
)
unshifted

# %% tags=["nbval-check-output"]
from course_utils.experiments.losses import causal_lm_loss, cross_entropy

assert torch.allclose(causal_lm_loss(logits, ids), theirs, atol=1e-4)
unshifted.compare(cross_entropy(logits, ids).item(), show="{:.1f} nats")

# %% [markdown]
# The model has never been asked to repeat a token, and repeating one is rarely how a text goes on. In training, this
# mistake is worse, because it looks like success: the answer stands in the input, so the model learns to copy it, and
# the loss falls fast.
#
# Now a sentence of your own. Every token of the prompt has its bits; write something that surprises the model and
# something that bores it. Then read what it expects next.

# %% tags=["nbval-check-output"]
from functools import partial

from course_utils.traces import record_surprisals
from course_utils.widgets import next_token_explorer

next_token_explorer(partial(record_surprisals, smollm), "Roses are red, violets are green", bars=6)

# %% [markdown]
# ## 3 · The masked loss by hand
#
# An encoder reads in both directions. If you asked it for the next token, it could look the answer up. So the answer is
# hidden. Devlin et al. (2019), *BERT: Pre-training of Deep Bidirectional Transformers*, choose 15 % of the tokens. Of
# the chosen ones, 80 % are shown as `[MASK]`, 10 % as some random token, and 10 % as they are. The model is asked for
# the original token at all chosen places, and nowhere else.
#
# The text is a story that ships with the course. `hide_tokens` hides its tokens; the random numbers are seeded. Can you
# still read it?

# %% tags=["nbval-check-output"]
from importlib.resources import files

from course_utils.experiments.losses import IGNORED, hide_tokens
from course_utils.models import load_head

story = (files("course_utils.experiments.texts") / "the_last_ferry.txt").read_text(encoding="utf-8")
masked_lm, tokenizer = load_head("mlm")
batch = tokenizer(story[:1000], return_tensors="pt", return_special_tokens_mask=True)
special = batch.special_tokens_mask.bool()
chance = torch.Generator().manual_seed(24)
hidden = hide_tokens(batch.input_ids, special, tokenizer.mask_token_id, len(tokenizer), generator=chance)
print(tokenizer.decode(hidden.ids[0, :48]))

# %% [markdown]
# The masks are easy to see, and so is the random word: *greenland*. What you cannot see is which of the plain words
# were chosen and left alone. Count all three, in the whole story, read ten times.

# %% tags=["nbval-check-output"]
long = tokenizer(story * 10, add_special_tokens=False, return_tensors="pt", verbose=False).input_ids
nothing_special = torch.zeros_like(long, dtype=torch.bool)
shown, asked = hide_tokens(long, nothing_special, tokenizer.mask_token_id, len(tokenizer), generator=chance)
chosen = asked != IGNORED
masks, same = (shown == tokenizer.mask_token_id) & chosen, (shown == long) & chosen
print(f"{long.numel():,} tokens, chosen {chosen.float().mean():.0%}")
for name, part in {"mask": masks, "random": chosen & ~masks & ~same, "unchanged": same}.items():
    print(f"{name:9} {part.sum() / chosen.sum():.0%}")

# %% [markdown]
# Why not hide all of them behind the mask? Because no text that the model will be used on has a `[MASK]` in it. A model
# that is only asked at masks need not care about the other places. With random and unchanged tokens any place may be
# asked for, so it has to keep a good vector for every token (Devlin et al. 2019).
#
# `transformers` has a collator that does this. Given the same random numbers, it hides the same tokens:

# %% tags=["nbval-check-output"]
from transformers import DataCollatorForLanguageModeling

collator = DataCollatorForLanguageModeling(tokenizer, seed=24)
their_batch = collator([{"input_ids": batch.input_ids[0], "special_tokens_mask": batch.special_tokens_mask[0]}])
assert their_batch["input_ids"].equal(hidden.ids)
assert their_batch["labels"].equal(hidden.labels)
print(*hidden.labels[0, :24].tolist())

# %% [markdown]
# Those are its labels. Most are −100, which means *not asked*: the loss leaves these places out. It is only a
# convention of `torch`, but you will meet it wherever a part of a text must not count.
#
# So the masked loss is: pick the places that are not −100, and take the mean of −ln *p* there. Nothing is shifted.

# %% tags=["nbval-check-output"]
with torch.inference_mode():
    output = masked_lm(hidden.ids, labels=hidden.labels)
places = hidden.labels[0] != -100
wanted = hidden.labels[0, places]
by_hand = -output.logits[0, places].log_softmax(-1)[torch.arange(len(wanted)), wanted].mean()
assert torch.allclose(by_hand, output.loss, atol=1e-4)
f"{places.sum()} of {len(places)} places are asked for"

# %% [markdown]
# And what does the model say at the first masks? Its best guess stands beside the right word. It is a small head on a
# small encoder, trained for this course. How often is the word right, and how often at least its kind?

# %%
at_masks = (hidden.ids[0] == tokenizer.mask_token_id).nonzero()[:8, 0]
for place in at_masks.tolist():
    guess, right = output.logits[0, place].argmax(), hidden.labels[0, place]
    print(f"{tokenizer.decode(right):>12}   guessed: {tokenizer.decode(guess)}")
print(f"loss at all {len(wanted)} places: {output.loss:.1f}; guessing blindly: {log(len(tokenizer)):.1f}")
assert output.loss < log(len(tokenizer)) - 1

# %% [markdown]
# Two ways of asking, one text. Which gives more answers to learn from?

# %% tags=["nbval-check-output"]
causal_labels = smollm.encode(story).shape[1] - 1
masked_labels = round(0.15 * len(tokenizer(story, add_special_tokens=False, verbose=False).input_ids))
f"the whole story: {causal_labels:,} causal labels, about {masked_labels} masked ones"

# %% [markdown]
# A causal model learns from every token and looks one way. A masked model learns from one token in seven, and looks
# both ways. Lesson 07 takes up what that means for the architecture.

# %% [markdown]
# ## 4 · Train one yourself
#
# Now a model that knows nothing. It has the architecture of SmolLM2 (Llama), but two layers instead of 30, vectors of
# 64 numbers, and a vocabulary of single characters. The text is the story. The last part of it is **held out**: the
# model is tested on it, and never trained on it.

# %% tags=["nbval-check-output"]
from course_utils.experiments.characters import Characters
from course_utils.experiments.tiny_training import cut_windows, new_tiny_model

characters = Characters(story)
story_ids = characters.encode(story)
border = round(0.7 * len(story_ids))
train_ids, held_out = story_ids[:border], cut_windows(story_ids[border:])
tiny = new_tiny_model(len(characters))
print(f"{len(characters)} characters, {tiny.num_parameters():,} parameters")
print(f"trained on {len(train_ids):,} characters, held out: {tuple(held_out.shape)}")

# %% [markdown]
# Its weights are random. What is its loss before the first step? You can know that without running anything.

# %%
first_loss = predict(
    "06-first-loss",
    "Before any training, the loss of the tiny model is close to …",
    {"0": (0, 1), "ln 50 ≈ 3.9": (3.5, 4.5), "50": (10, None)},
)
first_loss

# %% tags=["nbval-check-output"]
from course_utils.experiments.tiny_training import mean_loss

first_loss.compare(mean_loss(tiny, held_out), show="{:.1f}")

# %% [markdown]
# With small random weights all logits are nearly the same, so each of 50 characters has a probability of about 1/50,
# and −ln (1/50) = ln 50. This is the first thing to check in any training: if the loss does not begin at ln of the
# vocabulary, something is wrong with labels or weights.
#
# Two more marks to beat, and neither is a neural network. A table that knows how often each character occurs, and a
# table that knows how often each character follows another:

# %% tags=["nbval-check-output"]
from course_utils.experiments.characters import counted_loss

levels = {"guessing (ln 50)": log(50)}
levels["counted characters"] = counted_loss(train_ids, held_out, len(characters), context=0)
levels["counted pairs"] = counted_loss(train_ids, held_out, len(characters), context=1)
{name: round(level, 2) for name, level in levels.items()}

# %% [markdown]
# This is what the untrained model writes. Each character is drawn from its distribution.

# %%
from course_utils.experiments.characters import write_on

print(write_on(tiny, characters, "The captain ", characters=120, seed=1))

# %% [markdown]
# Now plan the training. A step takes 12 windows of 64 characters from random places, computes the loss of section 2,
# and moves every weight a little in the direction that makes the loss smaller.

# %% tags=["nbval-check-output"]
steps = 250
f"every character of the training text will be seen about {steps * 12 * 64 / len(train_ids):.0f} times"

# %% [markdown]
# Commit: what will the loss on the held-out part be, compared with the loss on the trained part?

# %%
overfitted = predict(
    "06-overfit",
    "After training, the held-out loss is above the training loss by …",
    {"less than 0.2": (None, 0.2), "0.2 to 0.5": (0.2, 0.5), "more than 0.5": (0.5, None)},
)
overfitted

# %% [markdown]
# Train. This takes about ten seconds. Look at where the two curves go together, and where they part. Later, raise
# `steps` to 600 and run these cells again: does the held-out curve cross a dotted line a second time?

# %%
from course_utils import figures
from course_utils.experiments.tiny_training import random_windows, train_tiny_model

tiny = new_tiny_model(len(characters))  # the same random weights again
batches = random_windows(train_ids, windows=12, seed=0)
curve = train_tiny_model(tiny, batches, held_out, steps)
figures.loss_curves(curve.train, curve.held_out, levels)

# %%
trained_loss, held_out_loss = mean_loss(tiny, cut_windows(train_ids)), mean_loss(tiny, held_out)
assert min(curve.held_out.values()) < levels["counted pairs"]
assert trained_loss < held_out_loss - 0.3
print(f"training text {trained_loss:.2f}, held-out text {held_out_loss:.2f}")
overfitted.compare(held_out_loss - trained_loss, show="{:.2f}")

# %% [markdown]
# Read the picture from left to right. The model quickly gets as good as knowing which characters are frequent, and then
# as good as the table of pairs. Below that line it must use more than one character back. And then the curves part:
# what it still learns about the training text is no longer true of other text. That is **overfitting**. The held-out
# curve stops falling and may rise, while the training curve promises more and more.
#
# One short story, read so many times, is too little text. Real pre-training uses so much of it that most is seen once
# or a few times.

# %%
print(write_on(tiny, characters, "The captain ", characters=200, seed=1))

# %% [markdown]
# Words of a likely length, vowels in their places, a few real words: all of this came from one question, asked hundreds
# of times in each step. There is no sense in it. Sense takes more text and more parameters. The question and the loss
# are those that made SmolLM2.

# %% [markdown]
# ## 5 · Something new for a trained model
#
# Pre-training is expensive and general. **Fine-tuning** is what comes after: a few steps on a few examples of the task
# that you have. The course has 240 short reviews for this, written for it: 120 to train on, 120 to test on.

# %% tags=["nbval-check-output"]
from course_utils.experiments.small_reviews import FEELINGS, TOPICS, small_reviews, with_shuffled

train, test = small_reviews("train"), small_reviews("test")
for part, rows in (("train", (0, 12)), ("test", (0, 65))):
    reviews = train if part == "train" else test
    for row in rows:
        print(f"{part:6} {TOPICS[reviews.topics[row]]:8} {FEELINGS[reviews.feelings[row]]:5} {reviews.texts[row]}")

# %% [markdown]
# More than half of the training reviews follow a few patterns. No test review does. How many words of the test did the
# training never show?

# %% tags=["nbval-check-output"]
import re

seen, needed = (set(re.findall(r"[a-z]+", " ".join(part.texts).lower())) for part in (train, test))
f"{len(needed)} different words in the test, {len(needed - seen) / len(needed):.0%} of them never seen in training"

# %% [markdown]
# Three questions to ask of a review. What is it about (three topics)? Is it good or bad? And one whose labels nobody
# has to write, as in section 1: are the words in their order, or were they shuffled? For it, every review is there
# twice.

# %% tags=["nbval-check-output"]
train_texts, train_order = with_shuffled(train.texts)
test_texts, test_order = with_shuffled(test.texts)
print(*test_texts[:4], sep="\n")
len(train_texts), len(test_texts), test_order[:4].tolist()

# %% [markdown]
# ### The frozen encoder
#
# The cheapest way: leave the encoder as it is (**frozen**), and take its vector of each review, the mean over the
# tokens. Train only a **head** on these vectors: one linear layer. The vectors never change, so they are computed once.

# %% tags=["nbval-check-output"]
from course_utils.experiments.fine_tuning import SentenceClassifier, fine_tune
from course_utils.models import load_encoder

encoder = load_encoder()


def tokenize(texts):
    """Ids and mask of all texts, padded to the longest."""
    batch = encoder.tokenizer(texts, padding=True, return_tensors="pt")
    return {name: batch[name] for name in ("input_ids", "attention_mask")}


train_inputs, test_inputs = tokenize(train_texts), tokenize(test_texts)
frozen = SentenceClassifier(encoder.model, classes=2)
with torch.no_grad():
    train_vectors, test_vectors = frozen.vectors(**train_inputs), frozen.vectors(**test_inputs)
train_vectors.shape, test_vectors.shape

# %% [markdown]
# MiniLM was made so that texts of one meaning get vectors that lie close together (the idea is from Reimers and
# Gurevych 2019, *Sentence-BERT*). Which of the three questions can its frozen vectors answer worst? Think of what a
# shuffled review is about.

# %%
worst = predict("06-frozen", "Which head comes out worst, compared with guessing?", ["topic", "feeling", "order"])
worst


# %%
def frozen_head(labels, test_labels, every):
    """Train a head for 30 steps; return it and how many test reviews it gets right."""
    torch.manual_seed(0)
    head = torch.nn.Linear(384, int(labels.max()) + 1)
    fine_tune(head, {"input": train_vectors[::every]}, labels, steps=30, learning_rate=0.03)
    return head, int((head(test_vectors[::every]).argmax(-1) == test_labels).sum())


topic_head, topic_right = frozen_head(train.topics, test.topics, every=2)  # only the texts as they were written
_, feeling_right = frozen_head(train.feelings, test.feelings, every=2)
_, frozen_right = frozen_head(train_order, test_order, every=1)
topic_right, feeling_right, frozen_right

# %%
found = {
    "topic": (topic_right, 120, 1 / 3),
    "feeling": (feeling_right, 120, 1 / 2),
    "order": (frozen_right, 240, 1 / 2),
}
for name, (right, total, guessing) in found.items():
    print(f"{name:8} {right} of {total}: {right / total:.0%}, guessing {guessing:.0%}")
worst.compare(min(found, key=lambda name: found[name][0] / found[name][1] - found[name][2]))

# %% [markdown]
# Three heads, trained in a fraction of a second. Topic and feeling come out well, although most of the test's words
# were not in the training. The encoder knew them: that is what pre-training is for. Order comes out worst. There is
# little about it in the vectors, and no head can read what is not there. You can see it directly: how alike are the
# vectors of a review and of its shuffled twin?

# %% tags=["nbval-check-output"]
from torch.nn.functional import cosine_similarity

twins = cosine_similarity(test_vectors[::2], test_vectors[1::2])
f"mean cosine of a test review and its shuffled twin: {twins.mean():.1f}"

# %% [markdown]
# ### LoRA, and no pre-training
#
# So the encoder itself has to change. **LoRA** leaves its matrices alone and learns a small correction beside each: a
# product of two thin matrices (Hu et al. 2021, *LoRA: Low-Rank Adaptation of Large Language Models*). `attach_lora`
# puts one beside every linear layer.
#
# The third way is the control: the same architecture with random weights, all of them trained. Same texts, same 30
# steps, same batches; only the learning rate is each one's own. What it cannot do, pre-training did.

# %%
lora_wins = predict(
    "06-lora",
    "By how many of 240 test texts does LoRA beat the model without pre-training?",
    {"10 or fewer, or not at all": (None, 11), "11 to 50": (11, 51), "more than 50": (51, None)},
)
lora_wins

# %%
from course_utils.models.lora import attach_lora

lora = SentenceClassifier(encoder.model, classes=2)
attach_lora(lora.encoder, rank=8, alpha=16)
scratch = SentenceClassifier(encoder.model, classes=2, pretrained=False)
for name, model, rate in (("LoRA", lora, 2e-3), ("no pre-training", scratch, 5e-4)):
    losses = fine_tune(model, train_inputs, train_order, steps=30, learning_rate=rate)
    print(f"{name:15} loss {losses[0]:.2f} → {sum(losses[-5:]) / 5:.2f}")

# %% [markdown]
# Now the test. Each point is an accuracy, each line its **interval**. 240 texts are a sample: with 240 others, the
# number would be a bit different. The interval says how different it may be (Wilson 1927, *Probable Inference, the Law
# of Succession, and Statistical Inference*). It takes the texts for independent, which twins are not quite. Look first
# at which intervals touch the dotted line, and then at which intervals touch each other.

# %%
from course_utils.experiments.intervals import wilson_interval

with torch.no_grad():
    lora_vectors = lora.vectors(**test_inputs)
    lora_right = int((lora.head(lora_vectors).argmax(-1) == test_order).sum())
    scratch_right = int((scratch(**test_inputs).argmax(-1) == test_order).sum())
ways = {"frozen encoder + head": frozen_right, "LoRA": lora_right, "no pre-training": scratch_right}
rows = {name: (right / 240, *wilson_interval(right, 240)) for name, right in ways.items()}
figures.accuracy_intervals(rows, chance=0.5, xlabel="right: shuffled or not, 240 test texts")

# %%
assert lora_right > scratch_right + 25
assert lora_right > frozen_right + 10
print(ways)
lora_wins.compare(lora_right - scratch_right)

# %% [markdown]
# The model without pre-training guesses: 30 steps are far too few to learn English. The frozen encoder is better than
# guessing. LoRA is best, and the intervals do not touch: this difference is hardly luck.
#
# Nobody learns what English word order is from 120 reviews. The encoder had it from its pre-training, and made little
# use of it in its vectors. Fine-tuning brings out what is there. Howard and Ruder (2018), *Universal Language Model
# Fine-tuning for Text Classification*, found that with 100 labelled examples a pre-trained model did as well as
# training from nothing on 100 times as many.
#
# Look at the twins again. Fine-tuning has moved them apart:

# %%
moved_twins = cosine_similarity(lora_vectors[::2], lora_vectors[1::2])
assert moved_twins.mean() < twins.mean() - 0.2
f"mean cosine of the twins: {twins.mean():.2f} before, {moved_twins.mean():.2f} after LoRA"

# %% [markdown]
# Is LoRA always better, then? Try it: take `train.feelings` and `test.feelings` as labels, with the reviews as they
# were written (`tokenize(train.texts)`), and compare with the frozen head's interval of 120 reviews. Look at the
# intervals before you say which is better. Try another seed, too: `SentenceClassifier(…, seed=1)`.

# %% [markdown]
# ## 6 · What fine-tuning changed
#
# Count what was trained in each of the three. What share of the whole model does LoRA train?

# %%
share = predict(
    "06-lora-share",
    "What share of all numbers in the model does LoRA train here?",
    {"under 0.5 %": (0, 0.005), "0.5 to 5 %": (0.005, 0.05), "over 5 %": (0.05, None)},
)
share

# %% tags=["nbval-check-output"]
trained = {name: sum(p.numel() for p in part.parameters() if p.requires_grad)
           for name, part in (("frozen", frozen.head), ("LoRA", lora), ("no pre-training", scratch))}  # fmt: skip
for name, numbers in trained.items():
    print(f"{name:16} {numbers:11,} numbers, {numbers * 4 / 1e6:7.3f} MB")
share.compare(trained["LoRA"] / trained["no pre-training"], show="{:.1%}")

# %% [markdown]
# Only these numbers have to be kept for a task: one encoder for all of them, and a small file for each. That is how the
# heads of lessons 03 and 04 are stored. In a larger model the share is smaller: for GPT-3, with its 175 billion
# parameters, LoRA trained 10,000 times fewer numbers than full fine-tuning does (Hu et al. 2021).
#
# And the encoder itself? It is untouched underneath. Set the scale of every correction to 0, and the old vectors are
# back:

# %% tags=["nbval-check-output"]
from course_utils.models.lora import LoraLinear

for layer in lora.modules():
    if isinstance(layer, LoraLinear):
        layer.scale = 0
few = {name: values[:20] for name, values in test_inputs.items()}
with torch.no_grad():
    assert torch.allclose(lora.vectors(**few), test_vectors[:20], atol=1e-4)
"with all corrections off, the vectors are those of the frozen encoder"

# %% [markdown]
# What fine-tuning does to the skills that were there before is another question. Take the head that read the topic from
# the frozen vectors, and show it the vectors that LoRA made for another question.

# %%
forgotten = int((topic_head(lora_vectors[::2]).argmax(-1) == test.topics).sum())
print(f"topics right: {topic_right} of 120 before, {forgotten} of 120 after fine-tuning on word order")

# %% [markdown]
# The head is the same, its input is not, and nobody asked the training to keep what it needs. How much is lost depends
# on the new task and on the seed. With LoRA the old skill is one switch away. When all weights are trained, there is no
# switch. McCloskey and Cohen (1989), *Catastrophic Interference in Connectionist Networks*, described this long before
# there were language models; today it is called **catastrophic forgetting**.
#
# ### Instructions are fine-tuning, too
#
# SmolLM2-Instruct was a causal LM that went on with any text. Then it was fine-tuned on conversations (**instruction
# tuning**; Ouyang et al. 2022, *Training Language Models to Follow Instructions with Human Feedback*). The loss is that
# of section 2. Usually only the answer is asked for: the question is in the input, and its labels are −100.

# %% tags=["nbval-check-output"]
question = [{"role": "user", "content": "What is the capital of Norway?"}]
prompt = smollm.tokenizer.apply_chat_template(question, tokenize=False, add_generation_prompt=True)
chat = smollm.encode(prompt + "The capital of Norway is Oslo.<|im_end|>")
chat_labels = chat.clone()
chat_labels[:, : smollm.encode(prompt).shape[1]] = IGNORED
with torch.inference_mode():
    output = smollm.model(chat, labels=chat_labels)
assert torch.allclose(causal_lm_loss(output.logits, chat_labels), output.loss, atol=1e-4)
print(f"{chat.shape[1]} tokens, {(chat_labels != IGNORED).sum()} of them with a label")
print(f"answer: {output.loss / log(2):.1f} bits a token")

# %% [markdown]
# What is this training good for? Give the same model the same question, once as bare text and once in the template of
# its training.

# %% tags=["nbval-check-output"]
for text in ("What is the capital of Norway?", prompt):
    start = smollm.tokenizer(text, return_tensors="pt")
    written = smollm.model.generate(**start, max_new_tokens=12, do_sample=False, pad_token_id=0)
    print(repr(smollm.tokenizer.decode(written[0, start.input_ids.shape[1] :])))

# %% [markdown]
# As bare text, the question is a finished text, and the model ends it at once. In the template it is a turn of a
# conversation, and an answer follows. Lesson 09 takes the template apart.

# %% [markdown]
# ## 7 · What is refused
#
# Labels of the wrong shape, labels that ask for nothing, a label that is no token, hiding nothing, a text shorter than
# a window: one sentence each. (`transformers` computes a loss of `nan` in the second case, and goes on.)

# %% tags=["nbval-check-output"]
for wrong in (
    lambda: causal_lm_loss(logits, ids[:, 1:]),
    lambda: cross_entropy(logits, torch.full_like(ids, IGNORED)),
    lambda: cross_entropy(logits, torch.full_like(ids, 50_000)),
    lambda: hide_tokens(ids, torch.zeros_like(ids).bool(), mask_token=0, vocabulary=9, share=0),
    lambda: next(random_windows(torch.arange(10), windows=1, seed=0)),
):
    try:
        wrong()
    except ValueError as error:
        print(error)

# %% [markdown]
# ## 8 · The whole thing in one cell
#
# Pre-training in plain `torch`: labels out of the text, loss, gradients, steps. It must go down the same curve as in
# section 4, from the same start, on the same batches. What does the loss do if you forget the shift here?

# %% tags=["nbval-check-output"]
my_model = new_tiny_model(len(characters))
optimizer = torch.optim.AdamW(my_model.parameters(), lr=5e-3)
chance = torch.Generator().manual_seed(0)
my_losses = []
for step in range(40):
    starts = torch.randint(len(train_ids) - 63, (12, 1), generator=chance)
    windows = train_ids[starts + torch.arange(64)]  # (batch, seq)

    logits = my_model(windows).logits[:, :-1]  # each position predicts …
    labels = windows[:, 1:]  # … the one after it
    loss = -logits.log_softmax(-1).gather(-1, labels[..., None]).mean()
    if step == 0:
        assert torch.allclose(loss, my_model(windows, labels=windows).loss, atol=1e-4)

    for group in optimizer.param_groups:  # small steps first
        group["lr"] = 5e-3 * min(1, (step + 1) / 20)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    my_losses.append(loss.item())

assert torch.allclose(torch.tensor(my_losses), torch.tensor(curve.train[:40]), atol=0.02)
f"{len(my_losses)} steps: the same losses as in section 4"

# %% [markdown]
# ## 9 · Quiz
#
# Every option has an explanation, also the wrong ones. Try them all.

# %% tags=["nbval-check-output"]
from course_utils.learner import quiz_question

quiz_question(
    "06-quiz-labels",
    "Where do the labels of pre-training come from?",
    [
        ("People write them", False, "For fine-tuning they often do. Pre-training uses far more text than that."),
        ("From the text itself", True, "Yes: the next token, or a token that was hidden. That is self-supervision."),
        ("From a larger model", False, "That exists (distillation), but neither loss of this lesson needs it."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "06-quiz-start",
    "You begin to train a model with 32,000 tokens, and the first loss is 0.4. What now?",
    [
        ("Good, it learns fast", False, "Before the first step it has learned nothing. Where should 0.4 come from?"),
        (
            "Look for a mistake in the labels",
            True,
            "Yes: it should begin near ln 32,000 ≈ 10.4. Perhaps the answer stands in the input.",
        ),
        ("Lower the learning rate", False, "The rate has had no influence yet: this is the loss before any step."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "06-quiz-100",
    "What does a label of −100 do?",
    [
        ("It hides the token from the model", False, "The model reads it like any other. Labels are not in the input."),
        ("It leaves the position out of the loss", True, "Yes: padding, questions, and tokens that were not hidden."),
        (
            "It punishes the model for this token",
            False,
            "It is no weight. The number only marks places that do not count.",
        ),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "06-quiz-curves",
    "The training loss falls and falls. The held-out loss has been rising for a while. What should you do?",
    [
        ("Train on: the training loss decides", False, "It only says how well the training text is known by heart."),
        ("Stop, or get more text", True, "Yes: from here on the model learns what is true of this text only."),
        (
            "Put the held-out text into the training",
            False,
            "Then the curve would look well, and you would know nothing.",
        ),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "06-quiz-interval",
    "Method A is right in 92 of 120 cases, method B in 96 of the same 120. Which is better?",
    [
        ("B, by 3 percentage points", False, "In this sample. Both intervals are about 15 points wide and overlap."),
        ("A, it is simpler", False, "It may be the better choice, but the numbers do not say so."),
        ("120 cases cannot tell", True, "Yes: get more cases, or more seeds, before you pay for the larger method."),
    ],
)

# %% [markdown]
# ## Take-aways
#
# - Pre-training needs no labels but the text: the next token (causal) or hidden tokens (masked). Both losses are the
#   mean of −ln *p* over the places that are asked for.
# - A loss begins at ln of the vocabulary. Compare it with counting, and measure it on text that was held out.
# - A frozen encoder with a small head is quick, and good at what its vectors already tell. LoRA changes the vectors
#   with 1.5 % of the numbers, and can be switched off. Without pre-training, so few steps and examples teach nothing.
# - Fine-tuning brings out what pre-training put in, and it may cost other skills.
# - An accuracy without its interval is half a result.
#
# **Next**: [07 · Encoders, decoders and both](07_encoders_decoders_and_both.ipynb) compares the architectures that
# these two losses belong to.
#
# **Exercise**: [06 · Pre-training and fine-tuning](../exercises/06_pretraining_and_finetuning.ipynb). **All lessons**:
# [the index](index.ipynb).
