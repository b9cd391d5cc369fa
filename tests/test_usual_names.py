"""`generate` under the names that everybody uses: the tokens of `transformers`, or one sentence."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given, reject
from hypothesis import strategies as st
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    GenerationConfig,
    LogitsProcessor,
    NoBadWordsLogitsProcessor,
    TypicalLogitsWarper,
)

from course_utils.engine.generate import generate, search_beams, stream
from course_utils.engine.settings import GenerationSettings
from course_utils.engine.usual_names import PENALTIES, SAMPLING
from course_utils.models import load_causal_lm
from course_utils.traces import record_beams, record_generation
from tests.examples import examples
from tests.tiny_models import EOS, VOCABULARY, tiny_model, tiny_tokenizer

IDS = torch.tensor([[5, 6, 7]])
CAUSAL = ["llama", "gpt2"]
kinds = st.sampled_from([*CAUSAL, "t5", "bart"])
tokens = st.integers(3, VOCABULARY - 1)
prompts = st.lists(tokens, min_size=1, max_size=10).map(lambda ids: torch.tensor([ids]))
ends = st.one_of(
    st.integers(1, VOCABULARY - 1), st.lists(st.integers(1, VOCABULARY - 1), min_size=1, max_size=4, unique=True)
)


def some_of(names):
    """Some of these settings, each from its own strategy."""
    return st.fixed_dictionaries({}, optional=names)


penalty_names = some_of(
    {"repetition_penalty": st.sampled_from([1.0, 0.7, 1.8]), "no_repeat_ngram_size": st.integers(0, 3)}
)
ban_names = some_of(
    {
        "bad_words_ids": st.lists(st.lists(tokens, min_size=1, max_size=2), min_size=1, max_size=6),
        "suppress_tokens": st.lists(tokens, min_size=1, max_size=20),
        "begin_suppress_tokens": st.lists(tokens, min_size=1, max_size=20),
        "forced_bos_token_id": tokens,
        "forced_eos_token_id": st.one_of(tokens, st.lists(tokens, min_size=1, max_size=3)),
    }
)
sampling_names = some_of(
    {
        "temperature": st.sampled_from([0.4, 1.0, 1.6]),
        "top_k": st.sampled_from([0, 1, 5, 50, 200]),
        "top_p": st.sampled_from([0.3, 0.85, 1.0]),
        "min_p": st.sampled_from([0.0, 0.05, 0.4]),
    }
)
beam_names = some_of(
    {
        "length_penalty": st.sampled_from([-1.0, 0.0, 1.5]),
        "early_stopping": st.sampled_from([True, False, "never"]),
        "num_return_sequences": st.integers(1, 2),
    }
)


@st.composite
def lengths(draw, kind, prompt):
    """New tokens or all tokens, as the two pairs of names count them."""
    start = 1 if kind in ("t5", "bart") else prompt.shape[1]
    new, least = draw(st.integers(1, 12)), draw(st.integers(0, 6))
    longest = {"max_new_tokens": new} if draw(st.booleans()) else {"max_length": start + new}
    shortest = {"min_new_tokens": min(new, least)} if draw(st.booleans()) else {"min_length": start + least}
    return longest | shortest


def both(model, ids, seed=0, **names):
    """The tokens of ours, and those of transformers up to their end; nothing to compare where no token may be taken."""
    sampling = {"seed": seed} if "do_sample" in names else {}
    start = 1 if model.config.is_encoder_decoder else ids.shape[1]
    try:
        ours = [list(text.ids) for text in generate(model, ids, **names, **sampling)]
        torch.manual_seed(seed)
        rows = model.generate(ids, attention_mask=torch.ones_like(ids), **({"do_sample": False} | names))
    except ValueError as error:
        if "must leave" in str(error) or "suppress" in str(error):
            reject()
        raise
    end = names.get("eos_token_id", EOS)
    ends = {end} if isinstance(end, int) else set(end or [])
    theirs = [
        row[: next((place + 1 for place, token in enumerate(row) if token in ends), len(row))]
        for row in rows[:, start:].tolist()
    ]
    return ours, theirs


@pytest.mark.filterwarnings("ignore:Unfeasible length constraints")
@given(st.data(), kinds, prompts, penalty_names, ban_names, ends)
@examples(50)
def test_greedy_under_usual_names_equals_transformers(data, kind, ids, penalties, bans, end):
    names = penalties | bans | data.draw(lengths(kind, ids)) | {"eos_token_id": end}
    ours, theirs = both(tiny_model(kind), ids, **names)
    assert ours == theirs


@given(st.data(), kinds, prompts, sampling_names, penalty_names, ban_names, st.integers(0, 2**31))
@examples(50)
def test_sampling_under_usual_names_equals_transformers(data, kind, ids, sampling, penalties, bans, seed):
    """Also where nothing is said: the best 50 tokens are kept."""
    names = sampling | penalties | bans | data.draw(lengths(kind, ids)) | {"do_sample": True}
    ours, theirs = both(tiny_model(kind), ids, seed, num_return_sequences=2, **names)
    assert ours == theirs


@pytest.mark.filterwarnings("ignore:Unfeasible length constraints")
@given(st.data(), kinds, prompts, penalty_names, ban_names, beam_names, ends)
@examples(30)
def test_beams_under_usual_names_equal_transformers(data, kind, ids, penalties, bans, beams, end):
    forced = bans.get("forced_eos_token_id")
    assume(not isinstance(forced, list) or len(forced) == 1)  # of several with one score, beams may take any
    forces = any(name.startswith("forced") for name in bans)
    assume(not forces or beams.get("num_return_sequences", 1) == 1)  # of too few texts, transformers repeats one
    names = penalties | bans | beams | data.draw(lengths(kind, ids)) | {"eos_token_id": end, "num_beams": 3}
    ours, theirs = both(tiny_model(kind), ids, **names)
    assert ours == theirs


@given(st.data(), kinds, prompts, sampling_names, penalty_names, st.integers(0, 2**31))
@examples(15)
def test_a_generation_config_says_the_same_as_its_names(data, kind, ids, sampling, penalties, seed):
    names = sampling | penalties | data.draw(lengths(kind, ids)) | {"do_sample": True}
    model = tiny_model(kind)
    (ours,) = generate(model, ids, generation_config=GenerationConfig(**names), seed=seed)
    assert ours == generate(model, ids, seed=seed, **names)[0]
    (other,) = generate(model, ids, generation_config=GenerationConfig(**names), seed=seed, top_k=1)
    assert other == generate(model, ids, seed=seed, **names | {"top_k": 1})[0]


def test_what_the_models_own_format_asks_for_is_done():
    """BART's text ends in its end token, whatever its configuration is used with."""
    torch.manual_seed(0)
    sizes = {"encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
    model = BartForConditionalGeneration(BartConfig(vocab_size=VOCABULARY, d_model=16, **sizes, **heads)).eval()
    assert model.generation_config.forced_eos_token_id == 2
    model.generation_config.bad_words_ids = [[1], [0]]
    ids = torch.tensor([[0, 5, 6, 7, 2]])
    theirs = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=6, do_sample=False)[0, 1:].tolist()
    (ours,) = generate(model, ids, max_new_tokens=6)
    assert list(ours.ids) == theirs[: len(ours.ids)]
    assert ours.ids[-1] == 2
    assert generate(model, ids, max_new_tokens=6, forced_eos_token_id=None, eos_token_id=None)[0].ids[-1] != 2


