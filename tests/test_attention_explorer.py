"""The attention explorer without a browser: its words, its picture, what it sends, and that the page reads the same."""

import base64
import json
import os
import subprocess

import numpy as np
import pytest

from course_utils import figures
from course_utils.traces import AttentionTrace
from course_utils.widgets import AttentionExplorer, attention_explorer
from course_utils.widgets.attention_explorer import STAGES, thumbnails
from course_utils.widgets.base import page_module
from tests.budgets import MOST_ESM_BYTES

GOLDEN = """\
Attention explorer: toy, causal, 2 layers × 4 heads, 3 tokens
head 1.2, on KV head 1, softmax: every row adds up to 1
previous token 0.48, induction 0.01, first token 0.49, entropy 0.21 bits
“a₂” looks at “a₂” 0.95, “a₁” 0.04, “b” 0.01
first by induction: 0.0 0.36, 0.1 0.32, 1.3 0.28, 1.0 0.26, 1.1 0.26"""


def made_trace(layers=2, heads=4, shared=2, queries=3, keys=3, kind="causal", seed=0, tokens=None):
    """A trace whose scores, mask and weights belong together."""
    numbers = np.random.default_rng(seed)
    scores = numbers.normal(0, 1.5, (layers, heads, queries, keys)).astype(np.float32)
    seen = np.tri(queries, keys, dtype=bool) if kind == "causal" else np.ones((queries, keys), bool)
    weights = np.where(seen, np.exp(scores), 0)
    weights = (weights / weights.sum(-1, keepdims=True)).astype(np.float32)
    tokens = tokens or tuple("ab"[i % 2] for i in range(max(queries, keys)))
    lengths = numbers.uniform(0.5, 3, (layers, shared, keys)).astype(np.float32)
    return AttentionTrace("toy", kind, tokens[:queries], tokens[:keys], weights, shared, scores, lengths)


def size(value):
    """Bytes that a trait takes on its way to the page."""
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, dict):
        return sum(len(name) + 4 + size(inner) for name, inner in value.items())
    return len(json.dumps(value, ensure_ascii=False).encode())


@pytest.fixture(scope="module")
def large():
    """As large as SmolLM2's attention to 200 tokens."""
    return made_trace(30, 9, 3, 200, 200, tokens=tuple(f"␣token{i}" for i in range(200)))


def test_words_are_golden():
    assert AttentionExplorer(made_trace(), layer=1, head=2, order="induction").describe() == GOLDEN


def test_a_token_that_may_not_be_seen_is_not_named():
    explorer = AttentionExplorer(made_trace(), token=0)
    assert explorer.describe().splitlines()[-1] == "“a₁” looks at “a₁” 1.00"
    explorer.stage = "scores"
    assert explorer.describe().splitlines()[-1].count(",") == 2


def test_bundle_has_a_small_picture_with_alt_text_and_words(large):
    for stage in STAGES:
        data, metadata = AttentionExplorer(large, stage=stage)._repr_mimebundle_()
        assert set(data) == {"application/vnd.jupyter.widget-view+json", "image/png", "text/plain"}
        assert len(data["image/png"]) <= 40_000
        alt = metadata["image/png"]["alt"]
        assert alt.startswith("“previous token” of 30 × 9 heads, largest in head ")
        assert f"{STAGES[stage]}: “␣token0” looks at “␣token" in alt
        assert "and 192 more rows" in alt


def test_budgets(large, record):
    explorer = AttentionExplorer(large, layer=12, head=4)
    state = sum(size(value) for value in explorer.get_state().values())
    module, picture = len(AttentionExplorer._esm.encode()), len(explorer._repr_mimebundle_()[0]["image/png"])
    record("AttentionExplorer", {"esm_bytes": module, "state_bytes": state, "png_bytes": picture})
    assert module <= MOST_ESM_BYTES
    assert state <= 500_000
    assert picture <= 40_000


def test_a_layer_for_the_page_is_a_byte_a_cell(large):
    explorer = AttentionExplorer(large)
    sent = []
    explorer.send = lambda content, buffers: sent.append((content, buffers))
    explorer._send_layers(None, {"ask": [[7, "weights"], [29, "scores"]], "version": 1}, [])
    ((content, buffers),) = sent
    assert [(packet["layer"], packet["kind"]) for packet in content["packets"]] == [(7, "weights"), (29, "scores")]
    assert [len(buffer) for buffer in buffers] == [360_000, 360_000]
    assert len(json.dumps(content)) < 20_000
    sent.clear()
    explorer._send_layers(None, {"ask": [[7, "weights"]], "version": 0}, [])
    assert sent == [], "a page that asks about a text that is gone gets nothing"


