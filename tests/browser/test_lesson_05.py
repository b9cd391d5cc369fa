"""Lesson 05 in JupyterLab: the tokenizer stepper and the embedding map by keyboard, with texts of one's own."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import assert_no_errors, choose_from_menu, key_to_paint, lesson_part, open_and_run, within

pytestmark = pytest.mark.browser

BUDGET_MILLISECONDS = 50
KERNEL_BUDGET_MILLISECONDS = 250
STEP = ".stepper section:first-of-type input[data-trait=step]"
# About 20, 60 and 200 tokens in both tokenizers.
TEXTS = {size: "The tokenizer reads bytes, and 12 is two digits. " * (size // 13) for size in (20, 60)} | {
    200: "The tokenizer reads bytes, and 12 is two digits. " * 15 + "Well, that is a lot."
}


@pytest.fixture(scope="module")
def page(browser, lab_server, outside_requests):
    part = lesson_part(lab_server, "05_from_text_to_vectors", r"(?m)^(tokenizer_stepper|embedding_map)\(")
    drawn = "document.querySelector('.stepper[data-drawn]') && document.querySelector('.embedding-map[data-drawn]')"
    return open_and_run(browser, lab_server, outside_requests, part, drawn, width=1300)


def shoot(page, artifacts, selector, name):
    page.locator(selector).scroll_into_view_if_needed()
    page.wait_for_timeout(400)
    page.locator(selector).screenshot(path=artifacts / f"lesson-05-{name}.png")


def tokenize(page, text):
    box = page.locator(".stepper .ask input")
    drawn = int(page.locator(".stepper").get_attribute("data-drawn"))
    box.fill(text)
    box.press("Enter")
    page.wait_for_function(f"() => +document.querySelector('.stepper').dataset.drawn > {drawn}")
    page.wait_for_selector(".stepper:not(.running)")


def test_every_cell_ran_without_an_error(page):
    assert_no_errors(page)


def test_merges_by_keyboard(page, artifacts):
    page.locator(".stepper").scroll_into_view_if_needed()
    shoot(page, artifacts, ".stepper", "stepper")
    slider = page.locator(STEP)
    slider.focus()
    section = page.locator(".stepper section").first
    assert section.locator(".said").text_content().startswith("Step 0 of"), "merges are there to be seen"
    assert section.locator("h4").text_content() == "SmolLM2-135M-Instruct: byte pairs · 44 characters → 20 tokens"
    assert section.locator(".running .token").count() == 20
    bytes_of_text = len("Tokenization isn't obvious: 2,048 naïve 🙂 你好".encode())
    assert section.locator(".chip").count() == bytes_of_text
    page.keyboard.press("ArrowRight")
    page.wait_for_function("() => document.querySelector('.stepper .said').textContent.startsWith('Step 1 of')")
    assert " → " in section.locator(".said").text_content()
    assert section.locator(".chip.new").count() >= 1
    assert section.locator(".chip").count() == bytes_of_text - section.locator(".chip.new").count()
    shoot(page, artifacts, ".stepper", "stepper-first-merge")
    for step in page.locator(".stepper input[data-trait=step]").all():
        step.focus()
        page.keyboard.press("End")
    page.wait_for_function("() => !document.querySelector('.stepper .later')")
    assert section.locator(".chip").count() == 20
    assert section.locator(".chip small").first.is_hidden()
    page.get_by_label("bytes", exact=True).check()
    assert section.locator(".chip small").first.text_content() == "54 6F 6B 65 6E"
    assert section.locator(".chip small").first.is_visible()
    page.get_by_label("bytes", exact=True).uncheck()


def test_play_joins_the_pieces_of_both_tokenizers(page):
    play = page.locator(".stepper .switches button")
    steps = "() => [...document.querySelectorAll('.stepper input[data-trait=step]')].map((step) => +step.value)"
    ends = page.evaluate(steps)
    play.click()  # from the end back to the beginning
    page.wait_for_function(f"() => Math.min(...({steps})()) >= 2")
    assert play.text_content() == "■ Stop"
    play.click()
    stopped = page.evaluate(steps)
    assert all(0 < now < end for now, end in zip(stopped, ends, strict=True))
    play.click()
    page.wait_for_function(f"(ends) => ({steps})().join() === ends.join()", arg=ends)
    assert play.text_content() == "▶ Play"


def test_tokens_appear_while_someone_types(page):
    box, heading = page.locator(".stepper .ask input"), page.locator(".stepper section:first-of-type h4")
    box.fill("")
    box.press_sequentially("unbelievable", delay=30)
    expect(heading).to_contain_text("12 characters → 3 tokens")
    assert page.locator(".stepper section:first-of-type .running").text_content() == "unbelievable"
    assert box.input_value() == "unbelievable"
    box.fill("Tokenization isn't obvious: 2,048 naïve 🙂 你好")
    expect(heading).to_contain_text("44 characters → 20 tokens")


def test_special_tokens_of_the_chat_template(page, artifacts):
    page.locator(".stepper input[type=checkbox]").first.focus()
    page.keyboard.press("Space")
    page.wait_for_selector(".stepper .chip.special")
    specials = page.locator(".stepper .chip.special b").all_text_contents()
    assert specials == ["<|im_start|>", "<|im_end|>", "<|im_start|>", "<|im_end|>", "<|im_start|>", "[CLS]", "[SEP]"]
    shoot(page, artifacts, ".stepper", "stepper-chat")
    page.keyboard.press("Space")
    page.wait_for_function("() => !document.querySelector('.stepper .chip.special')")


def test_the_tree_of_another_word(page):
    word = page.locator(".stepper section:first-of-type input[data-trait=word]")
    word.focus()
    page.keyboard.press("End")
    page.wait_for_function("() => document.querySelectorAll('.stepper section:first-of-type .tree .node').length === 9")
    tree = page.locator(".stepper section:first-of-type .tree")
    assert "<E5>" in tree.get_attribute("aria-label")
    page.locator(".stepper section:first-of-type .word").first.click()
    page.wait_for_function("() => document.querySelector('.stepper .word-name').textContent === 'Token·ization'")


def test_a_text_of_ones_own_and_wrong_ones(page, artifacts):
    tokenize(page, "🙂")
    assert page.locator(".stepper section:first-of-type .chip").count() == 2
    assert page.locator(".stepper section:last-of-type .chip b").text_content() == "[UNK]"
    tokenize(page, "a")
    assert page.locator(".stepper section:first-of-type .chip").count() == 1
    tokenize(page, "")
    page.wait_for_selector(".stepper .status.problem")
    assert page.locator(".stepper .status").text_content() == "text must have 1 … 20,000 characters, got 0"
    tokenize(page, "word " * 3_000)
    assert page.locator(".stepper .notice").first.text_content() == "Only the first 200 tokens of 3,001 are drawn."
    assert "too long for this model" in page.locator(".stepper .cost").last.text_content()
    tokenize(page, "<b>bold</b> 你好 👩‍👩‍👧")
    assert page.locator(".stepper b b").count() == 0
    shoot(page, artifacts, ".stepper", "stepper-own-text")
    for letters, shown in ((79, "a" * 79 + "🦜🦜"), (98, "a" * 98 + "🦜🦜"), (99, "a" * 99 + "…")):
        tokenize(page, "a" * letters + "🦜🦜")
        assert page.locator(".stepper .status").text_content() == f"“\u2068{shown}\u2069”"


def test_the_enter_that_ends_a_word_of_an_input_method_runs_nothing(page):
    tokenize(page, "Hi")
    box, status = page.locator(".stepper .ask input"), page.locator(".stepper .status")
    box.evaluate(
        """(box) => {
          box.value = "にほん";
          box.dispatchEvent(new InputEvent("input", { isComposing: true, bubbles: true }));
        }"""
    )
    for composing in ({"isComposing": True}, {"keyCode": 229}):
        box.dispatch_event("keydown", {"key": "Enter", **composing})
    page.wait_for_timeout(800)
    assert status.text_content() == "“\u2068Hi\u2069”"
    assert box.input_value() == "にほん"
    box.press("Enter")
    page.wait_for_function("() => document.querySelector('.stepper .status').textContent.includes('にほん')")


@pytest.mark.parametrize("size", TEXTS)
def test_stepping_is_fast(page, record, size):
    tokenize(page, TEXTS[size])
    shown = page.locator(".stepper section:first-of-type .chip").count()
    assert abs(shown - size) <= 8, shown
    page.locator(STEP).focus()
    key_to_paint(page, ".stepper", ["ArrowLeft"] * 3)  # the first drawings are slower
    times = key_to_paint(
        page, ".stepper", ["Home", *["ArrowRight"] * 20, *["ArrowLeft"] * 10, "End"], BUDGET_MILLISECONDS
    )
    record("TokenizerStepper", {f"key_to_paint_ms_{size}_tokens": times})
    within(times, BUDGET_MILLISECONDS)


def test_the_table_says_what_the_chips_say(page):
    tokenize(page, "Hi tokens")
    page.locator(".stepper summary").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".stepper details table")
    rows = page.locator(".stepper details table").first.locator("tr").all_text_contents()
    assert rows[0] == "placetokenidbytes"
    assert rows[1].startswith("1Hi")
    assert rows[1].endswith("48 69")
    assert rows[2].startswith("2␣tokens")
    assert rows[2].endswith("20 74 6F 6B 65 6E 73")
    page.keyboard.press("Enter")


def test_layers_by_keyboard(page, artifacts, record):
    page.locator(".embedding-map").scroll_into_view_if_needed()
    shoot(page, artifacts, ".embedding-map", "map")
    slider = page.locator(".embedding-map input[data-trait=layer]")
    slider.focus()
    times = key_to_paint(page, ".embedding-map", ["ArrowLeft"] * 15 + ["ArrowRight"] * 15, BUDGET_MILLISECONDS)
    record("EmbeddingMap", {"key_to_paint_ms": times})
    within(times, BUDGET_MILLISECONDS)
    page.keyboard.press("Home")
    status = page.locator(".embedding-map .status")
    page.wait_for_function(
        "() => document.querySelector('.embedding-map .status').textContent.startsWith('Layer 0 of 30, the embedding')"
    )
    assert "the words don't differ here" in status.text_content()
    assert page.locator(".embedding-map table tr td:nth-child(2)").first.text_content().strip() == "1.00"
    page.keyboard.press("End")


def test_pinning_among_few_words_is_done_on_the_page(page, record):
    page.locator(".embedding-map select[data-trait=pinned]").focus()
    keys = ["ArrowDown"] * 5 + ["ArrowUp"] * 5 + ["ArrowDown"] * 5
    times = key_to_paint(page, ".embedding-map", keys, BUDGET_MILLISECONDS)
    record("EmbeddingMap", {"pin_ms": times})
    within(times, BUDGET_MILLISECONDS)
    heading = page.locator(".embedding-map .heading").text_content()
    assert "“\u2068bank 6\u2069” in “\u2068She opened an account" in heading
    page.locator(".embedding-map [data-word='0'] .dot").click()
    page.wait_for_function(
        "() => document.querySelector('.embedding-map .heading').textContent.includes('bank 1\u2069” in')"
    )
    page.locator(".embedding-map input[data-trait=neighbours]").focus()
    page.keyboard.press("End")
    page.wait_for_function("() => document.querySelectorAll('.embedding-map .link').length === 5")
    page.get_by_label("path of the pinned word").focus()
    page.keyboard.press("Space")
    page.wait_for_function("() => !document.querySelector('.embedding-map .path')")
    page.keyboard.press("Space")
    page.wait_for_selector(".embedding-map .path")


def test_the_map_fits_the_layer_or_keeps_its_axes(page):
    """At layer 0 all words are one point; at layer 15 they fill the map, unless it must hold every layer."""
    layer = page.locator(".embedding-map input[data-trait=layer]")
    layer.fill("15")
    widths = []
    for fixed in (False, True):
        page.get_by_label("same axes at every layer").set_checked(fixed)
        page.wait_for_function(
            "() => document.querySelector('.embedding-map .status').textContent.startsWith('Layer 15')"
        )
        places = [box["x"] for box in (dot.bounding_box() for dot in page.locator(".embedding-map .map .dot").all())]
        widths.append(max(places) - min(places))
    assert widths[0] > 1.05 * widths[1]
    assert widths[0] > 0.5 * page.locator(".embedding-map .map svg").bounding_box()["width"]
    page.get_by_label("same axes at every layer").uncheck()


def add(page, text, word):
    boxes = page.locator(".embedding-map .ask input")
    drawn = int(page.locator(".embedding-map").get_attribute("data-drawn"))
    boxes.nth(0).fill(text)
    boxes.nth(1).fill(word)
    boxes.nth(1).press("Enter")
    page.wait_for_function(f"() => +document.querySelector('.embedding-map').dataset.drawn > {drawn}")
    page.wait_for_selector(".embedding-map:not(.running)")


def test_a_sentence_of_ones_own_and_a_wrong_one(page, artifacts):
    add(page, "We sat on the grass of the bank", "bank")
    assert page.locator(".embedding-map [data-word]").count() == 7
    add(page, "There is no such thing here", "bank")
    page.wait_for_function("() => document.querySelector('.embedding-map .ask .problem').textContent")
    said = page.locator(".embedding-map .ask .problem").text_content()
    assert said == "word must be a part of the text 'There is no such thing here', got 'bank'"
    add(page, "你好 🙂", "")
    assert page.locator(".embedding-map [data-word]").count() == 8
    shoot(page, artifacts, ".embedding-map", "map-own-text")


def test_a_slider_does_not_hide_that_the_map_is_running(page):
    boxes, status = page.locator(".embedding-map .ask input"), page.locator(".embedding-map .status")
    boxes.nth(0).fill("the bank " * 1_500)
    boxes.nth(1).fill("bank")
    boxes.nth(1).press("Enter")
    layer = page.locator(".embedding-map input[data-trait=layer]")
    layer.focus()
    drawn = int(page.locator(".embedding-map").get_attribute("data-drawn"))
    page.keyboard.press("ArrowLeft")
    page.wait_for_function(f"() => +document.querySelector('.embedding-map').dataset.drawn > {drawn}")
    assert status.text_content() == "Running …"
    page.locator(".embedding-map .stop").click()
    page.wait_for_selector(".embedding-map:not(.running)")
    assert page.locator(".embedding-map .ask .problem").text_content() == "Stopped. What you see below is from before."
    assert page.locator(".embedding-map [data-word]").count() == 8
    assert status.text_content().startswith("Layer ")


def focused(page, presses):
    names = []
    for _ in range(presses):
        page.keyboard.press("Tab")
        names.append(page.evaluate("() => document.activeElement.dataset?.trait || document.activeElement.tagName"))
    return names


def test_tab_reaches_every_control(page):
    page.locator(".stepper .ask input").focus()
    controls = ["BUTTON", "BUTTON", "INPUT", "INPUT", *["step", "DIV", "word"] * 2, "SUMMARY"]
    assert focused(page, len(controls)) == controls
    page.locator(".embedding-map input[data-trait=layer]").focus()
    names = focused(page, 9)
    assert names == ["pinned", "compared", "neighbours", "INPUT", "INPUT", "INPUT", "INPUT", "BUTTON", "SUMMARY"]


MANY_WORDS = """
import numpy as np
from course_utils.traces import EmbeddingTrace
from course_utils.widgets import EmbeddingMap
names = tuple(f"w{i}" for i in range(SIZE))
states = np.random.default_rng(0).normal(size=(31, SIZE, 576)).astype("f4")
many = EmbeddingMap(EmbeddingTrace("random", names, names, names, states))
many._store_after = 600.0  # the picture that is stored is drawn in a pause: not while keys are timed
many
"""


@pytest.mark.parametrize("size", TEXTS)
def test_maps_of_many_words_are_fast(page, lab_server, record, size):
    """In a new cell at the end of the lesson, from random vectors; of so many, pinning asks the kernel."""
    page.locator(".embedding-map").first.scroll_into_view_if_needed()
    page.keyboard.press("Escape")
    cell = page.locator(".jp-Notebook .jp-CodeCell").filter(has=page.locator(".embedding-map")).first
    cell.locator(".cm-content").click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(MANY_WORDS.replace("SIZE", str(size)).strip())
    page.keyboard.press("Control+Enter")
    page.wait_for_function(
        f"() => document.querySelector('.embedding-map .heading')?.textContent.startsWith('random: {size} words')"
    )
    page.locator(".embedding-map input[data-trait=layer]").focus()
    key_to_paint(page, ".embedding-map", ["ArrowLeft"] * 3)  # the first drawings are slower
    times = key_to_paint(page, ".embedding-map", ["ArrowLeft"] * 12 + ["ArrowRight"] * 12, BUDGET_MILLISECONDS)
    record("EmbeddingMap", {f"key_to_paint_ms_{size}_words": times})
    within(times, BUDGET_MILLISECONDS)
    if size == 200:
        page.locator(".embedding-map select[data-trait=pinned]").focus()
        times = key_to_paint(page, ".embedding-map", ["ArrowDown"] * 8, lab_server=lab_server)
        record("EmbeddingMap", {"pin_through_the_kernel_ms": times})
        within(times, KERNEL_BUDGET_MILLISECONDS)
        assert "200 names don't fit" in page.locator(".embedding-map .status").text_content()


def test_dark_and_narrow(page, artifacts):
    page.set_viewport_size({"width": 700, "height": 900})
    choose_from_menu(page, "Settings", "Theme", "JupyterLab Dark")
    page.wait_for_selector("body[data-jp-theme-light=false]", state="attached")
    for selector, name in ((".stepper", "stepper"), (".embedding-map", "map")):
        shoot(page, artifacts, selector, f"{name}-dark-700")
        colour, ground = page.evaluate(
            "(s) => { const c = getComputedStyle(document.querySelector(s)); return [c.color, c.backgroundColor]; }",
            selector,
        )
        assert colour != ground
    page.wait_for_function("() => document.querySelector('.stepper').scrollWidth <= 700")


def test_nobody_was_asked_outside(page, outside_requests):
    assert page.url.startswith("http://127.0.0.1")
    assert outside_requests == []
