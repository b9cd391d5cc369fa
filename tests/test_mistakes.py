"""Mistakes: added to a task in order, by a function or as a patch of the right answer's text."""

import linecache
import math
import re
import traceback

import numpy as np
import pytest
import torch

from course_utils.engine.sampling import apply_top_k
from course_utils.exercises import task as task_module
from course_utils.exercises.calling import call
from course_utils.exercises.task import Check, Mistake, Task, judge, load_tasks


def countdown(number):
    """Return number, …, 1."""
    if number == 0:
        return []
    return [number, *countdown(number - 1)]


def make(right, cases=lambda random: [(3,), (4,)], **more):
    return Task("q1", "Title", "answer", right, (Check("works", cases),), "A hint.", **more)


def told(task, function):
    return judge(task, lambda arguments: call(function, arguments)).lines[0].message


def test_the_first_of_two_mistakes_that_explain_an_answer_is_named():
    task = make(countdown, mistakes=(Mistake("Given.", lambda number: "given"),))
    task.mistake("First.")(lambda number: number)
    task.patch("Patched.", "[number, *countdown(number - 1)]", "number")

    @task.mistake("Last.")
    def last(number):
        return -number

    assert last(3) == -3
    assert [mistake.says for mistake in task.mistakes] == ["Given.", "First.", "Patched.", "Last."]
    assert told(task, lambda number: number) == "First."
    assert told(task, last) == "Last."
    assert told(task, lambda number: "given") == "Given."


def test_a_patch_calls_itself_and_leaves_the_right_answer_alone():
    task = make(countdown)
    task.patch("Up.", "[number, *countdown(number - 1)]", "[*countdown(number - 1), number]")
    task.patch("One too many, and a 0.", "return []", "return [0]", "number - 1", "number - 1 if number else 0")
    up, zero = (mistake.function for mistake in task.mistakes)
    assert (up(3), zero(3), countdown(3)) == ([1, 2, 3], [3, 2, 1, 0], [3, 2, 1])


def test_a_patch_of_a_function_of_the_engine():
    task = make(apply_top_k)
    task.patch("One too few.", "logits < smallest_kept", "logits <= smallest_kept")
    logits = torch.tensor([3.0, 1.0, 2.0])
    assert task.mistakes[0].function(logits, 2).tolist() == [3.0, -math.inf, -math.inf]
    assert apply_top_k(logits, 2).tolist() == [3.0, -math.inf, 2.0]
    with pytest.raises(ValueError, match="top_k must be"):
        task.mistakes[0].function(logits, 0)


@pytest.mark.parametrize(
    ("pieces", "said"),
    [
        (("nothing like it", ""), "got 'nothing like it': it's there 0 times"),
        (("number - 1", "number"), ""),
        (("number", "n"), "got 'number': it's there 5 times"),
        (("number == 0", "not number", "number == 0", "x"), "got 'number == 0': it's there 0 times"),
    ],
)
def test_a_piece_must_be_there_once(pieces, said):
    task = make(countdown)
    if not said:
        task.patch("Fine.", *pieces)
        return
    with pytest.raises(
        ValueError, match=rf"^a piece to patch must be in the right answer of q1 once, {re.escape(said)}$"
    ):
        task.patch("Never.", *pieces)
    assert task.mistakes == ()


def test_what_cannot_be_patched():
    inside = 3

    def closure(number):
        return number + inside

    for right in (lambda number: number, closure, math.sqrt):
        with pytest.raises(
            ValueError, match=r"^right must be a `def` outside of any other to be patched, got .* in q1$"
        ):
            make(right).patch("Never.", "number", "n")
    for pieces in ((), ("number == 0",), ("number == 0", "number < 1", "return []")):
        with pytest.raises(ValueError, match=r"^pieces must come in pairs, what is replaced and by what, got \("):
            make(countdown).patch("Never.", *pieces)


