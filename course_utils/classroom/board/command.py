"""`course board`: find the room, say how to reach it, and serve it until Ctrl+C.

Lesson: none (this is for teachers).
"""

import importlib.util
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from platformdirs import user_data_path

from course_utils.errors import CourseError
from course_utils.machine import port_is_taken, say

if TYPE_CHECKING:
    from course_utils.classroom.board.service import Board

TEACHERS = "COURSE_BOARD_TEACHERS"  # on a hub: the group that has the teacher's page, if it isn't "teachers"
PACKAGES = ("segno", "sqlalchemy", "starlette", "uvicorn")
FILES = 10_000  # open at once: each page that listens is one
# No log of requests: the teacher's link would be in it. No word about addresses: anyone could give it.
SERVER = {
    "log_level": "warning",
    "access_log": False,
    "proxy_headers": False,
    "server_header": False,
    "timeout_graceful_shutdown": 2,  # seconds, for answers on their way when the board is stopped
}


def run_board(
    root: Path, port: int, database: str | None, code: str | None, address: str | None, notebooks: Sequence[Path] = ()
) -> None:
    """Serve the board until Ctrl+C; say where the pages are.

    Args:
        root: The folder of the course.
        port: Where browsers find it.
        database: Its URL; by default a SQLite file in this user's data folder.
        code: The room, which is made if it isn't there; "new" is a new one; by default the newest.
        address: What learners type to reach this machine; by default its address in the network.
        notebooks: The teacher's own, or folders of them, whose questions are on the board as well.

    A JupyterHub that starts it as a service says where, and who comes in.

    Raises:
        CourseError: Something is missing or taken, such as the database by another board; `code` or `address` can't be
            one; or the board was stopped.
    """
    if not all(map(importlib.util.find_spec, PACKAGES)):
        raise CourseError("The board is not installed: run `python3 course.py board`, which installs it.")
    from course_utils.classroom.board.questions import course_questions, course_tasks, own_questions
    from course_utils.classroom.board.service import Board
    from course_utils.classroom.board.storage import CODE_LENGTH, LETTERS, Storage, is_code

    code = code.upper() if code else None
    if code not in (None, "NEW") and not is_code(code):
        raise CourseError(f"A room's code has {CODE_LENGTH} letters of {LETTERS}: {code} can't be one.")
    if address and not address.startswith(("http://", "https://")):  # join refuses it, in front of the whole room
        raise CourseError(f"--address must begin with http:// or https://, got {address!r}.")
    questions, tasks = course_questions(root), course_tasks(root)
    if notebooks:
        own, problems = own_questions(notebooks, questions, tasks)
        questions |= own
        number = f"{len(own)} question{'s' * (len(own) != 1)}"
        said = f"Your notebooks add or change {number}.{' Left out:' * bool(problems)}"
        say("\n    ".join([said, *problems]) + "\n")
    storage = Storage(database or f"sqlite:///{user_data_path('llms-by-hand', appauthor=False) / 'board.sqlite'}")
    storage.keep_others_out()
    room = storage.latest_room() if code is None else storage.room(code)
    room = room or storage.make_room(None if code in (None, "NEW") else code)
    contents = storage, questions, tasks
    if os.environ.get("JUPYTERHUB_SERVICE_PREFIX"):
        serve_on_hub(contents, address, room.code)
        return
    if port_is_taken(port):
        raise CourseError(f"Port {port} is taken: choose another with --port.")
    address = (address or f"http://{address_of_this_machine()}:{port}").rstrip("/")
    here = f"http://127.0.0.1:{port}"
    print(f"Room {room.code} is open. Learners type, once, in any notebook:\n", flush=True)
    print(f'    from course_utils.learner import join\n    join("{address}", "{room.code}")\n', flush=True)
    print(f"or open {address}/join/{room.code} on a phone.", flush=True)
    print(f"The projector:      {here}/projector/{room.code}", flush=True)
    print(f"You, and only you:  {here}/teacher/{room.secret}", flush=True)
    again = f"--room {room.code} in place of --room new" if code == "NEW" else "the same command"
    print(f"Press Ctrl+C here to stop. All answers are kept; {again} continues with this room.", flush=True)
    # Before it is a server that speaks HTTPS, on this machine: its word about addresses is believed, nobody else's.
    try:
        serve(Board(*contents, address), host="0.0.0.0", port=port, proxy_headers=address.startswith("https://"))
    except KeyboardInterrupt:
        raise CourseError(f"Stopped: {again} continues with this room.") from None


def serve_on_hub(contents: tuple, address: str | None, code: str) -> None:
    """Serve the board as the service that a JupyterHub has started.

    Args:
        contents: The storage, the questions and the tasks.
        address: What browsers type to reach it; by default what the hub says.
        code: The code of its room.
    """
    from course_utils.classroom.board.hub_sign_in import HubSignIn
    from course_utils.classroom.board.service import Board

    prefix = os.environ["JUPYTERHUB_SERVICE_PREFIX"].rstrip("/")
    address = (address or os.environ.get("JUPYTERHUB_PUBLIC_URL") or prefix).rstrip("/")
    where = urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"])
    sign_in = HubSignIn(os.environ.get(TEACHERS) or "teachers", is_https=address.startswith("https://"))
    serve(Board(*contents, address, prefix, sign_in, code), host=where.hostname, port=where.port)


def serve(board: "Board", **where: object) -> None:
    """Serve a board until Ctrl+C, or until the process is asked to end.

    Args:
        board: The board.
        where: How uvicorn reaches the network: `host` and `port`, and whether a proxy stands before it.
    """
    import uvicorn

    allow_many_connections()

    class Server(uvicorn.Server):
        def handle_exit(self, *arguments: object) -> None:
            board.close()  # else it would wait for pages that listen for ever
            super().handle_exit(*arguments)

    Server(uvicorn.Config(board.app(), **SERVER | where)).run()


def allow_many_connections() -> None:
    """Take as many open pages as this system lets a program have: macOS begins with 256 files, and a page is one."""
    if os.name == "nt":
        return
    import resource

    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    wanted = FILES if most == resource.RLIM_INFINITY else min(FILES, most)
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def address_of_this_machine() -> str:
    """Return the address by which others in the network reach this machine; 127.0.0.1 where there is no network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address for examples: nothing is sent, the system only picks a way
            return probe.getsockname()[0]
        except OSError:
            return "127.0.0.1"
