"""A learner's own copy: nothing in it spoils a prediction, and no work is ever lost.

The bad disks at the end are real mounts, in a namespace of their own.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import nbformat
import pytest
from filelock import FileLock

from course_utils import files
from course_utils.cli import FIRST_LESSON
from course_utils.learner import workspace
from course_utils.learner.workspace import (
    EVERYTHING,
    IN_CLASS,
    LOCK,
    RECORD,
    CopyError,
    give_course,
    notebooks_in_use,
    without_outputs,
)
from course_utils.machine import ROOT
from tests.test_bundle import needs_namespaces

LESSON = "notebooks/11_sampling.ipynb"
BESIDE = "notebooks/11_sampling-new.ipynb"
EXERCISE = "exercises/11_sampling.ipynb"
SOLUTION = "solutions/11_sampling.ipynb"
# The real command, over the course in the folder that comes first.
COMMAND = """
import pathlib, sys
from course_utils import cli
cli.ROOT = pathlib.Path(sys.argv[1])
cli.OWN_COPY = cli.ROOT / "my-course"
sys.exit(cli.main(sys.argv[2:]))
"""


def notebook(code, output=None, count=None, **metadata):
    """The text of a notebook with one code cell."""
    made = nbformat.v4.new_code_cell(code, id="first", execution_count=count)
    if output is not None:
        made.outputs = [nbformat.v4.new_output("stream", text=output)]
    return nbformat.v4.writes(nbformat.v4.new_notebook(cells=[made], metadata=metadata))


@pytest.fixture
def course(tmp_path):
    """A course of three notebooks, executed, one of them a solution."""
    for name in (LESSON, EXERCISE, SOLUTION):
        put(tmp_path / "course" / name, notebook("first", "77 %", 1))
    put(tmp_path / "course" / "notebooks/source/11_sampling.py", "# %%\nfirst\n")
    return tmp_path / "course"


@pytest.fixture
def home(tmp_path, course):
    """A learner's copy of it."""
    give_course(course, tmp_path / "home")
    return tmp_path / "home"


def put(file, text):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def code(file):
    """The code of the one cell of a notebook that `notebook` made."""
    return nbformat.read(file, as_version=4).cells[0].source


def everything(folder):
    """Every file with its bytes, without the lock."""
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file() and file.name != LOCK
    }


# What is given


def test_a_learner_of_a_class_gets_lessons_and_exercises_without_outputs(course, tmp_path):
    done = give_course(course, tmp_path / "home")
    assert done == {LESSON: "new", EXERCISE: "new"}
    assert everything(tmp_path / "home").keys() == {*done, RECORD}
    (cell,) = nbformat.read(tmp_path / "home" / LESSON, as_version=4).cells
    assert (cell.source, cell.outputs, cell.execution_count) == ("first", [], None)


def test_on_a_laptop_the_solutions_are_there_too(course, tmp_path):
    assert give_course(course, tmp_path / "home", EVERYTHING).keys() == {LESSON, EXERCISE, SOLUTION}


def test_folders_in_folders_and_pictures_are_given_and_nothing_else(course, home):
    for name in ("deeper/roofline.ipynb", "images/loop.svg"):
        put(course / "notebooks" / name, "first")
    for name in ("my notes.txt", ".ipynb_checkpoints/11_sampling-checkpoint.ipynb", "source/picture.svg"):
        put(course / "notebooks" / name, "not for learners")
    given = {"notebooks/deeper/roofline.ipynb": "new", "notebooks/images/loop.svg": "new"}
    assert give_course(course, home) == given


REAL = sorted(file for kind in EVERYTHING for file in (ROOT / kind).rglob("*.ipynb") if "." not in file.parent.name)


