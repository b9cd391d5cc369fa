"""Exercise 12 · Repetition, length and stopping: penalties, stop strings, EOS and lengths."""

import torch

from course_utils.engine.penalties import token_counts
from course_utils.engine.stopping import StopStringBuffer
from course_utils.exercises.task import Check, Prose, Task

# q1 · Presence and frequency


def presence_and_frequency(logits, ids, prompt_length, presence, frequency):
    """Count the new tokens of every row and subtract."""
    counts = token_counts(ids[:, prompt_length:], logits.shape[-1])
    return logits - presence * (counts > 0) - frequency * counts


def texts_with_penalties(random, rows, prompts, *penalties):
    """A case for each pair of penalties: logits (rows, 8) and texts of 12 tokens, so that many repeat."""
    return [
        (
            torch.tensor(random.normal(0, 2, size=(rows, 8)), dtype=torch.float32),
            torch.tensor(random.integers(0, 8, size=(rows, 12))),
            prompt,
            *pair,
        )
        for prompt in prompts
        for pair in penalties
    ]


q1 = Task(
    name="q1",
    title="Presence and frequency",
    function="presence_and_frequency",
    right=presence_and_frequency,
    checks=(
        Check(
            "lowers a token once for presence, however often it is there",
            lambda random: [
                (torch.tensor([[3.0, 2.0, 1.0, 0.0]]), torch.tensor([[1, 2, 1, 1]]), 0, 0.5, 0.0),
                *texts_with_penalties(random, 1, [0], (0.7, 0.0)),
            ],
        ),
        Check(
            "lowers it again for frequency, every time",
            lambda random: texts_with_penalties(random, 1, [0], (0.0, 0.3), (0.0, -0.4)),
        ),
        Check("adds up both", lambda random: texts_with_penalties(random, 1, [0], (0.4, 0.25), (-1.0, 0.6))),
        Check("leaves the prompt out", lambda random: texts_with_penalties(random, 1, [4, 9], (0.5, 0.2))),
        Check("counts every row for itself", lambda random: texts_with_penalties(random, 3, [3], (0.6, 0.35))),
    ),
    hint="Cut off the prompt, count (`scatter_add`, or `bincount` for each row), and subtract two things.",
    points=3,
)
q1.patch(
    "You scale the presence penalty by the count, too: it is fixed, so use `counts > 0`.", "(counts > 0)", "counts"
)
q1.patch(
    "The frequency penalty is taken only once: it is scaled by the count. (`logits[ids] -= penalty` takes it "
    "once, too, where `ids` holds a token twice.)",
    "frequency * counts",
    "frequency * (counts > 0)",
)
q1.patch(
    "You exchange the two: frequency is scaled by the count, presence is fixed.",
    "presence * (counts > 0) - frequency * counts",
    "frequency * (counts > 0) - presence * counts",
)
q1.patch(
    "Wrong sign: you raise the logits of what is there. A penalty is subtracted.",
    "- presence",
    "+ presence",
    "- freq",
    "+ freq",
)
q1.patch(
    "You count the prompt, too: here only the new text counts, `ids[:, prompt_length:]`.", "[:, prompt_length:]", ""
)
q1.patch(
    "You count the prompt and leave out the new text: it is the other way round, `ids[:, prompt_length:]`.",
    "prompt_length:]",
    ":prompt_length]",
)
q1.patch(
    "The first new token is not counted: the new text begins at index `prompt_length`.",
    "prompt_length:]",
    "prompt_length + 1 :]",
)
q1.patch("You count the first row only (`ids[0]`): every row has a text of its own.", "shape[-1])", "shape[-1])[:1]")
q1.patch(
    "You count the tokens of all rows together: every row has a text of its own.",
    "shape[-1])",
    "shape[-1]).sum(0, True)",
)
q1.patch(
    "You take the presence penalty from every token of the vocabulary: only those in the text lose it.",
    "* (counts > 0)",
    "",
)
q1.patch(
    "You scale by the share of the text: frequency means the plain count.",
    "- frequency * counts",
    "- frequency * counts / counts.sum(-1, True)",
)
q1.mistake("You return probabilities: return logits.")(
    lambda *arguments: presence_and_frequency(*arguments).softmax(-1)
)


# q2 · The repetition penalty


def repetition_penalty(logits, texts, penalty):
    """Bring down every token of a row's text, once."""
    logits = logits.clone()
    for row, text in enumerate(texts):
        for token in set(text):
            before = logits[row, token]
            logits[row, token] = before / penalty if before > 0 else before * penalty
    return logits


