"""Answers that also go to the class board: `join` once, and they are sent in the background. Nobody else sends any.

What is sent waits as one small file beside the learner's progress until the board has taken it, so that nothing is lost
and nothing waits for a network. The board's side is `classroom/board`.

Lesson: none (a teacher says when to join).
"""

import hashlib
import hmac
import json
import os
import re
import secrets
import threading
import time
import urllib.error
import urllib.request
from contextlib import suppress
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

from course_utils.errors import CourseError
from course_utils.files import write_whole
from course_utils.learner.progress import Progress, reason

ROOM_SECONDS = 24 * 60 * 60  # tomorrow, someone else may have the board's address
ANSWER_SECONDS = 5  # the board's patience with itself; nobody waits for it but a thread of ours
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 5.0  # seconds between two tries
LONGEST_SAID, LONGEST_NAME = 500, 40  # characters
SHARED = "Shared with the room."
UNKNOWN = "Kept for the room: the board knows no room"
REFUSED = "The board didn't"
REFUSED_ANSWER = f"{REFUSED} take your answer to"
AWAY = "Kept for the room: the board doesn't answer now, and gets it when it's back."
# How a hub joins its learners: an administrator sets both for their servers.
BOARD, ROOM = "COURSE_BOARD", "COURSE_BOARD_ROOM"
BY_ITSELF = f"Your server joins a room by itself ({BOARD}): ask your teacher."
TOKEN = "JUPYTERHUB_API_TOKEN"  # of the learner's server; the hub's board asks the hub whose it is
_AGAIN = {408, 425, 429}  # and everything from 500 on: not now
_NO_ANSWER = OSError, ValueError, HTTPException, RecursionError  # a thousand brackets are no JSON, either


class Room(NamedTuple):
    """Where the answers go: the board's address and the room's code."""

    address: str
    code: str


class NotNowError(Exception):
    """The board doesn't answer, or has too much to do."""


class RefusedError(Exception):
    """The board says no, and will say so again; the message is its sentence."""


class NoRoomError(RefusedError):
    """The board has no room of this code: someone mistyped it, or started the board with another database."""


def join(address: str, code: str, name: str | None = None, progress: Progress | None = None) -> str:
    """Share predictions, quiz answers and checks with a room from now on, for a day; return what came of it.

    Args:
        address: The board's, such as "http://192.168.1.20:8010"; it's on the projector.
        code: The room's six letters.
        name: Yours, if the room asks for names and you want to say it.
        progress: Beside which the answers wait; by default the learner's own.

    Raises:
        ValueError: It's no address, code or name, or the board has no such room.
        CourseError: The board lets nobody else in, a hub has joined another room for you, or nothing can be kept beside
            the progress file.

    >>> join("192.168.1.20", "KXWPHT")
    Traceback (most recent call last):
    ValueError: address must begin with http:// or https://, got '192.168.1.20'
    """
    room, name, folder = _checked(address, code), _name(name), _folder(progress)
    if os.environ.get(BOARD) and room != _room(folder):
        raise CourseError(BY_ITSELF)  # nothing would go there
    try:
        try:
            facts = _enter(folder, room, name)
        except NotNowError:
            facts = None
        write_whole(folder / "room.json", json.dumps({**room._asdict(), "since": time.time()}))
        _readdress(folder, room)
        if facts is None:
            _keep(folder, room, {"code": room.code, "name": name})
        sender = _sender(folder)
        sender.problem = ""  # it was another room's
        sender.wake()
    except NoRoomError as error:
        got = f"{room.address!r} and {room.code!r}"
        raise ValueError(f"address and code must be those on the projector, got {got}: {error}") from None
    except RefusedError as error:
        raise CourseError(f"The board didn't let you in: {error}") from None
    except OSError as error:
        raise CourseError(f"{folder} can't be written, so nothing can wait for the room: {reason(error)}.") from None
    said = f"You've joined room {room.code}. What you predict, answer and check goes there, too; leave() ends it."
    if facts is None:
        return f"{said} The board doesn't answer now: your answers wait until it does. Is {room.address} right?"
    if facts.get("asks_names"):
        return f"{said} " + (f"Your name there is {name}." if name else "The room asks for names: join(…, name=…).")
    return said + " Your name isn't sent: the room doesn't ask for it." * bool(name)


def leave(progress: Progress | None = None) -> str:
    """Send nothing more; what still waits is deleted.

    Raises:
        CourseError: The folder beside the progress file can't be written.

    >>> leave(Progress(Path("/nowhere/progress.json")))
    'Nothing is sent to a room.'
    """
    folder = _folder(progress)
    for file in [folder / "room.json", *_waiting(folder)]:
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            if file.is_file():
                why = reason(error)
                raise CourseError(f"{folder} can't be written, so your answers still go to the room: {why}.") from None
    if os.environ.get(BOARD):
        return BY_ITSELF
    return "Nothing is sent to a room."


