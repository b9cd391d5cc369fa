"""Answers to exercise 15 as learners write them: right ones in several ways, and wrong ones with what they are told."""

import math

import torch
from transformers import DynamicCache

from course_utils.engine import beam_search as library
from course_utils.engine.prefill_decode import decode_step, new_cache, next_logits, prefill
from course_utils.engine.running import RunningModel
from course_utils.engine.sampling import FILTERS, apply_min_p, apply_temperature, apply_top_k, apply_top_p, draw_next
from course_utils.engine.settings import GenerationSettings
from course_utils.engine.stopping import StopRules

# q1


def changed_in_a_loop(logits, prompt, new, settings):
    values = logits.tolist()
    for name, setting in settings["penalties"]:
        for token in range(len(values)):
            if name == "repetition_penalty" and token in prompt + new:
                values[token] = values[token] / setting if values[token] > 0 else values[token] * setting
            elif name == "presence_penalty" and token in new:
                values[token] -= setting
            elif name == "frequency_penalty":
                values[token] -= setting * new.count(token)
    if len(new) < settings["min_new_tokens"]:
        for token in settings["eos_ids"]:
            values[token] = -math.inf
    return torch.tensor(values)


def changed_by_counts(logits, prompt, new, settings):
    size = len(logits)
    fresh = torch.bincount(torch.tensor(new, dtype=torch.long), minlength=size)
    everything = torch.bincount(torch.tensor(prompt + new), minlength=size)
    for name, setting in settings["penalties"]:
        if name == "repetition_penalty":
            factor = torch.where(logits > 0, 1 / setting, setting)
            logits = logits * torch.where(everything > 0, factor, 1.0)
        else:
            logits = logits - setting * (fresh if name == "frequency_penalty" else fresh.clamp(max=1))
    is_short = len(new) < settings["min_new_tokens"]
    return logits.index_fill(0, torch.tensor(settings["eos_ids"], dtype=torch.long), -torch.inf) if is_short else logits


def changed_in_doubles(logits, prompt, new, settings):
    logits = logits.double().clone()
    for name, setting in settings["penalties"]:
        match name:
            case "repetition_penalty":
                for token in {*prompt, *new}:
                    logits[token] = logits[token] * setting if logits[token] < 0 else logits[token] / setting
            case "presence_penalty":
                for token in set(new):
                    logits[token] -= setting
            case "frequency_penalty":
                for token in new:
                    logits[token] -= setting
    if len(new) < settings["min_new_tokens"]:
        logits[settings["eos_ids"]] = float("-inf")
    return logits


def changed_with(
    order=list,
    sign=True,
    each=False,
    all_count=False,
    none_count=False,
    plus=False,
    frequency=None,
    short=None,
    eos=list,
):
    def changed(logits, prompt, new, settings):
        logits = logits.clone()
        for name, setting in order(settings["penalties"]):
            counted = new if none_count else prompt + new
            if name == "repetition_penalty":
                for token in counted if each else set(counted):
                    if logits[token] > 0 or not sign:
                        logits[token] /= setting
                    else:
                        logits[token] *= setting
                continue
            counted = prompt + new if all_count else new
            counts_all = name == "frequency_penalty" if frequency is None else frequency
            for token in counted if counts_all else set(counted):
                logits[token] += setting if plus else -setting
        least = settings["min_new_tokens"]
        if short(prompt, new, least) if short else len(new) < least:
            logits[eos(settings["eos_ids"])] = -torch.inf
        return logits

    return changed


def frequency_as_presence(logits, prompt, new, settings):
    return changed_with(frequency=False)(logits, prompt, new, settings)


def presence_as_frequency(logits, prompt, new, settings):
    return changed_with(frequency=True)(logits, prompt, new, settings)


def changed_in_place(logits, prompt, new, settings):
    right = changed_in_a_loop(logits, prompt, new, settings)
    logits.copy_(right)
    return logits


# q2

