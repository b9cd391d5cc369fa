"""Answers to exercise 13 as learners write them: right ones in several ways, and wrong ones with what they are told."""

import heapq
import math

import numpy as np
import torch

# q1


def score_in_a_loop(table, text, length_penalty):
    total = 0.0
    for last, token in zip(text[:-1], text[1:], strict=True):
        total += table[last][token].item()
    return total / len(text[1:]) ** length_penalty


def score_by_indexing(table, text, length_penalty):
    ids = torch.tensor(text)
    chosen = table[ids[:-1], ids[1:]]
    return chosen.sum() / chosen.numel() ** length_penalty


def score_of_a_product(table, text, length_penalty):
    shares = np.exp(table.double().numpy())
    product = np.prod([shares[text[i - 1], text[i]] for i in range(1, len(text))])
    return math.log(product) * (len(text) - 1) ** -length_penalty


def score_transposed(table, text, length_penalty):
    return sum(table[token, last] for last, token in zip(text, text[1:])) / (len(text) - 1) ** length_penalty  # noqa: B905, RUF007


def score_of_probabilities(table, text, length_penalty):
    ids = torch.tensor(text)
    return table[ids[:-1], ids[1:]].exp().sum() / (len(text) - 1) ** length_penalty


def score_with_the_prompt(table, text, length_penalty):
    ids = torch.tensor(text)
    return table[ids[:-1], ids[1:]].sum() / len(ids) ** length_penalty


def score_without_brackets(table, text, length_penalty):
    ids = torch.tensor(text)
    return table[ids[:-1], ids[1:]].sum() / (len(text) - 1**length_penalty)


def score_without_length(table, text, length_penalty):
    return sum(table[text[i], text[i + 1]] for i in range(len(text) - 1))


def score_multiplied(table, text, length_penalty):
    return score_without_length(table, text, 0) * (len(text) - 1) ** length_penalty


def score_of_a_part(table, text, length_penalty):
    return sum(table[text[i], text[i + 1]] for i in range(1, len(text) - 1)) / (len(text) - 1) ** length_penalty


# q2


def turn_by_logs(short_sum, short_tokens, long_sum, long_tokens):
    return (math.log(-long_sum) - math.log(-short_sum)) / (math.log(long_tokens) - math.log(short_tokens))


def turn_by_base(short_sum, short_tokens, long_sum, long_tokens):
    return math.log(short_sum / long_sum, short_tokens / long_tokens)


def turn_by_halving(short_sum, short_tokens, long_sum, long_tokens):
    low, high = 0.0, 50.0
    for _ in range(80):
        middle = (low + high) / 2
        if short_sum / short_tokens**middle > long_sum / long_tokens**middle:
            low = middle
        else:
            high = middle
    return low


def turn_in_torch(short_sum, short_tokens, long_sum, long_tokens):
    sums, tokens = torch.tensor([-short_sum, -long_sum]), torch.tensor([short_tokens, long_tokens])
    return sums.log().diff().item() / tokens.log().diff().item()


# q3


def step_of_the_lesson(texts, sums, table, beams):
    totals = sums[:, None] + table[texts[:, -1]]
    sums, places = totals.flatten().topk(min(beams, totals.numel()))
    rows, tokens = places // table.shape[1], places % table.shape[1]
    return torch.cat([texts[rows], tokens[:, None]], dim=1), sums


def step_in_a_loop(texts, sums, table, beams):
    candidates = []
    for text, value in zip(texts.tolist(), sums.tolist(), strict=True):
        for token in range(table.shape[1]):
            candidates.append((value + table[text[-1], token].item(), [*text, token]))
    best = sorted(candidates, reverse=True)[:beams]
    return [text for _, text in best], [value for value, _ in best]


def step_with_a_heap(texts, sums, table, beams):
    rows = table.double()
    pairs = [
        (sums[row].item() + rows[text[-1], token].item(), row, token)
        for row, text in enumerate(texts)
        for token in range(len(table))
    ]
    best = heapq.nlargest(beams, pairs)
    new = torch.tensor([[*texts[row].tolist(), token] for _, row, token in best])
    return new, torch.tensor([value for value, *_ in best])


def step_in_numpy(texts, sums, table, beams):
    totals = sums.numpy()[:, None] + table.numpy()[texts[:, -1].numpy()]
    order = np.argsort(-totals, axis=None)[:beams]
    rows, tokens = np.unravel_index(order, totals.shape)
    return np.concatenate([texts.numpy()[rows], tokens[:, None]], axis=1), totals[rows, tokens]


