"""Slides from the lessons: nothing is run again, and each file needs no second one, no server and no network."""

import importlib.util
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import nbformat
from nbformat import NotebookNode
from traitlets.config import Config

from course_utils.errors import CourseError
from course_utils.files import write_whole
from course_utils.publishing.live import assets
from course_utils.publishing.live.record import Recorded, kept

_TEMPLATE = Path(__file__).with_name("slides.html.j2")
_INDEX = Path(__file__).with_name("slides_index.html.j2")
_MADE_BY = "the slides of LLMs by Hand"  # in the list of slides: an index.html without it is someone else's
_FOR_SLIDES = re.compile(rb"<!-- SLIDES (.*?) -->", re.DOTALL)  # in the website's front page
# Before a heading in the middle of a cell: there a slide begins, too.
_NEW_SECTION = re.compile(r"\n+(?=##? )")
_TO_A_NOTEBOOK = re.compile(r"\[([^\]]+)\]\([^)\s]+\.ipynb\)")


class SlidesError(CourseError):
    """The slides cannot be made; the message is one sentence that says what to do."""


def export_slides(root: Path, out: Path, names: Sequence[str] = ()) -> list[Path]:
    """Write the slides of the lessons, one HTML file each, and index.html, which lists them; return the lessons' files.

    The list has every lesson whose slides are in the folder by now. If that is in a website, the front page links it.

    Args:
        root: The repository's folder.
        out: Where the files go; those of the same name are replaced.
        names: Numbers such as "11", or names such as "11_sampling"; none means all lessons.

    Raises:
        SlidesError: A lesson does not exist, reveal.js is not installed, or `out` has an index.html of something else.

    Lesson: every lesson.
    """
    lessons = _chosen(root, names)
    reveal = _reveal()
    index = out / "index.html"
    if index.exists() and _MADE_BY.encode() not in index.read_bytes():
        raise SlidesError(f"{index} belongs to something else: name another folder, such as {out / 'slides'}.")
    out.mkdir(parents=True, exist_ok=True)
    files = []
    for lesson in lessons:
        file = out / f"{lesson.stem}.slides.html"
        alive = kept(root, f"notebooks/{lesson.stem}")
        write_whole(file, slides_page(nbformat.read(lesson, as_version=4), reveal, lesson.parent, alive))
        files.append(file)
    _write_index(root, out.resolve())
    return files


def slides_page(
    notebook: NotebookNode,
    reveal: dict[str, str],
    folder: Path,
    alive: Mapping[str, Recorded] = MappingProxyType({}),
) -> str:
    """Return the slides of a notebook as one HTML page; pictures, reveal.js and living widgets are inside it.

    Args:
        notebook: It stays as it is.
        reveal: The files of reveal.js by name.
        folder: Where the notebook is.
        alive: What was kept of its widgets, by the ids of their cells.
    """
    from nbconvert import SlidesExporter  # takes a second, and no other command needs it

    notebook = with_slides(notebook)
    for cell in notebook.cells:
        if cell.id in alive:
            assets.add_place(cell, cell.id)
        if cell.cell_type == "markdown":  # the file travels alone
            cell.source = _TO_A_NOTEBOOK.sub(r"\1", cell.source)
        elif ".compare(" in cell.source:  # the room predicts before it sees what was measured
            cell.metadata["slideshow"] = {"slide_type": "fragment"}
    config = Config(CSSHTMLHeaderPreprocessor={"style": "default"})  # the usual colours are JupyterLab's variables
    template = _TEMPLATE.read_text(encoding="utf-8")
    exporter = SlidesExporter(config=config, raw_template=template, exclude_anchor_links=True, embed_images=True)
    live = [assets.script(), *assets.live_files(alive).values()] if alive else []
    resources = {"reveal_files": reveal, "title": _title(notebook), "metadata": {"path": str(folder)}}
    resources |= {"live_scripts": live, "live_style": assets.style()}
    return exporter.from_notebook_node(notebook, resources)[0]


def with_slides(notebook: NotebookNode) -> NotebookNode:
    r"""Return a copy of `notebook` that says where its slides begin, for nbconvert and JupyterLab's RISE.

    Lesson: none (this is how slides are made).

    >>> cells = [nbformat.v4.new_markdown_cell("# A\n\nOne.\n\n## B"), nbformat.v4.new_code_cell("1 + 1")]
    >>> [(cell.source, cell.metadata) for cell in with_slides(nbformat.v4.new_notebook(cells=cells)).cells]
    [('# A\n\nOne.', {'slideshow': {'slide_type': 'slide'}}), ('## B', {'slideshow': {'slide_type': 'slide'}}),
     ('1 + 1', {})]
    """
    cells = []
    for cell in notebook.cells:
        parts = _NEW_SECTION.split(cell.source) if cell.cell_type == "markdown" else [cell.source]
        for number, source in enumerate(parts):
            own = {**cell.metadata, **({"slideshow": slide(source)} if cell.cell_type == "markdown" else {})}
            name = f"{cell.id}-{number}" if number else cell.id
            cells.append(nbformat.from_dict({**cell, "id": name, "source": source, "metadata": own}))
    return nbformat.from_dict({**notebook, "cells": cells})


def slide(source: str) -> dict[str, str]:
    """Return what the metadata of a markdown cell says: a section begins a slide, any other text one below it.

    >>> slide("## 2 · Temperature"), slide("### Try it")
    ({'slide_type': 'slide'}, {'slide_type': 'subslide'})
    """
    return {"slide_type": "slide" if source.startswith(("# ", "## ")) else "subslide"}


def _write_index(root: Path, out: Path) -> None:
    """List the slides that are in `out`, and link the list from the front page of a website around it."""
    from jinja2 import Template  # comes with nbconvert

    made = [(lesson, f"{lesson.stem}.slides.html") for lesson in _lessons(root)]
    listed = [(name, _title(nbformat.read(lesson, as_version=4))) for lesson, name in made if (out / name).exists()]
    front = out.parent / "index.html"
    text = front.read_bytes() if front.is_file() else b""
    on_a_website = f'href="{out.name}/index.html"'.encode() in text
    template = Template(_INDEX.read_text(encoding="utf-8"), autoescape=True)
    write_whole(out / "index.html", template.render(made_by=_MADE_BY, slides=listed, on_a_website=on_a_website))
    if on_a_website:
        write_whole(front, _FOR_SLIDES.sub(rb"\1", text))


def _title(notebook: NotebookNode) -> str:
    return notebook.cells[0].source.partition("\n")[0].lstrip("# ").replace("`", "")


def _lessons(root: Path) -> list[Path]:
    return sorted((root / "notebooks").glob("[0-9][0-9]_*.ipynb"))


def _chosen(root: Path, names: Sequence[str]) -> list[Path]:
    every = _lessons(root)
    known = {name: lesson for lesson in every for name in (lesson.stem, lesson.stem[:2])}
    for name in names:
        if name not in known:
            raise SlidesError(f"There is no lesson {name}: write its number, such as 08, or leave it out for all.")
    return [known[name] for name in names] or every


def _reveal() -> dict[str, str]:
    """Return the files of reveal.js by name; a package from the package index brings them and their licence."""
    package = importlib.util.find_spec("sphinx_revealjs")
    if package is None:
        raise SlidesError("reveal.js is not installed: run `python3 course.py slides`, which installs it.")
    folder = Path(package.origin).parent / "_static" / "revealjs"
    return {
        name: (folder / name).read_text(encoding="utf-8") for name in ("LICENSE", "dist/reveal.css", "dist/reveal.js")
    }
