"""Answers to exercise 09 as learners write them: right ones in several ways, and wrong ones with what they are told."""

import numpy as np
import torch

from course_utils.models import load_causal_lm

DEFAULT = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"


def text_in_a_loop(messages):
    text = ""
    if messages[0]["role"] != "system":
        text = f"<|im_start|>system\n{DEFAULT}<|im_end|>\n"
    for message in messages:
        text += "<|im_start|>" + message["role"] + "\n" + message["content"] + "<|im_end|>\n"
    return text + "<|im_start|>assistant\n"


def text_by_join(messages):
    if all(message["role"] != "system" for message in messages):
        messages = [{"role": "system", "content": DEFAULT}, *messages]
    parts = [f"{message['role']}\n{message['content']}<|im_end|>\n" for message in messages]
    return "<|im_start|>" + "<|im_start|>".join([*parts, "assistant\n"])


def text_of_transformers(messages):
    return load_causal_lm().tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)


def text_without_prompt(messages):
    return load_causal_lm().tokenizer.apply_chat_template(messages, tokenize=False)


def text_of_turns(messages, between="\n", end="<|im_end|>\n"):
    if messages[0]["role"] != "system":
        messages = [{"role": "system", "content": DEFAULT}, *messages]
    turns = [f"<|im_start|>{message['role']}{between}{message['content']}{end}" for message in messages]
    return "".join(turns) + "<|im_start|>assistant\n"


def text_without_default(messages):
    turns = [f"<|im_start|>{message['role']}\n{message['content']}<|im_end|>\n" for message in messages]
    return "".join(turns) + "<|im_start|>assistant\n"


def text_with_default(messages):
    return text_without_default([{"role": "system", "content": DEFAULT}, *messages])


def text_in_place(messages):
    if messages[0]["role"] != "system":
        messages.insert(0, {"role": "system", "content": DEFAULT})
    return text_without_default(messages)


def fit_by_dropping(messages, context_length, answer):
    kept = list(messages)
    first = 1 if kept[0]["role"] == "system" else 0
    while sum(message["tokens"] for message in kept) + answer > context_length:
        del kept[first : first + 2]
        if len(kept) == first:
            raise ValueError("too long")
    return kept


def fit_from_the_end(messages, context_length, answer):
    system = [message for message in messages if message["role"] == "system"]
    turns = messages[len(system) :]
    room = context_length - answer - sum(message["tokens"] for message in system)
    start = best = len(turns)
    while start > 0 and turns[start - 1]["tokens"] <= room:
        start -= 1
        room -= turns[start]["tokens"]
        if turns[start]["role"] == "user":
            best = start
    if best == len(turns):
        raise ValueError(f"{context_length} tokens are too few")
    return system + turns[best:]


def fit_with_numpy(messages, context_length, answer):
    begin = 1 if messages[0]["role"] == "system" else 0
    tokens = np.array([message["tokens"] for message in messages])
    totals = tokens[:begin].sum() + tokens[begin:][::-1].cumsum()[::-1]
    starts = [
        begin + place
        for place, total in enumerate(totals)
        if total + answer <= context_length and messages[begin + place]["role"] == "user"
    ]
    if not starts:
        raise ValueError("too long")
    return messages[:begin] + messages[min(starts) :]


def fit_one_by_one(messages, context_length, answer):
    kept = list(messages)
    first = 1 if kept[0]["role"] == "system" else 0
    while sum(message["tokens"] for message in kept) + answer > context_length:
        kept.pop(first)
        if len(kept) == first:
            raise ValueError("too long")
    return kept


def fit_one_by_one_to_nothing(messages, context_length, answer):
    kept = list(messages)
    first = 1 if kept[0]["role"] == "system" else 0
    while len(kept) > first and sum(message["tokens"] for message in kept) + answer > context_length:
        kept.pop(first)
    return kept


def fit_by_popping(messages, context_length, answer):
    kept = messages.copy()
    while sum(one["tokens"] for one in kept) + answer > context_length:
        kept.pop(1)
    return kept


def fit_behind_the_first(messages, context_length, answer):
    kept = messages[1:]
    while sum(one["tokens"] for one in messages[:1] + kept) + answer > context_length or kept[0]["role"] != "user":
        kept = kept[1:]
        if not kept:
            raise ValueError
    return messages[:1] + kept


def fit_strictly(messages, context_length, answer):
    kept = list(messages)
    first = int(kept[0]["role"] == "system")
    while sum(message["tokens"] for message in kept) + answer >= context_length:
        del kept[first : first + 2]
        if len(kept) == first:
            raise ValueError("too long")
    return kept


