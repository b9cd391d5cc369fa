"""What a learner did is never lost: kills, damage, two kernels, a full disk; and what they read is one sentence."""

import csv
import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from filelock import FileLock

from course_utils.learner import (
    Progress,
    export_progress,
    machine_check,
    predict,
    progress_report,
    quiz_question,
    reset_progress,
)
from course_utils.learner import machine_check as machine_check_function
from course_utils.learner.progress_table import ProgressReport
from course_utils.learner.score_file import Score, ScoreFile
from course_utils.learner.scoreboard import Scoreboard
from course_utils.machine import ROOT
from course_utils.models.store import ModelStore

RANGES = {"below 10 %": (0, 0.1), "10 % to 50 %": (0.1, 0.5), "over 50 %": (0.5, None)}
NOTHING = {"predictions": {}, "quizzes": {}, "exercises": {}}
ANSWERS = [("a", False, "No: a."), ("b", True, "Yes: b."), ("c", False, "No: c.")]


@pytest.fixture
def progress(tmp_path):
    return Progress(tmp_path / "home" / "progress.json")


def press(question, choice):
    """What the page does when the button is pressed."""
    question.asked = [question.asked[0] + 1, choice]


def test_record_and_get(progress):
    assert progress.get("predictions", "x") is None
    progress.record("predictions", "x", {"choice": "ä"})
    assert Progress(progress.path).get("predictions", "x") == {"choice": "ä"}


def test_unknown_kind(progress):
    with pytest.raises(
        ValueError, match=r"kind must be one of \('predictions', 'quizzes', 'exercises'\), got 'grades'"
    ):
        progress.record("grades", "x", {})


LOOP = """
import sys
from pathlib import Path
from course_utils.learner import progress as module
module.LOCK_SECONDS = 600  # another process of this test may sleep for long while it has the lock
progress = module.Progress(Path(sys.argv[1]))
for number in range(int(sys.argv[2]), 100_000):
    progress.record("predictions", f"{sys.argv[3]}{number}", {"choice": "x" * 200})
    print(number, flush=True)
"""


def start(progress, first, name):
    command = [sys.executable, "-c", LOOP, str(progress.path), str(first), name]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
def test_kill_at_any_moment_loses_nothing(progress):
    chance, acknowledged = random.Random(7), -1
    for _ in range(10):
        process = start(progress, acknowledged + 1, "n")
        lines = [process.stdout.readline() for _ in range(chance.randint(1, 20))]
        time.sleep(chance.uniform(0, 0.01))  # somewhere in the next writes
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.readlines()
        process.wait()
        acknowledged = int(lines[-1])
        kept = json.loads(progress.path.read_text())["entries"]["predictions"]
        assert all(f"n{number}" in kept for number in range(acknowledged + 1))
    assert acknowledged >= 10


def test_two_kernels_do_not_lose_each_others_entries(progress):
    processes = [start(progress, 99_950, name) for name in "ab"]
    for process in processes:
        process.communicate(timeout=600)
        assert process.returncode == 0
    assert len(progress.everything()["predictions"]) == 100


@pytest.mark.parametrize(
    "damage",
    [
        *(
            '{"version": 1, "entr',
            "",
            "[]",
            '{"entries": {"predictions": 3}}',
            '{"version": 1, "entries": []}',
            "\x00" * 50,
        ),
        *("[" * 100_000, '{"a":' * 100_000, "null", "1" * 5000, '{"version": null, "entries": {}}', '{"version": 1}'),
        *('{"version": [1], "entries": {}}', '{"version": 1, "entries": null}', '{"version": "1", "entries": {}}'),
        '{"version": 1, "entries": {"quizzes": [], "predictions": "text", "exercises": null}}',
    ],
)
def test_corrupt_file_is_set_aside(progress, damage, capsys):
    progress.path.parent.mkdir()
    progress.path.write_text(damage)
    progress.record("quizzes", "q", {"first_right": True})
    aside = list(progress.path.parent.glob("progress.corrupt-*.json"))
    assert [path.read_text() for path in aside] == [damage]
    assert str(aside[0]) in capsys.readouterr().out
    assert progress.get("quizzes", "q") == {"first_right": True}


