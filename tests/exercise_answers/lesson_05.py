"""Answers to exercise 05 as learners write them: right ones in several ways, and wrong ones with what they are told."""

from collections import Counter, defaultdict

import numpy as np
import torch


def pair_in_loops(words, times):
    counts = {}
    for place, word in enumerate(words):
        for i in range(len(word) - 1):
            key = (word[i], word[i + 1])
            counts[key] = counts.get(key, 0) + times[place]
    best = None
    for key in counts:
        if best is None or counts[key] > counts[best]:
            best = key
    return best[0], best[1], counts[best]


def pair_by_most_common(words, times):
    counts = Counter()
    for word, often in zip(words, times, strict=True):
        for _ in range(often):
            counts.update(zip(word, word[1:], strict=False))
    pair, count = counts.most_common(1)[0]
    return [*pair, count]


def pair_by_a_list(words, times):
    pairs = [(a, b) for word, often in zip(words, times, strict=True) for a, b in zip(word[:-1], word[1:], strict=True)
             for _ in range(often)]  # fmt: skip
    best = max(pairs, key=pairs.count)
    return torch.tensor([*best, pairs.count(best)])


def _counted(words, times, pairs_of):
    counts = defaultdict(int)
    for word, often in zip(words, times, strict=True):
        for pair in pairs_of(word):
            counts[pair] += often
    return counts


def _best(counts):
    first, second = max(counts, key=counts.get)
    return first, second, counts[first, second]


def pair_of_the_last(words, times):
    counts, best = _counted(words, times, lambda word: zip(word, word[1:], strict=False)), None
    for pair, count in counts.items():
        if best is None or count >= counts[best]:
            best = pair
    return *best, counts[best]


def pair_across_words(words, times):
    row = []
    for word, often in zip(words, times, strict=True):
        row.extend(word * often)
    return _best(Counter(zip(row, row[1:], strict=False)))


def pair_sorted(words, times):
    counts = _counted(words, times, lambda word: zip(word, word[1:], strict=False))
    pair = sorted(counts, key=lambda pair: (-counts[pair], pair))[0]
    return *pair, counts[pair]


def pair_largest(words, times):
    counts = _counted(words, times, lambda word: zip(word, word[1:], strict=False))
    count, pair = max((count, pair) for pair, count in counts.items())
    return *pair, count


def pair_without_order(words, times):
    counts = {}
    for pair, count in _counted(words, times, lambda word: zip(word, word[1:], strict=False)).items():
        key = pair[::-1] if pair[::-1] in counts else pair
        counts[key] = counts.get(key, 0) + count
    return _best(counts)


def merge_in_a_loop(ids, first, second, new):
    result, i = [], 0
    while i < len(ids):
        if ids[i : i + 2] == [first, second]:
            result.append(new)
            i += 2
        else:
            result.append(ids[i])
            i += 1
    return result


def merge_looking_back(ids, first, second, new):
    result, can_merge = [], False
    for one in ids:
        if can_merge and one == second:
            result[-1], can_merge = new, False
        else:
            result.append(one)
            can_merge = one == first
    return result


def merge_recursively(ids, first, second, new):
    for i in range(len(ids) - 1):
        if ids[i] == first and ids[i + 1] == second:
            return ids[:i] + [new] + merge_recursively(ids[i + 2 :], first, second, new)
    return ids


def merge_with_index(ids, first, second, new):
    copy, i = list(ids), 0
    while i < len(copy) - 1:
        if (copy[i], copy[i + 1]) == (first, second):
            copy[i : i + 2] = [new]
        i += 1
    return copy


def merge_in_place(ids, first, second, new):
    i = 0
    while i < len(ids) - 1:
        if (ids[i], ids[i + 1]) == (first, second):
            ids[i : i + 2] = [new]
        i += 1
    return ids


def merge_first_only(ids, first, second, new):
    copy = list(ids)
    for i in range(len(copy) - 1):
        if copy[i] == first and copy[i + 1] == second:
            copy[i : i + 2] = [new]
            break
    return copy


def merge_keeps_second(ids, first, second, new):
    copy = list(ids)
    for i in range(len(ids) - 1):
        if ids[i] == first and ids[i + 1] == second:
            copy[i] = new
    return copy


def merge_past_the_end(ids, first, second, new):
    result = []
    for i in range(len(ids)):
        if ids[i] == first and ids[i + 1] == second:
            result.append(new)
        else:
            result.append(ids[i])
    return result


def merge_while_past_the_end(ids, first, second, new):
    result, i = [], 0
    while i < len(ids):
        if ids[i] == first and ids[i + 1] == second:
            result.append(new)
            i += 2
        else:
            result.append(ids[i])
            i += 1
    return result


