"""Attention equals torch and `transformers`: single heads, whole layers of SmolLM2 and MiniLM, head measures."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import scaled_dot_product_attention as torch_attention
from transformers import BartConfig, LlamaConfig
from transformers.models.bart.modeling_bart import BartAttention
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding, apply_rotary_pos_emb

from course_utils.engine import attention, bert, llama, masks, rope
from course_utils.engine.cache import KeyValueCache
from course_utils.experiments import head_measures
from course_utils.models import load_causal_lm, load_encoder
from tests.examples import examples
from tests.tiny_models import tiny_model

sizes = st.integers(1, 9)


def close(ours, theirs, tolerance):
    return torch.allclose(ours, theirs, rtol=0, atol=tolerance)


def random(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@given(sizes, sizes, sizes, sizes, st.integers(0, 99), st.booleans())
@examples(60)
def test_scaled_dot_product_equals_torch(heads, queries, keys, head_dim, seed, masked):
    query, key, value = (random(seed + i, 2, heads, length, head_dim) for i, length in enumerate((queries, keys, keys)))
    mask = random(seed, queries, keys) > 0 if masked else None  # some rows allow nothing at all
    output, weights = attention.scaled_dot_product_attention(query, key, value, mask)
    assert close(output, torch_attention(query, key, value, attn_mask=mask), 1e-5)
    allowed = torch.ones(queries, dtype=torch.bool) if mask is None else mask.any(-1)
    assert close(weights.sum(-1), allowed.float().expand(2, heads, queries), 1e-5)
    if masked:
        assert not weights[..., ~mask].any()


@given(st.integers(1, 3), st.integers(1, 4), sizes, st.integers(0, 5), sizes, st.integers(0, 99))
@examples(60)
def test_grouped_query_equals_repeated_heads(shared, group, queries, before, head_dim, seed):
    query = random(seed, 2, shared * group, queries, head_dim)
    key, value = (random(seed + i, 2, shared, queries + before, head_dim) for i in (1, 2))
    mask = masks.causal_mask(queries, queries + before)
    output, weights = attention.grouped_query_attention(query, key, value, mask)
    repeated = [states.repeat_interleave(group, dim=1) for states in (key, value)]
    expected, expected_weights = attention.scaled_dot_product_attention(query, *repeated, mask)
    assert close(output, expected, 1e-5)
    assert close(weights, expected_weights, 1e-5)
    assert close(attention.fused_attention(query, key, value, mask)[0], expected, 1e-5)


def test_grouped_query_wants_whole_groups():
    query, key = torch.zeros(1, 5, 2, 4), torch.zeros(1, 2, 2, 4)
    with pytest.raises(ValueError, match=r"^query_heads must be a multiple of key_value_heads \(2\), got 5$"):
        attention.grouped_query_attention(query, key, key)


def test_without_the_division_one_key_takes_all():
    query, key = random(0, 200, 64), random(1, 200, 64)
    divided = attention.attention_weights(attention.attention_scores(query, key)).amax(-1).mean()
    undivided = attention.attention_weights(query @ key.T).amax(-1).mean()
    assert divided < 0.15
    assert undivided > 0.75


@given(sizes, st.integers(0, 9), st.integers(1, 12))
@examples(40)
def test_masks_by_their_definition(queries, before, window):
    keys = queries + before
    causal = masks.causal_mask(queries, keys)
    sliding = masks.sliding_window_mask(queries, keys, window)
    for query in range(queries):
        position = before + query
        assert causal[query].tolist() == [key <= position for key in range(keys)]
        assert sliding[query].tolist() == [position - window < key <= position for key in range(keys)]
    assert masks.bidirectional_mask(queries, keys).all()


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: masks.causal_mask(3, 2), r"^key_length must be at least query_length \(3\), got 2$"),
        (lambda: masks.causal_mask(0, 2), "^query_length must be a whole number of at least 1, got 0$"),
        (lambda: masks.sliding_window_mask(2, 2, 0), "^window must be a whole number of at least 1, got 0$"),
        (lambda: masks.padding_mask(torch.ones(3)), r"^attention_mask must have shape \(batch, key\), got \(3,\)$"),
        (lambda: rope.rope_rotation(torch.arange(2), 3, 1e4), "^head_dim must be even, got 3$"),
        (lambda: llama.check_is_llama(tiny_model("gpt2")), "^model must be a LlamaForCausalLM with plain RoPE"),
    ],
)
def test_bad_input_gets_one_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


@given(st.integers(1, 8), st.integers(0, 9000), st.sampled_from([1e4, 1e5, 5e5]), st.integers(0, 99))
@examples(40)
def test_rope_equals_transformers(half, start, base, seed):
    config = LlamaConfig(head_dim=2 * half, rope_parameters={"rope_type": "default", "rope_theta": base})
    query, positions = random(seed, 1, 3, 5, 2 * half), torch.arange(start, start + 5)
    theirs = LlamaRotaryEmbedding(config)(query, positions[None])
    ours = rope.rope_rotation(positions, 2 * half, base)
    assert close(ours[0], theirs[0][0], 1e-5)
    assert close(ours[1], theirs[1][0], 1e-5)
    assert close(rope.rotate(query, *ours), apply_rotary_pos_emb(query, query, *theirs)[0], 1e-5)


def test_rope_depends_on_distance_only():
    query, key = random(0, 1, 1, 1, 64), random(1, 1, 1, 1, 64)
    scores = [
        rope.rotate(query, *rope.rope_rotation(torch.tensor([at]), 64, 1e4))
        @ rope.rotate(key, *rope.rope_rotation(torch.tensor([at - 5]), 64, 1e4)).transpose(-1, -2)
        for at in (5, 50, 500)
    ]
    assert torch.cat(scores).flatten().tolist() == pytest.approx([scores[0].item()] * 3, abs=1e-3)


@given(sizes, sizes, st.integers(1, 4), st.integers(0, 99))
@examples(30)
def test_cross_attention_equals_bart(queries, keys, heads, seed):
    torch.manual_seed(seed)
    config = BartConfig(d_model=8 * heads, attn_implementation="eager")
    theirs = BartAttention(8 * heads, heads, config=config).eval().requires_grad_(False)
    hidden, source = random(seed, 2, queries, 8 * heads), random(seed + 1, 2, keys, 8 * heads)
    expected, expected_weights = theirs(hidden, key_value_states=source)
    projections = attention.Projections(theirs.q_proj, theirs.k_proj, theirs.v_proj, theirs.out_proj)
    output, weights = attention.multi_head_attention(hidden, source, projections, heads)
    assert close(output, expected, 1e-5)
    assert close(weights, expected_weights, 1e-5)


PROMPT = "The cat sat on the mat because it was tired. The dog sat on the mat because it was"


@pytest.fixture
def eager():
    """transformers returns weights of attention only from its eager implementation."""
    changed = []

    def switch(model):
        changed.append((model, model.config._attn_implementation))
        model.set_attn_implementation("eager")
        return model

    yield switch
    for model, implementation in changed:
        model.set_attn_implementation(implementation)


def test_every_layer_and_head_of_smollm2(eager):
    smollm = load_causal_lm()
    ids = smollm.encode(PROMPT)
    with torch.inference_mode():
        theirs = eager(smollm.model)(ids, output_attentions=True, output_hidden_states=True)
    ours = list(llama.layer_outputs(smollm.model, ids))
    assert len(ours) == len(theirs.attentions) == 30
    for (hidden, weights), expected_weights, expected in zip(
        ours, theirs.attentions, theirs.hidden_states[1:], strict=True
    ):
        assert close(weights, expected_weights, 1e-4)
        if expected is not theirs.hidden_states[-1]:  # the last one is returned after the final norm
            # This model has numbers of 22,000 among its hidden states, where float32 itself is 0.002 coarse.
            assert torch.allclose(hidden, expected, rtol=1e-6, atol=1e-3)
    final = llama.rms_norm(ours[-1][0], smollm.model.model.norm)
    assert close(final, theirs.hidden_states[-1], 1e-3)
    assert close(llama.llama_next_logits(smollm.model, ids), theirs.logits[:, -1], 1e-3)


def test_known_layers_are_yielded_again_and_not_computed():
    model, ids = load_causal_lm().model, torch.tensor([[5, 6, 7]])
    outputs = list(llama.layer_outputs(model, ids))
    doubled = [(hidden * 2, weights) for hidden, weights in outputs]
    for known in (0, 1, 29, 30):
        again = list(llama.layer_outputs(model, ids, known=outputs[:known]))
        assert all(one[0] is two[0] for one, two in zip(again[:known], outputs, strict=False))
        assert len(again) == 30
        assert torch.equal(again[-1][0], outputs[-1][0])
    assert not torch.equal(list(llama.layer_outputs(model, ids, known=doubled[:29]))[-1][0], outputs[-1][0])
    for wrong in ({"known": outputs * 2}, {"known": outputs[:3], "cache": KeyValueCache(30)}):
        with pytest.raises(ValueError, match=r"^known must be of at most 30 layers and go without a cache, got "):
            next(llama.layer_outputs(model, ids, **wrong))


def test_one_layer_alone_equals_transformers():
    """The layer on its own input, so that no error of another layer can hide or grow."""
    smollm = load_causal_lm()
    ids = smollm.encode(PROMPT)
    with torch.inference_mode():
        states = smollm.model(ids, output_hidden_states=True).hidden_states
        rotation = smollm.model.model.rotary_emb(states[0], torch.arange(ids.shape[1])[None])
        for layer, hidden in zip(smollm.model.model.layers, states[:-1], strict=True):
            expected = layer(hidden, position_embeddings=rotation)
            ours, _ = llama.decoder_layer(
                hidden, layer, (rotation[0][0], rotation[1][0]), masks.causal_mask(ids.shape[1], ids.shape[1])
            )
            assert torch.allclose(ours, expected, rtol=1e-6, atol=1e-3)


@pytest.mark.parametrize("texts", [["a bank by the river"], ["short", "a text that is quite a bit longer"]])
def test_every_layer_and_head_of_minilm(eager, texts):
    minilm = load_encoder()
    batch = minilm.tokenizer(texts, padding=True, return_tensors="pt")
    mask = masks.padding_mask(batch.attention_mask)
    with torch.inference_mode():
        theirs = eager(minilm.model)(**batch, output_attentions=True, output_hidden_states=True)
        hidden = theirs.hidden_states[0]
        for layer, expected_weights, expected in zip(
            minilm.model.encoder.layer, theirs.attentions, theirs.hidden_states[1:], strict=True
        ):
            hidden, weights = bert.encoder_layer(hidden, layer, 12, mask)
            assert close(weights, expected_weights, 1e-4)
            assert close(hidden, expected, 1e-3)


def rows_of_causal_weights(seed, length):
    return attention.attention_weights(random(seed, 2, length, length) * 3, masks.causal_mask(length, length))


@given(st.integers(2, 12), st.integers(0, 99), st.integers(1, 4))
@examples(50)
def test_head_measures_by_their_definition(length, seed, vocabulary):
    weights = rows_of_causal_weights(seed, length)
    ids = torch.randint(vocabulary, (length,), generator=torch.Generator().manual_seed(seed))
    head = weights[1].tolist()
    queries = range(1, length)
    assert head_measures.previous_token_score(weights)[1].item() == pytest.approx(
        sum(head[q][q - 1] for q in queries) / (length - 1), abs=1e-5
    )
    assert head_measures.first_token_score(weights)[1].item() == pytest.approx(
        sum(head[q][0] for q in queries) / (length - 1), abs=1e-5
    )
    asked = {q: [k for k in range(1, q + 1) if ids[k - 1] == ids[q]] for q in range(length)}
    scores = [sum(head[q][k] for k in keys) for q, keys in asked.items() if keys]
    assert head_measures.induction_score(weights, ids)[1].item() == pytest.approx(
        sum(scores) / len(scores) if scores else 0, abs=1e-5
    )
    entropies = [-sum(w * math.log2(w) for w in row if w > 0) for row in head]
    assert head_measures.attention_entropy(weights)[1].item() == pytest.approx(sum(entropies) / length, abs=1e-4)
    distances = [sum(w * (q - k) for k, w in enumerate(row)) for q, row in enumerate(head)]
    assert head_measures.attention_distance(weights)[1].item() == pytest.approx(sum(distances) / length, abs=1e-4)


def test_smollm2_has_the_heads_that_the_lesson_looks_for():
    """A text said twice: induction heads and previous-token heads stand far above the others."""
    smollm = load_causal_lm()
    words = torch.randint(1000, 40_000, (25,), generator=torch.Generator().manual_seed(0))
    ids = torch.cat([words, words])[None]
    weights = torch.cat([layer for _, layer in llama.layer_outputs(smollm.model, ids)])
    assert weights.shape[:2] == (30, 9)
    assert head_measures.induction_score(weights, ids[0]).max() > 0.5
    assert head_measures.previous_token_score(weights).max() > 0.5
    assert head_measures.first_token_score(weights).max() > 0.9


@pytest.mark.parametrize("weights", [torch.zeros(3), torch.zeros(1, 1), torch.zeros(2, 3)])
def test_head_measures_want_square_weights(weights):
    with pytest.raises(ValueError, match=r"^weights must have shape \(..., query, key\)"):
        head_measures.previous_token_score(weights)


def test_induction_wants_as_many_ids_as_tokens():
    with pytest.raises(ValueError, match=r"^ids must have shape \(3,\) like the weights, got \(2,\)$"):
        head_measures.induction_score(torch.zeros(3, 3), torch.tensor([1, 2]))
