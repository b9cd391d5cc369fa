# %% [markdown]
# # 10 · Prefill and decode
#
# When you ask a language model something, there is a moment of silence, and then the answer comes word by word. The
# silence and the words are two different kinds of work. In this lesson you take both apart, and you see what a model
# keeps in memory so that it need not read your text again for every word.
#
# **You will be able to**
#
# - place prefill and decode on the timeline of a real run;
# - write a generation loop without a KV cache and one with it, and show that they choose the same tokens;
# - calculate the bytes of a KV cache before you run anything;
# - predict which phase waits for arithmetic and which waits for memory, and measure it;
# - reuse the cache of one prompt for another that begins the same.
#
# **Time**: 45 minutes. **Read before**: [00 · Start here](00_start_here.ipynb); [08 · Attention](08_attention.ipynb)
# explains the attention that this lesson makes fast.

# %% [markdown]
# ## 1 · One prompt, step by step
#
# A run begins with **tokenize** and **embed**: the text becomes token ids, and every id becomes a vector. Look at the
# shapes: one text, 11 tokens, 576 numbers for each.

# %% tags=["nbval-check-output"]
import torch

from course_utils.models import load_causal_lm

smollm = load_causal_lm()
model = smollm.model
ids = smollm.encode("Once upon a time, there was a little girl who")
ids.shape, model.get_input_embeddings()(ids).shape

# %% [markdown]
# Then all tokens of the prompt go through all layers, at once. That is **prefill**. It returns the logits of the first
# new token, and a cache that has seen 11 tokens. What is in it comes in section 4.

# %% tags=["nbval-check-output"]
from course_utils.engine.prefill_decode import decode_step, prefill

logits, cache = prefill(model, ids)
token = logits.argmax(-1)
smollm.labels[token], cache.length

# %% [markdown]
# From here on one token goes in and one comes out. That is a **decode step**: the new token looks at everything before
# it, the logits become probabilities, one token is selected, and then it goes on or stops. It stops when the model
# chooses its end-of-sequence token, or when there are as many tokens as you asked for.

# %% tags=["nbval-check-output"]
logits = decode_step(model, token, cache)
token = logits.argmax(-1)
smollm.labels[token], cache.length

# %% [markdown]
# Now time the whole thing. A text of 119 tokens goes in, 30 tokens come out. What takes longer? Commit first.

# %%
from course_utils.learner import predict

longer = predict("10-phases", "Which takes longer?", ["reading 119 tokens", "writing 30 tokens"])
longer

# %% [markdown]
# The next two cells do the same steps as above, each with a stopwatch around it. The first cell is only the stopwatch.

# %%
from time import perf_counter

events = []


def timed(phase, what, call, *arguments, **named):
    """Run `call`, and note when it ran."""
    start = perf_counter()
    result = call(*arguments, **named)
    events.append((phase, what, start, perf_counter()))
    return result


# %%
from transformers import DynamicCache


@torch.inference_mode()
def one_step(phase, unread, cache):
    """Read the tokens that are not in the cache; return the next one."""
    hidden = timed(phase, "embed", model.get_input_embeddings(), unread)
    output = timed(phase, "30 layers", model.model, inputs_embeds=hidden, past_key_values=cache)
    logits = timed(phase, "logits", model.lm_head, output.last_hidden_state[:, -1])
    probabilities = timed(phase, "probabilities", torch.softmax, logits, -1)
    return timed(phase, "select", probabilities.argmax, -1, keepdim=True)


# %% [markdown]
# Run it. Look at how wide the two kinds of bars are, and at what can hardly be seen at all.

# %% tags=["machine-dependent"]
from course_utils import figures

story = (
    "The lighthouse of Norrholm was built in 1871 from grey granite. Its lamp burned whale oil at first, then "
    "petroleum, and since 1932 it has been electric. The keeper, Anna Berg, lived there with two cats and a goat for "
    "thirty years. She wrote down the weather every morning, and her notebooks are now in the museum of the town. In "
    "winter the ice was so thick that the mail came by sledge. The tower is forty metres tall, and on a clear night "
    "its light can be seen from a distance of thirty kilometres."
)
one_step("prefill", ids, DynamicCache(config=model.config))  # the first run of all is slow: not counted
events.clear()
cache = DynamicCache(config=model.config)
unread = timed("prefill", "tokenize", smollm.encode, story)
for step in range(30):
    phase = "decode" if step else "prefill"
    unread = one_step(phase, unread, cache)
    if timed(phase, "stop?", unread.item().__eq__, smollm.tokenizer.eos_token_id):
        break
