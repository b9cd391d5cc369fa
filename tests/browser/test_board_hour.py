"""The guide's hour with the board: each row of its table, its keys pressed, in lesson and exercise 11 in JupyterLab."""

import csv
import re
import time

import nbformat
import pytest
from playwright.sync_api import expect

from course_utils.machine import ROOT
from tests.boards import CODE, QUESTIONS, new_board, serving
from tests.browser.conftest import PATIENCE, _kernel_states, _leave_everything, assert_no_errors, guarded_page
from tests.browser.test_board import PHONE, SCREEN, numbers, opened

pytestmark = pytest.mark.browser
GUIDE = (ROOT / "workshop" / "guide" / "board.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| (\d:\d\d) \| (\d+) \| (.+) \| (.+) \|$", re.M)
ONE_TOO_MANY = "You keep one token too many: the k-th largest is at index k − 1."
WRONG = """def top_k(logits, k):
    smallest = logits.sort(-1, descending=True).values[..., [min(k, logits.shape[-1] - 1)]]
    return logits.masked_fill(logits < smallest, -torch.inf)
"""


def plan():
    """The rows of the guide's table: when, how many minutes, the question, the keys."""
    rows, question = [], None
    for start, minutes, _, board in ROW.findall(GUIDE):
        name = re.search("`(11-[^`]+)`", board)
        question = name[1] if name else question
        rows.append((start, int(minutes), question, re.findall(r"\b([OCS2RLX])\b", board.partition(":")[2] or board)))
    return rows


def test_the_plan_is_an_hour():
    minute = 0
    for start, minutes, question, _ in plan():
        assert start == f"{minute // 60}:{minute % 60:02}"
        assert question is None or question in QUESTIONS
        minute += minutes
    assert minute == 60
    assert "".join(key for *_, keys in plan() for key in keys) == "OS2RLO2ROROR"


class Notebook:
    """A learner's notebook in JupyterLab, in a page of its own, whose cells are run one after the other."""

    def __init__(self, browser, lab_server, outside_requests, path, kernels):
        self.page = guarded_page(browser, outside_requests, viewport={"width": 1000, "height": 900})
        self.page.goto(f"{lab_server['address']}/lab/workspaces/{kernels}/tree/{path}")
        self.page.wait_for_selector("#jp-bottom-panel >> text=Python 3 (ipykernel) | Idle")
        end = time.monotonic() + PATIENCE
        while _kernel_states(lab_server) != ["idle"] * kernels:
            assert time.monotonic() < end, _kernel_states(lab_server)
            self.page.wait_for_timeout(500)
        self.page.locator(".jp-Notebook .jp-Cell").first.click()
        self.page.keyboard.press("Escape")

    def cell(self, text):
        return self.page.locator(".jp-Notebook .jp-CodeCell").filter(has_text=text).first

    def run_until(self, text):
        """Run cells with Shift+Enter up to the one that has this text, and wait for it."""
        active = self.page.locator(".jp-Notebook .jp-Cell.jp-mod-active")
        found = False
        while not found:
            found = text in active.text_content()
            assert found or active.text_content().strip() != "[ ]:", f"no cell has {text}"
            before = active.element_handle()
            self.page.keyboard.press("Shift+Enter")
            self.page.wait_for_function("cell => !cell.classList.contains('jp-mod-active')", arg=before)
        expect(self.cell(text)).to_contain_text(re.compile(r"\[\d+\]:"))

    def choose(self, text, option):
        question = self.cell(text).locator(".course-widget.question")
        question.locator(f"label:text-is('{option}')").click()
        question.locator("button").filter(has_text=re.compile("Keep|Check|prediction|answer", re.I)).first.click()
        expect(question.locator(".status").last).to_contain_text("hared with the room")


