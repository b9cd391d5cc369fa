"""Lesson 09's engine: surprisal equals the loss of transformers, masks equal its padding, batches equal single runs."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_utils.experiments.surprisal import read_text, surprisal_after, surprisal_bits
from course_utils.models import load_causal_lm
from course_utils.traces import MaskTrace, NextTokenTrace, record_masks, record_next_token, record_surprisals
from course_utils.traces.masks import KINDS, PADDINGS, batch_mask
from tests.examples import examples

PROMPTS = ["The capital of France is", "Once upon a time, there", "🙂 你好"]


@pytest.fixture(scope="module")
def smollm():
    return load_causal_lm()


@pytest.fixture(scope="module")
def masks(smollm):
    return record_masks(smollm, PROMPTS, window=3)


def test_mean_surprisal_is_the_loss_of_transformers(smollm):
    ids = smollm.encode("The old ferry crossed the sound four times a day.")
    with torch.inference_mode():
        loss = smollm.model(ids, labels=ids).loss.item()
    bits, _, _ = read_text(smollm.model, ids)
    assert bits.mean().item() * math.log(2) == pytest.approx(loss, abs=1e-4)


@pytest.mark.parametrize("piece", [1, 2, 5, 7, 100])
def test_reading_in_pieces_is_reading_at_once(smollm, piece, monkeypatch):
    monkeypatch.setattr("course_utils.experiments.surprisal.READ_AT_ONCE", piece)
    ids = smollm.encode("The old ferry crossed the sound.")
    bits, logits, cache = read_text(smollm.model, ids)
    with torch.inference_mode():
        whole = smollm.model(ids).logits[0]
    torch.testing.assert_close(bits, surprisal_bits(whole[:-1], ids[0, 1:]), atol=1e-3, rtol=0)
    torch.testing.assert_close(logits, whole[-1], atol=1e-3, rtol=0)
    assert cache.get_seq_length() == ids.shape[1]


@pytest.mark.parametrize("before", [None, "A white dog slept on the ropes."])
def test_pieces_after_a_text_are_read_as_one_text_each(smollm, before):
    pieces = torch.cat([smollm.encode(text) for text in (" The dog is old.", " The boat is old.")])
    start = None if before is None else smollm.encode(before)
    bits = surprisal_after(smollm.model, pieces, 2, start)
    assert bits.shape == (2, pieces.shape[1] - 2)
    for row, piece in zip(bits, pieces, strict=True):
        whole = piece[None] if start is None else torch.cat([start, piece[None]], dim=1)
        torch.testing.assert_close(row, read_text(smollm.model, whole)[0][-len(row) :], atol=1e-3, rtol=0)


@pytest.mark.parametrize("skipped", [0, 6, 1.5])
def test_pieces_need_something_to_predict_and_to_predict_it_from(smollm, skipped):
    with pytest.raises(ValueError, match="skipped must be"):
        surprisal_after(smollm.model, torch.zeros(1, 6, dtype=torch.long), skipped)


def test_one_token_has_no_surprisal(smollm):
    trace = record_surprisals(smollm, "Hello")
    assert trace.prompt_tokens == ("Hello",)
    assert trace.surprisals.shape == (0,)


def test_surprisals_come_with_the_same_next_logits(smollm, tmp_path):
    trace, plain = record_surprisals(smollm, "The sky is 🙂"), record_next_token(smollm, "The sky is 🙂")
    np.testing.assert_allclose(trace.logits, plain.logits, atol=1e-3)
    assert trace.prompt_tokens == plain.prompt_tokens
    assert plain.surprisals is None
    for number, kept in enumerate([trace, plain]):
        kept.save(tmp_path / f"{number}.npz")
        loaded = NextTokenTrace.load(tmp_path / f"{number}.npz")
        assert loaded.prompt_ids == kept.prompt_ids
        assert (loaded.surprisals is None) == (kept.surprisals is None)


def test_ids_are_run_as_they_are(smollm):
    """Two tokens in a row need not be what the tokenizer makes of their text."""
    letters = smollm.tokenizer.convert_tokens_to_ids(["T", "h", "e"])
    trace = record_surprisals(smollm, letters)
    assert (trace.prompt, trace.prompt_tokens) == ("The", ("T", "h", "e"))
    assert smollm.encode("The").shape == (1, 1)


@pytest.mark.parametrize(
    ("prompt", "error", "sentence"),
    [
        ("", ValueError, "prompt must have at least one character, got an empty text"),
        ([], ValueError, "prompt must have 1 to 8,192 tokens, got 0"),
        ([-1], ValueError, "prompt must have token ids in 0 … 49151, got [-1]"),
        (["a"], TypeError, "prompt must be a str or a sequence of token ids, got list: ['a']"),
        (3, TypeError, "prompt must be a str or a sequence of token ids, got int: 3"),
    ],
)
def test_bad_prompts_are_one_sentence(smollm, prompt, error, sentence):
    with pytest.raises(error) as caught:
        record_surprisals(smollm, prompt)
    assert str(caught.value) == sentence


def test_bad_arrays_are_one_sentence(smollm):
    with pytest.raises(ValueError, match=r"ids must have shape \(2,\) like the logits, got \(3,\)"):
        surprisal_bits(torch.zeros(2, 5), torch.zeros(3, dtype=torch.long))
    with pytest.raises(ValueError, match=r"ids must have shape \(1, seq\) with at least one token, got \(2, 1\)"):
        read_text(smollm.model, torch.zeros(2, 1, dtype=torch.long))
    with pytest.raises(ValueError, match=r"surprisals must have shape \(0,\), got \(1,\)"):
        NextTokenTrace("toy", "a", ("a",), np.zeros(1), ("x",), (0,), np.zeros(1))


def test_causal_masked_left_padding_is_every_prompt_alone(masks):
    np.testing.assert_allclose(masks.logits[0, 0, 1], masks.alone, atol=1e-3)
    np.testing.assert_allclose(masks.logits[0, 2, 1], masks.alone, atol=1e-3)


@pytest.mark.parametrize("side", ["left", "right"])
def test_causal_equals_transformers_own_padding(smollm, masks, side):
    """The tokenizer's padding and 2-D mask through the model, against the engine's 4-D mask."""
    batch = smollm.tokenizer(PROMPTS, padding=True, padding_side=side, return_tensors="pt")
    with torch.inference_mode():
        theirs = smollm.model(**batch).logits[:, -1].numpy()
        unmasked = smollm.model(batch.input_ids).logits[:, -1].numpy()
    ours = masks.logits[0, PADDINGS.index(side)]
    np.testing.assert_allclose(ours[1], theirs, atol=1e-3)
    np.testing.assert_allclose(ours[0], unmasked, atol=1e-3)


def test_the_bug_is_in_the_numbers(masks):
    """Right padding read at the last column: another token wins although the mask is on."""
    wrong, right = masks.logits[0, 1, 1], masks.alone
    shortest = np.argmin([len(tokens) for tokens in masks.tokens])
    assert wrong[shortest].argmax() != right[shortest].argmax()


def test_a_trace_of_masks_survives_a_file(masks, tmp_path):
    masks.save(tmp_path / "masks.npz")
    loaded = MaskTrace.load(tmp_path / "masks.npz")
    assert np.array_equal(loaded.logits, masks.logits)
    assert loaded.tokens == masks.tokens


@given(
    lengths=st.lists(st.integers(1, 9), min_size=2, max_size=4),
    kind=st.sampled_from(KINDS),
    padding=st.sampled_from(PADDINGS[:2]),
    masked=st.booleans(),
    window=st.integers(1, 5),
)
@examples(100)
def test_masks_do_what_they_say(lengths, kind, padding, masked, window):
    width = max(lengths)
    zeros = np.zeros((4, 3, 2, len(lengths), 1), np.float32)
    tokens = tuple(("x",) * length for length in lengths)
    trace = MaskTrace("toy", ("x",) * len(lengths), tokens, window, zeros[0, 0, 0], zeros, ("x",))
    for mask, length in zip(trace.mask(kind, padding, masked), lengths, strict=True):
        first = width - length if padding == "left" and masked else 0
        end = length if padding == "right" and masked else width
        for query in range(width):
            allowed = {key for key in range(first, end) if kind == "none" or key <= query}
            if kind.startswith("window"):
                seen = {key for key in allowed if query - window < key}
                allowed = seen | ({first} & allowed if kind == "window + first token" else set())
            assert set(np.flatnonzero(mask[query])) == (allowed or {query})


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda lm: record_masks(lm, ["a"]), "prompts must be 2 to 4 texts, got 1"),
        (lambda lm: record_masks(lm, ["a", ""]), "prompt must have at least one character, got an empty text"),
        (lambda lm: record_masks(lm, ["a", "b " * 300]), "prompts must have at most 200 tokens here, got 301"),
        (lambda lm: record_masks(lm, ["a", "b"], 0), "window must be a whole number of at least 1, got 0"),
        (
            lambda lm: batch_mask("diagonal", torch.ones(1, 2), 1),
            "kind must be one of ['causal', 'none', 'window', 'window + first token'], got 'diagonal'",
        ),
        (
            lambda lm: MaskTrace("t", ("a",), (("a",),), 1, np.zeros((1, 1)), np.zeros((1, 1)), ("x",)),
            "logits must have shape (4, 3, 2, 1, 1), got (1, 1)",
        ),
    ],
)
def test_bad_batches_are_one_sentence(smollm, make, sentence):
    with pytest.raises(ValueError) as caught:
        make(smollm)
    assert str(caught.value) == sentence
