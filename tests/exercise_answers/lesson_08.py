"""Answers to exercise 08 as learners write them: right ones in several ways, and wrong ones with what they are told."""

import math

import numpy as np
import torch


def attention_of_torch(query, key, value, mask):
    return torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)


def attention_in_numpy(query, key, value, mask):
    query, key, value = (x.numpy().astype(np.float64) for x in (query, key, value))
    scores = np.where(mask.numpy(), query @ np.swapaxes(key, -1, -2) / np.sqrt(key.shape[-1]), -np.inf)
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True) @ value


def attention_by_powers(query, key, value, mask):
    powers = torch.exp(torch.einsum("...qd,...kd->...qk", query, key) / query.shape[-1] ** 0.5) * mask
    return torch.einsum("...qk,...kd->...qd", powers / powers.sum(-1, keepdim=True), value)


def attention_late_and_repaired(query, key, value, mask):
    weights = (query @ key.mT / math.sqrt(query.size(-1))).softmax(dim=-1) * mask
    return weights / weights.sum(-1, keepdim=True) @ value


def attention_late(query, key, value, mask):
    weights = (query @ key.mT / math.sqrt(query.size(-1))).softmax(dim=-1)
    weights[..., ~mask] = 0
    return weights @ value


def attention_scaled(query, key, value, mask, divisor):
    scores = query @ key.mT / divisor
    scores[..., ~mask] = -torch.inf
    return torch.softmax(scores, dim=-1) @ value


def attention_with_zeros(query, key, value, mask):
    scores = query @ key.mT / query.shape[-1] ** 0.5
    scores[..., ~mask] = 0
    return torch.softmax(scores, dim=-1) @ value


def attention_in_place(query, key, value, mask):
    query /= query.shape[-1] ** 0.5
    return (query @ key.mT).masked_fill(mask.logical_not(), -torch.inf).softmax(-1) @ value


def attention_of_two_dimensions(query, key, value, mask):
    scores = torch.einsum("qd,kd->qk", query, key) / query.shape[-1] ** 0.5
    return scores.masked_fill(~mask, -torch.inf).softmax(-1) @ value


