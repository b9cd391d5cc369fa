"""Notebooks from sources: the same bytes each time, nothing stored that a reader should not meet."""

import json
import os
import re
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_utils.machine import processor_name
from course_utils.publishing import sync

ROOT = Path(__file__).resolve().parents[1]
SOURCE = """# ---
# jupyter:
#   course:
#     minutes: 30
# ---

# %% [markdown]
# # Sums

# %% tags=["nbval-check-output"]
1 + 1

# %% tags=["machine-dependent"]
import os

os.getpid()

# %%
print(os.environ["OMP_NUM_THREADS"], os.environ["HF_HUB_OFFLINE"], os.listdir(os.environ["COURSE_HOME"]))
os.getcwd()
"""
WIDGET = """# %%
from ipywidgets import IntSlider

IntSlider()

# %%
class Picture:
    def _repr_mimebundle_(self, **kwargs):
        view = {"model_id": "x", "version_major": 2, "version_minor": 0}
        return {"application/vnd.jupyter.widget-view+json": view, "image/png": "aGk=", "text/plain": "a picture"}


Picture()
"""


def repository(folder, **sources):
    """A repository in `folder` with these notebooks' sources."""
    (folder / "notebooks/source").mkdir(parents=True)
    for name, text in sources.items():
        (folder / f"notebooks/source/{name}.py").write_text(text)
    for name in ("constraints.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    return folder


def stored(folder, name):
    return json.loads((folder / f"notebooks/{name}.ipynb").read_text())


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """One repository, made once for the tests that only look at it."""
    learner = tmp_path_factory.mktemp("learner")
    (learner / "progress.json").write_text("{}")
    folder = repository(tmp_path_factory.mktemp("made"), **{"00_sums": SOURCE, "01_widget": WIDGET})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_HOME", str(learner))
        assert sync.sync(folder) == []
    return folder


@pytest.fixture
def changeable(made, tmp_path):
    return shutil.copytree(made, tmp_path / "copy")


# ids


def test_ids_come_from_the_cells_alone():
    first, second = sync.build(SOURCE), sync.build(SOURCE)
    assert [cell.id for cell in first.cells] == [cell.id for cell in second.cells]
    moved = sync.build("# %%\n0\n\n" + SOURCE.split("# ---\n")[-1])
    assert [cell.id for cell in moved.cells[1:]] == [cell.id for cell in first.cells]


@given(st.lists(st.sampled_from(["1", "1 + 1", "# note", ""]), min_size=1, max_size=12))
def test_ids_are_valid_and_differ_also_for_equal_cells(sources):
    notebook = sync.build("".join(f"# %%\n{source}\n" for source in sources))
    nbformat.validate(notebook)
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)


def test_the_same_words_as_text_and_as_code_get_two_ids():
    assert sync.cell_id("code", "1") != sync.cell_id("markdown", "1")


# what is stored


def test_a_made_notebook_holds_cells_tags_metadata_and_outputs(made):
    notebook = stored(made, "00_sums")
    nbformat.validate(notebook)
    assert [cell["cell_type"] for cell in notebook["cells"]] == ["markdown", "code", "code", "code"]
    assert notebook["cells"][1]["metadata"] == {"tags": ["nbval-check-output"]}
    assert notebook["cells"][1]["outputs"][0]["data"] == {"text/plain": ["2"]}
    assert notebook["metadata"]["course"] == {"minutes": 30}
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    assert notebook["metadata"]["language_info"] == {"name": "python"}, "no version of this machine"
    assert notebook["metadata"].keys() == {"course", "jupytext", "kernelspec", "language_info"}


def test_machine_dependent_outputs_are_cleared(made):
    cell = stored(made, "00_sums")["cells"][2]
    assert cell["outputs"] == []
    assert cell["execution_count"] == 2


def test_cells_run_in_their_folder_with_an_empty_home_and_no_hub(made):
    printed, value = stored(made, "00_sums")["cells"][3]["outputs"]
    assert printed["text"] == ["1 1 []\n"]
    assert value["data"]["text/plain"] == [repr(str(made / "notebooks"))]


def test_widgets_leave_their_picture_and_words(made):
    slider, picture = stored(made, "01_widget")["cells"]
    assert slider["outputs"][0]["data"] == {"text/plain": ["IntSlider(value=0)"]}
    assert picture["outputs"][0]["data"] == {"image/png": "aGk=", "text/plain": ["a picture"]}
    assert "widgets" not in stored(made, "01_widget")["metadata"]


def test_the_file_is_written_as_git_likes_it(made):
    data = (made / "notebooks/00_sums.ipynb").read_bytes()
    assert data.endswith(b"}\n")
    assert b"\r" not in data
    assert data.startswith(b'{\n "cells": [')
    assert not list(made.glob("notebooks/.*")), "no unfinished file is left"


