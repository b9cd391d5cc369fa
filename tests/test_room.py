"""The learner's side of the board: only after joining, in the background, once, in order, and never in the way."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from filelock import FileLock

from course_utils.classroom.board import storage
from course_utils.classroom.board.messages import LONGEST
from course_utils.errors import CourseError
from course_utils.exercises.task import load_tasks
from course_utils.learner import Progress, checker, join, leave, predict, quiz_question, room
from course_utils.learner.check_card import CHECKS
from tests.boards import CODE, NAME, OPTIONS, TASKS, new_board, serving

RANGES = {"below 10 %": (0, 0.1), "10 % to 50 %": (0.1, 0.5), "over 50 %": (0.5, None)}
PATIENCE = 300  # seconds: only what hangs takes as long


@pytest.fixture(autouse=True)
def no_board_of_this_machine(monkeypatch):
    for variable in (room.BOARD, room.ROOM, "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(room, "FIRST_PAUSE", 0.05)
    monkeypatch.setattr(room, "LONGEST_PAUSE", 0.2)


@pytest.fixture
def progress(tmp_path):
    progress = Progress(tmp_path / "home" / "progress.json")
    yield progress
    leave(progress)


@pytest.fixture
def board(tmp_path):
    with new_board(tmp_path, "http://board.school") as board:
        yield board


@pytest.fixture
def address(board):
    with serving(board) as address:
        yield address


def press(question, choice):
    """What the page does when the button is pressed."""
    question.asked = [question.asked[0] + 1, choice]


def paris(progress):
    return predict(NAME, "How likely?", RANGES, progress)


def until(condition):
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.01)
    return found


def waiting(progress):
    return room._waiting(progress.path.parent / "board")


def all_sent(progress):
    until(lambda: not waiting(progress))


def a_free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def something_else(answer):
    """A web server that is no board: `answer` gets the request's handler."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.rfile.read(int(self.headers.get("content-length", 0)))
            answer(self)

        do_POST = do_GET

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def page(status, text):
    def answer(handler):
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(text)))
        handler.end_headers()
        handler.wfile.write(text.encode())

    return answer


# Who hasn't joined


def test_nobody_who_has_not_joined_sends_anything(progress, monkeypatch):
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: pytest.fail("something was sent"))
    before = threading.active_count()
    question = paris(progress)
    press(question, 1)
    assert question.once
    assert question.feedback == "Your prediction: 10 % to 50 %."
    quiz = quiz_question("11-quiz-nucleus", "?", [("One token", False, "No."), ("Two tokens", True, "Yes.")], progress)
    press(quiz, 1)
    assert quiz.feedback == "✓ Right. Yes."
    assert "room" not in repr(checker("11", {"with_temperature": lambda *_: None}, progress)("q1"))
    assert sorted(file.name for file in progress.path.parent.iterdir()) == ["progress.json", "progress.lock"]
    assert threading.active_count() == before


def test_who_has_left_sends_nothing_more(progress, board):
    port = a_free_port()
    join(f"http://127.0.0.1:{port}", CODE, progress=progress)
    press(paris(progress), 1)
    assert len(waiting(progress)) == 2, "that someone is there, and the answer"
    assert leave(progress) == "Nothing is sent to a room."
    question = predict("02-sums", "How many?", ["a", "b"], progress)
    press(question, 0)
    assert question.feedback == "Your prediction: a."
    with serving(board, port):
        time.sleep(1)
    assert board.storage.answered(CODE) == {}


def test_who_cannot_leave_reads_it(progress, address, monkeypatch):
    join(address, CODE, progress=progress)

    def read_only(file, missing_ok=False):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(room.Path, "unlink", read_only)
        with pytest.raises(CourseError, match=r"board can't be written, so your answers still go to the room: .+\."):
            leave(progress)
    assert leave(progress) == "Nothing is sent to a room."


def test_a_room_is_forgotten_after_a_day(progress, address, board, monkeypatch):
    join(address, CODE, progress=progress)
    days = iter([time.time() + room.ROOM_SECONDS + 1] * 1000)
    monkeypatch.setattr(room.time, "time", lambda: next(days))
    question = paris(progress)
    press(question, 1)
    assert question.feedback == "Your prediction: 10 % to 50 %."


# What arrives


