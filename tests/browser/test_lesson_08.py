"""Lesson 08 in JupyterLab: the attention explorer by keyboard and mouse, at 20, 60 and 200 tokens."""

import itertools

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import (
    assert_no_errors,
    choose_from_menu,
    key_to_paint,
    lesson_part,
    open_and_run,
    texts_of,
    watch_texts,
    within,
    work_of,
)

pytestmark = pytest.mark.browser

MILLISECONDS = {"page": 50, "kernel": 250, "open": 2000}
ZIGZAG = (["ArrowRight"] * 4 + ["ArrowLeft"] * 4) * 5
TEXT = "The history of the railway began long before the first engine ran on iron rails. "
SIZES = [20, 60, 200]
SETUP = f"""
from course_utils.models import load_causal_lm
from course_utils.traces import record_attention
from course_utils.widgets import AttentionExplorer
smollm = load_causal_lm()
words = smollm.encode({TEXT!r} * 20)[0]
traces = {{size: record_attention(smollm, smollm.tokenizer.decode(words[:size])) for size in {SIZES}}}
"""
TWICE = "My neighbour Mr Dursley was proud to say that he was perfectly normal. Yesterday my neighbour Mr"
INDUCTION = f"attention_explorer(smollm, {TWICE!r}, layer=18, head=6, order='induction')"
TITLES = "all => all.map(one => one.title)"
NAMES = ["first", "cross", "induction", *(f"size-{size}" for size in SIZES)]  # the lesson's, then the test's own
DRAWN = f"document.querySelectorAll('.attention-explorer[data-drawn]').length === {len(NAMES)}"


def name_explorers(page, names):
    """Each explorer without a name gets one to be found by, in the order of the page."""
    new = page.locator(".attention-explorer:not([id])")
    new.evaluate_all("(all, names) => all.forEach((root, i) => { root.id = names[i]; })", names)


@pytest.fixture(scope="module")
def page(browser, lab_server, outside_requests):
    """The explorers of the lesson, one sorted by induction, and three of SmolLM2's runs of 20, 60 and 200 tokens."""
    own = [SETUP, INDUCTION, *(f"AttentionExplorer(traces[{size}], layer=3)" for size in SIZES)]
    part = lesson_part(lab_server, "08_attention", r"(?m)^attention_explorer\(", *own)
    page = open_and_run(browser, lab_server, outside_requests, part, DRAWN, width=1300)
    page.set_viewport_size({"width": 1300, "height": 1300})
    name_explorers(page, NAMES)
    page.wait_for_timeout(1_000)  # the short ones fetch all their layers in the background
    return page


def explorer_of(page, name):
    root = page.locator(f"#{name}")
    root.scroll_into_view_if_needed()
    return root


def wait_for_status(page, name, words):
    status = "([name, words]) => document.querySelector(`#${name} .status`).textContent.includes(words)"
    page.wait_for_function(status, arg=[name, words])


def press(page, control, *keys):
    """Focus, then all keys as fast as they can come."""
    control.focus()
    for key in keys:
        page.keyboard.press(key)


def run_text(page, name, text):
    """Type a text and press Enter, and wait for the answer; return the texts of the status from first to last."""
    root = explorer_of(page, name)
    box = root.get_by_label("text for the model")
    box.fill(text)
    watch_texts(root, ".status")
    box.press("Enter")
    done = "name => !document.querySelector(`#${name} .status`).textContent.includes(' …')"
    page.wait_for_function(done, arg=name)
    return texts_of(root)


def test_every_cell_ran_without_an_error(page):
    assert_no_errors(page)