figures.run_timeline(events)

# %% tags=["machine-dependent"]
seconds = {name: sum(end - start for phase, _, start, end in events if phase == name) for name in ("prefill", "decode")}
print({name: round(value, 2) for name, value in seconds.items()})
assert cache.get_seq_length() == 119 + 29
longer.compare("writing 30 tokens" if seconds["decode"] > seconds["prefill"] else "reading 119 tokens")

# %% [markdown]
# On most machines the writing takes longer, although four times as many tokens are read. Tokenizing, embedding,
# probabilities, selecting: all of that is next to nothing. The time is in the layers, and some of it in the logits. And
# reading 119 tokens at once takes far less than 119 times as long as reading one. Section 7 measures why.
#
# The last of the 30 tokens was never read, which is why the cache holds 148 tokens and not 149.

# %% [markdown]
# ## 2 · A loop without a cache
#
# The simplest loop reads the whole text again for every token. It is right. It is what `use_cache=False` does in
# `transformers`. The `assert` compares it with `model.generate`.


# %% tags=["nbval-check-output"]
from course_utils.engine.prefill_decode import next_logits


def generate_without_cache(ids, new_tokens):
    """Greedy: take the likeliest token, and read everything again."""
    for _ in range(new_tokens):
        logits = next_logits(model, ids, cache=None)
        ids = torch.cat([ids, logits.argmax(-1, keepdim=True)], dim=1)
    return ids


reference = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=16, do_sample=False, pad_token_id=0)
assert torch.equal(generate_without_cache(ids, 16), reference)
smollm.tokenizer.decode(reference[0])

# %% [markdown]
# ## 3 · What stays the same
#
# Is it necessary to read the old tokens again? Try it on a toy: four tokens with two numbers each, and one attention
# head. First only three of them, then all four. Look at the first three rows of both results.

# %% tags=["nbval-check-output"]
from course_utils.engine.attention import scaled_dot_product_attention
from course_utils.engine.masks import causal_mask

toy = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [2.0, 0.0]])
for length in (3, 4):
    part = toy[:length]
    output, weights = scaled_dot_product_attention(part, part, part, causal_mask(length, length))
    print([[round(number, 2) for number in row] for row in output.tolist()])

# %% [markdown]
# The three rows did not move. The causal mask lets a token look back and never ahead, so the fourth token cannot change
# what the first three are. If this holds in one layer, it holds in the next, because the next one reads what this one
# wrote.
#
# Now the real model. Two texts, one of which is the beginning of the other. For every layer, compare the **keys** of
# the tokens they share: the vectors that later tokens will compare themselves with.

# %%
moved = predict(
    "10-moved-keys",
    "“The river bank” becomes “The river bank lends money”. In how many of the 30 layers do the keys of the first "
    "three tokens change?",
    {"in none": (0, 1), "in some of them": (1, 29), "in nearly all": (29, None)},
)
moved

# %% tags=["nbval-check-output"]
_, short = prefill(model, smollm.encode("The river bank"))
_, long = prefill(model, smollm.encode("The river bank lends money"))
pairs = zip(short.keys, long.keys, strict=True)
changed = sum((one - other[:, :, :3]).abs().max().item() > 1e-3 for one, other in pairs)
moved.compare(changed, show="{} layers")

# %% [markdown]
# So keys and values of old tokens can be kept. That is the whole idea of the **KV cache**.
#
# It works because this model looks back only. An encoder looks both ways (lesson 07): there, one more word changes what
# every other word is, and nothing can be kept. The same two texts in the course's encoder; layer 0 stands for the
# embeddings, before any layer.

# %% tags=["nbval-check-output"]
from course_utils.models import load_encoder

