"""Lesson 14 in JupyterLab: memory calculator and speed lab by keyboard, and a measurement through the kernel."""

import re

import pytest
from playwright.sync_api import expect

from course_utils.widgets import MemoryCalculator, SpeedLab
from tests.browser.conftest import (
    assert_no_errors,
    choose_from_menu,
    key_to_paint,
    open_and_run,
    render_alone,
    scratch_notebook,
    texts_of,
    watch_texts,
    within,
)
from tests.test_speed_lab import toy_points

pytestmark = pytest.mark.browser

BUDGET_MILLISECONDS = 50
DRAWN = "document.querySelector('.memory-calculator[data-drawn]') && document.querySelector('.speed-lab[data-drawn]')"
CELLS = (
    """
from course_utils.models import load_causal_lm
from course_utils.widgets import MemoryCalculator, speed_lab

MemoryCalculator(measured={"weights": 538_060_032, "cache": 4_608_000, "tokens": 100})
""",
    """
speed_lab(load_causal_lm(), prompt=16, new_tokens=2, threads=1)
""",
)
WRONG = ".speed-lab > .problem[role=alert]:not(.kernel)"  # what was wrong with the last measurement
LADDER = ["ArrowRight" if press % 10 < 5 else "ArrowLeft" for press in range(40)]


@pytest.fixture(scope="module")
def page(browser, lab_server, outside_requests):
    scratch_notebook(lab_server, "calculator-and-lab", *CELLS)
    return open_and_run(browser, lab_server, outside_requests, "calculator-and-lab", DRAWN)


@pytest.fixture
def calculator(page):
    found = page.locator(".memory-calculator")
    found.scroll_into_view_if_needed()
    return found


@pytest.fixture
def lab(page):
    found = page.locator(".speed-lab")
    found.scroll_into_view_if_needed()
    return found


def text_of(selector):
    return f"document.querySelector('{selector}').textContent"


def test_both_are_there(page, calculator, lab):
    assert_no_errors(page)
    assert calculator.locator("svg .part").count() == 16
    assert "checked against a real run of SmolLM2-135M, 100 tokens" in calculator.locator(".checked").text_content()
    assert "= formula; KV cache" in calculator.locator(".checked").text_content()
    assert "this machine's RAM" in calculator.locator("ul.fits").text_content()
    assert lab.locator("g.recorded .point").count() >= 3
    assert lab.locator("g.here").count() == 0


def test_keyboard_moves_the_context(page, calculator, record):
    slider = calculator.get_by_label("context", exact=True)
    slider.focus()
    start = slider.input_value()
    times = key_to_paint(page, ".memory-calculator", LADDER, BUDGET_MILLISECONDS)
    # No press may be lost to JupyterLab's own shortcuts, nor to an older value that comes back from the kernel.
    page.wait_for_timeout(1_000)
    assert slider.input_value() == start
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    page.wait_for_function(f"() => {text_of('.memory-calculator > .problem')}.includes('context length')")
    alarm = "⚠ 12,288 tokens are more than the context length of SmolLM2-135M (8,192)."
    assert calculator.locator("> .problem").text_content() == alarm
    record("MemoryCalculator", {"key_to_paint_ms": times})
    within(times, BUDGET_MILLISECONDS)


def test_an_exact_context_and_a_wrong_one(page, calculator):
    box = calculator.get_by_label("context, exact value", exact=True)
    box.fill("1000")
    box.press("Enter")
    page.wait_for_function(f"() => {text_of('.memory-calculator .sums')}.includes('× 1,000 tokens')")
    assert "46.1 MB" in calculator.locator(".sums").text_content()
    box.fill("many")
    box.press("Enter")
    assert "context must be a number, got “\u2068many\u2069”. It is still 1,000." in calculator.text_content()
    box.fill("2,048")
    box.press("Enter")
    page.wait_for_function(f"() => {text_of('.memory-calculator .sums')}.includes('× 2,048 tokens')")
    assert "It is still" not in calculator.text_content()


def test_another_model_has_other_heads(page, calculator):
    heads = calculator.get_by_label("KV heads", exact=True)
    heads.select_option("9")
    page.wait_for_function(f"() => {text_of('.memory-calculator .sums')}.includes('9 KV heads')")
    calculator.get_by_label("model", exact=True).select_option("Llama 3.1 8B")
    page.wait_for_function(f"() => {text_of('.memory-calculator .sums')}.includes('8 KV heads')")
    page.wait_for_timeout(1_000)  # the kernel's answer must not bring the old heads back
    assert heads.input_value() == "8"
    assert "8,030,261,248 parameters × 4 bytes" in calculator.locator(".sums").text_content()
    calculator.get_by_label("weights in", exact=True).select_option("int4")
    page.wait_for_function(f"() => {text_of('.memory-calculator .sums')}.includes('× 0.5 bytes')")
    assert calculator.locator("li.fits").count() == 5
    calculator.get_by_label("attention scores of a layer").focus()
    page.keyboard.press("Space")
    page.wait_for_function(f"() => {text_of('.memory-calculator .sums')}.includes('not written down')")
    calculator.locator("summary").press("Enter")
    page.wait_for_function("() => document.querySelectorAll('.memory-calculator tbody tr').length >= 5")
    calculator.locator("summary").press("Enter")


