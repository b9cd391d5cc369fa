"""The board as a service of a JupyterHub: people sign in through the hub, so each of them counts once.

JupyterHub gives its services what they need by environment variables; `workshop/jupyterhub` has the settings.

Lesson: none (this is for teachers).
"""

import base64
import hashlib
import secrets
from typing import NamedTuple

from jupyterhub.services.auth import HubOAuth
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

COOKIE, STATE = "board_hub", "board_state"
SIGN_IN_SECONDS = 600
_MOST_PENDING = 1_000


class HubUser(NamedTuple):
    """Someone who is signed in."""

    name: str
    is_teacher: bool


class HubSignIn:
    """Asks the hub who it is: by the token of a learner's server, or by a cookie that OAuth has brought.

    Args:
        teachers: The group of the hub whose members have the teacher's page.
        is_https: Whether browsers reach the hub by HTTPS.
    """

    def __init__(self, teachers: str, is_https: bool = False) -> None:
        self.auth, self.teachers, self.is_https = HubOAuth(cache_max_age=60), teachers, is_https
        self._pending: dict[str, tuple[str, str]] = {}  # what a sign-in that has begun will need

    async def user(self, request: Request) -> HubUser | None:
        """Return who it is, or None; the hub must let them use the board."""
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        token = token if kind.lower() == "token" else request.cookies.get(COOKIE, "")
        model = await self.auth.user_for_token(token, sync=False) if token else None
        if not model or model.get("kind") != "user" or not self.auth.check_scopes(self.auth.access_scopes, model):
            return None
        return HubUser(model["name"], self.teachers in model.get("groups", ()))

    def begin(self, request: Request) -> Response:
        """Send a browser to the hub; it comes back to the page that it wanted."""
        state, verifier = secrets.token_urlsafe(24), secrets.token_urlsafe(48)
        while len(self._pending) >= _MOST_PENDING:
            self._pending.pop(next(iter(self._pending)))
        self._pending[state] = verifier, request.url.path
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        more = f"&state={state}&code_challenge={challenge}&code_challenge_method=S256"
        answer = RedirectResponse(self.auth.login_url + more, 303)
        self._keep(answer, STATE, state, SIGN_IN_SECONDS)
        return answer

    async def finish(self, request: Request) -> Response:
        """Take what the hub sends a browser back with.

        Raises:
            HTTPException: This browser hasn't begun to sign in, or the hub says no.
        """
        state, code = request.query_params.get("state", ""), request.query_params.get("code", "")
        # Someone else's link would sign a browser in as someone else.
        if not state or state != request.cookies.get(STATE) or state not in self._pending:
            raise HTTPException(403, "The sign-in took too long: open the board again.")
        verifier, page = self._pending.pop(state)
        try:
            token = await self.auth.token_for_code(code, code_verifier=verifier, sync=False)
        except Exception as error:  # tornado's, whatever it is
            raise HTTPException(403, "The hub didn't sign you in: open the board again.") from error
        answer = RedirectResponse(page, 303)
        self._keep(answer, COOKIE, token, None)
        answer.delete_cookie(STATE, path=self.auth.base_url)
        return answer

    def _keep(self, answer: Response, name: str, value: str, seconds: int | None) -> None:
        where = {"path": self.auth.base_url, "secure": self.is_https}
        answer.set_cookie(name, value, seconds, httponly=True, samesite="lax", **where)
