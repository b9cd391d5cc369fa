"""Each head of SmolLM2 switched off alone, as *All 270 heads* shows it: `python -m benchmarks.heads --record`.

It takes some minutes. The numbers don't depend on how fast the machine is.
"""

import argparse
import datetime
import json
from pathlib import Path

import torch

import course_utils
from course_utils.experiments.copying import repeated_tokens, rises_without
from course_utils.experiments.intervals import means_and_intervals
from course_utils.models import CausalLM, load_causal_lm

RECORD = Path(course_utils.__file__).parent / "experiments" / "texts" / "head_rises.json"
TEXTS, SEED = 24, 2  # other texts than those of the lesson, which used the seeds 0 and 1


def main() -> None:
    """Measure, print the heads that matter most, and with --record write the file that the notebook reads."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--record", action="store_true", help=f"write {RECORD.name}")
    arguments = parser.parse_args()
    found = measure(load_causal_lm())
    means = torch.tensor(found["second"])[..., 0]
    for place in means.flatten().topk(10).indices.tolist():
        layer, head = divmod(place, means.shape[1])
        print(f"{layer}.{head}", *(f"{half} {found[half][layer][head]}" for half in ("first", "second")))
    if arguments.record:
        RECORD.write_text(json.dumps(found).replace("]], [[", "]],\n[[") + "\n", encoding="utf-8")  # a layer per line


def measure(smollm: CausalLM) -> dict:
    """Switch each head off alone; keep how much the loss of either half rises: mean, lower and upper end."""
    layers, heads = smollm.model.config.num_hidden_layers, smollm.model.config.num_attention_heads
    choices = [[(layer, head)] for layer in range(layers) for head in range(heads)]
    found = {}
    rises = rises_without(smollm.model, choices, repeated_tokens(TEXTS, seed=SEED))
    for half, values in zip(("first", "second"), rises, strict=True):
        rows = [[round(number, 3) for number in each] for each in means_and_intervals(values).tolist()]
        found[half] = [rows[layer * heads : (layer + 1) * heads] for layer in range(layers)]
    about = {"model": smollm.name, "texts": TEXTS, "seed": SEED, "day": datetime.date.today().isoformat()}
    return {"about": about, **found}


if __name__ == "__main__":
    main()
