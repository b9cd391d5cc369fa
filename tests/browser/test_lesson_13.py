"""Lesson 13's widget in JupyterLab: the beam tree by keyboard, ranked on the page, searched again, at three sizes."""

import pytest

from tests.browser.conftest import (
    assert_no_errors,
    choose_from_menu,
    key_to_paint,
    lesson_part,
    open_and_run,
    texts_of,
    watch_texts,
    within,
)
from tests.test_beam_tree import random_trace

pytestmark = pytest.mark.browser

BUDGET_MILLISECONDS = 50
SIZES = {20: (2, 5), 60: (5, 6), 200: (10, 12)}  # nodes: beams, steps

LONG_LINE = "words = [" + ", ".join(["'a line that is longer than the page is wide'"] * 9) + "]"
OWN_CELLS = (
    "from course_utils.traces import BeamTrace\nfrom course_utils.widgets import BeamTreeWidget",
    *(f'BeamTreeWidget(BeamTrace.load("../trace-{nodes}.npz"))' for nodes in SIZES),
    LONG_LINE,
)


@pytest.fixture(scope="module")
def page(browser, lab_server, outside_requests):
    """The tree of the lesson, and three of about 20, 60 and 200 nodes, none of them from a model."""
    for nodes, (beams, steps) in SIZES.items():
        random_trace(beams, steps).save(lab_server["folder"] / f"trace-{nodes}.npz")
    drawn = "document.querySelectorAll('.beam-tree[data-drawn]').length === 4"
    part = lesson_part(lab_server, "13_beam_search", r"(?m)^beam_tree\(", *OWN_CELLS)
    page = open_and_run(browser, lab_server, outside_requests, part, drawn, width=1300)
    page.evaluate(
        "names => document.querySelectorAll('.beam-tree').forEach((tree, place) => { tree.id = names[place]; })",
        ["tree", *(f"tree-{nodes}" for nodes in SIZES)],
    )
    return page


def wait_for_text(page, selector, text):
    page.wait_for_function(
        "([selector, text]) => document.querySelector(selector)?.textContent.includes(text)", arg=[selector, text]
    )


def shoot(page, artifacts, name):
    page.locator("#tree").scroll_into_view_if_needed()
    page.wait_for_timeout(300)
    page.locator("#tree").screenshot(path=artifacts / f"{name}.png")


def test_every_cell_ran_without_an_error(page):
    assert_no_errors(page)


def test_no_line_of_code_is_cut_off(page):
    """The course's settings wrap long lines."""
    page.set_viewport_size({"width": 900, "height": 900})
    page.locator(".jp-CodeCell").last.scroll_into_view_if_needed()
    page.wait_for_timeout(500)  # until the lines are laid out again; on a busy machine they may need longer
    page.wait_for_function(
        "() => { const lines = [...document.querySelectorAll('.jp-CodeCell .cm-scroller')];"
        f" return lines.length > {len(OWN_CELLS)}"
        " && lines.every((line) => line.scrollWidth <= line.clientWidth + 1); }"
    )
    page.set_viewport_size({"width": 1300, "height": 900})


def test_the_length_penalty_ranks_on_the_page(page, record):
    tree = page.locator("#tree")
    tree.scroll_into_view_if_needed()
    first = tree.locator(".ranking tr:nth-child(2) td").first
    assert tree.locator(".ranking tr:nth-child(2)").text_content().startswith("1 anything like it.")
    tree.get_by_role("slider", name="length penalty").focus()
    times = key_to_paint(page, "#tree", ["ArrowRight"] * 12 + ["ArrowLeft"] * 12, BUDGET_MILLISECONDS)
    page.wait_for_timeout(500)
    assert tree.get_by_role("slider", name="length penalty").input_value() == "1"
    for _ in range(18):
        page.keyboard.press("ArrowRight")
    wait_for_text(page, "#tree .ranking", "sum / tokens^2.8")
    # The words come from the kernel, without the model.
    wait_for_text(page, "#tree .status", "The search stops after step 8.")
    assert first.text_content() == "1"
    record("BeamTreeWidget", {"length_penalty_ms": times})
    within(times, BUDGET_MILLISECONDS)