GOOD = {"solved": True, "tries": 2}
BAD_ENTRIES = {
    "no tries": {"solved": False, "tries": None},
    "a text for a number": {"tries": "many"},
    "a number with a fraction": {"tries": 1.5},
    "a number for a yes": {"solved": 1},
    "a list": [],
    "nothing": None,
    "lists in lists": {"solved": True, "tries": 1, "more": json.loads("[" * 300 + "]" * 300)},
    "half an emoji": {"choice": "\ud83d"},
    "half an emoji for a name": {"\ud83d": 1},
}


@pytest.mark.parametrize("name", BAD_ENTRIES)
@pytest.mark.parametrize("kind", ["exercises", "quizzes"])
def test_an_entry_that_makes_no_sense_costs_no_other(progress, capsys, kind, name):
    """The file is kept under another name, and what makes sense of it is there as before."""
    damaged = {"version": 1, "entries": {"exercises": {"11-q1": GOOD}, "predictions": {"p": {"choice": "a"}}}}
    damaged["entries"].setdefault(kind, {})["11-q2"] = BAD_ENTRIES[name]
    progress.path.parent.mkdir()
    progress.path.write_text(json.dumps(damaged))
    for _ in range(2):  # the second time it is an ordinary file
        assert progress.everything() == NOTHING | {"exercises": {"11-q1": GOOD}, "predictions": {"p": {"choice": "a"}}}
    (kept,) = progress.path.parent.glob("progress.corrupt-*.json")
    assert json.loads(kept.read_text()) == damaged
    said = f"The old file is now {kept}, and a new one was started, with the 2 answers that make sense."
    assert capsys.readouterr().out == f"Your progress file couldn't be read. {said}\n"
    progress.record(kind, "11-q2", GOOD)
    assert progress.get(kind, "11-q2") == GOOD


def make_fifo(path):
    os.mkfifo(path)


def make_large(path):
    with path.open("wb") as file:
        file.truncate(2**40)  # a hole: it takes no room


@pytest.mark.skipif(os.name == "nt", reason="pipes and links")
@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.mkdir(),
        lambda path: path.write_bytes('{"version": 1, "entries": {"quizzes": {"ä": {}}}}'.encode("latin-1")),
        lambda path: path.write_bytes(json.dumps({"version": 1, "entries": {}}).encode("utf-16")),
        lambda path: path.symlink_to(path),
        make_fifo,
        make_large,
    ],
    ids=["folder", "latin-1", "utf-16", "a link to itself", "pipe", "a terabyte"],
)
def test_what_is_no_progress_file_is_set_aside(progress, capsys, make):
    progress.path.parent.mkdir()
    make(progress.path)
    asked = quiz_question("q", "Which?", ANSWERS, progress)
    press(asked, 1)
    assert asked.feedback == "✓ Right. Yes: b."
    (kept,) = progress.path.parent.glob("progress.corrupt-*.json")
    assert str(kept) in capsys.readouterr().out
    assert progress.get("quizzes", "q")["tries"] == 1


def test_a_file_that_may_not_be_read_is_set_aside(progress, monkeypatch, capsys):
    progress.record("quizzes", "q", GOOD)

    def refused(path, **options):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    with monkeypatch.context() as patch:  # root may read everything
        patch.setattr(Path, "read_text", refused)
        assert progress.everything() == NOTHING
    (kept,) = progress.path.parent.glob("progress.corrupt-*.json")
    assert str(kept) in capsys.readouterr().out
    assert Progress(kept).get("quizzes", "q") == GOOD


