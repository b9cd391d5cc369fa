"""nbgrader with the course's configuration and its sandboxed kernel: from the source of lesson 11 to exported grades.

Everything is nbgrader's own: its commands, its exchange, its gradebook, its formgrader. Where it is not installed, an
environment beside this one gets it from the package index, because nbgrader brings extensions of JupyterLab that the
browser tests should not see.
"""

import csv
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.error
import urllib.request
import venv
import warnings
from pathlib import Path

import nbformat
import pytest

from course_utils.exercises.assignments import PROSE_STUB, exercise
from course_utils.grading import sandbox
from course_utils.grading.family import Family
from course_utils.grading.grade import GRADED, Assignment, grade
from course_utils.grading.limits import Limits
from course_utils.grading.submission import Submission
from course_utils.machine import ROOT
from course_utils.publishing import sync

NAME = "11_sampling"
COURSE = "llms-by-hand"
SOURCE = (ROOT / "solutions" / "source" / f"{NAME}.py").read_text(encoding="utf-8")
MORE = ("nbgrader", "SQLAlchemy", "alembic", "Mako", "RapidFuzz")  # what the extra adds, but for the Notebook's pages
NBGRADERS_OWN = ("deletable", "editable")
OURS = ("grade", "grade_id", "locked", "points", "schema_version", "solution", "task")

# One process for all commands: to import nbgrader takes longer than to run most of them.
COMMANDS = """
import json, os, sys
from nbgrader.api import Gradebook
from nbgrader.apps import NbGraderApp

def grades(file, course, name):
    with Gradebook("sqlite:///" + file, course) as book:
        return {
            one.student_id: {grade.name: [grade.score, grade.needs_manual_grade] for grade in one.notebooks[0].grades}
            for one in book.assignment_submissions(name)
        }

def command(folder, arguments):
    os.chdir(folder)
    try:
        NbGraderApp.launch_instance(arguments)
        return 0
    except SystemExit as end:
        return end.code or 0
    finally:
        NbGraderApp.instance().reset()

answers, sys.stdout = sys.stdout, sys.stderr
for line in sys.stdin:
    what, *arguments = json.loads(line)
    print(json.dumps(globals()[what](*arguments)), file=answers, flush=True)
"""
LOOK_AROUND = """
import os, socket
from pathlib import Path
from course_utils.exercises.task import __file__ as task_file
package = Path(task_file).parents[1]
def tried(what):
    try:
        return what()
    except OSError as error:
        return type(error).__name__
print([
    tried(lambda: os.listdir("FOLDER")),
    tried(lambda: socket.create_connection(("127.0.0.1", PORT))),
    tried(lambda: open("/new", "w")),
    os.listdir(package / "grading"),
    sorted(os.listdir("/tmp/kernel")),
    os.environ.get("COURSE_GRADING"),
])
"""
PATCH = "import types\ncheck = lambda name: types.SimpleNamespace(is_right=True)"
EQUAL = "\nclass Equal:\n    def __eq__(self, other):\n        return True\ndef equal(*anything):\n    return Equal()"


