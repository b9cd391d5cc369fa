"""The `course` command: what it prints, what it passes on, and that every problem is one sentence."""

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from course_utils import cli, machine
from course_utils.classroom.hub import free_ports
from course_utils.learner.progress import progress_folder
from course_utils.models import ModelStoreError, catalogue, store
from course_utils.models.hub import profile
from tests.test_offline import can_unshare


@dataclass(frozen=True)
class Entry:
    name: str
    role: str = "causal LM"
    licence: str = "Apache-2.0"
    parameters: int = 1


class Store:
    """A store whose second model is damaged."""

    def __init__(self, root=None):
        self.root = Path(root or "/models")

    def size(self, entry):
        return 540_000_000

    def state(self, entry):
        return "damaged" if entry.name == "large" else "ready"

    def verify(self, entry):
        return ["large: model.safetensors is damaged."] if entry.name == "large" else []

    def ensure(self, entry, rehash=False):
        if entry.name == "large":
            raise ModelStoreError("large could not be downloaded: connect to a network.")
        print(f"ensured {entry.name}" + (", every byte" if rehash else ""))


@pytest.fixture(autouse=True)
def fake_models(monkeypatch):
    monkeypatch.setattr(cli, "CATALOGUE", {"small": Entry("small"), "large": Entry("large")})
    monkeypatch.setattr(cli, "ModelStore", Store)


@pytest.fixture
def only_small(monkeypatch):
    monkeypatch.setattr(cli, "CATALOGUE", {"small": Entry("small")})


@pytest.fixture
def taken_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def sentence(capsys, *argv):
    """What the command says when it fails, after making sure that it is one line and the exit code is 1."""
    assert cli.main(list(argv)) == 1
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1, said
    assert said.endswith(".\n"), said
    return said


def test_the_command_starts_fast_and_without_torch():
    code = "import sys, course_utils.cli; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


# models


@pytest.mark.parametrize("argv", [["models"], ["models", "list"]])
def test_models_are_listed(capsys, argv):
    assert cli.main(argv) == 0
    where, *rows = capsys.readouterr().out.splitlines()
    assert where == f"Models in {Path('/models')}"
    assert rows[0].split() == ["small", "causal", "LM", "540", "MB", "Apache-2.0", "ready"]
    assert rows[1].split()[-1] == "damaged"


def test_verify_names_the_damage_and_the_next_step(capsys):
    assert cli.main(["models", "verify"]) == 1
    said = capsys.readouterr()
    assert "small: every file has its checksum." in said.out
    assert "large: model.safetensors is damaged." in said.out
    assert said.err == "Not intact: large; run `python3 course.py models fetch` to make them again.\n"


def test_verify_of_intact_models(capsys, only_small):
    assert cli.main(["models", "verify"]) == 0
    assert capsys.readouterr().err == ""


def test_fetch_to_a_folder_says_how_to_use_it(capsys, only_small):
    assert cli.main(["models", "fetch", "--to", "usb"]) == 0
    assert "ensured small, every byte" in (said := capsys.readouterr().out)
    assert "COURSE_MODELS_DIR=usb" in said


def test_a_model_that_cannot_be_had_is_one_sentence(capsys):
    assert sentence(capsys, "models", "fetch") == "large could not be downloaded: connect to a network.\n"


@pytest.mark.parametrize(
    "error", [PermissionError(13, "Permission denied", "/models/large"), OSError(28, "No space left on device")]
)
def test_a_disk_that_refuses_is_one_sentence(capsys, monkeypatch, error):
    def refuse(self, entry, rehash):
        raise error

    monkeypatch.setattr(Store, "ensure", refuse)
    assert error.strerror in sentence(capsys, "models", "fetch")


@pytest.mark.parametrize("error", [ConnectionResetError(104, "Connection reset"), ValueError("a bug")], ids=repr)
def test_a_bug_is_not_blamed_on_the_disk_or_on_who_typed(monkeypatch, error):
    def fail(*arguments):
        raise error

    monkeypatch.setattr(Store, "ensure", fail)
    monkeypatch.setattr("course_utils.grading.command.grade_all", fail)
    for argv in (["models", "fetch"], ["grade", "here", "--checks", "11", "--seed", "1"]):
        with pytest.raises(type(error)):
            cli.main(argv)