def test_logits_processors_come_after_the_penalties_and_before_the_filters():
    class Order(LogitsProcessor):
        """Ban what the penalties left as the best token."""

        def __call__(self, input_ids, scores):
            scores[torch.arange(len(scores)), scores.argmax(-1)] = -torch.inf  # writes into its argument
            return scores

    names = {"repetition_penalty": 1.5, "do_sample": True, "temperature": 0.5, "top_p": 0.8, "max_new_tokens": 8}
    for processors in ([Order()], [TypicalLogitsWarper(0.5)], [Order(), NoBadWordsLogitsProcessor([[9]])]):
        for kind in ("llama", "t5"):
            ours, theirs = both(tiny_model(kind), IDS, seed=4, logits_processor=processors, **names)
            assert ours == theirs


VALUES = {"early_stopping": "never", "stop_strings": ["ab"], "bad_words_ids": [[5]], "length_penalty": 0.5}
VALUES |= {name: 0.5 for name in ("temperature", "top_p", "min_p", "repetition_penalty")}
VALUES |= {name: [5] for name in ("suppress_tokens", "begin_suppress_tokens")}
VALUES |= {"num_return_sequences": 1, "num_beams": 2, "max_length": 9, "_from_model_config": None}
WORKS = {
    *SAMPLING, *VALUES, "do_sample", "max_new_tokens", "min_length", "min_new_tokens", "no_repeat_ngram_size",
    "use_cache", "pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id", "forced_bos_token_id",
    "forced_eos_token_id", "transformers_version",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(vars(GenerationConfig())))
