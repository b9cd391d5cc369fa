"""The board as a web service: pages for projector, teacher and learners, and the place to which answers are sent.

Lesson: none (this is for teachers).
"""

import hashlib
import hmac
import io
import json
import re
import secrets
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import segno
from jinja2 import Environment, FileSystemLoader
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from course_utils.classroom.board.feed import Feed
from course_utils.classroom.board.limits import LARGEST_BODY, Guarded, Limiter, address_of
from course_utils.classroom.board.questions import Question
from course_utils.classroom.board.storage import ACTS, LATE, ROUNDS, Answer, FullError, Room, Stage, Storage, is_code
from course_utils.grading.spreadsheet import readable, table_text

if TYPE_CHECKING:
    from course_utils.classroom.board.hub_sign_in import HubSignIn

PAGES = Path(__file__).with_name("pages")
TEACHER, LEARNER = "board_teacher", "board_learner"  # cookies
COOKIE_SECONDS = 12 * 60 * 60
# Wrong codes, from one address and from all together. In an hour all together have 1,830 tries at 64 million codes.
GUESSES, GUESSES_PER_SECOND = 10, 10 / 60
ALL_GUESSES, ALL_GUESSES_PER_SECOND = 30, 30 / 60
ANSWERS, ANSWERS_PER_SECOND = 40, 1.0  # of one learner
NEWCOMERS, NEWCOMERS_PER_SECOND = 400, 0.1  # from one address, which may be a whole school's
STREAMS = {"learner": 400, "projector": 20, "teacher": 20}  # pages that listen, from one address
LONGEST = {"name": 40, "choice": 500, "said": 500}  # characters
_KEY = re.compile(r"[\w-]{32,64}", re.ASCII)
_MESSAGE = re.compile(r"[\w-]{8,64}", re.ASCII)
_KNOWN_MOST = 10_000


