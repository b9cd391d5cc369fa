"""A learner's own copy of the course: without outputs, so no prediction is spoiled, and never written over.

JupyterLab opens it on a laptop, the servers of a hub fill it in each learner's home.
"""

import errno
import hashlib
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from filelock import FileLock, Timeout

from course_utils.errors import CourseError
from course_utils.exercises.assignments import without_solution_links
from course_utils.files import write_whole

IN_CLASS = ("notebooks", "exercises")  # of the course's folders; the solutions stay with the teacher
EVERYTHING = (*IN_CLASS, "solutions")
RECORD = ".given.json"  # the mark of each file as it was given, by its name
LOCK = ".given.lock"
SUFFIXES = (".ipynb", ".png", ".svg")  # the lessons and the pictures in their text
PATIENCE = 60  # seconds that a second start waits for the first one


class CopyError(CourseError):
    """The copy cannot be made; the message says what to do, and is a sentence but for its full stop."""


def give_course(
    source: Path, folder: Path, kinds: tuple[str, ...] = IN_CLASS, in_use: Mapping[str, bytes | None] | None = None
) -> dict[str, str]:
    """Give a learner the notebooks without outputs, and never touch what the learner changed.

    A file that is missing is copied. One that is still as it was given is replaced by the new version. If the learner
    changed it (running a cell is enough: outputs are work, too), the new version is put beside it, once.

    Args:
        source: The folder of the course.
        folder: The learner's copy; it is made if it is not there.
        kinds: Which folders of the course are given.
        in_use: What `notebooks_in_use` says of `source`. Such a notebook is copied once, with everything in it, in
            place of the course's version.

    Returns:
        For each file that was written, what happened: "new", "kept", "updated" or "put beside yours".

    Raises:
        CopyError: A file cannot be read or written. All others are whole, and the next call continues.

    Lesson: none (this is how learners get the lessons).
    """
    own_folders, place = {(source / kind).resolve() for kind in kinds}, folder.resolve()
    if own_folders & {place, *place.parents, *(place / kind for kind in kinds)}:
        raise CopyError(f"{folder} holds the course itself, so your copy cannot be there: move the course")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / LOCK, timeout=PATIENCE):
            return _give(source, folder, kinds, in_use or {})
    except Timeout as error:
        raise CopyError(f"Another start is still copying the course to {folder}: wait until it is done") from error
    except OSError as error:
        raise CopyError(_advice(error, folder)) from error


def notebooks_in_use(root: Path) -> dict[str, bytes | None]:
    """Return the notebooks of the course in `root` that differ from git's because they were run or changed.

    Someone who changes sources is an author, whose notebooks are the course's next version, so nothing is returned.
    Nothing is known, and nothing returned, where `root` is not git's.

    Returns:
        What git has of each, by its name; None if git has nothing.

    Lesson: none (this is for those who worked in the course's own folders).
    """
    if not (root / ".git").exists():  # the course may also lie in a folder of someone's own repository
        return {}
    status = ("status", "--porcelain", "-z", "--no-renames", "--untracked-files=all", "--", *EVERYTHING)
    changes = (_git(root, *status) or b"").decode("utf-8", "surrogateescape").split("\0")
    names = [change[3:] for change in changes if change]
    if any(Path(name).parts[1:2] == ("source",) for name in names):
        return {}
    published = {name: _git(root, "show", f"HEAD:{name}") for name in names if name.endswith(".ipynb")}
    return {name: content for name, content in published.items() if _mark(content or b"") not in _marks_of(root / name)}


def without_outputs(content: bytes, has_solutions: bool = True) -> bytes:
    r"""Return a notebook without outputs and execution counts; what is no notebook stays as it is.

    Where there are no solutions, no link leads to them.

    >>> without_outputs(b'{"cells": [{"cell_type": "code", "execution_count": 3, "outputs": [{}], "source": "1"}]}')
    b'{\n "cells": [\n  {\n   "cell_type": "code",\n   "execution_count": null,\n   "outputs": [],\n ...}\n'
    """
    try:
        notebook = json.loads(content)
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code":
                cell.update(execution_count=None, outputs=[])
            elif not has_solutions:
                cell["source"] = without_solution_links("".join(cell["source"])).splitlines(keepends=True)
    except (ValueError, KeyError, TypeError, AttributeError):
        return content
    return (json.dumps(notebook, indent=1, ensure_ascii=False) + "\n").encode()


