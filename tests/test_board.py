"""The class board: answers kept once, rounds, what each page may show, the command."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from starlette.testclient import TestClient

from course_utils.classroom.board import storage as storage_module
from course_utils.classroom.board.command import FILES, allow_many_connections
from course_utils.classroom.board.service import Board
from course_utils.classroom.board.storage import LATE, LETTERS, Answer, FullError, Stage, Storage
from course_utils.classroom.board.tables import TABLES
from course_utils.classroom.board.visitors import GUESSES
from course_utils.classroom.hub import free_ports
from course_utils.errors import CourseError
from tests.boards import CODE, NAME, OPTIONS, QUESTIONS, TASKS, new_board, serving
from tests.postgres import programs, running_postgres
from workshop.board_load import as_markdown, load


@pytest.fixture(scope="module")
def postgres():
    if programs() is None:
        pytest.skip("PostgreSQL isn't installed")
    with running_postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def storage(request, tmp_path):
    """A board's empty storage, in both kinds of database."""
    if request.param == "sqlite":
        kept = Storage(f"sqlite:///{tmp_path / 'board.sqlite'}")
    else:
        kept = Storage(request.getfixturevalue("postgres"))
    yield kept
    TABLES.drop_all(kept.engine)
    kept.engine.dispose()


@pytest.fixture
def board(storage):
    storage.make_room(CODE)
    return Board(storage, QUESTIONS, TASKS, "http://192.168.1.20:8010")


@pytest.fixture
def sqlite_board(tmp_path):
    with new_board(tmp_path) as board:
        yield board


def answer(message, choice=OPTIONS[0], question=NAME, said=""):
    return Answer(f"message-{message}", question, choice, said)


# What is kept


def test_a_second_answer_replaces_the_first_within_a_round(storage):
    room = storage.make_room()
    storage.act(room.code, "open", NAME)
    assert [storage.take(room.code, "ada", answer(n, OPTIONS[n])) for n in (0, 1)] == [1, 1]
    storage.take(room.code, "bob", answer(0, OPTIONS[2]))
    assert storage.counts(room.code, NAME)[1] == {OPTIONS[1]: 1, OPTIONS[2]: 1}
    storage.act(room.code, "second", NAME)
    assert storage.take(room.code, "ada", answer(2, OPTIONS[2])) == 2
    counts = storage.counts(room.code, NAME)
    assert counts[1] == {OPTIONS[1]: 1, OPTIONS[2]: 1}
    assert counts[2] == {OPTIONS[2]: 1}
    assert storage.answered(room.code) == {NAME: 2}
    assert storage.people(room.code) == 2


def test_the_same_message_counts_once_however_often_it_comes(storage):
    room = storage.make_room()
    storage.take(room.code, "ada", answer(1, OPTIONS[0]))
    storage.take(room.code, "ada", answer(2, OPTIONS[1]))
    storage.act(room.code, "open", NAME)
    storage.act(room.code, "second", NAME)
    assert storage.take(room.code, "ada", answer(1, OPTIONS[0])) == 1, "it came in round 1, and is no second one"
    assert storage.counts(room.code, NAME) == {LATE: {}, 1: {OPTIONS[1]: 1}, 2: {}}
    assert storage.take(room.code, "bob", answer(1, OPTIONS[0])) == 2, "another learner's message is another one"


def test_what_comes_after_the_end_is_late_and_kept(storage):
    room = storage.make_room()
    assert storage.take(room.code, "early", answer(0)) == 1, "before it's opened, it's the first round"
    storage.act(room.code, "open", NAME)
    storage.act(room.code, "close", NAME)
    assert storage.take(room.code, "slow", answer(0, OPTIONS[1])) == LATE
    storage.act(room.code, "open", NAME)
    assert storage.take(room.code, "back", answer(0)) == 1
    assert storage.counts(room.code, NAME) == {LATE: {OPTIONS[1]: 1}, 1: {OPTIONS[0]: 2}, 2: {}}
    assert [row[:2] for row in storage.table(room.code)] == [(NAME, "1"), (NAME, "late"), (NAME, "1")]


