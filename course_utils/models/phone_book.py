"""Tiny models of rising size that learned the same phone book by heart: what a metric makes of their progress.

A small model cannot hold a thousand random numbers, a large one can. In between, the share of right digits climbs
slowly, and the share of numbers that are right from the first digit to the last jumps.

Lesson: 01 · What LLMs can do
"""

import random
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import GPT2Config, GPT2LMHeadModel

FILE = Path(__file__).with_name("phone_book.safetensors")
CHARACTERS = "0123456789abcdefghijklmnopqrstuvwxyz"  # the vocabulary: a token is a character, its id the place in here
NAMES, NAME, NUMBER = 1000, 3, 6  # how many names, letters of a name, digits of a number


def phone_book() -> dict[str, str]:
    """Return a thousand invented names and their random numbers, the same on every machine.

    Lesson: 01 · What LLMs can do

    >>> list(phone_book().items())[:2]
    [('suy', '953688'), ('yuw', '181718')]
    """
    chance = random.Random(0)
    consonants, vowels = "bcdfghjklmnpqrstvwxyz", "aeiou"
    every = [a + b + c for a in consonants for b in vowels for c in consonants]
    chance.shuffle(every)
    return {name: "".join(chance.choice("0123456789") for _ in range(NUMBER)) for name in every[:NAMES]}


def phone_book_ids() -> torch.Tensor:
    """Return every name and its number as token ids, `(name, character)`.

    Lesson: 01 · What LLMs can do

    >>> phone_book_ids().shape
    torch.Size([1000, 9])
    """
    return torch.tensor([[CHARACTERS.index(letter) for letter in name + call] for name, call in phone_book().items()])


def new_phone_book_model(width: int) -> GPT2LMHeadModel:
    """Build an untrained model: GPT-2's architecture (Radford et al. 2019) with two layers of `width`.

    Lesson: 01 · What LLMs can do

    >>> new_phone_book_model(8).num_parameters()
    2120
    """
    sizes = {"vocab_size": len(CHARACTERS), "n_positions": NAME + NUMBER, "n_embd": width, "n_layer": 2}
    off = {"resid_pdrop": 0, "embd_pdrop": 0, "attn_pdrop": 0, "bos_token_id": None, "eos_token_id": None}
    return GPT2LMHeadModel(GPT2Config(**sizes, n_head=1, **off))


@cache
def phone_book_models() -> dict[int, GPT2LMHeadModel]:
    """Load the trained models by their width, the smallest first.

    Lesson: 01 · What LLMs can do

    >>> sizes = [model.num_parameters() for model in phone_book_models().values()]
    >>> sizes == sorted(sizes)
    True
    """
    weights: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in load_file(FILE).items():
        width, own = name.split("/", 1)
        weights.setdefault(int(width), {})[own] = value.float()
    models = {}
    for width in sorted(weights):
        models[width] = new_phone_book_model(width).eval().requires_grad_(False)
        models[width].load_state_dict(weights[width] | {"lm_head.weight": weights[width]["transformer.wte.weight"]})
    return models


@dataclass(frozen=True)
class Recall:
    """How much of the phone book a model knows.

    Args:
        digits: Share of digits that are right when all digits before them are given.
        numbers: Share of numbers that the model writes without any mistake.
        bits: What the model knows, in bits: how much its probabilities shorten the numbers.

    Lesson: 01 · What LLMs can do
    """

    digits: float
    numbers: float
    bits: float


@torch.inference_mode()
def recall(model: GPT2LMHeadModel) -> Recall:
    """Ask a model for every number of the phone book.

    It writes a number without a mistake just if each digit is its likeliest after the right ones: one pass tells both.

    Lesson: 01 · What LLMs can do

    >>> nothing = recall(new_phone_book_model(4))
    >>> nothing.digits < 0.2 and nothing.numbers < 0.01
    True
    """
    ids = phone_book_ids()
    logits, wanted = model(ids[:, :-1]).logits[:, NAME - 1 :], ids[:, NAME:]
    surprise = -logits.log_softmax(-1).gather(-1, wanted[..., None]).sum().item() / torch.tensor(2.0).log().item()
    right = logits.argmax(-1) == wanted
    return Recall(
        digits=right.float().mean().item(),
        numbers=right.all(1).float().mean().item(),
        bits=wanted.numel() * torch.tensor(10.0).log2().item() - surprise,
    )
