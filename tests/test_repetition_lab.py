"""The repetition lab and its trace: what they say is what `transformers` does, and the page says the same."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_utils import figures
from course_utils.engine.generate import generate
from course_utils.engine.penalties import Penalty
from course_utils.figures.base import png_bytes
from course_utils.models import load_causal_lm
from course_utils.traces import RepetitionTrace, record_repetition
from course_utils.widgets import RepetitionLab, repetition_lab
from course_utils.widgets.base import STOPPED, page_module
from course_utils.widgets.repetition_lab import MOST_ROWS, packed, ranked
from tests.budgets import MOST_ESM_BYTES

EATING = "I like to eat"
DEFAULTS = {
    "repetition_penalty": 1, "no_repeat_ngram": 0, "presence_penalty": 0, "frequency_penalty": 0, "min_new_tokens": 0,
    "max_new_tokens": 3, "stop_at_eos": True, "stop_strings": (),
}  # fmt: skip
GOLDEN = """\
Repetition lab: frequency_penalty 0.5 after “a” (toy)
3 tokens: “ b b”
in a run of 1 tokens that came before: 2 tokens
changed most, in the last step: “b” −1.00; “a” as it was
Stopped: max_new_tokens is reached (3 tokens); the model had not finished."""


def toy(**changes):
    nan = np.nan
    before = np.array([[1, nan], [1, 2], [1, 2]], np.float32)
    after = np.array([[1, nan], [1, 1.5], [1, 1]], np.float32)
    fields = {
        "model": "toy", "prompt": "a", "prompt_tokens": ("a",), "new_tokens": ("b",) * 3, "ids": np.array([7, 7, 7]),
        "settings": tuple((DEFAULTS | {"frequency_penalty": 0.5}).items()), "held_tokens": ("a", "b"),
        "held_ids": np.array([3, 7]), "before": before, "after": after, "probability": np.array([0.5, 0.6, 0.7], "f4"),
        "eos_before": np.array([0, 0.1, 0.2], "f4"), "eos_after": np.array([0, 0, 0.2], "f4"),
        "shown": (" b", " b b", " b b"), "withheld": ("", "", " b"), "reason": "max_new_tokens",
    }  # fmt: skip
    return RepetitionTrace(**(fields | changes))


def random_trace(steps, held=150):
    """A text of `steps` tokens with penalties everywhere: the widget's picture at any length."""
    random = np.random.default_rng(steps)
    ids = random.integers(0, held, steps)
    before = random.normal(10, 5, (steps, held)).astype(np.float32)
    after = before - random.choice([0, 0.5, 1, np.inf], (steps, held), p=[0.4, 0.3, 0.25, 0.05]).astype(np.float32)
    chances = random.random((3, steps)).astype(np.float32)
    return toy(
        new_tokens=tuple(f"␣t{i}" for i in ids), ids=ids, held_tokens=tuple(f"␣t{i}" for i in range(held)),
        held_ids=np.arange(held), before=before, after=after, probability=chances[0], eos_before=chances[1],
        eos_after=chances[2], shown=tuple(" t" * i for i in range(1, steps + 1)), withheld=("",) * steps,
    )  # fmt: skip


@pytest.fixture(scope="module")
def smollm():
    return load_causal_lm()


SETTINGS = [
    {"frequency_penalty": 0.5, "max_new_tokens": 30},
    {"repetition_penalty": 1.1, "presence_penalty": 0.3, "max_new_tokens": 25},
    {"no_repeat_ngram": 4, "max_new_tokens": 30},
    {"stop_strings": ["burger", "###"]},
    {"min_new_tokens": 5, "stop_strings": ["fries"], "stop_at_eos": False},
]


@pytest.mark.parametrize("case", SETTINGS, ids=str)
def test_a_recorded_text_is_the_one_of_generate(smollm, case):
    trace = record_repetition(smollm, EATING, **case)
    names = ("repetition_penalty", "no_repeat_ngram", "presence_penalty", "frequency_penalty")
    others = {name: value for name, value in case.items() if name not in (*names, "stop_at_eos")}
    others |= {"max_new_tokens": case.get("max_new_tokens", 60)} | (
        {} if case.get("stop_at_eos", True) else {"eos_ids": []}
    )
    penalties = [(name, case[name]) for name in names if name in case]
    (text,) = generate(smollm.model, smollm.encode(EATING), smollm.tokenizer, penalties=penalties, **others)
    assert (tuple(trace.ids), trace.shown[-1], trace.reason) == (text.ids, text.text, text.reason)


