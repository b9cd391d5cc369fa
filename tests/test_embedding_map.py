"""The embedding map: its vectors against transformers, its words, its budgets, and that the page says the same."""

import base64
import json
import os
import subprocess

import numpy as np
import pytest
import torch

from course_utils import figures
from course_utils.models import load_causal_lm, load_encoder
from course_utils.traces import EmbeddingTrace, record_embeddings
from course_utils.widgets import EmbeddingMap, embedding_map
from course_utils.widgets.base import page_module
from tests.budgets import MOST_ESM_BYTES

GOLDEN = """\
Embedding map: 3 words of toy at layer 1 of 2; the map shows 100 % of their differences
pinned: “bank 1” in “river bank”
  “shore”  0.80  in “the shore”
  “bank 2”  0.00  in “money bank”
“bank 1” and “bank 2” through the layers: 1.00 at 0, 0.00 at 1, -1.00 at 2"""


def toy():
    states = [[[1, 0], [1, 0], [0.6, 0.8]], [[2, 0], [0, 2], [1.6, 1.2]], [[1, 0], [-1, 0], [0, 1]]]
    texts = ("river bank", "money bank", "the shore")
    words = ("bank", "bank", "shore")
    return EmbeddingTrace("toy", texts, words, words, np.array(states, np.float32))


def random_trace(words, layers=31, hidden=576):
    names = tuple(f"w{i}" for i in range(words))
    states = np.random.default_rng(0).normal(size=(layers, words, hidden)).astype(np.float32)
    return EmbeddingTrace("random", tuple(f"a sentence with {name}" for name in names), names, names, states)


def test_states_of_a_causal_lm_are_those_of_the_last_token_of_the_word():
    smollm = load_causal_lm()
    trace = record_embeddings(smollm, [("He saw a hippopotamus there", "hippopotamus"), "a cat"])
    ids = smollm.tokenizer("He saw a hippopotamus there", return_tensors="pt").input_ids
    with torch.inference_mode():
        hidden = smollm.model(ids, output_hidden_states=True).hidden_states
    place = [smollm.labels[token] for token in ids[0]].index("us")
    expected = torch.stack([layer[0, place] for layer in hidden])
    torch.testing.assert_close(torch.from_numpy(trace.states[:, 0]), expected, atol=1e-4, rtol=1e-4)
    assert trace.tokens == ("us", "␣cat")
    assert trace.states.shape == (31, 2, 576)


def test_a_whole_text_of_an_encoder_is_its_sentence_embedding():
    minilm = load_encoder()
    texts = ["a cat", "A kitten on the mat."]
    trace = record_embeddings(minilm, [*texts, ("a cat sat", "cat")])
    # What surrounds the text, [CLS] and [SEP], is no part of it: `embed` takes their mean in.
    ours, theirs = trace.cosines(0)[-1, 1], minilm.embed(texts)
    assert ours == pytest.approx((theirs[0] @ theirs[1]).item(), abs=0.1)
    assert trace.labels == ("a cat", "A kitten on the mat.", "cat")


def test_the_last_place_of_a_word_counts():
    smollm = load_causal_lm()
    trace = record_embeddings(smollm, [("bank to bank", "bank"), ("bank to", "bank"), ("🙂 你好 bank", "你好")])
    assert trace.cosines(0)[0, 1] < 0.9  # ␣bank and bank
    assert trace.tokens == ("␣bank", "bank", "<BD>")


def test_cosines_are_those_of_torch():
    trace = random_trace(5, layers=3, hidden=8)
    states = torch.from_numpy(trace.states)
    expected = torch.nn.functional.cosine_similarity(states[:, 2:3], states, dim=-1)
    torch.testing.assert_close(torch.from_numpy(trace.cosines(2)), expected)


def test_the_axes_are_the_same_at_every_layer_and_the_middle_is_the_mean():
    points, explained = random_trace(6, layers=4, hidden=8).map()
    assert np.abs(points.mean(1)).max() < 1e-6
    assert all(0 < share < 1 for share in explained)
    same = np.repeat(random_trace(6, layers=1, hidden=8).states, 4, axis=0)
    names = tuple("abcdef")
    still, _ = EmbeddingTrace("still", names, names, names, same).map()
    assert np.abs(still - still[0]).max() < 1e-6, "what does not change does not move"


def test_a_flat_world_is_shown_in_full():
    states = np.zeros((2, 4, 6), np.float32)
    states[:, :, :3] = np.random.default_rng(1).normal(size=(2, 4, 3))
    states[..., 2] = 0
    names = tuple("abcd")
    assert EmbeddingTrace("flat", names, names, names, states).map()[1] == pytest.approx([1, 1], abs=1e-5)


