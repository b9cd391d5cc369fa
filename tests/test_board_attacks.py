"""Attacks on the class board: each is tried as someone in the room, or outside of it, would try it."""

import asyncio
import base64
import codecs
import csv
import hashlib
import http.client
import importlib.util
import io
import json
import sqlite3
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from urllib.parse import parse_qs, urlsplit

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.testclient import TestClient

from course_utils.classroom.board import limits, service, visitors
from course_utils.classroom.board.limits import Limiter
from course_utils.classroom.board.service import Board
from course_utils.classroom.board.storage import LETTERS, Answer, Storage
from course_utils.classroom.board.tables import CODE_LENGTH
from course_utils.classroom.board.visitors import button_token
from tests.boards import CODE, NAME, OPTIONS, QUESTIONS, TASKS, new_board, serving
from tests.conftest import need

RUDE = "<script>alert(1)</script>"
KEY = "k" * 40


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test turns on; every limit goes by it."""
    time = [0.0]

    class Slow(Limiter):
        def __init__(self, burst, per_second):
            super().__init__(burst, per_second, lambda: time[0])

    monkeypatch.setattr(visitors, "Limiter", Slow)
    monkeypatch.setattr(limits, "Limiter", Slow)
    return time


@pytest.fixture
def board(tmp_path, clock):
    with new_board(tmp_path) as board:
        yield board


@pytest.fixture
def app(board):
    return board.app()


def someone(app, address="10.0.0.1", key=KEY):
    client = TestClient(app, client=(address, 5000), raise_server_exceptions=False)
    if key:
        client.headers["authorization"] = f"Bearer {key}"
    return client


def post(client, message="message-1", **more):
    said = {"code": CODE, "message": message, "question": NAME, "choice": OPTIONS[0], **more}
    return client.post("/api/answers", json=said)


def teacher(app, board, code=CODE):
    client = someone(app, "127.0.0.1", key=None)
    assert client.get(f"/teacher/{board.storage.room(code).secret}").status_code == 200
    client.headers["x-board-token"] = button_token(board.storage.room(code))
    return client


def press(client, act, question=NAME):
    return client.post("/teacher/act", json={"act": act, "question": question})


# Codes

PATHS = ["/join/{}", "/projector/{}", "/qr/{}", "/events/learner/{}", "/events/projector/{}", "/api/rooms/{}"]


def test_an_hour_at_the_limit_has_no_chance():
    tries = visitors.ALL_GUESSES + 3600 * visitors.ALL_GUESSES_PER_SECOND
    assert tries / len(LETTERS) ** CODE_LENGTH < 1 / 30_000


def test_an_hour_of_guessing_from_everywhere_gets_no_more_tries(board, clock, monkeypatch):
    looked = []
    monkeypatch.setattr(board.storage, "room", lambda code: looked.append(code))

    async def guess(address):
        scope = {"type": "http", "client": (address, 5000), "headers": [], "path_params": {"code": "BBBBBB"}}
        with pytest.raises(HTTPException):
            await board.visitors.room_of_code(Request(scope))

    async def an_hour():
        for minute in range(60):
            clock[0] = 60.0 * minute
            await asyncio.gather(*(guess(f"10.0.{number}.1") for number in range(50)))

    asyncio.run(an_hour())
    allowed = visitors.ALL_GUESSES + 3600 * visitors.ALL_GUESSES_PER_SECOND
    assert 0.9 * allowed < len(looked) <= allowed < 60 * 50


@pytest.mark.parametrize("path", PATHS)
def test_every_way_to_try_a_code_counts(app, path):
    client = someone(app)
    tried = [client.get(path.format("BBBBBB")).status_code for _ in range(visitors.GUESSES + 1)]
    assert tried == [404] * visitors.GUESSES + [429]


@pytest.mark.parametrize("path", ["/api/answers", "/api/join"])
def test_a_code_in_a_message_counts_too(app, path):
    client = someone(app)
    said = {"code": "BBBBBB", "message": "message-1", "question": NAME, "choice": OPTIONS[0]}
    tried = [client.post(path, json=said).status_code for _ in range(visitors.GUESSES + 1)]
    assert tried == [404] * visitors.GUESSES + [429]


def test_a_right_guess_does_not_show_once_there_were_too_many(app):
    client = someone(app)
    for _ in range(visitors.GUESSES):
        client.get("/join/BBBBBB")
    assert client.get(f"/join/{CODE}").status_code == 429


def test_a_thousand_at_once_are_no_more_tries_than_one_after_the_other(app):
    client = someone(app)
    with ThreadPoolExecutor(50) as together:
        tried = list(together.map(lambda _: client.get("/api/rooms/BBBBBB").status_code, range(200)))
    assert tried.count(404) == visitors.GUESSES


def test_who_guesses_locks_nobody_out_who_is_in(app, clock):
    learner, troll = someone(app, "10.0.0.1"), someone(app, "10.0.0.1", "t" * 40)
    assert post(learner).status_code == 200
    for _ in range(50):
        troll.get("/join/BBBBBB")
    assert post(learner, "message-2").status_code == 200
    assert someone(app, "10.0.0.1", "new" * 12).get(f"/join/{CODE}").status_code == 200, "the same school network"


def test_a_word_about_the_address_is_not_believed(board):
    with serving(board) as address:
        seen = []
        for number in range(visitors.GUESSES + 1):
            said = {
                "X-Forwarded-For": f"10.0.0.{number}",
                "Forwarded": f"for=10.0.0.{number}",
                "X-Real-IP": str(number),
            }
            with pytest.raises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(urllib.request.Request(f"{address}/api/rooms/BBBBBB", headers=said))
            seen.append(caught.value.code)
            assert "server" not in caught.value.headers
    assert seen == [404] * visitors.GUESSES + [429]


def test_a_network_of_ipv6_is_one_address():
    networks = ("2001:db8:1:2::{}", "2001:db8::{}", "fe80::{}:2:3:4", "fe80::{}%eth0", "::{}")
    for network in networks:
        addresses = [network.format(number) for number in range(1, 6)]
        assert len({limits.address_of({"client": (address, 1)}) for address in addresses}) == 1, network
    assert limits.address_of({"client": ("2001:db8:1:2::1", 1)}) != limits.address_of(
        {"client": ("2001:db8:1:3::1", 1)}
    )
    assert limits.address_of({"client": ("::ffff:10.0.0.1", 1)}) == "10.0.0.1"
    assert limits.address_of({"client": ("testclient", 1)}) == "testclient"
    assert limits.address_of({"client": ("10.0.0.1", 1)}) != limits.address_of({"client": ("10.0.0.2", 1)})


@pytest.mark.parametrize(
    "code", ["", "B", "B" * 1000, "b\x00bbbb", "' OR 1=1", "KXWPH%", "......", "КXWPHT", None, 7, [], {}]
)
def test_what_is_no_code_is_no_room(app, code):
    assert someone(app).post("/api/join", json={"code": code}).status_code == 404


# Rates and sizes


def test_who_answers_too_often_waits_and_others_do_not(app, clock):
    troll, learner = someone(app, key="t" * 40), someone(app)
    tried = [post(troll, f"message-{number}").status_code for number in range(visitors.ANSWERS + 5)]
    assert tried == [200] * visitors.ANSWERS + [429] * 5
    assert post(learner).status_code == 200
    clock[0] += 10
    assert post(troll, "message-later").status_code == 200


def test_too_many_requests_of_one_address(app, monkeypatch):
    client = someone(app)
    app.requests.burst = 30
    tried = [client.get("/").status_code for _ in range(35)]
    assert tried == [200] * 30 + [429] * 5
    assert someone(app, "10.0.0.2").get("/").status_code == 200


def test_a_class_behind_one_address_is_not_too_much(app, clock):
    for number in range(300):
        clock[0] += 10 / 300
        assert post(someone(app, key=f"{number:040}")).status_code == 200


def test_one_machine_does_not_fill_the_room(app, board, monkeypatch):
    board.visitors._newcomers.burst = 5
    joined = [post(someone(app, key=f"{number:040}")).status_code for number in range(8)]
    assert joined == [200] * 5 + [429] * 3
    assert post(someone(app, key=f"{0:040}"), "message-2").status_code == 200, "who is in stays in"
    assert post(someone(app, "10.0.0.2", "k" * 41)).status_code == 200


@pytest.mark.parametrize("path", ["/api/answers", "/api/join", "/teacher/act"])
def test_a_large_body_is_not_read(app, board, path):
    client = teacher(app, board)
    client.headers["authorization"] = f"Bearer {KEY}"
    body = json.dumps({"code": CODE, "act": "open", "question": NAME, "name": "x" * limits.LARGEST_BODY})
    assert client.post(path, content=body, headers={"content-type": "application/json"}).status_code == 413
    read = []

    def pieces():  # without a length in the head
        for _ in range(1_000):
            read.append(1)
            yield b" " * 1000

    assert client.post(path, content=pieces(), headers={"content-type": "application/json"}).status_code == 413


@pytest.mark.parametrize(
    "body", [b"", b"[", b"[" * 4000, b'"text"', b"[]", b"null", b"1e999", b"\xff\xfe", b'{"code": NaN}', b"{" * 4000]
)
def test_what_is_no_message_is_refused(app, body):
    answer = someone(app).post("/api/answers", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (404, 422)
    assert "problem" in answer.json()


@pytest.mark.parametrize(
    "change",
    [
        {"question": "no-such"},
        {"question": None},
        {"question": "11-q1"},
        {"choice": "no such option"},
        {"choice": 0},
        {"choice": [OPTIONS[0]]},
        {"choice": "x" * 501},
        {"message": ""},
        {"message": "m" * 65},
        {"message": "'; DROP TABLE answers"},
        {"message": "message\n1"},
        {"question": "11-q1", "choice": "wrong", "said": "x" * 501},
        {"question": "11-q1", "choice": "wrong", "said": {"html": RUDE}},
        {"question": "11-q1", "choice": "solved"},
        {"age": -1},
        {"age": 100_000},
        {"age": "1"},
        {"age": None},
    ],
)
def test_an_answer_that_there_is_not_is_refused(app, board, change):
    assert post(someone(app), **change).status_code == 422
    assert board.storage.answered(CODE) == {}


def test_open_pages_are_limited_and_the_teachers_is_none_of_them(board, monkeypatch):
    monkeypatch.setattr(service, "STREAMS", {"learner": 3, "projector": 3, "teacher": 3})
    secret = board.storage.room(CODE).secret
    with serving(board) as address, ExitStack() as pages:

        def listen(path, **headers):
            page = http.client.HTTPConnection(address.removeprefix("http://"), timeout=60)
            pages.callback(page.close)
            page.request("GET", path, headers=headers)
            answer = page.getresponse()
            if answer.status == 200:
                answer.readline()
            return answer.status

        assert [listen(f"/events/learner/{CODE}") for _ in range(5)] == [200, 200, 200, 429, 429]
        assert listen("/teacher/events", Cookie=f"board_teacher={secret}") == 200


def test_made_up_sentences_do_not_make_the_teachers_page_slow(board):
    for number in range(60):
        board.storage.take(CODE, f"{number:040}", Answer(f"message-{number}", "11-q1", "wrong", f"{number} " * 100))
    (task,) = board.shown.for_teacher(CODE)["stuck"]
    assert (task["tried"], len(task["sentences"])) == (60, 5)


def test_a_full_memory_of_addresses_is_emptied():
    limiter = Limiter(2, 1.0, clock := iter(range(100_000)).__next__)
    for number in range(30_000):
        assert limiter.takes(f"address {number}")
    assert len(limiter._left) <= 10_002
    assert clock() >= 30_000


# The teacher's side


def test_the_teachers_link_is_in_nothing_that_a_learner_loads(app, board):
    press(teacher(app, board), "open")
    room, learner = board.storage.room(CODE), someone(app)
    learner.post("/api/join", json={"code": CODE})
    static = [f"/static/{file.name}" for file in (service.PAGES / "static").iterdir()]
    paths = ["/", f"/join/{CODE}", f"/projector/{CODE}", f"/qr/{CODE}", f"/api/rooms/{CODE}", "/teacher", *static]
    answers = [learner.get(path) for path in paths] + [post(learner), learner.get("/teacher/wrong")]
    texts = [f"{answer.headers}{answer.text}" for answer in answers]
    texts += [json.dumps(show(CODE)) for show in (board.shown.for_learners, board.shown.for_projector)]
    assert all(texts)
    assert not any(secret in text for secret in (room.secret, button_token(room)) for text in texts)


@pytest.mark.parametrize("path", ["/teacher", "/teacher/events", "/teacher/answers.csv"])
@pytest.mark.parametrize("cookie", [None, "", CODE, "x" * 43, "' OR '1'='1", "%00", "x" * 4000])
def test_without_the_secret_there_is_no_teacher(app, path, cookie):
    cookies = {} if cookie is None else {"cookie": f"board_teacher={cookie}"}
    assert someone(app).get(path, headers=cookies).status_code == 403


def test_another_site_cannot_press_the_buttons(app, board):
    """A browser sends the teacher's cookie along; it can't send the token, nor JSON without asking first."""
    browser = teacher(app, board)
    token = browser.headers.pop("x-board-token")
    browser.headers.encoding = "latin-1"
    assert press(browser, "open").status_code == 403
    for wrong in ("", token[:-1], token.upper(), "ä", button_token(board.storage.make_room())):
        browser.headers["x-board-token"] = wrong
        assert press(browser, "open").status_code == 403
    browser.headers["x-board-token"] = token
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        body = json.dumps({"act": "open", "question": NAME})
        assert browser.post("/teacher/act", content=body, headers={"content-type": kind}).status_code == 415
    assert browser.get(f"/teacher/act?act=open&question={NAME}").status_code in (403, 405)
    asked = browser.options("/teacher/act", headers={"origin": "http://evil", "access-control-request-method": "POST"})
    assert not [name for name in asked.headers if name.startswith("access-control")]
    assert board.storage.stages(CODE) == {}
    assert press(browser, "open").status_code == 200


def test_cookies_stay_with_the_board(app, board):
    client = someone(app, key=None)
    kept = [client.get(f"/teacher/{board.storage.room(CODE).secret}", follow_redirects=False).headers["set-cookie"]]
    kept += [client.post("/api/join", json={"code": CODE}).headers["set-cookie"]]
    assert all("HttpOnly" in cookie and "SameSite=lax" in cookie for cookie in kept)


def test_another_site_cannot_answer_for_a_learner(app, board):
    browser = someone(app, key=None)
    browser.post("/api/join", json={"code": CODE})
    said = {"code": CODE, "message": "message-1", "question": NAME, "choice": OPTIONS[0]}
    assert (
        browser.post("/api/answers", content=json.dumps(said), headers={"content-type": "text/plain"}).status_code
        == 415
    )
    assert board.storage.answered(CODE) == {}


def test_the_teacher_of_one_room_has_no_say_in_another(app, board):
    other = board.storage.make_room()
    post(someone(app))
    client = teacher(app, board, other.code)
    assert press(client, "reset").status_code == 200
    assert "10 %" not in client.get("/teacher/answers.csv").text
    assert board.storage.answered(CODE) == {NAME: 1}


@pytest.mark.parametrize(
    ("act", "question"), [("drop", NAME), ("open", "no-such"), ("open", ""), (None, NAME), ("open", 3)]
)
def test_there_is_no_such_button(app, board, act, question):
    assert press(teacher(app, board), act, question).status_code == 422


# What learners may see


def test_nobody_sees_results_before_they_are_opened(app, board):
    client = teacher(app, board)
    press(client, "open")
    before = [board.shown.for_projector(CODE), board.shown.for_learners(CODE)]
    post(someone(app))
    after = [board.shown.for_projector(CODE), board.shown.for_learners(CODE)]
    assert before[1] == after[1], "a learner's page doesn't even say how many"
    assert after[0]["question"].pop("answered") == 1
    assert before[0]["question"].pop("answered") == 0
    assert (before[0].pop("people"), after[0].pop("people")) == (0, 1)
    assert before[0] == after[0]
    assert after[0]["question"]["rounds"] is after[0]["question"]["right"] is after[0]["question"]["measured"] is None
    for act in ("close", "second", "close"):
        press(client, act)
        assert board.shown.for_projector(CODE)["question"]["rounds"] is None
    press(client, "show")
    shown = board.shown.for_projector(CODE)["question"]
    assert (shown["rounds"], shown["right"], shown["measured"]) == ([[1, 0, 0], [0, 0, 0]], None, None)
    press(client, "hide")
    assert board.shown.for_projector(CODE)["question"]["rounds"] is None


def test_nobody_sees_what_another_chose(app, board):
    client = teacher(app, board)
    press(client, "names", "")
    press(client, "open")
    ada = someone(app)
    ada.post("/api/join", json={"code": CODE, "name": "Ada"})
    post(ada, choice=OPTIONS[1])
    press(client, "reveal")
    for shown in (board.shown.for_projector(CODE), board.shown.for_learners(CODE)):
        assert "Ada" not in json.dumps(shown)
        assert KEY not in json.dumps(shown)
    assert set(board.shown.for_learners(CODE)["question"]) == {"name", "text", "options", "round", "is_open"}
    other = someone(app, key="o" * 40)
    for path in ("/api/answers", "/api/join", "/api/people", f"/api/rooms/{CODE}/answers", f"/api/answers/{KEY}"):
        assert other.get(path).status_code in (404, 405)
    assert post(other, "message-1").json() == {"round": 0}, "of another's message it says nothing"


def test_the_file_says_nobodys_key(app, board, tmp_path):
    post(someone(app))
    with sqlite3.connect(tmp_path / "board.sqlite") as file:
        assert KEY not in "\n".join(file.iterdump())


@pytest.mark.parametrize("key", ["", "short", "k" * 65, "k" * 31, "kkkk kkkk" * 5, "ä" * 40])
def test_who_says_no_key_is_nobody(app, key):
    client = someone(app, key=None)
    client.headers.encoding = "latin-1"
    client.headers["authorization"] = f"Bearer {key}"
    assert post(client).status_code == 403


# Texts


def test_texts_of_learners_are_never_markup(app, board):
    client, ada = teacher(app, board), someone(app)
    press(client, "names", "")
    ada.post("/api/join", json={"code": CODE, "name": "=cmd|' /C calc'!A0"})
    post(ada, question="11-q1", choice="wrong", said=RUDE)
    said = {
        "code": CODE,
        "message": "message-2",
        "question": "11-q2",
        "choice": "wrong",
        "said": "\x1b[31m\x00\ud800 +1",
    }
    ada.post("/api/answers", content=json.dumps(said), headers={"content-type": "application/json"})
    assert RUDE not in client.get("/teacher").text
    table = client.get("/teacher/answers.csv").text
    assert "\"'=cmd|' /C calc'!A0\"" in table
    assert "\x1b" not in table
    assert "\x00" not in table
    wrong = someone(app, "10.0.0.9").get(f"/join/{RUDE}", headers={"accept": "text/html"})
    assert RUDE not in wrong.text
    for answer in (client.get("/teacher"), wrong, someone(app).get(f"/projector/{CODE}"), ada.get("/nothing")):
        assert "script-src 'self'" in answer.headers["content-security-policy"]
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_no_text_is_a_formula_wherever_a_spreadsheet_splits(app, board, separator):
    client, ada = teacher(app, board), someone(app)
    press(client, "names", "")
    ada.post("/api/join", json={"code": CODE, "name": "Ada;=1+1"})
    post(ada, question="11-q1", choice="wrong", said='a;=HYPERLINK("http://evil");b\t=1+1|@c;\n ＝d;"=e",+1')
    table = client.get("/teacher/answers.csv").content.decode("utf-8-sig")
    cells = [cell for row in csv.reader(io.StringIO(table), delimiter=separator) for cell in row]
    assert not [cell for cell in cells if cell.strip(' "\n').startswith(("=", "+", "-", "@", "＝"))]


def test_excel_reads_the_options_as_they_are_written(app, board):
    client = teacher(app, board)
    assert client.get("/teacher/answers.csv").content.startswith(codecs.BOM_UTF8)


def test_pages_have_no_code_of_their_own_and_set_no_markup():
    for page in service.PAGES.glob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert "| safe" not in text
        assert "onclick" not in text
        assert all(part.startswith((' type="module" src=', ">")) for part in text.split("<script")[1:])
    for script in (service.PAGES / "static").glob("*.js"):
        text = script.read_text(encoding="utf-8")
        assert not any(
            word in text for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(")
        )


@pytest.mark.parametrize(
    "path", ["/static/../service.py", "/static/%2e%2e/service.py", "/static/..%2fservice.py", "/static//etc/passwd"]
)
def test_no_file_but_the_pages_own(app, path):
    assert someone(app).get(path).status_code == 404


def test_another_name_in_the_address_leads_nobody_elsewhere(app):
    page = someone(app).get(f"/join/{CODE}", headers={"host": "evil.example"})
    assert "evil.example" not in page.text
    assert "http://192.168.1.20:8010" in page.text


def test_a_problem_of_the_board_shows_nothing_of_it(app, board, monkeypatch):
    monkeypatch.setattr(board.storage, "take", lambda *_: 1 / 0)
    answer = post(someone(app))
    assert answer.status_code == 500
    assert answer.json() == {"problem": "The board has a problem: its terminal says which."}


def test_a_name_is_kept_only_if_the_room_asks(app, board):
    ada = someone(app)
    ada.post("/api/join", json={"code": CODE, "name": "Ada"})
    post(ada)
    assert [row[2] for row in board.storage.table(CODE)] == ["learner 1"]
    assert ada.post("/api/join", json={"code": CODE, "name": "A" * 41}).status_code == 422


def test_a_page_that_is_gone_is_forgotten(board):
    async def come_and_go():
        feed = board._feed("learner", CODE)
        stream = feed.stream()
        await anext(stream)
        await stream.aclose()
        return feed

    assert asyncio.run(come_and_go())._known[1] == ""


# On a hub


@pytest.fixture
def hub(tmp_path, clock, monkeypatch):
    """The board of a hub that knows each token's user, and signs in whoever comes back with the right verifier."""
    need("JupyterHub", importlib.util.find_spec("jupyterhub") is not None)
    from course_utils.classroom.board.hub_sign_in import HubSignIn, HubUser

    for name, value in {"API_TOKEN": "secret", "CLIENT_ID": "service-board", "SERVICE_NAME": "board"}.items():
        monkeypatch.setenv(f"JUPYTERHUB_{name}", value)
    sign_in = HubSignIn("teachers")
    sign_in.auth.base_url = "/services/board/"

    async def user(request):
        name = request.headers.get("authorization", "").removeprefix("token ") or request.cookies.get("board_hub")
        return HubUser(name, name == "ada") if name else None

    async def token_for_code(code, code_verifier, sync):
        challenge = base64.urlsafe_b64encode(hashlib.sha256(code_verifier.encode()).digest()).rstrip(b"=").decode()
        assert code == challenge
        return "ada"

    monkeypatch.setattr(sign_in, "user", user)
    monkeypatch.setattr(sign_in.auth, "token_for_code", token_for_code)
    kept = Storage(f"sqlite:///{tmp_path / 'board.sqlite'}")
    kept.make_room(CODE)
    address = "http://hub.school/services/board"
    yield Board(kept, QUESTIONS, TASKS, address, "/services/board", sign_in, CODE)
    kept.engine.dispose()


