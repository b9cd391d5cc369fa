"""Text that SmolLM2 writes for the masked-word head: the large model's sentences teach the small one (distillation).

`python -m training.written --data DIR --minutes 40` adds lines to `DIR/plain_text/written.jsonl.gz`. Every text begins
with an opening made of a sentence frame and common words: what things are, what they are for, where places lie, what
people do, and the ways in which encyclopaedias begin.
"""

import argparse
import gzip
import itertools
import json
import random
import re
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerBase

from course_utils.files import full_path
from course_utils.models import load_causal_lm
from training.data import plain_words

OPENINGS: dict = json.loads(Path(__file__).with_name("openings.json").read_text(encoding="utf-8"))
BATCH = 48  # texts written at once
LENGTH = 56  # tokens per text
SETTINGS = {"do_sample": True, "temperature": 0.6, "top_k": 40, "top_p": 1.0}


def openings(seed: int = 0) -> Iterator[str]:
    """Yield openings without end, frames in turn, words by chance.

    >>> next(openings())[0].isupper()
    True
    """
    chance = random.Random(seed)
    for frame in itertools.cycle(OPENINGS["frames"]):
        opening = frame.format_map({name: chance.choice(words) for name, words in OPENINGS["fillings"].items()})
        yield re.sub(r"\b([Aa]) (?=[aeio])", r"\1n ", opening)


def readable(text: str) -> str:
    """Return the whole sentences at the beginning of `text`, or "" if it repeats itself or is no prose.

    >>> readable("Rain falls from the clouds above. It wets the")
    'Rain falls from the clouds above.'
    >>> readable("Rain is rain is rain is rain is rain is rain.")
    ''
    """
    text = " ".join(text.split("\n\n")[0].split())
    end = max(text.rfind(mark) for mark in ".!?")
    text = text[: end + 1]
    words = plain_words(text)
    threes = list(zip(words, words[1:], words[2:], strict=False))
    repeats = len(threes) - len(set(threes))
    prose = sum(char.isalpha() or char in " .,;:'-!?" for char in text) > 0.9 * len(text)
    return text if len(words) > 5 and prose and repeats <= len(threes) // 12 else ""


@torch.inference_mode()
def write(model: torch.nn.Module, tokenizer: PreTrainedTokenizerBase, beginnings: list[str]) -> list[str]:
    """Let the model go on from every beginning; return what is readable of it."""
    prompts = tokenizer(beginnings, return_tensors="pt", padding=True, padding_side="left")
    ids = model.generate(**prompts, max_new_tokens=LENGTH, pad_token_id=tokenizer.eos_token_id, **SETTINGS)
    return [text for text in map(readable, tokenizer.batch_decode(ids, skip_special_tokens=True)) if text]


def main() -> None:
    """Write texts for so many minutes."""
    parser = argparse.ArgumentParser(prog="python -m training.written", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=full_path, required=True, help="the folder of the data sets")
    parser.add_argument("--minutes", type=float, default=40)
    parser.add_argument("--seed", type=int, default=0)
    wanted = parser.parse_args()
    causal_lm = load_causal_lm()
    torch.manual_seed(wanted.seed)
    source = openings(wanted.seed)
    (wanted.data / "plain_text").mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + 60 * wanted.minutes
    while time.monotonic() < end:
        texts = write(causal_lm.model, causal_lm.tokenizer, list(itertools.islice(source, BATCH)))
        with gzip.open(wanted.data / "plain_text" / "written.jsonl.gz", "at", encoding="utf-8") as stream:
            stream.writelines(json.dumps({"text": text}) + "\n" for text in texts)


if __name__ == "__main__":
    main()
