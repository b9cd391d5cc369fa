"""`check("q1")`: what it says, what it keeps, and that nothing which a learner writes comes through."""

import os
import re
import subprocess
import sys
from dataclasses import replace

import pytest
from jupyter_client.manager import start_new_kernel

from course_utils.answers.calling import CALL_SECONDS
from course_utils.answers.plain_data import ModelName
from course_utils.checks.task import Mistake, load_tasks
from course_utils.cli import ROOT
from course_utils.grading.limits import Limits
from course_utils.inference import sampling
from course_utils.inference.sampling import apply_top_k
from course_utils.learning import Progress, check_card, checker
from course_utils.learning.check_card import CHECKS, Checker
from course_utils.learning.long_checks import LongCheck


def right(logits, temperature):
    if temperature == 0:
        return logits.masked_fill(logits < logits.amax(-1, keepdim=True), float("-inf"))
    return logits / temperature


@pytest.fixture
def progress(tmp_path):
    return Progress(tmp_path / "progress.json")


def card(progress, function, name="q1"):
    return checker("11", {"with_temperature": function} if function else {}, progress)(name)


def test_not_started(progress):
    def stub(logits, temperature):
        raise NotImplementedError

    assert repr(card(progress, stub)).splitlines() == [
        "⬜ q1 · Temperature: not started.",
        "  ⬜ divides the logits",
        "  ⬜ leaves every row of a batch its own",
        "  ⬜ keeps the best token alone at 0",
    ]
    assert not progress.path.exists()


def test_no_function_at_all(progress):
    shown = card(progress, None)
    assert shown.status == "not started"
    assert "There is no function with_temperature: run the cell above." in repr(shown)


def test_the_mistake_is_named_and_the_hint_comes_after_the_second_try(progress):
    wrong = lambda logits, temperature: logits * temperature  # noqa: E731
    first, second = card(progress, wrong), card(progress, wrong)
    assert repr(first).startswith("❌ q1 · Temperature: 0 of 3 checks pass.\n  ❌ divides the logits: You multiply")
    assert "Hint:" not in repr(first)
    assert "Hint: Two cases" in repr(second)
    assert progress.get("exercises", "11-q1") == {"solved": False, "tries": 2}


def test_solved_stays_solved(progress):
    assert card(progress, right).is_right
    assert not card(progress, lambda logits, temperature: logits).is_right
    assert progress.get("exercises", "11-q1") == {"solved": True, "tries": 1}


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (lambda logits, temperature: 1 / 0, "Your function raises ZeroDivisionError: division by zero."),
        (lambda logits: logits, "raises TypeError"),
        (lambda logits, temperature: exit(), "ends the program"),
        (lambda logits, temperature: None, "returns nothing: it needs a `return`."),
        (lambda logits, temperature: "text", "returns a text, and an array is right."),
        (lambda logits, temperature: logits[:2], "returns the shape (2,), and (12,) is right."),
        (lambda logits, temperature: logits.mul_(2), "changes what it is given"),
        (lambda logits, temperature: object(), "returns something of class object"),
        (7, "is no function: with_temperature is of type int."),
    ],
)
def test_nothing_comes_through(progress, function, sentence):
    shown = card(progress, function)
    assert shown.status == "wrong"
    assert sentence in " ".join(repr(shown).split())


def test_stop_stops_the_whole_check(progress):
    calls = []

    def loop(logits, temperature):
        calls.append(1)
        raise KeyboardInterrupt

    assert "was stopped before it answered." in " ".join(repr(card(progress, loop)).split())
    assert len(calls) == 1


def test_a_learner_may_print(progress, capsys):
    def chatty(logits, temperature):
        print("here", temperature)
        return right(logits, temperature)

    assert card(progress, chatty).is_right
    assert capsys.readouterr().out == ""


def test_random_numbers_of_the_learner_stay_as_they_are(progress):
    import torch

    torch.manual_seed(5)
    wanted = torch.rand(2)
    torch.manual_seed(5)
    card(progress, right)
    assert torch.equal(torch.rand(2), wanted)


def test_the_page_shows_letters_and_escapes_what_the_learner_made(progress):
    page = card(progress, lambda logits, temperature: "<script>")._repr_html_()
    assert "✗</span> q1 · Temperature" in page
    assert "<script>" not in page
    assert "❌" not in page


def test_a_progress_file_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    shown = card(Progress(tmp_path / "file" / "progress.json"), right)
    assert shown.is_right
    assert "This could not be kept:" in repr(shown)


def test_unknown_names():
    said = " ".join(repr(checker("11", {})("q9")).split())
    assert "There is no task 'q9': use one of ['q1', 'q2', 'q3', 'q4']." in said
    with pytest.raises(ValueError, match="lesson must be the number of a lesson with an exercise"):
        checker("99", {})


