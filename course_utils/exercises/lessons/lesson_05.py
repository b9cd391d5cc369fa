"""Exercise 05 · From text to vectors: one step of byte-pair training, ids back to text, and nearest neighbours."""

from collections import Counter
from itertools import chain, pairwise

import torch

from course_utils.exercises.task import Check, Prose, Task

# q1: count


def most_frequent_pair(words, times):
    """Return the first and the second id of the most frequent pair, and how often it occurs."""
    counts = Counter()
    for word, often in zip(words, times, strict=True):
        for pair in pairwise(word):
            counts[pair] += often
    best = max(counts, key=counts.get)
    return *best, counts[best]


def letters(random, count):
    """Draw different ids of small letters."""
    return [97 + int(number) for number in random.permutation(26)[:count]]


def many_words(random):
    """Words of five letters, each several times."""
    alphabet = letters(random, 5)
    words = [[alphabet[i] for i in random.integers(5, size=random.integers(2, 8))] for _ in range(12)]
    return words, [int(often) for often in random.integers(1, 9, size=12)]


def frequent_word(random):
    """One word with the pair twice, and a frequent word with another pair once."""
    a, b, c, d = letters(random, 4)
    return [[a, b, a, b], [c, d]], [1, int(random.integers(3, 9))]


def twice_in_a_word(random):
    """The best pair occurs twice in its word."""
    a, b, c, d, e = letters(random, 5)
    often = int(random.integers(3, 9))
    return [[a, b, c, a, b], [d, e]], [often, often + 2]


def at_the_border(random):
    """The most frequent pair is the end of a word and the start of the next."""
    a, b, c, d, e, f = letters(random, 6)
    return [[c, a], [b, d], [e, a], [b, f], [d, a], [b, c], [f, e, d]], [1, 1, 1, 1, 1, 1, 1]


def both_orders(random):
    """A pair and its reverse together beat the best one."""
    a, b, c, d, e, f = letters(random, 6)
    often = int(random.integers(3, 9))
    return [[a, b, c], [b, a, d], [e, f]], [often, often, often + 1]


def equals(random):
    """Four pairs occur equally often; the first has neither the smallest nor the largest ids."""
    ids = sorted(letters(random, 8))
    first, largest, smallest, last = (ids[i : i + 2] for i in (2, 6, 0, 4))
    return [first, largest, smallest, last, ids[:3:-1]], [*[int(random.integers(2, 6))] * 4, 1]


q1 = Task(
    name="q1",
    title="Count the pairs",
    function="most_frequent_pair",
    right=most_frequent_pair,
    checks=(
        Check(
            "counts a word as often as it occurs",
            lambda random: [([[1, 2, 3], [2, 3, 4]], [5, 2]), frequent_word(random)],
        ),
        Check("counts every pair of a word", lambda random: [twice_in_a_word(random)]),
        Check("stays inside the words", lambda random: [at_the_border(random)]),
        Check("keeps the order of a pair", lambda random: [both_orders(random)]),
        Check("takes the first of several equals", lambda random: [equals(random)]),
        Check("counts in many words", lambda random: [many_words(random), many_words(random)]),
    ),
    hint="A `Counter` with a pair as its key: `for pair in pairwise(word): counts[pair] += often`.",
)
q1.patch("You count every word once: a word that occurs five times counts five times.", "+= often", "+= 1")
q1.patch(
    "You count a pair once in each word: a pair that a word has twice counts twice.",
    "pairwise(word)",
    "dict.fromkeys(pairwise(word))",
)
q1.mistake("You count pairs across the border of two words: look for neighbours within each word.")(
    lambda words, times: most_frequent_pair([[*chain(*(word * n for word, n in zip(words, times, strict=True)))]], [1])
)
q1.patch(
    "You count a pair and its reverse together: (1, 2) and (2, 1) are two pairs.",
    "counts[pair] +=",
    "counts[pair if pair[::-1] not in counts else pair[::-1]] +=",
)
q1.patch(
    "You leave out every second pair: in 1, 2, 3 there are two, (1, 2) and (2, 3) (`pairwise`).",
    "pairwise(word)",
    "zip(word[::2], word[1::2])",
)
q1.patch(
    "You leave out the last pair of each word: a word of n ids has n − 1 pairs of neighbours.",
    "pairwise(word)",
    "pairwise(word[:-1])",
)
q1.patch(
    "Of pairs that occur equally often you take the last: take the one that was seen first (`>`, not `>=`).",
    "max(counts",
    "max(reversed(counts)",
)
q1.patch(
    "Of pairs that occur equally often you take the one with the smallest ids: take the one seen first.",
    "max(counts",
    "max(sorted(counts)",
)
q1.patch(
    "Of pairs that occur equally often you take the one with the largest ids: take the one seen first.",
    "max(counts",
    "max(sorted(counts, reverse=True)",
)


