"""Exercise 04 · The pipeline tasks: entities out of tags, the best span, and scores for labels of your own."""

import torch

from course_utils.exercises.task import Check, Prose, Task

# q1: entities


def entities(tags, offsets):
    """Return (kind, start, end) of every entity, as `aggregation_strategy="simple"` groups tokens."""
    found, before = [], "O"
    for tag, (start, end) in zip(tags, offsets, strict=True):
        if tag != "O":
            if tag[0] == "B" or tag[2:] != before[2:]:
                found.append([tag[2:], start, end])
            found[-1][2] = end
        before = tag
    return found


def tagged(random, *tags):
    """Return the tags, and offsets of tokens of random lengths."""
    offsets, end = [], 0
    for tag in tags:
        start = end + (1 if tag[0] != "I" else int(random.integers(2)))
        end = start + int(random.integers(1, 7))
        offsets.append([start, end])
    return list(tags), offsets


def kinds(random):
    """Draw two different kinds of entities."""
    return (str(kind) for kind in random.permutation(["PER", "ORG", "LOC", "MISC"])[:2])


def clean(random):
    """A text in which entities have an O between them."""
    a, b = kinds(random)
    return tagged(random, "O", f"B-{a}", f"I-{a}", f"I-{a}", "O", "O", f"B-{b}", "O", f"B-{a}", f"I-{a}", "O")


def side_by_side(random):
    """Two entities of one kind without a gap, and one of another kind right after."""
    a, b = kinds(random)
    return tagged(random, f"B-{a}", f"I-{a}", f"B-{a}", f"B-{b}", f"I-{b}", "O")


def without_a_b(random):
    """An I- after an O, one after another kind, and one of the same kind after an O."""
    a, b = kinds(random)
    return tagged(random, "O", f"I-{a}", f"I-{a}", "O", f"I-{a}", f"I-{b}", f"I-{b}", "O")


def at_the_end(random):
    """The text ends with a name."""
    a, b = kinds(random)
    return tagged(random, f"B-{a}", "O", "O", f"B-{b}", f"I-{b}")


SYLVAIN = (["O", "B-PER", "I-PER", "I-PER", "O"], [[8, 10], [11, 13], [13, 16], [16, 18], [19, 22]])


q1 = Task(
    name="q1",
    title="From tags to entities",
    function="entities",
    right=entities,
    checks=(
        Check("puts the tokens of a name together", lambda random: [SYLVAIN, clean(random), clean(random)]),
        Check("keeps a name at the end of the text", lambda random: [at_the_end(random)]),
        Check("begins a new entity at every B-", lambda random: [side_by_side(random), side_by_side(random)]),
        Check("begins one at an I- that continues nothing", lambda random: [without_a_b(random)]),
        Check("finds nothing where nothing is", lambda random: [tagged(random, "O", "O", "O")]),
    ),
    hint="Keep the tag before. A tag that is no O either continues (I-, and the same kind as before) or begins.",
    points=3,
)
q1.patch(
    "The last entity is missing: when the text ends inside an entity, it must be written down, too.",
    "return found",
    'return found[:-1] if tags[-1] != "O" else found',
)
q1.patch(
    "You leave B- or I- in the kind: return what comes after the hyphen (`tag[2:]`).", "append([tag[2:]", "append([tag"
)
q1.patch(
    "Your entities end with their first token: move the end on with every I- that continues them.",
    "found[-1][2] = end",
    "pass",
)
q1.patch(
    "Every token becomes an entity of its own: an I- of the same kind continues the one before it.",
    'tag[0] == "B" or tag[2:] != before[2:]',
    "True",
)
q1.patch(
    "You continue an entity at a B-: it begins a new one, also right after one of the same kind.",
    'tag[0] == "B" or ',
    "",
)


@q1.mistake(
    "You drop an I- with nothing before it to continue: it begins an entity, although the model should have said B-."
)
def only_after_a_b(tags, offsets):
    found, before = [], "O"
    for tag, (start, end) in zip(tags, offsets, strict=True):
        if tag[0] == "B":
            found.append([tag[2:], start, end])
        elif tag[0] == "I" and tag[2:] == before[2:]:
            found[-1][2] = end
        else:
            tag = "O"
        before = tag
    return found


