"""Prompts in every form that people hand over, padding with and without a mask, and what can't be read."""

import warnings
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import BatchEncoding

from course_utils.engine.generate import generate, search_beams, stream
from course_utils.models import load_causal_lm
from tests.examples import examples
from tests.tiny_models import EOS, PAD, VOCABULARY, tiny_model, tiny_tokenizer

IDS = torch.tensor([[5, 6, 7]])
rows = st.lists(st.lists(st.integers(3, VOCABULARY - 1), min_size=1, max_size=7), min_size=1, max_size=4)

FORMS = {
    "list": [5, 6, 7],
    "list of lists": [[5, 6, 7]],
    "tuple": (5, 6, 7),
    "tensor of one dimension": torch.tensor([5, 6, 7]),
    "int32": torch.tensor([[5, 6, 7]], dtype=torch.int32),
    "uint8": torch.tensor([[5, 6, 7]], dtype=torch.uint8),
    "array": np.array([[5, 6, 7]]),
    "array of one dimension": np.array([5, 6, 7], dtype=np.int32),
    "list of tensors": [torch.tensor([5, 6, 7])],
    "list of arrays": [np.array([5, 6, 7])],
    "numbers of numpy": [np.int64(5), np.int32(6), np.uint8(7)],
    "numbers of torch": [torch.tensor(5), torch.tensor(6), torch.tensor(7)],
    "what a tokenizer returns": BatchEncoding({"input_ids": [[5, 6, 7]], "attention_mask": [[1, 1, 1]]}),
    "as tensors": BatchEncoding({"input_ids": IDS, "attention_mask": torch.ones_like(IDS), "token_type_ids": IDS * 0}),
    "dict": {"input_ids": [5, 6, 7]},
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ["llama", "bart"])
def test_every_form_of_a_prompt(form, kind):
    expected = generate(tiny_model(kind), IDS, max_new_tokens=4)
    assert generate(tiny_model(kind), FORMS[form], max_new_tokens=4) == expected
    streamed = stream(tiny_model(kind), FORMS[form], tiny_tokenizer(), max_new_tokens=4)
    assert tuple(token.id for token in streamed) == expected[0].ids
    assert search_beams(tiny_model(kind), FORMS[form], num_beams=1, max_new_tokens=4).finished


def test_the_line_of_transformers():
    batch = {"input_ids": IDS, "attention_mask": torch.ones_like(IDS), "token_type_ids": torch.zeros_like(IDS)}
    expected = generate(tiny_model("llama"), IDS, max_new_tokens=4)
    assert generate(tiny_model("llama"), **batch, max_new_tokens=4) == expected
    assert generate(tiny_model("llama"), inputs=IDS, max_new_tokens=4) == expected
    assert generate(tiny_model("llama"), IDS, attention_mask=np.ones((1, 3), int), max_new_tokens=4) == expected
    assert generate(tiny_model("llama"), IDS, attention_mask=[[True] * 3], max_new_tokens=4) == expected


REFUSED = [
    ("Once upon", TypeError, "ids must be a tensor of token ids (a tokenizer makes them), got str"),
    (["Once", "upon"], TypeError, "ids must be a tensor of token ids (a tokenizer makes them), got list"),
    (None, TypeError, "ids must be a tensor of token ids (a tokenizer makes them), got NoneType"),
    ([], ValueError, "ids must have shape (batch, seq) with at least one token, got (1, 0)"),
    ([[]], ValueError, "ids must have shape (batch, seq) with at least one token, got (1, 0)"),
    (torch.zeros(0, 3).long(), ValueError, "ids must have shape (batch, seq) with at least one token, got (0, 3)"),
    (torch.ones(1, 2, 3).long(), ValueError, "ids must have shape (batch, seq) with at least one token, got (1, 2, 3)"),
    ([[5, 6], [7]], ValueError, "ids must be rows of one length (a tokenizer pads them with padding=True), got [1, 2]"),
    ([5, [6]], ValueError, "ids must be rows of one length (a tokenizer pads them with padding=True), got [0, 1]"),
    ([5.0, 6.0], ValueError, "ids must be whole numbers, got torch.float32"),
    ([True, False], ValueError, "ids must be whole numbers, got torch.bool"),
    ([5, VOCABULARY], ValueError, "ids must be tokens of the model's vocabulary, 0 … 95, got 96"),
    ([5, -100], ValueError, "ids must be tokens of the model's vocabulary, 0 … 95, got -100"),
    ([5, 6, PAD], ValueError, "ids must have their padding (token 0) on the left for a causal LM, got it on the right"),
]


WAYS = {
    "greedy": generate,
    "sampled": partial(generate, do_sample=True, num_return_sequences=2),
    "beams": partial(generate, num_beams=2),
    "stream": lambda *given, **named: next(stream(*given, **named)),
    "tree": partial(search_beams, num_beams=2),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("ids", "error", "sentence"), REFUSED)
def test_what_cannot_be_read_gets_one_sentence(ids, error, sentence, way):
    with pytest.raises(error) as caught:
        WAYS[way](tiny_model("llama"), ids)
    assert str(caught.value) == sentence


