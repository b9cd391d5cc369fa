"""Numbers in a lesson's text that no cell of it prints, no code of it names and no cited work has.

`python -m tests.numbers_in_prose` lists them. `numbers_in_prose.toml` says of each that may stay why it may.
"""

import json
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from course_utils.publishing.pages import Lesson, deeper_notebooks, lessons
from course_utils.publishing.recorded import SIGNATURE

SOURCES = Path(__file__).resolve().parents[1] / "notebooks" / "source"
EXPLAINED = Path(__file__).with_suffix(".toml")
_NUMBER = re.compile(r"(?<![\w.,^])(?:\d[\d,_]*\d|\d)(?:\.\d+)?(?: ?%)?(?![\w])")
# Numbers that count the course itself: lessons, sections, steps of a list, minutes that a learner needs.
_SOME = r"\d+(?:(?:, | and | or )\d+)*"  # 3 and 4
_OF_THE_COURSE = re.compile(
    rf"\blessons? {_SOME}|\bsections? {_SOME}|\[?\d\d · |\(\d\d_\w+|^#+ \d+ · |^\d+\. |\*\*Time\*\*: \d+ minutes",
    re.M | re.I,
)
_URL = re.compile(r"https?://\S+")


def unexplained(lesson: Lesson, notebook: Path | None = None) -> list[str]:
    """Return the numbers of `lesson` that come from nowhere in its `notebook`, each with the words around it."""
    text = _URL.sub("", lesson.text)
    skipped = {place for found in _OF_THE_COURSE.finditer(text) for place in range(*found.span())}
    works = tomllib.loads((SOURCES / "references.toml").read_text(encoding="utf-8"))["work"]
    years = {work["year"] for work in works}
    shown = list(_shown(notebook or SOURCES.parent / lesson.address))
    return [
        f"{found[0]}: … {text[max(0, found.start() - 40) : found.end() + 30]!r}"
        for found in _NUMBER.finditer(text)
        if found.start() not in skipped and _value(found[0]) not in years and not _is_shown(found[0], shown)
    ]


def explained() -> dict[str, dict[str, str]]:
    """Return why a number may stay, by lesson and number."""
    return tomllib.loads(EXPLAINED.read_text(encoding="utf-8"))


def _shown(notebook: Path) -> Iterator[float]:
    """Yield every number in the code and the outputs of a notebook, its quizzes left out."""
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code" and not cell["metadata"].get("jupyter", {}).get("source_hidden"):
            outputs = [output.get("data", {}).get("text/plain", output.get("text", "")) for output in cell["outputs"]]
            alts = [picture.get("alt", "") for out in cell["outputs"] for picture in out.get("metadata", {}).values()]
            # A time is another one whenever the notebook is run.
            measured = [re.sub(rf"\d[\d,.]* ms|{SIGNATURE}.*", "", text) for text in (*map("".join, outputs), *alts)]
            for text in ("".join(cell["source"]), *measured):
                yield from (_value(number) for number in re.findall(r"\d[\d,_]*(?:\.\d+)?(?:e-?\d+)?", text))


def _is_shown(number: str, shown: list[float]) -> bool:
    """Tell whether a number of the text is one that was shown, perhaps rounded, or as a percentage."""
    value, digits = _value(number), len(number.rstrip(" %").partition(".")[2])
    scales = (1, 100) if number.endswith("%") else (1,)
    return any(round(found * scale, digits) == value for found in shown for scale in scales)


def _value(number: str) -> float:
    text = number.rstrip(" %,_").replace(",", "").replace("_", "")
    return float(text)


def main() -> int:
    """Print what is not explained; return 1 if there is something."""
    known, found = explained(), 0
    for lesson in [*lessons(SOURCES), *deeper_notebooks(SOURCES)]:
        for line in unexplained(lesson):
            if line.partition(":")[0] not in known.get(lesson.name, {}):
                print(lesson.name, line)
                found += 1
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main())