# what is typed


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], "COMMAND"),
        (["labb"], "'labb'"),
        (["models", "remove"], "'remove'"),
        (["models", "fetch", "--to"], "--to"),
        (["sync", "--chek"], "--chek"),
        (["lab", "--port", "abc"], "must be a number from 1 to 65535, got abc"),
        (["lab", "--port", "70000"], "must be a number from 1 to 65535, got 70000"),
        (["lab", "--authors", "--folder", "x"], "not allowed with"),
    ],
)
def test_a_wrong_command_is_one_sentence(capsys, argv, words):
    assert words in sentence(capsys, *argv)


# lab


@pytest.fixture
def lab_start(monkeypatch):
    """Collects the options that JupyterLab is started with."""
    started = []
    monkeypatch.setattr(cli, "start_lab", started.append)
    return started


@pytest.fixture(autouse=True)
def copied(monkeypatch):
    """Collects the folders that would get a copy of the course."""
    folders = []
    monkeypatch.setattr(cli, "give_course", lambda source, folder, *_: folders.append(folder) or {})
    return folders


def test_lab_passes_jupyters_options_on_in_their_order(only_small, lab_start, capsys):
    others = ["--no-browser", "-y", "--ip", "0.0.0.0", "--ServerApp.token=x"]
    assert cli.main(["lab", *others[:2], "--port", "59999", *others[2:]]) == 0
    (options,) = lab_start
    assert options[-len(others) :] == others
    assert "--ServerApp.port=59999" in options
    assert "--ServerApp.port_retries=0" in options
    assert set(cli.QUIET_LAB) < set(options)
    assert "--LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb" in options
    assert "ensured small" in capsys.readouterr().out


def test_lab_without_port_lets_jupyter_choose(only_small, lab_start):
    assert cli.main(["lab"]) == 0
    assert not any("ServerApp.port" in option for option in lab_start[0])


@pytest.mark.parametrize(
    ("options", "folder", "is_copied"),
    [
        ([], cli.ROOT / "my-course", True),
        (["--folder", "~/mine"], Path.home() / "mine", True),
        (["--authors"], cli.ROOT, False),
    ],
)
def test_lab_opens_the_learners_own_copy_or_for_authors_the_course(
    only_small, lab_start, copied, options, folder, is_copied
):
    assert cli.main(["lab", *options]) == 0
    assert f"--ServerApp.root_dir={folder}" in lab_start[0]
    assert copied == [folder] * is_copied


def test_a_copy_is_made_without_models_and_without_opening_it(lab_start, copied):
    assert cli.main(["copy", "--folder", "here"]) == 0
    assert (copied, lab_start) == ([Path("here").absolute()], [])


def test_git_leaves_the_copy_alone():
    if not (cli.ROOT / ".git").exists():
        pytest.skip("this course is no clone")
    asked = ["git", "-C", str(cli.ROOT), "check-ignore", "--quiet", str(cli.OWN_COPY / cli.FIRST_LESSON)]
    assert subprocess.run(asked).returncode == 0


def test_lab_on_a_taken_port_is_one_sentence(capsys, lab_start, taken_port):
    assert f"Port {taken_port} is taken" in sentence(capsys, "lab", "--no-browser", "--port", str(taken_port))
    assert not lab_start


@pytest.mark.parametrize("options", [[], ["--authors"]])
def test_lab_without_its_lesson_is_one_sentence(capsys, monkeypatch, lab_start, tmp_path, options):
    monkeypatch.setattr(cli, "ROOT", tmp_path)
    assert "course sync" in sentence(capsys, "lab", *options)
    assert not lab_start


def test_lab_does_not_start_without_models(capsys, lab_start):
    assert "connect to a network" in sentence(capsys, "lab")
    assert not lab_start


