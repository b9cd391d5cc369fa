"""A course on a stick: made by `course bundle`, killed, full, damaged; installed by `start.py` without a network.

Most tests use a course of a few lines with one tiny package and one tiny model, so that pip and venv can be the real
ones. The last test takes the whole course, a network and minutes: it runs with COURSE_SLOW_TESTS=1.
"""

import ast
import itertools
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from course_utils.machine import ROOT
from course_utils.models import store as store_module
from course_utils.models.catalogue import ModelEntry
from course_utils.models.store import ModelStore, ModelStoreError
from course_utils.publishing import bundle as bundle_module
from course_utils.publishing.bundle import SYSTEM, BundleError, bundle, copy_course, copy_models, requirements
from tests.test_front_door import BACKEND, FRONT_DOOR, PROJECT
from tests.test_offline import RUN, can_unshare

TINY = ModelEntry("tiny", "encoder", "Apache-2.0", "made by this test", 1_000, "tiny-model==1.0", "", "", "")
CLI = "import sys, pathlib, tiny; print('handed over', tiny.__file__ is not None, *sys.argv[1:])"
# `bundle` in a process of its own, with the tiny model for a catalogue and FAULT before it.
BUNDLE = """
import os, pathlib, signal, sys
from course_utils.publishing import bundle as module
from tests.test_bundle import TINY
module.CATALOGUE = {"tiny": TINY}
die = lambda *arguments, **options: os.kill(os.getpid(), signal.SIGKILL)
FAULT
try:
    module.bundle(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
except module.BundleError as error:
    sys.exit(str(error))
"""
needs_namespaces = pytest.mark.skipif(
    not can_unshare() or subprocess.run(["unshare", "-rm", "true"]).returncode != 0,
    reason="this machine cannot give a process its own network and mounts (unshare -rnm)",
)


def tiny_wheel(folder):
    with zipfile.ZipFile(folder / "tiny-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny.py", f"text = {'x' * 1000!r}")
        wheel.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        wheel.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("tiny-1.0.dist-info/RECORD", "")


def tiny_store(folder):
    made = folder / "tiny"
    made.mkdir(parents=True)
    (made / "model.safetensors").write_bytes(os.urandom(3_000_000))
    store_module._write_manifest(TINY, made)
    return ModelStore(folder)


def tiny_course(folder):
    (folder / "course_utils").mkdir(parents=True)
    shutil.copy(FRONT_DOOR, folder)
    shutil.copytree(ROOT / "workshop/stick", folder / "workshop/stick")
    (folder / "pyproject.toml").write_text(PROJECT + 'dependencies = ["tiny"]\n')
    (folder / "backend.py").write_text(
        BACKEND.replace("FAULT", "pass").replace("NEEDS", "Requires-Dist: tiny==1.0\\nProvides-Extra: dev\\n")
    )
    (folder / "constraints.txt").write_text("tiny==1.0\n")
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8")
    (folder / ".gitignore").write_text(f"{ignored}/notes.txt\n", encoding="utf-8")
    (folder / "notes.txt").write_text("git ignores me")
    (folder / "my-course/notebooks").mkdir(parents=True)
    (folder / "my-course/notebooks/lesson.ipynb").write_text("the work of the stick's maker")
    (folder / ".hidden").mkdir()
    (folder / "lesson.ipynb").write_text("the lesson")
    (folder / "course_utils/cli.py").write_text(CLI)
    return folder


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """The tiny course, and the settings under which its package and its model are at hand."""
    place = tmp_path_factory.mktemp("origin")
    (place / "wheelhouse").mkdir()
    tiny_wheel(place / "wheelhouse")
    tiny_store(place / "store")
    settings = {
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(place / "wheelhouse"),
        "COURSE_MODELS_DIR": str(place / "store"),
        "PYTHONPATH": str(ROOT),
    }
    return tiny_course(place / "course"), settings


def make(tiny, out, fault="", before=(), **changes):
    """Run `bundle` as a process; return it."""
    course, settings = tiny
    command = [*before, sys.executable, "-c", BUNDLE.replace("FAULT", fault), str(course), str(out)]
    environment = {**os.environ, **settings, **changes}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1000)


@pytest.fixture(scope="module")
def stick(tiny, tmp_path_factory):
    out = tmp_path_factory.mktemp("a stick") / "llms"
    made = make(tiny, out)
    assert made.returncode == 0, made.stderr
    return out