encoder = load_encoder()
with torch.inference_mode():
    texts = ("The river bank", "The river bank lends money")
    short, long = (encoder.model(encoder.encode(text), output_hidden_states=True).hidden_states for text in texts)
for layer in (0, 1, 6):
    print(f"after layer {layer}: moved by up to {(short[layer][0, :4] - long[layer][0, :4]).abs().max():.1f}")

# %% [markdown]
# ## 4 · A loop with a cache
#
# Prefill reads the prompt once, before the loop. After that, only the new token is read. The result must be the same
# tokens.


# %% tags=["nbval-check-output"]
def generate_with_cache(ids, new_tokens):
    """Greedy: read the prompt once, then one token a step."""
    logits, cache = prefill(model, ids)
    for step in range(new_tokens):
        if step:
            logits = decode_step(model, ids[:, -1], cache)
        ids = torch.cat([ids, logits.argmax(-1, keepdim=True)], dim=1)
    return ids


assert torch.equal(generate_with_cache(ids, 16), reference)
smollm.tokenizer.decode(generate_with_cache(ids, 16)[0])

# %% [markdown]
# Run it with a text of your own: change `my_prompt` and press Shift + Enter. Emoji and other languages work, too. (This
# small model was trained on English, and you will notice.)

# %%
my_prompt = "My favourite place in the world is"
smollm.tokenizer.decode(generate_with_cache(smollm.encode(my_prompt), 20)[0])

# %% [markdown]
# ### How large is the cache?
#
# For every token it holds one key and one value, in every layer, for every KV head. SmolLM2 has 30 layers, 3 KV heads
# and 64 numbers in a head. A number takes 4 bytes. What does one token weigh?

# %%
weight = predict(
    "10-bytes-per-token",
    "How many bytes does one token take in the KV cache?",
    {"under 1,000": (0, 1000), "1,000 to 10,000": (1000, 10_000), "10,000 to 100,000": (10_000, 100_000),
     "over 100,000": (100_000, None)},
)  # fmt: skip
weight

# %% tags=["nbval-check-output"]
config = model.config
bytes_per_token = 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * 4
weight.compare(bytes_per_token, show="{:,} bytes")

# %% [markdown]
# That was arithmetic. Now ask the cache object itself, while it grows. The shape is that of the keys of one layer:
# (texts, KV heads, tokens, numbers in a head).

# %% tags=["nbval-check-output"]
logits, cache = prefill(model, ids)
for _ in range(4):
    assert cache.bytes == cache.length * bytes_per_token
    print(f"{cache.length} tokens: 30 layers × 2 × {tuple(cache.keys[0].shape)} = {cache.bytes:,} bytes")
    logits = decode_step(model, logits.argmax(-1), cache)

# %% [markdown]
# The cache of `transformers` takes the same, byte for byte:

# %% tags=["nbval-check-output"]
from course_utils.measuring.memory import measured_cache_bytes, measured_weight_bytes

theirs = DynamicCache(config=model.config)
prefill(model, ids, theirs)
assert measured_cache_bytes(theirs) == ids.shape[1] * bytes_per_token
f"{ids.shape[1]} tokens: {measured_cache_bytes(theirs):,} bytes"

# %% [markdown]
# And a text as long as this model can read?

# %% tags=["nbval-check-output"]
share = config.max_position_embeddings * bytes_per_token / measured_weight_bytes(model)
f"{config.max_position_embeddings:,} tokens would take {share:.0%} of what all weights take"

# %% [markdown]
# For one text. A server keeps such a cache for every text that it is working on; lesson 14 goes on from here.
#
# ### Is it really the same?
#
# The tokens are equal. What about the logits? Run both ways again, recorded, and take the largest difference over all
# steps and all 49,152 tokens of the vocabulary.

# %% tags=["machine-dependent"]
from course_utils.traces import record_generation

cached = record_generation(smollm, "Once upon a time, there was a little girl who", max_new_tokens=12)
uncached = record_generation(smollm, cached.prompt, max_new_tokens=12, use_cache=False)
difference = abs(cached.logits - uncached.logits).max()
f"largest difference between cached and uncached logits: {difference:.6f}"

