"""Traces hold what really happened, are refused when they cannot be, and survive saving without pickle."""

import zipfile
from dataclasses import FrozenInstanceError, fields, replace

import numpy as np
import pytest
import torch

from course_utils import traces
from course_utils.engine.generate import generate
from course_utils.models import load_causal_lm, load_encoder
from course_utils.traces.attention import eager_attention
from tests.tiny_models import START, tiny_model

PROMPT = "The capital of France is"


@pytest.fixture(scope="module")
def recorded():
    smollm = load_causal_lm()
    next_token = traces.record_next_token(smollm, PROMPT)
    return {
        "next token": next_token,
        "attention": traces.record_attention(smollm, PROMPT),
        "encoder attention": traces.record_attention(load_encoder(), "the river bank"),
        "generation": traces.record_generation(smollm, PROMPT, max_new_tokens=6),
        "beams": traces.record_beams(smollm, PROMPT, num_beams=3, max_new_tokens=4),
    }


KINDS = ["next token", "attention", "encoder attention", "generation", "beams"]


def assert_same(one, other):
    assert type(one) is type(other)
    for field in fields(one):
        mine, theirs = getattr(one, field.name), getattr(other, field.name)
        if isinstance(mine, np.ndarray):
            assert mine.dtype == theirs.dtype
            np.testing.assert_array_equal(mine, theirs)
        else:
            assert (type(mine), mine) == (type(theirs), theirs)


@pytest.mark.parametrize("kind", KINDS)
def test_saved_and_loaded_is_the_same(recorded, kind, tmp_path):
    path = tmp_path / "trace.npz"
    recorded[kind].save(path)
    assert_same(type(recorded[kind]).load(path), recorded[kind])
    with zipfile.ZipFile(path) as file:  # np.load itself refuses object arrays: no pickle is needed to read this
        assert all(name.endswith(".npy") for name in file.namelist())


@pytest.mark.parametrize("kind", KINDS)
def test_traces_are_frozen(recorded, kind):
    with pytest.raises(FrozenInstanceError):
        recorded[kind].model = "another"


def test_a_wrong_file_gets_one_sentence(recorded, tmp_path):
    path = tmp_path / "trace.npz"
    recorded["beams"].save(path)
    with pytest.raises(ValueError, match=r"^path must hold a GenerationTrace, got a BeamTrace: "):
        traces.GenerationTrace.load(path)
    np.savez(path, something=np.ones(3))
    with pytest.raises(ValueError, match=r"^path must be a file that BeamTrace.save wrote, got "):
        traces.BeamTrace.load(path)
    for content in (b"", b"not a trace", b"PK\x03\x04 cut short"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"^path must be a file that BeamTrace.save wrote, got "):
            traces.BeamTrace.load(path)


def test_a_failed_save_leaves_the_old_file(recorded, tmp_path, monkeypatch):
    path = tmp_path / "trace.npz"
    recorded["beams"].save(path)
    before = path.read_bytes()

    def full_disk(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full_disk)
    with pytest.raises(OSError, match="No space left"):
        recorded["beams"].save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_attention_of_smollm2(recorded):
    trace = recorded["attention"]
    assert (trace.kind, trace.key_value_heads) == ("causal", 3)
    assert trace.weights.shape == (30, 9, 5, 5)
    assert trace.weights.dtype == np.float32
    np.testing.assert_allclose(trace.weights.sum(-1), 1, atol=1e-5)
    assert not np.triu(trace.weights, k=1).any()


def test_attention_of_minilm(recorded):
    trace = recorded["encoder attention"]
    assert trace.kind == "bidirectional"
    assert trace.query_tokens == trace.key_tokens == ("[CLS]", "the", "river", "bank", "[SEP]")
    assert trace.weights.shape == (6, 12, 5, 5)
    assert (trace.weights > 0).all()