def test_a_patch_that_raises_has_its_text_in_the_traceback_and_explains_an_answer_that_raises():
    task = make(countdown)
    task.patch("You divide by nothing.", "return []", "return 1 / number")
    linecache.checkcache()
    with pytest.raises(ZeroDivisionError) as caught:
        task.mistakes[0].function(2)
    assert "return 1 / number" in "".join(traceback.format_exception(caught.value))
    assert told(task, lambda number: number / 0) == "You divide by nothing."


def test_a_patch_without_an_end_is_stopped_as_the_check_is():
    task = make(countdown)
    task.patch("Never.", "return []", "while signals.pop(): pass")
    task.mistakes[0].function.__globals__["signals"] = Interrupting()
    with pytest.raises(KeyboardInterrupt):
        told(task, lambda number: number)


class Interrupting:
    """A loop would go on for ever, but the learner presses stop at the thousandth step."""

    steps = 0

    def pop(self):
        self.steps += 1
        if self.steps == 1000:
            raise KeyboardInterrupt
        return True


def test_right_answers_and_mistakes_are_worked_out_once_for_the_same_arguments():
    calls = []

    def right(values):
        calls.append("right")
        return values * 2

    task = make(right, lambda random: [(torch.tensor(random.normal(size=3)),)])

    @task.mistake("You add.")
    def add(values):
        calls.append("mistake")
        return values + 2

    for _ in range(3):
        assert told(task, lambda values: values + 2) == "You add."
    assert calls == ["right", "mistake"]
    judge(task, lambda arguments: call(add, arguments), seed=1)
    assert calls.count("right") == 2


def test_nothing_that_a_learner_changes_reaches_what_is_kept():
    given = []

    def spoils(values, texts):
        values.zero_()
        texts.append("spoilt")
        given.extend([values, texts])
        return values

    task = make(lambda values, texts: values, lambda random: [(torch.ones(3), ["a"])])
    task.mistake("You change it.")(spoils)
    for _ in range(2):
        assert not judge(task, lambda arguments: call(spoils, arguments)).is_right
        assert judge(task, lambda arguments: call(lambda values, texts: torch.ones(3), arguments)).is_right
    assert [len(texts) for texts in given[1::2]] == [2] * (len(given) // 2)
    assert task.arguments(0) == [[[pytest.approx(np.ones(3)), ["a"]]]]


def test_an_exception_of_the_checks_is_not_kept():
    failures = [MemoryError()]

    def right(number):
        if failures:
            raise failures.pop()
        return number

    task = make(right, lambda random: [(3,)])
    assert not judge(task, lambda arguments: call(lambda number: number, arguments)).is_right
    assert judge(task, lambda arguments: call(lambda number: number, arguments)).is_right


def test_answers_that_are_kept_do_not_become_ever_more(monkeypatch):
    monkeypatch.setattr(task_module, "MOST_KEPT", 5)
    task = make(lambda number: number, lambda random: [(float(random.random()),)])
    for seed in range(20):
        assert judge(task, lambda arguments: call(lambda number: number, arguments), seed).is_right
        assert len(task._kept) <= 5


def test_a_file_of_checks_is_run_again_only_when_it_has_changed(tmp_path):
    file = tmp_path / "checks.py"
    text = (
        "from course_utils.exercises.task import Check, Task\n"
        "def double(x):\n    return 2 * x\n"
        'q1 = Task("q1", "Double", "double", double, (Check("doubles", lambda random: [(3,)]),), "-")\n'
        'q1.patch("You multiply by 3.", "2", "3")\n'
        "TASKS = (q1,)\n"
    )
    file.write_text(text)
    (task,), _ = load_tasks(file)
    assert load_tasks(file)[0] == (task,)
    assert told(task, lambda x: 3 * x) == "You multiply by 3."
    file.write_text(text.replace("2 * x", "x * 2 + 0").replace("by 3", "by three"))
    (changed,), _ = load_tasks(file)
    assert changed is not task
    assert told(changed, lambda x: 3 * x) == "You multiply by three."
    file.write_text(text.replace('"2"', '"two"'))
    with pytest.raises(ValueError, match="got 'two': it's there 0 times"):
        load_tasks(file)