def test_the_guides_hour(browser, lab_server, outside_requests, tmp_path, artifacts, pictures):
    _leave_everything(browser, lab_server)
    with new_board(tmp_path) as board, serving(board) as address:
        lesson = nbformat.read(ROOT / "notebooks" / "11_sampling.ipynb", as_version=4)
        joins = f"from course_utils.learner import join\njoin({address!r}, {CODE!r})"
        lesson.cells.insert(0, nbformat.v4.new_code_cell(joins))
        nbformat.write(lesson, lab_server["folder"] / "notebooks" / "11_hour.ipynb")
        projector = opened(browser, outside_requests, f"{address}/projector/{CODE}", SCREEN)
        teacher = opened(browser, outside_requests, f"{address}/teacher/{board.storage.room(CODE).secret}", SCREEN)
        phones = [opened(browser, outside_requests, f"{address}/join/{CODE}", PHONE) for _ in range(2)]
        for phone in phones:
            phone.click("text=Answer on this page")
        notebook = Notebook(browser, lab_server, outside_requests, "notebooks/11_hour.ipynb", kernels=1)
        notebook.run_until("join(")
        expect(projector.locator("#people")).to_have_text("3 learners joined")
        teacher.select_option("#lesson", "11 · Sampling")
        variable = {"11-ten-best": "ten_best", "11-best-50": "best_50", "11-default": "default"}

        def press(key, question):
            while question not in teacher.locator("#list [aria-current=true]").text_content():
                teacher.keyboard.press("ArrowDown")
            teacher.keyboard.press(key.lower())

        def everyone_answers(question, place):
            option = QUESTIONS[question].options[place]
            notebook.choose(asked, option)
            for phone in phones:
                phone.click(f"#options button:text-is('{option}')")
                expect(phone.locator("#said")).to_contain_text(f"Shared with the room: {option}.")
            expect(projector.locator("#answered")).to_have_text("3 of 3 have answered.")

        took = {}
        for start, _, question, keys in plan():
            begun, asked = time.monotonic(), f"{variable.get(question)} = predict("
            if start == "0:43":
                exercise = Notebook(browser, lab_server, outside_requests, "exercises/11_sampling.ipynb", kernels=2)
                exercise.run_until("def top_k(")
                exercise.cell("def top_k(").locator(".cm-content").click()
                exercise.page.keyboard.press("Control+a")
                exercise.page.keyboard.insert_text(WRONG)
                exercise.page.keyboard.press("Shift+Enter")
                exercise.run_until('check("q2")')
                expect(exercise.cell('check("q2")')).to_contain_text(ONE_TOO_MANY)
                expect(teacher.locator("#stuck li")).to_have_text(f"1 learner now, 1 so far: {ONE_TOO_MANY}")
                teacher.locator("#stuck").scroll_into_view_if_needed()
                teacher.screenshot(path=pictures / "board-stuck.png")
                expect(projector.locator("#text")).to_have_text(QUESTIONS["11-default"].text)
                assert "one token too many" not in projector.content()
            for key in keys:
                right = QUESTIONS[question].right[0]
                if key == "O" and question in variable:
                    notebook.run_until(asked)
                press(key, question)
                if key == "O":
                    expect(projector.locator("#stage")).to_have_text("First round: answer now")
                    if question == "11-quiz-order":
                        asked = QUESTIONS[question].text  # its code is folded
                        notebook.run_until(asked)
                    everyone_answers(question, (right + 1) % len(QUESTIONS[question].options))
                    assert numbers(projector) == []
                elif key == "S":
                    expect(projector.locator("#options .number").first).to_be_visible()
                elif key == "2":
                    expect(projector.locator("#stage")).to_have_text("Second round: answer now")
                    assert numbers(projector) == []
                    everyone_answers(question, right)
                elif key == "R":
                    marked = projector.locator("#options li.right .option")
                    expect(marked).to_have_text(f"✓ {QUESTIONS[question].options[right]}")
                    measured = QUESTIONS[question].measured
                    said = f"The lesson's own run measured: {measured}." if measured else ""
                    expect(projector.locator("#measured")).to_have_text(said)
                    if question in variable:
                        notebook.run_until(f"{variable[question]}.compare(")
                        said = notebook.cell(f"{variable[question]}.compare(").locator(".jp-OutputArea-output").first
                        expect(said).to_contain_text(f"Measured: {QUESTIONS[question].measured}. You predicted")
                elif key == "L":
                    expect(projector.locator("#welcome")).to_be_visible()
            projector.screenshot(path=artifacts / f"hour-{start.replace(':', '')}.png")
            took[start] = round(time.monotonic() - begun)
        print(f"Seconds of the machine: {took}")

        with teacher.expect_download() as download:
            teacher.click("text=Answers as CSV")
        rows = list(csv.reader(download.value.path().read_text(encoding="utf-8-sig").splitlines()))[1:]
        found = {}
        for name, round_, _, _, right, _ in rows:
            found.setdefault((name, round_), []).append(right)
        assert found == {
            ("11-ten-best", "1"): ["no"] * 3,
            ("11-ten-best", "2"): ["yes"] * 3,
            ("11-best-50", "1"): ["no"] * 3,
            ("11-best-50", "2"): ["yes"] * 3,
            ("11-default", "1"): ["no"] * 3,
            ("11-q2", "1"): ["no"],
            ("11-quiz-order", "1"): ["no"] * 3,
        }
        assert [row[5] for row in rows if row[0] == "11-q2"] == [ONE_TOO_MANY]
        for learner in (notebook, exercise):
            assert_no_errors(learner.page)
        for page in (projector, teacher, *phones):
            assert page.problems == []
        _leave_everything(browser, lab_server)
    assert outside_requests == []