def everything(folder):
    """Every file with its bytes, without locks."""
    files = (file for file in folder.rglob("*") if file.is_file() and file.suffix != ".lock")
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def start(stick, *arguments, before=(), **changes):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "COURSE_", "PYTHON"))}
    command = [*before, sys.executable, str(stick / "start.py"), *map(str, arguments)]
    return subprocess.run(command, env={**kept, **changes}, capture_output=True, text=True, timeout=1000)


def sentence(said):
    assert "Traceback" not in said
    assert re.fullmatch(r"[A-Z/].*\.", said.strip()), said
    return said


# What goes into it


def test_the_course_is_what_git_would_take(tmp_path):
    copy_course(ROOT, tmp_path / "course")
    names = set(everything(tmp_path / "course"))
    assert {"course.py", "constraints.txt", ".gitignore", "notebooks/00_start_here.ipynb", "LICENSE"} <= names
    assert {"workshop/stick/start.py", "course_utils/publishing/bundle.py"} <= names
    assert "notebooks/images/00_start_here.svg" in names
    assert not [name for name in names if re.search(r"(^|/)(\.venv|__pycache__|\.git|test-artifacts)/", name)]
    if shutil.which("git") and (ROOT / ".git").exists():  # a course from a stick has none
        listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
        tracked = {name for name in listed.stdout.splitlines() if not re.match(r"\.\w+/", name)}
        assert {name for name in tracked if (ROOT / name).is_file()} <= names


def test_pip_must_find_what_runs_the_course_and_what_builds_it():
    needed = " ".join(requirements(ROOT))
    assert re.search(r"jupyterlab.*hatchling.*editables", needed)
    assert re.search(r" torch==[\d.]+\+cpu$", needed) or sys.platform != "linux", "CUDA would be gigabytes"


def test_the_folder_is_complete(tiny, stick):
    files = everything(stick)
    wheel = f"wheels/{SYSTEM}/tiny-1.0-py3-none-any.whl"
    assert {"START.md", "start.py", wheel, "models/tiny/manifest.json", "course/lesson.ipynb"} <= files.keys()
    assert "course/notes.txt" not in files
    assert not [name for name in files if "my-course" in name]
    assert not [name for name in files if "unfinished" in name or "before" in name]


def test_again_fetches_nothing(tiny, stick):
    before = everything(stick)
    again = make(tiny, stick, PIP_FIND_LINKS="/nowhere", COURSE_MODELS_DIR="/nowhere")
    assert again.returncode == 0, again.stderr
    assert "Fetching" not in again.stdout + again.stderr
    assert everything(stick) == before


@pytest.mark.parametrize("damage", ["a wheel cut short", "a bit of a wheel", "no wheel", "a bit of a model"])
def test_damage_is_repaired(tiny, stick, tmp_path, damage):
    out = tmp_path / "llms"
    shutil.copytree(stick, out)
    wheel, model = out / "wheels" / SYSTEM / "tiny-1.0-py3-none-any.whl", out / "models/tiny/model.safetensors"
    if damage == "no wheel":
        wheel.unlink()
    elif damage == "a wheel cut short":
        wheel.write_bytes(wheel.read_bytes()[:500])
    else:
        file = wheel if damage == "a bit of a wheel" else model
        content = bytearray(file.read_bytes())
        content[100] ^= 1
        file.write_bytes(content)
    assert make(tiny, out).returncode == 0
    assert everything(out) == everything(stick)


@pytest.mark.parametrize(
    "fault",
    ["module.wheels_problem = die", "module.shutil.copytree = die", "module.copy_course = die"],
)
def test_a_killed_run_is_finished_by_the_next(tiny, stick, tmp_path, fault):
    out = tmp_path / "llms"
    assert make(tiny, out, fault).returncode == -9
    assert not (out / "start.py").exists(), "nobody starts half a course"
    assert make(tiny, out).returncode == 0
    assert everything(out) == everything(stick)


@pytest.mark.parametrize("renames", [0, 1, 2])
def test_a_run_that_is_killed_while_it_replaces_keeps_the_only_complete_copy(tiny, stick, tmp_path, renames):
    """A stick whose file system can't exchange two folders; the next run finds a full disk, the one after doesn't."""
    out = tmp_path / "llms"
    shutil.copytree(stick, out)
    fault = f"""
from course_utils import files
files._exchanged = lambda one, other: False
left, rename, remove = iter(range({renames})), pathlib.Path.rename, files._remove
pathlib.Path.rename = lambda *names: rename(*names) if next(left, None) is not None else die()
files._remove = lambda path: die() if {renames} == 2 and ".before" in path.name else remove(path)
"""
    assert make(tiny, out, fault).returncode == -9
    full = "def full(*names): raise OSError(28, 'No space left on device')\nmodule.copy_course = full"
    failed = make(tiny, out, full)
    assert "There is not enough free space" in sentence(failed.stderr)
    assert everything(out) == everything(stick)
    assert make(tiny, out).returncode == 0
    assert everything(out) == everything(stick)


