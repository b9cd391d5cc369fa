"""Answers to exercise 01 as learners write them: right ones in several ways, and wrong ones with what they are told."""

import numpy as np
import torch

from course_utils.experiments.few_shot import calibrated
from course_utils.measuring.parameters import llama_parameters


def prompt_by_adding(instruction, shots, count, text):
    prompt = instruction + "\n\n"
    for number in range(count):
        sentence, topic = shots[number]
        prompt += "Sentence: " + sentence + "\nTopic: " + topic + "\n\n"
    return prompt + "Sentence: " + text + "\nTopic:"


def prompt_of_lines(instruction, shots, count, text):
    lines = [instruction]
    for sentence, topic in [*shots[:count], (text, None)]:
        lines.extend(["", f"Sentence: {sentence}", "Topic:" if topic is None else f"Topic: {topic}"])
    return "\n".join(lines)


def prompt_by_stripping(instruction, shots, count, text):
    pairs = [pair for place, pair in enumerate(shots) if place < count] + [[text, ""]]
    return f"{instruction}\n\n" + "\n\n".join("Sentence: {}\nTopic: {}".format(*pair) for pair in pairs).rstrip()


def prompt_with_space(instruction, shots, count, text):
    prompt = f"{instruction}\n\n"
    for sentence, topic in shots[:count]:
        prompt += f"Sentence: {sentence}\nTopic: {topic}\n\n"
    return prompt + f"Sentence: {text}\nTopic: "


def prompt_with_new_lines(instruction, shots, count, text):
    return prompt_by_adding(instruction, shots, count, text) + "\n"


def prompt_with_all(instruction, shots, count, text):
    return "\n\n".join([instruction] + [f"Sentence: {s}\nTopic: {t}" for s, t in shots] + [f"Sentence: {text}\nTopic:"])


def prompt_with_the_last(instruction, shots, count, text):
    parts = [instruction] + [f"Sentence: {s}\nTopic: {t}" for s, t in shots[-count:]]
    return "\n\n".join([*parts, f"Sentence: {text}\nTopic:"])


def prompt_without_blank_lines(instruction, shots, count, text):
    lines = [instruction]
    for sentence, topic in shots[:count]:
        lines += [f"Sentence: {sentence}", f"Topic: {topic}"]
    return "\n".join([*lines, f"Sentence: {text}", "Topic:"])


def prompt_without_instruction(instruction, shots, count, text):
    return prompt_of_lines("", shots, count, text).lstrip()


def prompt_without_question(instruction, shots, count, text):
    return prompt_by_adding(instruction, shots, count, text).rsplit("\n\n", 1)[0]


def prompt_without_topics(instruction, shots, count, text):
    texts = [sentence for sentence, _ in shots[:count]] + [text]
    return "\n\n".join([instruction] + [f"Sentence: {sentence}\nTopic:" for sentence in texts])


def prompt_one_too_few(instruction, shots, count, text):
    prompt = instruction
    for number in range(1, count):
        prompt += "\n\nSentence: {}\nTopic: {}".format(*shots[number - 1])
    return prompt + f"\n\nSentence: {text}\nTopic:"


def prompt_asks_first(instruction, shots, count, text):
    prompt = f"{instruction}\n\nSentence: {text}\nTopic:"
    for sentence, topic in shots[:count]:
        prompt += f"\n\nSentence: {sentence}\nTopic: {topic}"
    return prompt


def sides(config):
    """(rows, columns, how many) of every matrix."""
    width, head, layers = config["hidden_size"], config["head_dim"], config["num_hidden_layers"]
    q, kv = config["num_attention_heads"] * head, config["num_key_value_heads"] * head
    return width, q, kv, config["intermediate_size"], config["vocab_size"], layers


def count_with_modules(config):
    width, q, kv, inner, vocab, layers = sides(config)
    linear = lambda rows, columns: torch.nn.Linear(rows, columns, bias=False).weight.numel()  # noqa: E731
    counts = {"embedding": torch.nn.Embedding(vocab, width).weight.numel(), "attention": 0, "MLP": 0, "norms": 0}
    for _ in range(layers):
        counts["attention"] += linear(width, q) + linear(width, kv) + linear(width, kv) + linear(q, width)
        counts["MLP"] += linear(width, inner) + linear(width, inner) + linear(inner, width)
        counts["norms"] += torch.ones(width).numel() * 2
    counts["norms"] += width
    counts["output"] = 0 if config["tie_word_embeddings"] else linear(width, vocab)
    return counts


def count_in_floats(config):
    width, q, kv, inner, vocab, layers = map(float, sides(config))
    one_layer = {"attention": 2 * q * width + 2 * kv * width, "MLP": 3 * inner * width, "norms": 2 * width}
    counts = {part: layers * count for part, count in one_layer.items()}
    counts["norms"] += width
    return counts | {"embedding": vocab * width, "output": vocab * width * (not config["tie_word_embeddings"])}


