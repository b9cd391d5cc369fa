"""Lesson 02: answers with their probability, needles, pronouns, facts in one direction, and the pictures of them."""

from itertools import repeat

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_utils import figures
from course_utils.experiments import failure_cases
from course_utils.experiments.failure_cases import draw_sums, sum_prompt
from course_utils.experiments.greedy_answers import greedy_answers, next_probabilities
from course_utils.experiments.haystack import (
    ANSWERS,
    DOORS,
    SUBJECTS,
    answer_probabilities,
    draw_needles,
    filler_text,
    stated,
)
from course_utils.experiments.pronouns import pronoun_probabilities, share_of_first
from course_utils.experiments.reversal import draw_facts, recalled
from course_utils.experiments.tiny_training import new_tiny_model, train_tiny_model
from course_utils.measuring.process_memory import process_memory
from course_utils.models import load_causal_lm, load_head
from tests.examples import examples
from tests.tiny_models import tiny_model


class Letters:
    """A tokenizer with a token for every letter; "a" is 1. 26 letters, and nothing else."""

    eos_token_id = 26

    def __call__(self, text):
        return type("Encoded", (), {"input_ids": [ord(letter) - 96 for letter in text]})()

    def decode(self, ids):
        return "".join(chr(96 + int(token)) if token else "-" for token in ids)


@pytest.fixture(scope="module")
def smollm():
    return load_causal_lm()


def generated(model, ids, count):
    """What `transformers` generates, and the probability of each token."""
    ids = torch.tensor([ids])
    made = model.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=count, do_sample=False, pad_token_id=0,
        eos_token_id=None, return_dict_in_generate=True, output_scores=True,
    )  # fmt: skip
    logs = model.compute_transition_scores(made.sequences, made.scores, normalize_logits=True)
    return made.sequences[0, ids.shape[1] :].tolist(), logs[0].exp().tolist()


@given(
    st.sampled_from(["llama", "gpt2"]),
    st.text("abcdefghijk", max_size=4),
    st.lists(st.text("abcdefghijk", min_size=1, max_size=6), min_size=1, max_size=4),
    st.integers(1, 5),
)
@examples(30)
def test_a_batch_of_answers_equals_generate_of_each_alone(architecture, start, rest, count):
    """With any shared start, any lengths, also a prompt that is the start of another, and equal ones."""
    model, letters = tiny_model(architecture), Letters()
    prompts = [start + text for text in rest]
    for prompt, answer in zip(prompts, greedy_answers(model, letters, prompts, count, ends=""), strict=True):
        tokens, chances = generated(model, letters(prompt).input_ids, count)
        if letters.eos_token_id in tokens:
            tokens = tokens[: tokens.index(letters.eos_token_id)]
        assert answer.tokens == len(tokens)
        assert answer.text == letters.decode(tokens).strip()
        assert answer.probability == pytest.approx(np.prod(chances[: len(tokens)]), rel=1e-3)
        assert answer.first == pytest.approx(chances[0], rel=1e-3)


def test_the_end_of_sequence_token_ends_an_answer():
    letters = Letters()
    tokens, chances = generated(tiny_model("gpt2"), letters("abc").input_ids, 6)
    place = next(place for place in range(1, 6) if tokens[place] not in tokens[:place])
    letters.eos_token_id = tokens[place]
    (answer,) = greedy_answers(tiny_model("gpt2"), letters, ["abc"], 6, ends="")
    assert answer.tokens == place
    assert answer.probability == pytest.approx(np.prod(chances[:place]), rel=1e-3)


def test_an_answer_ends_before_its_end(smollm):
    prompts = ["The capital of France is", "Q: What is the capital of Norway?\nA: The capital of Norway is"]
    whole = greedy_answers(smollm.model, smollm.tokenizer, prompts, 12, ends="")
    cut = greedy_answers(smollm.model, smollm.tokenizer, prompts, 12)
    for long, short in zip(whole, cut, strict=True):
        assert long.text.startswith(short.text)
        assert long.tokens > short.tokens > 0
        assert long.probability < short.probability < 1
        assert not set(short.text) & set(".,\n")


