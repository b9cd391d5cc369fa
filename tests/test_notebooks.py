"""The course's own notebooks: what their sources make, with outputs to compare and nothing that needs a network."""

import json
import re
import statistics
import tomllib
from pathlib import Path

import nbformat
import pytest
import yaml

from course_utils.publishing.recorded import is_signed
from course_utils.publishing.sync import WIDGET_VIEW, sync

ROOT = Path(__file__).resolve().parents[1]
LESSONS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
DEEPER = sorted((ROOT / "notebooks/deeper").glob("[0-9][0-9]_*.ipynb"))
NOTEBOOKS = LESSONS + DEEPER + sorted((ROOT / "solutions").glob("[0-9][0-9]_*.ipynb"))
REMOTE_PICTURE = re.compile(
    r"!\[[^\]]*\]\(\s*(https?:)?//|<(img|video|iframe|script)[^>]+src\s*=\s*[\"']?(https?:)?//", re.I
)

every_lesson = pytest.mark.parametrize("file", LESSONS, ids=lambda file: file.stem)
every_published = pytest.mark.parametrize("file", LESSONS + DEEPER, ids=lambda file: file.stem)
every_notebook = pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.relative_to(ROOT).as_posix())


def notebook_of(file):
    return json.loads(file.read_text(encoding="utf-8"))


def code_cells(file):
    return [cell for cell in notebook_of(file)["cells"] if cell["cell_type"] == "code"]


def checked(cells):
    return [cell for cell in cells if "nbval-check-output" in cell["metadata"].get("tags", [])]


def outputs_of(file):
    return [output for cell in code_cells(file) for output in cell["outputs"]]


def test_there_are_lessons():
    assert LESSONS


def test_every_notebook_is_what_its_source_makes():
    assert sync(ROOT, check=True) == []


@every_notebook
def test_every_cell_was_run_in_order(file):
    counts = [cell["execution_count"] for cell in code_cells(file)]
    assert counts == list(range(1, len(counts) + 1))


@every_notebook
def test_a_compared_cell_has_something_to_compare(file):
    """nbval compares nothing where nothing is stored."""
    for cell in checked(code_cells(file)):
        assert cell["outputs"], "".join(cell["source"])


@every_notebook
def test_no_recorded_cell_is_compared_and_each_says_where_it_ran(file):
    for cell in nbformat.read(file, as_version=4).cells:
        if "recorded" in cell.metadata.get("tags", []):
            assert "nbval-check-output" not in cell.metadata.tags
            assert is_signed(cell) or not cell.outputs


@every_lesson
def test_at_least_five_cells_are_compared(file):
    assert len(checked(code_cells(file))) >= 5


@every_notebook
def test_no_error_no_warning_no_widget_is_stored(file):
    assert "widgets" not in notebook_of(file)["metadata"]
    for cell in code_cells(file):
        for output in cell["outputs"]:
            assert output["output_type"] != "error"
            assert output.get("name") != "stderr" or "warns" in cell["metadata"]["tags"]
            assert WIDGET_VIEW not in output.get("data", {})


@every_notebook
def test_every_stored_picture_has_words(file):
    for output in outputs_of(file):
        if "image/png" in output.get("data", {}):
            assert "".join(output["data"].get("text/plain", [])).strip()
            assert output["metadata"]["image/png"]["alt"].strip()


@every_notebook
def test_no_picture_comes_from_the_network(file):
    for cell in notebook_of(file)["cells"]:
        assert not REMOTE_PICTURE.search("".join(cell["source"]))
    for output in outputs_of(file):
        for content in output.get("data", {}).values():
            assert not REMOTE_PICTURE.search("".join(content) if isinstance(content, list) else str(content))


@pytest.mark.parametrize(
    "text", ["![a](https://x.org/a.png)", '<img width=3 src="http://x/a">', "![](//x/a.png)", "<script src='//x'>"]
)
def test_a_remote_picture_would_be_found(text):
    assert REMOTE_PICTURE.search(text)
    assert not REMOTE_PICTURE.search("![a](pictures/a.png) [a page](https://x.org) <img src='data:image/png;x'>")


@every_published
def test_cells_are_short(file):
    lengths = [len("".join(cell["source"]).splitlines()) for cell in code_cells(file)]
    assert max(lengths) <= 25
    assert statistics.median(lengths) <= 6


def test_conda_users_get_the_tested_versions():
    """Read by other means than `sync` writes it."""
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pins = (ROOT / "constraints.txt").read_text().lower().replace("_", "-").split()
    constraints, *packages, own = environment["dependencies"][-1]["pip"]
    assert (constraints, own) == ("-c constraints.txt", "-e .[dev]")
    assert set(packages) <= set(pins)
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    assert {name.split("==")[0] for name in packages} == {name.split(">=")[0].lower() for name in wanted}
    assert environment["name"] == project["name"]