def fit_and_forget_the_system(messages, context_length, answer):
    kept = list(messages)
    while kept and (kept[0]["role"] == "assistant" or sum(one["tokens"] for one in kept) + answer > context_length):
        kept.pop(0)
    if not kept:
        raise ValueError
    return kept


def fit_without_gaps_forgotten(messages, context_length, answer):
    first = int(messages[0]["role"] == "system")
    room = context_length - answer - sum(one["tokens"] for one in messages[:first])
    if messages[-1]["tokens"] > room:
        raise ValueError("too long")
    kept = []
    for one in messages[:0:-1] if first else messages[::-1]:
        if one["tokens"] <= room:
            room -= one["tokens"]
            kept.append(one)
    while kept[-1]["role"] == "assistant":
        kept.pop()
    return messages[:first] + kept[::-1]


def fit_never_raising(messages, context_length, answer):
    kept = list(messages)
    first = int(kept[0]["role"] == "system")
    while sum(one["tokens"] for one in kept) + answer > context_length and len(kept) > first + 1:
        del kept[first : first + 2]
    return kept


def fit_to_nothing(messages, context_length, answer):
    kept = list(messages)
    first = int(kept[0]["role"] == "system")
    while sum(one["tokens"] for one in kept) + answer > context_length and len(kept) > first:
        del kept[first : first + 2]
    return kept


def fit_in_place(messages, context_length, answer):
    first = int(messages[0]["role"] == "system")
    while sum(one["tokens"] for one in messages) + answer > context_length:
        if len(messages) == first:
            raise ValueError
        del messages[first : first + 2]
    return messages


def fit_letters(messages, context_length, answer):
    counts = [{**one, "tokens": len(one["content"])} for one in messages]
    kept = fit_by_dropping(counts, context_length, answer)
    return [one for one, copy in zip(messages, counts, strict=True) if copy in kept]


def fit_without_system_cost(messages, context_length, answer):
    first = int(messages[0]["role"] == "system")
    return messages[:first] + fit_by_dropping(messages[first:], context_length, answer)


def ids_in_a_loop(model, messages):
    tokenizer, ids = model.tokenizer, []
    start, end = tokenizer.convert_tokens_to_ids("<|im_start|>"), tokenizer.convert_tokens_to_ids("<|im_end|>")
    for message in messages:
        ids.append(start)
        ids.extend(tokenizer(message["role"] + "\n").input_ids)
        ids.extend(tokenizer(message["content"], split_special_tokens=True).input_ids)
        ids.append(end)
        ids.extend(tokenizer("\n").input_ids)
    return ids + [start] + tokenizer("assistant\n").input_ids


def ids_by_holes(model, messages):
    tokenizer = model.tokenizer
    ids = tokenizer("".join(f"<|im_start|>{one['role']}\n<|endoftext|><|im_end|>\n" for one in messages)).input_ids
    contents = iter([tokenizer(one["content"], split_special_tokens=True).input_ids for one in messages])
    hole = tokenizer.convert_tokens_to_ids("<|endoftext|>")
    filled = [new for token in ids for new in (next(contents) if token == hole else [token])]
    return torch.tensor(filled + tokenizer("<|im_start|>assistant\n").input_ids)


def ids_in_numpy(model, messages):
    parts = []
    for one in messages:
        parts += [model.tokenizer("<|im_start|>" + one["role"] + "\n").input_ids]
        parts += [model.tokenizer(one["content"], split_special_tokens=True).input_ids]
        parts += [model.tokenizer("<|im_end|>\n").input_ids]
    return np.concatenate([*parts, model.tokenizer("<|im_start|>assistant\n").input_ids])


def ids_cleaned(model, messages):
    for_sure = [{**one, "content": one["content"].replace("<|im_end|>", "")} for one in messages]
    for_sure = [{**one, "content": one["content"].replace("<|im_start|>", "")} for one in for_sure]
    return ids_in_a_loop(model, for_sure)


def ids_without_lines(model, messages):
    parts = []
    for one in messages:
        parts += model.tokenizer("<|im_start|>" + one["role"] + "\n").input_ids
        parts += model.tokenizer(one["content"], split_special_tokens=True).input_ids
        parts += model.tokenizer("<|im_end|>").input_ids
    return parts + model.tokenizer("<|im_start|>assistant\n").input_ids


