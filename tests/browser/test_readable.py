"""What every widget shows can be read: whole words, Hebrew in its place, dark sliders; and input methods end words."""

import io
import re
from dataclasses import fields, replace

import numpy as np
import pytest
from PIL import Image

from course_utils.models import load_causal_lm, load_encoder
from course_utils.models.pipelines import load_pipeline
from course_utils.traces import record_pipeline
from course_utils.traces.speed import recorded_speed
from course_utils.widgets import (
    AttentionExplorer,
    BeamTreeWidget,
    CacheStepper,
    EmbeddingMap,
    MaskLab,
    MemoryCalculator,
    NextTokenExplorer,
    PipelineXray,
    RepetitionLab,
    SamplingLab,
    SpeedLab,
    tokenizer_stepper,
)
from tests import (
    test_attention_explorer,
    test_beam_tree,
    test_cache_stepper,
    test_embedding_map,
    test_mask_lab,
    test_next_token_explorer,
    test_repetition_lab,
)
from tests.browser.conftest import render_alone
from tests.browser.test_first_paint import WIDGETS

pytestmark = pytest.mark.browser

LONG_WORDS = "internationalization generation antidisestablishmentarianism"


def prompt(tokens=8):
    return test_next_token_explorer.random_prompt(tokens)


def both_tokenizers(text):
    return tokenizer_stepper([load_causal_lm(), load_encoder()], text)


# Everything at its usual size, and what was cut once: long numbers, long words, long prompts, probabilities near 0.
CASES = {name: lambda name=name: WIDGETS[name](20) for name in WIDGETS} | {
    "speed": lambda: SpeedLab(recorded=recorded_speed()),
    "throughput": lambda: SpeedLab(recorded=recorded_speed(), curve="throughput"),
    "calculator": MemoryCalculator,
    "large model": lambda: MemoryCalculator(model="Llama 3.1 405B", context=2**20, batch=64, naive=True),
    "small model": lambda: MemoryCalculator(model="GPT-2 XL", dtype="int4", context=1024, all_logits=True),
    "hot lab": lambda: SamplingLab(prompt(), temperature=2, top_k=7, top_p=0.9, min_p=0.05, draws=1000),
    "cold lab": lambda: SamplingLab(prompt(), temperature=0),
    "own lab": lambda: SamplingLab(prompt(), own={"top_k": lambda logits, k: logits * 2}, top_k=7),
    "long words": lambda: both_tokenizers(LONG_WORDS),
    "17 masks": lambda: MaskLab(test_mask_lab.random_masks(17), kind="window", padding="right"),
    "60 masks": lambda: MaskLab(test_mask_lab.random_masks(60)),
}
WIDTHS = (1000, 760)
# Labels of points lie where the points are.
MAY_OVERLAP = {"EmbeddingMap"}
# Texts that end outside of the page or of a box that hides the rest, and SVG texts that lie over each other. What can
# be scrolled into view isn't lost.
CUT = """
() => {
  const root = document.querySelector(".course-widget"), found = [];
  const seen = { visibilityProperty: true, opacityProperty: true };
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode, parent = text.parentElement, range = document.createRange();
    if (!text.textContent.trim() || !parent.checkVisibility(seen) || parent.closest("select, title, style")) continue;
    range.selectNodeContents(text);
    const box = range.getBoundingClientRect();
    let scrolls = false;
    for (let at = parent; at && root.contains(at) && !scrolls; at = at.parentElement) {
      const style = getComputedStyle(at), outer = at.getBoundingClientRect();
      scrolls = /auto|scroll/.test(style.overflowX);
      const sideways = Math.max(outer.left - box.left, box.right - outer.right);
      const out = Math.max(sideways, outer.top - box.top, box.bottom - outer.bottom);
      if (/hidden|clip/.test(style.overflowX) && out > 2) found.push([text.textContent, "cut by", at.tagName, out]);
    }
    if (!scrolls && box.right > innerWidth) found.push([text.textContent, "beyond the page", box.right]);
  }
  for (const box of root.querySelectorAll("input[type=text]"))
    if (box.scrollWidth > box.clientWidth + 1 && box.size < 20) found.push([box.value, "too long for its box"]);
  return found;
}
"""
OVERLAPS = """
() => {
  const found = [];
  for (const svg of document.querySelectorAll(".course-widget svg")) {
    const texts = [...svg.querySelectorAll("text")].filter((text) => text.textContent.trim() && text.checkVisibility());
    const boxes = texts.map((text) => text.getBoundingClientRect());
    boxes.forEach((a, i) => boxes.slice(i + 1).forEach((b, j) => {
      const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (wide > 2 && high > 4) found.push([texts[i].textContent, texts[i + 1 + j].textContent]);
    }));
  }
  return found;
}
"""


