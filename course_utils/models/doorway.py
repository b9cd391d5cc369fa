"""What may be handed to a function: a model with its tokenizer, a trace, a pipeline; anything else is one sentence."""

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import NoneType

import torch
from transformers import Pipeline, PreTrainedModel

from course_utils.models.loading import CausalLM, Encoder, LoadedModel

_WORDS = {
    PreTrainedModel: "a model of transformers",
    torch.nn.Module: "a module of torch",
    Callable: "a function",
    Sequence: "a list",
    Mapping: "a dict",
    NoneType: "None",
}


def takes(**kinds: type | tuple[type, ...]) -> Callable[[Callable], Callable]:
    """Let a function take only these kinds of objects under these names; anything else is a TypeError.

    >>> @takes(model=CausalLM)
    ... def ask(model):
    ...     return model.name
    >>> ask(3)
    Traceback (most recent call last):
    TypeError: model must be a CausalLM, got int
    """

    def guard(function: Callable) -> Callable:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def guarded(*arguments: object, **settings: object) -> object:
            # What is missing or too much, Python itself says best.
            given = signature.bind(*arguments, **settings).arguments
            for name, kind in kinds.items():
                if name in given:
                    check_kind(name, given[name], kind)
            return function(*arguments, **settings)

        return guarded

    return guard


def check_kind(name: str, given: object, kinds: type | tuple[type, ...]) -> None:
    """Raise a TypeError in one sentence unless `given` is of one of these kinds; it says how to get there."""
    kinds = kinds if isinstance(kinds, tuple) else (kinds,)
    # Models and pipelines can be called, too, but with something else.
    if isinstance(given, kinds) and not (kinds == (Callable,) and isinstance(given, PreTrainedModel | Pipeline)):
        return
    allowed = " or ".join(_WORDS.get(kind) or _with_article(kind.__name__) for kind in kinds)
    raise TypeError(f"{name} must be {allowed}, got {_named(given)}{_advice(given, kinds)}")


def _with_article(name: str) -> str:
    return f"{'an' if name[0] in 'AEIOU' else 'a'} {name}"


def _named(given: object) -> str:
    if isinstance(given, str | Path):
        return repr(str(given)) if len(str(given)) < 60 else "a text"
    return f"the class {given.__name__}" if isinstance(given, type) else type(given).__name__


def _advice(given: object, kinds: tuple[type, ...]) -> str:
    """Say how to turn `given` into what is wanted, where that is known."""
    loaded = [kind for kind in (CausalLM, Encoder) if kind in kinds]
    if loaded and isinstance(given, LoadedModel):
        return ", which predicts no next token" if isinstance(given, Encoder) else ", which isn't one"
    ways = " or ".join(f"{kind.__name__}.wrap" for kind in loaded)
    if loaded and isinstance(given, Pipeline):
        return f": take its model and tokenizer, {ways}(pipe.model, pipe.tokenizer)"
    if loaded and isinstance(given, PreTrainedModel):
        return f": bring its tokenizer, too, {ways}(model, tokenizer)"
    if loaded and isinstance(given, str | Path):
        loaders = {CausalLM: "load_causal_lm()", Encoder: "load_encoder()"}
        return f": {' or '.join(loaders[kind] for kind in loaded)} loads the course's, {ways} takes your own"
    if Pipeline in kinds and isinstance(given, LoadedModel | PreTrainedModel | str):
        return ": load_pipeline(task, model=…) makes one"
    if isinstance(given, LoadedModel | PreTrainedModel | Pipeline):
        if any(issubclass(kind, torch.nn.Module) for kind in kinds):
            return ": give the model inside it, .model"
        if any(kind.__name__.endswith("Trace") for kind in kinds):
            return ": a function record_… makes one of a model"
        if Callable in kinds:
            return ": functools.partial(record_…, model) makes one of a model"
        if Mapping in kinds:
            return ": {name: ModelShape.of(name, model)} makes one of a model"
    return ""
