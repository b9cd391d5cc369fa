"""The other end of the grader: in a sandbox, run the cells of one submission, then answer calls, a line each.

It is started by `course_utils.grading.session`, one for each task of each submission. It has no idea of what is
right, and nothing that it says is believed: it can only send answers, and those are judged outside.
"""

import contextlib
import json
import os
import sys
import types


def main() -> None:
    """Speak with the grader until it has no more questions."""
    questions, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):  # what a learner prints or reads is not part of the conversation
        os.dup2(nothing, descriptor)
    import torch

    from course_utils.answers.calling import call
    from course_utils.answers.not_given import allow_imports
    from course_utils.answers.plain_data import read, written

    torch.set_num_threads(1)
    _say(answers, json.dumps({"ready": True}))
    allow_imports()
    request = json.loads(questions.readline())
    _limit(request["limits"])
    namespace, failures = run_cells(request["cells"])
    function = namespace.get(request["function"])
    _say(answers, json.dumps({"failures": failures, "callable": callable(function)}))
    for line in questions:
        answer = call(function, read(line, may_name_models=True))
        _say(answers, written(vars(answer)))


def run_cells(cells: list[str]) -> tuple[dict, dict[str, str]]:
    """Run the cells one after the other; one that raises does not stop the next.

    Returns:
        The names that they defined, and for each cell (from 1) that raised the exception's name.

    >>> namespace, failures = run_cells(["a = 1", "b", "c = a + 1"])
    >>> namespace["c"], failures
    (2, {'2': 'NameError'})
    """
    module = types.ModuleType("__main__")
    module.display = lambda *shown, **options: None  # as in a notebook, where nobody looks
    before, sys.modules["__main__"] = sys.modules["__main__"], module
    failures = {}
    try:
        for number, source in enumerate(cells, start=1):
            try:
                exec(compile(source, f"<cell {number}>", "exec"), module.__dict__)
            except BaseException as error:  # noqa: BLE001 - a cell may raise anything, SystemExit too
                failures[str(number)] = type(error).__name__
    finally:
        sys.modules["__main__"] = before
    return module.__dict__, failures


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
