"""Answers to exercise 06 as learners write them: right ones in several ways, and wrong ones with what they are told."""

import math

import numpy as np
import torch
import torch.nn.functional as F

from course_utils.experiments.losses import cross_entropy


def labels_in_a_loop(ids, counts):
    labels = []
    for row, keep in zip(ids.tolist(), counts.tolist(), strict=True):
        labels.append([row[i + 1] if i + 1 < len(row) and keep[i + 1] else -100 for i in range(len(row))])
    return labels


def labels_by_roll(ids, counts):
    labels = torch.where(counts, ids, -100).roll(-1, dims=-1)
    labels[:, -1] = -100
    return labels


def labels_by_pad(ids, counts):
    return F.pad(torch.where(counts, ids, torch.tensor(-100))[:, 1:], (0, 1), value=-100)


def labels_in_numpy(ids, counts):
    shifted = np.where(counts.numpy(), ids.numpy(), -100)[:, 1:]
    return np.concatenate([shifted, np.full((len(shifted), 1), -100)], axis=1)


def labels_without_shift(ids, counts):
    labels = ids.clone()
    labels[~counts] = -100
    return labels


def labels_to_the_right(ids, counts):
    labels = torch.full_like(ids, -100)
    labels[:, 1:] = torch.where(counts, ids, -100)[:, :-1]
    return labels


def labels_masked_by_place(ids, counts):
    labels = torch.cat([ids[:, 1:], torch.full((len(ids), 1), -100)], dim=1)
    labels[~counts] = -100
    return labels


def labels_in_place(ids, counts):
    ids[~counts] = -100
    ids[:, :-1] = ids[:, 1:].clone()
    ids[:, -1] = -100
    return ids


def hide_in_a_loop(ids, special, draws, random_ids, mask_id):
    shown, labels = ids.clone(), torch.full(ids.shape, -100)
    for row in range(ids.shape[0]):
        for place in range(ids.shape[1]):
            draw = draws[row, place].item()
            if special[row, place] or draw >= 0.15:
                continue
            labels[row, place] = ids[row, place]
            if draw < 0.15 * 0.8:
                shown[row, place] = mask_id
            elif draw < 0.15 * 0.9:
                shown[row, place] = random_ids[row, place]
    return shown, labels


def hide_by_index(ids, special, draws, random_ids, mask_id):
    shown, labels = ids.clone(), ids.clone()
    chosen = torch.logical_and(draws < 0.15, torch.logical_not(special))
    labels[~chosen] = -100
    shown[chosen & (draws < 0.12)] = mask_id
    swapped = chosen & (draws >= 0.12) & (draws < 0.135)
    shown[swapped] = random_ids[swapped]
    return [shown, labels]


def hide_in_numpy(ids, special, draws, random_ids, mask_id):
    ids, special, draws, random_ids = (each.numpy() for each in (ids, special, draws, random_ids))
    chosen = (draws < 0.15) & ~special
    cases = [~chosen, draws < 0.12, draws < 0.135]
    return np.select(cases, [ids, np.full_like(ids, mask_id), random_ids], ids), np.where(chosen, ids, -100)


def _hide(ids, chosen, draws, random_ids, mask_id, masks=0.12, randoms=0.135):
    shown = torch.where(draws < masks, mask_id, torch.where(draws < randoms, random_ids, ids))
    return torch.where(chosen, shown, ids), torch.where(chosen, ids, -100)


def hide_specials_too(ids, special, draws, random_ids, mask_id):
    return _hide(ids, draws < 0.15, draws, random_ids, mask_id)


def hide_labels_as_shown(ids, special, draws, random_ids, mask_id):
    chosen = (draws < 0.15) & ~special
    shown, _ = _hide(ids, chosen, draws, random_ids, mask_id)
    return shown, torch.where(chosen, shown, -100)


def hide_labels_everywhere(ids, special, draws, random_ids, mask_id):
    return hide_by_index(ids, special, draws, random_ids, mask_id)[0], ids


def hide_labels_at_masks(ids, special, draws, random_ids, mask_id):
    shown, _ = hide_by_index(ids, special, draws, random_ids, mask_id)
    return shown, torch.where(shown == mask_id, ids, -100)


def hide_labels_at_changes(ids, special, draws, random_ids, mask_id):
    shown, labels = hide_in_a_loop(ids, special, draws, random_ids, mask_id)
    labels[shown == ids] = -100
    return shown, labels


