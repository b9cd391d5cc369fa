"""Settings of widgets and traces as people write them: numbers of numpy and torch, usual names, typing errors."""

import numpy as np
import pytest
import torch

from course_utils import traces, widgets
from course_utils.models import CausalLM, Encoder
from course_utils.traces import NextTokenTrace
from course_utils.widgets import MemoryCalculator, SamplingLab
from tests.own_models import own_encoder, own_model, own_tokenizer

TEXT = "abcabcxyz"
LOGITS = np.random.default_rng(0).normal(0, 3, 50).astype(np.float32)
TRACE = NextTokenTrace("toy", "a", ("a",), LOGITS, tuple(f"t{token}" for token in range(50)))
WHOLE = [np.int64, np.uint8, torch.tensor, np.array]
REAL = [np.float32, np.float64, torch.tensor, np.array]


@pytest.fixture(scope="module")
def mine():
    return CausalLM.wrap(own_model("llama"), own_tokenizer())


@pytest.fixture(scope="module")
def encoder():
    return Encoder.wrap(own_encoder("bert"), own_tokenizer())


@pytest.mark.parametrize("number", WHOLE)
def test_whole_numbers_of_numpy_and_torch_are_whole_numbers(number, encoder):
    two = number(2)
    lab = SamplingLab(TRACE, top_k=two, seed=two, draws=two)
    assert [(type(value), value) for value in (lab.top_k, lab.seed, lab.draws)] == [(int, 2)] * 3
    lab.top_k = number(3)
    assert lab.top_k == 3
    assert MemoryCalculator(batch=two, context=two).batch == 2
    one = number(1)
    assert widgets.attention_explorer(encoder, TEXT, layer=one, head=one).layer == 1
    assert widgets.embedding_map(encoder, ["abc", "abd", "xyz"], layer=one, pinned=two).pinned == 2


