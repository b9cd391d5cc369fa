"""The final comparison draws fair cases and judges them; the scoreboard loses nothing and stops no lesson."""

import errno
import json
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from course_utils.engine.settings import GenerationSettings
from course_utils.exercises.task import Seen
from course_utils.learner import final_comparison as hidden
from course_utils.learner import scoreboard
from course_utils.learner.capstone import case
from course_utils.learner.check_card import CheckCard
from course_utils.learner.final_comparison import final_comparison
from course_utils.learner.score_file import Score, ScoreFile
from course_utils.learner.scoreboard import Scoreboard, keep_score
from course_utils.measuring.timing import GenerationTiming, this_machine
from tests.capstone_functions import Learner, by_the_course, by_the_lesson, learner, stream_by_the_course


@pytest.mark.parametrize(("function", "seed"), [(by_the_course, 3), (Learner().generate, 4)])
def test_right_functions_are_equal_everywhere(function, seed, monkeypatch):
    monkeypatch.setattr(hidden, "hidden_cases", practice_only)
    comparison = final_comparison(function, seed=seed)
    assert comparison.is_right, comparison
    assert f"seed {seed}" in comparison.title


def test_the_lessons_solutions_are_equal_everywhere():
    """With the seed of the lesson, so that a learner who has done everything right sees it there."""
    comparison = final_comparison(by_the_lesson()["my_generate"], seed=15)
    assert comparison.is_right, comparison
    assert (comparison.right, len(comparison.lines)) == (24, 24)
    says = [says for _, says, *_ in comparison.lines]
    assert {kind_of(line) for line in says if line.endswith("as the course's generate")} == {"presence, frequency"}
    assert sum(line.endswith("as transformers") for line in says) == 22


def kind_of(says):
    return says.partition(" · ")[2].partition(":")[0]


DRAW = hidden.hidden_cases


def practice_only(seed):
    return [(what, drawn) for what, drawn in DRAW(seed) if drawn[0].name == "practice"]


REPETITION = {"repetition", "beams and penalty", "all but beams"}
SOME_WRONG = [
    ({"counts_prompt": lambda self, name: False}, REPETITION),
    ({"presence_penalty": lambda self, logits, *_: logits}, {"presence, frequency"}),
    ({"top_p": lambda self, logits, setting: logits}, {"top-p, min-p", "temperature last", "all but beams"}),
    ({"temperature": lambda self, logits, t: logits * t}, {"temperature, top-k", "temperature last", "all but beams"}),
    ({"is_too_short": lambda *_: False}, {"minimum", "all but beams"}),
    ({"score": lambda self, total, new, chosen: total}, {"beams", "beams and penalty"}),
    ({"is_end": lambda self, new, ids, chosen, tokenizer: new[-1] in chosen.eos_ids}, {"stop string"}),
]


@pytest.mark.parametrize(("wrong", "kinds"), SOME_WRONG)
def test_a_wrong_function_is_found_and_only_where_it_is_wrong(wrong, kinds, monkeypatch):
    monkeypatch.setattr(hidden, "hidden_cases", practice_only)
    function, found = learner(**wrong).generate, set()
    for seed in range(4):
        comparison = final_comparison(function, seed=seed)
        found |= {kind_of(says) for is_right, says, *_ in comparison.lines if not is_right}
        for is_right, _, message, seen in comparison.lines:
            assert is_right or not message or (message.startswith("Your function returns ") and isinstance(seen, Seen))
        if found:
            break
    assert found
    assert found <= kinds


def test_a_broken_function_is_a_sentence(monkeypatch):
    cases = [("greedy", case("cab", max_new_tokens=3))] * 2
    monkeypatch.setattr(hidden, "hidden_cases", lambda seed: cases)
    comparison = final_comparison(lambda *_, **__: 1 / 0, seed=1)
    assert comparison.right == 0
    assert comparison.message == "Your function raises ZeroDivisionError: division by zero (line 1 of your function)."
    shorter = final_comparison(lambda model, ids, *_, **__: torch.cat([ids, torch.tensor([[36]])], 1), seed=1)
    assert shorter.message == "Your function returns 1 values, and 3 are right."
    page = final_comparison(lambda *_, **__: "<b>", seed=1)._repr_html_()
    assert "my_generate(&lt;practice&gt;, &#x27;cab&#x27;, max_new_tokens=3)" in page
    assert "<b>" not in page


