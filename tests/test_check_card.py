"""`check("q1")`: what it says, what it keeps, and that nothing which a learner writes comes through."""

import pytest

from course_utils.learning import Progress, checker
from course_utils.learning.check_card import Checker


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