# q2: merge


def merge(ids, first, second, new):
    """Write `new` for every pair of neighbours `first`, `second`, from left to right."""
    result, place = [], 0
    while place < len(ids):
        if ids[place : place + 2] == [first, second]:
            result.append(new)
            place += 2
        else:
            result.append(ids[place])
            place += 1
    return result


def sprinkled(random, *parts):
    """Put parts one after another, with some other ids between them."""
    result = []
    for part in parts:
        result += [*part, *(int(one) for one in random.integers(300, 400, size=random.integers(1, 4)))]
    return result


def pair_cases(random):
    """Texts with the pair in several places."""
    a, b = letters(random, 2)
    return [([1, 2, 3, 1, 2], 1, 2, 4), (sprinkled(random, [a, b], [a, b, a, b], [b], [a]), a, b, 256)]


def reversed_cases(random):
    """Texts with the pair in both orders."""
    a, b = letters(random, 2)
    return [(sprinkled(random, [b, a], [a, b], [b, a, b]), a, b, 257)]


def equal_cases(random):
    """Rows of one id."""
    a = letters(random, 1)[0]
    return [(sprinkled(random, [a] * 3, [a] * 5, [a] * 2), a, a, 258)]


def short_cases(random):
    """Texts of no id, of one, and of one pair."""
    a, b = letters(random, 2)
    return [([], a, b, 256), ([a], a, b, 256), ([a, b], a, b, 256)]


q2 = Task(
    name="q2",
    title="Merge one pair",
    function="merge",
    right=merge,
    checks=(
        Check("writes the new id for every pair", pair_cases),
        Check("leaves the reversed pair alone", reversed_cases),
        Check("merges equal ids from the left, each of them once", equal_cases),
        Check("takes very short texts", short_cases),
    ),
    hint="A `while` loop with a place: step on by 2 after a pair, by 1 otherwise. The last id has no neighbour.",
)
q2.patch(
    "You merge only the first pair: continue to the end of the text.",
    "[first, second]",
    "[first, second] and new not in result",
)
q2.patch(
    "You keep the second id of a pair: both ids go, and the new one takes their place (step on by two).",
    "place += 2",
    "place += 1",
)
q2.patch("You lose the last id: when it is not part of a pair, it must be copied, too.", "len(ids)", "len(ids) - 1")
q2.mistake("You look past the end: the last id has no neighbour. And after a pair you step on by two.")(
    lambda ids, first, second, new: [
        new if one == first and ids[place + 1] == second else one for place, one in enumerate(ids)
    ]
)
q2.patch(
    "You look past the end: the last id has no neighbour, so ask for it only where `place + 1 < len(ids)`.",
    "ids[place : place + 2] == [first, second]",
    "ids[place] == first and ids[place + 1] == second",
)
q2.patch(
    "You merge the pair in either order: only the first followed by the second is the pair.",
    "== [first, second]",
    "in ([first, second], [second, first])",
)
q2.patch("You merge the reversed pair: the first goes on the left.", "[first, second]", "[second, first]")


@q2.mistake("You use an id in two pairs: in 7, 7, 7 the second one is gone when the first two are merged.")
def overlapping(ids, first, second, new):
    hits = [False, *(pair == (first, second) for pair in pairwise(ids)), False]
    return [new if hits[i + 1] else one for i, one in enumerate(ids) if hits[i + 1] or not hits[i]]


q2.mistake("You merge from the right: in 7, 7, 7 the first two become the new id.")(
    lambda ids, first, second, new: merge(ids[::-1], second, first, new)[::-1]
)


# q3: back to text


def text_of(ids, merges):
    """Return the text of some ids; id 256 is the first merge."""
    data = b"".join(expanded(one, merges) for one in ids)
    return data.decode("utf-8", errors="replace")


