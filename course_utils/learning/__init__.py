"""Predict, answer, look back: the parts of a lesson that remember what a learner did."""

from course_utils.learning.machine_check import machine_check
from course_utils.learning.progress import Progress
from course_utils.learning.progress_report import export_progress, progress_report, reset_progress
from course_utils.learning.questions import predict, quiz_question

__all__ = [
    "Progress",
    "export_progress",
    "machine_check",
    "predict",
    "progress_report",
    "quiz_question",
    "reset_progress",
]
