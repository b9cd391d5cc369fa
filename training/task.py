"""What a task must bring to be trained: rows, a loss, scores. Everything else is the same for all."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from training.data import read_rows

Row = dict[str, list | int]
PADDING = {"labels": -100}


@dataclass(frozen=True)
class Recipe:
    """How a head is trained; a task changes what it must.

    Args:
        epochs: How often every row is seen, unless `--minutes` ends it sooner.
        learning_rate: Its highest value, reached after `warmup` steps; it falls to 0 on a straight line.
        batch_tokens: At most so many tokens, padding included, in one step.
        rank, alpha: Of the LoRA corrections.
        dropout: Part of the hidden values switched off while training.
        weight_decay, warmup, clip, seed: As everywhere.
    """

    epochs: float = 4.0
    learning_rate: float = 1e-3
    batch_tokens: int = 1024
    rank: int = 16
    alpha: int = 32
    dropout: float = 0.1
    weight_decay: float = 0.01
    warmup: int = 100
    clip: float = 1.0
    seed: int = 0


class Task:
    """A task: what is read, what is learned, how it is measured. Each subclass fills in what it needs."""

    name: ClassVar[str]
    title: ClassVar[str]
    architecture: ClassVar[str]
    labels: ClassVar[tuple[str, ...]] = ()
    recipe: ClassVar[Recipe] = Recipe()
    data_sets: ClassVar[tuple[str, ...]] = ()
    """One line a data set for the model card: name, use, licence."""
    goals: ClassVar[dict[str, float]]
    """The scores that the head is judged by, and what they should reach."""
    notes: ClassVar[tuple[str, ...]] = ()
    """Sentences for the model card: failures seen, choices made."""

    def __init__(self, data: Path, tokenizer: PreTrainedTokenizerBase) -> None:
        self.data = data
        self.tokenizer = tokenizer

    def read(self, *names: str) -> list[dict]:
        """Read rows of the data folder."""
        return read_rows(self.data, *names)

    def settings(self) -> dict:
        """Return what `config.json` of the head will hold."""
        lora = {"rank": self.recipe.rank, "alpha": self.recipe.alpha, "modules": "every linear layer of the encoder"}
        return {
            "task": self.name,
            "base_model": "all-MiniLM-L6-v2",
            "architecture": self.architecture,
            "labels": list(self.labels),
            "lora": lora,
        }

    def train_rows(self) -> list[Row]:
        """Return the training rows as token ids and labels."""
        raise NotImplementedError

    def loss(self, model: PreTrainedModel, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return the loss of one batch."""
        return model(**batch).loss

    def evaluate(self, model: PreTrainedModel, quick: bool = False) -> dict[str, float]:
        """Return the scores of a finished model on the dev and test sets; `quick`: on a part of them."""
        raise NotImplementedError

    def collate(self, rows: list[Row]) -> dict[str, torch.Tensor]:
        """Pad rows to one length and stack them: `(batch, seq)` for lists, `(batch,)` for single numbers."""
        longest = max(len(row["input_ids"]) for row in rows)
        batch = {}
        for key, first in rows[0].items():
            if isinstance(first, list):
                fill = PADDING.get(key, 0)
                batch[key] = torch.tensor([row[key] + [fill] * (longest - len(row[key])) for row in rows])
            else:
                batch[key] = torch.tensor([row[key] for row in rows])
        lengths = torch.tensor([len(row["input_ids"]) for row in rows])
        batch["attention_mask"] = (torch.arange(longest) < lengths[:, None]).long()
        return batch

    def encode(self, first: list[str], second: list[str] | None = None, longest: int = 128) -> list[Row]:
        """Turn texts, or pairs of texts, into rows of token ids."""
        encoded = self.tokenizer(first, second, truncation=True, max_length=longest, return_attention_mask=False)
        if second is None:
            return [{"input_ids": ids} for ids in encoded["input_ids"]]
        pairs = zip(encoded["input_ids"], encoded["token_type_ids"], strict=True)
        return [{"input_ids": ids, "token_type_ids": types} for ids, types in pairs]

    @torch.inference_mode()
    def predict(self, model: PreTrainedModel, rows: list[Row], batch_tokens: int = 4096) -> list[dict]:
        """Run `model` over rows, longest first; return its outputs row by row, without padding."""
        order = sorted(range(len(rows)), key=lambda index: -len(rows[index]["input_ids"]))
        outputs: list[dict] = [{}] * len(rows)
        start = 0
        while start < len(order):
            count = max(1, batch_tokens // len(rows[order[start]]["input_ids"]))
            chosen = order[start : start + count]
            batch = {key: value.to(model.device) for key, value in self.collate([rows[i] for i in chosen]).items()}
            batch = {key: batch[key] for key in ("input_ids", "token_type_ids", "attention_mask") if key in batch}
            results = {key: value.float().cpu() for key, value in model(**batch).items()}
            for place, index in enumerate(chosen):
                outputs[index] = {key: value[place] for key, value in results.items()}
            start += count
        return outputs
