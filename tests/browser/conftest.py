"""A real JupyterLab on loopback and a real browser in front of it that may talk to nobody else."""

import base64
import itertools
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlparse

import nbformat
import psutil
import pytest
from playwright.sync_api import TimeoutError, expect, sync_playwright

from course_utils.machine import QUIET_LAB, ROOT
from tests.notebook_parts import part_of

ARTIFACTS = ROOT / "test-artifacts"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
PATIENCE = 300  # seconds: on a slow machine everything takes long, but only what hangs takes as long as this


# Not for the whole session: as long as Playwright runs, its event loop runs in this thread, and no other one can.
@pytest.fixture(scope="module")
def browser(browser_path):
    expect.set_options(timeout=PATIENCE * 1000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def one_lab(tmp_path_factory):
    """One JupyterLab for every module: starting it takes seconds."""
    with serve_lab(tmp_path_factory.mktemp("lab")) as server:
        yield server


@pytest.fixture(scope="module")
def lab_server(one_lab):
    """JupyterLab over a copy of the notebooks (a run in the browser saves them), for a learner who starts today.

    What the module before answered, joined or wrote is gone: which module that is, is chance.
    """
    for name in ("notebooks", "exercises", "solutions", one_lab["home"].name):
        shutil.rmtree(one_lab["folder"] / name, ignore_errors=True)
    for name in ("notebooks", "exercises"):
        # A save that was under way may have put a file there again.
        shutil.copytree(ROOT / name, one_lab["folder"] / name, dirs_exist_ok=True)
    return one_lab


@contextmanager
def serve_lab(folder, command=("jupyterlab", *QUIET_LAB)):
    """JupyterLab, as the course starts it, over `folder`, which gets its settings and its log, too.

    With another `command`, such as `["notebook"]`, the server that someone starts by hand.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {name: str(folder / name) for name in ("COURSE_HOME", "JUPYTER_CONFIG_DIR", "JUPYTERLAB_SETTINGS_DIR")}
    settings["JUPYTERLAB_WORKSPACES_DIR"] = str(folder / "workspaces")
    command = [sys.executable, "-m", *command, "--no-browser", "--allow-root", f"--ServerApp.port={port}"]
    command += ["--ServerApp.port_retries=0", "--IdentityProvider.token=", f"--ServerApp.root_dir={folder}"]
    command += ["--ServerApp.disable_check_xsrf=True"]  # the tests stop kernels without a page
    with (folder / "lab.log").open("w") as log:
        server = subprocess.Popen(command, env={**os.environ, **settings}, stdout=log, stderr=subprocess.STDOUT)
        address = f"http://127.0.0.1:{port}"
        try:
            _wait_for(f"{address}/api/status", server, folder / "lab.log")
            home = Path(settings["COURSE_HOME"])
            yield {"address": address, "folder": folder, "home": home, "process": psutil.Process(server.pid)}
        finally:
            server.terminate()
            server.wait(PATIENCE)


def _wait_for(address, server, log):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        assert server.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(address, timeout=PATIENCE)
        except urllib.error.URLError:
            time.sleep(0.5)
        else:
            return
    pytest.fail(f"JupyterLab did not answer in {PATIENCE} s: " + log.read_text())


@pytest.fixture(scope="session")
def outside_requests():
    """Every request that tried to leave the machine; the tests assert that there is none."""
    return []


def guarded_page(browser, outside_requests, **options):
    """A page whose requests reach loopback only."""
    context = browser.new_context(**options)
    context.set_default_timeout(PATIENCE * 1000)

    def guard(route):
        address = urlparse(route.request.url)
        if address.scheme in ("data", "blob", "file") or address.hostname in ("127.0.0.1", "localhost"):
            route.continue_()
        else:
            outside_requests.append(route.request.url)
            route.abort()

    context.route("**/*", guard)
    return context.new_page()


def choose_from_menu(page, menu, *items):
    """Open `menu` of the menu bar and click through `items`."""
    page.click(f".lm-MenuBar-itemLabel:text-is('{menu}')")
    for item in items[:-1]:
        page.hover(f".lm-Menu-itemLabel:text-is('{item}')")
    page.click(f".lm-Menu-itemLabel:text-is('{items[-1]}')")


# Cells, the kernel's state and the first outputs: what a person would look at when a lesson does not run.
NOTEBOOK_STATE = """
() => ({
  kernel: document.querySelector("#jp-bottom-panel")?.textContent,
  prompts: [...document.querySelectorAll(".jp-InputPrompt")].map((prompt) => prompt.textContent),
  dialog: document.querySelector(".jp-Dialog")?.textContent,
  errors: [...document.querySelectorAll("[data-mime-type='application/vnd.jupyter.error']")].map((e) => e.textContent),
})
"""
STARTED = (
    "() => [...document.querySelectorAll('.jp-InputPrompt')].some((prompt) => /\\[[*\\d]/.test(prompt.textContent))"
)


def run_all_cells(page, lab_server, is_running=STARTED):
    """Run every cell once its kernel is there: before, JupyterLab would ask which one to take."""
    end = time.monotonic() + PATIENCE
    while _kernel_states(lab_server) != ["idle"]:
        assert time.monotonic() < end, _kernel_states(lab_server)
        page.wait_for_timeout(1_000)
    choose_from_menu(page, "Run", "Run All Cells")
    try:
        page.wait_for_function(is_running, timeout=15_000)
    except TimeoutError:
        # A busy page can hear of the kernel, or bring the notebook forward, after the click: a person clicks again.
        page.keyboard.press("Escape")
        choose_from_menu(page, "Run", "Run All Cells")
        page.wait_for_function(is_running)


def _kernel_states(lab_server):
    with urllib.request.urlopen(f"{lab_server['address']}/api/sessions") as answer:
        return [session["kernel"]["execution_state"] for session in json.load(answer)]


def _stop(session):
    """Stop the kernel of a session; the server cannot while the kernel is still starting, and then answers 500."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            urllib.request.urlopen(urllib.request.Request(session, method="DELETE")).close()
            return
        except urllib.error.HTTPError as problem:
            if problem.code == 404:  # the try before did it after all
                return
            if time.monotonic() > end:
                raise
            time.sleep(1)


def _leave_everything(browser, lab_server):
    """Close every page, stop every kernel, forget workspace and theme.

    JupyterLab would open the last lesson again beside the next; two pages that save one file end in a dialog.
    """
    for context in browser.contexts:
        context.close()
    sessions = f"{lab_server['address']}/api/sessions"
    with urllib.request.urlopen(sessions) as answer:
        running = json.load(answer)
    for session in running:
        _stop(f"{sessions}/{session['id']}")
    for name in ("workspaces", "JUPYTERLAB_SETTINGS_DIR"):
        shutil.rmtree(lab_server["folder"] / name, ignore_errors=True)


def open_and_run(browser, lab_server, outside_requests, lesson, drawn, width=1000, folder="notebooks"):
    """Open `lesson`, run every cell, and wait until the JavaScript condition `drawn` holds and the kernel is idle."""
    _leave_everything(browser, lab_server)
    page = guarded_page(browser, outside_requests, viewport={"width": width, "height": 900})
    page.goto(f"{lab_server['address']}/lab/tree/{folder}/{lesson}.ipynb")
    try:
        # The indicator says idle before there is a kernel; the status bar does not.
        page.wait_for_selector("#jp-bottom-panel >> text=Python 3 (ipykernel) | Idle")
        run_all_cells(page, lab_server)
        page.wait_for_function(f"() => {drawn}", timeout=3 * PATIENCE * 1000)  # a whole lesson
        page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status='idle']", state="attached")
    except TimeoutError as problem:
        ARTIFACTS.mkdir(exist_ok=True)
        page.screenshot(path=ARTIFACTS / f"{lesson}-did-not-run.png")
        log = (lab_server["folder"] / "lab.log").read_text()[-3000:]
        pytest.fail(f"{lesson} did not run: {problem}\n{page.evaluate(NOTEBOOK_STATE)}\n{log}")
    return page


