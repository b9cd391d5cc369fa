"""A real JupyterLab on loopback and a real browser in front of it that may talk to nobody else."""

import base64
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
import pytest
from playwright.sync_api import TimeoutError, sync_playwright

from course_utils.cli import QUIET_LAB, ROOT

ARTIFACTS = ROOT / "test-artifacts"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@pytest.fixture(scope="session")
def browser(browser_path):
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def lab_server(tmp_path_factory):
    """JupyterLab over a copy of the notebooks (a run in the browser saves them), with an empty progress file."""
    folder = tmp_path_factory.mktemp("lab")
    for name in ("notebooks", "exercises"):
        shutil.copytree(ROOT / name, folder / name)
    with serve_lab(folder) as server:
        yield server


@contextmanager
def serve_lab(folder):
    """JupyterLab over `folder`, which gets its settings and its log, too."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {name: str(folder / name) for name in ("COURSE_HOME", "JUPYTER_CONFIG_DIR", "JUPYTERLAB_SETTINGS_DIR")}
    settings["JUPYTERLAB_WORKSPACES_DIR"] = str(folder / "workspaces")
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--ServerApp.port={port}"]
    command += ["--ServerApp.port_retries=0", "--IdentityProvider.token=", f"--ServerApp.root_dir={folder}"]
    command += ["--ServerApp.disable_check_xsrf=True"]  # the tests stop kernels without a page
    with (folder / "lab.log").open("w") as log:
        server = subprocess.Popen(
            [*command, *QUIET_LAB], env={**os.environ, **settings}, stdout=log, stderr=subprocess.STDOUT
        )
        address = f"http://127.0.0.1:{port}"
        try:
            _wait_for(f"{address}/api/status", server, folder / "lab.log")
            yield {"address": address, "folder": folder, "home": Path(settings["COURSE_HOME"])}
        finally:
            server.terminate()
            server.wait(30)


def _wait_for(address, server, log):
    for _ in range(120):
        assert server.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(address, timeout=2)
        except urllib.error.URLError:
            time.sleep(0.5)
        else:
            return
    pytest.fail("JupyterLab did not answer in 60 s: " + log.read_text())


@pytest.fixture(scope="session")
def outside_requests():
    """Every request that tried to leave the machine; the tests assert that there is none."""
    return []


def guarded_page(browser, outside_requests, **options):
    """A page whose requests reach loopback only."""
    context = browser.new_context(**options)

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
    "() => [...document.querySelectorAll('.jp-InputPrompt')].some((prompt) => /\\[.+\\]/.test(prompt.textContent))"
)


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
        urllib.request.urlopen(urllib.request.Request(f"{sessions}/{session['id']}", method="DELETE")).close()
    for name in ("workspaces", "JUPYTERLAB_SETTINGS_DIR"):
        shutil.rmtree(lab_server["folder"] / name, ignore_errors=True)


def open_and_run(browser, lab_server, outside_requests, lesson, drawn, width=1000, folder="notebooks"):
    """Open `lesson`, run every cell, and wait until the JavaScript condition `drawn` holds and the kernel is idle."""
    _leave_everything(browser, lab_server)
    page = guarded_page(browser, outside_requests, viewport={"width": width, "height": 900})
    page.goto(f"{lab_server['address']}/lab/tree/{folder}/{lesson}.ipynb")
    try:
        # The indicator says idle before there is a kernel; the status bar does not.
        page.wait_for_selector("#jp-bottom-panel >> text=Python 3 (ipykernel) | Idle", timeout=120_000)
        choose_from_menu(page, "Run", "Run All Cells")
        try:
            page.wait_for_function(STARTED, timeout=15_000)
        except TimeoutError:
            # A busy machine can bring the notebook forward after the menu was clicked; a person would click again.
            choose_from_menu(page, "Run", "Run All Cells")
            page.wait_for_function(STARTED, timeout=60_000)
        page.wait_for_function(f"() => {drawn}", timeout=240_000)
        page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status='idle']", state="attached", timeout=120_000)
    except TimeoutError as problem:
        ARTIFACTS.mkdir(exist_ok=True)
        page.screenshot(path=ARTIFACTS / f"{lesson}-did-not-run.png")
        log = (lab_server["folder"] / "lab.log").read_text()[-3000:]
        pytest.fail(f"{lesson} did not run: {problem}\n{page.evaluate(NOTEBOOK_STATE)}\n{log}")
    return page


def scratch_notebook(lab_server, name, *cells):
    """Put a notebook of the code `cells` beside the lessons, to be opened as `name`."""
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell, id=f"cell{number}") for number, cell in enumerate(cells)],
        # Without it JupyterLab asks which kernel to take.
        metadata={"kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}},
    )
    nbformat.write(notebook, lab_server["folder"] / "notebooks" / f"{name}.ipynb")


# A widget's own module and state on an empty page; the only stand-in is the part that carries state to a kernel.
ALONE = """
async ([code, style, state, binary]) => {
  document.body.innerHTML = "<style></style><div></div>";
  document.querySelector("style").textContent = style;
  for (const [name, text] of Object.entries(binary))
    state[name] = new DataView(Uint8Array.from(atob(text), (character) => character.charCodeAt(0)).buffer);
  const heard = [];
  const model = {
    get: (name) => state[name],
    set(name, value) {
      state[name] = value;
      for (const [names, call] of heard) if (names.split(" ").includes("change:" + name)) call();
    },
    save_changes() {},
    send() {},
    on: (names, call) => heard.push([names, call]),
    off() {},
  };
  const module = await import(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
  const start = performance.now();
  module.default.render({ model, el: document.querySelector("div") });
  return new Promise((done) => requestAnimationFrame(() => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => done(performance.now() - start);
    port2.postMessage(null);
  }));
}
"""


def render_alone(browser, outside_requests, widget):
    """Draw `widget` on an empty page without a kernel; return the page and the milliseconds until it was painted."""
    page = guarded_page(browser, outside_requests, viewport={"width": 1000, "height": 900})
    state = widget.get_state()
    binary = {name: base64.b64encode(value).decode() for name, value in state.items() if isinstance(value, bytes)}
    plain = {name: value for name, value in state.items() if name not in binary and name not in ("_esm", "_css")}
    return page, round(page.evaluate(ALONE, [widget._esm, widget._css, plain, binary]))


# From the key going down to the frame that shows the answer: the widget counts its drawings in `data-drawn`;
# a message posted inside an animation frame arrives after the frame was painted.
STOPWATCH = """
(selector) => {
  const root = document.querySelector(selector);
  window.keyToPaint = [];
  let pressed = null;
  document.addEventListener("keydown", () => { pressed = performance.now(); }, true);
  window.stopwatch?.disconnect();
  window.stopwatch = new MutationObserver(() => {
    if (pressed === null) return;
    const start = pressed;
    pressed = null;
    requestAnimationFrame(() => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => window.keyToPaint.push(performance.now() - start);
      port2.postMessage(null);
    });
  });
  window.stopwatch.observe(root, { attributes: true, attributeFilter: ["data-drawn"] });
}
"""


def key_to_paint(page, root, keys, budget=None):
    """Press `keys` in the focused control of the widget `root`; return milliseconds from key to paint.

    The widget must draw once for every key. Returns p50, p95 and the number of presses. With a `budget`, `keys` that
    end where they began are pressed up to three times while p95 is over three times the budget: a busy machine gets
    two more chances, a regression fails them all.
    """
    for _ in range(3):
        times = _press_and_time(page, root, keys)
        if budget is None or times["p95"] < 3 * budget:
            break
    return times


def _press_and_time(page, root, keys):
    page.evaluate(STOPWATCH, root)
    for number, key in enumerate(keys):
        page.keyboard.press(key)
        page.wait_for_function(f"() => window.keyToPaint.length > {number}", timeout=30_000)
    times = page.evaluate("() => window.keyToPaint")[: len(keys)]
    p50, p95 = statistics.median(times), statistics.quantiles(times, n=20)[-1]
    print(f"{root}: key to paint over {len(keys)} presses: p50 {p50:.0f} ms, p95 {p95:.0f} ms")
    return {"p50": round(p50), "p95": round(p95), "presses": len(keys)}


@pytest.fixture(scope="session")
def artifacts():
    ARTIFACTS.mkdir(exist_ok=True)
    return ARTIFACTS
