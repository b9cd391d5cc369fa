"""The course for a class: learners keep their work, all ways have the same settings, and a real hub is rehearsed."""

import ast
import importlib.util
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import tomllib
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import yaml
from traitlets.config.loader import PyFileConfigLoader

from course_utils.classroom import hub, learner_server
from course_utils.classroom.hub import HubError, free_ports, processes_of, proxy_command, running_hub
from course_utils.classroom.learner_server import COURSE_FOLDER
from course_utils.machine import ROOT
from tests.conftest import need
from workshop import rehearsal

HUB = ROOT / "workshop" / "jupyterhub"
LESSON = "notebooks/11_sampling.ipynb"


# A learner's server


@pytest.fixture
def server_starts(tmp_path, monkeypatch):
    """A home for a learner, whose server is only noted down."""
    started = []
    single = SimpleNamespace(main=lambda: started.append(True))
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setitem(learner_server.sys.modules, "jupyterhub", SimpleNamespace(singleuser=single))
    monkeypatch.setitem(learner_server.sys.modules, "jupyterhub.singleuser", single)
    monkeypatch.setattr(learner_server.sys, "argv", ["server"])
    return started


def test_a_learner_finds_lessons_and_exercises_without_outputs_and_no_solutions(tmp_path, server_starts):
    learner_server.main()
    assert server_starts
    own = tmp_path / COURSE_FOLDER
    assert {place.name for place in own.iterdir() if place.is_dir()} == {"notebooks", "exercises"}
    assert (own / "notebooks" / "images" / "00_start_here.svg").is_file()
    assert '"outputs": [\n' not in (own / LESSON).read_text(encoding="utf-8")


def test_the_server_starts_also_when_the_course_cannot_be_copied(tmp_path, server_starts, capsys):
    (tmp_path / COURSE_FOLDER).write_text("a file where the folder should be")
    learner_server.main()
    assert server_starts
    assert f"{tmp_path / COURSE_FOLDER} is in the way of your copy" in capsys.readouterr().err


# One set of settings


@pytest.fixture(scope="module")
def shared():
    """The module of the shared settings, as a server without COURSE_MODELS_DIR sees it."""
    specification = importlib.util.spec_from_file_location("shared_settings", HUB / "shared_settings.py")
    module = importlib.util.module_from_spec(specification)
    before = os.environ.pop("COURSE_MODELS_DIR", None)
    try:
        specification.loader.exec_module(module)
    finally:
        if before is not None:
            os.environ["COURSE_MODELS_DIR"] = before
    return module


def dockerfile():
    """The instructions of the Dockerfile, without comments and with joined lines."""
    text = re.sub(r"^#.*\n", "", (HUB / "Dockerfile").read_text(encoding="utf-8"), flags=re.M).replace("\\\n", "")
    return [tuple(line.split(maxsplit=1)) for line in text.splitlines() if line.strip()]


def arguments(instruction):
    return [rest for name, rest in dockerfile() if name == instruction]


def load(name):
    """A configuration file, as JupyterHub reads it."""
    return PyFileConfigLoader(name, path=str(HUB)).load_config()


def test_kubernetes_has_the_shared_settings(shared):
    values = yaml.safe_load((HUB / "zero-to-jupyterhub.yaml").read_text(encoding="utf-8"))
    learner, config = values["singleuser"], values["hub"]["config"]
    assert learner["extraEnv"] == shared.ENVIRONMENT
    assert learner["cmd"] == ["python3", *shared.SERVER]
    assert learner["defaultUrl"] == shared.DEFAULT_URL
    assert learner["memory"] == {"limit": shared.MEMORY_LIMIT, "guarantee": shared.MEMORY_GUARANTEE}
    assert learner["cpu"]["limit"] == shared.CPU_LIMIT
    assert {learner["startTimeout"], config["KubeSpawner"]["http_timeout"]} == {shared.START_SECONDS}
    assert values["cull"] == {
        "enabled": True,
        "timeout": shared.IDLE_SECONDS,
        "every": shared.LOOK_EVERY_SECONDS,
    }


