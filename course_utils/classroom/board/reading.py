"""The predictions and quiz questions of one notebook, read without running it.

A teacher's own notebook may hold anything. What can't become a question is left out, with a sentence that says why.

Lesson: none (this is for teachers).
"""

import ast
import json
import operator
import re
import string
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from course_utils.classroom.board.messages import LONGEST
from course_utils.classroom.board.tables import asked
from course_utils.grading.spreadsheet import readable

_KINDS = {"predict": "prediction", "quiz_question": "quiz"}
_LEARNER = "course_utils.learner"
_ASKING = re.compile(r"(?<![\w.])(?:predict|quiz_question)\s*\(")
_MEASURED = re.compile(r"Measured: (.+?)\. You (?:didn't|predicted)")
_NUMBER = re.compile(r"[+-]?\d[\d,]*(?:\.(\d+))?")
_ARITHMETIC = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}
_UNKNOWN = object()  # what only a run could tell
_LONGEST_NAME = asked.c.question.type.length


@dataclass(frozen=True)
class Question:
    """A prediction or a quiz question.

    Args:
        name: As in the notebook, such as "11-ten-best".
        lesson: The title of its notebook, such as "11 · Sampling".
        text: What is asked.
        options: What can be chosen.
        right: The places of the right options; () where the stored run of the notebook doesn't decide it.
        measured: What the stored run of the notebook measured, such as "77.3%"; "" if nothing.
        kind: "prediction" or "quiz".
    """

    name: str
    lesson: str
    text: str
    options: tuple[str, ...]
    right: tuple[int, ...] = ()
    measured: str = ""
    kind: str = "quiz"


class _Cell(NamedTuple):
    """A cell: `said` is what its stored run measured."""

    kind: str
    source: str
    said: list[str]


def read_questions(file: Path) -> list[tuple[str, Question | str]]:
    """Return the questions of a notebook: where each is, and the question, or what is wrong with it.

    Args:
        file: A notebook, or a script of cells as Jupytext reads it.
    """
    try:
        cells = _cells(file)
    except OSError as error:
        return [(str(file), f"it can't be opened ({error.strerror}).")]
    except Exception:  # noqa: BLE001 - whatever such a file may hold
        return [(str(file), "it isn't a notebook in UTF-8: open it in JupyterLab and save it there.")]
    heads = (re.search(r"^# (.+)$", cell.source, re.M) for cell in cells if cell.kind == "markdown")
    notebook = _Notebook(next((readable(head[1]).strip() for head in heads if head), file.stem))
    for number, cell in enumerate(cells, 1):
        if cell.kind == "code":
            notebook.take(f"{file}, cell {number}", cell)
    return notebook.found