DEFAULTS = {
    "max_new_tokens": 20, "min_new_tokens": 0, "penalties": [], "eos_ids": [], "stop_strings": [], "do_sample": False,
    "filters": [], "seed": 0,
}  # fmt: skip


@torch.inference_mode()
def generate_of_the_lesson(model, ids, tokenizer, **settings):
    settings = DEFAULTS | settings
    start, unread, cache = ids.shape[1], ids, None
    generator = torch.Generator().manual_seed(settings["seed"])
    for _ in range(settings["max_new_tokens"]):
        output = model(unread, past_key_values=cache, use_cache=True, logits_to_keep=1)
        cache = output.past_key_values
        logits = changed_in_a_loop(output.logits[0, -1], ids[0, :start].tolist(), ids[0, start:].tolist(), settings)[
            None
        ]
        if settings["do_sample"]:
            unread = draw_next(logits, [tuple(pair) for pair in settings["filters"]], generator)[:, None]
        else:
            unread = logits.argmax(-1, keepdim=True)
        ids = torch.cat([ids, unread], dim=1)
        text = tokenizer.decode(ids[0, start:])
        if unread.item() in settings["eos_ids"] or any(stop in text for stop in settings["stop_strings"]):
            break
    return ids


def generate_without_cache(model, ids, tokenizer, **settings):
    settings = DEFAULTS | settings
    prompt, new = ids[0].tolist(), []
    generator = torch.Generator()
    generator.manual_seed(settings["seed"])
    while len(new) < settings["max_new_tokens"]:
        with torch.no_grad():
            logits = model(torch.tensor([prompt + new])).logits[0, -1]
        logits = changed_by_counts(logits, prompt, new, settings)
        if settings["do_sample"]:
            for name, setting in settings["filters"]:
                logits = FILTERS[name](logits, setting)
            token = torch.multinomial(logits.softmax(-1), 1, generator=generator).item()
        else:
            token = logits.argmax().item()
        new.append(token)
        if token in settings["eos_ids"]:
            return torch.tensor([prompt + new])
        for stop in settings["stop_strings"]:
            if stop in tokenizer.decode(new):
                return torch.tensor([prompt + new])
    return torch.tensor([prompt + new])


def generate_by_steps(model, ids, tokenizer, **settings):
    settings = DEFAULTS | settings
    chance = torch.Generator().manual_seed(settings["seed"])
    own = {"temperature": apply_temperature, "top_k": apply_top_k, "top_p": apply_top_p, "min_p": apply_min_p}
    logits, cache = prefill(model, ids)
    new, text = [], ""
    while True:
        row = changed_in_doubles(logits[0], ids[0].tolist(), new, settings).float()
        if settings["do_sample"]:
            for name, setting in settings["filters"]:
                row = own[name](row, setting)
            new.append(torch.multinomial(torch.softmax(row, 0), 1, generator=chance)[0].item())
        else:
            new.append(int(row.topk(1).indices))
        text += tokenizer.decode(new[-1:])
        is_over = new[-1] in settings["eos_ids"] or any(text.find(stop) >= 0 for stop in settings["stop_strings"])
        if is_over or len(new) == settings["max_new_tokens"]:
            return torch.cat([ids, torch.tensor([new])], 1)
        logits = decode_step(model, torch.tensor(new[-1:]), cache)


def generate_with(
    read=None,
    change=changed_in_a_loop,
    order=list,
    draws=None,
    starts_over=False,
    eos=list,
    text_of=None,
    most=None,
    result=None,
):
    def my_generate(model, ids, tokenizer, **settings):
        settings = DEFAULTS | settings
        prompt, new, is_over = ids[0].tolist(), [], False
        chance = torch.Generator().manual_seed(settings["seed"])
        while (
            len(new) < (most(prompt, settings["max_new_tokens"]) if most else settings["max_new_tokens"])
            and not is_over
        ):
            logits = (read or everything)(model, prompt, new)
            logits = change(logits, prompt, new, settings)
            if starts_over:
                chance.manual_seed(settings["seed"])
            if settings["do_sample"] if draws is None else draws:
                for name, setting in order(settings["filters"]):
                    logits = FILTERS[name](logits, setting)
                new.append(torch.multinomial(logits.softmax(-1), 1, generator=chance).item())
            else:
                new.append(logits.argmax().item())
            text = tokenizer.decode(text_of(prompt, new) if text_of else new)
            is_over = new[-1] in eos(settings["eos_ids"]) or any(stop in text for stop in settings["stop_strings"])
        return torch.tensor(result(prompt, new, is_over) if result else [prompt + new])

    return my_generate


