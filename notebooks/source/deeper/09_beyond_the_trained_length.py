# %% [markdown]
# # Deeper 09 · Beyond the trained length
#
# SmolLM2 was trained on texts of up to 8,192 tokens. A longer one runs without an error. Is the far end of it of any
# use, or does it even do harm?
#
# **You will be able to**
#
# - say why shifting all positions measures nothing;
# - measure what a text is worth at a distance that no training text had;
# - add the control that tells the text from the attention sink.
#
# **Time**: 15 minutes. **Read before**: [09 · Context length and prompting](../09_context_length_and_prompting.ipynb).

# %% [markdown]
# ## 1 · A trick that measures nothing
#
# Reading 9,000 tokens takes a while. But `transformers` takes the positions as an input, so here's a tempting shortcut:
# read 200 tokens of a story, and tell the model that the first is at position 8,000. Then the last ones are beyond
# 8,192.

# %%
from course_utils.learner import predict

shifted = predict(
    "09-shift",
    "200 tokens with positions from 8,000 on. Their mean surprisal …",
    {"changes by less than 0.01 bits": (0, 0.01), "rises by 0.01 to 1 bit": (0.01, 1), "rises by more": (1, None)},
)
shifted

# %% tags=["nbval-check-output"]
from importlib.resources import files

import torch

from course_utils.experiments.surprisal import surprisal_bits
from course_utils.models import load_causal_lm

smollm = load_causal_lm()
story = (files("course_utils.experiments.texts") / "the_last_ferry.txt").read_text(encoding="utf-8")
ids = smollm.encode(story)
ids.shape


# %%
def mean_bits_at(start):
    """The first 200 tokens of the story but the first two, the first of all at position `start`."""
    with torch.inference_mode():
        logits = smollm.model(ids[:, :200], position_ids=torch.arange(start, start + 200)[None]).logits
    return surprisal_bits(logits[0, 1:-1], ids[0, 2:200]).mean().item()


# %% tags=["nbval-check-output"]
shifts = {start: mean_bits_at(start) for start in (0, 8_000, 100_000)}
print({start: round(value, 2) for start, value in shifts.items()})
shifted.compare(abs(shifts[8_000] - shifts[0]), show="a change of {:.3f} bits")

# %% [markdown]
# Nothing changes, not even at 100,000. Does the model work fine out there? You can't tell. With RoPE, attention sees
# only the *distance* of two tokens ([positions](05_positions.ipynb)), and adding the same number everywhere changes no
# distance. The trick never leaves the trained range.
#
# ## 2 · Make the distance
#
# What's new beyond the trained length is a distance that no training text had. So make one. Read the first 512 tokens
# of the story, leave out a gap of positions, then read a later piece of it. Within both parts, all distances are
# normal. Only the distances between them grow.
#
# There's a catch. The gap also moves the **attention sink**, the first token, far away, and you saw in lesson 09 what
# happens to a model that loses it. If the surprisal rises, is it the far text or the far sink? So compare two setups:
#
# - **as it is**: the far text with its own sink, and nothing else;
# - **fresh sink, no old one**: the old sink is taken out of the cache, and a fresh one put just before the second part.
#   That's one `<|endoftext|>`, read on its own, as if a text began there.
#
# Both are compared with the second part after a fresh sink alone, without any far text.

# %%
from transformers import DynamicCache

starts = (700, 900, 1_100, 1_300)
second = torch.stack([ids[0, start : start + 160] for start in starts])
with torch.inference_mode():
    far = smollm.model(ids[:, :512], logits_to_keep=1).past_key_values


# %%
@torch.inference_mode()
def bits_after_gap(gap, first=True, fresh_sink=True, old_sink=True):
    """Surprisal of four later pieces, `gap` positions after the first 512 tokens: 4 · 159 numbers."""
    begin = 512 + gap
    near = smollm.model(torch.tensor([[0]]), position_ids=torch.tensor([[begin - 1]])).past_key_values
    parts = ([far] if first else []) + ([near] if fresh_sink else [])
    cache = DynamicCache(config=smollm.model.config)
    for layer in range(smollm.model.config.num_hidden_layers):
        kept = [(part.layers[layer].keys, part.layers[layer].values) for part in parts]
        keys, values = (torch.cat(several, dim=2) for several in zip(*kept, strict=True))
        skipped = 0 if old_sink else 1
        cache.update(keys[:, :, skipped:], values[:, :, skipped:], layer)
    cache.batch_repeat_interleave(len(starts))
    positions = torch.arange(begin, begin + 160).expand(len(starts), -1)
    logits = smollm.model(second, past_key_values=cache, position_ids=positions).logits
    return surprisal_bits(logits[:, :-1], second[:, 1:]).flatten()


# %% tags=["nbval-check-output"]
from course_utils import figures
from course_utils.experiments.intervals import bootstrap_interval

baseline = bits_after_gap(0, first=False)
print(f"without the far text: {baseline.mean():.2f} bits")

# %%
arms = {"as it is": {"fresh_sink": False}, "fresh sink, no old one": {"old_sink": False}}
changes = {
    f"{gap:,} positions, {name}": bits_after_gap(gap, **settings) - baseline
    for gap in (0, 2_000, 7_000, 12_000)
    for name, settings in arms.items()
}

# %% tags=["nbval-check-output"]
rows = {name: (values.mean().item(), *bootstrap_interval(values)) for name, values in changes.items()}
figures.means_with_intervals(rows, "change of the surprisal in bits", ("without the far text", 0.0))

# %% [markdown]
# Left of the dashed line, the far text helps; on the right, it does harm.
#
# - With no gap, it saves 0.6 bits. At 2,000 positions it still saves some.
# - At 7,000, still inside the trained length, it's worth next to nothing.
# - At 12,000 it does harm, a bit or more per token. And that isn't for want of a sink: with a fresh one, most of the
#   harm stays. So it's the far tokens that do it. Would any other 512 tokens do the same? This test can't tell.
#
# At 2,000, the far text saves less with a fresh sink than without. Perhaps the near sink draws attention that the far
# text would get; that isn't tested here.
#
# ## 3 · What to conclude, and what not
#
# This tests unseen *distances* to 512 tokens, in one story and one small model. It isn't a text of 20,000 tokens, where
# there'd be something at every distance. What it shows is that “it runs” and “it uses what it read” are different
# claims, and that the second has to be measured.
#
# Models get longer contexts by training on longer texts, or by making the angles smaller first, so that old distances
# cover more tokens (Chen et al., 2023, *Extending Context Window of Large Language Models via Positional
# Interpolation*). Whether they then use them is a question of its own (Hsieh et al., 2024, *RULER*).
#
# ## 4 · Quiz

# %% tags=["nbval-check-output"]
from course_utils.learner import quiz_question

quiz_question(
    "09-quiz-shift",
    "Why did positions from 8,000 on change nothing?",
    [
        ("The model ignores positions", False, "It doesn't: with a gap between two parts the surprisal changed a lot."),
        ("With RoPE only differences of positions count", True, "Yes, and adding 8,000 to all changes no difference."),
        ("200 tokens are too few to see it", False, "No number would help: their distances all stay the same."),
    ],
)

# %% [markdown]
# ## Take-aways
#
# - Shifting all positions changes nothing in a model with RoPE, so it tests nothing.
# - In this test, far text helped less and less with the distance. Beyond the trained length it did harm, and a fresh
#   sink didn't change that.
# - A gap moves two things away, the text and the sink. Only a control tells them apart.
#
# **Back to** [09 · Context length and prompting](../09_context_length_and_prompting.ipynb). **All lessons**: [the
# index](../index.ipynb).
