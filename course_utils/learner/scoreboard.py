"""A scoreboard on this machine: how fast a learner's `generate()` was, and whether it was right, run by run.

Lesson: 15 · Capstone: your own generate()
"""

import html
from collections.abc import Callable
from datetime import datetime

import torch

from course_utils.engine.own_filter import exception_line
from course_utils.exercises.calling import stub_in
from course_utils.learner.check_card import CheckCard
from course_utils.learner.markup import html_table, text_table
from course_utils.learner.progress import reason
from course_utils.learner.score_file import Score, ScoreFile
from course_utils.measuring.marking_streamer import MarkingStreamer
from course_utils.measuring.timing import (
    GenerationTiming,
    Mark,
    this_machine,
    time_generations_in_turn,
)
from course_utils.models import load_causal_lm

NEW_TOKENS = 12
TIMED_PROMPT = (
    "The lighthouse of Norrholm was built in 1871 from grey granite. Its lamp burned whale oil at first, then "
    "petroleum, and since 1932 it has been electric. The keeper lived there with two cats and a goat."
)
_TITLES = ("", "name", "when", "equal", "TTFT ms", "TPOT ms", "× transformers", "machine")


class Scoreboard:
    """All scores, the fastest of those that are equal everywhere first; ★ marks the new one.

    Args:
        file: Where they are kept.
        note: What is said below the table.
        new: The score that was just kept.

    Lesson: 15 · Capstone: your own generate()

    >>> from pathlib import Path
    >>> Scoreboard(ScoreFile(Path("/nowhere/scoreboard.json")))
    There are no scores yet.
    """

    def __init__(self, file: ScoreFile | None = None, note: str = "", new: Score | None = None) -> None:
        self.note, self.new = note, new
        try:
            self.scores = sorted(
                (file or ScoreFile()).scores(), key=lambda score: (score.equal < score.cases, -score.speed)
            )
        except OSError as error:
            self.scores, self.note = [], f"Your scoreboard couldn't be read: {reason(error)}."

    def _rows(self) -> list[tuple[str, ...]]:
        return [
            (
                "★" if score == self.new else "",
                score.name,
                score.when,
                f"{score.equal}/{score.cases}",
                f"{score.ttft * 1000:.0f}",
                f"{score.tpot * 1000:.1f}",
                f"{score.speed:.2f}",
                score.machine,
            )
            for score in self.scores
        ]

    def __repr__(self) -> str:
        if not self.scores:
            return self.note or "There are no scores yet."
        return f"{text_table(_TITLES, self._rows())}\n{self.note}".rstrip()

    def _repr_html_(self) -> str:
        note = f"<p>{html.escape(self.note)}</p>" if self.note else ""
        if not self.scores:
            return note or "<p>There are no scores yet.</p>"
        return html_table(_TITLES, self._rows()) + note


def keep_score(
    stream: Callable, comparison: CheckCard, name: str, repeats: int = 3, file: ScoreFile | None = None
) -> Scoreboard:
    """Time a learner's stream beside `transformers`, in turns; keep the score with what the comparison found.

    Args:
        stream: `my_stream(model, ids, tokenizer, **settings)`: one piece of text per token.
        comparison: What `final_comparison` said about `my_generate`.
        name: Who it is.
        repeats: How many runs of each count, after one to warm up.
        file: Where the score is kept; by default beside the progress file.

    Raises:
        ValueError: `name` is empty.

    Lesson: 15 · Capstone: your own generate()

    >>> from pathlib import Path
    >>> nothing, file = lambda model, ids, tokenizer, **settings: [], ScoreFile(Path("/nowhere/scoreboard.json"))
    >>> keep_score(nothing, CheckCard("none", "right", [], []), name="Ada", file=file)
    ✗ No score: 12 pieces were asked for, and yours yields 0.
    """
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"name must be a text, got {name!r}")
    file = file or ScoreFile()
    try:
        mine, theirs = time_in_turns(stream, repeats)
    except KeyboardInterrupt:  # Stop was pressed: that isn't the function's fault
        raise
    except BaseException as error:  # noqa: BLE001 - whatever else it raises, exit() too, is for the learner to see
        if name := stub_in(error.__traceback__):
            return Scoreboard(file, f"✗ No score: {name} isn't written yet.")
        problem = str(error) if isinstance(error, WrongCount) else f"your function {exception_line(error, stream)}"
        return Scoreboard(file, f"✗ No score: {problem}.")
    machine = this_machine()
    score = Score(
        name.strip(),
        f"{datetime.now():%Y-%m-%d %H:%M}",
        f"{machine.processor}, {machine.threads} thread{'s' * (machine.threads > 1)}",
        *(time.median for timing in (mine, theirs) for time in (timing.ttft, timing.tpot)),
        comparison.right,
        len(comparison.lines),
    )
    try:
        file.add(score)
    except OSError as error:
        return Scoreboard(file, f"This couldn't be saved: {reason(error)} ({file.path}).", score)
    return Scoreboard(file, f"Saved in {file.path}", score)


class WrongCount(Exception):
    """A stream did not yield one piece per token."""


def time_in_turns(stream: Callable, repeats: int) -> tuple[GenerationTiming, GenerationTiming]:
    """Time a learner's stream and `transformers` in turns, so that a slow minute hits both.

    Raises:
        WrongCount: The stream does not yield `NEW_TOKENS` pieces.

    Lesson: 15 · Capstone: your own generate()
    """
    smollm = load_causal_lm()
    ids = smollm.encode(TIMED_PROMPT)
    arguments = {"max_new_tokens": NEW_TOKENS, "eos_token_id": None, "pad_token_id": 0, "do_sample": False}

    def mine(mark: Mark) -> None:
        count = 0
        for _ in stream(smollm.model, ids, smollm.tokenizer, max_new_tokens=NEW_TOKENS, eos_ids=[]):
            count += 1
            if count <= NEW_TOKENS:
                mark()
        if count not in (NEW_TOKENS, NEW_TOKENS + 1):  # what was held back may come as one piece more
            raise WrongCount(f"{NEW_TOKENS} pieces were asked for, and yours yields {count}")

    def theirs(mark: Mark) -> None:
        smollm.model.generate(ids, attention_mask=torch.ones_like(ids), streamer=MarkingStreamer(mark), **arguments)

    timings = time_generations_in_turn({"mine": mine, "theirs": theirs}, repeats)
    return timings["mine"], timings["theirs"]
