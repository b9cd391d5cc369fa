"""The shipped task heads: a small file each, put on the one encoder when a task asks for it.

A head's folder holds `config.json` (what it was trained on top of, and its labels), `head.safetensors` (the LoRA
corrections of the encoder's linear layers and the head's own weights, fp16) and `README.md` (its model card).

Lesson: 04 · The pipeline tasks; 06 · Pre-training and fine-tuning
"""

import json
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from course_utils.models.loading import load_encoder
from course_utils.models.lora import attach_lora, merge_lora

HEADS = Path(__file__).parent / "heads"


def shipped_heads() -> list[str]:
    """Name the heads that come with the package.

    Lesson: 04 · The pipeline tasks; 06 · Pre-training and fine-tuning
    """
    return sorted(folder.parent.name for folder in HEADS.glob("*/config.json"))


def load_head(task: str | Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load the encoder with the head of `task` on it: a plain `transformers` model, and its tokenizer.

    Args:
        task: The name of a shipped head, or the folder of one of your own.

    Raises:
        ValueError: There is no such head.

    The corrections are added to the encoder's weights, so the model is an ordinary `BertFor…` that every function
    of `transformers` takes.
    Lesson: 04 · The pipeline tasks; 06 · Pre-training and fine-tuning
    """
    folder = task if isinstance(task, Path) else HEADS / task
    if not (folder / "config.json").is_file():
        raise ValueError(f"task must be one of {shipped_heads()} or the folder of a head, got {str(task)!r}")
    settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    model = new_head(settings)
    weights = load_file(folder / "head.safetensors")
    unknown = model.load_state_dict(weights, strict=False).unexpected_keys
    missing = [name for name, value in model.named_parameters() if value.requires_grad and name not in weights]
    if unknown or missing:
        raise ValueError(f"{folder} does not fit its config.json: unknown {unknown}, missing {missing}")
    merge_lora(model)
    return model.eval().requires_grad_(False), load_encoder(settings["base_model"]).tokenizer


def new_head(settings: dict) -> PreTrainedModel:
    """Build the model that `settings` describe, with the encoder's weights and a fresh head and corrections.

    Args:
        settings: What `config.json` of a head holds: base_model, architecture, labels, lora.

    Only the corrections and the head ask for gradients.
    """
    encoder = load_encoder(settings["base_model"]).model
    labels = settings["labels"]
    config = type(encoder.config)(**encoder.config.to_dict())
    config.architectures = [settings["architecture"]]
    if labels:
        config.id2label = dict(enumerate(labels))
        config.label2id = {label: index for index, label in enumerate(labels)}
    model = getattr(transformers, settings["architecture"])(config)
    own = model.base_model.state_dict()
    model.base_model.load_state_dict({name: value for name, value in encoder.state_dict().items() if name in own})
    attach_lora(model.base_model, settings["lora"]["rank"], settings["lora"]["alpha"])
    model.tie_weights()
    return model


def save_head(model: PreTrainedModel, settings: dict, folder: Path) -> None:
    """Write what was trained of `model` as fp16, and `settings`, to `folder`."""
    weights = {
        name: value.detach().to("cpu", torch.float16).contiguous()
        for name, value in model.named_parameters()
        if value.requires_grad
    }
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / "head.safetensors")
    (folder / "config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
