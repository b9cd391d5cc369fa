"""The real models: quick to load, shared with the disk, and one sentence for a prompt they cannot read."""

import re
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch

from course_utils.machine import ROOT
from course_utils.models import CATALOGUE, load_causal_lm, load_encoder


@pytest.fixture(scope="module")
def smollm():
    return load_causal_lm()


def test_same_object_twice(smollm):
    assert load_causal_lm() is smollm
    assert load_encoder() is load_encoder()


def test_the_librarys_front_page_runs_as_it_is(smollm, capsys):
    page = (ROOT / "website" / "api" / "index.md").read_text(encoding="utf-8")
    lines = re.search(r"```python\n(.*?)```", page, re.DOTALL)[1].rstrip().splitlines()
    names = {}
    exec("\n".join(lines[:-1]), names)
    assert names["smollm"] is smollm
    assert len(smollm.encode(capsys.readouterr().out)[0]) == pytest.approx(20, abs=2)
    assert "Sampling lab: what comes after “She opened" in str(eval(lines[-1], names))


def test_parameters_are_those_of_the_catalogue(smollm):
    assert smollm.model.num_parameters() == CATALOGUE[smollm.name].parameters
    assert load_encoder().model.num_parameters() == CATALOGUE[load_encoder().name].parameters


def test_architecture_facts(smollm):
    config = smollm.model.config
    assert (config.num_hidden_layers, config.num_attention_heads, config.num_key_value_heads) == (30, 9, 3)
    assert (config.hidden_size, config.vocab_size, smollm.context_length) == (576, 49_152, 8_192)


def test_it_knows_paris(smollm):
    """Weights, tokenizer and chat template survived the conversion."""
    chat = [{"role": "user", "content": "What is the capital of France?"}]
    ids = smollm.tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    answer = smollm.model.generate(**ids, max_new_tokens=10, do_sample=False)
    assert "The capital of France is Paris." in smollm.tokenizer.decode(answer[0])


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("a  7", ["a", "ĠĠ", "7"]),  # digits are cut off before the spaces are looked at
        ("12345", ["1", "2", "3", "4", "5"]),
        ("don't  stop", ["don", "'t", "Ġ", "Ġstop"]),
    ],
)
def test_tokenizer_splits_as_in_training(smollm, text, tokens):
    assert smollm.tokenizer.tokenize(text) == tokens


def test_next_logits_equal_the_full_forward_pass(smollm):
    ids = smollm.encode("My favourite food is")
    with torch.inference_mode():
        expected = smollm.model(ids).logits[0, -1]
    torch.testing.assert_close(smollm.next_logits("My favourite food is"), expected, atol=1e-4, rtol=0)


def test_labels_are_visible_and_complete(smollm):
    assert len(smollm.labels) == 49_152
    assert smollm.labels[smollm.encode(" Paris")[0, 0]] == "␣Paris"
    assert all(label and label.isprintable() and " " not in label for label in smollm.labels)
    first_half_of_a_letter = smollm.encode("你")[0, 0]
    assert smollm.labels[first_half_of_a_letter] == "<E4><BD>"


def test_embedding_is_the_masked_mean(smollm):
    """Padding must not change a vector: alone or beside a longer text."""
    alone = load_encoder().embed(["a cat"])[0]
    beside = load_encoder().embed(["a cat", "a much longer text about bridges and rivers"])[0]
    torch.testing.assert_close(alone, beside, atol=1e-5, rtol=0)
    assert alone.norm().item() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("prompt", "error", "sentence"),
    [
        ("", ValueError, "prompt must have at least one character, got an empty text"),
        (7, TypeError, "prompt must be a str, got int: 7"),
        (None, TypeError, "prompt must be a str, got NoneType: None"),
        (
            "a " * 9000,
            ValueError,
            "prompt must have at most 8,192 tokens (the context length of SmolLM2-135M-Instruct), got 9,001",
        ),
    ],
)
def test_bad_prompt_is_one_sentence(smollm, prompt, error, sentence):
    with pytest.raises(error) as caught:
        smollm.next_logits(prompt)
    assert str(caught.value) == sentence


def test_texts_come_in_anything_that_can_be_gone_through():
    texts = ["a cat", "a much longer text about bridges and rivers", "two cats"]
    encoder = load_encoder()
    expected = encoder.embed(texts)
    for given in (tuple(texts), np.array(texts), iter(texts), dict.fromkeys(texts)):
        torch.testing.assert_close(encoder.embed(given), expected)
    for size in (1, 2, np.int64(3), torch.tensor(3)):
        torch.testing.assert_close(encoder.embed(texts, batch_size=size), expected, atol=1e-6, rtol=0)
    for size in (0, 1.5, "all"):
        with pytest.raises(ValueError, match=r"^batch_size must be a whole number of at least 1, got"):
            encoder.embed(texts, batch_size=size)


@pytest.mark.parametrize("texts", ["a cat", b"a cat", [1], np.array([1, 2]), 7, None, []])
def test_bad_texts_are_one_sentence(texts):
    with pytest.raises((TypeError, ValueError), match=r"^texts must"):
        load_encoder().embed(texts)


def test_unknown_names():
    with pytest.raises(ValueError, match=r"name must be one of \['SmolLM2-135M-Instruct'\], got 'gpt-7'"):
        load_causal_lm("gpt-7")


LOAD = """
import time, torch, course_utils.models.loading as loading
start = time.process_time(); loading.load_causal_lm(); print(time.process_time() - start)
start = time.process_time(); loading.load_encoder(); print(time.process_time() - start)
import psutil
before = psutil.Process().memory_full_info().uss
loading.load_causal_lm().next_logits("The capital of France is")
anonymous = [line for line in open("/proc/self/smaps_rollup") if line.startswith("Anonymous:")]
print(int(anonymous[0].split()[1]) / 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_loading_is_quick_and_private_memory_small():
    """In a fresh process: 2 s of processor each with torch imported; weights are mapped, so they are nobody's own."""
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(LOAD)], capture_output=True, text=True, check=True)
    causal_seconds, encoder_seconds, private_megabytes = map(float, run.stdout.split())
    # Three times the budget fails: processors differ, and others use its caches, too.
    assert causal_seconds < 3 * 2
    assert encoder_seconds < 3 * 2
    assert private_megabytes < 400, "the fp32 weights alone are 538 MB: they must stay mapped from the file"


def test_embedding_of_a_long_text_reads_what_sentence_transformers_reads():
    """Its settings for this model say max_seq_length 256; `[CLS]` and `[SEP]` are among them."""
    encoder = load_encoder()
    words = [word for word in sorted(encoder.tokenizer.get_vocab()) if word.isalpha() and word.isascii()][::50]
    text = " ".join(words)
    batch = encoder.tokenizer([text], truncation=True, max_length=256, return_tensors="pt")
    assert len(encoder.tokenizer(text).input_ids) > 400
    with torch.inference_mode():
        expected = torch.nn.functional.normalize(encoder.model(**batch).last_hidden_state.mean(1), dim=-1)
    torch.testing.assert_close(encoder.embed([text]), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(encoder.embed([text, "a cat"])[:1], expected, atol=1e-5, rtol=0)
    end = encoder.tokenizer.decode(batch.input_ids[0, 1:-1])
    torch.testing.assert_close(encoder.embed([f"{end} cut off"]), expected, atol=1e-5, rtol=0)