# What a person can do wrong


def test_a_folder_with_something_else_is_left_alone(tiny, tmp_path):
    (tmp_path / "course").mkdir()
    (tmp_path / "course/thesis.txt").write_text("mine")
    assert "holds something else: name a folder" in sentence(make(tiny, tmp_path).stderr)
    assert everything(tmp_path) == {"course/thesis.txt": b"mine"}


def test_the_course_cannot_hold_its_own_bundle():
    with pytest.raises(BundleError, match="is a part of the course: name a folder outside"):
        bundle(ROOT, ROOT / "stick")
    assert not (ROOT / "stick").exists()


def test_a_file_in_the_place_of_the_folder(tiny, tmp_path):
    (tmp_path / "llms").write_text("")
    assert "cannot be written (Not a directory): name another folder" in sentence(make(tiny, tmp_path / "llms").stderr)


@pytest.mark.parametrize(
    ("pins", "words"),
    [("tiny==1.0\n", "pip says: Cannot install tiny"), ("torch==2.13.0\n", "PIP_EXTRA_INDEX_URL=")],
)
def test_what_pip_cannot_find_is_one_sentence(tiny, tmp_path, pins, words):
    course = tmp_path / "course"
    shutil.copytree(tiny[0], course)
    (course / "constraints.txt").write_text(pins)
    if "torch" in pins:
        if sys.platform != "linux":
            pytest.skip("only on Linux the ordinary torch has CUDA")
        project = course / "pyproject.toml"
        project.write_text(project.read_text().replace('["tiny"]', "[]"))
    failed = make((course, tiny[1]), tmp_path / "llms", PIP_FIND_LINKS=str(tmp_path))
    assert words in sentence(failed.stderr)


@needs_namespaces
@pytest.mark.parametrize("megabytes", [1, 2])
def test_a_full_disk_is_one_sentence(tiny, tmp_path, megabytes):
    disk = f'mount -t tmpfs -o size={megabytes}m tmpfs "$0" && exec "$@"'
    failed = make(tiny, tmp_path / "llms", before=["unshare", "-rm", "sh", "-c", disk, str(tmp_path)])
    assert failed.returncode == 1
    assert "There is not enough free space in " in sentence(failed.stderr)


# The models


def left_by_a_killed_run(folder):
    """Fill a folder in a process that ends like a killed one: without a word, and without cleaning up."""
    program = "import os, pathlib, sys\nfrom course_utils.files import whole_folder\n"
    program += "with whole_folder(pathlib.Path(sys.argv[1])): os._exit(9)"
    assert subprocess.run([sys.executable, "-c", program, str(folder)]).returncode == 9
    assert len(list(folder.parent.iterdir())) == 1


def test_models_come_from_a_read_only_folder_once(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bundle_module, "CATALOGUE", {"tiny": TINY})
    source, target = tiny_store(tmp_path / "source"), ModelStore(tmp_path / "target")
    left_by_a_killed_run(target.folder(TINY))
    copy_models(source, target)
    assert target.state(TINY) == "ready"
    assert "Copying tiny" in capsys.readouterr().out
    assert sorted(one.name for one in target.root.iterdir()) == [".tiny.lock", "tiny"]
    copy_models(ModelStore(tmp_path / "gone"), target)
    assert capsys.readouterr().out == ""


def test_a_damaged_model_is_not_copied(tmp_path, monkeypatch):
    monkeypatch.setattr(bundle_module, "CATALOGUE", {"tiny": TINY})
    source = tiny_store(tmp_path / "source")
    with (tmp_path / "source/tiny/model.safetensors").open("r+b") as file:
        file.write(b"other")
    with pytest.raises(ModelStoreError, match=r"is damaged .* Run `course models fetch --to"):
        copy_models(source, ModelStore(tmp_path / "target"))
    assert not (tmp_path / "target").exists()


# Where it is installed


