"""Traces, figures and widgets without a model: arrays in, picture, words and one-sentence errors out."""

import io
import json
import warnings

import numpy as np
import pytest
import torch
from matplotlib.text import Text
from PIL import Image

from course_utils import figures
from course_utils.figures.base import drawable
from course_utils.traces import NextTokenTrace, PipelineTrace
from course_utils.traces.speed import recorded_speed
from course_utils.widgets import (
    AttentionExplorer,
    BeamTreeWidget,
    CacheStepper,
    MemoryCalculator,
    PipelineXray,
    SamplingLab,
    SpeedLab,
)
from tests import test_attention_explorer, test_beam_tree, test_cache_stepper, test_next_token_explorer
from tests.budgets import MOST_ESM_BYTES

GOLDEN = """\
Sampling lab: what comes after “once upon” (toy, 8 tokens)
start                  8 kept  entropy 1.50 bits
temperature 2          8 kept  entropy 2.32 bits
top_k 4                4 kept  entropy 1.80 bits
top_p 0.9              4 kept  entropy 1.80 bits
min_p 0.5              2 kept  entropy 0.96 bits
most likely now: “a” 0.622, “b” 0.378
10 draws with seed 3: “a” 7, “b” 3"""

SETTINGS = {"temperature": 2, "top_k": 4, "top_p": 0.9, "min_p": 0.5, "seed": 3, "draws": 10}


def test_trace_survives_a_file(toy_trace, tmp_path):
    toy_trace.save(tmp_path / "trace.npz")
    loaded = NextTokenTrace.load(tmp_path / "trace.npz")
    assert np.array_equal(loaded.logits, toy_trace.logits)
    assert (loaded.prompt, loaded.prompt_tokens, loaded.labels) == ("once upon", ("once", "␣upon"), tuple("abcdefgh"))


def test_trace_refuses_a_wrong_length():
    with pytest.raises(ValueError, match=r"logits must have shape \(1,\) like labels, got \(2,\)"):
        NextTokenTrace("toy", "a", ("a",), np.zeros(2, np.float32), ("x",))


def test_describe_is_golden(toy_trace):
    assert SamplingLab(toy_trace, **SETTINGS).describe() == GOLDEN


def test_bundle_has_a_small_picture_with_alt_text_and_words(random_trace):
    lab = SamplingLab(random_trace, temperature=0.8, top_k=50, top_p=0.9, draws=1000)
    data, metadata = lab._repr_mimebundle_()
    assert set(data) == {"application/vnd.jupyter.widget-view+json", "image/png", "text/plain"}
    assert len(data["image/png"]) <= 40_000
    assert data["text/plain"] == lab.describe()
    assert metadata["image/png"]["alt"].startswith("Sampling in 4 steps: start keeps 49,152 tokens")


def test_state_within_budget(random_trace, record):
    lab = SamplingLab(random_trace)
    state = sum(len(value) for value in lab.get_state().values() if isinstance(value, bytes | str))
    module, picture = len(SamplingLab._esm.encode()), len(lab._repr_mimebundle_()[0]["image/png"])
    record("SamplingLab", {"esm_bytes": module, "state_bytes": state, "png_bytes": picture})
    assert state <= 500_000
    assert module <= MOST_ESM_BYTES
    assert picture <= 40_000


def test_full_vocabulary_is_what_is_filtered(random_trace):
    """Cutting the logits to 50 before the softmax would show another nucleus."""
    lab = SamplingLab(random_trace, top_p=0.9)
    ranked = torch.from_numpy(random_trace.logits).double().softmax(-1).sort(descending=True).values
    needed = int((ranked.cumsum(-1) < 0.9).sum()) + 1
    assert int((lab.probabilities() > 0).sum()) == needed > 50


def test_order_is_data(toy_trace):
    lab = SamplingLab(toy_trace, temperature=3, top_p=0.8)
    after = int((lab.probabilities() > 0).sum())
    lab.order = ["top_p", "temperature", "top_k", "min_p"]
    assert int((lab.probabilities() > 0).sum()) < after
    assert [title.split()[0] for title, _ in lab.stages()] == ["start", "top_p", "temperature", "top_k", "min_p"]


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("temperature", -1, "temperature must be a finite number of at least 0, got -1.0"),
        ("top_p", 0, "top_p must be in (0, 1], got 0.0"),
        ("top_p", float("nan"), "top_p must be in (0, 1], got nan"),
        ("top_k", 0, "top_k must be a whole number of at least 1, got 0"),
        ("min_p", 2, "min_p must be in [0, 1], got 2.0"),
        ("draws", 1001, "draws must be in 0 … 1000, got 1001"),
        ("seed", -1, "seed must be a whole number of at least 0, got -1"),
        ("order", ["top_p"], "order must name each of ['temperature', 'top_k', 'top_p', 'min_p'] once, got ['top_p']"),
    ],
)
def test_bad_setting_is_one_sentence_and_the_widget_lives(toy_trace, name, value, sentence):
    lab = SamplingLab(toy_trace, **SETTINGS)
    with pytest.raises(ValueError) as caught:
        setattr(lab, name, value)
    assert str(caught.value) == sentence
    assert lab.describe() == GOLDEN


