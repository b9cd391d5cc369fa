"""What a notebook stores of a widget follows what its reader does on the page."""

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


def use(widget, *changes):
    """Send `changes` as the page does, in a kernel whose event loop runs until nothing is left to do."""

    async def kernel():
        for change in changes:
            widget.set_state(change)
        await asyncio.sleep(widget._store_after)
        for _ in range(3):
            await asyncio.sleep(0)

    asyncio.run(kernel())


@pytest.mark.parametrize(
    ("make", "name", "values", "seen"),
    [
        (lambda: SpeedLab(recorded=recorded_speed()), "curve", ["tpot", "throughput"], "throughput by batch size"),
        (MemoryCalculator, "batch", [2, 16], "16"),
    ],
)
def test_the_last_change_is_stored_once(published, monkeypatch, make, name, values, seen):
    widget = make()
    monkeypatch.setattr(widget, "_store_after", 0.05)
    before = widget.describe()
    use(widget, *({name: value} for value in values))
    (message,) = published
    assert message.update
    assert message.transient == {"display_id": widget.model_id}
    assert message.data[VIEW]["model_id"] == widget.model_id
    assert message.data["text/plain"] == widget.describe() != before
    assert seen in message.data["text/plain"]
    assert (message.data, message.metadata) == widget._repr_mimebundle_()
    assert len(message.metadata["image/png"]["alt"]) > 40


def test_a_picture_that_cannot_be_drawn_leaves_the_one_before(published, monkeypatch, caplog):
    widget = SpeedLab(recorded=recorded_speed())
    monkeypatch.setattr(widget, "_store_after", 0)
    monkeypatch.setattr(widget, "figure", lambda: 1 / 0)
    use(widget, {"curve": "tpot"})
    assert published == []
    assert not caplog.records
    monkeypatch.undo()
    assert "TPOT" in widget.describe(), "the widget itself lives on"


def test_a_closed_widget_is_not_stored(published, monkeypatch):
    widget = MemoryCalculator()
    monkeypatch.setattr(widget, "_store_after", 0)

    async def kernel():
        widget.set_state({"batch": 2})
        widget.close()
        await asyncio.sleep(0.01)

    asyncio.run(kernel())
    assert published == []


def test_without_a_kernel_nothing_waits_and_nothing_is_sent(published):
    widget = MemoryCalculator()
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
