"""Plain data: what a learner's function may answer, and that reading it is safe, whatever was written."""

import base64
import functools
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_utils.exercises.calling import LONGEST_PRINT, NOT_STARTED, Answer, call, is_stub
from course_utils.exercises.comparing import Tolerance, difference
from course_utils.exercises.plain_data import (
    DEEPEST,
    ModelName,
    NotPlainError,
    Settings,
    for_function,
    plain,
    read,
    written,
)
from course_utils.exercises.showing import LONGEST, beside, short

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
    raw = base64.b64decode(header).replace(b"(4,)", b"(9" + b"9" * 9 + b",)")[:128]
    with pytest.raises(NotPlainError):
        read(json.dumps({"npy": base64.b64encode(raw).decode()}))


@pytest.mark.parametrize(
    "raw",
    [
        *(b"PK\x03\x04 no zip", b"PK\x05\x06" + bytes(18)),  # archives, broken and empty
        *(b"\x93NUMPY\x01\x00\x04\x00{(1}", b"\x93NUMPY\x09\x00", b"\x80\x04N."),
    ],
)
def test_what_is_no_array_is_refused(raw):
    with pytest.raises(NotPlainError, match="sends an answer that cannot be read"):
        read(json.dumps({"npy": base64.b64encode(raw).decode()}))


def test_models_are_names_only_in_arguments():
    line = written([ModelName("practice"), 1])
    assert read(line, may_name_models=True) == [ModelName("practice"), 1]
    with pytest.raises(NotPlainError):
        read(line)


def test_a_part_of_a_model_can_be_named():
    model, tokenizer = (ModelName(f"practice.{part}") for part in ("model", "tokenizer"))
    assert model.module == tokenizer.module == "course_utils.models.practice"
    assert model.load() is ModelName("practice").load().model
    assert tokenizer.load().decode([2, 0, 1]) == "cab"


def test_settings_arrive_as_keyword_arguments_here_and_in_the_sandbox():
    case = read(written([np.ones(2), Settings(seed=3, filters=[["top_k", 5]])]), may_name_models=True)
    assert isinstance(case[1], Settings)
    answer = call(lambda values, **settings: [values.sum(), settings], case)
    assert answer.value == [2.0, {"seed": 3, "filters": [["top_k", 5]]}]
    assert not answer.is_changed
    assert call(lambda values, filters, **more: filters.pop(), case).is_changed
    with pytest.raises(NotPlainError):  # an answer has none
        read(written(Settings(seed=3)))


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


@pytest.mark.parametrize(
    ("own", "right", "is_right"),
    [
        (np.array([49151]), np.array([49152]), False),  # one token further, and less than a relative 1e-4 away
        (np.array([49151.0]), np.array([49152]), False),
        (np.array([49152.0]), np.array([49152]), True),
        ([49151.0], [49152], False),
        (49151.0, 49152, False),
        (2.9999999, 3, True),  # a rounding error
        (2**53 + 1, 2**53, False),
        (float(2**53), 2**53 + 1, False),
        (np.array([2**53 + 1]), np.array([2**53]), False),
        (np.array([2.0**53]), np.array([2**53 + 1]), False),
        ([2**53 + 1, 1.0], np.array([2**53, 1]), False),
        (np.array([2**64 - 1], np.uint64), np.array([-1]), False),
        (np.array([[49151.0, -0.5]]), [[49152, -0.5]], False),  # an id beside a score
        (np.array([[49152.0, -0.50001]]), [[49152, -0.5]], True),
        ({"ids": np.array([7, 8])}, {"ids": np.array([7, 9])}, False),
        (np.array([True, False]), np.array([True, True]), False),
        (np.array([1.0, 0.0]), np.array([True, False]), True),
        (np.array([0.9999999]), np.array([True]), False),
        (np.zeros((0, 3)), np.zeros((0, 3), int), True),
        (np.array([np.nan]), np.array([1]), False),
        (np.array([1000.05]), np.array([1000.0]), True),  # a number with a fraction keeps its tolerance
    ],
)
def test_whole_numbers_are_compared_exactly(own, right, is_right):
    assert (difference(own, right) == "") is is_right


@given(st.integers(-(2**62), 2**62), st.sampled_from([-1, 1]))
def test_an_id_beside_the_right_one_is_wrong(number, step):
    for own, right in ((number + step, number), ([number + step], np.array([number]))):
        assert difference(own, right) != ""
        assert difference(right, right) == ""


