"""Exercise 08 · Attention: one head, groups of heads, and two measures of what a head does."""

import math

import torch

from course_utils.exercises.task import Check, Prose, Task


def numbers(random, *shape):
    """Draw numbers of spread 1: with vectors of 4 to 16 numbers no softmax saturates, with or without 1/√d."""
    return torch.tensor(random.normal(size=shape), dtype=torch.float32)


def everyone(queries, keys):
    """Let every query look at every key."""
    return torch.ones(queries, keys, dtype=torch.bool)


def causal(length):
    """Let no token look ahead."""
    return everyone(length, length).tril()


# q1: one head


def attend(query, key, value, mask):
    """Mix the values."""
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    weights = scores.masked_fill(~mask, -math.inf).softmax(-1)
    return weights @ value


q1 = Task(
    name="q1",
    title="One head",
    function="attention",
    right=attend,
    ready_made=("scaled_dot_product_attention",),
    checks=(
        Check(
            "divides the scores by √d",
            lambda random: [
                (
                    torch.tensor([[2.0, 0, 0, 0]]),
                    torch.tensor([[1.0, 0, 0, 0], [0, 0, 0, 0]]),
                    torch.tensor([[10.0], [0]]),
                    everyone(1, 2),
                ),
                (numbers(random, 3, 9), numbers(random, 5, 9), numbers(random, 5, 2), everyone(3, 5)),
            ],
        ),
        Check(
            "hides what the mask forbids",
            lambda random: [
                (numbers(random, 5, 4), numbers(random, 5, 4), numbers(random, 5, 3), causal(5)),
                (numbers(random, 3, 8), numbers(random, 6, 8), numbers(random, 6, 8), everyone(3, 6).tril(3)),
            ],
        ),
        Check(
            "computes several heads at once",
            lambda random: [
                (numbers(random, 3, 4, 6), numbers(random, 3, 4, 6), numbers(random, 3, 4, 6), causal(4)),
                (numbers(random, 2, 3, 4, 6), numbers(random, 2, 3, 4, 6), numbers(random, 2, 3, 4, 6), causal(4)),
            ],
        ),
    ),
    hint="Four lines: scores divided by √d, −∞ where the mask is False, softmax over the keys, times the values.",
    points=3,
)
q1.patch(
    "The division by √d is missing: without it the scores spread more and more with d, and the softmax gets too sharp.",
    " / math.sqrt(query.shape[-1])",
    "",
)
q1.patch(
    "You divide by d: it is the root of d, `query.shape[-1] ** 0.5`.", "math.sqrt(query.shape[-1])", "query.shape[-1]"
)
q1.patch("You multiply by √d: divide.", "/ math", "* math")
q1.patch(
    "You divide by the root of the number of tokens: d is how many numbers a vector has, the last dimension.",
    "query.shape[-1]",
    "key.shape[-2]",
)
q1.patch(
    "You divide by the root of the size of the values: d is the size of queries and keys.", "query.shape", "value.shape"
)
q1.patch(
    "You divide after the softmax: divide the scores, before it.",
    " / math.sqrt(query.shape[-1])",
    "",
    "softmax(-1)",
    "softmax(-1) / math.sqrt(query.shape[-1])",
)
q1.patch("A forbidden score gets 0, which is a score like another one: it takes −∞.", "-math.inf", "0")
q1.patch(
    "You set weights to 0 after the softmax: later tokens have taken their share by then, and the rows no longer "
    "add up to 1. Set the scores to −∞ before it.",
    "scores.masked_fill(~mask, -math.inf).softmax(-1)",
    "scores.softmax(-1) * mask",
)
q1.patch("The mask is not used: a False forbids to look.", ".masked_fill(~mask, -math.inf)", "")
q1.patch(
    "The mask is the wrong way round: True means that a key may be looked at, so fill where it is False (`~mask`).",
    "~mask",
    "mask",
)
q1.patch(
    "The softmax runs down the columns: a row must add up to 1 (`softmax(-1)`).",
    "softmax(-1)",
    "softmax(-2).nan_to_num()",
)
q1.patch("You return the weights: mix the values with them (`weights @ value`).", "weights @ value", "weights")
q1.patch(
    "It fails when several heads come at once: turn only the last two dimensions of the keys, `key.transpose(-2, -1)`.",
    "key.transpose(-2, -1)",
    "key.permute(*reversed(range(key.ndim)))",
)
q1.patch(
    "The division by √d is missing. And when several heads come at once it fails: turn only the last two "
    "dimensions of the keys, `key.transpose(-2, -1)`.",
    "key.transpose(-2, -1) / math.sqrt(query.shape[-1])",
    "key.permute(*reversed(range(key.ndim)))",
)


