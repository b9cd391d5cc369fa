"""The names that other libraries have for the settings of a generation, turned into the course's own.

Lesson: 15 · Capstone: your own generate()
"""

import difflib
import functools
from collections.abc import Mapping
from dataclasses import fields

from transformers import GenerationConfig

from course_utils.engine.arguments import check_flag, plain, token_ids
from course_utils.engine.other_settings import INSTEAD, NO_EFFECT, is_off

# In the order of transformers: what it takes if nothing is said, and what is off.
SAMPLING = {"temperature": (1, 1), "top_k": (50, 0), "top_p": (1, 1), "min_p": (None, None)}
# In the order of transformers, which doesn't have the last two: the course's name, and what is off.
PENALTIES = {
    "repetition_penalty": ("repetition_penalty", 1),
    "no_repeat_ngram_size": ("no_repeat_ngram", 0),
    "presence_penalty": ("presence_penalty", 0),
    "frequency_penalty": ("frequency_penalty", 0),
}
FURTHER = ("bad_words_ids", "suppress_tokens", "begin_suppress_tokens", "forced_bos_token_id", "forced_eos_token_id")
# Two ways to say the same: either the course's own name, or some of the usual ones.
TWO_WAYS = {
    "filters": tuple(SAMPLING),
    "penalties": tuple(PENALTIES),
    "eos_ids": ("eos_token_id",),
    "stop_strings": ("stop",),
    "seed": ("generator",),
}


def takes_usual_names(settings_class: type) -> type:
    """Let a dataclass of settings also be made with the names of `GenerationConfig` and of the OpenAI API.

    >>> from course_utils.engine.settings import GenerationSettings
    >>> GenerationSettings(do_sample=True, temperature=0.7, top_k=40).filters
    [('temperature', 0.7), ('top_k', 40)]
    """
    init = settings_class.__init__
    own = [field.name for field in fields(settings_class)]

    @functools.wraps(init)
    def with_usual_names(self, **given) -> None:
        init(self, **own_names(given, own))

    settings_class.__init__ = with_usual_names
    return settings_class


def own_names(given: Mapping[str, object], own: list[str]) -> dict[str, object]:
    """Return settings under the course's own names, the names in `own`.

    Raises:
        ValueError: A name is unknown, or two settings say the same in two ways.

    >>> own_names({"stop": "###", "eos_token_id": None}, ["stop_strings", "eos_ids"])
    {'eos_ids': [], 'stop_strings': ['###']}
    """
    direct = {name: value for name, value in given.items() if name != "generation_config"}
    settings = _of_config(given.get("generation_config"), direct) | direct
    for name, value in settings.items():
        _check_name(name, value, own)
    for ours, others in TWO_WAYS.items():
        said = [name for name in others if settings.get(name) is not None]
        if said and settings.get(ours) is not None:
            raise ValueError(f"{ours} and {said[0]} must not be given together: they set the same thing")
    translated = {
        "filters": _filters(settings, direct),
        "penalties": _penalties(settings),
        "eos_ids": _eos_ids(settings),
        "stop_strings": _stop_strings(settings),
        "further": {name: settings[name] for name in FURTHER if name in settings},
    }
    # As in transformers: where both are given, the number of new tokens wins over the length with the prompt.
    for new, whole in (("max_new_tokens", "max_length"), ("min_new_tokens", "min_length")):
        if settings.get(new) is not None:
            settings.pop(whole, None)
    plainly = {name: settings[name] for name in own if settings.get(name) is not None}
    return {name: value for name, value in translated.items() if value is not None and name in own} | plainly


def _of_config(config: GenerationConfig | None, direct: Mapping) -> dict[str, object]:
    """Return what a `GenerationConfig` sets and nothing in `direct` sets in another way."""
    if config is None:
        return {}
    if not isinstance(config, GenerationConfig):
        raise ValueError(f"generation_config must be a GenerationConfig of transformers, got {type(config).__name__}")
    public = {name: value for name, value in vars(config).items() if not name.startswith("_") and value is not None}
    silent = {name for ours, others in TWO_WAYS.items() if direct.get(ours) is not None for name in others}
    return {name: value for name, value in public.items() if name not in silent}


def _check_name(name: str, value: object, own: list[str]) -> None:
    """Raise unless the setting `name` is one of the course's own, or understood, or switched off."""
    understood = [*own, *SAMPLING, *PENALTIES, *FURTHER, *NO_EFFECT, "eos_token_id", "stop"]
    if name in understood or is_off(name, value):
        return
    if name in INSTEAD:
        raise ValueError(f"{name} isn't a setting of the course's generate(); use {INSTEAD[name]}")
    if name in vars(GenerationConfig()):
        if value is None or value is False:
            return
        raise ValueError(f"{name} isn't a setting of the course's generate(); model.generate() of transformers has it")
    close = difflib.get_close_matches(name, understood, n=1, cutoff=0.75)
    hint = f"did you mean {close[0]}?" if close else "help(GenerationSettings) lists them all"
    raise ValueError(f"{name} isn't a setting of the course's generate(); {hint}")


def _filters(settings: Mapping, direct: Mapping) -> list[tuple[str, object]] | None:
    """Return the filters that the usual names ask for, in the order of transformers; None: they ask for nothing."""
    if settings.get("filters") is not None:
        return None
    if settings.get("do_sample") is not None and check_flag("do_sample", settings["do_sample"]):
        chosen = {name: settings.get(name, default) for name, (default, _) in SAMPLING.items()}
        return [(name, value) for name, value in chosen.items() if not _is(value, SAMPLING[name][1])]
    for name in SAMPLING.keys() & direct.keys():
        value = plain(direct[name])
        if not (any(_is(value, fine) for fine in SAMPLING[name]) or (name == "temperature" and _is(value, 0))):
            raise ValueError(f"{name} must come with do_sample=True (without it nothing is drawn), got {value!r} alone")
    return None


def _penalties(settings: Mapping) -> list[tuple[str, object]] | None:
    said = [(ours, settings.get(name), off) for name, (ours, off) in PENALTIES.items()]
    return [(ours, value) for ours, value, off in said if not _is(value, off)] or None


def _eos_ids(settings: Mapping) -> object:
    """Return what `eos_token_id` says; None there means that nothing ends a text."""
    if "eos_token_id" not in settings:
        return None
    return [] if settings["eos_token_id"] is None else token_ids("eos_token_id", settings["eos_token_id"])


def _stop_strings(settings: Mapping) -> object:
    stop = settings.get("stop")
    return [stop] if isinstance(stop, str) else stop


def _is(value: object, number: object) -> bool:
    """Whether a setting is None or `number`."""
    value = plain(value)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value is None or (is_number and value == number)
