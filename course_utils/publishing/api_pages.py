"""The website's pages about the library: every public name of each room, linked both ways with the lessons.

What there is, is read from the code, and who uses it from the notebooks: nothing is kept up by hand. What a page says
about a name is its docstring; `website/api_docstrings.py` is the part of Sphinx that reads them.
"""

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import nbformat
from nbformat import NotebookNode

PACKAGE = Path(__file__).resolve().parents[1]
# What someone needs who wants the library and not the course; how the course is made and served stays out.
ROOMS = (
    "models", "engine", "tokenizers", "measuring", "experiments", "serving", "traces", "figures", "widgets",
    "exercises", "learner", "grading",
)  # fmt: skip
_NOT_TAUGHT = "learner"  # predictions, quizzes, checks: every lesson has them, and none is about them
_DIRECTIVES = {
    "function": ("autofunction", ""),
    "class": ("autoclass", "\n    :members:"),
    "exception": ("autoexception", ""),
    "constant": ("autodata", "\n    :no-value:"),
}


@dataclass(frozen=True)
class PublicName:
    """A function, a class or a constant that someone may import.

    Args:
        path: What to import: `course_utils.widgets.SamplingLab`, if the room itself gives it out.
        home: The module that it's written in.
        kind: "function", "class", "exception" or "constant".
        comment: What the code says about a constant; docstrings are read later.
    """

    path: str
    home: str
    kind: str
    comment: str = ""

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition(".")[2]

    @property
    def written_as(self) -> str:
        """Where it's defined; the path of everything that its room doesn't give out itself."""
        return f"{self.home}.{self.name}"

    @property
    def is_detail(self) -> bool:
        """Whether its own module, or its room, is likely all that needs it."""
        return self.kind == "constant" or self.name.startswith("check_")

    @property
    def is_given_out(self) -> bool:
        """Whether it can be imported from its room."""
        return self.path != self.written_as


class Library:
    """What the rooms hold, and which notebooks use it.

    Args:
        root: A folder with the course's `notebooks`.

    >>> library = Library(PACKAGE.parent)
    >>> library.known["course_utils.widgets.sampling_lab.SamplingLab"].path
    'course_utils.widgets.SamplingLab'
    """

    def __init__(self, root: Path) -> None:
        self.notebooks = sorted((root / "notebooks").rglob("[0-9][0-9]_*.ipynb"))

    @cached_property
    def rooms(self) -> dict[str, dict[str, list[PublicName]]]:
        """The names of each module of each room, in the order of the code; modules without any are left out."""
        # A constant, and what only refuses bad input, is a detail, unless the room gives it out or a lesson shows it.
        shown = set().union(*self._imports.values())
        rooms = {}
        for room in ROOMS:
            modules = {module: _names(room, module) for module in _modules(room)}
            kept = {
                module: [name for name in names if not name.is_detail or name.is_given_out or name.path in shown]
                for module, names in modules.items()
            }
            rooms[room] = {module: names for module, names in kept.items() if names}
        return rooms

    @cached_property
    def known(self) -> dict[str, PublicName]:
        """Every public name, by what can be imported and by where it's written."""
        names = [name for modules in self.rooms.values() for module in modules.values() for name in module]
        return {path: name for name in names for path in (name.written_as, name.path)}

    @cached_property
    def used_in(self) -> dict[str, list[Path]]:
        """The notebooks that use a name, by its path; the lessons come before the deeper notebooks."""
        used: dict[str, list[Path]] = {}
        for notebook in sorted(self.notebooks, key=lambda file: (file.parent.name == "deeper", file)):
            for name in self.names_in(self._imports[notebook]):
                used.setdefault(name.path, []).append(notebook)
        return used

    def names_in(self, imports: set[str]) -> list[PublicName]:
        """Return the public names among `imports`, by their room and their name."""
        found = {self.known[path] for path in imports if path in self.known}
        return sorted(found, key=lambda name: (ROOMS.index(room_of(name)), name.name.lower()))

    @cached_property
    def _imports(self) -> dict[Path, set[str]]:
        return {file: imports_of(json.loads(file.read_text(encoding="utf-8"))["cells"]) for file in self.notebooks}


def room_of(name: PublicName) -> str:
    """Return the room of `name`.

    >>> room_of(PublicName("course_utils.engine.rope.rotate", "course_utils.engine.rope", "function"))
    'engine'
    """
    return name.home.split(".")[1]


def imports_of(cells: list) -> set[str]:
    r"""Return what the code `cells` of a notebook use of the course, as whole paths.

    >>> cell = {"cell_type": "code", "source": ["from course_utils import figures as f\n", "f.head_map(x)"]}
    >>> sorted(imports_of([cell]))
    ['course_utils.figures', 'course_utils.figures.head_map']
    """
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    tree = ast.parse(code)
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    ours = [node for node in nodes if node.module.partition(".")[0] == "course_utils"]
    known_as = {name.asname or name.name: f"{node.module}.{name.name}" for node in ours for name in node.names}
    parts = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)]
    inside = {f"{known_as[part.value.id]}.{part.attr}" for part in parts if part.value.id in known_as}
    return {*known_as.values(), *inside}


