"""Load the class board on this machine: `python -m workshop.board_load`.

It starts `course board`, and 300 learners answer within 10 seconds, each from a folder of their own by the code that
`predict` uses. A projector listens and says when it has shown the last answer. Then the same once more, and the board
is killed (SIGKILL) in the middle and started again. With `--hub`, both follow on a real JupyterHub: the board is its
service, everyone comes through its proxy with a token of their own, and the hub starts the killed board again. With
`--record` the table goes into the guide.
"""

import argparse
import json
import os
import random
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import date
from http.client import HTTPException
from pathlib import Path
from unittest.mock import patch

import numpy as np
import psutil

from course_utils.classroom.board.questions import course_questions
from course_utils.classroom.board.storage import Room, Storage
from course_utils.classroom.board.visitors import TEACHER, button_token
from course_utils.classroom.hub import free_ports, processes_of
from course_utils.errors import CourseError
from course_utils.files import write_whole
from course_utils.learner import room as learners_side
from course_utils.learner.progress import Progress
from course_utils.machine import ROOT, processor_name
from workshop.board_hub import PATIENCE, hub_with_board, token_of, until_it_answers

GUIDE = ROOT / "workshop" / "guide" / "board.md"
MARKER = "<!-- load -->"
QUESTION = course_questions(ROOT)["00-paris"]
QUIET_SECONDS = 20  # until a page looks for the board again, as `listen` in the pages' common.js
AWAY_SECONDS = 2.0  # until the killed board is started again; a hub takes longer


class LoadError(Exception):
    """Something was lost, or the board doesn't answer; the message says what."""


