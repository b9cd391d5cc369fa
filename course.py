#!/usr/bin/env python3
"""LLMs by Hand: a course on how large language models work and how they run.

usage: python3 course.py COMMAND [options]

  lab            open your own copy of the course, my-course, in JupyterLab (--no-browser, --port N, --authors)
  copy           make or update your own copy without opening it (--folder DIR)
  test           run every test; pytest's options may follow
  grade          grade submissions (SUBMISSIONS --checks FILE --seed N --out DIR --lms NAME)
  bundle         fill a folder for machines without a network (--out DIR)
  models         list the models (models verify, models fetch --to DIR --from DIR)
  site           make the website (--out DIR)
  slides         make slides, one file per lesson (--out DIR, LESSON ...)
  hub            rehearse a class on this machine (--users N --port P)
  board          open the class board, on which a room answers together (--port P --room CODE --db URL --notebooks PATH)
  sync           make the notebooks from their sources (--check, --execute, --record)
  setup-tests    install the programs that the tests need

The first command makes the folder .venv beside this file and installs the course into it. It needs nothing but
Python 3.11, 3.12 or 3.13 and, once, a network.
"""
# Python 3.6 must be able to read this file, so that an old Python says what is wrong with its version.

import errno
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = VENV / "course-installed"
LOG = VENV / "install.log"
ALL = "[dev,site,hub,board]"  # for who makes, tests or shows the course; who takes it needs none of it
EXTRA = {
    **dict.fromkeys(("lab", "copy", "grade", "models", "bundle"), ""),
    **dict.fromkeys(("test", "sync", "setup-tests", "site", "slides", "hub", "board"), ALL),
}
WELCOME = """LLMs by Hand: a course on how large language models work and how they run.

Open it with

    python3 course.py lab          (on Windows: py course.py lab)

The first start installs the course into the folder .venv beside this file and prepares two language models. It needs a
network, 4 GB of disk space and a few minutes. After that the course opens in seconds, without a network, and everything
you write stays in the folder my-course.

README.md lists the lessons; python3 course.py --help lists the other commands, for teachers and authors."""
SPACE = 3 * 10**9  # bytes that the environment takes, downloads included
# What pip and venv say, and what a person can do about it; the first that matches is shown.
ADVICE = (
    (
        r"No space left|Errno 28\b|not enough space|quota exceeded",
        "There is not enough disk space in {root} or in the folder for temporary files: free {space:.0f} GB "
        "(or set TMPDIR to a larger disk) and run the same command again.",
    ),
    (r"Long Path", "Windows cuts long paths: move the course to a short one such as C:\\course."),
    (
        r"Permission denied|Read-only file system|Access is denied|WinError (5|32)\b",
        "Files in {root} cannot be written: move the course to a folder of your own, close what still runs "
        "from its .venv, and run the same command again.",
    ),
    (
        r"ensurepip|No module named '?venv",
        "This Python cannot make a virtual environment: install its venv module (on Debian and Ubuntu: "
        "sudo apt install python3-venv) and run the same command again.",
    ),
    (
        r"Retrying \(|[Cc]onnection|timed out|name resolution|getaddrinfo|ProxyError|SSL",
        "The Python package index does not answer: connect to a network (or set HTTPS_PROXY, PIP_INDEX_URL "
        "or PIP_FIND_LINKS to a proxy, a mirror or a folder of wheels) and run the same command again.",
    ),
    (
        r"No matching distribution found for (?P<what>\S+)",
        "The Python package index shows no {what} for this machine ({machine}): look at the network and at "
        "PIP_INDEX_URL, or use another Python of 3.11 to 3.13, and run the same command again.",
    ),
    (r"", "The course could not be installed ({last}): read {log}, or delete {venv} and run the command again."),
)


class Problem(Exception):
    """What went wrong and what to do, in one sentence."""


def main(arguments: list) -> int:
    """Install what the command needs, then hand over to it."""
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        raise Problem(
            f"The course needs Python 3.11, 3.12 or 3.13, and this is {platform.python_version()}: get one from "
            "https://www.python.org/downloads/ and start course.py with it."
        )
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__.strip() if arguments else WELCOME)
        return 0
    if arguments[0] not in EXTRA:
        raise Problem(f"There is no command {arguments[0]}: use one of {', '.join(EXTRA)}.")
    install(EXTRA[arguments[0]])
    # -P: a file in the current folder must not pass for one of our modules.
    return hand_over([str(PYTHON), "-P", "-m", "course_utils.cli", *arguments])


def install(extra: str) -> None:
    """Make `.venv` hold the pinned packages; one that is half-made, moved or broken is made again."""
    if is_installed(extra):
        return
    with one_at_a_time():
        if not is_installed(extra):  # the start that this one waited for may have done it
            install_now(extra)


