"""`generate` chooses the same tokens as `transformers`, whatever the settings, on four architectures.

transformers 5.23.0. What is known to differ, and why the comparisons leave it out:
- A stop string that begins in the prompt stops `transformers`; here it must lie in the new text.
- `NoRepeatNGramLogitsProcessor` counts padding as text; here padding never counts.
- In beam search, where stop strings end more candidates than there is room for, `transformers` fills its beams
  with texts that have ended (at a score of −1e9) and reads on from them; here there are fewer beams.
"""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import LogitsProcessor

from course_utils.engine.generate import generate, search_beams, stream
from course_utils.engine.stopping import StopReason
from course_utils.models import load_causal_lm
from tests.examples import examples
from tests.tiny_models import EOS, PAD, START, VOCABULARY, tiny_model, tiny_tokenizer

KINDS = ["llama", "gpt2", "t5", "bart"]
CAUSAL = ["llama", "gpt2"]
kinds = st.sampled_from(KINDS)
tokens = st.integers(3, VOCABULARY - 1)
prompts = st.lists(tokens, min_size=1, max_size=12).map(lambda ids: torch.tensor([ids]))
# Several end-of-sequence tokens, so that many texts end early.
eos_sets = st.lists(st.integers(0, VOCABULARY - 1), min_size=0, max_size=6, unique=True)


class OpenAIPenalties(LogitsProcessor):
    """The formula of the OpenAI API reference, token by token: μ − count · frequency − (count > 0) · presence."""

    def __init__(self, presence, frequency, prompt_length):
        self.presence, self.frequency, self.prompt_length = presence, frequency, prompt_length

    def __call__(self, input_ids, scores):
        scores = scores.clone()
        for row, ids in enumerate(input_ids[:, self.prompt_length :].tolist()):
            for token in set(ids):
                scores[row, token] -= ids.count(token) * self.frequency
                scores[row, token] -= self.presence
        return scores


@st.composite
def penalties_both_ways(draw):
    """The same penalties for ours, and as arguments of transformers."""
    ours, theirs, openai = [], {}, {}
    if draw(st.booleans()):
        theirs["repetition_penalty"] = draw(st.floats(0.5, 3))
        ours.append(("repetition_penalty", theirs["repetition_penalty"]))
    if draw(st.booleans()):
        theirs["no_repeat_ngram_size"] = draw(st.integers(1, 3))
        ours.append(("no_repeat_ngram", theirs["no_repeat_ngram_size"]))
    for name in ("presence", "frequency"):
        openai[name] = draw(st.sampled_from([0.0, -1.0, 0.4, 2.0]))
        ours.append((f"{name}_penalty", openai[name]))
    return ours, theirs, openai


@st.composite
def sampling_both_ways(draw):
    """The same filters in the order of transformers, for ours and as its arguments."""
    theirs = {"do_sample": True, "temperature": draw(st.sampled_from([0.3, 0.7, 1.0, 1.7])), "top_k": 0, "top_p": 1.0}
    ours = [("temperature", theirs["temperature"])]
    for name, values in (
        ("top_k", st.integers(1, 100)),
        ("top_p", st.floats(0.05, 0.99)),
        ("min_p", st.floats(0, 0.5)),
    ):
        if draw(st.booleans()):
            theirs[name] = draw(values)
            ours.append((name, theirs[name]))
    return ours, theirs


def theirs_generate(model, ids, eos_ids, openai=None, **arguments):
    """Run transformers' generate; return its new tokens, rows with padding."""
    start = 1 if model.config.is_encoder_decoder else ids.shape[1]
    if openai:
        arguments["logits_processor"] = [OpenAIPenalties(**openai, prompt_length=start)]
    arguments = {"do_sample": False, "eos_token_id": eos_ids or None, "pad_token_id": PAD} | arguments
    if "attention_mask" not in arguments:
        arguments["attention_mask"] = torch.ones_like(ids)
    outputs = model.generate(ids, return_dict_in_generate=True, output_scores=True, **arguments)
    return outputs.sequences[:, start:].tolist(), outputs.get("sequences_scores")


