"""What a core lesson is measured by: its size, its true minutes, its schematic, and phrases that english prose avoids.

`python -m tests.lesson_measures` lists the numbers of every lesson, and what is too much.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from course_utils import widgets
from course_utils.machine import ROOT

LESSONS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
MOST = {"cells": 60, "words": 1900, "code_lines": 250}
MINUTES = {"words": 1 / 180, "code_lines": 1 / 12, "predictions": 1.5, "widgets": 4, "questions": 1}
MINUTES_AGREE = 0.8, 1.25  # those in the head, divided by those that a learner needs
# Correct English in a foreign rhythm. A text without them can still be wooden.
PHRASES = re.compile(
    r"You kept no prediction|\bWhoever\b|\bstands? (?:in|at|behind)\b|\banew\b|from nothing|gets one sentence|Touch it"
    r"|What is refused|also the wrong ones|\bforetell|\bsomebody\b"
    r"|\b(?:row|column|panel|bar|head|slot|curve|one|bits|FLOPs) an? "
    r"(?:token|head|layer|slot|step|row|column|byte|text)\b"
)
_WIDGET = re.compile(rf"(?<![\w.])(?:{'|'.join(widgets.__all__)})\(")


@dataclass(frozen=True)
class Measures:
    """How much of everything a learner meets in one lesson, and how many minutes its head says that it takes."""

    cells: int
    words: int
    code_lines: int
    predictions: int
    widgets: int
    questions: int
    minutes_said: int

    @property
    def minutes(self) -> float:
        """How long a learner needs: reading, code, predictions, widgets and questions."""
        return sum(each * getattr(self, name) for name, each in MINUTES.items())


def measures(cells: list[dict]) -> Measures:
    """Count what is in the `cells` of a notebook."""
    code = [("".join(cell["source"]), cell["outputs"]) for cell in cells if cell["cell_type"] == "code"]
    text = text_of(cells)
    said = re.search(r"\*\*Time\*\*: (\d+) minutes", text)
    return Measures(
        cells=len(cells),
        words=len(text.split()),
        code_lines=sum(_code_lines(source) for source, _ in code),
        predictions=sum("= predict(" in source for source, _ in code),
        widgets=sum(_shows_widget(source, outputs) for source, outputs in code),
        questions=sum("quiz_question(" in source for source, _ in code),
        minutes_said=int(said[1]) if said else 0,
    )


def findings(cells: list[dict]) -> list[str]:
    """Return what a core lesson with these `cells` has too much or too little of, one sentence each."""
    found, text = measures(cells), text_of(cells)
    problems = [
        f"{getattr(found, name):,} {name.replace('_', ' ')}, and a core lesson has at most {most:,}"
        for name, most in MOST.items()
        if getattr(found, name) > most
    ]
    least, most = MINUTES_AGREE
    if not least <= found.minutes_said / max(found.minutes, 1) <= most:
        problems.append(f"the head says {found.minutes_said} minutes, and a learner needs about {found.minutes:.0f}")
    if not re.search(r"!\[[^\]]+\]\(images/[^)]+\.svg\)", text):
        problems.append("it has no schematic with an alt text, such as ![…](images/NN_name.svg)")
    problems += [f"“{phrase}” isn't how it would be said" for phrase in phrases(text)]
    if any("machine-dependent" in cell["metadata"].get("tags", []) for cell in cells):
        problems.append("an output isn't stored: the tag is `recorded`")
    return problems


def phrases(text: str) -> list[str]:
    """Return the phrases in `text` that should be said in another way."""
    return sorted({found[0] for found in PHRASES.finditer(text)})


def text_of(cells: list[dict]) -> str:
    """Return the words of the markdown cells, with one space between two."""
    return " ".join(" ".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown").split())


def cells_of(file: Path) -> list[dict]:
    """Return the cells of the notebook in `file`."""
    return json.loads(file.read_text(encoding="utf-8"))["cells"]


def _code_lines(source: str) -> int:
    lines = map(str.strip, source.splitlines())
    return sum(bool(line) and not line.startswith("#") for line in lines)


def _shows_widget(source: str, outputs: list[dict]) -> bool:
    """Say whether a learner has a widget to try: what is stored of one is its picture."""
    has_picture = any("image/png" in output.get("data", {}) for output in outputs)
    return has_picture and _WIDGET.search(source) is not None


def main() -> None:
    """Print the measures of every lesson, then what is too much."""
    for file in LESSONS:
        cells = cells_of(file)
        print(f"{file.stem}: {measures(cells)}, {measures(cells).minutes:.0f} minutes")
        print("".join(f"    {finding}\n" for finding in findings(cells)), end="")


if __name__ == "__main__":
    main()
