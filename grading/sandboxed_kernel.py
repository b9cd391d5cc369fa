"""A Jupyter kernel inside the grader's sandbox, for nbgrader's autograder (see nbgrader.md).

Jupyter starts it as `python sandboxed_kernel.py CONNECTION_FILE`. There is no network inside, so kernel and nbgrader
talk over sockets that are files. Only these lie in a folder that both can see; the gradebook, the other submissions
and the home folder are not there.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from course_utils.grading.family import Family
from course_utils.grading.limits import Limits
from course_utils.grading.sandbox import PACKAGE, UNSAFE, NoSandboxError, sandbox, worker_environment

NAME = "course-sandbox"
INSIDE = "/tmp/kernel"  # where the folder with the sockets is in the sandbox
LONGEST_PATH = 107  # bytes in the path of a socket, on Linux
FOLDER_BYTES = 2**20  # sockets and one small file: anyone who writes more there fills the teacher's disk
# The limits are set inside: the system counts the processes of a user outside together with all others of theirs.
START = """
import json, resource, runpy, sys
for name, most in json.loads(sys.argv.pop(1)).items():
    hard = resource.getrlimit(getattr(resource, name))[1]
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(getattr(resource, name), (most, most))
runpy.run_module("ipykernel_launcher", run_name="__main__", alter_sys=True)
"""


class KernelError(RuntimeError):
    """The kernel cannot start, or had to be ended; the message says why."""


def kernel_spec() -> dict:
    """Return the content of `kernel.json`."""
    return {
        "argv": [sys.executable, "-P", str(Path(__file__).resolve()), "{connection_file}"],
        "display_name": "Course sandbox (for nbgrader only)",
        "language": "python",
        "interrupt_mode": "message",  # a signal would not reach into the sandbox
    }


def run(connection_file: Path, limits: Limits) -> int:
    """Run a kernel until it ends; return its exit code.

    Raises:
        NoSandboxError: bubblewrap is not installed.
        KernelError: It cannot start, or takes more than it may.
    """
    with tempfile.TemporaryDirectory(prefix="course-kernel-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        share_sockets(connection_file, folder)
        # What it prints past Jupyter comes from a learner and goes to a teacher's terminal: better nowhere.
        nowhere = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
        family = Family(kernel_command(folder, limits), kernel_environment(), **nowhere)
        try:
            watch(family, folder, limits)
        finally:
            family.end()
        code = family.process.returncode
        if code and not any(file.is_socket() for file in folder.iterdir()):
            raise KernelError(f"The sandboxed kernel did not start (exit code {code}).")
    return code


def share_sockets(connection_file: Path, folder: Path) -> None:
    """Let the kernel make its sockets in `folder`, and put links to them where Jupyter will look.

    Raises:
        KernelError: Jupyter wants to talk over a network, or looks in a place that cannot be.
    """
    told = json.loads(connection_file.read_text(encoding="utf-8"))
    if told["transport"] != "ipc" or not os.path.isabs(told["ip"]):
        raise KernelError(
            f"The kernel {NAME} has no network: it is for nbgrader with the course's nbgrader_config.py, which sets "
            "KernelManager.transport and KernelManager.ip."
        )
    for port in (value for key, value in told.items() if key.endswith("_port")):
        link = Path(f"{told['ip']}-{port}")
        if len(os.fsencode(link)) > LONGEST_PATH:
            raise KernelError(f"The path {link} is too long for a socket: set TMPDIR to a shorter one.")
        link.unlink(missing_ok=True)  # left by a kernel that was started again
        link.symlink_to(folder / f"kernel-{port}")
    inside = json.dumps(told | {"ip": f"{INSIDE}/kernel"})
    (folder / "connection.json").write_text(inside, encoding="utf-8")


def kernel_command(folder: Path, limits: Limits) -> list[str]:
    """Return the command of a kernel in the sandbox, with `folder` for its sockets.

    Raises:
        NoSandboxError: bubblewrap is not installed.
    """
    # The hidden tests of nbgrader run in the kernel, so the lessons' checks must be there; our own grader hides them.
    binds = [
        "--ro-bind",
        str(PACKAGE / "exercises" / "lessons"),
        str(PACKAGE / "exercises" / "lessons"),
        "--bind",
        str(folder),
        INSIDE,
    ]
    start = [sys.executable, "-P", "-s", "-c", START, json.dumps(limits.of_the_system())]
    return [*sandbox(), *binds, *start, "-f", f"{INSIDE}/connection.json", "--HistoryManager.hist_file=:memory:"]


def kernel_environment() -> dict[str, str]:
    """Return the environment of a kernel: a worker's, in which `check` works."""
    environment = {key: value for key, value in worker_environment().items() if key != "COURSE_GRADING"}
    # A warning would cost all points: nbgrader takes whatever a test writes to stderr for a failure.
    return environment | {"PYTHONWARNINGS": "ignore"}


def watch(family: Family, folder: Path, limits: Limits) -> None:
    """Wait until the kernel ends, or until nobody waits for it any more.

    Raises:
        KernelError: It takes more than it may.
    """
    parent, is_there = os.getppid(), False
    while family.process.poll() is None and os.getppid() == parent:
        with contextlib.suppress(OSError):  # it ended just now
            if not is_there and any(file.is_socket() for file in folder.iterdir()):  # before, no learner's line ran
                family.look_inside()
                is_there = True
            why = limits.excess(family.usage()) if is_there else ""
            if why:
                raise KernelError(f"A kernel was ended: it {why}")
        if size(folder) > FOLDER_BYTES:
            raise KernelError("A kernel was ended: it writes files beside its sockets.")
        time.sleep(0.2)


def size(folder: Path) -> int:
    """Return the bytes that the files in `folder` take, with a block for each name: empty files take room, too."""
    total = 0
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            with contextlib.suppress(FileNotFoundError):  # deleted just now
                total += 4096 + 512 * os.lstat(os.path.join(place, name)).st_blocks
    return total


def main(arguments: list[str]) -> int:
    """Run a kernel; return an exit code."""
    try:
        return run(Path(arguments[0]), Limits())
    except (KernelError, NoSandboxError) as error:
        print(str(error).removesuffix(UNSAFE).strip(), file=sys.stderr)
    except OSError as error:
        print(f"The sandboxed kernel cannot start ({error}).", file=sys.stderr)
    return 1


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # Jupyter asks so before it kills: time to tidy up
    sys.exit(main(sys.argv[1:]))