def assert_same(ours, theirs, eos_ids):
    """The same tokens; a shorter text is filled up in transformers' matrix."""
    assert len(ours) == len(theirs)
    for text, row in zip(ours, theirs, strict=True):
        assert list(text.ids) == row[: len(text.ids)]
        assert set(row[len(text.ids) :]) <= {PAD, *eos_ids[:1]}
        if len(text.ids) < len(row):
            assert text.reason in (StopReason.EOS, StopReason.STOP_STRING)


@st.composite
def lengths(draw):
    longest = draw(st.integers(1, 16))
    return {"max_new_tokens": longest, "min_new_tokens": draw(st.integers(0, longest))}


@given(kinds, prompts, eos_sets, penalties_both_ways(), lengths(), st.booleans())
@examples(120)
def test_greedy_equals_transformers(kind, ids, eos_ids, penalties, limits, use_cache):
    model, (ours, theirs, openai) = tiny_model(kind), penalties
    texts = generate(model, ids, penalties=ours, eos_ids=eos_ids, use_cache=use_cache, **limits)
    expected, _ = theirs_generate(model, ids, eos_ids, openai, **theirs, **limits)
    assert_same(texts, expected, eos_ids)


@given(kinds, prompts, eos_sets, penalties_both_ways(), sampling_both_ways(), lengths(), st.integers(0, 2**31))
@examples(120)
def test_seeded_sampling_equals_transformers(kind, ids, eos_ids, penalties, sampling, limits, seed):
    model, (ours, theirs, openai), (filters, arguments) = tiny_model(kind), penalties, sampling
    texts = generate(
        model, ids, do_sample=True, filters=filters, seed=seed, penalties=ours, eos_ids=eos_ids,
        num_return_sequences=3, **limits,
    )  # fmt: skip
    torch.manual_seed(seed)
    expected, _ = theirs_generate(model, ids, eos_ids, openai, num_return_sequences=3, **theirs, **arguments, **limits)
    assert_same(texts, expected, eos_ids)


@given(
    kinds,
    prompts,
    eos_sets,
    penalties_both_ways(),
    lengths(),
    st.integers(2, 10),
    st.sampled_from([-1.0, 0.0, 0.6, 1.0, 2.0]),
    st.sampled_from([True, False, "never"]),
    st.data(),
)
@examples(150)
def test_beam_search_equals_transformers(kind, ids, eos_ids, penalties, limits, beams, length_penalty, early, data):
    model, (ours, theirs, openai) = tiny_model(kind), penalties
    beam_settings = {
        "num_beams": beams,
        "length_penalty": length_penalty,
        "early_stopping": early,
        "num_return_sequences": data.draw(st.integers(1, beams)),
    }
    texts = generate(model, ids, penalties=ours, eos_ids=eos_ids, **limits, **beam_settings)
    expected, scores = theirs_generate(model, ids, eos_ids, openai, **theirs, **limits, **beam_settings)
    assert_same(texts, expected, eos_ids)
    assert [text.score for text in texts] == pytest.approx(scores.tolist(), abs=1e-4)