q1.patch(
    "An I- of another kind continues the entity before: compare the kinds; when they differ, begin a new one.",
    "tag[2:] != before[2:]",
    'before == "O"',
)
q1.patch(
    "Every I- continues the entity before it, whatever comes between: it continues only if the token right "
    "before has the same kind.",
    "tag[2:] != before[2:]",
    "not found",
)
q1.patch(
    "You join two entities with an O between them: look at the token right before, not at the last entity.",
    "        before = tag",
    '        before = before if tag == "O" else tag',
)


# q2: spans


def best_span(start_logits, end_logits, in_context, longest):
    """Return the first and the last token of the best valid span, and its score."""
    start, end = (logits.masked_fill(~in_context, -torch.inf).softmax(-1) for logits in (start_logits, end_logits))
    scores = start[:, None] * end
    valid = torch.ones_like(scores).triu().tril(longest - 1).bool()
    first, last = divmod(scores.masked_fill(~valid, -1).argmax().item(), len(end))
    return first, last, scores[first, last].item()


def peaks(random, starts, ends, longest, tokens=14):
    """Logits with peaks at some places; the first five tokens and the last one are no context."""
    start, end = (torch.tensor(random.normal(-1, 0.4, size=tokens), dtype=torch.float32) for _ in range(2))
    for logits, places in ((start, starts), (end, ends)):
        for place, height in places.items():
            logits[place] = height + float(random.uniform(-0.2, 0.2))
    inside = torch.arange(tokens)
    return start, end, (inside > 4) & (inside < tokens - 1), longest


def clear_spans(random):
    """Spans that are easy to find: both peaks inside, in order, and near."""
    places = [int(random.integers(5, 10)) for _ in range(2)]
    return [peaks(random, {place: 4}, {place + far: 4}, 4) for place, far in zip(places, (1, 2), strict=True)]


def outside_spans(random):
    """The highest peaks are in the question."""
    place = int(random.integers(6, 10))
    return [peaks(random, {1: 5, place: 3}, {2: 5, place + 1: 3}, 4)]


def crossing_spans(random):
    """The best end comes before the best start."""
    place = int(random.integers(7, 10))
    return [peaks(random, {place: 5}, {place - 1: 5, place + 1: 3}, 4)]


def long_spans(random):
    """The best end is one token too far; then one that is just near enough; then one far out."""
    place = int(random.integers(5, 8))
    return [
        peaks(random, {place: 5}, {place + 3: 5, place + 1: 3}, 3),
        peaks(random, {place: 5}, {place + 2: 5, place + 1: 3}, 3),
        peaks(random, {place: 5}, {12: 5, place + 1: 3}, 4),
    ]


def one_token_spans(random):
    """Both peaks at one place."""
    place = int(random.integers(6, 11))
    return [peaks(random, {place: 4}, {place: 4}, 3)]


q2 = Task(
    name="q2",
    title="The best span",
    function="best_span",
    right=best_span,
    checks=(
        Check("finds a clear answer, and its score", clear_spans),
        Check("never points at the question", outside_spans),
        Check("never ends before it starts", crossing_spans),
        Check("takes no more than `longest` tokens", long_spans),
        Check("may take a single token", one_token_spans),
    ),
    hint="A table of all pairs, `start[:, None] * end[None, :]`; `triu()` and `tril(longest - 1)` leave the valid ones.",
    points=3,
)
q2.patch(
    "You point outside the context: mask both rows of logits with `in_context`.",
    ".masked_fill(~in_context, -torch.inf)",
    "",
)
q2.patch(
    "You mask after the softmax, so the question keeps its share: mask the logits with −∞ first.",
    "scores[first, last]",
    "(start_logits.softmax(-1)[first] * end_logits.softmax(-1)[last])",
)
q2.patch(
    "Your score is a sum of logits: turn both rows into probabilities, and multiply.",
    "scores[first, last]",
    "(start_logits[first] + end_logits[last])",
)
q2.patch(
    "You add the two probabilities: start and end must both be right, so multiply them.",
    "scores[first, last]",
    "(start[first] + end[last])",
)
q2.patch(
    "You choose the best start and the best end each on its own: score all pairs, and take the best valid one.",
    ".triu().tril(longest - 1)",
    "",
)
q2.patch("You allow an end before its start: only pairs with `first <= last` are valid (`triu`).", ".triu()", "")
q2.patch("You leave out spans of one token: an answer may start and end at the same token.", "triu()", "triu(1)")
q2.patch(
    "Your spans may be as long as they like: `longest` is the most tokens they may have.", ".tril(longest - 1)", ""
)
q2.patch(
    "Your spans may be one token too long: from first to last there are last − first + 1 tokens.",
    "longest - 1",
    "longest",
)
q2.patch("Your spans may not be long enough: exactly `longest` tokens are still allowed.", "longest - 1", "longest - 2")