def test_curves_and_settings_by_keyboard(page, lab, record):
    lab.get_by_label("TTFT by prompt length", exact=True).focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("() => document.querySelector('.speed-lab svg').textContent.includes('TPOT (ms)')")
    page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "() => document.querySelector('.speed-lab svg').textContent.includes('throughput (tokens/s)')"
    )
    slider = lab.get_by_label("new tokens", exact=True)
    slider.focus()
    start = slider.input_value()
    times = key_to_paint(page, ".speed-lab", LADDER, BUDGET_MILLISECONDS)
    page.wait_for_timeout(1_000)
    assert slider.input_value() == start
    record("SpeedLab", {"key_to_paint_ms": times})
    within(times, BUDGET_MILLISECONDS)
    lab.get_by_label("TTFT by prompt length", exact=True).press("Space")
    page.wait_for_function("() => document.querySelector('.speed-lab svg').textContent.includes('TTFT (ms)')")


def measure(page, lab):
    """Press the button, and wait for the answer; return what the status says meanwhile."""
    watch_texts(lab, ".status")
    lab.get_by_role("button", name="Measure here").press("Enter")
    page.wait_for_function(f"() => !{text_of('.speed-lab .status')}.startsWith('Measuring')")
    return [text for text in texts_of(lab) if text.startswith("Measuring")]


def test_the_button_measures_this_machine(page, lab):
    assert lab.get_by_text(" on the recorded machine").first.text_content().startswith("4 runs: about ")
    said = measure(page, lab)
    assert said[0] == "Measuring …"
    # A busy page may skip a run that was over before it painted.
    assert re.fullmatch(r"Measuring … 1 × 16 prompt tokens \+ 2 new: run [234] of 4", said[-1])
    expect(page.locator(WRONG)).to_have_text("")
    assert lab.get_by_text("4 runs: about ").text_content().endswith(" s")  # from what was measured here
    assert lab.locator("g.here .point").count() == 1
    assert "here: TTFT " in lab.locator(".facts").text_content()
    assert lab.get_by_role("button").all_text_contents() == ["Measure here", "Measure this curve"]
    lab.locator("summary").press("Enter")
    page.wait_for_function(f"() => {text_of('.speed-lab tbody')}.includes('here: ')")
    lab.locator("summary").press("Enter")


def test_what_cannot_be_measured_is_one_sentence(page, lab):
    for name in ("prompt tokens", "batch"):
        lab.get_by_label(name, exact=True).focus()
        page.keyboard.press("End")
    too_much = "too much at once: batch × prompt may be at most 8,192 tokens, here it is 32,768"
    page.wait_for_function(f"() => {text_of('.speed-lab .settings')}.includes({too_much!r})")
    measure(page, lab)
    expect(page.locator(WRONG)).to_have_text("batch × prompt must be at most 8,192 tokens, got 32,768")
    assert lab.locator("g.here .point").count() >= 1
    for name, presses in (("prompt tokens", 1), ("batch", 0)):
        lab.get_by_label(name, exact=True).focus()
        page.keyboard.press("Home")
        for _ in range(presses):
            page.keyboard.press("ArrowRight")
    assert measure(page, lab)[-1].startswith("Measuring … 1 × 16")
    expect(page.locator(WRONG)).to_have_text("")


def test_a_whole_curve_is_measured(page, lab):
    lab.get_by_role("button", name="Measure this curve").press("Enter")
    page.wait_for_function(f"() => {text_of('.speed-lab .status')}.includes('point 2 of ')")
    lab.get_by_role("button", name="Stop").press("Enter")  # as a whole it takes half a minute
    page.wait_for_function(f"() => {text_of(WRONG)} === 'Stopped. What you see below is from before.'")


def test_a_card_frames_the_bar(page, calculator):
    box = calculator.get_by_label("card", exact=True)
    box.select_option("8 GB, GeForce RTX 4060")
    page.wait_for_function("() => document.querySelector('.memory-calculator .frame')")
    page.wait_for_function(f"() => {text_of('.memory-calculator .status')}.includes('8 GB, GeForce RTX 4060: fits, ')")
    box.select_option("")
    page.wait_for_function("() => !document.querySelector('.memory-calculator .frame')")


