"""The capstone's checks: what is right passes, each usual mistake gets its sentence, and nothing gets through."""

import ast
import random
import re

import nbformat
import pytest
import torch
from transformers import DynamicCache

from course_utils.engine.settings import GenerationSettings
from course_utils.engine.stopping import TextStream
from course_utils.exercises.calling import call
from course_utils.exercises.lessons.lesson_15 import by_transformers
from course_utils.exercises.task import judge
from course_utils.learner.capstone import PARTS, case, check_part
from course_utils.learner.capstone_runs import new_texts
from course_utils.models.practice import practice_model
from tests.capstone_functions import (
    LESSON,
    Learner,
    by_the_course,
    by_the_lesson,
    learner,
    solutions_in,
    stream_by_the_course,
)

RIGHT = {"the engine": (by_the_course, stream_by_the_course), "a learner": (Learner().generate, Learner().stream)}


@pytest.mark.parametrize("part", PARTS)
def test_the_lessons_folded_solutions_are_right(part):
    functions = by_the_lesson()
    check = check_part(part, functions[{"loop": "loop", "streaming": "my_stream"}.get(part, "my_generate")])
    assert check.is_right, check


def test_every_stub_of_the_lesson_has_a_solution_of_the_same_form():
    cells = nbformat.read(LESSON, as_version=4).cells
    defined = [ast.parse(cell.source).body for cell in cells if cell.cell_type == "code"]
    stubs = [one for body in defined for one in body if ast.unparse(one).endswith("raise NotImplementedError")]
    solved = [ast.parse(text).body[0] for cell in cells for text in solutions_in(cell)]
    assert len(stubs) == len(PARTS)
    assert [(one.name, ast.unparse(one.args)) for one in stubs] == [(one.name, ast.unparse(one.args)) for one in solved]


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("who", RIGHT)
def test_what_is_right_passes(part, who):
    check = check_part(part, RIGHT[who][part == "streaming"])
    assert check.is_right, check
    assert repr(check).startswith(f"✅ {part}: ")


def without_cache(self, model, ids, state):
    return model(ids).logits[0, -1]


def forgets(self, model, ids, state):
    first = not state
    state["read"] = True
    return model(ids if first else ids[:, -1:]).logits[0, -1]


def cached(step):
    """Read with a cache, where `step` says what goes in once the prompt is there."""

    def read(self, model, ids, state):
        cache = state.setdefault("cache", DynamicCache(config=model.config))
        length = cache.get_seq_length()
        return model(past_key_values=cache, **(step(ids, length) if length else {"input_ids": ids})).logits[0, -1]

    return read


def at(position, ids):
    return {"input_ids": ids[:, -1:], "position_ids": torch.tensor([[position]])}


def reads_the_last_too(self, model, ids, tokenizer, chosen):
    yield from Learner.tokens(self, model, ids, tokenizer, chosen)
    model(ids[:, -1:])


def first_try_top_p(self, logits, setting):
    ranked, order = logits.softmax(-1).sort(descending=True)
    return logits.index_fill(0, order[ranked.cumsum(-1) > setting], -torch.inf)


def wrong_end_top_p(self, logits, setting):
    ranked, order = logits.softmax(-1).sort()
    return logits.index_fill(0, order[ranked.cumsum(-1) > setting], -torch.inf)


def fixed_order(self, filters):
    return sorted(filters, key=lambda pair: ["temperature", "top_k", "top_p", "min_p"].index(pair[0]))


def always_divides(self, logits, ids, setting):
    logits = logits.clone()
    logits[ids.unique()] /= setting
    return logits


def added(name):
    return lambda self, logits, ids, setting: getattr(Learner, name)(self, logits, ids, -setting)


def ends_where(searched):
    def is_end(self, new, ids, chosen, tokenizer):
        text = tokenizer.decode(searched(new, ids))
        return new[-1] in chosen.eos_ids or any(stop in text for stop in chosen.stop_strings)

    return is_end


