"""Exercise 13 · Beam search: sums, the length penalty, one step, and the whole search on a table."""

import math
from itertools import pairwise

import torch

from course_utils.exercises.task import Check, Prose, Task

WORDS, END = 6, 5  # the vocabulary of the tables; the last token ends a text


def log_table(random, words=WORDS, spread=1.0):
    """Return log-probabilities of the next token, `(last, next)`; no row and no column is like another."""
    return torch.tensor(random.normal(0, spread, size=(words, words)), dtype=torch.float32).log_softmax(-1)


def diary():
    """Return the table of the lesson: sun, rain, fog and the start."""
    shares = [[0.35, 0.40, 0.25], [0.20, 0.70, 0.10], [0.05, 0.05, 0.90], [0.50, 0.30, 0.20]]
    table = torch.full((4, 4), -torch.inf)
    table[:, :3] = torch.tensor(shares).log()
    return table


# q1: the score of a text


def score(table, text, length_penalty):
    """Return the sum of log-probabilities divided by the number of new tokens to the power of the penalty."""
    total = float(sum(table[last, new] for last, new in pairwise(text)))
    return total / (len(text) - 1) ** length_penalty


def texts(random, *settings):
    """One table and text for each number of new tokens and penalty; the text never repeats its first token."""
    return [
        (log_table(random), [4, *random.integers(0, 4, size=length).tolist()], penalty) for length, penalty in settings
    ]


q1 = Task(
    name="q1",
    title="The score of a text",
    function="score",
    right=score,
    checks=(
        Check(
            "adds the log-probabilities of the new tokens",
            lambda random: [(diary(), [3, 0, 1], 0), *texts(random, (5, 0), (3, 0))],
        ),
        Check("takes their mean at 1", lambda random: texts(random, (4, 1), (7, 1))),
        Check("divides by the length to the power", lambda random: texts(random, (3, 0.5), (6, 2), (5, 0.8))),
    ),
    hint="Every neighbour pair of the text is one place of the table; there are `len(text) - 1` of them.",
)
q1.patch(
    "You read the table the wrong way round: the row is the token before, the column the one that comes "
    "(`table[last, next]`).",
    "table[last, new]",
    "table[new, last]",
)
q1.patch("You add probabilities: their logarithms are what is added.", "table[last, new]", "table[last, new].exp()")
q1.patch(
    "You return the probability of the text: leave the sum as it is, without `exp`.",
    "return total",
    "return math.exp(total)",
)
q1.patch(
    "The first new token is missing: it comes after `text[0]`, and has a log-probability, too.",
    "(text)))",
    "(text[1:])))",
)
q1.patch("You count the prompt: the length is the number of new tokens.", "(len(text) - 1)", "len(text)")
q1.patch(
    "You leave the length out: divide the sum by the number of new tokens to the power of the penalty.",
    " / (len(text) - 1) ** length_penalty",
    "",
)
q1.patch(
    "You take the mean whatever the penalty is: the length belongs in brackets, `(len(text) - 1) ** p`, because "
    "`1 ** p` is always 1.",
    " ** length_penalty",
    "",
)
q1.patch("You multiply by the length: divide, so that long texts come closer to 0.", "total / ", "total * ")
q1.mistake("The sum itself is taken to a power: only the length is.")(
    lambda table, text, penalty: -((-score(table, text, 1)) ** penalty)
)
q1.patch("The sign: log-probabilities are not above 0, and neither is a score.", "return total", "return -total")


# q2: where two scores are equal


def turning_point(short_sum, short_tokens, long_sum, long_tokens):
    """Return the length penalty at which both texts have the same score."""
    return math.log(long_sum / short_sum) / math.log(long_tokens / short_tokens)


def two_texts(random, count):
    """Pairs of a short text and a long one with a lower sum."""
    cases = []
    for _ in range(count):
        short, more = int(random.integers(2, 5)), int(random.integers(3, 9))
        best = -float(random.uniform(1.5, 4))
        cases.append((best, short, best * float(random.uniform(1.3, 4)), short + more))
    return cases


