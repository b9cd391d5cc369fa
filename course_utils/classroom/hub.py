"""A JupyterHub for a rehearsal on one machine: learner1, learner2 … with one password and a folder of their own.

JupyterHub, its proxy and its idle culler do the work. Their settings are in `workshop/jupyterhub`.
"""

import importlib.util
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil
from filelock import FileLock, Timeout
from platformdirs import user_cache_path, user_data_path

from course_utils.errors import CourseError
from course_utils.files import whole_folder
from course_utils.machine import port_is_taken
from course_utils.models.store import models_folder

PROXY = "configurable-http-proxy"
PROXY_VERSION = "5.1.0"  # the newest that is content with Node.js 18
SHORTEST_PASSWORD = 8  # JupyterHub refuses shorter ones
MARK = "COURSE_HUB_FOLDER"  # in the environment of every process of a hub


class HubError(CourseError):
    """The hub cannot be started; the message is one sentence that says what to do."""


def run_hub(root: Path, users: int, port: int, folder: Path | None = None, password: str | None = None) -> None:
    """Run a hub until Ctrl+C; say where it is and how to log in.

    Args:
        root: The folder of the course.
        users: How many learners there are.
        port: Where browsers find it, on this machine only.
        folder: For the learners' homes, the log and the hub's own files; by default in this user's data folder.
        password: Of all learners; by default a random one.

    Raises:
        HubError: Something is missing, taken, or the hub ends by itself.

    Lesson: none (this is for teachers who rehearse a class).
    """
    folder = folder or user_data_path("llms-by-hand", appauthor=False) / "hub"
    password = password or secrets.token_urlsafe(9)
    with running_hub(root, users, port, folder, password) as hub:
        who = "learner1" if users == 1 else f"learner1 to learner{users}"
        print(f"The hub is at http://127.0.0.1:{port} for {who}; their password is {password}", flush=True)
        print(f"Their files and the log are in {folder}. Press Ctrl+C here to stop everything.", flush=True)
        print(f"It is for a rehearsal: all servers run as {_who_we_are()}, so keep it to yourself.", flush=True)
        hub.wait()
        raise HubError(f"The hub has ended by itself: the end of {folder / 'hub.log'} says why.")


@contextmanager
def running_hub(root: Path, users: int, port: int, folder: Path, password: str) -> Iterator[subprocess.Popen]:
    """Run a hub; at the end stop it and whatever it started. The arguments are those of `run_hub`.

    Raises:
        HubError: Something is missing or taken, or the hub does not start.

    Lesson: none.
    """
    if users < 1:
        raise HubError(f"A hub needs at least one learner, not {users}.")
    if len(password) < SHORTEST_PASSWORD:
        raise HubError(f"The password needs {SHORTEST_PASSWORD} letters or more: choose a longer one.")
    if port_is_taken(port):
        raise HubError(f"Port {port} is taken: choose another.")
    proxy, folder = proxy_command(), folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    asked = {"users": users, "port": port, "folder": str(folder), "password": password, "proxy": proxy}
    asked |= dict(zip(("hub_port", "proxy_port"), free_ports(2), strict=True))
    try:
        with FileLock(folder / ".lock", timeout=0), (folder / "hub.log").open("ab") as log:
            hub = _start(root, asked, log)
            try:
                _wait_until_it_answers(hub, port, folder)
                yield hub
            finally:
                _stop(hub, str(folder))
    except Timeout:
        raise HubError(f"A hub is already running in {folder}: stop it, or name another folder.") from None


def _who_we_are() -> str:
    if os.geteuid() != 0:  # a hub never runs on Windows
        return "you"
    return "root, answer on this machine only (127.0.0.1) and ask for the password"


def proxy_command(cache: Path | None = None) -> list[str]:
    """Return the command that starts the proxy, which npm fetches when it is needed for the first time.

    Raises:
        HubError: JupyterHub, Node.js or npm is missing, or npm gets no answer.

    Lesson: none.
    """
    if os.name != "posix":
        raise HubError("JupyterHub does not run on Windows: use Linux, macOS or the Windows Subsystem for Linux.")
    if not all(map(importlib.util.find_spec, ("jupyterhub", "jupyterhub_idle_culler"))):
        raise HubError("JupyterHub is not installed: run `python3 course.py hub`, which installs it.")
    node = shutil.which("node") or shutil.which("nodejs")
    if node is None:
        raise HubError("Node.js is missing: install Node.js 18 or newer and npm, and run the same command again.")
    cache = cache or user_cache_path("llms-by-hand", appauthor=False)
    place = cache / f"{PROXY}-{PROXY_VERSION}"
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / f".{PROXY}.lock"):
        if not place.exists():
            _fetch_proxy(place)
    return [node, str(place / "node_modules" / PROXY / "bin" / PROXY)]


def _fetch_proxy(place: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise HubError("npm is missing, which fetches JupyterHub's proxy once: install it, and run the command again.")
    print(f"Fetching {PROXY} with npm (once) ...", file=sys.stderr, flush=True)
    with whole_folder(place) as unfinished:
        install = [npm, "install", "--prefix", str(unfinished), "--no-audit", "--no-fund", f"{PROXY}@{PROXY_VERSION}"]
        if subprocess.run(install, stdin=subprocess.DEVNULL, capture_output=True).returncode:
            raise HubError(
                f"npm could not fetch {PROXY}: connect to a network (or set npm's registry to a mirror) and run the "
                "same command again."
            )


def free_ports(count: int) -> list[int]:
    """Return ports of this machine that no program uses.

    Lesson: none.
    """
    with ExitStack() as all_at_once:  # one after the other could be the same one twice
        doors = [all_at_once.enter_context(socket.socket()) for _ in range(count)]
        for door in doors:
            door.bind(("127.0.0.1", 0))
        return [door.getsockname()[1] for door in doors]


def processes_of(folder: str) -> list[psutil.Process]:
    """Return every process of the hub in `folder`: proxy, culler, servers, kernels.

    Lesson: none.
    """
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == folder:
                found.append(process)
        except (psutil.Error, OSError):  # it has just ended, or is someone else's
            continue
    return found


def _start(root: Path, asked: dict, log: object) -> subprocess.Popen:
    settings = {"COURSE_HUB": json.dumps(asked), MARK: asked["folder"], "COURSE_MODELS_DIR": str(models_folder())}
    config = root / "workshop" / "jupyterhub" / "rehearsal_config.py"
    command = [sys.executable, "-P", "-m", "jupyterhub", "--config", str(config)]
    # In a session of its own, so that Ctrl+C comes to us alone, and we stop everything in order.
    streams = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": subprocess.STDOUT}
    return subprocess.Popen(command, cwd=asked["folder"], env=os.environ | settings, start_new_session=True, **streams)


def _wait_until_it_answers(hub: subprocess.Popen, port: int, folder: Path, patience: float = 600) -> None:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline and hub.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/hub/api/", timeout=5):
                return
        except OSError:  # also what the proxy says before the hub is there
            time.sleep(0.2)
    raise HubError(f"The hub did not start: the end of {folder / 'hub.log'} says why.")


def _stop(hub: subprocess.Popen, folder: str, patience: float = 30) -> None:
    """End the hub, which stops its servers; then whatever is left, also of a hub that was killed."""
    hub.terminate()
    try:
        hub.wait(patience)
    except subprocess.TimeoutExpired:
        hub.kill()
    left = processes_of(folder)
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    _, stubborn = psutil.wait_procs(left, timeout=5)
    for process in stubborn:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(stubborn)