def test_killed_while_a_damaged_file_is_set_aside_nothing_is_lost(progress, monkeypatch):
    damaged = json.dumps({"version": 1, "entries": {"exercises": {"a": GOOD, "b": None}}})
    progress.path.parent.mkdir()
    progress.path.write_text(damaged)

    def killed(*arguments):
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "_write", killed)
        with pytest.raises(SystemExit):
            progress.everything()
    assert progress.path.read_text() == damaged
    assert progress.everything()["exercises"] == {"a": GOOD}


SCORE = Score("Ada", "2026-05-04 10:00", "a laptop", 0.2, 0.05, 0.2, 0.06, equal=12, cases=12)._asdict()


@pytest.mark.parametrize(
    "change",
    [{"tpot": 0}, {"tpot": None}, {"name": 3}, {"equal": "all"}, {"when": []}, {"more": 1}, {"ttft": {"a": 1}}],
    ids=str,
)
def test_a_score_that_makes_no_sense_is_set_aside_and_the_others_stay(tmp_path, capsys, change):
    file = ScoreFile(tmp_path / "scoreboard.json")
    entries = {"1": SCORE, "2": SCORE | change}
    file.path.write_text(json.dumps({"version": 1, "entries": {"scores": entries}}))
    shown = repr(Scoreboard(file))
    assert shown.count("Ada") == 1
    assert "Your scoreboard couldn't be read. The old file is now " in capsys.readouterr().out
    (kept,) = tmp_path.glob("scoreboard.corrupt-*.json")
    assert json.loads(kept.read_text())["entries"]["scores"] == entries


def test_prediction_is_kept_once_and_restored(progress):
    asked = predict("p", "How much?", RANGES, progress)
    press(asked, 1)
    assert asked.feedback == "Your prediction: 10 % to 50 %."
    again = predict("p", "How much?", RANGES, progress)
    assert (again.choice, again.attempt, again.once) == (1, 1, True)
    shown = "How much?\n  ( ) below 10 %\n  (•) 10 % to 50 %\n  ( ) over 50 %\nYour prediction: 10 % to 50 %."
    assert again.describe() == asked.describe() == shown


@pytest.mark.parametrize(
    ("choice", "sentence"),
    [
        (None, "Measured: 77 %. You didn't make a prediction."),
        (0, "Measured: 77 %. You predicted “below 10 %”: ✗ not this time."),
        (2, "Measured: 77 %. You predicted “over 50 %”: ✓ right."),
    ],
)
def test_compare(progress, choice, sentence):
    asked = predict("p", "How much?", RANGES, progress)
    if choice is not None:
        press(asked, choice)
    for _ in range(2):  # running the cell again changes nothing
        assert repr(asked.compare(0.77, show="{:.0%}")).replace("77%", "77 %") == sentence
    if choice is not None:
        assert progress.get("predictions", "p")["right"] == (choice == 2)


def test_compare_refuses_what_fits_no_option(progress):
    with pytest.raises(ValueError, match=r"^measured must fit one of .* got -1$"):
        predict("p", "How much?", RANGES, progress).compare(-1)


def test_quiz_explains_every_option_and_keeps_the_first_try(progress):
    asked = quiz_question("q", "Which?", ANSWERS, progress)
    for choice, words in [(0, "✗ Not quite. No: a."), (2, "✗ Not quite. No: c."), (1, "✓ Right. Yes: b.")]:
        press(asked, choice)
        assert asked.feedback == words
    assert progress.get("quizzes", "q") == {"first": "a", "first_right": False, "tries": 3, "right": True}


@pytest.mark.parametrize(
    "make", [lambda p: predict("p", "?", RANGES, p), lambda p: quiz_question("q", "?", ANSWERS, p)]
)
@pytest.mark.parametrize("choice", [None, -1, 3])
def test_a_choice_that_does_not_exist_is_one_sentence(progress, make, choice):
    asked = make(progress)
    press(asked, choice)
    assert asked.feedback == f"choice must be in 0 … 2, got {choice}"
    assert progress.everything() == NOTHING


