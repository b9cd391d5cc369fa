"""What the settings of the pipelines may be called, and what values they may have.

Lesson: 04 · The pipeline tasks
"""

import operator
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from numbers import Real

import torch
from transformers import GenerationConfig
from transformers.utils import logging

logger = logging.get_logger(__name__)
# What is allowed, in words, and what turns a value into the one that transformers gets, or raises an error.
Rule = tuple[str, Callable[[object], object]]

# What the tokenizers of transformers take, without what changes the form of what they return.
READING = (
    *("truncation", "max_length", "padding", "text_pair", "add_special_tokens", "stride", "pad_to_multiple_of"),
    *("padding_side", "return_token_type_ids", "return_attention_mask", "return_overflowing_tokens", "verbose"),
    *("return_special_tokens_mask", "return_offsets_mapping", "return_length", "split_special_tokens"),
    *("clean_up_tokenization_spaces", "tokenizer_kwargs"),
)
# What `generate` takes: settings, and a few objects.
GENERATING = (
    *("max_new_tokens", "do_sample", "temperature", "top_k", "top_p", "num_return_sequences"),
    *(name for name in vars(GenerationConfig()) if not name.startswith("_")),
    *("generation_config", "logits_processor", "stopping_criteria", "prefix_allowed_tokens_fn", "streamer"),
    *("assistant_model", "assistant_tokenizer", "tokenizer", "negative_prompt_ids", "negative_prompt_attention_mask"),
    *("custom_generate", "trust_remote_code", "past_key_values", "synced_gpus"),
)


def whole(least: int, most: int | None = None) -> Rule:
    """Allow the whole numbers from `least` to `most`, also those of numpy and torch."""

    def read(value: object) -> int:
        number = operator.index(value)
        if isinstance(value, bool) or number < least or (most is not None and number > most):
            raise ValueError
        return number

    return f"a whole number {f'of at least {least}' if most is None else f'from {least} to {most:,}'}", read


def number(least: float = -float("inf")) -> Rule:
    """Allow numbers from `least` on."""

    def read(value: object) -> object:
        if isinstance(value, bool) or not isinstance(value, Real | torch.Tensor) or value < least:
            raise ValueError
        return float(value)

    return "a number" if least == -float("inf") else f"a number of at least {least}", read


def one_of(*values: object) -> Rule:
    """Allow only `values`; texts may be written in capital letters."""
    allowed = {str(value).lower(): value for value in values}

    def read(value: object) -> object:
        if hasattr(value, "value"):  # an enumeration of transformers
            value = value.value
        return allowed[str(value).lower()]

    said = ", ".join(repr(value) for value in values)
    return f"one of {said}" if len(values) > 1 else said, read


def of_kind(kind: type, said: str) -> Rule:
    """Allow what is an instance of `kind`."""

    def read(value: object) -> object:
        if not isinstance(value, kind):
            raise ValueError
        return value

    return said, read


def names(said: str, least: int = 0) -> Rule:
    """Allow one text, or several of them."""

    def read(value: object) -> list[str]:
        found = [value] if isinstance(value, str) else list(value)
        if len(found) < least or not all(isinstance(one, str) and (one or not least) for one in found):
            raise ValueError
        return [str(one) for one in found]

    return said, read


TRUNCATION = one_of(True, False, "only_first", "only_second", "longest_first", "do_not_truncate")
READING_RULES = {
    "truncation": TRUNCATION,
    "padding": one_of(True, False, "longest", "max_length", "do_not_pad"),
    "max_length": whole(1),
    "stride": whole(0),
    "text_pair": of_kind(str, "a text"),
}


def _tokenizers(settings: object) -> dict:
    if not isinstance(settings, dict) or settings.keys() & {"text", "return_tensors"}:  # the pipeline's own business
        raise ValueError
    return checked_values(settings, READING_RULES)


TOKENIZERS = ("a dict of settings of the tokenizer other than return_tensors", _tokenizers)
READING_RULES["tokenizer_kwargs"] = TOKENIZERS


def _token_ids(value: object) -> object:
    value = value.tolist() if hasattr(value, "tolist") else value  # an array or a tensor
    ids = value if isinstance(value, list | tuple) else [value]
    if not ids or any(isinstance(one, bool) or operator.index(one) < 0 for one in ids):
        raise ValueError
    return [operator.index(one) for one in ids] if ids is value else operator.index(value)


_TOKENS = ("one token id, or a list of them", _token_ids)
GENERATING_RULES = {
    **{name: whole(1) for name in ("max_new_tokens", "max_length", "num_beams", "num_return_sequences")},
    **{name: whole(0) for name in ("min_new_tokens", "min_length", "top_k", "no_repeat_ngram_size")},
    **{name: number(0) for name in ("temperature", "top_p", "min_p", "typical_p", "repetition_penalty")},
    "length_penalty": number(),
    "eos_token_id": _TOKENS,
    "pad_token_id": whole(0),
    "stop_strings": names("a text, or a list of texts", 1),
    "stop_sequence": names("a text, or a list of texts", 1),
    "truncation": TRUNCATION,
    "padding": READING_RULES["padding"],
    "prefix": of_kind(str, "a text"),
    "handle_long_generation": one_of("hole"),
    "tokenizer_encode_kwargs": TOKENIZERS,
    "generation_config": of_kind(GenerationConfig, "a GenerationConfig"),
}
# What a pipeline is given when it's loaded, not when it's called.
_WHEN_LOADED = ("device", "dtype", "torch_dtype", "model", "models", "tokenizer", "framework", "revision", "task")
# Every pipeline takes these.
EVERYWHERE_RULES = {"batch_size": whole(1), "num_workers": whole(0)}