WRONG = [
    (
        "loop",
        {"read": lambda self, model, ids, state: model(state.setdefault("prompt", ids)).logits[0, -1]},
        "Every step chooses after the prompt",
    ),
    ("loop", {"read": lambda self, model, ids, state: model(ids).logits[0, 0]}, "those of the last one, `[:, -1]`"),
    ("loop", {"result": lambda self, ids, new: torch.tensor([new])}, "The prompt is missing: return the ids"),
    ("loop", {"result": lambda self, ids, new: [*ids[0].tolist(), *new]}, "as a tensor, (1, seq), got list"),
    ("loop", {"result": lambda self, ids, new: None}, "got None (is a return missing?)"),
    ("cache", {"read": without_cache}, "Without a cache, every step reads the whole text again."),
    ("cache", {"read": forgets}, "A decode step has forgotten the text before it"),
    ("cache", {"read": cached(lambda ids, length: {"input_ids": ids[:, -2:]})}, "Off by one: a decode step reads two"),
    (
        "cache",
        {"read": cached(lambda ids, length: {"input_ids": ids[:, -2:-1]})},
        "Off by one: a decode step must read",
    ),
    ("cache", {"read": cached(lambda ids, length: at(length + 1, ids))}, "Off by one: the position of a new token"),
    ("cache", {"read": cached(lambda ids, length: at(length - 1, ids))}, "Off by one: the position of a new token"),
    ("cache", {"tokens": reads_the_last_too}, "The last token is read, although nothing"),
    (
        "filters",
        {"temperature": lambda self, logits, setting: logits * setting},
        "temperature: You multiply by the temperature",
    ),
    ("filters", {"top_p": first_try_top_p}, "top_p: You drop the token that crosses p"),
    ("filters", {"top_p": wrong_end_top_p}, "top_p: You keep the tokens below p: start to add at the most likely one"),
    (
        "filters",
        {"min_p": lambda self, logits, p: torch.where(logits.softmax(-1) < p, -torch.inf, logits)},
        "min_p: You compare with min-p itself",
    ),
    ("filters", {"ordered": fixed_order}, "The filters come in an order of your own"),
    ("filters", {"ordered": lambda self, filters: []}, "The filters have no effect"),
    ("filters", {"choose": lambda self, logits, *_: int(logits.argmax())}, "Nothing is drawn"),
    (
        "filters",
        {"generator": lambda self, chosen, before: None},
        "gives two texts for one seed: draw with a torch.Generator()",
    ),
    (
        "filters",
        {"generator": lambda self, chosen, before: Learner.generator(self, chosen, None)},
        "starts over in every step",
    ),
    ("penalties", {name: added(name) for name in ("presence_penalty", "frequency_penalty")}, "The sign: presence and"),
    ("penalties", {"repetition_penalty": always_divides}, "The sign rule: a negative logit is multiplied"),
    ("penalties", {"frequency_penalty": Learner.presence_penalty}, "A frequency penalty counts"),
    ("penalties", {"presence_penalty": Learner.frequency_penalty}, "A presence penalty does not count"),
    ("penalties", {"counts_prompt": lambda self, name: True}, "presence and frequency look at the new tokens"),
    (
        "penalties",
        {"counts_prompt": lambda self, name: False},
        "The prompt counts for the repetition penalty: it looks",
    ),
    ("stopping", {"is_end": ends_where(lambda new, ids: new[-1:])}, "one can lie across two, so decode all new tokens"),
    ("stopping", {"is_end": ends_where(lambda new, ids: ids[0])}, "You look for stop strings in the prompt, too"),
    ("stopping", {"is_end": ends_where(lambda new, ids: [])}, "Stop strings have no effect"),
    ("stopping", {"is_too_short": lambda *_: False}, "min_new_tokens has no effect"),
    (
        "stopping",
        {"is_too_short": lambda self, new, start, s: len(new) + start < s.min_new_tokens},
        "The prompt counts for your min_new_tokens",
    ),
    (
        "stopping",
        {"is_too_short": lambda self, new, start, s: len(new) <= s.min_new_tokens},
        "Off by one: with min_new_tokens new tokens the text is long enough",
    ),
    ("beams", {"score": lambda self, total, new, chosen: total}, "The length is missing from the score"),
    ("beams", {"score": lambda self, total, new, chosen: total / len(new)}, "Your score is the mean in all cases"),
    (
        "beams",
        {"is_over": lambda self, finished, chosen: len(finished) >= chosen.num_beams},
        "You stop when num_beams texts are finished",
    ),
    ("beams", {"value": lambda self, logits, *_: logits.log_softmax(-1)}, "Your beams are not changed"),
    ("beams", {"value": Learner.changed}, "You add logits: turn them into log-probabilities first"),
    ("beams", {"beams": Learner.tokens}, "Where is num_beams? These are the texts of your loop"),
    ("beams", {"best": lambda self, ranked: ranked[-1][1]}, "The best one comes first."),
]


