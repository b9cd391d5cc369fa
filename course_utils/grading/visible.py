"""Which files of the course a submission may see, and which ones judge it: both are found by following imports."""

import ast
import hashlib
import platform
import sys
from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib.machinery import PathFinder
from importlib.metadata import version
from itertools import accumulate
from pathlib import Path

from course_utils.answers.plain_data import ModelName
from course_utils.checks.task import Task

PACKAGE = Path(__file__).resolve().parents[1]
ALWAYS = ("course_utils.answers.worker", "course_utils.learning.check_card")  # what the cells of every exercise need
JUDGES = (
    *("course_utils.grading.grade", "course_utils.answers.worker"),
    *("course_utils.models.practice", "course_utils.models.pipelines"),  # what a `ModelName` loads
)
LIBRARIES = ("numpy", "tokenizers", "torch", "transformers")
_INSTALLED = {"site-packages", "dist-packages"}
_DATA = (".json", ".safetensors", ".txt")


def visible_files(modules: Iterable[str]) -> list[Path]:
    """Return the files of the course that are in the sandbox: these modules, the worker, and all that they import.

    >>> "sampling.py" in [file.name for file in visible_files([])]
    False
    """
    files = source_files([*ALWAYS, *modules])
    return files + _data() * any(file.parent.name == "models" for file in files)


def source_files(modules: Iterable[str]) -> list[Path]:
    """Return the files of some modules and of all that they import, also inside functions.

    Modules of the course are followed, and those that somebody put beside it; installed packages are not.
    """
    found, waiting = {}, [*modules]
    while waiting:
        for module in accumulate(waiting.pop().split("."), "{}.{}".format):
            file = _file(module)
            if file is not None and file not in found:
                found[file] = module
                waiting += _imports(file.read_bytes())
    return sorted(found)


def needed_modules(task: Task, seed: int) -> tuple[str, ...]:
    """Return the modules of the course that a task's submissions need: what is given, and what loads its models."""
    models = {model.module for model in _models(task.arguments(seed))}
    return (*task.given, *sorted(models))


@lru_cache(maxsize=4)
def digest_of_judges(checks: bytes) -> str:
    """Return what stands for all that judges a submission: the checks, what they call, this grader, and the libraries.

    Args:
        checks: The content of the file of checks.

    Raises:
        SyntaxError: The file of checks is no Python.
    """
    digest = hashlib.sha256(checks)
    for file in [*source_files([*JUDGES, *_imports(checks)]), *_data()]:
        digest.update(file.name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    versions = [platform.python_version(), *map(version, LIBRARIES)]
    digest.update(repr(versions).encode())
    return digest.hexdigest()


def _data() -> list[Path]:
    return [file for file in sorted(PACKAGE.rglob("*")) if file.suffix in _DATA]


@lru_cache(maxsize=512)
def _imports(source: bytes) -> tuple[str, ...]:
    """Return every name that a file imports; `from a import b` may mean the module a.b, too."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return tuple(sorted(found))


@lru_cache(maxsize=4096)
def _file(module: str) -> Path | None:
    """Return the file of a module of the course, or of one that was put beside it; None for installed ones."""
    top, *inside = module.split(".")
    if top == PACKAGE.name:
        home = PACKAGE
    else:
        spec = PathFinder.find_spec(top)
        origin = Path(spec.origin) if spec and spec.has_location else None
        if origin is None or _INSTALLED & {*origin.parts} or _is_in(origin, sys.prefix, sys.base_prefix):
            return None
        home = origin.parent if origin.name == "__init__.py" else origin.with_suffix("")
    place = home.joinpath(*inside)
    return next((file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()), None)


def _is_in(file: Path, *folders: str | Path) -> bool:
    return any(file.is_relative_to(folder) for folder in folders)


def _models(value: object) -> Iterator[ModelName]:
    if isinstance(value, ModelName):
        yield value
    elif isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _models(item)
