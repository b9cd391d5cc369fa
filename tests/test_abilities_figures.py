"""Lesson 01's pictures: small, in words as well, and refusing what they cannot draw."""

import numpy as np
import pytest

from course_utils import figures
from course_utils.figures.abilities import short_number

PARTS = {
    "small": {"embedding": 20, "attention": 30, "MLP": 40, "norms": 10},
    "large": {"embedding": 1000, "attention": 2000, "MLP": 6000, "output": 1000},
}
CURVES = {"real": np.array([[0.5, 0.75, 1.0], [0.5, 1.0, 0.5]]), "invented": np.full((2, 3), 0.5)}
MEANS = {
    "real": np.array([[0.5, 0.5, 0.5], [0.875, 0.75, 1.0], [0.75, 0.5, 1.0]]),
    "invented": np.full((3, 3), 0.5),
}


PICTURES = {
    "parts": lambda: figures.parameter_parts(PARTS),
    "sizes": lambda: figures.model_sizes(
        {f"model {k}": 10.0**k for k in range(4, 13)}, here=["model 4"], active={"model 12": 1e10}
    ),
    "shots": lambda: figures.shots_curves(CURVES, MEANS, [0, 1, 8], chance=0.5),
}


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_are_small_and_have_words(name):
    figure = PICTURES[name]()
    data, metadata = figure._repr_mimebundle_()
    assert len(data["image/png"]) <= 60_000
    assert data["text/plain"] == metadata["image/png"]["alt"] == figure.alt
    assert figure.alt.endswith(".")


def test_parts_are_said():
    assert figures.parameter_parts(PARTS).alt == (
        "Where the parameters are. small, 100 in all: embedding 20 %, attention 30 %, MLP 40 %, norms 10 %. "
        "large, 10 K in all: embedding 10 %, attention 20 %, MLP 60 %, output 10 %."
    )


def test_parts_fill_the_bar():
    axes = figures.parameter_parts(PARTS).axes[0]
    ends = {}
    for bar in axes.patches:
        ends[round(bar.get_y() + bar.get_height() / 2)] = bar.get_x() + bar.get_width()
    assert ends == pytest.approx({0: 1.0, 1: 1.0})


def test_sizes_are_sorted_and_said():
    figure = figures.model_sizes({"b": 3e9, "a": 2e6, "c": 5e11}, here=["a"], active={"c": 4e10})
    assert figure.alt == (
        "Sizes on a logarithmic axis: a (on this machine) 2 M; b 3 B; c 500 B, of which 40 B work on a token."
    )
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["a", "b", "c"]


def test_shots_are_said():
    assert figures.shots_curves(CURVES, MEANS, [0, 1, 8], chance=0.5).alt == (
        "share of right labels by number of shots, mean and 95 % interval. real: 0 shots 0.50 (0.50 to 0.50), 1 0.88 "
        "(0.75 to 1.00), 8 0.75 (0.50 to 1.00). invented: 0 shots 0.50 (0.50 to 0.50), 1 0.50 (0.50 to 0.50), "
        "8 0.50 (0.50 to 0.50). Always the same label: 0.50."
    )


@pytest.mark.parametrize(
    ("number", "written"),
    [(0.0, "0"), (999, "999"), (1000, "1 K"), (134_515_008, "135 M"), (405_853_388_800, "406 B"), (1e12, "1 T")],
)
def test_short_numbers(number, written):
    assert short_number(number) == written


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: figures.parameter_parts({}), "models must have 1 to 6 different parts, got []"),
        (
            lambda: figures.parameter_parts({"a": dict.fromkeys("bcdefgh", 1)}),
            "models must have 1 to 6 different parts, got ['b', 'c', 'd', 'e', 'f', 'g', 'h']",
        ),
        (
            lambda: figures.model_sizes({"a": 1e6}, here=["b"]),
            "sizes must name every model of here and active, got none for ['b']",
        ),
        (lambda: figures.model_sizes({}), "sizes must name every model of here and active, got none for []"),
        (
            lambda: figures.shots_curves({"a": np.zeros((1, 3))}, {}, [0, 1, 2], chance=0.5),
            "curves of a must have shape (2 or more, 3), got (1, 3)",
        ),
        (
            lambda: figures.shots_curves({"a": np.zeros((2, 3))}, {"a": np.zeros((3, 2))}, [0, 1, 2], chance=0.5),
            "means of a must have shape (3, 3), got (3, 2)",
        ),
        (lambda: figures.shots_curves({}, {}, [0, 1], chance=0.5), "curves must be 1 to 4, got 0"),
    ],
)
def test_bad_input_is_one_sentence(make, sentence):
    with pytest.raises(ValueError) as caught:
        make()
    assert str(caught.value) == sentence
