"""The mask lab: words, pictures, budgets, one-sentence errors; and the page draws the masks that ran."""

import json
import os
import subprocess
from itertools import product

import numpy as np
import pytest

from course_utils.figures import masked_batch
from course_utils.models import load_causal_lm
from course_utils.traces import MaskTrace, record_masks
from course_utils.traces.masks import KINDS, PADDINGS
from course_utils.widgets import MaskLab, mask_lab
from course_utils.widgets.base import page_module
from course_utils.widgets.mask_lab import TOP, _likeliest
from tests.budgets import MOST_ESM_BYTES

GOLDEN = """\
Mask lab (toy): window (window 2), padding right, padding not masked
1 “a”: 2 of 3 columns are padding, read at padding; \
“x” 65.2 % alone, 24.0 % now; “z” 10.8 % alone, 65.2 % now; 54.4 % moved
2 “a b c”: 0 of 3 columns are padding, read at “c”; “x” 65.2 % alone, 65.2 % now; 0.0 % moved"""
ALT = (
    "window (window 2), padding right, padding not masked. “a”, 2 of 3 columns padding, reads at padding: "
    "“x” 65.2 % alone, 24.0 % now; 54 % moved. "
    "“abc”, 0 of 3 columns padding, reads at “c”: “x” 65.2 % alone, 65.2 % now; 0 % moved."
)


def toy_masks():
    """Three tokens of vocabulary; only the first prompt, padded right, says something else."""
    alone = np.tile(np.array([1.8, 0.8, 0.0], np.float32), (2, 1))
    logits = np.tile(alone, (4, 3, 2, 1, 1))
    logits[:, 1, :, 0] = [0.8, 0.0, 1.8]
    return MaskTrace("toy", ("a", "a b c"), (("a",), ("a", "b", "c")), 2, alone, logits, ("x", "y", "z"))


def random_masks(tokens, prompts=4):
    """A batch of up to `tokens` tokens, over SmolLM2's number of tokens."""
    random = np.random.default_rng(0)
    names = tuple(tuple(f"word{i}" for i in range(max(1, tokens - 2 * number))) for number in range(prompts))
    alone = random.normal(0, 3, (prompts, 49_152)).astype(np.float32)
    logits = np.broadcast_to(alone, (4, 3, 2, *alone.shape))
    labels = tuple(f"t{i}" for i in range(49_152))
    return MaskTrace("random", ("a long prompt",) * prompts, names, 4, alone, logits, labels)


SETTINGS = {"kind": "window", "padding": "right", "masked": False}


def test_describe_and_alt_are_golden():
    lab = MaskLab(toy_masks(), **SETTINGS)
    assert lab.describe() == GOLDEN
    data, metadata = lab._repr_mimebundle_()
    assert set(data) == {"application/vnd.jupyter.widget-view+json", "image/png", "text/plain"}
    assert data["text/plain"] == GOLDEN
    assert metadata["image/png"]["alt"] == ALT


@pytest.mark.parametrize("tokens", [20, 60, 200])
def test_within_budget(tokens, record):
    lab = MaskLab(random_masks(tokens))
    state = len(json.dumps({name: value for name, value in lab.get_state().items() if not name.startswith("_")}))
    picture = len(lab._repr_mimebundle_()[0]["image/png"])
    module = len(MaskLab._esm.encode())
    record("MaskLab", {"esm_bytes": module, f"state_bytes_{tokens}": state, f"png_bytes_{tokens}": picture})
    assert state <= 500_000
    assert module <= MOST_ESM_BYTES
    assert picture <= 40_000


def test_the_numbers_are_those_of_the_run():
    smollm = load_causal_lm()
    lab = mask_lab(
        lambda prompts, window: record_masks(smollm, prompts, window), ["The capital of France is", "🙂 a b c d e f"]
    )
    right = lab.batch["results"][0][0][1]
    assert max(row["moved"] for row in right) < 1e-3, "causal, left, masked is every prompt alone"
    label, alone, now = right[0]["best"][0]
    probability = smollm.next_logits("The capital of France is").softmax(-1).max().item()
    assert label == "␣Paris"
    assert alone == pytest.approx(probability, abs=1e-4)
    assert now == pytest.approx(probability, abs=1e-3)
    wrong = lab.batch["results"][0][1][1]
    assert wrong[0]["moved"] > 0.5, "the bug is visible"
    assert wrong[1]["moved"] < 1e-3, "the longest prompt has no padding"