def test_while_grading_it_says_nothing(monkeypatch):
    monkeypatch.setenv("COURSE_GRADING", "1")
    shown = Checker("11", {"with_temperature": right})("q1")
    assert shown.status == "not started"
    assert "It is checked by the grader." in repr(shown)


def text_of(shown):
    return " ".join(repr(shown).split())


def test_what_was_called_and_what_came_of_it_are_below_each_other(progress):
    lines = repr(card(progress, lambda logits, temperature: logits * 3)).splitlines()
    place = next(number for number, line in enumerate(lines) if line.lstrip().startswith("seen with"))
    call, yours, expected = lines[place : place + 3]
    assert call.startswith("     seen with  with_temperature(tensor([-0.3398, ")
    assert call.endswith(", …]), 0.5)")
    assert yours.startswith("     yours      tensor([")
    assert expected.startswith("     expected   tensor([")
    assert [place for place, letter in enumerate(yours) if letter == ","] == [
        place for place, letter in enumerate(expected) if letter == ","
    ]
    assert max(map(len, lines)) <= 102
    page = card(progress, lambda logits, temperature: logits * 3)._repr_html_()
    assert all(f">{line.strip()}</span>" in page for line in (call, yours, expected))


@pytest.mark.parametrize(
    ("lesson", "name", "function", "shown"),
    [
        ("11", "q1", lambda logits, temperature: 1 / 0, "yours raises ZeroDivisionError: division by zero expected"),
        ("09", "q2", lambda messages, length, answer: [], "yours [] expected raises ValueError"),
        ("10", "q2", lambda loaded, prompt, new: {}, "seen with greedy(<practice>, "),
        ("11", "q1", lambda logits, temperature: "\ud83d", "yours '\\ud83d'"),
    ],
)
def test_other_things_that_are_seen(progress, lesson, name, function, shown):
    task = next(task for task in load_tasks(CHECKS / f"lesson_{lesson}.py")[0] if task.name == name)
    found = checker(lesson, {task.function: function}, progress)(name)
    assert shown in text_of(found)
    found._repr_html_().encode()


def test_prints_are_shown_with_their_call_and_cut(progress):
    def chatty(logits, temperature):
        for number in range(50):
            print(f"<line {number}>", temperature)
        return logits / temperature

    shown = repr(card(progress, chatty))
    # Those of the call that went wrong, not of the first one.
    assert "     printed    <line 0> 0\n                <line 1> 0\n" in shown
    assert "                <line 11> 0\n                …" in shown
    assert "<line 12>" not in shown
    assert ">printed    &lt;line 0&gt; 0</span>" in card(progress, chatty)._repr_html_()


def test_prints_of_a_right_function_are_shown_once(progress):
    def chatty(logits, temperature):
        print("here", temperature, "half a \ud83d")
        return right(logits, temperature)

    shown = card(progress, chatty)
    assert shown.is_right
    assert "  Printed by with_temperature(tensor([-0.3398, " in repr(shown)
    assert repr(shown).count("here 0.5") == 1
    shown._repr_html_().encode()


def test_a_full_pass_says_points_the_next_task_and_where_a_solution_is(progress):
    tasks, (question,) = load_tasks(CHECKS / "lesson_11.py")
    for task, after in zip(tasks, [*tasks[1:], question], strict=True):
        shown = checker("11", {task.function: lambda *given, task=task: task.right(*given)}, progress)(task.name)
        assert f"{task.points} of {task.points} points. Next: {after.name} · {after.title}." in text_of(shown)
        assert "A solution to compare yours with: solutions/11_sampling.ipynb" in repr(shown)
    assert (ROOT / "solutions" / "11_sampling.ipynb").is_file()
    assert "points" not in repr(card(progress, lambda logits, temperature: logits))


def test_the_question_in_words(progress):
    assert "answered in words: a person reads it" in text_of(checker("11", {}, progress)("q5"))


def on_whole_numbers(logits, temperature):
    return logits.long().softmax(-1)  # torch raises NotImplementedError


def with_the_stub_at_its_end(logits, temperature):
    logits = logits / temperature
    raise NotImplementedError


@pytest.mark.parametrize("function", [on_whole_numbers, with_the_stub_at_its_end])
def test_whatever_else_raises_that_error_is_a_try(progress, function):
    shown = card(progress, function)
    assert shown.status == "wrong"
    assert "Your function raises NotImplementedError: " in text_of(shown)
    assert progress.get("exercises", "11-q1") == {"solved": False, "tries": 1}


def borrowed_inside(logits, k):
    from course_utils.inference.sampling import apply_top_k

    return apply_top_k(logits, k)


