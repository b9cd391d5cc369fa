"""The parts of the capstone, as tasks like those of the exercises, and `check_part`, which judges a learner's function.

One contract for the lesson and for exercise 15: `my_generate(model, ids, tokenizer, **settings)` returns the ids of the
prompt and of the new tokens after it, `(1, seq)`, as `generate` of `transformers` does.

Lesson: 15 · Capstone: your own generate()
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from transformers import DynamicCache

from course_utils.engine.sampling import FILTERS
from course_utils.exercises.calling import Answer
from course_utils.exercises.lessons import lesson_11
from course_utils.exercises.lessons import lesson_15 as loop
from course_utils.exercises.lessons.lesson_15 import FREQUENCY, PRESENCE, REPETITION, generating
from course_utils.exercises.plain_data import ModelName, Settings
from course_utils.exercises.task import Check, Mistake, Task
from course_utils.learner.capstone_runs import new_texts, pieces, right_pieces
from course_utils.learner.check_card import CheckCard, judged

TALE = "Once upon a time, there was a little girl who"  # 11 tokens of SmolLM2
PANGRAM = "thequickbrownfoxjumpsoverthelazydog"  # every letter, so that the prompt holds many tokens
LEFT = "\ufffd"  # what a half character decodes to
PARTS: dict[str, Task] = {}
Case = tuple[ModelName, str, Settings]


def check_part(part: str, function: Callable) -> CheckCard:
    """Check one part of a learner's function on texts of SmolLM2 and of the practice model.

    Nothing that the function does comes through: it may raise, return anything, or call the model without end.

    Args:
        part: One of "loop", "cache", "filters", "penalties", "stopping", "streaming" and "beams".
        function: `my_generate(model, ids, tokenizer, **settings)`, which returns the ids of the prompt and of the new
            tokens after it, `(1, seq)`. For "streaming": `my_stream` with the same arguments, which yields a piece of
            text for every token as soon as it is chosen.

    Raises:
        ValueError: There is no such part.

    >>> check_part("loop", lambda model, ids, tokenizer, max_new_tokens: ids).message
    'Your function returns the prompt without a new token.'
    """
    if part not in PARTS:
        raise ValueError(f"part must be one of {list(PARTS)}, got {part!r}")
    return run(PARTS[part], function, part)


def run(task: Task, function: Callable, title: str) -> CheckCard:
    """Judge a learner's function by a task of the capstone, which wraps it."""
    wrap = WRAPS.get(task.name, new_texts)
    return judged(task, wrap(function) if callable(function) else function, title)


def case(prompt: str, *pairs: tuple[str, float], model: str = "practice", **settings: object) -> Case:
    """Return who reads ("practice" or "smollm2"), a prompt, and its settings; `pairs` are filters, or penalties."""
    named = {"do_sample": True, "filters": [*pairs]} if pairs and pairs[0][0] in FILTERS else {"penalties": [*pairs]}
    return ModelName(model), prompt, Settings({"max_new_tokens": 12} | (named if pairs else {}) | settings)


def part(name: str, checks: dict[str, list[Case]], own: Sequence[tuple[str, Callable]] = (), **more: object) -> None:
    """Add a part, given the cases of each check and, for its own mistakes, a function for each sentence.

    The mistakes of exercises 11 and 15 come after them: any of those can be made in any part.
    """
    known = [*(Mistake(says, function) for says, function in own), *_known()]
    wrap = WRAPS.get(name, new_texts)
    standard = {
        "function": "my_generate",
        "right": wrap(loop.by_transformers),
        "checks": tuple(Check(says, lambda random, cases=cases: cases) for says, cases in checks.items()),
        "mistakes": tuple(Mistake(mistake.says, wrap(mistake.function)) for mistake in known),
        "explain": loop.takes_settings,
    }
    PARTS[name] = Task(name=name, title="", hint="", **(standard | more))


def _known() -> list[Mistake]:
    change, my_generate, *_ = loop.TASKS
    known = [Mistake(mistake.says, generating(change=mistake.function)) for mistake in change.mistakes]
    # A part looks at one thing: what "So far" says of the whole function is no help here.
    known += [mistake for mistake in my_generate.mistakes if not mistake.says.startswith("So far")]
    for name, task in zip(FILTERS, lesson_11.TASKS, strict=True):
        known += [Mistake(f"{name}: {one.says}", loop.filtering(**{name: one.function})) for one in task.mistakes]
    return known


def caching(step: Callable[[torch.Tensor, int], dict], reads_last: bool = False) -> Callable:
    """Return a greedy `my_generate` with a cache; `step` says what goes in, given all ids and how many are cached."""

    @torch.inference_mode()
    def my_generate(model, ids, tokenizer, max_new_tokens):
        cache = DynamicCache(config=model.config)
        for _ in range(max_new_tokens):
            held = cache.get_seq_length()
            given = {"past_key_values": cache} | (step(ids, held) if held else {"input_ids": ids})
            ids = torch.cat([ids, model(**given).logits[:, -1].argmax(-1, keepdim=True)], dim=1)
        if reads_last:
            model(ids[:, -1:], past_key_values=cache)
        return ids

    return my_generate


