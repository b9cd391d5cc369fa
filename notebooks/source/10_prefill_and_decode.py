# %% [markdown]
# # 10 · Prefill and decode
#
# Ask a language model something: first there's silence, then the words come one by one. These are two kinds of work.
# Once you know which one you're waiting for, you know what would make it faster.
#
# ![The two phases of a run. Prefill happens once, for all tokens of the prompt together, in three steps: tokenize,
# embed, process. Decode happens once per new token, in four steps: attend, probabilities, select, continue or stop;
# then it starts over. Below, the KV cache: prefill fills it with the five tokens of “The capital of France is”, each
# decode step adds one, first Paris, then the full stop.](images/10_prefill_and_decode.svg)
#
# **You will be able to**
#
# - find the three steps of prefill and the four of decode in a real run, and in its code;
# - write a generation loop without a KV cache and one with it, and show that they choose the same tokens;
# - calculate the bytes of a KV cache before you run anything;
# - predict what the cache saves, measure it, and explain why the two differ;
# - reuse the cache of one prompt for another that begins the same.
#
# **Time**: 40 minutes. **Read before**: [08 · Attention](08_attention.ipynb), which explains the attention that this
# lesson makes fast.

# %% [markdown]
# ## 1 · The silence and the words
#
# A text of 119 tokens goes in, and 30 tokens come out. Where does the time go?

# %%
import torch
from course_utils.learner import predict
from course_utils.models import load_causal_lm
from transformers import DynamicCache

smollm = load_causal_lm()
model = smollm.model

# %%
longer = predict("10-phases", "Which takes longer?", ["reading 119 tokens", "writing 30 tokens"])
longer

# %% [markdown]
# Here's the whole run. Each step of the picture above has its own lines of code, with a clock around them.
#
# | phase | step | what happens |
# |---|---|---|
# | **prefill** | 1 tokenize | the text becomes token ids |
# | | 2 embed | every id becomes a vector |
# | | 3 process | all tokens of the prompt go through the 30 layers together |
# | **decode** | 1 attend | the newest token goes through the layers and looks back at everything before it |
# | | 2 probabilities | the vector of the newest token becomes logits, and these become probabilities |
# | | 3 select | one token is chosen, here the most likely |
# | | 4 continue or stop | it stops at the end-of-sequence token, or when there are as many tokens as you asked for |
#
# The *first* new token needs no attend step: in *process*, the last token of the prompt has already looked back at all
# the others, so steps 2 to 4 follow at once. Everything up to that first token counts as prefill (Agrawal et al. 2024,
# *Sarathi-Serve*). In the timeline below, look at how wide the bars are.


# %%
from course_utils.measuring.phases import PhaseClock


@torch.inference_mode()
def run(text, new_tokens, clock):
    cache, phase = DynamicCache(config=model.config), "prefill"
    with clock(phase, "1 tokenize"):
        ids = smollm.encode(text)
    with clock(phase, "2 embed"):
        vectors = model.get_input_embeddings()(ids)
    with clock(phase, "3 process"):
        hidden = model.model(inputs_embeds=vectors, past_key_values=cache).last_hidden_state
    tokens = []
    while True:  # decode's steps; the first token needs no attend, so that one comes last
        with clock(phase, "2 probabilities"):
            probabilities = model.lm_head(hidden[:, -1]).softmax(-1)
        with clock(phase, "3 select"):
            token = probabilities.argmax(-1, keepdim=True)
        with clock(phase, "4 continue or stop"):
            tokens.append(token.item())
            if tokens[-1] == smollm.tokenizer.eos_token_id or len(tokens) == new_tokens:
                return tokens
        phase = "decode"
        with clock(phase, "1 attend"):
            hidden = model.model(token, past_key_values=cache).last_hidden_state


# %% tags=["recorded"]
from course_utils import figures