def hide_labels_turned(ids, special, draws, random_ids, mask_id):
    chosen = (draws < 0.15) & ~special
    return _hide(ids, chosen, draws, random_ids, mask_id)[0], ids.masked_fill(chosen, -100)


def hide_in_place(ids, special, draws, random_ids, mask_id):
    chosen = (draws < 0.15) & ~special
    labels = torch.where(chosen, ids, -100)
    ids[chosen & (draws < 0.135)] = random_ids[chosen & (draws < 0.135)]
    ids[chosen & (draws < 0.12)] = mask_id
    return ids, labels


def hide_random_last(ids, special, draws, random_ids, mask_id):
    shown, labels = ids.clone(), torch.full_like(ids, -100)
    chosen = (draws < 0.15) & ~special
    labels[chosen] = ids[chosen]
    shown[chosen & (draws < 0.12)] = mask_id
    swapped = chosen & (draws >= 0.135)
    shown[swapped] = random_ids[swapped]
    return shown, labels


def with_borders(masks, randoms):
    def hide(ids, special, draws, random_ids, mask_id):
        return _hide(ids, (draws < 0.15) & ~special, draws, random_ids, mask_id, masks, randoms)

    return hide


def loss_in_a_loop(logits, labels):
    found = []
    for row, wanted in zip(logits.double(), labels, strict=True):
        for scores, label in zip(row, wanted.tolist(), strict=True):
            if label != -100:
                found.append((torch.logsumexp(scores, 0) - scores[label]).item())
    return sum(found) / len(found)


def loss_by_torch(logits, labels):
    return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), labels.reshape(-1))


def loss_by_mask(logits, labels):
    asked = (labels != -100).float()
    picked = logits.log_softmax(-1).gather(-1, labels.clamp(min=0)[..., None])[..., 0]
    return -(picked * asked).sum() / asked.sum()


def loss_in_numpy(logits, labels):
    keep = labels.numpy() != -100
    scores, wanted = logits.numpy().astype(np.float64)[keep], labels.numpy()[keep]
    scores = scores - scores.max(-1, keepdims=True)
    return float((np.log(np.exp(scores).sum(-1)) - scores[np.arange(len(wanted)), wanted]).mean())


def _log_p(logits, labels):
    keep = labels != -100
    return logits[keep].log_softmax(-1)[torch.arange(int(keep.sum())), labels[keep]]


def loss_over_all(logits, labels):
    flat = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none", ignore_index=-100)
    return flat.mean()


def loss_of_rows(logits, labels):
    return torch.stack([F.cross_entropy(row, wanted) for row, wanted in zip(logits, labels, strict=True)]).mean()


def loss_with_minus_100(logits, labels):
    log_p = logits.log_softmax(-1)
    batch, seq = labels.shape
    return -log_p[
        torch.arange(batch)[:, None], torch.arange(seq), (labels + logits.shape[-1]) % logits.shape[-1]
    ].mean()


def loss_with_zero(logits, labels):
    labels = torch.where(labels == -100, 0, labels)
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten())


def loss_shifted(logits, labels):
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())


def loss_with_log_of_softmax(logits, labels):
    keep = labels != -100
    shares = torch.softmax(logits[keep], -1)
    return -torch.log(shares[torch.arange(len(shares)), labels[keep]]).mean()


def loss_over_the_text(logits, labels):
    keep = labels != -100
    return -logits.log_softmax(1)[keep][torch.arange(int(keep.sum())), labels[keep]].mean()


def loss_of_raw_logits(logits, labels):
    keep = labels != -100
    return -logits[keep][torch.arange(int(keep.sum())), labels[keep]].mean()


def lora_of_a_new_weight(inputs, weight, a, b, alpha):
    return F.linear(inputs, weight + alpha / len(a) * b @ a)


def lora_in_two_steps(inputs, weight, a, b, alpha):
    rank = b.shape[1]
    return F.linear(inputs, weight) + F.linear(F.linear(inputs, a), b).mul(alpha).div(rank)


def lora_by_einsum(inputs, weight, a, b, alpha):
    inputs, weight, a, b = inputs.double(), weight.double(), a.double(), b.double()
    return torch.einsum("...i,oi->...o", inputs, weight) + torch.einsum(
        "...i,ri,or->...o", inputs, a, b
    ) * alpha / a.size(0)


def _lora(scale):
    return lambda x, w, a, b, alpha: F.linear(x, w) + F.linear(F.linear(x, a), b) * scale(alpha, a)


def loss_by_the_course(logits, labels):
    return cross_entropy(logits, labels)


