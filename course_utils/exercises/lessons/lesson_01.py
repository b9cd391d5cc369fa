"""Exercise 01 · What LLMs can do: shots, parameters, calibrated labels, and two ways to count."""

from itertools import takewhile

import torch

from course_utils.exercises.task import Check, Prose, Task
from course_utils.experiments.shots import topic_sentences

INVENTED = ("vor", "blem", "wug", "dax", "fep", "mip")

# q1


def one_block(text, label=""):
    """A sentence and its topic; without a label, where the label is asked for."""
    return f"Sentence: {text}\nTopic: {label}" if label else f"Sentence: {text}\nTopic:"


def shots_prompt(instruction, shots, count, text):
    """The instruction, the first `count` shots and the sentence that is asked for, a blank line between them."""
    return "\n\n".join([instruction, *(one_block(*shot) for shot in shots[:count]), one_block(text)])


def some_shots(random, *counts, shots=5):
    """Draw shots with real or invented labels, and one more sentence, for each count."""
    cases = []
    for count in counts:
        sentences = [text for texts in topic_sentences().values() for text in texts]
        chosen = [str(text) for text in random.permutation(sentences)[: shots + 1]]
        labels = [str(label) for label in random.permutation(INVENTED)[:2]]
        drawn = [[text, labels[random.integers(2)]] for text in chosen[:-1]]
        instruction = f"Sentences, each with its topic, {labels[0]} or {labels[1]}."
        cases.append((instruction, drawn, count, chosen[-1]))
    return cases


q1 = Task(
    name="q1",
    title="A prompt with shots",
    function="shots_prompt",
    right=shots_prompt,
    checks=(
        Check(
            "shows a shot, then asks",
            lambda random: [("Topics.", [["The soup needs salt.", "food"]], 1, "She won the set.")],
        ),
        Check("takes as many shots as asked for, from the first on", lambda random: some_shots(random, 2, 4, 5)),
        Check("leaves the instruction alone when there are no shots", lambda random: some_shots(random, 0)),
    ),
    hint='Make a list of parts, and join it once: `"\\n\\n".join(parts)`.',
)
q1.mistake(
    "There is a space after the last “Topic:”: end without it, because the space belongs to the token of "
    "the label (“ food” is one token)."
)(lambda *prompt: f"{shots_prompt(*prompt)} ")
q1.mistake("The prompt ends with a new line: end at “Topic:”, so that the label is what comes next.")(
    lambda *prompt: f"{shots_prompt(*prompt)}\n"
)
q1.mistake("You show all shots: take the first `count` of them.")(
    lambda instruction, shots, count, text: shots_prompt(instruction, shots, len(shots), text)
)
q1.mistake("You take the last shots: take the first `count` of them.")(
    lambda instruction, shots, count, text: shots_prompt(instruction, shots[len(shots) - count :], count, text)
)
q1.mistake("You take the last shots, and with `count` 0 all of them (`shots[-0:]` is the whole list): take the first.")(
    lambda instruction, shots, count, text: shots_prompt(instruction, shots[-count:], len(shots), text)
)
q1.mistake("You take one shot too few: `shots[:count]` has `count` of them.")(
    lambda instruction, shots, count, text: shots_prompt(instruction, shots, max(count - 1, 0), text)
)
q1.mistake("The blank lines are missing: put two line breaks between the parts.")(
    lambda *prompt: shots_prompt(*prompt).replace("\n\n", "\n")
)
q1.mistake("A blank line is missing after the instruction: put two line breaks between all parts.")(
    lambda *prompt: shots_prompt(*prompt).replace("\n\n", "\n", 1)
)
q1.mistake("There is a blank line between a sentence and its topic: they go on two lines, one below the other.")(
    lambda *prompt: shots_prompt(*prompt).replace("\nTopic", "\n\nTopic")
)
q1.mistake("The topics of the shots are missing: a shot shows its answer, “Topic: food”.")(
    lambda instruction, shots, count, text: shots_prompt(
        instruction, [[sentence, ""] for sentence, _ in shots], count, text
    )
)


