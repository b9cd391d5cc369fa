"""Slides: where they begin, and that each file holds its lesson's pictures and words and asks for no other file."""

import base64
import importlib.util
import re

import nbformat
import pytest

from course_utils.machine import ROOT
from course_utils.publishing.schematics import schematic
from course_utils.publishing.slides import SlidesError, export_slides, with_slides
from tests.browser.test_site import LESSONS, Page, broken_links, stored_pictures
from tests.conftest import need


def notebook_of(*sources):
    """A notebook of markdown cells, and of code where a text begins with >."""
    cells = [
        nbformat.v4.new_code_cell(text[1:]) if text.startswith(">") else nbformat.v4.new_markdown_cell(text)
        for text in sources
    ]
    return nbformat.v4.new_notebook(cells=cells)


def kinds(notebook):
    return [cell.metadata.get("slideshow", {}).get("slide_type") for cell in with_slides(notebook).cells]


def test_sections_begin_slides_and_code_stays_with_its_text():
    notebook = notebook_of("# Title", ">1 + 1", "Text.", ">2 + 2", "## One", "### Part", "Code:\n\n    ## no heading")
    assert kinds(notebook) == ["slide", None, "subslide", None, "slide", "subslide", "subslide"]


def test_a_section_in_the_middle_of_a_cell_begins_a_slide():
    notebook = notebook_of("Last words.\n\n## Two\n\nFirst words.", ">1 + 1")
    assert kinds(notebook) == ["subslide", "slide", None]
    marked = with_slides(notebook)
    assert [cell.source for cell in marked.cells] == ["Last words.", "## Two\n\nFirst words.", "1 + 1"]
    assert len({cell.id for cell in marked.cells}) == 3
    nbformat.validate(marked)


def test_the_notebook_itself_stays_as_it_was():
    notebook = notebook_of("# Title\n\n## One", ">1 + 1")
    before = nbformat.writes(notebook)
    with_slides(notebook).cells[0].metadata["more"] = "of it"
    assert nbformat.writes(notebook) == before


def test_a_lesson_that_does_not_exist_is_named_before_anything_is_written(tmp_path):
    with pytest.raises(SlidesError, match="There is no lesson 77: write its number"):
        export_slides(ROOT, tmp_path / "slides", ["08", "77"])
    assert not (tmp_path / "slides").exists()


def test_a_picture_of_the_text_is_inside(tmp_path):
    need("reveal.js", importlib.util.find_spec("sphinx_revealjs") is not None)
    (tmp_path / "notebooks/images").mkdir(parents=True)
    (tmp_path / "notebooks/images/03_x.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0"/></svg>'
    )
    lesson = notebook_of("# 03 · X\n\n![A loop.](images/03_x.svg)\n\n[more](deeper/03_more.ipynb)")
    nbformat.write(lesson, tmp_path / "notebooks/03_x.ipynb")
    (file,) = export_slides(tmp_path, tmp_path / "slides")
    page = Page(file)
    assert page.pictures == ["A loop."]
    assert [link.partition(",")[0] for link in page.links] == ["data:image/svg+xml;base64"]


def test_missing_reveal_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SlidesError, match=r"run `python3 course.py slides`"):
        export_slides(ROOT, tmp_path)


def test_a_picture_in_the_text_is_inside_the_file(tmp_path):
    need("reveal.js", importlib.util.find_spec("sphinx_revealjs") is not None)
    images = tmp_path / "notebooks" / "images"
    images.mkdir(parents=True)
    (images / "00_x.svg").write_text(schematic("00_start_here"))
    notebook = notebook_of("# 00 · X\n\n![The loop.](images/00_x.svg)\n\nText.")
    nbformat.write(notebook, tmp_path / "notebooks" / "00_x.ipynb")
    (file,) = export_slides(tmp_path, tmp_path / "slides")
    page = Page(file)
    assert page.pictures == ["The loop."]
    (picture,) = page.links
    assert base64.b64decode(picture.removeprefix("data:image/svg+xml;base64,")).decode() == schematic("00_start_here")


