"""Plain data: what a learner's function may answer, and that reading it is safe whoever wrote it."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_utils.answers.calling import Answer, call
from course_utils.answers.plain_data import DEEPEST, ModelName, NotPlainError, for_function, plain, read, written
from course_utils.checks.comparing import Tolerance, difference

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(PLAIN)
def test_what_is_written_is_read(value):
    assert read(written(plain(value))) == value
    assert difference(value, value) == ""


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.int64, torch.bool])
def test_tensors_come_back_as_arrays(dtype):
    array = read(written(plain(torch.ones(2, 3, dtype=dtype))))
    assert array.shape == (2, 3)
    assert array.sum() == 6
    assert isinstance(for_function(array), torch.Tensor)


@pytest.mark.parametrize(
    "line",
    [
        *("", "[1", "nothing", "1" * 5000, "[" * 5000 + "]" * 5000, "{}", '{"a": 1}', json.dumps([0] * 1_000_001)),
        *('{"npy": "AAAA"}', '{"npy": 3}', '{"dict": [1]}', '{"dict": 3}', '{"npy": "", "dict": {}}'),
        '{"model": "smollm2"}',
    ],
)  # fmt: skip
def test_anything_else_is_refused_in_one_sentence(line):
    with pytest.raises(NotPlainError, match="sends an answer that cannot be read"):
        read(line)


def test_an_array_that_claims_to_be_huge_is_refused():
    text = written(np.ones(4))
    header = json.loads(text)["npy"]
    import base64

    raw = base64.b64decode(header).replace(b"(4,)", b"(9" + b"9" * 9 + b",)")[:128]
    with pytest.raises(NotPlainError):
        read(json.dumps({"npy": base64.b64encode(raw).decode()}))


def test_models_are_names_only_in_arguments():
    line = written([ModelName("practice"), 1])
    assert read(line, may_name_models=True) == [ModelName("practice"), 1]
    with pytest.raises(NotPlainError):
        read(line)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (object(), "something of class object"),
        ({1.5: 2}, "keys are neither"),
        (np.array(["a"]), "an array of <U1"),
        (10**1001, "more than a thousand digits"),
        ("x" * 1_000_001, "more than a million letters"),
    ],
)
def test_what_is_not_plain(value, sentence):
    with pytest.raises(NotPlainError, match=sentence):
        plain(value)


def test_lists_in_lists_have_a_bottom():
    deep = []
    for _ in range(DEEPEST + 2):
        deep = [deep]
    with pytest.raises(NotPlainError, match="lists inside lists"):
        plain(deep)


@pytest.mark.parametrize(
    ("own", "right", "sentence"),
    [
        (None, 1, "returns nothing: it needs a `return`."),
        (True, 1, "returns True, and 1 is right."),
        (1, 1.0, ""),
        (1.00001, 1, ""),
        (2, 1, "returns 2, and 1 is right."),
        ([1, 2], np.array([1.0, 2.0]), ""),
        (np.array([1.0, 2.0]), [1, 2], ""),
        ([1], [1, 2], "returns 1 values, and 2 are right."),
        ([1, [2, 3]], [1, [2, 4]], "returns 3 at place 1, 1, and 4 is right."),
        ({"a": 1}, {"b": 1}, "returns the keys ['a'], and ['b'] are right."),
        ({"a": 1}, {"a": 2}, "returns 1 at place 'a', and 2 is right."),
        ("a", 1, "returns a text, and a number is right."),
        (np.ones(3), np.ones((3, 1)), "returns the shape (3,), and (3, 1) is right."),
        (np.array([0.0]), np.array([-np.inf]), "returns 0 at place 0, and −∞ is right."),
        (np.array([np.nan]), np.array([1.0]), "returns nan at place 0, and 1 is right."),
        (10**500, 1.5, "returns a number of more than 18 digits, and 1.5 is right."),
        ("text", np.ones(2), "returns a text, and an array is right."),
    ],
)
def test_the_difference_in_words(own, right, sentence):
    assert difference(own, right) == sentence


def test_the_tolerance_is_relative_and_absolute():
    assert difference(1000.05, 1000.0) == ""
    assert difference(1000.5, 1000.0) != ""
    assert difference(1e-6, 0.0) == ""
    assert difference(1.4, 1.0, Tolerance(absolute=0.5)) == ""


def test_the_function_gets_copies():
    given_tensor = np.ones(3)
    assert call(lambda values: values.zero_().sum(), [given_tensor]) == Answer(0.0, is_changed=True)
    assert given_tensor.sum() == 3
    assert call(lambda values: values.append(1), [[1]]).is_changed
    assert not call(lambda values: values[0], [[1]]).is_changed