class _Notebook:
    """What is known of a notebook after some of its cells.

    Args:
        lesson: Its title.
    """

    def __init__(self, lesson: str) -> None:
        self.lesson = lesson
        self.found: list[tuple[str, Question | str]] = []
        self._asks = {f"{place}{ask}": ask for place in ("", "learner.", f"{_LEARNER}.") for ask in _KINDS}
        self._known: dict[str, object] = {}  # variables that hold plain data
        self._predicted: dict[str, tuple[int, object]] = {}  # by variable: the place in `found`, and the ranges

    def take(self, where: str, cell: _Cell) -> None:
        """Read one cell more."""
        try:
            tree = _tree(cell.source)
            for statement in tree.body:
                self._statement(where, statement)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            if _ASKING.search(cell.source):
                self.found.append((where, "the cell has a syntax error, so its question can't be read: correct it."))
            return
        compared = _compared(tree)
        if len(compared) == len(cell.said):  # else nobody knows which is whose
            for (variable, show), measured in zip(compared, cell.said, strict=True):
                self._measure(variable, self._plain(show), measured)

    def _statement(self, where: str, statement: ast.stmt) -> None:
        variable, predicted, before = _assigned(statement), None, dict(self._known)
        if not variable:
            self._notice(statement)
        calls = [node for node in ast.walk(statement) if isinstance(node, ast.Call)]
        for call in sorted(calls, key=lambda one: (one.lineno, one.col_offset)):
            is_named = isinstance(call.func, ast.Name | ast.Attribute)
            ask = self._asks.get(ast.unparse(call.func)) if is_named else None
            if ask is None:
                continue
            try:
                question, options = self._question(ask, call)
            except ValueError as problem:
                self.found.append((where, f"{problem}."))
                continue
            if variable and call is statement.value:
                predicted = len(self.found), options
            self.found.append((where, question))
        if variable:
            value = self._plain(statement.value)
            self._notice(statement)
            self._known[variable] = value
        if predicted:
            self._predicted[variable] = predicted
        if isinstance(statement, ast.FunctionDef):
            self._known = before  # its variables are its own
            self._asks.pop(statement.name, None)  # a predict of the teacher's own

    def _notice(self, statement: ast.stmt) -> None:
        """Forget what a statement may change, and see what `predict` is from here on."""
        for node in ast.walk(statement):
            match node:
                case ast.ImportFrom(module=module, names=names):
                    for name in names:
                        self._imported(module or "", name)
                case ast.Import(names=names):
                    for name in names:
                        self._imported("", name)
                case ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                    for kept in (self._known, self._predicted, self._asks):
                        kept.pop(name, None)
                case ast.Subscript(value=ast.Name(id=name), ctx=ast.Store() | ast.Del()):
                    self._known.pop(name, None)
                case ast.Attribute(value=ast.Name(id=name)) if not isinstance(self._known.get(name), str):
                    self._known.pop(name, None)  # such as options.append("none")

    def _imported(self, module: str, name: ast.alias) -> None:
        local = name.asname or name.name
        if f"{module}.{name.name}".strip(".") == _LEARNER:
            self._asks |= {f"{local}.{ask}": ask for ask in _KINDS}
        elif module.startswith(_LEARNER) and name.name in _KINDS:
            self._asks[local] = name.name
        else:
            self._asks.pop(local, None)  # a predict of another package

    def _question(self, ask: str, call: ast.Call) -> tuple[Question, object]:
        """Return a question, and its options as they are in the notebook.

        Raises:
            ValueError: It can't be on the board.
        """
        parts = ("identifier", "question", "options")
        given = dict(zip(parts, call.args, strict=False)) | {one.arg: one.value for one in call.keywords}
        if not given.keys() >= set(parts):
            raise ValueError(f"{ask}(…) needs a name, a question and options")
        name, text, options = (self._plain(given[part]) for part in parts)
        called = f"{ask}({name[:_LONGEST_NAME]!r})" if isinstance(name, str) else f"{ask}(…)"
        right: tuple[int, ...] = ()
        labels = options
        if ask == "quiz_question" and options is not _UNKNOWN:
            try:
                labels = [label for label, _, _ in options]
                right = tuple(place for place, (_, is_right, _) in enumerate(options) if is_right is True)
            except (TypeError, ValueError):
                raise ValueError(f"each option of {called} must be (text, True or False, explanation)") from None
        labels = list(labels) if isinstance(labels, list | dict) else [labels]
        for what, values in (("name", [name]), ("question", [text]), ("options", labels)):
            if any(value is _UNKNOWN for value in values):
                raise ValueError(f"the board doesn't run notebooks: write out the {what} of {called} in the cell")
            if not all(isinstance(value, str) and readable(value).strip() for value in values):
                raise ValueError(f"the {what} of {called} must be {'texts' if what == 'options' else 'a text'}")
        name, text, labels = readable(name), readable(text), tuple(map(readable, labels))
        if not 2 <= len(labels) == len(set(labels)):
            raise ValueError(f"{called} needs at least two different options")
        longest = max(map(len, labels))
        for what, length, most in (("the name", len(name), _LONGEST_NAME), ("an option", longest, LONGEST["choice"])):
            if length > most:
                raise ValueError(f"{what} of {called} has {length} characters: shorten it to {most}")
        return Question(name, self.lesson, text, labels, right, kind=_KINDS[ask]), options

    def _measure(self, variable: str, show: object, measured: str) -> None:
        if variable in self._predicted:
            index, options = self._predicted[variable]
            where, question = self.found[index]
            right: tuple[int, ...] = ()
            with suppress(TypeError, ValueError):  # ranges that are none, or that only a run could tell
                right = place_of(measured, options, show)
            self.found[index] = where, replace(question, measured=readable(measured), right=right)

    def _plain(self, node: ast.expr | None) -> object:
        """Return the plain data that an expression is; what only a run could tell is `_UNKNOWN`, also within it."""
        try:
            match node:
                case ast.Constant(value=value):
                    return value
                case ast.Name(id=name):
                    return self._known.get(name, _UNKNOWN)
                case ast.List(elts=parts) | ast.Tuple(elts=parts):
                    return [self._plain(part) for part in parts]
                case ast.Dict(keys=keys, values=values):
                    return {self._plain(key): self._plain(value) for key, value in zip(keys, values, strict=True)}
                case ast.UnaryOp(op=ast.USub(), operand=operand):
                    return -self._plain(operand)
                case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _ARITHMETIC:
                    return _ARITHMETIC[type(sign)](self._plain(left), self._plain(right))
                case ast.JoinedStr(values=parts):
                    return "".join(map(self._plain, parts))
                case ast.FormattedValue(value=value, conversion=-1, format_spec=spec):
                    value = self._plain(value)
                    return value if value is _UNKNOWN else format(value, self._plain(spec) if spec else "")
        except (TypeError, ValueError, ArithmeticError):
            pass
        return _UNKNOWN