def test_every_name_of_generation_config_works_or_gets_one_sentence(name):
    if name.startswith("_"):
        return
    value = VALUES.get(name, True if name.startswith(("do_", "use_", "output_", "return_")) else 2)
    names = {name: value, "do_sample": True} if name in SAMPLING else {name: value}
    if name in WORKS:
        assert generate(tiny_model("llama"), IDS, tiny_tokenizer(), **names)[0].ids
        return
    with pytest.raises(ValueError, match=rf"^{name} isn't a setting of the course's generate\(\); \S[^\n]*$"):
        generate(tiny_model("llama"), IDS, **names)
    generate(tiny_model("llama"), IDS, **{name: None}, max_new_tokens=1)


ELSEWHERE = {
    "max_tokens": "max_new_tokens", "max_completion_tokens": "max_new_tokens", "n": "num_return_sequences",
    "stop_sequences": "stop_strings", "stop_token_ids": "eos_token_id", "ignore_eos": "eos_token_id",
    "repeat_penalty": "repetition_penalty", "streamer": "stream()", "stopping_criteria": "stream()",
    "tempurature": "temperature?", "temprature": "temperature?", "topk": "top_k?", "topp": "top_p?", "top-p": "top_p?",
    "max_newtokens": "max_new_tokens?", "num_beam": "num_beams?", "repitition_penalty": "repetition_penalty?",
    "eos_token_ids": "eos_token_id?", "do_samples": "do_sample?", "stop_string": "stop_strings?", "seeds": "seed?",
    "typical_p": "TypicalLogitsWarper", "colour": "help(GenerationSettings)",
}  # fmt: skip


@pytest.mark.parametrize("name", ELSEWHERE)
@pytest.mark.parametrize(
    "call", ["generate", "stream", "search_beams", "record_generation", "record_beams", "settings"]
)
def test_a_name_from_elsewhere_or_mistyped_says_what_to_use(name, call):
    calls = {
        "generate": lambda **names: generate(tiny_model("llama"), IDS, **names),
        "stream": lambda **names: next(stream(tiny_model("llama"), IDS, tiny_tokenizer(), **names)),
        "search_beams": lambda **names: search_beams(tiny_model("llama"), IDS, **names),
        "record_generation": lambda **names: record_generation(load_causal_lm(), "Hi", **names),
        "record_beams": lambda **names: record_beams(load_causal_lm(), "Hi", **names),
        "settings": GenerationSettings,
    }
    with pytest.raises(ValueError) as caught:
        calls[call](**{name: 2})
    assert str(caught.value).startswith(f"{name} isn't a setting of the course's generate(); ")
    assert ELSEWHERE[name] in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", SAMPLING)
def test_ordered_filters_and_usual_names_do_not_mix(name):
    with pytest.raises(ValueError, match=f"^filters and {name} must not be given together: they set the same thing$"):
        GenerationSettings(do_sample=True, filters=[("top_k", 5)], **{name: 0.5})
    (text,) = generate(
        tiny_model("llama"), IDS, generation_config=GenerationConfig(do_sample=True, top_k=1), filters=[], seed=3
    )
    assert text == generate(tiny_model("llama"), IDS, do_sample=True, filters=[], seed=3)[0]


