"""Every widget in one notebook: shortcuts, the focus, input methods, an interrupt, and a kernel that goes away."""

import json
import time

import pytest
from jupyter_client import BlockingKernelClient
from playwright.sync_api import expect

from course_utils.machine import ROOT
from tests.browser.conftest import (
    PATIENCE,
    choose_from_menu,
    guarded_page,
    open_and_run,
    scratch_notebook,
    serve_lab,
)

pytestmark = pytest.mark.browser

IMPORTS = """
import time
from functools import partial
from course_utils.learner import predict, quiz_question
from course_utils.models import load_causal_lm, load_encoder
from course_utils.models.pipelines import load_pipeline
from course_utils.traces import *
from course_utils.widgets import *
"""
SETUP = f"""{IMPORTS}
smollm, minilm, prompt = load_causal_lm(), load_encoder(), "The capital of France is"
"""
# The class of a widget on the page, and the cell that opens it.
WIDGETS = {
    "explorer": "next_token_explorer(partial(record_surprisals, smollm), prompt, bars=5)",
    "stepper": "tokenizer_stepper([smollm], 'Tokenization')",
    "embedding-map": "embedding_map(minilm, ['a cat', 'a kitten', 'a bridge'])",
    "xray": "pipeline_xray(load_pipeline('sentiment-analysis'), 'Good!')",
    "mask-lab": "mask_lab(partial(record_masks, smollm), ['Hello', 'Hi there'], padding='right')",
    "attention-explorer": "attention_explorer(minilm, 'the river bank')",
    "cache-stepper": "cache_stepper(smollm, prompt, max_new_tokens=3)",
    "sampling-lab": "SamplingLab(record_next_token(smollm, prompt), own={'top_k': lambda logits, k: logits})",
    "repetition-lab": "repetition_lab(smollm, prompt, max_new_tokens=4)",
    "beam-tree": "beam_tree(smollm, prompt, num_beams=2, steps=2)",
    "speed-lab": "speed_lab(smollm, prompt=16, new_tokens=2)",
    "memory-calculator": "MemoryCalculator()",
    "question": "predict('every-widget', 'Which?', ['this', 'that'])",
}
# Widgets whose page can go on without a kernel: nothing in them waits for it.
ALONE = {"memory-calculator"}
# What runs something, and is quick.
RUNS = {
    "explorer": "Run",
    "stepper": "Tokenize",
    "xray": "Run",
    "mask-lab": "Run",
    "attention-explorer": "Run",
    "cache-stepper": "Run",
    "sampling-lab": "Draw 1000",
    "repetition-lab": "Run",
    "beam-tree": "Search again",
    "speed-lab": "Measure here",
}
SLOW = """
from course_utils.widgets import PipelineXray
def slow(text):
    end = time.monotonic() + (600 if text == "slow" else 0)
    while time.monotonic() < end:
        time.sleep(0.05)
    return record_pipeline(load_pipeline("sentiment-analysis"), text)
PipelineXray(slow("first"), slow)
"""
# A widget of which the page has nothing but its model.
PROBE = """
import anywidget, traitlets
class Probe(anywidget.AnyWidget):
    _esm = "export default { render({ model }) { window.realModel = model; } }"
    n = traitlets.Int(0).tag(sync=True)
    list = traitlets.List([1, 2]).tag(sync=True)
    text = traitlets.Unicode().tag(sync=True)
    data = traitlets.Any(bytes([1, 2])).tag(sync=True)
    asked = traitlets.List([0]).tag(sync=True)
    answered = traitlets.Int(0).tag(sync=True)
    problem = traitlets.Unicode().tag(sync=True)
    def __init__(self):
        super().__init__()
        self.on_msg(self.tell)
        self.observe(self.reply, "asked")
    def tell(self, _widget, content, _buffers):
        layers = [layer for layer, _ in content["ask"]]
        packets = [{"layer": layer, "version": content["version"]} for layer in layers]
        self.send({"packets": packets}, [bytes([5 + layer] * 3) for layer in layers])
    def reply(self, change):
        self.send({"begun": change["new"][0]})
        with self.hold_sync():
            self.text, self.answered = "the answer", change["new"][0]
Probe()
"""
NOTE_KEYS = "() => window.addEventListener('keydown', (event) => (window.lastKey = event), true)"
# JupyterLab takes a key by preventing what the browser would do with it.
TAKEN = "() => [window.lastKey.key, window.lastKey.defaultPrevented]"
CONTROLS = "input, textarea, select, button, summary"


