"""The base class of every widget: what a reader without a kernel sees, and where the page's code is."""

import asyncio
from contextlib import suppress
from importlib.resources import files

import anywidget
from IPython import get_ipython

from course_utils.figures.base import CourseFigure, png_bytes


def page_module(name: str) -> str:
    """Return the JavaScript of widget `name` with the shared functions of `_common.js` in front.

    Each widget is one plain ES module without a build step. The page cannot fetch a second file from the
    kernel, so the shared part travels with each widget.

    Lesson: none (this is how widgets are made).

    >>> "export default" in page_module("sampling_lab")
    True
    """
    folder = files("course_utils.widgets")
    return "\n".join((folder / f"{part}.js").read_text(encoding="utf-8") for part in ("_common", name))


def page_style(name: str) -> str:
    """Return the style sheet of widget `name` with the shared rules of `_common.css` in front.

    Lesson: none (this is how widgets are made).

    >>> "--jp-" in page_style("sampling_lab")
    True
    """
    folder = files("course_utils.widgets")
    own = folder / f"{name}.css"
    shared = (folder / "_common.css").read_text(encoding="utf-8")
    return shared + (own.read_text(encoding="utf-8") if own.is_file() else "")


class CourseWidget(anywidget.AnyWidget):
    """A widget that is a picture and a text as well, for readers without a kernel.

    A subclass sets `_esm` and `_css`, and writes `figure()` and `describe()`. A notebook then stores a PNG
    with alt text and a deterministic text: GitHub, nbconvert and screen readers show these, and nbval
    compares the text. When someone uses the widget, what is stored follows; `lab_extensions` shows it where the
    kernel is gone.

    Lesson: every lesson with a widget.
    """

    # Seconds: drawing takes up to two, in which the kernel answers nobody, so it waits until nobody seems to be there.
    _store_after = 5.0
    _storing: asyncio.TimerHandle | None = None

    def describe(self) -> str:
        """Say in words, deterministically, what the widget shows now."""
        raise NotImplementedError

    def figure(self) -> CourseFigure:
        """Draw what the widget shows now."""
        raise NotImplementedError

    def save(self, path: str) -> None:
        """Save the picture to `path`; the ending (.svg, .png, .pdf) sets the format."""
        self.figure().savefig(path)

    def static_bundle(self) -> tuple[dict, dict]:
        """Return what a page without a kernel shows: data by MIME type, and its metadata."""
        figure = self.figure()
        return {"image/png": png_bytes(figure)}, {"image/png": {"alt": figure.alt}}

    def __repr__(self) -> str:
        return self.describe()

    def _repr_mimebundle_(self, **kwargs: object) -> tuple[dict, dict]:
        data, metadata = super()._repr_mimebundle_(**kwargs)
        static_data, static_metadata = self.static_bundle()
        return {**data, **static_data, "text/plain": self.describe()}, {**metadata, **static_metadata}

    def set_state(self, sync_data: dict) -> None:
        """Take what the page sends."""
        super().set_state(sync_data)
        self._store_soon()

    def _store_soon(self) -> None:
        """Bring what the notebook stores up to date when the page has been quiet for a while."""
        with suppress(RuntimeError):  # there is no event loop, so no kernel
            loop = asyncio.get_running_loop()
            if self._storing is not None:
                self._storing.cancel()
            self._storing = loop.call_later(self._store_after, self._store)

    def _store(self) -> None:
        publisher = getattr(get_ipython(), "display_pub", None)
        if publisher is None or self.model_id is None:
            return
        with suppress(Exception):  # the picture from before stays, and the widget itself says what is wrong
            data, metadata = self._repr_mimebundle_()
            publisher.publish(data, metadata, transient={"display_id": self.model_id}, update=True)
