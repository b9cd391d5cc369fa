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

COOKIE, STATE = "board_hub", "board_state"  # a cookie for each sign-in: a browser opens several pages at once
SIGN_IN_SECONDS = 600


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
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        more = f"&state={state}&code_challenge={challenge}&code_challenge_method=S256"
        answer = RedirectResponse(self.auth.login_url + more, 303)
        # What it will need then stays in that browser: here, strangers could push out who is just signing in.
        self._keep(answer, f"{STATE}_{state}", verifier + request.url.path, SIGN_IN_SECONDS)
        return answer

    async def finish(self, request: Request) -> Response:
        """Take what the hub sends a browser back with.

        Raises:
            HTTPException: This browser hasn't begun to sign in, or the hub says no.
        """
        name, code = f"{STATE}_{request.query_params.get('state', '')}", request.query_params.get("code", "")
        # Someone else's link would sign a browser in as someone else.
        verifier, _, page = request.cookies.get(name, "").partition("/")
        page = f"/{page}"
        if not verifier or not page.startswith(self.auth.base_url):
            raise HTTPException(403, "The sign-in took too long: open the board again.")
        try:
            token = await self.auth.token_for_code(code, code_verifier=verifier, sync=False)
        except Exception as error:  # tornado's, whatever it is
            raise HTTPException(403, "The hub didn't sign you in: open the board again.") from error
        answer = RedirectResponse(page, 303)
        self._keep(answer, COOKIE, token, None)
        answer.delete_cookie(name, path=self.auth.base_url)
        return answer

    def _keep(self, answer: Response, name: str, value: str, seconds: int | None) -> None:
        where = {"path": self.auth.base_url, "secure": self.is_https}
        answer.set_cookie(name, value, seconds, httponly=True, samesite="lax", **where)