@pytest.fixture
def two_lessons(tmp_path):
    """A course of two lessons, and a folder for what is made of it."""
    need("reveal.js", importlib.util.find_spec("sphinx_revealjs") is not None)
    (tmp_path / "notebooks").mkdir()
    for name, title in (("03_x", "03 · R&D"), ("15_y", "15 · Your own `generate()`")):
        nbformat.write(notebook_of(f"# {title}\n\nText."), tmp_path / "notebooks" / f"{name}.ipynb")
    (tmp_path / "public").mkdir()
    return tmp_path


def test_the_list_has_every_lesson_that_is_in_the_folder(two_lessons):
    slides = two_lessons / "slides"
    export_slides(two_lessons, slides, ["15"])
    (slides / "14_of_an_earlier_course.slides.html").write_text("")
    assert Page(slides / "index.html").links == ["15_y.slides.html"]
    export_slides(two_lessons, slides, ["03"])
    assert Page(slides / "index.html").links == ["03_x.slides.html", "15_y.slides.html"]
    html = (slides / "index.html").read_text(encoding="utf-8")
    assert ">03 · R&amp;D<" in html
    assert ">15 · Your own generate()<" in html
    assert not re.search(r"<link|<script|@import|url\(", html)


FRONT = ROOT / "website" / "index.md"


def test_a_website_links_its_slides_once_they_are_there(two_lessons):
    front, slides = two_lessons / "public" / "index.html", two_lessons / "public" / "slides"
    front.write_bytes(FRONT.read_bytes())  # Sphinx leaves this part of it as it is
    assert "slides/index.html" not in Page(front).links
    for _ in range(2):  # the second time, the link is there
        export_slides(two_lessons, slides)
        assert Page(front).links == ["slides/index.html"]
        assert Page(slides / "index.html").links[-1] == "../index.html"
    assert list(broken_links(two_lessons / "public")) == []


def test_what_is_around_the_folder_and_is_no_website_stays_as_it_was(two_lessons):
    front = two_lessons / "public" / "index.html"
    for content in (FRONT.read_bytes(), b"\xff\xfe not in UTF-8"):
        front.write_bytes(content)
        export_slides(two_lessons, two_lessons / "public" / "other")  # the website would link `slides`
        assert front.read_bytes() == content
        assert "../index.html" not in Page(two_lessons / "public/other/index.html").links


def test_an_index_of_something_else_is_left_alone(two_lessons):
    front = two_lessons / "public" / "index.html"
    front.write_bytes(b"<h1>My website</h1> \xff")
    with pytest.raises(
        SlidesError, match=r"index\.html belongs to something else: name another folder, such as .*slides"
    ):
        export_slides(two_lessons, front.parent)
    assert [file.name for file in front.parent.iterdir()] == ["index.html"]


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda file: file.stem)
def test_each_file_is_complete(lesson, tmp_path):
    need("reveal.js", importlib.util.find_spec("sphinx_revealjs") is not None)
    (file,) = export_slides(ROOT, tmp_path, [lesson.stem[:2]])
    assert sorted(made.name for made in tmp_path.iterdir()) == [file.name, "index.html"]
    assert file.name == f"{lesson.stem}.slides.html"
    page = Page(file)
    assert page.pictures == stored_pictures(nbformat.read(lesson, as_version=4))
    assert all(
        link.startswith(("data:image/png;base64,", "data:image/svg+xml;base64,", "https://")) for link in page.links
    )
    html = file.read_text(encoding="utf-8")
    assert not re.search(r"<link|<script[^>]*\ssrc", html)
    assert not re.search(r"@import|url\((?!data:)", "".join(re.findall(r"<style>.+?</style>", html, re.S)))
    assert "Permission is hereby granted, free of charge" in html  # the licence of reveal.js
    assert "quiz_question" not in html  # its code has the answers
