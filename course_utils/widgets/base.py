"""The base classes of the widgets: what a reader without a kernel sees, and how the kernel answers the page."""

import asyncio
import difflib
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import partial
from importlib.resources import files
from typing import ClassVar

import anywidget
import traitlets
from IPython import get_ipython

from course_utils.engine.arguments import plain
from course_utils.engine.progress import heard_by, in_words
from course_utils.errors import first_line
from course_utils.figures.base import CourseFigure, png_bytes

# What traitlets calls the kinds of values, and what a learner does.
_KINDS = {"an int": "a whole number", "a float": "a number", "a unicode string": "a text", "a boolean": "True or False"}
STOPPED = "Stopped. What you see below is from before."


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
    compares the text. When someone uses the widget, or sets a trait, what is stored follows; `lab_extensions` shows it
    where the kernel is gone.

    Lesson: every lesson with a widget.
    """

    # Seconds: drawing can take two, in which the kernel answers nobody, so it waits until nobody seems to be there.
    _store_after = 5.0
    _last_change = 0.0  # of any widget: whoever has left one may be at the next
    _storing: asyncio.TimerHandle | None = None
    _is_stored = False  # before it's on a page, there is nothing to bring up to date

    def __init__(self, **state: object) -> None:
        self._check_names(state)
        super().__init__(**state)

    def __setattr__(self, name: str, value: object) -> None:
        """Take numbers of numpy and torch for numbers; what a setting can't be is one sentence."""
        trait = getattr(type(self), name, None)
        if not isinstance(trait, traitlets.TraitType):
            super().__setattr__(name, value)
            return
        value = plain(value)
        if isinstance(trait, traitlets.List) and isinstance(value, Iterable) and not isinstance(value, str):
            value = [plain(one) for one in value]
        try:
            super().__setattr__(name, value)
        except traitlets.TraitError:
            allowed = trait.info() + " or None" * trait.allow_none
            for theirs, ours in _KINDS.items():
                allowed = allowed.replace(theirs, ours)
            raise ValueError(f"{name} must be {allowed}, got {value!r:.100}") from None

    def set_all(self, settings: Mapping[str, object]) -> None:
        """Set traits by their names.

        Raises:
            TypeError: There is no setting of that name.
            ValueError: A setting is out of its range.
        """
        self._check_names(settings)
        for name, value in settings.items():
            setattr(self, name, value)

    def _check_names(self, names: Iterable[str]) -> None:
        for name in names:
            if not self.has_trait(name):
                known = [one for one in self.traits(sync=True) if hasattr(type(self), one) and one[0] != "_"]
                near = difflib.get_close_matches(name, known, 1, 0.75)
                kind = type(self).__name__
                hint = f"did you mean {near[0]}?" if near else f"help({kind}) lists them"
                raise TypeError(f"{name} isn't a setting of {kind}; {hint}")

    def describe(self) -> str:
        """Say in words, deterministically, what the widget shows now."""
        raise NotImplementedError

    def figure(self) -> CourseFigure:
        """Draw what the widget shows now."""
        raise NotImplementedError

    def save(self, path: str) -> None:
        """Save the picture to `path`; the ending (.svg, .png, .pdf) sets the format."""
        self.figure().savefig(path)

    @classmethod
    def page_name(cls) -> str:
        """Return the name of the widget's JavaScript, which is also its module's: `sampling_lab` of `SamplingLab`."""
        modules = [one.__module__ for one in cls.__mro__]  # a learner's own class, or a question's, is elsewhere
        return next(name for name in modules if name.startswith(f"{__package__}.")).rpartition(".")[2]

    def recorded_state(self) -> dict[str, object]:
        """Return the traits that a page without a kernel has."""
        return self.get_state()

    def recorded_answers(self) -> dict[str, dict]:
        """Return what a page without a kernel can be told: by what it asks, as JSON, the answer.

        An answer to `asked` are traits with their new values, one to `ask` (a message of the page's) is a packet.
        """
        return {}

    def static_bundle(self) -> tuple[dict, dict]:
        """Return what a page without a kernel shows: data by MIME type, and its metadata."""
        figure = self.figure()
        return {"image/png": png_bytes(figure)}, {"image/png": {"alt": figure.alt}}

    def set_state(self, sync_data: dict) -> None:
        """Take what the page sends; if that's refused, keep the last good state and send it back, with a sentence."""
        before = {name: getattr(self, name) for name in sync_data if name in self.keys}
        try:
            super().set_state(sync_data)
        except BaseException as error:  # noqa: BLE001 - else a log that nobody reads, and exit() would end the kernel
            with self.hold_sync():
                for name in before.keys() - {"asked"}:
                    setattr(self, name, before[name])
                self._refuse(sync_data, error)
            self.send_state(list(before))

    def notify_change(self, change: traitlets.Bunch) -> None:
        """Tell everyone who listens, as `traitlets` does; what the notebook stores follows, too."""
        super().notify_change(change)
        if self._is_stored and change["name"] in self.keys:
            self._store_soon()

    def _refuse(self, sync_data: dict, error: BaseException) -> None:
        """Say what was wrong with what the page sent, where the widget has a place for that."""

    def __repr__(self) -> str:
        return self.describe()

    def _repr_mimebundle_(self, **kwargs: object) -> tuple[dict, dict]:
        data, metadata = super()._repr_mimebundle_(**kwargs)
        static_data, static_metadata = self.static_bundle()
        self._is_stored = True
        return {**data, **static_data, "text/plain": self.describe()}, {**metadata, **static_metadata}

    def _store_soon(self) -> None:
        """Bring what the notebook stores up to date when all widgets have been quiet for a while."""
        with suppress(RuntimeError):  # there is no event loop, so no kernel
            CourseWidget._last_change = asyncio.get_running_loop().time()
            if self._storing is not None:
                self._storing.cancel()
            self._wait(self._store_after)

    def _wait(self, seconds: float) -> None:
        self._storing = asyncio.get_running_loop().call_later(seconds, self._store_if_quiet)

    def _store_if_quiet(self) -> None:
        quiet = asyncio.get_running_loop().time() - CourseWidget._last_change
        if quiet < self._store_after:
            self._wait(self._store_after - quiet)
        else:
            self._store()

    def _store(self) -> None:
        shell = get_ipython()
        kernel = getattr(shell, "kernel", None)
        if kernel is None or self.model_id is None:
            return
        say = partial(kernel.session.send, kernel.iopub_socket, "status")
        say({"execution_state": "busy"})  # a page that asks meanwhile would take an idle kernel for a new one
        with suppress(BaseException):  # the picture from before stays, and the widget itself says what is wrong
            data, metadata = self._repr_mimebundle_()
            shell.display_pub.publish(data, metadata, transient={"display_id": self.model_id}, update=True)
        say({"execution_state": "idle"})


