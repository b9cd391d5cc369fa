"""Check one part of a learner's `generate()` at a time: ✓ or ✗, and a sentence that names the usual mistake.

Lesson: 15 · Capstone: your own generate()
"""

import html
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from course_utils.learner.capstone_cases import PARTS, Case, expected_tokens
from course_utils.learner.capstone_mistakes import seen
from course_utils.learner.capstone_runs import Answer, ask, sentence_end
from course_utils.learner.capstone_stream import STREAMS, StreamAnswer, ask_stream, expected_pieces, judge_stream
from course_utils.learner.long_checks import LongCheck

ALL_PARTS = ("loop", "cache", "filters", "penalties", "stopping", "streaming", "beams")


@dataclass(frozen=True)
class PartCheck:
    """What a check found.

    Args:
        part: Which part was checked.
        right: How many cases came out right.
        cases: Of how many.
        sentence: What is wrong, or what is right.
        detail: Where it shows first; "" if nothing is wrong.

    Lesson: 15 · Capstone: your own generate()

    >>> PartCheck("loop", 2, 6, "Every step chooses the same token.")
    ✗ loop: 2 of 6 texts are right.
      Every step chooses the same token.
    """

    part: str
    right: int
    cases: int
    sentence: str
    detail: str = ""

    @property
    def ok(self) -> bool:
        """Whether every case came out right."""
        return self.right == self.cases and not self.detail

    def _lines(self) -> list[str]:
        first = f"{'✓' if self.ok else '✗'} {self.part}: {self.right} of {self.cases} texts are right."
        return [first, *filter(None, (self.sentence, self.detail))]

    def __repr__(self) -> str:
        first, *rest = self._lines()
        wrapped = [line for text in rest for line in textwrap.wrap(text, 106, break_on_hyphens=False)]
        return "\n".join([first, *(f"  {line}" for line in wrapped)])

    def _repr_html_(self) -> str:
        first, *rest = map(html.escape, self._lines())
        return f"<p><strong>{first}</strong></p>" + "".join(f"<p>{line}</p>" for line in rest)


def check_part(part: str, function: Callable) -> PartCheck:
    """Check one part of a learner's function on texts of SmolLM2 and of the practice model.

    Nothing that the function does comes through: it may raise, return anything, or call the model without end.

    Args:
        part: One of `ALL_PARTS`.
        function: `my_generate(model, ids, tokenizer, **settings)`, which returns the ids of prompt and new text,
            `(1, seq)`. For "streaming": `my_stream` with the same arguments, which yields a piece of text for every
            token as soon as it is chosen.

    Raises:
        ValueError: There is no such part.
        TypeError: `function` cannot be called.

    Lesson: 15 · Capstone: your own generate()

    >>> check_part("loop", lambda model, ids, tokenizer, max_new_tokens: ids)
    ✗ loop: 0 of 6 texts are right.
      Your function returned the prompt without a new token.
      Seen with: “Once upon a time, there was a little girl who”, max_new_tokens=5.
    """
    if part not in ALL_PARTS:
        raise ValueError(f"part must be one of {list(ALL_PARTS)}, got {part!r}")
    if not callable(function):
        raise TypeError(f"function must be a function, as my_generate without brackets, got {type(function).__name__}")
    with LongCheck(f"check_part({part!r})"):
        if part == "streaming":
            return _stream_check([ask_stream(function, case) for case in STREAMS])
        answers = [ask(function, case) for case in PARTS[part]]
        again = ask(function, PARTS[part][-1], attempt=1) if part == "filters" else answers[-1]
        return judge(part, answers, is_repeatable=again == answers[-1])


def judge(part: str, answers: Sequence[Answer], is_repeatable: bool = True) -> PartCheck:
    """Judge what a function answered in every case of `part`: plain data in, the check out.

    Args:
        part: One of `PARTS`.
        answers: One for each of its cases.
        is_repeatable: Whether the same seed gave the same text twice.

    Lesson: 15 · Capstone: your own generate()

    >>> judge("loop", [Answer(tokens) for tokens in expected_tokens("loop")])
    ✓ loop: 6 of 6 texts are right.
      They are what transformers writes.
    """
    cases, wanted = PARTS[part], expected_tokens(part)
    wrong = [index for index, answer in enumerate(answers) if answer.tokens != wanted[index]]
    right = len(cases) - len(wrong)
    if not wrong:
        return _cache_check(answers) if part == "cache" else PartCheck(part, right, right, _praise(part))
    first = next((index for index in wrong if answers[index].problem), wrong[0])
    sentence = _sentence(part, answers, first, is_repeatable)
    return PartCheck(part, right, len(cases), sentence, _detail(cases[first], answers[first], wanted[first]))


