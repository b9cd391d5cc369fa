"""Files and folders are written whole: whatever stops the writer, the old one or the new one is there."""

import errno
import os
import shutil
import stat
import subprocess
import sys
import time
from functools import partial

import pytest

from course_utils import files
from course_utils.files import whole_folder, write_whole
from tests.killing import killed_at_every_call, needs_fork, raised_at_every_call

FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def fresh(tmp_path):
    """Make a new place for each try: a folder with a file, and a folder with files."""
    made = iter(range(10_000))

    def prepare():
        place = tmp_path / str(next(made))
        (place / "site" / "pages").mkdir(parents=True)
        (place / "site" / "pages" / "a.html").write_text("old a")
        (place / "site" / "b.html").write_text("old b")
        (place / "file.txt").write_text("old")
        return place

    return prepare


def write_file(place):
    write_whole(place / "file.txt", "new" * 10_000)


def write_folder(place):
    with whole_folder(place / "site") as unfinished:
        (unfinished / "pages").mkdir()
        (unfinished / "pages" / "a.html").write_text("new a")
        (unfinished / "c.html").write_text("new c")


def file_state(place):
    return {"old": "old", "new" * 10_000: "new"}[(place / "file.txt").read_text()]


def folder_state(place):
    files = {file.relative_to(place / "site").as_posix(): file.read_text() for file in (place / "site").rglob("*.*")}
    states = ({"pages/a.html": "old a", "b.html": "old b"}, {"pages/a.html": "new a", "c.html": "new c"})
    return ("old", "new")[states.index(files)]


def leftovers(place):
    return [one.name for one in place.iterdir() if one.name not in ("site", "file.txt")]


KINDS = [pytest.param(write_file, file_state, id="file"), pytest.param(write_folder, folder_state, id="folder")]


@pytest.fixture(params=["exchanged", "renamed twice"])
def swapping(request, monkeypatch):
    """On Linux two folders are exchanged in one call; elsewhere, and on some sticks, they are renamed."""
    if request.param == "renamed twice":
        monkeypatch.setattr(files, "_exchanged", lambda one, other: False)
    return request.param


@needs_fork
def test_a_file_that_is_killed_at_every_call(fresh):
    states = []
    for place in killed_at_every_call(fresh, write_file):
        states.append(file_state(place))
        write_file(place)
        assert file_state(place) == "new"
        assert leftovers(place) == []
    assert states[0] == "old"
    assert states[-1] == "new"


@needs_fork
def test_a_folder_that_is_killed_at_every_call(fresh, swapping):
    states, gaps = [], 0
    for place in killed_at_every_call(fresh, write_folder):
        if not (place / "site").exists():  # between two renames: what is missing comes back when the next one begins
            gaps += 1
            with pytest.raises(ZeroDivisionError), whole_folder(place / "site"):
                raise ZeroDivisionError
            assert folder_state(place) == "old"
        states.append(folder_state(place))
        write_folder(place)
        assert folder_state(place) == "new"
        assert leftovers(place) == []
    assert states[0] == "old"
    assert states[-1] == "new"
    if swapping == "renamed twice":
        assert gaps > 0, "this test must see the gap that it is about"
    elif sys.platform == "linux":
        assert gaps == 0


@pytest.mark.parametrize(("write", "state"), KINDS)
def test_ctrl_c_at_every_call(fresh, write, state, swapping):
    for place, raised in raised_at_every_call(fresh, write, KeyboardInterrupt()):
        assert isinstance(raised, KeyboardInterrupt)
        assert state(place) in ("old", "new")
        if write is write_file:
            assert leftovers(place) == []


@pytest.mark.parametrize(("write", "state"), KINDS)
def test_a_full_disk_at_every_call(fresh, write, state, swapping):
    for place, raised in raised_at_every_call(fresh, write, FULL, only_writing=True):
        assert raised is None or raised.errno == errno.ENOSPC
        assert state(place) == ("old" if raised else "new")
        assert leftovers(place) == []


@pytest.mark.parametrize("error", [MemoryError(), ValueError("x"), SystemExit()])
def test_no_error_leaves_an_unfinished_file(fresh, monkeypatch, error):
    place = fresh()

    def broken(*arguments):
        raise error

    monkeypatch.setattr(files.os, "fsync", broken)
    with pytest.raises(type(error)):
        write_file(place)
    assert file_state(place) == "old"
    assert leftovers(place) == []


