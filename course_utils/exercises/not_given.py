"""What cells find in place of the modules of the course that aren't in the sandbox: names to import, not to use."""

import sys
from collections.abc import Callable
from functools import partial
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

NOT_GIVEN = "isn't there while a submission is graded"


class _NotGiven(MetaPathFinder, Loader):
    """Finds every module of the course that nobody else has found.

    Without it, one import too many would end a cell, and the functions below that line would be missing.
    """

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        return ModuleSpec(name, self, is_package=True) if name.startswith("course_utils.") else None

    def exec_module(self, module: ModuleType) -> None:
        module.__getattr__ = partial(_placeholder, module.__name__)


def allow_imports() -> None:
    """Let cells import the modules of the course that are not there; what comes of it raises when it is called.

    >>> allow_imports()
    >>> from course_utils.nowhere import something
    >>> something(1)
    Traceback (most recent call last):
    ImportError: course_utils.nowhere.something isn't there while a submission is graded
    """
    if not any(isinstance(finder, _NotGiven) for finder in sys.meta_path):
        sys.meta_path.append(_NotGiven())


def _placeholder(module: str, name: str) -> Callable:
    if name.startswith("__"):  # Python asks a module for such names, too
        raise AttributeError(f"module {module!r} has no attribute {name!r}")

    def not_given(*arguments: object, **named: object) -> None:
        raise ImportError(f"{module}.{name} {NOT_GIVEN}")

    return not_given
