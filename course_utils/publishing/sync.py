"""Notebooks from their sources: percent scripts in, executed notebooks out, never the other way round.

What people edit is `notebooks/source/NN_name.py`, or in JupyterLab the notebook, which Jupytext saves into that source.
What this makes is `notebooks/NN_name.ipynb`, byte for byte the same each time: cell ids come from the cells, and cells
are run again only when code changed, or when someone else ran them.
"""

import hashlib
import json
import os
import re
import tempfile
import tomllib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from course_utils.exercises.assignments import exercise
from course_utils.files import write_whole
from course_utils.publishing.live.record import Recorded, keep, kept, stored_text
from course_utils.publishing.pages import pages
from course_utils.publishing.recorded import has_recordings, sign_recordings, take_recordings
from course_utils.publishing.schematics import SCHEMATICS, schematic
from course_utils.publishing.slides import slide

LESSONS, DEEPER = "notebooks/source", "notebooks/source/deeper"
# What is made of the sources in each folder: first what pairs with them and is run, then what learners get.
MAKES = {LESSONS: ("notebooks",), DEEPER: ("notebooks/deeper",), "solutions/source": ("solutions", "exercises")}
# As in jupytext.toml. Each notebook has them, too: without them, Jupytext takes the notebook's metadata for an edit
# that the source lacks, and doesn't open a source that is older than its notebook.
JUPYTEXT = {
    "cell_metadata_filter": "tags,nbgrader,-all",
    "comment_magics": False,
    "notebook_metadata_filter": "course,-all",
}
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
CELL_TIMEOUT = 600  # seconds, as in the tests: only what hangs takes so long, also on a busy machine
_KERNEL = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
_RECORD_WIDGETS = """
from pathlib import Path
from course_utils.publishing.live.record import record_widgets
record_widgets(Path({!r}))
"""
_NOT_OURS = ("jupytext", "widgets", *_KERNEL)


class CellProblem(Exception):
    """A cell did what no stored notebook may show; the message is one sentence."""


def sync(root: Path, check: bool = False, execute: bool = False, record: bool = False) -> list[str]:
    """Make all notebooks, schematics and `environment.yml` under `root` what their sources say; return the problems.

    Args:
        root: The repository's folder.
        check: Write nothing; a notebook that isn't what its source makes is a problem.
        execute: Run also the notebooks whose cells did not change.
        record: Run every notebook that has recorded cells, and store what they show now.

    Returns:
        One sentence per problem; an empty list means that all is well.

    Lesson: none (this is how notebooks are made).
    """
    problems = []
    for folder, made in MAKES.items():
        sources = sorted((root / folder).glob("*.py"))
        for place in made:
            notebooks = {file.stem for file in (root / place).glob("[0-9][0-9]_*.ipynb")}
            problems += [
                f"{place}/{name}.ipynb has no source: write {folder}/{name}.py or delete the notebook."
                for name in sorted(notebooks - {file.stem for file in sources})
            ]
        for source in sources:
            problems += _sync_notebook(root, source, check, execute, record)
    return problems + _sync_schematics(root, check) + _sync_pages(root, check) + _sync_environment(root, check)


def build(source: str) -> NotebookNode:
    r"""Make a notebook without outputs from the text of a percent script.

    >>> [cell.source for cell in build("# %% [markdown]\n# Two\n# %%\n1 + 1\n").cells]
    ['Two', '1 + 1']
    """
    notebook = jupytext.reads(source, fmt={"extension": ".py", "format_name": "percent", **JUPYTEXT})
    own = {key: value for key, value in notebook.metadata.items() if key not in _NOT_OURS}
    for cell, made_id in zip(notebook.cells, _ids(notebook.cells), strict=True):
        cell.id = made_id
    return nbformat.v4.new_notebook(cells=notebook.cells, metadata={**own, **_KERNEL, "jupytext": {**JUPYTEXT}})


def cell_id(cell_type: str, source: str, earlier: int = 0) -> str:
    """Return the id of a cell: it changes when the cell does, and only then.

    Args:
        cell_type: "code", "markdown" or "raw".
        source: The cell's text.
        earlier: How many cells before it are exactly the same.

    >>> cell_id("code", "1 + 1")
    '639e071d0106'
    """
    return hashlib.sha256(f"{cell_type}\n{source}\n{earlier}".encode()).hexdigest()[:12]


