"""The beam tree: its numbers, its words, its budgets, its errors; page and Python find the same."""

import json
import os
import subprocess
from dataclasses import replace

import numpy as np
import pytest

from course_utils import figures
from course_utils.engine.beam_search import ROOT
from course_utils.figures.beams import tree_rows
from course_utils.models import load_causal_lm
from course_utils.traces import BeamTrace, record_beams
from course_utils.widgets import BeamTreeWidget, beam_tree
from course_utils.widgets.base import page_module
from tests.budgets import MOST_ESM_BYTES

FULL_STOP = 30  # of SmolLM2
PROMPT = "The best way to learn is"
STOPS = [True, False, "never"]


@pytest.fixture
def toy():
    """Two beams: the likelier first token loses, and a short text ends at step 2."""
    return BeamTrace(
        model="toy", prompt="go", num_beams=2, length_penalty=1.0, early_stopping="never", max_new_tokens=3,
        tokens=("␣a", "␣b", "c", "d", ".", "e", "f", "g", "h"),
        fates=("kept", "kept", "pruned", "kept", "finished", "kept", "finished", "finished", "pruned"),
        greedy_tokens=("␣a", "d", "g"),
        ids=np.array([1, 2, 3, 4, 0, 5, 6, 7, 8]),
        steps=np.array([1, 1, 1, 2, 2, 2, 3, 3, 3]),
        parents=np.array([-1, -1, -1, 0, 1, 1, 5, 3, 3]),
        scores=np.array([-0.5, -0.9, -3, -1.5, -1.6, -1.8, -1.9, -2.0, -4]),
        finished=np.array([6, 7]), finished_scores=np.array([-1.9, -2.0]) / 3,
        greedy=np.array([1, 4, 7]), greedy_scores=np.array([-0.5, -1.5, -2.0]),
    )  # fmt: skip


GOLDEN = """\
Beam tree: 2 beams after “go” (toy)
step 1  2 kept, 0 finished, 1 pruned; best “␣a” −0.50
step 2  2 kept, 1 finished, 0 pruned; best “d” −1.50
step 3  0 kept, 2 finished, 1 pruned; best “f” −1.90
length penalty 1, early stopping never:
1.      score −0.63, sum −1.90, 3 tokens: “ bef”
2.      score −0.67, sum −2.00, 3 tokens: “ adg”
greedy  score −0.67, sum −2.00, 3 tokens: “ adg”
The search stops after step 3. “␣a” was the best first token (−0.50), but the winner begins with “␣b” (−0.90). \
At step 3 the winner's branch overtook it: a sum of −1.90 against −2.00. The best text with “␣a” is number 2. \
Greedy's text is number 2."""


def random_trace(beams, steps, seed=0):
    """As large as asked for, with every fate, the longest tokens and all kinds of characters."""
    random, nodes, level = np.random.default_rng(seed), [], [(ROOT, 0.0)]
    words = ("␣extraordinarily", "你好", "🙂", "<|im_end|>", "a&b", "$x^2$", "⏎")
    for step in range(1, steps + 1):
        falls = [(parent, total - random.exponential(2)) for parent, total in level for _ in range(2 * beams)]
        level = []
        for rank, (parent, total) in enumerate(sorted(falls, key=lambda pair: -pair[1])[: 2 * beams]):
            ends = step == steps or random.random() < 0.15
            has_room = (rank if ends else len(level)) < beams
            fate = ("finished" if ends else "kept") if has_room else "pruned"
            if fate == "kept":
                level.append((len(nodes), total))
            nodes.append((step, parent, len(nodes), total, fate, words[random.integers(len(words))]))
        if not level:
            break
    steps_, parents, ids, scores, fates, tokens = zip(*nodes, strict=True)
    greedy = [0]
    while greedy[-1] in parents:
        greedy.append(parents.index(greedy[-1]))
    return BeamTrace(
        model="random", prompt="once", num_beams=beams, length_penalty=1.0, early_stopping="False",
        max_new_tokens=steps, tokens=tokens, fates=fates, greedy_tokens=tuple(tokens[node] for node in greedy),
        ids=np.array(ids), steps=np.array(steps_), parents=np.array(parents), scores=np.array(scores),
        finished=np.array([0]), finished_scores=np.array([0.0]),
        greedy=np.array(greedy), greedy_scores=np.array(scores)[greedy],
    )  # fmt: skip


def test_describe_is_golden(toy):
    assert BeamTreeWidget(toy).describe() == GOLDEN


def test_the_length_penalty_changes_the_winner_and_the_words(toy):
    widget = BeamTreeWidget(toy, length_penalty=0)
    assert [text.node for text in widget.found().finished] == [4, 6]
    assert "At no length did the winner's branch have the larger sum: it wins by its score." in widget.story
    widget.length_penalty = 1
    assert [text.node for text in widget.found().finished] == [6, 7]
    assert widget.story == widget.explain()


def test_a_step_in_the_middle_is_a_part_of_the_search(toy):
    widget = BeamTreeWidget(toy, step=2)
    assert [text.node for text in widget.found().finished] == [4]
    assert widget.story == "Step 2: 2 kept, 1 finished, 0 pruned. The search continues."
    assert "step 3" not in widget.describe()
    assert widget.figure().alt.startswith("A beam search of 2 steps: 6 tokens considered")


