"""Cases that no learner has seen: of each kind one for SmolLM2 and one for the practice model, drawn from a seed.

Lesson: 15 · Capstone: your own generate()
"""

import random
from collections.abc import Callable
from dataclasses import replace

from course_utils.learner.capstone_cases import Case, expected
from course_utils.models.practice import LETTERS

SEEDS = 10**6
# What a maker gets: where chance comes from, and the case so far, with prompt and longest length.
Make = Callable[[random.Random, Case], dict]
PROMPTS = (
    "The old map showed a path to",
    "In the middle of the night, the phone",
    "My grandmother always said that",
    "The recipe needs two eggs, some flour and",
    "def area_of_circle(radius):",
    "Dear Sir or Madam, I am writing to",
    "The three largest cities of Italy are",
    "When the rain stopped, the children",
    "A good friend is someone who",
    "The train to Vienna leaves at",
    "Water boils at",
    "He opened the box, and inside there was",
    "She had lost her keys again, so",
    "Once there lived a fox who",
)


def hidden_cases(seed: int) -> list[tuple[str, Case]]:
    """Draw 24 cases: each kind once for SmolLM2, and then once for the practice model, with longer texts.

    Lesson: 15 · Capstone: your own generate()

    >>> cases = hidden_cases(15)
    >>> len(cases), cases[0]
    (24, ('greedy', “The recipe needs two eggs, some flour and” with max_new_tokens=5))
    """
    chance = random.Random(seed)
    prompts = chance.sample(PROMPTS, len(KINDS))
    cases = []
    for what, prompt in zip(KINDS, prompts, strict=True):
        cases.append((what, Case(prompt, {"max_new_tokens": chance.randint(5, 7)}, is_real=True)))
    for what in KINDS:
        letters = "".join(chance.choices(LETTERS, k=chance.randint(8, 24)))
        cases.append((what, Case(letters, {"max_new_tokens": chance.randint(12, 20)})))
    return [(what, replace(case, settings={**case.settings, **KINDS[what](chance, case)})) for what, case in cases]


def greedy(chance: random.Random, case: Case) -> dict:
    """Nothing but the length."""
    return {}


def sampling(*names: str) -> Make:
    """Some filters, in this order."""

    def make(chance: random.Random, case: Case) -> dict:
        values = {
            "temperature": round(chance.uniform(0.6, 1.6), 2),
            "top_k": chance.randint(5, 80),
            "top_p": round(chance.uniform(0.6, 0.97), 2),
            "min_p": round(chance.uniform(0.02, 0.2), 2),
        }
        filters = [(name, values[name]) for name in names]
        return {"do_sample": True, "seed": chance.randrange(SEEDS), "filters": filters}

    return make


def penalised(*names: str) -> Make:
    """Some penalties, in this order."""

    def make(chance: random.Random, case: Case) -> dict:
        values = {
            "repetition_penalty": round(chance.uniform(1.1, 1.5), 2),
            "no_repeat_ngram": chance.randint(1, 2),
            "presence_penalty": round(chance.uniform(0.2, 2), 1),
            "frequency_penalty": round(chance.uniform(0.2, 2), 1),
        }
        return {"penalties": [(name, values[name]) for name in names]}

    return make


def ending(chance: random.Random, case: Case) -> dict:
    """Two tokens of the greedy text end it, the second in the list as well as the first."""
    tokens = list(dict.fromkeys(_greedy_tokens(case)))
    ends = chance.sample(tokens[1:], min(2, len(tokens) - 1)) or tokens
    return {"eos_ids": ends}


def minimum(chance: random.Random, case: Case) -> dict:
    """A token that comes early ends the text, and it may not yet."""
    return {"eos_ids": [chance.choice(_greedy_tokens(case)[:4])], "min_new_tokens": chance.randint(3, 5)}


def stop_string(chance: random.Random, case: Case) -> dict:
    """Stop at a string that begins in one token of the greedy text and ends in the next."""
    tokens, decode = _greedy_tokens(case), case.loaded.tokenizer.decode
    text, before = decode(tokens), len(decode(tokens[: chance.randint(2, 4)]))
    stop = text[before - 1 : before + 2]
    never = "###" if case.is_real else "zqxj"  # of tokens that the model has: transformers refuses others
    # Where it stands in the prompt as well, transformers and the course may disagree.
    return {"stop_strings": [never, stop] if stop and stop not in case.prompt + text[: before - 1] else [never]}


def beams(chance: random.Random, case: Case) -> dict:
    """Two to four beams, with texts that may end."""
    vocabulary = range(len(LETTERS), 96)
    ends = [case.loaded.tokenizer.convert_tokens_to_ids(".")] if case.is_real else chance.sample(vocabulary, 8)
    return {"num_beams": chance.randint(2, 4), "length_penalty": chance.choice([0.0, 0.6, 1.5]), "eos_ids": ends}


def all_of(*makers: Make) -> Make:
    """The settings of several makers."""
    return lambda chance, case: {name: value for make in makers for name, value in make(chance, case).items()}


def _greedy_tokens(case: Case) -> list[int]:
    return list(expected(replace(case, settings={"max_new_tokens": 6}))[0])


KINDS: dict[str, Make] = {
    "greedy": greedy,
    "temperature, top-k": sampling("temperature", "top_k"),
    "top-p, min-p": sampling("top_p", "min_p"),
    "temperature last": sampling("top_k", "top_p", "temperature"),
    "repetition, n-grams": penalised("repetition_penalty", "no_repeat_ngram"),
    "presence, frequency": penalised("presence_penalty", "frequency_penalty"),
    "end of sequence": ending,
    "minimum": minimum,
    "stop string": stop_string,
    "beams": beams,
    "beams and penalty": all_of(beams, penalised("repetition_penalty")),
    "all but beams": all_of(
        sampling("temperature", "top_k", "top_p", "min_p"), penalised("repetition_penalty", "no_repeat_ngram"), minimum
    ),
}
