"""An author in JupyterLab: a saved notebook changes its source, a changed source shows in the notebook."""

import shutil

import nbformat
import pytest
from playwright.sync_api import expect

from course_utils.machine import ROOT
from course_utils.publishing.sync import sync
from tests.browser.conftest import ARTIFACTS, choose_from_menu, guarded_page, serve_lab

pytestmark = pytest.mark.browser

LESSON = """# %% [markdown]
# # Sums
#
# Add two numbers.

# %% tags=["nbval-check-output"]
# rm the old result, or keep it: why?
1 + 1

# %% tags=["nbval-check-output"]
def quiz_question(name):
    return name


quiz_question("sums")
"""
EXERCISE = """# %% nbgrader={"grade_id": "q1", "solution": true} tags=["raises-exception"]
def double(number):
    ### BEGIN SOLUTION
    return number + number
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q1-check"}
### BEGIN HIDDEN TESTS
assert double(4) == 8
### END HIDDEN TESTS
double(2)
"""
UNSAVED = ".lm-TabBar-tab.jp-mod-dirty"


@pytest.fixture(scope="module")
def authors_lab(tmp_path_factory):
    """JupyterLab over a small repository with one lesson and one exercise, and the course's own pairing."""
    folder = tmp_path_factory.mktemp("authors")
    for name in ("jupytext.toml", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder)
    for name, text in {"notebooks": LESSON, "solutions": EXERCISE}.items():
        (folder / name / "source").mkdir(parents=True)
        (folder / name / "source" / "01_sums.py").write_text(text)
    assert sync(folder) == []
    with serve_lab(folder) as server:
        yield server


@pytest.fixture
def page(browser, authors_lab, outside_requests):
    page = guarded_page(browser, outside_requests, viewport={"width": 1000, "height": 700})
    yield page
    page.context.close()
    assert outside_requests == []


def open_notebook(page, server, path):
    page.goto(f"{server['address']}/lab/tree/{path}?reset")
    expect(page.locator(".jp-NotebookPanel .jp-Cell").first).to_be_visible()
    page.wait_for_selector("#jp-bottom-panel >> text=Python 3 (ipykernel) | Idle")


def append(page, cell, text):
    """Go to the end of a cell and type."""
    cell.scroll_into_view_if_needed()
    cell.dblclick()  # a text cell opens for editing
    cell.locator(".cm-content").click()
    page.keyboard.press("Control+End")
    page.keyboard.insert_text(text)


def save(page):
    page.keyboard.press("Control+s")
    expect(page.locator(UNSAVED)).to_have_count(0)


def test_a_saved_notebook_changes_only_what_was_edited_in_the_source(page, authors_lab):
    folder = authors_lab["folder"]
    source = folder / "notebooks/source/01_sums.py"
    open_notebook(page, authors_lab, "notebooks/01_sums.ipynb")
    text, code, quiz = (page.locator(".jp-Notebook-cell").nth(number) for number in range(3))
    append(page, text, " Then two more.")
    append(page, code, "\n2 + 2")
    page.keyboard.press("Shift+Enter")
    expect(code.locator(".jp-OutputArea-output").first).to_contain_text("4")
    quiz.locator(".jp-Placeholder-content").click()  # unfolded, as one does to work on it
    ARTIFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTIFACTS / "pairing.png")
    save(page)
    wanted = LESSON.replace("two numbers.", "two numbers. Then two more.").replace("1 + 1\n", "1 + 1\n2 + 2\n")
    assert source.read_text() == wanted
    assert sync(folder) == []
    assert sync(folder, check=True) == []
    assert source.read_text() == wanted
    made = nbformat.read(folder / "notebooks/01_sums.ipynb", as_version=4)
    assert made.cells[1].outputs[0].data["text/plain"] == "4"
    assert made.cells[2].metadata.jupyter.source_hidden


def test_a_changed_source_shows_in_the_open_notebook_after_a_reload(page, authors_lab):
    source = authors_lab["folder"] / "notebooks/source/01_sums.py"
    open_notebook(page, authors_lab, "notebooks/01_sums.ipynb")
    expect(page.locator(UNSAVED)).to_have_count(1)  # the kernel tells its version
    source.write_text(source.read_text().replace("1 + 1\n", "1 + 100\n"))
    choose_from_menu(page, "File", "Reload Notebook from Disk")
    page.click(".jp-Dialog .jp-mod-accept")
    expect(page.locator(".jp-Notebook-cell").nth(1)).to_contain_text("1 + 100")
    # Both are the same notebook now, and a save without an edit changes nothing.
    before = source.read_text()
    save(page)
    assert source.read_text() == before


def test_a_saved_solution_keeps_the_markers_and_the_hidden_tests(page, authors_lab):
    folder = authors_lab["folder"]
    source = folder / "solutions/source/01_sums.py"
    open_notebook(page, authors_lab, "solutions/01_sums.ipynb")
    append(page, page.locator(".jp-Notebook-cell").nth(1), "\ndouble(3)")
    save(page)
    assert source.read_text() == EXERCISE + "double(3)\n"
    assert sync(folder) == []
    assert "SOLUTION" not in (folder / "exercises/01_sums.ipynb").read_text()
