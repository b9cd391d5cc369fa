"""The filters equal the `transformers` processors, whatever the logits; bad settings give a one-line error."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import (
    MinPLogitsWarper,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from course_utils.engine import sampling
from course_utils.engine.arguments import check_whole

finite = st.floats(-60, 60, width=32)
logit_rows = st.lists(finite, min_size=1, max_size=400).map(lambda row: torch.tensor([row]))


@st.composite
def real_sized_logits(draw):
    """A vocabulary as large as SmolLM2's, with ties and removed tokens among the logits."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    logits = torch.randn(1, 49_152, generator=generator) * draw(st.floats(0.5, 6))
    if draw(st.booleans()):
        logits = logits.round(decimals=1)
    if draw(st.booleans()):
        logits[:, ::3] = sampling.REMOVED
    return logits


any_logits = st.one_of(logit_rows, real_sized_logits())


def same(ours, theirs):
    return torch.equal(ours, theirs)


@given(any_logits, st.floats(0.01, 10))
@settings(max_examples=60)
def test_temperature_equals_transformers(logits, temperature):
    assert same(sampling.apply_temperature(logits, temperature), TemperatureLogitsWarper(temperature)(None, logits))


@given(any_logits, st.integers(1, 60_000))
@settings(max_examples=60)
def test_top_k_equals_transformers(logits, top_k):
    assert same(sampling.apply_top_k(logits, top_k), TopKLogitsWarper(top_k)(None, logits))


@given(any_logits, st.floats(0.001, 1))
@settings(max_examples=60)
def test_top_p_equals_transformers(logits, top_p):
    """Of 64-bit logits: 32-bit sums over 49,152 tokens are off by up to 5e-7, and can keep a token more or less."""
    ours, theirs = sampling.apply_top_p(logits, top_p), TopPLogitsWarper(top_p)(None, logits.double())
    assert same(ours, theirs.float()) or rounding_decides(logits, top_p)


def rounding_decides(logits, top_p):
    """Whether some of the most likely tokens add up to top_p as exactly as 32-bit logits can say."""
    shares = logits.double().sort(descending=True).values.softmax(-1)
    return bool(((shares.cumsum(-1) - top_p).abs() < 2e-5 * shares).any())


def compositions(total, parts, most):
    """All ways to write `total` as that many whole numbers, the largest first."""
    if parts == 1:
        return [(total,)] if total <= most else []
    firsts = range(min(most, total - parts + 1), 0, -1)
    return [(first, *rest) for first in firsts for rest in compositions(total - first, parts - 1, first)]


@pytest.mark.parametrize("whole", [10, 20])
def test_top_p_keeps_the_smallest_set_at_exact_sums(whole):
    """Every distribution in tenths or twentieths, at every sum of its most likely tokens: as one writes on a board."""
    for shares in (one for parts in range(2, 8) for one in compositions(whole, parts, whole)):
        logits = torch.tensor([share / whole for share in shares]).log()
        for count in range(1, len(shares)):
            kept = sampling.apply_top_p(logits, sum(shares[:count]) / whole).isfinite()
            assert kept.sum() == count, (shares, count)