def test_what_is_predicted_answered_and_checked_arrives(progress, address, board):
    assert join(f"{address}/join/{CODE}", CODE.lower(), progress=progress).startswith(f"You've joined room {CODE}. ")
    assert board.storage.people(CODE) == 1
    question = paris(progress)
    press(question, 1)
    shared = "Shared with the room. There, your newest choice counts: 10 % to 50 %."
    assert question.feedback == f"Your prediction: 10 % to 50 %.\n{shared}"
    quiz = quiz_question("11-quiz-nucleus", "?", [("One token", False, "No."), ("Two tokens", True, "Yes.")], progress)
    press(quiz, 0)
    assert quiz.feedback == "✗ Not quite. No.\nShared with the room."
    card = checker("11", {"with_temperature": lambda logits, temperature: logits * temperature}, progress)("q1")
    assert card.notes[-1] == "Shared with the room."
    all_sent(progress)
    assert board.storage.counts(CODE, NAME)[1] == {"10 % to 50 %": 1}
    assert board.storage.counts(CODE, "11-quiz-nucleus")[1] == {"One token": 1}
    (stuck,) = board.storage.stuck(CODE, TASKS)
    assert (stuck["task"], stuck["tried"], stuck["solved"]) == ("11-q1", 1, 0)
    assert [one["said"] for one in stuck["sentences"]] == [card.message]
    assert board.storage.people(CODE) == 1


def test_a_prediction_made_before_joining_goes_to_the_room_when_its_cell_is_run_again(progress, address, board):
    press(paris(progress), 0)
    join(address, CODE, progress=progress)
    again = paris(progress)
    assert not again.once
    all_sent(progress)
    assert board.storage.answered(CODE) == {}
    press(again, 0)
    all_sent(progress)
    assert board.storage.counts(CODE, NAME)[1] == {OPTIONS[0]: 1}


def test_the_room_counts_the_newest_choice_and_the_prediction_stays_the_first(progress, address, board):
    join(address, CODE, progress=progress)
    board.storage.act(CODE, "open", NAME)
    question = paris(progress)
    assert not question.once
    press(question, 0)
    press(question, 1)
    assert question.feedback.startswith(
        "Your prediction: below 10 %. That was your first choice, and the first one counts.\n"
    )
    assert question.choice == 1
    all_sent(progress)
    assert board.storage.counts(CODE, NAME)[1] == {OPTIONS[1]: 1}
    board.storage.act(CODE, "second", NAME)
    press(paris(progress), 2)  # the cell was run again
    all_sent(progress)
    assert board.storage.counts(CODE, NAME)[1] == {OPTIONS[1]: 1}
    assert board.storage.counts(CODE, NAME)[2] == {OPTIONS[2]: 1}
    assert progress.get("predictions", NAME)["choice"] == OPTIONS[0]


def test_a_check_sends_no_word_and_no_value_of_the_learners_own(progress, address, monkeypatch):
    join(address, CODE, progress=progress)
    bodies = []
    monkeypatch.setattr(room, "_ask", lambda folder, room, path, body=None: bodies.append(body) or {"round": 1})

    def with_temperature(logits, temperature):
        raise type("SecretError", (ValueError,), {})("my password is swordfish")

    checker("11", {"with_temperature": with_temperature}, progress)("q1")
    all_sent(progress)
    assert 0 <= bodies[0].pop("age") < PATIENCE
    assert {**bodies[0], "message": ""} == {
        "code": CODE,
        "message": "",
        "question": "11-q1",
        "choice": "wrong",
        "said": "Your function raises an exception.",
    }


def test_every_named_mistake_fits_whole():
    named = [
        mistake.says
        for file in sorted(CHECKS.glob("lesson_[0-9]*.py"))
        for task in load_tasks(file)[0]
        for mistake in task.mistakes
    ]
    assert len(named) > 100
    assert max(map(len, named)) <= min(room.LONGEST_SAID, LONGEST["said"])


def test_a_name_goes_only_where_it_is_asked_for(progress, address, board):
    assert join(address, CODE, "Ada", progress).endswith("Your name isn't sent: the room doesn't ask for it.")
    press(paris(progress), 1)
    all_sent(progress)
    assert board.storage.table(CODE)[0][2] == "learner 1"
    board.storage.act(CODE, "names")
    assert join(address, CODE, progress=progress).endswith("The room asks for names: join(…, name=…).")
    assert board.storage.table(CODE)[0][2] == "learner 1"
    assert join(address, CODE, "Ada", progress).endswith("Your name there is Ada.")
    assert board.storage.table(CODE)[0][2] == "Ada"


