"""Addition: the same tiny causal model in rising sizes, for the lesson on emergent abilities.

`python -m training.addition --out DIR`. Each model reads "047+385=" and writes the sum digit by digit. The larger ones
get every digit right more often, a little at a time; but a sum is right only when all its digits are, and that share
stays near zero and then jumps.
"""

import argparse
import json
import random
import time
from pathlib import Path

import torch
from safetensors.torch import save_file
from tqdm import trange
from transformers import LlamaConfig, LlamaForCausalLM

SYMBOLS = "0123456789+="
DIGITS = 3
WIDTHS = (8, 12, 16, 24, 32, 48, 64, 96)
HELD_OUT = 1000


def new_model(width: int) -> LlamaForCausalLM:
    """Build a Llama of two layers and this width."""
    config = LlamaConfig(
        vocab_size=len(SYMBOLS), hidden_size=width, intermediate_size=4 * width, num_hidden_layers=2,
        num_attention_heads=max(1, width // 16), max_position_embeddings=16, tie_word_embeddings=True,
        head_dim=min(width, 16), bos_token_id=None, eos_token_id=None, pad_token_id=None,
    )  # fmt: skip
    return LlamaForCausalLM(config)


def encode(pairs: list[tuple[int, int]]) -> torch.Tensor:
    """Write sums as ids `(batch, 12)`: both numbers with three digits, the sum with four.

    >>> encode([(47, 385)])
    tensor([[ 0,  4,  7, 10,  3,  8,  5, 11,  0,  4,  3,  2]])
    """
    texts = [f"{a:0{DIGITS}}+{b:0{DIGITS}}={a + b:0{DIGITS + 1}}" for a, b in pairs]
    return torch.tensor([[SYMBOLS.index(symbol) for symbol in text] for text in texts])


def held_out_pairs() -> set[tuple[int, int]]:
    """Return the pairs that no model is trained on."""
    chance = random.Random("held out")
    return {(chance.randrange(1000), chance.randrange(1000)) for _ in range(HELD_OUT)}


def train(width: int, steps: int, batch: int = 256, seed: int = 0) -> LlamaForCausalLM:
    """Train one model on random sums that are not held out; the loss is on the sum's digits only."""
    torch.manual_seed(seed)
    chance, unseen = random.Random(seed), held_out_pairs()
    model = new_model(width).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps, pct_start=0.1)
    for _ in trange(steps, desc=f"width {width}", mininterval=5):
        pairs = [(chance.randrange(1000), chance.randrange(1000)) for _ in range(batch)]
        ids = encode([pair for pair in pairs if pair not in unseen])
        logits = model(ids[:, :-1]).logits[:, 2 * DIGITS + 1 :]
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 2 * DIGITS + 2 :].flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return model.eval().requires_grad_(False)


@torch.inference_mode()
def evaluate(model: LlamaForCausalLM) -> dict[str, float]:
    """The share of right digits and of right sums, on the held-out pairs, written greedily."""
    ids = encode(sorted(held_out_pairs()))
    start = 2 * DIGITS + 2
    written = ids[:, :start]
    for _ in range(DIGITS + 1):
        written = torch.cat([written, model(written).logits[:, -1].argmax(-1, keepdim=True)], dim=1)
    right = written[:, start:] == ids[:, start:]
    return {"digits": right.float().mean().item(), "sums": right.all(-1).float().mean().item()}


def main() -> None:
    """Train every size, measure it, and write its weights as fp16."""
    parser = argparse.ArgumentParser(prog="python -m training.addition", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="where the models go")
    parser.add_argument("--steps", type=int, default=3000)
    wanted = parser.parse_args()
    wanted.out.mkdir(parents=True, exist_ok=True)
    results = []
    for width in WIDTHS:
        start = time.monotonic()
        model = train(width, wanted.steps)
        weights = {name: value.to(torch.float16).contiguous() for name, value in model.named_parameters()}
        file = wanted.out / f"width-{width}.safetensors"
        save_file(weights, file)
        model.load_state_dict({name: value.float() for name, value in weights.items()}, strict=False)
        row = {"width": width, "parameters": model.num_parameters(), **evaluate(model), "bytes": file.stat().st_size}
        results.append(row | {"steps": wanted.steps, "seconds": round(time.monotonic() - start)})
        print(results[-1], flush=True)
        (wanted.out / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
