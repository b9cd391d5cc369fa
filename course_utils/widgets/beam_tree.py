"""The beam tree: what a beam search considered, kept and pruned, and how a length penalty ranks what it found."""

from collections.abc import Callable, Sequence
from typing import ClassVar

import traitlets

from course_utils.engine.arguments import check_number
from course_utils.engine.beam_replay import Replay, replay
from course_utils.engine.beam_search import FINISHED, KEPT, ROOT, BeamNode
from course_utils.engine.settings import GenerationSettings
from course_utils.figures import beams as pictures
from course_utils.figures.base import CourseFigure, cut, quoted
from course_utils.traces.beams import BeamTrace, record_beams
from course_utils.widgets.base import AskingWidget, page_module, page_style

MOST_STEPS, MOST_BEAMS, LONGEST_PROMPT, STRONGEST_PENALTY = 12, 10, 512, 5


class BeamTreeWidget(AskingWidget):
    """Walk through a recorded beam search, and rank what it found under another length penalty.

    The length penalty and early stopping need no model: see `engine.beam_replay`. Another prompt, other beams
    and other steps do.

    Args:
        trace: The recorded search; `record_beams` with `to_the_end=True` makes one.
        run: Records another search, given prompt, number of beams and steps; without it, the form is not there.
        settings: `length_penalty`, `early_stopping`, and `step`, how much of the search is shown.

    Raises:
        ValueError: The trace is not whole or too large for the page, or a setting is out of its range.

    Lesson: 13 · Beam search

    >>> import numpy as np
    >>> arrays = {"ids": np.array([5, 6]), "steps": np.ones(2, int), "parents": np.full(2, -1)}
    >>> ends = {"finished": np.zeros(1, int), "finished_scores": np.array([-0.5]), "greedy": np.array([5])}
    >>> sums = {"scores": np.array([-0.5, -1.2]), "greedy_scores": np.array([-0.5])}
    >>> words = {"tokens": ("x", "y"), "fates": ("finished", "pruned"), "greedy_tokens": ("x",)}
    >>> toy = BeamTrace("toy", "a", 1, 1.0, "False", 1, **words, **arrays, **sums, **ends)
    >>> BeamTreeWidget(toy).found().finished
    [Finished(node=0, score=-0.5)]
    """

    _esm = page_module("beam_tree")
    _css = page_style("beam_tree")

    length_penalty = traitlets.Float(1.0).tag(sync=True)
    early_stopping = traitlets.Any(False).tag(sync=True)
    step = traitlets.Int().tag(sync=True)
    tree = traitlets.Dict().tag(sync=True)
    story = traitlets.Unicode().tag(sync=True)
    told = traitlets.List().tag(sync=True)  # of which length penalty, early stopping and step the story tells
    called: ClassVar[dict[str, str]] = {
        "length_penalty": "length penalty",
        "num_beams": "beams",
        "steps": "new tokens",
    }

    def __init__(
        self, trace: BeamTrace, run: Callable[[str, int, int], BeamTrace] | None = None, **settings: object
    ) -> None:
        early_stopping = {"True": True, "False": False}.get(trace.early_stopping, trace.early_stopping)
        _check_trace(trace)
        self.trace = trace
        settings = {
            "length_penalty": trace.length_penalty,
            "early_stopping": early_stopping,
            "step": int(trace.steps[-1]),
            **settings,
        }
        super().__init__(can_run=run is not None, tree=_page_tree(trace), **settings)
        self._run = run
        self._tell_again()
        self.observe(self._tell_again, ("length_penalty", "early_stopping", "step", "tree"))

    @traitlets.validate("length_penalty")
    def _check_length_penalty(self, proposal: dict) -> float:
        most = STRONGEST_PENALTY
        allowed = f"in [-{most}, {most}]"
        check_number("length_penalty", proposal["value"], allowed, lambda value: -most <= value <= most)
        return proposal["value"]

    @traitlets.validate("early_stopping")
    def _check_early_stopping(self, proposal: dict) -> bool | str:
        GenerationSettings(early_stopping=proposal["value"])
        return proposal["value"]

    @traitlets.validate("step")
    def _check_step(self, proposal: dict) -> int:
        last = int(self.trace.steps[-1])
        check_number("step", proposal["value"], f"a whole number from 1 to {last}", lambda value: 1 <= value <= last)
        return proposal["value"]

    def answer(self, prompt: str, num_beams: int, steps: int) -> None:
        """Search again."""
        trace = self._run(prompt, num_beams, steps)
        _check_trace(trace)
        tree = _page_tree(trace)
        self.trace = trace  # all that can fail has succeeded
        self.step, self.tree = int(trace.steps[-1]), tree

    def _tell_again(self, _: dict | None = None) -> None:
        with self.hold_sync():  # the page must not take one for the other's
            self.story, self.told = self.explain(), [self.length_penalty, self.early_stopping, self.step]

    def explain(self) -> str:
        """Say why the winner wins, or how far the search is; what the page shows below the tree."""
        nodes, found = self.trace.nodes, self.found()
        if not self.is_over():
            fates = [node.fate for node in nodes if node.step == self.step]
            counts = ", ".join(f"{fates.count(fate)} {fate}" for fate in ("kept", "finished", "pruned"))
            return f"Step {self.step}: {counts}. The search continues."
        said = first_token_story(nodes, self.trace.tokens, found)
        stops = f"The search stops after step {found.last_step}."
        return " ".join([stops, *said, greedy_story(nodes, self.trace.greedy.tolist(), found)])

    def found(self) -> Replay:
        """Return what the search has found up to `step`, under the settings of now."""
        settings = GenerationSettings(
            num_beams=self.trace.num_beams, length_penalty=self.length_penalty, early_stopping=self.early_stopping
        )
        nodes = [node for node in self.trace.nodes if node.step <= self.step]
        return replay(nodes, self.trace.max_new_tokens, settings)

    def is_over(self) -> bool:
        """Tell whether the search has stopped at `step`."""
        return self.step >= self.trace.replay(self.length_penalty, self.early_stopping).last_step

    def describe(self) -> str:
        """Say in words, step by step, what was kept, and how the texts are ranked now."""
        trace, nodes, found = self.trace, self.trace.nodes, self.found()
        lines = [f"Beam tree: {trace.num_beams} beams after {quoted(cut(trace.prompt, 60))} ({trace.model})"]
        for step in range(1, found.last_step + 1):
            level = [index for index, node in enumerate(nodes) if node.step == step]
            counts = [sum(nodes[index].fate == fate for index in level) for fate in ("kept", "finished", "pruned")]
            best = f"best {quoted(trace.tokens[level[0]])} {_number(nodes[level[0]].score)}"
            lines.append(f"step {step:<3}{counts[0]} kept, {counts[1]} finished, {counts[2]} pruned; {best}")
        lines.append(f"length penalty {self.length_penalty:g}, early stopping {self.early_stopping}:")
        for place, (index, score) in enumerate(found.finished, start=1):
            lines.append(self._ranked(f"{place}.", nodes[index].step, nodes[index].score, score, trace.text(index)))
        count, total = len(trace.greedy), trace.greedy_scores[-1]
        text = "".join(trace.greedy_tokens).replace("␣", " ")
        lines.append(self._ranked("greedy", count, total, total / count**self.length_penalty, text))
        return "\n".join([*lines, self.explain()])

    def _ranked(self, place: str, count: int, total: float, score: float, text: str) -> str:
        numbers = f"score {_number(score)}, sum {_number(total)}, {count} token{'s' * (count > 1)}"
        return f"{place:<7} {numbers}: {quoted(text)}"

    def figure(self) -> CourseFigure:
        """Draw the tree up to `step`."""
        found, trace = self.found(), self.trace
        nodes = [node for node in trace.nodes if node.step <= self.step]
        steps, parents, _, scores, fates = zip(*nodes, strict=True)
        return pictures.beam_tree(
            trace.tokens[: len(nodes)],
            steps,
            parents,
            scores,
            fates,
            winner=path(nodes, found.finished[0].node) if found.finished else (),
            greedy=greedy_path(nodes, trace.greedy.tolist()),
            last_step=found.last_step,
            title=f"{trace.num_beams} beams after “{cut(trace.prompt, 60)}”",
        )