def test_a_hub_joins_its_learners_by_the_environment(progress, address, board, monkeypatch):
    monkeypatch.setenv(room.BOARD, address)
    monkeypatch.setenv(room.ROOM, CODE)
    press(paris(progress), 1)
    all_sent(progress)
    assert board.storage.counts(CODE, NAME)[1] == {OPTIONS[1]: 1}
    assert leave(progress) == "Your server joins a room by itself (COURSE_BOARD): ask your teacher."


def test_who_joins_by_hand_where_the_hub_joins_reads_that_nothing_would_go_there(progress, address, monkeypatch):
    monkeypatch.setenv(room.BOARD, address)
    for code in ("BCDFGH", ""):
        monkeypatch.setenv(room.ROOM, code)
        with pytest.raises(CourseError, match=r"^Your server joins a room by itself .+: ask your teacher\.$"):
            join(address, CODE, progress=progress)
    monkeypatch.setenv(room.ROOM, CODE)
    assert join(address, CODE, progress=progress).startswith(f"You've joined room {CODE}.")


def test_a_hubs_token_goes_to_the_hubs_own_board_only(tmp_path, monkeypatch):
    hub, other = room.Room("http://127.0.0.1:8011/services/board", CODE), room.Room("http://192.168.1.20:8010", CODE)
    monkeypatch.setenv(room.TOKEN, "secret")
    assert room._who(tmp_path, hub).startswith("Bearer ")
    monkeypatch.setenv(room.BOARD, f"{hub.address}/")
    assert room._who(tmp_path, hub) == "token secret"
    key = room._who(tmp_path, other)
    assert key.startswith("Bearer ")
    assert key == room._who(tmp_path, other)
    assert key != room._who(tmp_path, other._replace(code="BBBBBB")), "another room can't tell that it's the same one"


def test_a_name_said_while_the_board_was_away_is_sent_later_if_it_is_asked_for(progress, board):
    port = a_free_port()
    join(f"http://127.0.0.1:{port}", CODE, "Ada Lovelace", progress)
    press(paris(progress), 1)
    with serving(board, port):
        all_sent(progress)
        assert board.storage.table(CODE)[0][2] == "learner 1"
    join(f"http://127.0.0.1:{port}", CODE, "Ada  Lovelace", progress)
    board.storage.act(CODE, "names")
    with serving(board, port):
        all_sent(progress)
        assert board.storage.table(CODE)[0][2] == "Ada Lovelace"
    join(f"http://127.0.0.1:{port}", CODE, "Typo", progress)
    with serving(board, port):
        with FileLock(progress.path.parent / "board" / "sending.lock"):  # the first try may come in this moment
            join(f"http://127.0.0.1:{port}", CODE, "Grace", progress)
        all_sent(progress)
        assert board.storage.table(CODE)[0][2] == "Grace"


@pytest.mark.parametrize("name", ["x" * 41, 7, ["Ada"]])
def test_what_is_no_name_is_one_sentence(progress, address, name):
    with pytest.raises(ValueError, match=r"^name must be a text of at most 40 characters, got "):
        join(address, CODE, name, progress)
    assert LONGEST["name"] == room.LONGEST_NAME


def test_a_full_room_is_not_called_a_wrong_code(progress, address, monkeypatch):
    monkeypatch.setattr(storage, "MOST_PEOPLE", 0)
    with pytest.raises(CourseError, match=r"^The board didn't let you in: It can't be kept: the room is full.$"):
        join(address, CODE, progress=progress)
    assert room.joined(progress) is None


@pytest.mark.parametrize(
    ("place", "code", "said"),
    [
        ("ftp://x", CODE, "address must begin with http:// or https://, got 'ftp://x'"),
        ("file:///etc/passwd", CODE, "address must begin with http"),
        ("http://x", "ABC", "code must be the six letters on the projector, got 'ABC'"),
        ("{}", "bbbbbb", "those on the projector, got '{}' and 'BBBBBB': There is no room of this code."),
        ("{}/here", CODE, f"those on the projector, got '{{}}/here' and '{CODE}': The board has no such page."),
    ],
)
def test_what_cannot_be_joined_is_one_sentence(progress, address, place, code, said):
    with pytest.raises(ValueError, match=r"^(address|code|address and code) must be") as caught:
        join(place.format(address), code, progress=progress)
    assert said.format(address) in str(caught.value)
    assert room.joined(progress) is None