@pytest.mark.parametrize(
    "function",
    [
        apply_top_k,
        lambda logits, k: apply_top_k(logits, k),
        lambda logits, k: sampling.apply_top_k(logits, k),
        borrowed_inside,
    ],
)
def test_what_the_course_does_by_itself_is_said(progress, function):
    shown = checker("11", {"top_k": function}, progress)("q2")
    said = "which the grader does not have: there it gives no points. Write it yourself."
    assert re.search(rf"This uses course_utils\.inference\.sampling[\w.]*, {said}", text_of(shown))
    assert "of 2 points" not in text_of(shown)


def test_what_the_exercise_gives_is_not_said(progress):
    from tests.exercise_answers.lesson_10 import answers_of_the_lesson

    shown = checker("10", {"answers": answers_of_the_lesson}, progress)("q4")
    assert shown.is_right
    assert "the grader does not have" not in repr(shown)


STOPPED = """
import os, signal, sys, threading, time, torch
from course_utils.learning.check_card import checker

{function}

threading.Timer(1, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
shown = checker("11", globals())("q1")
print(shown)
assert shown.status == "stopped", shown.status
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
assert sys.gettrace() is None
"""
LOOPS = {
    "a loop": "def with_temperature(logits, temperature):\n    print('at', temperature)\n    while True: pass",
    "a nap": "def with_temperature(logits, temperature):\n    time.sleep(1000)",
    "a bare except": (
        "def with_temperature(logits, temperature):\n    while True:\n"
        "        try: time.sleep(0.001)\n        except: pass"
    ),
    "two of them": (
        "def with_temperature(logits, temperature):\n    while True:\n        try:\n"
        "            try: torch.ones(9, 9) @ logits[:9]\n            except: time.sleep(0)\n"
        "        except BaseException: continue"
    ),
    "an error of its own": (
        "def with_temperature(logits, temperature):\n    try:\n        while True: pass\n"
        "    except BaseException: raise ValueError('stopped')"
    ),
    "a function inside": (
        "def loop():\n    try:\n        while True: [len(str(number)) for number in range(1000)]\n    except: loop()\n"
        "@torch.inference_mode()\ndef with_temperature(logits, temperature):\n    loop()"
    ),
}  # fmt: skip


@pytest.mark.skipif(os.name == "nt", reason="SIGINT")
@pytest.mark.parametrize("name", LOOPS)
def test_the_stop_button_ends_an_endless_loop(tmp_path, name):
    progress = Progress(tmp_path / "progress.json")
    progress.record("exercises", "11-q1", {"solved": True, "tries": 3})
    before = progress.path.read_text()
    code = STOPPED.format(function=LOOPS[name])
    environment = os.environ | {"COURSE_HOME": str(tmp_path)}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=900)
    assert run.returncode == 0, run.stdout + run.stderr
    said = " ".join(run.stdout.split())
    assert said.startswith("⬜ q1 · Temperature: stopped.")
    assert "Your function was stopped before it answered. The call was with_temperature(tensor([" in said
    assert "Nothing is lost: what you solved stays solved, and this does not count as a try." in said
    assert ("at 0.5" in said) == (name == "a loop")
    assert progress.path.read_text() == before


def test_stop_while_the_checks_themselves_work(progress, monkeypatch):
    """The right answers and the usual mistakes are worked out here, too: an interrupt of theirs is no answer."""
    (task, *_), _ = load_tasks(CHECKS / "lesson_11.py")

    def interrupted(*arguments):
        raise KeyboardInterrupt

    for changed in (replace(task, right=interrupted), replace(task, mistakes=(Mistake("Never.", interrupted),))):
        monkeypatch.setattr(check_card, "load_tasks", lambda file, changed=changed: ((changed,), ()))
        shown = card(progress, lambda logits, temperature: logits)
        assert shown.status == "stopped"
        assert "The check was stopped." in repr(shown)
    assert not progress.path.exists()


def test_an_answer_without_an_end_is_one_sentence(progress):
    row = [0.0] * 20_000
    assert "returns more than a million values" in text_of(card(progress, lambda logits, temperature: [row] * 20_000))


@pytest.mark.parametrize(
    "damage", ["[" * 100_000, '{"version": 1, "entries": {"exercises": {"11-q1": {"tries": null}}}}']
)
def test_a_progress_file_that_makes_no_sense_does_not_stop_the_check(progress, capsys, damage):
    progress.path.write_text(damage)
    assert card(progress, right).is_right
    assert "Your progress file could not be read. It is kept as " in capsys.readouterr().out
    assert progress.get("exercises", "11-q1") == {"solved": True, "tries": 1}
    (kept,) = progress.path.parent.glob("progress.corrupt-*.json")
    assert kept.read_text() == damage


