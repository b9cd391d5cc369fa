# %% [markdown]
# # Deeper 05 · Positions
#
# “The dog bit the man” and “The man bit the dog” have the same tokens, and so the same rows of the embedding. Something
# has to tell the model which came first. MiniLM and SmolLM2 do it in two different ways.
#
# **You will be able to**
#
# - say how a model with a table of places, and one with RoPE, know where a token is;
# - show that with RoPE only the distance counts, on paper and in a real head;
# - test the popular sentence “with RoPE, far tokens count less”.
#
# **Time**: 15 minutes. **Read before**: [05 · From text to vectors](../05_from_text_to_vectors.ipynb).

# %% [markdown]
# ## 1 · Add a vector for the place
#
# The first Transformers *added* a vector for the place to the vector of the token (Vaswani et al., 2017). MiniLM still
# does: it has one learned row for each of 512 places. Take a text with two cats, and compare the two in both models
# before the first layer.

# %% tags=["nbval-check-output"]
import torch

from course_utils.experiments.reach import hidden_states
from course_utils.learner import predict
from course_utils.models import load_causal_lm, load_encoder

smollm, minilm = load_causal_lm(), load_encoder()
print("MiniLM's table of places:", tuple(minilm.model.embeddings.position_embeddings.weight.shape))
for model, cats in ((smollm, (1, 4)), (minilm, (2, 5))):  # MiniLM's text begins with [CLS]
    with torch.inference_mode():
        first, second = hidden_states(model.model, model.encode("the cat and the cat"))[0, cats]
    print(f"{model.name:24} cosine of the two cats: {torch.cosine_similarity(first, second, dim=0):.2f}")

# %% [markdown]
# MiniLM's cats differ from the start. SmolLM2's are one and the same row: here nothing is added.
#
# ## 2 · Turn instead of adding
#
# SmolLM2, like most models of its kind today, uses **RoPE** (Su et al., 2021, *RoFormer*). It leaves the vectors as
# they are until attention compares them ([lesson 08](../08_attention.ipynb)). There, every token has a *query*, what it
# looks for, and a *key*, what it offers. RoPE turns both, by an angle that grows with the place. First on paper: one
# arrow at the places 0 to 3, turned by one radian per place.

# %% tags=["nbval-check-output"]
from course_utils.engine.rope import rope_rotation, rotate

arrow = torch.tensor([1.0, 0.0])
turned = rotate(arrow.expand(4, 2), *rope_rotation(torch.arange(4), head_dim=2, base=100_000.0))
[[round(number, 2) for number in row] for row in turned.tolist()]

# %% [markdown]
# Attention compares a query and a key by their dot product: multiply number by number, and add. For arrows of the same
# length it depends on the angle *between* them. Here are the dot products of all pairs. Look along the diagonals.

# %% tags=["nbval-check-output"]
for row in (turned @ turned.T).tolist():
    print(*[f"{number:6.2f}" for number in row])

# %% [markdown]
# Along each diagonal it's always the same number. Places 0 and 1 have the same dot product as places 2 and 3, since
# **only the distance counts**.
#
# ## 3 · In a real head
#
# A head of SmolLM2 has 64 numbers, which make 32 such arrows. The fastest turns by one radian per place; each of the
# others is slower. Take a real pair from the first layer: the query of ␣sat and the key of ␣cat. At the places 5 and 0
# they have some dot product. What happens to it when both move 1,000 places on?

# %%
far_away = predict(
    "05-rope",
    "Both vectors move 1,000 places on. Their dot product …",
    {"stays the same": (0, 0.01), "changes a little": (0.01, 1), "changes a lot": (1, None)},
)
far_away


# %%
def query_and_key(text):
    """The query (9, 64) of the second token and the key (3, 64) of the first, in layer 0, before they are turned."""
    layer = smollm.model.model.layers[0]
    with torch.inference_mode():
        states = layer.input_layernorm(smollm.model.get_input_embeddings()(smollm.encode(text)[0]))
        return layer.self_attn.q_proj(states)[1].view(9, 64), layer.self_attn.k_proj(states)[0].view(3, 64)


# %%
def at(vector, places):
    """The vector `(64,)` as it is at each of the places, `(place, 64)`."""
    return rotate(vector.expand(len(places), 64), *rope_rotation(places, head_dim=64, base=100_000.0))


# %% tags=["nbval-check-output"]
query, key = query_and_key(" cat sat")
places = torch.tensor([0, 1, 10, 100, 1_000, 8_000])
for distance in (0, 1, 5, 20):
    dots = (at(query[0], places + distance) * at(key[0], places)).sum(-1)
    print(f"distance {distance:2}:", *[f"{dot:7.2f}" for dot in dots.tolist()])

# %% tags=["nbval-check-output"]
dots = (at(query[0], places + 5) * at(key[0], places)).sum(-1)
far_away.compare(abs(dots[0] - dots[4]).item(), show="a change of {:.2f}")