@torch.inference_mode()
def greedy_so_far(model, ids, tokenizer, **settings):
    settings = DEFAULTS | settings
    for _ in range(settings["max_new_tokens"]):
        ids = torch.cat([ids, model(ids).logits[:, -1].argmax(-1, keepdim=True)], dim=1)
    return ids


def everything(model, prompt, new):
    return next_logits(model, torch.tensor([prompt + new]), cache=None)[0]


def of_the_prompt(model, prompt, new):
    return next_logits(model, torch.tensor([prompt]), cache=None)[0]


def of_the_newest(model, prompt, new):
    return next_logits(model, torch.tensor([new[-1:] if new else prompt]), cache=None)[0]


def of_the_first_position(model, prompt, new):
    with torch.no_grad():
        return model(torch.tensor([prompt + new])).logits[0, 0]


def generate_filtered_first(model, ids, tokenizer, **settings):
    settings = DEFAULTS | settings
    prompt, new = ids[0].tolist(), []
    chance = torch.Generator().manual_seed(settings["seed"])
    if not settings["do_sample"]:
        return generate_without_cache(model, ids, tokenizer, **settings)
    while len(new) < settings["max_new_tokens"]:
        logits = everything(model, prompt, new)
        for name, setting in settings["filters"]:
            logits = FILTERS[name](logits, setting)
        logits = changed_in_doubles(logits, prompt, new, settings).float()
        new.append(torch.multinomial(logits.softmax(-1), 1, generator=chance).item())
    return torch.tensor([prompt + new])


def my_generate(loaded, ids, settings):
    """The form of an older edition of this exercise."""
    return [36, 73]


of_one_dict = my_generate


def generate_with_torchs_numbers(model, ids, tokenizer, **settings):
    settings = DEFAULTS | settings
    if not settings["do_sample"]:
        return generate_without_cache(model, ids, tokenizer, **settings)
    prompt, new = ids[0].tolist(), []
    while len(new) < settings["max_new_tokens"]:
        logits = changed_in_a_loop(everything(model, prompt, new), prompt, new, settings)
        new.append(draw_next(logits[None], settings["filters"]).item())
    return torch.tensor([prompt + new])


# q3


@torch.inference_mode()
def beams_of_transformers(model, ids, settings):
    prompt, beams, eos = ids[0].tolist(), settings["num_beams"], settings["eos_ids"]
    cache, unread = DynamicCache(config=model.config), ids
    alive, finished = [(0.0, [])], []
    for _ in range(settings["max_new_tokens"]):
        log_probabilities = model(unread, past_key_values=cache, use_cache=True).logits[:, -1].log_softmax(-1)
        candidates = []
        for row, (total, tokens) in enumerate(alive):
            values = changed_by_counts(log_probabilities[row], prompt, tokens, settings).tolist()
            candidates += [(total + value, [*tokens, token], row) for token, value in enumerate(values)]
        candidates.sort(reverse=True)
        finished += [(total, tokens) for total, tokens, _ in candidates[:beams] if tokens[-1] in eos]
        kept = [one for one in candidates if one[1][-1] not in eos][:beams]
        alive = [(total, tokens) for total, tokens, _ in kept]
        cache.reorder_cache(torch.tensor([row for *_, row in kept]))
        unread = torch.tensor([tokens[-1:] for _, tokens in alive])
    scored = [(total / len(tokens) ** settings["length_penalty"], tokens) for total, tokens in finished + alive]
    return sorted(scored, reverse=True)[:beams]


