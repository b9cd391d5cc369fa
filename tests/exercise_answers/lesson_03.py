"""Answers to exercise 03 as learners write them: right ones in several ways, and wrong ones with what they are told."""

import itertools

import numpy as np
import torch


def ids_in_a_loop(texts, vocabulary, longest):
    result = []
    for text in texts:
        ids = [vocabulary["[CLS]"]]
        for word in text.split(" "):
            if len(ids) == longest - 1:
                break
            if word.lower() in vocabulary:
                ids.append(vocabulary[word.lower()])
            else:
                ids.append(vocabulary["[UNK]"])
        result.append([*ids, vocabulary["[SEP]"]])
    return result


def ids_cut_afterwards(texts, vocabulary, longest):
    rows = [["[CLS]", *text.lower().split(), "[SEP]"] for text in texts]
    rows = [row if len(row) <= longest else row[: longest - 1] + row[-1:] for row in rows]
    return [[vocabulary.get(token, vocabulary["[UNK]"]) for token in row] for row in rows]


def ids_as_tuples(texts, vocabulary, longest):
    unknown = vocabulary["[UNK]"]
    words = ([word.casefold() for word in text.split()] for text in texts)
    first, last = (vocabulary["[CLS]"],), (vocabulary["[SEP]"],)
    return [first + tuple(vocabulary.get(word, unknown) for word in row)[: longest - 2] + last for row in words]


def ids_without_end(texts, vocabulary, longest):
    rows = []
    for text in texts:
        ids = [vocabulary["[CLS]"]] + [vocabulary.get(word, vocabulary["[UNK]"]) for word in text.lower().split()]
        rows.append((ids + [vocabulary["[SEP]"]])[:longest])
    return rows


def ids_two_too_many(texts, vocabulary, longest):
    words = [text.lower().split()[:longest] for text in texts]
    return [[vocabulary.get(w, vocabulary["[UNK]"]) for w in ["[CLS]", *row, "[SEP]"]] for row in words]


def ids_uncut(texts, vocabulary, longest):
    return ids_two_too_many(texts, vocabulary, None)


def ids_of_known_words(texts, vocabulary, longest):
    rows = [[vocabulary[w] for w in text.lower().split() if w in vocabulary][: longest - 2] for text in texts]
    return [[vocabulary["[CLS]"], *row, vocabulary["[SEP]"]] for row in rows]


def ids_by_index(texts, vocabulary, longest):
    rows = [[vocabulary[word] for word in text.lower().split()][: longest - 2] for text in texts]
    return [[vocabulary["[CLS]"], *row, vocabulary["[SEP]"]] for row in rows]


def ids_as_written(texts, vocabulary, longest):
    rows = [[vocabulary.get(w, vocabulary["[UNK]"]) for w in text.split()][: longest - 2] for text in texts]
    return [[vocabulary["[CLS]"], *row, vocabulary["[SEP]"]] for row in rows]


def ids_of_the_words(texts, vocabulary, longest):
    return [[vocabulary.get(w, vocabulary["[UNK]"]) for w in text.lower().split()[: longest - 2]] for text in texts]


def ids_in_one_list(texts, vocabulary, longest):
    return list(itertools.chain(*ids_in_a_loop(texts, vocabulary, longest)))


def pad_by_lists(rows, pad_id):
    width = len(max(rows, key=len))
    ids, mask = [], []
    for row in rows:
        ids.append([row[place] if place < len(row) else pad_id for place in range(width)])
        mask.append([int(place < len(row)) for place in range(width)])
    return {"attention_mask": mask, "input_ids": ids}


def pad_with_torch(rows, pad_id):
    ids = torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=pad_id)
    lengths = torch.tensor([len(row) for row in rows])
    return {"input_ids": ids, "attention_mask": (torch.arange(ids.shape[1]) < lengths[:, None]).float()}


def pad_with_numpy(rows, pad_id):
    ids = np.full((len(rows), max(map(len, rows))), pad_id)
    mask = np.zeros_like(ids)
    for number, row in enumerate(rows):
        ids[number, : len(row)] = row
        mask[number, : len(row)] = 1
    return {"input_ids": ids, "attention_mask": mask}


def pad_in_place(rows, pad_id):
    lengths = [len(row) for row in rows]
    for row in rows:
        row += [pad_id] * (max(lengths) - len(row))
    mask = [[1] * length + [0] * (max(lengths) - length) for length in lengths]
    return {"input_ids": torch.tensor(rows), "attention_mask": torch.tensor(mask)}