def test_a_full_disk_does_not_stop_the_lesson(progress, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    prediction = predict("p", "How much?", RANGES, progress)
    press(prediction, 0)
    monkeypatch.setattr(Progress, "_write", full)
    asked = quiz_question("q", "Which?", ANSWERS, progress)
    press(asked, 1)
    warning = f"This couldn't be saved: No space left on device ({progress.path})."
    assert asked.feedback == f"✓ Right. Yes: b.\n{warning}"
    assert prediction.compare(0.05).splitlines() == [
        "Measured: 0.05. You predicted “below 10 %”: ✓ right.",
        warning,
    ]
    other = predict("other", "How much?", RANGES, progress)
    press(other, 0)
    assert (other.attempt, other.feedback) == (0, warning)  # not locked: it can be tried again


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("out of luck"), MemoryError()], ids=repr)
def test_a_choice_that_could_not_be_kept_locks_nothing(progress, monkeypatch, error):
    """An interrupt while another program holds the file, or something unforeseen."""

    def fail(*_):
        raise error

    asked = predict("p", "How much?", RANGES, progress)
    with monkeypatch.context() as patch:
        patch.setattr(Progress, "update", fail)
        press(asked, 1)
    assert (asked.attempt, asked.answered, asked.feedback) == (0, 1, "Not saved: 10 % to 50 %.")
    assert asked.problem.split(".")[0].split(":")[0] in ("Stopped", "RuntimeError", "MemoryError")
    assert progress.everything() == NOTHING
    press(asked, 2)
    assert (asked.attempt, asked.problem, asked.feedback) == (1, "", "Your prediction: over 50 %.")


def test_the_card_shows_what_was_measured_beside_the_choice(progress):
    asked = predict("p", "How much?", RANGES, progress)
    asked.compare(0.77)
    assert asked.feedback == "", "nothing was kept yet, and it can still be"
    press(asked, 0)
    said = asked.compare(0.77)
    assert asked.feedback == said == "Measured: 0.77. You predicted “below 10 %”: ✗ not this time."


def test_the_first_kept_choice_is_final_in_every_view(progress):
    first, second = (predict("p", "How much?", RANGES, progress) for _ in range(2))
    press(first, 2)
    press(second, 0)
    assert progress.get("predictions", "p") == {"choice": "over 50 %"}
    assert (second.choice, second.attempt) == (2, 1)
    assert second.feedback == "Your prediction: over 50 %. That was your first choice, and the first one counts."


def test_a_question_whose_options_changed_is_asked_again(progress):
    press(predict("p", "How much?", ["little", "a lot"], progress), 0)
    asked = predict("p", "How much?", RANGES, progress)
    assert asked.attempt == 0
    press(asked, 1)
    assert progress.get("predictions", "p") == {"choice": "10 % to 50 %"}


@pytest.mark.parametrize("choice", [None, -1, 3])
def test_a_malformed_press_does_not_lock_a_prediction(progress, choice):
    asked = predict("p", "How much?", RANGES, progress)
    press(asked, choice)
    assert asked.attempt == 0
    press(asked, 1)
    assert asked.feedback == "Your prediction: 10 % to 50 %."


def test_a_file_that_cannot_be_is_a_sentence_beside_the_question(progress):
    progress.path.parent.write_text("a file where the folder should be")
    asked = predict("p", "How much?", RANGES, progress)
    unreadable = f"Your progress couldn't be read: Not a directory ({progress.path})."
    assert asked.feedback == unreadable
    press(asked, 1)
    assert (asked.attempt, asked.feedback) == (0, f"This couldn't be saved: File exists ({progress.path}).")
    assert asked.compare(0.05).splitlines()[1] == unreadable
    assert repr(progress_report(progress)) == unreadable


def test_readers_of_a_corrupt_file_do_not_fail_each_other(progress, capsys):
    progress.path.parent.mkdir()
    for _ in range(5):
        progress.path.write_text("{ not json")
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda _: Progress(progress.path).everything(), range(8)))
        assert found == [NOTHING] * 8
    assert len(list(progress.path.parent.glob("progress.corrupt-*.json"))) == 5
    assert capsys.readouterr().out.count("couldn't be read") == 5


