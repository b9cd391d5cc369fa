"""The shell that runs a submission's cells: IPython's own, as in a notebook, except that nobody is looking."""

import asyncio
import os
import re
import subprocess
import sys
from types import ModuleType

from IPython.core.formatters import DisplayFormatter
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magics import execution
from traitlets.config import Config

_INSTALLERS = {"pip", "pip3", "conda", "mamba", "micromamba", "uv"}
_INSTALLS = re.compile(
    rf"\b({'|'.join(sorted(_INSTALLERS))}|poetry|apt|apt-get|brew|npm)\s(?:.*?\s)?(install|add|sync|update|upgrade)\b",
    re.DOTALL,
)
_NEEDLESS = {"matplotlib", "config", "autoreload"}  # they set how pictures look, or wait for files to change
_RUN_PYTHON = {"time", "timeit", "capture", "prun"}  # what these raise comes from the learner's code
_MOST_NAMED = 20


class CellShell(InteractiveShell):
    """IPython without a history file, a terminal or anything to show; it notes the commands that can't work here.

    `left_out` names those commands: installations, since there is no network, and magics that this machine lacks.
    """

    def __init__(self, module: ModuleType, **settings: object) -> None:
        self.left_out: list[str] = []
        super().__init__(user_module=module, config=Config({"HistoryManager": {"enabled": False}}), **settings)
        self.set_hook("show_in_pager", lambda *page, **settings: None)  # `sum?` explains it to nobody
        execution.Timer = _Once

    def run_all(self, cells: list[str]) -> dict[str, str]:
        """Run cells one after the other; return the name of the exception for each (from "1") that raised one."""
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)  # a notebook's cells run inside one, so they can make tasks
        failures = {}
        for number, source in enumerate(cells, start=1):
            try:
                error = loop.run_until_complete(self._run(source))
            except BaseException as escaped:  # noqa: BLE001 - a cell may raise anything, from a task too
                error = escaped
            if error is not None:
                failures[str(number)] = type(error).__name__
        return failures

    async def _run(self, source: str) -> BaseException | None:
        transformed, problem = source, None
        try:
            transformed = self.transform_cell(source)
        except Exception:  # noqa: BLE001 - IPython shows it as the cell's own error
            problem = sys.exc_info()
        result = await self.run_cell_async(
            source, store_history=True, transformed_cell=transformed, preprocessing_exc_tuple=problem
        )
        return result.error_before_exec or result.error_in_exec

    def run_line_magic(self, magic_name: str, line: str, _stack_depth: int = 1) -> object:
        """Run `%magic line`; one that can't work here does nothing and is noted."""
        if magic_name in _NEEDLESS:
            return None
        if magic_name in _INSTALLERS:
            return self._leave_out(f"%{magic_name}")
        try:
            return super().run_line_magic(magic_name, line, _stack_depth + 1)
        except Exception:
            if magic_name in _RUN_PYTHON:
                raise
            return self._leave_out(f"%{magic_name}")

    def run_cell_magic(self, magic_name: str, line: str, cell: str) -> object:
        """Run `%%magic`; one that can't work here is noted. The cell below an unknown one is run if it is Python."""
        if self.find_cell_magic(magic_name) is None:
            self._leave_out(f"%%{magic_name}")
            self.run_cell(cell)
            return None
        try:
            return super().run_cell_magic(magic_name, line, cell)
        except Exception:
            if magic_name in _RUN_PYTHON:
                raise
            return self._leave_out(f"%%{magic_name}")

    def system(self, cmd: str) -> None:
        """Run `!command`; what it prints goes nowhere."""
        command = self.var_expand(cmd, depth=1)
        if _INSTALLS.search(command):
            self._leave_out(_named(command))
        else:
            self.user_ns["_exit_code"] = subprocess.call(command, shell=True)

    def getoutput(self, cmd: str, split: bool = True, depth: int = 0) -> object:
        """Run `names = !command`."""
        if _INSTALLS.search(cmd):
            self._leave_out(_named(cmd))
            cmd = "true"
        return super().getoutput(cmd, split, depth + 1)

    def enable_gui(self, gui: str | None = None) -> None:
        """Open no windows: `%pylab` and `%gui` ask for them."""

    def ask_exit(self) -> None:
        """Don't end with `exit()` in a cell: the cells below it count, too."""

    def showtraceback(self, *about: object, **options: object) -> None:
        """Show nothing: writing tracebacks that nobody reads takes longer than most cells do."""

    showsyntaxerror = showindentationerror = showtraceback

    def _format_exception_for_storage(self, *about: object, **options: object) -> dict:
        return {}

    def init_display_formatter(self) -> None:
        """Make a formatter that never draws a figure or a table."""
        self.display_formatter = _NoFormatter(parent=self)

    def _leave_out(self, name: str) -> None:
        if name not in self.left_out and len(self.left_out) < _MOST_NAMED:
            self.left_out.append(name)


class _NoFormatter(DisplayFormatter):
    def format(self, obj: object, include: object = None, exclude: object = None) -> tuple[dict, dict]:
        return {}, {}


class _Once(execution.Timer):
    """Times one run for `%timeit`: nobody reads the number, and there is a time limit for all cells together."""

    took: float | None = None

    def timeit(self, number: int = 1) -> float:
        if self.took is None:
            self.took = super().timeit(1)
        return self.took * number


def _named(command: str) -> str:
    """Return a shell command by its first words, as a report names it.

    >>> _named("/usr/bin/python -m pip install numpy")
    '!pip install'
    """
    program, what = _INSTALLS.search(command).groups()
    return f"!{os.path.basename(program)} {what}"
