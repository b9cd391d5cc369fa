"""Lesson 07's engine and pictures: how far a change reaches in an encoder, a decoder, and in both."""

import copy
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from transformers import BertConfig, BertModel

from course_utils import figures
from course_utils.engine.bert import encoder_layer
from course_utils.engine.masks import bidirectional_mask, causal_mask
from course_utils.experiments.reach import encoder_decoder_states, hidden_states, position_differences
from course_utils.experiments.word_blanks import BLANKS
from course_utils.machine import ROOT
from course_utils.models import load_causal_lm, load_encoder
from course_utils.models.pipelines import load_pipeline
from course_utils.widgets import attention_explorer
from tests.examples import examples
from tests.tiny_models import VOCABULARY, tiny_model

CAR, DOG = "I have a small car.", "I have a small dog."


def tiny_bert():
    torch.manual_seed(0)
    size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
    return BertModel(BertConfig(vocab_size=VOCABULARY, **size)).eval()


def two_texts(length, place):
    """A random text, and the same with one other token."""
    ids = torch.randint(5, VOCABULARY, (1, length), generator=torch.Generator().manual_seed(length))
    other = ids.clone()
    other[0, place] = 3
    return ids, other


@st.composite
def lengths_and_places(draw):
    length = draw(st.integers(2, 12))
    return length, draw(st.integers(0, length - 1))


@given(lengths_and_places(), st.sampled_from(["llama", "gpt2"]))
@examples(40)
def test_a_decoder_is_changed_from_there_on_and_exactly_not_before(length_and_place, kind):
    _, place = length_and_place
    before, after = (hidden_states(tiny_model(kind), ids) for ids in two_texts(*length_and_place))
    differences = position_differences(before, after)
    assert (differences[:, :place] == 0).all()
    assert (differences[1:, place:] > 0).all()


@given(lengths_and_places())
@examples(40)
def test_an_encoder_is_changed_everywhere_after_one_layer(length_and_place):
    length, place = length_and_place
    model, (ids, other) = tiny_bert(), two_texts(*length_and_place)
    differences = position_differences(hidden_states(model, ids), hidden_states(model, other))
    assert differences[0].nonzero()[:, 0].tolist() == [place]
    assert (differences[1:] > 0).all()
    mask = causal_mask(length, length)
    differences = position_differences(hidden_states(model, ids, mask), hidden_states(model, other, mask))
    assert (differences[:, :place] == 0).all()
    assert (differences[1:, place:] > 0).all()


@pytest.mark.parametrize("kind", ["bart", "t5"])
@pytest.mark.parametrize("place", [0, 3, 5])
def test_an_encoder_decoder_is_changed_by_its_source_everywhere_and_by_its_target_from_there_on(kind, place):
    model, (ids, other) = tiny_model(kind), two_texts(6, place)
    target, other_target = two_texts(7, place)
    encoder, decoder = encoder_decoder_states(model, ids, target)
    source_changed = encoder_decoder_states(model, other, target)
    assert (position_differences(encoder, source_changed[0])[1:] > 0).all()
    assert (position_differences(decoder, source_changed[1])[1:] > 0).all()
    target_changed = encoder_decoder_states(model, ids, other_target)
    assert torch.equal(encoder, target_changed[0])
    differences = position_differences(decoder, target_changed[1])
    assert (differences[:, :place] == 0).all()
    assert (differences[:, place] > 0).all()


@pytest.mark.parametrize("load", [load_encoder, load_causal_lm])
def test_hidden_states_are_those_of_transformers(load):
    loaded = load()
    ids = loaded.encode(CAR)
    with torch.inference_mode():
        theirs = torch.cat(loaded.model(ids, output_hidden_states=True).hidden_states)
    assert torch.equal(hidden_states(loaded.model, ids), theirs)
    length = ids.shape[1]
    own = (bidirectional_mask if load is load_encoder else causal_mask)(length, length)
    torch.testing.assert_close(hidden_states(loaded.model, ids, own), theirs, atol=1e-3, rtol=0)


@pytest.mark.parametrize("is_decoder", [False, True])
def test_the_mask_is_what_turns_a_bert_into_a_decoder(is_decoder):
    minilm = load_encoder()
    ids, config = minilm.encode(CAR), copy.deepcopy(minilm.model.config)
    config.is_decoder = is_decoder
    bert = BertModel(config).eval()
    bert.load_state_dict(minilm.model.state_dict())
    theirs = hidden_states(bert, ids)
    mask = causal_mask(8, 8) if is_decoder else bidirectional_mask(8, 8)
    torch.testing.assert_close(hidden_states(minilm.model, ids, mask), theirs, atol=1e-4, rtol=0)
    with torch.inference_mode():
        hidden = minilm.model.embeddings(ids)
        for layer in minilm.model.encoder.layer:
            hidden, _ = encoder_layer(hidden, layer, 12, mask)
    torch.testing.assert_close(hidden, theirs[-1:], atol=1e-4, rtol=0)