HUGE = """
import resource, sys
import numpy as np, torch
from course_utils.exercises.calling import call
size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + 2**29,) * 2)
row = [0.0] * 20_000
for value in (
    [row] * 20_000, {number: row for number in range(9_000)}, [{"a": row}] * 9_000, tuple([row] * 20_000),
    torch.zeros(1).expand(10**11), np.broadcast_to(np.zeros(1), (10**10,)), [torch.zeros(999_999)] * 9_999,
    ["x" * 10**6] * 9_999, {"x" * 10**5 + str(number): 1 for number in range(40)}, [10**1000] * 10**6, [[]] * 2_000_000,
):
    answer = call(lambda: value, [])
    assert answer.problem == "returns more than a million values, and no right answer has that many.", answer.problem
sys.exit(3)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="its limit of memory")
def test_huge_answers_are_counted_on_the_way():
    """Each of them would take gigabytes; here there is half a gigabyte, and little time."""
    run = subprocess.run([sys.executable, "-c", HUGE], capture_output=True, text=True, timeout=120)
    assert run.returncode == 3, run.stderr


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (torch.eye(3).to_sparse(), "of a kind that cannot be checked"),
        (torch.ones(2, device="meta"), "of a kind that cannot be checked"),
        (torch.ones(2, dtype=torch.complex64), "an array of complex64"),
        ({10**5000: 1}, "more than a thousand digits"),
    ],
)
def test_more_of_what_is_not_plain(value, sentence):
    with pytest.raises(NotPlainError, match=sentence):
        plain(value)


def test_a_long_double_becomes_an_ordinary_number():
    assert read(written(plain([np.longdouble(1.5), np.ones(2, np.longdouble)])))[0] == 1.5


@pytest.mark.parametrize(
    "content", [b"PK\x03\x04" + b"0" * 60, b"PK\x05\x06" + b"\0" * 18, b"\x80\x04K\x01.", b"", b"x"]
)
def test_archives_and_pickles_are_no_arrays(content):
    with pytest.raises(NotPlainError, match="sends an answer that cannot be read"):
        read(json.dumps({"npy": base64.b64encode(content).decode()}))


def test_what_is_printed_is_kept_up_to_a_length():
    assert call(lambda: print("a", "b"), []).printed == "a b\n"

    def chatty():
        for _ in range(10**5):
            print("x" * 1000)
        return 1

    answer = call(chatty, [])
    assert answer.value == 1
    assert len(answer.printed) == LONGEST_PRINT
    assert answer.printed.endswith("x…")


def stub(logits, *more, k=1):
    """A stub as in an exercise."""
    raise NotImplementedError


def stub_with_a_word(logits):
    raise NotImplementedError("later")


def stub_at_the_end(logits):
    logits = logits * 2
    raise NotImplementedError


class Odd:
    def __getattr__(self, name):
        raise SystemExit(name)

    def __call__(self):
        return 1


@pytest.mark.parametrize("function", [stub, torch.inference_mode()(stub), torch.no_grad()(stub)])
def test_an_untouched_stub_is_not_called(function):
    assert is_stub(function)
    assert call(function, [1]).raised == NOT_STARTED


@pytest.mark.parametrize(
    "function",
    [
        *(stub_with_a_word, stub_at_the_end, lambda x: x, len, type, 7),
        lambda x: x.long().softmax(-1),
        lambda x: torch.ones(2, device="meta").cpu(),
    ],
)
def test_anything_else_is_a_try(function):
    assert not is_stub(function)
    assert call(function, [torch.ones(2).numpy()]).raised != NOT_STARTED


@pytest.mark.parametrize("function", [functools.partial(stub, 1), lambda x: x + stub(x)])
def test_a_function_that_needs_a_stub_is_not_started_either(function):
    assert not is_stub(function)
    answer = call(function, [1])
    assert (answer.raised, answer.problem) == (NOT_STARTED, "needs stub, which isn't written yet.")


def test_an_object_that_cannot_be_asked_is_called():
    assert not is_stub(Odd())
    assert call(Odd(), []).value == 1


def test_a_stub_that_is_left_at_the_end_is_named():
    assert call(stub_at_the_end, [1]).problem == (
        "raises NotImplementedError: take that line out when your answer is there."
    )


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=99),
    lambda inner: st.lists(inner, max_size=9) | st.dictionaries(st.text(max_size=30), inner, max_size=4),
    max_leaves=15,
)


@given(ANY, ANY)
def test_two_values_beside_each_other_always_fit(own, right):
    shown = beside(own, right)
    assert max(map(len, shown)) <= LONGEST + 12
    assert len(short(own)) <= LONGEST


@pytest.mark.parametrize(
    ("own", "right", "shown"),
    [
        (np.array([1.5, -np.inf]), np.array([1.5, 2.0]), ("tensor([1.5, −∞])", "tensor([1.5,  2])")),
        ([7] * 30, [7] * 29 + [8], ("[…, 7, 7]", "[…, 7, 8]")),
        (np.eye(20), np.eye(20)[::-1], ("at [0]: tensor([1, 0, 0,", "at [0]: tensor([0, 0, 0,")),
        ({"ids": [5] * 40, "read": 3}, {"ids": [5] * 40, "read": 4}, ("at ['read']: 3", "at ['read']: 4")),
        (2.0**53, 2**53 + 1, ("9.007e+15", "9007199254740993")),
        ("b" * 99, "a" * 99, ("'bbb", "'aaa")),  # they differ at once: both from their beginning
        (10**40, 10**40 + 1, ("…0000", "…0001")),
    ],
)
def test_what_is_shown_is_where_they_differ(own, right, shown):
    for text, wanted in zip(beside(own, right), shown, strict=True):
        assert text.startswith(wanted)


def test_numbers_stand_below_each_other():
    own, right = beside([1.0, 22.5, 3.0], [1.0, 4.0, 3.0])
    assert (own, right) == ("[1, 22.5, 3]", "[1,    4, 3]")