def test_attention_is_recorded_whatever_the_implementation_before():
    smollm = load_causal_lm()
    assert smollm.model.config._attn_implementation == "sdpa"
    inside = []

    def fail_inside():
        with eager_attention(smollm.model):
            inside.append(smollm.model.config._attn_implementation)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_inside()
    assert inside == ["eager"]
    assert smollm.model.config._attn_implementation == "sdpa"


@pytest.mark.parametrize("kind", ["t5", "bart"])
def test_cross_attention_is_what_generate_saw(kind):
    model, source = tiny_model(kind), torch.tensor([[5, 6, 7, 8]])
    (text,) = generate(model, source, eos_ids=[], max_new_tokens=5)
    target = torch.tensor([[START, *text.ids]])
    trace = traces.record_cross_attention(kind, model, source, target, tuple("abcd"), tuple("012345"))
    with eager_attention(model):
        outputs = model.generate(
            source, do_sample=False, max_new_tokens=5, min_new_tokens=5, eos_token_id=None,
            output_attentions=True, return_dict_in_generate=True,
        )  # fmt: skip
    assert outputs.sequences.tolist() == target.tolist()
    stitched = torch.cat([torch.cat(step) for step in outputs.cross_attentions], dim=2)
    np.testing.assert_allclose(trace.weights[:, :, :5], stitched.numpy(), atol=1e-5)


def test_generation_with_and_without_a_cache(recorded):
    smollm, cached = load_causal_lm(), recorded["generation"]
    uncached = traces.record_generation(smollm, PROMPT, max_new_tokens=6, use_cache=False)
    np.testing.assert_array_equal(cached.ids, uncached.ids)
    np.testing.assert_allclose(cached.logits, uncached.logits, atol=1e-3)
    assert cached.cache_tokens.tolist() == [5, 6, 7, 8, 9, 10]
    assert cached.cache_bytes.tolist() == [46_080 * tokens for tokens in cached.cache_tokens]
    assert not uncached.cache_bytes.any()
    assert (cached.milliseconds > 0).all()
    assert cached.reason == "max_new_tokens"
    np.testing.assert_array_equal(cached.logits.argmax(-1), cached.ids)


def test_beams_hang_together(recorded):
    trace = recorded["beams"]
    assert trace.early_stopping == "False"
    for node, parent in enumerate(trace.parents):
        assert parent < node
        assert trace.steps[node] == (1 if parent == -1 else trace.steps[parent] + 1)
        if parent != -1:
            assert trace.fates[parent] == "kept"
            assert trace.scores[node] <= trace.scores[parent]
    assert {trace.fates[node] for node in trace.finished} == {"finished"}
    lengths = trace.steps[trace.finished]
    np.testing.assert_allclose(trace.finished_scores, trace.scores[trace.finished] / lengths, atol=1e-6)
    assert len(trace.greedy) == len(trace.greedy_scores) == 4


@pytest.mark.parametrize(
    ("kind", "wrong", "sentence"),
    [
        ("attention", {"weights": np.zeros((30, 9, 5, 4))}, r"weights must have shape \(layer, head, 5, 5\), got "),
        ("generation", {"ids": np.zeros(2)}, "ids must have 6 rows, one per step, got 2"),
        ("beams", {"scores": np.zeros(2)}, r"scores must have \d+ rows, one per node, got 2"),
        ("next token", {"logits": np.zeros(5)}, r"logits must have shape \(49152,\) like labels, got \(5,\)"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(recorded, kind, wrong, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}"):
        replace(recorded[kind], **wrong)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda model: traces.record_beams(model, ""), "prompt must have at least one character, got an empty text"),
        (
            lambda model: traces.record_generation(model, PROMPT, num_beams=2),
            "num_beams and num_return_sequences must be 1 to record a generation, got more",
        ),
        (
            lambda model: traces.record_attention(model, ""),
            "prompt must have at least one character, got an empty text",
        ),
    ],
)
def test_bad_input_gets_one_sentence(call, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        call(load_causal_lm())