def read_twice(own: Answer, right: Answer, case: list) -> str:
    """Say how much too much is read, if the texts are right."""
    if own.problem or own.value["new tokens"] != right.value["new tokens"]:
        return loop.takes_settings(own, right, case)
    read, least = (answer.value["positions read"] for answer in (own, right))
    return f"Something is read twice: {read} positions, and {least} are enough."


_POSITION = "Off by one: the position of a new token is the number of tokens in the cache; yours is"
_STEPS = {
    "A decode step has forgotten the text before it: hand the cache of the step before back in.":
        lambda ids, held: {"input_ids": ids[:, -1:], "past_key_values": None},
    "Off by one: a decode step must read the newest token, not the one before it.":
        lambda ids, held: {"input_ids": ids[:, -2:-1]},
    "Off by one: a decode step reads two tokens, and the first is in the cache already.":
        lambda ids, held: {"input_ids": ids[:, -2:]},
    f"{_POSITION} one more.":
        lambda ids, held: {"input_ids": ids[:, -1:], "position_ids": torch.tensor([[held + 1]])},
    f"{_POSITION} one less.":
        lambda ids, held: {"input_ids": ids[:, -1:], "position_ids": torch.tensor([[held - 1]])},
    "A new token needs its position, which is the number of tokens before it; yours is 0.":
        lambda ids, held: {"input_ids": ids[:, -1:], "position_ids": torch.tensor([[0]])},
    "Without a cache, every step reads the whole text again.":
        lambda ids, held: {"input_ids": ids, "past_key_values": None},
}  # fmt: skip


def wrong_stream(own: Answer, right: Answer, case: list) -> str:
    """Say what is wrong with the pieces of a stream."""
    if own.problem:
        return ""
    calls, shown, wanted = own.value["calls before the first piece"], own.value["pieces"], right.value["pieces"]
    text, whole, stops = "".join(shown), "".join(wanted), case[2].get("stop_strings", [])
    if calls > 1:
        return f"The model was called {calls} times before the first piece: yield inside the loop."
    if text == whole and len(shown) != len(wanted):
        return "A piece for every token, please: an empty one where nothing may be shown yet."
    if text == whole:
        return "The text is right, and some of it could have been shown earlier."
    if LEFT in text and LEFT not in whole[: text.index(LEFT) + 1]:
        return "Half a character was shown: decode all new tokens together, not each alone."
    if shown[-1].endswith(whole) and len(shown) > 1:
        return "Every piece is the whole text so far: yield only what is new."
    if len(text) > len(whole) and any(stop.startswith(text[len(whole) :]) for stop in stops):
        return "A part of the stop string was shown: what could become one must wait."
    if whole.startswith(text):
        return "Something is missing at the end: what was held back must be shown when the text ends."
    return "The pieces together are not the text."


def best_of(my_beams: Callable, place: int = 0) -> Callable:
    """Return a `my_generate` that writes one of the texts that a beam search finds, the best one first."""

    @loop.once
    def my_generate(model, ids, tokenizer, **settings):
        found = my_beams(model, ids, loop.DEFAULTS | settings)
        return torch.cat([ids, torch.tensor([found[place][1]])], dim=1)

    return my_generate


def _search_mistakes() -> list[tuple[str, Callable]]:
    *_, search, _ = loop.TASKS
    own = [(mistake.says, best_of(mistake.function)) for mistake in search.mistakes if "cache" not in mistake.says]
    ignored = ("Where is num_beams? These are the texts of your loop, not of a search.", loop.MINE)
    return [ignored, *own, ("Which finished text do you return? The best one comes first.", best_of(loop.BEAMS, -1))]


def _searched(prompt: str, beams: int, power: float, *eos_ids: int, **more: object) -> Case:
    search = {"max_new_tokens": 10, "num_beams": beams, "length_penalty": power, "eos_ids": [*eos_ids]}
    return case(prompt, **(search | more))


