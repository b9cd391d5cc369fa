"""What a request to the board may hold: a small JSON object with texts of a known length.

Lesson: none (this is for teachers).
"""

import json
from datetime import timedelta

from starlette.exceptions import HTTPException
from starlette.requests import Request

from course_utils.classroom.board.limits import LARGEST_BODY
from course_utils.grading.spreadsheet import readable

LONGEST = {"name": 40, "choice": 500, "said": 500}  # characters
OTHERWISE = 100
OLDEST = 24 * 60 * 60  # seconds: a learner's machine keeps nothing for longer


async def said_in(request: Request) -> dict:
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


def text_of(said: dict, field: str, default: str | None = None) -> str:
    """Return a text of a request, without control characters.

    Raises:
        HTTPException: There is none, it's something else, or it's too long.
    """
    value = said.get(field, default)
    longest = LONGEST.get(field, OTHERWISE)
    if not isinstance(value, str) or len(value) > longest:
        raise HTTPException(422, f"{field} must be a text of at most {longest} characters.")
    return readable(value)


def age_of(said: dict) -> timedelta:
    """Return how long an answer waited on the learner's machine before it was sent.

    Raises:
        HTTPException: It's no number of seconds, or more than a day.
    """
    age = said.get("age", 0)
    if not isinstance(age, int | float) or not 0 <= age <= OLDEST:  # NaN isn't, either
        raise HTTPException(422, f"age must be a number of seconds from 0 to {OLDEST:,}.")
    return timedelta(seconds=age)
