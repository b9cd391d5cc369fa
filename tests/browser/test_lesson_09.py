"""Lesson 09 in JupyterLab: the next-token explorer and the mask lab by keyboard; and their speed by size."""

import pytest

from course_utils.widgets import MaskLab, NextTokenExplorer
from tests.browser.conftest import (
    assert_no_errors,
    choose_from_menu,
    key_to_paint,
    lesson_part,
    open_and_run,
    render_alone,
    within,
)
from tests.test_mask_lab import random_masks
from tests.test_next_token_explorer import random_prompt

pytestmark = pytest.mark.browser

PAGE_BUDGET = 50  # milliseconds from key to paint
MODEL_BUDGET = 350 + 150  # what the model takes for a short prompt on a busy core, and the way there and back
NAMES = ["masks", "capitals", "systems"]  # the widgets of the lesson, in its order

# From the key going down to the frame that shows “Running …”, in milliseconds, and how many frames came before it.
RUNNING = """
(status) => {
  window.running = window.frames_until_running = null;
  let pressed = null, frames = 0;
  const count = () => { if (window.frames_until_running === null) { frames += 1; requestAnimationFrame(count); } };
  document.addEventListener("keydown", () => {
    pressed = performance.now();
    requestAnimationFrame(count);
  }, { capture: true, once: true });
  new MutationObserver((_, observer) => {
    if (!status.textContent.startsWith("Running")) return;
    observer.disconnect();
    window.frames_until_running = frames;
    requestAnimationFrame(() => setTimeout(() => { window.running = performance.now() - pressed; }));
  }).observe(status, { childList: true });
}
"""
FOCUSED = """() => { const at = document.activeElement;
                      return at.getAttribute("aria-label") ?? at.labels?.[0]?.textContent ?? at.textContent; }"""


@pytest.fixture(scope="module")
def page(browser, lab_server, outside_requests):
    part = lesson_part(lab_server, "09_context_length_and_prompting", r"(?m)^(next_token_explorer|mask_lab)\(")
    drawn = "document.querySelectorAll('.explorer[data-drawn]').length === 2 && document.querySelector('.mask-lab')"
    page = open_and_run(browser, lab_server, outside_requests, part, drawn, width=1300)
    page.evaluate(
        """names => document.querySelectorAll(".explorer, .mask-lab").forEach((root, i) => { root.id = names[i]; })""",
        NAMES,
    )
    return page


def widget(page, name):
    found = page.locator(f"#{name}")
    found.scroll_into_view_if_needed()
    page.wait_for_timeout(300)  # laid out, before a key is pressed
    return found


@pytest.fixture
def explorer(page):
    return widget(page, "capitals")


@pytest.fixture
def masks(page):
    return widget(page, "masks")


def press_enter(page, root):
    """Press Enter, which asks the kernel, and wait for the answer; return how long “Running …” took to be painted.

    The page says it without waiting for anybody.
    """
    name, before = root.get_attribute("id"), int(root.get_attribute("data-drawn"))
    root.locator(".status").evaluate(RUNNING)
    page.keyboard.press("Enter")
    page.wait_for_function(
        "([name, before]) => +document.getElementById(name).dataset.drawn > before && window.running !== null"
        " && !document.getElementById(name).classList.contains('running')",
        arg=[name, before],
    )
    assert page.evaluate("() => window.frames_until_running") <= 2
    return round(page.evaluate("() => window.running"))


def box_of(root, label):
    return root.locator(f":is(input, textarea)[aria-label^='{label}']")


def run_with(page, root, label, text):
    """Write `text` into the box and press Enter there."""
    box_of(root, label).fill(text)
    box_of(root, label).focus()
    return press_enter(page, root)


def prompts_of(explorer):
    return [box.input_value() for box in explorer.locator("textarea").all()]


def tab_stops(page, root, first):
    """Press Tab from `first` until the widget ends; return the names of the places."""
    first.focus()
    names = []
    while page.evaluate("(name) => document.activeElement.closest('#' + name) !== null", root.get_attribute("id")):
        names.append(page.evaluate(FOCUSED))
        page.keyboard.press("Tab")
    return names


def test_every_cell_ran_without_an_error(page):
    assert_no_errors(page)


