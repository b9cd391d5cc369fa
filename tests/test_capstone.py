"""The capstone's checks: what is right passes, each usual mistake gets its sentence, and nothing gets through."""

import random
from dataclasses import replace

import pytest
import torch
from transformers import DynamicCache

from course_utils.engine.settings import GenerationSettings
from course_utils.engine.stopping import TextStream
from course_utils.learner.capstone import ALL_PARTS, check_part, judge
from course_utils.learner.capstone_cases import OURS, PARTS, THEIRS, Case, expected
from course_utils.learner.capstone_loop import Loop
from course_utils.learner.capstone_mistakes import MISTAKES
from course_utils.learner.capstone_runs import Answer, ask
from course_utils.models.practice import practice_model
from tests.capstone_functions import Learner, by_the_course, learner, stream_by_the_course

RIGHT = {"the engine": (by_the_course, stream_by_the_course), "a learner": (Learner().generate, Learner().stream)}


@pytest.mark.parametrize("part", ALL_PARTS)
@pytest.mark.parametrize("who", RIGHT)
def test_what_is_right_passes(part, who):
    check = check_part(part, RIGHT[who][part == "streaming"])
    assert check.ok, check
    assert repr(check).startswith(f"✓ {part}: ")


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


def normalised_by_nothing(self, tree):
    return max(tree.finished, key=lambda text: tree.nodes[text.node].score).node


def changed_settings(**changes):
    return lambda self, chosen: replace(chosen, **changes)


WRONG = [
    (
        "loop",
        {"read": lambda self, model, ids, state: model(state.setdefault("prompt", ids)).logits[0, -1]},
        "prompt again",
    ),
    ("loop", {"read": lambda self, model, ids, state: model(ids).logits[0, 0]}, "Those of the last position"),
    ("loop", {"result": lambda self, ids, new: torch.tensor([new])}, "the prompt is missing"),
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
    ("cache", {"tokens": reads_the_last_too}, "The last token is read, and nobody asks"),
    ("filters", {"temperature": lambda self, logits, setting: logits * setting}, "Do you multiply by the temperature?"),
    ("filters", {"top_p": first_try_top_p}, "the token that crosses the line belongs"),
    ("filters", {"top_p": wrong_end_top_p}, "which end do you sum from?"),
    (
        "filters",
        {"min_p": lambda self, logits, p: torch.where(logits.softmax(-1) < p, -torch.inf, logits)},
        "a share of",
    ),
    ("filters", {"ordered": fixed_order}, "The filters come in the order of the list."),
    ("filters", {"ordered": lambda self, filters: []}, "The filters have no effect"),
    ("filters", {"choose": lambda self, logits, *_: int(logits.argmax())}, "Nothing is drawn"),
    ("filters", {"generator": lambda self, chosen, before: None}, "The same seed gives two texts"),
    ("filters", {"generator": lambda self, chosen, before: Learner.generator(self, chosen, None)}, "begins anew"),
    ("penalties", {name: added(name) for name in ("presence_penalty", "frequency_penalty")}, "The sign: presence and"),
    ("penalties", {"repetition_penalty": always_divides}, "The sign rule: a negative logit is multiplied"),
    ("penalties", {"frequency_penalty": Learner.presence_penalty}, "A frequency penalty counts"),
    ("penalties", {"presence_penalty": Learner.frequency_penalty}, "A presence penalty does not count"),
    ("penalties", {"counts_prompt": lambda self, name: True}, "The prompt does not count for presence"),
    ("penalties", {"counts_prompt": lambda self, name: False}, "The prompt counts for repetition_penalty"),
    ("stopping", {"is_end": ends_where(lambda new, ids: new[-1:])}, "A stop string can lie across tokens"),
    ("stopping", {"is_end": ends_where(lambda new, ids: ids[0])}, "Is the prompt searched, too?"),
    ("stopping", {"is_end": ends_where(lambda new, ids: [])}, "Stop strings have no effect."),
    ("stopping", {"is_too_short": lambda *_: False}, "min_new_tokens has no effect"),
    (
        "stopping",
        {"is_too_short": lambda self, new, start, s: len(new) + start < s.min_new_tokens},
        "Does the prompt count",
    ),
    (
        "stopping",
        {"is_too_short": lambda self, new, start, s: len(new) <= s.min_new_tokens},
        "Off by one: when there are",
    ),
    ("beams", {"search_settings": changed_settings(length_penalty=0.0)}, "Does the score leave the length out?"),
    ("beams", {"best": normalised_by_nothing}, "Does the score leave the length out?"),
    ("beams", {"search_settings": changed_settings(length_penalty=1.0)}, "Is length_penalty used?"),
    ("beams", {"search_settings": changed_settings(early_stopping=True)}, "early_stopping is False"),
    ("beams", {"beams": Learner.tokens}, "These are the texts of greedy search."),
    ("beams", {"best": lambda self, tree: tree.finished[-1].node}, "The best one comes first."),
]


