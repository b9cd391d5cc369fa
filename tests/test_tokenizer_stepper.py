"""The tokenizer stepper: every step against the tokenizers, its words, its budgets, and that the page says the same."""

import json
import os
import subprocess

import numpy as np
import pytest

from course_utils import figures
from course_utils.models import load_causal_lm, load_encoder
from course_utils.tokenizers.byte_pairs import BytePairs
from course_utils.traces import TokenizationTrace, record_tokenization
from course_utils.widgets import TokenizerStepper, tokenizer_stepper
from course_utils.widgets.base import page_module
from course_utils.widgets.tokenizer_stepper import headline, readout, step_said
from tests.budgets import MOST_ESM_BYTES

TEXTS = [
    "Tokenization isn't obvious: 2,048 naïve 🙂 你好",
    "a",
    "aaaaaaaaaaaa",
    "  two  spaces\n\tand more",
    "👩‍👩‍👧 é ＡＢ",
]
GOLDEN = """\
Tokenizer stepper: “Hi tokens”
SmolLM2-135M-Instruct: byte pairs, 9 characters → 2 tokens: Hi | ␣tokens
  Step 3 of 7: “␣t” + “o” → “␣to” (merge 37 of the training)
  H 56 | i 89 | ␣to 288 | k 91 | en 264 | s 99
  2 tokens · 0.02 % of the context length of 8,192 · 92,160 bytes of KV cache
all-MiniLM-L6-v2: word pieces, 9 characters → 3 tokens: hi | token | ##s
  Step 0 of 3: 8 characters, nothing joined yet
  h | i | t | o | k | e | n | s
  3 tokens · 0.59 % of the context length of 512 · an encoder keeps no KV cache"""


@pytest.fixture(scope="module")
def models():
    return [load_causal_lm(), load_encoder()]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("number", [0, 1])
def test_the_last_step_shows_the_tokens_of_transformers(models, number, text):
    model = models[number]
    trace = record_tokenization(model, text)
    ids = model.tokenizer(text, add_special_tokens=False).input_ids
    assert trace.pieces[trace.seen_at(len(trace.steps)), 4].tolist() == ids
    assert trace.tokens == len(ids)


def test_special_tokens_are_those_of_the_chat_template(models):
    smollm, minilm = models
    trace = record_tokenization(smollm, "Hi 🙂", special=True)
    chat = smollm.tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hi 🙂"}], add_generation_prompt=True, return_dict=True
    )
    assert trace.pieces[trace.seen_at(len(trace.steps)), 4].tolist() == chat["input_ids"]
    assert int(trace.words[:, 2].sum()) == 5
    trace = record_tokenization(minilm, "Hi", special=True)
    assert trace.pieces[trace.seen_at(len(trace.steps)), 4].tolist() == minilm.tokenizer("Hi").input_ids


@pytest.mark.parametrize("text", TEXTS)
def test_every_step_covers_the_text_without_a_gap(models, text):
    for model in models:
        trace = record_tokenization(model, text, special=True)
        for step in range(len(trace.steps) + 1):
            edges = trace.pieces[trace.seen_at(step), :2]
            assert edges[0, 0] == 0
            assert edges[-1, 1] == len(trace.atoms)
            assert (edges[1:, 0] == edges[:-1, 1]).all()


def test_merges_come_in_the_order_of_training(models):
    rules = BytePairs.of(models[0].tokenizer)
    trace = record_tokenization(models[0], TEXTS[0])
    numbers = [number for *_, number in trace.steps]
    assert numbers == sorted(numbers)
    assert max(numbers) <= len(rules.ranks)


def test_a_long_text_is_counted_in_full_and_drawn_in_part(models):
    trace = record_tokenization(models[0], "word " * 3_000)
    assert trace.tokens == len(models[0].tokenizer("word " * 3_000).input_ids) == 3_001
    assert len(trace.seen_at(len(trace.steps))) == 200


def test_trace_survives_a_file(models, tmp_path):
    trace = record_tokenization(models[0], TEXTS[0])
    trace.save(tmp_path / "trace.npz")
    loaded = TokenizationTrace.load(tmp_path / "trace.npz")
    assert np.array_equal(loaded.pieces, trace.pieces)
    assert loaded.steps == trace.steps


def test_describe_is_golden(models):
    assert tokenizer_stepper(models, "Hi tokens", step=[3, 0]).describe() == GOLDEN


def test_it_runs_another_text_and_survives_a_wrong_one(models):
    stepper = tokenizer_stepper(models, "Hi tokens")
    stepper.asked = [1, "Hello"]
    assert (stepper.text, stepper.problem, stepper.answered) == ("Hello", "", 1)
    for press, (text, sentence) in enumerate(
        [
            ("", "text must have 1 … 20,000 characters, got 0"),
            ("  ", "text must have at least one token for all-MiniLM-L6-v2, got '  '"),
            ("x" * 1_001, "text must have words of at most 1,000 bytes, got one of 1,001"),
            ("a b " * 6_000, "text must have 1 … 20,000 characters, got 24,000"),
        ],
        start=2,
    ):
        stepper.asked = [press, text]
        assert (stepper.text, stepper.problem, stepper.answered) == ("Hello", sentence, press)
    stepper.asked = [9, "Hello again"]
    assert (stepper.text, stepper.problem) == ("Hello again", "")
    assert stepper.step == [0, 0], "merges are there to be seen"
    stepper.step = [len(trace.steps) for trace in stepper.shown]
    stepper.asked = [10, "Hello again, tokenizers"]
    assert stepper.step == [len(trace.steps) for trace in stepper.shown], "who types looks at finished tokens"


