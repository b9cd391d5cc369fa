"""The usual mistakes of each part of a `generate()`: a check makes them, too, compares, and names the one it sees.

Lesson: 15 · Capstone: your own generate()
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from course_utils.engine.penalties import apply_frequency_penalty, apply_presence_penalty
from course_utils.learner import capstone_wrong_pieces as wrong
from course_utils.learner.capstone_cases import Case
from course_utils.learner.capstone_loop import Loop, beams_choosing, beams_with
from course_utils.learner.capstone_wrong_pieces import ends_where, filters_with, penalties_with, reading_with

Text = tuple[int, ...]


class Mistake(NamedTuple):
    """What a mistake is called, and the texts that come of it.

    Lesson: 15 · Capstone: your own generate()

    >>> MISTAKES["filters"][0].sentence
    'Do you multiply by the temperature? The logits are divided by it.'
    """

    sentence: str
    write: Callable[[Case], Text]

    def text(self, case: Case) -> Text | None:
        """Return the mistaken text; None where the mistake ends in an error, as removing every token does."""
        try:
            return self.write(case)
        except RuntimeError:
            return None


def seen(part: str, cases: Sequence[Case], texts: Sequence[Text | None]) -> str:
    """Return the sentence of the mistake that makes just these `texts` of `cases`; "" if none of `part` does.

    A text that is None stands for an error.
    Lesson: 15 · Capstone: your own generate()

    >>> seen("loop", [Case("cab", {"max_new_tokens": 3})], [(36, 36, 36)])
    'Every step chooses the same token: does it read the new ids, or the prompt again?'
    """
    for mistake in MISTAKES[part]:
        # Case by case: most mistakes are ruled out by the first text.
        if all(mistake.text(case) == text for case, text in zip(cases, texts, strict=True)):
            return mistake.sentence
    return ""


def _new(prompt: list[int], new: list[int]) -> list[int]:
    return new


_NO_LENGTH = "Does the score leave the length out? A sum is divided by length ** length_penalty."
_POSITION = "Off by one: the position of a new token is the number of tokens in the cache."
# Of each part, the likeliest mistake first.
_MISTAKES: dict[str, dict[str, Callable[[Case], Text] | tuple]] = {
    "loop": {
        "Every step chooses the same token: does it read the new ids, or the prompt again?": Loop(
            read=wrong.prompt_again
        ).write,
        "Which logits do you take? Those of the last position, [:, -1], say what comes next.": Loop(
            read=wrong.first_position
        ).write,
        "Does the prompt count for max_new_tokens? It counts new tokens only.": Loop(
            longest=lambda settings, start: max(settings.max_new_tokens - start, 1)
        ).write,
    },
    "cache": {
        "A decode step has forgotten the text before it: hand the cache of the step before back in.": Loop(
            read=wrong.forgetful
        ).write,
        "Off by one: a decode step must read the newest token, not the one before it.": reading_with(wrong.late),
        "Off by one: a decode step reads two tokens, and the first is in the cache already.": reading_with(wrong.twice),
        _POSITION: (
            reading_with(wrong.at_position(lambda cached: cached + 1)),
            reading_with(wrong.at_position(lambda cached: cached - 1)),
        ),
        "A new token needs its position, which is the number of tokens before it; yours is 0.": reading_with(
            wrong.at_position(lambda cached: 0)
        ),
    },
    "filters": {
        "Do you multiply by the temperature? The logits are divided by it.": filters_with(temperature=wrong.multiplied),
        "top_p: the token that crosses the line belongs to the kept ones, and yours stops before it.": filters_with(
            top_p=wrong.stops_before_p
        ),
        "top_p: which end do you sum from? The likeliest tokens stay, and yours keeps the tail.": filters_with(
            top_p=wrong.keeps_the_tail
        ),
        "min_p is a share of the best token's probability, not a probability.": filters_with(min_p=wrong.absolute),
        "top_k keeps one token too few: the k-th itself stays.": filters_with(top_k=wrong.one_too_few),
        "Do you have an order of your own? The filters come in the order of the list.": Loop(
            order=wrong.in_their_order
        ).write,
        "The filters have no effect: are their logits used?": Loop(order=lambda filters: []).write,
        "Nothing is drawn: with do_sample the token comes from torch.multinomial.": Loop(
            draws=lambda settings: False
        ).write,
        "Where do_sample is False, the best token is taken; yours draws.": Loop(draws=lambda settings: True).write,
        "The generator begins anew at every step: make it once, before the loop.": Loop(
            generator=wrong.each_step_anew
        ).write,
    },
    "penalties": {
        "The sign: presence and frequency penalties are subtracted.": penalties_with(
            presence_penalty=wrong.against(apply_presence_penalty),
            frequency_penalty=wrong.against(apply_frequency_penalty),
        ),
        "The sign rule: a negative logit is multiplied by the repetition penalty, or it would rise.": penalties_with(
            repetition_penalty=wrong.always_divided
        ),
        "A frequency penalty counts: twice in the text is twice the penalty.": penalties_with(
            frequency_penalty=apply_presence_penalty
        ),
        "A presence penalty does not count: twice in the text costs as much as once.": penalties_with(
            presence_penalty=apply_frequency_penalty
        ),
        "The prompt does not count for presence and frequency penalties.": Loop(
            prompt_counts=tuple(Loop().penalties)
        ).write,
        "The prompt counts for repetition_penalty and no_repeat_ngram.": Loop(prompt_counts=()).write,
        "The penalties have no effect: are their logits used?": penalties_with(
            **dict.fromkeys(Loop().penalties, lambda logits, ids, setting: logits)
        ),
    },
    "stopping": {
        "A stop string can lie across tokens: look for it in the text of all new tokens.": ends_where(
            lambda prompt, new: new[-1:]
        ),
        "min_new_tokens has no effect: mask the tokens of eos_ids until there are so many.": wrong.too_short_while(
            lambda count, start, least: False
        ),
        "Does the prompt count for min_new_tokens? It counts new tokens only.": wrong.too_short_while(
            lambda count, start, least: count + start < least
        ),
        "Off by one: when there are min_new_tokens new tokens, the text may end.": wrong.too_short_while(
            lambda count, start, least: count <= least
        ),
        "Is the prompt searched, too? A stop string must lie in the new text.": ends_where(
            lambda prompt, new: prompt + new
        ),
        "Stop strings have no effect.": ends_where(lambda prompt, new: []),
        "The tokens of eos_ids do not end your text.": ends_where(_new, ends=lambda new, settings: False),
        "Every token of eos_ids ends a text, not the first alone.": ends_where(
            _new, ends=lambda new, settings: new[-1] in list(settings.eos_ids)[:1]
        ),
        "The token that ends a text is part of the result, as in transformers.": Loop(
            result=lambda new, has_ended: new[:-1] if has_ended else new
        ).write,
    },
    "beams": {
        _NO_LENGTH: (beams_with(length_penalty=0.0), beams_choosing(wrong.raw_best)),
        "Is length_penalty used? Yours has 1 in all cases.": beams_with(length_penalty=1.0),
        "Where is num_beams? These are the texts of greedy search.": beams_with(num_beams=1),
        "Which finished text do you return? The best one comes first.": beams_choosing(lambda tree: tree.finished[-1]),
        "Texts do not end at eos_ids in your search.": beams_with(eos_ids=[]),
        "Your search stops once num_beams texts are finished: early_stopping is False.": beams_with(
            early_stopping=True
        ),
    },
}
MISTAKES: dict[str, tuple[Mistake, ...]] = {
    part: tuple(
        Mistake(sentence, write)
        for sentence, ways in mistakes.items()
        for write in (ways if isinstance(ways, tuple) else (ways,))
    )
    for part, mistakes in _MISTAKES.items()
}
