"""What keeps the board safe from a room full of curious people: rates, sizes, and what a browser may do with its pages.

Lesson: none (this is for teachers).
"""

import ipaddress
import time
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST_BODY = 4_096  # bytes: an answer has some hundred
# A whole school may come from one address: 300 answers in a second, and again three seconds later.
REQUESTS, REQUESTS_PER_SECOND = 2_000, 200
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Limiter:
    """So many at once, and so many a second after that, for each key on its own.

    >>> limiter = Limiter(burst=2, per_second=1, clock=iter([0, 0, 0, 1]).__next__)
    >>> [limiter.takes("127.0.0.1") for _ in range(4)]
    [True, True, False, True]
    """

    def __init__(self, burst: float, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.burst, self.per_second, self.clock = burst, per_second, clock
        self._left: dict[str, tuple[float, float]] = {}

    def takes(self, key: str) -> bool:
        """Count one more for `key`; return False, and count nothing, when it has none left."""
        now = self.clock()
        if len(self._left) > 10_000:  # who has their full measure needs no entry
            self._left = {one: has for one, has in self._left.items() if self._now(has, now) < self.burst}
        left = self._now(self._left.get(key, (self.burst, now)), now)
        if left < 1:
            return False
        self._left[key] = (left - 1, now)
        return True

    def gives_back(self, key: str) -> None:
        """Count one less: it was none of those that are limited."""
        left, at = self._left.get(key, (self.burst, 0.0))
        self._left[key] = (min(self.burst, left + 1), at)

    def _now(self, has: tuple[float, float], now: float) -> float:
        return min(self.burst, has[0] + (now - has[1]) * self.per_second)


class Guarded:
    """Every request passes here: too many are refused, a large body isn't read, and answers say what a page may do."""

    def __init__(self, app: ASGIApp) -> None:
        self.app, self.requests = app, Limiter(REQUESTS, REQUESTS_PER_SECOND)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refusal(scope)
        await (refusal or self.app)(scope, receive, with_headers)

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        if not self.requests.takes(address_of(scope)):
            return JSONResponse({"problem": "Too many requests."}, 429, {"Retry-After": "2"})
        length = Headers(scope=scope).get("content-length", "0")
        if not length.isdecimal() or int(length[:20]) > LARGEST_BODY:
            return JSONResponse({"problem": "Too large."}, 413)  # as JSON, or a notebook would send it again and again
        return None


def address_of(scope: Scope) -> str:
    """Return where a request comes from; all of an IPv6 network of one customer count as one."""
    address = (scope.get("client") or ("?", 0))[0]
    try:
        number = ipaddress.IPv6Address(address)
    except ValueError:
        return address
    return str(number.ipv4_mapped or ipaddress.IPv6Address(int(number) >> 64 << 64))
