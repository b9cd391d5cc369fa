"""Lesson 01's shots: fair draws, label scores that equal reading every prompt again, and honest means."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_utils.engine.prefill_decode import new_cache, next_logits, prefill
from course_utils.experiments.few_shot import (
    calibrated,
    label_log_probabilities,
    score_after_shots,
    share_right,
)
from course_utils.experiments.shots import Draw, draw_shots, shot_text, topic_sentences, true_classes
from course_utils.models import load_causal_lm
from tests.examples import examples
from tests.tiny_models import VOCABULARY, tiny_model

tokens = st.lists(st.integers(3, VOCABULARY - 1), min_size=1, max_size=6)


@pytest.fixture(scope="module")
def smollm():
    return load_causal_lm()


def test_sixty_different_sentences_of_one_length(smollm):
    """Equal lengths: twelve of them fit into one batch without padding."""
    sentences = topic_sentences()
    texts = [text for own in sentences.values() for text in own]
    assert Counter(map(len, sentences.values())) == {30: 2}
    assert len(set(texts)) == 60
    assert {len(smollm.tokenizer(shot_text(text)).input_ids) for text in texts} == {5}


@given(st.integers(1, 4), st.integers(1, 4), st.integers(2, 5), st.integers(0, 100), st.data())
@examples(50)
def test_draws_are_fair(classes, part, draws, seed, data):
    texts = {f"class {label}": [f"{label}-{place}" for place in range(part * draws)] for label in range(classes)}
    rounds = data.draw(st.integers(1, part * (draws - 1)))
    made = draw_shots(texts, draws, rounds * classes, seed)
    tested = [test for draw in made for test in draw.tests]
    assert sorted(tested) == sorted((text, label) for label, own in enumerate(texts.values()) for text in own)
    for draw in made:
        assert not {text for text, _ in draw.shots} & {text for text, _ in draw.tests}
        assert len({text for text, _ in draw.shots}) == len(draw.shots) == rounds * classes
        assert Counter(label for _, label in draw.tests) == dict.fromkeys(range(classes), part)
        for start in range(0, len(draw.shots), classes):
            assert {label for _, label in draw.shots[start : start + classes]} == set(range(classes))
        assert all(text.startswith(f"{label}-") for text, label in [*draw.shots, *draw.tests])


def test_the_seed_decides():
    sentences = topic_sentences()
    assert draw_shots(sentences, 5, 8, seed=3) == draw_shots(sentences, 5, 8, seed=3)
    assert draw_shots(sentences, 5, 8, seed=3) != draw_shots(sentences, 5, 8, seed=4)
    first = [draw.shots[0][1] for draw in draw_shots(sentences, 15, 8, seed=0)]
    assert set(first) == {0, 1}, "either class may come first"


def test_true_classes_are_those_of_the_tests():
    truth = true_classes(draw_shots(topic_sentences(), 5, 8))
    assert truth.shape == (5, 12)
    assert truth.sum(1).tolist() == [6] * 5


FOUR, TWO = ["x"] * 4, ["y"] * 2
UNEQUAL = "texts must be equally many a class and a multiple of draws"


@pytest.mark.parametrize(
    ("texts", "draws", "shots", "sentence"),
    [
        ({"a": FOUR, "b": FOUR}, 3, 2, f"{UNEQUAL} (3), got [4]"),
        ({"a": FOUR, "b": TWO}, 2, 2, f"{UNEQUAL} (2), got [2, 4]"),
        ({}, 2, 2, f"{UNEQUAL} (2), got []"),
        ({"a": FOUR, "b": FOUR}, 2, 3, "shots must be a multiple of 2 up to 4, got 3"),
        ({"a": FOUR, "b": FOUR}, 2, 6, "shots must be a multiple of 2 up to 4, got 6"),
        ({"a": FOUR, "b": FOUR}, 0, 2, "draws must be a whole number of at least 1, got 0"),
        ({"a": FOUR, "b": FOUR}, 2, 0, "shots must be a whole number of at least 1, got 0"),
    ],
)
def test_draws_that_cannot_be_are_one_sentence(texts, draws, shots, sentence):
    with pytest.raises(ValueError) as caught:
        draw_shots(texts, draws, shots)
    assert str(caught.value) == sentence


def read_again(model, prompt, query, label):
    """Log-probability of `label`, with one run of transformers over everything and no cache."""
    logits = model(torch.tensor([[*prompt, *query, *label]]), use_cache=False).logits[0].log_softmax(-1)
    start = len(prompt) + len(query)
    return sum(logits[start + place - 1, token].item() for place, token in enumerate(label))


@given(
    st.lists(st.integers(3, VOCABULARY - 1), min_size=6, max_size=6),
    st.lists(tokens, min_size=2, max_size=6),
    st.lists(tokens, min_size=2, max_size=4),
)
@examples(40)
def test_label_scores_equal_reading_everything_again(prompt, queries, labels):
    """Two prompts in one cache, with their own queries and labels of any length."""
    model, prompts = tiny_model("llama"), (prompt[:3], prompt[3:])
    queries, labels = ([own[: len(own) // 2], own[len(own) // 2 : len(own) // 2 * 2]] for own in (queries, labels))
    _, cache = prefill(model, torch.tensor(prompts))
    kept = [tensor.clone() for tensor in [*cache.keys, *cache.values]]
    scores = label_log_probabilities(model, cache, queries, labels)
    expected = [
        [[read_again(model, before, query, label) for label in labels[row]] for query in queries[row]]
        for row, before in enumerate(prompts)
    ]
    torch.testing.assert_close(scores, torch.tensor(expected), atol=1e-3, rtol=0)
    assert all(map(torch.equal, kept, [*cache.keys, *cache.values])), "the cache of the prompt stays as it is"


@pytest.mark.parametrize(
    ("queries", "labels", "sentence"),
    [
        ([[[5], []]], [[[6]]], "queries {must}, got [[[5], []]]"),
        ([[]], [[[6]]], "queries {must}, got [[]]"),
        ([], [], "queries {must}, got []"),
        ([[[5]]], [[[6], []]], "labels {must}, got [[[6], []]]"),
        ([[[5]], [[5], [5]]], [[[6]], [[6]]], "queries {must}, got [[[5]], [[5], [5]]]"),
    ],
)
def test_empty_queries_and_labels_are_one_sentence(queries, labels, sentence):
    model = tiny_model("llama")
    cache = prefill(model, torch.tensor([[5]]), new_cache(model))[1]
    with pytest.raises(ValueError) as caught:
        label_log_probabilities(model, cache, queries, labels)
    must = "must be equally many for each prompt, and each must have at least one token"
    assert str(caught.value) == sentence.format(must=must)


INSTRUCTION = "Sentences, each with its label:\n"


@pytest.mark.parametrize(("instruction", "counts"), [(INSTRUCTION, (0, 1, 4)), (INSTRUCTION, (4,)), ("", (1,))])
def test_growing_prompts_read_together_equal_each_whole_prompt(smollm, instruction, counts):
    """No shot is read twice, the names take turns, and a draw with longer texts and labels is read on its own."""
    longer = Draw([("They won the long race in the end.", 1)] * 4, [("Soup, please!", 0), ("A goal!", 1)])
    draws, names = [*draw_shots(topic_sentences(), 30, 4, seed=1)[:2], longer], [("food", "sport"), ("wug", "dax")]
    scores = score_after_shots(smollm.model, smollm.tokenizer, draws, names, instruction, counts)
    assert scores.shape == (3, len(counts), 2, 2)
    for number, draw in enumerate(draws):
        own = names[number % 2]
        for row, count in enumerate(counts):
            prompt = instruction + "".join(shot_text(text, own[label]) for text, label in draw.shots[:count])
            for column, (text, _) in enumerate(draw.tests):
                whole = smollm.encode(prompt + shot_text(text))[0].tolist()
                for place, name in enumerate(own):
                    with torch.inference_mode():
                        expected = read_again(smollm.model, [], whole, smollm.tokenizer(f" {name}").input_ids)
                    assert scores[number, row, column, place].item() == pytest.approx(expected, abs=1e-3)


def test_draws_that_begin_alike_are_read_once_and_score_the_same(smollm, monkeypatch):
    """The second draw parts from the first at its second shot; the third has other tests, and parts at once."""
    first, other = draw_shots(topic_sentences(), 30, 4, seed=1)[:2]
    (text, label), *rest = first.shots[1:]
    draws = [first, first._replace(shots=[first.shots[0], (text, 1 - label), *rest]), other]
    how = ([("food", "sport")], INSTRUCTION, (0, 1, 4))
    alone = [score_after_shots(smollm.model, smollm.tokenizer, [draw], *how) for draw in draws]
    read = []

    def counting(model, ids, cache, **inputs):
        read.append(len(ids))
        return next_logits(model, ids, cache, **inputs)

    monkeypatch.setattr("course_utils.experiments.few_shot.next_logits", counting)
    together = score_after_shots(smollm.model, smollm.tokenizer, draws, *how)
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-3, rtol=0)
    # The instruction; two tests for each of two draws; a shot and tests for two; three shots and tests for three.
    assert read == [1, 4, 2, 4, 3, 6]


@pytest.mark.parametrize("counts", [[], [1, 0], [0, 0], [-1, 0], [0, 3]])
def test_counts_that_cannot_be_are_one_sentence(smollm, counts):
    draw = Draw([("A goal", 1), ("A cake", 0)], [("Soup", 0)])
    with pytest.raises(ValueError, match=r"^counts must rise from at least 0 to at most 2, got \["):
        score_after_shots(smollm.model, smollm.tokenizer, [draw], [["food", "sport"]], INSTRUCTION, counts)


def test_draws_with_more_and_fewer_tests_are_one_sentence(smollm):
    draws = [Draw([], [("Soup", 0)] * tests) for tests in (2, 1)]
    with pytest.raises(ValueError, match=r"^draws must have equally many tests, got \[1, 2\]$"):
        score_after_shots(smollm.model, smollm.tokenizer, draws, [["food", "sport"]], INSTRUCTION, [0])


def random_scores(seed, shape=(4, 3, 6, 2)):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_calibration_takes_away_what_a_label_gets_anyway():
    scores = random_scores(0)
    liked = scores + torch.tensor([7.0, 0.0])
    assert (liked.argmax(-1) == 0).all()
    torch.testing.assert_close(calibrated(liked), calibrated(scores), atol=1e-5, rtol=0)
    torch.testing.assert_close(calibrated(scores).mean(2), torch.zeros(4, 3, 2), atol=1e-6, rtol=0)


def test_share_right_counts():
    scores, truth = random_scores(1), torch.randint(2, (4, 6), generator=torch.Generator().manual_seed(2))
    expected = [
        [np.mean([scores[d, c, t].argmax() == truth[d, t] for t in range(6)]) for c in range(3)] for d in range(4)
    ]
    np.testing.assert_allclose(share_right(scores, truth), expected)


@pytest.mark.parametrize("shape", [(4, 5), (3, 6), (4, 3, 6)])
def test_shapes_that_do_not_fit_are_one_sentence(shape):
    with pytest.raises(ValueError, match=r"^scores must have shape \(draw, count, test, label\) and truth"):
        share_right(random_scores(1), torch.zeros(shape, dtype=torch.long))
