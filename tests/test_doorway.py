"""The wrong kind of model, trace or pipeline is one sentence at every door: what is allowed, what came, what to do."""

import re
from functools import cache

import pytest
import torch
from transformers import pipeline

from course_utils import traces, widgets
from course_utils.engine.generate import generate, search_beams, stream
from course_utils.engine.prefill_decode import decode_step, new_cache, next_logits, prefill
from course_utils.experiments.greedy_answers import greedy_answers
from course_utils.experiments.reach import encoder_decoder_states, hidden_states
from course_utils.experiments.surprisal import read_text
from course_utils.measuring.memory import measured_weight_bytes
from course_utils.measuring.model_shapes import ModelShape
from course_utils.measuring.number_formats import linear_weights
from course_utils.measuring.parameters import parameters_by_part
from course_utils.models import CausalLM, Encoder
from course_utils.models.doorway import takes
from tests.own_models import own_encoder, own_model, own_tokenizer

TEXT = "abcabc"
IDS = torch.tensor([[5, 6, 7]])


@cache
def causal_lm():
    return CausalLM.wrap(own_model("gpt2"), own_tokenizer())


@cache
def encoder():
    return Encoder.wrap(own_encoder("bert"), own_tokenizer())


@cache
def pipe():
    return pipeline("text-generation", model=own_model("gpt2"), tokenizer=own_tokenizer())


GIVEN = {
    "CausalLM": causal_lm,
    "Encoder": encoder,
    "GPT2LMHeadModel": lambda: own_model("gpt2"),
    "BertModel": lambda: own_encoder("bert"),
    "TextGenerationPipeline": pipe,
    "'gpt2'": lambda: "gpt2",
    "the class CausalLM": lambda: CausalLM,
    "NoneType": lambda: None,
}
LOADED = ("CausalLM", "Encoder")
OF_TRANSFORMERS = ("GPT2LMHeadModel", "BertModel")
NEXT_TOKEN = {
    "record_next_token": lambda it: traces.record_next_token(it, TEXT),
    "record_surprisals": lambda it: traces.record_surprisals(it, TEXT),
    "record_generation": lambda it: traces.record_generation(it, TEXT),
    "record_cache": lambda it: traces.record_cache(it, TEXT),
    "record_repetition": lambda it: traces.record_repetition(it, TEXT),
    "record_beams": lambda it: traces.record_beams(it, TEXT),
    "record_speed": lambda it: traces.record_speed(it, [4], 2),
    "record_masks": lambda it: traces.record_masks(it, ["a", "abc"]),
    "beam_tree": lambda it: widgets.beam_tree(it, TEXT),
    "repetition_lab": lambda it: widgets.repetition_lab(it, TEXT),
    "cache_stepper": lambda it: widgets.cache_stepper(it, TEXT),
    "by name": lambda it: traces.record_cache(prompt=TEXT, model=it),
}
EITHER = {
    "record_attention": lambda it: traces.record_attention(it, TEXT),
    "record_embeddings": lambda it: traces.record_embeddings(it, [TEXT]),
    "record_tokenization": lambda it: traces.record_tokenization(it, TEXT),
    "embedding_map": lambda it: widgets.embedding_map(it, ["a", "b", "c"]),
    "attention_explorer": lambda it: widgets.attention_explorer(it, TEXT),
    "tokenizer_stepper": lambda it: widgets.tokenizer_stepper([it], TEXT),
}
GENERATING = {
    "generate": lambda it: generate(it, IDS),
    "stream": lambda it: next(stream(it, IDS)),
    "search_beams": lambda it: search_beams(it, IDS, num_beams=2),
    "new_cache": new_cache,
    "prefill": lambda it: prefill(it, IDS),
    "decode_step": lambda it: decode_step(it, IDS[:, 0], prefill(own_model("gpt2"), IDS)[1]),
    "next_logits": lambda it: next_logits(it, IDS, None),
    "read_text": lambda it: read_text(it, IDS),
}
ANY_MODEL = {
    "greedy_answers": lambda it: greedy_answers(it, own_tokenizer(), [TEXT]),
    "hidden_states": lambda it: hidden_states(it, IDS),
    "encoder_decoder_states": lambda it: encoder_decoder_states(it, IDS, IDS),
    "ModelShape.of": lambda it: ModelShape.of("mine", it),
    "parameters_by_part": parameters_by_part,
    "measured_weight_bytes": measured_weight_bytes,
    "linear_weights": linear_weights,
    "record_cross_attention": lambda it: traces.record_cross_attention("mine", it, IDS, IDS, ("a",), ("b",)),
}
PIPELINES = {
    "record_pipeline": lambda it: traces.record_pipeline(it, TEXT),
    "record_blanks": lambda it: traces.record_blanks(it, [TEXT]),
    "record_translation": lambda it: traces.record_translation(it, TEXT),
    "pipeline_xray": lambda it: widgets.pipeline_xray(it, TEXT),
}
RUNS = {
    "next_token_explorer": lambda it: widgets.next_token_explorer(it, TEXT),
    "mask_lab": lambda it: widgets.mask_lab(it, ["a", "abc"]),
}
RECORDED = {
    name: getattr(widgets, name)
    for name in (
        "AttentionExplorer", "BeamTreeWidget", "CacheStepper", "EmbeddingMap", "MaskLab", "PipelineXray", "SamplingLab",
        "RepetitionLab", "NextTokenExplorer", "TokenizerStepper", "SpeedLab", "MemoryCalculator",
    )
}  # fmt: skip
# What a group of doors says is allowed: the doors, and what they let in or say something else about.
DOORS = {
    "model must be a CausalLM, ": (NEXT_TOKEN, {"CausalLM"}),
    "model must be a CausalLM or an Encoder( or a Pipeline)?, ": (EITHER, {*LOADED, "TextGenerationPipeline"}),
    "model must be a model of transformers, ": (GENERATING, {*OF_TRANSFORMERS, "'gpt2'"}),
    "model must be a mod(el of transformers|ule of torch), ": (ANY_MODEL, {*OF_TRANSFORMERS}),
    "pipe must be a Pipeline, ": (PIPELINES, {"TextGenerationPipeline"}),
    "run must be a function, ": (RUNS, {"the class CausalLM"}),
    "(trace|traces|here|shapes) must be .*, ": (RECORDED, {"NoneType", "'gpt2'"}),
}


