"""The sandbox around a learner's code: bubblewrap, with no network, nothing to write but a small folder in memory."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import psutil

from course_utils.grading.visible import PACKAGE, visible_files
from course_utils.models import models_folder

WORKER = ["-P", "-s", "-m", "course_utils.answers.worker"]
SCRATCH_BYTES = 256 * 2**20
_SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/localtime", "/etc/alternatives")
_INSTALL = "install bubblewrap (on Debian and Ubuntu: sudo apt install bubblewrap)"
UNSAFE = "--without-sandbox runs them anyway, and then they can read and change whatever you can."


class NoSandboxError(RuntimeError):
    """There is no sandbox on this machine; the message says what to do."""


def worker_command(is_sandboxed: bool = True, given: Iterable[str] = ()) -> list[str]:
    """Return the command that starts a worker.

    Args:
        is_sandboxed: Whether it runs in the sandbox.
        given: The modules of the course that are there, with all that they import.

    Raises:
        NoSandboxError: A sandbox is wanted and bubblewrap is not installed.
    """
    return [*(sandbox(given) if is_sandboxed else []), sys.executable, *WORKER]


def worker_environment() -> dict[str, str]:
    """Return the environment of a worker: the same for everybody, and nothing of the grader's own."""
    return {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(PACKAGE.parent),  # this very course, wherever another one may be installed
        "HOME": "/tmp",
        "USER": "learner",
        "LOGNAME": "learner",
        "LANG": "C.UTF-8",
        "COURSE_GRADING": "1",
        "COURSE_HOME": "/tmp",
        "COURSE_MODELS_DIR": str(models_folder()),
        "HF_HUB_OFFLINE": "1",
        "MPLBACKEND": "Agg",
        "MPLCONFIGDIR": "/tmp",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
    } | {name: os.environ[name] for name in ("OPENBLAS_CORETYPE", "SYSTEMROOT") if name in os.environ}


def sandbox(given: Iterable[str] | None = None) -> list[str]:
    """Return what goes before a command to run it in the sandbox.

    Inside there are Python, the packages, some of the course and the models, all read-only. There is no network, no
    other process, no home, and one folder in memory to write to.

    Args:
        given: The modules of the course that are there, with all that they import. None means all of it but its
            checks and its grader.

    Raises:
        NoSandboxError: bubblewrap is not installed.
    """
    program = shutil.which("bwrap")
    if program is None:
        raise NoSandboxError(f"There is no sandbox for the submissions: {_INSTALL}. {UNSAFE}")
    command = [program, "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    command += ["--uid", "65534", "--gid", "65534", "--hostname", "sandbox", "--proc", "/proc", "--dev", "/dev"]
    command += ["--size", str(SCRATCH_BYTES), "--tmpfs", "/tmp"]  # first: the course itself may lie somewhere in it
    for place in map(Path, _SYSTEM):
        if place.is_symlink():
            command += ["--symlink", os.readlink(place), str(place)]
        elif place.exists():
            command += ["--ro-bind", str(place), str(place)]
    for place in dict.fromkeys(map(str, (sys.base_prefix, sys.prefix, models_folder()))):
        command += ["--ro-bind-try", place, place]
    hidden = [PACKAGE] if given is not None else [PACKAGE / "grading", PACKAGE / "checks"]
    if given is None:
        command += ["--ro-bind", str(PACKAGE), str(PACKAGE)]
    for place in hidden:
        command += ["--tmpfs", str(place)]
    for file in map(str, visible_files(given or ())):
        command += ["--ro-bind", file, file]
    for place in hidden:
        command += ["--remount-ro", str(place)]
    return [*command, "--chdir", "/tmp", "--remount-ro", "/"]


def hide_checks(checks: Path) -> None:
    """Refuse checks in a place that a submission can read.

    Raises:
        ValueError: The file lies where the sandbox shows it.
    """
    file = checks.resolve()
    if file.is_relative_to(PACKAGE / "checks"):
        return
    for place in map(Path, (PACKAGE, sys.base_prefix, sys.prefix, models_folder(), *_SYSTEM)):
        if file.is_relative_to(place.resolve()):
            raise ValueError(
                f"--checks must not be in {place}, where submissions can read it: move {file.name} to another folder"
            )


def try_sandbox() -> None:
    """Run nothing in the sandbox once.

    Raises:
        NoSandboxError: There is none, or it does not start here.
    """
    tried = subprocess.run([*sandbox(), sys.executable, "-I", "-c", ""], capture_output=True, text=True)
    if tried.returncode:
        why = (tried.stderr.strip().splitlines() or ["it gives no reason"])[-1]
        raise NoSandboxError(
            f"The sandbox does not start on this machine ({why}): {_INSTALL}, and allow user namespaces. {UNSAFE}"
        )


def family_of(process: subprocess.Popen) -> list[psutil.Process]:
    """Return all processes that a process started; none if it ended just now."""
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.Error:
        return []


def resident(process: psutil.Process) -> int:
    """Return the bytes of memory that a process has for itself; 0 if it ended just now."""
    try:
        memory = process.memory_info()
    except psutil.Error:
        return 0
    return memory.rss - getattr(memory, "shared", 0)  # macOS has no word for what is shared
