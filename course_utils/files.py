"""Write files and folders whole or not at all: whenever the writer is killed, a reader finds the old one or the new.

Here is also what a path means that someone typed, in a command or in an environment variable.

What a killed writer left beside its file is removed by the next one. Its name says who made it, so that nothing is
taken away from a writer that is still at work.
"""

import ctypes
import errno
import hashlib
import os
import re
import secrets
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

_FOREIGN_SECONDS = 86_400  # after a day, what another machine left is dead, too


def write_whole(file: Path, content: str | bytes) -> None:
    r"""Write `content` to `file` in one step, in a folder that is made if it isn't there. Line ends stay as they are.

    Text becomes UTF-8; half a surrogate pair, which UTF-8 can't hold, becomes "?". A new file gets the permissions that
    this system gives new files; one that is replaced keeps its own.

    Raises:
        OSError: The file can't be written; what was there before is still there. `filename` is `file`.

    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> write_whole(Path(folder.name) / "new" / "a.txt", "text\n")
    >>> [file.name for file in (Path(folder.name) / "new").iterdir()]
    ['a.txt']
    """
    encoded = content.encode(errors="replace") if isinstance(content, str) else content
    unfinished = _beside(file, "unfinished")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        _clear(file)
        with unfinished.open("xb") as stream:
            stream.write(encoded)
            stream.flush()
            os.fsync(stream.fileno())
        with suppress(FileNotFoundError):
            shutil.copymode(file, unfinished)
        os.replace(unfinished, file)
    except BaseException as error:  # Ctrl+C, too, leaves nothing behind
        _remove(unfinished)
        if isinstance(error, OSError):
            error.filename, error.filename2 = str(file), None  # people don't know the other name
        raise


def full_path(text: str) -> Path:
    """Return a path that someone typed: from the root, with `~` as their home.

    Raises:
        ValueError: That home isn't known.

    >>> full_path("~/models") == Path.home() / "models", full_path("models") == Path.cwd() / "models"
    (True, True)
    """
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError:
        raise ValueError(f"{text!r} starts with a home folder that this system doesn't know") from None


def folder_from(variable: str) -> Path | None:
    """Return the folder that an environment variable names, or None if it's unset or empty.

    A relative one is looked up from where this process is now, and written back in full: a notebook runs in another
    folder than the command that opened it, and would find another one.

    Raises:
        ValueError: The value can't be a folder.

    >>> os.environ["COURSE_EXAMPLE"] = "models"
    >>> folder_from("COURSE_EXAMPLE") == Path.cwd() / "models" == Path(os.environ.pop("COURSE_EXAMPLE"))
    True
    """
    text = os.environ.get(variable, "").strip()  # cmd.exe's `set X=Y && …` leaves a space
    if not text:
        return None
    try:
        folder = full_path(text)
    except ValueError as error:
        raise ValueError(f"{variable} must be a folder: {error}") from None
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{variable} must be a folder, and {folder} is a file")
    os.environ[variable] = str(folder)
    return folder


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Give the block a new, empty folder to fill, which takes the place of `folder` when the block ends well.

    If the block raises, `folder` stays as it was. Two blocks at once for one folder need a lock around them.

    Raises:
        OSError: The folder can't be written; what was there before is still there.

    >>> import tempfile
    >>> place = tempfile.TemporaryDirectory()
    >>> with whole_folder(Path(place.name) / "site") as unfinished:
    ...     _ = (unfinished / "index.html").write_text("Welcome")
    >>> [file.name for file in (Path(place.name) / "site").iterdir()]
    ['index.html']
    """
    unfinished = _beside(folder, "unfinished")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _clear(folder)
        if os.path.lexists(folder) and not folder.is_dir():  # someone else's file: exchanged, it would be removed
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
        unfinished.mkdir()
        yield unfinished
        if folder.is_dir():
            shutil.copymode(folder, unfinished)
        _swap(unfinished, folder)
    finally:
        _remove(unfinished)  # the old folder, if the two were exchanged


def _swap(new: Path, folder: Path) -> None:
    """Put `new` in the place of `folder`."""
    if _exchanged(new, folder):
        return
    before = _beside(folder, "before")
    try:
        if os.path.lexists(folder):
            folder.rename(before)  # killed after this line, the next writer puts it back: see `_clear`
        new.rename(folder)
    finally:
        if not os.path.lexists(folder) and os.path.lexists(before):
            before.rename(folder)
        _remove(before)


def _exchanged(one: Path, other: Path) -> bool:
    """Exchange two names in one system call; return False where the system or the file system has none."""
    rename = getattr(ctypes.CDLL(None), "renameat2", None) if sys.platform == "linux" else None
    here, exchange = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of linux/fs.h
    return bool(rename) and rename(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0


def _clear(path: Path) -> None:
    """Remove what killed writers of `path` left; a folder that one had just moved away is put back."""
    for before in _leftovers(path, "before"):
        if os.path.lexists(path):
            _remove(before)
        else:
            before.rename(path)
    for unfinished in _leftovers(path, "unfinished"):
        _remove(unfinished)


def _leftovers(path: Path, kind: str) -> Iterator[Path]:
    """Yield what dead writers left beside `path`."""
    start = _start(path, kind)
    for one in path.parent.glob(f"{start}*"):
        made_by = re.fullmatch(r"(\w+)-(\d{1,10})-\w+", one.name.removeprefix(start))
        if made_by and made_by[1] == _machine() and not psutil.pid_exists(int(made_by[2])):
            yield one
        elif made_by and made_by[1] != _machine():
            with suppress(FileNotFoundError):
                if time.time() - one.lstat().st_ctime > _FOREIGN_SECONDS:
                    yield one


def _beside(path: Path, kind: str) -> Path:
    """Return a free name beside `path`, however long its own is, that says which process made it."""
    return path.with_name(f"{_start(path, kind)}{_machine()}-{os.getpid()}-{secrets.token_hex(4)}")


def _start(path: Path, kind: str) -> str:
    return f".{kind}-{_digest(path.name)}-"


def _machine() -> str:
    return _digest(socket.gethostname())


def _digest(name: str) -> str:
    return hashlib.sha256(os.fsencode(name)).hexdigest()[:16]


def _remove(path: Path) -> None:
    """Remove a file or a folder as far as possible: the next writer tries again."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()
