"""Fewer bits: errors within their bounds, sizes as counted, equal to llama.cpp's format, and SmolLM2 unchanged."""

import numpy as np
import pytest
import torch
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize, quantize
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from course_utils.measuring import number_formats as formats
from course_utils.measuring.four_bits import pack_4bit, unpack_4bit
from course_utils.models import load_causal_lm, load_encoder
from tests.examples import examples

numbers = st.floats(-1000, 1000, width=32)
matrices = st.tuples(st.integers(1, 4), st.integers(1, 3)).flatmap(
    lambda size: arrays.arrays(np.float32, (size[0], size[1] * 32), elements=numbers)
)


@given(matrices, st.integers(2, 8), st.sampled_from([None, 8, 32]))
@example(np.full((1, 32), 1e-45, np.float32), 3, None)  # its scale is 0
def test_around_zero_a_weight_moves_by_half_a_step_at_most(matrix, bits, group):
    weights = torch.from_numpy(matrix)
    small = formats.quantise_absmax(weights, bits, group)
    moved = (small.dequantise() - weights).reshape(len(small.scales), -1).abs()
    largest = weights.reshape(len(small.scales), -1).abs().amax(1, keepdim=True)
    # Below the smallest normal number, a scale has few bits left, or none.
    assert (moved <= small.scales * (0.5 + 1e-4) + largest * 1e-6 + torch.finfo(torch.float32).tiny).all()
    assert small.numbers.dtype == torch.int8
    assert small.numbers.abs().max() <= 2 ** (bits - 1) - 1
    columns = group or weights.shape[1]
    assert small.nbytes == weights.numel() + 4 * weights.numel() // columns


@given(matrices)
def test_between_least_and_largest_a_weight_moves_by_half_a_step_at_most(matrix):
    weights = torch.from_numpy(matrix)
    small = formats.quantise_4bit(weights)
    groups = weights.reshape(-1, 32)
    span = groups.amax(1, keepdim=True) - groups.amin(1, keepdim=True)
    # Scale and minimum are rounded to fp16: 11 bits of precision, and steps of 6e-8 below the smallest normal number.
    rounding = (span + groups.abs().amax(1, keepdim=True)) * 2**-11 + 16 * 6e-8
    moved = (small.dequantise() - weights).reshape(-1, 32).abs()
    assert (moved <= span / 15 * (0.5 + 1e-4) + rounding).all()


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # gguf's, where all of a group is nearly the same
@given(matrices)
def test_4_bits_equal_llama_cpp(matrix):
    theirs = dequantize(quantize(matrix, GGMLQuantizationType.Q4_1), GGMLQuantizationType.Q4_1)
    assert np.array_equal(formats.quantise_4bit(torch.from_numpy(matrix)).dequantise().numpy(), theirs)


def test_4_bits_have_the_bytes_of_llama_cpp():
    weights_a_block, bytes_a_block = GGML_QUANT_SIZES[GGMLQuantizationType.Q4_1]
    assert formats.quantise_4bit(torch.ones(7, weights_a_block)).nbytes == 7 * bytes_a_block


@given(matrices)
@examples(30)
def test_a_second_time_changes_nothing_around_zero(matrix):
    """The copy of a copy is the copy: what SmolLM2 shows in the lesson, for any weights."""
    once = formats.quantise_absmax(torch.from_numpy(matrix), bits=4, group=32).dequantise()
    assert torch.allclose(formats.quantise_absmax(once, bits=4, group=32).dequantise(), once, rtol=1e-5, atol=1e-30)


@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 5), st.just(32)), elements=st.integers(0, 15)))
def test_packing_and_unpacking(values):
    values = torch.from_numpy(values)
    assert torch.equal(unpack_4bit(pack_4bit(values)), values)


