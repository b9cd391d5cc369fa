"""Exercise 06 · Pre-training and fine-tuning: labels of a causal and a masked language model, the loss, and LoRA."""

import torch

from course_utils.exercises.task import Check, Prose, Task
from course_utils.experiments.losses import IGNORED

# q1: causal labels


def next_token_labels(ids, counts):
    """Return the next token at each position; −100 at the end, and where the next token does not count."""
    labels = torch.full_like(ids, IGNORED)
    labels[:, :-1] = ids[:, 1:].masked_fill(~counts[:, 1:], IGNORED)
    return labels


def texts(random, *kept):
    """Draw ids of a batch in which the tokens from `first` to before `end` count, a pair for each row."""
    width = 9
    ids = torch.tensor(random.integers(1, 500, size=(len(kept), width)))
    places = torch.arange(width)
    return ids, torch.stack([(places >= first) & (places < end) for first, end in kept])


def with_question(random):
    """Neither the question before nor the padding after counts."""
    first = [int(place) for place in random.integers(2, 5, size=3)]
    return [texts(random, (first[0], 9), (first[1], 7)), texts(random, (first[2], 8), (0, 9))]


q1 = Task(
    name="q1",
    title="Labels for the next token",
    function="next_token_labels",
    right=next_token_labels,
    checks=(
        Check("asks for the next token", lambda random: [texts(random, (0, 9)), texts(random, (0, 9), (0, 9))]),
        Check("asks for nothing after the end of a text", lambda random: [texts(random, (0, 6), (0, 8))]),
        Check("asks only for the answer to a question", with_question),
    ),
    hint="Start with a tensor of −100 in the shape of `ids`, and fill in all positions but the last.",
)
q1.mistake("You forget the shift: at each position the label is the token *after* it, which the model has not read.")(
    lambda ids, counts: ids.masked_fill(~counts, IGNORED)
)
q1.mistake("You shift to the wrong side: the label is the token after a position, not the one before it.")(
    lambda ids, counts: next_token_labels(ids.flip(-1), counts.flip(-1)).flip(-1)
)
q1.mistake("The last position asks for the first token (`roll` goes round): nothing comes after it, so it gets −100.")(
    lambda ids, counts: ids.masked_fill(~counts, IGNORED).roll(-1, dims=1)
)
q1.mistake("The last position of a row asks for the first token of the next row: shift every row for itself.")(
    lambda ids, counts: next_token_labels(ids.reshape(1, -1), counts.reshape(1, -1)).reshape(ids.shape)
)
q1.patch(
    "You ask whether the token at the position counts: ask it of the label, the token after it. The last token "
    "of the question predicts the first of the answer.",
    "~counts[:, 1:]",
    "~counts[:, :-1]",
)
q1.patch(
    "You ignore `counts`: where the label is a token that does not count, it becomes −100.",
    ".masked_fill(~counts[:, 1:], IGNORED)",
    "",
)
q1.patch(
    "You leave out what counts, and ask for the rest: `counts` is True for the tokens to be learned.",
    "~counts",
    "counts",
)
q1.patch(
    "Your labels are one position too short: the last position is there, too, with −100.",
    "return labels",
    "return labels[:, :-1]",
)
q1.patch(
    "You write 0 where nothing is asked for, and 0 is a token: write −100.",
    "return labels",
    "return labels.clamp(min=0)",
)


# q2: masked labels


def hide(ids, special, draws, random_ids, mask_id):
    """Return what is shown and the labels: 15 % chosen, of these 80 % masked, 10 % random, 10 % as they are."""
    chosen = (draws < 0.15) & ~special
    shown = torch.where(chosen & (draws < 0.135), random_ids, ids)
    shown = torch.where(chosen & (draws < 0.12), mask_id, shown)
    labels = torch.where(chosen, ids, IGNORED)
    return shown, labels


def masked_texts(random, rows, width, specials):
    """Draw a batch in which every range of draws occurs, and some special tokens would be chosen."""
    ids, random_ids = (torch.tensor(random.integers(200, 900, size=(rows, width))) for _ in range(2))
    draws = torch.tensor(random.uniform(0, 0.3, size=(rows, width)), dtype=torch.float32)
    for row in range(rows):
        places = torch.tensor(random.permutation(width - 2 * specials)[:5]) + specials
        draws[row, places] = torch.tensor([0.05, 0.127, 0.143, 0.5, 0.9])
    special = torch.zeros(rows, width, dtype=torch.bool)
    special[:, :specials] = special[:, width - specials :] = True
    draws[special] = torch.tensor([0.01, 0.13]).repeat(rows * specials)
    return ids, special, draws, random_ids, 103


