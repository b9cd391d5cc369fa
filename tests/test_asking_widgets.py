"""Widgets that run a model: any error is one sentence, the former state stays whole, and progress is told."""

import numpy as np
import pytest
from transformers.pipelines.base import PipelineException

from course_utils.engine.progress import heard_by, report
from course_utils.models import load_encoder
from course_utils.traces import masked_runs
from course_utils.widgets import AttentionExplorer, BeamTreeWidget, CacheStepper, MaskLab
from course_utils.widgets.base import STOPPED
from tests import test_attention_explorer, test_beam_tree, test_cache_stepper, test_mask_lab

FAMILY = "👩‍👩‍👧"
# A widget, what its page asks for, and another run that it then shows.
WIDGETS = {
    "attention": (
        lambda run: AttentionExplorer(test_attention_explorer.made_trace(), run, layer=1, head=2, order="induction"),
        ["hello"],
        lambda: test_attention_explorer.made_trace(1, 2, 1, 5, 5),
    ),
    "beam tree": (
        lambda run: BeamTreeWidget(test_beam_tree.random_trace(2, 2), run, step=1, length_penalty=0.5),
        ["go", 3, 4],
        lambda: test_beam_tree.random_trace(3, 4),
    ),
    "stepper": (
        lambda run: CacheStepper(test_cache_stepper.toy_trace(), run, step=1),
        ["go", 5],
        lambda: test_cache_stepper.toy_trace(2, 5),
    ),
    "mask lab": (
        lambda run: MaskLab(test_mask_lab.toy_masks(), run, padding="right", masked=False),
        [["a", "b", "", ""], 3],
        lambda: test_mask_lab.random_masks(5, prompts=2),
    ),
}
ERRORS = {
    "ValueError": (ValueError("prompt must be short, got ''"), "must be short, got nothing"),
    "RuntimeError": (RuntimeError("out of memory\nmore lines"), "RuntimeError: out of memory"),
    "KeyError": (KeyError("weights"), "KeyError: 'weights'"),
    "OSError": (OSError("disk"), "OSError: disk"),
    "MemoryError": (MemoryError(), "MemoryError"),
    "PipelineException": (PipelineException("task", "model", "no mask token"), "PipelineException: no mask token"),
    "interrupt": (KeyboardInterrupt(), STOPPED),
}


class Run:
    """Fails as it is told, and otherwise returns another run."""

    def __init__(self, make):
        self.make, self.error = make, None

    def __call__(self, *wanted):
        if self.error:
            raise self.error
        return self.make()


@pytest.mark.parametrize("name", WIDGETS)
def test_any_error_is_a_sentence_and_the_former_state_stays(name):
    open_widget, wanted, make = WIDGETS[name]
    run = Run(make)
    widget = open_widget(run)
    before = widget.describe()
    for press, (error, sentence) in enumerate(ERRORS.values(), start=1):
        run.error = error
        widget.asked = [press, *wanted]
        assert widget.problem.endswith(sentence), widget.problem
        assert (widget.answered, widget.describe()) == (press, before)
    run.error = None
    widget.asked = [50, *wanted]
    assert (widget.problem, widget.answered) == ("", 50)
    assert widget.describe() != before


@pytest.mark.parametrize("name", WIDGETS)
def test_what_is_no_run_at_all_leaves_the_former_state(name):
    """A run that returns something else fails while it is being shown."""
    open_widget, wanted, _ = WIDGETS[name]
    widget = open_widget(lambda *_: "not a trace")
    before = widget.describe()
    widget.asked = [1, *wanted]
    assert widget.problem
    assert (widget.answered, widget.describe()) == (1, before)
    assert len(widget._repr_mimebundle_()[0]["image/png"]) > 1000


def test_an_interrupt_while_attention_is_drawn_leaves_the_former_state(monkeypatch):
    open_widget, wanted, make = WIDGETS["attention"]
    widget = open_widget(Run(make))
    before, pack, times = widget.describe(), widget._pack, iter([KeyboardInterrupt()])

    def interrupted(*arguments):
        for error in times:
            raise error
        return pack(*arguments)

    monkeypatch.setattr(widget, "_pack", interrupted)
    widget.asked = [1, *wanted]
    assert (widget.problem, widget.describe()) == (STOPPED, before)
    assert widget._packet["version"] == widget.about["version"]


@pytest.mark.parametrize("name", WIDGETS)
def test_progress_is_told(name):
    open_widget, wanted, make = WIDGETS[name]

    def run(*_):
        for step in (1, 2):
            report("step", step, 2)
        return make()

    widget, sent = open_widget(run), []
    widget.send = sent.append
    widget.asked = [7, *wanted]
    assert sent == [{"begun": 7}, {"progress": "step 1 of 2"}, {"progress": "step 2 of 2"}]
    report("step", 3, 3)
    assert len(sent) == 3, "nobody listens when the answer is there"


def test_a_large_batch_under_masks_runs_in_parts_and_tells_which(monkeypatch):
    encoder, heard = load_encoder(), []
    ids = [encoder.encode(text)[0] for text in ("a cat", "the cat sat on the mat")]

    def run(batch, mask):
        return encoder.model(batch, attention_mask=mask).last_hidden_state

    with heard_by(lambda *said: heard.append(said)):
        whole = [hidden for _, hidden in masked_runs.every_mask(encoder.model, run, ids, 0, window=2)]
        monkeypatch.setattr(masked_runs, "_TOKENS_AT_ONCE", 50)
        parts = [hidden for _, hidden in masked_runs.every_mask(encoder.model, run, ids, 0, window=2)]
    assert heard == [("part", 1, 2), ("part", 2, 2), *(("part", number, 6) for number in range(1, 7))]
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_allclose(other, one, atol=1e-4)


def test_right_to_left_tokens_do_not_reorder_the_words():
    trace = test_attention_explorer.made_trace(tokens=("שלום", ".", "سلام"))
    assert AttentionExplorer(trace).describe().splitlines()[-1].startswith("“\u2068سلام\u2069” looks at “")
    batch = test_mask_lab.toy_masks()
    batch = type(batch)("toy", ("שלום", "a b c"), batch.tokens, 2, batch.alone, batch.logits, ("אב", "y", "z"))
    assert "1 “\u2068שלום\u2069”: 2 of 3" in MaskLab(batch).describe()
    assert "“\u2068אב\u2069” 65.2 % alone" in MaskLab(batch).describe()


def texts_in(figure):
    return [text.get_text() for axes in figure.axes for text in axes.findobj(type(axes.title))]


def test_no_picture_cuts_an_emoji_in_half():
    def drawn(text):
        return text.replace("👩", "<U+1F469>").replace("👧", "<U+1F467>")

    tree = test_beam_tree.random_trace(2, 2)
    tree = type(tree)(**vars(tree) | {"tokens": (FAMILY * 20,) * len(tree.tokens), "prompt": FAMILY * 99})
    widget = BeamTreeWidget(tree)
    assert f"2 beams after “{drawn(FAMILY * 59)}…”" in texts_in(widget.figure())
    assert f"2 beams after “{FAMILY * 59}…”" in widget.describe()
    batch = test_mask_lab.toy_masks()
    batch = type(batch)("toy", batch.prompts, ((FAMILY * 20,), ("a", "b", "c")), 2, batch.alone, batch.logits, "xyz")
    assert drawn(FAMILY * 9) + "…" in texts_in(MaskLab(batch).figure())