def lesson_part(lab_server, lesson, wanted, *more):
    """Put the cells of `lesson` that match `wanted`, with all that they need, beside it; return the name to open.

    `more` are cells of the test, which come after them: one kernel is enough for both.
    """
    notebook = nbformat.read(lab_server["folder"] / "notebooks" / f"{lesson}.ipynb", as_version=4)
    scratch_notebook(lab_server, f"{lesson}_part", *part_of(notebook, wanted), *more)
    return f"{lesson}_part"


def scratch_notebook(lab_server, name, *cells):
    """Put a notebook of the code `cells` beside the lessons, to be opened as `name`."""
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell, id=f"cell{number}") for number, cell in enumerate(cells)],
        # Without it JupyterLab asks which kernel to take.
        metadata={"kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}},
    )
    nbformat.write(notebook, lab_server["folder"] / "notebooks" / f"{name}.ipynb")


def assert_no_errors(page):
    """Every cell of the notebook came to its end, said no warning, and what it shows is there."""
    assert page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.error']").count() == 0
    assert page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr']").count() == 0
    assert page.get_by_text("Error displaying widget").count() == 0


# A widget's own module and state on an empty page; the only stand-in is the part that carries state to a kernel.
ALONE = """
async ([code, style, state, binary, status]) => {
  const deaf = { connect() {}, disconnect() {} };
  const kernel = status && { id: "one", status, statusChanged: deaf, disposed: deaf };
  document.body.innerHTML = "<style></style><div></div>";
  document.querySelector("style").textContent = style;
  for (const [name, text] of Object.entries(binary))
    state[name] = new DataView(Uint8Array.from(atob(text), (character) => character.charCodeAt(0)).buffer);
  const heard = [];
  const model = {
    get: (name) => state[name],
    set(name, value) {
      state[name] = value;
      const events = ["change", "change:" + name];
      for (const [names, call] of heard) if (names.split(" ").some((one) => events.includes(one))) call();
    },
    save_changes() {},
    send() {},
    on: (names, call) => heard.push([names, call]),
    off() {},
    widget_manager: kernel && { kernel },
  };
  window.model = model;
  const module = await import(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
  window.draw = () => module.default.render({ model, el: document.querySelector("div") });
}
"""
DRAW = """
() => {
  const start = performance.now();
  window.draw();
  return new Promise((done) => requestAnimationFrame(() => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => done(performance.now() - start);
    port2.postMessage(null);
  }));
}
"""


