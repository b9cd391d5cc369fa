"""A learner's own copy in JupyterLab: no outputs at first, and the learner's work stays when the course changes.

The server is the real `course lab`, over a copy of the course that the tests can change.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from playwright.sync_api import expect

from course_utils.classroom.hub import free_ports
from course_utils.machine import ROOT
from tests.browser.conftest import ARTIFACTS, _wait_for, guarded_page
from tests.test_workspace import COMMAND

pytestmark = pytest.mark.browser
TOKEN = "a-token-of-the-test"
READY = "#jp-bottom-panel >> text=Python 3 (ipykernel) | Idle"
FIRST, BESIDE = "notebooks/00_start_here.ipynb", "notebooks/00_start_here-new.ipynb"
SECOND = "notebooks/03_the_pipeline_opened.ipynb"
THIRD, FOURTH = "notebooks/11_sampling.ipynb", "notebooks/12_repetition_length_and_stopping.ipynb"
CODE = ".jp-NotebookPanel:not(.lm-mod-hidden) .jp-CodeCell"


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A course, `course lab` in it, and what the tests do to both."""
    root = tmp_path_factory.mktemp("course")
    for kind in ("notebooks", "exercises", "solutions"):
        shutil.copytree(ROOT / kind, root / kind)
    settings = {name: str(root / name) for name in ("COURSE_HOME", "JUPYTER_CONFIG_DIR", "JUPYTERLAB_SETTINGS_DIR")}
    settings |= {"JUPYTERLAB_WORKSPACES_DIR": str(root / "workspaces"), "JUPYTER_TOKEN": TOKEN}
    command = [sys.executable, "-c", COMMAND, str(root)]
    (port,) = free_ports(1)

    def copy():
        return subprocess.run([*command, "copy"], capture_output=True, text=True, check=True).stdout

    with (root / "lab.log").open("w") as log:
        options = ["lab", "--no-browser", "--port", str(port)]
        server = subprocess.Popen([*command, *options], env={**os.environ, **settings}, stdout=log, stderr=log)
        try:
            address = f"http://127.0.0.1:{port}"
            _wait_for(f"{address}/api/status?token={TOKEN}", server, root / "lab.log")
            yield SimpleNamespace(root=root, own=root / "my-course", address=address, copy=copy)
        finally:
            server.terminate()
            server.wait(30)


@pytest.fixture
def page(browser, outside_requests):
    page = guarded_page(browser, outside_requests, viewport={"width": 1200, "height": 900})
    yield page
    page.context.close()


def visit(page, course, name):
    page.goto(f"{course.address}/lab/tree/{name}?token={TOKEN}&reset")
    page.wait_for_selector(READY, timeout=120_000)


def read(file):
    return json.loads(file.read_text(encoding="utf-8"))


def new_version(course, name):
    """Give a notebook of the course one more cell, and bring the learner's copy up to date; return what that says."""
    notebook = read(course.root / name)
    cell = {"cell_type": "markdown", "id": "newversion", "metadata": {}, "source": f"The new version of {name}"}
    notebook["cells"].append(cell)
    (course.root / name).write_text(json.dumps(notebook), encoding="utf-8")
    return course.copy()


def write_in_first_cell(page, text):
    page.locator(CODE).first.locator(".cm-content").click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(text)


def save(page, file):
    """Save, and wait until the file has changed."""
    before = file.read_bytes()
    page.keyboard.press("Control+s")
    for _ in range(300):
        if file.read_bytes() != before:
            return
        page.wait_for_timeout(100)
    pytest.fail(f"{file} was not saved")


def texts(file):
    return ["".join(cell["source"]) for cell in read(file)["cells"]]


def test_no_output_is_there_and_the_links_lead_to_the_copy(page, course, outside_requests):
    visit(page, course, FIRST)
    expect(page.locator(CODE).first).to_be_visible()
    expect(page.locator(".jp-OutputArea-output")).to_have_count(0)
    prompts = page.locator(".jp-CodeCell .jp-InputPrompt")
    assert {prompt.strip() for prompt in prompts.all_text_contents()} <= {"[ ]:", ""}, "a cell out of sight has none"
    ARTIFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTIFACTS / "own-copy.png")
    page.locator("a[data-commandlinker-args*='glossary.ipynb'], a[href*='glossary.ipynb']").first.click()
    expect(page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) h1")).to_contain_text("Glossary", timeout=30_000)
    assert outside_requests == []


def test_work_stays_when_the_course_is_updated_and_the_new_version_is_beside_it(page, course):
    visit(page, course, FIRST)
    write_in_first_cell(page, "print('my own ' + 'work')")
    page.keyboard.press("Shift+Enter")
    expect(page.locator(CODE).first.locator(".jp-OutputArea-output")).to_contain_text("my own work", timeout=60_000)
    save(page, course.own / FIRST)
    said = new_version(course, FIRST)
    assert said == f"What you changed stays as it is; the new versions are beside it: {BESIDE}.\n"
    visit(page, course, FIRST)
    expect(page.locator(CODE).first).to_contain_text("print('my own ' + 'work')")
    expect(page.locator(CODE).first.locator(".jp-OutputArea-output")).to_contain_text("my own work")
    page.locator(f".jp-DirListing-item[title*='{Path(BESIDE).name}']").wait_for(timeout=30_000)
    page.screenshot(path=ARTIFACTS / "own-copy-updated.png")
    visit(page, course, BESIDE)
    expect(page.locator(".jp-OutputArea-output")).to_have_count(0)
    assert texts(course.own / BESIDE)[-1] == f"The new version of {FIRST}"


def test_a_notebook_that_was_only_opened_is_updated_in_its_place(page, course):
    visit(page, course, SECOND)
    save(page, course.own / SECOND)  # as JupyterLab does by itself after two minutes
    assert new_version(course, SECOND) == ""
    assert texts(course.own / SECOND)[-1] == f"The new version of {SECOND}"


@pytest.mark.parametrize("choice", ["Overwrite", "Revert"])
def test_a_notebook_open_with_unsaved_work_while_the_course_is_updated_is_asked_about(page, course, choice):
    name = {"Overwrite": THIRD, "Revert": FOURTH}[choice]
    visit(page, course, name)
    write_in_first_cell(page, "'not yet saved'")
    assert new_version(course, name) == ""
    assert texts(course.own / name)[-1] == f"The new version of {name}"
    page.keyboard.press("Control+s")
    dialog = page.locator(".jp-Dialog")
    expect(dialog).to_contain_text("has changed on disk", timeout=30_000)
    assert "'not yet saved'" not in texts(course.own / name), "nothing is written before there is an answer"
    page.screenshot(path=ARTIFACTS / f"own-copy-{choice.lower()}.png")
    dialog.locator(f"button:has-text('{choice}')").click()
    expect(dialog).to_have_count(0)
    if choice == "Overwrite":
        expect(page.locator(".jp-mod-dirty")).to_have_count(0, timeout=30_000)
        assert "'not yet saved'" in texts(course.own / name)
        assert course.copy() == "", "the work stays"
        assert "'not yet saved'" in texts(course.own / name)
    else:
        expect(page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")).not_to_contain_text("not yet saved")
