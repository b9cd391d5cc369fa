"""`check("q1")`: what it says, what it keeps, and that nothing which a learner writes comes through."""

import json
import math
import os
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from jupyter_client.manager import start_new_kernel

from course_utils.engine import sampling
from course_utils.engine.sampling import apply_top_k
from course_utils.exercises.calling import CALL_SECONDS, Answer, call
from course_utils.exercises.comparing import Tolerance, difference
from course_utils.exercises.plain_data import ModelName, plain
from course_utils.exercises.showing import BREAK, as_code, count
from course_utils.exercises.task import Mistake, judge, load_tasks
from course_utils.exercises.task import _seen as seen_by_a_check
from course_utils.grading.grade import _detail
from course_utils.grading.limits import Limits
from course_utils.learner import Progress, check_card, checker
from course_utils.learner.check_card import CHECKS, Checker
from course_utils.learner.long_checks import LongCheck
from course_utils.machine import ROOT


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
    assert "This couldn't be saved:" in repr(shown)


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
    from course_utils.engine.sampling import apply_top_k

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
    assert re.search(rf"This uses course_utils\.engine\.sampling[\w.]*, {said}", text_of(shown))
    assert "of 2 points" not in text_of(shown)


def test_what_the_exercise_gives_is_not_said(progress):
    from tests.exercise_answers.lesson_10 import answers_of_the_lesson

    shown = checker("10", {"answers": answers_of_the_lesson}, progress)("q4")
    assert shown.is_right
    assert "the grader does not have" not in repr(shown)


