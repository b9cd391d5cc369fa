"""Answers to exercise 11 as learners write them: right ones in several ways, and wrong ones with what they are told."""

import math

import numpy as np
import torch


def temperature_in_a_loop(logits, temperature):
    rows = logits.reshape(-1, logits.shape[-1]).tolist()
    if temperature == 0:
        new = [[value if value == max(row) else -math.inf for value in row] for row in rows]
    else:
        new = [[value / temperature for value in row] for row in rows]
    return torch.tensor(new).reshape(logits.shape)


def temperature_in_numpy(logits, temperature):
    values = logits.numpy().astype(np.float64)
    if temperature > 0:
        return values / temperature
    return np.where(values == values.max(-1, keepdims=True), values, -np.inf)


def temperature_by_scatter(logits, temperature):
    if temperature > 0:
        return logits * (1 / temperature)
    best = logits.argmax(-1, keepdim=True)
    return torch.full_like(logits, -torch.inf).scatter(-1, best, logits.gather(-1, best))


def temperature_in_place(logits, temperature):
    if temperature:
        logits /= temperature
        return logits
    return logits.masked_fill(logits < logits.amax(-1, keepdim=True), -torch.inf)


def top_k_by_scatter(logits, k):
    values, places = logits.topk(min(k, logits.size(-1)), dim=-1)
    return torch.full_like(logits, -torch.inf).scatter(-1, places, values)


def top_k_in_a_loop(logits, k):
    rows = logits.clone().view(-1, logits.shape[-1])
    for row in rows:
        for place in row.argsort(descending=True)[k:]:
            row[place] = -torch.inf
    return rows.view(logits.shape)


def top_k_in_numpy(logits, k):
    values = logits.double().numpy()
    ranks = (-values).argsort(-1).argsort(-1)
    return np.where(ranks < k, values, -np.inf)


def top_k_too_few(logits, k):
    out = logits.clone()
    out[out <= out.sort(descending=True).values[..., min(k, out.shape[-1]) - 1, None]] = -torch.inf
    return out


def top_k_too_many(logits, k):
    ordered = logits.sort(descending=True).values
    return torch.where(logits >= ordered[..., min(k, logits.shape[-1] - 1), None], logits, -torch.inf)


def top_k_smallest(logits, k):
    values, places = logits.topk(min(k, logits.shape[-1]), largest=False)
    return torch.full_like(logits, -torch.inf).scatter(-1, places, values)


def top_k_with_zeros(logits, k):
    values, places = logits.topk(min(k, logits.shape[-1]))
    return torch.zeros_like(logits).scatter(-1, places, values)


def top_k_of_the_batch(logits, k):
    bar = logits.flatten().sort(descending=True).values[min(k, logits.numel()) - 1]
    return logits.masked_fill(logits < bar, -torch.inf)


def top_p_in_a_loop(logits, p):
    out = torch.full_like(logits, -torch.inf)
    for row, new in zip(logits.view(-1, logits.shape[-1]), out.view(-1, logits.shape[-1]), strict=True):
        shares, total = row.softmax(-1), 0.0
        for place in shares.argsort(descending=True).tolist():
            new[place] = row[place]
            total += shares[place].item()
            if total >= p:
                break
    return out


def top_p_shifted(logits, p):
    ordered, places = logits.sort(descending=True)
    gone = ordered.softmax(-1).cumsum(-1) >= p
    gone = torch.cat([torch.zeros_like(gone[..., :1]), gone[..., :-1]], -1)
    return torch.full_like(logits, -torch.inf).scatter(-1, places, ordered.masked_fill(gone, -torch.inf))


def top_p_in_doubles(logits, p):
    shares = logits.double().softmax(-1)
    before = (shares.unsqueeze(-2) * (shares.unsqueeze(-2) > shares.unsqueeze(-1))).sum(-1)
    return torch.where(before < p, logits.double(), -torch.inf)


def top_p_drops_the_crossing(logits, p):
    ordered, places = logits.sort(descending=True)
    gone = ordered.softmax(-1).cumsum(-1) > p
    return torch.full_like(logits, -torch.inf).scatter(-1, places, ordered.masked_fill(gone, -torch.inf))


def top_p_of_the_tail(logits, p):
    out = torch.full_like(logits, -torch.inf)
    for row, new in zip(logits.view(-1, logits.shape[-1]), out.view(-1, logits.shape[-1]), strict=True):
        total = 0.0
        for place in row.argsort().tolist():
            if total < p:
                new[place] = row[place]
            total += row.softmax(-1)[place].item()
    return out