def _cells(file: Path) -> list[_Cell]:
    if file.suffix.lower() == ".py":
        import jupytext  # takes half a second, and hardly anyone needs it

        cells = jupytext.reads(file.read_text(encoding="utf-8-sig"), "py").cells
    else:
        cells = json.loads(file.read_bytes())["cells"]
    return [_Cell(cell["cell_type"], "".join(cell["source"]), _said(cell.get("outputs", []))) for cell in cells]


def _said(outputs: list[dict]) -> list[str]:
    """Return what the stored run of a cell measured."""
    texts = (output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs)
    return _MEASURED.findall("\n".join("".join(text) for text in texts))


def _tree(source: str) -> ast.Module:
    """Return a cell as Python, without IPython's magics.

    Raises:
        SyntaxError: It's something else.
    """
    with warnings.catch_warnings(action="ignore"):
        try:
            return ast.parse(source)
        except SyntaxError:
            from IPython.core.inputtransformer2 import TransformerManager

        source = source.lstrip()
        source = source.partition("\n")[2] if source.startswith("%%") else source
        return ast.parse(TransformerManager().transform_cell(source))


def _assigned(statement: ast.stmt) -> str:
    """Return the variable of a plain `variable = …`; "" of any other statement."""
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1 and isinstance(statement.targets[0], ast.Name):
        return statement.targets[0].id
    return ""


def _compared(tree: ast.Module) -> list[tuple[str, ast.expr]]:
    """Return the variables whose `compare` a cell calls, in order, each with how the number is written."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    calls = [call for call in calls if call.func.attr == "compare" and isinstance(call.func.value, ast.Name)]
    calls.sort(key=lambda call: (call.lineno, call.col_offset))
    return [(call.func.value.id, _show_of(call)) for call in calls]


def _show_of(call: ast.Call) -> ast.expr:
    named = [one.value for one in call.keywords if one.arg == "show"]
    return [*call.args[1:2], *named, ast.Constant("{}")][0]


def place_of(
    measured: str, options: Mapping[str, Sequence[float | None]] | Sequence[str], show: str = "{}"
) -> tuple[int, ...]:
    """Return the place of the option that fits what was measured, or () if the digits that are shown don't decide it.

    Args:
        measured: A text such as "77.3%" or "3 tokens".
        options: Labels, or labels with their ranges: low is in, high is out, None is an open end.
        show: How the number was written, as `str.format` takes it.

    Raises:
        ValueError: `show` can't be taken apart.

    >>> place_of("77.3%", {"below 50 %": (0, 0.5), "over 50 %": (0.5, None)}, "{:.1%}")
    (1,)
    >>> place_of("50%", {"below 50 %": (0, 0.5), "over 50 %": (0.5, None)}, "{:.0%}")
    ()
    """
    shown = [part for part in string.Formatter().parse(show) if part[1] is not None]
    if len(shown) != 1:
        raise ValueError(f"show must hold one {{}}, got {show}")
    before, _, spec, _ = shown[0]
    after = "".join(part[0] for part in string.Formatter().parse(show) if part[1] is None)
    measured = measured.removeprefix(before).removesuffix(after)
    labels = list(options)
    if measured in labels:
        return (labels.index(measured),)
    unit = 0.01 if spec.endswith("%") else 1
    number = _NUMBER.fullmatch(measured.removesuffix("%") if unit != 1 else measured)
    if number is None or not isinstance(options, Mapping):
        return ()
    value = float(number[0].replace(",", "")) * unit
    # What was rounded may be half a digit away; a whole number without a unit of its own is a count, and exact.
    off = 0.0 if number[1] is None and unit == 1 else 0.5 * 10.0 ** -len(number[1] or "") * unit
    near = [
        [place for place, label in enumerate(labels) if _within(value + by, options[label])] for by in (-off, 0, off)
    ]
    fitting = [places for places in near if places]  # below the lowest there may be nothing, such as −0.05 tokens
    return tuple(fitting[0]) if fitting and all(places == fitting[0] for places in fitting) else ()


def _within(value: float, wanted: Sequence[float | None]) -> bool:
    low, high = wanted
    return (low is None or value >= low) and (high is None or value < high)