def test_bundle_has_a_small_picture_with_alt_text_and_words(toy):
    data, metadata = BeamTreeWidget(toy)._repr_mimebundle_()
    assert set(data) == {"application/vnd.jupyter.widget-view+json", "image/png", "text/plain"}
    assert data["text/plain"] == GOLDEN
    alt = metadata["image/png"]["alt"]
    assert alt == (
        "A beam search of 3 steps: 9 tokens considered, 4 kept, 3 finished, 2 pruned. "
        "The best text is “bef”, sum −1.90."
    )


def test_budgets(record):
    """The largest tree that the page takes."""
    widget = BeamTreeWidget(random_trace(beams=10, steps=12))
    data, metadata = widget._repr_mimebundle_()
    sizes = {
        "esm_bytes": len(BeamTreeWidget._esm.encode()),
        "state_bytes": len(json.dumps({name: widget.get_state()[name] for name in ("tree", "story")}).encode()),
        "png_bytes": len(data["image/png"]),
    }
    record("BeamTreeWidget", sizes)
    assert len(widget.trace.tokens) > 200
    assert sizes["esm_bytes"] <= MOST_ESM_BYTES
    assert sizes["state_bytes"] <= 500_000
    assert sizes["png_bytes"] <= 40_000
    assert not set(metadata["image/png"]["alt"]) & set("<{")


def test_the_tree_is_what_transformers_searched():
    widget = beam_tree(load_causal_lm(), PROMPT, num_beams=3, steps=6, eos_ids=[FULL_STOP])
    trace = record_beams(load_causal_lm(), PROMPT, num_beams=3, max_new_tokens=6, eos_ids=[FULL_STOP])
    found = widget.found().finished
    assert [text.score for text in found] == pytest.approx(trace.finished_scores.tolist())
    assert widget.tree["greedy"][0] == 0
    assert len(widget.tree["rows"]) == len(widget.trace.tokens)


def test_the_page_searches_again_and_survives_what_is_wrong(toy):
    calls = []

    def run(prompt, beams, steps):
        calls.append((prompt, beams, steps))
        if not prompt:
            raise ValueError("prompt must have at least one character, got an empty text")
        return replace(toy, prompt=prompt)

    widget = BeamTreeWidget(toy, run)
    widget.length_penalty, widget.early_stopping, widget.step = 0.5, True, 2
    assert calls == []  # these only read the tree again
    widget.asked = [1, "stop", 2, 3]
    assert (widget.tree["prompt"], widget.step, widget.problem, widget.answered) == ("stop", 3, "", 1)
    widget.asked = [2, "", 2, 3]
    assert widget.problem == "prompt must have at least one character, got an empty text"
    assert (widget.tree["prompt"], widget.answered) == ("stop", 2)
    widget.asked = [3, "go", 2, 3]
    assert (widget.tree["prompt"], widget.problem) == ("go", "")


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        (["", 2, 2], "prompt must have at least one character, got an empty text"),
        (["go", 11, 2], "beams must be a whole number from 1 to 10, got 11"),
        (["go", None, 2], "beams must be a whole number from 1 to 10, got nothing"),
        (["go", 2, 2.5], "new tokens must be a whole number from 1 to 12, got 2.5"),
        (["word " * 3000, 2, 2], "prompt must have at most 512 tokens for this picture, got 3,001"),
    ],
)
def test_a_wrong_search_is_one_sentence(wanted, sentence):
    widget = beam_tree(load_causal_lm(), "Hi", num_beams=1, steps=1)
    widget.asked = [1, *wanted]
    assert widget.problem == sentence
    assert widget.tree["prompt"] == "Hi"


@pytest.mark.parametrize("prompt", ["🙂", "你好，世界", "a", "word " * 200])
def test_any_prompt_has_a_tree(prompt):
    widget = beam_tree(load_causal_lm(), prompt, num_beams=3, steps=3)
    assert len(widget.found().finished) == 3
    assert len(widget._repr_mimebundle_()[0]["image/png"]) <= 40_000


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("length_penalty", float("nan"), "length_penalty must be in [-5, 5], got nan"),
        ("length_penalty", 1000, "length_penalty must be in [-5, 5], got 1000.0"),
        ("early_stopping", "soon", "early_stopping must be True, False or 'never', got 'soon'"),
        ("step", 4, "step must be a whole number from 1 to 3, got 4"),
        ("step", 0, "step must be a whole number from 1 to 3, got 0"),
    ],
)
def test_bad_setting_is_one_sentence_and_the_widget_lives(toy, name, value, sentence):
    widget = BeamTreeWidget(toy)
    with pytest.raises(ValueError) as caught:
        setattr(widget, name, value)
    assert str(caught.value) == sentence
    assert widget.describe() == GOLDEN


