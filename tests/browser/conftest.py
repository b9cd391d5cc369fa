"""A real JupyterLab on loopback and a real browser in front of it that may talk to nobody else."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlparse

import pytest
from playwright.sync_api import sync_playwright

from course_utils.cli import QUIET_LAB, ROOT

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@pytest.fixture(scope="session")
def browser(browser_path):
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def lab_server(tmp_path_factory):
    """JupyterLab over a copy of the notebooks (a run in the browser saves them), with an empty progress file."""
    folder = tmp_path_factory.mktemp("lab")
    shutil.copytree(ROOT / "notebooks", folder / "notebooks")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {name: str(folder / name) for name in ("COURSE_HOME", "JUPYTER_CONFIG_DIR", "JUPYTERLAB_SETTINGS_DIR")}
    settings["JUPYTERLAB_WORKSPACES_DIR"] = str(folder / "workspaces")
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--ServerApp.port={port}"]
    command += ["--ServerApp.port_retries=0", "--IdentityProvider.token=", f"--ServerApp.root_dir={folder}"]
    with (folder / "lab.log").open("w") as log:
        server = subprocess.Popen(
            [*command, *QUIET_LAB], env={**os.environ, **settings}, stdout=log, stderr=subprocess.STDOUT
        )
        address = f"http://127.0.0.1:{port}"
        try:
            _wait_for(f"{address}/api/status", server, folder / "lab.log")
            yield {"address": address, "home": Path(settings["COURSE_HOME"])}
        finally:
            server.terminate()
            server.wait(30)


def _wait_for(address, server, log):
    for _ in range(120):
        assert server.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(address, timeout=2)
        except urllib.error.URLError:
            time.sleep(0.5)
        else:
            return
    pytest.fail("JupyterLab did not answer in 60 s: " + log.read_text())


@pytest.fixture(scope="session")
def outside_requests():
    """Every request that tried to leave the machine; the tests assert that there is none."""
    return []


def guarded_page(browser, outside_requests, **options):
    """A page whose requests reach loopback only."""
    context = browser.new_context(**options)

    def guard(route):
        address = urlparse(route.request.url)
        if address.scheme in ("data", "blob", "file") or address.hostname in ("127.0.0.1", "localhost"):
            route.continue_()
        else:
            outside_requests.append(route.request.url)
            route.abort()

    context.route("**/*", guard)
    return context.new_page()
