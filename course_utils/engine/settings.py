"""All settings of a generation, checked once, before any time is spent.

The functions that use a setting check it too, since lessons call them directly; the steps in between do not.

Lesson: 15 · Capstone: your own generate()
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import torch

from course_utils.engine.arguments import check_finite, check_flag, check_whole, token_ids
from course_utils.engine.penalties import check_penalty
from course_utils.engine.sampling import check_filter
from course_utils.engine.stopping import check_stop_strings
from course_utils.engine.usual_names import takes_usual_names

SEEDS = 2**64  # that many torch has


@takes_usual_names
@dataclass(frozen=True, kw_only=True)
class GenerationSettings:
    """How `generate` chooses tokens and when it stops.

    Args:
        max_new_tokens: The most tokens to generate.
        max_length: The same with the prompt's tokens counted; `max_new_tokens` wins.
        min_new_tokens: Before this many tokens, end-of-sequence tokens are removed.
        min_length: The same with the prompt's tokens counted; `min_new_tokens` wins.
        do_sample: Draw tokens instead of taking the most likely one.
        filters: Filters of sampling with their settings, in order, as `[("temperature", 0.7), ("top_p", 0.9)]`.
        seed: Makes sampling repeatable; None draws from torch's own generator.
        generator: In place of a seed: where the chance comes from.
        penalties: Penalties with their settings, in order, as `[("repetition_penalty", 1.2)]`.
        count_prompt: Whether the prompt counts for penalties; None: see `Penalty`.
        eos_ids: Tokens that end a text; None takes the model's own, `[]` has none.
        stop_strings: Texts that end a text; they are not part of it.
        num_beams: 1 is greedy or sampling; more is beam search.
        length_penalty: Beam search divides a score by length to this power: above 0 favours long texts.
        early_stopping: Of beam search: True stops at the first `num_beams` finished texts; False stops when no
            better one is likely; "never" when none is possible.
        num_return_sequences: How many texts to return for a prompt.
        use_cache: False reads the whole text again at every step.
        pad_token_id: The token that fills up shorter prompts; None takes the model's own.
        decoder_start_token_id: Where an encoder–decoder begins to write; None takes the model's own.
        logits_processor: Processors of `transformers` that change the logits after the penalties.
        further: Bans and forced tokens by their names in `GenerationConfig`, as `{"suppress_tokens": [5]}`.

    Raises:
        ValueError: A setting is unknown or out of its range, or does not go with another.

    The names are those of `GenerationConfig` of `transformers` where it has the setting. Its other names are understood
    too: `temperature`, `top_k`, `top_p` and `min_p` become filters in its order, `repetition_penalty` and
    `no_repeat_ngram_size` (and OpenAI's `presence_penalty` and `frequency_penalty`) become penalties, `eos_token_id`,
    `stop` and `bad_words_ids` do what they do elsewhere, and `generation_config` may hold any of them. With
    `do_sample`, `transformers` keeps the best 50 tokens unless you say otherwise, and so does this; `filters=[]` keeps
    all.

    >>> GenerationSettings(max_new_tokens=0)
    Traceback (most recent call last):
    ValueError: max_new_tokens must be a whole number of at least 1, got 0
    """

    max_new_tokens: int = 20
    max_length: int | None = None
    min_new_tokens: int = 0
    min_length: int = 0
    do_sample: bool = False
    filters: Sequence[tuple[str, float]] = ()
    seed: int | None = None
    generator: torch.Generator | None = None
    penalties: Sequence[tuple[str, float]] = ()
    count_prompt: bool | None = None
    eos_ids: Sequence[int] | None = None
    stop_strings: Sequence[str] = ()
    num_beams: int = 1
    length_penalty: float = 1.0
    early_stopping: bool | str = False
    num_return_sequences: int = 1
    use_cache: bool = True
    pad_token_id: int | None = None
    decoder_start_token_id: int | None = None
    logits_processor: Sequence[Callable] = ()
    further: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, least in LEAST.items():
            self._set(name, None if getattr(self, name) is None else check_whole(name, getattr(self, name), least))
        for name in ("do_sample", "use_cache"):
            self._set(name, check_flag(name, getattr(self, name)))
        for name, check in (("filters", check_filter), ("penalties", check_penalty)):
            check_pairs(name, getattr(self, name))
            self._set(name, [(kind, check(kind, setting)) for kind, setting in getattr(self, name)])
        if self.eos_ids is not None:
            self._set("eos_ids", token_ids("eos_ids", self.eos_ids))
        if not isinstance(self.stop_strings, Sequence) and isinstance(self.stop_strings, Iterable):
            self._set("stop_strings", list(self.stop_strings))
        check_stop_strings(self.stop_strings)
        self._set("length_penalty", check_finite("length_penalty", self.length_penalty))
        if self.early_stopping not in (True, False, "never"):
            raise ValueError(f"early_stopping must be True, False or 'never', got {self.early_stopping!r}")
        self._check_combinations()

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)  # the dataclass is frozen for everyone else

    def _check_combinations(self) -> None:
        if self.max_length is None and self.min_new_tokens > self.max_new_tokens:
            raise ValueError(
                f"min_new_tokens must be at most max_new_tokens ({self.max_new_tokens}), got {self.min_new_tokens}"
            )
        if self.filters and not self.do_sample:
            raise ValueError(f"filters must be empty unless do_sample is True, got {self.filters!r}")
        if self.num_beams > 1 and self.do_sample:
            raise ValueError(f"num_beams must be 1 when do_sample is True, got {self.num_beams}")
        most = self.num_beams if not self.do_sample else self.num_return_sequences
        if self.num_return_sequences > most:
            raise ValueError(
                f"num_return_sequences must be at most num_beams ({self.num_beams}) without sampling, "
                f"got {self.num_return_sequences}"
            )
        if self.seed is not None and self.seed >= SEEDS:
            raise ValueError(f"seed must be below 2**64, got {self.seed}")
        if not isinstance(self.logits_processor, list | tuple) or not all(map(callable, self.logits_processor)):
            raise ValueError(f"logits_processor must be a list of processors, got {self.logits_processor!r}")
        if not isinstance(self.generator, torch.Generator | None):
            raise ValueError(f"generator must be a torch.Generator, got {type(self.generator).__name__}")

    def most_new_tokens(self, prompt: int) -> int:
        """Return how many tokens may come after a prompt of `prompt` tokens.

        Raises:
            ValueError: `max_length` leaves no room for any.
        """
        if self.max_length is None:
            return self.max_new_tokens
        if self.max_length <= prompt:
            raise ValueError(
                f"max_length must be above the prompt's {prompt} tokens, which count, got {self.max_length}; "
                "max_new_tokens counts only new ones"
            )
        return self.max_length - prompt

    def least_new_tokens(self, prompt: int) -> int:
        """Return how many tokens must come after a prompt of `prompt` tokens."""
        return max(self.min_new_tokens, self.min_length - prompt)


# The settings that are whole numbers, and their least values. Some tokenizers have no padding, and call it −1.
LEAST = {
    "max_new_tokens": 1, "max_length": 1, "min_new_tokens": 0, "min_length": 0, "num_beams": 1,
    "num_return_sequences": 1, "seed": 0, "pad_token_id": -1, "decoder_start_token_id": 0,
}  # fmt: skip


def check_pairs(name: str, pairs: Sequence[tuple[str, float]]) -> None:
    """Raise a ValueError in one sentence unless `pairs` is a list of pairs: their order matters."""
    is_list = isinstance(pairs, Sequence) and not isinstance(pairs, str)
    if not is_list or not all(isinstance(pair, tuple | list) and len(pair) == 2 for pair in pairs):
        raise ValueError(f"{name} must be a list of (name, setting) pairs, got {pairs!r}")
