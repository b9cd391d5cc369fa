"""The tiny models of lesson 01: one phone book, learned by heart by models of rising size.

`python -m training.phone_book`. It needs no data: names and numbers are made up. Every model gets the same number of
steps, and nothing is chosen by its result.
"""

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from tqdm import tqdm

from course_utils.figures.base import PALETTE, CourseFigure, png_bytes
from course_utils.models.phone_book import FILE, NAME, new_phone_book_model, phone_book_ids, phone_book_models, recall

WIDTHS = (4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 28, 32)
STEPS, BATCH, HIGHEST_RATE = 8000, 500, 1e-2
RESULTS = Path(__file__).parent / "results" / "phone_book"


def train(width: int, steps: int = STEPS, seed: int = 0) -> dict[str, torch.Tensor]:
    """Train one model; return its weights as fp16, the output layer left out (it is the embedding)."""
    torch.manual_seed(seed)
    model, book = new_phone_book_model(width), phone_book_ids()
    optimizer = torch.optim.AdamW(model.parameters(), lr=HIGHEST_RATE, betas=(0.9, 0.98), weight_decay=0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, HIGHEST_RATE, total_steps=steps, pct_start=0.1)
    for _ in tqdm(range(steps), desc=f"width {width}", mininterval=10):
        rows = book[torch.randint(len(book), (BATCH,))]
        logits = model(rows[:, :-1]).logits[:, NAME - 1 :]
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), rows[:, NAME:].flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return {name: value.half() for name, value in model.state_dict().items() if name != "lm_head.weight"}


def measure() -> dict[str, dict[str, float]]:
    """Measure the shipped models."""
    results = {}
    for width, model in phone_book_models().items():
        known = recall(model)
        results[str(width)] = {
            "parameters": model.num_parameters(),
            "digits": round(known.digits, 4),
            "numbers": round(known.numbers, 4),
            "bits per parameter": round(known.bits / model.num_parameters(), 2),
        }
    return results


def picture(results: dict[str, dict[str, float]]) -> CourseFigure:
    """Draw both shares over the size."""
    figure = CourseFigure(figsize=(6, 3.4), layout="constrained")
    axes = figure.subplots()
    sizes = [result["parameters"] for result in results.values()]
    for key, colour, style in (("digits", "blue", "o-"), ("numbers", "vermilion", "s--")):
        axes.plot(sizes, [result[key] for result in results.values()], style, color=PALETTE[colour], label=key)
    axes.set(xscale="log", xlabel="parameters", ylabel="share that is right", ylim=(-0.02, 1.02))
    axes.legend()
    figure.alt = f"Right digits and right numbers over the size, for {len(sizes)} models."
    return figure


def main() -> None:
    """Train every size, or measure the shipped ones."""
    parser = argparse.ArgumentParser(prog="python -m training.phone_book", description=__doc__.splitlines()[0])
    parser.add_argument("--measure", action="store_true", help="train nothing, measure the shipped models")
    if not parser.parse_args().measure:
        save_file({f"{width}/{name}": v for width in WIDTHS for name, v in train(width).items()}, FILE)
    results = measure()
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "report.json").write_text(json.dumps(results, indent=1) + "\n")
    (RESULTS / "sizes.png").write_bytes(png_bytes(picture(results)))
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
