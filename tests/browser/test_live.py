"""Pages without a kernel when something goes wrong: a file, the browser's store, a second tab, a slow server, paper."""

import json
import re

import pytest
from playwright.sync_api import expect

from course_utils.learner import Progress, predict, quiz_question
from course_utils.publishing.live import assets
from course_utils.publishing.live.record import recorded
from course_utils.widgets import MemoryCalculator, SamplingLab
from tests.browser.conftest import guarded_page

pytestmark = pytest.mark.browser
CRUEL = "</script><!--<script> 👩\u200d👩\u200d👧 “ಠ”"
KEPT = "llms-by-hand/small/prediction"


@pytest.fixture(scope="module")
def widgets(random_trace, tmp_path_factory):
    """Two labs of one trace, a question of each kind, and a calculator."""
    progress = Progress(tmp_path_factory.mktemp("progress") / "progress.json")
    return {
        "small/memory": MemoryCalculator(batch=3),
        "small/lab": SamplingLab(random_trace),
        "small/second": SamplingLab(random_trace, temperature=0.5),
        "small/prediction": predict("live", "Which?", ["this", CRUEL], progress),
        "small/quiz": quiz_question("live-quiz", "Right?", [("yes", True, CRUEL), ("no", False, "No.")], progress),
    }


@pytest.fixture(scope="module")
def folder(widgets, tmp_path_factory):
    """A page of them with their files beside it, each widget three screens below the one before."""
    folder = tmp_path_factory.mktemp("live")
    files = assets.live_files({key: recorded(widget) for key, widget in widgets.items()})
    for name, text in {**files, "live": assets.script()}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.js").write_text(text, encoding="utf-8")
    shown = ""
    for key in widgets:
        name = key.partition("/")[2]
        shown += f'<section id="{name}"><p class="picture">What {name} shows.</p>{assets.fragment(key)}</section>'
    style = f"<style>section {{ min-height: 300vh }}{assets.style()}</style>"
    head = f'<meta charset="utf-8">{style}<script src="live.js"></script>'
    (folder / "page.html").write_text(f"<!DOCTYPE html>{head}{shown}<p id=end>The end.</p>", encoding="utf-8")
    return folder


@pytest.fixture
def page(browser):
    outside = []
    one = guarded_page(browser, outside, viewport={"width": 1000, "height": 500})
    one.problems = []
    one.on("pageerror", lambda error: one.problems.append(str(error)))
    yield one
    assert outside == []
    one.context.close()


def opened(page, folder, wake=()):
    """Open the page of `folder`; scroll to the widgets `wake` and wait for them."""
    page.goto((folder / "page.html").as_uri())
    for key in wake:
        place_of(page, key).evaluate("(place) => place.scrollIntoView()")
        place_of(page, key).locator(".course-widget, p").first.wait_for()


def place_of(page, key):
    return page.locator(f"[data-live='{key}']")


def picture_of(page, key):
    return page.locator("section", has=place_of(page, key)).locator("p.picture")


