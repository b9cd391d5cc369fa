"""The mask lab of an encoder: a blank filled under every mask, equal to the pipeline where the mask is the model's."""

import json
import os
import subprocess
from functools import partial
from itertools import product

import numpy as np
import pytest
import torch

from course_utils.models.pipelines import load_pipeline
from course_utils.traces import MaskTrace, record_blanks
from course_utils.traces.masks import KINDS
from course_utils.widgets import MaskLab, mask_lab
from course_utils.widgets.base import page_module

PROMPTS = ["The [MASK] landed the plane.", "The [MASK] milked the cows.", "He liked the [MASK] and sang it twice."]
CAUSAL, NONE, WINDOW = (KINDS.index(kind) for kind in ("causal", "none", "window"))
LEFT, RIGHT = 0, 1


@pytest.fixture(scope="module")
def filler():
    return load_pipeline("fill-mask")


@pytest.fixture(scope="module")
def trace(filler):
    return record_blanks(filler, PROMPTS)


def test_without_a_mask_a_blank_is_filled_as_by_transformers(filler, trace):
    batch = filler.tokenizer(PROMPTS, padding=True, return_tensors="pt")
    with torch.inference_mode():
        logits = filler.model(**batch).logits[batch.input_ids == filler.tokenizer.mask_token_id].numpy()
    np.testing.assert_allclose(trace.logits[NONE, RIGHT, 1], logits, atol=1e-3)
    np.testing.assert_allclose(trace.alone, logits, atol=1e-3)
    for row, prompt in zip(trace.alone, PROMPTS, strict=True):
        best = filler(prompt, top_k=1)[0]
        assert trace.labels[row.argmax()] == best["token_str"]


def test_the_longest_prompt_has_no_padding_and_does_not_care(trace):
    for side, masked in product((LEFT, RIGHT), (0, 1)):
        np.testing.assert_allclose(trace.logits[NONE, side, masked, 2], trace.alone[2], atol=1e-3)


def test_under_the_causal_mask_the_right_side_does_not_exist(trace):
    plane, cows, _ = trace.logits[CAUSAL, RIGHT, 1]
    np.testing.assert_allclose(plane, cows, atol=1e-3)
    assert abs(trace.alone[0] - trace.alone[1]).max() > 1


def test_a_window_that_reaches_the_start_is_the_causal_mask(trace):
    np.testing.assert_allclose(trace.logits[WINDOW, RIGHT, 1, :2], trace.logits[CAUSAL, RIGHT, 1, :2], atol=1e-3)
    assert abs(trace.logits[WINDOW, RIGHT, 1, 2] - trace.logits[CAUSAL, RIGHT, 1, 2]).max() > 0.01


def test_padding_on_the_left_moves_the_positions(trace):
    """BERT counts from the first column, so also hidden padding makes a difference; the lesson says so."""
    assert abs(trace.logits[NONE, LEFT, 1, 0] - trace.alone[0]).max() > 0.1


def test_a_blank_is_read_where_it_stands(trace):
    assert trace.blanks == (2, 2, 4)
    assert trace.paddings == ("left", "right")
    for padding, number in product(trace.paddings, range(3)):
        tokens, pads = trace.tokens[number], [None] * (trace.width - len(trace.tokens[number]))
        columns = [*pads, *tokens] if padding == "left" else [*tokens, *pads]
        assert columns[trace.reads_at(padding, number)] == "[MASK]"


def test_blanks_survive_a_file(trace, tmp_path):
    trace.save(tmp_path / "blanks.npz")
    loaded = MaskTrace.load(tmp_path / "blanks.npz")
    assert loaded.blanks == trace.blanks
    assert np.array_equal(loaded.logits, trace.logits)


@pytest.mark.parametrize(
    ("prompts", "window", "sentence"),
    [
        (PROMPTS[:1], 4, "prompts must be 2 to 4 texts, got 1"),
        (["No blank.", PROMPTS[0]], 4, "prompts must have one [MASK] each, got 0"),
        (["[MASK] and [MASK].", PROMPTS[0]], 4, "prompts must have one [MASK] each, got 2"),
        (["", PROMPTS[0]], 4, "prompts must have one [MASK] each, got 0"),
        (["[MASK]" + " word" * 300, PROMPTS[0]], 4, "prompts must have at most 200 tokens here, got 303"),
        (PROMPTS, 0, "window must be a whole number of at least 1, got 0"),
    ],
)
def test_bad_prompts_are_one_sentence(filler, prompts, window, sentence):
    with pytest.raises(ValueError) as caught:
        record_blanks(filler, prompts, window)
    assert str(caught.value) == sentence


