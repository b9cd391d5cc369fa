"""The training loop: batches of equal cost, one schedule, checkpoints from which it goes on exactly."""

import io
import random
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import torch
from safetensors.torch import load_file
from tqdm import tqdm
from transformers import PreTrainedModel

from course_utils.files import write_whole
from course_utils.models.task_heads import new_head
from training.task import Row, Task

MEASURED_STEPS = 50  # the first steps, by whose speed --minutes is turned into a number of steps


def train(
    task: Task,
    folder: Path,
    minutes: float | None = None,
    device: str = "cpu",
    steps: int | None = None,
    checkpoint_seconds: float = 60,
    begin_with: Path | None = None,
) -> tuple[PreTrainedModel, dict]:
    """Train the head of `task`; return the model and what happened (steps, seconds, losses).

    Args:
        task: What to train.
        folder: Where the checkpoint is kept. If one is there, training goes on from it.
        minutes: About how long it may take; None: all epochs of the recipe. The number of steps is settled once,
            by the speed of the first steps, and written to the checkpoint and the report.
        device: "cpu" or "cuda".
        steps: Exactly so many steps, which makes a run with `minutes` repeatable.
        checkpoint_seconds: How often the state is saved.
        begin_with: The folder of a trained head to go on from, with half the learning rate and another order of rows;
            None: a fresh one.

    A run that was killed and started again gives the same weights as one that was not.
    """
    recipe = task.recipe
    torch.manual_seed(recipe.seed)
    model = new_head(task.settings())
    if begin_with is not None:
        load_corrections(model, load_file(begin_with / "head.safetensors"))
        recipe = replace(recipe, learning_rate=recipe.learning_rate / 2, seed=recipe.seed + 1000)
    for layer in model.modules():
        if isinstance(layer, torch.nn.Dropout):
            layer.p = recipe.dropout
    model.to(device).train()
    trained = [value for value in model.parameters() if value.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    rows = task.train_rows()
    one_epoch = sum(1 for _ in batches(rows, recipe.batch_tokens, recipe.seed))
    state = {"step": 0, "steps": steps, "seconds": 0.0, "losses": []}
    state |= {"recipe": asdict(task.recipe), "rows": len(rows), "beginning": str(begin_with or "a fresh head")}
    if steps is None and minutes is None:
        state["steps"] = round(recipe.epochs * one_epoch)
    file = folder / "checkpoint.pt"
    if file.is_file():
        state = load_checkpoint(file, state, model, optimizer, device)

    precision = torch.autocast(device, dtype=torch.bfloat16, enabled=fast_bf16(device))
    started = saved = time.monotonic() - state["seconds"]
    bar = tqdm(initial=state["step"], total=state["steps"], desc=task.name, unit="step", mininterval=5)
    for batch_rows in endless_batches(rows, recipe.batch_tokens, recipe.seed, state["step"]):
        if state["steps"] is not None and state["step"] >= state["steps"]:
            break
        set_learning_rate(optimizer, recipe.learning_rate, state["step"], recipe.warmup, state["steps"])
        batch = {key: value.to(device) for key, value in task.collate(batch_rows).items()}
        with precision:
            loss = task.loss(model, batch)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, recipe.clip)
        optimizer.step()

        state["step"] += 1
        state["losses"].append(loss.item())
        state["seconds"] = time.monotonic() - started
        if state["steps"] is None and state["step"] == min(MEASURED_STEPS, recipe.warmup):
            within = int(minutes * 60 / state["seconds"] * state["step"])
            state["steps"] = bar.total = max(state["step"] + 1, min(within, round(recipe.epochs * one_epoch)))
        bar.update()
        bar.set_postfix(loss=f"{sum(state['losses'][-50:]) / len(state['losses'][-50:]):.3f}", refresh=False)
        if time.monotonic() - saved > checkpoint_seconds:
            save_checkpoint(file, state, model, optimizer, device)
            saved = time.monotonic()
    bar.close()
    save_checkpoint(file, state, model, optimizer, device)
    return model, {
        **state,
        "epochs": round(state["step"] / one_epoch, 2),
        "precision": "bf16" if fast_bf16(device) else "fp32",
    }