def groups_in_a_loop(query, key, value, mask):
    group = query.shape[0] // key.shape[0]
    heads = [
        attention_of_torch(query[head], key[head // group], value[head // group], mask) for head in range(len(query))
    ]
    return torch.stack(heads)


def groups_of_torch(query, key, value, mask):
    return torch.nn.functional.scaled_dot_product_attention(query[None], key[None], value[None], mask, enable_gqa=True)[
        0
    ]


def groups_by_shape(query, key, value, mask):
    in_groups = query.double().view(len(key), -1, *query.shape[1:])
    return attention_by_powers(in_groups, key[:, None].double(), value[:, None].double(), mask).flatten(0, 1)


def groups_in_turn(query, key, value, mask):
    return torch.stack(
        [
            attention_of_torch(query[head], key[head % len(key)], value[head % len(key)], mask)
            for head in range(len(query))
        ]
    )


def groups_by_count(query, key, value, mask):
    return torch.stack(
        [
            attention_of_torch(query[head], key[head // len(key)], value[head // len(key)], mask)
            for head in range(len(query))
        ]
    )


def groups_first(query, key, value, mask):
    return torch.stack([attention_of_torch(one, key[0], value[0], mask) for one in query])


def groups_means(query, key, value, mask):
    in_groups = query.view(len(key), -1, *query.shape[1:])
    return attention_of_torch(in_groups.mean(1), key, value, mask)


def groups_unscaled(query, key, value, mask):
    group = len(query) // len(key)
    return attention_scaled(query, key.repeat_interleave(group, 0), value.repeat_interleave(group, 0), mask, 1)


def induction_vectorised(weights, ids):
    same = (ids[:, None] == ids).tril(-1)
    follows = torch.zeros_like(same)
    follows[:, 1:] = same[:, :-1]
    asked = same.any(1)
    return (weights * follows).sum(1)[asked].mean() if asked.any() else 0


def induction_in_numpy(weights, ids):
    weights, ids = weights.numpy().astype(float), ids.tolist()
    found = []
    for now, token in enumerate(ids):
        places = [place + 1 for place, other in enumerate(ids[:now]) if other == token]
        if places:
            found.append(weights[now, places].sum())
    return float(np.mean(found)) if found else 0.0


def induction_with_a_dict(weights, ids):
    seen, total, count = {}, 0.0, 0
    for now, token in enumerate(ids.tolist()):
        places = seen.setdefault(token, [])
        if places:
            total += weights[now, [place + 1 for place in places]].sum()
            count += 1
        places.append(now)
    return total / max(count, 1)


def induction_of_one_place(weights, ids):
    seen, found = {}, []
    for now, token in enumerate(ids.tolist()):
        if token in seen:
            found.append(weights[now, seen[token] + 1].item())
        seen[token] = now
    return np.mean(found) if found else 0.0


def induction_of_the_same(weights, ids):
    same = (ids[:, None] == ids).tril(-1)
    asked = same.any(1)
    return (weights * same).sum(1)[asked].mean() if asked.any() else 0


def induction_over_all(weights, ids):
    same = (ids[:, None] == ids).tril(-1)
    return (weights[:, 1:] * same[:, :-1]).sum(1).mean()


def induction_over_those_that_repeat(weights, ids):
    same = ids[:, None] == ids
    asked = same.sum(1) > 1
    return (weights[:, 1:] * same.tril(-1)[:, :-1]).sum(1)[asked].mean() if asked.any() else 0


def induction_strictly_back(weights, ids):
    same = (ids[:, None] == ids).tril(-1)
    follows = torch.zeros_like(same)
    follows[:, 1:] = same[:, :-1]
    follows = follows.tril(-1)
    return (weights * follows).sum(1)[follows.any(1)].mean() if follows.any() else 0


def induction_of_halves(weights, ids):
    half = len(ids) // 2
    return sum(weights[half + place, place + 1].item() for place in range(half)) / half


def induction_of_nothing(weights, ids):
    same = (ids[:, None] == ids).tril(-1)
    return (weights[:, 1:] * same[:, :-1]).sum(1)[same.any(1)].mean()


def induction_over_places(weights, ids):
    same = (ids[:, None] == ids).tril(-1)[:, :-1]
    return weights[:, 1:][same].mean() if same.any() else 0


def taken_in_loops(weights, value):
    if weights.ndim == 3:
        return torch.stack([taken_in_loops(*head) for head in zip(weights, value, strict=True)])
    lengths = [math.sqrt(sum(number**2 for number in row)) for row in value.tolist()]
    amounts = [[weight * length for weight, length in zip(row, lengths, strict=True)] for row in weights.tolist()]
    return torch.tensor([[amount / sum(row) for amount in row] for row in amounts])


def taken_in_numpy(weights, value):
    amounts = weights.numpy().astype(float) * np.linalg.norm(value.numpy(), axis=-1)[..., np.newaxis, :]
    return amounts / amounts.sum(axis=-1, keepdims=True)


def taken_from_parts(weights, value):
    parts = (weights.unsqueeze(-1) * value.unsqueeze(-3)).norm(dim=-1)
    return torch.nn.functional.normalize(parts, p=1, dim=-1)


def taken_amounts(weights, value):
    return (weights.unsqueeze(-1) * value.unsqueeze(-3)).norm(dim=-1)


def taken_by_rows(weights, value):
    lengths = torch.linalg.vector_norm(value, dim=-1)[..., : weights.shape[-2]]
    amounts = weights * lengths.unsqueeze(-1)
    return amounts / amounts.sum(-1, keepdim=True)


def nothing(*arguments):
    arguments[0].softmax(-1)


RIGHT = {
    "q1": [attention_of_torch, attention_in_numpy, attention_by_powers, attention_late_and_repaired],
    "q2": [groups_in_a_loop, groups_of_torch, groups_by_shape],
    "q3": [induction_vectorised, induction_in_numpy, induction_with_a_dict],
    "q4": [taken_in_loops, taken_in_numpy, taken_from_parts],
}
WRONG = {
    "q1": [
        ("The division by √d is missing", lambda q, k, v, mask: attention_scaled(q, k, v, mask, 1)),
        ("You divide by d:", lambda q, k, v, mask: attention_scaled(q, k, v, mask, q.shape[-1])),
        ("You multiply by √d", lambda q, k, v, mask: attention_scaled(q, k, v, mask, q.shape[-1] ** -0.5)),
        ("root of the number of tokens", lambda q, k, v, mask: attention_scaled(q, k, v, mask, k.shape[-2] ** 0.5)),
        ("size of the values", lambda q, k, v, mask: attention_scaled(q, k, v, mask, v.shape[-1] ** 0.5)),
        ("A forbidden score gets 0", attention_with_zeros),
        ("after the softmax: later tokens", attention_late),
        ("The mask is not used", lambda q, k, v, mask: attention_of_torch(q, k, v, None)),
        (
            "The mask is the wrong way round",
            lambda q, k, v, m: (q @ k.mT / q.shape[-1] ** 0.5).masked_fill(m, -torch.inf).softmax(-1) @ v,
        ),
        (
            "You return the weights",
            lambda q, k, v, m: (q @ k.mT / q.shape[-1] ** 0.5).masked_fill(~m, -torch.inf).softmax(-1),
        ),
        ("It fails when several heads come at once", attention_of_two_dimensions),
        ("changes what it is given", attention_in_place),
        ("returns nothing", nothing),
    ],
    "q2": [
        ("The KV heads are taken in turn", groups_in_turn),
        ("by the number of KV heads", groups_by_count),
        ("All heads use the first KV head", groups_first),
        ("the mean of the queries", groups_means),
        (
            "you use them as they are",
            lambda q, k, v, m: (q @ k.mT / q.shape[-1] ** 0.5).masked_fill(~m, -torch.inf).softmax(-1) @ v,
        ),
        ("the division by √d is missing", groups_unscaled),
        ("the mask is not used", lambda q, k, v, m: groups_in_a_loop(q, k, v, None)),
        ("side by side", lambda q, k, v, m: torch.cat([*groups_in_a_loop(q, k, v, m)], dim=-1)),
    ],
    "q3": [
        ("the earlier place of the same token", induction_of_the_same),
        ("You take the mean over all tokens", induction_over_all),
        ("where it appears for the first time", induction_over_those_that_repeat),
        ("You use the last earlier place only", induction_of_one_place),
        ("You leave out the token that looks", induction_strictly_back),
        ("the second half repeats the first", induction_of_halves),
        ("Rows and columns are exchanged", lambda weights, ids: induction_vectorised(weights.mT, ids)),
        ("mean of nothing", induction_of_nothing),
        ("You take the mean over all places", induction_over_places),
        ("between 0 and 1", lambda weights, ids: len(ids) * induction_over_all(weights, ids)),
    ],
    "q4": [
        ("These are the weights again", taken_by_rows),
        (
            "length squared",
            lambda w, v: torch.nn.functional.normalize(w * v.square().sum(-1).unsqueeze(-2), p=1, dim=-1),
        ),
        ("without their squares", lambda w, v: taken_from_parts(w, v.abs().sum(-1, keepdim=True))),
        (
            "those below 0 take away",
            lambda w, v: (w * v.sum(-1).unsqueeze(-2)) / (w * v.sum(-1).unsqueeze(-2)).sum(-1, keepdim=True),
        ),
        ("divide each by its sum", taken_amounts),
        (
            "the lengths need one more dimension",
            lambda w, v: torch.nn.functional.normalize(w * v.norm(dim=-1), p=1, dim=-1),
        ),
        ("with a softmax", lambda w, v: torch.softmax(taken_amounts(w, v), -1)),
        (
            "the sum of everything",
            lambda w, v: taken_amounts(w, v) / taken_amounts(w, v).sum(dim=(-1, -2), keepdim=True),
        ),
        ("You return the mix itself", lambda w, v: torch.einsum("...qk,...kd->...qd", w, v)),
    ],
}