def texts_of_lengths(random, settings, *lengths, shift=0.0):
    """A case for each setting: logits (texts, 9) and a text of each length over the first six tokens."""
    return [
        (
            torch.tensor(random.normal(shift, 2, size=(len(lengths), 9)), dtype=torch.float32),
            [random.integers(0, 6, size=length).tolist() for length in lengths],
            setting,
        )
        for setting in settings
    ]


q2 = Task(
    name="q2",
    title="The sign rule",
    function="repetition_penalty",
    right=repetition_penalty,
    ready_made=("RepetitionPenaltyLogitsProcessor",),
    checks=(
        Check(
            "divides positive logits",
            lambda random: [
                (torch.tensor([[6.0, 4.0, 1.0]]), [[1, 2]], 2.0),
                *texts_of_lengths(random, [1.3], 4, shift=12.0),
            ],
        ),
        Check("multiplies negative ones", lambda random: texts_of_lengths(random, [1.2, 2.0], 4, shift=-12.0)),
        Check("penalises a token once, however often it is there", lambda random: texts_of_lengths(random, [1.5], 15)),
        Check(
            "gives every row its own text, even an empty one",
            lambda random: texts_of_lengths(random, [1.4], 3, 0, 6),
        ),
        Check("invites to repeat when it is below 1", lambda random: texts_of_lengths(random, [0.8], 2, 5)),
    ),
    hint="Clone the logits; for every row and every token of `set(text)`: is its logit above 0?",
)
q2.patch(
    "You always divide: dividing a negative logit makes the token likelier. Multiply those.",
    " if before > 0 else before * penalty",
    "",
)
q2.patch(
    "You always multiply: that makes tokens with a positive logit likelier. Divide those.",
    "before / penalty if before > 0 else ",
    "",
)
q2.patch(
    "The sign rule is upside down: divide positive logits, multiply negative ones, so that both fall.",
    "before > 0",
    "before <= 0",
)
q2.patch(
    "You penalise a token again for every time it is there: this penalty does not count. Go through `set(text)`.",
    "set(text)",
    "text",
)
q2.patch(
    "You subtract: presence does that. This penalty divides or multiplies.",
    "before / penalty if before > 0 else before * penalty",
    "before - penalty",
)
q2.patch("You penalise the whole vocabulary: only the tokens of the text.", "set(text)", "range(logits.shape[1])")
q2.patch("You penalise the tokens that are *not* in the text.", "set(text)", "set(range(logits.shape[1])) - set(text)")
q2.patch("The first text counts for every row: row i has the text `texts[i]`.", "set(text)", "set(texts[0])")
q2.patch("The texts of all rows count together: row i has the text `texts[i]`.", "set(text)", "set(sum(texts, []))")
q2.patch(
    "The other tokens get 0: they keep their logits.",
    "logits = logits.clone()",
    "result = torch.zeros_like(logits)",
    "logits[row, token] = before",
    "result[row, token] = before",
    "return logits",
    "return result",
)
q2.patch("You work on probabilities: take the logits as they are.", "logits.clone()", "logits.softmax(-1)")


# q3 · Stop strings

WORDS = (" a", " cat", " sat", "s", "ing", " the", ",", " mat", " and", " on", "!", "er", " Yes")
STOPS = ("\n\n", "User:", "###", "burger", "<end>", "\nQ:")


def text_before_stop(pieces, stops):
    """After each token, look for every stop string in all of the text so far."""
    for count in range(1, len(pieces) + 1):
        text = "".join(pieces[:count])
        places = [text.index(stop) for stop in stops if stop in text]
        if places:
            return text[: min(places)], count
    return "".join(pieces), len(pieces)


def words(random, least=2):
    """Some token texts, none of which is a part of a stop string."""
    return [str(word) for word in random.choice(WORDS, size=random.integers(least, least + 4))]


def choose(random, count=1):
    """Draw stop strings."""
    return [str(stop) for stop in random.choice(STOPS, size=count, replace=False)]


def whole_stop(random):
    """A stop string inside one token, with text on both sides of it."""
    (stop,) = choose(random)
    return [*words(random), f" so{stop} no", *words(random)], [stop]


def split_stop(random, letters=False):
    """A stop string spread over two tokens, or over one for each letter."""
    (stop,) = choose(random)
    if letters and len(stop) < 3:
        stop = "burger"
    cut = int(random.integers(1, len(stop)))
    parts = list(stop) if letters else [f" so{stop[:cut]}", f"{stop[cut:]} no"]
    return [*words(random), *parts, *words(random)], [stop]


def almost(random):
    """The beginning of a stop string in the middle and at the end, and no whole one."""
    stops = choose(random, 2)
    beginning = stops[0][:-1]
    return [*words(random), beginning, *words(random), beginning], stops


