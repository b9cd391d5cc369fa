"""A real hub on this machine with the class board as its service, for `workshop.board_load` and the tests."""

import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path

from course_utils.classroom.hub import free_ports, running_hub
from course_utils.machine import ROOT

PATIENCE = 300  # seconds
TEACHER = "learner1"
CONFIG = """
import json, os, sys
load_subconfig({config!r})
sys.path.insert(0, {folder!r})
import shared_settings
c = get_config()
asked = json.loads(os.environ["COURSE_HUB"])
shared_settings.BOARD_PORT = {port}
shared_settings.add_board(c.JupyterHub, c.Spawner, f"http://127.0.0.1:{{asked['port']}}", [{teacher!r}])
board = c.JupyterHub.services[-1]
board["command"] += {more!r}
board["environment"] = {{"COURSE_HUB_FOLDER": asked["folder"], "XDG_DATA_HOME": asked["folder"]}}
"""


@contextmanager
def hub_with_board(folder: Path, users: int, password: str, *more: str) -> Iterator[tuple[str, str]]:
    """Run a hub whose learner1 teaches; yield its address, and that of a page of the board past its proxy.

    Args:
        folder: For everything that the hub and the board keep.
        users: How many learners there are, with the teacher.
        password: Of all of them.
        more: Options of `course board`; they replace those of the shared settings.

    Raises:
        HubError: The hub doesn't start.
        TimeoutError: The board doesn't.
    """
    settings = folder / "root" / "workshop" / "jupyterhub" / "rehearsal_config.py"
    settings.parent.mkdir(parents=True)
    port, board_port = free_ports(2)
    own = ROOT / "workshop" / "jupyterhub"
    values = {"config": str(own / "rehearsal_config.py"), "folder": str(own), "port": board_port, "more": list(more)}
    settings.write_text(CONFIG.format(teacher=TEACHER, **values), encoding="utf-8")
    page = f"http://127.0.0.1:{board_port}/services/board/static/board.css"
    with running_hub(folder / "root", users, port, folder, password):
        until_it_answers(page)
        yield f"http://127.0.0.1:{port}", page


def until_it_answers(page: str, may_come: Callable[[], bool] = lambda: True) -> None:
    """Wait for a page, as long as it may still come.

    Raises:
        TimeoutError: It won't, or isn't there after `PATIENCE` seconds.
    """
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and may_come():
        try:
            urllib.request.urlopen(page, timeout=PATIENCE).close()
            return
        except (OSError, HTTPException):
            time.sleep(0.05)
    raise TimeoutError(f"{page} doesn't answer.")


def token_of(hub: str, name: str, password: str) -> str:
    """Return a token of the hub that may do what the one of this learner's server may, as `add_board` says."""
    may = [f"users:activity!user={name}", f"access:servers!server={name}/", "access:services!service=board"]
    asked = {"auth": {"username": name, "password": password}, "note": f"Server at /user/{name}/", "scopes": may}
    request = urllib.request.Request(f"{hub}/hub/api/users/{name}/tokens", json.dumps(asked).encode())
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        return json.loads(answer.read())["token"]
