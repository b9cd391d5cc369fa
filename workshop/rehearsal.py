"""Rehearse a class on this machine: `python -m workshop.rehearsal --users 8`.

It starts the hub of `course hub` in a folder of its own. Every learner logs in, starts a server and a kernel and runs
the cells of lesson 11, all at the same time and through the same doors as a browser. It prints how long they waited
and what memory they took. Then a server is killed while its learner saves. With `--record` the table goes into the
guide.
"""

import argparse
import json
import os
import secrets
import signal
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np
import psutil
import requests
import websocket

from course_utils.classroom.hub import HubError, free_ports, processes_of, running_hub
from course_utils.classroom.learner_server import COURSE_FOLDER
from course_utils.cli import ensure_models
from course_utils.errors import CourseError
from course_utils.files import write_whole
from course_utils.machine import ROOT
from course_utils.models.catalogue import CATALOGUE
from course_utils.models.store import ModelStore, ModelStoreError

LESSON = f"{COURSE_FOLDER}/notebooks/11_sampling.ipynb"
GUIDE = ROOT / "workshop" / "guide" / "README.md"
MARKER = "<!-- rehearsal -->"
PATIENCE = 600  # seconds for one step of one learner, also on a machine that is much too small
SYSTEM_BYTES = 2e9  # what we leave to the operating system and to whatever else runs
MB = 1e6


class RehearsalError(Exception):
    """The rehearsal went wrong; the message says at whose step."""


