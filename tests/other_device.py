"""A pretended graphics card: tensors that say they are elsewhere, and refuse what a real card would refuse.

It reports the device "meta", which every build of torch knows, but holds real numbers. Mixing its tensors with the
processor's raises, as on a card, except for single numbers; so does `.numpy()`.
"""

import copy
from contextlib import contextmanager
from unittest.mock import patch

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

CARD, PROCESSOR = torch.device("meta"), torch.device("cpu")
# These move numbers from one place to the other.
aten = torch.ops.aten
COPIES = (aten._to_copy.default, aten.copy_.default, aten._local_scalar_dense.default)
INDEXING = (aten.index.Tensor, aten.index_put_.default)  # a card takes lists of places from the processor


class OnCard(torch.Tensor):
    """A tensor on the pretended card; `held` has its numbers."""

    @staticmethod
    def __new__(cls, held):
        return torch.Tensor._make_wrapper_subclass(
            cls, held.size(), strides=held.stride(), storage_offset=held.storage_offset(), dtype=held.dtype,
            device=CARD, requires_grad=False,
        )  # fmt: skip

    def __init__(self, held):
        self.held = held

    def __repr__(self):
        return f"OnCard({self.held!r})"

    def numpy(self, **_):
        raise TypeError("can't convert a tensor of the pretended card to numpy: use .cpu() first")

    __array__ = numpy

    def tolist(self):
        return self.held.tolist()

    @classmethod
    def __torch_dispatch__(cls, function, types, arguments=(), settings=None):
        return run(function, arguments, settings or {})


def run(function, arguments, settings):
    """Run an operation of torch on the processor; refuse it where the tensors are in two places."""
    tensors = [leaf for leaf in tree_flatten((arguments, settings))[0] if isinstance(leaf, torch.Tensor)]
    is_on_card = any(isinstance(tensor, OnCard) for tensor in tensors)
    stranger = next((tensor for tensor in tensors if not isinstance(tensor, OnCard) and tensor.ndim), None)
    if is_on_card and stranger is not None and function not in COPIES + INDEXING:
        raise RuntimeError(f"{function}: one tensor is on the pretended card, another on the processor")
    places = [torch.device(leaf) for leaf in tree_flatten((arguments, settings))[0] if isinstance(leaf, torch.device)]
    is_on_card = CARD in places if places else is_on_card
    if function is aten.copy_.default:
        is_on_card = isinstance(arguments[0], OnCard)
    held = tree_map(_on_processor, (arguments, settings))
    made = function(*held[0], **held[1])
    if not is_on_card:
        return made
    known = {id(tensor.held): tensor for tensor in tensors if isinstance(tensor, OnCard)}
    return tree_map(lambda leaf: known[id(leaf)] if id(leaf) in known else _moved(leaf), made)


def _on_processor(leaf):
    if isinstance(leaf, torch.device):
        return PROCESSOR
    return leaf.held if isinstance(leaf, OnCard) else leaf


def _moved(leaf):
    return OnCard(leaf) if isinstance(leaf, torch.Tensor) else leaf


class _Creating(TorchDispatchMode):
    """Catches what is created on the card, which no tensor of it takes part in."""

    def __torch_dispatch__(self, function, types, arguments=(), settings=None):
        return run(function, arguments, settings or {})


class _Making(TorchFunctionMode):
    """Catches what is made of Python's numbers on the card, which torch would leave without numbers."""

    def __torch_function__(self, function, types, arguments=(), settings=None):
        settings = settings or {}
        if function in (torch.tensor, torch.as_tensor) and settings.get("device") == CARD:
            return OnCard(function(*arguments, **settings | {"device": PROCESSOR}))
        if function is torch.Tensor.new_tensor and isinstance(arguments[0], OnCard):
            return OnCard(arguments[0].held.new_tensor(*arguments[1:], **settings))
        return function(*arguments, **settings)


@contextmanager
def pretended_card(model):
    """Let `model`, a copy of which is used, live on the pretended card; yield the copy."""
    there = copy.deepcopy(model).requires_grad_(False)
    for module in there.modules():
        for name, parameter in list(module._parameters.items()):
            if parameter is not None:
                module._parameters[name] = torch.nn.Parameter(OnCard(parameter.data), requires_grad=False)
        for name, buffer in list(module._buffers.items()):
            if buffer is not None:
                module._buffers[name] = OnCard(buffer)
    # A tensor of a class of its own can't be viewed in inference mode.
    inference_mode = torch.inference_mode
    with (
        patch.object(
            inference_mode, "__enter__", lambda self: vars(self).setdefault("no_grad", torch.no_grad()).__enter__()
        ),
        patch.object(inference_mode, "__exit__", lambda self, *error: vars(self)["no_grad"].__exit__(*error)),
        _Making(),
        _Creating(),
    ):
        yield there
