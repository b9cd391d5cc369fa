"""Exercise 07 · Encoders, decoders and both: three masks, and how far a change reaches."""

import math

import torch

from course_utils.exercises.task import Check, Prose, Task


def padded(random, length, *sides):
    """Draw an attention mask (batch, length): each row has 2 to length − 1 real tokens, and padding on its side."""
    rows = []
    for side in sides:
        real = int(random.integers(2, length))
        ones, zeros = [1] * real, [0] * (length - real)
        rows.append(zeros + ones if side == "left" else ones + zeros)
    return torch.tensor(rows)


# q1: the encoder's mask


def encoder(attention_mask):
    """Hide the columns of the padding, in every row."""
    return attention_mask.bool()[:, None, :].expand(-1, attention_mask.shape[1], -1)


def encoder_rows(attention_mask):
    """Hide the rows of the padding."""
    return encoder(attention_mask).transpose(1, 2)


def added(mask):
    """Return what is added to the scores."""
    return torch.zeros(mask.shape).masked_fill(~mask, -math.inf)


q1 = Task(
    name="q1",
    title="The encoder's mask",
    function="encoder_mask",
    right=encoder,
    checks=(
        Check("hides the padding on the right", lambda random: [(torch.tensor([[1, 1, 0]]),)]),
        Check("hides the padding on the left", lambda random: [(padded(random, 6, "left"),)]),
        Check("gives every text its own mask", lambda random: [(padded(random, 7, "right", "left", "right"),)]),
    ),
    hint="`attention_mask.bool()[:, None, :]` has the columns right, and one row; `expand` makes more of it.",
)
q1.mistake("You hide the rows of the padding: hide its columns. A row looks, a column is looked at.")(encoder_rows)
q1.mistake(
    "You empty the rows of the padding as well: leave them like the others. The softmax of a row that is all "
    "−∞ is not a number (nan)."
)(lambda mask: encoder(mask) & encoder_rows(mask))
q1.mistake("It is the wrong way round: True where a token may look, and False at the padding.")(
    lambda mask: ~encoder(mask)
)
q1.mistake("The padding is looked at: its columns must be False.")(lambda mask: torch.ones_like(encoder(mask)))
q1.mistake("You return what is added to the scores: return True and False.")(lambda mask: added(encoder(mask)))


@q1.mistake(
    "You count the real tokens and take that many from the left, but padding can be on the left. Use the "
    "attention mask itself."
)
def encoder_from_the_left(attention_mask):
    places = torch.arange(attention_mask.shape[1])
    return encoder((places < attention_mask.sum(-1, keepdim=True)).long())


q1.mistake("You forbid looking ahead: that is a decoder. Here everyone looks at every real token.")(
    lambda mask: encoder(mask).tril()
)
q1.mistake("All texts get the padding of the first one: keep the dimension of the batch.")(
    lambda mask: encoder(mask[:1].expand_as(mask))
)
q1.mistake("Each text has a single row: it needs one for each position that looks (`expand`).")(
    lambda mask: encoder(mask)[:, :1]
)


# q2: the decoder's mask


def decoder(attention_mask, new):
    """Look back, and at no padding."""
    keys = attention_mask.shape[1]
    triangle = torch.ones(new, keys, dtype=torch.bool).tril(keys - new)
    return triangle & attention_mask.bool()[:, None, :]