def test_an_empty_answer_is_certain(smollm):
    prompt = "The capital of France is"
    (answer,) = greedy_answers(smollm.model, smollm.tokenizer, [prompt], ends=" ")
    assert (answer.text, answer.probability, answer.tokens) == ("", 1.0, 0)
    assert answer.first == pytest.approx(smollm.next_logits(prompt).softmax(-1).max().item(), rel=1e-4)


@pytest.mark.parametrize(
    ("prompts", "most", "sentence"),
    [
        ([], 3, "prompts must be at least one text with at least one token each, got []"),
        (["a", ""], 3, "prompts must be at least one text with at least one token each, got ['a', '']"),
        (["a"], 0, "max_new_tokens must be a whole number of at least 1, got 0"),
    ],
)
def test_bad_prompts_are_one_sentence(prompts, most, sentence):
    with pytest.raises(ValueError) as caught:
        greedy_answers(tiny_model("llama"), Letters(), prompts, most)
    assert str(caught.value) == sentence


@given(
    st.sampled_from(["llama", "llama, read in a batch", "gpt2"]),
    st.lists(st.text("abc", min_size=1, max_size=6), min_size=1, max_size=6),
)
@examples(60)
def test_next_probabilities_equal_those_of_each_prompt_alone(architecture, prompts):
    """Also where prompts share a start, one is the start of another, or all are equal; and without a tree."""
    architecture, _, batch = architecture.partition(",")
    model, letters = tiny_model(architecture), Letters()
    with pytest.MonkeyPatch.context() as patch:
        if batch:
            patch.setattr("course_utils.experiments.greedy_answers._LARGEST_TREE", 0)
        found = next_probabilities(model, letters, prompts)
    for prompt, row in zip(prompts, found, strict=True):
        with torch.inference_mode():
            alone = model(torch.tensor([letters(prompt).input_ids])).logits[0, -1].softmax(-1)
        assert torch.allclose(row, alone, atol=1e-5)


# --- needles


def test_facts_of_one_seed_have_the_same_words_in_the_same_order():
    for seed in range(20):
        doors, different = (draw_needles(similar, seed) for similar in (True, False))
        assert list(doors.values()) == list(different.values())
        assert all(subject.endswith(" door") for subject in doors)
        assert len({*doors}) == len({*doors.values()}) == len({*different}) == 4
        longer = draw_needles(True, seed, count=8)
        assert list(longer.items())[:4] == list(doors.items())
    assert draw_needles(True, 0) != draw_needles(True, 1)


def test_what_is_hidden_is_not_in_the_story(smollm):
    story = filler_text(smollm.tokenizer, 1500).lower()
    assert "ramsey skerry" in story
    about = [subject.split()[-1] for subject in SUBJECTS]
    assert [word for word in [*ANSWERS, *DOORS, "password", *about] if word.lower() in story] == []


def test_an_answer_has_its_probability_after_text_and_question(smollm):
    facts = draw_needles(similar=False, seed=3)
    text = f"{stated(facts)}\n\n{filler_text(smollm.tokenizer, 30)}"
    found = answer_probabilities(smollm.model, smollm.tokenizer, text, facts, list(facts.values()))
    for subject, row in zip(facts, found, strict=True):
        whole = smollm.next_logits(f"{text}\n\n{subject}:").softmax(-1)
        wanted = whole[[smollm.labels.index(f"␣{word}") for word in facts.values()]]
        assert torch.allclose(row, wanted, atol=1e-4)


def test_filler_has_its_length_and_its_place(smollm):
    assert filler_text(smollm.tokenizer, 0) == ""
    one, other = (filler_text(smollm.tokenizer, 40, number) for number in (0, 4))
    assert one != other
    assert smollm.encode(one).shape[1] == smollm.encode(other).shape[1] == 40


