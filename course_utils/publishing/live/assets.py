"""The files of a page whose widgets are alive without a kernel, made of what `record` has kept.

Every file is a script that hands over one text (`live.js` says why). A state is gzip of JSON; bytes that several
widgets have, such as a vocabulary, are a file of their own, named by what is in it.

Lesson: none (this is how the website is made).
"""

import base64
import gzip
import hashlib
import html
import json
from collections.abc import Mapping
from importlib.resources import files

import nbformat
from nbformat import NotebookNode

from course_utils.publishing.live.record import Recorded, recorded, stored_text
from course_utils.widgets.base import CourseWidget

_LARGE = 4096  # characters of base64 that get a file of their own
_ANSWERS_APART = 20_000  # characters of JSON: fewer travel with the state


def fragment(key: str, play: str = "") -> str:
    """Return the place of widget `key`, which goes right after its picture.

    Args:
        key: A notebook and a cell, such as "11_sampling/2ec0e97a9748".
        play: A trait that moves by itself until someone takes the widget, with its lowest and highest value, such as
            "temperature 0.4 1.6".

    >>> fragment("11_sampling/2ec0e97a9748")
    '<div class="live" data-live="11_sampling/2ec0e97a9748"></div>'
    """
    moves = f' data-play="{html.escape(play)}"' if play else ""
    return f'<div class="live" data-live="{html.escape(key)}"{moves}></div>'


def live_html(widgets: Mapping[str, CourseWidget]) -> str:
    """Return `widgets` for one page that needs nothing else: pictures, and scripts that bring them to life.

    Args:
        widgets: By names of your own; each may be built from a saved trace, without a model.

    >>> from course_utils.widgets import MemoryCalculator
    >>> "courseLive.put" in live_html({"memory": MemoryCalculator()})
    True
    """
    kept = {key: recorded(widget) for key, widget in widgets.items()}
    shown = [_picture(widget) + fragment(key) for key, widget in widgets.items()]
    scripts = [f"<script>{text}</script>" for text in (script(), *live_files(kept).values())]
    return "\n".join([f"<style>{style()}</style>", *shown, *scripts])


def _picture(widget: CourseWidget) -> str:
    data, metadata = widget.static_bundle()
    if "text/html" in data:
        return f"<div>{data['text/html']}</div>"
    picture = base64.b64encode(data["image/png"]).decode("ascii")
    return f'<img src="data:image/png;base64,{picture}" alt="{html.escape(metadata["image/png"]["alt"])}">'


def live_files(widgets: dict[str, Recorded]) -> dict[str, str]:
    """Return the scripts of `widgets`, which are by their keys, by their names: states, shared bytes and modules."""
    made = {}
    for key, widget in widgets.items():
        answers = _with_files(widget["answers"], made)
        state = {"module": widget["module"], "state": _with_files(widget["state"], made), "more": answers}
        if len(json.dumps(answers)) > _ANSWERS_APART:
            made[f"states/{key}-more"] = _packed(answers)
            state["more"] = f"states/{key}-more"
        made[f"states/{key}"] = _packed(state)
    for name in sorted({"_common", *(widget["module"] for widget in widgets.values())}):
        made[f"widgets/{name}"] = _widget_file(f"{name}.js")
    return {name: f"courseLive.put({_in_script(name)}, {_in_script(text)});\n" for name, text in made.items()}


def add_place(cell: NotebookNode, key: str) -> None:
    """Put the place of widget `key` after the picture, or the question, that `cell` stores of it."""
    text = stored_text(cell)
    at = max(i for i, output in enumerate(cell.outputs) if output.get("data", {}).get("text/plain") == text)
    place = nbformat.v4.new_output("display_data", {"text/html": fragment(key), "text/plain": ""})
    cell.outputs.insert(at + 1, place)


def script() -> str:
    """Return the script that every page with a widget runs."""
    return _live_file("live.js")


def style() -> str:
    """Return the style sheet of all widgets and of their places."""
    sheets = sorted(file.name for file in files("course_utils.widgets").iterdir() if file.name.endswith(".css"))
    return "\n".join([_live_file("live.css"), *map(_widget_file, sheets)])


def _in_script(text: str) -> str:
    """A string of JavaScript that also may stand between the tags of a script: nothing in it can end or begin one."""
    return json.dumps(text).replace("<", "\\u003c")


def _live_file(name: str) -> str:
    return files("course_utils.publishing.live").joinpath(name).read_text(encoding="utf-8")


def _widget_file(name: str) -> str:
    return files("course_utils.widgets").joinpath(name).read_text(encoding="utf-8")


def _with_files(value: object, made: dict[str, str]) -> object:
    """Return `value` with its large bytes in files of their own, which go into `made`."""
    if isinstance(value, list):
        return [_with_files(one, made) for one in value]
    if not isinstance(value, dict):
        return value
    if len(value.get("$bytes", "")) < _LARGE:
        return {name: _with_files(one, made) for name, one in value.items()}
    data = base64.b64decode(value["$bytes"])
    name = f"bytes/{hashlib.sha256(data).hexdigest()[:16]}"
    made[name] = _packed_bytes(data)
    return {"$file": name}


def _packed(value: object) -> str:
    return _packed_bytes(json.dumps(value, separators=(",", ":")).encode())


def _packed_bytes(data: bytes) -> str:
    return base64.b64encode(gzip.compress(data, mtime=0)).decode("ascii")