def test_save_as_svg(toy_trace, tmp_path):
    SamplingLab(toy_trace).save(tmp_path / "lab.svg")
    assert (tmp_path / "lab.svg").read_text().lstrip().startswith("<?xml")


def test_bars_show_the_rest(toy_trace):
    figure = figures.next_token_bars(torch.from_numpy(toy_trace.logits).softmax(-1), toy_trace.labels, top=2)
    assert repr(figure) == "Next-token distribution: a 63.2 %, b 23.3 %; the other 6 tokens share 13.5 %."
    data, metadata = figure._repr_mimebundle_()
    assert metadata["image/png"]["alt"] == figure.alt == data["text/plain"]
    picture = Image.open(io.BytesIO(data["image/png"])).convert("RGB")
    assert picture.getpixel((0, 0)) == (255, 255, 255), "opaque: readable in the dark theme"


@pytest.mark.parametrize(
    ("top", "sentence"), [(0, "top must be in 1 … 30, got 0"), (31, "top must be in 1 … 30, got 31")]
)
def test_bars_refuse_a_bad_top(top, sentence):
    with pytest.raises(ValueError) as caught:
        figures.next_token_bars(np.ones(40) / 40, ["x"] * 40, top=top)
    assert str(caught.value) == sentence


def test_no_character_breaks_a_picture():
    """Emoji, Chinese, dollar signs (mathematics to matplotlib) and an empty-looking token."""
    labels = ["🙂", "你好", "$x^$", "␣", "\\frac", "<E4>"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figures.png_bytes(figures.next_token_bars(np.ones(6) / 6, labels, top=6))
    assert drawable("🙂") == "<U+1F642>"


TOKENS = ("what the model reads", (1, 3), ("token", "input_ids"), (("[CLS]", 101), ("good", 2204), ("[SEP]", 102)))
LOGITS = ("logits", (1, 2), ("label", "logit"), (("NEGATIVE", -1.5), ("POSITIVE", 1.5)))
ANSWER = ("the answer", (1,), ("label", "score"), (("POSITIVE", 0.9526),))
XRAY = """\
Pipeline x-ray: sentiment-analysis on “good”
1 preprocess
  what the model reads, shape (1, 3): token, input_ids
    [CLS]  101
    good  2204
    [SEP]  102
2 forward
  logits, shape (1, 2): label, logit
    NEGATIVE  -1.5
    POSITIVE  1.5
3 postprocess
  the answer, shape (1,): label, score
    POSITIVE  0.9526"""


def toy_pipeline(text="good"):
    return PipelineTrace("sentiment-analysis", text, (TOKENS,), (LOGITS,), (ANSWER,))


def test_xray_says_and_draws_every_step():
    xray = PipelineXray(toy_pipeline())
    assert xray.describe() == XRAY
    data, metadata = xray._repr_mimebundle_()
    assert data["text/plain"] == XRAY
    assert len(data["image/png"]) <= 40_000
    assert metadata["image/png"]["alt"] == (
        "A pipeline in 3 steps on “good”. preprocess makes what the model reads of shape (1, 3), with the columns "
        "token, input_ids: “[CLS]” 101; “good” 2204; “[SEP]” 102. forward makes logits of shape (1, 2), with the "
        "columns label, logit: NEGATIVE -1.5; POSITIVE 1.5. postprocess makes the answer of shape (1,), with the "
        "columns label, score: POSITIVE 0.9526."
    )
    assert len(PipelineXray._esm.encode()) <= MOST_ESM_BYTES


def test_the_picture_has_the_attention_mask():
    rows = (("[CLS]", 101, 0, 1), ("good", 2204, 0, 1), ("[PAD]", 0, 0, 0))
    columns = ("token", "input_ids", "token_type_ids", "attention_mask")
    figure = PipelineXray(
        PipelineTrace("ner", "good", (("what the model reads", (1, 3), columns, rows),), (LOGITS,), (ANSWER,))
    ).figure()
    drawn = [text.get_text() for text in figure.axes[0].texts]
    assert drawn == [
        *("what the model reads", "shape (1, 3)"),
        *("token", "[CLS]", "good", "[PAD]", "input\n_ids", "101", "2204", "0"),
        *("token\n_type_ids", "0", "0", "0", "attention\n_mask", "1", "1", "0"),
    ]
    assert "“[PAD]” 0 0 0" in figure.alt


def test_xray_runs_another_text_and_survives_a_wrong_one():
    def run(text):
        if not text:
            raise ValueError("text must have at least one word, got ''")
        return toy_pipeline(text)

    xray = PipelineXray(toy_pipeline(), run)
    xray.asked = [1, "better"]
    assert (xray.text, xray.problem, xray.answered) == ("better", "", 1)
    xray.asked = [2, ""]
    assert (xray.text, xray.problem, xray.answered) == ("better", "text must have at least one word, got nothing", 2)
    xray.asked = [3, "better"]
    assert (xray.problem, xray.answered) == ("", 3)


def test_xray_of_a_long_text_stays_small():
    rows = tuple((f"token{i}", i) for i in range(40))
    long = ("what the model reads", (1, 500), ("token", "input_ids"), rows)
    xray = PipelineXray(PipelineTrace("ner", "long", (long,) * 8, (LOGITS,), (ANSWER,)))
    data, _ = xray._repr_mimebundle_()
    assert len(data["image/png"]) <= 40_000
    assert "(1 of 8)" in "".join(text.get_text() for text in xray.figure().axes[0].texts)
    assert "… 24 more rows" in xray.describe()


def long_pipeline(tokens):
    rows = tuple((f"token{place}", place) for place in range(tokens))
    read = ("what the model reads", (1, tokens), ("token", "input_ids"), rows)
    return PipelineTrace("sentiment-analysis", "long", (read,), (LOGITS,), (ANSWER,))


def test_xray_within_budget(record):
    xray = PipelineXray(long_pipeline(200))
    state = len(json.dumps({name: value for name, value in xray.get_state().items() if not name.startswith("_")}))
    module, picture = len(PipelineXray._esm.encode()), len(xray._repr_mimebundle_()[0]["image/png"])
    record("PipelineXray", {"esm_bytes": module, "state_bytes": state, "png_bytes": picture})
    assert module <= MOST_ESM_BYTES
    assert state <= 500_000
    assert picture <= 40_000


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: setattr(PipelineXray(toy_pipeline()), "step", 3), "step must be 0, 1 or 2, got 3"),
        (
            lambda: figures.attention_map(np.zeros((2, 3)), ["a"], ["b", "c", "d"]),
            "weights must have shape (1, 3) like the tokens, got (2, 3)",
        ),
        (lambda: figures.pipeline_steps([], ""), "steps must hold at least one step, got none"),
        (
            lambda: PipelineTrace("toy", "a", (), (LOGITS,), (ANSWER,)),
            "preprocess must hold at least one table, got none",
        ),
    ],
)
def test_bad_xrays_are_one_sentence(make, sentence):
    with pytest.raises(ValueError) as caught:
        make()
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("shows_frame", "sides"), [(False, {"left", "bottom"}), (True, {"left", "bottom", "top", "right"})]
)
def test_a_figure_draws_the_lines_around_its_axes(shows_frame, sides):
    figure = figures.CourseFigure(figsize=(3, 2), shows_frame=shows_frame)
    for axes in figure.subplots(2, 2).flat:
        assert {side for side, line in axes.spines.items() if line.get_visible()} == sides
    assert figure.get_layout_engine() is not None