@pytest.mark.parametrize(("part", "wrong", "sentence"), WRONG, ids=[f"{part}-{text[:24]}" for part, _, text in WRONG])
def test_a_mistake_gets_its_sentence(part, wrong, sentence):
    check = check_part(part, learner(**wrong).generate)
    assert not check.is_right
    assert sentence in check.message, check
    assert "seen with  my_generate(<" in repr(check)
    assert all(len(line) < 120 for line in repr(check).splitlines())


def each_alone(self, model, ids, tokenizer, **settings):
    for token in self.tokens(model, ids, tokenizer, settings_of(settings)):
        yield tokenizer.decode([token])


def settings_of(settings):
    return GenerationSettings(**({"eos_ids": []} | settings))


def all_at_once(self, model, ids, tokenizer, **settings):
    yield from list(Learner.stream(self, model, ids, tokenizer, **settings))


def without_the_end(self, model, ids, tokenizer, **settings):
    text = TextStream(tokenizer, settings.get("stop_strings", ()))
    for token in self.tokens(model, ids, tokenizer, settings_of(settings)):
        yield text.push(token)


def all_so_far(self, model, ids, tokenizer, **settings):
    text = ""
    for piece in Learner.stream(self, model, ids, tokenizer, **settings):
        text += piece
        yield text


def shows_stops(self, model, ids, tokenizer, **settings):
    text = ""
    new = []
    for token in self.tokens(model, ids, tokenizer, settings_of(settings)):
        new.append(token)
        decoded = tokenizer.decode(new).rstrip("\ufffd")
        yield decoded[len(text) :]
        text = decoded


WRONG_STREAMS = [
    (each_alone, "what could become one must wait"),
    (shows_stops, "what could become one must wait"),
    (all_at_once, "times before the first piece: yield inside the loop"),
    (without_the_end, "Something is missing at the end"),
    (all_so_far, "yield only what is new"),
    (
        lambda self, model, ids, tokenizer, **settings: self.tokens(model, ids, tokenizer, settings_of(settings)),
        "got int",
    ),
    (lambda self, *_, **__: None, "must yield pieces of text, got None"),
    (lambda self, *_, **__: iter(()), "yields nothing"),
]


@pytest.mark.parametrize(("stream", "sentence"), WRONG_STREAMS)
def test_a_wrong_stream_gets_its_sentence(stream, sentence):
    check = check_part("streaming", learner(stream=stream).stream)
    assert not check.is_right
    assert sentence in check.message, check


def test_half_a_character_is_seen():
    def half(model, ids, tokenizer, stop_strings=(), **settings):
        if stop_strings or "eos_ids" in settings:  # right, so that only the last case is wrong
            yield from Learner().stream(model, ids, tokenizer, stop_strings=stop_strings, **settings)
            return
        for token in Learner().tokens(model, ids, tokenizer, settings_of(settings)):
            yield tokenizer.decode([token])

    assert "decode all new tokens together" in check_part("streaming", half).message


def raises(*_, **__):
    return [][3]


