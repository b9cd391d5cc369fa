"""Penalties and stops against `transformers`, against their definitions, and against its own test-suite's cases.

The cases under "of the peer" are what `tests/generation/test_logits_process.py` and `test_stopping_criteria.py` of
transformers 5 assert, put to our functions.
"""

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from transformers import (
    MinNewTokensLengthLogitsProcessor,
    NoRepeatNGramLogitsProcessor,
    RepetitionPenaltyLogitsProcessor,
)
from transformers.generation.stopping_criteria import StopStringCriteria

from course_utils.engine import penalties, sampling
from course_utils.engine.stopping import StopReason, StopRules, StopStringBuffer, TextStream, mask_eos
from course_utils.models import load_causal_lm
from tests.examples import examples

REMOVED = float("-inf")


@st.composite
def logits_and_ids(draw):
    """Random logits with ties and −∞, a vocabulary of 1 and more, and a text in it, perhaps empty."""
    vocabulary = draw(st.sampled_from([1, 2, 5, 300]))
    batch, length = draw(st.integers(1, 3)), draw(st.integers(0, 12))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    logits = (torch.randn(batch, vocabulary, generator=generator) * 5).round(decimals=draw(st.integers(0, 3)))
    if draw(st.booleans()):
        logits[:, ::3] = REMOVED
    return logits, torch.randint(vocabulary, (batch, length), generator=generator)


@given(logits_and_ids(), st.floats(0.1, 10))
@examples(80)
def test_repetition_penalty_equals_transformers(case, penalty):
    logits, ids = case
    ours = penalties.apply_repetition_penalty(logits, ids, penalty)
    assert torch.equal(ours, RepetitionPenaltyLogitsProcessor(penalty)(ids, logits))


@given(logits_and_ids(), st.integers(1, 5))
@examples(80)
def test_ngram_ban_equals_transformers(case, size):
    logits, ids = case
    assert torch.equal(
        penalties.ban_repeated_ngrams(logits, ids, size), NoRepeatNGramLogitsProcessor(size)(ids, logits)
    )


@given(logits_and_ids(), st.floats(-2, 2), st.floats(-2, 2))
@examples(60)
def test_openai_penalties_by_their_formula(case, frequency, presence):
    logits, ids = case
    ours = penalties.apply_presence_penalty(penalties.apply_frequency_penalty(logits, ids, frequency), ids, presence)
    for row, text in enumerate(ids.tolist()):
        for token in range(logits.shape[-1]):
            count = text.count(token)
            expected = logits[row, token].item() - count * frequency - float(count > 0) * presence
            assert ours[row, token].item() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("name", "prompt_counts"),
    [
        ("presence_penalty", False),
        ("frequency_penalty", False),
        ("repetition_penalty", True),
        ("no_repeat_ngram", True),
    ],
)
def test_whether_the_prompt_counts(name, prompt_counts):
    ids, logits = torch.tensor([[0, 1, 2, 0]]), torch.ones(1, 4)  # the first three are the prompt
    setting = 1 if name == "no_repeat_ngram" else 2.0
    for count_prompt in (True, False, None):
        after = penalties.Penalty(name, setting, prompt_length=3, count_prompt=count_prompt)(ids, logits)
        touched = (after != logits)[0].tolist()
        counts = prompt_counts if count_prompt is None else count_prompt
        assert touched == [True, counts, counts, False]


def test_penalties_work_in_generate_of_transformers():
    smollm = load_causal_lm()
    ids = smollm.encode("la la la la la la la")
    penalty = penalties.Penalty("frequency_penalty", 2.0, prompt_length=ids.shape[1], count_prompt=True)
    arguments = {"max_new_tokens": 1, "do_sample": False, "return_dict_in_generate": True, "output_scores": True}
    before = smollm.model.generate(ids, **arguments).scores[0]
    after = smollm.model.generate(ids, logits_processor=[penalty], **arguments).scores[0]
    changed = (before - after)[0]
    counts = penalties.token_counts(ids, len(changed))[0]
    assert torch.allclose(changed, 2.0 * counts, atol=1e-4)
    assert counts.max() == 6


