"""Find submissions and read them: any file may lie there, and each becomes code cells and texts, or one sentence."""

import hashlib
import json
import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from course_utils.assignments import PROSE_STUB

LARGEST = 20 * 2**20  # bytes of a notebook
DEMONSTRATION = "raises-exception"  # the tag of cells that only show the learner's functions at work


@dataclass(frozen=True)
class Submission:
    """Where one learner's notebook lies.

    Args:
        learner: Who it is from: the name of the folder or file.
        path: The file; None if nothing was handed in.
        problem: Why there is no file to read, after "The submission "; "" if there is.
        note: What a person should know about it; "" if nothing.
    """

    learner: str
    path: Path | None
    problem: str = ""
    note: str = ""


@dataclass(frozen=True)
class Handed:
    """What is in a submission.

    Args:
        digest: The sha256 of the file; "" if it cannot be read.
        cells: Its code cells in their order, without those that only show something.
        prose: The answers that a person marks, by `grade_id`.
        problem: Why it is no notebook, after "The submission "; "" if it is.
    """

    digest: str
    cells: list[str] = field(default_factory=list)
    prose: dict[str, str] = field(default_factory=dict)
    problem: str = ""


def find_submissions(paths: Iterable[Path], exercise: str, roster: Iterable[str] = ()) -> list[Submission]:
    """Return one submission for each learner, sorted by name, and one without a file for whoever handed in nothing.

    A notebook is its learner's by its name (`ada.ipynb`), or by its folder's (`ada/11_sampling.ipynb`, and deeper, as
    nbgrader collects them). A folder may hold either.

    Args:
        paths: Notebooks, and folders of them.
        exercise: The name that a notebook has when it was not renamed, such as "11_sampling".
        roster: The learners who should hand in.

    Raises:
        FileNotFoundError: A path does not exist.
    """
    found = [one for path in paths for one in _submissions(Path(path), exercise)]
    found += [Submission(learner, None) for learner in roster if learner not in {one.learner for one in found}]
    seen, named = Counter(), []
    for one in sorted(found, key=lambda one: (one.learner, str(one.path))):
        seen[one.learner] += 1
        if seen[one.learner] > 1:  # two people, or one who handed in twice: a person decides
            note = f"{one.learner} has more than one submission; this is {one.path}."
            one = Submission(f"{one.learner} ({seen[one.learner]})", one.path, one.problem, note)
        named.append(one)
    return named


def read_submission(submission: Submission) -> Handed:
    """Read a submission's file, whatever it is; nothing in it is run."""
    if submission.problem or submission.path is None:
        return Handed("", problem=submission.problem or "was not handed in.")
    try:
        content = _content(submission.path)
    except OSError as error:
        return Handed("", problem=f"cannot be read ({error.strerror or error}).")
    except ValueError as error:
        return Handed("", problem=str(error))
    digest = hashlib.sha256(content).hexdigest()
    try:
        notebook = json.loads(content.decode("utf-8-sig"))
        cells = [_cell(cell) for cell in notebook["cells"]]
    except (ValueError, RecursionError):
        return Handed(digest, problem=_not_a_notebook(content))
    except (KeyError, TypeError, AttributeError):
        return Handed(digest, problem="is JSON, but no notebook of format 4.")
    code = [source for kind, source, metadata in cells if kind == "code" and DEMONSTRATION not in _tags(metadata)]
    return Handed(digest, [runnable(source) for source in code], _prose(cells))


def runnable(source: str) -> str:
    """Return a cell without the lines that only IPython understands, if it does not compile as it is.

    >>> runnable("%matplotlib inline\\nx = 1")
    'pass\\nx = 1'
    """
    try:
        compile(source, "cell", "exec")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        lines = source.split("\n")
        return "\n".join(_indent(line) + "pass" if line.lstrip()[:1] in ("%", "!", "?") else line for line in lines)
    return source


def _submissions(path: Path, exercise: str) -> Iterator[Submission]:
    if not os.path.lexists(path):
        raise FileNotFoundError(f"There is no submission at {path}.")
    if path.is_symlink() or not path.is_dir():
        yield _file(path, path.parent.name if path.stem == exercise else path.stem)
        return
    for entry in sorted(path.iterdir()):
        if entry.name.startswith("."):
            continue
        yield _folder(entry, exercise) if entry.is_dir() and not entry.is_symlink() else _file(entry, entry.stem)


def _file(path: Path, learner: str) -> Submission:
    if path.is_symlink():
        return Submission(learner, path, "is a link, and links are not followed.")
    return Submission(learner, path)


def _folder(folder: Path, exercise: str) -> Submission:
    """Return what a learner's folder holds: its one notebook, or the one with the right name."""
    files = [file for file in sorted(folder.rglob("*")) if ".ipynb_checkpoints" not in file.parts and not file.is_dir()]
    notebooks = [file for file in files if file.suffix == ".ipynb"]
    named = [file for file in notebooks if file.stem == exercise]
    chosen = named or notebooks
    if not files:
        return Submission(folder.name, None)
    if not notebooks:
        return Submission(folder.name, folder, f"has no notebook, only {files[0].name}.")
    if len(chosen) > 1:
        return Submission(folder.name, folder, f"has {len(chosen)} notebooks, and which one counts is not said.")
    return _file(chosen[0], folder.name)


def _content(path: Path) -> bytes:
    """Return a file's bytes; a link, a pipe or a device is not opened.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no ordinary file, or too large.
    """
    about = os.lstat(path)
    if not stat.S_ISREG(about.st_mode):
        raise ValueError("is no ordinary file.")
    if about.st_size > LARGEST:
        raise ValueError(f"has {about.st_size / 2**20:.0f} MB, and {LARGEST // 2**20} is the most.")
    with open(os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)), "rb") as file:
        return file.read(LARGEST)


def _not_a_notebook(content: bytes) -> str:
    if not content.strip():
        return "is an empty file."
    if content[:2] == b"PK":
        return "is a zip archive, not a notebook: unpack it."
    if content.lstrip()[:1] == b"{":
        return "is a notebook that was cut off or damaged: its JSON cannot be read."
    return "is no notebook."


def _cell(cell: dict) -> tuple[str, str, dict]:
    source = cell["source"]
    source = source if isinstance(source, str) else "".join(source)
    metadata = cell.get("metadata")
    return str(cell["cell_type"]), source, metadata if isinstance(metadata, dict) else {}


def _tags(metadata: dict) -> list:
    tags = metadata.get("tags")
    return tags if isinstance(tags, list) else []


def _prose(cells: list[tuple[str, str, dict]]) -> dict[str, str]:
    """Return the texts under each heading: the answer may be in its own cell, in one that was added, or in both."""
    found, heading = {}, ""
    for kind, source, metadata in cells:
        told = metadata.get("nbgrader")
        name = told.get("grade_id") if isinstance(told, dict) else None
        if kind != "markdown":
            continue
        if source.startswith("## "):
            heading = source[3:].partition(" · ")[0]
        elif (name or heading) and not source.startswith("### "):
            answer = source.replace(PROSE_STUB, "").strip()
            before = found.get(str(name or heading), "")
            found[str(name or heading)] = f"{before}\n\n{answer}".strip()
    return found


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]
