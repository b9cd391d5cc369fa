"""The class board as a service of a real hub: signed in by it, counted once, a teacher by group, killed."""

import json
import os
import re
import shutil

import pytest
import requests

from tests.boards import NAME, OPTIONS
from tests.conftest import need
from tests.test_hub import has_jupyterhub
from workshop.board_hub import hub_with_board
from workshop.board_load import as_markdown, load
from workshop.rehearsal import Learner

PASSWORD = "long-enough"
pytestmark = pytest.mark.skipif(os.name == "nt", reason="JupyterHub does not run on Windows")
PREDICT = """
import time
from pathlib import Path
from course_utils.learner import Progress, predict
asked = predict("00-paris", "How likely?", ["below 10 %", "10 % to 50 %", "over 50 %"])
asked.asked = [1, 1]
assert "Shared with the room." in asked.feedback, asked.feedback
waiting = Progress().path.parent / "board" / "waiting"
end = time.monotonic() + 300
while list(waiting.glob("*.json")):
    assert time.monotonic() < end
    time.sleep(0.1)
"""


def signed_in(hub, name):
    """A browser that has logged in at the hub."""
    browser = requests.Session()
    browser.headers["accept"] = "text/html"
    browser.get(f"{hub}/hub/login", timeout=300)
    guard = {"_xsrf": browser.cookies.get("_xsrf", path="/hub/")}
    filled = {"username": name, "password": PASSWORD}
    answer = browser.post(f"{hub}/hub/login", params=guard, data=filled, timeout=300, allow_redirects=False)
    assert answer.status_code == 302
    return browser


@pytest.fixture(autouse=True)
def installed():
    need("JupyterHub", has_jupyterhub())
    need("Node.js with npm", all(map(shutil.which, ("node", "npm"))))


def test_on_a_hub_everyone_counts_once_and_a_group_teaches(tmp_path):
    with hub_with_board(tmp_path, 3, PASSWORD) as (hub, _):
        board = f"{hub}/services/board"

        # Strangers, and keys that someone made up, stay out.
        assert "/hub/login" in requests.get(f"{board}/", headers={"accept": "text/html"}, timeout=300).url
        said = {"code": "BRDRMS", "message": "message-1", "question": NAME, "choice": OPTIONS[0]}
        for who in ({}, {"Authorization": "Bearer " + "k" * 40}, {"Authorization": "token " + "k" * 40}):
            assert requests.post(f"{board}/api/answers", json=said, headers=who, timeout=300).status_code == 401
        assert requests.get(f"{board}/oauth_callback?state=x&code=y", timeout=300).status_code == 403

        # A browser comes in through the hub; without its cookies it's still the same learner.
        for number, choice in enumerate((OPTIONS[0], OPTIONS[2])):
            browser = signed_in(hub, "learner2")
            page = browser.get(f"{board}/", timeout=300)
            assert page.url == f"{board}/join/BRDRMS"
            assert "share your predictions" in page.text
            answer = {**said, "message": f"message-{number}", "choice": choice}
            assert browser.post(f"{board}/api/answers", json=answer, timeout=300).json() == {"round": 1}
        assert browser.get(f"{board}/teacher", timeout=300).status_code == 403
        assert browser.get(f"{board}/teacher/answers.csv", timeout=300).status_code == 403

        # A notebook says who it is by the token of its server.
        learner = Learner(hub, "learner3", str(tmp_path))
        learner.log_in(PASSWORD)
        learner.start_server()
        learner.start_kernel()
        learner.run(PREDICT)

        teacher = signed_in(hub, "learner1")
        page = teacher.get(f"{board}/teacher", timeout=300)
        assert page.status_code == 200
        teacher.headers["X-Board-Token"] = re.search('name="token" content="(\\w+)"', page.text)[1]
        pressed = teacher.post(f"{board}/teacher/act", json={"act": "open", "question": NAME}, timeout=300)
        assert pressed.json() == {"done": "open"}
        rows = teacher.get(f"{board}/teacher/answers.csv", timeout=300).text.splitlines()
        assert rows[1:] == [
            f'"{NAME}","1","learner 1","over 50 %","yes",""',
            f'"{NAME}","1","learner 2","10 % to 50 %","no",""',
        ]
        with teacher.get(f"{board}/events/projector/BRDRMS", timeout=300, stream=True) as stream:
            data = next(line for line in stream.iter_lines() if line.startswith(b"data: "))
        assert json.loads(data[6:])["question"]["answered"] == 2


def test_a_killed_board_is_started_again_by_the_hub_and_loses_nothing(tmp_path):
    database = f"sqlite:///{tmp_path / 'board.sqlite'}"
    measured = load(database, learners=12, seconds=2, is_killed=True, is_on_hub=True)
    assert "| SQLite | 12 | on a hub, killed after 1 s, back " in as_markdown([measured], 0)