def begins(browser, page):
    """Open a page without being signed in; the way back from the hub."""
    answer = browser.get(page, headers={"accept": "text/html"}, follow_redirects=False)
    asked = parse_qs(urlsplit(answer.headers["location"]).query)
    return "/services/board/oauth_callback", {"state": asked["state"][0], "code": asked["code_challenge"][0]}


def test_two_pages_of_one_browser_sign_in_at_once(hub):
    browser, pages = someone(hub.app(), key=None), ["/services/board/teacher", f"/services/board/projector/{CODE}"]
    ways = [begins(browser, page) for page in pages]
    for page, (path, query) in zip(pages, ways, strict=True):
        answer = browser.get(path, params=query, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (303, page)
    assert browser.get(pages[0]).status_code == 200


def test_strangers_end_nobodys_sign_in_and_take_none(hub):
    app = hub.app()
    browser, stranger = someone(app, key=None), someone(app, "10.0.0.66", key=None)
    path, query = begins(browser, "/services/board/teacher")
    for _ in range(3):
        begins(stranger, "/services/board/teacher")
    assert stranger.get(path, params=query).status_code == 403
    for state in ("", "x", "_", query["state"][:-1]):
        assert browser.get(path, params={**query, "state": state}).status_code == 403
    for elsewhere in ("verifier", "verifier//evil.example/", "verifier/services/other", "/services/board/"):
        forged = {"cookie": f"board_state_x={elsewhere}"}
        assert stranger.get(path, params={**query, "state": "x"}, headers=forged).status_code == 403
    assert browser.get(path, params=query, follow_redirects=False).status_code == 303


def as_user(app, name):
    return TestClient(app, headers={"authorization": f"token {name}"}, raise_server_exceptions=False)


def test_one_user_of_a_hub_keeps_nobody_out(hub, monkeypatch):
    app, rooms = hub.app(), "/services/board/api/rooms/"
    tried = [as_user(app, "troll").get(f"{rooms}BBBBBB").status_code for _ in range(2 * visitors.ALL_GUESSES)]
    assert set(tried) == {404}
    assert as_user(app, "grace").get(rooms + CODE).status_code == 200

    hub.visitors._newcomers.burst = 0
    said = {"code": CODE, "message": "message-1", "question": NAME, "choice": OPTIONS[0]}
    assert as_user(app, "grace").post("/services/board/api/answers", json=said).status_code == 200

    async def opens(name):
        scope = {"type": "http", "client": ("127.0.0.1", 1), "headers": [(b"authorization", f"token {name}".encode())]}
        return await hub._stream(Request(scope), "projector", hub.storage.room(CODE))

    async def a_room():
        monkeypatch.setattr(service, "STREAMS", {"projector": 3})
        for _ in range(3):
            await anext((await opens("troll")).body_iterator)
        with pytest.raises(HTTPException):
            await opens("troll")
        await opens("ada")

    asyncio.run(a_room())
