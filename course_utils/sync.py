"""From the sources that people edit to the files that learners open: one way, the same bytes every time."""

import copy
import hashlib
import os
import tempfile
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

FOLDERS = ("notebooks", "solutions")
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
_KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


class SyncError(Exception):
    """A derived file cannot be made; the message is one sentence."""


def write_all(root: Path, execute_all: bool = False) -> Iterator[Path]:
    """Make every derived file below `root` that is not up to date; yield the ones written.

    Raises:
        SyncError: A cell raises, or writes to stderr.
    """
    for source, target in pairs(root):
        notebook = notebook_of(source)
        if execute_all or not is_made_from(target, notebook):
            execute(notebook, target.parent)
            _write(target, nbformat.writes(notebook) + "\n")
            yield target
    environment = root / "environment.yml"
    if not environment.exists() or environment.read_text(encoding="utf-8") != environment_yml(root):
        _write(environment, environment_yml(root))
        yield environment


def stale_files(root: Path) -> list[Path]:
    """Return the derived files below `root` that are missing, outdated, or have no source."""
    wanted = dict((target, source) for source, target in pairs(root))
    stale = [target for target, source in wanted.items() if not is_made_from(target, notebook_of(source))]
    stale += [found for folder in FOLDERS for found in (root / folder).glob("*.ipynb") if found not in wanted]
    environment = root / "environment.yml"
    if not environment.exists() or environment.read_text(encoding="utf-8") != environment_yml(root):
        stale.append(environment)
    return stale


def pairs(root: Path) -> list[tuple[Path, Path]]:
    """Return every source below `root` with the notebook that it makes."""
    sources = [source for folder in FOLDERS for source in sorted((root / folder / "source").glob("*.py"))]
    return [(source, source.parents[1] / f"{source.stem}.ipynb") for source in sources]


def notebook_of(source: Path) -> NotebookNode:
    """Read a percent script as a notebook without outputs; a cell's id comes from what is in the cell."""
    notebook = jupytext.read(source, fmt="py:percent")
    notebook.metadata = NotebookNode(kernelspec=_KERNEL, language_info={"name": "python"})
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    seen: Counter[str] = Counter()
    for cell in notebook.cells:
        digest = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:10]
        seen[digest] += 1
        cell.id = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
    return notebook


def is_made_from(target: Path, notebook: NotebookNode) -> bool:
    """Tell whether the stored notebook `target` has the cells, ids and metadata of `notebook`."""
    if not target.exists():
        return False
    stored = nbformat.read(target, as_version=4)
    for cell in stored.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return nbformat.writes(stored) == nbformat.writes(notebook)


def execute(notebook: NotebookNode, folder: Path) -> None:
    """Run `notebook` in `folder` as a new learner would, and keep the outputs that every machine agrees on.

    Raises:
        SyncError: A cell raises, or writes to stderr.
    """
    source = copy.deepcopy(notebook)
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "COURSE_HOME": home, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
        client = NotebookClient(notebook, timeout=120, store_widget_state=False, record_timing=False)
        try:
            client.execute(cwd=str(folder), env=environment)
        except CellExecutionError as error:
            raise SyncError(f"a cell of the lesson raises {error.ename}: {error.evalue}.") from error
    notebook.metadata = source.metadata
    for cell, original in zip(notebook.cells, source.cells, strict=True):
        cell.metadata = original.metadata
        if cell.cell_type == "code":
            cell.outputs = _kept_outputs(cell)


def _kept_outputs(cell: NotebookNode) -> list[NotebookNode]:
    if "machine-dependent" in cell.metadata.get("tags", []):
        return []
    for output in cell.outputs:
        if output.output_type == "stream" and output.name == "stderr":
            raise SyncError(f"a cell of the lesson writes to stderr: {output.text.strip()[:200]!r}.")
        # Without a kernel JupyterLab would look for the widget, not find it, and hide the stored picture.
        output.get("data", {}).pop(WIDGET_VIEW, None)
    return cell.outputs


def environment_yml(root: Path) -> str:
    """Return the conda environment with the pins of `constraints.txt`."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = (root / "constraints.txt").read_text(encoding="utf-8").split()
    pins = {line.split("==")[0].lower(): line for line in lines}
    direct = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    names = sorted(requirement.split(">=")[0].lower() for requirement in direct)
    wanted = ["-c constraints.txt", *(pins[name] for name in names), "-e .[dev]"]
    head = [
        "# Made by `python3 course.py sync` from pyproject.toml and constraints.txt.",
        "name: llms-by-hand",
        "channels:",
        "  - conda-forge",
        "dependencies:",
        "  - python=3.12 # 3.11 and 3.13 work, too",
        "  - nodejs",
        "  - pip",
        "  - pip:",
    ]
    return "\n".join([*head, *(f"      - {line}" for line in wanted)]) + "\n"


def _write(path: Path, text: str) -> None:
    unfinished = path.with_name(f".{path.name}.new")
    unfinished.write_text(text, encoding="utf-8", newline="\n")
    os.replace(unfinished, path)
