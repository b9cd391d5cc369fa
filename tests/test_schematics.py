"""The schematics: one set of shapes and colours, words that fit, numbers that models and engine compute again."""

import re
import xml.etree.ElementTree as ElementTree
from itertools import combinations

import nbformat
import pytest
import torch

from course_utils.engine import penalties
from course_utils.engine.attention import scaled_dot_product_attention
from course_utils.engine.sampling import filter_stages
from course_utils.machine import ROOT
from course_utils.models import load_causal_lm
from course_utils.models.pipelines import load_pipeline
from course_utils.publishing.pages import PICTURE
from course_utils.publishing.schematics import (
    SCHEMATICS,
    drawing,
    first_lessons,
    from_prompt_to_token,
    models_and_texts,
    schematic,
)
from course_utils.publishing.schematics import writing_a_text as writing
from course_utils.publishing.schematics.drawing import COLOURS, WIDTH, DoesNotFit, Drawing, tint, width_of

IMAGES = ROOT / "notebooks" / "images"
LESSONS = sorted(file.stem for file in (ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
NEUTRAL = {drawing.INK, drawing.QUIET, drawing.LINE, drawing.SHADE, drawing.PAPER, drawing.WHITE}
ALLOWED = NEUTRAL | set(COLOURS.values()) | {tint(colour) for colour in COLOURS.values()} | {"none"}
SVG = "{http://www.w3.org/2000/svg}"

every_picture = pytest.mark.parametrize("name", SCHEMATICS)


def parsed(name):
    return ElementTree.fromstring((IMAGES / f"{name}.svg").read_text(encoding="utf-8"))


def boxes_of_texts(root):
    """Where each line of text is at most: its words, left, top, right, bottom."""
    for text in root.iter(f"{SVG}text"):
        size, x, y = (float(text.get(name)) for name in ("font-size", "x", "y"))
        width = width_of(text.text, int(size), text.get("font-weight") == "700")
        left = x - {"start": 0, "middle": width / 2, "end": width}[text.get("text-anchor")]
        yield text.text, left, y - 0.75 * size, left + width, y + 0.22 * size


def overlaps(root):
    texts = list(boxes_of_texts(root))
    return [
        (a[0], b[0]) for a, b in combinations(texts, 2) if a[1] < b[3] and b[1] < a[3] and a[2] < b[4] and b[2] < a[4]
    ]


# The pictures


def test_every_lesson_has_one():
    assert sorted(SCHEMATICS) == LESSONS
    assert sorted(file.stem for file in IMAGES.glob("*")) == LESSONS


@every_picture
def test_it_is_what_its_drawing_makes_and_travels_alone(name):
    text = (IMAGES / f"{name}.svg").read_text(encoding="utf-8")
    assert text == schematic(name)
    assert len(text.encode()) <= 30_000
    assert "http" not in text.replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not re.search(r"href|url\(|@import|<script|<style|<image", text)


@every_picture
def test_it_has_words_for_those_who_cannot_see_it(name):
    root = parsed(name)
    assert root.get("role") == "img"
    title, desc = (root.find(f"{SVG}{tag}").text for tag in ("title", "desc"))
    assert root.get("aria-labelledby") == "title desc"
    assert len(title.split()) >= 3
    assert 30 <= len(desc.split()) <= 90
    assert not set("[]\n") & set(desc)  # they would end the words of a picture in Markdown


@every_picture
def test_its_colours_are_those_of_the_set(name):
    used = {element.get(key) for element in parsed(name).iter() for key in ("fill", "stroke")} - {None}
    assert used <= ALLOWED


@every_picture
def test_its_words_are_large_inside_and_apart(name):
    root = parsed(name)
    height = float(root.get("height"))
    assert min(float(text.get("font-size")) for text in root.iter(f"{SVG}text")) >= 17
    for words, left, top, right, bottom in boxes_of_texts(root):
        assert 16 <= left <= right <= WIDTH - 16, words
        assert 8 <= top <= bottom <= height - 16, words
    assert overlaps(root) == []


def test_words_that_overlap_or_do_not_fit_would_be_found():
    picture = Drawing(200, "Two words", "Too close.")
    picture.text(100, 100, "coffee")
    picture.text(140, 108, "tea")
    assert overlaps(ElementTree.fromstring(picture.svg())) == [("coffee", "tea")]
    with pytest.raises(DoesNotFit, match=r"'coffee' needs \d+ px and has 42"):
        picture.box(0, 0, 50, 30, "coffee", "tokens")


def test_what_is_lit_differs_in_more_than_its_colour():
    lit, unlit = Drawing(200, "", ""), Drawing(200, "", "")
    lit.box(10, 10, 100, 40, "tea", "tokens")
    unlit.box(10, 10, 100, 40, "tea", "tokens", lit=False)
    thick, thin = (float(re.findall(r'stroke-width="([\d.]+)"', one.svg())[-1]) for one in (lit, unlit))
    assert thick >= 2 * thin


# In the lessons


@pytest.mark.parametrize("name", LESSONS)
def test_a_lesson_opens_with_it(name):
    head = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4).cells[:2]
    pictures = [found for cell in head if cell.cell_type == "markdown" for found in PICTURE.findall(cell.source)]
    assert pictures, f"the head of {name} has no schematic"
    for alt, file in pictures:
        assert file == f"images/{name}.svg"
        assert len(alt.split()) >= 10, f"the picture of {name} has no words for those who can't see it"


# The numbers


def test_the_numbers_of_the_first_lessons_are_the_models():
    smollm = load_causal_lm()
    first = first_lessons

    def labels(text):
        return tuple(smollm.labels[token] for token in smollm.encode(text)[0].tolist())

    assert labels(first.PROMPT) == first.PROMPT_TOKENS
    logits = smollm.next_logits(first.PROMPT)
    best, shares = logits.topk(len(first.NEXT_TOKENS)), logits.softmax(-1)
    found = [
        (smollm.labels[token], round(logits[token].item(), 1), round(shares[token].item(), 2))
        for token in best.indices.tolist()
    ]
    assert tuple(found) == first.NEXT_TOKENS
    assert logits.numel() == 49_152
    sizes = {name: value.numel() for name, value in smollm.model.named_parameters()}
    counted = {
        "embedding": sum(size for name, size in sizes.items() if "embed_tokens" in name),
        "attention": sum(size for name, size in sizes.items() if "self_attn" in name),
        "MLP": sum(size for name, size in sizes.items() if ".mlp." in name),
    }
    assert counted == first.PARAMETERS
    assert smollm.model.num_parameters() - sum(counted.values()) == 35_136
    she, he = (smollm.encode(word)[0, -1] for word in (" she", " he"))
    for who, odds in first.SHE_TO_HE.items():
        shares = smollm.next_logits(f"The {who} said that").softmax(-1)[torch.stack([she, he])]
        assert tuple((shares / shares.min()).round().int().tolist()) == odds
    assert labels("strawberry") == first.SPELT
    split = smollm.encode(models_and_texts.SPLIT)[0].tolist()
    assert tuple((smollm.labels[token], token) for token in split) == models_and_texts.SPLIT_TOKENS
    words = smollm.tokenizer.backend_tokenizer.pre_tokenizer.pre_tokenize_str(models_and_texts.SPLIT)
    assert tuple(word.replace("Ġ", "␣") for word, _ in words) == models_and_texts.SPLIT_WORDS


def test_the_numbers_of_the_pipeline_are_the_models():
    classifier = load_pipeline("sentiment-analysis")
    inputs = classifier.preprocess(first_lessons.CLASSIFIED)
    ids = inputs["input_ids"][0].tolist()
    assert (tuple(ids[:3]), len(ids)) == (first_lessons.CLASSIFIED_IDS, 16)
    logits = classifier.forward(inputs)["logits"][0]
    names = [classifier.model.config.id2label[number] for number in range(2)]
    assert dict(zip(names, logits.tolist(), strict=True)) == pytest.approx(first_lessons.CLASSIFIED_LOGITS, abs=0.005)
    scores = dict(zip(names, logits.softmax(-1).tolist(), strict=True))
    assert scores == pytest.approx(first_lessons.CLASSIFIED_SCORES, abs=0.0005)


def test_attention_on_three_words_is_the_engines():
    inside = from_prompt_to_token
    query, key, value = (torch.tensor(numbers) for numbers in (inside.TOY_QUERY, inside.TOY_KEY, inside.TOY_VALUE))
    mixed, weights = scaled_dot_product_attention(query, key, value, torch.ones(3, 3).tril().bool())
    assert mixed[2].tolist() == pytest.approx(inside.TOY_MIX, abs=0.05)
    assert weights[2].tolist() == pytest.approx(inside.TOY_WEIGHTS, abs=0.005)
    assert (query[2] @ key.T / 2**0.5).tolist() == pytest.approx(inside.TOY_SCORES, abs=0.05)
    assert round(sum(inside.TOY_WEIGHTS), 2) == 1


def test_bytes_and_lengths_are_the_models():
    smollm = load_causal_lm()
    config = smollm.model.config
    assert smollm.context_length == from_prompt_to_token.CONTEXT_LENGTH
    numbers = 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim
    assert numbers * 4 == from_prompt_to_token.CACHE_BYTES
    assert writing.FULL_CACHE_BYTES == from_prompt_to_token.CACHE_BYTES * from_prompt_to_token.CONTEXT_LENGTH
    assert smollm.model.num_parameters() * 4 == writing.WEIGHT_BYTES


def test_the_filters_are_the_engines():
    stages = filter_stages(torch.tensor(from_prompt_to_token.LOGITS), list(from_prompt_to_token.FILTERS))[
        -len(from_prompt_to_token.FILTERS) :
    ]
    for stage, shares in zip(stages, from_prompt_to_token.FILTERS.values(), strict=True):
        removed = [share is None for share in shares]
        assert stage.isneginf().tolist() == removed
        assert stage.softmax(-1).tolist() == pytest.approx([share or 0 for share in shares], abs=0.0006)
    assert from_prompt_to_token.FILTERS[("min_p", 0.1)][from_prompt_to_token.WORDS.index(from_prompt_to_token.DRAWN)]


@pytest.mark.parametrize(("name", "penalty"), writing.PENALTIES)
def test_the_penalties_are_the_engines(name, penalty):
    ids = torch.tensor([[writing.VOCABULARY.index(word) for word in writing.WRITTEN]])
    apply = getattr(penalties, f"apply_{name}_penalty")
    found = apply(torch.tensor([writing.UNPENALISED]), ids, penalty)[0]
    assert found.tolist() == pytest.approx(writing.PENALTIES[name, penalty])


def test_the_beams_are_the_three_best_of_nine():
    beams = [(("start",), 1.0)]
    for day in range(3):
        tried = {
            (*days, word): chance * after
            for days, chance in beams
            for word, after in zip(writing.DAYS, writing.AFTER[days[-1]], strict=True)
        }
        ranked = sorted(tried.items(), key=lambda item: -item[1])
        for kept, pruned in writing.BEAMS:
            path = ("start", *(word for word, _ in kept[: day + 1]))
            assert path in dict(ranked[:3])
            assert tried[path] == pytest.approx(kept[day][1])
            if day:
                lost = [item for item in ranked[3:] if item[0][:-1] == path[:-1]]
                assert (lost[0][0][-1], pytest.approx(lost[0][1])) == pruned[day - 1]
        beams = ranked[:3]
    assert beams[0][0][1:] == ("fog", "fog", "fog")
