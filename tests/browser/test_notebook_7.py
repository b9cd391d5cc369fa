"""The labs in Notebook 7: they are alive there, too, and a restarted kernel is said."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import (
    PATIENCE,
    choose_from_menu,
    guarded_page,
    run_all_cells,
    scratch_notebook,
    serve_lab,
)

pytestmark = pytest.mark.browser

RUNNING = "() => document.querySelector('.jp-Notebook').textContent.includes('[*]:')"
CELLS = (
    """
from course_utils.learner import predict
from course_utils.models import load_causal_lm
from course_utils.traces import record_next_token
from course_utils.widgets import SamplingLab
trace = record_next_token(load_causal_lm(), "Once upon a time there was a")
SamplingLab(trace, temperature=2)
""",
    "SamplingLab(trace, own={'temperature': lambda logits, temperature: logits / temperature})",
    "predict('notebook-7', 'Which?', ['this', 'that'])",
)


@pytest.fixture(scope="module")
def page(browser, outside_requests, tmp_path_factory):
    folder = tmp_path_factory.mktemp("notebook-7")
    (folder / "notebooks").mkdir()
    with serve_lab(folder, ["notebook"]) as server:
        scratch_notebook(server, "labs", *CELLS)
        page = guarded_page(browser, outside_requests, viewport={"width": 1300, "height": 900})
        page.goto(f"{server['address']}/notebooks/notebooks/labs.ipynb")
        expect(page.locator(".jp-CodeCell").first).to_be_visible()
        run_all_cells(page, server, RUNNING)
        page.wait_for_function(
            "() => document.querySelectorAll('.sampling-lab[data-drawn]').length === 2"
            " && document.querySelectorAll('.course-widget.question').length === 1",
            timeout=3 * PATIENCE * 1000,
        )
        yield page
        page.context.close()


def test_every_cell_ran_without_an_error(page):
    assert page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.error']").count() == 0
    for problem in ("Error displaying widget", "model not found", "This is stored with the notebook"):
        assert page.get_by_text(problem).count() == 0


def test_the_lab_answers_to_keys_and_notebook_to_shortcuts(page):
    lab = page.locator(".sampling-lab").first
    slider = lab.locator("[data-filter=temperature] input[type=range]")
    slider.focus()
    drawn = lab.get_attribute("data-drawn")
    page.keyboard.press("ArrowLeft")
    expect(lab).not_to_have_attribute("data-drawn", drawn)
    page.evaluate("() => window.addEventListener('keydown', (event) => (window.lastKey = event), true)")
    page.keyboard.press("Control+s")
    assert page.evaluate("() => window.lastKey.defaultPrevented")


def test_the_lab_with_functions_of_ones_own_says_that_its_kernel_is_gone(page):
    choose_from_menu(page, "Kernel", "Restart Kernel…")
    page.click(".jp-Dialog button:has-text('Restart')")
    lab = page.locator(".sampling-lab").nth(1)
    gone = "The kernel that made this is gone: run this cell again."
    expect(lab.locator(".kernel")).to_have_text(gone)
    lab.get_by_role("button", name="Draw 1000").click()
    expect(lab.locator(".kernel")).to_have_text(gone)
    expect(lab.locator(".status")).not_to_contain_text("Running")
    # A server that is stopped while a kernel starts waits for it.
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status='idle']", state="attached")


def test_nobody_was_asked_outside(outside_requests):
    assert outside_requests == []
