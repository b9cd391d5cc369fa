"""What a widget of a notebook needs to be alive on a page without a kernel, kept beside the notebook.

A notebook's last outputs are pictures. `record_widgets`, called in its kernel after the last cell, keeps the state of
every widget, too, and what the kernel would answer to a page. `sync` does that whenever it runs a notebook; the
website and the slides read it.

Lesson: none (this is how the website is made).
"""

import base64
import json
import lzma
from pathlib import Path

from ipywidgets import Widget
from nbformat import NotebookNode

from course_utils.errors import CourseError
from course_utils.files import write_whole
from course_utils.widgets.base import CourseWidget

FOLDER = "website/live"
# What anywidget and ipywidgets keep of every widget: not the widget's own, and sent with its module and its style.
_NOT_OWN = {"layout", "tabbable", "tooltip"}

# One widget: the name of its JavaScript, its words, its traits, and by what a page may ask, what it's told.
Recorded = dict[str, object]


class LiveError(CourseError):
    """What was kept of the widgets cannot be used; the message says what to do."""


def record_widgets(file: Path) -> None:
    """Write every widget of this kernel to `file`, by its model id."""
    widgets = {name: recorded(widget) for name, widget in Widget.widgets.items() if isinstance(widget, CourseWidget)}
    file.write_text(json.dumps(widgets), encoding="utf-8")


def recorded(widget: CourseWidget) -> Recorded:
    """Return `widget` as a page without a kernel can have it.

    >>> from course_utils.widgets import MemoryCalculator
    >>> kept = recorded(MemoryCalculator(batch=3))
    >>> kept["module"], kept["state"]["batch"], kept["answers"]
    ('memory_calculator', 3, {})
    """
    state = {
        name: value
        for name, value in sorted(widget.recorded_state().items())
        if name not in _NOT_OWN and not name.startswith(("_model_", "_view_", "_dom_", "_esm", "_css", "_anywidget_"))
    }
    if "can_run" in state:
        state["can_run"] = False
    answers = widget.recorded_answers()
    whole = {"module": widget.page_name(), "text": widget.describe(), "state": state, "answers": answers}
    return json.loads(json.dumps(whole, default=_plain))


def keep(root: Path, notebook: str, widgets: dict[str, Recorded]) -> None:
    """Keep the widgets of `notebook`, such as "notebooks/11_sampling", by the ids of their cells."""
    file = place(root, notebook)
    if not widgets:
        file.unlink(missing_ok=True)
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(dict(sorted(widgets.items())), separators=(",", ":"))
    write_whole(file, lzma.compress(text.encode(), preset=9))


def kept(root: Path, notebook: str) -> dict[str, Recorded]:
    """Return the widgets of `notebook` by the ids of their cells; none if it has none.

    Raises:
        LiveError: The file is damaged.
    """
    file = place(root, notebook)
    if not file.is_file():
        return {}
    try:
        return json.loads(lzma.decompress(file.read_bytes()))
    except (lzma.LZMAError, ValueError):
        raise LiveError(f"{file} is damaged: delete it and run `course sync --execute`.") from None


def stored_text(cell: NotebookNode) -> str:
    """Return the words that a cell of a notebook stores beside its last picture or question; "" if there are none."""
    for output in reversed(cell.get("outputs", [])):
        if "text/plain" in output.get("data", {}):
            return output.data["text/plain"]
    return ""


def place(root: Path, notebook: str) -> Path:
    """Return the file of a notebook's widgets.

    >>> place(Path("course"), "notebooks/deeper/11_ties").as_posix()
    'course/website/live/deeper/11_ties.json.xz'
    """
    return root / FOLDER / f"{notebook.removeprefix('notebooks/')}.json.xz"


def _plain(value: object) -> dict[str, str]:
    """Bytes as JSON can have them."""
    return {"$bytes": base64.b64encode(value).decode("ascii")}