SIGN_IN = """
from course_utils.classroom.board.hub_sign_in import HubSignIn
auth = HubSignIn("teachers").auth
print(*auth.access_scopes, auth.oauth_redirect_uri, auth.login_url.partition("?")[0], auth.api_url, sep="\\n")
"""


def test_the_board_on_kubernetes_has_the_shared_settings(shared):
    values = yaml.safe_load((HUB / "zero-to-jupyterhub-board.yaml").read_text(encoding="utf-8"))
    made = list(yaml.safe_load_all((HUB / "kubernetes-board.yaml").read_text(encoding="utf-8")))
    made = {one["kind"]: one["spec"] for one in made}
    hub, spawner = SimpleNamespace(services=[], load_roles=[], load_groups={}), SimpleNamespace(environment={})
    spawner.cmd, address = ["python3"], "https://hub.example.org"
    shared.add_board(hub, spawner, address, ["learner1"])
    pod, (container,) = made["Deployment"]["template"], made["Deployment"]["template"]["spec"]["containers"]

    inside = f"http://{next(iter(values['hub']['services']))}:{shared.BOARD_PORT}"
    assert values["hub"]["services"] == {"board": {"url": inside, "oauth_no_confirm": True}}
    roles = [{"name": name, **role} for name, role in values["hub"]["loadRoles"].items()]
    assert roles == hub.load_roles
    assert values["hub"]["config"]["JupyterHub"]["load_groups"] == hub.load_groups
    ours = {"COURSE_BOARD": f"{inside}/services/board"}
    assert values["singleuser"]["extraEnv"] == spawner.environment | ours

    # Whoever is allowed through finds the pod, and its port.
    (way,) = values["singleuser"]["networkPolicy"]["egress"]
    labels = way["to"][0]["podSelector"]["matchLabels"]
    assert labels == made["Service"]["selector"] == made["Deployment"]["selector"]["matchLabels"]
    assert labels.items() <= pod["metadata"]["labels"].items()
    ports = [*way["ports"], *made["Service"]["ports"]]
    assert {port["port"] for port in ports} == {container["ports"][0]["containerPort"]} == {shared.BOARD_PORT}

    learners = yaml.safe_load((HUB / "zero-to-jupyterhub.yaml").read_text(encoding="utf-8"))["singleuser"]["image"]
    assert container["image"] == f"{learners['name']}:{learners['tag']}"
    assert container["command"][:-1] == hub.services[0]["command"]
    assert "board" in re.search(r"\.\[(.+)\]", "".join(arguments("RUN")))[1].split(",")

    # The sign-in has what it needs.
    need("JupyterHub", has_jupyterhub())
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JUPYTERHUB_")}
    environment |= {one["name"]: one.get("value", "secret") for one in container["env"]}
    found = subprocess.run([sys.executable, "-c", SIGN_IN], env=environment, capture_output=True, text=True)
    assert found.stdout.splitlines() == [
        "access:services!service=board",
        "/services/board/oauth_callback",
        "/hub/api/oauth2/authorize",
        "http://hub:8081/hub/api",
    ], found.stderr


def test_the_image_has_the_shared_settings(shared):
    environment = dict(pair.split("=", 1) for pair in arguments("ENV")[0].split())
    assert environment.items() >= shared.ENVIRONMENT.items()
    assert ast.literal_eval(arguments("CMD")[0]) == ["python3", *shared.SERVER]


def test_the_image_is_the_one_that_the_values_name():
    values = yaml.safe_load((HUB / "zero-to-jupyterhub.yaml").read_text(encoding="utf-8"))["singleuser"]
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert values["image"]["tag"] == version
    assert f"{values['image']['name']}:{version}" in (HUB / "README.md").read_text(encoding="utf-8")
    assert arguments("WORKDIR")[-1] == values["storage"]["homeMountPath"] == "/home/jovyan"


def test_the_image_has_the_python_that_is_tested():
    python = re.search(r"python:(3\.\d+)", arguments("FROM")[0])[1]
    assert f"- python={python} " in (ROOT / "environment.yml").read_text(encoding="utf-8")