@pytest.mark.parametrize("page", ["/", "/join", "/join/", f"/join/{CODE}", f"/projector/{CODE}", "/teacher/secret"])
def test_the_address_of_any_page_of_the_board_is_the_boards(progress, address, page):
    join(address + page, CODE, progress=progress)
    assert room.joined(progress) == (address, CODE)


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_a_neighbour_on_the_machine_cannot_answer_in_the_learners_place(progress, address):
    join(address, CODE, progress=progress)
    secret = progress.path.parent / "board" / "learner"
    assert len(secret.read_bytes()) == 64
    assert secret.stat().st_mode & 0o077 == 0


# A board that is away, slow, or someone else


def test_what_was_answered_while_the_board_was_away_is_sent_once_and_in_order(progress, board):
    port = a_free_port()
    said = join(f"http://127.0.0.1:{port}", CODE, progress=progress)
    assert "The board doesn't answer now: your answers wait until it does." in said
    question = paris(progress)
    for choice in (0, 2, 1):
        press(question, choice)
    until(lambda: room._sender(progress.path.parent / "board").problem)
    press(question, 1)
    assert room.AWAY in question.feedback
    assert len(waiting(progress)) == 1 + 4
    with serving(board, port):
        all_sent(progress)
    assert board.storage.counts(CODE, NAME)[1] == {OPTIONS[1]: 1}
    press(question, 1)
    assert room.SHARED in question.feedback


def test_what_was_chosen_before_the_second_round_counts_in_the_first_however_late_it_comes(progress, board):
    port = a_free_port()
    board.storage.act(CODE, "open", NAME)
    with serving(board, port):
        join(f"http://127.0.0.1:{port}", CODE, progress=progress)
        all_sent(progress)
    question = paris(progress)
    press(question, 0)
    time.sleep(1)  # in which the network is away, and the room talks
    board.storage.act(CODE, "second", NAME)
    time.sleep(1)
    press(question, 2)
    with serving(board, port):
        all_sent(progress)
    counts = board.storage.counts(CODE, NAME)
    assert (counts[1], counts[2]) == ({OPTIONS[0]: 1}, {OPTIONS[2]: 1})


def test_the_newest_choice_counts_although_the_learners_clock_was_put_back(progress, board, monkeypatch):
    """As when a laptop whose clock is wrong finds its network again, and the time and the board with it."""
    port = a_free_port()
    join(f"http://127.0.0.1:{port}", CODE, progress=progress)
    question, now = paris(progress), time.time_ns()
    press(question, 0)
    monkeypatch.setattr(room.time, "time_ns", lambda: now - 7_200 * 10**9)
    press(question, 2)
    with serving(board, port):
        all_sent(progress)
    assert board.storage.counts(CODE, NAME)[1] == {OPTIONS[2]: 1}


def test_an_answer_whose_receipt_was_lost_counts_once(progress, address, board):
    lost = []

    def forwarded(handler):
        body = {"data": handler.body} if handler.body else {}
        request = urllib.request.Request(address + handler.path, headers=dict(handler.headers), **body)
        with urllib.request.urlopen(request) as answer:
            text = answer.read()
        if handler.path == "/api/answers" and len(lost) < 2:
            lost.append(text)
            handler.close_connection = True  # the board has it, and the learner hears nothing
            return
        page(200, text.decode())(handler)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.body = self.rfile.read(int(self.headers.get("content-length", 0)))
            forwarded(self)

        do_POST = do_GET

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    join(f"http://127.0.0.1:{server.server_port}", CODE, progress=progress)
    board.storage.act(CODE, "open", NAME)
    press(paris(progress), 1)
    until(lambda: len(lost) == 2)
    board.storage.act(CODE, "second", NAME)
    all_sent(progress)
    server.shutdown()
    assert board.storage.counts(CODE, NAME)[1] == {OPTIONS[1]: 1}
    assert board.storage.counts(CODE, NAME)[2] == {}


def test_a_board_that_hangs_lets_nobody_wait(progress):
    with socket.socket() as door:  # takes connections, and says nothing
        door.bind(("127.0.0.1", 0))
        door.listen(50)
        folder = progress.path.parent / "board"
        folder.mkdir(parents=True)
        kept = {"address": f"http://127.0.0.1:{door.getsockname()[1]}", "code": CODE, "since": time.time()}
        (folder / "room.json").write_text(json.dumps(kept))
        question = paris(progress)
        before = time.thread_time()
        for choice in (0, 1, 2) * 5:
            press(question, choice)
        assert time.thread_time() - before < 3  # without the other thread's five seconds of patience, each time
        assert len(waiting(progress)) == 15
        names = [thread.name for thread in threading.enumerate()]
        assert Counter(names)["to the class board"] >= 1