@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        (lambda smollm: draw_needles(True, 0, count=9), "count must be at most 8, got 9"),
        (lambda smollm: draw_needles(True, 0, count=0), "count must be a whole number of at least 1, got 0"),
        (lambda smollm: filler_text(smollm.tokenizer, 9000), "tokens must be at most "),
        (lambda smollm: filler_text(smollm.tokenizer, 1, number=99), "tokens must be at most 0 for number 99, got 1"),
        (
            lambda smollm: answer_probabilities(smollm.model, smollm.tokenizer, "A.", ["B"], ["xylophonist"]),
            "answers must be one token each, got 'xylophonist' with ",
        ),
        (
            lambda smollm: answer_probabilities(smollm.model, smollm.tokenizer, "A.", [], ["walnut"]),
            "prompts must be at least one text with at least one token each, got []",
        ),
    ],
)
def test_bad_needles_are_one_sentence(smollm, ask, sentence):
    with pytest.raises(ValueError) as caught:
        ask(smollm)
    assert str(caught.value).startswith(sentence)


# --- pronouns


def test_pronouns_in_a_batch_equal_each_alone(smollm):
    texts = ["The nurse said that", "Because of the rain, the old lighthouse keeper said that", "The doctor said that"]
    found = pronoun_probabilities(smollm.model, smollm.tokenizer, texts)
    she, he = (smollm.labels.index(word) for word in ("␣she", "␣he"))
    for text, row in zip(texts, found, strict=True):
        assert torch.allclose(row, smollm.next_logits(text).softmax(-1)[[she, he]], atol=1e-4)


def test_a_masked_model_reads_both_sides():
    model, tokenizer = load_head("mlm")
    texts = ["My mother said that [MASK] was tired.", "The old farmer said that [MASK] was his own father."]
    found = pronoun_probabilities(model, tokenizer, texts)
    for text, row in zip(texts, found, strict=True):
        inputs = tokenizer(text, return_tensors="pt")
        place = inputs.input_ids[0].tolist().index(tokenizer.mask_token_id)
        with torch.inference_mode():
            chances = model(**inputs).logits[0, place].softmax(-1)
        assert torch.allclose(row, chances[tokenizer.convert_tokens_to_ids(["she", "he"])], atol=1e-4)
    shares = share_of_first(found)
    assert shares[0] > shares[1]


@pytest.mark.parametrize(
    ("texts", "pair", "sentence"),
    [
        ([], ("she", "he"), "texts must hold at least one text, got none"),
        (["a [MASK] b [MASK]"], ("she", "he"), "texts must each hold [MASK] once, got ['a [MASK] b [MASK]']"),
        (["no gap"], ("she", "he"), "texts must each hold [MASK] once, got ['no gap']"),
        (["[MASK]"], ("she", "xylophonist"), "pair must hold words of one token, got 'xylophonist' with"),
    ],
)
def test_bad_pronoun_questions_are_one_sentence(texts, pair, sentence):
    with pytest.raises(ValueError) as caught:
        pronoun_probabilities(*load_head("mlm"), texts, pair)
    assert str(caught.value).startswith(sentence)


@given(st.floats(1e-6, 1), st.floats(1e-6, 1))
def test_shares_of_two_add_up(one, other):
    there, back = share_of_first(torch.tensor([[one, other], [other, one]], dtype=torch.float64))
    assert float(there + back) == pytest.approx(1)
    assert float(there) == pytest.approx(one / (one + other))


def test_shares_want_two():
    with pytest.raises(ValueError, match=r"^probabilities must have shape \(\.\.\., 2\), got \(1, 3\)$"):
        share_of_first(torch.ones(1, 3))


# --- facts in one direction


@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 5))
@examples(20)
def test_the_reversed_facts_are_never_trained(both_ways, one_way, seed):
    facts = draw_facts(both_ways, one_way, seed)
    trained, untold = ({tuple(row) for row in part.tolist()} for part in (facts.trained, facts.reversed))
    assert len(trained) == 2 * both_ways + one_way
    assert len(untold) == one_way
    assert not trained & untold
    assert {row[::-1] for row in untold} <= trained
    assert max(max(row) for row in trained) == facts.vocabulary - 1