story = (
    "The lighthouse of Norrholm was built in 1871 from grey granite. Its lamp burned whale oil at first, then "
    "petroleum, and since 1932 it has been electric. The keeper, Anna Berg, lived there with two cats and a goat for "
    "thirty years. She wrote down the weather every morning, and her notebooks are now in the museum of the town. In "
    "winter the ice was so thick that the mail came by sledge. The tower is forty metres tall, and on a clear night "
    "its light can be seen from a distance of thirty kilometres."
)
run(story, 2, PhaseClock())  # the first run of all is slow, so it doesn't count
clock = PhaseClock()
tokens = run(story, 30, clock)
steps = ["1 tokenize", "2 embed", "3 process", "1 attend", "2 probabilities", "3 select", "4 continue or stop"]
figures.run_timeline(clock.events, lanes=steps)

# %% tags=["recorded"]
assert smollm.encode(story).shape[1] == 119
assert clock.seconds["decode"] > clock.seconds["prefill"]
longer.compare("writing 30 tokens")

# %% [markdown]
# Four times as many tokens are read as written, and still the writing takes longer. The wide blue bar processes 119
# tokens at once. Each hatched bar of *attend* processes a single one, and there are 29 of them. Nearly all of the time
# goes into the layers, in *process* and *attend*, and into *probabilities*, where the model's largest matrix makes
# 49,152 logits. (An *attend* step runs whole layers, attention and MLPs; [Deeper: the
# roofline](deeper/10_roofline.ipynb) times them apart.)
#
# Two numbers describe what a reader feels. **TTFT**, the time to first token, is the silence. **TPOT**, the time per
# output token, is the pace after it. Dividing the whole time by the number of tokens mixes the two.

# %% tags=["recorded"]
came = clock.ends("3 select")
ttft, tpot = came[0], (came[-1] - came[0]) / (len(came) - 1)
print(f"in this run: TTFT {ttft * 1000:.0f} ms, TPOT {tpot * 1000:.1f} ms")
print(f"all / tokens: {came[-1] / len(came) * 1000:.1f} ms, which is neither")

# %% [markdown]
# ## 2 · Read everything again
#
# How would you write the loop yourself? The simplest one reads the whole text again for every token. It's correct: the
# `assert` compares it with `model.generate`.


# %% tags=["nbval-check-output"]
from course_utils.engine.prefill_decode import decode_step, next_logits, prefill


def generate_without_cache(ids, new_tokens):
    """Greedy: take the likeliest token, and read everything again."""
    for _ in range(new_tokens):
        logits = next_logits(model, ids, cache=None)
        ids = torch.cat([ids, logits.argmax(-1, keepdim=True)], dim=1)
    return ids


ids = smollm.encode("Once upon a time, there was a little girl who")
reference = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=12, do_sample=False, pad_token_id=0)
assert torch.equal(generate_without_cache(ids, 12), reference)
smollm.tokenizer.decode(reference[0])

# %% [markdown]
# But is all that reading needed? A token looks back and never ahead ([lesson 08](08_attention.ipynb)), so what comes
# later can't change what was computed before. And all that a later token takes from an earlier one is its **key** and
# its **value**. Take two texts, one of which is the beginning of the other, and compare these:

# %% tags=["nbval-check-output"]
_, short = prefill(model, smollm.encode("The river bank"))
_, long = prefill(model, smollm.encode("The river bank lends money"))
pairs = zip(short.keys + short.values, long.keys + long.values, strict=True)
same = sum(torch.allclose(one, other[:, :, :3], atol=1e-3) for one, other in pairs)
print(f"the first three tokens: the same in {same} of 60, the keys and the values of 30 layers")

# %% [markdown]
# Nothing changed. (In an encoder it would: there, a token looks both ways; see [lesson
# 07](07_encoders_decoders_and_both.ipynb).)
#
# ## 3 · Read once and keep: the KV cache
#
# So don't compute keys and values again: keep them. That's the **KV cache**. Prefill fills it, and from then on each
# decode step reads one token and adds what's new.


# %% tags=["nbval-check-output"]
def generate_with_cache(ids, new_tokens, cache=None):
    """Greedy: read what the cache doesn't hold of the prompt, then one token per step."""
    logits, cache = prefill(model, ids, cache)
    for step in range(new_tokens):
        if step:
            logits = decode_step(model, ids[:, -1], cache)
        ids = torch.cat([ids, logits.argmax(-1, keepdim=True)], dim=1)
    return ids