@pytest.mark.parametrize(("part", "wrong", "sentence"), WRONG, ids=[f"{part}-{text[:24]}" for part, _, text in WRONG])
def test_a_mistake_gets_its_sentence(part, wrong, sentence):
    check = check_part(part, learner(**wrong).generate)
    assert not check.ok
    assert sentence in check.sentence, check
    assert check.detail
    assert all(len(line) < 300 for line in repr(check).splitlines())


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
    assert not check.ok
    assert sentence in check.sentence, check


def test_half_a_character_is_seen():
    def half(model, ids, tokenizer, stop_strings=(), **settings):
        if stop_strings or "eos_ids" in settings:  # right, so that only the last case is wrong
            yield from Learner().stream(model, ids, tokenizer, stop_strings=stop_strings, **settings)
            return
        for token in Learner().tokens(model, ids, tokenizer, settings_of(settings)):
            yield tokenizer.decode([token])

    assert "decode all new tokens together" in check_part("streaming", half).sentence


def raises(*_, **__):
    return [][3]


def never_ends(model, ids, tokenizer, **settings):
    while True:
        model(ids)


def writes_into_ids(model, ids, tokenizer, max_new_tokens):
    ids[0, 0] = 3
    return ids


BROKEN = [
    (raises, "stopped in its line 2 with IndexError: list index out of range"),
    (never_ends, "does the loop end?"),
    (writes_into_ids, "must not change the ids that it gets"),
    (lambda *_, **__: exit(), "SystemExit"),
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
    assert (check.right, check.ok) == (0, False)
    assert sentence in check.sentence
    assert not check_part("filters", function).ok
    assert practice_model().model.training == before
    assert torch.equal(torch.random.get_rng_state(), random_numbers)
    assert not practice_model().model.get_input_embeddings()._forward_pre_hooks


def test_longer_and_shorter_texts_are_counted():
    def longer(model, ids, tokenizer, max_new_tokens):
        return by_the_course(model, ids, tokenizer, max_new_tokens=max_new_tokens + 1)

    check = check_part("loop", longer)
    assert check.detail.endswith("6 new tokens, and 5 are right.")
    assert check.sentence == "None of the usual mistakes makes these texts."


def test_the_case_and_the_first_different_token_are_named():
    answers = [Answer(expected(case)[0], 1) for case in PARTS["penalties"]]
    answers[4] = Answer((19, 23, 0, *answers[4].tokens[3:]), 1)
    check = judge("penalties", answers)
    assert (check.right, check.cases) == (11, 12)
    assert "“lazy”" in check.detail
    assert "new token 3 is 'a'" in check.detail


def test_bad_calls_get_one_sentence():
    with pytest.raises(ValueError, match=r"^part must be one of \['loop', .* got 'speed'$"):
        check_part("speed", by_the_course)
    with pytest.raises(TypeError, match=r"^function must be a function, as my_generate without brackets, got Tensor$"):
        check_part("loop", torch.zeros(1))


def test_a_check_is_readable_without_a_kernel():
    check = check_part("loop", lambda *_, **__: "<b>")
    assert "<p><strong>✗ loop: 0 of 6 texts are right." in check._repr_html_()
    assert "<b>" not in check._repr_html_()


@pytest.mark.parametrize("part", PARTS)
def test_the_exchangeable_loop_is_right_and_no_mistake_looks_right(part):
    """A check can only name what shows: every mistake changes a text, and no two mistakes are the same."""
    cases = [case for case in PARTS[part] if not case.is_real]
    right = [expected(case)[0] for case in cases]
    if part != "beams":
        assert [Loop().write(case) for case in cases] == right
    texts = [tuple(mistake.text(case) for case in cases) for mistake in MISTAKES[part]]
    assert all(list(text) != right for text in texts)
    assert len(set(texts)) == len(texts)


def test_who_judges_is_said():
    assert expected(Case("cab", {"max_new_tokens": 3, "penalties": [("presence_penalty", 1.0)]}))[1] == OURS
    assert expected(Case("cab", {"max_new_tokens": 3, "penalties": [("repetition_penalty", 1.2)]}))[1] == THEIRS


def test_the_judges_agree():
    """Where both can judge, `transformers` and the engine say the same, also for orders of the filters of our own."""
    chance = random.Random(4)
    settings = {"temperature": 1.3, "top_k": 12, "top_p": 0.8, "min_p": 0.05}
    for seed in range(20):
        names = chance.sample(sorted(settings), chance.randint(1, 4))
        case = Case("brown", {"max_new_tokens": 8, "do_sample": True, "seed": seed} | {
            "filters": [(name, settings[name]) for name in names]
        })  # fmt: skip
        assert ask(by_the_course, case).tokens == expected(case)[0]
