"""Binder, the dev container, conda, Colab and the stick give the course the same Python, packages and settings."""

import json
import os
import pkgutil
import re
import shlex
import subprocess
import sys
import tomllib
from importlib.metadata import distributions
from pathlib import Path

import jsonschema
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from course_utils.cli import TEST_ENVIRONMENT, _parser
from course_utils.machine import QUIET_LAB, ROOT
from tests.test_front_door import FRONT_DOOR

PAGE = (ROOT / "workshop/ways-in.md").read_text(encoding="utf-8")
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
BINDER = ROOT / "binder"
# The properties that ours uses, as the schema of the Development Container Specification defines them.
DEV_CONTAINER = {
    "type": "object",
    "additionalProperties": False,
    "required": ["image"],
    "properties": {
        "name": {"type": "string"},
        "image": {"type": "string"},
        "hostRequirements": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "cpus": {"type": "integer", "minimum": 1},
                "memory": {"type": "string", "pattern": r"^\d+([tgmk]b)?$"},
                "storage": {"type": "string", "pattern": r"^\d+([tgmk]b)?$"},
            },
        },
        "containerEnv": {"type": "object", "additionalProperties": {"type": "string"}},
        "postCreateCommand": {"type": ["string", "array", "object"]},
        "forwardPorts": {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 65535}},
        "portsAttributes": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "label": {"type": "string"},
                    "onAutoForward": {"enum": ["notify", "openBrowser", "openPreview", "silent", "ignore"]},
                },
            },
        },
        "customizations": {"type": "object"},
    },
}


def pins():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if "==" in line)


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def dev_container():
    file = ROOT / ".devcontainer/devcontainer.json"
    if not file.exists():
        pytest.skip("a course from a stick has no hidden folders")
    return json.loads(file.read_text(encoding="utf-8"))


def binder_requirements():
    lines = (BINDER / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return [line.partition("#")[0].strip() for line in lines if line.partition("#")[0].strip()]


def threads(settings):
    return {name: settings.get(name) for name in TEST_ENVIRONMENT if name != "JUPYTER_PLATFORM_DIRS"}


# Python and packages


def test_all_use_the_python_of_environment_yml():
    conda = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"][0]
    version = conda.removeprefix("python=")
    assert SpecifierSet(project()["requires-python"]).contains(f"{version}.0")
    assert (BINDER / "runtime.txt").read_text() == f"python-{version}\n"
    assert re.search(r":1-([\d.]+)-", dev_container()["image"])[1] == version


# What Debian 12, Ubuntu 24.04 and Debian 13 bring, and the first of each that python.org gave out.
PYTHONS = ("3.11.0", "3.11.2", "3.12.0", "3.12.3", "3.13.0", "3.13.5")


def test_every_pinned_package_can_be_installed_by_the_pythons_that_people_have():
    pinned = re.findall(r"^([\w.-]+)==", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    installed = {one.metadata["Name"].lower().replace("_", "-"): one for one in distributions()}
    refused = {
        (name, python)
        for name in pinned
        if (one := installed.get(name.lower().replace("_", "-"))) and one.metadata["Requires-Python"]
        for python in PYTHONS
        if not SpecifierSet(one.metadata["Requires-Python"]).contains(python)
    }
    assert len(installed.keys() & {name.lower().replace("_", "-") for name in pinned}) > 100
    assert not refused


def test_stored_pictures_are_shown_also_without_the_courses_command():
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (folder,) = (option.partition("=")[2] for option in QUIET_LAB if "extra_labextensions_path" in option)
    shared = pyproject["tool"]["hatch"]["build"]["targets"]["wheel"]["shared-data"]
    assert shared == {Path(folder).relative_to(ROOT).as_posix(): "share/jupyter/labextensions"}
    extension = json.loads((Path(folder) / "llms-by-hand/package.json").read_text(encoding="utf-8"))
    assert extension["version"] == project()["version"]
    assert (Path(folder) / "llms-by-hand" / extension["jupyterlab"]["_build"]["load"]).is_file()


def test_binder_installs_the_pinned_course_and_torch_without_cuda():
    lines = binder_requirements()
    options, packages = [line for line in lines if line[0] == "-"], [line for line in lines if line[0] != "-"]
    assert options == [f"--extra-index-url {CPU_INDEX}", "-c ../constraints.txt", "-e ."]
    assert (BINDER / "../constraints.txt").exists(), "pip reads -c from the folder of the file"
    versions = {Requirement(package).name: str(Requirement(package).specifier) for package in packages}
    assert versions.pop("torch") == f"=={pins()['torch']}+cpu"
    assert versions.keys() == {"notebook"}
    # notebook 7.N goes with JupyterLab 4.N
    assert re.match(r"==7\.(\d+)\.", versions["notebook"])[1] == pins()["jupyterlab"].split(".")[1]


@pytest.mark.parametrize("name", ["postBuild", "start"])
def test_binders_scripts_can_run(name):
    script = BINDER / name
    assert script.read_text().startswith("#!/bin/bash\n")
    assert "\r" not in script.read_bytes().decode()
    if os.name == "posix":
        assert os.access(script, os.X_OK)
        assert subprocess.run(["bash", "-n", str(script)]).returncode == 0


@pytest.mark.skipif(os.name == "nt", reason="needs bash")
def test_binders_start_sets_the_threads_and_hands_over():
    show = "import os, json, sys; print(json.dumps([sys.argv[1:], dict(os.environ)]))"
    command = [str(BINDER / "start"), sys.executable, "-c", show, "two words"]
    arguments, settings = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert arguments == ["two words"]
    assert threads(settings) == threads(TEST_ENVIRONMENT)


def test_the_dev_container_follows_the_specification():
    container = dev_container()
    jsonschema.validate(container, DEV_CONTAINER)
    assert container["containerEnv"]["PIP_EXTRA_INDEX_URL"] == CPU_INDEX
    assert threads(container["containerEnv"]) == threads(TEST_ENVIRONMENT)
    assert set(container["portsAttributes"]) == set(map(str, container["forwardPorts"]))


@pytest.mark.parametrize(
    "wrong", [{"image": 3}, {"hostRequirements": {"memory": "4 GB"}}, {"postCreate": "x"}, {"forwardPorts": ["8888"]}]
)
def test_a_wrong_dev_container_would_be_found(wrong):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"image": "python", **wrong}, DEV_CONTAINER)


