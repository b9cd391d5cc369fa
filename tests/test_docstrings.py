"""Every module of the engine names its lesson; its functions say what they raise and show an example.

That there's a docstring and that it begins with a sentence is ruff's to check (`D`).
"""

import ast
import inspect
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "course_utils"
ROOMS = ["engine", "tokenizers", "measuring", "experiments", "serving", "traces"]
# Words that promise a lesson of curriculum.md.
LESSON = re.compile(r"Lesson: \d\d · \w")


# These only refuse bad input, or are the common parts of something documented.
CHECKS = ("check_", "Trace")
FILES = [file for room in ROOMS for file in sorted((PACKAGE / room).glob("*.py"))]


def public_definitions(file):
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield pytest.param(node, id=f"{file.parent.name}/{file.stem}.{node.name}")


DEFINITIONS = [case for file in FILES for case in public_definitions(file)]
TAUGHT = [case for case in DEFINITIONS if not case.values[0].name.startswith(CHECKS)]
TAUGHT_FILES = [
    pytest.param(file, id=f"{file.parent.name}/{file.stem}")
    for file in FILES
    if any(not case.values[0].name.startswith(CHECKS) for case in public_definitions(file))
]


@pytest.mark.parametrize("file", TAUGHT_FILES)
def test_the_lesson_is_named_once(file):
    """In the docstring of the module, and not again in everything that the module holds."""
    module = ast.parse(file.read_text(encoding="utf-8"))
    assert LESSON.search(ast.get_docstring(module)), f"{file.name} names no lesson"
    inside = [node for node in ast.walk(module) if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    again = [node.name for node in inside if "Lesson: " in (ast.get_docstring(node) or "")]
    assert not again, f"{file.name} names its lesson again at {again}"


@pytest.mark.parametrize("node", TAUGHT)
def test_there_is_an_example(node):
    """Of a class, the example may be in one of its methods; doctest runs them all."""
    inside = [inner for inner in ast.walk(node) if isinstance(inner, ast.FunctionDef | ast.ClassDef)]
    assert any(">>>" in (ast.get_docstring(inner) or "") for inner in inside)


def raised(node):
    """The exceptions that a definition raises itself, or through a check."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Raise) and isinstance(inner.exc, ast.Call):
            yield inner.exc.func.id
        elif isinstance(inner, ast.Call) and getattr(inner.func, "id", "").startswith("check_"):
            yield "ValueError"


@pytest.mark.parametrize("node", [case for case in DEFINITIONS if not case.values[0].name.startswith("check_")])
def test_what_is_raised_is_documented(node):
    documented = inspect.cleandoc(ast.get_docstring(node)) + "".join(
        ast.get_docstring(inner) or "" for inner in ast.walk(node) if isinstance(inner, ast.FunctionDef)
    )
    for error in set(raised(node)):
        assert error in documented or "rrors as" in documented, f"{node.name} raises {error} and does not say so"


def lines_of_code(node):
    docstring = 1 if ast.get_docstring(node) else 0
    body = node.body[docstring:]
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


@pytest.mark.parametrize("room", ROOMS)
def test_everything_fits_on_a_projector(room):
    for file in (PACKAGE / room).glob("*.py"):
        assert len(file.read_text(encoding="utf-8").splitlines()) <= 200, file.name
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                assert lines_of_code(node) <= 25, f"{file.name}: {node.name}"
