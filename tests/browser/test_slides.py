"""Slides in a browser: keys move them, what is long scrolls, a prediction comes before its answer."""

import importlib.util

import pytest
from playwright.sync_api import expect

from course_utils.machine import ROOT
from course_utils.publishing.slides import export_slides
from tests.browser.conftest import guarded_page
from tests.conftest import need

pytestmark = pytest.mark.browser
PLACE = """
() => {
  const slide = Reveal.getCurrentSlide();
  const { h, v } = Reveal.getIndices();
  return { h, v, top: slide.scrollTop, height: slide.scrollHeight, seen: slide.clientHeight };
}
"""
# Every slide is shown once; what is wider than the screen would be cut off.
CUT_OFF = """
() => Reveal.getSlides().filter((slide) => {
  const { h, v } = Reveal.getIndices(slide);
  Reveal.slide(h, v);
  slide.querySelectorAll(".fragment").forEach((part) => part.classList.add("visible"));
  return slide.scrollWidth > slide.clientWidth || getComputedStyle(slide).overflowY !== "auto";
}).length
"""
# It comes with its picture, or its question: nobody scrolls to it before it wakes.
COME = """
(place) => {
  const { h, v } = Reveal.getIndices(document.querySelectorAll(".live")[place].closest("section"));
  Reveal.slide(h, v);
}
"""
AWAKE = "(place) => document.querySelectorAll('.live')[place].querySelector('.course-widget')"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    need("reveal.js", importlib.util.find_spec("sphinx_revealjs") is not None)
    return {file.name[:2]: file for file in export_slides(ROOT, tmp_path_factory.mktemp("slides"), ["11", "10"])}


@pytest.fixture
def opened(browser, files):
    outside, problems = [], []
    page = guarded_page(browser, outside, viewport={"width": 1280, "height": 720})
    page.on("pageerror", lambda error: problems.append(str(error)))

    def open_slides(lesson, place=""):
        page.goto(files[lesson].as_uri() + place)
        page.wait_for_function("() => window.Reveal?.isReady()")
        return page

    yield open_slides
    assert (outside, problems) == ([], [])
    page.context.close()


def press(page, key):
    page.keyboard.press(key)
    return page.evaluate(PLACE)


def test_the_list_leads_to_the_slides_by_keyboard(browser, files):
    outside = []
    page = guarded_page(browser, outside, viewport={"width": 390, "height": 844}, color_scheme="dark")
    page.goto((files["11"].parent / "index.html").as_uri())
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(19, 20, 22)"
    assert page.evaluate("document.body.scrollWidth <= innerWidth")
    assert page.locator("li").all_inner_texts() == ["10 · Prefill and decode", "11 · Sampling"]
    page.set_viewport_size({"width": 1280, "height": 720})
    for key in ("Tab", "Tab", "Enter"):
        page.keyboard.press(key)
    page.wait_for_function("() => window.Reveal?.isReady()")
    assert page.title() == "11 · Sampling"
    # The keys that the list names.
    page.keyboard.press("Escape")
    assert page.evaluate("Reveal.isOverview()")
    page.keyboard.press("Escape")
    page.keyboard.press("f")
    page.wait_for_function("() => document.fullscreenElement")
    assert outside == []
    page.context.close()


def test_keys_move_the_slides(opened):
    page = opened("11")
    places = [press(page, key) for key in ("ArrowRight", "Space", "ArrowRight", "PageDown", "PageUp", "ArrowLeft")]
    assert [place["h"] for place in places] == [1, 1, 2, 2, 2, 1]
    assert [place["v"] for place in places[:5]] == [0, 1, 0, 1, 0]
    assert press(page, "End")["h"] == page.evaluate("Reveal.getTotalSlides && Reveal.getHorizontalSlides().length - 1")
    assert press(page, "Home")["h"] == 0


def test_space_goes_through_a_whole_lesson(opened):
    """Every slide is reached, and left only when its end was on the screen."""
    page = opened("10")
    slides = page.evaluate("Reveal.getTotalSlides()")
    before, seen = page.evaluate(PLACE), set()
    for _ in range(6 * slides):
        seen.add((before["h"], before["v"]))
        place = press(page, "Space")
        if (place["h"], place["v"]) != (before["h"], before["v"]):
            assert before["top"] + before["seen"] > before["height"] - 61
        before = place
        if page.evaluate("Reveal.isLastSlide()") and before["top"] + before["seen"] > before["height"] - 61:
            break
    assert len(seen | {(before["h"], before["v"])}) == slides


@pytest.mark.parametrize("lesson", ["11", "10"])
def test_nothing_is_cut_off(opened, lesson):
    page = opened(lesson)
    assert page.evaluate(CUT_OFF) == 0
    drawn = page.evaluate("() => Promise.all([...document.images].map((image) => image.decode()))")
    assert len(drawn) >= 3


def test_the_room_predicts_before_it_sees_the_answer(opened):
    page = opened("11")
    question = page.locator("section", has_text="The nucleus of 0.9 has 546 tokens here.").last
    answer = question.locator("text=Measured: 32 tokens")
    page.evaluate(
        "(slide) => { const { h, v } = Reveal.getIndices(slide); Reveal.slide(h, v); }", question.element_handle()
    )
    assert question.is_visible()
    assert not answer.is_visible()
    page.keyboard.press("Space")
    expect(answer).to_be_visible()


def test_every_widget_wakes_with_its_slide_and_has_its_keys_until_escape(opened):
    page = opened("10")
    places = page.locator(".live")
    assert places.count() >= 3
    for place in range(places.count()):
        page.evaluate(COME, place)
        page.wait_for_function(AWAKE, arg=place, timeout=60_000)
    page.evaluate(COME, 2)
    slider = places.nth(2).locator("input[type=range]").first
    slider.focus()
    before, value = page.evaluate(PLACE), slider.input_value()
    assert press(page, "ArrowLeft")["h"] == press(page, "PageDown")["h"] == before["h"]
    assert slider.input_value() != value
    page.keyboard.press("Escape")
    assert not page.evaluate("Reveal.isOverview()")
    assert press(page, "ArrowRight")["h"] == before["h"] + 1