RIGHT = {
    "q1": [labels_in_a_loop, labels_by_roll, labels_by_pad, labels_in_numpy],
    "q2": [hide_in_a_loop, hide_by_index, hide_in_numpy],
    "q3": [loss_in_a_loop, loss_by_torch, loss_by_mask, loss_in_numpy, loss_by_the_course],
    "q4": [lora_of_a_new_weight, lora_in_two_steps, lora_by_einsum],
}
WRONG = {
    "q1": [
        ("You forget the shift", labels_without_shift),
        ("to the wrong side", labels_to_the_right),
        ("asks for the first token (", lambda ids, counts: torch.where(counts, ids, -100).roll(-1, 1)),
        (
            "the first token of the next row",
            lambda ids, c: torch.cat([torch.where(c, ids, -100).flatten()[1:], torch.tensor([-100])]).view(ids.shape),
        ),
        ("ask it of the label", labels_masked_by_place),
        ("You ignore `counts`", lambda ids, counts: F.pad(ids[:, 1:], (0, 1), value=-100)),
        ("You leave out what counts", lambda ids, counts: labels_by_pad(ids, ~counts)),
        ("one position too short", lambda ids, counts: torch.where(counts, ids, -100)[:, 1:]),
        ("0 is a token", lambda ids, counts: F.pad((ids * counts)[:, 1:], (0, 1))),
        ("changes what it is given", labels_in_place),
    ],
    "q2": [
        ("You hide special tokens", hide_specials_too),
        ("Your labels hold what is shown", hide_labels_as_shown),
        ("You ask for every token", hide_labels_everywhere),
        ("only where there is a mask", hide_labels_at_masks),
        ("only where the text has changed", hide_labels_at_changes),
        ("the tokens that were not chosen", hide_labels_turned),
        ("You mask everything that is chosen", with_borders(0.15, 0.15)),
        ("as it is: only draws", with_borders(0.12, 0.15)),
        ("You never show a random token", with_borders(0.12, 0.12)),
        ("You mask everything that is chosen", with_borders(0.8, 0.9)),
        ("random and unchanged the wrong way round", hide_random_last),
        ("changes what it is given", hide_in_place),
    ],
    "q3": [
        ("the wrong sign", lambda logits, labels: _log_p(logits, labels).mean()),
        ("Your loss is in bits", lambda logits, labels: -_log_p(logits, labels).mean() / math.log(2)),
        ("You take the mean of −p", lambda logits, labels: -_log_p(logits, labels).exp().mean()),
        ("You return the perplexity", lambda logits, labels: (-_log_p(logits, labels).mean()).exp()),
        ("−ln of the mean probability", lambda logits, labels: -_log_p(logits, labels).exp().mean().log()),
        ("You take the sum", lambda logits, labels: -_log_p(logits, labels).sum()),
        ("the number of all positions", loss_over_all),
        ("the mean of each row first", loss_of_rows),
        ("counted from its end", loss_with_minus_100),
        ("for token 0", loss_with_zero),
        ("You shift again", loss_shifted),
        ("goes over the positions", loss_over_the_text),
        ("the logits as they are", loss_of_raw_logits),
        ("not the log of `softmax`", loss_with_log_of_softmax),
    ],
    "q4": [
        ("You leave out the scale", _lora(lambda alpha, a: 1)),
        ("You multiply by alpha:", _lora(lambda alpha, a: alpha)),
        ("upside down", _lora(lambda alpha, a: len(a) / alpha)),
        ("You divide by the wrong size", _lora(lambda alpha, a: alpha / a.size(-1))),
        ("the square root of the rank", _lora(lambda alpha, a: alpha / math.sqrt(len(a)))),
        ("the correction alone", lambda x, w, a, b, alpha: alpha / len(a) * F.linear(x, b @ a)),
        ("the correction is missing", lambda x, w, a, b, alpha: F.linear(x, w)),
        ("You scale the layer's own output", lambda x, w, a, b, alpha: F.linear(x, w + b @ a) * alpha / len(a)),
        ("You forget to transpose", lambda x, w, a, b, alpha: x @ w + F.linear(x, b @ a) * alpha / len(a)),
        ("The shapes do not fit", lambda x, w, a, b, alpha: F.linear(x, w) + x @ (a @ b) * alpha / len(a)),
        ("the wrong way round", lambda x, w, a, b, alpha: F.linear(x, w) + alpha / len(a) * (x @ (b @ a))),
    ],
}