def beam_tree(model, prompt: str, num_beams: int = 4, steps: int = 8, **settings: object) -> BeamTreeWidget:
    """Search after a prompt and open the tree; prompt, beams and steps can then be changed on the page.

    Args:
        model: A causal LM, as `load_causal_lm` gives it.
        prompt: At most 512 tokens, so that ten beams of it fit into the memory of a laptop.
        num_beams: 1 to 10.
        steps: The most new tokens, 1 to 12.
        settings: As `GenerationSettings`.

    Raises:
        TypeError: `prompt` is not a str.
        ValueError: `prompt` is empty or too long, or a setting is out of its range.

    Lesson: 13 · Beam search

    >>> from course_utils.models import load_causal_lm
    >>> beam_tree(load_causal_lm(), "The capital of France is", num_beams=2, steps=2).trace.tokens[0]
    '␣Paris'
    """

    def run(prompt: str, num_beams: int, steps: int) -> BeamTrace:
        for name, value, most in (("num_beams", num_beams, MOST_BEAMS), ("steps", steps, MOST_STEPS)):
            _check_range(name, value, most)
        length = model.encode(prompt).shape[1]
        if length > LONGEST_PROMPT:
            raise ValueError(f"prompt must have at most {LONGEST_PROMPT} tokens for this picture, got {length:,}")
        return record_beams(model, prompt, to_the_end=True, num_beams=num_beams, max_new_tokens=steps, **settings)

    return BeamTreeWidget(run(prompt, num_beams, steps), run)


