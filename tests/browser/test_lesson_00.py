"""Lesson 00 as a learner meets it: JupyterLab in a browser, everything run, the keyboard in hand."""

import json
import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import choose_from_menu, open_and_run

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page(browser, lab_server, outside_requests):
    """Lesson 00, opened and run from top to bottom."""
    drawn = (
        "document.querySelector('.explorer[data-drawn]')"
        " && document.querySelectorAll('.course-widget.question').length === 5"
    )
    return open_and_run(browser, lab_server, outside_requests, "00_start_here", drawn, width=1300)


def shoot(page, artifacts, name):
    page.locator(".explorer").scroll_into_view_if_needed()
    page.wait_for_timeout(300)
    page.screenshot(path=artifacts / f"{name}.png")


def test_every_cell_ran_without_an_error(page):
    assert page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.error']").count() == 0
    assert page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr']").count() == 0
    assert page.get_by_text("Error displaying widget").count() == 0


def test_the_first_picture_is_the_sentence(page):
    picture = page.locator(".jp-OutputArea-output img[alt^='After “Once upon a time']").first
    expect(picture).to_have_attribute("alt", re.compile("11 tokens were written: “␣girl” 38 %; .*“.” 81 %"))


def test_a_click_and_a_key_append_a_token_before_any_bits_are_shown(page):
    explorer = page.locator(".explorer")
    explorer.scroll_into_view_if_needed()
    assert not re.search("bits|entropy|surprisal", explorer.inner_text())
    assert explorer.locator(".meter").count() == 0
    explorer.get_by_role("button", name="append “\u2068␣town\u2069”").click()
    expect(explorer.locator("textarea")).to_have_value("Once upon a time, there was a little town")
    best = explorer.locator(".bars button").first
    best.focus()
    token = best.get_attribute("aria-label").split("\u2068␣")[1].split("\u2069")[0]
    page.keyboard.press("Enter")
    expect(explorer.locator("textarea")).to_have_value(f"Once upon a time, there was a little town {token}")


def test_running_the_draw_again_appends_one_more_token(page):
    cell = page.locator(".jp-CodeCell").filter(has_text="turn += 1")
    output = cell.locator(".jp-OutputArea-output")
    before = output.inner_text().strip()
    cell.locator(".cm-content").click()
    page.keyboard.press("Control+Enter")
    expect(output).not_to_have_text(before)
    story, longer = (text.partition(": ")[2].removesuffix(" …") for text in (before, output.inner_text().strip()))
    assert longer.startswith(story)
    assert len(longer) > len(story)
    page.keyboard.press("Escape")


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
        expected = "✓ Right." if option == 2 else "✗ Not quite."
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
        """() => { const s = getComputedStyle(document.querySelector(".explorer"));
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
