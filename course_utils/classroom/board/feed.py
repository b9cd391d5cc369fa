"""Server-sent events: what a page shows, sent again whenever it has changed.

Lesson: none (this is for teachers).
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable

from starlette.concurrency import run_in_threadpool

TOGETHER_SECONDS = 0.2  # what changes within them is one event: 300 answers aren't 300 pictures
# A page that is gone is noticed then, and a proxy leaves the connection open; a page notices a board that is gone.
STILL_HERE_SECONDS, STILL_HERE = 15, "event: still-here\ndata:\n\n"
AGAIN_MILLISECONDS = 1_000  # after which a page that lost the board tries again


class Feed:
    """One thing that many pages show, computed once for all of them.

    Args:
        compute: Returns it, as JSON can hold it.
    """

    def __init__(self, compute: Callable[[], object]) -> None:
        self._compute = compute
        self._change = asyncio.Event()
        self._computing = asyncio.Lock()
        self._is_closed = False
        self._known: tuple[asyncio.Event | None, str] = (None, "")

    def changed(self) -> None:
        """Wake every page that listens."""
        before, self._change = self._change, asyncio.Event()
        before.set()

    def close(self) -> None:
        """End all streams: the board is stopped, and their pages wait for it to come back."""
        self._is_closed = True
        self.changed()

    async def text(self) -> str:
        """Return it as it is now, as JSON."""
        async with self._computing:
            change = self._change  # taken first: what changes while it's computed is an event of its own
            if self._known[0] is not change:
                self._known = (change, json.dumps(await run_in_threadpool(self._compute)))
            return self._known[1]

    async def stream(self) -> AsyncIterator[str]:
        """Yield events: one now, and one after each change."""
        yield f"retry: {AGAIN_MILLISECONDS}\n\n"
        sent = ""
        while not self._is_closed:
            change, text = self._change, await self.text()
            yield STILL_HERE if text == sent else f"data: {text}\n\n"
            sent = text
            try:
                await asyncio.wait_for(change.wait(), STILL_HERE_SECONDS)
                await asyncio.sleep(TOGETHER_SECONDS)
            except TimeoutError:
                continue
