"""How long grading takes: `python -m benchmarks.grading` makes 100 submissions of lesson 11 and grades them.

Every fourth is right, and the others have each usual mistake in turn, so that mistakes are looked for as in a real
class. `--record` writes `benchmarks/grading.json`.
"""

import argparse
import csv
import json
import os
import sys
import tempfile
import time
from collections import Counter
from contextlib import redirect_stdout
from pathlib import Path

import nbformat

from course_utils.grading.command import checks_file, grade_all
from course_utils.grading.grade import Assignment
from course_utils.machine import ROOT

MISTAKES = (
    ("logits / temperature", "logits * temperature"),
    ("logits < smallest_kept", "logits <= smallest_kept"),
    (".cumsum(-1) - probabilities >= p", ".cumsum(-1) > p"),
    ("probabilities < p * probabilities.amax(-1, keepdim=True)", "probabilities < p"),
    ("-torch.inf", "0"),
    ("return logits.masked_fill", "logits.masked_fill"),
)


def make_class(folder: Path, count: int) -> None:
    """Write `count` submissions of lesson 11 to `folder`."""
    for number in range(count):
        notebook = nbformat.read(ROOT / "solutions" / "11_sampling.ipynb", as_version=4)
        if number % 4:
            right, wrong = MISTAKES[number % len(MISTAKES)]
            for cell in notebook.cells:
                cell.source = cell.source.replace(right, wrong)
        nbformat.write(notebook, folder / f"learner{number:03}.ipynb")


def measure(count: int, jobs: int) -> dict:
    """Grade `count` submissions, `jobs` at a time, and return what it took and what came out."""
    with tempfile.TemporaryDirectory() as place:
        handed_in, out = Path(place) / "in", Path(place) / "out"
        handed_in.mkdir()
        make_class(handed_in, count)
        start = time.perf_counter()
        with redirect_stdout(sys.stderr):
            grade_all([handed_in], Assignment(checks_file("11"), seed=2026), out, "11_sampling", jobs=jobs)
        seconds = time.perf_counter() - start
        with (out / "grades.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    return {
        "submissions": count,
        "jobs": jobs,
        "cores": os.cpu_count(),
        "seconds": round(seconds, 1),
        "seconds per submission": round(seconds / count, 2),
        "points": dict(sorted(Counter(row["points"] for row in rows).items())),
    }


def main() -> None:
    """Measure, print, and with `--record` keep it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    found = measure(options.count, options.jobs)
    print(json.dumps(found, indent=1))
    if options.record:
        (ROOT / "benchmarks" / "grading.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
