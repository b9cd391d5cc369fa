"""Exercise 12 · Repetition, length and stopping: penalties, stop strings, EOS and lengths."""

import torch

from course_utils.engine.penalties import apply_repetition_penalty, token_counts
from course_utils.engine.stopping import StopRules, StopStringBuffer, mask_eos
from course_utils.exercises.task import Check, Prose, Task

# q1 · Presence and frequency


def additive(logits, counts, presence, frequency):
    """Subtract what the two penalties make of these counts."""
    return logits - presence * (counts > 0) - frequency * counts


def presence_and_frequency(logits, ids, prompt_length, presence, frequency):
    """Count the new tokens of every row and subtract."""
    return additive(logits, token_counts(ids[:, prompt_length:], logits.shape[-1]), presence, frequency)


def counted_otherwise(count, subtract=additive):
    """A mistake: `count(ids, prompt_length, vocabulary)` counts, and `subtract` uses the counts."""

    def function(logits, ids, prompt_length, presence, frequency):
        return subtract(logits, count(ids, prompt_length, logits.shape[-1]), presence, frequency)

    return function


def new_counts(ids, prompt_length, vocabulary):
    """The right counts."""
    return token_counts(ids[:, prompt_length:], vocabulary)


def subtracted_otherwise(subtract):
    """A mistake that counts the right tokens."""
    return counted_otherwise(new_counts, subtract)


def whole_batch(ids, prompt_length, vocabulary):
    """Count the tokens of all rows together."""
    return new_counts(ids, prompt_length, vocabulary).sum(0, keepdim=True)


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
q1.mistake("You scale the presence penalty by the count, too: it is fixed, so use `counts > 0`.")(
    subtracted_otherwise(lambda x, counts, presence, frequency: x - (presence + frequency) * counts)
)
q1.mistake(
    "The frequency penalty is taken only once: it is scaled by the count. (`logits[ids] -= penalty` takes it "
    "once, too, where `ids` holds a token twice.)"
)(subtracted_otherwise(lambda x, counts, presence, frequency: x - (presence + frequency) * (counts > 0)))
q1.mistake("You exchange the two: frequency is scaled by the count, presence is fixed.")(
    subtracted_otherwise(lambda x, counts, presence, frequency: additive(x, counts, frequency, presence))
)
q1.mistake("Wrong sign: you raise the logits of what is there. A penalty is subtracted.")(
    subtracted_otherwise(lambda x, counts, presence, frequency: additive(x, counts, -presence, -frequency))
)
q1.mistake("You count the prompt, too: here only the new text counts, `ids[:, prompt_length:]`.")(
    counted_otherwise(lambda ids, prompt, vocabulary: token_counts(ids, vocabulary))
)
q1.mistake("You count the prompt and leave out the new text: it is the other way round, `ids[:, prompt_length:]`.")(
    counted_otherwise(lambda ids, prompt, vocabulary: token_counts(ids[:, :prompt], vocabulary))
)
q1.mistake("The first new token is not counted: the new text begins at index `prompt_length`.")(
    counted_otherwise(lambda ids, prompt, vocabulary: token_counts(ids[:, prompt + 1 :], vocabulary))
)
q1.mistake("You count the first row only (`ids[0]`): every row has a text of its own.")(
    counted_otherwise(lambda ids, prompt, vocabulary: new_counts(ids, prompt, vocabulary)[:1])
)
q1.mistake("You count the tokens of all rows together: every row has a text of its own.")(
    counted_otherwise(whole_batch)
)
q1.mistake("You take the presence penalty from every token of the vocabulary: only those in the text lose it.")(
    subtracted_otherwise(lambda x, counts, presence, frequency: x - presence - frequency * counts)
)
q1.mistake("You scale by the share of the text: frequency means the plain count.")(
    subtracted_otherwise(
        lambda x, counts, presence, frequency: (
            x - presence * (counts > 0) - frequency * counts / counts.sum(-1, keepdim=True)
        )
    )
)
q1.mistake("You return probabilities: return logits.")(
    lambda *arguments: presence_and_frequency(*arguments).softmax(-1)
)


# q2 · The repetition penalty


def repetition_penalty(logits, texts, penalty):
    """Let the library's penalty do every row."""
    rows = [
        apply_repetition_penalty(row[None], torch.tensor([text], dtype=torch.long), penalty)
        for row, text in zip(logits, texts, strict=True)
    ]
    return torch.cat(rows)


def inside(logits, texts):
    """A mask `(batch, vocab)` of the tokens that each text holds."""
    mask = torch.zeros_like(logits, dtype=torch.bool)
    for row, text in enumerate(texts):
        mask[row, text] = True
    return mask


