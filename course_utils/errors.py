"""The one kind of error that a command answers with its message alone."""


class CourseError(Exception):
    """A command cannot continue; the message is one sentence that says what to do."""