def count_in_numpy(config):
    width, q, kv, inner, vocab, layers = sides(config)
    parts = (
        np.array([vocab, layers * (q + kv + kv + q), layers * (inner + inner + inner), layers * 2 + 1, vocab]) * width
    )
    if config["tie_word_embeddings"]:
        parts[-1] = 0
    return dict(zip(("embedding", "attention", "MLP", "norms", "output"), parts, strict=True))


def count(config, q=None, kv=None, attention=None, mlp=3, norms=None, output=None):
    width, own_q, own_kv, inner, vocab, layers = sides(config)
    q, kv = q or own_q, kv or own_kv
    return {
        "output": (0 if config["tie_word_embeddings"] else vocab * width) if output is None else output,
        "norms": 2 * layers * width + width if norms is None else norms,
        "MLP": mlp * layers * inner * width,
        "attention": layers * ((2 * q + 2 * kv) * width if attention is None else attention),
        "embedding": width * vocab,
    }


def count_one_layer(config):
    return count(dict(config, num_hidden_layers=1))


def labels_in_a_loop(scores, names):
    means = [sum(row[column] for row in scores.tolist()) / len(scores) for column in range(len(names))]
    labels = []
    for row in scores.tolist():
        fair = [value - mean for value, mean in zip(row, means, strict=True)]
        labels.append(names[fair.index(max(fair))])
    return labels


def labels_in_numpy(scores, names):
    values = scores.numpy().astype(np.float64)
    return [names[place] for place in np.argmax(values - values.mean(axis=0, keepdims=True), axis=1)]


def labels_by_ratio(scores, names):
    liked = scores.mean(dim=0).exp()
    return [names[int(row.argmax())] for row in scores.exp() / liked]


def labels_by_row_means(scores, names):
    return [names[i] for i in (scores - scores.mean(-1, keepdim=True)).argmax(-1)]


def labels_uncalibrated(scores, names):
    return [names[row.argmax().item()] for row in scores]


def labels_of_probabilities(scores, names):
    shares = scores.exp()
    return [names[i] for i in torch.argmax(shares - torch.mean(shares, dim=0), dim=1).tolist()]


def labels_with_the_means(scores, names):
    return [names[i] for i in (scores.mean(0) + scores).argmax(1).tolist()]


def labels_lowest(scores, names):
    return [names[i] for i in (scores - scores.mean(0)).min(-1).indices.tolist()]


def labels_divided(scores, names):
    return [names[i] for i in torch.div(scores, scores.mean(0)).argmax(-1).tolist()]


def labels_as_numbers(scores, names):
    return (scores - scores.mean(0)).argmax(-1).tolist()


def scores_in_a_loop(written, right):
    digits, numbers = 0, 0
    for own, number in zip(written, right, strict=True):
        for place in range(len(number)):
            if place < len(own) and own[place] == number[place]:
                digits += 1
        if own == number:
            numbers += 1
    share = digits / sum(len(number) for number in right)
    independent = 1
    for _ in right[0]:
        independent *= share
    return {"digits": share, "numbers": numbers / len(written), "independent": independent}


def scores_in_numpy(written, right):
    length = len(right[0])
    own = np.array([list(text.ljust(length, "x")) for text in written])
    table = own == np.array([list(text) for text in right])
    return {"digits": table.mean(), "numbers": table.all(1).mean(), "independent": table.mean() ** length}


def scores_in_torch(written, right):
    size = len(right[0])
    pad = lambda text: [int(digit) for digit in text] + [-1] * (size - len(text))  # noqa: E731
    table = torch.tensor([pad(text) for text in written]) == torch.tensor([pad(text) for text in right])
    digits = table.double().mean()
    return {"independent": digits.pow(size), "digits": digits, "numbers": table.all(-1).double().mean()}


def scores_with(written, right, digits=None, numbers=None, independent=None):
    found = scores_in_a_loop(written, right)
    found["digits"] = digits if digits is not None else found["digits"]
    found["numbers"] = numbers if numbers is not None else found["numbers"]
    found["independent"] = found["digits"] ** len(right[0]) if independent is None else independent(found["digits"])
    return found


def scores_of_digits_anywhere(written, right):
    hits = [digit in number for own, number in zip(written, right, strict=True) for digit in own]
    return scores_with(written, right, digits=sum(hits) / (len(right) * len(right[0])))


def scores_by_place(written, right):
    size = len(right[0])
    hits = [written[row][place] == right[row][place] for row in range(len(right)) for place in range(size)]
    return scores_with(written, right, digits=sum(hits) / len(hits))


def scores_until_wrong(written, right):
    hits = 0
    for own, number in zip(written, right, strict=True):
        for a, b in zip(own, number, strict=False):
            if a != b:
                break
            hits += 1
    return scores_with(written, right, digits=hits / (len(right) * len(right[0])))


def scores_of_what_was_written(written, right):
    pairs = [a == b for own, number in zip(written, right, strict=True) for a, b in zip(own, number, strict=False)]
    return scores_with(written, right, digits=sum(pairs) / len(pairs))


