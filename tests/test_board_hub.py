"""The class board as a service of a real hub: signed in by it, counted once, a teacher by group."""

import json
import os
import re
import shutil
import time

import pytest
import requests

from course_utils.classroom.hub import free_ports, running_hub
from course_utils.machine import ROOT
from tests.boards import NAME, OPTIONS
from tests.conftest import need
from tests.test_hub import has_jupyterhub
from workshop.rehearsal import Learner

PASSWORD = "long-enough"
CONFIG = """
import json, os, sys
load_subconfig({config!r})
sys.path.insert(0, {folder!r})
import shared_settings
c = get_config()
asked = json.loads(os.environ["COURSE_HUB"])
shared_settings.BOARD_PORT = {board_port}
shared_settings.add_board(c.JupyterHub, c.Spawner, f"http://127.0.0.1:{{asked['port']}}", ["learner1"])
c.JupyterHub.services[-1]["environment"] = {{"COURSE_HUB_FOLDER": asked["folder"], "XDG_DATA_HOME": asked["folder"]}}
"""
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


def until_there(board):
    end = time.monotonic() + 300
    while requests.get(f"{board}/static/board.css", timeout=300).status_code != 200:
        assert time.monotonic() < end
        time.sleep(0.2)


@pytest.mark.skipif(os.name == "nt", reason="JupyterHub does not run on Windows")
def test_on_a_hub_everyone_counts_once_and_a_group_teaches(tmp_path):
    need("JupyterHub", has_jupyterhub())
    need("Node.js with npm", all(map(shutil.which, ("node", "npm"))))
    settings = tmp_path / "root" / "workshop" / "jupyterhub" / "rehearsal_config.py"
    settings.parent.mkdir(parents=True)
    port, board_port = free_ports(2)
    own = ROOT / "workshop" / "jupyterhub"
    values = {"config": str(own / "rehearsal_config.py"), "folder": str(own), "board_port": board_port}
    settings.write_text(CONFIG.format(**values))
    hub, folder = f"http://127.0.0.1:{port}", tmp_path / "hub"
    board = f"{hub}/services/board"
    with running_hub(tmp_path / "root", 3, port, folder, PASSWORD):
        until_there(board)

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
        learner = Learner(hub, "learner3", str(folder))
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
