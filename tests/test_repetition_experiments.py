"""Loops are found at the end of a text only; a repetition and a penalty are measured at the tokens that they change."""

import pytest
import torch

from course_utils.engine.penalties import apply_frequency_penalty, apply_presence_penalty
from course_utils.experiments.drawn_texts import opening_tokens
from course_utils.experiments.repetition import bits_of_parts, loop_period, penalty_costs
from course_utils.experiments.surprisal import read_text
from course_utils.models import load_causal_lm


@pytest.fixture(scope="module")
def smollm():
    return load_causal_lm()


@pytest.mark.parametrize(
    ("ids", "period"),
    [
        ([7, 7, 7], 1),
        ([7, 1, 2, 3] + [4, 5] * 3, 2),
        ([1, 1, 2] * 3, 3),
        ([1, 2] * 2, None),
        ([1, 2] * 3 + [3], None),
        ([], None),
    ],
)
def test_the_shortest_run_that_ends_a_text_three_times(ids, period):
    assert loop_period(ids) == period
    assert loop_period(tuple(ids)) == period


def test_parts_are_read_in_one_text(smollm):
    few = opening_tokens(smollm)[0][:2]
    texts = torch.cat([few.flip(0), few], dim=1)
    bits = bits_of_parts(smollm.model, texts, few.shape[1])
    for text, parts in zip(texts, bits, strict=True):
        all_bits, *_ = read_text(smollm.model, text[None])
        torch.testing.assert_close(parts[0], all_bits[:15].mean(), atol=1e-3, rtol=1e-3)
        torch.testing.assert_close(parts[1], all_bits[16:].mean(), atol=1e-3, rtol=1e-3)


def test_many_texts_are_read_as_few(smollm):
    openings = opening_tokens(smollm)[0].repeat(1, 2)  # 32 tokens: eight at once
    together = bits_of_parts(smollm.model, openings[:9], 16)
    torch.testing.assert_close(together[8:], bits_of_parts(smollm.model, openings[8:9], 16), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize(("size", "said"), [(1, "size must be"), (5, "seq a multiple of 5")])
def test_parts_must_fit(smollm, size, said):
    with pytest.raises(ValueError, match=said):
        bits_of_parts(smollm.model, torch.zeros(1, 16, dtype=torch.long), size)


def test_a_penalty_costs_what_the_repeated_tokens_lose(smollm):
    passages = [" The cat sat on the mat.", " A dog", " the cat sat on the mat."] * 12  # longer than is read at once
    rules = {
        "none": (apply_presence_penalty, 0.0),
        "presence": (apply_presence_penalty, 1.0),
        "frequency": (apply_frequency_penalty, 1.0),
    }
    costs = penalty_costs(smollm, passages, rules)
    assert {len(values) for values in costs.values()} == {36}
    assert costs["none"].abs().max() == 0
    assert costs["frequency"][-1] > 2 * costs["frequency"][5]
    # The last passage, by hand: all of the text before each token counts.
    ids = torch.cat([smollm.encode(passage) for passage in passages], dim=1)
    with torch.inference_mode():
        logits = smollm.model(ids).logits[0, :-1]
    by_hand = []
    for place in range(ids.shape[1] - len(smollm.encode(passages[-1])[0]), ids.shape[1]):
        before = logits[place - 1 : place]
        penalised = apply_frequency_penalty(before, ids[:, :place], 1.0)
        token = ids[0, place]
        by_hand.append(before.log_softmax(-1)[0, token] - penalised.log_softmax(-1)[0, token])
    expected = torch.stack(by_hand).mean() / torch.log(torch.tensor(2.0))
    torch.testing.assert_close(costs["frequency"][-1], expected, atol=1e-3, rtol=1e-3)


def test_a_learner_s_own_rule_is_called_with_one_row(smollm):
    seen = []

    def own(logits, ids, setting):
        seen.append((tuple(logits.shape), ids.shape[1], setting))
        return logits

    penalty_costs(smollm, ["A cat", " sat"], {"own": (own, 0.3)})
    assert seen == [((1, 49_152), count, 0.3) for count in range(1, len(seen) + 1)]