def test_the_image_is_made_of_files_that_are_there_and_go_to_the_builder():
    ignored = (HUB / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    for line in arguments("COPY"):
        for source in line.split()[:-1]:
            assert list(ROOT.glob(source)), source
            assert f"!{Path(source).parts[0]}" in ignored


def test_the_image_does_not_run_as_root():
    names = [name for name, _ in dockerfile()]
    assert arguments("USER") == ["1000:100"]
    assert "RUN" not in names[names.index("USER") :]
    assert "--uid 1000 --gid users" in arguments("RUN")[0]


def test_a_linter_is_content_with_the_image():
    need("hadolint", shutil.which("hadolint", path=search_path()) is not None)
    linter = [shutil.which("hadolint", path=search_path()), "--no-color", str(HUB / "Dockerfile")]
    result = subprocess.run(linter, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


def search_path():
    """Where programs of this Python's environment are, and then all others."""
    return os.pathsep.join([str(Path(hub.sys.executable).parent), os.environ.get("PATH", "")])


def test_everything_that_a_hub_needs_is_an_extra_with_pins():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {re.match(r"[\w-]+", name)[0] for name in project["optional-dependencies"]["hub"]}
    assert wanted == {"jupyterhub", "jupyterhub-idle-culler"}
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").lower()
    assert all(re.search(rf"^{name}==", pins, re.M) for name in wanted)


def test_one_server_has_the_shared_settings(shared, monkeypatch):
    monkeypatch.delenv("COURSE_MODELS_DIR", raising=False)
    config = load("jupyterhub_config.py")
    spawner = config.Spawner
    assert spawner.environment == shared.ENVIRONMENT
    assert spawner.cmd[1:] == shared.SERVER
    assert (spawner.mem_limit, spawner.cpu_limit) == (shared.MEMORY_LIMIT, shared.CPU_LIMIT)
    assert f"--timeout={shared.IDLE_SECONDS}" in config.JupyterHub.services[0]["command"]


def test_the_littlest_hub_has_the_shared_settings(shared, monkeypatch):
    monkeypatch.setitem(hub.sys.modules, "shared_settings", shared)
    config = load("littlest_config.py")
    assert config.SystemdSpawner.environment == shared.ENVIRONMENT
    page = (HUB / "littlest.md").read_text(encoding="utf-8")
    assert f"services.cull.timeout {shared.IDLE_SECONDS}\n" in page
    assert f"services.cull.every {shared.LOOK_EVERY_SECONDS}\n" in page
    assert f"--to {shared.MODELS}\n" in page
    assert "/littlest_config.py" in page


def test_every_setting_is_one_that_jupyterhub_knows(monkeypatch):
    need("JupyterHub", has_jupyterhub())
    from jupyterhub import app, auth, spawner
    from jupyterhub.authenticators.shared import SharedPasswordAuthenticator

    asked = {"folder": "f", "port": 1, "hub_port": 2, "proxy_port": 3, "proxy": [], "password": "p" * 8, "users": 2}
    monkeypatch.setenv("COURSE_HUB", json.dumps(asked))
    places = (app, auth, spawner, SimpleNamespace(SharedPasswordAuthenticator=SharedPasswordAuthenticator))
    for section, settings in load("rehearsal_config.py").items():
        known = next(vars(place)[section] for place in places if section in vars(place))
        assert settings.keys() <= set(known.class_trait_names(config=True)), section


def test_the_first_page_is_in_the_learners_copy(shared):
    folder, lesson = shared.DEFAULT_URL.removeprefix("/lab/tree/").split("/", 1)
    assert folder == COURSE_FOLDER
    assert (ROOT / lesson).exists()


def test_links_of_the_pages_lead_somewhere():
    for page in HUB.glob("*.md"):
        for file, place in re.findall(r"\]\((?!https?:)([^)#\s]*)#?([^)\s]*)\)", page.read_text(encoding="utf-8")):
            goal = (page.parent / file).resolve() if file else page
            assert goal.is_file(), f"{page.name}: {file}"
            headings = re.findall(r"^#+ (.+)$", goal.read_text(encoding="utf-8"), re.M)
            places = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert not place or place in places, f"{page.name}: #{place}"


# What can be missing


def has_jupyterhub():
    return all(map(importlib.util.find_spec, ("jupyterhub", "jupyterhub_idle_culler")))


@pytest.fixture
def installed():
    """Skip where no hub can run."""
    need("JupyterHub", has_jupyterhub())
    need("Node.js with npm", all(map(shutil.which, ("node", "npm"))))


def test_a_hub_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(HubError, match=r"python3 course\.py hub"):
        proxy_command(tmp_path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HubError, match=r"Node\.js is missing"):
        proxy_command(tmp_path)
    program(tmp_path / "node", "exit 0")
    with pytest.raises(HubError, match="npm is missing"):
        proxy_command(tmp_path / "cache")


def test_an_npm_that_gets_no_answer_leaves_nothing_half_made(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    program(tmp_path / "node", "exit 0")
    program(tmp_path / "npm", 'mkdir "$3/node_modules"\nexit 1')
    with pytest.raises(HubError, match="connect to a network"):
        proxy_command(tmp_path / "cache")
    assert [file.name for file in (tmp_path / "cache").iterdir() if file.is_dir()] == []
    program(tmp_path / "npm", 'mkdir "$3/node_modules"')
    command = proxy_command(tmp_path / "cache")
    program(tmp_path / "npm", "exit 1")  # not asked again
    assert proxy_command(tmp_path / "cache") == command


def program(file, code):
    file.write_text(f"#!/bin/sh\n{code}\n")
    file.chmod(0o755)


@pytest.mark.parametrize(
    ("users", "password", "says"),
    [(0, "long-enough", "at least one learner, not 0"), (2, "short", "8 letters or more")],
)
def test_a_wish_that_makes_no_sense_is_refused(tmp_path, users, password, says):
    with pytest.raises(HubError, match=says), running_hub(ROOT, users, free_ports(1)[0], tmp_path, password):
        pass


def test_a_taken_port_is_named(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(HubError, match=f"Port {port} is taken"), running_hub(ROOT, 1, port, tmp_path, "x" * 8):
            pass


@pytest.mark.skipif(os.name == "nt", reason="JupyterHub does not run on Windows")
@pytest.mark.parametrize(
    ("user", "words"), [(0, "root, answer on this machine only (127.0.0.1)"), (1000, "you, so keep")]
)
def test_it_is_said_as_whom_the_servers_run(tmp_path, monkeypatch, capsys, user, words):
    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.setattr(hub, "running_hub", lambda *_: nullcontext(SimpleNamespace(wait=lambda: 0)))
    with pytest.raises(HubError, match="has ended by itself"):
        hub.run_hub(ROOT, 2, 8000, tmp_path)
    assert f"all servers run as {words}" in capsys.readouterr().out


# Real hubs


def test_strangers_stay_out_a_second_hub_is_refused_and_a_killed_one_leaves_nothing_behind(installed, tmp_path):
    port, other = free_ports(2)
    with running_hub(ROOT, 1, port, tmp_path, "long-enough") as running:
        for name, password in (("learner1", "wrong-password"), ("learner2", "long-enough")):
            learner = rehearsal.Learner(f"http://127.0.0.1:{port}", name, str(tmp_path))
            with pytest.raises(rehearsal.RehearsalError, match=f"{name} cannot log in"):
                learner.log_in(password)
        assert len(processes_of(str(tmp_path))) >= 3  # hub, proxy, culler
        with pytest.raises(HubError, match="already running"), running_hub(ROOT, 1, other, tmp_path, "long-enough"):
            pass
        running.kill()
    assert processes_of(str(tmp_path)) == []


def test_a_hub_that_does_not_start_names_its_log(installed, tmp_path, monkeypatch):
    (tmp_path / "jupyterhub.sqlite").write_text("this is no database, " * 100)
    log = re.escape(str(tmp_path / "hub.log"))
    with pytest.raises(HubError, match=log), running_hub(ROOT, 1, free_ports(1)[0], tmp_path, "long-enough"):
        pass
    assert processes_of(str(tmp_path)) == []


SETTINGS = """
import os, torch
assert torch.get_num_threads() == 1
assert os.environ["HF_HUB_OFFLINE"] == "1"
assert "COURSE_HUB" not in os.environ, "the password is in it"
assert os.path.samefile("../../../learner1", os.environ["HOME"]) or "learner2" in os.environ["HOME"]
assert os.path.exists("../exercises/11_sampling.ipynb")
"""


@pytest.fixture
def own_folder(monkeypatch):
    """Someone else on this machine may rehearse at the same time: only our hub is here."""
    with tempfile.TemporaryDirectory() as place:
        monkeypatch.setattr(tempfile, "tempdir", place)
        yield


def test_a_rehearsal(installed, own_folder):
    report = rehearsal.rehearse(2, [SETTINGS, *rehearsal.lesson_cells()[:2]])
    rows = {row[0]: row[1:] for row in re.findall(r"^\| ([^|]+) \| ([\d.,]+) \| ([\d.,]+) \|", report, re.M)}
    assert rows.keys() >= {"start a server", "start a kernel", "run a cell", "run the whole lesson", "server", "kernel"}
    assert all(float(cell.replace(",", "")) >= 0 for row in rows.values() for cell in row)
    assert 20 < float(rows["server"][0]) < 400
    assert 50 < float(rows["kernel"][0]) < 800  # torch
    assert int(rows["16 GB"][0]) > int(rows["16 GB"][1]) > 0
    assert "the notebook was whole" in report
    assert processes_of_any_hub() == []


def test_a_rehearsal_that_fails_says_why_and_cleans_up(installed, own_folder):
    with pytest.raises(rehearsal.RehearsalError, match=r"(?s)a cell of learner1 fails: ZeroDivisionError.*hub's log"):
        rehearsal.rehearse(1, ["1 / 0"])
    assert processes_of_any_hub() == []


def processes_of_any_hub():
    """Those that a rehearsal of this test run left behind."""
    return [one for one in psutil.process_iter() if marked(one).startswith(f"{tempfile.gettempdir()}/rehearsal-")]


def marked(process):
    try:
        return process.environ().get(hub.MARK, "")
    except (psutil.Error, OSError):
        return ""


# The guide


def test_the_report_replaces_the_one_before_and_nothing_else():
    page = f"# Guide\n\ntext\n\n{rehearsal.MARKER}\n\nan old table\n\n## Next\n\nmore\n"
    once = rehearsal.recorded(page, "a table")
    assert once == f"# Guide\n\ntext\n\n{rehearsal.MARKER}\n\na table\n\n## Next\n\nmore\n"
    assert rehearsal.recorded(once, "a table") == once
    assert rehearsal.recorded(f"{rehearsal.MARKER}\n", "a table") == f"{rehearsal.MARKER}\n\na table\n"
    with pytest.raises(rehearsal.RehearsalError, match="no line"):
        rehearsal.recorded("# Guide", "a table")


def test_several_classes_come_one_after_the_other(monkeypatch, capsys):
    monkeypatch.setattr(rehearsal, "ensure_models", lambda: None)
    monkeypatch.setattr(rehearsal.signal, "signal", lambda *_: None)
    monkeypatch.setattr(rehearsal, "rehearse", lambda users, codes: f"### {users} learners, {len(codes)} cells")
    monkeypatch.setattr(rehearsal.sys, "argv", ["rehearsal", "--users", "8", "20", "--cells", "3"])
    assert rehearsal.main() == 0
    assert capsys.readouterr().out == "### 8 learners, 3 cells\n\n### 20 learners, 3 cells\n"


def test_the_guide_has_a_place_for_the_report():
    assert rehearsal.MARKER in rehearsal.GUIDE.read_text(encoding="utf-8")


def test_the_largest_class_is_arithmetic():
    measured = {"server: private": [90e6, 100e6], "kernel: private": [200e6, 100e6], "hub": [0]}
    rows = rehearsal.largest_class(measured)
    models = sum(rehearsal.ModelStore().size(entry) for entry in rehearsal.CATALOGUE.values())
    left = 32e9 - rehearsal.SYSTEM_BYTES - models
    assert f"| 32 GB | {int(left // 300e6)} | {int(left // 700e6)} |" in rows