@pytest.mark.parametrize("allowed", DOORS)
def test_another_kind_is_one_sentence(allowed):
    doors, inside = DOORS[allowed]
    for door, call in doors.items():
        for name in GIVEN.keys() - inside:
            with pytest.raises(TypeError) as caught:
                call(GIVEN[name]())
            assert re.match(f"{allowed}got {re.escape(name)}(:.*|,.*)?$", str(caught.value)), (door, str(caught.value))


@pytest.mark.parametrize("door", GENERATING)
def test_an_encoder_generates_nothing(door):
    with pytest.raises(ValueError, match=r"^model must be a causal LM or an encoder–decoder, got BertModel, "):
        GENERATING[door](own_encoder("bert"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("GPT2LMHeadModel", "got GPT2LMHeadModel: bring its tokenizer, too, CausalLM.wrap(model, tokenizer)"),
        (
            "TextGenerationPipeline",
            "got TextGenerationPipeline: take its model and tokenizer, CausalLM.wrap(pipe.model, pipe.tokenizer)",
        ),
        ("'gpt2'", "got 'gpt2': load_causal_lm() loads the course's, CausalLM.wrap takes your own"),
        ("Encoder", "got Encoder, which predicts no next token"),
    ],
)
def test_it_says_how_to_get_there(given, said):
    with pytest.raises(TypeError) as caught:
        traces.record_next_token(GIVEN[given](), TEXT)
    assert str(caught.value) == f"model must be a CausalLM, {said}"


def test_a_model_of_transformers_is_inside():
    with pytest.raises(TypeError, match=r"got CausalLM: give the model inside it, \.model$"):
        generate(causal_lm(), IDS)


def test_one_model_needs_no_list():
    one = EITHER["tokenizer_stepper"]
    with pytest.raises(ValueError, match=r"^tokenizer must be byte-level BPE"):  # as in a list: its door is open
        widgets.tokenizer_stepper(causal_lm(), TEXT)
    with pytest.raises(TypeError, match=r"^model must be a CausalLM or an Encoder, got int"):
        one(3)


def test_what_is_missing_python_says():
    @takes(model=CausalLM)
    def ask(model, text):
        return text

    for wrong in ({}, {"model": causal_lm()}, {"model": causal_lm(), "text": "a", "more": 1}):
        with pytest.raises(TypeError, match="argument"):
            ask(**wrong)
    assert ask(causal_lm(), text="a") == "a"
