# %% [markdown]
# # 06 · Pre-training and fine-tuning
#
# Nobody told a language model what a noun is. It was asked one question about text, again and again. You'll compute by
# hand how well a model answers, train a small one, and teach a trained one something new.
#
# ![Pre-training makes its labels from the text itself. Causal: below each of the words She, put, the, letter is the
# next one, put, the, letter, away. Masked: in She put MASK letter away only the hidden word, the, is a label. The
# weights that this gives are then fine-tuned with labels that people wrote.](images/06_pretraining_and_finetuning.svg)
#
# **You will be able to**
#
# - make training labels from text alone, for a causal and for a masked language model;
# - compute both losses by hand, equal to those of `transformers`;
# - say what the first loss of a training can tell you, and what it can't;
# - see in a loss curve where overfitting begins;
# - compare ways of fine-tuning fairly, with intervals.
#
# **Time**: 45 minutes. **Read before**: [05 · From text to vectors](05_from_text_to_vectors.ipynb).

# %% [markdown]
# ## 1 · From noise to words
#
# This model has two layers and random weights. Its tokens are the fifty characters of a short story. Let it continue
# *The captain*.

# %%
from importlib.resources import files

import torch

from course_utils import figures
from course_utils.experiments.characters import Characters, counted_loss, write_on
from course_utils.experiments.tiny_training import cut_windows, new_tiny_model, random_windows, train_tiny_model
from course_utils.learner import predict
from course_utils.models import load_causal_lm, load_encoder, load_head

story = (files("course_utils.experiments.texts") / "the_last_ferry.txt").read_text(encoding="utf-8")
characters = Characters(story)
tiny = new_tiny_model(len(characters))
print(f"{tiny.num_parameters():,} parameters, {len(characters)} characters, a story of {len(story):,}")
print(write_on(tiny, characters, "The captain ", characters=120, seed=1))

# %% [markdown]
# Noise. Now train it on the first 70 % of the story. It takes about ten seconds.

# %%
story_ids = characters.encode(story)
border = round(0.7 * len(story_ids))
train_ids, held_out = story_ids[:border], cut_windows(story_ids[border:])
batches = random_windows(train_ids, windows=12, seed=0)
curve = train_tiny_model(tiny, batches, held_out, steps=400)
print(write_on(tiny, characters, "The captain ", characters=200, seed=1))

# %% [markdown]
# There's no sense in it, but some of it is words, and the spaces are in likely places. At every character it was asked
# one question: *which comes next?*

# %% [markdown]
# ## 2 · The text is its own label
#
# Training needs examples with right answers. Any text has them. This one starts with `<|endoftext|>`, which separated
# texts in SmolLM2's training, so even the first word has something before it.

# %% tags=["nbval-check-output"]
smollm = load_causal_lm()
ids = smollm.encode("<|endoftext|>She put the letter into her pocket and closed the door.")
tokens = [smollm.labels[token] for token in ids[0]]
for place in (1, 2, 3, 12):
    print("".join(tokens[:place]), "→", tokens[place])

# %% [markdown]
# Each line is a training example: a text, and the token that came next. These 13 tokens make 12 of them. No token can
# look ahead ([lesson 07](07_encoders_decoders_and_both.ipynb)), so one run of the model answers all 12.
#
# Training on labels made from the data itself is **self-supervision**. A model that predicts the next token is a
# **causal language model**. To train it this way on as much text as possible is **pre-training** (Radford et al.,
# 2018). SmolLM2-135M read 2 trillion tokens (Ben Allal et al., 2025).

# %% [markdown]
# ## 3 · The causal loss by hand
#
# The model gives every token of its vocabulary a probability. The **loss** of one example is −ln of the probability of
# the right token: 0 if the model was certain and right, large if it was surprised. Turn the logits into log
# probabilities, and pick the label's.

# %% tags=["nbval-check-output"]
with torch.inference_mode():
    logits = smollm.model(ids).logits  # (batch, seq, vocab)
answers = ids[0, 1:]
token_losses = -logits[0, :-1].log_softmax(-1)[torch.arange(12), answers]
logits.shape, answers.shape, token_losses.shape