# %% tags=["nbval-check-output"]
assert cached.new_tokens == uncached.new_tokens
assert difference < 0.001
best_two = torch.from_numpy(cached.logits).topk(2).values
gap = (best_two[:, 0] - best_two[:, 1]).min().item()
f"the smallest lead of a chosen token over the second best: {gap:.2f}"

# %% [markdown]
# Not zero, but far too small to change a choice here. It comes from rounding: many tokens at once are added up in
# another order than one alone, and floating-point sums depend on their order. Where two tokens are as close as this
# difference, the two loops may choose differently, and both are right.
#
# ### The wrong way: the whole text, and the cache as well
#
# A cache must get only what it has not seen. Hand it the whole text at every step, and nothing complains. Look at the
# text, and at how many tokens the cache believes in: the text has 19.

# %% tags=["nbval-check-output"]
from course_utils.engine.prefill_decode import new_cache

wrong_cache, text = new_cache(model), ids
for _ in range(8):
    logits = next_logits(model, text, wrong_cache)  # should be: the tokens that are not in the cache yet
    text = torch.cat([text, logits.argmax(-1, keepdim=True)], dim=1)
smollm.tokenizer.decode(text[0]), wrong_cache.length

# %% [markdown]
# The model has read the beginning eight times over, each time at later positions, as if somebody had written it again
# and again. The text still looks like language. That is why this mistake is found late.

# %% [markdown]
# ## 5 · Touch it
#
# A column is a token, a row is one KV head of one layer: 90 rows. What is read in this step is hatched and framed, what
# is kept from before is plain. Below, the time of every step, both ways.
#
# 1. Move the slider to step 0. How many columns are hatched? That is prefill.
# 2. Go to step 5 and switch the **KV cache** off. Which columns are hatched now, and what became of the kept ones?
# 3. Press **Play** with the cache, then without. It plays at the speed at which it was measured.
# 4. Write a prompt of your own and press **Run**. Both ways are run again. Why did it stop?

# %% tags=["nbval-check-output"]
from course_utils.widgets import cache_stepper

cache_stepper(smollm, "Q: What is the capital of France?\nA:", max_new_tokens=24, step=5)

# %% [markdown]
# The colour of a cell is real, too: it shows how long the key is that is kept there. The first column is darker than
# the others in nearly all layers, whatever the prompt. That is the place where attention goes when it has nowhere to
# go: Xiao et al. (2023), *Efficient Streaming Language Models with Attention Sinks*.

# %% [markdown]
# ## 6 · Predicted work, then measured work
#
# Before you measure, count. A prompt of 32 tokens, 24 new ones. Without a cache, step 0 reads 32 tokens, step 1 reads
# 33, and so on. With a cache, step 0 reads 32 and every other step reads 1.

# %% tags=["nbval-check-output"]
prompt_tokens, new_tokens = 32, 24
without = [prompt_tokens + step for step in range(new_tokens)]
with_cache = [prompt_tokens] + [1] * (new_tokens - 1)
sum(without), sum(with_cache), round(sum(without) / sum(with_cache), 1)

# %% [markdown]
# For a prompt of *p* tokens and *n* new ones that is *n p* + *n* (*n* − 1) / 2 without a cache, and *p* + *n* − 1 with
# it. The first grows with the square of *n*, the second in a straight line. See what that does to long answers:

# %% tags=["nbval-check-output"]
for n in (10, 100, 1000, 8000):
    square, line = n * 32 + n * (n - 1) // 2, 32 + n - 1
    print(f"{n:5,} new tokens: {square:11,} tokens read without a cache, {line:6,} with it")

# %% [markdown]
# Nineteen times fewer tokens are read in our run of 24 steps. How many times faster will it be?

# %%
faster = predict(
    "10-times-faster",
    "With the cache, 19 times fewer tokens are read. The run is …",
    {"less than 2 times faster": (0, 2), "2 to 10 times faster": (2, 10), "more than 10 times faster": (10, None)},
)
faster

# %% [markdown]
# Look at both panels: the same two runs, once in tokens that you counted, once in seconds that were measured.

