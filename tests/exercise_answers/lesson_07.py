"""Answers to exercise 07 as learners write them: right ones in several ways, and wrong ones with what they are told."""

import numpy as np
import torch


def encoder_in_loops(attention_mask):
    return [[[bool(key) for key in text] for _ in text] for text in attention_mask]


def encoder_by_repeat(attention_mask):
    return (attention_mask == 1).unsqueeze(1).repeat(1, attention_mask.size(1), 1)


def encoder_in_numpy(attention_mask):
    values = attention_mask.numpy()
    return np.stack([np.tile(row, (len(row), 1)) for row in values])


def encoder_first_text(attention_mask):
    return (attention_mask[0] == 1).expand(*attention_mask.shape, -1)


def encoder_in_place(attention_mask):
    attention_mask -= 1
    return (attention_mask == 0).unsqueeze(1).repeat(1, attention_mask.size(1), 1)


def encoder_of_lengths(attention_mask):
    lengths, size = attention_mask.sum(1), attention_mask.shape[1]
    mask = torch.zeros(len(lengths), size, size, dtype=torch.bool)
    for text, length in enumerate(lengths):
        mask[text, :, :length] = True
    return mask


def decoder_in_loops(attention_mask, new):
    keys = attention_mask.shape[1]
    return [
        [[key <= query and bool(text[key]) for key in range(keys)] for query in range(keys - new, keys)]
        for text in attention_mask
    ]


def decoder_by_positions(attention_mask, new):
    places = torch.arange(attention_mask.shape[1])
    back = places <= places[-new:].unsqueeze(1)
    return back * attention_mask.unsqueeze(1)


def decoder_cut(attention_mask, new):
    keys = attention_mask.shape[1]
    square = torch.ones(keys, keys, dtype=torch.bool).tril()
    return (square & attention_mask[:, None].bool())[:, -new:]


def decoder_first_rows(attention_mask, new):
    keys = attention_mask.shape[1]
    return (torch.ones(keys, keys, dtype=torch.bool).tril() & attention_mask[:, None].bool())[:, :new]


def decoder_strict(attention_mask, new):
    places = torch.arange(attention_mask.shape[1])
    return (places < places[-new:].unsqueeze(1)) & attention_mask.unsqueeze(1).bool()


def decoder_turned(attention_mask, new):
    places = torch.arange(attention_mask.shape[1])
    return (places >= places[-new:].unsqueeze(1)) & attention_mask.unsqueeze(1).bool()


def cross_in_loops(source_mask, target_mask):
    return [
        [[bool(key) for key in source] for _ in target] for source, target in zip(source_mask, target_mask, strict=True)
    ]


def cross_by_product(source_mask, target_mask):
    return torch.ones_like(target_mask)[:, :, None] @ source_mask[:, None, :] == 1


def cross_in_numpy(source_mask, target_mask):
    return np.repeat(source_mask.numpy().astype(bool)[:, None], target_mask.shape[1], axis=1)


def cross_triangle(source_mask, target_mask):
    shape = target_mask.shape[1], source_mask.shape[1]
    return torch.ones(shape).tril().bool() & source_mask.bool().unsqueeze(1)


def reach_by_sets(mask, replaced, layers):
    found = {replaced}
    for _ in range(layers):
        found |= {query for query in range(len(mask)) if any(mask[query, key] for key in found)}
    return sorted(found)


def reach_by_powers(mask, replaced, layers):
    step = mask.double() + torch.eye(len(mask), dtype=torch.float64)
    return torch.where(torch.linalg.matrix_power(step, layers)[:, replaced] > 0)[0]


def reach_in_numpy(mask, replaced, layers):
    rows, found = mask.numpy(), np.arange(len(mask)) == replaced
    for _ in range(layers):
        found = found | (rows @ found)
    return np.flatnonzero(found).tolist()


def reach_of_a_row(mask, replaced, layers):
    found = {replaced}
    for _ in range(layers):
        found |= {key for key in range(len(mask)) if any(mask[query, key] for query in found)}
    return sorted(found)


def reach_once(mask, replaced, layers):
    return [query for query in range(len(mask)) if query == replaced or (layers and mask[query, replaced])]


