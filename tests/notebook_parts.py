"""The part of a notebook that some of its cells need: a test of one widget doesn't run a whole lesson."""

import ast
import builtins
import re

from nbformat import NotebookNode


def part_of(notebook: NotebookNode, wanted: str) -> list[str]:
    """Return the code of the cells that match `wanted`, and of all earlier cells that they need, in their order.

    A cell needs the last one before it that gives a name its value, and those in between that change what it names.

    Args:
        notebook: Whole, as nbformat reads it.
        wanted: A regular expression to be found in the code of a cell.

    Raises:
        ValueError: No cell matches.
    """
    codes = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    todo = [number for number, code in enumerate(codes) if re.search(wanted, code)]
    if not todo:
        raise ValueError(f"wanted must be found in a code cell, got {wanted!r}")
    names = [_Names(code) for code in codes]
    kept: set[int] = set()
    while todo:
        kept.add(number := todo.pop())
        for name in names[number].used:
            for earlier in reversed(range(number)):
                if name in names[earlier].given or name in names[earlier].changed:
                    todo += {earlier} - kept
                if name in names[earlier].given:
                    break
    return [codes[number] for number in sorted(kept)]


class _Names(ast.NodeVisitor):
    """Which names a cell gives a value, which it only changes (`name[0] = …`, `name.append(…)`), and which it uses."""

    def __init__(self, code: str) -> None:
        self.given: set[str] = set()
        self.changed: set[str] = set()
        self.used: set[str] = set()
        self.visit(ast.parse(re.sub(r"^\s*[%!].*$", "", code, flags=re.MULTILINE)))
        self.used -= set(dir(builtins))

    def visit_Name(self, node: ast.Name) -> None:
        (self.used if isinstance(node.ctx, ast.Load) else self.given).add(node.id)

    def visit_alias(self, node: ast.alias) -> None:
        self.given.add((node.asname or node.name).split(".")[0])

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.ClassDef | ast.Lambda | ast.GeneratorExp) -> None:
        """Keep what belongs to a function apart: only what it uses from outside counts, and its own name."""
        given, used, self.given, self.used = self.given, self.used, set(), set()
        self.generic_visit(node)
        self.given, self.used = given, used | (self.used - self.given)
        if hasattr(node, "name"):
            self.given.add(node.name)

    visit_ClassDef = visit_Lambda = visit_FunctionDef
    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = visit_FunctionDef

    def visit_arg(self, node: ast.arg) -> None:
        self.given.add(node.arg)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        self._change(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self._change(node)

    def _change(self, node: ast.Subscript | ast.Attribute) -> None:
        if isinstance(node.ctx, ast.Store) and isinstance(node.value, ast.Name):
            self.changed.add(node.value.id)
        self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> None:
        """A statement that only calls a method, such as `names.append("Ada")`, is there for what it changes."""
        match node.value:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name))):
                self.changed.add(name)
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        match node.target:
            case ast.Name(id=name):
                self.changed.add(name)
                self.visit(node.value)
            case _:
                self.generic_visit(node)