def test_python_3_6_can_read_the_start():
    ast.parse((ROOT / "workshop/stick/start.py").read_text(), feature_version=(3, 6))


@needs_namespaces
def test_it_installs_without_a_network_from_a_read_only_stick(stick, tmp_path):
    """Twice: what the learner wrote in between stays, and nothing is installed again."""
    home = {"HOME": str(tmp_path)}
    read_only = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && ! touch "$0/x" 2>/dev/null && exec "$@"'
    before = ["unshare", "-rnm", "sh", "-c", read_only, str(stick.parent)]
    (tmp_path / ".my course-unfinished").mkdir()  # of a start that was killed
    first = start(stick, tmp_path / "my course", before=before, **home)
    assert first.returncode == 0, first.stderr
    assert f"handed over True models fetch --from {stick}/models" in first.stdout
    assert first.stdout.endswith("handed over True lab\n")
    (tmp_path / "my course/lesson.ipynb").write_text("my answer")
    again = start(stick, "~/my course", "models", "list", before=before, **home)
    assert again.stdout == f"handed over True models fetch --from {stick}/models\nhanded over True models list\n"
    assert (tmp_path / "my course/lesson.ipynb").read_text() == "my answer"
    assert [file.name for file in tmp_path.iterdir() if "unfinished" in file.name] == []


@pytest.mark.parametrize("what", ["something else", "another version", "a file"])
def test_a_folder_of_the_learner_is_left_alone(stick, tmp_path, what):
    mine = tmp_path / "mine"
    if what == "another version":
        shutil.copytree(stick / "course", mine)
        (mine / "constraints.txt").write_text("tiny==2.0\n")
    elif what == "something else":
        mine.mkdir()
        (mine / "thesis.txt").write_text("mine")
    else:
        mine.write_text("mine")
    before = everything(tmp_path)
    failed = start(stick, mine)
    assert failed.returncode == 1
    assert "holds something else, or another version of the course: name another folder." in sentence(failed.stderr)
    assert everything(tmp_path) == before


def test_another_python_is_told_which_one_it_needs(stick, tmp_path):
    other = tmp_path / "llms"
    shutil.copytree(stick, other)
    (other / "wheels" / SYSTEM).rename(other / "wheels/Windows-AMD64-Python-3.12")
    failed = start(other, tmp_path / "mine")
    assert failed.returncode == 1
    assert f"packages for Windows-AMD64-Python-3.12, not for {SYSTEM}: use" in sentence(failed.stderr)
    assert not (tmp_path / "mine").exists()


# The whole course


@needs_namespaces
@pytest.mark.skipif(os.environ.get("COURSE_SLOW_TESTS") != "1", reason="takes minutes: set COURSE_SLOW_TESTS=1")
def test_the_whole_course_runs_lesson_00_from_a_bundle_without_a_network(tmp_path, capsys):
    out, mine = tmp_path / "a stick/llms", tmp_path / "my course"
    times = [time.monotonic()]
    command = [sys.executable, "-m", "course_utils.cli", "bundle", "--out", str(out)]
    made = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    times.append(time.monotonic())
    cut = ["unshare", "-rn", "sh", "-c", 'ip link set lo up; exec "$0" "$@"']
    settings = {"HOME": str(tmp_path), "PIP_NO_COMPILE": "1", "OMP_NUM_THREADS": "1"}
    started = start_whole(out, mine, cut, settings)
    assert "all-MiniLM-L6-v2: every file has its checksum." in started
    shutil.rmtree(out)  # the stick is pulled out
    times.append(time.monotonic())
    lesson = [str(mine / ".venv/bin/python"), "-c", RUN, str(mine / "notebooks/00_start_here.ipynb"), str(mine)]
    clean = {"PATH": os.environ["PATH"], **settings}
    ran = subprocess.run([*cut, *lesson], env=clean, capture_output=True, text=True, timeout=4000)
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert ran.stdout.startswith("executed")
    times.append(time.monotonic())
    seconds = [round(after - before) for before, after in itertools.pairwise(times)]
    with capsys.disabled():
        print("\nbundle {} s, start {} s, lesson 00 {} s; cells".format(*seconds), ran.stdout.strip())


def start_whole(stick: Path, folder: Path, cut: list, settings: dict) -> str:
    command = [*cut, sys.executable, str(stick / "start.py"), str(folder), "models", "verify"]
    environment = {"PATH": os.environ["PATH"], **settings}
    started = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=9000)
    assert started.returncode == 0, started.stderr
    return started.stdout