def check_names(settings: dict, allowed: Sequence[str], task: str, advice: str = "") -> None:
    """Raise a TypeError in one sentence unless all settings have names that the task knows.

    Args:
        settings: What a pipeline is loaded or called with.
        allowed: The names that the task knows, those that people need most first.
        task: What the task is called.
        advice: What to do instead of giving the pipeline a setting of the tokenizer.

    Raises:
        TypeError: A name isn't known; the sentence says which ones are nearly like it, or the first ones.

    Lesson: 04 · The pipeline tasks

    >>> check_names({"topk": 2}, ("top_k", "targets"), "fill-mask")
    Traceback (most recent call last):
    TypeError: topk=2 isn't a setting of fill-mask; did you mean top_k?
    """
    known = list(dict.fromkeys([*allowed, *EVERYWHERE_RULES]))
    for name, value in settings.items():
        if name in known:
            continue
        near = get_close_matches(name, known, 3, 0.75) or [one for one in known if name in one][:3]
        if name in _WHEN_LOADED:
            hint = "it's given when the pipeline is loaded"
        elif near:
            hint = f"did you mean {' or '.join(near)}?"
        elif advice and name in READING:
            hint = advice.format(name=name, value=value)
        elif len(known) < 15:
            hint = f"it takes {', '.join(known[:-1])} and {known[-1]}"
        else:
            hint = f"it takes, among others, {', '.join(known[:5])} and {known[5]}"
        raise TypeError(f"{name}={short(value)} isn't a setting of {task}; {hint}")


def checked_values(settings: dict, rules: dict[str, Rule]) -> dict:
    """Return the settings with whole numbers of numpy and torch as Python's; None stays None, the default.

    Raises:
        ValueError: A value is not allowed.

    Lesson: 04 · The pipeline tasks

    >>> checked_values({"top_k": 0}, {"top_k": whole(1)})
    Traceback (most recent call last):
    ValueError: top_k must be a whole number of at least 1, got 0
    """
    checked = dict(settings)
    for name in settings.keys() & rules.keys():
        said, read = rules[name]
        try:
            checked[name] = None if settings[name] is None else read(settings[name])
        except (TypeError, ValueError, KeyError, RuntimeError):
            raise ValueError(f"{name} must be {said}, got {short(settings[name])}") from None
    return checked


def checked_device(device: object) -> torch.device | None:
    """Return the device as torch knows it, after trying it; None stays None, which is a GPU if there is one.

    As in transformers, a number counts the GPUs, -1 is the CPU, and 0 on a machine without a GPU is the CPU, too.

    Raises:
        ValueError: This machine has no such device.

    Lesson: 04 · The pipeline tasks

    >>> checked_device(-1)
    device(type='cpu')
    """
    if device is None:
        return None
    try:
        if not isinstance(device, str | torch.device):
            index = whole(-1)[1](device)
            if index < 0:
                return torch.device("cpu")
            if not torch.accelerator.is_available():
                logger.warning(f"device={device} means a GPU, and this machine has none; the pipeline runs on the CPU.")
                return torch.device("cpu")
            device = f"{torch.accelerator.current_accelerator().type}:{index}"
        found = torch.device(device)
        torch.zeros(1, device=found).tolist()
    except Exception as error:  # torch has a kind of its own for every device that isn't there
        gpus = torch.accelerator.device_count()
        allowed = f'-1, "cpu" or one of {gpus} GPUs' if gpus else '-1 or "cpu" where there is no GPU'
        raise ValueError(f"device must be {allowed}, got {short(device)}") from error
    return found


def checked_dtype(dtype: object) -> torch.dtype | None:
    """Return a number format as torch's; None and "auto" mean the one that the weights have.

    Raises:
        ValueError: It isn't a format of floating-point numbers.

    Lesson: 04 · The pipeline tasks

    >>> checked_dtype("bfloat16")
    torch.bfloat16
    """
    if dtype is None or dtype == "auto":
        return None
    found = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype
    if found not in (torch.float32, torch.float16, torch.bfloat16, torch.float64):
        formats = '"auto", "float32", "float16", "bfloat16", "float64" or the same of torch'
        raise ValueError(f"dtype must be {formats}, got {short(dtype)}")
    return found


def short(value: object) -> str:
    """Return a value as an error message shows it: in one line, not too long."""
    said = " ".join(repr(value).split())
    return said if len(said) <= 200 else f"{said[:200]} …"
