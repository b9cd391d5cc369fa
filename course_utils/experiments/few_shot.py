"""In-context learning, measured: labelled examples in the prompt, and the log-probability of every label after them.

Lesson: 01 · What LLMs can do
"""

import itertools
from collections.abc import Sequence

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from course_utils.engine.prefill_decode import AnyCache, copy_cache, decode_step, new_cache, next_logits
from course_utils.experiments.intervals import bootstrap_interval
from course_utils.experiments.shots import Draw, shot_text


def label_log_probabilities(
    model: PreTrainedModel, cache: AnyCache, queries: Sequence[Sequence[int]], labels: Sequence[Sequence[int]]
) -> torch.Tensor:
    """Return the log-probability of every label after every query, `(query, label)`: the sum over its tokens.

    The prompt before the queries is in `cache`, is not read again, and `cache` stays as it is.

    Args:
        model: A causal LM of `transformers` with a KV cache.
        cache: The prompt, read by `prefill`; it may be empty.
        queries: Token ids of each text to be labelled, up to the place of the label.
        labels: Token ids of each label.

    Raises:
        ValueError: A query or a label has no token, or there are none.

    Source: Brown et al. (2020), Language Models are Few-Shot Learners, section 2.4.

    >>> from course_utils.engine.prefill_decode import prefill
    >>> from course_utils.models import load_causal_lm
    >>> smollm = load_causal_lm()
    >>> _, cache = prefill(smollm.model, smollm.encode("The capital of"))
    >>> queries, labels = [[smollm.tokenizer(text).input_ids for text in row] for row in (
    ...     [" France is", " Italy is"], [" Paris", " Rome"])]
    >>> label_log_probabilities(smollm.model, cache, queries, labels).argmax(-1)
    tensor([0, 1])
    """
    for name, rows in (("queries", queries), ("labels", labels)):
        if not rows or not all(rows):
            raise ValueError(f"{name} must each have at least one token, got {[list(row) for row in rows]}")
    scores = torch.empty(len(queries), len(labels))
    for length in sorted({len(query) for query in queries}):  # equal lengths share a batch, so nothing is padded
        rows = [row for row, query in enumerate(queries) if len(query) == length]
        own = copy_cache(cache, len(rows))
        logits = next_logits(model, torch.tensor([queries[row] for row in rows]), own)
        for column, label in enumerate(labels):
            scores[rows, column] = _one_label(model, logits, copy_cache(own), label).cpu()
    return scores


def _one_label(model: PreTrainedModel, logits: torch.Tensor, cache: AnyCache, tokens: Sequence[int]) -> torch.Tensor:
    """Log-probability of one label after what is in the cache, `(batch,)`."""
    total = logits.log_softmax(-1)[:, tokens[0]]
    for before, token in itertools.pairwise(tokens):
        logits = decode_step(model, torch.full((len(logits),), before), cache)
        total = total + logits.log_softmax(-1)[:, token]
    return total


def score_after_shots(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    draw: Draw,
    names: Sequence[str],
    instruction: str,
    counts: Sequence[int] = (0, 1, 2, 4, 8),
) -> torch.Tensor:
    r"""Return the log-probability of every label for every test of `draw`, after 0, 1, 2, … shots.

    A prompt of eight shots begins with the prompt of four: one KV cache grows, and no shot is read twice.

    Args:
        model: A causal LM of `transformers` with a KV cache.
        names: What each class is called in the prompt.
        instruction: The first line of the prompt; 0 shots are this line alone.
        counts: Numbers of shots, rising.

    Returns:
        `(count, test, label)`.

    Raises:
        ValueError: `counts` do not rise from 0 or more to at most the number of shots.

    >>> from course_utils.models import load_causal_lm
    >>> smollm, draw = load_causal_lm(), Draw([("The cake is sweet", 0)], [("More salt", 0), ("A goal", 1)])
    >>> score_after_shots(smollm.model, smollm.tokenizer, draw, ["food", "sport"], "Topics\n", counts=[0, 1]).shape
    torch.Size([2, 2, 2])
    """
    if list(counts) != sorted({*counts}) or not counts or counts[0] < 0 or counts[-1] > len(draw.shots):
        raise ValueError(f"counts must rise from at least 0 to at most {len(draw.shots)}, got {list(counts)}")
    lines = [instruction, *(shot_text(text, names[label]) for text, label in draw.shots)]
    queries = [tokenizer(shot_text(text)).input_ids for text, _ in draw.tests]
    labels = [tokenizer(f" {name}").input_ids for name in names]
    cache, read, scores = new_cache(model), 0, []
    for count in counts:
        unread = "".join(lines[read : count + 1])
        next_logits(model, tokenizer(unread, return_tensors="pt").input_ids, cache)
        read = count + 1
        scores.append(label_log_probabilities(model, cache, queries, labels))
    return torch.stack(scores)


def calibrated(scores: torch.Tensor) -> torch.Tensor:
    """Take away how much the model likes each label anyway: its mean over the texts to be labelled.

    This assumes that the classes are equally frequent. It uses the texts, and not their true labels.

    Args:
        scores: Log-probabilities `(..., test, label)`.

    Source: after Zhao et al. (2021), Calibrate Before Use, and Zhou et al. (2023), Batch Calibration.

    >>> calibrated(torch.tensor([[-1.0, -4.0], [-3.0, -4.0]])).argmax(-1)
    tensor([0, 1])
    """
    return scores - scores.mean(-2, keepdim=True)


def share_right(scores: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Return the share of texts whose best label is the right one, `(draw, count)`.

    Args:
        scores: `(draw, count, test, label)`.
        truth: The right label of every text, `(draw, test)`.

    Raises:
        ValueError: The shapes do not fit.

    >>> share_right(torch.tensor([[[[0.0, -1.0], [-2.0, -3.0]]]]), torch.tensor([[0, 1]]))
    tensor([[0.5000]])
    """
    if scores.ndim != 4 or truth.shape != (scores.shape[0], scores.shape[2]):
        raise ValueError(
            f"scores must have shape (draw, count, test, label) and truth (draw, test), "
            f"got {tuple(scores.shape)} and {tuple(truth.shape)}"
        )
    return (scores.argmax(-1) == truth[:, None]).float().mean(-1)


def mean_intervals(shares: torch.Tensor) -> torch.Tensor:
    """Return both ends of the 95 % interval of each mean over draws, `(count, 2)`, by the bootstrap over draws.

    Args:
        shares: One number per draw and count, `(draw, count)`.

    Raises:
        ValueError: There are fewer than two draws.

    >>> mean_intervals(torch.tensor([[0.5, 0.8], [0.5, 1.0]]))
    tensor([[0.5000, 0.5000],
            [0.8000, 1.0000]])
    """
    return torch.tensor([bootstrap_interval(column) for column in shares.T.tolist()])
