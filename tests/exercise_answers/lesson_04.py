"""Answers to exercise 04 as learners write them: right ones in several ways, and wrong ones with what they are told."""

import math

import numpy as np
import torch


def entities_with_a_current_one(tags, offsets):
    found, current = [], None
    for tag, (start, end) in zip(tags, offsets, strict=True):
        if tag == "O":
            if current:
                found.append(current)
            current = None
            continue
        letter, kind = tag.split("-")
        if letter == "I" and current and current[0] == kind:
            current = (kind, current[1], end)
        else:
            if current:
                found.append(current)
            current = (kind, start, end)
    return found + [current] if current else found


def entities_by_cuts(tags, offsets):
    kinds = [tag[2:] for tag in tags] + [""]
    begins = [i for i, t in enumerate(tags) if t != "O" and (t[0] == "B" or i == 0 or kinds[i - 1] != kinds[i])]
    found = []
    for i in begins:
        j = i
        while j + 1 < len(tags) and tags[j + 1] == f"I-{kinds[i]}":
            j += 1
        found.append([kinds[i], offsets[i][0], offsets[j][1]])
    return found


def entities_backwards(tags, offsets):
    found, end = [], None
    for place in range(len(tags) - 1, -1, -1):
        if tags[place] == "O":
            continue
        end = offsets[place][1] if end is None else end
        continues = place > 0 and tags[place].startswith("I") and tags[place - 1][2:] == tags[place][2:]
        if not continues:
            found.insert(0, (tags[place][2:], offsets[place][0], end))
            end = None
    return found


def entities_loses_the_last(tags, offsets):
    found, current = [], None
    for tag, (start, end) in zip(tags, offsets, strict=True):
        if current and tag == f"I-{current[0]}":
            current[2] = end
            continue
        if current:
            found.append(current)
        current = None if tag == "O" else [tag[2:], start, end]
    return found


def entities_b_continues(tags, offsets):
    found, before = [], ""
    for tag, (start, end) in zip(tags, offsets, strict=True):
        kind = tag.partition("-")[2]
        if kind and kind == before:
            found[-1][-1] = end
        elif kind:
            found.append([kind, start, end])
        before = kind
    return found


def entities_needs_a_b(tags, offsets):
    found, is_open = [], False
    for tag, (start, end) in zip(tags, offsets, strict=True):
        if tag.startswith("B-"):
            found.append([tag[2:], start, end])
            is_open = True
        elif is_open and tag == f"I-{found[-1][0]}":
            found[-1][2] = end
        else:
            is_open = False
    return found


def entities_any_kind_continues(tags, offsets):
    found, is_open = [], False
    for tag, (start, end) in zip(tags, offsets, strict=True):
        if tag[0] == "I" and is_open:
            found[-1][2] = end
        elif tag != "O":
            found.append([tag[2:], start, end])
        is_open = tag != "O"
    return found


def entities_across_o(tags, offsets):
    found = []
    for tag, (start, end) in zip(tags, offsets, strict=True):
        if tag[0] == "I" and found and found[-1][0] == tag[2:]:
            found[-1][2] = end
        elif tag != "O":
            found.append([tag[2:], start, end])
    return found


def entities_every_i_continues(tags, offsets):
    found = []
    for tag, (start, end) in zip(tags, offsets, strict=True):
        if tag[0] == "I" and found:
            found[-1][2] = end
        elif tag[0] != "O":
            found.append([tag[2:], start, end])
    return found


def entities_first_end(tags, offsets):
    found, before = [], "O"
    for tag, (start, end) in zip(tags, offsets, strict=True):
        if tag != "O" and not (tag[0] == "I" and before[2:] == tag[2:]):
            found.append((tag[2:], start, end))
        before = tag
    return found


def entities_with_prefix(tags, offsets):
    found, before = [], "O"
    for tag, (start, end) in zip(tags, offsets, strict=True):
        if tag[0] == "I" and before[2:] == tag[2:]:
            found[-1] = (found[-1][0], found[-1][1], end)
        elif tag != "O":
            found.append((tag, start, end))
        before = tag
    return found