def test_trace_survives_a_file(tmp_path):
    toy().save(tmp_path / "trace.npz")
    loaded = EmbeddingTrace.load(tmp_path / "trace.npz")
    assert np.array_equal(loaded.states, toy().states)
    assert loaded.texts == toy().texts


def test_describe_is_golden():
    assert EmbeddingMap(toy(), layer=1, compared=1).describe() == GOLDEN


def test_two_meanings_of_bank_move_apart():
    texts = ["She sat on the bank of the river", "The boat lay at the bank", "He put his money in the bank"]
    drift = embedding_map(load_causal_lm(), [(text, "bank") for text in texts])
    assert drift.trace.cosines(0)[0] == pytest.approx([1, 1, 1], abs=1e-5)
    assert drift.explained[0] == 0
    same_meaning, other_meaning = drift.trace.cosines(0)[15, 1:]
    assert same_meaning > other_meaning + 0.05


def test_it_adds_a_text_and_survives_a_wrong_one():
    smollm = load_causal_lm()
    drift = embedding_map(smollm, [("the river bank", "bank"), ("the savings bank", "bank")], layer=3)
    drift.asked = [1, "add", "the bank of clouds", "bank"]
    assert (drift.words, drift.problem, drift.answered) == (["bank 1", "bank 2", "bank 3"], "", 1)
    before = drift.describe()
    for press, (text, word, sentence) in enumerate(
        [
            ("", "", "text must have at least one character, got an empty text"),
            ("  ", "", "text must have at least one character, got spaces"),
            ("no such word", "bank", "word must be a part of the text 'no such word', got 'bank'"),
            (
                "word " * 9_000,
                "word",
                "the text must have at most 8,192 tokens (the context length of SmolLM2-135M-Instruct), got 9,001",
            ),
        ],
        start=2,
    ):
        drift.asked = [press, "add", text, word]
        assert (drift.problem, drift.answered) == (sentence, press)
    assert drift.describe() == before
    drift.asked = [9, "add", "你好 🙂", ""]
    assert (drift.problem, drift.words[-1]) == ("", "你好 🙂")


def test_few_words_carry_the_cosines_of_all_pairs():
    """So another word can be pinned on a page without a kernel."""
    drift = EmbeddingMap(toy())
    assert np.frombuffer(drift._cosines, "<f4").reshape(3, 3, 3) == pytest.approx(
        np.stack([toy().cosines(word) for word in range(3)])
    )


def test_of_many_words_only_another_pinned_word_sends_other_cosines():
    trace = random_trace(51, layers=3, hidden=8)
    drift = EmbeddingMap(trace)
    before = drift._cosines
    drift.layer, drift.neighbours, drift.path, drift.compared = 0, 1, False, 0
    assert drift._cosines == before
    drift.pinned = 1
    assert np.frombuffer(drift._cosines, "<f4").reshape(3, 51) == pytest.approx(trace.cosines(1))
    assert drift._of == 1


def test_senses_colour_map_and_picture_and_an_added_word_has_none():
    drift = EmbeddingMap(toy(), lambda item: toy(), senses=["river", "money", "river"])
    assert "bank 1 (pinned)" in drift.figure().alt
    assert [text.get_text() for text in drift.figure().axes[0].get_legend().get_texts()] == ["river", "money"]
    drift.asked = [1, "add", "river bank", "bank"]
    assert drift.senses == ["river", "money", "river", "", "", ""]
    with pytest.raises(ValueError, match="senses must hold one text per word, 6 in all, got 1"):
        drift.senses = ["river"]
    with pytest.raises(ValueError, match="senses must be at most 5, got 6"):
        drift.senses = list("abcdef")


