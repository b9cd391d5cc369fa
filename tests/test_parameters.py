"""Parameters by part add up to what transformers counts, and the formula gives them without a model."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import LlamaConfig, LlamaForCausalLM

from course_utils.measuring.model_shapes import PUBLISHED
from course_utils.measuring.parameters import MIXTURES, llama_parameters, parameters_by_part
from course_utils.models import load_causal_lm, load_encoder, load_head
from course_utils.models.phone_book import phone_book_models
from course_utils.models.pipelines import load_pipeline
from tests.examples import examples
from tests.tiny_models import tiny_model

SMALL = st.integers(1, 3)


@given(SMALL, SMALL, SMALL, st.integers(1, 40), st.integers(1, 50), st.booleans())
@examples(25)
def test_the_formula_equals_any_llama(layers, kv_heads, group, mlp_size, vocab_size, tied):
    head_dim, query_heads = 4, kv_heads * group
    hidden_size = 2 * query_heads  # the heads need not add up to it
    config = LlamaConfig(
        hidden_size=hidden_size, intermediate_size=mlp_size, num_hidden_layers=layers, head_dim=head_dim,
        num_attention_heads=query_heads, num_key_value_heads=kv_heads, vocab_size=vocab_size, tie_word_embeddings=tied,
        bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    with torch.device("meta"):
        model = LlamaForCausalLM(config)
    model.tie_weights()
    counted = parameters_by_part(model)
    assert counted == llama_parameters(
        layers, hidden_size, query_heads, kv_heads, head_dim, mlp_size, vocab_size, tied=tied
    )
    assert sum(counted.values()) == model.num_parameters()


@pytest.mark.parametrize("kind", ["llama", "gpt2", "t5", "bart"])
def test_every_architecture_adds_up(kind):
    counted = parameters_by_part(tiny_model(kind))
    assert "other" not in counted
    # The tiny models get an output layer of their own, which `num_parameters` counts as well.
    assert sum(counted.values()) == tiny_model(kind).num_parameters()
    assert min(counted.values()) > 0


def test_the_models_of_the_course_add_up():
    models = [load_causal_lm().model, load_encoder().model, load_head("nli")[0], load_pipeline("translation").model]
    for model in [*models, *phone_book_models().values()]:
        assert sum(parameters_by_part(model).values()) == model.num_parameters()


def test_a_bert_by_hand():
    config = load_encoder().model.config
    width, layers = config.hidden_size, config.num_hidden_layers
    expected = {
        "embedding": (config.vocab_size + config.max_position_embeddings + config.type_vocab_size) * width,
        "attention": layers * 4 * (width + 1) * width,
        "MLP": layers * (2 * width * config.intermediate_size + config.intermediate_size + width),
        "norms": (2 * layers + 1) * 2 * width,
        "other": (width + 1) * width,
    }
    assert parameters_by_part(load_encoder().model) == expected


@pytest.mark.parametrize(
    ("name", "mlp_size"), [("Llama 3.1 8B", 14_336), ("Llama 3.1 70B", 28_672), ("Llama 2 7B", 11_008)]
)
def test_published_models_have_what_they_claim(name, mlp_size):
    shape = PUBLISHED[name]
    counted = llama_parameters(
        shape.layers, shape.hidden_size, shape.query_heads, shape.key_value_heads, shape.head_dim, mlp_size,
        shape.vocab_size,
    )  # fmt: skip
    assert sum(counted.values()) == shape.parameters


def test_mixtures_are_larger_than_what_works_on_a_token():
    for mixture in MIXTURES.values():
        assert 1e9 < mixture.active < mixture.parameters / 10
        assert "(20" in mixture.source


@pytest.mark.parametrize("name", ["layers", "mlp_size", "vocab_size", "key_value_heads"])
def test_a_wrong_number_is_one_sentence(name):
    numbers = dict.fromkeys(
        ("layers", "hidden_size", "query_heads", "key_value_heads", "head_dim", "mlp_size", "vocab_size"), 4
    )
    with pytest.raises(ValueError, match=rf"^{name} must be a whole number of at least 1, got 0$"):
        llama_parameters(**numbers | {name: 0})
