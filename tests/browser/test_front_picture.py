"""The first picture of README and website: what it shows is what a reader needs to understand it alone."""

import io
import re

import pytest
from PIL import Image

from course_utils.machine import ROOT
from course_utils.models import load_causal_lm
from course_utils.publishing.live.assets import live_html
from course_utils.publishing.live.record import keep, kept, recorded
from course_utils.traces import record_next_token
from course_utils.widgets import SamplingLab
from tests.browser.conftest import guarded_page

pytestmark = pytest.mark.browser

# For each column from the left: the width of every bar and the number beside it.
BARS = """
() => [...document.querySelectorAll(".picture rect.bar")].map((bar) => {
  const number = bar.nextElementSibling.textContent;
  return [Math.round(bar.x.baseVal.value), bar.width.baseVal.value, Number(number)];
})
"""


# What moves in the picture of README: a slider, and how often it's pressed where.
MOVES = [("temperature", "ArrowLeft", 8), ("temperature", "ArrowRight", 14), ("temperature", "ArrowLeft", 9)]
MOVES += [("top_p", "ArrowLeft", 8), ("top_p", "ArrowRight", 4)]
MOST_BYTES = 1_500_000


@pytest.fixture(scope="module")
def lab():
    trace = record_next_token(load_causal_lm(), "She opened the door and saw a")
    return SamplingLab(trace, temperature=0.7, top_p=0.8, order=["temperature", "top_p", "top_k", "min_p"])


@pytest.fixture(scope="module")
def page(browser, outside_requests, lab):
    page = guarded_page(browser, outside_requests, viewport={"width": 1000, "height": 900})
    page.set_content(f"<!DOCTYPE html><body>{live_html({'sampling-lab': lab})}")
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


def test_the_pictures_of_readme_and_website(page, lab, record, outside_requests):
    if record("SamplingLab", {}):
        root = page.locator(".sampling-lab")
        root.screenshot(path=ROOT / "docs" / "sampling-lab.png")
        save_animation(ROOT / "docs" / "sampling-lab.gif", frames(page, root))
        keep(ROOT, "front", {"sampling-lab": recorded(lab)})
    for file in ("README.md", "website/index.md"):
        alt = re.search(r"!\[([^\]]+)\]\((?:docs/)?sampling-lab\.(?:png|gif)\)", (ROOT / file).read_text())[1]
        assert "She opened the door and saw a" in re.sub(r"\s+", " ", alt)
    assert outside_requests == []


def test_the_front_page_has_this_widget(lab):
    now, stored = recorded(lab), kept(ROOT, "front")["sampling-lab"]
    assert stored["text"] == now["text"]
    assert stored["state"].keys() == now["state"].keys()


def test_the_animation_moves_and_is_small():
    file = ROOT / "docs" / "sampling-lab.gif"
    assert file.stat().st_size <= MOST_BYTES
    with Image.open(file) as picture:
        assert picture.n_frames > 20


def frames(page, root):
    """A picture after every key."""
    seen = [root.screenshot()]
    for name, key, times in MOVES:
        slider = root.locator(f".control:has(label:text-is('{name}')) input[type=range]")
        slider.focus()
        for _ in range(times):
            page.keyboard.press(key)
            page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
            seen.append(root.screenshot())
    return seen


def save_animation(file, pictures):
    """All frames in the colours of one, so that what stays the same costs nothing."""
    images = [Image.open(io.BytesIO(picture)).convert("RGB") for picture in pictures]
    images = [image.resize((image.width * 4 // 5, image.height * 4 // 5), Image.LANCZOS) for image in images]
    palette = images[0].quantize(64)
    first, *others = (image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images)
    first.save(file, save_all=True, append_images=others, duration=140, loop=0, optimize=True)