def test_the_reversal_curse_of_a_tiny_model():
    """All that was trained is known, in both directions where both were; nothing is known in the other one."""
    facts = draw_facts(both_ways=20, one_way=10, seed=3)
    model = new_tiny_model(facts.vocabulary, seed=3)
    assert recalled(model, facts.trained) < 10
    train_tiny_model(model, repeat(facts.trained), facts.reversed, steps=70)
    assert recalled(model, facts.trained) == 50
    assert recalled(model, facts.reversed) <= 1
    # The other way round: train those, and they are known. So the question itself is not too hard.
    train_tiny_model(model, repeat(torch.cat([facts.trained, facts.reversed])), facts.reversed, steps=70)
    assert recalled(model, facts.reversed) == 10


@pytest.mark.parametrize(("both_ways", "one_way", "name"), [(0, 1, "both_ways"), (1, 0, "one_way")])
def test_facts_want_at_least_one(both_ways, one_way, name):
    with pytest.raises(ValueError, match=f"^{name} must be a whole number of at least 1, got 0$"):
        draw_facts(both_ways, one_way)


# --- what is asked


@given(st.integers(1, 6), st.integers(1, 40), st.integers(0, 9))
def test_sums_have_their_digits_and_come_once(digits, count, seed):
    drawn = draw_sums(digits, count, seed)
    assert len(set(drawn)) == count
    assert {len(str(number)) for pair in drawn for number in pair} == {digits}
    assert drawn == draw_sums(digits, count, seed)
    *shots, question = sum_prompt(drawn, 1, 2).split("\n")
    assert question == "1 + 2 ="
    assert all(eval(shot.replace("=", "==")) for shot in shots)


def test_too_many_sums_are_one_sentence():
    assert len(draw_sums(1, 81)) == 81
    with pytest.raises(ValueError, match=r"^count must be at most 81, the pairs of 1-digit numbers, got 82$"):
        draw_sums(1, 82)


def test_nothing_is_asked_twice():
    real = [*failure_cases.CAPITALS, *failure_cases.MORE_CAPITALS]
    countries = [*real, *failure_cases.INVENTED_COUNTRIES, *failure_cases.RARE_COUNTRIES]
    people = failure_cases.OCCUPATIONS + failure_cases.NEUTRAL_WORDS
    for asked in (countries, people, list(failure_cases.BOOKS.values())):
        assert len(set(asked)) == len(asked)
    assert [word.count(letter) for word, letter in failure_cases.LETTERS] == [1] * 8 + [2] * 8 + [3] * 8
    assert all(before.count("{}") == 1 for before, _ in failure_cases.PRONOUN_FRAMES)


# --- memory


def test_a_large_array_is_private_memory():
    before = process_memory()
    array = np.ones(50_000_000)  # 400 MB
    grown = process_memory().since(before)
    assert 350e6 < grown.private < 600e6
    assert grown.resident > 350e6
    del array


# --- pictures


def test_confidence_says_every_group():
    groups = {"right": {"Paris": 0.9, "Lima": 0.3, "Oslo": 0.5}, "invented": {f"Nova {i}": 0.001 for i in range(9)}}
    figure = figures.confidence_against_truth(groups, level=0.1)
    assert repr(figure) == (
        "Probability of the answer. right: 3 answers, from 0.30 (Lima) to 0.90 (Paris), median 0.50; "
        "invented: 9 answers, from 0.00 (Nova 0) to 0.00 (Nova 8), median 0.00. A dashed line at 0.1."
    )
    points = [tuple(xy) for line in figure.axes[0].lines[:2] for xy in line.get_xydata()]
    assert len(set(points)) == 12, "no mark hides another"
    low, high = sorted(figure.axes[0].get_ylim())
    assert all(low < y < high for _, y in points)


@pytest.mark.parametrize(
    ("groups", "sentence"),
    [
        ({}, "groups must be 1 to 4 with at least one answer each, got {}"),
        ({"a": {}}, "groups must be 1 to 4 with at least one answer each, got {'a': {}}"),
        ({"a": {"b": float("nan")}}, "groups must hold probabilities in [0, 1], got nan for 'b'"),
        ({"a": {"b": -0.1}}, "groups must hold probabilities in [0, 1], got -0.1 for 'b'"),
    ],
)
def test_bad_confidence_is_one_sentence(groups, sentence):
    with pytest.raises(ValueError) as caught:
        figures.confidence_against_truth(groups)
    assert str(caught.value) == sentence


