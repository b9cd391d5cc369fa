"""Widgets without a model, as the website shows them: the purpose on top, every control answers or says why not."""

import pytest

from course_utils.widgets import EmbeddingMap, MaskLab, PipelineXray, RepetitionLab, TokenizerStepper
from tests import test_embedding_map, test_first_sight, test_mask_lab, test_pictures, test_repetition_lab
from tests.browser.conftest import render_alone

pytestmark = pytest.mark.browser

WIDGETS = {
    "explorer": lambda: test_first_sight.prompts(2),
    "stepper": lambda: TokenizerStepper(test_first_sight.toy_tokenizers()),
    "map": lambda: EmbeddingMap(test_embedding_map.random_trace(6)),
    "x-ray": lambda: PipelineXray(test_pictures.toy_pipeline()),
    "masks": lambda: MaskLab(test_mask_lab.toy_masks()),
    "repetition": lambda: RepetitionLab(test_repetition_lab.random_trace(30)),
}
CONTROLS = "input, select, textarea, button"
# What a reader sees: the page's text and pictures, and which controls are on.
SHOWN = """
() => {
  const root = document.querySelector(".course-widget");
  const looks = [...root.querySelectorAll("input, select")].map((one) => [one.checked, one.value]);
  return root.innerText + root.className + JSON.stringify(looks) +
    [...root.querySelectorAll(".picture, .map, .curve, .tree, svg")].map((one) => one.innerHTML).join();
}
"""


@pytest.fixture(params=WIDGETS)
def page(request, browser, outside_requests):
    page, _ = render_alone(browser, outside_requests, WIDGETS[request.param]())
    yield page
    page.context.close()
    assert outside_requests == []


def test_one_sentence_on_top_says_what_it_is_for(page):
    intro = page.locator(".course-widget > :first-child")
    assert intro.get_attribute("class") == "intro"
    assert 30 < len(intro.text_content()) < 200


def test_what_needs_the_model_is_off_and_says_where_it_works(page):
    controls = page.locator(CONTROLS)
    off = [control for control in controls.all() if control.is_disabled()]
    assert 0 < len(off) < controls.count()
    assert "in your own copy" in page.locator(".recorded").text_content()


def test_every_other_control_answers(page):
    for number in range(page.locator(CONTROLS).count()):
        control = page.locator(CONTROLS).nth(number)
        if not control.is_enabled() or not control.is_visible():
            continue
        kind = control.get_attribute("type")
        if kind == "radio" and control.is_checked():
            continue
        if control.text_content() == "Earlier rows":  # there are none before the first
            page.get_by_role("button", name="Later rows").click()
        before = page.evaluate(SHOWN)
        use(page, control, kind)
        if kind == "range" and page.evaluate(SHOWN) == before:
            control.press("Home")  # it was at its end
        page.wait_for_function(f"(before) => ({SHOWN})() !== before", arg=before, timeout=20_000)


def use(page, control, kind):
    if control.evaluate("(one) => one.tagName") == "SELECT":
        control.select_option(index=1)
    elif kind == "range":
        control.press("End")
        page.wait_for_timeout(50)
    elif kind == "text":
        control.fill("3")
        control.press("Enter")
    else:
        control.click()


def test_each_sense_has_its_colour_and_its_shape_on_the_map_and_in_the_legend(browser, outside_requests):
    drift = EmbeddingMap(test_embedding_map.random_trace(6), senses=["river"] * 3 + ["money"] * 3)
    page, _ = render_alone(browser, outside_requests, drift)
    assert page.locator(".legend").text_content().startswith(" river  money  pinned")
    looks = {
        sense: {tuple(look) for look in page.locator(f".map .dot.{sense}").evaluate_all(
            "(dots) => dots.map((dot) => [getComputedStyle(dot).fill, dot.getAttribute('d').includes('a')])"
        )}
        for sense in ("s0", "s1")
    }  # fmt: skip
    assert all(len(one) == 1 for one in looks.values())
    ((blue, round_),), ((orange, square),) = looks.values()
    assert blue != orange
    assert (round_, square) == (True, False)
    assert page.locator(".legend .dot").evaluate_all("(all) => all.map((dot) => getComputedStyle(dot).fill)") == [
        blue, orange,
    ]  # fmt: skip
    page.context.close()