def pad_mask_from_ids(rows, pad_id):
    ids = pad_with_torch(rows, pad_id)["input_ids"]
    return {"input_ids": ids, "attention_mask": (ids != pad_id).int()}


def pad_mask_inverted(rows, pad_id):
    width = max(len(row) for row in rows)
    mask = [[0] * len(row) + [1] * (width - len(row)) for row in rows]
    return {"input_ids": [row + [pad_id] * (width - len(row)) for row in rows], "attention_mask": mask}


def pad_all_ones(rows, pad_id):
    ids = pad_with_torch(rows, pad_id)["input_ids"]
    return {"input_ids": ids, "attention_mask": torch.ones(ids.shape)}


def pad_on_the_left(rows, pad_id):
    width = max(len(row) for row in rows)
    ids = [[pad_id] * (width - len(row)) + row for row in rows]
    return {"input_ids": ids, "attention_mask": [[0] * (width - len(row)) + [1] * len(row) for row in rows]}


def pad_with_zeros(rows, pad_id):
    ids = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
    for number, row in enumerate(rows):
        ids[number, : len(row)] = torch.tensor(row)
    return {"input_ids": ids, "attention_mask": pad_by_lists(rows, pad_id)["attention_mask"]}


def pad_by_cutting(rows, pad_id):
    ids = torch.tensor([row[: min(len(row) for row in rows)] for row in rows])
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def pad_ids_only(rows, pad_id):
    return torch.tensor(pad_by_lists(rows, pad_id)["input_ids"])


def forward_in_a_loop(table, weights, input_ids, attention_mask):
    logits = []
    for row, mask in zip(input_ids.tolist(), attention_mask.tolist(), strict=True):
        tokens = [number for number, is_token in zip(row, mask, strict=True) if is_token]
        mean = sum(table[number] for number in tokens) / len(tokens)
        logits.append([sum(mean * weights[:, label]).item() for label in range(weights.shape[1])])
    return logits


def forward_with_matrices(table, weights, input_ids, attention_mask):
    shares = attention_mask.double() / attention_mask.sum(-1, keepdim=True)
    return torch.einsum("bs,bsw,wl->bl", shares, table[input_ids].double(), weights.double())


def forward_in_numpy(table, weights, input_ids, attention_mask):
    logits = table.numpy()[input_ids.numpy()] @ weights.numpy()  # of every token; their mean is that of the vectors
    return np.stack([own[mask == 1].mean(0) for own, mask in zip(logits, attention_mask.numpy(), strict=True)])


def forward_with_nan(table, weights, input_ids, attention_mask):
    vectors = torch.nn.functional.embedding(input_ids, table).masked_fill(attention_mask[:, :, None] == 0, torch.nan)
    return torch.matmul(vectors.nanmean(dim=1), weights)


def forward_unmasked(table, weights, input_ids, attention_mask):
    return torch.mean(table[input_ids], dim=1) @ weights


def forward_over_all_places(table, weights, input_ids, attention_mask):
    return (table[input_ids] * attention_mask.unsqueeze(-1)).mean(1) @ weights


def forward_of_the_sum(table, weights, input_ids, attention_mask):
    return torch.einsum("bs,bsw->bw", attention_mask.float(), table[input_ids]) @ weights


def forward_divided_by_the_batch(table, weights, input_ids, attention_mask):
    return (table[input_ids] * attention_mask[:, :, None]).sum(1) / attention_mask.sum() @ weights


def forward_without_keepdim(table, weights, input_ids, attention_mask):
    return (table[input_ids] * attention_mask.unsqueeze(2)).sum(dim=1) / attention_mask.sum(dim=1) @ weights


def forward_half_masked(table, weights, input_ids, attention_mask):
    return table[input_ids].sum(1) / attention_mask.sum(1, keepdim=True) @ weights


def forward_first_token(table, weights, input_ids, attention_mask):
    return table[input_ids[:, 0]] @ weights


def forward_with_softmax(table, weights, input_ids, attention_mask):
    return torch.softmax(forward_with_nan(table, weights, input_ids, attention_mask), dim=-1)


def forward_without_weights(table, weights, input_ids, attention_mask):
    mask = attention_mask[..., None]
    return (table[input_ids] * mask).sum(1) / mask.sum(1)


def answers_by_sorting(logits, names, count):
    answers = []
    for row in logits.softmax(-1).tolist():
        pairs = sorted(zip(row, names, strict=True), reverse=True)
        answers.append([{"label": name, "score": score} for score, name in pairs[:count]])
    return answers


def answers_in_numpy(logits, names, count):
    values = np.exp(logits.numpy().astype(float))
    shares = values / values.sum(axis=1, keepdims=True)
    order = np.argsort(-shares, axis=1)[:, :count]
    return [[{"score": shares[i, j], "label": names[j]} for j in row] for i, row in enumerate(order)]