def test_the_axes_fit_the_layer_or_all_of_them():
    drift = EmbeddingMap(random_trace(6, layers=4, hidden=8), layer=0)
    for fixed in (False, True):
        drift.fixed = fixed
        (left, right), points = drift.figure().axes[0].get_xlim(), drift._map if fixed else drift._map[0]
        assert -left == right == pytest.approx(np.abs(points).max() * (1.1 if fixed else 1.15))


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("layer", 3, "layer must be in 0 … 2, got 3"),
        ("layer", -1, "layer must be in 0 … 2, got -1"),
        ("pinned", 3, "pinned must be in 0 … 2, got 3"),
        ("compared", -1, "compared must be in 0 … 2, got -1"),
        ("neighbours", 11, "neighbours must be in 0 … 10, got 11"),
    ],
)
def test_a_bad_setting_is_one_sentence_and_the_widget_lives(name, value, sentence):
    drift = EmbeddingMap(toy(), layer=1, compared=1)
    with pytest.raises(ValueError) as caught:
        setattr(drift, name, value)
    assert str(caught.value) == sentence
    assert drift.describe() == GOLDEN


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: record_embeddings(load_causal_lm(), []), ValueError, "items must hold 1 … 200 texts, got 0"),
        (
            lambda: record_embeddings(load_causal_lm(), [("a", 3)]),
            TypeError,
            "items must be texts or pairs of a text and a word, got ('a', 3)",
        ),
        (lambda: toy().joined(random_trace(2)), ValueError, "other must be of toy, got random"),
        (
            lambda: random_trace(150, 1, 4).joined(random_trace(51, 1, 4)),
            ValueError,
            "words must be at most 200, got 201",
        ),
        (
            lambda: figures.word_map(np.zeros((2, 2)), ["a"], 1.0),
            ValueError,
            "points must have shape (1, 2) like labels, got (2, 2)",
        ),
        (
            lambda: figures.curves({"a": np.zeros(2)}, [1], "x", "y"),
            ValueError,
            "lines of a must hold 1 values, got 2",
        ),
    ],
)
def test_bad_input_is_one_sentence(call, error, sentence):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == sentence


def test_bundle_has_a_small_picture_with_alt_text_and_words():
    drift = EmbeddingMap(toy(), layer=1, compared=1)
    data, metadata = drift._repr_mimebundle_()
    assert set(data) == {"application/vnd.jupyter.widget-view+json", "image/png", "text/plain"}
    assert data["text/plain"] == GOLDEN
    assert metadata["image/png"]["alt"].startswith("A map of 3 words that shows 100 % of their differences: “bank 1”")


def test_budgets_at_the_most_words(record):
    drift = EmbeddingMap(random_trace(200))
    state = max(
        sum(
            len(value) if isinstance(value, bytes | str) else len(json.dumps(value))
            for value in one.get_state().values()
        )
        for one in (drift, EmbeddingMap(random_trace(50)))
    )
    numbers = {
        "esm_bytes": len(EmbeddingMap._esm.encode()),
        "state_bytes": state,
        "png_bytes": len(drift._repr_mimebundle_()[0]["image/png"]),
    }
    record("EmbeddingMap", numbers)
    print(numbers)
    assert numbers["esm_bytes"] <= MOST_ESM_BYTES
    assert numbers["state_bytes"] <= 500_000
    assert numbers["png_bytes"] <= 40_000


PARITY = """
const page = await import(process.env.MODULE);
const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const { cosines, points, layers, words } = JSON.parse(Buffer.concat(chunks));
const floats = (text) => new Float32Array(Uint8Array.from(Buffer.from(text, "base64")).buffer);
console.log(JSON.stringify([...Array(layers).keys()].map((layer) => ({
  ranking: page.ranking(page.cosinesOf(floats(cosines), layers, words, 1), words, layer, 1),
  point: [...page.pointOf(floats(points), words, layer, 2)],
}))));
"""


@pytest.mark.parametrize("trace", [toy(), *(random_trace(words, layers=5, hidden=16) for words in (20, 51))])
def test_page_and_python_agree(node, tmp_path, trace):
    (tmp_path / "page.mjs").write_text(page_module("embedding_map"), encoding="utf-8")
    drift = EmbeddingMap(trace, pinned=1)
    layers, words = len(trace.states), len(trace.words)
    message = {"layers": layers, "words": words}
    message |= {name: base64.b64encode(getattr(drift, f"_{name}")).decode() for name in ("cosines", "points")}
    environment = {**os.environ, "MODULE": str(tmp_path / "page.mjs")}
    run = subprocess.run(
        [node, "--input-type=module", "-e", PARITY],
        input=json.dumps(message), env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for layer, page in enumerate(json.loads(run.stdout)):
        drift.layer = layer
        assert [word for word, _ in page["ranking"]] == [word for word, _ in drift.ranking()]
        assert [cosine for _, cosine in page["ranking"]] == pytest.approx([cosine for _, cosine in drift.ranking()])
        assert page["point"] == pytest.approx(trace.map()[0][layer, 2].tolist(), abs=1e-6)


def test_names_of_near_words_do_not_cover_each_other():
    points = np.array([[0.0, 0.0], [0.02, 0.0], [0.01, 0.03], [1.0, 1.0]])
    figure = figures.word_map(points, ["river bank", "money bank", "old bank", "far"], 1.0)
    figure.draw_without_rendering()
    boxes = [name.get_window_extent() for name in figure.axes[0].texts]
    assert len(boxes) == 4
    assert not any(boxes[i].overlaps(boxes[j]) for i in range(4) for j in range(i))
