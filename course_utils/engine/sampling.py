"""From logits to a drawn token: temperature, top-k, top-p, min-p, in any order.

Every filter takes logits `(..., vocab)` and returns logits of the same shape; a token it removes gets −∞, so
its probability after the softmax is exactly 0. The order of the filters is data, because tools disagree on it.

Lesson: 11 · Sampling
"""

import math
from collections.abc import Callable, Sequence

import torch

from course_utils.engine.arguments import check_min_p, check_temperature, check_top_k, check_top_p, check_whole

REMOVED = float("-inf")
ROUNDING = 1e-5  # 0.5 + 0.3 of 32-bit logits is a hair below 0.8: a token needed for that hair only isn't needed


def apply_temperature(logits: torch.Tensor, temperature: float) -> torch.Tensor:
    """Divide logits `(..., vocab)` by `temperature`: below 1 sharpens, above 1 flattens, 0 keeps the best only.

    Raises:
        ValueError: `temperature` is negative, infinite or not a number.

    Equals `TemperatureLogitsWarper` for every temperature it accepts (it refuses 0).

    >>> apply_temperature(torch.tensor([2.0, 1.0]), 0.5)
    tensor([4., 2.])
    >>> apply_temperature(torch.tensor([2.0, 1.0]), 0)
    tensor([2., -inf])
    """
    temperature = check_temperature(temperature)
    if temperature == 0:
        best = logits.argmax(-1, keepdim=True)
        return torch.full_like(logits, REMOVED).scatter(-1, best, logits.gather(-1, best))
    divided = logits / temperature
    fits = (divided.isfinite() | ~logits.isfinite()).all(-1, keepdim=True)
    # Near 0 the numbers outgrow their format. Only differences count, so the best logit may as well be 0.
    best = logits.amax(-1, keepdim=True)
    return torch.where(fits, divided, torch.where(logits == best, 0, (logits - best) / temperature))


def apply_top_k(logits: torch.Tensor, top_k: int) -> torch.Tensor:
    """Keep the `top_k` largest logits of `(..., vocab)`, and what ties with the last of them.

    Raises:
        ValueError: `top_k` is not a whole number of at least 1.

    Source: Fan, Lewis and Dauphin (2018), Hierarchical Neural Story Generation. Equals `TopKLogitsWarper`.

    >>> apply_top_k(torch.tensor([3.0, 1.0, 2.0]), 2)
    tensor([3., -inf, 2.])
    """
    top_k = check_top_k(top_k)
    smallest_kept = logits.topk(min(top_k, logits.shape[-1])).values[..., -1:]
    return logits.masked_fill(logits < smallest_kept, REMOVED)


def apply_top_p(logits: torch.Tensor, top_p: float) -> torch.Tensor:
    """Keep the smallest set of tokens whose probabilities add up to at least `top_p`, of `(..., vocab)`.

    Raises:
        ValueError: `top_p` is not in (0, 1].

    Source: Holtzman et al. (2020), The Curious Case of Neural Text Degeneration. Equals `TopPLogitsWarper`, except
    where the rounding of its 32-bit sums decides about a token.

    >>> apply_top_p(torch.tensor([0.5, 0.3, 0.2]).log(), 0.7).softmax(-1)
    tensor([0.6250, 0.3750, 0.0000])
    """
    top_p = check_top_p(top_p)
    ascending = logits.sort(-1)
    shares = ascending.values.softmax(-1, dtype=torch.float32 if logits.is_mps else torch.float64)  # MPS has no float64
    # Summed from the bottom: a token goes when everything up to and including it is not needed.
    unneeded = shares.cumsum(-1) - ROUNDING * shares <= 1 - top_p
    unneeded[..., -1] = False  # the most likely token always stays
    return logits.masked_fill(unneeded.scatter(-1, ascending.indices, unneeded), REMOVED)


def apply_min_p(logits: torch.Tensor, min_p: float) -> torch.Tensor:
    """Keep tokens at least `min_p` times as likely as the most likely one, of `(..., vocab)`.

    Raises:
        ValueError: `min_p` is not in [0, 1].

    Source: Nguyen et al. (2024), Turning Up the Heat: Min-p Sampling. Equals `MinPLogitsWarper`.

    >>> apply_min_p(torch.tensor([0.6, 0.3, 0.1]).log(), 0.4).softmax(-1)
    tensor([0.6667, 0.3333, 0.0000])
    """
    min_p = check_min_p(min_p)
    probabilities = logits.softmax(-1)
    best = probabilities.amax(-1, keepdim=True)
    # A rounding error must not remove the best token itself when min_p is 1.
    return logits.masked_fill((probabilities < min_p * best) & (probabilities < best), REMOVED)


