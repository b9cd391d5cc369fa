"""The next-token explorer: numbers of the full vocabulary, words, pictures, budgets, and presses on the page."""

import json
import os
import subprocess
from functools import partial

import numpy as np
import pytest
import torch

from course_utils.engine.sampling import entropy_bits
from course_utils.experiments.surprisal import read_text
from course_utils.models import load_causal_lm
from course_utils.traces import NextTokenTrace, record_surprisals
from course_utils.widgets import NextTokenExplorer, next_token_explorer
from course_utils.widgets.base import page_module
from tests.budgets import MOST_ESM_BYTES

GOLDEN = """\
Next-token explorer (toy, 4 tokens)
1: “once upon”
   surprisal in bits: “once”, “␣upon” 3.5
   next: “w” 64.4 %, “x” 23.7 %; the other 2 tokens share 11.9 %; entropy 1.37 bits
2: “twice”
   surprisal in bits: “twice”
   next: “z” 64.4 %, “y” 23.7 %; the other 2 tokens share 11.9 %; entropy 1.37 bits
from 1 to 2, 76.2 % of the probability moved
   gained: “z” 3.2 → 64.4 %, “y” 8.7 → 23.7 %
   lost: “w” 64.4 → 3.2 %, “x” 23.7 → 8.7 %"""


def toy(prompt, tokens, logits, surprisals):
    ids = tuple(range(len(tokens)))
    bits = np.array(surprisals, np.float32)
    return NextTokenTrace("toy", prompt, tokens, np.array(logits, np.float32), tuple("wxyz"), ids, bits)


def toys():
    return [toy("once upon", ("once", "␣upon"), [3, 2, 1, 0], [3.5]), toy("twice", ("twice",), [0, 1, 2, 3], [])]


def random_prompt(tokens, seed=0):
    """A prompt of `tokens` tokens over SmolLM2's number of tokens."""
    random = np.random.default_rng(seed)
    names = tuple(f"␣word{i}" for i in range(tokens))
    logits = random.normal(0, 3, 49_152).astype(np.float32)
    bits = random.exponential(4, tokens - 1).astype(np.float32)
    labels = tuple(f"t{i}" for i in range(49_152))
    return NextTokenTrace("random", "a prompt", names, logits, labels, tuple(range(tokens)), bits)


def test_describe_is_golden():
    explorer = NextTokenExplorer(toys(), bars=2)
    assert explorer.describe() == GOLDEN
    data, metadata = explorer._repr_mimebundle_()
    assert set(data) == {"application/vnd.jupyter.widget-view+json", "image/png", "text/plain"}
    assert metadata["image/png"]["alt"] == (
        "Next-token explorer. After “once␣upon”: “w” 64.4 %, entropy 1.37 bits; most surprising token of the prompt: "
        "“␣upon”, 3.5 bits. After “twice”: “z” 64.4 %, entropy 1.37 bits. "
        "76 % of the probability moved from the first to the second."
    )


def test_a_first_look_has_no_bits():
    explorer = NextTokenExplorer(toys(), bars=2, bits=False)
    assert explorer.describe().splitlines()[1:3] == [
        "1: “once upon”",
        "   next: “w” 64.4 %, “x” 23.7 %; the other 2 tokens share 11.9 %",
    ]
    alt = explorer._repr_mimebundle_()[1]["image/png"]["alt"]
    assert alt.startswith("Next-token explorer. After “once␣upon”: “w” 64.4 %, “x” 23.7 %. After “twice”: “z” 64.4 %")
    assert not {"bits", "entropy", "surprisal"} & set(explorer.describe().replace(",", "").split())
    assert explorer.get_state()["bits"] is False


@pytest.mark.parametrize("tokens", [20, 60, 200])
def test_within_budget(tokens, record):
    explorer = NextTokenExplorer([random_prompt(tokens), random_prompt(tokens, 1)], bars=30)
    state = len(json.dumps({name: value for name, value in explorer.get_state().items() if not name.startswith("_")}))
    picture, module = len(explorer._repr_mimebundle_()[0]["image/png"]), len(NextTokenExplorer._esm.encode())
    record("NextTokenExplorer", {"esm_bytes": module, f"state_bytes_{tokens}": state, f"png_bytes_{tokens}": picture})
    assert state <= 500_000
    assert module <= MOST_ESM_BYTES
    assert picture <= 40_000