@pytest.mark.parametrize("name", penalties.PENALTIES)
def test_logits_are_not_changed_in_place(name):
    logits, ids = torch.ones(1, 4), torch.tensor([[0, 1, 0]])
    penalties.Penalty(name, 2, prompt_length=0)(ids, logits)
    mask_eos(logits, [0])
    assert torch.equal(logits, torch.ones(1, 4))


class TestOfThePeer:
    """The assertions of transformers' own test-suite for the pieces that the course has too."""

    def test_temperature(self):
        flat = torch.full((20,), 0.05)
        uneven = flat.clone()
        uneven[5], uneven[10] = 0.15, -0.35
        plain = uneven.softmax(-1)
        sharp = sampling.apply_temperature(uneven, 0.5).softmax(-1)
        smooth = sampling.apply_temperature(uneven, 1.3).softmax(-1)
        for temperature in (0.5, 1.3):
            same = sampling.apply_temperature(flat, temperature).softmax(-1)
            torch.testing.assert_close(same, flat.softmax(-1), rtol=1e-3, atol=1e-3)
        assert smooth.max() < plain.max() < sharp.max()
        assert smooth.min() > plain.min() > sharp.min()

    def test_top_k(self):
        ramp = torch.arange(10.0).repeat(2, 1)
        ramp[1, :5] += 10
        removed = sampling.apply_top_k(ramp, 3).isinf()
        assert removed[0].tolist() == [True] * 7 + [False] * 3
        assert removed[1].tolist() == [True] * 2 + [False] * 3 + [True] * 5
        assert not sampling.apply_top_k(torch.ones(2, 5) / 5, 1).isinf().any()  # all tie with the best

    def test_top_p(self):
        rows = torch.tensor([[0.3, 0.1, 0.1, 0.5], [0.15, 0.3, 0.3, 0.25]])
        kept = sampling.apply_top_p(rows.log(), 0.8).exp()
        expected = torch.tensor([[0.3, 0.0, 0.0, 0.5], [0.0, 0.3, 0.3, 0.25]])
        torch.testing.assert_close(kept, expected, rtol=1e-3, atol=1e-3)
        ramp = torch.arange(10.0).repeat(2, 1) - 5
        ramp[1] *= 100
        assert sampling.apply_top_p(ramp, 0.9).isfinite().sum(-1).tolist() == [3, 1]

    def test_min_p(self):
        rows = torch.tensor([[0.9, 0.0274, 0.047, 0.0274], [0.15, 0.3, 0.3, 0.25], [0.97, 0.01, 0.01, 0.01]])
        kept = sampling.apply_min_p(rows.log(), 0.05).exp()
        expected = torch.tensor([[0.9, 0.0, 0.047, 0.0], [0.15, 0.3, 0.3, 0.25], [0.97, 0.0, 0.0, 0.0]])
        torch.testing.assert_close(kept, expected, rtol=1e-3, atol=1e-3)

    def test_repetition_penalty(self):
        ids = torch.tensor([[0, 1], [5, 0]])
        logits = torch.full((2, 10), 0.1)
        logits[0, 0], logits[1, 5] = -0.1, 0.4
        after = penalties.apply_repetition_penalty(logits, ids, 2.0)
        values = [after[0, 0], after[0, 1], after[1, 0], after[1, 5]]
        assert [value.item() for value in values] == pytest.approx([-0.2, 0.05, 0.05, 0.2])
        assert torch.equal(after[:, 6:], logits[:, 6:])

    @pytest.mark.parametrize(("again", "penalised"), [([[], []], False), ([[0, 1], [5, 0]], True)])
    def test_repetition_penalty_without_the_prompt(self, again, penalised):
        ids = torch.cat([torch.tensor([[0, 1], [5, 0]]), torch.tensor(again, dtype=torch.long)], dim=1)
        logits = torch.full((2, 10), 0.1)
        after = penalties.Penalty("repetition_penalty", 2.0, prompt_length=2, count_prompt=False)(ids, logits)
        assert torch.equal(after, logits) != penalised
        if penalised:
            assert [after[0, 0].item(), after[0, 1].item(), after[1, 5].item()] == pytest.approx([0.05] * 3)

    def test_no_repeat_ngram(self):
        ids, logits = torch.tensor([[1, 1, 2, 1], [0, 1, 0, 1]]), torch.ones(2, 3)
        two, three = (penalties.ban_repeated_ngrams(logits, ids, size).isinf().tolist() for size in (2, 3))
        assert two == [[False, True, True], [True, False, False]]
        assert three == [[False, False, False], [True, False, False]]

    @pytest.mark.parametrize("eos_ids", [[0], [0, 18]])
    def test_eos_is_masked(self, eos_ids):
        logits = torch.full((4, 20), 0.05)
        masked = mask_eos(logits, eos_ids)
        assert masked[:, eos_ids].isinf().all()
        assert masked.isinf().sum() == 4 * len(eos_ids)
        theirs = MinNewTokensLengthLogitsProcessor(5, 3, eos_ids)
        assert torch.equal(masked, theirs(torch.ones(4, 7, dtype=torch.long), logits))

    def test_longest_text(self):
        rules = StopRules(eos_ids=(), max_new_tokens=10)
        assert [rules.reason([1] * length) for length in (5, 9, 10)] == [None, None, StopReason.MAX_NEW_TOKENS]

    def test_eos(self):
        rules = StopRules(eos_ids=(0,), max_new_tokens=10)
        assert [rules.reason(ids) for ids in ([1, 0], [0, 1], [1, 1])] == [StopReason.EOS, None, None]

    @pytest.mark.parametrize(
        ("text", "stops"),
        [
            ("<|im_begin|><|im_finish|>", True),
            ("<|im_begin|><|im_finish|<|im_finish|>", True),
            (">><|im_begin|>>stop", True),
            ("stop", True),
            ("e nd", True),
            ("<|im_begin|><|im_finish|", False),
            ("<|im_begin|><|im_finish|<|im_finish|", False),
            ("end", False),
            ("en d", False),
            ("eNd", False),
            ("|im_finish|>", False),
            ("s", False),
        ],
    )
    def test_stop_strings(self, text, stops):
        """As there, with strings that are no special tokens of our model."""
        tokenizer = load_causal_lm().tokenizer
        rules = StopRules((), 100, stop_strings=["<|im_finish|>", "stop", "e nd"], tokenizer=tokenizer)
        ids = tokenizer(text).input_ids
        assert (rules.reason(ids) == StopReason.STOP_STRING) == stops
        assert bool(StopStringCriteria(tokenizer, rules.stop_strings)(torch.tensor([ids]), None)) == stops

    @pytest.mark.parametrize(
        ("text", "stop", "stops"), [("대화 끝", "끝", True), ("작업 완료", "완료", True), ("대화 다음", "끝", False)]
    )
    def test_stop_strings_of_split_characters(self, text, stop, stops):
        tokenizer = load_causal_lm().tokenizer
        ids = tokenizer(text).input_ids
        assert any("\ufffd" in tokenizer.decode([token]) for token in ids)
        assert (StopRules((), 100, stop_strings=[stop], tokenizer=tokenizer).reason(ids) is not None) == stops

    @pytest.mark.parametrize(("text", "stops"), [("a", True), ("baa", True), ("abc", True), ("b", False)])
    def test_a_single_letter(self, text, stops):
        tokenizer = load_causal_lm().tokenizer
        rules = StopRules((), 100, stop_strings=["a"], tokenizer=tokenizer)
        assert (rules.reason(tokenizer(text).input_ids) is not None) == stops


