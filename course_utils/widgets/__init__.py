"""Interactive pictures: a Python class and a plain JavaScript module each, on top of `traces` and `figures`.

What remembers a learner is in `learner`; what is computed when a control moves is in `engine`.
"""

from course_utils.widgets.attention_explorer import AttentionExplorer, attention_explorer
from course_utils.widgets.base import CourseWidget
from course_utils.widgets.beam_tree import BeamTreeWidget, beam_tree
from course_utils.widgets.cache_stepper import CacheStepper, cache_stepper
from course_utils.widgets.embedding_map import EmbeddingMap, embedding_map
from course_utils.widgets.mask_lab import MaskLab, mask_lab
from course_utils.widgets.memory_calculator import MemoryCalculator
from course_utils.widgets.next_token_explorer import NextTokenExplorer, next_token_explorer
from course_utils.widgets.pipeline_xray import PipelineXray, pipeline_xray
from course_utils.widgets.repetition_lab import RepetitionLab, repetition_lab
from course_utils.widgets.sampling_lab import SamplingLab, sampling_lab
from course_utils.widgets.speed_lab import SpeedLab, speed_lab
from course_utils.widgets.tokenizer_stepper import TokenizerStepper, tokenizer_stepper

__all__ = [
    "AttentionExplorer",
    "BeamTreeWidget",
    "CacheStepper",
    "CourseWidget",
    "EmbeddingMap",
    "MaskLab",
    "MemoryCalculator",
    "NextTokenExplorer",
    "PipelineXray",
    "RepetitionLab",
    "SamplingLab",
    "SpeedLab",
    "TokenizerStepper",
    "attention_explorer",
    "beam_tree",
    "cache_stepper",
    "embedding_map",
    "mask_lab",
    "next_token_explorer",
    "pipeline_xray",
    "repetition_lab",
    "sampling_lab",
    "speed_lab",
    "tokenizer_stepper",
]
