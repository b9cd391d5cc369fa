"""A filter that the learner wrote, in place of the library's: run it whatever it does, and say where it differs.

Lesson: 11 · Sampling
"""

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from course_utils.engine import sampling
from course_utils.engine.sampling import FILTERS, REMOVED
from course_utils.errors import first_line

Filter = Callable[[torch.Tensor, float], torch.Tensor]
LONGEST_MESSAGE = 160  # characters of an exception that are shown
# How far 32-bit sums over a large vocabulary come from the right ones, added up from the top or from the bottom.
ROUNDING = {"top_p": 3e-6, "min_p": 3e-6}


@dataclass(frozen=True)
class FilterComparison:
    """What a learner's filter made of some logits, beside the reference.

    Args:
        name: Which filter it replaces.
        logits: What to continue with: the learner's logits, or the reference's if there are none, `(vocab,)`.
        reference: What the library's filter makes of the same logits, `(vocab,)`.
        problem: Why the learner's function gave no logits, in one sentence; "" if it did.
        differing: Tokens at which the two differ, in the order of the vocabulary, `(differing,)`.

    >>> keep_all = lambda logits, top_k: logits
    >>> compare_filter("top_k", keep_all, torch.tensor([3.0, 2.0, 1.0]), 2).differing
    tensor([2])
    """

    name: str
    logits: torch.Tensor
    reference: torch.Tensor
    problem: str
    differing: torch.Tensor

    def sentence(self, labels: Sequence[str], ranks: torch.Tensor) -> str:
        """Say in one line whether and where the two differ.

        Args:
            labels: Every token as visible text, `(vocab,)`.
            ranks: The rank of every token, from 1, `(vocab,)`; the difference of the smallest rank is named.
        """
        if self.problem:
            return f"✗ your {self.name} {self.problem}. The picture shows the reference."
        kept, wanted = (int(logits.isfinite().sum()) for logits in (self.logits, self.reference))
        if not len(self.differing):
            return f"✓ your {self.name} equals the reference at all {len(labels):,} tokens ({kept:,} kept)."
        token = min(self.differing.tolist(), key=lambda token: ranks[token])
        named = f"“{labels[token]}” (rank {ranks[token]:,})"
        many = f"{len(self.differing):,} token" + "s" * (len(self.differing) > 1)
        counted = f"They differ at {many}: yours keeps {kept:,}, the reference {wanted:,}."
        return f"≠ your {self.name} {self._first_difference(token, named)}. {counted}"

    def _first_difference(self, token: int, named: str) -> str:
        if self.logits[token].isfinite() and self.reference[token].isfinite():
            own, wanted = (float(logits.softmax(-1)[token]) for logits in (self.logits, self.reference))
            return f"gives {named} a probability of {own:.3g}; the reference gives it {wanted:.3g}"
        own, wanted = ("keeps", "removes") if self.logits[token].isfinite() else ("removes", "keeps")
        return f"{own} {named}; the reference {wanted} it"


def compare_filter(name: str, function: Filter, logits: torch.Tensor, setting: float) -> FilterComparison:
    """Run a learner's filter on logits `(vocab,)` beside the library's filter `name`.

    Whatever the function does wrong becomes one sentence: it stops with an exception, returns no tensor, another
    shape, a number that is none, or removes every token.

    Two filters differ at a token if one keeps it and the other does not. If they keep the same tokens, they differ
    where the probabilities do, by more than a thousandth of them. Tokens that only rounding decides about don't
    count, and of tokens with equal logits it doesn't matter which are kept, only how many.

    Raises:
        KeyError: There is no filter of that name.
        ValueError: The setting is out of its range.

    >>> logits = torch.tensor([3.0, 2.0, 1.0])
    >>> wrong = compare_filter("top_k", lambda logits, top_k: None, logits, 2)
    >>> wrong.problem
    'must return a tensor, got None (is a return missing?)'
    >>> wrong.logits
    tensor([3., 2., -inf])
    """
    reference = FILTERS[name](logits, setting)
    try:
        # A clone: a function that changes its argument must not change ours.
        own = function(logits.clone(), setting)
        problem = result_problem(own, logits)
    except KeyboardInterrupt:  # Stop was pressed: that isn't the function's fault
        raise
    except BaseException as error:  # noqa: BLE001 - whatever else it raises, exit() too, is for the learner to see
        problem = exception_line(error, function)
    if problem:
        return FilterComparison(name, reference, reference, problem, torch.tensor([], dtype=torch.long))
    own = own.detach().to(reference.dtype)
    kept, wanted = own.isfinite(), reference.isfinite()
    differs = (kept != wanted) & ~undecided(name, logits, setting, kept)
    if not differs.any():
        shares = [each.masked_fill(~(kept & wanted), REMOVED).softmax(-1) for each in (own, reference)]
        differs = ~torch.isclose(*shares, rtol=1e-3, atol=1e-7, equal_nan=True)  # nan: they share no token
    return FilterComparison(name, own, reference, "", differs.nonzero()[:, 0])