@pytest.fixture(scope="module")
def page(browser, lab_server, outside_requests):
    scratch_notebook(lab_server, "every_widget", SETUP, *WIDGETS.values(), SLOW, PROBE)
    drawn = f"document.querySelectorAll('.course-widget[data-drawn]').length === {len(WIDGETS) + 1}"
    page = open_and_run(browser, lab_server, outside_requests, "every_widget", drawn)
    page.evaluate(NOTE_KEYS)
    return page


def root_of(page, name):
    return page.locator(f".course-widget.{name}").first


def settle(page, root):
    """Wait until the widget has its answer."""
    page.wait_for_function("(root) => !root.classList.contains('running')", arg=root.element_handle())


def enabled(root):
    """One visible control of each kind and class, which is enough of those that are alike."""
    return root.evaluate(
        """(root, controls) => {
          const seen = new Set(), found = [];
          [...root.querySelectorAll(controls)].forEach((control, place) => {
            const kind = [control.tagName, control.type, control.className].join();
            if (control.disabled || !control.getClientRects().length || seen.has(kind)) return;
            seen.add(kind);
            found.push(place);
          });
          return found;
        }""",
        CONTROLS,
    )


HEARD = """
async (text) => {
  const first = { n: 0, list: [1, 2], text: "", data: window.realModel.get("data") };
  const { heard } = await import(URL.createObjectURL(new Blob([text], { type: "text/javascript" })));
  return heard(() => {
    window.realModel.off();
    window.realModel.set(first);
    return window.realModel;
  });
}
"""


def test_a_model_in_jupyterlab_keeps_the_promises_that_pages_without_a_kernel_keep(page):
    """tests/js/live.test.mjs asks the stand-in for the same."""
    page.wait_for_function("() => window.realModel")
    heard = page.evaluate(HEARD, (ROOT / "tests" / "js" / "model_events.mjs").read_text())
    assert len(heard) > 8
    for one in heard:
        assert one["said"] == one["says"], one["name"]


def run_in_kernel(lab_server, code):
    """Run `code` in the notebook's kernel, as a cell would, and return what it prints."""
    command, said = kernel_of(lab_server).cmdline(), []
    client = BlockingKernelClient(connection_file=command[command.index("-f") + 1])
    client.load_connection_file()
    client.start_channels()
    try:
        client.wait_for_ready(PATIENCE)
        reply = client.execute_interactive(code, store_history=False, output_hook=said.append, timeout=PATIENCE)
    finally:
        client.stop_channels()
    assert reply["content"]["status"] == "ok", reply["content"]
    return "".join(one["content"]["text"] for one in said if one["content"].get("name") == "stdout")


# A page without a kernel and JupyterLab are compared by traits that are no bytes. What is asked needs the kernel, and
# so does the beam tree's story, which the page leaves out when it's of other settings. The memory is another machine's.
ASKED = {"asked", "answered", "can_run", "problem", "story", "told", "devices"}
KERNEL = f"""
import json
from pathlib import Path
from ipywidgets import Widget
from course_utils.publishing.live.assets import live_html
from course_utils.widgets.base import CourseWidget
alive = dict(zip({list(WIDGETS)}, (one for one in Widget.widgets.values() if isinstance(one, CourseWidget))))
ASKED = {ASKED | {"layout", "tabbable", "tooltip"}}
def state_of(widget):
    state = widget.get_state()
    return {{name: state[name] for name in state if name[0] != "_" and name not in ASKED}}
def tell(values):
    print(json.dumps(values, default=lambda _: {{}}))
first = {{name: (state_of(widget), widget.describe()) for name, widget in alive.items()}}
"""
LATER = """
tell({name: (state_of(widget), widget.describe()) for name, widget in alive.items()})
"""
# Put every widget back, and then where the page without a kernel is; what does it say?
COPY = """
said = {}
for name, state in json.loads(%r).items():
    widget, (before, text) = alive[name], first[name]
    changed = {one: value for one, value in state.items() if before[one] != value and value != {}}
    widget.set_state({one: before[one] for one in changed})
    assert widget.describe() == text, name
    widget.set_state(changed)
    said[name] = widget.describe()
tell(said)
"""
LIVE_STATES = "() => [...courseLive.models].map(([place, model]) => [place.dataset.live, model.state])"
# The first control of each kind that both have, and the keys for it; buttons run something, or begin to play.
PLAN = """
(root, controls) => {
  const keys = { range: "ArrowLeft ArrowLeft ArrowRight ArrowLeft", "select-one": "ArrowDown",
                 radio: "Space", checkbox: "Space", number: "ArrowUp" };
  const plan = {};
  [...root.querySelectorAll(controls)].forEach((one, place) => {
    const usable = keys[one.type] && !one.matches(":disabled") && one.checkVisibility();
    if (!usable || (one.type === "radio" && one.checked)) return;
    plan[one.type] ??= [place, one.className, keys[one.type].split(" ")];
  });
  return Object.entries(plan);
}
"""


