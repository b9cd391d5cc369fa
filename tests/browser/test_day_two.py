"""A learner's own notebook on another day: without its kernel, everything that was on the page is there to read.

JupyterLab is started as the course starts it, Notebook 7 by hand.
"""

import json
import time
import urllib.request
from types import SimpleNamespace

import pytest
from playwright.sync_api import expect

from course_utils import widgets
from course_utils.machine import QUIET_LAB, ROOT
from tests.browser.conftest import (
    PATIENCE,
    _leave_everything,
    choose_from_menu,
    guarded_page,
    run_all_cells,
    scratch_notebook,
    serve_lab,
)
from tests.browser.test_first_paint import WIDGETS

pytestmark = pytest.mark.browser
CLIENTS = {
    "jupyterlab": SimpleNamespace(command=["jupyterlab", *QUIET_LAB], path="/lab/tree/notebooks"),
    "notebook": SimpleNamespace(command=["notebook"], path="/notebooks/notebooks"),
}
START = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from course_utils.learner import checker, predict, quiz_question
from course_utils.traces.speed import recorded_speed
from course_utils.widgets import MemoryCalculator, SpeedLab
from tests.browser.test_first_paint import WIDGETS
"""
OTHERS = {"SpeedLab": "SpeedLab(recorded=recorded_speed())", "MemoryCalculator": "MemoryCalculator()"}
PICTURES = {**{name: f"WIDGETS[{name!r}](20)" for name in WIDGETS}, **OTHERS}
WORDS = {
    "prediction": 'predict("day-two", "How much?", {"below half": (0, 0.5), "above half": (0.5, None)})',
    "quiz": """quiz_question("day-two", "1 + 1?", [("2", True, "It is two."), ("3 <b>", False, "One too many.")])""",
    "card": 'def with_temperature(logits, temperature):\n    return logits\nchecker("11", globals())("q1")',
    "figure": 'WIDGETS["SamplingLab"](20).figure()',
    "plain": "from ipywidgets import IntSlider\nIntSlider(7)",
}
CELLS = [START, *PICTURES.values(), *WORDS.values()]
PROBLEMS = ("model not found", "Error displaying widget", "Loading widget")
NOT_WIDGETS = ("start", "card", "figure")
TEMPERATURE = ".sampling-lab [data-filter=temperature] input[type=range]"
NOTE = "This is stored with the notebook."
OUTPUTS = """
() => [...document.querySelectorAll(".jp-CodeCell")].map((cell) => ({
  text: cell.querySelector(".jp-Cell-outputArea")?.textContent ?? "",
  words: cell.querySelector(".jp-Cell-outputArea details pre")?.textContent ?? "",
  images: [...cell.querySelectorAll(".jp-Cell-outputArea img")].map((i) => ({ alt: i.alt, width: i.naturalWidth })),
  alive: cell.querySelectorAll(".course-widget, .widget-slider").length,
}))
"""
# The last cell, too, although it is out of sight: a page that is loading puts its cells in one after another.
EVERY_CELL = f"() => document.querySelectorAll('.jp-CodeCell').length === {len(CELLS)}"
ALIVE = f"() => document.querySelectorAll('.course-widget').length === {len(PICTURES) + 2}"


def answer(page, option, button):
    page.locator(".course-widget.question label").get_by_text(option, exact=True).click()
    page.get_by_role("button", name=button).click()


@pytest.fixture(scope="module", params=CLIENTS)
def day_one(request, browser, outside_requests, tmp_path_factory):
    """What a learner did yesterday: ran every cell, answered, moved a slider, saved. The kernel still runs."""
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "notebooks").mkdir()
    client = CLIENTS[request.param]
    with serve_lab(folder, client.command) as server:
        scratch_notebook(server, "mine", *CELLS)
        file = folder / "notebooks" / "mine.ipynb"

        def visit(name="mine"):
            page = guarded_page(browser, outside_requests, viewport={"width": 1000, "height": 900})
            page.goto(f"{server['address']}{client.path}/{name}.ipynb")
            expect(page.locator(".jp-CodeCell").first).to_be_visible()
            page.wait_for_function(EVERY_CELL)
            return page

        def stored():
            cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
            bundles = [cell["outputs"][-1].get("data", {}) if cell["outputs"] else {} for cell in cells[1:]]
            texts = ["".join(bundle.get("text/plain", "")) for bundle in bundles]
            return dict(zip([*PICTURES, *WORDS], texts, strict=True))

        def save(page, is_stored):
            """Save as often as is needed until the file has what was done: the kernel takes its time."""
            end = time.monotonic() + PATIENCE
            while not is_stored(stored()):
                assert time.monotonic() < end, stored()
                choose_from_menu(page, "File", "Save Notebook")
                page.wait_for_timeout(1_000)

        page = visit()
        run_all_cells(page, server)
        page.wait_for_function(ALIVE)
        page.evaluate(
            "() => document.querySelectorAll('.course-widget').forEach((widget) => (widget.isTheSame = true))"
        )
        answer(page, "above half", "Keep my prediction")
        answer(page, "3 <b>", "Check my answer")
        slider = page.locator(TEMPERATURE)
        slider.focus()
        page.keyboard.press("ArrowRight")
        done = ("(•) above half", "One too many.", f"temperature {float(slider.input_value()):g} ")
        save(
            page,
            lambda stored: all(map(str.__contains__, map(stored.get, ("prediction", "quiz", "SamplingLab")), done)),
        )
        yield SimpleNamespace(
            server=server, file=file, visit=visit, stored=stored, save=save, page=page, client=request.param
        )
        _leave_everything(browser, server)


def outputs_of(page):
    return dict(zip(["start", *PICTURES, *WORDS], page.evaluate(OUTPUTS), strict=True))


def assert_all_is_there(page, words):
    """Everything on the page is what the notebook stores, to see and to hear."""
    page.wait_for_function(f"() => document.querySelectorAll('.stored-widget').length === {len(PICTURES) + 3}")
    page.wait_for_timeout(3_000)  # in which JupyterLab gives up looking for the widgets
    shown = outputs_of(page)
    for name, output in shown.items():
        assert output["alive"] == 0, name
        assert not [problem for problem in PROBLEMS if problem in output["text"]], name
        assert (NOTE in output["text"]) == (name not in NOT_WIDGETS), name
    for name in PICTURES:
        (image,) = shown[name]["images"]
        assert image["width"] > 200, name
        assert len(image["alt"]) > 40, name
        assert shown[name]["words"] == words[name] != "", name
    for expected in ("How much?", "above half ← your choice", "Your prediction: above half."):
        assert expected in shown["prediction"]["text"]
    for expected in ("3 <b> ← your choice", "✗ Not quite. One too many."):
        assert expected in shown["quiz"]["text"]
    assert len(shown["figure"]["images"][0]["alt"]) > 40, "JupyterLab alone leaves it out"
    assert "Temperature: " in shown["card"]["text"]
    assert "IntSlider(value=7)" in shown["plain"]["text"]


def test_every_widget_of_the_course_is_here():
    classes = {name for name in widgets.__all__ if isinstance(getattr(widgets, name), type)}
    assert set(PICTURES) == classes - {"CourseWidget"}


def test_what_is_stored_takes_nothing_from_the_page(day_one):
    page = day_one.page
    assert page.locator(TEMPERATURE).input_value() != "1"
    assert page.evaluate("() => [...document.querySelectorAll('.course-widget')].every((widget) => widget.isTheSame)")
    assert page.locator(".stored-widget").count() == 0
    assert day_one.file.stat().st_size < 1_000_000


def test_a_page_that_is_loaded_again_finds_its_kernel(day_one):
    page = day_one.page
    page.reload()
    page.wait_for_function(EVERY_CELL)
    page.wait_for_function(ALIVE)
    page.wait_for_function("() => !document.querySelector('.stored-widget')")
    shown = outputs_of(page)
    assert [name for name in shown if not shown[name]["alive"]] == list(NOT_WIDGETS)
    # It is the same kernel, and what is done now is stored, too.
    answer(page, "2", "Check my answer")
    expect(page.locator(".course-widget.question").last).to_contain_text("It is two.")
    day_one.save(page, lambda stored: "It is two." in stored["quiz"])
    answer(page, "3 <b>", "Check my answer")
    day_one.save(page, lambda stored: "One too many." in stored["quiz"])


def test_with_a_new_kernel_everything_is_there_also_the_day_after(day_one, browser, outside_requests, artifacts):
    words = day_one.stored()
    for day in (2, 3):
        _leave_everything(browser, day_one.server)
        page = day_one.visit()
        assert_all_is_there(page, words)
        page.screenshot(path=artifacts / f"day-{day}-{day_one.client}.png")
        choose_from_menu(page, "File", "Save Notebook")
        page.wait_for_timeout(2_000)
        assert day_one.stored() == words
    # One run, and the widget lives again.
    cell = page.locator(".jp-CodeCell").last
    cell.locator(".cm-content").click()
    page.keyboard.press("Control+Enter")
    expect(cell.locator(".widget-slider")).to_be_visible()
    expect(cell).not_to_contain_text(NOTE)
    assert outside_requests == []


def test_without_a_kernel_everything_is_there(day_one, browser, outside_requests):
    words = day_one.stored()
    _leave_everything(browser, day_one.server)
    # Through the server, which signs the copy: the learner trusts it as the notebook.
    contents = f"{day_one.server['address']}/api/contents/notebooks"
    with urllib.request.urlopen(f"{contents}/mine.ipynb") as answer:
        notebook = json.load(answer)
    notebook["content"]["metadata"] = {"kernelspec": {"name": "none", "display_name": "None", "language": "none"}}
    body = json.dumps({"type": "notebook", "content": notebook["content"]}).encode()
    urllib.request.urlopen(urllib.request.Request(f"{contents}/alone.ipynb", body, method="PUT")).close()
    page = day_one.visit("alone")
    dialog = page.locator(".jp-Dialog")
    dialog.locator("select").select_option(label="No Kernel")
    dialog.get_by_role("button", name="Select").click()
    assert_all_is_there(page, words)
    with urllib.request.urlopen(f"{day_one.server['address']}/api/sessions") as answer:
        assert not [one for one in json.load(answer) if one["kernel"]]
    assert outside_requests == []
