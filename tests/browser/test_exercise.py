"""Exercise 11 in JupyterLab, as a learner works on it: not started, a mistake that is named, a hint, and solved."""

import json

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import ARTIFACTS, open_and_run

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
    card = answer_and_check(page, "    return logits / temperature")
    expect(card).to_contain_text("✗ q1 · Temperature: 2 of 3 checks pass.")
    expect(card).to_contain_text("At 0 you divide by nothing")
    expect(card).to_contain_text("Hint: Two cases")
    card.scroll_into_view_if_needed()
    page.screenshot(path=ARTIFACTS / "exercise-wrong.png")
    best = "logits.masked_fill(logits < logits.amax(-1, True), -torch.inf)"
    card = answer_and_check(page, f"    return logits / temperature if temperature else {best}")
    expect(card).to_contain_text("✓ q1 · Temperature: 3 of 3 checks pass.")
    page.screenshot(path=ARTIFACTS / "exercise-right.png")
    kept = json.loads((lab_server["home"] / "progress.json").read_text(encoding="utf-8"))
    assert kept["entries"]["exercises"]["11-q1"] == {"solved": True, "tries": 3}
    assert outside_requests == []