@pytest.mark.parametrize("number", REAL)
def test_numbers_of_numpy_and_torch_are_numbers(number):
    lab = SamplingLab(TRACE, temperature=number(0.5), top_p=number(0.5))
    assert (type(lab.temperature), lab.temperature, lab.top_p) == (float, 0.5, 0.5)
    assert MemoryCalculator(naive=np.bool_(False)).naive is False


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"temperature": "hot"}, "temperature must be a number, got 'hot'"),
        ({"top_k": 2.5}, "top_k must be a whole number or None, got 2.5"),
        ({"top_k": torch.tensor([1, 2])}, r"top_k must be a whole number or None, got tensor\(\[1, 2\]\)"),
        ({"order": 3}, "order must be a list, got 3"),
        ({"draws": None}, "draws must be a whole number, got None"),
        ({"top_p": np.float32(1.5)}, r"top_p must be in \(0, 1\], got 1.5"),
    ],
)
def test_what_a_setting_cannot_be_is_one_sentence(wrong, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        SamplingLab(TRACE, **wrong)
    lab = SamplingLab(TRACE)
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        setattr(lab, *wrong.popitem())
    assert lab.filters() == SamplingLab(TRACE).filters()


@pytest.mark.parametrize(
    ("open_widget", "sentence"),
    [
        (lambda _: SamplingLab(TRACE, tempreature=1), "tempreature isn't a setting of SamplingLab; did you mean temp"),
        (lambda _: SamplingLab(TRACE, zoom=1), r"zoom isn't a setting of SamplingLab; help\(SamplingLab\) lists them"),
        (
            lambda encoder: widgets.attention_explorer(encoder, TEXT, laier=1),
            "laier isn't a setting of AttentionExplorer; did you mean layer",
        ),
        (
            lambda encoder: widgets.embedding_map(encoder, ["abc", "abd", "xyz"], neighbour=1),
            "neighbour isn't a setting of EmbeddingMap; did you mean neighbours",
        ),
    ],
)
def test_an_unknown_name_is_one_sentence(encoder, open_widget, sentence):
    with pytest.raises(TypeError, match=f"^{sentence}"):
        open_widget(encoder)


def test_the_usual_names_are_understood_outside_the_engine_too(mine):
    usual, own = (
        traces.record_repetition(mine, TEXT, **settings)
        for settings in (
            {"no_repeat_ngram_size": 2, "max_length": torch.tensor(14), "stop": "q", "repetition_penalty": 2.0},
            {"no_repeat_ngram": 2, "max_new_tokens": 5, "stop_strings": ["q"], "repetition_penalty": 2},
        )
    )  # fmt: skip
    assert usual.ids.tolist() == own.ids.tolist()
    assert dict(usual.settings) == dict(own.settings)
    assert len(traces.record_cache(mine, TEXT, max_length=12, eos_token_id=None).new_tokens) == 3
    short = traces.record_cache(mine, TEXT, max_new_tokens=9, eos_token_id=traces.record_cache(mine, TEXT).cache_tokens)
    assert len(short.new_tokens) <= 9
    tree = widgets.beam_tree(mine, "abc", num_beams=2, max_new_tokens=np.int64(3)).trace
    assert tree.max_new_tokens == 3
    stepper = widgets.cache_stepper(mine, TEXT, max_length=12, step=np.int64(1))
    assert (len(stepper.trace.new_tokens), stepper.step) == (3, 1)


def test_the_lab_takes_them_when_it_is_asked_again(mine):
    lab = widgets.repetition_lab(mine, TEXT, no_repeat_ngram=1, max_new_tokens=3)
    lab.ask(no_repeat_ngram_size=3, max_length=11)
    assert (lab.settings["no_repeat_ngram"], lab.settings["max_new_tokens"]) == (3, 2)
    lab.ask(stop="z")
    assert (lab.settings["no_repeat_ngram"], lab.settings["stop_strings"]) == (3, ("z",))


GREEDY = "isn't a setting of record_{}, which writes greedily; it takes "


@pytest.mark.parametrize("settings", [{"temperature": 0.7}, {"top_k": 5}, {"num_beams": 2}, {"do_sample": True}])
@pytest.mark.parametrize("kind", ["cache", "repetition"])
def test_what_a_greedy_text_has_no_use_for_is_one_sentence(mine, kind, settings):
    record, (name,) = getattr(traces, f"record_{kind}"), settings
    said = GREEDY.format(f"{kind}()")
    with pytest.raises(ValueError) as caught:
        record(mine, TEXT, **settings)
    assert str(caught.value).startswith(f"{name} {said}")


def test_what_changes_nothing_may_be_said(mine):
    idle = {"temperature": 1.0, "do_sample": False, "num_beams": 1, "top_p": 1, "pad_token_id": 0, "seed": 3}
    assert traces.record_cache(mine, TEXT, **idle).new_tokens == traces.record_cache(mine, TEXT).new_tokens


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda mine: traces.record_repetition(mine, TEXT, repitition_penalty=2), "did you mean repetition_penalty"),
        (lambda mine: traces.record_cache(mine, TEXT, repetition_penalty=2), "repetition_penalty isn't a setting"),
        (lambda mine: traces.record_repetition(mine, TEXT, no_repeat_ngram=1, no_repeat_ngram_size=2), "together"),
        (lambda mine: traces.record_repetition(mine, TEXT, stop="a", stop_strings=["b"]), "together"),
        (lambda mine: widgets.beam_tree(mine, TEXT, steps=2, max_new_tokens=3), "steps and max_new_tokens must not be"),
        (lambda mine: traces.record_repetition(mine, TEXT, stop_at_eos="no"), "stop_at_eos must be True or False"),
    ],
)  # fmt: skip
def test_other_names_are_one_sentence(mine, call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call(mine)


def test_several_texts_come_in_anything_that_can_be_gone_through(mine, encoder):
    texts = ["abc", "abcdef"]
    for given in (texts, tuple(texts), np.array(texts), iter(texts)):
        assert traces.record_masks(mine, given).prompts == tuple(texts)
    assert widgets.embedding_map(encoder, (text for text in ["abc", "abd", "xyz"])).words == ["abc", "abd", "xyz"]
    for one in ("abc", 3):
        with pytest.raises(TypeError, match=r"^items must be a list, got "):
            widgets.embedding_map(encoder, one)
        with pytest.raises(TypeError, match=r"^prompts must be a list, got "):
            traces.record_masks(mine, one)
