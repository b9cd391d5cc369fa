"""Lesson 11's labs in Notebook 7: they run as they are, are alive, and say that their kernel was restarted."""

import shutil

import pytest
from playwright.sync_api import expect

from course_utils.machine import ROOT
from tests.browser.conftest import PATIENCE, choose_from_menu, guarded_page, lesson_part, run_all_cells, serve_lab

pytestmark = pytest.mark.browser

LABS = 4
RUNNING = "() => document.querySelector('.jp-Notebook').textContent.includes('[*]:')"


@pytest.fixture(scope="module")
def page(browser, outside_requests, tmp_path_factory):
    folder = tmp_path_factory.mktemp("notebook-7")
    shutil.copytree(ROOT / "notebooks", folder / "notebooks")
    with serve_lab(folder, ["notebook"]) as server:
        page = guarded_page(browser, outside_requests, viewport={"width": 1300, "height": 900})
        part = lesson_part({"folder": folder}, "11_sampling", r"(?m)^SamplingLab\(")
        page.goto(f"{server['address']}/notebooks/notebooks/{part}.ipynb")
        expect(page.locator(".jp-CodeCell").first).to_be_visible()
        run_all_cells(page, server, RUNNING)
        page.wait_for_function(
            f"() => document.querySelectorAll('.sampling-lab[data-drawn]').length === {LABS}",
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