FILTERS: dict[str, Callable[[torch.Tensor, float], torch.Tensor]] = {
    "temperature": apply_temperature, "top_k": apply_top_k, "top_p": apply_top_p, "min_p": apply_min_p
}  # fmt: skip
CHECKS = {"temperature": check_temperature, "top_k": check_top_k, "top_p": check_top_p, "min_p": check_min_p}


def filter_stages(logits: torch.Tensor, filters: Sequence[tuple[str, float]]) -> list[torch.Tensor]:
    """Apply `filters` one after the other; return the logits before the first and after each, `(..., vocab)` all.

    A filter is a pair of a name in `FILTERS` and its setting.

    Raises:
        ValueError: A name is unknown, or a setting is out of its range.

    >>> stages = filter_stages(torch.tensor([3.0, 1.0, 2.0]), [("top_k", 2), ("temperature", 0.5)])
    >>> stages[-1]
    tensor([6., -inf, 4.])
    """
    stages = [logits]
    for name, setting in filters:
        check_filter_name(name)  # each filter checks its own setting
        stages.append(FILTERS[name](stages[-1], setting))
    return stages


def draw(probabilities: torch.Tensor, count: int, seed: int) -> torch.Tensor:
    """Draw `count` token ids `(count,)` from `probabilities` `(vocab,)`, the same ones for the same `seed`.

    Raises:
        ValueError: `count` is not a whole number of at least 1.

    Equals `torch.multinomial` with replacement on float64 probabilities under a generator with this seed, for
    two draws and more (for a single draw torch takes another way with the same odds).

    >>> draw(torch.tensor([0.0, 1.0, 0.0]), count=3, seed=0)
    tensor([1, 1, 1])
    """
    count = check_whole("count", count, 1)
    edges = probabilities.cpu().double().cumsum(-1)
    # Each number between 0 and 1 falls into one token's stretch of the line; a longer stretch is hit more.
    return torch.searchsorted(edges / edges[-1], uniform_numbers(count, seed)).clamp(max=len(edges) - 1)


def draw_next(
    logits: torch.Tensor, filters: Sequence[tuple[str, float]] = (), generator: torch.Generator | None = None
) -> torch.Tensor:
    """Filter logits `(batch, vocab)` and draw one token id for each row, `(batch,)`.

    The chance comes from `generator`; None is torch's own, which `torch.manual_seed` sets.

    Raises:
        ValueError: As `filter_stages`; or a row has no token left, or is not all numbers.

    Equals a step of `generate(do_sample=True)` under the same generator, with the filters in its order:
    temperature, top-k, top-p, min-p. Temperature 0 is greedy.

    >>> draw_next(torch.tensor([[0.0, 9.0, 3.0]]), [("temperature", 0)])
    tensor([1])
    """
    probabilities = filter_stages(logits, filters)[-1].softmax(-1)
    if probabilities.isnan().any():
        raise ValueError("logits must leave at least one token to draw in every row, got none (or nan)")
    return torch.multinomial(probabilities, num_samples=1, generator=generator)[:, 0]


def uniform_numbers(count: int, seed: int) -> torch.Tensor:
    """Return `count` numbers in [0, 1), float64 `(count,)`, the same ones for the same `seed`.

    >>> uniform_numbers(2, seed=0).shape
    torch.Size([2])
    """
    return torch.rand(count, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def entropy_bits(logits: torch.Tensor) -> torch.Tensor:
    """Return the entropy of the distribution that logits `(..., vocab)` stand for, in bits, `(...)`.

    Source: Shannon (1948), A Mathematical Theory of Communication.

    >>> round(entropy_bits(torch.zeros(8)).item(), 3)
    3.0
    """
    probabilities = logits.softmax(-1)
    return torch.special.entr(probabilities).sum(-1) / math.log(2)


def check_filter_name(name: str) -> None:
    """Raise a ValueError in one sentence unless `FILTERS` has `name`."""
    if name not in FILTERS:
        raise ValueError(f"filters must be named one of {list(FILTERS)}, got {name!r}")


def check_filter(name: str, setting: float) -> float:
    """Return `setting`; raise a ValueError in one sentence unless `FILTERS` has `name` and it allows `setting`."""
    check_filter_name(name)
    return CHECKS[name](setting)