q2 = Task(
    name="q2",
    title="The decoder's mask",
    function="decoder_mask",
    right=decoder,
    checks=(
        Check("looks back, and at itself", lambda random: [(torch.ones(1, 4, dtype=torch.long), 4)]),
        Check("hides the padding, too", lambda random: [(padded(random, 6, "left", "right", "left"), 6)]),
        Check(
            "takes the queries for the last tokens",
            lambda random: [
                (torch.ones(1, 5, dtype=torch.long), 2),
                (padded(random, 8, "left", "left"), int(random.integers(2, 5))),
                (padded(random, 7, "left"), 1),
            ],
        ),
    ),
    hint="Two masks, joined by `&`: the triangle `(new, keys)`, and the real tokens `(batch, 1, keys)`.",
    points=3,
)
q2.patch(
    "With a cache the queries are the last tokens, and you take them for the first: move the diagonal by "
    "the number of old keys (`tril(keys - new)`).",
    "keys - new",
    "0",
)
q2.mistake("You return a row for every key: only the last `new` positions look.")(
    lambda mask, new: decoder(mask, mask.shape[1])
)
q2.patch(
    "A token cannot look at itself: the diagonal belongs to it (`tril(d)`, not `tril(d - 1)`).",
    "keys - new",
    "keys - new - 1",
)
q2.patch(
    "Every token sees the next one, too: your diagonal is one too far to the right.", "keys - new", "keys - new + 1"
)
q2.patch("It looks ahead: take `tril` in place of `triu`.", "tril(", "triu(")
q2.mistake("The padding is looked at: a column must also be a real token.")(
    lambda mask, new: decoder(torch.ones_like(mask), new)
)
q2.mistake("Only the padding is hidden: hide the tokens ahead, too.")(
    lambda mask, new: mask.bool()[:, None, :].expand(-1, new, -1)
)
q2.patch("One of the two conditions is enough for you: both must be true (`&`, not `|`).", "triangle &", "triangle |")
q2.mistake("It is the wrong way round: True where a token may look.")(lambda mask, new: ~decoder(mask, new))
q2.mistake("You return what is added to the scores: return True and False.")(
    lambda mask, new: added(decoder(mask, new))
)


# q3: the cross mask


def cross(source_mask, target_mask):
    """Let every target position look at every real token of the source."""
    return source_mask.bool()[:, None, :].expand(-1, target_mask.shape[1], -1)


def cross_target(source_mask, target_mask):
    """Hide the padding of the target in place of that of the source."""
    return target_mask.bool()[:, :, None].expand(-1, -1, source_mask.shape[1])


q3 = Task(
    name="q3",
    title="The cross mask",
    function="cross_mask",
    right=cross,
    checks=(
        Check(
            "has a row for each target position",
            lambda random: [(torch.ones(1, 4, dtype=torch.long), torch.ones(1, 3, dtype=torch.long))],
        ),
        Check(
            "hides the padding of the source",
            lambda random: [
                (padded(random, 6, "right"), torch.ones(1, 4, dtype=torch.long)),
                (padded(random, 3, "left"), torch.ones(1, 5, dtype=torch.long)),
            ],
        ),
        Check(
            "keeps apart what is padded where",
            lambda random: [(padded(random, 6, "right", "left"), padded(random, 4, "right", "right"))],
        ),
    ),
    hint="It is the encoder's mask with another number of rows: that of the target.",
)
q3.mistake("Rows and columns are exchanged: the target looks (rows), the source is looked at (columns).")(
    lambda source, target: cross(source, target).transpose(1, 2)
)
q3.mistake("You forbid looking ahead: the source is there from the start, and all of it may be looked at.")(
    lambda source_mask, target_mask: cross(source_mask, target_mask).tril()
)
q3.mistake("You hide the padding of the target: it is the source that is looked at, so its padding is hidden.")(
    cross_target
)
q3.mistake(
    "You empty the rows of the target's padding as well: leave them like the others. The softmax of a row that "
    "is all −∞ is not a number (nan)."
)(lambda source, target: cross(source, target) & cross_target(source, target))
q3.mistake("The padding of the source is looked at: its columns must be False.")(
    lambda source, target: torch.ones_like(cross(source, target))
)
q3.mistake("It is the wrong way round: True where a token may look.")(lambda source, target: ~cross(source, target))
q3.mistake("The mask is as large as the source in both directions: it needs a row for each *target* position.")(
    lambda source, target: encoder(source)
)


# q4: how far a change reaches