def test_a_recorded_text_is_the_one_of_transformers(smollm):
    trace = record_repetition(smollm, EATING, repetition_penalty=1.1, frequency_penalty=0.3, max_new_tokens=20)
    ids = smollm.encode(EATING)
    output = smollm.model.generate(
        ids, max_new_tokens=20, do_sample=False, repetition_penalty=1.1,
        logits_processor=[Penalty("frequency_penalty", 0.3, 4)], return_dict_in_generate=True, output_scores=True,
        output_logits=True,
    )  # fmt: skip
    assert output.sequences[0, 4:].tolist() == trace.ids.tolist()
    logits, scores = (torch.cat(rows)[:, trace.held_ids].numpy() for rows in (output.logits, output.scores))
    there = ~np.isnan(trace.before)
    np.testing.assert_allclose(trace.before[there], logits[there], atol=1e-3)
    np.testing.assert_allclose(trace.after[there], scores[there], atol=1e-3)
    eos = smollm.model.generation_config.eos_token_id
    said, now = (torch.cat(rows).softmax(-1) for rows in (output.logits, output.scores))
    np.testing.assert_allclose(trace.eos_before, said[:, eos], atol=1e-4)
    np.testing.assert_allclose(trace.eos_after, now[:, eos], atol=1e-4)
    np.testing.assert_allclose(trace.probability, said[range(20), trace.ids], atol=1e-4)


def test_frequency_is_the_count(smollm):
    trace = record_repetition(smollm, EATING, frequency_penalty=0.2, max_new_tokens=40)
    for column, token in enumerate(trace.held_ids):
        counts = np.concatenate([[0], np.cumsum(trace.ids == token)[:-1]])
        np.testing.assert_allclose(trace.changes[:, column], -0.2 * counts, atol=1e-5)


def test_the_end_is_masked_until_the_minimum(smollm):
    trace = record_repetition(smollm, EATING, min_new_tokens=4, max_new_tokens=6)
    assert (trace.eos_after[:4] == 0).all()
    assert (trace.eos_after[4:] > 0).all()
    assert (trace.eos_before > 0).all()


def test_what_is_withheld_could_become_a_stop_string(smollm):
    trace = record_repetition(smollm, EATING, stop_strings=["burgers", "side of beef"], max_new_tokens=9)
    whole = smollm.tokenizer.decode(trace.ids)
    assert trace.withheld == ("", "bur", "burger", "", "", "side", "side of", "s", "")
    for step, (shown, withheld) in enumerate(zip(trace.shown, trace.withheld, strict=True), start=1):
        assert shown + withheld == smollm.tokenizer.decode(trace.ids[:step])
        assert whole.startswith(shown)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=12), st.integers(1, 5))
def test_repeated_runs_by_their_definition(ids, size):
    rows = {name: np.zeros((len(ids), 1), "f4") for name in ("before", "after")}
    chances = {name: np.zeros(len(ids), "f4") for name in ("probability", "eos_before", "eos_after")}
    texts = {name: ("",) * len(ids) for name in ("new_tokens", "shown", "withheld")}
    trace = toy(ids=np.array(ids), held_ids=np.array([0]), held_tokens=("a",), **rows, **chances, **texts)
    runs = [ids[start : start + size] for start in range(len(ids) - size + 1)]
    covered = {start + i for start, run in enumerate(runs) if run in runs[:start] for i in range(size)}
    assert trace.repeated(size).nonzero()[0].tolist() == sorted(covered)


def test_a_trace_survives_a_file(tmp_path):
    toy().save(tmp_path / "trace.npz")
    again = RepetitionTrace.load(tmp_path / "trace.npz")
    assert RepetitionLab(again).describe() == RepetitionLab(toy()).describe()
    assert again.settings == toy().settings


def test_describe_is_golden():
    lab = RepetitionLab(toy())
    lab.run_length = 1
    assert lab.describe() == GOLDEN


