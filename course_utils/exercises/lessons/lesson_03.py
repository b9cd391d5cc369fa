"""Exercise 03 · The pipeline, opened: preprocess, padding, forward and postprocess on arrays that fit in a hand."""

import torch

from course_utils.exercises.task import Check, Prose, Task

WORDS = ("a", "film", "great", "bad", "not", "slow", "long", "quiet", "joy", "boring", "music", "plot", "the", "was")
UNKNOWN = ("zebra", "qualm", "ferry", "owl")
LABELS = ("joy", "anger", "fear", "surprise", "calm")
SPECIAL = ("[CLS]", "[SEP]", "[UNK]")

# q1


def preprocess(texts, vocabulary, longest):
    """Ids of each text: [CLS], its words in small letters, [SEP]; at most `longest` of them."""
    rows = ([vocabulary.get(word, vocabulary["[UNK]"]) for word in text.lower().split()] for text in texts)
    return [[vocabulary["[CLS]"], *row[: longest - 2], vocabulary["[SEP]"]] for row in rows]


def some_texts(random, *lengths, longest=20, unknown=False, capitals=False):
    """Draw a vocabulary with ids of its own, and texts of the given numbers of words."""
    ids = random.permutation(90)[: len(WORDS) + 3] + 5
    vocabulary = {word: int(number) for word, number in zip((*SPECIAL, *WORDS), ids, strict=True)}
    texts = []
    for length in lengths:
        words = [str(word) for word in random.choice(WORDS, size=length)]
        if unknown:
            words[random.integers(length)] = str(random.choice(UNKNOWN))
        if capitals:
            words[0] = words[0].capitalize()
        texts.append(" ".join(words))
    return [(texts, vocabulary, longest)]


TOY_VOCABULARY = {"[CLS]": 1, "[SEP]": 2, "[UNK]": 3, "a": 4, "great": 5, "film": 6}


q1 = Task(
    name="q1",
    title="Preprocess",
    function="preprocess",
    right=preprocess,
    checks=(
        Check(
            "turns the example into ids",
            lambda random: [(["A great film", "great music"], TOY_VOCABULARY, 8)],
        ),
        Check("puts [CLS] and [SEP] around every text", lambda random: some_texts(random, 3, 5, 1)),
        Check("writes in small letters", lambda random: some_texts(random, 4, 2, capitals=True)),
        Check("has an id for a word that it does not know", lambda random: some_texts(random, 4, 3, unknown=True)),
        Check("keeps [SEP] when it cuts", lambda random: some_texts(random, 9, 2, 5, longest=6)),
    ),
    hint="For each text: the ids of its words first, then the cut, then [CLS] and [SEP] around it.",
)
q1.mistake("[SEP] is cut off: the words get two places fewer than `longest`, and [SEP] comes after the cut.")(
    lambda texts, vocabulary, longest: [row[:longest] for row in preprocess(texts, vocabulary, 1000)]
)
q1.mistake("You cut the words at `longest`: [CLS] and [SEP] need two of these places.")(
    lambda texts, vocabulary, longest: preprocess(texts, vocabulary, longest + 2)
)


@q1.mistake("You cut the start of a long text: keep its first words.")
def first_words_only(texts, vocabulary, longest):
    rows = preprocess(texts, vocabulary, 1000)
    return [row if len(row) <= longest else [row[0], *row[len(row) - longest + 1 :]] for row in rows]


q1.mistake("You do not cut: a row has at most `longest` ids.")(
    lambda texts, vocabulary, longest: preprocess(texts, vocabulary, 1000)
)


@q1.mistake("Words that are not in the vocabulary are left out: they get the id of [UNK].")
def unknown_left_out(texts, vocabulary, longest):
    known = (" ".join(word for word in text.split() if word.lower() in vocabulary) for text in texts)
    return preprocess(list(known), vocabulary, longest)


@q1.mistake("A word that is not in the vocabulary stops you: `vocabulary.get(word, …)` has a second choice.")
def unknown_raises(texts, vocabulary, longest):
    for text in texts:
        for word in text.lower().split():
            vocabulary[word]
    return preprocess(texts, vocabulary, longest)


@q1.mistake("You look words up as they are written: turn them into small letters first, or “A” is unknown.")
def letters_as_written(texts, vocabulary, longest):
    unknown = (" ".join(word if word in vocabulary else "[unk]" for word in text.split()) for text in texts)
    return preprocess(list(unknown), vocabulary, longest)


q1.mistake("[CLS] is missing: it is the first id of every text.")(lambda *case: [row[1:] for row in preprocess(*case)])
q1.mistake("[SEP] is missing: it is the last id of every text.")(lambda *case: [row[:-1] for row in preprocess(*case)])
q1.mistake("[CLS] and [SEP] are missing: they go around every text.")(
    lambda *case: [row[1:-1] for row in preprocess(*case)]
)
q1.mistake("You return one long list: return a list of ids for each text.")(
    lambda *case: [number for row in preprocess(*case) for number in row]
)


# q2