def test_the_slider_shows_more_and_fewer_bars(page, explorer, record):
    slider = explorer.get_by_label("number of bars")
    slider.focus()
    times = key_to_paint(page, "#capitals", (["ArrowRight"] * 5 + ["ArrowLeft"] * 5) * 4, PAGE_BUDGET)
    page.keyboard.press("ArrowRight")
    # No press may be lost to JupyterLab's own shortcuts, nor to an older value that comes back from the kernel.
    page.wait_for_timeout(1_000)
    assert slider.input_value() == "11"
    assert explorer.locator("section").first.locator("button.line").count() == 11
    assert "49,141 tokens without a bar share" in explorer.locator(".said").first.text_content()
    page.keyboard.press("ArrowLeft")
    record("NextTokenExplorer", {"key_to_paint_ms": times})
    within(times, PAGE_BUDGET)


def test_arrow_keys_walk_through_tokens_and_bars(page, explorer):
    beside = "compare: put the prompt with"
    for row, keys, name in [
        (explorer.locator(".stream").last, "ArrowRight ArrowDown ArrowRight ArrowLeft", "“\u2068⏎\u2069”, 3.9 bits"),
        (explorer.locator(".stream").last, "End", "“\u2068:\u2069”, 0.0 bits"),
        (explorer.locator(".bars").first, "ArrowDown ArrowDown Home ArrowRight", f"{beside} “\u2068␣Oslo\u2069” "),
        (explorer.locator(".bars").first, "End", f"{beside} “\u2068␣H\u2069” "),
    ]:
        row.locator("button").first.focus()
        for key in keys.split():
            page.keyboard.press(key)
        assert page.evaluate(FOCUSED).startswith(name)


def test_append_branch_cut_and_a_second_prompt(page, explorer, record):
    explorer.locator(".bars").first.locator("button").first.focus()
    shown = press_enter(page, explorer)
    first = prompts_of(explorer)[0]
    assert first == "The capital of Norway is Oslo"
    assert page.evaluate(FOCUSED).startswith("append "), "the keyboard stays where it was"
    page.keyboard.press("ArrowRight")
    press_enter(page, explorer)
    assert prompts_of(explorer)[0] == first
    assert prompts_of(explorer)[1].startswith(first)
    assert len(prompts_of(explorer)[1]) > len(first)
    explorer.locator(".stream").first.locator("button").last.focus()
    press_enter(page, explorer)
    assert prompts_of(explorer) == [first, "The capital of Norway is"]
    explorer.get_by_role("button", name="second prompt").focus()
    press_enter(page, explorer)
    assert (prompts_of(explorer), explorer.locator(".shift").text_content()) == ([first], "")
    press_enter(page, explorer)
    assert prompts_of(explorer) == [first, first]
    assert explorer.locator(".shift p").text_content().startswith("0.0 % of the probability moved")
    record("NextTokenExplorer", {"running_ms": shown})


def test_what_is_typed_but_not_run_is_kept(page, explorer):
    run_with(page, explorer, "prompt 1", "The capital of Norway is")
    box_of(explorer, "prompt 1").fill("typed 🦜 not run")
    for action in ("button.line", "button.branch"):
        explorer.locator(f".bars {action}").first.focus()
        press_enter(page, explorer)
        assert prompts_of(explorer)[0] == "typed 🦜 not run"
        assert "Press Enter to run what you have typed" in explorer.locator("section").first.text_content()
    assert explorer.locator(".older").count() == 1
    explorer.get_by_role("button", name="Undo typing").first.click()
    assert prompts_of(explorer)[0] == "The capital of Norway is Oslo"
    assert explorer.locator(".older").count() == 0


def test_a_long_run_says_how_far_it_is_and_can_be_stopped(page, explorer):
    run_with(page, explorer, "prompt 1", "Once upon a time")
    for stop in ("button", "menu"):
        box = box_of(explorer, "prompt 1")
        box.fill("word " * 4_000)
        box.press("Enter")
        page.wait_for_function(
            "() => /of 4,001 tokens, about \\d+ s more/.test(document.querySelector('#capitals .status').textContent)"
        )
        if stop == "button":
            explorer.locator(".stop").click()
        else:
            choose_from_menu(page, "Kernel", "Interrupt Kernel")
        page.wait_for_selector("#capitals:not(.running)")
        assert explorer.locator(".problem[role=alert]").nth(1).text_content().startswith("Stopped.")
        assert "Once" in explorer.locator(".stream").first.text_content()
        assert page.evaluate("() => document.activeElement.closest('#capitals, .jp-NotebookPanel') !== null")
        run_with(page, explorer, "prompt 1", "Once upon a time")


