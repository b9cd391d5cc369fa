"""The pipelines of the tasks: ours, transformers' own on the same folder, opened step by step, and in a new process."""

import subprocess
import sys

import pytest
from transformers import pipeline

from course_utils.models.pipelines import load_pipeline, path, pipeline_tasks
from course_utils.traces import PipelineTrace, record_cross_attention, record_pipeline
from course_utils.widgets import pipeline_xray

TEXT = "This course is not bad at all."


def test_known_sentences():
    classifier = load_pipeline("sentiment-analysis")
    hopeful, hateful, fine = classifier(
        ["I've been waiting for a HuggingFace course my whole life.", "I hate this so much!", "This is not bad at all."]
    )
    assert hopeful["label"] == fine["label"] == "POSITIVE"
    assert hateful["label"] == "NEGATIVE"
    assert hateful["score"] > 0.95


def test_transformers_loads_the_folder():
    theirs = pipeline("sentiment-analysis", model=path("sentiment-analysis"), device="cpu")(TEXT)
    ours = load_pipeline("sentiment-analysis")(TEXT)
    assert theirs[0]["label"] == ours[0]["label"]
    assert theirs[0]["score"] == pytest.approx(ours[0]["score"], abs=1e-6)


def test_a_new_process_without_a_hub():
    code = (
        "from course_utils.models.pipelines import path\nfrom transformers import pipeline\n"
        "print(pipeline('sentiment-analysis', model=path('sentiment-analysis'), device='cpu')('A joy.')[0]['label'])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip().splitlines()[-1] == "POSITIVE"


def test_the_model_is_loaded_once():
    first, second = load_pipeline("sentiment-analysis"), load_pipeline("text-classification")
    assert first.model is second.model


def test_text_generation():
    generator = load_pipeline("text-generation")
    texts = generator("The capital of France is", max_new_tokens=1, do_sample=False)
    assert texts[0]["generated_text"] == "The capital of France is Paris"


def test_steps_one_by_one_give_the_answer_of_the_call():
    classifier = load_pipeline("sentiment-analysis")
    trace = record_pipeline(classifier, TEXT)
    (answer,) = classifier(TEXT)
    assert trace.postprocess[-1][3] == ((answer["label"], pytest.approx(answer["score"], abs=1e-4)),)
    (tokens,) = trace.preprocess
    assert tokens[1] == (1, len(tokens[3]))
    assert [row[0] for row in tokens[3]][:3] == ["[CLS]", "this", "course"]
    assert trace.forward[0][:3] == ("logits", (1, 2), ("label", "logit"))


def test_generation_opened():
    trace = record_pipeline(load_pipeline("text-generation"), "The capital of France is", max_new_tokens=1)
    assert [row[0] for row in trace.preprocess[0][3]] == ["The", "␣capital", "␣of", "␣France", "␣is"]
    assert len(trace.forward[0][3]) == 6


def test_trace_survives_a_file(tmp_path):
    trace = record_pipeline(load_pipeline("sentiment-analysis"), TEXT)
    trace.save(tmp_path / "trace.npz")
    assert PipelineTrace.load(tmp_path / "trace.npz") == trace


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        ([], "texts must hold at least one text, got an empty list"),
        (None, "texts must be texts that are not empty, got None"),
        (["good", ""], "texts must be texts that are not empty, got ''"),
        ("word " * 10_000, "texts must have at most 512 tokens, got 10,002"),
    ],
)
def test_bad_texts_get_one_sentence(texts, sentence):
    with pytest.raises(ValueError) as caught:
        load_pipeline("sentiment-analysis")(texts)
    assert str(caught.value) == sentence


def test_zero_shot_takes_labels_of_ones_own():
    sorter = load_pipeline("zero-shot-classification")
    sentence = "This is a course about the Transformers library on huggingface"
    found = sorter(sentence, candidate_labels=["politics", "education", "sports"])
    assert found["labels"][0] == "education"
    assert found["scores"][0] > 0.6
    assert sum(found["scores"]) == pytest.approx(1)
    trace = record_pipeline(sorter, sentence, candidate_labels=["sports", "education"])
    assert [table[0] for table in trace.forward] == ["logits, piece 1 of 2", "logits, piece 2 of 2"]
    assert [row[0] for row in trace.postprocess[0][3]] == ["education", "sports"]


@pytest.mark.parametrize("labels", [[], None, "", [""], ["a", 3]])
def test_bad_labels_get_one_sentence(labels):
    with pytest.raises(ValueError, match=r"^candidate_labels must hold at least one label that is not empty, got "):
        load_pipeline("zero-shot-classification")("A text.", candidate_labels=labels)


@pytest.mark.parametrize("load", [load_pipeline, path])
def test_unknown_task(load):
    with pytest.raises(ValueError) as caught:
        load("dance")
    assert str(caught.value) == f"task must be one of {pipeline_tasks()}, got 'dance'"