def scores_with_any_digit(written, right):
    hits = [any(a == b for a, b in zip(*pair, strict=False)) for pair in zip(written, right, strict=True)]
    return scores_with(written, right, numbers=sum(hits) / len(hits))


def scores_to_the_sixth(written, right):
    return scores_with(written, right, independent=lambda share: share**6)


def scores_times_length(written, right):
    return scores_with(written, right, independent=lambda share: share * len(right[0]))


def scores_to_the_count(written, right):
    return scores_with(written, right, independent=lambda share: share ** len(written))


def scores_undivided(written, right):
    digits = sum(a == b for pair in zip(written, right, strict=True) for a, b in zip(*pair, strict=False))
    return {
        "digits": digits,
        "numbers": len([1 for a, b in zip(written, right, strict=True) if a == b]),
        "independent": digits ** len(right[0]),
    }


def nothing(*arguments):
    print(arguments)


def count_by_the_course(config):
    names = ("num_hidden_layers", "hidden_size", "num_attention_heads", "num_key_value_heads", "head_dim")
    sizes = (config[name] for name in (*names, "intermediate_size", "vocab_size"))
    return {"output": 0} | llama_parameters(*sizes, tied=config["tie_word_embeddings"])


def labels_by_the_course(scores, names):
    return [names[place] for place in calibrated(scores).argmax(-1).tolist()]


RIGHT = {
    "q1": [prompt_by_adding, prompt_of_lines, prompt_by_stripping],
    "q2": [count_with_modules, count_in_floats, count_in_numpy, count, count_by_the_course],
    "q3": [labels_in_a_loop, labels_in_numpy, labels_by_ratio, labels_by_the_course],
    "q4": [scores_in_a_loop, scores_in_numpy, scores_in_torch],
}
WRONG = {
    "q1": [
        ("There is a space after the last", prompt_with_space),
        ("The prompt ends with a new line", prompt_with_new_lines),
        ("You show all shots", prompt_with_all),
        ("`shots[-0:]` is the whole list", prompt_with_the_last),
        ("The blank lines are missing", prompt_without_blank_lines),
        ("missing after the instruction", lambda i, *rest: i + "\n" + prompt_by_adding(i, *rest)[len(i) + 2 :]),
        ("between a sentence and its topic", lambda *case: prompt_of_lines(*case).replace("Topic:", "\nTopic:")),
        ("The topics of the shots are missing", prompt_without_topics),
        ("The instruction is missing", prompt_without_instruction),
        ("The sentence that is asked for is missing", prompt_without_question),
        ("You take one shot too few", prompt_one_too_few),
        ("comes before the shots", prompt_asks_first),
        ("returns nothing", nothing),
    ],
    "q2": [
        ("as many heads as the queries", lambda config: count(config, kv=sides(config)[1])),
        ("Your four matrices", lambda config: count(config, q=config["hidden_size"], kv=config["hidden_size"])),
        ("Your queries and the output map", lambda config: count(config, q=config["hidden_size"])),
        (
            "Attention has a fourth matrix",
            lambda c: count(c, attention=(sides(c)[1] + 2 * sides(c)[2]) * c["hidden_size"]),
        ),
        (
            "Keys and values have a matrix each",
            lambda c: count(c, attention=(2 * sides(c)[1] + sides(c)[2]) * c["hidden_size"]),
        ),
        ("has three matrices", lambda config: count(config, mlp=2)),
        ("You count one layer", count_one_layer),
        ("One norm is missing", lambda c: count(c, norms=2 * c["hidden_size"] * c["num_hidden_layers"])),
        ("You count the output of a tied model", lambda c: count(c, output=c["hidden_size"] * c["vocab_size"])),
        ("You count no output", lambda config: count(config, output=0)),
        ("returns a number", lambda config: sum(count(config).values())),
    ],
    "q3": [
        ("Your labels are those without calibration", labels_by_row_means),
        ("You take a mean for each text", lambda s, names: [names[i] for i in (s - s.mean(dim=1)).argmax(-1)]),
        ("The mean of a row moves all labels", labels_uncalibrated),
        ("You subtract means of probabilities", labels_of_probabilities),
        ("You add the means", labels_with_the_means),
        ("You choose the label with the lowest score", labels_lowest),
        ("You divide by the means", labels_divided),
        ("You return numbers", labels_as_numbers),
    ],
    "q4": [
        ("wherever it appears", scores_of_digits_anywhere),
        ("A written number may be too short", scores_by_place),
        ("You stop at the first wrong digit", scores_until_wrong),
        ("You divide by the digits that were written", scores_of_what_was_written),
        ("as soon as one digit is right", scores_with_any_digit),
        ("You always take the sixth power", scores_to_the_sixth),
        ("You multiply by the number of digits", scores_times_length),
        ("The exponent is the number of numbers", scores_to_the_count),
        ("You return counts", scores_undivided),
    ],
}