PAGE = 760  # pixels that a notebook has for a picture; a wider one is made smaller
READABLE = 11.9  # pixels: 9 points
STORED = {
    "sampling": lambda: SamplingLab(test_next_token_explorer.random_prompt(20), **SETTINGS),
    "attention": lambda: AttentionExplorer(test_attention_explorer.made_trace(30, 9, 3, 18, 18)),
    "60 tokens": lambda: AttentionExplorer(test_attention_explorer.made_trace(4, 9, 3, 60, 60), hide_first=True),
    "cache": lambda: CacheStepper(test_cache_stepper.as_large_as_smollm2(40), step=5),
    "key lengths": lambda: CacheStepper(test_cache_stepper.as_large_as_smollm2(200), key_lengths=True),
    "beam tree": lambda: BeamTreeWidget(test_beam_tree.random_trace(4, 8)),
    "speed": lambda: SpeedLab(recorded=recorded_speed(), curve="throughput"),
    "memory": MemoryCalculator,
    "card": lambda: MemoryCalculator(model="Llama 3.1 405B", card="80 GB, A100 80GB"),
}


@pytest.mark.parametrize("name", STORED)
def test_a_stored_picture_has_a_headline_and_is_read_without_a_magnifier(name):
    widget = STORED[name]()
    figure, png = widget.figure(), widget.static_bundle()[0]["image/png"]
    assert len(png) <= 40_000
    picture = Image.open(io.BytesIO(png))
    figure.draw_without_rendering()
    texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    scale = picture.width / (72 * figure.get_figwidth()) * min(1, PAGE / picture.width)
    assert {text.get_text(): text.get_fontsize() for text in texts if text.get_fontsize() * scale < READABLE} == {}
    (headline,) = [text for text in texts if text.get_fontweight() == "bold"]
    assert len(headline.get_text()) > 12
    assert headline.get_window_extent().x1 <= figure.bbox.x1, "whole"
