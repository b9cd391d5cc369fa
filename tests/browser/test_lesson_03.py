"""Lesson 03 in JupyterLab: the pipeline x-ray by keyboard, with a text of one's own."""

import pytest

from tests.browser.conftest import key_to_paint, lesson_part, open_and_run, within

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page(browser, lab_server, outside_requests):
    part = lesson_part(lab_server, "03_the_pipeline_opened", r"(?m)^pipeline_xray\(")
    return open_and_run(browser, lab_server, outside_requests, part, "document.querySelector('.xray[data-drawn]')")


def test_every_cell_ran_without_an_error(page):
    assert page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.error']").count() == 0
    (warning,) = page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr']").all()
    assert "No model was supplied, defaulted to " in warning.text_content()
    assert page.get_by_text("Error displaying widget").count() == 0


def test_steps_by_keyboard(page, artifacts):
    xray = page.locator(".xray")
    xray.scroll_into_view_if_needed()
    titles = xray.locator("caption").all_text_contents()
    assert [title.split(" · ")[0] for title in titles] == [
        "what the model reads", "logits", "softmax of the logits", "the answer",
    ]  # fmt: skip
    left = [box["x"] for box in (section.bounding_box() for section in xray.locator("section").all())]
    assert left == sorted(set(left)), "the three steps are side by side"
    xray.locator("input[type=radio]").first.focus()
    page.screenshot(path=artifacts / "lesson-03-preprocess.png")
    for name in ("2 · forward", "3 · postprocess"):
        page.keyboard.press("ArrowRight")
        page.wait_for_function(
            "(name) => document.querySelector('.xray section.current .step').textContent === name", arg=name
        )
    assert xray.locator("section.current .bar").count() == 3
    page.screenshot(path=artifacts / "lesson-03-postprocess.png")


def test_on_a_narrow_page_the_chosen_step_is_open(page):
    xray = page.locator(".xray")
    xray.evaluate("(xray) => (xray.parentElement.style.width = '500px')")
    page.wait_for_selector(".xray.narrow")
    for step in range(3):
        xray.locator("input[type=radio]").nth(step).check()
        assert [body.is_visible() for body in xray.locator(".body").all()] == [step == one for one in range(3)]
    xray.evaluate("(xray) => (xray.parentElement.style.width = '')")
    page.wait_for_selector(".xray:not(.narrow)")


def test_a_negative_logit_points_the_other_way_and_probabilities_go_from_0_to_1(page):
    xray = page.locator(".xray")
    for step in (1, 2):
        for cell in xray.locator("section").nth(step).locator("td.number:has(.bar)").all():
            number = float(cell.text_content().replace("−", "-"))
            place, bar, zero = (cell.locator(part).bounding_box() for part in (".bar-place", ".bar", ".zero"))
            if step == 1:
                assert (bar["x"] + bar["width"] / 2 < zero["x"]) == (number < 0)
            else:
                assert bar["width"] == pytest.approx(number * place["width"], abs=2.5)


def test_steps_are_drawn_at_once(page, record):
    times = key_to_paint(page, ".xray", ["ArrowLeft", "ArrowLeft", "ArrowRight", "ArrowRight"] * 6, 50)
    record("PipelineXray", {"key_to_paint_ms": times})
    within(times, 50)


def test_a_text_of_ones_own_and_a_wrong_one(page):
    xray = page.locator(".xray")
    box = xray.locator("input[type=text]")
    box.fill("A waste of time.")
    box.press("Enter")
    page.wait_for_function("() => document.querySelector('.xray .status').textContent.includes('A waste of time.')")
    assert xray.locator("td").filter(has_text="NEGATIVE").count() == 2
    box.fill(" ")
    xray.get_by_role("button", name="Run").click()
    page.wait_for_selector(".xray .status.problem")
    assert xray.locator(".status").text_content() == "text must have at least one word, got ' '"
    assert "Below is still “\u2068A waste of time.\u2069”" in xray.text_content()
    assert xray.locator(".older .tables").count() == 1
    box.fill("word " * 600)
    xray.get_by_role("button", name="Run").click()
    page.wait_for_function("() => document.querySelector('.xray .status').textContent.includes('at most 512 tokens')")
    xray.get_by_role("button", name="Undo typing").click()
    assert box.input_value() == "A waste of time."


def test_tab_reaches_every_control(page):
    xray = page.locator(".xray")
    xray.locator("input[type=text]").focus()
    names = []
    for _ in range(3):
        page.keyboard.press("Tab")
        names.append(page.evaluate("() => document.activeElement.type || document.activeElement.className"))
    assert names == ["button", "tables", "radio"]


def test_nobody_was_asked_outside(outside_requests):
    assert outside_requests == []
