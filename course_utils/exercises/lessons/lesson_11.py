"""Exercise 11 · Sampling: temperature, top-k, top-p and min-p."""

import torch

from course_utils.engine.sampling import apply_min_p, apply_temperature, apply_top_k, apply_top_p
from course_utils.exercises.task import Check, Prose, Task

GONE = float("-inf")


def logits(random, *shape):
    """Draw logits whose order, sum and sign tell nothing."""
    return torch.tensor(random.normal(0, 2, size=shape), dtype=torch.float32)


def of_probabilities(*shares):
    """Return logits that the softmax turns into these probabilities."""
    return torch.tensor(shares).log()


def keep(values, kept):
    """Return logits where only what is `kept` (a mask) stays."""
    return values.masked_fill(~kept, GONE)


def rows_as_one(function):
    """Treat a batch as one long row."""
    return lambda values, setting: function(values.flatten(), setting).reshape(values.shape)


def single(random, *settings):
    """One row of logits for each setting."""
    return [(logits(random, 12), setting) for setting in settings]


def batch(random, *settings):
    """Three rows of logits for each setting."""
    return [(logits(random, 3, 9), setting) for setting in settings]


q1 = Task(
    name="q1",
    title="Temperature",
    function="with_temperature",
    right=apply_temperature,
    ready_made=("TemperatureLogitsWarper",),
    checks=(
        Check("divides the logits", lambda random: single(random, 0.5, 0.7, 2.0)),
        Check("leaves every row of a batch its own", lambda random: batch(random, 1.5)),
        Check("keeps the best token alone at 0", lambda random: [*single(random, 0), *batch(random, 0)]),
    ),
    hint="Two cases: 0, and everything else. For the first, compare every logit with the largest of its row.",
)
q1.mistake("You multiply by the temperature: divide, so that a low one makes the best token more likely.")(
    lambda values, temperature: values * temperature
)
q1.mistake("You divide the probabilities: divide the logits, before the softmax.")(
    lambda values, temperature: values.softmax(-1) / temperature
)
q1.mistake("You return probabilities: leave the softmax to the code that draws, because more filters may follow.")(
    lambda values, temperature: apply_temperature(values, temperature).softmax(-1)
)
q1.mistake("At 0 you divide by nothing: make a case of it, and give all but the best token −∞.")(
    lambda values, temperature: values / temperature
)
q1.mistake("At 0 you leave the logits alone: that is a temperature of 1. Keep the best token only.")(
    lambda values, temperature: values / temperature if temperature else values
)
q1.mistake("At 0 you keep the best token of the whole batch: every row has a best one (`amax(-1, keepdim=True)`).")(
    lambda values, temperature: values / temperature if temperature else keep(values, values == values.max())
)
q1.patch("At 0 the others get a logit of 0, which is a probability above 0: it takes −∞.", "REMOVED", "0.0")


q2 = Task(
    name="q2",
    title="Top-k",
    function="top_k",
    right=apply_top_k,
    ready_made=("TopKLogitsWarper",),
    checks=(
        Check("keeps the k largest", lambda random: single(random, 1, 3, 8)),
        Check("keeps the k largest of every row", lambda random: batch(random, 2, 4)),
        Check("keeps everything when k is larger than the vocabulary", lambda random: single(random, 50)),
    ),
    hint="`logits.topk(k).values[..., -1:]` is the smallest logit that stays, one for each row.",
)
q2.patch("Removed tokens get a logit of 0, which is a probability above 0: it takes −∞.", "REMOVED", "0.0")
q2.patch("You return probabilities: return logits.", "REMOVED)", "REMOVED).softmax(-1)")
q2.mistake("You keep the k smallest logits: the likely tokens have the largest.")(
    lambda values, k: keep(values, values <= values.sort(-1).values[..., [min(k, values.shape[-1]) - 1]])
)
q2.patch(
    "You keep one token too few: the k-th largest stays, too (`<`, not `<=`).", "< smallest_kept", "<= smallest_kept"
)
q2.patch("You keep one token too many: the k-th largest is at index k − 1.", "min(top_k,", "min(top_k + 1,")
q2.mistake("A batch is cut as one row: look for the k largest in every row (`dim=-1`).")(rows_as_one(apply_top_k))
q2.patch(
    "With a k larger than the vocabulary `topk` raises: take `min(k, logits.shape[-1])`.",
    "min(top_k, logits.shape[-1])",
    "top_k",
)


