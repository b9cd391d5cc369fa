"""Where weights come from: the catalogue, the store on disk, loading, the pipelines, and models of your own.

What is computed with a model is in `engine`; only `transformers` itself runs in here.
"""

from course_utils.models.catalogue import CATALOGUE, ModelEntry
from course_utils.models.store import ModelStore, ModelStoreError, models_folder

__all__ = [
    "CATALOGUE",
    "CausalLM",
    "Encoder",
    "ModelEntry",
    "ModelStore",
    "ModelStoreError",
    "load_causal_lm",
    "load_encoder",
    "load_head",
    "models_folder",
    "shipped_heads",
    "use_course_models",
]


def __getattr__(name: str) -> object:
    # Loading needs torch, which takes two seconds to import; the store does not.
    if name in ("CausalLM", "Encoder", "load_causal_lm", "load_encoder"):
        from course_utils.models import loading

        return getattr(loading, name)
    if name in ("load_head", "shipped_heads"):
        from course_utils.models import task_heads

        return getattr(task_heads, name)
    if name == "use_course_models":
        from course_utils.models.course_models import use_course_models

        return use_course_models
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
