"""Answers to exercise 10 as learners write them: right ones in several ways, and wrong ones with what they are told."""

import math

import torch
from transformers import DynamicCache

from course_utils.engine.prefill_decode import crop_cache, decode_step, new_cache, next_logits, prefill

# q1


def fit_by_division(shape, memory, texts):
    head = shape["hidden_size"] // shape["query_heads"]
    token = 2 * shape["layers"] * shape["kv_heads"] * head * shape["bytes_per_number"]
    return memory // texts // token


def fit_by_floor(shape, memory, texts):
    group = shape["query_heads"] / shape["kv_heads"]
    token = shape["hidden_size"] / group * 2 * shape["bytes_per_number"] * shape["layers"]
    return math.floor(memory / token / texts)


def fit_by_counting(shape, memory, texts):
    token = 0
    for _ in range(shape["layers"]):
        for _ in range(shape["kv_heads"]):
            token += 2 * (shape["hidden_size"] // shape["query_heads"]) * shape["bytes_per_number"]
    count = 0
    while (count + 1) * token * texts <= memory:
        count += 1
    return count


def fit_in_torch(shape, memory, texts):
    sizes = torch.tensor(
        [2, shape["layers"], shape["kv_heads"], shape["hidden_size"], shape["bytes_per_number"], texts]
    )
    return torch.tensor(memory * shape["query_heads"]) // sizes.prod()


def fit_without_values(shape, memory, texts):
    head = shape["hidden_size"] // shape["query_heads"]
    return memory // (texts * shape["layers"] * shape["kv_heads"] * head * shape["bytes_per_number"])


def fit_of_query_heads(shape, memory, texts):
    head = shape["hidden_size"] // shape["query_heads"]
    return memory // (texts * 2 * shape["layers"] * shape["query_heads"] * head * shape["bytes_per_number"])


def fit_with_wide_heads(shape, memory, texts):
    return memory // (
        texts * 2 * shape["layers"] * shape["kv_heads"] * shape["hidden_size"] * shape["bytes_per_number"]
    )


def fit_with_heads_of_64(shape, memory, texts):
    return memory // (2 * texts * shape["layers"] * shape["kv_heads"] * 64 * shape["bytes_per_number"])


def fit_in_numbers(shape, memory, texts):
    return memory // (2 * texts * shape["layers"] * shape["kv_heads"] * (shape["hidden_size"] // shape["query_heads"]))


def fit_of_one_layer(shape, memory, texts):
    return fit_by_division({**shape, "layers": 1}, memory, texts)


def fit_for_one_text(shape, memory, texts):
    return fit_by_division(shape, memory, 1)


def fit_with_a_rest(shape, memory, texts):
    return memory / (fit_token(shape) * texts)


def fit_rounded(shape, memory, texts):
    return round(memory / fit_token(shape) / texts)


