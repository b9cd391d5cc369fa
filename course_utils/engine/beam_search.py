"""Beam search: keep the few best texts at every step, and record those that were dropped too.

Lesson: 13 · Beam search
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import torch

from course_utils.engine.progress import report
from course_utils.engine.running import RunningModel
from course_utils.engine.settings import GenerationSettings
from course_utils.engine.stopping import StopRules

KEPT, FINISHED, PRUNED = "kept", "finished", "pruned"
ROOT = -1  # the parent of the first tokens: the prompt


class BeamNode(NamedTuple):
    """One token that beam search considered.

    `step` counts from 1; `parent` is the index of the token before it in the tree, or `ROOT`; `score` is the sum
    of log-probabilities from the prompt to here; `fate` is "kept", "finished" or "pruned".

    >>> BeamNode(step=1, parent=ROOT, token=7042, score=-0.5, fate=KEPT).token
    7042
    """

    step: int
    parent: int
    token: int
    score: float
    fate: str


class Finished(NamedTuple):
    """A finished text: the index of its last token in the tree, and its score with the length penalty.

    >>> Finished(node=3, score=-0.25).score
    -0.25
    """

    node: int
    score: float


@dataclass
class BeamTree:
    """Everything a beam search considered, in the order it did, and the finished texts, best first.

    >>> BeamTree([BeamNode(1, ROOT, 5, -0.1, KEPT), BeamNode(2, 0, 6, -0.3, FINISHED)]).path(1)
    (5, 6)
    """

    nodes: list[BeamNode] = field(default_factory=list)
    finished: list[Finished] = field(default_factory=list)

    def path(self, node: int) -> tuple[int, ...]:
        """Return the tokens from the prompt to `node`, which is included."""
        tokens = []
        while node != ROOT:
            tokens.append(self.nodes[node].token)
            node = self.nodes[node].parent
        return tuple(reversed(tokens))

    def add(self, step: int, parent: int, token: int, score: float, fate: str) -> int:
        """Record a node; return its index."""
        self.nodes.append(BeamNode(step, parent, token, score, fate))
        return len(self.nodes) - 1

    def score(self, node: int) -> float:
        """Return the sum of log-probabilities up to `node`; the prompt's is 0."""
        return 0.0 if node == ROOT else self.nodes[node].score


def beam_search(
    running: RunningModel,
    rules: StopRules,
    settings: GenerationSettings,
    process: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    to_the_end: bool = False,
) -> BeamTree:
    """Search for the most likely text after one prompt; return everything that was considered.

    Args:
        running: A model that reads one prompt.
        settings: Number of beams, length penalty, early stopping.
        process: What changes the log-probabilities `(beams, vocab)`, given the texts so far `(beams, seq)`.
        to_the_end: Go on also when the search is done, so that `replay` can tell what other settings find.

    Equals `generate(num_beams=...)`: texts and scores. Source: Graves (2012), Sequence Transduction with Recurrent
    Neural Networks; the length penalty: Wu et al. (2016), as `transformers` simplifies it.

    >>> from course_utils.models import load_causal_lm
    >>> smollm = load_causal_lm()
    >>> rules, settings = StopRules(eos_ids=(), max_new_tokens=2), GenerationSettings(num_beams=2)
    >>> running = RunningModel(smollm.model, smollm.encode("The capital of France is"))
    >>> tree = beam_search(running, rules, settings, process=lambda log_probabilities, ids: log_probabilities)
    >>> smollm.tokenizer.decode(tree.path(tree.finished[0].node))
    ' Paris.'
    """
    tree, beams, ids = BeamTree(), [ROOT], running.start_ids
    # Enough candidates to fill all beams even if every beam's best continuations end.
    count = max(2, 1 + len(rules.eos_ids)) * settings.num_beams
    for step in range(1, rules.max_new_tokens + 1):
        report("step", step, rules.max_new_tokens)
        log_probabilities = process(running.next_logits(ids).log_softmax(-1), ids)
        scores = torch.tensor([tree.score(beam) for beam in beams], device=ids.device)
        kept = []
        for rank, (score, row, token) in enumerate(best_candidates(scores, log_probabilities, count)):
            ends = rules.reason((*tree.path(beams[row]), token)) is not None
            if ends and rank < settings.num_beams:  # candidates after these are only there to fill the beams
                node = tree.add(step, beams[row], token, score, FINISHED)
                tree.finished.append(Finished(node, score / step**settings.length_penalty))
            elif not ends and len(kept) < settings.num_beams:
                kept.append((row, tree.add(step, beams[row], token, score, KEPT)))
            else:
                tree.add(step, beams[row], token, score, PRUNED)
        tree.finished = sorted(tree.finished, key=lambda text: -text.score)[: settings.num_beams]
        if not kept or (not to_the_end and is_done(tree, kept, step, rules, settings)):
            break
        rows, beams = [row for row, _ in kept], [node for _, node in kept]
        # The cache follows: a beam that was kept twice gets its keys and values twice, a dropped one loses them.
        running.select(rows)
        ids = torch.cat([ids[rows], ids.new_tensor([[tree.nodes[beam].token] for beam in beams])], dim=1)
    return tree


def best_candidates(scores: torch.Tensor, log_probabilities: torch.Tensor, count: int) -> list[tuple[float, int, int]]:
    """Return the `count` best continuations of all beams, best first, as (score, beam, token).

    Args:
        scores: Sum of log-probabilities of every beam, `(beams,)`.
        log_probabilities: Of the next token, `(beams, vocab)`.
        count: The most to return; tokens of probability 0 are never among them.

    >>> best_candidates(torch.tensor([-1.0, -2.0]), torch.tensor([[-3.0, -1.0], [-0.5, -9.0]]), count=2)
    [(-2.0, 0, 1), (-2.5, 1, 0)]
    """
    totals = (scores[:, None] + log_probabilities).flatten()
    best = totals.topk(min(count, len(totals)))
    pairs = zip(best.values.tolist(), best.indices.tolist(), strict=True)
    return [(score, *divmod(index, log_probabilities.shape[-1])) for score, index in pairs if score > float("-inf")]


def is_done(
    tree: BeamTree, kept: list[tuple[int, int]], step: int, rules: StopRules, settings: GenerationSettings
) -> bool:
    """Tell whether going on is pointless: enough texts are finished, and no beam can beat the worst of them.

    `early_stopping` decides what counts as "can". False compares with the score a beam would have if it finished
    now, which is a guess. "never" compares with the best score it could still reach.

    Args:
        kept: The beams that would continue, as (row of the batch, index in the tree).
        step: How many tokens they have.

    >>> tree = BeamTree([BeamNode(1, ROOT, 5, -2.0, KEPT)], finished=[Finished(node=0, score=-1.0)])
    >>> is_done(tree, [(0, 0)], 1, StopRules((), max_new_tokens=9), GenerationSettings(num_beams=1))
    True
    """
    if len(tree.finished) < settings.num_beams:
        return False
    if settings.early_stopping is True or settings.num_beams == 1:  # one beam is greedy search: no second chance
        return True
    # A positive length penalty makes a long text with the same sum of log-probabilities score higher.
    hopes_for_length = settings.early_stopping == "never" and settings.length_penalty > 0
    length = rules.max_new_tokens if hopes_for_length else step
    best_running = max(tree.score(node) for _, node in kept)
    return best_running / length**settings.length_penalty <= tree.finished[-1].score