@pytest.mark.parametrize("file", REAL, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_every_notebook_of_the_course_loses_its_outputs_and_nothing_else(file):
    before, after = (nbformat.reads(text, as_version=4) for text in (file.read_text("utf-8"), stripped(file)))
    nbformat.validate(after)
    assert [cell for cell in after.cells if cell.get("outputs") or cell.get("execution_count")] == []
    for cell in before.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    assert before == after


def stripped(file):
    return without_outputs(file.read_bytes()).decode("utf-8")


@pytest.mark.parametrize("content", [b"", b"not json", b"[]", b"{}", b'{"cells": 3}', b'{"cells": [3]}', b"\xff"])
def test_what_is_no_notebook_is_given_as_it_is(content):
    assert without_outputs(content) == content


# Links


def dead_links(folder):
    """The links and pictures in the notebooks of `folder` that lead nowhere in it."""
    for file in sorted(folder.rglob("*.ipynb")):
        for cell in json.loads(file.read_text(encoding="utf-8"))["cells"]:
            text = "".join(cell["source"]) if cell["cell_type"] == "markdown" else ""
            text = re.sub(r"```.*?```|`[^`]+`", "", text, flags=re.DOTALL)  # code is full of brackets
            links = re.findall(r"\]\(([^)\s#]+)", text) + re.findall(r"(?:href|src)=[\"']([^\"'#]+)", text)
            for link in links:
                if not re.match(r"[a-z]+:", link) and not is_inside(file.parent / link, folder):
                    yield f"{file.relative_to(folder)}: {link}"


def is_inside(place, folder):
    return place.resolve().is_relative_to(folder.resolve()) and place.exists()


@pytest.mark.parametrize("kinds", [EVERYTHING, IN_CLASS], ids=["laptop", "class"])
def test_links_between_lessons_exercises_and_pages_lead_somewhere_in_the_copy(tmp_path, kinds):
    given = give_course(ROOT, tmp_path, kinds)
    assert FIRST_LESSON in given
    assert len(given) > 30
    assert list(dead_links(tmp_path)) == []


@pytest.mark.parametrize(
    "text", ["[a](12_gone.ipynb)", "![b](images/gone.svg)", '<img src="x.png">', "[c](../../d.md)"]
)
def test_a_dead_link_would_be_found(tmp_path, text):
    cells = [nbformat.v4.new_markdown_cell(text)]
    put(tmp_path / "own" / LESSON, nbformat.v4.writes(nbformat.v4.new_notebook(cells=cells)))
    put(tmp_path / "d.md", "outside the copy")
    assert len(list(dead_links(tmp_path / "own"))) == 1


# A new version of the course


def test_nothing_is_done_twice(course, home):
    before = {file: file.stat().st_mtime_ns for file in home.rglob("*") if file.name != LOCK}
    assert give_course(course, home) == {}
    assert {file: file.stat().st_mtime_ns for file in home.rglob("*") if file.name != LOCK} == before


def test_new_outputs_alone_are_no_new_version(course, home):
    put(course / LESSON, notebook("first", "78 %", 2))
    assert give_course(course, home) == {}


def test_what_the_learner_did_not_change_is_updated(course, home):
    put(course / LESSON, notebook("second", "77 %", 1))
    assert give_course(course, home) == {LESSON: "updated"}
    assert code(home / LESSON) == "second"


@pytest.mark.parametrize("theirs", [notebook("mine"), notebook("first", "77 %", 1), "no notebook any more"])
def test_what_the_learner_changed_or_ran_stays_and_the_new_version_is_put_beside_it_once(course, home, theirs):
    put(home / LESSON, theirs)
    assert give_course(course, home) == {}, "there is nothing new"
    put(course / LESSON, notebook("second"))
    assert give_course(course, home) == {BESIDE: "put beside yours"}
    assert give_course(course, home) == {}
    assert (home / LESSON).read_text(encoding="utf-8") == theirs
    assert code(home / BESIDE) == "second"


def test_a_notebook_that_was_only_opened_is_updated(course, home):
    """JupyterLab saves it then, with the kernel's version and in its own order (see the browser test)."""
    opened = json.loads((home / LESSON).read_text(encoding="utf-8"))
    opened["metadata"] = {"language_info": {"version": "3.13"}, "kernelspec": {"name": "python3"}}
    put(home / LESSON, json.dumps(dict(reversed(opened.items()))))
    put(course / LESSON, notebook("second"))
    assert give_course(course, home) == {LESSON: "updated"}


def test_work_in_the_version_beside_is_kept_too(course, home):
    put(home / LESSON, notebook("mine"))
    put(course / LESSON, notebook("second"))
    give_course(course, home)
    put(home / BESIDE, notebook("mine, in the new one"))
    put(course / LESSON, notebook("third"))
    assert give_course(course, home) == {"notebooks/11_sampling-new-2.ipynb": "put beside yours"}
    assert code(home / BESIDE) == "mine, in the new one"


def test_a_learner_who_takes_the_new_version_gets_the_next_one_in_place(course, home):
    put(home / LESSON, notebook("mine"))
    put(course / LESSON, notebook("second"))
    give_course(course, home)
    (home / BESIDE).replace(home / LESSON)
    put(course / LESSON, notebook("third"))
    assert give_course(course, home) == {LESSON: "updated"}


def test_a_renamed_lesson_comes_again_beside_it(course, home):
    (home / LESSON).rename(home / "notebooks/my lesson.ipynb")
    assert give_course(course, home) == {LESSON: "new"}
    assert (home / "notebooks/my lesson.ipynb").exists()


@pytest.mark.parametrize("damage", ["", "{", "[]", "\x00"])
def test_without_a_record_everything_that_differs_is_kept(course, home, damage):
    put(home / LESSON, notebook("mine"))
    put(home / RECORD, damage)
    assert give_course(course, home) == {BESIDE: "put beside yours"}
    assert code(home / LESSON) == "mine"


def test_copies_with_outputs_that_a_hub_gave_before_are_updated_where_nobody_changed_them(course, home):
    given = {}
    for name in (LESSON, EXERCISE):
        shutil.copy(course / name, home / name)
        given[name] = workspace.hashlib.sha256((course / name).read_bytes()).hexdigest()
    put(home / RECORD, json.dumps(given))
    put(home / EXERCISE, notebook("mine"))
    assert give_course(course, home) == {LESSON: "updated", "exercises/11_sampling-new.ipynb": "put beside yours"}
    assert "77 %" not in (home / LESSON).read_text(encoding="utf-8")


def test_two_starts_at_once_give_everything_once(course, tmp_path):
    for number in range(20):
        put(course / f"notebooks/{number:02}_lesson.ipynb", notebook(f"lesson {number}"))
    with ThreadPoolExecutor(4) as together:
        done = list(together.map(lambda _: give_course(course, tmp_path / "home"), range(4)))
    assert sorted(map(len, done)) == [0, 0, 0, 22]


def test_a_start_that_hangs_is_named(course, home, monkeypatch):
    monkeypatch.setattr(workspace, "PATIENCE", 0)
    with FileLock(home / LOCK), pytest.raises(CopyError, match=r"Another start is still copying .*home"):
        give_course(course, home)


def test_a_full_disk_leaves_the_old_version_whole_and_the_next_start_goes_on(course, home, monkeypatch):
    put(course / LESSON, notebook("second"))
    put(home / EXERCISE, notebook("mine"))

    def full(*arguments):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(files.os, "fsync", full)
        with pytest.raises(CopyError, match=r"no space left for your copy .*home: free 20 MB there$"):
            give_course(course, home)
    assert code(home / LESSON) == "first"
    assert give_course(course, home) == {LESSON: "updated"}
    assert code(home / EXERCISE) == "mine"
    assert not [name for name in everything(home) if "unfinished" in name]


# Work in the course's own folders, from before there was a copy


@pytest.fixture
def cloned(course):
    """The course as a clone of git."""
    git(course, "init", "--quiet")
    git(course, "add", ".")
    git(course, "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "--quiet", "--message", "course")
    return course


def git(folder, *arguments):
    subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True)


def lab(course, home):
    """What `course lab` does before it opens JupyterLab."""
    return give_course(course, home, EVERYTHING, notebooks_in_use(course))


def test_without_work_in_them_nothing_is_special(cloned, tmp_path):
    assert notebooks_in_use(cloned) == {}
    assert set(lab(cloned, tmp_path / "home").values()) == {"new"}


@pytest.mark.parametrize("theirs", [notebook("mine", "42", 7), notebook("first", "78 %", 1)])
def test_work_from_before_is_in_the_copy_as_it_was_and_stays_where_it_was(cloned, tmp_path, theirs):
    put(cloned / LESSON, theirs)
    before = everything(cloned)
    done = lab(cloned, tmp_path / "home")
    assert done == {LESSON: "kept", EXERCISE: "new", SOLUTION: "new"}
    assert (tmp_path / "home" / LESSON).read_text(encoding="utf-8") == theirs
    assert everything(cloned) == before


def test_work_from_before_is_offered_once(cloned, tmp_path):
    put(cloned / LESSON, notebook("mine"))
    lab(cloned, tmp_path / "home")
    put(tmp_path / "home" / LESSON, notebook("mine, later"))
    put(cloned / LESSON, notebook("mine, in the old place"))
    assert lab(cloned, tmp_path / "home") == {}
    (tmp_path / "home" / LESSON).unlink()
    assert lab(cloned, tmp_path / "home") == {LESSON: "new"}
    assert code(tmp_path / "home" / LESSON) == "first", "the course's, as for everyone who deletes a lesson"


def test_when_the_old_folders_are_cleaned_up_there_is_no_new_version(cloned, tmp_path):
    put(cloned / LESSON, notebook("mine"))
    lab(cloned, tmp_path / "home")
    git(cloned, "checkout", "--", ".")
    assert lab(cloned, tmp_path / "home") == {}
    put(cloned / LESSON, notebook("second"))
    git(cloned, "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-qam", "a new version")
    assert lab(cloned, tmp_path / "home") == {BESIDE: "put beside yours"}
    assert code(tmp_path / "home" / LESSON) == "mine"


def test_a_notebook_of_the_learners_own_is_kept_with_its_outputs(cloned, tmp_path):
    own = "notebooks/deeper/my tries, ü.ipynb"
    put(cloned / own, notebook("mine", "42", 7))
    assert lab(cloned, tmp_path / "home")[own] == "kept"
    assert (tmp_path / "home" / own).read_bytes() == (cloned / own).read_bytes()
    put(cloned / own, notebook("mine, later", "42", 7))
    assert lab(cloned, tmp_path / "home") == {}


def test_a_start_that_was_killed_while_it_kept_work_goes_on(cloned, tmp_path):
    put(cloned / LESSON, notebook("mine"))
    lab(cloned, tmp_path / "home")
    (tmp_path / "home" / RECORD).unlink()
    assert lab(cloned, tmp_path / "home") == {LESSON: "kept"}


def test_a_notebook_that_was_only_opened_is_not_work(cloned):
    opened = json.loads((cloned / LESSON).read_text(encoding="utf-8"))
    opened["metadata"] = {"language_info": {"version": "3.13"}}
    put(cloned / LESSON, json.dumps(opened))
    assert notebooks_in_use(cloned) == {}


def test_an_author_sees_what_learners_will_get(cloned, tmp_path):
    put(cloned / "notebooks/source/11_sampling.py", "# %%\nsecond\n")
    put(cloned / LESSON, notebook("second", "77 %", 1))
    assert set(lab(cloned, tmp_path / "home").values()) == {"new"}
    assert '"outputs": []' in (tmp_path / "home" / LESSON).read_text(encoding="utf-8")


def test_without_git_the_folders_are_the_course(cloned, tmp_path, monkeypatch):
    put(cloned / LESSON, notebook("mine"))
    with monkeypatch.context() as patched:
        patched.setenv("PATH", str(tmp_path))
        assert notebooks_in_use(cloned) == {}
    shutil.rmtree(cloned / ".git")
    assert notebooks_in_use(cloned) == {}
    git(tmp_path, "init", "--quiet")  # a repository of the learner's own around it
    assert notebooks_in_use(cloned) == {}


# What can be in the way


def test_a_folder_or_a_dead_link_with_the_name_of_a_lesson_is_left_alone(course, home):
    (home / LESSON).unlink()
    (home / LESSON).mkdir()
    (home / EXERCISE).unlink()
    (home / EXERCISE).symlink_to("nowhere")
    put(course / LESSON, notebook("second"))
    put(course / EXERCISE, notebook("second"))
    assert set(give_course(course, home).values()) == {"put beside yours"}
    assert (home / LESSON).is_dir()
    assert (home / EXERCISE).is_symlink()


def copy(course, *options, before=()):
    """Run `course copy` in the folder `course`; return what it says and everything that it left."""
    command = [*before, sys.executable, "-c", COMMAND, str(course), "copy", *map(str, options)]
    return subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True)