def expanded(one, merges):
    """Return the bytes of an id."""
    if one < 256:
        return bytes([one])
    first, second = merges[one - 256]
    return expanded(first, merges) + expanded(second, merges)


def learned(text, count):
    """Train `count` merges on a text, without borders of words; return its ids and the merges."""
    ids, merges = list(text.encode()), []
    for _ in range(count):
        first, second, _ = most_frequent_pair([ids], [1])
        ids = merge(ids, first, second, 256 + len(merges))
        merges.append([first, second])
    return ids, merges


WORDS = ["low", "lower", "newest", "widest", "the", "slow", "way", "is", "wide"]
ACCENTS = ["café", "naïve", "über", "señor", "你好", "🙂", "Zoë"]


def plain_text(random):
    """A text of bytes that are all letters, without merges, and with some."""
    text = " ".join(random.choice(WORDS, size=14))
    return [(list(text.encode()), []), learned(text, 9), learned(text[::-1], 6)]


def accents(random):
    """A text whose characters have several bytes; only bytes, then merges."""
    text = " ".join(random.choice(ACCENTS, size=10))
    return [(list(text.encode()), []), learned(text, 8)]


def shared_characters(random):
    """The first byte of a character is in one token, and the rest in the next."""
    word = str(random.choice(["café", "señor", "naïve"]))
    data = list(word.encode())
    place = next(i for i, byte in enumerate(data) if byte > 127)
    return [([*data[: place - 1], 256, *data[place + 1 :]], [data[place - 1 : place + 1]])]


def cut_off(random):
    """The text ends within a character."""
    data = list(str(random.choice(WORDS)).encode())
    return [([*data, *"🙂".encode()[: int(random.integers(1, 4))]], [])]


q3 = Task(
    name="q3",
    title="Back to text",
    function="text_of",
    right=text_of,
    checks=(
        Check("takes merged ids apart", plain_text),
        Check("puts the bytes of a character together", accents),
        Check("reads a character that two tokens share", shared_characters),
        Check("writes � for a character that is cut off", cut_off),
    ),
    hint='Make a function for the bytes of one id that calls itself. `b"".join(…).decode("utf-8", errors="replace")`.',
    points=3,
)
q3.mistake("You decode each token on its own: a token may hold only some bytes of a character. Join all bytes first.")(
    lambda ids, merges: "".join(text_of([one], merges) for one in ids)
)
q3.patch(
    "You turn every byte into a letter (`chr`): bytes above 127 belong together, so join them and `decode`.",
    '"utf-8", errors="replace"',
    '"latin-1"',
)
q3.mistake("You write the parts of a merge in the wrong order: the first one comes first.")(
    lambda ids, merges: text_of(ids, [pair[::-1] for pair in merges])
)
q3.mistake("You are one merge off: id 256 is `merges[0]`, id 257 is `merges[1]`.")(
    lambda ids, merges: text_of([one - 1 if one >= 257 else one for one in ids], merges)
)
q3.patch(
    "You take a merge apart once: its parts may be merges, too. Go on until only bytes are left.",
    "expanded(one, merges)",
    "bytes([one] if one < 256 else merges[one - 256])",
)
q3.patch(
    'A cut-off character makes `decode` raise: ask for � in its place with `errors="replace"`.',
    ', errors="replace"',
    "",
)
q3.patch(
    'You drop a cut-off character: show that something is missing, with `errors="replace"`.', '"replace"', '"ignore"'
)


# q4: neighbours


def neighbours(vectors, row, count):
    """Return the rows with the largest cosines to one row, without itself, and these cosines."""
    units = vectors / vectors.norm(dim=-1, keepdim=True)
    cosines = units @ units[row]
    cosines[row] = -torch.inf
    best = cosines.topk(count)
    return best.indices, best.values


def without_the_first(scores, count):
    """Return the `count` best rows after the first."""
    best = scores.topk(count + 1)
    return best.indices[1:], best.values[1:]


def table(random, rows, width, shift=0.0):
    """Draw vectors of very different lengths."""
    lengths = torch.tensor(random.uniform(0.3, 4, size=(rows, 1)), dtype=torch.float32)
    return torch.tensor(random.normal(shift, 1, size=(rows, width)), dtype=torch.float32) * lengths