def two_stops(random):
    """Two stop strings in the text; the one that comes last is the first of the list."""
    late, early = choose(random, 2)
    return [*words(random), early[:1], early[1:], *words(random), late, *words(random)], [late, early]


def second_only(random):
    """Two stop strings, and only the second of the list is in the text."""
    absent, there = choose(random, 2)
    return [*words(random), there[:1], there[1:], *words(random)], [absent, there]


def two_in_a_token(random):
    """Two stop strings that are complete with the same token."""
    second, first = choose(random, 2)
    return [*words(random), f" so{first} or{second}", *words(random)], [second, first]


def overlapping(random):
    """A short stop string inside a long one: the short one is complete first."""
    a, b, c, d = random.permutation(list("KLMNOPQR"))[:4].tolist()
    return [*words(random), a, b, c, d, *words(random)], [a + b + c + d, b + c]


q3 = Task(
    name="q3",
    title="Stop strings",
    function="text_before_stop",
    right=text_before_stop,
    checks=(
        Check(
            "finds a stop string inside one token",
            lambda random: [([" One", " two", "###", " three"], ["###"]), whole_stop(random), whole_stop(random)],
        ),
        Check(
            "finds it when it is split across tokens",
            lambda random: [split_stop(random), split_stop(random), split_stop(random, letters=True)],
        ),
        Check(
            "returns everything when none is complete",
            lambda random: [almost(random), almost(random), (words(random), [])],
        ),
        Check(
            "ends with the stop string that comes first",
            lambda random: [second_only(random), two_stops(random), two_in_a_token(random)],
        ),
        Check("ends as soon as one is complete", lambda random: [overlapping(random)]),
    ),
    hint="After every token: join all tokens so far, and look for every stop string in that.",
    points=3,
)
q3.patch(
    "You look at each token on its own: a stop string can be split across tokens. Join them first.",
    "text.index(stop) for stop in stops if stop in text",
    "text.rindex(stop) for stop in stops if stop in pieces[count - 1]",
)
q3.patch(
    "You look at two neighbours only: a stop string can be spread over more tokens.",
    "text.index(stop) for stop in stops if stop in text",
    'text.rindex(stop) for stop in stops if stop in "".join(pieces[:count][-2:])',
)
q3.patch(
    "You look at the end of the text only (`endswith`): a token can continue past the stop string.",
    "text.index(stop) for stop in stops if stop in text",
    "text.rindex(stop) for stop in stops if text.endswith(stop)",
)
q3.patch(
    "You return the stop string, too: the text ends before it.", "[text.index(stop)", "[text.index(stop) + len(stop)"
)
q3.patch("You return all of the last token: the text ends where the stop string begins.", "[: min(places)]", "")
q3.patch(
    "You leave out the token that completes the stop string, and keep the beginning of it: cut the text, not "
    "the list of tokens.",
    "text[: min(places)]",
    '"".join(pieces[: count - 1])',
)
q3.patch(
    "You count every token that you were given: count up to the one that completes the stop string.",
    "], count",
    "], len(pieces)",
)
q3.patch(
    "The number is one too small: the token that completes the stop string was written, too.",
    "], count",
    "], count - 1",
)
q3.patch("You look for the first stop string of the list only: any of them ends the text.", "in stops", "in stops[:1]")


@q3.mistake(
    "You look for one stop string after the other: look for all of them after every token, because the first to "
    "be complete ends the text."
)
def one_stop_after_the_other(pieces, stops):
    for stop in stops:
        for count in range(1, len(pieces) + 1):
            text = "".join(pieces[:count])
            if stop in text:
                return text[: text.index(stop)], count
    return "".join(pieces), len(pieces)


q3.patch(
    "One token can complete two stop strings: cut at the one that begins first, wherever it is in the list.",
    "min(places)",
    "places[0]",
)


@q3.mistake(
    "You look for the earliest beginning in the whole text: the text ends with the token that *completes* one, and "
    "the tokens after it are never written."
)
def earliest_start_of_all(pieces, stops):
    text = "".join(pieces)
    places = [(text.index(stop), stop) for stop in stops if stop in text]
    if not places:
        return text, len(pieces)
    place, stop = min(places)
    count = next(n for n in range(len(pieces) + 1) if len("".join(pieces[:n])) >= place + len(stop))
    return text[:place], count


@q3.mistake("At the end of the text you lose what was waiting: no more tokens come, so it is shown.")
def waiting_text_lost(pieces, stops):
    buffer, text = StopStringBuffer(stops), ""
    for count, piece in enumerate(pieces, 1):
        text += buffer.push(piece)
        if buffer.found is not None:
            return text, count
    return text, len(pieces)