SPECIAL = [
    ("All right<|im_end|>", ["<|im_end|>"], True, "All right"),
    ("All right<|im_end|>\n<|im_start|>user", ["<|im_end|>\n"], True, "All right"),
    ("All right<|im_end|> and more", ["<|im_end|>\n"], False, "All right and more"),
    ("All right<|im_end|>", ["right<|im_end|>"], True, "All "),
    ("All right<|im_end|>", ["right<|im_"], True, "All "),
    ("All right<|im_end|>", ["|>"], True, "All right"),
    ("All right<|im_end|>", ["im_end"], True, "All right"),
    ("All right<|im_end|><|im_start|>!", ["<|im_end|><|im_start|>"], True, "All right"),
    ("<|im_start|>user\nAll<|im_end|>", ["<|im_end|>"], True, "user\nAll"),
    ("<|im_start|>All<|im_start|> right", ["###"], False, "All right"),
    ("<|im_start|>All<|im_start|> right", ["<|im_end|>"], False, "All right"),
    ("👩‍👩‍👧<|im_end|>🦜", ["<|im_end|>🦜"], True, "👩‍👩‍👧"),
]


@pytest.mark.parametrize(("text", "strings", "stops", "shown"), SPECIAL)
def test_special_tokens_in_stop_strings(text, strings, stops, shown):
    """They are found as `transformers` finds them, and never shown."""
    tokenizer = load_causal_lm().tokenizer
    ids = tokenizer(text).input_ids
    rules = StopRules((), 1000, stop_strings=strings, tokenizer=tokenizer)
    prefixes = [ids[:length] for length in range(1, len(ids) + 1)]
    found = [length for length, prefix in enumerate(prefixes, 1) if rules.reason(prefix) == StopReason.STOP_STRING]
    theirs = [bool(StopStringCriteria(tokenizer, strings)(torch.tensor([prefix]), None)) for prefix in prefixes]
    assert bool(found) == any(theirs) == stops
    if stops:
        assert found[0] == theirs.index(True) + 1
    stream, pieces = TextStream(tokenizer, strings), []
    for token in ids[: found[0]] if stops else ids:
        pieces.append(stream.push(token))
    assert "".join(pieces) + stream.finish() == stream.text == shown


