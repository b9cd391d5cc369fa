"""Lesson 00 as a learner meets it: JupyterLab in a browser, everything run, the keyboard in hand."""

import json

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import choose_from_menu, key_to_paint, open_and_run, within

pytestmark = pytest.mark.browser

BUDGET_MILLISECONDS = 50
PRESSES = 40


@pytest.fixture(scope="module")
def page(browser, lab_server, outside_requests):
    """Lesson 00, opened and run from top to bottom."""
    drawn = (
        "document.querySelector('.sampling-lab[data-drawn]')"
        " && document.querySelectorAll('.course-widget.question').length === 6"
    )
    return open_and_run(browser, lab_server, outside_requests, "00_start_here", drawn, width=1300)


def shoot(page, artifacts, name):
    page.locator(".sampling-lab").scroll_into_view_if_needed()
    page.wait_for_timeout(300)
    page.screenshot(path=artifacts / f"{name}.png")


def test_every_cell_ran_without_an_error(page):
    assert page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.error']").count() == 0
    assert page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr']").count() == 0
    assert page.get_by_text("Error displaying widget").count() == 0


def test_keyboard_moves_the_temperature(page, record):
    slider = page.locator(".sampling-lab [data-filter=temperature] input[type=range]")
    slider.scroll_into_view_if_needed()
    slider.focus()
    before = float(slider.input_value())
    keys = ["ArrowLeft" if press % 20 < 10 else "ArrowRight" for press in range(PRESSES)]
    times = key_to_paint(page, ".sampling-lab", keys, BUDGET_MILLISECONDS)
    page.keyboard.press("ArrowLeft")
    # No press may be lost to JupyterLab's own shortcuts, nor to an older value that comes back from the kernel.
    page.wait_for_timeout(1_000)
    assert float(slider.input_value()) == pytest.approx(before - 0.05)
    assert "temperature0.95" in page.locator(".sampling-lab svg").text_content()

    record("SamplingLab", {"key_to_paint_ms": times})
    within(times, BUDGET_MILLISECONDS)


def test_draws_order_and_bad_input(page):
    lab = page.locator(".sampling-lab")
    lab.get_by_role("button", name="Draw 1000").click()
    page.wait_for_function("() => document.querySelector('.sampling-lab .status').textContent.includes('1,000 drawn')")
    assert lab.locator(".drawn").count() > 3

    box = lab.locator("[data-filter=top_p] input[type=text]")
    box.click(click_count=3)
    page.keyboard.type("1.3\n")
    problem = lab.locator("[data-filter=top_p] .problem")
    assert problem.text_content() == "top_p must be in (0, 1], got 1.3. It is still 0.9."
    box.click(click_count=3)
    page.keyboard.type("0.9\n")
    assert problem.text_content() == ""

    lab.get_by_role("button", name="apply top_p one step earlier").press("Enter")
    assert [row.get_attribute("data-filter") for row in lab.locator(".control").all()] == [
        "temperature",
        "top_p",
        "top_k",
        "min_p",
    ]
    lab.get_by_role("button", name="Where it cuts").click()
    assert lab.locator("text=✗ top_p").count() >= 3


def test_tab_reaches_every_control(page):
    lab = page.locator(".sampling-lab")
    controls = lab.locator("input, button, summary")
    lab.locator("input").first.focus()
    reached = 1
    for _ in range(controls.count() - 1):
        page.keyboard.press("Tab")
        reached += page.evaluate("() => document.activeElement.closest('.sampling-lab') !== null")
    assert reached == controls.count()
    unnamed = lab.locator("input:not([aria-label])").count()
    assert unnamed == 0


def test_prediction_by_keyboard_is_kept(page, lab_server):
    question = page.locator(".question").first
    question.scroll_into_view_if_needed()
    question.locator("input").first.focus()
    page.keyboard.press("Space")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_function(
        "() => document.querySelector('.question .status').textContent === 'Your prediction: over 50 %.'"
    )
    progress = json.loads((lab_server["home"] / "progress.json").read_text())
    assert progress["entries"]["predictions"]["00-paris"] == {"choice": "over 50 %"}
    assert question.locator("input:enabled").count() == 0


LAST_RUN = """
() => Math.max(...[...document.querySelectorAll(".jp-InputPrompt")].map((at) => parseInt(at.textContent.slice(1)) || 0))
"""


def test_after_a_prediction_shift_enter_runs_on(page):
    """The button that had the focus is disabled now; the widget has the focus, and JupyterLab the shortcut."""
    assert page.evaluate("() => document.activeElement.matches('.course-widget.question')")
    before = page.evaluate(LAST_RUN)
    for _ in range(4):  # the question's own cell, the next one of code, and what is written between them
        page.keyboard.press("Shift+Enter")
    page.wait_for_function(f"(before) => ({LAST_RUN.strip()})() >= before + 2", arg=before)
    expect(page.locator(".question").first.locator(".status")).to_contain_text("over 50 %")


def test_quiz_explains_every_option(page):
    question = page.locator(".question").last
    question.scroll_into_view_if_needed()
    for option in range(question.locator("input").count()):
        question.locator("input").nth(option).check()
        question.get_by_role("button").click()
        expected = "✓ Right." if option == 1 else "✗ Not quite."
        page.wait_for_function(
            "expected => [...document.querySelectorAll('.question .status')].at(-1).textContent.startsWith(expected)",
            arg=expected,
        )
        page.wait_for_timeout(200)


def test_screenshots_light_and_dark(page, artifacts):
    shoot(page, artifacts, "lesson-00-light-1300")
    page.set_viewport_size({"width": 700, "height": 900})
    shoot(page, artifacts, "lesson-00-light-700")
    page.set_viewport_size({"width": 1300, "height": 900})
    choose_from_menu(page, "Settings", "Theme", "JupyterLab Dark")
    page.wait_for_selector("body[data-jp-theme-light='false']", state="attached")
    shoot(page, artifacts, "lesson-00-dark-1300")
    colours = page.evaluate(
        """() => { const s = getComputedStyle(document.querySelector(".sampling-lab"));
                   return [s.color, s.backgroundColor]; }"""
    )
    assert colours[0] != colours[1]


def test_the_terminal_has_no_warning_of_the_kernel(page, lab_server):
    log = (lab_server["folder"] / "lab.log").read_text()
    assert "Kernel started" in log
    assert "without encryption" not in log  # what a slow restart makes the kernel say is another matter


def test_a_choice_that_reaches_no_kernel_is_said_and_locks_nothing(page):
    choose_from_menu(page, "Kernel", "Restart Kernel…")
    page.click(".jp-Dialog button:has-text('Restart')")
    question = page.locator(".question", has=page.locator("input:enabled")).first
    expect(question.locator(".kernel")).to_have_text("The kernel that made this is gone: run this cell again.")
    question.locator("input").first.check()
    question.get_by_role("button").click()
    expect(question.locator(".status")).to_contain_text("wasn't saved")
    assert question.locator("input:disabled, button:disabled").count() == 0


def test_no_request_left_the_machine(page, outside_requests):
    assert page.url.startswith("http://127.0.0.1")
    assert outside_requests == []