q2 = Task(
    name="q2",
    title="Hide tokens",
    function="hide",
    right=hide,
    checks=(
        Check("shows masks, random tokens and unchanged ones", lambda random: [masked_texts(random, 1, 20, 0)]),
        Check("leaves special tokens alone", lambda random: [masked_texts(random, 2, 14, 1)]),
        Check("hides tokens of a batch", lambda random: [masked_texts(random, 4, 30, 1)]),
    ),
    hint="`chosen = (draws < 0.15) & ~special` first. The labels need nothing else.",
    points=3,
)
q2.patch(
    "You hide special tokens, too: a token is chosen if its draw is below 0.15 *and* it is not special.",
    " & ~special",
    "",
)
q2.patch(
    "Your labels hold what is shown: at a chosen place the label is the original token.",
    "torch.where(chosen, ids, IGNORED)",
    "torch.where(chosen, shown, IGNORED)",
)
q2.patch(
    "You ask for every token: the label is −100 where a token was not chosen.",
    "torch.where(chosen, ids, IGNORED)",
    "ids",
)
q2.patch(
    "You ask only where there is a mask: the random and the unchanged tokens were chosen, too.",
    "where(chosen, ids,",
    "where(chosen & (shown == mask_id), ids,",
)
q2.patch(
    "You ask only where the text has changed: the chosen tokens that are shown as they are count, too.",
    "where(chosen, ids,",
    "where(chosen & (shown != ids), ids,",
)
q2.patch(
    "You ask for the tokens that were not chosen: it is the other way round.",
    "where(chosen, ids,",
    "where(~chosen, ids,",
)
q2.patch(
    "You write 0 where nothing is asked for, and 0 is a token: write −100.",
    "return shown, labels",
    "return shown, labels.clamp(min=0)",
)
q2.patch(
    "You mask everything that is chosen: only draws below 0.12, which is 80 % of 0.15, show the mask. Draws up to "
    "0.135 show a random token, and those above the token itself.",
    "< 0.12",
    "< 0.15",
)
q2.patch(
    "You never show a chosen token as it is: only draws from 0.12 to 0.135 give a random one.", "< 0.135", "< 0.15"
)
q2.patch(
    "You never show a random token: draws from 0.12 to 0.135 give that of `random_ids`.",
    "(draws < 0.135)",
    "(draws < 0.12)",
)
q2.patch(
    "You have random and unchanged the wrong way round: draws from 0.12 to 0.135 show the random token.",
    "draws < 0.135",
    "draws >= 0.135",
)


# q3: loss


def mean_loss(logits, labels):
    """Return the mean of −ln p over the labels that are asked for."""
    asked = labels != IGNORED
    log_p = logits[asked].log_softmax(-1).gather(-1, labels[asked].unsqueeze(-1))
    return -log_p.mean()


def asked_for(random, *kept, vocabulary=120, width=7, scale=2.0):
    """Draw logits, and labels of which the given number in each row is asked for."""
    logits = torch.tensor(random.normal(0, scale, size=(len(kept), width, vocabulary)), dtype=torch.float32)
    labels = torch.tensor(random.integers(vocabulary, size=(len(kept), width)))
    for row, count in enumerate(kept):
        labels[row, torch.tensor(random.permutation(width)[: width - count])] = IGNORED
    return logits, labels


def even(random):
    """Logits that are all 0, so that every loss is ln 8."""
    labels = torch.tensor(random.integers(8, size=(1, 4)))
    labels[0, 1] = IGNORED
    return torch.zeros(1, 4, 8), labels


q3 = Task(
    name="q3",
    title="The loss",
    function="mean_loss",
    right=mean_loss,
    ready_made=("cross_entropy",),
    checks=(
        Check("is ln of the vocabulary for even logits", lambda random: [even(random)]),
        Check("takes the mean over the labels that are asked for", lambda random: [asked_for(random, 3)]),
        Check("counts every label the same", lambda random: [asked_for(random, 1, 6, 4), asked_for(random, 7, 2)]),
        Check("stays finite when the model is sure and wrong", lambda random: [asked_for(random, 4, 2, scale=90.0)]),
    ),
    hint="`asked = labels != -100` takes the positions out of logits and labels; then pick one entry of each row.",
    points=3,
)
q3.patch("Your loss has the wrong sign: it is −ln p, which is never below 0.", "-log_p", "log_p")
q3.patch(
    "Your loss is in bits: take the natural logarithm, ln, as torch does.",
    "log_p.mean()",
    "log_p.mean() / torch.tensor(2.0).log()",
)
q3.patch("You take the mean of −p: take the logarithm of each probability first.", "-log_p", "-log_p.exp()")
q3.patch("You return the perplexity: leave out the last `exp`.", "-log_p.mean()", "(-log_p.mean()).exp()")
q3.patch(
    "You take −ln of the mean probability: take the logarithm at every position, and then the mean.",
    "log_p.mean()",
    "log_p.exp().mean().log()",
)
q3.patch("You take the sum: divide by the number of labels that are not −100.", "mean()", "sum()")
q3.patch(
    "You divide by the number of all positions: those with −100 are not counted either.",
    "log_p.mean()",
    "log_p.sum() / labels.numel()",
)
q3.patch(
    "You take the mean of each row first, so a label in a short answer counts more: take one mean over all labels.",
    "-log_p.mean()",
    "-sum(row.mean() for row in log_p.split(asked.sum(1).tolist())) / len(labels)",
)
q3.mistake("You look up the label −100 in the vocabulary, counted from its end: leave these positions out.")(
    lambda logits, labels: mean_loss(logits, labels % logits.shape[-1])
)
q3.mistake("You take a label of −100 for token 0: leave these positions out.")(
    lambda logits, labels: mean_loss(logits, labels.clamp(min=0))
)
q3.mistake("You shift again: these labels are already where they're asked for.")(
    lambda logits, labels: mean_loss(logits[:, :-1], labels[:, 1:])
)
q3.patch(
    "Your softmax goes over the positions: it goes over the vocabulary, the last dimension.",
    "logits[asked].log_softmax(-1)",
    "logits.log_softmax(-2)[asked]",
)
q3.patch(
    "You use the logits as they are: turn them into log probabilities (`log_softmax`) first.", ".log_softmax(-1)", ""
)
q3.patch(
    "A tiny probability becomes 0, and its logarithm −∞: use `log_softmax`, not the log of `softmax`.",
    "log_softmax(-1)",
    "softmax(-1)",
    "unsqueeze(-1))",
    "unsqueeze(-1)).log()",
)


