"""What Sphinx loads, beside conf.py, to read the library's docstrings, which are written as people write Markdown.

Code in backticks becomes a link where it names something public; the lesson that a docstring names becomes a link to
its page; and each entry says which lessons use it.
"""

import builtins
import inspect
import json
import re
from pathlib import Path

from docutils import nodes
from sphinx.addnodes import desc_content, pending_xref
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.inspect import stringify_signature

from course_utils.publishing.api_pages import ROOMS, Library, PublicName, as_rest

_CODE = re.compile(r"(`[^`]+`)")
_NAME = re.compile(r"[A-Za-z]\w*(?:\.\w+)*(?=(?:\(\))?$)")
_MANY = 6  # lessons: beyond that, the first of them and their number are more use than all
_LOG = logging.getLogger(__name__)


class Docstrings:
    """The docstrings of the library, as Sphinx wants them.

    Args:
        folder: What Sphinx reads: the notebooks are in there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.library = Library(folder)
        self.titles = {_title(file): self._link(_title(file), file) for file in self.library.notebooks}

    def convert(self, what: str, path: str, thing: object, lines: list[str]) -> list[str]:
        """Return the docstring `lines` of `thing` as reStructuredText, with where it's used."""
        name = self.library.known.get(path)
        if name and name.kind == "constant":  # what Sphinx has is the docstring of its type
            lines = [name.comment]
        own = _arguments(thing)
        blocks = []
        for block in _blocks(lines):
            if block.lstrip().startswith(">>>"):
                blocks.append(block)
            elif block.lstrip().startswith("Lesson:"):
                blocks.append(self._lessons(path, block))
            else:
                blocks.append(self._linked(block, path, own))
        if what != "module":
            blocks.append(self._used_in(path))
        text = "\n\n".join(filter(None, blocks))
        # Napoleon takes what their first line has before a colon for a type; this one is a comment.
        return (f"..\n\n{text}" if what in ("data", "attribute", "property") else text).splitlines()

    def _linked(self, block: str, path: str, own: set[str]) -> str:
        """Return a paragraph in which what is public, and no argument's name, is a link."""
        return "".join(
            (self._reference(part, path, own) if number % 2 else "") or as_rest(part)
            for number, part in enumerate(_CODE.split(block))
        )

    def _reference(self, code: str, path: str, own: set[str]) -> str:
        words = code.strip("`")
        found = _NAME.match(words)
        if not found or found[0].split(".")[0] in own:
            return ""
        if path.count(".") == 1 and words in ROOMS and not path.endswith(words):  # the page of a room names others
            return f":doc:`{words} </api/{words}>`"
        name, _, member = found[0].partition(".")
        target = self._target(name, path)
        if target is None or target.path == path:
            return ""
        return f":py:obj:`{words} <{target.path}{'.' * bool(member)}{member}>`"

    def _target(self, name: str, path: str) -> PublicName | None:
        """Return the public `name` that is meant in the docstring of `path`: of its module, of its room, or the one."""
        named = {entry for entry in self.library.known.values() if entry.name == name}
        for near in (_home(path, self.library), ".".join(path.split(".")[:2]), "course_utils"):
            nearest = [entry for entry in named if f"{entry.home}.".startswith(f"{near}.")]
            if nearest:
                return nearest[0] if len(nearest) == 1 else None
        return None

    def _lessons(self, path: str, block: str) -> str:
        """Return the line that names the lessons with links in it, or nothing where it says that there's none."""
        text = " ".join(block.split()).removeprefix("Lesson: ")
        if text.startswith("none"):
            return ""
        links = [self._link("every lesson", "/notebooks/index")] if text.startswith("every lesson") else []
        for title in sorted(self.titles, key=len, reverse=True):
            if title in text:
                text = text.replace(title, f"\0{len(links)}\0")
                links.append(self.titles[title])
        if re.search(r"\d\d · ", text) or not links:
            _LOG.warning("%s names a lesson that does not exist: %s", path, " ".join(block.split()))
        text = text.replace("every lesson", "\0000\0", 1)
        return "**Lesson**: " + re.sub("\0(\\d+)\0", lambda found: links[int(found[1])], text)

    def _used_in(self, path: str) -> str:
        name = self.library.known.get(path)
        files = self.library.used_in.get(name.path, []) if name and name.path == path else []
        links = [self.titles[_title(file)] for file in files]
        if len(links) > _MANY:
            links = [f"{len(links)} notebooks, first in {links[0]}"]
        return f"*Used in* {', '.join(links)}" if links else ""

    def _link(self, words: str, file: Path | str) -> str:
        if isinstance(file, Path):
            file = "/" + str(file.relative_to(self.folder).with_suffix("").as_posix())
        return f":doc:`{words} <{file}>`"