def test_everything_is_in_the_first_message_and_only_the_layer_that_is_shown(large, monkeypatch):
    opened, sent = [], []
    monkeypatch.setattr(AttentionExplorer, "open", lambda self: opened.append(self.get_state()))
    monkeypatch.setattr(AttentionExplorer, "_send", lambda self, message, buffers: self.comm and sent.append(message))
    AttentionExplorer(large, layer=12, stage="scores", token=7)
    (state,) = opened
    there = state["_packet"]
    assert (state["layer"], state["stage"], state["token"], len(state["about"]["keys"])) == (12, "scores", 7, 200)
    assert (there["layer"], there["kind"], len(there["cells"])) == (12, "scores", 360_000)
    assert sent == []


@pytest.mark.parametrize("kind", ["causal", "bidirectional", "cross"])
@pytest.mark.parametrize("tokens", [(1, 1), (2, 2), (40, 40), (3, 9)])
def test_every_kind_and_length_can_be_drawn(kind, tokens):
    if kind != "cross" and tokens[0] != tokens[1]:
        return
    explorer = AttentionExplorer(made_trace(1, 4, 4, *tokens, kind=kind))
    for stage in STAGES:
        explorer.stage = stage
        assert explorer.describe()
        assert len(explorer.figure().alt) > 40


def test_a_trace_without_scores_has_one_stage():
    trace = made_trace()
    plain = AttentionExplorer(AttentionTrace("t", "causal", trace.query_tokens, trace.key_tokens, trace.weights, 2))
    assert list(plain.about["stages"]) == ["weights"]
    with pytest.raises(ValueError, match=r"^stage must be one of \['weights'\], got 'scores'$"):
        plain.stage = "scores"


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("layer", 2, "layer must be in 0 … 1, got 2"),
        ("head", -1, "head must be in 0 … 3, got -1"),
        ("token", 3, "token must be in 0 … 2, got 3"),
        ("stage", "mask", "stage must be one of ['scores', 'masked', 'weights', 'values'], got 'mask'"),
        (
            "order",
            "luck",
            "order must be one of ['place', 'previous token', 'induction', 'first token', 'entropy'], got 'luck'",
        ),
    ],
)
def test_bad_setting_is_one_sentence_and_the_widget_lives(name, value, sentence):
    explorer = AttentionExplorer(made_trace(), layer=1, head=2, order="induction")
    with pytest.raises(ValueError) as caught:
        setattr(explorer, name, value)
    assert str(caught.value) == sentence
    assert explorer.describe() == GOLDEN


def test_the_matrix_of_every_stage():
    trace = made_trace()
    explorer = AttentionExplorer(trace, layer=1, head=3, stage="scores")
    np.testing.assert_array_equal(explorer.matrix(), trace.scores[1, 3])
    explorer.stage = "masked"
    assert np.isneginf(explorer.matrix()[np.triu_indices(3, 1)]).all()
    exponentials = np.exp(explorer.matrix())
    np.testing.assert_allclose(exponentials / exponentials.sum(-1, keepdims=True), trace.weights[1, 3], atol=1e-6)
    explorer.stage = "values"
    np.testing.assert_allclose(explorer.matrix(), trace.weights[1, 3] * trace.value_lengths[1, 1], atol=1e-6)


def test_order_is_by_measure_and_entropy_begins_with_the_narrow():
    explorer = AttentionExplorer(made_trace(3, 4))
    measures = explorer.trace.measures()
    for order in ("previous token", "induction", "first token", "entropy"):
        explorer.order = order
        values = [measures[order][place] for place in explorer.ranking()]
        assert values == sorted(values, reverse=order != "entropy")
    explorer.order = "place"
    assert explorer.ranking()[:5] == [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0)]


def test_a_text_of_ones_own_and_a_wrong_one():
    def run(text):
        if not text:
            raise ValueError("text must have at least one character, got an empty text")
        return made_trace(1, 2, 1, len(text), len(text))

    explorer = AttentionExplorer(made_trace(), run, layer=1, head=3, order="induction", stage="values")
    explorer.asked = [1, "hello"]
    assert (explorer.layer, explorer.head, explorer.token, explorer.answered) == (0, 1, 4, 1)
    assert (explorer.about["version"], len(explorer.about["keys"])) == (2, 5)
    assert explorer._packet["version"] == 2
    explorer.asked = [2, ""]
    assert (explorer.problem, explorer.answered) == ("text must have at least one character, got an empty text", 2)
    assert len(explorer.about["keys"]) == 5
    explorer.asked = [3, "h"]
    assert (explorer.problem, explorer.token, explorer.order) == ("", 0, "place")


def test_a_text_that_is_too_long_is_one_sentence():
    from course_utils.models import load_causal_lm

    smollm = load_causal_lm()
    with pytest.raises(ValueError, match=r"^text must have at most 200 tokens, got 3,001$"):
        attention_explorer(smollm, "word" + " word" * 3000)
    with pytest.raises(ValueError, match=r"^prompt must have at least one character, got an empty text$"):
        attention_explorer(smollm, "")
    assert attention_explorer(smollm, "🙂 你好").describe().startswith("Attention explorer: SmolLM2")


