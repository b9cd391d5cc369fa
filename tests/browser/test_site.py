"""The whole website: links lead somewhere, pictures keep their words, widgets answer, no page asks the network."""

import ast
import functools
import http.server
import importlib.resources
import importlib.util
import json
import re
import threading
import time
import tomllib
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import nbformat
import pytest

from course_utils.machine import ROOT
from course_utils.publishing.api_pages import PACKAGE, ROOMS, Library, room_of
from course_utils.publishing.live.record import kept
from course_utils.publishing.site import PAGES, build_site
from tests.browser.conftest import guarded_page, work_of
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
    assert "<!-- SLIDES <p>" in (website / "index.html").read_text(encoding="utf-8")  # `course slides` opens this link


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


FRONT = ROOT / "notebooks" / "index.ipynb"  # what is kept under its name is the front page's
ALIVE = [file for file in NOTEBOOKS if file != FRONT and kept(ROOT, file.relative_to(ROOT).with_suffix("").as_posix())]
MOST_SITE_BYTES, MOST_FIRST_BYTES, FIRST_ANSWER = 25_000_000, 1_500_000, 1000
# A control that the page itself answers, of the widget at a place, and the key for it; what is grey needs the model.
PRESS = """
([place, which]) => {
  const keys = { range: "ArrowLeft ArrowRight", radio: "Space", "select-one": "ArrowDown ArrowUp" };
  const controls = "input[type=range], input[type=radio]:not(:checked), select, button, summary";
  const widget = document.querySelectorAll(".live")[place].querySelector(".course-widget");
  const seen = [...widget.querySelectorAll(controls)].filter((one) => one.checkVisibility());
  const usable = seen.filter((one) => !one.matches(":disabled"));
  const control = usable[which];
  control.focus();
  return keys[control.type] ?? "Enter";
}
"""
STATE = """
(place) => {
  const widget = document.querySelectorAll(".live")[place].querySelector(".course-widget");
  const values = [...widget.querySelectorAll("input, select")].map((one) => [one.value, one.checked]);
  return JSON.stringify([widget.dataset.drawn, values, [...widget.querySelectorAll("details")].map((one) => one.open)]);
}
"""
AWAKE = "(place) => document.querySelectorAll('.live')[place].querySelector('.course-widget')"
PICTURE = "document.querySelectorAll('.live')[place].parentElement.previousElementSibling"
SCROLL = f"(place) => {PICTURE}.scrollIntoView()"


@pytest.fixture(scope="module")
def served(website):
    """The address of a plain server of files over the website."""
    quiet = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(quiet, directory=website)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def visit(browser):
    """Open a page whose complaints and requests to elsewhere fail the test."""
    outside, problems = [], []
    page = guarded_page(browser, outside, viewport={"width": 1300, "height": 900})
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    yield page
    assert (outside, problems) == ([], [])
    page.context.close()