def _praise(part: str) -> str:
    if part == "penalties":
        return "They are what transformers writes; with presence and frequency, what the course's generate writes."
    return "They are what transformers writes."


def _sentence(part: str, answers: Sequence[Answer], first: int, is_repeatable: bool) -> str:
    problem, written = answers[first].problem, [answer for answer in answers if answer.tokens]
    if not is_repeatable:
        return "The same seed gives two texts: draw with torch.Generator().manual_seed(seed), made once a text."
    # Where every text failed, the function does not do yet what all parts need.
    named = _mistake(part, answers) if written else ""
    if problem:
        return f"{named} Your function {sentence_end(problem)}".lstrip()
    return named or "None of the usual mistakes makes these texts."


def _mistake(part: str, answers: Sequence[Answer]) -> str:
    """Compare with the usual mistakes on the practice model, where they all show and cost next to nothing."""
    pairs = [(case, answer) for case, answer in zip(PARTS[part], answers, strict=True) if not case.is_real]
    return seen(part, [case for case, _ in pairs], [answer.tokens or None for _, answer in pairs])


def _detail(case: Case, answer: Answer, wanted: tuple[int, ...]) -> str:
    named = ", ".join(f"{name}={value!r}" for name, value in case.settings.items() if value is not None)
    shown = f"“{case.prompt}”, {named}"
    if answer.problem:
        return f"Seen with: {shown}."
    pairs = zip(answer.tokens, wanted, strict=False)
    place = next((index for index, (own, right) in enumerate(pairs) if own != right), None)
    if place is None:
        return f"First seen with: {shown}: {len(answer.tokens)} new tokens, and {len(wanted)} are right."
    own, right = (repr(case.loaded.tokenizer.decode([tokens[place]])) for tokens in (answer.tokens, wanted))
    return f"First seen with: {shown}: new token {place + 1} is {own}, and {right} is right."


def _cache_check(answers: Sequence[Answer]) -> PartCheck:
    """Judge how much was read, where all texts are right."""
    for case, answer in zip(PARTS["cache"], answers, strict=True):
        prompt, new, read = case.loaded.encode(case.prompt).shape[1], len(answer.tokens), answer.positions
        least, squared = prompt + new - 1, sum(range(prompt, prompt + new))
        if read == least:
            continue
        sentences = {
            squared: "Without a cache, every step reads the whole text again.",
            prompt + new: "The last token is read, and nobody asks what comes after it.",
            prompt
            + 2 * (new - 1): "Off by one: a decode step reads two tokens, and the first is in the cache already.",
        }
        counted = f"“{case.prompt}” and {new} new tokens: {read} positions read; {prompt} + {new} − 1 = {least} do."
        return PartCheck("cache", len(answers), len(answers), sentences.get(read, "Something is read twice."), counted)
    first = answers[0]
    prompt = PARTS["cache"][0].loaded.encode(PARTS["cache"][0].prompt).shape[1]
    count = f"{prompt} + {len(first.tokens)} − 1 = {first.positions} positions read"
    return PartCheck("cache", len(answers), len(answers), f"Nothing is read twice: {count} in the first.")


def _stream_check(answers: Sequence[StreamAnswer]) -> PartCheck:
    found = [judge_stream(case, answer) for case, answer in zip(STREAMS, answers, strict=True)]
    wrong = [index for index, sentence in enumerate(found) if sentence]
    right = len(found) - len(wrong)
    if not wrong:
        return PartCheck("streaming", right, right, "Every piece comes as soon as its token is chosen.")
    case, own, wanted = STREAMS[wrong[0]], answers[wrong[0]].pieces, expected_pieces(STREAMS[wrong[0]])
    detail = f"First seen with: {case!r}".replace(" with ", ", ", 1)
    if own:
        detail += f": {list(own)[:6]!r} …, and {list(wanted)[:6]!r} … is right"
    return PartCheck("streaming", right, len(found), found[wrong[0]], detail + ".")