def test_a_port_just_freed_counts_as_free(taken_port):
    with socket.create_connection(("127.0.0.1", taken_port)):
        assert machine.port_is_taken(taken_port)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = probe.getsockname()[1]
    assert not machine.port_is_taken(free)


@contextmanager
def real_lab(tmp_path, *options, before=(), **settings):
    """The real server, with a copy of its own; its port and its process."""
    (port,) = free_ports(1)
    command = [*before, sys.executable, "-m", "course_utils.cli", "lab", "--no-browser", "--port", str(port)]
    folders = {name: str(tmp_path / name) for name in ("JUPYTER_CONFIG_DIR", "JUPYTERLAB_SETTINGS_DIR")}
    for entry in catalogue.CATALOGUE.values():
        store.ModelStore().ensure(entry)
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(
            [*command, "--folder", str(tmp_path / "copy"), *options],
            env={**os.environ, **folders, **settings},
            stdout=log,
            stderr=log,
        )
    try:
        yield port, server
    finally:
        server.terminate()
        server.wait(300)


def test_jupyterlab_starts_soon_and_asks_nothing_of_the_network(tmp_path):
    """The budget is 5 s of processor, and three times that fails."""
    give_up = time.monotonic() + 300
    with real_lab(tmp_path, "--allow-root", "--IdentityProvider.token=") as (port, server):
        while True:
            assert server.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < give_up, (tmp_path / "log").read_text()
            try:
                news = json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/lab/api/news", timeout=60))
                break
            except urllib.error.URLError:
                time.sleep(0.1)
        took = psutil.Process(server.pid).cpu_times()
        update = json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/lab/api/update", timeout=60))
        address = f"http://127.0.0.1:{port}/lab/api/settings/@jupyterlab/apputils-extension:notification"
        properties = json.load(urllib.request.urlopen(address, timeout=60))["schema"]["properties"]
    assert took.user + took.system < 3 * 5
    assert news == {"news": []}
    assert update == {"notification": None}
    assert properties["fetchNews"]["default"] == "false", "JupyterLab would ask the learner about news"
    assert properties["checkForUpdates"]["default"] is False


# root


@pytest.fixture(scope="module")
def as_root():
    """What goes before a command so that it runs as root, at least in its own eyes."""
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        return []
    if not can_unshare():
        pytest.skip("this machine cannot let a process believe that it is root (unshare -r)")
    return ["unshare", "-r"]


def test_root_is_served_on_this_machine_only_and_asked_for_the_token(tmp_path, as_root):
    with real_lab(tmp_path, before=as_root, JUPYTER_TOKEN="secret") as (port, server):
        while not (tmp_path / "log").read_text().count("is running at"):
            assert server.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.1)
        address = f"http://127.0.0.1:{port}/api/contents/notebooks/00_start_here.ipynb?content=0"
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(address, timeout=60)
        assert urllib.request.urlopen(f"{address}&token=secret", timeout=60).status == 200
        doors = {door.laddr.ip for door in psutil.Process(server.pid).net_connections() if door.status == "LISTEN"}
    assert doors <= {"127.0.0.1", "::1"}
    said = (tmp_path / "log").read_text()
    assert "You are root: JupyterLab answers on this machine only (127.0.0.1), and asks for its token.\n" in said


@pytest.mark.parametrize(
    ("options", "config", "words"),
    [
        (["--ip=0.0.0.0"], "", "at the address 0.0.0.0: leave --ip out, or add --allow-root if you mean it."),
        (["--ip", "*"], "", "at the address 0.0.0.0: leave"),
        ([], "c.ServerApp.ip = '0.0.0.0'", "at the address 0.0.0.0: leave"),
        (["--IdentityProvider.token="], "", "wouldn't ask for a token: leave the empty token out, or add"),
        ([], "c.IdentityProvider.token = ''", "wouldn't ask for a token: leave"),
    ],
)
def test_root_is_not_served_where_others_could_come_in(tmp_path, as_root, options, config, words):
    (tmp_path / "JUPYTER_CONFIG_DIR").mkdir()
    (tmp_path / "JUPYTER_CONFIG_DIR/jupyter_server_config.py").write_text(config)
    with real_lab(tmp_path, *options, before=as_root) as (_, server):
        assert server.wait(60) == 1
    (said,) = re.findall(r"^You are root, and .*$", (tmp_path / "log").read_text(), re.MULTILINE)
    assert words in said


