"""The sampling lab with functions of the learner's own: numbers, words, what the page gets, budgets, bad functions."""

import sys
import time
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from course_utils.engine import sampling
from course_utils.traces import NextTokenTrace
from course_utils.widgets import SamplingLab
from course_utils.widgets.base import STOPPED
from course_utils.widgets.sampling_rows import ROWS

GOLDEN = """\
Sampling lab: what comes after “once upon” (toy, 8 tokens)
start                           8 kept  entropy 1.50 bits
temperature 2                   8 kept  entropy 2.32 bits
top_k 4                         4 kept  entropy 1.80 bits
top_p 0.8 (yours)               2 kept  entropy 0.96 bits
min_p off                       2 kept  entropy 0.96 bits
≠ your top_p removes “c” (rank 3); the reference keeps it. They differ at 1 token: yours keeps 2, the reference 3.
– your min_p is off.
most likely now: “a” 0.622, “b” 0.378"""


def first_try(logits, top_p):
    """The token that crosses the line is removed: what most people write first."""
    ranked = logits.softmax(-1).sort(descending=True)
    removed = ranked.indices[ranked.values.cumsum(-1) > top_p]
    return logits.index_fill(0, removed, -torch.inf)


def worst_first(logits, temperature):
    return -logits / temperature


def toy_lab(trace, **own):
    return SamplingLab(trace, own=own or {"top_p": first_try, "min_p": first_try}, temperature=2, top_k=4, top_p=0.8)


def test_describe_is_golden(toy_trace):
    assert toy_lab(toy_trace).describe() == GOLDEN


def test_bundle_has_a_small_picture_that_says_whose_filter_it_is(random_trace):
    lab = SamplingLab(random_trace, own={"top_p": first_try}, top_p=0.9, draws=1000)
    data, metadata = lab._repr_mimebundle_()
    assert set(data) == {"application/vnd.jupyter.widget-view+json", "image/png", "text/plain"}
    assert len(data["image/png"]) <= 40_000
    assert "top_p 0.9 (yours) keeps" in metadata["image/png"]["alt"]


def test_state_and_time_within_budget(random_trace, record):
    lab = SamplingLab(random_trace, own=dict(sampling.FILTERS), top_k=5000, top_p=0.9, min_p=0.01, draws=1000)
    state = lab.get_state()
    size = sum(len(value) for value in state.values() if isinstance(value, bytes | str)) + len(str(state["_answer"]))
    seconds = []
    for move in range(20):
        start = time.process_time()
        lab.temperature = 0.5 + move / 20
        seconds.append(time.process_time() - start)
    milliseconds = round(np.percentile(seconds, 95) * 1000)
    record("SamplingLab with own functions", {"state_bytes": size, "kernel_ms_p95": milliseconds})
    assert size <= 500_000
    assert len(str(state["_answer"])) <= 30_000, "the page gets its rows, not the vocabulary"
    assert milliseconds < 3 * 250


def test_the_page_waits_for_no_kernel_without_own_functions(toy_trace):
    lab = SamplingLab(toy_trace, top_p=0.5)
    lab.top_p = 0.4
    assert lab._answer is None
    assert lab.said() == []


def test_own_functions_give_the_probabilities_and_the_draws(toy_trace):
    lab = toy_lab(toy_trace)
    lab.draws = 100
    assert (lab.probabilities() > 0).tolist() == [True, True] + [False] * 6
    assert lab.drawn()[:2].sum() == 100
    expected = sampling.draw(lab.probabilities(), 1000, 0)[:100].bincount(minlength=8)
    assert [[rank, int(n)] for rank, n in enumerate(expected) if n] == lab._answer["counts"]


def test_a_function_may_change_the_ranking(toy_trace):
    """The rows stay where the model's logits put them; the most likely token is now in the last one."""
    lab = SamplingLab(toy_trace, own={"temperature": worst_first})
    last = lab._answer["stages"][-1]
    assert last["best"] == 7
    assert last["p"]["7"] == pytest.approx(0.632, abs=1e-3)
    assert lab._answer["stages"][1]["differs"] == list(range(8))
    assert lab.said()[0].startswith("≠ your temperature gives “a” (rank 1) a probability of 0.000577")
    assert "most likely now: “h” 0.632" in lab.describe()