def test_a_file_that_was_put_right_meanwhile_is_not_set_aside(progress, monkeypatch):
    progress.record("predictions", "x", {"choice": "a"})
    good = progress.path.read_text()
    progress.path.write_text("{ not json")
    locked = Progress._locked

    def another_is_faster(self):
        self.path.write_text(good)
        return locked(self)

    monkeypatch.setattr(Progress, "_locked", another_is_faster)
    assert progress.get("predictions", "x") == {"choice": "a"}
    assert not list(progress.path.parent.glob("progress.corrupt-*"))


def test_a_file_of_a_newer_course_is_left_as_it_is(progress):
    progress.path.parent.mkdir()
    newer = json.dumps({"version": 2, "entries": {"predictions": {}, "quizzes": {}, "grades": {"x": 1}}})
    progress.path.write_text(newer)
    asked = predict("p", "How much?", RANGES, progress)
    press(asked, 1)
    assert asked.feedback == (
        f"This couldn't be saved: a newer version of the course wrote it, so it is left as it is ({progress.path})."
    )
    assert progress.path.read_text() == newer
    assert [path.name for path in progress.path.parent.iterdir() if "lock" not in path.name] == ["progress.json"]


def test_a_held_lock_does_not_hang_the_kernel(progress, monkeypatch):
    monkeypatch.setattr(sys.modules[Progress.__module__], "LOCK_SECONDS", 0.2)
    asked = predict("p", "How much?", RANGES, progress)
    progress.path.parent.mkdir()
    with FileLock(progress.path.with_suffix(".lock")):
        press(asked, 1)  # comes back although the lock is still held
    assert asked.feedback.startswith("This couldn't be saved: another program has held it for 0.2 seconds (")
    press(asked, 1)
    assert asked.feedback == "Your prediction: 10 % to 50 %."


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda p: predict("", "?", RANGES, p), "identifier must be a text, got ''"),
        (lambda p: predict("p", "?", ["a"], p), "options of 'p' must be at least two different texts, got ['a']"),
        (
            lambda p: predict("p", "?", ["a", "a"], p),
            "options of 'p' must be at least two different texts, got ['a', 'a']",
        ),
        (
            lambda p: quiz_question("q", "?", [("a", False, "x"), ("b", False, "y")], p),
            "options of 'q' must have a right one, got none",
        ),
        (
            lambda p: quiz_question("q", "?", [("a", True, " "), ("b", False, "y")], p),
            "options of 'q' must each have an explanation, got none for 'a'",
        ),
    ],
)  # fmt: skip
def test_bad_questions_are_one_sentence(progress, make, sentence):
    with pytest.raises(ValueError) as caught:
        make(progress)
    assert str(caught.value) == sentence


def test_question_without_a_kernel_is_readable(progress):
    data, _ = predict("p", "Is a < b?", ["yes", "no"], progress)._repr_mimebundle_()
    assert "<strong>Is a &lt; b?</strong>" in data["text/html"]
    assert "<li>yes</li>" in data["text/html"]


def test_report(progress):
    asked = predict("00-paris", "How much?", RANGES, progress)
    press(asked, 2)
    asked.compare(0.9)
    press(quiz_question("00-quiz-output", "Which?", ANSWERS, progress), 0)
    progress.record("exercises", "11-q1", {"solved": True})
    report = progress_report(progress)
    rows = {row[0]: row[1:] for row in report.rows}
    assert rows["00"] == ("1 of 2", "1", "1 of 3", "0", "0")
    assert (rows["11"][0], rows["11"][-1]) == ("0 of 4", "1")
    assert repr(report).splitlines()[-4:] == [
        "Predictions made: 1, of which 1 came out right.",
        "Quiz questions answered: 1, of which 0 right at the first try.",
        "Exercises tried: 1, of which 1 solved.",
        f"Saved in {progress.path}",
    ]
    assert report._repr_html_().count("<tr>") == 1 + len(report.rows)


