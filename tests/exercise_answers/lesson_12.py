"""Answers to exercise 12 as learners write them: right ones in several ways, and wrong ones with what they are told."""

from collections import Counter

import numpy as np
import torch
from torch.nn.functional import one_hot

from course_utils.engine.penalties import apply_repetition_penalty
from course_utils.engine.stopping import StopRules, StopStringBuffer, mask_eos


def additive_in_a_loop(logits, ids, prompt_length, presence, frequency):
    out = logits.clone()
    for row, text in enumerate(ids[:, prompt_length:].tolist()):
        for token, count in Counter(text).items():
            out[row, token] -= presence + frequency * count
    return out


def additive_one_hot(logits, ids, prompt_length, presence, frequency):
    counts = one_hot(ids[:, prompt_length:], logits.shape[-1]).sum(1).double()
    return logits.double() - frequency * counts - presence * counts.clamp(max=1)


def additive_in_numpy(logits, ids, prompt_length, presence, frequency):
    values, text = logits.numpy().copy(), ids.numpy()[:, prompt_length:]
    counts = (text[:, :, None] == np.arange(values.shape[1])).sum(1)
    return values - np.where(counts > 0, presence, 0) - counts * frequency


def additive_by_adding_at(logits, ids, prompt_length, presence, frequency):
    counts = torch.zeros(len(logits), logits.shape[1])
    new = ids[:, prompt_length:]
    counts.scatter_add_(1, new, torch.ones(new.shape))
    return logits - presence * counts.sign() - frequency * counts


def additive_scaled_presence(logits, ids, prompt_length, presence, frequency):
    out = logits.clone()
    for row, text in enumerate(ids[:, prompt_length:].tolist()):
        for token in text:
            out[row, token] -= presence + frequency
    return out


def additive_by_index(logits, ids, prompt_length, presence, frequency):
    out = logits.clone()
    for row, text in enumerate(ids[:, prompt_length:]):
        out[row, text] -= frequency + presence
    return out


def additive_rewarded(logits, ids, prompt_length, presence, frequency):
    counts = one_hot(ids[:, prompt_length:], logits.shape[-1]).sum(1)
    return logits + presence * (counts > 0) + frequency * counts


def additive_of_the_prompt_too(logits, ids, prompt_length, presence, frequency):
    return additive_one_hot(logits, ids, 0, presence, frequency)


def additive_of_the_prompt(logits, ids, prompt_length, presence, frequency):
    counts = one_hot(ids[:, :prompt_length], logits.shape[-1]).sum(1)
    return logits - presence * (counts > 0) - frequency * counts


def additive_as_in_the_lesson(logits, ids, prompt_length, presence, frequency):
    counts = torch.bincount(ids[0, prompt_length:], minlength=logits.shape[-1])
    return logits - presence * (counts > 0) - frequency * counts


def additive_flattened(logits, ids, prompt_length, presence, frequency):
    counts = torch.bincount(ids[:, prompt_length:].flatten(), minlength=logits.shape[-1])
    return logits - presence * (counts > 0) - frequency * counts


def additive_exchanged(logits, ids, prompt_length, presence, frequency):
    return additive_in_a_loop(logits, ids, prompt_length, frequency, presence)


def additive_in_place(logits, ids, prompt_length, presence, frequency):
    counts = one_hot(ids[:, prompt_length:], logits.shape[-1]).sum(1)
    logits -= presence * (counts > 0) + frequency * counts
    return logits


def repetition_by_index(logits, texts, penalty):
    out = logits.clone()
    for row, text in enumerate(texts):
        chosen = logits[row, text]
        out[row, text] = torch.where(chosen > 0, chosen / penalty, chosen * penalty)
    return out


def repetition_in_lists(logits, texts, penalty):
    rows = []
    for row, text in zip(logits.tolist(), texts, strict=True):
        rows.append(
            [
                value if token not in text else value / penalty if value > 0 else value * penalty
                for token, value in enumerate(row)
            ]
        )
    return rows


def repetition_by_powers(logits, texts, penalty):
    held = torch.tensor([[token in text for token in range(logits.shape[1])] for text in texts]).double()
    return logits.double() * penalty ** (-held * logits.double().sign())