# Long checks


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    """A kernel as JupyterLab starts it, in which a call may take one second and a note comes at once."""
    home = {"COURSE_HOME": str(tmp_path_factory.mktemp("home"))}
    manager, client = start_new_kernel(startup_timeout=600, kernel_name="python3", env=os.environ | home)
    first = "import time; from course_utils.learning import checker, long_checks; check = checker('11', globals())"
    first += "\nlong_checks.CALL_SECONDS, long_checks.NOTE_SECONDS, long_checks.LOOK_SECONDS = 1, 0.2, 0.1"
    first += "\nlong_checks._LIMIT = '1 second'"
    client.execute_interactive(first, timeout=600)
    yield client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def outputs(kernel, code, **settings):
    """What a cell shows, as (message, words)."""
    messages = []
    kernel.execute_interactive(code, timeout=600, output_hook=messages.append, **settings)
    kinds = ("display_data", "update_display_data", "execute_result", "error", "stream")
    return [
        (message["msg_type"], message["content"].get("data", {}).get("text/plain", str(message["content"])))
        for message in messages
        if message["msg_type"] in kinds
    ]


WITHOUT_END = {
    "a loop": "while True: pass",
    "a nap": "time.sleep(1000)",
    "a bare except": "while True:\n        try: time.sleep(0.01)\n        except: pass",
}
RUNNING = (
    "q1 · Temperature is still running. The call is with_temperature(tensor([-0.3398, 1.082, -1.931, 1.534, -0.2574, …]"
    "), 0.5). The grader gives one call 1 second, and so does this notebook. To stop it, press ■ at the top (Kernel → "
    "Interrupt). If that doesn't help, restart the kernel."
)


@pytest.mark.parametrize("body", WITHOUT_END.values(), ids=WITHOUT_END)
def test_a_function_without_an_end_is_said_and_stopped_as_in_the_grader(kernel, body):
    code = f"def with_temperature(logits, temperature):\n    print('at', temperature)\n    {body}\ncheck('q1')"
    (first, said), (second, after), (third, shown) = outputs(kernel, code)
    assert (first, second, third) == ("display_data", "update_display_data", "execute_result")
    assert said == RUNNING
    assert re.fullmatch(r"q1 · Temperature took \d+ seconds\. The grader gives one call of your function .*", after)
    shown = " ".join(shown.split())
    assert shown.startswith("⬜ q1 · Temperature: stopped. Your function was stopped: it took more than the 20 seconds")
    assert "Printed by with_temperature(" in shown
    assert "Nothing is lost" in shown
    assert outputs(kernel, "1 + 1") == [("execute_result", "2")]  # no interrupt comes late


def test_a_slow_check_says_so_and_goes_on(kernel):
    """Each call is within its limit, all together are long."""
    code = (
        "def with_temperature(logits, temperature):\n    time.sleep(0.3)\n"
        "    return logits / temperature if temperature else logits.masked_fill(logits < logits.amax(-1, True), -1e999)\n"
        "check('q1')"
    )
    kinds, words = zip(*outputs(kernel, code), strict=True)
    assert kinds == ("display_data", "update_display_data", "execute_result")
    assert words[2].startswith("✅ q1 · Temperature: 3 of 3 checks pass.")


def test_a_notebook_that_is_executed_as_a_whole_gets_no_note(kernel):
    """As nbconvert, nbval and `course sync` do it: its outputs must not depend on the machine's speed."""
    code = "def with_temperature(logits, temperature):\n    time.sleep(0.3)\n    return logits\ncheck('q1')"
    ((kind, _),) = outputs(kernel, code, allow_stdin=False)
    assert kind == "execute_result"


def test_the_capstones_checks_say_it_too(kernel):
    code = (
        "from course_utils.learning import check_part\ncheck_part('loop', lambda model, ids, *_, **__: time.sleep(0.3))"
    )
    (_, said), *_ = outputs(kernel, code)
    assert said.startswith("check_part('loop') is still running. To stop it, press ■")


def test_loading_a_model_is_not_the_functions_time(progress, monkeypatch):
    class Slow(ModelName):
        def load(self):
            loaded.append(asker.watch._call)
            return "a model"

    loaded, asker = [], check_card._Asker(lambda model: model, "use", LongCheck("q1"))
    assert asker([Slow("practice")]).value == "a model"
    assert loaded[0] == ""


def test_the_grader_and_the_notebook_have_one_limit():
    assert Limits().call_seconds == CALL_SECONDS
    assert f"| one call of a function | {CALL_SECONDS} s |" in (ROOT / "grading" / "README.md").read_text()