def _ids(cells: Iterable[dict]) -> list[str]:
    seen, ids = Counter(), []
    for content in _contents(cells):
        ids.append(cell_id(*content, earlier=seen[content]))
        seen[content] += 1
    return ids


def _contents(cells: Iterable[dict]) -> list[tuple[str, str]]:
    return [(cell.get("cell_type"), "".join(cell.get("source", ""))) for cell in cells]


def without_outputs(notebook: dict) -> dict:
    r"""Return all of a notebook that comes from its source: two are equal when their sources are.

    >>> ran = build("# %%\n1 + 1")
    >>> ran.cells[0].execution_count = 1
    >>> without_outputs(ran) == without_outputs(build("# %%\n1 + 1"))
    True
    """
    cells = [
        {key: value for key, value in cell.items() if key not in ("outputs", "execution_count")}
        for cell in notebook["cells"]
    ]
    return {**notebook, "cells": cells}


def clean_outputs(notebook: NotebookNode) -> None:
    """Leave only outputs that mean something to a reader without a kernel, and to the next machine.

    Raises:
        CellProblem: A cell wrote to stderr without the tag "warns", or raised.
    """
    for number, cell in enumerate(notebook.cells, start=1):
        if cell.cell_type != "code":
            continue
        cell.metadata.pop("execution", None)
        for output in cell.outputs:
            _refuse_noise(output, number, "warns" in cell.metadata.get("tags", []))
            # A page without a kernel would say "model not found" instead of showing the stored picture.
            output.get("data", {}).pop(WIDGET_VIEW, None)
        cell.outputs = [output for output in cell.outputs if output.get("data", True)]
        if "machine-dependent" in cell.metadata.get("tags", []):  # in lessons that record nothing yet
            cell.outputs = []
    notebook.metadata.pop("widgets", None)
    notebook.metadata.update(_KERNEL)  # running it added the version of this Python