def span_in_a_loop(start_logits, end_logits, in_context, longest):
    places = [i for i, inside in enumerate(in_context.tolist()) if inside]
    starts, ends = (torch.softmax(logits[places].double(), 0).tolist() for logits in (start_logits, end_logits))
    best = (0, 0, -1.0)
    for a, first in enumerate(places):
        for b, last in enumerate(places):
            if first <= last < first + longest and starts[a] * ends[b] > best[2]:
                best = (first, last, starts[a] * ends[b])
    return best


def span_in_numpy(start_logits, end_logits, in_context, longest):
    inside = in_context.numpy()
    start, end = (np.where(inside, np.exp(x.numpy().astype(float)), 0) for x in (start_logits, end_logits))
    table = np.outer(start / start.sum(), end / end.sum())
    far = np.arange(len(end))[None, :] - np.arange(len(start))[:, None]
    table[(far < 0) | (far >= longest)] = 0
    first, last = np.unravel_index(table.argmax(), table.shape)
    return int(first), int(last), float(table[first, last])


def span_by_logs(start_logits, end_logits, in_context, longest):
    logs = [torch.where(in_context, x, -1e9).log_softmax(-1) for x in (start_logits, end_logits)]
    table = logs[0].unsqueeze(1) + logs[1].unsqueeze(0)
    places = torch.arange(len(in_context))
    far = places.unsqueeze(0) - places.unsqueeze(1)
    table[(far < 0) | (far > longest - 1)] = -math.inf
    best = table.argmax().item()
    return best // len(places), best % len(places), table.max().exp()


def _span(start, end, inside, allowed):
    """A learner's loop with another rule for what is `allowed(first, last)`."""
    start = start.masked_fill(~inside, -torch.inf).softmax(-1).tolist()
    end = end.masked_fill(~inside, -torch.inf).softmax(-1).tolist()
    pairs = [(i, j) for i in range(len(start)) for j in range(len(end)) if allowed(i, j)]
    return max(((i, j, start[i] * end[j]) for i, j in pairs), key=lambda span: span[2])


def span_two_argmaxes(start, end, inside, longest):
    start, end = (x.masked_fill(~inside, -torch.inf).softmax(-1) for x in (start, end))
    return start.argmax(), end.argmax(), start.max() * end.max()


def span_anywhere(start, end, inside, longest):
    return _span(start, end, torch.ones(len(inside), dtype=torch.bool), lambda i, j: i <= j < i + longest)


def span_mask_after_softmax(start, end, inside, longest):
    start, end = start.softmax(-1) * inside, end.softmax(-1) * inside
    table = torch.outer(start, end).triu().tril(longest - 1)
    first, last = divmod(table.argmax().item(), len(end))
    return first, last, table.max()


def span_of_logits(start, end, inside, longest):
    table = start.masked_fill(~inside, -100)[:, None] + end.masked_fill(~inside, -100)[None, :]
    table[~torch.ones_like(table).triu().tril(longest - 1).bool()] = -1000
    first, last = divmod(table.argmax().item(), len(end))
    return first, last, table.max()


def span_added(start, end, inside, longest):
    first, last, _ = span_in_a_loop(start, end, inside, longest)
    start, end = (x.masked_fill(~inside, -torch.inf).softmax(-1) for x in (start, end))
    return first, last, start[first] + end[last]


def scores_in_a_loop(logits, names, multi_label):
    yes = [row[names.index("entailment")] for row in logits.tolist()]
    no = [row[names.index("contradiction")] for row in logits.tolist()]
    if multi_label:
        return [math.exp(y) / (math.exp(y) + math.exp(n)) for y, n in zip(yes, no, strict=True)]
    total = sum(math.exp(y) for y in yes)
    return [math.exp(y) / total for y in yes]


def scores_by_sigmoid(logits, names, multi_label):
    columns = {name: logits[:, place].double() for place, name in enumerate(names)}
    if multi_label:
        return torch.sigmoid(columns["entailment"] - columns["contradiction"])
    return torch.softmax(columns["entailment"], dim=0)


def scores_in_numpy(logits, names, multi_label):
    powers = np.exp(logits.numpy().astype(np.float64))
    yes, no = powers[:, names.index("entailment")], powers[:, names.index("contradiction")]
    return yes / (yes + no) if multi_label else yes / yes.sum()


