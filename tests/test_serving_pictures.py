"""The pictures of lesson 14 say in words what they show."""

import pytest

from course_utils.figures import batch_tradeoff, growth_lines, slot_schedules
from course_utils.figures.base import png_bytes
from course_utils.measuring.batching import continuous_schedule, static_schedule

LENGTHS = [12, 3, 4, 3, 8, 3, 4, 3]


def test_schedules_in_words_and_bars():
    static, continuous = static_schedule(LENGTHS, 4), continuous_schedule(LENGTHS, 4)
    figure = slot_schedules({"static": static, "continuous": continuous})
    assert "static: 8 requests in 4 slots, done after 20 steps, the slots are at work 50 % of the time" in figure.alt
    assert "continuous: 8 requests in 4 slots, done after 12 steps" in figure.alt
    bars = [patch for axes in figure.axes for patch in axes.patches]
    waiting = sum(turn.freed > turn.end for turn in [*static, *continuous])
    assert len(bars) == 16 + waiting
    assert sum(patch.get_hatch() is not None for patch in bars) == waiting  # not by colour alone
    assert [text.get_text() for text in figure.axes[0].texts] == list("01234567")
    assert len(png_bytes(figure)) < 60_000


def test_growth_in_words_and_lines():
    figure = growth_lines([1, 2, 4], {"square": [1, 4, 16], "line": [3, 6, 12]}, "tokens", "bytes")
    assert "square: from 1 at 1 to 16 at 4, 4.0 times at the last step" in figure.alt
    assert "line: from 3 at 1 to 12 at 4, 2.0 times at the last step" in figure.alt
    first, second = figure.axes[0].lines
    assert first.get_linestyle() != second.get_linestyle()
    assert figure.axes[0].get_xscale() == figure.axes[0].get_yscale() == "log"


def test_a_batch_in_words_and_lines():
    figure = batch_tradeoff([1, 8], [(0.05, 0.04, 0.07, 3), (0.1, 0.1, 0.2, 3)], [(20, 18, 21, 3), (80, 75, 90, 3)])
    assert figure.alt == (
        "By batch size 1, 8: milliseconds per token and text 50 (40–70), 100 (100–200); "
        "tokens per second over all texts 20.0 (18.0–21.0), 80.0 (75.0–90.0)."
    )
    assert list(figure.axes[0].lines[0].get_ydata()) == pytest.approx([50, 100])
    ranges = figure.axes[0].containers[0].lines[2][0].get_segments()
    assert [segment[:, 1].tolist() for segment in ranges] == [pytest.approx([40, 70]), pytest.approx([100, 200])]


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: slot_schedules({}), "schedules must each have at least one turn, got none"),
        (lambda: slot_schedules({"static": []}), "schedules must each have at least one turn, got none"),
        (lambda: growth_lines([1, 2], {}, "x", "y"), "lines must be 1 to 4 of 2 values each, got 0"),
        (lambda: growth_lines([1, 2], {"a": [1]}, "x", "y"), "lines must be 1 to 4 of 2 values each, got 1"),
        (
            lambda: batch_tradeoff([1], [(1.0, 1.0, 1.0, 1)], []),
            "batches, tpot and throughput must have one length, got 1, 1, 0",
        ),
    ],
)
def test_bad_input_gets_one_sentence(call, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        call()