def test_the_best_token_is_sent_although_its_row_is_not_on_the_page(random_trace):
    lab = SamplingLab(random_trace, own={"temperature": worst_first})
    last = lab._answer["stages"][-1]
    assert last["best"] == 49_151
    assert set(last["p"]) == {*map(str, range(ROWS)), "49151"}


def test_the_page_sets_and_asks(toy_trace):
    """As the page does it: a setting, then a press. The functions run when it asks, and every press is answered."""
    calls = []

    def counted(logits, top_p):
        calls.append(top_p)
        return first_try(logits, top_p)

    lab = SamplingLab(toy_trace, own={"top_p": counted}, top_p=0.8)
    for press, (name, value) in enumerate(
        [("top_p", 0.5), ("_first", 2), ("draws", 1), ("seed", 4), ("order", list(reversed(lab.order)))], start=1
    ):
        before = len(calls)
        lab.set_state({name: value})
        assert len(calls) == before
        lab.set_state({"asked": [press]})
        assert (lab.problem, lab.answered) == ("", press)
    assert lab._answer["first"] == 2
    assert lab._answer["stages"][0]["p"].keys() == {"0", "2", "3", "4", "5", "6", "7"}
    assert calls == [0.8, 0.5, 0.5], "once for a setting, and once for another order"


def test_a_stopped_function_leaves_the_settings_as_they_were(toy_trace):
    def stopped_below_a_half(logits, top_p):
        if top_p < 0.5:
            raise KeyboardInterrupt
        return first_try(logits, top_p)

    lab = SamplingLab(toy_trace, own={"top_p": stopped_below_a_half}, top_p=0.8, temperature=2)
    before, words = lab._answer, lab.describe()
    lab.set_state({"top_p": 0.3, "temperature": 1.0})
    lab.set_state({"asked": [1]})
    assert (lab.problem, lab.answered) == (STOPPED, 1)
    assert (lab.top_p, lab.temperature, lab._answer, lab.describe()) == (0.8, 2, before, words)
    lab.set_state({"top_p": 0.6})
    lab.set_state({"asked": [2]})
    assert (lab.problem, lab.answered, lab._answer["stages"][3]["value"]) == ("", 2, 0.6)


def test_exit_in_a_function_is_said_on_the_page_and_the_kernel_lives(toy_trace):
    def exits_below_a_half(logits, top_p):
        if top_p < 0.5:
            sys.exit("done")
        return first_try(logits, top_p)

    lab = SamplingLab(toy_trace, own={"top_p": exits_below_a_half}, top_p=0.8)
    lab.set_state({"top_p": 0.3, "asked": [1]})
    assert (lab.problem, lab.answered) == ("", 1)
    assert lab._answer["said"] == [
        "✗ your top_p stopped in its line 3 with SystemExit: done. The picture shows the reference."
    ]
    lab.set_state({"top_p": 0.95})
    lab.set_state({"asked": [2]})
    assert lab.answered == 2
    assert lab._answer["said"][0][0] != "✗"


def longer_trace(trace, prompt, token):
    """What a run of the toy's makes: the longer the prompt, the flatter."""
    text = prompt if token is None else f"{prompt} {trace.labels[token]}"
    if text == "stop":
        raise KeyboardInterrupt
    return replace(trace, prompt=text, prompt_tokens=tuple(text.split()), logits=trace.logits / len(text))


@pytest.mark.parametrize("own", [None, {"top_p": first_try}])
def test_another_prompt_and_a_text_that_grows(toy_trace, own):
    lab = SamplingLab(toy_trace, own=own, run=partial(longer_trace, toy_trace), top_p=0.8, seed=3)
    lab.set_state({"asked": [1, "run", "ab"]})
    assert (lab.problem, lab.prompt, lab.prompt_tokens) == ("", "ab", ["ab"])
    assert np.frombuffer(lab._logits, np.float32) == pytest.approx(toy_trace.logits / 2)
    numbers = sampling.uniform_numbers(3, 3)
    for number in range(3):
        edges = lab.probabilities().double().cumsum(-1)
        wanted = int(torch.searchsorted(edges / edges[-1], numbers[number]))
        before = lab.prompt
        lab.set_state({"asked": [2 + number, "append"]})
        assert lab.prompt == f"{before} {toy_trace.labels[wanted]}", "one number of the seed after the other"
    assert f"“{lab.prompt}”" in lab.describe()
    if own:
        assert lab._answer["stages"][0]["entropy"] == pytest.approx(sampling.entropy_bits(lab._start).item())
    words = lab.describe()
    for asked, problem in [(["run", "stop"], STOPPED), (["leap"], "action must be run or append, got 'leap'")]:
        lab.set_state({"asked": [9, *asked]})
        assert (lab.problem, lab.describe()) == (problem, words)