def work_of(page, lab_server=None):
    """Return a function that says how many milliseconds of processor `page` has taken in its main thread until now.

    With `lab_server`, what JupyterLab and its kernels have taken comes on top. Beside a busy process everything waits
    longer, but nothing has more to do: so tests hold the work against the budgets, and the clock is only recorded.
    """
    devtools = page.context.new_cdp_session(page)
    devtools.send("Performance.enable", {"timeDomain": "threadTicks"})

    def milliseconds():
        (seconds,) = (
            metric["value"]
            for metric in devtools.send("Performance.getMetrics")["metrics"]
            if metric["name"] == "TaskDuration"
        )
        if lab_server is not None:
            server = lab_server["process"]
            times = [process.cpu_times() for process in (server, *server.children(recursive=True))]
            seconds += sum(one.user + one.system for one in times)
        return seconds * 1000

    return milliseconds


def within(times, budget):
    """Hold what was measured against `budget`, in milliseconds: three times as much work is a failure.

    A page that draws by itself does so at once, and not after a pause, in which it would have no work.
    """
    assert times["work_p95"] < 3 * budget, times
    assert times.get("frames", 0) <= 2, times


def render_alone(browser, outside_requests, widget, status=None):
    """Draw `widget` on an empty page; return the page, and what `within` wants of the first paint.

    There's no kernel, or with a `status` one that hears nothing and always says that it has this status.
    """
    page = guarded_page(browser, outside_requests, viewport={"width": 1000, "height": 900})
    state = widget.get_state()
    binary = {name: base64.b64encode(value).decode() for name, value in state.items() if isinstance(value, bytes)}
    plain = {name: value for name, value in state.items() if name not in binary and name not in ("_esm", "_css")}
    page.evaluate(ALONE, [widget._esm, widget._css, plain, binary, status])
    work = work_of(page)
    before = work()
    painted = round(page.evaluate(DRAW))
    return page, {"p95": painted, "work_p95": round(work() - before)}


