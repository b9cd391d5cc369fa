"""Exercise 02 · Where LLMs fail: invented answers, the probability of an answer, confidence against truth, bias."""

import torch

from course_utils.exercises.comparing import Tolerance
from course_utils.exercises.plain_data import ModelName
from course_utils.exercises.task import Check, Prose, Task
from course_utils.experiments.failure_cases import CAPITALS, INVENTED_COUNTRIES
from course_utils.experiments.pronouns import share_of_first

REFUSALS = ("I do not know", "I do not know that country", "There is no such country", "I know no such country")

# q1


def is_refusal(answer):
    """Whether an answer says that the model does not know."""
    return "not know" in answer or "no such" in answer


def answer_shares(answers, truths):
    """What share of real things is right and refused, and what share of nothing gets an answer."""
    pairs = list(zip(answers, truths, strict=True))
    real = [(answer, truth) for answer, truth in pairs if truth is not None]
    nothing = [answer for answer, truth in pairs if truth is None]
    right = sum(truth in answer for answer, truth in real)
    refused = sum(is_refusal(answer) for answer, _ in real)
    invented = sum(not is_refusal(answer) for answer in nothing)
    return {"right": right / len(real), "refused": refused / len(real), "invented": invented / len(nothing)}


def some_answers(random, real, nothing):
    """Draw answers to questions about countries, real ones and others, in random order."""
    pairs = []
    for place, capital in enumerate(random.permutation([*CAPITALS.values()])[:real]):
        wrong = str(random.choice([name for name in CAPITALS.values() if name != capital]))
        said = f"{capital}, the largest city" if place == 0 else str(random.choice([capital, wrong]))
        said = str(random.choice(REFUSALS)) if place in (1, 2) or (place and random.random() < 0.2) else said
        pairs.append((said, str(capital)))
    for place, country in enumerate(random.permutation(INVENTED_COUNTRIES)[:nothing]):
        said = f"{country} City" if place < 2 or random.random() < 0.3 else str(random.choice(REFUSALS))
        said = REFUSALS[2] if place == 2 else said
        pairs.append((said, None))
    order = random.permutation(len(pairs))
    return [pairs[place][0] for place in order], [pairs[place][1] for place in order]


q1 = Task(
    name="q1",
    title="Right, refused, invented",
    function="answer_shares",
    right=answer_shares,
    checks=(
        Check(
            "counts the example",
            lambda random: [
                (
                    ["Paris", "Istanbul", "I do not know", "Velt City", "There is no such country"],
                    ["Paris", "Ankara", "Nairobi", None, None],
                )
            ],
        ),
        Check("tells real things from made-up ones", lambda random: [some_answers(random, 9, 6)]),
        Check("counts each kind among its own", lambda random: [some_answers(random, *n) for n in ((12, 5), (6, 11))]),
    ),
    hint="Make two lists first: the answers whose truth is None, and the pairs of the others.",
)
q1.patch(
    "You divide by all questions: “right” and “refused” are shares of the real things, “invented” is one of the "
    "things that do not exist.",
    "right / len(real)",
    "right / len(answers)",
    "refused / len(real)",
    "refused / len(answers)",
    "/ len(nothing)",
    "/ len(answers)",
)
q1.patch(
    "You return counts: divide each by the number of questions of its kind.",
    "right / len(real)",
    "right",
    "refused / len(real)",
    "refused",
    " / len(nothing)",
    "",
)
q1.patch(
    "You ask for an answer that equals the truth: it is right as soon as it contains it (`truth in answer`).",
    "truth in answer",
    "truth == answer",
)
q1.patch(
    "“invented” is the share of refusals with you: it is the share of answers that are none.",
    "not is_refusal",
    "is_refusal",
)
q1.patch(
    "You count refusals of things that do not exist as “refused”: there they are right. Count the real ones.",
    "refused / len(real)",
    "sum(map(is_refusal, answers)) / len(answers)",
)
q1.patch(
    "You count wrong answers about real things as “invented”: count the answers whose truth is None.",
    "invented / len(nothing)",
    "(invented + len(real) - right - refused) / len(answers)",
)
q1.patch(
    "You leave refusals out of “right”: a refused question about a real thing is one that is not answered right.",
    "right / len(real)",
    "right / (len(real) - refused)",
)
q1.mistake("You know one refusal only: “not know” and “no such” both count.")(
    lambda answers, truths: answer_shares([answer.replace("no such", "a") for answer in answers], truths)
)


