"""Plain data: None, bool, int, float, str, lists, dicts with texts as keys, and arrays of numbers. Nothing else.

What a learner's function returns is turned into this before anybody compares it. So an object whose `==` is always
true, or a pickle that runs code, never reaches a comparison.
"""

import base64
import io
import json
import math
from dataclasses import dataclass
from importlib import import_module

import numpy as np

DEEPEST = 12  # lists in lists
MOST = 1_000_000  # values in one answer, with the letters of its texts
LONGEST_NUMBER = 3_322  # bits: a thousand digits
_NUMBERS = "biuf"  # numpy's kinds: bool, int, unsigned int, float


class NotPlainError(ValueError):
    """A value is no plain data; the message says what it is, after "your function "."""


@dataclass(frozen=True)
class ModelName:
    """Stands for a model in the arguments of a case, so that a case is plain data, too.

    Args:
        name: "smollm2", "minilm", "practice" or "narrow", or the task of a pipeline, such as "sentiment-analysis".
            With ".model" or ".tokenizer" at its end, that part of the model is meant.
    """

    name: str

    @property
    def module(self) -> str:
        """The module of the course that loads it."""
        return f"course_utils.models.{_LOADERS.get(self.name.partition('.')[0], _PIPELINES)[0]}"

    def load(self) -> object:
        """Return the model itself: a `CausalLM`, an `Encoder` or a pipeline, or the part that is meant.

        >>> ModelName("practice").load().name, ModelName("practice.tokenizer").load().decode([2, 0, 1])
        ('the practice model', 'cab')
        """
        name, _, part = self.name.partition(".")
        load = getattr(import_module(self.module), _LOADERS.get(name, _PIPELINES)[1])
        loaded = load() if name in _LOADERS else load(name, models="embedded")
        return getattr(loaded, part) if part else loaded


class Settings(dict):
    """The last argument of a case, if the function gets what is in it as keyword arguments."""


# By name, not by import: the sandbox of a task has only what its own models need.
_LOADERS = {
    "smollm2": ("loading", "load_causal_lm"),
    "minilm": ("loading", "load_encoder"),
    "practice": ("practice", "practice_model"),
    "narrow": ("practice", "narrow_practice_model"),
}
_PIPELINES = ("pipelines", "load_pipeline")


def plain(value: object) -> object:
    """Return `value` as plain data: tensors and arrays as arrays, tuples as lists, numbers as Python's own.

    Raises:
        NotPlainError: Something in it is no plain data, or there is too much of it.

    >>> plain((1, [np.float64(2.5)], {"a": None}))
    [1, [2.5], {'a': None}]
    """
    return _plain(value, 0, _Room())


class _Room:
    """How much of an answer may still come: it is counted on the way, before anything is copied."""

    def __init__(self) -> None:
        self.left = MOST

    def take(self, values: int) -> None:
        self.left -= values
        if self.left < 0:
            raise NotPlainError("returns more than a million values, and no right answer has that many.")