# q3: zero-shot


def label_scores(logits, names, multi_label):
    """Return the score of each label, as the zero-shot pipeline does."""
    yes, no = names.index("entailment"), names.index("contradiction")
    if multi_label:
        return logits[:, [no, yes]].softmax(-1)[:, 1]
    return logits[:, yes].softmax(-1)


NAMES = ["entailment", "neutral", "contradiction"]


def zero_shot(random, multi_label, *counts):
    """NLI logits for this many labels, with the columns in all three kinds of order."""
    orders = [NAMES, NAMES[::-1], ["neutral", "entailment", "contradiction"]]
    return [
        (torch.tensor(random.normal(0, 1.5, size=(count, 3)), dtype=torch.float32), order, multi_label)
        for count, order in zip(counts, orders, strict=False)
    ]


q3 = Task(
    name="q3",
    title="Scores for labels of your own",
    function="label_scores",
    right=label_scores,
    checks=(
        Check("lets the labels compete", lambda random: zero_shot(random, False, 3, 4, 2)),
        Check("judges every label alone with `multi_label`", lambda random: zero_shot(random, True, 3, 4, 2)),
        Check("gives the only label a score of 1", lambda random: zero_shot(random, False, 1)),
    ),
    hint='`names.index("entailment")` is the column. One softmax down that column, or one along each row of two columns.',
)
q3.mistake("You always take the first column for entailment: models differ, so look it up in `names`.")(
    lambda logits, names, multi_label: label_scores(logits, NAMES, multi_label)
)
q3.mistake("You always take the last column for entailment: models differ, so look it up in `names`.")(
    lambda logits, names, multi_label: label_scores(logits, NAMES[::-1], multi_label)
)
q3.patch(
    "You score how false a label is: take the column of entailment, not that of contradiction.",
    "yes, no =",
    "no, yes =",
)
q3.patch(
    "You have the two cases the wrong way round: with `multi_label` every label is judged alone.",
    "if multi_label",
    "if not multi_label",
)
q3.patch(
    "With `multi_label` your labels still compete: judge each alone, by a softmax over its own two logits, contradiction "
    "and entailment.",
    "if multi_label",
    "if False",
)
q3.patch(
    "Your labels never compete: without `multi_label` the softmax goes over all labels (`dim=0`).",
    "if multi_label",
    "if True",
)
q3.mistake(
    "You take the softmax over the three columns in both cases. Alone: over entailment and contradiction. "
    "Together: over the labels, in the column of entailment."
)(lambda logits, names, multi_label: logits.softmax(-1)[:, names.index("entailment")])
q3.patch(
    "Without `multi_label` you take the softmax over the columns: it goes over the labels (`dim=0`).",
    "logits[:, yes].softmax(-1)",
    "logits.softmax(-1)[:, yes]",
)
q3.patch(
    "Without `multi_label` you divide probabilities by their sum: take one softmax over the logits of entailment.",
    "logits[:, yes].softmax(-1)",
    "logits.softmax(-1)[:, yes] / logits.softmax(-1)[:, yes].sum()",
)
q3.patch(
    "With `multi_label` you leave neutral in: the softmax is over contradiction and entailment only.",
    "logits[:, [no, yes]].softmax(-1)[:, 1]",
    "logits.softmax(-1)[:, yes]",
)
q3.patch(
    "With `multi_label` you take the sigmoid of one logit: compare entailment with contradiction.",
    "logits[:, [no, yes]].softmax(-1)[:, 1]",
    "logits[:, yes].sigmoid()",
)
q3.mistake("You sort the scores: leave them in the order of the labels.")(
    lambda logits, names, multi_label: label_scores(logits, names, multi_label).sort(descending=True).values
)
q3.mistake("You return logits: a score is a probability, so take a softmax.")(
    lambda logits, names, multi_label: logits[:, names.index("entailment")]
)


TASKS = (q1, q2, q3)
PROSE = (
    Prose(
        name="q4",
        title="No label fits",
        points=2,
        look_for="Without multi_label the softmax over the labels makes the scores add up to 1, so one of two wrong labels "
        "must get at least 0.5: it is the better of the two, not a good one. With multi_label every label is compared with "
        "its own contradiction, so both may be near 0, and that tells that none fits. So multi_label is the one to use, "
        "with a lowest score below which no label is given.",
    ),
)