# %% [markdown]
# Divided by ln 2, a loss is in **bits**: each bit is one fair coin toss of surprise. Which tokens were hard?

# %% tags=["nbval-check-output"]
from math import log

for token, bits in zip(tokens[1:], (token_losses / log(2)).tolist(), strict=True):
    print(f"{token:9} {bits:4.1f} {'█' * round(bits)}")

# %% [markdown]
# A text may start with almost any word. *Door* after *closed the* costs less than two tosses.
#
# The loss of a text is the mean over its examples. `transformers` computes it if you pass the ids again as `labels`; it
# shifts them by one place itself.

# %% tags=["nbval-check-output"]
by_hand = token_losses.mean()
with torch.inference_mode():
    their_loss = smollm.model(ids, labels=ids).loss
assert torch.allclose(by_hand, their_loss, atol=1e-4)
print(f"loss {by_hand:.2f} nats = {by_hand / log(2):.1f} bits per token; perplexity {by_hand.exp():.0f}")

# %% [markdown]
# **Perplexity** is *e* to the power of the loss in nats (natural logarithms): the model was as unsure as if that many
# tokens were equally likely.
#
# What if you leave out the start token? Measure the second token of 24 published stories, with `<|endoftext|>` before
# the first and without.

# %% tags=["nbval-check-output"]
from course_utils.experiments.drawn_texts import story_openings
from course_utils.experiments.intervals import bootstrap_interval
from course_utils.experiments.surprisal import surprisal_bits

openings = torch.cat([smollm.encode("<|endoftext|>" + opening["text"])[:, :3] for opening in story_openings()])
with torch.inference_mode():
    started = surprisal_bits(smollm.model(openings).logits[:, 1], openings[:, 2])
    bare = surprisal_bits(smollm.model(openings[:, 1:]).logits[:, 0], openings[:, 2])
low, high = bootstrap_interval((bare - started).tolist())
print(f"with {started.mean():.1f} bits, without {bare.mean():.1f}; interval of the difference {low:.1f} to {high:.1f}")
blind = log(49_152, 2)
print(f"above a blind guess ({blind:.1f} bits): with {sum(started > blind)}, without {sum(bare > blind)} of 24")

# %% [markdown]
# Without a start token, the first prediction is on average hardly better than a blind guess among 49,152 tokens, and in
# 9 openings it's worse. So put the start token in front, or leave the first prediction out.
#
# ### Forget the shift
#
# Here's a common mistake: compare the prediction at each position with that position's own token, which the model has
# just read. There's no error message.

# %%
unshifted = predict(
    "06-unshifted",
    "Without the shift, the loss of a good model is …",
    {"near 0: it can see the answer": (0, 1), "about the same": (1, 8), "much higher": (8, None)},
)
unshifted

# %% tags=["nbval-check-output"]
from course_utils.experiments.losses import IGNORED, causal_lm_loss, cross_entropy, hide_tokens

assert torch.allclose(causal_lm_loss(logits, ids), their_loss, atol=1e-4)  # ours, with the shift
unshifted.compare(cross_entropy(logits, ids).item(), show="{:.1f} nats")

# %% [markdown]
# A good model says what comes *next*, and that's hardly ever the token it has just read. If you train with this mistake
# from the start, the loss goes to 0: the model only has to repeat its input. The exercise tries that.

# %% [markdown]
# ## 4 · The masked loss by hand
#
# The other way to ask: hide some tokens, and let the model look in both directions. BERT (Devlin et al., 2019) chooses
# 15 % of the tokens. Of those, 80 % are shown as `[MASK]`, 10 % as a random token and 10 % as they are. This **masked
# language model** is asked for the original token at the chosen places only.

# %% tags=["nbval-check-output"]
masked_lm, tokenizer = load_head("mlm")
pieces = [story[start : start + 1000] for start in range(0, len(story), 1000)]
batch = tokenizer(pieces, padding=True, return_tensors="pt", return_special_tokens_mask=True)
special, chance = batch.special_tokens_mask.bool(), torch.Generator().manual_seed(24)
hidden = hide_tokens(batch.input_ids, special, tokenizer.mask_token_id, len(tokenizer), generator=chance)
print("shown: ", tokenizer.decode(hidden.ids[0, :40]))
print("labels:", *hidden.labels[0, :40].tolist())

