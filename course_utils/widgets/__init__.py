"""Pictures you can touch: state and controls, on top of `figures` and `inference`."""

from course_utils.widgets.base import CourseWidget
from course_utils.widgets.pipeline_xray import PipelineXray, pipeline_xray
from course_utils.widgets.sampling_lab import SamplingLab

__all__ = ["CourseWidget", "PipelineXray", "SamplingLab", "pipeline_xray"]
