"""A beam search: every token that was considered, and what became of it.

Lesson: 13 · Beam search
"""

import math
from dataclasses import dataclass

import numpy as np
import torch

from course_utils.engine.beam_replay import Replay, replay
from course_utils.engine.beam_search import KEPT, ROOT, BeamNode, BeamTree
from course_utils.engine.generate import generate, search_beams
from course_utils.engine.settings import GenerationSettings
from course_utils.experiments.surprisal import read_text
from course_utils.models import CausalLM
from course_utils.models.doorway import takes
from course_utils.traces.base import Trace


@dataclass(frozen=True)
class BeamTrace(Trace):
    """The tree of one beam search, node by node in the order of search, with greedy's text beside it.

    Args:
        model: Name of the model that ran.
        length_penalty: Scores are divided by length to this power.
        early_stopping: "True", "False" or "never".
        tokens: Every node's token as visible text.
        fates: Every node's fate: "kept", "finished" or "pruned".
        greedy_tokens: The tokens that greedy search chooses, as visible text.
        ids: Token ids, int64 `(node,)`.
        steps: From 1, int64 `(node,)`.
        parents: Index of the node before, −1 for the prompt, int64 `(node,)`.
        scores: Sum of log-probabilities, float64 `(node,)`.
        finished: Nodes where the finished texts end, best first, int64 `(text,)`.
        finished_scores: Their scores with the length penalty, float64 `(text,)`.
        greedy: Their ids, int64 `(token,)`.
        greedy_scores: Their sums of log-probabilities, each up to this token, float64 `(token,)`.

    Raises:
        ValueError: The arrays do not have one row per node.

    >>> node = {name: np.zeros(1, int) for name in ("ids", "steps", "parents", "scores")}
    >>> end = {name: np.zeros(1, int) for name in ("finished", "finished_scores", "greedy", "greedy_scores")}
    >>> BeamTrace("toy", "a", 2, 1.0, "never", 1, ("x",), ("finished",), ("x",), **node, **end).fates
    ('finished',)
    """

    model: str
    prompt: str
    num_beams: int
    length_penalty: float
    early_stopping: str
    max_new_tokens: int
    tokens: tuple[str, ...]
    fates: tuple[str, ...]
    greedy_tokens: tuple[str, ...]
    ids: np.ndarray
    steps: np.ndarray
    parents: np.ndarray
    scores: np.ndarray
    finished: np.ndarray
    finished_scores: np.ndarray
    greedy: np.ndarray
    greedy_scores: np.ndarray

    def __post_init__(self) -> None:
        self.check_rows("node", len(self.tokens), ("fates", "ids", "steps", "parents", "scores"))

    @property
    def nodes(self) -> list[BeamNode]:
        """The tree as beam search made it."""
        columns = (self.steps, self.parents, self.ids, self.scores)
        rows = zip(*(column.tolist() for column in columns), self.fates, strict=True)
        return [BeamNode(*row) for row in rows]

    @property
    def is_whole(self) -> bool:
        """Whether the search continued to its last step, so that the tree holds what other settings find."""
        last = self.steps.max()
        return last == self.max_new_tokens or KEPT not in np.array(self.fates)[self.steps == last]

    def path(self, node: int) -> list[int]:
        """Return the nodes from the first token to `node`, which is included."""
        way = []
        while node != ROOT:
            way.insert(0, int(node))
            node = self.parents[node]
        return way

    def text(self, node: int) -> str:
        """Return what the tokens up to `node` say."""
        return "".join(self.tokens[index] for index in self.path(node)).replace("␣", " ")

    def replay(self, length_penalty: float, early_stopping: bool | str) -> Replay:
        """Return what the search finds under other settings; the tree must be whole.

        Raises:
            ValueError: A setting is out of its range, or the tree is not whole.
        """
        if not self.is_whole:
            raise ValueError("trace must hold a whole tree (record_beams with to_the_end=True), got one that stops")
        settings = GenerationSettings(
            num_beams=self.num_beams, length_penalty=length_penalty, early_stopping=early_stopping
        )
        return replay(self.nodes, self.max_new_tokens, settings)


@takes(model=CausalLM)
def record_beams(model: CausalLM, prompt: str, to_the_end: bool = False, **settings) -> BeamTrace:
    """Run beam search after `prompt` and record its whole tree.

    Args:
        to_the_end: Go on also when the search is done, so that the trace can be replayed under other settings;
            the finished texts are those of the search that stops.
        settings: As `GenerationSettings`; one beam is greedy search.

    Raises:
        TypeError: `prompt` is not a str.
        ValueError: `prompt` is empty or too long, or a setting is out of its range.

    >>> from course_utils.models import load_causal_lm
    >>> trace = record_beams(load_causal_lm(), "The capital of France is", num_beams=2, max_new_tokens=2)
    >>> trace.tokens[0], trace.fates[:4]
    ('␣Paris', ('kept', 'kept', 'pruned', 'pruned'))
    """
    chosen, ids = GenerationSettings(**settings), model.encode(prompt)
    tree = search_beams(model.model, ids, model.tokenizer, to_the_end=to_the_end, **settings)
    longest = min(chosen.most_new_tokens(ids.shape[1]), (model.context_length or math.inf) - ids.shape[1])
    finished = replay(tree.nodes, longest, chosen).finished
    greedy = generate(model.model, ids, model.tokenizer, **settings | {"num_beams": 1, "num_return_sequences": 1})[0]
    return BeamTrace(
        model=model.name,
        prompt=prompt,
        num_beams=chosen.num_beams,
        length_penalty=chosen.length_penalty,
        early_stopping=str(chosen.early_stopping),
        max_new_tokens=longest,
        **_columns(tree, model.labels),
        finished=np.array([text.node for text in finished]),
        finished_scores=np.array([text.score for text in finished]),
        greedy_tokens=tuple(model.labels[token] for token in greedy.ids),
        greedy=np.array(greedy.ids),
        greedy_scores=_running_sums(model, ids, greedy.ids),
    )


def _columns(tree: BeamTree, labels: list[str]) -> dict:
    steps, parents, tokens, scores, fates = zip(*tree.nodes, strict=True)
    arrays = {"ids": tokens, "steps": steps, "parents": parents, "scores": scores}
    texts = {"tokens": tuple(labels[token] for token in tokens), "fates": fates}
    return texts | {name: np.array(column) for name, column in arrays.items()}


def _running_sums(model: CausalLM, prompt: torch.Tensor, tokens: tuple[int, ...]) -> np.ndarray:
    """Sum the log-probabilities of `tokens` after the prompt, up to each of them."""
    bits, _, _ = read_text(model.model, torch.tensor([[*prompt[0].tolist(), *tokens]]))
    return np.cumsum(bits[-len(tokens) :].double().cpu().numpy() * -math.log(2))