def test_nothing_goes_to_where_another_page_sends_it(progress, address, board, monkeypatch):
    def elsewhere(handler):
        handler.send_response(301)
        handler.send_header("Location", address + handler.path)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    heard = []
    monkeypatch.setattr(board.visitors, "key", heard.append)
    with something_else(elsewhere) as old:
        assert "The board doesn't answer now" in join(old, CODE, progress=progress)
        press(paris(progress), 1)
        until(lambda: room._sender(progress.path.parent / "board").problem)
    assert len(waiting(progress)) == 1 + 1
    assert not heard


@pytest.mark.parametrize(
    "answer",
    [
        page(404, "<h1>Not found</h1>"),
        page(200, "<h1>Welcome to our hotel</h1>"),
        page(200, "[]"),
        page(200, "[" * 50_000),
        page(404, "[" * 50_000),
        page(502, '{"problem": "no board behind this proxy"}'),
        page(429, '{"problem": "Too many tries: wait a minute."}'),
    ],
)
def test_what_another_page_says_loses_no_answer(progress, answer):
    with something_else(answer) as address:
        assert "The board doesn't answer now" in join(address, CODE, progress=progress)
        press(paris(progress), 1)
        until(lambda: room._sender(progress.path.parent / "board").problem)
        assert len(waiting(progress)) == 1 + 1


def test_a_board_that_never_answers_does_not_hold_up_another_ones_answers(progress, address, board):
    join(f"http://127.0.0.1:{a_free_port()}", "BCDFGH", progress=progress)
    press(paris(progress), 1)
    join(address, CODE, progress=progress)
    press(paris(progress), 2)
    until(lambda: board.storage.answered(CODE) == {NAME: 1})
    until(lambda: len(waiting(progress)) == 1 + 1)  # the receipt may still be on its way
    question = paris(progress)
    press(question, 2)
    assert room.SHARED in question.feedback, "the room that counts has everything"


def test_a_room_whose_board_has_a_new_address_gets_what_waited(progress, address, board):
    join(f"http://127.0.0.1:{a_free_port()}", CODE, progress=progress)
    press(paris(progress), 1)
    press(predict("my-own", "A question that the board doesn't know", ["a", "b"], progress), 0)
    join(address, CODE, progress=progress)
    all_sent(progress)
    assert board.storage.counts(CODE, NAME)[1] == {OPTIONS[1]: 1}


def test_a_board_that_moves_to_another_address_counts_nobody_twice(progress, board):
    for choice in (1, 2):
        with serving(board) as address:
            join(address, CODE, progress=progress)
            press(paris(progress), choice)
            all_sent(progress)
    assert board.storage.people(CODE) == 1
    assert board.storage.counts(CODE, NAME)[1] == {OPTIONS[2]: 1}


def test_a_board_started_with_another_database_loses_no_answer(progress, board, tmp_path):
    port = a_free_port()
    with serving(board, port):
        join(f"http://127.0.0.1:{port}", CODE, progress=progress)
        all_sent(progress)
    (tmp_path / "other").mkdir()
    with new_board(tmp_path / "other", "http://board.school", "BCDFGH") as wrong, serving(wrong, port):
        press(paris(progress), 1)
        until(lambda: room._sender(progress.path.parent / "board").problem.startswith(room.UNKNOWN))
        question = paris(progress)
        press(question, 2)
        assert f"Kept for the room: the board knows no room {CODE}: ask your teacher." in question.feedback
        assert len(waiting(progress)) == 2
    with serving(board, port):
        paris(progress)  # the lesson goes on
        all_sent(progress)
    assert board.storage.counts(CODE, NAME)[1] == {OPTIONS[2]: 1}


def test_a_new_room_has_none_of_the_last_ones_problems(progress, address):
    join(f"http://127.0.0.1:{a_free_port()}", "BCDFGH", progress=progress)
    sender = room._sender(progress.path.parent / "board")
    until(lambda: sender.problem == room.AWAY)
    leave(progress)
    join(address, CODE, progress=progress)
    question = paris(progress)
    press(question, 1)
    assert room.SHARED in question.feedback