def run_cells(notebook: NotebookNode, folder: Path) -> dict[str, Recorded]:
    """Execute `notebook` in `folder` with a fresh progress file and no network, and keep the outputs.

    Returns:
        What a page without a kernel needs of each widget, by the id of its cell.

    Raises:
        CellProblem: A cell raised, wrote to stderr, took too long or ended the kernel.
    """
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT,
        startup_timeout=600,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        record_timing=False,
        store_widget_state=False,
        coalesce_streams=True,
    )
    with tempfile.TemporaryDirectory() as home:
        quiet = {"COURSE_HOME": home, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
        file = Path(home, "widgets.json")
        last = nbformat.v4.new_code_cell(_RECORD_WIDGETS.format(str(file)))
        notebook.cells.append(last)
        try:
            client.execute(env={**os.environ, **quiet})
            widgets = json.loads(file.read_text(encoding="utf-8"))
        except CellExecutionError as error:
            clean_outputs(notebook)  # this says which cell
            raise CellProblem(f"a cell raises {error.ename} ({_first_line(error.evalue)})") from None
        except CellTimeoutError:
            raise CellProblem(f"a cell takes more than {CELL_TIMEOUT} seconds") from None
        except DeadKernelError:
            raise CellProblem("its kernel died (too little memory?)") from None
        finally:
            notebook.cells.remove(last)
    by_cell = {cell.id: widgets[name] for cell in notebook.cells for name in _widgets_of(cell) if name in widgets}
    clean_outputs(notebook)
    return by_cell


def _widgets_of(cell: NotebookNode) -> list[str]:
    """The model ids of the widgets that a cell shows."""
    shown = [output.get("data", {}).get(WIDGET_VIEW) for output in cell.get("outputs", [])]
    return [view["model_id"] for view in shown if view]


def environment_yml(root: Path) -> str:
    """Return the text of `environment.yml`: the direct dependencies with the versions of the constraints.

    Raises:
        ValueError: A dependency of `pyproject.toml` has no line in `constraints.txt`.
    """
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = (root / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = {_package(line): line.partition("==")[2] for line in lines if "==" in line}
    needed = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    names = sorted({_package(requirement) for requirement in needed})
    for name in names:
        if name not in pins:
            raise ValueError(f"constraints.txt has no line for {name}: add {name}==VERSION.")
    return "\n".join(
        [
            "# Made from pyproject.toml and constraints.txt by `course sync`: do not edit.",
            f"name: {project['name']}",
            "channels:",
            "  - conda-forge",
            "dependencies:",
            "  - python=3.12  # 3.11 and 3.13 work too",
            "  - pip",
            "  - nodejs",
            "  - pip:",
            "      - -c constraints.txt",
            *[f"      - {name}=={pins[name]}" for name in names],
            "      - -e .[dev]",
            "",
        ]
    )


def _sync_notebook(root: Path, source: Path, check: bool, execute: bool, record: bool) -> list[str]:
    folder = source.parent.relative_to(root).as_posix()
    target = root / MAKES[folder][0] / f"{source.stem}.ipynb"
    name, of = target.relative_to(root).as_posix(), source.relative_to(root).as_posix()
    notebook = build(source.read_text(encoding="utf-8"))
    problems = []
    if folder in (LESSONS, DEEPER):
        _mark_slides(notebook)
        _fold_quizzes(notebook)
    else:
        try:
            problems = _sync_exercise(root, source, exercise(notebook), check)
        except ValueError as error:
            return [f"{of}: {error}; its notebooks are left as they were."]
    current = _stored(target) == without_outputs(json.loads(_written(notebook)))
    if check:
        return problems + ([] if current else [f"{name} is not what {of} makes: run `course sync`."])
    execute = execute or (record and has_recordings(notebook))
    if current and not execute:
        return problems
    if _is_newer_and_edited(target, source, notebook):
        what = f"run `jupytext --sync {name}` to keep the edit, or delete {name}; then run `course sync` again"
        return [*problems, f"{name} was edited, and {of} was not: {what}."]
    earlier = _read(target)
    if execute or earlier is None or not _take_outputs(notebook, earlier):
        print(f"Running {name} ...", flush=True)
        target.parent.mkdir(exist_ok=True)
        try:
            widgets = run_cells(notebook, target.parent)
        except CellProblem as problem:
            return [*problems, f"{of}: {problem}; {name} is left as it was."]
        sign_recordings(notebook)
        if earlier is not None and not record:
            take_recordings(notebook, earlier)
        if folder in (LESSONS, DEEPER):
            _keep_widgets(root, name.removesuffix(".ipynb"), notebook, widgets)
    write_whole(target, _written(notebook))
    return problems


def _keep_widgets(root: Path, name: str, notebook: NotebookNode, widgets: dict[str, Recorded]) -> None:
    """Keep what the pages of the website need; of a cell whose stored output stayed, what belongs to that output."""
    before = kept(root, name)
    texts = {cell.id: stored_text(cell) for cell in notebook.cells}
    for one, widget in before.items():
        if one in widgets and widget["text"] == texts[one] != widgets[one]["text"]:
            widgets[one] = widget
    keep(root, name, widgets)


def _mark_slides(notebook: NotebookNode) -> None:
    """Say in the text cells where slides begin; the code cells stay as they are, so none has to be run again."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.metadata["slideshow"] = slide(cell.source)


def _fold_quizzes(notebook: NotebookNode) -> None:
    """Hide the code of quizzes, which has the answers.

    This isn't in the sources: an author who unfolds a cell to work on it would save it unfolded.
    """
    for cell in notebook.cells:
        if cell.cell_type == "code" and re.search(r"^quiz_question\(", cell.source, re.MULTILINE):
            cell.metadata["jupyter"] = {"source_hidden": True}


def _is_newer_and_edited(target: Path, source: Path, made: NotebookNode) -> bool:
    """Say whether the notebook holds an edit that its source lacks, as editors without Jupytext leave it."""
    stored = _stored(target)
    if stored is None or target.stat().st_mtime <= source.stat().st_mtime:
        return False
    if _contents(stored["cells"]) == _contents(made.cells):
        return False
    # What was made here is of another version of the source, and nobody's work.
    return [cell.get("id") for cell in stored["cells"]] != _ids(stored["cells"])


def _sync_exercise(root: Path, source: Path, notebook: NotebookNode, check: bool) -> list[str]:
    """Make what a learner gets; nothing in it is run."""
    file = root / "exercises" / f"{source.stem}.ipynb"
    wanted = _written(notebook)
    if file.exists() and file.read_text(encoding="utf-8") == wanted:
        return []
    if check:
        return [f"exercises/{file.name} is not what solutions/source/{source.name} makes: run `course sync`."]
    if _is_worked_on(file):
        return [f"exercises/{file.name} has someone's work in it: move it away, then run `course sync` again."]
    file.parent.mkdir(exist_ok=True)
    write_whole(file, wanted)
    return []


def _is_worked_on(file: Path) -> bool:
    """Say whether a cell of an exercise was run: what is made here has no outputs, so a learner ran it."""
    try:
        cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
        return any(cell.get("execution_count") or cell.get("outputs") for cell in cells)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _sync_schematics(root: Path, check: bool) -> list[str]:
    """Draw the picture that opens each lesson of `root`."""
    problems = []
    for lesson in SCHEMATICS:
        if not (root / "notebooks" / "source" / f"{lesson}.py").is_file():
            continue  # another course, without this lesson
        file, wanted = root / "notebooks" / "images" / f"{lesson}.svg", schematic(lesson)
        if file.is_file() and file.read_text(encoding="utf-8") == wanted:
            continue
        if check:
            problems.append(f"notebooks/images/{file.name} is not what its drawing makes: run `course sync`.")
        else:
            file.parent.mkdir(exist_ok=True)
            write_whole(file, wanted)
    return problems


def _sync_pages(root: Path, check: bool) -> list[str]:
    """Make the index, the glossary and the references, which have no code."""
    if not (root / "notebooks" / "source" / "glossary.toml").is_file():
        return []  # another course, without them
    try:
        made = pages(root)
    except ValueError as error:
        return [f"{error}."]
    problems = []
    for name, texts in made.items():
        file = root / "notebooks" / f"{name}.ipynb"
        cells = [nbformat.v4.new_markdown_cell(text, id=cell_id("markdown", text)) for text in texts]
        wanted = _written(nbformat.v4.new_notebook(cells=cells, metadata=_KERNEL))
        if file.exists() and file.read_text(encoding="utf-8") == wanted:
            continue
        if check:
            problems.append(f"notebooks/{name}.ipynb is not what the lessons and tables make: run `course sync`.")
        else:
            write_whole(file, wanted)
    return problems


def _sync_environment(root: Path, check: bool) -> list[str]:
    file = root / "environment.yml"
    try:
        wanted = environment_yml(root)
    except ValueError as error:
        return [str(error)]
    if file.exists() and file.read_text(encoding="utf-8") == wanted:
        return []
    if check:
        return ["environment.yml is not what constraints.txt and pyproject.toml make: run `course sync`."]
    write_whole(file, wanted)
    return []


def _stored(file: Path) -> dict | None:
    """Return what `file` holds besides outputs; None when it is missing or no notebook."""
    try:
        return without_outputs(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _read(file: Path) -> NotebookNode | None:
    """Return the notebook in `file`; None when it is missing or no notebook."""
    try:
        return nbformat.read(file, as_version=4)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _take_outputs(notebook: NotebookNode, stored: NotebookNode) -> bool:
    """Copy the outputs of `stored` when its code is the same and only text changed; say whether it was."""
    if stored.metadata.get("language_info") != _KERNEL["language_info"]:
        return False  # an author has run cells, in whatever order
    mine, theirs = ([cell for cell in one.cells if cell.cell_type == "code"] for one in (notebook, stored))
    code = [[(cell.get("id"), cell.source, cell.metadata) for cell in cells] for cells in (mine, theirs)]
    if code[0] != code[1]:
        return False
    if not all(cell.execution_count for cell in theirs):
        return False
    for cell, before in zip(mine, theirs, strict=True):
        cell.outputs, cell.execution_count = before.outputs, before.execution_count
    return True


def _refuse_noise(output: NotebookNode, number: int, may_warn: bool) -> None:
    if output.output_type == "error":
        raise CellProblem(f"cell {number} raises {output.ename} ({_first_line(output.evalue)})")
    if output.output_type == "stream" and output.name == "stderr":
        if not may_warn:
            raise CellProblem(f"cell {number} writes to stderr ({_first_line(output.text)})")
        output.text = output.text.replace(str(Path.home()), "~")  # whose folder it was is no part of the lesson


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]


def _package(requirement: str) -> str:
    """Return the name at the start of `requirement`, spelled one way: `PyYAML>=6` → `pyyaml`."""
    return re.match(r"[\w.-]*", requirement)[0].lower().replace("_", "-")


def _written(notebook: NotebookNode) -> str:
    return nbformat.v4.writes(notebook, indent=1) + "\n"