def sentence(result):
    """What it said, after making sure that it is one sentence."""
    assert result.returncode == 1, result
    assert re.fullmatch(r"[A-Z/][^\n]*\.\n", result.stderr), result.stderr
    return result.stderr


@pytest.fixture
def full_course(course):
    """One with the first lesson, which the command looks for."""
    put(course / FIRST_LESSON, notebook("start"))
    return course


def test_the_command_says_where_the_copy_is(full_course, tmp_path):
    made = copy(full_course)
    assert made.stdout == f"Your own copy of the course is in {full_course / 'my-course'}.\n"
    assert copy(full_course).stdout == ""
    assert copy(full_course, "--folder", tmp_path / "new/other").returncode == 0
    assert (tmp_path / "new/other" / FIRST_LESSON).is_file()


def test_the_command_says_what_it_put_beside_and_what_it_kept(full_course):
    git(full_course, "init", "--quiet")
    put(full_course / "notebooks/mine.ipynb", notebook("mine"))
    git(full_course, "add", ".", ":!notebooks/mine.ipynb")
    git(full_course, "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-qm", "course")
    said = copy(full_course).stdout.splitlines()
    assert said[1:] == ["What you did in the course's own folders before is in your copy, too: notebooks/mine.ipynb."]
    put(full_course / "my-course" / LESSON, notebook("changed"))
    put(full_course / LESSON, notebook("second"))
    git(full_course, "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-qam", "a new version")
    assert copy(full_course).stdout == (f"What you changed stays as it is; the new versions are beside it: {BESIDE}.\n")


