"""A learner's filter beside the library's: where they differ is said, and whatever goes wrong is one sentence."""

import asyncio
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_utils.engine.own_filter import compare_filter, exception_line
from course_utils.engine.sampling import FILTERS, REMOVED

LOGITS = torch.tensor([1.0, 3.0, 2.0, 0.0])
LABELS = ["c", "a", "b", "d"]
RANKS = torch.tensor([3, 1, 2, 4])
REFERENCE_SHOWN = ". The picture shows the reference."


def said(name, function, setting, logits=LOGITS):
    return compare_filter(name, function, logits, setting).sentence(LABELS, RANKS)


@given(
    st.sampled_from([("temperature", 0.7), ("temperature", 0), ("top_k", 3), ("top_p", 0.8), ("min_p", 0.1)]),
    st.lists(st.floats(-30, 30, width=32), min_size=1, max_size=60),
)
@settings(max_examples=60)
def test_the_library_equals_itself(chosen, row):
    name, setting = chosen
    logits = torch.tensor(row)
    compared = compare_filter(name, FILTERS[name], logits, setting)
    assert (compared.problem, len(compared.differing)) == ("", 0)
    assert torch.equal(compared.logits, FILTERS[name](logits, setting))


def test_equal_is_said_with_the_number_of_tokens():
    assert said("top_k", FILTERS["top_k"], 2) == "✓ your top_k equals the reference at all 4 tokens (2 kept)."


def test_the_first_token_by_rank_is_named():
    """Not the first of the vocabulary: that is c, of rank 3."""
    removes = said("top_k", lambda logits, top_k: logits.masked_fill(logits < 3, REMOVED), 3)
    assert removes == (
        "≠ your top_k removes “b” (rank 2); the reference keeps it. "
        "They differ at 2 tokens: yours keeps 1, the reference 3."
    )
    keeps = said("top_k", lambda logits, top_k: logits, 3)
    assert keeps == (
        "≠ your top_k keeps “d” (rank 4); the reference removes it. "
        "They differ at 1 token: yours keeps 4, the reference 3."
    )


def from_the_top(logits, top_p):
    values, order = logits.softmax(-1).sort(descending=True)
    needed = values.cumsum(-1) - values < top_p
    return logits.masked_fill(~torch.zeros_like(needed).scatter(-1, order, needed), REMOVED)


def from_the_bottom(logits, top_p):
    values, order = logits.softmax(-1).sort()
    unneeded = values.cumsum(-1) <= 1 - top_p
    unneeded[-1] = False
    return logits.masked_fill(torch.zeros_like(unneeded).scatter(-1, order, unneeded), REMOVED)


def without_a_sort(logits, top_p):
    """The probability of the token with which the sum reaches top_p is the limit; ties with it stay."""
    best = logits.softmax(-1).sort(descending=True, stable=True).values
    limit = best[(best.cumsum(-1) < top_p).sum().clamp(max=len(best) - 1)]
    return logits.masked_fill(logits.softmax(-1) < limit, REMOVED)


def exactly(logits, top_p):
    return from_the_top(logits.double(), top_p).float()


def by_logits(logits, min_p):
    return logits.masked_fill(logits < logits.max() + math.log(min_p), REMOVED)


def by_shares(logits, min_p):
    shares = torch.exp(logits - logits.logsumexp(-1))
    return logits.masked_fill(shares / shares.max() < min_p, REMOVED)


@pytest.mark.parametrize("own", [from_the_top, from_the_bottom, without_a_sort, exactly])
@pytest.mark.parametrize("spread", [0.7, 2.0, 4.0])
def test_a_right_top_p_is_never_called_different(own, spread):
    """Of 49,152 tokens, whichever way it adds them up: where only rounding decides, neither is wrong."""
    logits = torch.randn(49_152, generator=torch.Generator().manual_seed(int(spread * 10))) * spread
    for top_p in [0.1, 0.25, 0.5, 0.7, 0.8, 0.9, 0.93, 0.95, 0.97, 0.99, 0.995, 0.999]:
        compared = compare_filter("top_p", own, logits, top_p)
        assert (compared.problem, len(compared.differing)) == ("", 0), (top_p, compared.differing)