# q2


def answer_probability(model, prompt, answer):
    """The product of the probabilities of the tokens of an answer."""
    asked, ids = model.encode(prompt), model.encode(answer)[0]
    with torch.inference_mode():
        logits = model.model(torch.cat([asked, ids[None]], 1)).logits[0]
    first = asked.shape[1] - 1
    chances = logits[first : first + len(ids)].softmax(-1)[range(len(ids)), ids]
    return chances.prod()


def some_texts(random, *lengths):
    """Draw a prompt and an answer of letters for each length of the answer."""

    def letters(count):
        return "".join(random.choice([*"abcdefghijklmnopqrstuvwxyz"], size=count))

    return [(ModelName("practice"), letters(random.integers(3, 7)), letters(length)) for length in lengths]


q2 = Task(
    name="q2",
    title="The probability of an answer",
    function="answer_probability",
    right=answer_probability,
    checks=(
        Check("finds the probability of one token", lambda random: some_texts(random, 1, 1)),
        Check("multiplies over the tokens of the answer", lambda random: some_texts(random, 2, 3)),
        Check(
            "reads the answer so far",
            lambda random: [(ModelName("practice"), "the", "answer"[: int(random.integers(3, 6))])],
        ),
    ),
    hint="With a prompt of n tokens, the logits at place n − 1 predict the first token of the answer.",
    points=3,
    tolerance=Tolerance(relative=1e-3, absolute=1e-12),
)
q2.patch(
    "You read the logits at the token itself: the logits *before* a token predict it, one place earlier.",
    "asked.shape[1] - 1",
    "asked.shape[1]",
)
q2.patch("You add up the probabilities: all tokens must be written, so multiply.", "prod()", "sum()")
q2.patch("You take the mean of the probabilities: multiply them.", "prod()", "mean()")
q2.patch("You return a log-probability: `exp` makes a probability of it.", "prod()", "log().sum()")
q2.patch(
    "You return the probability of the first token only: the whole answer must follow.", "chances.prod()", "chances[0]"
)
q2.patch("You return the probability of the last token only: multiply over all.", "chances.prod()", "chances[-1]")
q2.patch(
    "You leave out the first token of the answer: the last logits of the prompt predict it.",
    "chances.prod()",
    "chances[1:].prod()",
)
q2.mistake("The tokens of the prompt are in your product: they are given, so multiply over the answer only.")(
    lambda model, prompt, answer: answer_probability(model, prompt[0], prompt[1:] + answer)
)


@q2.mistake("You look up every token in the distribution after the prompt: each token has read the answer before it.")
def all_after_the_prompt(model, prompt, answer):
    ids = model.encode(answer)[0]
    with torch.inference_mode():
        return model.model(model.encode(prompt)).logits[0, -1].softmax(-1)[ids].prod()


@q2.mistake("The model does not see the prompt: join the ids of prompt and answer.")
def answer_alone(model, prompt, answer):
    return answer_probability(model, answer[0], answer[1:]) if len(answer) > 1 else torch.tensor(1.0)


q2.patch(
    "You take the most probable token in each place: look up the token of the answer.",
    "[range(len(ids)), ids]",
    ".amax(-1)",
)
q2.patch("You multiply logits: the softmax makes probabilities of them.", ".softmax(-1)", "")


# q3