def test_named_entities_with_right_places():
    text = "My name is Sylvain and I work at Face in Brooklyn."
    found = load_pipeline("ner", aggregation_strategy="simple")(text)
    spans = [(entity["entity_group"], text[entity["start"] : entity["end"]]) for entity in found]
    assert spans == [("PER", "Sylvain"), ("ORG", "Face"), ("LOC", "Brooklyn")]


def test_translation_looks_at_the_word_it_translates():
    """Adjectives change sides between English and French; the last layer of cross-attention crosses with them."""
    translator = load_pipeline("translation")
    source = translator.tokenizer("I have a red car.", return_tensors="pt").input_ids
    target = translator.model.generate(source, do_sample=False)
    words = [tuple(translator.tokenizer.decode([token]).strip() for token in ids[0]) for ids in (source, target)]
    assert translator.tokenizer.decode(target[0], skip_special_tokens=True).strip() == "J'ai une voiture rouge."
    trace = record_cross_attention("t", translator.model, source, target[:, :-1], words[0], words[1][:-1])
    places = trace.weights[-1].mean(0).argmax(-1)
    looks_at = {word: words[0][place] for word, place in zip(words[1][1:], places, strict=True)}
    assert (looks_at["voiture"], looks_at["rouge"]) == ("car", "red")


def test_question_answering():
    asked = {"question": "where do i work?", "context": "my name is sylvain and i work at hugging face in brooklyn"}
    answers = load_pipeline("question-answering")(**asked, top_k=3)
    assert any("hugging face" in answer["answer"] for answer in answers[:1])
    for answer in answers:
        assert asked["context"][answer["start"] : answer["end"]] == answer["answer"]


def test_the_courses_own_model_in_any_profile(monkeypatch):
    monkeypatch.setenv("COURSE_MODELS", "hub")
    own = load_pipeline("translation", models="embedded")
    assert own("I have a small car.", num_beams=1)[0]["translation_text"] == "J'ai une petite voiture."
    with pytest.raises(ValueError, match=r"^models must be None or one of \('embedded', 'hub'\), got 'cloud'$"):
        load_pipeline("translation", models="cloud")


XRAYED = [
    ("sentiment-analysis", TEXT, {}, "POSITIVE"),
    ("zero-shot-classification", "The team won.", {"candidate_labels": ["sports", "politics"]}, "sports"),
    ("text-generation", "The capital of France is", {"max_new_tokens": 1, "do_sample": False}, "Paris"),
    ("fill-mask", "Paris is the capital of [MASK].", {}, "france"),
    ("ner", "My name is Sylvain and I live in Brooklyn.", {}, "brooklyn"),
    (
        "question-answering",
        {"question": "Where do I live?", "context": "My name is Sylvain and I live in Brooklyn."},
        {},
        "Brooklyn",
    ),
    ("translation", "I have a small car.", {"num_beams": 1}, "petite voiture"),
    ("summarization", "The old bridge is closed for repair.", {"max_new_tokens": 8}, "bridge"),
    ("feature-extraction", "A small car.", {}, "the first 6 numbers of each, shape (1, 6, 384)"),
]


@pytest.mark.parametrize(("task", "text", "settings", "answer"), XRAYED)
def test_the_xray_opens_every_task(task, text, settings, answer):
    said = pipeline_xray(load_pipeline(task), text, **settings).describe()
    steps = [said.index(step) for step in ("preprocess", "forward", "postprocess")]
    assert steps == sorted(steps)
    assert answer in said[steps[2] :]


def test_no_task_is_left_without_an_xray():
    same = {"text-classification": "sentiment-analysis", "token-classification": "ner"}
    assert {same.get(task, task) for task in pipeline_tasks()} == {task for task, *_ in XRAYED}


@pytest.mark.parametrize("text", ["The cat sat on the mat.", "The cat sat on the <mask>.", "The [mask] sat."])
def test_a_missing_gap_is_a_sentence_on_the_page(text):
    xray = pipeline_xray(load_pipeline("fill-mask"), "The cat sat on the [MASK].")
    before = xray.describe()
    xray.asked = [1, text]
    assert xray.problem.startswith(("the text must have a gap called [MASK]", "the text must call the gap [MASK], as"))
    assert xray.problem.endswith(repr(text))
    assert xray.describe() == before
    xray.asked = [2, "The [MASK] sat on the [MASK]."]
    assert (xray.problem, xray.answered) == ("", 2)
    assert [table[0] for table in xray.trace.forward] == [f"logits at [MASK] number {n}, the best 10" for n in (1, 2)]


def test_a_question_and_its_context_can_be_changed_on_the_page():
    given = {"question": "Who sat?", "context": "The cat sat on the mat."}
    xray = pipeline_xray(load_pipeline("question-answering"), given)
    xray.asked = [1, "Who ran? · The dog ran."]
    assert (xray.problem, xray.text) == ("", "Who ran? · The dog ran.")
    xray.asked = [2, "Who ran?"]
    assert xray.problem == "text must have question and context with “·” between them, got 'Who ran?'"


def test_a_table_that_is_cut_says_so():
    trace = record_pipeline(load_pipeline("sentiment-analysis"), "good " * 60)
    assert trace.preprocess[0][0] == "what the model reads, the first 40 of 62 tokens"