def merge_loses_last(ids, first, second, new):
    result, i = [], 0
    while i + 1 < len(ids):
        if ids[i] == first and ids[i + 1] == second:
            result.append(new)
            i += 2
        else:
            result.append(ids[i])
            i += 1
    return result


def merge_either(ids, first, second, new):
    result, i = [], 0
    while i < len(ids):
        if sorted(ids[i : i + 2]) == sorted([first, second]):
            result.append(new)
            i += 2
        else:
            result.append(ids[i])
            i += 1
    return result


def merge_from_the_end(ids, first, second, new):
    copy, i = list(ids), len(ids) - 2
    while i >= 0:
        if copy[i : i + 2] == [first, second]:
            copy[i : i + 2] = [new]
            i -= 1
        i -= 1
    return copy


def merge_twice_used(ids, first, second, new):
    result = []
    for i, one in enumerate(ids):
        if ids[i : i + 2] == [first, second]:
            result.append(new)
        elif i == 0 or ids[i - 1 : i + 1] != [first, second]:
            result.append(one)
    return result


def text_with_a_table(ids, merges):
    table = {number: bytes([number]) for number in range(256)}
    for number, (first, second) in enumerate(merges):
        table[256 + number] = table[first] + table[second]
    return b"".join(table[one] for one in ids).decode("utf-8", errors="replace")


def text_with_a_stack(ids, merges):
    left, data = list(ids)[::-1], bytearray()
    while left:
        one = left.pop()
        if one < 256:
            data.append(one)
        else:
            left += [merges[one - 256][1], merges[one - 256][0]]
    return str(data, "utf8", "replace")


def text_by_undoing(ids, merges):
    ids = list(ids)
    for number in range(len(merges) - 1, -1, -1):
        ids = [part for one in ids for part in (merges[number] if one == 256 + number else [one])]
    return bytes(ids).decode(errors="replace")


def _table(merges):
    table = {number: bytes([number]) for number in range(256)}
    for number, (first, second) in enumerate(merges):
        table[256 + number] = table[first] + table[second]
    return table


def text_by_chr(ids, merges):
    return "".join(chr(byte) for one in ids for byte in _table(merges)[one])


def text_turned(ids, merges):
    table = {number: bytes([number]) for number in range(256)}
    for number, (first, second) in enumerate(merges):
        table[256 + number] = table[second] + table[first]
    return b"".join(table[one] for one in ids).decode("utf-8", errors="replace")


def text_once_apart(ids, merges):
    data = []
    for one in ids:
        data += [one] if one < 256 else merges[one - 256]
    return bytes(data).decode("utf-8", errors="replace")


def neighbours_in_a_loop(vectors, row, count):
    found = []
    for other in range(len(vectors)):
        if other != row:
            dot = float(vectors[row] @ vectors[other])
            found.append((dot / float(vectors[row].norm() * vectors[other].norm()), other))
    found.sort(reverse=True)
    return [other for _, other in found[:count]], [cosine for cosine, _ in found[:count]]


def neighbours_by_torch(vectors, row, count):
    cosines = torch.cosine_similarity(vectors, vectors[row].unsqueeze(0), dim=-1)
    order = cosines.argsort(descending=True)
    order = order[order != row][:count]
    return order, cosines[order]


def neighbours_in_numpy(vectors, row, count):
    vectors = vectors.numpy().astype(np.float64)
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = units @ units[row]
    cosines[row] = -2
    order = np.argsort(-cosines)[:count]
    return order, cosines[order]


def neighbours_skip_first(vectors, row, count):
    units = torch.nn.functional.normalize(vectors, dim=-1)
    best = (units @ units[row]).topk(count + 1)
    return best.indices[1:], best.values[1:]


def _without(scores, row, count):
    scores = scores.clone()
    scores[row] = -1e9
    return scores.argsort(descending=True)[:count], scores.sort(descending=True).values[:count]


def neighbours_with_itself(vectors, row, count):
    best = torch.cosine_similarity(vectors, vectors[row], dim=-1).sort(descending=True)
    return best.indices[:count], best.values[:count]


def neighbours_one_norm(vectors, row, count):
    units = vectors / vectors.norm()
    best = (units @ units[row]).topk(count + 1)
    return best.indices[1:], best.values[1:]


def neighbours_by_columns(vectors, row, count):
    units = torch.nn.functional.normalize(vectors, dim=0)
    return _without(units @ units[row], row, count)


def neighbours_by_distance(vectors, row, count):
    far = torch.cdist(vectors[row][None], vectors)[0]
    order = [other for other in far.argsort().tolist() if other != row][:count]
    return order, far[order]