def top_p_in_the_order_of_the_vocabulary(logits, p):
    shares = torch.softmax(logits, dim=-1)
    return torch.where(torch.cumsum(shares, -1) - shares < p, logits, -torch.inf)


def top_p_stays_sorted(logits, p):
    ordered, _ = logits.sort(descending=True)
    shares = ordered.softmax(-1)
    ordered[shares.cumsum(-1) - shares >= p] = -torch.inf
    return ordered


def top_p_with_zeros(logits, p):
    found = top_p_in_a_loop(logits, p)
    found[found == -torch.inf] = 0
    return found


def min_p_in_numpy(logits, p):
    values = logits.numpy().astype(float)
    shares = np.exp(values - values.max(-1, keepdims=True))
    return np.where(shares >= p, values, -np.inf)


def min_p_by_logs(logits, p):
    bar = logits.max(dim=-1, keepdim=True).values + (math.log(p) if p else -math.inf)
    return logits.masked_fill(logits < bar, float("-inf"))


def min_p_in_a_loop(logits, p):
    rows = [row for row in logits.clone().reshape(-1, logits.shape[-1])]
    for row in rows:
        shares = row.softmax(0)
        row[shares < p * shares.max()] = -torch.inf
    return torch.stack(rows).reshape(logits.shape)


def nothing(logits, setting):
    logits.softmax(-1)


RIGHT = {
    "q1": [temperature_in_a_loop, temperature_in_numpy, temperature_by_scatter],
    "q2": [top_k_by_scatter, top_k_in_a_loop, top_k_in_numpy],
    "q3": [top_p_in_a_loop, top_p_shifted, top_p_in_doubles],
    "q4": [min_p_in_numpy, min_p_by_logs, min_p_in_a_loop],
}
WRONG = {
    "q1": [
        ("You multiply by the temperature", lambda logits, temperature: temperature * logits),
        ("You divide the probabilities", lambda logits, temperature: torch.softmax(logits, -1) / temperature),
        ("You return probabilities", lambda logits, t: temperature_by_scatter(logits, t).softmax(-1)),
        ("At 0 you divide by nothing", lambda logits, temperature: logits / temperature),
        ("At 0 you leave the logits alone", lambda logits, t: logits / t if t > 0 else logits),
        ("best token of the whole batch", lambda x, t: x / t if t else torch.where(x == x.max(), x, -torch.inf)),
        ("At 0 the others get a logit of 0", lambda x, t: x / t if t else x * (x == x.amax(-1, keepdim=True))),
        ("returns nothing", nothing),
        ("changes what it is given", temperature_in_place),
    ],
    "q2": [
        ("Removed tokens get a logit of 0", top_k_with_zeros),
        ("You keep one token too few", top_k_too_few),
        ("You keep one token too many", top_k_too_many),
        ("You keep the k smallest", top_k_smallest),
        ("A batch is cut as one row", top_k_of_the_batch),
        ("topk` raises", lambda logits, k: torch.where(logits < logits.topk(k)[0][..., -1:], -torch.inf, logits)),
        ("You return probabilities", lambda logits, k: top_k_in_a_loop(logits, k).softmax(-1)),
    ],
    "q3": [
        ("You drop the token that crosses p", top_p_drops_the_crossing),
        ("You keep the tokens below p", top_p_of_the_tail),
        ("You add up in the order of the vocabulary", top_p_in_the_order_of_the_vocabulary),
        ("The result is in sorted order", top_p_stays_sorted),
        ("the sum that must reach p", lambda x, p: torch.where(x.softmax(-1) >= p, x, -torch.inf)),
        ("Removed tokens get a logit of 0", top_p_with_zeros),
    ],
    "q4": [
        ("You compare with min-p itself", lambda x, p: x.masked_fill(x.softmax(-1) < p, -torch.inf)),
        ("You compare logits", lambda x, p: x.masked_fill(x < p * x.max(-1, keepdim=True)[0], -torch.inf)),
        ("the largest probability of the batch", lambda x, p: x.masked_fill(x.softmax(-1) < p * x.softmax(-1).max(), -torch.inf)),
        ("You keep the tokens below the bar", lambda x, p: torch.where(x.softmax(-1) < p * x.softmax(-1).amax(-1, True), x, -torch.inf)),
        ("Removed tokens get a logit of 0", lambda x, p: min_p_in_a_loop(x, p).nan_to_num(neginf=0)),
        ("You return probabilities", lambda x, p: min_p_by_logs(x, p).softmax(-1)),
    ],
}