def test_keyboard_moves_layer_head_and_token(page):
    root = explorer_of(page, "first")
    for trait, moves, place in [("layer", -4, "12"), ("head", 4, "4"), ("token", -3, "12")]:
        keys = ["ArrowRight" if moves > 0 else "ArrowLeft"] * abs(moves)
        press(page, root.get_by_role("slider", name=trait), *keys)
        page.wait_for_timeout(700)  # no press may be lost, nor an older value come back from the kernel
        assert root.get_by_role("slider", name=trait).input_value() == place
    said = root.locator(".status p").all_text_contents()
    assert said[0].startswith("Head 12.4 on KV head 1: previous token ")
    assert said[1].startswith("“\u2068␣dog\u2069” looks at ")
    assert said[2] == "softmax: every row adds up to 1 ✓ (largest error: 2e-07). The colours go from 0.00 to 1.00."
    assert root.locator(".focus > canvas").get_attribute("aria-label") == " ".join(said)
    assert root.locator(".heads .now").get_attribute("title") == "head 12.4"
    assert root.locator(".heads .mate").evaluate_all(TITLES) == ["head 12.3", "head 12.5"]
    press(page, root.get_by_role("slider", name="token"), "Home")
    wait_for_status(page, "first", "“\u2068The\u2069” looks at “\u2068The\u2069” 1.00.")


def test_keyboard_goes_through_the_stages(page):
    root = explorer_of(page, "first")
    press(page, root.get_by_role("radio", name="softmax"), "ArrowLeft")
    wait_for_status(page, "first", "+ mask: what comes later becomes −∞ (hatched). The colours go from -")
    assert root.locator(".strip .masked").count() == 15, "the first token sees itself only"
    page.keyboard.press("ArrowLeft")
    wait_for_status(page, "first", "QKᵀ/√d: how well each query fits each key. Later tokens have scores, too.")
    assert root.locator(".strip .masked").count() == 0
    press(page, root.get_by_role("radio", checked=True), *["ArrowRight"] * 3)
    wait_for_status(page, "first", "· V: weight × length of the value vector")
    assert root.get_by_role("radio", name="· V").is_checked()
    page.keyboard.press("ArrowLeft")
    wait_for_status(page, "first", "softmax: every row adds up to 1")


def test_keyboard_sorts_the_heads_and_goes_through_them(page):
    root = explorer_of(page, "first")
    now, heads = root.locator(".heads .now"), root.locator(".heads i")
    assert heads.evaluate_all(TITLES)[7:11] == ["head 0.7", "head 0.8", "head 1.0", "head 1.1"]
    assert root.locator(".heads b").all_text_contents() == ["KV 0", "KV 1", "KV 2", "layer"]
    assert [text for text in root.locator(".heads small").all_text_contents() if text] == [
        "0",
        "5",
        "10",
        "15",
        "20",
        "25",
    ]
    press(page, root.get_by_role("combobox", name="order"), "ArrowDown")
    page.wait_for_function("() => document.querySelector('#first .heads').ariaLabel.includes('by previous token')")
    best, tops = heads.evaluate_all(TITLES), heads.evaluate_all("all => all.map(one => one.offsetTop)")[::30]
    assert best[0] == "head 16.0"
    heights = [below - above for above, below in itertools.pairwise(tops)]
    assert max(heights) - min(heights) <= 1, "the rows of small pictures are even"
    heads.first.click()
    wait_for_status(page, "first", "Head 16.0 on KV head 0: previous token ")
    root.get_by_role("button", name="previous head").press("Enter")  # nothing comes before the first
    assert now.get_attribute("title") == "head 16.0"
    for place in (1, 2):
        root.get_by_role("button", name="next head").press("Enter")
        wait_for_status(page, "first", best[place].capitalize() + " on")
        assert now.get_attribute("title") == best[place]
    root.get_by_role("combobox", name="order").select_option("place")


def test_a_token_is_looked_at_and_kept(page):
    root = explorer_of(page, "first")
    press(page, root.get_by_role("slider", name="token"), "End", "ArrowLeft")
    wait_for_status(page, "first", "“\u2068␣on₂\u2069” looks at")
    root.locator(".strip .token").nth(4).hover()
    wait_for_status(page, "first", "“\u2068␣the₁\u2069” looks at")
    page.mouse.move(2, 2)
    wait_for_status(page, "first", "“\u2068␣on₂\u2069” looks at")
    picture = root.locator(".focus > canvas")
    row = (picture.bounding_box()["height"] - 70) / 16
    picture.hover(position={"x": 100, "y": 66 + 1.5 * row})
    wait_for_status(page, "first", "“\u2068␣cat\u2069” looks at")
    picture.click(position={"x": 100, "y": 66 + 2.5 * row})
    page.mouse.move(2, 2)
    wait_for_status(page, "first", "“\u2068␣sat₁\u2069” looks at")
    assert root.get_by_role("slider", name="token").input_value() == "2"


