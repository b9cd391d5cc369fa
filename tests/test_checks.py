"""Whole numbers of numpy and torch are whole numbers, and floats are floats, wherever the engine checks one."""

import numpy as np
import pytest
import torch

from course_utils.engine.cache import KeyValueCache
from course_utils.engine.masks import causal_mask, sliding_window_mask
from course_utils.engine.penalties import apply_frequency_penalty, apply_repetition_penalty, ban_repeated_ngrams
from course_utils.engine.settings import GenerationSettings
from course_utils.experiments.failure_cases import draw_sums
from course_utils.experiments.intervals import bootstrap_interval, wilson_interval
from course_utils.experiments.shots import draw_shots
from course_utils.measuring.batching import continuous_schedule, static_schedule
from course_utils.measuring.measurements import percentile
from course_utils.measuring.memory import attention_score_bytes, kv_cache_bytes, logits_bytes, weight_bytes
from course_utils.measuring.model_shapes import PUBLISHED, ModelShape
from course_utils.measuring.number_formats import quantise_absmax
from course_utils.measuring.parameters import llama_parameters
from course_utils.measuring.roofline import step_flops

SHAPE = PUBLISHED["SmolLM2-135M"]
IDS = torch.tensor([[1, 2, 1]])
WEIGHTS = torch.arange(8.0)[None]
WHOLE = {
    "weight_bytes": lambda n: weight_bytes(n(134_515_008), 4.0),
    "kv_cache_bytes": lambda n: kv_cache_bytes(SHAPE, n(100_000), n(1000)),
    "attention_score_bytes": lambda n: attention_score_bytes(SHAPE, n(100_000), n(100_000)),
    "logits_bytes": lambda n: logits_bytes(SHAPE, n(100_000), n(10)),
    "step_flops": lambda n: step_flops(SHAPE, tokens=n(100_000), batch=n(100)),
    "llama_parameters": lambda n: llama_parameters(n(30), n(5760), n(9), n(3), n(64), n(1536), n(490_152), tied=False),
    "ModelShape": lambda n: ModelShape("a", *map(n, (30, 576, 9, 3, 64, 1536, 49_152, 8192)), "b").parameters * 10**9,
    "static_schedule": lambda n: static_schedule([n(2), n(5)], slots=n(1)),
    "continuous_schedule": lambda n: continuous_schedule([n(2), n(5)], slots=n(1)),
    "causal_mask": lambda n: causal_mask(n(2), n(3)).tolist(),
    "sliding_window_mask": lambda n: sliding_window_mask(n(3), n(3), window=n(2)).tolist(),
    "KeyValueCache": lambda n: KeyValueCache(n(2)).length,
    "draw_sums": lambda n: draw_sums(n(9), n(3)),
    "draw_shots": lambda n: draw_shots({"a": ["x", "y"], "b": ["v", "w"]}, draws=n(2), shots=n(2)),
    "bootstrap_interval": lambda n: bootstrap_interval([1.0, 2.0], draws=n(5)),
    "wilson_interval": lambda n: wilson_interval(n(7), n(10)),
    "quantise_absmax": lambda n: quantise_absmax(WEIGHTS, bits=n(4), group=n(4)).numbers.tolist(),
    "ban_repeated_ngrams": lambda n: ban_repeated_ngrams(torch.zeros(1, 4), IDS, n(2)).tolist(),
    "GenerationSettings": lambda n: GenerationSettings(max_new_tokens=n(5), num_beams=n(2), seed=n(3), top_k=n(50)),
}
FLOATS = {
    "weight_bytes": lambda n: weight_bytes(10, n(0.5)),
    "apply_frequency_penalty": lambda n: apply_frequency_penalty(torch.zeros(1, 4), IDS, n(0.5)).tolist(),
    "apply_repetition_penalty": lambda n: apply_repetition_penalty(torch.ones(1, 4), IDS, n(0.5)).tolist(),
    "percentile": lambda n: percentile([1.0, 2.0, 9.0], n(50.0)),
    "GenerationSettings": lambda n: GenerationSettings(num_beams=2, length_penalty=n(0.5), repetition_penalty=n(1.5)),
}


@pytest.mark.parametrize("number", [np.int32, np.int64, np.array, torch.tensor])
@pytest.mark.parametrize("name", WHOLE)
def test_whole_numbers_of_numpy_and_torch(name, number):
    """32 bits are too few for many a product: the engine goes on with Python's own numbers."""
    given, plain = WHOLE[name](number), WHOLE[name](int)
    assert given == plain
    assert type(given) is type(plain)


@pytest.mark.parametrize("number", [np.float16, np.float32, np.float64, np.array, torch.tensor])
@pytest.mark.parametrize("name", FLOATS)
def test_floats_of_numpy_and_torch(name, number):
    assert FLOATS[name](number) == FLOATS[name](float)


@pytest.mark.parametrize(
    "value", [True, np.True_, torch.tensor(True), 2.0, np.float32(2), np.array([2]), "2", None, 1j]
)
@pytest.mark.parametrize("name", ["max_new_tokens", "num_beams", "num_return_sequences"])
def test_what_is_no_whole_number(name, value):
    if value is None:
        assert getattr(GenerationSettings(**{name: None}), name) >= 1  # nothing was said
        return
    with pytest.raises(ValueError, match=rf"^{name} must be a whole number of at least 1, got "):
        GenerationSettings(**{name: value})