q2 = Task(
    name="q2",
    title="Where the long text wins",
    function="turning_point",
    right=turning_point,
    checks=(
        Check("finds a half", lambda random: [(-2.0, 2, -4.0, 8), *two_texts(random, 1)]),
        Check("finds it for other texts", lambda random: two_texts(random, 4)),
    ),
    hint="Both scores equal means (long_tokens / short_tokens) ** p = long_sum / short_sum; take logarithms.",
)
q2.mistake(
    "The sign: with a positive length penalty the long text comes up, so divide the long sum by the short one "
    "as you divide the long length by the short one."
)(lambda s, n, long_sum, m: -turning_point(s, n, long_sum, m))
q2.mistake("It is upside down: the sums are the numerator, the lengths the denominator.")(
    lambda s, n, long_sum, m: 1 / turning_point(s, n, long_sum, m)
)
q2.mistake("You divide the ratios: the penalty is an exponent, and only a logarithm brings it down.")(
    lambda s, n, long_sum, m: (long_sum / s) / (m / n)
)
q2.mistake("You take the logarithm of the sums only: the lengths are raised to the power, so they need it, too.")(
    lambda s, n, long_sum, m: math.log(long_sum / s) / (m / n)
)
q2.mistake("You take differences before the logarithm: divide, `log(a / b)`, or take the logarithms first.")(
    lambda s, n, long_sum, m: math.log(s - long_sum) / math.log(m - n)
)
q2.mistake("You compare the lengths by their difference: what counts is how many times longer the text is.")(
    lambda s, n, long_sum, m: math.log(long_sum / s) / math.log(m - n)
)
q2.mistake("You compare the means: that is a penalty of 1. Ask for which penalty both scores are equal.")(
    lambda s, n, long_sum, m: long_sum / m - s / n
)


# q3: one step


def beam_step(texts, sums, table, beams):
    """Extend every text by every token, and keep the best."""
    totals = sums[:, None] + table[texts[:, -1]]
    best, places = totals.flatten().topk(min(beams, totals.numel()))
    rows, tokens = places // totals.shape[1], places % totals.shape[1]
    return torch.cat([texts[rows], tokens[:, None]], dim=1), best


def alive(random, rows, length):
    """Return `rows` beams with the sums that they could have, best first, and a table.

    The first tokens, which only a mistake looks at, are unlike the last ones, and the best candidate belongs to a row
    that is not the first, so that it shows when rows are mixed up.
    """
    while True:
        table = log_table(random)
        beams_texts = torch.tensor(random.integers(0, WORDS, size=(rows, length)))
        sums = -torch.tensor(random.uniform(2.0, 2.8, size=rows), dtype=torch.float32).sort().values
        winners = (sums[:, None] + table[beams_texts[:, -1]]).flatten().topk(rows).indices // WORDS
        first_differs = bool((beams_texts[:, 0] != beams_texts[:, -1]).all())
        all_differ = len({tuple(text) for text in beams_texts.tolist()}) == rows
        if first_differs and all_differ and winners[0] != 0 and len(set(winners.tolist())) < rows:
            return table, beams_texts, sums


def steps(random, *sizes):
    """Beams of each (rows, tokens), and as many wanted as there are."""
    cases = []
    for rows, length in sizes:
        table, beams_texts, sums = alive(random, rows, length)
        cases.append((beams_texts, sums, table, rows))
    return cases


def first_steps(random, *wanted):
    """One beam with a sum of 0 from which to keep as many as `wanted`."""
    return [(torch.tensor([[int(random.integers(0, WORDS))]]), torch.zeros(1), log_table(random), k) for k in wanted]


q3 = Task(
    name="q3",
    title="One step",
    function="beam_step",
    right=beam_step,
    checks=(
        Check("keeps the best of all candidates", lambda random: steps(random, (2, 3), (3, 4), (4, 2))),
        Check("takes the first step from one beam", lambda random: first_steps(random, 1, 3)),
        Check("keeps all when there are fewer candidates than beams", lambda random: first_steps(random, 9)),
    ),
    hint="`sums[:, None] + table[texts[:, -1]]` has a row for each beam; flatten it and take `topk`.",
    points=3,
)
q3.patch("The sum so far is missing: a beam that was likely until now has a lead.", "sums[:, None] + ", "")
q3.patch("You add probabilities to sums of logarithms: add the log-probabilities.", "+ table", "+ table.exp()")
q3.patch("You multiply logarithms: they are added.", "+ table", "* table")