def test_both_prompts_share_one_scale(page, explorer):
    """Also the bar of all others: as long as its share, so that two bars of different prompts can be compared."""
    run_with(page, explorer, "prompt 1", "The")
    shares = explorer.locator(".track").evaluate_all(
        "all => all.map(track => [parseFloat(track.querySelector('.value').textContent),"
        " track.querySelector('.bar').getBoundingClientRect().width, track.clientWidth - 56])"
    )
    assert len({room for _, _, room in shares}) == 1, "as wide in every row"
    clear = [(share, width / room) for share, width, room in shares if share >= 5]
    assert len(clear) >= 3
    assert all(length == pytest.approx(share / 100, abs=0.02) for share, length in clear)


def test_before_and_after_are_in_one_row_on_one_scale(page, explorer):
    run_with(page, explorer, "prompt 1", "The capital of France is")
    rows = explorer.locator(".shift li")
    assert rows.count() >= 4
    bars = rows.evaluate_all(
        "all => all.map(row => [row.querySelector('.two').clientWidth, row.querySelector('.moved').textContent,"
        " ...[...row.querySelectorAll('.bar')].map(bar => bar.getBoundingClientRect().width)])"
    )
    assert len({room for room, *_ in bars}) == 1
    for room, said, *drawn in bars:
        for share, width in zip(said.split(" → "), drawn, strict=True):
            assert width == pytest.approx(room * float(share.strip("< %")) / 100, abs=2.5)


def test_appending_goes_through_the_model(page, lab_server, explorer, record):
    run_with(page, explorer, "prompt 1", "Once upon a time")
    explorer.locator(".bars").first.locator("button").first.focus()
    times = key_to_paint(page, "#capitals", ["Enter"] * 20, lab_server=lab_server)
    assert explorer.locator(".stream").first.locator(".chip").count() == 24
    record("NextTokenExplorer", {"append_with_model_ms": times})
    within(times, MODEL_BUDGET)


@pytest.mark.parametrize("prompt", ["My favourite place in the world is", "🦜", "巴黎是法国的首都"])
def test_a_prompt_of_ones_own(page, explorer, prompt):
    run_with(page, explorer, "prompt 1", prompt)
    assert explorer.get_by_role("alert").first.text_content() == ""
    assert explorer.locator(".said").first.text_content().startswith("Most likely next: ")
    assert page.evaluate(FOCUSED) == "prompt 1"


def test_nothing_and_a_very_long_prompt(page, explorer):
    run_with(page, explorer, "prompt 2", "Hello there")
    for text, sentence, notice in [
        ("", "prompt must have at least one character, got an empty text", ""),
        ("word " * 9_000, "prompt must have at most 8,192 tokens (the context length of SmolLM2-135M-Instruct)", ""),
        ("word " * 3_000, "", "The first 2,801 tokens are read, and not shown."),
        ("The capital of Norway is", "", ""),
    ]:
        run_with(page, explorer, "prompt 1", text)
        assert explorer.get_by_role("alert").first.text_content().split(", got 9")[0] == sentence
        said = explorer.locator(".notice").first.text_content()
        assert said == f"Orange: surprisal in bits. The higher, the less expected. {notice}"
    assert prompts_of(explorer) == ["The capital of Norway is", "Hello there"]


def test_keyboard_switches_masks_and_padding(page, masks, record):
    first = masks.locator("section .said").first
    assert first.text_content().startswith(
        "≠ Read at “\u2068␣is\u2069”: “\u2068␣land\u2069” leads, alone it was “\u2068␣Paris\u2069”."
    )
    masks.get_by_role("radio", name="causal", exact=True).focus()
    page.keyboard.press("Space")
    masks.get_by_role("radio", name="right", exact=True).focus()
    page.keyboard.press("Space")
    assert first.text_content().startswith(
        "≠ Read at padding: “\u2068⏎\u2069” leads, alone it was “\u2068␣Paris\u2069”."
    )
    times = key_to_paint(page, "#masks", ["ArrowDown", "ArrowUp"] * 12, PAGE_BUDGET)
    for role, name, keys, sentence in [
        (
            "radio",
            "right, read",
            "ArrowLeft ArrowRight",
            "= Read at “\u2068␣is\u2069”: “\u2068␣Paris\u2069” still leads.",
        ),
        ("radio", "left", "Space", "= Read at “\u2068␣is\u2069”: “\u2068␣Paris\u2069” still leads."),
        (
            "checkbox",
            "hide the padding",
            "Space",
            "≠ Read at “\u2068␣is\u2069”: “\u2068␣a\u2069” leads, alone it was “\u2068␣Paris\u2069”. 87.",
        ),
        ("checkbox", "hide the padding", "Space", "= Read at “\u2068␣is\u2069”: “\u2068␣Paris\u2069” still leads."),
        (
            "radio",
            "causal",
            "ArrowRight ArrowRight",
            "≠ Read at “\u2068␣is\u2069”: “\u2068␣land\u2069” leads, alone it was “\u2068␣Paris\u2069”.",
        ),
        ("radio", "window + first", "Space", "= Read at “\u2068␣is\u2069”: “\u2068␣Paris\u2069” still leads."),
    ]:
        masks.get_by_role(role, name=name).focus()
        for key in keys.split():
            page.keyboard.press(key)
        assert first.text_content().startswith(sentence), (name, keys)
    page.wait_for_timeout(1_000)  # no older value comes back from the kernel
    assert masks.get_by_role("radio", name="window + first").is_checked()
    record("MaskLab", {"key_to_paint_ms": times})
    within(times, PAGE_BUDGET)