@torch.no_grad()
def load_corrections(model: PreTrainedModel, weights: dict[str, torch.Tensor]) -> None:
    """Put the weights of a head into `model`, whose corrections may be of a higher rank: it then begins the same.

    A fresh correction adds nothing, since its second matrix is zero, so the old one takes its first places. For this,
    alpha / rank must be the same in both.
    """
    own = dict(model.named_parameters())
    for name, value in weights.items():
        own[name][tuple(slice(size) for size in value.shape)] = value.to(own[name].dtype)


def fast_bf16(device: str) -> bool:
    """Say whether `device` multiplies 16-bit brain floats faster than 32-bit floats.

    A processor does with AMX only: with AVX-512's instructions for them alone, a step took 1.6 times as long.
    """
    return device == "cuda" or torch.cpu._is_amx_tile_supported()


def batches(rows: list[Row], batch_tokens: int, seed: int) -> Iterator[list[Row]]:
    """Shuffle `rows`, then cut them into batches of about `batch_tokens` tokens, padding included.

    Rows are sorted by length inside chunks of fifty batches, so that little is padding and batches still differ
    from epoch to epoch.
    """
    chance = random.Random(seed)
    order = list(range(len(rows)))
    chance.shuffle(order)
    length = [len(row["input_ids"]) for row in rows]
    mean = max(1, sum(length) // max(1, len(rows)))
    chunk = max(1, 50 * batch_tokens // mean)
    for start in range(0, len(order), chunk):
        cut: list[list[Row]] = [[]]
        longest = 0
        for index in sorted(order[start : start + chunk], key=lambda index: length[index]):
            longest = max(longest, length[index])
            if cut[-1] and longest * (len(cut[-1]) + 1) > batch_tokens:
                cut.append([])
                longest = length[index]
            cut[-1].append(rows[index])
        chance.shuffle(cut)
        yield from cut


def endless_batches(rows: list[Row], batch_tokens: int, seed: int, skip: int) -> Iterator[list[Row]]:
    """Yield the batches of one epoch after the other, without the first `skip`."""
    epoch = 0
    while True:
        for batch in batches(rows, batch_tokens, seed + epoch):
            skip -= 1
            if skip < 0:
                yield batch
        epoch += 1


def set_learning_rate(
    optimizer: torch.optim.Optimizer, highest: float, step: int, warmup: int, steps: int | None
) -> None:
    """Rise to `highest` within `warmup` steps, then fall to 0 at `steps` on a straight line."""
    if steps is not None:
        warmup = min(warmup, max(1, steps // 10))
    share = (step + 1) / warmup if step < warmup else (steps - step) / (steps - warmup)
    for group in optimizer.param_groups:
        group["lr"] = highest * share


def save_checkpoint(
    file: Path, state: dict, model: PreTrainedModel, optimizer: torch.optim.Optimizer, device: str
) -> None:
    """Write everything that training needs to go on: all of it, or nothing."""
    trained = {name: value for name, value in model.named_parameters() if value.requires_grad}
    chance = {"cpu": torch.get_rng_state()} | ({"cuda": torch.cuda.get_rng_state()} if device == "cuda" else {})
    stream = io.BytesIO()
    torch.save({"state": state, "model": trained, "optimizer": optimizer.state_dict(), "chance": chance}, stream)
    write_whole(file, stream.getvalue())


def load_checkpoint(
    file: Path, state: dict, model: PreTrainedModel, optimizer: torch.optim.Optimizer, device: str
) -> dict:
    """Put the saved state into `model` and `optimizer`; return it.

    Raises:
        ValueError: The checkpoint is of another recipe, other rows or another beginning.
    """
    saved = torch.load(file, map_location="cpu", weights_only=True)
    for key in ("recipe", "rows", "beginning"):
        if saved["state"].get(key) != state[key]:
            raise ValueError(f"{file} was made with another {key}: take another --out, or delete it to start again")
    model.load_state_dict(saved["model"], strict=False)
    optimizer.load_state_dict(saved["optimizer"])
    torch.set_rng_state(saved["chance"]["cpu"])
    if device == "cuda":
        torch.cuda.set_rng_state(saved["chance"]["cuda"])
    return saved["state"]