def test_a_function_is_asked_for(monkeypatch):
    monkeypatch.setattr(hidden, "hidden_cases", practice_only)
    assert final_comparison(3, seed=1).message == "Your function is no function: my_generate is of type int."


@pytest.mark.parametrize("seed", [0, 1])
def test_hidden_cases_are_fair(seed):
    cases = hidden.hidden_cases(seed)
    assert [what for what, _ in cases] == [*hidden.KINDS] * 2
    assert [model.name for _, (model, *_) in cases] == ["smollm2"] * 12 + ["practice"] * 12
    assert len({prompt for _, (_, prompt, _) in cases}) == 24
    for what, (_, prompt, given) in cases:
        settings = GenerationSettings(**given)  # every setting is allowed
        if what == "stop string":
            assert not any(stop in prompt for stop in settings.stop_strings)
        if what == "minimum":
            assert 8 <= settings.min_new_tokens <= settings.max_new_tokens


def test_every_seed_draws_its_own_cases(monkeypatch):
    """Without the kinds that ask SmolLM2, so that many seeds cost nothing."""
    asks = {"end of sequence", "minimum", "stop string", "all but beams"}
    cheap = {what: make for what, make in hidden.KINDS.items() if what not in asks}
    monkeypatch.setattr(hidden, "KINDS", cheap)
    drawn = [repr(hidden.hidden_cases(seed)) for seed in range(50)]
    assert len(set(drawn)) == 50
    assert drawn == [repr(hidden.hidden_cases(seed)) for seed in range(50)]


def test_without_a_seed_the_cases_are_new(monkeypatch):
    monkeypatch.setattr(hidden, "hidden_cases", lambda seed: [("greedy", case("cab", max_new_tokens=3))])
    assert len({final_comparison(by_the_course).title for _ in range(5)}) > 1
    assert repr(final_comparison(by_the_course, seed=7)).startswith("✅ final comparison, seed 7: 1 of 1 checks pass.")


@pytest.fixture
def file(tmp_path):
    return ScoreFile(tmp_path / "home" / "scoreboard.json")


def score(name="Ada", tpot=0.05, equal=12):
    return Score(name, "2026-05-04 10:00", "a laptop", 0.2, tpot, 0.2, 0.06, equal, 12)


def test_scores_are_kept_and_ranked(file):
    for name, tpot, equal in (("slow", 0.08, 12), ("wrong", 0.01, 11), ("fast", 0.04, 12)):
        file.add(score(name, tpot, equal))
    assert [kept.name for kept in file.scores()] == ["slow", "wrong", "fast"]
    board = Scoreboard(ScoreFile(file.path))
    assert [kept.name for kept in board.scores] == ["fast", "slow", "wrong"]
    lines = repr(board).splitlines()
    assert lines[0].split() == ["name", "when", "equal", "TTFT", "ms", "TPOT", "ms", "×", "transformers", "machine"]
    assert lines[1].split()[:7] == ["fast", "2026-05-04", "10:00", "12/12", "200", "40.0", "1.50"]


def test_two_writers_lose_nothing(file):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: ScoreFile(file.path).add(score(str(number))), range(20)))
    assert sorted(int(kept.name) for kept in file.scores()) == list(range(20))


@pytest.mark.parametrize(
    "damage",
    ["", "[]", '{"version": 1, "entr', '{"version": 1, "entries": {"scores": {"a": {"name": "Ada"}}}}', "null"],
)
def test_a_damaged_file_is_set_aside_and_not_lost(file, damage, capsys):
    file.path.parent.mkdir()
    file.path.write_text(damage)
    assert Scoreboard(file).scores == []
    file.add(score())
    aside = list(file.path.parent.glob("scoreboard.corrupt-*.json"))
    assert [path.read_text() for path in aside] == [damage]
    assert str(aside[0]) in capsys.readouterr().out
    assert file.scores() == [score()]


