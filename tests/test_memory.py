"""Every formula equals the bytes of real tensors; the published shapes have the parameters they claim."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import (
    AutoModelForCausalLM,
    DynamicCache,
    Gemma2Config,
    GPT2Config,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    Qwen2Config,
    StaticCache,
)

from course_utils.engine.prefill_decode import prefill
from course_utils.measuring import memory
from course_utils.measuring.model_shapes import PUBLISHED, ModelShape
from course_utils.models import load_causal_lm
from tests.examples import examples
from tests.tiny_models import tiny_model


@st.composite
def llamas(draw):
    """A random small Llama with any grouping of heads."""
    shared, group, head_dim = draw(st.integers(1, 3)), draw(st.integers(1, 3)), 2 * draw(st.integers(1, 8))
    config = LlamaConfig(
        hidden_size=shared * group * head_dim,
        intermediate_size=16,
        num_hidden_layers=draw(st.integers(1, 3)),
        num_attention_heads=shared * group,
        num_key_value_heads=shared,
        head_dim=head_dim,
        vocab_size=draw(st.integers(2, 200)),
        max_position_embeddings=64,
        tie_word_embeddings=draw(st.booleans()),
        attn_implementation="eager",
    )
    return LlamaForCausalLM(config).eval().requires_grad_(False)


@given(llamas(), st.integers(1, 20), st.integers(1, 3), st.sampled_from([torch.float32, torch.bfloat16]))
@examples(25)
def test_formulas_equal_real_tensors(model, tokens, batch, dtype):
    model = model.to(dtype)
    shape, size = ModelShape.of("random", model), dtype.itemsize
    ids = torch.ones(batch, tokens, dtype=torch.long)
    outputs = model(ids, use_cache=True, output_attentions=True)
    assert memory.weight_bytes(shape.parameters, size) == memory.measured_weight_bytes(model)
    cached = memory.kv_cache_bytes(shape, tokens, batch, size)
    assert cached == memory.measured_cache_bytes(outputs.past_key_values)
    scores = memory.attention_score_bytes(shape, tokens, tokens, batch, size)
    assert {weights.nbytes for weights in outputs.attentions} == {scores}
    assert memory.logits_bytes(shape, tokens, batch, size) == outputs.logits.nbytes


@pytest.mark.parametrize("tokens", [1, 16, 128])
def test_smollm2_cache_in_bytes(tokens):
    smollm = load_causal_lm()
    shape = ModelShape.of("SmolLM2-135M", smollm.model)
    ids = torch.full((1, tokens), 100)
    expected = memory.kv_cache_bytes(shape, tokens)
    assert expected == 46_080 * tokens
    for cache in (None, DynamicCache()):
        assert memory.measured_cache_bytes(prefill(smollm.model, ids, cache)[1]) == expected
    published = PUBLISHED["SmolLM2-135M"]
    assert vars(shape) | {"source": published.source} == vars(published)
    assert memory.weight_bytes(shape.parameters) == memory.measured_weight_bytes(smollm.model)


def test_other_caches_are_measured():
    empty = StaticCache(config=tiny_model("llama").config, max_cache_len=10)
    assert memory.measured_cache_bytes(empty) == 0
    t5, ids = tiny_model("t5"), torch.ones(1, 5, dtype=torch.long)
    cache = t5(ids, decoder_input_ids=ids[:, :2]).past_key_values
    # 2 layers of 4 heads of 8 numbers: 2 target tokens and 5 source tokens, keys and values.
    assert memory.measured_cache_bytes(cache) == 2 * 2 * 4 * 8 * (2 + 5) * 4


def llama(shape, intermediate_size, **more):
    return {
        "hidden_size": shape.hidden_size, "intermediate_size": intermediate_size, "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.query_heads, "num_key_value_heads": shape.key_value_heads,
        "head_dim": shape.head_dim, "vocab_size": shape.vocab_size,
        "max_position_embeddings": shape.context_length, "tie_word_embeddings": False,
    } | more  # fmt: skip


def gpt2(shape):
    return {
        "n_embd": shape.hidden_size, "n_layer": shape.layers, "n_head": shape.query_heads,
        "vocab_size": shape.vocab_size, "n_positions": shape.context_length,
    }  # fmt: skip


TIED = {"tie_word_embeddings": True}
CONFIGURATIONS = {
    "GPT-2": lambda shape: GPT2Config(**gpt2(shape)),
    "GPT-2 XL": lambda shape: GPT2Config(**gpt2(shape)),
    "GPT-3": lambda shape: GPT2Config(**gpt2(shape)),
    "SmolLM2-135M": lambda shape: LlamaConfig(**llama(shape, 1_536, **TIED)),
    "SmolLM2-360M": lambda shape: LlamaConfig(**llama(shape, 2_560, **TIED)),
    "SmolLM2-1.7B": lambda shape: LlamaConfig(**llama(shape, 8_192, **TIED)),
    "Llama 2 7B": lambda shape: LlamaConfig(**llama(shape, 11_008)),
    "Llama 3.1 8B": lambda shape: LlamaConfig(**llama(shape, 14_336)),
    "Llama 3.1 70B": lambda shape: LlamaConfig(**llama(shape, 28_672)),
    "Llama 3.1 405B": lambda shape: LlamaConfig(**llama(shape, 53_248)),
    "Mistral 7B": lambda shape: MistralConfig(**llama(shape, 14_336)),
    "Qwen2.5-0.5B": lambda shape: Qwen2Config(**llama(shape, 4_864, **TIED)),
    "Qwen2.5-7B": lambda shape: Qwen2Config(**llama(shape, 18_944)),
    "Gemma 2 2B": lambda shape: Gemma2Config(**llama(shape, 9_216, **TIED)),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_models_have_the_parameters_they_claim(name):
    shape = PUBLISHED[name]
    with torch.device("meta"):  # no memory is taken: only the shapes exist
        model = AutoModelForCausalLM.from_config(CONFIGURATIONS[name](shape))
    counted = model.num_parameters()
    assert counted == pytest.approx(shape.parameters, rel=0.005 if name == "GPT-3" else 0)
    assert vars(ModelShape.of(name, model)) == vars(shape) | {"source": "its configuration", "parameters": counted}


SHAPE = PUBLISHED["GPT-2"]


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: memory.kv_cache_bytes(SHAPE, -1), "tokens must be a whole number of at least 0, got -1"),
        (lambda: memory.kv_cache_bytes(SHAPE, 1, batch=0), "batch must be a whole number of at least 1, got 0"),
        (lambda: memory.weight_bytes(1.5), "parameters must be a whole number of at least 0, got 1.5"),
        (lambda: memory.weight_bytes(1, 0), "bytes_per_number must be above 0 and at most 8, got 0"),
        (lambda: memory.logits_bytes(SHAPE, "all"), "positions must be a whole number of at least 0, got 'all'"),
        (lambda: memory.attention_score_bytes(SHAPE, 1, -2), "keys must be a whole number of at least 0, got -2"),
        (
            lambda: ModelShape("x", 1, 0, 1, 1, 1, 1, 1, 1, "none"),
            "layers must be a whole number of at least 1, got 0",
        ),
    ],
)
def test_bad_input_gets_one_sentence(call, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        call()
