"""What remembers a learner: predictions, quiz answers, checks, progress, scores, their own copy of the course.

What of it also goes to a room's board, once they have joined one, is in `room`.

Widgets that show models are in `widgets`; what is right in an exercise is decided in `exercises`.
"""

from importlib import import_module

_HOMES = {
    "Progress": "progress",
    "Table": "tables",
    "beside_recorded": "tables",
    "checker": "check_card",
    "export_progress": "progress_table",
    "join": "room",
    "leave": "room",
    "machine_check": "this_machine",
    "predict": "questions",
    "progress_report": "progress_table",
    "quiz_question": "questions",
    "reset_progress": "progress_table",
}

__all__ = [
    "Progress",
    "Table",
    "beside_recorded",
    "checker",
    "export_progress",
    "join",
    "leave",
    "machine_check",
    "predict",
    "progress_report",
    "quiz_question",
    "reset_progress",
]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(f"course_utils.learner.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
