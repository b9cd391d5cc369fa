# %% [markdown]
# # Deeper 13 · Early stopping and wide beams
#
# When may a beam search stop, and how wide should it be? Both questions are about the same thing: how hard to look for
# the best score, and whether the best score is worth it. Here you measure both on translations.
#
# **You will be able to**
#
# - say what the three values of `early_stopping` promise, and what they cost;
# - test whether wider beams and no length penalty spoil a translator, as they have spoiled others.
#
# **Time**: 15 minutes. **Read before**: [13 · Beam search](../13_beam_search.ipynb).

# %% [markdown]
# ## 1 · Three answers
#
# A text that has ended leaves its beam, and waits with its score. Once as many texts wait as there are beams, may the
# search stop? `early_stopping` has three answers:
#
# - `True`: yes, at once.
# - `False`, the default: stop when no beam would beat the worst waiting text **if it ended now**. That's a guess. A
#   longer text can still get a better score.
# - `"never"`: stop only when no beam **can** beat it any more, whatever comes.
#
# Here's one search with SmolLM2, recorded to its end, and what the three answers make of it. A text ends at its full
# stop.

# %%
from course_utils.models import load_causal_lm
from course_utils.traces import record_beams

smollm = load_causal_lm()
FULL_STOP = smollm.tokenizer.convert_tokens_to_ids(".")

# %%
settings = {"num_beams": 4, "max_new_tokens": 12, "eos_ids": [FULL_STOP]}
tired = record_beams(smollm, "He was so tired that", to_the_end=True, **settings)

# %% tags=["nbval-check-output"]
for length_penalty in (0.5, 1):
    for early_stopping in (True, False, "never"):
        found, last_step = tired.replay(length_penalty, early_stopping)
        best = f"score {found[0].score:5.2f}:{tired.text(found[0].node)}"
        print(f"penalty {length_penalty:<4} {early_stopping!s:6} stops after step {last_step:2}, {best}")

# %% [markdown]
# With a length penalty of 0.5 all three find the same text, and the careful ones only search longer. With 1, the two
# careful ones find a longer text with a better score. (None of this changes which beams are kept on the way. That's why
# one recorded search answers for all three.)
#
# ## 2 · On 400 translations
#
# One sentence is an illustration. How often does it matter? The translator of lesson 13 gets its 400 sentences three
# times, with five beams.

# %%
from course_utils.learner import predict

hasty = predict(
    "13-deeper-hasty",
    "Of 400 translations, how many come out differently with early_stopping=True than with “never”?",
    {"fewer than 40": (0, 40), "40 to 120": (40, 121), "more than 120": (121, None)},
)
hasty

# %%
from course_utils.experiments.short_sentences import short_sentences
from course_utils.models.pipelines import load_pipeline

translator, sentences = load_pipeline("translation", models="embedded"), short_sentences()


# %%
def search(english, **settings):
    """Return the translations, which of them are right, and their scores."""
    batch = translator.tokenizer(english, return_tensors="pt", padding=True)
    out = translator.model.generate(
        **batch, do_sample=False, return_dict_in_generate=True, output_scores=True, **settings
    )
    texts = [text.strip() for text in translator.tokenizer.batch_decode(out.sequences, skip_special_tokens=True)]
    return texts, [text in sentences[source] for text, source in zip(texts, english, strict=True)], out.sequences_scores


# %%
found = {answer: search(list(sentences), num_beams=5, early_stopping=answer) for answer in (True, False, "never")}

# %% tags=["nbval-check-output"]
texts, _, scores = found["never"]
for answer, (others, right, other_scores) in found.items():
    different = sum(one != other for one, other in zip(texts, others, strict=True))
    worse = (other_scores < scores - 1e-5).sum()
    print(f"{answer!s:6} {sum(right)} right, {different} different, {worse} with a worse score")
hasty.compare(sum(one != other for one, other in zip(texts, found[True][0], strict=True)))

# %% [markdown]
# In these 400, `True` misses a better score 13 times, and `False` once. Readers wouldn't notice: the three get 158 or
# 159 right, which is no difference. And `"never"` searches longest, as section 1 shows. That's a fair reason for the
# default, `False`.
#
# ## 3 · Wide beams and no penalty
#
# Stahlberg and Byrne (2019, *On NMT Search Errors and Model Errors: Cat Got Your Tongue?*) found a translator that
# thinks nothing at all is the likeliest translation of more than half of its sentences. Is ours like that? The
# likelihood of saying nothing is the probability of the end token at the very first step. Compare it with the sum of
# the text that five beams found without a length penalty.

# %%
import torch

english = list(sentences)
batch = translator.tokenizer(english, return_tensors="pt", padding=True)
start = torch.full((len(english), 1), translator.model.config.decoder_start_token_id)
with torch.inference_mode():
    first = translator.model(**batch, decoder_input_ids=start).logits[:, 0].log_softmax(-1)

# %% tags=["nbval-check-output"]
nothing = first[:, translator.tokenizer.eos_token_id]
_, _, sums = search(english, num_beams=5, length_penalty=0.0)
print(f"median sum of nothing {nothing.median():.1f}, of the text found {sums.median():.1f}")
print(f"nothing is likelier for {(nothing > sums).sum()} of {len(english)} sentences")

# %% [markdown]
# Ours isn't like that, at least here. One possible reason: their sentences were news, and much longer. A sum falls with
# every token, while the price of saying nothing stays the same.
#
# Do wider beams still make our texts shorter, or worse? Take the first 100 sentences, with no penalty.

# %% tags=["nbval-check-output"]
from course_utils.experiments.intervals import bootstrap_interval

lengths = {}
for beams in (2, 5, 20):
    texts, right, _ = search(english[:100], num_beams=beams, length_penalty=0.0)
    lengths[beams] = [len(translator.tokenizer(text).input_ids) for text in texts]
    print(f"{beams:2} beams: {sum(right)} right, {sum(lengths[beams]) / 100:.2f} tokens")

# %% tags=["nbval-check-output"]
low, high = bootstrap_interval([wide - narrow for wide, narrow in zip(lengths[20], lengths[2], strict=True)])
print(f"20 beams minus 2: {low:+.2f} to {high:+.2f} tokens")

# %% [markdown]
# Wider beams do make these texts shorter, but only by a fraction of a token, and as many are right. That's the
# direction the literature warns of. On sentences this short, it does no harm that 100 of them would show.
#
# ## Take-aways
#
# - `early_stopping` decides how long to hope for a better score, and changes nothing on the way.
# - A better score isn't always a better text. On these translations the three answers are equally good.
# - Wide beams have spoiled other translators. Whether they spoil yours, only a measurement tells.
#
# **Back to** [13 · Beam search](../13_beam_search.ipynb). **All lessons**: [the index](../index.ipynb).
