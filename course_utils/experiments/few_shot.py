"""In-context learning, measured: labelled examples in the prompt, and the log-probability of every label after them.

Lesson: 01 · What LLMs can do
"""

import itertools
from collections import defaultdict
from collections.abc import Sequence

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from course_utils.engine.prefill_decode import AnyCache, copy_cache, decode_step, new_cache, next_logits
from course_utils.experiments.shots import Draw, shot_text


def label_log_probabilities(
    model: PreTrainedModel,
    cache: AnyCache,
    queries: Sequence[Sequence[Sequence[int]]],
    labels: Sequence[Sequence[Sequence[int]]],
) -> torch.Tensor:
    """Return the log-probability of every label after every query, `(prompt, query, label)`: the sum over its tokens.

    The prompts before the queries are in `cache`, are not read again, and `cache` stays as it is.

    Args:
        model: A causal LM of `transformers` with a KV cache.
        cache: The prompts, read by `prefill`, one per row; it may be empty.
        queries: For each prompt, the token ids of each text to be labelled, up to the place of the label.
        labels: For each prompt, the token ids of each label.

    Raises:
        ValueError: A query or a label has no token, there are none, or one prompt has more of them than another.

    Source: Brown et al. (2020), Language Models are Few-Shot Learners, section 2.4.

    >>> from course_utils.engine.prefill_decode import prefill
    >>> from course_utils.models import load_causal_lm
    >>> smollm = load_causal_lm()
    >>> _, cache = prefill(smollm.model, smollm.encode("The capital of"))
    >>> queries, labels = [[smollm.tokenizer(text).input_ids for text in row] for row in (
    ...     [" France is", " Italy is"], [" Paris", " Rome"])]
    >>> label_log_probabilities(smollm.model, cache, [queries], [labels]).argmax(-1)
    tensor([[0, 1]])
    """
    for name, prompts in (("queries", queries), ("labels", labels)):
        if not all(own and all(own) for own in prompts) or len({len(own) for own in prompts}) != 1:
            raise ValueError(
                f"{name} must be equally many for each prompt, and each must have at least one token, got {prompts}"
            )
    scores = torch.empty(len(queries), len(queries[0]), len(labels[0]))
    alike = defaultdict(list)  # what is equally long shares a batch, so nothing is padded
    for prompt, own in enumerate(queries):
        for query, tokens in enumerate(own):
            alike[len(tokens), *map(len, labels[prompt])].append((prompt, query))
    for pairs in alike.values():
        prompts, places = zip(*pairs, strict=True)
        after = copy_cache(cache, prompts)
        logits = next_logits(model, torch.tensor([queries[prompt][place] for prompt, place in pairs]), after)
        for column in range(scores.shape[-1]):
            label = torch.tensor([labels[prompt][column] for prompt in prompts], device=logits.device)
            scores[prompts, places, column] = _one_label(model, logits, copy_cache(after), label).cpu()
    return scores


def _one_label(model: PreTrainedModel, logits: torch.Tensor, cache: AnyCache, label: torch.Tensor) -> torch.Tensor:
    """Log-probability of one label `(batch, seq)` for each text in the cache, `(batch,)`."""
    total = logits.log_softmax(-1).gather(1, label[:, :1])
    for place in range(1, label.shape[1]):
        logits = decode_step(model, label[:, place - 1], cache)
        total = total + logits.log_softmax(-1).gather(1, label[:, place : place + 1])
    return total[:, 0]