def test_switching_calls_no_model():
    def refuse(prompts, window):
        raise AssertionError("a control that only reads called the model")

    lab = MaskLab(toy_masks(), refuse)
    for kind, padding, masked in product(KINDS, PADDINGS, (True, False)):
        lab.kind, lab.padding, lab.masked = kind, padding, masked
        assert f"padding {padding}" in lab.describe()


def test_other_prompts_are_run_and_a_wrong_one_is_a_sentence():
    smollm = load_causal_lm()
    lab = MaskLab(toy_masks(), lambda prompts, window: record_masks(smollm, prompts, window))
    lab.asked = [1, ["你好", "", "One two", ""], 3]
    assert (lab.batch["prompts"], lab.batch["window"], lab.problem, lab.answered) == (["你好", "One two"], 3, "", 1)
    for press, (texts, window, sentence) in enumerate(
        [
            (["only one", ""], 3, "prompts must be 2 to 4 texts, got 1"),
            (["a", "b " * 300], 3, "prompts must have at most 200 tokens here, got 301"),
            (["a", "b"], 0, "window must be a whole number of at least 1, got 0"),
            (["a", "b"], 1.5, "window must be a whole number of at least 1, got 1.5"),
        ],
        start=2,
    ):
        lab.asked = [press, texts, window]
        assert (lab.problem, lab.answered, lab.batch["window"]) == (sentence, press, 3)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("kind", "no", "kind must be one of ['causal', 'none', 'window', 'window + first token'], got 'no'"),
        ("padding", "up", "padding must be one of ['left', 'right', 'right, read at the last token'], got 'up'"),
    ],
)
def test_bad_settings_are_one_sentence_and_the_lab_lives(name, value, sentence):
    lab = MaskLab(toy_masks(), **SETTINGS)
    with pytest.raises(ValueError) as caught:
        setattr(lab, name, value)
    assert str(caught.value) == sentence
    assert lab.describe() == GOLDEN


PARITY = """
const page = await import(process.env.WIDGET_MODULE);
const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
console.log(JSON.stringify(JSON.parse(Buffer.concat(chunks)).map(([setting, length, width, padding]) =>
  [page.runs(setting, length, width), page.readsAt(padding, length, width)])));
"""


def test_the_page_draws_the_masks_that_ran(node, tmp_path):
    (tmp_path / "mask_lab.mjs").write_text(page_module("mask_lab"), encoding="utf-8")
    wanted, cases = [], []
    for lengths, window in (((1, 5), 2), ((3, 7, 2), 3), ((4, 4), 9), ((9, 1), 1)):
        zeros = np.zeros((4, 3, 2, len(lengths), 1), np.float32)
        tokens = tuple(("x",) * length for length in lengths)
        trace = MaskTrace("toy", ("x",) * len(lengths), tokens, window, zeros[0, 0, 0], zeros, ("x",))
        for kind, padding, masked in product(KINDS, PADDINGS, (True, False)):
            for number, mask in enumerate(trace.mask(kind, padding, masked)):
                setting = {"kind": kind, "window": window, "left": padding == "left", "masked": masked}
                cases.append([setting, lengths[number], trace.width, padding])
                wanted.append((mask, trace.reads_at(padding, number)))
    environment = {**os.environ, "WIDGET_MODULE": str(tmp_path / "mask_lab.mjs")}
    command = [node, "--input-type=module", "-e", PARITY]
    run = subprocess.run(command, input=json.dumps(cases), env=environment, capture_output=True, text=True, check=True)
    for case, (mask, reads_at), (runs, page_reads_at) in zip(cases, wanted, json.loads(run.stdout), strict=True):
        drawn = np.zeros_like(mask)
        for query, start, end in runs:
            drawn[query, start:end] = True
        assert np.array_equal(drawn, mask), case
        assert page_reads_at == reads_at


def test_a_picture_of_strange_tokens(recwarn):
    row = {"mask": np.eye(3, dtype=bool), "tokens": [None, "🙂", "$x<b>$"], "reads_at": 2, "moved": 0.1}
    figure = masked_batch([row | {"best": [["你", 0.5, 0.4]]}], "causal")
    assert len(figure._repr_mimebundle_()[0]["image/png"]) < 40_000
    assert "<" not in figure.alt
    assert [str(warning.message) for warning in recwarn] == []


@pytest.mark.parametrize("size", [2, TOP, TOP + 1, 300])
def test_of_equally_likely_tokens_the_first_come_first(size):
    random = np.random.default_rng(size)
    for probabilities in (random.random(size).round(1), np.zeros(size), random.random(size)):
        assert _likeliest(probabilities) == np.argsort(-probabilities, kind="stable")[:TOP].tolist()