@q1.mistake("The instruction comes before every shot: say it once, at the start.")
def repeated_instruction(instruction, shots, count, text):
    blocks = [*(one_block(*shot) for shot in shots[:count]), one_block(text)]
    return "\n\n".join(part for block in blocks for part in (instruction, block))


q1.mistake("The instruction is missing: it comes first, even when there are no shots.")(
    lambda instruction, *rest: shots_prompt("", *rest).removeprefix("\n\n")
)


@q1.mistake("The sentence to label comes before the shots: put it last, because the model continues from the end.")
def question_first(instruction, shots, count, text):
    return "\n\n".join([instruction, one_block(text), *(one_block(*shot) for shot in shots[:count])])


q1.mistake("The sentence that is asked for is missing: it comes last, with “Topic:” and no label.")(
    lambda instruction, shots, count, text: "\n\n".join([instruction, *(one_block(*shot) for shot in shots[:count])])
)


# q2


def count_parameters(config):
    """The parameters of a Llama by part; the output has none of its own when it is tied."""
    layers, width = config["num_hidden_layers"], config["hidden_size"]
    heads, kv_heads = (config[name] * config["head_dim"] for name in ("num_attention_heads", "num_key_value_heads"))
    table = config["vocab_size"] * width
    return {
        "embedding": table,
        "attention": layers * width * (2 * heads + 2 * kv_heads),
        "MLP": layers * 3 * width * config["intermediate_size"],
        "norms": (2 * layers + 1) * width,
        "output": 0 if config["tie_word_embeddings"] else table,
    }


def some_configs(random, layers, *tied):
    """Draw small configurations in which no two sizes are equal by chance."""
    cases = []
    for is_tied in tied:
        groups, kv_heads, head = int(random.integers(2, 5)), int(random.integers(1, 4)), int(random.integers(3, 9))
        config = {
            "vocab_size": int(random.integers(90, 200)),
            "hidden_size": groups * kv_heads * head + int(random.integers(1, 20)),
            "num_hidden_layers": layers,
            "num_attention_heads": groups * kv_heads,
            "num_key_value_heads": kv_heads,
            "head_dim": head,
            "intermediate_size": int(random.integers(200, 300)),
            "tie_word_embeddings": is_tied,
        }
        cases.append((config,))
    return cases


TOY_CONFIG = {
    "vocab_size": 10,
    "hidden_size": 4,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 3,
    "intermediate_size": 5,
    "tie_word_embeddings": False,
}


q2 = Task(
    name="q2",
    title="Count the parameters",
    function="count_parameters",
    right=count_parameters,
    ready_made=("LlamaForCausalLM",),
    checks=(
        Check("counts one layer", lambda random: [(TOY_CONFIG,), *some_configs(random, 1, False)]),
        Check("counts every layer, and the last norm once", lambda random: some_configs(random, 7, False)),
        Check("counts a tied table once", lambda random: some_configs(random, 3, True, False)),
    ),
    hint="Write down the two sides of every matrix first: one side is always `hidden_size`.",
    points=3,
)
q2.patch(
    "Your keys and values have as many heads as the queries: they have `num_key_value_heads`.",
    "(2 * heads + 2 * kv_heads)",
    "4 * heads",
)
q2.patch(
    "Your four matrices of attention have hidden_size rows and columns: one side of each is heads times "
    "`head_dim`, which may be another number.",
    "(2 * heads + 2 * kv_heads)",
    "4 * width",
)
q2.patch(
    "Your queries and the output map have hidden_size rows and columns: one side of each is "
    "`num_attention_heads` times `head_dim`, which may be another number.",
    "2 * heads",
    "2 * width",
)
q2.patch(
    "Attention has a fourth matrix: after queries, keys and values comes the output map, as large as that of "
    "the queries.",
    "2 * heads",
    "heads",
)
q2.patch("Keys and values have a matrix each: you count one for both.", "2 * kv_heads", "kv_heads")
q2.patch("The MLP of a Llama has three matrices (gate, up and down): you count two.", "3 * width", "2 * width")
q2.mistake("You count one layer: multiply attention, MLP and the two norms by `num_hidden_layers`.")(
    lambda config: count_parameters(config | {"num_hidden_layers": 1})
)
q2.patch("One norm is missing: there are two in each layer, and one more at the end.", "(2 * layers + 1)", "2 * layers")
q2.patch("The norm at the end is there once, not in every layer: 2 · layers + 1.", "(2 * layers + 1)", "3 * layers")
q2.patch(
    "You count one norm in each layer: there are two, before attention and before the MLP.",
    "(2 * layers + 1)",
    "(layers + 1)",
)
q2.patch(
    "You count the output of a tied model: it is the embedding's table, and takes no parameters of its own.",
    '0 if config["tie_word_embeddings"] else table',
    "table",
)
q2.patch(
    "You count no output: where `tie_word_embeddings` is False it has a table of its own.",
    '0 if config["tie_word_embeddings"] else table',
    "0",
)
q2.patch(
    "You have it the wrong way round: a tied output takes 0 parameters, another one a table of its own.",
    '0 if config["tie_word_embeddings"] else table',
    'table if config["tie_word_embeddings"] else 0',
)


