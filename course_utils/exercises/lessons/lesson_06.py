"""Exercise 06 · Pre-training and fine-tuning: labels of a causal and a masked language model, the loss, and LoRA."""

import torch

from course_utils.exercises.task import Check, Prose, Task
from course_utils.experiments.losses import IGNORED, cross_entropy

# q1: causal labels


def next_token_labels(ids, counts):
    """Return the next token at each position; −100 at the end, and where the next token does not count."""
    labels = torch.full_like(ids, IGNORED)
    labels[:, :-1] = ids[:, 1:].masked_fill(~counts[:, 1:], IGNORED)
    return labels


def own_token(ids, counts):
    """Forget the shift."""
    return ids.masked_fill(~counts, IGNORED)


def texts(random, *kept):
    """Draw ids of a batch in which the tokens from `first` to before `end` count, a pair for each row."""
    width = 9
    ids = torch.tensor(random.integers(1, 500, size=(len(kept), width)))
    places = torch.arange(width)
    return ids, torch.stack([(places >= first) & (places < end) for first, end in kept])


def with_question(random):
    """The question in front does not count, nor does the padding behind."""
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
    own_token
)
q1.mistake("You shift to the wrong side: the label is the token after a position, not the one before it.")(
    lambda ids, counts: next_token_labels(ids.flip(-1), counts.flip(-1)).flip(-1)
)
q1.mistake("The last position asks for the first token (`roll` goes round): nothing comes after it, so it gets −100.")(
    lambda ids, counts: own_token(ids, counts).roll(-1, dims=1)
)
q1.mistake("The last position of a row asks for the first token of the next row: shift every row for itself.")(
    lambda ids, counts: next_token_labels(ids.reshape(1, -1), counts.reshape(1, -1)).reshape(ids.shape)
)
q1.mistake(
    "You ask whether the token at the position counts: ask it of the label, the token after it. The last token "
    "of the question predicts the first of the answer."
)(lambda ids, counts: next_token_labels(ids, torch.ones_like(counts)).masked_fill(~counts, IGNORED))
q1.mistake("You ignore `counts`: where the label is a token that does not count, it becomes −100.")(
    lambda ids, counts: next_token_labels(ids, torch.ones_like(counts))
)
q1.mistake("You leave out what counts, and ask for the rest: `counts` is True for the tokens to be learned.")(
    lambda ids, counts: next_token_labels(ids, ~counts)
)
q1.mistake("Your labels are one position too short: the last position is there, too, with −100.")(
    lambda ids, counts: next_token_labels(ids, counts)[:, :-1]
)
q1.mistake("You write 0 where nothing is asked for, and 0 is a token: write −100.")(
    lambda ids, counts: next_token_labels(ids, counts).clamp(min=0)
)


# q2: masked labels


def hide(ids, special, draws, random_ids, mask_id):
    """Return what is shown and the labels: 15 % chosen, of these 80 % masked, 10 % random, 10 % as they are."""
    return hidden(ids, special, draws, random_ids, mask_id, 0.12, 0.135, 0.15)


def hidden(ids, special, draws, random_ids, mask_id, mask_below, random_below, chosen_below):
    """Hide with these borders of the draws."""
    chosen = (draws < chosen_below) & ~special
    shown = torch.where(chosen & (draws < random_below), random_ids, ids)
    return shown.masked_fill(chosen & (draws < mask_below), mask_id), ids.masked_fill(~chosen, IGNORED)


def other_labels(labels):
    """Show what is right, and return other labels: `(ids, shown, right labels, mask_id) → labels`."""

    def wrong(ids, special, draws, random_ids, mask_id):
        shown, right = hide(ids, special, draws, random_ids, mask_id)
        return shown, labels(ids, shown, right, mask_id)

    return wrong