def joined(progress: Progress) -> Room | None:
    """Return the room to which answers go, or None; what another kernel left waiting is sent."""
    folder = _folder(progress)
    with suppress(OSError, RuntimeError):  # a lesson must continue whatever is wrong here
        if folder.is_dir() or os.environ.get(BOARD):  # else nobody has ever joined: nearly everyone, nearly always
            if _waiting(folder):
                _sender(folder).wake()
            return _room(folder)
    return None


def share(progress: Progress, question: str, choice: str, said: str = "") -> str:
    """Send an answer to the room in the background; return what the learner should know, "" if there's no room.

    Args:
        progress: Beside which it waits.
        question: The name of the question or task.
        choice: The option, or "right" or "wrong".
        said: What is wrong, in a sentence without the learner's own words.
    """
    room, folder = joined(progress), _folder(progress)
    if room is None:
        return ""
    body = {"code": room.code, "message": secrets.token_hex(16), "question": question, "choice": choice}
    body |= {"said": said[:LONGEST_SAID]} if said else {}
    try:
        _keep(folder, room, body)
        sender = _sender(folder)
    except OSError as error:
        return f"This couldn't be kept for the room: {reason(error)}."
    except RuntimeError:  # no thread can be started: the next kernel sends it
        return AWAY
    sender.wake()
    if sender.problem.startswith(REFUSED_ANSWER):  # an earlier one: this one goes to the board
        return f"{sender.problem} {SHARED}"
    return sender.problem or SHARED


class _Sender:
    """A thread that sends what waits in a folder, the oldest first, and tries again as long as it must."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.problem = folder, ""
        self._news = threading.Event()
        threading.Thread(target=self._run, name="to the class board", daemon=True).start()

    def wake(self) -> None:
        self._news.set()

    def _run(self) -> None:
        pause = None  # until there is something to send; doubled after each failure
        while True:
            self._news.wait(pause)
            self._news.clear()
            try:
                # Two kernels may have one folder; in order means one at a time.
                with FileLock(self.folder / "sending.lock", timeout=0):
                    self._send_all()
                pause = None
            except NotNowError:
                pause = min(2 * pause, LONGEST_PAUSE) if pause else FIRST_PAUSE
            except (Timeout, OSError):  # the other kernel sends, or the disk has a problem: soon again
                pause = FIRST_PAUSE

    def _send_all(self) -> None:
        # A board that is gone, or was never there, holds up no other one's answers.
        away: set[Room] = set()
        unknown: set[Room] = set()
        files = _waiting(self.folder)
        if not files and not self.problem.startswith(REFUSED):
            self.problem = ""  # another kernel has sent everything
        for file in files:
            self._send(file, away, unknown)
        if away:
            if _room(self.folder) in away:
                self.problem = AWAY
            raise NotNowError

    def _send(self, file: Path, away: set[Room], unknown: set[Room]) -> None:
        try:
            waits = json.loads(file.read_bytes())
            room, body = Room(waits["address"], waits["body"]["code"]), waits["body"]
            age = max(0.0, time.time() - int(file.name[:20]) / 1e9)
            if age < ROOM_SECONDS:
                if room in away | unknown:  # what was chosen first is sent first
                    return
                if "question" in body:
                    _ask(self.folder, room, "/api/answers", {**body, "age": age})
                else:
                    _enter(self.folder, room, body["name"])
            self.problem = ""
        except NotNowError:
            away.add(room)
            return
        except NoRoomError:
            if room == _room(self.folder):  # started with another database? The next question or answer asks again
                self.problem = f"{UNKNOWN} {room.code}: ask your teacher."
                unknown.add(room)
                return
        except RefusedError as error:
            # It's read under the next question, so it names its own.
            what = f"{REFUSED_ANSWER} {body['question']}" if "question" in body else f"{REFUSED} let you in"
            self.problem = f"{what}: {error}"
        except (ValueError, KeyError, TypeError, FileNotFoundError):
            pass  # damaged, or the learner has left the room
        file.unlink(missing_ok=True)


_senders: dict[Path, _Sender] = {}


def _sender(folder: Path) -> _Sender:
    if folder not in _senders:
        folder.mkdir(parents=True, exist_ok=True)
        _senders[folder] = _Sender(folder)
    return _senders[folder]


def _folder(progress: Progress | None) -> Path:
    return (progress or Progress()).path.parent / "board"


def _waiting(folder: Path) -> list[Path]:
    return sorted((folder / "waiting").glob(f"{'[0-9]' * 20}-*.json"))


def _keep(folder: Path, room: Room, body: dict) -> None:
    """Have something wait for the room: an answer, or that someone is there."""
    # By the time in its name, what was chosen first is sent first, also when the clock was put back; with it goes how
    # long it waited.
    after = max((int(file.name[:20]) + 1 for file in _waiting(folder)), default=0)
    file = folder / "waiting" / f"{max(after, time.time_ns()):020}-{secrets.token_hex(8)}.json"
    write_whole(file, json.dumps({"address": room.address, "body": body}))


def _enter(folder: Path, room: Room, name: str | None) -> dict:
    """Tell the board that someone is in the room, and the name if it's asked for; return what it says of the room."""
    facts = _ask(folder, room, f"/api/rooms/{room.code}")
    _ask(folder, room, "/api/join", {"code": room.code, **({"name": name} if name and facts.get("asks_names") else {})})
    return facts


