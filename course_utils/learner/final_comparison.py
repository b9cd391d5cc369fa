"""The capstone's last check: prompts and settings that nobody has seen, drawn from a seed, text by text.

Lesson: 15 · Capstone: your own generate()
"""

import html
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from course_utils.learner.capstone_cases import Case, expected
from course_utils.learner.capstone_hidden import SEEDS, hidden_cases
from course_utils.learner.capstone_runs import ask


@dataclass(frozen=True)
class Row:
    """One case of the comparison.

    Args:
        what: What the case is about.
        case: Prompt and settings.
        judge: Whose tokens are right.
        tokens: How many tokens are right.
        problem: Where the learner's text differs, or why there is none; "" if it is equal.

    Lesson: 15 · Capstone: your own generate()

    >>> Row("greedy", Case("cab"), "transformers", 3).ok
    True
    """

    what: str
    case: Case
    judge: str
    tokens: int
    problem: str = ""

    @property
    def ok(self) -> bool:
        """Whether the learner's text is equal."""
        return not self.problem

    @property
    def reader(self) -> str:
        """Which model wrote."""
        return "SmolLM2" if self.case.is_real else "practice"


@dataclass(frozen=True)
class Comparison:
    """All cases of a comparison, and the seed that they were drawn from.

    Lesson: 15 · Capstone: your own generate()

    >>> Comparison(7, (Row("greedy", Case("cab"), "transformers", 3),))
    ✓ 1 of 1 texts are equal, token by token (seed 7).
     1 ✓ greedy               practice   3 tokens, as in transformers
    """

    seed: int
    rows: tuple[Row, ...]

    @property
    def equal(self) -> int:
        """How many texts are equal."""
        return sum(row.ok for row in self.rows)

    @property
    def ok(self) -> bool:
        """Whether all texts are equal."""
        return self.equal == len(self.rows)

    def _head(self) -> str:
        mark = "✓" if self.ok else "✗"
        return f"{mark} {self.equal} of {len(self.rows)} texts are equal, token by token (seed {self.seed})."

    def __repr__(self) -> str:
        lines = [
            f"{number:2} {'✓' if row.ok else '✗'} {row.what:21}{row.reader:9}{row.tokens:3} tokens, "
            + (f"as in {row.judge}" if row.ok else row.problem)
            for number, row in enumerate(self.rows, start=1)
        ]
        return "\n".join([self._head(), *lines])

    def _repr_html_(self) -> str:
        titles = ("", "", "what", "model", "case", "compared with", "tokens", "result")
        rows = [
            (
                *(number, "✓" if row.ok else "✗", row.what, row.reader, row.case),
                *(row.judge, row.tokens, row.problem or "equal"),
            )
            for number, row in enumerate(self.rows, start=1)
        ]
        head = "".join(f"<th style='text-align:left'>{title}</th>" for title in titles)
        body = "".join(
            "<tr>" + "".join(f"<td style='text-align:left'>{html.escape(str(cell))}</td>" for cell in row) + "</tr>"
            for row in rows
        )
        return f"<p><strong>{self._head()}</strong></p><table><tr>{head}</tr>{body}</table>"


def final_comparison(function: Callable, seed: int | None = None) -> Comparison:
    """Run a learner's `my_generate` on settings that it has not seen; compare every text.

    Twelve texts are written by SmolLM2, twelve longer ones by the practice model, where mistakes show more often.

    The judge is `generate` of `transformers`. It has no presence and no frequency penalty: there, the course's own
    `generate` is the judge, and the table says so.

    Args:
        function: `my_generate(model, ids, tokenizer, **settings)`, as in `check_part`. It may raise.
        seed: Draws the same cases again; None draws new ones. The comparison shows which it was.

    Raises:
        TypeError: `function` cannot be called.

    Lesson: 15 · Capstone: your own generate()

    >>> final_comparison(lambda model, ids, tokenizer, **settings: None, seed=15).equal
    0
    """
    if not callable(function):
        raise TypeError(f"function must be a function, as my_generate without brackets, got {type(function).__name__}")
    seed = secrets.randbelow(SEEDS) if seed is None else seed
    return Comparison(seed, tuple(_compare(function, what, case) for what, case in hidden_cases(seed)))


def _compare(function: Callable, what: str, case: Case) -> Row:
    tokens, judge = expected(case)
    answer = ask(function, case)
    if answer.problem:
        return Row(what, case, judge, len(tokens), f"yours {answer.problem}")
    if answer.tokens == tokens:
        return Row(what, case, judge, len(tokens))
    pairs = enumerate(zip(answer.tokens, tokens, strict=False), start=1)
    place = next((number for number, (own, right) in pairs if own != right), None)
    if place is None:
        return Row(what, case, judge, len(tokens), f"yours has {len(answer.tokens)}")
    own, right = (repr(case.loaded.tokenizer.decode([text[place - 1]])) for text in (answer.tokens, tokens))
    return Row(what, case, judge, len(tokens), f"number {place} is {right}, yours {own}")