def setup(app: Sphinx) -> dict:
    """Make Sphinx read docstrings through this module."""
    app.setup_extension("sphinx.ext.autodoc")
    app.setup_extension("sphinx.ext.napoleon")

    def prepare(app: Sphinx) -> None:
        docstrings = Docstrings(Path(app.srcdir))

        def convert(app: Sphinx, what: str, path: str, thing: object, options: object, lines: list[str]) -> None:
            lines[:] = docstrings.convert(what, path, thing, lines)

        # Before Napoleon, which reads Args, Raises and Returns.
        app.connect("autodoc-process-docstring", convert, priority=400)

    app.connect("builder-inited", prepare)
    app.connect("autodoc-skip-member", _skips)
    app.connect("autodoc-process-signature", _signature)
    app.connect("doctree-read", _tidy)
    return {"parallel_read_safe": True}


def _skips(app: Sphinx, what: str, name: str, thing: object, skip: bool, options: object) -> bool | None:
    """Leave out members that aren't code of ours: a setting has the docstring of its type, `set` that of matplotlib."""
    if isinstance(thing, property):
        thing = thing.fget
    thing = getattr(thing, "func", thing)  # of a cached property
    is_ours = inspect.isroutine(thing) and str(getattr(thing, "__module__", "")).startswith("course_utils")
    return None if is_ours else True


def _signature(
    app: Sphinx, what: str, path: str, thing: type, options: object, shown: str, returns: str
) -> tuple | None:
    """Show what a widget's own `__init__` takes; traitlets gives all its classes `(*args, **kwargs)`."""
    if what != "class" or shown != "(*args, **kwargs)" or "__init__" not in vars(thing):
        return None
    signature = inspect.signature(thing.__init__)
    return stringify_signature(
        signature.replace(parameters=list(signature.parameters.values())[1:]), show_annotation=False
    ), returns


def _tidy(app: Sphinx, document: nodes.document) -> None:
    """Put arguments before errors, say nothing of a function that returns nothing, and link no type of Python.

    Sphinx adds the types after what the docstring has, and would link `bytes` to a property of the library's.
    """
    for reference in list(document.findall(pending_xref)):
        if reference.get("refdomain") == "py" and hasattr(builtins, reference["reftarget"]):
            reference.replace_self(reference.children)
    for content in document.findall(desc_content):
        for fields in [node for node in content if isinstance(node, nodes.field_list)]:
            ordered = sorted(fields, key=lambda field: field[0].astext() == "Raises")
            kept = [field for field in ordered if [part.astext() for part in field] != ["Return type", "None"]]
            fields[:] = kept
            if not kept:
                content.remove(fields)


def _blocks(lines: list[str]) -> list[str]:
    """Return the paragraphs of a docstring; the line with its lessons is one of its own."""
    return re.split(r"\n\s*\n|\n(?=Lesson: )", "\n".join(lines).strip("\n"))


def _title(file: Path) -> str:
    """Return the title of a notebook as docstrings have it: without backticks, and deeper ones by their topic."""
    first = "".join(json.loads(file.read_text(encoding="utf-8"))["cells"][0]["source"]).partition("\n")[0]
    title = first.removeprefix("# ").replace("`", "")
    return title.partition(" · ")[2] if file.parent.name == "deeper" else title


def _home(path: str, library: Library) -> str:
    """Return the module that `path`, or the class that has it, is written in."""
    for candidate in (path, path.rpartition(".")[0]):
        if candidate in library.known:
            return library.known[candidate].home
    return path


def _arguments(thing: object) -> set[str]:
    try:
        return set(inspect.signature(thing).parameters)
    except (TypeError, ValueError):
        return set()