def answers(page, place):
    """Press keys on the first controls of a widget until it draws; say whether one did it."""
    before = page.evaluate(STATE, place)
    for which in range(8):
        for key in page.evaluate(PRESS, [place, which]).split():
            page.keyboard.press(key)
            page.evaluate("() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
            if page.evaluate(STATE, place) != before:
                return True
    return False


@pytest.mark.browser
@pytest.mark.parametrize("way", ["folder", "server"])
@pytest.mark.parametrize("notebook", ALIVE, ids=lambda file: file.stem)
def test_every_widget_answers_a_key(notebook, way, website, served, visit):
    file = page_of(notebook, website)
    asked = []
    visit.on("request", lambda request: asked.append(request.url))
    visit.goto(file.as_uri() if way == "folder" else f"{served}/{file.relative_to(website).as_posix()}")
    for place in range(visit.locator(".live").count()):
        visit.evaluate(SCROLL, place)
        visit.wait_for_function(AWAKE, arg=place)
        assert answers(visit, place), place
    assert visit.locator(".live").count() == len(kept(ROOT, notebook.relative_to(ROOT).with_suffix("").as_posix()))
    home = website.as_uri() if way == "folder" else served
    assert [url for url in asked if not url.startswith((home, "data:", "blob:"))] == []


SIZES = pytest.mark.parametrize("size", [(1300, 900), (390, 844)], ids=["desktop", "phone"])


@pytest.mark.browser
@SIZES
def test_the_first_screen_says_what_this_is_and_moves(size, website, visit):
    width, height = size
    visit.set_viewport_size({"width": width, "height": height})
    visit.goto((website / "index.html").as_uri())
    visit.wait_for_function(AWAKE, arg=0)
    for part in ("h1", "article p", ".live [data-filter=temperature] input", ".live .bar"):
        box = visit.locator(part).first.bounding_box()
        assert box["y"] + box["height"] < height, part
        assert box["x"] + box["width"] < width, part
    value = "document.querySelector('.live [data-filter=temperature] input').value"
    visit.wait_for_function(f"(before) => {value} !== before", arg=visit.evaluate(value))
    assert visit.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.browser
@SIZES
def test_a_link_to_a_section_shows_it_when_the_widgets_above_it_are_awake(size, website, visit):
    visit.set_viewport_size(dict(zip(("width", "height"), size, strict=True)))
    visit.goto((website / "notebooks" / "11_sampling.html").as_uri() + "#top-k")
    visit.wait_for_function("() => document.querySelectorAll('.has-live').length >= 2")
    visit.evaluate("() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
    assert 0 <= visit.evaluate("document.getElementById('top-k').getBoundingClientRect().top") < 120


@pytest.mark.browser
def test_nothing_is_large_or_late(website, served, visit, request):
    sizes = {"site": sum(file.stat().st_size for file in website.rglob("*") if file.is_file())}
    assert sizes["site"] <= MOST_SITE_BYTES
    measured = {"bytes": sizes["site"], "first_load": {}}
    work = work_of(visit)
    for file in [website / "index.html", *(page_of(notebook, website) for notebook in ALIVE)]:
        name, loaded = file.relative_to(website).with_suffix("").as_posix(), []
        hear = lambda response, loaded=loaded: loaded.append(len(response.body()))  # noqa: E731
        visit.on("response", hear)
        start = time.monotonic()
        visit.goto(f"{served}/{name}.html")
        opened = time.monotonic()
        if visit.locator(".live").count():
            if name != "index":
                visit.evaluate(SCROLL, 0)
            visit.wait_for_function(AWAKE, arg=0)
            assert answers(visit, 0)
        awake = time.monotonic()
        visit.remove_listener("response", hear)
        took = work()  # with each new document the browser counts from zero
        measured["first_load"][name] = {
            "bytes": sum(loaded), "opened_ms": round(1000 * (opened - start)),
            "awake_ms": round(1000 * (awake - opened)), "work_ms": round(took),
        }  # fmt: skip
        assert sum(loaded) <= MOST_FIRST_BYTES, name
        assert 0 < took < 3 * FIRST_ANSWER, name
    if request.config.getoption("--record"):
        (ROOT / "benchmarks" / "site.json").write_text(json.dumps(measured, indent=1) + "\n")


@pytest.mark.browser
def test_a_prediction_is_kept_in_this_browser_and_a_quiz_says_why(website, visit):
    visit.goto((website / "notebooks" / "11_sampling.html").as_uri())
    visit.evaluate(SCROLL, 0)
    measured = visit.locator("details:has-text('What was measured')").first
    assert measured.get_attribute("open") is None
    visit.locator(".live").first.get_by_label("20 % to 42 %").check()
    visit.locator(".live").first.get_by_role("button").press("Enter")
    said = "Measured: 4.7%. You predicted “20 % to 42 %”: ✗ not this time."
    visit.wait_for_selector(f".live >> text={said}")
    assert measured.get_attribute("open") is not None
    visit.reload()
    visit.evaluate(SCROLL, 0)
    visit.wait_for_selector(f".live >> text={said}")
    assert visit.locator(".live").first.get_by_role("button").is_disabled()

    last = visit.locator(".live").count() - 1
    visit.evaluate(SCROLL, last)
    quiz = visit.locator(".live").nth(last)
    for option, begin in (("Temperature and top-k", "✓ Right"), ("Temperature and min-p", "✗ Not quite")):
        quiz.get_by_label(option).check()
        quiz.get_by_role("button").click()
        quiz.locator(f"text={begin}").wait_for()


@pytest.mark.browser
def test_without_scripts_and_on_paper_the_pictures_are_there(website, browser, visit):
    file = page_of(ROOT / "notebooks" / "11_sampling.ipynb", website)
    context = browser.new_context(java_script_enabled=False)
    still = context.new_page()
    still.goto(file.as_uri())
    lab = still.get_by_alt_text(re.compile("^Sampling in")).first
    assert lab.is_visible()
    context.close()
    visit.goto(file.as_uri())
    place = next(i for i in range(9) if visit.evaluate(f"(place) => {PICTURE}.matches('img')", i))
    visit.evaluate(SCROLL, place)
    visit.wait_for_function(AWAKE, arg=place)
    picture = visit.locator(".live").nth(place).locator("xpath=../preceding-sibling::*[1]")
    assert not picture.is_visible()
    visit.emulate_media(media="print")
    assert picture.is_visible()
    assert not visit.locator(".live").nth(place).is_visible()


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


# One page of each kind, and the lessons whose widgets have the most colours.
JUDGED = [
    "index",
    "notebooks/00_start_here",
    "notebooks/08_attention",
    "notebooks/11_sampling",
    "exercises/11_sampling",
]
VIOLATIONS = """
async () => {
  const { violations } = await axe.run(document, { resultTypes: ["violations"], preload: false });
  const bad = violations.filter(({ impact }) => ["serious", "critical"].includes(impact));
  return bad.flatMap(({ id, nodes }) => nodes.map(({ target, html }) => `${id}: ${target}: ${html.slice(0, 200)}`));
}
"""


@pytest.mark.browser
@pytest.mark.parametrize("name", JUDGED)
def test_axe_finds_no_serious_fault_in_light_and_dark(name, website, visit):
    need("axe-core", importlib.util.find_spec("axe_playwright_python") is not None)
    visit.emulate_media(reduced_motion="reduce")  # what fades in has no colour yet
    visit.goto((website / f"{name}.html").as_uri())
    for place in range(visit.locator(".live").count()):
        visit.locator(".live").nth(place).evaluate("(place) => place.scrollIntoView()")
        visit.wait_for_function(AWAKE, arg=place)
    visit.evaluate(importlib.resources.files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8"))
    for scheme in ("light", "dark"):
        visit.emulate_media(color_scheme=scheme)
        if visit.locator(".live").count():  # what follows the theme has heard of it
            light = str(scheme == "light").lower()
            visit.wait_for_function("(light) => document.body.dataset.jpThemeLight === light", arg=light)
            visit.evaluate("() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
        assert visit.evaluate(VIOLATIONS) == [], scheme


@pytest.mark.browser
def test_axe_would_find_a_fault(visit):
    need("axe-core", importlib.util.find_spec("axe_playwright_python") is not None)
    visit.set_content("<html lang=en><title>A</title><main><h1>A</h1><p style='color: #999'>Pale.</p><input></main>")
    visit.evaluate(importlib.resources.files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8"))
    assert [found.partition(":")[0] for found in visit.evaluate(VIOLATIONS)] == ["color-contrast", "label"]