def test_switching_the_special_tokens_does_not_call_a_model(models):
    traces = [tuple(record_tokenization(model, "Hi", special) for special in (False, True)) for model in models]
    stepper = TokenizerStepper(traces)  # no run: there is no model to call
    assert not stepper.can_run
    assert stepper.step == [0, 0]
    stepper.step = [len(traces[0][0].steps), 0]
    stepper.special = True
    assert stepper.step == [len(traces[0][1].steps), 0], "what was done stays done"
    stepper.step = [len(trace.steps) for _, trace in traces]
    assert "<|im_start|> 1" in stepper.describe()
    assert "[CLS] 101" in stepper.describe()


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("step", [8, 0], "step must hold one number per tokenizer, in 0 … 7, 0 … 3, got [8, 0]"),
        ("step", [-1, 0], "step must hold one number per tokenizer, in 0 … 7, 0 … 3, got [-1, 0]"),
        ("step", [1], "step must hold one number per tokenizer, in 0 … 7, 0 … 3, got [1]"),
        ("word", [0, 2], "word must hold one number per tokenizer, in 0 … 1, 0 … 1, got [0, 2]"),
    ],
)
def test_a_bad_setting_is_one_sentence_and_the_widget_lives(models, name, value, sentence):
    stepper = tokenizer_stepper(models, "Hi tokens", step=[3, 0])
    with pytest.raises(ValueError) as caught:
        setattr(stepper, name, value)
    assert str(caught.value) == sentence
    assert stepper.describe() == GOLDEN


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: TokenizerStepper([]), "traces must hold at least one tokenizer, got none"),
        (lambda: figures.token_chips([]), "rows must hold chips for every title, got none"),
        (lambda: figures.token_counts({"x": [1.0]}, ["a", "b"], "tokens"), "counts of x must hold 2 numbers, got 1"),
        (
            lambda: figures.token_counts({"x": [1.0]}, ["a"], "tokens", {"x": []}),
            "ends of x must hold 1 intervals, got 0",
        ),
    ],
)
def test_bad_input_is_one_sentence(call, sentence):
    with pytest.raises(ValueError) as caught:
        call()
    assert str(caught.value) == sentence


def test_bundle_has_a_small_picture_with_alt_text_and_words(models):
    stepper = tokenizer_stepper(models, TEXTS[0], special=True)
    data, metadata = stepper._repr_mimebundle_()
    assert set(data) == {"application/vnd.jupyter.widget-view+json", "image/png", "text/plain"}
    assert data["text/plain"] == stepper.describe()
    alt = metadata["image/png"]["alt"]
    assert alt.startswith("Tokens as chips. SmolLM2-135M-Instruct: 44 characters → ")
    assert "5 of them special" in alt
    assert "<" not in alt


def test_budgets(models, record):
    """200 tokens of English, of Chinese and of emoji, with everything that the page needs."""
    numbers = {"esm_bytes": len(TokenizerStepper._esm.encode()), "state_bytes": 0, "png_bytes": 0}
    for text in (
        "The tokenizer reads bytes, and 12,345 is five digits. " * 12,
        "你好吗？很好。" * 20,
        "🙂 naïve " * 60,
    ):
        stepper = tokenizer_stepper(models, text, special=True)
        numbers["state_bytes"] = max(numbers["state_bytes"], len(json.dumps(stepper.get_state(), default=str).encode()))
        numbers["png_bytes"] = max(numbers["png_bytes"], len(stepper._repr_mimebundle_()[0]["image/png"]))
    record("TokenizerStepper", numbers)
    print(numbers)
    assert numbers["esm_bytes"] <= MOST_ESM_BYTES
    assert numbers["state_bytes"] <= 500_000
    assert numbers["png_bytes"] <= 40_000


PARITY = """
const page = await import(process.env.MODULE);
const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const { panes, text } = JSON.parse(Buffer.concat(chunks));
console.log(JSON.stringify(panes.map((pane) => pane.views.map((plain) => {
  const view = page.withOrder(plain);
  return {
    cost: page.readout(pane, view.tokens),
    headline: page.headline(text, view.tokens),
    running: page.running(view).map(({ text, id }) => [text, id]),
    steps: [...Array(view.steps.length + 1).keys()].map(
      (step) => [page.stepSaid(pane, view, step), page.wordsAt(view, step).flat()]),
  };
}))));
"""


@pytest.mark.parametrize("text", [*TEXTS, "word " * 700])
def test_page_and_python_agree(node, tmp_path, models, text):
    (tmp_path / "page.mjs").write_text(page_module("tokenizer_stepper"), encoding="utf-8")
    stepper = tokenizer_stepper(models, text)
    environment = {**os.environ, "MODULE": str(tmp_path / "page.mjs")}
    command, sent = [node, "--input-type=module", "-e", PARITY], {"panes": stepper.panes, "text": text}
    run = subprocess.run(command, input=json.dumps(sent), env=environment, capture_output=True, text=True, check=True)
    for pair, views in zip(stepper.traces, json.loads(run.stdout), strict=True):
        for trace, view in zip(pair, views, strict=True):
            assert view["cost"] == readout(trace)
            assert view["headline"] == headline(trace)
            last = trace.seen_at(len(trace.steps))
            assert [token for _, token in view["running"]] == trace.pieces[last, 4].tolist()
            colours = "".join(words for words, _ in view["running"])
            if trace.kind == "byte pairs" and trace.tokens == len(last) and text.isascii() and "\n" not in text:
                assert text in colours, "the coloured tokens read as the text"
            # The page isolates every token from what is around it; Python only those written from right to left.
            said = [[words.replace("\u2068", "").replace("\u2069", ""), pieces] for words, pieces in view["steps"]]
            assert said == [[step_said(trace, step), trace.seen_at(step)] for step in range(len(trace.steps) + 1)]
