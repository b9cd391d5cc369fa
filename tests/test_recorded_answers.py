"""Recorded answers of famous models beside computed ones, and lines for transformers 4 on transformers 5."""

import math

import pytest
from transformers import logging, pipelines
from transformers.pipelines import PIPELINE_REGISTRY

from course_utils.experiments.old_lines import in_both
from course_utils.learner import Table, beside_recorded
from course_utils.models import use_course_models
from course_utils.models.recorded_answers import RECORDED

SENTIMENT = [{"label": "POSITIVE", "score": 0.98299}, {"label": "POSITIVE", "score": 0.9}, {"label": "B", "score": 1}]


@pytest.mark.parametrize("run", RECORDED.values(), ids=RECORDED)
def test_a_recorded_run_names_the_default_that_transformers_pins(run):
    task = PIPELINE_REGISTRY.task_aliases.get(run.task, run.task)
    if task in pipelines.SUPPORTED_TASKS and "default" in pipelines.SUPPORTED_TASKS[task]:
        repository, revision = pipelines.SUPPORTED_TASKS[task]["default"]["model"]
        assert run.model.repository == repository
        assert run.model.revision.startswith(revision)
    else:
        assert task == "question-answering"  # transformers 5 has no default for a task that it removed
    assert all(0 < score < 1 for *_, score in run.rows)


def test_the_two_scores_of_the_misspelt_label_go_where_the_odds_say():
    """One softmax over all labels: another label leaves the ratio of any two as it is."""
    (_, _, alone), scores = RECORDED["misspelt"].rows[0], [score for *_, score in RECORDED["misspelt beside"].rows]
    others = 1 - sum(scores)
    assert math.isclose(alone / (1 - alone), scores[0] / others, rel_tol=0.05)
    assert not math.isclose(alone / (1 - alone), scores[1] / others, rel_tol=0.5)


def test_answers_are_set_beside_recorded_ones_with_as_many_digits():
    table = beside_recorded("sentiment", SENTIMENT)
    assert table.rows[0][1:] == ["POSITIVE 0.9830", "POSITIVE 0.9598"]
    assert table.rows[1][2] == "0.9961"
    assert table.below.startswith(f"Recorded: {RECORDED['sentiment'].model.repository}, the task's default (")
    assert "date wasn't kept" in table.below
    assert beside_recorded("question-answering", {"answer": "here", "score": 0.5}).rows == [
        ["where do i work?", "here 0.500", "0.534"]
    ]


def test_labels_are_looked_up_and_those_without_a_record_get_a_dash():
    found = {"labels": ["educations", "educion", "sports"], "scores": [0.9, 0.08, 0.02]}
    assert beside_recorded("misspelt beside", found).rows == [
        ["educations", "0.900", "0.234"],
        ["educion", "0.080", "0.743"],
        ["sports", "0.020", "–"],
    ]


def test_entities_are_looked_up_whatever_their_letters_and_one_that_was_missed_gets_a_dash():
    found = [{"word": "brooklyn", "entity_group": "LOC", "score": 0.9}, {"word": "My", "entity_group": "A", "score": 0}]
    assert beside_recorded("ner", found).rows == [
        ["Brooklyn", "LOC 0.900", "LOC 0.992"],
        ["My", "A 0.000", "–"],
        ["Sylvain", "–", "PER 0.998"],
        ["Hugging Face", "–", "ORG 0.991"],
    ]
    assert [row[1] for row in beside_recorded("ner", []).rows] == ["–"] * 3


def test_a_run_that_is_not_recorded_is_one_sentence():
    with pytest.raises(ValueError, match=r"^name must be one of \['sentiment', .*\], got 'dance'$"):
        beside_recorded("dance", [])
    with pytest.raises(ValueError, match=r"^found must have 3 answers for sentiment-analysis, got 2$"):
        beside_recorded("sentiment", SENTIMENT[:2])


def test_a_table_is_text_and_html():
    table = Table(["a", "b"], [("<x>", 1)], "Below & done.")
    assert repr(table) == "a    b\n<x>  1\nBelow & done."
    assert "&lt;x&gt;" in table._repr_html_()
    assert table._repr_html_().endswith("<p>Below &amp; done.</p>")
    with pytest.raises(ValueError, match=r"^rows must have 2 cells each, got \['x'\]$"):
        Table(["a", "b"], [("x",)])


def test_old_lines_fail_alone_and_work_with_the_courses_models():
    me = "My name is Sylvain and I work at Hugging Face in Brooklyn."
    lines = ['pipeline("ner", grouped_entities=True)(me)', 'pipeline("question-answering")', "1 + 1"]
    try:
        grouped, reader, same = in_both(lines, me=me)
        again = in_both(lines, me=me)  # what is said once in a process is said here each time
        assert "question-answering" not in pipelines.REMOVED_TASKS
    finally:
        use_course_models().undo()
        logging.enable_progress_bar()
    assert grouped[1].startswith("TypeError: TokenClassificationPipeline._sanitize_parameters() got an unexpected ")
    assert grouped[2] == (
        "sylvain PER, hugging face ORG, brooklyn LOC; "
        'grouped_entities=True is now called aggregation_strategy="simple".'
    )
    assert reader[1:] == (
        "KeyError: The task question-answering has been removed from transformers.",
        "a QuestionAnsweringPipeline",
    )
    assert same == ("1 + 1", "2", "2")
    assert again == [grouped, reader, same]


def test_bars_of_loading_are_off_while_the_courses_models_are_in_use():
    logging.enable_progress_bar()
    with use_course_models():
        assert not logging.is_progress_bar_enabled()
    assert logging.is_progress_bar_enabled()