with_cache = generate_with_cache(ids, 12)
assert torch.equal(with_cache, reference)
smollm.tokenizer.decode(with_cache[0])

# %% [markdown]
# It's the same text. The price is memory: for each token the cache holds one key and one value, in every layer, for
# every KV head. SmolLM2 has 30 layers, 3 KV heads and 64 numbers per head; a number takes 4 bytes.

# %%
weight = predict(
    "10-bytes-per-token",
    "How many bytes does one token take in the KV cache?",
    {"under 1,000": (0, 1000), "1,000 to 10,000": (1000, 10_000), "over 10,000": (10_000, None)},
)
weight

# %% tags=["nbval-check-output"]
config = model.config
bytes_per_token = 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * 4
weight.compare(bytes_per_token, show="{:,} bytes")

# %% [markdown]
# That was arithmetic. Now ask the cache itself, while it grows. In brackets is the shape of one layer's keys: texts, KV
# heads, tokens, numbers per head.

# %% tags=["nbval-check-output"]
logits, cache = prefill(model, ids)
for _ in range(6):
    assert cache.bytes == cache.length * bytes_per_token
    print(f"{cache.length} tokens: 30 layers × 2 × {tuple(cache.keys[0].shape)} × 4 bytes = {cache.bytes:,} bytes")
    logits = decode_step(model, logits.argmax(-1), cache)

# %% [markdown]
# On GPUs, the cache is usually kept in a 16-bit format, which halves it. Here's the cache of 8,192 tokens in 16 bits,
# for SmolLM2 and for a larger model:

# %% tags=["nbval-check-output"]
from course_utils.measuring.memory import kv_cache_bytes, weight_bytes
from course_utils.measuring.model_shapes import PUBLISHED

for name in ("SmolLM2-135M", "Llama 3.1 8B"):
    shape = PUBLISHED[name]
    each, full = kv_cache_bytes(shape, 1, bytes_per_number=2), kv_cache_bytes(shape, 8192, bytes_per_number=2)
    share = full / weight_bytes(shape.parameters, 2)
    print(f"{name:12}: {each:,.0f} bytes per token, {full / 1e9:.2f} GB for 8,192 of them: {share:.0%} of the weights")

# %% [markdown]
# And that's one text. A server keeps a cache for every text in progress, so with enough long texts the caches outweigh
# the model ([lesson 14](14_speed_and_memory_in_practice.ipynb)).
#
# Are the logits the same, too? Not to the last digit. The result of a floating-point sum depends on the order of its
# parts, and a step with many tokens adds in another order than a step with one. Here's the last of the 12 steps, both
# ways:

# %% tags=["nbval-check-output"]
_, cache = prefill(model, reference[:, :-2])
cached, (uncached, _) = decode_step(model, reference[:, -2], cache), prefill(model, reference[:, :-1])
best, second = cached[0].topk(2).values
assert (cached - uncached).abs().max() < 0.001
print(f"the logits differ by less than 0.001; the chosen token leads by {best - second:.2f}")

# %% [markdown]
# So little can't change this choice. Where the best two tokens are that close, the two loops may part ways, and neither
# is wrong.
#
# ## 4 · Try it
#
# Each column is a token, each row one KV head of one layer: 90 rows. What's read in this step is hatched and framed;
# what was kept is plain. Below is the time of each step, with the cache and without.
#
# 1. Move the slider to step 0. How many columns are hatched? That's prefill.
# 2. Go to step 5 and switch the **KV cache** off. Which columns are hatched now?
# 3. Press **Play** with the cache, then without. It plays at the speed at which it was measured.
# 4. Write a prompt of your own and press **Run**. Why did it stop?

# %% tags=["recorded"]
from course_utils.widgets import cache_stepper

cache_stepper(smollm, "Q: What is the capital of France?\nA:", max_new_tokens=24, step=5)