@pytest.mark.parametrize("own", [from_the_top, from_the_bottom, exactly])
@pytest.mark.parametrize(
    "shares", [(0.5, 0.3, 0.2), (0.25,) * 4, (0.3, 0.1, 0.1, 0.5), (0.1,) * 10, (0.3, 0.3, 0.2, 0.2)]
)
def test_a_right_top_p_on_the_board(own, shares):
    """At exact sums, and with tokens that are equally likely: either of them may be kept."""
    logits = torch.tensor(shares).log()
    for hundredth in range(5, 101, 5):
        assert not len(compare_filter("top_p", own, logits, hundredth / 100).differing), hundredth


@pytest.mark.parametrize("own", [by_logits, by_shares])
def test_a_right_min_p_is_never_called_different(own):
    real = torch.randn(49_152, generator=torch.Generator().manual_seed(3)) * 3
    for logits in (real, torch.tensor([0.6, 0.3, 0.06, 0.03, 0.01]).log(), torch.zeros(5)):
        for min_p in (0.01, 0.05, 0.1, 0.2, 0.5, 1.0):
            assert not len(compare_filter("min_p", own, logits, min_p).differing), min_p


@pytest.mark.parametrize("top_p", [0.5, 0.8, 0.9, 0.95])
def test_one_token_less_of_a_real_vocabulary_is_still_found(top_p):
    """The usual mistake: the token with which the sum reaches top_p is left out."""
    logits = torch.randn(49_152, generator=torch.Generator().manual_seed(0)) * 4

    def own(logits, top_p):
        values, order = logits.softmax(-1).sort(descending=True)
        return logits.masked_fill(
            torch.zeros_like(logits, dtype=bool).scatter(-1, order, values.cumsum(-1) > top_p), REMOVED
        )

    assert len(compare_filter("top_p", own, logits, top_p).differing) == 1


def test_one_token_less_of_equal_ones_is_found():
    logits = torch.zeros(8)
    assert len(compare_filter("top_p", lambda x, p: from_the_top(x, p - 0.125), logits, 0.55).differing)
    assert len(compare_filter("top_p", lambda x, p: from_the_top(x, p + 0.125), logits, 0.55).differing)


def test_the_usual_wrong_ways_are_found():
    times = said("temperature", lambda logits, temperature: logits * temperature, 2.0)
    assert times.startswith(
        "≠ your temperature gives “a” (rank 1) a probability of 0.865; the reference gives it 0.455."
    )
    assert said("temperature", lambda logits, t: -logits / t, 2.0).startswith("≠ your temperature gives “a” (rank 1)")
    zero = said("top_k", lambda logits, top_k: logits.masked_fill(logits < 2, 0.0), 2)
    assert zero.startswith("≠ your top_k keeps “c” (rank 3); the reference removes it. They differ at 2 tokens")


def test_other_logits_of_the_same_distribution_are_equal():
    """Log-probabilities are logits, too; so are logits in float64, or shifted by a constant."""
    for change in (lambda x: x.log_softmax(-1), lambda x: x.double(), lambda x: x + 5):
        assert said("top_k", lambda logits, k, change=change: change(FILTERS["top_k"](logits, k)), 2)[0] == "✓"


