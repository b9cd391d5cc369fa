"""course.py on machines where something is missing: one sentence that says what to do, never a traceback.

The folders here hold a project of a few lines that needs no package index, so that a whole installation
takes seconds; pip and venv are the real ones.
"""

import ast
import errno
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

FRONT_DOOR = Path(__file__).resolve().parents[1] / "course.py"
PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "fake"
version = "1.0"
"""
BACKEND = """
import pathlib, zipfile
def build_editable(folder, settings=None, metadata=None):
    FAULT
    about = "fake-1.0.dist-info/"
    with zipfile.ZipFile(pathlib.Path(folder, "fake-1.0-py3-none-any.whl"), "w") as wheel:
        wheel.writestr("fake.pth", str(pathlib.Path(__file__).parent))
        wheel.writestr(about + "METADATA", "Metadata-Version: 2.1\\nName: fake\\nVersion: 1.0\\nNEEDS")
        wheel.writestr(about + "WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(about + "RECORD", "")
    return "fake-1.0-py3-none-any.whl"
"""
COMMAND = "import sys; print('handed over', sys.argv[1:]); sys.exit(7)"


def course_folder(folder, fault="", needs=""):
    """A small course in `folder`; `fault` runs while pip installs it."""
    shutil.copy(FRONT_DOOR, folder)
    (folder / "pyproject.toml").write_text(PROJECT)
    (folder / "constraints.txt").write_text("")
    backend = BACKEND.replace("FAULT", fault or "pass")
    needs = "Provides-Extra: dev\\n" + (f"Requires-Dist: {needs}\\n" if needs else "")
    (folder / "backend.py").write_text(backend.replace("NEEDS", needs))
    (folder / "course_utils").mkdir()
    (folder / "course_utils/cli.py").write_text(COMMAND)
    return folder


def environment(**changes):
    """The environment without this machine's own pip settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    return {**kept, "PIP_CONFIG_FILE": os.devnull, "PIP_RETRIES": "1", **changes}


def run(folder, *arguments, python=sys.executable, **changes):
    return subprocess.run(
        [python, str(folder / "course.py"), *arguments],
        env=environment(**changes),
        capture_output=True,
        text=True,
        timeout=1000,
    )


def sentence(result):
    """What it said, after making sure that it is one sentence and the exit code is 1."""
    assert result.returncode == 1, result
    said = result.stderr
    assert "Traceback" not in said
    assert len(said.splitlines()) == 1, said
    assert re.fullmatch(r"[A-Z].*\.", said.strip()), said
    assert not re.search(r"\w\.\s", said.strip()), said
    return said


def test_two_starts_at_once_install_once(tmp_path):
    course_folder(tmp_path, fault="import time; time.sleep(2)")
    command = [sys.executable, str(tmp_path / "course.py"), "lab"]
    starts = [subprocess.Popen(command, env=environment(), stdout=-1, stderr=-1, text=True) for _ in range(2)]
    said = [start.communicate(timeout=300) for start in starts]
    assert [start.returncode for start in starts] == [7, 7], said
    both = "".join(out for out, _ in said)
    assert both.count("Installing the course") == 1
    assert both.count("Another start is installing the course: waiting for it ...") == 1


@pytest.fixture
def front_door(tmp_path, monkeypatch):
    """course.py as a module, with an empty folder as its home."""
    spec = importlib.util.spec_from_file_location("front_door", FRONT_DOOR)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name, place in (("ROOT", ""), ("VENV", ".venv"), ("LOG", ".venv/install.log"), ("STAMP", ".venv/stamp")):
        monkeypatch.setattr(module, name, tmp_path / place)
    for name in ("constraints.txt", "pyproject.toml"):
        (tmp_path / name).write_text("")
    return module


# Which Python


def test_python_3_6_can_read_it():
    ast.parse(FRONT_DOOR.read_text(), feature_version=(3, 6))


@pytest.mark.parametrize("version", [(3, 8), (3, 10), (3, 14)])
def test_a_python_too_old_or_too_new_is_refused(version):
    code = f"import runpy, sys; sys.version_info = {(*version, 0, 'final', 0)}; sys.argv = ['course.py', 'lab']; "
    code += f"runpy.run_path({str(FRONT_DOOR)!r}, run_name='__main__')"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "needs Python 3.11, 3.12 or 3.13" in sentence(result)
    assert not result.stdout


def real_pythons():
    found = sorted((Path.home() / ".pyenv/versions").glob("3.*/bin/python"))
    on_path = [Path(place) for name in range(6, 11) if (place := shutil.which(f"python3.{name}"))]
    return [python for python in found + on_path if "shims" not in python.parts]


@pytest.mark.parametrize("python", real_pythons(), ids=lambda python: python.parts[-3])
def test_every_python_of_this_machine_gets_help_or_the_sentence(python):
    version = subprocess.run([python, "--version"], capture_output=True, text=True).stdout.split()[1]
    result = run(FRONT_DOOR.parent, "--help", python=str(python))
    if version.startswith(("3.11.", "3.12.", "3.13.")):
        assert (result.returncode, result.stderr) == (0, "")
    else:
        assert version in sentence(result)


# What is typed


def test_alone_it_says_what_a_newcomer_needs(tmp_path):
    course_folder(tmp_path)
    result = run(tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    for word in ("python3 course.py lab", "py course.py lab", "4 GB", "my-course", "README.md", "--help"):
        assert word in result.stdout
    assert len(result.stdout.splitlines()) < 15
    assert not (tmp_path / ".venv").exists()


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_installs_nothing(tmp_path, option):
    course_folder(tmp_path)
    result = run(tmp_path, option)
    assert result.returncode == 0
    for command in ("lab", "test", "models", "sync", "setup-tests"):
        assert re.search(rf"^  {command}\s", result.stdout, re.MULTILINE)
    assert not (tmp_path / ".venv").exists()


def test_an_unknown_command_installs_nothing(tmp_path):
    course_folder(tmp_path)
    assert "There is no command labb: use one of lab," in sentence(run(tmp_path, "labb"))
    assert not (tmp_path / ".venv").exists()


# Installing once


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    folder = course_folder(tmp_path_factory.mktemp("with a space"))
    return folder, run(folder, "models", "list", "--all")


def test_it_installs_and_hands_over(installed):
    _, result = installed
    assert "Installing" in result.stdout
    assert "handed over ['models', 'list', '--all']" in result.stdout
    assert (result.returncode, result.stderr) == (7, "")


def test_again_installs_nothing_until_something_changes(installed):
    folder, _ = installed
    assert run(folder, "lab").stdout == "handed over ['lab']\n"
    assert "Installing" in run(folder, "test").stdout, "the test tools are more than the course"
    assert run(folder, "lab").stdout == "handed over ['lab']\n", "the test tools include the course"
    with (folder / "constraints.txt").open("a") as pins:
        pins.write("numpy==1\n")
    changed = run(folder, "lab").stdout
    assert "Installing" in changed
    assert "Making" not in changed
    assert run(folder, "test").stdout == "handed over ['test']\n", "the test tools were kept"


@pytest.mark.parametrize("damage", ["killed", "only pyvenv.cfg", "python gone", "moved"])
def test_a_half_made_or_broken_environment_is_made_again(installed, tmp_path, damage):
    folder, venv = tmp_path / "course", tmp_path / "course/.venv"
    shutil.copytree(installed[0], folder, symlinks=True)
    here = (venv / "course-installed").read_text().replace(str(installed[0].resolve()), str(folder.resolve()))
    if damage != "moved":
        (venv / "course-installed").write_text(here)
    if damage == "killed":
        (venv / "course-installed").unlink()
    elif damage == "only pyvenv.cfg":
        settings = (venv / "pyvenv.cfg").read_text()
        shutil.rmtree(venv)
        venv.mkdir()
        (venv / "pyvenv.cfg").write_text(settings)
    elif damage == "python gone":
        for python in (venv / "bin").glob("python*"):
            python.unlink()
            python.symlink_to("/nowhere/python")
    result = run(folder, "lab")
    assert "Making the folder .venv" in result.stdout
    assert "handed over ['lab']" in result.stdout
    assert result.returncode == 7


# Failing while installing


@pytest.mark.parametrize(
    ("fault", "needs", "settings", "words"),
    [
        ("", "nosuch==1", {"PIP_INDEX_URL": "http://127.0.0.1:9/simple"}, "connect to a network"),
        ("", "nosuch==1", {"PIP_NO_INDEX": "1"}, "shows no nosuch==1 for this machine"),
        (f"raise OSError({errno.ENOSPC}, 'No space left on device')", "", {}, "free 3 GB"),
        ("raise SystemExit('strange')", "", {}, "delete "),
    ],
)
def test_a_failed_installation_is_one_sentence_and_leaves_no_stamp(tmp_path, fault, needs, settings, words):
    course_folder(tmp_path, fault, needs)
    result = run(tmp_path, "lab", **settings)
    assert words in sentence(result)
    assert (tmp_path / ".venv/install.log").stat().st_size > 0
    assert not (tmp_path / ".venv/course-installed").exists()


def test_a_course_that_ran_still_runs_when_the_test_tools_cannot_be_had(tmp_path):
    course_folder(tmp_path, needs="nosuch==1; extra == 'dev'")
    assert run(tmp_path, "lab").returncode == 7
    assert "nosuch" in sentence(run(tmp_path, "test", PIP_NO_INDEX="1"))
    assert run(tmp_path, "lab", PIP_NO_INDEX="1").stdout == "handed over ['lab']\n"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no process groups to send Ctrl-C to")
def test_ctrl_c_is_one_sentence_and_pip_cleans_up(tmp_path):
    course_folder(tmp_path, fault="import time; open('started', 'w').close(); time.sleep(600)")
    command = [sys.executable, str(tmp_path / "course.py"), "lab"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    (tmp_path / "temporary").mkdir()
    settings = environment(TMPDIR=str(tmp_path / "temporary"))
    running = subprocess.Popen(command, env=settings, start_new_session=True, **pipes)
    give_up = time.monotonic() + 300
    while not (tmp_path / "started").exists():
        assert time.monotonic() < give_up
        time.sleep(0.1)
    os.killpg(running.pid, signal.SIGINT)
    out, err = running.communicate(timeout=300)
    result = subprocess.CompletedProcess(command, running.returncode, out, err)
    assert "Stopped: run the same command again" in sentence(result)
    assert not (tmp_path / ".venv/course-installed").exists()
    assert list((tmp_path / "temporary").iterdir()) == []


def test_a_file_in_the_place_of_the_environment(tmp_path):
    course_folder(tmp_path)
    (tmp_path / ".venv").write_text("")
    assert "delete " in sentence(run(tmp_path, "lab"))


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "free 3 GB"),
        ("OSError: [Errno 122] Disk quota exceeded", "free 3 GB"),
        ("Error: [Errno 13] Permission denied: '/opt/course/.venv'", "cannot be written"),
        ("Error: [Errno 30] Read-only file system: '/mnt/.venv'", "cannot be written"),
        ("PermissionError: [WinError 5] Access is denied: 'torch.dll'", "close what still runs"),
        ("HINT: This error might have occurred since this system does not have Windows Long Path support", "short"),
        ("because ensurepip is not available. On Debian/Ubuntu systems, you need", "python3-venv"),
        ("/usr/bin/python3: No module named venv", "python3-venv"),
        ("WARNING: Retrying (Retry(total=1)) after connection broken\nERROR: No matching distribution found for x",
         "connect to a network"),
        ("ReadTimeoutError: Read timed out.", "connect to a network"),
        ("SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]", "connect to a network"),
        ("ERROR: No matching distribution found for torch>=2.9", "shows no torch>=2.9 for this machine"),
        ("ERROR: something new {braces}", "something new {braces}"),
    ],
)  # fmt: skip
def test_what_pip_and_venv_say_becomes_advice(front_door, said, words):
    assert words in front_door.explain(said)


