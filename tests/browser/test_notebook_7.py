"""Lesson 11's labs in Notebook 7: they run as they are, can be stopped, and say when their kernel is gone."""

import re
import shutil

import nbformat
import pytest
from playwright.sync_api import expect

from course_utils.machine import ROOT
from tests.browser.conftest import PATIENCE, choose_from_menu, guarded_page, lesson_part, run_all_cells, serve_lab
from tests.browser.test_readable import COMPOSE

pytestmark = pytest.mark.browser

LABS = 3
# One more, with a function that takes its time at one setting.
SLOW = """
import time
def slow(logits, k):
    time.sleep(600 if k == 3 else 0)
    return logits
SamplingLab(trace, own={"top_k": slow}, top_k=50)
"""
RUNNING = "() => document.querySelector('.jp-Notebook').textContent.includes('[*]:')"


@pytest.fixture(scope="module")
def page(browser, outside_requests, tmp_path_factory):
    folder = tmp_path_factory.mktemp("notebook-7")
    shutil.copytree(ROOT / "notebooks", folder / "notebooks")
    with serve_lab(folder, ["notebook"]) as server:
        page = guarded_page(browser, outside_requests, viewport={"width": 1300, "height": 900})
        part = lesson_part({"folder": folder}, "11_sampling", r"(?m)^SamplingLab\(")
        notebook = nbformat.read(folder / "notebooks" / f"{part}.ipynb", as_version=4)
        notebook.cells.append(nbformat.v4.new_code_cell(SLOW, id="slow"))
        nbformat.write(notebook, folder / "notebooks" / f"{part}.ipynb")
        page.goto(f"{server['address']}/notebooks/notebooks/{part}.ipynb")
        expect(page.locator(".jp-CodeCell").first).to_be_visible()
        run_all_cells(page, server, RUNNING)
        page.wait_for_function(
            f"() => document.querySelectorAll('.sampling-lab[data-drawn]').length === {LABS + 1}",
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


def box_of(lab, name):
    return lab.locator(f"[data-filter={name}] input[type=text]")


def test_a_function_that_takes_too_long_is_stopped_on_the_page_and_from_the_menu(page):
    lab = page.locator(".sampling-lab").nth(LABS)
    box, status = box_of(lab, "top_k"), lab.locator(".status")
    for stop in ("button", "menu"):
        box.fill("3")
        box.press("Enter")
        expect(status).to_contain_text("Running your function")
        expect(lab.locator(".stop")).to_be_visible()
        if stop == "button":
            lab.locator(".stop").click()
        else:
            choose_from_menu(page, "Kernel", "Interrupt Kernel")
        expect(lab.locator(".problem[role=alert]").first).to_have_text("Stopped. What you see below is from before.")
        expect(box).to_have_value("50")
        expect(lab).not_to_have_class(re.compile(r"\brunning\b"))


def test_the_enter_that_ends_a_word_in_an_input_method_sets_nothing(page):
    lab = page.locator(".sampling-lab").first
    box, drawn = box_of(lab, "temperature"), lab.get_attribute("data-drawn")
    held = box.input_value()
    box.fill("0.5")
    box.evaluate(COMPOSE)
    page.wait_for_timeout(500)
    assert lab.get_attribute("data-drawn") == drawn
    box.press("Enter")
    expect(lab).not_to_have_attribute("data-drawn", drawn)
    box.fill(held)
    box.press("Enter")


def test_shift_enter_runs_the_cell_after_a_control_was_used(page):
    lab = page.locator(".sampling-lab").first
    place = lab.evaluate("(lab) => [...document.querySelectorAll('.jp-CodeCell')].indexOf(lab.closest('.jp-CodeCell'))")
    cell = page.locator(".jp-CodeCell").nth(place)
    before = cell.locator(".jp-InputPrompt").text_content()
    lab.get_by_role("button", name="Draw 1000").click()
    page.keyboard.press("Shift+Enter")
    expect(cell.locator(".jp-InputPrompt")).to_have_text(re.compile(rf"^(?!{re.escape(before)})\[\d+\]:$"))
    expect(cell.locator(".sampling-lab[data-drawn]")).to_be_visible()


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