# %% [markdown]
# Prefill reads all 12 tokens of the prompt. Step 5 reads one token with the cache, and all 17 without. This run ended
# with the end-of-sequence token. (Tick **key lengths**: pale is short. The first column, pale in most layers, is the
# attention sink of [lesson 08](08_attention.ipynb).)
#
# ## 5 · Count, predict, measure
#
# How much does the cache save? Count first. A prompt has 24 tokens, and 12 new ones are written. Without a cache, step
# 0 reads 24 tokens, step 1 reads 25, and so on. With it, step 0 reads 24, and every later step reads one.

# %% tags=["nbval-check-output"]
prompt_tokens, new_tokens = 24, 12
read = {"with cache": [prompt_tokens] + [1] * 11, "without cache": [prompt_tokens + step for step in range(12)]}
for n in (12, 120, 1200):
    square, line = n * prompt_tokens + n * (n - 1) // 2, prompt_tokens + n - 1
    print(f"{n:5,} new tokens: {square:9,} tokens read without a cache, {line:5,} with it, {square / line:3.0f} to 1")

# %% [markdown]
# With the cache, the count grows in a straight line. Without it, it grows with the *square* of the answer's length,
# once the answer is much longer than the prompt. So how much faster is our run of 12 steps?

# %%
faster = predict(
    "10-times-faster",
    "With the cache, 10 times fewer tokens are read. The run is …",
    {"less than 5 times faster": (0, 5), "5 to 10 times faster": (5, 10), "more than 10 times faster": (10, None)},
)
faster


# %% tags=["recorded"]
from time import perf_counter


def step_seconds(ids, cache):
    """Time what the model does in each step. All else is the same, with a cache and without."""
    seconds = []
    for _ in range(new_tokens):
        start = perf_counter()
        logits = next_logits(model, ids if cache is None else ids[:, cache.get_seq_length() :], cache)
        seconds.append(perf_counter() - start)
        ids = torch.cat([ids, logits.argmax(-1, keepdim=True)], dim=1)
    return seconds


prompt, runs = smollm.encode(story)[:, :prompt_tokens], {name: [] for name in read}
for name in list(read) * 3:
    runs[name].append(step_seconds(prompt, DynamicCache(config=config) if name == "with cache" else None))
figures.total_work(read, {name: sorted(each, key=sum)[1] for name, each in runs.items()})

# %% tags=["recorded"]
from course_utils.measuring.measurements import spread

total = {name: spread([sum(steps) for steps in each]) for name, each in runs.items()}
times_faster = total["without cache"].median / total["with cache"].median
assert 1 < times_faster < 10
faster.compare(times_faster, show="{:.1f} times faster")

# %% [markdown]
# Faster, but not 10 times. So counting tokens isn't enough: a token read alone must cost more than one read in company.
#
# How long does a step take that reads one token, or 16, or 128? The simplest guess is *a price per step plus a price
# per token*: the dashed line. It's drawn through the points at 1 and 64 only, so look at the other three.

# %% tags=["recorded"]
from course_utils.figures.speed_curves import speed_curves
from course_utils.measuring.timing import time_in_turn

many = smollm.encode(story * 3)
times = time_in_turn({n: lambda n=n: next_logits(model, many[:, :n], None) for n in (1, 16, 32, 64, 128)}, repeats=3)
per_token = (times[64].median - times[1].median) / 63
per_step = times[1].median - per_token
points = {name: [getattr(t, name) * 1000 for t in times.values()] for name in ("median", "least", "most")}
points |= {"x": list(times), "predicted": [(per_step + count * per_token) * 1000 for count in times]}
speed_curves({"measured": points}, "tokens read in one step", "milliseconds", linear=True)

# %% tags=["recorded"]
print(f"per step {per_step * 1000:.0f} ms, and per token {per_token * 1000:.1f} ms")
for name, counted in read.items():
    guess = new_tokens * per_step + sum(counted) * per_token
    print(f"{name}: predicted {guess * 1000:,.1f} ms, measured {total[name]}, ratio {guess / total[name].median:.2f}")
assert times[64].median < 32 * times[1].median