def test_an_error_names_the_file_that_people_know(tmp_path):
    (tmp_path / "grades.csv").mkdir()
    with pytest.raises(OSError, match=r"grades\.csv") as raised:
        write_whole(tmp_path / "grades.csv", "text")
    assert raised.value.filename == str(tmp_path / "grades.csv")
    assert "unfinished" not in str(raised.value)
    assert [file.name for file in tmp_path.iterdir()] == ["grades.csv"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has other permissions")
@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_new_file_has_the_permissions_that_the_system_gives_new_files(tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        write_whole(tmp_path / "a.txt", b"bytes")
        with whole_folder(tmp_path / "folder"):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == mode
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == mode | 0o100 | (mode & 0o044) >> 2


@pytest.mark.skipif(os.name == "nt", reason="Windows has other permissions")
def test_what_is_replaced_keeps_its_permissions(fresh):
    place = fresh()
    (place / "file.txt").chmod(0o640)
    (place / "site").chmod(0o750)
    write_file(place)
    write_folder(place)
    assert stat.S_IMODE((place / "file.txt").stat().st_mode) == 0o640
    assert stat.S_IMODE((place / "site").stat().st_mode) == 0o750


def test_half_a_surrogate_pair_does_not_stop_a_file(tmp_path):
    write_whole(tmp_path / "a.json", 'a cut emoji: "\ud83d"\r\n')
    assert (tmp_path / "a.json").read_bytes() == b'a cut emoji: "?"\r\n'


def test_the_longest_name_that_a_file_can_have(tmp_path):
    write_whole(tmp_path / ("ä" * 127), "text")
    assert [file.name for file in tmp_path.iterdir()] == ["ä" * 127]


def test_a_writer_that_is_at_work_is_left_alone(fresh):
    """Another process writes the same file and the same folder for a long time; it ends well."""
    place = fresh()
    program = (
        "import pathlib, sys, time\n"
        "from course_utils import files\n"
        "place, real = pathlib.Path(sys.argv[1]), files.os.fsync\n"
        "def slow(file):\n"
        "    print('writing', flush=True); sys.stdin.readline(); real(file)\n"
        "files.os.fsync = slow\n"
        "with files.whole_folder(place / 'site') as unfinished:\n"
        "    (unfinished / 'pages').mkdir()\n"
        "    (unfinished / 'pages' / 'a.html').write_text('new a')\n"
        "    files.write_whole(place / 'file.txt', 'new' * 10_000)\n"
        "    (unfinished / 'c.html').write_text('new c')\n"
    )
    command = [sys.executable, "-c", program, str(place)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "writing\n"
        write_whole(place / "file.txt", "old")
        write_folder(place)
        assert len(leftovers(place)) == 2
        other.communicate("\n", timeout=60)
    assert other.returncode == 0
    assert (file_state(place), folder_state(place), leftovers(place)) == ("new", "new", [])


def test_what_another_machine_left_is_removed_after_a_day(fresh, monkeypatch):
    place = fresh()
    with monkeypatch.context() as patched:
        patched.setattr(files, "_machine", lambda: "another")
        left = [files._beside(place / name, "unfinished") for name in ("file.txt", "site")]
    left[0].write_text("half a fi")
    left[1].mkdir()
    write_file(place)
    write_folder(place)
    assert len(leftovers(place)) == 2, "it may be at work"
    tomorrow = time.time() + 2 * 86_400
    monkeypatch.setattr(files.time, "time", lambda: tomorrow)
    write_file(place)
    write_folder(place)
    assert leftovers(place) == []


def test_a_file_in_the_place_of_a_folder_stays(tmp_path):
    (tmp_path / "site").write_text("a thesis")
    with pytest.raises(NotADirectoryError), whole_folder(tmp_path / "site"):
        pytest.fail("nothing should be written")
    assert (tmp_path / "site").read_text() == "a thesis"
    assert [one.name for one in tmp_path.iterdir()] == ["site"]


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_a_link_to_a_folder_is_replaced_and_what_it_led_to_stays(tmp_path, swapping):
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "old").write_text("old")
    (tmp_path / "site").symlink_to(tmp_path / "disk")
    with whole_folder(tmp_path / "site") as unfinished:
        (unfinished / "new").write_text("new")
    assert [file.name for file in (tmp_path / "site").iterdir()] == ["new"]
    assert (tmp_path / "disk" / "old").read_text() == "old"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["disk", "site"]


@pytest.mark.skipif(shutil.which("unshare") is None or os.name == "nt", reason="mounts a small disk")
def test_a_disk_that_is_really_full(tmp_path):
    """A disk of one megabyte, mounted for this test only: the old file is whole, and nothing else takes space."""
    program = (
        "import pathlib, sys\n"
        "from course_utils.files import write_whole\n"
        "file = pathlib.Path(sys.argv[1], 'file.txt')\n"
        "write_whole(file, 'old')\n"
        "try:\n"
        "    write_whole(file, bytes(2 * 2**20))\n"
        "except OSError as error:\n"
        "    print(error.errno, error.filename == str(file), file.read_text(), len(list(file.parent.iterdir())))\n"
    )
    mount = 'mount -t tmpfs -o size=1m tmpfs "$0" && exec "$@"'
    command = ["unshare", "-rm", "sh", "-c", mount, str(tmp_path), sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode and "unshare" in done.stderr:
        pytest.skip("no user namespaces here")
    assert done.stdout.split() == [str(errno.ENOSPC), "True", "old", "1"], done.stderr


def test_many_writers_of_one_file_at_once(tmp_path):
    """Four processes: in the end one of the contents is there, whole, and nothing else."""
    program = (
        "import pathlib, sys\n"
        "from course_utils.files import write_whole\n"
        "for _ in range(20): write_whole(pathlib.Path(sys.argv[1]), sys.argv[2] * 50_000)\n"
    )
    file = tmp_path / "file.txt"
    run = partial(subprocess.Popen, stderr=subprocess.PIPE)
    writers = [run([sys.executable, "-c", program, str(file), letter]) for letter in "abcd"]
    assert [writer.communicate(timeout=100)[1] for writer in writers] == [b""] * 4
    assert file.read_text() in [letter * 50_000 for letter in "abcd"]
    assert [one.name for one in tmp_path.iterdir()] == ["file.txt"]
