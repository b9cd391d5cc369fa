"""A learner's server on a hub: first the learner's own copy of the course, then JupyterLab.

Every hub starts it by `python -P -m course_utils.learner_server`. It runs as the learner, so that nothing with the
hub's rights writes into a folder in which learners can put what they like.
"""

import hashlib
import json
import sys
from pathlib import Path

from course_utils.cli import QUIET_LAB, ROOT
from course_utils.whole_files import write_whole

COURSE_FOLDER = "llms-by-hand"  # in the learner's home
GIVEN = ("notebooks", "exercises")  # the solutions stay with the course
RECORD = ".given.json"  # the checksum of each file as it was given, by its name


def main() -> None:
    """Bring the learner's copy up to date, then become their server."""
    try:
        for name, done in give_course(ROOT, Path.home() / COURSE_FOLDER).items():
            print(f"{done}: {name}", file=sys.stderr)
    except OSError as error:  # a learner with a full disk needs the server, to delete something
        print(f"The course was not copied: {error.filename or 'the disk'} ({error.strerror})", file=sys.stderr)
    from jupyterhub.singleuser import main as start  # only where a hub is

    sys.argv += QUIET_LAB
    start()


def give_course(source: Path, folder: Path) -> dict[str, str]:
    """Give a learner the notebooks and exercises, and never touch what the learner changed.

    A file that is missing is copied. One that is still as it was given is replaced by the new version. Beside one that
    the learner changed, the new version is put under another name, once.

    Args:
        source: The folder of the course.
        folder: The learner's copy; it is made if it is not there.

    Returns:
        For each file that was written, what happened: "new", "updated" or "put beside yours".

    Raises:
        OSError: A file cannot be read or written. All others are whole, and the next call goes on.

    Lesson: none (this is for a class on one server).
    """
    given, done = _read_record(folder), {}
    for kind in GIVEN:
        for file in sorted((source / kind).glob("*.ipynb")):
            name, content = f"{kind}/{file.name}", file.read_bytes()
            new, own, before = _checksum(content), _checksum_of(folder / name), given.get(name)
            given[name] = new
            if own == new or (own is not None and new == before):
                continue  # there is nothing that the learner does not have
            is_theirs = own not in (None, before)
            target = _free_name(folder / name, new) if is_theirs else folder / name
            write_whole(target, content)
            done[target.relative_to(folder).as_posix()] = (
                "put beside yours" if is_theirs else "new" if own is None else "updated"
            )
    write_whole(folder / RECORD, json.dumps(given, indent=1, sort_keys=True))
    return done


def _read_record(folder: Path) -> dict[str, str]:
    """Return what was given; without a readable record, every file that differs counts as changed by the learner."""
    try:
        record = json.loads((folder / RECORD).read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _checksum_of(file: Path) -> str | None:
    """Return the checksum of a file; None if nothing is there, and "" for a folder of that name."""
    if file.is_file():
        return _checksum(file.read_bytes())
    return "" if file.exists() or file.is_symlink() else None


def _free_name(file: Path, checksum: str) -> Path:
    """Return a name beside `file` that is free, or that has this content already."""
    number, beside = 1, file.with_stem(f"{file.stem}-new")
    while _checksum_of(beside) not in (None, checksum):
        number += 1
        beside = file.with_stem(f"{file.stem}-new-{number}")
    return beside


if __name__ == "__main__":
    main()