def _give(source: Path, folder: Path, kinds: tuple[str, ...], in_use: Mapping[str, bytes | None]) -> dict[str, str]:
    recorded = _read_record(folder)
    given, done = dict(recorded), {}
    has_solutions = "solutions" in kinds
    for name in _names(source, kinds):
        content, own, before = (source / name).read_bytes(), _marks_of(folder / name), given.get(name)
        if name in in_use:
            work, content = content, in_use[name]
            if before is None and (not own or _mark(work) in own):
                write_whole(folder / name, work)
                given[name] = _mark(work if content is None else without_outputs(content, has_solutions))
                done[name] = "kept"
                continue
            if content is None:  # it is theirs alone
                continue
        content = without_outputs(content, has_solutions) if name.endswith(".ipynb") else content
        given[name] = new = _mark(content)
        if new in own or (own and new == before):
            continue  # there is nothing that the learner does not have
        is_theirs = own and before not in own
        target = _free_name(folder / name, new) if is_theirs else folder / name
        write_whole(target, content)
        done[target.relative_to(folder).as_posix()] = "put beside yours" if is_theirs else "updated" if own else "new"
    if given != recorded:
        write_whole(folder / RECORD, json.dumps(given, indent=1, sort_keys=True))
    return done


def _names(source: Path, kinds: tuple[str, ...]) -> Iterator[str]:
    """Yield the names of the files to give; not the sources of the notebooks, and not JupyterLab's checkpoints."""
    for kind in kinds:
        for file in sorted((source / kind).rglob("*")):
            name = file.relative_to(source)
            is_ours = name.parts[1] != "source" and not any(part.startswith(".") for part in name.parts)
            if is_ours and file.suffix in SUFFIXES and file.is_file():
                yield name.as_posix()


def _read_record(folder: Path) -> dict[str, str]:
    """Return what was given; without a readable record, every file that differs counts as changed by the learner."""
    try:
        record = json.loads((folder / RECORD).read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _mark(content: bytes) -> str:
    """Return a checksum of what people write or run in a notebook; of any other file, of all its bytes.

    JupyterLab saves a notebook that was only opened, with the version of the kernel in it, after two minutes.
    """
    try:
        notebook = json.loads(content)
        kernel = ("kernelspec", "language_info")
        notebook["metadata"] = {key: value for key, value in notebook["metadata"].items() if key not in kernel}
        content = json.dumps(notebook, sort_keys=True).encode()
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    return hashlib.sha256(content).hexdigest()


def _marks_of(file: Path) -> set[str]:
    """Return what a record may say of `file` if it is as it was given; nothing if no file or folder is there.

    The records of the first hubs have the checksum of all bytes.
    """
    if not file.is_file():
        return {"a folder or a dead link"} if file.exists() or file.is_symlink() else set()
    content = file.read_bytes()
    return {_mark(content), hashlib.sha256(content).hexdigest()}


def _free_name(file: Path, mark: str) -> Path:
    """Return a name beside `file` that is free, or that has this content already."""
    number, beside = 1, file.with_stem(f"{file.stem}-new")
    while mark not in (_marks_of(beside) or {mark}):
        number += 1
        beside = file.with_stem(f"{file.stem}-new-{number}")
    return beside


def _git(root: Path, *arguments: str) -> bytes | None:
    """Return what git says; None if it has no answer, is not installed, or does not trust the folder."""
    try:
        asked = subprocess.run(
            ["git", "-C", str(root), *arguments],
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},  # we only look
            stdin=subprocess.DEVNULL,
            capture_output=True,
        )
    except OSError:
        return None
    return asked.stdout if asked.returncode == 0 else None


def _advice(error: OSError, folder: Path) -> str:
    place = Path(error.filename or folder)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"There is no space left for your copy of the course in {folder}: free 20 MB there"
    if isinstance(error, FileExistsError | NotADirectoryError):
        place = next((path for path in (*reversed(place.parents), place) if not path.is_dir()), place)
        return f"{place} is in the way of your copy of the course, which needs a folder there: rename it"
    place = place.parent if place.name.startswith(".") else place  # a file of ours, unknown to anyone
    return f"{place} cannot be used for your copy of the course ({error.strerror or error}): change its rights"