def other_borders(mask_below, random_below, chosen_below=0.15):
    """Hide with other borders of the draws."""
    return lambda *given: hidden(*given, mask_below, random_below, chosen_below)


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
q2.mistake("You hide special tokens, too: a token is chosen if its draw is below 0.15 *and* it is not special.")(
    lambda ids, special, *rest: hide(ids, torch.zeros_like(special), *rest)
)
q2.mistake("Your labels hold what is shown: at a chosen place the label is the original token.")(
    other_labels(lambda ids, shown, right, mask_id: torch.where(right == IGNORED, IGNORED, shown))
)
q2.mistake("You ask for every token: the label is −100 where a token was not chosen.")(
    other_labels(lambda ids, shown, right, mask_id: ids)
)
q2.mistake("You ask only where there is a mask: the random and the unchanged tokens were chosen, too.")(
    other_labels(lambda ids, shown, right, mask_id: torch.where(shown == mask_id, right, IGNORED))
)
q2.mistake("You ask only where the text has changed: the chosen tokens that are shown as they are count, too.")(
    other_labels(lambda ids, shown, right, mask_id: torch.where(shown != ids, right, IGNORED))
)
q2.mistake("You ask for the tokens that were not chosen: it is the other way round.")(
    other_labels(lambda ids, shown, right, mask_id: torch.where(right == IGNORED, ids, IGNORED))
)
q2.mistake("You write 0 where nothing is asked for, and 0 is a token: write −100.")(
    other_labels(lambda ids, shown, right, mask_id: right.clamp(min=0))
)
q2.mistake(
    "You mask everything that is chosen: only draws below 0.12, which is 80 % of 0.15, show the mask. Draws up to "
    "0.135 show a random token, and those above the token itself."
)(other_borders(0.15, 0.15))
q2.mistake("You never show a chosen token as it is: only draws from 0.12 to 0.135 give a random one.")(
    other_borders(0.12, 0.15)
)
q2.mistake("You never show a random token: draws from 0.12 to 0.135 give that of `random_ids`.")(
    other_borders(0.12, 0.12)
)


@q2.mistake("You have random and unchanged the wrong way round: draws from 0.12 to 0.135 show the random token.")
def random_last(ids, special, draws, random_ids, mask_id):
    shown, labels = hide(ids, special, draws, random_ids, mask_id)
    chosen = labels != IGNORED
    shown = torch.where(chosen & (draws >= 0.12) & (draws < 0.135), ids, shown)
    return torch.where(chosen & (draws >= 0.135), random_ids, shown), labels


# q3: loss


def loss_of(per_label):
    """Return a loss in which each label costs `per_label(log p)`, with the mean over those that are asked for."""

    def loss(logits, labels):
        asked = labels != IGNORED
        return per_label(logits[asked].log_softmax(-1).gather(-1, labels[asked].unsqueeze(-1))).mean()

    return loss


def costs(logits, labels, missing=0):
    """Return −ln p at every position; 0 where no label is asked for."""
    known = labels.masked_fill(labels == IGNORED, missing)
    return -logits.log_softmax(-1).gather(-1, known.unsqueeze(-1)).squeeze(-1).masked_fill(labels == IGNORED, 0)


def asked_for(random, *kept, vocabulary=120, width=7, scale=2.0):
    """Draw logits, and labels of which so many in each row are asked for."""
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
    right=cross_entropy,
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
q3.mistake("Your loss has the wrong sign: it is −ln p, which is never below 0.")(loss_of(lambda log_p: log_p))
q3.mistake("Your loss is in bits: take the natural logarithm, ln, as torch does.")(
    loss_of(lambda log_p: -log_p / torch.tensor(2.0).log())
)
q3.mistake("You take the mean of −p: take the logarithm of each probability first.")(
    loss_of(lambda log_p: -log_p.exp())
)
q3.mistake("You return the perplexity: leave out the last `exp`.")(
    lambda logits, labels: cross_entropy(logits, labels).exp()
)
q3.mistake("You take −ln of the mean probability: take the logarithm at every position, and then the mean.")(
    lambda logits, labels: -loss_of(torch.exp)(logits, labels).log()
)
q3.mistake("You take the sum: divide by the number of labels that are not −100.")(
    lambda logits, labels: costs(logits, labels).sum()
)
q3.mistake("You divide by the number of all positions: those with −100 are not counted either.")(
    lambda logits, labels: costs(logits, labels).mean()
)
q3.mistake(
    "You take the mean of each row first, so a label in a short answer counts more: take one mean over all labels."
)(lambda logits, labels: (costs(logits, labels).sum(-1) / (labels != IGNORED).sum(-1)).mean())
q3.mistake("You look up the label −100 in the vocabulary, counted from its end: leave these positions out.")(
    lambda logits, labels: -logits.log_softmax(-1).gather(-1, (labels % logits.shape[-1]).unsqueeze(-1)).mean()
)
q3.mistake("You take a label of −100 for token 0: leave these positions out.")(
    lambda logits, labels: cross_entropy(logits, labels.clamp(min=0))
)
q3.mistake("You shift once more: these labels already stand where they are asked for.")(
    lambda logits, labels: cross_entropy(logits[:, :-1], labels[:, 1:])
)


