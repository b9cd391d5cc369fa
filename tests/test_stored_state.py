"""What a notebook stores of a widget follows what its reader does on the page, and in a cell."""

import asyncio
from types import SimpleNamespace

import pytest

from course_utils.learner import predict, quiz_question
from course_utils.learner.progress import Progress
from course_utils.traces.speed import recorded_speed
from course_utils.widgets import MemoryCalculator, SpeedLab, base

VIEW = "application/vnd.jupyter.widget-view+json"
ANSWERS = [("a < b", False, "No: <b>."), ("c", True, "Yes.")]


@pytest.fixture
def published(monkeypatch):
    """What the kernel sends to the page to be stored; meanwhile it's busy, and not before or after."""
    messages, states = [], []

    def send(socket, kind, content):
        assert (socket, kind) == ("iopub", "status")
        states.append(content["execution_state"])

    def publish(data, metadata, transient, update):
        assert states[-1] == "busy"
        messages.append(SimpleNamespace(data=data, metadata=metadata, transient=transient, update=update))

    kernel = SimpleNamespace(session=SimpleNamespace(send=send), iopub_socket="iopub")
    shell = SimpleNamespace(kernel=kernel, display_pub=SimpleNamespace(publish=publish))
    monkeypatch.setattr(base, "get_ipython", lambda: shell)
    yield messages
    assert states == ["busy", "idle"] * (len(states) // 2)


def by_hand(widget, change):
    widget.set_state(change)


def in_a_cell(widget, change):
    widget.set_all(change)


def use(widget, *changes, how=by_hand, is_shown=True):
    """Make `changes` of a widget that's on the page, in a kernel whose event loop runs until nothing is left to do."""

    async def kernel():
        if is_shown:
            widget._repr_mimebundle_()
        for change in changes:
            how(widget, change)
        await asyncio.sleep(widget._store_after)
        for _ in range(3):
            await asyncio.sleep(0)

    asyncio.run(kernel())


@pytest.mark.parametrize("how", [by_hand, in_a_cell])
@pytest.mark.parametrize(
    ("make", "name", "values", "seen"),
    [
        (lambda: SpeedLab(recorded=recorded_speed()), "curve", ["tpot", "throughput"], "throughput by batch size"),
        (MemoryCalculator, "batch", [2, 16], "16"),
    ],
)
def test_the_last_change_is_stored_once(published, monkeypatch, make, name, values, seen, how):
    widget = make()
    monkeypatch.setattr(widget, "_store_after", 0.05)
    before = widget.describe()
    use(widget, *({name: value} for value in values), how=how)
    (message,) = published
    assert message.update
    assert message.transient == {"display_id": widget.model_id}
    assert message.data[VIEW]["model_id"] == widget.model_id
    assert message.data["text/plain"] == widget.describe() != before
    assert seen in message.data["text/plain"]
    assert (message.data, message.metadata) == widget._repr_mimebundle_()
    assert len(message.metadata["image/png"]["alt"]) > 40


def test_nothing_is_drawn_while_another_widget_is_used(published, monkeypatch):
    """Drawing takes the kernel's time, and the next widget may wait for the kernel."""
    left, used = MemoryCalculator(), MemoryCalculator()

    async def kernel():
        for widget in (left, used):
            widget._repr_mimebundle_()
            widget.set_state({"batch": 2})
        now = asyncio.get_running_loop().time()
        # The widget that was left has been quiet for long enough; the other one was used a second ago.
        monkeypatch.setattr(base.CourseWidget, "_last_change", now - 1)
        left._store_if_quiet()
        assert published == []
        assert left._storing.when() == pytest.approx(now - 1 + left._store_after, abs=0.5)
        monkeypatch.setattr(base.CourseWidget, "_last_change", now - left._store_after)
        left._store_if_quiet()
        assert [message.transient["display_id"] for message in published] == [left.model_id]

    asyncio.run(kernel())


def test_what_is_on_no_page_is_not_drawn_for_it(published, monkeypatch):
    widget = MemoryCalculator()
    monkeypatch.setattr(widget, "_store_after", 0)
    monkeypatch.setattr(widget, "figure", lambda: pytest.fail("drawn for nobody"))
    use(widget, {"batch": 2}, how=in_a_cell, is_shown=False)
    assert published == []
    assert widget._storing is None


def test_what_stays_as_it_is_is_not_stored_again(published, monkeypatch):
    widget = MemoryCalculator()
    monkeypatch.setattr(widget, "_store_after", 0)
    use(widget, {"batch": widget.batch}, how=in_a_cell)
    assert published == []


def test_what_was_measured_is_stored_beside_the_prediction(published, tmp_path):
    asked = predict("p", "How much?", {"a < b": (0, 1), "c": (1, 2)}, Progress(tmp_path / "progress.json"))
    use(asked, {"choice": 0, "attempt": 1})
    use(asked, 0.5, how=lambda widget, measured: widget.compare(measured))
    assert "Measured: 0.5. You predicted “a < b”: ✓ right." in published[-1].data["text/plain"]


def test_a_picture_that_cannot_be_drawn_leaves_the_one_before(published, monkeypatch, caplog):
    widget = SpeedLab(recorded=recorded_speed())
    monkeypatch.setattr(widget, "_store_after", 0)
    widget._repr_mimebundle_()
    monkeypatch.setattr(widget, "figure", lambda: 1 / 0)
    use(widget, {"curve": "tpot"}, is_shown=False)
    assert published == []
    assert not caplog.records
    monkeypatch.undo()
    assert "TPOT" in widget.describe(), "the widget itself lives on"


def test_a_closed_widget_is_not_stored(published, monkeypatch):
    widget = MemoryCalculator()
    monkeypatch.setattr(widget, "_store_after", 0)

    async def kernel():
        widget._repr_mimebundle_()
        widget.set_state({"batch": 2})
        widget.close()
        await asyncio.sleep(0.01)

    asyncio.run(kernel())
    assert published == []


def test_without_a_kernel_nothing_waits_and_nothing_is_sent(published):
    widget = MemoryCalculator()
    widget._repr_mimebundle_()
    widget.set_state({"batch": 2})
    assert widget._storing is None
    assert published == []


def test_an_answer_is_stored_at_once_with_what_was_said(published, tmp_path):
    progress = Progress(tmp_path / "progress.json")
    use(predict("p", "How much?", {"a < b": (0, 1), "c": (1, 2)}, progress), {"choice": 0, "attempt": 1})
    use(quiz_question("q", "Which?", ANSWERS, progress), {"choice": 0, "attempt": 1})
    prediction, quiz = (message.data for message in published)
    assert prediction["text/plain"] == "How much?\n  (•) a < b\n  ( ) c\nYour prediction: a < b."
    assert "<strong>a &lt; b</strong> ← your choice" in prediction["text/html"]
    assert "<p>Your prediction: a &lt; b.</p>" in prediction["text/html"]
    assert quiz["text/plain"] == "Which?\n  (•) a < b\n  ( ) c\n✗ Not quite. No: <b>."
    assert "<p>✗ Not quite. No: &lt;b&gt;.</p>" in quiz["text/html"]


@pytest.mark.parametrize("change", [{"choice": 1}, {"choice": 2, "attempt": 1}, {"choice": -1, "attempt": 1}])
def test_what_is_no_choice_is_not_marked(change, tmp_path):
    asked = quiz_question("q", "Which?", ANSWERS, Progress(tmp_path / "progress.json"))
    asked.set_state(change)
    assert "(•)" not in asked.describe()
    assert "your choice" not in asked.static_bundle()[0]["text/html"]
