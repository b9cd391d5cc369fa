"""Pictures you can touch: state and controls, on top of `figures` and `inference`."""

from course_utils.widgets.base import CourseWidget

__all__ = ["CourseWidget"]
