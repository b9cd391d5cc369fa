"""A greedy generation under penalties and stops: what each step changed, held back, and why it ended.

Lesson: 12 · Repetition, length and stopping
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from course_utils.engine.arguments import check_flag
from course_utils.engine.settings import GenerationSettings, greedy_settings
from course_utils.models import CausalLM
from course_utils.models.doorway import takes
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


@takes(model=CausalLM)
def record_repetition(
    model: CausalLM,
    prompt: str,
    *,
    stop_at_eos: bool = True,
    own: Mapping[str, PenaltyFunction] | None = None,
    progress: Callable[[int, int], None] | None = None,
    **settings: object,
) -> RepetitionTrace:
    """Generate greedily after `prompt` and record what penalties and stops did at every step.

    Args:
        stop_at_eos: Whether the end-of-sequence token ends the text.
        own: The learner's function `(logits, ids, setting)` in place of the library's penalty of that name.
        progress: Called with the number of each step, from 1, before it runs, and with the most that there can be.
        settings: Penalties, lengths and stops, as `GenerationSettings`; 60 new tokens if no length is given.

    Raises:
        TypeError: `prompt` is not a str.
        ValueError: `prompt` is empty or too long, a setting is out of its range, or the learner's function raises
            or does not return logits.

    >>> from course_utils.models import load_causal_lm
    >>> trace = record_repetition(load_causal_lm(), "I like to eat", stop_strings=["burger"])
    >>> trace.shown, trace.withheld, trace.reason
    ((' a', ' a ', ' a '), ('', 'bur', 'burger'), 'stop_string')
    """
    chosen = _settings(stop_at_eos, settings)
    run = RepetitionRun(model, prompt, chosen, own or {}, progress)
    length = run.running.start_ids.shape[1]
    written = (
        PENALTIES_OFF
        | dict(chosen.penalties)
        | {
            "min_new_tokens": chosen.least_new_tokens(length),
            "max_new_tokens": chosen.most_new_tokens(length),
            "stop_at_eos": stop_at_eos,
            "stop_strings": tuple(chosen.stop_strings),
        }
    )
    return RepetitionTrace(settings=tuple(written.items()), **run.fields())


def _settings(stop_at_eos: bool, given: dict[str, object]) -> GenerationSettings:
    given = dict(given)
    if "no_repeat_ngram" in given:  # as the lab calls it
        if "no_repeat_ngram_size" in given:
            raise ValueError("no_repeat_ngram and no_repeat_ngram_size must not be given together")
        given["no_repeat_ngram_size"] = given.pop("no_repeat_ngram")
    if given.keys().isdisjoint(("max_new_tokens", "max_length")):
        given["max_new_tokens"] = 60
    if not check_flag("stop_at_eos", stop_at_eos):
        given["eos_ids"] = []
    takes = ["penalties", "max_new_tokens", "max_length", "min_new_tokens", "min_length", "stop_strings"]
    return greedy_settings("record_repetition()", takes + ["eos_ids"] * (not stop_at_eos), given)
