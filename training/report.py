"""What a training leaves behind: the scores as JSON, the loss as a picture, the model card.

`python -m training.report --data DIR` measures every shipped head again and prints the scores beside those that
were reached after training; it fails when one is lower by more than `MARGIN`. `--quick` measures on small parts.
"""

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path

import torch

from course_utils.files import full_path
from course_utils.models.loading import load_encoder
from course_utils.models.task_heads import HEADS, load_head
from training import translation
from training.loss_figure import loss_figure
from training.task import Task
from training.tasks import TASKS

RESULTS = Path(__file__).parent / "results"
MARGIN = 0.01  # of the score: another machine rounds differently


def write_report(task: Task, scores: dict[str, dict[str, float]], history: dict, device: str, folder: Path) -> None:
    """Write `report.json`, `loss.png` and `README.md` beside the head in `folder`, and print the scores.

    `scores` holds `scores` and `quick_scores` of the new head, and `previous_scores` of the one that was shipped.
    """
    report = {
        "task": task.name,
        **{kind: {name: round(value, 4) for name, value in found.items()} for kind, found in scores.items()},
        "target": task.goals,
        "before": history.get("before", []),
        "steps": history["step"],
        "epochs": history["epochs"],
        "training_rows": history["rows"],
        "minutes": round(history["seconds"] / 60, 1),
        "device": device,
        "precision": history["precision"],
        "torch": torch.__version__,
        "recipe": history["recipe"],
        "bytes": (folder / "head.safetensors").stat().st_size,
    }
    (folder / "report.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    loss_figure(task.title, history["losses"]).savefig(folder / "loss.png", dpi=80)
    (folder / "README.md").write_text(model_card(task, report), encoding="utf-8")
    print(json.dumps(report["scores"], indent=2))


def stages_before(name: str) -> list[dict]:
    """Return the stages in which the shipped head `name` was trained: steps, epochs and minutes of each."""
    report = json.loads((RESULTS / name / "report.json").read_text(encoding="utf-8"))
    return [*report.get("before", []), {key: report[key] for key in ("steps", "epochs", "minutes")}]


def model_card(task: Task, report: dict) -> str:
    """Write the model card: what it is, data and licences, recipe, scores, failures."""
    recipe = report["recipe"]
    goals = {
        name: f"{goal:g}, {'reached' if report['scores'][name] >= goal else 'not reached'}"
        for name, goal in report["target"].items()
    }
    previous = report.get("previous_scores", {})
    table = [
        f"| {name} | {_number(value)} | {_number(previous.get(name))} | {goals.get(name, '')} |"
        for name, value in report["scores"].items()
    ]
    core = " core" if report["device"] == "cpu" else ""
    stages = [*report.get("before", []), {key: report[key] for key in ("steps", "epochs", "minutes")}]
    command = f"python -m training {task.name} --data DIR --out DIR"
    commands = [
        f"{command}{' --more' if number else ''} --steps {stage['steps']}" for number, stage in enumerate(stages)
    ]
    epochs, minutes = ([stage[key] for stage in stages] for key in ("epochs", "minutes"))
    more = " `--more` goes on from what is there with half the learning rate." if len(stages) > 1 else ""
    return f"""# {task.title} head for all-MiniLM-L6-v2

{" ".join((task.__doc__ or "").split())}

- Base model: all-MiniLM-L6-v2 (Apache-2.0). It stays as it is; this folder adds {report["bytes"] / 1e6:.2f} MB.
- Form: `{task.architecture}`; LoRA of rank {recipe["rank"]} (alpha {recipe["alpha"]}) on every linear layer of the
  encoder, the head in full, all in fp16.
- Licence of these weights: Apache-2.0. The data keep their own licences; none of their texts is in the package.
- Load: `course_utils.models.load_head("{task.name}")` returns the model and its tokenizer.

## Data

{_points(task.data_sets)}

## Recipe

{chr(10).join(f"    {command}" for command in commands)}

{report["training_rows"]:,} rows, {" + ".join(map(str, epochs))} epochs, batches of {recipe["batch_tokens"]:,} tokens;
AdamW, learning rate {recipe["learning_rate"]:g} with {recipe["warmup"]} steps of warm-up and linear decay, weight decay
{recipe["weight_decay"]:g}, dropout {recipe["dropout"]:g}, seed {recipe["seed"]}.{more}
It took {sum(minutes):.1f} minutes on one {report["device"].upper()}{core} in {report["precision"]}.

## Scores

| measured | score | head before | goal |
|---|---|---|---|
{chr(10).join(table)}

## Failures and limits

{_points(task.notes)}
"""


def _number(score: float | None) -> str:
    return "" if score is None else f"{score:.4f}"


def _points(lines: Iterable[str]) -> str:
    """Return `lines` as a list in Markdown."""
    return "\n".join(f"- {line}" for line in lines)


def measure(name: str, data: Path, quick: bool) -> dict[str, float]:
    """Return the scores of the shipped head `name`."""
    if name == "translation":
        return translation.measure(data, HEADS / name, quick)
    return TASKS[name](data, load_encoder().tokenizer).evaluate(load_head(name)[0], quick=quick)


def main() -> int:
    """Measure the shipped heads again; return 1 if one is worse than it was."""
    parser = argparse.ArgumentParser(prog="python -m training.report", description="Measure the shipped heads again.")
    parser.add_argument("--data", type=full_path, required=True, help="the folder of the data sets")
    parser.add_argument("--quick", action="store_true", help="measure on a small part of each test set")
    wanted = parser.parse_args()
    kind = "quick_scores" if wanted.quick else "scores"
    worse = 0
    print(f"| head | measured | goal | head before | after training | now |{chr(10)}|---|---|---|---|---|---|")
    for name in (*TASKS, "translation"):
        report = json.loads((RESULTS / name / "report.json").read_text(encoding="utf-8"))
        found = measure(name, wanted.data, wanted.quick)
        for score, before in report[kind].items():
            worse += found[score] < before - MARGIN * max(1, before)
            goal, previous = report["target"].get(score, ""), _number(report.get(f"previous_{kind}", {}).get(score))
            print(f"| {name} | {score} | {goal} | {previous} | {before:.4g} | {found[score]:.4g} |", flush=True)
    if worse:
        print(f"{worse} scores are lower than after training by more than {MARGIN:.0%}", file=sys.stderr)
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