def test_another_architecture_is_refused_in_one_sentence():
    with pytest.raises(ValueError, match=r"^pipe must have a BERT for masked language modelling, got bart$"):
        record_blanks(load_pipeline("translation"), PROMPTS)


def toy_blanks():
    """Two prompts, three tokens of vocabulary; under the causal mask another word wins."""
    alone = np.tile(np.array([1.8, 0.8, 0.0], np.float32), (2, 1))
    logits = np.tile(alone, (4, 2, 2, 1, 1))
    logits[CAUSAL] = [0.8, 0.0, 1.8]
    return MaskTrace("toy", ("_", "a _"), (("_",), ("a", "_")), 2, alone, logits, ("x", "y", "z"), (0, 1))


GOLDEN = """\
Mask lab (toy): causal, padding left, padding masked
1 “_”: 1 of 2 columns is padding, read at “_”; \
“x” 65.2 % alone, 24.0 % now; “z” 10.8 % alone, 65.2 % now; 54.4 % moved
2 “a _”: 0 of 2 columns are padding, read at “_”; \
“x” 65.2 % alone, 24.0 % now; “z” 10.8 % alone, 65.2 % now; 54.4 % moved"""


def test_the_lab_of_blanks_in_words_and_picture():
    lab = MaskLab(toy_blanks())
    assert lab.describe() == GOLDEN
    assert lab.paddings == ["left", "right"]
    assert lab.batch["blanks"] == [0, 1]
    data, metadata = lab._repr_mimebundle_()
    assert "reads at “_”" in metadata["image/png"]["alt"]
    assert len(data["image/png"]) < 40_000


def test_a_padding_that_blanks_do_not_have_is_refused_and_the_lab_lives():
    sentence = r"^padding must be one of \['left', 'right'\], got 'right, read at the last token'$"
    with pytest.raises(ValueError, match=sentence):
        MaskLab(toy_blanks(), padding="right, read at the last token")
    lab = MaskLab(toy_blanks())
    with pytest.raises(ValueError, match=sentence):
        lab.padding = "right, read at the last token"
    assert lab.describe() == GOLDEN


def test_blanks_that_do_not_fit_are_refused():
    zeros = np.zeros((4, 2, 2, 1, 1), np.float32)
    with pytest.raises(ValueError, match=r"^blanks must have 1 rows, one per prompt, got 2$"):
        MaskTrace("toy", ("a",), (("a",),), 2, zeros[0, 0, 0], zeros, ("x",), (0, 0))


def test_other_blanks_are_run_and_a_wrong_one_is_a_sentence(filler):
    lab = MaskLab(toy_blanks(), partial(record_blanks, filler), kind="none")
    lab.asked = [1, PROMPTS[:2], 3]
    assert (lab.batch["prompts"], lab.batch["blanks"], lab.problem) == (PROMPTS[:2], [2, 2], "")
    lab.asked = [2, ["No blank here.", PROMPTS[1]], 3]
    assert (lab.problem, lab.answered) == ("prompts must have one [MASK] each, got 0", 2)
    assert lab.batch["prompts"] == PROMPTS[:2]


def test_the_lab_opens_on_an_encoder(filler, record):
    lab = mask_lab(partial(record_blanks, filler), PROMPTS, kind="none", padding="right")
    assert all(line.endswith("0.0 % moved") for line in lab.describe().splitlines()[1:])
    state = len(json.dumps({name: value for name, value in lab.get_state().items() if not name.startswith("_")}))
    picture = len(lab._repr_mimebundle_()[0]["image/png"])
    record("MaskLab", {"state_bytes_blanks": state, "png_bytes_blanks": picture})
    assert state <= 500_000
    assert picture <= 40_000


READS = """
const page = await import(process.env.WIDGET_MODULE);
const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
console.log(JSON.stringify(JSON.parse(Buffer.concat(chunks)).map((case_) => page.readsAt(...case_))));
"""


def test_the_page_reads_the_blank_that_python_reads(node, tmp_path, trace):
    (tmp_path / "mask_lab.mjs").write_text(page_module("mask_lab"), encoding="utf-8")
    cases, wanted = [], []
    for padding, number in product(trace.paddings, range(3)):
        cases.append([padding, len(trace.tokens[number]), trace.width, trace.blanks[number]])
        wanted.append(trace.reads_at(padding, number))
    environment = {**os.environ, "WIDGET_MODULE": str(tmp_path / "mask_lab.mjs")}
    command = [node, "--input-type=module", "-e", READS]
    run = subprocess.run(command, input=json.dumps(cases), env=environment, capture_output=True, text=True, check=True)
    assert json.loads(run.stdout) == wanted