def is_installed(extra: str) -> bool:
    """Say whether `.venv` holds the packages, and those of `extra`."""
    _, key, done = state()
    return done in (key + extra, key + ALL) and runs()


def state() -> tuple:
    """Return the place of `.venv`, what its stamp has to begin with, and what the stamp says."""
    pins = b"".join((ROOT / name).read_bytes() for name in ("constraints.txt", "pyproject.toml"))
    place = f"{ROOT} {sys.version_info[:2]}\n"
    done = STAMP.read_text(encoding="utf-8") if STAMP.exists() else ""
    return place, f"{place}{hashlib.sha256(pins).hexdigest()}\n", done


def install_now(extra: str) -> None:
    """Make what is missing of `.venv`; the stamp is written last."""
    place, key, done = state()
    if not (done.startswith(place) and runs()):
        print("Making the folder .venv (once) ...", flush=True)
        run([sys.executable, "-m", "venv", "--clear", str(VENV)], stdout=subprocess.PIPE)
        if shutil.disk_usage(str(ROOT)).free < SPACE:
            raise Problem(explain("No space left"))
    elif not done.startswith(key):  # adding the test tools leaves the course as it is, also when it fails
        STAMP.unlink()
    if done.endswith(ALL):
        extra = ALL
    print("Installing the course into .venv (once; this takes some minutes) ...", flush=True)
    run([str(PYTHON), "-m", "pip", "install", "-c", "constraints.txt", "-e", "." + extra])
    unfinished = STAMP.with_suffix(".unfinished")
    unfinished.write_text(key + extra, encoding="utf-8")
    os.replace(str(unfinished), str(STAMP))


@contextmanager
def one_at_a_time() -> Iterator:
    """Wait until no other start installs: it would clear the folder that this one fills."""
    said = False
    with open(str(ROOT / ".venv.lock"), "a+") as file:  # the system frees it, also when this process is killed
        while is_locked_by_another(file):
            if not said:
                print("Another start is installing the course: waiting for it ...", flush=True)
            said = True
            time.sleep(0.5)
        yield


def is_locked_by_another(file: object) -> bool:
    """Lock `file` for this process if it is free; a disk that has no locks counts as free."""
    try:
        if os.name == "nt":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in (errno.EAGAIN, errno.EACCES, errno.EDEADLK)
    return False


def runs() -> bool:
    """Say whether the Python of `.venv` starts and has pip."""
    try:
        return subprocess.call([str(PYTHON), "-c", "import pip"], stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


def run(command: list, stdout: object = None) -> None:
    """Run pip or venv; turn what it says when it fails into one sentence."""
    defaults = {"PIP_DEFAULT_TIMEOUT": "15", "PIP_RETRIES": "2", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    environment = {**defaults, **os.environ, "PIP_USER": "0"}
    child = subprocess.Popen(command, cwd=str(ROOT), env=environment, stdout=stdout, stderr=subprocess.PIPE)
    try:
        out, err = child.communicate()
    except KeyboardInterrupt:
        with suppress(subprocess.TimeoutExpired):
            child.wait(10)  # pip got the Ctrl-C too, and removes what it half downloaded
        raise
    said = (out or b"") + err
    with suppress(OSError):  # on a full disk the sentence is what counts
        VENV.mkdir(exist_ok=True)
        LOG.write_bytes(said)
    if child.returncode:
        raise Problem(explain(said.decode("utf-8", "replace")))


def explain(said: str) -> str:
    """Return what to do about a failure, in one sentence."""
    if shutil.disk_usage(str(ROOT)).free < SPACE / 100:
        said = "No space left"  # venv hides the reason
    matches = ((re.search(pattern, said), advice) for pattern, advice in ADVICE)
    found, advice = next(match for match in matches if match[0])
    known = {"root": ROOT, "venv": VENV, "log": LOG, "space": SPACE / 10**9}
    known["last"] = said.strip().rpartition("\n")[2][:200]
    known["machine"] = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    return advice.format(**known, **found.groupdict())


def hand_over(command: list) -> int:
    """Become the course's own command; Windows has to wait for it instead."""
    if os.name == "posix":
        os.execv(command[0], command)
    child = subprocess.Popen(command)
    while True:
        try:
            return child.wait()
        except KeyboardInterrupt:
            pass  # the child got it too, and decides


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Problem as problem:
        sys.exit(str(problem))
    except KeyboardInterrupt:
        sys.exit("Stopped: run the same command again to continue from here.")
    except OSError as error:
        sys.exit(explain(str(error)))
