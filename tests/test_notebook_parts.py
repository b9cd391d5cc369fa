"""A part of a notebook has every cell that the wanted ones need, and no other."""

import nbformat
import pytest

from tests.notebook_parts import part_of


def notebook(*codes):
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in codes])


@pytest.mark.parametrize(
    ("codes", "kept"),
    [
        (["a = 1", "b = 2", "show(a)"], [0, 2]),
        (["a = 1", "a = 2", "show(a)"], [1, 2]),  # the last value
        (["a = 1", "a += 1", "show(a)"], [0, 1, 2]),
        (["a = []", "a.append(1)", "show(a)"], [0, 1, 2]),
        (["a = {}", "a['x'] = 1", "show(a)"], [0, 1, 2]),
        (["import x as a", "b = 1", "show(a.c)"], [0, 2]),
        (["c = 3", "b = 1", "def f(b): return b + c", "show(f(1))"], [0, 2, 3]),
        (["x = 1", "a = [x for x in range(3)]", "show(a)"], [1, 2]),
        (["%matplotlib inline\na = 1", "!ls", "show(a)"], [0, 2]),
        (["a = 1", "show(2)", "show(a)", "a = 3"], [0, 1, 2]),  # every cell that matches; nothing after it
    ],
)
def test_what_is_needed_is_there_in_its_order(codes, kept):
    assert part_of(notebook(*codes), r"show\(") == [codes[number] for number in kept]


def test_a_part_that_is_not_there_is_one_sentence():
    with pytest.raises(ValueError, match="wanted must be found in a code cell, got 'nowhere'"):
        part_of(notebook("a = 1"), "nowhere")