# q3


def calibrated_labels(scores, names):
    """The label of each text, after each label's mean over the texts is taken away."""
    best = (scores - scores.mean(0)).argmax(-1)
    return [names[place] for place in best.tolist()]


def some_scores(random, tests, *likings):
    """Log-probabilities of labels that the model likes so much, for texts that it can more or less tell apart."""
    cases = []
    for liking in likings:
        fits = random.permutation(tests) % len(liking)
        noise = random.exponential(0.8, size=(tests, len(liking)))
        knows = (fits[:, None] == range(len(liking))) * random.uniform(0.4, 1.6, size=(tests, 1))
        scores = torch.tensor(liking) + torch.tensor(knows - noise)
        names = [str(name) for name in random.permutation(INVENTED)[: len(liking)]]
        cases.append((scores.float(), names))
    return cases


q3 = Task(
    name="q3",
    title="Calibrate",
    function="calibrated_labels",
    right=calibrated_labels,
    checks=(
        Check(
            "finds the text that deserves the unloved label",
            lambda random: [(torch.tensor([[-1.0, -4.0], [-3.0, -4.5]]), ["food", "sport"])],
        ),
        Check("is fair to two labels", lambda random: some_scores(random, 30, (-1.0, -1.8), (-7.0, -1.2))),
        Check("is fair to three labels", lambda random: some_scores(random, 30, (-3.0, -2.2, -4.0))),
    ),
    hint="`scores.mean(0)` has one number for each label: how much the model likes it anyway.",
)
q3.patch(
    "Your labels are those without calibration: take from each column its mean over the texts (`dim=0`). "
    "The mean of a row moves all labels of a text alike, and changes nothing.",
    " - scores.mean(0)",
    "",
)
q3.patch("You take a mean for each text: take one for each label, over the texts (`dim=0`).", "mean(0)", "mean(1)")
q3.patch("You add the means: subtract them, so that the label that is liked less can win.", "scores - ", "scores + ")
q3.patch("You choose the label with the lowest score: the best one has the highest.", "argmax", "argmin")
q3.patch("You divide by the means: these are log-probabilities, so subtract.", "scores - ", "scores / ")
q3.patch(
    "You subtract means of probabilities: stay with the log-probabilities, no `exp`.",
    "scores - scores",
    "scores.exp() - scores.exp()",
)
q3.patch("You return numbers: return the names, `names[number]`.", "[names[place] for place in best.tolist()]", "best")
q3.patch(
    "You look for the best text of each label: look for the best label of each text (`argmax(-1)`).",
    "argmax(-1)",
    "argmax(0)",
    "[names[place] for place in best.tolist()]",
    "best",
)


# q4


def digits_in_place(own, right):
    """How many digits of a written number are right; a missing one is not."""
    return sum(a == b for a, b in zip(own, right, strict=False))


