"""The course for a machine without a network: packages, models and notebooks in one folder, a USB stick for example.

`workshop/stick/start.py` goes into the folder, too. It installs the course from there.
"""

import errno
import os
import platform
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from course_utils.errors import CourseError
from course_utils.files import whole_folder, write_whole
from course_utils.models.catalogue import CATALOGUE
from course_utils.models.store import ModelStore, ModelStoreError

# As in workshop/stick/start.py, which finds its packages by this name.
SYSTEM = f"{platform.system()}-{platform.machine()}-Python-{sys.version_info[0]}.{sys.version_info[1]}"
_PIP_ADVICE = "connect to a network, look at pip's settings, and run the same command again"
_TORCH_ADVICE = (
    "pip's index has no torch without CUDA, which would be gigabytes, or does not answer: set "
    "PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu and run the same command again"
)


class BundleError(CourseError):
    """The folder cannot be made; the message is one sentence that says what to do."""


def bundle(root: Path, out: Path) -> None:
    """Fill `out` with all that `start.py` needs; what is complete there already stays as it is.

    Packages for other systems and Pythons that `out` has stay, too: run it once on each into the same folder.

    Args:
        root: The folder of the course.
        out: A folder that is empty, does not exist or was filled by an earlier run.

    Raises:
        BundleError: `out` cannot be used, or pip cannot get the packages.
        ModelStoreError: A model cannot be had.

    Lesson: none (this is for a room without a network).
    """
    out, stick = out.resolve(), root / "workshop" / "stick"
    with _explained(out):
        _refuse_other_folders(root, out)
        out.mkdir(parents=True, exist_ok=True)
        write_whole(out / "START.md", (stick / "START.md").read_bytes())  # first: it says that the folder is ours
        add_wheels(root, out / "wheels" / SYSTEM)
        own, models = ModelStore(), ModelStore(out / "models")
        for entry in CATALOGUE.values():
            if models.verify(entry):
                own.ensure(entry)
        copy_models(own, models)
        with whole_folder(out / "course") as unfinished:
            copy_course(root, unfinished)
        write_whole(out / "start.py", (stick / "start.py").read_bytes())  # last: without it nothing can be started
    systems = ", ".join(sorted(folder.name for folder in (out / "wheels").glob("[!.]*")))
    print(f"Complete: {out} (packages for {systems}). Its START.md says what to do next.")


def requirements(root: Path) -> list[str]:
    """Return what pip must find to install the course in `root`: its dependencies and what builds it.

    Lesson: none.
    """
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    needed = project["project"].get("dependencies", []) + project["build-system"]["requires"]
    pins = (root / "constraints.txt").read_text(encoding="utf-8").split()
    if platform.system() == "Linux":  # elsewhere the ordinary torch has no CUDA
        needed += [f"{pin}+cpu" for pin in pins if pin.startswith("torch==")]
    return needed


def add_wheels(root: Path, folder: Path) -> None:
    """Make `folder` hold every wheel that this Python needs to install the course in `root`.

    Raises:
        BundleError: pip cannot get them.

    Lesson: none.
    """
    problem = wheels_problem(root, folder) if folder.is_dir() else "they are not there yet"
    if not problem:
        return
    print(f"Fetching the packages for {folder.name}, which takes a minute or more ({problem}) ...", flush=True)
    needed = ["--only-binary", ":all:", "-c", str(root / "constraints.txt"), *requirements(root)]
    with whole_folder(folder) as unfinished:
        problem = _pip("download", "--dest", str(unfinished), *needed) or wheels_problem(root, unfinished)
        if "torch" in problem and "+cpu" in problem:
            raise BundleError(f"The packages could not be fetched: {_TORCH_ADVICE}.")
        if problem:
            raise BundleError(f"The packages could not be fetched: {_PIP_ADVICE} (pip says: {problem}).")


def wheels_problem(root: Path, folder: Path) -> str:
    """Return which wheel in `folder` is damaged, or what else pip would need to install the course; "" if all is well.

    Lesson: none.
    """
    for file in sorted(folder.iterdir()):
        try:
            with zipfile.ZipFile(file) as wheel:
                damaged = wheel.testzip()
        except (zipfile.BadZipFile, zlib.error):
            damaged = True
        if damaged:
            return f"{file.name} is damaged"
    only_these = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": folder.as_uri()}  # as in start.py
    pins = ["-c", str(root / "constraints.txt"), "-e", str(root)]  # as in course.py
    return _pip("install", "--dry-run", "--ignore-installed", *pins, **only_these)


def copy_models(source: ModelStore, target: ModelStore) -> None:
    """Make every model ready in `target` by copying it from `source`, which may be read-only.

    Raises:
        ModelStoreError: `source` does not hold an intact copy.
        BundleError: `target` cannot be written.

    Lesson: none.
    """
    for entry in CATALOGUE.values():
        if not target.verify(entry):
            continue
        problems = source.verify(entry)
        if problems:
            raise ModelStoreError(f"{problems[0]} Run `course models fetch --to {source.root}` with a network.")
        print(f"Copying {entry.name} to {target.root} ...", flush=True)
        with _explained(target.root):
            target.root.mkdir(parents=True, exist_ok=True)
            with FileLock(target.root / f".{entry.name}.lock"):  # the store's own
                if target.verify(entry):
                    with whole_folder(target.folder(entry)) as unfinished:
                        shutil.copytree(source.folder(entry), unfinished, dirs_exist_ok=True)


def copy_course(root: Path, folder: Path) -> None:
    """Copy the course to `folder`: all that git would take, and no hidden folder.

    Lesson: none.
    """
    ignored = {line.strip("/\n") for line in (root / ".gitignore").read_text(encoding="utf-8").splitlines()}
    by_pattern = shutil.ignore_patterns(*ignored)

    def unwanted(place: str, names: list[str]) -> set[str]:
        hidden = {name for name in names if name.startswith(".") and Path(place, name).is_dir()}
        return hidden | by_pattern(place, names)

    shutil.copytree(root, folder, ignore=unwanted, dirs_exist_ok=True)


def _refuse_other_folders(root: Path, out: Path) -> None:
    if out.is_relative_to(root.resolve()):
        raise BundleError(f"{out} is a part of the course: name a folder outside {root}.")
    files = [file for file in out.iterdir() if not file.name.startswith(".")] if out.exists() else []
    if files and not (out / "START.md").exists():
        raise BundleError(f"{out} holds something else: name a folder that is empty or does not exist.")


def _pip(*arguments: str, **settings: str) -> str:
    """Run pip; return its first complaint, "" if there is none."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    pip = subprocess.run(command, env={**os.environ, **settings}, capture_output=True, text=True)
    if pip.returncode == 0:
        return ""
    if "No space left" in pip.stderr:
        raise OSError(errno.ENOSPC, "No space left on device")
    complaints = re.findall(r"ERROR: (.+)", pip.stderr) or pip.stderr.strip().splitlines()[-1:] or ["nothing"]
    return complaints[0][:200].rstrip(".")


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:  # copying a folder raises one whose errno is lost in its text
        if error.errno == errno.ENOSPC or "Errno 28" in str(error):
            raise BundleError(
                f"There is not enough free space in {folder} or in the folder for temporary files: free 2 GB "
                "(or set TMPDIR to a larger disk) and run the same command again."
            ) from error
        reason = error.strerror or "an error while copying"
        raise BundleError(f"{folder} cannot be written ({reason}): name another folder.") from error
