"""The sandbox around a learner's code: bubblewrap, with no network, nothing to write but a small folder in memory."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from course_utils.errors import CourseError
from course_utils.grading.family import Family
from course_utils.grading.system_calls import LIBRARY, system_call_filter
from course_utils.grading.visible import PACKAGE, visible_files
from course_utils.models import models_folder

WORKER = ["-P", "-s", "-m", "course_utils.exercises.worker"]
SCRATCH_BYTES = 256 * 2**20
_SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/localtime", "/etc/alternatives")
_INSTALL = "install bubblewrap (on Debian and Ubuntu: sudo apt install bubblewrap)"
_APPARMOR = (
    "bubblewrap is there, but AppArmor denies it user namespaces, as Ubuntu has done since 23.10. Give bubblewrap the "
    "profile in grading/README.md, or allow all programs to make them: sudo sysctl -w "
    "kernel.apparmor_restrict_unprivileged_userns=0 (for a container: on its host)"
)
_CONTAINER = (
    "bubblewrap is there, but the container around it denies it what it needs. Start the container with docker run "
    "--security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined, with "
    "podman run --security-opt unmask=ALL, or on Kubernetes with procMount, hostUsers and what else is in the Job of "
    "grading/README.md"
)
_NAMESPACES = (
    "bubblewrap is there, but this system does not let users make namespaces: sudo sysctl -w "
    "user.max_user_namespaces=10000, on Debian also kernel.unprivileged_userns_clone=1"
)
_HELP = (  # a part of what bubblewrap says, and what helps then
    (r"Unknown option", "bubblewrap is too old: version 0.8 or a newer one is needed"),
    (r"uid map|gid map|loopback|RTM_NEWADDR", _APPARMOR),
    (r"[Mm]ount|/ slave|pivot_root|chroot", _CONTAINER),
    (r"namespace", _NAMESPACES),
)
_NO_FILTER = (
    f"This machine has no {LIBRARY} (on Debian and Ubuntu: sudo apt install libseccomp2). So submissions can take more "
    "memory than their limit, read your kernel keyrings, and live on if the grader is killed."
)
UNSAFE = "--without-sandbox runs them anyway, and then they can read and change whatever you can."


class NoSandboxError(CourseError):
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
    command = [program, "--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent", "--new-session"]
    command += ["--cap-drop", "ALL", "--uid", "65534", "--gid", "65534", "--hostname", "sandbox", "--proc", "/proc"]
    for place in ("/proc/keys", "/proc/key-users"):  # names of the teacher's keys
        if os.path.exists(place):
            command += ["--ro-bind", "/dev/null", place]
    # A shared mapping of /dev/zero would be memory that nobody counts, and so would files in a /dev without a size.
    command += ["--dev", "/dev", "--dev-bind", "/dev/null", "/dev/zero"]
    for place in ("/dev/shm", "/tmp"):  # before the others: the course itself may lie somewhere in /tmp
        command += ["--size", str(SCRATCH_BYTES), "--tmpfs", place]
    for place in map(Path, _SYSTEM):
        if place.is_symlink():
            command += ["--symlink", os.readlink(place), str(place)]
        elif place.exists():
            command += ["--ro-bind", str(place), str(place)]
    for place in dict.fromkeys(map(str, (sys.base_prefix, sys.prefix, models_folder()))):
        command += ["--ro-bind-try", place, place]
    for link, target in _links(sys.executable):
        command += ["--symlink", target, link]
    hidden = [PACKAGE] if given is not None else [PACKAGE / "grading", PACKAGE / "exercises" / "lessons"]
    if given is None:
        command += ["--ro-bind", str(PACKAGE), str(PACKAGE)]
    for place in hidden:
        command += ["--tmpfs", str(place)]
    for file in map(str, visible_files(given or ())):
        command += ["--ro-bind", file, file]
    for place in (*hidden, "/dev", "/"):  # each has no size
        command += ["--remount-ro", str(place)]
    return [*command, "--chdir", "/tmp"]


def hide_checks(checks: Path) -> None:
    """Refuse checks in a place that a submission can read.

    Raises:
        CourseError: The file lies where the sandbox shows it.
    """
    file = checks.resolve()
    if file.is_relative_to(PACKAGE / "exercises" / "lessons"):
        return
    for place in map(Path, (PACKAGE, sys.base_prefix, sys.prefix, models_folder(), *_SYSTEM)):
        if file.is_relative_to(place.resolve()):
            raise CourseError(
                f"--checks must not be in {place}, where submissions can read it: move {file.name} to another folder"
            )


def try_sandbox() -> str:
    """Start a program in the sandbox once; return in a sentence what this machine leaves open, "" if nothing.

    Raises:
        NoSandboxError: There is no sandbox, it does not start here, or what runs in it cannot be watched.
    """
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    family = Family([*sandbox(), sys.executable, "-I", "-c", "input(print('ready', flush=True))"], {}, **pipes)
    try:
        if not family.process.stdout.readline():
            said = family.process.stderr.read().decode(errors="replace").strip().splitlines()
            raise NoSandboxError(_advice(said[-1] if said else "it gives no reason"))
        family.look_inside()
        family.usage()
    except OSError as error:
        raise NoSandboxError(f"The sandbox cannot be watched on this machine ({error}). {UNSAFE}") from error
    finally:
        family.end()
    try:
        system_call_filter()
    except OSError:
        return _NO_FILTER
    return ""


def _links(program: str) -> Iterator[tuple[str, str]]:
    """Yield the links by which this Python is reached, such as ~/bin/python3, and that no mounted folder has."""
    mounted = tuple(f"{place}/" for place in (sys.base_prefix, sys.prefix, *_SYSTEM))
    while os.path.islink(program):
        target = os.readlink(program)
        if not program.startswith(mounted):
            yield program, target
        program = os.path.normpath(os.path.join(os.path.dirname(program), target))


def _advice(said: str) -> str:
    """Return why there is no sandbox, and what helps, from bubblewrap's last line."""
    helps = next((helps for pattern, helps in _HELP if re.search(pattern, said)), _INSTALL)
    if helps is _NAMESPACES and _is_container():
        helps = _CONTAINER
    return f"The sandbox does not start on this machine ({said}): {helps}. {UNSAFE}"


def _is_container() -> bool:
    marks = (Path("/.dockerenv"), Path("/run/.containerenv"))  # of Docker and of Podman
    return "KUBERNETES_SERVICE_HOST" in os.environ or any(mark.exists() for mark in marks)