def step_with(texts, sums, beams, totals, largest=True):
    best, places = totals.flatten().topk(min(beams, totals.numel()), largest=largest)
    rows = torch.div(places, totals.shape[1], rounding_mode="floor")
    return torch.cat([texts[rows], (places - rows * totals.shape[1]).unsqueeze(1)], dim=1), best


def step_best_of_each(texts, sums, table, beams):
    candidates = []
    for text, value in zip(texts.tolist(), sums.tolist(), strict=True):
        token = table[text[-1]].argmax().item()
        candidates.append((value + table[text[-1], token].item(), [*text, token]))
    candidates.sort(reverse=True)
    return [text for _, text in candidates[:beams]], [value for value, _ in candidates[:beams]]


def step_old_order(texts, sums, table, beams):
    totals = sums[:, None] + table[texts[:, -1]]
    best, places = totals.flatten().topk(min(beams, totals.numel()))
    return torch.cat([texts, (places % len(table)).unsqueeze(1)], dim=-1), best


def step_swapped(texts, sums, table, beams):
    totals = sums[:, None] + table[texts[:, -1]]
    best, places = totals.view(-1).topk(min(beams, totals.numel()))
    return torch.cat([texts[places % len(table)], (places // len(table))[:, None]], dim=1), best


def step_without_min(texts, sums, table, beams):
    totals = table[texts[:, -1]] + sums.unsqueeze(1)
    best, places = torch.topk(totals.flatten(), beams)
    return torch.cat([texts[places // len(table)], (places % len(table))[:, None]], dim=1), best


# q4


def search_of_the_lesson(table, start, beams, steps, length_penalty):
    texts, sums, finished = torch.tensor([[start]]), torch.zeros(1), []
    for step in range(1, steps + 1):
        totals = (sums[:, None] + table[texts[:, -1]]).flatten()
        values, places = totals.topk(min(2 * beams, totals.numel()))
        rows, tokens = places // table.shape[1], places % table.shape[1]
        candidates = torch.cat([texts[rows], tokens[:, None]], dim=1)
        ends = (tokens == table.shape[1] - 1) | (step == steps)
        for place in ends[:beams].nonzero()[:, 0]:
            finished.append((values[place].item() / step**length_penalty, candidates[place, 1:].tolist()))
        texts, sums = candidates[~ends][:beams], values[~ends][:beams]
        if not len(texts):
            break
    return sorted(finished, reverse=True)[:beams]


def search_in_lists(table, start, beams, steps, length_penalty):
    end, alive, finished = len(table) - 1, [(0.0, [start])], []
    for _ in range(steps):
        candidates = [
            (value + float(table[text[-1], token]), [*text, token])
            for value, text in alive
            for token in range(len(table))
        ]
        candidates = sorted(candidates, reverse=True)
        finished += [pair for pair in candidates[:beams] if pair[1][-1] == end]
        alive = [pair for pair in candidates if pair[1][-1] != end][:beams]
    scored = [(value / (len(text) - 1) ** length_penalty, text[1:]) for value, text in finished + alive]
    return [list(pair) for pair in heapq.nlargest(beams, scored)]


def search_in_doubles(table, start, beams, steps, length_penalty):
    values = table.double().numpy()
    texts, sums, finished = [[]], np.zeros(1), []
    for step in range(steps):
        last = [text[-1] if text else start for text in texts]
        totals = sums[:, None] + values[last]
        order = [np.unravel_index(place, totals.shape) for place in np.argsort(-totals, axis=None)]
        new, new_sums = [], []
        for rank, (row, token) in enumerate(order):
            text = [*texts[row], int(token)]
            if token == len(values) - 1 or step == steps - 1:
                if rank < beams:
                    finished.append([totals[row, token] / len(text) ** length_penalty, text])
            elif len(new) < beams:
                new.append(text)
                new_sums.append(totals[row, token])
        texts, sums = new, np.array(new_sums)
    return sorted(finished, key=lambda pair: -pair[0])[:beams]


def search_with(
    length=len,
    end_of=lambda table: len(table) - 1,
    refill=True,
    patience=None,
    anywhere=False,
    leftover=True,
    finish=None,
):
    def search(table, start, beams, steps, length_penalty):
        alive, finished, end = [(0.0, [start])], [], end_of(table)
        for _ in range(steps):
            candidates = sorted(
                (
                    (value + table[text[-1], token].item(), [*text, token])
                    for value, text in alive
                    for token in range(len(table))
                ),
                reverse=True,
            )
            best = candidates if anywhere else candidates[:beams]
            finished += [pair for pair in best if pair[1][-1] == end]
            alive = [pair for pair in (candidates if refill else best) if pair[1][-1] != end][:beams]
            if not alive or (patience and len(finished) >= (beams if patience == "beams" else 1)):
                break
        if leftover:
            finished += alive
        scored = [(value / length(text[1:]) ** length_penalty, text[1:]) for value, text in finished]
        return (finish or (lambda scored, beams: sorted(scored, reverse=True)[:beams]))(scored, beams)

    return search


def without_the_end(scored, beams):
    best = sorted(scored, reverse=True)[:beams]
    return [(value, text[:-1] if text[-1] == 5 else text) for value, text in best]


def search_with_start(table, start, *rest):
    return [(value, [start] + text) for value, text in search_of_the_lesson(table, start, *rest)]


def nothing(*arguments):
    [*arguments]


RIGHT = {
    "q1": [score_in_a_loop, score_by_indexing, score_of_a_product],
    "q2": [turn_by_logs, turn_by_base, turn_by_halving, turn_in_torch],
    "q3": [step_of_the_lesson, step_in_a_loop, step_with_a_heap, step_in_numpy],
    "q4": [search_of_the_lesson, search_in_lists, search_in_doubles],
}
WRONG = {
    "q1": [
        ("You read the table the wrong way round", score_transposed),
        ("You add probabilities", score_of_probabilities),
        ("You count the prompt", score_with_the_prompt),
        ("You take the mean whatever the penalty is", score_without_brackets),
        ("You leave the length out", score_without_length),
        ("You multiply by the length", score_multiplied),
        ("The first new token is missing", score_of_a_part),
        ("The sign", lambda table, text, penalty: -score_by_indexing(table, text, penalty)),
        (
            "You return the probability",
            lambda table, text, p: score_without_length(table, text, 0).exp() / (len(text) - 1) ** p,
        ),
    ],
    "q2": [
        ("The sign", lambda a, n, b, m: math.log(a / b) / math.log(m / n)),
        ("It is upside down", lambda a, n, b, m: math.log(m / n) / math.log(b / a)),
        ("You divide the ratios", lambda a, n, b, m: (b / a) / (m / n)),
        ("You take the logarithm of the sums only", lambda a, n, b, m: np.log(b / a) / (m / n)),
        ("You take differences before the logarithm", lambda a, n, b, m: math.log(abs(b - a)) / math.log(abs(m - n))),
        ("You compare the lengths by their difference", lambda a, n, b, m: math.log(b / a) / math.log(m - n)),
        ("You compare the means", lambda a, n, b, m: b / m - a / n),
    ],
    "q3": [
        ("The sum so far is missing", lambda t, s, table, k: step_with(t, s, k, table[t[:, -1]])),
        ("You add probabilities", lambda t, s, table, k: step_with(t, s, k, s[:, None] + table[t[:, -1]].exp())),
        ("Every beam continues with its own best token", step_best_of_each),
        (
            "You extend the best beam only",
            lambda t, s, table, k: step_with(t[:1], s, k, s[:1, None] + table[t[:1, -1]]),
        ),
        ("You keep the lowest sums", lambda t, s, table, k: step_with(t, s, k, s[:, None] + table[t[:, -1]], False)),
        ("Beam and token are swapped", step_swapped),
        ("follow the wrong texts", step_old_order),
        ("You look at the first token", lambda t, s, table, k: step_with(t, s, k, s[:, None] + table[t[:, 0]])),
        (
            "You read the table the wrong way round",
            lambda t, s, table, k: step_with(t, s, k, s[:, None] + table[:, t[:, -1]].T),
        ),
        ("With fewer candidates than beams `topk` raises", step_without_min),
        ("You multiply logarithms", lambda t, s, table, k: step_with(t, s, k, s[:, None] * table[t[:, -1]])),
    ],
    "q4": [
        ("You leave the length out of the score", search_with(length=lambda text: 1)),
        ("You count the prompt in the length", search_with(length=lambda text: len(text) + 1)),
        ("Your texts do not end", search_with(end_of=lambda table: None)),
        ("A text that has ended keeps its beam", search_with(refill=False)),
        ("You stop when `beams` texts are finished", search_with(patience="beams")),
        ("You stop at the first text that ends", search_with(patience="first")),
        ("Texts end that are not among the best", search_with(anywhere=True)),
        ("The texts that are alive after the last step are missing", search_with(leftover=False)),
        ("The token that ends a text is missing", search_with(finish=without_the_end)),
        ("Your texts are in the order in which they ended", search_with(finish=lambda scored, beams: scored[:beams])),
        ("Your texts begin with `start`", search_with_start),
        ("The worst text comes first", search_with(finish=lambda scored, beams: sorted(scored)[:beams])),
        ("You return the best text only", search_with(finish=lambda scored, beams: [max(scored)])),
        ("You return all finished texts", search_with(finish=lambda scored, beams: sorted(scored, reverse=True))),
        ("returns nothing", nothing),
    ],
}
