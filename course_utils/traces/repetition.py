"""A greedy generation under penalties and stops: what each step changed, held back, and why it ended.

Lesson: 12 · Repetition, length and stopping
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from course_utils.engine.settings import GenerationSettings
from course_utils.models import CausalLM
from course_utils.traces.base import Trace
from course_utils.traces.repetition_run import PenaltyFunction, RepetitionRun

# The penalties in the order of application, each with the setting that switches it off.
PENALTIES_OFF = {"repetition_penalty": 1, "no_repeat_ngram": 0, "presence_penalty": 0, "frequency_penalty": 0}


@dataclass(frozen=True)
class RepetitionTrace(Trace):
    """One greedy text, with the logits of every token that it already held, before and after the penalties.

    Args:
        model: Name of the model that ran.
        prompt_tokens: The prompt's tokens as visible text.
        new_tokens: The generated tokens as visible text, one per step.
        ids: Their ids, int64 `(step,)`.
        settings: Names and values of `record_repetition`.
        held_tokens: The tokens that the text came to hold, prompt included, as visible text.
        held_ids: Their ids, int64 `(held,)`.
        before: Their logits as the model said them, float32 `(step, held)`; NaN before the token is in the text.
        after: The same after all penalties; −∞ where a token is banned.
        probability: Probability of the chosen token before the penalties, float32 `(step,)`.
        eos_before: Probability that the text ends here, as the model said it, float32 `(step,)`.
        eos_after: The same after penalties and the mask of `min_new_tokens`.
        shown: What a reader sees after each step, one text per step.
        withheld: What is held back after each step; at the last step, what the stop string cut off.
        reason: Why the text ended.
        differs: Where the learner's own penalty differs from the library's, one sentence; "" nowhere.

    Raises:
        ValueError: The arrays do not have one row per step.

    >>> row, table = np.zeros(1, np.float32), np.zeros((1, 1), np.float32)
    >>> RepetitionTrace("toy", "a", ("a",), ("b",), np.array([1]), (), ("a",), np.array([0]), table, table, row, row,
    ...     row, ("b",), ("",), "eos").changes
    array([[0.]], dtype=float32)
    """

    model: str
    prompt: str
    prompt_tokens: tuple[str, ...]
    new_tokens: tuple[str, ...]
    ids: np.ndarray
    settings: tuple[tuple[str, object], ...]
    held_tokens: tuple[str, ...]
    held_ids: np.ndarray
    before: np.ndarray
    after: np.ndarray
    probability: np.ndarray
    eos_before: np.ndarray
    eos_after: np.ndarray
    shown: tuple[str, ...]
    withheld: tuple[str, ...]
    reason: str
    differs: str = ""

    def __post_init__(self) -> None:
        names = ("ids", "before", "after", "probability", "eos_before", "eos_after", "shown", "withheld")
        self.check_rows("step", len(self.new_tokens), names)

    @property
    def changes(self) -> np.ndarray:
        """What the penalties added to each logit, `(step, held)`; 0 before the token is in the text."""
        return np.where(np.isnan(self.before), 0, self.after - self.before).astype(np.float32)

    def repeated(self, size: int) -> np.ndarray:
        """Tell of each new token whether it is part of a run of `size` new tokens that came before, bool `(step,)`."""
        ids, seen, marks = self.ids.tolist(), set(), np.zeros(len(self.ids), bool)
        for end in range(size, len(ids) + 1):
            run = tuple(ids[end - size : end])
            if run in seen:
                marks[end - size : end] = True
            seen.add(run)
        return marks


def record_repetition(
    model: CausalLM,
    prompt: str,
    *,
    presence_penalty: float = 0,
    frequency_penalty: float = 0,
    repetition_penalty: float = 1,
    no_repeat_ngram: int = 0,
    min_new_tokens: int = 0,
    max_new_tokens: int = 60,
    stop_at_eos: bool = True,
    stop_strings: Sequence[str] = (),
    own: Mapping[str, PenaltyFunction] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> RepetitionTrace:
    """Generate greedily after `prompt` and record what penalties and stops did at every step.

    Args:
        presence_penalty: −2 to 2; 0 is off, and so it is for `frequency_penalty`.
        frequency_penalty: −2 to 2.
        repetition_penalty: Above 0; 1 is off.
        no_repeat_ngram: Size of the runs that may not come twice; 0 is off.
        min_new_tokens: Before this many tokens, the text cannot end.
        stop_at_eos: Whether the end-of-sequence token ends the text.
        own: The learner's function `(logits, ids, setting)` in place of the library's penalty of that name.
        progress: Called with the number of each step, from 1, before it runs, and with the most that there can be.

    Raises:
        TypeError: `prompt` is not a str.
        ValueError: `prompt` is empty or too long, a setting is out of its range, or the learner's function raises
            or does not return logits.

    >>> from course_utils.models import load_causal_lm
    >>> trace = record_repetition(load_causal_lm(), "I like to eat", stop_strings=["burger"])
    >>> trace.shown, trace.withheld, trace.reason
    ((' a', ' a ', ' a '), ('', 'bur', 'burger'), 'stop_string')
    """
    given = dict(locals())
    names = [*PENALTIES_OFF, "min_new_tokens", "max_new_tokens", "stop_at_eos", "stop_strings"]
    chosen = GenerationSettings(
        max_new_tokens=max_new_tokens,
        min_new_tokens=min_new_tokens,
        penalties=[(name, given[name]) for name, off in PENALTIES_OFF.items() if given[name] != off],
        eos_ids=None if stop_at_eos else [],
        stop_strings=stop_strings,
    )
    run = RepetitionRun(model, prompt, chosen, own or {}, progress)
    settings = tuple((name, tuple(given[name]) if name == "stop_strings" else given[name]) for name in names)
    return RepetitionTrace(settings=settings, **run.fields())
