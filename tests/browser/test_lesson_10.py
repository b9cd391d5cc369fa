"""Lesson 10 in JupyterLab: the prefill/decode stepper by keyboard, with prompts of one's own; and its speed by size."""

import pytest
from playwright.sync_api import expect

from course_utils.widgets import CacheStepper
from tests.browser.conftest import (
    assert_no_errors,
    choose_from_menu,
    key_to_paint,
    lesson_part,
    open_and_run,
    render_alone,
    texts_of,
    watch_texts,
    within,
)
from tests.test_cache_stepper import as_large_as_smollm2

pytestmark = pytest.mark.browser

BUDGET_MILLISECONDS = 50
STATUS = "document.querySelector('.cache-stepper .status').textContent"


@pytest.fixture(scope="module")
def page(browser, lab_server, outside_requests):
    part = lesson_part(lab_server, "10_prefill_and_decode", r"(?m)^cache_stepper\(")
    drawn = "document.querySelector('.cache-stepper[data-drawn]')"
    return open_and_run(browser, lab_server, outside_requests, part, drawn)


@pytest.fixture
def stepper(page):
    found = page.locator(".cache-stepper")
    found.scroll_into_view_if_needed()
    return found


def test_every_cell_ran_without_an_error(page):
    assert_no_errors(page)


def test_keyboard_steps_through_the_run(page, stepper, record):
    slider = stepper.locator("input[type=range]")
    slider.focus()
    assert slider.input_value() == "5"
    keys = ["ArrowRight" if press % 10 < 5 else "ArrowLeft" for press in range(40)]
    times = key_to_paint(page, ".cache-stepper", keys, BUDGET_MILLISECONDS)
    page.keyboard.press("ArrowRight")
    # No press may be lost to JupyterLab's own shortcuts, nor to an older value that comes back from the kernel.
    page.wait_for_timeout(1_000)
    assert slider.input_value() == "6"
    assert (
        "Step 6 · decode step: reads 1 token (“\u2068␣Paris\u2069”), looks back at 17"
        in stepper.locator(".status").text_content()
    )
    page.keyboard.press("Home")
    page.wait_for_function(f"() => {STATUS}.startsWith('Step 0 · prefill: reads all 12 prompt tokens at once')")
    record("CacheStepper", {"key_to_paint_ms": times})
    within(times, BUDGET_MILLISECONDS)


def test_the_cache_switched_off_reads_everything_again(page, stepper):
    stepper.locator("input[type=range]").focus()
    page.keyboard.press("End")
    page.wait_for_function(f"() => {STATUS}.includes('It ends here: the model chose its end-of-sequence token.')")
    framed = stepper.locator("svg .reading")
    one_column = float(framed.get_attribute("width"))
    stepper.get_by_label("KV cache").focus()
    page.keyboard.press("Space")
    page.wait_for_function(f"() => {STATUS}.includes('reads all 29 tokens again')")
    assert float(framed.get_attribute("width")) == pytest.approx(29 * one_column)
    page.keyboard.press("Space")
    page.wait_for_function(f"() => {STATUS}.includes('looks back at 28')")
    facts = stepper.locator(".facts").text_content()
    assert "= 1,336,320 bytes" in facts
    assert (
        "Proof: both ways choose the same token in 18 steps; the largest difference between their logits is 0.0000"
        in facts
    )


def test_play_goes_to_the_end_and_can_be_stopped(page, stepper):
    stepper.locator("input[type=range]").focus()
    page.keyboard.press("Home")
    stepper.get_by_role("button", name="Play").press("Enter")
    page.wait_for_function(f"() => {STATUS}.includes('It ends here')")
    stepper.locator("select").select_option("10")
    stepper.get_by_role("button", name="Play").press("Enter")
    stepper.get_by_role("button", name="Stop").press("Enter")
    drawn = stepper.get_attribute("data-drawn")
    page.wait_for_timeout(1_500)
    assert stepper.get_attribute("data-drawn") == drawn


def test_reduced_motion_turns_play_into_steps(page, stepper):
    page.emulate_media(reduced_motion="reduce")
    stepper.locator("input[type=range]").focus()
    page.keyboard.press("Home")
    stepper.locator("button", has_text="▶").press("Enter")
    page.wait_for_function(f"() => {STATUS}.startsWith('Step 1 ')")
    page.wait_for_timeout(500)
    assert stepper.locator(".status").text_content().startswith("Step 1 ")
    page.emulate_media(reduced_motion="no-preference")


