"""Lesson 06's comparison of four ways to fine-tune: `python -m benchmarks.fine_tuning --record`, some minutes long.

Nothing is timed, so other programs may run. What was recorded of a task stays until that task is measured again.
"""

import argparse
import datetime
import json
from pathlib import Path

import torch

import course_utils
from course_utils.experiments.four_ways import RATES, TASKS, task_texts, text_inputs, tuned
from course_utils.files import write_whole
from course_utils.machine import processor_name
from course_utils.models import Encoder, load_encoder

SEEDS = 8
CHOICE_SEEDS = (100, 101, 102)  # none of those that are compared
RECORD = Path(course_utils.__file__).parent / "experiments" / "texts" / "recorded_ways.json"


def main() -> None:
    """Choose two rates, train with every seed, print, and with --record write the file that the lesson draws."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tasks", nargs="*", default=TASKS, metavar="TASK", help=f"of {', '.join(TASKS)} (default: all)")
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"runs of each way (default {SEEDS})")
    parser.add_argument("--record", action="store_true", help=f"write {RECORD.name}")
    arguments = parser.parse_args()
    encoder = load_encoder()
    for task in arguments.tasks:
        found = {}
        for way in RATES:
            found[way] = [measure(encoder, task, way, rate, arguments.seeds) for rate in best_rates(encoder, task, way)]
            for run in found[way]:
                print(line(task, way, run), flush=True)
        if arguments.record:
            record(task, found)


def line(task: str, way: str, run: dict) -> str:
    """Say the rate of a way, and what share of the test texts was right with each seed."""
    shares = [row.count("1") / len(row) for row in run["right"]]
    return f"{task:8} {way:16} rate {run['rate']:<7g} {' '.join(f'{share:.0%}' for share in shares)}"


def record(task: str, found: dict[str, list[dict]]) -> None:
    """Write what was found of a task beside what the file has of the other."""
    stored = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {"about": {}, "tasks": {}}
    where = f"{processor_name()}, torch {torch.__version__}, {datetime.date.today()}"
    stored["about"][task], stored["tasks"][task] = where, found
    write_whole(RECORD, json.dumps(stored, indent=1) + "\n")


def measure(encoder: Encoder, task: str, way: str, rate: float, seeds: int) -> dict:
    """Return the rate, and which test texts were right with it: one row per seed."""
    texts, classes = task_texts(task, "train")
    inputs, (test_texts, test_classes) = text_inputs(encoder, texts), task_texts(task, "test")
    right = []
    for seed in range(seeds):
        classifier = tuned(way, encoder, inputs, classes, rate, seed)
        with torch.no_grad():
            marks = classifier(**text_inputs(encoder, test_texts)).argmax(-1) == test_classes
        right.append("".join(str(int(mark)) for mark in marks))
    return {"rate": rate, "right": right}


def best_rates(encoder: Encoder, task: str, way: str) -> list[float]:
    """Return the two rates with the lowest mean loss on every fourth training review, trained on the others."""
    texts, classes = task_texts(task, "train")
    each = len(texts) // 120  # texts of one review stay together
    kept_apart = torch.arange(len(texts)) // each % 4 == 3
    inputs = text_inputs(encoder, texts)
    train, kept = ({name: rows[part] for name, rows in inputs.items()} for part in (~kept_apart, kept_apart))

    def loss(rate: float) -> float:
        total = 0.0
        for seed in CHOICE_SEEDS:
            classifier = tuned(way, encoder, train, classes[~kept_apart], rate, seed)
            with torch.no_grad():
                total += torch.nn.functional.cross_entropy(classifier(**kept), classes[kept_apart]).item()
        return total

    return sorted(RATES[way], key=loss)[:2]


if __name__ == "__main__":
    main()
