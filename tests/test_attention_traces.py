"""What the attention explorer reads: scores, masks, value lengths and measures of real runs; heads switched off."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from course_utils.engine import llama
from course_utils.experiments import head_measures
from course_utils.experiments.ablation import next_token_losses, without_heads
from course_utils.models import load_causal_lm, load_encoder
from course_utils.models.pipelines import load_pipeline
from course_utils.traces import AttentionTrace, record_attention, record_cross_attention, record_translation
from course_utils.traces.attention import eager_attention
from tests.tiny_models import tiny_model

TEXT = "The cat sat on the mat. The cat sat"


@pytest.fixture(scope="module")
def causal():
    return record_attention(load_causal_lm(), TEXT)


@pytest.fixture(scope="module")
def translation():
    return record_translation(load_pipeline("translation"), "I have a red car.")


def softmax(scores):
    return torch.from_numpy(scores).softmax(-1).numpy()


def test_scores_and_mask_make_the_weights(causal):
    scores = np.where(np.tri(scores_length := causal.scores.shape[-1], dtype=bool), causal.scores, -np.inf)
    assert scores_length == 10
    np.testing.assert_allclose(softmax(scores), causal.weights, atol=1e-6)


def test_without_a_mask_scores_alone_make_the_weights(translation):
    encoder = record_attention(load_encoder(), "a bank by the river")
    for trace in (encoder, translation):
        np.testing.assert_allclose(softmax(trace.scores), trace.weights, atol=1e-6)


def test_recorded_weights_are_those_of_transformers(causal):
    """The recording computes attention itself; nothing may change by that."""
    smollm = load_causal_lm()
    with eager_attention(smollm.model), torch.inference_mode():
        theirs = smollm.model(smollm.encode(TEXT), output_attentions=True).attentions
    np.testing.assert_allclose(causal.weights, torch.cat(theirs).numpy(), atol=1e-6)
    assert "eager" not in ALL_ATTENTION_FUNCTIONS


def test_value_lengths_are_those_of_the_layers_values(causal):
    smollm = load_causal_lm()
    layer = smollm.model.model.layers[0]
    with torch.inference_mode():
        hidden = smollm.model.model.embed_tokens(smollm.encode(TEXT))
        values = layer.self_attn.v_proj(llama.rms_norm(hidden, layer.input_layernorm)).unflatten(-1, (3, 64))
    np.testing.assert_allclose(causal.value_lengths[0], values[0].norm(dim=-1).T.numpy(), atol=1e-4)
    assert causal.value_lengths.shape == (30, 3, 10)


def test_a_translation_is_named_by_what_was_written(translation):
    assert translation.key_tokens == ("␣I", "␣have", "␣a", "␣red", "␣car", ".", "<eos>")
    written = "".join(translation.query_tokens).replace("␣", " ").removesuffix("<eos>").strip()
    assert written == load_pipeline("translation")("I have a red car.", num_beams=1)[0]["translation_text"]
    rouge = translation.weights[-1].mean(0)[translation.query_tokens.index("␣rouge")]
    assert translation.key_tokens[rouge.argmax()] == "␣red"


@pytest.mark.parametrize("kind", ["t5", "bart"])
def test_other_architectures_scores_make_their_weights(kind):
    """T5 adds a bias of position to its scores and does not divide."""
    ids = torch.tensor([[5, 6, 7]]), torch.tensor([[0, 4]])
    trace = record_cross_attention(kind, tiny_model(kind), *ids, tuple("abc"), tuple("de"))
    np.testing.assert_allclose(softmax(trace.scores), trace.weights, atol=1e-6)
    with eager_attention(tiny_model(kind)), torch.inference_mode():
        theirs = tiny_model(kind)(ids[0], decoder_input_ids=ids[1], output_attentions=True).cross_attentions
    np.testing.assert_allclose(trace.weights, torch.cat(theirs).numpy(), atol=1e-6)


def test_a_model_with_attention_of_its_own_has_weights_only(monkeypatch):
    monkeypatch.setattr("course_utils.traces.eager.ALL_ATTENTION_FUNCTIONS", {})
    trace = record_attention(load_encoder(), "a bank")
    assert trace.scores is None
    assert trace.value_lengths is None
    np.testing.assert_allclose(trace.weights.sum(-1), 1, atol=1e-6)


@pytest.mark.parametrize("text", ["", "  ", None])
def test_a_translation_wants_a_text(text):
    with pytest.raises(ValueError, match=r"^text must be a text that is not empty, got ."):
        record_translation(load_pipeline("translation"), text)


def test_scores_survive_a_file(causal, translation, tmp_path):
    for trace in (causal, translation, replace(causal, scores=None, value_lengths=None)):
        trace.save(tmp_path / "trace.npz")
        loaded = AttentionTrace.load(tmp_path / "trace.npz")
        assert (loaded.scores is None) == (trace.scores is None)
        if trace.scores is not None:
            np.testing.assert_array_equal(loaded.scores, trace.scores)
            np.testing.assert_array_equal(loaded.value_lengths, trace.value_lengths)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"scores": np.zeros((30, 9, 10, 9))}, r"scores must have shape \(30, 9, 10, 10\) like the weights, got "),
        ({"value_lengths": np.zeros((30, 9, 10))}, r"value_lengths must have shape \(30, 3, 10\), got \(30, 9, 10\)"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(causal, wrong, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}"):
        replace(causal, **wrong)


def test_measures_are_those_of_head_measures(causal, translation):
    measures, weights = causal.measures(), torch.from_numpy(causal.weights)
    assert set(measures) == {"entropy", "first token", "previous token", "induction"}
    ids = load_causal_lm().encode(TEXT)[0]
    np.testing.assert_array_equal(measures["induction"], head_measures.induction_score(weights, ids).numpy())
    np.testing.assert_array_equal(measures["previous token"], head_measures.previous_token_score(weights).numpy())
    assert set(translation.measures()) == {"entropy"}
    assert set(record_attention(load_encoder(), "bank").measures()) == {"entropy", "first token", "previous token"}
    assert set(record_attention(load_causal_lm(), "Hi").measures()) == {"entropy"}


def test_without_heads_is_the_output_projection_without_their_columns():
    model, ids = load_causal_lm().model, load_causal_lm().encode(TEXT)
    seen = []
    projection = model.model.layers[5].self_attn.o_proj
    hook = projection.register_forward_hook(lambda _, given, made: seen.extend([given[0], made]))
    try:
        with without_heads(model, [(5, 2), (5, 8)]), torch.inference_mode():
            model(ids)
    finally:
        hook.remove()
    merged, output = seen
    assert not merged[..., 128:192].any()
    assert not merged[..., 512:].any()
    assert merged[..., 192:512].all()
    torch.testing.assert_close(output, merged @ projection.weight.T)


def test_afterwards_the_model_is_as_before_whatever_happened():
    smollm = load_causal_lm()
    before = smollm.next_logits(TEXT)

    def fail_inside():
        with without_heads(smollm.model, [(0, 0)]):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_inside()
    assert torch.equal(smollm.next_logits(TEXT), before)
    with without_heads(smollm.model, []):
        assert torch.equal(smollm.next_logits(TEXT), before)


@pytest.mark.parametrize("head", [(30, 0), (0, 9), (-1, 0)])
def test_a_head_that_is_not_there_is_one_sentence(head):
    smollm = load_causal_lm()
    before = smollm.next_logits("Hi")
    with pytest.raises(ValueError) as caught, without_heads(smollm.model, [(0, 0), head]):
        pass
    assert str(caught.value) == f"heads must be pairs of a layer and a head of the model, got {head}"
    assert torch.equal(smollm.next_logits("Hi"), before)


def test_losses_are_transformers_loss():
    smollm = load_causal_lm()
    ids = smollm.encode(TEXT)
    with torch.inference_mode():
        theirs = smollm.model(ids, labels=ids).loss
    torch.testing.assert_close(next_token_losses(smollm.model, ids).mean(), theirs)
    with pytest.raises(ValueError, match=r"^ids must have shape \(1, seq\) with at least two tokens, got \(1, 1\)$"):
        next_token_losses(smollm.model, ids[:, :1])


def test_the_heads_of_the_lesson_carry_induction():
    """Without one induction head, or the previous-token head that feeds it, a repeated text is no longer foreseen."""
    model = load_causal_lm().model
    words = torch.randint(1000, 40_000, (25,), generator=torch.Generator().manual_seed(3))
    ids = torch.cat([words, words])[None]

    def second_time():
        return next_token_losses(model, ids)[25:].mean().item()

    before = second_time()
    with without_heads(model, [(18, 6)]):
        assert second_time() > before + 0.8
    with without_heads(model, [(16, 0)]):
        assert second_time() > before + 2
    with without_heads(model, [(14, 2)]):
        assert abs(second_time() - before) < 0.5