# %% [markdown]
# A label of **−100** means *not asked* (a convention of `torch`): the loss leaves these places out. *Appetite* is one
# of the random tokens: the story has a full stop there.
#
# Not all of the 15 % are masked, since BERT is mostly used on texts without a `[MASK]`. Later, hiding 40 % worked
# better in large models (Wettig et al., 2023).
#
# Given the same random numbers, `transformers` hides the same tokens. The loss is again the mean of −ln *p*, and
# nothing is shifted.

# %% tags=["nbval-check-output"]
from transformers import DataCollatorForLanguageModeling

collator = DataCollatorForLanguageModeling(tokenizer, seed=24)
rows = [{name: batch[name][row] for name in ("input_ids", "special_tokens_mask")} for row in range(len(pieces))]
collated = collator(rows)
assert collated["input_ids"].equal(hidden.ids)
assert collated["labels"].equal(hidden.labels)

with torch.inference_mode():
    output = masked_lm(hidden.ids, attention_mask=batch.attention_mask, labels=hidden.labels)
asked = hidden.labels != IGNORED
wanted = hidden.labels[asked]
by_hand = -output.logits[asked].log_softmax(-1)[torch.arange(len(wanted)), wanted].mean()
assert torch.allclose(by_hand, output.loss, atol=1e-4)
print(f"{len(wanted)} of {int(batch.attention_mask.sum())} tokens are asked for")

# %% [markdown]
# How often is this small model right about a token it can't see? The baseline: always say the one that's hidden most
# often.

# %%
from course_utils.experiments.intervals import wilson_interval

at_masks = hidden.ids == tokenizer.mask_token_id
truth, guesses = hidden.labels[at_masks], output.logits[at_masks].argmax(-1)
common = truth.mode().values
for name, right in (("the model", truth == guesses), (f"always “{tokenizer.decode(common)}”", truth == common)):
    low, high = wilson_interval(int(right.sum()), len(truth))
    print(f"{name:16} {right.float().mean():.0%} of {len(truth)} masks, interval {low:.0%} to {high:.0%}")
assert (truth == guesses).sum() > 3 * (truth == common).sum()

# %% [markdown]
# Far more often than the baseline. The **interval** (Wilson, 1927) says how far the share may move with other places
# hidden.
#
# So a causal model is asked about every token and looks one way. A masked one is asked about one in seven and looks
# both ways.
#
# ## 5 · Read a loss curve
#
# Back to section 1. What was the model's loss before the first step?

# %%
first_loss = predict(
    "06-first-loss",
    "Before any training, the loss of a model with 50 characters is close to …",
    {"0": (0, 1), "ln 50 ≈ 3.9": (3.5, 4.5), "50": (10, None)},
)
first_loss

# %% tags=["nbval-check-output"]
first_loss.compare(curve.held_out[0], show="{:.1f}")

# %% [markdown]
# You could know that without running anything. With small random weights all logits are nearly the same, so each
# character has a probability of about 1/50, and −ln (1/50) = ln 50. Look at this first in any training. But what does
# it check? Break three things, one at a time.

# %% tags=["nbval-check-output"]
fresh = new_tiny_model(len(characters))
random_labels = torch.randint(50, held_out.shape, generator=torch.Generator().manual_seed(0))
with torch.no_grad():
    right = causal_lm_loss(fresh(held_out).logits, held_out)
    print(f"all right {right:.1f}, random labels {causal_lm_loss(fresh(held_out).logits, random_labels):.1f}")
    print(f"summed over a piece, not averaged {right * 63:.0f}")
    fresh.lm_head.weight *= 20
    print(f"weights too large {causal_lm_loss(fresh(held_out).logits, held_out):.1f}")

# %% [markdown]
# Wrong labels pass: if everything is equally likely, any label costs ln 50. The check finds weights that aren't small
# and random, a loss that isn't a mean, and a wrong number of classes.
#
# Now the curve. The last 30 % of the story were **held out**: only tested on, never trained on. Of the rest, it saw
# each character about 70 times.