def test_an_answer_counts_in_the_round_in_which_it_was_chosen(storage):
    """Its sender's network was away, and it comes after the question was opened, closed, opened again, revealed."""
    room = storage.make_room()
    chosen = {"before": datetime.now(UTC)}
    for act in ("open", "close", "open", "show", "second", "reveal"):
        storage.act(room.code, act, NAME)
        chosen[f"{act} {len(chosen)}"] = datetime.now(UTC)
    storage.act(room.code, "open", "11-ten-best")
    chosen["after"] = datetime.now(UTC)
    rounds = [storage.take(room.code, f"learner {number}", answer(0), at) for number, at in enumerate(chosen.values())]
    assert rounds == [1, 1, LATE, 1, 1, 2, LATE, LATE]
    storage.act(room.code, "second", NAME)
    storage.act(room.code, "leave", NAME)
    assert storage.take(room.code, "in time", answer(0)) == 2, "it's off the projector, and still open"
    storage.act(room.code, "open", "11-ten-best")
    assert storage.take(room.code, "too late", answer(0)) == LATE, "another question's answers count now"


def test_what_was_chosen_last_counts_although_it_came_first(storage):
    """On a hub someone may answer in a notebook without a network, and then on a phone."""
    room = storage.make_room()
    earlier = datetime.now(UTC) - timedelta(minutes=1)
    storage.take(room.code, "ada", answer(1, OPTIONS[2]))
    storage.take(room.code, "ada", answer(2, OPTIONS[0]), earlier)
    assert storage.counts(room.code, NAME)[1] == {OPTIONS[2]: 1}
    storage.take(room.code, "ada", answer(3, "right", "11-q2"))
    storage.take(room.code, "ada", answer(4, "wrong", "11-q2", "You square."), earlier)
    assert storage.stuck(room.code, TASKS)[0]["solved"] == 1
    assert [row[3] for row in storage.table(room.code)] == [OPTIONS[2], "right"]


def test_the_second_of_two_quick_choices_counts_although_the_first_was_long_on_its_way(storage):
    """The board counts back from when it came: of a request that took four seconds, the time is wrong by as much."""
    room = storage.make_room()
    came = datetime.now(UTC)
    storage.take(room.code, "ada", answer(1, OPTIONS[0]), came)
    storage.take(room.code, "ada", answer(2, OPTIONS[1]), came - timedelta(seconds=3))
    storage.take(room.code, "bob", answer(1, OPTIONS[2]), came - timedelta(seconds=5))
    assert storage.counts(room.code, NAME)[1] == {OPTIONS[1]: 1, OPTIONS[2]: 1}
    assert {row[3] for row in storage.table(room.code)} == {OPTIONS[1], OPTIONS[2]}


def test_a_boards_clock_that_is_put_back_changes_no_round(storage, monkeypatch):
    hours = {"ahead": 0}

    class Clock(datetime):
        @classmethod
        def now(cls, zone):
            return datetime.now(zone) + timedelta(hours=hours["ahead"])

    monkeypatch.setattr(storage_module, "datetime", Clock)
    room = storage.make_room()
    hours["ahead"] = 2
    for act in ("open", "second"):
        storage.act(room.code, act, NAME)
    storage.take(room.code, "ada", answer(1, OPTIONS[0]))
    hours["ahead"] = 0
    assert storage.take(room.code, "ada", answer(2, OPTIONS[1])) == 2
    assert storage.counts(room.code, NAME)[2] == {OPTIONS[1]: 1}, "what came last"
    chosen = datetime.now(UTC)
    storage.act(room.code, "close", NAME)
    assert storage.take(room.code, "bob", answer(1), chosen) == 2
    assert storage.take(room.code, "eve", answer(1)) == LATE
    hours["ahead"] = 3
    assert storage.take(room.code, "zoe", answer(1)) == LATE, "when it's that late again, nothing opens by itself"