@pytest.mark.parametrize("tokens", [3, 7, 49, 128, 1000])
def test_top_p_of_equal_tokens(tokens):
    for count in range(1, tokens, max(tokens // 40, 1)):
        assert sampling.apply_top_p(torch.zeros(tokens), count / tokens).isfinite().sum() == count


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("temperature", [1e-4, 1e-6, 1e-39, 5e-324])
@pytest.mark.parametrize("row", [[30.0, 20.0, -30.0], [0.0, -1.0, -5.0], [-20.0, -30.0, float("-inf")]])
def test_a_temperature_near_zero_is_greedy(dtype, temperature, row):
    shares = sampling.apply_temperature(torch.tensor([row, row[::-1]], dtype=dtype), temperature).softmax(-1)
    assert shares.tolist() == [[1, 0, 0], [0, 0, 1]]


@pytest.mark.parametrize("row", [[float("-inf")] * 3, [float("nan"), 1.0, 2.0], [float("inf"), 1.0, 2.0]])
def test_nothing_to_draw_is_one_sentence(row):
    with pytest.raises(ValueError, match=r"^logits must leave at least one token to draw in every row"):
        sampling.draw_next(torch.tensor([[1.0, 2.0, 3.0], row]))


@pytest.mark.parametrize("number", [np.int64, np.int32, np.uint8, torch.tensor, np.array])
def test_whole_numbers_of_numpy_and_torch_are_whole_numbers(number):
    logits = torch.tensor([3.0, 1.0, 2.0])
    assert same(sampling.apply_top_k(logits, number(2)), sampling.apply_top_k(logits, 2))
    assert same(sampling.draw(logits.softmax(-1), number(5), 0), sampling.draw(logits.softmax(-1), 5, 0))
    assert type(check_whole("count", number(2), 1)) is int


@pytest.mark.parametrize("number", [np.float32, np.float64, np.float16, torch.tensor, lambda x: torch.tensor(x).half()])
@pytest.mark.parametrize("name", ["temperature", "top_p", "min_p"])
def test_numbers_of_numpy_and_torch_are_numbers(name, number):
    logits = torch.tensor([3.0, 1.0, 2.0])
    assert same(sampling.FILTERS[name](logits, number(0.5)), sampling.FILTERS[name](logits, 0.5))


@pytest.mark.parametrize(
    "value", [True, np.True_, torch.tensor(True), 2.0, np.float32(2), np.array([2]), 1j, "2", None]
)
def test_what_is_no_whole_number_is_refused(value):
    with pytest.raises(ValueError, match=r"^count must be a whole number of at least 1, got "):
        check_whole("count", value, 1)


@given(any_logits, st.floats(0, 1))
@settings(max_examples=60)
def test_min_p_equals_transformers(logits, min_p):
    ours, theirs = sampling.apply_min_p(logits, min_p), MinPLogitsWarper(min_p)(None, logits)
    # With several tokens equally the best, transformers' guard protects one, ours all of them.
    ties = logits == logits.amax(-1, keepdim=True)
    assert same(ours[~ties], theirs[~ties])
    assert torch.isfinite(ours[ties]).all()


@given(any_logits, st.permutations(["temperature", "top_k", "top_p", "min_p"]))
@settings(max_examples=40)
def test_chain_equals_transformers_in_every_order(logits, order):
    values = {"temperature": 0.7, "top_k": 40, "top_p": 0.9, "min_p": 0.02}
    theirs = {
        "temperature": TemperatureLogitsWarper(0.7),
        "top_k": TopKLogitsWarper(40),
        "top_p": lambda ids, logits: TopPLogitsWarper(0.9)(ids, logits.double()).float(),
        "min_p": MinPLogitsWarper(0.02),
    }
    expected = logits
    for name in order:
        expected = theirs[name](None, expected)
    assert same(sampling.filter_stages(logits, [(name, values[name]) for name in order])[-1], expected)


@pytest.mark.parametrize("row", [[1.0], [0.0, 0.0, 0.0], [3.0, -1.0, 2.0]])
def test_temperature_zero_keeps_one_best_token(row):
    logits = torch.tensor([row])
    kept = sampling.apply_temperature(logits, 0).isfinite()
    assert kept.sum() == 1
    assert kept[0, logits.argmax()]


def test_order_changes_what_is_kept():
    """Three tokens of 0.5, 0.3, 0.2: flattened first, top-p needs all of them."""
    logits = torch.tensor([0.5, 0.3, 0.2]).log()
    cold = sampling.filter_stages(logits, [("top_p", 0.75), ("temperature", 3.0)])[-1]
    hot = sampling.filter_stages(logits, [("temperature", 3.0), ("top_p", 0.75)])[-1]
    assert cold.isfinite().sum() == 2
    assert hot.isfinite().sum() == 3


@given(st.integers(0, 2**31), st.integers(2, 500))
@settings(max_examples=40)
def test_draw_equals_multinomial(seed, count):
    probabilities = torch.randn(3_000, generator=torch.Generator().manual_seed(seed)).mul(3).double().softmax(-1)
    theirs = torch.multinomial(probabilities, count, replacement=True, generator=torch.Generator().manual_seed(seed))
    assert same(sampling.draw(probabilities, count, seed), theirs)


def test_draw_never_picks_a_removed_token():
    logits = sampling.apply_top_k(torch.randn(1_000, generator=torch.Generator().manual_seed(1)), 3)
    drawn = sampling.draw(logits.softmax(-1), 5_000, seed=3)
    assert logits[drawn].isfinite().all()


def test_entropy():
    assert sampling.entropy_bits(torch.zeros(1024)).item() == pytest.approx(10)
    assert sampling.entropy_bits(torch.tensor([5.0, sampling.REMOVED])).item() == 0


BAD_SETTINGS = [
    ("temperature", -1, "temperature must be a finite number of at least 0, got -1"),
    ("temperature", float("nan"), "temperature must be a finite number of at least 0, got nan"),
    ("temperature", "hot", "temperature must be a finite number of at least 0, got 'hot'"),
    ("top_p", 0, "top_p must be in (0, 1], got 0"),
    ("top_p", 1.3, "top_p must be in (0, 1], got 1.3"),
    ("top_p", float("nan"), "top_p must be in (0, 1], got nan"),
    ("top_k", 0, "top_k must be a whole number of at least 1, got 0"),
    ("top_k", 2.5, "top_k must be a whole number of at least 1, got 2.5"),
    ("top_k", True, "top_k must be a whole number of at least 1, got True"),
    ("min_p", -0.1, "min_p must be in [0, 1], got -0.1"),
]


@pytest.mark.parametrize(("name", "setting", "sentence"), BAD_SETTINGS)
def test_bad_setting_is_one_sentence(name, setting, sentence):
    with pytest.raises(ValueError) as caught:
        sampling.filter_stages(torch.zeros(4), [(name, setting)])
    assert str(caught.value) == sentence


def test_unknown_filter():
    with pytest.raises(ValueError, match=r"filters must be named one of .* got 'top_q'"):
        sampling.filter_stages(torch.zeros(4), [("top_q", 1)])
