"""The lines that people know, on the course's models: `pipeline("sentiment-analysis")` without a model name.

Nothing of transformers is touched before `use_course_models()` is called, and all of it can be put back.

Lesson: 04 · The pipeline tasks
"""

import os
from collections.abc import Callable, MutableMapping
from contextlib import ExitStack
from functools import wraps

from huggingface_hub import constants
from huggingface_hub.errors import LocalEntryNotFoundError
from transformers import pipelines
from transformers.pipelines import PIPELINE_REGISTRY
from transformers.utils import hub as transformers_hub
from transformers.utils import logging

from course_utils.models.hub import ask_again, check_reachable, is_hub_asked, profile
from course_utils.models.pipelines import checked_class, default_model, pipeline_tasks, registered
from course_utils.models.restored_tasks import RESTORED_TASKS, TaskAliases
from course_utils.models.store import ModelStoreError

_ABSENT = object()


class CourseModels(ExitStack):
    """What `use_course_models` changed; `undo()`, or the end of a `with` block, puts it back.

    Lesson: 04 · The pipeline tasks
    """

    def undo(self) -> None:
        """Put everything back as it was; a second time does nothing."""
        self.close()

    def __repr__(self) -> str:
        return f"<pipeline(task) finds the models of the {profile()} profile; .undo() takes that back>"

    def set(self, names: MutableMapping, name: str, value: object) -> None:
        """Give a name in `names` another value, or none with `_ABSENT`, and remember to put the old one back."""
        self.callback(_put, names, name, names.get(name, _ABSENT))
        _put(names, name, value)


_in_use = CourseModels()


def use_course_models() -> CourseModels:
    """Let plain `transformers.pipeline(task)` find the models that came with the course.

    It doesn't matter whether `from transformers import pipeline` came before. The tasks that transformers 5 dropped
    (question answering, translation, summarization, text2text-generation) are back, and so are the checks of
    `load_pipeline` for the course's models. With `model=` you get what you ask for, as always.

    The embedded profile stays away from the network, so a model that isn't on this machine gives a one-line error
    (`HF_HUB_OFFLINE=0` lets transformers ask the hub all the same). In the hub profile, `COURSE_MODELS=hub`, the same
    lines load the famous models at pinned revisions; a hub that doesn't answer within 3 s isn't asked again.
    After a change of profile, call it again. Bars that show how weights on this disk load, in a blink, are off; those
    of a download stay.

    Returns:
        What takes everything back: `.undo()`, or use it as a context manager.

    Raises:
        ValueError: `COURSE_MODELS` is neither "embedded" nor "hub".

    Lesson: 04 · The pipeline tasks

    >>> from transformers import pipeline
    >>> with use_course_models():
    ...     pipeline("sentiment-analysis")("I hate this so much!")[0]["label"]
    'NEGATIVE'
    """
    global _in_use
    tasks = {*pipeline_tasks(), *RESTORED_TASKS}
    _in_use.undo()  # a second call starts over: the profile or the network may have changed
    _in_use = changes = CourseModels()
    reason = _go_offline(changes)
    changes.set(vars(transformers_hub), "cached_files", _explained(transformers_hub.cached_files, reason))
    changes.set(vars(PIPELINE_REGISTRY), "task_aliases", TaskAliases(PIPELINE_REGISTRY.task_aliases))
    for task in RESTORED_TASKS:  # `pipeline` looks at its list of removed tasks before it looks at the registry
        changes.set(pipelines.REMOVED_TASKS, task, _ABSENT)
    for task in tasks - PIPELINE_REGISTRY.task_aliases.keys():
        entry = registered(task)
        ours = {"impl": checked_class(entry), "default": _Default(model=task)}
        changes.set(PIPELINE_REGISTRY.supported_tasks, task, entry | ours)
    return changes


class _Default(dict):
    """The default model of a task, found when it's asked for: that may take a moment and some space on the disk."""

    def __getitem__(self, key: str) -> tuple[str, str]:
        return default_model(super().__getitem__(key))


def _go_offline(changes: CourseModels) -> str:
    """Keep transformers from waiting for a hub that it shouldn't ask, or that's down; return why it isn't asked."""
    if profile() == "embedded":
        if logging.is_progress_bar_enabled():
            changes.callback(logging.enable_progress_bar)
            logging.disable_progress_bar()
        if not is_hub_asked():
            changes.set(os.environ, "HF_HUB_OFFLINE", "1")
            changes.set(vars(constants), "HF_HUB_OFFLINE", True)
        again = "set COURSE_MODELS=hub and call use_course_models() again to load it from there"
        return f"the embedded profile doesn't ask the Hugging Face hub; {again}"
    ask_again()
    if constants.is_offline_mode():
        return "HF_HUB_OFFLINE is set; start Python without it to ask the hub"
    try:
        check_reachable()
    except ModelStoreError:
        changes.set(vars(constants), "HF_HUB_OFFLINE", True)
    again = "connect to a network and call use_course_models() again, or set COURSE_MODELS=embedded"
    return f"the hub at {constants.ENDPOINT} does not answer; {again}"


def _explained(cached_files: Callable, reason: str) -> Callable:
    """Wrap the function through which transformers finds every file: a model that isn't here gets our sentence."""

    @wraps(cached_files)
    def find(path_or_repo_id: str | os.PathLike, *args: object, **settings: object) -> list[str] | None:
        try:
            return cached_files(path_or_repo_id, *args, **settings)
        except OSError as error:
            if not constants.is_offline_mode() or not isinstance(error.__cause__, LocalEntryNotFoundError):
                raise
            missing = f"{str(path_or_repo_id)!r} is neither a folder nor a model that was fetched before"
            raise OSError(f"{missing}, and {reason}.") from None

    return find


def _put(names: MutableMapping, name: str, value: object) -> None:
    if value is _ABSENT:
        names.pop(name, None)
    else:
        names[name] = value
