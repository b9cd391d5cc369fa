# %% [markdown]
# # Deeper 02 · Bytes and FLOPs, measured
#
# [Lesson 02](../02_where_llms_fail.ipynb) predicts the memory and the arithmetic of a model from its number of
# parameters. Do the operating system and the stopwatch agree?
#
# **You will be able to**
#
# - tell resident memory from private memory, and say which one a model takes;
# - say when FLOPs predict the time of a run, and when they don't.
#
# **Time**: 10 minutes. **Read before**: [02 · Where LLMs fail](../02_where_llms_fail.ipynb), section 7.

# %% [markdown]
# ## 1 · Which memory?
#
# The operating system knows two numbers. **Resident** is what lies in RAM for this process, even if others share it.
# **Private** is what would be free if the process ended. Load the model a second time, and watch both.

# %% tags=["nbval-check-output"]
from course_utils.measuring.memory import weight_bytes
from course_utils.models import load_causal_lm

model = load_causal_lm().model
predicted = weight_bytes(model.num_parameters(), bytes_per_number=4)
print(f"predicted: {predicted / 1e6:.0f} MB")

# %%
from course_utils.learner import predict

growth = predict(
    "02-resident",
    "The model is loaded a second time: 538 MB of weights. By how much does the private memory grow?",
    {"under 100 MB": (None, 100), "100 to 400 MB": (100, 400), "over 400 MB": (400, None)},
)
growth

# %% tags=["recorded"]
from copy import deepcopy

import torch
from course_utils.measuring.process_memory import process_memory
from transformers import AutoModelForCausalLM

start = process_memory()
twin = AutoModelForCausalLM.from_pretrained(model.name_or_path, local_files_only=True)
print("loaded:     ", process_memory().since(start))
twin(torch.tensor([[1]]))
after_run = process_memory()
print("ran once:   ", after_run.since(start))
own = deepcopy(twin)
copied = process_memory().since(after_run)
print("then copied:", copied)
growth.compare(after_run.since(start).private / 1e6, show="{:.0f} MB")

# %% tags=["recorded"]
ratio = copied.private / predicted
assert 0.5 < ratio < 2
del twin, own
print(f"the copy's private memory is {ratio:.2f} × the prediction")

# %% [markdown]
# Loading costs next to nothing, because the file is *mapped*: its pages come into RAM when they're first read. After
# one run they're resident, and still not private, because every process that maps the same file shares them. That's how
# thirty learners can work on one machine. A copy, which could be changed, has memory of its own, about what the formula
# says. So when you hear “this model takes 500 MB”, ask which memory was meant.
#
# ## 2 · Which time?
#
# A product of two large matrices shows how many FLOPs this machine does in a second. Divide the model's FLOPs by it,
# and you have a prediction. How far off is it for a single token?

# %%
off = predict(
    "02-flops",
    "Reading one token takes longer than its FLOPs alone would. How many times longer?",
    {"less than 1.5 times": (0, 1.5), "1.5 to 5 times": (1.5, 5), "more than 5 times": (5, None)},
)
off

# %% tags=["recorded"]
import statistics
from itertools import pairwise
from time import perf_counter

from course_utils.engine.prefill_decode import next_logits
from course_utils.measuring.model_shapes import ModelShape
from course_utils.measuring.roofline import matmul_rate, step_flops

shape, rate, times_longer = ModelShape.of("SmolLM2", model), matmul_rate(), {}
text = torch.arange(1, 129)[None]
for tokens in (1, 8, 128):
    next_logits(model, text[:, :tokens], None)  # a warm-up
    marks = [perf_counter()]
    for _ in range(5):
        next_logits(model, text[:, :tokens], None)
        marks.append(perf_counter())
    seconds = statistics.median(end - begin for begin, end in pairwise(marks))
    ideal = step_flops(shape, tokens) / rate
    times_longer[tokens] = seconds / ideal
    print(f"{tokens:3} tokens: predicted {ideal * 1000:5.1f} ms, measured {seconds * 1000:5.1f} ms")

# %% tags=["recorded"]
print({tokens: f"{times:.1f} times" for tokens, times in times_longer.items()}, f"at {rate / 1e9:.0f} GFLOP/s")
assert times_longer[1] > times_longer[128]
off.compare(times_longer[1], show="{:.1f} times")

# %% [markdown]
# The more tokens are read at once, the closer the formula comes. For a single token it's far too hopeful: the
# arithmetic is done in no time, but all the weights have to come from memory first ([lesson
# 10](../10_prefill_and_decode.ipynb)). So FLOPs predict the price of *reading* a text, and bytes the price of *writing*
# one.
#
# **Back to the lesson**: [02 · Where LLMs fail](../02_where_llms_fail.ipynb). **All lessons**: [the
# index](../index.ipynb).
