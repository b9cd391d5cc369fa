"""Lesson 08's experiments: does a model copy, which heads does it need, and does *bank* take in what it means?"""

import json
from importlib.resources import files

import pytest
import torch

from course_utils import figures
from course_utils.engine.llama import layer_outputs
from course_utils.experiments.ablation import next_token_losses, without_heads
from course_utils.experiments.copying import copying_without, recorded_rises, repeated_tokens, rises_without
from course_utils.experiments.reach import hidden_states, last_states
from course_utils.experiments.vectors import cosine_similarity
from course_utils.experiments.word_senses import SENSES, bank_sentences, meaning_gaps
from course_utils.models import load_causal_lm


def test_texts_are_said_twice_and_depend_on_the_seed():
    ids = repeated_tokens(texts=24, seed=3)
    assert torch.equal(ids[:, :20], ids[:, 20:])
    assert torch.equal(ids, repeated_tokens(texts=24, seed=3))
    assert len({tuple(row.tolist()) for row in ids}) == 24
    assert not torch.equal(ids, repeated_tokens(texts=24, seed=4))


def test_halves_are_means_of_the_losses_without_the_first_of_each():
    model, ids = load_causal_lm().model, repeated_tokens(texts=2, length=5)
    [(first, second, _)] = copying_without(model, [[]], ids)
    for number in range(2):
        losses = next_token_losses(model, ids[number : number + 1])  # the first is of the second token
        assert first[number].item() == pytest.approx(losses[:4].mean().item(), rel=1e-4)
        assert second[number].item() == pytest.approx(losses[5:].mean().item(), rel=1e-4)


def test_texts_without_halves_are_refused():
    for ids in (torch.zeros(1, 5, dtype=int), torch.zeros(1, 2, dtype=int), torch.zeros(6, dtype=int)):
        with pytest.raises(ValueError, match=r"^ids must have shape \(texts, 2 · length\)"):
            copying_without(load_causal_lm().model, [[]], ids)


def test_layers_that_are_not_run_again_change_nothing():
    model, ids = load_causal_lm().model, repeated_tokens(texts=2, length=5)
    choices, outputs = [[(29, 1)], [], [(12, 3), (2, 0)]], list(layer_outputs(model, ids))
    for number, run in enumerate(copying_without(model, choices, ids, outputs)):
        with without_heads(model, choices[number]):
            [alone] = copying_without(model, [[]], ids)  # reads every layer
        for found, expected in zip(run, alone, strict=True):
            assert torch.equal(found, expected)
    assert not torch.equal(run.second, copying_without(model, [[]], ids)[0].second)
    with pytest.raises(ValueError, match="pairs of a layer and a head of the model, got"):
        copying_without(model, [[(30, 0)]], ids)


def test_a_few_texts_give_what_was_recorded_of_a_head():
    """Of the texts that were recorded, the first four alone: near the mean of all 24."""
    about = json.loads(files("course_utils.experiments").joinpath("texts/head_rises.json").read_text("utf-8"))["about"]
    smollm = load_causal_lm()
    assert about["model"] == smollm.name
    ids = repeated_tokens(about["texts"], seed=about["seed"])[:4]
    first, second = rises_without(smollm.model, [[(16, 0)], [(18, 6)]], ids)
    for found, half in ((first, "first"), (second, "second")):
        mean, low, high = recorded_rises(half)[[16, 18], [0, 6]].T
        assert ((low <= mean) & (mean <= high)).all()
        assert (found.mean(1) - mean).abs().max() < 4 * (high - low).max()


def gap_by_hand(vectors, names):
    """The mean cosine of the same name minus that of another, over sentences of different frames."""
    alike, same, other = cosine_similarity(vectors, vectors), [], []
    for one in range(len(names)):
        for two in range(len(names)):
            if one // 2 != two // 2:
                (same if names[one] == names[two] else other).append(alike[one, two].item())
    return sum(same) / len(same) - sum(other) / len(other)


def test_gaps_are_those_of_all_exchanges():
    vectors = torch.randn(8, 5, generator=torch.Generator().manual_seed(0))
    gaps = meaning_gaps(vectors)
    assert gaps.shape == (8,)
    assert gaps[0].item() == pytest.approx(gap_by_hand(vectors, SENSES[:8]), abs=1e-6)
    exchanged = [*SENSES[:6], *reversed(SENSES[6:8])]
    assert gaps[1].item() == pytest.approx(gap_by_hand(vectors, exchanged), abs=1e-6)


def test_what_a_frame_adds_makes_no_gap():
    frames = torch.randn(10, 1, 6, generator=torch.Generator().manual_seed(0)).expand(10, 2, 6).reshape(20, 6)
    torch.testing.assert_close(meaning_gaps(frames), torch.zeros(512))
    assert len(bank_sentences("before")) == 20


@pytest.mark.parametrize("shape", [(3, 4), (2, 4), (4,)])
def test_sentences_without_pairs_have_no_gap(shape):
    with pytest.raises(ValueError, match=r"^vectors must be of at least two pairs of sentences, got shape \("):
        meaning_gaps(torch.zeros(shape))


def test_figures_of_changes_and_heads_want_numbers_that_fit():
    with pytest.raises(ValueError, match=r"^changes must have 2 numbers each, as many as names; not so: copies$"):
        figures.changes_with_intervals({"copies": [(1, 0, 2)]}, ["a", "b"], "rise")
    with pytest.raises(ValueError, match=r"^changes must have 1 to 4 measures, got 0$"):
        figures.changes_with_intervals({}, ["a"], "rise")
    with pytest.raises(ValueError, match=r"^values must have shape \(layer, head\), got \(3,\)$"):
        figures.head_map(torch.zeros(3), "rise")


def test_last_states_are_those_of_each_text_alone():
    smollm = load_causal_lm()
    texts = ["The cat sat", "The cat sat on the mat", "A dog", "The cat slept"]
    found = last_states(smollm.model, smollm.tokenizer, texts)
    alone = [hidden_states(smollm.model, smollm.encode(text))[:, -1] for text in texts]
    torch.testing.assert_close(found, torch.stack(alone, dim=1), rtol=1e-4, atol=1e-3)
    for wrong in ([], ["a", ""]):
        with pytest.raises(ValueError, match=r"^texts must be at least one text with at least one token each, got \["):
            last_states(smollm.model, smollm.tokenizer, wrong)
