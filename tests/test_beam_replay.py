"""A recorded tree tells what a search finds under other settings: the same as searching again."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_utils.engine.beam_replay import replay
from course_utils.engine.generate import generate, search_beams
from course_utils.engine.settings import GenerationSettings
from course_utils.models import load_causal_lm
from course_utils.traces import record_beams
from tests.tiny_models import VOCABULARY, tiny_model

prompts = st.lists(st.integers(3, VOCABULARY - 1), min_size=1, max_size=6).map(lambda ids: torch.tensor([ids]))
eos_sets = st.lists(st.integers(0, VOCABULARY - 1), min_size=0, max_size=8, unique=True)
PENALTIES = [-1.0, 0.0, 0.6, 1.0, 2.0, 3.0]
STOPS = [True, False, "never"]
FULL_STOP = 30  # of SmolLM2
PROMPT = "The best way to learn is"


@given(
    st.sampled_from(["llama", "gpt2"]),
    prompts,
    eos_sets,
    st.integers(1, 10),
    st.integers(2, 6),
    st.sampled_from(PENALTIES),
    st.sampled_from(STOPS),
)
@settings(max_examples=80)
def test_a_replay_finds_what_a_search_finds(kind, ids, eos_ids, longest, beams, length_penalty, early_stopping):
    model, shared = tiny_model(kind), {"max_new_tokens": longest, "eos_ids": eos_ids, "num_beams": beams}
    recorded = search_beams(model, ids, to_the_end=True, **shared)
    ranking = {"length_penalty": length_penalty, "early_stopping": early_stopping}
    searched = search_beams(model, ids, **ranking, **shared)
    found = replay(recorded.nodes, longest, GenerationSettings(num_beams=beams, **ranking))
    assert [recorded.path(text.node) for text in found.finished] == [searched.path(t.node) for t in searched.finished]
    assert [text.score for text in found.finished] == pytest.approx([t.score for t in searched.finished], abs=1e-4)
    assert found.last_step == searched.nodes[-1].step


def test_the_tree_to_the_end_begins_with_the_tree_that_stops():
    smollm = load_causal_lm()
    shared = {"num_beams": 3, "max_new_tokens": 8, "eos_ids": [FULL_STOP], "early_stopping": True}
    whole, short = (record_beams(smollm, PROMPT, to_the_end=end, **shared) for end in (True, False))
    assert len(short.tokens) < len(whole.tokens)
    np.testing.assert_array_equal(short.ids, whole.ids[: len(short.ids)])
    np.testing.assert_array_equal(short.finished, whole.finished)
    np.testing.assert_allclose(short.finished_scores, whole.finished_scores)
    assert whole.is_whole
    assert not short.is_whole
    with pytest.raises(ValueError, match=r"^trace must hold a whole tree \(record_beams with to_the_end=True\)"):
        short.replay(1.0, early_stopping=False)


def test_a_recorded_tree_equals_transformers_under_every_penalty():
    smollm = load_causal_lm()
    ids, shared = smollm.encode(PROMPT), {"num_beams": 4, "max_new_tokens": 9}
    trace = record_beams(smollm, PROMPT, to_the_end=True, eos_ids=[FULL_STOP], **shared)
    for length_penalty in (0.0, 0.5, 1.0, 2.0):
        for early_stopping in STOPS:
            outputs = smollm.model.generate(
                ids, attention_mask=torch.ones_like(ids), do_sample=False, eos_token_id=FULL_STOP, pad_token_id=2,
                length_penalty=length_penalty, early_stopping=early_stopping, return_dict_in_generate=True,
                output_scores=True, **shared,
            )  # fmt: skip
            best = trace.replay(length_penalty, early_stopping).finished[0]
            path = [int(trace.ids[node]) for node in trace.path(best.node)]
            assert path == outputs.sequences[0, ids.shape[1] :][: len(path)].tolist()
            assert best.score == pytest.approx(outputs.sequences_scores.item(), abs=1e-4)


def test_one_beam_is_greedy_search():
    smollm = load_causal_lm()
    trace = record_beams(smollm, PROMPT, num_beams=1, max_new_tokens=8, eos_ids=[FULL_STOP], to_the_end=True)
    for early_stopping in STOPS:
        (best,), last = trace.replay(2.0, early_stopping)
        assert last == len(trace.greedy)
        assert trace.scores[best.node] == pytest.approx(trace.greedy_scores[-1], abs=1e-4)


def test_greedy_scores_are_sums_of_log_probabilities():
    smollm = load_causal_lm()
    trace = record_beams(smollm, PROMPT, num_beams=2, max_new_tokens=3)
    (text,) = generate(smollm.model, smollm.encode(PROMPT), max_new_tokens=3)
    first = smollm.next_logits(PROMPT).log_softmax(-1)[text.ids[0]].item()
    assert trace.greedy.tolist() == list(text.ids)
    assert trace.greedy_scores[0] == pytest.approx(first, abs=1e-4)
    assert (np.diff(trace.greedy_scores) <= 0).all()


def test_a_tree_without_nodes_gets_one_sentence():
    with pytest.raises(ValueError, match=r"^nodes must hold at least one node, got none$"):
        replay([], 5, GenerationSettings(num_beams=2))


def test_bad_replays_get_one_sentence():
    trace = record_beams(load_causal_lm(), PROMPT, num_beams=2, max_new_tokens=2, to_the_end=True)
    with pytest.raises(ValueError, match=r"^length_penalty must be a finite number, got nan$"):
        trace.replay(float("nan"), early_stopping=False)
    with pytest.raises(ValueError, match=r"^scores must have \d+ rows, one per node, got 1$"):
        replace(trace, scores=trace.scores[:1])
