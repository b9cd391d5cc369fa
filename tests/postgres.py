"""A PostgreSQL of its own for the tests, where Debian's is installed: no port, no password, gone afterwards."""

import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

NOBODY = 65_534  # PostgreSQL refuses to run as root


def programs():
    """The folder of PostgreSQL's own programs; None where it isn't installed."""
    places = [Path(shutil.which("initdb") or "/nowhere").resolve().parent, *Path("/usr/lib/postgresql").glob("*/bin")]
    there = [place for place in places if (place / "initdb").is_file() and (place / "pg_ctl").is_file()]
    return there[0] if there else None


@contextmanager
def running_postgres():
    """The URL of an empty database."""
    root = os.geteuid() == 0
    as_someone = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"] if root else []
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))  # a socket's path must be short
    if root:
        os.chown(folder, NOBODY, NOBODY)

    def run(program, *options):
        command = [*as_someone, programs() / program, "-D", folder / "data", *options]
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run(command, cwd=folder, check=True, timeout=600, **quiet)

    try:
        run("initdb", "-U", "teacher", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8")
        settings = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off"
        run("pg_ctl", "-o", settings, "-w", "-t", "300", "-l", folder / "log", "start")
        try:
            yield f"postgresql://teacher@/postgres?host={folder}"
        finally:
            run("pg_ctl", "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