def reach_at_once(mask, replaced, layers):
    found = [query == replaced for query in range(len(mask))]
    for _ in range(layers):
        for query in range(len(mask)):
            if any(mask[query, key] and found[key] for key in range(len(mask))):
                found[query] = True
    return [place for place, is_changed in enumerate(found) if is_changed]


def reach_without_residual(mask, replaced, layers):
    found = {replaced}
    for _ in range(layers):
        found = {query for query in range(len(mask)) if any(mask[query, key] for key in found)}
    return sorted(found)


def reach_to_the_end(mask, replaced, layers):
    found, size = {replaced}, 0
    while len(found) > size:
        size = len(found)
        found |= {query for query in range(len(mask)) if any(mask[query, key] for key in found)}
    return sorted(found)


def nothing(*arguments):
    torch.ones(3, 3).tril()


RIGHT = {
    "q1": [encoder_in_loops, encoder_by_repeat, encoder_in_numpy],
    "q2": [decoder_in_loops, decoder_by_positions, decoder_cut],
    "q3": [cross_in_loops, cross_by_product, cross_in_numpy],
    "q4": [reach_by_sets, reach_by_powers, reach_in_numpy],
}
WRONG = {
    "q1": [
        ("You hide the rows of the padding", lambda mask: mask.unsqueeze(2).repeat(1, 1, mask.size(1)) > 0),
        ("You empty the rows of the padding as well", lambda mask: mask.unsqueeze(2) * mask.unsqueeze(1) > 0),
        ("It is the wrong way round", lambda mask: (mask == 0).unsqueeze(1).repeat(1, mask.size(1), 1)),
        ("The padding is looked at", lambda mask: torch.ones(len(mask), mask.size(1), mask.size(1)).bool()),
        ("added to the scores", lambda mask: mask.log().unsqueeze(1).repeat(1, mask.size(1), 1)),
        ("take that many from the left", encoder_of_lengths),
        ("that is a decoder", lambda mask: torch.tril(mask.unsqueeze(1).repeat(1, mask.size(1), 1)).bool()),
        ("All texts get the padding of the first one", encoder_first_text),
        ("a single row", lambda mask: mask.bool().unsqueeze(1)),
        ("changes what it is given", encoder_in_place),
        ("returns nothing", nothing),
    ],
    "q2": [
        ("you take them for the first", decoder_first_rows),
        ("You return a row for every key", lambda mask, new: decoder_cut(mask, mask.shape[1])),
        ("A token cannot look at itself", decoder_strict),
        ("It looks ahead", decoder_turned),
        ("The padding is looked at", lambda mask, new: decoder_cut(torch.ones_like(mask), new)),
        ("hide the tokens ahead, too", lambda mask, new: encoder_by_repeat(mask)[:, -new:]),
        ("both must be true", lambda mask, new: decoder_cut(torch.ones_like(mask), new) | mask[:, None].bool()),
        ("It is the wrong way round", lambda mask, new: ~decoder_cut(mask, new)),
    ],
    "q3": [
        ("Rows and columns are exchanged", lambda source, target: cross_by_product(source, target).mT),
        ("the source is there from the start", cross_triangle),
        ("You hide the padding of the target", lambda s, t: (t == 1)[:, :, None].repeat(1, 1, s.shape[1])),
        ("You empty the rows of the target's padding", lambda s, t: t[:, :, None] * s[:, None, :]),
        ("The padding of the source is looked at", lambda s, t: torch.ones(len(s), t.shape[1], s.shape[1])),
        ("It is the wrong way round", lambda source, target: ~cross_by_product(source, target)),
        ("a row for each *target* position", lambda source, target: encoder_by_repeat(source)),
    ],
    "q4": [
        ("You ask whom the replaced token looks at", reach_of_a_row),
        ("You stop after one layer", reach_once),
        ("all of them read what the layer *before* wrote", reach_at_once),
        ("a vector keeps what it was", reach_without_residual),
        ("You keep going until nothing changes", reach_to_the_end),
        ("one layer too many", lambda mask, replaced, layers: reach_by_sets(mask, replaced, layers + 1)),
        ("that is the causal mask", lambda mask, replaced, layers: [*range(replaced, mask.shape[0])]),
        ("The replaced position is missing", lambda m, r, n: sorted({*reach_by_sets(m, r, n)} - {r})),
        ("You return True and False", lambda m, r, n: torch.isin(torch.arange(len(m)), reach_by_powers(m, r, n))),
    ],
}