class AskingWidget(CourseWidget):
    """A widget whose page can ask the kernel to run something, and which always gets an answer.

    The page sets `asked` to a new number and what it wants. `answer` is called with what it wants. Whatever it raises
    becomes one sentence in `problem`, and `answered` becomes that number, in one message with all that `answer` has
    changed. An interrupt stops the work. `asking` in `_common.js` is the other side.

    A subclass writes `answer`, which changes the widget only when all of its work has succeeded. `called` says
    what the page calls an argument that a sentence may name.

    Lesson: every lesson with a widget that runs a model.
    """

    called: ClassVar[dict[str, str]] = {}

    can_run = traitlets.Bool().tag(sync=True)
    asked = traitlets.List([0]).tag(sync=True)  # number of the press, then what is wanted
    problem = traitlets.Unicode().tag(sync=True)
    answered = traitlets.Int(0).tag(sync=True)

    def __init__(self, **state: object) -> None:
        super().__init__(**state)
        self._answer_in_main_thread()
        self.observe(self._reply, "asked")

    def _answer_in_main_thread(self) -> None:
        """Have the kernel take this widget's messages one after the other with the cells.

        JupyterLab asks for another thread ("comms over subshells"). There, an interrupt never arrives, and the model
        would run at the same time as a cell.
        """
        if hasattr(self.comm, "_reply_subshell_for"):
            self.comm._reply_subshell_for = lambda data, default: None

    def answer(self, *wanted: object) -> None:
        """Do what the page asks for."""
        raise NotImplementedError

    def tell(self, progress: str) -> None:
        """Say on the page, while `answer` works, how far it is; what `engine.progress` reports is said anyway."""
        self.send({"progress": progress})

    def _reply(self, change: dict) -> None:
        press, *wanted = change["new"]
        self.send({"begun": press})  # the page knows from it that there's a kernel, and one that isn't busy
        with self.hold_sync():
            self.problem, self.answered = self._problem_with(wanted), press

    def _problem_with(self, wanted: list) -> str:
        try:
            with heard_by(in_words(self.tell)):
                self.answer(*wanted)
        except BaseException as error:  # noqa: BLE001 - of any kind, exit() too: the page waits for an answer
            return self._sentence(error)
        return ""

    def _sentence(self, error: BaseException) -> str:
        if isinstance(error, KeyboardInterrupt):
            return STOPPED
        said = re.sub(r"\bgot (None|''|\"\")$", "got nothing", in_one_sentence(error))  # an empty box
        for name, label in self.called.items():
            said = re.sub(rf"\b{name}\b", label, said)
        return said

    def _refuse(self, sync_data: dict, error: BaseException) -> None:
        self.problem = self._sentence(error)
        self.answered = max(self.answered, sync_data.get("asked", [0])[0])


def in_one_sentence(error: BaseException) -> str:
    """Return the first line of what `error` says; an error that wasn't written for a learner is called by its kind.

    Lesson: none (this is how widgets are made).

    >>> in_one_sentence(ValueError("top_p must be in (0, 1], got 2"))
    'top_p must be in (0, 1], got 2'
    >>> in_one_sentence(KeyError("weights"))
    "KeyError: 'weights'"
    """
    first = first_line(error)
    if first and isinstance(error, ValueError | TypeError):
        return first
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