def test_a_token_that_an_earlier_filter_removed_stays_removed():
    logits = torch.tensor([1.0, REMOVED, 2.0, 0.0])
    revived = said("temperature", lambda x, t: x.masked_fill(x.isinf(), -9.0), 1.0, logits)
    assert revived.startswith("≠ your temperature keeps “a” (rank 1); the reference removes it.")


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (lambda logits, top_p: None, "must return a tensor, got None (is a return missing?)"),
        (lambda logits, top_p: [1, 2], "must return a tensor, got list"),
        (lambda logits, top_p: logits[None], "must return logits of shape (4,), got (1, 4)"),
        (lambda logits, top_p: logits > 1, "must return floating-point logits, got torch.bool"),
        (lambda logits, top_p: logits / 0 * 0, "must return finite logits and −inf for what it removes, got nan"),
        (lambda logits, top_p: logits / 0.0 + 1e39, "must return finite logits and −inf for what it removes, got nan"),
        (
            lambda logits, top_p: logits.masked_fill(logits > 2, torch.inf),
            "must return finite logits and −inf for what it removes, got inf",
        ),
        (lambda logits, top_p: logits.masked_fill(logits < 9, REMOVED), "removes every token"),
        (lambda logits: logits, "stopped with TypeError: <lambda>() takes 1 positional argument but 2 were given"),
        (
            lambda logits, top_p: logits[9],
            "stopped in its line 1 with IndexError: index 9 is out of bounds for dimension",
        ),
    ],
    ids=["None", "list", "batch", "bool", "nan", "0/0", "inf", "nothing left", "one argument", "exception"],
)
def test_what_goes_wrong_is_one_sentence_and_the_reference_goes_on(function, problem):
    compared = compare_filter("top_p", function, LOGITS, 0.9)
    assert compared.problem.startswith(problem)
    assert torch.equal(compared.logits, FILTERS["top_p"](LOGITS, 0.9))
    sentence = compared.sentence(LABELS, RANKS)
    assert sentence.startswith(f"✗ your top_p {problem}")
    assert sentence.endswith(REFERENCE_SHOWN)
    assert "\n" not in sentence


def test_the_line_is_counted_from_the_def_also_when_the_error_is_deeper():
    def own(logits, top_p):
        kept = logits + 1
        return inner(kept)

    def inner(kept):
        raise RuntimeError("first line\nsecond line" + "x" * 500)

    assert compare_filter("top_p", own, LOGITS, 0.9).problem == "stopped in its line 3 with RuntimeError: first line"


def test_an_exception_without_words_and_a_very_long_one():
    def silent(logits, top_p):
        raise KeyError

    assert compare_filter("top_p", silent, LOGITS, 0.9).problem == "stopped in its line 2 with KeyError"
    assert len(exception_line(ValueError("x" * 5000), silent)) < 250


@pytest.mark.parametrize("error", [SystemExit("done"), asyncio.CancelledError("done"), GeneratorExit("done")])
def test_exit_and_its_kind_are_the_functions_own_mistake(error):
    """They would end the kernel, or the loop that answers the page."""

    def own(logits, top_p):
        raise error

    compared = compare_filter("top_p", own, LOGITS, 0.9)
    assert compared.problem == f"stopped in its line 2 with {type(error).__name__}: done"
    assert torch.equal(compared.logits, FILTERS["top_p"](LOGITS, 0.9))


def test_an_interrupt_is_not():
    def own(logits, top_p):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compare_filter("top_p", own, LOGITS, 0.9)


def test_a_function_that_writes_into_its_argument_harms_nobody():
    def in_place(logits, top_k):
        logits[logits < 2] = REMOVED
        return logits

    before = LOGITS.clone()
    assert said("top_k", in_place, 2)[0] == "✓"
    assert torch.equal(LOGITS, before)


def test_a_gradient_is_let_go():
    weight = torch.ones(4, requires_grad=True)
    assert not compare_filter("top_k", lambda logits, k: logits * weight, LOGITS, 4).logits.requires_grad


def test_the_setting_is_checked_before_the_function_runs():
    with pytest.raises(ValueError, match=r"top_p must be in \(0, 1\], got 1.3"):
        compare_filter("top_p", lambda logits, top_p: logits, LOGITS, 1.3)
