"""A real run, recorded as frozen dataclasses of arrays, so that pictures and widgets need no model.

Recording is here, what is recorded is computed in `engine` and `experiments`, and nothing here draws.
"""

from course_utils.traces.attention import AttentionTrace, record_attention, record_cross_attention, record_translation
from course_utils.traces.beams import BeamTrace, record_beams
from course_utils.traces.blanks import record_blanks
from course_utils.traces.cache import CacheTrace, record_cache
from course_utils.traces.embeddings import EmbeddingTrace, record_embeddings
from course_utils.traces.generation import GenerationTrace, record_generation
from course_utils.traces.masks import MaskTrace, record_masks
from course_utils.traces.next_token import (
    NextTokenTrace,
    record_next_token,
    record_surprisals,
)
from course_utils.traces.pipeline import PipelineTrace, record_pipeline
from course_utils.traces.repetition import RepetitionTrace, record_repetition
from course_utils.traces.speed import SpeedTrace, recorded_speed
from course_utils.traces.speed_run import record_speed
from course_utils.traces.tokenization import TokenizationTrace, record_tokenization

__all__ = [
    "AttentionTrace",
    "BeamTrace",
    "CacheTrace",
    "EmbeddingTrace",
    "GenerationTrace",
    "MaskTrace",
    "NextTokenTrace",
    "PipelineTrace",
    "RepetitionTrace",
    "SpeedTrace",
    "TokenizationTrace",
    "record_attention",
    "record_beams",
    "record_blanks",
    "record_cache",
    "record_cross_attention",
    "record_embeddings",
    "record_generation",
    "record_masks",
    "record_next_token",
    "record_pipeline",
    "record_repetition",
    "record_speed",
    "record_surprisals",
    "record_tokenization",
    "record_translation",
    "recorded_speed",
]
