"""A press without an answer yet: what was wrong with the press before it isn't shown as if it were this one's."""

import pytest
from playwright.sync_api import expect

from course_utils.widgets import SpeedLab
from course_utils.widgets.question import QuestionWidget
from tests.browser.conftest import render_alone
from tests.browser.test_first_paint import WIDGETS
from tests.test_speed_lab import SIZES, toy_points

pytestmark = pytest.mark.browser

OPEN = {name: lambda make=make: make(20) for name, make in WIDGETS.items()}
OPEN |= {
    "SpeedLab": lambda: SpeedLab(recorded=toy_points(SIZES)),
    "QuestionWidget": lambda: QuestionWidget(question="Which?", options=["this", "that"]),
}
GONE = "The kernel that made this is gone: run this cell again."
BUSY = "No answer yet: the kernel is busy. If you have restarted it, run this cell again."
# Returns what the note about the kernel says then.
ANSWER = """() => {
  model.set("problem", "a new fault");
  model.set("answered", 2);
  return document.querySelector(".kernel").textContent;
}"""


@pytest.mark.parametrize(("status", "note"), [("idle", GONE), ("busy", BUSY)])
@pytest.mark.parametrize("name", OPEN)
def test_the_problem_of_the_press_before_is_not_shown(browser, outside_requests, name, status, note):
    widget = OPEN[name]()
    widget.unobserve(widget._reply, "asked")
    widget.asked, widget.answered, widget.problem = [2], 1, "an old fault"
    page, _ = render_alone(browser, outside_requests, widget, status)
    expect(page.locator(".kernel")).to_have_text(note)
    expect(page.locator(".course-widget")).not_to_contain_text("an old fault")
    # Read at once: a layer that the page asked for may be late, too, and then the kernel is rightly called busy again.
    assert page.evaluate(ANSWER) == ""
    expect(page.locator(".course-widget")).to_contain_text("a new fault")
    page.context.close()