class Board:
    """`course board` as a process of its own, which can be killed and started again.

    Args:
        database: Its URL.
        room: The room of the database that it serves.
    """

    def __init__(self, database: str, room: Room) -> None:
        (port,) = free_ports(1)
        self.command = [sys.executable, "-P", "-m", "course_utils.cli", "board", f"--port={port}", f"--db={database}"]
        self.command += [f"--room={room.code}", f"--address=http://127.0.0.1:{port}"]
        self.address, self.room = f"http://127.0.0.1:{port}", room
        self.teacher, self.projector = {"Cookie": f"{TEACHER}={room.secret}"}, {}  # headers that say who it is

    def __enter__(self) -> "Board":
        self.start()
        return self

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL)
        try:
            until_it_answers(self.address, lambda: self.process.poll() is None)
        except TimeoutError:
            raise LoadError("The board doesn't start: start `course board` yourself, and read what it says.") from None

    def open(self, question: str) -> None:
        """Press the teacher's button."""
        said = json.dumps({"act": "open", "question": question}).encode()
        headers = {**self.teacher, "X-Board-Token": button_token(self.room), "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.address}/teacher/act", said, headers)
        urllib.request.urlopen(request, timeout=PATIENCE).close()

    def __exit__(self, *_: object) -> None:
        """End it as Ctrl+C does."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(PATIENCE)


class BoardOnHub(Board):
    """The board as a service of a hub, where a learner is known by the token of a server.

    Args:
        database: Its URL.
        room: The room of the database that it serves.
        folder: For the hub.
        learners: How many there are.
    """

    def __init__(self, database: str, room: Room, folder: Path, learners: int) -> None:
        self.room, self.folder, self.users = room, folder.resolve(), learners + 1
        self.options = f"--db={database}", f"--room={room.code}"

    def __enter__(self) -> "Board":
        password = secrets.token_urlsafe(9)
        with ExitStack() as running:
            running_hub = hub_with_board(self.folder, self.users, password, *self.options)
            hub, self._inside = running.enter_context(running_hub)
            self.address = f"{hub}/services/board"
            teacher, *tokens = (f"token {token_of(hub, f'learner{n}', password)}" for n in range(1, self.users + 1))
            self.teacher = self.projector = {"Authorization": teacher}
            # A server has its token in the environment, and this process has one environment for all of them.
            by_folder = patch.object(learners_side, "_who", lambda folder, _: tokens[int(folder.parent.name)])
            running.enter_context(by_folder)
            self.start()
            self._running = running.pop_all()  # what has started so far would be stopped, had a step failed
        return self

    def start(self) -> None:
        """Wait until the hub has started it."""
        until_it_answers(self._inside)  # not by the proxy: its page of errors is the hub's work
        (self.process,) = (one for one in processes_of(str(self.folder)) if "board" in one.cmdline())

    def __exit__(self, *error: object) -> None:
        """End the hub, which ends the board."""
        self._running.__exit__(*error)


class Projector(threading.Thread):
    """A page that listens as a browser does, connects again when it must, and notes when it saw how many answers."""

    def __init__(self, board: Board) -> None:
        super().__init__(daemon=True)
        self.board, self.seen, self.connected = board, {}, 0

    def run(self) -> None:
        """Listen for ever."""
        while True:
            try:
                address = f"{self.board.address}/events/projector/{self.board.room.code}"
                request = urllib.request.Request(address, headers=self.board.projector)
                with urllib.request.urlopen(request, timeout=QUIET_SECONDS) as stream:
                    self.connected += 1
                    for line in stream:
                        if line.startswith(b"data: ") and (question := json.loads(line[6:])["question"]):
                            self.seen.setdefault(question["answered"], time.monotonic())
            except (OSError, HTTPException):
                time.sleep(1)


def load(database: str, learners: int, seconds: float, is_killed: bool, is_on_hub: bool = False, seed: int = 0) -> dict:
    """Let `learners` answer within `seconds`; return what was measured.

    Raises:
        LoadError: An answer was lost or counted twice, or the projector didn't show all.
        CourseError: A hub, or the database, can't be used.
    """
    storage, chance = Storage(database), random.Random(seed)
    room = storage.make_room()
    moments = sorted(chance.uniform(0, seconds) for _ in range(learners))
    choices = [chance.choice(QUESTION.options) for _ in range(learners)]
    with ExitStack() as running:
        temporary = tempfile.TemporaryDirectory(prefix="board-load-", ignore_cleanup_errors=True)
        place = Path(running.enter_context(temporary))
        board = BoardOnHub(database, room, place / "hub", learners) if is_on_hub else Board(database, room)
        running.enter_context(board)
        board.open(QUESTION.name)
        projector = Projector(board)
        projector.start()
        homes = [Progress(place / str(number) / "progress.json") for number in range(learners)]
        for home in homes:  # as `join` leaves it
            kept = {"address": board.address, "code": room.code, "since": time.time()}
            write_whole(home.path.parent / "board" / "room.json", json.dumps(kept))
        start, waited = time.monotonic(), []

        def answer(number: int) -> float:
            time.sleep(max(0.0, start + moments[number] - time.monotonic()))
            begun = time.monotonic()
            learners_side.share(homes[number], QUESTION.name, choices[number])
            waited.append(time.monotonic() - begun)
            return time.monotonic()

        with ThreadPoolExecutor(learners) as everyone:
            pressed = [everyone.submit(answer, number) for number in range(learners)]
            away = 0.0
            if is_killed:
                time.sleep(seconds / 2)
                away = -time.monotonic()
                board.process.kill()
                time.sleep(AWAY_SECONDS)
                board.start()
                away += time.monotonic()
            last = max(one.result() for one in pressed)
        end = time.monotonic() + PATIENCE
        while learners not in projector.seen and time.monotonic() < end:
            time.sleep(0.01)
        memory = psutil.Process(board.process.pid).memory_info().rss
        processor = sum(psutil.Process(board.process.pid).cpu_times()[:2])
    counted = storage.counts(room.code, QUESTION.name)[1]
    storage.engine.dispose()
    if counted != Counter(choices):
        raise LoadError(f"Answers were lost or counted twice: {dict(counted)} instead of {dict(Counter(choices))}.")
    if learners not in projector.seen:
        raise LoadError(f"The projector has shown {max(projector.seen, default=0)} of {learners} answers.")
    if projector.connected < 1 + is_killed:
        raise LoadError("The projector didn't connect again.")
    return {
        "learners": learners,
        "database": storage.engine.dialect.name,
        "is_on_hub": is_on_hub,
        "killed": f"killed after {seconds / 2:.0f} s, back {away:.1f} s later" if is_killed else "undisturbed",
        "seconds": last - start,
        "after": projector.seen[learners] - last,
        "waited": np.percentile(waited, [50, 95]) * 1000,
        "memory": memory,
        "processor": processor,
    }


def as_markdown(rows: list[dict], busy: float) -> str:
    """Return the table of the guide; `busy` is how many other programs wanted a processor."""
    names = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
    hub = " --hub" * any(row["is_on_hub"] for row in rows)
    lines = [
        f"Measured on {date.today():%d %B %Y} ({processor_name()}, {os.cpu_count()} cores; board and learners on one",
        f"machine, and before that a load of {busy:.1f} from other programs): `python -m workshop.board_load{hub}`.",
        "",
        "| database | learners | board | all had answered after | projector had them all | lost or counted twice "
        "| a learner waited (half, 95 %) | board: memory, processor |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        half, most = row["waited"]
        board = f"{'on a hub, ' * row['is_on_hub']}{row['killed']}"
        cells = [names[row["database"]], row["learners"], board, f"{row['seconds']:.1f} s"]
        cells += [f"{row['after']:.2f} s later", 0, f"{half:.0f} ms, {most:.0f} ms"]
        cells += [f"{row['memory'] / 1e6:.0f} MB, {row['processor']:.1f} s"]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def main() -> int:
    """Load the board, print the table, and record it if asked to."""
    parser = argparse.ArgumentParser(prog="python -m workshop.board_load", description=__doc__)
    parser.add_argument("--learners", type=int, default=300, metavar="N", help="who answer (default: 300)")
    parser.add_argument("--seconds", type=float, default=10, metavar="S", help="within which they do (default: 10)")
    parser.add_argument(
        "--db", nargs="+", metavar="URL", help="databases, one after the other (default: a SQLite file)"
    )
    parser.add_argument("--hub", action="store_true", help="then the same on a real JupyterHub")
    parser.add_argument("--record", action="store_true", help="write the table into the guide")
    options = parser.parse_args()
    busy = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    with tempfile.TemporaryDirectory(prefix="board-load-") as place:
        databases = options.db or [f"sqlite:///{Path(place) / 'board.sqlite'}"]
        try:
            rows = [
                load(database, options.learners, options.seconds, is_killed, is_on_hub)
                for database in databases
                for is_on_hub in (False, True)[: 1 + options.hub]
                for is_killed in (False, True)
            ]
        except (LoadError, CourseError, TimeoutError) as error:
            print(error, file=sys.stderr)
            return 1
    table = as_markdown(rows, busy)
    print(table)
    if options.record:
        before, marker, after = GUIDE.read_text(encoding="utf-8").partition(MARKER)
        heading = after.find("\n## ")
        rest = after[heading:] if heading >= 0 else ""
        write_whole(GUIDE, f"{before}{marker}\n\n{table}\n{rest}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
