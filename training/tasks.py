"""The tasks by name."""

from training.sentiment import Sentiment
from training.task import Task

TASKS: dict[str, type[Task]] = {task.name: task for task in (Sentiment,)}