def signed(logits, penalty):
    """The sign rule."""
    return torch.where(logits > 0, logits / penalty, logits * penalty)


def repeating_otherwise(change):
    """A mistake: tokens of the text get `change(logits, penalty)`."""
    return lambda logits, texts, penalty: torch.where(inside(logits, texts), change(logits, penalty), logits)


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
q2.mistake("You always divide: dividing a negative logit makes the token likelier. Multiply those.")(
    repeating_otherwise(lambda logits, penalty: logits / penalty)
)
q2.mistake("You always multiply: that makes tokens with a positive logit likelier. Divide those.")(
    repeating_otherwise(lambda logits, penalty: logits * penalty)
)
q2.mistake("The sign rule is upside down: divide positive logits, multiply negative ones, so that both fall.")(
    repeating_otherwise(lambda logits, penalty: signed(logits, 1 / penalty))
)


@q2.mistake(
    "You penalise a token again for every time it is there: this penalty does not count. Go through `set(text)`."
)
def once_for_every_time(logits, texts, penalty):
    logits = logits.clone()
    for row, text in enumerate(texts):
        for token in text:
            logits[row, token] = signed(logits[row, token], penalty)
    return logits


q2.mistake("You subtract: presence does that. This penalty divides or multiplies.")(
    repeating_otherwise(lambda logits, penalty: logits - penalty)
)
q2.mistake("You penalise the whole vocabulary: only the tokens of the text.")(
    lambda logits, texts, penalty: signed(logits, penalty)
)
q2.mistake("You penalise the tokens that are *not* in the text.")(
    lambda logits, texts, penalty: torch.where(inside(logits, texts), logits, signed(logits, penalty))
)
q2.mistake("The first text counts for every row: row i has the text `texts[i]`.")(
    lambda logits, texts, penalty: repetition_penalty(logits, [texts[0]] * len(texts), penalty)
)
q2.mistake("The texts of all rows count together: row i has the text `texts[i]`.")(
    lambda logits, texts, penalty: repetition_penalty(
        logits, [[token for text in texts for token in text]] * len(texts), penalty
    )
)
q2.mistake("The other tokens get 0: they keep their logits.")(
    lambda logits, texts, penalty: torch.where(inside(logits, texts), signed(logits, penalty), 0.0)
)
q2.mistake("You work on probabilities: take the logits as they are.")(
    lambda logits, texts, penalty: repetition_penalty(logits.softmax(-1), texts, penalty)
)


# q3 · Stop strings

WORDS = (" a", " cat", " sat", "s", "ing", " the", ",", " mat", " and", " on", "!", "er", " Yes")
STOPS = ("\n\n", "User:", "###", "burger", "<end>", "\nQ:")


def text_before_stop(pieces, stops):
    """Push the pieces into the library's buffer until a stop string is found."""
    buffer, text = StopStringBuffer(stops), ""
    for count, piece in enumerate(pieces, 1):
        text += buffer.push(piece)
        if buffer.found is not None:
            return text, count
    return text + buffer.finish(), len(pieces)


def found_otherwise(cut, window=None):
    """A mistake: at each token look at `window` tokens, and return `cut(text, place, stop, pieces, count)`."""

    def function(pieces, stops):
        for count in range(1, len(pieces) + 1):
            first = 0 if window is None else max(count - window, 0)
            text = "".join(pieces[first:count])
            places = [(text.index(stop), stop) for stop in stops if stop in text]
            if places:
                place, stop = min(places)
                before = "".join(pieces[:first])
                return cut(before + text, len(before) + place, stop, pieces, count)
        return "".join(pieces), len(pieces)

    return function


def as_it_should_be(text, place, stop, pieces, count):
    """The right cut, for mistakes that look in the wrong place."""
    return text[:place], count


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
q3.mistake("You look at each token on its own: a stop string can be split across tokens. Join them first.")(
    found_otherwise(as_it_should_be, window=1)
)
q3.mistake("You look at two neighbours only: a stop string can be spread over more tokens.")(
    found_otherwise(as_it_should_be, window=2)
)


@q3.mistake("You look at the end of the text only (`endswith`): a token can go on behind the stop string.")
def at_the_end_only(pieces, stops):
    for count in range(1, len(pieces) + 1):
        text = "".join(pieces[:count])
        ended = [len(text) - len(stop) for stop in stops if text.endswith(stop)]
        if ended:
            return text[: min(ended)], count
    return "".join(pieces), len(pieces)