def _readdress(folder: Path, room: Room) -> None:
    """Send what waits for a room to its new address: the board's machine has moved to another network.

    That someone is there needn't wait any longer: `join` has just said so.
    """
    for file in _waiting(folder):
        with suppress(OSError, ValueError, KeyError, TypeError):  # sent in this moment, or damaged
            waits = json.loads(file.read_bytes())
            if waits["body"]["code"] != room.code:
                continue
            if "question" not in waits["body"]:
                file.unlink()
            elif waits["address"] != room.address:
                write_whole(file, json.dumps({**waits, "address": room.address}))


def _room(folder: Path) -> Room | None:
    """Return the room that the environment names, or the one that was joined in the last day."""
    try:
        if os.environ.get(BOARD):
            return _checked(os.environ[BOARD], os.environ.get(ROOM, ""))
        kept = json.loads((folder / "room.json").read_bytes())
        return Room(kept["address"], kept["code"]) if time.time() - kept["since"] < ROOM_SECONDS else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _checked(address: str, code: str) -> Room:
    # People copy the address of the page that they see.
    address = re.sub("/(join|projector|teacher)(/.*)?$", "", str(address).strip()).rstrip("/")
    code = str(code).strip().upper()
    if not re.fullmatch(r"https?://[^/\s]+(/[^\s?#]*)?", address):
        raise ValueError(f"address must begin with http:// or https://, got {address!r}")
    if not re.fullmatch("[A-Z]{6}", code):
        raise ValueError(f"code must be the six letters on the projector, got {code!r}")
    return Room(address, code)


def _name(name: object) -> str | None:
    given = " ".join(name.split()) if isinstance(name, str) else name
    if given is not None and (not isinstance(given, str) or len(given) > LONGEST_NAME):
        raise ValueError(f"name must be a text of at most {LONGEST_NAME} characters, got {name!r}")
    return given or None


def _who(folder: Path, room: Room) -> str:
    """Return what tells this learner's answers from others' in this room, and says nothing in another one.

    It's the same when the board's machine has moved to another network, so that nobody is counted twice.
    """
    if os.environ.get(TOKEN) and os.environ.get(BOARD, "").strip().rstrip("/") == room.address:
        return f"token {os.environ[TOKEN]}"  # the hub's own board, and no other place, learns the hub's token
    file = folder / "learner"
    with FileLock(folder / "learner.lock"):
        if not file.is_file():
            write_whole(file, "")
            file.chmod(0o600)  # with it, a neighbour on this machine could answer in the learner's place
        if not file.stat().st_size:  # a kernel that was killed between the two has left it empty
            write_whole(file, secrets.token_hex(32))
        secret = file.read_bytes()
    return f"Bearer {hmac.new(secret, room.code.encode(), hashlib.sha256).hexdigest()}"


class _NotElsewhere(urllib.request.HTTPRedirectHandler):
    """Follow no page that sends elsewhere: the answer would become a question, and who it is would go there, too."""

    def redirect_request(self, *_: object) -> None:
        return None


def _ask(folder: Path, room: Room, path: str, body: dict | None = None) -> dict:
    """Send a request to the board; return its answer.

    Raises:
        RefusedError: The board says no; NoRoomError if it has no such room.
        NotNowError: It doesn't answer, or something else does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    headers = {"Authorization": _who(folder, room), "Content-Type": "application/json"}
    request = urllib.request.Request(room.address + path, body and json.dumps(body).encode(), headers)
    try:
        with urllib.request.build_opener(_NotElsewhere).open(request, timeout=ANSWER_SECONDS) as answer:
            said = json.loads(answer.read(100_000))
    except urllib.error.HTTPError as error:
        # In a hotel's network, another page answers in the board's place.
        with suppress(*_NO_ANSWER):
            said = json.loads(error.read(100_000))
            if isinstance(said, dict) and "problem" in said and error.code < 500 and error.code not in _AGAIN:
                raise (NoRoomError if error.code == HTTPStatus.NOT_FOUND else RefusedError)(said["problem"]) from None
        raise NotNowError from None
    except _NO_ANSWER:
        raise NotNowError from None
    if not isinstance(said, dict) or not said.keys() & {"code", "round"}:
        raise NotNowError
    return said
