"""The one kind of error that a command answers with its message alone, and the first line of any other."""


class CourseError(Exception):
    """A command cannot continue; the message is one sentence that says what to do."""


def first_line(error: BaseException) -> str:
    r"""Return the first line of what `error` says; "" if that's nothing, or if a learner's own exception can't say it.

    >>> first_line(RuntimeError("out of memory\nat line 3"))
    'out of memory'
    """
    try:
        return next(iter(str(error).strip().splitlines()), "")
    except BaseException:  # noqa: BLE001 - its `__str__` may do anything, too
        return ""