def test_the_numbers_are_those_of_the_full_vocabulary():
    smollm = load_causal_lm()
    explorer = next_token_explorer(partial(record_surprisals, smollm), "The capital of Norway is", "Norway is")
    logits = [smollm.next_logits(prompt) for prompt in ("The capital of Norway is", "Norway is")]
    for side, own in zip(explorer.sides, logits, strict=True):
        best = own.double().softmax(-1).topk(30)
        np.testing.assert_allclose([p for _, _, p in side["best"]], best.values, atol=1e-5)
        assert [token for token, _, _ in side["best"]][:5] == best.indices[:5].tolist()
        assert side["entropy"] == pytest.approx(entropy_bits(own).item(), abs=1e-3)
        assert side["vocabulary"] == 49_152
    first, second = (own.double().softmax(-1) for own in logits)
    assert explorer.changes["moved"] == pytest.approx((first - second).abs().sum().item() / 2, abs=1e-4)
    token = smollm.labels[int((second - first).argmax())]
    assert explorer.changes["gained"][0][0] == token


def test_bits_are_those_of_the_model():
    smollm = load_causal_lm()
    explorer = next_token_explorer(partial(record_surprisals, smollm), "The sky is blue")
    ids = smollm.encode("The sky is blue")
    with torch.inference_mode():
        log_p = smollm.model(ids).logits[0].log_softmax(-1)
    wanted = [-log_p[place, ids[0, place + 1]].item() / np.log(2) for place in range(3)]
    assert explorer.sides[0]["bits"][:2] == [None, None]
    np.testing.assert_allclose(explorer.sides[0]["bits"][2:], wanted[1:], atol=0.01)


def test_a_second_token_has_no_bits():
    """After a lone first token the model knows almost nothing: it would say more than a uniform guess costs."""
    smollm = load_causal_lm()
    guess = np.log2(len(smollm.labels))
    assert read_text(smollm.model, smollm.encode("The capital of"))[0][0] > guess
    trace = record_surprisals(smollm, "The capital of")
    assert np.isnan(trace.surprisals).tolist() == [True, False]


@pytest.fixture
def live():
    """An explorer whose model says what it was asked."""
    explorer = NextTokenExplorer(toys()[:1], lambda prompt: _made(prompt))
    explorer.press = 0
    return explorer


def _made(prompt):
    if not prompt:
        raise ValueError("prompt must have at least one character, got an empty text")
    tokens = tuple(map(str, prompt))
    trace = toy(str(prompt), tokens, [0, 0, 0, 0], [1.0] * (len(tokens) - 1))
    ids = tuple(prompt) if isinstance(prompt, list) else trace.prompt_ids
    return NextTokenTrace("toy", trace.prompt, tokens, trace.logits, trace.labels, ids, trace.surprisals)


def press(explorer, side, action, value):
    explorer.press += 1
    explorer.asked = [explorer.press, side, action, value]
    assert explorer.answered == explorer.press
    return [side["prompt"] for side in explorer.sides]


def test_append_branch_cut_second_close(live):
    assert press(live, 0, "append", 3) == ["[0, 1, 3]"]
    assert press(live, 0, "branch", 2) == ["[0, 1, 3]", "[0, 1, 3, 2]"]
    assert live.changes["moved"] == 0
    assert press(live, 1, "append", 1) == ["[0, 1, 3]", "[0, 1, 3, 2, 1]"]
    assert press(live, 1, "cut", 2) == ["[0, 1, 3, 2, 1]", "[0, 1]"]
    assert press(live, 0, "close", "") == ["[0, 1, 3, 2, 1]"]
    assert live.changes == {}
    assert press(live, 1, "second", "abc") == ["[0, 1, 3, 2, 1]", "abc"]
    assert press(live, 0, "text", "xy") == ["xy", "abc"]
    assert live.problem == ""


def test_what_cannot_be_read_is_a_sentence_beside_its_prompt(live):
    assert press(live, 0, "text", "") == ["once upon"]
    assert live.problem == "prompt must have at least one character, got an empty text"
    press(live, 0, "jump", 1)
    assert live.problem.startswith("action must be one of text, append,")
    press(live, 0, "text", "ok")
    assert live.problem == ""
    unrecorded = NextTokenTrace("toy", "a", ("a",), np.zeros(4, np.float32), tuple("wxyz"))
    explorer = NextTokenExplorer([unrecorded], lambda prompt: _made(prompt))
    explorer.asked = [1, 0, "append", 2]
    assert explorer.problem == "prompt_ids must be recorded to continue a prompt: use record_surprisals"