def test_a_database_of_last_week_keeps_its_rounds(storage):
    """It has no table of when rounds began, and everything else is as it was."""
    room = storage.make_room()
    storage.act(room.code, "open", "11-ten-best")
    storage.act(room.code, "open", NAME)
    storage.act(room.code, "second", NAME)
    storage.take(room.code, "ada", answer(1))
    TABLES.tables["rounds"].drop(storage.engine)
    for _ in range(2):
        new = Storage(storage.engine.url.render_as_string(hide_password=False))
        new.engine.dispose()
    assert storage.take(room.code, "bob", answer(1, OPTIONS[1])) == 2, "its second round is open"
    assert storage.take(room.code, "bob", answer(2, "x", "11-ten-best")) == LATE, "it was closed"
    assert storage.take(room.code, "bob", answer(3, "x", "11-quiz-nucleus")) == 1, "it was never opened"
    assert storage.counts(room.code, NAME)[2] == {OPTIONS[0]: 1, OPTIONS[1]: 1}
    storage.act(room.code, "open", "11-ten-best")
    assert storage.take(room.code, "eve", answer(1, "x", "11-ten-best")) == 1


def test_one_room_knows_nothing_of_another(storage):
    rooms = [storage.make_room().code for _ in range(2)]
    storage.take(rooms[0], "ada", answer(1))
    storage.act(rooms[0], "open", NAME)
    assert storage.answered(rooms[1]) == {}
    assert storage.stages(rooms[1]) == {}
    assert storage.people(rooms[1]) == 0
    storage.act(rooms[1], "open", NAME)
    storage.act(rooms[1], "reset", NAME)
    assert storage.answered(rooms[0]) == {NAME: 1}


@pytest.mark.parametrize(
    ("acts", "stage"),
    [
        (["open"], Stage(1, True, False, False)),
        (["open", "show"], Stage(1, True, True, False)),
        (["open", "show", "hide"], Stage(1, True, False, False)),
        (["open", "close"], Stage(1, False, False, False)),
        (["open", "reveal"], Stage(1, False, True, True)),
        (["open", "reveal", "hide"], Stage(1, False, True, True)),
        (["open", "reveal", "open"], Stage(1, False, True, True)),
        (["open", "reveal", "second"], Stage(2, True, False, False)),
        (["open", "reveal", "second", "reveal"], Stage(2, False, True, True)),
        (["open", "leave"], Stage(1, True, False, False)),
        (["open", "reset"], None),
        (["close", "show", "reveal", "second", "hide"], None),
    ],
)
def test_what_the_buttons_do(storage, acts, stage):
    room = storage.make_room()
    for act in acts:
        storage.act(room.code, act, NAME)
    assert storage.stages(room.code).get(NAME) == stage
    assert storage.room(room.code).current == (NAME if stage and acts[-1] != "leave" else None)


def test_only_one_question_takes_answers(storage):
    room = storage.make_room()
    storage.act(room.code, "open", NAME)
    storage.act(room.code, "open", "11-ten-best")
    assert {name: stage.is_open for name, stage in storage.stages(room.code).items()} == {
        NAME: False,
        "11-ten-best": True,
    }
    storage.act(room.code, "second", NAME)
    assert {name: stage.is_open for name, stage in storage.stages(room.code).items()} == {
        NAME: True,
        "11-ten-best": False,
    }


def test_reset_forgets_the_answers_of_one_question(storage):
    room = storage.make_room()
    storage.take(room.code, "ada", answer(1))
    storage.take(room.code, "ada", answer(2, "One token", "11-quiz-nucleus"))
    storage.act(room.code, "reset", NAME)
    assert storage.answered(room.code) == {"11-quiz-nucleus": 1}


def test_what_was_chosen_before_a_reset_does_not_count_when_it_comes_after_it(storage):
    room = storage.make_room()
    storage.act(room.code, "open", NAME)
    chosen = datetime.now(UTC)
    storage.act(room.code, "reset", NAME)
    assert storage.take(room.code, "ada", answer(1), chosen) == LATE
    assert storage.take(room.code, "ada", answer(2)) == 1
    storage.act(room.code, "open", NAME)
    assert storage.take(room.code, "ada", answer(3, OPTIONS[1])) == 1
    assert storage.counts(room.code, NAME)[1] == {OPTIONS[1]: 1}


def test_names_are_kept_only_while_the_room_asks(storage):
    room = storage.make_room()
    storage.add_person(room.code, "ada", "Ada")
    storage.take(room.code, "ada", answer(1))
    assert [row[2] for row in storage.table(room.code)] == ["learner 1"]
    storage.act(room.code, "names")
    storage.add_person(room.code, "ada", "Ada")
    assert [row[2] for row in storage.table(room.code)] == ["Ada"]
    storage.act(room.code, "no names")
    assert [row[2] for row in storage.table(room.code)] == ["learner 1"]
    storage.act(room.code, "names")
    assert [row[2] for row in storage.table(room.code)] == ["learner 1"], "what was deleted doesn't come back"


