"""A language model small enough to be trained while you watch: characters for tokens, two layers, one short text.

Lesson: 06 · Pre-training and fine-tuning
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from course_utils.engine.arguments import check_whole
from course_utils.experiments.losses import causal_lm_loss

CONTEXT = 64  # characters that the tiny model reads at once


def new_tiny_model(vocabulary: int, width: int = 64, layers: int = 2, seed: int = 0) -> LlamaForCausalLM:
    """Build an untrained Llama, the architecture of SmolLM2, with random weights.

    Args:
        vocabulary: How many tokens it knows.
        width: Numbers in a vector; a multiple of 8, as there are 4 heads.
        seed: What decides the random weights.

    Source: Touvron et al. (2023), LLaMA: Open and Efficient Foundation Language Models.

    >>> new_tiny_model(50).num_parameters()
    110016
    """
    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=width, intermediate_size=3 * width, num_hidden_layers=layers,
        num_attention_heads=4, max_position_embeddings=CONTEXT, tie_word_embeddings=True,
        bos_token_id=None, eos_token_id=None, pad_token_id=None,
    )  # fmt: skip
    with torch.random.fork_rng():  # the learner's own random numbers stay as they are
        torch.manual_seed(seed)
        return LlamaForCausalLM(config)


def cut_windows(ids: torch.Tensor, length: int = CONTEXT) -> torch.Tensor:
    """Cut a text into windows side by side, `(window, length)`; what is left over at the end is dropped.

    Raises:
        ValueError: The text is shorter than one window.

    >>> cut_windows(torch.arange(7), length=3)
    tensor([[0, 1, 2],
            [3, 4, 5]])
    """
    if len(ids) < length:
        raise ValueError(f"ids must have at least {length} tokens, got {len(ids)}")
    return ids[: len(ids) // length * length].view(-1, length)


def random_windows(ids: torch.Tensor, windows: int, seed: int, length: int = CONTEXT) -> Iterator[torch.Tensor]:
    """Yield batches of windows from random places of a text, `(windows, length)`, without end.

    Raises:
        ValueError: The text is shorter than one window.

    >>> next(random_windows(torch.arange(100), windows=2, seed=0, length=3)).diff()
    tensor([[1, 1],
            [1, 1]])
    """
    if len(ids) < length:
        raise ValueError(f"ids must have at least {length} tokens, got {len(ids)}")
    chance = torch.Generator().manual_seed(seed)
    while True:
        starts = torch.randint(len(ids) - length + 1, (windows, 1), generator=chance)
        yield ids[starts + torch.arange(length)]


class LossCurve(NamedTuple):
    """What a training run measured.

    Args:
        train: The loss of every step's batch, before the step.
        held_out: The loss on text that was not trained on, by the number of steps done.

    >>> LossCurve([3.9, 3.5], {0: 3.9, 2: 3.4}).held_out[2]
    3.4
    """

    train: list[float]
    held_out: dict[int, float]


@torch.no_grad()
def mean_loss(model: LlamaForCausalLM, windows: torch.Tensor) -> float:
    """Return the mean loss of a causal LM over windows `(window, length)`, in nats per token.

    >>> 3 < mean_loss(new_tiny_model(50), torch.arange(48).view(4, 12)) < 5
    True
    """
    return causal_lm_loss(model(windows).logits, windows).item()


def train_tiny_model(
    model: LlamaForCausalLM,
    batches: Iterator[torch.Tensor],
    held_out: torch.Tensor,
    steps: int,
    learning_rate: float = 5e-3,
    measure_every: int = 25,
) -> LossCurve:
    """Train a causal LM for some steps with AdamW; measure the loss on held-out text on the way.

    The learning rate grows to its full value over the first 20 steps.

    Args:
        model: Is trained in place.
        batches: Token ids `(batch, seq)`, one batch per step.
        held_out: Windows `(window, length)` that are only measured.
        learning_rate: How far each step goes.
        measure_every: Steps from one measurement of the held-out text to the next.

    Raises:
        ValueError: `steps` is not a whole number of at least 1.

    Source: Loshchilov and Hutter (2019), Decoupled Weight Decay Regularization (AdamW).

    >>> ids = torch.arange(4).repeat(50)
    >>> curve = train_tiny_model(new_tiny_model(4, width=16), random_windows(ids, 4, 0, 12), ids.view(-1, 10), steps=30)
    >>> curve.held_out[30] < 0.5 < curve.held_out[0]
    True
    """
    steps = check_whole("steps", steps, 1)
    optimizer = torch.optim.AdamW(model.parameters(), learning_rate)
    warm_up = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1, (step + 1) / 20))
    curve = LossCurve([], {0: mean_loss(model, held_out)})
    for step in range(1, steps + 1):
        ids = next(batches)
        loss = causal_lm_loss(model(ids).logits, ids)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        warm_up.step()
        curve.train.append(loss.item())
        if step % measure_every == 0 or step == steps:
            curve.held_out[step] = mean_loss(model, held_out)
    return curve