def test_why_is_said_for_every_reason():
    stopped = toy(
        reason="stop_string", withheld=("", "", "\n"), settings=tuple((DEFAULTS | {"stop_strings": ("\n",)}).items())
    )
    ended = toy(reason="eos")
    full = toy(reason="context_length")
    assert [RepetitionLab(trace).why for trace in (stopped, ended, full)] == [
        "Stopped: the stop string “⏎” is complete after 3 tokens; it is not shown.",
        "Stopped: the model chose the end-of-sequence token (probability 0.20) as token 3.",
        "Stopped: the context length is reached after 3 tokens.",
    ]


def test_bundle_and_budgets(record):
    lab = RepetitionLab(random_trace(200))
    data, metadata = lab._repr_mimebundle_()
    assert set(data) == {"application/vnd.jupyter.widget-view+json", "image/png", "text/plain"}
    assert data["text/plain"] == lab.describe()
    assert metadata["image/png"]["alt"].startswith("Logit changes of 10 tokens over 200 steps.")
    plain = {name: value for name, value in lab.get_state().items() if not isinstance(value, bytes)}
    state = sum(len(value) for value in lab.get_state().values() if isinstance(value, bytes))
    state += len(json.dumps({name: str(value) for name, value in plain.items()})) - len(lab._esm) - len(lab._css)
    module, picture = len(RepetitionLab._esm.encode()), len(data["image/png"])
    record("RepetitionLab", {"esm_bytes": module, "state_bytes": state, "png_bytes": picture})
    assert module <= MOST_ESM_BYTES
    assert state <= 500_000
    assert picture <= 40_000


def test_the_most_changed_tokens_are_sent():
    trace = random_trace(60)
    lab = RepetitionLab(trace)
    assert (len(lab.rows), lab.held) == (MOST_ROWS, 150)
    total = np.abs(np.clip(trace.changes, -100, 100)).sum(0)
    assert total[ranked(trace)[0]] == total.max()
    assert lab.rows[0] == [trace.held_tokens[total.argmax()], int(total.argmax())]


def test_packed_numbers():
    numbers = np.frombuffer(packed(np.array([np.nan, -np.inf, 1.234, -2.5, 1e6])), "<i2")
    assert numbers.tolist() == [32767, -32768, 123, -250, 32766]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"presence_penalty": 3}, "presence_penalty must be in [-2, 2], got 3"),
        ({"frequency_penalty": "much"}, "frequency_penalty must be in [-2, 2], got 'much'"),
        ({"repetition_penalty": 0}, "repetition_penalty must be a finite number above 0, got 0"),
        ({"no_repeat_ngram": 2.5}, "no_repeat_ngram must be a whole number of at least 1, got 2.5"),
        ({"max_new_tokens": 201}, "max_new_tokens must be at most 200 in this lab, got 201"),
        ({"max_new_tokens": ""}, "max_new_tokens must be a whole number of at least 1, got ''"),
        ({"min_new_tokens": 9}, "min_new_tokens must be at most max_new_tokens (3), got 9"),
        ({"stop_strings": [""]}, "stop_strings must be a list of str, none of them empty, got ['']"),
        ({"prompt": ""}, "prompt must have at least one character, got an empty text"),
    ],
)
def test_bad_settings_are_one_sentence_and_the_lab_lives(smollm, change, sentence):
    lab = repetition_lab(smollm, EATING, max_new_tokens=3)
    before = lab.describe()
    with pytest.raises(ValueError) as caught:
        lab.ask(**change)
    assert str(caught.value) == sentence
    settings = {name: value for name, value in change.items() if name != "prompt"}
    lab.asked = [1, change.get("prompt", EATING), lab.settings | settings]
    said = sentence.replace("got ''", "got nothing")  # on the page, an empty box
    assert (lab.problem, lab.answered, lab.describe()) == (said, 1, before)
    lab.asked = [2, EATING, lab.settings | {"max_new_tokens": 4}]
    assert (lab.problem, lab.answered, len(lab.tokens)) == ("", 2, 4)
    assert lab.model_milliseconds > 0


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("step", 3, "step must be in 0 … 2, got 3"),
        ("step", -1, "step must be in 0 … 2, got -1"),
        ("run_length", 0, "run_length must be a whole number of at least 1, got 0"),
    ],
)
def test_bad_traits_are_one_sentence(name, value, sentence):
    lab = RepetitionLab(toy())
    with pytest.raises(ValueError) as caught:
        setattr(lab, name, value)
    assert str(caught.value) == sentence