def test_in_the_lessons_models_a_later_word_reaches_what_the_lesson_says():
    reached = {}
    for loaded in (load_encoder(), load_causal_lm()):
        before, after = (hidden_states(loaded.model, loaded.encode(text)) for text in (CAR, DOG))
        reached[loaded.name] = (position_differences(before, after) > 0).sum(-1).tolist()
    assert reached["all-MiniLM-L6-v2"] == [1, 8, 8, 8, 8, 8, 8]
    assert reached["SmolLM2-135M-Instruct"] == [1] + [2] * 30


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (
            lambda: hidden_states(tiny_model("gpt2"), torch.zeros(2, 3, dtype=torch.long)),
            "ids must have shape (1, seq) with at least one token, got (2, 3)",
        ),
        (
            lambda: hidden_states(tiny_model("gpt2"), torch.zeros(1, 0, dtype=torch.long)),
            "ids must have shape (1, seq) with at least one token, got (1, 0)",
        ),
        (
            lambda: hidden_states(tiny_model("gpt2"), torch.zeros(1, 3, dtype=torch.long), causal_mask(2, 2)),
            "mask must have shape (3, 3) like the text, got (2, 2)",
        ),
        (
            lambda: hidden_states(tiny_model("bart"), torch.zeros(1, 3, dtype=torch.long)),
            "model must be an encoder or a decoder, got both in one: use encoder_decoder_states",
        ),
        (
            lambda: encoder_decoder_states(tiny_model("gpt2"), *two_texts(3, 0)),
            "model must be an encoder–decoder, got gpt2",
        ),
        (
            lambda: encoder_decoder_states(tiny_model("bart"), two_texts(3, 0)[0], torch.zeros(3)),
            "target_ids must have shape (1, seq) with at least one token, got (3,)",
        ),
        (
            lambda: position_differences(torch.zeros(1, 2, 3), torch.zeros(1, 3, 3)),
            "after must have shape (1, 2, 3) like before, got (1, 3, 3)",
        ),
    ],
)
def test_bad_input_is_one_sentence(wrong, sentence):
    with pytest.raises(ValueError) as caught:
        wrong()
    assert str(caught.value) == sentence


def test_the_explorer_shows_all_three_architectures():
    encoder = attention_explorer(load_encoder(), CAR, layer=2, head=8, token=4, stage="masked")
    assert encoder.describe().startswith("Attention explorer: all-MiniLM-L6-v2, bidirectional, 6 layers × 12 heads")
    assert np.isfinite(encoder.matrix()).all(), "nothing is masked in an encoder"
    encoder.stage = "weights"
    assert encoder.about["keys"][encoder.matrix()[4].argmax()] == "car", "a later token than “small”"
    decoder = attention_explorer(load_causal_lm(), CAR, stage="masked")
    assert np.isneginf(decoder.matrix()).sum() == 6 * 5 / 2
    both = attention_explorer(load_pipeline("translation"), CAR, layer=2, head=3)
    assert (both.about["kind"], both.matrix().shape) == ("cross", (8, 7))
    assert "previous token" in encoder.about["orders"]
    assert "induction" not in encoder.about["orders"]


PANEL = ("a $model$", np.array([[0, 1.0, 0], [0, 2, 3]]), ["<s>", "🙂", "x"], 1)


@torch.inference_mode()
@pytest.mark.parametrize("mask", [".tril()", ""])
def test_a_translator_that_looks_ahead_is_caught_by_one_of_the_lessons_sentences_alone(mask):
    """The lesson says so of its own `translate`: without the causal mask it agrees, up to *blanc* for *blanche*."""
    notebook = nbformat.read(Path(__file__).parents[1] / "notebooks" / "07_encoders_decoders_and_both.ipynb", 4)
    [code] = [cell.source for cell in notebook.cells if "def translate(" in cell.source]
    assert code.count(".tril()") == 1
    pipe = load_pipeline("translation")
    names = {"torch": torch, "translator": pipe}
    exec(code.replace(".tril()", mask), names)
    for text in (CAR, DOG, "It is a good idea.", "My car is white."):
        source = pipe.tokenizer(text, return_tensors="pt").input_ids
        mine, theirs = names["translate"](source), pipe.model.generate(source, do_sample=False, num_beams=1)
        if mask or text != "My car is white.":
            assert torch.equal(mine, theirs)
        else:
            assert pipe.tokenizer.decode(mine[0, 1:-1]).endswith("blanc.")
            assert pipe.tokenizer.decode(theirs[0, 1:-1]).endswith("blanche.")


