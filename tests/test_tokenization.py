"""The course's own tokenizers against those of `transformers`, on generated texts; vectors against torch."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.convert_slow_tokenizer import bytes_to_unicode

from course_utils.experiments import vectors
from course_utils.experiments.human_rights import human_rights, recorded_tokens
from course_utils.experiments.intervals import bootstrap_interval
from course_utils.experiments.word_senses import SENSES, bank_sentences, with_nearest_alike
from course_utils.models import load_causal_lm, load_encoder
from course_utils.tokenizers.byte_pairs import BytePairs, byte_letters, merge_pair, next_pair
from course_utils.tokenizers.word_pieces import WordPieces, longest_matches
from tests.tiny_models import tiny_tokenizer

PARTS = [
    "a", "the", "Token", "ization", " ", "  ", "\n", "\t", "'s", "1", "23", "½", "²", "你", "好", "数字", "🙂",
    "👩‍👩‍👧", "é", "e\u0301", "İ", "ß", "ﬁ", "ΑΣ", "_", "-", "...", "$", "^", "\u00a0", "\u2003", "\u200b", "\x00",
    "\x04", "\x85", "<|im_start|>", "<|im_end|>", "<|im_", "[MASK]", "[CLS]", "def f(x):", "https://", "Ⅷ",
    "नमस्ते", "가",
]  # fmt: skip
any_text = st.one_of(st.text(max_size=40), st.lists(st.sampled_from(PARTS), max_size=25).map("".join))
# The punctuation of `tokenizers` is an older table of Unicode than Python's: ranges that have long been settled.
SETTLED = [
    (0, 0x377), (0x391, 0x3CE), (0x400, 0x52F), (0x5D0, 0x5EA), (0x4E00, 0x9FA5), (0xAC00, 0xD7A3), (0x1F600, 0x1F64F),
]  # fmt: skip
settled = st.one_of(*[st.characters(min_codepoint=low, max_codepoint=high) for low, high in SETTLED])
settled_text = st.one_of(
    st.text(settled, max_size=40),
    st.lists(st.sampled_from(PARTS), max_size=25).map("".join),
)


@pytest.fixture(scope="module")
def smollm():
    return load_causal_lm()


@pytest.fixture(scope="module")
def minilm():
    return load_encoder()


@pytest.fixture(scope="module")
def pairs(smollm):
    return BytePairs.of(smollm.tokenizer)


@pytest.fixture(scope="module")
def pieces(minilm):
    return WordPieces.of(minilm.tokenizer)


def test_byte_pairs_equal_the_tokenizer(smollm, pairs):
    @settings(max_examples=1500)
    @given(any_text)
    def equal(text):
        assert pairs.encode(text) == smollm.tokenizer(text).input_ids

    equal()


def test_word_pieces_equal_the_tokenizer(minilm, pieces):
    @settings(max_examples=1500)
    @given(settled_text)
    def equal(text):
        assert pieces.encode(text) == minilm.tokenizer(text, add_special_tokens=False, verbose=False).input_ids

    equal()


def test_texts_that_the_vocabulary_writes_are_read_the_same_way(smollm, pairs, minilm, pieces):
    """Ids at random, as text: merges that generated letters never reach."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(200):
        ids = torch.randint(49_152, (30,), generator=generator).tolist()
        text = smollm.tokenizer.decode(ids)
        assert pairs.encode(text) == smollm.tokenizer(text).input_ids
        text = minilm.tokenizer.decode(torch.randint(1000, 29_000, (30,), generator=generator).tolist())
        assert pieces.encode(text) == minilm.tokenizer(text, add_special_tokens=False).input_ids


def test_every_token_of_the_vocabulary_is_made_by_one_merge_or_is_a_byte(pairs):
    made = {first + second for first, second in pairs.ranks}
    assert len(made) == len(pairs.ranks)
    assert set(pairs.ids) == made | {letter for letter in byte_letters().values() if letter in pairs.ids} | set(
        pairs.special
    )


def test_byte_letters_are_those_of_transformers():
    assert byte_letters() == bytes_to_unicode()


def test_bytes_without_a_token_are_lost(smollm, pairs):
    """21 of the 256 bytes: eight that occur in texts, thirteen that never do. The tokenizer says nothing either."""
    lost = [byte for byte, letter in byte_letters().items() if letter not in pairs.ids]
    assert len(lost) == 21
    assert pairs.encode("a\x04b") == pairs.encode("a") + pairs.encode("b") == smollm.tokenizer("a\x04b").input_ids


def test_overlapping_pairs_are_merged_from_the_left():
    assert merge_pair(list("aaa"), ("a", "a")) == ["aa", "a"]
    assert merge_pair([], ("a", "a")) == []
    assert next_pair(["a"], {("a", "a"): 0}) is None
    assert next_pair(["a", "b"], {("a", "a"): 0}) is None


def test_a_word_with_an_unknown_rest_is_unknown_as_a_whole(pieces):
    assert longest_matches("token🙂", pieces.ids)[0][0] == "[UNK]"
    assert longest_matches("a" * 101, pieces.ids) == [("[UNK]", 0)]
    assert longest_matches("", pieces.ids) == []


def test_other_tokenizers_are_refused_in_one_sentence(smollm, minilm):
    with pytest.raises(
        ValueError, match=r"^tokenizer must be byte-level BPE, got WordPiece with \['BertPreTokenizer'\]$"
    ):
        BytePairs.of(minilm.tokenizer)
    with pytest.raises(ValueError, match=r"^tokenizer must be WordPiece as in BERT, got BPE$"):
        WordPieces.of(smollm.tokenizer)
    with pytest.raises(ValueError, match=r"^tokenizer must be byte-level BPE, got WordLevel"):
        BytePairs.of(tiny_tokenizer())