def fit_token(shape):
    return (
        2
        * shape["layers"]
        * shape["kv_heads"]
        * (shape["hidden_size"] // shape["query_heads"])
        * shape["bytes_per_number"]
    )


# q2


@torch.inference_mode()
def greedy_of_transformers(loaded, prompt, new_tokens):
    unread, cache, found = loaded.encode(prompt), None, {"tokens": [], "read": [], "kept": []}
    for _ in range(new_tokens):
        output = loaded.model(unread, past_key_values=cache, use_cache=True)
        cache = output.past_key_values
        found["read"].append(unread.shape[1])
        found["kept"].append(cache.get_seq_length())
        unread = output.logits[:, -1:].argmax(-1)
        found["tokens"].append(unread.item())
    return found


def greedy_of_the_lesson(loaded, prompt, new_tokens):
    ids = loaded.encode(prompt)
    logits, cache = prefill(loaded.model, ids)
    tokens, read, kept = [logits.argmax(-1)], [ids.shape[1]], [cache.length]
    while len(tokens) < new_tokens:
        logits = decode_step(loaded.model, tokens[-1], cache)
        tokens.append(logits.argmax(-1))
        read += [1]
        kept += [cache.length]
    return {"tokens": torch.cat(tokens), "read": read, "kept": kept}


def greedy_cut_by_the_cache(loaded, prompt, new_tokens):
    text = loaded.encode(prompt)[0].tolist()
    cache, start = DynamicCache(), len(text)
    read, kept = [], []
    for _ in range(new_tokens):
        rest = text[cache.get_seq_length() :]
        with torch.no_grad():
            logits = loaded.model(torch.tensor([rest]), past_key_values=cache).logits[0, -1]
        text.append(int(logits.argmax()))
        read.append(len(rest))
        kept.append(cache.get_seq_length())
    return dict(tokens=text[start:], read=read, kept=kept)


def greedy_loop(loaded, prompt, new_tokens, which, keeps=True, position=-1):
    ids, cache, found = loaded.encode(prompt), None, {"tokens": [], "read": [], "kept": []}
    for step in range(new_tokens):
        inputs = which(ids, step)
        output = loaded.model(inputs, past_key_values=cache, use_cache=True)
        found["read"].append(inputs.shape[1])
        found["kept"].append(output.past_key_values.get_seq_length())
        cache = output.past_key_values if keeps else None
        token = output.logits[:, position].argmax(-1, keepdim=True)
        found["tokens"].append(token.item())
        ids = torch.cat([ids, token], dim=1)
    return found


def greedy_reads_all_and_keeps(loaded, prompt, new_tokens):
    return greedy_loop(loaded, prompt, new_tokens, lambda ids, step: ids)


def greedy_without_cache(loaded, prompt, new_tokens):
    return greedy_loop(loaded, prompt, new_tokens, lambda ids, step: ids, keeps=False)


def greedy_forgets(loaded, prompt, new_tokens):
    return greedy_loop(loaded, prompt, new_tokens, lambda ids, step: ids[:, -1:] if step else ids, keeps=False)


def greedy_late(loaded, prompt, new_tokens):
    return greedy_loop(loaded, prompt, new_tokens, lambda ids, step: ids[:, [-2]] if step else ids)


def greedy_reads_two(loaded, prompt, new_tokens):
    return greedy_loop(loaded, prompt, new_tokens, lambda ids, step: ids[:, -2:] if step else ids)


def greedy_of_the_first_position(loaded, prompt, new_tokens):
    return greedy_loop(loaded, prompt, new_tokens, lambda ids, step: ids[:, -1:] if step else ids, position=0)


def greedy_reads_the_last_token(loaded, prompt, new_tokens):
    found = greedy_of_transformers(loaded, prompt, new_tokens + 1)
    return found | {"tokens": found["tokens"][:-1]}


def greedy_with_the_prompt(loaded, prompt, new_tokens):
    found = greedy_of_transformers(loaded, prompt, new_tokens)
    return found | {"tokens": loaded.encode(prompt)[0].tolist() + found["tokens"]}


def greedy_notes_before(loaded, prompt, new_tokens):
    ids, cache, found = loaded.encode(prompt), new_cache(loaded.model), {"tokens": [], "read": [], "kept": []}
    for _ in range(new_tokens):
        found["kept"].append(cache.length)
        found["read"].append(ids.shape[1])
        ids = next_logits(loaded.model, ids, cache).argmax(-1, keepdim=True)
        found["tokens"].append(ids.item())
    return found


# q3


def unread_by_walking(kept, prompt):
    place = 0
    while place < len(prompt) - 1 and place < len(kept) and kept[place] == prompt[place]:
        place += 1
    return prompt[place:]


def unread_by_slices(kept, prompt):
    most = min(len(kept), len(prompt) - 1)
    return next(prompt[count:] for count in range(most, -1, -1) if kept[:count] == prompt[:count])


def unread_in_torch(kept, prompt):
    most = min(len(kept), len(prompt) - 1)
    equal = torch.tensor(kept[:most]) == torch.tensor(prompt[:most])
    return torch.tensor(prompt)[int(equal.long().cumprod(0).sum()) :]


def unread_nothing(kept, prompt):
    place = 0
    for one, other in zip(kept, prompt):  # noqa: B905
        if one != other:
            break
        place += 1
    return prompt[place:]


def unread_behind_the_end(kept, prompt):
    for place in range(len(prompt)):
        if prompt[place] != kept[place]:
            return prompt[place:]
    return prompt[-1:]


def unread_of_equal_places(kept, prompt):
    same = sum(a == b for a, b in zip(kept, prompt))  # noqa: B905
    return prompt[min(same, len(prompt) - 1) :]


def unread_of_any_place(kept, prompt):
    rest = [token for token in prompt if token not in set(kept)]
    return rest if rest else [prompt[-1]]


def unread_behind_the_cache(kept, prompt):
    return prompt[len(kept) :] or prompt[-1:]


def unread_one_later(kept, prompt):
    return unread_by_walking(kept, prompt)[1:] or prompt[-1:]


def unread_shared(kept, prompt):
    return prompt[: len(prompt) - len(unread_by_walking(kept, prompt))]


# q4


def answers_of_the_lesson(loaded, prompts, new_tokens):
    cache, held, found = new_cache(loaded.model), [], []
    for prompt in prompts:
        rest = unread_by_walking(held, prompt)
        cache.crop(len(prompt) - len(rest))
        logits = next_logits(loaded.model, torch.tensor([rest]), cache)
        tokens = [logits.argmax().item()]
        for _ in range(new_tokens - 1):
            logits = decode_step(loaded.model, torch.tensor([tokens[-1]]), cache)
            tokens.append(logits.argmax().item())
        held = prompt + tokens[:-1]
        found.append({"tokens": tokens, "read": len(rest)})
    return found


def answers_of_transformers(loaded, prompts, new_tokens):
    cache, held, found = DynamicCache(config=loaded.model.config), [], []
    for prompt in prompts:
        text = list(prompt)
        crop_cache(cache, len(prompt) - len(unread_by_slices(held, prompt)))
        read = len(prompt) - cache.get_seq_length()
        for _ in range(new_tokens):
            inputs = torch.tensor([text[cache.get_seq_length() :]])
            text.append(int(loaded.model(inputs, past_key_values=cache).logits[0, -1].argmax()))
        held = text[:-1]
        found.append({"read": read, "tokens": torch.tensor(text[len(prompt) :])})
    return found


def answers_from_copies(loaded, prompts, new_tokens):
    kept, found = [], []  # everything that was ever read is a cache of its own
    for prompt in prompts:
        cache = new_cache(loaded.model)
        if kept:
            held, last = kept[-1]
            rest = unread_by_walking(held, prompt)
            cache = last.copy()
            cache.crop(len(prompt) - len(rest))
        before = cache.length
        logits, cache = prefill(loaded.model, torch.tensor([prompt]), cache)
        tokens = logits.argmax(-1)
        while len(tokens) < new_tokens:
            tokens = torch.cat([tokens, decode_step(loaded.model, tokens[-1:], cache).argmax(-1)])
        kept.append((prompt + tokens[:-1].tolist(), cache))
        found.append(dict(tokens=tokens.tolist(), read=len(prompt) - before))
    return found


def write(loaded, logits, cache, new_tokens):
    tokens = [logits.argmax().item()]
    while len(tokens) < new_tokens:
        tokens.append(decode_step(loaded.model, torch.tensor(tokens[-1:]), cache).argmax().item())
    return tokens


def answers_from_scratch(loaded, prompts, new_tokens):
    found = []
    for prompt in prompts:
        logits, cache = prefill(loaded.model, torch.tensor([prompt]))
        found.append({"tokens": write(loaded, logits, cache, new_tokens), "read": len(prompt)})
    return found


def answers_without_crop(loaded, prompts, new_tokens):
    cache, found = new_cache(loaded.model), []
    for prompt in prompts:
        length = cache.length
        logits, cache = prefill(loaded.model, torch.tensor([prompt]), cache)
        found.append({"tokens": write(loaded, logits, cache, new_tokens), "read": len(prompt) - length})
    return found


def answers_behind_the_old(loaded, prompts, new_tokens):
    cache, held, found = new_cache(loaded.model), [], []
    for prompt in prompts:
        rest = unread_by_walking(held, prompt)
        tokens = write(loaded, next_logits(loaded.model, torch.tensor([rest]), cache), cache, new_tokens)
        held = prompt + tokens[:-1]
        found.append({"tokens": tokens, "read": len(rest)})
    return found


def answers_with(holds, rest_of):
    def answers(loaded, prompts, new_tokens):
        cache, held, found = new_cache(loaded.model), [], []
        for prompt in prompts:
            keep = len(prompt) - len(rest_of(held, prompt))
            cache.crop(keep)
            logits, cache = prefill(loaded.model, torch.tensor([prompt]), cache)
            tokens = write(loaded, logits, cache, new_tokens)
            held = holds(prompt, tokens)
            found.append({"tokens": tokens, "read": len(prompt) - keep})
        return found

    return answers


def answers_with_what_is_kept(loaded, prompts, new_tokens):
    found = answers_of_the_lesson(loaded, prompts, new_tokens)
    return [one | {"read": len(prompt) - one["read"]} for one, prompt in zip(found, prompts, strict=True)]


def nothing(*arguments):
    print(arguments)


RIGHT = {
    "q1": [fit_by_division, fit_by_floor, fit_by_counting, fit_in_torch],
    "q2": [greedy_of_transformers, greedy_of_the_lesson, greedy_cut_by_the_cache],
    "q3": [unread_by_walking, unread_by_slices, unread_in_torch],
    "q4": [answers_of_the_lesson, answers_of_transformers, answers_from_copies],
}
WRONG = {
    "q1": [
        ("You count keys only", fit_without_values),
        ("You keep as much as for all query heads", fit_of_query_heads),
        ("You take hidden_size for the width of one head", fit_with_wide_heads),
        ("You take 64 for the width of a head", fit_with_heads_of_64),
        ("multiply by bytes_per_number", fit_in_numbers),
        ("You count one layer", fit_of_one_layer),
        ("You give all the memory to one text", fit_for_one_text),
        ("A part of a token is no use", fit_with_a_rest),
        ("You round to the nearest", fit_rounded),
        ("returns nothing", nothing),
    ],
    "q2": [
        ("the cache gets everything again", greedy_reads_all_and_keeps),
        ("every step reads the whole text again", greedy_without_cache),
        ("A decode step has forgotten the text", greedy_forgets),
        ("not the one before it", greedy_late),
        ("a decode step reads two tokens", greedy_reads_two),
        ("the logits of the first position", greedy_of_the_first_position),
        ("One read too many", greedy_reads_the_last_token),
        ("leave the prompt out", greedy_with_the_prompt),
        ("`kept` is one step behind", greedy_notes_before),
    ],
    "q3": [
        ("you read nothing, and have no logits", unread_nothing),
        ("You look past the end of `kept`", unread_behind_the_end),
        ("You count equal tokens after the first that differs", unread_of_equal_places),
        ("You skip every token that is in the cache somewhere", unread_of_any_place),
        ("whatever they are", unread_behind_the_cache),
        ("You skip the first token that differs", unread_one_later),
        ("You return what is shared", unread_shared),
        ("You return how many tokens", lambda kept, prompt: len(unread_by_slices(kept, prompt))),
    ],
    "q4": [
        ("You read every prompt from its start", answers_from_scratch),
        ("You forget nothing", answers_without_crop),
        ("but after the old ones", answers_behind_the_old),
        ("You compare with the prompt before", answers_with(lambda prompt, tokens: prompt, unread_by_walking)),
        ("it was chosen and never read", answers_with(lambda prompt, tokens: prompt + tokens, unread_by_walking)),
        ("leave nothing to read", answers_with(lambda prompt, tokens: prompt + tokens[:-1], unread_nothing)),
        ("you return what is kept", answers_with_what_is_kept),
    ],
}
