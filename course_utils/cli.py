"""The `course` command: lab, test, sync, models, setup-browser."""

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from course_utils.models.catalogue import CATALOGUE
from course_utils.models.store import ModelStore, ModelStoreError

ROOT = Path(__file__).resolve().parents[1]
FIRST_LESSON = "notebooks/00_start_here.ipynb"
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
_BROWSER_PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "C:/Program Files/Google/Chrome/Application/chrome.exe",
    "C:/Program Files (x86)/Microsoft/Edge/Application/msedge.exe",
)


class CommandError(Exception):
    """A command cannot do its work; the message is one sentence that says what to do."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code. Errors that a person can meet end in one sentence."""
    arguments, rest = _parser().parse_known_args(argv)
    try:
        if rest and arguments.command not in ("lab", "test"):
            raise CommandError(f"{arguments.command} does not take {rest[0]}; see `course {arguments.command} --help`.")
        return arguments.run(arguments, rest)
    except (CommandError, ModelStoreError) as error:
        print(f"course: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("course: stopped.", file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="course", description="Open, test and maintain the course.")
    commands = parser.add_subparsers(dest="command", required=True)
    lab = commands.add_parser("lab", help="open the course in JupyterLab; other options go to JupyterLab")
    lab.add_argument("--port", type=int, help="the port of the server (default: the first free one from 8888)")
    lab.set_defaults(run=_lab)
    test = commands.add_parser("test", help="run every test; other options go to pytest", add_help=False)
    test.set_defaults(run=_test)
    sync = commands.add_parser("sync", help="make every derived file from its source again")
    sync.add_argument("--check", action="store_true", help="write nothing; fail if a file is not what its source makes")
    sync.add_argument("--execute", action="store_true", help="execute every notebook, not only changed ones")
    sync.set_defaults(run=_sync)
    browser = commands.add_parser("setup-browser", help="install what the browser tests need")
    browser.set_defaults(run=_setup_browser)
    models = commands.add_parser("models", help="list, verify or fetch the models")
    models.add_argument("action", nargs="?", choices=("list", "verify", "fetch"), default="list")
    models.add_argument("--to", type=Path, metavar="DIR", help="fetch into this folder, to carry it to another machine")
    models.set_defaults(run=_models)
    return parser


def _lab(arguments: argparse.Namespace, rest: list[str]) -> int:
    if arguments.port is not None:
        if not _is_free(arguments.port):
            raise CommandError(f"port {arguments.port} is taken; choose another one with --port.")
        rest = [f"--ServerApp.port={arguments.port}", "--ServerApp.port_retries=0", *rest]
    _ensure_models(ModelStore())
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={ROOT}"]
    command += [f"--LabApp.default_url=/lab/tree/{FIRST_LESSON}", *quiet_lab_options(), *rest]
    return subprocess.call(command)


def quiet_lab_options() -> list[str]:
    """Return the options that keep JupyterLab from asking the network for news and extensions."""
    return [
        "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--LabApp.extension_manager=readonly",
    ]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError):
            return False
    return True


def _test(arguments: argparse.Namespace, rest: list[str]) -> int:
    del arguments
    if find_browser() is None or shutil.which("node") is None:
        # Where it cannot be installed, the tests that need it say loudly that they did not run.
        _install_browser()
    _ensure_models(ModelStore())
    if not any(option.startswith("-n") for option in rest):
        rest = ["-n", "2", "--dist", "loadfile", *rest]
    with tempfile.TemporaryDirectory() as home:
        # A learner's own progress is neither read nor written by the tests.
        environment = {**os.environ, **ONE_THREAD, "COURSE_HOME": home, "JUPYTER_PLATFORM_DIRS": "1"}
        return subprocess.call([sys.executable, "-m", "pytest", *rest], cwd=ROOT, env=environment)


def _sync(arguments: argparse.Namespace, rest: list[str]) -> int:
    del rest
    # jupytext and nbclient take a second to import, and only this command needs them.
    from course_utils import sync

    if arguments.check:
        stale = sync.stale_files(ROOT)
        for path in stale:
            print(f"{path} is not what its source makes; run `python3 course.py sync`.")
        return 1 if stale else 0
    _ensure_models(ModelStore())
    try:
        for path in sync.write_all(ROOT, execute_all=arguments.execute):
            print(f"wrote {path}")
    except sync.SyncError as error:
        raise CommandError(str(error)) from error
    return 0


def _models(arguments: argparse.Namespace, rest: list[str]) -> int:
    del rest
    store = ModelStore(arguments.to)
    if arguments.action == "fetch":
        _ensure_models(store)
        print(f"All models are in {store.root}.")
        return 0
    print(f"Models in {store.root}")
    problems = []
    for entry in CATALOGUE.values():
        if arguments.action == "verify":
            problems += store.verify(entry)
        size = f"{store.size(entry) / 1e6:,.0f} MB"
        print(f"  {entry.name:24} {entry.role:10} {size:>8}  {entry.licence:12} {store.state(entry):8} {entry.source}")
    for problem in problems:
        print(problem)
    if problems:
        print("Run `course models fetch` to mend this.")
    return 1 if problems else 0


def _ensure_models(store: ModelStore) -> None:
    for entry in CATALOGUE.values():
        store.ensure(entry)


def find_browser() -> str | None:
    """Return the path of a Chromium-like browser: `COURSE_BROWSER`, or the first one found, or None."""
    named = os.environ.get("COURSE_BROWSER")
    if named:
        return named
    found = (shutil.which(name) for name in _BROWSERS)
    return next(filter(None, found), None) or next((place for place in _BROWSER_PLACES if os.path.exists(place)), None)


def _setup_browser(arguments: argparse.Namespace, rest: list[str]) -> int:
    del arguments, rest
    if find_browser() is None or shutil.which("node") is None:
        _install_browser()
    if find_browser() is None:
        raise CommandError(
            "no browser could be installed; install Chromium or Chrome and set COURSE_BROWSER to its path."
        )
    if shutil.which("node") is None:
        raise CommandError("Node.js could not be installed; get it from https://nodejs.org and put `node` on the PATH.")
    print(f"browser: {find_browser()}\nnode: {shutil.which('node')}")
    return 0


def _install_browser() -> None:
    """Try Debian's packages; where there is no apt-get or no right to use it, nothing happens."""
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        return
    packages = ["chromium", "fonts-dejavu-core"] + ["nodejs"] * (shutil.which("node") is None)
    print(f"Installing {', '.join(packages)} ...", flush=True)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.call(["apt-get", "update"], **quiet)
    subprocess.call(["apt-get", "install", "-y", "--no-install-recommends", *packages], **quiet)


if __name__ == "__main__":
    sys.exit(main())