@pytest.fixture
def alone(browser, outside_requests):
    """Draw a widget on a page of its own, which is closed after the test."""
    pages = []

    def draw(widget):
        pages.append(render_alone(browser, outside_requests, widget)[0])
        return pages[-1]

    yield draw
    for page in pages:
        page.context.close()
    assert outside_requests == []


@pytest.mark.parametrize("name", CASES)
def test_no_word_is_cut_or_covered(alone, name):
    page = alone(CASES[name]())
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(100)
        assert page.evaluate(CUT) == [], width
        assert name in MAY_OVERLAP or page.evaluate(OVERLAPS) == [], width
    assert not re.search(r"\de[+-]\d\b", page.inner_text(".course-widget")), "0e+0 is JavaScript's, not a reader's"


def test_words_that_are_cut_would_be_found(alone):
    page = alone(CASES["EmbeddingMap"]())
    page.add_style_tag(content=".course-widget .intro { white-space: nowrap; width: 9em; overflow: hidden }")
    assert any("cut by" in one for one in page.evaluate(CUT))
    page.add_style_tag(content=".course-widget .intro { overflow: visible; padding-left: 900px }")
    assert any("beyond the page" in one for one in page.evaluate(CUT))
    page.evaluate("() => document.querySelectorAll('svg text').forEach((text) => text.setAttribute('x', 50))")
    assert page.evaluate(OVERLAPS) != []


def hebrew(value):
    """The same with Hebrew words where numbered ones were: "␣token12" becomes three letters."""
    if isinstance(value, tuple):
        return tuple(map(hebrew, value))
    if isinstance(value, str) and (found := re.fullmatch(r"␣?[a-z]+(\d+)", value)):
        return "".join(chr(0x5D0 + int(digit)) for digit in found[1]) + "ם"
    return value


def in_hebrew(trace, **more):
    return replace(trace, **{field.name: hebrew(getattr(trace, field.name)) for field in fields(trace)} | more)


def hebrew_tree():
    trace = test_beam_tree.random_trace(2, 5)
    words = hebrew(tuple(f"t{node}" for node in range(len(trace.tokens))))
    return BeamTreeWidget(in_hebrew(trace, tokens=words, greedy_tokens=words[: len(trace.greedy_tokens)]))


def hebrew_attention():
    names = hebrew(tuple(f"t{place}" for place in range(6)))
    return AttentionExplorer(test_attention_explorer.made_trace(2, 3, 3, 6, 6, tokens=names))


