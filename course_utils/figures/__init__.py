"""Pictures: arrays in, a matplotlib `Figure` with alt text out. No model and no widget in here."""

from course_utils.figures.attention import attention_map
from course_utils.figures.base import PALETTE, CourseFigure, png_bytes
from course_utils.figures.next_token import next_token_bars
from course_utils.figures.pipeline import pipeline_steps
from course_utils.figures.sampling import sampling_stages

__all__ = [
    "PALETTE",
    "CourseFigure",
    "attention_map",
    "next_token_bars",
    "pipeline_steps",
    "png_bytes",
    "sampling_stages",
]
