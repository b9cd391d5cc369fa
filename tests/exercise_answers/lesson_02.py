"""Answers to exercise 02 as learners write them: right ones in several ways, and wrong ones with what they are told."""

import math

import numpy as np
import torch


def refuses(answer):
    return any(words in answer for words in ("not know", "no such"))


def shares_in_a_loop(answers, truths):
    real = nothing = right = refused = invented = 0
    for answer, truth in zip(answers, truths, strict=True):
        if truth is None:
            nothing += 1
            if not refuses(answer):
                invented += 1
        else:
            real += 1
            if truth in answer:
                right += 1
            elif refuses(answer):
                refused += 1
    return {"right": right / real, "refused": refused / real, "invented": invented / nothing}


def shares_in_numpy(answers, truths):
    is_real = np.array([truth is not None for truth in truths])
    no = np.array([refuses(answer) for answer in answers])
    hit = np.array([bool(truth) and answer.find(truth) >= 0 for answer, truth in zip(answers, truths, strict=True)])
    return {"invented": 1 - no[~is_real].mean(), "right": hit[is_real].mean(), "refused": no[is_real].mean()}


def shares_in_torch(answers, truths):
    real = torch.tensor([truth is not None for truth in truths])
    no = torch.tensor([refuses(answer) for answer in answers])
    hit = torch.tensor([str(truth) in answer for answer, truth in zip(answers, truths, strict=True)])
    share = lambda which, among: (which & among).sum() / among.sum()  # noqa: E731
    return {"right": share(hit, real), "refused": share(no, real), "invented": share(~no, ~real)}


def shares_with(answers, truths, **changed):
    return shares_in_a_loop(answers, truths) | changed


def split(answers, truths):
    real = [(a, t) for a, t in zip(answers, truths, strict=True) if t is not None]
    return real, [a for a, t in zip(answers, truths, strict=True) if t is None]


def shares_of_all(answers, truths):
    real, nothing = split(answers, truths)
    right = len([1 for answer, truth in real if truth in answer])
    refused = len([1 for answer, truth in real if refuses(answer)])
    invented = len([answer for answer in nothing if not refuses(answer)])
    return {"right": right / len(truths), "refused": refused / len(truths), "invented": invented / len(truths)}


def shares_of_equal_texts(answers, truths):
    real, _ = split(answers, truths)
    return shares_with(answers, truths, right=sum(answer == truth for answer, truth in real) / len(real))


def shares_of_refusals(answers, truths):
    _, nothing = split(answers, truths)
    return shares_with(answers, truths, invented=sum(map(refuses, nothing)) / len(nothing))


def shares_with_all_refusals(answers, truths):
    return shares_with(answers, truths, refused=np.mean([refuses(answer) for answer in answers]))


def shares_of_given_answers(answers, truths):
    given = [(answer, truth) for answer, truth in split(answers, truths)[0] if not refuses(answer)]
    return shares_with(answers, truths, right=sum(truth in answer for answer, truth in given) / len(given))


def shares_with_one_refusal(answers, truths):
    real, nothing = split(answers, truths)
    refused = sum("not know" in answer for answer, _ in real) / len(real)
    invented = sum("not know" not in answer for answer in nothing) / len(nothing)
    return shares_with(answers, truths, refused=refused, invented=invented)


def shares_as_counts(answers, truths):
    real, nothing = split(answers, truths)
    found = {"right": sum(truth in answer for answer, truth in real), "refused": sum(refuses(a) for a, _ in real)}
    return found | {"invented": sum(not refuses(answer) for answer in nothing)}


def probability_step_by_step(model, prompt, answer):
    ids, probability = model.encode(prompt), 1.0
    for token in model.encode(answer)[0].tolist():
        probability *= model.model(ids).logits[0, -1].softmax(-1)[token].item()
        ids = torch.cat([ids, torch.tensor([[token]])], 1)
    return probability


def probability_by_logs(model, prompt, answer):
    asked, answered = model.encode(prompt)[0].tolist(), model.encode(answer)[0].tolist()
    logs = model.model(torch.tensor([asked + answered])).logits.double().log_softmax(-1)[0]
    return math.exp(sum(logs[len(asked) - 1 + place, token].item() for place, token in enumerate(answered)))


def probability_by_loss(model, prompt, answer):
    asked, answered = model.encode(prompt), model.encode(answer)
    ids = torch.cat((asked, answered), dim=1)
    labels = ids.clone()
    labels[:, : asked.shape[1]] = -100
    return (-model.model(ids, labels=labels).loss * answered.shape[1]).exp()