HEBREW = {
    "AttentionExplorer": hebrew_attention,
    "BeamTreeWidget": hebrew_tree,
    "CacheStepper": lambda: CacheStepper(
        replace(
            test_cache_stepper.as_large_as_smollm2(20),
            prompt_tokens=hebrew(tuple(f"t{i}" for i in range(10))),
            new_tokens=hebrew(tuple(f"n{i}" for i in range(11))),
        )
    ),
    "EmbeddingMap": lambda: EmbeddingMap(in_hebrew(test_embedding_map.random_trace(6))),
    "MaskLab": lambda: MaskLab(in_hebrew(test_mask_lab.random_masks(6))),
    "NextTokenExplorer": lambda: NextTokenExplorer([in_hebrew(prompt())] * 2),
    "PipelineXray": lambda: PipelineXray(record_pipeline(load_pipeline("sentiment-analysis"), "שלום עולם")),
    "RepetitionLab": lambda: RepetitionLab(in_hebrew(test_repetition_lab.random_trace(10))),
    "SamplingLab": lambda: SamplingLab(in_hebrew(prompt()), top_k=7, draws=100),
    "tokenizer_stepper": lambda: both_tokenizers("שלום עולם טוב"),
}
# On every line, what comes later is further right, or further left in a text that is Hebrew as a whole: a token is one
# piece, and so is each word beside it. Hebrew that isn't isolated reorders what is around it.
REORDERED = r"""
() => {
  const root = document.querySelector(".course-widget"), found = [], pieces = [];
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode, parent = text.parentElement;
    if (!parent.checkVisibility({ visibilityProperty: true }) || parent.closest("select, title, style")) continue;
    const line = parent.closest("text, td, th, div, p, label, button, summary, pre");
    for (const piece of text.textContent.matchAll(/\u2068[^\u2069]*\u2069|[\u0590-\u05ff]+|[\w.,%−]*\w[\w.,%−]*/g)) {
      const range = document.createRange();
      range.setStart(text, piece.index);
      range.setEnd(text, piece.index + piece[0].length);
      pieces.push({ line, words: piece[0], box: range.getBoundingClientRect() });
    }
  }
  window.hebrew = pieces.filter(({ words }) => /[\u0590-\u05ff]/.test(words)).length;
  pieces.forEach((piece, i) => {
    const before = pieces[i - 1];
    if (!before || before.line !== piece.line || Math.abs(before.box.top - piece.box.top) > 3) return;
    const isBefore = piece.box.left < before.box.left, isLeft = getComputedStyle(piece.line).direction === "rtl";
    if (isBefore !== isLeft) found.push([before.words, piece.words, piece.line.className]);
  });
  return found;
}
"""


@pytest.mark.parametrize("name", HEBREW)
def test_hebrew_reorders_nothing_around_it(alone, name):
    page = alone(HEBREW[name]())
    assert page.evaluate(REORDERED) == []
    assert page.evaluate("() => window.hebrew") > 3


def test_hebrew_that_reorders_would_be_found(alone):
    page = alone(HEBREW["NextTokenExplorer"]())
    page.add_style_tag(content=".course-widget * { unicode-bidi: normal !important }")
    page.evaluate("() => document.querySelectorAll('.status, .chip').forEach((one) => one.append('שלום 1, עולם 2'))")
    assert page.evaluate(REORDERED) != []


SLIDERS = [name for name in CASES if name in WIDGETS or name in ("speed", "calculator")]
LIGHT_TRACK = 128  # of 255