def padded(rows, pad_id):
    """Rows of ids as one array, filled up on the right, and its mask."""
    width = max(map(len, rows))
    ids = torch.tensor([[*row, *[pad_id] * (width - len(row))] for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    return {"input_ids": ids, "attention_mask": mask}


def some_rows(random, *lengths, pad_id=None, inside=False):
    """Draw rows with the given numbers of ids; the padding's id is among them if it is `inside`."""
    pad_id = int(random.integers(1, 9)) if pad_id is None else pad_id
    rows = [random.integers(10, 99, size=length).tolist() for length in lengths]
    if inside:
        rows[0][1] = rows[-1][0] = pad_id
    return [(rows, pad_id)]


q2 = Task(
    name="q2",
    title="Padding and its mask",
    function="pad",
    right=padded,
    checks=(
        Check("pads the example", lambda random: [([[1, 4, 2], [1, 2]], 0)]),
        Check("makes every row as long as the longest", lambda random: some_rows(random, 3, 7, 1, 5)),
        Check("marks what is a token and what is padding", lambda random: some_rows(random, 2, 6, pad_id=0)),
        Check("knows a token that has the id of the padding", lambda random: some_rows(random, 4, 2, 6, inside=True)),
        Check("needs no padding when all are as long", lambda random: some_rows(random, 3, 3)),
    ),
    hint="`[pad_id] * n` is a list of n times the padding; the mask is made the same way, of ones and zeros.",
)
q2.patch(
    "You make the mask from the ids: a token may have the id of the padding, too. Make it from the lengths.",
    '"attention_mask": mask',
    '"attention_mask": (ids != pad_id).long()',
)
q2.patch(
    "Your mask is the wrong way round: 1 for a token, 0 for padding.",
    '"attention_mask": mask',
    '"attention_mask": 1 - mask',
)
q2.patch("Your mask is all ones: where there is padding it must be 0.", "[0] *", "[1] *")


@q2.mistake("You pad on the left: this model wants it on the right, after the tokens.")
def padded_left(rows, pad_id):
    return {name: array.flip(-1) for name, array in padded([row[::-1] for row in rows], pad_id).items()}


q2.patch("You pad with 0: use `pad_id`, which is another number with other models.", "pad_id] *", "0] *")
q2.mistake("You cut the long rows: fill up the short ones, to the length of the longest.")(
    lambda rows, pad_id: padded([row[: min(map(len, rows))] for row in rows], pad_id)
)
q2.patch(
    "Every row is one place too long: the longest row needs no padding.",
    "max(map(len, rows))",
    "max(map(len, rows)) + 1",
)
q2.patch(
    "There is no mask: return a dict with `input_ids` and `attention_mask`.",
    '{"input_ids": ids, "attention_mask": mask}',
    "ids",
)
q2.patch(
    "The mask is missing in your dict: it must hold `input_ids` and `attention_mask`.", ', "attention_mask": mask', ""
)


# q3


def forward(table, weights, input_ids, attention_mask):
    """The mean of the rows of the real tokens, times the weights."""
    vectors, mask = table[input_ids], attention_mask[..., None]
    mean = (vectors * mask).sum(1) / mask.sum(1)
    return mean @ weights


def some_arrays(random, *lengths, labels=2):
    """Draw a table, weights, and a padded batch of texts with the given numbers of tokens; the row of the padding is not 0."""
    width, vocab = int(random.integers(3, 6)), 12
    table = torch.tensor(random.normal(0, 1, size=(vocab, width)), dtype=torch.float32)
    weights = torch.tensor(random.normal(0, 1, size=(width, labels)), dtype=torch.float32)
    rows = [random.integers(1, vocab, size=length).tolist() for length in lengths]
    return [(table, weights, *padded(rows, 0).values())]


q3 = Task(
    name="q3",
    title="Forward, with the mask",
    function="forward",
    right=forward,
    checks=(
        Check(
            "computes the example",
            lambda random: [
                (
                    torch.tensor([[9.0, 9.0], [2.0, 0.0], [0.0, 6.0]]),
                    torch.tensor([[1.0, -1.0], [0.0, 1.0]]),
                    *padded([[1, 2], [1]], 0).values(),
                )
            ],
        ),
        Check("takes the mean of one text", lambda random: some_arrays(random, 5)),
        Check("does not read the padding", lambda random: some_arrays(random, 2, 6, 4)),
        Check("has a logit for each label", lambda random: some_arrays(random, 3, 1, labels=4)),
    ),
    hint="`attention_mask[..., None]` has a shape that multiplies the vectors: `(batch, seq, 1)`.",
    points=3,
)
q3.patch(
    "The padding is in your mean: multiply the vectors by the mask, and divide by its sum.",
    "(vectors * mask).sum(1) / mask.sum(1)",
    "vectors.mean(1)",
)
q3.patch(
    "You divide by all places: divide by the number of tokens, which is the sum of the mask.",
    "(vectors * mask).sum(1) / mask.sum(1)",
    "(vectors * mask).mean(1)",
)
q3.patch(
    "The padding is in your sum: multiply the vectors by the mask before you add them up.",
    "(vectors * mask)",
    "vectors",
)
q3.patch(
    "You divide by a row of numbers, one for each column: it must be a column, one number for each text "
    "(`sum(1, keepdim=True)`).",
    "/ mask.sum(1)",
    "/ mask.sum((1, 2))",
)
q3.patch("You take the sum: divide it by the number of tokens, or long texts get large logits.", " / mask.sum(1)", "")
q3.patch(
    "You divide by the tokens of the whole batch: each text has a number of its own (`sum(1)`).",
    "/ mask.sum(1)",
    "/ mask.sum()",
)
q3.patch(
    "You take the first token: this model takes the mean of all of them.",
    "(vectors * mask).sum(1) / mask.sum(1)",
    "vectors[:, 0]",
)
q3.patch(
    "You take the largest value of each column: this model takes the mean.",
    "(vectors * mask).sum(1) / mask.sum(1)",
    "vectors.masked_fill(mask == 0, -torch.inf).amax(1)",
)
q3.patch(
    "You take the mean over the texts: it is one over the places of each text (`dim=1`).",
    "(vectors * mask).sum(1) / mask.sum(1)",
    "(vectors * mask).sum(0) / mask.sum(0)",
)
q3.patch(
    "You return probabilities: the softmax belongs to postprocess.", "mean @ weights", "(mean @ weights).softmax(-1)"
)
q3.patch(
    "You return the mean vectors: multiply them by the weights, and there is a logit for each label.",
    "mean @ weights",
    "mean",
)


# q4


def postprocess(logits, names, count):
    """The `count` most probable labels of each text, with their probabilities."""
    best = logits.softmax(-1).topk(count)
    rows = zip(best.values.tolist(), best.indices.tolist(), strict=True)
    return [[{"label": names[place], "score": score} for score, place in zip(*row, strict=True)] for row in rows]


def some_logits(random, *sizes):
    """Draw logits for the given numbers of texts, labels and labels to return."""
    cases = []
    for texts, labels, count in sizes:
        names = [str(name) for name in random.permutation(LABELS)[:labels]]
        logits = torch.tensor(random.normal(0, 1.5, size=(texts, labels)), dtype=torch.float32)
        cases.append((logits, names, count))
    return cases


q4 = Task(
    name="q4",
    title="Postprocess",
    function="postprocess",
    right=postprocess,
    checks=(
        Check(
            "gives the example its label and score",
            lambda random: [(torch.tensor([[0.0, 1.0]]), ["NEGATIVE", "POSITIVE"], 1)],
        ),
        Check("gives every text its own labels", lambda random: some_logits(random, (4, 3, 1), (3, 4, 2))),
        Check("sorts the labels, the most probable first", lambda random: some_logits(random, (2, 5, 5), (3, 4, 4))),
    ),
    hint="`logits.softmax(-1).topk(count)` has `.values` and `.indices`, a row for each text.",
)
q4.patch(
    "You take the softmax of the best ones only: take it over all labels, then cut.",
    "logits.softmax(-1).topk",
    "logits.topk",
    "best.values",
    "best.values.softmax(-1)",
)
q4.patch("Your softmax runs over the texts: it runs over the labels, the last dimension.", "softmax(-1)", "softmax(0)")
q4.patch("Your scores are logits: the softmax makes probabilities of them.", ".softmax(-1)", "")
q4.patch("You use the sigmoid: the labels share one probability of 1, so use the softmax.", "softmax(-1)", "sigmoid()")
q4.patch("Your scores are log-probabilities: `softmax`, not `log_softmax`.", "softmax(-1)", "log_softmax(-1)")
q4.patch(
    "You return the least probable labels: begin with the most probable one.",
    "topk(count)",
    "topk(count, largest=False)",
)
q4.patch(
    "The scores are sorted and the labels are not: `topk` also returns the places, and these have the names.",
    "best.indices.tolist()",
    "[range(count)] * len(logits)",
)
q4.patch(
    "You take the first labels of the list: take the most probable ones, sorted.",
    "best = logits.softmax(-1).topk(count)",
    "scores = logits.softmax(-1)[:, :count].tolist()",
    "best.values.tolist(), best.indices.tolist()",
    "scores, [range(count)] * len(logits)",
)
q4.patch(
    "Every text has the labels of the first: look them up for each row.",
    "best.indices.tolist()",
    "best.indices[:1].tolist() * len(logits)",
)
q4.mistake("You return one list for all texts: return a list for each text, also when it holds one label.")(
    lambda logits, names, count: [one for row in postprocess(logits, names, count) for one in row]
)


TASKS = (q1, q2, q3, q4)
PROSE = (
    Prose(
        name="q5",
        title="It depends on its neighbours",
        points=2,
        look_for="The padding is read: the attention mask is missing or wrong between preprocess and forward (or the mean "
        "is taken over all places). A short text next to a longer one is padded, and alone it is not, so one text at a time "
        "looks right, and so does a batch of equally long ones. Test: the same text alone and beside a much longer one must "
        "get the same score, up to rounding.",
    ),
)
