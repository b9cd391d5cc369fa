"""Who asks the board: someone who knows a room's code, a learner, its teacher. Guessing gets nobody in.

Lesson: none (this is for teachers).
"""

import hashlib
import hmac
import re
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from course_utils.classroom.board.limits import Limiter, address_of
from course_utils.classroom.board.storage import Room, Storage, is_code

if TYPE_CHECKING:
    from course_utils.classroom.board.hub_sign_in import HubSignIn

TEACHER, LEARNER = "board_teacher", "board_learner"  # cookies
COOKIE_SECONDS = 12 * 60 * 60
# Wrong codes, from one address and from all together. In an hour all together have 1,830 tries at 64 million codes.
GUESSES, GUESSES_PER_SECOND = 10, 10 / 60
ALL_GUESSES, ALL_GUESSES_PER_SECOND = 30, 30 / 60
ANSWERS, ANSWERS_PER_SECOND = 40, 1.0  # of one learner
NEWCOMERS, NEWCOMERS_PER_SECOND = 400, 0.1  # from one address, which may be a whole school's
_KEY = re.compile(r"[\w-]{32,64}", re.ASCII)
_KNOWN_MOST = 10_000


class Visitors:
    """Tells who it is, and counts what each of them tries.

    Args:
        storage: Where the rooms are.
        path: Below which a cookie is the board's.
        sign_in: How a hub says who it is; None is a board of its own.
        hub_room: The code of the hub's room.
    """

    def __init__(self, storage: Storage, path: str, sign_in: "HubSignIn | None", hub_room: str) -> None:
        self.storage, self.path, self.sign_in, self.hub_room = storage, path, sign_in, hub_room
        self._guesses = Limiter(GUESSES, GUESSES_PER_SECOND), Limiter(ALL_GUESSES, ALL_GUESSES_PER_SECOND)
        self._answers = Limiter(ANSWERS, ANSWERS_PER_SECOND)
        self._newcomers = Limiter(NEWCOMERS, NEWCOMERS_PER_SECOND)
        self._known: set[tuple[str, str]] = set()  # addresses that have said a code, and learners who are in

    async def room_of_code(self, request: Request, code: object = None) -> Room:
        """Return the room whose code is in the path, or `code`. Wrong ones count, so that nobody guesses one.

        Raises:
            HTTPException: There is no such room, or there were too many wrong codes.
        """
        if self.sign_in and await self.sign_in.user(request) is None:
            raise HTTPException(401, "Sign in to the hub first.")
        code = str(request.path_params.get("code") if code is None else code).strip().upper()
        address = address_of(request.scope)
        # Those who know a code stay in, whatever others try; a hub has let them in already, all by its one address.
        is_known = bool(self.sign_in) or (address, code) in self._known
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

    async def source(self, request: Request) -> str:
        """Return by what open pages are counted: where they are, or on a hub, which has one address, whose."""
        user = await self.sign_in.user(request) if self.sign_in else None
        return user.name if user else address_of(request.scope)

    async def key(self, request: Request) -> str | None:
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

    def limit_learner(self, request: Request, room: Room, key: str) -> None:
        """Count one more message of a learner.

        Raises:
            HTTPException: There were too many, or too many learners from one address.
        """
        self._limit(self._answers, key)
        if not self.sign_in and (key, room.code) not in self._known:  # nobody makes up names of a hub
            self._limit(self._newcomers, address_of(request.scope))
            self._remember(key, room.code)

    async def room_of_teacher(self, request: Request, secret: str | None = None) -> Room:
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
            return await run_in_threadpool(self.storage.room, self.hub_room)
        secret = request.cookies.get(TEACHER, "") if secret is None else secret
        room = await run_in_threadpool(self.storage.room_of_teacher, secret) if _KEY.fullmatch(secret) else None
        if room is None:
            raise HTTPException(403, "Open the teacher's link that the board printed when it started.")
        return room

    def _limit(self, limiter: Limiter, key: str) -> None:
        if not limiter.takes(key):
            raise HTTPException(429, "Too many tries: wait a minute.", {"Retry-After": "5"})

    def set_cookie(self, request: Request, answer: Response, name: str, value: str) -> None:
        """Have a browser keep a cookie that no script reads and no other site sends along with a message."""
        where = {"path": self.path, "secure": request.url.scheme == "https"}
        answer.set_cookie(name, value, COOKIE_SECONDS, httponly=True, samesite="lax", **where)


def button_token(room: Room) -> str:
    """Return what every press of a teacher's button carries: another site can make a browser send its cookies only."""
    return hmac.new(room.secret.encode(), b"teacher's buttons", hashlib.sha256).hexdigest()