@pytest.mark.parametrize("name", SLIDERS)
def test_sliders_are_dark_in_a_dark_theme(alone, name):
    page = alone(CASES[name]())
    page.emulate_media(color_scheme="light")  # the system's: JupyterLab has its own
    page.evaluate("() => document.body.setAttribute('data-jp-theme-light', 'false')")
    sliders = page.locator("input[type=range]:visible:enabled")
    for slider in sliders.all():
        assert slider.evaluate("(slider) => getComputedStyle(slider).colorScheme") == "dark"
        slider.evaluate("(slider) => (slider.value = slider.min)")  # the whole track is on the thumb's right
        picture = Image.open(io.BytesIO(slider.screenshot())).convert("L")
        track = np.asarray(picture)[picture.height // 2, picture.width // 2 : -8]
        assert track.mean() < LIGHT_TRACK, (slider.get_attribute("aria-label"), track.mean())


def test_a_light_track_would_be_found(alone):
    page = alone(MemoryCalculator())
    slider = page.locator("input[type=range]").first
    slider.evaluate("(slider) => (slider.value = slider.min)")
    picture = Image.open(io.BytesIO(slider.screenshot())).convert("L")
    assert np.asarray(picture)[picture.height // 2, picture.width // 2 : -8].mean() > LIGHT_TRACK


COMPOSE = """
(box) => {
  for (const how of [{ isComposing: true }, { keyCode: 229 }])
    box.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true, ...how }));
}
"""
DRAWN = "() => ((root) => [root.dataset.drawn, root.className])(document.querySelector('.course-widget'))"


def embedding_map():
    trace = test_embedding_map.random_trace(3)
    return EmbeddingMap(trace, lambda item: trace)


@pytest.mark.parametrize("make", [embedding_map, lambda: SamplingLab(prompt()), MemoryCalculator])
def test_the_enter_that_ends_a_word_runs_nothing(alone, make):
    page = alone(make())
    boxes = page.locator("input[type=text]:visible:enabled")
    assert boxes.count() >= 2
    for box in boxes.all():
        name, held, before = box.get_attribute("aria-label"), box.input_value(), page.evaluate(DRAWN)
        box.fill("2" if "value" in name else "に")
        box.evaluate(COMPOSE)
        page.wait_for_timeout(50)
        assert page.evaluate(DRAWN) == before, name
        assert page.locator(".problem:not(:empty)").count() == 0, name
        box.fill(held)  # else leaving the box is what runs it
    before = page.evaluate(DRAWN)
    boxes.first.fill("3")
    boxes.first.press("Enter")
    page.wait_for_function(f"(before) => String(({DRAWN})()) !== String(before)", arg=before)


def without_a_model(widget):
    widget.can_run = False
    return widget


RECORDED = {
    "sampling lab": lambda: without_a_model(SamplingLab(prompt(), run=lambda text, token: prompt())),
    "own functions": lambda: without_a_model(SamplingLab(prompt(), own={"top_k": lambda logits, k: logits}, top_k=7)),
    "attention": lambda: AttentionExplorer(test_attention_explorer.made_trace(2, 3, 3, 6, 6)),
    "stepper": lambda: CacheStepper(test_cache_stepper.as_large_as_smollm2(20), step=5),
    "beam tree": lambda: BeamTreeWidget(test_beam_tree.random_trace(2, 5)),
    "speed": lambda: SpeedLab(recorded=recorded_speed()),
}


@pytest.mark.parametrize("name", RECORDED)
def test_without_a_model_what_needs_it_is_grey_and_says_where_it_works(alone, name):
    page = alone(RECORDED[name]())
    controls = page.locator("input, select, button")
    off = [control.is_disabled() for control in controls.all()]
    assert any(off)
    assert all(off) == (name == "own functions"), "everything else answers"
    assert "in your own copy" in page.locator("span.recorded").first.text_content()
    assert 30 < len(page.locator(".course-widget > .intro:first-child").text_content()) < 220


def test_a_seed_and_a_draw_need_no_kernel(alone):
    page = alone(RECORDED["sampling lab"]())
    page.get_by_role("button", name="Draw 1000").click()
    before, seed = page.inner_text(".status"), page.get_by_label("seed, exact value")
    seed.fill("5")
    seed.press("Enter")
    assert page.inner_text(".status") != before
    seed.fill("0")
    seed.press("Enter")
    assert page.inner_text(".status") == before, "the same seed, the same draws"


def test_the_tree_plays_and_the_cache_shows_its_keys_without_a_kernel(alone):
    page = alone(RECORDED["beam tree"]())
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("() => document.querySelectorAll('[data-node]').length > 0 && model.get('step') === 2")
    page.get_by_role("button", name="Stop").click()
    page = alone(RECORDED["stepper"]())
    assert page.locator("svg image").count() == 0
    page.get_by_label("key lengths").check()
    assert page.locator("svg image").count() == 1


def test_the_first_token_is_hidden_without_a_kernel(alone):
    page = alone(RECORDED["attention"]())
    page.get_by_label("hide the first token").check()
    assert page.locator(".strip .masked").count() == 1