def test_prompts_of_ones_own_in_the_mask_lab(page, masks, record):
    for number, text in enumerate(["巴黎是法国的首都", "Once upon a time, there", "🦜", "Hi"], start=1):
        box_of(masks, f"prompt {number}").fill(text)
    shown = run_with(page, masks, "tokens in", "2")
    assert masks.locator("section").count() == 4
    record("MaskLab", {"running_ms": shown})
    for texts, window, sentence in [
        (["word " * 3_000, "Hi", "", ""], "4", "prompts must have at most 200 tokens here, got 3001"),
        (["", "", "Hi", ""], "4", "prompts must be 2 to 4 texts, got 1"),
        (["Hi", "", "Hello", ""], "", "window must be a whole number of at least 1, got nothing"),
        (["The capital of France is", "Once upon a time, in a village by the sea, there", "2 + 2 =", ""], "4", ""),
    ]:
        for number, text in enumerate(texts, start=1):
            box_of(masks, f"prompt {number}").fill(text)
        run_with(page, masks, "tokens in", window)
        assert masks.locator(".problem:not(.kernel)").text_content() == sentence
        assert masks.locator("section").count() == (4 if sentence else 3), "the old picture stays"


def test_tab_reaches_every_control(page, explorer, masks):
    stops = tab_stops(page, explorer, explorer.get_by_label("number of bars"))
    assert [*stops[:4], *stops[6:8]] == [
        "number of bars", "Remove the second prompt", "prompt 1", "Run", "prompt 2", "Run",
    ]  # fmt: skip
    assert (len(stops), stops[-1]) == (11, "Show as table"), "tokens and bars are one stop each"
    assert tab_stops(page, masks, box_of(masks, "prompt 1"))[4:] == [
        "tokens in the sliding window", "Run", "window + first token", "left", "hide the padding", "Show as table",
    ]  # fmt: skip
    for root in (explorer, masks):
        unnamed = "inputs => inputs.filter((one) => !one.hasAttribute('aria-label') && !one.labels.length).length"
        assert root.locator("input, textarea").evaluate_all(unnamed) == 0
        root.locator("summary").press("Enter")
        root.locator("tr").nth(8).wait_for()
        root.locator("summary").press("Enter")


def test_screenshots_light_and_dark(page, artifacts):
    def shoot(look, width):
        page.set_viewport_size({"width": width, "height": 2000})
        for name in NAMES:
            widget(page, name).screenshot(path=artifacts / f"lesson-09-{name}-{look}-{width}.png")

    shoot("light", 1300)
    shoot("light", 700)
    choose_from_menu(page, "Settings", "Theme", "JupyterLab Dark")
    page.wait_for_selector("body[data-jp-theme-light='false']", state="attached")
    shoot("dark", 1300)
    for name in NAMES:
        colours = "root => [getComputedStyle(root).color, getComputedStyle(root).backgroundColor]"
        assert len(set(page.locator(f"#{name}").evaluate(colours))) == 2


@pytest.mark.parametrize("tokens", [20, 60, 200])
def test_speed_by_size(browser, outside_requests, record, artifacts, tokens):
    for made, root, control in [
        (NextTokenExplorer([random_prompt(tokens), random_prompt(tokens, 1)], run=str), ".explorer", "[type=range]"),
        (MaskLab(random_masks(tokens)), ".mask-lab", ":checked"),
    ]:
        page, first_paint = render_alone(browser, outside_requests, made)
        page.locator(f"input{control}").first.focus()
        times = key_to_paint(page, root, ["ArrowRight", "ArrowLeft"] * 20, PAGE_BUDGET)
        page.screenshot(path=artifacts / f"{root[1:]}-{tokens}.png")
        page.context.close()
        record(type(made).__name__, {f"key_to_paint_ms_{tokens}_tokens": times})
        within(times, PAGE_BUDGET)
        within(first_paint, 500)


def test_nobody_was_asked_outside(outside_requests):
    assert outside_requests == []