# %%
overfitted = predict(
    "06-overfit",
    "Of 400 steps, after which is the loss on held-out text lowest?",
    ["the last one", "one of the steps 300 to 399", "one before step 300"],
)
overfitted

# %%
levels = {"guessing": log(50)}
for context, name in ((0, "counted characters"), (1, "counted pairs")):
    levels[name] = counted_loss(train_ids, held_out, len(characters), context)
figures.loss_curves(curve.train, curve.held_out, levels)

# %%
best = min(curve.held_out, key=curve.held_out.get)
assert curve.held_out[best] < levels["counted pairs"]
assert curve.held_out[400] > curve.held_out[200] + 0.15
overfitted.compare("one before step 300" if best < 300 else "one of the steps 300 to 399")

# %% [markdown]
# The lower two dotted lines come from counting: how often each character occurs, and how often it follows another. The
# model soon reaches both. Its lowest point is well below, so it must have looked further back.
#
# Then the curves part: what it still learns about the training text doesn't hold for the rest. That's **overfitting**.
# At the end it's worse on held-out text than at half time, although the training loss kept falling. A story read 70
# times is too little text. For larger models, text read up to four times was nearly as good as new text (Muennighoff et
# al., 2023).
#
# **Try it**: another seed in section 1. Does the lowest point move?

# %% [markdown]
# ## 6 · The whole thing in one cell
#
# Pre-training in plain `torch`. With the first weights and the batches of section 1, it goes down the same curve.

# %%
my_model = new_tiny_model(len(characters))
optimizer = torch.optim.AdamW(my_model.parameters())
chance = torch.Generator().manual_seed(0)
my_losses = []
for step in range(30):
    starts = torch.randint(len(train_ids) - 63, (12, 1), generator=chance)
    windows = train_ids[starts + torch.arange(64)]  # (batch, seq)

    next_logits = my_model(windows).logits[:, :-1]  # each position predicts …
    labels = windows[:, 1:]  # … the one after it
    loss = -next_logits.log_softmax(-1).gather(-1, labels[..., None]).mean()
    if step == 0:
        assert torch.allclose(loss, my_model(windows, labels=windows).loss, atol=1e-4)

    for group in optimizer.param_groups:  # small steps first
        group["lr"] = 5e-3 * min(1, (step + 1) / 20)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    my_losses.append(loss.item())

assert torch.allclose(torch.tensor(my_losses), torch.tensor(curve.train[:30]), atol=0.05)
f"{len(my_losses)} steps: the same losses as in section 1"

# %% [markdown]
# ## 7 · Teach a trained model something new
#
# Pre-training is long and general. **Fine-tuning** continues with a short training for your task. If each example comes
# with its right answer, it's **supervised fine-tuning**.
#
# We wrote 240 short reviews, half to train on and half to test on. One task: was it good or bad? Another: are the words
# in order, or shuffled?

# %% tags=["nbval-check-output"]
from course_utils.experiments.four_ways import task_texts, text_inputs

for task, rows in (("feeling", (0, 20)), ("order", (0, 1))):
    texts, classes = task_texts(task, "test")
    for row in rows:
        print(f"{task:8} {classes[row]} {texts[row]}")

# %% [markdown]
# The model is MiniLM, an encoder that was pre-trained and then fine-tuned to give sentences of one meaning similar
# vectors (as in Reimers and Gurevych, 2019). The cheapest way is to leave it **frozen** and train only a **head**: one
# linear layer that reads its vector of a text. **LoRA** leaves the encoder's matrices alone, too, but learns a small
# correction to each, a product of two thin matrices (Hu et al., 2021). Try LoRA on word order:

# %%
from course_utils.experiments.fine_tuning import SentenceClassifier, fine_tune
from course_utils.models.lora import attach_lora

encoder = load_encoder()
(texts, classes), (test_texts, test_classes) = task_texts("order", "train"), task_texts("order", "test")
lora = SentenceClassifier(encoder.model, classes=2)
torch.manual_seed(0)
attach_lora(lora.encoder, rank=8, alpha=16)
losses = fine_tune(lora, text_inputs(encoder, texts), classes, steps=30, learning_rate=4e-3)
with torch.no_grad():
    right = int((lora(**text_inputs(encoder, test_texts)).argmax(-1) == test_classes).sum())