def test_a_real_prompt_that_is_too_long_or_strange():
    smollm = load_causal_lm()
    explorer = next_token_explorer(partial(record_surprisals, smollm), "🙂 你好 $x$ <b>")
    assert explorer._repr_mimebundle_()[1]["image/png"]["alt"].count("<") == 0
    explorer.asked = [1, 0, "text", "word " * 9000]
    assert explorer.problem.startswith("prompt must have at most 8,192 tokens")
    tail = explorer.sides[0]["best"][0][0]
    explorer.asked = [2, 0, "append", tail]
    assert explorer.traces[0].prompt_ids[-1] == tail


def test_a_long_prompt_says_how_far_it_is():
    said = []
    explorer = next_token_explorer(partial(record_surprisals, load_causal_lm()), "Hi")
    explorer.tell = said.append
    explorer.asked = [1, 0, "text", "word " * 600]
    assert explorer.problem == ""
    assert [words.split(", ")[0] for words in said] == ["256 of 601 tokens", "512 of 601 tokens"]
    assert all(words.endswith(" s more") for words in said)


def test_an_interrupt_leaves_the_former_prompt_and_the_next_one_works(live):
    before, run = live.describe(), live._run

    def interrupted(prompt):
        raise KeyboardInterrupt

    live._run = interrupted
    for action, value in (("text", "other"), ("append", 1), ("branch", 1), ("cut", 1), ("second", "x")):
        press(live, 0, action, value)
        assert live.problem == "Stopped. What you see below is from before."
        assert live.describe() == before
    live._run = run
    assert press(live, 0, "text", "xy") == ["xy"]
    assert live.problem == ""


def test_tokens_in_words_are_quoted_and_those_from_right_to_left_are_isolated():
    side = NextTokenTrace("toy", "a", ("a",), np.array([1, 0], np.float32), (".", "שלום"))
    assert "next: “.” 73.1 %, “\u2068שלום\u2069” 26.9 %" in NextTokenExplorer([side]).describe()


def test_a_long_prompt_is_cut_on_the_page_and_says_so():
    side = NextTokenExplorer([random_prompt(300)]).sides[0]
    assert (len(side["tokens"]), len(side["bits"]), side["hidden"]) == (200, 200, 100)
    assert "… 276 more tokens" in NextTokenExplorer([random_prompt(300)]).describe()


@pytest.mark.parametrize("bars", [0, 31])
def test_bad_bars_are_one_sentence_and_the_widget_lives(bars):
    explorer = NextTokenExplorer(toys(), bars=2)
    with pytest.raises(ValueError) as caught:
        explorer.bars = bars
    assert str(caught.value) == f"bars must be in 1 … 30, got {bars}"
    assert explorer.describe() == GOLDEN


def test_bad_traces_are_one_sentence():
    with pytest.raises(ValueError, match="traces must be one or two, got 3"):
        NextTokenExplorer(toys() + toys()[:1])
    with pytest.raises(ValueError, match="traces must have the same vocabulary, got two"):
        NextTokenExplorer([toys()[0], random_prompt(3)])


PARITY = """
const page = await import(process.env.WIDGET_MODULE);
const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const side = JSON.parse(Buffer.concat(chunks));
console.log(JSON.stringify([1, 5, 30].map((bars) => page.tail(side.best, bars))));
"""


def test_the_page_leaves_the_same_tail(node, tmp_path):
    (tmp_path / "explorer.mjs").write_text(page_module("next_token_explorer"), encoding="utf-8")
    trace = random_prompt(3)
    environment = {**os.environ, "WIDGET_MODULE": str(tmp_path / "explorer.mjs")}
    run = subprocess.run(
        [node, "--input-type=module", "-e", PARITY], input=json.dumps(NextTokenExplorer([trace]).sides[0]),
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    best = torch.from_numpy(trace.logits).double().softmax(-1).sort(descending=True).values
    wanted = [1 - best[:bars].sum().item() for bars in (1, 5, 30)]
    np.testing.assert_allclose(json.loads(run.stdout), wanted, atol=1e-5)
