"""Every task of every exercise: right answers written in several ways pass, usual wrong ones get their own sentence.

`python -m pytest -n 0 -s tests/test_checks_reject.py -k table` prints the table.
"""

import importlib
from datetime import date

import numpy as np
import pytest

from course_utils.exercises.calling import Answer, call
from course_utils.exercises.plain_data import written
from course_utils.exercises.task import judge, load_tasks
from course_utils.machine import ROOT

FILES = {file.stem[-2:]: file for file in sorted((ROOT / "course_utils" / "exercises" / "lessons").glob("lesson_*.py"))}
TASKS = {(lesson, task.name): task for lesson, file in FILES.items() for task in load_tasks(file)[0]}
ANSWERS = {lesson: importlib.import_module(f"tests.exercise_answers.lesson_{lesson}") for lesson in FILES}
RIGHT = [(*key, index) for key in TASKS for index in range(len(ANSWERS[key[0]].RIGHT[key[1]]))]
WRONG = [(*key, index) for key in TASKS for index in range(len(ANSWERS[key[0]].WRONG[key[1]]))]
every_task = pytest.mark.parametrize(("lesson", "name"), TASKS)
SEEDS = (0, 7)  # the notebook's, and one as a grader's: each answer has one today and the other tomorrow
TODAY = date.today().toordinal()


def judged(lesson, name, function, seed):
    return judge(TASKS[lesson, name], lambda arguments: call(function, arguments), seed)


def todays_seed(index):
    return SEEDS[(index + TODAY) % len(SEEDS)]


def sentences(result):
    return " ".join(filter(None, (line.message for line in result.lines)))


@pytest.mark.parametrize(("lesson", "name", "index"), RIGHT)
def test_a_right_answer_passes(lesson, name, index):
    result = judged(lesson, name, ANSWERS[lesson].RIGHT[name][index], todays_seed(index))
    assert result.is_right, sentences(result)


@pytest.mark.parametrize(("lesson", "name", "index"), WRONG)
def test_a_wrong_answer_gets_the_sentence_meant_for_it(lesson, name, index):
    meant, function = ANSWERS[lesson].WRONG[name][index]
    result = judged(lesson, name, function, todays_seed(index))
    assert result.status == "wrong"
    assert meant in sentences(result)


@every_task
def test_there_are_enough_answers(lesson, name):
    right, wrong = ANSWERS[lesson].RIGHT[name], ANSWERS[lesson].WRONG[name]
    assert len(set(right)) >= 3
    assert len({function for _, function in wrong}) >= 5
    assert len({meant for meant, _ in wrong}) >= 5


@every_task
def test_every_mistake_is_found_by_its_own_sentence(lesson, name):
    for mistake in TASKS[lesson, name].mistakes:
        assert mistake.says in sentences(judged(lesson, name, mistake.function, 3)), mistake.says


@every_task
def test_a_constant_answer_fails(lesson, name):
    task = TASKS[lesson, name]
    for cases in task.arguments(0):
        for case in cases:
            right = call(task.right, case)
            assert not judge(task, lambda arguments, right=right: right, 0).is_right


@every_task
def test_the_right_answers_depend_on_the_seed(lesson, name):
    task = TASKS[lesson, name]
    answers = [
        [written(answer.value) + answer.raised for cases in task.arguments(seed) for answer in map(_right(task), cases)]
        for seed in (0, 1)
    ]
    assert answers[0] != answers[1]
    assert written(task.arguments(5)) == written(task.arguments(5))


@every_task
def test_nothing_is_right_by_itself(lesson, name):
    """None of the answers that a function can give without looking at its arguments, nor its first argument."""
    task = TASKS[lesson, name]
    for value in (None, 0, 1, True, "", [], {}, float("nan"), np.zeros(1)):
        assert not judge(task, lambda arguments, value=value: Answer(value), 0).is_right
    assert not judged(lesson, name, lambda *arguments: arguments[0], 0).is_right


@every_task
def test_an_untouched_task_is_not_started(lesson, name):
    def untouched(*arguments):
        raise NotImplementedError

    result = judged(lesson, name, untouched, 0)
    assert (result.status, sentences(result)) == ("not started", "")


def test_the_table(capsys):
    rows = ["", "task     answers right  wrong, each with the sentence meant for it"]
    for lesson, name in TASKS:
        right, wrong = ANSWERS[lesson].RIGHT[name], ANSWERS[lesson].WRONG[name]
        rows.append(f"{lesson}-{name}{len(right):>10}{len(wrong):>12}   " + " · ".join(meant for meant, _ in wrong))
    rows.append(f"{len(TASKS)} tasks, {len(RIGHT)} right answers accepted, {len(WRONG)} wrong ones rejected")
    with capsys.disabled():
        print("\n".join(rows))
    assert len(WRONG) >= 5 * len(TASKS)


def _right(task):
    return lambda case: call(task.right, case)