def test_cosines_equal_torch():
    torch.manual_seed(0)
    some, more = torch.randn(5, 8), torch.randn(7, 8)
    expected = torch.nn.functional.cosine_similarity(some[:, None], more[None], dim=-1)
    torch.testing.assert_close(vectors.cosine_similarity(some, more), expected)
    assert vectors.nearest(some[2], some, count=5)[0] == (2, pytest.approx(1, abs=1e-6))
    assert vectors.cosine_similarity(torch.zeros(1, 8), some).abs().max() == 0


def test_axes_are_those_of_pca():
    torch.manual_seed(0)
    points = torch.randn(40, 6) * torch.tensor([5.0, 3, 1, 1, 1, 1])
    points = points - points.mean(0)
    axes = vectors.principal_axes(points)
    values, directions = torch.linalg.eigh(points.T @ points)
    torch.testing.assert_close((axes @ directions.flip(-1)[:, :2]).abs(), torch.eye(2), atol=1e-4, rtol=0)
    assert vectors.explained_variance(points, axes) == pytest.approx((values[-2:].sum() / values.sum()).item(), 1e-4)
    assert vectors.explained_variance(points, vectors.principal_axes(points, 6)) == pytest.approx(1, 1e-5)
    assert vectors.explained_variance(torch.zeros(3, 6), axes) == 0


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: vectors.nearest(torch.ones(2), torch.ones(3, 2), 4), "count must be in 1 … 3, got 4"),
        (lambda: vectors.principal_axes(torch.ones(3, 2), 3), "axes must be in 1 … 2, got 3"),
        (lambda: recorded_tokens("GPT-9"), "tokenizer must be one of GPT-2, GPT-4o, got 'GPT-9'"),
        (lambda: bank_sentences("within"), "clue must be 'before' or 'after', got 'within'"),
        (
            lambda: with_nearest_alike(torch.ones(2, 3), ["river"]),
            "names must hold one name for each of two or more rows, got 1 for 2",
        ),
        (lambda: bootstrap_interval([1.0]), "values must hold at least two numbers, got 1"),
    ],
)
def test_bad_numbers_are_one_sentence(call, sentence):
    with pytest.raises(ValueError) as caught:
        call()
    assert str(caught.value) == sentence


# the texts and the recorded counts of lesson 05


def test_the_passages_are_parallel_and_in_their_own_scripts():
    passages = human_rights()
    assert {len(texts) for texts in passages.values()} == {30}
    assert all(text == text.strip() and len(text) > 8 for texts in passages.values() for text in texts)
    assert len({text for texts in passages.values() for text in texts}) == 9 * 30
    letters = {"Russian": "и", "Arabic": "ا", "Chinese": "人", "Japanese": "の", "Hindi": "क", "Swahili": "haki"}
    for language, sign in letters.items():
        assert sum(sign in text for text in passages[language]) > 15, language


def test_the_recorded_counts_are_of_these_passages():
    """No token of GPT-2 or GPT-4o is empty, and GPT-2's vocabulary is close to SmolLM2's in English."""
    passages = human_rights()
    smollm = load_causal_lm().tokenizer
    for name in ("GPT-2", "GPT-4o"):
        counts = recorded_tokens(name)
        assert list(counts) == list(passages)
        for language, texts in passages.items():
            assert all(0 < count <= len(text.encode()) for count, text in zip(counts[language], texts, strict=True))
    ours = [len(smollm(text).input_ids) for text in passages["English"]]
    for mine, theirs in zip(ours, recorded_tokens("GPT-2")["English"], strict=True):
        assert abs(mine - theirs) <= 2


def test_the_sentences_differ_in_nothing_but_the_clue():
    before, after = bank_sentences("before"), bank_sentences("after")
    assert len(before) == len(after) == len(SENSES) == 20
    for one, other in zip(before[::2], before[1::2], strict=True):
        differ = [pair for pair in zip(one.split(), other.split(), strict=True) if pair[0] != pair[1]]
        assert len(differ) == 1
        assert one.split()[-1] == "bank"
    for one, other in zip(after[::2], after[1::2], strict=True):
        assert one.partition("bank")[0] == other.partition("bank")[0]
        assert one != other
        assert one.count("bank") == other.count("bank") == 1


def test_nearest_alike_is_chance_with_random_vectors():
    torch.manual_seed(0)
    found = [with_nearest_alike(torch.randn(20, 40), SENSES) for _ in range(300)]
    assert sum(found) / 300 == pytest.approx(20 * 9 / 19, abs=0.4)
    grouped = torch.eye(2)[[0, 1] * 10] + 0.1 * torch.rand(20, 2)
    assert with_nearest_alike(grouped, SENSES) == 20


def test_the_bootstrap_holds_the_mean_as_often_as_it_says():
    torch.manual_seed(0)
    samples = torch.randn(300, 60)
    held = sum(low <= 0 <= high for low, high in (bootstrap_interval(row.tolist(), 500) for row in samples))
    assert 0.9 < held / 300 < 0.98
    assert bootstrap_interval([3.0, 3.0, 3.0]) == (3.0, 3.0)
    assert bootstrap_interval([1.0, 5.0, 2.0], seed=1) == bootstrap_interval([1.0, 5.0, 2.0], seed=1)
