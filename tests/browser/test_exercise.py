"""Exercise 11 in JupyterLab, as a learner works on it: not started, a mistake that is named, a hint, and solved."""

import json
import shutil

import pytest
from playwright.sync_api import expect

from course_utils.machine import ROOT
from tests.browser.conftest import ARTIFACTS, choose_from_menu, open_and_run

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page(browser, lab_server, outside_requests):
    cards = (
        "[...document.querySelectorAll('.jp-OutputArea-output')]"
        ".filter((output) => output.textContent.includes('not started.'))"
    )
    drawn = f"{cards}.length >= 4"
    return open_and_run(browser, lab_server, outside_requests, "11_sampling", drawn, folder="exercises")


def answer_and_check(page, body):
    """Write the body of the first task, run it and then its check; return what the card says."""
    cell = page.locator(".jp-CodeCell").filter(has_text="def with_temperature").first
    cell.locator(".cm-content").click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(f"def with_temperature(logits, temperature):\n{body}")
    page.keyboard.press("Shift+Enter")
    page.keyboard.press("Shift+Enter")
    return page.locator(".jp-CodeCell").filter(has_text='check("q1")').first.locator(".jp-OutputArea-output").first


def test_from_not_started_to_solved(page, lab_server, outside_requests):
    ARTIFACTS.mkdir(exist_ok=True)
    first = page.locator(".jp-CodeCell").filter(has_text='check("q1")').first
    expect(first).to_contain_text("○ q1 · Temperature: not started.")
    card = answer_and_check(page, "    return logits * temperature")
    expect(card).to_contain_text("✗ q1 · Temperature: 0 of 3 checks pass.")
    expect(card).to_contain_text("You multiply by the temperature: divide")
    expect(card).not_to_contain_text("Hint:")
    card = answer_and_check(page, "    print('half of', logits.shape)\n    return logits / temperature")
    expect(card).to_contain_text("✗ q1 · Temperature: 2 of 3 checks pass.")
    expect(card).to_contain_text("At 0 you divide by nothing")
    expect(card).to_contain_text("Hint: Two cases")
    expect(card.locator("pre").first).to_contain_text("seen with  with_temperature(tensor([")
    expect(card).to_contain_text("half of torch.Size([12])")
    card.get_by_text("To try it yourself, in a cell of your own:").click()
    expect(card).to_contain_text("expected = torch.tensor([")
    card.scroll_into_view_if_needed()
    page.screenshot(path=ARTIFACTS / "exercise-wrong.png")
    choose_from_menu(page, "Settings", "Theme", "JupyterLab Dark")
    page.wait_for_selector("body[data-jp-theme-light='false']", state="attached")
    page.wait_for_selector("#jupyterlab-splash", state="detached")
    page.screenshot(path=ARTIFACTS / "exercise-wrong-dark.png")
    choose_from_menu(page, "Settings", "Theme", "JupyterLab Light")
    page.wait_for_selector("body[data-jp-theme-light='true']", state="attached")
    page.wait_for_selector("#jupyterlab-splash", state="detached")
    best = "logits.masked_fill(logits < logits.amax(-1, True), -torch.inf)"
    card = answer_and_check(page, f"    return logits / temperature if temperature else {best}")
    expect(card).to_contain_text("✓ q1 · Temperature: 3 of 3 checks pass.")
    expect(card).to_contain_text("2 of 2 points. Next: q2 · Top-k.")
    expect(card).to_contain_text("solutions/11_sampling.ipynb")
    card.get_by_text("To try it yourself").wait_for(state="detached")
    page.screenshot(path=ARTIFACTS / "exercise-right.png")
    kept = json.loads((lab_server["home"] / "progress.json").read_text(encoding="utf-8"))
    assert kept["entries"]["exercises"]["11-q1"] == {"solved": True, "tries": 3}
    assert outside_requests == []


def test_an_endless_loop_ends_with_the_menus_interrupt(page, lab_server, outside_requests):
    loop = "    print('at', temperature)\n    while True:\n        try: logits = logits * 2\n        except: pass"
    before = (lab_server["home"] / "progress.json").read_text(encoding="utf-8")
    card = answer_and_check(page, loop)
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status='busy']", state="attached", timeout=20_000)
    expect(card).to_contain_text("q1 · Temperature is still running. The call is with_temperature(", timeout=120_000)
    expect(card).to_contain_text("To stop it, press ■")
    page.screenshot(path=ARTIFACTS / "exercise-running.png")
    choose_from_menu(page, "Kernel", "Interrupt Kernel")
    expect(card).to_contain_text("○ q1 · Temperature: stopped.", timeout=20_000)
    expect(card).not_to_contain_text("still running")
    expect(card).to_contain_text("Nothing is lost")
    expect(card).to_contain_text("at 0.5")
    page.screenshot(path=ARTIFACTS / "exercise-stopped.png")
    assert (lab_server["home"] / "progress.json").read_text(encoding="utf-8") == before
    card = answer_and_check(page, "    return logits * temperature")  # the kernel is as it was
    expect(card).to_contain_text("You multiply by the temperature: divide", timeout=20_000)
    assert outside_requests == []


def test_the_link_after_a_full_pass_opens_the_solution(page, lab_server, outside_requests):
    solution = lab_server["folder"] / "solutions" / "11_sampling.ipynb"
    solution.parent.mkdir()
    shutil.copy(ROOT / "solutions" / solution.name, solution)
    best = "logits.masked_fill(logits < logits.amax(-1, True), -torch.inf)"
    card = answer_and_check(page, f"    return logits / temperature if temperature else {best}")
    link = card.get_by_role("link", name="solutions/11_sampling.ipynb")
    link.click()
    expect(page.locator(".lm-TabBar-tab[title*='Path: solutions/11_sampling.ipynb']")).to_be_visible(timeout=60_000)
    assert outside_requests == []