def beams_without_cache(model, ids, settings):
    prompt, beams, power = ids[0].tolist(), settings["num_beams"], settings["length_penalty"]
    texts, sums, finished = [[]], [0.0], []
    for step in range(1, settings["max_new_tokens"] + 1):
        logits = next_logits(model, torch.tensor([prompt + text for text in texts]), None).double()
        rows = [
            changed_in_doubles(row.log_softmax(-1), prompt, text, settings)
            for row, text in zip(logits, texts, strict=True)
        ]
        totals = torch.tensor(sums).double()[:, None] + torch.stack(rows)
        new_texts, new_sums = [], []
        for rank, place in enumerate(totals.flatten().argsort(descending=True).tolist()):
            row, token = divmod(place, totals.shape[1])
            text, total = [*texts[row], token], totals[row, token].item()
            if token in settings["eos_ids"]:
                finished += [[total / step**power, text]] * (rank < beams)
            elif len(new_texts) < beams:
                new_texts.append(text)
                new_sums.append(total)
        texts, sums = new_texts, new_sums
    finished += [[total / len(text) ** power, text] for total, text in zip(sums, texts, strict=True)]
    return sorted(finished, key=lambda pair: pair[0])[::-1][:beams]


def beams_of_the_library(model, ids, settings):
    prompt = ids[0].tolist()

    def process(rows, texts):
        new = texts[:, len(prompt) :].tolist()
        return torch.stack(
            [changed_in_a_loop(row, prompt, text, settings) for row, text in zip(rows, new, strict=True)]
        )

    rules = StopRules(settings["eos_ids"], settings["max_new_tokens"])
    chosen = GenerationSettings(
        num_beams=settings["num_beams"], length_penalty=settings["length_penalty"], early_stopping="never"
    )
    tree = library.beam_search(RunningModel(model, ids), rules, chosen, process)
    return [[text.score, list(tree.path(text.node))] for text in tree.finished]


def beams_with(value=None, follows=True, refill=True, stop=False, anywhere=False, ends=True, power=None, one=False):
    def my_beams(model, ids, settings):
        prompt, beams = ids[0].tolist(), 1 if one else settings["num_beams"]
        eos = settings["eos_ids"] if ends else []
        alive, finished, cache = [(0.0, [], 0)], [], new_cache(model)
        logits = next_logits(model, ids, cache)
        for step in range(settings["max_new_tokens"]):
            if step:
                if follows or cache.keys[0].shape[0] != len(alive):
                    cache.select([row if follows else 0 for *_, row in alive])
                logits = next_logits(model, torch.tensor([tokens[-1:] for _, tokens, _ in alive]), cache)
            candidates = []
            for row, (total, tokens, _) in enumerate(alive):
                values = (value or right_value)(logits[row], prompt, tokens, alive[0][1], settings)
                candidates += [(total + number, [*tokens, token], row) for token, number in enumerate(values.tolist())]
            candidates = sorted(candidates, key=lambda candidate: candidate[0], reverse=True)
            finished += [c[:2] for c in (candidates if anywhere else candidates[:beams]) if c[1][-1] in eos]
            alive = [c for c in (candidates if refill else candidates[:beams]) if c[1][-1] not in eos][:beams]
            if not alive or (stop and len(finished) >= beams):
                break
        finished += [c[:2] for c in alive]
        exponent = settings["length_penalty"] if power is None else power
        return sorted([[total / len(tokens) ** exponent, tokens] for total, tokens in finished], reverse=True)[:beams]

    return my_beams


def right_value(logits, prompt, tokens, first, settings):
    return changed_in_a_loop(logits.log_softmax(-1), prompt, tokens, settings)


# q4


@torch.inference_mode()
def checked_in_a_loop(model, ids, guesses):
    logits = model(torch.cat([ids, torch.tensor([guesses])], dim=1)).logits[0]
    tokens, place = [], ids.shape[1] - 1
    for guess in guesses:
        token = logits[place].argmax().item()
        tokens.append(token)
        if token != guess:
            return tokens
        place += 1
    return [*tokens, logits[place].argmax().item()]


