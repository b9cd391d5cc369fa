"""What a recorded beam search finds under another length penalty or early stopping, without the model.

Lesson: 13 · Beam search
"""

from collections.abc import Sequence
from typing import NamedTuple

from course_utils.engine.beam_search import FINISHED, KEPT, BeamNode, BeamTree, Finished, is_done
from course_utils.engine.settings import GenerationSettings
from course_utils.engine.stopping import StopRules


class Replay(NamedTuple):
    """What a search finds: its finished texts, best first, and the step at which it stops."""

    finished: list[Finished]
    last_step: int


def replay(nodes: Sequence[BeamNode], max_new_tokens: int, settings: GenerationSettings) -> Replay:
    """Search again in a tree that was recorded with `to_the_end`; the model is not needed.

    Beams are kept by their sums of log-probabilities, and the length penalty does not touch these. It ranks
    finished texts, and with early stopping it decides when to stop. So one recorded tree holds what the search finds
    under every length penalty and every early stopping. Another number of beams is another tree.

    Args:
        nodes: Of the recorded tree, in the order of search.
        max_new_tokens: The most tokens of a text in that search.
        settings: With the number of beams that the tree was recorded with.

    Raises:
        ValueError: There are no nodes.

    >>> short = BeamNode(1, -1, token=5, score=-1.0, fate="finished")
    >>> long = BeamNode(2, 1, token=5, score=-1.5, fate="finished")
    >>> nodes = [short, BeamNode(1, -1, token=6, score=-1.2, fate="kept"), long]
    >>> [replay(nodes, 2, GenerationSettings(num_beams=2, length_penalty=lp)).finished[0].node for lp in (0.0, 1.0)]
    [0, 2]
    """
    if not nodes:
        raise ValueError("nodes must hold at least one node, got none")
    tree, rules = BeamTree(list(nodes)), StopRules((), max_new_tokens)
    for step in range(1, nodes[-1].step + 1):
        level = [index for index, node in enumerate(nodes) if node.step == step]
        for index in level:
            if nodes[index].fate == FINISHED:
                tree.finished.append(Finished(index, nodes[index].score / step**settings.length_penalty))
        tree.finished = sorted(tree.finished, key=lambda text: -text.score)[: settings.num_beams]
        kept = [(0, index) for index in level if nodes[index].fate == KEPT]
        if not kept or is_done(tree, kept, step, rules, settings):
            break
    return Replay(tree.finished, step)