def repetition_always_divided(logits, texts, penalty):
    out = logits.clone()
    for row, text in enumerate(texts):
        out[row, text] = out[row, text] / penalty
    return out


def repetition_always_multiplied(logits, texts, penalty):
    out = logits.clone()
    for row, text in enumerate(texts):
        for token in set(text):
            out[row, token] *= penalty
    return out


def repetition_upside_down(logits, texts, penalty):
    out = logits.clone()
    for row, text in enumerate(texts):
        for token in set(text):
            out[row, token] = out[row, token] / penalty if out[row, token] < 0 else out[row, token] * penalty
    return out


def repetition_again_and_again(logits, texts, penalty):
    out = logits.clone()
    for row in range(len(texts)):
        for token in texts[row]:
            if out[row, token] < 0:
                out[row, token] *= penalty
            else:
                out[row, token] /= penalty
    return out


def repetition_subtracted(logits, texts, penalty):
    out = logits.clone()
    for row, text in enumerate(texts):
        for token in set(text):
            out[row, token] -= penalty
    return out


def repetition_of_everything(logits, texts, penalty):
    return torch.where(logits > 0, logits / penalty, logits * penalty)


def repetition_of_the_first(logits, texts, penalty):
    counts = torch.bincount(torch.tensor(texts[0]), minlength=logits.shape[-1])
    return torch.where(counts > 0, repetition_of_everything(logits, texts, penalty), logits)


def repetition_of_all_texts(logits, texts, penalty):
    tokens = {token for text in texts for token in text}
    return repetition_by_index(logits, [list(tokens) for _ in texts], penalty)


def repetition_in_place(logits, texts, penalty):
    for row, text in enumerate(texts):
        for token in set(text):
            logits[row, token] *= penalty if logits[row, token] < 0 else 1 / penalty
    return logits


def stop_with_find(pieces, stops):
    for count in range(1, len(pieces) + 1):
        text = "".join(pieces[:count])
        found = [place for place in map(text.find, stops) if place >= 0]
        if found:
            return text[: sorted(found)[0]], count
    return "".join(pieces), len(pieces)


def stop_by_ends(pieces, stops):
    """Look for the character with which a stop string ends first, then for its token."""
    text = "".join(pieces)
    ends = {stop: text.index(stop) + len(stop) for stop in stops if stop in text}
    total = 0
    for count, piece in enumerate(pieces, 1):
        total += len(piece)
        starts = [end - len(stop) for stop, end in ends.items() if end <= total]
        if starts:
            return [text[: min(starts)], count]
    return [text, len(pieces)]


def stop_by_splitting(pieces, stops):
    text, count = "", 0
    while count < len(pieces):
        text, count = text + pieces[count], count + 1
        parts = [text.split(stop)[0] for stop in stops if stop in text]
        if parts:
            return min(parts, key=len), count
    return text, count


def stop_in_one_token(pieces, stops):
    text = ""
    for count, piece in enumerate(pieces, 1):
        for stop in stops:
            if stop in piece:
                return text + piece[: min(piece.find(s) for s in stops if s in piece)], count
        text += piece
    return text, len(pieces)


def stop_shown_too(pieces, stops):
    text = ""
    for count, piece in enumerate(pieces, 1):
        text += piece
        found = sorted((text.find(stop), stop) for stop in stops if stop in text)
        if found:
            return text[: found[0][0]] + found[0][1], count
    return text, len(pieces)


def stop_with_all_of_the_token(pieces, stops):
    text = ""
    for count, piece in enumerate(pieces, 1):
        text += piece
        if any(stop in text for stop in stops):
            return text, count
    return text, len(pieces)


def stop_without_the_token(pieces, stops):
    text = ""
    for count, piece in enumerate(pieces, 1):
        if any(stop in text + piece for stop in stops):
            return text, count
        text += piece
    return text, len(pieces)


def stop_counts_everything(pieces, stops):
    return stop_with_find(pieces, stops)[0], len(pieces)


def stop_counts_from_zero(pieces, stops):
    text = ""
    for index, piece in enumerate(pieces):
        text += piece
        places = [text.index(stop) for stop in stops if stop in text]
        if places:
            return text[: min(places)], index
    return text, len(pieces)