def test_the_first_token_can_be_hidden(page):
    root = explorer_of(page, "first")
    press(page, root.get_by_role("slider", name="token"), "End")
    switch = root.get_by_label("hide the first token")
    press(page, switch, "Space")
    expect(root.locator(".strip .masked")).to_have_count(1)
    said = root.locator(".status p").nth(1).text_content()
    assert "“\u2068The\u2069”" not in said.partition(" looks at ")[2]
    press(page, switch, "Space")
    expect(root.locator(".strip .masked")).to_have_count(0)


def test_an_induction_head_and_cross_attention_say_where_they_look(page):
    root = explorer_of(page, "induction")
    wait_for_status(page, "induction", "“\u2068␣Mr₂\u2069” looks at “\u2068␣D\u2069” 0.53")
    root.locator("summary").press("Enter")
    page.wait_for_function("() => document.querySelectorAll('#induction table tr').length === 16")
    assert root.locator("tr").nth(1).text_content() == "␣D30.533"
    root.locator("summary").press("Enter")
    cross = explorer_of(page, "cross")
    wait_for_status(page, "cross", "“\u2068␣lire\u2069” looks at “\u2068␣reading\u2069” 0.97")
    assert cross.locator(".strip .token").count() == 7
    assert cross.get_by_role("slider", name="token").get_attribute("max") == "9"


def test_tab_reaches_every_control(page):
    root = explorer_of(page, "first")
    controls = root.locator("input:not([type=radio]), button:not(.undo), select, summary, [type=radio]:checked").count()
    root.get_by_label("text for the model").focus()
    reached = 1
    for _ in range(controls - 1):
        page.keyboard.press("Tab")
        reached += page.evaluate("() => document.activeElement.closest('#first') !== null")
    assert reached == controls == 11
    unnamed = "all => all.filter(one => !one.ariaLabel && !one.labels[0]?.textContent).length"
    assert root.locator("input, select").evaluate_all(unnamed) == 0


def test_screenshots_light_and_dark(page, artifacts):
    def shoot(name, width, explorer="induction"):
        page.set_viewport_size({"width": width, "height": 1300})
        page.wait_for_timeout(500)
        root = explorer_of(page, explorer)
        root.screenshot(path=artifacts / f"lesson-08-{name}-{width}.png")
        fits = "id => { const root = document.getElementById(id); return root.scrollWidth <= root.clientWidth; }"
        page.wait_for_function(fits, arg=explorer)  # nothing sticks out to the right
        return root.evaluate("root => [getComputedStyle(root).color, getComputedStyle(root).backgroundColor]")

    light = shoot("light", 1300)
    shoot("light", 700, "first")
    choose_from_menu(page, "Settings", "Theme", "JupyterLab Dark")
    page.wait_for_selector("body[data-jp-theme-light='false']", state="attached")
    dark = shoot("dark", 1300, "first")
    assert len({*light, *dark}) == 4
    shoot("cross-dark", 1300, "cross")


def test_running_stays_until_the_answer_is_there(page):
    root = explorer_of(page, "first")
    box = root.get_by_label("text for the model")
    box.fill(TEXT * 10)
    # Between the key, the move and the look no answer can come: a page does one thing after the other.
    at_once = box.evaluate(
        """box => {
          const root = box.closest(".attention-explorer"), slider = root.querySelector("[data-trait=layer]");
          box.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true }));
          slider.stepDown();
          slider.dispatchEvent(new Event("input", { bubbles: true }));
          return root.querySelector(".status").textContent;
        }"""
    )
    assert at_once == "Running …"
    wait_for_status(page, "first", "Head ")
    assert root.locator(".strip .token").count() > 150


@pytest.mark.parametrize("text", ["My favourite place in the world is", "🦜🙂 naïve", "你好,世界", "x"])
def test_a_text_of_ones_own(page, text):
    """In the explorer that is sorted by induction, which "x" does not have."""
    assert run_text(page, "induction", text)[0] == "Running …"
    root = page.locator("#induction")
    assert root.locator(".problem:not(.kernel)").text_content() == ""
    tokens = root.locator(".strip .token > span").all_text_contents()
    assert root.locator(".status p").nth(1).text_content().startswith(f"“\u2068{tokens[-1]}\u2069” looks at ")
    assert int(root.get_by_role("slider", name="token").get_attribute("max")) == len(tokens) - 1


