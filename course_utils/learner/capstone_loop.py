"""A generation loop whose every piece can be exchanged: for a wrong one, to see what a mistake makes of a text.

Lesson: 15 · Capstone: your own generate()
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

import torch

from course_utils.engine.generate import generate, search_beams
from course_utils.engine.penalties import PENALTIES
from course_utils.engine.prefill_decode import next_logits
from course_utils.engine.sampling import FILTERS
from course_utils.engine.settings import GenerationSettings
from course_utils.engine.stopping import mask_eos
from course_utils.learner.capstone_cases import Case


def read_everything(model: torch.nn.Module, state: dict, ids: torch.Tensor, start: int) -> torch.Tensor:
    """Return the next logits `(1, vocab)` after `ids`; a wrong reader may use `state` and the prompt's length."""
    return _logits_after(model, tuple(ids[0].tolist()))


@lru_cache(maxsize=20_000)
def _logits_after(model: torch.nn.Module, tokens: tuple[int, ...]) -> torch.Tensor:
    # Most mistakes begin as the right text does: what was read for one need not be read for the next.
    return next_logits(model, torch.tensor([tokens]), cache=None)


def one_generator(seed: int | None, before: torch.Generator | None) -> torch.Generator:
    """Return the generator of a step: that of the step before, or a new one."""
    return before or torch.Generator().manual_seed(seed or 0)


def is_too_short(new: list[int], start: int, settings: GenerationSettings) -> bool:
    """Tell whether the text may not end yet."""
    return len(new) < settings.min_new_tokens


def has_eos(new: list[int], settings: GenerationSettings) -> bool:
    """Tell whether the last new token ends the text."""
    return new[-1] in settings.eos_ids


def has_stop(text: str, settings: GenerationSettings) -> bool:
    """Tell whether `text` holds a stop string."""
    return any(stop in text for stop in settings.stop_strings)


def ends(prompt: list[int], new: list[int], settings: GenerationSettings, tokenizer) -> bool:
    """Tell whether the text ends with the last of its new tokens."""
    return has_eos(new, settings) or has_stop(tokenizer.decode(new), settings)


@dataclass(frozen=True)
class Loop:
    """A generation loop in exchangeable pieces; as it stands, every piece is right.

    Args:
        read: As `read_everything`.
        filters: Filters by name.
        penalties: Penalties by name.
        prompt_counts: Penalties for which the prompt's tokens count.
        order: Puts the filters of a case into the order of their application.
        generator: As `one_generator`.
        draws: Whether to draw, given the settings.
        is_too_short: As the function of that name.
        ends: As the function of that name.
        longest: The most new tokens, given the settings and the prompt's length.
        result: What is returned of the new tokens, given whether a token or a string ended them.

    Lesson: 15 · Capstone: your own generate()

    >>> Loop().write(Case("cab", {"max_new_tokens": 3}))
    (36, 73, 59)
    """

    read: Callable = read_everything
    filters: dict = field(default_factory=lambda: dict(FILTERS))
    penalties: dict = field(default_factory=lambda: {name: entry[0] for name, entry in PENALTIES.items()})
    prompt_counts: tuple = ("repetition_penalty", "no_repeat_ngram")
    order: Callable = list
    generator: Callable = one_generator
    draws: Callable = lambda settings: settings.do_sample
    is_too_short: Callable = is_too_short
    ends: Callable = ends
    longest: Callable = lambda settings, start: settings.max_new_tokens
    result: Callable = lambda new, has_ended: new

    @torch.inference_mode()
    def write(self, case: Case) -> tuple[int, ...]:
        """Return the new tokens for `case`."""
        settings, loaded = GenerationSettings(**({"eos_ids": ()} | dict(case.settings))), case.loaded
        ids = loaded.encode(case.prompt)
        prompt, state = ids[0].tolist(), {}
        new, generator, has_ended = [], None, False
        while len(new) < self.longest(settings, len(prompt)) and not has_ended:
            logits = self.read(loaded.model, state, ids, len(prompt))
            logits = self._changed(logits, ids, len(prompt), settings)
            generator = self.generator(settings.seed, generator)
            new.append(self._chosen(logits, settings, generator))
            ids = torch.tensor([prompt + new])
            has_ended = self.ends(prompt, new, settings, loaded.tokenizer)
        return tuple(self.result(new, has_ended))

    def _changed(self, logits: torch.Tensor, ids: torch.Tensor, start: int, settings) -> torch.Tensor:
        for name, setting in settings.penalties:
            counted = ids if name in self.prompt_counts else ids[:, start:]
            logits = self.penalties[name](logits, counted, setting)
        new = ids[0, start:].tolist()
        return mask_eos(logits, settings.eos_ids) if self.is_too_short(new, start, settings) else logits

    def _chosen(self, logits: torch.Tensor, settings, generator: torch.Generator) -> int:
        if not self.draws(settings):
            return int(logits.argmax())
        for name, setting in self.order(settings.filters):
            logits = self.filters[name](logits, setting)
        return int(torch.multinomial(logits.softmax(-1), 1, generator=generator))


def beams_with(**changes: object) -> Callable[[Case], tuple[int, ...]]:
    """Return a beam search that takes some settings for others, whatever the case says.

    >>> beams_with(num_beams=1)(Case("cab", {"max_new_tokens": 3, "num_beams": 4}))
    (36, 73, 59)
    """

    def write(case: Case) -> tuple[int, ...]:
        settings = {"eos_ids": []} | dict(case.settings) | changes
        return generate(case.loaded.model, case.loaded.encode(case.prompt), case.loaded.tokenizer, **settings)[0].ids

    return write


def beams_choosing(choose: Callable) -> Callable[[Case], tuple[int, ...]]:
    """Return a beam search that takes another one of its finished texts, given their tree.

    >>> beams_choosing(lambda tree: tree.finished[-1])(Case("cab", {"max_new_tokens": 3, "num_beams": 4}))
    (78, 90, 57)
    """

    def write(case: Case) -> tuple[int, ...]:
        settings = {"eos_ids": []} | dict(case.settings)
        ids = case.loaded.encode(case.prompt)
        tree = search_beams(case.loaded.model, ids, case.loaded.tokenizer, **settings)
        return tree.path(choose(tree).node)

    return write
