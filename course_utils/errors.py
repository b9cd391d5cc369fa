"""The one kind of error that a command answers with its message alone."""


class CourseError(Exception):
    """A command cannot go on; the message is one sentence that says what to do."""