class Board:
    """The service, for one process.

    Args:
        storage: Where everything is kept.
        questions: The questions of the course by their names.
        tasks: The titles of the tasks of its exercises by their names.
        address: What learners type to reach it, such as "http://192.168.1.20:8010".
        prefix: What comes before every path, such as "/services/board"; "" is nothing.
        sign_in: How a hub says who it is; None is a board of its own.
        room: The code of the hub's room.
    """

    def __init__(
        self,
        storage: Storage,
        questions: dict[str, Question],
        tasks: dict[str, str],
        address: str,
        prefix: str = "",
        sign_in: "HubSignIn | None" = None,
        room: str = "",
    ) -> None:
        self.storage, self.questions, self.tasks, self.address, self.prefix = storage, questions, tasks, address, prefix
        self.sign_in, self.room = sign_in, room
        self._pages = Environment(loader=FileSystemLoader(PAGES), autoescape=True)
        self._guesses = Limiter(GUESSES, GUESSES_PER_SECOND), Limiter(ALL_GUESSES, ALL_GUESSES_PER_SECOND)
        self._answers = Limiter(ANSWERS, ANSWERS_PER_SECOND)
        self._newcomers = Limiter(NEWCOMERS, NEWCOMERS_PER_SECOND)
        self._known: set[tuple[str, str]] = set()  # addresses that have said a code, and learners who are in
        self._feeds: dict[tuple[str, str], Feed] = {}
        self._streams: Counter[tuple[str, str]] = Counter()

    def app(self) -> ASGIApp:
        """Return the service as uvicorn runs it."""
        routes = [
            Route("/", self.front),
            Route("/join/{code}", self.learner_page),
            Route("/projector/{code}", self.projector_page),
            Route("/qr/{code}", self.qr_code),
            Route("/events/learner/{code}", self.learner_events),
            Route("/events/projector/{code}", self.projector_events),
            Route("/api/rooms/{code}", self.room_facts),
            Route("/api/join", self.join, methods=["POST"]),
            Route("/api/answers", self.answer, methods=["POST"]),
            Route("/teacher", self.teacher_page),
            Route("/teacher/events", self.teacher_events),
            Route("/teacher/answers.csv", self.answers_csv),
            Route("/teacher/act", self.act, methods=["POST"]),
            Route("/oauth_callback", self.sign_in.finish)
            if self.sign_in
            else Route("/teacher/{secret}", self.teacher_link),
            Mount("/static", StaticFiles(directory=PAGES / "static"), name="static"),
        ]
        routes += [Route("/oauth_callback", self.sign_in.finish)] if self.sign_in else []
        routes = [Mount(self.prefix, routes=routes)] if self.prefix else routes
        problems = {HTTPException: self._problem, FullError: self._full, Exception: self._broken}
        return Guarded(Starlette(routes=routes, exception_handlers=problems))

    def close(self) -> None:
        """End the streams of all pages, so that the server needn't wait for them."""
        for feed in self._feeds.values():
            feed.close()

    # Pages

    async def front(self, request: Request) -> Response:
        """Ask for the code of a room; a hub has one."""
        if self.sign_in:
            return RedirectResponse(f"{self.prefix}/join/{self.room}", 303)
        return self._page("join.html", room=None)

    async def learner_page(self, request: Request) -> Response:
        """Show a learner the open question, and how to join from a notebook."""
        return self._page("join.html", room=await self._room_of_code(request))

    async def projector_page(self, request: Request) -> Response:
        """Show what everyone may see."""
        return self._page("projector.html", room=await self._room_of_code(request))

    async def qr_code(self, request: Request) -> Response:
        """Return the address of the learners' page as a QR code, drawn here."""
        room = await self._room_of_code(request)
        picture = io.BytesIO()
        segno.make(self.join_address(room), error="m", micro=False).save(
            picture, kind="svg", scale=8, border=2, light="#fff"
        )
        return Response(picture.getvalue(), media_type="image/svg+xml")

    async def teacher_link(self, request: Request) -> Response:
        """Take the secret out of the address bar, which a projector may show, and into a cookie."""
        room = await self._room_of_teacher(request, request.path_params["secret"])
        answer = RedirectResponse(f"{self.prefix}/teacher", 303)
        self._set_cookie(request, answer, TEACHER, room.secret)
        return answer

    async def teacher_page(self, request: Request) -> Response:
        """Show all questions, the buttons, and what the room gets stuck on."""
        room = await self._room_of_teacher(request)
        questions = [
            {"name": one.name, "lesson": one.lesson, "text": one.text, "kind": "prediction" if one.measured else "quiz"}
            for one in self.questions.values()
        ]
        return self._page("teacher.html", room=room, token=_token(room), questions=questions)

    # Events

    async def learner_events(self, request: Request) -> Response:
        """Tell a learner's page which question is open: never what others answered."""
        room = await self._room_of_code(request)
        return self._stream(request, "learner", room)

    async def projector_events(self, request: Request) -> Response:
        """Tell the projector what everyone may see."""
        room = await self._room_of_code(request)
        return self._stream(request, "projector", room)

    async def teacher_events(self, request: Request) -> Response:
        """Tell the teacher's page everything."""
        room = await self._room_of_teacher(request)
        return self._stream(request, "teacher", room)

    # What learners send

    async def room_facts(self, request: Request) -> Response:
        """Say that a room is there, and whether it asks for names."""
        room = await self._room_of_code(request)
        return JSONResponse({"code": room.code, "asks_names": room.asks_names})

    async def join(self, request: Request) -> Response:
        """Note that someone is in the room; a browser gets a cookie by which its answers are one learner's."""
        said = await _said(request)
        room = await self._room_of_code(request, said.get("code"))
        key = await self._key(request) or secrets.token_urlsafe(32)
        self._limit_learner(request, room, key)
        name = " ".join(_text(said, "name", "").split()) or None
        await run_in_threadpool(self.storage.add_person, room.code, key, name)
        self._changed(room.code, "projector", "teacher")
        answer = JSONResponse({"code": room.code, "asks_names": room.asks_names})
        if "authorization" not in request.headers and not self.sign_in:
            self._set_cookie(request, answer, LEARNER, key)
        return answer

    async def answer(self, request: Request) -> Response:
        """Keep an answer; say in which round it counts."""
        said, key = await _said(request), await self._key(request)
        room = await self._room_of_code(request, said.get("code"))
        if key is None:
            raise HTTPException(403, "Join the room first.")
        self._limit_learner(request, room, key)
        answer = self._checked(said)
        round_ = await run_in_threadpool(self.storage.take, room.code, key, answer)
        self._changed(room.code, "projector", "teacher")
        return JSONResponse({"round": round_})

    def _checked(self, said: dict) -> Answer:
        """Return an answer to a question that there is.

        Raises:
            HTTPException: There's no such question, or no such option.
        """
        name, choice, message = (_text(said, field) for field in ("question", "choice", "message"))
        if not _MESSAGE.fullmatch(message):
            raise HTTPException(422, "An answer needs a name of its own.")
        if name in self.tasks and choice in ("right", "wrong"):
            return Answer(message, name, choice, _text(said, "said", "") if choice == "wrong" else "")
        if name not in self.questions or choice not in self.questions[name].options:
            raise HTTPException(422, "There is no such question or option.")
        return Answer(message, name, choice)

    # What the teacher does

    async def act(self, request: Request) -> Response:
        """Press one of the teacher's buttons."""
        room = await self._room_of_teacher(request)
        if not hmac.compare_digest(request.headers.get("x-board-token", "").encode(), _token(room).encode()):
            raise HTTPException(403, "This didn't come from the teacher's page.")
        said = await _said(request)
        act, question = _text(said, "act"), _text(said, "question", "")
        if act not in ACTS or (question not in self.questions and not act.endswith("names")):
            raise HTTPException(422, "There is no such button or question.")
        await run_in_threadpool(self.storage.act, room.code, act, question)
        self._changed(room.code, "projector", "teacher", "learner")
        return JSONResponse({"done": act})

    async def answers_csv(self, request: Request) -> Response:
        """Return what counts as a table that spreadsheets open."""
        room = await self._room_of_teacher(request)
        rows = [("question", "round", "learner", "answer", "right", "sentence")]
        for name, round_, learner, choice, sentence in await run_in_threadpool(self.storage.table, room.code):
            rows.append((name, round_, learner, choice, self._is_right(name, choice), sentence))
        file = {"Content-Disposition": f'attachment; filename="board-{room.code}.csv"'}
        return Response(table_text(rows), media_type="text/csv; charset=utf-8", headers=file)

    def _is_right(self, name: str, choice: str) -> str:
        if name in self.tasks:
            return "yes" if choice == "right" else "no"
        question = self.questions.get(name)
        if question is None or not question.right or choice not in question.options:
            return ""
        return "yes" if question.options.index(choice) in question.right else "no"

    # What the pages show

    def for_learners(self, code: str) -> dict:
        """Return what a learner's page shows: nothing about anyone's answers, nor which is right."""
        room = self.storage.room(code)
        question, stage = self.questions.get(room.current or ""), self._stage(room)
        asked = question and {
            "name": question.name,
            "text": question.text,
            "options": question.options,
            "round": stage.round,
            "is_open": stage.is_open,
        }
        return {"asks_names": room.asks_names, "question": asked}

    def for_projector(self, code: str) -> dict:
        """Return what everyone may see: counts once they are shown, the measured answer once it's revealed."""
        room = self.storage.room(code)
        shown = {**self.for_learners(code), "people": self.storage.people(code)}
        if shown["question"]:
            shown["question"] |= self._results(room, self._stage(room), everything=False)
        return shown

    def for_teacher(self, code: str) -> dict:
        """Return everything that the teacher's page shows."""
        room, stages = self.storage.room(code), self.storage.stages(code)
        shown = {**self.for_learners(code), "people": self.storage.people(code)}
        if shown["question"]:
            stage = self._stage(room)
            shown["question"] |= self._results(room, stage, everything=True)
            shown["question"] |= {"is_shown": stage.is_shown, "is_revealed": stage.is_revealed}
        shown["answered"] = self.storage.answered(code)
        shown["stages"] = {name: stage._asdict() for name, stage in stages.items()}
        shown["stuck"] = self.storage.stuck(code, self.tasks)
        return shown

    def _results(self, room: Room, stage: Stage, everything: bool) -> dict:
        """Return how many have answered; their choices and what's right only as far as they may be seen."""
        question, counts = self.questions[room.current], self.storage.counts(room.code, room.current)
        rounds = [[counts[number][option] for option in question.options] for number in ROUNDS[: stage.round]]
        return {
            "answered": sum(counts[stage.round].values()),
            "late": sum(counts[LATE].values()),
            "rounds": rounds if everything or stage.is_shown else None,
            "right": question.right if everything or stage.is_revealed else None,
            "measured": question.measured if everything or stage.is_revealed else None,
        }

    def _stage(self, room: Room) -> Stage:
        return self.storage.stages(room.code).get(room.current or "", Stage())

    def _feed(self, audience: str, code: str) -> Feed:
        if (audience, code) not in self._feeds:
            compute = {"learner": self.for_learners, "projector": self.for_projector, "teacher": self.for_teacher}
            self._feeds[audience, code] = Feed(lambda: compute[audience](code))
        return self._feeds[audience, code]

    def _changed(self, code: str, *audiences: str) -> None:
        for audience in audiences:
            self._feed(audience, code).changed()

    def _stream(self, request: Request, audience: str, room: Room) -> Response:
        who = audience, address_of(request.scope)
        if self._streams[who] >= STREAMS[audience]:
            raise HTTPException(429, "Too many pages are open.", {"Retry-After": "5"})

        async def counted() -> AsyncIterator[str]:
            self._streams[who] += 1
            try:
                async for event in self._feed(audience, room.code).stream():
                    yield event
            finally:
                self._streams[who] -= 1

        return StreamingResponse(counted(), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})

    # Who it is

    async def _room_of_code(self, request: Request, code: object = None) -> Room:
        """Return the room whose code is in the path, or `code`. Wrong ones count, so that nobody guesses one.

        Raises:
            HTTPException: There is no such room, or there were too many wrong codes.
        """
        if self.sign_in and await self.sign_in.user(request) is None:
            raise HTTPException(401, "Sign in to the hub first.")
        code = str(request.path_params.get("code") if code is None else code).strip().upper()
        address = address_of(request.scope)
        is_known = (address, code) in self._known  # whoever knows a code stays in, whatever others try
        limits = () if is_known else zip(self._guesses, (address, "all"), strict=True)
        for limiter, key in limits:  # counted before, or a thousand at once would be one try
            self._limit(limiter, key)
        room = await run_in_threadpool(self.storage.room, code) if is_code(code) else None
        if room is None:
            raise HTTPException(404, "There is no room of this code.")
        if not is_known:
            for limiter, key in zip(self._guesses, (address, "all"), strict=True):
                limiter.gives_back(key)
            self._remember(address, code)
        return room

    async def _key(self, request: Request) -> str | None:
        """Return by what a learner's answers are one learner's; None if there is nothing.

        On a hub it's the name there, so that nobody counts twice, whatever they send or delete.
        """
        if self.sign_in:
            user = await self.sign_in.user(request)
            return user and f"hub {user.name}"
        key = request.headers.get("authorization", "").removeprefix("Bearer ") or request.cookies.get(LEARNER, "")
        return key if _KEY.fullmatch(key) else None

    def _remember(self, who: str, code: str) -> None:
        if len(self._known) >= _KNOWN_MOST:
            self._known.clear()
        self._known.add((who, code))

    def _limit_learner(self, request: Request, room: Room, key: str) -> None:
        """Count one more message of a learner.

        Raises:
            HTTPException: There were too many, or too many learners from one address.
        """
        self._limit(self._answers, key)
        if (key, room.code) not in self._known:
            self._limit(self._newcomers, address_of(request.scope))
            self._remember(key, room.code)

    async def _room_of_teacher(self, request: Request, secret: str | None = None) -> Room:
        """Return the room of the teacher who asks.

        Raises:
            HTTPException: It's no teacher of a room.
        """
        if self.sign_in:
            user = await self.sign_in.user(request)
            if user is None:
                raise HTTPException(401, "Sign in to the hub first.")
            if not user.is_teacher:
                raise HTTPException(403, f"This page is for the hub's group {self.sign_in.teachers}.")
            return await run_in_threadpool(self.storage.room, self.room)
        secret = request.cookies.get(TEACHER, "") if secret is None else secret
        room = await run_in_threadpool(self.storage.room_of_teacher, secret) if _KEY.fullmatch(secret) else None
        if room is None:
            raise HTTPException(403, "Open the teacher's link that the board printed when it started.")
        return room

    def _limit(self, limiter: Limiter, key: str) -> None:
        if not limiter.takes(key):
            raise HTTPException(429, "Too many tries: wait a minute.", {"Retry-After": "5"})

    def _set_cookie(self, request: Request, answer: Response, name: str, value: str) -> None:
        where = {"path": self.prefix or "/", "secure": request.url.scheme == "https"}
        answer.set_cookie(name, value, COOKIE_SECONDS, httponly=True, samesite="lax", **where)

    # Answers

    def join_address(self, room: Room) -> str:
        """Return the address of the learners' page of a room."""
        return f"{self.address}/join/{room.code}"

    def _page(self, name: str, status: int = 200, **values: object) -> HTMLResponse:
        template = self._pages.get_template(name)
        return HTMLResponse(
            template.render(base=self.prefix, address=self.address, on_hub=bool(self.sign_in), **values), status
        )

    async def _problem(self, request: Request, problem: HTTPException) -> Response:
        if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
            if problem.status_code == 401:
                return self.sign_in.begin(request)
            return self._page("join.html", problem.status_code, room=None, problem=problem.detail)
        return JSONResponse({"problem": problem.detail}, problem.status_code, problem.headers)

    async def _full(self, request: Request, problem: FullError) -> Response:
        return JSONResponse({"problem": f"It can't be kept: {problem}."}, 403)

    async def _broken(self, request: Request, problem: Exception) -> Response:
        return JSONResponse({"problem": "The board has a problem: its terminal says which."}, 500)


def _token(room: Room) -> str:
    """Return what every press of a teacher's button carries: another site can make a browser send its cookies only."""
    return hmac.new(room.secret.encode(), b"teacher's buttons", hashlib.sha256).hexdigest()


async def _said(request: Request) -> dict:
    """Return what a request holds.

    Raises:
        HTTPException: It's too large, or no JSON object.
    """
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        raise HTTPException(415, "Send JSON.")  # a form on another site can't
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > LARGEST_BODY:
            raise HTTPException(413, "Too large.")
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise HTTPException(422, "Send a JSON object.")
    return said


def _text(said: dict, field: str, default: str | None = None) -> str:
    """Return a text of a request, without control characters.

    Raises:
        HTTPException: There is none, it's something else, or it's too long.
    """
    value = said.get(field, default)
    if not isinstance(value, str) or len(value) > LONGEST.get(field, 100):
        raise HTTPException(422, f"{field} must be a text of at most {LONGEST.get(field, 100)} characters.")
    return readable(value)