def test_the_same_keys_do_the_same_on_a_page_without_a_kernel(page, browser, lab_server, outside_requests, tmp_path):
    file, problems = tmp_path / "live.html", []
    run_in_kernel(lab_server, KERNEL + f"Path({str(file)!r}).write_text(live_html(alive), encoding='utf-8')")
    still = guarded_page(browser, outside_requests, viewport={"width": 1000, "height": 900})
    still.on("pageerror", lambda error: problems.append(str(error)))
    still.goto(file.as_uri())
    for name in WIDGETS:
        still.locator(f".live[data-live='{name}']").evaluate("(place) => place.previousElementSibling.scrollIntoView()")
        root = still.locator(f".live[data-live='{name}'] .course-widget")
        root.wait_for()
        for kind, (place, of_class, keys) in root.evaluate(PLAN, CONTROLS):
            for where, one in ((still, root), (page, root_of(page, name))):
                control = one.locator(CONTROLS).nth(place)
                assert control.evaluate("(one) => [one.type, one.className]") == [kind, of_class], name
                where.bring_to_front()  # a page behind another one gets no keys
                control.focus()
                for key in keys:
                    where.keyboard.press(key)
    states = {
        name: {one: value for one, value in state.items() if one[0] != "_" and one not in ASKED}
        for name, state in still.evaluate(LIVE_STATES)
    }
    end = time.monotonic() + 30
    while True:  # until the kernel has heard of the last key
        kernel = json.loads(run_in_kernel(lab_server, LATER))
        differ = {
            name: {one: (value, kernel[name][0][one]) for one, value in state.items() if value != kernel[name][0][one]}
            for name, state in states.items()
        }
        if not any(differ.values()) or time.monotonic() > end:
            break
    assert not any(differ.values()), differ
    said = json.loads(run_in_kernel(lab_server, COPY % json.dumps(states)))
    assert said == {name: text for name, (_, text) in kernel.items()}
    assert problems == []
    still.context.close()


@pytest.mark.parametrize("name", WIDGETS)
def test_ctrl_s_saves_from_every_control(page, name):
    root = root_of(page, name)
    places = enabled(root)
    assert places
    for place in places:
        control = root.locator(CONTROLS).nth(place)
        control.focus()
        page.keyboard.press("Control+s")
        assert page.evaluate(TAKEN) == ["s", True], control.evaluate("(c) => c.outerHTML")


@pytest.mark.parametrize("name", WIDGETS)
def test_plain_keys_stay_with_the_widget(page, name):
    root = root_of(page, name)
    for place in enabled(root):
        control = root.locator(CONTROLS).nth(place)
        control.focus()
        for key in ("ArrowDown", "ArrowUp", "m"):  # to JupyterLab: the next cell, the one before, and make it text
            page.keyboard.press(key)
            assert root.evaluate("(root) => root.closest('.jp-CodeCell').matches('.jp-mod-active')"), (key, place)
        settle(page, root)


@pytest.mark.parametrize("name", WIDGETS)
def test_the_focus_stays_when_a_control_was_used(page, name):
    root = root_of(page, name)
    for place in enabled(root):
        control = root.locator(CONTROLS).nth(place)
        if control.evaluate("(c) => !c.matches('button, summary') || c.disabled || /Measure/.test(c.textContent)"):
            continue
        control.focus()
        page.keyboard.press("Space")
        page.wait_for_timeout(100)
        settle(page, root)
        page.wait_for_timeout(100)
        assert page.evaluate("() => document.activeElement.closest('.course-widget') !== null"), (name, place)