def undecided(name: str, logits: torch.Tensor, setting: float, kept: torch.Tensor) -> torch.Tensor:
    """Tell of which tokens a right filter may keep others than the library's, `(vocab,)`.

    Rounding may decide about a token. And of tokens that are equally likely, one is as good as the other.

    Args:
        logits: What it gets, `(vocab,)`.
        kept: Which tokens the filter in question keeps, `(vocab,)`.

    >>> undecided("top_p", torch.tensor([0.5, 0.3, 0.2]).log(), 0.8, torch.tensor([True, True, True]))
    tensor([False,  True,  True])
    """
    settings = [setting, setting]
    if name in ROUNDING:
        cut = logits.softmax(-1)[FILTERS[name](logits, setting).isfinite()].min().item()
        margin = ROUNDING[name] + 2 * sampling.ROUNDING * cut
        settings = [max(setting - margin, margin), min(setting + margin, 1)]
    sets = [FILTERS[name](logits.double(), one).isfinite() for one in settings]
    free = sets[0] != sets[1]
    for cut in {logits[each].min().item() for each in sets}:
        tied = logits == cut
        least, most = sorted(int(each[tied].sum()) for each in sets)
        free |= tied & bool(least <= kept[tied].sum() <= most)
    return free


def result_problem(result: object, logits: torch.Tensor) -> str:
    """Say in one sentence why `result` cannot be filtered `logits` `(vocab,)`; "" if it can.

    >>> result_problem(torch.zeros(1, 3), torch.zeros(3))
    'must return logits of shape (3,), got (1, 3)'
    """
    if not isinstance(result, torch.Tensor):
        missing = " (is a return missing?)" if result is None else ""
        return f"must return a tensor, got {'None' if result is None else type(result).__name__}{missing}"
    if result.shape != logits.shape:
        return f"must return logits of shape {tuple(logits.shape)}, got {tuple(result.shape)}"
    if not result.is_floating_point():
        return f"must return floating-point logits, got {result.dtype}"
    if result.isnan().any() or (result == -REMOVED).any():
        wrong = "nan" if result.isnan().any() else "inf"
        return f"must return finite logits and −inf for what it removes, got {wrong}"
    return "" if result.isfinite().any() else "removes every token"


def exception_line(error: BaseException, function: Callable) -> str:
    """Say in one line what stopped `function`, and in which of its lines, counted from its `def`.

    >>> def two_lines(logits):
    ...     return logits / 0
    >>> try:
    ...     two_lines(1)
    ... except ZeroDivisionError as error:
    ...     exception_line(error, two_lines)
    'stopped in its line 2 with ZeroDivisionError: division by zero'
    """
    code = getattr(function, "__code__", None)
    lines = [line for frame, line in traceback.walk_tb(error.__traceback__) if frame.f_code is code]
    place = f" in its line {lines[-1] - code.co_firstlineno + 1}" if lines else ""
    words = first_line(error)[:LONGEST_MESSAGE]
    return f"stopped{place} with {type(error).__name__}" + (f": {words}" if words else "")