# %% tags=["machine-dependent"]
prompt = smollm.tokenizer.decode(smollm.encode(story)[0, :prompt_tokens])
runs = {
    "with cache": record_generation(smollm, prompt, max_new_tokens=new_tokens, eos_ids=[]),
    "without cache": record_generation(smollm, prompt, max_new_tokens=new_tokens, eos_ids=[], use_cache=False),
}
measured = {name: run.milliseconds / 1000 for name, run in runs.items()}
figures.total_work({"with cache": with_cache, "without cache": without}, measured)

# %% tags=["machine-dependent"]
total = {name: steps.sum() for name, steps in measured.items()}
assert total["with cache"] < total["without cache"]
faster.compare(total["without cache"] / total["with cache"], show="{:.1f} times faster")

# %% [markdown]
# Faster, and not nineteen times. Counting tokens is not enough: a token that is read alone must cost more than a token
# that is read among others. So give a step a fixed price and a price for each token. Two stopwatches find both: a step
# with 1 token, and one with 64.


# %% tags=["machine-dependent"]
from statistics import median


def stopwatch(call, repeats=5):
    """The median seconds of a call, after one that is not counted."""
    seconds = []
    for _ in range(repeats + 1):
        start = perf_counter()
        call()
        seconds.append(perf_counter() - start)
    return median(seconds[1:])


long_ids = smollm.encode(story * 3)
one, many = (stopwatch(lambda count=count: next_logits(model, long_ids[:, :count], None)) for count in (1, 64))
each = (many - one) / 63
fixed = one - each
f"a step costs {fixed * 1000:.0f} ms, and {each * 1000:.1f} ms for each token that it reads"

# %% [markdown]
# With these two prices, predict the total of both runs, and set what was measured beside it.

# %% tags=["machine-dependent"]
for name, reads in (("with cache", with_cache), ("without cache", without)):
    predicted = new_tokens * fixed + sum(reads) * each
    print(f"{name:14} predicted {predicted:.2f} s, measured {total[name]:.2f} s")
    assert 1 / 3 < predicted / total[name] < 3

# %% [markdown]
# Two measured numbers and a count predict both runs. The fixed price explains what the cache cannot save: it is paid in
# every step, with a cache or without. But what is it paid for?

# %% [markdown]
# ## 7 · What each phase waits for
#
# In every step, every weight of the model has to come from memory into the processor: 4 bytes each. Once it is there,
# it is used for every token that is being read: one multiplication and one addition, 2 **FLOPs** (floating-point
# operations). FLOPs per byte are called **arithmetic intensity**. Count it, before anything is measured.


# %% tags=["nbval-check-output"]
megabytes = measured_weight_bytes(model) / 1e6
table = config.vocab_size * config.hidden_size  # turns the last position into logits; the layers hold the rest


def gigaflops(tokens):
    """What reading `tokens` at once takes, without attention's own share, which is small in short texts."""
    return 2 * (tokens * (model.num_parameters() - table) + table) / 1e9


for tokens in (1, 16, 256):
    intensity = gigaflops(tokens) * 1000 / megabytes
    print(f"{tokens:3} tokens: {gigaflops(tokens):5.2f} GFLOP over {megabytes:.0f} MB = {intensity:5.1f} FLOPs a byte")

# %% [markdown]
# A decode step reads 538 MB to do half an operation with every byte. Prefill of 256 tokens does a hundred operations
# with every byte, two hundred times as many. Attention's own share and the cache are left out; in a text this short
# they are small.
#
# Now this machine. How many GFLOPs can it do in a second, and how many gigabytes can it read? Both measured: a large
# matrix product, and a sum over a large array.

# %% tags=["machine-dependent"]
from course_utils.measuring.timing import read_bandwidth

square = torch.randn(1024, 1024)
peak = 2 * 1024**3 / stopwatch(lambda: square @ square) / 1e9
bandwidth = read_bandwidth() / 1e9
f"{peak:.0f} GFLOP/s, {bandwidth:.0f} GB/s: memory keeps up from {peak / bandwidth:.1f} FLOPs a byte on"

# %% [markdown]
# Below that intensity arithmetic waits for memory: the work is **memory-bound**. Above it, memory waits for arithmetic:
# **compute-bound**. A decode step has 0.5.

