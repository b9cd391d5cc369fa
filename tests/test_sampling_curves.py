"""The pictures of lesson 11: alt text made of the data, small, nothing by colour alone, one-sentence errors."""

import numpy as np
import pytest
import torch

from course_utils import figures

GROUPS = {"0": ([-1.0, -1.0], [0.2, 0.2]), "<2>": ([-11.0, -9.0], [1.0, 0.9])}


def curve(figure):
    return [(line.get_linestyle(), line.get_marker()) for line in figure.axes[0].lines]


def test_mass_says_how_many_tokens_it_takes():
    uniform = torch.full((1000,), 0.001)
    figure = figures.probability_mass({"flat": uniform, "sharp": np.eye(1000)[0]}, share=0.5)
    assert (
        figure.alt
        == "Probability shared by the best tokens. To reach 50 %: flat needs 500 tokens, sharp needs 1 token."
    )
    assert len(figures.png_bytes(figure)) <= 40_000


def test_curves_differ_by_more_than_colour():
    figure = figures.kept_by_order([0.5, 1], {str(number): [1, 2] for number in range(5)})
    assert len(set(curve(figure))) == 5


def test_orders_say_both_ends():
    figure = figures.kept_by_order([0.5, 1, 2], {"first": [3, 50, 12_000], "last": [50, 50, 50]})
    assert figure.alt == (
        "Tokens kept over the temperature. first: 3 at 0.5 and 12,000 at 2. last: 50 at 0.5 and 50 at 2."
    )
    assert len(figures.png_bytes(figure)) <= 40_000


def test_diversity_says_every_point_and_draws_the_error_of_the_mean():
    figure = figures.diversity_and_likelihood(GROUPS, people=-3.54)
    assert figure.alt == (
        "Diversity against likelihood. 0: 20 % different tokens, mean log-probability -1.0. "
        "2: 95 % different tokens, mean log-probability -10.0. A human text: -3.5."
    )
    across = figure.axes[0].containers[1].lines[2][0].get_segments()[0]
    # Standard deviation √2 over two groups: the error of the mean is 1.
    assert across[:, 0].tolist() == pytest.approx([-11, -9])
    assert len(figures.png_bytes(figure)) <= 40_000


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: figures.probability_mass({}), "curves must hold 1 … 5 distributions, got 0"),
        (
            lambda: figures.kept_by_order([1, 2], {"a": [1]}),
            "kept must hold 1 … 5 curves of 2 numbers, got [1]",
        ),
        (
            lambda: figures.diversity_and_likelihood({"a": ([1.0], [1.0])}),
            "settings must have two groups or more for 'a', got [1, 1]",
        ),
    ],
)
def test_bad_data_is_one_sentence(make, sentence):
    with pytest.raises(ValueError) as caught:
        make()
    assert str(caught.value) == sentence