def stop_after_stop(pieces, stops):
    for stop in stops:
        text = ""
        for count, piece in enumerate(pieces, 1):
            text += piece
            if stop in text:
                return text.split(stop)[0], count
    return "".join(pieces), len(pieces)


def stop_of_the_list(pieces, stops):
    text = ""
    for count, piece in enumerate(pieces, 1):
        text += piece
        for stop in stops:
            if stop in text:
                return text[: text.find(stop)], count
    return text, len(pieces)


def stop_in_the_whole_text(pieces, stops):
    text = "".join(pieces)
    found = sorted((text.find(stop), len(stop)) for stop in stops if stop in text)
    if not found:
        return text, len(pieces)
    place, length = found[0]
    count = 0
    while len("".join(pieces[:count])) < place + length:
        count += 1
    return text[:place], count


def stop_in_two_tokens(pieces, stops):
    for count in range(1, len(pieces) + 1):
        two = "".join(pieces[max(count - 2, 0) : count])
        if any(stop in two for stop in stops):
            text = "".join(pieces[:count])
            return text[: min(text.find(stop) for stop in stops if stop in text)], count
    return "".join(pieces), len(pieces)


def stop_at_the_end(pieces, stops):
    text = ""
    for count, piece in enumerate(pieces, 1):
        text += piece
        for stop in stops:
            if text.endswith(stop):
                return text.removesuffix(stop), count
    return text, len(pieces)


def end_in_one_go(logits, eos, minimum, maximum):
    masked = logits.double()
    masked[:minimum, eos] = -torch.inf
    ids = masked.argmax(-1)[:maximum].tolist()
    if eos in ids:
        return ids[: ids.index(eos) + 1], "eos"
    return ids, "max_new_tokens"


def end_by_second_best(logits, eos, minimum, maximum):
    ids, reason = [], "max_new_tokens"
    while len(ids) < maximum and reason != "eos":
        best, second = logits[len(ids)].topk(2).indices.tolist()
        ids.append(second if best == eos and len(ids) < minimum else best)
        if ids[-1] == eos:
            reason = "eos"
    return torch.tensor(ids), reason


def end_in_numpy(logits, eos, minimum, maximum):
    ids = []
    for step, row in enumerate(logits.numpy()[:maximum]):
        allowed = [token for token in range(len(row)) if token != eos or step >= minimum]
        ids.append(max(allowed, key=lambda token: row[token]))
        if ids[-1] == eos:
            break
    return [ids, "eos" if ids[-1] == eos else "max_new_tokens"]


def end_with(mask, replaced=-torch.inf, keep=True, reason_first=True, most=0):
    def function(logits, eos, minimum, maximum):
        ids, out = [], logits.clone()
        for step in range(len(out)):
            if mask(step, minimum):
                out[step, eos] = replaced
            token = out[step].argmax().item()
            if not reason_first and step + 1 == maximum:
                return [*ids, token], "max_new_tokens"
            if token == eos:
                return ([*ids, token] if keep else ids), "eos"
            ids.append(token)
            if len(ids) == maximum + most:
                return ids, "max_new_tokens"
        return ids, "max_new_tokens"

    return function


def end_skips(logits, eos, minimum, maximum):
    ids = []
    for row in logits:
        token = int(row.argmax())
        if token == eos and len(ids) < minimum:
            continue
        ids.append(token)
        if token == eos:
            return ids, "eos"
        if len(ids) >= maximum:
            return ids, "max_new_tokens"
    return ids, "max_new_tokens"


def end_goes_on(logits, eos, minimum, maximum):
    out = logits.clone()
    out[:minimum, eos] = -torch.inf
    return out[:maximum].argmax(-1).tolist(), "max_new_tokens"


def end_in_place(logits, eos, minimum, maximum):
    logits[:minimum, eos] = -torch.inf
    return end_in_numpy(logits, eos, minimum, maximum)


def nothing(*arguments):
    list(arguments)


def early(step, minimum):
    return step < minimum


def repetition_by_the_course(logits, texts, penalty):
    rows = [
        apply_repetition_penalty(row[None], torch.tensor([text], dtype=torch.long), penalty)
        for row, text in zip(logits, texts, strict=True)
    ]
    return torch.cat(rows)