WRAPS = {"cache": partial(new_texts, with_positions=True), "streaming": pieces}
GREEDY = [case(prompt) for prompt in ("abc", "hello", "zzzz", "quick")]
part(
    "loop",
    {
        "writes what transformers writes": GREEDY,
        "ends after one token, if one is asked for": [case("cabin", max_new_tokens=1)],
        "writes with SmolLM2 as well": [case(TALE, model="smollm2", max_new_tokens=5)],
    },
    [(loop.PROMPT_COUNTS, generating(longest=lambda prompt, most: max(most - len(prompt), 1)))],
)
part(
    "cache",
    {
        "reads each token once, and the last one never": [*GREEDY, case("cabin", max_new_tokens=1)],
        "does so with SmolLM2: 11 + 8 − 1 positions": [case(TALE, model="smollm2", max_new_tokens=8)],
    },
    [
        *((says, caching(step)) for says, step in _STEPS.items()),
        (
            "The last token is read, although nothing needs what comes after it.",
            caching(lambda ids, held: {"input_ids": ids[:, -1:]}, True),
        ),
    ],
    explain=read_twice,
)
part(
    "filters",
    {
        "takes the best token without do_sample": [case("greedy", max_new_tokens=6, do_sample=False, seed=3)],
        "draws with the seed": [case("dogs", do_sample=True, seed=10, filters=[])],
        "draws with temperature": [
            case("abc", ("temperature", 0.5), seed=1),
            case("hello", ("temperature", 1.7), seed=2),
        ],
        "draws with top_k": [case("abc", ("top_k", 3), seed=2)],
        "draws with top_p": [case("quick", ("top_p", 0.8), seed=3), case("hello", ("top_p", 0.85), seed=1)],
        "draws with min_p": [case("hello", ("min_p", 0.05), seed=1)],
        "draws with several, in the order of the list": [
            case("abc", ("top_p", 0.9), ("temperature", 2.0), seed=3),
            case("quick", ("min_p", 0.08), ("temperature", 2.0), seed=3),
            case("abc", ("temperature", 1.5), ("top_k", 20), ("top_p", 0.9), ("min_p", 0.05), seed=7),
        ],
    },
)
part(
    "penalties",
    {
        REPETITION: [
            case(PANGRAM, (REPETITION, 1.5), do_sample=True, seed=1),
            case(PANGRAM, (REPETITION, 2.0), do_sample=True, seed=2),
            case("abc", (REPETITION, 1.3)),
        ],
        f"{FREQUENCY}, as the course's generate": [
            case(prompt, (FREQUENCY, size)) for prompt, size in ((PANGRAM, 1.0), ("lazy", 0.5), ("bbbb", 0.4))
        ],
        f"{PRESENCE}, as the course's generate": [
            case(PANGRAM, (PRESENCE, 1.0), do_sample=True, seed=2),
            *(case(prompt, (PRESENCE, size)) for prompt, size in (("lazy", 0.5), ("bbbb", 0.4))),
        ],
        "several, in the order of the list": [
            case("oaoa", (REPETITION, 1.2), (PRESENCE, 0.5)),
            case(PANGRAM, (FREQUENCY, 1.0), (REPETITION, 1.5), do_sample=True, seed=1),
        ],
    },
)
part(
    "stopping",
    {
        "ends with every token of eos_ids": [case("abc", eos_ids=[57]), case("hello", eos_ids=[55, 19])],
        "has min_new_tokens first": [
            case(prompt, eos_ids=[eos], min_new_tokens=least)
            for prompt, eos, least in (("abc", 26, 4), ("abc", 57, 3), ("hello", 21, 3), ("hello", 64, 8))
        ],
        "takes min_new_tokens without eos_ids": [case("abc", min_new_tokens=3, max_new_tokens=5)],
        "ends with a stop string, also across tokens": [
            case(prompt, stop_strings=stops)
            for prompt, *stops in (("abc", "ca"), ("hello", "qq", "am"), ("quick", "zz", "bvb"), ("zzzz", "bc"))
        ],
        "looks for it in the new text only": [case("lal", stop_strings=["la"], max_new_tokens=6)],
        "does all of it together": [case("cabin", eos_ids=[71], min_new_tokens=2, stop_strings=["avb"])],
    },
)
part(
    "streaming",
    {
        "shows each token as soon as it is chosen": [case("abc", max_new_tokens=10)],
        "holds back what could become a stop string": [
            case("hello", max_new_tokens=12, stop_strings=["ebnbq", "wdb"]),
            case("quick", max_new_tokens=12, stop_strings=["bvb"]),
            case("zzzz", max_new_tokens=5, stop_strings=["bcz"]),
        ],
        "ends with a token of eos_ids": [case("lazy", max_new_tokens=8, eos_ids=[21])],
        "shows no half character": [case("I love parrots 🦜🦜🦜", model="smollm2", max_new_tokens=4)],
    },
    function="my_stream",
    right=pieces(right_pieces),
    mistakes=(),
    explain=wrong_stream,
)
part(
    "beams",
    {
        "finds the best text": [
            *(_searched("abc", 3, 2.0, 57, 26, 78), _searched("hello", 4, 2.0, 56, 19, 5)),
            *(_searched("abc", 4, 0.0, 74, 63, 11), _searched("zzzz", 4, 1.5, 52, 79, 84)),
            *(_searched("hello", 4, 1.0, 84, 65, 13, 20, 66, 50, 47, 62), _searched("quick", 4, 0.5)),
            _searched("wqnh", 3, 0.0, 81, 36, 20, 5, 92, 16, 93, 52, 71, 68, max_new_tokens=5),
        ],
        "changes every beam by its own text": [
            _searched(prompt, 3, 1.0, penalties=[(REPETITION, 1.6)]) for prompt in ("abc", "hello", "zzzz")
        ],
        "does so with SmolLM2": [case("I have never seen", model="smollm2", max_new_tokens=5, num_beams=3)],
    },
    _search_mistakes(),
)