# again


def test_again_changes_no_byte_and_runs_nothing(changeable, monkeypatch):
    before = {file: file.read_bytes() for file in changeable.rglob("*") if file.is_file()}
    monkeypatch.setattr(sync, "run_cells", lambda *_: pytest.fail("a notebook was run"))
    assert sync.sync(changeable) == []
    assert sync.sync(changeable, check=True) == []
    assert {file: file.read_bytes() for file in changeable.rglob("*") if file.is_file()} == before


def test_new_words_around_the_same_code_run_nothing(changeable, monkeypatch):
    source = changeable / "notebooks/source/00_sums.py"
    before = stored(changeable, "00_sums")
    source.write_text(source.read_text().replace("# # Sums", "# # Numbers"))
    with monkeypatch.context() as patch:
        patch.setattr(sync, "run_cells", None)
        assert sync.sync(changeable) == []
    after = stored(changeable, "00_sums")
    assert after["cells"][0]["source"] == ["# Numbers"]
    assert after["cells"][1:] == before["cells"][1:]


@pytest.mark.parametrize(("old", "new"), [("1 + 1", "1 + 2"), ('["nbval-check-output"]', '["skip"]')])
def test_other_code_or_another_tag_runs_all(changeable, old, new):
    source = changeable / "notebooks/source/00_sums.py"
    source.write_text(source.read_text().replace(old, new))
    notebook = stored(changeable, "00_sums")
    notebook["cells"][1]["outputs"] = []
    (changeable / "notebooks/00_sums.ipynb").write_text(json.dumps(notebook))
    assert sync.sync(changeable) == []
    assert stored(changeable, "00_sums")["cells"][1]["outputs"]


def test_executing_again_gives_the_same_bytes(changeable):
    before = (changeable / "notebooks/01_widget.ipynb").read_bytes()
    (changeable / "notebooks/source/00_sums.py").unlink()
    (changeable / "notebooks/00_sums.ipynb").unlink()
    assert sync.sync(changeable, execute=True) == []
    assert (changeable / "notebooks/01_widget.ipynb").read_bytes() == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("1 + 1", "1 + 2"),
        ("# # Sums", "# # Sum"),
        ("nbval-check-output", "nbval-skip"),
        ("minutes: 30", "minutes: 45"),
        ("\n# %% [markdown]", "\n# %%\n0\n\n# %% [markdown]"),
    ],
)
def test_check_finds_every_kind_of_edit_and_writes_nothing(changeable, old, new):
    source = changeable / "notebooks/source/00_sums.py"
    source.write_text(source.read_text().replace(old, new, 1))
    before = (changeable / "notebooks/00_sums.ipynb").read_bytes()
    problems = sync.sync(changeable, check=True)
    assert problems == ["notebooks/00_sums.ipynb is not what notebooks/source/00_sums.py makes: run `course sync`."]
    assert (changeable / "notebooks/00_sums.ipynb").read_bytes() == before


@pytest.mark.parametrize("key", ["source", "id", "metadata"])
def test_check_finds_an_edit_of_the_notebook(changeable, key):
    notebook = stored(changeable, "00_sums")
    notebook["cells"][1][key] = {"source": ["1 + 3"], "id": "0123456789ab", "metadata": {}}[key]
    (changeable / "notebooks/00_sums.ipynb").write_text(json.dumps(notebook))
    assert len(sync.sync(changeable, check=True)) == 1


def test_check_leaves_outputs_alone(changeable):
    notebook = stored(changeable, "00_sums")
    notebook["cells"][1]["outputs"], notebook["cells"][1]["execution_count"] = [], 9
    (changeable / "notebooks/00_sums.ipynb").write_text(json.dumps(notebook))
    assert sync.sync(changeable, check=True) == []


@pytest.mark.parametrize("broken", ["", "{", "[]", '{"cells": [1]}', '{"cells": {}}'])
def test_a_notebook_that_is_none_is_not_what_its_source_makes(changeable, broken):
    (changeable / "notebooks/00_sums.ipynb").write_text(broken)
    assert len(sync.sync(changeable, check=True)) == 1