# %% [markdown]
# Each line is constant, and the lines differ. Both vectors change from place to place; what attention gets to see of
# them depends on the distance only.
#
# ## 4 · The whole model
#
# If that's so in every head, the whole model shouldn't notice when all tokens move. `transformers` takes the places as
# an input. Twenty prompts, at the places 0, 1, 2 … and then 100 further: how much does the probability of the most
# likely next token change? MiniLM predicts no next token, so compare its vectors here and there.

# %%
from course_utils.experiments.failure_cases import CAPITALS


def run_at(model, text, start):
    """What `model` makes of `text` when its first token has the place `start`."""
    ids = model.encode(text)
    return model.model(ids, position_ids=torch.arange(start, start + ids.shape[1])[None])


# %% tags=["nbval-check-output"]
changes, cosines = [], []
with torch.inference_mode():
    for text in (f"The capital of {country} is" for country in CAPITALS):
        here, there = (run_at(smollm, text, start).logits[0, -1].softmax(-1) for start in (0, 100))
        changes.append(abs(here.max() - there[here.argmax()]).item())
        here, there = (run_at(minilm, text, start).last_hidden_state[0] for start in (0, 100))
        cosines.append(torch.cosine_similarity(here, there).mean().item())
print(f"SmolLM2: a probability changes by {max(changes):.4f} at most")
print(f"MiniLM: mean cosine of a token here and there {min(cosines):.2f} to {max(cosines):.2f}")

# %% [markdown]
# On these prompts SmolLM2 gives the same answer wherever they begin. MiniLM's vectors move, because it learned other
# rows for those places.
#
# ## 5 · “With RoPE, far tokens count less”
#
# You'll read this often. Su et al. (2021) show that an upper bound of the score falls with the distance. Barbero et al.
# (2024) look into a trained model, and argue that this isn't what makes RoPE useful: heads learn to use it in different
# ways. Measure it: twenty pairs of words in the nine heads of the first layer, fourteen distances up to 4,096. Where is
# each of the 180 scores highest? As a baseline, turn 180 pairs of random vectors in the same way.

# %%
words = (
    "cat sat king house river money green water doctor sleep north old music table happy slow red bank dog seven ran"
)
texts = [f" {first} {second}" for first, second in zip(words.split(), words.split()[1:], strict=False)]
distances = torch.tensor([0, *(2**power for power in range(13))])


def scores(query, key):
    """The scores of a query with a key at each of the distances, `(distance,)`."""
    return at(query, distances) @ key / 64**0.5


# %% tags=["nbval-check-output"]
real = [scores(query[head], key[head // 3]) for query, key in map(query_and_key, texts) for head in range(9)]
noise = torch.randn(180, 2, 64, generator=torch.Generator().manual_seed(0))
random = [scores(query, key) for query, key in noise]
for name, curves in (("SmolLM2", real), ("random", random)):
    peaks = distances[torch.stack(curves).argmax(-1)]
    for low, high in ((0, 1), (2, 16), (32, 256), (512, 4096)):
        print(f"{name:8} highest at {low:3} to {high:4} places: {((peaks >= low) & (peaks <= high)).sum():3} of 180")

# %% tags=["nbval-check-output"]
from course_utils import figures

lines = {f"head {head}": real[head].numpy() for head in (0, 3, 8)}
figures.curves(lines, distances.tolist(), "distance between ␣cat and ␣sat", "score", logarithmic=True)

# %% [markdown]
# In this layer, 115 of the 180 real scores are highest at a distance of 0 or 1, and only two beyond 256. So the
# sentence holds here as a tendency, with exceptions: in head 8, ␣cat and ␣sat fit best 64 places apart. But look at the
# random vectors. They are turned in the same way, and half of their scores are highest at 512 or more. RoPE makes the
# distance *visible*. That near tokens count more in this layer, the model has learned.
#
# ## 6 · Quiz

# %% tags=["nbval-check-output"]
from course_utils.learner import quiz_question

quiz_question(
    "05-quiz-rope",
    "Where does SmolLM2 put the position of a token?",
    [
        ("It adds a vector to the embedding", False, "MiniLM does that. SmolLM2's two cats had a cosine of 1."),
        ("Into the id", False, "The same token has the same id everywhere."),
        (
            "Into the queries and keys of every layer, as a rotation",
            True,
            "Yes: and their dot product then depends on the distance, not on the place.",
        ),
    ],
)

# %% [markdown]
# ## Take-aways
#
# - Rows of the embedding don't know their place. MiniLM adds a learned row for it; SmolLM2 turns queries and keys.
# - With RoPE, what attention compares depends on the distance between two tokens, and not on where they are.
# - In SmolLM2's first layer near tokens mostly count more; random vectors, turned in the same way, show no such thing.
#
# **Back to** [05 · From text to vectors](../05_from_text_to_vectors.ipynb). What attention does with the turned vectors
# is in [08 · Attention](../08_attention.ipynb). **All lessons**: [the index](../index.ipynb).