@pytest.mark.parametrize("name", WIDGETS)
def test_shift_enter_runs_the_cell_after_a_control_was_used(page, name):
    root = root_of(page, name)
    cell = page.locator(".jp-CodeCell", has=root)
    before = cell.locator(".jp-InputPrompt").first.text_content()
    controls = root.locator("button:enabled, summary, input:enabled")
    (controls.first if controls.count() else root).focus()  # a prediction that is kept has none
    page.keyboard.press("Shift+Enter")
    page.wait_for_function(
        "([cell, before]) => /\\d/.test(cell.querySelector('.jp-InputPrompt').textContent)"
        " && cell.querySelector('.jp-InputPrompt').textContent !== before",
        arg=[cell.element_handle(), before],
    )
    root_of(page, name).locator(CONTROLS).first.wait_for(state="attached")
    page.wait_for_selector(f".course-widget.{name}[data-drawn]")


@pytest.mark.parametrize("name", [name for name in RUNS if name not in ("sampling-lab", "speed-lab")])
def test_the_enter_that_ends_a_word_runs_nothing(page, name):
    root = root_of(page, name)
    box = root.locator("input[type=text], input:not([type]), textarea").first
    box.focus()
    asked = root.evaluate(
        """async (root) => {
          const seen = [], watch = new MutationObserver(() => seen.push(root.className));
          watch.observe(root, { attributes: true, attributeFilter: ["class"] });
          const box = root.querySelector("input[type=text], input:not([type]), textarea");
          const composing = { isComposing: true }, old = { keyCode: 229 };
          for (const how of [composing, old])
            box.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true, ...how }));
          await new Promise((done) => setTimeout(done, 300));
          watch.disconnect();
          return seen;
        }"""
    )
    assert asked == []


def test_an_endless_run_can_be_stopped_on_the_page_and_from_the_menu(page):
    root = page.locator(".course-widget.xray").last
    box, status, note = root.locator("input[type=text]"), root.locator(".status"), root.locator(".problem.kernel")
    for stop in ("button", "menu"):
        box.fill("slow")
        box.press("Enter")
        if stop == "button":
            box.press("Enter")  # impatience: one Stop is for both
        expect(status).to_contain_text("Running")
        expect(root.locator(".seconds")).to_contain_text("s")
        if stop == "button":
            root.locator(".stop").click()
        else:
            choose_from_menu(page, "Kernel", "Interrupt Kernel")
        expect(status).to_have_text("Stopped. What you see below is from before.")
        expect(status).to_have_class("status problem")
        expect(note).to_have_text("")
        box.fill("first")
        box.press("Enter")
        expect(status).to_contain_text("“\u2068first\u2069”")


def test_a_busy_kernel_is_said_and_the_answer_still_comes(page):
    root = page.locator(".course-widget.xray").last
    box, note = root.locator("input[type=text]"), root.locator(".problem.kernel")
    cell = page.locator(".jp-CodeCell").last
    cell.locator(".cm-content").click()
    page.keyboard.press("Escape")
    page.keyboard.press("b")
    page.keyboard.press("Enter")
    page.keyboard.type("time.sleep(6)")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status='busy']", state="attached")
    box.fill("later")
    box.press("Enter")
    expect(note).to_have_text("No answer yet: the kernel is busy. If you have restarted it, run this cell again.")
    expect(root.locator(".status")).to_contain_text("later\u2069”")
    expect(note).to_have_text("")


def notes(page):
    return page.evaluate(
        "() => [...document.querySelectorAll('.course-widget')].map((root) => "
        "[root.className, root.querySelector('.kernel')?.textContent, root.querySelector('.status')?.textContent])"
    )


GONE = "The kernel that made this is gone: run this cell again."
LOST = "The Jupyter server doesn't answer. If it was stopped, start it again, reload this page and run its cells."
SECONDS = 2  # until a kernel or a server that is gone is said
# The page's own clock: it knows nothing of how long a test takes to click, or to look.
CLOCK = """
([roots, said]) => {
  window.clicked = 0;
  window.saidAt = [];
  window.addEventListener("click", () => (window.clicked = Date.now()), true);
  for (const note of document.querySelectorAll(`${roots} .kernel`)) {
    const look = () => note.textContent === said && window.saidAt.push(Date.now());
    new MutationObserver(look).observe(note, { childList: true, characterData: true, subtree: true });
  }
}
"""