def run_prompt(page, stepper, prompt, new_tokens):
    """Type both, press Enter, and wait for the answer; return the texts of the status from first to last."""
    before = int(stepper.get_attribute("data-drawn"))
    stepper.get_by_label("prompt").fill(prompt)
    stepper.get_by_label("number of new tokens").fill(new_tokens)
    watch_texts(stepper, ".status")
    stepper.get_by_label("number of new tokens").press("Enter")
    page.wait_for_function(f"() => +document.querySelector('.cache-stepper').dataset.drawn > {before}")
    page.wait_for_function("() => !document.querySelector('.cache-stepper').classList.contains('running')")
    return texts_of(stepper)


@pytest.mark.parametrize("prompt", ["My favourite place in the world is", "🦜 你好", "x"])
def test_a_prompt_of_ones_own(page, stepper, prompt):
    assert run_prompt(page, stepper, prompt, "3")[0] == "Running …"
    assert stepper.locator(".problem:not(.kernel)").text_content() == ""
    assert stepper.locator(".strip .new").count() == 3
    stepper.locator("summary").press("Enter")
    expect(stepper.locator("tbody tr")).to_have_count(4)  # the page fills the table a moment after it opens
    stepper.locator("summary").press("Enter")


@pytest.mark.parametrize(
    ("prompt", "new_tokens", "sentence"),
    [
        ("", "3", "prompt must have at least one character, got an empty text"),
        ("Hi", "0", "new tokens must be a whole number of at least 1, got 0"),
        ("Hi", "many", "new tokens must be a whole number of at least 1, got 'many'"),
        ("Hi", "", "new tokens must be a whole number of at least 1, got nothing"),
        ("Hi", "1,000", "prompt and new tokens must be at most 400 tokens together"),
        ("word " * 3000, "3", "prompt and new tokens must be at most 400 tokens together"),
    ],
)
def test_a_wrong_prompt_is_one_sentence_and_the_old_run_stays(page, stepper, prompt, new_tokens, sentence):
    run_prompt(page, stepper, prompt, new_tokens)
    assert stepper.locator(".problem:not(.kernel)").text_content().startswith(sentence)
    assert stepper.locator(".strip .new").count() == 3


def test_tab_reaches_every_control(page, stepper):
    stepper.get_by_label("prompt").focus()
    names = ["prompt"]
    for _ in range(10):
        page.keyboard.press("Tab")
        names.append(
            page.evaluate("() => { const at = document.activeElement; return at.className || at.type || at.tagName; }")
        )
    assert names == [
        "prompt",
        "text",
        "button",
        "button",
        "select-one",
        "range",
        "checkbox",
        "checkbox",
        "strip",
        "picture",
        "SUMMARY",
    ]
    assert stepper.locator("input:not([aria-label]):not([id])").count() == 0


def test_screenshots_light_and_dark(page, stepper, artifacts):
    run_prompt(page, stepper, "Q: What is the capital of France?\\nA:", "24")
    page.set_viewport_size({"width": 700, "height": 1000})
    page.wait_for_timeout(500)
    stepper.screenshot(path=artifacts / "lesson-10-light-700.png")
    page.set_viewport_size({"width": 1300, "height": 1000})
    choose_from_menu(page, "Settings", "Theme", "JupyterLab Dark")
    page.wait_for_selector("body[data-jp-theme-light='false']", state="attached")
    page.wait_for_timeout(500)
    stepper.screenshot(path=artifacts / "lesson-10-dark-1300.png")
    colours = page.evaluate(
        """() => { const s = getComputedStyle(document.querySelector(".cache-stepper"));
                   return [s.color, s.backgroundColor]; }"""
    )
    assert colours[0] != colours[1]


@pytest.mark.parametrize("tokens", [20, 60, 200, 260])
def test_speed_by_size(browser, outside_requests, record, artifacts, tokens):
    stepper = CacheStepper(as_large_as_smollm2(tokens), step=5)
    page, _ = render_alone(browser, outside_requests, stepper)
    page.locator("input[type=range]").focus()
    keys = ["ArrowRight" if press % 10 < 5 else "ArrowLeft" for press in range(40)]
    times = key_to_paint(page, ".cache-stepper", keys, BUDGET_MILLISECONDS)
    page.screenshot(path=artifacts / f"cache-stepper-{tokens}.png")
    notice = page.locator(".notice").text_content()
    assert ("Only 200 of 260 tokens fit in." in notice) == (tokens == 260)
    page.context.close()
    record("CacheStepper", {f"key_to_paint_ms_{tokens}_tokens": times})
    within(times, BUDGET_MILLISECONDS)


def test_nobody_was_asked_outside(outside_requests):
    assert outside_requests == []