@pytest.mark.parametrize("name", PENALTIES)
def test_ordered_penalties_and_usual_names_do_not_mix(name):
    with pytest.raises(ValueError, match=f"^penalties and {name} must not be given together: they set the same thing$"):
        GenerationSettings(penalties=[("no_repeat_ngram", 5)], **{name: 2})


def test_the_same_thing_twice():
    for twice in ({"eos_ids": [1], "eos_token_id": 1}, {"stop": "a", "stop_strings": ["b"]}):
        with pytest.raises(ValueError, match=r"must not be given together: they set the same thing$"):
            GenerationSettings(**twice)
    with pytest.raises(ValueError, match=r"^seed and generator must not be given together"):
        GenerationSettings(seed=1, generator=torch.Generator())
    with pytest.raises(ValueError, match=r"^ids and input_ids must not be given together"):
        generate(tiny_model("llama"), IDS, input_ids=IDS)


@pytest.mark.parametrize("stop", ["stop", "stop_strings"])
def test_one_stop_string_needs_no_list(stop):
    assert GenerationSettings(**{stop: "ab"}).stop_strings == ["ab"]
    with pytest.raises(ValueError, match=r"^stop_strings must be a list of str, none of them empty, got \[''\]"):
        GenerationSettings(**{stop: ""})


@pytest.mark.parametrize("flag", [1, 0, "yes", np.int64(1)])
def test_a_flag_is_no_number(flag):
    """Not a word about `temperature`: it does come with do_sample."""
    with pytest.raises(ValueError, match=r"^do_sample must be True or False, got "):
        GenerationSettings(do_sample=flag, temperature=0.7)
    assert GenerationSettings(do_sample=np.True_, temperature=0.7, top_k=0).filters == [("temperature", 0.7)]


@pytest.mark.parametrize(("name", "value"), [("temperature", 0.7), ("top_k", 5), ("top_p", 0.9), ("min_p", 0.1)])
def test_a_filter_that_would_change_nothing_is_refused(name, value):
    with pytest.raises(
        ValueError, match=rf"^{name} must come with do_sample=True \(without it nothing is drawn\), got {value}"
    ):
        generate(tiny_model("llama"), IDS, **{name: value})
    config = GenerationConfig(do_sample=True, **{name: value})  # the model's habit, which the user switches off
    assert generate(tiny_model("llama"), IDS, generation_config=config, do_sample=False) == generate(
        tiny_model("llama"), IDS
    )


def test_what_is_off_may_be_said():
    plain = generate(tiny_model("llama"), IDS)
    off = {
        "temperature": 1.0,
        "top_k": 50,
        "top_p": 1.0,
        "min_p": None,
        "repetition_penalty": 1.0,
        "num_beam_groups": 1,
    }
    off |= {"no_repeat_ngram_size": 0, "presence_penalty": 0, "frequency_penalty": 0.0, "typical_p": 1.0, "stop": None}
    assert generate(tiny_model("llama"), IDS, **off) == plain
    assert generate(tiny_model("llama"), IDS, temperature=0) == plain
    assert generate(tiny_model("llama"), IDS, do_sample=True, temperature=0) == plain


@pytest.mark.parametrize("temperature", [1e-6, 1e-39, 5e-324, np.float32(1e-30), torch.tensor(1e-38)])
def test_a_temperature_near_zero_writes_the_greedy_text(temperature):
    for kind in CAUSAL:
        greedy = generate(tiny_model(kind), IDS, eos_ids=[], max_new_tokens=6)
        assert (
            generate(tiny_model(kind), IDS, eos_ids=[], max_new_tokens=6, do_sample=True, temperature=temperature)
            == greedy
        )


@pytest.mark.parametrize(
    "end",
    [1, [1], (1,), {1}, torch.tensor(1), torch.tensor([1]), np.int64(1), np.array([1]), [torch.tensor(1)], range(1, 2)],
)
def test_every_way_to_write_an_end_token(end):
    for kind in ("llama", "t5"):
        model = tiny_model(kind)
        model_says = generate(model, IDS, max_new_tokens=30)
        assert generate(model, IDS, max_new_tokens=30, eos_token_id=end) == model_says
        assert generate(model, IDS, max_new_tokens=30, eos_ids=end) == model_says


