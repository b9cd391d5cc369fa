# %% [markdown]
# # Deeper 11 · Seeds and batches
#
# “I set the seed and got another text.” Two things can do that to you: other requests that draw from the same random
# numbers, and rounding that depends on the size of the batch. You can mend the first. The second you should know.
#
# **You will be able to**
#
# - say what a seed fixes and what it doesn't;
# - give each text of a batch a generator of its own, so that its draws don't depend on its neighbours;
# - show that texts of one prompt can share the prefill, and what their caches cost;
# - measure how often the size of the batch alone changes a greedy text.
#
# **Time**: 15 minutes. **Read before**: [11 · Sampling](../11_sampling.ipynb) and [10 · Prefill and
# decode](../10_prefill_and_decode.ipynb).

# %% [markdown]
# ## 1 · A seed fixes a stream
#
# Same model, prompt, settings and seed. The first two calls ask for one text, the third for three at once.

# %%
from course_utils.engine.generate import generate
from course_utils.models import load_causal_lm

smollm = load_causal_lm()
ids = smollm.encode("Once upon a time there was a")
settings = {"do_sample": True, "filters": [("temperature", 0.8)], "seed": 5, "max_new_tokens": 12}

# %%
alone = generate(smollm.model, ids, smollm.tokenizer, **settings)[0].text
again = generate(smollm.model, ids, smollm.tokenizer, **settings)[0].text
in_batch = generate(smollm.model, ids, smollm.tokenizer, num_return_sequences=3, **settings)[0].text
assert alone == again != in_batch
print(alone, in_batch, sep="\n")

# %% [markdown]
# The seed fixes one long stream of random numbers, not a text. Every draw takes the next numbers from it. In the batch
# the second and third text take theirs in between, so from the second token on, the first text gets other numbers. On
# a toy with equal odds for ten tokens you can watch it happen.

# %%
import torch


def draws(rows, steps=6):
    """What row 0 draws, step by step, when `rows` texts draw from one generator."""
    generator = torch.Generator().manual_seed(5)
    return [torch.multinomial(torch.full((rows, 10), 0.1), 1, generator=generator)[0].item() for _ in range(steps)]


# %% tags=["nbval-check-output"]
{rows: draws(rows) for rows in (1, 2, 3)}

# %% [markdown]
# ## 2 · One generator per text
#
# The remedy is a generator for each text. Then its neighbours can't take anything from it.


# %%
def own_draws(row, rows, steps=6):
    """What row `row` draws when each of `rows` texts has a generator of its own."""
    generators = [torch.Generator().manual_seed(5 + place) for place in range(rows)]
    odds = torch.full((10,), 0.1)
    drawn = [[torch.multinomial(odds, 1, generator=one).item() for one in generators] for _ in range(steps)]
    return [step[row] for step in drawn]


# %% tags=["nbval-check-output"]
{rows: own_draws(0, rows) for rows in (1, 2, 3)}

# %% [markdown]
# A server that takes a `seed` with each request needs this. Read what yours promises: some say no more than that they
# try.
#
# ## 3 · Share the prefill
#
# Several texts for one prompt need only one prefill. The model reads the prompt once; then `select` makes a row of the
# KV cache for each text. Are the logits that follow the same as those of a batch that read the prompt four times?

# %%
from course_utils.engine.running import RunningModel

shared = RunningModel(smollm.model, ids)
first = shared.next_logits(ids)
before = shared.cache.bytes
shared.select([0] * 4)

# %%
separate = RunningModel(smollm.model, ids.repeat(4, 1))
assert torch.allclose(separate.next_logits(ids.repeat(4, 1)), first.repeat(4, 1), atol=1e-3)

# %% tags=["nbval-check-output"]
grown = torch.cat([ids.repeat(4, 1), first.topk(4).indices.T], dim=1)  # four texts that differ in one token
assert torch.allclose(shared.next_logits(grown), separate.next_logits(grown), atol=1e-3)
print(f"KV cache after the prefill: {before:,} bytes; with four texts of one more token: {shared.cache.bytes:,}")

# %% [markdown]
# The work of the prefill is shared, the memory isn't: `select` **copies** the cache, one copy per text. From there
# each text appends keys and values of its own. Servers that cut the cache into pages can let several texts point at
# the same pages and copy one only when it changes (Kwon et al. 2023, *Efficient Memory Management for Large Language
# Model Serving with PagedAttention*).
#
# ## 4 · The batch changes the rounding
#
# With temperature 0 there are no random numbers at all. Then a text can't depend on its batch, can it?

# %%
from course_utils.learner import predict

changed = predict(
    "11-deeper-batch",
    "24 greedy texts of 8 tokens, in 16-bit numbers (bf16): alone, and in a batch of 24. How many change?",
    {"none": (0, 1), "1 to 12": (1, 13), "more than 12": (13, 25)},
)
changed

# %%
import copy

from course_utils.experiments.drawn_texts import continue_texts, opening_tokens
from course_utils.experiments.intervals import wilson_interval

prompts, _ = opening_tokens(smollm)

# %% tags=["recorded"]
counts = {}
for model in (smollm.model, copy.deepcopy(smollm.model).bfloat16()):
    batch, _ = continue_texts(model, prompts, [("temperature", 0)], 8)
    single = torch.cat([continue_texts(model, prompt[None], [("temperature", 0)], 8)[0] for prompt in prompts])
    counts[model.dtype] = (batch != single).any(dim=1).sum().item()
    low, high = wilson_interval(counts[model.dtype], len(prompts))
    print(f"{model.dtype}: {counts[model.dtype]} of {len(prompts)} texts differ ({low:.0%} to {high:.0%})")

# %% tags=["recorded"]
changed.compare(counts[torch.bfloat16], show="{} texts")

# %% [markdown]
# Same prompts, same weights, no dice. What changes is how the sums of a matrix product are cut into pieces: the best
# way depends on the number of rows, and (a + b) + c isn't always a + (b + c) when each sum is rounded. In 32 bits the
# difference was too small to change which token is best, in the run above. In 16 bits it was enough in some texts, most
# likely where two tokens were nearly tied, and from there the texts part. How many do depends on the processor: yours
# may differ.

# %% tags=["nbval-check-output"]
a, b, c = (torch.tensor(number, dtype=torch.bfloat16) for number in (1.0, 0.003, 0.003))
((a + b) + c).item(), (a + (b + c)).item()

# %% [markdown]
# A server forms its batches from whoever asks at that moment, so the same request can come back different. In one test,
# 1,000 greedy completions of one prompt came in 80 versions; kernels that sum in the same order for every size of the
# batch made them all equal, and were slower (He 2025, *Defeating Nondeterminism in LLM Inference*).
#
# ## Take-aways
#
# - A seed fixes a stream of random numbers. What your text takes from it depends on who else takes.
# - Texts of one prompt share the prefill. Their caches are copies, unless the server has pages.
# - The size of the batch changes rounding, and in 16 bits that can change a greedy text.
#
# **Back to** [11 · Sampling](../11_sampling.ipynb). **Also deeper**: [diversity and
# likelihood](11_diversity_and_likelihood.ipynb). **All lessons**: [the index](../index.ipynb).
