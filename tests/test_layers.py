"""Data flows one way: models → engine → measuring, experiments → traces → figures → widgets → learner → notebooks.

The rules are import-linter's, in `pyproject.toml`; a room without a rule fails, too.
"""

import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "course_utils"
COMMANDS = {
    "imports": ["-c", "from importlinter.cli import lint_imports_command; lint_imports_command()", "--no-cache"],
    "style and docstrings": ["-m", "ruff", "check", "--no-cache", "."],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_linter_is_content(name):
    command = [sys.executable, *COMMANDS[name]]
    result = subprocess.run(command, cwd=PACKAGE.parent, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_few_files_lie_loose():
    assert len([file for file in PACKAGE.glob("*.py") if file.name != "__init__.py"]) <= 4


def test_every_room_says_what_lives_there():
    for room in PACKAGE.rglob("__init__.py"):
        text = room.read_text(encoding="utf-8")
        assert text.startswith('"""'), room
        assert room == PACKAGE / "__init__.py" or text.split('"""')[1].count(".") >= 2, room
