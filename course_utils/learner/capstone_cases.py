"""What the capstone asks of a `generate()`: prompts with settings, and what should come of them.

Lesson: 15 · Capstone: your own generate()
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

import torch
from transformers import (
    LogitsProcessor,
    MinPLogitsWarper,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from course_utils.engine.generate import generate
from course_utils.models import CausalLM, load_causal_lm
from course_utils.models.practice import practice_model

THEIRS = "transformers"
OURS = "the course's generate"
# In this order `transformers` applies them; another order takes its own classes, handed over one by one.
WARPERS = {
    "temperature": TemperatureLogitsWarper,
    "top_k": TopKLogitsWarper,
    "top_p": TopPLogitsWarper,
    "min_p": MinPLogitsWarper,
}
NAMES = {"repetition_penalty": "repetition_penalty", "no_repeat_ngram": "no_repeat_ngram_size"}
SAME = ("max_new_tokens", "min_new_tokens", "num_beams", "length_penalty", "do_sample")


@dataclass(frozen=True)
class Case:
    """A prompt and the settings for it; the practice model reads it unless `is_real` says SmolLM2.

    Lesson: 15 · Capstone: your own generate()

    >>> Case("cab", {"max_new_tokens": 2})
    “cab” with max_new_tokens=2
    """

    prompt: str
    settings: Mapping = field(default_factory=dict)
    is_real: bool = False

    def __repr__(self) -> str:
        return f"“{self.prompt}” with {', '.join(f'{name}={value!r}' for name, value in self.settings.items())}"

    @property
    def loaded(self) -> CausalLM:
        """The model that reads it, with its tokenizer."""
        return load_causal_lm() if self.is_real else practice_model()


def expected(case: Case) -> tuple[tuple[int, ...], str]:
    """Return the new tokens that are right for `case`, and who says so: `THEIRS`, or `OURS` where they have none.

    `transformers` has no presence and no frequency penalty, and refuses a temperature of 0.
    Lesson: 15 · Capstone: your own generate()

    >>> expected(Case("cab", {"max_new_tokens": 2}))
    ((36, 73), 'transformers')
    """
    loaded, settings = case.loaded, dict(case.settings)
    ids = loaded.encode(case.prompt)
    filters, penalties = list(settings.get("filters", ())), dict(settings.get("penalties", ()))
    if not penalties.keys() <= NAMES.keys() or ("temperature", 0) in filters:
        ours = generate(loaded.model, ids, loaded.tokenizer, **({"eos_ids": []} | settings))
        return ours[0].ids, OURS
    arguments = {name: settings[name] for name in SAME if name in settings}
    arguments |= {NAMES[name]: setting for name, setting in penalties.items()}
    if settings.get("do_sample"):
        arguments |= _filter_arguments(filters)
    if settings.get("stop_strings"):
        arguments |= {"stop_strings": list(settings["stop_strings"]), "tokenizer": loaded.tokenizer}
    with torch.random.fork_rng():
        torch.manual_seed(settings.get("seed") or 0)
        row = loaded.model.generate(
            ids, attention_mask=torch.ones_like(ids), pad_token_id=0,
            eos_token_id=list(settings.get("eos_ids", ())) or None, **({"do_sample": False} | arguments),
        )  # fmt: skip
    return tuple(row[0, ids.shape[1] :].tolist()), THEIRS


def _filter_arguments(filters: list[tuple[str, float]]) -> dict:
    """Return what makes `transformers` apply these filters in this order; `do_sample` must be on."""
    off = {"temperature": 1.0, "top_k": 0, "top_p": 1.0}
    names = [name for name, _ in filters]
    if names == [name for name in WARPERS if name in names]:
        return off | dict(filters)
    processors: list[LogitsProcessor] = [WARPERS[name](setting) for name, setting in filters]
    return off | {"logits_processor": processors}


TALE = "Once upon a time, there was a little girl who"  # 11 tokens of SmolLM2
PANGRAM = "thequickbrownfoxjumpsoverthelazydog"  # every letter, so that the prompt holds many tokens
PARTS: dict[str, tuple[Case, ...]] = {
    "loop": (
        Case(TALE, {"max_new_tokens": 5}, is_real=True),
        *(Case(prompt, {"max_new_tokens": 12}) for prompt in ("abc", "hello", "zzzz", "quick")),
        Case("cabin", {"max_new_tokens": 1}),
    ),
    "cache": (
        Case(TALE, {"max_new_tokens": 8}, is_real=True),
        *(Case(prompt, {"max_new_tokens": 12}) for prompt in ("abc", "hello", "zzzz", "quick")),
        Case("cabin", {"max_new_tokens": 1}),
    ),
    "filters": (
        Case("greedy", {"max_new_tokens": 6, "do_sample": False, "seed": 3}),
        *(
            Case(prompt, {"max_new_tokens": 12, "do_sample": True, "seed": seed, "filters": filters})
            for prompt, seed, filters in (
                ("abc", 1, [("temperature", 0.5)]),
                ("hello", 2, [("temperature", 1.7)]),
                ("abc", 2, [("top_k", 3)]),
                ("hello", 1, [("top_p", 0.85)]),
                ("abc", 3, [("top_p", 0.9), ("temperature", 2.0)]),
                ("quick", 3, [("top_p", 0.8)]),
                ("hello", 1, [("min_p", 0.05)]),
                ("quick", 3, [("min_p", 0.08), ("temperature", 2.0)]),
                ("abc", 7, [("temperature", 1.5), ("top_k", 20), ("top_p", 0.9), ("min_p", 0.05)]),
                ("dogs", 10, []),
            )
        ),
    ),
    "penalties": tuple(
        Case(prompt, {"max_new_tokens": 16, "do_sample": seed is not None, "seed": seed, "penalties": penalties})
        for prompt, seed, penalties in (
            (PANGRAM, 1, [("repetition_penalty", 1.5)]),
            (PANGRAM, 2, [("repetition_penalty", 2.0)]),
            ("abc", None, [("repetition_penalty", 1.3)]),
            (PANGRAM, None, [("frequency_penalty", 1.0)]),
            ("lazy", None, [("frequency_penalty", 0.5)]),
            ("bbbb", None, [("frequency_penalty", 0.4)]),
            (PANGRAM, 2, [("presence_penalty", 1.0)]),
            ("lazy", None, [("presence_penalty", 0.5)]),
            ("bbbb", None, [("presence_penalty", 0.4)]),
            ("zzzzzzzz", None, [("no_repeat_ngram", 1)]),
            ("cabcabcab", None, [("no_repeat_ngram", 2)]),
            ("oaoa", None, [("repetition_penalty", 1.2), ("presence_penalty", 0.5), ("no_repeat_ngram", 3)]),
        )
    ),
    "stopping": tuple(
        Case(prompt, {"max_new_tokens": 14} | settings)
        for prompt, settings in (
            ("abc", {"eos_ids": [57]}),
            ("hello", {"eos_ids": [55, 19]}),
            ("abc", {"eos_ids": [26], "min_new_tokens": 4}),
            ("abc", {"eos_ids": [57], "min_new_tokens": 3}),
            ("hello", {"eos_ids": [21], "min_new_tokens": 3}),
            ("hello", {"eos_ids": [64], "min_new_tokens": 8}),
            ("abc", {"stop_strings": ["ca"]}),
            ("hello", {"stop_strings": ["qq", "am"]}),
            ("quick", {"stop_strings": ["zz", "bvb"]}),
            ("zzzz", {"stop_strings": ["bc"]}),
            ("lal", {"stop_strings": ["la"], "max_new_tokens": 6}),
            ("cabin", {"eos_ids": [71], "min_new_tokens": 2, "stop_strings": ["avb"]}),
        )
    ),
    "beams": (
        Case("I have never seen", {"max_new_tokens": 5, "num_beams": 3, "length_penalty": 1.0}, is_real=True),
        *(
            Case(prompt, {"max_new_tokens": 10, "num_beams": beams, "length_penalty": power, "eos_ids": eos})
            for prompt, beams, power, eos in (
                ("abc", 3, 2.0, [57, 26, 78]),
                ("hello", 4, 2.0, [56, 19, 5]),
                ("abc", 4, 0.0, [74, 63, 11]),
                ("zzzz", 4, 1.5, [52, 79, 84]),
                ("hello", 4, 1.0, [84, 65, 13, 20, 66, 50, 47, 62]),
                ("quick", 4, 0.5, []),
            )
        ),
    ),
}


@cache
def expected_tokens(part: str) -> tuple[tuple[int, ...], ...]:
    """Return the right tokens of every case of `part`, worked out once a process.

    Lesson: 15 · Capstone: your own generate()

    >>> len(expected_tokens("penalties"))
    12
    """
    return tuple(expected(case)[0] for case in PARTS[part])
