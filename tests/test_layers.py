"""Data flows one way: models → inference / traces → figures → widgets → learning → notebooks."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "course_utils"
MAY_IMPORT = {
    "architectures": set(),
    "models": {"architectures", "whole_files"},
    "inference": {"architectures"},
    "figures": set(),
    "traces": {"architectures", "models", "inference", "whole_files"},
    "widgets": {"inference", "traces", "figures"},
    "answers": {"models"},
    "checks": {"answers", "models", "inference"},
    "learning": {
        "assignments",
        "models",
        "inference",
        "traces",
        "figures",
        "widgets",
        "answers",
        "checks",
        "whole_files",
    },
    "grading": {"answers", "checks", "models", "assignments", "whole_files"},
    "whole_files": set(),
    "assignments": set(),
    "bundle": {"models", "whole_files"},
    "site": {"assignments", "whole_files"},
    "hub": {"cli", "models", "whole_files"},
    "learner_server": {"cli", "learning"},
    "slides": {"whole_files"},
    "pages": {"inference"},
    "sync": {"pages", "assignments", "slides", "whole_files"},
    "cli": {
        *("models", "inference", "traces", "figures", "widgets", "learning", "sync", "grading"),
        *("bundle", "site", "slides", "hub", "whole_files"),
    },
}


def room(module):
    """The room of `course_utils.room.module`; None for another package."""
    parts = module.split(".")
    return parts[1] if parts[0] == "course_utils" and len(parts) > 1 else None


def imported_modules(tree, package):
    """Every module that the code of a module in `package` imports, also inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join([*above, *filter(None, [node.module])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def forbidden_imports(code, module):
    """The rooms that `module` with this code imports and may not."""
    own = room(module)
    package = module.rpartition(".")[0]
    rooms = {room(name) for name in imported_modules(ast.parse(code), package)} & MAY_IMPORT.keys()
    return rooms - MAY_IMPORT[own] - {own}


MODULES = {
    ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts): file
    for file in sorted(PACKAGE.rglob("*.py"))
    if file != PACKAGE / "__init__.py"
}


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_one_way(module):
    assert forbidden_imports(MODULES[module].read_text(encoding="utf-8"), module) == set()


def test_every_room_has_a_rule():
    rooms = {file.stem for file in PACKAGE.iterdir() if file.suffix == ".py" or (file / "__init__.py").exists()}
    assert rooms - {"__init__"} <= MAY_IMPORT.keys()


@pytest.mark.parametrize(
    ("code", "module"),
    [
        ("import course_utils.widgets.base", "course_utils.engine.sampling"),
        ("from course_utils import figures", "course_utils.models.store"),
        ("from course_utils.cli import main", "course_utils.learner.progress"),
        ("def later():\n    from course_utils.models import load_encoder", "course_utils.figures.base"),
        ("from ..models import store", "course_utils.widgets.base"),
        ("from .. import models", "course_utils.engine.sampling"),
    ],
)
def test_a_wrong_direction_would_be_found(code, module):
    assert len(forbidden_imports(code, module)) == 1


@pytest.mark.parametrize(
    ("code", "module"),
    [
        ("from . import base\nfrom .base import x\nimport torch", "course_utils.figures.bars"),
        ("from course_utils.models import store\nfrom course_utils import traces", "course_utils.traces.beams"),
    ],
)
def test_a_right_direction_passes(code, module):
    assert forbidden_imports(code, module) == set()


def test_ruff_is_content():
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "."]
    result = subprocess.run(command, cwd=PACKAGE.parent, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
