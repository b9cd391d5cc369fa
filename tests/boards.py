"""A class board behind a real web server, and what its tests ask about."""

import socket
import threading
import time
from contextlib import contextmanager

import uvicorn

from course_utils.classroom.board.command import SERVER
from course_utils.classroom.board.questions import course_questions, course_tasks
from course_utils.classroom.board.service import Board
from course_utils.classroom.board.storage import Storage
from course_utils.machine import ROOT

QUESTIONS = course_questions(ROOT)
TASKS = course_tasks(ROOT)
NAME = "00-paris"
OPTIONS = QUESTIONS[NAME].options
CODE = "KXWPHT"


@contextmanager
def new_board(folder, address="http://192.168.1.20:8010", code=CODE):
    """A board of one room over a new SQLite file in `folder`."""
    kept = Storage(f"sqlite:///{folder / 'board.sqlite'}")
    kept.make_room(code)
    yield Board(kept, QUESTIONS, TASKS, address)
    kept.engine.dispose()


@contextmanager
def serving(board, port=0):
    """Serve a board as `course board` does; its address."""
    with socket.socket() as door:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind(("127.0.0.1", port))
        server = uvicorn.Server(uvicorn.Config(board.app(), **SERVER))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [door]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{door.getsockname()[1]}"
        finally:
            board.close()
            server.should_exit = True
            thread.join()