def checked_by_cumprod(model, ids, guesses):
    guesses = torch.tensor(guesses)
    own = model(torch.cat([ids, guesses[None]], dim=1)).logits[0, -len(guesses) - 1 :].argmax(-1)
    count = (own[:-1] == guesses).long().cumprod(0).sum()
    return own[: count + 1]


def checked_token_by_token(model, ids, guesses):
    tokens = []
    for guess in [*guesses, None]:
        token = next_logits(model, torch.tensor([ids[0].tolist() + tokens]), None).argmax().item()
        tokens.append(token)
        if token != guess:
            break
    return tokens


def own_and_guesses(model, ids, guesses, first=-1):
    with torch.no_grad():
        logits = model(torch.cat([ids, torch.tensor([guesses])], 1)).logits[0, ids.shape[1] + first :]
    return logits.argmax(-1).tolist()


def checked_shifted(model, ids, guesses):
    own, tokens = own_and_guesses(model, ids, guesses, 0), []
    for token, guess in zip(own, guesses, strict=True):
        tokens.append(token)
        if token != guess:
            break
    return tokens


def checked_behind_a_wrong_one(model, ids, guesses):
    own = own_and_guesses(model, ids, guesses)
    return [guess for guess, token in zip(guesses, own[:-1], strict=True) if guess == token] + [own[-1]]


@torch.inference_mode()
def checked_by_len(model, ids, guesses):
    own = model(torch.cat([ids, torch.tensor([guesses])], 1)).logits[0].argmax(-1).tolist()
    tokens = []
    for place, guess in enumerate(guesses):
        tokens.append(own[len(ids) - 1 + place])
        if tokens[-1] != guess:
            return tokens
    return [*tokens, own[len(ids) - 1 + len(guesses)]]


def checked_without_own(model, ids, guesses):
    tokens = checked_in_a_loop(model, ids, guesses)
    return tokens[:-1]


def checked_with_the_last(model, ids, guesses):
    return checked_in_a_loop(model, ids, guesses)[:-1] + own_and_guesses(model, ids, guesses)[-1:]


def checked_keeps_the_wrong_one(model, ids, guesses):
    count = len(checked_in_a_loop(model, ids, guesses))
    return guesses[:count] if count <= len(guesses) else guesses + own_and_guesses(model, ids, guesses)[-1:]


def checked_keeps_all(model, ids, guesses):
    return [*guesses, own_and_guesses(model, ids, guesses)[-1]]


def nothing(*arguments, **settings):
    sum(range(3))


