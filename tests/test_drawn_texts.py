"""Texts drawn after the openings of stories: what is measured is what was drawn, and families are compared fairly."""

import numpy as np
import pytest
import torch

from course_utils.engine.sampling import entropy_bits, filter_stages
from course_utils.experiments.compared_settings import (
    at_surprisal,
    compared_at_surprisal,
    expected_bits,
    position_logits,
)
from course_utils.experiments.drawn_texts import (
    continue_texts,
    different_share,
    opening_tokens,
    repeated_share,
    story_openings,
)
from course_utils.models import load_causal_lm


@pytest.fixture(scope="module")
def smollm():
    return load_causal_lm()


def test_openings_are_long_enough_and_by_many_people(smollm):
    openings = story_openings()
    prompts, people = opening_tokens(smollm)
    assert len({opening["author"] for opening in openings}) >= 15
    assert max(opening["year"] for opening in openings) <= 1922  # public domain in the United States
    for opening, prompt, rest in zip(openings, prompts, people, strict=True):
        assert opening["text"].startswith(smollm.tokenizer.decode(torch.cat([prompt, rest])).rstrip("\ufffd"))


def test_continuing_equals_generate_and_a_reading_of_the_whole(smollm):
    prompts, _ = opening_tokens(smollm)
    few = prompts[:3]
    new, bits = continue_texts(smollm.model, few, [("temperature", 0)], 4)
    theirs = smollm.model.generate(few, attention_mask=torch.ones_like(few), do_sample=False, max_new_tokens=4)
    assert torch.equal(new, theirs[:, few.shape[1] :])
    whole = torch.cat([few, new], dim=1)
    with torch.inference_mode():
        logits = smollm.model(whole).logits[:, few.shape[1] - 1 : -1]
    loss = torch.nn.functional.cross_entropy(logits.transpose(1, 2), new, reduction="none")
    torch.testing.assert_close(bits, loss / np.log(2), atol=1e-3, rtol=1e-3)


def test_the_seed_decides(smollm):
    prompts, _ = opening_tokens(smollm)
    first, again, other = (continue_texts(smollm.model, prompts[:2], [], 4, seed)[0] for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_expected_bits_are_what_many_draws_come_to():
    logits = torch.randn(2, 3, 40, generator=torch.Generator().manual_seed(0)) * 2
    filters = [("temperature", 1.5), ("top_p", 0.8)]
    surprising, undecided = expected_bits(logits, filters)
    filtered = filter_stages(logits, filters)[-1]
    drawn = torch.multinomial(
        filtered.softmax(-1).flatten(0, 1), 20_000, replacement=True, generator=torch.Generator().manual_seed(1)
    ).unflatten(0, (2, 3))
    bits = -logits.log_softmax(-1).gather(-1, drawn) / np.log(2)
    assert surprising == pytest.approx(bits.mean((1, 2)).numpy(), abs=0.02)
    assert undecided == pytest.approx(entropy_bits(filtered).mean(1).numpy(), abs=1e-5)


def test_no_filter_beats_temperature_on_this_chart():
    """Of all distributions with a given mean surprisal, those that a temperature makes have the most entropy."""
    logits = torch.randn(6, 1, 200, generator=torch.Generator().manual_seed(2)) * 3
    temperature = np.stack([expected_bits(logits[:1], [("temperature", t)]) for t in np.linspace(0.2, 4, 400)])[..., 0]
    for name, setting in [("top_k", 5), ("top_p", 0.7), ("min_p", 0.1)]:
        for hot in (1.0, 2.0):
            (surprising,), (undecided,) = expected_bits(logits[:1], [("temperature", hot), (name, setting)])
            assert undecided < np.interp(surprising, *temperature.T) + 1e-4


def test_families_are_compared_at_the_same_surprisal_on_the_same_texts():
    random = np.random.default_rng(0)
    surprising = np.array([[1.0], [3.0], [6.0]]) + random.normal(0, 0.1, (3, 30))
    families = {"a": (surprising, surprising), "b": (surprising, surprising + random.normal(0.5, 0.1, (3, 30)))}
    mean, low, high = compared_at_surprisal(families, "a", random.normal(4, 0.3, 30))["b"]
    assert low < mean < high
    assert low > 0.4
    assert high < 0.6
    assert at_surprisal(2.0, np.array([[3.0], [1.0]]), np.array([[6.0], [2.0]])) == 4.0  # in any order


def test_a_family_that_is_never_so_surprising_says_so():
    with pytest.raises(ValueError, match=r"target must be in 1.00 … 2.00 bits for this family, got 5.00"):
        at_surprisal(5.0, np.array([[1.0], [2.0]]), np.array([[1.0], [2.0]]))


def test_different_tokens_are_counted_over_all():
    assert different_share(torch.tensor([1, 1, 1, 2])) == 0.5


def test_logits_are_where_people_wrote(smollm):
    prompts, people = opening_tokens(smollm)
    logits, bits = position_logits(smollm)
    loss = torch.nn.functional.cross_entropy(logits[0], people[0], reduction="none")
    torch.testing.assert_close(bits[0], loss / np.log(2))
    first = smollm.next_logits(smollm.tokenizer.decode(prompts[0]))
    torch.testing.assert_close(logits[0, 0], first, atol=1e-3, rtol=1e-3)


def test_a_group_that_came_before_is_repeated_wherever_it_comes_again():
    assert repeated_share([1, 2, 3, 4, 5]) == 0
    assert repeated_share([1, 2, 3] * 4) == pytest.approx(7 / 10)  # ten groups, three different ones
    assert repeated_share([1, 2, 1, 2, 1, 2], n=2) == pytest.approx(3 / 5)
    assert repeated_share([1, 2]) == 0  # too short for a group