def test_the_schematic_of_a_lesson_is_drawn_and_checked(changeable):
    name = "11_sampling"
    for kind, suffix in (("source", "py"), (".", "ipynb")):
        (changeable / f"notebooks/{kind}/00_sums.{suffix}").rename(changeable / f"notebooks/{kind}/{name}.{suffix}")
    picture = f"notebooks/images/{name}.svg"
    says = [f"{picture} is not what its drawing makes: run `course sync`."]
    assert sync.sync(changeable, check=True) == says
    assert not (changeable / picture).exists()
    assert sync.sync(changeable) == []
    assert [file.name for file in (changeable / picture).parent.iterdir()] == [f"{name}.svg"]  # other lessons' are not
    (changeable / picture).write_text("<svg>edited by hand</svg>")
    assert sync.sync(changeable, check=True) == says
    assert sync.sync(changeable) == []
    assert (changeable / picture).read_text(encoding="utf-8") == (ROOT / picture).read_text(encoding="utf-8")


def test_check_finds_a_notebook_without_source_and_a_source_without_notebook(changeable):
    (changeable / "notebooks/source/00_sums.py").rename(changeable / "notebooks/source/05_sums.py")
    stray, missing = sync.sync(changeable, check=True)
    assert stray.startswith("notebooks/00_sums.ipynb has no source")
    assert missing.startswith("notebooks/05_sums.ipynb is not what")


def test_solutions_are_made_too(changeable):
    (changeable / "solutions/source").mkdir(parents=True)
    (changeable / "solutions/source/00_sums.py").write_text("# %%\n2 * 3\n")
    assert len(sync.sync(changeable, check=True)) == 2
    assert sync.sync(changeable) == []
    cell = json.loads((changeable / "solutions/00_sums.ipynb").read_text())["cells"][0]
    assert cell["outputs"][0]["data"] == {"text/plain": ["6"]}


# deeper


def test_a_deeper_notebook_is_made_beside_the_lessons_and_runs_where_it_lies(changeable):
    source = changeable / "notebooks/source/deeper/00_more_sums.py"
    source.parent.mkdir()
    source.write_text('# %%\nimport course_utils\nopen("../00_sums.ipynb").readline()\n')
    (problem,) = sync.sync(changeable, check=True)
    assert problem.startswith("notebooks/deeper/00_more_sums.ipynb is not what notebooks/source/deeper/00_more_sums.py")
    assert sync.sync(changeable) == []
    (cell,) = stored(changeable, "deeper/00_more_sums")["cells"]
    assert cell["outputs"][0]["data"] == {"text/plain": [repr("{\n")]}
    assert sync.sync(changeable, check=True) == []
    source.unlink()
    (problem,) = sync.sync(changeable, check=True)
    assert problem.startswith("notebooks/deeper/00_more_sums.ipynb has no source")


# recorded cells

RECORDED = """# %%
step = 1

# %% tags=["recorded"]
import time

time.time_ns() * step

# %% tags=["recorded"]
assert step

# %%
time.time_ns()
"""


@pytest.fixture(scope="module")
def recorded_once(tmp_path_factory):
    folder = repository(tmp_path_factory.mktemp("recorded"), **{"00_clock": RECORDED})
    assert sync.sync(folder) == []
    return folder


@pytest.fixture
def clock(recorded_once, tmp_path):
    return shutil.copytree(recorded_once, tmp_path / "copy")


def shown(folder):
    """What the recorded cell and the last cell of the notebook show."""
    outputs = [cell["outputs"] for cell in stored(folder, "00_clock")["cells"]]
    return outputs[1], outputs[-1]


def test_a_recording_says_on_what_machine_and_day_it_was_made(clock):
    value, signature = shown(clock)[0]
    assert int(value["data"]["text/plain"][0]) > 0
    (line,) = signature["text"]
    assert (signature["output_type"], signature["name"]) == ("stream", "stdout")
    assert line == f"recorded on {processor_name()}, {os.cpu_count()} cores, {date.today().isoformat()}\n"
    assert stored(clock, "00_clock")["cells"][2]["outputs"] == [], "what shows nothing needs no day"


@pytest.mark.parametrize("how", ["execute", "later code", "text"])
def test_a_recording_stays_while_it_and_the_code_before_it_are_the_same(clock, how):
    before = shown(clock)
    source = clock / "notebooks/source/00_clock.py"
    if how == "later code":
        source.write_text(RECORDED + "\n# %%\n1\n# %%\ntime.time_ns()\n")
    elif how == "text":
        source.write_text("# %% [markdown]\n# # Clock\n\n" + RECORDED)
    assert sync.sync(clock, execute=how != "text") == []
    after = [cell["outputs"] for cell in stored(clock, "00_clock")["cells"] if cell["cell_type"] == "code"]
    assert after[1] == before[0]
    assert (after[-1] == before[1]) == (how == "text"), "the other cells ran again"