def changed(mask, replaced, layers):
    """Follow a change through some layers."""
    found = torch.zeros(len(mask), dtype=torch.bool)
    found[replaced] = True
    for _ in range(layers):
        found = found | (mask & found).any(-1)
    return found.nonzero().flatten().tolist()


def windowed(random, *layers):
    """Masks that let a token look at itself and at the one or two before it; a token near the start is replaced."""
    cases = []
    for count in layers:
        length, window = int(random.integers(9, 12)), int(random.integers(2, 4))
        mask = torch.ones(length, length, dtype=torch.bool).tril().triu(1 - window)
        cases.append((mask, int(random.integers(1, 3)), count))
    return cases


def scattered(random, *layers):
    """Masks of a few random fields, and none on the diagonal."""
    cases = []
    for count in layers:
        mask = torch.tensor(random.random((9, 9)) < 0.2) & ~torch.eye(9, dtype=torch.bool)
        replaced = int(mask.sum(0).argmax())  # a place that someone looks at
        cases.append((mask, replaced, count))
    return cases


def whole_masks(random):
    """The two masks of the lesson."""
    everyone = torch.ones(5, 5, dtype=torch.bool)
    return [
        (everyone.tril(), 2, 1),
        (everyone, 2, 1),
        (torch.ones(7, 7, dtype=torch.bool).tril(), int(random.integers(1, 6)), 4),
    ]


q4 = Task(
    name="q4",
    title="How far a change reaches",
    function="changed_positions",
    right=changed,
    checks=(
        Check("knows the masks of an encoder and a decoder", whole_masks),
        Check("goes one window further with every layer", lambda random: windowed(random, 1, 2, 3)),
        Check("follows any mask", lambda random: scattered(random, 1, 2, 2, 3)),
        Check("stays at the replaced token without a layer", lambda random: windowed(random, 0)),
    ),
    hint="A row changes in a layer if it looks at something that had changed: `(mask & changed).any(-1)`.",
    points=3,
)
q4.patch(
    "You ask whom the replaced token looks at: ask who looks at it. That is its column, not its row.",
    "mask & found",
    "mask.T & found",
)
q4.patch(
    "You stop after one layer: what has changed is looked at in the next one.", "range(layers)", "range(min(layers, 1))"
)
q4.patch("You keep going until nothing changes: stop after `layers` layers.", "range(layers)", "range(len(mask))")
q4.patch(
    "A position passes on what it has got in the same layer: all of them read what the layer *before* wrote, "
    "so collect the new ones first.",
    "found = found | (mask & found).any(-1)",
    "for query in range(len(mask)):\n            found[query] |= (mask[query] & found).any()",
)
q4.patch(
    "You forget that a vector keeps what it was: what has changed stays changed, even if no token looks there.",
    "found | ",
    "",
)
q4.patch("You go through one layer too many.", "range(layers)", "range(layers + 1)")
q4.patch("You go through one layer too few.", "range(layers)", "range(layers - 1)")
q4.mistake("You return everything from the replaced token on: that is the causal mask. Look into the mask.")(
    lambda mask, replaced, layers: list(range(replaced, len(mask)))
)
q4.mistake("The replaced position is missing: its vector differs, too.")(
    lambda mask, replaced, layers: [place for place in changed(mask, replaced, layers) if place != replaced]
)
q4.patch(
    "You return True and False for each position: return the positions where it is True.",
    "found.nonzero().flatten()",
    "found",
)


TASKS = (q1, q2, q3, q4)
PROSE = (
    Prose(
        name="q5",
        title="Too good to be true",
        points=2,
        look_for="With the bidirectional mask every position sees the token that it is asked for, so the model learns to "
        "copy it and the loss falls to nearly 0; that measures nothing. When it writes there is no next token to copy yet, "
        "so it has not learned to predict, and its texts are bad. With the causal mask one run gives a fair question at "
        "every position (an encoder hides the tokens instead).",
    ),
)