# %%
share = predict(
    "10-decode-share",
    "What share of this machine's GFLOP/s does a decode step reach?",
    {"over half": (0.5, None), "a fifth to a half": (0.2, 0.5), "less than a fifth": (0, 0.2)},
)
share

# %% [markdown]
# Look at the last two columns: one rises, the other falls.

# %% tags=["machine-dependent"]
reached = {}
for tokens in (1, 16, 256):
    seconds = stopwatch(lambda tokens=tokens: next_logits(model, long_ids[:, :tokens], None), repeats=3)
    reached[tokens] = gigaflops(tokens) / seconds
    speed = f"{reached[tokens]:4.0f} GFLOP/s {megabytes / 1000 / seconds:5.1f} GB/s"
    print(f"{tokens:3} tokens: {seconds * 1000:5.0f} ms {speed}")
assert reached[1] < reached[16] < reached[256]
share.compare(reached[1] / peak, show="{:.0%}")

# %% [markdown]
# The same numbers in one picture. The line is the roof: its slope is memory, its flat part is arithmetic (Williams,
# Waterman and Patterson 2009, *Roofline*).

# %% tags=["machine-dependent"]
names = {1: "decode step", 16: "prefill of 16", 256: "prefill of 256"}
points = {names[tokens]: (gigaflops(tokens) * 1000 / megabytes, speed) for tokens, speed in reached.items()}
figures.roofline(points, gigaflops=peak, gigabytes=bandwidth)

# %% [markdown]
# The decode step stands far to the left, under the slope, and most of the arithmetic is idle. Prefill of 256 tokens
# comes much closer to the flat roof.
#
# People often say that decode "runs at the speed of memory". Look how far below the slope your point is. In our
# recorded benchmark (`benchmarks/generate.json`, two cores) a decode step takes three times as long as the memory would
# need: the product of a matrix and one vector does not read as fast as a plain sum does. The direction is right, the
# limit is not reached.
#
# This is why servers decode many texts in one step: the weights come from memory once for all of them (lesson 14).
# Pope et al. (2022), *Efficiently Scaling Transformer Inference*, work this out for large models.

# %% [markdown]
# ## 8 · Two stopwatches
#
# Two numbers say how fast an answer comes. **TTFT**, time to first token: how long the silence is. **TPOT**, time per
# output token: how fast the words come after it. The first token belongs to prefill, so TPOT begins after it.
#
# The wrong way is to divide the total by the number of tokens. Look at what it says for a long prompt and a short
# answer.


# %% tags=["machine-dependent"]
from course_utils.engine.generate import stream
from course_utils.measuring.timing import time_generation


def run(mark):
    """Generate 8 tokens after 192, and mark each."""
    for _ in stream(model, long_ids[:, :192], smollm.tokenizer, max_new_tokens=8, eos_ids=[]):
        mark()


timing = time_generation(run, repeats=3)
print("TTFT", timing.ttft, "\nTPOT", timing.tpot)
print(f"total / tokens: {timing.total.median / 8 * 1000:.1f} ms, which is neither")
assert timing.total.median / 8 > timing.tpot.median

# %% [markdown]
# The wrong number mixes the silence into the words. It grows when the prompt gets longer, although the words come
# hardly any slower. With the right two, the total adds up in every run: TTFT + (tokens − 1) · TPOT.

# %% tags=["nbval-check-output"]
for marks in timing.seconds:
    ttft, tpot = marks[0], (marks[-1] - marks[0]) / 7
    assert abs(marks[-1] - (ttft + 7 * tpot)) < 1e-9
f"{len(timing.seconds)} runs, {len(timing.seconds[0])} tokens each: the total adds up"

# %% [markdown]
# ## 9 · Two prompts, one beginning
#
# Two questions about one text. Everything before the question is the same, so its keys and values are the same.
# `shared_prefix` counts the tokens that two prompts share from their start.

# %% tags=["nbval-check-output"]
from course_utils.engine.cache import shared_prefix

first, second = smollm.encode(story + " The lighthouse was built in"), smollm.encode(story + " The keeper's name was")
keep = shared_prefix(first[0].tolist(), second[0].tolist())
first.shape[1], second.shape[1], keep