def chances(model, prompt, answer, shift=1):
    asked, answered = model.encode(prompt), model.encode(answer)
    start = asked.shape[1] - shift
    table = model.model(torch.cat([asked, answered], 1)).logits[0].softmax(-1)
    return torch.stack([table[start + place, token] for place, token in enumerate(answered[0])])


def probability_with_the_prompt(model, prompt, answer):
    ids = torch.cat([model.encode(prompt), model.encode(answer)], 1)
    table = model.model(ids).logits[0, :-1].softmax(-1)
    return table.gather(-1, ids[0, 1:, None]).prod()


def probability_from_one_row(model, prompt, answer):
    row = model.model(model.encode(prompt)).logits[0, -1].softmax(-1)
    return math.prod(row[token].item() for token in model.encode(answer)[0])


def probability_of_the_best(model, prompt, answer):
    asked, answered = model.encode(prompt), model.encode(answer)
    rows = model.model(torch.cat([asked, answered], 1)).logits[0, asked.shape[1] - 1 : -1].softmax(-1)
    return rows.max(-1).values.prod()


def probability_of_logits(model, prompt, answer):
    asked, answered = model.encode(prompt), model.encode(answer)
    rows = model.model(torch.cat([asked, answered], 1)).logits[0, asked.shape[1] - 1 : -1]
    return math.prod(row[token].item() for row, token in zip(rows, answered[0], strict=True))


def gap_in_numpy(probabilities, right, bins):
    values, hits = np.array(probabilities), np.array(right, dtype=float)
    places = np.minimum((values * bins).astype(int), bins - 1)
    return sum(abs(values[places == p].mean() - hits[places == p].mean()) * (places == p).mean() for p in set(places))


def gap_by_sums(probabilities, right, bins):
    sums = [0.0] * bins
    for probability, is_right in zip(probabilities, right, strict=True):
        sums[min(math.floor(probability * bins), bins - 1)] += probability - is_right
    return sum(map(abs, sums)) / len(probabilities)


def gap_in_torch(probabilities, right, bins):
    values, hits = torch.tensor(probabilities, dtype=torch.float64), torch.tensor(right).double()
    edges = torch.linspace(0, 1, bins + 1, dtype=torch.float64)
    total = 0
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        inside = (values >= low) & ((values < high) | (high == 1))
        if inside.any():
            total += (values[inside].mean() - hits[inside].mean()).abs() * inside.sum() / len(values)
    return total


def rows(probabilities, right, bins, last=True):
    """(answers, mean, share) of each bin with answers."""
    found = []
    for place in range(bins):
        pairs = [
            (p, hit) for p, hit in zip(probabilities, right, strict=True)
            if place / bins <= p < (place + 1) / bins or (last and p == 1 and place == bins - 1)
        ]  # fmt: skip
        if pairs:
            found.append((len(pairs), np.mean([p for p, _ in pairs]), np.mean([hit for _, hit in pairs])))
    return found


def gap_of_all(probabilities, right, bins):
    return abs(sum(probabilities) / len(probabilities) - sum(right) / len(right))


def gap_with_signs(probabilities, right, bins):
    return sum(count * (mean - share) for count, mean, share in rows(probabilities, right, bins)) / len(right)


def gap_unweighted(probabilities, right, bins):
    return np.mean([abs(mean - share) for _, mean, share in rows(probabilities, right, bins)])


def gap_over_bins(probabilities, right, bins):
    return sum(abs(mean - share) for _, mean, share in rows(probabilities, right, bins)) / bins


def gap_without_ones(probabilities, right, bins):
    return sum(n * abs(mean - share) for n, mean, share in rows(probabilities, right, bins, last=False)) / len(right)


def gap_in_lists(probabilities, right, bins):
    filled = [[] for _ in range(bins)]
    for probability, hit in zip(probabilities, right, strict=True):
        filled[int(probability * bins)].append((probability, hit))
    return sum(abs(sum(p for p, _ in own) - sum(hit for _, hit in own)) for own in filled) / len(right)


def gap_of_each(probabilities, right, bins):
    return np.abs(np.array(probabilities) - np.array(right)).mean()


def gap_summed(probabilities, right, bins):
    total = 0
    for _, mean, share in rows(probabilities, right, bins):
        total += abs(share - mean)
    return total


