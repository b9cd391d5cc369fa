"""A cell that uses a function of the exercise that isn't written yet: one line in place of a traceback."""

import sys
from collections.abc import Mapping
from types import TracebackType

from course_utils.exercises.calling import stub_in

_KINDS = (NotImplementedError, ValueError)  # the second from what calls the learner's function, such as a widget


def explain_stubs(tasks: Mapping[str, str]) -> None:
    """From now on, let this notebook say in a sentence when a cell stopped at an untouched stub.

    Every other error is shown as always. Nothing happens outside of IPython, or where someone has set an exception
    handler of their own.

    Args:
        tasks: The name of each function that a task asks for, and that of the task.

    Lesson: none (every exercise uses it).
    """
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is None or shell.custom_exceptions not in ((), _KINDS):
        return

    def explain(
        shell: object, kind: type, error: BaseException, trace: TracebackType, tb_offset: object = None
    ) -> None:
        name = stub_in(trace) or stub_in(getattr(error.__cause__, "__traceback__", None))
        if not name:
            return shell.showtraceback((kind, error, trace))
        task = f" ({tasks[name]})" if name in tasks else ""
        print(f"{name}{task} isn't written yet. Write it and run its cell, then run this one again.")
        return None

    shell.set_custom_exc(_KINDS, explain)