# %% [markdown]
# Read the first prompt. Forget what comes after the shared part (`crop`). Then only the rest of the second prompt has
# to be read. The answers must be those that come from scratch.


# %% tags=["nbval-check-output"]
def answer(ids, cache=None, new_tokens=5):
    """Go on after `ids`; what the cache holds already is not read."""
    logits, cache = prefill(model, ids, cache)
    tokens = [logits.argmax(-1)]
    while len(tokens) < new_tokens:
        tokens.append(decode_step(model, tokens[-1], cache).argmax(-1))
    return smollm.tokenizer.decode(torch.cat(tokens))


_, cache = prefill(model, first)
cache.crop(keep)
assert answer(second, cache.copy()) == answer(second)
answer(first), answer(second, cache.copy())

# %% [markdown]
# And the time to the first token of the second answer? Here `cache.copy()` makes a second cache with the same contents,
# so that every repetition starts from the shared part.

# %% tags=["machine-dependent"]
scratch = stopwatch(lambda: prefill(model, second), repeats=3)
reused = stopwatch(lambda: prefill(model, second, cache.copy()), repeats=3)
assert reused < scratch
f"TTFT {scratch * 1000:.0f} ms from scratch, {reused * 1000:.0f} ms with the shared part reused"

# %% [markdown]
# Somebody wants the model to know what day it is, and puts the date in front of everything. Then the date changes.

# %%
dated = predict(
    "10-date-first",
    "“Today is Monday.” stands before the story, and tomorrow “Today is Tuesday.” How much of yesterday's cache can be "
    "reused?",
    {"all but the date": (100, None), "about half": (20, 100), "nearly nothing": (0, 20)},
)
dated

# %% tags=["nbval-check-output"]
monday, tuesday = (smollm.encode(f"Today is {day}. {story}")[0].tolist() for day in ("Monday", "Tuesday"))
dated.compare(shared_prefix(monday, tuesday), show="{} tokens")

# %% [markdown]
# Every token after the date has looked at the date, so its keys and values are others. Put what changes at the end.
#
# A smaller trap: equal letters are not equal tokens. The shorter text below is the beginning of the longer one, letter
# by letter, and still its last token cannot be reused.

# %% tags=["nbval-check-output"]
light, lighthouse = (smollm.encode(text)[0].tolist() for text in ("The light", "The lighthouse"))
(
    [smollm.labels[token] for token in light],
    [smollm.labels[token] for token in lighthouse],
    shared_prefix(light, lighthouse),
)

# %% [markdown]
# ## 10 · What is refused
#
# An empty prompt, a cache that holds nothing, a crop that is too long, a prompt that would be read again and again
# without a cache: one sentence each.

# %% tags=["nbval-check-output"]
from course_utils.traces import record_cache

for wrong in (
    lambda: prefill(model, smollm.encode("")),
    lambda: decode_step(model, torch.tensor([5]), new_cache(model)),
    lambda: cache.crop(9_999),
    lambda: record_cache(smollm, "word " * 3_000),
):
    try:
        wrong()
    except ValueError as error:
        print(error)

# %% [markdown]
# ## 11 · The whole thing in one cell
#
# The model's 30 layers with a cache, in plain `torch`. Only the embeddings, the linear maps, the MLPs, the norms and
# the rotation of positions (lessons 05 and 08) are taken from the model. Read it as three parts: what is unread, what
# is kept, what is chosen.


# %%
from torch.nn.functional import scaled_dot_product_attention as attend
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb


@torch.inference_mode()
def my_generate(ids, new_tokens):
    llama, cache, unread = model.model, {}, ids
    for _ in range(new_tokens):
        past = ids.shape[1] - unread.shape[1]
        hidden = llama.embed_tokens(unread)
        rotation = llama.rotary_emb(hidden, torch.arange(past, ids.shape[1])[None])
        mask = torch.ones(unread.shape[1], ids.shape[1], dtype=torch.bool).tril(past)
        for number, layer in enumerate(llama.layers):
            normed, part = layer.input_layernorm(hidden), layer.self_attn
            projections = (part.q_proj, part.k_proj, part.v_proj)
            q, k, v = (project(normed).unflatten(-1, (-1, 64)).transpose(1, 2) for project in projections)
            q, k = apply_rotary_pos_emb(q, k, *rotation)
            if number in cache:  # decode: the new key and value behind the old ones
                k, v = (torch.cat(pair, dim=2) for pair in zip(cache[number], (k, v), strict=True))
            cache[number] = k, v
            hidden = hidden + part.o_proj(attend(q, k, v, mask, enable_gqa=True).transpose(1, 2).flatten(2))
            hidden = hidden + layer.mlp(layer.post_attention_layernorm(hidden))
        unread = model.lm_head(llama.norm(hidden[:, -1:])).argmax(-1)
        ids = torch.cat([ids, unread], dim=1)
    return ids


