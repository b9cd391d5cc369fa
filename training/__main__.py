"""The command: `python -m training sentiment --data DIR --out DIR`."""

import argparse

import torch

from course_utils.files import full_path
from course_utils.models.loading import load_encoder
from course_utils.models.task_heads import HEADS, load_head, save_head
from training.loop import train
from training.report import stages_before, write_report
from training.tasks import TASKS


def main() -> None:
    """Train one head and write it, with its report, card and loss curve, to the folder."""
    parser = argparse.ArgumentParser(prog="python -m training", description="Train a small task head.")
    parser.add_argument("task", choices=sorted(TASKS))
    parser.add_argument("--data", type=full_path, required=True, help="the folder of the data sets")
    parser.add_argument(
        "--out", type=full_path, required=True, help="where the head goes; a killed run goes on from there"
    )
    parser.add_argument("--minutes", type=float, help="stop after about so long (default: all epochs of the recipe)")
    parser.add_argument("--steps", type=int, help="stop after exactly this many steps")
    parser.add_argument("--more", action="store_true", help="start from the shipped head, with half the learning rate")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    wanted = parser.parse_args()
    if wanted.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda needs a GPU that torch can use, and there is none")
    task = TASKS[wanted.task](wanted.data, load_encoder().tokenizer)
    try:
        begun = HEADS / wanted.task if wanted.more else None
        model, history = train(task, wanted.out, wanted.minutes, wanted.device, wanted.steps, begin_with=begun)
    except (FileNotFoundError, ValueError) as error:
        parser.exit(1, f"{error}\n")
    save_head(model, task.settings(), wanted.out)
    # What is measured is what was written: fp16, added to the encoder's weights.
    finished = load_head(wanted.out)[0].to(wanted.device)
    scores = {"scores": task.evaluate(finished), "quick_scores": task.evaluate(finished, quick=True)}
    shipped = load_head(wanted.task)[0].to(wanted.device)
    scores |= {
        "previous_scores": task.evaluate(shipped),
        "previous_quick_scores": task.evaluate(shipped, quick=True),
    }
    history["before"] = stages_before(wanted.task) if wanted.more else []
    write_report(task, scores, history, wanted.device, wanted.out)


if __name__ == "__main__":
    main()
