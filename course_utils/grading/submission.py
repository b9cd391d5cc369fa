"""Find submissions and read them: any file may be there, and each becomes code cells and texts, or one sentence."""

import hashlib
import os
import re
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from course_utils.errors import CourseError
from course_utils.grading.notebook_file import answers_in_words, cells_of
from course_utils.grading.texts import decoded, of_a_file, printable, same_name, writable

LARGEST = 20 * 2**20  # bytes of a notebook
LONGEST_CELL = 10**6  # letters of code in a cell; to compile one takes up to a kilobyte of memory for each
DEEPEST = 32  # folders in folders
MOST_FILES = 100_000  # in a learner's folder
MOST_READ = 100  # files without a notebook's ending that are opened to see whether one is a notebook
_NOTEBOOK = re.compile(r"\.ipynb(\s?\(\d+\))?(\.txt|\.json)*$", re.IGNORECASE)  # as browsers save it
_ENDINGS = re.compile(r"\.ipynb(\s?\(\d+\))?(\.\w+)*$|\.\w+$", re.IGNORECASE)
_COPY = re.compile(r"(\s?\(\d+\)|-Copy\d+|\s-\sCopy|\scopy(\s\d+)?)+$", re.IGNORECASE)
_ADDED = re.compile(r"([\s_-]\d{1,2}|\s-\s\w+(\s\(\d+\))?)$")  # by systems in other languages; or part of a name
_DOWNLOADED = (  # how learning management systems name what a teacher downloads, with the learner's id in it
    # https://github.com/moodle/moodle/tree/main/mod/assign/submission/file: the number of the grading worksheet
    re.compile(r"_(\d+)_assignsubmission_\w+$"),
    # https://github.com/instructure/canvas-lms/blob/master/lib/content_zipper.rb: name, LATE, user, attachment
    re.compile(r"_(\d+)_\d+_"),
)
_ATTEMPT = re.compile(r"_attempt_\d{4}(?:-\d\d){5}")  # Blackboard: assignment_user_attempt_date_file
_RECEIPT = re.compile(rf"{_ATTEMPT.pattern}\.txt$")  # Blackboard adds one to each submission
_CLUTTER = {  # what systems put into folders and archives
    *("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "@eadir", "__pycache__", "lost+found"),
    *("$recycle.bin", "system volume information"),
}


@dataclass(frozen=True)
class Submission:
    """Where one learner's notebook is.

    Args:
        learner: Who it is from: the name of the folder or file, as it can be printed.
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
        notes: What a person should know about it.
    """

    digest: str
    cells: list[str] = field(default_factory=list)
    prose: dict[str, str] = field(default_factory=dict)
    problem: str = ""
    notes: tuple[str, ...] = ()


def find_submissions(
    paths: Iterable[Path], exercise: str, roster: Iterable[str] | Mapping[str, str] = (), out: Path | None = None
) -> list[Submission]:
    """Return one submission for each learner, sorted by name, and one without a file for anyone who handed in nothing.

    A notebook is its learner's by its name (`ada.ipynb`, also `ada (1).ipynb.txt`), or by its folder's
    (`ada/11_sampling.ipynb`, and deeper, as nbgrader collects them). A folder may hold either. Names that differ only
    in capitals, spaces or how accents are encoded are one name; a path that is found twice counts once.

    Args:
        paths: Notebooks, and folders of them.
        exercise: The name that a notebook has when it was not renamed, such as "11_sampling".
        roster: The learners who should hand in; or, for each id that a learner may be known by, the learner.
        out: The folder of the results, which is nobody's submission.

    Raises:
        CourseError: A path does not exist.
    """
    listed = {}
    for name in roster:
        learner = roster[name] if isinstance(roster, Mapping) else name
        listed.setdefault(same_name(name), printable(learner).strip())
    found = {}
    for path in paths:
        for place in _places(Path(path), out):
            for one in _submission(place, exercise, out):
                learner = _learner(one.learner, listed)
                found.setdefault(_where(one.path or place), replace(one, learner=learner))
    handed_in = {same_name(one.learner) for one in found.values()}
    missing = [Submission(name, None) for name in dict.fromkeys(listed.values()) if same_name(name) not in handed_in]
    seen, named = Counter(), []
    for one in sorted([*found.values(), *missing], key=lambda one: (one.learner, str(one.path))):
        seen[same_name(one.learner)] += 1
        times = seen[same_name(one.learner)]
        if times > 1:  # two people, or one who handed in twice: a person decides
            # The learner reads this, too: not where the teacher's folders are.
            which = f"; this is {printable(of_a_file('/'.join(one.path.parts[-2:])))}" if one.path else ""
            note = f"{one.learner} has more than one submission{which}. {one.note}".strip()
            one = replace(one, learner=f"{one.learner} ({times})", note=note)
        named.append(one)
    return named


def read_roster(file: Path) -> list[str]:
    """Return the names in a file, one on each line, however a spreadsheet or an editor saved it.

    Raises:
        OSError: It cannot be read.
    """
    text, _ = decoded(file.read_bytes())
    return [name.strip() for name in re.split(r"[\r\n]+", text) if name.strip()]


def read_submission(submission: Submission, questions: Iterable[str] = ()) -> Handed:
    """Read a submission's file, whatever it is; nothing in it is run or compiled.

    Args:
        submission: Where it is.
        questions: The `grade_id` of each question that is answered in words.
    """
    if submission.problem or submission.path is None:
        return Handed("", problem=submission.problem or "was not handed in.")
    try:
        content = _content(submission.path)
    except OSError as error:
        return Handed("", problem=f"cannot be read ({error.strerror or type(error).__name__}).")
    except ValueError as error:
        return Handed("", problem=str(error))
    digest, questions = hashlib.sha256(content).hexdigest(), tuple(questions)
    text, is_certain = decoded(content)
    try:
        cells = cells_of(text)
    except (ValueError, RecursionError, MemoryError):
        return Handed(digest, problem=_not_a_notebook(content))
    except (KeyError, TypeError, AttributeError):
        return Handed(digest, problem="is JSON, but no notebook of format 4.")
    notes = [] if is_certain else ["The file isn't in UTF-8: letters with accents may be wrong."]
    code = [
        cell.source
        for cell in cells
        if cell.kind == "code" and not cell.is_shown_only and not {cell.name, cell.identity} & {*questions}
    ]
    for number, source in enumerate(code, start=1):
        if len(source) > LONGEST_CELL:
            notes.append(f"Cell {number} was not run: it has more than {LONGEST_CELL // 10**6} million letters.")
            code[number - 1] = ""
    prose, remarks = answers_in_words(cells, questions)
    return Handed(digest, [runnable(source) for source in code], prose, "", (*notes, *remarks))


def runnable(source: str) -> str:
    r"""Return a cell as it goes into the sandbox, where IPython reads it; nothing is compiled here.

    >>> ascii(runnable("%matplotlib inline\nx = '\ud83d'"))
    '"%matplotlib inline\\nx = \'\\ufffd\'"'
    """
    return writable(source)


def _places(path: Path, out: Path | None) -> Iterator[Path]:
    """Return the files and folders that are a submission each."""
    if not os.path.lexists(path):
        raise CourseError(f"There is no submission at {printable(str(path))}.")
    if _is_clutter(path.name) and path.name.strip("."):  # the shell's * names it, too
        return
    if path.is_symlink() or not path.is_dir():
        yield path
        return
    yield from (place for place in sorted(path.iterdir()) if not _is_clutter(place.name) and not _is_result(place, out))


def _submission(place: Path, exercise: str, out: Path | None) -> Iterator[Submission]:
    """Return what one learner handed in; nothing if only results are there."""
    is_folder, learner = False, place.name
    try:
        is_folder = place.is_dir() and not place.is_symlink()
        learner = _NOTEBOOK.sub("", place.name) if is_folder else _stem(place.name)
        if is_folder:
            yield from _folder(place, learner, exercise, out)
            return
        if exercise and same_name(_COPY.sub("", learner)) == same_name(exercise):
            learner = place.absolute().parent.name
        yield _file(place, learner)
    except Exception as error:  # noqa: BLE001 - one learner's folder never stops the others
        yield Submission(learner, place, f"cannot be looked into ({type(error).__name__}).")


def _file(path: Path, learner: str, note: str = "") -> Submission:
    if path.is_symlink():
        return Submission(learner, path, "is a link, and links are not followed.")
    return Submission(learner, path, note=note)


def _folder(folder: Path, learner: str, exercise: str, out: Path | None) -> Iterator[Submission]:
    """Return what a learner's folder holds: its one notebook, or the one with the right name."""
    files, why, has_results = _files(folder, out)
    notebooks = [file for file in files if _NOTEBOOK.search(file.name)]
    notebooks = notebooks or [file for file in files[:MOST_READ] if _holds_notebook(file)]
    named = [file for file in notebooks if same_name(file.name) == same_name(f"{exercise}.ipynb")]
    copies = [file for file in notebooks if same_name(_COPY.sub("", _stem(file.name))) == same_name(exercise)]
    chosen = named or copies or notebooks
    if len(chosen) == 1:
        other = next((file.name for file in copies if file not in chosen), "")
        notes = [f"There is also {printable(of_a_file(other))}." if other else "", f"The folder {why}" if why else ""]
        yield _file(chosen[0], learner, " ".join(filter(None, notes)))
    elif chosen:
        yield Submission(learner, folder, f"has {len(chosen)} notebooks, and which one counts is not said.")
    elif why:
        yield Submission(learner, folder, why)
    elif not has_results:
        problem = f"has no notebook, only {printable(of_a_file(files[0].name))}." if files else ""
        yield Submission(learner, folder if files else None, problem)


def _files(folder: Path, out: Path | None) -> tuple[list[Path], str, bool]:
    """Return all files in a folder and the folders in it, why some can't be seen, and whether results are there."""
    found, why, has_results, left = [], "", False, [(str(folder), 0)]
    while left:
        place, depth = left.pop()
        try:
            with os.scandir(place) as entries:
                for entry in entries:
                    if _is_clutter(entry.name):
                        continue
                    if not entry.is_dir(follow_symlinks=False):
                        found.append(Path(entry.path))
                    elif _is_result(Path(entry.path), out):
                        has_results = True
                    elif depth < DEEPEST:
                        left.append((entry.path, depth + 1))
                    else:
                        why = f"has folders more than {DEEPEST} deep."
                    if len(found) + len(left) > MOST_FILES:
                        return sorted(found), f"has more than {MOST_FILES} files.", has_results
        except OSError as error:
            why = f"has a folder that cannot be looked into ({error.strerror})."
    return sorted(found), why, has_results


def _is_clutter(name: str) -> bool:
    return name.startswith((".", "~$", "__MACOSX")) or name.casefold() in _CLUTTER or bool(_RECEIPT.search(name))


def _is_result(place: Path, out: Path | None) -> bool:
    """Say whether a place is the folder of the results, or in it, when that is among the submissions."""
    if out is None or out.absolute().name not in (place.name, place.absolute().parent.name):
        return False
    is_in_it = place.suffix == ".csv" or place.name in ("reports", "feedback", "similarity.html")
    return _where(place) == _where(out) or (is_in_it and _where(place.parent) == _where(out))


def _where(path: Path) -> str:
    """Return the one name of a place that has several; a link is not followed."""
    path = Path(os.path.abspath(path))
    return os.path.join(os.path.realpath(path.parent), path.name)


def _stem(name: str) -> str:
    """Return a file's name without its endings.

    >>> [_stem(name) for name in ("ada.ipynb", "ada.ipynb.txt", "ada.IPYNB", "ada.ipynb (1).json", "a.b.zip")]
    ['ada', 'ada', 'ada', 'ada', 'a.b']
    """
    return _ENDINGS.sub("", name)


def _learner(name: str, listed: dict[str, str]) -> str:
    """Return the learner with that name: as the roster writes it, and without what browsers and systems add."""
    name = of_a_file(name)
    for spelling in (name, _COPY.sub("", name), _ADDED.sub("", name), *_ids(name)):
        if same_name(spelling) in listed:
            return listed[same_name(spelling)]
    return printable(_COPY.sub("", name).strip() or name)


def _ids(name: str) -> Iterator[str]:
    """Yield what may be the learner's id in the name of a downloaded submission.

    >>> [*_ids("Lab 3_ada_l_attempt_2026-11-30-12-00-00_x")], [*_ids("lovelaceada_LATE_4711_815_11_sampling")]
    (['Lab 3_ada_l', 'ada_l', 'l'], ['4711'])
    """
    yield from (found[1] for pattern in _DOWNLOADED if (found := pattern.search(name)))
    attempt = _ATTEMPT.search(name)
    parts = name[: attempt.start()].split("_") if attempt else []
    yield from ("_".join(parts[at:]) for at in range(len(parts)))  # either may have an underscore in it


def _holds_notebook(file: Path) -> bool:
    try:
        content = _content(file)
    except (OSError, ValueError):
        return False
    text, _ = decoded(content)
    return text.lstrip()[:1] == "{" and '"nbformat"' in text


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
