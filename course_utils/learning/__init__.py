"""Predict, answer, look back: the parts of a lesson that remember what a learner did."""

from course_utils.learning.machine_check import machine_check
from course_utils.learning.progress import Progress, progress_report
from course_utils.learning.questions import predict, quiz_question

__all__ = ["Progress", "machine_check", "predict", "progress_report", "quiz_question"]