@q3.mistake(
    "Every beam continues with its own best token: compare all candidates of all beams, and let a beam continue "
    "twice, or not at all."
)
def step_of_each_beam(texts, sums, table, beams):
    best, tokens = (sums[:, None] + table[texts[:, -1]]).max(-1)
    order = best.argsort(descending=True)[:beams]
    return torch.cat([texts, tokens[:, None]], dim=1)[order], best[order]


q3.mistake("You extend the best beam only: extend every beam by every token, and then compare.")(
    lambda texts, sums, table, beams: beam_step(texts[:1], sums[:1], table, beams)
)
q3.patch(
    "You keep the lowest sums: the most likely text has the highest, the one closest to 0.",
    "numel())",
    "numel()), largest=False",
)
q3.patch(
    "Beam and token are swapped: the place in the flat list, divided by the vocabulary, is the beam "
    "(`//`), and the rest is the token (`%`).",
    "rows, tokens =",
    "tokens, rows =",
)
q3.patch(
    "The new tokens follow the wrong texts: take the texts in the order of the winners first (`texts[rows]`).",
    "texts[rows]",
    "texts",
)
q3.patch(
    "You look at the first token of a text: what comes next depends on its last one, `texts[:, -1]`.",
    "[:, -1]",
    "[:, 0]",
)
q3.patch(
    "You read the table the wrong way round: the row is the token before, the column the one that comes.",
    "table[",
    "table.T[",
)
q3.patch(
    "With fewer candidates than beams `topk` raises: take `min(beams, totals.numel())`.",
    "min(beams, totals.numel())",
    "beams",
)


# q4: the whole search


def search(table, start, beams, steps, length_penalty, gaps=None):
    """Return the best texts, each after its score; `gaps` takes the distances between neighbours of each ranking."""
    rows, living, finished = table.tolist(), [(0.0, [])], []
    for _ in range(steps):
        candidates = [
            (value + rows[(tokens or [start])[-1]][token], [*tokens, token])
            for value, tokens in living
            for token in range(len(rows))
        ]
        candidates.sort(key=best_first)
        note_gaps(gaps, candidates[: 2 * beams + 1])
        finished += [pair for pair in candidates[:beams] if has_ended(pair)]
        living = [pair for pair in candidates if not has_ended(pair)][:beams]
    texts = [[value / len(tokens) ** length_penalty, tokens] for value, tokens in finished + living]
    texts.sort(key=best_first)
    note_gaps(gaps, texts[: beams + 1])
    return texts[:beams]


def best_first(pair):
    """The key that sorts by score."""
    return -pair[0]


def has_ended(pair):
    """Whether the last token of a text is the one that ends it."""
    return pair[1][-1] == END


def note_gaps(gaps, ranked):
    """Add the distances between neighbours of a ranking to `gaps`, if they are wanted."""
    if gaps is not None:
        values = [value for value, _ in ranked if value > -math.inf]
        gaps += [one - other for one, other in pairwise(values)]


def is_steady(case):
    """Tell whether no two candidates are nearly equal: texts with the same steps in another order are, for example."""
    gaps = []
    search(*case, gaps)
    without_ends(*case, gaps)
    return min(gaps, default=1) > 0.002


def tables(random, other, *settings):
    """One table for each (beams, steps, penalty) in which texts end early, and the search `other` finds other texts."""
    cases = []
    for beams, count, penalty in settings:
        while True:
            case = (log_table(random, spread=1.2), int(random.integers(0, END)), beams, count, penalty)
            found = search(*case)
            is_early = any(tokens[-1] == END and len(tokens) < count for _, tokens in found)
            if is_early and other(*case) != found and is_steady(case):
                break
        cases.append(case)
    return cases