q3 = Task(
    name="q3",
    title="Top-p",
    function="top_p",
    right=apply_top_p,
    ready_made=("TopPLogitsWarper",),
    checks=(
        Check(
            "keeps the token that crosses p",
            lambda random: [(of_probabilities(0.5, 0.3, 0.15, 0.05), p) for p in (0.7, 0.4, 0.9)],
        ),
        Check("finds the likely tokens wherever they are", lambda random: single(random, 0.3, 0.6, 0.9)),
        Check("adds up every row for itself", lambda random: batch(random, 0.5, 0.8)),
        Check("keeps everything at 1", lambda random: single(random, 1.0)),
    ),
    hint="Sort; the sum *before* a token tells whether it is still needed: `cumsum(-1) - probabilities < p`.",
    points=3,
)


@q3.mistake(
    "You drop the token that crosses p: it stays, or less than p is left (and nothing, when the best token has "
    "more than p)."
)
def top_p_without_crossing(values, top_p):
    ranked, order = values.softmax(-1).sort(descending=True)
    return keep(values, torch.zeros_like(values, dtype=torch.bool).scatter(-1, order, ranked.cumsum(-1) <= top_p))


@q3.mistake("You keep the tokens below p: start to add at the most likely one.")
def top_p_of_the_tail(values, top_p):
    ranked, order = values.softmax(-1).sort()
    kept = ranked.cumsum(-1) - ranked < top_p
    return keep(values, torch.zeros_like(kept).scatter(-1, order, kept))


@q3.mistake("You keep the tokens below p: start to add at the most likely one.")
def top_p_of_the_tail_without_crossing(values, top_p):
    ranked, order = values.softmax(-1).sort()
    kept = ranked.cumsum(-1) < top_p
    return keep(values, torch.zeros_like(kept).scatter(-1, order, kept))


@q3.mistake("You add up in the order of the vocabulary: sort by probability first.")
def top_p_unsorted(values, top_p):
    shares = values.softmax(-1)
    return keep(values, shares.cumsum(-1) - shares < top_p)


@q3.mistake("The result is in sorted order: put every token back where it was (`scatter` with the indices of `sort`).")
def top_p_in_sorted_places(values, top_p):
    ranked, order = values.sort(descending=True)
    shares = ranked.softmax(-1)
    return keep(ranked, shares.cumsum(-1) - shares < top_p)


q3.mistake("You keep every token with a probability of at least p: it is the sum that must reach p.")(
    lambda values, p: keep(values, values.softmax(-1) >= p)
)
q3.patch("Removed tokens get a logit of 0, which is a probability above 0: it takes −∞.", "REMOVED", "0.0")
q3.patch("You return probabilities: return logits.", "REMOVED)", "REMOVED).softmax(-1)")
q3.mistake("A batch is cut as one row: add up along the last dimension.")(rows_as_one(apply_top_p))


q4 = Task(
    name="q4",
    title="Min-p",
    function="min_p",
    right=apply_min_p,
    ready_made=("MinPLogitsWarper",),
    checks=(
        Check("compares with the most likely token", lambda random: single(random, 0.1, 0.3)),
        Check("compares within every row", lambda random: batch(random, 0.2, 0.5)),
        Check("keeps everything at 0", lambda random: single(random, 0.0)),
    ),
    hint="Probabilities first, then the largest of each row, then one comparison.",
)
q4.mistake("You compare with min-p itself: the bar is min-p times the largest probability.")(
    lambda values, p: keep(values, values.softmax(-1) >= p)
)
q4.mistake("You compare logits: turn them into probabilities first (`softmax`).")(
    lambda values, p: keep(values, values >= p * values.amax(-1, keepdim=True))
)
q4.patch(
    "All rows are compared with the largest probability of the batch: every row has its own (`keepdim=True`).",
    "amax(-1, keepdim=True)",
    "max()",
)
q4.mistake("You keep the tokens below the bar: those at or above it stay.")(
    lambda values, p: keep(values, values.softmax(-1) < p * values.softmax(-1).amax(-1, keepdim=True))
)
q4.patch("Removed tokens get a logit of 0, which is a probability above 0: it takes −∞.", "REMOVED", "0.0")
q4.patch("You return probabilities: return logits.", "REMOVED)", "REMOVED).softmax(-1)")


TASKS = (q1, q2, q3, q4)
PROSE = (
    Prose(
        name="q5",
        title="Why the order matters",
        points=2,
        look_for="Temperature changes the probabilities, and top-p adds up probabilities: after a high temperature more "
        "tokens are needed to reach p, so more are kept. Top-k looks only at the order of the tokens, which temperature "
        "never changes.",
    ),
)