def neighbours_chosen_by_distance(vectors, row, count):
    order = neighbours_by_distance(vectors, row, count)[0]
    return order, torch.cosine_similarity(vectors[order], vectors[row], dim=-1)


def neighbours_smallest(vectors, row, count):
    cosines = torch.cosine_similarity(vectors, vectors[row], dim=-1)
    return cosines.argsort()[:count], cosines.sort().values[:count]


def neighbours_zero_for_itself(vectors, row, count):
    cosines = torch.cosine_similarity(vectors, vectors[row], dim=-1)
    cosines[row] = 0
    best = cosines.topk(count)
    return best.indices, best.values


RIGHT = {
    "q1": [pair_in_loops, pair_by_most_common, pair_by_a_list],
    "q2": [merge_in_a_loop, merge_looking_back, merge_recursively, merge_with_index],
    "q3": [text_with_a_table, text_with_a_stack, text_by_undoing],
    "q4": [neighbours_in_a_loop, neighbours_by_torch, neighbours_in_numpy, neighbours_skip_first],
}
WRONG = {
    "q1": [
        ("You count every word once", lambda words, times: pair_in_loops(words, [1 for _ in words])),
        ("once in each word", lambda w, t: _best(_counted(w, t, lambda x: dict.fromkeys(zip(x, x[1:], strict=False))))),
        ("across the border of two words", pair_across_words),
        ("every second pair", lambda w, t: _best(_counted(w, t, lambda x: zip(x[::2], x[1::2], strict=False)))),
        ("a pair and its reverse together", pair_without_order),
        ("the last pair of each word", lambda w, t: _best(_counted(w, t, lambda x: zip(x, x[1:-1], strict=False)))),
        ("you take the last", pair_of_the_last),
        ("the smallest ids", pair_sorted),
        ("the largest ids", pair_largest),
        ("returns 2 values", lambda words, times: pair_in_loops(words, times)[:2]),
        ("returns nothing", lambda words, times: None),
    ],
    "q2": [
        ("You merge only the first pair", merge_first_only),
        ("You keep the second id", merge_keeps_second),
        ("You look past the end: the last id has no neighbour. And", merge_past_the_end),
        ("`place + 1 < len(ids)`", merge_while_past_the_end),
        ("You lose the last id", merge_loses_last),
        ("in either order", merge_either),
        ("You merge the reversed pair", lambda ids, first, second, new: merge_in_a_loop(ids, second, first, new)),
        ("You use an id in two pairs", merge_twice_used),
        ("You merge from the right", merge_from_the_end),
        ("changes what it is given", merge_in_place),
    ],
    "q3": [
        ("each token on its own", lambda i, m: "".join(_table(m)[one].decode("utf-8", "replace") for one in i)),
        ("You turn every byte into a letter", text_by_chr),
        ("in the wrong order", text_turned),
        ("You take a merge apart once", text_once_apart),
        ("makes `decode` raise", lambda ids, merges: b"".join(_table(merges)[one] for one in ids).decode()),
        ("You drop a cut-off character", lambda i, m: b"".join(_table(m)[one] for one in i).decode(errors="ignore")),
        ("one merge off", lambda i, m: text_with_a_table([one - 1 if one > 256 else one for one in i], m)),
    ],
    "q4": [
        ("The nearest row is the row itself", neighbours_with_itself),
        ("as `topk` does", lambda x, row, n: neighbours_by_torch(x, row, n)[::-1]),
        ("You return pairs", lambda x, row, n: list(zip(*neighbours_in_a_loop(x, row, n), strict=True))),
        ("You compare dot products", lambda x, row, count: _without(x @ x[row], row, count)),
        ("need not be the first", lambda x, row, n: [part[1:] for part in (x @ x[row]).topk(n + 1)][::-1]),
        ("one length for the whole table", neighbours_one_norm),
        ("the length of one vector only", lambda x, row, count: _without(x @ x[row] / x[row].norm(), row, count)),
        ("`vectors[row]` needs the length 1", lambda x, row, n: _without(x @ x[row] / x.norm(dim=1), row, n)),
        ("You divide the columns", neighbours_by_columns),
        ("the nearest by distance", neighbours_by_distance),
        ("You choose by distance", neighbours_chosen_by_distance),
        ("You take the smallest cosines", neighbours_smallest),
        ("without their sign", lambda x, r, n: _without(torch.cosine_similarity(x, x[r], dim=-1).abs(), r, n)),
        ("You give the row itself a 0", neighbours_zero_for_itself),
    ],
}
