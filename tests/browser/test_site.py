"""The whole website: links lead somewhere, pictures keep their words, and no page asks the network for anything."""

import ast
import importlib.util
import re
import tomllib
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import nbformat
import pytest

from course_utils.machine import ROOT
from course_utils.publishing.api_pages import PACKAGE, ROOMS, Library, room_of
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


# -------------------------------------------------------------------------------------- the pages about the library


@pytest.fixture(scope="module")
def rooms(website):
    """The page of each room: what it says, and its links and places."""
    files = {room: website / "api" / f"{room}.html" for room in ROOMS}
    return {room: (file.read_text(encoding="utf-8"), Page(file)) for room, file in files.items()}


def entry(text, place):
    """What a page says at `place`, up to the next entry or the next section."""
    return re.split(r'<dl class="py|<section', text.partition(f'id="{place}"')[2], maxsplit=1)[0]


def definitions():
    """Every public function and class of the rooms, with its room and its module."""
    for room in ROOMS:
        for file in sorted((PACKAGE / room).glob("[!_]*.py")):
            for node in ast.parse(file.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith(("_", "check_")):
                    yield room, file.stem, node


def lesson_numbers(node):
    """The lessons that a docstring names, by their two digits."""
    said = re.findall(r"^Lesson: (.*(?:\n.+)*)", ast.get_docstring(node) or "", re.M)
    return re.findall(r"(\d\d) · ", " ".join(said))


def test_every_room_is_documented_or_is_how_the_course_is_made():
    layers = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]["layers"]
    rooms = {room for layer in layers for room in layer.split(" | ")}
    assert rooms - set(ROOMS) == {"cli", "classroom", "publishing", "machine", "files", "errors"}


def test_everything_public_has_an_entry(rooms):
    missing = []
    for room, module, node in definitions():
        given_out, home = f"course_utils.{room}.{node.name}", f"course_utils.{room}.{module}.{node.name}"
        missing += [home] if not {given_out, home} & rooms[room][1].places else []
    assert missing == []
    assert {"course_utils.widgets.SamplingLab", "course_utils.widgets.SamplingLab.describe"} <= rooms["widgets"][
        1
    ].places
    assert "course_utils.models.CATALOGUE" in rooms["models"][1].places  # its room gives it out
    assert "course_utils.experiments.failure_cases.CAPITALS" in rooms["experiments"][1].places  # lessons show it
    assert "course_utils.figures.CourseFigure.set" not in rooms["figures"][1].places  # matplotlib's
    text = rooms["experiments"][0]
    assert "As many again: what was" in entry(text, "course_utils.experiments.failure_cases.MORE_CAPITALS")


def test_every_lesson_that_a_docstring_names_is_a_link(rooms):
    modules = {}
    for room, module, node in definitions():
        modules.setdefault((room, module), []).append(node)
    wrong, named = [], 0
    for (room, module), nodes in modules.items():
        text, page = rooms[room]
        source = ast.parse((PACKAGE / room / f"{module}.py").read_text(encoding="utf-8"))
        said = {f"api-{room}-{module}".replace("_", "-"): source}
        for node in nodes:
            given_out = f"course_utils.{room}.{node.name}"
            said[given_out if given_out in page.places else f"course_utils.{room}.{module}.{node.name}"] = node
        for place, what in said.items():
            linked = set(re.findall(r'href="\.\./notebooks/(\d\d)_', entry(text, place)))
            named += len(lesson_numbers(what))
            wrong += [f"{place}: {number}" for number in lesson_numbers(what) if number not in linked]
    assert wrong == []
    assert named > 100


@pytest.fixture(scope="module")
def library():
    return Library(ROOT)


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda file: file.stem)
def test_a_lesson_and_the_library_link_each_other(lesson, website, rooms, library):
    used = [name for name in library.known.values() if lesson in library.used_in.get(name.path, [])]
    taught = {name.path: name for name in used if room_of(name) != "learner"}
    assert taught
    links = Page(page_of(lesson, website)).links
    for path, name in taught.items():
        assert f"../api/{room_of(name)}.html#{path}" in links, path
        if len(library.used_in[path]) <= 6:
            assert f"../notebooks/{lesson.stem}.html" in entry(rooms[room_of(name)][0], path)


def test_every_room_leads_to_a_lesson_unless_none_is_about_it(rooms):
    leads = re.compile(r"(?:<strong>Lesson</strong>|<em>Used in</em>)[^\n]*\.\./notebooks/")
    assert [room for room, (text, _) in rooms.items() if not leads.search(text)] == ["exercises", "grading"]


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1280])
def test_the_library_is_readable_on_every_screen(website, browser, width):
    outside, wide = [], []
    page = guarded_page(browser, outside, viewport={"width": width, "height": 844})
    for file in sorted((website / "api").glob("*.html")):
        page.goto(file.as_uri())
        wide += [file.name] if page.evaluate("document.body.scrollWidth > innerWidth") else []
    page.goto((website / "api" / "engine.html").as_uri() + "#course_utils.engine.sampling.apply_top_p")
    shown = page.locator("dt:target + dd")
    assert "smallest set of tokens" in shown.inner_text()
    assert ">>> apply_top_p(" in shown.inner_text()
    assert (wide, outside) == ([], [])
    page.context.close()