print(f"loss {losses[0]:.1f} → {losses[-1]:.1f}; right: {right} of 240 texts")
assert right > 180

# %% [markdown]
# It learned to tell most shuffled reviews from the others. Was LoRA needed, or would a head have done? And what did the
# earlier training contribute? Compare **head only**; **LoRA**; **all weights** of encoder and head; and the same with
# **no pre-training**, from a random start.
#
# All get the same texts, 30 steps and the same loop, and each the learning rate, of four, that did best on training
# reviews kept apart for that choice. The runs, eight seeds each, take minutes, so they're recorded.

# %%
beaten = predict(
    "06-lora",
    "Word order, 100 texts: how many more does LoRA get right than the model without pre-training?",
    {"10 or fewer": (None, 10), "10 to 30": (10, 30), "more than 30": (30, None)},
)
beaten

# %% tags=["nbval-check-output"]
from course_utils.experiments.four_ways import recorded_rates, recorded_ways


def means(task):
    """The mean of each way and its interval over the test reviews."""
    return {way: (shares.mean(), *bootstrap_interval(shares)) for way, shares in recorded_ways(task).items()}


figures.accuracy_intervals(means("feeling"), chance=0.5, xlabel="good or bad? right, 120 reviews, 8 seeds")

# %% tags=["nbval-check-output"]
figures.accuracy_intervals(means("order"), chance=0.5, xlabel="in order? right, 240 texts of 120 reviews, 8 seeds")

# %% tags=["nbval-check-output"]
for task in ("feeling", "order"):
    shares = recorded_ways(task)
    for one, other in (("LoRA", "head only"), ("all weights", "LoRA"), ("LoRA", "no pre-training")):
        difference = 100 * (shares[one] - shares[other])
        low, high = bootstrap_interval(difference)
        print(f"{task:8} {one} − {other}: {difference.mean():+.1f} points, interval {low:+.1f} to {high:+.1f}")
beaten.compare(difference.mean(), show="{:.0f}")

# %% [markdown]
# All were tested on the same reviews, so this compares them review by review.
#
# **Good or bad?** The head alone does as well as anything here: MiniLM's vectors are about what a text means. **Word
# order?** They say only a little about it, so the encoder has to change: LoRA is far ahead of the head. And without the
# earlier training, 30 steps teach almost nothing. With 100 labelled examples, Howard and Ruder (2018) got from a
# pre-trained model what took 100 times as many from scratch.
#
# On word order, LoRA is ahead of all weights, too, and 0 isn't in the interval. Is it better? The interval is only
# about the choice of *reviews*. Here are the learning rates that came second:

# %% tags=["nbval-check-output"]
for place in (0, 1):
    rates, shares = recorded_rates("order", place), recorded_ways("order", place)
    difference = 100 * (shares["all weights"] - shares["LoRA"])
    low, high = bootstrap_interval(difference)
    print("   ".join(f"{way} {shares[way].mean():.0%} (rate {rates[way]:g})" for way in ("LoRA", "all weights")))
    print(f"   all weights − LoRA: {difference.mean():+.1f} points, interval {low:+.1f} to {high:+.1f}")

# %% [markdown]
# The order is reversed, and again 0 isn't in the interval: for *all weights*, the rate changes more than the way does.
# So these runs don't say which is better, nor would an experiment with one rate each. (To pick the second rate now
# would be choosing on the test.)
#
# What does differ is how many numbers each trains:

# %% tags=["nbval-check-output"]
from course_utils.experiments.four_ways import new_classifier

for way in recorded_ways("order"):
    trained = [p.numel() for p in new_classifier(way, encoder, seed=0).parameters() if p.requires_grad]
    print(f"{way:16} trains {sum(trained):10,} numbers")

# %% [markdown]
# With LoRA, one encoder serves many tasks, with a small file for each. It isn't always enough: on code and mathematics,
# with 7 billion parameters, LoRA learned less than training all weights, and also forgot less (Biderman et al., 2024).
# *Deeper*: [LoRA inside](deeper/06_lora_inside.ipynb); [forgetting](deeper/06_forgetting.ipynb).