# test


@pytest.fixture
def pytest_start(monkeypatch, only_small):
    """Collects what pytest is started with: options, folder, settings."""
    started = []

    def fake(options):
        home = Path(os.environ["COURSE_HOME"])
        started.append((options, Path.cwd(), home, list(home.iterdir()), os.environ["OMP_NUM_THREADS"]))
        return 3

    monkeypatch.setattr(os, "environ", {**os.environ, "COURSE_HOME": "/home/learner", "OMP_NUM_THREADS": "8"})
    monkeypatch.setattr("pytest.main", fake)
    monkeypatch.setattr(cli, "setup_tests", lambda: 0)
    monkeypatch.chdir("/")
    return started


def test_pytest_gets_two_workers_one_thread_and_an_empty_home(pytest_start):
    assert cli.main(["test", "tests/test_sampling.py", "-k", "top_p", "-x"]) == 3
    options, folder, home, files, threads = pytest_start[0]
    assert options == ["-n", "2", "--dist", "loadfile", "tests/test_sampling.py", "-k", "top_p", "-x"]
    assert folder == cli.ROOT
    assert home != Path("/home/learner")
    assert files == []
    assert not home.exists(), "it is removed afterwards"
    assert threads == "1"


@pytest.mark.parametrize("workers", [["-n", "0"], ["-n4"], ["--numprocesses=1"]])
def test_the_number_of_workers_can_be_chosen(pytest_start, workers):
    cli.main(["test", *workers])
    assert pytest_start[0][0] == workers


def test_a_missing_browser_does_not_stop_the_tests(pytest_start, monkeypatch, capsys):
    def cannot():
        raise cli.CourseError("There is no right to install chromium from here.")

    monkeypatch.setattr(cli, "setup_tests", cannot)
    assert cli.main(["test"]) == 3
    assert "no right to install chromium" in capsys.readouterr().out


# sync


def test_sync_says_each_problem_and_fails(capsys, monkeypatch):
    monkeypatch.setattr("course_utils.publishing.sync.sync", lambda root, **options: ["One.", "Two."])
    assert cli.main(["sync", "--check"]) == 1
    assert capsys.readouterr().err == "One.\nTwo.\n"


def test_sync_has_the_models_before_a_cell_would_print_their_progress(capsys, monkeypatch, only_small):
    calls = []
    monkeypatch.setattr("course_utils.publishing.sync.sync", lambda root, **options: calls.append(options) or [])
    assert cli.main(["sync", "--execute"]) == 0
    assert calls == [{"check": False, "execute": True, "record": False}]
    assert "ensured small" in capsys.readouterr().out


# browser


@pytest.fixture
def empty_machine(monkeypatch):
    """No program at all is found."""
    monkeypatch.delenv("COURSE_BROWSER", raising=False)
    monkeypatch.setattr(cli.shutil, "which", lambda name: None)
    monkeypatch.setattr(machine, "_playwrights_browser", lambda: None)


def test_course_browser_comes_first(monkeypatch, tmp_path):
    browser = tmp_path / "my-browser"
    browser.write_text("#!/bin/sh\n")
    browser.chmod(0o755)
    monkeypatch.setenv("COURSE_BROWSER", str(browser))
    assert machine.find_browser() == str(browser)


def test_course_browser_that_is_no_program(monkeypatch, capsys):
    monkeypatch.setenv("COURSE_BROWSER", "/nowhere/browser")
    assert machine.find_browser() is None
    assert "COURSE_BROWSER" in sentence(capsys, "setup-tests")