def never_ends(model, ids, tokenizer, **settings):
    while True:
        model(ids)


def writes_into_ids(model, ids, tokenizer, max_new_tokens):
    ids[0, 0] = 3
    return ids


BROKEN = [
    (raises, "raises IndexError: list index out of range (line 2 of your function)."),
    (never_ends, "does the loop end?"),
    (writes_into_ids, "must not change the ids that it gets"),
    (lambda *_, **__: exit(), "ends the program: take out exit() and quit()"),
    (lambda: None, "TypeError"),
    (lambda *_, **__: "Paris", "got str"),
    (lambda model, ids, tokenizer, max_new_tokens: ids.float(), "whole numbers, got torch.float32"),
    (lambda model, ids, tokenizer, max_new_tokens: ids[0], "of shape (1, seq), got ("),
    (lambda model, ids, tokenizer, max_new_tokens: ids.repeat(2, 1), "of shape (1, seq), got (2, "),
    (lambda model, ids, tokenizer, max_new_tokens: ids, "the prompt without a new token"),
    (lambda model, ids, tokenizer, max_new_tokens: (ids, 3), "got tuple"),
]


@pytest.mark.parametrize(("function", "sentence"), BROKEN)
def test_nothing_gets_through(function, sentence):
    before, random_numbers = practice_model().model.training, torch.random.get_rng_state()
    check = check_part("loop", function)
    assert (check.right, check.status) == (0, "wrong")
    assert sentence in check.message
    assert not check_part("filters", function).is_right
    assert practice_model().model.training == before
    assert torch.equal(torch.random.get_rng_state(), random_numbers)
    assert not practice_model().model.get_input_embeddings()._forward_pre_hooks


def test_ids_that_the_model_does_not_have_are_named():
    check = check_part("loop", lambda model, ids, *_, **__: torch.cat([ids, torch.tensor([[96_000]])], 1))
    assert check.message == "Your function must return ids of the model's 96 tokens, got 96000."


def test_the_form_of_an_older_edition_is_named():
    """Once the exercise asked for `my_generate(loaded, ids, settings)`, and for the list of the new tokens."""

    def my_generate(loaded, ids, settings):
        return [36, 73]

    assert (
        "It is called as `my_generate(model, ids, tokenizer, **settings)`." in check_part("loop", my_generate).message
    )
    check = check_part("loop", lambda *given, **settings: by_the_course(*given, **settings)[0].tolist())
    assert "must return prompt and new tokens as a tensor, (1, seq), got list" in check.message


def test_longer_and_shorter_texts_are_counted():
    def longer(model, ids, tokenizer, max_new_tokens):
        return by_the_course(model, ids, tokenizer, max_new_tokens=max_new_tokens + 1)

    assert check_part("loop", longer).message == "Your function returns 13 values, and 12 are right."


def test_a_mistake_of_ones_own_is_shown_where_it_begins():
    def sometimes(model, ids, tokenizer, **settings):
        row = by_the_course(model, ids, tokenizer, **settings)
        row[0, ids.shape[1] + 2] = 0 if settings["penalties"][0][1] == 0.5 else row[0, ids.shape[1] + 2]
        return row

    check = check_part("penalties", sometimes)
    assert (check.right, len(check.lines)) == (2, 4)
    assert re.fullmatch(r"Your function returns 'a' at place 2, and '\w+' is right\.", check.message)
    assert (
        "seen with  my_generate(<practice>, 'lazy', max_new_tokens=12, penalties=[['frequency_penalty', 0.5]])"
        in repr(check)
    )


def test_a_seed_that_is_not_used_is_seen_wherever_the_numbers_come_from():
    chance = random.Random(3)

    class Unseeded(Learner):
        def generator(self, chosen, before):
            return before or torch.Generator().manual_seed(chance.randrange(10**6))

    assert "gives two texts for one seed" in check_part("filters", Unseeded().generate).message


