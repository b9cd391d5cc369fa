"""Lesson 11's widget in JupyterLab: the sampling lab, the learner's functions in it by keyboard, within budgets."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import assert_no_errors, choose_from_menu, key_to_paint, lesson_part, open_and_run, within

pytestmark = pytest.mark.browser

PAGE_BUDGET, KERNEL_BUDGET = 50, 250  # milliseconds from key to paint
PRESSES = 40
LABS = {"plain": 0, "wrong": 1, "mine": 2}

# A vocabulary as large as SmolLM2's, prompts of 20, 60 and 200 tokens; the last three labs run all four filters in the
# kernel.
SCRATCH = """
import numpy as np
from IPython.display import display
from course_utils.engine.sampling import FILTERS
from course_utils.traces import NextTokenTrace

random_logits = np.random.default_rng(0).normal(0, 3, 49_152).astype(np.float32)
labels = tuple(f"t{i}" for i in range(len(random_logits)))
for own in (None, FILTERS):
    for tokens in (20, 60, 200):
        some = tuple(f"␣word{i}" for i in range(tokens))
        display(SamplingLab(NextTokenTrace("random", "".join(some), some, random_logits, labels), own=own, top_p=0.9))
"""


def name_the_labs(page, names):
    """Give each lab an id, in the order of the page."""
    page.evaluate(
        """names => { const labs = document.querySelectorAll(".sampling-lab");
                      for (const [name, place] of Object.entries(names)) labs[place].id = name; }""",
        names,
    )


@pytest.fixture(scope="module")
def page(browser, lab_server, outside_requests):
    drawn = "document.querySelectorAll('.sampling-lab[data-drawn]').length === 3"
    part = lesson_part(lab_server, "11_sampling", r"(?m)^(SamplingLab|sampling_lab)\(")
    page = open_and_run(browser, lab_server, outside_requests, part, drawn, width=1300)
    name_the_labs(page, LABS)
    return page


def run_in_the_prompt_cell(page, code):
    """Replace the code of the cell that begins with `my_prompt`, and run it."""
    cell = page.locator(".jp-CodeCell").filter(has_text="my_prompt = ").first
    cell.locator(".cm-content").click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(code)
    page.keyboard.press("Shift+Enter")


def said(page, lab):
    return page.locator(f"{lab} [aria-live] div").all_text_contents()


def wait_until_said(page, lab, words):
    page.wait_for_function(
        "([lab, words]) => document.querySelector(lab).textContent.includes(words)"
        " && !document.querySelector(lab).textContent.includes('Running')",
        arg=[lab, words],
    )


def type_into(page, lab, filter_name, text):
    box = page.locator(f"{lab} [data-filter={filter_name}] input[type=text]")
    box.click(click_count=3)
    page.keyboard.type(f"{text}\n")


def sweep(page, lab, budget, lab_server=None):
    slider = page.locator(f"{lab} [data-filter=temperature] input[type=range]")
    slider.scroll_into_view_if_needed()
    slider.focus()
    keys = ["ArrowLeft" if press % 20 < 10 else "ArrowRight" for press in range(PRESSES)]
    return key_to_paint(page, lab, keys, budget, lab_server)


def test_every_cell_ran_without_an_error(page):
    assert_no_errors(page)


def test_the_wrong_function_is_found_out(page, artifacts):
    assert said(page, "#wrong") == [
        "≠ your top_p removes “␣futuristic” (rank 546); the reference keeps it. "
        "They differ at 1 token: yours keeps 545, the reference 546."
    ]
    page.locator("#wrong").get_by_role("button", name="Where it cuts").press("Enter")
    page.wait_for_function("() => document.querySelector('#wrong svg').textContent.includes('✗ top_p ≠')")
    page.locator("#wrong").scroll_into_view_if_needed()
    page.wait_for_timeout(300)
    page.locator("#wrong").screenshot(path=artifacts / "lesson-11-wrong-top-p.png")


def test_a_drawn_token_is_appended_and_another_prompt_is_read(page):
    lab = page.locator("#plain")
    box, prompt = lab.get_by_label("prompt"), lab.locator(".prompt")
    before, text = lab.locator("svg").text_content(), box.input_value()
    lab.get_by_role("button", name="Draw 1 and append").press("Enter")
    page.wait_for_function(
        "([text]) => document.querySelector('#plain input').value.startsWith(text)"
        " && document.querySelector('#plain input').value.length > text.length",
        arg=[text],
    )
    assert lab.locator("svg").text_content() != before
    box.fill("My dog is")
    expect(lab.get_by_text("Press Enter to run what you have typed.")).to_be_visible()
    box.press("Enter")
    expect(prompt).to_have_text("My·␣dog·␣is → ?")
    box.fill("")
    box.press("Enter")
    expect(lab.locator(".problem[role=alert]").first).to_have_text(
        "prompt must have at least one character, got an empty text"
    )
    expect(prompt).to_have_text("My·␣dog·␣is → ?")
    box.fill(text)
    box.press("Enter")
    expect(prompt).to_contain_text("·␣a → ?")


def test_a_function_that_fails_is_one_line_and_the_lab_lives_on(page, artifacts):
    type_into(page, "#wrong", "top_p", 0.01)
    wait_until_said(page, "#wrong", "✗ your top_p removes every token. The picture shows the reference.")
    assert page.locator("#wrong .problem").filter(has_text="removes every token").count() == 1
    page.locator("#wrong").get_by_role("button", name="Top tokens").press("Enter")
    page.wait_for_function("() => document.querySelectorAll('#wrong svg .killer').length === 11")
    page.locator("#wrong").screenshot(path=artifacts / "lesson-11-removes-everything.png")
    type_into(page, "#wrong", "top_p", 0.9)
    wait_until_said(page, "#wrong", "yours keeps 545")


def test_a_bad_value_is_said_beside_its_box(page):
    for filter_name, typed, sentence in [
        ("top_p", "1.3", "top_p must be in (0, 1], got 1.3. It is still 0.9."),
        ("temperature", "", "temperature must be a number, got nothing. It is still 0.7."),
        ("top_k", "many", "top_k must be a number, got “\u2068many\u2069”. It is still 50."),
    ]:
        type_into(page, "#mine", filter_name, "x" if typed == "" else typed)
        if typed == "":
            box = page.locator(f"#mine [data-filter={filter_name}] input[type=text]")
            box.fill("")
            box.press("Enter")
        assert page.locator(f"#mine [data-filter={filter_name}] .problem").text_content() == sentence
    for filter_name, good in [("top_k", "1,000"), ("top_p", "0.9"), ("temperature", "0.7"), ("top_k", "50")]:
        type_into(page, "#mine", filter_name, good)
        assert page.locator(f"#mine [data-filter={filter_name}] .problem").text_content() == ""
    assert len(said(page, "#mine")) == 4


def test_a_large_number_is_typed_as_people_write_it(page):
    box = page.locator("#mine [data-filter=top_k] input[type=text]")
    type_into(page, "#mine", "top_k", "1,000")
    page.wait_for_function("() => document.querySelector('#mine svg').textContent.includes('1000 · yours')")
    assert box.input_value() == "1000"
    type_into(page, "#mine", "top_k", "50")


def test_keyboard_moves_the_learners_functions(page, lab_server, record):
    before = page.locator("#mine svg").text_content()
    times = sweep(page, "#mine", KERNEL_BUDGET, lab_server)
    page.keyboard.press("ArrowLeft")
    wait_until_said(page, "#mine", "temperature")
    page.wait_for_timeout(1_000)
    slider = page.locator("#mine [data-filter=temperature] input[type=range]")
    assert float(slider.input_value()) == pytest.approx(0.65), "no press is lost, no older value comes back"
    page.wait_for_function("() => document.querySelector('#mine svg').textContent.includes('0.65 · yours')")
    assert page.locator("#mine svg").text_content() != before
    record("SamplingLab with own functions", {"key_to_paint_ms": times})
    within(times, KERNEL_BUDGET)


def test_draws_order_and_table_with_own_functions(page):
    lab = page.locator("#mine")
    lab.get_by_role("button", name="Draw 1000").click()
    page.wait_for_function("() => document.querySelector('#mine .status').textContent.includes('1,000 drawn')")
    page.wait_for_function("() => document.querySelectorAll('#mine .drawn').length > 3")
    lab.get_by_role("button", name="apply min_p one step earlier").press("Enter")
    page.wait_for_function("() => document.querySelector('#mine .control:nth-child(3)').dataset.filter === 'min_p'")
    page.wait_for_function("() => document.querySelectorAll('#mine svg .head')[6].textContent === 'min_p'")
    lab.locator("summary").click()
    page.wait_for_function("() => document.querySelectorAll('#mine table tr').length === 13")
    assert "removed here" in lab.locator("table").text_content()
    lab.locator("summary").click()


def test_tab_reaches_every_control(page):
    lab = page.locator("#mine")
    controls = lab.locator("input, button, summary")
    lab.locator("input").first.focus()
    reached = 1
    for _ in range(controls.count() - 1):
        page.keyboard.press("Tab")
        reached += page.evaluate("() => document.activeElement.closest('#mine') !== null")
    assert reached == controls.count()
    assert lab.locator("input:not([aria-label])").count() == 0


def test_screenshots_light_and_dark(page, artifacts):
    def shoot(name):
        page.locator("#mine").scroll_into_view_if_needed()
        page.wait_for_timeout(400)
        page.locator("#mine").screenshot(path=artifacts / f"lesson-11-{name}.png")

    shoot("light-1300")
    page.set_viewport_size({"width": 700, "height": 900})
    shoot("light-700")
    page.set_viewport_size({"width": 1300, "height": 900})
    choose_from_menu(page, "Settings", "Theme", "JupyterLab Dark")
    page.wait_for_selector("body[data-jp-theme-light='false']", state="attached")
    shoot("dark-1300")
    choose_from_menu(page, "Settings", "Theme", "JupyterLab Light")
    page.wait_for_selector("body[data-jp-theme-light='true']", state="attached")


def test_another_prompt_runs_and_a_broken_function_is_named(page):
    """What the lesson invites to: change the prompt, break a function, run the cell again."""
    lab = page.locator("#mine")
    assert "→ ?" in lab.locator(".prompt").text_content()
    run_in_the_prompt_cell(
        page,
        "my_prompt = 1\n\ndef broken(logits, top_k):\n    return logits.top(top_k)\n\n"
        'SamplingLab(record_next_token(smollm, "你好 🙂"), own={"top_k": broken}, top_k=5)',
    )
    page.wait_for_function(
        "() => [...document.querySelectorAll('.sampling-lab')].some((lab) => lab.textContent.includes("
        "\"✗ your top_k stopped in its line 2 with AttributeError: 'Tensor' object has no attribute 'top'\"))"
    )


def test_budgets_at_20_60_and_200_tokens(page, lab_server, record, artifacts):
    """The picture shows twelve tokens whatever the prompt; the prompt above it grows. Page and kernel, both."""
    run_in_the_prompt_cell(page, "my_prompt = 2\n" + SCRATCH)
    page.wait_for_function(
        "() => [...document.querySelectorAll('.sampling-lab[data-drawn]')]"
        ".filter((lab) => lab.textContent.includes('␣word0')).length === 6"
    )
    sizes = (20, 60, 200)
    page.evaluate(
        """names => [...document.querySelectorAll(".sampling-lab")].filter((lab) => lab.textContent.includes("␣word0"))
                    .forEach((lab, place) => { lab.id = names[place]; })""",
        [f"{kind}-{tokens}" for kind in ("page", "kernel") for tokens in sizes],
    )
    page.wait_for_timeout(2_000)  # six new labs are laid out; a key is pressed after that
    for kind, budget, widget, through in [
        ("page", PAGE_BUDGET, "SamplingLab", None),
        ("kernel", KERNEL_BUDGET, "SamplingLab with own functions", lab_server),
    ]:
        times = {str(tokens): sweep(page, f"#{kind}-{tokens}", budget, through) for tokens in sizes}
        record(widget, {"key_to_paint_ms_by_prompt_tokens": times})
        for numbers in times.values():
            within(numbers, budget)
    page.locator("#page-200").screenshot(path=artifacts / "lesson-11-200-tokens.png")


def test_a_new_kernel_is_said_and_a_seed_needs_none(page):
    """Last: the kernel of this page is gone after it. The lab with own functions and the plain one."""
    page.wait_for_function("() => !document.querySelector('.sampling-lab.running')")
    labs = {name: page.locator(f"#{place}-20") for name, place in (("plain", "page"), ("own", "kernel"))}
    labs["plain"].get_by_role("button", name="Draw 1000").click()
    drawn = labs["plain"].locator(".status").text_content()
    choose_from_menu(page, "Kernel", "Restart Kernel…")
    page.click(".jp-Dialog .jp-mod-accept")
    page.wait_for_selector(".jp-Dialog", state="detached")
    seed = labs["plain"].get_by_label("seed, exact value")
    seed.fill("5")
    seed.press("Enter")
    slider = labs["own"].locator("[data-filter=top_p] input[type=range]")
    slider.focus()
    page.keyboard.press("ArrowLeft")
    for lab in labs.values():
        expect(lab.locator(".kernel")).to_have_text("The kernel that made this is gone: run this cell again.")
        assert "Running" not in lab.locator(".status").text_content()
    expect(labs["plain"].locator(".status")).not_to_have_text(drawn)
    assert " ◆ 1,000 drawn: " in labs["plain"].locator(".status").text_content()
    assert seed.input_value() == "5"
    assert "older" in labs["own"].get_attribute("class")
    assert slider.evaluate("(slider) => slider === document.activeElement")
    # A server that is stopped while a kernel starts waits for it.
    page.wait_for_selector("#jp-bottom-panel >> text=Python 3 (ipykernel) | Idle")


def test_nobody_was_asked_outside(page, outside_requests):
    assert page.url.startswith("http://127.0.0.1")
    assert outside_requests == []
