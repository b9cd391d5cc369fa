"""The capstone's last check: unseen prompts and settings, drawn from a seed, text by text.

Lesson: 15 · Capstone: your own generate()
"""

import random
import secrets
from collections.abc import Callable

from course_utils.engine.sampling import FILTERS
from course_utils.exercises.lessons.lesson_15 import by_transformers, new_tokens, once, takes_settings
from course_utils.exercises.plain_data import Settings
from course_utils.exercises.task import Check, Task
from course_utils.learner.capstone import Case, case, run
from course_utils.learner.capstone_runs import new_texts
from course_utils.learner.check_card import CheckCard
from course_utils.models.practice import LETTERS

SEEDS = 10**6
EARLIEST = 8  # new tokens that a text has before something ends it, where its greedy text lets us
# What makes settings gets: where chance comes from, and the case so far, with prompt and longest length.
Make = Callable[[random.Random, Case], dict]
PROMPTS = (
    "The old map showed a path to", "In the middle of the night, the phone", "My grandmother always said that",
    "The recipe needs two eggs, some flour and", "def area_of_circle(radius):", "Dear Sir or Madam, I am writing to",
    "The three largest cities of Italy are", "When the rain stopped, the children", "A good friend is someone who",
    "The train to Vienna leaves at", "Water boils at", "He opened the box, and inside there was",
    "She had lost her keys again, so", "Once there lived a fox who",
)  # fmt: skip


def final_comparison(function: Callable, seed: int | None = None) -> CheckCard:
    """Run a learner's `my_generate` on settings that it has not seen; compare every text, token by token.

    Twelve texts are written by SmolLM2, and twelve by the practice model, where mistakes show more often. The judge is
    `generate` of `transformers`. It has no presence and no frequency penalty: there, the course's own `generate` is the
    judge, and the line says so.

    Args:
        function: `my_generate`, as in `check_part`. It may raise.
        seed: Draws the same cases again; None draws new ones. The card says which it was.

    >>> final_comparison(lambda model, ids, tokenizer, **settings: None, seed=15).right
    0
    """
    seed = secrets.randbelow(SEEDS) if seed is None else seed
    checks = []
    for number, (what, drawn) in enumerate(hidden_cases(seed), start=1):
        judge = "the course's generate" if what == "presence, frequency" else "transformers"
        reader = "SmolLM2" if drawn[0].name == "smollm2" else "practice model"
        checks.append(Check(f"{number} · {what}: {reader}, as {judge}", lambda random, drawn=drawn: [drawn]))
    right = new_texts(once(by_transformers))
    task = Task("final", "", "my_generate", right, tuple(checks), hint="", explain=takes_settings)
    return run(task, function, f"final comparison, seed {seed}")


def hidden_cases(seed: int) -> list[tuple[str, Case]]:
    """Draw 24 cases: each kind once for SmolLM2, and then once for the practice model."""
    chance = random.Random(seed)
    prompts = chance.sample(PROMPTS, len(KINDS))
    cases = [case(prompt, model="smollm2", max_new_tokens=chance.randint(16, 20)) for prompt in prompts]
    for _ in KINDS:
        letters = "".join(chance.choices(LETTERS, k=chance.randint(8, 24)))
        cases.append(case(letters, max_new_tokens=chance.randint(16, 24)))
    return [
        (what, (model, prompt, Settings(settings | KINDS[what](chance, (model, prompt, settings)))))
        for what, (model, prompt, settings) in zip([*KINDS] * 2, cases, strict=True)
    ]


def some(*names: str) -> Make:
    """Return a maker of some filters, or of some penalties, in this order."""

    def make(chance: random.Random, case: Case) -> dict:
        values = {
            "temperature": round(chance.uniform(0.6, 1.6), 2),
            "top_k": chance.randint(5, 80),
            "top_p": round(chance.uniform(0.6, 0.97), 2),
            "min_p": round(chance.uniform(0.02, 0.2), 2),
            "repetition_penalty": round(chance.uniform(1.1, 1.5), 2),
            "presence_penalty": round(chance.uniform(0.2, 2), 1),
            "frequency_penalty": round(chance.uniform(0.2, 2), 1),
        }
        pairs = [(name, values[name]) for name in names]
        sampling = {"do_sample": True, "seed": chance.randrange(SEEDS), "filters": pairs}
        return sampling if names[0] in FILTERS else {"penalties": pairs}

    return make


def ending(chance: random.Random, case: Case) -> dict:
    """Two tokens that first come late in the greedy text end it, the second in the list as well as the first."""
    tokens = _greedy_tokens(case)
    new = list(dict.fromkeys(tokens))
    late = [token for token in new if tokens.index(token) >= EARLIEST] or new[-1:]
    return {"eos_ids": chance.sample(late, min(2, len(late)))}


def minimum(chance: random.Random, case: Case) -> dict:
    """A token that comes early ends the text, and it may not yet."""
    return {"eos_ids": [chance.choice(_greedy_tokens(case)[:4])], "min_new_tokens": chance.randint(8, 12)}


def stop_string(chance: random.Random, case: Case) -> dict:
    """Stop at a string that begins in one token of the greedy text and ends in the next."""
    tokens, decode = _greedy_tokens(case), case[0].load().tokenizer.decode
    text, stops = decode(tokens), {}
    for place in range(2, len(tokens)):
        before = len(decode(tokens[:place]))
        stop = text[before - 1 : before + 2]
        # Where it is in the prompt as well, transformers and the course may disagree.
        if stop not in case[1] + text[: before - 1]:
            stops[place] = stop
    late = [stop for place, stop in stops.items() if place >= EARLIEST] or [*stops.values()]
    never = "###" if case[0].name == "smollm2" else "zqxj"  # of tokens that the model has: transformers refuses others
    return {"stop_strings": [never, *([chance.choice(late)] if late else [])]}


def beams(chance: random.Random, case: Case) -> dict:
    """Two to four beams, with texts that may end; short ones by SmolLM2, for a search that reads everything again."""
    full_stop = case[0].load().tokenizer.convert_tokens_to_ids(".")
    ends = [full_stop] if case[0].name == "smollm2" else chance.sample(range(len(LETTERS), 96), 8)
    search = {"num_beams": chance.randint(2, 4), "length_penalty": chance.choice([0.0, 0.6, 1.5]), "eos_ids": ends}
    lengths = {"min_new_tokens": 5, "max_new_tokens": 8} if case[0].name == "smollm2" else {"max_new_tokens": 12}
    return search | lengths


def _greedy_tokens(case: Case) -> list[int]:
    return new_tokens(by_transformers, case[0].load().encode(case[1]), {"max_new_tokens": 16}, case[0].load())


KINDS: dict[str, Make] = {
    "greedy": lambda chance, case: {},
    "temperature, top-k": some("temperature", "top_k"),
    "top-p, min-p": some("top_p", "min_p"),
    "temperature last": some("top_k", "top_p", "temperature"),
    "repetition": some("repetition_penalty"),
    "presence, frequency": some("presence_penalty", "frequency_penalty"),
    "end of sequence": ending,
    "minimum": minimum,
    "stop string": stop_string,
    "beams": beams,
    "beams and penalty": lambda *given: beams(*given) | some("repetition_penalty")(*given),
    "all but beams": lambda *given: some(*FILTERS)(*given) | some("repetition_penalty")(*given) | minimum(*given),
}
