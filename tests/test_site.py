"""The website's parts, and that every problem is one sentence; the whole of it is in tests/browser/test_site.py."""

import importlib.util
import re
import shutil

import nbformat
import pytest

from course_utils.machine import ROOT
from course_utils.publishing.site import SiteError, build_site, page
from tests.conftest import need


@pytest.fixture
def small_course(tmp_path):
    """A course of one lesson with the real website's settings, and without the pages about the library."""
    root = tmp_path / "course"
    for folder in ("notebooks", "exercises", "docs"):
        (root / folder).mkdir(parents=True)
    shutil.copytree(ROOT / "website", root / "website", ignore=shutil.ignore_patterns("api"))
    shutil.copy(ROOT / "docs" / "sampling-lab.png", root / "docs")
    return root


def put(file, text):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def lesson(root, text):
    cells = [nbformat.v4.new_markdown_cell(text, id="text")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), root / "notebooks" / "00_start_here.ipynb")


def test_a_link_that_leads_nowhere_stops_it(small_course, tmp_path):
    need("MyST-NB", importlib.util.find_spec("myst_nb") is not None)
    (small_course / "website" / "index.md").write_text("# Small\n\n```{toctree}\nnotebooks/00_start_here\n```\n")
    lesson(small_course, "# Lesson\n\n[elsewhere](07_gone.ipynb)")
    with pytest.raises(SiteError, match=r"notebooks/00_start_here\.ipynb.*07_gone\.ipynb"):
        build_site(small_course, tmp_path / "site")
    assert [file.name for file in tmp_path.iterdir()] == ["course"]  # nothing half-made stays

    lesson(small_course, "# Lesson\n\n[the beginning](../index.md)")
    site = tmp_path / "site"
    site.mkdir()
    for name in (".buildinfo", "page_of_a_lesson_that_is_gone.html"):
        (site / name).touch()
    build_site(small_course, site)  # replaces the earlier one
    assert sorted(file.name for file in tmp_path.iterdir()) == ["course", "site"]
    assert 'href="../index.html"' in (site / "notebooks" / "00_start_here.html").read_text()
    assert not (site / "page_of_a_lesson_that_is_gone.html").exists()


def test_deeper_notebooks_and_pictures_of_the_text_have_their_place(small_course, tmp_path):
    need("MyST-NB", importlib.util.find_spec("myst_nb") is not None)
    index = small_course / "website" / "index.md"
    index.write_text(index.read_text().replace("notebooks/index\nnotebooks/glossary\nnotebooks/references\n", ""))
    index.write_text(re.sub(r"\[([^\]]+)\]\((?:notebooks|api)[^)]+\)", r"\1", index.read_text()))
    index.write_text(index.read_text().replace("exercises/[0-9]*", "").replace("\napi/index\n", "\n"))
    lesson(small_course, "# Lesson\n\n![A loop.](images/00.svg)\n\nNothing deeper yet.")
    picture = '<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0"/></svg>'
    put(small_course / "notebooks/images/00.svg", picture)
    build_site(small_course, tmp_path / "site")

    lesson(small_course, "# Lesson\n\n![A loop.](images/00.svg)\n\n[Why?](deeper/00_why.ipynb)")
    why = nbformat.v4.new_markdown_cell("# Why\n\nBack to [the lesson](../00_start_here.ipynb).", id="text")
    put(small_course / "notebooks/deeper/00_why.ipynb", nbformat.writes(nbformat.v4.new_notebook(cells=[why])))
    build_site(small_course, tmp_path / "site")
    site = tmp_path / "site"
    assert 'href="deeper/00_why.html"' in (site / "notebooks/00_start_here.html").read_text()
    assert 'href="../00_start_here.html"' in (site / "notebooks/deeper/00_why.html").read_text()
    assert (site / "_images/00.svg").read_text() == picture


def test_a_folder_of_something_else_is_left_alone(small_course, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(SiteError, match="holds something else than a website: name a folder that is empty"):
        build_site(small_course, tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


def test_missing_tools_are_named(small_course, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SiteError, match=r"run `python3 course.py site`"):
        build_site(small_course, tmp_path / "site")


def test_folded_code_stays_folded_and_a_second_picture_is_refused():
    picture = nbformat.v4.new_output("display_data", {"image/png": ""}, metadata={"image/png": {"alt": "A cat."}})
    quiz = nbformat.v4.new_code_cell("quiz()", metadata={"jupyter": {"source_hidden": True}, "tags": ["checked"]})
    assert page(nbformat.v4.new_notebook(cells=[quiz])).cells[0].metadata.tags == ["checked", "hide-input"]
    two = nbformat.v4.new_code_cell("cats", outputs=[picture, picture])
    with pytest.raises(ValueError, match="too many values"):
        page(nbformat.v4.new_notebook(cells=[two]))