def test_more_tokens_than_the_page_gets_are_cut_with_a_notice():
    explorer = AttentionExplorer(made_trace(1, 9, 3, 230, 230))
    assert explorer.about["title"].endswith(
        "The picture shows the first 200 of 230 tokens. ₁ and ₂ are the same token at two places."
    )
    assert explorer.describe().endswith("The picture shows the first 200 tokens.")
    assert explorer.token == 199
    assert explorer.matrix().shape == (200, 200)


def test_rows_that_do_not_add_up_are_said_to():
    trace = made_trace()
    wrong = AttentionTrace("wrong", "causal", trace.query_tokens, trace.key_tokens, trace.weights * 0.9, 2)
    explorer = AttentionExplorer(wrong)
    assert "every row adds up to 1" not in explorer.describe()
    assert "✗ (largest error: 1e-01)" in explorer.about["stages"]["weights"][1]


def test_thumbnails_keep_the_largest_of_each_patch():
    weights = np.zeros((1, 1, 28, 28), np.float32)
    weights[0, 0, 3, 26] = 1
    small = thumbnails(weights)[0, 0]
    assert small.shape == (14, 14)
    assert np.argwhere(small).tolist() == [[1, 13]]


def test_the_page_gets_measures_that_round_as_pythons_do():
    trace = made_trace(30, 9, 3, 6, 6)
    sent = AttentionExplorer(trace).about["measures"]
    for name, values in trace.measures().items():
        assert [f"{value:.2f}" for value in sent[name]] == [f"{value:.2f}" for value in values.ravel()]


def test_a_row_in_which_all_is_hidden_has_no_largest():
    figure = AttentionExplorer(made_trace(), hide_first=True).figure()
    assert "“a₁” looks at nothing, “b” at “b” (" in figure.alt
    (marks,) = [line for line in figure.axes[1].lines if line.get_marker() == "o"]
    assert marks.get_ydata().tolist() == [1, 2]


def test_figure_wants_a_matrix_that_fits():
    with pytest.raises(ValueError, match=r"^matrix must have shape \(1, 2\) like the tokens, got \(2, 2\)$"):
        figures.head_explorer(np.zeros((1, 1)), "entropy", np.zeros((2, 2)), ["a"], ["b", "c"], (0, 0))


PARITY = """
const page = await import(process.env.WIDGET_MODULES + "/attention_explorer.mjs");
const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
console.log(JSON.stringify(JSON.parse(Buffer.concat(chunks)).map(({ about, packet, state, query }) => {
  packet.cells = Buffer.from(packet.cells, "base64");
  const row = page.rowOf(about, packet, state.stage, state.head, query);
  const said = page.sentences(about, packet, state, query);
  return { row: row.map((value) => (value === -Infinity ? null : value)), said };
})));
"""


@pytest.mark.parametrize("kind", ["causal", "bidirectional"])
def test_page_and_python_agree(node, tmp_path, kind):
    """The page's rows are Python's, up to half a step of a byte."""
    (tmp_path / "attention_explorer.mjs").write_text(page_module("attention_explorer"), encoding="utf-8")
    cases, expected = [], []
    explorer = AttentionExplorer(made_trace(2, 6, 3, 12, 12, kind=kind), layer=1, head=4)
    for stage in STAGES:
        explorer.stage = stage
        packet = explorer._pack(1, explorer._kind())
        packet["cells"] = base64.b64encode(packet["cells"]).decode()
        for query in (0, 5, 11):
            state = {"stage": stage, "layer": 1, "head": 4}
            cases.append({"about": explorer.about, "packet": packet, "state": state, "query": query})
            explorer.token = query
            row = explorer.matrix()[query]
            if kind == "causal" and stage != "scores":  # the page has no value where the mask is
                row = np.where(np.arange(12) > query, -np.inf, row)
            expected.append((row, explorer.describe(), packet))
    run = subprocess.run(
        [node, "--input-type=module", "-e", PARITY], input=json.dumps(cases), capture_output=True, text=True,
        check=True, env={**os.environ, "WIDGET_MODULES": str(tmp_path)},
    )  # fmt: skip
    for (row, words, packet), page in zip(expected, json.loads(run.stdout), strict=True):
        found = np.array([-np.inf if value is None else value for value in page["row"]])
        most = max(packet["high"][4] - packet["low"][4], packet["most"][4]) / 255
        np.testing.assert_allclose(found, row, atol=most)
        assert page["said"][0].startswith("Head 1.4 on KV head 2: previous token ")
        measured = words.splitlines()[2]
        assert page["said"][0].split(": ")[1].replace(" · ", ", ").rstrip(".") == measured