def test_the_report_knows_every_question_of_every_lesson(progress):
    """Counted another way: by what each lesson's quiz and predictions are called in its source."""
    for lesson, predicted, _, answered, *_ in progress_report(progress).rows:
        source = next((ROOT / "notebooks" / "source").glob(f"{lesson}_*.py")).read_text(encoding="utf-8")
        assert predicted == f"0 of {source.count('= predict(')}"
        assert answered == f"0 of {source.count('quiz_question(')}"


def test_a_report_without_lessons_still_counts(progress, tmp_path):
    press(predict("00-paris", "How much?", RANGES, progress), 2)
    assert ProgressReport(progress, tmp_path / "nothing").rows == [("00", "1", "0", "0", "0", "0")]


def test_a_file_from_before_there_were_exercises_is_read(progress):
    progress.path.parent.mkdir()
    progress.path.write_text('{"version": 1, "entries": {"predictions": {"x": {"choice": "a"}}, "quizzes": {}}}')
    assert progress.everything() == NOTHING | {"predictions": {"x": {"choice": "a"}}}
    progress.record("exercises", "y", {"solved": True})
    assert progress.get("predictions", "x") == {"choice": "a"}


def test_export_is_a_table_that_a_spreadsheet_does_not_run(progress, tmp_path):
    progress.record("predictions", "00-p", {"choice": '=HYPERLINK("x")', "right": False})
    press(quiz_question("00-q", 'Say "a", or b?', ANSWERS, progress), 1)
    file = tmp_path / "mine.csv"
    assert export_progress(file, progress) == f"2 lines are in {file}."
    with file.open(newline="", encoding="utf-8") as opened:
        assert list(csv.DictReader(opened)) == [
            {"lesson": "00", "kind": "predictions", "name": "00-p", "answer": '\'=HYPERLINK("x")', "right": "False"}
            | {"tries": ""},
            {"lesson": "00", "kind": "quizzes", "name": "00-q", "answer": "b", "right": "True", "tries": "1"},
        ]
    with pytest.raises(ValueError, match=r"^file must end in \.csv, got 'progress\.json'$"):
        export_progress("progress.json", progress)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_reset_asks_first_and_loses_nothing(progress):
    assert reset_progress(progress=progress).startswith("There are no answers yet")
    progress.record("quizzes", "q", {"right": True})
    before = progress.path.read_text()
    asked = "Start over? Answers so far: 1. If you're sure, run reset_progress(sure=True)."
    for not_an_answer in (False, "no", 1):
        assert reset_progress(not_an_answer, progress) == asked
    assert progress.path.read_text() == before
    said = reset_progress(sure=True, progress=progress)
    (kept,) = progress.path.parent.glob("progress.until-*.json")
    assert said == f"You're starting over. Your earlier answers are now in {kept}."
    assert kept.read_text() == before
    assert progress.everything() == NOTHING


def test_machine_check_is_fine_here():
    report = machine_check()
    assert "✓ fine" in repr(report)
    assert {"Python", "free memory", "package torch", "model SmolLM2-135M-Instruct"} <= {
        f.what for f in report.findings
    }
    assert "<table>" in report._repr_html_()


def test_machine_check_says_what_to_do(monkeypatch):
    monkeypatch.setattr(ModelStore, "state", lambda *_: "missing")
    monkeypatch.setattr(
        sys.modules[machine_check_function.__module__],
        "psutil",
        SimpleNamespace(virtual_memory=lambda: SimpleNamespace(available=2**29, total=2**32)),
    )
    report = machine_check()
    assert not report.ok
    assert "✗ look" in repr(report)
    assert "0.5 of 4.0 GB. Close other programs until 2 GB are free." in repr(report)
    assert "missing. Run `python3 course.py models fetch`." in repr(report)