def test_every_step_is_told_before_it_runs(smollm):
    told = []
    trace = record_repetition(smollm, EATING, max_new_tokens=3, progress=lambda *which: told.append(which))
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert len(trace.ids) == 3


def test_a_run_that_is_stopped_changes_nothing():
    def run(prompt, progress, **settings):
        for step in range(1, 4):
            progress(step, 3)
        return toy(prompt=prompt)

    lab, said = RepetitionLab(toy(), run), []

    def send(content, buffers=None):
        said.append(content.get("progress"))
        if "stop" in said and content.get("progress") == "token 2 of at most 3":
            raise KeyboardInterrupt

    lab.send = send
    lab.asked = [1, "b", lab.settings]
    assert said == [None, "reading the prompt", "token 2 of at most 3", "token 3 of at most 3"]
    before = lab.describe()
    said.append("stop")
    lab.asked = [2, "c", lab.settings]
    assert (lab.problem, lab.answered, lab.describe(), lab.prompt) == (STOPPED, 2, before, "b")
    said.clear()
    lab.asked = [3, "c", lab.settings]
    assert (lab.problem, lab.answered, lab.prompt) == ("", 3, "c")


@pytest.mark.parametrize(
    "error", [RuntimeError("no memory\nat 0"), KeyError("weights"), OSError("gone"), MemoryError()]
)
def test_whatever_the_model_raises_is_one_sentence(error):
    def run(prompt, progress, **settings):
        raise error

    lab = RepetitionLab(toy(), run)
    lab.asked = [1, "b", lab.settings]
    assert lab.answered == 1
    assert lab.problem.startswith(type(error).__name__)
    assert "\n" not in lab.problem


def test_the_page_asks_for_short_prompts_and_python_for_any(smollm):
    lab = repetition_lab(smollm, EATING, max_new_tokens=1)
    lab.asked = [1, "word " * 1100, lab.settings]
    assert lab.problem == "prompt must have at most 1,024 tokens in this lab, got 1,101"
    lab.asked = [2, "word " * 9000, lab.settings]
    assert lab.problem.startswith("prompt must have at most 8,192 tokens (the context length")


def test_reading_never_runs_the_model():
    def run(prompt, **settings):
        raise AssertionError("the model was called")

    lab = RepetitionLab(toy(), run)
    lab.step, lab.run_length = 0, 2
    assert lab.describe()
    with pytest.raises(ValueError, match="run must be given to change a setting, got None"):
        RepetitionLab(toy()).ask(presence_penalty=1)


class TestOwnFunction:
    def test_one_that_is_right_makes_no_difference(self, smollm):
        def mine(logits, ids, penalty):
            return logits - penalty * torch.bincount(ids[0], minlength=logits.shape[-1])

        ours = record_repetition(smollm, EATING, frequency_penalty=0.5, max_new_tokens=25)
        own = record_repetition(
            smollm, EATING, frequency_penalty=0.5, max_new_tokens=25, own={"frequency_penalty": mine}
        )
        assert own.differs == ""
        assert own.ids.tolist() == ours.ids.tolist()

    def test_a_wrong_one_is_named_with_the_token(self, smollm):
        lab = repetition_lab(
            smollm, EATING, own={"presence_penalty": lambda logits, ids, penalty: logits - penalty},
            presence_penalty=0.5, max_new_tokens=3,
        )  # fmt: skip
        assert lab.differs.startswith("Your presence_penalty differs first at step 1: “<|endoftext|>” gets ")
        assert lab.differs in lab.describe()

    @pytest.mark.parametrize(
        ("function", "sentence"),
        [
            (lambda logits, ids, penalty: ids.missing, "your presence_penalty raises AttributeError"),
            (lambda logits, ids, penalty: sys.exit(), "your presence_penalty raises SystemExit$"),
            (
                lambda logits, ids, penalty: logits[0, :5],
                r"your presence_penalty must return logits of shape \(1, 49152\)",
            ),
            (lambda logits, ids, penalty: None, r"must return logits of shape \(1, 49152\), got NoneType"),
        ],
    )
    def test_a_broken_one_is_one_sentence(self, smollm, function, sentence):
        with pytest.raises(ValueError, match=sentence):
            record_repetition(smollm, EATING, presence_penalty=1, own={"presence_penalty": function})


