"""Is this machine ready for the course? One line per question, and what to do where the answer is no."""

import os
import platform
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import psutil

from course_utils.learner.markup import html_table
from course_utils.models.catalogue import CATALOGUE
from course_utils.models.store import ModelStore

_PACKAGES = ("torch", "transformers", "jupyterlab", "ipywidgets", "anywidget", "matplotlib")
_GIGABYTE = 2**30
_NEEDED_GIGABYTES = 2


@dataclass(frozen=True)
class Finding:
    """One line of the report: what was looked at, what was found, and what to do if it is not fine."""

    what: str
    found: str
    ok: bool = True
    advice: str = ""


@dataclass(frozen=True)
class MachineReport:
    """All findings; `ok` tells whether every one is fine.

    Lesson: 00 · Start here
    """

    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether the course runs here as it is meant to."""
        return all(finding.ok for finding in self.findings)

    def _rows(self) -> list[tuple[str, str, str]]:
        return [
            (
                "✓ fine" if finding.ok else "✗ look",
                finding.what,
                finding.found if finding.ok else f"{finding.found}. {finding.advice}",
            )
            for finding in self.findings
        ]

    def __repr__(self) -> str:
        return "\n".join(f"{state:8}{what:26}{found}" for state, what, found in self._rows())

    def _repr_html_(self) -> str:
        return html_table(("", "what", "found"), self._rows())


def machine_check() -> MachineReport:
    """Look at Python, packages, models, memory and processor cores, and say what is not fine.

    Lesson: 00 · Start here

    >>> machine_check().findings[0].what
    'Python'
    """
    memory = psutil.virtual_memory()
    free, total = memory.available / _GIGABYTE, memory.total / _GIGABYTE
    python_ok = (3, 11) <= sys.version_info[:2] <= (3, 13)
    return MachineReport(
        (
            Finding("Python", platform.python_version(), python_ok, "Use Python 3.11, 3.12 or 3.13."),
            Finding("operating system", platform.platform(terse=True)),
            Finding("processor cores", str(os.cpu_count())),
            Finding(
                "free memory",
                f"{free:.1f} of {total:.1f} GB",
                free >= _NEEDED_GIGABYTES,
                f"Close other programs until {_NEEDED_GIGABYTES} GB are free.",
            ),
            *(_package(name) for name in _PACKAGES),
            *(_model(name) for name in CATALOGUE),
        )
    )


def _package(name: str) -> Finding:
    try:
        return Finding(f"package {name}", version(name))
    except PackageNotFoundError:
        return Finding(f"package {name}", "not installed", False, "Run `python3 course.py lab` again.")


def _model(name: str) -> Finding:
    store, entry = ModelStore(), CATALOGUE[name]
    state = store.state(entry)
    found = f"{state}, {store.size(entry) / 1e6:,.0f} MB" if state == "ready" else state
    return Finding(f"model {name}", found, state == "ready", "Run `python3 course.py models fetch`.")