def test_smollm2_came_in_4_bits_and_minilm_did_not():
    weights = formats.linear_weights(load_causal_lm().model)
    assert sum(weight.numel() for weight in weights.values()) == 106_168_320
    assert not any("embed" in name or "lm_head" in name for name in weights)
    for weight in list(weights.values())[::10]:
        assert torch.equal(formats.quantise_4bit(weight.data).dequantise(), weight)
        assert not torch.equal(formats.quantise_absmax(weight.data).dequantise(), weight)
    minilm = load_encoder().model.encoder.layer[0].intermediate.dense.weight.data
    assert not torch.equal(formats.quantise_4bit(minilm).dequantise(), minilm)


def test_int8_layers_multiply_with_a_quarter_of_the_bytes():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 16))
    inputs, before = torch.randn(5, 64), [parameter.clone() for parameter in model.parameters()]
    small = formats.in_int8(model)
    assert formats.linear_bytes(model) == 4 * (64 * 32 + 32 * 16) == 4 * formats.linear_bytes(small)
    assert all(torch.equal(one, other) for one, other in zip(model.parameters(), before, strict=True))
    right, rounded = model(inputs), small(inputs)
    assert not torch.equal(rounded, right)
    assert torch.nn.functional.cosine_similarity(rounded, right).min() > 0.99


def test_int8_weights_alone_round_no_hidden_states_and_no_table():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Embedding(32, 64), torch.nn.Linear(64, 32, bias=False))
    model[1].weight = model[0].weight
    twin, small = formats.int8_weights_only(model), formats.in_int8(model)
    assert torch.equal(twin[0].weight, model[0].weight)
    assert torch.equal(twin[1].weight, small[1].weight().dequantize())
    assert not torch.equal(twin[1].weight, model[1].weight)
    ids = torch.arange(32)
    right, weights_only, both = model(ids), twin(ids), small(ids)
    assert torch.equal(weights_only, twin[0](ids) @ small[1].weight().dequantize().T)
    assert 0 < (weights_only - right).square().mean() < (both - right).square().mean()


def test_equal_weights_and_zeros_stay():
    for value in (0.0, 2.5, -2.5, 1e-40):
        weights = torch.full((2, 32), value)
        assert torch.allclose(formats.quantise_4bit(weights).dequantise(), weights)
        assert torch.allclose(formats.quantise_absmax(weights).dequantise(), weights)


def test_the_old_weights_come_back_also_after_an_error():
    model = torch.nn.Sequential(torch.nn.Linear(32, 4), torch.nn.Linear(4, 2)).requires_grad_(False)
    before = [parameter.clone() for parameter in model.parameters()]
    with formats.rounded_weights(model, torch.zeros_like):
        assert not model[0].weight.any()
        assert torch.equal(model[0].bias, before[1])
    with pytest.raises(KeyError), formats.rounded_weights(model, torch.zeros_like):
        raise KeyError
    with pytest.raises(ZeroDivisionError), formats.rounded_weights(model, lambda weights: 1 / 0):
        pass
    assert all(torch.equal(one, other) for one, other in zip(model.parameters(), before, strict=True))


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: formats.quantise_absmax(torch.ones(2, 4), bits=9), "bits must be a whole number in 2 … 8, got 9"),
        (lambda: formats.quantise_absmax(torch.ones(2, 4), bits=True), "bits must be a whole number in 2 … 8, got Tr"),
        (lambda: formats.quantise_absmax(torch.ones(4)), r"weights must have shape \(rows, a multiple of 4\), got \(4"),
        (lambda: formats.quantise_4bit(torch.ones(2, 33)), r"weights must have shape \(rows, a multiple of 32\), got"),
        (lambda: formats.quantise_4bit(torch.ones(2, 32), group=0), "group must be a whole number of at least 1, got"),
        (lambda: formats.quantise_4bit(torch.full((1, 32), 7e4)), "weights must be at most 65,504, got 70,000"),
        (lambda: formats.quantise_absmax(torch.tensor([[1.0, torch.inf]])), "weights must be finite, got infinite"),
    ],
)
def test_bad_input_gets_one_sentence(call, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}"):
        call()
