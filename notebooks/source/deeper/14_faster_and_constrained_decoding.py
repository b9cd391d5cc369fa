# %% [markdown]
# # Deeper 14 · Faster and constrained decoding
#
# Two tricks change the loop of decoding and leave the model alone. One writes several tokens per step, and still the
# same text. The other makes sure that the text can be parsed. Both are about thirty lines.
#
# **You will be able to**
#
# - write speculative decoding with a draft from the prompt, and show that its text is greedy's, token for token;
# - say when it's fast, and when it isn't, from the number of accepted tokens;
# - force a model's output into a grammar with a mask on the logits;
# - tell an answer that parses from an answer that's right.
#
# **Time**: 20 minutes. **Read before**: [14 · Speed and memory in practice](../14_speed_and_memory_in_practice.ipynb).

# %% [markdown]
# ## 1 · Check many tokens at once
#
# A decode step waits for the weights, whether it reads one token or eight ([lesson
# 10](../10_prefill_and_decode.ipynb)). So if someone could *guess* the next eight tokens, the model could check all of
# them in one step: read them together, look at its own favourite at every place, and accept the guess as far as it
# agrees. That's **speculative decoding** (Leviathan, Kalman and Matias 2023, *Fast Inference from Transformers via
# Speculative Decoding*). The guess is called a **draft**. Usually a smaller model writes it.
#
# There's a draft for free, too. Texts repeat themselves: a corrected text is mostly the text before, an answer quotes
# its question. So look for the last two tokens earlier in the text, and guess that it continues as it did there. This
# is **prompt lookup** (Saxena 2023, *Prompt Lookup Decoding*).


# %%
from course_utils.models import load_causal_lm

smollm = load_causal_lm()
model = smollm.model


# %%
def draft_from(tokens, length=8):
    """What followed the last two tokens, where they came before: the latest place counts."""
    for start in range(len(tokens) - 3, -1, -1):
        if tokens[start : start + 2] == tokens[-2:]:
            return tokens[start + 2 : start + 2 + length]
    return []


# %% tags=["nbval-check-output"]
line = smollm.encode("When the ferry left the pier, the ferry")[0].tolist()
smollm.tokenizer.decode(draft_from(line))

# %% [markdown]
# Now the loop. `choices` holds the model's favourite after every token that it has just read. The draft is right as
# long as it says the same. Whatever happens, one more token is certain: the favourite after the last accepted one.


# %%
import torch
from course_utils.engine.prefill_decode import crop_cache
from transformers import DynamicCache


@torch.inference_mode()
def generate_with_drafts(ids, new_tokens, draft_from=draft_from):
    """Greedy, with drafts; returns prompt and new tokens, and how many drafted tokens each step accepted."""
    cache, tokens, read, accepted = DynamicCache(config=model.config), ids[0].tolist(), 0, []
    end = len(tokens) + new_tokens
    while len(tokens) < end:
        draft = draft_from(tokens)[: end - len(tokens) - 1]
        unread = torch.tensor([tokens[read:] + draft])
        logits = model(unread, past_key_values=cache, logits_to_keep=len(draft) + 1).logits
        choices = logits[0].argmax(-1).tolist()
        agreed = 0
        while agreed < len(draft) and draft[agreed] == choices[agreed]:
            agreed += 1
        tokens += choices[: agreed + 1]
        read = len(tokens) - 1
        crop_cache(cache, read)  # forget what was drafted in vain
        accepted.append(agreed)
    return torch.tensor([tokens]), accepted


# %% [markdown]
# Is it really the same text? And how much faster? That depends on the task, so try two, with 20 story openings each:
# *copy* (the opening, and its first eight tokens once more) and *continue* (just the opening). The clock runs for
# greedy decoding and for drafts in turn. Plain greedy is the same loop, with a draft that's always empty.

# %%
from course_utils.learner import predict

drafts = predict(
    "14-drafts",
    "Copying a text with drafts of up to 8 tokens. How many tokens does a step yield on average?",
    {"1 to 2": (1, 2), "2 to 6": (2, 6), "more than 6": (6, 10)},
)
drafts

# %%
from course_utils.experiments.drawn_texts import opening_tokens

openings = torch.cat(opening_tokens(smollm), dim=1)[:20]
tasks = {"copy": torch.cat([openings, openings[:, :8]], dim=1), "continue": openings}

# %%
from time import perf_counter


def timed(ids, draft_from):
    start = perf_counter()
    text, accepted = generate_with_drafts(ids, 12, draft_from)
    return text, accepted, perf_counter() - start


# %%
from course_utils.experiments.intervals import bootstrap_interval

steps_of = {}


