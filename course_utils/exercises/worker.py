"""The other end of the grader: in a sandbox, run the cells of one submission, then answer calls, a line each.

It is started by `course_utils.grading.session`, one for each task of each submission. It has no idea of what is
right, and nothing that it says is believed: it can only send answers, and those are judged outside.
"""

import contextlib
import gc
import itertools
import json
import os
import sys
import types
import warnings

MOST_FAILURES = 20  # cells that raised and are reported; there may be thousands


def main() -> None:
    """Speak with the grader until it has no more questions."""
    questions, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):  # what a learner prints or reads is not part of the conversation
        os.dup2(nothing, descriptor)
    sys.stdout.reconfigure(errors="backslashreplace")  # half an emoji can be printed in a notebook, too
    warnings.simplefilter("ignore")
    os.environ["PATH"] = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", "")])  # !python
    gc.disable()  # nothing that an import makes is garbage, and looking for some takes a tenth of its time
    import torch

    from course_utils.exercises.calling import call
    from course_utils.exercises.not_given import allow_imports
    from course_utils.exercises.plain_data import read, written
    from course_utils.exercises.shell import CellShell

    gc.freeze()
    gc.enable()
    torch.set_num_threads(1)
    _say(answers, json.dumps({"ready": True}))
    allow_imports()
    request = json.loads(questions.readline())
    _limit(request["limits"])
    left_out: list[str] = []
    namespace, failures = run_cells(request["cells"], left_out)
    sys.modules["__main__"] = CellShell.instance().user_module  # for what the learner's function looks up there
    function = namespace.get(request["function"])
    first = dict(itertools.islice(failures.items(), MOST_FAILURES))
    _say(answers, json.dumps({"failures": first, "left out": left_out, "callable": callable(function)}))
    for line in questions:
        answer = call(function, read(line, may_name_models=True))
        _say(answers, written(vars(answer)))


def run_cells(cells: list[str], left_out: list[str] | None = None) -> tuple[dict, dict[str, str]]:
    """Run the cells one after the other, as a notebook does; one that raises does not stop the next.

    Args:
        cells: What is in them, for IPython: with magics, shell commands and `await`.
        left_out: Takes the names of the commands that can't work here.

    Returns:
        The names that they defined, and for each cell (from 1) that raised the exception's name.

    >>> namespace, failures = run_cells(["a = !echo 1", "b", "c = a + ['2']"])
    >>> namespace["c"], failures
    (['1', '2'], {'2': 'NameError'})
    """
    from course_utils.exercises.shell import CellShell  # takes a tenth of a second, and only the worker needs it

    main = sys.modules["__main__"]
    CellShell.clear_instance()
    shell = CellShell.instance(module=types.ModuleType("__main__"))
    try:
        failures = shell.run_all(cells)
    finally:
        sys.modules["__main__"] = main
    if left_out is not None:
        left_out += shell.left_out
    return shell.user_ns, failures


def _limit(limits: dict[str, int]) -> None:
    """Set limits that this process cannot raise again."""
    with contextlib.suppress(ImportError):  # Windows has none
        import resource

        for name, most in limits.items():
            kind = getattr(resource, name)
            hard = resource.getrlimit(kind)[1]
            most = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(kind, (most, most))


def _say(answers: object, line: str) -> None:
    answers.write(line.encode() + b"\n")
    answers.flush()


if __name__ == "__main__":
    main()