def two_scores(written, right):
    """Digits, numbers, and what the digits would give if mistakes were independent."""
    length = len(right[0])
    digits = sum(map(digits_in_place, written, right)) / (length * len(right))
    numbers = sum(map(str.__eq__, written, right)) / len(right)
    return {"digits": digits, "numbers": numbers, "independent": digits**length}


def digits_until_wrong(own, right):
    """How many digits are right before the first wrong one."""
    return len([*takewhile(lambda pair: pair[0] == pair[1], zip(own, right, strict=False))])


def some_numbers(random, length, count, short=0):
    """Draw true numbers and written ones: some are known better than others; `short` of them are cut."""
    right = random.integers(0, 10, size=(count, length))
    wrong = (right + random.integers(1, 10, size=right.shape)) % 10
    known = random.uniform(0.2, 0.9, size=(count, 1))
    known[:2] = 1.0  # two numbers are right, and the next one is not
    is_right = random.random(right.shape) < known
    is_right[2, 0] = False
    written = ["".join(map(str, row)) for row in (is_right * right + ~is_right * wrong).tolist()]
    written[2 : 2 + short] = [number[: random.integers(1, length)] for number in written[2 : 2 + short]]
    return written, ["".join(map(str, row)) for row in right.tolist()]


q4 = Task(
    name="q4",
    title="Two ways to count",
    function="two_scores",
    right=two_scores,
    checks=(
        Check("counts digits and numbers", lambda random: [(["1234", "5670"], ["1234", "5678"])]),
        Check("counts a digit only in its place", lambda random: [some_numbers(random, 6, 12)]),
        Check("knows how long a number is", lambda random: [some_numbers(random, size, 10) for size in (3, 8)]),
        Check("takes a missing digit for a wrong one", lambda random: [some_numbers(random, 5, 10, short=4)]),
    ),
    hint="`zip(own, right)` stops at the shorter number, and `own[place] == right[place]` then compares what is there.",
    points=3,
)
q4.patch(
    "You return counts: divide them, so that you return shares between 0 and 1.",
    " / (length * len(right))",
    "",
    " / len(right)",
    "",
)
q4.patch(
    "You count a digit wherever it appears: compare position by position.",
    "map(digits_in_place, written, right)",
    "digit in number for own, number in zip(written, right) for digit in own",
)


@q4.mistake("A written number may be too short: do not ask for a digit that is not there, and count it as wrong.")
def digits_by_place(written, right):
    for own, number in zip(written, right, strict=True):
        for place in range(len(number)):
            own[place]
    return two_scores(written, right)


q4.patch("You stop at the first wrong digit: every place counts for itself.", "digits_in_place", "digits_until_wrong")
q4.patch(
    "You divide by the digits that were written: divide by those of the right numbers, so that a missing digit "
    "is a wrong one.",
    "(length * len(right))",
    "sum(map(len, written))",
)
q4.patch(
    "You count a number as soon as one digit is right: all of them must be.",
    "map(str.__eq__, written, right)",
    "map(bool, map(digits_in_place, written, right))",
)
q4.patch(
    "You calculate the share of numbers: count it, the calculated one is “independent”.",
    '"numbers": numbers',
    '"numbers": digits**length',
)
q4.patch("You always take the sixth power: take as many factors as a number has digits.", "digits**length", "digits**6")
q4.patch(
    "The exponent is the number of numbers: it is the number of digits in one of them.",
    "digits**length",
    "digits ** len(right)",
)
q4.patch(
    "You multiply by the number of digits: all of them must be right, so raise to that power.",
    "digits**length",
    "digits * length",
)


TASKS = (q1, q2, q3, q4)
PROSE = (
    Prose(
        name="q5",
        title="A jump in a paper",
        points=2,
        look_for="A finer count: with eight steps that must all be right, p⁸ stays near 0 until p is high, so the share of "
        "right steps (or the probability of the right answer) of the smaller models may climb smoothly; if that one jumps "
        "too, the metric is not the reason. The size of the test: of 50 questions a true share of 1 % mostly shows as 0, so "
        "ask how many questions there were, or for more. Full points for two such questions, each with what its answer "
        "would show.",
    ),
)