BREAK = {"missing": lambda text: None, "truncated": lambda text: text[: len(text) // 2], "empty": lambda text: ""}
# A file, and the widgets that need it. Half of a text is what is left when a connection breaks.
NEEDED = {
    "states/small/memory": ["small/memory"],
    "widgets/memory_calculator": ["small/memory"],
    "bytes/": ["small/lab", "small/second"],
}


@pytest.mark.parametrize("how", BREAK)
@pytest.mark.parametrize("file", NEEDED)
def test_a_broken_file_is_one_sentence_in_its_place_and_hurts_nobody_else(page, folder, widgets, file, how):
    broken, hurt = [], NEEDED[file]

    def answer(route):
        broken.append(route.request.url)
        text = BREAK[how](next(folder.glob(f"{file}*.js")).read_text())
        route.abort() if text is None else route.fulfill(body=text, content_type="text/javascript")

    page.route(f"**/{file}*", answer)
    opened(page, folder, widgets)
    assert broken
    for key in widgets:
        at, picture = place_of(page, key), picture_of(page, key)
        assert at.locator(".course-widget").count() == (key not in hurt)
        sentences = at.locator("> p").all_text_contents()
        assert len(sentences) == (key in hurt)
        if key in hurt:
            said = r"This widget couldn't be started \(\S+ is (missing|damaged)\)\. What is above doesn't move\."
            assert re.fullmatch(said, sentences[0])
            assert picture.is_visible()
        else:
            assert not picture.is_visible()


def test_what_did_not_arrive_is_asked_for_again_by_the_next(page, folder):
    """Both labs need the same bytes; the network is back when the second one wakes."""
    page.route("**/bytes/*", lambda route: route.abort(), times=1)
    opened(page, folder, ["small/lab"])
    expect(place_of(page, "small/lab").locator("> p")).to_contain_text("is missing")
    second = place_of(page, "small/second")
    second.evaluate("(place) => place.scrollIntoView()")
    second.locator(".course-widget").wait_for()


FORBIDDEN = (
    "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no', 'SecurityError'); } })"
)
FULL = "Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError'); }"
GARBAGE = ["", "{", "[9]", "null", "constructor", "__proto__", '"this"', "[1", CRUEL]


@pytest.mark.parametrize(
    "store", [FORBIDDEN, FULL, *(f"localStorage['{KEPT}'] = {json.dumps(text)}" for text in GARBAGE)]
)
def test_whatever_the_browser_keeps_the_question_can_be_answered(page, folder, store):
    page.add_init_script(store)
    opened(page, folder, ["small/prediction"])
    question = place_of(page, "small/prediction")
    assert question.get_by_role("radio", checked=True).count() == 0
    question.get_by_label(CRUEL).check()
    question.get_by_role("button").click()
    expect(question.get_by_role("button")).to_be_disabled()
    assert page.problems == []


def test_a_prediction_in_one_tab_is_the_prediction_in_the_other(page, folder):
    other = page.context.new_page()
    for tab in (page, other):
        opened(tab, folder, ["small/prediction"])
    place_of(page, "small/prediction").get_by_label("this").check()
    place_of(page, "small/prediction").get_by_role("button").click()
    question = place_of(other, "small/prediction")
    expect(question.get_by_role("button")).to_be_disabled()
    expect(question.get_by_label("this")).to_be_checked()


def test_two_widgets_of_one_trace_share_its_file_and_nothing_else(page, folder):
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    opened(page, folder, ["small/lab", "small/second"])
    assert len(asked) == len(set(asked))
    slider = place_of(page, "small/lab").get_by_role("slider").first
    second = "() => courseLive.models.get(document.querySelector(\"[data-live='small/second']\")).get('temperature')"
    slider.press("ArrowRight")
    assert page.evaluate(second) == 0.5


def test_nothing_is_loaded_before_it_is_near_and_the_picture_stays_until_then(page, folder):
    """On a slow server, and for someone who jumps to the end."""
    held, asked = [], []
    page.on("request", lambda request: asked.append(request.url.rpartition("/")[2]))
    page.route("**/states/small/quiz.js", lambda route: held.append(route))
    with page.expect_request("**/states/small/quiz.js"):
        page.goto((folder / "page.html").as_uri() + "#quiz")
    assert picture_of(page, "small/quiz").is_visible()
    assert place_of(page, "small/quiz").text_content() == ""
    held[0].continue_()
    place_of(page, "small/quiz").locator(".course-widget").wait_for()
    expect(picture_of(page, "small/quiz")).to_be_hidden()
    assert "memory.js" not in asked
    assert page.locator("#quiz").evaluate("(quiz) => Math.abs(quiz.getBoundingClientRect().top) <= 1")


def test_on_paper_are_the_pictures_whether_widgets_are_awake_asleep_or_broken(page, folder, widgets):
    page.route("**/widgets/question.js", lambda route: route.abort())
    opened(page, folder, ["small/prediction"])
    page.emulate_media(media="print")
    for key in widgets:
        assert picture_of(page, key).is_visible()
        assert not place_of(page, key).is_visible()


def test_what_a_text_holds_ends_no_script_and_reaches_the_page_whole(browser, page, widgets, tmp_path):
    """Also in one file with everything."""
    file = tmp_path / "whole.html"
    file.write_text(f'<meta charset="utf-8">{assets.live_html(widgets)}<p id=end>The end.</p>', encoding="utf-8")
    page.goto(file.as_uri())
    quiz = place_of(page, "small/quiz")
    quiz.evaluate("(place) => place.scrollIntoView()")
    quiz.get_by_label("yes").check()
    quiz.get_by_role("button").click()
    expect(quiz).to_contain_text(CRUEL)
    assert page.locator("#end").is_visible()
    assert page.problems == []