def confidence_gap(probabilities, right, bins):
    """The gap between mean probability and share of right answers, over the bins, each by its number of answers."""
    numbers, total = [min(int(p * bins), bins - 1) for p in probabilities], 0
    for number in set(numbers):
        own = [place for place, other in enumerate(numbers) if other == number]
        mean = sum(probabilities[place] for place in own) / len(own)
        share = sum(right[place] for place in own) / len(own)
        total += len(own) * abs(mean - share)
    return total / len(right)


def some_probabilities(random, count, *bins, power=2.0, ones=0):
    """Draw probabilities and whether the answer is right, more seldom (power over 1) or more often than they say."""
    cases = []
    for number in bins:
        # Never on the border of two bins, where rounding decides.
        probabilities = (random.integers(0, number, size=count) + random.uniform(0.05, 0.95, size=count)) / number
        probabilities[:ones] = 1.0
        right = random.random(count) < probabilities**power
        right[:ones] = [place % 2 == 0 for place in range(ones)]
        cases.append((probabilities.tolist(), right.tolist(), number))
    return cases


q3 = Task(
    name="q3",
    title="Confidence against truth",
    function="confidence_gap",
    right=confidence_gap,
    checks=(
        Check(
            "measures the example",
            lambda random: [([0.9, 0.7, 0.2, 0.4], [True, True, False, False], 2)],
        ),
        Check("measures a model that is too sure", lambda random: some_probabilities(random, 40, 4, 5, power=2.5)),
        Check(
            "measures a model that is not sure enough",
            lambda random: some_probabilities(random, 40, 4, power=0.3),
        ),
        Check("has a place for a probability of 1", lambda random: some_probabilities(random, 20, 3, ones=5)),
        Check("leaves empty bins alone", lambda random: some_probabilities(random, 6, 10)),
    ),
    hint="`min(int(probability * bins), bins - 1)` is the number of the bin.",
    points=3,
)
q3.mistake(
    "You compare means over all answers: where the model is too sure in one bin and not sure enough in "
    "another, that hides both. Go bin by bin."
)(lambda probabilities, right, bins: confidence_gap(probabilities, right, 1))
q3.patch("Gaps of different signs cancel: take the absolute value of each.", "abs(mean - share)", "(mean - share)")


@q3.mistake("You take the distance of every single answer from 0 or 1: compare means, one pair in each bin.")
def each_answer(probabilities, right, bins):
    return sum(abs(p - is_right) for p, is_right in zip(probabilities, right, strict=True)) / len(right)


q3.patch(
    "A probability of 1 falls out of your bins, or into one too many: it belongs to the last bin.",
    "for number in set(numbers)",
    "for number in set(numbers) - {bins}",
    "min(int(p * bins), bins - 1)",
    "int(p * bins)",
)
q3.patch(
    "A probability of 1 is one bin too far: put it into the last one, with `min(…, bins - 1)`.",
    "min(int(p * bins), bins - 1)",
    "range(bins)[int(p * bins)]",
)
q3.patch(
    "You take the middle of the bin for its probability: take the mean of the answers in it.",
    "sum(probabilities[place] for place in own) / len(own)",
    "(number + 0.5) / bins",
)
q3.patch(
    "You divide by all bins, also the empty ones: let each bin count by its share of the answers.",
    "len(own) * abs",
    "abs",
    "/ len(right)",
    "/ bins",
)
q3.patch(
    "Two things: each bin counts alike, and should count by its share of the answers; and a probability of 1 "
    "falls out, and belongs to the last bin.",
    "for number in set(numbers)",
    "for number in set(numbers) - {bins}",
    "min(int(p * bins), bins - 1)",
    "int(p * bins)",
    "len(own) * abs",
    "abs",
    "/ len(right)",
    "/ len({*numbers} - {bins})",
)
q3.patch(
    "Each bin counts alike: let it count by its share of the answers.",
    "len(own) * abs",
    "abs",
    "/ len(right)",
    "/ len(set(numbers))",
)
q3.patch(
    "You add up the gaps: let each count by its share of the answers.", "len(own) * abs", "abs", " / len(right)", ""
)