def test_browsers_are_looked_for_on_the_path_then_in_playwrights_folder(empty_machine, monkeypatch):
    assert machine.find_browser() is None
    monkeypatch.setattr(machine, "_playwrights_browser", lambda: "/cache/chromium")
    assert machine.find_browser() == "/cache/chromium"
    monkeypatch.setattr(cli.shutil, "which", {"msedge": "/opt/msedge"}.get)
    assert machine.find_browser() == "/opt/msedge"


def test_setup_tests_without_the_right_to_install(empty_machine, monkeypatch, capsys):
    monkeypatch.setattr(cli, "as_root", lambda: None)
    assert "install Chromium or Chrome" in sentence(capsys, "setup-tests")


@pytest.mark.parametrize("code", [0, 100])
def test_setup_tests_with_apt(empty_machine, monkeypatch, capsys, code):
    commands = []

    def fake(command, **options):
        commands.append(" ".join(command))
        return subprocess.CompletedProcess(command, code)

    monkeypatch.setattr(cli, "as_root", lambda: ["sudo", "-n"])
    monkeypatch.setattr(cli.sys, "platform", "linux")
    monkeypatch.setattr(cli.shutil, "which", {"apt-get": "/usr/bin/apt-get"}.get)
    monkeypatch.setattr(cli.subprocess, "run", fake)
    if code:
        assert "apt-get could not install" in sentence(capsys, "setup-tests")
    else:
        assert cli.main(["setup-tests"]) == 0
        update, install = commands
        assert update.startswith("sudo -n env DEBIAN_FRONTEND=noninteractive apt-get")
        assert install.endswith("--no-install-recommends chromium fonts-dejavu-core nodejs npm bubblewrap")


# Folders that someone typed


@pytest.mark.parametrize(
    "argv", [["models", "fetch", "--to"], ["lab", "--folder"], ["copy", "--folder"], ["bundle", "--out"],
             ["site", "--out"], ["slides", "--out"], ["hub", "--folder"], ["models", "fetch", "--from"]]
)  # fmt: skip
@pytest.mark.parametrize("typed", ["~/course here", "made/../course"])
def test_a_tilde_is_home_and_a_relative_folder_is_here(monkeypatch, tmp_path, argv, typed):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    options, _ = cli._parser().parse_known_args([*argv[:-1], f"{argv[-1]}={typed}"])
    place = getattr(options, {"--to": "to", "--from": "source"}.get(argv[-1], argv[-1].lstrip("-")))
    assert place.absolute() == tmp_path / typed.replace("~", "home")


def test_a_home_that_nobody_knows_is_one_sentence(capsys):
    said = sentence(capsys, "site", "--out", "~nobody-has-this-name/site")
    assert "'~nobody-has-this-name/site' starts with a home folder that this system doesn't know" in said


@pytest.mark.parametrize("variable", ["COURSE_HOME", "COURSE_MODELS_DIR"])
def test_kernels_get_the_whole_path_of_a_relative_folder(monkeypatch, tmp_path, capsys, variable):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(variable, "mine")
    cli.main(["models", "list"])
    assert os.environ[variable] == str(tmp_path / "mine")
    (tmp_path / "mine").write_text("")
    assert sentence(capsys, "models", "list").startswith(
        f"{variable} must be a folder, and {tmp_path / 'mine'} is a file"
    )


@pytest.mark.parametrize("variable", ["COURSE_HOME", "COURSE_MODELS_DIR", "COURSE_MODELS", "COURSE_BROWSER"])
def test_an_empty_variable_is_none(monkeypatch, variable):
    asked = {
        "COURSE_HOME": progress_folder, "COURSE_MODELS_DIR": store.models_folder, "COURSE_MODELS": profile,
        "COURSE_BROWSER": machine.find_browser,
    }[variable]  # fmt: skip
    monkeypatch.delenv(variable, raising=False)
    without = asked()
    monkeypatch.setenv(variable, "")
    assert asked() == without


def test_a_browser_below_home(monkeypatch, tmp_path):
    (tmp_path / "browser").write_text("#!/bin/sh\n")
    (tmp_path / "browser").chmod(0o755)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COURSE_BROWSER", "~/browser")
    assert machine.find_browser() == str(tmp_path / "browser")