def read_in_a_loop(logits, attention_mask):
    return [
        row[max(place for place, real in enumerate(mask) if real)]
        for row, mask in zip(logits.tolist(), attention_mask.tolist(), strict=True)
    ]


def read_flipped(logits, attention_mask):
    from_the_end = attention_mask.flip(-1).argmax(-1)
    places = attention_mask.shape[1] - 1 - from_the_end
    return logits.gather(1, places[:, None, None].expand(-1, 1, logits.shape[-1]))[:, 0]


def read_in_numpy(logits, attention_mask):
    return np.stack(
        [
            row[np.flatnonzero(mask)[-1]]
            for row, mask in zip(logits.double().numpy(), attention_mask.numpy(), strict=True)
        ]
    )


def read_before(logits, attention_mask):
    return torch.stack([row[mask.nonzero()[-1, 0] - 1] for row, mask in zip(logits, attention_mask, strict=True)])


def nothing(*arguments):
    print(arguments)


RIGHT = {
    "q1": [text_in_a_loop, text_by_join, text_of_transformers],
    "q2": [fit_by_dropping, fit_from_the_end, fit_with_numpy],
    "q3": [ids_in_a_loop, ids_by_holes, ids_in_numpy],
    "q4": [read_in_a_loop, read_flipped, read_in_numpy],
}
WRONG = {
    "q1": [
        ("The generation prompt is missing", text_without_prompt),
        ("You close the assistant's turn", lambda messages: text_in_a_loop(messages) + "<|im_end|>\n"),
        ("The last turn is closed", lambda messages: text_by_join(messages) + "<|im_end|>"),
        ("The last line break is missing", lambda messages: text_by_join(messages).rstrip()),
        ("Each turn must begin on a new line", lambda messages: text_of_turns(messages, end="<|im_end|>")),
        ("a line break between the role and the text", lambda messages: text_of_turns(messages, between=" ")),
        ("a colon between", lambda messages: text_of_turns(messages, between=": ")),
        ("the default one is missing", text_without_default),
        ("You always add the default system prompt", text_with_default),
        ("The turns are not closed", lambda messages: text_of_turns(messages, end="\n")),
        ("changes what it is given", text_in_place),
    ],
    "q2": [
        ("You leave no room for the answer", lambda messages, context, answer: fit_by_dropping(messages, context, 0)),
        ("The system prompt is dropped first", fit_and_forget_the_system),
        ("keep older ones", fit_without_gaps_forgotten),
        ("begins with an answer", fit_one_by_one),
        ("drop that, too. And", fit_one_by_one_to_nothing),
        ("Rules 1, 3 and 4", fit_by_popping),
        ("You keep the first message", fit_behind_the_first),
        ("are not counted", fit_without_system_cost),
        ("what fits exactly may stay", fit_strictly),
        ("You count characters", fit_letters),
        ("you return something too long", fit_never_raising),
        ("a prompt without a question", fit_to_nothing),
        ("changes what it is given", fit_in_place),
    ],
    "q3": [
        ("a stranger can open a turn", lambda model, messages: model.tokenizer(text_by_join(messages)).input_ids),
        (
            "add their ids yourself",
            lambda model, m: model.tokenizer(text_by_join(m), split_special_tokens=True).input_ids,
        ),
        ("You take the special tokens out", ids_cleaned),
        ("The generation prompt is missing", lambda model, messages: ids_in_a_loop(model, messages)[:-4]),
        ("The line break after <|im_end|> is missing", ids_without_lines),
        ("a list in a list", lambda model, messages: torch.tensor([ids_in_a_loop(model, messages)])),
    ],
    "q4": [
        ("You read the last column", lambda logits, mask: logits[..., -1, :]),
        (
            "You count the real tokens",
            lambda x, mask: torch.stack([row[n - 1] for row, n in zip(x, mask.sum(1), strict=True)]),
        ),
        (
            "You read the first real token",
            lambda x, mask: torch.stack([row[m.nonzero()[0, 0]] for row, m in zip(x, mask, strict=True)]),
        ),
        ("You read the first column", lambda logits, mask: logits.select(1, 0)),
        ("You read one place too early", read_before),
        (
            "You take the mean over the tokens",
            lambda x, mask: torch.stack([row[m.bool()].mean(0) for row, m in zip(x, mask, strict=True)]),
        ),
        ("You return probabilities", lambda logits, mask: torch.softmax(read_flipped(logits, mask), dim=-1)),
        ("You return the likeliest token", lambda logits, mask: read_flipped(logits, mask).max(-1).indices),
    ],
}