# What people are told to type


def commands():
    """Every command of the course in the page, in Binder's scripts and in the dev container."""
    block = re.compile(r"^```\w*\n(.*?)^```", re.DOTALL | re.MULTILINE)
    inline = re.findall(r"`([^`]+)`", block.sub("", PAGE))
    texts = [*block.findall(PAGE), *(code.replace("\n", " ") for code in inline), (BINDER / "postBuild").read_text()]
    if (ROOT / ".devcontainer").exists():
        texts += dev_container()["postCreateCommand"].split(" && ")
    for line in "\n".join(texts).splitlines():
        found = re.search(r"(?:^|\s)(?:python3 course\.py|py course\.py|course) ([a-z].*)", line)
        if found:
            yield found[1]


def test_the_page_tells_of_every_way():
    headings = re.findall(r"^## (.+)", PAGE, re.MULTILINE)
    ways = ["Binder", "Colab", "Dev container", "conda", "pip", "USB stick, no network"]
    assert headings == ["Your own copy", "Root", *ways]
    assert CPU_INDEX in PAGE


@pytest.mark.parametrize("typed", sorted(set(commands())))
def test_a_command_that_people_are_told_exists(typed):
    options, others = _parser().parse_known_args(shlex.split(typed, comments=True))
    assert not others or options.command == "lab", "JupyterLab has its own options"
    assert re.search(rf"^  {options.command}\s", FRONT_DOOR.read_text(), re.MULTILINE), "the front door knows it, too"


def test_there_are_such_commands():
    assert len(set(commands())) >= 5


def test_what_the_page_links_to_is_there():
    links = re.findall(r"\]\(([^)#]+)", PAGE)
    assert links
    for link in links:
        assert link.startswith("https://") or (ROOT / "workshop" / link).exists(), link


def test_colabs_first_cell_is_code():
    cell = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1]
    versions = dict(re.findall(r"(\S+)==(\S+)", cell))
    assert len(versions) == 3
    assert versions.items() <= pins().items()
    assert "--no-deps ./llms-by-hand" in cell, "Colab's kernel needs Colab's Jupyter"
    assert "enable_custom_widget_manager()" in cell
    code = re.sub(r"^[%!].*$", "", cell, flags=re.MULTILINE)
    compile(code, "cell", "exec")


def test_every_module_that_a_file_names_is_there():
    """Also in files that no tool for Python reads: a Dockerfile, a shell script, a page of words."""
    named = re.compile(r"\bcourse_utils(?:\.[a-z][a-z_0-9]*)+")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout.splitlines()
    texts = [ROOT / name for name in listed if Path(name).suffix in ("", ".md", ".sh", ".toml", ".yml", ".yaml", ".js")]
    assert len(texts) > 40
    for file in texts:
        for name in named.findall(file.read_text(encoding="utf-8")):
            assert pkgutil.resolve_name(name), file