def _first_column(logits, names, multi_label):
    if multi_label:
        return torch.sigmoid(logits[:, 0] - logits[:, 2])
    return logits[:, 0].softmax(0)


def _last_column(logits, names, multi_label):
    if multi_label:
        return torch.sigmoid(logits[:, 2] - logits[:, 0])
    return logits[:, 2].softmax(0)


def scores_with_neutral(logits, names, multi_label):
    yes = names.index("entailment")
    return logits.softmax(1)[:, yes] if multi_label else logits[:, yes].softmax(0)


def scores_single_over_columns(logits, names, multi_label):
    return scores_in_a_loop(logits, names, True) if multi_label else scores_with_neutral(logits, names, True)


def scores_stacked(logits, names, multi_label):
    yes, no = logits[:, names.index("entailment")], logits[:, names.index("contradiction")]
    return torch.stack([no, yes]).softmax(-1)[1] if multi_label else yes.softmax(-1)


def scores_divided(logits, names, multi_label):
    if multi_label:
        return scores_by_sigmoid(logits, names, True)
    shares = logits.softmax(1)[:, names.index("entailment")]
    return shares / shares.sum()


def scores_one_sigmoid(logits, names, multi_label):
    yes = logits[:, names.index("entailment")]
    return yes.sigmoid() if multi_label else yes.softmax(0)


RIGHT = {
    "q1": [entities_with_a_current_one, entities_by_cuts, entities_backwards],
    "q2": [span_in_a_loop, span_in_numpy, span_by_logs],
    "q3": [scores_in_a_loop, scores_by_sigmoid, scores_in_numpy],
}
WRONG = {
    "q1": [
        # It drops an entity only when the text ends inside it.
        ("The last entity is missing", entities_loses_the_last),
        ("You continue an entity at a B-", entities_b_continues),
        ("You drop an I-", entities_needs_a_b),
        ("An I- of another kind continues", entities_any_kind_continues),
        ("You join two entities with an O between", entities_across_o),
        ("whatever comes between", entities_every_i_continues),
        ("end with their first token", entities_first_end),
        ("You leave B- or I- in the kind", entities_with_prefix),
        ("Every token becomes an entity", lambda t, o: [(a[2:], *b) for a, b in zip(t, o, strict=True) if a != "O"]),
        ("returns nothing", lambda tags, offsets: None),
    ],
    "q2": [
        ("You point outside the context", span_anywhere),
        ("You mask after the softmax", span_mask_after_softmax),
        ("Your score is a sum of logits", span_of_logits),
        ("You add the two probabilities", span_added),
        ("each on its own", span_two_argmaxes),
        ("You allow an end before its start", lambda s, e, c, n: _span(s, e, c, lambda i, j: j - i < n)),
        ("You leave out spans of one token", lambda s, e, c, n: _span(s, e, c, lambda i, j: i < j < i + n)),
        ("as long as they like", lambda s, e, c, n: _span(s, e, c, lambda i, j: i <= j)),
        ("one token too long", lambda s, e, c, n: _span(s, e, c, lambda i, j: i <= j <= i + n)),
        ("exactly `longest` tokens", lambda s, e, c, n: _span(s, e, c, lambda i, j: i <= j < i + n - 1)),
    ],
    "q3": [
        ("first column", _first_column),
        ("last column", _last_column),
        ("your labels still compete", lambda x, names, m: x[:, names.index("entailment")].softmax(0)),
        ("your labels still compete", scores_stacked),
        ("never compete", lambda x, names, m: scores_in_numpy(x, names, True)),
        ("the wrong way round", lambda x, names, m: scores_in_a_loop(x, names, not m)),
        ("over the three columns in both cases", lambda x, names, m: scores_with_neutral(x, names, True)),
        ("you leave neutral in", scores_with_neutral),
        ("softmax over the columns", scores_single_over_columns),
        ("divide probabilities by their sum", scores_divided),
        ("the sigmoid of one logit", scores_one_sigmoid),
        ("You sort the scores", lambda x, names, m: sorted(scores_in_a_loop(x, names, m), reverse=True)),
        ("You return logits", lambda x, names, m: x[:, names.index("entailment")]),
    ],
}