def test_a_long_measurement_is_stopped(page, lab):
    points = lab.locator("g.here .point").count()
    for name in ("prompt tokens", "new tokens"):
        lab.get_by_label(name, exact=True).press("End")
    lab.get_by_role("button", name="Measure here").press("Enter")
    page.wait_for_function(f"() => {text_of('.speed-lab .status')}.includes('run 1 of 4')")
    lab.get_by_role("button", name="Stop").press("Enter")
    page.wait_for_function(f"() => {text_of(WRONG)} === 'Stopped. What you see below is from before.'")
    lab.get_by_label("new tokens", exact=True).press("Home")
    lab.get_by_label("prompt tokens", exact=True).press("Home")
    page.keyboard.press("ArrowRight")
    assert lab.locator("g.here .point").count() == points
    measure(page, lab)
    expect(page.locator(WRONG)).to_have_text("")


def names_by_tab(page, presses):
    names = []
    for _ in range(presses):
        page.keyboard.press("Tab")
        names.append(
            page.evaluate(
                "() => { const at = document.activeElement;"
                " return at.getAttribute('aria-label') ?? at.closest('label')?.textContent ?? at.textContent; }"
            )
        )
    return names


def test_tab_reaches_every_control(page, calculator, lab):
    calculator.get_by_label("model", exact=True).focus()
    names = names_by_tab(page, 12)
    assert names[:10] == [
        "card",
        "KV heads",
        "weights in",
        "KV cache in",
        "context",
        "context, exact value",
        "batch",
        "batch, exact value",
        "attention scores of a layer written in full (naive)",
        "logits at every position",
    ]
    assert names[10].startswith("Stacked bars of memory. as set: ")
    assert names[11] == "Show as table"
    lab.get_by_label("TTFT by prompt length", exact=True).focus()
    names = names_by_tab(page, 9)
    buttons = ["Measure here", "Measure this curve"]
    assert names[:7] == ["prompt tokens", "new tokens", "batch", "threads", "format", *buttons]
    assert names[7].startswith("TTFT by prompt length. recorded: ")
    assert names[8] == "Show as table"
    for widget in (calculator, lab):
        assert widget.locator("input:not([aria-label]):not([id]):not(label input)").count() == 0


def test_screenshots_light_and_dark(page, calculator, lab, artifacts):
    page.set_viewport_size({"width": 700, "height": 1000})
    page.wait_for_timeout(500)
    calculator.screenshot(path=artifacts / "lesson-14-calculator-light-700.png")
    lab.screenshot(path=artifacts / "lesson-14-lab-light-700.png")
    page.set_viewport_size({"width": 1300, "height": 1000})
    choose_from_menu(page, "Settings", "Theme", "JupyterLab Dark")
    page.wait_for_selector("body[data-jp-theme-light='false']", state="attached")
    page.wait_for_timeout(500)
    calculator.screenshot(path=artifacts / "lesson-14-calculator-dark-1300.png")
    lab.screenshot(path=artifacts / "lesson-14-lab-dark-1300.png")
    for selector in (".memory-calculator", ".speed-lab", ".memory-calculator .sums td"):
        colours = page.evaluate(
            "(selector) => { const s = getComputedStyle(document.querySelector(selector));"
            " const root = getComputedStyle(document.querySelector(selector).closest('.course-widget'));"
            " return [s.color, root.backgroundColor]; }",
            selector,
        )
        assert colours[0] != colours[1]


def test_speed_of_a_large_lab(browser, outside_requests, record):
    """Every length and batch measured, with many threads: more points than the recorded run has."""
    sizes = [(2**length, 2**batch) for length in range(3, 11) for batch in range(6)]
    traces = [toy_points(sizes, threads=threads) for threads in (1, 2, 4, 8)]
    whole = traces[0].joined(traces[1]).joined(traces[2]).joined(traces[3])
    page, _ = render_alone(browser, outside_requests, SpeedLab(whole, whole, batch=4))
    page.get_by_label("new tokens", exact=True).focus()
    times = key_to_paint(page, ".speed-lab", LADDER, BUDGET_MILLISECONDS)
    page.context.close()
    record("SpeedLab", {"key_to_paint_ms_384_points": times})
    within(times, BUDGET_MILLISECONDS)


def test_first_paint(browser, outside_requests, record):
    for widget in (MemoryCalculator(), SpeedLab(recorded=toy_points([(16, 1), (64, 1)]))):
        page, first_paint = render_alone(browser, outside_requests, widget)
        assert page.locator("[data-drawn]").count() == 1
        page.context.close()
        record(type(widget).__name__, {"first_paint_ms": first_paint["p95"]})
        within(first_paint, 500)


def test_nobody_was_asked_outside(outside_requests):
    assert outside_requests == []