def test_pictures_have_words_and_are_small(recwarn):
    masks = figures.mask_grids([("one", np.tri(3, dtype=bool), "abc", "abc"), ("two", np.ones((1, 2)), "d", "ef")])
    assert masks.alt == (
        "2 masks. one: a looks at a; b at a, b; c at a, b, c. two: d looks at e, f."
    )  # fmt: skip
    reach = figures.changed_positions_map([PANEL, ("still", np.zeros((2, 1)), ["a"], None)])
    assert reach.alt == (
        "Where hidden states differ after one token was replaced. a $model$ (🙂 replaced): 🙂, x; unchanged: s. "
        "still: nothing; unchanged: a."
    )
    choice = figures.choice_grids([("m", np.array([[0.2, 0.8], [0.1, 0.9]]))], ["A", "B"], ["x", "y"], [0, 1])
    assert choice.alt == "m, 1 of 2 right: A y; B y."
    for figure in (masks, reach, choice):
        assert len(figure._repr_mimebundle_()[0]["image/png"]) < 40_000
    assert [str(warning.message) for warning in recwarn] == []


def test_a_picture_without_any_change_is_drawn():
    figure = figures.changed_positions_map([("still", np.zeros((2, 1)), ["a"], None)])
    assert len(figure._repr_mimebundle_()[0]["image/png"]) > 1_000


def test_more_is_darker_as_in_every_other_map():
    """A picture is white on a dark page, too; the attention explorer is dark there, and reverses its ramp."""
    files = [file for room in ("figures", "widgets") for file in (ROOT / "course_utils" / room).glob("*.py")]
    text = "".join(file.read_text(encoding="utf-8") for file in files)
    # Grey is a mask's, where dark means that it may be looked at.
    assert set(re.findall(r'(?:cmap=|colormaps\[)"(\w+)"', text)) == {"Blues", "gray"}


def test_the_numbers_on_a_map_can_be_read():
    """WCAG asks for a contrast of 4.5."""
    for low in np.arange(0, 1, 0.16):
        values, names = low + np.arange(16)[None] / 100, list("abcdefghijklmnop")
        for figure in (
            figures.choice_grids([("m", values)], ["A"], names, [0]),
            figures.attention_map(values, ["A"], names, "weights"),
        ):
            (axes,) = figure.axes
            cells = axes.images[0].cmap(values[0])[:, :3]
            for cell, text in zip(cells, axes.texts, strict=True):
                dark, light = sorted((luminance(cell), luminance(to_rgb(text.get_color()))))
                assert (light + 0.05) / (dark + 0.05) > 4.5, text.get_text()


def luminance(colour):
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour]
    return np.dot([0.2126, 0.7152, 0.0722], linear)


def test_each_model_has_its_own_scale():
    small, large = (("m", size * np.array([[0, 1.0], [4, 8]]), "ab", None) for size in (0.01, 100))
    one, other = figures.changed_positions_map([small, large]).axes[:2]
    assert one.images[0].get_array().tolist() == other.images[0].get_array().tolist() == [[None, 0.125], [0.5, 1]]


def test_the_axes_of_a_mask_say_who_looks_at_whom():
    first, second = figures.mask_grids([("one", np.ones((1, 2)), "a", "bc")] * 2).axes
    assert (first.get_ylabel(), second.get_ylabel()) == ("looks", "")
    assert first.get_xlabel() == second.get_xlabel() == "is looked at"


def test_only_the_right_side_says_which_word_fits():
    smollm, filler = load_causal_lm(), load_pipeline("fill-mask", models="embedded")
    starts = set()
    for words, sentences in BLANKS:
        assert (len(set(words)), len(sentences)) == (4, 4)
        assert all(sentence.count("…") == 1 for sentence in sentences)
        starts |= {sentence.split("…")[0] for sentence in sentences}
        ids = filler.tokenizer.convert_tokens_to_ids(words)
        assert filler.tokenizer.unk_token_id not in ids, "a word must be one token of either model"
        assert all(f"␣{word}" in smollm.labels for word in words)
    assert len(starts) == len(BLANKS) == 6, "all four sentences of a group begin the same"


def test_unchanged_cells_are_hatched_and_not_coloured():
    axes = figures.changed_positions_map([PANEL]).axes[0]
    assert axes.images[0].get_array().mask.tolist() == [[True, False, True], [True, False, False]]
    assert axes.patch.get_hatch() == "////"


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (lambda: figures.mask_grids([]), "panels must hold at least one mask, got none"),
        (
            lambda: figures.mask_grids([("x", np.ones((2, 2)), "a", "ab")]),
            "mask must have shape (1, 2) like the tokens, got (2, 2)",
        ),
        (lambda: figures.changed_positions_map([]), "panels must hold at least one model, got none"),
        (
            lambda: figures.changed_positions_map([("x", np.ones((2, 2)), "a", None)]),
            "differences must have shape (layer, 1) like the tokens, got (2, 2)",
        ),
        (
            lambda: figures.choice_grids([("x", np.ones((2, 2)))], ["a"], ["b", "c"], [0]),
            "probabilities must have shape (1, 2), got (2, 2)",
        ),
    ],
)
def test_pictures_refuse_what_does_not_fit_in_one_sentence(wrong, sentence):
    with pytest.raises(ValueError) as caught:
        wrong()
    assert str(caught.value) == sentence