def compared(task):
    """Time each text of a task with and without drafts; the texts must be equal."""
    speedups, drafted = [], []
    for ids in tasks[task]:
        greedy, _, slow = timed(ids[None], lambda tokens: [])
        text, accepted, fast = timed(ids[None], draft_from)
        assert torch.equal(text, greedy)
        speedups.append(slow / fast)
        drafted.append(accepted)
    steps_of[task] = [len(accepted) for accepted in drafted]
    print(f"{task}: 240 tokens in {sum(steps_of[task])} steps; {sum(map(sum, drafted))} are accepted drafts")
    for name, values in (("steps for 12 tokens", steps_of[task]), ("times as fast", speedups)):
        low, high = bootstrap_interval(values)
        print(f"   {sum(values) / 20:.1f} {name} ({low:.1f}–{high:.1f})")


# %% tags=["recorded"]
compared("copy")

# %% tags=["recorded"]
compared("continue")

# %% tags=["recorded"]
drafts.compare(240 / sum(steps_of["copy"]), show="{:.1f} tokens per step")

# %% [markdown]
# The `assert` holds for all 40 texts: the same tokens as plain greedy. (Up to rounding: several tokens at once are
# added up in another order, so where two tokens are nearly tied, the texts may part.) The intervals are over 20 texts.
# Where the draft is often right, a step yields several tokens. Where it's wrong, the step still reads all of it, and on
# a processor, which has little arithmetic to spare, that isn't free. So the gain is a matter of the task.
#
# `transformers` has the same idea as `prompt_lookup_num_tokens`. Its text is greedy's, too:

# %% tags=["nbval-check-output"]
ids = tasks["copy"][:1]
asked = {"attention_mask": torch.ones_like(ids), "max_new_tokens": 16, "do_sample": False, "eos_token_id": None}
theirs = model.generate(ids, **asked, pad_token_id=0, prompt_lookup_num_tokens=8)
assert torch.equal(theirs, generate_with_drafts(ids, 16)[0])
smollm.tokenizer.decode(theirs[0, -16:])

# %% [markdown]
# ## 2 · Only what can be parsed
#
# A program wants JSON, and gets “Sure! Here is your JSON:”. You can beg in the prompt. Or you can forbid everything
# else: before each choice, give every token a logit of −∞ that would make the text impossible to finish.
#
# Which tokens are those? Write the allowed texts as a regular expression. The package `regex` can say of the *start* of
# a text whether it may still become a match. So ask it, for every token of the vocabulary, whether text and token
# together may.


# %%
from functools import cache

import regex

pattern = regex.compile(r' ?\{"topic": "(meal|journey|film)", "good": (true|false)\}')
pieces = smollm.tokenizer.batch_decode([[token] for token in range(len(smollm.tokenizer))])
end_token = smollm.tokenizer.eos_token_id


@cache
def allowed_after(text):
    """The tokens that keep a text within the pattern; when it's complete, only the end."""
    if pattern.fullmatch(text):
        return [end_token]
    return [token for token, piece in enumerate(pieces) if piece and pattern.fullmatch(text + piece, partial=True)]


# %% tags=["nbval-check-output"]
for text in ("", '{"', '{"topic": "', '{"topic": "film", "good": ', '{"topic": "film", "good": true}'):
    tokens = allowed_after(text)
    print(f"{text!r}: {len(tokens)} tokens allowed, such as {[pieces[token] for token in tokens[:6]]}")

# %% [markdown]
# The mask goes where lesson 11's filters are: between logits and choice. In `transformers` that's a `LogitsProcessor`.


# %%
from transformers import LogitsProcessor


class Only(LogitsProcessor):
    """Allow only what the pattern allows, after so many tokens of prompt."""

    def __init__(self, prompt_length):
        self.prompt_length = prompt_length

    def __call__(self, ids, logits):
        masked = torch.full_like(logits, -torch.inf)
        written = smollm.tokenizer.batch_decode(ids[:, self.prompt_length :], skip_special_tokens=True)
        for row, text in enumerate(written):
            allowed = allowed_after(text)
            masked[row, allowed] = logits[row, allowed]
        return masked


# %% [markdown]
# The task: 24 short reviews. Which topic, and is it a good review? Ask with two prompts, one that describes the format
# and one that shows six examples, and each without the mask and with it.

# %%
import json

from course_utils.experiments.small_reviews import FEELINGS, TOPICS, small_reviews


def label(reviews, place):
    return {"topic": TOPICS[reviews.topics[place]], "good": FEELINGS[reviews.feelings[place]] == "good"}


# %%
shots, reviews, chosen = small_reviews("train"), small_reviews("test"), range(0, 120, 5)
examples = "".join(f"Review: {shots.texts[n]}\nJSON: {json.dumps(label(shots, n))}\n" for n in range(5, 120, 20))

# %%
question = (
    "Review: {}\nIs this review about a meal, a journey or a film? And is it good? Answer in JSON with two keys: "
    '"topic", which is "meal", "journey" or "film", and "good", which is true or false.\nJSON:'
)
prompts = {
    "described": [question.format(reviews.texts[place]) for place in chosen],
    "examples": [f"{examples}Review: {reviews.texts[place]}\nJSON:" for place in chosen],
}

# %% tags=["nbval-check-output"]
print(prompts["examples"][0])