@pytest.mark.parametrize("what", ["a file", "a link to nowhere", "a file inside"])
def test_what_is_in_the_way_is_named(full_course, what):
    place = full_course / "my-course"
    if what == "a file":
        place.write_text("mine")
    elif what == "a link to nowhere":
        place.symlink_to("nowhere")
    else:
        place.mkdir()
        place = place / "notebooks"
        place.write_text("mine")
    advice = f"{place} is in the way of your copy of the course, which needs a folder there: rename it"
    assert sentence(copy(full_course)) == f"{advice}, or name another folder with --folder DIR.\n"
    assert place.is_symlink() or place.read_text() == "mine"


def test_a_link_to_a_folder_elsewhere_is_followed(full_course, tmp_path):
    (tmp_path / "disk").mkdir()
    (full_course / "my-course").symlink_to(tmp_path / "disk")
    assert copy(full_course).returncode == 0
    assert (tmp_path / "disk" / FIRST_LESSON).is_file()


@pytest.mark.parametrize("folder", ["", "notebooks", "notebooks/deeper"])
def test_the_course_itself_is_no_copy(full_course, folder):
    before = everything(full_course)
    assert "holds the course itself" in sentence(copy(full_course, "--folder", full_course / folder))
    assert everything(full_course) == before


@needs_namespaces
@pytest.mark.parametrize("is_there", [False, True])
def test_a_read_only_folder_is_one_sentence(full_course, is_there):
    """Also for root, whom no rights of a folder stop."""
    if is_there:
        assert copy(full_course).returncode == 0
    before = everything(full_course)
    read_only = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'
    refused = copy(full_course, before=["unshare", "-rm", "sh", "-c", read_only, str(full_course)])
    assert sentence(refused) == (
        f"{full_course / 'my-course'} cannot be used for your copy of the course (Read-only file system): change its "
        "rights, or name another folder with --folder DIR.\n"
    )
    assert everything(full_course) == before


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_of_somebody_else_is_one_sentence(full_course):
    (full_course / "my-course").mkdir(mode=0o555)
    assert "(Permission denied): change its rights, or name" in sentence(copy(full_course))


@needs_namespaces
def test_a_disk_that_gets_full_is_one_sentence_and_no_file_is_half_written(full_course, tmp_path):
    for number in range(1, 30):
        put(full_course / f"notebooks/{number:02}_lesson.ipynb", notebook("x" * 50_000))
    disk, kept = tmp_path / "disk", tmp_path / "kept"
    disk.mkdir()
    mounted = 'mount -t tmpfs -o size=1m tmpfs "$0" && "$@"; code=$?; cp -r "$0" "$KEPT"; exit $code'
    before = ["env", f"KEPT={kept}", "unshare", "-rm", "sh", "-c", mounted, str(disk)]
    refused = copy(full_course, "--folder", disk / "own", before=before)
    assert f"There is no space left for your copy of the course in {disk / 'own'}: free 20 MB" in sentence(refused)
    written = everything(kept / "own")
    assert written
    for name, content in written.items():
        assert content == without_outputs((full_course / name).read_bytes())