def test_too_little_space_is_noticed_before_anything_is_downloaded(front_door, monkeypatch):
    commands = []
    monkeypatch.setattr(front_door, "run", lambda command, **options: commands.append(command))
    monkeypatch.setattr(front_door.shutil, "disk_usage", lambda place: shutil._ntuple_diskusage(9, 8, 10**9))
    with pytest.raises(front_door.Problem, match="free 3 GB"):
        front_door.install("")
    assert not any("pip" in command for command in commands)


def test_pip_gives_up_soon_and_keeps_the_users_settings(front_door, monkeypatch):
    seen = []

    class Fake:
        returncode = 0

        def __init__(self, command, env, **options):
            seen.append(env)

        def communicate(self):
            return None, b""

    for name in ("PIP_DEFAULT_TIMEOUT", "PIP_RETRIES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(front_door.subprocess, "Popen", Fake)
    monkeypatch.setenv("PIP_INDEX_URL", "https://mirror.example/simple")
    front_door.run(["pip"])
    monkeypatch.setenv("PIP_DEFAULT_TIMEOUT", "180")
    front_door.run(["pip"])
    assert [env["PIP_DEFAULT_TIMEOUT"] for env in seen] == ["15", "180"]
    assert {env["PIP_RETRIES"] for env in seen} == {"2"}
    assert {env["PIP_INDEX_URL"] for env in seen} == {"https://mirror.example/simple"}