RIGHT = {
    "q1": [changed_in_a_loop, changed_by_counts, changed_in_doubles],
    "q2": [generate_of_the_lesson, generate_without_cache, generate_by_steps],
    "q3": [beams_of_transformers, beams_with(), beams_of_the_library],
    "q4": [checked_in_a_loop, checked_by_cumprod, checked_token_by_token],
}
WRONG = {
    "q1": [
        ("The sign rule", changed_with(sign=False)),
        ("is divided twice", changed_with(each=True)),
        ("The sign: presence and frequency", changed_with(plus=True)),
        ("A frequency penalty counts", frequency_as_presence),
        ("A presence penalty does not count", presence_as_frequency),
        ("The prompt counts for the repetition penalty only", changed_with(all_count=True)),
        ("it looks at prompt and new tokens", changed_with(none_count=True)),
        ("You go through the list backwards", changed_with(order=reversed)),
        ("min_new_tokens has no effect", changed_with(short=lambda prompt, new, least: False)),
        ("The prompt counts for your min_new_tokens", changed_with(short=lambda p, new, least: len(p + new) < least)),
        ("may end (`<`, not `<=`)", changed_with(short=lambda prompt, new, least: len(new) <= least)),
        ("You mask one token", changed_with(eos=lambda eos: eos[:1])),
        ("changes what it is given", changed_in_place),
    ],
    "q2": [
        ("the logits of the first position", generate_with(read=of_the_first_position)),
        ("Every step chooses after the prompt", generate_with(read=of_the_prompt)),
        ("A step has forgotten the text", generate_with(read=of_the_newest)),
        ("The prompt counts for your max_new_tokens", generate_with(most=lambda prompt, most: most - len(prompt))),
        ("So far this is greedy search", greedy_so_far),
        (
            "neither end early nor are they drawn",
            generate_with(eos=lambda eos: [], text_of=lambda p, new: [], draws=False),
        ),
        ("So far stop strings do not end a text", generate_with(text_of=lambda prompt, new: [], draws=False)),
        ("The logits are not changed", generate_with(change=lambda logits, *rest: logits)),
        ("Your text does not end at eos_ids", generate_with(eos=lambda eos: [])),
        ("Only the first of the eos_ids", generate_with(eos=lambda eos: eos[:1])),
        (
            "The token that ends a text is missing",
            generate_with(result=lambda prompt, new, over: [prompt + (new[:-1] if over else new)]),
        ),
        ("The prompt is missing", generate_with(result=lambda prompt, new, over: new)),
        ("The prompt is missing", generate_with(result=lambda prompt, new, over: [new])),
        ("in one row without a batch", generate_with(result=lambda prompt, new, over: prompt + new)),
        ("is called as `my_generate(model, ids, tokenizer, **settings)`", of_one_dict),
        ("Stop strings have no effect", generate_with(text_of=lambda prompt, new: [])),
        ("in the newest token", generate_with(text_of=lambda prompt, new: new[-1:])),
        ("in the prompt, too", generate_with(text_of=lambda prompt, new: prompt + new)),
        (
            "an order of your own",
            generate_with(order=lambda pairs: sorted(pairs, key=lambda pair: [*FILTERS].index(pair[0]))),
        ),
        ("The filters have no effect", generate_with(order=lambda pairs: [])),
        ("You filter first and change afterwards", generate_filtered_first),
        ("Nothing is drawn", generate_with(draws=False)),
        ("yours draws", generate_with(draws=True)),
        ("The generator starts over", generate_with(starts_over=True)),
        ("torch's own random numbers", generate_with_torchs_numbers),
        ("returns nothing", nothing),
    ],
    "q3": [
        ("reads at most 4 tokens of a text at once", beams_without_cache),
        ("The cache does not follow the beams", beams_with(follows=False)),
        ("You add logits", beams_with(lambda x, p, t, first, s: changed_in_a_loop(x, p, t, s))),
        (
            "take the log-softmax afterwards",
            beams_with(lambda x, p, t, first, s: changed_in_a_loop(x, p, t, s).log_softmax(-1)),
        ),
        ("Your beams are not changed", beams_with(lambda x, p, t, first, s: x.log_softmax(-1))),
        ("the text of the first", beams_with(lambda x, p, t, first, s: right_value(x, p, first, first, s))),
        ("This is greedy search", beams_with(one=True)),
        ("The length is missing from the score", beams_with(power=0)),
        ("Your score is the mean", beams_with(power=1)),
        ("Your texts do not end", beams_with(ends=False)),
        ("keeps its beam", beams_with(refill=False)),
        ("You stop when num_beams texts", beams_with(stop=True)),
        ("Texts end that are not among the best", beams_with(anywhere=True)),
    ],
    "q4": [
        ("Off by one", checked_shifted),
        ("the number of tokens is `ids.shape[1]`", checked_by_len),
        ("A right guess after a wrong one", checked_behind_a_wrong_one),
        ("You return the right guesses only", checked_without_own),
        ("you take the token that the last position chose", checked_with_the_last),
        ("You keep the first wrong guess", checked_keeps_the_wrong_one),
        ("You keep all guesses", checked_keeps_all),
        ("You return all that the model chose", own_and_guesses),
        ("return the tokens", lambda model, ids, guesses: len(checked_in_a_loop(model, ids, guesses)) - 1),
    ],
}
