"""The pipelines that transformers 5 dropped: the same call works again, and the answers are the best spans."""

import math
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import BertConfig, BertForQuestionAnswering, pipeline

from course_utils.models import load_encoder, question_answering, use_course_models
from course_utils.models.pipelines import load_pipeline
from tests.tiny_models import tiny_model, tiny_tokenizer

SENTENCE = "My name is Sylvain and I work at Hugging Face in Brooklyn"


@pytest.fixture(scope="module", autouse=True)
def restored():
    """The tasks are back while these tests run, as after the call in a notebook."""
    with use_course_models():
        yield


@pytest.fixture(scope="module")
def answering(restored):
    """Random weights: its answers are nonsense, and every step to them can be checked."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    model = BertForQuestionAnswering(BertConfig(**sizes)).eval()
    model.qa_outputs.weight.data *= 20
    return pipeline("question-answering", model=model, tokenizer=load_encoder().tokenizer, device="cpu")


def by_hand(answering, question, context, longest=30):
    """Every span of a context that fits into one window, with its probability; the slow, plain way."""
    batch = answering.tokenizer(question, context, return_tensors="pt")
    encoding = batch.encodings[0]
    outputs = answering.model(**batch)
    allowed = torch.tensor([sequence == 1 for sequence in encoding.sequence_ids])
    start, end = (
        logits[0].masked_fill(~allowed, -torch.inf).softmax(-1).tolist()
        for logits in (outputs.start_logits, outputs.end_logits)
    )
    spans = {}
    for first in range(len(start)):
        for last in range(first, min(first + longest, len(start))):
            if allowed[first] and allowed[last]:
                words = [encoding.word_to_chars(encoding.token_to_word(token), 1) for token in (first, last)]
                place = words[0][0], words[1][1]
                spans[place] = max(spans.get(place, 0), start[first] * end[last])
    return spans


contexts = st.lists(
    st.sampled_from(["Paris", "is", "Unbelievably", "big", "café", "(old)", "🙂"]), min_size=1, max_size=20
)


@given(contexts.map(" ".join), st.sampled_from([1, 2, 30]))
@settings(max_examples=40)
def test_answers_are_the_best_spans(answering, context, longest):
    answers = answering(question="Where is it?", context=context, top_k=3, max_answer_len=longest)
    spans = by_hand(answering, "Where is it?", context, longest)
    expected = sorted(spans.values(), reverse=True)[:3]
    assert [answer["score"] for answer in answers] == pytest.approx(expected, rel=1e-3)
    for answer in answers:
        assert context[answer["start"] : answer["end"]] == answer["answer"]
        assert spans[answer["start"], answer["end"]] == pytest.approx(answer["score"], rel=1e-3)


def test_a_long_context_is_read_to_its_end(answering):
    context = " ".join([SENTENCE] * 60)
    windows = list(answering.preprocess({"question": "Where?", "context": context}))
    assert len(windows) > 3
    assert [window["is_last"] for window in windows] == [False] * (len(windows) - 1) + [True]
    covered = set()
    for window in windows:
        places = zip(window["window"].sequence_ids, window["window"].offsets, strict=True)
        covered |= {place for sequence, place in places if sequence == 1}
        assert len(window["window"]) <= 256
    whole = answering.tokenizer(context, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    assert covered == set(map(tuple, whole.offset_mapping))
    answer = answering(question="Where?", context=context)
    assert context[answer["start"] : answer["end"]] == answer["answer"]


def test_windows_share_one_softmax(answering):
    """The probabilities of all starts add up to 1 over all windows together, not in each."""
    pair = {"question": "Where?", "context": " ".join([SENTENCE] * 40)}
    outputs = [answering.forward(window) for window in answering.preprocess(pair)]
    windows = [output["window"] for output in outputs]
    allowed = [question_answering._may_answer(window, False) for window in windows]
    starts = question_answering._log_probabilities([output["starts"][0] for output in outputs], allowed)
    assert sum(numbers.exp().sum().item() for numbers in starts) == pytest.approx(1, abs=1e-4)


def test_batches_give_the_same_answers(answering):
    questions = ["Who?", "Where do I work?", "Why is that so, and since when?"]
    contexts = [SENTENCE, " ".join([SENTENCE] * 30), "Because."]
    alone = [
        answering(question=question, context=context) for question, context in zip(questions, contexts, strict=True)
    ]
    for together in (
        answering(question=questions, context=contexts, batch_size=4),
        answering([{"question": q, "context": c} for q, c in zip(questions, contexts, strict=True)], batch_size=2),
    ):
        assert [answer["answer"] for answer in together] == [answer["answer"] for answer in alone]
        assert [answer["score"] for answer in together] == pytest.approx(
            [answer["score"] for answer in alone], rel=1e-3
        )
    assert len(answering(question=questions, context=SENTENCE)) == 3


def test_no_answer_can_be_the_answer(answering):
    answers = answering(question="Who?", context=SENTENCE, top_k=500, handle_impossible_answer=True)
    empty = [answer for answer in answers if not answer["answer"]]
    assert [(answer["start"], answer["end"]) for answer in empty] == [(0, 0)]
    assert "" not in {answer["answer"] for answer in answering(question="Who?", context=SENTENCE, top_k=500)}


def test_settings_of_the_pipeline_hold_until_a_call_changes_them(answering):
    made = pipeline("question-answering", model=answering.model, tokenizer=answering.tokenizer, device="cpu", top_k=2)
    assert len(made(question="Who?", context=SENTENCE)) == 2
    assert len(made(question="Who?", context=SENTENCE, top_k=3)) == 3


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ({"question": "Who?"}, ValueError, "context must be a text that is not empty, got None"),
        ({"question": "Who?", "context": " "}, ValueError, "context must be a text that is not empty, got ' '"),
        ({"context": "me"}, ValueError, "question must be a text that is not empty, got None"),
        (
            {"question": [], "context": "me"},
            ValueError,
            "question and context must be given for at least one question, got none",
        ),
        (
            {"question": ["a", "b"], "context": ["me"]},
            ValueError,
            r"context must hold one text per question \(2\), got 1",
        ),
        ({"question": "word " * 200, "context": "me"}, ValueError, "question must have at most 128 tokens, got 200"),
        (
            {"question": "a", "context": "b", "top_k": 0},
            ValueError,
            "top_k must be a whole number of at least 1, got 0",
        ),
        (
            {"question": "a", "context": "b", "topk": 1},
            TypeError,
            r"topk=1 isn't a setting of .*; did you mean top_k\?",
        ),
    ],
)
def test_bad_questions_get_one_sentence(answering, arguments, error, sentence):
    with pytest.raises(error, match=f"^{sentence}$"):
        answering(**arguments)


@pytest.mark.parametrize(
    ("task", "name"),
    [
        ("translation", "translation_text"),
        ("summarization", "summary_text"),
        ("text2text-generation", "generated_text"),
        ("translation_de_to_en", "translation_text"),
        ("translation_zh_TW_to_en_XX", "translation_text"),
    ],
)
def test_an_encoder_decoder_writes(task, name):
    model, tokenizer = tiny_model("bart"), tiny_tokenizer()
    writing = pipeline(task, model=model, tokenizer=tokenizer, device="cpu")
    (answer,) = writing("abcabc", max_new_tokens=4, do_sample=False)
    expected = model.generate(tokenizer("abcabc", return_tensors="pt").input_ids, max_new_tokens=4, do_sample=False)
    assert answer == {name: tokenizer.decode(expected[0], skip_special_tokens=True).strip()}
    assert writing(["abcabc", "b"], max_new_tokens=4, do_sample=False)[0] == answer
    assert len(writing("abc", max_new_tokens=4, num_beams=3, num_return_sequences=2)) == 2


def test_several_answers_to_several_texts_stay_with_their_texts():
    writing, texts = load_pipeline("translation"), ["I have a small car.", "No."]
    several = {"max_new_tokens": 6, "num_beams": 2, "num_return_sequences": 2}
    assert writing(texts, batch_size=2, **several) == [writing(text, **several) for text in texts]


@pytest.mark.parametrize(
    ("task", "prefix", "most"),
    [
        ("translation", "to French: ", 5),
        ("translation_en_to_fr", "to French: ", 5),
        ("translation_en_to_de", "to German: ", None),
        ("summarization", "summarize: ", 7),
        ("text2text-generation", "", None),
    ],
)
def test_a_model_that_says_how_it_is_asked_is_asked_like_that(task, prefix, most):
    """As T5 does: every task has words in front of the text, and settings of generate."""
    model, tokenizer = tiny_model("bart"), tiny_tokenizer()
    model.config.task_specific_params = {
        "summarization": {"prefix": "summarize: ", "max_length": 7},
        "translation_en_to_fr": {"prefix": "to French: ", "max_length": 5},
        "translation_en_to_de": {"prefix": "to German: "},
    }
    writing = pipeline(task, model=model, tokenizer=tokenizer, device="cpu")
    assert writing.preprocess("abc")["input_ids"].tolist() == [tokenizer(f"{prefix}abc").input_ids]
    if most:
        model.generation_config.eos_token_id = None  # so that it writes as long as it may
        assert writing.forward(writing.preprocess("abc"))["output_ids"].shape[-1] == most
        assert writing.forward(writing.preprocess("abc"), max_new_tokens=2)["output_ids"].shape[-1] == 3
        assert writing.forward(writing.preprocess("abc"), max_length=4)["output_ids"].shape[-1] == 4


def test_a_direction_that_the_model_does_not_have():
    model = tiny_model("bart")
    model.config.task_specific_params = {"translation_en_to_fr": {}, "summarization": {}}
    with pytest.raises(ValueError) as caught:
        pipeline("translation_fr_to_en", model=model, tokenizer=tiny_tokenizer(), device="cpu")
    sentence = "task must be one of ['translation_en_to_fr'] for this model, got 'translation_fr_to_en'"
    assert str(caught.value) == sentence


def test_a_chat_model_is_asked_for_a_summary():
    chat = load_pipeline("summarization")
    read = chat.preprocess("It rained for eight weeks.")
    prompt = chat.tokenizer.decode(read["input_ids"][0])
    assert prompt.count("<|im_start|>user") == 1
    assert prompt.endswith("in one sentence:\n\nIt rained for eight weeks.<|im_end|>\n<|im_start|>assistant\n")
    for setting in ("max_new_tokens", "max_length"):  # for a summary both count what is written
        written = chat.forward(read, **{setting: 3})["output_ids"]
        assert written.shape == (1, 1, 3)
    together = chat(["It rained for eight weeks.", "No."], batch_size=2, max_new_tokens=5)
    alone = [chat(text, max_new_tokens=5)[0] for text in ("It rained for eight weeks.", "No.")]
    assert together == alone


def test_a_text_that_is_too_long_is_cut_only_on_request():
    writing = load_pipeline("translation")
    with pytest.raises(ValueError, match=r"^texts must have at most 64 tokens, got 102$"):
        writing("car " * 100)
    assert writing.preprocess("car " * 100, truncation=True)["input_ids"].shape == (1, 64)
    assert writing("car " * 100, truncation=True, max_new_tokens=2)


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        ([], "texts must hold at least one text, got an empty list"),
        (None, "texts must be texts that are not empty, got None"),
        (["a", ""], "texts must be texts that are not empty, got ''"),
    ],
)
def test_bad_texts_get_one_sentence(texts, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        pipeline("translation", model=tiny_model("bart"), tokenizer=tiny_tokenizer(), device="cpu")(texts)


def test_without_the_course_the_task_is_gone():
    """If this fails, transformers has it again, and ours can go."""
    code = "from transformers.pipelines import PIPELINE_REGISTRY as r; print(*r.get_supported_tasks())"
    tasks = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "fill-mask" in tasks
    assert not {"question-answering", "translation", "summarization"} & set(tasks)


def test_scores_are_probabilities(answering):
    total = math.fsum(by_hand(answering, "Who?", SENTENCE, longest=500).values())
    assert total <= 1 + 1e-4