def test_a_wrong_length_penalty_is_one_sentence_beside_it(page):
    tree = page.locator("#tree")
    box = tree.get_by_label("length penalty, exact value")
    box.fill("9")
    box.press("Enter")
    assert tree.locator(".row .problem").text_content() == "length penalty must be in [-5, 5], got 9. It is still 2.8."
    box.fill("0")
    box.press("Enter")
    wait_for_text(page, "#tree .ranking", "sum / tokens^0")
    assert tree.locator(".row .problem").text_content() == ""
    box.fill("1")
    box.press("Enter")


def test_early_stopping_moves_the_end(page):
    tree = page.locator("#tree")
    tree.get_by_role("combobox", name="early stopping").select_option("True")
    wait_for_text(page, "#tree .status", "The search stops after step 5.")
    assert tree.locator(".beyond").count() > 20
    assert tree.locator("text=stopped here").count() == 1
    tree.get_by_role("combobox", name="early stopping").select_option("False")
    wait_for_text(page, "#tree .status", "The search stops after step 8.")
    assert tree.locator(".beyond").count() == 0


def test_step_by_step_and_token_by_token(page, artifacts):
    tree = page.locator("#tree")
    step = tree.get_by_role("slider", name="step")
    step.focus()
    page.keyboard.press("Home")
    wait_for_text(page, "#tree .status", "Step 1: 4 kept, 0 finished, 4 pruned. The search continues.")
    assert tree.locator("[data-node]").count() == 8
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    wait_for_text(page, "#tree .status", "Step 3")
    assert "grows" in tree.locator(".ranking").text_content()
    shoot(page, artifacts, "lesson-13-step-3")
    page.keyboard.press("End")
    wait_for_text(page, "#tree .status", "Greedy's path was pruned at step 2.")
    tree.locator(".picture").focus()
    for _ in range(9):
        page.keyboard.press("ArrowUp")
    for _ in range(3):
        page.keyboard.press("ArrowDown")
    assert (
        tree.locator(".said")
        .text_content()
        .startswith("Step 1, “\u2068␣anything\u2069”: log-probability −2.48 (8.4 %), sum −2.48")
    )
    page.keyboard.press("ArrowRight")
    assert "Text: “\u2068 anything like\u2069”" in tree.locator(".said").text_content()
    # The node as a whole: its texts lie over its box.
    tree.locator("[data-node='8']").hover()
    assert "“" in tree.locator(".said").text_content()


def test_play_grows_the_tree_and_a_row_lights_its_path(page):
    tree = page.locator("#tree")
    page.emulate_media(reduced_motion="reduce")
    tree.get_by_role("slider", name="step").focus()
    page.keyboard.press("End")
    tree.locator("button", has_text="▶").press("Enter")  # after the end comes the beginning
    wait_for_text(page, "#tree .status", "Step 1: 4 kept")
    page.emulate_media(reduced_motion="no-preference")
    tree.locator("button", has_text="▶").press("Enter")
    wait_for_text(page, "#tree .status", "Step 2: ")
    tree.locator("button", has_text="Stop").press("Enter")
    tree.get_by_role("slider", name="step").focus()
    page.keyboard.press("End")
    row = tree.locator(".ranking tr", has_text="anything like it before.")
    row.hover()
    assert tree.locator(".node.lit").count() == tree.locator(".edge.lit").count() == 5
    page.mouse.move(0, 0)
    assert tree.locator(".lit").count() == 0
    row.focus()
    assert tree.locator(".node.lit").count() == 5