q3.mistake("You return the stop string, too: the text ends before it.")(
    found_otherwise(lambda text, place, stop, pieces, count: (text[: place + len(stop)], count))
)
q3.mistake("You return all of the last token: the text ends where the stop string begins.")(
    found_otherwise(lambda text, place, stop, pieces, count: (text, count))
)
q3.mistake(
    "You leave out the token that completes the stop string, and keep the beginning of it: cut the text, not "
    "the list of tokens."
)(found_otherwise(lambda text, place, stop, pieces, count: ("".join(pieces[: count - 1]), count)))
q3.mistake("You count every token that you were given: count up to the one that completes the stop string.")(
    found_otherwise(lambda text, place, stop, pieces, count: (text[:place], len(pieces)))
)
q3.mistake("The number is one too small: the token that completes the stop string was written, too.")(
    found_otherwise(lambda text, place, stop, pieces, count: (text[:place], count - 1))
)
q3.mistake("You look for the first stop string of the list only: any of them ends the text.")(
    lambda pieces, stops: text_before_stop(pieces, stops[:1])
)


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


@q3.mistake("One token can complete two stop strings: cut at the one that begins first, wherever it is in the list.")
def first_in_the_list(pieces, stops):
    for count in range(1, len(pieces) + 1):
        text = "".join(pieces[:count])
        for stop in stops:
            if stop in text:
                return text[: text.index(stop)], count
    return "".join(pieces), len(pieces)


@q3.mistake(
    "You look for the earliest beginning in the whole text: the text ends with the token that *completes* one, and "
    "the tokens behind it are never written."
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


q3.mistake("You strip the text: spaces at its ends belong to it.")(
    lambda pieces, stops: (
        text_before_stop(pieces, stops)[0].strip(),
        text_before_stop(pieces, stops)[1],
    )
)


# q4 · How a text ends


def tokens_until_end(logits, eos, minimum, maximum):
    """Walk through the steps with the library's mask and stop rules."""
    rules, ids = StopRules((eos,), maximum), []
    for row in logits:
        if len(ids) < minimum:
            row = mask_eos(row[None], [eos])[0]
        ids.append(row.argmax().item())
        reason = rules.reason(ids)
        if reason:
            return ids, str(reason)
    raise ValueError("maximum must be at most the number of steps")


def ended_otherwise(
    masked=lambda ids, minimum: len(ids) < minimum, value=float("-inf"), over=0, ends=True, late=False, keep=True
):
    """A mistake in one of the parts: when EOS is masked, and with what, and when and how the text ends."""

    def function(logits, eos, minimum, maximum):
        ids = []
        for row in logits.clone():
            if masked(ids, minimum):
                row[eos] = value
            ids.append(row.argmax().item())
            full = len(ids) >= maximum + over
            if ends and ids[-1] == eos and not (late and full):
                return ids if keep else ids[:-1], "eos"
            if full:
                break
        return ids, "max_new_tokens"

    return function


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
q4.mistake("Nothing keeps EOS from coming too early: give it −∞ as long as there are fewer than `minimum` tokens.")(
    ended_otherwise(masked=lambda ids, minimum: False)
)
q4.mistake(
    "EOS may come one step too early: it is masked as long as there are fewer than `minimum` tokens *before* it."
)(ended_otherwise(masked=lambda ids, minimum: len(ids) + 1 < minimum))
q4.mistake("EOS is masked one step too long: with `minimum` tokens there, it may come next (`<`, not `<=`).")(
    ended_otherwise(masked=lambda ids, minimum: minimum and len(ids) <= minimum)
)
q4.mistake("EOS is masked one step too long, even with a minimum of 0: compare with `<`, not `<=`.")(
    ended_otherwise(masked=lambda ids, minimum: len(ids) <= minimum)
)
q4.mistake("You mask EOS for ever: only until there are `minimum` tokens.")(
    ended_otherwise(masked=lambda ids, minimum: minimum > 0)
)
q4.mistake("You mask EOS with a logit of 0, and that can be the largest: it takes −∞.")(ended_otherwise(value=0.0))


@q4.mistake("In a step where EOS is not allowed yet you write nothing: take the best of the other tokens.")
def step_left_out(logits, eos, minimum, maximum):
    ids = []
    for token in logits.argmax(-1).tolist():
        if token == eos and len(ids) < minimum:
            continue
        ids.append(token)
        if token == eos:
            return ids, "eos"
        if len(ids) == maximum:
            break
    return ids, "max_new_tokens"


q4.mistake("You go on behind EOS: the text ends with it.")(ended_otherwise(ends=False))
q4.mistake("You drop EOS: it is a token that the model wrote, so it is the last of the list.")(
    ended_otherwise(keep=False)
)
q4.mistake(
    "EOS can be the last token that fits: then the model ended the text, and the reason is eos. Ask for it first."
)(ended_otherwise(late=True))
q4.mistake("You write one token more than `maximum`.")(ended_otherwise(over=1))
q4.mistake("You write one token less than `maximum`.")(ended_otherwise(over=-1))


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
