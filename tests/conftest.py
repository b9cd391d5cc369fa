"""Shared by all tests: which tools are missing, said loudly at the end; traces to build widgets from."""

import builtins
import json
import os
import shutil
import signal
import sys
from collections import Counter

import numpy as np
import pytest

import tests.examples  # noqa: F401 - loads the profile of hypothesis
from course_utils.machine import ROOT, find_browser
from course_utils.traces import NextTokenTrace

# What a shell runs in the background ignores Ctrl+C, and so do all that it starts: these tests may be run there.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# What one tier is, by how the names of its files begin: the first that fits. tests/README.md shows their minutes.
TIERS = {
    "lessons, by nbval": "notebooks/",
    "one exercise and its solution, by nbval": ("exercises/", "solutions/"),
    "examples in docstrings": "course_utils/",
    "browser": "tests/browser/",
    "grading, exercises and classes": tuple(
        f"tests/test_{name}"
        for name in ("any_submission", "cells", "check", "exercises", "grad", "hub.py", "moderation", "nbgrader")
    ),
    "everything else": "",
}
# What takes longest, by --minutes, the longest first. A file that isn't here any more does no harm.
LONGEST_FIRST = [
    "tests/test_grader_attacks.py",
    "tests/browser/test_site.py",
    "tests/browser/test_day_two.py",
    "tests/test_capstone.py",
    "tests/test_final_comparison.py",
    "tests/test_grading.py",
    "notebooks/deeper/11_diversity_and_likelihood.ipynb",
    "notebooks/deeper/14_faster_and_constrained_decoding.ipynb",
    "notebooks/deeper/14_batching_and_serving.ipynb",
    "notebooks/12_repetition_length_and_stopping.ipynb",
    "notebooks/13_beam_search.ipynb",
    "tests/browser/test_every_widget.py",
    "tests/test_checks_reject.py",
    "tests/browser/test_lesson_12.py",
    "tests/browser/test_lesson_09.py",
    "tests/test_check_card.py",
    "tests/test_generate.py",
    "tests/test_front_door.py",
    "notebooks/02_where_llms_fail.ipynb",
    "notebooks/10_prefill_and_decode.ipynb",
    "notebooks/11_sampling.ipynb",
    "notebooks/15_your_own_generate.ipynb",
    "notebooks/09_context_length_and_prompting.ipynb",
    "tests/test_hub.py",
    "tests/test_board_hub.py",
    "tests/browser/test_board.py",
    "tests/test_hub_profile.py",
    "tests/test_lines_people_know.py",
    "tests/browser/test_lesson_05.py",
    "tests/browser/test_own_copy.py",
    "tests/test_cli.py",
    "tests/browser/test_lesson_08.py",
    "tests/browser/test_lesson_13.py",
    "tests/browser/test_lesson_11.py",
    "notebooks/06_pretraining_and_finetuning.ipynb",
    "notebooks/14_speed_and_memory_in_practice.ipynb",
    "notebooks/01_what_llms_can_do.ipynb",
    "notebooks/07_encoders_decoders_and_both.ipynb",
    "notebooks/08_attention.ipynb",
    "tests/test_calls.py",
    "tests/test_any_submission.py",
    "tests/test_exercises.py",
    "tests/test_repetition_lab.py",
    "tests/test_benchmarks.py",
    "tests/test_training.py",
]


def need(tool: str, there: bool) -> None:
    """Skip the test when `tool` is not there; in CI that is a failure."""
    if there:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"{tool} is missing, and CI must have it: run `python3 course.py setup-tests`")
    pytest.skip(f"{tool} is missing: run `python3 course.py setup-tests`")


@pytest.fixture(scope="session")
def node():
    need("Node.js", shutil.which("node") is not None)
    return shutil.which("node")


@pytest.fixture(scope="session")
def browser_path():
    need("a browser", find_browser() is not None)
    return find_browser()


@pytest.fixture
def toy_trace():
    """Eight tokens with a clear ranking; enough to count by hand."""
    logits = np.array([4.0, 3.0, 2.0, 1.0, 0.0, -1.0, -2.0, -3.0], dtype=np.float32)
    return NextTokenTrace("toy", "once upon", ("once", "␣upon"), logits, tuple("abcdefgh"))


@pytest.fixture(scope="session")
def random_trace():
    """As large as SmolLM2's vocabulary, in no particular order."""
    logits = np.random.default_rng(0).normal(0, 3, 49_152).astype(np.float32)
    return NextTokenTrace("random", "once", ("once",), logits, tuple(f"t{i}" for i in range(len(logits))))


@pytest.fixture
def new_interpreter(monkeypatch):
    """The worker's process is a new one; here, an example in a docstring may have left its last value behind."""
    monkeypatch.delattr(builtins, "_", raising=False)


@pytest.fixture
def in_a_folder(tmp_path, monkeypatch):
    """Run the cells in an empty folder, and put back what a shell sets."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(os, "environ", os.environ.copy())
    return tmp_path


def pytest_addoption(parser):
    parser.addoption("--record", action="store_true", help="write benchmarks/widgets.json and the README's pictures")
    parser.addoption("--minutes", action="store_true", help="say how long each tier and the longest files took")


def pytest_collection_modifyitems(items):
    """Let cells wait longer for their outputs than nbval's five seconds, and begin with the longest files.

    A file is run by one worker. What is long and comes last would keep one worker busy while the other has nothing
    more to do.
    """
    for item in items:
        if hasattr(item, "output_timeout"):
            item.output_timeout = 120  # a busy machine needs it
    place = {file: number for number, file in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: place.get(file_of(item.nodeid), len(place)))


def file_of(nodeid):
    return nodeid.partition("::")[0]


def tier_of(file):
    return next(tier for tier, begins in TIERS.items() if file.startswith(begins))


def pytest_terminal_summary(terminalreporter):
    """A skipped browser must not look like a tested one; with --minutes, say where the time went."""
    if terminalreporter.config.getoption("--minutes"):
        tiers, files = Counter(), Counter()
        for report in (report for reports in terminalreporter.stats.values() for report in reports):
            if hasattr(report, "duration"):
                files[file_of(report.nodeid)] += report.duration
                tiers[tier_of(file_of(report.nodeid))] += report.duration
        terminalreporter.section("minutes of a worker")
        for times in (tiers, files):
            for name, seconds in times.most_common(40):
                terminalreporter.write_line(f"{seconds / 60:6.1f}  {name}")
    skipped = [report for report in terminalreporter.stats.get("skipped", []) if "setup-tests" in str(report.longrepr)]
    if skipped:
        terminalreporter.section("NOT TESTED", sep="!", red=True, bold=True)
        for report in skipped:
            terminalreporter.write_line(f"{report.nodeid}: {report.longrepr[2]}")


@pytest.fixture(scope="session")
def record(request):
    """Put numbers into benchmarks/widgets.json when the tests run with --record; return whether they do."""
    recording = request.config.getoption("--record")

    def write(name, numbers):
        if recording:
            path = ROOT / "benchmarks" / "widgets.json"
            everything = json.loads(path.read_text()) if path.exists() else {}
            everything[name] = {**everything.get(name, {}), **numbers}
            path.write_text(json.dumps(everything, indent=1, sort_keys=True) + "\n")
        return recording

    return write