def test_what_the_room_gets_stuck_on(storage):
    room = storage.make_room()
    tries = [
        ("ada", "wrong", "You square it."),
        ("bob", "wrong", "You square it."),
        ("bob", "wrong", "You halve it."),
        ("eve", "wrong", "You square it."),
        ("eve", "wrong", "You square it."),
        ("eve", "right", ""),
    ]
    for number, (who, came_out, said) in enumerate(tries):
        storage.take(room.code, who, answer(number, came_out, "11-q2", said))
    storage.take(room.code, "ada", answer(99))
    assert storage.stuck(room.code, TASKS) == [
        {
            "task": "11-q2",
            "title": "q2 · Top-k",
            "tried": 3,
            "solved": 1,
            "sentences": [
                {"said": "You square it.", "learners": 3, "now": 1},
                {"said": "You halve it.", "learners": 1, "now": 1},
            ],
        }
    ]


def test_a_full_room_is_refused_and_those_inside_continue(storage, monkeypatch):
    monkeypatch.setattr(storage_module, "MOST_PEOPLE", 1)
    monkeypatch.setattr(storage_module, "MOST_ANSWERS", 2)
    room = storage.make_room()
    storage.take(room.code, "ada", answer(1))
    with pytest.raises(FullError):
        storage.take(room.code, "bob", answer(1))
    storage.take(room.code, "ada", answer(2))
    with pytest.raises(FullError):
        storage.take(room.code, "ada", answer(3))
    assert storage.take(room.code, "ada", answer(2)) == 1