# %% [markdown]
# All 24 texts go into one batch, padded on the left. An answer is *usable* if a program can read an object at its
# beginning, over one line or several, that has both keys with values that we asked for.


# %%
def answers(texts, limits):
    """Greedy answers to a batch of prompts, with the arguments that `limits` makes from the length of the prompt."""
    inputs = smollm.tokenizer(texts, return_tensors="pt", padding=True, padding_side="left")
    length = inputs.input_ids.shape[1]
    how = {"max_new_tokens": 24, "do_sample": False, "pad_token_id": end_token} | limits(length)
    out = model.generate(**inputs, **how)[:, length:]
    return smollm.tokenizer.batch_decode(out, skip_special_tokens=True)


# %%
def usable(text):
    """The object at the beginning of an answer if it's one that we asked for, else an empty one."""
    try:
        found = json.JSONDecoder().raw_decode(text.strip())[0]
    except ValueError:
        return {}
    asked_for = isinstance(found, dict) and found.get("topic") in TOPICS and isinstance(found.get("good"), bool)
    return found if asked_for else {}


# %%
limits = {"free": lambda length: {}, "mask": lambda length: {"logits_processor": [Only(length)]}}

# %%
parses = predict(
    "14-parses",
    "The format is described, and there's no mask. How many of the 24 answers are usable?",
    {"fewer than 8": (0, 8), "8 to 16": (8, 17), "more than 16": (17, 25)},
)
parses

# %% tags=["nbval-check-output"]
said = {(prompt, name): answers(prompts[prompt], limits[name]) for prompt in prompts for name in limits}
parses.compare(sum(bool(usable(text)) for text in said["described", "free"]), show="{} of 24")

# %% [markdown]
# Here's what it wrote instead, and what each of the other three ways gives for the first review:

# %% tags=["nbval-check-output"]
for text in said["described", "free"][1:3]:
    print("described free:", repr(text))
for way in list(said)[1:]:
    print(f"{' '.join(way)}: {said[way][0]!r}")
assert all(pattern.fullmatch(text) for prompt in prompts for text in said[prompt, "mask"])

# %% [markdown]
# The second of these is JSON, and still not what a program waits for. With the mask, all answers fit the pattern, by
# construction: nothing else can be written. That's about form. What about the content? An answer that isn't usable
# counts as wrong.

# %% tags=["nbval-check-output"]
from course_utils.experiments.intervals import wilson_interval

labels = [label(reviews, place) for place in chosen]
for way, texts in said.items():
    found = [usable(text) for text in texts]
    counts = {"usable": sum(map(bool, found))}
    for key in ("topic", "good"):
        counts[f"right {key}"] = sum(one.get(key) == right[key] for one, right in zip(found, labels, strict=True))
    print(*way, "of 24:", end=" ")
    for name, count in counts.items():
        low, high = wilson_interval(count, len(found))
        print(f"{name} {count} ({low:.0%}–{high:.0%})", end="\n" if name == "right good" else ", ")

# %% tags=["nbval-check-output"]
both = zip(said["examples", "free"], said["examples", "mask"], strict=True)
print("after examples, the mask changed", sum(usable(free) != usable(masked) for free, masked in both), "answers")

# %% [markdown]
# Take the columns apart. Whether an answer is usable is a matter of the mask, or of examples. Whether it's right is
# another matter: guessing would get 8 topics and 12 verdicts of 24 right, and no interval lies above that. A model of
# 135 million parameters can be made to write the form, and not to read the review. And where it keeps the form by
# itself, after six examples, the mask had nothing to do.
#
# What a mask does to the content is disputed. Tam et al. (2024), *Let Me Speak Freely?*, found that restricted formats
# made models reason worse, and often classify better. The makers of a tool for such masks repeated some of it with
# other prompts, and got the opposite (Kurt 2024, *Say What You Mean*).
#
# `transformers` takes the same rule as a function. Same answers:


# %% tags=["nbval-check-output"]
def their_limits(length):
    return {"prefix_allowed_tokens_fn": lambda row, ids: allowed_after(
        smollm.tokenizer.decode(ids[length:], skip_special_tokens=True))}  # fmt: skip


assert answers(prompts["described"], their_limits) == said["described", "mask"]
f"the pattern was asked about {allowed_after.cache_info().misses} beginnings"

# %% [markdown]
# The last number explains why this is cheap. The same few beginnings come again and again, so what's allowed after each
# can be kept. Serious tools turn the whole pattern into a table first, and grammars as well (Willard and Louf 2023,
# *Efficient Guided Generation for Large Language Models*).
#
# ## Take-aways
#
# - A step can check a whole draft. What's accepted is what greedy would have written.
# - The gain depends on how often the draft is right, and on what a longer step costs.
# - A mask on the logits makes every output parse. It doesn't make it right.
#
# **Back to** [14 · Speed and memory in practice](../14_speed_and_memory_in_practice.ipynb). **Also deeper**: [batching
# and serving](14_batching_and_serving.ipynb). **All lessons**: [the index](../index.ipynb).