@pytest.mark.parametrize("how", ["record", "own code", "earlier code", "not signed"])
def test_otherwise_it_is_made_again(clock, how):
    before = shown(clock)
    source, file = clock / "notebooks/source/00_clock.py", clock / "notebooks/00_clock.ipynb"
    if how == "own code":
        source.write_text(RECORDED.replace("* step", "+ step"))
    elif how == "earlier code":
        source.write_text(RECORDED.replace("step = 1", "step = 2"))
    elif how == "not signed":  # an author ran it
        notebook = stored(clock, "00_clock")
        notebook["cells"][1]["outputs"].pop()
        file.write_text(json.dumps(notebook))
    assert sync.sync(clock, execute=how == "not signed", record=how == "record") == []
    after = shown(clock)
    assert after[0] != before[0]
    assert after[1] != before[1]
    assert [output["output_type"] for output in after[0]] == ["execute_result", "stream"]


def test_recording_runs_only_what_has_recorded_cells(changeable, monkeypatch):
    monkeypatch.setattr(sync, "run_cells", lambda *_: pytest.fail("a notebook was run"))
    assert sync.sync(changeable, record=True) == []


def test_tests_run_a_deeper_notebook_and_compare_no_recorded_cell(clock):
    notebook = stored(clock, "00_clock")
    deeper = clock / "notebooks/deeper"
    deeper.mkdir()
    (deeper / "00_good.ipynb").write_text(json.dumps(notebook))
    notebook["cells"][1]["source"] = ["1 / 0"]
    (deeper / "00_bad.ipynb").write_text(json.dumps(notebook))
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "notebooks/deeper"]
    ours = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}  # those are for this run
    result = subprocess.run(command, cwd=clock, capture_output=True, text=True, timeout=600, env=ours)
    assert re.findall(r"^FAILED (\S+ \d)", result.stdout, re.M)[0] == "notebooks/deeper/00_bad.ipynb::Cell 1"
    assert not re.search(r"^FAILED .*00_good", result.stdout, re.M)


# cells that misbehave


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("import sys; print('careful', file=sys.stderr)", "cell 2 writes to stderr (careful)"),
        ("import warnings; warnings.warn('old')", "cell 2 writes to stderr ("),
        ("1 / 0", "cell 2 raises ZeroDivisionError (division by zero)"),
        ("raise ValueError('two\\nlines')", "cell 2 raises ValueError (two)"),
        ("import os; os._exit(1)", "its kernel died"),
    ],
)
def test_a_cell_that_misbehaves_fails_in_one_sentence(tmp_path, cell, words):
    repository(tmp_path, **{"00_bad": f"# %%\n1\n\n# %%\n{cell}\n"})
    before = tmp_path / "notebooks/00_bad.ipynb"
    before.write_text("the last good one")
    (problem,) = sync.sync(tmp_path)
    assert problem.startswith("notebooks/source/00_bad.py: ")
    assert words in problem
    assert problem.endswith(".")
    assert "\n" not in problem
    assert before.read_text() == "the last good one"


def test_a_cell_that_is_about_a_warning_may_warn(tmp_path):
    cell = "import pathlib, sys; print('careful in', pathlib.Path.home(), file=sys.stderr)"
    repository(tmp_path, **{"00_warns": f'# %% tags=["warns"]\n{cell}\n'})
    assert sync.sync(tmp_path) == []
    (stored,) = json.loads((tmp_path / "notebooks/00_warns.ipynb").read_text())["cells"]
    assert "".join(stored["outputs"][0]["text"]) == "careful in ~\n"


def test_a_cell_that_never_ends_fails_in_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(sync, "CELL_TIMEOUT", 1)
    repository(tmp_path, **{"00_slow": "# %%\nwhile True:\n    pass\n"})
    (problem,) = sync.sync(tmp_path)
    assert "a cell takes more than 1 seconds" in problem


def test_timing_is_not_stored():
    notebook = sync.build("# %%\n1")
    notebook.cells[0].metadata.execution = {"iopub.execute_input": "2026-01-01T00:00:00Z"}
    notebook.metadata.widgets = {}
    sync.clean_outputs(notebook)
    assert notebook.cells[0].metadata == {}
    assert "widgets" not in notebook.metadata


# conda


def test_check_finds_an_environment_that_is_out_of_date(changeable):
    pins = changeable / "constraints.txt"
    pins.write_text(pins.read_text().replace("tqdm==", "tqdm==9"))
    (problem,) = sync.sync(changeable, check=True)
    assert problem.startswith("environment.yml is not what")
    assert sync.sync(changeable) == []
    assert "tqdm==9" in (changeable / "environment.yml").read_text()


def test_a_dependency_without_a_pin_is_one_sentence(changeable):
    pins = changeable / "constraints.txt"
    pins.write_text("".join(line for line in pins.open() if not line.startswith("tqdm")))
    assert sync.sync(changeable) == ["constraints.txt has no line for tqdm: add tqdm==VERSION."]