WRONG = [
    ("first", "", "text must have at least one character, got an empty text"),
    ("first", "word " * 3000, "text must have at most 200 tokens, got 3,001"),
    ("cross", "", "text must be a text that is not empty, got nothing"),
    ("cross", "word " * 3000, "text must have at most 64 tokens, got 3,002"),
]


@pytest.mark.parametrize(("name", "text", "sentence"), WRONG, ids=["empty", "long", "cross-empty", "cross-long"])
def test_a_wrong_text_is_one_sentence_and_the_old_picture_stays(page, name, text, sentence):
    root = explorer_of(page, name)
    before = root.locator(".strip").text_content()
    run_text(page, name, text)
    assert root.locator(".problem:not(.kernel)").text_content() == sentence
    assert root.locator(".strip").text_content() == before
    run_text(page, name, "The cat sat on the mat")
    assert root.locator(".problem:not(.kernel)").text_content() == ""
    assert root.locator(".status p").count() == 3


def test_opening_200_tokens(page, lab_server, record, artifacts):
    """The cell runs again: the trace is there, so this is the widget, its picture and its way to the page."""
    received, times, works, work = [], [], [], work_of(page, lab_server)
    wire = page.context.new_cdp_session(page)
    wire.send("Network.enable")
    wire.on("Network.webSocketFrameReceived", lambda event: received.append(event["response"]))
    page.evaluate("() => addEventListener('keydown', () => { window.pressed = performance.now(); }, true)")
    drawn = "() => document.querySelector('.attention-explorer[data-drawn]:not([id])') && performance.now() - pressed"
    for _ in range(3):
        received.clear()
        before = work()
        press(page, page.locator(".jp-CodeCell").last.locator(".cm-content"), "Control+Enter")
        times.append(round(page.wait_for_function(drawn).json_value()))
        works.append(work() - before)
        page.wait_for_timeout(1_000)
        name_explorers(page, ["size-200"])
    wire.detach()
    explorer_of(page, "size-200").screenshot(path=artifacts / "lesson-08-200-tokens.png")
    sent = sum(len(frame["payloadData"]) * (3 if frame["opcode"] == 2 else 4) // 4 for frame in received)  # 2: base64
    print(f"opened in {times} ms, {sent:,} bytes in {len(received)} messages")
    record("AttentionExplorer", {"open_ms_200_tokens": sorted(times)[1], "open_bytes_200_tokens": sent})
    assert 360_000 < sent <= 1_000_000
    within({"work_p95": sorted(works)[1]}, MILLISECONDS["open"])


def test_another_layer_of_200_tokens_comes_from_the_kernel(page, lab_server, record):
    explorer_of(page, "size-200").get_by_role("slider", name="layer").focus()
    times = key_to_paint(page, "#size-200", ["ArrowRight"] * 24, lab_server=lab_server)
    wait_for_status(page, "size-200", "Head 27.0 on KV head 0")
    record("AttentionExplorer", {"through_the_kernel_ms_200_tokens": times})
    within(times, MILLISECONDS["kernel"])


@pytest.mark.parametrize("size", SIZES)
def test_a_move_stays_in_the_page(page, record, size):
    """Also at 200 tokens, where the layers have been visited before."""
    times = []
    for trait, back in [("layer", ["ArrowLeft"] * 5), ("head", ["Home"]), ("token", ["Home"])]:
        press(page, explorer_of(page, f"size-{size}").get_by_role("slider", name=trait), *back)
        page.wait_for_timeout(500)
        times.append(key_to_paint(page, f"#size-{size}", ZIGZAG, MILLISECONDS["page"]))
        within(times[-1], MILLISECONDS["page"])
    slowest = max(times, key=lambda numbers: numbers["p95"])  # of the three sliders
    record("AttentionExplorer", {f"key_to_paint_ms_{size}_tokens": slowest})


def test_nobody_was_asked_outside(outside_requests):
    assert outside_requests == []
