"""Which files of the course a submission may see, and which ones judge it: both are found by following imports."""

import hashlib
import platform
import sys
from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

from course_utils.exercises.plain_data import ModelName
from course_utils.exercises.sources import PACKAGE, imports, source_files
from course_utils.exercises.task import Task

ALWAYS = ("course_utils.exercises.worker", "course_utils.learner.check_card")  # what the cells of every exercise need
JUDGES = (
    *("course_utils.grading.grade", "course_utils.exercises.worker"),
    *("course_utils.models.practice", "course_utils.models.pipelines"),  # what a `ModelName` loads
)
LIBRARIES = ("numpy", "tokenizers", "torch", "transformers")
_DATA = (".json", ".safetensors", ".txt")


def visible_files(modules: Iterable[str]) -> list[Path]:
    """Return the files of the course that are in the sandbox: these modules, the worker, and all that they import.

    >>> "sampling.py" in [file.name for file in visible_files([])]
    False
    """
    files = source_files([*ALWAYS, *modules])
    compiled = [file.parent / "__pycache__" / f"{file.stem}.{sys.implementation.cache_tag}.pyc" for file in files]
    files += [file for file in compiled if file.is_file()]  # or every worker compiles the course again
    return files + _data() * any(file.parent.name == "models" for file in files)


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
    for file in [*source_files([*JUDGES, *imports(checks)]), *_data()]:
        digest.update(file.name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    versions = [platform.python_version(), *map(version, LIBRARIES)]
    digest.update(repr(versions).encode())
    return digest.hexdigest()


def _data() -> list[Path]:
    return [file for file in sorted(PACKAGE.rglob("*")) if file.suffix in _DATA]


def _models(value: object) -> Iterator[ModelName]:
    if isinstance(value, ModelName):
        yield value
    elif isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _models(item)
