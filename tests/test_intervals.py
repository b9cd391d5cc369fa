"""Intervals: they hold the mean, narrow as the items grow, and take any number of rows."""

import numpy as np
import pytest
import torch

from course_utils.experiments.intervals import bootstrap_interval, means_and_intervals


def test_each_row_has_its_mean_and_its_own_interval():
    """With ten times as many items they are about √10 times as narrow."""
    values = (np.random.default_rng(0).random((2, 3, 400)) > 0.5).astype(float)
    few, many = means_and_intervals(values[..., :40]), means_and_intervals(values)
    assert few.shape == many.shape == (2, 3, 3)
    np.testing.assert_allclose(many[..., 0], values.mean(-1))
    np.testing.assert_allclose(many[1, 2, 1:], bootstrap_interval(values[1, 2]))
    assert ((many[..., 1] < many[..., 0]) & (many[..., 0] < many[..., 2])).all()
    widths = (few[..., 2] - few[..., 1]) / (many[..., 2] - many[..., 1])
    np.testing.assert_allclose(widths, 10**0.5, atol=0.5)


def test_tensors_and_single_rows_will_do():
    row = torch.tensor([0.25, 0.5, 0.75])
    np.testing.assert_array_equal(means_and_intervals(row), means_and_intervals(row.tolist()))
    assert means_and_intervals(row).shape == (3,)


def test_one_item_has_no_interval():
    with pytest.raises(ValueError, match=r"^values must hold at least two numbers, got 1$"):
        means_and_intervals([[0.5], [1.0]])
