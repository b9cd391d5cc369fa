"""The schematic that opens each lesson: one map, one set of shapes and colours, one picture per lesson.

`sync` writes them to `notebooks/images`. The parts are in `drawing`, the map in `loop_map`. What each lesson draws is
in `first_lessons`, `models_and_texts`, `from_prompt_to_token` and `writing_a_text`, with the numbers in it.
"""

from course_utils.publishing.schematics.first_lessons import FIRST_LESSONS
from course_utils.publishing.schematics.from_prompt_to_token import FROM_PROMPT_TO_TOKEN
from course_utils.publishing.schematics.models_and_texts import MODELS_AND_TEXTS
from course_utils.publishing.schematics.writing_a_text import WRITING_A_TEXT

SCHEMATICS = {**FIRST_LESSONS, **MODELS_AND_TEXTS, **FROM_PROMPT_TO_TOKEN, **WRITING_A_TEXT}


def schematic(lesson: str) -> str:
    """Return the SVG that opens a lesson.

    Args:
        lesson: The name of its notebook, such as "11_sampling".

    >>> schematic("11_sampling").splitlines()[-1]
    '</svg>'
    """
    return SCHEMATICS[lesson]().svg()
