"""A real run, recorded as frozen dataclasses of arrays, so that pictures and widgets need no model."""

from course_utils.traces.attention import AttentionTrace, record_attention, record_cross_attention
from course_utils.traces.beams import BeamTrace, record_beams
from course_utils.traces.generation import GenerationTrace, record_generation
from course_utils.traces.next_token import FilterTrace, NextTokenTrace, record_filters, record_next_token
from course_utils.traces.pipeline import PipelineTrace, record_pipeline

__all__ = [
    "AttentionTrace",
    "BeamTrace",
    "FilterTrace",
    "GenerationTrace",
    "NextTokenTrace",
    "PipelineTrace",
    "record_attention",
    "record_beams",
    "record_cross_attention",
    "record_filters",
    "record_generation",
    "record_next_token",
    "record_pipeline",
]