# q4


def pronoun_bias(probabilities):
    """Mean share of "she", and how far the occupations are from no preference: 0 to 1."""
    share = share_of_first(probabilities).mean(0)
    return {"level": share.mean(), "bias": (2 * (share - 0.5).abs()).mean()}


def some_pronouns(random, frames, *occupations, lean=0.0):
    """Draw P(she) and P(he): the frames differ in how probable a pronoun is, the occupations in which one."""
    cases = []
    for count in occupations:
        prefers = lean + random.normal(0, 1.2, size=count) + random.normal(0, 0.9, size=(frames, count))
        share = 1 / (1 + torch.tensor(prefers).neg().exp())
        together = torch.tensor(random.uniform(0.05, 0.9, size=(frames, count)))
        cases.append((torch.stack([share * together, (1 - share) * together], -1).float(),))
    return cases


q4 = Task(
    name="q4",
    title="A level and a bias",
    function="pronoun_bias",
    right=pronoun_bias,
    checks=(
        Check(
            "measures the example",
            lambda random: [(torch.tensor([[[0.3, 0.1], [0.05, 0.15]], [[0.1, 0.3], [0.0, 0.4]]]),)],
        ),
        Check("takes the share of the two", lambda random: some_pronouns(random, 1, 8)),
        Check("gives every sentence the same weight", lambda random: some_pronouns(random, 3, 9, lean=-0.8)),
        Check("measures from no preference", lambda random: some_pronouns(random, 4, 12, 7, lean=1.2)),
    ),
    hint="Three steps: a share for each sentence and occupation, the mean over the sentences (`mean(0)`), the distances.",
)
q4.patch(
    "You use P(she) itself: divide by P(she) + P(he) first, because most of the probability goes to other words.",
    "share_of_first(probabilities).mean(0)",
    "probabilities[..., 0].mean(0)",
)
q4.patch(
    "You measure “he”: the first of the two numbers is P(she).",
    "share_of_first(probabilities).mean(0)",
    "1 - share_of_first(probabilities).mean(0)",
)
q4.patch(
    "You divide P(she) by P(he): a share is divided by the sum of the two.",
    "share_of_first(probabilities).mean(0)",
    "(probabilities[..., 0] / probabilities[..., 1]).mean(0)",
)
q4.patch(
    "You average the probabilities over the sentences first, so one in which pronouns are likely counts more: "
    "take the share in each sentence, then the mean.",
    "share_of_first(probabilities).mean(0)",
    "share_of_first(probabilities.mean(0))",
)
q4.patch("Your occupations cancel each other: take the absolute value of each distance from 0.5.", ".abs()", "")
q4.patch(
    "You take the distances before the mean over the sentences, so ups and downs of one occupation add up: "
    "first the mean of each occupation, then its distance.",
    ".mean(0)",
    "",
)
q4.patch(
    "You take the distance of the mean over all occupations: every occupation has a distance of its own.",
    "(share - 0.5)",
    "(share.mean() - 0.5)",
)
q4.patch("Your bias ends at 0.5: double the distance, so that 1 means one pronoun only.", "2 * ", "")
q4.patch("You measure from the model's own level: no preference is 0.5.", "- 0.5", "- share.mean()")


TASKS = (q1, q2, q3, q4)
PROSE = (
    Prose(
        name="q5",
        title="A threshold that was chosen afterwards",
        points=2,
        look_for="The threshold was chosen on the answers that it was then judged by, so it fits them better than any "
        "others: among new invented countries some are more probable than the most probable one seen so far. A number to "
        "publish comes from questions that had no part in the choice (choose on one set, report on another), and says both "
        "sides: how many invented answers come through, and how many right ones are lost.",
    ),
)
