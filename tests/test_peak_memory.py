"""The worst moment of a call is found, whatever came before and after it; attention's two ways differ as counted."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_utils.engine.attention import fused_attention, scaled_dot_product_attention
from course_utils.engine.masks import causal_mask
from course_utils.measuring.memory import attention_score_bytes
from course_utils.measuring.model_shapes import PUBLISHED
from course_utils.measuring.peak_memory import peak_bytes
from tests.examples import examples


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=6))
@examples(15)
def test_tensors_that_exist_together_add_up(sizes):
    assert peak_bytes(lambda: [torch.empty(size) for size in sizes]) == 4 * sum(sizes)


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=6))
@examples(15)
def test_of_tensors_that_come_and_go_the_largest_counts(sizes):
    def one_by_one():
        for size in sizes:
            torch.empty(size)

    assert peak_bytes(one_by_one) == 4 * max(sizes)


def test_what_was_there_before_does_not_count():
    large = torch.ones(100_000)
    assert peak_bytes(lambda: large.sum()) < 1000


def test_an_error_passes():
    with pytest.raises(ZeroDivisionError):
        peak_bytes(lambda: 1 / 0)


def test_naive_attention_holds_all_scores_and_the_kernel_does_not():
    shape, peaks = PUBLISHED["SmolLM2-135M"], {}
    for tokens in (512, 1024):
        query, key, value = torch.randn(3, 1, 9, tokens, 64)
        mask = causal_mask(tokens, tokens)
        for attend in (scaled_dot_product_attention, fused_attention):
            call = lambda attend=attend, parts=(query, key, value, mask): attend(*parts)[0]  # noqa: E731
            peaks[attend, tokens] = peak_bytes(call)
        assert peaks[scaled_dot_product_attention, tokens] >= 2 * attention_score_bytes(shape, tokens, tokens)
        assert peaks[fused_attention, tokens] < attention_score_bytes(shape, tokens, tokens)
    assert 3.5 < peaks[scaled_dot_product_attention, 1024] / peaks[scaled_dot_product_attention, 512] < 4.5