@given(
    st.sampled_from(CAUSAL),
    st.lists(st.lists(tokens, min_size=1, max_size=8), min_size=2, max_size=4),
    eos_sets,
    st.integers(1, 4),
    st.booleans(),
)
@examples(40)
def test_padded_batch_equals_transformers(kind, rows, eos_ids, beams, use_cache):
    longest = max(map(len, rows))
    ids = torch.tensor([[PAD] * (longest - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
    model = tiny_model(kind)
    shared = {"max_new_tokens": 9, "num_beams": beams, "attention_mask": mask}
    texts = generate(
        model, ids, eos_ids=eos_ids, penalties=[("repetition_penalty", 1.3)], use_cache=use_cache, **shared
    )
    assert_same(texts, theirs_generate(model, ids, eos_ids, repetition_penalty=1.3, **shared)[0], eos_ids)


@given(st.sampled_from(["t5", "bart"]), st.lists(st.lists(tokens, min_size=1, max_size=8), min_size=2, max_size=4))
@examples(20)
def test_padded_encoder_input_equals_transformers(kind, rows):
    longest = max(map(len, rows))
    ids = torch.tensor([row + [PAD] * (longest - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
    model = tiny_model(kind)
    texts = generate(model, ids, attention_mask=mask, max_new_tokens=9)
    assert_same(texts, theirs_generate(model, ids, [EOS], attention_mask=mask, max_new_tokens=9)[0], [EOS])


stop_strings = st.lists(st.text("abcdefghij", min_size=1, max_size=3), min_size=1, max_size=3)


@given(kinds, prompts, stop_strings, st.sampled_from([1, 1, 3]), st.integers(0, 50))
@examples(80)
def test_stop_strings_equal_transformers(kind, ids, strings, beams, seed):
    ids = torch.cat([ids, torch.tensor([[START]])], dim=1)  # so that no stop string begins in the prompt
    model, tokenizer = tiny_model(kind, seed % 3), tiny_tokenizer()
    shared = {"max_new_tokens": 14, "num_beams": beams, "stop_strings": strings, "tokenizer": tokenizer}
    texts = generate(model, ids, **shared)
    expected, _ = theirs_generate(model, ids, [EOS], **shared)
    assert_same(texts, expected, [EOS])
    for text in texts:
        whole = tokenizer.decode(text.ids, skip_special_tokens=True)
        assert (text.reason == StopReason.STOP_STRING) == any(stop in whole for stop in strings)
        assert not any(stop in text.text for stop in strings)
        assert whole.startswith(text.text)


@given(st.sampled_from(CAUSAL), prompts, stop_strings, st.integers(0, 3))
@examples(30)
def test_stream_says_what_generate_says(kind, ids, strings, seed):
    model, tokenizer = tiny_model(kind, seed), tiny_tokenizer()
    arguments = {"max_new_tokens": 14, "stop_strings": strings, "tokenizer": tokenizer}
    streamed = list(stream(model, ids, **arguments))
    (text,) = generate(model, ids, **arguments)
    assert tuple(token.id for token in streamed) == text.ids
    assert "".join(token.text for token in streamed) == text.text
    assert [token.reason for token in streamed] == [None] * (len(streamed) - 1) + [text.reason]


SMOLLM2_CASES = {
    "greedy": ({}, {}),
    "long enough": ({"min_new_tokens": 12}, {"min_new_tokens": 12}),
    "beams": (beams := {"num_beams": 4, "num_return_sequences": 2, "length_penalty": 0.7}, beams),
    "never": (never := {"num_beams": 3, "early_stopping": "never"}, never),
    "repetition": (
        {"penalties": [("repetition_penalty", 1.3), ("no_repeat_ngram", 2)]},
        {"repetition_penalty": 1.3, "no_repeat_ngram_size": 2},
    ),
    "sampling": (
        {"do_sample": True, "seed": 7, "filters": [("temperature", 0.8), ("top_k", 40), ("top_p", 0.9)]},
        {"do_sample": True, "temperature": 0.8, "top_k": 40, "top_p": 0.9},
    ),
    "sampling with min-p": (
        {"do_sample": True, "seed": 7, "filters": [("temperature", 1.5), ("min_p", 0.1)], "num_return_sequences": 2},
        {"do_sample": True, "temperature": 1.5, "min_p": 0.1, "top_k": 0, "num_return_sequences": 2},
    ),
    "a stop string": (stop := {"stop_strings": ["ris.", "the"]}, stop),
}


@pytest.mark.parametrize("prompt", ["The capital of France is", "def add(a, b):", "Once upon a time"])
@pytest.mark.parametrize("case", SMOLLM2_CASES)
def test_smollm2_equals_transformers(case, prompt):
    smollm, (ours, theirs) = load_causal_lm(), SMOLLM2_CASES[case]
    ids, eos_ids = smollm.encode(prompt), [smollm.model.generation_config.eos_token_id]
    texts = generate(smollm.model, ids, smollm.tokenizer, max_new_tokens=12, **ours)
    torch.manual_seed(ours.get("seed", 0))
    if "stop_strings" in theirs:
        theirs = theirs | {"tokenizer": smollm.tokenizer}
    expected, scores = theirs_generate(smollm.model, ids, eos_ids, max_new_tokens=12, **theirs)
    assert_same(texts, expected, eos_ids)
    if scores is not None:
        assert [text.score for text in texts] == pytest.approx(scores.tolist(), abs=1e-4)
    for text in texts:
        assert text.text is not None
        assert smollm.tokenizer.decode(text.ids, skip_special_tokens=True).startswith(text.text)


def test_temperature_zero_is_greedy():
    model, ids = tiny_model("llama"), torch.tensor([[5, 6, 7]])
    drawn = generate(model, ids, do_sample=True, filters=[("temperature", 0)], seed=3)
    assert drawn[0].ids == generate(model, ids)[0].ids


@pytest.mark.parametrize("kind", CAUSAL)
def test_padding_does_not_change_a_text(kind):
    """Also under the n-gram ban, which in transformers counts padding."""
    model, row = tiny_model(kind), [9, 8, 7, 9, 8]
    arguments = {"penalties": [("no_repeat_ngram", 2), ("repetition_penalty", 1.4)], "eos_ids": []}
    alone = generate(model, torch.tensor([row]), **arguments)
    ids = torch.tensor([[PAD] * 4 + row, [3] * 9])
    mask = torch.tensor([[0] * 4 + [1] * 5, [1] * 9])
    assert generate(model, ids, attention_mask=mask, **arguments)[0].ids == alone[0].ids


def test_context_length_ends_a_text():
    model = tiny_model("gpt2")
    (text,) = generate(model, torch.full((1, 126), 5), eos_ids=[], max_new_tokens=10)
    assert len(text.ids) == 2
    assert text.reason == StopReason.CONTEXT_LENGTH


def test_beam_tree_holds_the_whole_search():
    model, ids = tiny_model("llama"), torch.tensor([[5, 6, 7]])
    arguments = {"num_beams": 3, "max_new_tokens": 5, "eos_ids": [], "length_penalty": 0.0}
    tree = search_beams(model, ids, **arguments)
    texts = generate(model, ids, num_return_sequences=3, **arguments)
    assert [tree.path(text.node) for text in tree.finished] == [text.ids for text in texts]
    for step in range(1, 6):
        level = [node for node in tree.nodes if node.step == step]
        assert len(level) == 6
        assert sum(node.fate == ("kept" if step < 5 else "finished") for node in level) == 3
        worst_kept = min(node.score for node in level if node.fate != "pruned")
        assert all(node.score <= worst_kept for node in level if node.fate == "pruned")
    for node in tree.nodes:
        logits = model(torch.cat([ids, torch.tensor([tree.path(tree.nodes.index(node))])], dim=1)).logits[0]
        steps = logits.log_softmax(-1)[ids.shape[1] - 1 : -1]
        score = steps.gather(1, torch.tensor(tree.path(tree.nodes.index(node)))[:, None]).sum()
        assert node.score == pytest.approx(score.item(), abs=1e-4)


BAD = [
    ({"max_new_tokens": 0}, "max_new_tokens must be a whole number of at least 1, got 0"),
    ({"num_beams": 1.5}, "num_beams must be a whole number of at least 1, got 1.5"),
    ({"min_new_tokens": 30}, "min_new_tokens must be at most max_new_tokens (20), got 30"),
    ({"seed": -1}, "seed must be a whole number of at least 0, got -1"),
    ({"do_sample": True, "filters": [("top_p", 1.3)]}, "top_p must be in (0, 1], got 1.3"),
    ({"filters": [("top_p", 0.3)]}, "filters must be empty unless do_sample is True, got [('top_p', 0.3)]"),
    ({"penalties": [("presence_penalty", 3)]}, "presence_penalty must be in [-2, 2], got 3"),
    ({"penalties": [("repetition_penalty", 0)]}, "repetition_penalty must be a finite number above 0, got 0"),
    ({"penalties": [("no_repeat_ngram", 0)]}, "no_repeat_ngram must be a whole number of at least 1, got 0"),
    ({"num_beams": 2, "do_sample": True}, "num_beams must be 1 when do_sample is True, got 2"),
    (
        {"penalties": {"presence_penalty": 1}},
        "penalties must be a list of (name, setting) pairs, got {'presence_penalty': 1}",
    ),
    ({"do_sample": True, "filters": "top_p"}, "filters must be a list of (name, setting) pairs, got 'top_p'"),
    ({"early_stopping": "soon"}, "early_stopping must be True, False or 'never', got 'soon'"),
    ({"length_penalty": float("nan")}, "length_penalty must be a finite number, got nan"),
    ({"stop_strings": [3]}, "stop_strings must be a list of str, none of them empty, got [3]"),
    ({"stop_strings": ["abc"]}, "tokenizer must be given with stop_strings, got None with ['abc']"),
    (
        {"num_return_sequences": 2},
        "num_return_sequences must be at most num_beams (1) without sampling, got 2",
    ),
    ({"ids": torch.zeros(1, 0)}, "ids must have shape (batch, seq) with at least one token, got (1, 0)"),
    (
        {"attention_mask": torch.tensor([[1, 1, 0]])},
        "attention_mask must have its padding on the left for a causal LM, got it on the right",
    ),
    (
        {"attention_mask": torch.ones(1, 2)},
        "attention_mask must have the shape of ids (1, 3), got (1, 2)",
    ),
    (
        {"ids": torch.ones(1, 128, dtype=torch.long)},
        "ids must fit into the context length of 128 tokens, got 128",
    ),
]


@pytest.mark.parametrize(("arguments", "sentence"), BAD)
def test_bad_settings_get_one_sentence(arguments, sentence):
    with pytest.raises(ValueError) as caught:
        generate(tiny_model("llama"), **({"ids": torch.tensor([[5, 6, 7]])} | arguments))
    assert str(caught.value) == sentence


def test_text_must_be_encoded_first():
    with pytest.raises(TypeError, match=r"^ids must be a tensor of token ids \(a tokenizer makes them\), got str$"):
        generate(tiny_model("llama"), "Once upon a time")


def test_a_source_must_fit_into_the_encoder():
    ids = torch.ones(1, 129, dtype=torch.long)
    with pytest.raises(ValueError, match=r"^ids must fit into the context length of 128 tokens, got 129$"):
        generate(tiny_model("bart"), ids)
    assert generate(tiny_model("bart"), ids[:, :128], max_new_tokens=1)
    assert generate(tiny_model("t5"), ids, max_new_tokens=1)  # relative positions: no limit


def test_stream_refuses_what_cannot_stream():
    with pytest.raises(ValueError, match=r"^ids, num_beams and num_return_sequences must be one each for a stream"):
        next(stream(tiny_model("llama"), torch.ones(1, 3, dtype=torch.long), tiny_tokenizer(), num_beams=2))


def test_a_tree_is_of_one_prompt():
    with pytest.raises(ValueError, match=r"^ids must be one prompt for one tree, got 2$"):
        search_beams(tiny_model("llama"), torch.tensor([[5, 6], [7, 8]]), num_beams=2)
