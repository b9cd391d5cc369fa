"""The schematic that opens each lesson: one map, one set of shapes and colours, one picture per lesson.

`sync` writes them to `notebooks/images`. The parts are in `drawing`, the map in `loop_map`. What each lesson draws is
in `first_lessons`, `inside_the_model` and `writing_a_text`, with the numbers that lessons and tests compute again.
"""

from course_utils.publishing.schematics.first_lessons import FIRST_LESSONS
from course_utils.publishing.schematics.inside_the_model import INSIDE_THE_MODEL
from course_utils.publishing.schematics.writing_a_text import WRITING_A_TEXT

SCHEMATICS = {**FIRST_LESSONS, **INSIDE_THE_MODEL, **WRITING_A_TEXT}


def schematic(lesson: str) -> str:
    """Return the SVG that opens a lesson.

    Args:
        lesson: The name of its notebook, such as "11_sampling".

    >>> schematic("11_sampling").splitlines()[-1]
    '</svg>'
    """
    return SCHEMATICS[lesson]().svg()