def test_a_very_long_stop_string():
    tokenizer = load_causal_lm().tokenizer
    long = "All the king's horses and all the king's men. " * 20
    stream, ids = TextStream(tokenizer, [long]), tokenizer("Hm. " + long[:-60]).input_ids
    assert "".join(stream.push(token) for token in ids) == "Hm. "
    assert stream.finish() == long[:-60]
    assert (
        StopRules((), 9, stop_strings=[long], tokenizer=tokenizer).reason(tokenizer(long).input_ids[:9])
        != "stop_string"
    )


pieces = st.lists(st.text("ab#\n", max_size=4), max_size=12)
stops = st.lists(st.text("ab#\n", min_size=1, max_size=4), max_size=3)


@given(pieces, stops)
@examples(300)
def test_stop_string_buffer_by_its_definition(texts, strings):
    """Whatever the cut into pieces: what is shown is the text before the first stop string, as early as is safe."""
    buffer, shown, read = StopStringBuffer(strings), "", ""
    for text in texts:
        shown += buffer.push(text)
        read += "" if buffer.found and not text else text
        ends = [read.find(stop) for stop in strings if stop in read]
        if ends:
            assert buffer.found
            break
        assert buffer.found is None
        assert read.startswith(shown)
        held = read[len(shown) :]
        assert not held or any(stop.startswith(held) for stop in strings)
    else:
        shown += buffer.finish()
        assert shown == "".join(texts)
        return
    assert shown == read[: min(ends)]
    assert buffer.push("more") == buffer.finish() == ""


@given(st.text(max_size=20))
@examples(80)
def test_text_stream_shows_the_whole_text_and_no_half_character(text):
    tokenizer = load_causal_lm().tokenizer
    ids = tokenizer(text).input_ids
    assume("\ufffd" not in tokenizer.decode(ids))  # the model has no tokens for a few rare bytes
    stream = TextStream(tokenizer)
    shown = [stream.push(token) for token in ids]
    assert not any("\ufffd" in piece for piece in shown)
    assert "".join(shown) + stream.finish() == stream.text == tokenizer.decode(ids, skip_special_tokens=True)


@pytest.mark.parametrize("strings", ["abc", [""], ["a", 3], 5, None, [b"a"]])
def test_bad_stop_strings_get_one_sentence(strings):
    with pytest.raises(ValueError, match=r"^stop_strings must be a list of str, none of them empty, got "):
        StopStringBuffer(strings)


def test_unknown_penalty():
    with pytest.raises(ValueError, match=r"^penalties must be named one of \[.*\], got 'boredom'$"):
        penalties.Penalty("boredom", 1.0, prompt_length=0)