# q2: groups of heads


def grouped(query, key, value, mask):
    """Let neighbouring query heads share a KV head."""
    shared = torch.arange(len(query)) // (len(query) // len(key))
    return attend(query, key[shared], value[shared], mask)


def heads_of(random, queries, keys, length=5, size=4):
    """Draw queries, keys, values and a causal mask."""
    return (
        numbers(random, queries, length, size),
        numbers(random, keys, length, size),
        numbers(random, keys, length, size),
        causal(length),
    )


q2 = Task(
    name="q2",
    title="Grouped-query attention",
    function="grouped_attention",
    right=grouped,
    ready_made=("scaled_dot_product_attention",),
    checks=(
        Check("gives two neighbours one KV head", lambda random: [heads_of(random, 4, 2)]),
        Check("works for groups of any size", lambda random: [heads_of(random, 9, 3), heads_of(random, 6, 3, size=9)]),
        Check("lets all share one", lambda random: [heads_of(random, 4, 1)]),
        Check("leaves every head its own where nothing is shared", lambda random: [heads_of(random, 3, 3)]),
    ),
    hint="Give each query head a key of its own first: `key.repeat_interleave(heads // kv_heads, dim=0)`.",
    points=2,
)
q2.patch(
    "The KV heads are taken in turn (0, 1, 0, 1): neighbours share one (0, 0, 1, 1). That is "
    "`repeat_interleave`, not `repeat`.",
    "// (len(query) // len(key))",
    "% len(key)",
)
q2.patch(
    "You divide the number of a head by the number of KV heads: divide it by the size of a group.",
    "(len(query) // len(key))",
    "len(key)",
)
q2.patch("All heads use the first KV head: each group has its own.", "// (len(query) // len(key))", "* 0")
q2.mistake(
    "You take the mean of the queries of a group: each keeps its own, so there are as many outputs as query heads."
)(lambda query, key, value, mask: attend(query.unflatten(0, (len(key), -1)).mean(1), key, value, mask))
q2.mistake("You take the mean of the KV heads: each group uses one of them, as it is.")(
    lambda query, key, value, mask: attend(query, key.mean(0, keepdim=True), value.mean(0, keepdim=True), mask)
)
q2.mistake("The groups are in the wrong order: the first query heads share the first KV head.")(
    lambda query, key, value, mask: grouped(query, key.flip(0), value.flip(0), mask)
)
q2.mistake("There are fewer KV heads than query heads, and you use them as they are: repeat each for its group.")(
    attend
)
q2.mistake("You repeat numbers or tokens, not heads: the heads are dimension 0.")(
    lambda query, key, value, mask: attend(
        query,
        key.repeat_interleave(len(query) // len(key), dim=1),
        value.repeat_interleave(len(query) // len(key), dim=1),
        mask,
    )
)
q2.mistake("The heads are laid side by side: return them apart, (heads, seq, d).")(
    lambda query, key, value, mask: grouped(query, key, value, mask).transpose(0, 1).flatten(1)
)
q2.patch(
    "The groups are right, and the division by √d is missing: see q1.",
    "attend(query",
    "attend(query * math.sqrt(query.shape[-1])",
)
q2.mistake("The groups are right, and the mask is not used: see q1.")(
    lambda query, key, value, mask: grouped(query, key, value, torch.ones_like(mask))
)


# q3: the induction score


def induction(weights, ids):
    """Return the mean share that goes to what followed the same token earlier."""
    found = []
    for now in range(len(ids)):
        places = [past + 1 for past in range(now) if ids[past] == ids[now]]
        if places:
            found.append(sum(weights[now, places].tolist()))
    return sum(found) / len(found) if found else 0.0


def pattern(random, length):
    """Draw causal weights."""
    return (numbers(random, length, length) * 1.5).masked_fill(~causal(length), -math.inf).softmax(-1)


def repeated(random, half):
    """Draw a text that is said twice."""
    ids = random.permutation(90)[:half]
    return pattern(random, 2 * half), torch.tensor([*ids, *ids])


def few_words(random, *counts):
    """Draw a text in which each word appears the given number of times, in any order."""
    ids = [word for word, count in zip(random.permutation(90), counts, strict=False) for _ in range(count)]
    return pattern(random, len(ids)), torch.tensor(random.permutation(ids))


def easy_pattern():
    """The example of the notebook."""
    weights = [[1.0, 0, 0, 0], [0.5, 0.5, 0, 0], [0.1, 0.8, 0.1, 0], [0.2, 0.1, 0.6, 0.1]]
    return torch.tensor(weights), torch.tensor([7, 8, 7, 8])


q3 = Task(
    name="q3",
    title="An induction score",
    function="induction",
    right=induction,
    checks=(
        Check("looks at what followed", lambda random: [easy_pattern()]),
        Check("measures a text that is said twice", lambda random: [repeated(random, 6), repeated(random, 8)]),
        Check(
            "adds up all earlier places",
            lambda random: [
                few_words(random, 4, 3, 2, 1),
                few_words(random, 3, 3, 2, 2, 1, 1),
                few_words(random, 5, 3),
            ],
        ),
        Check(
            "is 0 when nothing has come before",
            lambda random: [(pattern(random, 6), torch.tensor(random.permutation(50)[:6]))],
        ),
    ),
    hint="For each token: where did it appear before? Add 1 to these places, and add up the weights of its row there.",
    points=3,
)
q3.patch("You look at the earlier place of the same token: it is the place *after* it that counts.", "past + 1", "past")
q3.patch(
    "You look at the earlier places of the same token, and take their mean: it is the places *after* them that "
    "count, and the places of one token are added up.",
    "past + 1",
    "past",
    "found.append(sum(weights[now, places].tolist()))",
    "found += weights[now, places].tolist()",
)
q3.patch(
    "You look at what stood before the same token: it is what followed.",
    "past + 1",
    "past - 1",
    "weights[now, places]",
    "weights[now, [place for place in places if place >= 0]]",
)
q3.patch(
    "You take the mean over all tokens: count those only that have come before.",
    "len(found) if found else 0.0",
    "len(ids)",
)
q3.patch(
    "You also count a token where it appears for the first time: it has nothing to look back at. Compare with "
    "earlier tokens only.",
    "/ len(found)",
    "/ sum((ids == one).sum().item() > 1 for one in ids)",
)
q3.patch(
    "You use the last earlier place only: a token that has come twice has two places, and both shares count.",
    "now, places]",
    "now, places[-1:]]",
)
q3.patch(
    "You use the first earlier place only: a token that has come twice has two places, and both shares count.",
    "now, places]",
    "now, places[:1]]",
)
q3.patch(
    "You leave out the token that looks: in the ids 5 5 it is the second 5 that followed the first, so its share "
    "for itself counts.",
    "range(now)",
    "range(now - 1)",
)
q3.mistake("You take for granted that the second half repeats the first: look for the same token in `ids`.")(
    lambda weights, ids: weights.diagonal(-(len(ids) // 2 - 1))[1:].mean()
)
q3.mistake("Rows and columns are exchanged: the row is the token that looks, `weights[query, key]`.")(
    lambda weights, ids: induction(weights.T, ids)
)
q3.patch(
    "You add up over the tokens: take the mean, so that the score is between 0 and 1.",
    "sum(found) / len(found) if found else 0.0",
    "sum(found)",
)
q3.patch(
    "You take the mean over all places of all tokens: add up the places of one token first, then take the mean "
    "over the tokens.",
    "found.append(sum(weights[now, places].tolist()))",
    "found += weights[now, places].tolist()",
)
q3.patch("Without any repeated token you take the mean of nothing: return 0.", "else 0.0", "else math.nan")


# q4: what a head takes


def taken(weights, value):
    """Return the shares of the mix: weight × length of the value, each row divided by its sum."""
    amounts = weights * value.norm(dim=-1)[..., None, :]
    return amounts / amounts.sum(-1, keepdim=True)


def sink(random, length, *heads):
    """Draw weights that like the first token, whose value is short."""
    liked = numbers(random, *heads, length, length)
    liked[..., 0] += 2
    value = numbers(random, *heads, length, 4)
    value[..., 0, :] *= 0.2
    return liked.masked_fill(~causal(length), -math.inf).softmax(-1), value


q4 = Task(
    name="q4",
    title="What a head takes",
    function="taken",
    right=taken,
    checks=(
        Check(
            "multiplies by the length of the value",
            lambda random: [
                (torch.tensor([[0.8, 0.2]]), torch.tensor([[0.6, 0.8], [0.0, -4.0]])),
                (numbers(random, 4, 6).softmax(-1), numbers(random, 6, 5)),
            ],
        ),
        Check("lets a first token of short values shrink", lambda random: [sink(random, 7)]),
        Check("computes several heads at once", lambda random: [sink(random, 5, 3)]),
    ),
    hint="`value.norm(dim=-1)` is one length for each token that is looked at, so one for each column.",
)
q4.mistake(
    "These are the weights again: the length belongs to the token that is looked at, so a *column* is multiplied "
    "by it (`lengths[..., None, :]`)."
)(lambda weights, value: weights)
q4.patch(
    "You multiply by the length squared: it takes the root (`norm(dim=-1)`).",
    "value.norm(dim=-1)",
    "(value * value).sum(-1)",
)
q4.patch(
    "You add up the numbers without their squares: the length is the root of the sum of squares (`norm`).",
    "value.norm(dim=-1)",
    "value.abs().sum(-1)",
)
q4.patch(
    "You add up the numbers of a value, and those below 0 take away: the length is `norm(dim=-1)`.",
    "norm(dim=-1)",
    "sum(-1)",
)
q4.patch("The rows do not add up to 1: divide each by its sum.", " / amounts.sum(-1, keepdim=True)", "")
q4.patch(
    "With several heads the lengths need one more dimension: `value.norm(dim=-1)[..., None, :]` lines up with the "
    "columns of each head.",
    "[..., None, :]",
    "",
)
q4.patch(
    "The rows do not add up to 1: divide each by its sum. And with several heads the lengths need one more "
    "dimension, `[..., None, :]`.",
    "[..., None, :]",
    "",
    " / amounts.sum(-1, keepdim=True)",
    "",
)
q4.patch(
    "You make shares with a softmax: these are amounts already, so divide each row by its sum.",
    "amounts / amounts.sum(-1, keepdim=True)",
    "amounts.softmax(-1)",
)
q4.patch(
    "You divide by the sum of the columns: a row is what one token takes, so a row adds up to 1.", "sum(-1,", "sum(-2,"
)
q4.patch(
    "You divide by the sum of everything: each row adds up to 1 by itself (`keepdim=True`).", "sum(-1,", "sum((-2, -1),"
)
q4.mistake("You return the mix itself: here it is asked how large the part of each token in it is.")(
    lambda weights, value: weights @ value
)


TASKS = (q1, q2, q3, q4)
PROSE = (
    Prose(
        name="q5",
        title="A late mask, repaired",
        points=2,
        look_for="On paper it is the same: each weight is e^score over a sum, and dividing by the sum of the allowed ones "
        "takes the forbidden ones out of that sum, as −∞ does; so nothing leaks. In floating point it can fail: if a forbidden "
        "score is much larger, the allowed weights are rounded to 0 before the division, and 0/0 is no number.",
    ),
)