@q3.mistake("Your softmax goes over the positions: it goes over the vocabulary, the last dimension.")
def over_positions(logits, labels):
    asked = labels != IGNORED
    return -logits.log_softmax(-2)[asked].gather(-1, labels[asked].unsqueeze(-1)).mean()


q3.mistake("You use the logits as they are: turn them into log probabilities (`log_softmax`) first.")(
    lambda logits, labels: -logits[labels != IGNORED].gather(-1, labels[labels != IGNORED][:, None]).mean()
)


@q3.mistake("A tiny probability becomes 0, and its logarithm −∞: use `log_softmax`, not the log of `softmax`.")
def unstable(logits, labels):
    asked = labels != IGNORED
    return -logits[asked].softmax(-1).gather(-1, labels[asked].unsqueeze(-1)).log().mean()


# q4: LoRA


def with_lora(inputs, weight, a, b, alpha):
    """Return the output of a linear layer and its correction of low rank."""
    return inputs @ weight.T + inputs @ a.T @ b.T * (alpha / a.shape[0])


def scaled(scale):
    """Return the output with another scale of the correction: `(a, b, alpha) → number`."""
    return lambda inputs, weight, a, b, alpha: inputs @ weight.T + inputs @ a.T @ b.T * scale(a, b, alpha)


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
q4.mistake("You leave out the scale: multiply the correction by alpha / rank.")(scaled(lambda a, b, alpha: 1))
q4.mistake("You multiply by alpha: multiply by alpha / rank.")(scaled(lambda a, b, alpha: alpha))
q4.mistake("Your scale is upside down: it is alpha / rank.")(scaled(lambda a, b, alpha: a.shape[0] / alpha))
q4.mistake("You divide by the wrong size: the rank is the number of rows of `a`, and of columns of `b`.")(
    scaled(lambda a, b, alpha: alpha / a.shape[1])
)
q4.mistake("You divide by the square root of the rank: the scale of this lesson is alpha / rank.")(
    scaled(lambda a, b, alpha: alpha / a.shape[0] ** 0.5)
)
q4.mistake("You return the correction alone: the layer's own output is added to it.")(
    lambda inputs, weight, a, b, alpha: inputs @ a.T @ b.T * (alpha / a.shape[0])
)
q4.mistake("You return the layer's own output: the correction is missing.")(
    lambda inputs, weight, a, b, alpha: inputs @ weight.T
)
q4.mistake("You scale the layer's own output, too: only the correction is multiplied by alpha / rank.")(
    lambda inputs, weight, a, b, alpha: (inputs @ weight.T + inputs @ a.T @ b.T) * (alpha / a.shape[0])
)
q4.mistake("You take away the correction: add it.")(scaled(lambda a, b, alpha: -alpha / a.shape[0]))
q4.mistake("You forget to transpose: `weight` is (out, in), so the layer is `inputs @ weight.T`.")(
    lambda inputs, weight, a, b, alpha: inputs @ weight + inputs @ a.T @ b.T * (alpha / a.shape[0])
)
q4.mistake(
    "The shapes do not fit: an input goes through `a` first, then through `b`, both transposed (`inputs @ a.T`)."
)(lambda inputs, weight, a, b, alpha: inputs @ weight.T + inputs @ a @ b * (alpha / a.shape[0]))
q4.mistake("The correction is the wrong way round: `b @ a` is (out, in), as `weight` is, and needs `.T`, too.")(
    lambda inputs, weight, a, b, alpha: inputs @ weight.T + inputs @ (b @ a) * (alpha / a.shape[0])
)


TASKS = (q1, q2, q3, q4)
PROSE = (
    Prose(
        name="q5",
        title="Two losses side by side",
        points=2,
        look_for="No: the losses are per token, and the tokens are not the same. 3.0 nats for a token of four characters are "
        "0.75 nats a character, so the second model is the better one on this text. Compare per character (or per byte), or "
        "the sum over the whole text. A full answer says that fewer and longer tokens are harder to predict one by one.",
    ),
)