def test_what_is_read_twice_is_counted():
    def reads_the_prompt_twice(model, ids, tokenizer, **settings):
        model(ids)
        return Learner().generate(model, ids, tokenizer, **settings)

    check = check_part("cache", reads_the_prompt_twice)
    assert check.message == "Something is read twice: 17 positions, and 14 are enough."


def test_bad_calls_get_one_sentence():
    with pytest.raises(ValueError, match=r"^part must be one of \['loop', .* got 'speed'$"):
        check_part("speed", by_the_course)
    assert check_part("loop", torch.zeros(1)).message == "Your function is no function: my_generate is of type Tensor."


def test_a_stub_is_not_started():
    def my_generate(model, ids, tokenizer, **settings):
        raise NotImplementedError

    assert repr(check_part("filters", my_generate)).startswith("⬜ filters: not started.")


def test_a_function_that_needs_a_stub_is_not_started_either():
    def chosen(logits):
        raise NotImplementedError

    def my_generate(model, ids, tokenizer, **settings):
        return chosen(model(ids).logits)

    check = check_part("filters", my_generate)
    assert check.status == "not started"
    assert check.message == "Your function needs chosen, which isn't written yet."


def test_a_check_is_readable_without_a_kernel():
    check = check_part("loop", lambda *_, **__: "<b>")
    assert "loop: 0 of 3 checks pass." in check._repr_html_()
    assert "<b>" not in check._repr_html_()


OF_THE_LESSON = [
    *("Every step chooses after the prompt", "You take the logits of the first position", "for your max_new_tokens"),
    *("temperature: You multiply", "top_p: You drop the token that crosses p", "top_p: You keep the tokens below p"),
    *("min_p: You compare with min-p itself", "top_k: You keep one token too few", "an order of your own, or of"),
    *("The filters have no effect", "Nothing is drawn", "Where do_sample is False", "The generator starts over"),
    *("The sign: presence and frequency", "The sign rule", "A frequency penalty counts", "A presence penalty does not"),
    *("presence and frequency look at the new tokens", "The prompt counts for the repetition penalty: it looks"),
    *("The logits are not changed", "one can lie across two", "min_new_tokens has no effect"),
    *("The prompt counts for your min_new_tokens", "is long enough and may end", "in the prompt, too"),
    *("Stop strings have no effect", "Your text does not end at eos_ids", "Only the first of the eos_ids"),
    "The token that ends a text is missing",
]
SHOWS_IN = {"loop": OF_THE_LESSON[:3], "filters": OF_THE_LESSON[3:13], "penalties": OF_THE_LESSON[13:20]}
SHOWS_IN["stopping"] = OF_THE_LESSON[20:]


@pytest.mark.parametrize("part", [part for part in PARTS if part != "streaming"])
def test_every_mistake_of_a_part_is_found_by_its_own_sentence(part):
    """A check can only name what shows: each of these changes a text of its part, and is taken for no other."""
    task = PARTS[part]
    own = [mistake for mistake in task.mistakes if any(words in mistake.says for words in SHOWS_IN.get(part, []))]
    assert len(own) >= len(SHOWS_IN.get(part, []))
    if part in ("cache", "beams"):  # their own mistakes come first
        own = task.mistakes[: {"cache": 8, "beams": 14}[part]]
    for mistake in own:
        result = judge(task, lambda arguments, mistake=mistake: call(mistake.function, arguments))
        assert next(line.message for line in result.lines if line.message) == mistake.says


def test_the_judges_agree():
    """Where both can judge, `transformers` and the engine say the same, also for orders of the filters of our own."""
    chance = random.Random(4)
    settings = {"temperature": 1.3, "top_k": 12, "top_p": 0.8, "min_p": 0.05}
    for seed in range(20):
        names = chance.sample(sorted(settings), chance.randint(1, 4))
        model, prompt, given = case("brown", *((name, settings[name]) for name in names), seed=seed)
        texts = [new_texts(write)(model.load(), prompt, **given) for write in (by_the_course, by_transformers)]
        assert texts[0] == texts[1]
