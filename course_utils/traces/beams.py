"""A beam search: every token that was considered, and what became of it."""

from dataclasses import dataclass

import numpy as np

from course_utils.inference.beam_search import BeamTree
from course_utils.inference.generate import generate, search_beams
from course_utils.inference.settings import GenerationSettings
from course_utils.models import CausalLM
from course_utils.traces.base import Trace


@dataclass(frozen=True)
class BeamTrace(Trace):
    """The tree of one beam search, node by node in the order of search, with greedy's text beside it.

    Args:
        model: Name of the model that ran.
        prompt: What it read.
        num_beams: Number of beams.
        length_penalty: Scores are divided by length to this power.
        early_stopping: "True", "False" or "never".
        tokens: Every node's token as visible text.
        fates: Every node's fate: "kept", "finished" or "pruned".
        ids: Token ids, int64 `(node,)`.
        steps: From 1, int64 `(node,)`.
        parents: Index of the node before, −1 for the prompt, int64 `(node,)`.
        scores: Sum of log-probabilities, float64 `(node,)`.
        finished: Nodes where the finished texts end, best first, int64 `(text,)`.
        finished_scores: Their scores with the length penalty, float64 `(text,)`.
        greedy: The token ids that greedy search chooses, int64 `(token,)`.

    Raises:
        ValueError: The arrays do not have one row a node.

    Lesson: 13 · Beam search

    >>> node = {name: np.zeros(1, int) for name in ("ids", "steps", "parents", "scores")}
    >>> end = {name: np.zeros(1, int) for name in ("finished", "finished_scores", "greedy")}
    >>> BeamTrace("toy", "a", 2, 1.0, "never", ("x",), ("finished",), **node, **end).fates
    ('finished',)
    """

    model: str
    prompt: str
    num_beams: int
    length_penalty: float
    early_stopping: str
    tokens: tuple[str, ...]
    fates: tuple[str, ...]
    ids: np.ndarray
    steps: np.ndarray
    parents: np.ndarray
    scores: np.ndarray
    finished: np.ndarray
    finished_scores: np.ndarray
    greedy: np.ndarray

    def __post_init__(self) -> None:
        self.check_rows("node", len(self.tokens), ("fates", "ids", "steps", "parents", "scores"))


def record_beams(model: CausalLM, prompt: str, **settings) -> BeamTrace:
    """Run beam search after `prompt` and record its whole tree.

    Args:
        model: Runs.
        prompt: What it reads.
        settings: As `GenerationSettings`; `num_beams` is at least 2.

    Raises:
        TypeError: `prompt` is not a str.
        ValueError: `prompt` is empty or too long, or a setting is out of its range.

    Lesson: 13 · Beam search

    >>> from course_utils.models import load_causal_lm
    >>> trace = record_beams(load_causal_lm(), "The capital of France is", num_beams=2, max_new_tokens=2)
    >>> trace.tokens[0], trace.fates[:4]
    ('␣Paris', ('kept', 'kept', 'pruned', 'pruned'))
    """
    chosen = GenerationSettings(**settings)
    if chosen.num_beams < 2:
        raise ValueError(f"num_beams must be at least 2 to record a beam search, got {chosen.num_beams}")
    ids = model.encode(prompt)
    tree: BeamTree = search_beams(model.model, ids, model.tokenizer, **settings)
    one_beam = settings | {"num_beams": 1, "num_return_sequences": 1}
    steps, parents, tokens, scores, fates = zip(*tree.nodes, strict=True)
    return BeamTrace(
        model=model.name,
        prompt=prompt,
        num_beams=chosen.num_beams,
        length_penalty=chosen.length_penalty,
        early_stopping=str(chosen.early_stopping),
        tokens=tuple(model.labels[token] for token in tokens),
        fates=fates,
        ids=np.array(tokens),
        steps=np.array(steps),
        parents=np.array(parents),
        scores=np.array(scores),
        finished=np.array([text.node for text in tree.finished]),
        finished_scores=np.array([text.score for text in tree.finished]),
        greedy=np.array(generate(model.model, ids, model.tokenizer, **one_beam)[0].ids),
    )