# %% tags=["nbval-check-output"]
mine = my_generate(ids, 16)
assert torch.equal(mine, reference)
smollm.tokenizer.decode(mine[0])

# %% [markdown]
# ## 12 · Quiz
#
# Every option has an explanation, also the wrong ones. Try them all.

# %% tags=["nbval-check-output"]
from course_utils.learner import quiz_question

quiz_question(
    "10-quiz-first-token",
    "A prompt of 1,000 tokens. Which phase makes the first token of the answer?",
    [
        ("prefill", True, "Yes: its last position gives the logits of the first new token. So it counts for TTFT."),
        ("the first decode step", False, "That one reads the first new token. So it must be there already."),
        ("neither, it is copied", False, "Nothing is copied. It is chosen from logits, like every other token."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "10-quiz-kept",
    "Why are keys and values kept, and not queries?",
    [
        ("Queries are too large", False, "Here they are larger (9 heads, not 3), but that is not why."),
        (
            "A query is used once, when its token is read",
            True,
            "Yes: later tokens compare their own query with old keys, and mix old values. No old query is needed.",
        ),
        ("Queries change in every step", False, "An old query would stay what it was. It is just never needed again."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "10-quiz-bytes",
    "A model has the same layers and heads, but 9 KV heads in place of 3. What happens to its cache?",
    [
        ("It stays the same: there are still 9 query heads", False, "Queries are not in the cache. KV heads are."),
        ("It is 3 times as large", True, "Yes: 138,240 bytes a token. That is what grouped-query attention saves."),
        ("It is 9 times as large", False, "Bytes grow with the number of KV heads: from 3 to 9 is 3 times."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "10-quiz-processor",
    "You get a processor with twice the GFLOP/s and the same memory. What gets faster?",
    [
        ("Mostly decode", False, "Decode leaves most of the arithmetic idle already. It waits for the weights."),
        ("Mostly prefill of long prompts", True, "Yes: it is compute-bound. You would notice a shorter silence."),
        ("Both, twice", False, "Only what waits for arithmetic gets faster, and a decode step waits for memory."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "10-quiz-prefix",
    "A chat sends its whole history with every message. Why can the second answer begin as fast as the first?",
    [
        (
            "The model remembers the chat",
            False,
            "Its weights do not change. Without a cache it knows nothing of before.",
        ),
        (
            "The history is a shared prefix, and its cache was kept",
            True,
            "Yes: only the new message has to be read. Change one word at the start, and all is read again.",
        ),
        ("Long prompts take no longer than short ones", False, "They do: prefill grows with the tokens it reads."),
    ],
)

# %% [markdown]
# ## Take-aways
#
# - Prefill reads the whole prompt at once and makes the first token. A decode step reads one token and makes the next.
# - Old tokens never see new ones, so their keys and values can be kept. The tokens are the same, the logits up to
#   rounding.
# - The KV cache takes 2 × layers × KV heads × head size × bytes per number for each token: 46,080 bytes here.
# - Without a cache the total work grows with the square of the answer's length. With it, every step still pays for
#   reading all weights: decode is memory-bound, prefill is compute-bound.
# - TTFT and TPOT are two numbers, and what two prompts share at their beginning needs to be read once.
#
# **Next**: [11 · Sampling](11_sampling.ipynb) takes the logits of one step, and shows what sampling makes of them.
#
# **Exercise**: [10 · Prefill and decode](../exercises/10_prefill_and_decode.ipynb). **All lessons**: [the
# index](index.ipynb).