def neighbour_cases(random):
    """An easy table, and two random ones."""
    easy = torch.tensor([[1.0, 0.0], [8.0, 6.0], [0.0, 1.0], [0.6, -0.1]])
    return [
        (easy, 0, 2),
        (table(random, 20, 5), int(random.integers(20)), 4),
        (table(random, 9, 3, shift=0.6), int(random.integers(9)), 3),
    ]


def pointing_away(random):
    """All other rows point away from the one that is asked for."""
    vectors = table(random, 7, 4).abs()
    row = int(random.integers(7))
    vectors[row] *= -1
    return [(vectors, row, 2)]


q4 = Task(
    name="q4",
    title="Neighbours by cosine",
    function="neighbours",
    right=neighbours,
    checks=(
        Check("finds the rows with the largest cosines", neighbour_cases),
        Check("leaves the row itself out, even when all others point away", pointing_away),
    ),
    hint="Give every row the length 1; then a cosine is a dot product. `topk(count + 1)`, and the first is the row itself.",
)
q4.patch("The nearest row is the row itself, which says nothing: leave it out.", "    cosines[row] = -torch.inf\n", "")
q4.patch(
    "You return the cosines first, as `topk` does: return the numbers of the rows, and then their cosines.",
    "best.indices, best.values",
    "best.values, best.indices",
)
q4.patch(
    "You return pairs of a row and its cosine: return all numbers of rows, and then all cosines.",
    "best.indices, best.values",
    "list(zip(best.indices.tolist(), best.values.tolist()))",
)
q4.patch(
    "You compare dot products, so long vectors win: divide both vectors by their lengths.",
    " / vectors.norm(dim=-1, keepdim=True)",
    "",
)
q4.mistake(
    "You compare dot products, so long vectors win, and the row itself need not be the first: divide both "
    "vectors by their lengths."
)(lambda vectors, row, count: without_the_first(vectors @ vectors[row], count))
q4.mistake("You divide by one length for the whole table: every row has its own (`norm(dim=-1, keepdim=True)`).")(
    lambda vectors, row, count: without_the_first(vectors @ vectors[row] / vectors.norm() ** 2, count)
)
q4.patch(
    "You divide by the length of one vector only: the rows of the table need the length 1, too.",
    "units @ units[row]",
    "vectors @ units[row]",
)
q4.patch(
    "Your order is right, but the cosines are too large or too small: `vectors[row]` needs the length 1, too.",
    "units @ units[row]",
    "units @ vectors[row]",
)
q4.patch("You divide the columns by their lengths: a token is a row (`dim=-1`).", "dim=-1", "dim=0")
q4.patch(
    "You take the nearest by distance: a long vector of the same direction is far away and has a cosine of 1.",
    "units @ units[row]",
    "-(vectors - vectors[row]).norm(dim=-1)",
    "best.values",
    "-best.values",
)
q4.patch(
    "You choose by distance: choose the largest cosines.",
    "cosines[row] = -torch.inf",
    "distances = (vectors - vectors[row]).norm(dim=-1)\n    distances[row] = torch.inf",
    "cosines.topk(count)",
    "distances.topk(count, largest=False)",
    "best.values",
    "cosines[best.indices]",
)
q4.patch(
    "You take the smallest cosines: a cosine of 1 is the same direction.",
    "-torch.inf",
    "torch.inf",
    "topk(count)",
    "topk(count, largest=False)",
)
q4.patch(
    "You take cosines without their sign: a cosine of −1 is the opposite direction, and not near.",
    "units @ units[row]",
    "(units @ units[row]).abs()",
)
q4.patch(
    "You give the row itself a 0, which is larger than a negative cosine: give it −∞, or take the first one off.",
    "-torch.inf",
    "0.0",
)


TASKS = (q1, q2, q3, q4)
PROSE = (
    Prose(
        name="q5",
        title="Whose merges?",
        points=2,
        look_for="The merges go to the pairs that the training text has most often. In English only, the frequent pairs are "
        "English ones; Hindi gets almost none and falls into bytes. With half Hindi the same number of merges is shared: "
        "Hindi needs far fewer tokens, so less time, memory and context, and English somewhat more, because its rarer "
        "words lose their merges.",
    ),
)
