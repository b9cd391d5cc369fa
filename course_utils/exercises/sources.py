"""Which files a module needs: its own, and those of all that it imports."""

import ast
import sys
from collections.abc import Iterable
from functools import lru_cache
from importlib.machinery import PathFinder
from itertools import accumulate
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
_INSTALLED = {"site-packages", "dist-packages"}


def source_files(modules: Iterable[str]) -> list[Path]:
    """Return the files of some modules and of all that they import, also inside functions.

    Modules of the course are followed, and others that aren't installed, such as a helper of your own; packages aren't.
    """
    found, waiting = {}, [*modules]
    while waiting:
        for module in accumulate(waiting.pop().split("."), "{}.{}".format):
            file = module_file(module)
            if file is not None and file not in found:
                found[file] = module
                waiting += imports(file.read_bytes())
    return sorted(found)


@lru_cache(maxsize=512)
def imports(source: bytes) -> tuple[str, ...]:
    """Return every name that a file imports; `from a import b` may mean the module a.b, too."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return tuple(sorted(found))


@lru_cache(maxsize=4096)
def module_file(module: str) -> Path | None:
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