# %% [markdown]
# ## 8 · From a base model to an assistant
#
# A model that only had pre-training is a **base model**. It continues text, which isn't always what you asked for.
# GPT-3 was asked to explain the moon landing to a six-year-old. It continued with more such requests: explain gravity,
# relativity, the big bang, evolution (Lowe and Leike, 2022).
#
# So base models are fine-tuned on conversations in which people, or other models, wrote good answers. This supervised
# fine-tuning is called **instruction tuning** (Wei et al., 2021; Ouyang et al., 2022). The loss is that of section 3,
# often for the answer only: the labels of the question are −100. (Lesson [09](09_context_length_and_prompting.ipynb)
# explains the marks.)

# %% tags=["nbval-check-output"]
question = [{"role": "user", "content": "What is the capital of Norway?"}]
prompt = smollm.tokenizer.apply_chat_template(question, tokenize=False, add_generation_prompt=True)
chat = smollm.encode(prompt + "The capital of Norway is Oslo.<|im_end|>")
chat_labels = chat.clone()
chat_labels[:, : smollm.encode(prompt).shape[1]] = IGNORED
with torch.inference_mode():
    read = smollm.model(chat, labels=chat_labels)
assert torch.allclose(causal_lm_loss(read.logits, chat_labels), read.loss, atol=1e-4)
print(smollm.tokenizer.decode(chat[0]))
print(f"\n{chat.shape[1]} tokens, {(chat_labels != IGNORED).sum()} of them with a label")
print(f"answer: {read.loss / log(2):.1f} bits per token")

# %% [markdown]
# Our SmolLM2 has had that training, and a third one: of two answers, make the preferred one more likely (**preference
# tuning**, here by direct preference optimization; Ben Allal et al., 2025; Rafailov et al., 2023).
#
# ## 9 · Quiz

# %% tags=["nbval-check-output"]
from course_utils.learner import quiz_question

quiz_question(
    "06-quiz-start",
    "You start to train a model with 32,000 tokens. The first loss is 10.4, which is ln 32,000. What do you know now?",
    [
        ("The labels are right", False, "With all tokens equally likely, any label costs 10.4, right or wrong."),
        (
            "The model considers all tokens about equally likely, and the loss is a mean",
            True,
            "Yes. Too large weights, a sum, or another number of classes would give another number.",
        ),
        ("The model will learn", False, "No step was made yet. A wrong learning rate or wrong labels don't show here."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "06-quiz-100",
    "What does a label of −100 do?",
    [
        ("It hides the token from the model", False, "The model reads it like any other. Labels aren't in the input."),
        ("It leaves the position out of the loss", True, "Yes: padding, questions, and tokens that weren't chosen."),
        ("It punishes the model for this token", False, "It isn't a weight. It only marks places that don't count."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "06-quiz-interval",
    "Method A is right in 92 of 120 cases, method B in 96 of the same 120. What do you look at next?",
    [
        (
            "Whether the two intervals overlap",
            False,
            "They do. But both methods saw the same cases, and these intervals don't use that.",
        ),
        (
            "The cases in which only one of the two is right",
            True,
            "Yes: 4 against 0 would say more than 24 against 20. And then other seeds.",
        ),
        ("Nothing, B is better", False, "By four cases. With another seed or other cases it may be A."),
    ],
)

# %% [markdown]
# ## Take-aways
#
# - Pre-training makes its labels from the text: the next token (causal), or hidden tokens (masked). Both losses are the
#   mean of −ln *p* over the places asked for.
# - A first loss of ln V says that the model guesses and the loss is a mean. It says nothing about the labels.
# - Where the vectors have the answer, a head is enough. Otherwise the encoder has to change, with LoRA or as a whole.
# - A comparison needs the same test for all, intervals, and a learning rate that suits each way.
# - A base model continues text. Instruction tuning is supervised fine-tuning that makes it answer.
#
# **Exercise**: [06 · Pre-training and fine-tuning](../exercises/06_pretraining_and_finetuning.ipynb). **All lessons**:
# [the index](index.ipynb).
#
# **Next**: [07 · Encoders, decoders and both](07_encoders_decoders_and_both.ipynb) compares the architectures of these
# two losses.
