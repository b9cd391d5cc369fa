"""The pages of the class board in a browser: a teacher with keys, a projector, phones; and a board that was away."""

import time

import pytest
from playwright.sync_api import expect

from course_utils.classroom.board import feed
from course_utils.classroom.board.service import Board
from course_utils.classroom.board.storage import Answer, Storage
from course_utils.learner.progress import Progress
from tests.boards import CODE, NAME, OPTIONS, QUESTIONS, TASKS, serving
from tests.browser.conftest import (
    PATIENCE,
    _kernel_states,
    _leave_everything,
    assert_no_errors,
    choose_from_menu,
    guarded_page,
    scratch_notebook,
)

pytestmark = pytest.mark.browser
SCREEN = {"width": 1280, "height": 720}
PHONE = {"width": 390, "height": 780}


def new_board(folder):
    storage = Storage(f"sqlite:///{folder / 'board.sqlite'}")
    if storage.room(CODE) is None:
        storage.make_room(CODE)
    return Board(storage, QUESTIONS, TASKS, "http://192.168.1.20:8010")


def opened(browser, outside_requests, address, viewport):
    """A page of its own browser, which keeps what its console says is wrong."""
    page = guarded_page(browser, outside_requests, viewport=viewport)
    page.problems = []
    page.on("console", lambda said: page.problems.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.goto(address)
    return page


def numbers(page):
    return page.locator("#options .number").all_text_contents()


def test_an_hour_with_teacher_projector_and_phones(browser, outside_requests, tmp_path, artifacts, pictures):
    board = new_board(tmp_path)
    with serving(board) as address:

        def page(path, viewport):
            return opened(browser, outside_requests, address + path, viewport)

        projector = page(f"/projector/{CODE}", SCREEN)
        expect(projector.locator("#people")).to_have_text("0 learners joined")
        assert projector.evaluate("document.querySelector('#welcome img').naturalWidth") > 0
        projector.screenshot(path=pictures / "board-welcome.png")
        teacher = page(f"/teacher/{board.storage.room(CODE).secret}", SCREEN)
        assert board.storage.room(CODE).secret not in teacher.url
        phones = [page(f"/join/{CODE}", PHONE) for _ in range(3)]
        phones[0].screenshot(path=artifacts / "board-join.png")
        for phone in phones:
            phone.click("text=Answer on this page")
        expect(projector.locator("#people")).to_have_text("3 learners joined")

        # First round: nobody sees the bars before the teacher shows them.
        teacher.keyboard.press("o")
        for phone, choice in zip(phones, (0, 0, 2), strict=True):
            phone.click(f"#options button:text-is('{OPTIONS[choice]}')")
            expect(phone.locator("#said")).to_contain_text(f"Shared with the room: {OPTIONS[choice]}.")
        expect(projector.locator("#answered")).to_have_text("3 of 3 have answered.")
        assert numbers(projector) == []
        expect(teacher.locator("#answered")).to_contain_text("3 of 3 have answered in round 1")
        assert numbers(teacher) == ["2 · 67 %", "0 · 0 %", "1 · 33 %"]
        projector.screenshot(path=artifacts / "board-hidden.png")
        teacher.keyboard.press("s")
        expect(projector.locator("#options .number").first).to_have_text("2 · 67 %")
        phones[0].click(f"#options button:text-is('{OPTIONS[1]}')")  # it replaces the first
        expect(projector.locator("#options .number").nth(1)).to_have_text("1 · 33 %")
        projector.screenshot(path=artifacts / "board-first-round.png")

        # Second round: hidden again, then both side by side, then what the model measured.
        teacher.keyboard.press("2")
        expect(projector.locator("#stage")).to_have_text("Second round: answer now")
        assert numbers(projector) == []
        for phone in phones:
            expect(phone.locator("#said")).to_have_text("Second round: choose again.")
            phone.click(f"#options button:text-is('{OPTIONS[2]}')")
        expect(projector.locator("#answered")).to_have_text("3 of 3 have answered.")
        phones[0].screenshot(path=artifacts / "board-phone.png")
        assert projector.locator("#measured").text_content() == ""
        teacher.screenshot(path=pictures / "board-teacher.png")
        teacher.keyboard.press("r")
        expect(projector.locator("#measured")).to_have_text("The lesson's own run measured: 77.3%.")
        assert numbers(projector) == ["1 · 33 %", "0 · 0 %", "1 · 33 %", "0 · 0 %", "1 · 33 %", "3 · 100 %"]
        expect(projector.locator("#options li.right .option")).to_have_text(f"✓ {OPTIONS[2]}")
        projector.screenshot(path=pictures / "board-revealed.png")
        expect(phones[0].locator("#said")).to_contain_text("This question is closed.")

        # What the room gets stuck on, as text whatever a learner sends.
        rude = "<img src=x onerror=alert(1)><b>You square it.</b>"
        for who, said in (("a" * 40, rude), ("b" * 40, "You keep k + 1 tokens."), ("c" * 40, "You keep k + 1 tokens.")):
            board.storage.take(CODE, who, Answer("message-1", "11-q2", "wrong", said))
        teacher.select_option("#lesson", "11 · Sampling")
        teacher.keyboard.press("ArrowDown")
        teacher.click("#names")
        expect(teacher.locator("#stuck li").first).to_have_text("2 learners now, 2 so far: You keep k + 1 tokens.")
        expect(teacher.locator("#stuck li").nth(1)).to_have_text(f"1 learner now, 1 so far: {rude}")
        assert teacher.locator("#stuck img").count() == 0
        teacher.screenshot(path=artifacts / "board-stuck.png")
        teacher.once("dialog", lambda dialog: dialog.accept())
        teacher.select_option("#lesson", QUESTIONS[NAME].lesson)
        teacher.keyboard.press("x")
        expect(projector.locator("#welcome")).to_be_visible()
        expect(projector.locator("#names")).to_have_text("This room asks for names; you may leave yours out.")
        assert board.storage.answered(CODE) == {"11-q2": 3}
        for one in (projector, teacher, *phones):
            assert one.problems == []
            one.context.close()
    assert outside_requests == []


def test_the_keys_press_buttons_after_a_mouse_has_chosen_the_lesson(browser, outside_requests, tmp_path):
    board = new_board(tmp_path)
    with serving(board) as address:
        teacher = opened(browser, outside_requests, f"{address}/teacher/{board.storage.room(CODE).secret}", SCREEN)
        expect(teacher.locator("#stage")).to_contain_text(f"{NAME} · not opened yet")
        teacher.click("#lesson")
        for key in ("ArrowDown", "Enter", "ArrowDown", "o"):  # a lesson, then a question, then its button
            teacher.keyboard.press(key)
        lesson = list(dict.fromkeys(question.lesson for question in QUESTIONS.values()))[1]
        second = [question.name for question in QUESTIONS.values() if question.lesson == lesson][1]
        expect(teacher.locator("#stage")).to_contain_text(f"{second} · round 1, open")
        assert teacher.locator("#lesson").input_value() == lesson
        teacher.focus("#lesson")  # as with Tab: the keys stay the list's
        teacher.keyboard.press("ArrowDown")
        expect(teacher.locator("#lesson")).not_to_have_value(lesson)
        assert teacher.evaluate("document.activeElement.id") == "lesson"
        assert teacher.problems == []
        teacher.context.close()


def test_pages_find_a_board_again_that_was_away(browser, outside_requests, tmp_path):
    with serving(new_board(tmp_path)) as address:
        port = int(address.rpartition(":")[2])
        projector = opened(browser, outside_requests, f"{address}/projector/{CODE}", SCREEN)
        expect(projector.locator("#people")).to_have_text("0 learners joined")
    expect(projector.locator("#connection")).to_be_visible()
    board = new_board(tmp_path)
    with serving(board, port):
        expect(projector.locator("#connection")).to_be_hidden()
        board.storage.act(CODE, "open", NAME)
        board._changed(CODE, "projector")
        expect(projector.locator("#text")).to_have_text(QUESTIONS[NAME].text)
        projector.context.close()


def test_a_page_finds_a_board_again_that_fell_silent(browser, outside_requests, tmp_path, monkeypatch):
    """A hub's proxy keeps its connection to the page when the board is killed, so the page hears nothing at all."""
    monkeypatch.setattr(feed, "STILL_HERE_SECONDS", 0.5)
    with serving(new_board(tmp_path)) as address:
        projector = guarded_page(browser, outside_requests, viewport=SCREEN)
        listens = []
        projector.on("request", lambda request: listens.append(request.url) if "/events/" in request.url else None)
        projector.clock.install()
        projector.goto(f"{address}/projector/{CODE}")
        expect(projector.locator("#people")).to_have_text("0 learners joined")
        for _ in range(4):  # a minute in which nothing changes
            projector.clock.fast_forward(15_000)
            projector.wait_for_timeout(1_500)
        assert len(listens) == 1
        monkeypatch.setattr(feed, "STILL_HERE_SECONDS", 1_000)
        projector.wait_for_timeout(1_500)
        with projector.expect_request("**/events/**"):
            projector.clock.fast_forward(25_000)
        assert len(listens) == 2
        expect(projector.locator("#connection")).to_be_hidden()
        projector.context.close()


# Three learners in JupyterLab

NOTEBOOK = [
    "import os\nos.environ['COURSE_HOME'] = {home!r}",
    "from course_utils.learner import join, predict\njoin({address!r}, {code!r})",
    "paris = predict({name!r}, 'How likely is ␣Paris?', {ranges!r})\nparis",
]
RANGES = {"below 10 %": (0, 0.1), "10 % to 50 %": (0.1, 0.5), "over 50 %": (0.5, None)}


def learner(browser, lab_server, outside_requests, tmp_path, number, address):
    """The page of a learner: a notebook in JupyterLab, with a kernel and a home of its own."""
    values = {
        "home": str(tmp_path / f"learner{number}"),
        "address": address,
        "code": CODE,
        "name": NAME,
        "ranges": RANGES,
    }
    scratch_notebook(lab_server, f"learner{number}", *(cell.format(**values) for cell in NOTEBOOK))
    page = guarded_page(browser, outside_requests, viewport={"width": 1000, "height": 900})
    page.goto(f"{lab_server['address']}/lab/workspaces/learner{number}/tree/notebooks/learner{number}.ipynb")
    page.wait_for_selector("#jp-bottom-panel >> text=Python 3 (ipykernel) | Idle")
    end = time.monotonic() + PATIENCE
    while _kernel_states(lab_server) != ["idle"] * number:
        assert time.monotonic() < end, _kernel_states(lab_server)
        page.wait_for_timeout(500)
    choose_from_menu(page, "Run", "Run All Cells")
    page.wait_for_selector(".course-widget.question")
    return page


def choose(page, option):
    """Press the option and the button, and wait until the kernel has said that the room has it."""
    page.click(f".course-widget.question label:text-is('{option}')")
    page.click(".course-widget.question button:text-is('Keep my prediction')")
    said = f"Shared with the room. There, your newest choice counts: {option}."
    expect(page.locator(".course-widget.question .status")).to_contain_text(said)


def test_three_learners_in_jupyterlab_predict_discuss_and_see(
    browser, lab_server, outside_requests, tmp_path, pictures
):
    _leave_everything(browser, lab_server)
    board = new_board(tmp_path)
    with serving(board) as address:
        projector = opened(browser, outside_requests, f"{address}/projector/{CODE}", SCREEN)
        teacher = opened(browser, outside_requests, f"{address}/teacher/{board.storage.room(CODE).secret}", SCREEN)
        learners = [learner(browser, lab_server, outside_requests, tmp_path, number, address) for number in (1, 2, 3)]
        expect(projector.locator("#people")).to_have_text("3 learners joined")
        teacher.keyboard.press("o")
        for page, choice in zip(learners, (0, 0, 1), strict=True):
            choose(page, OPTIONS[choice])
        expect(projector.locator("#answered")).to_have_text("3 of 3 have answered.")
        assert numbers(projector) == []
        teacher.keyboard.press("s")
        expect(projector.locator("#options .number").first).to_have_text("2 · 67 %")
        choose(learners[1], OPTIONS[1])  # a bar moves
        expect(projector.locator("#options .number").nth(1)).to_have_text("2 · 67 %")
        teacher.keyboard.press("r")
        expect(projector.locator("#measured")).to_have_text("The lesson's own run measured: 77.3%.")
        teacher.keyboard.press("2")
        expect(projector.locator("#answered")).to_have_text("0 of 3 have answered.")
        for page in learners:
            choose(page, OPTIONS[2])
        first, last = (learners[0].locator(".jp-Notebook .jp-Cell").nth(number).bounding_box() for number in (1, 2))
        height = last["y"] + last["height"] - first["y"]
        learners[0].screenshot(path=pictures / "board-notebook.png", clip={**first, "height": height})
        expect(projector.locator("#answered")).to_have_text("3 of 3 have answered.")
        teacher.keyboard.press("r")
        expect(projector.locator("#options .number")).to_have_text(
            ["1 · 33 %", "0 · 0 %", "2 · 67 %", "0 · 0 %", "0 · 0 %", "3 · 100 %"]
        )
        kept = [Progress(tmp_path / f"learner{number}" / "progress.json") for number in (1, 2, 3)]
        assert [one.get("predictions", NAME)["choice"] for one in kept] == [OPTIONS[0], OPTIONS[0], OPTIONS[1]]
        for page in learners:
            assert_no_errors(page)
        _leave_everything(browser, lab_server)
    assert outside_requests == []