def test_many_at_once_lose_nothing(storage):
    room = storage.make_room()
    problems = []

    def learner(number):
        try:
            for message in range(3):
                storage.take(room.code, f"learner {number}", answer(message, OPTIONS[message]))
                storage.counts(room.code, NAME)
        except Exception as problem:  # noqa: BLE001 - shown below
            problems.append(problem)

    threads = [threading.Thread(target=learner, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    assert storage.counts(room.code, NAME)[1] == {OPTIONS[2]: 20}


def test_what_was_kept_is_there_for_the_next_board(storage):
    room = storage.make_room(CODE)
    storage.take(CODE, "ada", answer(1))
    again = Storage(storage.engine.url.render_as_string(hide_password=False))
    assert again.latest_room() == room == again.room_of_teacher(room.secret)
    assert again.answered(CODE) == {NAME: 1}
    again.engine.dispose()


def test_codes_can_be_read_aloud():
    assert not set(LETTERS) & set("AEIOUL0123456789")
    kept = Storage("sqlite://")
    codes = {kept.make_room().code for _ in range(50)}
    assert len(codes) == 50
    assert all(len(code) == 6 and set(code) <= set(LETTERS) for code in codes)


@pytest.mark.parametrize(
    "url", ["nonsense", "sqlite:////proc/board.sqlite", "mysql://x/y", "postgresql://a:pw@127.0.0.1:9/b"]
)
def test_a_database_that_cannot_be_opened_is_one_sentence(url):
    with pytest.raises(CourseError, match="cannot be opened: ") as caught:
        Storage(url)
    assert "pw" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_nobody_else_on_the_machine_reads_the_file(tmp_path):
    Storage(f"sqlite:///{tmp_path / 'new' / 'board.sqlite'}")
    assert (tmp_path / "new" / "board.sqlite").stat().st_mode & 0o077 == 0


# The service


def learner_of(board, key="k" * 40):
    client = TestClient(board.app())
    client.headers["authorization"] = f"Bearer {key}"
    return client


def post(client, choice=OPTIONS[0], message="message-1", question=NAME, **more):
    said = {"code": CODE, "message": message, "question": question, "choice": choice, **more}
    return client.post("/api/answers", json=said)


def teacher_of(board):
    client = TestClient(board.app())
    page = client.get(f"/teacher/{board.storage.room(CODE).secret}")
    assert page.status_code == 200
    client.headers["x-board-token"] = page.text.partition('name="token" content="')[2].partition('"')[0]
    return client


def press(teacher, act, question=NAME):
    said = teacher.post("/teacher/act", json={"act": act, "question": question})
    assert said.status_code == 200, said.text


def test_an_hour_with_the_board(board):
    teacher, ada, bob = teacher_of(board), learner_of(board), learner_of(board, "b" * 40)
    assert board.shown.for_projector(CODE) == {"asks_names": False, "question": None, "people": 0}
    press(teacher, "open")
    assert post(ada, OPTIONS[0]).json() == {"round": 1}
    assert post(bob, OPTIONS[2]).json() == {"round": 1}
    shown = board.shown.for_projector(CODE)
    assert (shown["people"], shown["question"]["answered"], shown["question"]["rounds"]) == (2, 2, None)
    press(teacher, "show")
    assert board.shown.for_projector(CODE)["question"]["rounds"] == [[1, 0, 1]]
    press(teacher, "second")
    assert post(ada, OPTIONS[2], "message-2").json() == {"round": 2}
    shown = board.shown.for_projector(CODE)["question"]
    assert (shown["answered"], shown["rounds"], shown["right"], shown["measured"]) == (1, None, None, None)
    press(teacher, "reveal")
    assert post(bob, OPTIONS[2], "message-2").json() == {"round": LATE}
    shown = board.shown.for_projector(CODE)["question"]
    assert (shown["rounds"], shown["right"], shown["measured"], shown["late"]) == (
        [[1, 0, 1], [0, 0, 1]],
        (2,),
        "77.3%",
        1,
    )
    press(teacher, "leave")
    assert board.shown.for_projector(CODE)["question"] is None
    press(teacher, "reset")
    assert board.shown.for_teacher(CODE)["answered"] == {}


def test_an_answer_says_how_long_it_waited(board):
    teacher, ada = teacher_of(board), learner_of(board)
    press(teacher, "open")
    time.sleep(1)
    chosen = time.time()
    time.sleep(1)
    press(teacher, "second")
    assert post(ada, OPTIONS[1], "message-2").json() == {"round": 2}
    assert post(ada, OPTIONS[0], age=time.time() - chosen).json() == {"round": 1}
    assert board.storage.counts(CODE, NAME) == {LATE: {}, 1: {OPTIONS[0]: 1}, 2: {OPTIONS[1]: 1}}


def test_the_teacher_sees_everything_at_once(board):
    teacher = teacher_of(board)
    press(teacher, "open")
    post(learner_of(board), OPTIONS[1])
    post(learner_of(board), "wrong", "message-2", "11-q3", said="You drop the token that crosses p.")
    shown = board.shown.for_teacher(CODE)
    assert shown["question"]["rounds"] == [[0, 1, 0]]
    assert shown["question"]["right"] == (2,)
    assert shown["answered"] == {NAME: 1, "11-q3": 1}
    assert shown["stuck"][0]["sentences"] == [{"said": "You drop the token that crosses p.", "learners": 1, "now": 1}]


def test_answers_as_a_table(board):
    teacher = teacher_of(board)
    press(teacher, "names", "")
    ada = learner_of(board)
    ada.post("/api/join", json={"code": CODE, "name": "=HYPERLINK(1)"})
    post(ada, OPTIONS[2])
    post(ada, "Temperature and top-p", "message-2", "11-quiz-order")
    post(ada, "right", "message-3", "11-q3")
    file = teacher.get("/teacher/answers.csv")
    assert file.headers["content-disposition"] == f'attachment; filename="board-{CODE}.csv"'
    rows = list(csv.reader(io.StringIO(file.content.decode("utf-8-sig"))))
    assert rows == [
        ["question", "round", "learner", "answer", "right", "sentence"],
        [NAME, "1", "'=HYPERLINK(1)", OPTIONS[2], "yes", ""],
        ["11-q3", "1", "'=HYPERLINK(1)", "right", "yes", ""],
        ["11-quiz-order", "1", "'=HYPERLINK(1)", "Temperature and top-p", "no", ""],
    ]


def test_a_phone_answers_with_a_cookie(board):
    phone = TestClient(board.app())
    assert post(phone).status_code == 403
    assert phone.post("/api/join", json={"code": CODE.lower()}).json() == {"code": CODE, "asks_names": False}
    assert post(phone).json() == {"round": 1}
    post(phone, OPTIONS[1], "message-2")
    assert board.storage.counts(CODE, NAME)[1] == {OPTIONS[1]: 1}


def test_pages_hold_all_that_they_need(sqlite_board):
    client = TestClient(sqlite_board.app())
    pages = [
        client.get("/"),
        client.get(f"/join/{CODE}"),
        client.get(f"/projector/{CODE}"),
        teacher_of(sqlite_board).get("/teacher"),
    ]
    for page in pages:
        assert page.status_code == 200
        for address in (part.partition('"')[0] for part in page.text.replace('href="', 'src="').split('src="')[1:]):
            assert address.startswith("/")
            if "teacher" not in address:
                assert client.get(address).status_code == 200, address
    drawn = client.get(f"/qr/{CODE}")
    assert drawn.headers["content-type"] == "image/svg+xml"
    assert b"<path" in drawn.content


@pytest.fixture
def served(sqlite_board):
    """The board behind a real web server, as `course board` runs it."""
    with serving(sqlite_board) as address:
        yield sqlite_board, address


def events(stream):
    for line in stream:
        if line.startswith(b"data: "):
            yield json.loads(line[6:])


def test_pages_hear_of_every_change(served):
    board, address = served
    with urllib.request.urlopen(f"{address}/events/projector/{CODE}", timeout=60) as stream:
        said = events(stream)
        assert next(said)["question"] is None
        board.storage.act(CODE, "open", NAME)
        for number in range(5):
            body = {"code": CODE, "message": f"message-{number}", "question": NAME, "choice": OPTIONS[number % 3]}
            headers = {"Authorization": "Bearer " + str(number) * 40, "Content-Type": "application/json"}
            urllib.request.urlopen(urllib.request.Request(f"{address}/api/answers", json.dumps(body).encode(), headers))
        assert any(one["question"] and one["question"]["answered"] == 5 for one in said)


def test_two_boards_do_not_share_a_file(tmp_path, capsys):
    from course_utils.cli import main

    database = f"sqlite:///{tmp_path / 'board.sqlite'}"
    first = Storage(database)
    first.keep_others_out()
    assert main(["board", "--port", "1", "--db", database]) == 1
    said = capsys.readouterr().err
    assert said == f"Another board uses {tmp_path / 'board.sqlite'}: stop it, or choose another database with --db.\n"
    first.engine.dispose()


def test_two_boards_do_not_share_a_database_of_postgresql(postgres):
    first, second = Storage(postgres), Storage(postgres)
    first.keep_others_out()
    with pytest.raises(CourseError, match=r"^Another board uses .+: stop it, or choose another database with --db\.$"):
        second.keep_others_out()
    first._alone.close()  # as it ends with its process
    first.engine.dispose()
    second.keep_others_out()
    second._alone.close()
    second.engine.dispose()


@pytest.mark.parametrize("address", ["http://board.school", "https://board.school"])
def test_a_server_that_speaks_https_before_it_says_who_it_is(tmp_path, address):
    """Else the whole world would be one address to the board, and its cookies would travel without HTTPS, too."""
    (port,) = free_ports(1)
    command = [sys.executable, "-P", "-m", "course_utils.cli", "board", f"--port={port}", f"--room={CODE}"]
    command += [f"--db=sqlite:///{tmp_path / 'board.sqlite'}", f"--address={address}"]
    board = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        page_of(next(line for line in board.stdout if "/teacher/" in line).split()[-1])
        seen = Counter()
        for number in range(GUESSES + 5):
            said = {"X-Forwarded-For": f"203.0.113.{number}", "X-Forwarded-Proto": "https"}
            wrong = urllib.request.Request(f"http://127.0.0.1:{port}/api/rooms/BBBBBB", headers=said)
            with pytest.raises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(wrong, timeout=60)
            seen[caught.value.code] += 1
        joins = json.dumps({"code": CODE}).encode()
        joining = urllib.request.Request(
            f"http://127.0.0.1:{port}/api/join", joins, {**said, "Content-Type": "application/json"}
        )
        if address.startswith("https"):
            assert seen == {404: GUESSES + 5}
            assert "secure" in urllib.request.urlopen(joining, timeout=60).headers["set-cookie"].lower()
        else:
            assert seen == {404: GUESSES, 429: 5}
    finally:
        board.terminate()
        board.wait(60)


def test_the_command_says_where_everything_is_and_goes_on_with_its_room(tmp_path):
    (port,) = free_ports(1)
    command = [sys.executable, "-P", "-m", "course_utils.cli", "board", f"--port={port}"]
    command += [f"--db=sqlite:///{tmp_path / 'board.sqlite'}", "--address=http://board.school"]
    links = []
    for more in ([], [], ["--room=new"], [f"--room={CODE.lower()}"]):
        board = subprocess.Popen([*command, *more], stdout=subprocess.PIPE, text=True)
        try:
            code = next(line for line in board.stdout if line.startswith("Room ")).split()[1]
            links.append(next(line for line in board.stdout if "/teacher/" in line).split()[-1])
            again = f"--room {code} in place of --room new" if more == ["--room=new"] else "the same command"
            assert next(board.stdout).endswith(f"All answers are kept; {again} continues with this room.\n")
            assert "Answers as CSV" in page_of(links[-1])
        finally:
            board.terminate()
            board.wait(60)
    assert links[0] == links[1]
    assert len(set(links)) == 3
    assert Storage(f"sqlite:///{tmp_path / 'board.sqlite'}").latest_room().code == CODE


def page_of(link):
    """The teacher's page, as soon as the board answers; a browser keeps the cookie."""
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    for _ in range(600):
        try:
            return browser.open(link, timeout=60).read().decode()
        except urllib.error.URLError as problem:
            if isinstance(problem, urllib.error.HTTPError):
                raise
            time.sleep(0.1)
    raise AssertionError(link)


@pytest.mark.skipif(os.name == "nt", reason="SIGINT")
@pytest.mark.parametrize("room", [CODE, "new"])
def test_the_board_stops_at_once_although_pages_listen(tmp_path, room):
    database, (port,) = f"sqlite:///{tmp_path / 'board.sqlite'}", free_ports(1)
    command = [sys.executable, "-P", "-m", "course_utils.cli", "board", f"--port={port}", f"--db={database}"]
    board = subprocess.Popen([*command, f"--room={room}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    code = next(line for line in board.stdout if line.startswith("Room ")).split()[1]
    page_of(next(line for line in board.stdout if "/teacher/" in line).split()[-1])
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/events/projector/{code}", timeout=60) as stream:
        next(events(stream))
        board.send_signal(signal.SIGINT)
        again = f"--room {code} in place of --room new" if room == "new" else "the same command"
        assert board.communicate(timeout=300)[1] == f"Stopped: {again} continues with this room.\n"


@pytest.mark.skipif(os.name == "nt", reason="a limit of POSIX")
def test_a_whole_class_of_open_pages_is_not_too_many_files():
    import resource

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))  # as macOS begins
    try:
        allow_many_connections()
        allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert 2 * storage_module.MOST_PEOPLE <= allowed <= FILES


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
def test_a_board_killed_in_the_middle_loses_nothing(tmp_path):
    measured = load(f"sqlite:///{tmp_path / 'board.sqlite'}", learners=12, seconds=2, is_killed=True)
    assert measured["killed"].startswith("killed after 1 s, back ")
    assert "| SQLite | 12 | killed after 1 s, back " in as_markdown([measured], 0)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--room", "APPLES"], "A room's code has 6 letters of BCDFGHJKMNPQRSTVWXYZ: APPLES can't be one."),
        (["--notebooks", "none.ipynb"], "There is no notebook or folder none.ipynb: give --notebooks another path."),
        (["--address", "192.168.1.20"], "--address must begin with http:// or https://, got '192.168.1.20'."),
        (["--db", "nonsense"], "The board's database 'nonsense' cannot be opened: "),
    ],
)
def test_what_the_command_cannot_do_is_one_sentence(options, said, capsys):
    from course_utils.cli import main

    assert main(["board", "--port", "1", *options]) == 1
    assert capsys.readouterr().err.startswith(said)