# %% [markdown]
# One step with 64 tokens takes less than half the time of 64 steps with one. Two prices and a count give a guess for
# both runs, which weren't used to find the prices: a ratio of 1 would be perfect. The price per step is what the cache
# can't save: you pay it for every token you write, cache or no cache.
#
# ## 6 · What a step waits for
#
# What do you pay it for? Much of it for moving the weights: in each step, all of them have to come from memory to the
# processor. Once a weight is there, it's used for every token in the step, each time with one multiplication and one
# addition, so two **FLOPs** (floating-point operations). FLOPs per byte are called **arithmetic intensity**.
#
# A machine has a balance of its own, the **ridge**: how many FLOPs it can do in the time it takes to read one byte.
# Below the ridge, arithmetic waits for memory, and the step is **memory-bound**. Above it, memory waits for arithmetic,
# and the step is **compute-bound**. Where are our steps?

# %% tags=["nbval-check-output"]
from course_utils.measuring.roofline import measured_rates, step_bytes, step_flops

shape = PUBLISHED["SmolLM2-135M"]
for size, name in ((4, "fp32, as here"), (2, "16 bits, as on a GPU")):
    for tokens in (1, 119, 512):
        intensity = step_flops(shape, tokens) / step_bytes(shape, context=tokens, bytes_per_number=size)
        print(f"{name:21} {tokens:3} read in a step: {intensity:5.1f} FLOPs per byte")
print(f"the ridge of an H100 GPU: {989 / 3.35:.0f} FLOPs per byte")

# %% tags=["recorded"]
rates = measured_rates()
print(f"this machine: {rates.flops / 1e9:.0f} GFLOP/s, {rates.bandwidth / 1e9:.0f} GB/s, ridge at {rates.balance:.1f}")
for tokens in (1, 119):
    is_below = step_flops(shape, tokens) / step_bytes(shape, context=tokens) < rates.balance
    print(f"{tokens:3} read in a step: {'below it' if is_below else 'above it'}")

# %% [markdown]
# A decode step does 0.5 FLOPs per byte, or 1.0 in 16 bits, and waits for memory. Prefill of 119 tokens does nearly a
# hundred times as many. The last line says whether that makes it compute-bound on this machine. On an H100 SXM (989
# TFLOP/s in bf16, 3.35 TB/s: NVIDIA 2023, *H100 Tensor Core GPU: data sheet*) it would still be memory-bound: it takes
# a few hundred tokens to get above the ridge. So when people say that decode is memory-bound and prefill is
# compute-bound, two conditions are missing: *one text at a time*, and *a long prompt*.
#
# That's why servers decode many texts in one step: the weights come from memory once for all of them (Pope et al. 2022,
# *Efficiently Scaling Transformer Inference*). How far that goes, and how close a real step comes to these limits, is
# in [Deeper: the roofline](deeper/10_roofline.ipynb).
#
# ## 7 · Two prompts, one beginning
#
# You ask two questions about one text. Everything before the question is the same, so its keys and values are, too.
# Read the first prompt, and forget what comes after the shared part (`crop`). Then only the rest of the second prompt
# has to be read.


# %% tags=["nbval-check-output"]
from course_utils.engine.cache import shared_prefix

first, second = smollm.encode(story + " The lighthouse was built in"), smollm.encode(story + " The keeper's name was")
keep = shared_prefix(first[0].tolist(), second[0].tolist())
_, kept = prefill(model, first)
kept.crop(keep)
answer = generate_with_cache(second, 5, kept.copy())
assert torch.equal(answer, generate_with_cache(second, 5))
print(f"{keep} of {second.shape[1]} tokens are shared: {smollm.tokenizer.decode(answer[0, -5:])!r}")

# %% tags=["recorded"]
calls = {"from scratch": lambda: prefill(model, second), "reused": lambda: prefill(model, second, kept.copy())}
silence = time_in_turn(calls, repeats=3)
assert silence["reused"].median < silence["from scratch"].median
print(f"TTFT from scratch {silence['from scratch']}\nTTFT with the shared part reused {silence['reused']}")

# %% [markdown]
# The same answer as from scratch, after a shorter silence. Servers do this for prompts that begin alike (Kwon et al.
# 2023, *PagedAttention*), and services bill such tokens at a lower price (OpenAI 2024, *Prompt Caching in the API*).
# Now someone wants the model to know what day it is, and puts the date in front of everything.