def said_within_two_seconds(page, notes=1, since=None):
    """Wait until so many notes have said what `CLOCK` looks for; hold the last against the click, or `since`."""
    page.wait_for_function("(count) => window.saidAt.length >= count", arg=notes)
    start = page.evaluate("() => window.clicked") if since is None else since * 1000
    assert max(page.evaluate("() => window.saidAt")) - start < SECONDS * 1000


def kernel_of(lab_server):
    processes = lab_server["process"].children(recursive=True)
    return next(process for process in processes if "ipykernel" in " ".join(process.cmdline()))


def run_cells(page, *numbers):
    for number in numbers:
        page.locator(".jp-CodeCell").nth(number).locator(".cm-content").click()
        page.keyboard.press("Control+Enter")


def test_a_restarted_kernel_is_said_by_every_widget_within_two_seconds(page):
    """After it, all widgets are dead."""
    choose_from_menu(page, "Kernel", "Restart Kernel…")
    page.evaluate(CLOCK, [".course-widget", GONE])
    page.click(".jp-Dialog button:has-text('Restart')")
    said_within_two_seconds(page, notes=len(WIDGETS) + 1 - len(ALONE))
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status='idle']", state="attached")
    for name, label in RUNS.items():
        root = root_of(page, name)
        root.locator(f"button:has-text('{label}')").first.click()
        page.wait_for_timeout(200)
        assert "running" not in root.get_attribute("class")
        assert "Running" not in (root.locator(".status").first.text_content() or "")
        assert root.locator(".kernel").text_content() == GONE, notes(page)


def test_a_killed_kernel_is_said_within_two_seconds(page, lab_server):
    """A kernel that the system kills, because no memory is left, says nothing itself: the page must notice."""
    run_cells(page, 0, 1)
    root = root_of(page, "explorer")
    expect(root.locator(".kernel")).to_have_text("")
    page.evaluate(CLOCK, [".explorer", GONE])
    kernel_of(lab_server).kill()
    root.locator("button:has-text('Run')").first.click()
    said_within_two_seconds(page)
    agree_that_it_died(page)


def agree_that_it_died(page):
    """Close JupyterLab's own note, and wait for the next kernel."""
    page.click(".jp-Dialog:has-text('appears to have died') button:has-text('Ok')")
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status='idle']", state="attached")


def slow_run(page):
    """Begin something that doesn't end in the last widget."""
    root = page.locator(".course-widget.xray").last
    expect(root.locator(".kernel")).to_have_text("")
    box = root.locator("input[type=text]")
    box.fill("slow")
    box.press("Enter")
    expect(root.locator(".stop")).to_be_visible()
    return root


def test_a_kernel_that_is_killed_at_work_is_said_within_two_seconds(page, lab_server):
    run_cells(page, 0, len(WIDGETS) + 1)
    root = slow_run(page)
    page.evaluate(CLOCK, [".xray", GONE])
    start = time.time()
    kernel_of(lab_server).kill()
    said_within_two_seconds(page, since=start)
    assert "running" not in root.get_attribute("class")
    agree_that_it_died(page)


def test_a_server_that_is_gone_is_said_within_some_seconds(browser, outside_requests, tmp_path):
    """With its kernels, while something runs; and when something is asked after that."""
    (tmp_path / "notebooks").mkdir()
    with serve_lab(tmp_path) as server:
        scratch_notebook(server, "lost", IMPORTS, SLOW)
        drawn = "document.querySelectorAll('.course-widget[data-drawn]').length === 1"
        page = open_and_run(browser, server, outside_requests, "lost", drawn)
        root = slow_run(page)
        page.evaluate(CLOCK, [".xray", LOST])
        start = time.time()
        for process in [*server["process"].children(recursive=True), server["process"]]:
            process.kill()
        said_within_two_seconds(page, since=start)
        assert "running" not in root.get_attribute("class")
        page.evaluate(CLOCK, [".xray", LOST])
        # Not with the mouse: JupyterLab puts its own note over the page, and puts it there again.
        root.locator("button:has-text('Run')").first.dispatch_event("click")
        expect(root.locator(".problem.kernel")).to_have_text(LOST)
        said_within_two_seconds(page)


def test_nobody_was_asked_outside(outside_requests):
    assert outside_requests == []