def test_a_newer_file_is_left_as_it_is(file):
    file.path.parent.mkdir()
    newer = json.dumps({"version": 2, "entries": {"scores": {}}})
    file.path.write_text(newer)
    board = Scoreboard(file)
    assert repr(board).startswith("Your scoreboard couldn't be read: a newer version of the course wrote it")
    with pytest.raises(PermissionError):
        file.add(score())
    assert file.path.read_text() == newer


def test_it_is_beside_the_progress_file(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    ScoreFile().add(score())
    assert (tmp_path / "scoreboard.json").exists()
    assert not (tmp_path / "progress.json").exists()


COMPARISON = CheckCard("final comparison", "wrong", [(True, "a", "", None), (False, "b", "It differs.", None)], [])


@pytest.fixture
def quick(monkeypatch):
    """Times without a model: mine takes 40 ms per token, theirs 50."""

    def timing(first, step):
        return GenerationTiming([[first + step * number for number in range(12)]] * 3, this_machine())

    monkeypatch.setattr(scoreboard, "time_in_turns", lambda stream, repeats: (timing(0.3, 0.04), timing(0.4, 0.05)))


def test_a_score_is_measured_and_kept(file, quick):
    board = keep_score(stream_by_the_course, COMPARISON, name=" <Ada> ", file=file)
    (kept,) = file.scores()
    assert board.new == kept
    assert (kept.name, kept.equal, kept.cases) == ("<Ada>", 1, 2)
    assert (kept.ttft, kept.their_ttft) == pytest.approx((0.3, 0.4))
    assert kept.speed == pytest.approx(1.25)
    assert kept.machine.startswith(this_machine().processor)
    assert repr(board).splitlines()[1].startswith("★")
    assert repr(board).endswith(f"Saved in {file.path}")
    assert "&lt;Ada&gt;" in board._repr_html_()


def test_a_full_disk_does_not_stop_the_lesson(file, quick, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(ScoreFile, "_write", full)
    board = keep_score(stream_by_the_course, COMPARISON, name="Ada", file=file)
    assert board.note == f"This couldn't be saved: No space left on device ({file.path})."
    assert board.new.name == "Ada"


@pytest.mark.parametrize(
    ("stream", "sentence"),
    [
        (lambda *_, **__: iter(["a"] * 5), "12 pieces were asked for, and yours yields 5"),
        (lambda *_, **__: None, "TypeError: 'NoneType' object is not iterable"),
        (lambda *_, **__: 1 / 0, "stopped in its line 1 with ZeroDivisionError"),
        (lambda *_, **__: sys.exit("x"), "stopped in its line 1 with SystemExit: x"),
    ],
)
def test_a_wrong_stream_gets_no_score(file, stream, sentence):
    board = keep_score(stream, COMPARISON, name="Ada", file=file)
    assert board.note.startswith("✗ No score: ")
    assert sentence in board.note
    assert board.new is None
    assert not file.path.exists()


def test_a_stub_gets_no_score(file):
    def my_read(ids):
        raise NotImplementedError

    def my_stream(model, ids, tokenizer, **settings):
        yield my_read(ids)

    assert keep_score(my_stream, COMPARISON, name="Ada", file=file).note == "✗ No score: my_read isn't written yet."


@pytest.mark.parametrize("name", ["", "  ", None])
def test_a_score_needs_a_name(file, name):
    with pytest.raises(ValueError, match=r"^name must be a text, got "):
        keep_score(stream_by_the_course, COMPARISON, name=name, file=file)


def test_both_are_really_timed():
    mine, theirs = scoreboard.time_in_turns(Learner().stream, repeats=1)
    for timing in (mine, theirs):
        assert len(timing.seconds) == 1
        assert len(timing.seconds[0]) == scoreboard.NEW_TOKENS
        assert 0 < timing.tpot.median < timing.total.median
