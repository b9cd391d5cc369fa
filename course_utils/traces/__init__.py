"""A real run, recorded as frozen dataclasses of arrays, so that pictures and widgets need no model."""

from course_utils.traces.next_token import NextTokenTrace, record_next_token

__all__ = ["NextTokenTrace", "record_next_token"]