def stop_by_the_course(pieces, stops):
    buffer, text = StopStringBuffer(stops), ""
    for count, piece in enumerate(pieces, 1):
        text += buffer.push(piece)
        if buffer.found is not None:
            return text, count
    return text + buffer.finish(), len(pieces)


def end_by_the_course(logits, eos, minimum, maximum):
    rules, ids = StopRules((eos,), maximum), []
    for row in logits:
        if len(ids) < minimum:
            row = mask_eos(row[None], [eos])[0]
        ids.append(row.argmax().item())
        reason = rules.reason(ids)
        if reason:
            return ids, str(reason)


RIGHT = {
    "q1": [additive_in_a_loop, additive_one_hot, additive_in_numpy, additive_by_adding_at],
    "q2": [repetition_by_index, repetition_in_lists, repetition_by_powers, repetition_by_the_course],
    "q3": [stop_with_find, stop_by_ends, stop_by_splitting, stop_by_the_course],
    "q4": [end_in_one_go, end_by_second_best, end_in_numpy, end_by_the_course],
}
WRONG = {
    "q1": [
        ("You scale the presence penalty by the count", additive_scaled_presence),
        ("The frequency penalty is taken only once", additive_by_index),
        ("Wrong sign", additive_rewarded),
        ("You count the prompt, too", additive_of_the_prompt_too),
        ("You count the prompt and leave out the new text", additive_of_the_prompt),
        ("You count the first row only", additive_as_in_the_lesson),
        ("You count the tokens of all rows together", additive_flattened),
        ("You exchange the two", additive_exchanged),
        ("You return probabilities", lambda *arguments: torch.softmax(additive_one_hot(*arguments), dim=1)),
        ("changes what it is given", additive_in_place),
        ("returns nothing", nothing),
    ],
    "q2": [
        ("You always divide", repetition_always_divided),
        ("You always multiply", repetition_always_multiplied),
        ("The sign rule is upside down", repetition_upside_down),
        ("You penalise a token again for every time", repetition_again_and_again),
        ("You subtract", repetition_subtracted),
        ("You penalise the whole vocabulary", repetition_of_everything),
        ("The first text counts for every row", repetition_of_the_first),
        ("The texts of all rows count together", repetition_of_all_texts),
        ("You work on probabilities", lambda x, texts, penalty: repetition_by_index(x.softmax(1), texts, penalty)),
        ("changes what it is given", repetition_in_place),
    ],
    "q3": [
        ("You look at each token on its own", stop_in_one_token),
        ("You look at two neighbours only", stop_in_two_tokens),
        ("You look at the end of the text only", stop_at_the_end),
        ("You return the stop string, too", stop_shown_too),
        ("You return all of the last token", stop_with_all_of_the_token),
        ("You leave out the token that completes", stop_without_the_token),
        ("You count every token that you were given", stop_counts_everything),
        ("The number is one too small", stop_counts_from_zero),
        ("You look for one stop string after the other", stop_after_stop),
        ("One token can complete two stop strings", stop_of_the_list),
        ("the earliest beginning in the whole text", stop_in_the_whole_text),
        (
            "You strip the text",
            lambda pieces, stops: [stop_with_find(pieces, stops)[0].strip(), stop_with_find(pieces, stops)[1]],
        ),
    ],
    "q4": [
        ("Nothing keeps EOS from coming too early", end_with(lambda step, minimum: False)),
        ("EOS may come one step too early", end_with(lambda step, minimum: step < minimum - 1)),
        ("EOS is masked one step too long, even with a minimum of 0", end_with(lambda step, minimum: step <= minimum)),
        ("You mask EOS for ever", end_with(lambda step, minimum: minimum > 0)),
        ("You mask EOS with a logit of 0", end_with(early, replaced=0)),
        ("you write nothing", end_skips),
        ("You continue past EOS", end_goes_on),
        ("You drop EOS", end_with(early, keep=False)),
        ("EOS can be the last token that fits", end_with(early, reason_first=False)),
        ("one token more than `maximum`", end_with(early, most=1)),
        ("changes what it is given", end_in_place),
    ],
}
