"""The shipped heads are as good as when they were recorded, and as small as they should be."""

import json

import pytest

from course_utils.models.pipelines import TASK_HEADS, pipeline_tasks
from course_utils.models.task_heads import HEADS
from training import own

RECORDED = json.loads(own.RESULTS.read_text(encoding="utf-8"))
SHIPPED = sorted({TASK_HEADS[task] for task in pipeline_tasks() if task in TASK_HEADS})


@pytest.mark.parametrize("task", RECORDED)
def test_a_head_is_as_good_as_recorded(task):
    assert own.MEASURES[task]() >= RECORDED[task] - own.MARGIN


def test_every_shipped_head_is_recorded():
    assert set(RECORDED) == {task for task in own.MEASURES if task in pipeline_tasks()}


@pytest.mark.parametrize("name", SHIPPED)
def test_a_head_is_small_and_has_a_card(name):
    folder = HEADS / name
    size = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    assert size <= {"translation": 9_000_000, "mlm": 6_000_000}.get(name, 3_000_000)
    card = (folder / "README.md").read_text(encoding="utf-8")
    for heading in ("## Data", "## Recipe", "## Scores", "## Failures and limits"):
        assert heading in card
    assert "licence" in card.lower()
