"""The tiny models of lesson 01: what they know is what was recorded, and it shows what the lesson says."""

import itertools
import json

import pytest

from course_utils.machine import ROOT
from course_utils.models.phone_book import FILE, phone_book, phone_book_models, recall

RECORDED = json.loads((ROOT / "training" / "results" / "phone_book" / "report.json").read_text())
MARGIN = 0.01  # another processor adds in another order, which can tip a close call


def test_every_name_has_one_number():
    book = phone_book()
    assert len(book) == 1000
    assert all(len(name) == 3 and len(number) == 6 and number.isdecimal() for name, number in book.items())


def test_all_models_together_are_small():
    assert FILE.stat().st_size <= 2_000_000


def test_every_model_knows_what_was_recorded():
    assert [str(width) for width in phone_book_models()] == list(RECORDED)
    for width, model in phone_book_models().items():
        known, recorded = recall(model), RECORDED[str(width)]
        assert model.num_parameters() == recorded["parameters"]
        assert known.digits == pytest.approx(recorded["digits"], abs=MARGIN)
        assert known.numbers == pytest.approx(recorded["numbers"], abs=MARGIN)


def test_digits_climb_where_numbers_jump():
    """Half of the models have hardly a number right, and yet each knows more digits than the one before."""
    results = [recall(model) for model in phone_book_models().values()]
    assert all(larger.digits > smaller.digits - 0.02 for smaller, larger in itertools.pairwise(results))
    silent = [known for known in results if known.numbers < 0.05]
    assert len(silent) >= len(results) // 3
    assert silent[-1].digits > silent[0].digits + 0.2
    assert results[-1].numbers > 0.9
