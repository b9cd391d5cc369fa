"""The whole website: links lead somewhere, pictures keep their words, and no page asks the network for anything."""

import importlib.util
import re
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import nbformat
import pytest

from course_utils.machine import ROOT
from course_utils.publishing.site import PAGES, build_site
from tests.browser.conftest import guarded_page
from tests.conftest import need

NOTEBOOKS = sorted(file for folder in PAGES for file in (ROOT / folder).glob("*.ipynb"))
LESSONS = [file for file in NOTEBOOKS if file.parent.name == "notebooks" and file.stem[:2].isdecimal()]


class Page(HTMLParser):
    """The links, pictures and places of one page."""

    def __init__(self, file):
        super().__init__()
        self.links, self.pictures, self.places = [], [], set()
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.places.add(attributes.get("id"))
        self.links += [attributes[name] for name in ("href", "src") if attributes.get(name)]
        if tag == "img":
            alt = attributes.get("alt")
            self.pictures.append(alt and " ".join(alt.split()))


def broken_links(folder):
    """Every link in the pages of `folder` that leads to no file, or to no place in it."""
    pages = {file.resolve(): Page(file) for file in folder.rglob("*.html")}
    for file, page in pages.items():
        for link in page.links:
            address = urlsplit(link)
            if address.scheme or address.netloc:
                continue
            target = (file.parent / unquote(address.path)).resolve() if address.path else file
            there = not address.fragment or target not in pages or unquote(address.fragment) in pages[target].places
            if not target.is_file() or not there:
                yield f"{file.name}: {link}"


def stored_pictures(notebook):
    """The alt texts of a notebook's pictures, in its text and in its outputs, in their order."""
    alts = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            alts += re.findall(r"!\[([^\]]*)\]\(", cell.source)
        outputs = [output for output in cell.get("outputs", []) if "image/png" in output.get("data", {})]
        alts += [output.metadata["image/png"]["alt"] for output in outputs]
    return [" ".join(alt.split()) for alt in alts]


@pytest.fixture(scope="module")
def website(tmp_path_factory):
    need("MyST-NB", importlib.util.find_spec("myst_nb") is not None)
    folder = tmp_path_factory.mktemp("website") / "site"
    build_site(ROOT, folder)
    return folder


def page_of(notebook, website):
    return website / notebook.relative_to(ROOT).with_suffix(".html")


def test_every_notebook_has_a_page_and_every_link_leads_somewhere(website):
    missing = [notebook.name for notebook in NOTEBOOKS if not page_of(notebook, website).is_file()]
    assert missing == []
    assert list(broken_links(website)) == []
    assert not list(website.rglob("*.ipynb"))


def test_a_broken_link_would_be_found(tmp_path):
    (tmp_path / "a.html").write_text('<a href="b.html#here"></a><a href="b.html#gone"></a><img src="c.png">')
    (tmp_path / "b.html").write_text('<p id="here"><a href="https://example.org/x"></a><a href="a.html?q#"></a>')
    assert list(broken_links(tmp_path)) == ["a.html: b.html#gone", "a.html: c.png"]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_every_widget_and_figure_has_its_picture_with_its_words(notebook, website):
    stored = stored_pictures(nbformat.read(notebook, as_version=4))
    assert Page(page_of(notebook, website)).pictures == stored
    assert stored or notebook not in LESSONS


@pytest.mark.browser
def test_no_page_asks_the_network_for_anything(website, browser):
    outside, problems = [], []
    page = guarded_page(browser, outside)
    page.on("pageerror", lambda error: problems.append(f"{page.url}: {error}"))
    for file in [website / "index.html", *(page_of(notebook, website) for notebook in NOTEBOOKS)]:
        page.goto(file.as_uri())
        # Pictures further down are drawn when they come into view; all of them must be there.
        drawn = page.evaluate("() => Promise.all([...document.images].map((image) => image.decode()))")
        assert len(drawn) == len(Page(file).pictures)
        problems += [f"{file.name} is too wide"] if page.evaluate("document.body.scrollWidth > innerWidth") else []
        assert "model not found" not in page.inner_text("article").lower()
    assert (problems, outside) == ([], [])
    page.context.close()


@pytest.mark.browser
def test_a_reader_finds_a_lesson_by_links_and_by_a_word(website, browser):
    outside = []
    page = guarded_page(browser, outside, color_scheme="dark")
    page.goto((website / "index.html").as_uri())
    page.click("article >> text=The index")
    page.click("article >> text=11 · Sampling")
    assert page.inner_text("h1").startswith("11 · Sampling")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert dark != "rgb(255, 255, 255)"
    quiz = page.locator("pre", has_text="quiz_question(").first
    assert quiz.count() == 1
    assert not quiz.is_visible()  # its code has the answers
    page.fill("input[name=q]", "nucleus")
    page.press("input[name=q]", "Enter")
    page.wait_for_selector(".search a:has-text('11 · Sampling')")
    assert outside == []
    page.context.close()