def not_tested(why):
    """Skip, and say so at the end of the run; in CI it is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{why} CI must have it.")
    warnings.warn(pytest.PytestWarning(f"NOT TESTED: {why}"), stacklevel=2)
    pytest.skip(f"NOT TESTED: {why}")


@pytest.fixture(scope="module")
def sandboxed():
    try:
        sandbox.try_sandbox()
    except sandbox.NoSandboxError as error:
        not_tested(str(error))


@pytest.fixture(scope="module")
def place():
    """A short path: the names of sockets may not be long."""
    with tempfile.TemporaryDirectory(prefix="nbgrader-") as folder:
        yield Path(folder).resolve()


@pytest.fixture(scope="module")
def python(place):
    """A Python with nbgrader: this one, or one beside it with all that this one has."""
    if importlib.util.find_spec("nbgrader"):
        return Path(sys.executable)
    venv.create(place / "side", with_pip=False)
    own = place / "side" / "bin" / "python"
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(place / "side")}))
    here = sysconfig.get_path("purelib")
    (packages / "course.pth").write_text(f"import site; site.addsitedir({here!r})\n", encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "--python", str(own), "install", "--quiet", "--no-deps", "--no-compile"]
    pip += ["--ignore-installed", *MORE]  # JupyterHub brings alembic, too, but its command starts this Python
    patience = {"PIP_RETRIES": "1", "PIP_DEFAULT_TIMEOUT": "15", "PIP_CONSTRAINT": str(ROOT / "constraints.txt")}
    done = subprocess.run(pip, env={**os.environ, **patience}, capture_output=True, text=True)
    if done.returncode:
        told = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")] or ["pip gives no reason"]
        not_tested(f"nbgrader is not installed, and cannot be ({told[0]}).")
    return own


class Course:
    """A course folder, its exchange, and nbgrader's commands in it."""

    def __init__(self, python, place):
        self.python, self.folder, self.log = python, place / "course", place / "nbgrader.log"
        self.environment = {
            **os.environ,
            "PATH": os.pathsep.join([str(python.parent), os.environ["PATH"]]),  # nbgrader starts alembic by its name
            "HOME": str(place),
            "TMPDIR": str(place / "tmp"),
            "JUPYTER_PATH": os.path.join(sys.prefix, "share", "jupyter"),  # the pages of the formgrader
            "JUPYTER_PLATFORM_DIRS": "1",
            "COURSE_EXCHANGE": str(place / "exchange"),
            "OMP_NUM_THREADS": "1",
        }
        (place / "tmp").mkdir()
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [str(python), "-c", COMMANDS], env=self.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=log, text=True,
            )  # fmt: skip

    def ask(self, *question):
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, self.log.read_text()
        return json.loads(answer)

    def nbgrader(self, folder, line, code=0):
        """Run one of nbgrader's commands in a folder."""
        assert self.ask("command", str(folder), line.split()) == code, self.log.read_text()

    def grades(self):
        """Points and whether they wait for a person, for each cell of each learner."""
        return self.ask("grades", str(self.folder / "gradebook.db"), COURSE, NAME)

    def end(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()

    def table(self):
        with (self.folder / "grades.csv").open(encoding="utf-8", newline="") as file:
            return {row["student_id"]: row for row in csv.DictReader(file)}

    def graded_notebook(self, learner):
        return nbformat.read(self.folder / "autograded" / learner / NAME / f"{NAME}.ipynb", as_version=4)


def by_name(notebook):
    return {cell.metadata.nbgrader.grade_id: cell for cell in notebook.cells if "nbgrader" in cell.metadata}


def solve(notebook, *names):
    solved = by_name(sync.build(SOURCE))
    for name in names:
        by_name(notebook)[name].source = solved[name].source


def insert(notebook, code):
    notebook.cells.insert(2, nbformat.v4.new_code_cell(code))


def ada(notebook):
    """Everything is right."""
    solve(notebook, "q1", "q2", "q3", "q4", "q5")


def cleo(notebook):
    """`check` says what she wants."""
    insert(notebook, PATCH)


def dora(notebook):
    """One mistake, a cell that is there twice, a test that is deleted, one that is tagged, and curiosity."""
    solve(notebook, "q1", "q3", "q4")
    cells = by_name(notebook)
    cells["q2"].source = "def top_k(logits, k):\n    return equal()"
    notebook.cells[1].source += EQUAL
    cells["q2-check"].metadata.tags = ["raises-exception", "skip-execution"]
    twice = nbformat.from_dict({**cells["q1-check"], "id": "twice"})
    notebook.cells.insert(notebook.cells.index(cells["q1-check"]), twice)
    notebook.cells.remove(cells["q4-check"])
    insert(notebook, LOOK_AROUND)


def eve(notebook):
    """Her code ends the kernel."""
    solve(notebook, "q1", "q2")
    insert(notebook, "import os\nos._exit(0)")


LEARNERS = (ada, cleo, dora, eve)


@pytest.fixture(scope="module")
def course(sandboxed, python, place):
    """All of it, once: what the tests below look at."""
    course = Course(python, place)
    try:
        go_through(course, place)
        yield course
    finally:
        course.end()


def go_through(course, place):
    setup = [sys.executable, str(ROOT / "grading" / "nbgrader_course.py"), str(course.folder), "11"]
    subprocess.run(setup, env=course.environment, check=True)
    course.nbgrader(course.folder, f"generate_assignment {NAME}")
    course.nbgrader(course.folder, f"release_assignment {NAME}")
    reader = place / "reader"
    reader.mkdir()
    elsewhere = f"--course={COURSE} --Exchange.root={place / 'exchange'}"
    course.nbgrader(reader, f"fetch_assignment {NAME} {elsewhere}")
    course.fetched = nbformat.read(reader / NAME / f"{NAME}.ipynb", as_version=4)
    with socket.create_server(("127.0.0.1", 0)) as server:  # outside of the sandbox, for anyone who looks around
        for change in LEARNERS:
            desk = place / change.__name__
            shutil.copytree(reader / NAME, desk / NAME)
            notebook = nbformat.read(desk / NAME / f"{NAME}.ipynb", as_version=4)
            change(notebook)
            for cell in notebook.cells:
                cell.source = cell.source.replace("PORT", str(server.getsockname()[1])).replace("FOLDER", str(place))
            nbformat.write(notebook, desk / NAME / f"{NAME}.ipynb")
            course.nbgrader(desk, f"submit {NAME} {elsewhere} --student={change.__name__}")
        course.nbgrader(course.folder, f"collect {NAME}")
        course.nbgrader(course.folder, f"autograde {NAME} --Execute.timeout=600", code=1)  # for one of them
    course.nbgrader(course.folder, "export")
    course.after_autograding, course.first_table = course.grades(), course.table()


def test_nbgrader_makes_the_exercise_that_we_make(course):
    released = nbformat.read(course.folder / "release" / NAME / f"{NAME}.ipynb", as_version=4)
    assert course.fetched == released
    for cell in released.cells:
        for key in NBGRADERS_OWN:
            cell.metadata.pop(key, None)
        if "nbgrader" in cell.metadata:
            told = cell.metadata.nbgrader
            cell.metadata.nbgrader = nbformat.from_dict({key: told[key] for key in OURS if key in told})
    assert released == exercise(sync.build(SOURCE))
    assert by_name(released)["q5"].source == PROSE_STUB


def test_every_submission_is_collected(course):
    names = {change.__name__ for change in LEARNERS}
    assert {file.name for file in (course.folder / "submitted").iterdir()} == names


def test_the_tests_give_points_and_the_answer_in_words_waits(course):
    right = {"q1-check": [2, False], "q2-check": [2, False], "q3-check": [3, False], "q4-check": [2, False]}
    assert course.after_autograding["ada"] == {**right, "q5": [0, True]}


def test_what_is_twice_deleted_or_tagged_gains_nothing(course):
    """The others' submissions are graded all the same, and an object that is equal to everything gets nothing."""
    points = {"q1-check": [2, False], "q2-check": [0, False], "q3-check": [3, False], "q4-check": [2, False]}
    assert course.after_autograding["dora"] == {**points, "q5": [0, False]}


def test_there_is_nothing_to_see_in_the_sandbox(course):
    (printed,) = [
        cell.outputs[0].text for cell in course.graded_notebook("dora").cells if cell.source.startswith("\nimport os")
    ]
    sockets = ["connection.json", *(f"kernel-{port}" for port in range(1, 6))]
    wanted = ["FileNotFoundError", "OSError", "OSError", [], sockets, None]
    assert printed.strip() == str(wanted)


def test_no_link_to_a_socket_is_left(course):
    assert not [file for file in Path(course.environment["TMPDIR"]).iterdir() if file.is_symlink()]


def test_a_kernel_that_ends_itself_is_named_and_stops_nobody(course):
    failed = f"There was an error processing assignment '{NAME}' for student "
    log = course.log.read_text()
    assert log.count(failed) == log.count(f"{failed}'eve'") == 1
    # In nbgrader's table it looks like an empty notebook; only its log and its gradebook tell.
    assert course.first_table["eve"]["score"] == "0.0"
    assert all(waits for _, waits in course.after_autograding["eve"].values())


def test_demonstrations_are_left_out(course):
    shown = [cell for cell in course.graded_notebook("ada").cells if "SamplingLab(" in cell.source]
    assert [(cell.execution_count, cell.outputs) for cell in shown] == [(None, [])]


def test_a_patched_check_has_full_marks_with_nbgrader_and_none_with_ours(course, tmp_path):
    """nbgrader runs the test in the learner's own process; ours judges outside of it."""
    points = course.after_autograding["cleo"]
    assert [points[f"q{number}-check"] for number in range(1, 5)] == [[2, False], [2, False], [3, False], [2, False]]
    handed_in = course.folder / "submitted" / "cleo" / NAME / f"{NAME}.ipynb"
    checks = tmp_path / "checks.py"  # of one task: each takes seconds
    checks.write_text(
        "from course_utils.exercises.lessons import lesson_11\nTASKS = lesson_11.TASKS[2:3]\n", encoding="utf-8"
    )
    report = grade(Submission("cleo", handed_in), Assignment(checks, seed=7))
    assert (report["status"], report["points"], report["of"]) == (GRADED, 0, 3)


def test_a_person_marks_the_answer_in_the_formgrader_and_it_is_exported(course):
    assert course.first_table["ada"]["score"] == "9.0"
    with Formgrader(course) as call:
        (notebook,) = [one for one in call(f"api/submitted_notebooks/{NAME}/{NAME}") if one["student"] == "ada"]
        assert notebook["needs_manual_grade"]
        assert "it flattens the distribution" in call(f"submissions/{notebook['id']}")
        (waiting,) = [one for one in call(f"api/grades?submission_id={notebook['id']}") if one["needs_manual_grade"]]
        assert waiting["name"] == "q5"
        call(f"api/grade/{waiting['id']}", {"manual_score": 1.5, "extra_credit": None})
    course.nbgrader(course.folder, "export")
    row = course.table()["ada"]
    assert (row["score"], row["max_score"]) == ("10.5", "11.0")
    assert course.grades()["ada"]["q5"] == [1.5, False]


class Formgrader:
    """The formgrader of a course, in a Jupyter server; calls its pages and its interface."""

    def __init__(self, course):
        self.course = course

    def __enter__(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.port = server.getsockname()[1]
        command = [self.course.python, "-m", "jupyter_server", f"--port={self.port}", "--no-browser", "--allow-root"]
        self.process = subprocess.Popen(
            [*map(str, command), "--IdentityProvider.token=secret"], env=self.course.environment,
            cwd=self.course.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        end = time.monotonic() + 600
        while time.monotonic() < end:
            try:
                self.call("api/assignments")
            except urllib.error.URLError:
                time.sleep(0.2)
            else:
                return self.call
        self.__exit__()
        raise AssertionError("the formgrader did not start within 600 seconds")

    def __exit__(self, *error):
        self.process.terminate()
        self.process.wait()

    def call(self, path, told=None):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/formgrader/{path}",
            method="GET" if told is None else "PUT",
            data=None if told is None else json.dumps(told).encode(),
            headers={"Authorization": "token secret"},
        )
        with urllib.request.urlopen(request, timeout=600) as answer:
            text = answer.read().decode()
        return json.loads(text) if path.startswith("api/") else text


# What is ours, without nbgrader.


def module(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "grading" / f"{name}.py")
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


kernel = module("sandboxed_kernel")


@pytest.mark.parametrize(
    ("limits", "flood", "says"),
    [
        (Limits(memory=2**20), 0, "it needs more than 1 MB of memory"),
        (Limits(processes=0), 0, "it starts more than 0 processes"),
        (Limits(), 2**21, "it writes files beside its sockets"),
    ],
)
def test_a_kernel_that_takes_too_much_is_ended(tmp_path, limits, flood, says):
    (tmp_path / "file").write_bytes(b"x" * flood)
    family = Family([sys.executable, "-c", "import time; time.sleep(600)"], {}, is_sandboxed=False)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(tmp_path / "kernel-1"))  # a kernel that has its sockets is watched
            with pytest.raises(kernel.KernelError, match=f"A kernel was ended: {says}"):
                kernel.watch(family, tmp_path, limits)
    finally:
        family.end()


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"transport": "tcp", "ip": "127.0.0.1"}, "The kernel course-sandbox has no network"),
        ({"transport": "ipc", "ip": "kernel-ipc"}, "The kernel course-sandbox has no network"),
        ({"transport": "ipc", "ip": f"/tmp/{'x' * 200}"}, "is too long for a socket"),
    ],
)
def test_a_kernel_that_nobody_could_talk_to_says_so(tmp_path, capsys, told, says):
    (tmp_path / "connection.json").write_text(json.dumps({**told, "shell_port": 1}), encoding="utf-8")
    assert kernel.main([str(tmp_path / "connection.json")]) == 1
    said = capsys.readouterr().err
    assert says in said
    assert len(said.splitlines()) == 1


def test_without_bubblewrap_no_kernel_starts(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    told = {"transport": "ipc", "ip": str(tmp_path / "k"), "shell_port": 1}
    (tmp_path / "connection.json").write_text(json.dumps(told), encoding="utf-8")
    assert kernel.main([str(tmp_path / "connection.json")]) == 1
    said = capsys.readouterr().err
    assert "install bubblewrap" in said
    assert "--without-sandbox" not in said  # there is no such option here


def test_a_course_folder_for_a_lesson_without_exercise_is_refused(sandboxed, tmp_path, capsys):
    assert module("nbgrader_course").main([str(tmp_path), "99"]) == 1
    assert capsys.readouterr().err.startswith("There is no exercise for lesson 99: use one of ")
    assert not list(tmp_path.iterdir())