# q4: LoRA


def with_lora(inputs, weight, a, b, alpha):
    """Return the output of a linear layer and its correction of low rank."""
    rank = a.shape[0]
    return inputs @ weight.T + inputs @ a.T @ b.T * (alpha / rank)


def layer(random, shape, inside, outside, rank, alpha):
    """Draw inputs of `(*shape, in)` and the matrices."""
    sizes = ((*shape, inside), (outside, inside), (rank, inside), (outside, rank))
    return *(torch.tensor(random.normal(0, 1, size=size), dtype=torch.float32) for size in sizes), alpha


def fresh(random):
    """A correction as it is before the first step: `b` is 0."""
    inputs, weight, a, b, alpha = layer(random, (4,), 6, 5, 2, 8)
    return [(inputs, weight, a, torch.zeros_like(b), alpha)]


q4 = Task(
    name="q4",
    title="A layer with LoRA",
    function="with_lora",
    right=with_lora,
    checks=(
        Check("adds the correction", lambda random: [layer(random, (3,), 4, 4, 2, 8)]),
        Check("changes nothing while `b` is 0", fresh),
        Check("works for other sizes", lambda random: [layer(random, (3,), 7, 5, 2, 6)]),
        Check("takes a batch of texts", lambda random: [layer(random, (2, 3), 5, 6, 4, 16)]),
    ),
    hint="`b @ a` has the shape of `weight`. The rank is `a.shape[0]`.",
)
q4.patch("You leave out the scale: multiply the correction by alpha / rank.", " * (alpha / rank)", "")
q4.patch("You multiply by alpha: multiply by alpha / rank.", "alpha / rank", "alpha")
q4.patch("Your scale is upside down: it is alpha / rank.", "alpha / rank", "rank / alpha")
q4.patch(
    "You divide by the wrong size: the rank is the number of rows of `a`, and of columns of `b`.",
    "a.shape[0]",
    "a.shape[1]",
)
q4.patch(
    "You divide by the square root of the rank: the scale of this lesson is alpha / rank.", "/ rank", "/ rank**0.5"
)
q4.patch("You return the correction alone: the layer's own output is added to it.", "inputs @ weight.T + ", "")
q4.patch("You return the layer's own output: the correction is missing.", " + inputs @ a.T @ b.T * (alpha / rank)", "")
q4.patch(
    "You scale the layer's own output, too: only the correction is multiplied by alpha / rank.",
    "inputs @ weight.T + inputs @ a.T @ b.T",
    "(inputs @ weight.T + inputs @ a.T @ b.T)",
)
q4.patch("You take away the correction: add it.", "+ inputs", "- inputs")
q4.patch("You forget to transpose: `weight` is (out, in), so the layer is `inputs @ weight.T`.", "weight.T", "weight")
q4.patch(
    "The shapes do not fit: an input goes through `a` first, then through `b`, both transposed (`inputs @ a.T`).",
    "a.T @ b.T",
    "a @ b",
)
q4.patch(
    "The correction is the wrong way round: `b @ a` is (out, in), as `weight` is, and needs `.T`, too.",
    "a.T @ b.T",
    "(b @ a)",
)


TASKS = (q1, q2, q3, q4)
PROSE = (
    Prose(
        name="q5",
        title="Two losses side by side",
        points=2,
        look_for="No: the losses are per token, and the tokens are not the same. 3.0 nats for a token of four characters are "
        "0.75 nats per character, so the second model is the better one on this text. Compare per character (or per byte), or "
        "the sum over the whole text. A full answer says that fewer and longer tokens are harder to predict one by one.",
    ),
)