def path(nodes: Sequence[BeamNode], node: int) -> list[int]:
    """Return the nodes from the first token to `node`, which is included.

    >>> path([BeamNode(1, -1, 5, -0.1, "kept"), BeamNode(2, 0, 6, -0.3, "finished")], 1)
    [0, 1]
    """
    way = []
    while node != ROOT:
        way.insert(0, node)
        node = nodes[node].parent
    return way


def greedy_path(nodes: Sequence[BeamNode], greedy: Sequence[int]) -> list[int]:
    """Return the nodes that greedy's tokens pass, until the first that the tree does not hold.

    >>> greedy_path([BeamNode(1, -1, 5, -0.1, "kept"), BeamNode(2, 0, 6, -0.3, "pruned")], [5, 6, 7])
    [0, 1]
    """
    way, at = [], ROOT
    for token in greedy:
        after = [index for index, node in enumerate(nodes) if (node.parent, node.token) == (at, token)]
        if not after:
            break
        at = after[0]
        way.append(at)
    return way


def first_token_story(nodes: Sequence[BeamNode], tokens: Sequence[str], found: Replay) -> list[str]:
    """Say in sentences what became of the most likely first token.

    >>> nodes = [BeamNode(1, -1, 5, -0.1, "finished"), BeamNode(1, -1, 6, -0.3, "pruned")]
    >>> first_token_story(nodes, ["x", "y"], replay(nodes, 1, GenerationSettings()))
    ['The best first token, “x” (−0.10), also begins the winner.']
    """
    winner = path(nodes, found.finished[0].node)
    first, number = quoted(tokens[0]), _number(nodes[0].score)
    if winner[0] == 0:
        return [f"The best first token, {first} ({number}), also begins the winner."]
    said = [
        f"{first} was the best first token ({number}), but the winner begins with {quoted(tokens[winner[0]])} "
        f"({_number(nodes[winner[0]].score)})."
    ]
    family = {index for index, node in enumerate(nodes) if node.step <= found.last_step and path(nodes, index)[0] == 0}
    for node in winner[1:]:
        rivals = [nodes[index].score for index in family if nodes[index].step == nodes[node].step]
        if rivals and nodes[node].score > max(rivals):
            sums = f"{_number(nodes[node].score)} against {_number(max(rivals))}"
            said.append(f"At step {nodes[node].step} the winner's branch overtook it: a sum of {sums}.")
            break
    else:
        said.append("At no length did the winner's branch have the larger sum: it wins by its score.")
    places = [place for place, text in enumerate(found.finished, start=1) if text.node in family]
    alive = max(nodes[index].step for index in family if nodes[index].fate == KEPT or nodes[index].fate == FINISHED)
    if places:
        said.append(f"The best text with {first} is number {places[0]}.")
    elif any(nodes[index].fate == KEPT and nodes[index].step == found.last_step for index in family):
        said.append(f"A text with {first} was still growing when the search stopped.")
    elif any(nodes[index].fate == FINISHED for index in family):
        said.append(f"The finished text with {first} is not among the best {len(found.finished)}.")
    else:
        said.append(f"At step {alive + 1} the last branch of {first} was pruned.")
    return said


