"""All settings of a generation, checked once, before any time is spent.

Lesson: 15 · Capstone: your own generate()
"""

from collections.abc import Sequence
from dataclasses import dataclass

from course_utils.inference.checks import check_finite, check_whole
from course_utils.inference.penalties import check_penalty
from course_utils.inference.sampling import check_filter
from course_utils.inference.stopping import check_stop_strings


@dataclass(frozen=True, kw_only=True)
class GenerationSettings:
    """How `generate` chooses tokens and when it stops.

    Args:
        max_new_tokens: The most tokens to generate.
        min_new_tokens: Before so many tokens, end-of-sequence tokens are removed.
        do_sample: Draw tokens instead of taking the most likely one.
        filters: Filters of sampling with their settings, in order, as `[("temperature", 0.7), ("top_p", 0.9)]`.
        seed: Makes sampling repeatable; None draws from torch's own generator.
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

    Raises:
        ValueError: A setting is out of its range, or does not go with another.

    The names are those of `GenerationConfig` of `transformers` where it has the setting.
    Lesson: 15 · Capstone: your own generate()

    >>> GenerationSettings(max_new_tokens=0)
    Traceback (most recent call last):
    ValueError: max_new_tokens must be a whole number of at least 1, got 0
    """

    max_new_tokens: int = 20
    min_new_tokens: int = 0
    do_sample: bool = False
    filters: Sequence[tuple[str, float]] = ()
    seed: int | None = None
    penalties: Sequence[tuple[str, float]] = ()
    count_prompt: bool | None = None
    eos_ids: Sequence[int] | None = None
    stop_strings: Sequence[str] = ()
    num_beams: int = 1
    length_penalty: float = 1.0
    early_stopping: bool | str = False
    num_return_sequences: int = 1
    use_cache: bool = True

    def __post_init__(self) -> None:
        for name in ("max_new_tokens", "num_beams", "num_return_sequences"):
            check_whole(name, getattr(self, name), 1)
        check_whole("min_new_tokens", self.min_new_tokens, 0)
        if self.seed is not None:
            check_whole("seed", self.seed, 0)
        for name, check in (("filters", check_filter), ("penalties", check_penalty)):
            check_pairs(name, getattr(self, name))
            for pair in getattr(self, name):
                check(*pair)
        check_stop_strings(self.stop_strings)
        check_finite("length_penalty", self.length_penalty)
        if self.early_stopping not in (True, False, "never"):
            raise ValueError(f"early_stopping must be True, False or 'never', got {self.early_stopping!r}")
        self._check_combinations()

    def _check_combinations(self) -> None:
        if self.min_new_tokens > self.max_new_tokens:
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


def check_pairs(name: str, pairs: Sequence[tuple[str, float]]) -> None:
    """Raise a ValueError in one sentence unless `pairs` is a list of pairs: their order matters."""
    is_list = isinstance(pairs, Sequence) and not isinstance(pairs, str)
    if not is_list or not all(isinstance(pair, tuple | list) and len(pair) == 2 for pair in pairs):
        raise ValueError(f"{name} must be a list of (name, setting) pairs, got {pairs!r}")