def answers_with_tensors(logits, names, count):
    best = torch.sort(torch.softmax(logits, dim=1), dim=1, descending=True)
    return [
        [{"label": names[best.indices[text, rank]], "score": best.values[text, rank]} for rank in range(count)]
        for text in range(len(logits))
    ]


def answers_from(scores, names, count):
    ranked = scores.topk(count)
    return [
        [{"label": names[p], "score": s} for s, p in zip(*row, strict=True)]
        for row in zip(ranked.values.tolist(), ranked.indices.tolist(), strict=True)
    ]


def answers_softmax_last(logits, names, count):
    ranked = logits.topk(count)
    return [
        [{"label": names[p], "score": s.item()} for s, p in zip(values.softmax(-1), places, strict=True)]
        for values, places in zip(ranked.values, ranked.indices.tolist(), strict=True)
    ]


def answers_lowest(logits, names, count):
    return [
        [{"label": name, "score": score} for score, name in sorted(zip(row, names, strict=True))[:count]]
        for row in logits.softmax(-1).tolist()
    ]


def answers_with_names_in_order(logits, names, count):
    rows = [sorted(row, reverse=True)[:count] for row in logits.softmax(-1).tolist()]
    return [[{"label": name, "score": score} for name, score in zip(names, row, strict=False)] for row in rows]


def answers_unsorted(logits, names, count):
    rows = [row[:count] for row in logits.softmax(-1).tolist()]
    return [[{"label": name, "score": score} for name, score in zip(names, row, strict=False)] for row in rows]


def answers_in_one_list(logits, names, count):
    return sum(answers_by_sorting(logits, names, count), [])


def nothing(*arguments):
    len(arguments)


RIGHT = {
    "q1": [ids_in_a_loop, ids_cut_afterwards, ids_as_tuples],
    "q2": [pad_by_lists, pad_with_torch, pad_with_numpy],
    "q3": [forward_in_a_loop, forward_with_matrices, forward_in_numpy, forward_with_nan],
    "q4": [answers_by_sorting, answers_in_numpy, answers_with_tensors],
}
WRONG = {
    "q1": [
        ("[SEP] is cut off", ids_without_end),
        ("[CLS] and [SEP] need two of these places", ids_two_too_many),
        ("You do not cut", ids_uncut),
        ("are left out", ids_of_known_words),
        ("A word that is not in the vocabulary stops you", ids_by_index),
        ("You look words up as they are written", ids_as_written),
        ("[CLS] and [SEP] are missing", ids_of_the_words),
        ("[CLS] is missing", lambda *case: [row[1:] for row in ids_in_a_loop(*case)]),
        ("[SEP] is missing", lambda *case: [row[:-1] for row in ids_in_a_loop(*case)]),
        ("You return one long list", ids_in_one_list),
    ],
    "q2": [
        ("You make the mask from the ids", pad_mask_from_ids),
        ("Your mask is the wrong way round", pad_mask_inverted),
        ("Your mask is all ones", pad_all_ones),
        ("You pad on the left", pad_on_the_left),
        ("You pad with 0", pad_with_zeros),
        ("You cut the long rows", pad_by_cutting),
        ("There is no mask", pad_ids_only),
        ("changes what it is given", pad_in_place),
        ("returns nothing", nothing),
    ],
    "q3": [
        ("The padding is in your mean", forward_unmasked),
        ("You divide by all places", forward_over_all_places),
        ("You take the sum", forward_of_the_sum),
        ("the tokens of the whole batch", forward_divided_by_the_batch),
        ("The padding is in your sum", forward_half_masked),
        ("You divide by a row of numbers", forward_without_keepdim),
        ("You take the first token", forward_first_token),
        ("You return probabilities", forward_with_softmax),
        ("You return the mean vectors", forward_without_weights),
    ],
    "q4": [
        ("You take the softmax of the best ones only", answers_softmax_last),
        ("Your softmax runs over the texts", lambda logits, *rest: answers_from(torch.softmax(logits, dim=0), *rest)),
        ("Your scores are logits", lambda logits, *rest: answers_from(logits, *rest)),
        ("You use the sigmoid", lambda logits, *rest: answers_from(1 / (1 + (-logits).exp()), *rest)),
        ("You return the least probable labels", answers_lowest),
        ("The scores are sorted and the labels are not", answers_with_names_in_order),
        ("You take the first labels of the list", answers_unsorted),
        ("You return one list for all texts", answers_in_one_list),
    ],
}
