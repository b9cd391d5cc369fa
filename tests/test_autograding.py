"""The recipes for GitHub Actions and GitLab CI: their steps are run here, on a learner's repository."""

import os
import shlex
import subprocess
import sys

import pytest
import yaml

from course_utils.grading.sandbox import NoSandboxError, try_sandbox
from course_utils.machine import ROOT
from tests.conftest import need
from tests.submissions import DOUBLE, hand_in

GRADING = ROOT / "grading"
CHECKS = ROOT / "tests" / "grading_checks.py"


def github():
    recipe = yaml.safe_load((GRADING / "github-actions.yml").read_text(encoding="utf-8"))
    (job,) = recipe["jobs"].values()
    return job["env"], [step["run"] for step in job["steps"] if "run" in step]


def gitlab():
    recipe = yaml.safe_load((GRADING / "gitlab-ci.yml").read_text(encoding="utf-8"))
    (job,) = recipe.values()
    return job["variables"], [*job["before_script"], *job["script"], *job["after_script"]]


RECIPES = {"github": github, "gitlab": gitlab}
every_recipe = pytest.mark.parametrize("recipe", RECIPES)


@pytest.fixture
def repository(tmp_path):
    """A learner's repository, and programs that stand for those of the job: the course is here already."""
    hand_in(tmp_path / "learner" / "00_x.ipynb", DOUBLE, "def total(numbers):\n    return max(numbers)")
    python = shlex.quote(sys.executable)
    programs = {
        "sudo": 'exec "$@"',
        "apt-get": "",
        "sysctl": "",
        "git": f'for target; do :; done; ln -s {shlex.quote(str(ROOT))} "$target"',
        "python3": f'case "$1" in *course.py) shift; set -- -P -m course_utils.cli "$@";; esac\nexec {python} "$@"',
    }
    for name, text in programs.items():
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
    return tmp_path


@every_recipe
def test_the_steps_grade_a_repository(repository, recipe):
    try:
        try_sandbox()
    except NoSandboxError:
        need("bubblewrap", False)
    variables, steps = RECIPES[recipe]()
    place = repository / "job"
    place.mkdir()
    steps = [step.replace("/opt/", f"{place}/").replace("/tmp/grades", f"{place}/grades") for step in steps]
    assert "course.py" in " ".join(steps)
    environment = os.environ | {name: str(value) for name, value in variables.items()}
    environment |= {
        "PATH": f"{repository / 'bin'}:{os.environ['PATH']}",
        "NOTEBOOK": "00_x.ipynb",
        "LESSON": str(CHECKS),
    }
    environment |= {"RUNNER_TEMP": str(place), "GITHUB_STEP_SUMMARY": str(place / "summary"), "GITHUB_RUN_ID": "4711"}
    environment |= {"CI_PIPELINE_ID": "4711", "PYTHONPATH": str(ROOT)}
    said = ""
    for step in steps:  # as both of them run a step: it ends where a command fails
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", step],
            cwd=repository / "learner", env=environment, capture_output=True, text=True,
        )  # fmt: skip
        said += done.stdout + done.stderr
        assert done.returncode == 0, said
    shown = (place / "summary").read_text(encoding="utf-8") if recipe == "github" else said
    assert "**2 of 4 points** (graded)" in shown
    assert "- q1 · Double: right, 2 of 2" in shown
    assert "- q2 · Total: wrong, 0 of 2" in shown
    assert "1 graded." in said
    (page,) = (place / "grades" / "feedback").iterdir()
    assert page.name == "00_x.html"
    assert (repository / "learner" / "feedback").exists() == (recipe == "gitlab"), (
        "GitLab takes artifacts from there only"
    )
    assert "tensor" not in shown, "no hidden input"


@every_recipe
def test_only_the_pages_for_learners_leave_the_job(recipe):
    text = (GRADING / {"github": "github-actions.yml", "gitlab": "gitlab-ci.yml"}[recipe]).read_text(encoding="utf-8")
    kept = text[text.index("upload-artifact" if recipe == "github" else "artifacts:") :]
    assert "feedback" in kept
    assert "reports" not in kept
    assert "--without-sandbox" not in text


def test_a_submission_without_points_is_shown_too(tmp_path):
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "ada.json").write_text(
        '{"points": null, "of": 4, "status": "unreadable", "tasks": [], "reasons": ["The submission is empty."]}'
    )
    shown = subprocess.run([sys.executable, GRADING / "show_points.py", tmp_path], capture_output=True, text=True)
    assert shown.stdout == "**Not graded** (unreadable)\n\n\nThe submission is empty.\n"