def bias_in_a_loop(probabilities):
    means = []
    for occupation in range(probabilities.shape[1]):
        pairs = probabilities[:, occupation].tolist()
        means.append(sum(she / (she + he) for she, he in pairs) / len(pairs))
    return {"level": sum(means) / len(means), "bias": sum(2 * abs(mean - 0.5) for mean in means) / len(means)}


def bias_in_numpy(probabilities):
    values = probabilities.numpy().astype(np.float64)
    means = (values[:, :, 0] / (values[:, :, 0] + values[:, :, 1])).mean(axis=0)
    return {"bias": np.abs(2 * means - 1).mean(), "level": means.mean()}


def bias_by_difference(probabilities):
    she, he = probabilities.double().unbind(-1)
    lean = ((she - he) / (she + he)).mean(dim=0)
    return {"level": 0.5 + lean.mean() / 2, "bias": lean.abs().mean().item()}


def bias_of(means, distances=None):
    return {"level": means.mean(), "bias": (2 * (means - 0.5).abs() if distances is None else distances).mean()}


def share(probabilities):
    return probabilities[..., 0] / (probabilities[..., 0] + probabilities[..., 1])


def bias_of_sums(probabilities):
    she, he = probabilities.sum(0).T
    return bias_of(she / (she + he))


def nothing(*arguments):
    sum(map(id, arguments))


RIGHT = {
    "q1": [shares_in_a_loop, shares_in_numpy, shares_in_torch],
    "q2": [probability_step_by_step, probability_by_logs, probability_by_loss],
    "q3": [gap_in_numpy, gap_by_sums, gap_in_torch],
    "q4": [bias_in_a_loop, bias_in_numpy, bias_by_difference],
}
WRONG = {
    "q1": [
        ("You divide by all questions", shares_of_all),
        ("You ask for an answer that equals the truth", shares_of_equal_texts),
        ("“invented” is the share of refusals", shares_of_refusals),
        ("You count refusals of things that do not exist", shares_with_all_refusals),
        ("You leave refusals out of “right”", shares_of_given_answers),
        ("You know one refusal only", shares_with_one_refusal),
        ("You return counts", shares_as_counts),
        ("returns nothing", nothing),
    ],
    "q2": [
        ("You read the logits at the token itself", lambda *case: chances(*case, shift=0).prod()),
        ("You add up the probabilities", lambda *case: sum(chances(*case).tolist())),
        ("You take the mean", lambda *case: np.mean(chances(*case).tolist())),
        ("You return a log-probability", lambda *case: torch.log(chances(*case)).sum()),
        ("first token only", lambda *case: chances(*case)[0].item()),
        ("last token only", lambda *case: chances(*case)[-1]),
        ("You leave out the first token", lambda *case: math.prod(chances(*case).tolist()[1:])),
        ("The tokens of the prompt are in your product", probability_with_the_prompt),
        ("in the distribution after the prompt", probability_from_one_row),
        ("You take the most probable token", probability_of_the_best),
        ("You multiply logits", probability_of_logits),
    ],
    "q3": [
        ("You compare means over all answers", gap_of_all),
        ("Gaps of different signs cancel", gap_with_signs),
        ("Each bin counts alike", gap_unweighted),
        ("also the empty ones", gap_over_bins),
        ("A probability of 1 falls out", gap_without_ones),
        ("one bin too far", gap_in_lists),
        ("the distance of every single answer", gap_of_each),
        ("You add up the gaps", gap_summed),
        ("Two things", lambda p, right, bins: np.mean([abs(a - b) for _, a, b in rows(p, right, bins, last=False)])),
    ],
    "q4": [
        ("You use P(she) itself", lambda p: bias_of(p[:, :, 0].mean(0))),
        ("You measure “he”", lambda p: bias_of((p[..., 1] / p.sum(-1)).mean(0))),
        ("You average the probabilities over the sentences first", bias_of_sums),
        ("Your occupations cancel", lambda p: bias_of(share(p).mean(0), 2 * share(p).mean(0) - 1)),
        ("before the mean over the sentences", lambda p: bias_of(share(p).mean(0), (2 * share(p) - 1).abs())),
        ("the mean over all occupations", lambda p: bias_of(share(p).mean(0), (2 * share(p).mean() - 1).abs())),
        ("Your bias ends at 0.5", lambda p: bias_of(share(p).mean(0), (share(p).mean(0) - 0.5).abs())),
        (
            "from the model's own level",
            lambda p: bias_of(share(p).mean(0), 2 * (share(p).mean(0) - share(p).mean()).abs()),
        ),
    ],
}
