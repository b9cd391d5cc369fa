"""The website: the stored notebooks as pages, made by Sphinx and MyST-NB without running anything."""

import importlib.util
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import nbformat
from nbformat import NotebookNode

from course_utils.errors import CourseError
from course_utils.exercises.assignments import without_solution_links
from course_utils.files import whole_folder
from course_utils.publishing.api_pages import Library, with_library_links, write_library_pages
from course_utils.publishing.live import assets
from course_utils.publishing.live.record import Recorded, kept

PAGES = ("notebooks", "notebooks/deeper", "exercises")  # the solutions stay with the course
IMAGES = "notebooks/images"  # in the text of lessons
MEASURES = ".compare("  # in the code of a cell that measures what was predicted
_SPHINX = [sys.executable, "-m", "sphinx", "--builder", "html", "--quiet", "--fail-on-warning", "--keep-going"]
_MADE_BY_SPHINX = ".buildinfo"  # it puts this file into every site


class SiteError(CourseError):
    """The website cannot be made; the message is one sentence that says what to do."""


def build_site(root: Path, out: Path) -> None:
    """Make the website of the course in `root`, as files that need no server and no network.

    Args:
        root: The repository's folder.
        out: Where the pages go. An earlier website in it is replaced when the new one is complete.

    Raises:
        SiteError: Sphinx is missing or has a complaint, or `out` holds something else.

    Lesson: none (this is for readers who have not installed the course yet).
    """
    if importlib.util.find_spec("myst_nb") is None or importlib.util.find_spec("furo") is None:
        raise SiteError("The tools for the website are not installed: run `python3 course.py site`, which does it.")
    out = out.resolve()
    if out.exists() and not (out / _MADE_BY_SPHINX).exists() and (not out.is_dir() or any(out.iterdir())):
        raise SiteError(f"{out} holds something else than a website: name a folder that is empty or does not exist.")
    with whole_folder(out) as unfinished, tempfile.TemporaryDirectory() as place:
        sources, made = Path(place, "sources"), Path(place, "site")  # MyST-NB puts a folder of its own beside the site
        collect_pages(root, sources)
        command = [*_SPHINX, "--doctree-dir", str(Path(place, "doctrees")), str(sources), str(made)]
        result = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
        if result.returncode:
            said = result.stderr.replace(f"{sources}/", "").strip()
            raise SiteError(f"Sphinx could not make the website, correct what it names:\n{said}")
        shutil.copytree(made, unfinished, dirs_exist_ok=True)


def collect_pages(root: Path, folder: Path) -> None:
    """Put everything that Sphinx reads into the new `folder`: its settings, the pictures and the notebooks."""
    shutil.copytree(root / "website", folder, ignore=shutil.ignore_patterns("__pycache__", "live"))
    shutil.copy(root / "docs" / "sampling-lab.png", folder)
    if (root / IMAGES).is_dir():
        shutil.copytree(root / IMAGES, folder / IMAGES)
    library = Library(root)
    if (folder / "api").is_dir():
        write_library_pages(folder / "api", library)
    front = kept(root, "front")
    widgets = {f"front/{name}": widget for name, widget in front.items()}
    places = "\n".join(assets.fragment(key, play="temperature 0.3 1.7") for key in widgets)
    start = folder / "index.md"
    start.write_text(start.read_text(encoding="utf-8").replace("WIDGET", places), encoding="utf-8")
    for name in PAGES:
        (folder / name).mkdir(exist_ok=True, parents=True)
        for file in sorted((root / name).glob("*.ipynb")):
            alive = kept(root, f"{name}/{file.stem}")
            widgets |= {f"{file.stem}/{cell}": widget for cell, widget in alive.items()}
            notebook = with_library_links(page(nbformat.read(file, as_version=4), alive, file.stem), library)
            nbformat.write(notebook, folder / name / file.name)
    _put_live_files(widgets, folder / "static" / "live")


def _put_live_files(widgets: dict[str, Recorded], folder: Path) -> None:
    """Write what the widgets of the pages load."""
    for name, text in assets.live_files(widgets).items():
        file = folder / f"{name}.js"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    (folder / "live.js").write_text(assets.script(), encoding="utf-8")
    (folder / "widgets.css").write_text(assets.style(), encoding="utf-8")


def page(notebook: NotebookNode, alive: Mapping[str, Recorded] = MappingProxyType({}), name: str = "") -> NotebookNode:
    """Return `notebook` with its alt texts, and with the code that JupyterLab folds, where MyST-NB looks for them.

    Widgets get a place to live in. What a reader predicts is measured in an output that is folded until then. Links to
    solutions, which the site doesn't have, are taken out.

    Args:
        notebook: It is changed.
        alive: What was kept of its widgets, by the ids of their cells.
        name: The notebook's name, such as "11_sampling".

    Lesson: none.

    >>> picture = nbformat.v4.new_output(
    ...     "display_data", {"image/png": "iVBORw0KGgo="}, metadata={"image/png": {"alt": "A cat."}}
    ... )
    >>> cell = nbformat.v4.new_code_cell("cat", outputs=[picture])
    >>> page(nbformat.v4.new_notebook(cells=[cell])).cells[0].metadata.mystnb
    {'image': {'alt': 'A cat.'}}
    """
    for cell in notebook.cells:
        outputs = cell.get("outputs", [])
        alts = [output.metadata["image/png"]["alt"] for output in outputs if "image/png" in output.get("data", {})]
        if alts:  # the last line of a cell is one picture; MyST-NB knows one alt text for a cell
            (alt,) = alts
            cell.metadata["mystnb"] = {"image": {"alt": alt}}
        if cell.cell_type == "markdown":
            source = without_solution_links(cell.source)
            # MyST joins the lines of an alt text without a space.
            cell.source = re.sub(r"!\[[^\]]+\]", lambda alt: " ".join(alt[0].split()), source)
        if cell.metadata.get("jupyter", {}).get("source_hidden"):
            cell.metadata["tags"] = [*cell.metadata.get("tags", []), "hide-input"]
        if cell.id in alive:
            assets.add_place(cell, f"{name}/{cell.id}")
        elif MEASURES in cell.source and alive:
            cell.metadata["tags"] = [*cell.metadata.get("tags", []), "hide-output"]
            said = {"code_prompt_show": "What was measured (predict first)", "code_prompt_hide": "What was measured"}
            cell.metadata["mystnb"] = {**cell.metadata.get("mystnb", {}), **said}
    return notebook
