"""What a learner predicted and answered, in one file that nothing may damage."""

import errno
import json
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import ClassVar

from filelock import FileLock, Timeout
from platformdirs import user_data_path

from course_utils.files import folder_from, write_whole

KINDS = ("predictions", "quizzes", "exercises")
LOCK_SECONDS = 5
_VERSION = 1
_LARGEST = 2**25  # bytes: a thousand times what a whole course writes
_CORRUPT = (ValueError, KeyError, TypeError, AttributeError, RecursionError)
# What these fields of an entry are, wherever they are; a field that is not here may hold any text or number.
_FIELDS = {"choice": str, "right": bool, "first": str, "first_right": bool, "tries": int, "solved": bool}


def progress_folder() -> Path:
    """Return where the progress file is: the folder `COURSE_HOME`, or this user's data folder.

    Raises:
        ValueError: `COURSE_HOME` can't be a folder.

    Lesson: 00 · Start here
    """
    return folder_from("COURSE_HOME") or user_data_path("llms-by-hand", appauthor=False)


class Progress:
    """The progress file: one small JSON file, written whole or not at all, safe for several kernels at once.

    Args:
        path: The file; by default `progress.json` in `progress_folder()`. It is made on the first record.

    Lesson: 00 · Start here

    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> progress = Progress(Path(folder.name) / "progress.json")
    >>> progress.record("predictions", "00-paris", {"choice": "over 50 %"})
    >>> progress.get("predictions", "00-paris")
    {'choice': 'over 50 %'}
    """

    kinds: ClassVar[tuple[str, ...]] = KINDS
    called: ClassVar[str] = "progress file"

    def __init__(self, path: Path | None = None) -> None:
        self.path = Path(path) if path is not None else progress_folder() / "progress.json"

    def record(self, kind: str, identifier: str, value: dict) -> None:
        """Keep `value` under `kind` and `identifier`; when this returns, it is on the disk.

        Raises:
            ValueError: `kind` is not one of `KINDS`.
            OSError: As `update`.
        """
        self.update(kind, identifier, lambda before: value)

    def update(self, kind: str, identifier: str, change: Callable[[dict | None], dict]) -> dict:
        """Replace what is kept by `change(what was kept, or None)`; return what is kept now.

        No other program can write in between, so that a decision about what was there before holds.

        Raises:
            ValueError: `kind` is not one of `KINDS`.
            OSError: The file cannot be read or written, another program holds it for `LOCK_SECONDS`, or a newer
                version of the course wrote it.
        """
        if kind not in self.kinds:
            raise ValueError(f"kind must be one of {self.kinds}, got {kind!r}")
        with self._locked():
            entries = self._read_or_set_aside()
            entries[kind][identifier] = change(entries[kind].get(identifier))
            self._write(entries)
            return entries[kind][identifier]

    def get(self, kind: str, identifier: str) -> dict | None:
        """Return what is kept under `kind` and `identifier`, or None. Errors as `everything`."""
        return self.everything()[kind].get(identifier)

    def everything(self) -> dict[str, dict[str, dict]]:
        """Return all that is kept, by kind and identifier.

        A file that makes no sense, or isn't one, is set aside under another name; what makes sense of it is kept.

        Raises:
            OSError: As `update`.
        """
        try:
            return self._read()
        except _CORRUPT:
            with self._locked():
                return self._read_or_set_aside()  # reads again: another kernel may have put it right

    def set_aside(self) -> Path:
        """Start over: the file gets another name, which is returned, and nothing in it is lost.

        Raises:
            FileNotFoundError: There is no file yet.
            OSError: As `update`.
        """
        with self._locked():
            return self._renamed("until")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.path.with_suffix(".lock"), timeout=LOCK_SECONDS):
                yield
        except Timeout as error:
            raise TimeoutError(errno.ETIMEDOUT, f"another program has held it for {LOCK_SECONDS} seconds") from error

    def _read(self) -> dict[str, dict[str, dict]]:
        try:
            content = json.loads(self._text())
        except FileNotFoundError:
            return {kind: {} for kind in self.kinds}  # a new learner
        if content["version"] > _VERSION:
            raise PermissionError(errno.EPERM, "a newer version of the course wrote it, so it is left as it is")
        # A file from before there were exercises has none.
        entries = {kind: content["entries"].get(kind, {}) for kind in self.kinds}
        whole = {kind: self._sensible(kept) for kind, kept in entries.items()}
        if whole != entries:
            raise _PartlyDamagedError(whole)
        return whole

    def _text(self) -> str:
        """Return the text of the file; one that is something else than a file to read is as good as damaged."""
        try:
            about = self.path.stat()
            if stat.S_ISREG(about.st_mode) and about.st_size <= _LARGEST:
                return self.path.read_text(encoding="utf-8")
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.ELOOP):
                raise
        raise ValueError("not a file that can be read")

    def _sensible(self, kept: object) -> dict[str, dict]:
        """Return the entries that are as they were written."""
        entries = kept.items() if isinstance(kept, dict) else ()
        return {name: entry for name, entry in entries if _is_plain(name) and self._makes_sense(entry)}

    def _makes_sense(self, entry: object) -> bool:
        return isinstance(entry, dict) and all(
            _is_plain(field) and _is_plain(value) and type(value) is _FIELDS.get(field, type(value))
            for field, value in entry.items()
        )

    def _read_or_set_aside(self) -> dict[str, dict[str, dict]]:
        said = f"Your {self.called} couldn't be read. The old file is now {{}}, and a new one was started"
        try:
            return self._read()
        except _PartlyDamagedError as error:
            kept = self._other_name("corrupt")
            write_whole(kept, self.path.read_bytes())  # before it is written: killed in between, both are there
            self._write(error.whole)
            count = sum(map(len, error.whole.values()))
            print(f"{said.format(kept)}{f', with the {count} answers that make sense' * bool(count)}.")
            return error.whole
        except _CORRUPT:
            print(f"{said.format(self._renamed('corrupt'))}.")
            return {kind: {} for kind in self.kinds}

    def _other_name(self, why: str) -> Path:
        moment = datetime.now().strftime("%Y%m%d-%H%M%S-%f")
        return self.path.with_name(f"{self.path.stem}.{why}-{moment}.json")

    def _renamed(self, why: str) -> Path:
        kept = self._other_name(why)
        os.replace(self.path, kept)
        return kept

    def _write(self, entries: dict) -> None:
        # A reader sees the old file or the new one, never half of one, whenever this process is killed.
        text = json.dumps({"version": _VERSION, "entries": entries}, indent=1, ensure_ascii=False)
        write_whole(self.path, text)


class _PartlyDamagedError(ValueError):
    """Some entries make no sense; `whole` holds the others."""

    def __init__(self, whole: dict[str, dict[str, dict]]) -> None:
        super().__init__("some entries make no sense")
        self.whole = whole


def _is_plain(value: object) -> bool:
    """Say whether a value is one text or number that can be written again: half a surrogate pair cannot."""
    if isinstance(value, str):
        return value.isascii() or value == value.encode("utf-8", "replace").decode()
    return value is None or isinstance(value, bool | int | float)


def reason(error: OSError) -> str:
    """Return why a file could not be used, without the error's number and path.

    >>> reason(PermissionError(13, "Permission denied", "progress.json"))
    'Permission denied'
    """
    return error.strerror or str(error)
