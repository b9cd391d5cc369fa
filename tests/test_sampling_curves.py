"""The pictures of lesson 11: alt text made of the data, small, nothing by colour alone, one-sentence errors."""

import numpy as np
import pytest
import torch

from course_utils import figures


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


def test_diversity_says_both_ends_and_draws_the_intervals():
    bits = np.array([[2.0, 1.0, 2.5], [6.0, 4.0, 8.0]])
    figure = figures.diversity_and_surprisal({"<hot>": (bits, bits / 2)}, people=[3.0, 2.0, 4.0])
    assert figure.alt == ("Entropy over surprisal, in bits. hot: 1.0 at 2.0 to 3.0 at 6.0. People: 3.0 (2.0 to 4.0).")
    across, up = figure.axes[0].containers[0].lines[2]
    assert across.get_segments()[1][:, 0].tolist() == pytest.approx([4, 8])
    assert up.get_segments()[1][:, 1].tolist() == pytest.approx([2, 4])
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
            lambda: figures.diversity_and_surprisal({}, [1, 0, 2]),
            "families must hold 1 … 5 curves, got 0",
        ),
    ],
)
def test_bad_data_is_one_sentence(make, sentence):
    with pytest.raises(ValueError) as caught:
        make()
    assert str(caught.value) == sentence