def test_a_tree_that_stops_early_or_is_too_large_is_refused(toy):
    with pytest.raises(ValueError, match=r"^trace must hold a whole tree"):
        BeamTreeWidget(replace(toy, max_new_tokens=9, fates=(*toy.fates[:-1], "kept")))
    with pytest.raises(ValueError, match=r"^steps must be a whole number from 1 to 12, got 13$"):
        BeamTreeWidget(random_trace(beams=3, steps=13))
    with pytest.raises(ValueError, match=r"^num_beams must be a whole number from 1 to 10, got 11$"):
        BeamTreeWidget(random_trace(beams=11, steps=3))


PARITY = """
const page = await import(process.env.WIDGET_MODULES + "/beam_tree.mjs");
const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
console.log(JSON.stringify(JSON.parse(Buffer.concat(chunks)).map(({ tree, penalty, early, step }) => {
  const { finished, last } = page.replay(tree, penalty, early, step);
  const over = step >= page.replay(tree, penalty, early).last;
  return { nodes: finished.map(({ node }) => node), scores: finished.map(({ score }) => score), last, over,
    greedy: page.ranking(tree, { finished, last }, penalty, over).at(-1) };
})));
"""


def test_page_and_python_rank_alike(node, tmp_path, toy):
    (tmp_path / "beam_tree.mjs").write_text(page_module("beam_tree"), encoding="utf-8")
    widgets = [
        BeamTreeWidget(random_trace(beams, steps, seed=beams)) for beams in (1, 2, 4, 10) for steps in (1, 5, 12)
    ]
    widgets += [BeamTreeWidget(toy), beam_tree(load_causal_lm(), PROMPT, num_beams=4, steps=7, eos_ids=[FULL_STOP])]
    cases, expected = [], []
    for widget in widgets:
        last = widget.step
        for penalty in (-1.0, 0.0, 0.3, 1.0, 2.5):
            for early in STOPS:
                for step in {1, (last + 1) // 2, last}:
                    widget.length_penalty, widget.early_stopping, widget.step = penalty, early, step
                    cases.append({"tree": widget.tree, "penalty": penalty, "early": early, "step": step})
                    expected.append((widget.found(), widget.is_over()))
    run = subprocess.run(
        [node, "--input-type=module", "-e", PARITY], input=json.dumps(cases), capture_output=True, text=True,
        check=True, env={**os.environ, "WIDGET_MODULES": str(tmp_path)},
    )  # fmt: skip
    assert len(cases) > 400
    for (found, over), said in zip(expected, json.loads(run.stdout), strict=True):
        assert said["nodes"] == [text.node for text in found.finished]
        assert said["scores"] == pytest.approx([text.score for text in found.finished], rel=1e-12)
        assert (said["last"], said["over"]) == (found.last_step, over)
        assert said["greedy"]["cells"][0] == "greedy"


def test_no_two_branches_cross():
    trace = random_trace(beams=5, steps=9)
    steps, parents = trace.steps.tolist(), trace.parents.tolist()
    rows = tree_rows(steps, parents, range(len(steps)))
    for step in range(2, 10):
        column = sorted((node for node in rows if steps[node] == step), key=rows.get)
        above = [rows[parents[node]] for node in column]
        assert above == sorted(above)
        assert [rows[node] for node in column] == list(range(len(column)))


def test_stories_of_every_kind(toy):
    cut = (*toy.fates[:3], "pruned", *toy.fates[4:])
    stories = {
        "pruned": replace(toy, fates=cut, parents=np.array([-1, -1, -1, 0, 1, 1, 5, 5, 5])),
        "dropped": replace(toy, scores=np.array([-0.5, -0.9, -3, -1.5, -1.6, -1.8, -1.9, -9.0, -10])),
    }
    assert "At step 2 the last branch of “␣a” was pruned." in BeamTreeWidget(stories["pruned"]).story
    assert "Greedy's path was pruned at step 2." in BeamTreeWidget(stories["pruned"]).story
    assert "The finished text with “␣a” is not among the best 2." in BeamTreeWidget(stories["dropped"]).story
    assert "Greedy's text is finished, but not among the best 2." in BeamTreeWidget(stories["dropped"]).story


@pytest.mark.parametrize(
    ("draw", "sentence"),
    [
        (lambda: figures.beam_tree([], [], [], [], []), "tokens must hold at least one node, got none"),
        (lambda: figures.beam_tree(["x"], [1], [-1], [], ["kept"]), "scores must have 1 entries, one per node, got 0"),
        (lambda: figures.length_penalty_lines([0, 1], {}), "scores must hold at least one text, got none"),
        (
            lambda: figures.length_penalty_lines([0, 1], {"a": [1]}),
            "scores of 'a' must have 2 entries, one per penalty, got 1",
        ),
        (
            lambda: figures.shares_by_method({}, {}, "x"),
            "shares must hold at least one number for each method, got none",
        ),
        (
            lambda: figures.shares_by_method({"a": [0.5]}, {"a": (0.6, 0.7)}, "x"),
            "intervals of 'a' must hold its mean, got 0.5 outside 0.6 … 0.7",
        ),
    ],
)
def test_bad_pictures_are_one_sentence(draw, sentence):
    with pytest.raises(ValueError) as caught:
        draw()
    assert str(caught.value) == sentence