@pytest.mark.parametrize("way", WAYS)
def test_a_mask_that_does_not_fit_gets_one_sentence(way):
    for mask, sentence in (
        (torch.ones(2, 3), "attention_mask must have the shape of ids (1, 3), got (2, 3)"),
        (torch.ones(1, 2), "attention_mask must have the shape of ids (1, 3), got (1, 2)"),
        ("101", "attention_mask must be a tensor of 0 and 1, got str"),
        (torch.zeros(1, 3), "attention_mask must leave at least one token of every prompt, got a prompt of zeros"),
    ):
        with pytest.raises((TypeError, ValueError)) as caught:
            WAYS[way](tiny_model("llama"), IDS, attention_mask=mask)
        assert str(caught.value) == sentence


@given(st.sampled_from(["llama", "gpt2"]), rows, st.integers(1, 3), st.booleans())
@examples(50)
def test_padding_without_a_mask_equals_transformers(kind, rows, beams, use_cache):
    longest = max(map(len, rows))
    ids = torch.tensor([[PAD] * (longest - len(row)) + row for row in rows])
    shared = {"max_new_tokens": 6, "num_beams": beams, "repetition_penalty": 1.3, "use_cache": use_cache}
    texts = generate(tiny_model(kind), ids, **shared)
    theirs = tiny_model(kind).generate(ids, do_sample=False, **shared)[:, longest:].tolist()
    assert [list(text.ids) for text in texts] == [row[: len(text.ids)] for row, text in zip(theirs, texts, strict=True)]
    mask = (ids != PAD).long()
    assert texts == generate(tiny_model(kind), ids, attention_mask=mask, **shared)


@given(st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=8), st.integers(3, VOCABULARY - 1))
@examples(30)
def test_a_padding_token_inside_a_text_is_hidden_as_in_transformers(row, last):
    ids = torch.tensor([[*row, last]])
    (text,) = generate(tiny_model("llama"), ids, max_new_tokens=5, repetition_penalty=1.2)
    theirs = tiny_model("llama").generate(ids, do_sample=False, max_new_tokens=5, repetition_penalty=1.2)
    assert list(text.ids) == theirs[0, ids.shape[1] :].tolist()[: len(text.ids)]


@pytest.mark.parametrize("kind", ["bart", "t5"])
def test_an_encoder_decoder_reads_padding_as_transformers_does_and_says_so(kind):
    ids = torch.tensor([[5, 6, 7, EOS, PAD, PAD, PAD], [8, 9, 10, 11, 12, 13, EOS]])
    with pytest.warns(
        UserWarning, match=r"^ids hold the padding token 0, which an encoder–decoder reads as text: give "
    ):
        texts = generate(tiny_model(kind), ids, max_new_tokens=8)
    theirs = tiny_model(kind).generate(ids, do_sample=False, max_new_tokens=8)[:, 1:].tolist()
    assert [list(text.ids) for text in texts] == [row[: len(text.ids)] for row, text in zip(theirs, texts, strict=True)]


def test_padding_that_also_ends_a_text_cannot_be_told():
    smollm = load_causal_lm()
    batch = smollm.tokenizer(["Hi", "One, two, three,"], return_tensors="pt", padding=True, padding_side="left")
    with pytest.warns(
        UserWarning, match=r"^ids hold the padding token 2, which also ends a text: give attention_mask, "
    ):
        generate(smollm.model, batch.input_ids, max_new_tokens=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with_mask = generate(smollm.model, batch, max_new_tokens=3)
        chat = smollm.tokenizer(
            "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n", return_tensors="pt"
        ).input_ids
        ends = [generate(smollm.model, chat, eos_token_id=end, max_new_tokens=3)[0].ids for end in (2, None, [])]
    assert with_mask[0] == generate(smollm.model, smollm.encode("Hi"), max_new_tokens=3)[0]
    assert len(set(ends)) == 1  # the ends in a chat are read, also where they don't end the text


def test_a_padding_token_of_ones_own():
    ids = torch.tensor([[9, 9, 5, 6], [3, 4, 5, 6]])
    mask = torch.tensor([[0, 0, 1, 1], [1, 1, 1, 1]])
    model = tiny_model("llama")
    expected = generate(model, ids, attention_mask=mask, max_new_tokens=5)
    for padding in (9, np.int64(9), torch.tensor(9)):
        assert generate(model, ids, pad_token_id=padding, max_new_tokens=5) == expected
    read = generate(model, ids, max_new_tokens=5)
    assert generate(model, ids, pad_token_id=-1, max_new_tokens=5) == read


def test_where_an_encoder_decoder_begins():
    model = tiny_model("bart")
    theirs = model.generate(
        IDS, attention_mask=torch.ones_like(IDS), decoder_start_token_id=9, max_new_tokens=5, do_sample=False
    )
    (text,) = generate(model, IDS, decoder_start_token_id=9, max_new_tokens=5)
    assert list(text.ids) == theirs[0, 1 : 1 + len(text.ids)].tolist()
    start, model.generation_config.decoder_start_token_id = model.generation_config.decoder_start_token_id, None
    try:
        assert generate(model, IDS, max_new_tokens=3)  # begins with the first token of a text
        model.generation_config.bos_token_id = None
        with pytest.raises(
            ValueError, match=r"^decoder_start_token_id must be given for an encoder–decoder that has none"
        ):
            generate(model, IDS, max_new_tokens=3)
    finally:
        model.generation_config.decoder_start_token_id = model.generation_config.bos_token_id = start