def with_library_links(notebook: NotebookNode, library: Library) -> NotebookNode:
    """Return `notebook` with a last cell that links what it uses of the library; as it was if that's nothing."""
    names = [name for name in library.names_in(imports_of(notebook.cells)) if room_of(name) != _NOT_TAUGHT]
    if names:
        lines = []
        for room in dict.fromkeys(map(room_of, names)):
            links = ", ".join(f"{{py:obj}}`{name.name} <{name.path}>`" for name in names if room_of(name) == room)
            lines.append(f"- {{doc}}`{room} </api/{room}>`: {links}")
        text = "```{admonition} From the library\n:class: seealso\n\n" + "\n".join(lines) + "\n```"
        notebook.cells.append(nbformat.v4.new_markdown_cell(text, id="from-the-library"))
    return notebook


def write_library_pages(folder: Path, library: Library) -> None:
    """Put one page per room into `folder`, as text for Sphinx."""
    for room, modules in library.rooms.items():
        (folder / f"{room}.rst").write_text(_room_page(room, modules), encoding="utf-8")


def _room_page(room: str, modules: dict[str, list[PublicName]]) -> str:
    parts = [_heading(room, "="), f".. automodule:: course_utils.{room}", ".. rst-class:: library-overview"]
    rows = []
    for module, names in modules.items():
        links = " · ".join(f":py:obj:`{name.name} <{name.path}>`" for name in names)
        rows.append(f":ref:`{module} <api-{room}-{module}>`\n    {_summary(room, module)}\n\n    {links}")
    parts.append("\n".join(rows))
    for module, names in modules.items():
        parts += [f".. _api-{room}-{module}:", _heading(module, "-"), f".. automodule:: course_utils.{room}.{module}"]
        if any(name.name == module and name.is_given_out for name in names):
            parts[-1] += "\n    :no-index:"  # course_utils.widgets.beam_tree is a function, and not this module
        parts += map(_entry, names)
    return "\n\n".join(parts) + "\n"


def _heading(text: str, line: str) -> str:
    return f"{text}\n{line * len(text)}"


def _entry(name: PublicName) -> str:
    directive, option = _DIRECTIVES[name.kind]
    return f".. {directive}:: {name.path}{option}"


def as_rest(text: str) -> str:
    r"""Return `text`, in which backticks mark code as in Markdown, in the markup of Sphinx.

    >>> as_rest("Keep the `top_k` best; a|b")
    'Keep the ``top_k`` best; a\\|b'
    """
    parts = re.split(r"(`[^`]+`)", text)
    return "".join(
        f"`{part}`" if number % 2 else re.sub(r"([\\|])", r"\\\1", part) for number, part in enumerate(parts)
    )


def _modules(room: str) -> list[str]:
    return sorted(file.stem for file in (PACKAGE / room).glob("[!_]*.py"))


def _summary(room: str, module: str) -> str:
    tree = ast.parse((PACKAGE / room / f"{module}.py").read_text(encoding="utf-8"))
    return as_rest(ast.get_docstring(tree).partition("\n")[0])


def _names(room: str, module: str) -> Iterator[PublicName]:
    """Yield what `module` defines without an underscore."""
    source = (PACKAGE / room / f"{module}.py").read_text(encoding="utf-8")
    given_out = _given_out(room)
    for node in ast.parse(source).body:
        name, kind = _defined(node)
        if kind and not name.startswith("_"):
            home = f"course_utils.{room}.{module}"
            path = f"course_utils.{room}.{name}" if name in given_out else f"{home}.{name}"
            comment = _comment(source.splitlines(), node) if kind == "constant" else ""
            yield PublicName(path, home, kind, comment)


def _defined(node: ast.stmt) -> tuple[str, str]:
    """Return the name that `node` defines and what it is; nothing if it's neither."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return node.name, "function"
    if isinstance(node, ast.ClassDef):
        return node.name, "exception" if node.name.endswith("Error") else "class"
    if isinstance(node, ast.Assign | ast.AnnAssign):
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target
        if isinstance(target, ast.Name) and target.id.isupper():
            return target.id, "constant"
    return "", ""


def _given_out(room: str) -> set[str]:
    """Return the names that can be imported from `room` itself."""
    tree = ast.parse((PACKAGE / room / "__init__.py").read_text(encoding="utf-8"))
    lists = [node.value for node in tree.body if isinstance(node, ast.Assign) and node.targets[0].id == "__all__"]
    return set(ast.literal_eval(lists[0])) if lists else set()


def _comment(lines: list[str], node: ast.stmt) -> str:
    """Return the comment after a constant or, without one, in the lines above it."""
    after = lines[node.end_lineno - 1][node.end_col_offset :].partition("# ")[2]
    if after and not after.startswith("fmt:"):
        return after[0].upper() + after[1:] + "."
    first = node.lineno - 1
    above = []
    while first and lines[first - 1].startswith("# "):
        first -= 1
        above.insert(0, lines[first][2:])
    return " ".join(above)
