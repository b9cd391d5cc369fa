"""Lesson 00 in a network namespace of its own, where only loopback exists."""

import os
import shutil
import subprocess
import sys

import pytest

from course_utils.machine import ROOT

RUN = """
import socket, sys, nbformat
from nbclient import NotebookClient
try:
    socket.create_connection(("192.0.2.1", 80), timeout=2)
except OSError:
    pass
else:
    sys.exit("there is a network")
notebook = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(notebook, timeout=600, startup_timeout=600, resources={"metadata": {"path": sys.argv[2]}}).execute()
print("executed", sum(cell.cell_type == "code" for cell in notebook.cells))
"""


def can_unshare():
    if shutil.which("unshare") is None:
        return False
    return subprocess.run(["unshare", "-rn", "true"], capture_output=True).returncode == 0


@pytest.mark.skipif(not can_unshare(), reason="this machine cannot cut the network of one process (unshare -rn)")
def test_lesson_00_needs_no_network(tmp_path):
    program = (
        f'ip link set lo up 2>/dev/null || {sys.executable} -c \'import socket\'; exec {sys.executable} -c "$0" "$@"'
    )
    command = ["unshare", "-rn", "sh", "-c", program, RUN, str(ROOT / "notebooks/00_start_here.ipynb"), str(tmp_path)]
    environment = {**os.environ, "COURSE_HOME": str(tmp_path)}
    run = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=2000)
    assert run.returncode == 0, run.stderr[-2000:]
    assert run.stdout.split()[0] == "executed"