def test_a_recorded_lab_has_no_box_for_a_prompt(toy_trace):
    assert SamplingLab(toy_trace).prompt == ""


def test_python_changes_what_the_page_shows(toy_trace):
    lab = toy_lab(toy_trace)
    lab.top_p = 0.5
    assert lab._answer["stages"][3]["value"] == 0.5
    assert lab.answered == 0


def test_the_function_runs_once_for_a_setting(toy_trace):
    calls = []

    def counted(logits, top_p):
        calls.append(top_p)
        return logits

    lab = SamplingLab(toy_trace, own={"top_p": counted}, top_p=0.9)
    lab.describe(), lab.figure(), lab.drawn()
    lab.draws = 10
    assert calls == [0.9]
    lab.top_p = 1.0
    assert calls == [0.9], "a filter that is off is not run"


def test_the_lab_lives_on_when_the_function_fails(toy_trace):
    def fails_below_a_half(logits, top_p):
        return logits / 0 if top_p > 0.7 else None if top_p > 0.5 else undefined_name  # noqa: F821

    lab = SamplingLab(toy_trace, own={"top_p": fails_below_a_half}, top_p=0.8)
    reference = SamplingLab(toy_trace, top_p=0.8)
    for top_p, words in [(0.8, "got nan"), (0.6, "got None"), (0.4, "name 'undefined_name' is not defined")]:
        lab.top_p = reference.top_p = top_p
        (line,) = lab._answer["said"]
        assert words in line
        assert line.startswith("✗ your top_p ")
        assert torch.equal(lab.probabilities(), reference.probabilities())


def test_a_bad_setting_is_one_sentence_and_the_answer_stays(toy_trace):
    lab = toy_lab(toy_trace)
    with pytest.raises(ValueError) as caught:
        lab.top_p = 1.3
    assert str(caught.value) == "top_p must be in (0, 1], got 1.3"
    assert lab.describe() == GOLDEN


@pytest.mark.parametrize(
    ("own", "kind", "sentence"),
    [
        (
            {"topp": first_try},
            ValueError,
            "own must name filters of ['temperature', 'top_k', 'top_p', 'min_p'], got 'topp'",
        ),
        ({"top_p": 0.9}, TypeError, "own must hold functions, got float for 'top_p'"),
        (first_try, TypeError, "own must hold functions by name, as {'top_p': my_top_p}, got function"),
    ],
)
def test_a_wrong_own_is_one_sentence(toy_trace, own, kind, sentence):
    with pytest.raises(kind) as caught:
        SamplingLab(toy_trace, own=own)
    assert str(caught.value) == sentence


def test_odd_tokens_and_one_token():
    """Emoji, Chinese, markup, and a vocabulary of one."""
    odd = NextTokenTrace("odd", "🙂", ("🙂",), np.array([1, 0, 2], np.float32), ("🙂", "你好", "<b>&$x$"))
    lab = SamplingLab(odd, own={"top_k": lambda logits, top_k: logits}, top_k=1)
    assert "≠ your top_k keeps “🙂” (rank 2)" in lab.describe()
    assert lab._repr_mimebundle_()[1]["image/png"]["alt"]
    one = NextTokenTrace("one", "a", ("a",), np.zeros(1, np.float32), ("b",))
    assert SamplingLab(one, own={"top_p": first_try}, top_p=0.5).said()[0].startswith("✗ your top_p removes every")


def test_the_librarys_filters_as_own_change_nothing(random_trace):
    settings = {"temperature": 0.7, "top_k": 500, "top_p": 0.9, "min_p": 0.01, "draws": 100}
    plain, own = SamplingLab(random_trace, **settings), SamplingLab(random_trace, own=sampling.FILTERS, **settings)
    assert torch.equal(plain.probabilities(), own.probabilities())
    assert (plain.drawn() == own.drawn()).all()
    assert [line[0] for line in own.said()] == ["✓"] * 4
