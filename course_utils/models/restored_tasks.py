"""Bring back a pipeline task that transformers 5 has removed.

Lesson: 04 · The pipeline tasks
"""

from transformers import pipelines
from transformers.pipelines import PIPELINE_REGISTRY, Pipeline


def restore_task(task: str, pipeline_class: type[Pipeline], model_class: type) -> None:
    """Make `pipeline(task, ...)` build `pipeline_class` again, with models that `model_class` loads.

    Registering is not enough: `pipeline` looks at its list of removed tasks before it looks at the registry.

    Lesson: 04 · The pipeline tasks
    """
    getattr(pipelines, "REMOVED_TASKS", {}).pop(task, None)  # transformers 5.0 to 5.4 have no such list
    if task not in PIPELINE_REGISTRY.supported_tasks:
        PIPELINE_REGISTRY.register_pipeline(task, pipeline_class, pt_model=model_class, type="text")