@pytest.mark.parametrize("end", [None, [], -1, [-1], VOCABULARY, torch.tensor(-1), np.array([], int)])
@pytest.mark.parametrize("kind", ["llama", "t5"])
def test_no_end_token(end, kind):
    """Nothing ends the text; and a text that must not end yet loses no token."""
    endless = generate(tiny_model(kind), IDS, eos_ids=[], max_new_tokens=12)
    for settings_too in ({}, {"min_new_tokens": 5}, {"min_length": 9}):
        assert generate(tiny_model(kind), IDS, eos_token_id=end, max_new_tokens=12, **settings_too) == endless


@pytest.mark.parametrize("how", [{}, {"do_sample": True}, {"num_beams": 3}])
@pytest.mark.parametrize(
    "banned",
    [
        {"suppress_tokens": range(VOCABULARY)},
        {"bad_words_ids": [[token] for token in range(VOCABULARY)], "eos_token_id": None},
        {"eos_token_id": list(range(VOCABULARY)), "min_new_tokens": 2},
        {"no_repeat_ngram_size": 1, "max_new_tokens": 120, "eos_ids": []},
        {"logits_processor": [lambda ids, scores: scores - torch.inf]},
    ],
)
def test_when_every_token_is_banned(banned, how):
    """One sentence, or the text of transformers if beams were finished before."""
    with pytest.raises(
        ValueError, match=r"^penalties, bans and min_new_tokens must leave .*a token to choose from, got none"
    ) as caught:
        generate(tiny_model("llama"), IDS, **banned, **how)
    assert "\n" not in str(caught.value)


def test_a_text_that_has_ended_may_ban_everything():
    """In a batch the other texts go on."""
    model, ids = tiny_model("llama"), torch.tensor([[5, 6, 7], [8, 9, 10]])
    alone = generate(model, ids[1:], eos_ids=[], max_new_tokens=5)
    (first,) = generate(model, ids[:1], eos_ids=[], max_new_tokens=1)

    def ban_ended(texts, scores):
        has_ended = torch.tensor([[first.ids[0] in row[3:]] for row in texts.tolist()])
        return scores.masked_fill(has_ended, -torch.inf)

    for how in ({}, {"do_sample": True, "temperature": 1e-6}):
        texts = generate(model, ids, eos_ids=list(first.ids), logits_processor=[ban_ended], max_new_tokens=5, **how)
        assert texts[0].ids == first.ids
        assert texts[1].ids == alone[0].ids


def test_logits_that_are_no_numbers_get_one_sentence():
    for how in ({}, {"do_sample": True}):
        with pytest.raises(ValueError, match=r"^model must give logits that are numbers, got nan$"):
            generate(tiny_model("llama"), IDS, logits_processor=[lambda ids, scores: scores * torch.nan], **how)


def test_a_generator_is_where_the_chance_comes_from():
    def drawn(**chance):
        return generate(tiny_model("llama"), IDS, do_sample=True, **chance)

    assert drawn(generator=torch.Generator().manual_seed(5)) == drawn(seed=5) == drawn(seed=np.int64(5))
    assert drawn(seed=torch.tensor(5)) == drawn(seed=5)
    torch.manual_seed(5)
    assert drawn() == drawn(seed=5)


def test_lengths_that_count_the_prompt():
    model = tiny_model("llama")
    assert len(generate(model, IDS, eos_ids=[], max_length=8)[0].ids) == 5
    assert len(generate(model, IDS, eos_ids=[], max_length=8, max_new_tokens=2)[0].ids) == 2
    assert len(generate(tiny_model("t5"), IDS, eos_ids=[], max_length=8)[0].ids) == 7
    assert len(record_beams(load_causal_lm(), "Hi there", num_beams=2, max_length=5).tokens) > 0
    for length in (1, 3):
        with pytest.raises(
            ValueError, match=rf"^max_length must be above the prompt's 3 tokens, which count, got {length}; "
        ):
            generate(model, IDS, max_length=length)