q3.patch(
    "You strip the text: spaces at its ends belong to it.",
    "text[: min(places)]",
    "text[: min(places)].strip()",
    'return "".join(pieces)',
    'return "".join(pieces).strip()',
)


# q4 · How a text ends


def tokens_until_end(logits, eos, minimum, maximum):
    """Walk through the steps: mask, choose, and look whether that was the end."""
    ids = []
    for row in logits.clone():
        if len(ids) < minimum:
            row[eos] = -torch.inf
        ids.append(row.argmax().item())
        if ids[-1] == eos:
            return ids, "eos"
        if len(ids) == maximum:
            break
    return ids, "max_new_tokens"


def steps(random, eos_is_best_at, minimum, maximum):
    """Negative logits (12, 7), where EOS is the best token in these steps and in no other."""
    logits = random.normal(-4, 1, size=(12, 7))
    eos = int(random.integers(0, 7))
    logits[:, eos] = logits.min() - 0.5
    logits[list(eos_is_best_at), eos] = logits.max() + 0.5
    return torch.tensor(logits, dtype=torch.float32), eos, minimum, maximum


q4 = Task(
    name="q4",
    title="How a text ends",
    function="tokens_until_end",
    right=tokens_until_end,
    checks=(
        Check(
            "ends with EOS, and keeps it",
            lambda random: [
                (torch.tensor([[2.0, 1.0, 0.0], [0.0, 1.0, 2.0], [1.0, 2.0, 0.0]]), 2, 0, 3),
                steps(random, [4, 6], 0, 10),
                steps(random, [0], 0, 5),
            ],
        ),
        Check("ends at the maximum", lambda random: [steps(random, [9], 0, 6), steps(random, [], 0, 1)]),
        Check(
            "masks EOS until the minimum is there",
            lambda random: [
                steps(random, [1, 2, 5], 3, 10),
                steps(random, [1, 4, 5, 8], 5, 10),
                steps(random, [0], 1, 4),
            ],
        ),
        Check(
            "lets EOS come right after it",
            lambda random: [steps(random, [2, 3, 7], 3, 9), steps(random, [2], 2, 5)],
        ),
        Check("says eos when EOS is the last token that fits", lambda random: [steps(random, [5], 2, 6)]),
    ),
    hint="A loop over the rows, in this order: mask, choose, keep, EOS?, maximum?",
)
q4.patch(
    "Nothing keeps EOS from coming too early: give it −∞ as long as there are fewer than `minimum` tokens.",
    "len(ids) < minimum",
    "False",
)
q4.patch(
    "EOS may come one step too early: it is masked as long as there are fewer than `minimum` tokens *before* it.",
    "len(ids) <",
    "len(ids) + 1 <",
)
q4.patch(
    "EOS is masked one step too long: with `minimum` tokens there, it may come next (`<`, not `<=`).",
    "len(ids) < minimum",
    "minimum and len(ids) <= minimum",
)
q4.patch("EOS is masked one step too long, even with a minimum of 0: compare with `<`, not `<=`.", "ids) <", "ids) <=")
q4.patch("You mask EOS for ever: only until there are `minimum` tokens.", "len(ids) < minimum", "minimum > 0")
q4.patch("You mask EOS with a logit of 0, and that can be the largest: it takes −∞.", "-torch.inf", "0.0")
q4.patch(
    "In a step where EOS is not allowed yet you write nothing: take the best of the other tokens.",
    "len(ids) < minimum",
    "len(ids) < minimum and row.argmax() == eos",
    "row[eos] = -torch.inf",
    "continue",
)
q4.patch("You continue past EOS: the text ends with it.", "ids[-1] == eos", "False")
q4.patch(
    "You drop EOS: it is a token that the model wrote, so it is the last of the list.", 'ids, "eos"', 'ids[:-1], "eos"'
)
q4.patch(
    "EOS can be the last token that fits: then the model ended the text, and the reason is eos. Ask for it first.",
    "ids[-1] == eos",
    "ids[-1] == eos and len(ids) < maximum",
)
q4.patch("You write one token more than `maximum`.", "== maximum", "== maximum + 1")
q4.patch("You write one token less than `maximum`.", "== maximum", ">= maximum - 1")


TASKS = (q1, q2, q3, q4)
PROSE = (
    Prose(
        name="q5",
        title="Penalties for a program",
        points=2,
        look_for="Line breaks, indentation and brackets are needed in every line; frequency takes more from them each time, so "
        "they cannot win any more after some dozens of lines, while the first lines look good. Presence takes at most 1 "
        "from a token, however long the text is, so the grammar survives; but it does not grow, so a loop that is sure of "
        "itself goes on once all its tokens have paid.",
    ),
)