def test_diverging_bars_are_sorted_by_the_first_panel():
    panels = {"one": [0.2, 0.9, 0.5], "other": torch.tensor([0.6, 0.1, 0.5])}
    figure = figures.diverging_bars(["farmer", "nurse", "clerk"], panels, "he", "she")
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["nurse", "clerk", "farmer"]
    widths = [[round(bar.get_width(), 2) for bar in axes.patches] for axes in figure.axes]
    assert widths == [[0.4, 0, -0.3], [-0.4, 0, 0.1]]
    assert [bool(bar.get_hatch()) for bar in figure.axes[0].patches] == [False, False, True]
    assert figure.alt == (
        "Share of “she” against “he”, 3 rows. one: 1 lean to “she”, most of all nurse (90 %); 1 to “he”, most of all "
        "farmer (20 %); other: 1 lean to “she”, most of all farmer (60 %); 1 to “he”, most of all nurse (10 %)."
    )
    assert len(figures.png_bytes(figure)) <= 40_000


def test_bars_of_several_sentences_are_means_with_a_line_from_end_to_end():
    figure = figures.diverging_bars(["nurse", "farmer"], {"one": [[0.6, 0.3], [0.9, 0.4]]}, "he", "she")
    (axes,) = figure.axes
    assert [round(bar.get_width(), 2) for bar in axes.patches] == [0.25, -0.15]
    lines = [collection.get_segments()[0][:, 0].tolist() for collection in axes.collections]
    assert lines == [[0.6, 0.9], [0.3, 0.4]]
    assert figure.alt.endswith(
        "most of all farmer (35 %). Means of 2, each with a line from the smallest to the largest."
    )


def test_counted_shares_have_their_counts():
    figure = figures.counted_shares({"1": (10, 20, 0.3, 0.7), "2": (0, 20, 0.0, 0.16)}, "digits", "right sums")
    assert figure.alt == (
        "right sums by digits, with 95 % intervals. 1: 10 of 20 (30 to 70 %); 2: 0 of 20 (0 to 16 %)."
    )
    assert [text.get_text() for text in figure.axes[0].texts] == ["10 of 20", "0 of 20"]
    assert figure.axes[0].lines[0].get_linestyle() == "-"


def test_settings_that_are_no_numbers_have_no_line_between_them_and_a_guesser_has_a_dash():
    rows = {"doors": (10, 20, 0.3, 0.7), "facts": (20, 20, 0.84, 1.0)}
    figure = figures.counted_shares(rows, "kind", "found", guesser=[0.25, 0.5])
    assert figure.alt.endswith("20 of 20 (84 to 100 %). A guesser gets 25 %, 50 %.")
    assert figure.axes[0].lines[0].get_linestyle() == "None"
    assert figure.axes[0].lines[-1].get_ydata().tolist() == [0.25, 0.5]


@pytest.mark.parametrize(
    ("draw", "sentence"),
    [
        (lambda: figures.diverging_bars([], {"a": []}, "he", "she"), "panels must hold a share for each of 0 names"),
        (lambda: figures.diverging_bars(["x"], {"a": [0.1, 0.2]}, "he", "she"), "panels must hold a share for each"),
        (lambda: figures.counted_shares({}, "x", "y"), "rows must hold at least one count, got none"),
        (
            lambda: figures.counted_shares({"1": (1, 2, 0.1, 0.9)}, "x", "y", guesser=[0.5, 0.5]),
            "guesser must hold a share for each of 1 rows, got 2",
        ),
        (
            lambda: figures.counted_shares({"1": (1, 2, 0.6, 0.9)}, "x", "y"),
            "rows of '1' must be a share in its interval, got 1/2, 0.6 … 0.9",
        ),
    ],
)
def test_bad_bars_are_one_sentence(draw, sentence):
    with pytest.raises(ValueError) as caught:
        draw()
    assert str(caught.value).startswith(sentence)