STOPPED = """
import os, signal, sys, threading, time, torch
from course_utils.learner.check_card import checker

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
    assert "Your progress file couldn't be read. The old file is now " in capsys.readouterr().out
    assert progress.get("exercises", "11-q1") == {"solved": True, "tries": 1}
    (kept,) = progress.path.parent.glob("progress.corrupt-*.json")
    assert kept.read_text() == damage


# A call to try, links, and functions that nobody has written

EVERY_TASK = [
    (file.stem.removeprefix("lesson_"), task)
    for file in sorted(CHECKS.glob("lesson_*.py"))
    for task in load_tasks(file)[0]
]
every_task = pytest.mark.parametrize(
    ("lesson", "task"), EVERY_TASK, ids=[f"{lesson}-{task.name}" for lesson, task in EVERY_TASK]
)


@every_task
def test_the_code_on_a_card_makes_the_very_call_and_the_right_answer(lesson, task):
    for case in (case for cases in task.arguments(7) for case in cases):
        right = call(task.right, case)
        seen = seen_by_a_check(task, case, Answer(problem="is wrong."), right)
        if seen.code:
            given = []
            namespace = {"torch": torch, task.function: lambda *arguments, given=given: given.extend(arguments)}
            exec(seen.code, namespace)
            assert difference(plain(given), case, Tolerance(0, 0)) == ""
            assert [torch.is_tensor(value) for value in given] == [isinstance(value, np.ndarray) for value in case]
            if not right.problem:
                assert difference(plain(namespace["expected"]), right.value, Tolerance(0, 0)) == ""
        else:
            models = [value for value in case if isinstance(value, ModelName)]
            assert models or count([*case, right.value]) > 100 or len(repr([case, right.value])) > 1000


@pytest.mark.parametrize(
    "value",
    [
        np.array([0.1, -np.inf, np.nan, 1e-30], np.float32), np.array([0.1, np.inf]), np.zeros((2, 0)),
        np.array([2**60, -1]), np.array([True]), np.array([7], np.int32), np.ones((1, 2, 1)),
        [1, [0.5, -math.inf], "a, b\n'"], {"a": [None]}, float("nan"), [], {}, "", 10**30, True,
    ],
    ids=repr,
)  # fmt: skip
def test_code_for_any_plain_data(value):
    made = eval(as_code(value).replace(BREAK, "\n"), {"torch": torch})
    assert difference(plain(made), value, Tolerance(0, 0)) == ""
    if isinstance(value, np.ndarray):
        assert str(made.dtype) == f"torch.{value.dtype}"
        assert tuple(made.shape) == value.shape


def test_the_call_to_try_is_on_the_card_once(progress):
    shown = card(progress, lambda logits, temperature: logits * 3)
    assert repr(shown).count("To try it yourself, in a cell of your own:\n     expected = torch.tensor([-0.679") == 1
    assert max(map(len, repr(shown).splitlines())) <= 102
    assert shown._repr_html_().count("<details><summary>To try it yourself") == 1
    assert "To try it" not in repr(card(progress, right))
    assert "<details" not in card(progress, right)._repr_html_()


def test_a_second_line_with_the_same_cause_says_so(progress):
    lines = repr(card(progress, lambda logits, temperature: logits * temperature)).splitlines()
    assert "  ❌ leaves every row of a batch its own: The same cause." in lines
    assert "  ❌ keeps the best token alone at 0: The same cause." in lines


def test_a_full_pass_links_the_solution_and_at_the_end_the_next_lesson(progress, monkeypatch, tmp_path):
    tasks, _ = load_tasks(CHECKS / "lesson_11.py")
    answers = {task.function: lambda *given, task=task: task.right(*given) for task in tasks}
    cards = [checker("11", answers, progress)(task.name) for task in tasks]
    monkeypatch.chdir(ROOT / "exercises")
    solution = '<a href="../solutions/11_sampling.ipynb">solutions/11_sampling.ipynb</a>'
    assert all(solution in shown._repr_html_() for shown in cards)
    after = ["12_repetition_length_and_stopping.ipynb" in shown._repr_html_() for shown in cards]
    assert after == [False] * (len(tasks) - 1) + [True]
    assert "  After this exercise: notebooks/12_repetition_length_and_stopping.ipynb" in repr(cards[-1]).splitlines()
    monkeypatch.chdir(tmp_path)  # where solutions are kept back, a link would lead nowhere
    assert "<a " not in cards[0]._repr_html_()
    assert "solutions/11_sampling.ipynb" in cards[0]._repr_html_()


def test_after_the_last_exercise_there_is_no_next_lesson(progress):
    last = load_tasks(CHECKS / "lesson_15.py")[0][-1]
    assert check_card.Checker("15", {}, progress)._passed(last, (last,), ())[-1].startswith("A solution")


def test_reports_of_the_grader_have_no_code():
    (task, *_), _ = load_tasks(CHECKS / "lesson_11.py")
    wrong = [line for line in judge(task, lambda arguments: Answer(3)).lines if line.seen]
    assert all(line.seen.code for line in wrong)
    assert all("expected = " not in json.dumps(_detail(line)) for line in wrong)
    assert all("tensor" not in line.told for line in wrong)


NOT_WRITTEN = "def with_temperature(logits, temperature):\n    raise NotImplementedError\n"


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        (
            f"{NOT_WRITTEN}with_temperature([1], 1)",
            "with_temperature (q1) isn't written yet. Write it and run its cell, ",
        ),
        (f"{NOT_WRITTEN}[with_temperature([1], 1) for _ in range(3)]", "with_temperature (q1) isn't written yet."),
        (f"@torch.inference_mode()\n{NOT_WRITTEN}with_temperature([1], 1)", "with_temperature (q1) isn't written yet."),
        (
            f"{NOT_WRITTEN}try:\n    with_temperature([1], 1)\nexcept Exception as error:\n"
            "    raise ValueError('your function raises an error') from error",  # as the repetition lab does
            "with_temperature (q1) isn't written yet.",
        ),
        ("def of_my_own(x):\n    raise NotImplementedError\nof_my_own(1)", "of_my_own isn't written yet."),
    ],
)
def test_a_cell_that_uses_an_unwritten_function_says_which(kernel, cell, said):
    (kind, words), *more = outputs(kernel, f"import torch\n{cell}")
    assert (kind, more) == ("stream", [])
    assert said in words


@pytest.mark.parametrize(
    "cell",
    [
        "raise NotImplementedError",
        "def ours(x):\n    raise NotImplementedError('not for you')\nours(1)",
        "import torch; torch.ones(2).long().softmax(-1)",
        "1 / 0",
        "raise ValueError('no')",
        "raise ValueError('no') from KeyError(1)",
    ],
)
def test_any_other_error_has_its_traceback(kernel, cell):
    assert [kind for kind, _ in outputs(kernel, cell)] == ["error"]


# Long checks


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    """A kernel as JupyterLab starts it, in which a call may take one second and a note comes at once."""
    home = {"COURSE_HOME": str(tmp_path_factory.mktemp("home"))}
    manager, client = start_new_kernel(startup_timeout=600, kernel_name="python3", env=os.environ | home)
    first = "import time; from course_utils.learner import checker, long_checks; check = checker('11', globals())"
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
    assert (first, second, third) == ("display_data", "update_display_data", "update_display_data")
    assert said == RUNNING
    took = r"This took \d+ seconds\. The grader gives one call of your function 1 second\."
    assert re.fullmatch(rf"q1 · Temperature: {took}", after)
    shown = " ".join(shown.split())
    assert re.search(took, shown)
    assert shown.startswith("⬜ q1 · Temperature: stopped. Your function was stopped: it took more than the 20 seconds")
    assert "Printed by with_temperature(" in shown
    assert "Nothing is lost" in shown
    assert outputs(kernel, "1 + 1") == [("execute_result", "2")]  # no interrupt comes late


def test_a_slow_check_says_so_and_goes_on(kernel):
    """Each call is within its limit, all together are long."""
    code = (
        "def with_temperature(logits, temperature):\n    time.sleep(0.3)\n    if temperature == 0:\n"
        "        return logits.masked_fill(logits < logits.amax(-1, True), float('-inf'))\n"
        "    return logits / temperature\ncheck('q1')"
    )
    kinds, words = zip(*outputs(kernel, code), strict=True)
    assert kinds == ("display_data", "update_display_data", "update_display_data")
    assert words[2].startswith("✅ q1 · Temperature: 3 of 3 checks pass.")


def test_a_card_that_is_kept_leaves_no_note_that_it_is_running(kernel):
    code = "def with_temperature(logits, temperature):\n    time.sleep(0.3)\n    return logits\nkept = check('q1')"
    (first, _), (second, said) = outputs(kernel, code)
    assert (first, second) == ("display_data", "update_display_data")
    assert said.startswith("q1 · Temperature: This took ")
    ((kind, shown),) = outputs(kernel, "kept")  # in another cell
    assert kind == "execute_result"
    assert shown.startswith("❌ q1 · Temperature: 0 of 3")


def test_a_notebook_that_is_executed_as_a_whole_gets_no_note(kernel):
    """As nbconvert, nbval and `course sync` do it: its outputs must not depend on the machine's speed."""
    code = "def with_temperature(logits, temperature):\n    time.sleep(0.3)\n    return logits\ncheck('q1')"
    ((kind, _),) = outputs(kernel, code, allow_stdin=False)
    assert kind == "execute_result"


def test_the_capstones_checks_say_it_too(kernel):
    imported = "from course_utils.learner.capstone import check_part"
    (_, said), *_ = outputs(kernel, f"{imported}\ncheck_part('loop', lambda *_, **__: time.sleep(0.3))")
    assert said.startswith("loop is still running. The call is my_generate(<practice>, 'abc', max_new_tokens=12).")


def test_loading_a_model_is_not_the_functions_time(progress, monkeypatch):
    class Slow(ModelName):
        def load(self):
            loaded.append(asker.watch._call)
            return "a model"

    loaded, asker = [], check_card._Asker(lambda model: model, "use", LongCheck("q1"))
    assert asker([Slow("practice")]).value == "a model"
    assert loaded[0] == ""


def test_no_model_is_loaded_for_a_stub():
    class Never(ModelName):
        def load(self):
            raise AssertionError("loaded")

    def stub(model):
        raise NotImplementedError

    assert check_card._Asker(stub, "use", LongCheck("q1"))([Never("smollm2")]).raised == "not started"


def test_the_grader_and_the_notebook_have_one_limit():
    assert Limits().call_seconds == CALL_SECONDS
    assert f"| one call of a function | {CALL_SECONDS} s |" in (ROOT / "grading" / "README.md").read_text()