def score_after_shots(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    draws: Sequence[Draw],
    names: Sequence[Sequence[str]],
    instruction: str,
    counts: Sequence[int] = (0, 1, 2, 4, 8),
) -> torch.Tensor:
    r"""Return the log-probability of every label for every test of each of `draws`, after 0, 1, 2, … shots.

    A prompt of eight shots begins with the prompt of four: one KV cache grows, and no shot is read twice. The
    instruction is read once for all draws. Draws whose texts have equally many tokens are read together, and those that
    begin alike and have the same tests are read once, up to the shot where they part.

    Args:
        model: A causal LM of `transformers` with a KV cache.
        draws: Equally many tests in each.
        names: What each class is called in the prompt. With more than one set of names, they take turns: the first
            draw has the first set, the second draw the second one, and so on.
        instruction: The first line of the prompt; 0 shots are this line alone.
        counts: Numbers of shots, rising.

    Returns:
        `(draw, count, test, label)`.

    Raises:
        ValueError: `counts` do not rise from 0 or more to at most the number of shots, or one draw has more tests than
            another.

    >>> from course_utils.models import load_causal_lm
    >>> smollm, draw = load_causal_lm(), Draw([("The cake is sweet", 0)], [("More salt", 0), ("A goal", 1)])
    >>> topics = ["food", "sport"]
    >>> score_after_shots(smollm.model, smollm.tokenizer, [draw], [topics], "Topics\n", counts=[0, 1]).shape
    torch.Size([1, 2, 2, 2])
    """
    most = min((len(draw.shots) for draw in draws), default=0)
    if list(counts) != sorted({*counts}) or not counts or counts[0] < 0 or counts[-1] > most:
        raise ValueError(f"counts must rise from at least 0 to at most {most}, got {list(counts)}")
    if len(tests := {len(draw.tests) for draw in draws}) != 1:
        raise ValueError(f"draws must have equally many tests, got {sorted(tests)}")
    names = [names[number % len(names)] for number in range(len(draws))]
    queries = [[tokenizer(shot_text(text)).input_ids for text, _ in draw.tests] for draw in draws]
    labels = [[tokenizer(f" {name}").input_ids for name in own] for own in names]
    pieces = [_pieces(tokenizer, draw, own, counts) for draw, own in zip(draws, names, strict=True)]
    alike = defaultdict(list)
    for row, own in enumerate(pieces):
        alike[tuple(map(len, own))].append(row)
    scores, start = torch.empty(len(draws), len(counts), len(queries[0]), len(labels[0])), new_cache(model)
    if begin := tokenizer(instruction).input_ids:
        next_logits(model, torch.tensor([begin]), start)
    for rows in alike.values():
        scores[rows] = _read_together(model, start, *([own[row] for row in rows] for own in (pieces, queries, labels)))
    return scores


def _read_together(
    model: PreTrainedModel, cache: AnyCache, pieces: list[list], queries: list[list], labels: list[list]
) -> torch.Tensor:
    """Score draws whose pieces are equally long, after each piece: `(draw, count, test, label)`."""
    places, scores = [0] * len(pieces), []
    for count in range(len(pieces[0])):
        # Draws that have been the same so far, tests included, are read as one.
        so_far = [str((own[: count + 1], *rest)) for own, *rest in zip(pieces, queries, labels, strict=True)]
        different = list(dict.fromkeys(so_far))
        firsts = [so_far.index(one) for one in different]
        cache = copy_cache(cache, [places[row] for row in firsts])
        places = [different.index(one) for one in so_far]
        if pieces[0][count]:  # for no shots, the instruction was all
            next_logits(model, torch.tensor([pieces[row][count] for row in firsts]), cache)
        asked = ([own[row] for row in firsts] for own in (queries, labels))
        scores.append(label_log_probabilities(model, cache, *asked)[places])
    return torch.stack(scores, dim=1)


def _pieces(
    tokenizer: PreTrainedTokenizerBase, draw: Draw, names: Sequence[str], counts: Sequence[int]
) -> list[list[int]]:
    """Token ids of what comes to the instruction for each of `counts`: the shots since the last one."""
    lines = [shot_text(text, names[label]) for text, label in draw.shots]
    return [tokenizer("".join(lines[start:end])).input_ids for start, end in itertools.pairwise([0, *counts])]


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