@pytest.mark.parametrize("prompt", ["🦜🦜", "你好，", "x", "word " * 200])
def test_any_text_can_be_drawn(smollm, prompt):
    lab = repetition_lab(smollm, prompt, presence_penalty=1, no_repeat_ngram=2, max_new_tokens=4)
    data, metadata = lab._repr_mimebundle_()
    assert len(data["image/png"]) <= 40_000
    alt = metadata["image/png"]["alt"]
    assert len(alt) > 40
    assert not set("<{") & set(alt)


PARITY = """
const page = await import(process.env.WIDGET_MODULES + "/repetition_lab.mjs");
const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const { logits, steps, rows, ids, sizes } = JSON.parse(Buffer.concat(chunks));
const { cells } = page.unpack(Int16Array.from(logits), new Float32Array(3 * steps), steps, rows);
console.log(JSON.stringify({
  changes: cells.map((row) => row.map((cell) => (cell ? (cell.change === -Infinity ? "banned" : cell.change) : 0))),
  repeated: sizes.map((size) => page.repeated(ids, size)),
}));
"""


def test_page_and_python_agree(node, tmp_path):
    (tmp_path / "repetition_lab.mjs").write_text(page_module("repetition_lab"), encoding="utf-8")
    trace = random_trace(40, held=12)
    lab, sizes = RepetitionLab(trace), [1, 2, 3]
    logits = np.frombuffer(lab._logits, "<i2").tolist()
    message = {"logits": logits, "steps": 40, "rows": 12, "ids": lab.ids, "sizes": sizes}
    run = subprocess.run(
        [node, "--input-type=module", "-e", PARITY], input=json.dumps(message), capture_output=True, text=True,
        check=True, env={**os.environ, "WIDGET_MODULES": str(tmp_path)},
    )  # fmt: skip
    said = json.loads(run.stdout)
    assert said["repeated"] == [trace.repeated(size).tolist() for size in sizes]
    changes = [[-np.inf if change == "banned" else change for change in row] for row in said["changes"]]
    np.testing.assert_allclose(np.array(changes).T, trace.changes[:, ranked(trace)], atol=0.011)


class TestPictures:
    def test_rounds(self):
        figure = figures.loop_rounds(np.array([0.1, 0.2, 0.4, 0.6, 0.8]), ["<x>", "a", "b", "a", "b"], 1, 2)
        assert "2 tokens repeat in 2 rounds: “a b”. Mean probability of a token in round 1: 0.30" in figure.alt
        with pytest.raises(ValueError, match=r"period must be in 1 … 4 to have a round, got 5"):
            figures.loop_rounds(np.ones(5), list("abcde"), 1, 5)

    def test_changes(self):
        with pytest.raises(ValueError, match="changes must hold at most 4 rows of 2 steps"):
            figures.logit_changes({"presence": np.zeros(3)}, "a", np.zeros(2, bool))

    def test_end(self):
        figure = figures.end_of_text(np.array([0.5, 0.2]), np.array([0.0, 0.2]), ["<|im_end|>", "$"])
        assert figure.alt.endswith("0.50 at most, in step 1, where “‹|im_end|›” was chosen. Masked in 1 step.")
        with pytest.raises(ValueError, match="same number of steps, at most 60, got 61, 61 and 61"):
            figures.end_of_text(np.ones(61), np.ones(61), ["a"] * 61)

    def test_steps_say_bans_and_rewards(self):
        changes = np.array([[0, 0.5], [-np.inf, 0.5]], np.float32)
        figure = figures.repetition_steps(changes, ["<", "你"], changes > 0, np.ones((3, 2)), "Stopped: <eos>.")
        assert "A token is banned 1 time." in figure.alt
        assert "<" not in figure.alt
        assert len(png_bytes(figure)) < 40_000
