"""The tasks by name."""

from training.mlm import Mlm
from training.ner import Ner
from training.nli import Nli
from training.qa import Qa
from training.sentiment import Sentiment
from training.task import Task

TASKS: dict[str, type[Task]] = {task.name: task for task in (Sentiment, Nli, Ner, Qa, Mlm)}
