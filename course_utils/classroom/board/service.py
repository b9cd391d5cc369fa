"""The board as a web service: pages for projector, teacher and learners, and the place to which answers are sent.

Lesson: none (this is for teachers).
"""

import codecs
import hmac
import io
import re
import secrets
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from http import HTTPStatus
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
from course_utils.classroom.board.limits import Guarded
from course_utils.classroom.board.messages import age_of, said_in, text_of
from course_utils.classroom.board.questions import Question
from course_utils.classroom.board.shown import Shown
from course_utils.classroom.board.storage import ACTS, Answer, FullError, Room, Storage
from course_utils.classroom.board.visitors import LEARNER, TEACHER, Visitors, button_token
from course_utils.grading.spreadsheet import table_text

if TYPE_CHECKING:
    from course_utils.classroom.board.hub_sign_in import HubSignIn

PAGES = Path(__file__).with_name("pages")
STREAMS = {"learner": 400, "projector": 20, "teacher": 20}  # pages that listen, from one address or one user of a hub
_MESSAGE = re.compile(r"[\w-]{8,64}", re.ASCII)


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
        self.shown = Shown(storage, questions, tasks)
        self.visitors = Visitors(storage, prefix or "/", sign_in, room)
        self._pages = Environment(loader=FileSystemLoader(PAGES), autoescape=True)
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
            Route("/teacher/{secret}", self.teacher_link),
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
        return self._page("join.html", room=await self.visitors.room_of_code(request))

    async def projector_page(self, request: Request) -> Response:
        """Show what everyone may see."""
        return self._page("projector.html", room=await self.visitors.room_of_code(request))

    async def qr_code(self, request: Request) -> Response:
        """Return the address of the learners' page as a QR code, drawn here."""
        room = await self.visitors.room_of_code(request)
        picture = io.BytesIO()
        segno.make(self.join_address(room), error="m", micro=False).save(
            picture, kind="svg", scale=8, border=2, light="#fff"
        )
        return Response(picture.getvalue(), media_type="image/svg+xml")

    async def teacher_link(self, request: Request) -> Response:
        """Take the secret out of the address bar, which a projector may show, and into a cookie."""
        room = await self.visitors.room_of_teacher(request, request.path_params["secret"])
        answer = RedirectResponse(f"{self.prefix}/teacher", 303)
        self.visitors.set_cookie(request, answer, TEACHER, room.secret)
        return answer

    async def teacher_page(self, request: Request) -> Response:
        """Show all questions, the buttons, and what the room gets stuck on."""
        room = await self.visitors.room_of_teacher(request)
        questions = [
            {"name": one.name, "lesson": one.lesson, "text": one.text, "kind": one.kind}
            for one in self.questions.values()
        ]
        return self._page("teacher.html", room=room, token=button_token(room), questions=questions)

    # Events

    async def learner_events(self, request: Request) -> Response:
        """Tell a learner's page which question is open: never what others answered."""
        room = await self.visitors.room_of_code(request)
        return await self._stream(request, "learner", room)

    async def projector_events(self, request: Request) -> Response:
        """Tell the projector what everyone may see."""
        room = await self.visitors.room_of_code(request)
        return await self._stream(request, "projector", room)

    async def teacher_events(self, request: Request) -> Response:
        """Tell the teacher's page everything."""
        room = await self.visitors.room_of_teacher(request)
        return await self._stream(request, "teacher", room)

    # What learners send

    async def room_facts(self, request: Request) -> Response:
        """Say that a room is there, and whether it asks for names."""
        room = await self.visitors.room_of_code(request)
        return JSONResponse({"code": room.code, "asks_names": room.asks_names})

    async def join(self, request: Request) -> Response:
        """Note that someone is in the room; a browser gets a cookie by which its answers are one learner's."""
        said = await said_in(request)
        room = await self.visitors.room_of_code(request, said.get("code"))
        key = await self.visitors.key(request) or secrets.token_urlsafe(32)
        self.visitors.limit_learner(request, room, key)
        name = " ".join(text_of(said, "name", "").split()) or None
        await run_in_threadpool(self.storage.add_person, room.code, key, name)
        self._changed(room.code, "projector", "teacher")
        answer = JSONResponse({"code": room.code, "asks_names": room.asks_names})
        if "authorization" not in request.headers and not self.sign_in:
            self.visitors.set_cookie(request, answer, LEARNER, key)
        return answer

    async def answer(self, request: Request) -> Response:
        """Keep an answer; say in which round it counts: the one in which it was chosen, however late it comes."""
        now = datetime.now(UTC)  # before it waits here for its turn
        said, key = await said_in(request), await self.visitors.key(request)
        room = await self.visitors.room_of_code(request, said.get("code"))
        if key is None:
            raise HTTPException(403, "Join the room first.")
        self.visitors.limit_learner(request, room, key)
        answer = self._checked(said)
        round_ = await run_in_threadpool(self.storage.take, room.code, key, answer, now - age_of(said))
        self._changed(room.code, "projector", "teacher")
        return JSONResponse({"round": round_})

    def _checked(self, said: dict) -> Answer:
        """Return an answer to a question that there is.

        Raises:
            HTTPException: There's no such question, or no such option.
        """
        name, choice, message = (text_of(said, field) for field in ("question", "choice", "message"))
        if not _MESSAGE.fullmatch(message):
            raise HTTPException(422, "An answer needs a name of its own.")
        if name in self.tasks and choice in ("right", "wrong"):
            return Answer(message, name, choice, text_of(said, "said", "") if choice == "wrong" else "")
        if name not in self.questions or choice not in self.questions[name].options:
            raise HTTPException(422, "There is no such question or option.")
        return Answer(message, name, choice)

    # What the teacher does

    async def act(self, request: Request) -> Response:
        """Press one of the teacher's buttons."""
        room = await self.visitors.room_of_teacher(request)
        if not hmac.compare_digest(request.headers.get("x-board-token", "").encode(), button_token(room).encode()):
            raise HTTPException(403, "This didn't come from the teacher's page.")
        said = await said_in(request)
        act, question = text_of(said, "act"), text_of(said, "question", "")
        if act not in ACTS or (question not in self.questions and not act.endswith("names")):
            raise HTTPException(422, "There is no such button or question.")
        await run_in_threadpool(self.storage.act, room.code, act, question)
        self._changed(room.code, "projector", "teacher", "learner")
        return JSONResponse({"done": act})

    async def answers_csv(self, request: Request) -> Response:
        """Return what counts as a table that spreadsheets open."""
        room = await self.visitors.room_of_teacher(request)
        rows = await run_in_threadpool(self.shown.table, room.code)
        file = {"Content-Disposition": f'attachment; filename="board-{room.code}.csv"'}
        table = codecs.BOM_UTF8 + table_text(rows).encode()  # without the mark, Excel reads another code page
        return Response(table, media_type="text/csv; charset=utf-8", headers=file)

    # Everything else

    def _feed(self, audience: str, code: str) -> Feed:
        if (audience, code) not in self._feeds:
            shown = {"learner": self.shown.for_learners, "projector": self.shown.for_projector}
            compute = {**shown, "teacher": self.shown.for_teacher}[audience]
            self._feeds[audience, code] = Feed(lambda: compute(code))
        return self._feeds[audience, code]

    def _changed(self, code: str, *audiences: str) -> None:
        for audience in audiences:
            self._feed(audience, code).changed()

    async def _stream(self, request: Request, audience: str, room: Room) -> Response:
        who = audience, await self.visitors.source(request)
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
        if problem.detail == HTTPStatus.NOT_FOUND.phrase:  # what Starlette says of a path that's no one's
            problem.detail = "The board has no such page."
        if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
            if problem.status_code == 401:
                return self.sign_in.begin(request)
            return self._page("join.html", problem.status_code, room=None, problem=problem.detail)
        return JSONResponse({"problem": problem.detail}, problem.status_code, problem.headers)

    async def _full(self, request: Request, problem: FullError) -> Response:
        return JSONResponse({"problem": f"It can't be kept: {problem}."}, 403)

    async def _broken(self, request: Request, problem: Exception) -> Response:
        return JSONResponse({"problem": "The board has a problem: its terminal says which."}, 500)