def _plain(value: object, depth: int, room: _Room) -> object:
    kind = type(value)
    if value is None or kind in (bool, float):
        return value
    if kind is int and value.bit_length() > LONGEST_NUMBER:
        raise NotPlainError("returns a whole number of more than a thousand digits.")
    if kind is str and len(value) > MOST:
        raise NotPlainError("returns a text of more than a million letters.")
    if kind in (int, str):
        room.take(len(value) if kind is str else value.bit_length() // 64)
        return value
    if depth > DEEPEST:
        raise NotPlainError(f"returns lists inside lists, more than {DEEPEST} deep.")
    if kind in (list, tuple, dict):
        room.take(len(value))
    if kind in (list, tuple):
        return [_plain(item, depth + 1, room) for item in value]
    if kind is dict:
        if not all(type(key) in (str, int) for key in value):
            raise NotPlainError("returns a dict whose keys are neither texts nor whole numbers.")
        return {str(_plain(key, depth, room)): _plain(item, depth + 1, room) for key, item in value.items()}
    if isinstance(value, np.generic | np.ndarray):
        room.take(value.size)
        return _array(np.asarray(value))
    if kind.__module__.partition(".")[0] == "torch" and hasattr(value, "detach"):
        room.take(value.numel())
        return _array(_from_torch(value))
    name = str(kind.__name__)[:40]
    raise NotPlainError(f"returns something of class {name}: numbers, texts, lists, dicts and tensors can be checked.")


def written(value: object) -> str:
    """Return plain data as one line of JSON; an array is its `.npy` file in base64.

    >>> written([1, "a"])
    '[1, "a"]'
    """
    return json.dumps(_to_json(value), ensure_ascii=True)


def read(text: str | bytes, may_name_models: bool = False) -> object:
    """Return the plain data that `written` wrote. Its writer isn't trusted.

    Args:
        text: One line of JSON.
        may_name_models: Whether a `ModelName` or `Settings` may be in it, as in arguments; in an answer they may not.

    Raises:
        NotPlainError: The text holds something else, or too much of it.

    >>> read(written([1, np.arange(2)]))
    [1, array([0, 1])]
    """
    try:
        return _from_json(json.loads(text), [MOST], may_name_models)
    except Exception as error:  # noqa: BLE001 - numpy's reader of files knows errors of many modules
        raise NotPlainError(f"sends an answer that cannot be read ({type(error).__name__}).") from None


def for_function(value: object) -> object:
    """Return plain data as a learner's function gets it: arrays as new tensors, model names as models.

    >>> for_function([np.ones(2), 3])
    [tensor([1., 1.], dtype=torch.float64), 3]
    """
    if isinstance(value, list):
        return [for_function(item) for item in value]
    if isinstance(value, dict):
        return {key: for_function(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        import torch

        return torch.from_numpy(value.copy())
    return value.load() if isinstance(value, ModelName) else value


def _from_torch(tensor: object) -> np.ndarray:
    try:
        tensor = tensor.detach().cpu()
        if tensor.is_floating_point() and tensor.element_size() < 4:
            tensor = tensor.float()  # numpy has no bfloat16
        return tensor.numpy()
    except (RuntimeError, TypeError, NotImplementedError):  # sparse, quantized, on the device "meta"
        raise NotPlainError("returns a tensor of a kind that cannot be checked: return an ordinary one.") from None


def _array(array: np.ndarray) -> object:
    if array.dtype.kind not in _NUMBERS:
        raise NotPlainError(f"returns an array of {array.dtype}, and only numbers can be checked.")
    if array.dtype.itemsize > 8:  # a long double: Python has none
        array = array.astype(np.float64)
    return array.item() if array.ndim == 0 else np.ascontiguousarray(array)


def _to_json(value: object) -> object:
    if isinstance(value, np.ndarray):
        file = io.BytesIO()
        np.save(file, value, allow_pickle=False)
        return {"npy": base64.b64encode(file.getvalue()).decode("ascii")}
    if isinstance(value, ModelName):
        return {"model": value.name}
    if isinstance(value, Settings):
        return {"settings": _to_json(dict(value))}
    if isinstance(value, list):
        return [_to_json(item) for item in value]
    if isinstance(value, dict):
        return {"dict": {key: _to_json(item) for key, item in value.items()}}
    return value


def _from_json(value: object, left: list[int], may_name_models: bool) -> object:
    left[0] -= 1
    if left[0] < 0:
        raise ValueError("too much")
    if isinstance(value, list):
        return [_from_json(item, left, may_name_models) for item in value]
    if not isinstance(value, dict):
        return value
    ((name, content),) = value.items()
    if name == "dict":
        return {key: _from_json(item, left, may_name_models) for key, item in content.items()}
    if name == "model" and may_name_models:
        return ModelName(content)
    if name == "settings" and may_name_models:
        return Settings(_from_json(content, left, may_name_models=False))
    if name != "npy":
        raise ValueError("unknown")
    # Not `np.load`: it opens archives and pickles, too.
    array = np.lib.format.read_array(io.BytesIO(base64.b64decode(content, validate=True)), allow_pickle=False)
    left[0] -= math.prod(array.shape)
    if array.dtype.kind not in _NUMBERS or left[0] < 0:
        raise ValueError("no numbers")
    return array
