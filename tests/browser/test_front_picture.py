"""The first picture of README and website: what it shows is what a reader needs to understand it alone."""

import re

import pytest

from course_utils.machine import ROOT
from course_utils.models import load_causal_lm
from course_utils.traces import record_next_token
from course_utils.widgets import SamplingLab
from tests.browser.conftest import render_alone

pytestmark = pytest.mark.browser

# For each column from the left: the width of every bar and the number beside it.
BARS = """
() => [...document.querySelectorAll(".picture rect.bar")].map((bar) => {
  const number = bar.nextElementSibling.textContent;
  return [Math.round(bar.x.baseVal.value), bar.width.baseVal.value, Number(number)];
})
"""


@pytest.fixture(scope="module")
def page(browser, outside_requests):
    trace = record_next_token(load_causal_lm(), "She opened the door and saw a")
    order = ["temperature", "top_p", "top_k", "min_p"]
    page, _ = render_alone(browser, outside_requests, SamplingLab(trace, temperature=0.7, top_p=0.8, order=order))
    page.wait_for_selector(".sampling-lab[data-drawn]")
    yield page
    page.context.close()


def test_the_best_tokens_are_in_view_and_one_is_struck_out(page):
    assert page.locator("text=/^1\\. .?␣young.?$/").count() == 1
    assert page.locator(".picture .killer").first.text_content() == "✗ top_p"


def test_temperature_makes_the_best_bar_longer_on_one_scale(page):
    columns = {}
    for left, width, number in page.evaluate(BARS):
        columns.setdefault(left, []).append((width, number))
    start, cooler, cut, *_ = columns.values()
    assert start[0][1] < cooler[0][1] < cut[0][1]
    scale = [width / number for bars in columns.values() for width, number in bars if number > 0.05]
    assert max(scale) / min(scale) < 1.02  # the numbers are rounded to three digits


def test_the_picture_of_readme_and_website(page, record, outside_requests):
    if record("SamplingLab", {}):
        page.locator(".sampling-lab").screenshot(path=ROOT / "docs" / "sampling-lab.png")
    for file in ("README.md", "website/index.md"):
        alt = re.search(r"!\[([^\]]+)\]\((?:docs/)?sampling-lab\.png\)", (ROOT / file).read_text())[1]
        assert "She opened the door and saw a" in re.sub(r"\s+", " ", alt)
    assert outside_requests == []