def endless(random, *settings):
    """Tables in which no text ends, for each (beams, steps)."""
    cases = []
    for beams, count in settings:
        while True:
            table = log_table(random, spread=1.5)
            table[:, END] = -torch.inf
            case = (table.log_softmax(-1), int(random.integers(0, END)), beams, count, 1.0)
            if is_steady(case):
                break
        cases.append(case)
    return cases


q4 = Task(
    name="q4",
    title="The whole search",
    function="search",
    right=search,
    checks=(
        Check("finds the best texts of one length", lambda random: endless(random, (1, 3), (2, 4), (3, 5))),
        Check(
            "sets texts aside that end",
            lambda random: [
                *tables(random, keeps_its_beam, (2, 5, 1.0), (3, 5, 1.0)),
                *tables(random, stops_early, (3, 6, 1.2), (2, 6, 1.5)),
            ],
        ),
        Check(
            "ranks them with the length penalty",
            lambda random: [
                *tables(random, from_anywhere, (2, 5, 0.0), (3, 4, 0.0)),
                *tables(random, unended, (3, 5, 0.5), (4, 5, 2.0)),
            ],
        ),
    ),
    hint="In each step sort all candidates; look at the best `beams` for ends, and keep the best `beams` that continue.",
    points=4,
)
q4.patch(
    "You leave the length out of the score: divide the sum by the number of new tokens to the power of length_penalty.",
    " / len(tokens) ** length_penalty",
    "",
)
q4.patch(
    "You count the prompt in the length: it is the number of new tokens.", "len(tokens) **", "(len(tokens) + 1) **"
)
without_ends = q4.patch(
    "Your texts do not end: one whose new token is the last of the vocabulary is finished and doesn't grow.",
    "if has_ended(pair)",
    "if False",
    "if not has_ended(pair)",
    "if True",
)
keeps_its_beam = q4.patch(
    "A text that has ended keeps its beam: the next best candidate takes its place, so that `beams` texts continue.",
    "candidates if not has_ended(pair)][:beams]",
    "candidates[:beams] if not has_ended(pair)]",
)
stops_early = q4.patch(
    "You stop when `beams` texts are finished: continue to the last step, since a longer text may score better.",
    "range(steps):",
    "range(steps):\n        if len(finished) >= beams: break",
)
q4.patch(
    "You stop at the first text that ends: set it aside and continue with the others.",
    "range(steps):",
    "range(steps):\n        if finished: break",
)
from_anywhere = q4.patch(
    "Texts end that are not among the best `beams` candidates: those are pruned.",
    "in candidates[:beams]",
    "in candidates",
)
unended = q4.patch(
    "The texts that are alive after the last step are missing: score them as well.", "finished + living", "finished"
)
q4.patch(
    "The token that ends a text is missing: it belongs to the text, and to its length.",
    "return texts[:beams]",
    "return [[value, tokens[:-1] if tokens[-1] == END else tokens] for value, tokens in texts[:beams]]",
)
q4.patch(
    "Your texts begin with `start`: return the tokens after it.",
    "return texts[:beams]",
    "return [[value, [start, *tokens]] for value, tokens in texts[:beams]]",
)
q4.patch(
    "Your texts are in the order in which they ended: sort them by score, the best first.",
    "texts.sort(key=best_first)",
    "",
)
q4.patch(
    "The worst text comes first: sort by score, the best (closest to 0) first.",
    "texts.sort(key=best_first)",
    "texts.sort()",
)
q4.patch("You return all finished texts: the best `beams` of them are enough.", "texts[:beams]", "texts")
q4.patch("You return the best text only: return the best `beams`.", "texts[:beams]", "texts[:1]")


TASKS = (q1, q2, q3, q4)
PROSE = (
    Prose(
        name="q5",
        title="More beams, shorter texts",
        points=2,
        look_for="Every token adds a log-probability below 0, so with a penalty of 0 a short text has the better sum. An early end "
        "is unlikely in its step: few beams prune it, many beams keep it among their best candidates, and then it wins. The "
        "search got better at finding what the score asks for; the score is what is wrong. A length penalty of about 1 (or a "
        "least length) helps.",
    ),
)
