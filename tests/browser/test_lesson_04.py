"""Lesson 04 in JupyterLab: everything runs, and widgets of one kind do not disturb each other."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import open_and_run

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page(browser, lab_server, outside_requests):
    drawn = "document.querySelectorAll('.course-widget.question').length === 5"
    return open_and_run(browser, lab_server, outside_requests, "04_the_pipeline_tasks", drawn)


def test_every_cell_ran_without_an_error(page):
    assert page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.error']").count() == 0
    assert page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr']").count() == 0
    assert page.get_by_text("Error displaying widget").count() == 0


def test_radio_buttons_belong_to_their_widget(page):
    expect(page.locator(".xray[data-drawn]")).to_have_count(2)
    groups = page.evaluate(
        "() => [...document.querySelectorAll('.course-widget')]"
        ".map((widget) => [...new Set([...widget.querySelectorAll('input[type=radio]')].map((box) => box.name))])"
        ".filter((names) => names.length)"
    )
    assert all(len(names) == 1 for names in groups)
    assert len({names[0] for names in groups}) == len(groups) == 7
    assert page.locator(".xray input[type=radio]:checked").count() == 2


def test_a_missing_gap_is_a_sentence_and_the_next_text_works(page):
    xray = page.locator(".xray").last
    box, status = xray.locator("input[type=text]"), xray.locator(".status")
    for text in ("The cat sat on the mat.", "The cat sat on the <mask>.", "The cat sat on the [mask]."):
        box.fill(text)
        xray.get_by_role("button", name="Run").click()
        said = r"the text must (have a gap called|call the gap) \[MASK\], .*" + re.escape(f"'{text}'")
        expect(status).to_have_text(re.compile(said))
    box.fill("The dog sat on the [MASK].")
    box.press("Enter")
    expect(status).to_have_text("fill-mask: “\u2068The dog sat on the [MASK].\u2069”")
    expect(xray.locator(".older")).to_have_count(0)


def test_nobody_was_asked_outside(outside_requests):
    assert outside_requests == []