def test_a_kernel_hears_that_another_one_has_sent_everything(progress, address):
    join(address, CODE, progress=progress)
    sender = room._sender(progress.path.parent / "board")
    sender.problem = room.AWAY  # it was, and then the other kernel was first
    sender.wake()
    until(lambda: not sender.problem)


def test_what_waited_for_a_room_that_is_gone_ends_with_the_next_room(progress, board):
    port = a_free_port()
    join(f"http://127.0.0.1:{port}", "BCDFGH", progress=progress)
    press(paris(progress), 1)
    with serving(board, port):
        join(f"http://127.0.0.1:{port}", CODE, progress=progress)
        all_sent(progress)
    assert board.storage.answered(CODE) == {}


def test_what_the_board_refuses_does_not_hold_up_the_rest(progress, address, board):
    join(address, CODE, progress=progress)
    press(predict("my-own", "A question that the board doesn't know", ["a", "b"], progress), 0)
    all_sent(progress)
    question = paris(progress)
    press(question, 1)
    # It's read under the next question, so it says which one it is about.
    said = "The board didn't take your answer to my-own: There is no such question or option."
    assert f"{said} Shared with the room. There, your newest choice counts: {OPTIONS[1]}." in question.feedback
    press(predict("long", "One whose options are whole pages", ["a" * 5_000, "b"], progress), 0)
    press(paris(progress), 2)
    all_sent(progress)
    assert board.storage.counts(CODE, NAME)[1] == {OPTIONS[2]: 1}


def test_a_damaged_file_does_not_hold_up_the_rest(progress, address, board):
    join(address, CODE, progress=progress)
    folder = progress.path.parent / "board" / "waiting"
    folder.mkdir()
    for number, text in enumerate(
        ["", "{", "[]", "{}", '{"address": 1, "body": {"code": 2}}', '{"address": "x", "body": 3}']
    ):
        (folder / f"{number:020}-x.json").write_text(text)
    press(paris(progress), 1)
    all_sent(progress)
    assert board.storage.answered(CODE) == {NAME: 1}


def test_a_folder_that_cannot_be_written_stops_no_lesson(progress, address):
    join(address, CODE, progress=progress)
    (progress.path.parent / "board" / "waiting").write_text("a file where the folder should be")
    question = paris(progress)
    press(question, 1)
    assert question.feedback.startswith("Your prediction: 10 % to 50 %.\nThis couldn't be kept for the room: ")


def test_who_has_no_folder_of_their_own_reads_why_they_cannot_join(tmp_path, address):
    (tmp_path / "home").write_text("a file where the folder should be")
    with pytest.raises(CourseError, match=r"board can't be written, so nothing can wait for the room: .+\."):
        join(address, CODE, progress=Progress(tmp_path / "home" / "progress.json"))


# Several kernels, and killed ones

KERNEL = """
import sys
from pathlib import Path
from course_utils.learner.progress import Progress
from course_utils.learner.room import share
for number in range(int(sys.argv[2])):
    share(Progress(Path(sys.argv[1])), "00-paris", ["below 10 %", "10 % to 50 %", "over 50 %"][number % 3])
print("done", flush=True)
sys.stdin.readline()
"""


def kernel(progress, answers):
    command = [sys.executable, "-c", KERNEL, str(progress.path), str(answers)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
def test_what_a_killed_kernel_left_is_sent_by_the_next(progress, board):
    port = a_free_port()
    join(f"http://127.0.0.1:{port}", CODE, progress=progress)
    process = kernel(progress, 3)
    until(lambda: process.stdout.readline() == "done\n")
    process.send_signal(signal.SIGKILL)
    process.wait()
    room._senders.clear()  # a kernel of another day
    assert len(waiting(progress)) == 1 + 3
    with serving(board, port):
        paris(progress)  # a question is shown; nothing is pressed
        all_sent(progress)
    assert board.storage.counts(CODE, NAME)[1] == {OPTIONS[2]: 1}


def test_two_kernels_send_everything_once(progress, address, board):
    join(address, CODE, progress=progress)
    kernels = [kernel(progress, 6) for _ in range(2)]
    for process in kernels:
        until(lambda process=process: process.stdout.readline() == "done\n")
    all_sent(progress)
    for process in kernels:
        process.communicate("\n", timeout=PATIENCE)
    assert board.storage.counts(CODE, NAME)[1] == {OPTIONS[2]: 1}
    assert board.storage.people(CODE) == 1