# %%
dated = predict(
    "10-date-first",
    "“Today is Monday.” comes before the story, and tomorrow “Today is Tuesday.” How much of yesterday's cache can be "
    "reused?",
    {"all but the date": (100, None), "about half": (20, 100), "nearly nothing": (0, 20)},
)
dated

# %% tags=["nbval-check-output"]
monday, tuesday = (smollm.encode(f"Today is {day}. {story}")[0].tolist() for day in ("Monday", "Tuesday"))
dated.compare(shared_prefix(monday, tuesday), show="{} tokens")

# %% [markdown]
# Every token after the date has looked at the date, so its keys and values are different. Put what changes at the end.
#
# ## 8 · The whole thing in one cell
#
# The model's 30 layers with a cache, in plain `torch`. Embeddings, linear maps, MLPs, norms and the rotation of
# positions are the model's own. Look for three things: what is unread, what is kept, and what is chosen.


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
            if number in cache:  # decode: the new key and value after the old ones
                k, v = (torch.cat(pair, dim=2) for pair in zip(cache[number], (k, v), strict=True))
            cache[number] = k, v
            hidden = hidden + part.o_proj(attend(q, k, v, mask, enable_gqa=True).transpose(1, 2).flatten(2))
            hidden = hidden + layer.mlp(layer.post_attention_layernorm(hidden))
        unread = model.lm_head(llama.norm(hidden[:, -1:])).argmax(-1)
        ids = torch.cat([ids, unread], dim=1)
    return ids


# %% tags=["nbval-check-output"]
mine = my_generate(ids, 12)
assert torch.equal(mine, reference)
smollm.tokenizer.decode(mine[0])

# %% [markdown]
# ## 9 · Quiz
#
# Every option, right or wrong, has an explanation.

# %% tags=["nbval-check-output"]
from course_utils.learner import quiz_question

quiz_question(
    "10-quiz-kept",
    "Why are keys and values kept, and not queries?",
    [
        ("Queries are too large", False, "Here they are larger (9 heads, not 3), but that isn't why."),
        (
            "A query is used once, when its token is read",
            True,
            "Yes: later tokens compare their own query with old keys, and mix old values. No old query is needed.",
        ),
        ("Queries change in every step", False, "An old query would stay what it was. It's just never needed again."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "10-quiz-processor",
    "You get a processor with twice the FLOP/s and equally fast memory. One user sends long prompts. What gets faster?",
    [
        ("Mostly decode", False, "A decode step leaves most of the arithmetic idle already. It waits for the weights."),
        ("Mostly prefill", True, "Yes: with a long prompt it's compute-bound. The silence gets shorter."),
        ("Both, twice", False, "Only what waits for arithmetic gets faster, and a decode step waits for memory."),
    ],
)

# %% tags=["nbval-check-output"]
quiz_question(
    "10-quiz-prefix",
    "A chat sends its whole history with every message. How can the tenth answer begin as soon as the first?",
    [
        (
            "The model remembers the chat",
            False,
            "Its weights don't change. All it knows of the chat is the history that's sent again.",
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
# - Prefill has three steps, once for the whole prompt: tokenize, embed, process. Decode has four, once per token:
#   attend, probabilities, select, continue or stop. TTFT measures the one, TPOT the other.
# - Old tokens never see new ones, so their keys and values can be kept, also for another prompt that begins the same.
# - The KV cache takes 2 × layers × KV heads × numbers per head × bytes per number for each token: 46,080 bytes here.
# - Without it, the tokens read grow with the square of the answer. With it, every step still waits for the weights.
# - For one text at a time, decode is memory-bound, and prefill of a long prompt is compute-bound.
#
# **Exercise**: [10 · Prefill and decode](../exercises/10_prefill_and_decode.ipynb). **Deeper**: [the
# roofline](deeper/10_roofline.ipynb). **All lessons**: [the index](index.ipynb).
#
# **Next**: [11 · Sampling](11_sampling.ipynb) takes the logits of one step and asks how to choose a token from them.