def test_a_prompt_of_ones_own_and_wrong_ones(page):
    tree = page.locator("#tree")
    box = tree.get_by_label("prompt")
    box.fill("The best way to learn is 🙂 你好")
    tree.get_by_role("spinbutton", name="beams").fill("3")
    watch_texts(tree, ".status")
    box.press("Enter")
    page.wait_for_selector("#tree:not(.running)")
    assert texts_of(tree)[0] == "Searching …"
    assert tree.locator("[role=img]").get_attribute("aria-label").startswith("Tree of 3 beams up to step 8")
    box.fill("")
    tree.get_by_role("button", name="Search again").click()
    wait_for_text(page, "#tree .status.problem", "prompt must have at least one character, got an empty text")
    box.fill("word " * 3000)
    tree.get_by_role("button", name="Search again").click()
    wait_for_text(page, "#tree .status.problem", "prompt must have at most 512 tokens for this picture, got 3,001")
    box.fill("I have never seen")
    tree.get_by_role("spinbutton", name="beams").fill("11")
    tree.get_by_role("spinbutton", name="beams").press("Enter")
    wait_for_text(page, "#tree .status.problem", "beams must be a whole number from 1 to 10, got 11")
    tree.get_by_role("spinbutton", name="beams").fill("4")
    tree.get_by_role("spinbutton", name="beams").press("Enter")
    wait_for_text(page, "#tree .status", "Greedy's path was pruned at step 2.")


def test_the_table_has_every_token(page):
    tree = page.locator("#tree")
    tree.locator("summary").click()
    page.wait_for_function("() => document.querySelectorAll('#tree details tr').length === 65")
    tree.locator("summary").click()


def test_tab_reaches_every_control(page):
    tree = page.locator("#tree")
    controls = tree.locator("input, button, select, summary, [tabindex='0']")
    tree.get_by_label("prompt").focus()
    reached = 1
    for _ in range(controls.count() - 1):
        page.keyboard.press("Tab")
        reached += page.evaluate("() => document.activeElement.closest('#tree') !== null")
    assert reached == controls.count() == 11 + tree.locator(".ranking tr[tabindex]").count()
    assert tree.locator("input:not([aria-label])").count() == 0


def test_screenshots_light_and_dark(page, artifacts):
    shoot(page, artifacts, "lesson-13-light-1300")
    page.set_viewport_size({"width": 700, "height": 900})
    page.wait_for_timeout(500)
    shoot(page, artifacts, "lesson-13-light-700")
    page.set_viewport_size({"width": 1300, "height": 900})
    choose_from_menu(page, "Settings", "Theme", "JupyterLab Dark")
    page.wait_for_selector("body[data-jp-theme-light='false']", state="attached")
    shoot(page, artifacts, "lesson-13-dark-1300")
    colours = page.evaluate(
        """() => { const s = getComputedStyle(document.querySelector("#tree"));
                   return [s.color, s.backgroundColor]; }"""
    )
    assert colours[0] != colours[1]


@pytest.mark.parametrize("nodes", list(SIZES))
def test_budgets_at_every_size(page, record, nodes):
    tree = page.locator(f"#tree-{nodes}")
    tree.scroll_into_view_if_needed()
    drawn = tree.locator("[data-node]").count()
    assert drawn >= nodes
    timed = {"nodes": drawn}
    tree.get_by_role("slider", name="length penalty").focus()
    keys = (["ArrowRight"] * 5 + ["ArrowLeft"] * 5) * 2
    timed["length_penalty_ms"] = key_to_paint(page, f"#tree-{nodes}", keys, BUDGET_MILLISECONDS)
    tree.locator(".picture").focus()
    timed["walk_ms"] = key_to_paint(page, f"#tree-{nodes}", ["ArrowDown", "ArrowUp"] * 10, BUDGET_MILLISECONDS)
    record("BeamTreeWidget", {f"at_{nodes}_nodes": timed})
    within(timed["length_penalty_ms"], BUDGET_MILLISECONDS)
    within(timed["walk_ms"], BUDGET_MILLISECONDS)


def test_a_large_tree_scrolls_inside_the_widget(page, artifacts):
    tree = page.locator("#tree-200")
    wide = tree.locator(".picture").evaluate("(box) => [box.scrollWidth, box.clientWidth]")
    assert wide[0] > wide[1]
    tree.scroll_into_view_if_needed()
    tree.screenshot(path=artifacts / "lesson-13-large.png")


def test_nobody_was_asked_outside(outside_requests):
    assert outside_requests == []
