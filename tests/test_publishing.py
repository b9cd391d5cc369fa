"""GitHub and GitLab publish the same two folders with the course's own commands, and nothing that can change unseen.

The last test runs what they run, in a fresh clone; it takes a network and minutes, so it runs with COURSE_SLOW_TESTS=1.
"""

import os
import re
import shlex
import subprocess

import pytest
import yaml

from course_utils.cli import _parser
from course_utils.machine import ROOT
from tests.browser.test_site import Page, broken_links

PAGE = (ROOT / "docs/publishing.md").read_text(encoding="utf-8")
WORKFLOW = ROOT / ".github/workflows/pages.yml"
PIPELINE = ROOT / ".gitlab-ci.yml"


@pytest.fixture(scope="module")
def workflow():
    if not WORKFLOW.exists():
        pytest.skip("a course from a stick has no hidden folders")
    return yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def pipeline():
    return yaml.safe_load(PIPELINE.read_text(encoding="utf-8"))["pages"]


def commands(workflow):
    return [step["run"] for step in workflow["jobs"]["build"]["steps"] if "run" in step]


def uses(workflow, action):
    return next(step for step in workflow["jobs"]["build"]["steps"] if f"/{action}@" in step.get("uses", ""))


def test_both_run_what_the_page_names(workflow, pipeline):
    assert commands(workflow) == pipeline["script"]
    assert all(f"`{command}`" in PAGE for command in commands(workflow))
    for command in commands(workflow):
        python, front_door, *words = shlex.split(command)
        assert (python, front_door) == ("python3", "course.py")
        assert str(_parser().parse_args(words).out).startswith("public")


def test_both_publish_the_folder_that_is_made(workflow, pipeline):
    assert uses(workflow, "upload-pages-artifact")["with"]["path"] == "public"
    assert pipeline["artifacts"]["paths"] == ["public"]
    assert "deploy-pages@" in workflow["jobs"]["deploy"]["steps"][-1]["uses"]


def test_actions_are_githubs_own_and_pinned(workflow):
    used = re.findall(r"uses: (.*)", WORKFLOW.read_text(encoding="utf-8"))
    assert len(used) == 5
    assert all(re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action) for action in used), used


def test_only_the_last_job_may_publish(workflow):
    assert workflow["permissions"] == {"contents": "read"}
    assert "permissions" not in workflow["jobs"]["build"]
    assert workflow["jobs"]["deploy"]["permissions"] == {"pages": "write", "id-token": "write"}


def test_the_pythons_are_ones_that_the_course_runs_on(workflow, pipeline):
    python = uses(workflow, "setup-python")
    assert pipeline["image"] == f"python:{python['with']['python-version']}-slim"
    # What the website's packages are pinned by decides which downloads may be used again.
    assert python["with"]["cache-dependency-path"] == pipeline["cache"]["key"]["files"][0] == "constraints.txt"
    assert pipeline["variables"]["PIP_EXTRA_INDEX_URL"] == workflow["jobs"]["build"]["env"]["PIP_EXTRA_INDEX_URL"]


def test_the_way_there_is_said_where_teachers_look():
    assert "(docs/publishing.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
    for link in re.findall(r"\]\((\.\./[^)#]+)\)", PAGE):
        assert (ROOT / "docs" / link).exists() or not WORKFLOW.exists(), link


@pytest.mark.skipif(os.environ.get("COURSE_SLOW_TESTS") != "1", reason="takes minutes: set COURSE_SLOW_TESTS=1")
def test_their_steps_run_in_a_fresh_clone(workflow, tmp_path):
    clone = tmp_path / "course"
    subprocess.run(["git", "clone", "--quiet", "--depth=1", ROOT.as_uri(), clone], check=True)
    environment = {**os.environ, **workflow["jobs"]["build"]["env"], "HOME": str(tmp_path)}  # no models, no settings
    environment.pop("PYTHONPATH", None)
    for command in commands(workflow):
        subprocess.run(["bash", "-e", "-o", "pipefail", "-c", command], cwd=clone, env=environment, check=True)
    public = clone / "public"
    assert {"index.html", "api", "notebooks", "slides"} <= {file.name for file in public.iterdir()}
    lessons = {file.stem for file in (clone / "notebooks").glob("[0-9][0-9]_*.ipynb")}
    assert {file.name.partition(".")[0] for file in (public / "slides").iterdir()} == lessons | {"index"}
    assert list(broken_links(public)) == []
    assert "slides/index.html" in Page(public / "index.html").links
    files = [file for file in public.rglob("*") if file.is_file()]
    assert not any(file.is_symlink() for file in public.rglob("*"))  # GitHub refuses them
    assert sum(file.stat().st_size for file in files if "slides" not in file.parts) < 25e6
