"""One word with two meanings, in sentences that differ in nothing but the clue: does its vector know which is meant?

The sentences come in pairs. Within a pair everything is the same but the clue, so that the frame of a sentence can't
give its meaning away; it rather hides it.

Lesson: 05 · From text to vectors; 07 · Encoders, decoders and both; 08 · Attention
"""

import itertools

import torch

from course_utils.experiments.vectors import cosine_similarity, unit_vectors

# A frame, who is by the water, and who has to do with money. The clue comes before *bank*.
_CLUES_BEFORE = [
    ("The {} is at the bank", "fisherman", "accountant"),
    ("The {} went to the bank", "swimmer", "clerk"),
    ("The {} came from the bank", "boatman", "cashier"),
    ("The {} stood near the bank", "duck", "borrower"),
    ("The {} looked at the bank", "angler", "customer"),
    ("The {} stayed at the bank", "rower", "lender"),
    ("The {} was seen at the bank", "frog", "investor"),
    ("The {} knows every part of the bank", "ferry", "robber"),
    ("The {} waited by the bank", "canoe", "manager"),
    ("The {} returned to the bank", "beaver", "trader"),
]
# The same frames with a woman in them, and what comes after *bank*: the water first, then the money.
_CLUES_AFTER = [
    ("of the river", "of England"),
    ("where the water is deep", "where the loans are cheap"),
    ("and jumped into the stream", "and opened an account"),
    ("covered with reeds and mud", "owned by rich investors"),
    ("and threw a line into the water", "and asked for a loan"),
    ("washed away by the flood", "ruined by the crisis"),
    ("where the boats are tied up", "where the money is kept"),
    ("of the lake", "of the state"),
    ("to watch the ducks swim", "to pay the debt"),
    ("and swam to the other side", "and cashed the cheque"),
]
SENSES = ["river", "money"] * len(_CLUES_BEFORE)


def bank_sentences(clue: str) -> list[str]:
    """Return twenty sentences with the word *bank*, whose meanings are `SENSES`: by turns river and money.

    Args:
        clue: Where the words are that say which bank is meant: "before" or "after" the bank.

    Raises:
        ValueError: `clue` is something else.

    >>> bank_sentences("before")[:2]
    ['The fisherman is at the bank', 'The accountant is at the bank']
    >>> bank_sentences("after")[:2]
    ['The woman is at the bank of the river', 'The woman is at the bank of England']
    """
    if clue not in ("before", "after"):
        raise ValueError(f"clue must be 'before' or 'after', got {clue!r}")
    if clue == "before":
        return [frame.format(word) for frame, *pair in _CLUES_BEFORE for word in pair]
    begun = [frame.format("woman") for frame, *_ in _CLUES_BEFORE]
    return [f"{frame} {end}" for frame, pair in zip(begun, _CLUES_AFTER, strict=True) for end in pair]


def with_nearest_alike(vectors: torch.Tensor, names: list[str]) -> int:
    """Count the rows of `vectors` whose nearest other row, by cosine, has the same name.

    Args:
        vectors: `(many, hidden)`.
        names: What each row is, such as the meaning of its word.

    Raises:
        ValueError: There is not one name per row, or there are fewer than two rows.

    >>> with_nearest_alike(torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]]), ["river", "river", "money"])
    2
    """
    if not 2 <= len(vectors) == len(names):
        raise ValueError(f"names must hold one name for each of two or more rows, got {len(names)} for {len(vectors)}")
    nearest = cosine_similarity(vectors, vectors).fill_diagonal_(-torch.inf).argmax(1)
    return sum(names[row] == names[near] for row, near in enumerate(nearest.tolist()))


def meaning_gaps(vectors: torch.Tensor) -> torch.Tensor:
    """Return how much more alike vectors of the same meaning are than those of different ones, under every labelling.

    Sentences of one frame are never compared with each other, and each frame has both meanings, so no frame can make a
    gap. Row 0 has the true meanings. In each other row, some frames have their two meanings exchanged: these are all
    the gaps that labels without any meaning can give.

    Args:
        vectors: `(…, sentence, hidden)`, the sentences of `bank_sentences`, by turns river and money.

    Returns:
        Mean cosine between sentences of the same meaning minus that between others, `(2 ** (frames - 1), …)`.

    Raises:
        ValueError: The sentences are not at least two pairs.

    Source: Fisher (1935), The Design of Experiments, for the test by all exchanges.

    >>> meaning_gaps(torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]]))
    tensor([ 1., -1.])
    """
    if vectors.ndim < 2 or vectors.shape[-2] % 2 or vectors.shape[-2] < 4:
        raise ValueError(f"vectors must be of at least two pairs of sentences, got shape {tuple(vectors.shape)}")
    units = unit_vectors(vectors)
    apart = units[..., 0::2, :] - units[..., 1::2, :]  # river minus money, one for each frame
    frames = apart.shape[-2]
    between = (apart @ apart.transpose(-1, -2)).masked_fill(torch.eye(frames, dtype=torch.bool), 0)
    # All signs of the frames but the first's: to exchange the meanings everywhere changes nothing.
    signs = torch.tensor([(1, *rest) for rest in itertools.product((1, -1), repeat=frames - 1)], dtype=vectors.dtype)
    return torch.einsum("sf,...fg,sg->s...", signs, between, signs) / (2 * frames * (frames - 1))