@dataclass
class Learner:
    """One learner: a session with the hub and a websocket to a kernel, as a browser has them."""

    hub: str
    name: str
    folder: str
    web: requests.Session = field(default_factory=requests.Session)
    kernel: websocket.WebSocket | None = None

    def log_in(self, password: str) -> None:
        """Log in with the form of the hub, and take a token, so that no cookie is needed any more."""
        form = f"{self.hub}/hub/login"
        with requests.Session() as browser:
            browser.get(form, timeout=PATIENCE)
            guard = {"_xsrf": browser.cookies.get("_xsrf", path="/hub/")}
            filled = {"username": self.name, "password": password}
            # After the form the hub sends a browser on to a server, and starts it: that is the next step.
            answer = browser.post(form, params=guard, data=filled, timeout=PATIENCE, allow_redirects=False)
            if answer.status_code != 302:
                raise RehearsalError(f"{self.name} cannot log in: {answer.status_code}")
            browser.get(f"{self.hub}/hub/home", timeout=PATIENCE)  # renews the guard for the new user
            guard = {"_xsrf": browser.cookies.get("_xsrf", path="/hub/")}
            tokens = f"{self.hub}/hub/api/users/{self.name}/tokens"
            answer = browser.post(tokens, params=guard, json={"note": "rehearsal"}, timeout=PATIENCE)
            self.web.headers["Authorization"] = f"token {self._checked(answer)['token']}"

    def start_server(self) -> None:
        """Start the learner's server, and wait until the hub says that it is ready."""
        account = f"{self.hub}/hub/api/users/{self.name}"
        answer = self.web.post(f"{account}/server", json={}, timeout=PATIENCE)
        if answer.status_code not in (201, 202):
            self._checked(answer)
        deadline = time.monotonic() + PATIENCE
        while not self._checked(self.web.get(account, timeout=PATIENCE))["servers"].get("", {}).get("ready"):
            if time.monotonic() > deadline:
                raise RehearsalError(f"the server of {self.name} is not ready after {PATIENCE} s")
            time.sleep(0.1)

    def start_kernel(self) -> None:
        """Open the lesson with a kernel, and wait for its first answer."""
        wanted = {"path": LESSON, "type": "notebook", "name": "", "kernel": {"name": "python3"}}
        session = self._checked(self.web.post(self._url("sessions"), json=wanted, timeout=PATIENCE))
        channels = self._url(f"kernels/{session['kernel']['id']}/channels").replace("http", "ws", 1)
        headers = {"Authorization": self.web.headers["Authorization"]}
        self.kernel = websocket.create_connection(channels, timeout=PATIENCE, header=headers)
        self._ask("kernel_info_request", {})

    def run(self, code: str) -> None:
        """Run one cell, and wait until the kernel is done with it."""
        options = {"silent": False, "store_history": True, "allow_stdin": False, "user_expressions": {}}
        reply = self._ask("execute_request", {"code": code, **options})
        if reply["status"] != "ok":
            raise RehearsalError(f"a cell of {self.name} fails: {reply.get('ename')}: {reply.get('evalue')}\n{code}")

    def _ask(self, kind: str, content: dict) -> dict:
        message = {"msg_id": uuid.uuid4().hex, "msg_type": kind, "session": self.name, "username": "", "version": "5.3"}
        envelope = {"header": message, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
        self.kernel.send(json.dumps(envelope))
        reply, is_idle = None, False
        while reply is None or not is_idle:
            said = self.kernel.recv()
            if isinstance(said, bytes):  # data for a widget
                continue
            said = json.loads(said)
            if said["parent_header"].get("msg_id") == message["msg_id"]:
                is_idle = is_idle or said["content"].get("execution_state") == "idle"
                reply = said["content"] if said["msg_type"] == kind.replace("request", "reply") else reply
        return reply

    def notebook(self) -> dict:
        """Return the lesson as it is stored on the server."""
        notebook = self._checked(self.web.get(self._url(f"contents/{LESSON}"), timeout=PATIENCE))["content"]
        for cell in notebook["cells"]:
            cell["metadata"].pop("trusted", None)  # what the server thinks of the cell: it's in no file
        return notebook

    def save(self, notebook: dict) -> None:
        """Save the lesson."""
        model = {"type": "notebook", "format": "json", "content": notebook}
        self._checked(self.web.put(self._url(f"contents/{LESSON}"), json=model, timeout=PATIENCE))

    def processes(self) -> tuple[psutil.Process, list[psutil.Process]]:
        """Return the server and its kernels."""
        own = [one for one in processes_of(self.folder) if one.environ().get("JUPYTERHUB_USER") == self.name]
        (server,) = [one for one in own if one.ppid() not in {other.pid for other in own}]
        return server, [one for one in own if one.pid != server.pid]

    def _url(self, what: str) -> str:
        return f"{self.hub}/user/{self.name}/api/{what}"

    def _checked(self, answer: requests.Response) -> dict:
        if not answer.ok:
            raise RehearsalError(f"{self.name}: {answer.request.method} {answer.url} gives {answer.status_code}")
        return answer.json()


def main() -> int:
    """Rehearse, print the table, and record it if asked to."""
    parser = argparse.ArgumentParser(prog="python -m workshop.rehearsal", description=__doc__)
    parser.add_argument(
        "--users",
        type=int,
        nargs="+",
        default=[8],
        metavar="N",
        help="learners at the same time (default: 8); with several numbers, one class after the other",
    )
    parser.add_argument("--cells", type=int, metavar="N", help="only the first cells of the lesson (default: all)")
    parser.add_argument("--record", action="store_true", help="write the table into the instructor guide")
    options = parser.parse_args()
    if options.record and options.cells is not None:
        print("The guide is about the whole lesson: leave out --cells or --record.", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that everything is cleaned up then, too
    try:
        ensure_models()
        report = "\n\n".join(rehearse(users, lesson_cells()[: options.cells]) for users in options.users)
    except (RehearsalError, HubError, CourseError, ModelStoreError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 1
    print(report)
    if options.record:
        write_whole(GUIDE, recorded(GUIDE.read_text(encoding="utf-8"), report))
    return 0


def lesson_cells() -> list[str]:
    """Return the code cells of lesson 11."""
    lesson = json.loads((ROOT / LESSON.removeprefix(f"{COURSE_FOLDER}/")).read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in lesson["cells"] if cell["cell_type"] == "code"]


def rehearse(users: int, codes: list[str]) -> str:
    """Let `users` learners run these cells at the same time; return the report as Markdown.

    Raises:
        RehearsalError: A step of a learner fails; the end of the hub's log is in the message.
        HubError: The hub does not start.
    """
    password, (port,) = secrets.token_urlsafe(9), free_ports(1)
    with tempfile.TemporaryDirectory(prefix="rehearsal-") as place:
        folder = Path(place).resolve()
        with running_hub(ROOT, users, port, folder, password):
            hub = f"http://127.0.0.1:{port}"
            learners = [Learner(hub, f"learner{number}", str(folder)) for number in range(1, users + 1)]
            try:
                measured = lesson_for_all(learners, codes, password)
                saved = kill_while_saving(learners[0])
            except (RehearsalError, requests.RequestException, websocket.WebSocketException, OSError) as error:
                log = "\n".join((folder / "hub.log").read_text(encoding="utf-8", errors="replace").splitlines()[-30:])
                raise RehearsalError(f"The rehearsal failed: {error}\nThe end of the hub's log:\n{log}") from error
    return as_markdown(measured, users, len(codes), saved)


def lesson_for_all(learners: list[Learner], codes: list[str], password: str) -> dict[str, list[float]]:
    """Let all learners do each step at the same time; return what was measured, a list for each quantity."""
    together = ThreadPoolExecutor(len(learners))

    def everybody(step: Callable[[Learner], object]) -> list:
        return list(together.map(step, learners))

    try:
        everybody(lambda learner: learner.log_in(password))
        print(f"{len(learners)} logged in; starting their servers ...", file=sys.stderr, flush=True)
        measured = {"start a server": everybody(lambda learner: seconds(learner.start_server))}
        print("Starting a kernel for each ...", file=sys.stderr, flush=True)
        measured["start a kernel"] = everybody(lambda learner: seconds(learner.start_kernel))
        print(f"Running {len(codes)} cells of lesson 11 in each ...", file=sys.stderr, flush=True)
        times = everybody(lambda learner: [seconds(learner.run, code) for code in codes])
    finally:  # when something went wrong, the others need not finish: they stop when the hub does
        together.shutdown(wait=False, cancel_futures=True)
    measured["run a cell"] = [one for learner in times for one in learner]
    measured["run the whole lesson"] = [sum(learner) for learner in times]
    return measured | memory_of_all(learners)


def memory_of_all(learners: list[Learner]) -> dict[str, list[float]]:
    """Return the bytes of each server, of each kernel and of the hub, and the seconds of processor of each learner."""
    measured, hub = {"processor": []}, {one.pid: one for one in processes_of(learners[0].folder)}
    for learner in learners:
        server, kernels = learner.processes()
        for what, processes in {"server": [server], "kernel": kernels}.items():
            for kind, size in memory(processes).items():
                measured.setdefault(f"{what}: {kind}", []).append(size)
        used = [one.cpu_times() for one in (server, *kernels)]
        measured["processor"].append(sum(one.user + one.system for one in used))
        for one in (server, *kernels):
            del hub[one.pid]
    return measured | {"hub": [memory(list(hub.values()))["private"]]}


def seconds(step: Callable, *arguments: object) -> float:
    """Return how long a step takes."""
    start = time.perf_counter()
    step(*arguments)
    return time.perf_counter() - start


def memory(processes: list[psutil.Process]) -> dict[str, float]:
    """Return the bytes that these processes have for themselves, their fair part of all, and what they share."""
    sizes = [process.memory_full_info() for process in processes]
    private = sum(one.uss for one in sizes)
    fair = sum(getattr(one, "pss", one.uss) for one in sizes)  # only Linux counts it
    return {"private": private, "fair": fair, "shared": sum(one.rss for one in sizes) - private}


def kill_while_saving(learner: Learner) -> tuple[int, int]:
    """Kill a learner's server while it saves, and start it again; return the last save it confirmed and the stored one.

    Raises:
        RehearsalError: The notebook is damaged, or a confirmed save is lost.
    """
    notebook, confirmed, server = learner.notebook(), [0], learner.processes()[0]

    def save_again_and_again() -> None:
        try:
            for number in range(1, 10_000):
                notebook["metadata"]["saved"] = number
                learner.save(notebook)
                confirmed.append(number)
        except (requests.RequestException, RehearsalError):
            return  # the server is gone: that is what we wait for

    saver = threading.Thread(target=save_again_and_again)
    saver.start()
    while len(confirmed) < 4 and saver.is_alive():  # each save has its own patience
        time.sleep(0.01)
    server.kill()
    saver.join(PATIENCE)
    learner.start_server()
    stored = learner.notebook()
    number = stored["metadata"].pop("saved", 0)
    notebook["metadata"].pop("saved")
    if stored != notebook or number < confirmed[-1] or len(confirmed) < 4:
        raise RehearsalError(f"the notebook is not whole: save {confirmed[-1]} was confirmed, {number} is stored")
    return confirmed[-1], number


def as_markdown(measured: dict[str, list[float]], users: int, cells: int, saved: tuple[int, int]) -> str:
    """Return the tables and the sentences of the report."""
    who = "1 learner" if users == 1 else f"{users} learners"
    machine = f"{os.cpu_count()} processor cores and {psutil.virtual_memory().total / 1e9:.0f} GB"
    lines = [
        f"### {who}",
        "",
        f"Rehearsed on {date.today():%d %B %Y} on {machine}: {who} ran {cells} cells of lesson 11",
        f"at the same time, one thread each (`python -m workshop.rehearsal --users {users}`).",
        "",
        "| seconds to … | half of them waited at most | 95 % waited at most |",
        "|---|---|---|",
    ]
    for what in ("start a server", "start a kernel", "run a cell", "run the whole lesson"):
        half, most = np.percentile(measured[what], [50, 95])
        lines.append(f"| {what} | {half:.1f} | {most:.1f} |")
    lines += ["", "| MB per learner (the middle one) | for itself | fair part of all | shared |", "|---|---|---|---|"]
    for what in ("server", "kernel"):
        sizes = [np.median(measured[f"{what}: {kind}"]) / MB for kind in ("private", "fair", "shared")]
        lines.append(f"| {what} | " + " | ".join(f"{size:,.0f}" for size in sizes) + " |")
    lines += ["", *largest_class(measured), ""]
    lines.append(f"Each learner took {np.median(measured['processor']):.0f} seconds of one processor core in all.")
    lines.append("Then one server was killed (SIGKILL) while its learner saved, and started again:")
    lines.append(f"save {saved[0]} was the last one confirmed, save {saved[1]} was stored, and the notebook was whole.")
    return "\n".join(lines)


def largest_class(measured: dict[str, list[float]]) -> list[str]:
    """Return, by arithmetic, how many learners fit into the memory of a machine."""
    server, kernel = (max(measured[f"{what}: private"]) for what in ("server", "kernel"))
    store = ModelStore()
    once = SYSTEM_BYTES + measured["hub"][0] + sum(store.size(entry) for entry in CATALOGUE.values())
    lines = ["| memory of the machine | learners with one lesson open | with three open |", "|---|---|---|"]
    for size in (16, 32, 64):
        fits = [int((size * 1e9 - once) // (server + kernels * kernel)) for kernels in (1, 3)]
        lines.append(f"| {size} GB | {fits[0]} | {fits[1]} |")
    hub, models = measured["hub"][0], once - SYSTEM_BYTES - measured["hub"][0]
    return [
        *lines,
        "",
        f"That is arithmetic: {SYSTEM_BYTES / 1e9:.0f} GB for the system, {hub / MB:.0f} MB for the hub and "
        f"{models / MB:.0f} MB for the models come once. Each",
        f"learner adds {server / MB:.0f} MB for the server and {kernel / MB:.0f} MB for each open lesson, "
        "the largest that were measured.",
    ]


def recorded(page: str, report: str) -> str:
    """Return `page` with the report behind its marker; what an earlier rehearsal wrote there is replaced.

    Raises:
        RehearsalError: The page has no marker.
    """
    before, marker, after = page.partition(MARKER)
    if not marker:
        raise RehearsalError(f"The guide has no line {MARKER}: put it where the table should be.")
    heading = after.find("\n## ")
    rest = after[heading:] if heading >= 0 else ""
    return f"{before}{marker}\n\n{report.strip()}\n{rest}"


if __name__ == "__main__":
    sys.exit(main())