# From the key going down to the frame that shows the answer: the widget counts its drawings in `data-drawn`;
# a message posted inside an animation frame arrives after the frame was painted.
STOPWATCH = """
(selector) => {
  window.stopwatch?.abort();
  const { signal } = (window.stopwatch = new AbortController());
  window.keyToPaint = [];
  window.frames_until_drawn = [];
  let pressed = null, frames = 0;
  const count = () => { if (pressed !== null && !signal.aborted) { frames += 1; requestAnimationFrame(count); } };
  document.addEventListener("keydown", () => {
    if (pressed === null) requestAnimationFrame(count);
    pressed = performance.now();
    frames = 0;
  }, { capture: true, signal });
  const observer = new MutationObserver(() => {
    if (pressed === null) return;
    const start = pressed;
    pressed = null;
    window.frames_until_drawn.push(frames);
    requestAnimationFrame(() => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => window.keyToPaint.push(performance.now() - start);
      port2.postMessage(null);
    });
  });
  observer.observe(document.querySelector(selector), { attributes: true, attributeFilter: ["data-drawn"] });
  signal.addEventListener("abort", () => observer.disconnect());
}
"""


def key_to_paint(page, root, keys, budget=None, lab_server=None):
    """Press `keys` in the focused control of the widget `root`; return what that took, in milliseconds.

    The widget must draw once for every key. Returns p50 and p95 from key to paint, p95 of the work, the most frames
    that passed before a drawing, and the number of presses. With `lab_server`, JupyterLab and the kernel take part:
    their work counts, and frames pass while the page waits for them. With a `budget`, `keys` that end where they began
    are pressed up to three times while the work is over three times the budget.
    """
    for _ in range(3):
        times = _press_and_time(page, root, keys, lab_server)
        if budget is None or times["work_p95"] < 3 * budget:
            break
    return times


def _press_and_time(page, root, keys, lab_server):
    page.evaluate(STOPWATCH, root)
    work = work_of(page, lab_server)
    worked = [work()]
    for number, key in enumerate(keys):
        page.keyboard.press(key)
        page.wait_for_function(f"() => window.keyToPaint.length > {number}")
        worked.append(work())
    times = page.evaluate("() => window.keyToPaint")[: len(keys)]
    frames = max(page.evaluate("() => window.frames_until_drawn"))
    works = [after - before for before, after in itertools.pairwise(worked)]
    p50, (p95, work_p95) = statistics.median(times), (statistics.quantiles(one, n=20)[-1] for one in (times, works))
    print(
        f"{root}: key to paint over {len(keys)} presses: p50 {p50:.0f} ms, p95 {p95:.0f} ms, "
        f"work p95 {work_p95:.0f} ms, drawn after {frames} frames"
    )
    measured = {"p50": round(p50), "p95": round(p95), "work_p95": round(work_p95), "presses": len(keys)}
    return measured | ({"frames": frames} if lab_server is None else {})


# Every text that a part of a widget shows, in their order: one that is soon replaced cannot be missed.
WATCH = """
(root, selector) => {
  root.texts = [];
  root.watch?.disconnect();
  root.watch = new MutationObserver(() => {
    const text = root.querySelector(selector).textContent;
    if (text !== root.texts.at(-1)) root.texts.push(text);
  });
  root.watch.observe(root, { childList: true, characterData: true, subtree: true });
}
"""


def watch_texts(root, selector):
    """Note from now on every text of the part `selector` of the widget `root`, for `texts_of`."""
    root.evaluate(WATCH, selector)


def texts_of(root):
    """Return every text that was there since `watch_texts`."""
    return root.evaluate("root => root.texts")


@pytest.fixture(scope="session")
def artifacts():
    ARTIFACTS.mkdir(exist_ok=True)
    return ARTIFACTS


@pytest.fixture
def pictures(request, artifacts):
    """Where pictures of the class board go: with --record, into the guide."""
    return ROOT / "workshop" / "guide" / "images" if request.config.getoption("--record") else artifacts