def greedy_story(nodes: Sequence[BeamNode], greedy: Sequence[int], found: Replay) -> str:
    """Say in one sentence what became of greedy's text.

    >>> nodes = [BeamNode(1, -1, 5, -0.1, "finished"), BeamNode(1, -1, 6, -0.3, "pruned")]
    >>> greedy_story(nodes, [5], replay(nodes, 1, GenerationSettings()))
    'Greedy search finds the winner, too.'
    """
    way = [index for index in greedy_path(nodes, greedy) if nodes[index].step <= found.last_step]
    places = [text.node for text in found.finished]
    if way and len(way) == len(greedy) and way[-1] in places:
        place = places.index(way[-1]) + 1
        return "Greedy search finds the winner, too." if place == 1 else f"Greedy's text is number {place}."
    if way and nodes[way[-1]].fate == FINISHED:
        return f"Greedy's text is finished, but not among the best {len(places)}."
    if way and nodes[way[-1]].fate == KEPT:
        if nodes[way[-1]].step == found.last_step:
            return "Greedy's text was still growing when the search stopped."
        return f"Greedy's path was pruned at step {len(way) + 1}."
    return f"Greedy's path was pruned at step {max(len(way), 1)}."


def _check_range(name: str, value: int, most: int) -> None:
    allowed = f"a whole number from 1 to {most}"
    check_number(name, value, allowed, lambda number: isinstance(number, int) and 1 <= number <= most)


def _check_trace(trace: BeamTrace) -> None:
    trace.replay(1.0, early_stopping=False)  # says so when the tree is not whole
    _check_range("num_beams", trace.num_beams, MOST_BEAMS)
    _check_range("steps", int(trace.steps[-1]), MOST_STEPS)


def _page_tree(trace: BeamTrace) -> dict:
    steps, parents = trace.steps.tolist(), trace.parents.tolist()
    rows = pictures.tree_rows(steps, parents, range(len(steps)))
    return {
        "model": trace.model,
        "prompt": trace.prompt,
        "beams": trace.num_beams,
        "longest": trace.max_new_tokens,
        "tokens": list(trace.tokens),
        "steps": steps,
        "parents": parents,
        "scores": trace.scores.tolist(),
        "fates": list(trace.fates),
        "rows": [rows[node] for node in range(len(steps))],
        "greedy": greedy_path(trace.nodes, trace.greedy.tolist()),
        "greedyTokens": list(trace.greedy_tokens),
        "greedySum": float(trace.greedy_scores[-1]),
    }


def _number(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")
